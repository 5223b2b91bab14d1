"""Hidden Markov models: sums over S^T paths in time T·S², and EM on top of them."""

import math

import torch
from torch import Tensor

from genlab.em.kmeans import count
from genlab.models import catalogued, query_points, sample_size, training_data


@catalogued(chapter="em", source="Baum, Petrie, Soules and Weiss 1970")
class HiddenMarkovModel:
    """A Markov chain that is not seen, and a symbol that each of its states emits.

    p(x, z) = π(z₁) B(z₁, x₁) Πₜ A(zₜ₋₁, zₜ) B(zₜ, xₜ). Event ``(T,)``: a sequence of T symbols
    0 … M−1. All sums are taken in the log domain, so a long sequence does not underflow.

    Args:
        states: S, number of hidden states.
        symbols: M, number of symbols.
        initial, transition, emission: π ``[S]``, A ``[S, S]``, B ``[S, M]``, rows that sum to
            one; together with a length they make a model that needs no fit.
        length: T of the sequences that ``sample`` draws; ``fit`` sets it.
        tol, max_iterations: Baum–Welch stops when an iteration gains less than this, nats a
            sequence, or after as many.

    Attributes:
        history: mean log-likelihood of a sequence, first at the start, then after each iteration.

    Raises:
        ValueError: symbols outside 0 … M−1, tables that are no distributions, or bad sizes.

    Source: Baum, Petrie, Soules and Weiss 1970, Ann. Math. Stat. 41, 164; Rabiner 1989, Proc.
    IEEE 77, 257.

    Example:
        >>> A, B = torch.tensor([[0.9, 0.1], [0.2, 0.8]]), torch.tensor([[0.5, 0.5], [0.1, 0.9]])
        >>> model = HiddenMarkovModel(
        ...     2, 2, initial=torch.tensor([1.0, 0.0]), transition=A, emission=B, length=2
        ... )
        >>> model.log_prob(torch.tensor([[1, 1]])).exp()  # 0.5 (0.9 · 0.5 + 0.1 · 0.9)
        tensor([0.2700], dtype=torch.float64)
    """

    def __init__(
        self,
        states: int,
        symbols: int,
        *,
        initial: Tensor | None = None,
        transition: Tensor | None = None,
        emission: Tensor | None = None,
        length: int | None = None,
        tol: float = 1e-7,
        max_iterations: int = 500,
    ):
        self.states, self.symbols = count(states, "states"), count(symbols, "symbols")
        self.tol, self.max_iterations = tol, max_iterations
        given = [table is not None for table in (initial, transition, emission)]
        self._start = None
        if any(given):
            if not all(given):
                raise ValueError("Expected initial, transition and emission together, or none.")
            self._start = (
                _distribution(initial, (states,), "initial"),
                _distribution(transition, (states, states), "transition"),
                _distribution(emission, (states, symbols), "emission"),
            )
            self.initial, self.transition, self.emission = self._start
        if length is not None:
            self.event = (count(length, "length"),)

    def fit(self, x: Tensor, *, generator: torch.Generator | None = None) -> "HiddenMarkovModel":
        """Baum–Welch, which is EM, from the tables given or from random ones.

        The E step asks how often each state starts a sequence, follows each other state and emits
        each symbol, in expectation under p(z | x); the M step divides these counts by their sums.

        Args:
            x: sequences ``[n, T]``.
        """
        x = self._symbols(training_data(x))
        self.event = tuple(x.shape[1:])
        S, M = self.states, self.symbols
        start = self._start or [_random(shape, generator) for shape in ((S,), (S, S), (S, M))]
        self.initial, self.transition, self.emission = start
        self.history: list[float] = []
        while True:
            first, pairs, emitted, log_p = self._expected_counts(x)
            self.history.append(float(log_p.mean()))
            if len(self.history) > self.max_iterations or (
                len(self.history) > 1 and self.history[-1] - self.history[-2] < self.tol
            ):
                return self
            self.initial = first / first.sum()
            self.transition = _rows(pairs, self.transition)
            self.emission = _rows(emitted, self.emission)

    def forward(self, x: Tensor) -> Tensor:
        """log αₜ(z) = log p(x₁ … xₜ, zₜ = z), ``[batch, T, S]``.

        αₜ(z) = B(z, xₜ) Σ_z' αₜ₋₁(z') A(z', z).
        """
        log_b, log_a = self._log_emission(x), self.transition.log()
        alpha = [self.initial.log() + log_b[:, 0]]
        for t in range(1, log_b.shape[1]):
            alpha.append(log_b[:, t] + (alpha[-1][:, :, None] + log_a).logsumexp(1))
        return torch.stack(alpha, 1)

    def backward(self, x: Tensor) -> Tensor:
        """log βₜ(z) = log p(xₜ₊₁ … x_T | zₜ = z), ``[batch, T, S]``.

        βₜ(z) = Σ_z' A(z, z') B(z', xₜ₊₁) βₜ₊₁(z').
        """
        log_b, log_a = self._log_emission(x), self.transition.log()
        beta = [torch.zeros_like(log_b[:, 0])]
        for t in range(log_b.shape[1] - 1, 0, -1):
            beta.append((log_a + (log_b[:, t] + beta[-1])[:, None, :]).logsumexp(2))
        return torch.stack(beta[::-1], 1)

    def log_prob(self, x: Tensor) -> Tensor:
        """log p(x) = log Σ_z α_T(z) in nats, ``[batch]``."""
        return self.forward(x)[:, -1].logsumexp(1)

    def posterior(self, x: Tensor) -> Tensor:
        """p(zₜ | x) = αₜ βₜ / p(x), ``[batch, T, S]``."""
        log_joint = self.forward(x) + self.backward(x)
        if (log_joint[:, -1] == -math.inf).all(-1).any():
            raise ValueError("A sequence has probability 0 under the model: it has no posterior.")
        return log_joint.softmax(-1)

    def viterbi(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The most probable path, argmax_z p(x, z), by the forward recursion with max for Σ.

        Returns:
            states ``[batch, T]``, int64; log p(x, z) of that path, ``[batch]``.

        Source: Viterbi 1967, IEEE Trans. Inf. Theory 13, 260.
        """
        log_b, log_a = self._log_emission(x), self.transition.log()
        best, origins = self.initial.log() + log_b[:, 0], []
        for t in range(1, log_b.shape[1]):
            best, origin = (best[:, :, None] + log_a).max(1)
            best = best + log_b[:, t]
            origins.append(origin)
        log_p, last = best.max(1)
        path = [last]
        for origin in reversed(origins):
            path.append(origin.gather(1, path[-1][:, None])[:, 0])
        return torch.stack(path[::-1], 1), log_p

    def sample(self, n: int, *, generator: torch.Generator | None = None) -> Tensor:
        """The chain, then its symbols, int64 ``[n, T]``."""
        if not hasattr(self, "event"):
            raise ValueError("The length of a sequence is not known: fit first, or give length=.")
        sample_size(n)
        z = _draw(self.initial.expand(n, -1), generator)
        x = [_draw(self.emission[z], generator)]
        for _ in range(self.event[0] - 1):
            z = _draw(self.transition[z], generator)
            x.append(_draw(self.emission[z], generator))
        return torch.stack(x, 1)

    def _expected_counts(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        alpha, beta, log_b = self.forward(x), self.backward(x), self._log_emission(x)
        log_p = alpha[:, -1].logsumexp(1)
        if (log_p == -math.inf).any():
            raise ValueError("A sequence has probability 0 under the tables to start from.")
        gamma = (alpha + beta - log_p[:, None, None]).exp()
        pairs = torch.zeros_like(self.transition)
        for t in range(1, x.shape[1]):
            follows = (log_b[:, t] + beta[:, t] - log_p[:, None])[:, None, :]
            pairs += (alpha[:, t - 1, :, None] + self.transition.log() + follows).exp().sum(0)
        emitted = torch.zeros(self.symbols, self.states, dtype=torch.float64)
        emitted.index_add_(0, x.flatten(), gamma.flatten(0, 1))
        return gamma[:, 0].sum(0), pairs, emitted.T, log_p

    def _log_emission(self, x: Tensor) -> Tensor:
        """log B(z, xₜ), ``[batch, T, S]``."""
        x = torch.as_tensor(x)
        event = getattr(self, "event", tuple(x.shape[1:]))
        return self.emission.log().T[self._symbols(query_points(x, event))]

    def _symbols(self, x: Tensor) -> Tensor:
        if x.ndim != 2 or x.shape[1] == 0:
            raise ValueError(
                f"Expected sequences of shape (n, T) with T >= 1, got {tuple(x.shape)}."
            )
        if not ((x == x.long()) & (x >= 0) & (x < self.symbols)).all():
            raise ValueError(
                f"Expected sequences of symbols 0 to {self.symbols - 1}, got shape "
                f"{tuple(x.shape)} with values from {x.min():g} to {x.max():g}."
            )
        return x.long()


def _draw(probabilities: Tensor, generator: torch.Generator | None) -> Tensor:
    """One category for each row, by inversion."""
    edges = probabilities.cumsum(1)
    u = torch.rand(len(edges), 1, dtype=torch.float64, generator=generator) * edges[:, -1:]
    return torch.searchsorted(edges.contiguous(), u, right=True)[:, 0]


def _random(shape: tuple[int, ...], generator: torch.Generator | None) -> Tensor:
    table = 0.5 + torch.rand(shape, dtype=torch.float64, generator=generator)
    return table / table.sum(-1, keepdim=True)


def _rows(counts: Tensor, before: Tensor) -> Tensor:
    """Counts over their sums; a state that is never visited keeps its row."""
    total = counts.sum(1, keepdim=True)
    return torch.where(total > 0, counts / total, before)


def _distribution(table: Tensor, shape: tuple[int, ...], name: str) -> Tensor:
    table = torch.as_tensor(table).double()
    if tuple(table.shape) != shape or not (table >= 0).all():
        raise ValueError(
            f"Expected {name} of shape {shape} with entries >= 0, got {tuple(table.shape)}."
        )
    total = table.sum(-1, keepdim=True)
    if not ((total - 1).abs() < 1e-5).all():
        raise ValueError(f"Expected the rows of {name} to sum to one, got {total.flatten()}.")
    return table / total
