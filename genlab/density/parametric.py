"""Models with a fixed number of parameters, fitted by maximum likelihood."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from genlab.models import as_rows, catalogued, query_points, sample_size, training_data


@catalogued(chapter="density", source="Gauss 1809")
class Gaussian:
    """Normal distribution with the mean and covariance of the data (maximum likelihood, 1/n).

    Event ``()`` for data ``[n]``, ``(d,)`` for data ``[n, d]``; d + d(d+1)/2 parameters.

    Raises:
        ValueError: bad data, or a covariance that is not positive definite (constant or
            collinear columns, or no more rows than columns).

    Example:
        >>> model = Gaussian().fit(torch.tensor([-1.0, 1.0]))
        >>> model.log_prob(torch.tensor([0.0]))
        tensor([-0.9189])
    """

    def fit(self, x: Tensor) -> "Gaussian":
        x = training_data(x)
        self.event, self.dtype = tuple(x.shape[1:]), x.dtype
        rows = as_rows(x)
        mean, covariance = rows.mean(0), torch.atleast_2d(torch.cov(rows.T, correction=0))
        smallest = torch.linalg.eigvalsh(covariance)[0]
        if len(x) < 2 or smallest <= 1e-14 * covariance.diagonal().sum():
            raise ValueError(
                f"The covariance of the {len(x)} rows is not positive definite: a column is "
                "constant, a combination of others, or there are too few rows. Drop the column "
                "or reduce the dimension (genlab.density.PCASampler)."
            )
        self.mean, self.factor = mean, torch.linalg.cholesky(covariance)
        return self

    def log_prob(self, x: Tensor) -> Tensor:
        """log N(x; μ̂, Σ̂) = −|z|²/2 − log det L − (d/2) log 2π with z = L⁻¹(x − μ̂), ``[batch]``."""
        x = query_points(x, self.event)
        z = torch.linalg.solve_triangular(self.factor, (as_rows(x) - self.mean).T, upper=False)
        log_det = self.factor.diagonal().log().sum()
        constant = log_det + 0.5 * len(self.mean) * math.log(2 * math.pi)
        return (-0.5 * (z**2).sum(0) - constant).to(x.dtype)

    def sample(self, n: int, *, generator: torch.Generator | None = None) -> Tensor:
        """x = μ̂ + Lε with Σ̂ = LLᵀ and ε ~ N(0, I), shape ``[n, *event]``."""
        d = len(self.mean)
        noise = torch.randn(sample_size(n), d, dtype=torch.float64, generator=generator)
        x = self.mean + noise @ self.factor.T
        return x.reshape(n, *self.event).to(self.dtype)


@catalogued(chapter="density", source="Laplace 1814 (smoothing)")
class Categorical:
    """Probability table on a finite set of integers: relative frequencies, possibly smoothed.

    p̂(v) = (count(v) + a) / (n + a·m) on m values; a = 0 is maximum likelihood, a = 1 is
    Laplace's rule. Event ``()``.

    Args:
        support: the values that are possible, e.g. ``range(1, 10)``.
        smoothing: a ≥ 0.

    Raises:
        ValueError: an empty or repeated support, a negative a, data outside the support.

    Example: the lectures' second list has a gap at 7.
        >>> from genlab.data import LIST_C
        >>> seven = torch.tensor([7])
        >>> Categorical(range(3, 9)).fit(LIST_C).log_prob(seven).exp()
        tensor([0.], dtype=torch.float64)
        >>> Categorical(range(3, 9), smoothing=1).fit(LIST_C).log_prob(seven).exp()
        tensor([0.0385], dtype=torch.float64)
    """

    def __init__(self, support: Sequence[int], smoothing: float = 0.0):
        self.support = torch.tensor(sorted(support), dtype=torch.float64)
        if len(self.support) == 0 or len(self.support.unique()) < len(self.support):
            raise ValueError("Expected a support of one or more different integers.")
        if not (math.isfinite(smoothing) and smoothing >= 0):
            raise ValueError(f"Expected smoothing >= 0 (counts added a value), got {smoothing}.")
        self.smoothing = float(smoothing)

    def fit(self, x: Tensor) -> "Categorical":
        index = self._index(query_points(training_data(x), ()))
        if (index < 0).any():
            raise ValueError(
                f"{int((index < 0).sum())} of {len(index)} values lie outside the support "
                f"{self.support.long().tolist()[:10]}. Widen the support."
            )
        counts = torch.bincount(index, minlength=len(self.support)).double() + self.smoothing
        self.probs = counts / counts.sum()
        return self

    def log_prob(self, x: Tensor) -> Tensor:
        """log p̂(x) in nats, shape ``[batch]``; −inf off the support and at values never seen."""
        index = self._index(query_points(x, ()))
        return torch.where(index < 0, -math.inf, self.probs.log()[index.clamp_min(0)])

    def sample(self, n: int, *, generator: torch.Generator | None = None) -> Tensor:
        """Independent draws from the table, int64 ``[n]``."""
        if sample_size(n) == 0:
            return torch.empty(0, dtype=torch.int64)
        index = torch.multinomial(self.probs, n, replacement=True, generator=generator)
        return self.support[index].long()

    def _index(self, x: Tensor) -> Tensor:
        """Position of each value in the support, −1 where it is not there."""
        x = x.double()
        index = torch.searchsorted(self.support, x).clamp_max(len(self.support) - 1)
        return torch.where(self.support[index] == x, index, -1)


@catalogued(chapter="density", source="Bernoulli 1713")
class IndependentBernoulli:
    """n binary variables that know nothing of one another: p(x) = Π pⱼ^xⱼ (1 − pⱼ)^(1−xⱼ).

    n parameters, fitted by the column means. Event ``(n,)``.

    Example:
        >>> x = torch.tensor([[1, 1], [0, 0]])
        >>> IndependentBernoulli().fit(x).log_prob(torch.tensor([[1, 0]])).exp()
        tensor([0.2500], dtype=torch.float64)
    """

    def fit(self, x: Tensor) -> "IndependentBernoulli":
        x = _binary(training_data(x))
        self.event = tuple(x.shape[1:])
        self.probs = x.double().mean(0)
        self.n_params = x.shape[1]
        return self

    def log_prob(self, x: Tensor) -> Tensor:
        """Σⱼ log pⱼ(xⱼ) in nats, shape ``[batch]``."""
        x = _binary(query_points(x, self.event)).double()
        return (torch.xlogy(x, self.probs) + torch.xlogy(1 - x, 1 - self.probs)).sum(1)

    def sample(self, n: int, *, generator: torch.Generator | None = None) -> Tensor:
        """Independent coin flips, int64 ``[n, d]``."""
        z = torch.rand(sample_size(n), *self.event, dtype=torch.float64, generator=generator)
        return (z < self.probs).long()


@catalogued(chapter="density", source="maximum likelihood for a multinomial; Fisher 1922")
class FullTable:
    """n binary variables with one probability for each of the 2ⁿ states: 2ⁿ − 1 parameters.

    The richest model there is of n bits, and the reason for every other model in this course:
    n = 784 would need more numbers than there are atoms. Event ``(n,)``, n ≤ 20.

    Raises:
        ValueError: data that are not 0/1, or more than 20 columns.

    Example:
        >>> table = FullTable().fit(torch.tensor([[1, 1], [0, 0]]))
        >>> table.log_prob(torch.tensor([[1, 0], [1, 1]])).exp(), table.n_params
        (tensor([0.0000, 0.5000], dtype=torch.float64), 3)
    """

    def fit(self, x: Tensor) -> "FullTable":
        x = _binary(training_data(x))
        if x.shape[1] > 20:
            raise ValueError(
                f"A full table of {x.shape[1]} bits has 2^{x.shape[1]} entries; at most 20 bits "
                "are kept. Use a model with fewer parameters (IndependentBernoulli has n)."
            )
        self.event = tuple(x.shape[1:])
        self.n_params = 2 ** x.shape[1] - 1
        self.table = Categorical(range(self.n_params + 1)).fit(self._code(x))
        return self

    def log_prob(self, x: Tensor) -> Tensor:
        """log of the state's relative frequency, nats, ``[batch]``; −inf for a state never seen."""
        return self.table.log_prob(self._code(_binary(query_points(x, self.event))))

    def sample(self, n: int, *, generator: torch.Generator | None = None) -> Tensor:
        """A state drawn from the table, int64 ``[n, d]``."""
        code = self.table.sample(n, generator=generator)
        return code[:, None] >> torch.arange(self.event[0]) & 1

    @staticmethod
    def _code(x: Tensor) -> Tensor:
        return (x.long() << torch.arange(x.shape[1])).sum(1)


def _binary(x: Tensor) -> Tensor:
    if x.ndim != 2 or not ((x == 0) | (x == 1)).all():
        raise ValueError(
            "Expected binary data of shape (n, d) with entries 0 and 1, got shape "
            f"{tuple(x.shape)} with values from {x.min():g} to {x.max():g}. "
            "Threshold or sample the pixels first."
        )
    return x
