"""NICE: couplings that add, and one layer that scales."""

from collections.abc import Sequence

from torch import Generator

from genlab.flows.couplings import AdditiveCoupling, in_turn
from genlab.flows.flow import Flow, StandardNormal
from genlab.flows.transforms import Compose, Scaling, Transform
from genlab.models import catalogued
from genlab.nets import MLP

__all__ = ["NICE"]


@catalogued(chapter="flows", source="Dinh, Krueger and Bengio 2014")
class NICE(Flow):
    """Nonlinear independent components estimation, of vectors.

    Additive couplings take turns in which half passes through; a diagonal scaling ends the way to
    the base. Without it volume is kept, and so are the entropy and the largest value of the
    density: N(0, I) can become no N(0, 4I). Three couplings at least let every entry depend on
    every other. The paper's base on images is logistic; here it is N(0, I).

    Args:
        d: length of x, 2 or more.
        couplings: their number.
        hidden: widths of each coupling's perceptron.
        scaling: whether the scaling is there.
        generator: source of the first weights.

    Source: Dinh, Krueger and Bengio 2014, arXiv:1410.8516.

    Example:
        >>> import torch
        >>> model = NICE(2, hidden=(8,), generator=torch.Generator().manual_seed(0))
        >>> model.sample(3, generator=torch.Generator().manual_seed(1)).shape
        torch.Size([3, 2])
    """

    def __init__(
        self,
        d: int,
        couplings: int = 4,
        hidden: Sequence[int] = (64, 64),
        *,
        scaling: bool = True,
        generator: Generator | None = None,
    ) -> None:
        layers: list[Transform] = []
        for kept, moved, first in in_turn(d, couplings):
            net = MLP(kept, moved, hidden, generator=generator)
            layers.append(AdditiveCoupling((d,), net, first=first))
        if scaling:
            layers.append(Scaling((d,)))
        super().__init__(StandardNormal((d,)), Compose(*layers))
