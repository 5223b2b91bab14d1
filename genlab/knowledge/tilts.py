"""Tilts beyond finite sets: a normal law in closed form, any other by weighted draws."""

import torch
from torch import Tensor

from genlab.knowledge.posterior import checked_weight

__all__ = ["tilted_normal", "weighted_mean"]


def tilted_normal(
    mean: Tensor, covariance: Tensor, slope: Tensor, weight: float, curvature: Tensor | None = None
) -> torch.distributions.MultivariateNormal:
    """N(μ, Σ) tilted by e^{λf} with f(x) = a·x − ½ xᵀCx: again normal, in closed form.

    The precision is Σ⁻¹ + λC, and the mean solves it times m = Σ⁻¹μ + λa. A linear f moves the
    mean by λΣa and leaves the covariance.

    Args:
        mean, covariance: ``[d]``, ``[d, d]``.
        slope: a, ``[d]``.
        weight: λ ≥ 0.
        curvature: C, ``[d, d]``, symmetric; None is 0.

    Raises:
        ValueError: a negative λ, or a precision that is not positive: there Z is infinite.

    Example:
        >>> one = torch.ones(1)
        >>> q = tilted_normal(0 * one, torch.eye(1), one, 2.0)
        >>> q.mean, q.covariance_matrix
        (tensor([2.]), tensor([[1.]]))
    """
    weight = checked_weight(weight)
    before = torch.linalg.inv(covariance)
    precision = before + (0 if curvature is None else weight * curvature)
    if torch.linalg.cholesky_ex(precision).info:
        raise ValueError(
            "The tilted law does not exist: Σ⁻¹ + λC is not positive, so e^{λf} outgrows the "
            "normal tail and Z is infinite. Take a smaller λ, or an f that curves down."
        )
    new = torch.linalg.inv(precision)
    return torch.distributions.MultivariateNormal(
        new @ (before @ mean + weight * slope), (new + new.T) / 2
    )


def weighted_mean(value: Tensor, score: Tensor) -> tuple[float, float]:
    """E_q g with q ∝ p e^{score} from draws of p: the self-normalised mean, and its error.

    Args:
        value: g at n draws x ~ p, ``[n]``.
        score: λf at the same draws, ``[n]``.

    Returns:
        the estimate and its standard error by the delta method, √Σ w̃² (g − ĝ)². The bias is of
        order 1/n.

    Raises:
        ValueError: lengths that differ, or scores of which none is finite.

    Source: Owen 2013, Monte Carlo theory, methods and examples, section 9.2.

    Example: N(0, 1) tilted by e^x has mean 1.
        >>> x = torch.randn(100_000, generator=torch.Generator().manual_seed(0))
        >>> mean, error = weighted_mean(x, x)
        >>> abs(mean - 1) < 3 * error < 0.05
        True
    """
    if value.ndim != 1 or value.shape != score.shape:
        raise ValueError(
            "Expected a value and a score for each draw, both of shape (n,), got "
            f"{tuple(value.shape)} and {tuple(score.shape)}."
        )
    if not score.isfinite().any():
        raise ValueError("No draw has a finite score: the model never draws what f allows.")
    w = score.double().softmax(0)
    mean = (w * value).sum()
    return float(mean), float((w * (value - mean)).square().sum().sqrt())
