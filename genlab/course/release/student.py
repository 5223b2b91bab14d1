"""The student archive: the exercises, genlab as a wheel, and how to start."""

import re
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from genlab.course.notebooks import dumps
from genlab.course.release.plan import Plan
from genlab.course.release.readme import readme
from genlab.course.root import CourseError

_BUILD = "import sys; from setuptools import build_meta; build_meta.build_wheel(sys.argv[1])"
_PARTS = ("pyproject.toml", "README.md", "LICENSE", "LICENSE-text")
_TO_THE_BOOK = re.compile(r"\[([^\]]*)\]\(\.\./book/[^)]*\)")

_REQUIREMENTS = """\
# What the exercises need. Which versions: constraints.txt.
-c constraints.txt
./{wheel}
ipykernel
jupyterlab
"""

_CONSTRAINTS = """\
# The exact versions that the course was tested with (Python 3.11, Linux). Nothing is installed
# because it is named here: a line counts where something else asks for its package.
"""


def build_wheel(root: Path, folder: Path, run: Callable) -> Path:
    """Build genlab's wheel into ``folder``, without a network, and return it.

    Nothing is left in ``root``. With SOURCE_DATE_EPOCH in the environment the same sources give
    the same bytes.

    Raises:
        CourseError: setuptools cannot build it.
    """
    with tempfile.TemporaryDirectory() as name:
        tree = Path(name)
        for part in _PARTS:
            shutil.copy2(root / part, tree)
        no_caches = shutil.ignore_patterns("__pycache__")
        shutil.copytree(root / "genlab", tree / "genlab", ignore=no_caches)
        command = [sys.executable, "-I", "-c", _BUILD, folder.absolute()]
        # The rights of files that setuptools writes are in the wheel too.
        done = run(command, cwd=tree, umask=0o022, capture_output=True, text=True, check=False)
    if done.returncode:
        raise CourseError(f"genlab's wheel was not built. setuptools says:\n{done.stderr[-2000:]}")
    return next(folder.glob("genlab-*.whl"))


def student(root: Path, plan: Plan, version: str, wheel: Path, folder: Path) -> None:
    """Write what the student archive holds into ``folder``; the course is prepared.

    Raises:
        CourseError: no chapter has exercises.
    """
    notebooks = sorted((root / "exercises").glob("*.ipynb"))
    if not notebooks:
        raise CourseError(
            "no chapter has exercises, so there is nothing to hand to students. Take "
            "`exercises = []` out of one of them in course.toml."
        )
    (folder / "exercises").mkdir(parents=True)
    for file in notebooks:
        nb = without_book(nbformat.read(file, 4))
        (folder / "exercises" / file.name).write_text(dumps(nb), encoding="utf8")
    shutil.copy2(wheel, folder)
    for name in ("LICENSE", "LICENSE-text", "CITATION.cff"):
        if (root / name).is_file():
            shutil.copy2(root / name, folder)
    pins = (root / "constraints.txt").read_text(encoding="utf8").splitlines(keepends=True)
    texts = {
        "requirements.txt": _REQUIREMENTS.format(wheel=wheel.name),
        "constraints.txt": _CONSTRAINTS + "".join(p for p in pins if not p.startswith("#")),
    }
    if plan.repository:
        texts["runtime.txt"] = "python-3.11\n"  # Binder's own may be older than genlab takes
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf8")
    (folder / "README.md").write_text(readme(root, plan, version, folder), encoding="utf8")


def without_book(nb: NotebookNode) -> NotebookNode:
    """The notebook with its links to the book as plain text: those pages are on the site."""
    for cell in nb.cells:
        if cell.cell_type == "markdown":
            cell.source = _TO_THE_BOOK.sub(r"\1", cell.source)
    return nb
