// Parts of a figure that know no state: an image of 8 × 8 pixels, a plane of images, the curve of rate and distortion.
import { path, range, text, ticks } from "./core.mjs";

const PIXELS = range(64).map(i => `<rect x="${i % 8}" y="${i >> 3}" width="1.02" height="1.02"/>`).join("");
/** A panel in a box [x, y, width, height], which cuts off what leaves it. */
export const part = ([x, y, w, h], name, inside, more = "") =>
  `<svg x="${x}" y="${y}" width="${w}" height="${h}" class="${name}" ${more}>${inside}</svg>`;
/** Frame, title and 64 pixels, whose opacity is theirs. */
export const framed = (box, name, words) => text(box[0], box[1] - 8, words, name) +
  `<rect x="${box[0]}" y="${box[1]}" width="${box[2]}" height="${box[3]}" class="frame"/>` +
  part(box, name, PIXELS, 'viewBox="0 0 8 8"');
/** n × n tiles over the plane from −span to span, each the image of its centre: the address of a picture. */
export function tiles(image, n, span) {
  const side = 9 * n, canvas = Object.assign(document.createElement("canvas"), { width: side, height: side });
  const data = new ImageData(side, side), at = i => (2 * (i + 0.5) / n - 1) * span;
  for (const i of range(n)) for (const j of range(n))
    image([at(i), -at(j)]).forEach((v, k) =>
      data.data.set([127, 127, 127, 255 * v], 4 * (side * (9 * j + (k >> 3)) + 9 * i + k % 8)));
  canvas.getContext("2d").putImageData(data, 0, 0);
  return canvas.toDataURL();
}
/** Panel with the curve through [rate, distortion] for each β; `px` is the place of such a point. */
export function tradeoff([x, y, w, h], betas, curve) {
  const [rates, costs] = [0, 1].map(j => curve.map(point => point[j])), low = Math.min(...costs);
  const wide = 1.3 * Math.max(1, ...rates), tall = Math.max(1, Math.max(...costs) - low);
  const px = ([r, d]) => [8 + r / wide * (w - 8), (0.85 - (d - low) / tall * 0.7) * h], at = curve.map(px);
  const dots = at.map(([u, v]) => `<circle cx="${u}" cy="${v}" r="3"/>`).join("");
  const names = at.map(([u, v], i) => text(u + 6, v - 7, betas[i], "beta")).join("");
  const lines = `<path class="slope"/><path class="line" d="${path(at)}"/>`;
  return { px, svg: text(x, y - 10, "distortion against rate, nats") +
    part([x, y, w, h], "curve", `${lines}${dots}<circle class="here" r="6"/>${names}`) +
    ticks(0, 0.95 * wide, 4).map(r => text(x + px([r, low])[0], y + h + 15, r, "tick")).join("") +
    ticks(low, low + tall, 4).map(d => text(x - 5, y + px([0, d])[1] + 4, d, "tick up")).join("") };
}
