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
