// Small networks, evaluated: what torch has trained, the page computes. And the two terms of a variational autoencoder.
import { linspace } from "./core.mjs";

const ACTIVATIONS = { tanh: Math.tanh, relu: v => Math.max(v, 0) };
/** Weights written as whole multiples of 1/unit, as numbers. */
export const scaled = ({ activation, layers }, unit) => ({ activation,
  layers: layers.map(([W, b]) => [W.map(row => row.map(w => w / unit)), b.map(w => w / unit)]) });
/** A perceptron: its layers [W, b], row j of W for unit j, with an activation between them. */
export const mlp = ({ activation, layers }, input) => layers.reduce((h, [W, b], i) => {
  const sums = W.map((row, j) => row.reduce((s, w, l) => s + w * h[l], b[j]));
  return i < layers.length - 1 ? sums.map(ACTIVATIONS[activation]) : sums;
}, input);
export const sigmoid = v => 1 / (1 + Math.exp(-v));

/** q(z | x): means and standard deviations, of a network that gives means and log σ. */
export function encode(network, x) {
  const out = mlp(network, x), half = out.length / 2;
  return [out.slice(0, half), out.slice(half).map(Math.exp)];
}
/** KL(N(μ, diag σ²) ‖ N(0, I)) in nats. */
export const rate = ([mean, sd]) =>
  mean.reduce((sum, m, i) => sum + (m ** 2 + sd[i] ** 2 - 1) / 2 - Math.log(sd[i]), 0);
/** −log p(x | z) in nats, from the logits of the pixels; a grey one is the probability of a one. */
export const misfit = (logits, x) =>
  logits.reduce((sum, a, i) => sum + Math.max(a, 0) - a * x[i] + Math.log1p(Math.exp(-Math.abs(a))), 0);

// Mean under N(0, 1) by the trapezoid rule, which for smooth functions errs far less than it looks.
const NODES = linspace(-4, 4, 11).map(t => [t, Math.exp(-t * t / 2)]);
const TOTAL = NODES.reduce((sum, [, w]) => sum + w, 0) ** 2;
/** −E_q log p(x | z) in nats for a code of two numbers. */
export function distortion(network, [mean, sd], x) {
  let sum = 0;
  for (const [s, v] of NODES) for (const [t, w] of NODES)
    sum += v * w * misfit(mlp(network, [mean[0] + sd[0] * s, mean[1] + sd[1] * t]), x);
  return sum / TOTAL;
}
