// Chapter 05: a VAE for each β. The reader moves the code; beside it a real digit with its q(z | x), rate, distortion.
import { Explorable, clamp, path, range } from "./core.mjs";
import { distortion, encode, mlp, rate, scaled, sigmoid } from "./net.mjs";
import { framed, part, tiles, tradeoff } from "./panels.mjs";
import trained from "./variational.json" with { type: "json" };

const SPAN = 3.2, TILES = 11, FIRST = 38, SECOND = 1;      // codes reach from −SPAN to SPAN; two of the real digits
const nats = v => v.toFixed(2), decode = (model, z) => mlp(model.decoder, z).map(sigmoid);

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
    const own = JSON.parse(this.getAttribute("models") ?? "{}");
    const { digits, encoders, decoders, unit, ...rest } = { ...trained, ...own };
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
    const { px, svg } = tradeoff(curve, this.betas, this.curve), rings = '<circle r="1"/><circle r="2"/>';
    this.px = px;
    this.svg(narrow ? 360 : 640, narrow ? 560 : 400, part([0, 0, S, S], "plane",
      `<image class="map" width="${S}" height="${S}"/><g transform="translate(${S / 2} ${S / 2}) scale(${unit})">` +
      `<g class="prior">${rings}</g><g class="q">${rings}<path d="M-1 0H1M0-1V1"/></g></g><g class="codes">` +
      this.labels.map((k, i) => `<text data-digit="${i + 1}">${k}</text>`).join("") +
      '</g><circle r="9" class="knob"/>') + framed(made, "made", "decoded") + framed(real, "real", "") + svg);
    this.figure.onclick = ({ target: { dataset: { digit } } }) => digit && this.change({ digit: +digit });
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
  drag(knob, x, y) { return { z: [x, this.side - y].map(v => (2 * v / this.side - 1) * SPAN) }; }
  draw() {
    const { state, labels } = this;
    state.beta = this.nearest(state.beta > 0 ? state.beta : 1);                    // a link may hold anything
    state.digit = clamp(Math.round(state.digit), 1, labels.length);
    state.z = state.z.map(v => clamp(v, -SPAN, SPAN));
    const { beta, digit, z } = state, model = this.model(beta);
    const x = this.digits[digit - 1], q = model.codes[digit - 1];
    const place = ([u, v]) => [this.side / 2 + u * this.unit, this.side / 2 - v * this.unit], [cx, cy] = place(z);
    this.set(".knob", { cx, cy });
    this.set(".q", { transform: `translate(${q[0][0]} ${-q[0][1]}) scale(${q[1]})` });
    if (this.shown !== model) this.repaint(this.shown = model, place);
    this.figure.querySelectorAll("[data-digit]").forEach((word, i) => word.classList.toggle("on", i + 1 === digit));
    for (const [name, values] of [["made", decode(model, z)], ["real", x]])
      this.figure.querySelectorAll(`.${name} rect`).forEach((rect, i) => rect.setAttribute("fill-opacity", values[i]));
    const which = labels[digit - 1], [r, d] = this.curve[this.betas.indexOf(beta)];
    const own = (model.own ??= [])[digit] ??= [rate(q), distortion(model.decoder, q, x)];
    this.figure.querySelector("text.real").textContent = `a real ${which}`;
    const [u, v] = this.px([r, d]);
    this.set(".here", { cx: u, cy: v });
    this.set(".slope", { d: path([-99, 99].map(far => this.px([r + far, d - beta * far]))) });
    this.readout.innerHTML = `<span>β = ${beta}, mean of 360 test digits: rate ${nats(r)} + distortion ${nats(d)} = ` +
      `<b>${nats(r + d)}</b> nats.</span> <span>This ${which}: ${own.map(nats).join(" + ")} = ` +
      `${nats(own[0] + own[1])} nats, σ = ${q[1].map(nats).join(" and ")}.</span>`;
    const said = `Code plane, the digit decoded at the code, and a curve. ${this.readout.textContent}`;
    this.figure.setAttribute("aria-label", said);
  }
  repaint(model, place) {                      // another β: codes of the real digits, and the map under them
    model.codes.forEach(([mean], i) => {
      const [x, y] = place(mean);
      this.set(`[data-digit="${i + 1}"]`, { x, y });
    });
    this.set("svg .map", { href: tiles(z => decode(model, z), TILES, SPAN) });
  }
}
customElements.define("gen-variational", Variational);
