"""The game against the best discriminator: which divergence the generator then descends.

On a grid of the line everything is an integral. The best logit is a* = log p_data/p_g; V(D) never
exceeds V(D*) = 2 JSD − log 4. A generator that descends its loss with D* held fixed moves, for that
one step, as if it descended a divergence; and which one is decided by its loss.
"""

import math

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from genlab.divergences import on_grid, optimal_discriminator
from genlab.gans.losses import generator_loss

__all__ = [
    "against_optimal",
    "descended",
    "smoothed_discriminator",
    "value",
    "value_of_the_best",
]


def value(log_p: Tensor, log_g: Tensor, logit: Tensor, t: Tensor) -> Tensor:
    """V(D) = E_p log D + E_g log(1 − D) on a grid, by the trapezoid rule.

    Args:
        log_p, log_g: log-densities of the data and of the generator on the grid, ``[m]``.
        logit: of any discriminator D = σ(a), ``[m]``.
        t: the grid, ``[m]``, ascending.

    Returns:
        a number, nats; gradients pass.

    Raises:
        ValueError: shapes that differ.

    Source: Goodfellow et al. 2014, arXiv:1406.2661, eq. 1.

    Example: a D that knows nothing, and the best.
        >>> t = torch.linspace(-9, 9, 501, dtype=torch.float64)
        >>> log_p, log_g = (torch.distributions.Normal(m, 1.0).log_prob(t) for m in (0.0, 1.0))
        >>> value(log_p, log_g, 0 * t, t)
        tensor(-1.3863, dtype=torch.float64)
        >>> value(log_p, log_g, log_p - log_g, t)
        tensor(-1.1635, dtype=torch.float64)
    """
    if not log_p.shape == log_g.shape == logit.shape == t.shape:
        raise ValueError(
            "Expected two log-densities, a logit and the grid, of one shape (m,), got "
            f"{', '.join(str(tuple(v.shape)) for v in (log_p, log_g, logit, t))}."
        )
    gains = _weighted(log_p, logsigmoid(logit)) + _weighted(log_g, logsigmoid(-logit))
    return torch.trapezoid(gains, t)


def value_of_the_best(log_p: Tensor, log_g: Tensor, t: Tensor) -> Tensor:
    """max_D V(D) = 2 JSD(p, g) − log 4, reached by D* = p/(p + g) alone.

    So (V(D) + log 4)/2 bounds the divergence from below for any D: who trains D raises a bound.

    Args, Raises: as in :func:`genlab.divergences.on_grid`.

    Source: Goodfellow et al. 2014, theorem 1.

    Example:
        >>> t = torch.linspace(-9, 9, 501, dtype=torch.float64)
        >>> log_p, log_g = (torch.distributions.Normal(m, 1.0).log_prob(t) for m in (0.0, 1.0))
        >>> value_of_the_best(log_p, log_g, t)
        tensor(-1.1635, dtype=torch.float64)
    """
    return 2 * on_grid(log_p, log_g, t)["js"] - math.log(4)


def smoothed_discriminator(
    log_p: Tensor, log_g: Tensor, *, smooth: float = 0.0, smooth_fake: float = 0.0
) -> Tensor:
    """The best D for targets 1 − α and β: D = ((1 − α) p + β g)/(p + g) = (1 − α) D* + β (1 − D*).

    With β = 0 it is D* times a constant. With β > 0, far from the data where g ≫ p, it is β and
    flat: its gradient no longer sends those draws home.

    Args:
        log_p, log_g: log-densities at the same points, of one shape.
        smooth, smooth_fake: α and β, as in :func:`genlab.gans.losses.discriminator_loss`.

    Raises:
        ValueError: as in :func:`genlab.divergences.optimal_discriminator`.

    Source: Salimans et al. 2016, arXiv:1606.03498, section 3.4.

    Example:
        >>> log_p, log_g = torch.tensor([0.0, -9.0]), torch.tensor([0.0, 0.0])
        >>> smoothed_discriminator(log_p, log_g, smooth=0.1).round(decimals=3)
        tensor([0.4500, 0.0000])
        >>> smoothed_discriminator(log_p, log_g, smooth=0.1, smooth_fake=0.1).round(decimals=3)
        tensor([0.5000, 0.1000])
    """
    best = optimal_discriminator(log_p, log_g)
    return (1 - smooth) * best + smooth_fake * (1 - best)


def against_optimal(
    log_p: Tensor, log_g: Tensor, t: Tensor, kind: str = "non-saturating"
) -> Tensor:
    """The generator's loss E_g ℓ(a*), with a* = log p/g held fixed where g now is.

    Its gradient, in whatever ``log_g`` depends on, is the one that a generator gets after D has
    been trained to the end.

    Args:
        log_p, log_g, t: as in :func:`value`.
        kind: as in :func:`genlab.gans.losses.generator_loss`.

    Raises:
        ValueError: as there.

    Example: the slope of the practical loss in the mean of N(m, 1) at m = 1, data N(0, 1).
        >>> t = torch.linspace(-9, 9, 501, dtype=torch.float64)
        >>> m = torch.tensor(1.0, dtype=torch.float64, requires_grad=True)
        >>> log_p, log_g = (torch.distributions.Normal(mean, 1.0).log_prob(t) for mean in (0.0, m))
        >>> torch.autograd.grad(against_optimal(log_p, log_g, t), m, retain_graph=True)[0]
        tensor(0.6020, dtype=torch.float64)
        >>> torch.autograd.grad(descended(log_p, log_g, t), m)[0]
        tensor(0.6020, dtype=torch.float64)
    """
    frozen = (log_p - log_g).detach()
    return torch.trapezoid(_weighted(log_g, generator_loss(frozen, kind)), t)


def descended(log_p: Tensor, log_g: Tensor, t: Tensor, kind: str = "non-saturating") -> Tensor:
    """The divergence whose gradient is that of :func:`against_optimal`, at the g that D* knows.

    ::

        saturating      2 JSD(p, g)
        non-saturating  2 KL(m‖p) = KL(g‖p) − 2 JSD(p, g),   m = ½(p + g)
        linear          KL(g‖p)

    Args:
        log_p, log_g, t: as in :func:`genlab.divergences.on_grid`.
        kind: as in :func:`genlab.gans.losses.generator_loss`.

    Raises:
        ValueError: as there, or another kind.

    Source: Goodfellow et al. 2014, theorem 1; Arjovsky & Bottou 2017, arXiv:1701.04862, theorem
        2.5; Sønderby et al. 2017, arXiv:1610.04490 (linear).
    """
    if kind == "saturating":
        return 2 * on_grid(log_p, log_g, t)["js"]
    if kind == "non-saturating":
        log_m = torch.logaddexp(log_p, log_g) - math.log(2)
        return 2 * on_grid(log_m, log_p, t)["kl"]
    if kind == "linear":
        return on_grid(log_p, log_g, t)["reverse_kl"]
    raise ValueError(
        f"Expected a kind among 'saturating', 'non-saturating' and 'linear', got {kind!r}."
    )


def _weighted(log_density: Tensor, values: Tensor) -> Tensor:
    """exp(log_density) times values, 0 where the density is 0 even if the value is infinite."""
    density = log_density.exp()
    return density * values.masked_fill(density == 0, 0.0)
