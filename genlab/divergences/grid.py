"""Divergences of two densities on a grid of the line, and the curves whose area they are."""

import math

import torch
from torch import Tensor

from genlab.divergences.finite import kl_terms

MISSING_MASS = 0.01  # what a grid may leave out of a density before it is refused


def on_grid(log_p: Tensor, log_q: Tensor, t: Tensor) -> dict[str, Tensor]:
    """Five divergences of two densities on the line, by the trapezoid rule on one grid.

    The areas under :func:`integrands`: KL(p‖q), KL(q‖p), total variation, Jensen–Shannon (nats)
    and the Wasserstein distance W₁ = ∫|F − G|. Gradients pass through.

    Args:
        log_p, log_q: log-densities on the grid, ``[m]``.
        t: the grid, ``[m]``, ascending; its steps may differ.

    Returns:
        numbers under the keys ``kl``, ``reverse_kl``, ``tv``, ``js``, ``w1``.

    Raises:
        ValueError: shapes that differ, a grid that does not ascend, NaN, or a density that has not
            all its mass (to 1 %) on the grid.

    Example:
        >>> from torch.distributions import Normal
        >>> t = torch.linspace(-10, 12, 400, dtype=torch.float64)
        >>> values = on_grid(Normal(0.0, 1.0).log_prob(t), Normal(2.0, 1.0).log_prob(t), t)
        >>> {name: round(float(value), 3) for name, value in values.items()}
        {'kl': 2.0, 'reverse_kl': 2.0, 'tv': 0.683, 'js': 0.337, 'w1': 2.0}
    """
    return {name: torch.trapezoid(y, t) for name, y in integrands(log_p, log_q, t).items()}


def integrands(log_p: Tensor, log_q: Tensor, t: Tensor) -> dict[str, Tensor]:
    """The five curves whose area is a divergence, ``[m]`` each.

    ::

        kl          p log(p/q)
        reverse_kl  q log(q/p)
        tv          ½|p − q|
        js          ½ p log(p/m) + ½ q log(q/m),  m = ½(p + q)
        w1          |F − G|,  F and G the distribution functions

    Args, Raises: as in :func:`on_grid`.

    Example:
        >>> log_p = torch.tensor([1.0, 1.0, 1.0]).log()
        >>> integrands(log_p, log_p, torch.tensor([0.0, 0.5, 1.0]))["w1"]
        tensor([0., 0., 0.])
    """
    _check_grid(log_p, log_q, t)
    p, q = log_p.exp(), log_q.exp()
    log_m = torch.logaddexp(log_p, log_q) - math.log(2)
    difference = torch.cumulative_trapezoid(p - q, t)
    return {
        "kl": kl_terms(log_p, log_q),
        "reverse_kl": kl_terms(log_q, log_p),
        "tv": (p - q).abs() / 2,
        "js": (kl_terms(log_p, log_m) + kl_terms(log_q, log_m)) / 2,
        "w1": torch.cat([difference.new_zeros(1), difference]).abs(),
    }


def _check_grid(log_p: Tensor, log_q: Tensor, t: Tensor) -> None:
    if t.ndim != 1 or len(t) < 2 or not log_p.shape == log_q.shape == t.shape:
        raise ValueError(
            "Expected two log-densities and their grid, of one shape (m,), got "
            f"{tuple(log_p.shape)}, {tuple(log_q.shape)} and {tuple(t.shape)}."
        )
    if not ((t.diff() > 0).all() and t.isfinite().all()):
        raise ValueError("Expected a grid of finite points in ascending order.")
    for name, log_density in (("p", log_p), ("q", log_q)):
        mass = float(torch.trapezoid(log_density.detach().exp(), t))
        if not abs(mass - 1) <= MISSING_MASS:  # NaN too
            raise ValueError(
                f"On the grid {name} has mass {mass:.4f}, not 1: the values would be wrong. "
                "Take a wider or finer grid, or normalise the density."
            )
