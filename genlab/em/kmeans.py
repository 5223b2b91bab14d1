"""k-means: what EM becomes when the components are infinitely narrow."""

from typing import NamedTuple

import torch
from torch import Tensor

from genlab.models import as_rows, query_points, training_data


class KMeans(NamedTuple):
    """What :func:`kmeans` returns.

    Attributes:
        centres: ``[k, *event]``.
        labels: index of the nearest centre of each row, int64 ``[n]``.
        history: mean squared distance to the nearest centre, first at the start, then after each
            iteration.
    """

    centres: Tensor
    labels: Tensor
    history: list[float]


def kmeans(
    x: Tensor, k: int, *, start: Tensor | None = None, generator: torch.Generator | None = None
) -> KMeans:
    """Lloyd's algorithm: assign each point to its nearest centre, move each centre to their mean.

    J = (1/n) Σᵢ minⱼ |xᵢ − cⱼ|² never goes up, and there are finitely many assignments, so it ends;
    where, depends on the start. A centre without points stays where it is.

    Args:
        x: data ``[n]`` or ``[n, d]``.
        k: number of centres ≥ 1.
        start: centres ``[k, *event]``; by default :func:`plus_plus`.

    Raises:
        ValueError: bad data, a bad k, or a start of another shape.

    Source: Lloyd 1957, published in IEEE Trans. Inf. Theory 28 (1982), 129.

    Example:
        >>> x = torch.tensor([0.0, 1.0, 10.0, 12.0])
        >>> centres, labels, history = kmeans(x, 2, start=torch.tensor([0.0, 1.0]))
        >>> centres, labels.tolist(), [round(j, 3) for j in history]
        (tensor([ 0.5000, 11.0000]), [0, 0, 1, 1], [50.5, 6.306, 0.625])
    """
    x = training_data(x)
    count(k, "k")
    event, rows = tuple(x.shape[1:]), as_rows(x)
    middle = rows.mean(0)  # distances do not depend on it, their rounding does
    if start is None:
        centres = as_rows(plus_plus(x, k, generator=generator)) - middle
    else:
        centres = as_rows(starting_means(start, k, event)) - middle
    rows = rows - middle
    labels, history = None, []
    while True:
        distance, nearest = squared_distances(rows, centres).min(1)
        history.append(float(distance.mean()))
        if labels is not None and torch.equal(nearest, labels):
            break
        labels = nearest
        number = torch.bincount(labels, minlength=k)[:, None]
        sums = torch.zeros_like(centres).index_add_(0, labels, rows)
        centres = torch.where(number > 0, sums / number.clamp_min(1), centres)
    return KMeans((centres + middle).reshape(k, *event).to(x.dtype), labels, history)


def plus_plus(x: Tensor, k: int, *, generator: torch.Generator | None = None) -> Tensor:
    """k-means++: k rows of the data as centres, far from one another at random.

    The first is a uniform row; each next one is row i with probability proportional to D²(xᵢ), its
    squared distance to the nearest centre so far. The expected J of these centres alone is at most
    8(log k + 2) times the least. Where every row already is a centre, rows are repeated.

    Returns:
        ``[k, *event]``, rows of ``x``.

    Raises:
        ValueError: bad data or a bad k.

    Source: Arthur and Vassilvitskii 2007, SODA, 1027.

    Example:
        >>> x = torch.tensor([0.0, 0.0, 0.0, 5.0])
        >>> plus_plus(x, 2, generator=torch.Generator().manual_seed(0)).sort().values
        tensor([0., 5.])
    """
    x = training_data(x)
    rows = as_rows(x)
    n = len(rows)
    chosen = [int(torch.randint(n, (1,), generator=generator))]
    nearest = squared_distances(rows, rows[chosen])[:, 0]
    for _ in range(count(k, "k") - 1):
        # By inversion: torch.multinomial stops at 2^24 rows.
        cumulative = nearest.cumsum(0)
        u = torch.rand(1, dtype=torch.float64, generator=generator) * cumulative[-1]
        following = int(torch.searchsorted(cumulative, u, right=True).clamp_max(n - 1))
        chosen.append(following)
        nearest = nearest.minimum(squared_distances(rows, rows[[following]])[:, 0])
    return x[chosen]


def squared_distances(rows: Tensor, centres: Tensor) -> Tensor:
    """|xᵢ − cⱼ|² for each pair, by differences: equal points are at distance 0 exactly.

    Args:
        rows: ``[n, d]``. centres: ``[k, d]``.
    """
    return torch.cdist(rows, centres, compute_mode="donot_use_mm_for_euclid_dist").square()


def count(k: int, name: str) -> int:
    """Check a number of components, states, factors or steps: an integer, one or more."""
    if not isinstance(k, int) or isinstance(k, bool) or k < 1:
        raise ValueError(f"Expected {name} as an integer >= 1, got {k!r}.")
    return k


def starting_means(start: Tensor, k: int, event: tuple[int, ...]) -> Tensor:
    """Check k points to start from, shape ``[k, *event]``."""
    start = query_points(start, event)
    if len(start) != k:
        raise ValueError(f"Expected a start of {k} points, one a component, got {len(start)}.")
    return start
