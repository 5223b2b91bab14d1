"""Conditionals in an order: no conditional depends on its own entry or on one that comes later."""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from genlab.laws.slopes import is_triangular

__all__ = ["is_autoregressive"]


def is_autoregressive(
    function: Callable[[Tensor], Tensor],
    x: Tensor,
    order: Sequence[int] | Tensor | None = None,
) -> float:
    """The outputs for an entry depend on the inputs of earlier entries alone, by back-propagation.

    An entry may have several inputs (an embedding) and several outputs (logits): the slope of a
    random combination of its outputs along a random direction of its inputs is zero only if all
    slopes are, up to cases of probability 0.

    Args:
        function: from ``[batch, *event, *features]`` to ``[batch, *event, *outputs]``, in floats.
        x: points at which it is asked.
        order: a permutation of the n flattened entries of the event; its length says where the
            event ends. By default all axes of x are the event, in the order in which they stand.

    Returns:
        the largest slope with respect to an earlier entry: 0 says that all are independent.

    Raises:
        LawBroken: a slope that must be zero and is not, with its place.
        ValueError: an order that is no permutation, or no entry for each of its places.

    Example:
        >>> is_autoregressive(lambda x: x.cumsum(1) - x, torch.ones(1, 3)) > 0
        True
        >>> is_autoregressive(lambda x: 2 * x, torch.ones(1, 1))  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        ...
        genlab.laws.broken.LawBroken: Output 0 depends on input 0, its own. The slope reaches ...
    """
    order = list(range(x[0].numel())) if order is None else torch.as_tensor(order).tolist()
    n, g = len(order), torch.Generator().manual_seed(0)

    def probe(shape: torch.Size) -> Tensor:
        return torch.randn(shape, generator=g, dtype=x.dtype).to(x.device)

    def by_entry(values: Tensor, what: str) -> Tensor:
        if values.numel() % (n * len(x)):
            raise ValueError(
                f"Expected {what} of shape (batch, *event, …) with {n} entries in the event, as "
                f"the order has, got {tuple(values.shape)}."
            )
        return values.reshape(len(x), n, math.prod(values.shape[1:]) // n)

    direction = probe(by_entry(x, "inputs").shape)
    weights = None

    def along(steps: Tensor) -> Tensor:
        nonlocal weights
        out = by_entry(function(x + (steps[..., None] * direction).reshape(x.shape)), "outputs")
        weights = probe(out.shape[1:]) if weights is None else weights
        return (out * weights).sum(-1)

    return is_triangular(along, x.new_zeros(len(x), n), order, strictly=True)
