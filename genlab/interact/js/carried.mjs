// Parts of a figure that know no state: a density as a picture, a shape beside what became of it, a sum over layers.
import { minus, path, range, text, ticks } from "./core.mjs";
import { part } from "./panels.mjs";

const GRAIN = 64;
/** A density on the plane, from −span to span, as a picture: more colour where it is larger. Its address. */
export function shaded(density, span) {
  const canvas = Object.assign(document.createElement("canvas"), { width: GRAIN, height: GRAIN });
  const data = new ImageData(GRAIN, GRAIN), at = i => (2 * (i + 0.5) / GRAIN - 1) * span;
  for (const i of range(GRAIN)) for (const j of range(GRAIN)) {
    const p = density([at(i), -at(j)]);
    data.data.set([217, 115, 55, 255 * p / (p + 0.15)], 4 * (GRAIN * j + i));
  }
  canvas.getContext("2d").putImageData(data, 0, 0);
  return canvas.toDataURL();
}
/** Two polygons about zero, both as large as the box [x, y, width, height] allows. */
export function enlarged(box, start, now) {
  const [, , w, h] = box, far = Math.max(...[...start, ...now].flat().map(Math.abs));
  const unit = 0.46 * Math.min(w, h) / far;
  const drawn = points => path(points.map(([x, y]) => [w / 2 + x * unit, h / 2 - y * unit])) + "Z";
  return part(box, "near", `<path class="start" d="${drawn(start)}"/><path class="square" d="${drawn(now)}"/>`);
}
/** A line through the first values, one for each layer, and dots at the second; the k-th is marked. */
export function story(box, line, dots, k) {
  const [x, y, w, h] = box, n = line.length - 1, most = 1.1 * Math.max(1, ...[...line, ...dots].map(Math.abs));
  const px = i => 8 + i / n * (w - 16), py = v => h / 2 * (1 - v / most);
  return part(box, "story", `<path class="axis" d="M0 ${h / 2}H${w}"/><path class="mark" d="M${px(k)} 0V${h}"/>` +
    `<path class="det" d="${path(line.map((v, i) => [px(i), py(v)]))}"/>` +
    dots.map((v, i) => `<circle cx="${px(i)}" cy="${py(v)}" r="${i === k ? 6 : 3.5}"/>`).join("")) +
    ticks(-most, most, 4).map(v => text(x - 5, y + py(v) + 4, minus(v), "tick up")).join("") +
    range(n + 1).map(i => text(x + px(i), y + h + 15, i, "tick")).join("");
}
