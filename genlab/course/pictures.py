"""The pictures of the landing page, one a chapter and one for the course, drawn by genlab."""

from pathlib import Path

import matplotlib as mpl
import torch
from matplotlib.colors import LinearSegmentedColormap, to_rgba
from matplotlib.figure import Figure
from sklearn.datasets import load_breast_cancer

from genlab import data, plot
from genlab.density import KDE, Histogram


def write(folder: Path) -> None:
    """Write each picture for a light and for a dark ground, if genlab is newer than they are."""
    folder.mkdir(parents=True, exist_ok=True)
    changed = max(file.stat().st_mtime for file in Path(__file__).parents[1].rglob("*.py"))
    drawn = [file.stat().st_mtime for file in folder.glob("*.png")]
    if len(drawn) == 2 * len(PICTURES) and min(drawn) > changed:
        return
    for name, draw in PICTURES.items():
        with mpl.rc_context(plot.STYLE):
            fig = draw()
            (folder / f"{name}-light.png").write_bytes(plot.png(fig))
            plot.for_dark_ground(fig)
            (folder / f"{name}-dark.png").write_bytes(plot.png(fig))


def course() -> Figure:
    """What you have, what a model knows, what it makes: a sample, a density, a new sample."""
    g = torch.Generator().manual_seed(3)
    x = data.Spiral(turns=1.5, noise=0.12).sample(700, generator=g).double()
    model = KDE("lscv").fit(x)
    low, high = float(x.min()) - 0.6, float(x.max()) + 0.6
    axis = torch.linspace(low, high, 220, dtype=torch.float64)
    density = model.log_prob(torch.cartesian_prod(axis, axis)).exp().reshape(220, 220)
    color = to_rgba(plot.COLORS["model"])
    fade = LinearSegmentedColormap.from_list("fade", [(*color[:3], 0.0), color])

    fig = Figure(figsize=(plot.WIDTH, 2.5))
    panels = fig.subplots(1, 3)
    titles = ("what you have", "what a model knows", "what it makes")
    for ax, title in zip(panels, titles, strict=True):
        ax.set(xlim=(low, high), ylim=(low, high), aspect="equal", xticks=[], yticks=[])
        ax.set_title(title, loc="center")
        ax.spines[:].set_visible(False)
    panels[0].scatter(*x.T, s=3, color=plot.COLORS["data"])
    panels[1].imshow(density.T, cmap=fade, extent=(low, high) * 2, origin="lower")
    panels[2].scatter(*model.sample(700, generator=g).T, s=3, color=plot.COLORS["model"])
    return fig


def density() -> Figure:
    """The histogram and the kernel estimate of the radii, without axes."""
    x = torch.tensor(load_breast_cancer().data[:, 0])
    t = torch.linspace(5, 30, 400, dtype=torch.float64)
    bins = Histogram(21).fit(x)
    fig = Figure(figsize=(3.2, 1.5))
    ax = fig.subplots()
    ax.fill_between(t, bins.log_prob(t).exp(), step="mid", color=plot.COLORS["data"], alpha=0.35)
    ax.plot(t, KDE("lscv").fit(x).log_prob(t).exp(), color=plot.COLORS["model"])
    ax.set(xticks=[], yticks=[], ylim=(0, None))
    ax.spines["left"].set_visible(False)
    return fig


PICTURES = {"course": course, "01_density": density}
