"""Things to move: sliders that call Python, and figures that compute in the page.

The second kind needs no kernel. Its JavaScript stands in ``interact_js/``, one module a figure and
one that they share; the book and the notebook show the same one.
"""

import html
import itertools
import json
import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import ipywidgets
import torch
from IPython.utils.capture import capture_output
from torch import Tensor


@dataclass(frozen=True)
class Knob:
    """Range and start of one slider; ``log=True`` moves in equal ratios.

    Raises:
        ValueError: a start outside the range, or a logarithmic range that reaches zero.

    Example:
        >>> Knob(0.01, 10.0, start=0.3, log=True).slider("h").description
        'h'
    """

    low: float
    high: float
    start: float
    log: bool = False

    def __post_init__(self) -> None:
        finite = math.isfinite(self.low) and math.isfinite(self.high)
        if not (finite and self.low <= self.start <= self.high and self.low < self.high):
            raise ValueError(
                "Expected finite low <= start <= high and low < high, got "
                f"{self.low}, {self.start}, {self.high}."
            )
        if self.log and self.low <= 0:
            raise ValueError(f"A logarithmic knob needs low > 0, got {self.low}.")

    def slider(self, name: str) -> ipywidgets.Widget:
        """The slider; whole-number ranges give whole numbers."""
        look = {"value": self.start, "description": name, "continuous_update": False}
        if self.log:
            span = {"min": math.log10(self.low), "max": math.log10(self.high), "step": 0.02}
            return ipywidgets.FloatLogSlider(base=10, readout_format=".3g", **span, **look)
        whole = all(isinstance(v, int) for v in (self.low, self.high, self.start))
        if whole:
            return ipywidgets.IntSlider(min=self.low, max=self.high, **look)
        step = (self.high - self.low) / 100
        return ipywidgets.FloatSlider(min=self.low, max=self.high, step=step, **look)


def sliders(draw: Callable[..., None], **knobs: Knob) -> ipywidgets.Widget:
    """Show ``draw(**values)`` and redraw it whenever a slider is let go.

    Args:
        draw: shows a figure for one value a knob (for instance with :mod:`genlab.plot`).
        knobs: name and :class:`Knob` of each argument of ``draw``.

    Returns:
        a widget to leave as the last line of a cell; it needs a running kernel.

    Example:
        >>> panel = sliders(lambda h: None, h=Knob(0.1, 1.0, start=0.5))
        >>> [type(child).__name__ for child in panel.children]
        ['FloatSlider', 'Output']
    """
    if not knobs:
        raise ValueError("Expected at least one knob, e.g. h=Knob(0.1, 1.0, start=0.5).")
    controls = {name: knob.slider(name) for name, knob in knobs.items()}
    out = ipywidgets.Output()

    def redraw(_=None) -> None:
        # Captured here and set as a whole: an error in draw reaches its caller, and nothing
        # depends on how a front end routes output.
        with capture_output() as shown:
            draw(**{name: control.value for name, control in controls.items()})
        text = {"output_type": "stream", "name": "stdout", "text": shown.stdout}
        figures = [
            {"output_type": "display_data", "data": figure.data, "metadata": figure.metadata or {}}
            for figure in shown.outputs
        ]
        out.outputs = (*([text] if shown.stdout else []), *figures)

    for control in controls.values():
        control.observe(redraw, names="value")
    redraw()
    return ipywidgets.VBox([*controls.values(), out])


SOURCES = Path(__file__).parent / "interact_js"
_number = itertools.count(1)


@dataclass(frozen=True)
class Explorable:
    """A figure that computes in the page: ``interact_js/<name>.mjs`` with its starting values.

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


def explore(points: Tensor, h: float | None = None) -> Explorable:
    """Your own points in the figure of chapter 01: one width for three estimates of a density.

    Args:
        points: ``[n]``, 3 ≤ n ≤ 100, on the line.
        h: width to start from, between 1/200 of the range of the points and the whole of it; by
            default the one with the largest leave-one-out log-likelihood.

    Returns:
        an object to leave as the last line of a cell; it needs no kernel once it is shown.

    Raises:
        ValueError: points or a width that do not fit.

    Example:
        >>> explore(torch.tensor([0.0, 1.0, 4.0]), h=0.5).attributes
        {'points': '0.0 1.0 4.0', 'h': '0.5'}
    """
    x = torch.as_tensor(points).double()
    if x.ndim != 1 or not 3 <= len(x) <= 100:
        raise ValueError(
            f"Expected 3 to 100 points on the line, shape (n,), got {tuple(x.shape)}. "
            "Take some of them: points[torch.randperm(len(points))[:100]]."
        )
    span = float(x.max() - x.min())
    if not (math.isfinite(span) and span > 0):
        raise ValueError("Expected finite points that are not all equal.")
    if h is not None and not span / 200 <= h <= span:
        raise ValueError(
            f"Expected a width between {span / 200:.3g} and {span:.3g}, the range of the points, "
            f"got {h}."
        )
    start = {} if h is None else {"h": repr(float(h))}
    return Explorable("density", {"points": " ".join(map(repr, x.tolist())), **start})


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
