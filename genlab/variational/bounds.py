"""Bounds on log p(x): an average over draws from q stands where the sum over z was.

Everything here is a lower bound, or an estimate of one, in nats: larger is better, and −log p(x)
never enters.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.distributions import Distribution

from genlab.em.kmeans import count
from genlab.nets import weights_from


def draw(q: Distribution, n: int, *, generator: torch.Generator | None = None) -> Tensor:
    """Exactly n draws z ~ q, ``[n, *batch, *event]``, with a gradient where q has ``rsample``.

    Raises:
        ValueError: n below 1.

    Example:
        >>> q = torch.distributions.Normal(torch.zeros(3), 1.0)
        >>> draw(q, 2, generator=torch.Generator().manual_seed(0)).shape
        torch.Size([2, 3])
    """
    shape = (count(n, "n"),)
    # A torch distribution draws from the global generator: ours stands in for it.
    with weights_from(generator):
        return q.rsample(shape) if q.has_rsample else q.sample(shape)


def log_weights(
    log_joint: Callable[[Tensor], Tensor],
    q: Distribution,
    n: int,
    *,
    generator: torch.Generator | None = None,
) -> Tensor:
    """log w = log p(x, z) − log q(z | x) at n draws of each q(· | x): what every bound is made of.

    E_q[w] = p(x) exactly, and E_q[log w] is the evidence lower bound.

    Args:
        log_joint: takes z ``[n, *batch, *event]``, returns log p(x, z), ``[n, *batch]``, nats.
        q: one law of z for each x, batch shape ``batch``.
        n: draws for each x.

    Returns:
        ``[n, *batch]``.

    Raises:
        ValueError: n below 1, a log-joint of another shape, or one that is NaN or +∞.

    Source: Rezende, Mohamed and Wierstra 2014, arXiv 1401.4082.

    Example: where q is the posterior, every weight is p(x), here N(0; 0, 2).
        >>> normal = torch.distributions.Normal
        >>> log_joint = lambda z: normal(0.0, 1.0).log_prob(z) + normal(z, 1.0).log_prob(0 * z)
        >>> log_weights(log_joint, normal(0.0, 0.5**0.5), 3)
        tensor([-1.2655, -1.2655, -1.2655])
    """
    z = draw(q, n, generator=generator)
    value, log_q = log_joint(z), q.log_prob(z)
    if value.shape != log_q.shape:
        raise ValueError(
            f"Expected from log_joint one value for each draw, shape {tuple(log_q.shape)}, got "
            f"{tuple(value.shape)}. A torch distribution over vectors is made by "
            "torch.distributions.Independent."
        )
    return _below_infinity(value) - log_q


def elbo(
    log_joint: Callable[[Tensor], Tensor],
    q: Distribution,
    n: int = 1,
    *,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Evidence lower bound of each example, E_q[log p(x, z) − log q(z | x)], from n draws.

    An unbiased estimate: a single value may lie above log p(x), its mean never does. The gradient
    is the pathwise one where q has ``rsample``; otherwise what flows to q is not the gradient of
    the bound, see :func:`score_gradient`.

    Args:
        log_joint, q, n: as in :func:`log_weights`.

    Returns:
        ``[*batch]``, nats.

    Raises:
        ValueError: as :func:`log_weights`.

    Source: Jordan, Ghahramani, Jaakkola and Saul 1999, Machine Learning 37, 183.

    Example:
        >>> normal = torch.distributions.Normal
        >>> log_joint = lambda z: normal(0.0, 1.0).log_prob(z) + normal(z, 1.0).log_prob(0 * z)
        >>> elbo(log_joint, normal(0.0, 0.5**0.5), 5)
        tensor(-1.2655)
    """
    return log_weights(log_joint, q, n, generator=generator).mean(0)


def importance_bound(log_weights: Tensor) -> Tensor:
    """The bound of k draws, log (1/k) Σᵢ wᵢ: its mean rises with k, from the ELBO to log p(x).

    The average of the weights is unbiased for p(x); its logarithm lies below log p(x) in the mean.

    Args:
        log_weights: ``[k, *batch]``, see :func:`log_weights`; −∞ is allowed.

    Returns:
        ``[*batch]``, nats.

    Raises:
        ValueError: no draws, or weights that are NaN or +∞.

    Source: Burda, Grosse and Salakhutdinov 2016, arXiv 1509.00519, theorem 1.

    Example:
        >>> w = torch.tensor([0.1, 0.3]).log()
        >>> importance_bound(w), w.mean()  # log 0.2, and the ELBO from the same draws
        (tensor(-1.6094), tensor(-1.7533))
    """
    if log_weights.ndim == 0 or len(log_weights) == 0:
        raise ValueError(
            f"Expected the weights of one draw or more, shape (k, *batch), got "
            f"{tuple(log_weights.shape)}."
        )
    return _below_infinity(log_weights).logsumexp(0) - math.log(len(log_weights))


def naive_evidence(
    log_likelihood: Callable[[Tensor], Tensor],
    prior: Distribution,
    n: int,
    *,
    generator: torch.Generator | None = None,
) -> Tensor:
    """log (1/n) Σᵢ p(x | zᵢ) with zᵢ ~ p(z): the evidence from draws that have not seen x.

    The average itself is unbiased for p(x), its logarithm too low in the mean. In many dimensions
    next to no draw explains x: then the estimate is nearly always far too low.

    Args:
        log_likelihood: takes z ``[n, *event]``, returns log p(x | z) of every x, ``[n, *batch]``.
        prior: one law of z, no batch.
        n: draws, shared by all x.

    Returns:
        ``[*batch]``, nats; −∞ where no draw allows x.

    Raises:
        ValueError: n below 1, a prior with a batch, or a log-likelihood of another length, NaN
            or +∞.

    Source: the plain Monte Carlo integral; Kingma and Welling 2014, arXiv 1312.6114, replace it.

    Example: x = 0, z ~ N(0, 1), x | z ~ N(z, 1); log N(0; 0, 2) = −1.2655.
        >>> normal = torch.distributions.Normal
        >>> g = torch.Generator().manual_seed(0)
        >>> log_likelihood = lambda z: normal(z, 1.0).log_prob(0 * z)
        >>> round(float(naive_evidence(log_likelihood, normal(0.0, 1.0), 10_000, generator=g)), 1)
        -1.3
    """
    if prior.batch_shape:
        raise ValueError(
            f"Expected one prior, got a batch of shape {tuple(prior.batch_shape)}. A prior over "
            "vectors is made by torch.distributions.Independent(prior, 1)."
        )
    value = log_likelihood(draw(prior, n, generator=generator))
    if value.ndim == 0 or len(value) != n:
        raise ValueError(
            f"Expected log p(x | z) with one row a draw, shape ({n}, *batch), got "
            f"{tuple(value.shape)}."
        )
    return importance_bound(value)


def _below_infinity(values: Tensor) -> Tensor:
    bad = values.isnan() | (values == math.inf)
    if bad.any():
        raise ValueError(
            f"{int(bad.sum())} of {bad.numel()} log-densities are NaN or +inf. Look for a network "
            "whose outputs overflow, or for data that are not finite."
        )
    return values
