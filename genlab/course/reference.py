"""The reference of the package: autodoc, and what it has to be told about our docstrings."""

import ast
import inspect
import re
from importlib import import_module
from pkgutil import iter_modules
from typing import TypeVar

from sphinx.application import Sphinx
from sphinx.pycode import ModuleAnalyzer

# What docutils reads as code or mathematics: literals, roles, displayed formulas, examples.
_CODE = re.compile(
    r"(``.+?``|:\w+:`[^`]+`|^ *\.\. math::.*?(?:\n *$|\Z)|^ *>>>.*?(?:\n *$|\Z))",
    re.DOTALL | re.MULTILINE,
)


def public(name: str) -> list[str]:
    """Public names of a module: its ``__all__``, or what it defines without an underscore."""
    module = import_module(name)
    if hasattr(module, "__all__"):
        return list(module.__all__)
    names = [
        found.id if isinstance(found, ast.Name) else found.name
        for node in ast.parse(inspect.getsource(module)).body
        for found in _named(node)
    ]
    return [
        key
        for key in names
        if not key.startswith("_") and not isinstance(getattr(module, key), TypeVar)
    ]


def source(name: str) -> str:
    """The reference of a module as reStructuredText: autodoc, and the constants that it leaves out.

    Autodoc finds the text at a constant only in the module that assigns it, and not where a
    package imports it from there.
    """
    lines = [f".. automodule:: {name}", ""]
    module = import_module(name)
    seen = _texts_at_constants(name)
    texts = {}
    for inner in iter_modules(getattr(module, "__path__", [])):
        texts |= _texts_at_constants(f"{name}.{inner.name}")
    for key in public(name):
        value = getattr(module, key)
        if key not in seen and not (inspect.isclass(value) or inspect.isfunction(value)):
            lines += [f".. py:data:: {key}", f"   :type: {type(value).__name__}", ""]
            lines += [f"   {line}" for line in texts.get(key, [])] + [""]
    return "\n".join(lines)


def first_sentence(documented: object) -> str:
    """The first sentence of a docstring.

    Example:
        >>> first_sentence(first_sentence)
        'The first sentence of a docstring.'
    """
    text = " ".join((inspect.getdoc(documented) or "").split("\n\n")[0].split())
    return re.split(r"(?<=\.)\s+(?=[A-Z])", text)[0].replace("``", "")


def connect(app: Sphinx) -> None:
    """Set up autodoc; ``sphinx.ext.autodoc`` and ``napoleon`` are loaded here."""
    app.setup_extension("sphinx.ext.autodoc")
    app.setup_extension("sphinx.ext.napoleon")
    app.connect("config-inited", _options)
    app.connect("autodoc-process-docstring", _keep_bars, priority=400)  # before napoleon
    app.connect("autodoc-process-signature", _no_constructor)
    app.connect("autodoc-skip-member", _skip_fields)


def _options(app: Sphinx, config) -> None:
    config.add_module_names = False  # the page's title says it
    config.autodoc_default_options = {
        "members": True,
        "undoc-members": True,  # fit(x) is clear from its signature
        "member-order": "bysource",
    }
    config.autodoc_preserve_defaults = True
    config.napoleon_attr_annotations = False  # types stand in the signature
    config.napoleon_custom_sections = ["Source"]


def _keep_bars(app, what, name, documented, options, lines: list[str]) -> None:
    """``|x|`` is mathematics: this book has no substitutions."""
    parts = _CODE.split("\n".join(lines))
    parts[::2] = [text.replace("|", r"\|") for text in parts[::2]]
    lines[:] = "".join(parts).split("\n")


def _no_constructor(app, what, name, documented, options, signature, returns):
    """A protocol is satisfied, not built."""
    return ("", None) if getattr(documented, "_is_protocol", False) else None


def _skip_fields(app, what, name, member, skip, options) -> bool | None:
    """Fields of data classes stand in the docstring of the class, or in its signature."""
    if what in ("class", "exception") and not (callable(member) or isinstance(member, property)):
        return True
    return None


def _named(node: ast.stmt) -> list[ast.AST]:
    """What a statement of a module gives a name to: a definition, or the targets assigned to."""
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
        return [node]
    targets = getattr(node, "targets", None) or [getattr(node, "target", node)]
    assigned = isinstance(node, (ast.Assign, ast.AnnAssign))
    return [n for t in targets for n in ast.walk(t) if isinstance(n, ast.Name)] if assigned else []


def _texts_at_constants(name: str) -> dict[str, list[str]]:
    texts = ModuleAnalyzer.for_module(name).find_attr_docs()
    return {key: text for (holder, key), text in texts.items() if not holder}
