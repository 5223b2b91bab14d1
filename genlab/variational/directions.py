"""Variational inference against wake–sleep: four steps, each with its objective and its gradient.

On finite sets everything is a sum. Each gradient is the mean of a weight times ∇ log of a
probability; the steps differ in who draws (the data and the encoder, or the model), in the weight,
and in whose probability is made larger.

=====================  ==============================  =======================================
step                   to be maximised                 gradient
=====================  ==============================  =======================================
variational M          E_data L                        E_data E_q [∇_θ log p_θ(x | z)]
variational E          E_data L                        E_data E_q [(log p_θ(x, z) − log q_φ(z | x))
                                                       ∇_φ log q_φ(z | x)]
wake                   E_data E_q log p_θ(x, z)        that of the M step
sleep                  E_model log q_φ(z | x)          E_model [∇_φ log q_φ(z | x)]
=====================  ==============================  =======================================
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from genlab.divergences import probabilities


@dataclass(frozen=True)
class HelmholtzMachine:
    """A model with K codes of X observations, and an encoder: tables of logits, all free.

    Args:
        prior: p(z), ``[K]``.
        decoder: θ, logits of p_θ(x | z), ``[K, X]``.
        encoder: φ, logits of q_φ(z | x), ``[X, K]``.

    Raises:
        ValueError: tables that do not fit.

    Source: Dayan, Hinton, Neal and Zemel 1995, Neural Computation 7, 889.

    Example:
        >>> machine = HelmholtzMachine(torch.full((2,), 0.5), torch.zeros(2, 3), torch.zeros(3, 2))
        >>> machine.log_joint.exp()
        tensor([[0.1667, 0.1667],
                [0.1667, 0.1667],
                [0.1667, 0.1667]])
    """

    prior: Tensor
    decoder: Tensor
    encoder: Tensor

    def __post_init__(self) -> None:
        (prior,) = probabilities(self.prior)
        if (
            prior.ndim != 1
            or self.decoder.ndim != 2
            or len(self.decoder) != len(prior)
            or self.encoder.shape != self.decoder.shape[::-1]
        ):
            raise ValueError(
                "Expected a prior (K,), a decoder (K, X) and an encoder (X, K), got "
                f"{tuple(prior.shape)}, {tuple(self.decoder.shape)} and "
                f"{tuple(self.encoder.shape)}."
            )

    @property
    def log_joint(self) -> Tensor:
        """log p_θ(x, z), ``[X, K]``: a row for each x."""
        return (self.decoder.log_softmax(-1) + self.prior.log()[:, None]).T

    @property
    def log_q(self) -> Tensor:
        """log q_φ(z | x), ``[X, K]``."""
        return self.encoder.log_softmax(-1)


class Direction(NamedTuple):
    """What a step climbs, and how.

    Attributes:
        objective: to be maximised, nats.
        gradient: in the logits of the decoder or encoder, of their shape.
        variance: total variance of the gradient's estimate from one draw of x and z, summed over
            the logits, without a baseline.
    """

    objective: Tensor
    gradient: Tensor
    variance: Tensor


def variational_m_step(machine: HelmholtzMachine, data: Tensor) -> Direction:
    """Climb the bound in θ: E_data L, draws of x from the data and of z from q.

    Args:
        machine: where the gradient is taken.
        data: p_data, ``[X]``.

    Raises:
        ValueError: data that are no distribution over the X observations.

    Source: Neal and Hinton 1998, A view of the EM algorithm.

    Example: whatever the codes, the decoder learns the shares of the data, ¾ and ¼.
        >>> machine = HelmholtzMachine(torch.full((2,), 0.5), torch.zeros(2, 2), torch.zeros(2, 2))
        >>> variational_m_step(machine, torch.tensor([0.75, 0.25])).gradient
        tensor([[ 0.1250, -0.1250],
                [ 0.1250, -0.1250]])
    """
    chance = _inferred(machine, data)
    objective = (chance * (machine.log_joint - machine.log_q)).sum()
    return _direction(objective, chance.T, torch.ones_like(chance.T), machine.decoder)


def variational_e_step(machine: HelmholtzMachine, data: Tensor) -> Direction:
    """Climb the same bound in φ: the score function, for q is under the expectation.

    Args, Raises: as in :func:`variational_m_step`.

    Source: Paisley, Blei and Jordan 2012, arXiv 1206.6430, for the estimate and its variance.

    Example: where q is the posterior there is nothing to climb.
        >>> machine = HelmholtzMachine(torch.full((2,), 0.5), torch.eye(2), torch.eye(2))
        >>> variational_e_step(machine, torch.tensor([0.75, 0.25])).gradient.abs().max() < 1e-6
        tensor(True)
    """
    chance = _inferred(machine, data)
    weight = machine.log_joint - machine.log_q
    return _direction((chance * weight).sum(), chance, weight, machine.encoder)


def wake(machine: HelmholtzMachine, data: Tensor) -> Direction:
    """Learn the decoder from codes inferred from the data: E_data E_q log p_θ(x, z) in θ.

    It is the M step: the entropy of q, by which the objectives differ, has no θ in it.

    Args, Raises: as in :func:`variational_m_step`.

    Source: Hinton, Dayan, Frey and Neal 1995, Science 268, 1158.
    """
    chance = _inferred(machine, data)
    objective = (chance * machine.log_joint).sum()
    return _direction(objective, chance.T, torch.ones_like(chance.T), machine.decoder)


def sleep(machine: HelmholtzMachine) -> Direction:
    """Learn the encoder from dreams: E log q_φ(z | x) in φ, x and z drawn from the model.

    Up to a constant it is −E_{p_θ(x)} KL(p_θ(z | x) ‖ q_φ(z | x)): the other direction of KL, on
    the model's observations in place of the data. Its weights are all one. Where the encoder can
    be the posterior of every x, both objectives have that optimum; a smaller encoder settles
    elsewhere than the bound's best, and its steps lower the bound on the way.

    Source: Hinton, Dayan, Frey and Neal 1995, Science 268, 1158.

    Example: where q is the posterior there is nothing to learn.
        >>> machine = HelmholtzMachine(torch.full((2,), 0.5), torch.eye(2), torch.eye(2))
        >>> sleep(machine).gradient.abs().max() < 1e-6
        tensor(True)
    """
    chance = machine.log_joint.exp()
    objective = (chance * machine.log_q).sum()
    return _direction(objective, chance, torch.ones_like(chance), machine.encoder)


def _inferred(machine: HelmholtzMachine, data: Tensor) -> Tensor:
    """p_data(x) q_φ(z | x), ``[X, K]``."""
    (data,) = probabilities(data)
    if data.shape != machine.encoder.shape[:1]:
        raise ValueError(
            f"Expected p_data over the {len(machine.encoder)} observations, got shape "
            f"{tuple(data.shape)}."
        )
    return data[:, None] * machine.log_q.exp()


def _direction(objective: Tensor, chance: Tensor, weight: Tensor, logits: Tensor) -> Direction:
    """E[weight · ∇ log softmax(logits)] over cells drawn with these chances, and its variance.

    The gradient of a row's log softmax at a cell is that cell's indicator less the softmax s, of
    squared length 1 − 2sⱼ + Σ s².
    """
    share = logits.softmax(-1)
    pull = chance * weight
    gradient = pull - pull.sum(-1, keepdim=True) * share
    length = 1 - 2 * share + share.square().sum(-1, keepdim=True)
    variance = (pull * weight * length).sum() - gradient.square().sum()
    return Direction(objective, gradient, variance)
