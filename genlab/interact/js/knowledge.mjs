// Chapter 10: a rule of weight λ tilts a law. Its truth under q is the slope of log Z; the tangent ends at the price.
import { Explorable, clamp, linspace, minus, path, range, text, ticks } from "./core.mjs";
import { tilt, truth, weightFor } from "./tilt.mjs";

const MOST = 6;                                // the largest λ
class Knowledge extends Explorable {
  tries = {
    nine: ["true in nine of ten", () => this.wanted(0.9, {})],
    soft: ["a soft rule, as true", () => this.wanted(0.9, { softness: 6 })],
    rare: ["a rare event, every second time", () => this.wanted(0.5, { threshold: this.last - 1 })],
    none: ["nothing to tilt", () => ({ ...this.first, threshold: this.last + 1, weight: 5 })],
  };
  initial() {
    const counts = this.getAttribute("counts").split(" ").map(Number), n = counts.reduce((a, b) => a + b);
    const [low, threshold, softness, weight] = ["first", "threshold", "softness", "weight"]
      .map(name => +this.getAttribute(name));
    const x = counts.map((_, i) => low + i);
    Object.assign(this, { p: counts.map(v => v / n), x, low, last: x.at(-1) });
    return { threshold, softness, weight };
  }
  f({ threshold, softness }) { return this.x.map(x => truth(x, threshold, softness)); }
  wanted(bound, rule) {
    const state = { ...this.first, ...rule };
    return { ...state, weight: weightFor(this.p, this.f(state), bound, MOST) };
  }
  build() {
    const W = this.clientWidth < 480 ? 360 : 640, half = (W - 60) / 2, step = (W - 40) / (this.p.length + 1);
    this.unit = step;
    this.px = x => 20 + (x - this.low + 0.5) * step;
    this.boxes = [[30, 254, half - 10, 116], [half + 52, 254, half - 10, 116]];
    const frame = ([x, y, w, h]) => `<path class="axis" d="M${x} ${y}V${y + h}H${x + w}"/>` +
      [0, 2, 4, 6].map(v => text(x + v / MOST * w, y + h + 16, v, "tick")).join("");
    this.svg(W, 400, text(12, 14, '<tspan class="p">p</tspan>, <tspan class="q">q</tspan>, and the rule’s truth ' +
      '<tspan class="f">f</tspan>') + '<path class="p"/><path class="q"/><path class="f"/>' +
      `<path class="axis" d="M12 190H${W - 12}"/>` +
      this.x.filter(x => x % (W < 480 ? 4 : 2) === 0).map(x => text(this.px(x), 206, x, "tick")).join("") +
      '<path class="mark"/><circle r="8" class="knob at"/>' +
      text(12, 240, '<tspan class="f">E f</tspan> under q, over λ') + text(half + 40, 240, "log Z(λ) and its tangent") +
      this.boxes.map(frame).join("") + '<path class="mean"/><circle r="4" class="here"/>' +
      '<path class="curve"/><path class="tangent"/><path class="price"/><circle r="8" class="knob weight"/>' +
      [0, 0.5, 1].map(v => text(24, 374 - v * 116, v, "tick up")).join("") +
      range(4).map(() => text(0, 0, "", "tick up log")).join(""));
    this.readout = this.row("readout");
    this.row("sliders");
    this.slider("weight λ:", 0, MOST, s => s.weight, weight => ({ weight }));
    this.slider("at least:", this.low, this.last + 1, s => s.threshold, threshold => ({ threshold }), { step: 1 });
    this.slider("softness:", 0, 8, s => s.softness, softness => ({ softness }), { step: 1 });
    this.buttons();
  }
  drag(knob, x) {
    if (knob.matches(".at")) return { threshold: this.low + Math.round((x - 20) / this.unit) };
    const [left, , wide] = this.boxes[1];
    return { weight: MOST * (x - left) / wide };
  }
  draw() {
    const { state, p, px, unit } = this, [left, right] = this.boxes;
    state.weight = clamp(state.weight, 0, MOST);                                  // a link may hold anything
    state.threshold = clamp(Math.round(state.threshold), this.low, this.last + 1);
    state.softness = clamp(Math.round(state.softness), 0, 8);
    const f = this.f(state), now = tilt(p, f, state.weight), { q, logZ, expected, kl } = now;
    const tall = Math.max(2 * Math.max(...p), ...q), py = v => 190 - v / tall * 150;
    const bars = law => law.map((v, i) => `M${px(this.x[i] - 0.42)} 190V${py(v)}h${0.84 * unit}V190`).join("");
    const at = linspace(0, MOST, 101), all = at.map(w => tilt(p, f, w)), far = tilt(p, f, 500).kl;
    const low = -1.1 * Math.max(far, 0.5), high = 1.05 * Math.max(all.at(-1).logZ, 1);
    const over = ([x, y, w, h], a, b) => (s, v) => [x + s / MOST * w, y + h - (v - a) / (b - a) * h];
    const [mean, log] = [over(left, 0, 1), over(right, low, high)];
    const end = expected * MOST > high + kl ? (high + kl) / expected : MOST, zero = log(0, 0), paid = log(0, -kl);
    const step = this.x.flatMap((x, i) => [-0.5, 0.5].map(s => [px(x + s), 190 - 150 * f[i]]));
    const drawn = { p: bars(p), q: bars(q), f: path(step),
      mark: `M${px(state.threshold - 0.5)} 30V190`, mean: path(at.map((w, i) => mean(w, all[i].expected))),
      curve: path(at.map((w, i) => log(w, all[i].logZ))), tangent: path([paid, log(end, expected * end - kl)]),
      price: path([zero, paid]) };
    for (const name in drawn) this.set(`path.${name}`, { d: drawn[name] });
    const place = (name, [cx, cy]) => this.set(name, { cx, cy });
    place(".here", mean(state.weight, expected));
    place(".weight", log(state.weight, logZ));
    place(".at", [px(state.threshold - 0.5), 30]);
    const labels = [...this.figure.querySelectorAll(".log")], marks = ticks(low, high, 4).slice(-4);
    labels.forEach((label, i) => {
      label.textContent = i < marks.length ? minus(marks[i]) : "";
      label.setAttribute("x", right[0] - 6);
      label.setAttribute("y", log(0, marks[i] ?? 0)[1] + 4);
    });
    const say = v => minus((Math.abs(v) < 5e-4 ? 0 : v).toFixed(3)), before = p.reduce((a, v, i) => a + v * f[i], 0);
    this.readout.innerHTML = `<span>E f = ${say(before)} under p, <b class="f">${say(expected)}</b> under q</span>` +
      `<span>λ E f − log Z = ${say(state.weight * expected)} − ${say(logZ)} ` +
      `= <b class="price">${say(kl)}</b> = KL(q‖p), the price in nats</span>`;
    this.figure.ariaLabel = `At least ${state.threshold}, λ ${state.weight.toFixed(2)}. ${this.readout.textContent}`;
  }
}
customElements.define("gen-knowledge", Knowledge);
