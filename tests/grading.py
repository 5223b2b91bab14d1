"""A course of one small chapter for the tests of grading: its key, and notebooks of students."""

import json
import zipfile
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from genlab.course.grade.archive import key
from genlab.course.grade.confine import Limits
from genlab.course.grade.key import Key
from genlab.course.grade.referee import Mark, grade
from genlab.course.grade.student import Student

SETUP = "import torch\n\nfrom genlab.course.check import check"
TWICE = "def twice(x):\n    return x + x"
AREA = "def area(r):\n    return 3.141592653589793 * r * r"
SEEN = 'with check("1.1") as answer:\n    assert twice(3) == 6, "twice 3 is 6"'
HIDDEN = "answer.require()\nassert twice(1001) == 2002, 'a secret number'"
SEEN_AREA = (
    'with check("1.2") as answer:\n    assert abs(area(1.0) - 3.14159) < 1e-4, "that is not pi"'
)
HIDDEN_AREA = "answer.require()\nassert abs(area(2.0) - 12.56637) < 1e-4"
LIMITS = Limits(seconds=30, megabytes=600)  # seconds that only what never ends would use up
SHORT = Limits(seconds=1, megabytes=600)  # for what never ends


def source() -> nbformat.NotebookNode:
    """The instructors' notebook of the chapter 01_density: twice (2 points), area (3 points)."""
    return new_notebook(
        cells=[
            new_code_cell(SETUP),
            new_markdown_cell("## 1.1 Twice (2 points, 10 minutes)\n\nDouble it."),
            _cell(TWICE, "twice", solution=True),
            _cell(_both(SEEN, HIDDEN), "check-twice", points=2),
            new_markdown_cell("## 1.2 Area (3 points, 10 minutes)\n\nOf a disc."),
            _cell(AREA, "area", solution=True),
            _cell(_both(SEEN_AREA, HIDDEN_AREA), "check-area", points=3),
        ]
    )


def small_key() -> Key:
    """The key of that chapter."""
    return key("01_density", source())


def notebook(*cells: str) -> bytes:
    """What a student hands in."""
    return nbformat.writes(new_notebook(cells=[new_code_cell(c) for c in cells])).encode()


def marks(*cells: str, student: Student | None = None) -> list[Mark]:
    """What the referee says of these code cells, in the strictest sandbox there is here."""
    if student:
        student.informed = False  # by another notebook, which is no secret here
        return grade(small_key(), cells, student)
    with Student(LIMITS) as student:
        return grade(small_key(), cells, student)


def release(folder: Path) -> Path:
    """A release that holds nothing but the instructors' archive of that chapter."""
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(folder / "genlab-1-instructor.zip", "w") as archive:
        text = nbformat.writes(source())
        archive.writestr("genlab-1-instructor/source/01_density/01_density.ipynb", text)
    return folder


def hand_in(folder: Path, student: str, *cells: str) -> Path:
    """A notebook in a student's folder."""
    file = folder / student / "01_density.ipynb"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(notebook(*cells))
    return file


def results(out: Path) -> dict[str, dict]:
    """The stored results, by file."""
    found = [
        json.loads(p.read_text(encoding="utf8")) for p in sorted(out.rglob("results/**/*.json"))
    ]
    return {one["file"]: one for one in found}


def _both(seen: str, hidden: str) -> str:
    return f"{seen}\n### BEGIN HIDDEN TESTS\n{hidden}\n### END HIDDEN TESTS"


def _cell(text: str, name: str, solution: bool = False, **points: int) -> nbformat.NotebookNode:
    about = {"grade": not solution, "grade_id": name, "locked": not solution, **points}
    about |= {"schema_version": 3, "solution": solution, "task": False}
    return new_code_cell(text, metadata={"nbgrader": about})
