"""Posterior regularisation: a law q stays near the model p and yet scores high under f.

q* = argmin_q KL(q‖p) − λ E_q f is p tilted by e^{λf}. On a finite set everything is a sum. log Z(λ)
is the dual: its slope is E_q f, its curvature Var_q f, and λ E_q f − log Z is the KL that is paid.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from genlab.divergences import kl, probabilities

__all__ = [
    "Tilted",
    "posterior_regularization",
    "pr_objective",
    "weight_for",
]


class Tilted(NamedTuple):
    """What :func:`posterior_regularization` returns.

    Attributes:
        q: p e^{λf}/Z, ``[..., m]``.
        log_z: log E_p e^{λf}, ``[...]``, nats; −log Z is the least value of the objective.
        expected: E_q f, the slope of log Z in λ.
        kl: KL(q‖p) = λ E_q f − log Z, what the tilt costs.
    """

    q: Tensor
    log_z: Tensor
    expected: Tensor
    kl: Tensor


def posterior_regularization(p: Tensor, f: Tensor, weight: float) -> Tilted:
    """The E step: q* = p e^{λf}/Z minimises KL(q‖p) − λ E_q f over all laws q.

    It does not depend on the factor α before the two terms. λ = 0 leaves p; as λ → ∞ q tends to p
    restricted to the best values that p allows, and the cost to −log of their mass:
    ``weight=math.inf`` is that limit.

    Args:
        p: the model's law, ``[..., m]``.
        f: constraint function, higher is better, ``[..., m]`` or ``[m]``; −∞ forbids.
        weight: λ ≥ 0.

    Raises:
        ValueError: a negative λ, an f that is NaN or +∞ or of another shape, a p that is no law,
            or Z = 0: f forbids all that p allows.

    Source: Ganchev et al. 2010, JMLR 11, 2001; Hu et al. 2018, arXiv:1806.09764.

    Example:
        >>> tilted = posterior_regularization([0.5, 0.5], [0.0, 1.0], math.log(3))
        >>> tilted.q, tilted.expected
        (tensor([0.2500, 0.7500]), tensor(0.7500))
    """
    (p,) = probabilities(p)
    f, weight = function_on(f, p), checked_weight(weight)
    possible = (p > 0) & f.isfinite()
    if not possible.any(-1).all():
        raise ValueError(
            "The normaliser is Z = 0: f is −∞ at every value that the model allows. Forbid fewer "
            "values, or use a finite weight."
        )
    if weight == math.inf:
        best = f.masked_fill(~possible, -math.inf).amax(-1, keepdim=True)
        log_q = p.log().masked_fill(f != best, -math.inf)
        q = log_q.softmax(-1)
        price = -log_q.logsumexp(-1)
        best = best[..., 0]
        log_z = torch.where(best == 0, -price, best * math.inf)
        return Tilted(q, log_z, best, price)
    score = (weight * f.masked_fill(~possible, 0)).masked_fill(~possible, -math.inf)
    log_q = p.log() + score
    log_z = log_q.logsumexp(-1)
    q = log_q.softmax(-1)
    expected = (q * f.masked_fill(~possible, 0)).sum(-1)
    return Tilted(q, log_z, expected, weight * expected - log_z)


def pr_objective(q: Tensor, p: Tensor, f: Tensor, weight: float) -> Tensor:
    """KL(q‖p) − λ E_q f, which is KL(q‖q*) − log Z.

    Args:
        q, p: laws ``[..., m]``.
        f, weight: as in :func:`posterior_regularization`.

    Example: the least value is −log Z.
        >>> p, f = torch.tensor([0.5, 0.5]), torch.tensor([0.0, 1.0])
        >>> q, log_z, *_ = posterior_regularization(p, f, 2.0)
        >>> pr_objective(q, p, f, 2.0), log_z
        (tensor(-1.4338), tensor(1.4338))
    """
    q, p = probabilities(q, p)
    f = function_on(f, q)
    return kl(q, p) - checked_weight(weight) * (q * f.masked_fill(q == 0, 0)).sum(-1)


def weight_for(p: Tensor, f: Tensor, bound: float, *, tolerance: float = 1e-10) -> float:
    """The λ at which E_q f = b, so that q is the law nearest to p with E_q f ≥ b.

    It maximises the dual λb − log Z(λ), which is concave, by bisection of its slope b − E_q f.

    Args:
        p, f: as in :func:`posterior_regularization`, ``[m]``.
        bound: b, below the best value that p allows.

    Returns:
        λ ≥ 0; 0 where p itself satisfies the bound.

    Raises:
        ValueError: a bound that no law with p's support can reach.

    Source: Ganchev et al. 2010, section 2.

    Example:
        >>> round(weight_for([0.5, 0.5], [0.0, 1.0], 0.75), 6), round(math.log(3), 6)
        (1.098612, 1.098612)
    """
    best = float(posterior_regularization(p, f, math.inf).expected)
    if not bound < best:
        raise ValueError(
            f"Expected a bound below {best:.6g}, the best value of f that the model allows, got "
            f"{bound:.6g}. At the best value itself λ is infinite: weight=math.inf."
        )

    def slope(weight: float) -> float:
        return bound - float(posterior_regularization(p, f, weight).expected)

    if slope(0.0) <= 0:
        return 0.0
    low, high = 0.0, 1.0
    while slope(high) > 0:
        low, high = high, 2 * high
    while high - low > tolerance * high and low < (low + high) / 2 < high:
        middle = (low + high) / 2
        low, high = (middle, high) if slope(middle) > 0 else (low, middle)
    return (low + high) / 2


def function_on(f: Tensor, p: Tensor) -> Tensor:
    """f at every value of p, of the shape of p; −∞ is allowed.

    Raises:
        ValueError: another shape, NaN or +∞.
    """
    f = torch.as_tensor(f).to(p.dtype)
    if f.ndim == 0 or f.shape[-1] != p.shape[-1]:
        raise ValueError(
            f"Expected f at each of the {p.shape[-1]} values of the model, got shape "
            f"{tuple(f.shape)}."
        )
    if (f.isnan() | (f == math.inf)).any():
        raise ValueError("Expected an f that is finite, or −∞ where it forbids; got NaN or +∞.")
    return f.expand(p.shape)


def checked_weight(weight: float, name: str = "a weight λ") -> float:
    """A number that is 0 or more; infinity is allowed.

    Raises:
        ValueError: a negative number or NaN.
    """
    if not weight >= 0:
        raise ValueError(
            f"Expected {name} >= 0, got {float(weight):.4g}. To forbid what f rewards, take −f."
        )
    return float(weight)
