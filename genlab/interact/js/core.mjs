// What every explorable has: it starts when it comes near, native controls move it, its state is a link, it resets.
// A subclass has `initial()`, its first state (numbers, lists of numbers, strings), `build()`, which makes figure and
// controls once, `draw()`, which shows `this.state`, and `tries`, {name: [words on the button, state => change]}.
// A control gives a change: an object whose entries replace those of the state.
export class Explorable extends HTMLElement {
  connectedCallback() {                        // until it starts, the static figure inside stays
    if (this.seen) return;
    this.seen = new IntersectionObserver(([entry]) => entry.isIntersecting && this.wake(), { rootMargin: "300px" });
    this.seen.observe(this);
    const linked = () => this.read() && (this.wake(), this.redraw(), this.scrollIntoView({ block: "center" }));
    addEventListener("hashchange", linked);
    linked();
    document.addEventListener("click", event => {   // <button data-explorable="id" data-try="name"> in the prose
      const { explorable, try: name } = event.target.closest?.("button[data-try]")?.dataset ?? {};
      if (explorable !== this.id || !this.tries[name]) return;
      this.try(name);
      const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
      this.scrollIntoView({ block: "nearest", behavior: calm ? "auto" : "smooth" });
    });
  }
  wake() {
    if (this.live) return;
    this.seen.disconnect();
    this.first ??= this.initial();
    Object.assign(this, { live: true, views: [], state: this.state ?? structuredClone(this.first) });
    this.replaceChildren();
    this.build();
    this.paint();
  }
  paint() { this.draw(); for (const view of this.views) view(); }
  redraw() {                                   // at most once a frame, however many events there are
    this.frame ??= requestAnimationFrame(() => { this.frame = null; this.paint(); });
    clearTimeout(this.timer);
    if (this.hasAttribute("linked")) this.timer = setTimeout(() => this.write(), 400);
  }
  change(entries) { Object.assign(this.state, entries); this.redraw(); }
  try(name) { this.wake(); this.change(this.tries[name][1](this.state)); }

  // The address ends in #id?h=0.5&x=1,2,3 as soon as the state is not the first one.
  write() {
    const changed = Object.entries(this.state).filter(([k, v]) => String(v) !== String(this.first[k]));
    const text = changed.map(([k, v]) => `${k}=${[v].flat().map(u => typeof u === "number" ? +u.toPrecision(6) : u)}`);
    if (changed.length) history.replaceState(null, "", `#${this.id}?${text.join("&")}`);
    else if (location.hash.startsWith(`#${this.id}?`)) history.replaceState(null, "", `#${this.id}`);
  }
  read() {                                     // what does not have the type and length of the first state is ignored
    if (!this.hasAttribute("linked") || !location.hash.startsWith(`#${this.id}?`)) return false;
    this.first ??= this.initial();
    const given = new URLSearchParams(location.hash.slice(this.id.length + 2)), state = structuredClone(this.first);
    for (const [k, v] of given) {
      if (typeof state[k] === "string") state[k] = v;
      const numbers = v.split(",").map(Number), old = [state[k]].flat();
      if (typeof old[0] !== "number" || numbers.length !== old.length || !numbers.every(Number.isFinite)) continue;
      state[k] = Array.isArray(state[k]) ? numbers : numbers[0];
    }
    this.state = state;
    return true;
  }

  // Controls: all native, all labelled.
  row(name) {
    this.append(this.group = Object.assign(document.createElement("div"), { className: name }));
    return this.group;
  }
  slider(words, low, high, read, change, { log = false, step = 0, say = step ? String : short } = {}) {
    const [to, from] = log ? [Math.log, Math.exp] : [Number, Number], fine = (to(high) - to(low)) / 200;
    const label = document.createElement("label"), shown = document.createElement("span");
    const input = document.createElement("input");
    Object.assign(input, { type: "range", min: to(low), max: to(high), step: step || fine });
    label.append(`${words} `, shown, input);
    input.oninput = () => this.change(change(from(input.value)));
    this.views.push(() => {
      const value = read(this.state);
      input.value = to(value);
      shown.textContent = say(value);
      input.setAttribute("aria-valuetext", shown.textContent);
    });
    this.group.append(label);
  }
  checks(words) {                              // {key: words} switches state[key], and what has the key as its class
    this.row("checks");
    for (const key in words) {
      const label = Object.assign(document.createElement("label"), { className: key });
      const input = Object.assign(document.createElement("input"), { type: "checkbox" });
      label.append(input, words[key]);
      input.onchange = () => this.change({ [key]: +input.checked });
      this.views.push(() => {
        input.checked = this.state[key];
        this.figure.querySelector(`.${key}`).classList.toggle("off", !input.checked);
      });
      this.group.append(label);
    }
  }
  buttons() {
    const row = this.row("tries"), button = (textContent, onclick) =>
      row.append(Object.assign(document.createElement("button"), { type: "button", textContent, onclick }));
    for (const name in this.tries) button(this.tries[name][0], () => this.try(name));
    button("reset", () => this.change(structuredClone(this.first)));
  }

  // Figure: SVG from text, so that no namespace has to be named. `drag(knob, x, y)` of a .knob gives a change.
  svg(width, height, content) {
    const holder = document.createElement("div");
    holder.innerHTML = `<svg viewBox="0 0 ${width} ${height}" role="img">${content}</svg>`;
    const svg = holder.firstChild;
    svg.onpointerdown = e => {
      if (e.target.matches(".knob")) e.target.setPointerCapture(e.pointerId);
    };
    svg.onpointermove = e => {
      if (!e.target.hasPointerCapture(e.pointerId)) return;
      const at = new DOMPoint(e.clientX, e.clientY).matrixTransform(svg.getScreenCTM().inverse());
      this.change(this.drag(e.target, at.x, at.y));
    };
    this.append(this.figure = svg);
  }
  set(selector, attributes) {
    for (const name in attributes) this.figure.querySelector(selector).setAttribute(name, attributes[name]);
  }
}

export const clamp = (v, low, high) => Math.min(Math.max(v, low), high);
/** Path through [x, y] pairs. */
export const path = pairs => "M" + pairs.map(([x, y]) => `${x.toFixed(1)} ${y.toFixed(1)}`).join("L");
export const minus = words => String(words).replaceAll("-", "−");
export const text = (x, y, words, name = "") => `<text x="${x}" y="${y}" class="${name}">${words}</text>`;
export const short = v => minus(Math.abs(v) < 1000 ? v.toPrecision(3) : Math.round(v));
export const range = n => [...Array(n).keys()];
export const linspace = (low, high, n) => range(n).map(i => low + i / (n - 1) * (high - low));
/** Round numbers between low and high, at most about `count`. */
export function ticks(low, high, count) {
  const raw = (high - low) / count, power = 10 ** Math.floor(Math.log10(raw));
  const step = power * [1, 2, 5, 10].find(m => m * power >= raw), first = Math.ceil(low / step);
  return range(100).map(i => +((first + i) * step).toPrecision(12)).filter(v => v <= high);
}
/** 1, 2 and 5 times the powers of ten between low and high. */
export const logTicks = (low, high) =>
  range(31).flatMap(e => [1, 2, 5].map(m => +`${m}e${e - 15}`)).filter(v => v >= low && v <= high);
/** Where f is largest: the best of `at`, then a golden section between its neighbours; at[0] if that is best. */
export function maximise(f, at) {
  const values = at.map(f), top = values.indexOf(Math.max(...values)), golden = (Math.sqrt(5) - 1) / 2;
  if (top === 0) return { values, x: at[0] };
  let a = at[top - 1], b = at[Math.min(top + 1, at.length - 1)];
  for (let i = 0; i < 26; i++) {
    const c = b - golden * (b - a), d = a + golden * (b - a);
    if (f(c) > f(d)) b = d; else a = c;
  }
  return { values, x: (a + b) / 2 };
}
