// Masked convolutions: which sites a stack of them sees, and which it can never see.
import { range } from "./core.mjs";

const OPEN = {                                 // of a tap so many rows up and columns to the right of the centre
  A: (up, right) => up > 0 || up === 0 && right < 0,
  B: (up, right) => up > 0 || up === 0 && right <= 0,
  left: (up, right) => up === 0 && right < 0,  // A and B on a kernel of one row
  here: (up, right) => up === 0 && right <= 0,
  above: up => up > 0,
  down: up => up >= 0,
  all: () => true,
};
/** Open taps [up, right] of a kernel that reaches `a` sites to each side, row by row. */
export const taps = (kind, a) => range((2 * a + 1) ** 2)
  .map(i => [a - Math.floor(i / (2 * a + 1)), i % (2 * a + 1) - a]).filter(tap => OPEN[kind](...tap));
/** Name; masks of the first and of later layers; the same of a second stack, which tells the first what it sees. */
export const STACKS = [
  ["masks A, B", ["A", "B"]],
  ["two stacks", ["left", "here"], ["above", "down"]],
  ["B only", ["B", "B"]],
  ["no mask", ["all", "all"]],
];
/** The sites of an n × n image that a set of sites reads, through taps `step` apart. */
const through = (sites, open, step, n) => new Set([...sites].flatMap(site => open
  .map(([up, right]) => [Math.floor(site / n) - step * up, site % n + step * right])
  .filter(at => at.every(v => v >= 0 && v < n)).map(([row, column]) => n * row + column)));

/** The sites on which the output at a site depends: the first layer has the kernel, `layers` more have side 3. */
export function field(n, site, { stack, kernel, layers, doubling }) {
  const [, own, rows] = STACKS[stack];
  let asked = new Set([site]), above = new Set();      // of the own stack, and of that of the rows above
  for (let l = layers; l >= 0; l--) {                  // back from the output
    const later = Math.min(l, 1), reach = l ? 1 : (kernel - 1) / 2, step = l && doubling ? 2 ** (l - 1) : 1;
    if (rows) above = through(new Set([...above, ...asked]), taps(rows[later], reach), step, n);
    asked = through(asked, taps(own[later], reach), step, n);
  }
  return new Set([...asked, ...above]);
}
/** Earlier sites: seen, not reached by so few layers, blind for any number; and what is seen but is not earlier. */
export function verdict(n, site, options) {
  const seen = field(n, site, options), ever = field(n, site, { ...options, layers: n, doubling: 0 });
  const sites = { seen: [], beyond: [], blind: [], leak: [] };
  for (const i of range(n * n)) {
    if (seen.has(i)) sites[i < site ? "seen" : "leak"].push(i);
    else if (i < site) sites[ever.has(i) ? "beyond" : "blind"].push(i);
  }
  return sites;
}
