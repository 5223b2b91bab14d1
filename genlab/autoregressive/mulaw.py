"""µ-law: a signal as a few whole numbers, with fine steps where it is quiet."""

import math

import torch
from torch import Tensor

from genlab.em.kmeans import count

__all__ = ["from_mu_law", "mu_law"]


def mu_law(signal: Tensor, levels: int = 256) -> Tensor:
    """A signal in [−1, 1] as whole numbers, with fine steps where it is quiet.

    .. math:: k = \\operatorname{round} \\Bigl(\\frac{\\mu}{2} (1 + f(x))\\Bigr), \\qquad
              f(x) = \\operatorname{sign}(x) \\frac{\\ln(1 + \\mu |x|)}{\\ln(1 + \\mu)},
              \\quad \\mu = \\mathrm{levels} - 1

    The error is at most in proportion to 1/µ + |x|: noise that stays some 38 dB below the signal,
    loud or quiet, where equal steps lose 20 dB for each factor 10.

    Args:
        signal: of any shape.
        levels: how many whole numbers, 0 to levels − 1; at least 2.

    Returns:
        int64, of the signal's shape.

    Raises:
        ValueError: values outside [−1, 1], or NaN; levels below 2.

    Source: ITU-T 1988, recommendation G.711; van den Oord et al. 2016, arXiv:1609.03499, section
        2.2.

    Example:
        >>> mu_law(torch.tensor([-1.0, -0.01, 0.0, 0.01, 1.0]))
        tensor([  0,  98, 128, 157, 255])
    """
    mu, signal = _mu(levels), torch.as_tensor(signal).double()
    if not (signal.abs() <= 1).all():
        raise ValueError(
            f"Expected a signal in [-1, 1], got {signal.min().item():.4g} to "
            f"{signal.max().item():.4g}. Divide it by its largest absolute value."
        )
    f = signal.sign() * (mu * signal.abs()).log1p() / math.log1p(mu)
    return (mu / 2 * (1 + f) + 0.5).floor().long()


def from_mu_law(symbols: Tensor, levels: int = 256) -> Tensor:
    """The signal at the middle of each step, float32; ``mu_law`` leads back to the symbols.

    Args:
        symbols: whole numbers 0 to levels − 1, of any shape.
        levels: as in :func:`mu_law`.

    Raises:
        ValueError: other numbers; levels below 2.

    Example:
        >>> [round(x, 5) for x in from_mu_law(torch.tensor([0, 128, 255])).tolist()]
        [-1.0, 9e-05, 1.0]
    """
    mu, symbols = _mu(levels), torch.as_tensor(symbols)
    if not ((symbols >= 0) & (symbols <= mu) & (symbols == symbols.long())).all():
        raise ValueError(
            f"Expected whole numbers 0 to {mu}, as mu_law gives them, got some from "
            f"{symbols.min().item():.4g} to {symbols.max().item():.4g}."
        )
    f = 2 * symbols.double() / mu - 1
    return (f.sign() * torch.expm1(f.abs() * math.log1p(mu)) / mu).float()


def _mu(levels: int) -> int:
    if count(levels, "levels") < 2:
        raise ValueError(f"Expected levels as an integer >= 2, got {levels!r}.")
    return levels - 1
