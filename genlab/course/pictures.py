"""The pictures of the landing page, one a chapter and one for the course, drawn by genlab."""

import math
from functools import partial
from pathlib import Path

import matplotlib as mpl
import torch
from matplotlib.colors import LinearSegmentedColormap, to_rgba
from matplotlib.figure import Figure
from sklearn.datasets import load_breast_cancer
from torch.distributions import Normal
from torch.nn.functional import pad

from genlab import data, plot
from genlab.course.explorables.flows import load as load_flows
from genlab.course.explorables.variational import load as load_coders
from genlab.density import KDE, Histogram
from genlab.divergences import fit_gaussian, two_modes
from genlab.early import RBM, persistent_ascent
from genlab.em import GaussianMixture
from genlab.gans import dirac_gan, simultaneous, trajectory
from genlab.interact.flows import stops
from genlab.knowledge import stick_figures
from genlab.models import conditional_gaussian
from genlab.unified import lemma_gan, on_line


def write(folder: Path) -> None:
    """Write each picture for a light and for a dark ground, if genlab is newer than they are.

    A chapter that has no page in the book, two folders above, has no picture.
    """
    folder.mkdir(parents=True, exist_ok=True)
    pages = {page.stem for page in folder.parents[1].glob("[0-9][0-9]_*.md")}
    wanted = {name: draw for name, draw in PICTURES.items() if name in pages | {"course"}}
    changed = max(file.stat().st_mtime for file in Path(__file__).parents[1].rglob("*.py"))
    drawn = [file.stat().st_mtime for file in folder.glob("*.png")]
    if len(drawn) == 2 * len(wanted) and min(drawn) > changed:
        return
    for name, draw in wanted.items():
        with mpl.rc_context(plot.STYLE):
            fig = draw()
            (folder / f"{name}-light.png").write_bytes(plot.png(fig))
            plot.for_dark_ground(fig)
            (folder / f"{name}-dark.png").write_bytes(plot.png(fig))


def _fade(name: str) -> LinearSegmentedColormap:
    """From nothing to a colour of the course."""
    color = to_rgba(plot.COLORS[name])
    return LinearSegmentedColormap.from_list(name, [(*color[:3], 0.0), color])


def course() -> Figure:
    """What you have, what a model knows, what it makes: a sample, a density, a new sample."""
    g = torch.Generator().manual_seed(3)
    x = data.Spiral(turns=1.5, noise=0.12).sample(700, generator=g).double()
    model = KDE("lscv").fit(x)
    low, high = float(x.min()) - 0.6, float(x.max()) + 0.6
    axis = torch.linspace(low, high, 220, dtype=torch.float64)
    density = model.log_prob(torch.cartesian_prod(axis, axis)).exp().reshape(220, 220)
    fig = Figure(figsize=(plot.WIDTH, 2.5))
    panels = fig.subplots(1, 3)
    titles = ("what you have", "what a model knows", "what it makes")
    for ax, title in zip(panels, titles, strict=True):
        ax.set(xlim=(low, high), ylim=(low, high), aspect="equal", xticks=[], yticks=[])
        ax.set_title(title, loc="center")
        ax.spines[:].set_visible(False)
    panels[0].scatter(*x.T, s=3, color=plot.COLORS["data"])
    panels[1].imshow(density.T, cmap=_fade("model"), extent=(low, high) * 2, origin="lower")
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


def models() -> Figure:
    """Four digits: the upper half, the best guess of the lower one, and the truth."""
    g = torch.Generator().manual_seed(5)
    digits = data.digits()
    train, test = (part.double().reshape(-1, 64) for part in (digits.train, digits.test))
    covariance = train.T.cov() + 0.005 * torch.eye(64, dtype=torch.float64)
    x = test[[0, 77, 110, 330]]
    law = conditional_gaussian(train.mean(0), covariance, torch.arange(32), x[:, :32])
    noise = torch.randn(4, 32, 1, dtype=torch.float64, generator=g)
    draw = law.loc + (law.scale_tril @ noise)[..., 0]
    fig = Figure(figsize=(3.2, 1.5))
    for ax, upper, lower in zip(fig.subplots(1, 4), x[:, :32], draw, strict=True):
        for half, name, bottom in ((upper, "data", 4), (lower.clamp(0, 1), "model", 0)):
            extent = (0, 8, bottom, bottom + 4)
            ax.imshow(half.reshape(4, 8), cmap=_fade(name), extent=extent, vmin=0, vmax=1)
        ax.axhline(4, color=plot.COLORS["data"], linewidth=0.8)
        ax.set(xlim=(-0.5, 8.5), ylim=(-0.5, 8.5), aspect="equal", xticks=[], yticks=[])
        ax.spines[:].set_visible(False)
    return fig


def divergences() -> Figure:
    """Two hills, and the two fits of one normal law to them."""
    t = torch.linspace(-7, 7, 401, dtype=torch.float64)
    log_p = two_modes(3.0)
    step = torch.full_like(t, float(t[1] - t[0]))
    fig = Figure(figsize=(3.2, 1.5))
    ax = fig.subplots()
    ax.fill_between(t, log_p(t).exp(), color=plot.COLORS["truth"], alpha=0.3)
    for direction, color in (("forward", "model"), ("reverse", "approx")):
        start = (torch.tensor(2.5).double(), torch.tensor(1.0).double())
        start = start if direction == "reverse" else None
        mean, sd = fit_gaussian(log_p, t, step, direction=direction, start=start)
        ax.plot(t, Normal(mean, sd).log_prob(t).exp(), color=plot.COLORS[color])
    ax.set(xticks=[], yticks=[], ylim=(0, None))
    ax.spines["left"].set_visible(False)
    return fig


def em() -> Figure:
    """Two real groups and the ellipses of a mixture of two, fitted without their labels."""
    g = torch.Generator().manual_seed(0)
    x = torch.tensor(load_breast_cancer().data[:, [0, 4]])
    model = GaussianMixture(2).fit(x, generator=g)
    angle = torch.linspace(0, 2 * math.pi, 100, dtype=torch.float64)
    circle = torch.stack([angle.cos(), angle.sin()])
    colors = (plot.COLORS["code"], plot.COLORS["accent"])
    fig = Figure(figsize=(3.2, 1.5))
    ax = fig.subplots()
    of = model.responsibilities(x).argmax(1)
    for k, color in enumerate(colors):
        ax.scatter(*x[of == k].T, s=2, color=color, alpha=0.5)
        root = torch.linalg.cholesky(model.covariances[k])
        for radius in (1, 2):
            ax.plot(*(model.means[k][:, None] + radius * root @ circle), color=color)
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    return fig


def early() -> Figure:
    """Halves of digits, and what the chain of a Boltzmann machine puts beside them."""
    g = torch.Generator().manual_seed(4)
    digits = data.digits()
    x, new = ((v.flatten(1) > 0.5).float() for v in (digits.train, digits.test))
    rbm = RBM(64, 100, generator=g)
    persistent_ascent(rbm, x, epochs=20, generator=g)
    seen = torch.stack([new[digits.test_labels == c][0] for c in range(10)])
    held = torch.ones(10, 8, 8, dtype=torch.bool)
    held[:5, 4:], held[5:, :, :4] = False, False
    held = held.flatten(1)
    whole = rbm.gibbs(seen.where(held, torch.zeros(())), 500, clamped=held, generator=g)
    fig = Figure(figsize=(3.2, 1.5))
    ax = fig.subplots()
    for part, color in ((held, "data"), (~held, "model")):
        tiles = pad((whole * part).reshape(2, 5, 8, 8), (1, 1, 1, 1))
        ax.imshow(tiles.permute(0, 2, 1, 3).reshape(20, 50), cmap=_fade(color))
    ax.set_axis_off()
    return fig


def variational() -> Figure:
    """What the codes of a plane decode to, from digit to digit."""
    across, down = torch.linspace(-2.4, 2.4, 12), torch.linspace(1.3, -1.3, 5)
    codes = torch.stack(torch.meshgrid(across, down, indexing="xy"), -1)
    tiles = pad(load_coders()[1.0].decoder(codes).mean.reshape(5, 12, 8, 8), (1, 1, 2, 2))
    fig = Figure(figsize=(3.2, 1.5))
    ax = fig.subplots()
    ax.imshow(tiles.transpose(1, 2).reshape(60, 120), cmap=_fade("model"), vmin=0, vmax=1)
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    return fig


def flows() -> Figure:
    """A square net of the base, where the flow of the figure carries it: two moons."""
    flow = load_flows()["affine"]
    along, fixed = torch.linspace(-2.6, 2.6, 300), torch.linspace(-2.6, 2.6, 27)
    level = torch.stack(torch.meshgrid(fixed, along, indexing="ij"), -1)
    fig = Figure(figsize=(3.2, 1.5))
    ax = fig.subplots()
    for net, color in ((level, "model"), (level.flip(2), "truth")):
        lines = stops(flow, net.reshape(-1, 2))[0][-1].reshape(net.shape)
        ax.plot(*lines.permute(2, 1, 0), color=plot.COLORS[color], lw=0.7, alpha=0.7)
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    return fig


def autoregressive() -> Figure:
    """Four layers of a WaveNet, and what the last output sees: twice as much in each row down."""
    fig = Figure(figsize=(3.2, 1.5))
    ax = fig.subplots()
    columns, layers = 24, 4
    dots = torch.cartesian_prod(torch.arange(columns), torch.arange(layers + 1))
    ax.plot(*dots.T, ".", color=plot.COLORS["data"], alpha=0.5)
    seen = torch.tensor([columns - 1])
    for layer in reversed(range(layers)):
        for step in (0, 2**layer):
            ax.plot([seen, seen - step], [layer + 1, layer], color=plot.COLORS["model"], lw=0.8)
        seen = torch.cat([seen, seen - 2**layer])
    ax.plot(seen, torch.zeros_like(seen), "o", ms=4, color=plot.COLORS["truth"])
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    return fig


def gans() -> Figure:
    """The Dirac-GAN's velocities, and two games: one goes round for ever, one comes to rest."""
    fig = Figure(figsize=(3.2, 1.5))
    ax = fig.subplots()
    across, up = torch.linspace(-2.6, 2.6, 14), torch.linspace(-1.2, 1.2, 7)
    state = torch.cartesian_prod(across, up)
    pull = dirac_gan()(state)
    pull = 0.26 * pull / pull.norm(dim=1, keepdim=True).clamp_min(1e-9)
    units = {"angles": "xy", "scale_units": "xy", "scale": 1, "width": 0.004}
    ax.quiver(*state.T, *pull.T, color=plot.COLORS["data"], alpha=0.5, **units)
    for game, color in ((dirac_gan(), "truth"), (dirac_gan(r1=0.3), "model")):
        path = trajectory(partial(simultaneous, game, rate=0.3), torch.tensor([1.1, 0.0]), 120)
        ax.plot(*path.T, color=plot.COLORS[color], lw=1.2)
    ax.set(xticks=[], yticks=[], aspect="equal", xlim=(-2.7, 2.7), ylim=(-1.27, 1.27))
    ax.spines[:].set_visible(False)
    return fig


def unified() -> Figure:
    """The generator's loss at eleven places, each the sum of four signed terms."""
    t = torch.linspace(-14, 14, 1401, dtype=torch.float64)
    log_p = Normal(0.0, 1.0).log_prob(t)
    places = torch.linspace(-2.5, 1.5, 11, dtype=t.dtype)
    pools = [on_line(Normal(b, 1.0).log_prob(t), log_p, t) for b in places]
    best = pools[-1].log_x[1] - pools[-1].log_x[0]
    terms = torch.tensor([lemma_gan(now, pools[-1], best) for now in pools])
    loss, kl, js, drift, evidence = terms.T
    fig = Figure(figsize=(3.2, 1.5))
    ax = fig.subplots()
    stacks = {"model": (kl, 0), "truth": (-evidence, kl), "approx": (-js, 0), "code": (-drift, -js)}
    for color, (height, bottom) in stacks.items():
        ax.bar(places, height, 0.3, bottom, color=plot.COLORS[color], alpha=0.8)
    ax.plot(places, loss, "o-", color=plot.INK, ms=3, lw=0.8)
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    return fig


def knowledge() -> Figure:
    """Figures that lift an arm without the leg of the other side, and figures that lift both."""
    poses, images = stick_figures()
    free = [(0, 1, 0, 2), (1, 0, 2, 1), (0, 2, 1, 2)]
    ruled = [(0, 1, 2, 0), (2, 0, 0, 1), (0, 0, 0, 0)]
    names = ["data"] * 3 + ["model"] * 3
    fig = Figure(figsize=(3.2, 1.5))
    for ax, pose, name in zip(fig.subplots(1, 6), free + ruled, names, strict=True):
        figure = images[(poses == torch.tensor(pose)).all(1)][0]
        ax.imshow(figure, cmap=_fade(name), vmin=0, vmax=1)
        ax.set(xticks=[], yticks=[])
        ax.spines[:].set_visible(False)
    return fig


PICTURES = {
    "course": course,
    "00_models": models,
    "01_density": density,
    "02_divergences": divergences,
    "03_em": em,
    "04_early": early,
    "05_variational": variational,
    "06_flows": flows,
    "07_autoregressive": autoregressive,
    "08_gans": gans,
    "09_unified": unified,
    "10_knowledge": knowledge,
}
