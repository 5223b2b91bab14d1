"""What flows over images are built of: squeeze, split, and small convolutional networks.

Images are ``(channels, height, width)``. A squeeze trades place for channels, so that halves of
the channels are the masks of RealNVP; a split sends half of the channels to the base early.
"""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Generator, Tensor, nn

from genlab.em.kmeans import count
from genlab.flows.transforms import Compose, Pair, Transform
from genlab.nets import weights_from

__all__ = ["MultiScale", "Squeeze", "conv_net"]


class Squeeze(Transform):
    """Every square of 2 × 2 pixels becomes four channels: (c, h, w) to (4c, h/2, w/2).

    The order of the four is ◩: top left, bottom right, top right, bottom left. So the first half of
    the channels is one colour of a checkerboard and the last half the other: a coupling behind a
    squeeze is the coupling with the checkerboard mask. log |det| = 0.

    Args:
        event: (c, h, w), h and w even.

    Raises:
        ValueError: no image, or an odd height or width.

    Source: Dinh, Sohl-Dickstein and Bengio 2017, arXiv:1605.08803, section 3.4.

    Example:
        >>> Squeeze((1, 2, 2))(torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]]))[0].flatten()
        tensor([1., 4., 2., 3.])
    """

    def __init__(self, event: Sequence[int]) -> None:
        if len(event) != 3 or event[1] % 2 or event[2] % 2:
            raise ValueError(
                "Expected images (channels, height, width) of even height and width, got "
                f"{tuple(event)}. Pad or crop them."
            )
        c, h, w = event
        super().__init__(event, (4 * c, h // 2, w // 2))

    def forward(self, x: Tensor) -> Pair:
        _, h, w = self.latent
        x = self.data(x).unflatten(3, (w, 2)).unflatten(2, (h, 2))  # [n, c, h, 2, w, 2]
        x = x.permute(0, 3, 5, 1, 2, 4).flatten(1, 2)[:, [0, 3, 1, 2]]  # [n, 4, c, h, w]
        return x.flatten(1, 2), x.new_zeros(len(x))

    def inverse(self, z: Tensor) -> Pair:
        z = self.base(z).unflatten(1, (4, self.event[0]))[:, [0, 2, 3, 1]].unflatten(1, (2, 2))
        x = z.permute(0, 3, 4, 1, 5, 2)  # [n, c, h, 2, w, 2]
        return x.flatten(4, 5).flatten(2, 3), z.new_zeros(len(z))


class MultiScale(Transform):
    """Stages, after each of which half of the channels goes to the base and half goes on.

    z is a vector: the halves in the order in which they left, then what the last stage gave.

    Args:
        stages: one or more transforms of images; each takes half of the channels that the one
            before gives.

    Raises:
        ValueError: no stages, or shapes that do not match, as an odd number of channels to halve.

    Source: Dinh, Sohl-Dickstein and Bengio 2017, arXiv:1605.08803, section 3.6.

    Example:
        >>> two = MultiScale(Squeeze((1, 4, 4)), Squeeze((2, 2, 2)))
        >>> two(torch.arange(16.0).reshape(1, 1, 4, 4))[0][0, :8]
        tensor([ 1.,  3.,  9., 11.,  4.,  6., 12., 14.])
    """

    def __init__(self, *stages: Transform) -> None:
        if not stages:
            raise ValueError("Expected one stage or more, got none.")
        super().__init__(stages[0].event, (math.prod(stages[0].event),))
        for one, following in pairwise(stages):
            c, *rest = one.latent
            if c % 2 or (c // 2, *rest) != following.event:
                raise ValueError(
                    f"A stage gives {one.latent}, half of whose channels go on, and the next takes "
                    f"{following.event}. Halve an even number of channels."
                )
        self.stages = nn.ModuleList(stages)

    def forward(self, x: Tensor) -> Pair:
        x = self.data(x)
        left, total = [], x.new_zeros(len(x))
        for stage in self.stages:
            x, log_det = stage(x)
            total = total + log_det
            if stage is not self.stages[-1]:
                x, out = x.chunk(2, 1)
                left.append(out.flatten(1))
        return torch.cat([*left, x.flatten(1)], 1), total

    def inverse(self, z: Tensor) -> Pair:
        *left, x = self.base(z).split(self._sizes(), 1)
        total = z.new_zeros(len(z))
        x = x.unflatten(1, self.stages[-1].latent)
        for stage in reversed(self.stages):
            if stage is not self.stages[-1]:
                x = torch.cat([x, left.pop().reshape(x.shape)], 1)
            x, log_det = stage.inverse(x)
            total = total + log_det
        return x, total

    def _sizes(self) -> list[int]:
        sizes = [math.prod(stage.latent) for stage in self.stages]
        return [*(size // 2 for size in sizes[:-1]), sizes[-1]]


def at_scales(
    event: Sequence[int], scales: int, layers: Callable[[tuple[int, ...]], list[Transform]]
) -> MultiScale:
    """At each scale a squeeze and layers for the shape that it gives; then half of it goes on.

    Args:
        event: (c, h, w), with h and w divisible by 2^scales.
        scales: 1 or more.
        layers: from the shape after a squeeze to the transforms of that scale.
    """
    stages = []
    for _ in range(count(scales, "scales")):
        squeeze = Squeeze(event)
        stages.append(Compose(squeeze, *layers(squeeze.latent)))
        event = (squeeze.latent[0] // 2, *squeeze.latent[1:])
    return MultiScale(*stages)


def conv_net(
    n_in: int, n_out: int, width: int = 32, *, generator: Generator | None = None
) -> nn.Sequential:
    """Three convolutions, 3 × 3, 1 × 1 and 3 × 3, with ReLU between: the network of Glow.

    Args:
        n_in, n_out: channels, 1 or more.
        width: channels between.
        generator: source of the first weights.

    Raises:
        ValueError: a number of channels below 1.

    Source: Kingma and Dhariwal 2018, arXiv:1807.03039, section 4.

    Example:
        >>> conv_net(2, 4)(torch.zeros(1, 2, 8, 8)).shape
        torch.Size([1, 4, 8, 8])
    """
    n_in, n_out, width = count(n_in, "n_in"), count(n_out, "n_out"), count(width, "width")
    with weights_from(generator):
        return nn.Sequential(
            nn.Conv2d(n_in, width, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(width, width, 1),
            nn.ReLU(),
            nn.Conv2d(width, n_out, 3, padding=1),
        )
