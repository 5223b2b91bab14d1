"""Drawing in parallel, from a model that draws one entry after the other.

Let u hold one uniform number for each entry. The draw is the x for which every entry is the
quantile u_i of its conditional given those before: x = T(x) for a map T that costs one pass. T(x)_i
depends on the entries before i alone, so from any x the first entry is right after one sweep, the
second after two. The fixed point is reached after n sweeps at the latest, and mostly far earlier.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from genlab.autoregressive.model import Autoregressive, drawn
from genlab.models import query_points

__all__ = ["Sweeps", "jacobi", "naive", "sweep"]


class Sweeps(NamedTuple):
    """What :func:`jacobi` returns.

    Attributes:
        x: the draws, int64 ``[batch, *event]``.
        history: after each sweep, how many entries of each draw had their last value, counted in
            the model's ordering from the first one on: int64 ``[sweeps, batch]``.
    """

    x: Tensor
    history: Tensor


@torch.no_grad()
def sweep(model: Autoregressive, u: Tensor, x: Tensor) -> Tensor:
    """T(x): every entry the quantile u_i of its conditional given what x holds before it.

    Args:
        model: an autoregressive model.
        u: numbers in [0, 1), ``[batch, *event]``.
        x: whole numbers, ``[batch, *event]``.

    Raises:
        ValueError: numbers of another shape, or outside [0, 1).
    """
    u = query_points(u, model.event)
    if not ((u >= 0) & (u < 1)).all():
        raise ValueError(
            "Expected a number in [0, 1) for each entry, as torch.rand draws them, got some from "
            f"{float(u.min()):.4g} to {float(u.max()):.4g}."
        )
    return drawn(model(x.to(u.dtype)), u)


def naive(model: Autoregressive, u: Tensor, x: Tensor | None = None, known: int = 0) -> Tensor:
    """One entry after the other, each by a whole pass of the model: n passes.

    Args:
        model, u: as in :func:`sweep`.
        x, known: keep the first ``known`` entries of x in the model's ordering.
    """
    return Autoregressive.from_uniforms(model, u, x, known)


@torch.no_grad()
def jacobi(model: Autoregressive, u: Tensor, x: Tensor | None = None, known: int = 0) -> Sweeps:
    """All entries at once, again and again until none changes: exactly what one by one gives.

    Args:
        model, u: as in :func:`sweep`.
        x, known: keep the first ``known`` entries of x in the model's ordering; the others are
            where the sweeps start, by default at 0.

    Raises:
        ValueError: as in :func:`sweep`, or a number of known entries outside 0 to n.

    Source: Song, Meng, Liao and Ermon 2021, arXiv:2002.03629; Wiggers and Hoogeboom 2020,
        arXiv:2002.09928.

    Example:
        >>> from genlab.autoregressive import PixelCNN
        >>> rng = torch.Generator().manual_seed(0)
        >>> model = PixelCNN((1, 5, 5), generator=rng)
        >>> u = torch.rand(4, 1, 5, 5, generator=rng)
        >>> x, history = jacobi(model, u)
        >>> torch.equal(x, naive(model, u)), len(history) < 25
        (True, True)
    """
    n, order = len(model.order), model.order
    if not 0 <= known <= n:
        raise ValueError(f"Expected 0 to {n} known entries, got {known}.")
    x = torch.zeros_like(u) if x is None else x.to(u)
    held = torch.zeros(n, dtype=torch.bool, device=u.device)
    held[order[:known]] = True
    held = held.reshape(model.event)
    seen: list[Tensor] = []
    for _ in range(n - known):
        new = torch.where(held, x, sweep(model, u, x).to(u))
        seen.append(new.flatten(1)[:, order])
        if torch.equal(new, x):
            break
        x = new
    right = [(step == x.flatten(1)[:, order]).long().cumprod(1).sum(1) for step in seen]
    return Sweeps(x.long(), torch.stack(right) if right else x.new_zeros(0, len(x)).long())
