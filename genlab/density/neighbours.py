"""Estimates whose volume follows the data: the k nearest neighbours."""

import math

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Tensor

from genlab.density.kernel import log_gaussian_mixture
from genlab.models import as_rows, catalogued, query_points, sample_size, training_data


@catalogued(chapter="density", source="Loftsgaarden & Quesenberry 1965")
class KNNDensity:
    """k-nearest-neighbour estimate, p̂(x) = k / (n V_d R_k(x)^d).

    R_k(x) is the distance to the k-th nearest data point and V_d the volume of the unit ball. At a
    fixed x the estimate is consistent when k → ∞ and k/n → 0. As a function of x it is **no
    density**: its tails fall like 1/|x|^d, so its integral is infinite and there is nothing to
    sample from. That is why this class has ``log_prob`` and no ``sample``.

    Args:
        k: number of neighbours, 1 ≤ k < n.

    Raises:
        ValueError: bad data, k ≥ n, k or more equal rows (the k-th distance would be 0 and the
            estimate infinite), or a query that coincides with k data points.

    Source: Loftsgaarden & Quesenberry 1965, Ann. Math. Stat. 36, 1049.

    Example:
        >>> model = KNNDensity(k=2).fit(torch.tensor([0.0, 1.0, 3.0]))
        >>> model.log_prob(torch.tensor([0.5])).exp()  # 2 / (3 · 2 · 0.5)
        tensor([0.6667])
    """

    def __init__(self, k: int):
        self.k = _neighbours(k)

    def fit(self, x: Tensor) -> "KNNDensity":
        x = training_data(x)
        self.event = tuple(x.shape[1:])
        rows = as_rows(x)
        _enough(self.k, len(rows))
        if self.k > 1:
            _no_ties(rows, self.k)
        self.n, self.d = rows.shape
        self.tree = cKDTree(rows.numpy())
        return self

    def log_prob(self, x: Tensor) -> Tensor:
        """log of k / (n V_d R_k(x)^d) in nats, shape ``[batch]``."""
        x = query_points(x, self.event)
        rows = as_rows(x)
        radius = torch.from_numpy(self.tree.query(rows.numpy(), k=[self.k])[0][:, 0])
        if (radius == 0).any():
            raise ValueError(
                f"{int((radius == 0).sum())} points coincide with {self.k} data points: the "
                "distance to the k-th neighbour is 0 and the estimate infinite. Raise k."
            )
        log_ball = 0.5 * self.d * math.log(math.pi) - math.lgamma(0.5 * self.d + 1)
        log_p = math.log(self.k) - math.log(self.n) - log_ball - self.d * radius.log()
        return log_p.to(x.dtype)

    def __getattr__(self, name: str):
        if name == "sample":
            raise AttributeError(
                "KNNDensity cannot be sampled: its tails fall like 1/|x|^d, so its integral is "
                "infinite and it is no density. Use AdaptiveKDE, which takes its widths from the "
                "neighbours and integrates to one."
            )
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")


@catalogued(chapter="density", source="Breiman, Meisel & Purcell 1977; Abramson 1982")
class AdaptiveKDE:
    """Gaussian bumps as wide as the data are sparse, p̂(x) = (1/n) Σᵢ N(x; xᵢ, hᵢ² I).

    hᵢ = scale · R_k(xᵢ), the distance from xᵢ to the k-th nearest of the other points: the mixture
    of kernel estimate and nearest neighbours. Unlike :class:`KNNDensity` it integrates to one.

    Args:
        k: number of neighbours, 1 ≤ k < n.
        scale: factor > 0 on the distances.

    Raises:
        ValueError: bad data, k ≥ n, a scale that is not positive, or more than k equal rows.

    Source: Breiman, Meisel & Purcell 1977, Technometrics 19, 135; Abramson 1982, Ann. Statist.
    10, 1217 (whose widths are ∝ p̂(xᵢ)^(−1/2)).

    Example:
        >>> model = AdaptiveKDE(k=1).fit(torch.tensor([0.0, 1.0, 4.0]))
        >>> model.h
        tensor([1., 1., 3.], dtype=torch.float64)
    """

    def __init__(self, k: int, scale: float = 1.0):
        if not (math.isfinite(scale) and scale > 0):
            raise ValueError(f"Expected a scale > 0, got {scale}.")
        self.k, self.scale = _neighbours(k), float(scale)

    def fit(self, x: Tensor) -> "AdaptiveKDE":
        x = training_data(x)
        self.event, self.dtype = tuple(x.shape[1:]), x.dtype
        self.x = as_rows(x)
        _enough(self.k, len(self.x))
        _no_ties(self.x, self.k + 1)
        # The nearest data point of a data point is itself: ask for one more.
        distance, _ = cKDTree(self.x.numpy()).query(self.x.numpy(), k=[self.k + 1])
        self.h = self.scale * torch.from_numpy(distance[:, 0])
        return self

    def log_prob(self, x: Tensor) -> Tensor:
        """log p̂(x) in nats, shape ``[batch]``."""
        x = query_points(x, self.event)
        rows = as_rows(x)
        return log_gaussian_mixture(rows, self.x, self.h).to(x.dtype)

    def sample(self, n: int, *, generator: torch.Generator | None = None) -> Tensor:
        """x = x_I + h_I·ε with I uniform on the data and ε ~ N(0, I), ``[n, *event]``."""
        index = torch.randint(len(self.x), (sample_size(n),), generator=generator)
        noise = torch.randn(n, self.x.shape[1], dtype=torch.float64, generator=generator)
        x = self.x[index] + self.h[index, None] * noise
        return x.reshape(n, *self.event).to(self.dtype)


def _neighbours(k: int) -> int:
    if not isinstance(k, int) or isinstance(k, bool) or k < 1:
        raise ValueError(f"Expected a whole number of neighbours k >= 1, got {k!r}.")
    return k


def _enough(k: int, n: int) -> None:
    if k >= n:
        raise ValueError(
            f"Expected k < n, got k={k} neighbours with n={n} rows. Lower k (about the square "
            "root of n is a start) or bring more data."
        )


def _no_ties(rows: Tensor, limit: int) -> None:
    """Refuse data with ``limit`` ≥ 2 or more equal rows, where a k-th distance is 0."""
    # Equal rows have equal first entries. Sorting these is much faster than comparing whole rows,
    # which took longer than building the tree, and most often settles it.
    first = np.sort(rows[:, 0].numpy())
    if (first[limit - 1 :] != first[: len(first) - limit + 1]).all():
        return
    most = int(rows.unique(dim=0, return_counts=True)[1].max())
    if most >= limit:
        raise ValueError(
            f"{most} rows of the data are equal, so a distance to the k-th neighbour is 0 and the "
            f"estimate infinite there. Raise k above {most}, or remove the duplicates: "
            "x.unique(dim=0)."
        )
