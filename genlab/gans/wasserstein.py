"""Wasserstein's distance as a game: the best critic among those that rise only so steeply.

Kantorovich and Rubinstein: W₁(p, q) = (1/K) sup (E_p D − E_q D) over all D with |D(x) − D(y)| ≤
K |x − y|. On a finite set the supremum is a linear programme. How to keep a network's slope down
stands in :mod:`genlab.gans.penalties`.
"""

from typing import NamedTuple

import numpy as np
import scipy.sparse
import torch
from scipy.optimize import linprog
from torch import Tensor

from genlab.divergences import NotConverged, probabilities
from genlab.em.kmeans import count

__all__ = ["BestCritic", "kantorovich_rubinstein", "parallel_lines"]


class BestCritic(NamedTuple):
    """``value`` E_p D − E_q D of the best critic with slope ≤ K, and its values ``[n]``."""

    value: float
    critic: Tensor


def kantorovich_rubinstein(
    p: Tensor, q: Tensor, distance: Tensor, *, lipschitz: float = 1.0
) -> BestCritic:
    """max Σ (p − q) D over D with D_i − D_j ≤ K d_ij: K times W₁, by a linear programme.

    Its dual is transport: :func:`genlab.divergences.transport` with the costs d has the same value.
    A constant added to D changes nothing, since both terms stand under the supremum; here D_0 = 0.

    Args:
        p, q: probabilities ``[n]`` of the same n points.
        distance: d ``[n, n]``, a metric. n of a hundred takes a second.
        lipschitz: K > 0.

    Raises:
        ValueError: tables that are not probabilities, a matrix that is no metric, or a K that is
            not positive.
        NotConverged: a critic that breaks a constraint by more than 1e-9 of the largest distance.

    Source: Kantorovich & Rubinstein 1958; Villani 2003, theorem 1.14; Arjovsky, Chintala & Bottou
        2017, arXiv:1701.07875, eq. 2 and 3.

    Example: two points, a distance 3 apart; the law moves half its mass.
        >>> d = torch.tensor([[0.0, 3.0], [3.0, 0.0]])
        >>> found = kantorovich_rubinstein([0.0, 1.0], [0.5, 0.5], d, lipschitz=2.0)
        >>> found.value / 2.0, found.critic
        (1.5, tensor([0., 6.], dtype=torch.float64))
    """
    p, q = (table.detach().double() for table in probabilities(p, q))
    d = torch.as_tensor(distance).detach().double()
    if not 0 < lipschitz < float("inf"):
        raise ValueError(f"Expected a Lipschitz constant > 0, got {lipschitz}.")
    if p.ndim != 1 or d.shape != (len(p), len(p)) or not _is_metric(d):
        raise ValueError(
            f"Expected p and q of shape (n,) and an (n, n) matrix of distances, symmetric, 0 on "
            f"the diagonal, and nowhere longer than a detour, got {tuple(p.shape)} and "
            f"{tuple(d.shape)}. torch.cdist(x, x) is one; its square is not: transport takes that."
        )
    n, scale = len(p), float(d.max()) or 1.0  # HiGHS judges by absolute tolerances
    i, j = (~torch.eye(n, dtype=torch.bool)).nonzero().T.numpy()
    pairs = np.arange(len(i))
    ones = np.ones(len(i))
    found = linprog(
        (q - p).numpy(),
        A_ub=scipy.sparse.csr_array(
            (np.r_[ones, -ones], (np.r_[pairs, pairs], np.r_[i, j])), shape=(len(i), n)
        ),
        b_ub=(d / scale).numpy()[i, j],
        bounds=[(0, 0)] + [(None, None)] * (n - 1),
        method="highs",
        options={"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10},
    )
    if found.status != 0:
        raise NotConverged(f"The linear programme was not solved: {found.message}")
    critic = torch.from_numpy(found.x) * scale
    steepest = float((critic[:, None] - critic - d).max())
    if not steepest <= 1e-9 * scale:
        raise NotConverged(
            f"The solver's critic rises {steepest:.1g} more than the distance allows. Very unequal "
            "distances do that: rescale them."
        )
    critic = lipschitz * critic
    return BestCritic(float((p - q) @ critic), critic)


def parallel_lines(offset: float, n: int) -> tuple[Tensor, Tensor]:
    """n points each of two laws: (0, u) and (θ, u) with u uniform on [0, 1], at the same heights.

    For θ ≠ 0 no point is on both lines: KL is infinite both ways, JSD is log 2 whatever θ, and none
    of them tells a generator where to go. W₁ = |θ| does.

    Args:
        offset: θ.
        n: points on each line; heights (i + ½)/n.

    Returns:
        two tensors ``[n, 2]``, float64.

    Raises:
        ValueError: n < 1.

    Source: Arjovsky, Chintala & Bottou 2017, example 1.

    Example:
        >>> parallel_lines(0.5, 2)[1]
        tensor([[0.5000, 0.2500],
                [0.5000, 0.7500]], dtype=torch.float64)
    """
    height = (torch.arange(count(n, "n"), dtype=torch.float64) + 0.5) / n
    return tuple(
        torch.stack([torch.full_like(height, at), height], 1) for at in (0.0, float(offset))
    )


def _is_metric(d: Tensor) -> bool:
    slack = 1e-6 * d.abs().max()  # distances in single precision are rounded
    return bool(
        d.isfinite().all()
        and (d >= 0).all()
        and (d.diagonal() <= slack).all()
        and ((d - d.T).abs() <= slack).all()
        and all((d <= d[:, k, None] + d[k] + slack).all() for k in range(len(d)))
    )
