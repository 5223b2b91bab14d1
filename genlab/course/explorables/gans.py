"""Chapter 08's figure: the page's game, played by genlab, and the static picture.

Both begin with the same weights and see the same examples and the same noise, since both draw
from one small generator, :func:`noise`. The page has it in ``plane.mjs``.
"""

import math
from functools import partial

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor, nn

from genlab import plot
from genlab.data import Grid, Ring, TwoMoons
from genlab.gans import (
    Discriminator,
    Generator,
    clip_weights,
    coverage,
    critic_loss,
    dirac_gan,
    discriminator_loss,
    generator_loss,
    play,
    simultaneous,
    trajectory,
)
from genlab.nets import MLP

LAWS = {
    "ring of 8": Ring(8, radius=1.0, scale=0.05),
    "grid of 9": Grid(3, spacing=0.8, scale=0.05),
    "two moons": TwoMoons(noise=0.1),  # moved and scaled into [−1, 1]
}
LOSSES = {
    "non-saturating": (discriminator_loss, generator_loss),
    "saturating": (discriminator_loss, partial(generator_loss, kind="saturating")),
    "wasserstein": (critic_loss, partial(generator_loss, kind="linear")),
}
BATCH, WIDTH, CLIP = 64, 16, 0.2  # examples of each kind; units of a layer; bound of a critic
SHOWN, SPAN, STEPS = 150, 1.6, 250  # points of each kind; the plane; steps that are shown
PULL, LONGEST = 0.4, 0.25  # an arrow is PULL times the slope, and no longer than this
START, ETA, GAMMA, WALK = (0.3, 0.0), 0.5, 0.5, 200  # of the Dirac-GAN


def noise(seed: int, n: int) -> Tensor:
    """n triples, uniform, normal, normal: mulberry32, then Box and Muller, as in the page.

    Example:
        >>> noise(1, 2).shape, bool((noise(1, 1000)[:, 0] < 1).all())
        (torch.Size([2, 3]), True)
    """
    word = 2**32 - 1  # what 32 bits hold; 64 of them wrap without harm to the lower ones
    t = (seed + 0x6D2B79F5 * torch.arange(1, 3 * n + 1)) & word
    t = ((t ^ t >> 15) * (t | 1)) & word
    t = t ^ ((t + (t ^ t >> 7) * (t | 61)) & word)
    u, v, w = ((t ^ t >> 14).double() / 2**32).view(n, 3).T
    radius, angle = (-2 * torch.log1p(-v)).sqrt(), 2 * math.pi * w
    return torch.stack([u, radius * angle.cos(), radius * angle.sin()], 1)


def examples(name: str, triples: Tensor) -> Tensor:
    """Data ``[n, 2]`` by a law of the figure: the uniform picks the centre, the normals the rest.

    Args:
        name: one of :data:`LAWS`.
        triples: ``[n, 3]``, as :func:`noise` gives them.
    """
    law, u, normal = LAWS[name], triples[:, 0], triples[:, 1:]
    if isinstance(law, TwoMoons):
        return (law.curve(u) + law.noise * normal - torch.tensor([0.5, 0.25])) / 1.5
    return law.centres[(u * len(law.centres)).long()] + law.scale * normal


def start(outputs: int, seed: int) -> MLP:
    """A perceptron of two inputs, with torch's law for the first weights, in float64."""
    net = MLP(2, outputs, (WIDTH, WIDTH), activation=nn.Tanh, generator=torch.Generator()).double()
    u = 2 * noise(seed, sum(w.numel() for w in net.parameters()))[:, 0] - 1
    for layer in (module for module in net if isinstance(module, nn.Linear)):
        size = (layer.in_features + 1) * layer.out_features
        drawn, u = u[:size], u[size:]
        nn.utils.vector_to_parameters(drawn / layer.in_features**0.5, layer.parameters())
    return net


class _Written:
    """Noise that stands written down, a batch at a time."""

    def __init__(self, z: Tensor) -> None:
        self.batches = iter(z)

    def sample(self, n: int, *, generator: torch.Generator | None = None) -> Tensor:
        return next(self.batches)


def played(
    name: str,
    steps: int,
    loss: str = "non-saturating",
    k: int = 1,
    d_rate: float = 0.02,
    g_rate: float = 0.005,
) -> tuple[Generator, Discriminator]:
    """G and D after a game of :func:`genlab.gans.play` from the page's start, on its draws.

    Example: the first step of Adam moves every weight by the rate.
        >>> before, (G, D) = start(1, -2), played("ring of 8", 1)
        >>> moved = next(D.parameters()) - next(before.parameters())
        >>> bool(moved.abs().allclose(torch.tensor(0.02).double(), rtol=1e-3))
        True
    """
    triples = torch.stack([noise(i + 1, BATCH) for i in range(steps * (2 * k + 1))])
    triples = triples.unflatten(0, (steps, 2 * k + 1))  # x and z by turns for D, then z for G
    x = examples(name, triples[:, 0 : 2 * k : 2].flatten(0, 2))
    z = torch.cat([triples[:, 1::2], triples[:, -1:]], 1)[..., 1:].flatten(0, 1)
    G, D = Generator(_Written(z), start(2, -1)), Discriminator(start(1, -2))
    first, rng = (torch.Generator().manual_seed(0) for _ in range(2))
    data = torch.empty_like(x)
    data[torch.randperm(len(x), generator=first)] = x  # the loop's shuffle puts them in order
    play(
        G,
        D,
        data,
        steps=steps,
        loss=LOSSES[loss],
        project=partial(clip_weights, c=CLIP) if loss == "wasserstein" else None,
        d_steps=k,
        batch_size=BATCH,
        lr=g_rate,
        d_lr=d_rate,
        generator=rng,
        progress=False,
    )
    return G.requires_grad_(False), D.requires_grad_(False)


def pulls(D: Discriminator, draws: Tensor, loss: str = "non-saturating") -> Tensor:
    """Where a step down G's loss would carry each draw: minus the loss's slope there, ``[n, 2]``.

    Example: where D's logit is 2x + y and nearly 0, half of its slope.
        >>> D = Discriminator(nn.Linear(2, 1))
        >>> D.net.weight.data, D.net.bias.data = torch.tensor([[2.0, 1.0]]), torch.zeros(1)
        >>> pulls(D, torch.zeros(1, 2))
        tensor([[1.0000, 0.5000]])
    """
    at = draws.detach().requires_grad_()
    (slope,) = torch.autograd.grad(LOSSES[loss][1](D(at)).sum(), at)
    return -slope


def gans() -> Figure:
    """Chapter 08: a GAN on the ring after 250 steps; two Dirac-GANs, one with a penalty."""
    fig = Figure(figsize=(plot.WIDTH, plot.WIDTH * 400 / 640))
    shares = {"width_ratios": (5, 3), "height_ratios": (5, 4)}
    axes = fig.subplot_mosaic("AB;AC", **shares)
    _plane(axes["A"], *played("ring of 8", STEPS))
    for gamma, color in ((0.0, plot.COLORS["model"]), (GAMMA, plot.COLORS["approx"])):
        step = partial(simultaneous, dirac_gan(r1=gamma), rate=ETA)
        states = trajectory(step, torch.tensor(START, dtype=torch.float64), WALK)
        axes["B"].plot(*states.T, color=color, linewidth=1)
        axes["C"].plot(states.norm(dim=1), color=color, label=f"γ = {gamma:g}")
    axes["B"].set(title="Dirac-GAN: ψ, θ", aspect="equal", xticks=[-1, 0, 1], yticks=[-1, 0, 1])
    axes["C"].set(title="its radius, step by step", ylim=(0, 1.2))
    axes["C"].legend(loc="center right")
    return fig


# Colours that are seen on both grounds.
DATA, DRAWN = (0.2, 0.5, 0.75), (0.85, 0.45, 0.22)


def _plane(ax: Axes, G: Generator, D: Discriminator) -> None:
    """D as a field, lines of the noise as G lays them, data, draws, and an arrow on each draw."""
    t = torch.linspace(-SPAN, SPAN, 96, dtype=torch.float64)
    shade = 2 * D(torch.cartesian_prod(-t, t).flip(1)).sigmoid() - 1
    colors = torch.where(shade[:, None] > 0, torch.tensor(DATA), torch.tensor(DRAWN))
    image = torch.cat([colors, 0.7 * shade.abs()[:, None]], 1).view(96, 96, 4)
    ax.imshow(image.numpy(), extent=(-SPAN, SPAN, -SPAN, SPAN))
    one = torch.cartesian_prod(torch.linspace(-2, 2, 9), torch.linspace(-2, 2, 41)).double()
    for lines in (one, one.flip(1)):
        x = G(lines).view(9, 41, 2)
        ax.plot(*x.permute(2, 1, 0), color=plot.COLORS["code"], linewidth=0.6)
    data, draws = examples("ring of 8", noise(-4, SHOWN)), G(noise(-3, SHOWN)[:, 1:])
    ax.plot(*data.T, ".", color=plot.FAINT, markersize=3)
    ax.plot(*draws.T, ".", color=plot.COLORS["model"], markersize=4)
    slope = pulls(D, draws)
    arrows = slope * (LONGEST / slope.norm(dim=1, keepdim=True)).clamp(max=PULL)
    ax.quiver(
        *draws.T.numpy(),
        *arrows.T.numpy(),
        angles="xy",
        scale_units="xy",
        scale=1,
        width=0.004,
        color=plot.INK,
    )
    modes = coverage(draws, LAWS["ring of 8"]).modes
    ax.set(title=f"step {STEPS}: {modes} of 8 modes", xticks=[], yticks=[])
    ax.set(xlim=(-SPAN, SPAN), ylim=(-SPAN, SPAN))
    ax.spines[:].set_visible(False)
