"""An answer by its name: the statements of a notebook that define it, and those that they need.

Cells are cut into top-level statements, and each is known by the names that it binds and uses.
Where a cell stands, what it is called and what else is in it does not count; no other statement of
a student's notebook ever runs.
"""

import ast
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from IPython.core.inputtransformer2 import TransformerManager

from genlab.course.names import names

_MOST = 1_000_000  # characters of code
_STAR = "*"  # what ``from math import *`` binds: whatever may be asked for


class _Magics(TransformerManager):
    """IPython's, which reads a cell again for each magic in it: so often and no more."""

    left = 5_000_000  # characters

    def do_one_token_transform(self, lines: list[str]) -> tuple[bool, list[str]]:
        self.left -= sum(map(len, lines))
        if self.left < 0:
            raise ValueError("the notebook has too many magics")
        return super().do_one_token_transform(lines)


@dataclass(frozen=True)
class Piece:
    """One top-level statement."""

    text: str  # as it is written, with its comments
    code: str  # as Python reads it
    defines: str | None  # the function or class that it is
    binds: frozenset[str]
    uses: frozenset[str]
    stub: bool  # it raises NotImplementedError


def code_cells(data: bytes) -> list[str]:
    """The sources of a notebook's code cells, of format 3 or 4; nothing else in it is looked at.

    Raises:
        ValueError: it is no notebook; the message says why.
    """
    try:
        nb = json.loads(data)
        sheets = nb.get("worksheets", [nb])
        cells = [cell for sheet in sheets for cell in sheet["cells"] if cell["cell_type"] == "code"]
        found = ["".join(cell.get("source", cell.get("input", ""))) for cell in cells]
    except (ValueError, RecursionError) as error:
        raise ValueError(f"it is not JSON: {error}") from None
    except (KeyError, TypeError, AttributeError):
        raise ValueError("it is JSON, but no notebook") from None
    if sum(map(len, found)) > _MOST:
        raise ValueError("it is more than a million characters of code")
    return found


def pieces(cells: Iterable[str]) -> tuple[list[Piece], list[str]]:
    """The definitions in code cells, and the sources of cells that are no Python."""
    found, broken, magics = [], [], _Magics()
    for cell in cells:
        try:
            tree, source = _read(cell, magics)
            lines = source.splitlines()
            found += [piece for s in tree.body if (piece := _piece(s, lines)).binds]
        except Exception:  # whatever the parsers of IPython and Python stumble over
            broken.append(cell)
    return found, broken


def _read(cell: str, magics: _Magics) -> tuple[ast.Module, str]:
    try:
        return ast.parse(cell), cell
    except SyntaxError:
        source = magics.transform_cell(cell)
        return ast.parse(source), source


def needed(wanted: Iterable[str], *sources: Sequence[Piece]) -> list[Piece]:
    """The statements that define the wanted names and whatever they use.

    A name comes from the first source that binds it. The statements of the last source stand
    first, each source in its own order.
    """
    chosen: set[int] = set()
    known: set[str] = set()
    todo = [*wanted, _STAR]
    tables = [_table(source) for source in sources]
    while todo:
        name = todo.pop()
        if name in known:
            continue
        known.add(name)
        for table in tables:
            if binding := _binding(name, table.get(name, ())):
                chosen |= {id(piece) for piece in binding}
                todo += [used for piece in binding for used in piece.uses | piece.binds]
                break
    return [piece for source in reversed(sources) for piece in source if id(piece) in chosen]


def definition(name: str, source: Iterable[Piece]) -> Piece | None:
    """The function or class of this name: the last that is not a stub, else the last."""
    there = [piece for piece in source if piece.defines == name]
    done = [piece for piece in there if not piece.stub]
    return (done or there or [None])[-1]


def _binding(name: str, source: Sequence[Piece]) -> list[Piece]:
    one = definition(name, source)
    return [piece for piece in source if piece is one or piece.defines != name]


def _table(source: Iterable[Piece]) -> dict[str, list[Piece]]:
    """The statements that bind a name, by the names."""
    table: dict[str, list[Piece]] = {}
    for piece in source:
        for name in piece.binds:
            table.setdefault(name, []).append(piece)
    return table


def _piece(statement: ast.stmt, lines: list[str]) -> Piece:
    first = min([statement.lineno, *(d.lineno for d in getattr(statement, "decorator_list", ()))])
    code = ast.unparse(statement)
    binds, uses = names(code) if _defines(statement) else (set(), set())
    if isinstance(statement, ast.ImportFrom) and statement.names[0].name == _STAR:
        binds = {_STAR}
    binds |= _changed(statement)
    defined = isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
    return Piece(
        "\n".join(lines[first - 1 : statement.end_lineno]),
        code,
        statement.name if defined else None,
        frozenset(binds),
        frozenset(uses),
        any(isinstance(node, ast.Raise) and _not_done(node) for node in ast.walk(statement)),
    )


def _changed(statement: ast.stmt) -> set[str]:
    """The names of what it changes a part of: ``table["a"] = 1``, ``Law.sample = sample``."""
    match statement:
        case ast.Assign(targets=parts):
            pass
        case ast.AugAssign(target=part) | ast.AnnAssign(target=part):
            parts = [part]
        case _:
            parts = []
    found = set()
    for part in parts:
        while isinstance(part, ast.Subscript | ast.Attribute):
            part = part.value
        if isinstance(part, ast.Name):
            found.add(part.id)
    return found


def _not_done(node: ast.Raise) -> bool:
    error = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
    return isinstance(error, ast.Name) and error.id == "NotImplementedError"


def _defines(statement: ast.stmt) -> bool:
    """Whether it is a ``def``, a class, an import or an assignment; no loop, no check."""
    if isinstance(statement, ast.Try):
        return all(isinstance(s, ast.Import | ast.ImportFrom) for s in statement.body)
    return not isinstance(statement, ast.For | ast.While | ast.With | ast.Match | ast.Expr)
