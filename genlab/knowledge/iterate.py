"""EM with a teacher in its E step: the model learns from data and from its own tilt, by turns."""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from genlab.divergences import cross_entropy, probabilities
from genlab.em.kmeans import count
from genlab.knowledge.posterior import checked_weight, posterior_regularization, pr_objective

__all__ = ["Fitted", "pr_em"]


class Fitted(NamedTuple):
    """What :func:`pr_em` returns.

    Attributes:
        p: the model after the last M step, ``[m]``.
        q: its tilt, ``[m]``.
        objective: L + α [KL(q‖p) − λ E_q f] after each E step and each M step, ``[2 · steps]``.
    """

    p: Tensor
    q: Tensor
    objective: Tensor


def pr_em(
    data: Tensor,
    model: Callable[[Tensor], Tensor],
    f: Tensor,
    weight: float,
    *,
    alpha: float = 1.0,
    start: Tensor | None = None,
    steps: int = 50,
) -> Fitted:
    """EM for min over θ and q of −E_data log p_θ + α [KL(q‖p_θ) − λ E_q f], which never goes up.

    The E step is the tilt. The M step minimises −E_data log p_θ − α E_q log p_θ: it is maximum
    likelihood for the mixture (p_data + αq)/(1 + α). The α belongs there; without it both weigh
    the same.

    Args:
        data: p_data ``[m]``.
        model: maximum likelihood: takes a law ``[m]``, returns the member of the family, ``[m]``,
            that is nearest to it in KL(law‖·). The identity is the family of all laws.
        f, weight: as in :func:`posterior_regularization`; a finite weight.
        alpha: α ≥ 0.
        start: a member of the family; None begins at maximum likelihood for the data.
        steps: of both kinds each.

    Raises:
        ValueError: a negative α, an infinite weight, or what the E step refuses.

    Source: Hu et al. 2018, arXiv:1806.09764, with the sign and the α in place.

    Example:
        >>> data, f = torch.tensor([0.5, 0.5]), torch.tensor([0.0, 1.0])
        >>> fitted = pr_em(data, lambda law: law, f, math.log(3), steps=100)
        >>> fitted.p
        tensor([0.3170, 0.6830])
    """
    (data,) = probabilities(data)
    alpha = checked_weight(alpha, "alpha")
    p, path = model(data) if start is None else start, []
    if math.inf in (alpha, weight):
        raise ValueError(
            "Expected a finite weight λ and a finite alpha, so that the objective is a number; "
            "got infinity. A hard constraint is an f of 0 and −∞."
        )

    def objective(q: Tensor, p: Tensor) -> Tensor:
        return cross_entropy(data, p) + alpha * pr_objective(q, p, f, weight)

    for _ in range(count(steps, "steps")):
        q = posterior_regularization(p, f, weight).q
        path.append(objective(q, p))
        p = model((data + alpha * q) / (1 + alpha))
        path.append(objective(q, p))
    return Fitted(p, posterior_regularization(p, f, weight).q, torch.stack(path))
