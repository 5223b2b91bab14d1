"""The mass that a density has in the cells of a box: what two laws of densities integrate."""

from collections.abc import Sequence

import torch
from torch import Tensor

from genlab.laws.broken import LawBroken, describe
from genlab.models import Density

__all__ = ["Bound"]

Bound = float | Sequence[float]


def log_densities(model: Density, x: Tensor) -> Tensor:
    """log p at each point, ``[n]``, checked: one value a point, none of them NaN."""
    with torch.no_grad():
        log_p = model.log_prob(x)
    if not isinstance(log_p, Tensor) or tuple(log_p.shape) != (len(x),):
        raise LawBroken(
            f"log_prob of {len(x)} points must have shape ({len(x)},), one value a point; "
            f"got {describe(log_p)}."
        )
    if log_p.isnan().any():
        raise LawBroken(f"log_prob returned NaN at {int(log_p.isnan().sum())} of {len(x)} points.")
    return log_p


def grid_mass(model: Density, low: Bound, high: Bound, points: int) -> Tensor:
    """Density times cell volume at the midpoints of a grid, ``[points] * d``."""
    a, b = corner_of(low), corner_of(high)
    width = (b - a) / points
    middles = torch.arange(points, dtype=torch.float64) + 0.5
    axes = [a[j] + middles * width[j] for j in range(len(a))]
    if torch.as_tensor(low).ndim:
        grid = torch.stack(torch.meshgrid(*axes, indexing="ij"), -1).reshape(-1, len(a))
    else:
        grid = axes[0]
    mass = torch.cat([log_densities(model, block).double().exp() for block in grid.split(2**16)])
    return (mass * width.prod()).reshape([points] * len(a))


def dimensions(low: Bound, high: Bound, most: int) -> int:
    """The dimension of a box, checked."""
    a, b = torch.as_tensor(low), torch.as_tensor(high)
    if a.shape != b.shape or a.ndim > 1 or not (a < b).all() or not (b - a).isfinite().all():
        raise ValueError(
            "Expected a box: two finite numbers low < high, or two sequences of d such numbers, "
            f"got low={low}, high={high}."
        )
    if not 1 <= a.numel() <= most:
        raise ValueError(f"Expected a box of 1 to {most} dimensions, got {a.numel()}.")
    return a.numel()


def corner_of(bound: Bound) -> Tensor:
    """One number or d of them as ``[d]``, float64."""
    return torch.as_tensor(bound, dtype=torch.float64).reshape(-1)
