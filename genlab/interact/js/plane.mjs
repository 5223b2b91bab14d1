// Models of points in the plane. A mixture of Gaussians is a list of components: [weight, mean, variance] on the line,
// [weight, mean x, mean y, variance x, covariance, variance y] in the plane.
import { linspace, range } from "./core.mjs";

const logSum = v => {
  const most = Math.max(...v);
  return most + Math.log(v.reduce((s, u) => s + Math.exp(u - most), 0));
};
const logNormal = (t, m, c) => -((t - m) ** 2 / c + Math.log(2 * Math.PI * c)) / 2;
/** log wₖ N(x, y; …) for each component in the plane; their logSum is log p(x, y). */
export const terms = (mixture, x, y) => mixture.map(([w, mx, my, xx, xy, yy]) =>
  Math.log(w) + logNormal(x, mx, xx) + logNormal(y, my + xy / xx * (x - mx), yy - xy ** 2 / xx));
export const logDensity = (mixture, x, y) => logSum(terms(mixture, x, y));
/** Bayes: the probability of each component, from its term. */
export const posterior = logs => { const sum = logSum(logs); return logs.map(u => Math.exp(u - sum)); };
/** p(y | x) for axis 0, p(x | y) for axis 1: a mixture on the line. */
export function conditional(mixture, axis, t) {
  const turned = axis ? mixture.map(([w, mx, my, xx, xy, yy]) => [w, my, mx, yy, xy, xx]) : mixture;
  const weights = posterior(turned.map(([w, m, , c]) => Math.log(w) + logNormal(t, m, c)));
  return turned.map(([, m, other, c, both, rest], k) => [weights[k], other + both / c * (t - m), rest - both ** 2 / c]);
}
export const line = (mixture, t) => mixture.reduce((s, [w, m, c]) => s + w * Math.exp(logNormal(t, m, c)), 0);
/** A perceptron with tanh units, its layers [W, b]. */
export const net = (layers, input) => layers.reduce((h, [W, b], i) => W.map((row, j) => {
  const sum = row.reduce((s, w, l) => s + w * h[l], b[j]);
  return i < layers.length - 1 ? Math.tanh(sum) : sum;
}), input);
/** p(y | x) of a network that computes the logits, means and log σ of its components. */
export function regress(layers, x) {
  const out = net(layers, [x]), K = out.length / 3;
  return posterior(out.slice(0, K)).map((w, k) => [w, out[K + k], Math.exp(2 * out[2 * K + k])]);
}
/** n triples [uniform, normal, normal]: mulberry32, then Box and Muller. */
export function noise(seed, n) {
  const uniform = () => {
    let t = seed = seed + 0x6D2B79F5 | 0;
    t = Math.imul(t ^ t >>> 15, t | 1);
    t ^= t + Math.imul(t ^ t >>> 7, t | 61);
    return ((t ^ t >>> 14) >>> 0) / 2 ** 32;
  };
  return range(n).map(() => {
    const u = uniform(), radius = Math.sqrt(-2 * Math.log(1 - uniform())), angle = 2 * Math.PI * uniform();
    return [u, radius * Math.cos(angle), radius * Math.sin(angle)];
  });
}
/** A draw made of noise: the uniform picks the component. */
export function sample(mixture, [u, a, b]) {
  let k = 0;
  for (let sum = mixture[0][0]; sum <= u && k < mixture.length - 1; sum += mixture[k][0]) k++;
  const [, mx, my, xx, xy, yy] = mixture[k], s = Math.sqrt(xx);
  return [mx + s * a, my + xy / s * a + Math.sqrt(yy - xy ** 2 / xx) * b];
}
/** The ellipse two standard deviations from the mean of a component. */
export const ellipse = ([, mx, my, xx, xy, yy]) => linspace(0, 2 * Math.PI, 61).map(turn => {
  const a = 2 * Math.cos(turn), b = 2 * Math.sin(turn);
  return [mx + Math.sqrt(xx) * a, my + xy / Math.sqrt(xx) * a + Math.sqrt(yy - xy ** 2 / xx) * b];
});
/** Pieces of the curve on which the values on a grid, values[j][i] at xs[i] and ys[j], cross a level. */
export function contour(xs, ys, values, level) {
  const pieces = [];
  for (let j = 1; j < ys.length; j++) for (let i = 1; i < xs.length; i++) {
    const corners = [[i - 1, j - 1], [i, j - 1], [i, j], [i - 1, j]];
    const over = corners.map(([a, b]) => values[b][a] - level);
    if (Math.min(...over) > 0 || Math.max(...over) <= 0) continue;
    const cuts = range(4).filter(k => over[k] > 0 !== over[(k + 1) % 4] > 0).map(k => {
      const [a, b] = corners[k], [c, d] = corners[(k + 1) % 4], share = over[k] / (over[k] - over[(k + 1) % 4]);
      return [xs[a] + share * (xs[c] - xs[a]), ys[b] + share * (ys[d] - ys[b])];
    });
    for (let k = 0; k < cuts.length; k += 2) pieces.push(cuts.slice(k, k + 2));
  }
  return pieces;
}
