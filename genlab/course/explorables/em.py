"""Static figure of chapter 03: the mixture after some half steps of EM, and the bound it climbs."""

import math

import torch
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from torch import Tensor

from genlab import plot
from genlab.em import GaussianMixture, elbo, features, natural

FLOOR, ITERATIONS = 1e-3, 20
COLORS = [plot.COLORS[name] for name in ("code", "accent", "truth")]


def iterates(x: Tensor, means: Tensor) -> list[GaussianMixture]:
    """The mixture at the start of EM from these means, and after each iteration.

    Args:
        x: ``[n, 2]``. means: ``[k, 2]``.

    Example:
        >>> x = torch.tensor([[0.0, 0.0], [1.0, 2.0], [9.0, 9.0], [8.0, 7.0]])
        >>> [round(model.history[-1], 2) for model in iterates(x, x[[0, 2]])[:2]]
        [-3.99, -3.64]
    """
    return [
        GaussianMixture(len(means), floor=FLOOR, tol=0.0, max_iterations=i).fit(x, start=means)
        for i in range(ITERATIONS + 1)
    ]


def bound(x: Tensor, q: Tensor, model: GaussianMixture) -> float:
    """L(q, θ), nats a point.

    Example:
        >>> x = torch.tensor([[0.0, 0.0], [1.0, 2.0], [9.0, 9.0], [8.0, 7.0]])
        >>> model = iterates(x, x[[0, 2]])[0]
        >>> round(bound(x, model.responsibilities(x), model), 2) == round(model.history[-1], 2)
        True
    """
    theta = natural(model.weights, model.means, model.covariances)
    return float(elbo(features(x.double()) @ theta.T, q.double()).mean())


def between(x: Tensor, one: GaussianMixture, other: GaussianMixture, s: float) -> GaussianMixture:
    """The mixture at s on the line through two, at 0 and 1, in weights, means and covariances."""
    parameters = [
        torch.lerp(getattr(one, name), getattr(other, name), s)
        for name in ("weights", "means", "covariances")
    ]
    still = GaussianMixture(len(one.weights), floor=FLOOR, max_iterations=0)
    return still.fit(x, start=tuple(parameters))


def em(points: str, means: str, worse: str = "", steps: str = "0") -> Figure:
    """Chapter 03: the mixture after some half steps; the bound along the M step; the history.

    Args:
        points, means: pairs ``x,y`` with spaces between.
        worse: means of a worse start, which only the live figure shows.
        steps: number of half steps, E first.
    """
    x, start = (
        torch.tensor([[*map(float, pair.split(","))] for pair in text.split()], dtype=torch.float64)
        for text in (points, means)
    )
    models, done = iterates(x, start), int(steps)
    uniform = torch.full((len(x), len(start)), 1 / len(start), dtype=torch.float64)
    held = [uniform] + [model.responsibilities(x) for model in models]  # q after each E step
    model, q, first = models[done // 2], held[(done + 1) // 2], max(0, math.ceil(done / 2) - 1)
    fig = Figure(figsize=(plot.WIDTH, plot.WIDTH * 400 / 640))
    axes = fig.subplot_mosaic("AB;AB;AC", width_ratios=(1.6, 1))
    _plane(axes["A"], x, model, q)

    weights = [models[i].weights for i in (first, first + 1)]
    s = torch.linspace(-0.6, 1.6, 67, dtype=torch.float64).tolist()
    s = [v for v in s if (torch.lerp(*weights, v) > 0).all()]  # a share cannot be negative
    line = [between(x, models[first], models[first + 1], v) for v in s]
    log_l, now = [m.history[-1] for m in line], float(done > 2 * first + 1)
    axes["B"].plot(s, log_l, color=plot.COLORS["model"])
    axes["B"].plot(s, [bound(x, q, m) for m in line], "--", color=plot.COLORS["approx"])
    axes["B"].plot(now, model.history[-1], "o", color=plot.COLORS["model"])
    axes["B"].axvline(1, color=plot.COLORS["data"], linestyle=":")
    low, high = min(log_l[0], bound(x, q, model)), max(log_l)
    axes["B"].set(title="log L and its bound", xlabel="along the M step", xticks=[])
    axes["B"].set_ylim(low - 0.1 * (high - low), high + 0.1 * (high - low))

    history = [models[t // 2].history[-1] for t in range(2 * ITERATIONS + 1)]
    bounds = [bound(x, held[(t + 1) // 2], models[t // 2]) for t in range(2 * ITERATIONS + 1)]
    axes["C"].plot(history, color=plot.COLORS["model"])
    axes["C"].plot(bounds, "--", color=plot.COLORS["approx"])
    axes["C"].plot(done, history[done], "o", markersize=4, color=plot.COLORS["model"])
    gain = history[-1] - history[0]
    axes["C"].set(
        title="after each half step", ylim=(history[0] - gain / 4, history[-1] + gain / 8)
    )
    for name in "BC":
        axes[name].set_yticks([])
    return fig


def _plane(ax: Axes, x: Tensor, model: GaussianMixture, q: Tensor) -> None:
    """Points in the colours of their components, and the ellipses at 1 and 2 deviations."""
    for k, share in enumerate((q / q.cumsum(1).clamp_min(1e-9)).T.tolist()):  # one over the other
        colors = [to_rgba(COLORS[k], alpha) for alpha in share]
        ax.scatter(*x.T, c=colors, s=28, linewidths=0, zorder=3)
    circle = torch.linspace(0, 2 * math.pi, 121, dtype=torch.float64)
    circle = torch.stack([circle.cos(), circle.sin()])
    for k, factor in enumerate(torch.linalg.cholesky(model.covariances)):
        ax.plot(*model.means[k], "+", color=COLORS[k], markersize=12)
        for deviations in (1, 2):
            ellipse = model.means[k][:, None] + deviations * factor @ circle
            ax.fill(*ellipse, facecolor=COLORS[k], alpha=0.07)
            ax.plot(*ellipse, color=COLORS[k], linewidth=1.2)
    ax.set(aspect="equal", xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
