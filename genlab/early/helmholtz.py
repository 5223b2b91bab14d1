"""The Helmholtz machine: one net dreams from the top down, another recognises from the bottom up.

Both are stochastic, and neither inverts the other: were each the other's inverse, the machine would
be a deterministic change of variables.
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Generator, Tensor, nn

from genlab.early.belief import SigmoidBeliefNet, coins, log_bernoulli
from genlab.em.kmeans import count
from genlab.models import catalogued
from genlab.nets import weights_from

__all__ = ["HelmholtzMachine"]


@catalogued(chapter="early", source="Dayan, Hinton, Neal and Zemel 1995")
class HelmholtzMachine(nn.Module):
    """A belief net p(x, z) and a recognition net q(z | x) of the same units, with its own weights.

    .. math:: q(z \\mid x) = \\prod_{l=1}^L q(z^l \\mid z^{l-1}), \\qquad
              q(z_i^l = 1 \\mid z^{l-1}) = \\sigma(R_i^l z^{l-1} + c_i^l), \\qquad z^0 = x

    The generative half is an explicit law, whose likelihood a sum over z tells; the recognition
    half is an approximation of its posterior. Given x the units of z¹ are independent under q.

    Args:
        visible, hidden, generator: as in :class:`SigmoidBeliefNet`.

    Attributes:
        generative: the :class:`SigmoidBeliefNet`, θ.
        recognition: a linear layer for each hidden layer, from below, φ.

    Raises:
        ValueError: as :class:`SigmoidBeliefNet`.

    Source: Dayan, Hinton, Neal and Zemel 1995, Neural Computation 7, 889.

    Example:
        >>> g = torch.Generator().manual_seed(0)
        >>> machine = HelmholtzMachine(4, [3, 2], generator=g)
        >>> x = machine.sample(5, generator=g)
        >>> z = machine.infer(x, generator=g)
        >>> x.shape, z.shape, machine.elbo(x, generator=g).shape
        (torch.Size([5, 4]), torch.Size([5, 5]), torch.Size([5]))
    """

    def __init__(
        self, visible: int, hidden: Sequence[int], *, generator: Generator | None = None
    ) -> None:
        super().__init__()
        self.generative = SigmoidBeliefNet(visible, hidden, generator=generator)
        self.event = self.generative.event
        with weights_from(generator):
            self.recognition = nn.ModuleList(
                nn.Linear(below, above) for below, above in pairwise((visible, *hidden))
            )

    def log_joint(self, x: Tensor, z: Tensor) -> Tensor:
        """log p(x, z) of the generative net, nats."""
        return self.generative.log_joint(x, z)

    def log_q(self, x: Tensor, z: Tensor) -> Tensor:
        """log q(z | x) in nats, ``[...]``, of x ``[..., visible]`` and z ``[..., H]``."""
        units = [x, *z.split(self.generative.hidden, -1)]
        logits = [layer(below) for layer, below in zip(self.recognition, units, strict=False)]
        return sum(map(log_bernoulli, logits, units[1:]))

    @torch.no_grad()
    def infer(self, x: Tensor, *, generator: Generator | None = None) -> Tensor:
        """A draw z ~ q(z | x) from the bottom up, ``[..., H]``, of x ``[..., visible]``."""
        units = [torch.as_tensor(x).to(self.generative.top.dtype)]
        for layer in self.recognition:
            units.append(coins(layer(units[-1]), generator=generator))
        return torch.cat(units[1:], -1)

    def sample(self, n: int, *, generator: Generator | None = None) -> Tensor:
        """The x of n dreams, int64 ``[n, visible]``."""
        return self.generative.sample(n, generator=generator)

    def log_weights(self, x: Tensor, k: int, *, generator: Generator | None = None) -> Tensor:
        """log p(x, z) − log q(z | x) at k draws z ~ q(z | x) for each x, ``[k, batch]``, nats."""
        x = self.generative.check(x).expand(count(k, "k"), -1, -1)
        z = self.infer(x, generator=generator)
        return self.log_joint(x, z) - self.log_q(x, z)

    @torch.no_grad()
    def elbo(self, x: Tensor, n: int = 1, *, generator: Generator | None = None) -> Tensor:
        """E_q[log p(x, z) − log q(z | x)] ≤ log p(x) from n draws, ``[batch]``: unbiased, nats."""
        return self.log_weights(x, n, generator=generator).mean(0)

    def table(self, x: Tensor) -> Tensor:
        """log q(z | x) at every state of z, ``[batch, 2^H]``; with at most 20 hidden units."""
        z = self.generative.states()
        x = self.generative.check(x)[:, None].expand(-1, len(z), -1)
        return self.log_q(x, z.expand(len(x), -1, -1))
