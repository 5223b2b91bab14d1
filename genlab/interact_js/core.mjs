// What every explorable has: it starts when it comes near, native controls move it, its state is a link, it resets.
// A subclass has `initial()`, its first state (numbers, lists of numbers, strings), `build()`, which makes the controls and
// the figure once, `draw()`, which shows the state, and `tries`, {name: [text on the button, change of the state]}.
export class Explorable extends HTMLElement {
  connectedCallback() {                        // until then, the static figure inside stays
    if (this.live || this.seen) return;
    this.first = this.initial();
    const linked = () => this.read() && (this.wake(), this.redraw(), this.scrollIntoView({ block: "center" }));
    this.seen = new IntersectionObserver(([entry]) => entry.isIntersecting && this.wake(), { rootMargin: "300px" });
    this.seen.observe(this);
    addEventListener("hashchange", linked);
    linked();
  }
  wake() {
    if (this.live) return;
    this.seen.disconnect();
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
  try(name) { this.wake(); this.tries[name][1].call(this); this.redraw(); }
  reset() { this.state = structuredClone(this.first); this.redraw(); }

  // The address ends in #id?h=0.5&x=1,2,3 as soon as the state is not the first one.
  write() {
    const changed = Object.entries(this.state).filter(([k, v]) => String(v) !== String(this.first[k]));
    const text = changed.map(([k, v]) => `${k}=${[v].flat().map(u => typeof u === "number" ? +u.toPrecision(6) : u)}`);
    if (changed.length) history.replaceState(null, "", `#${this.id}?${text.join("&")}`);
    else if (location.hash.startsWith(`#${this.id}?`)) history.replaceState(null, "", `#${this.id}`);
  }
  read() {                                     // what does not have the type and length of the first state is ignored
    if (!this.hasAttribute("linked") || !location.hash.startsWith(`#${this.id}?`)) return false;
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
  row(name) { return this.append(this.group = Object.assign(document.createElement("div"), { className: name })); }
  slider(text, low, high, read, write, say = v => v.toPrecision(3), step = "any") {
    const label = document.createElement("label"), input = document.createElement("input"), shown = document.createElement("span");
    Object.assign(input, { type: "range", min: low, max: high, step });
    label.append(text, shown, input);
    input.oninput = () => { write(+input.value); this.redraw(); };
    this.views.push(() => { input.value = read(); shown.textContent = say(read()); input.setAttribute("aria-valuetext", say(read())); });
    this.group.append(label);
  }
  check(text, className, read, write) {
    const label = document.createElement("label"), input = Object.assign(document.createElement("input"), { type: "checkbox" });
    label.className = className;
    label.append(input, text);
    input.onchange = () => { write(input.checked); this.redraw(); };
    this.views.push(() => { input.checked = read(); });
    this.group.append(label);
  }
  buttons() {
    for (const [text, action] of [...Object.keys(this.tries).map(k => [this.tries[k][0], () => this.try(k)]), ["reset", () => this.reset()]]) {
      const button = Object.assign(document.createElement("button"), { type: "button", textContent: text, onclick: action });
      this.group.append(button);
    }
  }

  // Figure: SVG made from text, so that no namespace has to be named; `move(knob, x, y)` follows a dragged .knob.
  svg(label, width, height, content, move) {
    const holder = document.createElement("div");
    holder.innerHTML = `<svg viewBox="0 0 ${width} ${height}" role="img">${content}</svg>`;
    const svg = holder.firstChild;
    svg.setAttribute("aria-label", label);
    svg.onpointerdown = e => e.target.matches(".knob") && (e.preventDefault(), e.target.setPointerCapture(e.pointerId), this.redraw());
    svg.onpointermove = e => {
      if (!e.target.hasPointerCapture(e.pointerId)) return;
      const at = new DOMPoint(e.clientX, e.clientY).matrixTransform(svg.getScreenCTM().inverse());
      move(e.target, at.x, at.y);
      this.redraw();
    };
    this.append(svg);
    return svg;
  }
}

/** At most about `count` round numbers between low and high. */
export function ticks(low, high, count) {
  const raw = (high - low) / count, power = 10 ** Math.floor(Math.log10(raw)), step = power * [1, 2, 5, 10].find(m => m * power >= raw);
  return Array.from({ length: Math.floor(high / step) - Math.ceil(low / step) + 1 }, (_, i) => +((Math.ceil(low / step) + i) * step).toPrecision(12));
}
/** Path through [x, y] pairs. */
export const path = pairs => "M" + pairs.map(([x, y]) => `${x.toFixed(1)} ${y.toFixed(1)}`).join("L");

// Buttons in the prose: <button data-explorable="id" data-try="name">.
document.addEventListener("click", event => {
  const { explorable, try: name } = event.target.closest?.("button[data-try]")?.dataset ?? {}, figure = document.getElementById(explorable);
  if (!figure?.tries?.[name]) return;
  const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  figure.try(name);
  figure.scrollIntoView({ block: "nearest", behavior: calm ? "auto" : "smooth" });
});
