// The Dirac-GAN: all data are at 0, all draws at θ, and D's logit is ψx. What simultaneous steps do.
import { clamp, range } from "./core.mjs";
import { FORCES } from "./train.mjs";

export const BOUND = 1;                        // what ψ is clipped to as a critic's weight
/** Velocities of ψ and θ; γ weighs the penalty R1, (γ/2) ψ². */
export function velocity([psi, theta], loss, gamma) {
  const [, down, pull] = FORCES[loss];
  return [-down(psi * theta) * theta - gamma * psi, pull(psi * theta) * psi];
}
/** The states of n steps of rate η, the start being the first. */
export function way(start, n, loss, eta, gamma) {
  const states = [start];
  for (const _ of range(n)) {
    const state = states.at(-1), [psi, theta] = velocity(state, loss, gamma).map((v, j) => state[j] + eta * v);
    states.push([loss === "wasserstein" ? clamp(psi, -BOUND, BOUND) : psi, theta]);
  }
  return states;
}
/** The larger |1 + ηλ| at (0, 0), where λ² + γλ + h² = 0 with the force h there. */
export function factor(loss, eta, gamma) {
  const h = FORCES[loss][2](0), inside = gamma ** 2 / 4 - h ** 2;
  if (inside < 0) return Math.sqrt(1 - eta * gamma + (eta * h) ** 2);
  return Math.max(...[-1, 1].map(sign => Math.abs(1 + eta * (sign * Math.sqrt(inside) - gamma / 2))));
}
