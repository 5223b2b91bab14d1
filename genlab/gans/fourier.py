"""Sharper eyes for a discriminator of the plane: waves beside the coordinates.

A net learns what varies slowly long before what varies fast. Modes that are narrow beside their
distance are fast, and a D that cannot see a shift of three standard deviations pulls nothing back.
"""

import math

import torch
from torch import Tensor, nn

from genlab.em.kmeans import count

__all__ = ["FourierFeatures"]


class FourierFeatures(nn.Module):
    """(x, α sin 2ʲπx, α cos 2ʲπx) for j = 0, …, k − 1: ``[n, d]`` becomes ``[n, d + 2kd]``.

    Two points that are s apart in one coordinate, s small, are √(1 + α²π²(4ᵏ − 1)/3) s apart here.
    At α = 0 a net sees x alone: start there, and fade the waves in when x has been learnt.

    Args:
        octaves: k. Points of [−1, 1] keep features of their own, however many there are.

    Attributes:
        alpha: α, 0 at first; part of the state, so that a checkpoint keeps it.

    Raises:
        ValueError: octaves below 1.

    Source: Tancik et al. 2020, arXiv:2006.10739 (why a net needs them); Mildenhall et al. 2020,
        arXiv:2003.08934, eq. 4 (octaves).

    Example:
        >>> look = FourierFeatures(octaves=1)
        >>> look.alpha.fill_(0.5)
        tensor(0.5000)
        >>> look(torch.tensor([[0.5]]))
        tensor([[ 5.0000e-01,  5.0000e-01, -2.1856e-08]])
    """

    def __init__(self, octaves: int) -> None:
        super().__init__()
        self.register_buffer(
            "frequencies", math.pi * 2.0 ** torch.arange(count(octaves, "octaves"))
        )
        self.register_buffer("alpha", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        angles = (x[:, None] * self.frequencies[:, None]).flatten(1)
        return torch.cat([x, self.alpha * angles.sin(), self.alpha * angles.cos()], 1)
