"""The map of Knothe and Rosenblatt: any density to N(0, I), one coordinate after the other.

Its Jacobian is triangular, and it exists for every density that is positive: triangular maps lose
no generality. What a flow learns is an approximation of one, or of another map.
"""

import math

import torch
from torch import Tensor

from genlab.density import inverse_cdf
from genlab.flows.transforms import Pair, Transform
from genlab.models import as_rows, query_points

__all__ = ["KnotheRosenblatt"]


class KnotheRosenblatt(Transform):
    """z_j = Φ⁻¹(F(x_j | x_1, …, x_{j−1})) for a mixture of Gaussians, with its exact conditionals.

    .. math:: F(x_j \\mid x_{<j}) = \\sum_k w_{kj}\\, \\Phi(\\varepsilon_{kj}), \\qquad
              \\varepsilon_k = L_k^{-1}(x - \\mu_k), \\qquad
              w_{kj} \\propto \\pi_k \\prod_{i<j} \\mathcal N(x_i \\mid x_{<i}; k)

    with Σ_k = L_k L_kᵀ. One component gives the affine map z = L⁻¹(x − μ). The inverse bisects one
    coordinate after the other. Beyond about 37 standard deviations z is held where float64
    ends; the density stays exact there. Computed in float64.

    Args:
        weights: π, ``[K]``.
        means: μ, ``[K, d]``.
        covariances: Σ, ``[K, d, d]``.

    Raises:
        ValueError: shapes that do not match, numbers that are not finite, weights that are no
            distribution, a covariance that is not symmetric or not positive definite.

    Source: Rosenblatt 1952, Ann. Math. Statist. 23, 470; Knothe 1957, Michigan Math. J. 4, 39.

    Example: a Gaussian with unit variances and covariance 1/2.
        >>> one = KnotheRosenblatt([1.0], [[0.0, 0.0]], [[[1.0, 0.5], [0.5, 1.0]]])
        >>> z, log_det = one(torch.tensor([[1.0, 2.0]], dtype=torch.float64))
        >>> [round(v, 4) for v in z[0].tolist()], round(float(log_det), 4)
        ([1.0, 1.7321], 0.1438)
    """

    def __init__(self, weights: Tensor, means: Tensor, covariances: Tensor) -> None:
        law = [torch.as_tensor(v, dtype=torch.float64) for v in (weights, means, covariances)]
        weights, means, covariances = law
        shapes = tuple(weights.shape), tuple(means.shape), tuple(covariances.shape)
        k, d = means.shape if means.ndim == 2 else (0, 0)
        if 0 in (k, d) or shapes != ((k,), (k, d), (k, d, d)):
            raise ValueError(
                f"Expected weights (K,), means (K, d), covariances (K, d, d), got {shapes}."
            )
        for name, v in zip(("weights", "means", "covariances"), law, strict=True):
            if not v.isfinite().all():
                raise ValueError(f"Expected finite {name}, got NaN or infinity among them.")
        if weights.min() < 0 or not math.isclose(float(weights.sum()), 1, abs_tol=1e-9):
            raise ValueError(f"Expected weights >= 0 that sum to 1, got {weights.tolist()}.")
        skew = (covariances - covariances.mT).abs().amax((1, 2))
        if (skew > 1e-6 * covariances.abs().amax((1, 2))).any():
            raise ValueError(
                f"The covariance of component {int(skew.argmax())} is not symmetric: entries "
                f"differ by {float(skew.max()):.3g} from those across the diagonal. Take "
                "(S + S.mT) / 2 if that is rounding."
            )
        factors, failed = torch.linalg.cholesky_ex(covariances)
        if failed.any():
            raise ValueError(
                f"The covariance of component {int(failed.nonzero()[0])} is not positive definite."
            )
        super().__init__((d,))
        self.register_buffer("log_weights", weights.log())
        self.register_buffer("means", means)
        self.register_buffer("factors", factors)

    def forward(self, x: Tensor) -> Pair:
        noise, log_w = self._conditionals(as_rows(query_points(x, self.event)))
        w = log_w.exp()
        z = normal_quantile((w * normal_cdf(noise)).sum(1), (w * normal_cdf(-noise)).sum(1))
        # The mixture's log-density at x is the last running total; the normal's is that of z.
        log_p = self._running(noise)[..., -1].logsumexp(1)
        log_normal = -0.5 * (z**2 + math.log(2 * math.pi)).sum(1)
        return z, log_p - log_normal

    @torch.no_grad()
    def inverse(self, z: Tensor) -> Pair:
        z = as_rows(query_points(z, self.latent))
        # Upper tails are searched as lower ones with all signs turned, so that no digits are lost.
        side = torch.where(z > 0, -1.0, 1.0).to(z)
        levels = normal_cdf(-z.abs()).clamp_min(1e-300)
        x = torch.zeros_like(z)
        for j in range(z.shape[1]):
            w = self._conditionals(x)[1][..., j].exp()  # it depends on what stands before j

            def cdf(value: Tensor, j: int = j, w: Tensor = w) -> Tensor:
                trial = x.clone()
                trial[:, j] = side[:, j] * value
                noise = side[:, j, None] * self._noise(trial)[..., j]
                return (w * normal_cdf(noise)).sum(1)

            x[:, j] = side[:, j] * inverse_cdf(cdf, levels[:, j])
        return x, -self(x)[1]

    def _noise(self, x: Tensor) -> Tensor:
        """ε = L⁻¹(x − μ) of every component, ``[n, K, d]``."""
        gap = (x[:, None] - self.means)[..., None]
        return torch.linalg.solve_triangular(self.factors, gap, upper=False)[..., 0]

    def _running(self, noise: Tensor) -> Tensor:
        """log π_k + Σ_{i ≤ j} log N(x_i | x_<i; k), ``[n, K, d]``."""
        scale = self.factors.diagonal(dim1=-2, dim2=-1).log()
        steps = -0.5 * noise**2 - scale - 0.5 * math.log(2 * math.pi)
        return self.log_weights[:, None] + steps.cumsum(-1)

    def _conditionals(self, x: Tensor) -> Pair:
        """ε and log w, each ``[n, K, d]``."""
        noise = self._noise(x)
        running = self._running(noise)
        before = torch.cat([self.log_weights.expand(len(x), -1)[..., None], running[..., :-1]], -1)
        return noise, before.log_softmax(1)


def normal_cdf(x: Tensor) -> Tensor:
    """Φ(x), to full precision in the lower tail, where torch's ``ndtr`` is 0 from −8.3 on."""
    return 0.5 * torch.special.erfc(-x / math.sqrt(2))


def normal_quantile(below: Tensor, above: Tensor) -> Tensor:
    """Φ⁻¹(below) with above = 1 − below, from the smaller of the two: no digits are lost."""
    # Not torch.minimum: at a tie it halves the gradient, and at the median the two are equal.
    smaller = torch.where(below <= above, below, above).clamp_min(torch.finfo(below.dtype).tiny)
    return torch.where(below <= above, 1.0, -1.0) * torch.special.ndtri(smaller)
