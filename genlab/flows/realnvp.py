"""RealNVP: affine couplings that take turns, on vectors and, with masks and scales, on images."""

from collections.abc import Sequence

from torch import Generator

from genlab.em.kmeans import count
from genlab.flows.couplings import AffineCoupling, Coupling, Turns, in_turn, zero_last
from genlab.flows.flow import Flow, StandardNormal
from genlab.flows.images import at_scales, conv_net
from genlab.flows.transforms import Permutation, Transform
from genlab.models import catalogued
from genlab.nets import MLP

__all__ = ["ImageRealNVP", "RealNVP"]


@catalogued(chapter="flows", source="Dinh, Sohl-Dickstein and Bengio 2017")
class RealNVP(Flow):
    """Real-valued non-volume-preserving flow, of vectors.

    Affine couplings take turns in which half passes through. It starts as the identity. However
    many they are, together they scale no entry by more than e^±4: deep flows do not overflow, and
    data of another size are standardised first, for instance by an :class:`ActNorm`.

    Args:
        d: length of x, 2 or more.
        couplings: their number.
        hidden: widths of each coupling's perceptron.
        generator: source of the first weights.

    Source: Dinh, Sohl-Dickstein and Bengio 2017, arXiv:1605.08803.

    Example:
        >>> import torch
        >>> model = RealNVP(2, hidden=(8,), generator=torch.Generator().manual_seed(0))
        >>> model.log_prob(torch.zeros(1, 2))
        tensor([-1.8379], grad_fn=<AddBackward0>)
    """

    def __init__(
        self,
        d: int,
        couplings: int = 8,
        hidden: Sequence[int] = (64, 64),
        *,
        generator: Generator | None = None,
    ) -> None:
        layers: list[Coupling] = []
        for kept, moved, first in in_turn(d, couplings):
            net = zero_last(MLP(kept, 2 * moved, hidden, generator=generator))
            # An entry moves in every second coupling, half of them rounded up.
            bound = 4 / ((couplings + 1) // 2)
            layers.append(AffineCoupling((d,), net, first=first, bound=bound))
        super().__init__(StandardNormal((d,)), Turns(*layers))


@catalogued(chapter="flows", source="Dinh, Sohl-Dickstein and Bengio 2017")
class ImageRealNVP(Flow):
    """RealNVP of images: checkerboard masks, channel masks, several scales.

    At each scale a squeeze, ``couplings`` couplings with the checkerboard mask, as many with the
    channel mask (even rows against odd rows), and half of the channels goes to the base. The paper
    masks at full size, has residual networks and batch normalisation; here the partition is the
    same, and the networks see the squeezed image.

    Args:
        event: (c, h, w), with h and w divisible by 2^scales.
        scales: 1 or more.
        couplings: with each mask, at each scale.
        width: channels of the networks.
        generator: source of the first weights.

    Source: Dinh, Sohl-Dickstein and Bengio 2017, arXiv:1605.08803, sections 3.4-3.6.

    Example:
        >>> import torch
        >>> model = ImageRealNVP((1, 8, 8), generator=torch.Generator().manual_seed(0))
        >>> model.sample(2, generator=torch.Generator().manual_seed(0)).shape
        torch.Size([2, 1, 8, 8])
    """

    def __init__(
        self,
        event: Sequence[int],
        scales: int = 2,
        couplings: int = 3,
        width: int = 32,
        *,
        generator: Generator | None = None,
    ) -> None:
        count(couplings, "couplings")

        def turns(shape: tuple[int, ...]) -> list[Transform]:
            half = shape[0] // 2
            nets = (conv_net(half, 2 * half, width, generator=generator) for _ in range(couplings))
            return [
                AffineCoupling(shape, zero_last(net), first=i % 2 == 0)
                for i, net in enumerate(nets)
            ]

        def layers(shape: tuple[int, ...]) -> list[Transform]:
            # ◩ top left, bottom right | top right, bottom left: from colours to rows
            quarter, *rest = shape[0] // 4, *shape[1:]
            rows = [j * quarter + i for j in (0, 2, 1, 3) for i in range(quarter)]
            return [*turns(shape), Permutation(rows, rest), *turns(shape)]

        transform = at_scales(event, scales, layers)
        super().__init__(StandardNormal(transform.latent), transform)
