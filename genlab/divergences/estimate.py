"""Divergences from draws, with their standard error."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.distributions import Distribution

from genlab.divergences.f import F_DIVERGENCES, FDivergence, named, perspective
from genlab.models import Density
from genlab.nets import weights_from


@dataclass(frozen=True)
class Estimate:
    """A Monte Carlo estimate and its standard error.

    Example:
        >>> Estimate(0.5, 0.01)
        Estimate(value=0.5, standard_error=0.01)
    """

    value: float
    standard_error: float

    @classmethod
    def of(cls, *terms: Tensor) -> "Estimate":
        """Sum of the means of independent samples, ``[n]`` each."""
        value = sum(float(t.double().mean()) for t in terms)
        if math.isinf(value):  # one draw where the integrand is infinite settles it
            return cls(value, 0.0)
        variance = sum(float(t.double().var()) / len(t) for t in terms)
        return cls(value, math.sqrt(variance))


def estimate(
    divergence: str | FDivergence,
    p: Density | Distribution,
    q: Density | Distribution,
    n: int,
    *,
    generator: torch.Generator | None = None,
) -> Estimate:
    """D_f(p‖q) by Monte Carlo, from anything that can be drawn from and evaluated.

    KL is the mean of log p/q over draws of p, reverse KL that of log q/p over draws of q, Jeffreys
    their sum. Any other is a mean over draws of both::

        D_f(p‖q) = E_p w + E_q w,   w = (1 − r) f(r / (1 − r)),   r = p / (p + q)

    where w is bounded for total variation, Jensen–Shannon and Hellinger, whatever p and q are.

    Args:
        divergence: a name in ``F_DIVERGENCES``, or your own.
        p, q: genlab densities or torch distributions.
        n: draws of p, and as many of q where they are needed; at least 2.

    Returns:
        value and standard error; +∞ with error 0 where a draw of the one is impossible under the
        other and that makes the divergence infinite. Where the variance is infinite (Pearson's
        with heavy tails) the standard error says too little.

    Raises:
        ValueError: an unknown name, fewer than two draws, a log-density that is not one value a
            draw, or NaN, or −∞ at the density's own draws.

    Example:
        >>> from torch.distributions import Normal
        >>> g = torch.Generator().manual_seed(0)
        >>> e = estimate("kl", Normal(0.0, 1.0), Normal(1.0, 1.0), 10_000, generator=g)
        >>> abs(e.value - 0.5) < 4 * e.standard_error
        True
    """
    divergence = named(divergence)
    if not isinstance(n, int) or isinstance(n, bool) or n < 2:
        raise ValueError(f"Expected n >= 2 draws, got {n!r}: one draw has no standard error.")

    def log_ratio(drawn: Density | Distribution) -> Tensor:
        """log p/q at draws of one of the two."""
        x = _draw(drawn, n, generator)
        log_p, log_q = _log_density(p, x, "p"), _log_density(q, x, "q")
        own = log_p if drawn is p else log_q
        if (own == -math.inf).any():
            name = "p" if drawn is p else "q"
            raise ValueError(
                f"{name} says that {int((own == -math.inf).sum())} of its own {n} draws are "
                "impossible: its sample and log_prob do not agree."
            )
        return log_p - log_q

    if divergence is F_DIVERGENCES["kl"]:
        return Estimate.of(log_ratio(p))
    if divergence is F_DIVERGENCES["reverse kl"]:
        return Estimate.of(-log_ratio(q))
    if divergence is F_DIVERGENCES["jeffreys"]:
        return Estimate.of(log_ratio(p), -log_ratio(q))
    both = [log_ratio(p), log_ratio(q)]
    return Estimate.of(*(perspective(divergence, t.sigmoid(), (-t).sigmoid()) for t in both))


def _draw(law: Density | Distribution, n: int, generator: torch.Generator | None) -> Tensor:
    if isinstance(law, Distribution):
        # A torch distribution draws from the global generator: ours stands in for it.
        with weights_from(generator):
            return law.sample((n,))
    return law.sample(n, generator=generator)


def _log_density(law: Density | Distribution, x: Tensor, name: str) -> Tensor:
    with torch.no_grad():
        if isinstance(law, Distribution):
            # Off its support torch raises, or returns the formula's value; the truth is −∞.
            inside = law.support.check(x)
            _one_value_a_draw(inside, x, name)
            log_p = torch.full((len(x),), -math.inf, dtype=torch.float64)
            log_p[inside] = law.log_prob(x[inside]).double()
        else:
            log_p = law.log_prob(x).double()
            _one_value_a_draw(log_p, x, name)
    bad = log_p.isnan() | (log_p == math.inf)
    if bad.any():
        raise ValueError(
            f"The log-density of {name} is NaN or +∞ at {int(bad.sum())} of {len(x)} draws."
        )
    return log_p


def _one_value_a_draw(values: Tensor, x: Tensor, name: str) -> None:
    if values.shape != (len(x),):
        raise ValueError(
            f"Expected from {name} one log-density a draw, shape ({len(x)},), got "
            f"{tuple(values.shape)}. A torch distribution over vectors is made by "
            "torch.distributions.Independent."
        )
