// Chapter 00: five questions to five models of the same points; who cannot answer goes grey and says why.
import { Explorable, clamp, path, short } from "./core.mjs";
import { MODELS, QUESTIONS, answer } from "./answers.mjs";
import trained from "./models.json" with { type: "json" };

const names = Object.keys(MODELS), keys = Object.keys(QUESTIONS), W = 300, H = 180;
const dotted = pairs => pairs.map(([x, y]) => `M${x.toFixed(1)} ${y.toFixed(1)}h0`).join("");

class Models extends Explorable {
  tries = {
    middle: ["in the middle", () => ({ question: "density", x: this.first.x, y: this.first.y })],
    hills: ["two hills", () => ({ question: "y", x: this.first.x })],
    around: ["turn it around", () => ({ question: "x", y: this.first.y })],
    draws: ["new draws", ({ seed }) => ({ question: "draw", seed: seed + 1 })],
  };
  initial() {
    this.models = { ...trained, ...JSON.parse(this.getAttribute("models") ?? "{}") };
    const { points, widths: [a, b] } = this.models, n = points.length;
    this.models.kernel = points.map(([x, y]) => [1 / n, x, y, a * a, 0, b * b]);
    this.box = [0, 1].map(axis => {
      const all = points.map(p => p[axis]), low = Math.min(...all), high = Math.max(...all), edge = (high - low) / 6;
      return [low - edge, high + edge];
    });
    const [x, y] = this.box.map(([low, high]) => +((low + high) / 2).toPrecision(2));
    return { question: "draw", x, y, seed: 1, asked: [1, 0, 0, 0, 0] };
  }
  build() {
    const [[left, right], [low, high]] = this.box;
    this.at = ([x, y]) => [(x - left) / (right - left) * W, (high - y) / (high - low) * H];
    const head = names.map((name, i) => `<th scope="col">${i + 1}<span> ${MODELS[name].title}</span></th>`).join("");
    const radio = key => `<label><input type="radio" name="${this.id}" value="${key}"> ${QUESTIONS[key].ask}</label>`;
    this.table = this.row("questions");
    this.table.innerHTML = `<table><tr><th scope="col">Ask</th>${head}</tr>` +
      keys.map(key => `<tr><th scope="row">${radio(key)}</th>${"<td></td>".repeat(5)}</tr>`).join("") + "</table>";
    this.table.onchange = event => this.change({ question: event.target.value });
    const panels = this.row("panels"), data = dotted(this.models.points.map(this.at));
    ["data", ...names].forEach((name, i) => {
      this.svg(W, H, `<path class="data" d="${data}"/>` +
        '<path class="thin"/><path class="dots"/><path class="thick"/><circle class="knob" r="6"/>');
      this.figure.setAttribute("aria-hidden", true);                               // the words below say it
      const panel = Object.assign(document.createElement("div"), { className: name });
      const title = i ? `<b>${i} ${MODELS[name].title}</b> <i>${MODELS[name].place}</i>` : "<b>the points</b>";
      panel.innerHTML = `${title}<p></p>`;
      panel.prepend(this.figure);
      panels.append(panel);
    });
    this.figure = panels;
    this.readout = this.row("readout");
    this.row("sliders");
    this.slider("x:", left, right, s => s.x, x => ({ x }));
    this.slider("y:", low, high, s => s.y, y => ({ y }));
    this.buttons();
  }
  drag(knob, px, py) {
    const [[left, right], [low, high]] = this.box;
    return { x: left + px / W * (right - left), y: high - py / H * (high - low) };
  }
  draw() {
    const { state, box, at } = this;
    if (!QUESTIONS[state.question]) state.question = "draw";                       // a link may hold anything
    [state.x, state.y] = [state.x, state.y].map((v, axis) => clamp(v, ...box[axis]));
    state.asked = state.asked.with(keys.indexOf(state.question), 1);
    const points = state.question !== "draw", [cx, cy] = at([state.x, state.y]);
    const data = points ? `x = ${short(state.x)}, y = ${short(state.y)}: drag the dot.`
      : `${this.models.points.length} observations, grey in all panels.`;
    for (const name of ["data", ...names]) {
      const found = name === "data" ? { words: data } : answer(name, this.models, box, state);
      this.set(`.${name} .dots`, { d: dotted((found.dots ?? []).map(at)) });
      for (const part of ["thin", "thick"])
        this.set(`.${name} .${part}`, { d: (found[part] ?? []).map(pairs => path(pairs.map(at))).join("") });
      this.set(`.${name} .knob`, { cx, cy, visibility: points ? "visible" : "hidden" });
      this.set(`.${name}`, { class: name + (found.no ? " no" : "") });
      this.figure.querySelector(`.${name} p`).textContent = found.no ?? found.words;
    }
    this.table.querySelectorAll("tr:has(td)").forEach((row, i) => {                // it fills as the reader asks
      row.className = keys[i] === state.question ? "on" : "";
      row.querySelector("input").checked = keys[i] === state.question;
      row.querySelectorAll("td").forEach((cell, j) => {
        const no = !this.models[names[j]] || names[j] in QUESTIONS[keys[i]].no;
        cell.className = cell.textContent = !state.asked[i] ? "?" : no ? "no" : "yes";
      });
    });
    const yes = this.table.querySelectorAll(".on .yes").length;
    this.readout.textContent = `${yes} of 5 answer. ${QUESTIONS[state.question].lesson}`;
  }
}
customElements.define("gen-models", Models);
