"""Estimates hit the truth on average, bounds stay below it, and what climbs does not fall."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from genlab.laws.broken import LawBroken

__all__ = ["bounds_from_below", "never_goes_down", "unbiased"]


def unbiased(estimates: Tensor, truth: float) -> float:
    """The mean of independent estimates is the truth: |z| < 4, z by their own spread.

    Args:
        estimates: ``[repetitions]``, at least 30.
        truth: the exact value.

    Returns:
        z.

    Example:
        >>> draws = torch.randn(1000, generator=torch.Generator().manual_seed(0))
        >>> abs(unbiased(draws, truth=0.0)) < 4
        True
    """
    if estimates.ndim != 1 or len(estimates) < 30:
        raise ValueError(
            f"Expected 30 or more estimates in one axis, got shape {tuple(estimates.shape)}."
        )
    if not estimates.isfinite().all():
        bad = int((~estimates.isfinite()).sum())
        raise LawBroken(f"{bad} of the {len(estimates)} estimates are NaN or infinite.")
    rounding = torch.finfo(estimates.dtype if estimates.is_floating_point() else torch.float64).eps
    estimates = estimates.double()
    mean = float(estimates.mean())
    # Estimates that are all equal have no spread, but they are rounded.
    error = max(float(estimates.std() / math.sqrt(len(estimates))), rounding * abs(mean))
    z = (mean - truth) / error if error > 0 else (0.0 if mean == truth else math.inf)
    if not abs(z) < 4:
        raise LawBroken(
            f"The estimates average {mean:.6g} ± {error:.2g}, the truth is {truth:.6g}: "
            f"they are {abs(z):.1f} standard errors apart, so the estimator is biased."
        )
    return z


def never_goes_down(history: Sequence[float] | Tensor, tolerance: float = 1e-9) -> float:
    """An objective that EM or another exact ascent climbs is never less than it was before.

    Args:
        history: values in order, two or more; −inf may only come first.
        tolerance: how much a value may fall short of the one before, for rounding.

    Returns:
        the gain from the first value to the last.

    Raises:
        LawBroken: NaN or +∞, or a fall of more than the tolerance: the largest is named.
        ValueError: fewer than two values, or more than one axis.

    Example:
        >>> never_goes_down([-3.0, -1.5, -1.5])
        1.5
        >>> never_goes_down([-3.0, -1.5, -1.75])  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        ...
        genlab.laws.broken.LawBroken: The objective falls by 0.25 at step 2, from -1.5 to -1.75. ...
    """
    values = torch.as_tensor(history, dtype=torch.float64)
    if values.ndim != 1 or len(values) < 2:
        raise ValueError(f"Expected two or more values in a row, got shape {tuple(values.shape)}.")
    bad = values.isnan() | (values == math.inf)
    if bad.any():
        first = int(bad.nonzero()[0])
        raise LawBroken(f"The objective is {values[first]:g} at step {first}.")
    # A pair of -inf has not fallen; its difference would be NaN.
    falls = torch.where(values[1:] == values[:-1], 0.0, values[:-1] - values[1:])
    worst = int(falls.argmax())
    if falls[worst] > tolerance:
        raise LawBroken(
            f"The objective falls by {falls[worst]:.3g} at step {worst + 1}, from "
            f"{values[worst]:.8g} to {values[worst + 1]:.8g}. Does the E step use the parameters "
            "of the step before, the M step maximise exactly, and the history hold one objective?"
        )
    return float(values[-1] - values[0])


def bounds_from_below(
    bound: Tensor,
    log_prob: Tensor,
    touching: Tensor | bool = False,
    tolerance: float = 1e-9,
) -> float:
    """A lower bound is never above what it bounds, and equals it where the theory says so.

    Args:
        bound: ELBO, or another exact (not sampled) lower bound, any shape; −inf is allowed.
        log_prob: the exact values, of the same shape.
        touching: where the two must be equal: a mask of that shape, or True for everywhere.
        tolerance: allowed for rounding.

    Returns:
        the largest gap.

    Raises:
        LawBroken: NaN, a bound above, or one that does not touch.
        ValueError: shapes that differ, no values, or a mask that is not bool.

    Example:
        >>> bounds_from_below(torch.tensor([-2.0, -1.0]), torch.tensor([-1.5, -1.0]))
        0.5
    """
    bound, log_prob = torch.as_tensor(bound).double(), torch.as_tensor(log_prob).double()
    touching = torch.as_tensor(touching)
    if bound.shape != log_prob.shape or touching.shape not in ((), bound.shape):
        raise ValueError(
            f"Expected a bound, values and a mask of one shape, got {tuple(bound.shape)}, "
            f"{tuple(log_prob.shape)} and {tuple(touching.shape)}."
        )
    if touching.dtype != torch.bool:
        raise ValueError(f"Expected a mask of truth values, got {touching.dtype}.")
    if bound.numel() == 0:
        raise ValueError("Expected one value or more, got none.")
    if bound.isnan().any() or log_prob.isnan().any():
        raise LawBroken(
            f"The bound is NaN {int(bound.isnan().sum())} times, the log-probability "
            f"{int(log_prob.isnan().sum())} times, of {bound.numel()}."
        )
    gap = torch.where(bound == log_prob, 0.0, log_prob - bound)
    if gap.min() < -tolerance:
        raise LawBroken(
            f"The bound is above what it bounds, by {-gap.min():.3g} nats at most, in "
            f"{int((gap < -tolerance).sum())} of {gap.numel()} cases. Is the entropy of q added "
            "with the right sign, and does q sum to one?"
        )
    apart = gap[touching.expand(gap.shape)]
    if apart.numel() and apart.max() > tolerance:
        raise LawBroken(
            f"The bound stays {apart.max():.3g} nats below where it must touch. Is q there the "
            "posterior p(z | x) of the same parameters?"
        )
    return float(gap.max())
