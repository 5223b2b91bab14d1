"""Exercises and executed solutions, derived from one text source a chapter.

``solutions/NN_slug.py`` (jupytext py:percent with nbgrader's cell metadata) gives

    exercises/NN_slug.ipynb    solutions and hidden tests cut out, byte for byte reproducible
    solutions/NN_slug.ipynb    the same cells with the solutions, executed

Cells tagged ``wrong-answer`` stand behind the solution that they get wrong; they are in neither
notebook, and the tests show that the check turns each of them down.
"""

import ast
import asyncio
import copy
import os
import re
from collections.abc import Sequence
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode
from nbgrader.nbgraderformat import MetadataValidator, ValidationError
from nbgrader.nbgraderformat.common import SchemaMismatchError
from nbgrader.preprocessors import (
    CheckCellMetadata,
    ClearHiddenTests,
    ClearSolutions,
    ComputeChecksums,
    LockCells,
)
from traitlets.config import Config

from genlab.course.root import CourseError, chapters

WRONG = "wrong-answer"
MARKERS = {
    f"### {edge} {region}" for edge in ("BEGIN", "END") for region in ("SOLUTION", "HIDDEN TESTS")
}
_LIKE_A_MARKER = re.compile(r"\b(begin|end)[ _-]*(solution|hidden[ _-]*test)s?\b", re.IGNORECASE)
_KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}


def read(source: Path) -> NotebookNode:
    """The source as a notebook: all cells, with ids that depend on nothing but the source.

    Raises:
        CourseError: a malformed marker or cell, named by its id.
    """
    try:
        nb = jupytext.read(source)
    except (ValueError, SyntaxError) as error:
        raise CourseError(f"{source.name} cannot be read: {error}") from error
    nb.metadata = NotebookNode(
        kernelspec=NotebookNode(_KERNEL), language_info=NotebookNode(name="python")
    )
    nb.nbformat, nb.nbformat_minor = 4, 5
    for i, cell in enumerate(nb.cells):
        cell.metadata.pop("lines_to_next_cell", None)
        nbgrader = cell.metadata.get("nbgrader", {})
        wrong = WRONG in cell.metadata.get("tags", [])
        cell.id = nbgrader.get("grade_id") or f"{source.stem}-{i:02d}"
        if wrong and nbgrader:
            raise CourseError(
                f'{source.name}: a cell tagged "{WRONG}" needs no nbgrader metadata ({cell.id}).'
            )
        _check_metadata(source, cell)
        _check_markers(source, cell)
        if nbgrader.get("grade") and cell.cell_type == "code":
            _check_has_no_value(source, cell)
    ids = [cell.id for cell in nb.cells]
    for twice in {i for i in ids if ids.count(i) > 1}:
        raise CourseError(f"{source.name}: two cells have the grade_id {twice}. Rename one.")
    return nb


def solution(nb: NotebookNode) -> NotebookNode:
    """The notebook of solutions, not executed: everything but the wrong answers."""
    nb = copy.deepcopy(nb)
    nb.cells = [cell for cell in nb.cells if WRONG not in cell.metadata.get("tags", [])]
    return nb


def exercise(nb: NotebookNode, name: str) -> NotebookNode:
    """The student's notebook: each solution is a stub, the hidden tests are gone.

    Raises:
        CourseError: nbgrader refuses the cells (nested or unclosed regions, missing metadata).
    """
    config = Config()
    config.ClearSolutions.code_stub = {"python": "raise NotImplementedError"}
    config.ClearSolutions.text_stub = "*Your answer here.*"
    nb, resources = solution(nb), {}
    for step in (CheckCellMetadata, ClearSolutions, ClearHiddenTests, LockCells, ComputeChecksums):
        try:
            nb, resources = step(config=config).preprocess(nb, resources)
        except (RuntimeError, ValueError, KeyError) as error:
            raise CourseError(f"{name}: nbgrader's {step.__name__} says: {error}") from error
    for cell in nb.cells:
        if found := _LIKE_A_MARKER.search(cell.source):
            raise CourseError(f"{name}: «{found[0]}» is left in the exercise cell {cell.id}.")
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    return nb


async def run(nb: NotebookNode, folder: Path, timeout: int = 120) -> NotebookNode:
    """A copy of a notebook, run from top to bottom in ``folder``: one thread, no progress bars.

    Raises:
        CourseError: a cell fails, takes longer than ``timeout`` seconds or ends the kernel; the
            message shows it.
    """
    nb = copy.deepcopy(nb)
    at = 0

    def started(cell: NotebookNode, cell_index: int) -> None:
        nonlocal at
        at = cell_index

    client = NotebookClient(
        nb,
        timeout=timeout,
        kernel_name="python3",
        record_timing=False,
        coalesce_streams=True,  # how a stream is cut up is chance
        shutdown_kernel="immediate",
        on_cell_start=started,
        extra_arguments=["--IPKernelApp.log_level=ERROR"],  # it warns at every start
        resources={"metadata": {"path": str(folder)}},
    )
    env = os.environ | {"OMP_NUM_THREADS": "1", "GENLAB_QUIET": "1"}
    try:
        await client.async_execute(env=env)
    except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
        lines = nb.metadata.get("source_map")  # MyST-NB's; for code, the line of its fence
        name = f"at line {lines[at]}" if lines else nb.cells[at].get("id", at)
        raise CourseError(f"the cell {name} stopped. {error}") from error
    return nb


def executed(nb: NotebookNode, folder: Path, timeout: int = 120) -> NotebookNode:
    """The same as :func:`run`, without what would differ in the next run or in another place.

    Raises:
        CourseError: as in :func:`run`.
    """
    nb = asyncio.run(run(nb, folder, timeout))
    nb.metadata = NotebookNode(
        kernelspec=NotebookNode(_KERNEL), language_info=NotebookNode(name="python")
    )
    for cell in nb.cells:
        for output in cell.get("outputs", []):
            # A widget without its kernel is dead, and its id is new each time.
            output.get("data", {}).pop("application/vnd.jupyter.widget-view+json", None)
    return nb


def dumps(nb: NotebookNode) -> str:
    """A notebook as text, always the same for the same cells."""
    nbformat.validate(nb)
    return nbformat.writes(nb, version=4) + "\n"


def write(root: Path, names: Sequence[str] = ()) -> None:
    """Write both notebooks of the named chapters (default: all) and say what changed."""
    for name in _chosen(root, names):
        source = read(root / "solutions" / f"{name}.py")
        _replace(root, root / "exercises" / f"{name}.ipynb", dumps(exercise(source, name)))
        print(f"running solutions/{name}.py", flush=True)
        done = executed(solution(source), root / "solutions")
        _replace(root, root / "solutions" / f"{name}.ipynb", dumps(done))


def check(root: Path, names: Sequence[str] = ()) -> None:
    """Compare both notebooks of the named chapters (default: all) with what would be written.

    Exercises must be equal byte for byte. Solutions must be equal in every cell; their outputs
    are nbval's to judge.

    Raises:
        CourseError: a notebook is missing or differs; every one is named.
    """
    differ = []
    for name in _chosen(root, names):
        source = read(root / "solutions" / f"{name}.py")
        path = root / "exercises" / f"{name}.ipynb"
        if not path.is_file() or path.read_bytes() != dumps(exercise(source, name)).encode():
            differ.append(f"exercises/{name}.ipynb")
        path = root / "solutions" / f"{name}.ipynb"
        if not _has_cells_of(path, solution(source)):
            differ.append(f"solutions/{name}.ipynb")
    if differ:
        raise CourseError(
            f"{', '.join(differ)}: not what solutions/*.py gives. Run `genlab notebooks` "
            "and commit what it writes."
        )
    print("Exercises and solutions are what solutions/*.py gives.")


def wrong_answers(nb: NotebookNode) -> list[tuple[int, NotebookNode]]:
    """The wrong answers of a source, each with the position of the solution that it replaces.

    Raises:
        CourseError: a wrong answer that does not follow a solution cell.
    """
    pairs, last = [], None
    for i, cell in enumerate(nb.cells):
        if WRONG in cell.metadata.get("tags", []):
            if last is None:
                raise CourseError(f"The wrong answer {cell.id} follows no solution cell.")
            pairs.append((last, cell))
        else:
            last = i if cell.metadata.get("nbgrader", {}).get("solution") else None
    return pairs


def _chosen(root: Path, names: Sequence[str]) -> list[str]:
    known = chapters(root)
    for name in names:
        if name not in known:
            raise CourseError(f"No chapter {name}; there are {', '.join(known)}.")
    return list(names) or known


def _check_markers(source: Path, cell: NotebookNode) -> None:
    for line in cell.source.splitlines():
        if _LIKE_A_MARKER.search(line) and line.strip() not in MARKERS:
            raise CourseError(
                f"{source.name}, cell {cell.id}: «{line.strip()}» looks like a marker but is "
                f"none. The markers are {', '.join(sorted(MARKERS))}, each on its own line."
            )
    inside = None
    for line in cell.source.splitlines():
        if line.strip() not in MARKERS:
            continue
        edge, region = line.strip().removeprefix("### ").split(" ", 1)
        if inside != (None if edge == "BEGIN" else region):
            raise CourseError(f"{source.name}, cell {cell.id}: {line.strip()} without its partner.")
        role = {"SOLUTION": "solution", "HIDDEN TESTS": "grade"}[region]
        if not cell.metadata.get("nbgrader", {}).get(role):
            raise CourseError(
                f"{source.name}, cell {cell.id}: {line.strip()} needs a cell whose nbgrader "
                f'metadata say "{role}": true.'
            )
        inside = region if edge == "BEGIN" else None
    if inside:
        raise CourseError(f"{source.name}, cell {cell.id}: ### BEGIN {inside} is never closed.")


def _check_metadata(source: Path, cell: NotebookNode) -> None:
    try:
        MetadataValidator().validate_cell(cell)
    except (ValidationError, SchemaMismatchError) as error:
        reason = getattr(error, "message", str(error))
        raise CourseError(
            f"{source.name}, cell {cell.id}: nbgrader does not accept its metadata: {reason}"
        ) from error


def _check_has_no_value(source: Path, cell: NotebookNode) -> None:
    """A number shown by a check cell would be its score: nbgrader takes it for partial credit."""
    try:
        body = ast.parse(cell.source).body
    except SyntaxError as error:
        raise CourseError(f"{source.name}, cell {cell.id} is not Python: {error}") from error
    if body and isinstance(body[-1], ast.Expr):
        raise CourseError(
            f"{source.name}, cell {cell.id}: a check must not end in a value, which nbgrader "
            "would take for the score. Assign it or assert something of it."
        )


def _has_cells_of(path: Path, nb: NotebookNode) -> bool:
    try:
        return _bare(nbformat.read(path, 4)) == _bare(nb)
    except (FileNotFoundError, ValueError):  # not there, or not a notebook any more
        return False


def _bare(nb: NotebookNode) -> list[tuple]:
    return [(c.id, c.cell_type, c.source, c.metadata) for c in nb.cells]


def _replace(root: Path, path: Path, text: str) -> None:
    old = path.read_text(encoding="utf8") if path.is_file() else None
    if old == text:
        print(f"{path.relative_to(root)}: unchanged")
        return
    path.parent.mkdir(exist_ok=True)
    new = path.with_suffix(".ipynb.new")
    new.write_text(text, encoding="utf8")
    new.replace(path)
    print(f"{path.relative_to(root)}: written")
