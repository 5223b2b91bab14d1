// Parts of a figure that know no state: an n × n grid of sites, each a unit square, numbered row by row.
import { range } from "./core.mjs";

const at = (sites, n, draw) => sites.map(i => draw(i % n, Math.floor(i / n)));
/** A rectangle for each site, with its number as data-name. */
export const cells = (n, name) => at(range(n * n), n, (x, y) =>
  `<rect x="${x}" y="${y}" width="1" height="1" data-${name}="${n * y + x}"/>`).join("");
/** Path round each of some sites; a cross in each. */
export const squares = (sites, n) => at(sites, n, (x, y) => `M${x} ${y}h1v1h-1z`).join("");
export const crosses = (sites, n) => at(sites, n, (x, y) => `M${x + 0.3} ${y + 0.3}l.4 .4m0-.4l-.4 .4`).join("");
/** Path between the first sites and the others. */
export const front = (known, n) => `M0 ${Math.floor(known / n) + 1}H${known % n}v-1H${n}`;
