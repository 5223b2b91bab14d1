// Flows in the plane, layer by layer from the base to the data: points, log |det|, the way back, densities, areas.
import { range } from "./core.mjs";
import { mlp, scaled } from "./net.mjs";

/** Layers as Python wrote them, in whole multiples of 1/unit, as numbers. */
export const numbered = (layers, unit) => layers.map(({ net, scale, ...rest }) =>
  scale ? { scale: scale.map(v => v / unit) } : { ...rest, net: scaled(net, unit) });
/** log-scale and shift of the coordinate that moves, from the one that is kept. Bound 0: it is only shifted. */
const asked = ({ net, bound }, kept) => {
  const [a, b] = mlp(net, [kept]);
  return bound ? [bound * Math.tanh(a / bound), b] : [0, a];
};
/** One layer towards the data: where the point comes to, and log |det|. */
export function push({ scale, ...coupling }, x) {
  if (scale) return [x.map((v, j) => v * Math.exp(-scale[j])), -scale[0] - scale[1]];
  const { kept } = coupling, [s, t] = asked(coupling, x[kept]);
  return [x.with(1 - kept, x[1 - kept] * Math.exp(s) + t), s];
}
/** One layer towards the base. */
export function pull({ scale, ...coupling }, x) {
  if (scale) return [x.map((v, j) => v * Math.exp(scale[j])), scale[0] + scale[1]];
  const { kept } = coupling, [s, t] = asked(coupling, x[kept]);
  return [x.with(1 - kept, (x[1 - kept] - t) * Math.exp(-s)), -s];
}
/** A point of the base, and where it is after each layer: [[point, log |det| so far], …]. */
export function stops(layers, z) {
  const all = [[z, 0]];
  for (const layer of layers) {
    const [x, sum] = all.at(-1), [y, s] = push(layer, x);
    all.push([y, sum + s]);
  }
  return all;
}
/** The point of the base that these layers bring to x, and log |det| of the way back. */
export const origin = (layers, x) => layers.reduceRight(([v, sum], layer) => {
  const [u, s] = pull(layer, v);
  return [u, sum + s];
}, [x, 0]);
/** log N(z; 0, I), and log p of what these layers make of it. */
export const logBase = ([a, b]) => -(a * a + b * b) / 2 - Math.log(2 * Math.PI);
export function logDensity(layers, x) {
  const [z, s] = origin(layers, x);
  return logBase(z) + s;
}
/** Boundary of a square, n points a side. */
export const square = ([x, y], side, n) => [[-1, -1], [1, -1], [1, 1], [-1, 1]].flatMap(([a, b]) =>
  range(n).map(i => i / n * side).map(far => [x + a * side / 2 - (a === b ? a : 0) * far,
    y + b * side / 2 - (a === b ? 0 : b) * far]));
/** Area of a polygon, by the shoelace formula. */
export const area = points => Math.abs(points.reduce((sum, [x, y], i) => {
  const [u, v] = points[(i + 1) % points.length];
  return sum + x * v - u * y;
}, 0)) / 2;
