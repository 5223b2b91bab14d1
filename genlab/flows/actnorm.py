"""Actnorm: a shift and a scale for each channel, set by the first batch of data."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from genlab.flows.flow import check_continuous
from genlab.flows.transforms import Pair, Transform

__all__ = ["ActNorm", "data_dependent_start"]


class ActNorm(Transform):
    """A shift and a scale for each channel: z = (x + b) exp(s), log |det ∂z/∂x| = h·w·Σ s.

    It starts as the identity; :func:`data_dependent_start` sets b and s so that on a batch of data
    z has mean 0 and standard deviation 1 in each channel. Afterwards they are parameters like any:
    unlike batch normalisation it treats each row by itself.

    Args:
        event: (c,) or (c, h, w).

    Source: Kingma and Dhariwal 2018, arXiv:1807.03039, section 3.1.

    Example:
        >>> norm = ActNorm((2, 3, 3))
        >>> x = 5 + 2 * torch.randn(100, 2, 3, 3, generator=torch.Generator().manual_seed(0))
        >>> data_dependent_start(norm, x)
        >>> z = norm(x)[0].detach()
        >>> round(abs(z.mean().item()), 2), round(z.std().item(), 2)
        (0.0, 1.0)
    """

    def __init__(self, event: Sequence[int]) -> None:
        super().__init__(event)
        channels = (self.event[0], *[1] * (len(self.event) - 1))
        self.shift = nn.Parameter(torch.zeros(channels))
        self.log_scale = nn.Parameter(torch.zeros(channels))
        self.waiting = False

    def forward(self, x: Tensor) -> Pair:
        x = self.data(x)
        if self.waiting:
            self._start(x)
        return (x + self.shift) * self.log_scale.exp(), self._log_det().expand(len(x))

    def inverse(self, z: Tensor) -> Pair:
        x = self.base(z) * torch.exp(-self.log_scale) - self.shift
        return x, -self._log_det().expand(len(z))

    def _log_det(self) -> Tensor:
        return math.prod(self.event[1:]) * self.log_scale.sum()

    def _start(self, x: Tensor) -> None:
        rows = x.transpose(0, 1).reshape(self.event[0], -1)
        if not rows.isfinite().all():
            raise ValueError("Expected finite rows to start from, got NaN or infinity among them.")
        sigma = rows.std(1, correction=0)
        constant = (~(sigma > 0)).nonzero().flatten().tolist()
        if constant:
            raise ValueError(
                f"The channels {constant} are constant on the batch: their scale would be "
                "infinite. Take more rows, or add noise to whole numbers: Dequantised."
            )
        self.shift.copy_(-rows.mean(1).reshape(self.shift.shape))
        self.log_scale.copy_(-sigma.log().reshape(self.shift.shape))
        self.waiting = False


@torch.no_grad()
def data_dependent_start(transform: nn.Module, x: Tensor) -> None:
    """Pass a batch through once; on its way every :class:`ActNorm` is set from what it gets.

    Args:
        transform: a transform or a whole flow's ``transform``.
        x: data ``[batch, *event]``.

    Raises:
        ValueError: no rows; a channel that is constant on the batch; whole numbers to which no
            noise was added.

    Source: Kingma and Dhariwal 2018, section 3.1; Salimans and Kingma 2016, arXiv:1602.07868.
    """
    if x.numel() == 0:
        raise ValueError(f"Expected rows of data to start from, got shape {tuple(x.shape)}.")
    check_continuous(x)
    norms = [m for m in transform.modules() if isinstance(m, ActNorm)]
    for norm in norms:
        norm.waiting = True
    try:
        transform(x)
    finally:
        for norm in norms:
            norm.waiting = False
