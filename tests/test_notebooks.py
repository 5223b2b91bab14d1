"""The gates of the exercise notebooks, for every chapter."""

import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from genlab.course import notebooks
from genlab.course.root import chapters

ROOT = Path(__file__).parents[1]
NAMES = chapters(ROOT)
SOURCES = {name: notebooks.read(ROOT / "solutions" / f"{name}.py") for name in NAMES}
WRONG = [
    pytest.param(name, place, wrong, id=f"{SOURCES[name].cells[place].id}-{i}")
    for name in NAMES
    for i, (place, wrong) in enumerate(notebooks.wrong_answers(SOURCES[name]))
]


def said(nb) -> dict[str, str]:
    """What each check cell of an executed notebook printed."""
    return {
        cell.id: "".join(out.text for out in cell.outputs if out.output_type == "stream").strip()
        for cell in nb.cells
        if cell.metadata.get("nbgrader", {}).get("grade")
    }


def nbval(option: str, file: Path) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "pytest", option, str(file), "-q", "-p", "no:cacheprovider"]
    # Its own warnings are nbval's matter: the project's filter would turn them into errors.
    command += ["-W", "default", "--nbval-current-env", "--nbval-cell-timeout=120"]
    env = os.environ | {"OMP_NUM_THREADS": "1", "GENLAB_QUIET": "1"}
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)


def test_notebooks_are_what_their_sources_give():
    assert NAMES
    notebooks.check(ROOT)


@pytest.mark.parametrize("name", NAMES)
def test_exercises_and_points(name):
    checks = [c.metadata["nbgrader"] for c in SOURCES[name].cells if "check(" in c.source]
    graded = [c for c in checks if c["grade"]]
    assert 5 <= len(graded) <= 8
    points = sum(c["points"] for c in graded)
    assert f"{points} points" in SOURCES[name].cells[0].source


@pytest.mark.parametrize("name", NAMES)
def test_untouched_exercises_run_and_say_not_attempted(name):
    done = nbval("--nbval-lax", ROOT / "exercises" / f"{name}.ipynb")
    assert done.returncode == 0, done.stdout[-3000:]
    nb = nbformat.read(ROOT / "exercises" / f"{name}.ipynb", 4)
    answers = said(notebooks.executed(nb, ROOT / "exercises"))
    assert answers
    assert all(text.endswith("not attempted") for text in answers.values()), answers


@pytest.mark.parametrize("name", NAMES)
def test_nbval_agrees_with_the_stored_solutions(name):
    done = nbval("--nbval", ROOT / "solutions" / f"{name}.ipynb")
    assert done.returncode == 0, done.stdout[-3000:]
    answers = said(nbformat.read(ROOT / "solutions" / f"{name}.ipynb", 4))
    assert all(text.endswith(" right") for text in answers.values()), answers


@pytest.mark.parametrize("name", NAMES)
def test_two_executions_give_the_same_bytes(name):
    nb = notebooks.solution(SOURCES[name])
    once, twice = (notebooks.dumps(notebooks.executed(nb, ROOT / "solutions")) for _ in range(2))
    assert once == twice


@pytest.mark.parametrize("name", NAMES)
def test_every_solution_has_a_wrong_answer_beside_it(name):
    cells = SOURCES[name].cells
    solved = {i for i, c in enumerate(cells) if c.metadata.get("nbgrader", {}).get("solution")}
    assert {place for place, _ in notebooks.wrong_answers(SOURCES[name])} == solved


@pytest.mark.parametrize(("name", "place", "wrong"), WRONG)
def test_the_check_turns_a_wrong_answer_down(name, place, wrong, capsys):
    """Set-up, a wrong answer in place of the solution, and the student's check."""
    cells = notebooks.exercise(SOURCES[name], name).cells
    at = next(i for i, c in enumerate(cells) if c.id == SOURCES[name].cells[place].id)
    check = next(c for c in cells[at:] if c.metadata.get("nbgrader", {}).get("grade"))
    setup = next(c for c in cells if c.cell_type == "code")
    scope = {"__name__": "notebook"}
    for cell in (setup, wrong, check):
        exec(compile(cell.source, cell.id, "exec"), scope)
    said = capsys.readouterr().out
    assert re.match(r"\d+\.\d+ not yet, because .{20,}", said), said
    assert "it stopped with" not in said, said


@pytest.mark.parametrize("name", NAMES)
def test_hidden_tests_fail_on_the_stub_and_count_for_graders(name):
    """A grader runs the check cells with their hidden tests: a stub loses the points."""
    stub = notebooks.exercise(SOURCES[name], name)
    whole = {c.id: c for c in notebooks.solution(SOURCES[name]).cells}
    graded = [c.id for c in stub.cells if c.metadata.get("nbgrader", {}).get("grade")]
    for cell in stub.cells:
        if cell.id in graded:
            assert "BEGIN HIDDEN TESTS" in whole[cell.id].source, f"{cell.id} has no hidden tests"
            cell.source = whole[cell.id].source
            cell.metadata["tags"] = ["raises-exception"]
    done = notebooks.executed(stub, ROOT / "exercises")
    for cell in done.cells:
        if cell.id in graded:
            assert [o.ename for o in cell.outputs if o.output_type == "error"] == ["AssertionError"]


@pytest.mark.parametrize("name", NAMES)
def test_nothing_hidden_is_left_for_the_student(name):
    student = notebooks.exercise(SOURCES[name], name)
    text = "\n".join(cell.source for cell in student.cells)
    for cell in SOURCES[name].cells:
        for begin, end in (("BEGIN SOLUTION", "END SOLUTION"), ("BEGIN HIDDEN", "END HIDDEN")):
            for region in re.findall(f"### {begin}.*?\n(.*?)### {end}", cell.source, re.DOTALL):
                assert region.strip() not in text
        if notebooks.WRONG in cell.metadata.get("tags", []):
            assert cell.source not in text
