"""What a student learns from: softened, averaged and blended predictions.

A cross-entropy is linear in its target. So labels and a teacher, or several teachers, act as one
target, their average, and that is where the student's minimum lies.
"""

import torch
from torch import Tensor

from genlab.divergences import probabilities

__all__ = ["average_of_teachers", "blend", "distillation_loss", "soften"]


def soften(logits: Tensor, temperature: float) -> Tensor:
    """softmax(logits / T): the higher T, the more of the wrong answers is to be seen.

    Raises:
        ValueError: a temperature that is not positive.

    Source: Hinton et al. 2015, arXiv:1503.02531, eq. 1.

    Example:
        >>> soften(torch.tensor([4.0, 0.0]), 1.0), soften(torch.tensor([4.0, 0.0]), 4.0)
        (tensor([0.9820, 0.0180]), tensor([0.7311, 0.2689]))
    """
    if not temperature > 0:
        raise ValueError(f"Expected a temperature T > 0, got {temperature}.")
    return (logits / temperature).softmax(-1)


def distillation_loss(logits: Tensor, teacher: Tensor, temperature: float = 1.0) -> Tensor:
    """T² KL(teacher ‖ student), both softened by T, ``[...]``.

    The gradient in the student's logits is T (q − s). As T → ∞ the loss tends to
    ‖z − v‖² / (2m), z and v the two centred logits: the student matches logits.

    Args:
        logits: the student's, ``[..., m]``.
        teacher: the teacher's logits, ``[..., m]``; no gradient passes.
        temperature: T > 0.

    Raises:
        ValueError: a temperature that is not positive, or shapes that differ.

    Source: Hinton et al. 2015, section 2.1.

    Example: on the way to ½ · ½ (1² + 1²) = ½.
        >>> z, v = torch.zeros(2).double(), torch.tensor([1.0, -1.0]).double()
        >>> [round(float(distillation_loss(z, v, T)), 4) for T in (1.0, 10.0, 100.0)]
        [0.3278, 0.4975, 0.5]
    """
    if logits.shape != teacher.shape:
        raise ValueError(
            "Expected logits of the student and of the teacher of one shape, got "
            f"{tuple(logits.shape)} and {tuple(teacher.shape)}."
        )
    s = soften(teacher.detach(), temperature)
    log_s, log_q = ((v / temperature).log_softmax(-1) for v in (teacher.detach(), logits))
    return temperature**2 * (s * (log_s - log_q)).sum(-1)


def average_of_teachers(teachers: Tensor, kind: str = "arithmetic") -> Tensor:
    """What a student of several teachers learns: their mean, never one of them.

    ::

        arithmetic   minimises Σ_k CE(s_k, q): the mean of the predictions
        geometric    minimises Σ_k KL(q ‖ s_k): the mean of their logarithms, normalised

    Args:
        teachers: predictions s_k, ``[K, ..., m]``.
        kind: one of the two.

    Returns:
        ``[..., m]``.

    Raises:
        ValueError: predictions that are no laws, another kind, or teachers of which one excludes
            what the others allow, so that no geometric mean is left.

    Example:
        >>> s = torch.tensor([[0.8, 0.2], [0.2, 0.8], [0.2, 0.8]])
        >>> average_of_teachers(s), average_of_teachers(s, "geometric")
        (tensor([0.4000, 0.6000]), tensor([0.3865, 0.6135]))
    """
    (teachers,) = probabilities(teachers)
    if kind == "arithmetic":
        return teachers.mean(0)
    if kind != "geometric":
        raise ValueError(f"Expected the kind 'arithmetic' or 'geometric', got {kind!r}.")
    score = teachers.log().mean(0)
    if not (score > -torch.inf).any(-1).all():
        raise ValueError(
            "Each value is excluded by one of the teachers: no geometric mean is left."
        )
    return score.softmax(-1)


def blend(y: Tensor, s: Tensor, pi: float) -> Tensor:
    """(1 − π) y + π s, the target whose cross-entropy is (1 − π) CE(y, q) + π CE(s, q).

    Args:
        y: labels as laws, ``[..., m]``.
        s: the teacher's predictions, ``[..., m]``.
        pi: the share π of the teacher, in [0, 1].

    Raises:
        ValueError: tables that are no laws, or a share outside [0, 1].

    Source: Hu et al. 2016, arXiv:1603.06318.

    Example:
        >>> blend(torch.tensor([1.0, 0.0]), torch.tensor([0.5, 0.5]), 0.5)
        tensor([0.7500, 0.2500])
    """
    y, s = probabilities(y, s)
    if not 0 <= pi <= 1:
        raise ValueError(f"Expected a share pi of the teacher in [0, 1], got {pi}.")
    return (1 - pi) * y + pi * s
