"""StyleGAN: the noise does not enter at the bottom, it sets mean and scale of every layer.

A network maps z to a style w, and at each resolution w says which mean and which deviation every
channel of features gets. Nothing of the old ones is left, so each layer has the style it is told.
"""

from collections.abc import Sequence

import torch
from torch import Generator, Tensor, nn
from torch.nn.functional import interpolate, leaky_relu

from genlab.em.kmeans import count
from genlab.gans.equalised import PixelNorm, equalised
from genlab.models import query_points
from genlab.nets import weights_from

__all__ = ["StyleGenerator", "adain", "truncated_style"]


def adain(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """Adaptive instance normalisation: s (x − μ(x))/σ(x) + b, for every channel of every image.

    μ and σ are mean and standard deviation over the pixels of a channel. The result has mean b and
    deviation \\|s\\|, whatever they were: the style of x is taken off, another is put on. A channel
    that is constant becomes b.

    Args:
        x: features ``[n, c, h, w]``.
        scale, shift: s and b, ``[n, c]``.

    Returns:
        ``[n, c, h, w]``.

    Raises:
        ValueError: shapes that do not fit.

    Source: Huang and Belongie 2017, arXiv:1703.06868, eq. 8; Karras, Laine and Aila 2019,
        arXiv:1812.04948, eq. 1.

    Example:
        >>> x = torch.tensor([[[[1.0, 3.0]]]])
        >>> adain(x, torch.tensor([[10.0]]), torch.tensor([[5.0]]))
        tensor([[[[-5., 15.]]]])
    """
    if x.ndim != 4 or not scale.shape == shift.shape == x.shape[:2]:
        raise ValueError(
            "Expected features (n, c, h, w), and scale and shift (n, c), got "
            f"{tuple(x.shape)}, {tuple(scale.shape)} and {tuple(shift.shape)}."
        )
    centred = x - x.mean((2, 3), keepdim=True)
    variance = centred.square().mean((2, 3), keepdim=True)
    return scale[..., None, None] * centred * torch.rsqrt(variance + 1e-8) + shift[..., None, None]


class _StyledLayer(nn.Module):
    """A convolution, a rectifier, and the style that w asks for."""

    def __init__(self, width: int, latent: int) -> None:
        super().__init__()
        self.conv = equalised(nn.Conv2d(width, width, 3, padding=1))
        self.style = equalised(nn.Linear(latent, 2 * width), gain=1.0)
        nn.init.ones_(self.style.bias[:width])  # of the scales

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        x = leaky_relu(self.conv(x), 0.2)
        return adain(x, *self.style(w).chunk(2, 1))


class StyleGenerator(nn.Module):
    """A net from z to a style w by ``mapping``; from a constant, styled at each side, to images.

    ``Generator(StandardNormal((32,)), StyleGenerator())`` draws. Of StyleGAN's parts, the noise at
    every pixel is left out.

    Args:
        latent: length of z and of w.
        width: channels of the features.
        channels: of the images.
        side: of the constant; each further layer doubles it.
        layers: how many, 1 or more.
        generator: source of the first weights.

    Raises:
        ValueError: sizes below 1; z or styles of other shapes or numbers.

    Source: Karras, Laine and Aila 2019, arXiv:1812.04948, section 2.

    Example: coarse features in the style of one draw, fine ones in that of another.
        >>> rng = torch.Generator().manual_seed(0)
        >>> G = StyleGenerator(latent=8, width=16, generator=rng)
        >>> one, other = G.mapping(torch.randn(2, 1, 8, generator=rng))
        >>> G.synthesise([one, other]).shape
        torch.Size([1, 1, 8, 8])
    """

    def __init__(
        self,
        latent: int = 32,
        width: int = 32,
        channels: int = 1,
        side: int = 4,
        layers: int = 2,
        *,
        generator: Generator | None = None,
    ) -> None:
        super().__init__()
        self.latent, width = count(latent, "latent"), count(width, "width")
        with weights_from(generator):
            hidden = [equalised(nn.Linear(latent, latent)) for _ in range(3)]
            activated = [layer for linear in hidden for layer in (linear, nn.LeakyReLU(0.2))]
            self.mapping = nn.Sequential(PixelNorm(), *activated)
            self.constant = nn.Parameter(torch.randn(width, side, side))
            self.layers = nn.ModuleList(
                _StyledLayer(width, latent) for _ in range(count(layers, "layers"))
            )
            self.image = equalised(nn.Conv2d(width, count(channels, "channels"), 1), gain=1.0)

    def forward(self, z: Tensor) -> Tensor:
        w = self.mapping(query_points(z, (self.latent,)))
        return self.synthesise([w] * len(self.layers))

    def synthesise(self, styles: Sequence[Tensor]) -> Tensor:
        """Images from one style ``[n, latent]`` for each layer, from the coarsest to the finest."""
        if len(styles) != len(self.layers):
            raise ValueError(
                f"Expected one style for each of the {len(self.layers)} layers, got {len(styles)}. "
                "One for all is [w] * layers."
            )
        h = self.constant.expand(len(styles[0]), -1, -1, -1)
        for i, (layer, w) in enumerate(zip(self.layers, styles, strict=True)):
            h = layer(interpolate(h, scale_factor=2) if i else h, query_points(w, (self.latent,)))
        return self.image(h)


def truncated_style(w: Tensor, mean: Tensor, psi: float) -> Tensor:
    """w̄ + ψ(w − w̄): styles drawn towards the mean one, so with the covariance ψ² Cov(w).

    The truncation trick of :mod:`genlab.gans.scaling` where there is a middle to go to: at ψ = 0
    every image is that of the mean style.

    Args:
        w: styles ``[n, latent]``.
        mean: w̄ ``[latent]``, the mean of many.
        psi: ψ, in [0, 1].

    Raises:
        ValueError: ψ outside [0, 1].

    Source: Karras, Laine and Aila 2019, appendix B.

    Example:
        >>> truncated_style(torch.tensor([[3.0, 1.0]]), torch.tensor([1.0, 1.0]), 0.5)
        tensor([[2., 1.]])
    """
    if not 0 <= psi <= 1:
        raise ValueError(f"Expected psi in [0, 1], got {psi!r}.")
    return mean + psi * (w - mean)
