"""Figures that compute in the page: style, data and script of one stand in its HTML."""

import html
import itertools
import json
import re
from dataclasses import dataclass, field
from pathlib import Path

SOURCES = Path(__file__).parent / "js"
_IMPORT = re.compile(r'^import ([^;]*?)\s+from "\./([\w.]+)"[^;]*;\n', re.MULTILINE)
_number = itertools.count(1)


@dataclass(frozen=True)
class Explorable:
    """A figure that computes in the page: ``js/<name>.mjs`` with its starting values.

    Self-contained: style, data and script stand in the HTML, nothing is loaded, so that it also
    works from a file, in Colab and in nbviewer.

    Args:
        name: of the module; its element is ``<gen-name>``.
        attributes: of the element.
        id: of the element, one for each figure on a page.
    """

    name: str
    attributes: dict[str, str]
    id: str = field(default_factory=lambda: f"explorable-{next(_number)}")

    def html(self, static: str) -> str:
        """The element around ``static``, which is seen until the script has run."""
        given = {"id": self.id, "class": "explorable"} | self.attributes
        opening = " ".join(f'{key}="{html.escape(value)}"' for key, value in given.items())
        style = (SOURCES / "explore.css").read_text(encoding="utf8")
        return (
            f"<style>{style}</style>\n<gen-{self.name} {opening}>{static}</gen-{self.name}>\n"
            f"<script>{script(self.name)}</script>"
        )

    def _repr_html_(self) -> str:
        return self.html("<p>This figure computes in the page. It needs JavaScript.</p>")


def script(name: str) -> str:
    """``name``.mjs and what it imports as one classic script, which also runs from a file.

    Run twice on a page it does nothing the second time.

    Raises:
        FileNotFoundError: no such module.
    """
    figures = {
        file.stem: file
        for file in sorted(SOURCES.glob("*.mjs"))
        if "customElements.define(" in file.read_text(encoding="utf8")
    }
    if name not in figures:
        raise FileNotFoundError(f"No explorable {name!r}; there are: {', '.join(figures)}.")
    return f"if (!customElements.get({json.dumps('gen-' + name)})) {{\n{join(figures[name])}}}\n"


def join(*modules: Path) -> str:
    """Modules one after the other, each once and after what it imports, without the imports.

    ``import name from "./file.json" with { type: "json" };`` becomes a constant.
    """
    texts: dict[Path, str] = {}

    def add(module: Path) -> None:
        text = module.read_text(encoding="utf8")
        for names, file in _IMPORT.findall(text):
            imported = module.parent / file
            if file.endswith(".json"):
                values = imported.read_text(encoding="utf8").strip()
                texts[imported] = f"const {names} = {values};\n"
            elif imported not in texts:
                add(imported)
        texts[module] = re.sub(r"^export ", "", _IMPORT.sub("", text), flags=re.M)

    for module in modules:
        add(module)
    return "".join(texts.values())
