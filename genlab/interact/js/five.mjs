// Five divergences of a mixture p of two normals and a normal q on the line, their gradients, and the way down.
import { linspace, range } from "./core.mjs";

const { abs, exp, log, max, min, sign } = Math;
const half = (a, b) => exp(a) * (a - max(a, b) - log((1 + exp(-abs(a - b))) / 2)) / 2;          // ½ p log(p/m)
/** Words, formula, limit; the integrand of a = log p and b = log q (of F and G for W₁), and its derivative by b. */
export const FIVE = {
  kl: ["KL(p‖q)", "p log(p/q)", "", (a, b) => exp(a) * (a - b), a => -exp(a)],
  reverse_kl: ["KL(q‖p)", "q log(q/p)", "", (a, b) => exp(b) * (b - a), (a, b) => exp(b) * (b - a + 1)],
  tv: ["TV", "½|p − q|", "≤ 1", (a, b) => abs(exp(a) - exp(b)) / 2, (a, b) => sign(b - a) * exp(b) / 2],
  js: ["JS", "½p log(p/m) + ½q log(q/m)", "≤ ln 2", (a, b) => half(a, b) + half(b, a), (a, b) => half(b, a)],
  w1: ["W₁", "|F − G|", "", (a, b) => abs(a - b), (a, b) => sign(b - a)],
};
/** log Σₖ wₖ N(t; mₖ, sₖ²) at each t. */
const logMixture = ({ weights, means, sds }, t) => t.map(x => {
  const logs = weights.map((w, k) => log(w / sds[k]) - ((x - means[k]) / sds[k]) ** 2 / 2), most = max(...logs);
  return most + log(logs.reduce((sum, v) => sum + exp(v - most), 0) / Math.sqrt(2 * Math.PI));
});
/** Integral from the first place up to each, by the trapezoid rule. */
const cumulative = (f, dt) => { let all = 0; return f.map((v, i) => all += i && (v + f[i - 1]) / 2 * dt); };
/** A divergence of p and q = {mean, sd} on 400 places, and its gradient with respect to (mean, log sd). */
export function measure(name, p, { mean, sd }) {
  const ends = s => p.means.map((m, k) => m + s * p.sds[k]).concat(mean + s * sd);
  const t = linspace(min(...ends(-8)), max(...ends(8)), 400), sum = f => cumulative(f, t[1] - t[0]);
  const logs = [logMixture(p, t), logMixture({ weights: [1], means: [mean], sds: [sd] }, t)], q = logs[1].map(exp);
  let [a, b] = logs, by = [x => (x - mean) / sd ** 2, x => ((x - mean) / sd) ** 2 - 1].map(f => t.map(f));   // ∂b
  if (name === "w1") [a, b, ...by] = [...logs.map(l => l.map(exp)), ...by.map(d => d.map((v, i) => v * q[i]))].map(sum);
  const [, , , f, slope] = FIVE[name], integrand = a.map((v, i) => f(v, b[i]));
  const gradient = by.map(d => sum(d.map((v, i) => v * slope(a[i], b[i]))).at(-1));
  return { t, logs, integrand, value: sum(integrand).at(-1), gradient };
}
/** Steps of 0.1 times the gradient, at most 0.1 long, each halved while it would raise the divergence. */
export function descend(name, p, q, steps) {
  while (steps-- > 0) {
    const { value, gradient: [u, v] } = measure(name, p, q), size = 0.1 / max(1, Math.hypot(u, v));
    const next = range(7).map(k => size / 2 ** k).map(a => ({ mean: q.mean - a * u, sd: q.sd * exp(-a * v) }))
      .find(to => measure(name, p, to).value <= value);
    if (next) q = next; else break;
  }
  return q;
}
