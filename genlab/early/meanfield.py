"""Mean field for a sigmoid belief net: independent units stand in for the posterior.

The bound needs E log(1 + eᵃ), a = w·z + b a sum of independent coins. That has no closed form, but
E e^(ta) has one, a product; so each unit gets a slope ξ and one more bound:

    E log(1 + eᵃ) = ξ E a + E log(e^(−ξa) + e^((1−ξ)a)) ≤ ξ E a + log E[e^(−ξa) + e^((1−ξ)a)]
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from genlab.early.belief import SigmoidBeliefNet, log_bernoulli
from genlab.em.kmeans import count

__all__ = ["MeanField", "belief_bound", "factorised", "mean_field"]


def factorised(mean: Tensor, z: Tensor) -> Tensor:
    """q(z) = Πⱼ μⱼ^zⱼ (1 − μⱼ)^(1−zⱼ) at each of m states, ``[batch, m]``.

    Args:
        mean: μ, ``[batch, units]``, strictly between 0 and 1. z: ``[m, units]``.

    Example:
        >>> factorised(torch.tensor([[0.5, 0.75]]), torch.tensor([[1.0, 1.0], [0.0, 0.0]]))
        tensor([[0.3750, 0.1250]])
    """
    return log_bernoulli(mean.logit()[:, None], z).exp()


def belief_bound(net: SigmoidBeliefNet, x: Tensor, mean: Tensor, slope: Tensor) -> Tensor:
    """A lower bound of log p(x) in closed form, for any means μ and slopes ξ, ``[batch]`` in nats.

    It is the evidence lower bound of the factorised q less what the bound on E log(1 + eᵃ) costs.

    Args:
        x: ``[batch, visible]``.
        mean: μ, the chance of each hidden unit, ``[batch, H]``, strictly between 0 and 1.
        slope: ξ, for each unit that has parents, x and then all hidden layers but the last,
            ``[batch, visible + H − hidden[-1]]``. Every number is allowed, the best is in [0, 1].

    Raises:
        ValueError: data that are not zeros and ones, or means and slopes of another shape.

    Source: Saul, Jaakkola and Jordan 1996, JAIR 4, 61.

    Example: without weights the bound is log p(x).
        >>> net = SigmoidBeliefNet(3, [2])
        >>> for w in net.parameters():
        ...     _ = nn.init.zeros_(w)
        >>> half = torch.full((1, 3), 0.5)
        >>> belief_bound(net, torch.ones(1, 3), half[:, :2], half).exp()
        tensor([0.1250], grad_fn=<ExpBackward0>)
    """
    x = net.check(x)
    wanted = (len(x), sum(net.hidden)), (len(x), x.shape[1] + sum(net.hidden[:-1]))
    if (tuple(mean.shape), tuple(slope.shape)) != wanted:
        raise ValueError(
            f"Expected means and slopes of shape {wanted[0]} and {wanted[1]}, got "
            f"{tuple(mean.shape)} and {tuple(slope.shape)}."
        )
    units = [x, *mean.split(net.hidden, -1)]
    slopes = slope.split([len(u[0]) for u in units[:-1]], -1)
    bound = log_bernoulli(net.top, units[-1]) - log_bernoulli(mean.logit(), mean)
    for layer, below, above, xi in zip(net.layers, units, units[1:], slopes, strict=False):
        moments = [_log_moment(layer, above, t) for t in (-xi, 1 - xi)]
        bound = bound + ((below - xi) * layer(above) - torch.logaddexp(*moments)).sum(-1)
    return bound


class MeanField(NamedTuple):
    """What :func:`mean_field` returns.

    Attributes:
        mean: μ of the hidden units, ``[batch, H]``.
        bound: on log p(x), ``[batch]``, nats.
    """

    mean: Tensor
    bound: Tensor


def mean_field(net: SigmoidBeliefNet, x: Tensor, steps: int = 100) -> MeanField:
    """Climb :func:`belief_bound` in the means and slopes of each x, from ½ everywhere.

    A local maximum: where the posterior has two modes, q takes one.

    Args:
        steps: of L-BFGS, which stops earlier where nothing more is gained.

    Raises:
        ValueError: bad data, or no step.

    Source: Saul, Jaakkola and Jordan 1996, who solve for one unit at a time.

    Example:
        >>> net = SigmoidBeliefNet(4, [3], generator=torch.Generator().manual_seed(0)).double()
        >>> x = torch.tensor([[1, 0, 1, 1]])
        >>> log_p, bound = net.log_prob(x).item(), mean_field(net, x).bound.item()
        >>> 0 < log_p - bound < 0.05
        True
    """
    x = net.check(x)
    u = x.new_zeros(len(x), sum(net.hidden), requires_grad=True)
    v = x.new_zeros(len(x), x.shape[1] + sum(net.hidden[:-1]), requires_grad=True)
    search = torch.optim.LBFGS(
        [u, v], max_iter=count(steps, "steps"), line_search_fn="strong_wolfe"
    )

    def loss() -> Tensor:
        with torch.enable_grad():
            value = -belief_bound(net, x, _inside(u), v.sigmoid()).sum()
        u.grad, v.grad = torch.autograd.grad(value, (u, v))
        return value.detach()

    search.step(loss)
    mean = _inside(u.detach())
    return MeanField(mean, belief_bound(net, x, mean, v.detach().sigmoid()).detach())


def _log_moment(layer: nn.Linear, mean: Tensor, t: Tensor) -> Tensor:
    """log E e^(ta) = tb + Σⱼ log(1 + μⱼ (e^(t wⱼ) − 1)) of each unit, ``[batch, units]``."""
    factors = torch.expm1(t[..., None] * layer.weight)
    return t * layer.bias + torch.log1p(mean[:, None] * factors).sum(-1)


def _inside(u: Tensor) -> Tensor:
    """σ(u), never 0 or 1: beyond ±15 nothing is gained, and the logarithms would be infinite."""
    return u.clamp(-15, 15).sigmoid()
