"""PixelCNN: a stack of masked convolutions, quick to train, with a blind spot."""

from torch import Tensor
from torch.nn.functional import relu

from genlab.autoregressive.cache import Cache
from genlab.autoregressive.raster import RasterModel
from genlab.models import catalogued

__all__ = ["PixelCNN"]


@catalogued(chapter="autoregressive", source="van den Oord, Kalchbrenner and Kavukcuoglu 2016")
class PixelCNN(RasterModel):
    """A stack of masked convolutions: one of mask A, then residual ones of mask B.

    .. math:: h_0 = A * x, \\qquad h_l = h_{l-1} + \\mathrm{relu}(B_l * h_{l-1}), \\qquad
              p(x_t \\mid x_{<t}) = \\operatorname{softmax}(C h_L)_t

    The law of all sites takes one pass. It has a blind spot: a step of a kernel up by one row goes
    right by at most half a kernel, so pixels further right in the rows above are never seen.

    Args:
        event: (colours, height, width).
        levels: how many values a colour of a pixel can have, 0 to levels − 1.
        width: features of each layer, a multiple of the colours.
        layers: number L of residual layers, 3 × 3.
        first: side of the first kernel.
        generator: source of the first weights.

    Raises:
        ValueError: sizes that do not fit, see :func:`causal_mask`.

    Source: van den Oord, Kalchbrenner and Kavukcuoglu 2016, arXiv:1601.06759, section 3.5.

    Example:
        >>> import torch
        >>> rng = torch.Generator().manual_seed(0)
        >>> model = PixelCNN((1, 8, 8), levels=17, generator=rng)
        >>> x = model.sample(2, generator=rng)
        >>> x.shape, model.log_prob(x).shape
        (torch.Size([2, 1, 8, 8]), torch.Size([2]))
    """

    from_uniforms = RasterModel.cached

    def network(self, planes: Tensor, cache: Cache | None = None) -> Tensor:
        h = self.first(planes, cache)
        for layer in self.layers:
            h = h + relu(layer(h, cache))
        return self.last(h, cache)

    def steps(self) -> list[list[int]]:
        """The blind spot used: sites of several rows that do not see each other are one step.

        A row up, a site sees to the right by half of the first kernel, and a column more for every
        further row. So a row can follow the row above at this distance, before that one is done.
        """
        _, height, width = self.event
        behind = max(self.first.margin[1], 1) + 1
        lines: list[list[int]] = [[] for _ in range(width + behind * (height - 1))]
        for site in range(height * width):
            row, column = divmod(site, width)
            lines[column + behind * row].append(site)
        return [line for line in lines if line]
