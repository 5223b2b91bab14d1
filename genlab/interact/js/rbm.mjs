// A Boltzmann machine of 8 × 8 pixels: what a layer makes of the other, its free energy, a chain.
import { range } from "./core.mjs";
import { sigmoid } from "./net.mjs";

export const SIDE = 8, SITES = SIDE ** 2;
const softplus = a => Math.max(a, 0) + Math.log1p(Math.exp(-Math.abs(a)));
const total = values => values.reduce((sum, v) => sum + v, 0);
/** From whole multiples of 1/unit. Row i of W is for pixel i. */
export function machine({ unit, W, b, c }) {
  const shares = row => row.map(w => w / unit);
  return { W: W.map(shares), b: shares(b), c: shares(c) };
}
/** Logits of the hidden units given x, and of the pixels given h. */
export const upwards = ({ W, c }, x) =>
  c.map((bias, j) => x.reduce((sum, v, i) => v ? sum + W[i][j] : sum, bias));
export const downwards = ({ W, b }, h) =>
  b.map((bias, i) => h.reduce((sum, v, j) => v ? sum + W[i][j] : sum, bias));
/** F(x) = −log Σ_h exp(−E(x, h)) in nats, which is −log p(x) but for log Z. */
export const energy = (model, x, logits = upwards(model, x)) =>
  -total(model.b.filter((_, i) => x[i])) - total(logits.map(softplus));
/** A place of a chain: x, the h from which it was drawn, the logits of the next h, F(x). */
export function place(model, x, h) {
  const logits = upwards(model, x);
  return { x, h, logits, F: energy(model, x, logits) };
}
/** A sweep at temperature T: all of h given x, then of x given h what is not held. u decides. */
export function sweep(model, { x, logits }, held, T, u) {
  const m = logits.length, h = logits.map((a, j) => +(u[j] < sigmoid(a / T)));
  return place(model, downwards(model, h).map((a, i) =>
    held[i] ? x[i] : +(u[m + i] < sigmoid(a / T))), h);
}
/** The places of a chain from x on, at least one more than sweeps; `places` may begin it. */
export function chain(model, x, held, T, u, sweeps, places = [place(model, x)]) {
  const size = model.c.length + SITES;
  for (let n = places.length; n <= sweeps; n++)
    places.push(sweep(model, places[n - 1], held, T, u.slice((n - 1) * size, n * size)));
  return places;
}
/** Over some places, the means of p(h_j = 1 | x) and of x p(h_j = 1 | x). */
export function moments(places, j) {
  const p = places.map(({ logits }) => sigmoid(logits[j])), mean = f => total(p.map(f)) / p.length;
  return { on: mean(v => v), with: range(SITES).map(i => mean((v, n) => places[n].x[i] && v)) };
}
/** Images of bits, sixteen hexadecimal digits each. */
export const images = words => words.split(" ").map(word =>
  [...word].flatMap(digit => [8, 4, 2, 1].map(bit => +((parseInt(digit, 16) & bit) > 0))));
/** Which of some images differs from x in the fewest bits: the first such one. */
export function nearest(x, among) {
  let best = 0, least = Infinity;
  among.forEach((y, k) => {
    let far = 0;
    for (let i = 0; i < SITES && far < least; i++) far += x[i] ^ y[i];
    if (far < least) [best, least] = [k, far];
  });
  return best;
}
