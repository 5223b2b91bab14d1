"""How far single draws of a gradient spread, in closed form for two functions of a normal z."""

import math
from typing import NamedTuple

from torch import Tensor


class Variances(NamedTuple):
    """Variance of one draw of each estimator of ∂/∂μ₁ E f, exact.

    Attributes:
        score: the score function without a baseline.
        baseline: the score function with the best constant baseline.
        pathwise: reparameterisation.
    """

    score: float
    baseline: float
    pathwise: float


def sine_variances(omega: float, mean: float) -> Variances:
    """The three variances for f(z) = sin ωz under N(μ, 1): where reparameterisation loses.

    The gradient is ω cos(ωμ) e^(−ω²/2). |f| ≤ 1 for any ω, its slope grows like ω: so does the
    spread of the pathwise gradient, while that of the score function stays.

    Example:
        >>> [round(v, 3) for v in sine_variances(0.5, 0.7)]
        [0.328, 0.277, 0.011]
        >>> [round(v, 3) for v in sine_variances(8.0, 0.7)]
        [0.5, 0.5, 32.0]
    """
    gradient = omega * math.cos(omega * mean) * math.exp(-(omega**2) / 2)
    decay, phase = math.exp(-2 * omega**2), math.cos(2 * omega * mean)
    score = (1 - phase * (1 - 4 * omega**2) * decay) / 2 - gradient**2
    best = math.sin(omega * mean) * (1 - omega**2) * math.exp(-(omega**2) / 2)
    pathwise = omega**2 * (1 + phase * decay) / 2 - gradient**2
    return Variances(score, score - best**2, pathwise)


def square_variances(mean: Tensor) -> Variances:
    """The three variances for f(z) = |z|² under N(μ, I) in d dimensions, for the gradient in μ₁.

    The gradient is 2μ₁. The other d − 1 coordinates add to f and not to the gradient: without a
    baseline the variance grows like d², with the best one like 2d; the pathwise gradient does not
    see them at all.

    Args:
        mean: μ, ``[d]``.

    Example: at μ = 0 they are d² + 6d + 8, 2d + 4 and 4.
        >>> square_variances(Tensor([0.0] * 10))
        Variances(score=168.0, baseline=24.0, pathwise=4.0)
    """
    first, others = float(mean[0]) ** 2, float(mean[1:].square().sum())
    rest = len(mean) - 1 + others  # the mean of the other coordinates' squares
    spread = 2 * (len(mean) - 1) + 4 * others  # and their variance
    second = first**2 + 18 * first + 15 + 2 * (first + 3) * rest + rest**2 + spread
    score = second - 4 * first
    return Variances(score, score - (first + 3 + rest) ** 2, 4.0)
