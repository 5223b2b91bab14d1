"""Encoders and decoders: a network computes the parameters, a distribution knows its density.

p(x | z) = N(x; g(z), σ²I) or Bernoulli(x; sigmoid(g(z))): a density is not a network's output.
"""

import math

import torch
from torch import Generator, Tensor, nn
from torch.distributions import Bernoulli, Distribution, Independent, Normal, constraints
from torch.nn.functional import binary_cross_entropy_with_logits

from genlab.models import sample_size

__all__ = ["BernoulliDecoder", "GaussianDecoder", "GaussianEncoder", "rsample"]


def rsample(q: Independent, n: int | None = None, *, generator: Generator | None = None) -> Tensor:
    """Reparameterised draws z = μ + σε with ε ~ N(0, I): gradients reach μ and σ.

    Here the noise of the models is drawn, since the distributions of torch take no generator.

    Args:
        q: ``Independent(Normal(μ, σ), 1)`` with μ and σ ``[batch, latent]``.
        n: draws for each row; None is one draw, without an axis for it.

    Returns:
        ``[n, batch, latent]``, or ``[batch, latent]``.

    Source: Kingma and Welling 2014, arXiv:1312.6114, section 2.4.

    Example:
        >>> q = Independent(Normal(torch.zeros(1, 1), torch.ones(1, 1)), 1)
        >>> rsample(q, 2, generator=torch.Generator().manual_seed(0)).flatten()
        tensor([ 1.5410, -0.2934])
    """
    mean, sigma = q.base_dist.loc, q.base_dist.scale
    shape = mean.shape if n is None else (sample_size(n), *mean.shape)
    return mean + sigma * torch.randn(
        shape, generator=generator, dtype=mean.dtype, device=mean.device
    )


def _of_one_shape(law: type[Distribution], **parameters: Tensor) -> Distribution:
    """``law(**parameters)`` without broadcasting them, which costs every step of training."""
    p = law.__new__(law)
    vars(p).update(parameters)
    Distribution.__init__(p, next(iter(parameters.values())).shape, validate_args=False)
    return p


class GaussianEncoder(nn.Module):
    """q(z | x) = N(μ(x), diag σ(x)²), the network's outputs being μ and log σ.

    Args:
        net: from ``[batch, d]`` to ``[batch, 2 * latent]``.

    Source: Kingma and Welling 2014, appendix C.2.
    """

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Independent:
        mean, log_sigma = self.net(x).chunk(2, -1)
        return Independent(_of_one_shape(Normal, loc=mean, scale=log_sigma.exp()), 1)


class _Pixels(Independent):
    """Independent Bernoulli pixels that may also be grey: each the probability of a one."""

    support = constraints.independent(constraints.unit_interval, 1)

    def log_prob(self, x: Tensor) -> Tensor:
        # The sign turned after the sum spares two tensors of the size of the batch.
        logits = self.base_dist.logits
        if logits.shape != x.shape:
            logits, x = torch.broadcast_tensors(logits, x)
        return -binary_cross_entropy_with_logits(logits, x, reduction="none").sum(-1)


class BernoulliDecoder(nn.Module):
    """p(x | z) = Π_j Bernoulli(x_j; sigmoid(g(z)_j)).

    A grey value in [0, 1] counts as the probability that the pixel is 1: log p(x | z) is then the
    mean over the binary images drawn so, and a bound made from it bounds their mean log p.

    Args:
        net: g, from ``[..., latent]`` to logits ``[..., d]``.

    Source: Kingma and Welling 2014, appendix C.1.
    """

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, z: Tensor) -> Independent:
        logits = self.net(z)
        return _Pixels(_of_one_shape(Bernoulli, logits=logits, _param=logits), 1)


class GaussianDecoder(nn.Module):
    """p(x | z) = N(x; g(z), σ²I), with one σ for all pixels, learnt.

    Args:
        net: g, from ``[..., latent]`` to means ``[..., d]``.
        sigma: where σ starts.

    Source: Kingma and Welling 2014, appendix C.2; Rybkin, Daniilidis and Levine 2021,
        arXiv:2006.13202, for the one σ.
    """

    def __init__(self, net: nn.Module, sigma: float = 1.0) -> None:
        super().__init__()
        if not 0 < sigma < math.inf:
            raise ValueError(f"Expected a standard deviation sigma > 0 and finite, got {sigma!r}.")
        self.net = net
        self.log_sigma = nn.Parameter(torch.tensor(math.log(sigma)))

    def forward(self, z: Tensor) -> Independent:
        mean = self.net(z)
        sigma = self.log_sigma.exp().to(mean.dtype).expand_as(mean)
        return Independent(Normal(mean, sigma, validate_args=False), 1)


def check_shape(
    what: str, p: Distribution, batch: tuple[int, ...], event: tuple[int, ...] | None = None
) -> tuple[int, ...]:
    """Check what a network returned; the event shape, which may be any but () if none is given."""
    if not isinstance(p, Distribution):
        raise TypeError(
            f"Expected {what} to return a distribution, got a {type(p).__name__}. Wrap the "
            "network: GaussianEncoder(net), BernoulliDecoder(net) or GaussianDecoder(net)."
        )
    found = tuple(p.event_shape)
    if tuple(p.batch_shape) != batch or found != (found if event is None else event) or not found:
        raise ValueError(
            f"Expected {what} to return a distribution with batch shape {batch} and event shape "
            f"{event or '(d,)'}, got {tuple(p.batch_shape)} and {found}. The network gives one "
            "row for each row; Independent(p, 1) makes an event of its last axis."
        )
    return found


def check_support(p: Distribution, x: Tensor, low: float, high: float) -> None:
    """Check finite data, and their extremes, against what a decoder's distribution can take."""
    support = getattr(p.support, "base_constraint", p.support)
    if support is constraints.real:
        return
    if isinstance(support, constraints.interval):  # holds all if it holds the extremes: faster
        held = bool(support.lower_bound <= low and high <= support.upper_bound)
    else:
        held = bool(p.support.check(x.to(p.mean.device)).all())  # p stays where it was built
    if not held:
        name = type(getattr(p, "base_dist", p)).__name__.strip("_")
        raise ValueError(
            f"The data reach from {low:.4g} to {high:.4g}, and the decoder's distribution, "
            f"{name}, holds {support}. Rescale them, for instance x / x.max(), or take another "
            "decoder."
        )
