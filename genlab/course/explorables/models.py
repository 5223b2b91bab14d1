"""Chapter 00's figure: five models of the same points, how they are made, and the static picture.

:func:`write` fits and trains the five again and writes ``genlab/interact/js/models.json``, which
the figure in the page and this module both read.
"""

import json

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Generator, Tensor, nn
from torch.distributions import Categorical, MixtureSameFamily, MultivariateNormal

from genlab import data, interact, nets, plot, train
from genlab.density import KDE, Gaussian
from genlab.interact.models import fitted, layers

WEIGHTS = interact.SOURCES / "models.json"


def energy_distance(generator: nn.Module, x: Tensor, rng: Generator) -> Tensor:
    """2 mean_j |xᵢ − gⱼ| − mean_{j≠i} |gᵢ − gⱼ| for draws g of the generator, ``[batch]``.

    Its mean is, up to a constant, an unbiased estimate of 2 E|X − G| − E|G − G'| − E|X − X'|,
    which is 0 only if both laws are the same (Székely and Rizzo 2004). No density is needed.
    """
    g = generator(torch.randn(x.shape, generator=rng, dtype=x.dtype))
    return 2 * torch.cdist(x, g).mean(1) - torch.cdist(g, g).sum(1) / (len(g) - 1)


def recipe() -> dict[str, list]:
    """Fit and train the five models to 200 points of the two moons; all numbers of the file."""
    rng = Generator().manual_seed(0)
    x = data.TwoMoons(noise=0.1).sample(200, generator=rng).double().round(decimals=3)
    generator = nets.MLP(2, 2, (24, 24), activation=nn.Tanh, generator=rng).double()
    train.fit(generator, energy_distance, x, steps=1000, batch_size=200, lr=1e-2, generator=rng)
    regression = nets.MixtureDensityNetwork(1, 1, 2, (16,), generator=rng).double()
    train.fit(
        regression,
        lambda network, batch, _: -network.log_prob(batch[1], batch[0]),
        (x[:, :1], x[:, 1:]),
        steps=300,
        batch_size=200,
        lr=1e-2,
        generator=rng,
    )
    return fitted(x) | {
        "generator": layers(generator, "generator"),
        "regression": layers(regression, "regression"),
    }


def write() -> None:
    """Make the file anew, one line a model."""
    lines = (f"{json.dumps(k)}: {json.dumps(v)}".replace(", ", ",") for k, v in recipe().items())
    WEIGHTS.write_text("{" + ",\n".join(lines) + "}\n", encoding="utf8")


def load() -> dict:
    """The five models of the file as genlab's own: they sample, and some know their log_prob.

    Example:
        >>> five = load()
        >>> list(five)
        ['points', 'gaussian', 'kernel', 'mixture', 'generator', 'regression']
        >>> five["generator"](torch.zeros(3, 2, dtype=torch.float64)).shape
        torch.Size([3, 2])
    """
    numbers = json.loads(WEIGHTS.read_text(encoding="utf8"))
    x = torch.tensor(numbers["points"], dtype=torch.float64)
    generator = nets.MLP(2, 2, (24, 24), activation=nn.Tanh).double()
    regression = nets.MixtureDensityNetwork(1, 1, 2, (16,)).double()
    for name, network in (("generator", generator), ("regression", regression)):
        affine = [module for module in network.modules() if isinstance(module, nn.Linear)]
        for layer, (weight, bias) in zip(affine, numbers[name], strict=True):
            layer.weight.data = torch.tensor(weight, dtype=torch.float64)
            layer.bias.data = torch.tensor(bias, dtype=torch.float64)
    return {
        "points": x,
        "gaussian": Gaussian().fit(x),
        "kernel": KDE(torch.tensor(numbers["widths"], dtype=torch.float64)).fit(x),
        "mixture": mixture(numbers["mixture"]),
        "generator": generator.requires_grad_(False),
        "regression": regression.requires_grad_(False),
    }


def mixture(components: list[list[float]]) -> MixtureSameFamily:
    """Σ π_k N(μ_k, Σ_k) of the rows [π, μ_1, μ_2, Σ_11, Σ_12, Σ_22].

    Example:
        >>> round(mixture([[1, 0, 0, 1, 0, 1]]).log_prob(torch.zeros(2).double()).item(), 4)
        -1.8379
    """
    rows = torch.tensor(components, dtype=torch.float64)
    covariances = rows[:, [3, 4, 4, 5]].reshape(-1, 2, 2)
    return MixtureSameFamily(Categorical(rows[:, 0]), MultivariateNormal(rows[:, 1:3], covariances))


def models() -> Figure:
    """Chapter 00: who can answer what, the points, and 200 draws of each model that can draw."""
    five, rng = load(), Generator().manual_seed(0)
    x = five["points"]
    component = five["mixture"].mixture_distribution.probs.multinomial(200, True, generator=rng)
    each = five["mixture"].component_distribution
    noise = torch.randn(200, 2, 1, generator=rng, dtype=x.dtype)
    draws = {
        "1 Gaussian": five["gaussian"].sample(200, generator=rng),
        "2 kernel": five["kernel"].sample(200, generator=rng),
        "3 mixture": each.mean[component] + (each.scale_tril[component] @ noise)[..., 0],
        "4 generator": five["generator"](torch.randn(200, 2, generator=rng, dtype=x.dtype)),
    }
    fig = Figure(figsize=(plot.WIDTH, plot.WIDTH * 0.85))
    table, pictures = fig.subfigures(2, 1, height_ratios=(4, 6))
    _table(table.subplots())
    axes = pictures.subplots(2, 3, sharex=True, sharey=True).flatten()
    for ax, title in zip(axes, ["the points", *draws, "5 regression"], strict=True):
        color = plot.COLORS["model"] if title in draws else plot.COLORS["data"]
        ax.scatter(*draws.get(title, x).T, s=5, color=color)
        ax.set_title(title)
        ax.set(xticks=[], yticks=[], xlim=(-1.7, 2.7), ylim=(-1.05, 1.5))
    axes[-1].collections[0].set_alpha(0.3)
    axes[-1].text(0.5, 0.2, "cannot draw:\nno law of x", ha="center", va="center")
    return fig


def _table(ax: Axes) -> None:
    """The questions, and who answers them."""
    told = json.loads((interact.SOURCES / "questions.json").read_text(encoding="utf8"))
    heads = [f"{i}\n{entry['title']}" for i, entry in enumerate(told["models"].values(), 1)]
    ax.set(xlim=(-3, 5), ylim=(5, -1))
    ax.set_axis_off()
    for i, head in enumerate(heads):
        ax.text(i + 0.5, -0.5, head, ha="center", va="center")
    for row, question in enumerate(told["questions"].values()):
        ax.axhline(row, color=plot.FAINT, linewidth=0.6)
        ax.text(-2.9, row + 0.5, question["ask"], va="center")
        for i, name in enumerate(told["models"]):
            word, color = ("no", "data") if name in question["no"] else ("yes", "model")
            place = {"ha": "center", "va": "center", "color": plot.COLORS[color]}
            ax.text(i + 0.5, row + 0.5, word, **place)
