"""A chapter's exercises as they were chosen: cells, points, due date, and the prose about them."""

import re
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

import jupytext
import nbformat
from nbformat import NotebookNode

from genlab.course import notebooks
from genlab.course.exercises import Exercise, parts
from genlab.course.release.links import led
from genlab.course.release.plan import Chapter, in_words
from genlab.course.root import CourseError

NUMBERS = (
    *("no", "one", "two", "three", "four", "five", "six"),
    *("seven", "eight", "nine", "ten", "eleven", "twelve"),
)
_SUM = re.compile(r"\w+ exercises?, \d+ points?, about (?P<time>[^.]+)\.")
_OBJECTIVE = re.compile(r" \((?:exercises? )?(\d+\.\d+(?:, \d+\.\d+)*)\)")
_LINK = r"\[exercises\]\((?P<target>[^()\s]+)\)"
_TIME = re.compile(rf", [a-z ]+? (?P<rest>(?:of|for the) {_LINK})")
_CALL = re.compile(rf"^Now do the {_LINK}\.\n\n?", re.MULTILINE)


def trim(root: Path, chapter: Chapter, prose: Callable[[str], str]) -> None:
    """Cut a chapter's source and both its notebooks down to what was chosen.

    The solutions must be what the source gives, and keep their outputs. ``prose`` rewrites the
    Markdown cells that stay.

    Raises:
        CourseError: the first cell does not say how many exercises there are.
    """
    source, solved = (root / "solutions" / f"{chapter.name}.{end}" for end in ("py", "ipynb"))
    nb = jupytext.read(source)
    old = jupytext.writes(nb, fmt="py:percent")
    shown = [cell for cell in nb.cells if notebooks.WRONG not in cell.metadata.get("tags", [])]
    for cell, done in zip(shown, nbformat.read(solved, 4).cells, strict=True):
        _take_outputs(cell, done)
    _choose(nb, chapter, source.name)
    for cell in nb.cells:
        if cell.cell_type == "markdown":
            cell.source = prose(cell.source)
    new = jupytext.writes(nb, fmt="py:percent")
    if new == old:
        return
    source.write_text(new, encoding="utf8")
    derived = notebooks.read(source)
    student = root / "exercises" / f"{chapter.name}.ipynb"
    student.write_text(notebooks.dumps(notebooks.exercise(derived, chapter.name)), encoding="utf8")
    solution = notebooks.solution(derived)
    for cell, done in zip(solution.cells, notebooks.solution(nb).cells, strict=True):
        _take_outputs(cell, done)
    solved.write_text(notebooks.dumps(solution), encoding="utf8")


def times(text: str, folder: str, minutes: Mapping[str, int]) -> str:
    """A page with new times for the exercises that it links to, ``three of [exercises](…)``.

    ``minutes`` names the pages of exercises whose time is another; without any, what is said of
    them goes, and so does the call to do them.
    """

    def said(found: re.Match) -> str:
        new = minutes.get(led(found["target"], folder))
        if new is None:
            return found[0]
        return f", {about(new)} {found['rest']}" if new else ""

    text = _CALL.sub(lambda f: "" if minutes.get(led(f["target"], folder)) == 0 else f[0], text)
    return _TIME.sub(said, text)


def objectives(text: str, left_out: Collection[str]) -> str:
    """A chapter whose head names no exercise that is left out: ``(exercises 1.1, 1.2)``, ``(1.3)``.

    What is numbered is said where the first numbers stand.
    """
    said = False

    def named(found: re.Match) -> str:
        nonlocal said
        kept = [number for number in found[1].split(", ") if number not in left_out]
        word = "" if said else "exercises " if len(kept) > 1 else "exercise "
        said = said or bool(kept)
        return f" ({word}{', '.join(kept)})" if kept else ""

    head, before, rest = text.partition("**Before:**")
    return (_OBJECTIVE.sub(named, head) if left_out and before else head) + before + rest


def about(minutes: int) -> str:
    """A time in words, from an hour on to the next half.

    Example:
        >>> [about(minutes) for minutes in (20, 30, 60, 95, 170, 200)][:4]
        ['20 minutes', 'half an hour', 'an hour', 'an hour and a half']
        >>> about(170), about(200)
        ('three hours', 'three and a half hours')
    """
    if minutes < 60:
        return "half an hour" if minutes == 30 else f"{minutes} minutes"
    hours, half = divmod((minutes + 15) // 30, 2)
    if hours == 1:
        return "an hour and a half" if half else "an hour"
    return f"{_number(hours)}{' and a half' if half else ''} hours"


def _choose(nb: NotebookNode, chapter: Chapter, name: str) -> None:
    before, exercises = parts(nb, name)
    chosen = [exercise for exercise in exercises if exercise.number in chapter.points]
    nb.cells = [*before, *(cell for exercise in chosen for cell in exercise.cells)]
    first = nb.cells[0]
    if {exercise.number: exercise.points for exercise in exercises} != chapter.points:
        for exercise in chosen:
            _give_points(exercise, chapter.points[exercise.number])
        old = _SUM.search(first.source)
        if old is None:
            raise CourseError(
                f"{name}: expected the first cell to say «Eight exercises, 20 points, about three "
                f"hours.», found «{first.source}»."
            )
        count = f"{_number(len(chosen)).capitalize()} exercise{'s' * (len(chosen) > 1)}"
        time = about(sum(exercise.minutes for exercise in chosen))
        time = old["time"] if chosen == exercises else time
        said = f"{count}, {_points(sum(chapter.points.values()))}, about {time}."
        first.source = first.source.replace(old[0], said, 1)
    if chapter.due:
        title, _, rest = first.source.partition("\n\n")
        first.source = f"{title}\n\n**Due: {in_words(chapter.due)}.**\n\n{rest}"


def _give_points(exercise: Exercise, points: int) -> None:
    """Points in the heading and in the checks, to several of these in their old proportions.

    What does not come out whole goes to the checks that it takes most from, the first of them
    first.
    """
    heading = exercise.cells[0]
    heading.source = heading.source.replace(
        f"({_points(exercise.points)},", f"({_points(points)},", 1
    )
    weights = [check.metadata["nbgrader"]["points"] for check in exercise.checks]
    total = sum(weights)
    if not total:
        weights, total = [1] * len(weights), len(weights)
    shares = [points * weight // total for weight in weights]
    short = sorted(range(len(weights)), key=lambda i: shares[i] - points * weights[i] / total)
    for i in short[: points - sum(shares)]:
        shares[i] += 1
    for check, share in zip(exercise.checks, shares, strict=True):
        check.metadata["nbgrader"]["points"] = share


def _take_outputs(cell: NotebookNode, done: NotebookNode) -> None:
    if cell.cell_type == "code":
        cell.outputs, cell.execution_count = done.outputs, done.execution_count


def _points(n: int) -> str:
    return f"{n} point{'' if n == 1 else 's'}"


def _number(n: int) -> str:
    return NUMBERS[n] if n < len(NUMBERS) else str(n)
