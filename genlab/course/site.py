"""The website, from the sources to a folder that may be published."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from genlab.course.assets import vendor
from genlab.course.audit import Secrets, leaks, requests_elsewhere, secrets
from genlab.course.execute import execute
from genlab.course.notebooks import check
from genlab.course.root import CourseError


def build(root: Path) -> Path:
    """Build the site in _build/html and return its first page.

    Raises:
        CourseError: a cell fails, Sphinx warns, a notebook is out of step, a solution would be
            published, or a page would ask another host for a file.
    """
    start = time.perf_counter()
    _say("1/5 notebooks: exercises are what their source gives")
    check(root)
    page = pages(root, secrets(root))
    _say(f"done in {time.perf_counter() - start:.0f} s. Open {page}")
    return page


def pages(root: Path, hidden: Secrets, run: Callable = subprocess.run) -> Path:
    """The same without the check of the notebooks; ``hidden`` must not be on any page.

    ``run`` starts npm and Jupyter Book, as :func:`subprocess.run` does.

    Raises:
        CourseError: as in :func:`build`.
    """
    _say("2/5 front-end files")
    if lost := vendor(root, run):
        _say(lost)
    _say("3/5 chapters: each runs when its code or a module under it changed")
    execute(root)
    _say("4/5 pages")
    env = os.environ | {"OMP_NUM_THREADS": "1", "GENLAB_QUIET": "1"}
    book = Path(sys.executable).with_name("jupyter-book")
    command = [book, "build", root, "-W", "-n", "--keep-going"]
    page = root / "_build" / "html" / "index.html"
    if run(command, env=env, check=False).returncode or not page.is_file():
        raise CourseError("the pages were not built; the reason stands above.")
    _say("5/5 checks: no solution on the site, no request to another host")
    problems = [*leaks(hidden, page.parent), *requests_elsewhere(page.parent)]
    if problems:
        raise CourseError("the site must not be published:\n  " + "\n  ".join(problems))
    return page


def _say(text: str) -> None:
    print(f"genlab build: {text}", flush=True)
