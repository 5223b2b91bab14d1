"""The book's figures: one look, and alt text that cannot be forgotten.

Every function ends by displaying the figure as a PNG whose alt text travels with it, in Jupyter
and on the site. Alt text says what is seen, not that there is a plot.
"""

import io
from base64 import b64encode
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import matplotlib as mpl
import numpy as np
import PIL.Image
from IPython.display import Image, display
from matplotlib.axes import Axes
from matplotlib.colors import to_hex, to_rgba, to_rgba_array
from matplotlib.figure import Figure
from torch import Tensor

# One colour a symbol, the same in prose, formula and figure, on a light and on a dark ground
# (book/_static/genlab.css holds the same pairs). Each has a contrast of at least 5 to its ground
# and, after Okabe & Ito (2008), hues that stay apart for readers with colour blindness.
COLORS = {
    "truth": "#0a6199",  # p_data
    "model": "#b3470f",  # p_θ, and every estimate with a hat
    "approx": "#0a7355",  # q_φ
    "code": "#8a3a8a",  # z
    "accent": "#7d5e08",
    "data": "#5f6b76",  # the sample
}
INK, FAINT, GROUND = "#333d47", "#5f6b76", "#ffffff"
ON_DARK = {
    "#0a6199": "#6db9f2",
    "#b3470f": "#ff9e5e",
    "#0a7355": "#5fd3ae",
    "#8a3a8a": "#dd9be0",
    "#7d5e08": "#e3bd5b",
    "#5f6b76": "#a3adb8",
    "#333d47": "#ced6dd",
    "#ffffff": "#14181e",
}

STYLE = {
    "axes.edgecolor": FAINT,
    "axes.facecolor": "none",
    "axes.labelcolor": INK,
    "axes.labelsize": 10,
    "axes.prop_cycle": mpl.cycler(color=[COLORS[c] for c in COLORS if c != "data"]),
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 10.5,
    "figure.constrained_layout.use": True,
    "figure.facecolor": GROUND,
    "font.family": "DejaVu Sans",
    "font.size": 9.5,
    "image.cmap": "cividis",
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "text.color": INK,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
}
WIDTH, SCALE = 6.6, 100  # inches; CSS pixels an inch (the PNG has twice as many)


@contextmanager
def figure(
    *,
    alt: str,
    x: str = "",
    y: str = "",
    title: str | Sequence[str] = "",
    panels: int = 1,
    height: float = 3.2,
    share_y: bool = False,
) -> Iterator[Axes | list[Axes]]:
    """Axes to draw on; the figure is displayed when the block ends.

    Args:
        alt: what is to be seen, in a sentence or two. Required.
        x, y: axis labels with units.
        title: one title, or one a panel.
        panels: number of panels side by side; more than one yields a list of axes.
        height: inches; the width is that of the page.
        share_y: one vertical axis for all panels.

    Raises:
        ValueError: alt text of fewer than 20 characters, or another number of titles than panels.

    Example:
        >>> with figure(alt="A parabola opens upwards with its lowest point at zero.") as ax:
        ...     _ = ax.plot([-1, 0, 1], [1, 0, 1])
        <IPython.core.display.Image object>
    """
    _described(alt)
    titles = [title] * panels if isinstance(title, str) else list(title)
    if len(titles) != panels:
        raise ValueError(f"Expected one title, or {panels} for {panels} panels, got {len(titles)}.")
    with mpl.rc_context(STYLE):
        fig = Figure(figsize=(WIDTH, height))
        axes = fig.subplots(1, panels, squeeze=False, sharey=share_y)[0].tolist()
        for j, ax in enumerate(axes):
            ax.set(xlabel=x, ylabel=y if j == 0 or not share_y else "", title=titles[j])
        yield axes[0] if panels == 1 else axes
        show(fig, alt=alt)


def curve(
    at: Tensor, values: Tensor | dict[str, Tensor], *, alt: str, x: str = "", y: str = "", **look
) -> None:
    """One curve, or several with their names, over ``at``.

    Args:
        at: ``[points]``. values: ``[points]``, or a dict of name and ``[points]``; a name that
            is a key of ``COLORS`` takes that colour.
        look: further arguments of :func:`figure`.

    Example:
        >>> import torch
        >>> t = torch.linspace(0, 1, 5)
        >>> curve(t, t**2, alt="The square rises slowly, then fast, from 0 to 1.")
        <IPython.core.display.Image object>
    """
    with figure(alt=alt, x=x, y=y, **look) as ax:
        if isinstance(values, dict):
            for name, v in values.items():
                ax.plot(at, v, label=name, **({"color": COLORS[name]} if name in COLORS else {}))
            ax.legend()
        else:
            ax.plot(at, values)


def images(x: Tensor, *, alt: str, columns: int = 12, title: str = "") -> None:
    """A sheet of grey images, 0 white and 1 black.

    Args:
        x: ``[n, 1, height, width]`` or ``[n, height, width]``; values are clipped to [0, 1].

    Raises:
        ValueError: another shape, no images, NaN, no columns, or no alt text.

    Example:
        >>> import torch
        >>> images(torch.eye(8).expand(3, 8, 8), alt="Three times the same black diagonal line.")
        <IPython.core.display.Image object>
    """
    _described(alt)
    x = np.asarray((x.squeeze(1) if x.ndim == 4 else x).detach(), dtype=float)
    if x.ndim != 3 or len(x) == 0:
        raise ValueError(f"Expected images of shape (n, 1, h, w) or (n, h, w), got {x.shape}.")
    if np.isnan(x).any():
        raise ValueError(f"{int(np.isnan(x).any((1, 2)).sum())} of {len(x)} images hold NaN.")
    if columns < 1:
        raise ValueError(f"Expected one or more columns, got {columns}.")
    n, h, w = x.shape
    rows = -(-n // columns)
    sheet = np.zeros((rows * (h + 1) - 1, min(n, columns) * (w + 1) - 1))
    for i in range(n):
        r, c = divmod(i, columns)
        sheet[r * (h + 1) : r * (h + 1) + h, c * (w + 1) : c * (w + 1) + w] = x[i].clip(0, 1)
    with mpl.rc_context(STYLE):
        width = WIDTH * min(1.0, sheet.shape[1] / (9 * (8 + 1)))
        fig = Figure(figsize=(width, width * sheet.shape[0] / sheet.shape[1] + 0.3 * bool(title)))
        ax = fig.subplots()
        ax.imshow(sheet, cmap="gray_r", vmin=0, vmax=1, interpolation="nearest")
        ax.set_axis_off()
        ax.set_title(title)
        show(fig, alt=alt)


def show(fig: Figure, *, alt: str) -> None:
    """Display a matplotlib figure with its alt text.

    The output is one PNG. Its metadata hold the alt text, the width in CSS pixels, and the same
    figure for a dark ground, which the site shows to readers of its dark theme.

    Example:
        >>> show(Figure(figsize=(1, 1)), alt="An empty sheet, as nothing was drawn on it.")
        <IPython.core.display.Image object>
    """
    _described(alt)
    light = Image(png(fig), width=round(fig.get_figwidth() * SCALE))
    for_dark_ground(fig)
    dark = b64encode(png(fig)).decode()
    # Not Image(alt=…): Colab still has IPython 7, which does not know it.
    display(light, metadata={"image/png": {"alt": alt, "dark": dark}})


def png(fig: Figure) -> bytes:
    """The figure as PNG, two pixels a CSS pixel; the same figure gives the same bytes.

    256 colours are enough for lines and areas, and a third of the size.
    """
    with mpl.rc_context(STYLE), io.BytesIO() as drawn, io.BytesIO() as small:
        fig.savefig(drawn, format="png", dpi=2 * SCALE)
        pixels = PIL.Image.open(drawn).convert("RGB").quantize(256, dither=PIL.Image.Dither.NONE)
        pixels.save(small, format="png", optimize=True)
        return small.getvalue()


def for_dark_ground(fig: Figure) -> None:
    """Exchange every colour of the palette in a figure for its partner on a dark ground."""
    artists = fig.findobj()
    arrows = [artist.arrow_patch for artist in artists if getattr(artist, "arrow_patch", None)]
    for artist in [*artists, *arrows]:
        for kind in ("color", "facecolor", "edgecolor", "markerfacecolor", "markeredgecolor"):
            get, put = (getattr(artist, f"{verb}_{kind}", None) for verb in ("get", "set"))
            if get is None or put is None:
                continue
            colors = to_rgba_array(get())
            partners = [ON_DARK.get(to_hex(rgb)) for rgb in colors]
            if any(partners):
                pairs = zip(colors, partners, strict=True)
                new = [to_rgba(p, rgb[3]) if p else tuple(rgb) for rgb, p in pairs]
                put(new if len(new) > 1 else new[0])


def _described(alt: str) -> None:
    if not isinstance(alt, str) or len(alt.strip()) < 20:
        raise ValueError(
            "Expected alt text of at least 20 characters that says what is to be seen, "
            f"got {alt!r}."
        )
