"""A law as a product of conditionals, each a function of what stands before it in an ordering.

To evaluate it one pass is enough, since all of x is there. To draw takes a pass an entry: the
next conditional asks for the value that has just been drawn.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Generator, Tensor, nn

from genlab.autoregressive.orderings import ordering
from genlab.em.kmeans import count
from genlab.flows.dequantise import check_levels
from genlab.models import sample_size

__all__ = ["Autoregressive", "drawn", "log_conditional", "nll"]


class Autoregressive(nn.Module, ABC):
    """What every autoregressive model of whole numbers is; a subclass writes :meth:`forward`.

    .. math:: \\log p(x) = \\sum_{t=1}^n \\log p(x_{o(t)} \\mid x_{o(1)}, \\dots, x_{o(t-1)})

    Args:
        event: shape of x, with n entries.
        levels: how many values an entry can have, 0 to levels − 1.
        order: o, a permutation of 0, …, n − 1 of the flattened entries; by default as they stand.

    Raises:
        ValueError: no entries or levels, or an order that is no permutation; data of another
            shape, or that are not whole numbers from 0 to levels − 1.

    Source: Frey 1998, Graphical models for machine learning and digital communication, MIT Press;
        Bengio and Bengio 2000, NIPS 12, 400.
    """

    def __init__(
        self, event: Sequence[int], levels: int = 2, order: Sequence[int] | Tensor | None = None
    ) -> None:
        super().__init__()
        self.event = tuple(count(size, "a size of the event") for size in event)
        self.levels = count(levels, "levels")
        self.register_buffer("order", ordering(order, math.prod(self.event)))

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """All conditionals of x ``[batch, *event]`` in one pass, each from the entries before it.

        Returns:
            logits ``[batch, *event, levels]``; or of 1 against 0 alone, ``[batch, *event]``.
        """

    def log_conditionals(self, x: Tensor) -> Tensor:
        """The log-probability of each entry given those before it, ``[batch, *event]``."""
        x = self.whole_numbers(x)
        return log_conditional(self(x), x)

    def log_prob(self, x: Tensor) -> Tensor:
        """log p(x) in nats, ``[batch]``, by one pass."""
        return self.log_conditionals(x).flatten(1).sum(1)

    def sample(self, n: int, *, generator: Generator | None = None) -> Tensor:
        """n draws, int64 ``[n, *event]``, by as many passes as x has entries."""
        return self.from_uniforms(self._uniforms(sample_size(n), generator))

    def complete(self, x: Tensor, known: int, *, generator: Generator | None = None) -> Tensor:
        """Keep the first ``known`` entries in the model's ordering, draw the others given them.

        Exact: the draws follow p(others | known). What x holds at the others is not looked at.

        Args:
            x: ``[batch, *event]``, one draw for each row.
            known: 0 to n.

        Raises:
            ValueError: data as in ``log_prob``, or a number of known entries outside 0 to n.
        """
        if not isinstance(known, int) or not 0 <= known <= len(self.order):
            raise ValueError(
                f"Expected 0 to {len(self.order)} known entries, got {known!r}. They are counted "
                "in the model's ordering."
            )
        x = self.whole_numbers(x)
        return self.from_uniforms(self._uniforms(len(x), generator), x, known)

    @torch.no_grad()
    def from_uniforms(self, u: Tensor, x: Tensor | None = None, known: int = 0) -> Tensor:
        """The draw that these uniforms decide: entry i is the quantile u_i of its conditional.

        Args:
            u: numbers in [0, 1), ``[batch, *event]``.
            x, known: as in :meth:`complete`.

        Returns:
            int64 ``[batch, *event]``.
        """
        x = torch.zeros_like(u) if x is None else x.to(u, copy=True).contiguous()
        entries, u = x.flatten(1), u.flatten(1)  # the first is a view: x changes with it
        for i in self.order[known:].tolist():
            now = self(x).flatten(1, len(self.event))[:, i]
            entries[:, i] = drawn(now, u[:, i]).to(x.dtype)
        return x.long()

    def whole_numbers(self, x: Tensor) -> Tensor:
        """x in the dtype of the weights, or a sentence that says what is wrong with it."""
        x, dtype = torch.as_tensor(x), self._dtype()
        shaped = tuple(x.shape[1:]) == self.event and x.ndim and x.numel()
        if shaped and not x.is_complex() and _are_levels(x, self.levels):
            return x.to(dtype)
        return check_levels(x, self.levels, self.event).to(dtype)

    def _uniforms(self, n: int, generator: Generator | None) -> Tensor:
        shape, device = (n, *self.event), self.order.device
        return torch.rand(shape, generator=generator, dtype=self._dtype(), device=device)

    def _dtype(self) -> torch.dtype:
        weight = next(self.parameters(), None)
        return torch.float64 if weight is None else weight.dtype


def _are_levels(x: Tensor, levels: int) -> bool:
    """Whether x is whole numbers 0 to levels − 1: quick, as this runs at every step of a fit."""
    if levels == 2 and x.is_floating_point():
        return (x - x * x).abs().sum().item() == 0  # 0 and 1 are their own squares, NaN is not
    low, high = x.aminmax()
    whole = not x.is_floating_point() or torch.equal(x.round(), x)
    return bool(whole and low >= 0 and high < levels)


def log_conditional(logits: Tensor, x: Tensor) -> Tensor:
    """log p(x_i) of each entry: by a softmax over its logits, or of 1 against 0 by a sigmoid.

    Args:
        logits: ``[*shape, levels]`` or ``[*shape]``.
        x: whole numbers ``[*shape]``, of the logits' dtype.

    Example:
        >>> log_conditional(torch.tensor([0.0, math.log(3)]), torch.ones(2)).exp()
        tensor([0.5000, 0.7500])
        >>> log_conditional(torch.tensor([[0.0, 0.0, math.log(2)]]), torch.tensor([2.0])).exp()
        tensor([0.5000])
    """
    if logits.ndim == x.ndim:
        return nn.functional.logsigmoid(logits * (2 * x - 1))
    return logits.log_softmax(-1).gather(-1, x.long()[..., None])[..., 0]


def drawn(logits: Tensor, u: Tensor) -> Tensor:
    """The quantile u of each conditional: how many of its values the mass up to u has passed.

    Args:
        logits: ``[*shape, levels]`` or ``[*shape]``, as in :func:`log_conditional`.
        u: numbers in [0, 1), ``[*shape]``.

    Returns:
        int64 ``[*shape]``.

    Example: 0 has half of the mass, 1 and 2 a quarter each.
        >>> logits = torch.tensor([2.0, 1.0, 1.0]).log().expand(3, 3)
        >>> drawn(logits, torch.tensor([0.4, 0.6, 0.9]))
        tensor([0, 1, 2])
    """
    if logits.ndim == u.ndim:
        return (u >= torch.sigmoid(-logits)).long()
    below = logits.softmax(-1).cumsum(-1)[..., :-1]
    return (u[..., None] >= below).sum(-1)


def nll(model: nn.Module, x: Tensor, generator: Generator | None = None) -> Tensor:
    """−log p(x) of whole numbers, ``[batch]``: what :func:`genlab.train.fit` minimises.

    Example: two entries that are always equal.
        >>> from genlab.autoregressive import FVBN
        >>> from genlab.train import fit
        >>> rng = torch.Generator().manual_seed(0)
        >>> model = FVBN(2, generator=rng)
        >>> x = torch.tensor([[0.0, 0.0], [1.0, 1.0]])
        >>> _ = fit(model, nll, x, steps=200, lr=0.3, generator=rng, progress=False)
        >>> round(nll(model, x).mean().item(), 1), round(math.log(2), 1)
        (0.7, 0.7)
    """
    return -model.log_prob(x)
