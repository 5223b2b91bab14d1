"""An invertible map: its inverse leads back, and its log-determinants are what they say."""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from genlab.laws.broken import LawBroken, describe
from genlab.laws.slopes import jacobian

__all__ = ["inverts", "log_det_agrees"]


def inverts(transform: nn.Module, x: Tensor, tolerance: float = 1e-9) -> float:
    """The inverse leads back to x, and the two log-determinants cancel.

    Args:
        transform: ``transform(x)`` and ``transform.inverse(z)`` each return the image and the
            log-determinant ``[batch]`` of the map that they took.
        x: points ``[batch, *event]``.
        tolerance: how far an entry may be off, relative to the largest of x or to 1.

    Returns:
        the largest distance of an entry from where it started.

    Raises:
        LawBroken: x is not found again, or the log-determinants do not sum to 0, or have another
            shape.

    Example:
        >>> from genlab.flows import Scaling
        >>> inverts(Scaling((2,)), torch.tensor([[1.0, 2.0]]))
        0.0
    """
    with torch.no_grad():
        z, there = _image(transform, x, "transform(x)")
        back, again = _image(transform.inverse, z, "inverse(z)")
    if back.shape != x.shape:
        raise LawBroken(f"inverse(transform(x)) must have {describe(x)}, got {describe(back)}.")
    off = (back - x).abs().reshape(len(x), -1).amax(1)
    off = torch.where(off.isnan(), math.inf, off)
    worst, largest = int(off.argmax()), max(1.0, float(x.abs().max()))
    if not off[worst] <= tolerance * largest:
        raise LawBroken(
            f"inverse(transform(x)) is {off[worst]:.3g} away from x, at row {worst}. Is every "
            "layer undone, the last one first, with what passed through it unchanged?"
        )
    # Relative to the row's own; each entry adds its rounding, and a slope is less exact than x.
    total = (there + again).abs().double() / there.abs().double().clamp_min(1)
    total = torch.where(total.isnan(), math.inf, total)
    worst = int(total.argmax())
    if not total[worst] <= 10 * tolerance * (x[0].numel() + 1):
        raise LawBroken(
            f"The log-determinants of the two directions are {there[worst]:.6g} and "
            f"{again[worst]:.6g} at row {worst}: they must sum to 0, since the Jacobian of the "
            "inverse is the inverse of the Jacobian."
        )
    return float(off.max())


def log_det_agrees(transform: nn.Module, x: Tensor, tolerance: float = 1e-8) -> float:
    """The log-determinant that a transform returns is that of autograd's Jacobian.

    Args:
        transform: ``transform(x)`` returns z and log |det ∂z/∂x|, ``[batch]``.
        x: points ``[batch, *event]``; as many backward passes are made as an event has entries.
        tolerance: how far one may be off.

    Returns:
        the largest difference.

    Raises:
        LawBroken: another value, or a Jacobian that is not square.

    Example:
        >>> from genlab.flows import Scaling
        >>> log_det_agrees(Scaling((2,)), torch.tensor([[1.0, 2.0]]))
        0.0
    """
    log_det = _image(transform, x, "transform(x)")[1].detach().double()
    found = jacobian(transform, x)
    if found.shape[1] != found.shape[2]:
        raise LawBroken(
            f"The map goes from {found.shape[2]} to {found.shape[1]} dimensions: without as many "
            "on both sides it has no inverse, and no log-determinant."
        )
    truth = torch.linalg.slogdet(found.double()).logabsdet
    off = (log_det - truth).abs()
    off = torch.where(off.isnan(), math.inf, off)
    worst = int(off.argmax())
    if not off[worst] <= tolerance:
        why = "Is it summed over the entries of an event, and of every layer?"
        if torch.allclose(log_det, -truth, atol=max(tolerance, 1e-6)):
            why = "It has the wrong sign: that is the log-determinant of the other direction."
        raise LawBroken(
            f"At row {worst} the transform says log |det| = {log_det[worst]:.8g}, and autograd's "
            f"Jacobian has {truth[worst]:.8g}. {why}"
        )
    return float(off.max())


def _image(transform: Callable, x: Tensor, name: str) -> tuple[Tensor, Tensor]:
    pair = transform(x)
    if not isinstance(pair, tuple) or len(pair) != 2:
        raise LawBroken(
            f"{name} must return two tensors, the image and the log-determinant; got "
            f"{describe(pair)}."
        )
    if tuple(pair[1].shape) != (len(x),):
        raise LawBroken(
            f"{name} must return one log-determinant for each of the {len(x)} rows, got "
            f"{describe(pair[1])}. Sum over the axes of an event, not over the batch."
        )
    return pair
