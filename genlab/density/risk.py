"""How wrong an estimate is: bias, variance, integrated error, rates."""

import math

import torch
from scipy.optimize import minimize_scalar
from torch import Tensor

from genlab.models import Density


def bias_variance(estimates: Tensor, truth: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Mean squared error of repeated estimates, and its two parts: MSE = bias² + variance.

    Args:
        estimates: ``[repetitions, points]``, one estimate of the curve a row.
        truth: ``[points]``.

    Returns:
        mse, squared bias and variance (1/repetitions), each ``[points]``.

    Raises:
        ValueError: shapes that do not fit.

    Example:
        >>> mse, bias2, var = bias_variance(torch.tensor([[1.0], [3.0]]), torch.tensor([1.5]))
        >>> float(mse), float(bias2), float(var)
        (1.25, 0.25, 1.0)
    """
    if estimates.ndim != 2 or truth.shape != estimates.shape[1:]:
        raise ValueError(
            "Expected estimates of shape (repetitions, points) and truth of shape (points,), got "
            f"{tuple(estimates.shape)} and {tuple(truth.shape)}."
        )
    mse = ((estimates - truth) ** 2).mean(0)
    bias2 = (estimates.mean(0) - truth) ** 2
    return mse, bias2, estimates.var(0, correction=0)


def integrated_squared_error(
    model: Density, truth: Density, low: float, high: float, points: int = 4001
) -> float:
    """ISE = ∫(p̂ − p)² over [low, high], by the trapezoid rule, for densities on the line.

    MISE is its mean over data sets.

    Example:
        >>> from torch.distributions import Normal
        >>> round(integrated_squared_error(Normal(0.0, 1.0), Normal(1.0, 1.0), -8, 9), 6)
        0.124798
    """
    x = torch.linspace(low, high, points, dtype=torch.float64)
    return float(torch.trapezoid((model.log_prob(x).exp() - truth.log_prob(x).exp()) ** 2, x))


def gaussian_kde_mise(n: float, h: float, d: int = 1) -> float:
    """Exact MISE of a Gaussian kernel estimate from n draws of N(0, I_d).

    (4π)^(−d/2) [ 1/(n h^d) + (1 − 1/n)(1 + h²)^(−d/2) − 2 (1 + h²/2)^(−d/2) + 1 ].

    Source: Fryer 1976, J. Inst. Math. Appl. 18, 371.

    Example:
        >>> round(gaussian_kde_mise(n=100, h=0.4), 6)
        0.005555
    """
    return (4 * math.pi) ** (-d / 2) * (
        1 / (n * h**d) + (1 - 1 / n) * (1 + h * h) ** (-d / 2) - 2 * (1 + h * h / 2) ** (-d / 2) + 1
    )


def minimal_mise(n: float, d: int = 1) -> tuple[float, float]:
    """Smallest :func:`gaussian_kde_mise` over h, and the h where it is taken.

    Its rate is n^(−4/(4+d)): bias² grows like h⁴, variance falls like 1/(n h^d), and their sum is
    least at h ∝ n^(−1/(4+d)).

    Example:
        >>> mise, h = minimal_mise(1000)
        >>> round(mise, 6), round(h, 3)
        (0.00103, 0.272)
    """
    centre = math.log((4 / ((d + 2) * n)) ** (1 / (d + 4)))
    found = minimize_scalar(
        lambda t: gaussian_kde_mise(n, math.exp(t), d),
        bounds=(centre - 2, centre + 3),
        method="bounded",
        options={"xatol": 1e-10},
    )
    return float(found.fun), math.exp(found.x)


def sample_size_needed(d: int, error: float = 0.1) -> float:
    """Draws of N(0, I_d) from which a kernel estimate knows p(0) to a relative MSE.

    Smallest n with min_h E(p̂(0) − p(0))² / p(0)² ≤ error. For the Gaussian kernel this is exact:
    E K_h(X) = p(0) (1 + h²)^(−d/2) and E K_h(X)² = p(0)² (h²(2 + h²))^(−d/2). The curse of
    dimensionality as a number.

    Args:
        d: dimension ≥ 1.
        error: relative mean squared error at the origin, between 0 and 1.

    Returns:
        n as a real number; round it up for a number of draws.

    Source: Silverman 1986, Density Estimation, table 4.2.

    Example:
        >>> [math.ceil(sample_size_needed(d)) for d in (1, 2, 4)]
        [4, 19, 223]
    """
    if d < 1 or not 0 < error < 1:
        raise ValueError(f"Expected d >= 1 and 0 < error < 1, got d={d} and error={error}.")

    # Relative to p(0)²: variance = (s − m²)/n with m = E K_h / p(0), s = E K_h² / p(0)².
    def needed(log_h: float) -> float:
        h2 = math.exp(2 * log_h)
        m = (1 + h2) ** (-d / 2)
        s = (h2 * (2 + h2)) ** (-d / 2)
        room = error - (1 - m) ** 2
        return (s - m * m) / room if room > 0 else math.inf

    # The bias alone must stay below the error: (1 − m)² < error bounds h from above.
    most = 0.5 * math.log((1 - math.sqrt(error)) ** (-2 / d) - 1)
    return float(
        minimize_scalar(
            needed, bounds=(most - 5, most), method="bounded", options={"xatol": 1e-9}
        ).fun
    )
