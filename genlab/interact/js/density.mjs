// Chapter 01: one width h for three estimates of a density on the line, judged by leaving one point out.
import { Explorable, clamp, linspace, logTicks, maximise, minus, path, range, short, text, ticks } from "./core.mjs";

const mean = values => values.reduce((sum, v) => sum + v, 0) / values.length;
/** Gaussian kernel estimate at t: 1/(n h) Σ φ((t − xᵢ)/h). */
export const kde = (points, h, t) =>
  mean(points.map(x => Math.exp(-(((t - x) / h) ** 2) / 2))) / (h * Math.sqrt(2 * Math.PI));
/** Histogram at t with the cells [low + j width, low + (j + 1) width): share of the points in t's cell / width. */
export const histogram = (points, width, t, low) =>
  mean(points.map(x => +(Math.floor((x - low) / width) === Math.floor((t - low) / width)))) / width;
/** k nearest neighbours at t: k / (2 n R_k(t)); infinite where k points coincide with t. */
export const knn = (points, k, t) =>
  k / (2 * points.length * points.map(x => Math.abs(x - t)).sort((a, b) => a - b)[k - 1]);
/** The k that goes with h: the mean number of points within h of a point, itself included; less than n. */
export const neighbours = (points, h) =>
  Math.min(points.length - 1, Math.round(mean(points.map(t => points.filter(x => Math.abs(x - t) <= h).length))));
/** Leave-one-out log-likelihood of the kernel estimate in nats a point: the mean of log p̂₋ᵢ(xᵢ). */
export const loo = (points, h) => mean(points.map((t, i) => {
  const e = points.map((x, j) => (j === i ? -Infinity : -(((t - x) / h) ** 2) / 2)), most = Math.max(...e);
  return most + Math.log(e.reduce((sum, v) => sum + Math.exp(v - most), 0));
})) - Math.log((points.length - 1) * h * Math.sqrt(2 * Math.PI));
/** The h between low and high with the largest loo, and the score on 81 widths in equal ratios. */
export function best(points, low, high) {
  const at = linspace(Math.log(low), Math.log(high), 81), { values, x } = maximise(u => loo(points, Math.exp(u)), at);
  return { h: Math.exp(x), curve: at.map((u, i) => [Math.exp(u), values[i]]) };
}

class Density extends Explorable {
  tries = {
    narrow: ["too narrow", () => ({ h: this.best.h / 8 })],
    best: ["best h", () => ({ h: this.best.h })],
    outlier: ["one outlier", () => ({ x: this.first.x.with(-1, this.far), h: this.star, point: this.first.x.length })],
  };
  initial() {
    const x = this.getAttribute("points").split(" ").map(Number), left = Math.min(...x), span = Math.max(...x) - left;
    Object.assign(this, { low: left - span / 2, high: left + 1.5 * span, far: left + 1.4 * span });
    Object.assign(this, { least: span / 200, most: span, star: best(x, span / 200, span).h });
    this.top = 2 * Math.max(...x.map(t => kde(x, this.star, t)));
    return { x, h: +(this.getAttribute("h") ?? this.star), point: x.length, histogram: 1, kernel: 1, nearest: 1 };
  }
  build() {
    const { low, high, least, most } = this, n = this.first.x.length;
    const W = this.width = this.clientWidth < 480 ? 360 : 640;                     // text stays legible on a phone
    this.px = v => 12 + (v - low) / (high - low) * (W - 24);
    this.hx = h => 12 + Math.log(h / least) / Math.log(most / least) * (W - 24);
    const part = (y, tall, inside) => `<svg y="${y}" height="${tall}" viewBox="0 ${y} ${W} ${tall}">${inside}</svg>`;
    this.svg(W, 400, part(16, 200, '<path class="histogram"/><path class="nearest"/><path class="kernel"/>') +
      part(276, 100, '<path class="mark"/><path class="score"/>') + text(0, 370, "best h", "best") +
      text(12, 12, "density") + text(12, 270, "leave-one-out log-likelihood against h") +
      `<path class="axis" d="M12 216H${W - 12}M12 376H${W - 12}"/>` +
      ticks(low, high, W / 80).map(v => text(this.px(v), 244, minus(v), "tick")).join("") +
      logTicks(least, most).map(h => text(this.hx(h), 394, h, "tick")).join("") +
      range(n).map(i => `<circle r="6" cy="216" class="knob" data-point="${i + 1}"/>`).join("") +
      '<circle r="8" class="knob ball"/>');
    this.readout = this.row("readout");
    this.row("sliders");
    this.slider("width h:", least, most, s => s.h, h => ({ h }), { log: true });
    this.slider("point:", 1, n, s => s.point, point => ({ point }), { step: 1 });
    this.slider("its place:", low, high, s => s.x[s.point - 1], v => this.place(this.state.point, v));
    this.checks({ histogram: "histogram", kernel: "kernel estimate", nearest: "k nearest" });
    this.buttons();
  }
  place(point, v) { return { point, x: this.state.x.with(point - 1, v) }; }
  drag(knob, x) {
    const { low, high, least, most } = this, share = clamp((x - 12) / (this.width - 24), 0, 1);
    if (knob.matches(".ball")) return { h: least * (most / least) ** share };
    return this.place(+knob.dataset.point, low + share * (high - low));
  }
  draw() {
    const { low, high, least, most, px, hx, state } = this, n = state.x.length;
    const x = state.x = state.x.map(v => clamp(v, low, high));                     // a link may hold anything
    const h = state.h = clamp(state.h, least, most), k = neighbours(x, h);
    const point = state.point = clamp(Math.round(state.point), 1, n);
    if (this.known !== String(x)) Object.assign(this, { known: String(x), best: best(x, least, most) });
    const star = this.best.h, peak = loo(x, star), score = loo(x, h);
    const py = p => 216 - clamp(p / this.top, 0, 1.1) * 200;                       // what is higher is cut off
    const sy = v => 284 + clamp((peak - v) / 2.5, 0, 1.2) * 92;                    // the panel is 2.5 nats high
    const curve = f => ({ d: path(linspace(low, high, 321).map(t => [px(t), py(f(t))])) });
    const boxes = range(1000).map(j => low + j * h).filter(a => a < high)
      .map(a => `V${py(histogram(x, h, a + h / 2, low)).toFixed(1)}H${px(Math.min(a + h, high)).toFixed(1)}`);
    this.set("path.histogram", { d: `M12 216${boxes.join("")}V216` });
    this.set("path.kernel", curve(t => kde(x, h, t)));
    this.set("path.nearest", curve(t => knn(x, k, t)));
    this.set(".score", { d: path(this.best.curve.map(([u, v]) => [hx(u), sy(v)])) });
    this.set(".mark", { d: `M${hx(star)} 276V376` });
    this.set("text.best", { x: hx(star) + 5 });
    this.set(".ball", { cx: hx(h), cy: Math.min(sy(score), 376) });
    for (let i = 1; i <= n; i++)
      this.set(`[data-point="${i}"]`, { cx: px(x[i - 1]), class: i === point ? "knob on" : "knob" });
    this.readout.textContent = `h = ${short(h)}, k = ${k}: ${minus(score.toFixed(3))} nats a point. ` +
      `Best h ${star > least ? "=" : "≤"} ${short(star)}: ${minus(peak.toFixed(3))}.`;
    this.figure.setAttribute("aria-label", `Densities of ${n} points, and the score. ${this.readout.textContent}`);
  }
}
customElements.define("gen-density", Density);
