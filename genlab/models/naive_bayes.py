"""Classification by a generative model, and the race between it and a discriminative one."""

import math
from collections.abc import Callable, Sequence
from typing import Protocol

import torch
from torch import Tensor

from genlab.models.catalogue import catalogued
from genlab.models.inputs import as_rows, query_points, sample_size, training_data

FLOOR = 1e-9


@catalogued(chapter="models", source="Maron 1961")
class GaussianNaiveBayes:
    """Joint density of observation and class in which the columns are independent given the class.

    p(x, c) = π_c Πⱼ N(xⱼ; μ_cj, σ²_cj), fitted by maximum likelihood: shares, means and variances
    (1/n) of the classes. It draws, it evaluates p(x) = Σ_c p(x, c), and by Bayes' rule it
    classifies. Event ``(d,)`` for data ``[n, d]``, ``()`` for data ``[n]``.

    Variances below 1e-9 of the largest column variance of the data are raised to that floor (a
    column may be constant within a class). After ``fit``: ``classes`` ``[k]``, the values that
    occur in y, sorted; ``prior`` ``[k]``; ``mean`` and ``variance`` ``[k, d]``, float64.

    Args:
        shared_variance: one variance a column for all classes; then the log-odds are linear in x.

    Raises:
        ValueError: bad data, labels that are not one integer a row, a single class, columns that
            are all constant, or a class with one row (unless variances are shared).

    Source: Maron 1961, J. ACM 8, 404 (naive Bayes); Duda & Hart 1973, section 2.7.

    Example:
        >>> x = torch.tensor([[0.0], [2.0], [5.0], [7.0]])
        >>> model = GaussianNaiveBayes().fit(x, torch.tensor([0, 0, 1, 1]))
        >>> model.predict(torch.tensor([[1.5], [4.0]]))
        tensor([0, 1])
        >>> model.posterior(torch.tensor([[3.5]]))
        tensor([[0.5000, 0.5000]])
    """

    def __init__(self, shared_variance: bool = False):
        self.shared_variance = bool(shared_variance)

    def fit(self, x: Tensor, y: Tensor) -> "GaussianNaiveBayes":
        x = training_data(x)
        y = _labels(y, len(x))
        rows = as_rows(x)
        classes, index, counts = y.unique(return_inverse=True, return_counts=True)
        if not self.shared_variance and counts.min() < 2:
            raise ValueError(
                f"Class {int(classes[counts.argmin()])} has a single row, and one row has no "
                "variance. Bring a second row, or take shared_variance=True."
            )
        spread = rows.var(0, correction=0).max()
        if spread == 0:
            raise ValueError("Every column of the data is constant: there is nothing to model.")
        if not spread.isfinite():
            raise ValueError("The squares of the data overflow. Rescale the data.")
        member = torch.nn.functional.one_hot(index).double()
        mean = (member.T @ rows) / counts[:, None]
        square = (rows - mean[index]) ** 2
        if self.shared_variance:
            variance = square.mean(0).expand_as(mean)
        else:
            variance = (member.T @ square) / counts[:, None]
        self.event, self.dtype = tuple(x.shape[1:]), x.dtype
        self.classes, self.prior = classes, counts.double() / len(x)
        self.mean, self.variance = mean, variance.clamp_min(FLOOR * spread)
        return self

    def log_joint(self, x: Tensor) -> Tensor:
        """log p(x, c) = log π_c + Σⱼ log N(xⱼ; μ_cj, σ²_cj), nats, ``[batch, k]``."""
        x = query_points(x, self.event)
        return self._log_joint(x).to(x.dtype)

    def posterior(self, x: Tensor) -> Tensor:
        """p(c | x) = p(x, c) / Σ p(x, c′), by Bayes' rule; ``[batch, k]``, rows sum to one."""
        x = query_points(x, self.event)
        return self._log_joint(x).softmax(1).to(x.dtype)

    def predict(self, x: Tensor) -> Tensor:
        """The most probable class of each point, in the values of y, ``[batch]``."""
        return self.classes[self._log_joint(query_points(x, self.event)).argmax(1)]

    def log_prob(self, x: Tensor) -> Tensor:
        """log p(x) = log Σ_c p(x, c), nats, ``[batch]``."""
        return self.log_joint(x).logsumexp(1)

    def _log_joint(self, x: Tensor) -> Tensor:
        """In double precision, finite however far a point lies, so that Bayes' rule has no 0/0."""
        z2 = (as_rows(x).clamp(-1e100, 1e100)[:, None] - self.mean) ** 2 / self.variance
        log_normal = -0.5 * (z2 + self.variance.log() + math.log(2 * math.pi))
        return self.prior.log() + log_normal.sum(2)

    def sample_joint(
        self, n: int, *, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """A class c ~ π, then a point x ~ p(x | c): points ``[n, *event]`` and classes ``[n]``."""
        d = self.mean.shape[1]
        if sample_size(n) == 0:
            index = torch.empty(0, dtype=torch.int64)
        else:
            index = torch.multinomial(self.prior, n, replacement=True, generator=generator)
        noise = torch.randn(n, d, dtype=torch.float64, generator=generator)
        x = self.mean[index] + self.variance[index].sqrt() * noise
        return x.reshape(n, *self.event).to(self.dtype), self.classes[index]

    def sample(self, n: int, *, generator: torch.Generator | None = None) -> Tensor:
        """Points without their classes, ``[n, *event]``."""
        return self.sample_joint(n, generator=generator)[0]


class Classifier(Protocol):
    """Learns classes from examples: ``fit(x, y)``, then ``predict(x)``, as in scikit-learn."""

    def fit(self, x: Tensor, y: Tensor) -> object: ...

    def predict(self, x: Tensor) -> Tensor: ...


def learning_curve(
    classifiers: dict[str, Callable[[], Classifier]],
    x: Tensor,
    y: Tensor,
    sizes: Sequence[int],
    repeats: int,
    *,
    generator: torch.Generator | None = None,
) -> dict[str, Tensor]:
    """Test errors of classifiers that learn from the same few examples, for several numbers.

    Each repeat shuffles the data once, with one row of each class in front, so that every training
    set holds every class. The first m rows train, the others test. All classifiers see the same
    draws: compare them by the differences of their errors.

    Args:
        classifiers: a name and a function that makes a fresh classifier, e.g. the class itself.
        x: data ``[n, d]``.
        y: integer classes ``[n]``.
        sizes: numbers of training rows, from the number of classes to n − 1.
        repeats: number of shuffles.

    Returns:
        For each name the shares of test rows that were misclassified, float64
        ``[len(sizes), repeats]``.

    Raises:
        ValueError: bad data or labels, a size out of range, or less than one repeat.

    Source: Ng & Jordan 2001, NIPS 14, 841.

    Example:
        >>> g = torch.Generator().manual_seed(0)
        >>> y = torch.arange(200) % 2
        >>> x = 3 * y[:, None] + torch.randn(200, 1, generator=g)
        >>> make = {"naive Bayes": lambda: GaussianNaiveBayes(shared_variance=True)}
        >>> error = learning_curve(make, x, y, [4, 100], repeats=20, generator=g)["naive Bayes"]
        >>> error.shape, error.mean(1).round(decimals=2)
        (torch.Size([2, 20]), tensor([0.0900, 0.0800], dtype=torch.float64))
    """
    x = training_data(x)
    y = _labels(y, len(x))
    kinds = len(y.unique())
    if not all(isinstance(m, int) and kinds <= m < len(x) for m in sizes) or not sizes:
        raise ValueError(
            f"Expected sizes from {kinds} (one row a class) to {len(x) - 1} (one row left for the "
            f"test), as whole numbers, got {list(sizes)}."
        )
    if not isinstance(repeats, int) or repeats < 1:
        raise ValueError(f"Expected a number of repeats >= 1, got {repeats!r}.")
    errors = {name: torch.empty(len(sizes), repeats, dtype=torch.float64) for name in classifiers}
    for r in range(repeats):
        order = torch.randperm(len(x), generator=generator)
        first = torch.stack([(y[order] == c).nonzero()[0, 0] for c in y.unique()])
        rest = torch.ones(len(x), dtype=torch.bool)
        rest[first] = False
        order = torch.cat([order[first], order[rest]])
        for i, m in enumerate(sizes):
            train, test = order[:m], order[m:]
            for name, make in classifiers.items():
                classifier = make()
                classifier.fit(x[train], y[train])
                wrong = torch.as_tensor(classifier.predict(x[test])) != y[test]
                errors[name][i, r] = wrong.double().mean()
    return errors


def _labels(y: Tensor, n: int) -> Tensor:
    y = torch.as_tensor(y)
    if tuple(y.shape) != (n,) or y.is_floating_point() or y.is_complex():
        raise ValueError(
            f"Expected y as {n} integers, one class for each row of x, got {y.dtype} of shape "
            f"{tuple(y.shape)}."
        )
    if len(y.unique()) < 2:
        raise ValueError(f"All {n} rows are of class {int(y[0])}: there is nothing to tell apart.")
    return y
