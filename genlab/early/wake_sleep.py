"""Wake–sleep: each half of a Helmholtz machine learns from the draws of the other.

Wake: the recognition net fills in the hidden units of real data, and the generative net learns to
produce them. Sleep: the generative net dreams, and the recognition net learns to say from what.
Both phases are logistic regressions; each descends a free energy, but not the same one.
"""

from typing import NamedTuple

from torch import Generator, Tensor

from genlab.early.helmholtz import HelmholtzMachine
from genlab.early.states import states

__all__ = [
    "FreeEnergies",
    "exact_sleep",
    "exact_wake",
    "free_energies",
    "sleep_loss",
    "wake_loss",
    "wake_sleep_loss",
]


def wake_loss(machine: HelmholtzMachine, x: Tensor, generator: Generator | None = None) -> Tensor:
    """−log p_θ(x, z) with z ~ q_φ(z | x), ``[batch]``: to be minimised in θ.

    Its mean gradient is that of the free energy in θ, for the entropy of q has no θ in it. φ only
    drew z, and gets no gradient.

    Args:
        x: data ``[batch, visible]``.

    Raises:
        ValueError: data that are not zeros and ones.

    Source: Hinton, Dayan, Frey and Neal 1995, Science 268, 1158.

    Example:
        >>> import torch
        >>> machine = HelmholtzMachine(3, [2], generator=torch.Generator().manual_seed(0))
        >>> wake_loss(machine, torch.ones(4, 3)).mean().backward()
        >>> machine.recognition[0].weight.grad is None
        True
    """
    x = machine.generative.check(x)
    return -machine.log_joint(x, machine.infer(x, generator=generator))


def sleep_loss(machine: HelmholtzMachine, n: int, generator: Generator | None = None) -> Tensor:
    """−log q_φ(z | x) at n dreams (x, z) ~ p_θ(x, z), ``[n]``: to be minimised in φ.

    Supervised learning with the model's own answers: a logistic regression for each hidden unit.
    Its mean is E_{p_θ(x)} KL(p_θ(z | x) ‖ q_φ(z | x)) but for a constant: the other direction of
    KL than the bound's, on dreams in place of data. No data enter.

    Source: Hinton, Dayan, Frey and Neal 1995.

    Example:
        >>> import torch
        >>> machine = HelmholtzMachine(3, [2], generator=torch.Generator().manual_seed(0))
        >>> sleep_loss(machine, 4).mean().backward()
        >>> machine.generative.top.grad is None
        True
    """
    return -machine.log_q(*machine.generative.dream(n, generator=generator))


def wake_sleep_loss(
    machine: HelmholtzMachine, x: Tensor, generator: Generator | None = None
) -> Tensor:
    """Both phases as an objective of :func:`genlab.train.fit`, a dream for each datum, ``[batch]``.

    θ gets its gradient from one term, φ from the other; the sum is not what goes down.

    Example:
        >>> import torch
        >>> from genlab.train import fit
        >>> g = torch.Generator().manual_seed(0)
        >>> machine = HelmholtzMachine(2, [1], generator=g)
        >>> x = torch.tensor([[0.0, 0.0], [1.0, 1.0]]).repeat(8, 1)
        >>> fit(machine, wake_sleep_loss, x, steps=500, lr=0.05, generator=g).steps_per_epoch
        1
        >>> machine.generative.log_prob(x[:2]).exp().sum() > 0.8  # of fair coins ½
        tensor(True)
    """
    return wake_loss(machine, x, generator) + sleep_loss(machine, len(x), generator)


class FreeEnergies(NamedTuple):
    """What :func:`free_energies` returns, each ``[batch]`` in nats.

    Attributes:
        surprise: −log p(x), below both.
        forward: F = −log p(x) + KL(q(z | x) ‖ p(z | x)), which the bound is the negative of.
        reverse: F′ = −log p(x) + KL(p(z | x) ‖ q(z | x)).
    """

    surprise: Tensor
    forward: Tensor
    reverse: Tensor


def free_energies(machine: HelmholtzMachine, x: Tensor) -> FreeEnergies:
    """F and F′ of each x exactly, by a sum over z: what wake and what sleep is about.

    Wake's mean gradient in θ is that of F, averaged over data. Sleep's in φ is that of F′, averaged
    over the model's dreams.

    Args:
        x: ``[batch, visible]``, with at most 20 hidden units.

    Raises:
        ValueError: bad data, or more hidden units.

    Source: Hinton, Dayan, Frey and Neal 1995; Dayan, Hinton, Neal and Zemel 1995.

    Example:
        >>> import torch
        >>> machine = HelmholtzMachine(3, [2], generator=torch.Generator().manual_seed(0))
        >>> surprise, forward, reverse = free_energies(machine, torch.ones(1, 3))
        >>> bool(surprise < forward), bool(surprise < reverse)
        (True, True)
    """
    # In logarithms throughout: a chance that underflows to 0 still has its gradient.
    log_joint, log_q = machine.generative.table(x), machine.table(x)
    surprise = -log_joint.logsumexp(-1)
    log_posterior = log_joint + surprise[:, None]
    return FreeEnergies(
        surprise,
        surprise + (log_q.exp() * (log_q - log_posterior)).sum(-1),
        surprise + (log_posterior.exp() * (log_posterior - log_q)).sum(-1),
    )


def exact_wake(machine: HelmholtzMachine, x: Tensor) -> Tensor:
    """:func:`wake_loss` with the sum over z in place of a draw, ``[batch]``.

    Args:
        x: ``[batch, visible]``, with at most 20 hidden units.

    Example:
        >>> import torch
        >>> machine = HelmholtzMachine(3, [2], generator=torch.Generator().manual_seed(0))
        >>> x = torch.ones(1, 3)
        >>> draws = wake_loss(machine, x.expand(20_000, -1), torch.Generator().manual_seed(1))
        >>> abs(draws.mean() - exact_wake(machine, x)).item() < 0.02
        True
    """
    return -(machine.table(x).detach().exp() * machine.generative.table(x)).sum(-1)


def exact_sleep(machine: HelmholtzMachine) -> Tensor:
    """:func:`sleep_loss` with the sum over all dreams in place of draws, without axes.

    Raises:
        ValueError: more than 20 visible or 20 hidden units.

    Example:
        >>> import torch
        >>> machine = HelmholtzMachine(3, [2], generator=torch.Generator().manual_seed(0))
        >>> draws = sleep_loss(machine, 20_000, torch.Generator().manual_seed(1))
        >>> abs(draws.mean() - exact_sleep(machine)).item() < 0.02
        True
    """
    x = states(*machine.event)
    return -(machine.generative.table(x).detach().exp() * machine.table(x)).sum()
