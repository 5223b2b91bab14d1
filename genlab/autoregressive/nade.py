"""NADE: hidden units for each conditional, with weights that all conditionals share."""

from collections.abc import Sequence

import torch
from torch import Generator, Tensor, nn

from genlab.autoregressive.model import Autoregressive, drawn
from genlab.em.kmeans import count
from genlab.models import catalogued
from genlab.nets import weights_from

__all__ = ["NADE"]


@catalogued(chapter="autoregressive", source="Larochelle and Murray 2011")
class NADE(Autoregressive):
    """Neural autoregressive distribution estimator of n binary entries.

    .. math:: h_t = \\sigma\\Big(c + \\sum_{s<t} W_s x_{o(s)}\\Big), \\qquad
              p(x_{o(t)} = 1 \\mid x_{o(<t)}) = \\sigma(b_t + V_t \\cdot h_t)

    From one entry to the next one column of W is added: all n activations cost O(nH), where the
    formula, entry by entry, reads as O(n²H). It has 2nH + n + H parameters. Here a block of
    entries is taken at once, with what stands before it in the running sum.

    Args:
        n: entries.
        hidden: H.
        order: o; by default the entries as they stand.
        generator: source of the first weights.

    Raises:
        ValueError: sizes below 1, or an ordering that is no permutation.

    Source: Larochelle and Murray 2011, AISTATS, PMLR 15, 29, algorithm 1.

    Example:
        >>> model = NADE(3, hidden=4, generator=torch.Generator().manual_seed(0))
        >>> model.log_prob(torch.tensor([[0, 1, 1]])).shape
        torch.Size([1])
    """

    def __init__(
        self,
        n: int,
        hidden: int = 64,
        *,
        order: Sequence[int] | Tensor | None = None,
        generator: Generator | None = None,
    ) -> None:
        super().__init__((n,), 2, order)
        with weights_from(generator):
            into, out = nn.Linear(n, count(hidden, "hidden")), nn.Linear(hidden, n)
        self.W, self.c = nn.Parameter(into.weight.detach().T.contiguous()), into.bias
        self.V, self.b = out.weight, out.bias  # W and V: a row for each place in o, [n, H]

    def forward(self, x: Tensor) -> Tensor:
        x = x[:, self.order]
        # Entries in blocks, small enough that the activations of a block stay in the cache.
        block = min(32, max(4, 2**16 // max(1, len(x) * len(self.c))))
        before = x.new_ones(block, block).tril(-1)
        a, logits = self.c, []  # a: the activations at the first entry of a block
        blocks = x.split(block, 1), self.W.split(block), self.V.split(block)
        for xs, Ws, Vs in zip(*blocks, strict=True):
            inside = (xs[:, None] * before[: len(Ws), : len(Ws)]) @ Ws
            h = (a[..., None, :] + inside).sigmoid()  # [batch, block, H]
            logits.append((h * Vs).sum(-1))
            a = a + xs @ Ws
        return (torch.cat(logits, 1) + self.b)[:, self.order.argsort()]

    @torch.no_grad()
    def from_uniforms(self, u: Tensor, x: Tensor | None = None, known: int = 0) -> Tensor:
        """As for every model, in O(nH) instead of a pass an entry."""
        x = torch.zeros_like(u) if x is None else x.to(u, copy=True)
        a = self.c.expand(len(u), -1)
        for t, i in enumerate(self.order.tolist()):
            if t >= known:
                x[:, i] = drawn(a.sigmoid() @ self.V[t] + self.b[t], u[:, i]).to(x.dtype)
            a = a + x[:, i, None] * self.W[t]
        return x.long()
