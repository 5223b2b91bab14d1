"""WaveNet: causal convolutions whose taps lie 1, 2, 4, … steps apart.

L layers reach back 2^L steps, where L ordinary ones with two taps reach back L + 1.
"""

from collections import deque

import torch
from torch import Generator, Tensor, nn

from genlab.autoregressive.sequence import SequenceModel
from genlab.em.kmeans import count
from genlab.models import catalogued
from genlab.nets import weights_from

__all__ = ["WaveNet"]


class _GatedLayer(nn.Module):
    """Two taps, now and ``dilation`` steps before, a gated unit, and ways past it.

    u = tanh(A [past, now] + a) · σ(B [past, now] + b); it returns now + C u and D u.
    """

    def __init__(self, width: int, dilation: int) -> None:
        super().__init__()
        self.dilation = dilation
        self.taps = nn.Linear(2 * width, 2 * width)
        self.out = nn.Linear(width, 2 * width)

    def forward(self, now: Tensor, past: Tensor) -> tuple[Tensor, Tensor]:
        signal, gate = self.taps(torch.cat([past, now], -1)).chunk(2, -1)
        residual, skip = self.out(signal.tanh() * gate.sigmoid()).chunk(2, -1)
        return now + residual, skip


@catalogued(chapter="autoregressive", source="van den Oord et al. 2016")
class WaveNet(SequenceModel):
    """A stack of dilated causal convolutions with gated units, over symbols.

    Layer l = 0 … L − 1 has its taps 2^l steps apart, so the logits at t depend on the 2^L symbols
    x_{t−2^L} … x_{t−1} and on no others. All times are computed at once in training. A symbol of a
    sample needs one step of each layer, if every layer keeps the 2^l inputs that it will need again
    in a queue; without, 2^L times that.

    Args:
        symbols: K.
        length: of a sequence, at least the receptive field.
        layers: L in one cycle.
        cycles: the dilations 1, 2, …, 2^{L−1} are gone through as often; the receptive field is
            cycles · (2^L − 1) + 1.
        width: of embeddings and layers.
        generator: source of the first weights.

    Attributes:
        receptive_field: how many symbols the logits at t can depend on.

    Raises:
        ValueError: as :class:`SequenceModel`, or a length below the receptive field.

    Source: van den Oord et al. 2016, arXiv:1609.03499, sections 2.1-2.4; the queues: Le Paine et
        al. 2016, arXiv:1611.09482.

    Example:
        >>> model = WaveNet(2, 8, layers=3, generator=torch.Generator().manual_seed(0))
        >>> model.receptive_field, [layer.dilation for layer in model.layers]
        (8, [1, 2, 4])
    """

    def __init__(
        self,
        symbols: int,
        length: int,
        layers: int = 5,
        cycles: int = 1,
        width: int = 32,
        *,
        generator: Generator | None = None,
    ) -> None:
        super().__init__(symbols, length, width, generator)
        dilations = [2**i for i in range(count(layers, "layers"))] * count(cycles, "cycles")
        self.receptive_field = 1 + sum(dilations)
        if length < self.receptive_field:
            raise ValueError(
                f"A sequence has {length} symbols, fewer than the receptive field of "
                f"{self.receptive_field}: the farthest taps would see nothing but padding. Use "
                "longer sequences, or fewer layers."
            )
        with weights_from(generator):
            self.layers = nn.ModuleList(_GatedLayer(width, dilation) for dilation in dilations)
            self.head = nn.Sequential(
                nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, symbols)
            )

    def network(self, h: Tensor) -> Tensor:
        total = torch.zeros_like(h)
        for layer in self.layers:
            past = nn.functional.pad(h, (0, 0, layer.dilation, 0))[:, : h.shape[1]]
            h, skip = layer(h, past)
            total = total + skip
        return self.head(total)

    def start(self, n: int) -> list[deque[Tensor]]:
        """For each layer a queue of the inputs that it needs again, zeros at first."""
        weight = self.embedding.weight
        nothing = weight.new_zeros(n, weight.shape[1])
        return [deque([nothing] * layer.dilation) for layer in self.layers]

    def step(self, h: Tensor, state: list[deque[Tensor]]) -> tuple[Tensor, list[deque[Tensor]]]:
        total = torch.zeros_like(h)
        for layer, queue in zip(self.layers, state, strict=True):
            queue.append(h)
            h, skip = layer(h, queue.popleft())
            total = total + skip
        return self.head(total), state
