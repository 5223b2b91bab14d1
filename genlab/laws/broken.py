"""What a law raises, with a sentence to act on."""

from torch import Tensor

__all__ = ["LawBroken"]


class LawBroken(AssertionError):
    """A property that must hold does not; the message says which, by how much, and why maybe."""


def describe(value: object) -> str:
    """The shape of a tensor, or what else was returned in its place."""
    if isinstance(value, Tensor):
        return f"shape {tuple(value.shape)}"
    return f"a {type(value).__name__}"
