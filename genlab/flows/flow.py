"""A flow: a simple law, seen through an invertible map.

log p(x) = log p_Z(z) + log |det ∂z/∂x| at z = f⁻¹(x): both terms come from one pass.
"""

import math
from collections.abc import Sequence

import torch
from torch import Generator, Tensor, nn

from genlab.flows.transforms import Transform
from genlab.models import Density, catalogued, query_points, sample_size

__all__ = ["Flow", "StandardNormal", "UnitCube", "negative_log_likelihood"]


class _Base(nn.Module):
    """A law without parameters that draws in the dtype and on the device it is moved to."""

    def __init__(self, event: Sequence[int]) -> None:
        super().__init__()
        self.event = tuple(event)
        self.register_buffer("zero", torch.zeros(()), persistent=False)

    def _checked(self, z: Tensor) -> Tensor:
        if z.ndim == 0 or tuple(z.shape[1:]) != self.event:
            query_points(z, self.event)  # it raises: a shape (n, 1) would else be summed in silence
        return z

    def _shape(self, n: int, generator: Generator | None) -> dict:
        zero = self.zero
        shape = (sample_size(n), *self.event)
        return {"size": shape, "generator": generator, "dtype": zero.dtype, "device": zero.device}


class StandardNormal(_Base):
    """N(0, I): log p(z) = −|z|²/2 − (d/2) log 2π.

    Args:
        event: shape of z, with d entries.

    Example:
        >>> StandardNormal((2,)).log_prob(torch.zeros(1, 2))
        tensor([-1.8379])
    """

    def log_prob(self, z: Tensor) -> Tensor:
        constant = 0.5 * math.prod(self.event) * math.log(2 * math.pi)
        return -0.5 * (self._checked(z) ** 2).flatten(1).sum(1) - constant

    def sample(self, n: int, *, generator: Generator | None = None) -> Tensor:
        return torch.randn(**self._shape(n, generator))


class UnitCube(_Base):
    """The uniform law on [0, 1]^d: log p(z) = 0 inside, −∞ outside; it draws no 0.

    Args:
        event: shape of z, with d entries.

    Example:
        >>> UnitCube((2,)).log_prob(torch.tensor([[0.1, 1.0], [0.1, 1.1]]))
        tensor([0., -inf])
    """

    def log_prob(self, z: Tensor) -> Tensor:
        z = self._checked(z)
        inside = ((z >= 0) & (z <= 1)).flatten(1).all(1)
        return z.new_zeros(len(z)).masked_fill(~inside, -math.inf)

    def sample(self, n: int, *, generator: Generator | None = None) -> Tensor:
        return 1 - torch.rand(**self._shape(n, generator))  # not 0, of which the logarithm is taken


@catalogued(chapter="flows", source="Rezende and Mohamed 2015")
class Flow(nn.Module):
    """The law of x = f(z) with z from a base law and f invertible; its density is exact.

    .. math:: \\log p(x) = \\log p_Z(f^{-1}(x))
              + \\log \\left|\\det \\frac{\\partial f^{-1}(x)}{\\partial x}\\right|

    Args:
        base: law of z; it has ``log_prob(z)`` and ``sample(n, generator=…)``.
        transform: f⁻¹, from x to z, see :class:`Transform`.

    Raises:
        TypeError: a base or a transform without these words.
        ValueError: a base of another shape than the transform's z; points of another shape than x,
            NaN or infinite.

    Source: Rezende and Mohamed 2015, arXiv:1505.05770, eqs. 5-7; Papamakarios et al. 2021,
        arXiv:1912.02762.

    Example: N(0, 4) as a scaled N(0, 1).
        >>> from genlab.flows import Scaling
        >>> model = Flow(StandardNormal((1,)), Scaling((1,)))
        >>> model.transform.log_scale.data -= math.log(2)
        >>> round(model.log_prob(torch.tensor([[2.0]])).item(), 4)
        -2.1121
        >>> round(torch.distributions.Normal(0.0, 2.0).log_prob(torch.tensor(2.0)).item(), 4)
        -2.1121
    """

    def __init__(self, base: Density, transform: Transform) -> None:
        super().__init__()
        if not isinstance(transform, Transform):
            raise TypeError(f"Expected a Transform, got a {type(transform).__name__}.")
        if not isinstance(base, Density):
            raise TypeError(f"Expected a base with log_prob, got a {type(base).__name__}.")
        self.base, self.transform, self.event = base, transform, transform.event
        try:
            drawn = tuple(base.sample(1, generator=torch.Generator()).shape[1:])
        except TypeError as error:
            raise TypeError(
                f"Expected a base whose sample(n, generator=…) takes a generator, got a "
                f"{type(base).__name__}. StandardNormal(event) is one."
            ) from error
        if drawn != transform.latent:
            raise ValueError(
                f"The base draws z of shape {drawn}, and the transform gives {transform.latent}: "
                "x and z have the same number of dimensions, else x has no density."
            )

    def log_prob(self, x: Tensor) -> Tensor:
        """log p(x) in nats, ``[batch]``."""
        z, log_det = self.transform(self._checked(x))
        return self.base.log_prob(z) + log_det

    @torch.no_grad()
    def sample(self, n: int, *, generator: Generator | None = None) -> Tensor:
        """x = f(z) with z from the base, ``[n, *event]``."""
        z = self.base.sample(sample_size(n), generator=generator)
        return self.transform.inverse(z.to(next(self.parameters(), z)))[0]

    def _checked(self, x: Tensor) -> Tensor:
        # As in the VAE, a finite sum tells quickly that all is finite: this runs at every step.
        x = torch.as_tensor(x)
        wrong = tuple(x.shape[1:]) != self.event or x.ndim == 0 or x.numel() == 0
        if wrong or not x.is_floating_point() or not math.isfinite(x.sum()):
            x = query_points(x, self.event)
        weight = next(self.parameters(), None)
        return x.to(x.dtype if weight is None else weight.dtype)


def negative_log_likelihood(
    model: nn.Module, x: Tensor, generator: Generator | None = None
) -> Tensor:
    """−log p(x), ``[batch]``: what :func:`genlab.train.fit` minimises.

    Raises:
        ValueError: a batch of whole numbers only, to which no noise was added.

    Example:
        >>> from genlab.flows import Scaling
        >>> from genlab.train import fit
        >>> rng = torch.Generator().manual_seed(0)
        >>> x = 3 * torch.randn(500, 1, generator=rng)
        >>> model = Flow(StandardNormal((1,)), Scaling((1,)))
        >>> fit(model, negative_log_likelihood, x, steps=200, lr=0.05, generator=rng)
        History(200 steps, last loss 2.51)
        >>> (-model.transform.log_scale).exp().round().item()
        3.0
    """
    check_continuous(x)
    return -model.log_prob(x)


def check_continuous(x: Tensor) -> None:
    """Refuse rows of whole numbers only."""
    if x.ndim and len(x) > 1 and (x == x.round()).all():
        raise ValueError(
            "Expected continuous data, got whole numbers only: a density on them grows without "
            "bound. Add uniform noise, as Dequantised does."
        )
