"""Figures that compute in the page: style, data and script of one stand in its HTML."""

import html
import itertools
import json
import re
from dataclasses import dataclass, field
from pathlib import Path

SOURCES = Path(__file__).parent / "js"
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
    """The shared module and ``name``.mjs as one classic script, which also runs from a file.

    Run twice on a page it does nothing the second time.

    Raises:
        FileNotFoundError: no such module.
    """
    module = SOURCES / f"{name}.mjs"
    if not module.is_file():
        known = sorted(file.stem for file in SOURCES.glob("*.mjs") if file.stem != "core")
        raise FileNotFoundError(f"No explorable {name!r}; there are: {', '.join(known)}.")
    return (
        f"if (!customElements.get({json.dumps('gen-' + name)})) {{\n"
        f"{join(SOURCES / 'core.mjs', module)}}}\n"
    )


def join(*modules: Path) -> str:
    """Modules one after the other, without their imports of each other and their exports."""
    return "".join(
        re.sub(r"^import [^;]*;\n|^export ", "", file.read_text(encoding="utf8"), flags=re.M)
        for file in modules
    )
