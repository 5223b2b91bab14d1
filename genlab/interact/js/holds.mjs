// What a reader holds and what a chain begins with: changes of a state { start, image, held, … }.
import { range } from "./core.mjs";
import { noise } from "./plane.mjs";
import { SIDE, SITES, chain } from "./rbm.mjs";

export const COINS = 10, OWN = 11;             // starts beside the ten digits
export const ALL = range(SITES).map(() => 1), NONE = ALL.map(() => 0);
export const UPPER = ALL.map((_, i) => +(i < SITES / 2)), LOWER = UPPER.map(v => 1 - v);
export const KINDS = ["free", "held, ink", "held, paper"];
export const uniforms = (seed, n) => noise(seed, n).map(([u]) => u);
export const sites = bits => range(bits.length).filter(i => bits[i]);
export const site = ({ row, column }) => SIDE * (row - 1) + column - 1;
/** What a pixel is, of KINDS. */
export const kind = ({ held, image }, i) => held[i] && 2 - image[i];
/** A pixel becomes one of KINDS: a new chain begins where x stands. */
export const touched = ({ held }, x, i, now) => ({ start: OWN, sweeps: 0,
  row: Math.floor(i / SIDE) + 1, column: i % SIDE + 1,
  held: held.with(i, +(now > 0)), image: now ? x.with(i, 2 - now) : x });
/** Another start: a real digit, coins where nothing is held, or where x stands. */
export function started({ held, image }, x, start, digits) {
  if (start === OWN) return { start, image: x, sweeps: 0 };
  const coins = uniforms(-1, SITES).map((u, i) => held[i] ? image[i] : +(u < 0.5));
  return { start, image: digits[start] ?? coins };
}
/** Which side of the gradient a chain gives: 1 wake, −1 sleep, 0 neither. */
export const phase = held => held.every(v => v) - held.every(v => !v);
/** What gives the places of the chain that a state tells; those known are not drawn again. */
export function walker(model) {
  let told, known, drawn, u = [];
  return ({ image, held, temperature, seed, sweeps }) => {
    const now = `${image} ${held} ${temperature} ${seed}`, n = sweeps * (model.c.length + SITES);
    if (told !== now) known = undefined;
    if (drawn !== seed || u.length < n) u = uniforms(seed, 2 * n);
    [told, drawn] = [now, seed];
    known = chain(model, image, held, temperature, u, sweeps, known);
    return known.slice(0, sweeps + 1);
  };
}
