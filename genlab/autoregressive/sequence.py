"""What densities over sequences of symbols share: inputs, and two ways to draw.

A model says how the inputs up to time t become the logits of the symbol at t. Computed at all times
at once this is the likelihood; taken step by step, with a memory, it is the sampler.
"""

from abc import abstractmethod
from typing import Any

import torch
from torch import Generator, Tensor, nn

from genlab.autoregressive.masks import receptive_field
from genlab.autoregressive.model import Autoregressive, drawn, log_conditional
from genlab.em.kmeans import count
from genlab.models import query_points
from genlab.nets import weights_from

__all__ = ["SequenceModel", "influence"]


class SequenceModel(Autoregressive):
    """p(x) = Π_t p(x_t | x_0 … x_{t−1}) over sequences, each factor the softmax of a network.

    The input at time t is the embedding of x_{t−1}, and zeros at time 0: no output sees its own
    symbol. In training the true symbols go in, at all times at once (teacher forcing); in sampling
    the drawn ones do, one after the other. A subclass writes ``network(h)``, in which the logits at
    t depend on the inputs up to t only; and ``start(n)`` and ``step(h, state)``, which compute the
    same for one more input, from a state that remembers those before.

    Args:
        symbols: K; the symbols are 0 … K − 1.
        length: of the sequences that ``log_prob`` takes and ``sample`` draws.
        width: of an embedding.
        generator: source of the first weights.

    Raises:
        ValueError: sizes below 1; sequences of another length, or of other values than the symbols.
    """

    def __init__(self, symbols: int, length: int, width: int, generator: Generator | None) -> None:
        super().__init__((length,), symbols)
        with weights_from(generator):
            self.embedding = nn.Embedding(symbols, count(width, "width"))

    @abstractmethod
    def network(self, h: Tensor) -> Tensor:
        """Logits ``[batch, T, symbols]`` from the inputs ``[batch, T, width]``, at all times."""

    @abstractmethod
    def start(self, n: int) -> Any:
        """The state before the first of n sequences' inputs."""

    @abstractmethod
    def step(self, h: Tensor, state: Any) -> tuple[Tensor, Any]:
        """Logits ``[n, symbols]`` after one more input ``[n, width]``, and the new state."""

    def forward(self, x: Tensor) -> Tensor:
        """What the network says of every symbol from those before it, ``[batch, T, symbols]``."""
        return self.network(delayed(self.embedding(x.long())))

    def log_prob(self, x: Tensor) -> Tensor:
        """log p(x) in nats, ``[batch]``, by one pass."""
        return super().log_prob(query_points(x, self.event))

    def log_conditionals(self, x: Tensor) -> Tensor:
        """log p(x_t | x_0 … x_{t−1}) in nats, ``[batch, T]``, of sequences of any length T."""
        x = symbols_of(x, self.levels).to(self.embedding.weight.device)
        return log_conditional(self(x), x)

    def continued(self, x: Tensor, steps: int, *, generator: Generator | None = None) -> Tensor:
        """The sequences x ``[n, T]``, T ≥ 0, and ``steps`` more symbols of each, from p(· | x)."""
        x = nn.functional.pad(symbols_of(x, self.levels), (0, count(steps, "steps")))
        weight = self.embedding.weight
        u = torch.rand(x.shape, generator=generator, dtype=weight.dtype, device=weight.device)
        return self.from_uniforms(u, x, x.shape[1] - steps)

    @torch.no_grad()
    def from_uniforms(self, u: Tensor, x: Tensor | None = None, known: int = 0) -> Tensor:
        """The draw that these uniforms decide, with one step a symbol.

        ``Autoregressive.from_uniforms(model, u)`` gives the same, and runs the whole network anew
        for every symbol.

        Args:
            u: numbers in [0, 1), ``[n, T]``, of any length T.
            x, known: the first ``known`` symbols of x ``[n, T]`` are kept.
        """
        weight = self.embedding.weight
        x = torch.zeros_like(u, dtype=torch.long) if x is None else x.to(u.device).long()
        h, state = weight.new_zeros(len(u), weight.shape[1]), self.start(len(u))
        symbols = []
        for t in range(u.shape[1]):
            logits, state = self.step(h, state)
            symbols.append(x[:, t] if t < known else drawn(logits, u[:, t]))
            h = self.embedding(symbols[t])
        return torch.stack(symbols, 1)


def symbols_of(x: Tensor, levels: int) -> Tensor:
    """x as int64, if it is sequences ``[batch, T]``, T ≥ 0, of whole numbers 0 to levels − 1."""
    x = torch.as_tensor(x)
    if x.ndim != 2:
        raise ValueError(
            f"Expected sequences of shape (batch, T), got {tuple(x.shape)}. "
            "A single one needs its batch axis: x[None]."
        )
    if x.numel() and not ((x >= 0) & (x < levels) & (x == x.long())).all():
        raise ValueError(
            f"Expected symbols 0 to {levels - 1}, got values from {x.min().item():g} to "
            f"{x.max().item():g}. Text becomes symbols by Alphabet(text).encode(text), sound by "
            "mu_law."
        )
    return x.long()


def delayed(h: Tensor) -> Tensor:
    """The inputs of a network: zeros, then the rows ``[batch, T, width]`` without the last."""
    return nn.functional.pad(h, (0, 0, 1, 0))[:, : h.shape[1]]


def influence(model: SequenceModel, x: Tensor, t: int) -> Tensor:
    """How strongly each symbol of x moves the logits at time t, ``[T]``; exactly 0 is not at all.

    The :func:`receptive_field` of the network in the embeddings, which can be differentiated.

    Args:
        model: it reads x.
        x: sequences ``[batch, T]``; the largest slope over the batch counts.
        t: a time, 0 to T − 1.

    Example:
        >>> from genlab.autoregressive import RNNDensity
        >>> model = RNNDensity(3, 5, generator=torch.Generator().manual_seed(0))
        >>> influence(model, torch.tensor([[0, 1, 2, 1, 0]]), 3) > 0
        tensor([ True,  True,  True, False, False])
    """
    h = model.embedding(symbols_of(x, model.levels)).mT
    return receptive_field(lambda h: model.network(delayed(h.mT)).mT, h, [t])
