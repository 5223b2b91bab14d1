// A PixelCNN of binary images of 8 × 8 pixels, each site computed once.
import { range } from "./core.mjs";
import { taps } from "./masks.mjs";
import { misfit, scaled, sigmoid } from "./net.mjs";

export const SIDE = 8, SITES = SIDE ** 2;
/** From whole multiples of 1/unit. Row j of a layer is its feature j: tap after tap, and there input after input. */
export const pixelcnn = ({ unit, kernel, layers, last, offsets }) => ({
  open: [taps("A", (kernel - 1) / 2), taps("B", 1)],
  layers: scaled({ layers }, unit).layers,
  last: scaled({ layers: [last] }, unit).layers[0],
  offsets: offsets.map(v => v / unit),
});
/** log p(1) − log p(0) at a site given the pixels before; `seen` has their features, and is given those of the site. */
export function logit({ open, layers, last: [[w], [b]], offsets }, x, seen, site) {
  const row = Math.floor(site / SIDE), column = site % SIDE;
  layers.forEach(([W, bias], l) => {                   // A ∗ x, then h + relu(B ∗ h)
    const sums = bias.slice();
    open[Math.min(l, 1)].forEach(([up, right], t) => {
      if (up > row || column + right < 0 || column + right >= SIDE) return;
      const at = site - SIDE * up + right, h = l ? seen[l - 1][at] : [2 * x[at] - 1];
      for (let j = 0; j < sums.length; j++)
        for (let i = 0; i < h.length; i++) sums[j] += W[j][t * h.length + i] * h[i];
    });
    seen[l][site] = l ? sums.map((v, j) => seen[l - 1][site][j] + Math.max(v, 0)) : sums;
  });
  return seen.at(-1)[site].reduce((sum, v, j) => sum + w[j] * v, b + offsets[site]);
}
/** The logits of the known pixels, and the features of each layer at their sites. */
function remember(model, x, known) {
  const seen = model.layers.map(() => []);
  return [range(known).map(site => logit(model, x, seen, site)), seen];
}
/** The image whose first pixels are known and whose others u decides: 1 where u is in the upper p(1) of [0, 1). */
export function complete(model, x, known, u, seen = remember(model, x, known)[1]) {
  const image = x.slice(0, known), p = [];
  for (let site = known; site < SITES; site++) {
    const a = logit(model, image, seen, site);
    p.push(sigmoid(a));
    image.push(+(u[site] >= sigmoid(-a)));
  }
  return { image, p };
}
/** −log p of the known pixels in nats, and p(1) of each other given them: the mean over a completion for each u. */
export function look(model, x, known, draws) {
  const [logits, seen] = remember(model, x, known), all = draws.map(u => complete(model, x, known, u, seen).p);
  const mean = i => all.reduce((sum, p) => sum + p[i], 0) / all.length;
  return { nats: misfit(logits, x), p: range(SITES - known).map(mean) };
}
