"""Small machines by enumeration: what everything random in this chapter is held against.

With n binary units there are 2ⁿ states. Up to twenty units a sum over all of them is a matter of a
second, and then Z, every probability, every gradient and every bias are known to all digits.
"""

import torch
from torch import Tensor
from torch.nn.functional import softplus

from genlab.divergences import probabilities
from genlab.early.boltzmann import RBM
from genlab.early.states import states
from genlab.em.kmeans import count

__all__ = [
    "expected_divergence",
    "law",
    "log_partition",
    "tables",
    "tied_net",
]


def log_partition(model: RBM) -> Tensor:
    """log Z = log Σ_x exp(−F(x)), by a sum over the states of the smaller side.

    The other side is summed in closed form, since its units are independent given the first:
    Z = Σ_h exp(c·h) Π_i (1 + exp(b_i + W_i·h)). The gradient is what a machine dreams:
    −E_p ∂F/∂θ.

    Args:
        model: with at most twenty units on its smaller side.

    Returns:
        a tensor without axes, nats; it can be differentiated.

    Raises:
        ValueError: more than twenty units on both sides.

    Source: Salakhutdinov and Murray 2008, ICML, section 2 (an RBM with few hidden units).

    Example: without weights all 2⁵ states have energy 0.
        >>> model = RBM(3, 2)
        >>> _ = torch.nn.init.zeros_(model.W)
        >>> round(log_partition(model).item() / torch.tensor(2.0).log().item(), 4)
        5.0
    """
    d, m = model.W.shape
    blocks = []
    for s in states(min(d, m)).to(model.W).split(2**14):
        if m < d:
            blocks.append((s @ model.c + softplus(s @ model.W.T + model.b).sum(1)).logsumexp(0))
        else:
            blocks.append((-model.energy(s)).logsumexp(0))
    return torch.stack(blocks).logsumexp(0)


@torch.no_grad()
def law(model: RBM) -> Tensor:
    """p(x) of all 2^d visible states in the order of :func:`states`, ``[2^d]``.

    Args:
        model: with at most twenty visible units.

    Raises:
        ValueError: more of them.

    Example:
        >>> model = RBM(2, 1)
        >>> _ = torch.nn.init.zeros_(model.W)
        >>> law(model)
        tensor([0.2500, 0.2500, 0.2500, 0.2500])
    """
    return (-model.energy(states(len(model.b)))).softmax(0)


@torch.no_grad()
def tables(model: RBM) -> tuple[Tensor, Tensor]:
    """p(h | x) ``[2^d, 2^m]`` and p(x | h) ``[2^m, 2^d]``, of all states.

    One after the other they are the transition matrix of a sweep, from x to x:
    ``up @ down``. They are also the two kinds of layers of a sigmoid net with tied weights.

    Args:
        model: with d + m ≤ 20 units in all, as a table has 2^(d + m) entries.

    Raises:
        ValueError: more than twenty units in all.

    Example:
        >>> up, down = tables(RBM(3, 2, generator=torch.Generator().manual_seed(0)))
        >>> up.shape, bool((up.sum(1) - 1).abs().max() < 1e-6)
        (torch.Size([8, 4]), True)
    """
    d, m = model.W.shape
    if d + m > 20:
        raise ValueError(
            f"Expected at most 20 units in all for a table of 2^(d + m) entries, got {d} + {m}. "
            "Run chains instead: model.gibbs."
        )
    x, h = states(d).to(model.W), states(m).to(model.W)
    a, b = x @ model.W + model.c, h @ model.W.T + model.b
    up = (a @ h.T - softplus(a).sum(1, keepdim=True)).exp()
    down = (b @ x.T - softplus(b).sum(1, keepdim=True)).exp()
    return up, down


@torch.no_grad()
def tied_net(model: RBM, pairs: int) -> Tensor:
    """p(x) of a directed sigmoid net with this many pairs of layers, all with the RBM's weights.

    Fair coins stand at the top; below them W and its transpose by turns, x last. Each pair is a
    sweep of the RBM's Gibbs sampler, so the deeper the net, the nearer to the RBM's law: in total
    variation by the same factor for each pair. With other weights in each pair it is another law.

    Args:
        model: with at most twenty units in all.
        pairs: 1 or more pairs of layers above the last layer.

    Returns:
        ``[2^d]`` in the order of :func:`states`.

    Raises:
        ValueError: more units, or no pair.

    Source: Hinton, Osindero and Teh 2006, Neural Computation 18, 1527, section 3.

    Example:
        >>> from genlab.divergences import total_variation
        >>> model = RBM(4, 3, generator=torch.Generator().manual_seed(0)).double()
        >>> _ = torch.nn.init.normal_(model.W, generator=torch.Generator().manual_seed(1))
        >>> far, near = (total_variation(tied_net(model, n), law(model)).item() for n in (1, 9))
        >>> near < far / 100
        True
    """
    up, down = tables(model)
    h = up.new_full((len(down),), 1 / len(down))
    for _ in range(count(pairs, "pairs")):
        h = h @ down @ up
    return h @ down


def expected_divergence(model: RBM, data: Tensor, k: int | None) -> Tensor:
    """What CD-k descends on average, with every draw replaced by its expectation.

    E_data F(x) − E F(x⁻), x⁻ after k sweeps from the data; its gradient in the weights is the
    expected gradient of :func:`contrastive_divergence`. With k = None the chain has reached the
    model's law, and the gradient is that of the negative log-likelihood. The difference of two
    such gradients is the bias.

    Args:
        model: with at most twenty units in all.
        data: p_data over all 2^d states, ``[2^d]``.
        k: sweeps, or None for endlessly many.

    Returns:
        a tensor without axes; not its value, its gradient is meant.

    Raises:
        ValueError: more units, k below 1, or data that are no law over the states.

    Source: Carreira-Perpiñán and Hinton 2005, AISTATS, 33 (the bias of CD, by enumeration).

    Example:
        One visible unit, always 1. The likelihood pulls at its bias by 1 − p(1); CD-1 by less, for
        a sweep from 1 often comes back to 1.

        >>> model, data = RBM(1, 1).double(), torch.tensor([0.0, 1.0])
        >>> _ = torch.nn.init.constant_(model.W, 3.0)
        >>> for k in (1, None):
        ...     pull = torch.autograd.grad(expected_divergence(model, data, k), model.b)[0]
        ...     print(round(-pull.item(), 3))
        0.069
        0.087
    """
    (data,) = probabilities(data)
    up, down = tables(model)
    if data.shape != (len(up),):
        raise ValueError(
            f"Expected p_data over the {len(up)} states of x, got shape {tuple(data.shape)}."
        )
    fantasy = law(model) if k is None else data.to(up)
    for _ in range(0 if k is None else count(k, "k")):
        fantasy = fantasy @ up @ down
    return (data.to(up) - fantasy) @ model.energy(states(len(model.b)))
