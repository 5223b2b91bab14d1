"""Where a deep Boltzmann machine starts from: two restricted ones, learnt one after the other."""

from collections.abc import Callable

import torch
from torch import Generator, Tensor
from torch.nn.functional import softplus

from genlab.early.boltzmann import RBM
from genlab.early.dbm import DBM

__all__ = ["DoubledRBM", "layerwise"]


class DoubledRBM(RBM):
    """An RBM one side of which stands twice, with the same weights: a half of a deep machine.

    In a deep machine h hears x and t; alone with x it hears half of that. So each of the two
    machines from which it is made learns with its outer side doubled, and the law of h in the
    whole is the geometric mean of those in the parts: σ(xW + tV + (c + c′) / 2) from σ(2xW + c)
    and σ(2tV + c′). It is there to be trained by :func:`contrastive_divergence`; its Z, its law
    and its pseudo-likelihood are not those of an RBM with these weights.

    Args:
        visible, hidden: numbers of units.
        side: ``"visible"`` or ``"hidden"``, the one that stands twice.
        generator: source of the first weights.

    Raises:
        ValueError: another side, or no units.

    Source: Salakhutdinov and Hinton 2009, AISTATS, PMLR 5, 448, section 3.1.

    Example:
        >>> model = DoubledRBM(2, 1, "visible")
        >>> _ = torch.nn.init.ones_(model.W)
        >>> with torch.no_grad():
        ...     model.hidden(torch.ones(1, 2)).logit(), model.visible(torch.ones(1, 1)).logit()
        (tensor([[4.0000]]), tensor([[1., 1.]]))
    """

    def __init__(
        self, visible: int, hidden: int, side: str, *, generator: Generator | None = None
    ) -> None:
        super().__init__(visible, hidden, generator=generator)
        if side not in ("visible", "hidden"):
            raise ValueError(f"Expected the side 'visible' or 'hidden', got {side!r}.")
        self.copies = (2, 1) if side == "visible" else (1, 2)

    def energy(self, x: Tensor) -> Tensor:
        x, (n, m) = self.bits(x), self.copies
        return -n * (x @ self.b) - m * softplus(n * (x @ self.W) + self.c).sum(-1)

    def hidden(self, x: Tensor, temperature: float = 1.0) -> Tensor:
        return super().hidden(self.copies[0] * x, temperature)

    def visible(self, h: Tensor, temperature: float = 1.0) -> Tensor:
        return super().visible(self.copies[1] * h, temperature)


def layerwise(
    x: Tensor,
    hidden: int,
    top: int,
    train: Callable[[RBM, Tensor], object],
    *,
    generator: Generator | None = None,
) -> DBM:
    """A deep machine to start from, made of two machines that learn one after the other.

    The first learns x with x doubled; the second learns the first's codes with t doubled.

    Args:
        x: ``[n, visible]``, zeros and ones.
        hidden, top: numbers of units.
        train: ``train(machine, rows)`` trains a :class:`DoubledRBM` in place, by
            :func:`contrastive_divergence`.

    Raises:
        ValueError: a layer without units; data that are not zeros and ones.

    Source: Salakhutdinov and Hinton 2009, AISTATS, PMLR 5, 448, section 3.1.

    Example:
        >>> from genlab.early import contrastive_divergence
        >>> from genlab.train import fit
        >>> g = torch.Generator().manual_seed(0)
        >>> loss = lambda m, x, g: contrastive_divergence(m, x, generator=g)
        >>> train = lambda m, x: fit(m, loss, x, steps=20, generator=g, progress=False)
        >>> x = torch.bernoulli(torch.full((100, 6), 0.3), generator=g)
        >>> layerwise(x, 4, 3, train, generator=g).machine.W.shape
        torch.Size([9, 4])
    """
    first = DoubledRBM(x.shape[1], hidden, "visible", generator=generator)
    first = first.to(x.dtype) if x.is_floating_point() else first
    train(first, x)
    with torch.no_grad():
        codes = torch.bernoulli(first.hidden(first.bits(x)), generator=generator)
    second = DoubledRBM(hidden, top, "hidden", generator=generator).to(codes)
    train(second, codes)
    model = DBM(x.shape[1], hidden, top).to(codes)
    with torch.no_grad():
        model.machine.W.copy_(torch.cat([first.W, second.W.T]))
        model.machine.b.copy_(torch.cat([first.b, second.c]))
        model.machine.c.copy_((first.c + second.b) / 2)
    return model
