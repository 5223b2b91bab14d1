"""Spline couplings, which came after RealNVP: the half that moves is bent, not only stretched.

A monotone rational-quadratic spline on [−B, B] with K pieces, linear outside: its inverse is the
root of a quadratic, its derivative is positive everywhere.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import pad, softplus

from genlab.em.kmeans import count
from genlab.flows.couplings import Coupling
from genlab.flows.transforms import Pair

__all__ = ["SplineCoupling", "rational_quadratic"]

_LEAST = 1e-3  # of a bin's share of [−B, B], and of a slope


def rational_quadratic(
    x: Tensor, parameters: Tensor, bound: float = 3.0, *, inverse: bool = False
) -> Pair:
    """A monotone spline with K pieces, elementwise, and the logarithm of its derivative.

    Between the knots :math:`(x_k, y_k)` with slopes :math:`\\delta_k`, and with
    :math:`s_k = (y_{k+1} - y_k)/(x_{k+1} - x_k)`, :math:`\\xi = (x - x_k)/(x_{k+1} - x_k)`:

    .. math:: y = y_k + \\frac{(y_{k+1} - y_k)\\,[s_k \\xi^2 + \\delta_k \\xi (1 - \\xi)]}
              {s_k + [\\delta_{k+1} + \\delta_k - 2 s_k]\\, \\xi (1 - \\xi)}

    Outside [−B, B] it is the identity. All parameters zero is the identity too.

    Args:
        x: points, any shape.
        parameters: ``[*x.shape, 3K − 1]``: widths and heights before a softmax, and K − 1 inner
            slopes before a softplus.
        bound: B.
        inverse: whether to go back.

    Returns:
        the image, and log of the derivative of the map that was taken, both of the shape of x.

    Raises:
        ValueError: parameters of another shape.

    Source: Durkan, Bekasov, Murray and Papamakarios 2019, arXiv:1906.04032, eqs. 4-8; Gregory and
        Delbourgo 1982.

    Example:
        >>> parameters = torch.tensor([[2.0, 0.0, 0.0, 0.0, 0.0]])
        >>> y, log_slope = rational_quadratic(torch.tensor([1.0]), parameters)
        >>> y, rational_quadratic(y, parameters, inverse=True)[0]
        (tensor([-0.8960]), tensor([1.]))
    """
    if parameters.shape[:-1] != x.shape or parameters.shape[-1] % 3 != 2:
        raise ValueError(
            f"Expected parameters of shape {(*x.shape, '3K - 1')}, got {tuple(parameters.shape)}."
        )
    k = (parameters.shape[-1] + 1) // 3
    inside = x.abs() < bound
    t = torch.where(inside, x, 0.0)[..., None]
    w, h, slopes = parameters.split([k, k, k - 1], -1)
    knots_x, knots_y = (_knots(shares, bound) for shares in (w, h))
    zero_is_one = math.log(math.expm1(1 - _LEAST))
    slopes = pad(_LEAST + softplus(slopes + zero_is_one), (1, 1), value=1.0)

    knots = knots_y if inverse else knots_x
    piece = (t >= knots[..., 1:-1]).sum(-1, keepdim=True)
    left, low = knots_x.gather(-1, piece), knots_y.gather(-1, piece)
    width = knots_x.gather(-1, piece + 1) - left
    height = knots_y.gather(-1, piece + 1) - low
    slope, following = slopes.gather(-1, piece), slopes.gather(-1, piece + 1)
    s = height / width
    bend = slope + following - 2 * s
    if inverse:
        rise = t - low
        a = height * (s - slope) + rise * bend
        b = height * slope - rise * bend
        root = torch.sqrt((b**2 + 4 * a * s * rise).clamp_min(0))
        xi = 2 * s * rise / (b + root)
        image = left + xi * width
    else:
        xi = (t - left) / width
        rise = s * xi**2 + slope * xi * (1 - xi)
        image = low + height * rise / (s + bend * xi * (1 - xi))
    steep = following * xi**2 + 2 * s * xi * (1 - xi) + slope * (1 - xi) ** 2
    log_slope = 2 * s.log() + steep.log() - 2 * (s + bend * xi * (1 - xi)).log()
    log_slope = -log_slope if inverse else log_slope
    return torch.where(inside, image[..., 0], x), torch.where(inside, log_slope[..., 0], 0.0)


class SplineCoupling(Coupling):
    """A coupling that moves each entry by a spline whose knots the other half decides.

    Args:
        event, net, first: as in :class:`Coupling`; 3K − 1 outputs for each entry that moves.
        bins: K, 2 or more.
        bound: B; beyond ±B entries stay.

    Source: Durkan, Bekasov, Murray and Papamakarios 2019, arXiv:1906.04032.

    Example:
        >>> coupling = SplineCoupling((2,), nn.Linear(1, 11), bins=4)
        >>> coupling(torch.zeros(5, 2))[0].shape
        torch.Size([5, 2])
    """

    def __init__(
        self,
        event: Sequence[int],
        net: nn.Module,
        *,
        first: bool = True,
        bins: int = 8,
        bound: float = 3.0,
    ) -> None:
        super().__init__(event, net, first=first)
        if not 2 <= count(bins, "bins") < 1 / _LEAST or not 0 < bound < math.inf:
            raise ValueError(
                f"Expected 2 to 999 bins and a finite bound > 0, got {bins} and {bound!r}."
            )
        self.per_entry, self.bound = 3 * bins - 1, bound

    def move(self, v: Tensor, parameters: Tensor) -> Pair:
        return rational_quadratic(v, self._each(v, parameters), self.bound)

    def move_back(self, v: Tensor, parameters: Tensor) -> Pair:
        return rational_quadratic(v, self._each(v, parameters), self.bound, inverse=True)

    def _each(self, v: Tensor, parameters: Tensor) -> Tensor:
        return parameters.unflatten(1, (v.shape[1], self.per_entry)).movedim(2, -1)


def _knots(shares: Tensor, bound: float) -> Tensor:
    """K + 1 knots from −B to B, with K gaps of at least 1/1000 of the whole."""
    k = shares.shape[-1]
    gaps = _LEAST + (1 - _LEAST * k) * shares.softmax(-1)
    inner = 2 * bound * gaps.cumsum(-1)[..., :-1] - bound
    ends = torch.full_like(shares[..., :1], bound)
    return torch.cat([-ends, inner, ends], -1)
