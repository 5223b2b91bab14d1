"""What crosses between grader and student: data of exact types, as JSON and raw tensors.

An object that says it equals everything, a tensor of a class of one's own, or a pickle is not data.
"""

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from genlab.course.grade.channel import Raw, Refused

_DTYPES = {
    str(dtype).removeprefix("torch."): dtype
    for dtype in (
        *(torch.float64, torch.float32, torch.float16, torch.bfloat16),
        *(torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool),
        *(torch.complex128, torch.complex64),
    )
}
_DIMENSIONS = 64  # as NumPy's; with many more, torch is slow


class Named(tuple):
    """A tuple whose entries have names, as a ``NamedTuple`` has them."""

    def __new__(cls, names: list[str], values: list) -> "Named":
        named = super().__new__(cls, values)
        named._fields = tuple(names)
        return named

    def __getattr__(self, name: str) -> object:
        if name in vars(self).get("_fields", ()):
            return self[self._fields.index(name)]
        raise AttributeError(name)


def pack(value: object, raw: bytearray, other: Callable[[object], object]) -> object:
    """A value as JSON; bytes of tensors go to ``raw``, what is no data to ``other``."""
    kind = type(value)
    if value is None or kind in (bool, float, str):
        return value
    if kind is int:
        if value.bit_length() > 64:
            raise Refused("an int of more than 64 bits does not cross")
        return value
    if kind is list:
        return [pack(v, raw, other) for v in value]
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return {"named": [list(value._fields), [pack(v, raw, other) for v in value]]}
    if isinstance(value, tuple):
        return {"tuple": [pack(v, raw, other) for v in value]}
    if kind is dict:
        return {"dict": [[pack(v, raw, other) for v in item] for item in value.items()]}
    if kind is complex:
        return {"complex": [value.real, value.imag]}
    if kind is slice:
        return {"slice": [pack(v, raw, other) for v in (value.start, value.stop, value.step)]}
    if kind is torch.dtype and str(value).removeprefix("torch.") in _DTYPES:
        return {"dtype": str(value).removeprefix("torch.")}
    if isinstance(value, np.generic) and value.dtype.kind in "biufc":
        return pack(value.item(), raw, other)
    if kind is np.ndarray and value.dtype.kind in "biufc":
        return {"array": pack_tensor(torch.tensor(value), raw)}
    return other(value)


def unpack(node: object, raw: bytes, other: Callable[[str, object], object]) -> object:
    """The value of a JSON; ``other`` takes what :func:`pack` gave to its ``other``.

    Raises:
        Refused: it is not what :func:`pack` makes.
    """
    if node is None or type(node) in (bool, int, float, str):
        return node
    if type(node) is list:
        return [unpack(v, raw, other) for v in node]
    if type(node) is not dict or len(node) != 1:
        raise Refused("it sent a value of no known kind")
    ((kind, inner),) = node.items()
    try:
        match kind:
            case "tuple":
                return tuple([unpack(v, raw, other) for v in inner])
            case "named":
                return Named(inner[0], [unpack(v, raw, other) for v in inner[1]])
            case "dict":
                return {unpack(k, raw, other): unpack(v, raw, other) for k, v in inner}
            case "complex":
                return complex(*inner)
            case "slice":
                return slice(*(unpack(v, raw, other) for v in inner))
            case "dtype":
                return _DTYPES[inner]
            case "array":
                return unpack_tensor(inner, raw).numpy()
        return other(kind, inner)
    except (LookupError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        raise Refused(f"it sent a broken {kind}: {error}") from None


def pack_tensor(x: Tensor, raw: bytearray) -> list:
    """Dtype, shape and the place of the bytes."""
    name = str(x.dtype).removeprefix("torch.")
    if x.layout is not torch.strided or x.device.type != "cpu" or name not in _DTYPES:
        raise Refused(f"a tensor with {x.layout} of {x.dtype} on {x.device} does not cross")
    plain = x.detach().resolve_conj().resolve_neg()
    if x.dtype is torch.bfloat16:  # which numpy does not know
        plain = plain.view(torch.int16)
    start = len(raw)
    raw += plain.numpy().tobytes()
    return [name, list(x.shape), start]


def unpack_tensor(node: list, raw: Raw) -> Tensor:
    """The tensor that :func:`pack_tensor` packed; its memory is its own."""
    name, shape, start = node
    dtype = _DTYPES[name]
    if any(type(n) is not int or n < 0 for n in (*shape, start)) or len(shape) > _DIMENSIONS:
        raise Refused("it sent a tensor of no shape")
    count = math.prod(shape)
    if count == 0:
        return torch.empty(shape, dtype=dtype)
    raw.left -= count * dtype.itemsize
    data = raw[start : start + count * dtype.itemsize]
    if len(data) != count * dtype.itemsize or raw.left < 0:
        raise Refused(f"it sent too little for a tensor of shape {tuple(shape)}")
    if dtype is torch.bool:  # whose bytes are 0 or 1, or torch would take them for both
        return torch.frombuffer(bytearray(data), dtype=torch.uint8).reshape(shape) != 0
    return torch.frombuffer(bytearray(data), dtype=dtype).reshape(shape)
