"""The figure of chapter 01 on your own points."""

import math

import torch
from torch import Tensor

from genlab.interact.explorable import Explorable


def explore_density(points: Tensor, h: float | None = None) -> Explorable:
    """Your own points in the figure of chapter 01: one width for three estimates of a density.

    Args:
        points: ``[n]``, 3 ≤ n ≤ 100, on the line.
        h: width to start from, between 1/200 of the range of the points and the whole of it; by
            default the one with the largest leave-one-out log-likelihood.

    Returns:
        an object to leave as the last line of a cell; it needs no kernel once it is shown.

    Raises:
        ValueError: points or a width that do not fit.

    Example:
        >>> explore_density(torch.tensor([0.0, 1.0, 4.0]), h=0.5).attributes
        {'points': '0.0 1.0 4.0', 'h': '0.5'}
    """
    x = torch.as_tensor(points).double()
    if x.ndim != 1 or not 3 <= len(x) <= 100:
        raise ValueError(
            f"Expected 3 to 100 points on the line, shape (n,), got {tuple(x.shape)}. "
            "Take some of them: points[torch.randperm(len(points))[:100]]."
        )
    span = float(x.max() - x.min())
    if not (math.isfinite(span) and span > 0):
        raise ValueError("Expected finite points that are not all equal.")
    if h is not None and not span / 200 <= h <= span:
        raise ValueError(
            f"Expected a width between {span / 200:.3g} and {span:.3g}, the range of the points, "
            f"got {h}."
        )
    start = {} if h is None else {"h": repr(float(h))}
    return Explorable("density", {"points": " ".join(map(repr, x.tolist())), **start})
