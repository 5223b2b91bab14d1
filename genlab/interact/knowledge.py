"""The figure of chapter 10 on your own counts."""

from collections.abc import Sequence

from genlab.interact.explorable import Explorable


def explore_knowledge(
    counts: Sequence[int],
    first: int = 0,
    *,
    threshold: int,
    softness: int = 0,
    weight: float = 2.0,
) -> Explorable:
    """Your own law on whole numbers, tilted by the rule "at least so many".

    q ∝ p e^{λf} with the rule's truth f(x) = 1 from ``threshold`` on, which rises to it in
    ``softness`` steps.

    Args:
        counts: how often each of the numbers first, first + 1, … was seen, 2 to 40 of them.
        first: the number that ``counts[0]`` belongs to.
        threshold: from first to one more than the last number.
        softness: 0 to 8.
        weight: λ, 0 to 6, to start from.

    Returns:
        an object to leave as the last line of a cell; it needs no kernel once it is shown.

    Raises:
        ValueError: counts or numbers that the figure cannot hold.

    Example:
        >>> explore_knowledge([1, 4, 3], threshold=2).attributes["counts"]
        '1 4 3'
    """
    seen = [int(v) for v in counts]
    if not 2 <= len(seen) <= 40 or min(seen) < 0 or not sum(seen):
        raise ValueError(f"Expected 2 to 40 counts >= 0, one of them positive, got {seen}.")
    last = first + len(seen)
    if not first <= threshold <= last:
        raise ValueError(f"Expected a threshold between {first} and {last}, got {threshold}.")
    if not 0 <= softness <= 8:
        raise ValueError(f"Expected a softness between 0 and 8, got {softness}.")
    if not 0 <= weight <= 6:
        raise ValueError(f"Expected a weight λ between 0 and 6, got {weight}.")
    given = {"first": first, "threshold": threshold, "softness": softness, "weight": weight}
    attributes = {name: repr(value) for name, value in given.items()}
    return Explorable("knowledge", {"counts": " ".join(map(str, seen))} | attributes)
