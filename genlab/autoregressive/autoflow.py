"""Autoregressive flows: each entry shifted and scaled by what stands before it.

One map read in two directions is two models. MAF computes the parameters from x: the density takes
one pass, a draw n. IAF computes them from z: a draw takes one pass, the density of a given x n.
"""

from collections.abc import Sequence

import torch
from torch import Generator, Tensor, nn

from genlab.autoregressive.made import MaskedMLP
from genlab.autoregressive.orderings import ordering
from genlab.em.kmeans import count
from genlab.flows import Compose, Flow, Inverse, StandardNormal, Transform
from genlab.flows.transforms import Pair
from genlab.models import catalogued

__all__ = ["IAF", "MAF", "MaskedAffine"]


class MaskedAffine(Transform):
    """z_i = (x_i − m_i(x_<i)) exp(−s_i(x_<i)), log |det ∂z/∂x| = −Σ s_i.

    The Jacobian is triangular in the ordering. The inverse goes entry by entry, since the
    parameters of x_i ask for the entries before it: n passes of the network, and exact. As in
    :class:`genlab.flows.AffineCoupling` s = c tanh(a / c).

    Args:
        n: length of x.
        hidden: widths of the network's hidden layers; ``()`` with s constant is a Gaussian with
            any covariance.
        order: the ordering; by default the entries as they stand.
        bound: c > 0.
        generator: source of the first weights. Those of the last layer are 0: it starts as the
            identity.

    Raises:
        ValueError: sizes below 1, an ordering that is no permutation, or a bound of 0 or less.

    Source: Kingma et al. 2016, arXiv:1606.04934; Papamakarios, Pavlakou and Murray 2017,
        arXiv:1705.07057, section 3.

    Example:
        >>> layer = MaskedAffine(3, (8,), generator=torch.Generator().manual_seed(0))
        >>> z, log_det = layer(torch.ones(1, 3))
        >>> z.tolist(), round(abs(log_det.item()), 4)
        ([[1.0, 1.0, 1.0]], 0.0)
    """

    def __init__(
        self,
        n: int,
        hidden: Sequence[int] = (64,),
        *,
        order: Sequence[int] | Tensor | None = None,
        bound: float = 2.0,
        generator: Generator | None = None,
    ) -> None:
        super().__init__((count(n, "n"),))
        if not bound > 0:
            raise ValueError(f"Expected a bound > 0 of the log-scale, got {bound!r}.")
        self.bound = bound
        self.net = MaskedMLP(n, 2, hidden, generator=generator)
        for weight in self.net.layers[-1].parameters():
            nn.init.zeros_(weight)
        self.register_buffer("order", ordering(order, n))
        self.masks = self.net.masks(self.order)

    def forward(self, x: Tensor) -> Pair:
        shift, log_scale = self._shift_and_scale(self.data(x))
        return (x - shift) * torch.exp(-log_scale), -log_scale.sum(1)

    def inverse(self, z: Tensor) -> Pair:
        z = self.base(z)
        x, entries = torch.zeros_like(z), torch.arange(z.shape[1], device=z.device)
        for i in self.order:
            shift, log_scale = self._shift_and_scale(x)
            x = torch.where(entries == i, z * log_scale.exp() + shift, x)
        # In the last pass all but the last entry stood, and no parameter depends on that one.
        return x, log_scale.sum(1)

    def _shift_and_scale(self, x: Tensor) -> Pair:
        shift, a = self.net(x, self.masks).unbind(-1)
        return shift, self.bound * torch.tanh(a / self.bound)


@catalogued(chapter="autoregressive", source="Papamakarios, Pavlakou and Murray 2017")
class MAF(Flow):
    """Masked autoregressive flow: :class:`MaskedAffine` layers with the ordering turned round.

    Args:
        n: length of x.
        layers: their number.
        hidden: widths of each layer's network.
        generator: source of the first weights.

    Source: Papamakarios, Pavlakou and Murray 2017, arXiv:1705.07057.

    Example:
        >>> model = MAF(2, hidden=(8,), generator=torch.Generator().manual_seed(0))
        >>> model.log_prob(torch.zeros(1, 2))
        tensor([-1.8379], grad_fn=<AddBackward0>)
    """

    _direction = nn.Identity()  # of each layer; IAF turns it round

    def __init__(
        self,
        n: int,
        layers: int = 5,
        hidden: Sequence[int] = (64, 64),
        *,
        generator: Generator | None = None,
    ) -> None:
        orders = [torch.arange(count(n, "n")), torch.arange(n).flip(0)]
        turns = [
            MaskedAffine(n, hidden, order=orders[i % 2], generator=generator)
            for i in range(count(layers, "layers"))
        ]
        super().__init__(StandardNormal((n,)), Compose(*map(self._direction, turns)))


@catalogued(chapter="autoregressive", source="Kingma et al. 2016")
class IAF(MAF):
    """Inverse autoregressive flow: the layers of :class:`MAF` in the other direction.

    A draw, and the density of that draw, take one pass of each network. The density of a given x
    takes n: slow for maximum likelihood, right for a posterior from which one draws.

    Args:
        n, layers, hidden, generator: as in :class:`MAF`.

    Source: Kingma et al. 2016, arXiv:1606.04934.

    Example:
        >>> model = IAF(2, hidden=(8,), generator=torch.Generator().manual_seed(0))
        >>> model.sample(3).shape
        torch.Size([3, 2])
    """

    _direction = Inverse
