"""Densities in the plane that play the truth: each samples, and knows its exact density."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from genlab.data.checks import positive, whole
from genlab.models import query_points, sample_size


@dataclass(frozen=True)
class Annulus:
    r"""The uniform law on an annulus.

    .. math:: \log p(x) = -\log \pi (b^2 - a^2)
              \quad\text{for } a \le \lVert x \rVert \le b,\quad\text{else } -\infty

    Args:
        inner: a, at least 0.
        outer: b, more than a.

    Raises:
        ValueError: radii that are no annulus.

    Example:
        >>> round(Annulus().log_prob(torch.tensor([[0.0, 1.2]])).item(), 4)
        -1.3679
    """

    inner: float = 1.0
    outer: float = 1.5

    def __post_init__(self) -> None:
        positive(self.outer, "outer")
        if not 0 <= self.inner < self.outer:
            raise ValueError(
                f"Expected radii 0 <= inner < outer, got inner={self.inner}, outer={self.outer}."
            )

    def sample(self, n: int, *, generator: torch.Generator | None = None) -> Tensor:
        """Draw ``n`` points, shape (n, 2): the squared radius is uniform on [a², b²]."""
        u, v = torch.rand(2, sample_size(n), generator=generator)
        radius = torch.sqrt(self.inner**2 + u * (self.outer**2 - self.inner**2))
        return radius[:, None] * _direction(2 * math.pi * v)

    def log_prob(self, x: Tensor) -> Tensor:
        """Log-density in nats, shape (n,), of ``x`` of shape (n, 2)."""
        x = query_points(x, (2,))
        radius = torch.hypot(x[:, 0], x[:, 1])
        # A draw on the edge may be rounded across it, so the edge is as wide as the rounding.
        rounding = 4 * torch.finfo(x.dtype).eps
        inside = (radius >= self.inner * (1 - rounding)) & (radius <= self.outer * (1 + rounding))
        area = math.pi * (self.outer**2 - self.inner**2)
        return x.new_full((len(x),), -math.log(area)).masked_fill(~inside, -math.inf)


class _Gaussians(ABC):
    """Equally likely isotropic Gaussians; a subclass says where their centres are."""

    scale: float

    @property
    @abstractmethod
    def centres(self) -> Tensor:
        """The centres of the Gaussians, shape (K, 2), float64."""

    def sample(self, n: int, *, generator: torch.Generator | None = None) -> Tensor:
        """Draw ``n`` points, shape (n, 2): a centre at random, then Gaussian noise."""
        centres = self.centres.to(torch.get_default_dtype())
        k = torch.randint(len(centres), (sample_size(n),), generator=generator)
        return centres[k] + self.scale * torch.randn(n, 2, generator=generator)

    def log_prob(self, x: Tensor) -> Tensor:
        """Log-density in nats, shape (n,), of ``x`` of shape (n, 2)."""
        centres = self.centres
        equal = torch.full_like(centres[:, 0], 1 / len(centres))
        return _log_mixture(query_points(x, (2,)), centres, equal, self.scale)


@dataclass(frozen=True)
class Ring(_Gaussians):
    r"""Equally likely Gaussians on a circle; the defaults are those of Metz et al.

    .. math:: p(x) = \frac1K \sum_{k=0}^{K-1} N(x;\, c_k,\, s^2 I),
              \qquad c_k = r\,(\cos 2\pi k/K,\ \sin 2\pi k/K)

    Args:
        modes: K, at least 1.
        radius: r > 0.
        scale: the standard deviation s > 0.

    Raises:
        ValueError: a parameter out of its range.

    References:
        Metz et al. (2017), Unrolled generative adversarial networks, arXiv 1611.02163.

    Example:
        >>> Ring(modes=4).centres.round().abs()
        tensor([[2., 0.],
                [0., 2.],
                [2., 0.],
                [0., 2.]], dtype=torch.float64)
    """

    modes: int = 8
    radius: float = 2.0
    scale: float = 0.02

    def __post_init__(self) -> None:
        whole(self.modes, "modes")
        positive(self.radius, "radius")
        positive(self.scale, "scale")

    @property
    def centres(self) -> Tensor:
        """The centres of the Gaussians, shape (modes, 2), float64."""
        k = torch.arange(self.modes, dtype=torch.float64)
        return self.radius * _direction(2 * math.pi * k / self.modes)


@dataclass(frozen=True)
class Grid(_Gaussians):
    r"""Equally likely Gaussians on a square grid; the defaults are those of Lin et al.

    .. math:: p(x) = \frac1{m^2} \sum_{i,j=0}^{m-1} N(x;\, c_{ij},\, s^2 I),
              \qquad c_{ij} = \delta\,\bigl(i - \tfrac{m-1}2,\ j - \tfrac{m-1}2\bigr)

    Args:
        side: m, at least 1.
        spacing: δ > 0.
        scale: the standard deviation s > 0.

    Raises:
        ValueError: a parameter out of its range.

    References:
        Lin et al. (2018), PacGAN: the power of two samples in generative adversarial networks,
        arXiv 1712.04086.

    Example:
        >>> Grid(side=2).centres
        tensor([[-1., -1.],
                [-1.,  1.],
                [ 1., -1.],
                [ 1.,  1.]], dtype=torch.float64)
    """

    side: int = 5
    spacing: float = 2.0
    scale: float = 0.05

    def __post_init__(self) -> None:
        whole(self.side, "side")
        positive(self.spacing, "spacing")
        positive(self.scale, "scale")

    @property
    def centres(self) -> Tensor:
        """The centres of the Gaussians, shape (side², 2), float64."""
        steps = torch.arange(self.side, dtype=torch.float64) - (self.side - 1) / 2
        return self.spacing * torch.cartesian_prod(steps, steps)


class _Tube(ABC):
    r"""Gaussian noise around a curve; a subclass says which curve.

    .. math:: x = c(u) + \sigma\varepsilon,\quad u \sim U[0, 1],\ \varepsilon \sim N(0, I),
              \qquad p(x) = \int_0^1 N(x;\, c(u),\, \sigma^2 I)\, du

    The integral is computed by Gauss-Legendre with 32 nodes on each of an even number of equal
    panels, so that the curve may break at u = 1/2. No panel is longer than 5σ, nor than 5, as
    these curves bend on a scale of one. The density then has an error below 1e-10 in the whole
    plane; its logarithm has one below 1e-10 within 20σ of the curve, where it is above -210, and
    a relative error below 1e-5 elsewhere. The tests measure this against many more nodes and
    against adaptive quadrature.
    """

    noise: float

    @abstractmethod
    def curve(self, u: Tensor) -> Tensor:
        """The points c(u), shape (n, 2), of ``u`` in [0, 1], shape (n,)."""

    @property
    @abstractmethod
    def _length(self) -> float:
        """An upper bound of the length of c'(u)."""

    def _check_noise(self) -> None:
        positive(self.noise, "noise")
        smallest = self._length / (5 * 1000)
        if self.noise < smallest:
            raise ValueError(
                f"Expected noise >= {smallest:.2g}, got {self.noise}: the quadrature along this "
                "curve stops at 1000 panels of five standard deviations each."
            )

    @cached_property
    def _rule(self) -> tuple[Tensor, Tensor]:
        """Points on the curve, and the weights of the quadrature, which sum to one."""
        panels = 2 * math.ceil(self._length / (5 * min(self.noise, 1.0)) / 2)
        z, w = map(torch.from_numpy, np.polynomial.legendre.leggauss(32))
        left = torch.arange(panels, dtype=torch.float64)[:, None]
        u = (left + (z + 1) / 2) / panels
        return self.curve(u.flatten()), (w / 2 / panels).repeat(panels)

    def sample(self, n: int, *, generator: torch.Generator | None = None) -> Tensor:
        """Draw ``n`` points, shape (n, 2): a point of the curve, then Gaussian noise."""
        u = torch.rand(sample_size(n), generator=generator)
        return self.curve(u) + self.noise * torch.randn(n, 2, generator=generator)

    def log_prob(self, x: Tensor) -> Tensor:
        """Log-density in nats, shape (n,), of ``x`` of shape (n, 2)."""
        return _log_mixture(query_points(x, (2,)), *self._rule, self.noise)


@dataclass(frozen=True)
class TwoMoons(_Tube):
    r"""Two half circles that reach into each other, with Gaussian noise.

    .. math:: c(u) = (\cos 2\pi u,\ \sin 2\pi u)
              + \bigl[u \ge \tfrac12\bigr]\, \bigl(1,\ \tfrac12\bigr)

    The geometry is that of ``sklearn.datasets.make_moons``, which spaces its points evenly along
    the curve where these are uniform. The noise is integrated out by quadrature, with an error of
    the density below 1e-10.

    Args:
        noise: the standard deviation σ of the noise, at least 0.0013.

    Raises:
        ValueError: noise too small for the quadrature.

    Example:
        >>> moons = TwoMoons(noise=0.1)
        >>> moons.sample(3, generator=torch.Generator().manual_seed(0)).shape
        torch.Size([3, 2])
        >>> round(moons.log_prob(torch.tensor([[0.0, 1.0]])).item(), 4)
        -0.453
    """

    noise: float = 0.1

    def __post_init__(self) -> None:
        self._check_noise()

    def curve(self, u: Tensor) -> Tensor:
        """The points c(u), shape (n, 2), of ``u`` in [0, 1], shape (n,)."""
        lower = (u >= 0.5)[:, None] * torch.tensor([1.0, 0.5]).to(u)
        return _direction(2 * math.pi * u) + lower

    @property
    def _length(self) -> float:
        return 2 * math.pi


@dataclass(frozen=True)
class Spiral(_Tube):
    r"""An Archimedean spiral with Gaussian noise: the swiss roll in the plane.

    .. math:: c(u) = r\,(\cos 2\pi r,\ \sin 2\pi r), \qquad r = \tfrac34 + t u

    Neighbouring turns are one apart. With t = 1.5 the geometry is that of
    ``sklearn.datasets.make_swiss_roll`` in its first and third coordinates, divided by 2π. The
    noise is integrated out by quadrature, with an error of the density below 1e-10.

    Args:
        turns: the number t > 0 of turns.
        noise: the standard deviation σ of the noise, at least 0.0043 for 1.5 turns.

    Raises:
        ValueError: a parameter out of its range, or noise too small for the quadrature.

    References:
        Sohl-Dickstein et al. (2015), Deep unsupervised learning using nonequilibrium
        thermodynamics, arXiv 1503.03585, figure 1, where diffusion learns such a roll.

    Example:
        >>> Spiral().curve(torch.tensor([0.25, 0.5])).round(decimals=3).abs()
        tensor([[0.7950, 0.7950],
                [1.5000, 0.0000]])
    """

    turns: float = 1.5
    noise: float = 0.1

    def __post_init__(self) -> None:
        positive(self.turns, "turns")
        self._check_noise()

    def curve(self, u: Tensor) -> Tensor:
        """The points c(u), shape (n, 2), of ``u`` in [0, 1], shape (n,)."""
        radius = 0.75 + self.turns * u
        return radius[:, None] * _direction(2 * math.pi * radius)

    @property
    def _length(self) -> float:
        return self.turns * math.hypot(1, 2 * math.pi * (0.75 + self.turns))


def _direction(angle: Tensor) -> Tensor:
    """The unit vectors (cos, sin), shape (n, 2)."""
    return torch.stack([angle.cos(), angle.sin()], dim=-1)


def _log_mixture(x: Tensor, centres: Tensor, weights: Tensor, scale: float) -> Tensor:
    """log Σ_k w_k N(x; c_k, scale² I) in nats, shape (n,), in the dtype of ``x``."""
    log_factors = (weights.log() - math.log(2 * math.pi * scale**2)).to(x)
    centres = centres.to(x)

    def log_density(block: Tensor) -> Tensor:
        across, up = ((block[:, None] - centres) / scale).unbind(-1)
        return torch.logsumexp(log_factors - (across**2 + up**2) / 2, dim=1)

    rows = max(1, 2**20 // len(centres))  # so many at a time, to keep the memory small
    return torch.cat([log_density(block) for block in x.split(rows)])
