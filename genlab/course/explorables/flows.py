"""Chapter 06's figure: a flow that scales and one that does not, their training, and the picture.

:func:`write` trains both again and writes ``genlab/interact/js/flows.json``, which the figure in
the page and this module both read.
"""

import json
from functools import partial

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Generator, Tensor, nn

from genlab import data, interact, plot, train
from genlab.flows import (
    AdditiveCoupling,
    AffineCoupling,
    Compose,
    Flow,
    StandardNormal,
    negative_log_likelihood,
    zero_last,
)
from genlab.interact.flows import drawn_by, numbers, stops
from genlab.nets import MLP

WEIGHTS = interact.SOURCES / "flows.json"
KINDS = ("affine", "additive")
RATES = {"affine": 1e-2, "additive": 5e-3}  # faster, additive ones tie the plane in knots
UNIT = 100  # weights are whole multiples of 1/100
CENTRE, SCALE = torch.tensor([0.5, 0.25]), torch.tensor([0.872, 0.504])  # of two moons
COUPLINGS, HIDDEN = 8, (16, 16)
BOUND = 0.5  # of the log-scales: a larger one fits no better, and its grids leave the picture
START, SIDE, EDGE = (-0.8, -1.3), 0.3, 60  # the square: centre, side, points an edge


def moons(n: int, generator: Generator) -> Tensor:
    """Two moons, with mean 0 and standard deviation 1 in both coordinates."""
    x = data.TwoMoons(noise=0.1).sample(n, generator=generator)
    return (x - CENTRE) / SCALE


def recipe() -> dict:
    """Train both flows; all numbers of the file."""
    rng = Generator().manual_seed(2)
    x, rounded = moons(4000, rng), {}
    for kind in KINDS:
        flow, rounded[kind] = network(kind, rng), network(kind)
        options = {"batch_size": 256, "generator": rng}
        for steps, lr in ((500, RATES[kind]), (200, RATES[kind] / 5)):
            train.fit(flow, negative_log_likelihood, x, steps=steps, lr=lr, **options)
        rounded[kind].load_state_dict(
            {name: (w * UNIT).round() / UNIT for name, w in flow.state_dict().items()}
        )
    return numbers(rounded, UNIT)


def network(kind: str, rng: Generator | None = None) -> Flow:
    """Eight couplings that take turns, with tanh units; they begin as the identity."""
    build = AdditiveCoupling if kind == "additive" else partial(AffineCoupling, bound=BOUND)
    layers = []
    for i in range(COUPLINGS):
        net = MLP(1, 2 - (kind == "additive"), HIDDEN, activation=nn.Tanh, generator=rng)
        layers.append(build((2,), zero_last(net), first=i % 2 == 0))
    return Flow(StandardNormal((2,)), Compose(*layers))


def write() -> None:
    """Make the file anew, one line a flow."""
    lines = (f"{json.dumps(k)}: {json.dumps(v)}".replace(", ", ",") for k, v in recipe().items())
    WEIGHTS.write_text("{" + ",\n".join(lines) + "}\n", encoding="utf8")


def load() -> dict[str, Flow]:
    """The two flows of the file.

    Example:
        >>> flows = load()
        >>> [type(drawn_by(flow)[0]).__name__ for flow in flows.values()]
        ['AffineCoupling', 'AdditiveCoupling']
        >>> flows["affine"].log_prob(torch.zeros(3, 2)).shape
        torch.Size([3])
    """
    told = json.loads(WEIGHTS.read_text(encoding="utf8"))
    flows = {kind: network(kind).requires_grad_(False) for kind in KINDS}
    for kind, flow in flows.items():
        for coupling, layer in zip(drawn_by(flow), told[kind]["layers"], strict=True):
            affine = [module for module in coupling.net if isinstance(module, nn.Linear)]
            for module, (weight, bias) in zip(affine, layer["net"]["layers"], strict=True):
                module.weight.data = torch.tensor(weight) / told["unit"]
                module.bias.data = torch.tensor(bias) / told["unit"]
    return flows


def square(centre: tuple[float, float], side: float, n: int) -> Tensor:
    """The boundary of a square, n points a side, anticlockwise from its lower left."""
    t = torch.arange(n) / n
    one, zero = torch.ones(n), torch.zeros(n)
    corner = torch.cat([torch.stack(pair, 1) for pair in ((t, zero), (one, t), (1 - t, one))])
    last = torch.stack([zero, 1 - t], 1)
    return torch.tensor(centre) + side * (torch.cat([corner, last]) - 0.5)


def area(points: Tensor) -> Tensor:
    """Area of polygons ``[*batch, n, 2]``, by the shoelace formula.

    Example:
        >>> area(torch.tensor([[0.0, 0.0], [2.0, 0.0], [0.0, 3.0]]))
        tensor(3.)
    """
    x, y = points.unbind(-1)
    return ((x * y.roll(-1, -1) - x.roll(-1, -1) * y).sum(-1) / 2).abs()


def flows() -> Figure:
    """Chapter 06: the base's grid and a small square, after four and after eight couplings."""
    fig = Figure(figsize=(plot.WIDTH, plot.WIDTH * 400 / 640))
    axes = fig.subplot_mosaic("ABC;ADE")
    loaded = load()
    _plane(axes["A"], loaded["affine"], 0, "base")
    for kind, places in zip(KINDS, ("BC", "DE"), strict=True):
        for name, done in zip(places, (4, 8), strict=True):
            _plane(axes[name], loaded[kind], done, f"{done} {kind}")
    return fig


def _plane(ax: Axes, flow: Flow, done: int, title: str) -> None:
    """The plane after some couplings: the density, the base's grid, and the square."""
    span = json.loads(WEIGHTS.read_text(encoding="utf8"))["affine"]["span"]
    t = torch.linspace(-1, 1, 121) * span
    plane = torch.cartesian_prod(-t, t).flip(1)
    part = Flow(flow.base, Compose(*drawn_by(flow)[:done][::-1])) if done else flow.base
    p = part.log_prob(plane).exp().view(121, 121)
    image = torch.tensor([0.85, 0.45, 0.22, 0.0]).repeat(121, 121, 1)  # seen on both grounds
    image[..., 3] = p / (p + 0.15)
    ax.imshow(image.numpy(), extent=(-span, span, -span, span))
    one = torch.cartesian_prod(torch.linspace(-2.5, 2.5, 11), torch.linspace(-2.5, 2.5, 101))
    for lines in (one, one.flip(1)):
        x = stops(flow, lines)[0][done].view(11, 101, 2)
        ax.plot(*x.permute(2, 1, 0), color=plot.FAINT, linewidth=0.6)
    edge = stops(flow, square(START, SIDE, EDGE))[0][done]
    color = plot.COLORS["code"]
    ax.fill(*edge.T, facecolor=color, alpha=0.5)
    ax.plot(*torch.cat([edge, edge[:1]]).T, color=color, linewidth=1.5)
    ax.set(
        title=f"{title}: area × {area(edge) / SIDE**2:.2f}" if done else title,
        xlim=(-span, span),
        ylim=(-span, span),
        xticks=[],
        yticks=[],
    )
    ax.spines[:].set_visible(False)
