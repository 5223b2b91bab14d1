"""In which order the entries come: any will do, and each makes another model.

The product rule holds in every ordering, a network with fewer parameters than states does not
care for all of them alike. A network that was trained in many can be asked in each: what is known
comes first, and the rest is drawn given it. The mean over orderings is a model too.
"""

import math
from collections.abc import Sequence

import torch
from torch import Generator, Tensor, nn

from genlab.models import catalogued, sample_size

__all__ = ["OrderMixture", "any_order", "known_first", "ordering"]


def ordering(order: Sequence[int] | Tensor | None, n: int) -> Tensor:
    """The order as a tensor ``[n]``, checked; None is the order in which the entries stand.

    Raises:
        ValueError: no permutation of 0, …, n − 1.

    Example:
        >>> ordering([2, 0, 1], 3)
        tensor([2, 0, 1])
        >>> ordering([0, 0, 1], 3)
        Traceback (most recent call last):
        ...
        ValueError: Expected an order with each of 0 to 2 once, got [0, 0, 1].
    """
    if order is None:
        return torch.arange(n)
    listed = torch.as_tensor(order).tolist()
    if not isinstance(listed, list) or sorted(listed) != list(range(n)):
        shown = str(listed) if n <= 20 else f"{len(listed)} entries, not each once"
        raise ValueError(f"Expected an order with each of 0 to {n - 1} once, got {shown}.")
    return torch.as_tensor(order).long()


def known_first(known: Tensor) -> Tensor:
    """The ordering in which what is known comes first, else as the entries stand, ``[n]``.

    With it a network for every ordering completes an x of which any part is given.

    Args:
        known: bool ``[*event]``.

    Example:
        >>> known_first(torch.tensor([False, True, False, True]))
        tensor([1, 3, 0, 2])
    """
    return (~known.flatten()).long().argsort(stable=True)


def any_order(model: nn.Module, x: Tensor, generator: Generator | None = None) -> Tensor:
    """−log p(x) in an ordering drawn for this batch, ``[batch]``: trains one network for all.

    Its mean over orderings is an upper bound on −log of the mixture over all n! orderings.

    Args:
        model: it has ``in_order(order)``, as :class:`MADE`.
        x: ``[batch, *event]``.
        generator: source of the ordering.

    Source: Uria, Murray and Larochelle 2014, arXiv:1310.1757; Germain et al. 2015,
        arXiv:1502.03509, section 4.

    Example:
        >>> from genlab.autoregressive import MADE
        >>> rng = torch.Generator().manual_seed(0)
        >>> any_order(MADE(3, (8,), generator=rng), torch.zeros(2, 3), rng).shape
        torch.Size([2])
    """
    device = "cpu" if generator is None else generator.device
    order = torch.randperm(len(model.order), generator=generator, device=device)
    return -model.in_order(order).log_prob(x)


@catalogued(chapter="autoregressive", source="Uria, Murray and Larochelle 2014")
class OrderMixture(nn.Module):
    """The mean of the laws that one network gives in several orderings.

    .. math:: p(x) = \\frac1K \\sum_{k=1}^K p(x \\mid o_k), \\qquad
              \\log p(x) \\ge \\frac1K \\sum_{k=1}^K \\log p(x \\mid o_k)

    Probabilities of whole x are averaged. The mean of logits, entry by entry, belongs to no law of
    x: it lets an entry see later ones, and the numbers that come out are too good.

    Args:
        model: it has ``in_order(order)``, as :class:`MADE`.
        orders: one or more permutations.

    Raises:
        ValueError: no orders, or one that is no permutation.

    Source: Uria, Murray and Larochelle 2014, arXiv:1310.1757.

    Example:
        >>> from genlab.autoregressive import MADE
        >>> made = MADE(2, (8,), generator=torch.Generator().manual_seed(0))
        >>> model = OrderMixture(made, [[0, 1], [1, 0]])
        >>> states = torch.cartesian_prod(torch.arange(2), torch.arange(2))
        >>> round(model.log_prob(states).exp().sum().item(), 4)
        1.0
    """

    def __init__(self, model: nn.Module, orders: Sequence[Sequence[int] | Tensor]) -> None:
        super().__init__()
        if len(orders) == 0:
            raise ValueError("Expected one ordering or more, got none.")
        self.parts = nn.ModuleList(model.in_order(order) for order in orders)
        self.event = model.event

    def log_prob(self, x: Tensor) -> Tensor:
        """log p(x) in nats, ``[batch]``, by one pass an ordering."""
        each = torch.stack([part.log_prob(x) for part in self.parts])
        return each.logsumexp(0) - math.log(len(self.parts))

    def sample(self, n: int, *, generator: Generator | None = None) -> Tensor:
        """An ordering for each draw, then the draw in it; int64 ``[n, *event]``."""
        device = self.parts[0].order.device
        size = (sample_size(n),)
        k = torch.randint(len(self.parts), size, generator=generator, device=device)
        x = torch.zeros((n, *self.event), dtype=torch.long, device=device)
        for j, part in enumerate(self.parts):
            x[k == j] = part.sample(int((k == j).sum()), generator=generator)
        return x
