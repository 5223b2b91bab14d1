"""The real chapters through the grader, which says of each answer what the notebook says."""

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


def sources(nb, at=None, wrong=""):
    """The code cells, without wrong answers; behind one of them stands another text."""
    return [
        f"{cell.source}\n\n\n{wrong}" if i == at else cell.source
        for i, cell in enumerate(nb.cells)
        if cell.cell_type == "code" and notebooks.WRONG not in cell.metadata.get("tags", [])
    ]


@pytest.fixture
def student():
    with Student(Limits()) as student:
        yield student


@pytest.mark.parametrize("name", chapters(ROOT))
def test_every_solution_gets_all_points(name, student):
    nb = notebooks.read(ROOT / "solutions" / f"{name}.py")
    marked = key(name, notebooks.solution(nb))
    marks = grade(marked, sources(nb), student)
    assert {mark.number: mark.reason for mark in marks if mark.reason} == {}
    assert [mark.points for mark in marks] == [task.points for task in marked.tasks]


@pytest.mark.parametrize("name", chapters(ROOT))
def test_a_known_mistake_of_each_exercise_gets_none_and_the_checks_own_reason(name, student):
    nb = notebooks.read(ROOT / "solutions" / f"{name}.py")
    marked = key(name, notebooks.solution(nb))
    last = dict(notebooks.wrong_answers(nb))  # of each solution
    for at, cell in last.items():
        names = {s.name for s in ast.parse(cell.source).body if hasattr(s, "name")}
        tasks = tuple(task for task in marked.tasks if names & {*task.names})
        (mark,) = grade(replace(marked, tasks=tasks), sources(nb, at, cell.source), student)
        assert mark.points == 0, cell.source
        assert mark.reason.startswith("not yet, because "), mark.reason
        assert "stopped with" not in mark.reason, mark.reason
    assert len(last) == len(marked.tasks)
