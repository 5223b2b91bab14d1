// Parts of a figure that know no state: dots, arrows, a field of two colours, a curve over steps.
import { path, text, ticks } from "./core.mjs";
import { part } from "./panels.mjs";

const near = v => v.toFixed(1);
export const dots = places => places.map(([x, y]) => `M${near(x)} ${near(y)}h0`).join("");
/** A line from a place by [u, v], with a head; nothing if it is shorter than a pixel. */
export function arrow([x, y], [u, v]) {
  const length = Math.hypot(u, v), h = Math.min(4 / length, 0.5), tip = `${near(x + u)} ${near(y + v)}`;
  const wing = s => `${near(x + u - h * (u + s * v / 2))} ${near(y + v - h * (v - s * u / 2))}`;
  return length < 1 ? "" : `M${near(x)} ${near(y)}L${tip}M${wing(1)}L${tip}L${wing(-1)}`;
}
/** Values from −1 to 1 on grain × grain pixels as a picture, orange below 0 and blue above: its address. */
export function tinted(values, grain) {
  const canvas = Object.assign(document.createElement("canvas"), { width: grain, height: grain });
  const image = new ImageData(grain, grain);
  values.forEach((v, i) => image.data.set([...(v > 0 ? [51, 128, 191] : [217, 115, 55]), 180 * Math.abs(v)], 4 * i));
  canvas.getContext("2d").putImageData(image, 0, 0);
  return canvas.toDataURL();
}
/** The values as a curve in the box [x, y, width, height], with its axes. */
export function curve([x, y, w, h], values) {
  const most = 1.1 * Math.max(...values, 1e-9), last = values.length - 1;
  const at = (v, i) => [i / last * w, (1 - v / most) * h];
  return part([x, y, w, h], "radius",
    `<path class="axis" d="M0 0V${h}H${w}"/><path class="way" d="${path(values.map(at))}"/>`) +
    ticks(0, most, 3).map(v => text(x - 5, y + at(v, 0)[1] + 4, v, "tick up")).join("") +
    [0, last / 2, last].map(i => text(x + at(0, i)[0], y + h + 15, i, "tick")).join("");
}
