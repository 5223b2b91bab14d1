"""Sliders that call Python."""

import math
from textwrap import dedent

import ipywidgets
import nbformat
import pytest

from genlab.course.notebooks import executed
from genlab.interact import Knob, sliders


class Calls(list):
    """Remembers the values that it is asked to draw."""

    def __call__(self, **values):
        self.append(values)


@pytest.mark.parametrize(
    ("low", "high", "start"),
    [(0.0, 1.0, 2.0), (0.0, 1.0, -0.1), (1.0, 1.0, 1.0), (2.0, 1.0, 1.5), (0.0, 1.0, math.nan)],
)
def test_a_start_outside_the_range_is_refused(low, high, start):
    with pytest.raises(
        ValueError, match="Expected finite low <= start <= high and low < high, got"
    ):
        Knob(low, high, start)


@pytest.mark.parametrize("low", [0.0, -1.0])
def test_a_logarithmic_range_does_not_reach_zero(low):
    with pytest.raises(ValueError, match=f"A logarithmic knob needs low > 0, got {low}"):
        Knob(low, 1.0, 0.5, log=True)


def test_the_ends_of_the_range_are_starts_too():
    assert Knob(0.0, 1.0, 0.0).slider("h").value == 0.0
    assert Knob(0.0, 1.0, 1.0).slider("h").value == 1.0


def test_whole_numbers_give_whole_numbers():
    slider = Knob(1, 40, start=7).slider("bins")
    assert isinstance(slider, ipywidgets.IntSlider)
    assert (slider.min, slider.max, slider.value, slider.step) == (1, 40, 7, 1)
    assert isinstance(Knob(1, 40, start=7.5).slider("bins"), ipywidgets.FloatSlider)


def test_fractions_give_a_hundred_steps():
    slider = Knob(-1.0, 3.0, start=0.5).slider("x")
    assert isinstance(slider, ipywidgets.FloatSlider)
    assert (slider.min, slider.max, slider.value) == (-1.0, 3.0, 0.5)
    assert slider.step == pytest.approx(0.04)


def test_a_logarithmic_knob_moves_in_equal_ratios():
    slider = Knob(0.01, 10.0, start=0.3, log=True).slider("h")
    assert isinstance(slider, ipywidgets.FloatLogSlider)
    assert slider.base**slider.min == pytest.approx(0.01)
    assert slider.base**slider.max == pytest.approx(10.0)
    assert slider.value == pytest.approx(0.3)
    whole = Knob(1, 1000, start=10, log=True).slider("n")
    assert isinstance(whole, ipywidgets.FloatLogSlider)


@pytest.mark.parametrize(
    "knob", [Knob(1, 40, 7), Knob(0.0, 1.0, 0.5), Knob(0.1, 1.0, 0.5, log=True)]
)
def test_a_slider_calls_when_it_is_let_go_and_is_named(knob):
    slider = knob.slider("bandwidth h")
    assert slider.description == "bandwidth h"
    assert slider.continuous_update is False


def test_a_panel_draws_once_and_again_at_every_change():
    draw = Calls()
    panel = sliders(draw, h=Knob(0.1, 1.0, start=0.5), bins=Knob(1, 40, start=7))
    assert isinstance(panel, ipywidgets.VBox)
    h, bins, out = panel.children
    assert (h.description, bins.description) == ("h", "bins")
    assert isinstance(out, ipywidgets.Output)
    assert draw == [{"h": 0.5, "bins": 7}]
    h.value = 0.8
    bins.value = 9
    assert draw[1:] == [{"h": 0.8, "bins": 7}, {"h": 0.8, "bins": 9}]
    bins.value = 9
    assert len(draw) == 3, "nothing changed, nothing is drawn"
    bins.value = 99
    assert draw[3:] == [{"h": 0.8, "bins": 40}], "a value stays in its range"


def test_the_panel_holds_what_was_printed_last_and_nothing_from_before(capsys):
    panel = sliders(lambda h: print(f"h = {h}"), h=Knob(0.1, 1.0, start=0.5))
    slider, out = panel.children
    assert [o["text"] for o in out.outputs] == ["h = 0.5\n"]
    slider.value = 0.75
    assert [o["text"] for o in out.outputs] == ["h = 0.75\n"]
    assert capsys.readouterr().out == "", "printed beside the panel"


def test_in_a_kernel_the_panel_holds_the_figure_with_its_alt_text(tmp_path):
    # JSON is what the widget's state is sent as.
    code = """
    import json
    from genlab import plot
    from genlab.interact import Knob, sliders

    def draw(height):
        plot.curve([0, 1], [0, height], alt=f"A line rises from zero to {height} at the right.")

    panel = sliders(draw, height=Knob(1, 5, start=2))
    panel.children[0].value = 4
    (output,) = json.loads(json.dumps(panel.children[-1].outputs))
    print(output["output_type"], output["metadata"]["image/png"]["alt"])
    print(output["data"]["image/png"][:11])
    """
    nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(dedent(code))])
    (printed,) = executed(nb, tmp_path).cells[0].outputs
    assert printed.text.splitlines() == [
        "display_data A line rises from zero to 4 at the right.",
        "iVBORw0KGgo",  # a PNG in base64
    ]


def test_a_panel_needs_a_knob():
    draw = Calls()
    with pytest.raises(ValueError, match=r"Expected at least one knob, e\.g\. h=Knob"):
        sliders(draw)
    assert draw == []


def test_an_error_while_drawing_is_not_swallowed():
    def draw(h):
        raise RuntimeError("no figure")

    with pytest.raises(RuntimeError, match="no figure"):
        sliders(draw, h=Knob(0.1, 1.0, start=0.5))
