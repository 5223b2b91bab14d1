"""What the chapter asks of probability tables, and how it says that a search did not end."""

import torch
from torch import Tensor


class NotConverged(RuntimeError):
    """An iteration ended before it reached its tolerance; the message says how far it came."""


def probabilities(*tables: Tensor) -> tuple[Tensor, ...]:
    """Check probability tables on one finite set, ``[..., m]`` each, and return them as floats.

    Integers become float64. Tables of different floating types take the finer one.

    Raises:
        TypeError: no tensors or nested lists.
        ValueError: tables of different shapes, entries that are negative or NaN, or a sum over the
            last axis that is not one.

    Example:
        >>> probabilities([1, 0])
        (tensor([1., 0.], dtype=torch.float64),)
    """
    tables = tuple(_floating(table) for table in tables)
    shapes = {tuple(table.shape) for table in tables}
    if len(shapes) > 1 or () in shapes or any(0 in shape for shape in shapes):
        raise ValueError(
            "Expected probability tables of one shape (..., m) on the same m values, got "
            f"{' and '.join(str(tuple(table.shape)) for table in tables)}."
        )
    dtype = tables[0].dtype
    for table in tables[1:]:
        dtype = torch.promote_types(dtype, table.dtype)
    for table in tables:
        if not (table >= 0).all():
            raise ValueError(
                f"Expected probabilities >= 0, got {int((~(table >= 0)).sum())} that are negative "
                "or NaN. Logarithms of probabilities become probabilities by p.exp()."
            )
        total = table.detach().double().sum(-1)
        off = (total - 1).abs().max()
        if not off <= torch.finfo(table.dtype).eps ** 0.75:
            raise ValueError(
                "Expected probabilities that sum to one over the last axis, got a sum of "
                f"{float(total.flatten()[(total - 1).abs().argmax()]):.9g}. "
                "Counts and weights are normalised by p / p.sum(-1, keepdim=True)."
            )
    return tuple(table.to(dtype) for table in tables)


def _floating(table: Tensor) -> Tensor:
    try:
        table = torch.as_tensor(table)
    except (TypeError, ValueError, RuntimeError) as error:
        raise TypeError(
            f"Expected a tensor or nested lists of numbers, got a {type(table).__name__}: {error}"
        ) from None
    if table.is_complex():
        raise TypeError("Expected real probabilities, got complex numbers.")
    return table if table.is_floating_point() else table.double()
