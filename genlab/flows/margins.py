"""Each entry by its own distribution function: a first layer that knows every margin.

What is left for the layers behind it is dependence alone. With the identity behind it the flow is
the histogram of independent pixels, so it starts where the simplest baseline stands.
"""

import math

import torch
from torch import Tensor

from genlab.em.kmeans import count
from genlab.flows.dequantise import check_levels
from genlab.flows.transforms import Pair, Transform
from genlab.flows.triangular import normal_cdf, normal_quantile

__all__ = ["GaussianMargins"]


class GaussianMargins(Transform):
    """z_j = Φ⁻¹(F̂_j(x_j)), with F̂_j the histogram of entry j on the cells [v, v + 1).

    .. math:: \\log\\left|\\det\\frac{\\partial z}{\\partial x}\\right|
              = \\sum_j \\log \\hat p_j(\\lfloor x_j \\rfloor) - \\log \\varphi(z_j), \\qquad
              \\hat p_j(v) = \\frac{n_j(v) + a}{n + a \\cdot \\text{levels}}

    A diagonal map, so not a learnt one: it has no parameters. Outside [0, levels] the density is 0.
    Tables in float64.

    Args:
        x: whole numbers ``[n, *event]`` from 0 to levels − 1, to count.
        levels: how many values an entry can have.
        smoothing: a > 0 counts are added to each value.

    Raises:
        ValueError: no rows, data that are no such numbers, or a smoothing of 0, which leaves
            values with no mass.

    Source: Chen and Gopinath 2000, Gaussianization (NIPS 13): there followed by rotations.

    Example:
        >>> layer = GaussianMargins(torch.tensor([[0], [0], [1]]), levels=2, smoothing=1.0)
        >>> z, log_det = layer(torch.tensor([[0.5], [1.5]], dtype=torch.float64))
        >>> z.flatten(), layer.inverse(z)[0].flatten()
        (tensor([-0.5244,  0.8416], dtype=torch.float64),
         tensor([0.5000, 1.5000], dtype=torch.float64))
    """

    def __init__(self, x: Tensor, levels: int, smoothing: float = 0.1) -> None:
        if not 0 < smoothing < math.inf:
            raise ValueError(f"Expected smoothing > 0 (counts added to a value), got {smoothing}.")
        if x.numel() == 0:
            raise ValueError(f"Expected rows to count, got shape {tuple(x.shape)}.")
        x = check_levels(x, count(levels, "levels"), tuple(x.shape[1:]))
        super().__init__(tuple(x.shape[1:]))
        self.levels = levels
        first = levels * torch.arange(x[0].numel())  # of each entry's counters
        counts = (x.long().flatten(1) + first).flatten().bincount(minlength=levels * len(first))
        counts = counts.double().reshape(*x.shape[1:], levels) + smoothing
        p = counts / counts.sum(-1, keepdim=True)
        zero = torch.zeros_like(p[..., :1])
        self.register_buffer("p", p)
        self.register_buffer("below", torch.cat([zero, p.cumsum(-1)], -1))
        self.register_buffer("above", torch.cat([p.flip(-1).cumsum(-1).flip(-1), zero], -1))

    def forward(self, x: Tensor) -> Pair:
        x = self.data(x)
        y = x.to(self.p.dtype)
        v = y.detach().floor().clamp(0, self.levels - 1)
        p = self._at(self.p, v)
        below = self._at(self.below, v) + (y - v) * p
        above = self._at(self.above, v + 1) + (v + 1 - y) * p
        z = normal_quantile(below, above)
        log_slope = p.log() + 0.5 * z**2 + 0.5 * math.log(2 * math.pi)
        outside = (y < 0) | (y > self.levels)
        log_slope = torch.where(outside, -math.inf, log_slope)
        return z.to(x.dtype), log_slope.flatten(1).sum(1).to(x.dtype)

    def inverse(self, z: Tensor) -> Pair:
        z = self.base(z)
        y = z.to(self.p.dtype)
        below, above = normal_cdf(y), normal_cdf(-y)
        low = (below[..., None] >= self.below[..., 1:-1]).sum(-1)
        high = (above[..., None] < self.above[..., 1:-1]).sum(-1)
        v = torch.where(y <= 0, low, high).double()
        p = self._at(self.p, v)
        share = torch.where(
            y <= 0,
            (below - self._at(self.below, v)) / p,
            1 - (above - self._at(self.above, v + 1)) / p,
        )
        log_slope = p.log() + 0.5 * y**2 + 0.5 * math.log(2 * math.pi)
        x = v + share.clamp(0, 1)
        return x.to(z.dtype), -log_slope.flatten(1).sum(1).to(z.dtype)

    def _at(self, table: Tensor, v: Tensor) -> Tensor:
        return table.expand(len(v), *table.shape).gather(-1, v.long()[..., None])[..., 0]
