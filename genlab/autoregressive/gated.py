"""Gated PixelCNN: two stacks of masked convolutions that leave no blind spot, and classes."""

import copy
import math
from collections.abc import Sequence

import torch
from torch import Generator, Tensor, nn

from genlab.autoregressive.cache import Cache
from genlab.autoregressive.masks import MaskedConv
from genlab.autoregressive.raster import RasterModel
from genlab.em.kmeans import count
from genlab.models import catalogued, sample_size

__all__ = ["GatedPixelCNN"]


class _GatedLayer(nn.Module):
    """One step of both stacks."""

    def __init__(
        self, n_in: int, width: int, kernel: int, kind: str, colours: int, classes: int
    ) -> None:
        super().__init__()
        rows = "above" if kind == "A" else "down"
        self.colours = colours
        self.vertical = MaskedConv(n_in, 2 * width, kernel, rows, colours)
        self.horizontal = MaskedConv(n_in, 2 * width, (1, kernel), kind, colours)
        self.link = nn.Conv2d(2 * width, 2 * width, 1)  # unmasked: of rows above all is known
        self.back = MaskedConv(width, width, 1, "B", colours)
        self.classes = nn.Embedding(classes, 4 * width) if classes else None

    def biases(self, label: Tensor | None) -> tuple[Tensor | float, Tensor | float]:
        """b and c of the class, ``[batch or 1, 2 · width, 1, 1]``."""
        if self.classes is None:
            return 0.0, 0.0
        return self.classes(label.reshape(-1))[..., None, None].chunk(2, 1)

    def gate(self, x: Tensor) -> Tensor:
        """tanh(a) σ(b); each colour has its a and its b."""
        a, b = x.unflatten(1, (self.colours, 2, -1)).unbind(2)
        return (torch.tanh(a) * torch.sigmoid(b)).flatten(1, 2)


@catalogued(chapter="autoregressive", source="van den Oord et al. 2016")
class GatedPixelCNN(RasterModel):
    """Two stacks without a blind spot: one sees the rows above, one the row itself to the left.

    .. math:: v \\leftarrow g(V * v + b_y), \\qquad
              h \\leftarrow h + R\\, g(H * h + L\\,(V * v) + c_y), \\qquad
              g(a, b) = \\tanh(a) \\odot \\sigma(b)

    The stack of the rows may look right as far as it likes, since it never reaches the own row. It
    tells the other what it saw; back nothing flows. With classes the biases b and c depend on the
    class y: that is p(x | y), and without a class the model is their mean, (1/K) Σ_y p(x | y).

    Args:
        event, levels, width, layers, first, generator: as in
            :class:`~genlab.autoregressive.PixelCNN`.
        classes: number K of classes, or 0.

    Raises:
        ValueError: sizes that do not fit.

    Source: van den Oord et al. 2016, Conditional image generation with PixelCNN decoders,
        arXiv:1606.05328, sections 2.2-2.3 and fig. 2.

    Example:
        >>> rng = torch.Generator().manual_seed(0)
        >>> model = GatedPixelCNN((1, 8, 8), classes=10, generator=rng)
        >>> threes = model.given(3).sample(5, generator=rng)
        >>> model.given(3).log_prob(threes).shape, model.log_prob(threes).shape
        (torch.Size([5]), torch.Size([5]))
    """

    _layer = _GatedLayer
    from_uniforms = RasterModel.cached

    def __init__(
        self,
        event: Sequence[int],
        levels: int = 2,
        width: int = 32,
        layers: int = 6,
        first: int = 7,
        classes: int = 0,
        *,
        generator: Generator | None = None,
    ) -> None:
        classes = classes and count(classes, "classes")
        super().__init__(event, levels, width, layers, first, generator=generator, classes=classes)
        self.classes = classes
        self.label: Tensor | None = None

    def given(self, label: int | Tensor) -> "GatedPixelCNN":
        """p(x | y) as a model, with the same weights; y is one class or one for each row of x.

        Raises:
            ValueError: a class that is none of 0 to classes − 1.
        """
        y = torch.as_tensor(label)
        if y.ndim > 1 or y.is_floating_point() or not ((y >= 0) & (y < self.classes)).all():
            raise ValueError(
                f"Expected classes as whole numbers from 0 to {self.classes - 1}, one or one for "
                f"each image, got {label!r}."
                if self.classes
                else "This model knows no classes. Build it with classes=10 to train it with them."
            )
        other = copy.copy(self)
        other.label = y.to(self.order.device)
        return other

    def network(self, planes: Tensor, cache: Cache | None = None) -> Tensor:
        if self.classes and self.label is None:
            raise ValueError("The conditionals depend on the class: take model.given(label).")
        layers = [self.first, *self.layers]
        biases = [layer.biases(self.label) for layer in layers]

        def above() -> list[Tensor]:
            v, told = planes, []
            for layer, (b, _) in zip(layers, biases, strict=True):
                v = layer.vertical(v, cache)
                told.append(layer.link(v))
                v = layer.gate(v + b)
            return told

        told = above() if cache is None else cache.once_a_row(self, above)
        h = planes
        for layer, (_, c), t in zip(layers, biases, told, strict=True):
            step = layer.back(layer.gate(layer.horizontal(h, cache) + t + c), cache)
            h = step if h is planes else h + step
        return self.last(h, cache)

    def log_prob(self, x: Tensor) -> Tensor:
        """log p(x | y) in nats, ``[batch]``; without a class log (1/K) Σ_y p(x | y)."""
        if self._labelled():
            return super().log_prob(x)
        each = torch.stack([self.given(y).log_prob(x) for y in range(self.classes)])
        return each.logsumexp(0) - math.log(self.classes)

    def sample(self, n: int, *, generator: Generator | None = None) -> Tensor:
        """n draws, int64 ``[n, *event]``; where no class is given, one is drawn for each."""
        if self._labelled():
            return super().sample(n, generator=generator)
        device = self.order.device
        y = torch.randint(self.classes, (sample_size(n),), generator=generator, device=device)
        return self.given(y).sample(n, generator=generator)

    def _labelled(self) -> bool:
        return not self.classes or self.label is not None
