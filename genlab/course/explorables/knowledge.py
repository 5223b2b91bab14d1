"""Static figure of chapter 10: a tilted histogram, E f over λ, log Z with its tangent."""

import torch
from matplotlib.figure import Figure
from torch import Tensor

from genlab import plot
from genlab.knowledge import posterior_regularization

MOST = 6.0  # the largest λ, as in js/knowledge.mjs


def truth(x: Tensor, threshold: float, softness: float) -> Tensor:
    """The truth of "at least threshold", which rises to 1 over ``softness``."""
    if not softness:
        return (x >= threshold).to(x)
    return (1 + (x - threshold) / softness).clamp(0, 1)


def knowledge(counts: str, first: str, threshold: str, softness: str, weight: str) -> Figure:
    """Chapter 10: p and q, E f over λ, and log Z whose tangent ends at minus the price."""
    p = torch.tensor([float(v) for v in counts.split()], dtype=torch.float64)
    p = p / p.sum()
    x = float(first) + torch.arange(len(p), dtype=torch.float64)
    f = truth(x, float(threshold), float(softness))
    now = posterior_regularization(p, f, float(weight))
    at = torch.linspace(0, MOST, 101, dtype=torch.float64)
    curve = [posterior_regularization(p, f, float(w)) for w in at]

    fig = Figure(figsize=(plot.WIDTH, plot.WIDTH * 400 / 640))
    grid = fig.add_gridspec(2, 2, height_ratios=(1.3, 1))
    law, mean, dual = (fig.add_subplot(grid[place]) for place in ((0, slice(None)), (1, 0), (1, 1)))
    places = x.tolist()
    law.bar(places, p.tolist(), color=plot.COLORS["truth"], alpha=0.35, label="p")
    law.bar(
        places,
        now.q.tolist(),
        facecolor="none",
        edgecolor=plot.COLORS["approx"],
        linewidth=1.5,
        label="q",
    )
    top = max(2 * float(p.max()), float(now.q.max()))
    law.step(places, (top * f).tolist(), where="mid", color=plot.COLORS["accent"], label="f")
    law.set_xticks(places[::2])
    law.legend()
    mean.plot(at, [float(t.expected) for t in curve], color=plot.COLORS["accent"])
    mean.plot(float(weight), float(now.expected), "o", color=plot.COLORS["accent"])
    mean.set(title=f"E f under q is {float(now.expected):.3f}", xlabel="λ", ylim=(0, 1.03))
    dual.plot(at, [float(t.log_z) for t in curve], color=plot.COLORS["data"])
    tangent = now.log_z + now.expected * (at - float(weight))
    dual.plot(at, tangent, "--", color=plot.COLORS["accent"])
    dual.plot(
        [0, 0], [0, -float(now.kl)], color=plot.COLORS["model"], linewidth=5, solid_capstyle="butt"
    )
    dual.set(title=f"log Z, and the price {float(now.kl):.3f}", xlabel="λ")
    return fig
