"""Couplings: one half of x passes through, and says how the other half moves.

In the direction of drawing, from base to data, with u the half that passes through:
additive v' = v + t(u), affine v' = v ⊙ exp(s(u)) + t(u). The Jacobian is block triangular with a
diagonal block, so its determinant is a product, whatever the networks s and t are.
"""

import math
from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor, nn

from genlab.em.kmeans import count
from genlab.flows.transforms import Compose, Pair, Transform

__all__ = ["AdditiveCoupling", "AffineCoupling", "Coupling", "Turns", "zero_last"]

Move = Callable[[Tensor, Tensor], Pair]  # one half and its parameters, as in Coupling.move


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
        a, b, log_slopes = self.turn(*self.halves(self.data(x)), self.move)
        return torch.cat((a, b), 1), log_slopes.flatten(1).sum(1)

    def inverse(self, z: Tensor) -> Pair:
        a, b, log_slopes = self.turn(*self.halves(self.base(z)), self.move_back)
        return torch.cat((a, b), 1), log_slopes.flatten(1).sum(1)

    def halves(self, x: Tensor) -> Pair:
        """The first ⌊d/2⌋ entries and the others."""
        return x.split([self.cut, x.shape[1] - self.cut], 1)

    def turn(self, a: Tensor, b: Tensor, move: Move) -> tuple[Tensor, Tensor, Tensor]:
        """Both halves after one of them has moved, and the logarithms of its derivatives."""
        if self.first:
            b, log_slopes = move(b, self._asked(a, b))
        else:
            a, log_slopes = move(a, self._asked(b, a))
        return a, b, log_slopes

    def _asked(self, u: Tensor, v: Tensor) -> Tensor:
        out = self.net(u)
        n, moved, *rest = v.shape
        wanted = [n, self.per_entry * moved, *rest]
        if list(out.shape) != wanted:
            raise ValueError(
                f"Expected the network to return shape {tuple(wanted)}, {self.per_entry} for each "
                f"of the {moved} entries that move, got {tuple(out.shape)}."
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
        c = self.bound  # the default is spared two operations, a twentieth of a step on small nets
        return (torch.tanh(a) if c == 1 else c * torch.tanh(a / c)), shift


class Turns(Compose):
    """Couplings of one shape as one transform: the halves are cut once, and joined at the end.

    It gives what :class:`Compose` gives, without a copy of x in each coupling.

    Args:
        parts: one or more couplings, listed from the data to the base.

    Raises:
        TypeError: a part that is no coupling.

    Example:
        >>> chain = Turns(
        ...     AdditiveCoupling((2,), nn.Identity()),
        ...     AdditiveCoupling((2,), nn.Identity(), first=False),
        ... )
        >>> chain(torch.tensor([[1.0, 5.0]]))
        (tensor([[-3.,  4.]]), tensor([0.]))
    """

    def __init__(self, *parts: Coupling) -> None:
        for part in parts:
            if not isinstance(part, Coupling):
                raise TypeError(f"Expected couplings only, got a {type(part).__name__}.")
        super().__init__(*parts)

    def forward(self, x: Tensor) -> Pair:
        return self._pass(self.data(x), [(part, part.move) for part in self.parts])

    def inverse(self, z: Tensor) -> Pair:
        return self._pass(self.base(z), [(part, part.move_back) for part in reversed(self.parts)])

    def _pass(self, x: Tensor, turns: list[tuple[Coupling, Move]]) -> Pair:
        a, b = self.parts[0].halves(x)
        each = []
        for part, move in turns:
            a, b, log_slopes = part.turn(a, b, move)
            each.append(log_slopes)
        return torch.cat((a, b), 1), torch.cat(each, 1).flatten(1).sum(1)


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
