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
import math
import os
from collections.abc import Callable
from pathlib import Path

import matplotlib as mpl
import torch
from docutils import nodes
from docutils.parsers.rst import directives
from matplotlib.figure import Figure
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective, SphinxRole
from torch import Tensor

from genlab import interact, plot
from genlab.density import KDE, Histogram, KNNDensity


def leave_one_out(x: Tensor, h: float) -> float:
    """Mean log-density of each point under the kernel estimate of the others, nats.

    Example:
        >>> round(leave_one_out(torch.tensor([0.0, 1.0, 3.0]), h=1.0), 4)
        -2.5126
    """
    rest = ~torch.eye(len(x), dtype=torch.bool)
    scores = [KDE(h).fit(x[others]).log_prob(x[~others]) for others in rest]
    return float(torch.cat(scores).mean())


def neighbours(x: Tensor, h: float) -> int:
    """The k that goes with h: the mean number of points within h of a point, below n.

    Example:
        >>> neighbours(torch.tensor([0.0, 1.0, 3.0]), h=1.0)
        2
    """
    within = ((x[:, None] - x).abs() <= h).sum(1).double().mean()
    return min(len(x) - 1, math.floor(float(within) + 0.5))


def density(points: str, h: str) -> Figure:
    """Chapter 01: histogram, kernel and neighbours at one width, and the score of every width."""
    x, width = torch.tensor([float(v) for v in points.split()], dtype=torch.float64), float(h)
    span = float(x.max() - x.min())
    low, high = float(x.min()) - span / 2, float(x.max()) + span / 2
    t = torch.linspace(low, high, 321, dtype=torch.float64)
    widths = torch.logspace(math.log10(span / 200), math.log10(span), 81, dtype=torch.float64)
    score = torch.tensor([leave_one_out(x, float(w)) for w in widths])
    best = float(widths[score.argmax()])
    bins = math.ceil((high - low) / width)
    models = {
        "histogram": (Histogram(bins, range=(low, low + bins * width)), "accent", "-"),
        "k nearest": (KNNDensity(neighbours(x, width)), "approx", "--"),
        "kernel": (KDE(width), "model", "-"),
    }
    fig = Figure(figsize=(plot.WIDTH, plot.WIDTH * 400 / 640))
    top, bottom = fig.subplots(2, 1, height_ratios=(2, 1))
    for name, (model, color, style) in models.items():
        p = model.fit(x).log_prob(t).exp()
        drawn = "steps-mid" if name == "histogram" else "default"
        top.plot(t, p, style, drawstyle=drawn, color=plot.COLORS[color], label=name)
    top.plot(x, torch.zeros_like(x), "o", color=plot.COLORS["data"], clip_on=False)
    ceiling = 2 * float(KDE(best).fit(x).log_prob(x).exp().max())
    top.set(title=f"density, h = {width:.3g}", xlim=(low, high), ylim=(0, ceiling))
    top.legend()
    bottom.semilogx(widths, score, color=plot.COLORS["model"])
    bottom.plot(width, leave_one_out(x, width), "o", color=plot.COLORS["model"])
    bottom.axvline(best, color=plot.COLORS["data"], linestyle=":")
    ticks = [m * 10.0**e for e in range(-9, 10) for m in (1, 2, 5)]
    shown = [tick for tick in ticks if span / 200 <= tick <= span]
    bottom.set_xticks(shown, [f"{tick:g}" for tick in shown])
    bottom.minorticks_off()
    peak = float(score.max())
    bottom.set(title="leave-one-out log-likelihood against h", ylim=(peak - 2.5, peak + 0.2))
    return fig


# The static figure of each explorable, drawn from the options of the directive.
STATIC: dict[str, Callable[..., Figure]] = {"density": density}


class ExplorableDirective(SphinxDirective):
    """Static figure and text, inside the element that replaces them when it comes into view."""

    required_arguments = 1
    has_content = True
    option_spec = {  # noqa: RUF012 (docutils reads it from the class)
        "alt": directives.unchanged_required,
        "points": directives.unchanged_required,
        "h": directives.unchanged_required,
    }

    def run(self) -> list[nodes.Node]:
        name, given = self.arguments[0], dict(self.options)
        if name not in STATIC:
            raise self.error(f"no explorable {name!r}; there are: {', '.join(sorted(STATIC))}")
        alt = given.pop("alt", "")
        for file in (*interact.SOURCES.iterdir(), Path(__file__)):
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
