// The panes of chapter 04's figure: two layers, four pictures of a hidden unit, room for a chain.
import { clamp, minus, text } from "./core.mjs";
import { cells } from "./grid.mjs";
import { phase, sites } from "./holds.mjs";
import { sigmoid } from "./net.mjs";
import { part } from "./panels.mjs";
import { SIDE } from "./rbm.mjs";

const LARGER = 3;                              // how enlarged a slope is shown

/** Boxes [x, y, width, height] for a figure of 640 × 400, or of 360 × 560. */
export const boxes = narrow => narrow
  ? { image: [0, 22, 172, 172], units: [188, 22, 172, 172], trace: [44, 344, 300, 134],
    still: [44, 502, 300, 27], small: k => [92 * k, 228, 82] }
  : { image: [0, 22, 208, 208], units: [226, 22, 208, 208], trace: [62, 262, 536, 60],
    still: [62, 346, 536, 36], small: k => [452 + 102 * (k % 2), k < 2 ? 22 : 145, 85] };
const layer = (box, name, title, cell, n, more) => text(box[0], 14, title) +
  part(box, name, `${cells(n, cell)}${more}<path class="site"/>`, `viewBox="0 0 ${n} ${n}"`);
const picture = ([x, y, side], name) => text(x, y - 7, "", `tick left ${name}`) +
  ["image", "rect"].map(kind => `<${kind} x="${x}" y="${y}" width="${side}" height="${side}" ` +
    `class="${kind === "rect" ? "frame" : name}"/>`).join("");
/** All of it still empty; the hidden layer has n × n cells. */
export const panes = ({ image, units, trace, small }, n) =>
  layer(image, "image", 'held, <tspan class="drawn">drawn</tspan>', "pixel", SIDE,
    '<path class="holds"/>') +
  layer(units, "units", '<tspan class="code">hidden units</tspan>', "unit", n, "") +
  ["weights", "wake", "chain", "slope"].map((name, k) => picture(small(k), name)).join("") +
  text(0, trace[1] - 12, "free energy F, sweep by sweep") + '<g class="parts"></g>';
/** Title and values, −1 to 1, of each picture: by weights, and moments of data and chain. */
export function pictures(weights, wake, here, phase) {
  const most = Math.max(...weights.map(Math.abs), 1e-9), asleep = phase < 0;
  const slope = wake.with.map((v, i) => clamp(LARGER * (v - here.with[i]), -1, 1));
  return {
    weights: ["weights", weights.map(w => w / most)],
    wake: ["wake: +", wake.with],
    chain: [["sleep: −", "this chain", "wake: this x"][phase + 1],
      here.with.map(v => asleep ? -v : v)],
    slope: [asleep ? `sum, × ${LARGER}` : "sum: asleep", slope.map(v => asleep ? v : 0)],
  };
}
/** Two lines: on F, on a unit; at the last place, on average along the chain and over the data. */
export function report({ sweeps, temperature, held, unit }, places, data, wake, here) {
  const { F, logits, name } = places.at(-1), mean = f => f.reduce((sum, v) => sum + v) / f.length;
  const nats = [F, ...[places, data].map(list => mean(list.map(at => at.F)))];
  const on = [sigmoid(logits[unit - 1]), here.on, wake.on].map(v => v.toFixed(3));
  const say = ([now, along, over]) => `<b>${now}</b>, on average ${along} along the chain, ` +
    `${over} over the digits`;
  const rest = ["Nothing is held: sleep", `${sites(held).length} of 64 pixels are held`,
    "All pixels are held: wake"][phase(held) + 1];
  const changes = places.filter((at, n) => n && at.name !== places[n - 1].name).length;
  return [`Sweep ${sweeps}, T = ${temperature.toFixed(2)}: F = ` +
    `${say(nats.map(v => minus(v.toFixed(2))))}; the nearest digit is of class ${name}, changes ` +
    `so far: ${changes}.`, `${rest}. Unit ${unit}: p(h = 1) = ${say(on)}.`];
}
