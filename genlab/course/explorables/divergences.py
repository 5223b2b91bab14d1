"""Static figure of chapter 02: two densities, one integrand, five divergences."""

import math

import torch
from matplotlib.figure import Figure
from torch.distributions import Categorical, MixtureSameFamily, Normal

from genlab import plot
from genlab.divergences import integrands, on_grid

# The names of the figure, and the limits that no p and q exceed.
WORDS = {"kl": "KL(p‖q)", "reverse_kl": "KL(q‖p)", "tv": "TV", "js": "JS", "w1": "$W_1$"}
LIMITS = {"tv": (1.0, "1"), "js": (math.log(2), "ln 2")}
LONGEST = 3.0  # where a bar is cut off


def divergences(weights: str, means: str, sds: str, mean: str, sd: str) -> Figure:
    """Chapter 02: a p of two modes and a normal q, p log(p/q), and the five divergences."""
    w, m, s, q_mean, q_sd = (
        torch.tensor([float(v) for v in given.split()], dtype=torch.float64)
        for given in (weights, means, sds, mean, sd)
    )
    p = MixtureSameFamily(Categorical(w), Normal(m, s))
    q = Normal(q_mean, q_sd)
    centre, wide = float(m.mean()), float((m[1] - m[0]) / 2 + 7 * s.max())
    edges = torch.cat([m - 8 * s, m + 8 * s, q_mean - 8 * q_sd, q_mean + 8 * q_sd])
    t = torch.linspace(float(edges.min()), float(edges.max()), 400, dtype=torch.float64)
    log_p, log_q = p.log_prob(t), q.log_prob(t)
    values = {name: float(value) for name, value in on_grid(log_p, log_q, t).items()}

    fig = Figure(figsize=(plot.WIDTH, plot.WIDTH * 480 / 640))
    top, middle, bottom = fig.subplots(3, 1, height_ratios=(1.5, 1, 1.1))
    top.plot(t, log_p.exp(), color=plot.COLORS["truth"], label="p")
    top.fill_between(t, log_p.exp(), color=plot.COLORS["truth"], alpha=0.15)
    top.plot(t, log_q.exp(), "--", color=plot.COLORS["approx"], label="q")
    top.set(title="densities p and q", ylim=(0, 0.5 / float(s.max())))
    top.legend()
    integrand = integrands(log_p, log_q, t)["kl"]
    middle.fill_between(t, integrand.clamp(min=0), color=plot.COLORS["accent"], alpha=0.5)
    middle.fill_between(t, integrand.clamp(max=0), color=plot.COLORS["data"], alpha=0.5)
    middle.axhline(0, color=plot.COLORS["data"], linewidth=0.8)
    middle.set(title=f"p log(p/q), integral {values['kl']:.3f}")
    for panel in (top, middle):
        panel.set_xlim(centre - wide, centre + wide)
    for i, (name, value) in enumerate(values.items()):
        bottom.barh(-i, min(value, LONGEST), height=0.6, color=plot.COLORS["accent"])
        bottom.text(LONGEST * 1.02, -i, f"{value:.3f}", va="center")
        if name in LIMITS:
            limit, words = LIMITS[name]
            bottom.plot([limit, limit], [-i - 0.4, -i + 0.4], ":", color=plot.COLORS["data"])
            bottom.text(limit * 1.02, -i, f" ≤ {words}", va="center", fontsize=8)
    bottom.set_yticks([-i for i in range(len(values))], [WORDS[name] for name in values])
    bottom.set(xlim=(0, LONGEST))
    return fig
