"""Whole numbers and densities: noise that fills the cells, and one converter of units.

A density fitted to whole numbers grows without bound: a spike on each number. With u uniform on
the cell [0, 1)^d the model says P(x) = ∫ p(x + u) du, and E_u log p(x + u) is a lower bound of
log P(x): dequantisation is a variational bound.
"""

import math
from collections.abc import Sequence

import torch
from torch import Generator, Tensor

from genlab.em.kmeans import count
from genlab.flows.flow import Flow
from genlab.flows.noise import NoisyFlow
from genlab.flows.transforms import Pair
from genlab.models import catalogued, query_points, sample_size

__all__ = ["Dequantised", "bits_per_dim"]


def bits_per_dim(log_likelihood: float | Tensor, d: int, cell: float = 1.0) -> float | Tensor:
    """Bits for each dimension, of a log-density in nats: −(log p / d + log cell) / log 2.

    What it costs to send one whole number, if the model is right. A density has units: of x in
    [0, 1] it is larger by a factor 256 a dimension than of x in [0, 256). The one who does not say
    which prints a number that is 8 bits off.

    Args:
        log_likelihood: log p of an image, or the mean over images, nats.
        d: numbers in an image.
        cell: width of the cell of one whole number in the units of x: 1 for x + u, 1/256 for
            (x + u)/256, 2/256 for the same on [−1, 1]. A log-probability of whole numbers has 1.

    Raises:
        ValueError: d below 1, or a cell that is not a positive number.

    Source: Theis, van den Oord and Bethge 2016, arXiv:1511.01844, section 3.1.

    Example: NICE's 1980.5 nats on MNIST, of x in [0, 1], are 4.36 bits; and 8 if nothing is known.
        >>> round(bits_per_dim(1980.5, 28 * 28, cell=1 / 256), 2)
        4.36
        >>> bits_per_dim(0.0, 28 * 28, cell=1 / 256)
        8.0
    """
    if not 0 < cell < math.inf:
        raise ValueError(f"Expected a cell width > 0, got {cell!r}.")
    return -(log_likelihood / count(d, "d") + math.log(cell)) / math.log(2)


@catalogued(chapter="flows", source="Uria, Murray and Larochelle 2013; Theis et al. 2016")
class Dequantised(NoisyFlow):
    """A model of whole numbers 0, …, levels − 1, made of a flow over x + u, u uniform on [0, 1)^d.

    .. math:: \\log P(x) = \\log \\int_{[0,1)^d} p(x + u)\\,du \\ge \\mathrm E_u \\log p(x + u)

    Args:
        flow: a density over ``event``.
        levels: how many values an entry can have.

    Raises:
        ValueError: data of another shape, or that are not whole numbers from 0 to levels − 1.

    Source: Theis, van den Oord and Bethge 2016, arXiv:1511.01844, eqs. 4-6; Uria, Murray and
        Larochelle 2013, arXiv:1306.0186.

    Example:
        >>> from genlab.flows import NICE
        >>> rng = torch.Generator().manual_seed(0)
        >>> model = Dequantised(NICE(4, generator=rng), levels=17)
        >>> x = model.sample(5, generator=rng)
        >>> x.dtype, model.elbo(x, generator=rng).shape
        (torch.int64, torch.Size([5]))
    """

    def __init__(self, flow: Flow, levels: int) -> None:
        super().__init__(flow)
        self.levels, self.event = count(levels, "levels"), flow.event

    def completed(self, x: Tensor, k: int, *, generator: Generator | None = None) -> Pair:
        """x + u at k draws of u for each x; log q(u) = 0."""
        y = dequantised(x, self.levels, self.event, k, generator=generator)
        return y, y.new_zeros(y.shape[:2])

    def sample(self, n: int, *, generator: Generator | None = None) -> Tensor:
        """Draws of the flow rounded down, those outside put to the nearest level: int64."""
        x = self.flow.sample(sample_size(n), generator=generator)
        return x.floor().clamp(0, self.levels - 1).long()


def dequantised(
    x: Tensor,
    levels: int,
    event: Sequence[int],
    n: int = 1,
    *,
    generator: Generator | None = None,
) -> Tensor:
    """Whole numbers plus uniform noise, n times each, ``[n, batch, *event]``; checked."""
    x = check_levels(x, levels, tuple(event))
    x = x.to(torch.get_default_dtype())
    shape = (count(n, "n"), *x.shape)
    u = torch.rand(shape, generator=generator, dtype=x.dtype, device=x.device)
    # x + u may be rounded up to x + 1, which is another cell
    return torch.minimum(x + u, torch.nextafter(x + 1, x))


def check_levels(x: Tensor, levels: int, event: tuple[int, ...]) -> Tensor:
    """x, if it holds whole numbers from 0 to levels − 1."""
    x = query_points(x, event)
    if x.numel() and not ((x == x.floor()) & (x >= 0) & (x < levels)).all():
        raise ValueError(
            f"Expected whole numbers from 0 to {levels - 1}, got values from {float(x.min()):.4g} "
            f"to {float(x.max()):.4g}. Undo the scaling, as (x * {levels - 1}).round()."
        )
    return x
