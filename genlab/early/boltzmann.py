"""Restricted Boltzmann machines: two layers of bits, and an energy in place of a direction.

::

    E(x, h) = − x·W h − b·x − c·h,      p(x, h) = exp(−E(x, h)) / Z

No unit is joined to one of its own layer: given h all bits of x are independent, and given x all
of h. So the sum over h has a closed form, the free energy F(x) = − log Σ_h exp(−E(x, h)), and a
sweep of Gibbs sampling is two matrix products. Z has none: learning needs the model's own draws.
"""

import torch
from torch import Generator, Tensor, nn
from torch.nn.functional import softplus

from genlab.early.states import binary
from genlab.em.kmeans import count
from genlab.models import catalogued, sample_size

__all__ = ["RBM"]


@catalogued(chapter="early", source="Smolensky 1986; Hinton 2002")
class RBM(nn.Module):
    """Restricted Boltzmann machine of binary units, p(x) = exp(−F(x)) / Z.

    .. math:: F(x) = -b \\cdot x - \\sum_j \\log(1 + e^{c_j + (x W)_j})

    Args:
        visible: number of units of x.
        hidden: number of units of h.
        generator: source of the first weights, N(0, 0.01²); the biases b and c start at 0.

    Attributes:
        W: weights ``[visible, hidden]``.
        b, c: biases of x and of h.
        chains: states x ``[chains, visible]`` of the persistent chains; none until
            :meth:`start_chains`. A checkpoint holds them: to load it, start as many.

    Raises:
        ValueError: no visible or no hidden unit; data that are not zeros and ones.

    Source: Smolensky 1986, in Parallel distributed processing 1, 194 (the harmonium); Hinton 2002,
        Neural Computation 14, 1771.

    Example:
        >>> g = torch.Generator().manual_seed(0)
        >>> model = RBM(4, 3, generator=g)
        >>> x = model.sample(2, steps=10, generator=g)
        >>> x.shape, model.energy(x).shape
        (torch.Size([2, 4]), torch.Size([2]))
    """

    chains: Tensor

    def __init__(self, visible: int, hidden: int, *, generator: Generator | None = None) -> None:
        super().__init__()
        shape = count(visible, "visible"), count(hidden, "hidden")
        self.W = nn.Parameter(0.01 * torch.randn(shape, generator=generator))
        self.b, self.c = nn.Parameter(torch.zeros(visible)), nn.Parameter(torch.zeros(hidden))
        self.register_buffer("chains", torch.empty(0, visible))

    def joint_energy(self, x: Tensor, h: Tensor) -> Tensor:
        """E(x, h), ``[batch]``. It is linear in h and in x, so means may stand in their places."""
        return -((x @ self.W) * h).sum(-1) - x @ self.b - h @ self.c

    def energy(self, x: Tensor) -> Tensor:
        """The free energy F(x) = −log Σ_h exp(−E(x, h)), ``[batch]``: −log p(x) up to log Z."""
        x = self.bits(x)
        return -(x @ self.b) - softplus(x @ self.W + self.c).sum(-1)

    def hidden(self, x: Tensor, temperature: float = 1.0) -> Tensor:
        """p(h_j = 1 | x) = σ(c_j + (x W)_j), ``[batch, hidden]``."""
        return ((x @ self.W + self.c) / temperature).sigmoid()

    def visible(self, h: Tensor, temperature: float = 1.0) -> Tensor:
        """p(x_i = 1 | h) = σ(b_i + (W h)_i), ``[batch, visible]``."""
        return ((h @ self.W.T + self.b) / temperature).sigmoid()

    @torch.no_grad()
    def gibbs(
        self,
        x: Tensor,
        steps: int = 1,
        *,
        clamped: Tensor | None = None,
        temperature: float = 1.0,
        generator: Generator | None = None,
    ) -> Tensor:
        """Sweeps of block Gibbs sampling from x: all of h given x, then all of x given h.

        A sweep keeps p; with clamped units it keeps p(others | clamped).

        Args:
            x: where the chains stand, ``[batch, visible]``.
            steps: sweeps, 1 or more.
            clamped: true where a unit keeps its value, ``[visible]`` or ``[batch, visible]``.
            temperature: T > 0; the chain then draws from exp(−E / T).
        """
        x = self.bits(x)
        if not temperature > 0:
            raise ValueError(f"Expected a temperature > 0, got {temperature}.")
        for _ in range(count(steps, "steps")):
            h = torch.bernoulli(self.hidden(x, temperature), generator=generator)
            drawn = torch.bernoulli(self.visible(h, temperature), generator=generator)
            x = drawn if clamped is None else torch.where(clamped, x, drawn)
        return x

    def sample(self, n: int, *, steps: int = 1000, generator: Generator | None = None) -> Tensor:
        """n states, one of each of n chains that begin with fair coins, ``[n, visible]``.

        They follow p only once the chains have forgotten the coins: in the limit of many steps.
        """
        coins = torch.full((sample_size(n), len(self.b)), 0.5).to(self.W)
        return self.gibbs(torch.bernoulli(coins, generator=generator), steps, generator=generator)

    def start_chains(self, n: int, *, generator: Generator | None = None) -> None:
        """Give the machine n persistent chains; they begin with fair coins."""
        self.chains = self.sample(count(n, "n"), steps=1, generator=generator)

    def move_chains(self, k: int = 1, *, generator: Generator | None = None) -> Tensor:
        """Move the persistent chains by k sweeps; where they stand then, ``[chains, visible]``.

        Raises:
            ValueError: chains that were not started, or k below 1.
        """
        if len(self.chains) == 0:
            raise ValueError(
                "The persistent chains have not been started. Before the first step: "
                "start_chains(100, generator=g)."
            )
        self.chains = self.gibbs(self.chains, count(k, "k"), generator=generator)
        return self.chains

    def bits(self, x: Tensor) -> Tensor:
        """x in the weights' dtype, or a sentence that says what is wrong with it."""
        x = torch.as_tensor(x)
        fast = x.dtype == self.W.dtype and x.ndim == 2 and x.shape[1] == len(self.b)
        # 0 and 1 are their own squares, NaN is not: quick, as this runs at every step of a fit.
        if fast and (x - x * x).abs().sum().item() == 0:
            return x
        return binary(x, len(self.b)).to(self.W)
