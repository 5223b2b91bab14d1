// Chapter 06: a flow of couplings, from the base to the data. The reader moves a small square, and carries it along.
import { Explorable, clamp, linspace, minus, path, range, short, text } from "./core.mjs";
import { enlarged, shaded, story } from "./carried.mjs";
import { area, logBase, logDensity, numbered, origin, square, stops } from "./couplings.mjs";
import { part } from "./panels.mjs";
import trained from "./flows.json" with { type: "json" };

const REACH = 2.5, EDGE = 60, LEAST = 0.05, MOST = 0.8;      // the base's grid; points an edge; sides of the square
const LINES = linspace(-REACH, REACH, 11).flatMap(c =>
  [0, 1].map(j => linspace(-REACH, REACH, 101).map(t => j ? [t, c] : [c, t])));

class Flows extends Explorable {
  tries = {
    next: ["one more", s => ({ steps: s.steps + 1 })],
    base: ["base", () => ({ steps: 0 })],
    data: ["data", s => ({ steps: this.flow(s).layers.length })],
    affine: ["affine", () => ({ kind: 0 })],
    additive: ["additive", () => ({ kind: 1 })],
    gap: ["gap", s => ({ z: [-0.7, -0.4], steps: this.flow(s).layers.length })],
    small: ["small", () => ({ side: LEAST })],
  };
  initial() {
    const own = this.getAttribute("flows"), { unit, ...flows } = own ? JSON.parse(own) : trained;
    this.flows = Object.entries(flows).map(([name, { span, layers }]) =>
      ({ name, span, layers: numbered(layers, unit), maps: [] }));
    if (own) for (const name of ["affine", "additive", "gap"]) delete this.tries[name];
    return { z: [-0.8, -1.3], side: 0.3, kind: 0, steps: this.flows[0].layers.length, map: 1, grid: 1, trail: 1 };
  }
  flow({ kind }) { return this.flows[kind]; }
  build() {
    const narrow = this.clientWidth < 480, S = this.size = narrow ? 360 : 400, K = this.flows[0].layers.length;
    this.boxes = narrow ? [[0, 390, 150, 150], [196, 390, 164, 150]] : [[418, 24, 222, 186], [446, 246, 194, 134]];
    const [near, far] = this.boxes, paths = ["grid", "trail", "start", "square"].map(name => `<path class="${name}"/>`);
    this.svg(narrow ? 360 : 640, narrow ? 560 : 400, part([0, 0, S, S], "plane",
      `<image class="map" width="${S}" height="${S}"/>${paths.join("")}` +
      `<rect width="${S}" height="${S}" class="frame"/><circle r="9" class="knob"/>`) +
      text(near[0], near[1] - 8, "the square, enlarged") +
      text(far[0] - 28, far[1] - 8, '<tspan class="square">log area</tspan> and <tspan class="det">log det</tspan>') +
      '<g class="parts"></g>');
    this.readout = this.row("readout");
    this.checks({ map: "density", grid: "grid of the base", trail: "way of the centre" });
    this.buttons();
    this.row("sliders");
    this.slider("layers applied:", 0, K, s => s.steps, steps => ({ steps }), { step: 1 });
    ["z₁:", "z₂:"].forEach((words, j) =>
      this.slider(words, -REACH, REACH, s => s.z[j], v => ({ z: this.state.z.with(j, v) })));
    this.slider("side:", LEAST, MOST, s => s.side, side => ({ side }));
  }
  drag(knob, x, y) {                           // the knob is where the layers have brought the centre
    const { span, layers } = this.flow(this.state);
    const at = [x, this.size - y].map(v => (2 * v / this.size - 1) * span);
    return { z: origin(layers.slice(0, this.state.steps), at)[0] };
  }
  draw() {
    const { state, size: S } = this;
    state.kind = clamp(Math.round(state.kind), 0, this.flows.length - 1);            // a link may hold anything
    const flow = this.flow(state), { layers, span, name } = flow, K = layers.length;
    const k = state.steps = clamp(Math.round(state.steps), 0, K), side = state.side = clamp(state.side, LEAST, MOST);
    const z = state.z = state.z.map(v => clamp(v, -REACH, REACH));
    const px = ([x, y]) => [(1 + x / span) * S / 2, (1 - y / span) * S / 2];
    flow.lines ??= LINES.map(line => line.map(p => stops(layers, p)));
    flow.maps[k] ??= shaded(x => Math.exp(logDensity(layers.slice(0, k), x)), span);
    const way = stops(layers, z), edge = square(z, side, EDGE).map(p => stops(layers, p).map(([x]) => x));
    const ratios = range(K + 1).map(i => area(edge.map(p => p[i])) / side ** 2), now = edge.map(p => p[k]);
    const [centre, logDet] = way[k], [cx, cy] = px(centre), before = Math.exp(logBase(z));
    if (this.shown !== flow.maps[k]) {         // another flow, or another number of layers
      this.set(".map", { href: this.shown = flow.maps[k] });
      this.set("path.grid", { d: flow.lines.map(line => path(line.map(p => px(p[k][0])))).join("") });
    }
    this.set("path.trail", { d: path(way.slice(0, k + 1).map(([p]) => px(p))) });
    this.set(".plane .start", { d: path(square(z, side, 1).map(px)) + "Z" });
    this.set(".plane .square", { d: path(now.map(px)) + "Z" });
    this.set(".knob", { cx, cy });
    this.figure.querySelector(".parts").innerHTML =
      enlarged(this.boxes[0], square([0, 0], side, 1), now.map(p => p.map((v, j) => v - centre[j]))) +
      story(this.boxes[1], way.map(([, s]) => s), ratios.map(Math.log), k);
    const layered = `${k} of ${K} ${this.flows.length > 1 ? `${name} ` : ""}layers`;
    const product = (ratios[k] * Math.exp(-logDet)).toFixed(4);
    this.readout.innerHTML = `<span>${layered}: area ${short(ratios[k])} of the start’s, log det ` +
      `${minus(logDet.toFixed(3))}, area × exp(−log det) <b>${product}</b>.</span> ` +
      `<span>Density at the centre: ${short(before)} in the base, ${short(before * Math.exp(-logDet))} here.</span>`;
    this.figure.setAttribute("aria-label", `A small square that a flow carries along. ${this.readout.textContent}`);
    this.dataset.kind = name;
  }
}
customElements.define("gen-flows", Flows);
