"""Chapter 04's figure: a Boltzmann machine of binary digits, its training, and the static picture.

:func:`write` trains it again and writes ``genlab/interact/js/early.json``, which the figure in the
page and this module both read.
"""

import json
from typing import NamedTuple

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Generator, Tensor

from genlab import data, interact, plot
from genlab.course.explorables.autoregressive import GREY, ink
from genlab.course.explorables.gans import DATA, DRAWN, noise
from genlab.early import RBM, persistent_ascent
from genlab.interact.early import numbers, walked

WEIGHTS = interact.SOURCES / "early.json"
UNIT = 100  # weights are whole multiples of 1/100
HIDDEN = 64
EPOCHS = ((40, 0.05), (20, 0.01), (20, 0.002), (10, 0.0005))  # each with its step
STARTS = {7: 12}  # the test digit that stands for its class; else the first of it
FIRST, SEED, SWEEPS = 7, 1, 100  # the class and the chain that it begins with
HELD = torch.arange(64) < 32  # the upper half
STOPS = 10  # images along a chain, after the first


class Told(NamedTuple):
    """What :func:`load` returns.

    Attributes:
        model: the machine, in float64.
        digits: the binary test digits, ``[360, 64]``.
        labels: their classes, ``[360]``.
        starts: which of them a chain may begin with, one a class.
    """

    model: RBM
    digits: Tensor
    labels: Tensor
    starts: list[int]


def recipe() -> dict:
    """Train the machine on the training digits; all numbers of the file."""
    rng = Generator().manual_seed(11)
    digits = data.digits()
    model = RBM(64, HIDDEN, generator=rng)
    for epochs, lr in EPOCHS:
        persistent_ascent(model, _flat(digits.train), epochs=epochs, lr=lr, generator=rng)
    labels = digits.test_labels.tolist()
    bits = _flat(digits.test).long().tolist()
    return numbers(model, UNIT) | {
        "starts": [STARTS.get(k, labels.index(k)) for k in range(10)],
        "labels": "".join(map(str, labels)),
        "digits": " ".join(f"{int(''.join(map(str, row)), 2):016x}" for row in bits),
    }


def write() -> None:
    """Make the file anew, one line an entry."""
    lines = (f"{json.dumps(k)}: {json.dumps(v)}".replace(", ", ",") for k, v in recipe().items())
    WEIGHTS.write_text("{" + ",\n".join(lines) + "}\n", encoding="utf8")


def load() -> Told:
    """The machine of the file, and the digits that it stands beside.

    Example:
        >>> told = load()
        >>> told.model.energy(told.digits).shape, int(told.labels[told.starts[7]])
        (torch.Size([360]), 7)
    """
    told = json.loads(WEIGHTS.read_text(encoding="utf8"))
    model = RBM(64, len(told["c"])).double().requires_grad_(False)
    for name in ("W", "b", "c"):
        getattr(model, name).copy_(torch.tensor(told[name]).double() / told["unit"])
    bits = [[int(v) for v in f"{int(word, 16):064b}"] for word in told["digits"].split()]
    labels = torch.tensor([int(v) for v in told["labels"]])
    return Told(model, torch.tensor(bits).double(), labels, told["starts"])


def uniforms(seed: int, sweeps: int, hidden: int = HIDDEN) -> Tensor:
    """What decides a chain of the page, ``[sweeps, hidden + 64]``."""
    return noise(seed, sweeps * (hidden + 64))[:, 0].view(sweeps, -1)


def early() -> Figure:
    """Chapter 04: half a digit completed, a unit, and the chain behind a completion."""
    fig = Figure(figsize=(plot.WIDTH, plot.WIDTH * 400 / 640))
    top, middle, bottom = fig.subfigures(3, 1, height_ratios=(8, 8, 5))
    model, digits, labels, starts = load()
    x, j = digits[starts[FIRST]], int(model.W.norm(dim=0).argmax())
    chains = [walked(model, x, uniforms(seed, SWEEPS), held=HELD)[0] for seed in (1, 2, 3)]
    images = {"held": x * HELD} | {f"drawn {i}": chain[-1] for i, chain in enumerate(chains, 1)}
    pictures = {
        f"unit {j + 1}": model.W[:, j] / model.W.abs().max(),
        "wake: +": model.hidden(digits)[:, j] @ digits / len(digits),
    }
    *layers, weights, wake = top.subplots(1, 6)
    colors = torch.where(HELD[:, None], torch.tensor(GREY), torch.tensor(DRAWN))
    for ax, (title, bits) in zip(layers, images.items(), strict=True):
        _image(ax, title, colors, bits)
    for ax, (title, values) in zip((weights, wake), pictures.items(), strict=True):
        signed = torch.where(values[:, None] > 0, torch.tensor(DATA), torch.tensor(DRAWN))
        _image(ax, title, signed, 0.7 * values.abs())
    ax = middle.subplots()
    ax.plot(model.energy(chains[SEED - 1]), color=plot.COLORS["model"])
    ax.axhline(float(model.energy(digits).mean()), color=plot.FAINT, linestyle="--", linewidth=1)
    ax.set(title="free energy F, sweep by sweep", xlim=(-5, SWEEPS + 5))
    ax.set_xticks(range(0, SWEEPS + 1, SWEEPS // STOPS))
    stops = chains[SEED - 1][:: SWEEPS // STOPS]
    for ax, bits in zip(bottom.subplots(1, STOPS + 1), stops, strict=True):
        nearest = labels[(digits - bits).abs().sum(1).argmin()]
        _image(ax, str(int(nearest)), torch.tensor(DRAWN).expand(64, 3), bits)
    return fig


def _flat(images: Tensor) -> Tensor:
    """Binary images as rows of 64 bits."""
    return ink(images).flatten(1)


def _image(ax: Axes, title: str, colors: Tensor, alpha: Tensor) -> None:
    """64 pixels of these colours, with a little of it where alpha is 0."""
    rgba = torch.cat([colors, 0.05 + 0.95 * alpha[:, None]], 1)
    ax.imshow(rgba.view(8, 8, 4).numpy())
    ax.set(title=title, xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
