"""The figure of chapter 03 on your own points."""

import torch
from torch import Tensor

from genlab.interact.explorable import Explorable


def explore_em(points: Tensor, means: Tensor | None = None) -> Explorable:
    """Your own points in the figure of chapter 03: EM on two or three Gaussians in the plane.

    Each half step is that of ``GaussianMixture(k, floor=0.001).fit(points, start=means)``.

    Args:
        points: ``[n, 2]``, 4 ≤ n ≤ 60.
        means: ``[k, 2]``, where k = 2 or 3 components start; by default two, one standard
            deviation from the centre on either side, along the first principal axis.

    Returns:
        an object to leave as the last line of a cell; it needs no kernel once it is shown.

    Raises:
        ValueError: points or means that do not fit.

    Example:
        >>> points = torch.tensor([[0.0, 0.0], [1.0, 0.5], [4.0, 4.0], [5.0, 3.5]])
        >>> explore_em(points, means=points[[0, 2]]).attributes
        {'points': '0.0,0.0 1.0,0.5 4.0,4.0 5.0,3.5', 'means': '0.0,0.0 4.0,4.0'}
    """
    x = torch.as_tensor(points).double()
    if x.ndim != 2 or x.shape[1] != 2 or not 4 <= len(x) <= 60:
        raise ValueError(
            f"Expected 4 to 60 points in the plane, shape (n, 2), got {tuple(x.shape)}. "
            "Take some of them: points[torch.randperm(len(points))[:60]]."
        )
    if not (x.isfinite().all() and (x.amin(0) < x.amax(0)).all()):
        raise ValueError("Expected finite points that differ in both coordinates.")
    start = _two_means(x) if means is None else torch.as_tensor(means).double()
    if start.ndim != 2 or start.shape[1] != 2 or len(start) not in (2, 3):
        raise ValueError(f"Expected 2 or 3 means, shape (k, 2), got {tuple(start.shape)}.")
    if not start.isfinite().all():
        raise ValueError(f"Expected finite means, got {start.tolist()}.")
    return Explorable("em", {"points": _pairs(x), "means": _pairs(start)})


def _two_means(x: Tensor) -> Tensor:
    """Centre ± one standard deviation along the first principal axis, the right one second."""
    variances, axes = torch.linalg.eigh(torch.cov(x.T, correction=0))
    side = axes[:, 1] * variances[1].sqrt()
    return x.mean(0) + torch.stack([-side, side]) * (1 if side[0] > 0 else -1)


def _pairs(rows: Tensor) -> str:
    return " ".join(f"{a!r},{b!r}" for a, b in rows.tolist())
