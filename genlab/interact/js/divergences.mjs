// Chapter 02: five divergences of a mixture p of two normals and a normal q, which goes downhill on one.
import { Explorable, clamp, minus, path, short, text, ticks } from "./core.mjs";
import { FIVE, descend, measure } from "./five.mjs";

class Divergences extends Explorable {
  tries = {
    cover: ["KL(p‖q) covers", () => this.fit("kl")], choose: ["KL(q‖p) chooses", () => this.fit("reverse_kl")],
    far: ["far apart", () => ({ ...this.first, chosen: "js", gap: this.first.gap / 3, mean: this.far })],
  };
  initial() {
    const [[weight], [left, right], sds, [mean], [sd]] = ["weights", "means", "sds", "mean", "sd"]
      .map(name => this.getAttribute(name).split(" ").map(Number));
    const gap = right - left, c = left + gap / 2, wide = gap / 2 + 7 * Math.max(...sds);
    const limits = { gap: [0, wide], weight: [0, 1], mean: [c - wide, c + wide], sd: [wide / 25, wide] };
    Object.assign(this, { sds, c, limits, far: c + 0.9 * wide, tall: 0.5 / Math.max(...sds) });
    return { gap, weight, mean, sd, chosen: "kl" };
  }
  p({ gap: d, weight: w }) { return { weights: [w, 1 - w], means: [-.5, .5].map(s => this.c + s * d), sds: this.sds }; }
  fit(chosen) { return { ...this.first, chosen, ...descend(chosen, this.p(this.first), this.first, 400) }; }
  change(entries) { cancelAnimationFrame(this.moving); super.change(entries); }
  go(steps) {                                  // one step a frame, or all at once for who wants no motion
    const at = matchMedia("(prefers-reduced-motion: reduce)").matches ? steps : 1;
    this.change(descend(this.state.chosen, this.p(this.state), this.state, at));
    if (steps > at) this.moving = requestAnimationFrame(() => this.go(steps - at));
  }
  build() {
    const W = this.clientWidth < 480 ? 360 : 640, [low, high] = this.limits.mean, unit = (W - 24) / (high - low);
    Object.assign(this, { px: v => 12 + (v - low) * unit, at: x => clamp(low + (x - 12) / unit, low, high) });
    this.svg(W, 300, text(12, 12, 'densities <tspan class="p">p</tspan> and <tspan class="q">q</tspan>') +
      '<path class="p"/><path class="q"/><path class="plus"/><path class="minus"/>' + text(12, 204, "", "formula") +
      `<path class="axis" d="M12 168H${W - 12}M12 274H${W - 12}"/>` +
      ticks(low, high, W / 80).map(v => text(this.px(v), 184, minus(v), "tick")).join("") +
      '<path class="pull"/><circle r="8" class="knob side"/><circle r="8" class="knob ball"/>');
    this.row("five").innerHTML = "<p><span>value</span><span>|gradient|</span></p>" + Object.keys(FIVE).map(name =>
      `<label class="${name}"><input type="radio" name="${this.id}" value="${name}"><span>${FIVE[name][0]}</span>` +
      `<span class="bar"><i></i><b>${FIVE[name][2]}</b></span><output></output><output></output></label>`).join("") +
      '<button type="button" value="1">one step down</button> <button type="button" value="40">40 steps down</button>';
    this.group.onchange = e => this.change({ chosen: e.target.value });
    this.group.onclick = e => { if (e.target.matches("button")) this.go(+e.target.value); };
    this.row("sliders");
    for (const [k, words] of [["gap", "gap of p"], ["weight", "left weight"], ["mean", "mean of q"], ["sd", "sd of q"]])
      this.slider(`${words}:`, ...this.limits[k], s => s[k], v => ({ [k]: v }), { log: k === "sd" });
    this.buttons();
  }
  drag(knob, x) {
    return knob.matches(".ball") ? { mean: this.at(x) } : { sd: Math.abs(this.at(x) - this.state.mean) };
  }
  draw({ state, px, limits } = this) {
    for (const k in limits) state[k] = clamp(state[k], ...limits[k]);          // a link may hold anything
    if (!FIVE[state.chosen]) state.chosen = "kl";
    const p = this.p(state), five = Object.keys(FIVE).map(name => [name, measure(name, p, state)]);
    for (const [name, { value, gradient }] of five) {
      const [input, bar, ...numbers] = this.querySelectorAll(`.${name} :is(input, i, output)`);
      input.checked = name === state.chosen;
      bar.style.width = `${Math.min(value / 3, 1) * 100}%`;
      [value, Math.hypot(...gradient)].forEach((v, i) => numbers[i].textContent = v < 100 ? v.toFixed(3) : short(v));
    }
    const { t, logs: [a, b], integrand, value, gradient: [g] } = Object.fromEntries(five)[state.chosen];
    const py = v => 168 - Math.min(v / this.tall, 0.95) * 152, line = (y, f) => path(t.map((x, i) => [px(x), y(f(i))]));
    const top = Math.max(...integrand, -3 * Math.min(...integrand), this.tall / 4), iy = v => 274 - v / top * 64;
    const x = px(state.mean), [y, side] = [0, 0.5].map(z => py(Math.exp(-z) / state.sd / Math.sqrt(2 * Math.PI)));
    const pull = clamp(-60 * g, -60, 60), head = clamp(pull, -8, 8);
    const drawn = { p: line(py, i => Math.exp(a[i])), q: line(py, i => Math.exp(b[i])),
      plus: line(iy, i => Math.max(integrand[i], 0)), minus: line(iy, i => Math.min(integrand[i], 0)),
      pull: `M${x} ${y}h${pull}m${-head} -6l${head} 6l${-head} 6` };
    for (const name in drawn) this.set(`path.${name}`, { d: drawn[name] });
    this.set(".ball", { cx: x, cy: y });
    this.set(".side", { cx: px(state.mean + state.sd), cy: side });
    const [words, formula] = FIVE[state.chosen], said = `${formula}, integral ${words} = ${value.toFixed(3)}`;
    this.figure.ariaLabel = this.figure.querySelector(".formula").textContent = said;
  }
}
customElements.define("gen-divergences", Divergences);
