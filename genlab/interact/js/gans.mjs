// Chapter 08: a GAN in the plane that trains in the page, step by step; beside it the smallest one, the Dirac-GAN.
import { Explorable, clamp, path, short, text } from "./core.mjs";
import { factor, way } from "./dirac.mjs";
import { GRAIN, LAWS, LOSSES, SETTINGS, SPAN, field, given, longer, look, played, shades, warped } from "./game.mjs";
import { part } from "./panels.mjs";
import { arrow, curve, dots, tinted } from "./scene.mjs";

const PULL = 0.4, LONGEST = 0.25;              // an arrow is PULL times the slope, and no longer than this
const FAR = 1.6, STEPS = 200;                  // the plane of the Dirac-GAN, and its steps
const NAMES = ["non-saturating", "saturating", "Wasserstein"];

class Gans extends Explorable {
  tries = {
    one: ["step", s => this.more(s, 1)],
    ten: ["10 steps", s => this.more(s, 10)],
    hundred: ["100 steps", s => this.more(s, 100)],
    start: ["to step 0", () => ({ story: "" })],
    ahead: ["D ahead", () => ({ data: 0, loss: 1, k: 20, dRate: 0.02, gRate: 0.001, story: "30_1_20_0.02_0.001" })],
    other: ["other loss", s => ({ loss: +!s.loss })],
    few: ["G ahead", () => ({ data: 0, loss: 0, k: 1, dRate: 0.003, gRate: 0.03, story: "240_0_1_0.003_0.03" })],
    slow: ["small η", () => ({ loss: 0, eta: 0.1, gamma: 0, start: 0.3 })],
    rest: ["penalty", () => ({ loss: 0, eta: 0.5, gamma: 0.5, start: 0.3 })],
  };
  initial() {
    const own = this.getAttribute("points")?.split(" ").map(pair => pair.split(",").map(Number));
    this.laws = Object.entries({ ...(own && { "your points": given(own) }), ...LAWS });
    this.limits = { ...SETTINGS, data: [0, this.laws.length - 1], eta: [0.01, 1], gamma: [0, 2], start: [-1.5, 1.5] };
    return { data: 0, loss: 0, k: 1, dRate: 0.02, gRate: 0.005, story: "250_0_1_0.02_0.005",
      eta: 0.5, gamma: 0, start: 0.3, field: 1, warped: 1, pulls: 1 };
  }
  more(s, n) { return { story: longer(s.story, n, [s.loss, s.k, s.dRate, s.gRate]) }; }
  build() {
    const narrow = this.clientWidth < 480, S = this.size = narrow ? 360 : 400;
    const [plane, radius] = this.boxes = narrow ? [[0, 388, 152, 152], [196, 388, 150, 148]]
      : [[424, 24, 216, 216], [458, 274, 168, 104]];
    const [x, y, side] = plane, frame = w => `<rect width="${w}" height="${w}" class="frame"/>`;
    this.svg(narrow ? 360 : 640, narrow ? 560 : 400, part([0, 0, S, S], "plane",
      `<image class="field" width="${S}" height="${S}"/>` +
      ["warped", "data", "draws", "pulls"].map(name => `<path class="${name}"/>`).join("") + frame(S)) +
      text(x, y - 8, "Dirac-GAN") + part(plane, "dirac", frame(side) +
        `<path class="axis" d="M0 ${side / 2}h${side}M${side / 2} 0v${side}"/><path class="way"/>` +
        text(side - 16, side / 2 - 6, "ψ") + text(side / 2 + 6, 16, "θ") +
        '<circle class="end" r="4"/><circle class="knob" r="8"/>') +
      text(radius[0] - 34, radius[1] - 8, "its radius, step by step") + '<g class="parts"></g>');
    this.readout = this.row("readout");
    this.buttons();
    this.checks({ field: "D as a field", warped: "G’s grid", pulls: "arrows" });
    this.row("sliders");
    const slider = (words, key, how) => this.slider(words, ...this.limits[key], s => s[key], v => ({ [key]: v }), how);
    const log = { log: true, say: v => String(+v.toPrecision(2)) };
    slider("data:", "data", { step: 1, say: i => this.laws[i][0] });
    slider("loss:", "loss", { step: 1, say: i => NAMES[i] });
    slider("rate of D:", "dRate", log);
    slider("rate of G:", "gRate", log);
    slider("k, steps of D:", "k", { step: 1 });
    slider("η:", "eta");
    slider("γ:", "gamma");
    slider("start ψ:", "start");
  }
  drag(knob, x) {
    const [left, , side] = this.boxes[0];
    return { start: (2 * (x - left) / side - 1) * FAR };
  }
  draw() {
    const { state: s, size: S } = this, px = ([x, y]) => [(1 + x / SPAN) * S / 2, (1 - y / SPAN) * S / 2];
    for (const key in this.limits) s[key] = clamp(s[key], ...this.limits[key]);    // a link may hold anything
    for (const key of ["data", "loss", "k"]) s[key] = Math.round(s[key]);
    const [name, law] = this.laws[s.data], loss = LOSSES[s.loss];
    const game = this.game = played(law, s.story, this.game);
    const { data, draws, slopes, lengths, means, median, found } = look(game, loss);
    const unit = lengths.map(length => Math.min(PULL, LONGEST / length) * S / (2 * SPAN));
    this.set("image", { href: tinted(shades(field(game.D), loss), GRAIN) });
    this.set("path.warped", { d: warped(game.G).map(line => path(line.map(px))).join("") });
    for (const [kind, places] of [["data", data], ["draws", draws]]) this.set(`.${kind}`, { d: dots(places.map(px)) });
    this.set("path.pulls", { d: slopes.map(([u, v], m) => arrow(px(draws[m]), [u * unit[m], -v * unit[m]])).join("") });
    const counted = found && `; ${found.modes} of ${law.centres.length} modes, ` +
      `${Math.round(100 * found.quality)} % of the draws within three standard deviations`;
    this.readout.innerHTML = `<span>Step ${game.steps.length}${game.over}: mean of D ${short(means[0])} on data, ` +
      `${short(means[1])} on draws; median arrow <b>${short(median)}</b>${counted ?? ""}.</span> ` +
      `<span>${this.dirac(s, loss)}</span>`;
    this.figure.setAttribute("aria-label", `A GAN on ${name}, and a Dirac-GAN. ${this.readout.textContent}`);
  }
  dirac({ start, eta, gamma }, loss) {         // draws it, and says it
    const [[, , side], box] = this.boxes, states = way([start, 0], STEPS, loss, eta, gamma);
    const radii = states.map(state => Math.hypot(...state));
    const at = states.map(([psi, theta]) => [(1 + psi / FAR) * side / 2, (1 - theta / FAR) * side / 2]);
    this.set(".dirac .way", { d: path(at) });
    [".knob", ".end"].forEach((mark, i) => this.set(mark, { cx: at.at(-i)[0], cy: at.at(-i)[1] }));
    this.figure.querySelector(".parts").innerHTML = curve(box, radii);
    const [first, last] = [radii[0], radii.at(-1)].map(radius => radius.toFixed(3));
    return `Dirac-GAN: radius ${first}, after ${STEPS} steps <b>${last}</b>; near (0, 0) a step multiplies it by ` +
      `<b>${factor(loss, eta, gamma).toFixed(6)}</b>.`;
  }
}
customElements.define("gen-gans", Gans);
