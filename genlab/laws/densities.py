"""A density has the mass one: over a box by a grid, over a finite support by a sum."""

import math

from torch import Tensor

from genlab.laws.boxes import Bound, dimensions, grid_mass, log_densities
from genlab.laws.broken import LawBroken
from genlab.models import Density

__all__ = ["integrates_to_one", "sums_to_one"]


def integrates_to_one(density: Density, low: Bound, high: Bound, points: int = 0) -> float:
    """∫ p(x) dx = 1 over a box that holds all the mass, by the midpoint rule.

    The rule is run at several resolutions; four times their largest difference bounds its own
    error (at least 1e-6 is allowed), and a grid too coarse to decide is said to be so.

    Args:
        density: anything with ``log_prob``, nats.
        low, high: the box; two numbers for event ``()``, two sequences of d numbers for ``(d,)``
            with d ≤ 3.
        points: grid points on each axis; by default 4096, 512 and 96 for d = 1, 2, 3.

    Returns:
        the integral.

    Raises:
        LawBroken: the integral is not one, or the log-density has a wrong shape or NaN.
        ValueError: no box of at most three dimensions.

    Example:
        >>> from torch.distributions import Normal
        >>> round(integrates_to_one(Normal(0.0, 1.0), -9, 9), 6)
        1.0
    """
    d = dimensions(low, high, most=3)
    points = points or {1: 4096, 2: 512, 3: 96}[d]

    def mass(m: int) -> float:
        return grid_mass(density, low, high, m).sum().item()

    fine, coarse = mass(points), mass(points // 2)
    if max(abs(fine - 1), abs(coarse - 1)) <= 1e-6:
        return fine
    # Where the density jumps, the errors of two grids are as good as random and may be equal by
    # chance; those of five are not.
    others = [coarse, *(mass(round(points * share)) for share in (3 / 4, 2 / 3, 3 / 5))]
    spread = max(abs(fine - m) for m in others)
    if not (math.isfinite(fine) and spread <= 0.05):
        raise LawBroken(
            f"The integral is {min(fine, *others):.4f} to {max(fine, *others):.4f} on grids of "
            f"{points // 2} to {points} points an axis: the density is too spiky for this grid, "
            "or infinite somewhere. Use more points or a smaller box."
        )
    if abs(fine - 1) > max(1e-6, 4 * spread):
        why = ""
        if d > 1:
            why = f" In {d} dimensions a kernel of width h is divided by n·h^{d}, not n·h."
        elif fine < 1:
            why = " Does the box hold all the mass? Is the density divided by too much?"
        digits = 4 if abs(fine - 1) > 1e-3 else 7
        raise LawBroken(f"The density integrates to {fine:.{digits}f}, not 1.{why}")
    return fine


def sums_to_one(model: Density, support: Tensor) -> float:
    """Σ p(x) = 1 over a finite support, to 1e-10.

    Args:
        support: every possible value once, ``[states, *event]``.

    Example:
        >>> import torch
        >>> from genlab.density import Categorical
        >>> model = Categorical(range(3), smoothing=1).fit(torch.tensor([0, 2, 2]))
        >>> round(sums_to_one(model, torch.arange(3)), 12)
        1.0
    """
    total = float(log_densities(model, support).double().exp().sum())
    if abs(total - 1) > 1e-10:
        raise LawBroken(
            f"The probabilities of the {len(support)} states sum to {total:.12g}, not 1."
        )
    return total
