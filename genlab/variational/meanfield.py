"""The best factorised Gaussian, in both directions of KL: too narrow, or as wide as the margins."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.distributions import Independent, MultivariateNormal, Normal, kl_divergence

from genlab.em.kmeans import count
from genlab.models import query_points


class Ascent(NamedTuple):
    """What :func:`coordinate_ascent` returns.

    Attributes:
        q: the last factorised law, event ``(d,)``.
        means: the mean of q at the start and after every update, ``[1 + sweeps·d, d]``.
        history: the bound at the same points, nats; it never goes down.
    """

    q: Independent
    means: Tensor
    history: list[float]


def mean_field(p: MultivariateNormal) -> Independent:
    """The factorised q nearest to p in KL(q ‖ p): variances 1/Λⱼⱼ, Λ the precision of p.

    It is what variational inference finds. 1/Λⱼⱼ is the variance of zⱼ given all the others, never
    more than the variance of zⱼ: with correlated variables q is too narrow.

    Args:
        p: one normal law, event ``(d,)``.

    Returns:
        a normal law with independent coordinates and the same mean.

    Raises:
        TypeError: another kind of law.
        ValueError: a batch of laws.

    Source: Bishop 2006, Pattern Recognition and Machine Learning, section 10.1.2.

    Example: correlation 0.8 leaves 1 − 0.8² of the variance.
        >>> p = MultivariateNormal(torch.zeros(2), torch.tensor([[1.0, 0.8], [0.8, 1.0]]))
        >>> mean_field(p).variance
        tensor([0.3600, 0.3600])
    """
    _one(p)
    return Independent(Normal(p.loc, p.precision_matrix.diagonal().rsqrt()), 1)


def margins(p: MultivariateNormal) -> Independent:
    """The factorised q nearest to p in KL(p ‖ q): the product of the margins, variances Σⱼⱼ.

    Args, Raises: as in :func:`mean_field`.

    Source: Bishop 2006, eq. 10.17.

    Example:
        >>> p = MultivariateNormal(torch.zeros(2), torch.tensor([[1.0, 0.8], [0.8, 1.0]]))
        >>> margins(p).variance
        tensor([1., 1.])
    """
    _one(p)
    return Independent(Normal(p.loc, p.variance.sqrt()), 1)


def coordinate_ascent(p: MultivariateNormal, start: Tensor, sweeps: int = 20) -> Ascent:
    """Reach :func:`mean_field` one factor at a time, as is done where there is no closed form.

    The best factor qⱼ for the others held fixed has log qⱼ(zⱼ) = E[log p(z)] + const, the mean
    taken over the other factors. For a normal p it is normal, with variance 1/Λⱼⱼ and mean
    μⱼ − Σ_{l≠j} Λⱼₗ (mₗ − μₗ) / Λⱼⱼ. Since p is normalised, the bound is −KL(q ‖ p).

    Args:
        p: one normal law, event ``(d,)``.
        start: the mean of q to begin with, ``[d]``; its variances begin at 1.
        sweeps: each updates every factor once.

    Raises:
        TypeError: another kind of law.
        ValueError: a batch of laws, a start of another shape, no sweep.

    Source: Bishop 2006, eqs. 10.9-10.13.

    Example:
        >>> p = MultivariateNormal(torch.zeros(2), torch.tensor([[1.0, 0.8], [0.8, 1.0]]))
        >>> q, means, history = coordinate_ascent(p, torch.tensor([0.0, 1.0]), sweeps=2)
        >>> means[:, 0], [round(bound, 3) for bound in history]
        (tensor([0.0000, 0.8000, 0.8000, 0.5120, 0.5120]), [-2.656, -1.389, -0.831, -0.716, -0.642])
    """
    _one(p)
    mean = query_points(start[None], p.event_shape)[0].to(p.loc).clone()
    precision, scale = p.precision_matrix, torch.ones_like(mean)
    means, history = [mean.clone()], [_bound(mean, scale, p)]
    for j in list(range(len(mean))) * count(sweeps, "sweeps"):
        pull = precision[j] @ (mean - p.loc) - precision[j, j] * (mean[j] - p.loc[j])
        mean[j] = p.loc[j] - pull / precision[j, j]
        scale[j] = precision[j, j].rsqrt()
        means.append(mean.clone())
        history.append(_bound(mean, scale, p))
    return Ascent(Independent(Normal(mean, scale), 1), torch.stack(means), history)


def _bound(mean: Tensor, scale: Tensor, p: MultivariateNormal) -> float:
    return -float(kl_divergence(MultivariateNormal(mean, scale_tril=scale.diag()), p))


def _one(p: MultivariateNormal) -> None:
    if not isinstance(p, MultivariateNormal):
        raise TypeError(f"Expected a MultivariateNormal, got a {type(p).__name__}.")
    if p.batch_shape:
        raise ValueError(f"Expected one normal law, got a batch of shape {tuple(p.batch_shape)}.")
