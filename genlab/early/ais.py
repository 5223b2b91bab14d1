"""Annealed importance sampling: log Z by a walk from a law that can be drawn to one that cannot.

Plain importance sampling from p₀ fails where p₁ has its mass elsewhere. Many small steps do not:
with f_β going from f₀ to f₁, start at x₀ ~ p₀, and at each temperature first weigh, then move,

    log w ← log w + log f_β(x) − log f_α(x),      x ← a step of a chain that keeps f_β.

Then E[w] = Z₁ / Z₀ exactly, however few the temperatures and however slow the chains; only the
variance depends on them. The mean of log w lies below log Z₁ / Z₀.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Generator, Tensor
from torch.nn.functional import softplus

from genlab.early.boltzmann import RBM
from genlab.em.kmeans import count

__all__ = ["LogPartition", "ais", "ais_log_partition"]


class LogPartition(NamedTuple):
    """An estimate of log Z.

    Attributes:
        value: log of the mean weight, nats: Z is met on average, log Z from below.
        error: standard error of ``value``, from the spread of the weights.
        log_weights: one for each chain, ``[chains]``, with log Z₀ added.
    """

    value: float
    error: float
    log_weights: Tensor


@torch.no_grad()
def ais(
    log_f: Callable[[Tensor, float], Tensor],
    move: Callable[[Tensor, float, Generator | None], Tensor],
    start: Tensor,
    temperatures: int,
    *,
    log_z0: float = 0.0,
    generator: Generator | None = None,
) -> LogPartition:
    """Estimate log Z₁ = log Σ_x f₁(x) along a path f_β, β = 0, 1/T, 2/T, …, 1.

    Args:
        log_f: ``log_f(x, beta)``, ``[chains]``, nats.
        move: ``move(x, beta, generator)``, a step of a chain that keeps f_β.
        start: draws of p₀ = f₀ / Z₀, a chain each, ``[chains, *event]``; two or more.
        temperatures: T, 1 or more; 1 is plain importance sampling.
        log_z0: log Z₀.

    Returns:
        a :class:`LogPartition`. Its error trusts the weights it has seen: where one chain has most
        of the weight, it is too small.

    Raises:
        ValueError: fewer than two chains, or no temperature.

    Source: Neal 2001, Statistics and Computing 11, 125 (arXiv:physics/9803008).

    Example: ∫ exp(−(x − 3)² / 2) dx = √(2π), from N(0, 1).
        >>> from genlab.early import metropolis
        >>> def log_f(x, beta):
        ...     return -0.5 * (x[:, 0] - 3 * beta) ** 2
        >>> def move(x, beta, g):
        ...     return metropolis(lambda x: log_f(x, beta), x, 1, generator=g)[-1]
        >>> g = torch.Generator().manual_seed(0)
        >>> start = torch.randn(1000, 1, generator=g)
        >>> found = ais(log_f, move, start, 100, log_z0=0.5 * math.log(2 * math.pi), generator=g)
        >>> round(found.value, 1), found.error < 0.05
        (0.9, True)
    """
    if len(start) < 2:
        raise ValueError(f"Expected two chains or more to tell an error, got {len(start)}.")
    x, log_w = start, torch.zeros(len(start), dtype=torch.float64) + log_z0
    for t in range(count(temperatures, "temperatures")):
        alpha, beta = t / temperatures, (t + 1) / temperatures
        log_w += (log_f(x, beta) - log_f(x, alpha)).to(log_w)
        if beta < 1:
            x = move(x, beta, generator)
    return _mean(log_w)


def ais_log_partition(
    model: RBM,
    chains: int = 100,
    temperatures: int = 1000,
    *,
    data: Tensor | None = None,
    generator: Generator | None = None,
) -> LogPartition:
    """log Z of a Boltzmann machine, by the path on which its weights and biases grow from zero.

    At β the machine has the weights βW and biases βc and (1 − β) a + βb. At β = 0 its units are
    independent, and Z₀ = 2^m Π_i (1 + exp(a_i)).

    Args:
        model: an :class:`RBM` of any size.
        chains: independent runs, two or more.
        temperatures: T; more cost time and lower the error.
        data: rows of zeros and ones: a is such that at β = 0 a bit is 1 as often as in them, with
            a pseudo-count of one half. Without them, a = b.

    Returns:
        a :class:`LogPartition`.

    Raises:
        ValueError: fewer than two chains, no temperature, or data that are not zeros and ones.

    Source: Salakhutdinov and Murray 2008, ICML, 872.

    Example:
        >>> from genlab.early import log_partition
        >>> g = torch.Generator().manual_seed(0)
        >>> model = RBM(6, 4, generator=g).double()
        >>> _ = torch.nn.init.normal_(model.W, generator=g)
        >>> found = ais_log_partition(model, 100, 100, generator=g)
        >>> abs(found.value - log_partition(model).item()) < 0.1
        True
    """
    W, b, c = model.W.detach(), model.b.detach(), model.c.detach()
    a = b
    if data is not None:
        ones = (model.bits(data).sum(0) + 0.5) / (len(data) + 1)
        a = ones.logit()
    log_z0 = float(len(c) * math.log(2) + softplus(a).double().sum())

    def log_f(x: Tensor, beta: float) -> Tensor:
        return x @ torch.lerp(a, b, beta) + softplus(beta * (x @ W + c)).sum(1)

    def move(x: Tensor, beta: float, generator: Generator | None) -> Tensor:
        h = torch.bernoulli((beta * (x @ W + c)).sigmoid(), generator=generator)
        logits = torch.lerp(a, b, beta) + beta * (h @ W.T)
        return torch.bernoulli(logits.sigmoid(), generator=generator)

    first = a.sigmoid().expand(count(chains, "chains"), -1)
    start = torch.bernoulli(first, generator=generator)
    return ais(log_f, move, start, temperatures, log_z0=log_z0, generator=generator)


def _mean(log_w: Tensor) -> LogPartition:
    """The log of the mean weight, with its error by the delta method: σ(w) / (mean(w) √n)."""
    value = float(log_w.logsumexp(0) - math.log(len(log_w)))
    w = (log_w - value).exp()
    return LogPartition(value, float(w.std() / math.sqrt(len(w))), log_w)
