"""Zero-sum games: what one player gets, the other pays; by a linear programme, or by playing.

Red chooses a row, Blue a column, and Blue pays Red A_ij. Red draws rows from p, Blue columns from
q. The least that p is sure of is min_j (pᵀA)_j, the most that q may cost is max_i (Aq)_i. Never is
the first above the second; for the best p and q they are equal (von Neumann): the value.
"""

from typing import NamedTuple

import numpy as np
import torch
from scipy.optimize import linprog
from torch import Tensor

from genlab.divergences import NotConverged, probabilities
from genlab.em.kmeans import count

__all__ = [
    "Equilibrium",
    "FictitiousPlay",
    "PurePlay",
    "best_response_gap",
    "fictitious_play",
    "pure_play",
    "solve_zero_sum",
]


class PurePlay(NamedTuple):
    """What each player is sure of without mixing: Red ``maximin`` by ``row``, Blue ``minimax``.

    Where the two are equal, (row, column) is an equilibrium. Else who moves second has the gain.
    """

    maximin: float
    row: int
    minimax: float
    column: int


class Equilibrium(NamedTuple):
    """The value of a game, and mixtures ``row`` ``[n]`` and ``column`` ``[m]`` that secure it."""

    value: float
    row: Tensor
    column: Tensor


class FictitiousPlay(NamedTuple):
    """How often each choice was made, as shares, and what they secured after each round.

    Attributes:
        row, column: shares ``[n]`` and ``[m]``.
        lower, upper: min_j (pᵀA)_j and max_i (Aq)_i of the shares so far, ``[rounds]``: the value
            lies between them.
    """

    row: Tensor
    column: Tensor
    lower: Tensor
    upper: Tensor


def pure_play(payoff: Tensor) -> PurePlay:
    """max_i min_j A_ij and min_j max_i A_ij, with the row and the column; the first of equals.

    Args:
        payoff: A ``[n, m]``, what the column player pays the row player.

    Raises:
        ValueError: no matrix, or NaN or infinite entries.

    Example: no equilibrium without mixing.
        >>> pure_play([[30.0, -10.0, 20.0], [-10.0, 20.0, -20.0]])
        PurePlay(maximin=-10.0, row=0, minimax=20.0, column=1)
    """
    payoff = _matrix(payoff)
    sure, cost = payoff.amin(1), payoff.amax(0)
    row, column = int(sure.argmax()), int(cost.argmin())
    return PurePlay(float(sure[row]), row, float(cost[column]), column)


def solve_zero_sum(payoff: Tensor) -> Equilibrium:
    """The best mixtures of both players and the value of the game, by one linear programme.

    ::

        max v   with  (pᵀA)_j ≥ v for all j,   p ≥ 0,  Σ p = 1

    The prices of its m constraints are Blue's mixture: the two players' programmes are dual.

    Args:
        payoff: A ``[n, m]``, what the column player pays the row player.

    Returns:
        an :class:`Equilibrium`, float64; one of them where there are several.

    Raises:
        ValueError: no matrix, or NaN or infinite entries.
        NotConverged: mixtures whose best-response gap is not 0, to 1e-9 of the largest payoff.

    Source: von Neumann 1928, Math. Ann. 100, 295; Dantzig 1951.

    Example:
        >>> found = solve_zero_sum([[30.0, -10.0, 20.0], [-10.0, 20.0, -20.0]])
        >>> round(7 * found.value, 6), (7 * found.row).round().tolist()
        (20.0, [4.0, 3.0])
        >>> (7 * found.column).abs().round().tolist()
        [0.0, 4.0, 3.0]
    """
    payoff = _matrix(payoff)
    n, m = payoff.shape
    scale = float(payoff.abs().max()) or 1.0  # HiGHS judges by absolute tolerances
    found = linprog(
        np.r_[np.zeros(n), -1.0],
        A_ub=np.c_[-payoff.T.numpy() / scale, np.ones(m)],
        b_ub=np.zeros(m),
        A_eq=np.r_[np.ones(n), 0.0][None],
        b_eq=[1.0],
        bounds=[(0, None)] * n + [(None, None)],
        method="highs",
        options={"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10},
    )
    if found.status != 0:
        raise NotConverged(f"The linear programme was not solved: {found.message}")
    row = torch.from_numpy(found.x[:n]).clamp_min(0)
    column = torch.from_numpy(-found.ineqlin.marginals).clamp_min(0)
    row, column = row / row.sum(), column / column.sum()
    gap = best_response_gap(payoff, row, column)
    if not gap <= 1e-9 * scale:
        raise NotConverged(
            f"In the solver's mixtures a player could still gain {gap:.1g}. Very unequal payoffs "
            "do that: rescale them."
        )
    return Equilibrium(float(row @ payoff @ column), row, column)


def best_response_gap(payoff: Tensor, row: Tensor, column: Tensor) -> float:
    """max_i (Aq)_i − min_j (pᵀA)_j: what both could gain by the best answer; 0 at an equilibrium.

    Args:
        payoff: A ``[n, m]``.
        row, column: mixtures p ``[n]`` and q ``[m]``.

    Raises:
        ValueError: no matrix, mixtures that are not probabilities or of another length.

    Source: Nash 1951, Ann. Math. 54, 286 (no player gains by a change of his own alone).

    Example: matching pennies. Who always shows heads can lose 1, and tosses can not.
        >>> pennies = [[1.0, -1.0], [-1.0, 1.0]]
        >>> best_response_gap(pennies, [1.0, 0.0], [0.5, 0.5])
        1.0
        >>> best_response_gap(pennies, [0.5, 0.5], [0.5, 0.5])
        0.0
    """
    payoff = _matrix(payoff)
    (row,), (column,) = probabilities(row), probabilities(column)
    if (len(row), len(column)) != tuple(payoff.shape) or row.ndim != 1 or column.ndim != 1:
        raise ValueError(
            f"Expected mixtures of {payoff.shape[0]} rows and {payoff.shape[1]} columns, got "
            f"shapes {tuple(row.shape)} and {tuple(column.shape)}."
        )
    return float((payoff @ column.double()).max() - (row.double() @ payoff).min())


def fictitious_play(payoff: Tensor, rounds: int) -> FictitiousPlay:
    """Each round both answer best to the shares of the other's choices so far.

    Both begin with their first choice; of equal answers the first is taken. The shares tend to an
    equilibrium (Robinson), slowly. The choices themselves never settle where it is mixed.

    Args:
        payoff: A ``[n, m]``.
        rounds: 1 or more.

    Raises:
        ValueError: no matrix, NaN or infinite entries, or no round.

    Source: Brown 1951; Robinson 1951, Ann. Math. 54, 296.

    Example:
        >>> play = fictitious_play([[1.0, -1.0], [-1.0, 1.0]], 1000)
        >>> bool(play.lower[-1] <= 0 <= play.upper[-1]), bool(play.upper[-1] < 0.1)
        (True, True)
    """
    payoff = _matrix(payoff)
    A, rounds = payoff.numpy(), count(rounds, "rounds")
    rows, columns = (np.zeros(size) for size in A.shape)
    earned, paid = np.zeros(len(A)), np.zeros(A.shape[1])  # by each choice, against all so far
    lower, upper = np.empty(rounds), np.empty(rounds)
    i = j = 0
    for t in range(rounds):
        rows[i] += 1
        columns[j] += 1
        earned += A[:, j]
        paid += A[i]
        i, j = earned.argmax(), paid.argmin()
        lower[t], upper[t] = paid[j], earned[i]
    so_far = np.arange(1, rounds + 1)
    results = rows / rounds, columns / rounds, lower / so_far, upper / so_far
    return FictitiousPlay(*map(torch.from_numpy, results))


def _matrix(payoff: Tensor) -> Tensor:
    payoff = torch.as_tensor(payoff).detach().double()
    if payoff.ndim != 2 or payoff.numel() == 0 or not payoff.isfinite().all():
        raise ValueError(
            "Expected a matrix of finite payoffs, what the row player gets for each row and "
            f"column, got shape {tuple(payoff.shape)} with "
            f"{int((~payoff.isfinite()).sum())} entries NaN or infinite."
        )
    return payoff
