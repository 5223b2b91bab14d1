"""The exercises of a notebook: what each is called, what it counts, which cells are its own."""

import builtins
import re
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from IPython.core.inputtransformer2 import TransformerManager
from nbformat import NotebookNode

from genlab.course.names import names
from genlab.course.notebooks import WRONG
from genlab.course.root import CourseError

_HEADING = re.compile(
    r"## (?P<number>\d+\.\d+) (?P<title>\S.*) "
    r"\((?P<points>\d+) points?, (?P<minutes>\d+) minutes?\)"
)


@dataclass(frozen=True)
class Exercise:
    """One exercise: the cells from its heading to the next."""

    number: str
    title: str
    points: int
    minutes: int
    cells: tuple[NotebookNode, ...]

    @property
    def checks(self) -> list[NotebookNode]:
        """The cells that carry its points."""
        return [cell for cell in self.cells if "points" in cell.metadata.get("nbgrader", {})]


def parts(nb: NotebookNode, name: str) -> tuple[list[NotebookNode], list[Exercise]]:
    """The cells before the first exercise, and the exercises in their order.

    Raises:
        CourseError: a heading is not one of an exercise, stands there twice, or does not name
            the points of the check cells under it.
    """
    starts = [
        i
        for i, cell in enumerate(nb.cells)
        if cell.cell_type == "markdown" and cell.source.startswith("## ")
    ]
    edges = [*starts, len(nb.cells)]
    exercises = [_exercise(nb.cells[i:j], name) for i, j in pairwise(edges)]
    numbers = [exercise.number for exercise in exercises]
    for twice in sorted({n for n in numbers if numbers.count(n) > 1}):
        raise CourseError(f"{name}: two exercises have the number {twice}. Renumber one.")
    return nb.cells[: edges[0]], exercises


def lost(
    before: Iterable[NotebookNode], exercises: Sequence[Exercise], chosen: Container[str]
) -> Iterator[tuple[str, str, str]]:
    """What the chosen exercises would miss: exercise, name, and the exercise that defines it.

    A name is missed if a chosen exercise uses it, an earlier one that is not chosen is the only
    one to define it, and it stands neither in the first cells nor in Python.
    """
    known = set(dir(builtins))
    for cell in before:
        known |= _names(cell)[0]
    gone: dict[str, str] = {}
    for exercise in exercises:
        kept = exercise.number in chosen
        for cell in exercise.cells:
            defined, used = _names(cell)
            if kept:
                known |= defined
                missed = sorted(name for name in used - known if name in gone)
                yield from ((exercise.number, name, gone[name]) for name in missed)
            else:
                gone |= dict.fromkeys(defined, exercise.number)


def _exercise(cells: list[NotebookNode], name: str) -> Exercise:
    heading = cells[0].source.partition("\n")[0]
    said = _HEADING.fullmatch(heading)
    if said is None:
        raise CourseError(
            f"{name}: expected the heading of an exercise, such as «## 1.1 Down the stairs "
            f"(2 points, 15 minutes)», found «{heading}»."
        )
    exercise = Exercise(
        said["number"], said["title"], int(said["points"]), int(said["minutes"]), tuple(cells)
    )
    points = sum(cell.metadata["nbgrader"]["points"] for cell in exercise.checks)
    if points != exercise.points:
        raise CourseError(
            f"{name}: the heading of exercise {exercise.number} says {exercise.points} points, its "
            f"check cells have {points:g}. Change one of them."
        )
    return exercise


def _names(cell: NotebookNode) -> tuple[set[str], set[str]]:
    """Those of a cell; a wrong answer counts for none."""
    if cell.cell_type != "code" or WRONG in cell.metadata.get("tags", []):
        return set(), set()
    return names(TransformerManager().transform_cell(cell.source))  # Python also where magic was
