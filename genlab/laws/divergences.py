"""A divergence is never negative, and zero only between equal laws."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from genlab.laws.broken import LawBroken, describe

__all__ = ["is_divergence"]


def is_divergence(
    divergence: Callable[[Tensor, Tensor], Tensor | float],
    m: int = 4,
    pairs: int = 50,
    *,
    generator: torch.Generator | None = None,
) -> float:
    """D(p, q) ≥ 0, and D(p, q) = 0 only where p = q: on random laws on m values.

    Among the pairs are laws with zeros, and laws of which one is the other reordered. D may be +∞;
    it need not be symmetric.

    Args:
        divergence: takes two probability tables ``[m]``, float64, and returns a number.
        m: number of values, at least 3.
        pairs: number of random pairs.

    Returns:
        the smallest value between two different laws.

    Raises:
        LawBroken: a value that is NaN, negative, not zero for equal laws, or zero for others.
        ValueError: m below 3 or no pairs.

    Example:
        >>> g = torch.Generator().manual_seed(0)
        >>> is_divergence(lambda p, q: 0.5 * (p - q).abs().sum(), generator=g) > 0
        True
    """
    if m < 3 or pairs < 1:
        raise ValueError(f"Expected m >= 3 values and pairs >= 1, got m={m} and pairs={pairs}.")
    least = math.inf
    for i in range(pairs):
        p, q = -torch.rand(2, m, dtype=torch.float64, generator=generator).clamp_min(1e-9).log()
        if i % 4 == 1:
            p[0] = q[0] = 0.0
        elif i % 4 == 2:
            p[0] = 0.0
        elif i % 4 == 3:
            q = p.roll(1)
        p, q = p / p.sum(), q / q.sum()
        itself, value = _number(divergence, p, p), _number(divergence, p, q)
        if abs(itself) > 1e-9:
            raise LawBroken(
                f"D(p, p) is {itself:.4g}, not 0, for p = {_table(p)}. Do the two terms cancel "
                "when the laws are equal? Look at the sign of each."
            )
        if not value > 1e-12:
            fault = "zero" if abs(value) <= 1e-12 else "negative"
            why = (
                "Is the mean taken under the law that stands in front of the logarithm, and is "
                "the ratio the right way up?"
                if fault == "negative"
                else "It must compare the two laws value by value."
            )
            raise LawBroken(
                f"D(p, q) = {value:.4g} is {fault} although the laws differ: p = {_table(p)}, "
                f"q = {_table(q)}. {why}"
            )
        least = min(least, value)
    return least


def _number(divergence: Callable[[Tensor, Tensor], Tensor | float], p: Tensor, q: Tensor) -> float:
    value = torch.as_tensor(divergence(p, q))
    if value.numel() != 1:
        raise LawBroken(f"A divergence is one number, got {describe(value)}. Sum over the values.")
    if value.isnan():
        zeros = " Remember 0 log 0 = 0: torch.xlogy." if (p * q == 0).any() else ""
        raise LawBroken(f"D(p, q) is NaN for p = {_table(p)}, q = {_table(q)}.{zeros}")
    return float(value)


def _table(p: Tensor) -> str:
    return "(" + ", ".join(f"{v:.3g}" for v in p.tolist()) + ")"
