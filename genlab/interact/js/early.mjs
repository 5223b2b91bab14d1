// Chapter 04: the Gibbs chain of a Boltzmann machine on digits, with any of the pixels held.
import { Explorable, clamp } from "./core.mjs";
import { squares } from "./grid.mjs";
import { ALL, COINS, KINDS, LOWER, NONE, OWN, UPPER } from "./holds.mjs";
import { kind, phase, site, sites, started, touched, walker } from "./holds.mjs";
import { boxes, panes, pictures, report } from "./panes.mjs";
import { SIDE, images, machine, moments, nearest, place } from "./rbm.mjs";
import { tinted } from "./scene.mjs";
import { energies, strip } from "./strip.mjs";
import trained from "./early.json" with { type: "json" };

const FIRST = 7, LONGEST = 500;                // the digit that it begins with; sweeps of a chain

class Early extends Explorable {
  tries = {
    one: ["sweep", s => ({ sweeps: s.sweeps + 1 })],
    ten: ["10 sweeps", s => ({ sweeps: s.sweeps + 10 })],
    hundred: ["100 sweeps", s => ({ sweeps: s.sweeps + 100 })],
    again: ["again", s => ({ seed: s.seed + 1 })],
    lower: ["lower half", s => this.begun(s, LOWER)],
    sleep: ["sleep", s => this.begun(s, NONE)],
    wake: ["wake", s => this.begun(s, ALL)],
    cold: ["T = 0.5", s => this.begun(s, NONE, 0.5)],
    hot: ["T = 2", s => this.begun(s, NONE, 2)],
  };
  initial() {
    const own = JSON.parse(this.getAttribute("model") ?? "{}"), all = images(trained.digits);
    const model = machine({ ...trained, ...own }), units = model.c.length;
    const data = all.map(x => place(model, x)), name = x => trained.labels[nearest(x, all)];
    const digits = trained.starts.map(i => all[i]);
    const norms = model.c.map((_, j) => Math.hypot(...model.W.map(row => row[j])));
    Object.assign(this, { model, units, data, name, digits, walk: walker(model) });
    this.limits = { temperature: [0.25, 4], start: [0, OWN], sweeps: [0, LONGEST],
      unit: [1, units], row: [1, SIDE], column: [1, SIDE], seed: [-1e9, 1e9] };
    return { start: FIRST, image: this.digits[FIRST], held: UPPER, sweeps: 100, temperature: 1,
      unit: norms.indexOf(Math.max(...norms)) + 1, row: 6, column: 5, seed: 1 };
  }
  begun({ start, image }, held, temperature = 1) {
    return { held, temperature, sweeps: 200, image: this.digits[start] ?? image };
  }
  touch(i, now) { this.change(touched(this.state, this.here(), i, now)); }
  here() { return this.state.sweeps ? this.places.at(-1).x : this.state.image; }
  build() {
    const narrow = this.clientWidth < 480;
    Object.assign(this, { boxes: boxes(narrow), side: Math.ceil(Math.sqrt(this.units)) });
    this.svg(narrow ? 360 : 640, narrow ? 560 : 400, panes(this.boxes, this.side));
    this.cells("unit").forEach((cell, j) => j < this.units || cell.remove());
    this.figure.onclick = ({ target: { dataset: { pixel, unit } } }) => {
      if (unit) this.change({ unit: +unit + 1 });
      if (pixel) this.touch(+pixel, (kind(this.state, +pixel) + 1) % 3);
    };
    for (const event of ["pointerover", "pointerout"]) // a mouse also paints by dragging
      this.figure.addEventListener(event, ({ target, buttons, pointerType }) =>
        target.dataset.pixel && buttons === 1 && pointerType === "mouse" &&
          this.touch(+target.dataset.pixel, 1));
    this.readout = this.row("readout");
    this.buttons();
    this.row("sliders");
    const slider = (words, key, how) => this.slider(`${words}:`, ...this.limits[key], s => s[key],
      v => key === "start" ? started(this.state, this.here(), v, this.digits) : { [key]: v },
      { step: 1, ...how });
    slider("sweeps", "sweeps");
    slider("start", "start", { say: i => ["coins", "as it stands"][i - COINS] ?? `a real ${i}` });
    slider("temperature T", "temperature", { log: true, step: 0, say: v => v.toFixed(2) });
    for (const key of ["unit", "row", "column"]) slider(key, key);
    this.slider("this pixel:", 0, 2, s => kind(s, site(s)), v => this.touch(site(this.state), v),
      { step: 1, say: i => KINDS[i] });
  }
  cells(name) { return this.figure.querySelectorAll(`[data-${name}]`); }
  draw() {
    const { state: s, limits, boxes: { trace, still }, figure } = this;
    for (const key in limits) s[key] = clamp(s[key], ...limits[key]);  // a link may hold anything
    for (const key of Object.keys(limits).slice(1)) s[key] = Math.round(s[key]);
    for (const key of ["image", "held"]) s[key] = s[key].map(v => +(v > 0.5));
    const { data, model: { W } } = this, places = this.places = this.walk(s), j = s.unit - 1;
    const { x, h } = places.at(-1), usual = data.reduce((sum, { F }) => sum + F / data.length, 0);
    for (const at of places) at.name ??= this.name(at.x);
    this.cells("pixel").forEach((cell, i) => {
      cell.setAttribute("fill-opacity", x[i]);
      cell.classList.toggle("drawn", !s.held[i]);
    });
    this.cells("unit").forEach((cell, i) => cell.setAttribute("fill-opacity", h?.[i] ?? 0));
    const marks = { ".holds": sites(s.held), ".image .site": [site(s)], ".units .site": [j] };
    for (const mark in marks)
      this.set(mark, { d: squares(marks[mark], mark === ".units .site" ? this.side : SIDE) });
    const [wake, here] = [data, places].map(list => moments(list, j));
    const shown = pictures(W.map(row => row[j]), wake, here, phase(s.held));
    for (const [name, [title, values]] of Object.entries(shown)) {
      figure.querySelector(`text.${name}`).textContent = title;
      this.set(`image.${name}`, { href: tinted(values, SIDE) });
    }
    figure.querySelector("image.chain").classList.toggle("neither", !phase(s.held));
    figure.querySelector(".parts").innerHTML = energies(trace, places.map(at => at.F), usual) +
      strip(still, places);
    const words = report(s, places, data, wake, here);
    this.readout.innerHTML = words.map(line => `<span>${line}</span>`).join(" ");
    figure.setAttribute("aria-label", `A chain of images. ${this.readout.textContent}`);
  }
}
customElements.define("gen-early", Early);
