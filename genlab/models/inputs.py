"""What every model asks of the tensors it is given: shape, dtype, finite numbers."""

import math

import torch
from torch import Tensor


def training_data(x: Tensor) -> Tensor:
    """Check a training set and return it as a floating tensor of shape ``[n]`` or ``[n, d]``.

    Floating input keeps its dtype, integers become float64.

    Raises:
        ValueError: no rows, more than two axes, or rows that are NaN or infinite (counted);
            complex numbers.

    Example:
        >>> training_data([1, 2, 4])
        tensor([1., 2., 4.], dtype=torch.float64)
    """
    x = torch.as_tensor(x)
    if x.is_complex():
        raise ValueError("Expected real data, got complex numbers. Stack real and imaginary parts.")
    if x.ndim not in (1, 2):
        raise ValueError(
            f"Expected data of shape (n,) or (n, d), got {tuple(x.shape)}. "
            "Flatten each example to one row: x.reshape(len(x), -1)."
        )
    if x.numel() == 0:
        raise ValueError(f"Expected at least one row of data, got shape {tuple(x.shape)}.")
    return _finite(x if x.is_floating_point() else x.double(), "data")


def query_points(x: Tensor, event: tuple[int, ...]) -> Tensor:
    """Check points at which a model with this event shape is evaluated; shape ``[batch, *event]``.

    Raises:
        ValueError: another shape than ``(batch, *event)``, or rows that are NaN or infinite.

    Example:
        >>> query_points(torch.zeros(3, 1), event=(2,))
        Traceback (most recent call last):
        ...
        ValueError: Expected points of shape (batch, 2), got (3, 1).
    """
    x = torch.as_tensor(x)
    if x.ndim != 1 + len(event) or tuple(x.shape[1:]) != event:
        wanted = "(batch,)" if not event else f"(batch, {', '.join(map(str, event))})"
        one = " A single point needs its batch axis: x[None]." if tuple(x.shape) == event else ""
        raise ValueError(f"Expected points of shape {wanted}, got {tuple(x.shape)}.{one}")
    return _finite(x if x.is_floating_point() else x.double(), "points")


def as_rows(x: Tensor) -> Tensor:
    """Any batch ``[n, *event]`` as a float64 matrix ``[n, d]``; d = 1 for event ``()``.

    Example:
        >>> as_rows(torch.zeros(0)).shape, as_rows(torch.zeros(5, 2)).shape
        (torch.Size([0, 1]), torch.Size([5, 2]))
    """
    return x.double().reshape(len(x), math.prod(x.shape[1:]))


def sample_size(n: int) -> int:
    """Check the number of draws asked for: an integer, zero or more."""
    if not isinstance(n, int) or isinstance(n, bool) or n < 0:
        raise ValueError(f"Expected a number of draws n >= 0 as an int, got {n!r}.")
    return n


def _finite(x: Tensor, what: str) -> Tensor:
    bad = ~as_rows(x).isfinite().all(1)
    if bad.any():
        first = int(bad.nonzero()[0])
        raise ValueError(
            f"{int(bad.sum())} of {len(x)} rows of the {what} are NaN or infinite, the first is "
            f"row {first}. Remove or impute them: x[x.isfinite()] in one dimension, "
            "x[x.isfinite().all(1)] in more."
        )
    return x
