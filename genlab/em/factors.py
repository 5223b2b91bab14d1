"""Factor models: a few normal latent variables, a linear map, and noise.

z ~ N(0, I), x = μ + Wz + ε with ε ~ N(0, Ψ), Ψ diagonal. Then x ~ N(μ, WWᵀ + Ψ), and the
posterior of z is normal: everything that is hard elsewhere has a closed form here.
"""

import math

import torch
from torch import Tensor
from torch.distributions import MultivariateNormal

from genlab.em.kmeans import count
from genlab.models import as_rows, catalogued, query_points, sample_size, training_data


class _LinearGaussian:
    """What both models share once μ, W and the diagonal of Ψ are known."""

    event: tuple[int, ...]
    dtype: torch.dtype
    mean: Tensor
    loadings: Tensor
    noise: Tensor

    def __init__(self, dim: int):
        self.dim = count(dim, "dim")

    def log_prob(self, x: Tensor) -> Tensor:
        """log N(x; μ, WWᵀ + Ψ) in nats, ``[batch]``."""
        x = query_points(x, self.event)
        factor = torch.linalg.cholesky(self.loadings @ self.loadings.T + self.noise.diag())
        z = torch.linalg.solve_triangular(factor, (as_rows(x) - self.mean).T, upper=False)
        log_det = 2 * factor.diagonal().log().sum() + len(factor) * math.log(2 * math.pi)
        return (-0.5 * ((z**2).sum(0) + log_det)).to(x.dtype)

    def posterior(self, x: Tensor) -> MultivariateNormal:
        """p(z | x) = N(M⁻¹WᵀΨ⁻¹(x − μ), M⁻¹) with M = I + WᵀΨ⁻¹W; event ``(dim,)``."""
        project, covariance = _posterior(self.loadings, self.noise)
        x = query_points(x, self.event).double()
        return MultivariateNormal((x - self.mean) @ project.T, covariance)

    def sample(self, n: int, *, generator: torch.Generator | None = None) -> Tensor:
        """z ~ N(0, I), then μ + Wz + ε, ``[n, d]``."""
        d = len(self.mean)
        e = torch.randn(sample_size(n), self.dim + d, dtype=torch.float64, generator=generator)
        x = self.mean + e[:, : self.dim] @ self.loadings.T + self.noise.sqrt() * e[:, self.dim :]
        return x.to(self.dtype)

    def _moments(self, x: Tensor) -> Tensor:
        """Checks the data, keeps their mean, and returns their covariance (1/n)."""
        x = training_data(x)
        if x.ndim != 2 or x.shape[1] <= self.dim:
            raise ValueError(
                f"Expected data of shape (n, d) with more columns than factors (dim={self.dim}), "
                f"got {tuple(x.shape)}."
            )
        rows = as_rows(x)
        covariance = torch.cov(rows.T, correction=0)
        if not covariance.isfinite().all():
            raise ValueError("The squares of the data overflow. Rescale the data.")
        self.event, self.dtype, self.mean = tuple(x.shape[1:]), x.dtype, rows.mean(0)
        return covariance


@catalogued(chapter="em", source="Tipping and Bishop 1999")
class ProbabilisticPCA(_LinearGaussian):
    """Principal components as a density: Ψ = σ²I.

    The maximum of the likelihood is known: σ² is the mean of the d − dim smallest eigenvalues of
    the covariance S of the data, and W = U(Λ − σ²I)^½ with the dim largest eigenvalues Λ and their
    vectors U, up to a rotation of z. Event ``(d,)``.

    Args:
        dim: number of factors, below d.
        method: ``"eigen"`` for the closed form, ``"em"`` to reach it by EM.
        tol, max_iterations: EM stops when an iteration gains less, nats an observation, or after
            as many.

    Attributes:
        mean: ``[d]``.
        loadings: W, ``[d, dim]``.
        noise: diagonal of Ψ, ``[d]``.
        history: log-likelihood an observation; one entry for ``"eigen"``.

    Raises:
        ValueError: bad data, too many factors, or data that lie on a plane of that dimension.

    Source: Tipping and Bishop 1999, J. R. Statist. Soc. B 61, 611, eqs. 7, 8 and appendix B.

    Example:
        >>> x = torch.tensor([[2.0, 0.0], [-2.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
        >>> model = ProbabilisticPCA(1).fit(x)
        >>> model.noise, model.loadings.abs()
        (tensor([0.5000, 0.5000], dtype=torch.float64), tensor([[1.2247],
                [0.0000]], dtype=torch.float64))
    """

    def __init__(
        self, dim: int, method: str = "eigen", *, tol: float = 1e-10, max_iterations: int = 10_000
    ):
        super().__init__(dim)
        if method not in ("eigen", "em"):
            raise ValueError(f'Expected a method "eigen" or "em", got {method!r}.')
        self.method, self.tol, self.max_iterations = method, tol, max_iterations

    def fit(self, x: Tensor, *, generator: torch.Generator | None = None) -> "ProbabilisticPCA":
        """Closed form, or EM from random loadings."""
        S = self._moments(x)
        values, vectors = torch.linalg.eigh(S)
        rest = values[: -self.dim].mean()
        if rest <= 1e-14 * values[-1]:
            raise ValueError(
                f"The {len(x)} rows lie on a plane of {self.dim} dimensions: no noise is left, and "
                "the likelihood is unbounded. Take fewer factors, or genlab.density.PCASampler."
            )
        if self.method == "eigen":
            self.noise = rest.expand(len(S)).clone()
            self.loadings = vectors[:, -self.dim :] * (values[-self.dim :] - rest).sqrt()
            self.history = [_log_likelihood(S, self.loadings, self.noise)]
        else:
            self.loadings, self.noise, self.history = _em(
                S, self.dim, True, self.tol, self.max_iterations, generator
            )
        return self


@catalogued(chapter="em", source="Spearman 1904; Rubin and Thayer 1982")
class FactorAnalysis(_LinearGaussian):
    """Factor analysis by EM: Ψ diagonal, so each column has its own noise.

    It does not change with the units of a column, principal components do. The likelihood may
    have several maxima, and is unbounded where a noise variance falls to 0 (a Heywood case);
    Ψ is kept above ``floor`` times the variance of each column. Event ``(d,)``.

    Args:
        dim: number of factors, below d.
        floor: least noise, as a share of the variance of its column.
        tol, max_iterations: as in :class:`ProbabilisticPCA`.

    Attributes:
        mean: ``[d]``.
        loadings: W, ``[d, dim]``.
        noise: diagonal of Ψ, ``[d]``.
        history: log-likelihood an observation, first at the start, then after each iteration.

    Raises:
        ValueError: bad data, a constant column, or too many factors.

    Source: Rubin and Thayer 1982, Psychometrika 47, 69.

    Example:
        >>> g = torch.Generator().manual_seed(0)
        >>> z, e = torch.randn(5000, 1, generator=g), torch.randn(5000, 4, generator=g)
        >>> x = z + e * torch.tensor([0.5, 1.0, 2.0, 1.0])
        >>> FactorAnalysis(1).fit(x, generator=g).noise.round(decimals=1)
        tensor([0.3000, 1.0000, 4.1000, 1.0000], dtype=torch.float64)
    """

    def __init__(
        self,
        dim: int,
        *,
        floor: float = 1e-6,
        tol: float = 1e-10,
        max_iterations: int = 10_000,
    ):
        super().__init__(dim)
        if not 0 < floor < 1:
            raise ValueError(f"Expected a floor between 0 and 1, got {floor}.")
        self.floor, self.tol, self.max_iterations = floor, tol, max_iterations

    def fit(self, x: Tensor, *, generator: torch.Generator | None = None) -> "FactorAnalysis":
        """EM from random loadings, on standardised columns."""
        S = self._moments(x)
        scale = S.diagonal().sqrt()
        if (scale == 0).any():
            column = int((scale == 0).nonzero()[0])
            raise ValueError(f"Column {column} is constant: it has no noise. Drop the column.")
        W, noise, history = _em(
            S / scale[:, None] / scale,
            self.dim,
            False,
            self.tol,
            self.max_iterations,
            generator,
            self.floor,
        )
        self.loadings, self.noise = scale[:, None] * W, scale**2 * noise
        self.history = [h - float(scale.log().sum()) for h in history]
        return self


def _em(
    S: Tensor,
    dim: int,
    isotropic: bool,
    tol: float,
    max_iterations: int,
    generator: torch.Generator | None,
    floor: float = 0.0,
) -> tuple[Tensor, Tensor, list[float]]:
    """EM for W and Ψ; the data enter only through their covariance S.

    E step: E[z | x] = β(x − μ) with covariance M⁻¹, so that on average E[zzᵀ] = M⁻¹ + βSβᵀ and
    E[(x − μ)zᵀ] = Sβᵀ. M step: a linear regression of x on z, W = Sβᵀ E[zzᵀ]⁻¹, with the noise
    Ψ = diag(S − WβS) left over.
    """
    d = len(S)
    noise = S.diagonal().clone()
    W = torch.randn(d, dim, dtype=torch.float64, generator=generator) * noise.sqrt()[:, None]
    if isotropic:
        noise = noise.mean().expand(d)
    history: list[float] = []
    while True:
        history.append(_log_likelihood(S, W, noise))
        if len(history) > max_iterations or (len(history) > 1 and history[-1] - history[-2] < tol):
            return W, noise.clone(), history
        beta, covariance = _posterior(W, noise)
        cross = S @ beta.T
        W = torch.linalg.solve(covariance + beta @ cross, cross.T).T
        noise = (S - W @ cross.T).diagonal()
        noise = noise.mean().expand(d) if isotropic else noise.clamp_min(floor)


def _posterior(W: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
    """β = M⁻¹WᵀΨ⁻¹ and M⁻¹, with M = I + WᵀΨ⁻¹W: p(z | x) = N(β(x − μ), M⁻¹)."""
    scaled = (W / noise[:, None]).T
    M = torch.eye(W.shape[1], dtype=torch.float64) + scaled @ W
    covariance = torch.cholesky_inverse(torch.linalg.cholesky(M))
    return covariance @ scaled, covariance


def _log_likelihood(S: Tensor, W: Tensor, noise: Tensor) -> float:
    """Mean of log N(x; μ, C) over the data, −½(log det 2πC + tr C⁻¹S) with C = WWᵀ + Ψ."""
    factor = torch.linalg.cholesky(W @ W.T + noise.diag())
    log_det = 2 * factor.diagonal().log().sum() + len(S) * math.log(2 * math.pi)
    return -0.5 * float(log_det + torch.cholesky_solve(S, factor).diagonal().sum())
