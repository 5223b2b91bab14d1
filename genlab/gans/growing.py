"""Progressive growing: learn small images, then double the side by layers that are faded in.

At α = 0 the larger networks are the smaller ones with a magnifying glass, exactly; at α = 1 the old
exit is gone. So nothing that was learnt is lost on the day when the new layers come.
"""

from collections.abc import Callable

import torch
from torch import Generator, Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate

from genlab.em.kmeans import count
from genlab.gans.equalised import MinibatchDeviation, PixelNorm, equalised
from genlab.models import query_points
from genlab.nets import weights_from

__all__ = ["GrowingDiscriminator", "GrowingGenerator", "fade", "fading"]


def fade(old: Tensor, new: Tensor, alpha: float | Tensor) -> Tensor:
    """(1 − α) old + α new: the old at α = 0 and the new at α = 1, to the bit.

    Source: Karras et al. 2018, arXiv:1710.10196, fig. 2.

    Example:
        >>> fade(torch.tensor([1.0]), torch.tensor([3.0]), 0.25)
        tensor([1.5000])
    """
    return (1 - alpha) * old + alpha * new


def fading(*nets: "_Growing", steps: int) -> Callable[[nn.Module], None]:
    """Moves α of the nets by 1/steps at each call, to 1: ``play(…, project=fading(G.net, D, …))``.

    α is a part of the nets' state, so a game that resumes from a checkpoint fades on from there.

    Args:
        nets: that have grown.
        steps: over which α goes from 0 to 1.

    Raises:
        ValueError: steps below 1.

    Example:
        >>> D = GrowingDiscriminator(width=4)
        >>> D.grow()
        >>> move = fading(D, steps=4)
        >>> for _ in range(5):
        ...     move(D)
        ...     print(D.alpha.item(), end=" ")
        0.25 0.5 0.75 1.0 1.0
    """
    count(steps, "steps")

    def move(_: nn.Module) -> None:
        for net in nets:
            done = round(float(net.alpha) * steps)
            net.fade_in(min(done + 1, steps) / steps)

    return move


class _Growing(nn.Module):
    """Blocks, each of which doubles the side; the last is faded in by α."""

    def __init__(self, width: int, channels: int, side: int) -> None:
        super().__init__()
        self.width, self.channels = count(width, "width"), count(channels, "channels")
        self.first_side = count(side, "side")
        self.blocks = nn.ModuleList()  # from the smallest images to the largest
        self.images = nn.ModuleList()  # between features and images, one for each side
        self.register_buffer("alpha", torch.ones(()))

    @property
    def event(self) -> tuple[int, int, int]:
        """(channels, side, side) of the images at this stage."""
        side = self.first_side * 2 ** len(self.blocks)
        return self.channels, side, side

    def grow(self, *, generator: Generator | None = None) -> None:
        """Double the side: new layers, at α = 0. The optimizer must be told of them: build it anew.

        Args:
            generator: source of the new weights.

        Raises:
            ValueError: the last new layers are not there in full.
        """
        if self.alpha != 1:
            raise ValueError(
                f"Expected alpha = 1 before the next growth, got {float(self.alpha):.4g}: what is "
                "faded out would be lost at once. Call fade_in(1.0), or train on."
            )
        with weights_from(generator):
            self._new_layers()
        self.to(self.alpha)  # its device and dtype
        self.fade_in(0.0)

    def fade_in(self, alpha: float) -> None:
        """Set α; training moves it from 0 to 1.

        Raises:
            ValueError: α outside [0, 1].
        """
        if not 0 <= alpha <= 1:
            raise ValueError(f"Expected alpha in [0, 1], got {alpha!r}. Use step / steps.")
        self.alpha.fill_(alpha)

    def _conv(self, extra: int = 0) -> list[nn.Module]:
        conv = nn.Conv2d(self.width + extra, self.width, 3, padding=1)
        return [equalised(conv), nn.LeakyReLU(0.2)]


class GrowingGenerator(_Growing):
    """A net from noise z to images whose side :meth:`grow` doubles.

    ``Generator(StandardNormal((32,)), GrowingGenerator())`` draws.

    Args:
        latent: length of z, of which only the direction counts.
        width: channels of the features.
        channels: of the images.
        side: of the images before the first growth.
        generator: source of the first weights.

    Raises:
        ValueError: sizes below 1; z of another length.

    Source: Karras et al. 2018, arXiv:1710.10196.

    Example:
        >>> rng = torch.Generator().manual_seed(0)
        >>> G = GrowingGenerator(latent=8, width=16, generator=rng)
        >>> z = torch.randn(2, 8, generator=rng)
        >>> small = G(z)
        >>> G.grow(generator=rng)
        >>> small.shape, torch.equal(G(z), interpolate(small, scale_factor=2))
        (torch.Size([2, 1, 4, 4]), True)
    """

    def __init__(
        self,
        latent: int = 32,
        width: int = 32,
        channels: int = 1,
        side: int = 4,
        *,
        generator: Generator | None = None,
    ) -> None:
        super().__init__(width, channels, side)
        self.latent = count(latent, "latent")
        with weights_from(generator):
            self.first = nn.Sequential(
                PixelNorm(),
                equalised(nn.Linear(latent, width * side**2)),
                nn.Unflatten(1, (width, side, side)),
                nn.LeakyReLU(0.2),
                PixelNorm(),
                *self._conv(),
                PixelNorm(),
            )
            self._new_image()

    def _new_layers(self) -> None:
        self.blocks.append(nn.Sequential(*self._conv(), PixelNorm(), *self._conv(), PixelNorm()))
        self._new_image()

    def _new_image(self) -> None:
        self.images.append(equalised(nn.Conv2d(self.width, self.channels, 1), gain=1.0))

    def forward(self, z: Tensor) -> Tensor:
        h = before = self.first(query_points(z, (self.latent,)))
        for block in self.blocks:
            before, h = h, block(interpolate(h, scale_factor=2))
        new = self.images[-1](h)
        if not self.blocks:
            return new
        return fade(interpolate(self.images[-2](before), scale_factor=2), new, self.alpha)


class GrowingDiscriminator(_Growing):
    """From images to logits ``[batch]``: the mirror of :class:`GrowingGenerator`.

    Args:
        width, channels, side, generator: as there.

    Raises:
        ValueError: sizes below 1; images of another shape than this stage's.

    Source: Karras et al. 2018, arXiv:1710.10196.

    Example:
        >>> rng = torch.Generator().manual_seed(0)
        >>> D, x = GrowingDiscriminator(width=16, generator=rng), torch.zeros(2, 1, 8, 8)
        >>> small = D(avg_pool2d(x, 2))
        >>> D.grow(generator=rng)
        >>> torch.equal(D(x), small)
        True
    """

    def __init__(
        self,
        width: int = 32,
        channels: int = 1,
        side: int = 4,
        *,
        generator: Generator | None = None,
    ) -> None:
        super().__init__(width, channels, side)
        with weights_from(generator):
            self.last = nn.Sequential(
                MinibatchDeviation(),
                *self._conv(extra=1),
                nn.Flatten(),
                equalised(nn.Linear(width * side**2, 1), gain=1.0),
                nn.Flatten(0),
            )
            self._new_image()

    def _new_layers(self) -> None:
        self.blocks.append(nn.Sequential(*self._conv(), *self._conv(), nn.AvgPool2d(2)))
        self._new_image()

    def _new_image(self) -> None:
        conv = equalised(nn.Conv2d(self.channels, self.width, 1))
        self.images.append(nn.Sequential(conv, nn.LeakyReLU(0.2)))

    def forward(self, x: Tensor) -> Tensor:
        if tuple(x.shape[1:]) != self.event:
            raise ValueError(
                f"Expected images of shape (batch, {', '.join(map(str, self.event))}) at this "
                f"stage, got {tuple(x.shape)}. avg_pool2d(x, 2) halves the side, grow() doubles it."
            )
        h = self.images[-1](x)
        if self.blocks:
            h = fade(self.images[-2](avg_pool2d(x, 2)), self.blocks[-1](h), self.alpha)
        for block in reversed(self.blocks[:-1]):
            h = block(h)
        return self.last(h)
