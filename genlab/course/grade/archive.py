"""The keys of a release, from its instructors' archive."""

import ast
import zipfile
from pathlib import Path, PurePosixPath

import nbformat
from nbformat import NotebookNode

from genlab.course.exercises import Exercise, parts
from genlab.course.grade.key import Check, Key, Task
from genlab.course.names import names
from genlab.course.root import CourseError

_BEGIN, _END = "### BEGIN HIDDEN TESTS", "### END HIDDEN TESTS"


def keys(release: Path) -> dict[str, Key]:
    """The chapters of a release, by their names.

    Args:
        release: the folder that ``genlab release`` made, or its instructors' archive.

    Raises:
        CourseError: there is no instructors' archive, or no notebook in it.
    """
    archives = [release] if release.is_file() else sorted(release.glob("*-instructor.zip"))
    if len(archives) != 1 or not zipfile.is_zipfile(archives[0]):
        raise CourseError(
            f"expected one instructors' archive in {release}, such as "
            f"dist/2027.1/genlab-2027.1-instructor.zip, found {len(archives)}. Give the folder "
            "that `genlab release` wrote: --release dist/2027.1"
        )
    found = {}
    with zipfile.ZipFile(archives[0]) as archive:
        for name in sorted(archive.namelist()):
            path = PurePosixPath(name)
            if path.suffix == ".ipynb" and "source" in path.parts:
                nb = nbformat.reads(archive.read(name).decode(), 4)
                found[path.stem] = key(path.stem, nb)
    if not found:
        raise CourseError(f"{archives[0]} holds no notebook source/NN_slug/NN_slug.ipynb.")
    return found


def key(chapter: str, nb: NotebookNode) -> Key:
    """The key of one notebook with solutions and hidden tests."""
    _, exercises = parts(nb, chapter)
    tasks = tuple(_task(exercise) for exercise in exercises if exercise.checks)
    given = [
        _cut(cell.source)[0]
        for cell in nb.cells
        if cell.cell_type == "code" and not cell.metadata.get("nbgrader", {}).get("solution")
    ]
    return Key(chapter, tasks, tuple(given))


def _task(exercise: Exercise) -> Task:
    defined: dict[str, None] = {}
    for cell in exercise.cells:
        if cell.cell_type == "code" and cell.metadata.get("nbgrader", {}).get("solution"):
            for statement in ast.parse(cell.source).body:
                if isinstance(statement, ast.FunctionDef | ast.ClassDef):
                    defined[statement.name] = None
                else:
                    defined |= dict.fromkeys(sorted(names(ast.unparse(statement))[0]))
    checks = [
        Check(cell.metadata["nbgrader"]["points"], *_cut(cell.source)) for cell in exercise.checks
    ]
    about = exercise.number, exercise.title, exercise.points, exercise.minutes
    return Task(*about, tuple(defined), tuple(checks))


def _cut(source: str) -> tuple[str, str]:
    """What stands before and outside hidden tests, and what stands in them."""
    seen, hidden, inside = [], [], False
    for line in source.splitlines():
        if line.strip() in (_BEGIN, _END):
            inside = line.strip() == _BEGIN
        else:
            (hidden if inside else seen).append(line)
    return "\n".join(seen), "\n".join(hidden)
