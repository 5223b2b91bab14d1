"""Images as sequences: row by row, in a row from left to right, at a site colour after colour."""

from abc import abstractmethod
from collections.abc import Callable, Sequence

import torch
from torch import Generator, Tensor, nn
from torch.nn.functional import one_hot

from genlab.autoregressive.cache import Cache
from genlab.autoregressive.masks import MaskedConv
from genlab.autoregressive.model import Autoregressive, drawn
from genlab.nets import weights_from

__all__ = ["RasterModel"]


class RasterModel(Autoregressive):
    """A law of images whose conditionals a network computes at all sites in one pass.

    Of ``first``, a layer of mask A, ``layers`` of mask B and ``last``, which gives logits, a
    subclass makes its :meth:`network`. To the logits each site adds offsets of its own: a
    convolution knows where it stands by the edges alone. If the network uses the cache, as masked
    convolutions can, :meth:`cached` draws with each site computed once.

    Args:
        event, levels, width, layers, first, generator: as in
            :class:`~genlab.autoregressive.PixelCNN`.
        given: what else a layer asks for.

    Raises:
        ValueError: an event of another kind, or sizes that do not fit; data as in
            :class:`Autoregressive`.
    """

    _layer: Callable[..., nn.Module] = MaskedConv  # or what takes the same

    def __init__(
        self,
        event: Sequence[int],
        levels: int = 2,
        width: int = 32,
        layers: int = 6,
        first: int = 7,
        *,
        generator: Generator | None = None,
        **given: object,
    ) -> None:
        if len(event) != 3:
            raise ValueError(
                f"Expected images (colours, height, width), got {tuple(event)}. Grey images of "
                "8 × 8 pixels are (1, 8, 8)."
            )
        super().__init__(event, levels)
        colours = self.event[0]
        self.order = self.order.reshape(colours, -1).T.flatten()
        self.offsets = nn.Parameter(torch.zeros(*self.event, self.levels))
        with weights_from(generator):
            self.first = self._layer(colours, width, first, "A", colours, **given)
            self.layers = nn.ModuleList(
                self._layer(width, width, 3, "B", colours, **given) for _ in range(layers)
            )
            self.last = MaskedConv(width, colours * self.levels, 1, "B", colours)

    @abstractmethod
    def network(self, planes: Tensor, cache: Cache | None = None) -> Tensor:
        """From the inputs ``[n, features, height, width]`` to the logits at each site.

        Returns:
            ``[n, colours · levels, height, width]``; with a cache the part at its site.
        """

    def planes(self, x: Tensor) -> Tensor:
        """What the network reads: the whole numbers 0 to levels − 1, put between −1 and 1."""
        return x * (2 / max(self.levels - 1, 1)) - 1

    def forward(self, x: Tensor) -> Tensor:
        logits = self.network(self.planes(x))
        return logits.unflatten(1, (self.event[0], self.levels)).movedim(2, -1) + self.offsets

    def cached(self, u: Tensor, x: Tensor | None = None, known: int = 0) -> Tensor:
        """What :func:`naive` draws, with every site computed once and not in every pass."""
        x = torch.zeros_like(u) if x is None else x.to(u, copy=True).contiguous()
        if len(x) == 0:
            return x.long()
        n, (colours, height, width), levels = len(x), self.event, self.levels
        cache, flat = Cache(height, width), x.view(n, -1)
        with torch.inference_mode():
            planes, u = self.planes(x), u.flatten(1)
            offsets = self.offsets.flatten(0, 2)
            for sites in self.steps():
                cache.sites = torch.tensor(sites, device=x.device)
                for colour in range(colours):
                    entries = cache.sites + colour * height * width
                    logits = self.network(planes, cache)[:, colour * levels :][:, :levels, 0]
                    value = drawn(logits.transpose(1, 2) + offsets[entries], u[:, entries]).to(x)
                    given = cache.sites * colours + colour < known
                    flat[:, entries] = torch.where(given, flat[:, entries], value)
                    planes.view(n, -1)[:, entries] = self.planes(flat[:, entries])
        return x.long()

    def steps(self) -> list[list[int]]:
        """The sites in the order in which :meth:`cached` computes them; here one at a time."""
        return [[site] for site in range(self.event[1] * self.event[2])]

    @torch.no_grad()
    def start(self, x: Tensor) -> "RasterModel":
        """Begin with what each site says by itself: its frequencies become the offsets.

        The last layer is put to 0. What is left to learn is what the sites say of each other.

        Args:
            x: the training images ``[n, *event]``; one of each level is added to them.

        Raises:
            ValueError: data as in ``log_prob``.
        """
        seen = one_hot(self.whole_numbers(x).long(), self.levels).sum(0) + 1
        self.offsets.copy_((seen / seen.sum(-1, keepdim=True)).log())
        self.last.weight.zero_()
        self.last.bias.zero_()
        return self
