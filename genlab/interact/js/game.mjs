// A game with its story: laws of the data, what was played so far as a text that a link can hold, what there is to see.
import { clamp, linspace, range } from "./core.mjs";
import { noise } from "./plane.mjs";
import { BATCH, FORCES, flat, forward, perceptron, pulls, round, sigmoid } from "./train.mjs";

export const LOSSES = Object.keys(FORCES), MOVES = 5000;       // moves of D in a story
export const SETTINGS = { loss: [0, LOSSES.length - 1], k: [1, 20], dRate: [1e-4, 0.1], gRate: [1e-4, 0.1] };
export const SPAN = 1.6, GRAIN = 48;           // the plane from −SPAN to SPAN; pixels a side of D's field
const WIDTH = 16, SHOWN = 150;                 // units a layer; points of each kind
const turn = t => [Math.cos(2 * Math.PI * t), Math.sin(2 * Math.PI * t)];
const moon = u => turn(u).map((v, j) => (v + (u < 0.5 ? 0 : [1, 0.5][j]) - [0.5, 0.25][j]) / 1.5);
const among = (centres, scale) => ({ at: u => centres[Math.floor(u * centres.length)], scale, centres });
/** Laws of the data by name; `at` is where the centre of a draw is, by a uniform number. */
export const LAWS = {
  "ring of 8": among(range(8).map(k => turn(k / 8)), 0.05),
  "grid of 9": among(range(9).map(k => [0.8 * (Math.floor(k / 3) - 1), 0.8 * (k % 3 - 1)]), 0.05),
  "two moons": { at: moon, scale: 0.1 / 1.5 },
};
/** The reader's own points, each as likely as the others. */
export const given = points => ({ ...among(points, 0), centres: undefined });
/** An example, of a triple of noise. */
export const example = ({ at, scale }, [u, a, b]) => at(u).map((v, j) => v + scale * [a, b][j]);
export const code = ([, a, b]) => [a, b];

const bounded = settings => Object.values(SETTINGS).map((limits, i) => clamp(settings[i], ...limits))
  .map((v, i) => i < 2 ? Math.round(v) : +v.toPrecision(2));
/** A story as pieces [steps, loss, k, rate of D, rate of G]; it ends after MOVES moves of D. */
export function pieces(story) {
  let left = MOVES;
  const told = story.split("~").map(piece => piece.split("_").map(Number));
  return told.filter(piece => piece.length === 5 && piece.every(Number.isFinite)).map(([n, ...rest]) => {
    const settings = bounded(rest), steps = clamp(Math.floor(n), 0, Math.floor(left / settings[1]));
    left -= steps * settings[1];
    return [steps, ...settings];
  });
}
/** The story with n more steps. */
export function longer(story, n, settings) {
  const told = pieces(story), now = bounded(settings), last = told.at(-1);
  if (String(last?.slice(1)) === String(now)) last[0] += n;
  else told.push([n, ...now]);
  return told.map(piece => piece.join("_")).join("~");
}
/** The game that a story tells. Where `game` has begun in the same way, it goes on. */
export function played(law, story, game) {
  const steps = pieces(story).flatMap(([n, ...settings]) => Array(n).fill(settings));
  if (game?.law !== law || game.steps.some((settings, i) => String(settings) !== String(steps[i]))) {
    const [G, D] = [[2, -1], [1, -2]].map(([outputs, seed]) => perceptron([2, WIDTH, WIDTH, outputs], seed));
    game = { law, G, D, batches: 0, steps: [] };
  }
  for (const settings of steps.slice(game.steps.length)) {
    const [loss, k, dRate, gRate] = settings, next = () => noise(++game.batches, BATCH);
    round(game, triple => example(law, triple), next, { loss: LOSSES[loss], k, dRate, gRate });
    game.steps.push(settings);
  }
  const used = steps.reduce((sum, [, k]) => sum + k, 0), [, next] = steps.at(-1) ?? [0, 0];
  game.over = used + next > MOVES ? ", the last" : "";
  return game;
}
/** A batch as pairs. */
export const pairs = x => range(x.length / 2).map(m => [x[2 * m], x[2 * m + 1]]);
/** D's last number at the middles of GRAIN × GRAIN pixels, from the upper left, row by row. */
export function field(D) {
  const at = range(GRAIN).map(i => (2 * (i + 0.5) / GRAIN - 1) * SPAN);
  return forward(D, flat(at, y => at.flatMap(x => [x, -y]))).at(-1);
}
/** From −1, made by G, to 1, data: 2σ(a) − 1 of a logit; of a critic the place between its extremes. */
export function shades(values, loss) {
  if (loss !== "wasserstein") return [...values].map(a => Math.tanh(a / 2));
  const low = Math.min(...values), high = Math.max(...values);
  return [...values].map(a => (2 * a - low - high) / (high - low || 1));
}
/** Lines of the noise, nine each way from −2 to 2, as G lays them in the plane. */
export const warped = G => linspace(-2, 2, 9).flatMap(c => [0, 1].map(j =>
  pairs(forward(G, flat(linspace(-2, 2, 41), t => j ? [t, c] : [c, t])).at(-1))));
/** Modes with a draw within three standard deviations, and the share of such draws. */
export function coverage(draws, { centres, scale }) {
  if (!centres) return undefined;
  const near = draws.map(([x, y]) => {
    const far = centres.map(([u, v]) => Math.hypot(x - u, y - v)), least = Math.min(...far);
    return least <= 3 * scale ? far.indexOf(least) : -1;
  }).filter(mode => mode >= 0);
  return { modes: new Set(near).size, quality: near.length / draws.length };
}
/** What the figure shows: examples and draws, the pull on each draw and how long half of them are; D's means. */
export function look({ G, D, law }, loss) {
  const data = flat(noise(-4, SHOWN), triple => example(law, triple));
  const draws = forward(G, flat(noise(-3, SHOWN), code)).at(-1), slopes = pairs(pulls(D, draws, loss));
  const lengths = slopes.map(slope => Math.hypot(...slope));
  const means = [data, draws].map(x => forward(D, x).at(-1).reduce((sum, a) =>
    sum + (loss === "wasserstein" ? a : sigmoid(a)) / SHOWN, 0));
  return { data: pairs(data), draws: pairs(draws), slopes, lengths, means, found: coverage(pairs(draws), law),
    median: [...lengths].sort((a, b) => a - b)[SHOWN >> 1] };
}
