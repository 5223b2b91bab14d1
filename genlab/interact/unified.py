"""The figure of chapter 09 on your own two normal laws."""

import math

from genlab.interact.explorable import Explorable


def explore_unified(
    mean: float, sd: float, *, data_mean: float = 0.0, data_sd: float = 1.0
) -> Explorable:
    """The terms of a generator's loss, G = N(mean, sd²) against data from N(data_mean, data_sd²).

    Args:
        mean, sd: of the generator, at which the discriminator is the best.
        data_mean, data_sd: of the data.

    Returns:
        an object to leave as the last line of a cell; it needs no kernel once it is shown.

    Raises:
        ValueError: numbers that the figure cannot hold.

    Example:
        >>> explore_unified(1.5, 1.0).attributes
        {'data': '0.0 1.0', 'start': '1.5 1.0'}
    """
    if not (math.isfinite(data_mean) and 0.01 <= data_sd <= 100):
        raise ValueError(
            "Expected a finite mean of the data and a standard deviation between 0.01 and 100, got "
            f"{data_mean} and {data_sd}."
        )
    if not abs(mean - data_mean) <= 4 * data_sd:
        raise ValueError(
            "Expected a generator at most four standard deviations of the data from their mean, "
            f"between {data_mean - 4 * data_sd:.3g} and {data_mean + 4 * data_sd:.3g}, got {mean}."
        )
    if not 0.2 * data_sd <= sd <= 4 * data_sd:
        raise ValueError(
            f"Expected a standard deviation of the generator between {0.2 * data_sd:.3g} and "
            f"{4 * data_sd:.3g}, a fifth and four times that of the data, got {sd}."
        )
    given = {"data": (data_mean, data_sd), "start": (mean, sd)}
    return Explorable(
        "unified", {name: " ".join(repr(float(v)) for v in law) for name, law in given.items()}
    )
