"""Reduce the dimension, then estimate, then come back."""

import torch
from torch import Tensor

from genlab.models import Density, catalogued, query_points, training_data


@catalogued(chapter="density", source="Pearson 1901 (principal components)")
class PCASampler:
    """Principal components, a density on the scores, and the way back.

    x = μ + W s with W the d × m matrix of leading principal directions and s drawn from a density
    fitted to the scores Wᵀ(x − μ). The samples lie on an m-dimensional plane, so there is no
    density in d dimensions: the model is a Sampler. On the plane ``density.log_prob(scores)`` is
    exact. Event ``(d,)``.

    Args:
        density: an unfitted density with ``fit``, e.g. ``KDE("scott")``.
        dim: m, 1 ≤ m ≤ min(n, d).

    Raises:
        ValueError: bad data, one-dimensional data, or an m that is too large.

    Source: Pearson 1901, Phil. Mag. 2, 559.

    Example:
        >>> from genlab.density import KDE
        >>> x = torch.randn(50, 1, generator=torch.Generator().manual_seed(0)) @ torch.ones(1, 3)
        >>> PCASampler(KDE("scott"), dim=1).fit(x).explained
        1.0
    """

    def __init__(self, density: Density, dim: int):
        if not isinstance(dim, int) or dim < 1:
            raise ValueError(f"Expected a whole number of components dim >= 1, got {dim!r}.")
        self.density, self.dim = density, dim

    def fit(self, x: Tensor) -> "PCASampler":
        x = training_data(x)
        if x.ndim != 2 or self.dim > min(x.shape):
            raise ValueError(
                f"Expected data of shape (n, d) with at least dim={self.dim} rows and columns, "
                f"got {tuple(x.shape)}."
            )
        self.event, self.dtype = tuple(x.shape[1:]), x.dtype
        self.mean = x.double().mean(0)
        _, size, directions = torch.linalg.svd(x.double() - self.mean, full_matrices=False)
        self.directions = directions[: self.dim]
        self.explained = round(float((size[: self.dim] ** 2).sum() / (size**2).sum()), 12)
        self.density.fit(self.encode(x))
        return self

    def encode(self, x: Tensor) -> Tensor:
        """Scores s = Wᵀ(x − μ), shape ``[batch, m]``."""
        return (query_points(x, self.event).double() - self.mean) @ self.directions.T

    def decode(self, scores: Tensor) -> Tensor:
        """Points μ + W s on the plane, shape ``[batch, d]``."""
        return (self.mean + query_points(scores, (self.dim,)) @ self.directions).to(self.dtype)

    def sample(self, n: int, *, generator: torch.Generator | None = None) -> Tensor:
        """Scores from the density, carried back to the plane, ``[n, d]``."""
        return self.decode(self.density.sample(n, generator=generator))
