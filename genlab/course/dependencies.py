"""What the outputs of a page depend on: its code, the genlab modules under it, the libraries."""

import ast
import hashlib
import json
import re
from importlib.metadata import version
from pathlib import Path

import jupytext
from IPython.core.inputtransformer2 import TransformerManager

LIBRARIES = ("torch", "numpy", "scipy", "scikit-learn", "matplotlib")
# In the head of a page: the line that names the kernel for people.
_DISPLAY_NAME = re.compile(r"\A(---\n(?:(?!---).*\n)*?kernelspec:\n(?: .*\n)*?)  display_name:.*\n")


def sources(page: Path, root: Path) -> dict[str, str]:
    """Everything but the page that its outputs depend on, by name.

    That is each genlab module that its code imports, directly or not, with a hash, and each
    library that computes or draws, with its version.
    """
    files = {file.relative_to(root).as_posix(): file for file in modules(page, root)}
    return {library: version(library) for library in LIBRARIES} | {
        name: hashlib.sha256(files[name].read_bytes()).hexdigest()[:16] for name in sorted(files)
    }


def fingerprint(page: Path, root: Path) -> str:
    """Hash of :func:`sources`."""
    return hashlib.sha256(json.dumps(sources(page, root)).encode()).hexdigest()[:16]


def stamped(text: str, stamp: str) -> str | None:
    """A page with a fingerprint in its kernelspec, which the execution cache takes into its key.

    It takes the place of the display name, so that every line keeps its number. None if the page
    has no kernelspec with a display name.
    """
    if head := _DISPLAY_NAME.match(text):
        return f"{head[1]}  display_name: 'fingerprint {stamp}'\n{text[head.end() :]}"
    return None


def modules(page: Path, root: Path) -> set[Path]:
    """Files of genlab that a notebook imports, directly or not."""
    todo = set()
    for cell in jupytext.read(page, fmt="md:myst").cells:
        if cell.cell_type == "code":
            code = re.sub(r"\A%%.*\n", "", cell.source)  # what a cell magic is given is code too
            todo |= _imports(TransformerManager().transform_cell(code), root)
    done = set()
    while todo:
        module = todo.pop()
        done.add(module)
        package = module.relative_to(root).parent.parts
        todo |= _imports(module.read_text(encoding="utf8"), root, package) - done
    return done


def _imports(code: str, root: Path, package: tuple[str, ...] = ()) -> set[Path]:
    try:
        tree = ast.parse(code)
    except SyntaxError:  # the page will fail when it runs, and show the line
        return set()
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            # One dot is the package that the module is in, each further dot one above it.
            above = package[: len(package) - node.level + 1] if node.level else ()
            name = ".".join([*above, *([node.module] if node.module else [])])
            names |= {name} | {f"{name}.{alias.name}" for alias in node.names}
    return {file for name in names for file in _files(name, root)}


def _files(name: str, root: Path) -> set[Path]:
    """The file of a module and the ``__init__`` of every package above it."""
    parts = name.split(".")
    if parts[0] != "genlab":
        return set()
    found = set()
    for i in range(1, len(parts) + 1):
        path = root.joinpath(*parts[:i])
        found |= {f for f in (path / "__init__.py", path.with_suffix(".py")) if f.is_file()}
    return found
