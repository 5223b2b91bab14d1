"""The directive ``{explorable}``: a figure that computes in the page, around one that does not.

::

    :::{explorable} density
    :points: -2.7 -2.65 -2.4
    :h: 2.2
    :alt: What the static figure shows.

    What a reader without JavaScript, or on paper, is told.
    :::

The static figure is drawn by genlab from the same numbers at build time. A button in the prose
sets the figure: ``{try}`density best <the best width>```.
"""

import hashlib
import html
import inspect
import os
from collections.abc import Callable
from pathlib import Path

import matplotlib as mpl
from docutils import nodes
from docutils.parsers.rst import directives
from matplotlib.figure import Figure
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective, SphinxRole

from genlab import interact, plot
from genlab.course.explorables.autoregressive import autoregressive
from genlab.course.explorables.density import density
from genlab.course.explorables.divergences import divergences
from genlab.course.explorables.early import early
from genlab.course.explorables.em import em
from genlab.course.explorables.flows import flows
from genlab.course.explorables.gans import gans
from genlab.course.explorables.knowledge import knowledge
from genlab.course.explorables.models import models
from genlab.course.explorables.unified import unified
from genlab.course.explorables.variational import variational

# The static figure of each explorable, drawn from the options of the directive.
STATIC: dict[str, Callable[..., Figure]] = {
    "autoregressive": autoregressive,
    "density": density,
    "divergences": divergences,
    "early": early,
    "em": em,
    "flows": flows,
    "gans": gans,
    "knowledge": knowledge,
    "models": models,
    "unified": unified,
    "variational": variational,
}


class ExplorableDirective(SphinxDirective):
    """Static figure and text, inside the element that replaces them when it comes into view."""

    required_arguments = 1
    has_content = True
    # The options are the arguments of the functions that draw.
    option_spec = {  # noqa: RUF012 (docutils reads it from the class)
        name: directives.unchanged_required
        for draw in STATIC.values()
        for name in ("alt", *inspect.signature(draw).parameters)
    }

    def run(self) -> list[nodes.Node]:
        name, given = self.arguments[0], dict(self.options)
        if name not in STATIC:
            raise self.error(f"no explorable {name!r}; there are: {', '.join(sorted(STATIC))}")
        alt = given.pop("alt", "")
        for file in (*interact.SOURCES.iterdir(), *Path(__file__).parent.glob("*.py")):
            self.env.note_dependency(str(file))
        light, dark = self._drawn(name, given)
        images = [
            nodes.image(uri=light, alt=alt, classes=["only-light"]),
            nodes.image(uri=dark, alt=alt, classes=["only-dark"]),
        ]
        before, after = (
            interact.Explorable(name, given | {"linked": ""}, id=name).html("\0").split("\0")
        )
        static = nodes.container("", *images, *self.parse_content_to_nodes(), classes=["static"])
        return [nodes.raw("", before, format="html"), static, nodes.raw("", after, format="html")]

    def _drawn(self, name: str, options: dict[str, str]) -> list[str]:
        """Draw the static figure for both grounds beside the build's products; their paths."""
        folder = Path(self.env.doctreedir).parent / "explorables"
        folder.mkdir(parents=True, exist_ok=True)
        key = hashlib.sha256(repr(sorted(options.items())).encode()).hexdigest()[:8]
        light, dark = (folder / f"{name}-{key}-{ground}.png" for ground in ("light", "dark"))
        with mpl.rc_context(plot.STYLE):
            fig = STATIC[name](**options)
            light.write_bytes(plot.png(fig))
            plot.for_dark_ground(fig)
            dark.write_bytes(plot.png(fig))
        page = Path(self.env.doc2path(self.env.docname)).parent
        return [Path(os.path.relpath(file, page)).as_posix() for file in (light, dark)]


class Try(SphinxRole):
    """``{try}`id name <words>```: a button that sets a figure of the page."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        target, _, words = self.text.partition("<")
        identifier, name = target.split()
        opening = (
            f'<button type="button" data-explorable="{html.escape(identifier)}" '
            f'data-try="{html.escape(name)}">'
        )
        text = nodes.Text(words.rstrip(">"))
        return [
            nodes.raw("", opening, format="html"),
            text,
            nodes.raw("", "</button>", format="html"),
        ], []


def connect(app: Sphinx) -> None:
    """Add the directive and the role to a Sphinx application."""
    app.add_directive("explorable", ExplorableDirective)
    app.add_role("try", Try())
