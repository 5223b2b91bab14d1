"""A sigmoid belief net: every unit is a logistic regression on the layer above it.

To draw is easy, from the top down. To infer is not: what causes share, an effect makes dependent.
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Generator, Tensor, nn
from torch.nn.functional import logsigmoid

from genlab import em
from genlab.early.states import binary, states
from genlab.em.kmeans import count
from genlab.models import catalogued, sample_size
from genlab.nets import weights_from

__all__ = [
    "SigmoidBeliefNet",
    "coins",
    "learning_gradient",
    "log_bernoulli",
]


@catalogued(chapter="early", source="Neal 1992")
class SigmoidBeliefNet(nn.Module):
    """Layers of binary units, x = z⁰ at the bottom, each given the one above.

    .. math:: p(x, z) = p(z^L) \\prod_{l=1}^L p(z^{l-1} \\mid z^l), \\qquad
              p(z_i^{l-1} = 1 \\mid z^l) = \\sigma(W_i^l z^l + b_i^l)

    Given the layer above, the units of a layer are independent; so are those of the top layer.

    Args:
        visible: units of x.
        hidden: units of z¹, …, z^L, from the lowest layer up.
        generator: source of the first weights; the top layer starts with fair coins.

    Raises:
        ValueError: no hidden layer, a layer without units; data that are not zeros and ones; more
            than 20 hidden units where z is summed out, in ``table``, ``log_prob``, ``posterior``.

    Source: Neal 1992, Artificial Intelligence 56, 71.

    Example: without weights, eight fair coins.
        >>> net = SigmoidBeliefNet(3, [2])
        >>> for w in net.parameters():
        ...     _ = nn.init.zeros_(w)
        >>> net.log_prob(torch.tensor([[0, 1, 1]])).exp()
        tensor([0.1250], grad_fn=<ExpBackward0>)
    """

    def __init__(
        self, visible: int, hidden: Sequence[int], *, generator: Generator | None = None
    ) -> None:
        super().__init__()
        self.hidden = layer_sizes(hidden)
        self.event = (count(visible, "visible"),)
        with weights_from(generator):
            self.layers = nn.ModuleList(
                nn.Linear(above, below) for below, above in pairwise((visible, *self.hidden))
            )
        self.top = nn.Parameter(torch.zeros(self.hidden[-1]))

    def log_prior(self, z: Tensor) -> Tensor:
        """log p(z) in nats, ``[...]``; z holds all hidden layers side by side, the lowest first."""
        units = z.split(self.hidden, -1)
        logits = [layer(above) for layer, above in zip(self.layers[1:], units[1:], strict=True)]
        return sum(map(log_bernoulli, [*logits, self.top], units))

    def log_joint(self, x: Tensor, z: Tensor) -> Tensor:
        """log p(x, z) in nats, ``[...]``, of x ``[..., visible]`` and z ``[..., H]``."""
        return log_bernoulli(self.layers[0](z[..., : self.hidden[0]]), x) + self.log_prior(z)

    def table(self, x: Tensor) -> Tensor:
        """log p(x, z) at every state of z, in the order of :func:`states`, ``[batch, 2^H]``."""
        z = self.states()
        logits = self.layers[0](z[:, : self.hidden[0]])
        # log p(x | z) is linear in x: one product of matrices instead of a term for each pixel.
        log_likelihood = self.check(x) @ logits.T + logsigmoid(-logits).sum(-1)
        return log_likelihood + self.log_prior(z)

    def log_prob(self, x: Tensor) -> Tensor:
        """log p(x) = log Σ_z p(x, z) in nats, ``[batch]``, by enumeration."""
        return self.table(x).logsumexp(-1)

    def posterior(self, x: Tensor) -> Tensor:
        """p(z | x) at every state of z, ``[batch, 2^H]``."""
        return em.posterior(self.table(x))

    @torch.no_grad()
    def dream(self, n: int, *, generator: Generator | None = None) -> tuple[Tensor, Tensor]:
        """n draws (x, z) from the top down, ``[n, visible]`` and ``[n, H]``."""
        units = [coins(self.top.expand(sample_size(n), -1), generator=generator)]
        for layer in reversed(self.layers):
            units.insert(0, coins(layer(units[0]), generator=generator))
        return units[0], torch.cat(units[1:], -1)

    def sample(self, n: int, *, generator: Generator | None = None) -> Tensor:
        """Ancestral sampling: the x of n dreams, int64 ``[n, visible]``."""
        return self.dream(n, generator=generator)[0].long()

    def states(self) -> Tensor:
        """Every state of z, ``[2^H, H]``."""
        return states(sum(self.hidden)).to(self.top)

    def check(self, x: Tensor) -> Tensor:
        """x in the dtype of the weights, or a sentence that says what is wrong with it."""
        return binary(x, *self.event).to(self.top.dtype)


def log_bernoulli(logits: Tensor, x: Tensor) -> Tensor:
    """log Π σ(aᵢ)^xᵢ σ(−aᵢ)^(1−xᵢ) = Σ [xᵢ aᵢ + log σ(−aᵢ)], nats, ``[...]``.

    Args:
        logits: a, ``[..., units]``.
        x: zeros and ones, ``[..., units]``, or their means: it is linear in x.

    Example:
        >>> log_bernoulli(torch.zeros(2), torch.tensor([1.0, 0.0])).exp()
        tensor(0.2500)
    """
    return (x * logits + logsigmoid(-logits)).sum(-1)


def coins(logits: Tensor, *, generator: Generator | None = None) -> Tensor:
    """One draw of each unit, 1 with probability σ(a), in the shape and dtype of the logits.

    Example:
        >>> coins(torch.tensor([-100.0, 100.0]))
        tensor([0., 1.])
    """
    return torch.bernoulli(logits.detach().sigmoid(), generator=generator)


def learning_gradient(net: SigmoidBeliefNet, x: Tensor) -> dict[str, Tensor]:
    """∇ log p(x), averaged over rows: for each weight E[(sᵢ − pᵢ) sⱼ] under p(z | x).

    The delta rule of logistic regression: sᵢ is the unit, pᵢ the probability that its parents
    give it, sⱼ a parent, 1 for a bias. Each weight asks only the two units that it joins; what it
    asks for is a draw from the posterior.

    Args:
        net: at most 20 hidden units, which are summed out.
        x: ``[batch, visible]``.

    Returns:
        the gradients, under the names of ``net.named_parameters()``.

    Source: Neal 1992, Artificial Intelligence 56, 71.

    Example: one fair cause, one effect, without weights.
        >>> net = SigmoidBeliefNet(1, [1])
        >>> for w in net.parameters():
        ...     _ = nn.init.zeros_(w)
        >>> learning_gradient(net, torch.ones(1, 1))["layers.0.weight"]  # (1 − ½) · E z
        tensor([[0.2500]])
    """
    with torch.no_grad():
        q, x = net.posterior(x), net.check(x)
        units = [x[:, None], *net.states().split(net.hidden, -1)]
        gradient = {"top": q.mean(0) @ (units[-1] - net.top.sigmoid())}
        for k, layer in enumerate(net.layers):
            below, above = units[k : k + 2]
            error = below - layer(above).sigmoid()
            weighted = (q[..., None] * error).mean(0)
            gradient[f"layers.{k}.weight"] = weighted.T @ above
            gradient[f"layers.{k}.bias"] = weighted.sum(0)
    return gradient


def layer_sizes(hidden: Sequence[int]) -> list[int]:
    """Check the sizes of hidden layers: one layer or more, each of one unit or more."""
    if not isinstance(hidden, Sequence) or not hidden:
        raise ValueError(
            f"Expected the sizes of one hidden layer or more, for example [16, 8], got {hidden!r}."
        )
    return [count(size, "the units of a hidden layer") for size in hidden]
