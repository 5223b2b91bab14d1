"""Which genlab modules a page depends on, directly or not."""

import ast
import hashlib
from importlib.metadata import version
from pathlib import Path

import jupytext


def fingerprint(page: Path, root: Path) -> str:
    """Hash of everything but the page that its outputs depend on.

    That is the source of every genlab module that its code imports, directly or not, and the
    versions of the libraries that compute and draw.
    """
    digest = hashlib.sha256()
    for package in ("torch", "numpy", "scipy", "scikit-learn", "matplotlib"):
        digest.update(f"{package} {version(package)}\n".encode())
    for module in sorted(modules(page, root)):
        digest.update(module.relative_to(root).as_posix().encode() + b"\0" + module.read_bytes())
    return digest.hexdigest()[:16]


def modules(page: Path, root: Path) -> set[Path]:
    """Files of genlab that a notebook imports, directly or not."""
    todo = set()
    for cell in jupytext.read(page, fmt="md:myst").cells:
        if cell.cell_type == "code":
            lines = [line for line in cell.source.splitlines() if not line.startswith(("%", "!"))]
            todo |= _imports(ast.parse("\n".join(lines)), root)
    done = set()
    while todo:
        module = todo.pop()
        done.add(module)
        package = module.relative_to(root).parent.parts
        todo |= _imports(ast.parse(module.read_text(encoding="utf8")), root, package) - done
    return done


def _imports(tree: ast.AST, root: Path, package: tuple[str, ...] = ()) -> set[Path]:
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
