// Chapter 07: what a stack of masked convolutions sees from a pixel; a PixelCNN that goes on from what is painted.
import { Explorable, clamp, minus, range, text } from "./core.mjs";
import { cells, crosses, front, squares } from "./grid.mjs";
import { STACKS, verdict } from "./masks.mjs";
import { part } from "./panels.mjs";
import { SIDE, SITES, complete, look, pixelcnn } from "./pixelcnn.mjs";
import { noise } from "./plane.mjs";
import trained from "./autoregressive.json" with { type: "json" };

const N = 16, DRAWS = 40;                      // sites a side on the left; completions behind what is expected
const LIMITS = { row: [1, N], column: [1, N], stack: [0, 3], kernel: [3, 7], layers: [0, 14], doubling: [0, 1],
  known: [0, SITES], kept: [0, SITES] };
const place = (site, n) => `row ${Math.floor(site / n) + 1}, column ${site % n + 1}`;
const uniforms = (seed, n) => noise(seed, n).map(([u]) => u);

/** The reader sets a pixel. What was drawn from there on is open again, what was open before it is paper. */
const painted = ({ image, known, kept }, i, value) => {
  const now = Math.max(kept, i + 1);
  return i < SITES ? { known: now, kept: now,
    image: image.map((v, j) => j === i ? value : j < Math.min(known, now) ? v : 0) } : {};
};

class Autoregressive extends Explorable {
  tries = {
    next: ["next pixel", s => this.drawn(s, s.known, Math.min(s.known + 1, SITES))],
    end: ["to the end", s => this.drawn(s, s.known)],
    again: ["again", s => this.drawn({ ...s, seed: s.seed + 1 }, s.kept)],
    ink: ["ink", s => painted(s, s.known, 1)],
    paper: ["paper", s => painted(s, s.known, 0)],
    deep: ["14 layers", () => ({ stack: 0, layers: 14, doubling: 0 })],
    doubling: ["doubling", () => ({ stack: 0, layers: 4, doubling: 1 })],
    two: ["two stacks", () => ({ stack: 1, layers: 14, doubling: 0 })],
  };
  initial() {
    const { image, ...model } = { ...trained, ...JSON.parse(this.getAttribute("model") ?? "{}") };
    this.model = pixelcnn(model);
    this.noise = range(DRAWS).map(i => uniforms(-1 - i, SITES));
    return { row: 12, column: 7, stack: 0, kernel: 3, layers: 4, doubling: 0,
      image: [...image].map(Number), known: 34, kept: 34, seed: 1 };
  }
  drawn({ image, seed }, from, to = SITES) {   // what lies behind stays, for the slider
    const { image: now } = complete(this.model, image, from, uniforms(seed, SITES));
    return { seed, known: to, image: image.map((v, i) => i < to ? now[i] : v) };
  }
  build() {
    const narrow = this.clientWidth < 480;
    const [field, image, bar] = narrow ? [[20, 20, 320, 320], [20, 372, 184, 184], [222, 470, 138, 20]]
      : [[0, 22, 376, 376], [404, 22, 236, 236], [404, 326, 236, 20]];
    const paths = names => names.map(name => `<path class="${name}"/>`).join(""), [x, y, w, h] = this.bar = bar;
    this.svg(narrow ? 360 : 640, narrow ? 560 : 400,
      text(field[0], field[1] - 8, "which pixels can the network see?") + part(field, "field",
        cells(N, "site") + paths(["seen", "beyond", "blind", "leak", "site", "cross"]), `viewBox="0 0 ${N} ${N}"`) +
      text(image[0], image[1] - 8, 'painted, <tspan class="drawn">drawn, expected</tspan>') + part(image, "image",
        cells(SIDE, "pixel") + paths(["front", "next"]), `viewBox="0 0 ${SIDE} ${SIDE}"`) +
      text(x, y - 28, "", "p") + text(x, y - 9, "paper", "tick left") + text(x + w, y - 9, "ink", "tick up") +
      part(bar, "bar", `<rect width="${w}" height="${h}"/><rect class="ink" height="${h}"/>`) +
      `<circle r="6" cy="${y + h / 2}"/>` + text(x, y + h + 16, "u", "tick u"));
    this.figure.onclick = ({ target: { dataset: { site, pixel } } }) => {
      if (site) this.change({ row: Math.floor(site / N) + 1, column: site % N + 1 });
      if (pixel) this.change(painted(this.state, +pixel, 1 - (pixel < this.state.known && this.state.image[pixel])));
    };
    for (const kind of ["pointerover", "pointerout"])  // a mouse also paints by dragging; a finger scrolls the page
      this.figure.addEventListener(kind, ({ target: { dataset: { pixel } }, buttons, pointerType }) =>
        pixel && buttons === 1 && pointerType === "mouse" && this.change(painted(this.state, +pixel, 1)));
    this.readout = this.row("readout");
    this.buttons();
    this.row("sliders");
    const slider = (words, key, say = String, step = 1) =>
      this.slider(words, ...LIMITS[key], s => s[key], v => ({ [key]: v }), { step, say });
    for (const key of ["row", "column"]) slider(`${key}:`, key);
    slider("stack:", "stack", i => STACKS[i][0]);
    slider("first kernel:", "kernel", k => `${k} × ${k}`, 2);
    slider("layers after it:", "layers");
    slider("dilation:", "doubling", on => on ? "1, 2, 4, …" : "1, 1, 1, …");
    this.slider("known pixels:", 0, SITES, s => s.known, known => ({ known, kept: known }), { step: 1 });
  }
  draw() {
    const { state: s, model } = this;                                              // a link may hold anything
    for (const key in LIMITS) s[key] = clamp(Math.round(s[key]), ...LIMITS[key]);
    Object.assign(s, { kernel: s.kernel | 1, kept: Math.min(s.kept, s.known), image: s.image.map(v => +(v > 0.5)) });
    const site = N * (s.row - 1) + s.column - 1, sites = verdict(N, site, s), shown = { ...sites, site: [site] };
    for (const name in shown) this.set(`path.${name}`, { d: squares(shown[name], N) });
    this.set("path.cross", { d: crosses([...sites.blind, ...sites.leak], N) });
    const { known, kept, image } = s, given = [model.offsets.length, ...image.slice(0, known)].join("");
    if (this.given !== given) Object.assign(this, { given, told: look(model, image, known, this.noise) });
    const { nats, p } = this.told, open = known < SITES, u = uniforms(s.seed, SITES)[known], [x, , w] = this.bar;
    this.figure.querySelectorAll("[data-pixel]").forEach((rect, i) => {
      rect.setAttribute("class", i < kept ? "painted" : i < known ? "drawn" : "expected");
      rect.setAttribute("fill-opacity", i < known ? image[i] : p[i - known]);
    });
    this.set("path.front", { d: front(known, SIDE) });
    this.set("path.next", { d: open ? squares([known], SIDE) : "" });
    this.set("rect.ink", open ? { x: w * (1 - p[0]), width: w * p[0] } : { width: 0 });
    for (const [mark, at] of [["circle", "cx"], [".u", "x"]]) this.set(mark, { [at]: open ? x + w * u : -99 });
    const next = open ? `p(ink) = ${p[0].toFixed(3)}` : "all pixels known";
    this.figure.querySelector(".p").textContent = next;
    const [seen, beyond, blind, leak] = Object.values(sites).map(list => list.length);
    const peeks = leak ? `; <b class="seen">seen, but not earlier: ${leak}</b>` : "";
    this.readout.innerHTML = `<span>Of ${site} earlier pixels <b class="seen">${seen} seen</b>, ${beyond} not ` +
      `reached, <b class="blind">${blind} in the blind spot</b>${peeks}.</span> <span>log p of the ${known} known ` +
      `pixels ${minus((-nats).toFixed(2))} nats; ${open ? `next, ${place(known, SIDE)}: ` : ""}${next}.</span>`;
    this.figure.setAttribute("aria-label", `Seen from ${place(site, N)}; an image. ${this.readout.textContent}`);
  }
}
customElements.define("gen-autoregressive", Autoregressive);
