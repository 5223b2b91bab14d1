// Two perceptrons that learn in the page, one step of a GAN at a time: what torch does, in float64.
// A batch is flat, one example after the other, and the weights of a layer too: W row by row, then b.
import { clamp, range } from "./core.mjs";
import { noise } from "./plane.mjs";

export const BATCH = 64, CLIP = 0.2;           // examples of each kind; what a critic's weights are clipped to
const BETA1 = 0.5, BETA2 = 0.999, EPSILON = 1e-8;
export const sigmoid = a => 1 / (1 + Math.exp(-a));
const one = () => 1;
/** What a unit of each loss pushes with: D's real logit up, D's fake logit down, a draw of G along D's slope. */
export const FORCES = {
  "non-saturating": [a => sigmoid(-a), sigmoid, a => sigmoid(-a)],
  saturating: [a => sigmoid(-a), sigmoid, sigmoid],
  wasserstein: [one, one, one],
};

/** A perceptron with tanh units, its first weights uniform within 1/√inputs, as those of torch are. */
export function perceptron(widths, seed) {
  const sizes = range(widths.length - 1).map(k => [widths[k], widths[k + 1]]);
  const drawn = noise(seed, sizes.reduce((sum, [inputs, outputs]) => sum + (inputs + 1) * outputs, 0));
  const layers = sizes.map(([inputs, outputs]) => {
    const w = Float64Array.from(drawn.splice(0, (inputs + 1) * outputs), ([u]) => (2 * u - 1) / Math.sqrt(inputs));
    return { inputs, outputs, w, g: w.map(() => 0), m: w.map(() => 0), v: w.map(() => 0) };
  });
  return { layers, t: 0 };
}
/** What goes into each layer, and at last what the network gives. */
export function forward({ layers }, x) {
  const through = [x], n = x.length / layers[0].inputs;
  layers.forEach(({ inputs, outputs, w }, k) => {
    const from = through[k], to = new Float64Array(n * outputs);
    for (let m = 0; m < n; m++) for (let i = 0; i < outputs; i++) {
      let sum = w[inputs * outputs + i];
      for (let j = 0; j < inputs; j++) sum += w[i * inputs + j] * from[m * inputs + j];
      to[m * outputs + i] = k < layers.length - 1 ? Math.tanh(sum) : sum;
    }
    through.push(to);
  });
  return through;
}
/** From the slopes at the outputs to those at the inputs, which it returns; those of the weights go to g. */
export function backward({ layers }, through, slopes) {
  for (let k = layers.length - 1; k >= 0; k--) {
    const { inputs, outputs, w, g } = layers[k], from = through[k], back = new Float64Array(from.length);
    g.fill(0);
    for (let m = 0; m < from.length / inputs; m++) for (let i = 0; i < outputs; i++) {
      const slope = slopes[m * outputs + i];
      g[inputs * outputs + i] += slope;
      for (let j = 0; j < inputs; j++) {
        g[i * inputs + j] += slope * from[m * inputs + j];
        back[m * inputs + j] += slope * w[i * inputs + j];
      }
    }
    slopes = k ? back.map((slope, j) => slope * (1 - from[j] ** 2)) : back;
  }
  return slopes;
}
/** A step of Adam along the slopes in g. */
export function adam(net, rate) {
  const t = ++net.t, unbiased = rate / (1 - BETA1 ** t), share = Math.sqrt(1 - BETA2 ** t);
  for (const { w, g, m, v } of net.layers) for (let i = 0; i < w.length; i++) {
    m[i] += (1 - BETA1) * (g[i] - m[i]);
    v[i] = BETA2 * v[i] + (1 - BETA2) * g[i] ** 2;
    w[i] -= unbiased * m[i] / (Math.sqrt(v[i]) / share + EPSILON);
  }
}
/** Where a step down G's loss would carry each of these draws: minus its slope at x, by way of D. */
export function pulls(D, x, loss) {
  const through = forward(D, x);
  return backward(D, through, through.at(-1).map(FORCES[loss][2]));
}
/** Algorithm 1: k steps of D, then one of G. `next()` gives triples of noise, `law` makes an example of a triple. */
export function round({ G, D }, law, next, { loss, k, dRate, gRate }) {
  const [up, down] = FORCES[loss], made = () => forward(G, flat(next(), ([, a, b]) => [a, b]));
  for (let move = 0; move < k; move++) {
    const x = flat(next(), law), fake = made().at(-1), through = forward(D, Float64Array.of(...x, ...fake));
    backward(D, through, through.at(-1).map((a, m) => (m < BATCH ? -up(a) : down(a)) / BATCH));
    adam(D, dRate);
    if (loss === "wasserstein") for (const { w } of D.layers) w.forEach((v, i) => { w[i] = clamp(v, -CLIP, CLIP); });
  }
  const through = made();
  backward(G, through, pulls(D, through.at(-1), loss).map(pull => -pull / BATCH));
  adam(G, gRate);
}
/** Rows as one batch. */
export const flat = (rows, f) => Float64Array.from(rows.flatMap(f));
