"""Static figure of chapter 09: two laws, a discriminator, and the terms of the loss as bars."""

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor
from torch.distributions import Normal

from genlab import plot
from genlab.unified import lemma_gan, on_line

ROWS = ("KL", "− JS", "− drift", "− log Z", "loss")


def lemma(data: Tensor, now: Tensor, at: Tensor, sharp: float) -> tuple[list[float], list[float]]:
    """The signed terms, the loss last, and their slopes in the generator's mean."""
    laws = torch.stack([data, now, at]).double()
    low, high = ((laws[:, 0] + s * laws[:, 1]) for s in (-8, 8))
    t = torch.linspace(float(low.min()), float(high.max()), 801, dtype=torch.float64)
    mean = laws[1, 0].clone().requires_grad_()
    real = Normal(*laws[0]).log_prob(t)
    here = on_line(Normal(mean, laws[1, 1]).log_prob(t), real, t)
    before = on_line(Normal(*laws[2]).log_prob(t), real, t)
    loss, kl, js, drift, evidence = lemma_gan(here, before, sharp * (real - before.log_x[0]))
    terms = [kl, -js, -drift, -evidence, loss]
    slopes = [
        torch.autograd.grad(v, mean, retain_graph=True)[0] if v.requires_grad else torch.zeros(())
        for v in terms
    ]
    return [v.item() for v in terms], [v.item() for v in slopes]


def unified(data: str, start: str) -> Figure:
    """Chapter 09: data, generator and the best discriminator; the loss taken apart."""
    truth, law = (torch.tensor([float(v) for v in given.split()]) for given in (data, start))
    m, s = truth.tolist()
    t = torch.linspace(m - 6 * s, m + 6 * s, 161, dtype=torch.float64)
    real, fake = Normal(*truth).log_prob(t), Normal(*law).log_prob(t)
    fig = Figure(figsize=(plot.WIDTH, plot.WIDTH * 400 / 640))
    grid = fig.add_gridspec(2, 2, height_ratios=(1.2, 1))
    top, left, right = (fig.add_subplot(grid[at]) for at in ((0, slice(None)), (1, 0), (1, 1)))
    top.plot(t.tolist(), real.exp().tolist(), color=plot.COLORS["truth"], label="data")
    top.plot(t.tolist(), fake.exp().tolist(), color=plot.COLORS["model"], label="G")
    height = float(1.1 * real.exp().max())
    logit = (real - fake).sigmoid() * height
    top.plot(t.tolist(), logit.tolist(), "--", color=plot.COLORS["approx"], label="D, from 0 to 1")
    top.legend()
    terms, slopes = lemma(truth, law, law, 1.0)
    _bars(left, terms, "the loss and its terms, nats")
    _bars(right, slopes, "their slopes in the mean of G")
    return fig


def _bars(ax: Axes, values: list[float], title: str) -> None:
    begin = 0.0
    for row, value in enumerate(values):
        start = begin if row < 4 else 0.0
        color = plot.COLORS["accent" if row < 4 else "model"]
        ax.barh(-row, value, left=start, height=0.6, color=color)
        begin += value
    ax.axvline(values[-1], color=plot.COLORS["data"], linestyle=":")
    ax.axvline(0, color=plot.COLORS["data"], linewidth=0.8)
    shown = [f"{value + 0.0:.3f}".replace("-0.000", "0.000").replace("-", "−") for value in values]
    labels = [f"{name}  {value}" for name, value in zip(ROWS, shown, strict=True)]
    ax.set_yticks([-row for row in range(5)], labels)
    ax.set(title=title)
