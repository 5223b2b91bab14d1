// A law p on whole numbers, tilted by e^{λf}. What is where p is 0 stays there.
import { clamp } from "./core.mjs";

/** Truth of "at least t", which softness lets rise from 0 at t − softness to 1 at t. */
export const truth = (x, t, softness) => x >= t ? 1 : softness ? clamp(1 + (x - t) / softness, 0, 1) : 0;
/** q ∝ p e^{λf}, log Z, E_q f and KL(q‖p) = λ E_q f − log Z. */
export function tilt(p, f, weight) {
  const top = Math.max(...f), w = p.map((v, i) => v * Math.exp(weight * (f[i] - top)));
  const sum = w.reduce((a, b) => a + b), q = w.map(v => v / sum), logZ = Math.log(sum) + weight * top;
  const expected = q.reduce((a, v, i) => a + v * f[i], 0);
  return { q, logZ, expected, kl: weight * expected - logZ };
}
/** The λ at which E_q f = bound, by bisection; `high` where none below it does. */
export function weightFor(p, f, bound, high) {
  let low = 0;
  for (let i = 0; i < 60; i++) {
    const middle = (low + high) / 2;
    if (tilt(p, f, middle).expected < bound) low = middle; else high = middle;
  }
  return high;
}
