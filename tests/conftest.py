"""Fixtures and helpers shared by the tests."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from py_mini_racer import MiniRacer

from genlab.interact import SOURCES, join

ROOT = Path(__file__).parents[1]
# What a browser has and V8 alone has not.
BROWSER = """
class HTMLElement {}
const defined = {};
const customElements = {get: name => defined[name], define(name, element) {
  if (defined[name]) throw Error(`${name} is defined twice`);
  defined[name] = element;
}};
const document = {addEventListener() {}};
"""

# Files are dealt out whole to the workers of xdist: a long one at the end would leave another
# worker idle. In seconds of a processor these take 200 down to 20 each, the others less.
LONGEST_FIRST = (
    "test_site",
    "test_first_hour",
    "test_notebooks",
    "test_teach",
    "test_release",
    "test_release_archives",
    "test_execute",
    "test_release_select",
    "test_course",
    "test_density",
    "test_tables",
    "test_printed",
    "test_slides",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take longest; nothing else is moved."""
    place = {name: i for i, name in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: place.get(item.path.stem, len(place)))


@pytest.fixture
def g() -> torch.Generator:
    """A seeded generator; every test draws from its own."""
    return torch.Generator().manual_seed(20260101)


@pytest.fixture
def root() -> Path:
    """The folder of the course."""
    return ROOT


def slope(n, risk) -> float:
    """Least-squares slope on a log-log plot."""
    x, y = torch.as_tensor(n).double().log(), torch.as_tensor(risk).double().log()
    return float(((x - x.mean()) * (y - y.mean())).sum() / ((x - x.mean()) ** 2).sum())


def javascript(*modules: str) -> Callable:
    """Calls a function of js/core.mjs or of these modules by name, with JSON values.

    ``call = javascript("density")``, then ``call("kde", [0.0, 1.0], 0.5, 0.2)``. Infinite and NaN
    come back as None.
    """
    engine = MiniRacer()
    files = (SOURCES / f"{name}.mjs" for name in ("core", *modules))
    engine.eval(BROWSER + join(*files))

    def call(function, *arguments):
        values = ", ".join(json.dumps(a) for a in arguments)
        return json.loads(engine.eval(f"JSON.stringify({function}({values}))"))

    return call


def sphinx_page(folder: Path, text: str) -> Path:
    """A page in MyST with the directive and the role of figures, built by Sphinx; its folder.

    In a process of its own: Sphinx warns of its own nodes the second time in one.
    """
    (folder / "conf.py").write_text(
        "extensions = ['myst_parser']\nmyst_enable_extensions = ['colon_fence']\n"
        "from genlab.course.explorables import connect as setup\n"
    )
    (folder / "index.md").write_text(text)
    out = folder / "_build" / "html"
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "-b", "html", str(folder), str(out)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return out
