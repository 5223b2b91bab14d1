"""The figure of chapter 08 on your own points: a GAN that trains in the page."""

import torch
from torch import Tensor

from genlab.interact.explorable import Explorable


def explore_gans(points: Tensor | None = None) -> Explorable:
    """Let a GAN learn your own points, step by step: the figure of chapter 08.

    An example is one of the points, each as likely as the others. They are moved and scaled, both
    coordinates by one factor, so that they just fit into [−1, 1]². Ring, grid and moons stay to
    be chosen; without points they are all there is.

    Args:
        points: ``[n, 2]``, 2 ≤ n ≤ 1000.

    Returns:
        an object to leave as the last line of a cell; it needs no kernel once it is shown.

    Raises:
        ValueError: points that do not fit.

    Example:
        >>> explore_gans(torch.tensor([[0.0, 1.0], [4.0, 1.0], [4.0, 3.0]])).attributes
        {'points': '-1.0,-0.5 1.0,-0.5 1.0,0.5'}
    """
    if points is None:
        return Explorable("gans", {})
    x = torch.as_tensor(points).double()
    if x.ndim != 2 or x.shape[1] != 2 or not 2 <= len(x) <= 1000:
        raise ValueError(
            f"Expected 2 to 1000 points in the plane, shape (n, 2), got {tuple(x.shape)}. "
            "Take some of them: points[torch.randperm(len(points))[:1000]]."
        )
    low, high = x.amin(0), x.amax(0)
    reach = float((high - low).max()) / 2
    if not 0 < reach < float("inf"):  # NaN is not, either
        raise ValueError("Expected finite points that are not all equal.")
    x = ((x - (low + high) / 2) / reach).round(decimals=4)
    return Explorable("gans", {"points": " ".join(f"{a!r},{b!r}" for a, b in x.tolist())})
