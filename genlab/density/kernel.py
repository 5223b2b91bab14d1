"""Kernel density estimation: a bump on every point, and how wide the bumps should be."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from scipy.optimize import minimize_scalar
from torch import Tensor

from genlab.models import as_rows, catalogued, query_points, sample_size, training_data

BLOCK = 2**20  # numbers in one block of the n x m table of distances: 8 MB in float64


@dataclass(frozen=True)
class Kernel:
    """A symmetric density K on the line; in d dimensions the product K(u₁)⋯K(u_d) is used.

    Attributes:
        pdf: K(u), elementwise.
        convolution: (K ∗ K)(u), elementwise; ∫p̂² of a kernel estimate is made of it.
        draw: ``draw(shape, generator)`` samples from K.
        roughness: R(K) = ∫K².
        second_moment: μ₂(K) = ∫u²K.
    """

    pdf: Callable[[Tensor], Tensor]
    convolution: Callable[[Tensor], Tensor]
    draw: Callable[[tuple[int, ...], torch.Generator | None], Tensor]
    roughness: float
    second_moment: float


def _uniforms(shape: tuple[int, ...], generator: torch.Generator | None) -> Tensor:
    return 2 * torch.rand(shape, dtype=torch.float64, generator=generator) - 1


def _draw_epanechnikov(shape: tuple[int, ...], generator: torch.Generator | None) -> Tensor:
    # Devroye & Györfi 1985, p. 236: of three uniforms, the third, or the second if the third is
    # the largest in absolute value.
    a, b, c = _uniforms((3, *shape), generator)
    return torch.where((c.abs() >= b.abs()) & (c.abs() >= a.abs()), b, c)


def _convolved_triangles(u: Tensor) -> Tensor:
    t = u.abs()
    return torch.where(t < 1, 2 / 3 - t**2 + t**3 / 2, (2 - t).clamp_min(0) ** 3 / 6)


KERNELS: dict[str, Kernel] = {
    "gaussian": Kernel(
        pdf=lambda u: torch.exp(-(u**2) / 2) / math.sqrt(2 * math.pi),
        convolution=lambda u: torch.exp(-(u**2) / 4) / math.sqrt(4 * math.pi),
        draw=lambda shape, g: torch.randn(shape, dtype=torch.float64, generator=g),
        roughness=1 / (2 * math.sqrt(math.pi)),
        second_moment=1.0,
    ),
    "epanechnikov": Kernel(
        pdf=lambda u: 0.75 * (1 - u**2).clamp_min(0),
        convolution=lambda u: 3 / 160 * (2 - u.abs()).clamp_min(0) ** 3 * (u**2 + 6 * u.abs() + 4),
        draw=_draw_epanechnikov,
        roughness=3 / 5,
        second_moment=1 / 5,
    ),
    "triangular": Kernel(
        pdf=lambda u: (1 - u.abs()).clamp_min(0),
        convolution=_convolved_triangles,
        draw=lambda shape, g: _uniforms((2, *shape), g).mean(0),
        roughness=2 / 3,
        second_moment=1 / 6,
    ),
    "uniform": Kernel(
        pdf=lambda u: (u.abs() <= 1).double() / 2,
        convolution=lambda u: (2 - u.abs()).clamp_min(0) / 4,
        draw=_uniforms,
        roughness=1 / 2,
        second_moment=1 / 3,
    ),
}


@catalogued(chapter="density", source="Rosenblatt 1956; Parzen 1962")
class KDE:
    """Kernel density estimate, p̂(x) = 1/(n·h₁⋯h_d) Σᵢ Πⱼ K((xⱼ − xᵢⱼ)/hⱼ).

    Event ``()`` for data ``[n]``, ``(d,)`` for data ``[n, d]``. Evaluation costs O(n·d) a point
    and is exact; memory is bounded whatever the number of points. Sampling is one index and one
    draw from K.

    Args:
        bandwidth: h, one for all axes or a tensor with one for each; or ``"scott"``,
            ``"silverman"`` (:func:`rule_of_thumb`), or ``"lscv"``, which minimises :func:`lscv`
            over multiples of Silverman's.
        kernel: one of ``KERNELS``.

    Raises:
        ValueError: bad data; a bandwidth that is 0, negative, NaN or of another length than the
            columns; a rule with a constant column; ``"lscv"`` where ties drive h to 0.

    Source: Rosenblatt 1956, Ann. Math. Stat. 27, 832; Parzen 1962, Ann. Math. Stat. 33, 1065.

    Example:
        >>> model = KDE(bandwidth=1.0).fit(torch.tensor([0.0, 2.0]))
        >>> model.log_prob(torch.tensor([1.0]))
        tensor([-1.4189])
    """

    def __init__(self, bandwidth: float | Tensor | str = "silverman", kernel: str = "gaussian"):
        if kernel not in KERNELS:
            raise ValueError(f"Expected a kernel among {', '.join(KERNELS)}, got {kernel!r}.")
        if isinstance(bandwidth, str):
            if bandwidth not in ("scott", "silverman", "lscv"):
                raise ValueError(
                    'Expected a bandwidth as a number, "scott", "silverman" or "lscv", '
                    f"got {bandwidth!r}."
                )
        else:
            _positive(bandwidth)
        self.bandwidth, self.kernel = bandwidth, kernel

    def fit(self, x: Tensor) -> "KDE":
        x = training_data(x)
        self.event, self.dtype = tuple(x.shape[1:]), x.dtype
        self.x = as_rows(x)
        d = self.x.shape[1]
        if self.bandwidth == "lscv":
            self.h = _least_squares_bandwidth(self.x, self.kernel)
        elif isinstance(self.bandwidth, str):
            self.h = rule_of_thumb(self.x, self.bandwidth, self.kernel)
        else:
            h = _positive(self.bandwidth)
            if h.ndim > 1 or (h.ndim == 1 and len(h) != d):
                raise ValueError(
                    f"Expected one bandwidth, or one for each of the {d} columns, "
                    f"got shape {tuple(h.shape)}."
                )
            self.h = h.expand(d).clone()
        return self

    def log_prob(self, x: Tensor) -> Tensor:
        """log p̂(x) in nats, ``[batch]``; −inf where no kernel of bounded support reaches."""
        x = query_points(x, self.event)
        u, v = as_rows(x) / self.h, self.x / self.h
        if self.kernel == "gaussian":
            log_p = log_gaussian_mixture(u, v, torch.ones(len(v), dtype=torch.float64))
        else:
            pdf = KERNELS[self.kernel].pdf
            sums = [_products(pdf, u[i], v).sum(1) for i in _blocks(len(u), len(v))]
            log_p = torch.cat(sums).log() - math.log(len(v)) if sums else u.new_empty(0)
        return (log_p - self.h.log().sum()).to(x.dtype)

    def sample(self, n: int, *, generator: torch.Generator | None = None) -> Tensor:
        """x = x_I + h·ε with I uniform on the data and ε ~ K (smoothed bootstrap)."""
        index = torch.randint(len(self.x), (sample_size(n),), generator=generator)
        noise = KERNELS[self.kernel].draw((n, self.x.shape[1]), generator)
        return (self.x[index] + self.h * noise).reshape(n, *self.event).to(self.dtype)


def rule_of_thumb(x: Tensor, rule: str = "silverman", kernel: str = "gaussian") -> Tensor:
    """Bandwidths that would be optimal if the data were normal, one a column.

    Silverman: hⱼ = σⱼ (4/((d+2)n))^(1/(d+4)); Scott: hⱼ = σⱼ n^(−1/(d+4)), both for the Gaussian
    kernel. Another kernel K is given the width at which it smooths as much: h is multiplied by
    δ(K)/δ(Gaussian), δ = (R(K)^d / μ₂(K)²)^(1/(d+4)).

    Args:
        x: data ``[n]`` or ``[n, d]``; σⱼ is the standard deviation of column j (1/(n−1)).

    Returns:
        float64 ``[d]``.

    Raises:
        ValueError: bad data, a single row, or a constant column.

    Source: Scott 1992, Multivariate Density Estimation, eq. 6.42; Silverman 1986, eq. 4.14;
    Marron & Nolan 1988 (canonical kernels).

    Example:
        >>> x = torch.arange(100.0)
        >>> rule_of_thumb(x, "scott"), rule_of_thumb(x, "scott", "uniform")
        (tensor([11.5497], dtype=torch.float64), tensor([20.0971], dtype=torch.float64))
    """
    rows = as_rows(training_data(x))
    n, d = rows.shape
    scale = rows.std(0) if n > 1 else torch.zeros(d)
    if (scale == 0).any():
        column = int((scale == 0).nonzero()[0])
        raise ValueError(
            f"Column {column} is constant (or there is a single row): no bandwidth can be scaled "
            "to it. Drop the column or give bandwidth as a number."
        )
    factor = {"scott": 1.0, "silverman": (4 / (d + 2)) ** (1 / (d + 4))}[rule]

    def width(k: Kernel) -> float:
        return (k.roughness**d / k.second_moment**2) ** (1 / (d + 4))

    canonical = width(KERNELS[kernel]) / width(KERNELS["gaussian"])
    return scale * canonical * factor * n ** (-1 / (d + 4))


def lscv(x: Tensor, bandwidths: Tensor, kernel: str = "gaussian") -> Tensor:
    """Least-squares cross-validation score of bandwidths, to be minimised.

    ::

        LSCV(h) = ∫p̂² − (2/n) Σᵢ p̂₋ᵢ(xᵢ)
                = n⁻² Σᵢ Σⱼ (K∗K)_h(xᵢ − xⱼ) − 2/(n(n−1)) Σᵢ Σ_{j≠i} K_h(xᵢ − xⱼ)

    Its expectation is MISE(h) − ∫p².

    Args:
        x: data ``[n]`` or ``[n, d]``, n ≥ 2.
        bandwidths: ``[m]``, or ``[m, d]`` with one a column.

    Returns:
        float64 ``[m]``.

    Source: Rudemo 1982; Bowman 1984, Biometrika 71, 353.

    Example:
        >>> x = torch.randn(200, generator=torch.Generator().manual_seed(0))
        >>> lscv(x, torch.tensor([0.01, 0.4, 4.0]))
        tensor([-0.1579, -0.2962, -0.1202], dtype=torch.float64)
    """
    rows = as_rows(training_data(x))
    n, d = rows.shape
    if n < 2:
        raise ValueError("Expected at least two rows to leave one out, got one.")
    hs = _positive(bandwidths)
    if hs.ndim not in (1, 2) or (hs.ndim == 2 and hs.shape[1] != d):
        raise ValueError(f"Expected bandwidths of shape (m,) or (m, {d}), got {tuple(hs.shape)}.")
    k = KERNELS[kernel]
    score = []
    for h in hs.reshape(len(hs), -1).expand(len(hs), d):
        v, volume = rows / h, h.prod()
        square = cross = 0.0
        for i in _blocks(n, n):
            if kernel == "gaussian":  # K∗K is e^(−u²/4), K its square: one exponential for both
                e = torch.cdist(v[i], v).square_().mul_(-0.25).exp_()
                square += e.sum() / (4 * math.pi) ** (d / 2)
                cross += e.square_().sum() / (2 * math.pi) ** (d / 2)
            else:
                square += _products(k.convolution, v[i], v).sum()
                cross += _products(k.pdf, v[i], v).sum()
        itself = n * k.pdf(torch.zeros(1, dtype=torch.float64)) ** d
        score.append((square / n**2 - 2 * (cross - itself) / (n * (n - 1))) / volume)
    return torch.cat(score)


def log_gaussian_mixture(x: Tensor, centres: Tensor, scales: Tensor) -> Tensor:
    """log of (1/n) Σᵢ N(x; cᵢ, sᵢ² I), exactly, in bounded memory.

    −|x − c|²/(2s²) is one inner product, (|x|², x, 1)·(−1/(2s²), c/s², −|c|²/(2s²)), so a block of
    the table is one matrix product. It loses digits when the points are very far apart in units
    of s; such points are taken by differences instead.

    Args:
        x: ``[m, d]`` float64. centres: ``[n, d]``. scales: ``[n]``.
    """
    n, d = centres.shape
    middle = centres.mean(0)
    x, centres = x - middle, centres - middle
    x2, w = (x**2).sum(1, keepdim=True), -0.5 / scales**2
    c2 = (centres**2).sum(1)
    constant = -d * scales.log() - math.log(n) - 0.5 * d * math.log(2 * math.pi)
    right = torch.cat([w[:, None], -2 * w[:, None] * centres, (w * c2 + constant)[:, None]], 1).T
    left = torch.cat([x2, x, torch.ones_like(x2)], 1)
    reach = (x2[:, 0] + c2.max()) * -w.min()  # size of the numbers that cancel
    log_p = x.new_empty(len(x))
    for rows, close in ((reach < 1e5, True), (reach >= 1e5, False)):
        where = rows.nonzero()[:, 0]
        for block in _blocks(len(where), n):
            i = where[block]
            if close:
                table = left[i] @ right
            else:
                direct = "donot_use_mm_for_euclid_dist"
                table = torch.cdist(x[i], centres, compute_mode=direct) ** 2 * w + constant
            log_p[i] = table.logsumexp(1)
    return log_p


def _products(f: Callable[[Tensor], Tensor], u: Tensor, v: Tensor) -> Tensor:
    """Πⱼ f(uⱼ − vⱼ) for each pair of rows, ``[len(u), len(v)]``."""
    table = f(u[:, None, 0] - v[None, :, 0])
    for j in range(1, u.shape[1]):
        table *= f(u[:, None, j] - v[None, :, j])
    return table


def _blocks(rows: int, columns: int) -> Iterator[slice]:
    step = max(1, BLOCK // columns)
    return (slice(i, min(i + step, rows)) for i in range(0, rows, step))


def _positive(bandwidth: float | Tensor) -> Tensor:
    h = torch.as_tensor(bandwidth, dtype=torch.float64)
    if h.numel() == 0 or not ((h > 0) & h.isfinite()).all():
        raise ValueError(
            f"Expected a bandwidth > 0 and finite, got {bandwidth}. "
            'If you do not know one, use "silverman" or "lscv".'
        )
    return h


def _least_squares_bandwidth(rows: Tensor, kernel: str) -> Tensor:
    """The multiple of Silverman's bandwidths with the least LSCV score."""
    unit = rule_of_thumb(rows, "silverman", kernel)
    multiples = torch.logspace(math.log10(0.02), math.log10(4), 25, dtype=torch.float64)
    best = int(lscv(rows, multiples[:, None] * unit, kernel).argmin())
    if best == 0:
        raise ValueError(
            "Least-squares cross-validation prefers ever smaller bandwidths: the data hold many "
            'equal or nearly equal rows (rounded values?). Use "silverman" or a number.'
        )
    around = (float(multiples[best - 1]), float(multiples[min(best + 1, 24)]))
    found = minimize_scalar(
        lambda m: float(lscv(rows, m * unit[None], kernel)), bounds=around, method="bounded"
    )
    return found.x * unit
