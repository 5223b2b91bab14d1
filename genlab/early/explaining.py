"""Explaining away: two causes that know nothing of each other, until their effect is seen."""

from typing import NamedTuple

import torch
from torch import Tensor

from genlab.early.states import states

__all__ = ["Explained", "explaining_away", "noisy_or"]


def noisy_or(z: Tensor, strength: Tensor | float, leak: float = 0.0) -> Tensor:
    """Probability of an effect that each present cause brings about by itself, ``[...]``.

    1 − (1 − leak) Πⱼ (1 − wⱼ)^zⱼ: the effect fails to appear only if every cause fails.

    Args:
        z: which causes are present, zeros and ones ``[..., causes]``.
        strength: wⱼ, the chance that cause j alone brings the effect, one or ``[causes]``.
        leak: chance of the effect without any cause.

    Raises:
        ValueError: a chance outside 0 to 1.

    Source: Pearl 1988, Probabilistic reasoning in intelligent systems, Morgan Kaufmann.

    Example:
        >>> noisy_or(torch.tensor([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0]]), 0.9, leak=0.01)
        tensor([0.0100, 0.9010, 0.9901])
    """
    w = torch.as_tensor(strength, dtype=z.dtype)
    _chance("a strength", w)
    _chance("a leak", torch.as_tensor(leak))
    return 1 - (1 - leak) * ((1 - w) ** z).prod(-1)


class Explained(NamedTuple):
    """What :func:`explaining_away` returns: P(C), P(C | A) and P(C | A, B).

    Example:
        >>> Explained(0.1, 0.5, 0.1).given_effect
        0.5
    """

    prior: float
    given_effect: float
    given_effect_and_other: float


def explaining_away(prior: float = 0.1, strength: float = 0.9, leak: float = 0.01) -> Explained:
    """Two independent causes B and C of one effect A: how much is C believed?

    A makes C likely; then B, which explains A, makes it unlikely again. It comes back near to the
    prior, not to it, unless B brings A about with certainty. So given A the causes are dependent,
    and no factorised law is their posterior.

    Args:
        prior: chance of each cause.
        strength, leak: of the :func:`noisy_or`.

    Raises:
        ValueError: a chance outside 0 to 1, or an effect that cannot appear.

    Source: Pearl 1988, Probabilistic reasoning in intelligent systems, Morgan Kaufmann.

    Example:
        >>> [round(p, 4) for p in explaining_away()]
        [0.1, 0.505, 0.1088]
    """
    _chance("a prior", torch.as_tensor(prior))
    z = states(2)
    joint = (prior**z * (1 - prior) ** (1 - z)).prod(-1) * noisy_or(z, strength, leak)
    (_, c), (b, both) = joint.reshape(2, 2).tolist()  # rows are B, columns C, all with A
    if not b + both > 0:
        raise ValueError("Expected an effect that can appear with B, got probability 0.")
    return Explained(prior, (c + both) / float(joint.sum()), both / (b + both))


def _chance(what: str, p: Tensor) -> None:
    if not ((p >= 0) & (p <= 1)).all():
        raise ValueError(f"Expected {what} as a probability from 0 to 1, got {p.tolist()}.")
