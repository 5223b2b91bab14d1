"""Markov chains of order k: forget all but the last k symbols, and count.

What is left of the uncertainty of a symbol when ever more of the past is known falls with k, to
the entropy rate of the source; no model of any kind has less. A chain of too low an order stays
above it, a chain of too high an order has too little data for each of its contexts.
"""

import torch
from torch import Generator, Tensor

from genlab.autoregressive.model import drawn
from genlab.autoregressive.sequence import symbols_of
from genlab.em.kmeans import count
from genlab.models import catalogued, query_points, sample_size

__all__ = ["MarkovChain", "entropy_rate", "stationary"]


@catalogued(chapter="autoregressive", source="Markov 1913; Shannon 1948")
class MarkovChain:
    """Sequences in which a symbol depends on the k before it, by the same tables at every place.

    .. math:: \\hat p_j(s \\mid c) = \\frac{N(c, s) + a\\, \\hat p_{j-1}(s \\mid c')}{N(c) + a}

    with c the last j symbols, c' the last j − 1, and p̂₋₁ uniform: what a long context was seen to
    do, and as much as a counts of what a shorter one says. With a = 0 it is maximum likelihood
    where the context was seen, and the shorter context where it was not. The first symbols have
    shorter contexts. Only contexts that occur are stored.

    Args:
        symbols: m; sequences are of whole numbers 0 to m − 1.
        k: order, 0 or more.
        smoothing: a ≥ 0.

    Raises:
        ValueError: sizes out of range, so many contexts that 64 bits do not number them, or
            sequences that hold something else than symbols.

    Source: Markov 1913, on the letters of Eugene Onegin; Shannon 1948, Bell System Tech. J. 27,
        379; MacKay and Peto 1995, Natural Language Engineering 1, 289, for the smoothing.

    Example: a coin that remembers.
        >>> chain = MarkovChain(2, k=1).fit(torch.tensor([[0, 0, 0, 1, 1, 1, 1, 0]]))
        >>> [round(v, 4) for v in chain.conditional(torch.tensor([[0], [1]]))[:, 1].tolist()]
        [0.3333, 0.75]
    """

    def __init__(self, symbols: int, k: int, *, smoothing: float = 0.0) -> None:
        self.symbols, self.k, self.smoothing = count(symbols, "symbols"), k, smoothing
        if not isinstance(k, int) or k < 0:
            raise ValueError(f"Expected an order k >= 0 as an integer, got {k!r}.")
        if symbols ** (k + 1) >= 2**63:
            raise ValueError(f"{symbols}^{k + 1} contexts have no number in 64 bits: lower k.")
        if not smoothing >= 0:
            raise ValueError(
                f"Expected smoothing >= 0 (counts of a shorter context), got {smoothing}."
            )

    def fit(self, x: Tensor) -> "MarkovChain":
        """Count in sequences ``[n, T]``; a text is one long sequence ``[1, T]``."""
        x = symbols_of(x, self.symbols)
        if x.numel() == 0:
            raise ValueError("Expected one symbol or more, got none.")
        self.event = tuple(x.shape[1:])
        self._counts = []
        for j in range(min(self.k, x.shape[1] - 1) + 1):
            windows = self._number(x.unfold(1, j + 1, 1)).flatten()
            pairs = windows.unique(return_counts=True)
            contexts = (windows // self.symbols).unique(return_counts=True)
            self._counts.append((pairs, contexts))
        return self

    def conditional(self, context: Tensor) -> Tensor:
        """p(· | context) after each row, float64 ``[batch, m]``; the last k symbols count."""
        c = symbols_of(context, self.symbols)
        every = torch.arange(self.symbols).expand(len(c), -1)
        return self._smoothed(c[:, None, :].expand(-1, self.symbols, -1), every)

    def log_conditionals(self, x: Tensor) -> Tensor:
        """log p of each symbol given those before it, float64 ``[batch, T]``, any length T."""
        x = symbols_of(x, self.symbols)
        first = [self._smoothed(x[:, :t], x[:, t]) for t in range(min(self.k, x.shape[1]))]
        rest = x.unfold(1, self.k + 1, 1) if x.shape[1] > self.k else x.new_zeros(len(x), 0, 1)
        rest = self._smoothed(rest[..., :-1], rest[..., -1])
        return torch.cat([torch.stack(first, 1) if first else rest[:, :0], rest], 1).log()

    def log_prob(self, x: Tensor) -> Tensor:
        """log p(x) in nats, ``[batch]``, of sequences as long as those in ``fit``."""
        return self.log_conditionals(query_points(x, self.event)).sum(1)

    def sample(
        self, n: int, length: int | None = None, *, generator: Generator | None = None
    ) -> Tensor:
        """n sequences, int64 ``[n, length]``, one symbol after the other; by default as in fit."""
        (length,) = self.event if length is None else (count(length, "length"),)
        u = torch.rand(sample_size(n), length, generator=generator, dtype=torch.float64)
        x = torch.zeros(n, length, dtype=torch.long)
        for t in range(length):
            p = self.conditional(x[:, max(0, t - self.k) : t])
            x[:, t] = drawn(p.log(), u[:, t])
        return x

    def _smoothed(self, context: Tensor, symbol: Tensor) -> Tensor:
        """p(symbol | context): ``[*shape, j]`` and ``[*shape]`` give ``[*shape]``."""
        p = torch.full(symbol.shape, 1 / self.symbols, dtype=torch.float64)
        for j, (pairs, contexts) in enumerate(self._counts[: context.shape[-1] + 1]):
            c = self._number(context[..., context.shape[-1] - j :])
            n_c = _looked_up(contexts, c)
            n_cs = _looked_up(pairs, c * self.symbols + symbol)
            total = n_c + self.smoothing
            p = torch.where(total > 0, (n_cs + self.smoothing * p) / total.clamp_min(1e-300), p)
        return p

    def _number(self, x: Tensor) -> Tensor:
        number = torch.zeros(x.shape[:-1], dtype=torch.long)
        for value in x.unbind(-1):
            number = number * self.symbols + value
        return number


def _looked_up(table: tuple[Tensor, Tensor], keys: Tensor) -> Tensor:
    found, counts = table
    place = torch.searchsorted(found, keys).clamp_max(len(found) - 1)
    return torch.where(found[place] == keys, counts[place], 0).double()


def stationary(transition: Tensor) -> Tensor:
    """The law over contexts that a chain of order k keeps, ``[m ** k]``.

    Args:
        transition: p(s | c), float64 ``[m ** k, m]``; c is numbered with its last symbol fastest.

    Raises:
        ValueError: rows that are no distributions, a number of contexts that is no power of m, or
            a chain that keeps several laws.

    Example:
        >>> stationary(torch.tensor([[0.9, 0.1], [0.3, 0.7]]))
        tensor([0.7500, 0.2500], dtype=torch.float64)
    """
    p = torch.as_tensor(transition).double()
    contexts, m = p.shape if p.ndim == 2 else (0, 0)
    power = 1
    while m > 1 and power < contexts:
        power *= m
    if power != contexts or (p < 0).any() or not torch.allclose(p.sum(1), p.new_ones(())):
        raise ValueError(
            f"Expected rows p(s | c) that sum to 1, one for each of m^k contexts, got shape "
            f"{tuple(p.shape)}."
        )
    moves = p.new_zeros(contexts, contexts)
    row = torch.arange(contexts)
    for s in range(m):
        moves.index_put_((row, (row * m + s) % contexts), p[:, s], accumulate=True)
    # π (M − I) = 0 and Σ π = 1
    equations = torch.cat([(moves - torch.eye(contexts)).T, p.new_ones(1, contexts)])
    if torch.linalg.matrix_rank(equations[:-1]) < contexts - 1:
        raise ValueError("The chain falls into parts that it never leaves: it keeps several laws.")
    right = torch.cat([p.new_zeros(contexts), p.new_ones(1)])
    return torch.linalg.lstsq(equations, right[:, None]).solution[:, 0].clamp_min(0)


def entropy_rate(transition: Tensor) -> float:
    """Nats a symbol of a chain in its stationary law: H = −Σ_c π(c) Σ_s p(s | c) log p(s | c).

    No model can be better on average, however much of the past it sees.

    Args:
        transition: as in :func:`stationary`.

    Source: Shannon 1948, section 7; Cover and Thomas 2006, Elements of information theory,
        theorem 4.2.4.

    Example:
        >>> round(entropy_rate(torch.tensor([[0.9, 0.1], [0.3, 0.7]])), 4)
        0.3965
    """
    p = torch.as_tensor(transition).double()
    return float(-(stationary(p) * torch.xlogy(p, p).sum(1)).sum())
