"""Is a point an interpolation of others?"""

import numpy as np
import torch
from torch import Tensor

from genlab.models.inputs import query_points, training_data


def in_convex_hull(points: Tensor, queries: Tensor) -> Tensor:
    """Which queries are weighted means of the points: Σᵢ wᵢ xᵢ with wᵢ ≥ 0 and Σᵢ wᵢ = 1.

    One linear program a query asks whether such weights exist. No hull is built, which would be
    hopeless beyond about ten dimensions.

    Args:
        points: ``[n, d]``.
        queries: ``[m, d]``.

    Returns:
        bool ``[m]``; true on the boundary too, within the 1e-7 of the solver.

    Raises:
        ValueError: bad data, or queries of another dimension.

    Source: Bárány & Füredi 1988, Discrete Comput. Geom. 3, 231 (how fast high dimensions empty
    the hull).

    Example:
        >>> triangle = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
        >>> in_convex_hull(triangle, torch.tensor([[0.3, 0.3], [0.7, 0.7]]))
        tensor([ True, False])
    """
    points = training_data(points).detach().double()
    if points.ndim != 2:
        raise ValueError(f"Expected points of shape (n, d), got {tuple(points.shape)}.")
    queries = query_points(queries, tuple(points.shape[1:])).detach().double()
    # In units of the spread, so that the solver's tolerance is small on every axis.
    middle, spread = points.mean(0), points.std(0, correction=0)
    spread = torch.where(spread > 0, spread, 1)
    points, queries = ((t - middle) / spread for t in (points, queries))
    A = np.vstack([points.T.numpy(), np.ones(len(points))])
    return torch.tensor([_feasible(A, np.append(q.numpy(), 1.0)) for q in queries]).bool()


def _feasible(A: np.ndarray, b: np.ndarray) -> bool:
    """Is there a w ≥ 0 with A w = b?"""
    from scipy.optimize import linprog  # here, as importing it takes half a second

    found = linprog(np.zeros(A.shape[1]), A_eq=A, b_eq=b, bounds=(0, None), method="highs")
    if found.status not in (0, 2):
        raise RuntimeError(f"The linear program could not be decided: {found.message}")
    return found.status == 0
