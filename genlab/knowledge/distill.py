"""Distillation: a student is trained on labels and on a teacher that is made from itself."""

from collections.abc import Callable

import torch
from torch import Generator, Tensor, nn

from genlab.knowledge.posterior import checked_weight
from genlab.knowledge.targets import blend
from genlab.train import History, fit

__all__ = ["distill", "imitation"]

Teacher = Callable[[Tensor, Tensor], Tensor]


def imitation(most: float = 1.0, decay: float = 0.95) -> Callable[[int], float]:
    """π at epoch t: min(π₀, 1 − k^t). At the beginning, when the teacher knows nothing, labels.

    Source: Hu et al. 2016, with the numbers of the authors' code for sentences (k = 0.95, π₀ = 1).

    Example:
        >>> schedule = imitation(0.9, 0.5)
        >>> [schedule(t) for t in range(5)]
        [0.0, 0.5, 0.75, 0.875, 0.9]
    """
    return lambda epoch: min(most, 1 - decay**epoch)


def distill(
    student: nn.Module,
    x: Tensor,
    y: Tensor,
    teacher: Teacher,
    *,
    pi: float | Callable[[int], float] = 0.5,
    epochs: int = 10,
    batch_size: int = 50,
    lr: float = 1e-3,
    generator: Generator | None = None,
) -> History:
    """Train a student on labels and on its teacher, which is made anew from it at every step.

    Each step descends (1 − π) CE(y, p_θ) + π CE(s, p_θ), where s = ``teacher(x, p_θ(y | x))`` is
    held fixed. With rules for a teacher that is Hu's iteration.

    Args:
        student: from x to logits ``[batch, m]``; trained in place.
        x: inputs ``[n, *event]``.
        y: labels 0, …, m − 1, ``[n]`` of integers; −1 where the label is missing: there only the
            teacher speaks, with weight π.
        teacher: takes a batch of x and p_θ(y | x), returns s, ``[batch, m]``.
        pi: π in [0, 1], or a function of the epoch, from 0, such as :func:`imitation`.
        epochs: passes through the data.

    Raises:
        ValueError: labels of another shape or kind, all of them missing, or a π outside [0, 1];
            else as :func:`genlab.train.fit`.

    Example: a teacher that never believes what it is told.
        >>> student = nn.Linear(1, 2).double()
        >>> x, y = torch.ones(4, 1).double(), torch.tensor([1, 1, 1, 1])
        >>> doubt = lambda x, p: torch.full_like(p, 0.5)
        >>> g = torch.Generator().manual_seed(0)
        >>> _ = distill(student, x, y, doubt, pi=0.5, epochs=300, lr=0.1, generator=g)
        >>> student(x[:1]).softmax(-1).detach().round(decimals=2)  # ½ · 1 + ½ · ½
        tensor([[0.2500, 0.7500]], dtype=torch.float64)
    """
    if y.shape != x.shape[:1] or y.is_floating_point() or y.dtype == torch.bool:
        raise ValueError(
            f"Expected a label for each of {len(x)} inputs, integers of shape ({len(x)},), got "
            f"{y.dtype} of shape {tuple(y.shape)}. A missing label is −1."
        )
    if not (y >= 0).any():
        raise ValueError(
            "Every label is missing: a teacher made from the student alone teaches it nothing of "
            "the task. Label some inputs."
        )
    per_epoch, step = -(-len(x) // batch_size), 0

    def loss(student: nn.Module, batch: tuple[Tensor, ...], _: Generator) -> Tensor:
        nonlocal step
        share = pi(step // per_epoch) if callable(pi) else pi
        share, step = checked_weight(share, "pi"), step + 1
        rows, labels = batch
        log_p = student(rows).log_softmax(-1)
        with torch.no_grad():
            s = teacher(rows, log_p.exp())
        seen = labels >= 0
        # Where no label is seen its own loss is 0, and the teacher's remains.
        truth = nn.functional.one_hot(labels.clamp_min(0), log_p.shape[-1]).to(s)
        target = blend(truth, s, share)
        target = torch.where(seen[:, None], target, share * s)
        return -(target * log_p).sum(-1)

    return fit(
        student,
        loss,
        (x, y),
        steps=epochs * per_epoch,
        batch_size=batch_size,
        lr=lr,
        generator=generator,
    )
