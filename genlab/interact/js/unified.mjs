// Chapter 09: two normal laws and a discriminator; the terms of the generator's loss as bars that end at the loss.
import { Explorable, clamp, linspace, minus, path, range, text, ticks } from "./core.mjs";
import { descend, lemma, logit } from "./lemma.mjs";

const ROWS = [["kl", "KL", 1], ["js", "− JS", -1], ["drift", "− drift", -1], ["evidence", "− log Z", -1]];
class Unified extends Explorable {
  tries = {
    step: ["one step of G", state => this.moved(state, 1, false)],
    train: ["train D", ({ mean, sd }) => ({ at: [mean, sd], sharp: 1 })],
    held: ["20 steps, D held", state => this.moved(state, 20, false)],
    taught: ["20 steps, D trained at each", state => this.moved(state, 20, true)],
    poor: ["a poor D", () => ({ ...this.first, sharp: 0.3 })],
  };
  initial() {
    const [data, at] = ["data", "start"].map(name => this.getAttribute(name).split(" ").map(Number));
    const [m, s] = data, limits = { mean: [m - 4 * s, m + 4 * s], sd: [0.2 * s, 4 * s], sharp: [0, 2] };
    Object.assign(this, { data, limits });
    return { mean: at[0], sd: at[1], at, sharp: 1 };
  }
  moved({ mean, sd, at, sharp }, steps, train) {
    const { now, ...rest } = descend(this.data, [mean, sd], at, sharp, steps, train);
    return { mean: now[0], sd: now[1], ...rest };
  }
  build() {
    const narrow = this.clientWidth < 480, W = narrow ? 360 : 640, H = narrow ? 560 : 400, [m, s] = this.data;
    this.t = linspace(m - 6 * s, m + 6 * s, 161);
    this.px = x => 12 + (x - this.t[0]) / 12 / s * (W - 24);
    this.from = x => this.t[0] + (x - 12) / (W - 24) * 12 * s;
    const wide = narrow ? 336 : 300;
    this.boxes = { terms: [12, 232, wide], slopes: narrow ? [12, 402, wide] : [W - 12 - wide, 232, wide] };
    const words = { terms: "the loss and its terms, nats", slopes: "their slopes in the mean of G" };
    this.svg(W, H, text(12, 14, '<tspan class="p">data</tspan>, <tspan class="g">G</tspan>, ' +
      'G when D was trained (dotted), <tspan class="d">D(x)</tspan>') +
      `<path class="axis" d="M12 180H${W - 12}"/>` + ticks(this.t[0], this.t.at(-1), 8).map(v =>
        text(this.px(v), 196, minus(v), "tick")).join("") +
      '<path class="p"/><path class="old"/><path class="g"/><path class="d"/><circle r="8" class="knob ball"/>' +
      Object.entries(this.boxes).map(([name, [x, y, w]]) => text(x, y - 12, words[name]) + `<g class="${name}">` +
        [...ROWS, ["loss", "loss", 1]].map(([key, label], i) => text(x, y + 13 + 27 * i, label, "name") +
          `<path class="${key}"/>` + text(x + w, y + 13 + 27 * i, "", `tick up ${key}`)).join("") +
        '<path class="axis zero"/><path class="mark"/></g>').join(""));
    this.readout = this.row("readout");
    this.row("sliders");
    for (const [k, name] of [["mean", "mean of G"], ["sd", "sd of G"], ["sharp", "sharpness of D"]])
      this.slider(`${name}:`, ...this.limits[k], state => state[k], v => ({ [k]: v }), { log: k === "sd" });
    this.buttons();
  }
  drag(knob, x) { return { mean: this.from(x) }; }
  draw() {
    const { state, data, limits, t, px } = this;
    for (const k in limits) state[k] = clamp(state[k], ...limits[k]);          // a link may hold anything
    state.at = [clamp(state.at[0], ...limits.mean), clamp(state.at[1], ...limits.sd)];
    const now = [state.mean, state.sd], { terms, slopes } = lemma(data, now, state.at, state.sharp);
    const tall = 1.4 / Math.min(data[1], state.sd, state.at[1]), a = logit(data, state.at, state.sharp);
    const hill = ([m, s]) => x => Math.exp(-(((x - m) / s) ** 2) / 2) / s / tall;
    const line = f => path(t.map(x => [px(x), 180 - 150 * f(x)]));
    const drawn = { p: hill(data), g: hill(now), old: hill(state.at), d: x => 1 / (1 + Math.exp(-a(x))) };
    for (const name in drawn) this.set(`path.${name}`, { d: line(drawn[name]) });
    this.set(".ball", { cx: px(state.mean), cy: 180 - 150 / state.sd / tall });
    const first = Object.fromEntries(Object.entries(slopes).map(([name, [inMean]]) => [name, inMean]));
    this.bars("terms", terms);
    this.bars("slopes", first);
    const say = v => minus((Math.abs(v) < 5e-5 ? 0 : v).toFixed(4)), gap = first.kl - first.js - first.loss;
    const sum = terms.kl - terms.js - terms.drift - terms.evidence;
    this.readout.innerHTML = `<span>loss ${say(terms.loss)}, sum of the four ${say(sum)}</span>` +
      `<span>slope of the loss ${say(first.loss)}, of KL − JS ${say(first.kl - first.js)}: ` +
      `apart by the drift’s, <b>${say(gap)}</b></span>`;
    this.figure.ariaLabel = `Generator ${now.map(v => v.toFixed(2)).join(" ± ")}. ${this.readout.textContent}`;
  }
  bars(name, values) {
    const [x, y, w] = this.boxes[name], signed = ROWS.map(([key, , sign]) => sign * values[key]);
    const ends = signed.map((_, i) => signed.slice(0, i + 1).reduce((a, b) => a + b)), all = [0, values.loss, ...ends];
    const [low, high] = [Math.min(-0.2, ...all), Math.max(0.4, ...all)];
    const at = v => x + 66 + (v - low) / (high - low) * (w - 66 - 58), put = (key, attributes) =>
      this.set(`.${name} ${key}`, attributes);
    const bar = (row, from, to) => ({ d: `M${at(from)} ${y + 8 + 27 * row}H${at(to)}` });
    ROWS.forEach(([key], i) => put(`path.${key}`, bar(i, i ? ends[i - 1] : 0, ends[i])));
    put("path.loss", bar(4, 0, values.loss));
    put("path.zero", { d: `M${at(0)} ${y - 4}V${y + 130}` });
    put("path.mark", { d: `M${at(values.loss)} ${y - 4}V${y + 130}` });
    [...signed, values.loss].forEach((v, i) => {
      const key = [...ROWS.map(row => row[0]), "loss"][i];
      this.figure.querySelector(`.${name} text.${key}`).textContent = minus((Math.abs(v) < 5e-4 ? 0 : v).toFixed(3));
    });
  }
}
customElements.define("gen-unified", Unified);
