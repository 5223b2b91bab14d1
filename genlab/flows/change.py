"""Change of variables on the line, with every branch; and a change in the plane older than flows.

If x = f(z) and z has density p_Z, then p(x) = Σ_k p_Z(z_k) |dz_k/dx| over all z_k with f(z_k) = x.
One branch and one dimension more at a time, this is the density of every flow.
"""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from genlab.flows.transforms import Pair, Transform
from genlab.models import query_points

__all__ = ["BoxMuller", "log_pushforward"]


def log_pushforward(
    log_prob: Callable[[Tensor], Tensor],
    branches: Sequence[Callable[[Tensor], Tensor]],
    x: Tensor,
) -> Tensor:
    """log p(x) of x = f(z) on the line, f being invertible on each of a few intervals.

    .. math:: p(x) = \\sum_k p_Z(g_k(x)) \\left|\\frac{dg_k}{dx}(x)\\right|

    The derivative is autograd's, its absolute value is taken: a falling branch also has a density.

    Args:
        log_prob: log p_Z, elementwise, nats.
        branches: the inverses g_k, one for each interval, elementwise; NaN where an x has no z in
            the interval.
        x: points, ``[batch]``.

    Returns:
        ``[batch]``, nats; −∞ where there is no z, NaN where autograd finds no slope.

    Raises:
        ValueError: no branches, points that are not one-dimensional and finite, or a branch that
            autograd cannot follow.

    Source: Jacobi 1841 for the determinant; Billingsley 1995, Probability and measure, section 20.

    Example: x = z² has two branches, and its density is that of χ² with one degree of freedom.
        >>> normal = torch.distributions.Normal(0.0, 1.0).log_prob
        >>> x = torch.tensor([0.5, 2.0])
        >>> log_pushforward(normal, [torch.sqrt, lambda x: -torch.sqrt(x)], x).exp()
        tensor([0.4394, 0.1038])
        >>> torch.distributions.Chi2(1.0).log_prob(x).exp()
        tensor([0.4394, 0.1038])
    """
    if not branches:
        raise ValueError("Expected one branch or more, got none.")
    x = query_points(x, ()).detach().requires_grad_()
    terms = []
    for branch in branches:
        with torch.enable_grad():
            z = branch(x)
            total = z.sum()
        if not z.requires_grad:
            raise ValueError(
                "A branch does not depend on x by operations of torch: its derivative is unknown."
            )
        slope = torch.autograd.grad(total, x)[0]
        term = log_prob(z.detach().nan_to_num()) + slope.abs().log()
        # No z: the branch is NaN there, or runs to infinity, as a logarithm does at 0.
        terms.append(torch.where(z.isfinite(), term, -math.inf))
    return torch.stack(terms).detach().logsumexp(0)


class BoxMuller(Transform):
    """From two normal numbers to two uniform ones, and back: how libraries draw N(0, 1).

    ::

        x = √(−2 log u₁) (cos 2πu₂, sin 2πu₂)
        u₁ = exp(−|x|²/2),  u₂ = the angle of x in turns

    with log |det ∂u/∂x| = −|x|²/2 − log 2π: over the base :class:`UnitCube` the density of x is
    that of N(0, I).

    Source: Box and Muller 1958, Ann. Math. Statist. 29, 610.

    Example:
        >>> x, _ = BoxMuller().inverse(torch.tensor([[0.3, 0.6]]))
        >>> x, BoxMuller()(x)[0]
        (tensor([[-1.2554, -0.9121]]), tensor([[0.3000, 0.6000]]))
    """

    def __init__(self) -> None:
        super().__init__((2,))

    def forward(self, x: Tensor) -> Pair:
        half = 0.5 * (self.data(x) ** 2).sum(1)
        turns = torch.atan2(x[:, 1], x[:, 0]) / (2 * math.pi) % 1
        return torch.stack([torch.exp(-half), turns], 1), -half - math.log(2 * math.pi)

    def inverse(self, z: Tensor) -> Pair:
        radius, angle = torch.sqrt(-2 * self.base(z)[:, 0].log()), 2 * math.pi * z[:, 1]
        x = radius[:, None] * torch.stack([angle.cos(), angle.sin()], 1)
        return x, 0.5 * radius**2 + math.log(2 * math.pi)
