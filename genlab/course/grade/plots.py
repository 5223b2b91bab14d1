"""The plots of the summary: parts of its page, in its colours, on a light or a dark ground."""

import io
import math
import re
from collections.abc import Callable, Sequence
from html import escape

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from genlab.plot import COLORS, FAINT, INK, STYLE

_INKS = {INK: "--ink", FAINT: "--faint", COLORS["truth"]: "--truth"}  # those of the page


def histogram(totals: list[float], most: float) -> str:
    """How many students have how many points, of ``most``."""

    def draw(ax: Axes) -> None:
        bins = [k - 0.5 for k in range(math.ceil(most) + 2)]
        ax.hist(totals, bins=bins, color=COLORS["truth"], rwidth=0.9)
        ax.set(xlabel="points", ylabel="students", xlim=(-0.7, most + 0.7))
        for axis in (ax.xaxis, ax.yaxis):
            axis.get_major_locator().set_params(integer=True)

    return _drawn(draw, 2, f"Histogram of the points of {len(totals)} students.")


def scatter(found: list[dict], levels: Sequence[float]) -> str:
    """Discrimination against difficulty, an exercise a point, with lines at ``levels``."""
    at = [item for item in found if not math.isnan(item["discrimination"])]
    if not at:
        return ""

    def draw(ax: Axes) -> None:
        for level in levels:
            ax.axhline(level, color=FAINT, lw=0.8, ls=":")
        for item in at:
            place = 100 * item["difficulty"], item["discrimination"]
            ax.plot(*place, "o", color=COLORS["truth"])
            ax.annotate(item["number"], place, xytext=(5, 4), textcoords="offset points")
        ax.margins(y=0.15)
        ax.set(xlabel="points reached, %", ylabel="discrimination", xlim=(-3, 103))

    return _drawn(draw, 2.4, "Discrimination of each exercise against the share of points reached.")


def _drawn(draw: Callable[[Axes], None], height: float, alt: str) -> str:
    """A figure in the colours of the page, whichever those are."""
    out = io.StringIO()
    with mpl.rc_context(STYLE | {"svg.fonttype": "none", "svg.hashsalt": alt}):
        figure = Figure(figsize=(5.2, height))
        draw(figure.subplots())
        nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure.savefig(out, format="svg", transparent=True, metadata=nothing)
    svg = out.getvalue().partition("<svg")[2]
    for ink, name in _INKS.items():
        svg = svg.replace(ink, f"var({name})")
    svg = re.sub(r' id="(?![mp][0-9a-f]{10}")[^"]*"', "", svg)  # those that nothing refers to
    return f'<figure><svg role="img" aria-label="{escape(alt)}"{svg.rstrip()}</figure>'
