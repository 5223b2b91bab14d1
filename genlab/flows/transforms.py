"""An invertible map between data and base, and the logarithm of what it does to volume.

One direction and one sign for the whole package: ``z, log_det = transform(x)`` goes from the data x
to the base z, with log |det ∂z/∂x|; ``x, log_det = transform.inverse(z)`` goes back, with
log |det ∂x/∂z|. The two cancel. Other libraries turn the direction round; read which is forward.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from genlab.models import query_points

__all__ = ["Compose", "Inverse", "Permutation", "Scaling", "Transform"]

Pair = tuple[Tensor, Tensor]


class Transform(nn.Module, ABC):
    """What every layer of a flow is: an invertible map that knows its log-determinants.

    A subclass writes :meth:`forward` and :meth:`inverse`. Both treat each row of a batch by itself.

    Args:
        event: shape of x without the batch.
        latent: shape of z, by default the same. It has as many entries: a map to fewer or more
            dimensions has no inverse, and x no density.

    Raises:
        ValueError: shapes that are empty or differ in their number of entries.

    Source: Rezende and Mohamed 2015, arXiv:1505.05770, for the chain of maps as a model.
    """

    def __init__(self, event: Sequence[int], latent: Sequence[int] | None = None) -> None:
        super().__init__()
        self.event = tuple(event)
        self.latent = self.event if latent is None else tuple(latent)
        if min(self.event, default=0) < 1 or min(self.latent, default=0) < 1:
            raise ValueError(
                f"Expected shapes with one axis or more, each of 1 or more, got {self.event} and "
                f"{self.latent}. A number is a vector of one entry."
            )
        if math.prod(self.event) != math.prod(self.latent):
            raise ValueError(
                f"Expected as many numbers in z as in x, got {self.latent} for {self.event}: "
                "without an inverse x has no density by change of variables."
            )

    @abstractmethod
    def forward(self, x: Tensor) -> Pair:
        """From x ``[batch, *event]`` to z ``[batch, *latent]`` and log |det ∂z/∂x| ``[batch]``."""

    @abstractmethod
    def inverse(self, z: Tensor) -> Pair:
        """From z ``[batch, *latent]`` to x ``[batch, *event]`` and log |det ∂x/∂z| ``[batch]``."""

    def data(self, x: Tensor) -> Tensor:
        """x, or a sentence that says how its shape or dtype differs from what is expected."""
        return self._checked(x, self.event)

    def base(self, z: Tensor) -> Tensor:
        """z, or a sentence as for :meth:`data`."""
        return self._checked(z, self.latent)

    def _checked(self, x: Tensor, event: tuple[int, ...]) -> Tensor:
        if x.ndim == 0 or tuple(x.shape[1:]) != event:
            query_points(x, event)  # it raises: a shape (n, 1) would else broadcast in silence
        weight = next(self.parameters(), x)
        if x.dtype != weight.dtype:
            raise ValueError(
                f"Expected {weight.dtype} as the weights are, got {x.dtype}. Convert one of them: "
                "x.to(weight.dtype), or model.double()."
            )
        return x


class Compose(Transform):
    """Several transforms as one, listed from the data to the base.

    With :math:`z_0 = x` and :math:`z_i = t_i(z_{i-1})`

    .. math:: \\log \\left|\\det \\frac{\\partial z_L}{\\partial x}\\right| =
              \\sum_{i=1}^L \\log \\left|\\det \\frac{\\partial z_i}{\\partial z_{i-1}}\\right|

    and the inverse takes them from last to first.

    Args:
        parts: one or more transforms, each of which takes what the one before gives.

    Raises:
        ValueError: no parts, or neighbours whose shapes do not match.

    Source: Tabak and Turner 2013, Comm. Pure Appl. Math. 66, 145; Rezende and Mohamed 2015,
        arXiv:1505.05770, eq. 6.

    Example:
        >>> chain = Compose(Scaling((2,)), Permutation([1, 0]))
        >>> chain(torch.tensor([[1.0, 3.0]]))
        (tensor([[3., 1.]], grad_fn=<IndexSelectBackward0>), tensor([0.], grad_fn=<AddBackward0>))
    """

    def __init__(self, *parts: Transform) -> None:
        if not parts:
            raise ValueError("Expected one transform or more, got none.")
        for i, (one, following) in enumerate(pairwise(parts)):
            if one.latent != following.event:
                raise ValueError(
                    f"Transform {i} gives shape {one.latent}, and transform {i + 1} takes "
                    f"{following.event}. They are listed from the data to the base."
                )
        super().__init__(parts[0].event, parts[-1].latent)
        self.parts = nn.ModuleList(parts)

    def forward(self, x: Tensor) -> Pair:
        total = 0.0
        for part in self.parts:
            x, log_det = part(x)
            total = total + log_det
        return x, total

    def inverse(self, z: Tensor) -> Pair:
        total = 0.0
        for part in reversed(self.parts):
            z, log_det = part.inverse(z)
            total = total + log_det
        return z, total


class Inverse(Transform):
    """A transform used in the other direction: its data is the base of this one.

    Args:
        transform: it shares its weights with this view.

    Example:
        >>> Inverse(Permutation([2, 0, 1]))(torch.tensor([[5.0, 6.0, 7.0]]))[0]
        tensor([[6., 7., 5.]])
    """

    def __init__(self, transform: Transform) -> None:
        super().__init__(transform.latent, transform.event)
        self.transform = transform

    def forward(self, x: Tensor) -> Pair:
        return self.transform.inverse(x)

    def inverse(self, z: Tensor) -> Pair:
        return self.transform(z)


class Permutation(Transform):
    """Entries of the first axis in another order: z_i = x_{order[i]}, log |det| = 0.

    Args:
        order: a permutation of 0, …, d − 1.
        rest: the axes after the first, as the height and width of channels.

    Raises:
        ValueError: an order that is no permutation.

    Example:
        >>> Permutation([1, 0])(torch.tensor([[5.0, 6.0]]))
        (tensor([[6., 5.]]), tensor([0.]))
    """

    def __init__(self, order: Sequence[int], rest: Sequence[int] = ()) -> None:
        order = [int(i) for i in order]
        if sorted(order) != list(range(len(order))):
            raise ValueError(f"Expected a permutation of 0 to {len(order) - 1}, got {order}.")
        super().__init__((len(order), *rest))
        self.register_buffer("order", torch.tensor(order))

    def forward(self, x: Tensor) -> Pair:
        return self.data(x).index_select(1, self.order), x.new_zeros(len(x))

    def inverse(self, z: Tensor) -> Pair:
        return self.base(z).index_select(1, self.order.argsort()), z.new_zeros(len(z))


class Scaling(Transform):
    """Each entry by its own factor, learnt: z = x ⊙ exp(s), log |det ∂z/∂x| = Σ s.

    With it a flow can change volume where couplings that add cannot: the last layer of NICE.

    Args:
        event: shape of x; s starts at 0.

    Source: Dinh, Krueger and Bengio 2014, arXiv:1410.8516, section 3.3.

    Example: one standard deviation becomes two.
        >>> scaling = Scaling((2,))
        >>> scaling.log_scale.data -= math.log(2)
        >>> x, log_det = scaling.inverse(torch.ones(1, 2))
        >>> x.tolist(), round(log_det.item(), 4)
        ([[2.0, 2.0]], 1.3863)
    """

    def __init__(self, event: Sequence[int]) -> None:
        super().__init__(event)
        self.log_scale = nn.Parameter(torch.zeros(self.event))

    def forward(self, x: Tensor) -> Pair:
        return self.data(x) * self.log_scale.exp(), self.log_scale.sum().expand(len(x))

    def inverse(self, z: Tensor) -> Pair:
        return self.base(z) * torch.exp(-self.log_scale), -self.log_scale.sum().expand(len(z))
