"""Markov chains that keep a given law: the way to draw from what is known up to a factor.

A kernel K_ij is the chance to go from state i to j. It keeps π where πK = π; it does so where
π_i K_ij = π_j K_ji for every pair (detailed balance). If it can also reach every state, the chain's
law tends to π from wherever it starts, by the factor |λ₂| each step, the second largest of the
eigenvalues' absolute values. Nothing says that |λ₂| is far from 1.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from genlab.divergences import probabilities

__all__ = [
    "double_well",
    "gibbs_kernel",
    "imbalance",
    "metropolis_kernel",
    "spectral_gap",
    "stationary",
]


def metropolis_kernel(weights: Tensor, proposal: Tensor) -> Tensor:
    """Propose j from i with chance Q_ij, accept with min(1, π_j Q_ji / (π_i Q_ij)), else stay.

    Only ratios of π enter: weights need no sum of one.

    Args:
        weights: π up to a factor, ``[S]``, all > 0.
        proposal: Q ``[S, S]``, rows that sum to one, Q_ij > 0 just where Q_ji > 0.

    Raises:
        ValueError: tables that do not fit, or weights that are not positive.

    Source: Metropolis et al. 1953, J. Chem. Phys. 21, 1087; Hastings 1970, Biometrika 57, 97.

    Example: a fair coin proposes; the second state has twice the weight.
        >>> metropolis_kernel(torch.tensor([1.0, 2.0]), torch.full((2, 2), 0.5))
        tensor([[0.5000, 0.5000],
                [0.2500, 0.7500]])
    """
    proposal = checked_kernel(proposal)
    if weights.shape != (len(proposal),) or not (weights > 0).all():
        raise ValueError(
            f"Expected one weight > 0 for each of the {len(proposal)} states, got shape "
            f"{tuple(weights.shape)} with a smallest of {weights.min():.4g}."
        )
    forth = weights[:, None] * proposal
    moves = torch.minimum(forth, forth.T) / weights[:, None]
    moves = moves - moves.diagonal().diag()
    return moves + (1 - moves.sum(1)).diag()


def gibbs_kernel(joint: Tensor, axes: int | Sequence[int]) -> Tensor:
    """Draw some of the variables anew from their law given the others.

    Two such kernels by turns, for z₁ given z₂ and for z₂ given z₁, are data augmentation; for the
    law p(z₁, z₂ | x) they draw from a posterior of which only the conditionals are known.

    Args:
        joint: p(z₁, …, z_n) up to a factor, all > 0, an axis a variable.
        axes: the variables that are drawn.

    Returns:
        ``[S, S]``, the S states in the order of ``joint.flatten()``.

    Raises:
        ValueError: entries that are not positive.

    Source: Geman and Geman 1984; Tanner and Wong 1987, J. Am. Stat. Assoc. 82, 528.

    Example: of two equal bits the second follows the first for good.
        >>> gibbs_kernel(torch.tensor([[0.5, 1e-9], [1e-9, 0.5]]), 1).round(decimals=2)[:2]
        tensor([[1., 0., 0., 0.],
                [1., 0., 0., 0.]])
    """
    if not (joint > 0).all():
        raise ValueError(f"Expected a table of weights > 0, got a smallest of {joint.min():.4g}.")
    axes = (axes,) if isinstance(axes, int) else tuple(axes)
    given = (joint / joint.sum(axes, keepdim=True)).flatten()
    index = torch.arange(joint.numel()).reshape(joint.shape)
    for axis in axes:  # states that differ in nothing but the drawn variables have one number
        index = index.select(axis, 0).unsqueeze(axis).expand(joint.shape)
    block = index.flatten()
    return (block[:, None] == block) * given


def stationary(kernel: Tensor) -> Tensor:
    """The law π with πK = π, ``[S]``: the left eigenvector of the eigenvalue 1.

    Raises:
        ValueError: no kernel, or one that keeps several laws since it never leaves some states.

    Example:
        >>> stationary(torch.tensor([[0.9, 0.1], [0.3, 0.7]]))
        tensor([0.7500, 0.2500])
    """
    kernel = checked_kernel(kernel)
    values, vectors = torch.linalg.eig(kernel.T)
    ones = (values - 1).abs() < 1e-5 if kernel.dtype == torch.float32 else (values - 1).abs() < 1e-9
    if ones.sum() > 1:
        raise ValueError("The chain falls into parts that it never leaves: it keeps several laws.")
    law = vectors[:, (values - 1).abs().argmin()].real
    return law / law.sum()


def imbalance(law: Tensor, kernel: Tensor) -> float:
    """max |π_i K_ij − π_j K_ji|: 0 in detailed balance, and then πK = π.

    Example: a walk round a ring keeps the uniform law without detailed balance.
        >>> ring = torch.eye(3).roll(1, 1)
        >>> imbalance(torch.full((3,), 1 / 3), ring)
        0.3333333432674408
    """
    (law,), kernel = probabilities(law), checked_kernel(kernel)
    flow = law[:, None] * kernel
    return float((flow - flow.T).abs().max())


def spectral_gap(kernel: Tensor) -> float:
    """1 − |λ₂|: the distance to π shrinks by the factor 1 − gap each step, in the long run.

    Example:
        >>> round(spectral_gap(torch.tensor([[0.9, 0.1], [0.3, 0.7]])), 4)
        0.4
    """
    return float(1 - torch.linalg.eigvals(checked_kernel(kernel)).abs().sort().values[-2])


def double_well(barrier: float, points: int = 41) -> Tensor:
    """π ∝ exp(−barrier · (x² − 1)²) on a grid of [−1.75, 1.75], ``[points]``, float64.

    Two wells at ±1 with a barrier of this height, in nats, between them at 0. A chain of short
    steps must climb it, so the time between crossings grows as e^barrier.

    Example:
        >>> p = double_well(3.0)
        >>> round(float(torch.log(p.max() / p[20])), 1)
        3.0
    """
    x = torch.linspace(-1.75, 1.75, points, dtype=torch.float64)
    return (-barrier * (x**2 - 1) ** 2).softmax(0)


def checked_kernel(kernel: Tensor) -> Tensor:
    """A square matrix of entries ≥ 0 with rows that sum to one, or a sentence on what is wrong."""
    kernel = torch.as_tensor(kernel)
    if kernel.ndim != 2 or kernel.shape[0] != kernel.shape[1] or (kernel < 0).any():
        raise ValueError(
            f"Expected a kernel [S, S] with entries >= 0, got shape {tuple(kernel.shape)}."
        )
    if not torch.allclose(kernel.sum(1), kernel.new_ones(())):
        raise ValueError(
            f"Expected rows that sum to 1, got sums from {kernel.sum(1).min():.6g} to "
            f"{kernel.sum(1).max():.6g}."
        )
    return kernel
