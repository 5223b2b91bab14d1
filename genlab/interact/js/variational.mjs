// Chapter 05: a VAE for each β. The reader moves the code; beside it a real digit with its posterior, rate and distortion.
import { Explorable, clamp, path, range, text, ticks } from "./core.mjs";
import { distortion, encode, mlp, rate, scaled, sigmoid } from "./net.mjs";
import trained from "./variational.json" with { type: "json" };

const SPAN = 3.2, TILES = 11, FIRST = 38, SECOND = 1;         // codes reach from −SPAN to SPAN; two of the real digits
const PIXELS = range(64).map(i => `<rect x="${i % 8}" y="${i >> 3}" width="1.02" height="1.02"/>`).join("");
const nats = v => v.toFixed(2), decode = (model, z) => mlp(model.decoder, z).map(sigmoid);
const part = ([x, y, w, h], name, inside, more = "") =>
  `<svg x="${x}" y="${y}" width="${w}" height="${h}" class="${name}" ${more}>${inside}</svg>`;
const framed = ([x, y, w, h], name, words) => text(x, y - 8, words, name) +
  `<rect x="${x}" y="${y}" width="${w}" height="${h}" class="frame"/>` + part([x, y, w, h], name, PIXELS, 'viewBox="0 0 8 8"');

class Variational extends Explorable {
  tries = {
    own: ["its own code", s => ({ z: this.model(s.beta).codes[s.digit - 1][0] })],
    half: ["half way", s => {
      const [p, q] = [FIRST, SECOND].map(i => this.model(s.beta).codes[i - 1][0]);
      return { digit: FIRST, z: p.map((v, j) => (v + q[j]) / 2) };
    }],
    least: ["smallest β", () => ({ beta: this.betas[0] })],
    one: ["β = 1", () => ({ beta: 1 })],
    most: ["largest β", () => ({ beta: this.betas.at(-1) })],
  };
  initial() {
    const { digits, encoders, decoders, unit, ...rest } = { ...trained, ...JSON.parse(this.getAttribute("models") ?? "{}") };
    this.digits = digits.map(row => [...row].map(v => parseInt(v, 17) / 16));
    this.models = encoders.map((net, i) => ({ encoder: scaled(net, unit), decoder: scaled(decoders[i], unit) }));
    Object.assign(this, rest);                                                     // betas, curve, labels
    return { z: [1, 0], beta: this.nearest(1), digit: FIRST, map: 1, codes: 1 };
  }
  nearest(beta) {
    const away = b => Math.abs(Math.log(b / beta));
    return this.betas.toSorted((a, b) => away(a) - away(b))[0];
  }
  model(beta) {
    const model = this.models[this.betas.indexOf(this.nearest(beta))];
    model.codes ??= this.digits.map(x => encode(model.encoder, x));
    return model;
  }
  build() {
    const narrow = this.clientWidth < 480, S = this.side = narrow ? 360 : 400, unit = this.unit = S / SPAN / 2;
    const [made, real, curve] = narrow ? [[0, 388, 72, 72], [0, 487, 72, 72], [116, 388, 244, 140]]
      : [[418, 24, 104, 104], [536, 24, 104, 104], [446, 172, 194, 188]];
    const rings = [1, 2].map(r => `<circle r="${r}"/>`).join("");
    this.svg(narrow ? 360 : 640, narrow ? 560 : 400, part([0, 0, S, S], "plane",
      `<image class="map" width="${S}" height="${S}"/><g transform="translate(${S / 2} ${S / 2}) scale(${unit})">` +
      `<g class="prior">${rings}</g><g class="q">${rings}<path d="M-1 0H1M0-1V1"/></g></g><g class="codes">` +
      this.labels.map((k, i) => `<text data-digit="${i + 1}">${k}</text>`).join("") + '</g><circle r="9" class="knob"/>') +
      framed(made, "made", "decoded") + framed(real, "real", "") + this.panel(curve));
    this.figure.addEventListener("click", e => e.target.dataset.digit && this.change({ digit: +e.target.dataset.digit }));
    this.readout = this.row("readout");
    this.checks({ map: "what codes decode to", codes: "codes of 60 real digits" });
    this.buttons();
    this.row("sliders");
    ["z₁:", "z₂:"].forEach((words, j) =>
      this.slider(words, -SPAN, SPAN, s => s.z[j], v => ({ z: this.state.z.with(j, v) })));
    this.choice("β:", this.betas, "beta", String);
    this.choice("real digit:", range(this.digits.length).map(i => i + 1), "digit", i => `${this.labels[i - 1]} (${i})`);
  }
  choice(words, values, key, name) {           // a slider through a list
    this.slider(words, 0, values.length - 1, s => values.indexOf(s[key]), i => ({ [key]: values[i] }), { step: 1 });
    const [shown, input] = this.group.lastChild.children;
    this.views.push(() => {
      shown.textContent = name(this.state[key]);
      input.setAttribute("aria-valuetext", shown.textContent);
    });
  }
  panel([x, y, w, h]) {                        // the curve; what changes with the state is drawn later
    const [rates, costs] = [0, 1].map(j => this.curve.map(point => point[j])), low = Math.min(...costs);
    const wide = 1.3 * Math.max(1, ...rates), tall = Math.max(1, Math.max(...costs) - low);
    this.px = ([r, d]) => [8 + r / wide * (w - 8), (0.85 - (d - low) / tall * 0.7) * h];
    const at = this.curve.map(this.px), dots = at.map(([u, v]) => `<circle cx="${u}" cy="${v}" r="3"/>`).join("");
    const betas = at.map(([u, v], i) => text(u + 6, v - 7, this.betas[i], "beta")).join("");
    return text(x, y - 10, "distortion against rate, nats") +
      part([x, y, w, h], "curve", `<path class="slope"/><path class="line" d="${path(at)}"/>${dots}<circle class="here" r="6"/>${betas}`) +
      ticks(0, 0.95 * wide, 4).map(r => text(x + this.px([r, low])[0], y + h + 15, r, "tick")).join("") +
      ticks(low, low + tall, 4).map(d => text(x - 5, y + this.px([0, d])[1] + 4, d, "tick up")).join("");
  }
  drag(knob, x, y) { return { z: [x, this.side - y].map(v => (2 * v / this.side - 1) * SPAN) }; }
  draw() {
    const { state, labels } = this;
    state.beta = this.nearest(state.beta > 0 ? state.beta : 1);                    // a link may hold anything
    state.digit = clamp(Math.round(state.digit), 1, labels.length);
    state.z = state.z.map(v => clamp(v, -SPAN, SPAN));
    const { beta, digit, z } = state, model = this.model(beta), x = this.digits[digit - 1], q = model.codes[digit - 1];
    const place = ([u, v]) => [this.side / 2 + u * this.unit, this.side / 2 - v * this.unit], [cx, cy] = place(z);
    this.set(".knob", { cx, cy });
    this.set(".q", { transform: `translate(${q[0][0]} ${-q[0][1]}) scale(${q[1]})` });
    if (this.shown !== model) this.repaint(this.shown = model, place);
    this.figure.querySelectorAll("[data-digit]").forEach((word, i) => word.classList.toggle("on", i + 1 === digit));
    for (const [name, values] of [["made", decode(model, z)], ["real", x]])
      this.figure.querySelectorAll(`.${name} rect`).forEach((pixel, i) => pixel.setAttribute("fill-opacity", values[i]));
    const which = labels[digit - 1], [r, d] = this.curve[this.betas.indexOf(beta)];
    const own = (model.own ??= [])[digit] ??= [rate(q), distortion(model.decoder, q, x)];
    this.figure.querySelector("text.real").textContent = `a real ${which}`;
    const [hx, hy] = this.px([r, d]);
    this.set(".here", { cx: hx, cy: hy });
    this.set(".slope", { d: path([-99, 99].map(far => this.px([r + far, d - beta * far]))) });
    this.readout.innerHTML = `<span>β = ${beta}, mean of 360 test digits: rate ${nats(r)} + distortion ${nats(d)} = ` +
      `<b>${nats(r + d)}</b> nats.</span> <span>This ${which}: ${own.map(nats).join(" + ")} = ` +
      `${nats(own[0] + own[1])} nats, σ = ${q[1].map(nats).join(" and ")}.</span>`;
    this.figure.setAttribute("aria-label", `Code plane, digit decoded at the code, and a curve. ${this.readout.textContent}`);
  }
  repaint(model, place) {                      // another β: codes of the real digits, and the map of what codes decode to
    model.codes.forEach(([mean], i) => {
      const [x, y] = place(mean);
      this.set(`[data-digit="${i + 1}"]`, { x, y });
    });
    const n = 9 * TILES, canvas = Object.assign(document.createElement("canvas"), { width: n, height: n });
    const image = new ImageData(n, n), at = i => (2 * (i + 0.5) / TILES - 1) * SPAN;
    for (const i of range(TILES)) for (const j of range(TILES))
      decode(model, [at(i), -at(j)]).forEach((v, k) =>
        image.data.set([127, 127, 127, 255 * v], 4 * (n * (9 * j + (k >> 3)) + 9 * i + k % 8)));
    canvas.getContext("2d").putImageData(image, 0, 0);
    this.set("svg .map", { href: canvas.toDataURL() });
  }
}
customElements.define("gen-variational", Variational);
