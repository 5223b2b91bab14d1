// Parts of a figure that know no state: energies along a chain, and images beneath them.
import { minus, path, range, text, ticks } from "./core.mjs";
import { squares } from "./grid.mjs";
import { part } from "./panels.mjs";

const STOPS = 10, ROUND = 5;                   // images after the first; the axis ends at multiples
/** How many sweeps the axis is long: it grows three times. */
export const reach = sweeps => [20, 100, 200, 500].find(end => sweeps <= end);
/** The values along a chain as a curve in the box [x, y, width, height], and a line at `level`. */
export function energies([x, y, w, h], values, level) {
  const n = values.length - 1, end = reach(n), all = [...values, level];
  const low = ROUND * Math.floor(Math.min(...all) / ROUND - 0.1);
  const high = ROUND * Math.ceil(Math.max(...all) / ROUND + 0.1);
  const px = i => i / end * w, py = v => (high - v) / (high - low) * h;
  return part([x, y, w, h], "trace", `<path class="axis" d="M0 0V${h}H${w}"/>` +
    `<path class="level" d="M0 ${py(level)}H${w}"/>` +
    `<path class="energy" d="${path(values.map((v, i) => [px(i), py(v)]))}"/>`) +
    `<circle cx="${x + px(n)}" cy="${y + py(values[n])}" r="4"/>` +
    ticks(low, high, 3).map(v => text(x - 5, y + py(v) + 4, minus(v), "tick up")).join("") +
    range(STOPS + 1).map(k => text(x + k / STOPS * w, y + h + 14, k * end / STOPS, "tick"))
      .join("");
}
/** Images of a chain's places, each in the middle under its sweep, with its name below it. */
export function strip([x, y, w, side], places) {
  const end = reach(places.length - 1), shown = range(STOPS + 1).map(k => k * end / STOPS);
  return shown.filter(n => n < places.length).map(n => {
    const left = x + n / end * w - side / 2, { x: image, name } = places[n];
    const ink = squares(range(image.length).filter(i => image[i]), 8);
    return `<rect x="${left}" y="${y}" width="${side}" height="${side}" class="frame"/>` +
      part([left, y, side, side], "still", `<path d="${ink}"/>`, 'viewBox="0 0 8 8"') +
      text(left + side / 2, y + side + 13, name, "tick");
  }).join("");
}
