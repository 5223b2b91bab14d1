// The generator's loss against any discriminator, term by term, for two normal laws: loss = kl − js − drift − evidence.
import { linspace, range } from "./core.mjs";

const logNormal = ([m, s]) => x => -(((x - m) / s) ** 2) / 2 - Math.log(s) - Math.log(2 * Math.PI) / 2;
const softplus = a => Math.max(a, 0) + Math.log1p(Math.exp(-Math.abs(a)));
const mix = (a, b) => Math.max(a, b) + Math.log1p(Math.exp(-Math.abs(a - b))) - Math.log(2);
/** Logits of D: `sharp` times those that are best against the generator `at`; 1 is the best, 0 knows nothing. */
export const logit = (data, at, sharp) => x => sharp * (logNormal(data)(x) - logNormal(at)(x));
/** Places of the trapezoid rule that hold all the laws. */
export const places = laws => linspace(Math.min(...laws.map(([m, s]) => m - 8 * s)),
  Math.max(...laws.map(([m, s]) => m + 8 * s)), 801);
/** Terms in nats and their slopes in the mean and in log s of the generator `now`; at `at` D was trained. */
export function lemma(data, now, at, sharp) {
  const t = places([data, now, at]), step = t[1] - t[0], a = t.map(logit(data, at, sharp)), [mean, sd] = now;
  const [real, fake, old] = [data, now, at].map(law => t.map(logNormal(law)));
  const reversed = [a.map(v => -softplus(-v)), a.map(v => -softplus(v))];      // log q^r(0 | x), log q^r(1 | x)
  const [after, before] = [fake, old].map(law => law.map((v, i) => mix(v, real[i])));
  const integral = f => step * range(t.length).reduce((sum, i) => sum + (i % (t.length - 1) ? 1 : 0.5) * f(i), 0);
  const logZ = reversed.map(r => Math.log(integral(i => Math.exp(r[i] + before[i]))));
  const under = (law, f) => integral(i => { const p = Math.exp(law[i]); return p ? p * f(i) : 0; });
  const twice = f => (under(fake, f(fake, 0)) + under(real, f(real, 1))) / 2;
  const terms = {
    kl: twice((law, y) => i => law[i] - reversed[y][i] - before[i] + logZ[y]),
    js: twice(law => i => law[i] - after[i]),
    drift: twice(() => i => after[i] - before[i]),
    evidence: (logZ[0] + logZ[1]) / 2,
    loss: -twice((_, y) => i => reversed[y][i]),
  };
  // The slope of a mean under the generator: its score stands beside what is averaged.
  const scores = [i => (t[i] - mean) / sd ** 2, i => ((t[i] - mean) / sd) ** 2 - 1];
  const slope = f => scores.map(score => under(fake, i => score(i) * f(i)) / 2);
  const slopes = {
    kl: slope(i => fake[i] - reversed[0][i] - before[i]),
    js: slope(i => fake[i] - after[i]),
    drift: slope(i => after[i] - before[i]),
    evidence: [0, 0],
    loss: slope(i => -reversed[0][i]),
  };
  return { terms, slopes };
}
/** The generator after n steps down its loss; `train` renews D before each of them. */
export function descend(data, now, at, sharp, n, train, rate = 0.4) {
  for (const _ of range(n)) {
    if (train) [at, sharp] = [now, 1];
    const [u, v] = lemma(data, now, at, sharp).slopes.loss, pace = rate / Math.max(1, Math.hypot(u, v));
    now = [now[0] - pace * u, now[1] * Math.exp(-pace * v)];
  }
  return { now, at, sharp };
}
