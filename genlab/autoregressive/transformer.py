"""A causal transformer: what came after. Every symbol looks at all before it, in one step."""

import torch
from torch import Generator, Tensor, nn

from genlab.autoregressive.sequence import SequenceModel
from genlab.em.kmeans import count
from genlab.models import catalogued
from genlab.nets import weights_from

__all__ = ["CausalTransformer"]

_KeysValues = tuple[Tensor, Tensor]
_State = tuple[int, list[_KeysValues | None]]


class _Block(nn.Module):
    """Attention to the present and the past, then a perceptron at each time; both are added."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.attended, self.thought = nn.LayerNorm(width), nn.LayerNorm(width)
        self.queries_keys_values = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.net = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )

    def forward(self, h: Tensor, past: _KeysValues | None = None) -> tuple[Tensor, _KeysValues]:
        """h ``[n, T, width]``, and the keys and values ``[n, heads, time, width / heads]``."""
        parts = self.queries_keys_values(self.attended(h)).chunk(3, -1)
        q, k, v = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in parts)
        if past is not None:  # h is one time, later than all of the past: nothing to hide
            k, v = torch.cat([past[0], k], 2), torch.cat([past[1], v], 2)
        seen = nn.functional.scaled_dot_product_attention(q, k, v, is_causal=past is None)
        h = h + self.out(seen.transpose(1, 2).flatten(2))
        return h + self.net(self.thought(h)), (k, v)


@catalogued(chapter="autoregressive", source="Vaswani et al. 2017; Radford et al. 2018")
class CausalTransformer(SequenceModel):
    """Blocks of attention with the mask of the product rule, over symbols and their places.

    .. math:: a_t = \\sum_{s \\le t} \\operatorname{softmax}_s
              \\left(\\frac{q_t \\cdot k_s}{\\sqrt{d}}\\right) v_s

    All times are computed at once in training, as in a convolution; news travels any distance in
    one step, and how far is learnt, at a cost of T². In sampling the keys and values of the past
    are kept, so that a new symbol costs T, not T².

    Args:
        symbols: K.
        length: of a sequence; there are as many places, and none beyond.
        width: of embeddings and blocks, a multiple of heads.
        layers: blocks.
        heads: of attention in a block.
        generator: source of the first weights.

    Raises:
        ValueError: as :class:`SequenceModel`; a width that the heads do not divide; sequences
            longer than ``length``.

    Source: Vaswani et al. 2017, arXiv:1706.03762, section 3; as a density: Radford et al. 2018,
        Improving language understanding by generative pre-training, eq. 1-2; the norm in front:
        Xiong et al. 2020, arXiv:2002.04745.

    Example:
        >>> rng = torch.Generator().manual_seed(0)
        >>> model = CausalTransformer(5, 4, width=8, layers=1, heads=2, generator=rng)
        >>> model.continued(torch.tensor([[0, 1]]), 2, generator=rng).shape
        torch.Size([1, 4])
    """

    def __init__(
        self,
        symbols: int,
        length: int,
        width: int = 64,
        layers: int = 2,
        heads: int = 4,
        *,
        generator: Generator | None = None,
    ) -> None:
        super().__init__(symbols, length, width, generator)
        if width % count(heads, "heads"):
            raise ValueError(
                f"Expected a width that {heads} heads divide, got {width}. "
                f"The next one is {width + heads - width % heads}."
            )
        with weights_from(generator):
            self.places = nn.Embedding(length, width)
            self.blocks = nn.ModuleList(
                _Block(width, heads) for _ in range(count(layers, "layers"))
            )
            self.head = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, symbols))
            for table in (self.embedding, self.places):  # small beside what the blocks will add
                nn.init.normal_(table.weight, std=0.02)

    def network(self, h: Tensor) -> Tensor:
        self._check(h.shape[1])
        h = h + self.places.weight[: h.shape[1]]
        for block in self.blocks:
            h, _ = block(h)
        return self.head(h)

    def start(self, n: int) -> _State:
        """The time, and for each block the keys and values of the past: none yet."""
        return 0, [None] * len(self.blocks)

    def step(self, h: Tensor, state: _State) -> tuple[Tensor, _State]:
        t, past = state
        self._check(t + 1)
        h, kept = (h + self.places.weight[t])[:, None], []
        for block, before in zip(self.blocks, past, strict=True):
            h, keys_values = block(h, before)
            kept.append(keys_values)
        return self.head(h[:, 0]), (t + 1, kept)

    def _check(self, length: int) -> None:
        if length > self.event[0]:
            raise ValueError(
                f"Expected at most {self.event[0]} symbols, which have places, got {length}. "
                "Give the last of them, or build the model for a greater length."
            )
