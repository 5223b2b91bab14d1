"""Constraint functions, and the objective that rewards a model for satisfying them.

min over θ of L(θ) − α E_{p_θ} f(x). The expectation is under the model, so its gradient moves the
law: ∇E_p f = E_p[f ∇log p]. On a finite set it is a sum. Else f times the score is averaged over
draws (:func:`genlab.variational.score_gradient`, with a baseline), or the draws are moved
(:func:`genlab.variational.reparameterised_gradient`, if f has a slope).
"""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from genlab.divergences import cross_entropy, probabilities
from genlab.knowledge.posterior import checked_weight, function_on

__all__ = ["Constraint", "regularised_objective", "score_spread"]


@dataclass(frozen=True)
class Constraint:
    """A function f of x that is the higher the better x is, and its weight λ.

    Constraints add, by their weighted sum; ``3 * c`` weighs c three times as much.

    Args:
        f: takes rows ``[n, *event]``, returns ``[n]``.
        weight: λ ≥ 0.
        name: what messages call it.

    Raises:
        ValueError: a negative weight.

    Example:
        >>> import torch
        >>> c = Constraint(lambda x: x[:, 0], name="right") + 2 * Constraint(lambda x: x[:, 1])
        >>> c(torch.tensor([[1.0, 10.0], [0.0, 1.0]]))
        tensor([21.,  2.])
    """

    f: Callable[[Tensor], Tensor]
    weight: float = 1.0
    name: str = "f"

    def __post_init__(self) -> None:
        checked_weight(self.weight, f"the weight of {self.name!r}")

    def __call__(self, x: Tensor) -> Tensor:
        """λ f(x), ``[n]``.

        Raises:
            ValueError: f returns another shape, or NaN or infinite numbers.
        """
        value = self.f(x)
        if value.shape != x.shape[:1]:
            raise ValueError(
                f"Expected from the constraint {self.name!r} one value for each of {len(x)} rows, "
                f"got shape {tuple(value.shape)}."
            )
        if not value.isfinite().all():
            raise ValueError(f"The constraint {self.name!r} is NaN or infinite at some rows.")
        return self.weight * value

    def __add__(self, other: "Constraint") -> "Constraint":
        return Constraint(lambda x: self(x) + other(x), name=f"{self.name} + {other.name}")

    def __rmul__(self, factor: float) -> "Constraint":
        return Constraint(self.f, factor * self.weight, self.name)


def regularised_objective(data: Tensor, p: Tensor, f: Tensor, alpha: float) -> Tensor:
    """−E_data log p − α E_p f on a finite set; its gradient is exact.

    Args:
        data: p_data, ``[m]``.
        p: the model's law ``[m]``; gradients pass.
        f: the constraint function, ``[m]``.
        alpha: α ≥ 0.

    Raises:
        ValueError: tables that are no laws, a negative α, or an f that does not fit.

    Example:
        >>> import torch
        >>> half, f = torch.tensor([0.5, 0.5]), torch.tensor([0.0, 1.0])
        >>> regularised_objective(half, half, f, alpha=2.0)  # log 2 − 1
        tensor(-0.3069)
    """
    data, p = probabilities(data, p)
    return cross_entropy(data, p) - checked_weight(alpha, "alpha") * (p * function_on(f, p)).sum()


def score_spread(p: Tensor, f: Tensor, baseline: float = 0.0) -> Tensor:
    """The variance of (f(x) − b) ∇log p(x), x ~ p, summed over the logits of p: an exact number.

    log p itself never appears, but f and the score do. An f that is 10 everywhere, with no
    gradient at all, makes noise of order 100; a baseline takes it out.

    Args:
        p: ``[m]``, softmax of the logits.
        f: ``[m]``.
        baseline: b, subtracted from f.

    Returns:
        E‖(f − b) s‖² − ‖E[f s]‖² with s = ∇log p(x) = e_x − p.

    Raises:
        ValueError: a p that is no law, or an f of another shape.

    Example:
        >>> import torch
        >>> p, f = torch.tensor([0.5, 0.5]), torch.tensor([10.0, 11.0])
        >>> score_spread(p, f), score_spread(p, f, baseline=10.5)
        (tensor(55.1250), tensor(0.))
    """
    (p,) = probabilities(p)
    f = function_on(f, p)
    size = 1 - 2 * p + p.square().sum()  # ‖e_x − p‖²
    mean = p * (f - (p * f).sum())
    spread = (p * (f - baseline).square() * size).sum() - mean.square().sum()
    return spread.clamp_min(0)  # rounding can leave -1e-30
