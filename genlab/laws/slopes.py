"""What depends on what: the Jacobian of a map by autograd, and whether it is triangular."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from genlab.laws.broken import LawBroken, describe

__all__ = ["is_triangular", "jacobian"]


def jacobian(
    function: Callable[[Tensor], Tensor | tuple[Tensor, ...]],
    x: Tensor,
    *,
    create_graph: bool = False,
) -> Tensor:
    """∂f(x)/∂x at each row, by autograd: one backward pass for each output.

    Args:
        function: from ``[batch, *event]`` to ``[batch, *out]``, each row by itself; of a tuple the
            first entry counts.
        x: points, floating.
        create_graph: whether the result can be differentiated again.

    Returns:
        ``[batch, outputs, inputs]``, events flattened.

    Raises:
        LawBroken: the result is no differentiable tensor with one row for each row of x.

    Example:
        >>> jacobian(lambda x: x.flip(1) ** 2, torch.tensor([[1.0, 3.0]]))
        tensor([[[0., 6.],
                 [2., 0.]]])
    """
    if not (create_graph and x.requires_grad):
        x = x.detach().clone().requires_grad_()
    with torch.enable_grad():
        value = function(x)
        value = value[0] if isinstance(value, tuple) else value
        if not isinstance(value, Tensor) or value.ndim == 0 or len(value) != len(x):
            raise LawBroken(
                f"Expected from the map a tensor of {len(x)} rows, got {describe(value)}."
            )
        if not value.requires_grad:
            raise LawBroken(
                "The map does not depend on x by operations that autograd follows: look for "
                "detach, item, no_grad, numpy or an integer operation."
            )
        rows = [
            torch.autograd.grad(
                out.sum(), x, retain_graph=True, create_graph=create_graph, materialize_grads=True
            )[0]
            for out in value.reshape(len(x), -1).unbind(1)
        ]
    return torch.stack([row.reshape(len(x), -1) for row in rows], 1)


def is_triangular(
    function: Callable[[Tensor], Tensor | tuple[Tensor, ...]],
    x: Tensor,
    order: Sequence[int] | None = None,
    *,
    strictly: bool = False,
) -> float:
    """No output depends on an input that comes later in the order: ∂f_i/∂x_j = 0 exactly for j > i.

    Args:
        function: from ``[batch, d]`` to ``[batch, d]``, as in :func:`jacobian`.
        x: points.
        order: a permutation of 0, …, d − 1; by default as they stand.
        strictly: whether the diagonal must be zero too.

    Returns:
        the largest entry below the diagonal: 0 says that the map is diagonal.

    Raises:
        LawBroken: an entry that is not zero, with its place.
        ValueError: an order that is no permutation.

    Example:
        >>> is_triangular(lambda x: x.cumsum(1), torch.zeros(1, 3))
        1.0
    """
    found = jacobian(function, x).abs().amax(0)
    order = list(range(len(found)) if order is None else order)
    if sorted(order) != list(range(len(found))) or found.shape[0] != found.shape[1]:
        raise ValueError(
            f"Expected a square Jacobian and an order of its {len(found)} entries, got shape "
            f"{tuple(found.shape)} and the order {order}."
        )
    found = found[order][:, order]
    above = found.triu(0 if strictly else 1)
    if above.max() != 0:
        i, j = divmod(int(above.argmax()), len(found))
        where = "its own" if i == j else f"which comes later: place {j} of the order, after {i}"
        raise LawBroken(
            f"Output {order[i]} depends on input {order[j]}, {where}. The slope reaches "
            f"{above[i, j]:.3g}."
        )
    return float(found.tril(-1).max())
