"""Reweighted wake–sleep: several guesses of q for each x, each weighed by how well it explains x.

The weights p(x, z) / q(z | x) turn draws from q into draws from the posterior, the better the more
of them there are. So the recognition net can learn in the wake phase too, from data instead of
dreams, and the generative net climbs a bound that is nearer to log p(x).
"""

import math

import torch
from torch import Generator, Tensor

from genlab.early.helmholtz import HelmholtzMachine
from genlab.em.kmeans import count

__all__ = ["importance_log_prob", "reweighted_wake_sleep_loss"]


@torch.no_grad()
def importance_log_prob(
    machine: HelmholtzMachine, x: Tensor, k: int = 1000, *, generator: Generator | None = None
) -> Tensor:
    """log (1/k) Σᵢ p(x, zᵢ) / q(zᵢ | x) with zᵢ ~ q(z | x), ``[batch]``, nats.

    The average is unbiased for p(x); its logarithm is in the mean too low, the less the more draws.

    Args:
        x: ``[batch, visible]``.
        k: draws for each x.

    Raises:
        ValueError: bad data, or no draws.

    Source: Bornschein and Bengio 2015, arXiv:1406.2751.

    Example:
        >>> g = torch.Generator().manual_seed(0)
        >>> machine, x = HelmholtzMachine(4, [3], generator=g), torch.ones(1, 4)
        >>> estimate = importance_log_prob(machine, x, 10_000, generator=g)
        >>> abs(estimate - machine.generative.log_prob(x)).item() < 0.02
        True
    """
    return machine.log_weights(x, k, generator=generator).logsumexp(0) - math.log(k)


def reweighted_wake_sleep_loss(
    machine: HelmholtzMachine, x: Tensor, generator: Generator | None = None, *, k: int = 5
) -> Tensor:
    """Σᵢ w̃ᵢ [−log p_θ(x, zᵢ) − log q_φ(zᵢ | x)] with zᵢ ~ q_φ(z | x), ``[batch]``.

    w̃ are the k importance weights divided by their sum, held fixed. In θ the gradient is that of
    −log (1/k) Σᵢ wᵢ, whose mean is a bound on −log p(x); in φ it tends with k to that of
    KL(p_θ(z | x) ‖ q_φ(z | x)) at the data: the direction of sleep, without its dreams. With k = 1
    the θ part is the wake phase, and the φ part has mean zero.

    Args:
        x: data ``[batch, visible]``.
        k: draws for each x, 2 or more if the recognition net shall learn.

    Raises:
        ValueError: bad data, or no draws.

    Source: Bornschein and Bengio 2015, arXiv:1406.2751 (its wake phases of θ and φ).

    Example:
        >>> from genlab.train import fit
        >>> g = torch.Generator().manual_seed(0)
        >>> machine = HelmholtzMachine(2, [1], generator=g)
        >>> x = torch.tensor([[0.0, 0.0], [1.0, 1.0]]).repeat(8, 1)
        >>> loss = reweighted_wake_sleep_loss
        >>> fit(machine, loss, x, steps=500, lr=0.05, generator=g).steps_per_epoch
        1
        >>> machine.generative.log_prob(x[:2]).exp().sum() > 0.8  # of fair coins ½
        tensor(True)
    """
    x = machine.generative.check(x).expand(count(k, "k"), -1, -1)
    z = machine.infer(x, generator=generator)
    log_p, log_q = machine.log_joint(x, z), machine.log_q(x, z)
    share = (log_p - log_q).detach().softmax(0)
    return -(share * (log_p + log_q)).sum(0)
