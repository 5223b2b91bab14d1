"""The invertible 1 × 1 convolution: a permutation of the channels that is learnt."""

import math
from collections.abc import Sequence

import torch
from torch import Generator, Tensor, nn

from genlab.flows.transforms import Pair, Transform

__all__ = ["InvertibleConv", "LUConv"]


class InvertibleConv(Transform):
    """The same invertible matrix on the channels of every pixel: z = W x, h·w·log |det W|.

    A permutation of the channels is one such W; a W that is learnt is a soft one. It is not
    triangular. On vectors, event (c,), it is a linear map.

    Args:
        event: (c,) or (c, h, w).
        weight: W to start from, ``[c, c]``; by default a random rotation.
        generator: source of the rotation.

    Raises:
        ValueError: a matrix of another shape, or one that is singular, here or after training.

    Source: Kingma and Dhariwal 2018, arXiv:1807.03039, section 3.2.

    Example:
        >>> conv = InvertibleConv((2, 3, 3), torch.tensor([[2.0, 1.0], [0.0, 1.0]]))
        >>> round(conv(torch.ones(1, 2, 3, 3))[1].item(), 4), round(9 * math.log(2), 4)
        (6.2383, 6.2383)
    """

    def __init__(
        self,
        event: Sequence[int],
        weight: Tensor | None = None,
        *,
        generator: Generator | None = None,
    ) -> None:
        super().__init__(event)
        c = self.event[0]
        if weight is None:
            weight = torch.linalg.qr(torch.randn(c, c, generator=generator)).Q
        if tuple(weight.shape) != (c, c):
            raise ValueError(
                f"Expected a matrix of shape {(c, c)}, one row a channel, got "
                f"{tuple(weight.shape)}."
            )
        self._learn(_invertible(weight)[0])

    def _learn(self, weight: Tensor) -> None:
        self.weight = nn.Parameter(weight.detach().clone())

    def matrix(self) -> Pair:
        """W and log |det W|."""
        return _invertible(self.weight)

    def forward(self, x: Tensor) -> Pair:
        weight, log_det = self.matrix()
        return self._mixed(weight, self.data(x)), self._pixels() * log_det.expand(len(x))

    def inverse(self, z: Tensor) -> Pair:
        weight, log_det = self.matrix()
        inverse = torch.linalg.inv(weight)
        return self._mixed(inverse, self.base(z)), -self._pixels() * log_det.expand(len(z))

    def _pixels(self) -> int:
        return math.prod(self.event[1:])

    def _mixed(self, weight: Tensor, x: Tensor) -> Tensor:
        return torch.einsum("ij,nj...->ni...", weight, x)


class LUConv(InvertibleConv):
    """The same map, written W = P L (U + diag σ): log |det W| = Σ log |σ| without a determinant.

    P and the signs of σ stay as they are; L is lower triangular with ones, U upper triangular with
    zeros on the diagonal. W cannot become singular.

    Args:
        event, weight, generator: as in :class:`InvertibleConv`.

    Source: Kingma and Dhariwal 2018, eqs. 10-11.

    Example:
        >>> conv = LUConv((2,), torch.tensor([[0.0, 1.0], [2.0, 0.0]]))
        >>> conv.matrix()[0].tolist()
        [[0.0, 1.0], [2.0, 0.0]]
    """

    def _learn(self, weight: Tensor) -> None:
        p, lower, upper = torch.linalg.lu(weight.detach())
        diagonal = upper.diagonal()
        self.register_buffer("permutation", p)
        self.register_buffer("sign", diagonal.sign())
        self.log_diagonal = nn.Parameter(diagonal.abs().log())
        below = torch.ones_like(p).tril(-1).bool()
        self.register_buffer("below", below, persistent=False)
        self.lower, self.upper = nn.Parameter(lower[below]), nn.Parameter(upper[below.T])

    def matrix(self) -> Pair:
        eye = torch.eye(len(self.sign), dtype=self.lower.dtype, device=self.lower.device)
        lower = eye.masked_scatter(self.below, self.lower)
        diagonal = torch.diag(self.sign * self.log_diagonal.exp())
        upper = diagonal.masked_scatter(self.below.T, self.upper)
        return self.permutation @ lower @ upper, self.log_diagonal.sum()


def _invertible(weight: Tensor) -> Pair:
    """W and log |det W|, if that is a number."""
    log_det = torch.linalg.slogdet(weight).logabsdet
    if not log_det > -math.inf:
        raise ValueError(
            "The matrix of the 1 × 1 convolution is singular (or not finite): it has no inverse. "
            "Start from a rotation, or use LUConv, which stays invertible."
        )
    return weight, log_det
