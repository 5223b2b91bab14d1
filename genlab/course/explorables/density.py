"""Static figure of chapter 01: histogram, kernel and neighbours, one width for all."""

import math

import torch
from matplotlib.figure import Figure
from torch import Tensor

from genlab import plot
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
