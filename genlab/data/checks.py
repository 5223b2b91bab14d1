"""The parameters that the synthetic sets refuse, in one place."""

import math


def whole(value: int, name: str) -> None:
    """Refuse a parameter that is not an integer of at least one.

    Raises:
        ValueError: another value or type.

    Example:
        >>> whole(0, "modes")
        Traceback (most recent call last):
        ...
        ValueError: Expected modes as an integer >= 1, got 0.
    """
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError(f"Expected {name} as an integer >= 1, got {value!r}.")


def positive(value: float, name: str) -> None:
    """Refuse a parameter that is not a positive finite number.

    Raises:
        ValueError: another value or type.

    Example:
        >>> positive(-0.1, "noise")
        Traceback (most recent call last):
        ...
        ValueError: Expected noise > 0 and finite, got -0.1.
    """
    if not isinstance(value, int | float) or not (math.isfinite(value) and value > 0):
        raise ValueError(f"Expected {name} > 0 and finite, got {value!r}.")
