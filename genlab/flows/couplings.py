"""Couplings: one half of x passes through, and says how the other half moves.

In the direction of drawing, from base to data, with u the half that passes through:
additive v' = v + t(u), affine v' = v ⊙ exp(s(u)) + t(u). The Jacobian is block triangular with a
diagonal block, so its determinant is a product, whatever the networks s and t are.
"""

import math
from abc import abstractmethod
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from genlab.em.kmeans import count
from genlab.flows.transforms import Pair, Transform

__all__ = ["AdditiveCoupling", "AffineCoupling", "Coupling", "zero_last"]


class Coupling(Transform):
    """What couplings share: the cut into two halves of the first axis, and the network.

    Features of a vector are cut, or channels of an image. Of d entries the first half has ⌊d/2⌋.

    Args:
        event: shape of x, the first axis being 2 or more.
        net: from the half that passes through, ``[batch, kept, *rest]``, to the parameters of the
            other, ``[batch, per_entry * moved, *rest]``.
        first: whether the first half passes through, and the last moves; else the other way round.

    Raises:
        ValueError: nothing to cut; at a pass, a network whose output has another shape.
    """

    per_entry: int

    def __init__(self, event: Sequence[int], net: nn.Module, *, first: bool = True) -> None:
        super().__init__(event)
        if not self.event or self.event[0] < 2:
            raise ValueError(
                f"Expected 2 or more features (or channels) to cut into halves, got the shape "
                f"{self.event}. Squeeze an image first."
            )
        self.net, self.first = net, first
        self.cut = self.event[0] // 2

    @abstractmethod
    def move(self, v: Tensor, parameters: Tensor) -> Pair:
        """v from data to base, and the logarithms of the derivatives, of the shape of v."""

    @abstractmethod
    def move_back(self, v: Tensor, parameters: Tensor) -> Pair:
        """v from base to data, and the logarithms of the derivatives."""

    def forward(self, x: Tensor) -> Pair:
        u, v = self._halves(self.data(x))
        v, log_slopes = self.move(v, self._asked(u, v))
        return self._joined(u, v), log_slopes.flatten(1).sum(1)

    def inverse(self, z: Tensor) -> Pair:
        u, v = self._halves(self.base(z))
        v, log_slopes = self.move_back(v, self._asked(u, v))
        return self._joined(u, v), log_slopes.flatten(1).sum(1)

    def _halves(self, x: Tensor) -> Pair:
        a, b = x.split([self.cut, x.shape[1] - self.cut], 1)
        return (a, b) if self.first else (b, a)

    def _joined(self, u: Tensor, v: Tensor) -> Tensor:
        return torch.cat((u, v) if self.first else (v, u), 1)

    def _asked(self, u: Tensor, v: Tensor) -> Tensor:
        out = self.net(u)
        wanted = (len(v), self.per_entry * v.shape[1], *v.shape[2:])
        if tuple(out.shape) != wanted:
            raise ValueError(
                f"Expected the network to return shape {wanted}, {self.per_entry} for each of the "
                f"{v.shape[1]} entries that move, got {tuple(out.shape)}."
            )
        return out


class AdditiveCoupling(Coupling):
    """x_v = z_v + t(u) and x_u = z_u = u: volume is kept, log |det| = 0.

    Args:
        event, net, first: as in :class:`Coupling`; one output for each entry that moves.

    Source: Dinh, Krueger and Bengio 2014, arXiv:1410.8516, eq. 4.

    Example:
        >>> coupling = AdditiveCoupling((2,), nn.Identity())
        >>> coupling.inverse(torch.tensor([[1.0, 5.0]]))
        (tensor([[1., 6.]]), tensor([0.]))
        >>> coupling(torch.tensor([[1.0, 6.0]]))
        (tensor([[1., 5.]]), tensor([0.]))
    """

    per_entry = 1

    def move(self, v: Tensor, parameters: Tensor) -> Pair:
        return v - parameters, torch.zeros_like(v)

    def move_back(self, v: Tensor, parameters: Tensor) -> Pair:
        return v + parameters, torch.zeros_like(v)


class AffineCoupling(Coupling):
    """x_v = z_v ⊙ exp(s(u)) + t(u) and x_u = z_u = u: log |det ∂x/∂z| = Σ s(u).

    The network's outputs are a and t, and s = c tanh(a / c): no factor of a layer is beyond
    e^±c, without which deep flows overflow. Several couplings multiply their factors.

    Args:
        event, net, first: as in :class:`Coupling`; two outputs for each entry that moves.
        bound: c > 0.

    Source: Dinh, Sohl-Dickstein and Bengio 2017, arXiv:1605.08803, eqs. 4-8.

    Example:
        >>> class Net(nn.Module):
        ...     def forward(self, u):
        ...         return torch.cat([0.5 * u, u**2], 1)
        >>> coupling = AffineCoupling((2,), Net())
        >>> x, log_det = coupling.inverse(torch.tensor([[1.0, 5.0]]))
        >>> [round(v, 4) for v in x[0].tolist()], round(float(log_det), 4)
        ([1.0, 8.9372], 0.4621)
    """

    per_entry = 2

    def __init__(
        self, event: Sequence[int], net: nn.Module, *, first: bool = True, bound: float = 1.0
    ) -> None:
        super().__init__(event, net, first=first)
        if not 0 < bound < math.inf:
            raise ValueError(f"Expected a finite bound > 0 of the log-scale, got {bound!r}.")
        self.bound = bound

    def move(self, v: Tensor, parameters: Tensor) -> Pair:
        log_scale, shift = self._scale_and_shift(parameters)
        log_slope = -log_scale
        return (v - shift) * torch.exp(log_slope), log_slope

    def move_back(self, v: Tensor, parameters: Tensor) -> Pair:
        log_scale, shift = self._scale_and_shift(parameters)
        return v * torch.exp(log_scale) + shift, log_scale

    def _scale_and_shift(self, parameters: Tensor) -> Pair:
        a, shift = parameters.chunk(2, 1)
        return self.bound * torch.tanh(a / self.bound), shift


def in_turn(d: int, couplings: int) -> Iterator[tuple[int, int, bool]]:
    """For each of several couplings of d features: how many pass, how many move, and ``first``.

    Example:
        >>> list(in_turn(5, 3))
        [(2, 3, True), (3, 2, False), (2, 3, True)]
    """
    if count(d, "d") < 2:
        raise ValueError(f"Expected d = 2 or more features to cut into halves, got {d}.")
    for i in range(count(couplings, "couplings")):
        first = i % 2 == 0
        kept = d // 2 if first else d - d // 2
        yield kept, d - kept, first


def zero_last(net: nn.Sequential) -> nn.Sequential:
    """The network with the weights of its last layer set to 0: the coupling starts as the identity.

    Source: Kingma and Dhariwal 2018, arXiv:1807.03039, section 3.3.

    Example:
        >>> zero_last(nn.Sequential(nn.Linear(1, 2)))(torch.ones(1, 1)).tolist()
        [[0.0, 0.0]]
    """
    for weight in net[-1].parameters():
        nn.init.zeros_(weight)
    return net
