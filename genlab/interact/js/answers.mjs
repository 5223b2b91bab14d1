// What five models of the same points answer to the five questions of chapter 00: words; dots, thin lines, thick lines.
import { linspace, maximise, minus, short } from "./core.mjs";
import { conditional, contour, ellipse, line, logDensity, net, noise, posterior, regress, sample, terms }
  from "./plane.mjs";
import told from "./questions.json" with { type: "json" };

export const { models: MODELS, questions: QUESTIONS } = told;
const ANSWERS = {
  draw: ({ name, model, seed }) => ({ words: MODELS[name].draws,
    dots: noise(seed, 200).map(z => name === "generator" ? net(model, z.slice(1)) : sample(model, z)) }),
  density({ model, box, x, y }) {
    const [xs, ys] = [linspace(...box[0], 76), linspace(...box[1], 46)], log = logDensity(model, x, y);
    const grid = model.grid ??= ys.map(v => xs.map(u => logDensity(model, u, v)));
    const even = -Math.log((box[0][1] - box[0][0]) * (box[1][1] - box[1][0]));       // log p of the uniform law
    return { words: `p = ${short(Math.exp(log))}, log p = ${minus(log.toFixed(2))}`, thick: contour(xs, ys, grid, log),
      thin: model.lines ??= [0.1, 0.5, 2, 8].flatMap(times => contour(xs, ys, grid, even + Math.log(times))) };
  },
  code({ model, x, y }) {
    const found = posterior(terms(model, x, y)), best = found.indexOf(Math.max(...found));
    const ellipses = model.map(ellipse);
    return { words: `Component ${best + 1} of ${found.length}, with probability ${found[best].toFixed(2)}.`,
      thin: ellipses, thick: [ellipses[best]] };
  },
  y: asked => slice(asked, 0, asked.x),
  x: asked => slice(asked, 1, asked.y),
};
/** The law of one coordinate, given the other: a curve that stands on the line along which that other is `fixed`. */
function slice({ name, model, box }, axis, fixed) {
  const law = name === "regression" ? regress(model, fixed) : conditional(model, axis, fixed);
  const along = linspace(...box[1 - axis], 181), { values, x: peak } = maximise(t => line(law, t), along);
  const place = (t, height) => axis ? [t, fixed + height] : [fixed + height, t];
  const [wide, high] = box.map(([a, b]) => b - a), mean = law.reduce((sum, [w, m]) => sum + w * m, 0);
  return { words: `mean ${short(mean)}, peak at ${short(peak)}`, thin: [along.map(t => place(t, 0))],
    thick: [along.map((t, i) => place(t, values[i] * wide * high / 12))] };
}
/** Answer of models[name] to a question, {words, dots, thin, thick}, or {no: the reason, thin}. */
export function answer(name, models, box, { question, x, y, seed }) {
  const model = models[name], no = QUESTIONS[question].no[name], codes = linspace(-2, 2, 9), fine = linspace(-2, 2, 41);
  if (!model) return { no: "No: it was trained on other points. Give your own." };
  if (no && question === "code" && name === "generator")
    return { no, thin: codes.flatMap(a => [fine.map(b => net(model, [a, b])), fine.map(b => net(model, [b, a]))]) };
  return no ? { no } : ANSWERS[question]({ name, model, box, x, y, seed });
}
