"""A memory for masked convolutions, with which each site is computed once.

In raster order nothing that was computed changes any more. A pass for each site computes all the
others again, n² sites for n of them; a cache keeps them, and each is computed once.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

__all__ = ["Cache"]


class Cache:
    """What each masked convolution was given so far: enough to compute the next site alone.

    A network is run on one site, or on a few, and its masked convolutions find the sites around
    in the cache. Whatever else stands between them acts on each site by itself: it needs no change.

    Args:
        height, width: of the image.

    Attributes:
        sites: where the network stands, counted row by row: sites that do not depend on each other.
    """

    def __init__(self, height: int, width: int) -> None:
        self.height, self.width = height, width
        self.sites = torch.zeros(1, dtype=torch.long)
        self._layers: dict[nn.Module, _Seen] = {}
        self._rows: dict[object, list[Tensor]] = {}

    def convolve(self, layer: nn.Conv2d, x: Tensor) -> Tensor:
        """The output of a masked convolution where the network stands, ``[n, n_out, 1, sites]``.

        x is its input there, or all of the input: the first layer is given the image.
        """
        seen = self._layers.get(layer)
        if seen is None:
            seen = self._layers[layer] = _Seen(layer, x, self.height, self.width)
        out = torch.addmm(layer.bias, seen.around(x, self.sites), seen.weight)
        return out.view(len(x), 1, len(self.sites), -1).permute(0, 3, 1, 2)

    def once_a_row(self, key: object, compute: Callable[[], list[Tensor]]) -> list[Tensor]:
        """The part at the site of features that know whole rows: computed where a row begins."""
        site = self.sites
        column = int(site) % self.width
        if column == 0:
            self.sites = site + torch.arange(self.width, device=site.device)
            self._rows[key] = compute()
            self.sites = site
        return [feature[..., column : column + 1] for feature in self._rows[key]]


class _Seen:
    """The inputs of one layer at all sites so far, with zeros around: ``[n, places, n_in]``."""

    def __init__(self, layer: nn.Conv2d, x: Tensor, height: int, width: int) -> None:
        left, right, top, _ = layer.margin
        around = x.new_zeros(len(x), top + height, left + width + right, x.shape[1])
        self.inputs, self.inside = around.flatten(1, 2), around[:, top:, left : left + width]
        rows, columns = layer.mask.amax((0, 1)).nonzero().T.to(x.device)  # of the open taps
        site = torch.arange(height * width, device=x.device)
        corner = site // width * around.shape[2] + site % width
        self.own = corner + top * around.shape[2] + left
        self.places = corner[:, None] + rows * around.shape[2] + columns
        weight = (layer.weight * layer.mask)[:, :, rows, columns]  # [n_out, n_in, taps]
        self.weight = weight.permute(2, 1, 0).flatten(0, 1)

    def around(self, x: Tensor, sites: Tensor) -> Tensor:
        """What is seen from these sites, ``[n · sites, taps · n_in]``, once x is written down."""
        if x.shape[2:] == self.inside.shape[1:3]:
            self.inside.copy_(x.permute(0, 2, 3, 1))
        else:
            self.inputs.index_copy_(1, self.own[sites], x[:, :, 0].transpose(1, 2))
        seen = self.inputs.index_select(1, self.places[sites].flatten())
        return seen.view(len(x) * len(sites), -1)
