"""From a distribution to a sample: inversion, one coordinate after the other."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from genlab.models import sample_size, training_data

Cdf = Callable[[Tensor], Tensor]


def inverse_cdf(cdf: Cdf, z: Tensor) -> Tensor:
    """Generalised inverse of a distribution function, F⁻¹(z) = inf{x : F(x) ≥ z}.

    If z is uniform on (0, 1), F⁻¹(z) has distribution function F, whatever F is: continuous,
    with jumps, or with flat parts. The search is a bisection down to neighbouring floating-point
    numbers, so an atom is returned exactly.

    Args:
        cdf: F, non-decreasing and right-continuous; takes and returns float64 tensors elementwise.
        z: levels strictly between 0 and 1, any shape.

    Returns:
        float64 tensor of the shape of ``z``.

    Raises:
        ValueError: a level outside (0, 1), or an F that never reaches it within ±1e300.

    Source: von Neumann 1951; Devroye 1986, Non-Uniform Random Variate Generation, ch. II.2.

    Example:
        >>> F = ecdf(torch.tensor([3, 4, 4, 6]))
        >>> inverse_cdf(F, torch.tensor([0.25, 0.26, 0.75, 0.76]))
        tensor([3., 4., 4., 6.], dtype=torch.float64)
    """
    z = torch.as_tensor(z).double()
    if not ((z > 0) & (z < 1)).all():
        raise ValueError(
            "Expected levels z strictly between 0 and 1. F⁻¹(0) and F⁻¹(1) are the ends of the "
            "support and may be infinite; clamp z if a generator returns 0 exactly."
        )
    low, high = torch.full_like(z, -1.0), torch.full_like(z, 1.0)
    while (above := cdf(low) >= z).any():
        low = torch.where(above, 2 * low, low)
        _within_range(low)
    while (below := cdf(high) < z).any():
        high = torch.where(below, 2 * high, high)
        _within_range(high)
    # Invariant: F(low) < z <= F(high). It ends when no number lies between, or at a width of
    # 2^-200 (numbers near zero could otherwise be halved a thousand times).
    for _ in range(1200):
        middle = low + (high - low) / 2
        done = (middle <= low) | (middle >= high) | (high - low < 2.0**-200)
        if done.all():
            break
        reached = cdf(middle) >= z
        high = torch.where(reached & ~done, middle, high)
        low = torch.where(reached | done, low, middle)
    return torch.where(high.abs() < 2.0**-199, torch.zeros_like(high), high)


def ecdf(x: Tensor) -> Cdf:
    """Empirical distribution function, F̂(t) = (1/n) Σ 1{xᵢ ≤ t}.

    Args:
        x: observations, shape ``[n]``.

    Raises:
        ValueError: data that are not one-dimensional, empty, NaN or infinite.

    Example:
        >>> F = ecdf(torch.tensor([1.0, 2.0, 2.0, 5.0]))
        >>> F(torch.tensor([0.0, 2.0, 4.9, 5.0]))
        tensor([0.0000, 0.7500, 0.7500, 1.0000], dtype=torch.float64)
    """
    x = training_data(x)
    if x.ndim != 1:
        raise ValueError(f"Expected one-dimensional data of shape (n,), got {tuple(x.shape)}.")
    ordered = x.double().sort().values
    n = len(ordered)
    return lambda t: torch.searchsorted(ordered, t.double().contiguous(), right=True).double() / n


def sample_sequentially(
    quantiles: Sequence[Callable[[Tensor, Tensor], Tensor]],
    n: int,
    *,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Draw x₁ from its marginal, x₂ given x₁, x₃ given (x₁, x₂), each by inversion.

    xⱼ = Fⱼ⁻¹(zⱼ | x₁, …, xⱼ₋₁) with independent z uniform on (0, 1); the result has the joint
    density p(x₁) p(x₂|x₁) ⋯ .

    Args:
        quantiles: one function per coordinate; ``quantiles[j](z, before)`` takes levels ``[n]``
            and the coordinates drawn so far ``[n, j]``, and returns ``[n]``.
        n: number of draws.

    Returns:
        float64 tensor ``[n, d]``, d = ``len(quantiles)``.

    Raises:
        ValueError: no quantile function, a bad n, or a quantile that returns another shape.

    Source: Rosenblatt 1952, Ann. Math. Stat. 23, 470.

    Example: a point in the triangle 0 < y < x < 1, uniformly. The marginal of x is 2x.
        >>> g = torch.Generator().manual_seed(0)
        >>> root = lambda z, before: z.sqrt()
        >>> below = lambda z, before: z * before[:, 0]
        >>> x = sample_sequentially([root, below], 1000, generator=g)
        >>> bool((x[:, 1] < x[:, 0]).all()), round(float(x[:, 0].mean()), 2)
        (True, 0.67)
    """
    if not quantiles:
        raise ValueError("Expected one quantile function per coordinate, got none.")
    x = torch.empty(sample_size(n), 0, dtype=torch.float64)
    for j, quantile in enumerate(quantiles):
        z = torch.rand(n, dtype=torch.float64, generator=generator)
        z = z.clamp_min(torch.finfo(torch.float64).tiny)
        value = quantile(z, x)
        if value.shape != z.shape:
            raise ValueError(
                f"quantiles[{j}] must return one value for each of the {n} levels, "
                f"shape {tuple(z.shape)}; it returned {tuple(value.shape)}."
            )
        x = torch.cat([x, value[:, None].double()], dim=1)
    return x


def _within_range(bound: Tensor) -> None:
    if (bound.abs() > 1e300).any():
        raise ValueError(
            "The distribution function does not cross a level z within ±1e300. "
            "Expected F to rise from 0 to 1; check its sign and its limits."
        )
