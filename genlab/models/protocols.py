"""The few words that every model speaks; which of them it has is its place in the taxonomy."""

from typing import Protocol, runtime_checkable

import torch
from torch import Tensor


@runtime_checkable
class Sampler(Protocol):
    """Draws: ``sample(n)`` returns a tensor of shape ``[n, *event]``."""

    def sample(self, n: int, *, generator: torch.Generator | None = None) -> Tensor: ...


@runtime_checkable
class Density(Sampler, Protocol):
    """Draws, and evaluates its normalised density exactly: ``log_prob(x)`` is ``[batch]``, nats."""

    def log_prob(self, x: Tensor) -> Tensor: ...


@runtime_checkable
class LowerBound(Sampler, Protocol):
    """Draws, and bounds its log-density from below: ``elbo(x)`` is ``[batch]``, nats."""

    def elbo(self, x: Tensor) -> Tensor: ...


@runtime_checkable
class Unnormalized(Sampler, Protocol):
    """Draws by a Markov chain, and knows its density up to a factor: ``energy(x)`` is ``[batch]``.

    p(x) = exp(−energy(x)) / Z.
    """

    def energy(self, x: Tensor) -> Tensor: ...
