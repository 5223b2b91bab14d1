"""The product rule with tables: any law of n entries, and what it costs in parameters.

Indices from 0: p(x) = Π_{i=0}^{n−1} p(x_i | x_0, …, x_{i−1}). In Python's words x[i] given x[0:i],
for i in range(n): the first factor, x[0] given x[0:0], is a margin.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from genlab.autoregressive.model import Autoregressive
from genlab.em.kmeans import count
from genlab.models import catalogued

__all__ = ["Tabular", "free_parameters", "states"]


def states(n: int, levels: int = 2) -> Tensor:
    """Every value of n entries once, int64 ``[levels ** n, n]``; the last entry changes fastest.

    Raises:
        ValueError: more than 2^24 states.

    Example:
        >>> states(2).tolist()
        [[0, 0], [0, 1], [1, 0], [1, 1]]
    """
    if count(levels, "levels") ** count(n, "n") > 2**24:
        raise ValueError(f"Expected at most 2^24 states, got {levels}^{n}: too many to list.")
    return torch.cartesian_prod(*[torch.arange(levels)] * n).reshape(-1, n)


def free_parameters(n: int, k: int | None = None, levels: int = 2) -> int:
    """Free numbers in the tables of n conditionals, each given the k entries before it.

    .. math:: \\sum_{i=0}^{n-1} m^{\\min(i, k)} (m - 1), \\qquad m \\text{ levels}

    With k = 0, independence, n of binary entries; with k = n − 1, every law, 2ⁿ − 1.

    Args:
        n: entries.
        k: order, 0 to n − 1; None is n − 1.
        levels: m.

    Raises:
        ValueError: sizes below 1, or an order outside 0 to n − 1.

    Example:
        >>> [free_parameters(10, k) for k in range(10)]
        [10, 19, 35, 63, 111, 191, 319, 511, 767, 1023]
    """
    k = _order(n, k)
    return sum(count(levels, "levels") ** min(i, k) * (levels - 1) for i in range(n))


@catalogued(chapter="autoregressive", source="Chow and Liu 1968; Frey 1998")
class Tabular(Autoregressive):
    """Each conditional a table: a row for each value of the k entries before it in the ordering.

    .. math:: p(x) = \\prod_{t=1}^n p_t(x_{o(t)} \\mid x_{o(t-k)}, \\dots, x_{o(t-1)}), \\qquad
              \\hat p_t(s \\mid c) = \\frac{N_t(c, s) + a}{N_t(c) + a m}

    Counting is maximum likelihood. A context that was never seen gets the uniform law.

    Args:
        n: entries.
        k: order, 0 to n − 1; None is n − 1, the full table: it can be any law.
        levels: m, how many values an entry can have.
        order: o; by default the entries as they stand.

    Raises:
        ValueError: sizes below 1, an order k outside 0 to n − 1, more than 2^24 numbers in a
            table, an ordering that is no permutation; to ``fit``, smoothing or a weight below 0,
            or no data.

    Source: the product rule; Chow and Liu 1968, IEEE Trans. Inf. Theory 14, 462, for k = 1 with
        the best tree instead of an ordering.

    Example:
        >>> x = torch.tensor([[0, 0], [1, 1], [1, 1], [1, 0]])
        >>> Tabular(2).fit(x).log_prob(states(2)).exp()
        tensor([0.2500, 0.0000, 0.2500, 0.5000], dtype=torch.float64)
    """

    def __init__(
        self,
        n: int,
        k: int | None = None,
        levels: int = 2,
        *,
        order: Sequence[int] | Tensor | None = None,
    ) -> None:
        super().__init__((n,), levels, order)
        self.k = _order(n, k)
        if levels ** (self.k + 1) > 2**24:
            raise ValueError(
                f"A table for {levels}^{self.k} contexts is too large: take a lower order k."
            )
        for t in range(n):
            table = torch.full((levels ** min(t, self.k), levels), 1 / levels, dtype=torch.float64)
            self.register_buffer(f"table{t}", table)

    def fit(self, x: Tensor, smoothing: float = 0.0, *, weights: Tensor | None = None) -> "Tabular":
        """Count.

        Args:
            x: data ``[rows, n]``.
            smoothing: a ≥ 0, added to every count.
            weights: how often each row counts, by default once. With all :func:`states` and their
                probabilities p it is the law of this order that is closest in KL(p ‖ ·).
        """
        if not smoothing >= 0:
            raise ValueError(f"Expected smoothing >= 0 (counts added), got {smoothing!r}.")
        x = self.whole_numbers(x)
        weights = x.new_ones(len(x)) if weights is None else weights.double()
        if len(x) == 0 or tuple(weights.shape) != (len(x),) or not weights.min() >= 0:
            raise ValueError(
                f"Expected one row of data or more, each with a weight >= 0, got {len(x)} rows and "
                f"weights of shape {tuple(weights.shape)}."
            )
        for t, context in enumerate(self._contexts(x)):
            table = self.get_buffer(f"table{t}")
            cells = context * self.levels + x[:, self.order[t]].long()
            counts = cells.bincount(weights, table.numel()).reshape(table.shape) + smoothing
            total = counts.sum(1, keepdim=True)
            table.copy_(torch.where(total > 0, counts / total, 1 / self.levels))
        return self

    def forward(self, x: Tensor) -> Tensor:
        rows = [self.get_buffer(f"table{t}")[c] for t, c in enumerate(self._contexts(x))]
        return torch.stack(rows, 1)[:, self.order.argsort()].log()

    def _contexts(self, x: Tensor) -> list[Tensor]:
        """For each place in the ordering the number of the row that its k predecessors name."""
        x, contexts = x.long()[:, self.order], []
        for t in range(x.shape[1]):
            number = torch.zeros_like(x[:, 0])
            for value in x[:, max(0, t - self.k) : t].unbind(1):
                number = number * self.levels + value
            contexts.append(number)
        return contexts


def _order(n: int, k: int | None) -> int:
    k = count(n, "n") - 1 if k is None else k
    if not isinstance(k, int) or not 0 <= k < n:
        raise ValueError(f"Expected an order k from 0 to {n - 1}, for {n} entries, got {k!r}.")
    return k
