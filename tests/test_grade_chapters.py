"""The real chapters through the grader: all points for the solutions, none for known mistakes."""

import ast
from dataclasses import replace
from pathlib import Path

import pytest

from genlab.course import notebooks
from genlab.course.grade.archive import key
from genlab.course.grade.confine import Limits
from genlab.course.grade.referee import grade
from genlab.course.grade.student import Student
from genlab.course.root import chapters

ROOT = Path(__file__).parents[1]


def sources(nb, replaced=None):
    """The code cells, without wrong answers; of one, another text."""
    return [
        replaced[1] if replaced and i == replaced[0] else cell.source
        for i, cell in enumerate(nb.cells)
        if cell.cell_type == "code" and notebooks.WRONG not in cell.metadata.get("tags", [])
    ]


@pytest.mark.parametrize("name", chapters(ROOT))
def test_every_solution_gets_all_points(name):
    nb = notebooks.read(ROOT / "solutions" / f"{name}.py")
    marked = key(name, notebooks.solution(nb))
    with Student(Limits()) as student:
        marks = grade(marked, sources(nb), student)
    assert {mark.number: mark.reason for mark in marks if mark.reason} == {}
    assert [mark.points for mark in marks] == [task.points for task in marked.tasks]


def test_every_known_mistake_gets_none():
    nb = notebooks.read(ROOT / "solutions" / "01_density.py")
    marked = key("01_density", notebooks.solution(nb))
    with Student(Limits()) as student:
        for at, cell in notebooks.wrong_answers(nb):
            names = {statement.name for statement in ast.parse(cell.source).body}
            tasks = tuple(task for task in marked.tasks if names & {*task.names})
            (mark,) = grade(replace(marked, tasks=tasks), sources(nb, (at, cell.source)), student)
            assert mark.points == 0, cell.source
            assert mark.reason.startswith("not yet, because "), cell.source
