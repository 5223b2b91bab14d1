// Chapter 03: EM on a mixture of Gaussians in the plane. E lifts the bound until it touches log L, M climbs it.
import { Explorable, clamp, minus, path, range, text } from "./core.mjs";
import { bound, cut, eigen, floorsOf, logLikelihood, mean, run } from "./mixture.mjs";

const STEPS = 40, pairs = list => range(list.length / 2).map(i => list.slice(2 * i, 2 * i + 2));
/** Colour of a point: those of the components, mixed as q says. */
const mix = q => q.reduce(([color, sum], v, k) =>
  [`color-mix(in oklab, ${color} ${100 * sum / (sum + v + 1e-9)}%, var(--z${k + 1}))`, sum + v], ["var(--z1)", 0])[0];

class Em extends Explorable {
  tries = {                                    // E after E changes nothing, nor does M after M
    e: ["E", s => ({ steps: Math.min(s.steps + 1 - s.steps % 2, STEPS) })],
    m: ["M", s => ({ steps: s.steps + s.steps % 2 })],
    both: ["both", s => ({ steps: Math.min(s.steps + 2, STEPS) })],
    good: ["good start", () => this.from(this.means)],
    worse: ["worse start", () => this.from(this.worse)],
    stuck: ["equal means", () => this.from(this.means.map(() => this.middle))],
    far: ["far point", () => this.from(this.means.with(0, this.far), this.points.with(-1, this.far))],
  };
  from(means, x = this.points) { return { at: [...means, ...x].flat(), steps: STEPS }; }
  initial() {
    for (const name of ["points", "means", "worse"])
      this[name] = pairs((this.getAttribute(name)?.match(/[^ ,]+/g) ?? []).map(Number));
    if (!this.worse.length) delete this.tries.worse;
    this.middle = [0, 1].map(j => mean(this.points.map(p => p[j])));
    this.half = 1.2 * Math.max(...this.points.flatMap(p => p.map((v, j) => Math.abs(v - this.middle[j]))));
    this.far = this.middle.map(v => v - 0.9 * this.half);
    return { at: [...this.means, ...this.points].flat(), which: 1, steps: +(this.getAttribute("steps") ?? 0) };
  }
  build() {
    const narrow = this.clientWidth < 480, S = this.side = narrow ? 360 : 400;
    const K = this.means.length, n = this.points.length;
    const [line, story] = this.boxes = narrow ? [[0, 390, 172, 150], [188, 390, 172, 150]]
      : [[418, 24, 222, 198], [418, 280, 222, 100]];
    const each = f => range(K).map(k => f(k + 1)).join(""), part = ([x, y, w, h], name, inside) =>
      `<svg x="${x}" y="${y}" width="${w}" height="${h}" class="${name}">${inside}</svg>`;
    const lines = ["mark", "before", "approx", "model"].map(name => `<path class="${name}"/>`).join("") + "<circle/>";
    const shape = '<path class="trail"/><g class="shape"><circle r="2"/><circle r="1"/><path d="M-1 0H1M0-1V1"/></g>';
    this.svg(narrow ? 360 : 640, narrow ? 560 : 400, part([0, 0, S, S], "plane",
      each(k => `<g class="z${k}">${shape}</g>`) +
      range(n).map(i => `<circle r="5.5" class="knob" data-item="${K + i + 1}"/>`).join("") +
      each(k => `<circle r="9" class="knob start" data-item="${k}"/>`) + '<circle r="12" class="ring"/>') +
      text(line[0], line[1] - 9, '<tspan class="model">log L</tspan> and its <tspan class="approx">bound</tspan>') +
      text(story[0], story[1] - 9, "after each half step") + part(line, "cut", lines) + part(story, "story", lines) +
      text(line[0] + line[2] / 2, line[1] + line[3] + 16, "along the M step", "tick") +
      [0, 10, 20, 30, 40].map(t => text(story[0] + 8 + t * (story[2] - 16) / 40, story[1] + story[3] + 16, t, "tick"))
        .join(""));
    this.readout = this.row("readout");
    this.buttons();
    this.row("sliders");
    this.slider("half steps:", 0, STEPS, s => s.steps, steps => ({ steps }), { step: 1 });
    this.slider("which point:", 1, K + n, s => s.which, which => ({ which }), { step: 1 });
    ["across:", "up:"].forEach((words, j) => this.slider(words, this.middle[j] - this.half, this.middle[j] + this.half,
      s => s.at[2 * s.which - 2 + j], v => ({ at: this.state.at.with(2 * this.state.which - 2 + j, v) })));
  }
  drag(knob, x, y) {
    const which = +knob.dataset.item, [u, v] = [x, this.side - y].map(v => (2 * v / this.side - 1) * this.half);
    return { which, at: this.state.at.toSpliced(2 * which - 2, 2, this.middle[0] + u, this.middle[1] + v) };
  }
  draw() {
    const { state, half, middle, side } = this, K = this.means.length, unit = side / half / 2;
    state.at = state.at.map((v, j) => clamp(v, middle[j % 2] - half, middle[j % 2] + half)); // a link may hold anything
    state.which = clamp(Math.round(state.which), 1, state.at.length / 2);
    const steps = state.steps = clamp(Math.round(state.steps), 0, STEPS), all = pairs(state.at), x = all.slice(K);
    const floors = floorsOf(x, 0.001), states = run(x, all.slice(0, K), floors, STEPS), [theta, q] = states[steps];
    const px = p => p.map((v, j) => side / 2 + (1 - 2 * j) * (v - middle[j]) * unit);
    theta.forEach(([, m, n, ...cov], k) => {
      const [large, small, turn] = eigen(...cov), size = [large, small].map(v => Math.sqrt(v) * unit);
      const transform = `translate(${px([m, n])}) rotate(${-turn * 180 / Math.PI}) scale(${size})`;
      this.set(`.z${k + 1} .shape`, { transform });
      this.set(`.z${k + 1} .trail`, { d: path(states.slice(0, steps + 1).map(([t]) => px(t[k].slice(1, 3)))) });
    });
    all.forEach((p, i) => {
      const [cx, cy] = px(p), color = i < K ? `var(--z${i + 1})` : mix(q[i - K]);
      this.set(`[data-item="${i + 1}"]`, { cx, cy, style: `fill: ${color}` });
      if (i + 1 === state.which) this.set(".ring", { cx, cy });
    });
    const gain = states.map(([t]) => logLikelihood(x, t)), low = states.map(([t, r]) => bound(x, r, t));
    const goal = logLikelihood(x, run(x, this.means, floors, STEPS)[STEPS][0]), top = Math.max(goal, ...gain);
    this.panel(".story ", range(STEPS + 1), { model: gain, approx: low, before: gain.map(() => goal) },
      [gain[0] - (top - gain[0]) / 4, top], steps, gain[steps], steps);
    const { s, now, next, still, ...curves } = cut(x, states, steps, floors, half);
    const known = curves.model.filter(Number.isFinite);
    const least = Math.min(known[0], low[steps], low[Math.max(steps - 1, 0)]);
    this.panel(".cut ", s, curves, [least, Math.max(...known)], now, gain[steps], next);
    const [l, b, gap] = [gain[steps], low[steps], Math.abs(gain[steps] - low[steps])].map(v => minus(v.toFixed(4)));
    this.readout.textContent = `${steps} half steps, ${still ? "nothing moves" : `${"EM"[steps % 2]} next`}. ` +
      `log L ${l}, bound ${b}, ${gap} nats a point apart. ` +
      `Weights ${theta.map(k => k[0].toFixed(2)).join(", ")}.`;
    this.figure.setAttribute("aria-label", `${x.length} points, ${K} components. ${this.readout.textContent}`);
    this.dataset.next = "em"[steps % 2];
  }
  panel(name, at, curves, [low, high], x, y, mark) {
    const [, , W, H] = this.boxes[+(name === ".story ")], px = v => 8 + (v - at[0]) / (at.at(-1) - at[0]) * (W - 16);
    const py = v => 10 + clamp((high - v) / (high - low + 1e-12), -1, 9) * (H - 20);
    for (const curve in curves) {
      const drawn = at.map((s, i) => [px(s), py(curves[curve][i])]).filter(([, v]) => Number.isFinite(v));
      this.set(name + "." + curve, { d: path(drawn) });
    }
    this.set(name + ".mark", { d: `M${px(mark)} 0V${H}` });
    this.set(name + "circle", { cx: px(x), cy: py(y) });
  }
}
customElements.define("gen-em", Em);
