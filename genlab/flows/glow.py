"""Glow: normalise, mix the channels, move half of them; again and again, at several scales."""

from collections.abc import Sequence

from torch import Generator

from genlab.em.kmeans import count
from genlab.flows.actnorm import ActNorm
from genlab.flows.convolution import LUConv
from genlab.flows.couplings import AffineCoupling, zero_last
from genlab.flows.flow import Flow, StandardNormal
from genlab.flows.images import at_scales, conv_net
from genlab.flows.transforms import Compose
from genlab.models import catalogued

__all__ = ["Glow", "glow_step"]


@catalogued(chapter="flows", source="Kingma and Dhariwal 2018")
class Glow(Flow):
    """Glow: at each scale a squeeze, steps of actnorm, 1 × 1 convolution and coupling, a split.

    Call ``data_dependent_start(model.transform, x)`` before training. The paper gives the halves
    that leave early a normal law that depends on those that go on; here it is N(0, I).

    Args:
        event: (c, h, w), with h and w divisible by 2^scales.
        scales: 1 or more.
        steps: at each scale.
        width: channels of the networks.
        generator: source of the first weights.

    Source: Kingma and Dhariwal 2018, arXiv:1807.03039.

    Example:
        >>> import torch
        >>> model = Glow((1, 8, 8), steps=2, generator=torch.Generator().manual_seed(0))
        >>> model.sample(2, generator=torch.Generator().manual_seed(0)).shape
        torch.Size([2, 1, 8, 8])
    """

    def __init__(
        self,
        event: Sequence[int],
        scales: int = 2,
        steps: int = 4,
        width: int = 32,
        *,
        generator: Generator | None = None,
    ) -> None:
        count(steps, "steps")
        transform = at_scales(
            event, scales, lambda shape: [glow_step(shape, width, generator) for _ in range(steps)]
        )
        super().__init__(StandardNormal(transform.latent), transform)


def glow_step(event: Sequence[int], width: int = 32, generator: Generator | None = None) -> Compose:
    """Actnorm, invertible 1 × 1 convolution, affine coupling, on (c, h, w) with c ≥ 2.

    Raises:
        ValueError: no image, or one channel only.

    Source: Kingma and Dhariwal 2018, figure 2a.
    """
    if len(event) != 3 or event[0] < 2:
        raise ValueError(
            f"Expected images (channels, height, width) of 2 or more channels, got {tuple(event)}. "
            "Squeeze first."
        )
    half = event[0] // 2
    net = zero_last(conv_net(half, 2 * (event[0] - half), width, generator=generator))
    return Compose(ActNorm(event), LUConv(event, generator=generator), AffineCoupling(event, net))
