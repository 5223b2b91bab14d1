"""MADE: a perceptron with masks, so that one pass gives every conditional."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Generator, Tensor, nn
from torch.nn.functional import linear

from genlab.autoregressive.model import Autoregressive
from genlab.em.kmeans import count
from genlab.models import catalogued
from genlab.nets import weights_from

__all__ = ["MADE", "MaskedMLP"]


class MaskedMLP(nn.Module):
    """A perceptron whose outputs for an entry see the entries before it, and no others.

    Every unit has a degree d: an entry its place in the ordering, 1 to n, a hidden unit a number
    from 1 to n − 1. A hidden unit sees units of degree d or less, an output those of less. Along a
    path the degrees never fall and rise at its end, so no path leads to an entry from itself or
    from a later one. The degrees of a layer are spread evenly; with n − 1 units or more none is
    missing.

    Args:
        n: entries.
        outputs: numbers for each entry.
        hidden: widths of the hidden layers.
        generator: source of the first weights.

    Raises:
        ValueError: sizes below 1.

    Source: Germain, Gregor, Murray and Larochelle 2015, arXiv:1502.03509, section 4.

    Example: the first output is a constant, the second depends on the first entry.
        >>> net = MaskedMLP(2, 1, (8,), generator=torch.Generator().manual_seed(0))
        >>> x = torch.tensor([[0.0, 0.0], [1.0, 1.0]])
        >>> out = net(x, net.masks(torch.tensor([0, 1])))[..., 0]
        >>> (out[0] == out[1]).tolist()
        [True, False]
    """

    def __init__(
        self,
        n: int,
        outputs: int,
        hidden: Sequence[int],
        *,
        generator: Generator | None = None,
    ) -> None:
        super().__init__()
        self.n, self.outputs = count(n, "n"), count(outputs, "outputs")
        hidden = [count(width, "a hidden width") for width in hidden]
        widths = [n, *hidden, n * outputs]
        with weights_from(generator):
            self.layers = nn.ModuleList(nn.Linear(*pair) for pair in pairwise(widths))
        for i, width in enumerate(hidden):
            self.register_buffer(f"degree{i}", 1 + torch.arange(width) * (n - 1) // width)

    def masks(self, order: Tensor) -> nn.Module:
        """Which weights stay in this ordering: for each layer 1 where one does, else 0."""
        return _Masks(self, order)

    def forward(self, x: Tensor, masks: nn.Module) -> Tensor:
        """From x ``[batch, n]`` to ``[batch, n, outputs]``, with the masks of an ordering."""
        *hidden, last = zip(self.layers, masks.buffers(), strict=True)
        for layer, mask in hidden:
            x = linear(x, layer.weight * mask, layer.bias).relu()
        layer, mask = last
        return linear(x, layer.weight * mask, layer.bias).unflatten(-1, (self.n, self.outputs))


class _Masks(nn.Module):
    def __init__(self, net: MaskedMLP, order: Tensor) -> None:
        super().__init__()
        place = below = order.argsort() + 1
        masks = []
        for i in range(len(net.layers) - 1):
            degree = net.get_buffer(f"degree{i}")
            masks.append(degree[:, None] >= below)
            below = degree
        masks.append(place.repeat_interleave(net.outputs)[:, None] > below)
        for i, mask in enumerate(masks):
            self.register_buffer(f"mask{i}", mask.to(net.layers[i].weight.dtype))


@catalogued(chapter="autoregressive", source="Germain, Gregor, Murray and Larochelle 2015")
class MADE(Autoregressive):
    """Masked autoencoder for distribution estimation: a :class:`MaskedMLP` gives the logits.

    The weights belong to no ordering, the masks do: :meth:`in_order` is the same network in
    another. Trained in one it is good in that one; :func:`any_order` trains it in all.

    Args:
        n: entries.
        hidden: widths of the hidden layers; ``()`` is a fully visible belief net.
        levels: how many values an entry can have; the network sees them scaled to [0, 1].
        order: the ordering; by default the entries as they stand.
        generator: source of the first weights.

    Raises:
        ValueError: sizes below 1, or an ordering that is no permutation.

    Source: Germain, Gregor, Murray and Larochelle 2015, arXiv:1502.03509.

    Example:
        >>> model = MADE(3, (8,), levels=4, generator=torch.Generator().manual_seed(0))
        >>> model.log_prob(torch.tensor([[0, 3, 1]])).shape
        torch.Size([1])
    """

    def __init__(
        self,
        n: int,
        hidden: Sequence[int] = (256,),
        levels: int = 2,
        *,
        order: Sequence[int] | Tensor | None = None,
        generator: Generator | None = None,
    ) -> None:
        super().__init__((n,), levels, order)
        outputs = 1 if levels == 2 else levels
        self.net = MaskedMLP(n, outputs, hidden, generator=generator)
        self.masks = self.net.masks(self.order)

    def forward(self, x: Tensor) -> Tensor:
        return self.logits(x, self.masks)

    def logits(self, x: Tensor, masks: nn.Module) -> Tensor:
        """What :meth:`forward` gives, with the masks of an ordering."""
        if self.levels == 2:
            return self.net(x, masks).squeeze(-1)
        return self.net(x / max(1, self.levels - 1), masks)

    def in_order(self, order: Sequence[int] | Tensor) -> "Ordered":
        """This network in another ordering: a model that shares its weights."""
        return Ordered(self, order)


class Ordered(Autoregressive):
    """A network for every ordering, in one of them; see :meth:`MADE.in_order`."""

    def __init__(self, model: MADE, order: Sequence[int] | Tensor) -> None:
        super().__init__(model.event, model.levels, order)
        self.to(model.order.device)
        self.model, self.masks = model, model.net.masks(self.order)

    def forward(self, x: Tensor) -> Tensor:
        return self.model.logits(x, self.masks)
