"""Figures: alt text that cannot be forgotten, the same bytes each time, one look."""

import io
from base64 import b64decode

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from IPython.core.formatters import DisplayFormatter
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.image import imread

from genlab import plot

ALT = "A line rises from the lower left to the upper right."
T = torch.linspace(0, 1, 5)


@pytest.fixture
def outputs(monkeypatch) -> list:
    """What reaches the page: data and metadata of each output, as Jupyter formats them."""
    found = []
    formatter = DisplayFormatter()

    def display(item, metadata):
        data, own = formatter.format(item)
        found.append((data, {kind: own[kind] | metadata.get(kind, {}) for kind in own}))

    monkeypatch.setattr(plot, "display", display)
    return found


@pytest.fixture
def shown(outputs):
    """A function that calls another, and returns the PNG and the metadata of its one figure."""

    def one(call):
        outputs.clear()
        call()
        ((data, metadata),) = outputs
        return b64decode(data["image/png"]), metadata["image/png"]

    return one


def pixels(png: bytes) -> np.ndarray:
    """Grey values, 0 black and 1 white, ``[height, width]``."""
    return imread(io.BytesIO(png), format="png")[..., :3].mean(2)


def with_figure(alt):
    with plot.figure(alt=alt) as ax:
        ax.plot(T, T)


WAYS = {
    "figure": with_figure,
    "curve": lambda alt: plot.curve(T, T, alt=alt),
    "images": lambda alt: plot.images(torch.eye(8).expand(3, 8, 8), alt=alt),
    "show": lambda alt: plot.show(Figure(figsize=(2, 1)), alt=alt),
}


@pytest.fixture
def drawn(monkeypatch) -> list[Figure]:
    """The matplotlib figures that are shown while the test runs, instead of their PNG."""
    figures = []
    monkeypatch.setattr(plot, "show", lambda fig, *, alt: figures.append(fig))
    return figures


# --- Alt text ----------------------------------------------------------------------------------


@pytest.mark.parametrize("way", WAYS)
def test_the_alt_text_and_the_width_travel_with_the_png(way, shown):
    png, metadata = shown(lambda: WAYS[way](ALT))
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    assert metadata["alt"] == ALT
    # The PNG has two pixels to a CSS pixel.
    assert pixels(png).shape[1] == pytest.approx(2 * metadata["width"], abs=1)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("alt", ["", "a plot", " " * 40, None, 20 * ["a"]])
def test_a_figure_without_alt_text_is_refused_and_not_shown(way, alt, outputs):
    with pytest.raises(ValueError, match="Expected alt text of at least 20 characters that says"):
        WAYS[way](alt)
    assert outputs == []


@pytest.mark.parametrize(
    "call",
    [
        lambda: plot.figure(x="time (s)").__enter__(),
        lambda: plot.curve(T, T),
        lambda: plot.images(torch.zeros(1, 2, 2)),
        lambda: plot.show(Figure()),
    ],
)
def test_alt_text_has_no_default(call):
    with pytest.raises(TypeError, match="alt"):
        call()


def test_alt_text_is_checked_before_anything_is_drawn():
    with pytest.raises(ValueError, match="alt text"), plot.figure(alt="a plot"):
        pytest.fail("the block was entered")


# --- The same figure, the same bytes -----------------------------------------------------------


@pytest.mark.parametrize("way", WAYS)
def test_two_calls_give_the_same_bytes(way, shown):
    assert shown(lambda: WAYS[way](ALT)) == shown(lambda: WAYS[way](ALT))


def test_the_png_names_no_date_and_no_program(shown):
    png, _ = shown(lambda: plot.curve(T, T, alt=ALT))
    assert b"Software" not in png
    assert b"matplotlib" not in png.lower()
    assert b"tIME" not in png


def test_the_look_does_not_depend_on_what_was_set_before_nor_leak_out(shown):
    before = dict(mpl.rcParams)
    png = shown(lambda: plot.curve(T, T, alt=ALT))
    assert dict(mpl.rcParams) == before
    with mpl.rc_context({"font.size": 20, "lines.linewidth": 9, "axes.spines.top": True}):
        assert shown(lambda: plot.curve(T, T, alt=ALT)) == png
    assert plt.get_fignums() == [], "figures must not pile up in pyplot"


def test_a_block_that_fails_shows_nothing_and_leaves_the_look_alone(outputs):
    before = dict(mpl.rcParams)
    with pytest.raises(ZeroDivisionError), plot.figure(alt=ALT) as ax:
        ax.plot([0, 1], [0, 1 / 0])
    assert outputs == []
    assert dict(mpl.rcParams) == before


# --- Panels, labels, curves --------------------------------------------------------------------


def test_one_panel_is_axes_and_more_are_a_list(drawn):
    with plot.figure(alt=ALT, x="x (cm)", y="density (1/cm)", title="All of it") as ax:
        ax.plot(T, T)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("x (cm)", "density (1/cm)")
    assert ax.get_title("left") == "All of it"
    with plot.figure(alt=ALT, panels=3, title=["a", "b", "c"], height=2.0, y="p") as panels:
        assert isinstance(panels, list)
        for axes in panels:
            axes.plot(T, T)
    assert [axes.get_title("left") for axes in panels] == ["a", "b", "c"]
    assert [axes.get_ylabel() for axes in panels] == ["p", "p", "p"]
    assert [tuple(fig.get_size_inches()) for fig in drawn] == [(plot.WIDTH, 3.2), (plot.WIDTH, 2.0)]
    assert drawn[1].axes == panels


def test_panels_stand_side_by_side_from_left_to_right(drawn):
    with plot.figure(alt=ALT, panels=2, title="Both") as panels:
        pass
    drawn[0].draw_without_rendering()
    left, right = (axes.get_position() for axes in panels)
    assert left.x1 < right.x0
    assert left.y0 == pytest.approx(right.y0)
    assert [axes.get_title("left") for axes in panels] == ["Both", "Both"]


def test_a_shared_axis_has_its_label_once(drawn):
    with plot.figure(alt=ALT, panels=2, share_y=True, y="p") as (left, right):
        left.plot([0, 1], [0, 5])
        right.plot([0, 1], [0, 1])
    assert left.get_ylim() == right.get_ylim()
    assert (left.get_ylabel(), right.get_ylabel()) == ("p", "")


def test_a_curve_takes_the_colour_of_its_name(drawn):
    plot.curve(T, {"truth": T, "model": T**2, "another": T**3}, alt=ALT, x="t", y="s", title="Up")
    (ax,) = drawn[0].axes
    truth, model, another = ax.get_lines()
    assert to_hex(truth.get_color()) == plot.COLORS["truth"]
    assert to_hex(model.get_color()) == plot.COLORS["model"]
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["truth", "model", "another"]
    np.testing.assert_allclose(model.get_ydata(), T**2)
    np.testing.assert_allclose(another.get_xdata(), T)
    assert (ax.get_xlabel(), ax.get_ylabel(), ax.get_title("left")) == ("t", "s", "Up")


def test_one_curve_has_no_legend(drawn):
    plot.curve(T, T**2, alt=ALT)
    (ax,) = drawn[0].axes
    assert ax.get_legend() is None
    np.testing.assert_allclose(ax.get_lines()[0].get_ydata(), T**2)


def test_colours_stand_apart():
    # One symbol, one colour; and none too pale for a white page (WCAG 2.2, 1.4.11: 3 to 1).
    assert len({colour.lower() for colour in plot.COLORS.values()}) == len(plot.COLORS)
    for name, colour in plot.COLORS.items():
        rgb = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
        linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
        luminance = linear @ [0.2126, 0.7152, 0.0722]
        assert 1.05 / (luminance + 0.05) > 3, name


# --- Images ------------------------------------------------------------------------------------


def sheet(drawn) -> np.ndarray:
    (ax,) = drawn[-1].axes
    return np.asarray(ax.get_images()[0].get_array())


def test_images_stand_in_rows_with_a_line_between_them(drawn):
    x = torch.arange(1, 6).reshape(5, 1, 1, 1).expand(5, 1, 2, 3) / 10
    plot.images(x, alt=ALT, columns=3)
    n = 0.0
    a, b, c, d, e = (torch.arange(1, 6).numpy() / 10).tolist()
    row = [[a, a, a, n, b, b, b, n, c, c, c]] * 2
    last = [[d, d, d, n, e, e, e, n, n, n, n]] * 2
    np.testing.assert_allclose(sheet(drawn), [*row, [n] * 11, *last], atol=1e-7)
    plot.images(x.squeeze(1), alt=ALT, columns=3)
    np.testing.assert_array_equal(sheet(drawn), sheet(drawn[:1]))


def test_values_are_clipped_and_the_data_are_not_changed(drawn):
    x = torch.tensor([[[-3.0, 0.25], [0.5, 7.0]]])
    before = x.clone()
    plot.images(x, alt=ALT)
    np.testing.assert_allclose(sheet(drawn), [[0, 0.25], [0.5, 1]])
    assert torch.equal(x, before)


def test_zero_is_white_and_one_is_black(shown):
    black, white, grey = (
        pixels(shown(lambda v=v: plot.images(torch.full((1, 8, 8), v), alt=ALT))[0])
        for v in (1.0, 0.0, 0.5)
    )
    middle = black.shape[0] // 2, black.shape[1] // 2
    assert black[middle] == 0
    assert white.min() == 1
    assert 0.4 < grey[middle] < 0.6


@pytest.mark.parametrize("dtype", [torch.uint8, torch.bool, torch.float64])
def test_binary_images_of_any_type(dtype, drawn):
    plot.images(torch.eye(4).expand(2, 4, 4).to(dtype), alt=ALT)
    assert sheet(drawn).sum() == 8


def test_a_title_makes_room_for_itself(drawn):
    x = torch.zeros(3, 8, 8)
    plot.images(x, alt=ALT)
    plot.images(x, alt=ALT, title="Three")
    plain, titled = (fig.get_size_inches() for fig in drawn)
    assert titled[0] == plain[0]
    assert titled[1] > plain[1]
    assert drawn[1].axes[0].get_title("left") == "Three"


@pytest.mark.parametrize(
    "shape", [(8, 8), (64,), (), (2, 3, 8, 8), (1, 2, 1, 8, 8), (0, 8, 8), (0, 1, 8, 8)]
)
def test_what_is_no_stack_of_grey_images_is_refused(shape, outputs):
    with pytest.raises(ValueError, match=r"Expected images of shape \(n, 1, h, w\) or \(n, h, w\)"):
        plot.images(torch.zeros(shape), alt=ALT)
    assert outputs == []


def test_titles_columns_and_nan_are_checked():
    alt = "Nothing is drawn here, the call is refused."
    with (
        pytest.raises(ValueError, match="or 2 for 2 panels, got 1"),
        plot.figure(panels=2, title=["a"], alt=alt),
    ):
        pass
    with pytest.raises(ValueError, match="one or more columns"):
        plot.images(torch.zeros(2, 3, 3), columns=0, alt=alt)
    with pytest.raises(ValueError, match="1 of 2 images hold NaN"):
        plot.images(torch.stack([torch.zeros(3, 3), torch.full((3, 3), torch.nan)]), alt=alt)


# --- Two grounds -------------------------------------------------------------------------------


def contrast(one: str, other: str) -> float:
    """Contrast of two colours as WCAG 2 defines it."""

    def luminance(colour):
        channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_every_colour_stands_out_on_its_ground():
    dark = plot.ON_DARK[plot.GROUND]
    for colour in [*plot.COLORS.values(), plot.INK, plot.FAINT]:
        assert contrast(colour, plot.GROUND) >= 4.5
        assert contrast(plot.ON_DARK[colour], dark) >= 4.5


def test_the_style_sheet_has_the_same_colours(root):
    css = (root / "book" / "_static" / "genlab.css").read_text()
    for name in ("truth", "model", "approx", "code", "data"):
        assert f"--t-{name}: {plot.COLORS[name]};" in css
        assert f"--t-{name}: {plot.ON_DARK[plot.COLORS[name]]};" in css


def test_a_figure_has_a_twin_for_a_dark_ground(shown):
    light, metadata = shown(lambda: plot.curve(T, {"model": T}, alt=ALT))
    dark = b64decode(metadata["dark"])
    assert pixels(dark).shape == pixels(light).shape
    assert pixels(light)[0, 0] == 1
    ground = [int(plot.ON_DARK[plot.GROUND][i : i + 2], 16) / 255 for i in (1, 3, 5)]
    assert imread(io.BytesIO(dark), format="png")[0, 0, :3] == pytest.approx(ground, abs=0.01)

    def holds(png, colour):
        rgb = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        distance = np.abs(imread(io.BytesIO(png), format="png")[..., :3] - rgb).max(2)
        return (distance < 0.02).sum() > 100

    model = plot.COLORS["model"]
    assert holds(light, model)
    assert not holds(light, plot.ON_DARK[model])
    assert holds(dark, plot.ON_DARK[model])
    assert not holds(dark, model)
