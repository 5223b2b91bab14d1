"""The lectures' lists of integers, and the law of a sum of signs."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from genlab.data.checks import whole
from genlab.models import query_points, sample_size

LIST_A = torch.tensor([3, 5, 4, 4, 4, 4, 5, 6, 5, 4, 5, 4, 5, 6, 5, 6, 5, 5, 6, 6])
"""Twenty integers: one 3, six 4s, eight 5s, five 6s."""

LIST_C = torch.tensor([3, 5, 4, 4, 4, 4, 5, 6, 8, 4, 5, 4, 5, 6, 5, 6, 5, 5, 6, 5])
"""Twenty integers: one 3, six 4s, eight 5s, four 6s, no 7, one 8."""


@dataclass(frozen=True)
class SignSums:
    r"""The law of :math:`S_n / \sqrt n`, where S_n is the sum of n fair signs.

    .. math:: P\Bigl(\frac{S_n}{\sqrt n} = \frac{2k - n}{\sqrt n}\Bigr) = \binom nk 2^{-n},
              \qquad k = 0, \dots, n

    All its mass lies on this lattice, where a normal law has none: their total variation distance
    is one for every n, although the cdf converges to the normal one.

    Args:
        terms: n, at least 1.

    Raises:
        ValueError: no positive integer.

    Example:
        >>> SignSums(4).support
        tensor([-2., -1.,  0.,  1.,  2.], dtype=torch.float64)
        >>> SignSums(4).log_prob(torch.tensor([0.0, 0.5])).exp()
        tensor([0.3750, 0.0000])
    """

    terms: int

    def __post_init__(self) -> None:
        whole(self.terms, "terms")

    @property
    def support(self) -> Tensor:
        """The lattice in ascending order, shape (terms + 1,), float64."""
        return self._value(torch.arange(self.terms + 1, dtype=torch.float64))

    def _value(self, k: Tensor) -> Tensor:
        """The value when k of the signs are +1."""
        return (2 * k - self.terms) / math.sqrt(self.terms)

    def sample(self, n: int, *, generator: torch.Generator | None = None) -> Tensor:
        """Draw ``n`` values, shape (n,): the number of signs that are +1 is binomial."""
        terms = torch.full((sample_size(n),), float(self.terms), dtype=torch.float64)
        k = torch.binomial(terms, torch.full_like(terms, 0.5), generator=generator)
        return self._value(k).to(torch.get_default_dtype())

    def log_prob(self, x: Tensor) -> Tensor:
        """Log-probability in nats, shape (n,), of ``x`` of shape (n,).

        A value is on the lattice if it is so up to the rounding of its dtype.
        """
        x, n = query_points(x, ()), self.terms
        value = x.double()
        k = ((n + value * math.sqrt(n)) / 2).round().clamp(0, n)
        rounding = 4 * torch.finfo(x.dtype).eps * value.abs()
        on_lattice = (value - self._value(k)).abs() <= rounding
        log_binomial = math.lgamma(n + 1) - torch.lgamma(k + 1) - torch.lgamma(n - k + 1)
        log_p = log_binomial - n * math.log(2)
        return log_p.masked_fill(~on_lattice, -math.inf).to(x.dtype)
