"""The gates of the exercise notebooks, for every chapter.

A kernel takes seconds to start. So each notebook is run once, by nbval, and the plugin
``nbval_made`` keeps what the cells made: a stored solution is one execution, nbval's is another.
"""

import json
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


def nbval(option: str, file: Path, threads: int, kept: Path) -> nbformat.NotebookNode:
    """The notebook as nbval's run left it; nbval has no complaint. ``kept`` is a file to use."""
    command = [sys.executable, "-m", "pytest", option, str(file), "-q", "-p", "no:cacheprovider"]
    # Its own warnings are nbval's matter: the project's filter would turn them into errors.
    command += ["-W", "default", "--nbval-current-env", "--nbval-cell-timeout=120"]
    command += ["-p", "nbval_made"]
    env = os.environ | {"OMP_NUM_THREADS": str(threads), "GENLAB_QUIET": "1"}
    env |= {"OMP_WAIT_POLICY": "PASSIVE"}  # a thread that waits takes no processor from others
    path = [str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]
    env |= {"NBVAL_MADE": str(kept), "PYTHONPATH": os.pathsep.join(filter(None, path))}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:]
    nb = nbformat.read(file, 4)
    code = [cell for cell in nb.cells if cell.cell_type == "code"]
    for cell, outputs in zip(code, json.loads(kept.read_text()), strict=True):
        cell.outputs = nbformat.from_dict(outputs)
    return nb


def made(nb) -> list[tuple]:
    """All that the cells put out, pictures and their alt text too; a live widget's id is chance."""
    live = "application/vnd.jupyter.widget-view+json"
    return [
        (cell.id, out.output_type, out.get("text"), data, out.get("metadata"))
        for cell in nb.cells
        for out in cell.get("outputs", [])
        for data in [{k: v for k, v in out.get("data", {}).items() if k != live}]
    ]


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
def test_untouched_exercises_run_and_say_not_attempted(name, tmp_path):
    nb = nbval("--nbval-lax", ROOT / "exercises" / f"{name}.ipynb", 1, tmp_path / "made")
    answers = said(nb)
    assert answers
    assert all(text.endswith("not attempted") for text in answers.values()), answers


@pytest.mark.parametrize("name", NAMES)
def test_with_two_threads_a_solution_gives_what_is_stored_from_one(name, tmp_path):
    file = ROOT / "solutions" / f"{name}.ipynb"
    again, stored = nbval("--nbval", file, 2, tmp_path / "made"), nbformat.read(file, 4)
    assert all(text.endswith(" right") for text in said(stored).values()), said(stored)
    if made(again) != made(stored):  # nbval skips pictures; another machine may draw other ones
        stored = notebooks.executed(notebooks.solution(SOURCES[name]), file.parent)
    assert made(again) == made(stored)


@pytest.mark.parametrize("name", NAMES)
def test_every_solution_has_a_wrong_answer_beside_it(name):
    cells = SOURCES[name].cells
    solved = {i for i, c in enumerate(cells) if c.metadata.get("nbgrader", {}).get("solution")}
    assert {place for place, _ in notebooks.wrong_answers(SOURCES[name])} == solved


def student(name: str) -> list:
    """The code cells of the student's notebook."""
    return [c for c in notebooks.exercise(SOURCES[name], name).cells if c.cell_type == "code"]


def run(cell, scope: dict) -> None:
    """Run a cell here, where the package is loaded."""
    exec(compile(cell.source, cell.id, "exec"), scope)


@pytest.mark.parametrize(("name", "place", "wrong"), WRONG)
def test_the_check_turns_a_wrong_answer_down(name, place, wrong, capsys):
    """Set-up, a wrong answer in place of the solution, and the student's check."""
    cells = student(name)
    at = next(i for i, c in enumerate(cells) if c.id == SOURCES[name].cells[place].id)
    check = next(c for c in cells[at:] if c.metadata.get("nbgrader", {}).get("grade"))
    scope = {"__name__": "notebook"}
    for cell in (cells[0], wrong, check):
        run(cell, scope)
    said = capsys.readouterr().out
    assert re.match(r"\d+\.\d+ not yet, because .{20,}", said), said
    assert "it stopped with" not in said, said


@pytest.mark.parametrize("name", NAMES)
def test_hidden_tests_fail_on_the_stub_and_count_for_graders(name):
    """A grader runs the check cells with their hidden tests: a stub loses the points."""
    whole = {c.id: c for c in notebooks.solution(SOURCES[name]).cells}
    scope, graded = {"__name__": "notebook"}, 0
    for cell in student(name):
        if not cell.metadata.get("nbgrader", {}).get("grade"):
            run(cell, scope)
            continue
        assert "BEGIN HIDDEN TESTS" in whole[cell.id].source, f"{cell.id} has no hidden tests"
        with pytest.raises(AssertionError) as stopped:
            run(whole[cell.id], scope)
        assert stopped.type is AssertionError
        graded += 1
    assert graded


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
