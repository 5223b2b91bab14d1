"""Which test shows which claim: labels of the book, marks of the tests.

Everything is read from the sources, nothing is imported or run.
"""

import ast
import re
import tomllib
from collections import defaultdict
from pathlib import Path

CLAIMS = ("theorem", "lemma", "proposition", "corollary")
_CLAIM = re.compile(
    r"^\s*[`:]{3,}\{prf:(?P<kind>\w+)\}[^\n]*\n(?P<options>(?:\s*:[\w-]+:[^\n]*\n)*)", re.MULTILINE
)
_LABEL = re.compile(r":label:\s*(\S+)")


def labels(root: Path) -> dict[str, str]:
    """Label of every theorem, lemma, proposition and corollary in the book, with its page.

    A claim without a label is entered as ``unlabelled in PAGE, …`` so that a test finds it.
    """
    found = {}
    for page in sorted((root / "book").glob("*.md")):
        for claim in _CLAIM.finditer(page.read_text(encoding="utf8")):
            if claim["kind"] in CLAIMS:
                label = _LABEL.search(claim["options"])
                found[label[1] if label else f"unlabelled in {page.name}, {claim[0]!r}"] = page.name
    return found


def marks(root: Path, mark: str) -> dict[str, list[str]]:
    """Arguments of ``@pytest.mark.<mark>`` in tests/, each with the tests that carry it."""
    found = defaultdict(list)
    for file in sorted((root / "tests").glob("test_*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf8"))):
            if isinstance(node, ast.FunctionDef):
                for argument in _arguments(node, mark):
                    found[argument].append(f"{file.name}::{node.name}")
    return dict(found)


def taught(root: Path) -> dict[str, dict]:
    """Rows of book/curriculum.toml: what the lectures teach, for the chapters that are finished."""
    return tomllib.loads((root / "book" / "curriculum.toml").read_text(encoding="utf8"))


def slips(root: Path) -> dict[str, dict]:
    """Rows of book/errata.toml: what the lectures get wrong, for the finished chapters."""
    return tomllib.loads((root / "book" / "errata.toml").read_text(encoding="utf8"))


def _arguments(function: ast.FunctionDef, mark: str) -> list[str]:
    return [
        argument.value
        for decorator in function.decorator_list
        if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == f"pytest.mark.{mark}"
        for argument in decorator.args
    ]
