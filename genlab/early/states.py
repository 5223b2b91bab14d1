"""Vectors of zeros and ones: all of them where they are few, and data that should be such.

A sum over n binary units has 2ⁿ terms. Up to 20 units it is taken: what is estimated in this
chapter has its referee there.
"""

import torch
from torch import Tensor

from genlab.em.kmeans import count
from genlab.models import query_points

__all__ = ["binary", "states"]

MOST = 20


def states(units: int) -> Tensor:
    """Every vector of zeros and ones, float64 ``[2 ** units, units]``; the last bit changes first.

    Raises:
        ValueError: no unit, or more than 20.

    Example:
        >>> states(2).tolist()
        [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]
    """
    if count(units, "units") > MOST:
        raise ValueError(
            f"Expected at most {MOST} binary units to enumerate, got {units}: 2^{units} states are "
            "too many. Estimate: log Z of a Boltzmann machine by ais_log_partition, log p(x) of a "
            "net with an encoder by importance_log_prob."
        )
    return (torch.arange(2**units)[:, None] >> torch.arange(units - 1, -1, -1) & 1).double()


def binary(x: Tensor, units: int) -> Tensor:
    """Check rows of zeros and ones, ``[batch, units]``, and return them as floats.

    Raises:
        ValueError: another shape, or entries that are neither 0 nor 1: their share is named.

    Example:
        >>> binary(torch.tensor([[0.0, 0.5]]), 2)
        Traceback (most recent call last):
        ...
        ValueError: Expected zeros and ones, got 50 % of the entries between or beyond, from 0 to
        0.5. Threshold them, (x > 0.5).float(), or draw them, torch.bernoulli(x).
    """
    x = query_points(x, (units,))
    other = (x != 0) & (x != 1)
    if other.any():
        share = 100 * float(other.double().mean())
        raise ValueError(
            f"Expected zeros and ones, got {share:.3g} % of the entries between or beyond, from "
            f"{x.min():.4g} to {x.max():.4g}. Threshold them, (x > 0.5).float(), or draw them, "
            "torch.bernoulli(x)."
        )
    return x
