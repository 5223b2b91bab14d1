// Chapter 01: one width h for three estimates of a density on the line, judged by leaving one point out.
import { Explorable, path, ticks } from "./core.mjs";

/** Gaussian kernel estimate at t: 1/(n h) Σ φ((t − xᵢ)/h). */
export const kde = (points, h, t) =>
  points.reduce((sum, x) => sum + Math.exp(-(((t - x) / h) ** 2) / 2), 0) / (points.length * h * Math.sqrt(2 * Math.PI));
/** Histogram at t with the cells [low + j width, low + (j + 1) width): share of the points in t's cell / width. */
export const histogram = (points, width, t, low) => {
  const cell = Math.floor((t - low) / width);
  return points.filter(x => Math.floor((x - low) / width) === cell).length / (points.length * width);
};
/** k nearest neighbours at t: k / (2 n R_k(t)); infinite where k points coincide with t. */
export const knn = (points, k, t) => k / (2 * points.length * points.map(x => Math.abs(x - t)).sort((a, b) => a - b)[k - 1]);
/** The k that goes with h: how many points lie within h of a point, itself included, on average; below n. */
export const neighbours = (points, h) =>
  Math.min(points.length - 1, Math.round(points.reduce((sum, t) => sum + points.filter(x => Math.abs(x - t) <= h).length, 0) / points.length));
/** Leave-one-out log-likelihood of the kernel estimate, nats a point: 1/n Σᵢ log 1/((n−1)h) Σ_{j≠i} φ((xᵢ − xⱼ)/h). */
export const loo = (points, h) => points.reduce((sum, t, i) => {
  const exponents = points.map((x, j) => (j === i ? -Infinity : -(((t - x) / h) ** 2) / 2)), most = Math.max(...exponents);
  return sum + most + Math.log(exponents.reduce((s, e) => s + Math.exp(e - most), 0));
}, 0) / points.length - Math.log((points.length - 1) * h * Math.sqrt(2 * Math.PI));
/** The h in [low, high] with the largest loo: the best of a grid of equal ratios, then golden section beside it. */
export function best(points, low, high, steps = 80) {
  const at = i => low * (high / low) ** (i / steps), grid = Array.from({ length: steps + 1 }, (_, i) => loo(points, at(i)));
  const top = grid.indexOf(Math.max(...grid)), g = (Math.sqrt(5) - 1) / 2;
  let a = Math.log(at(Math.max(top - 1, 0))), b = Math.log(at(Math.min(top + 1, steps)));
  const f = u => loo(points, Math.exp(u));
  for (let n = 0; n < 30; n++) { const c = b - g * (b - a), d = a + g * (b - a); if (f(c) > f(d)) b = d; else a = c; }
  return { grid, at, h: top === 0 ? low : Math.exp((a + b) / 2) };
}

class Density extends Explorable {
  tries = {
    narrow: ["too narrow", function () { this.state.h = this.best.h / 8; }],
    best: ["best h", function () { this.state.h = this.best.h; }],
    outlier: ["one outlier", function () { this.state.x[this.state.x.length - 1] = this.high; }],
  };
  initial() {
    const x = this.getAttribute("points").split(/[\s,]+/).map(Number), low = Math.min(...x), span = Math.max(...x) - low;
    Object.assign(this, { low: low - span / 2, high: low + 1.5 * span, least: span / 200, most: span });
    const start = best(x, this.least, this.most).h;
    this.top = 2 * Math.max(...x.map(t => kde(x, start, t)));
    return { x, h: +this.getAttribute("h") || start, point: x.length, show: "hkn" };
  }
  build() {
    const W = this.clientWidth < 480 ? 360 : 640, { low, high, least, most } = this;
    this.px = v => 12 + (v - low) / (high - low) * (W - 24);
    this.py = v => 216 - Math.min(v / this.top, 1.1) * 200;
    this.hx = h => 12 + Math.log(h / least) / Math.log(most / least) * (W - 24);
    const inside = (v, a, b) => Math.min(Math.max(v, a), b), text = (x, y, s, c = "") => `<text x="${x}" y="${y}" class="${c}">${s}</text>`;
    const decades = [1, 2, 5].flatMap(m => Array.from({ length: 19 }, (_, i) => +`${m}e${i - 9}`)).filter(h => h >= least && h <= most);
    this.figure = this.svg("", W, 400, `<svg y="16" height="200" width="${W}" viewBox="0 16 ${W} 200"><path class="h"/><path class="k"/><path class="n"/></svg>
      <path class="axis" d="M12 216H${W - 12}M12 372H${W - 12}"/>${text(12, 12, "density p̂(x)")}${text(12, 264, "leave-one-out log-likelihood, nats a point")}
      ${ticks(low, high, W / 80).map(v => text(this.px(v), 242, v, "tick")).join("")}${decades.map(h => text(this.hx(h), 390, h, "tick")).join("")}
      <path class="mark"/>${text(0, 282, "", "at")}<svg y="270" height="102" width="${W}" viewBox="0 270 ${W} 102"><path class="k loo"/></svg>
      ${this.state.x.map((_, i) => `<circle r="6" cy="216" class="knob" data-i="${i}"/>`).join("")}<circle r="8" class="knob ball"/>`, (knob, x) => {
      if (knob.matches(".ball")) this.state.h = inside(least * (most / least) ** ((x - 12) / (W - 24)), least, most);
      else Object.assign(this.state, { point: +knob.dataset.i + 1 }).x[knob.dataset.i] = inside(low + (x - 12) / (W - 24) * (high - low), low, high);
    });
    this.row("readout"); this.readout = this.group;
    this.row("sliders");
    this.slider("width h ", Math.log(least), Math.log(most), () => Math.log(this.state.h), v => { this.state.h = Math.exp(v); }, v => Math.exp(v).toPrecision(3));
    this.slider("choose point ", 1, this.state.x.length, () => this.state.point, v => { this.state.point = v; }, v => `${v} of ${this.state.x.length}`, 1);
    this.slider("move it to ", low, high, () => this.state.x[this.state.point - 1], v => { this.state.x[this.state.point - 1] = v; });
    this.row("checks");
    for (const [c, name] of [["h", "histogram"], ["k", "kernel estimate"], ["n", "k nearest neighbours"]])
      this.check(name, c, () => this.state.show.includes(c), on => { this.state.show = this.state.show.replace(c, "") + (on ? c : ""); });
    this.row("tries"); this.buttons();
  }
  draw() {
    const { x, h, show, point } = this.state, { low, high, px, py, hx, figure } = this, k = neighbours(x, h), set = (q, a) => Object.entries(a).forEach(([n, v]) => figure.querySelector(q).setAttribute(n, v));
    if (String(x) !== this.known) { this.best = best(x, this.least, this.most); this.known = String(x); }
    const { grid, at, h: star } = this.best, peak = loo(x, star), now = loo(x, h), ly = v => 284 + Math.min((peak - v) / 2, 1.2) * 80;
    const line = f => path(Array.from({ length: 321 }, (_, i) => low + i / 320 * (high - low)).map(t => [px(t), py(f(t))]));
    const cells = Array.from({ length: Math.ceil((high - low) / h) }, (_, j) => [px(low + j * h), py(histogram(x, h, low + (j + .5) * h, low)), px(low + (j + 1) * h)]);
    set(".h", { d: show.includes("h") ? `M${px(low)} 216` + cells.map(([, y, b]) => `V${y.toFixed(1)}H${b.toFixed(1)}`).join("") + "V216" : "" });
    set(".k", { d: show.includes("k") ? line(t => kde(x, h, t)) : "" });
    set(".n", { d: show.includes("n") ? line(t => knn(x, k, t)) : "" });
    set(".loo", { d: path(grid.map((v, i) => [hx(at(i)), ly(v)])) });
    set(".mark", { d: `M${hx(star)} 284V372` });
    set(".at", { x: hx(star), class: "at" }); figure.querySelector(".at").textContent = "";
    set(".ball", { cx: hx(h), cy: Math.min(ly(now), 372) });
    figure.querySelectorAll("[data-i]").forEach((c, i) => { c.setAttribute("cx", px(x[i])); c.classList.toggle("on", i === point - 1); });
    const edge = star === this.least ? "≤ " : "", said = [`h = ${h.toPrecision(3)}, k = ${k}: ${now.toFixed(3)} nats a point left out.`, `Best h ${edge || "= "}${star.toPrecision(3)}: ${peak.toFixed(3)}.`];
    this.readout.textContent = said.join(" ");
    figure.setAttribute("aria-label", `Three estimates of a density from ${x.length} points, and their score against h. ${said.join(" ")}`);
  }
}
customElements.define("gen-density", Density);
