"""The figure of chapter 02 on your own two modes."""

import math
from collections.abc import Sequence

from genlab.interact.explorable import Explorable


def explore_divergences(
    weights: Sequence[float],
    means: Sequence[float],
    sds: Sequence[float],
    *,
    mean: float,
    sd: float,
) -> Explorable:
    """Your own p = w₁ N(m₁, s₁²) + w₂ N(m₂, s₂²) and q = N(mean, sd²) in the figure of chapter 02.

    Args:
        weights, means, sds: of the two modes of p, two numbers each, the left mode first.
        mean, sd: of q, to start from.

    Returns:
        an object to leave as the last line of a cell; it needs no kernel once it is shown.

    Raises:
        ValueError: a p that is no mixture of two modes, or numbers that the figure cannot hold.

    Example:
        >>> figure = explore_divergences([0.5, 0.5], [-3, 3], [1, 1], mean=1.5, sd=1)
        >>> figure.attributes["means"], figure.attributes["mean"]
        ('-3.0 3.0', '1.5')
    """
    given = {"weights": weights, "means": means, "sds": sds}
    lists = {name: [float(v) for v in values] for name, values in given.items()}
    q = {"mean": float(mean), "sd": float(sd)}
    for name, values in lists.items():
        if len(values) != 2 or not all(map(math.isfinite, values)):
            raise ValueError(f"Expected two finite {name}, one for each mode of p, got {values}.")
    _check(*lists.values(), **q)
    attributes = {name: " ".join(map(repr, values)) for name, values in lists.items()}
    return Explorable("divergences", attributes | {name: repr(value) for name, value in q.items()})


def _check(
    weights: list[float], means: list[float], sds: list[float], mean: float, sd: float
) -> None:
    if not (min(weights) > 0 and math.isclose(sum(weights), 1, abs_tol=1e-6)):
        raise ValueError(f"Expected positive weights that sum to 1, got {weights}.")
    left, right = means
    if not (0.25 <= max(sds) <= 4 and min(sds) >= max(sds) / 5):
        raise ValueError(
            "Expected standard deviations of p of which the larger lies between 0.25 and 4 and is "
            f"at most five times the smaller, got {sds}: a step of the descent is a tenth. "
            "Multiply x by a number that brings them there."
        )
    if not 0 < right - left <= 14 * max(sds):
        raise ValueError(
            "Expected the left mode first, and the right one at most 14 times the larger standard "
            f"deviation away ({14 * max(sds):.3g}), got the means {means}."
        )
    wide = (right - left) / 2 + 7 * max(sds)  # half the width of the figure
    centre = (left + right) / 2
    if not abs(mean - centre) <= wide:
        raise ValueError(
            f"Expected a mean of q between {centre - wide:.3g} and {centre + wide:.3g}, "
            f"where the figure is, got {mean}."
        )
    if not wide / 25 <= sd <= wide:
        raise ValueError(
            f"Expected a standard deviation of q between {wide / 25:.3g} and {wide:.3g}, got {sd}."
        )
