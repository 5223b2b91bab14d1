"""The bound on a finite latent space, a sum: its forms, its gap, what its KL term pays for."""

from typing import NamedTuple

import torch
from torch import Tensor

from genlab import em
from genlab.divergences import kl
from genlab.models import mutual_information


class Forms(NamedTuple):
    """The evidence lower bound in six forms, each ``[...]`` in nats; see :func:`elbo_forms`."""

    evidence: Tensor
    joint: Tensor
    product: Tensor
    split: Tensor
    regularised: Tensor
    energy: Tensor


def elbo_forms(log_likelihood: Tensor, prior: Tensor, q: Tensor) -> Forms:
    """The derivation of the bound line by line, on K latent states; all six are equal.

    ::

        evidence      log p(x) − KL(q ‖ p(z | x))
        joint         E_q log (p(x, z) / q(z))
        product       E_q log (p(x | z) p(z) / q(z))
        split         E_q log p(x | z) + E_q log (p(z) / q(z))
        regularised   E_q log p(x | z) − KL(q ‖ p(z))
        energy        E_q log p(x, z) + H(q)

    Each is computed from its own formula.

    Args:
        log_likelihood: log p(x | z) at each state, ``[..., K]``; −∞ is allowed.
        prior: p(z), ``[K]`` or ``[..., K]``.
        q: q(z | x), ``[..., K]``.

    Raises:
        ValueError: shapes that differ, or rows that are no distributions.

    Source: Kingma and Welling 2014, arXiv 1312.6114, eqs. 1-3.

    Example:
        >>> forms = elbo_forms(
        ...     torch.tensor([0.2, 0.6]).log(), torch.tensor([0.5, 0.5]), torch.tensor([0.5, 0.5])
        ... )
        >>> {name: round(float(value), 4) for name, value in forms._asdict().items()}
        {'evidence': -1.0601, 'joint': -1.0601, 'product': -1.0601, 'split': -1.0601,
         'regularised': -1.0601, 'energy': -1.0601}
    """
    prior = prior.expand_as(q)
    log_joint = log_likelihood + prior.log()
    reconstruction = _mean(q, log_likelihood)
    return Forms(
        evidence=log_joint.logsumexp(-1) - kl(q, em.posterior(log_joint)),
        joint=em.elbo(log_joint, q),
        product=_mean(q, (log_likelihood.exp() * prior / q).log()),
        split=reconstruction + _mean(q, (prior / q).log()),
        regularised=reconstruction - kl(q, prior),
        energy=_mean(q, log_joint) - torch.xlogy(q, q).sum(-1),
    )


def gap(log_joint: Tensor, q: Tensor) -> Tensor:
    """How far the bound is below the evidence, log p(x) − L(q) = KL(q ‖ p(z | x)) ≥ 0, nats.

    Args:
        log_joint: log p(x, z) at each of K states, ``[..., K]``.
        q: ``[..., K]``.

    Raises:
        ValueError: as :func:`genlab.em.elbo`.

    Example:
        >>> gap(torch.tensor([0.1, 0.3]).log(), torch.tensor([0.5, 0.5]))
        tensor(0.1438)
    """
    return log_joint.logsumexp(-1) - em.elbo(log_joint, q)


class Surgery(NamedTuple):
    """The parts of :func:`elbo_surgery`, nats: mean_kl = information + aggregate_kl."""

    mean_kl: Tensor
    information: Tensor
    aggregate_kl: Tensor


def elbo_surgery(posteriors: Tensor, prior: Tensor) -> Surgery:
    """What the KL term of the bound charges for: (1/n) Σᵢ KL(q(z | xᵢ) ‖ p(z)), in two parts.

    The information of the code about the index of the example, and the divergence of the average
    posterior q(z) = (1/n) Σᵢ q(z | xᵢ) from the prior. The mean is zero only where the code says
    nothing: posterior collapse. What makes draws from the prior decode well is the second part.

    Args:
        posteriors: q(z | xᵢ) on K codes, ``[n, K]``.
        prior: p(z), ``[K]``.

    Raises:
        ValueError: tables that do not fit, or rows that are no distributions.

    Source: Hoffman and Johnson 2016, ELBO surgery, NIPS workshop on approximate inference.

    Example: a code that names which of two examples it is, log 2 nats, and fits the prior.
        >>> codes = torch.eye(2, dtype=torch.float64)
        >>> [round(float(part), 4) for part in elbo_surgery(codes, codes.mean(0))]
        [0.6931, 0.6931, 0.0]
    """
    if posteriors.ndim != 2 or prior.shape != posteriors.shape[1:]:
        raise ValueError(
            "Expected posteriors of shape (n, K) and a prior of shape (K,), got "
            f"{tuple(posteriors.shape)} and {tuple(prior.shape)}."
        )
    return Surgery(
        kl(posteriors, prior.expand_as(posteriors)).mean(),
        mutual_information(posteriors / len(posteriors)),
        kl(posteriors.mean(0), prior),
    )


def _mean(q: Tensor, values: Tensor) -> Tensor:
    """E_q of values that may be infinite where q is 0."""
    return torch.where(q > 0, q * values, 0.0).sum(-1)
