"""Sliders that call Python; they need a running kernel."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import ipywidgets
from IPython.utils.capture import capture_output


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
