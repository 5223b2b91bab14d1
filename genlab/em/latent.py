"""Latent variables: what is not seen is summed out, and a bound stands in for the sum."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch import distributions as td

from genlab.em.kmeans import count
from genlab.models import catalogued, query_points, sample_size
from genlab.nets import weights_from


class Decomposition(NamedTuple):
    """The three parts of :func:`decompose`, each ``[...]`` in nats: log_p = elbo + kl."""

    log_p: Tensor
    elbo: Tensor
    kl: Tensor


def elbo(log_joint: Tensor, q: Tensor) -> Tensor:
    """Evidence lower bound, L(q, θ) = Σ_z q(z) [log p_θ(x, z) − log q(z)] ≤ log p_θ(x).

    Args:
        log_joint: log p_θ(x, z) for each of K states, ``[..., K]``, nats; −inf is allowed.
        q: any distribution over the states, ``[..., K]``, rows that sum to one.

    Returns:
        ``[...]``; −inf where q puts mass on a state that the model excludes.

    Raises:
        ValueError: shapes that differ, a q that is no distribution, or a log-joint with NaN.

    Source: Neal and Hinton 1998, A view of the EM algorithm, eq. 1.

    Example:
        >>> log_joint = torch.tensor([0.1, 0.3]).log()
        >>> elbo(log_joint, torch.tensor([0.25, 0.75])), elbo(log_joint, torch.tensor([0.5, 0.5]))
        (tensor(-0.9163), tensor(-1.0601))
    """
    _check(log_joint, q)
    expected = torch.where(q > 0, q * log_joint, 0.0).sum(-1)
    return expected - torch.xlogy(q, q).sum(-1)


def free_energy(log_joint: Tensor, q: Tensor) -> Tensor:
    """Variational free energy, F(q, θ) = −L(q, θ) = −log p_θ(x) + KL(q ‖ p_θ(z | x)).

    Energy −E_q log p_θ(x, z) minus entropy of q; arguments as in :func:`elbo`.

    Source: Neal and Hinton 1998; Hinton and Zemel 1994, NIPS 6, 3.

    Example:
        >>> free_energy(torch.tensor([0.1, 0.3]).log(), torch.tensor([0.25, 0.75]))
        tensor(0.9163)
    """
    return -elbo(log_joint, q)


def posterior(log_joint: Tensor) -> Tensor:
    """p_θ(z | x) = p_θ(x, z) / Σ_z p_θ(x, z): the q that makes the bound an equality.

    Args:
        log_joint: ``[..., K]``, nats.

    Returns:
        ``[..., K]``.

    Raises:
        ValueError: NaN or +inf, or an x that no state allows.

    Example:
        >>> posterior(torch.tensor([0.1, 0.3]).log())
        tensor([0.2500, 0.7500])
    """
    _check(log_joint)
    return log_joint.softmax(-1)


def decompose(log_joint: Tensor, q: Tensor) -> Decomposition:
    """The decomposition that EM rests on: log p_θ(x) = L(q, θ) + KL(q ‖ p_θ(z | x)).

    Each part is computed from its own formula; that they add up is for you to see.

    Args:
        log_joint, q: as in :func:`elbo`.

    Source: Neal and Hinton 1998; Bishop 2006, Pattern Recognition and Machine Learning, eq. 9.70.

    Example:
        >>> parts = decompose(torch.tensor([0.1, 0.3]).log(), torch.tensor([0.5, 0.5]))
        >>> [round(float(part), 4) for part in parts]
        [-0.9163, -1.0601, 0.1438]
    """
    bound = elbo(log_joint, q)
    _check(log_joint)
    log_p = log_joint.logsumexp(-1)
    log_posterior = log_joint - log_p[..., None]
    kl = torch.xlogy(q, q).sum(-1) - torch.where(q > 0, q * log_posterior, 0.0).sum(-1)
    return Decomposition(log_p, bound, kl)


@catalogued(chapter="em", source="Bartholomew 1987 (latent variable models)")
class LatentVariableModel:
    """Prior times likelihood with the latent variable summed out, p(x) = ∫ p(x | z) p(z) dz.

    The decoder g is not itself a density: p(x | z) is a distribution whose parameters g computes,
    for example N(x; g(z), σ²I). A finite prior is summed exactly; a normal prior in one or two
    dimensions is integrated by Gauss–Hermite quadrature. With m nodes the rule is exact for
    polynomials in z of degree 2m − 1; p(x | z) should not be much narrower, seen as a function
    of z, than the distance of the nodes, which is about 4/√m prior deviations in the middle.

    Args:
        prior: ``Categorical`` over K states; ``Normal`` with one number; ``MultivariateNormal``
            or ``Independent(Normal(…), 1)`` in one or two dimensions.
        decoder: takes m latent values, int64 ``[m]``, ``[m]`` or ``[m, dim]``, and returns one
            torch distribution with batch shape ``(m,)``. Its event is the model's.
        nodes: quadrature nodes an axis, at most 256; not used for a finite prior.

    Attributes:
        states: latent values, all K of them or the nodes, ``[m]`` or ``[m, dim]``.

    Raises:
        TypeError: a decoder that returns no distribution, or a prior of another kind.
        ValueError: another batch shape, or a normal prior in more than two dimensions.

    Source: Bishop 2006, section 12.2, for the linear Gaussian case.

    Example: a linear decoder and a normal prior make a normal density, here N(1, 2² + 1).
        >>> model = LatentVariableModel(
        ...     td.Normal(0.0, 1.0), lambda z: td.Normal(2 * z + 1, 1.0)
        ... )
        >>> x = torch.tensor([0.0, 4.0], dtype=torch.float64)
        >>> model.log_prob(x)
        tensor([-1.8237, -2.6237], dtype=torch.float64)
        >>> td.Normal(1.0, 5.0**0.5).log_prob(x)
        tensor([-1.8237, -2.6237], dtype=torch.float64)
    """

    def __init__(
        self,
        prior: td.Distribution,
        decoder: Callable[[Tensor], td.Distribution],
        *,
        nodes: int = 64,
    ):
        self.prior, self.decoder = prior, decoder
        self.states, self.log_prior = _states(prior, nodes)
        self.event = tuple(self._decode(self.states).event_shape)

    def log_joint(self, x: Tensor) -> Tensor:
        """log p(x | z) + log p(z) at every state, ``[batch, m]``; quadrature weights included."""
        x = query_points(x, self.event)
        if len(x) == 0:  # torch.distributions refuse an empty batch
            return self.log_prior.new_empty(0, len(self.states))
        return self._decode(self.states).log_prob(x[:, None]) + self.log_prior

    def log_prob(self, x: Tensor) -> Tensor:
        """log Σ_z p(x | z) p(z) in nats, ``[batch]``."""
        x = torch.as_tensor(x)
        log_p = self.log_joint(x).logsumexp(-1)
        return log_p.to(x.dtype) if x.is_floating_point() else log_p

    def posterior(self, x: Tensor) -> Tensor:
        """p(z | x) on ``states``, ``[batch, m]``, rows that sum to one."""
        return posterior(self.log_joint(x))

    def sample(self, n: int, *, generator: torch.Generator | None = None) -> Tensor:
        """z from the prior, then x from p(x | z), ``[n, *event]``; int64 if x is discrete."""
        shape = (max(sample_size(n), 1),)  # torch.distributions refuse to draw nothing
        # They draw from the global generator: ours stands in for it.
        with weights_from(generator):
            p = self._decode(self.prior.sample(shape))
            x = p.sample()[:n]
        return x.long() if p.support.is_discrete else x

    def _decode(self, z: Tensor) -> td.Distribution:
        p = self.decoder(z)
        if not isinstance(p, td.Distribution):
            raise TypeError(
                f"Expected decoder(z) to return a distribution, got a {type(p).__name__}. A "
                "density is not a network's output: return for example Normal(g(z), sigma)."
            )
        if tuple(p.batch_shape) != (len(z),):
            raise ValueError(
                f"Expected decoder(z) to return a distribution with batch shape ({len(z)},), one "
                f"for each z, got batch shape {tuple(p.batch_shape)}. Wrap the axes of x in "
                "torch.distributions.Independent."
            )
        return p


def _states(prior: td.Distribution, nodes: int) -> tuple[Tensor, Tensor]:
    """Every latent value that is summed over, and the log of its weight."""
    if isinstance(prior, td.Categorical) and not prior.batch_shape:
        return torch.arange(prior.logits.shape[-1]), prior.logits.double().log_softmax(-1)
    if isinstance(prior, td.Normal) and not prior.batch_shape:
        loc, factor = prior.loc.reshape(1), prior.scale.reshape(1, 1)
    elif isinstance(prior, td.MultivariateNormal) and not prior.batch_shape:
        loc, factor = prior.loc, prior.scale_tril
    elif (
        isinstance(prior, td.Independent)
        and isinstance(prior.base_dist, td.Normal)
        and (len(prior.batch_shape), len(prior.event_shape)) == (0, 1)
    ):
        loc, factor = prior.base_dist.loc, torch.diag(prior.base_dist.scale)
    else:
        raise TypeError(
            "Expected one prior: Categorical, Normal, MultivariateNormal or "
            f"Independent(Normal(...), 1), got {prior}."
        )
    if len(loc) > 2:
        raise ValueError(
            f"Expected a normal prior of one or two dimensions, got {len(loc)}: a grid of {nodes} "
            "nodes an axis is too large. That is what variational inference is for."
        )
    if count(nodes, "nodes") > 256:
        raise ValueError(
            f"Expected at most 256 nodes an axis, where weights overflow, got {nodes}."
        )
    z, weight = map(torch.from_numpy, np.polynomial.hermite_e.hermegauss(nodes))
    grid = torch.cartesian_prod(*[z] * len(loc)).reshape(-1, len(loc))
    weights = torch.cartesian_prod(*[weight / weight.sum()] * len(loc)).reshape(len(grid), -1)
    states = (loc.double() + grid @ factor.double().T).to(loc.dtype)
    return states if prior.event_shape else states[:, 0], weights.log().sum(1)


def _check(log_joint: Tensor, q: Tensor | None = None) -> None:
    if log_joint.isnan().any() or (log_joint == torch.inf).any():
        raise ValueError("Expected log p(x, z) below +inf and without NaN.")
    if q is None:
        if (log_joint == -torch.inf).all(-1).any():
            raise ValueError("p(x) = 0: every state is excluded, and there is no posterior.")
        return
    if q.shape != log_joint.shape:
        raise ValueError(
            f"Expected q and log p(x, z) of one shape, got {tuple(q.shape)} and "
            f"{tuple(log_joint.shape)}."
        )
    if not (q >= 0).all() or not ((q.sum(-1) - 1).abs() < 1e-5).all():
        raise ValueError("Expected q >= 0 with rows that sum to one over the last axis.")
