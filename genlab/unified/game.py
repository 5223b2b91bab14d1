"""The GAN game in the notation of inference: both players speak of E log of a posterior of y.

The discriminator maximises E_{p(x, y)} log q_φ(y | x), the mean log-chance of the right label. The
generator maximises E_{p(x, y)} log q_φ^r(y | x), that of the wrong one. With p(y) = ½ these are
half the usual game: the first is ½ V(D), the second ½ E_g log D and a term without θ.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from genlab.unified.notation import Provenance, log_q, log_q_reversed

__all__ = ["GanLosses", "ReversedPosterior", "gan_losses", "reversed_posterior"]


class GanLosses(NamedTuple):
    """What each player maximises, in nats.

    Attributes:
        phi: L_φ = E log q(y | x), the discriminator's.
        theta: L_θ = E log q^r(y | x), the generator's; not −L_φ: the game is not of zero sum.
    """

    phi: Tensor
    theta: Tensor


def gan_losses(x: Provenance, logit: Tensor) -> GanLosses:
    """Both objectives of the game, exactly.

    ::

        L_φ = p(1) E_data log D + p(0) E_g log(1 − D)     = ½ V(D)                     at p(y) = ½
        L_θ = p(0) E_g log D    + p(1) E_data log(1 − D)  = ½ E_g log D + (free of θ)  at p(y) = ½

    Args:
        x: the two laws; gradients pass.
        logit: a of any discriminator D = σ(a), at the same nodes, ``[m]``.

    Raises:
        ValueError: a logit of another shape, or NaN.

    Source: Hu et al. 2018, arXiv:1706.00550; the usual form: Goodfellow et al. 2014.

    Example: a D that knows nothing; both get log ½.
        >>> from genlab.unified import on_finite
        >>> gan_losses(on_finite([0.5, 0.5], [0.1, 0.9]), torch.zeros(2))
        GanLosses(phi=tensor(-0.6931), theta=tensor(-0.6931))
    """
    _check(x, logit)
    return GanLosses(x.mean(log_q(logit)), x.mean(log_q_reversed(logit)))


class ReversedPosterior(NamedTuple):
    """What :func:`reversed_posterior` returns: log q^r(x | y) ``[2, m]``, and log Z ``[2]``."""

    log_x: Tensor
    log_evidence: Tensor


def reversed_posterior(at: Provenance, logit: Tensor) -> ReversedPosterior:
    """q^r(x | y) = q^r(y | x) p_θ0(x) / Z_y: x inferred from y, with p_θ0(x) for a prior.

    Where q is the best discriminator at θ0 it is the other law: q^r(x | 0) = p_data and
    q^r(x | 1) = p_g. For any other q it is a reweighted mixture of both.

    Args:
        at: the two laws at θ0; held fixed: no gradient passes.
        logit: of any discriminator, ``[m]``; held fixed too.

    Returns:
        a law of x for each y, and log Z_y = log ∫ q^r(y | x) p_θ0(x) dx.

    Raises:
        ValueError: a logit of another shape, or NaN, or one that excludes a label everywhere.

    Source: Hu et al. 2018, arXiv:1706.00550, lemma 1.

    Example: with the best logit, log p_data/p_g, the generator's x is inferred as from the data.
        >>> from genlab.unified import on_finite
        >>> at = on_finite([0.5, 0.5], [0.1, 0.9])
        >>> reversed_posterior(at, at.log_x[1] - at.log_x[0]).log_x[0].exp()
        tensor([0.1000, 0.9000])
    """
    _check(at, logit)
    log_joint = log_q_reversed(logit.detach()) + at.log_marginal.detach()
    log_evidence = (log_joint + at.weights.log()).logsumexp(-1)
    if not log_evidence.isfinite().all():
        raise ValueError(
            "The discriminator gives one of the labels no chance at any node: q^r(x | y) is no law."
        )
    return ReversedPosterior(log_joint - log_evidence[:, None], log_evidence)


def _check(x: Provenance, logit: Tensor) -> None:
    logit = torch.as_tensor(logit)
    if logit.shape != x.weights.shape or logit.isnan().any():
        raise ValueError(
            f"Expected a logit for each of {len(x.weights)} nodes, shape ({len(x.weights)},) "
            f"without NaN, got {tuple(logit.shape)} with {int(logit.isnan().sum())} NaN."
        )
