"""Noise in pieces: a normal law beside fair coins.

A continuous G carries a normal law, which is of one piece, to draws of one piece: between two modes
it leaves a bridge. The coins cut the noise into 2^k pieces, and no bridge is needed any more.
"""

import torch
from torch import Generator, Tensor, nn

from genlab.em.kmeans import count
from genlab.flows import StandardNormal

__all__ = ["NormalAndCoins"]


class NormalAndCoins(nn.Module):
    """z = (ε, s) with ε ~ N(0, I) and s of independent signs, −1 or 1 with equal chances.

    Args:
        normal: length of ε.
        coins: k, length of s.

    Raises:
        ValueError: lengths below 1.

    Source: Chen et al. 2016, arXiv:1606.03657 (codes beside the noise, there to be read again);
        Khayatkhoei, Singh and Elgammal 2018, arXiv:1806.00880 (why one piece is not enough).

    Example:
        >>> noise = NormalAndCoins(normal=1, coins=2)
        >>> noise.sample(3, generator=torch.Generator().manual_seed(0))
        tensor([[ 1.5410, -1.0000, -1.0000],
                [ 0.5684, -1.0000, -1.0000],
                [ 0.4033,  1.0000, -1.0000]])
    """

    def __init__(self, normal: int, coins: int) -> None:
        super().__init__()
        self.normal = count(normal, "normal")
        self.law = StandardNormal((normal + count(coins, "coins"),))

    def sample(self, n: int, *, generator: Generator | None = None) -> Tensor:
        z = self.law.sample(n, generator=generator)
        return torch.cat([z[:, : self.normal], z[:, self.normal :].sign()], 1)
