"""One notation for both games: a label y says where x came from, and p(x | y) how it is drawn.

y = 1 is the data and y = 0 the generator, p(x | 1) = p_data(x), p_θ(x | 0) = p_g(x), p(y) = ½.
The discriminator is an inference model q_φ(y | x); with the labels exchanged it is
q^r(y | x) = q(1 − y | x).
Everything is a sum over m nodes, so that a finite set and a grid of the line are one case.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from genlab.divergences import probabilities
from genlab.divergences.finite import kl_terms

__all__ = ["Provenance", "log_q", "log_q_reversed", "on_finite", "on_line"]

MISSING_MASS = 0.01


@dataclass(frozen=True)
class Provenance:
    """p(y) and p(x | y) at m nodes: whence x came, and which x comes thence.

    Args:
        log_x: log p(x | y) ``[2, m]``; row 0 is the generator's, row 1 the data's.
        prior: p(y) ``[2]``, in that order.
        weights: what each node counts, ``[m]``: 1 on a finite set.

    Raises:
        ValueError: shapes that do not fit, a p(y) that is no law, or a p(x | y) whose mass on the
            nodes is not 1 (to 1 %).

    Source: Hu et al. 2018, arXiv:1706.00550.
    """

    log_x: Tensor
    prior: Tensor
    weights: Tensor

    def __post_init__(self) -> None:
        (prior,) = probabilities(self.prior)
        if self.log_x.ndim != 2 or len(self.log_x) != 2 or prior.shape != (2,):
            raise ValueError(
                "Expected log p(x | y) of shape (2, m), the generator's row first, and p(y) of "
                f"shape (2,), got {tuple(self.log_x.shape)} and {tuple(prior.shape)}."
            )
        if self.weights.shape != self.log_x.shape[1:]:
            raise ValueError(
                f"Expected a weight for each of {self.log_x.shape[1]} nodes, got shape "
                f"{tuple(self.weights.shape)}."
            )
        mass = (self.log_x.detach().exp() * self.weights).sum(-1)
        if not ((mass - 1).abs() <= MISSING_MASS).all():  # NaN too
            raise ValueError(
                f"On these nodes p(x | 0) has mass {mass[0]:.4f} and p(x | 1) {mass[1]:.4f}, not "
                "1. Take a wider or finer grid, or normalise them."
            )

    @property
    def log_marginal(self) -> Tensor:
        """log p_θ(x) = log Σ_y p(y) p_θ(x | y), ``[m]``."""
        return (self.log_x + self.prior.log()[:, None]).logsumexp(0)

    def mean(self, values: Tensor) -> Tensor:
        """E_{p(y) p(x | y)} of values ``[2, m]``; nothing counts where the density is 0."""
        density = self.log_x.exp()
        values = values.masked_fill(density == 0, 0.0)
        return self.prior @ (self.weights * density * values).sum(-1)

    def kl(self, log_other: Tensor) -> Tensor:
        """E_{p(y)} KL(p(x | y) ‖ other(x | y)), where ``log_other`` is ``[2, m]`` or ``[m]``."""
        terms = kl_terms(self.log_x, log_other.expand_as(self.log_x))
        return self.prior @ (self.weights * terms).sum(-1)

    def js(self) -> Tensor:
        """JSD_π = E_{p(y)} KL(p(x | y) ‖ p(x)): the mutual information of x and y, at most H(y)."""
        return self.kl(self.log_marginal)


def on_finite(generator: Tensor, data: Tensor, *, real: float = 0.5) -> Provenance:
    """Two laws on one finite set.

    Args:
        generator, data: probability tables ``[m]``.
        real: p(y = 1).

    Raises:
        ValueError: tables that are no laws on one set, or a share outside (0, 1).

    Example: of two laws that never meet, x tells y: log 2 nats.
        >>> on_finite([1.0, 0.0], [0.0, 1.0]).js()
        tensor(0.6931)
    """
    generator, data = probabilities(generator, data)
    log_x = torch.stack([generator.log(), data.log()])
    return Provenance(log_x, _labels(real, log_x), torch.ones_like(data))


def on_line(log_generator: Tensor, log_data: Tensor, t: Tensor, *, real: float = 0.5) -> Provenance:
    """Two densities on a grid of the line, by the trapezoid rule.

    Args:
        log_generator, log_data: log-densities ``[m]``.
        t: the grid ``[m]``, ascending.
        real: p(y = 1).

    Raises:
        ValueError: shapes that differ, a grid that does not ascend or that misses mass, or a share
            outside (0, 1).

    Example:
        >>> t = torch.linspace(-9, 10, 500, dtype=torch.float64)
        >>> log_g, log_p = (torch.distributions.Normal(m, 1.0).log_prob(t) for m in (1.0, 0.0))
        >>> on_line(log_g, log_p, t).js()
        tensor(0.1114, dtype=torch.float64)
    """
    if t.ndim != 1 or len(t) < 2 or not log_generator.shape == log_data.shape == t.shape:
        raise ValueError(
            "Expected two log-densities and their grid, of one shape (m,), got "
            f"{tuple(log_generator.shape)}, {tuple(log_data.shape)} and {tuple(t.shape)}."
        )
    step = t.diff()
    if not (step > 0).all():
        raise ValueError("Expected a grid in ascending order.")
    zero = step.new_zeros(1)
    halves = torch.cat([zero, step]) / 2 + torch.cat([step, zero]) / 2
    log_x = torch.stack([log_generator, log_data])
    return Provenance(log_x, _labels(real, log_x), halves)


def log_q(logit: Tensor) -> Tensor:
    """log q(y | x) ``[2, m]`` of a discriminator q(1 | x) = σ(a), from its logits a ``[m]``."""
    return torch.stack([logsigmoid(-logit), logsigmoid(logit)])


def log_q_reversed(logit: Tensor) -> Tensor:
    """log q^r(y | x) = log q(1 − y | x), ``[2, m]``: the labels exchanged, a ↦ −a."""
    return log_q(-logit)


def _labels(real: float, like: Tensor) -> Tensor:
    if not 0 < real < 1:
        raise ValueError(f"Expected the share of real examples, p(y = 1), in (0, 1), got {real}.")
    return torch.tensor([1 - real, real], dtype=like.dtype)
