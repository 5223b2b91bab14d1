// EM on a mixture of Gaussians in the plane: θ is a list of components as in plane.mjs, x a list of pairs, and q has
// for each pair a row with a weight for each component.
import { linspace, range } from "./core.mjs";
import { logDensity, posterior, terms } from "./plane.mjs";

const sum = values => values.reduce((a, b) => a + b, 0);
export const mean = values => sum(values) / values.length;
/** Log-likelihood, nats a point. */
export const logLikelihood = (x, theta) => mean(x.map(p => logDensity(theta, ...p)));
/** Its bound L(q, θ), nats a point: the mean of Σₖ qₖ (log πₖ N(x; μₖ, Σₖ) − log qₖ). */
export const bound = (x, q, theta) =>
  mean(x.map((p, i) => sum(terms(theta, ...p).map((v, k) => q[i][k] && q[i][k] * (v - Math.log(q[i][k]))))));
/** E step: q is the posterior of the components. */
export const eStep = (x, theta) => x.map(p => posterior(terms(theta, ...p)));
/** M step: share, mean and covariance of the points as q weights them. */
export const mStep = (x, q, floors) => range(q[0].length).map(k => {
  const N = sum(q.map(r => r[k])), average = f => sum(x.map((p, i) => q[i][k] * f(...p))) / Math.max(N, 1e-300);
  const m = average(u => u), n = average((_, v) => v);
  const cov = [u => (u - m) ** 2, (u, v) => (u - m) * (v - n), (_, v) => (v - n) ** 2].map(average);
  return clamped([N / x.length, m, n, ...cov], floors);
});
/** Eigenvalues of Σ, the larger first, and the angle of the first's eigenvector. */
export const eigen = (a, b, c) =>
  [...[1, -1].map(sign => (a + c) / 2 + sign * Math.hypot((a - c) / 2, b)), Math.atan2(2 * b, a - c) / 2];
/** Eigenvalues of Σ, in units in which both floors are 1, clamped from below at 1. */
export const clamped = ([w, m, n, a, b, c], [f, g]) => {
  const [l, s, turn] = eigen(a / f, b / Math.sqrt(f * g), c / g).map((v, i) => (i < 2 ? Math.max(v, 1) : v));
  const u = Math.cos(turn), v = Math.sin(turn);
  return [w, m, n, f * (l * u * u + s * v * v), Math.sqrt(f * g) * (l - s) * u * v, g * (l * v * v + s * u * u)];
};
/** The floors of GaussianMixture(k, floor=share): that share of the variance of each coordinate. */
export const floorsOf = (x, share) => [0, 1].map(j => share * mean(x.map(p => (p[j] - mean(x.map(r => r[j]))) ** 2)));
/** [θ, q] at the start (equal weights, covariance of the data, q uniform) and after each half step, E first. */
export function run(x, means, floors, steps) {
  const q = x.map(() => means.map(() => 1 / means.length));
  const states = [[mStep(x, q, floors).map(([w, , , ...cov], k) => [w, ...means[k], ...cov]), q]];
  for (const i of range(steps))
    states.push(i % 2 ? [mStep(x, states[i][1], floors), states[i][1]] : [states[i][0], eStep(x, states[i][0])]);
  return states;
}
/** Log L and bounds (now, half a step before) along the M step: θ before it at s = 0, after it at s = 1. */
export function cut(x, states, steps, floors, half) {
  const first = 2 * Math.max(0, Math.ceil(steps / 2) - 1), [[from], , [to]] = states.slice(first);
  const move = to.map((k, i) => k.map((v, j) => v - from[i][j]));
  const length = Math.hypot(...move.flatMap(k => k.map((v, j) => v / half ** [0, 1, 1, 2, 2, 2][j])));
  const still = length < 1e-9, now = +(steps > first + 1 && !still), next = steps % 2 && !still ? 1 : now;
  if (still) move[0][1] = half / 4;            // where the M step moves nothing, mean 1 goes across
  const wide = still ? 1 : Math.max(0.6, 0.1 / length), s = linspace(-wide, 1 + wide, 101);
  const thetas = s.map(v => from.map((k, i) => clamped(k.map((u, j) => u + v * move[i][j]), floors)));
  const [approx, before] = [steps, Math.max(steps - 1, 0)].map(t => thetas.map(theta => bound(x, states[t][1], theta)));
  return { s, now, next, still, model: thetas.map(theta => logLikelihood(x, theta)), approx, before };
}
