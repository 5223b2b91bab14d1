"""How a Boltzmann machine learns without its Z, and how it is judged without it.

The gradient of log p(x) has two terms. The data give one: −∂F(x)/∂θ. The other is its mean under
the model, and that takes draws: chains that begin at the data, or chains that never begin anew.
"""

import torch
from torch import Generator, Tensor
from torch.nn.functional import logsigmoid, softplus

from genlab.data.checks import positive
from genlab.early.boltzmann import RBM
from genlab.em.kmeans import count

__all__ = ["contrastive_divergence", "persistent_ascent", "pseudo_log_likelihood"]


def contrastive_divergence(
    model: RBM,
    x: Tensor,
    k: int = 1,
    *,
    persistent: bool = False,
    generator: Generator | None = None,
) -> Tensor:
    """F(x) − mean F(x⁻), x⁻ after k sweeps: what :func:`genlab.train.fit` minimises, ``[batch]``.

    Its value says little, for x⁻ moves with the model. Its mean's gradient is the rule, in W
    −(⟨x hᵀ⟩_data − ⟨x⁻ h⁻ᵀ⟩): correlations in the data, less those in the fantasies. The chains
    start at the data (CD-k, biased: they have not reached the model's law), or they go on from
    where the last step left them (PCD): slow changes of the weights let them keep up.

    Args:
        model: an :class:`RBM`.
        x: ``[batch, visible]``.
        k: sweeps, 1 or more.
        persistent: whether to use and move the model's own chains.

    Raises:
        ValueError: k below 1, chains that were not started, or data that are not zeros and ones.

    Source: Hinton 2002, Neural Computation 14, 1771 (CD); Younes 1989; Tieleman 2008, ICML, 1064
        (PCD).

    Example: two bits that are always equal.
        >>> from functools import partial
        >>> from genlab.train import fit
        >>> g = torch.Generator().manual_seed(0)
        >>> model, x = RBM(2, 2, generator=g), torch.tensor([[0.0, 0.0], [1.0, 1.0]])
        >>> loss = lambda model, x, g: contrastive_divergence(model, x, generator=g)
        >>> _ = fit(model, loss, x.repeat(50, 1), steps=100, lr=0.1, generator=g, progress=False)
        >>> bool((pseudo_log_likelihood(model, x) > -0.3).all())
        True
    """
    x = model.bits(x)
    if persistent:
        fantasy = model.move_chains(k, generator=generator)
    else:
        fantasy = model.gibbs(x, count(k, "k"), generator=generator)
    return model.energy(x) - model.energy(fantasy).mean()


def persistent_ascent(
    model: RBM,
    x: Tensor,
    *,
    epochs: int,
    batch_size: int = 10,
    lr: float = 0.05,
    generator: Generator | None = None,
) -> None:
    """PCD-1 by plain gradient steps, written out: the whole learning rule without autograd.

    The steps are those of SGD on :func:`contrastive_divergence` with ``persistent=True``; machines
    this small take a tenth of the time. Chains that were not started are, one for each example of
    a batch. (From step to step h goes on as it was drawn, before the weights moved.)

    Args:
        model: an :class:`RBM`; its weights and chains change.
        x: ``[n, visible]``.
        epochs: passes through the data, each in another order.
        batch_size: examples in a batch; the last of an epoch may be smaller.
        lr: η, of the mean of a batch.

    Raises:
        TypeError: a model that is more than an RBM.
        ValueError: data that are not zeros and ones, or an argument out of range.

    Source: Tieleman 2008, ICML, 1064.

    Example: bits that are 1 four times out of five; their entropy is 0.5 nats each.
        >>> g = torch.Generator().manual_seed(0)
        >>> x = torch.bernoulli(torch.full((1000, 3), 0.8), generator=g)
        >>> model = RBM(3, 2, generator=g)
        >>> persistent_ascent(model, x, epochs=5, generator=g)
        >>> round(float(pseudo_log_likelihood(model, x).mean()), 1)
        -1.5
    """
    if type(model) is not RBM:
        raise TypeError(
            f"Expected an RBM, whose gradient is written out here, got a {type(model).__name__}. "
            "Train it by genlab.train.fit on contrastive_divergence."
        )
    x, W, b, c = model.bits(x), model.W, model.b, model.c
    positive(lr, "lr")
    size, passes = count(batch_size, "batch_size"), count(epochs, "epochs")
    if len(model.chains) == 0:
        model.start_chains(size, generator=generator)
    with torch.inference_mode():
        v, fall = model.chains, lr / len(model.chains)
        h = torch.bernoulli(model.hidden(v), generator=generator)
        for _ in range(passes):
            order = torch.randperm(len(x), generator=generator, device=x.device)
            for batch in x[order].split(size):
                v = torch.bernoulli(torch.addmm(b, h, W.T).sigmoid_(), generator=generator)
                seen, dreamt = (torch.addmm(c, s, W).sigmoid_() for s in (batch, v))
                h = torch.bernoulli(dreamt, generator=generator)
                rise = lr / len(batch)
                W.addmm_(batch.T, seen, alpha=rise).addmm_(v.T, dreamt, alpha=-fall)
                b.add_(batch.sum(0), alpha=rise).sub_(v.sum(0), alpha=fall)
                c.add_(seen.sum(0), alpha=rise).sub_(dreamt.sum(0), alpha=fall)
        model.chains.copy_(v)


@torch.no_grad()
def pseudo_log_likelihood(model: RBM, x: Tensor) -> Tensor:
    """Σ_i log p(x_i | all other bits), nats, ``[batch]``: no Z in it.

    Each term is log σ(F(x with bit i flipped) − F(x)). It is a yardstick, not a bound on log p(x).

    Args:
        model: an :class:`RBM`.
        x: ``[batch, visible]``.

    Source: Besag 1975, The Statistician 24, 179. scikit-learn's ``score_samples`` takes one random
        i for each row, times the number of bits; its mean is this sum.

    Example: four independent fair coins.
        >>> model = RBM(4, 1)
        >>> _ = torch.nn.init.zeros_(model.W)
        >>> pseudo_log_likelihood(model, torch.zeros(1, 4))
        tensor([-2.7726])
    """
    x = model.bits(x)
    a = x @ model.W + model.c
    here = softplus(a).sum(1)
    total = x.new_zeros(len(x))
    for i, step in enumerate((1 - 2 * x).unbind(1)):
        there = softplus(a + step[:, None] * model.W[i]).sum(1)
        total += logsigmoid(here - there - step * model.b[i])
    return total
