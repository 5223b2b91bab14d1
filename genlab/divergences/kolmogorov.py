"""The distance between distribution functions, which sees a limit that total variation does not."""

from collections.abc import Callable

import torch
from torch import Tensor

from genlab.divergences.checks import probabilities


def kolmogorov(support: Tensor, p: Tensor, cdf: Callable[[Tensor], Tensor]) -> Tensor:
    """sup_t |F(t) − G(t)| between a law on finitely many numbers and a continuous law, exactly.

    F is a staircase and G ascends, so the supremum is at a step: above it or just below it.

    Args:
        support: the values, ``[m]``, ascending.
        p: their probabilities, ``[m]``.
        cdf: G, continuous, elementwise.

    Raises:
        ValueError: values that do not ascend, a table that is not a probability, or a cdf that is
            not one value between 0 and 1 a point.

    Source: Kolmogorov 1933; Gibbs & Su 2002, arXiv:math/0209021.

    Example: the sum of 100 fair signs over its standard deviation, against N(0, 1).
        >>> from genlab.data import SignSums
        >>> law = SignSums(100)
        >>> round(float(kolmogorov(law.support, law.log_prob(law.support).exp(),
        ...                        torch.special.ndtr)), 5)
        0.03979
    """
    (p,), support = probabilities(p), torch.as_tensor(support)
    support = support if support.is_floating_point() else support.double()
    ascending = (support.diff() > 0).all() and not support.isnan().any()
    if p.ndim != 1 or support.shape != p.shape or not ascending:
        raise ValueError(
            "Expected a support in ascending order and its probabilities, of one shape (m,), got "
            f"{tuple(support.shape)} and {tuple(p.shape)}."
        )
    above = p.cumsum(0)
    below = above - p
    limit = cdf(support)
    if limit.shape != support.shape or not ((limit >= 0) & (limit <= 1)).all():
        raise ValueError(
            f"Expected from cdf one value between 0 and 1 for each of the {len(support)} values, "
            f"got shape {tuple(limit.shape)} with values from {limit.min():g} to {limit.max():g}."
        )
    return torch.maximum((above - limit).abs(), (below - limit).abs()).max()
