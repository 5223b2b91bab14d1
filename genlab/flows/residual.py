"""Residual blocks: x + F(x) is invertible where F is a contraction, and its price.

A block of a ResNet has no inverse in general. With Lip(F) < 1 it has one, found by iteration; the
log-determinant then has no short form. Couplings get both for nothing, by leaving a half alone.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Generator, Tensor, nn

from genlab.em.kmeans import count
from genlab.flows.transforms import Pair, Transform
from genlab.nets import MLP

__all__ = ["Contraction", "FixedPoint", "ResidualBlock", "fixed_point"]


class FixedPoint(NamedTuple):
    """What :func:`fixed_point` returns.

    Attributes:
        x: the last iterate, of the shape of z.
        steps: the largest change of an entry at each iteration, ``[iterations]``.
    """

    x: Tensor
    steps: Tensor


def fixed_point(
    residual: Callable[[Tensor], Tensor], z: Tensor, iterations: int, rest: float = 0.0
) -> FixedPoint:
    """Solve z = x + F(x) by x ← z − F(x), from x = z.

    If F has the Lipschitz constant L < 1, the distance to the solution shrinks by L or more at each
    iteration (Banach); if L > 1 it may grow, and there may be several solutions or none.

    Args:
        residual: F.
        z: right-hand side.
        iterations: how many at most, 1 or more.
        rest: it stops when no entry moves by more.

    Source: Behrmann et al. 2019, Invertible residual networks, arXiv:1811.00995, algorithm 1.

    Example:
        >>> found = fixed_point(lambda x: x / 2, torch.tensor([3.0]), 4)
        >>> found.x, found.steps
        (tensor([2.0625]), tensor([1.5000, 0.7500, 0.3750, 0.1875]))
    """
    x, steps = z, []
    for _ in range(count(iterations, "iterations")):
        following = z - residual(x)
        steps.append((following - x).abs().max())
        x = following
        if steps[-1] <= rest:
            break
    return FixedPoint(x, torch.stack(steps))


class Contraction(nn.Module):
    """A perceptron with tanh units whose Lipschitz constant is at most L.

    Every weight matrix is divided by its largest singular value where this exceeds L^(1/layers);
    tanh has slope 1 or less.

    Args:
        d: inputs and outputs.
        hidden: widths of the hidden layers.
        lipschitz: L > 0; for an invertible block below 1.
        generator: source of the first weights.

    Source: Behrmann et al. 2019, section 2.1 (there the singular value is estimated).

    Example:
        >>> net = Contraction(2, lipschitz=0.5, generator=torch.Generator().manual_seed(0))
        >>> a, b = torch.zeros(1, 2), torch.ones(1, 2)
        >>> bool((net(a) - net(b)).norm() <= 0.5 * (a - b).norm())
        True
    """

    def __init__(
        self,
        d: int,
        hidden: Sequence[int] = (32, 32),
        *,
        lipschitz: float = 0.9,
        generator: Generator | None = None,
    ) -> None:
        super().__init__()
        if not lipschitz > 0:
            raise ValueError(f"Expected a Lipschitz constant > 0, got {lipschitz!r}.")
        self.net = MLP(d, d, hidden, activation=nn.Tanh, generator=generator)
        self.limit = lipschitz ** (1 / (len(hidden) + 1))

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.net:
            if isinstance(layer, nn.Linear):
                largest = torch.linalg.matrix_norm(layer.weight, ord=2)
                weight = layer.weight / torch.clamp(largest / self.limit, min=1)
                x = nn.functional.linear(x, weight, layer.bias)
            else:
                x = layer(x)
        return x


class ResidualBlock(Transform):
    """z = x + F(x) with a contraction F; log |det(I + ∂F/∂x)| from autograd's whole Jacobian.

    It takes d backward passes: this is to compare with, in few dimensions. (Behrmann et al.
    estimate the series Σ_k (−1)^{k+1} tr(J^k)/k instead.) Drawing iterates, and passes no gradient.

    Args:
        d: length of x.
        residual: F, from ``[batch, d]`` to ``[batch, d]``.
        iterations: of :func:`fixed_point` at most.

    Raises:
        ValueError: the iteration for the inverse does not come to rest: F is no contraction, or
            so slow a one that it takes more iterations; a residual that returns another shape.

    Source: Behrmann et al. 2019, arXiv:1811.00995; the block, He et al. 2016, arXiv:1512.03385.

    Example:
        >>> block = ResidualBlock(2, Contraction(2, generator=torch.Generator().manual_seed(0)))
        >>> z, log_det = block(torch.tensor([[1.0, 2.0]]))
        >>> block.inverse(z)[0].round(decimals=3)
        tensor([[1., 2.]])
    """

    def __init__(self, d: int, residual: nn.Module, iterations: int = 500) -> None:
        super().__init__((count(d, "d"),))
        self.residual, self.iterations = residual, count(iterations, "iterations")

    def forward(self, x: Tensor) -> Pair:
        x = self.data(x)
        return x + self._residual(x), self._log_det(x)

    def inverse(self, z: Tensor) -> Pair:
        x = self._solved(self.base(z))
        with torch.no_grad():
            return x, -self._log_det(x)

    @torch.no_grad()
    def _solved(self, z: Tensor) -> Tensor:
        if len(z) == 0:
            return z
        rest = 100 * torch.finfo(z.dtype).eps * float(1 + z.abs().max())
        x, steps = fixed_point(self._residual, z, self.iterations, rest)
        if not steps[-1] <= rest:
            raise ValueError(
                f"After {len(steps)} iterations x ← z − F(x) still moves by {steps[-1]:.2g}. The "
                "block is sure to be invertible only where F has a Lipschitz constant below 1: "
                "Contraction(d, lipschitz=0.9). Near 1 it takes more iterations: iterations=5000."
            )
        return x

    def _residual(self, x: Tensor) -> Tensor:
        moved = self.residual(x)
        if moved.shape != x.shape:
            raise ValueError(
                f"Expected the residual to return the shape that it gets, {tuple(x.shape)}, got "
                f"{tuple(moved.shape)}."
            )
        return moved

    def _log_det(self, x: Tensor) -> Tensor:
        if len(x) == 0:
            return x.new_zeros(0)
        # Rows do not mix: the Jacobian of the sum over rows holds that of each, [out, batch, in].
        slopes = torch.autograd.functional.jacobian(
            lambda x: self._residual(x).sum(0),
            x if x.requires_grad else x.detach().requires_grad_(),
            create_graph=torch.is_grad_enabled(),
        ).transpose(0, 1)
        identity = torch.eye(x.shape[1], dtype=x.dtype, device=x.device)
        return torch.linalg.slogdet(identity + slopes).logabsdet
