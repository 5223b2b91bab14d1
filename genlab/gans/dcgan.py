"""DCGAN: both players convolutional, without pooling; batch normalisation where it helps.

The rules of the paper: strides in place of pooling, batch normalisation in both nets but not at G's
output nor at D's input, ReLU in G and leaky ReLU in D, tanh at the end, weights from N(0, 0.02²).
"""

from collections.abc import Sequence

import torch
from torch import nn

from genlab.nets import weights_from

__all__ = ["dcgan_discriminator", "dcgan_generator"]


def dcgan_generator(
    latent: int,
    event: Sequence[int],
    width: int = 64,
    *,
    generator: torch.Generator | None = None,
) -> nn.Sequential:
    """G from noise ``[n, latent]`` to images ``[n, c, h, w]`` with values in [−1, 1].

    A quarter of the image's side is made from z at once, then doubled twice: 8 × 8 as 2, 4, 8, and
    28 × 28 as 7, 14, 28.

    Args:
        latent: length of z, and of the label's code where there is one.
        event: (c, h, w), with h and w divisible by 4.
        width: channels before the last layer; twice as many before that.

    Raises:
        ValueError: another event.

    Source: Radford, Metz and Chintala 2016, arXiv:1511.06434.

    Example:
        >>> G = dcgan_generator(16, (1, 28, 28), width=8)
        >>> x = G(torch.zeros(2, 16))
        >>> x.shape, bool(x.abs().max() < 1)
        (torch.Size([2, 1, 28, 28]), True)
    """
    channels, h, w = _quartered(event)
    with weights_from(generator):
        net = nn.Sequential(
            nn.Unflatten(1, (latent, 1, 1)),
            nn.ConvTranspose2d(latent, 2 * width, (h, w), bias=False),
            nn.BatchNorm2d(2 * width),
            nn.ReLU(),
            nn.ConvTranspose2d(2 * width, width, 4, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.ConvTranspose2d(width, channels, 4, stride=2, padding=1),
            nn.Tanh(),
        )
        return net.apply(_narrow)


def dcgan_discriminator(
    event: Sequence[int], width: int = 64, *, generator: torch.Generator | None = None
) -> nn.Sequential:
    """D from images ``[n, c, h, w]`` to a logit ``[n, 1]``: the generator's way back.

    Args, Raises, Source: as in :func:`dcgan_generator`.

    Example:
        >>> dcgan_discriminator((1, 8, 8), width=8)(torch.zeros(2, 1, 8, 8)).shape
        torch.Size([2, 1])
    """
    channels, h, w = _quartered(event)
    with weights_from(generator):
        net = nn.Sequential(
            nn.Conv2d(channels, width, 4, stride=2, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(width, 2 * width, 4, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(2 * width),
            nn.LeakyReLU(0.2),
            nn.Conv2d(2 * width, 1, (h, w)),
            nn.Flatten(),
        )
        return net.apply(_narrow)


def _quartered(event: Sequence[int]) -> tuple[int, int, int]:
    if len(event) != 3 or event[1] % 4 or event[2] % 4 or min(event) < 1:
        raise ValueError(
            f"Expected images (c, h, w) with h and w divisible by 4, got {tuple(event)}."
        )
    return event[0], event[1] // 4, event[2] // 4


def _narrow(layer: nn.Module) -> None:
    """The paper's start, by torch's global generator, for which weights_from stands in."""
    if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(layer.weight, 0.0, 0.02)
    elif isinstance(layer, nn.BatchNorm2d):
        nn.init.normal_(layer.weight, 1.0, 0.02)
