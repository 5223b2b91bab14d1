"""The most probable point of a density, on its own or under a condition."""

from collections.abc import Callable

import torch
from torch import Tensor

from genlab.models.protocols import Density


def most_probable(
    model: Density, start: Tensor, *, constraint: Callable[[Tensor], Tensor] | None = None
) -> Tensor:
    """A local maximum of log p(x), among the points with g(x) = 0 if a constraint g is given.

    Sequential quadratic programming with torch's gradients. A density may have many maxima: the
    start decides, so try several and keep the best.

    Args:
        model: a density of vectors whose ``log_prob`` torch can differentiate.
        start: where to begin ``[d]``; log p must be finite there.
        constraint: g, from a point ``[d]`` to a number or several, zero where the condition holds.

    Returns:
        float64 ``[d]``.

    Raises:
        ValueError: a start of another shape or of probability zero, a ``log_prob`` without a
            gradient, or a search that finds no maximum (or no point with g(x) = 0).

    Source: Kraft 1988, DFVLR-FB 88-28 (SLSQP).

    Example: the most probable point of N(0, I) whose coordinates sum to one.
        >>> zero = torch.zeros(2, dtype=torch.float64)
        >>> normal = torch.distributions.Independent(torch.distributions.Normal(zero, 1.0), 1)
        >>> x = most_probable(normal, torch.tensor([3.0, 0.0]), constraint=lambda x: x.sum() - 1)
        >>> x.round(decimals=4)
        tensor([0.5000, 0.5000], dtype=torch.float64)
    """
    from scipy.optimize import minimize  # here, as importing it takes half a second

    start = torch.as_tensor(start).detach().double()
    if start.ndim != 1 or not start.isfinite().all():
        raise ValueError(
            f"Expected a start of shape (d,) with finite numbers, got shape {tuple(start.shape)}."
        )

    def log_p(x: Tensor) -> Tensor:
        return model.log_prob(x[None])[0]

    height = log_p(start)
    if height.ndim:
        raise ValueError(
            f"Expected a density of vectors of {len(start)} numbers, got log-densities of shape "
            f"{tuple(height.shape)} for one. A distribution of torch needs Independent(p, 1)."
        )
    if not height.isfinite():
        raise ValueError("The density is zero at the start: begin at a point that can occur.")
    if not log_p(start.clone().requires_grad_()).requires_grad:
        raise ValueError(
            f"log_prob of {type(model).__name__} has no gradient (a step function?): "
            "there is no slope to climb."
        )
    value, slope = _for_scipy(lambda x: -log_p(x))
    conditions = []
    if constraint is not None:
        g, jacobian = _for_scipy(lambda x: torch.atleast_1d(constraint(x)))
        conditions = [{"type": "eq", "fun": g, "jac": jacobian}]
    found = minimize(
        value,
        start.numpy(),
        jac=slope,
        constraints=conditions,
        method="SLSQP",
        options={"ftol": 1e-12, "maxiter": 1000},
    )
    if not found.success:
        raise ValueError(
            f"The search from {start.tolist()} found no maximum ({found.message}). Start "
            "elsewhere; the density must be bounded, and the condition must be satisfiable."
        )
    return torch.from_numpy(found.x)


def _for_scipy(f: Callable[[Tensor], Tensor]) -> tuple[Callable, Callable]:
    """A function of a tensor and its Jacobian as functions of arrays."""
    return (
        lambda x: f(torch.from_numpy(x)).detach().numpy(),
        lambda x: torch.autograd.functional.jacobian(f, torch.from_numpy(x)).numpy(),
    )
