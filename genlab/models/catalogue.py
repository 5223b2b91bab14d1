"""Every model of the course, entered where it is defined, and what each can do."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from genlab.models.protocols import Density, LowerBound, Sampler, Unnormalized


@dataclass(frozen=True)
class Entry:
    """One line of the model catalogue."""

    cls: type
    chapter: str
    source: str


CATALOGUE: dict[str, Entry] = {}
M = TypeVar("M", bound=type)


def catalogued(chapter: str, source: str) -> Callable[[M], M]:
    """Class decorator: enter a model into the catalogue.

    Args:
        chapter: slug of the chapter that teaches the model.
        source: author and year of the original publication.

    Example:
        >>> from genlab.density import KDE
        >>> CATALOGUE["KDE"].source
        'Rosenblatt 1956; Parzen 1962'
    """

    def enter(cls: M) -> M:
        CATALOGUE[cls.__name__] = Entry(cls, chapter, source)
        return cls

    return enter


def capabilities(model: object | type) -> tuple[str, ...]:
    """Names of the protocols that a model (or a model class) satisfies.

    Example:
        >>> from genlab.density import KDE, KNNDensity
        >>> capabilities(KDE)
        ('Sampler', 'Density')
        >>> capabilities(KNNDensity)
        ()
    """
    fits = issubclass if isinstance(model, type) else isinstance
    return tuple(p.__name__ for p in (Sampler, Density, LowerBound, Unnormalized) if fits(model, p))


PLACES: tuple[tuple[str, str], ...] = (
    ("explicit, tractable", "draws, and evaluates its density exactly"),
    ("explicit, approximate", "draws, and bounds its density or knows it up to a factor"),
    ("implicit", "draws, and evaluates nothing"),
    ("not generative", "does not draw"),
)
"""The leaves of the taxonomy, each with what a model there can do."""


def place(model: object | type) -> str:
    """The one leaf of the taxonomy at which a model (or a model class) stands, from its methods.

    A density is tractable, whatever else it has; without one, a bound or an energy makes a model
    approximate; what only draws is implicit; what does not draw is not generative.

    Source: Goodfellow 2016, NIPS tutorial, fig. 9 (arXiv:1701.00160).

    Example:
        >>> from genlab.density import KDE, KNNDensity, PCASampler
        >>> place(KDE), place(PCASampler), place(KNNDensity)
        ('explicit, tractable', 'implicit', 'not generative')
    """
    can = capabilities(model)
    tractable, approximate, implicit, not_generative = (name for name, _ in PLACES)
    if "Density" in can:
        return tractable
    if "LowerBound" in can or "Unnormalized" in can:
        return approximate
    return implicit if "Sampler" in can else not_generative
