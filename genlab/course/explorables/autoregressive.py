"""Chapter 07's figure: a small PixelCNN of binary digits, its training, and the static picture.

:func:`write` trains it again and writes ``genlab/interact/js/autoregressive.json``, which the
figure in the page and this module both read.
"""

import json

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Generator, Tensor

from genlab import data, interact, plot, train
from genlab.autoregressive import PixelCNN, nll
from genlab.interact.autoregressive import expected, numbers, sees

WEIGHTS = interact.SOURCES / "autoregressive.json"
UNIT = 100  # weights are whole multiples of 1/100
DIGIT = 12  # of the test set, a 7: its upper half and two pixels more are painted
N, SITE = 16, (11, 6)  # the grid on which a stack is looked through, and from where
KNOWN, DRAWS = 34, 200  # pixels painted, completions behind what is expected


def ink(images: Tensor) -> Tensor:
    """Binary images: 1 where a pixel is more than half black."""
    return (images > 0.5).float()


def recipe() -> dict:
    """Train the model on the training digits; all numbers of the file."""
    rng = Generator().manual_seed(0)
    digits = data.digits()
    x = ink(digits.train)
    model = network(rng).start(x)
    for steps, lr in ((400, 2e-2), (150, 4e-3)):
        train.fit(model, nll, x, steps=steps, batch_size=64, lr=lr, generator=rng)
    image = "".join(str(int(v)) for v in ink(digits.test[DIGIT]).flatten())
    return {"image": image} | numbers(model, UNIT)


def network(rng: Generator | None = None) -> PixelCNN:
    """A PixelCNN of three layers behind a kernel of 5 × 5."""
    return PixelCNN((1, 8, 8), levels=2, width=10, layers=3, first=5, generator=rng)


def write() -> None:
    """Make the file anew, one line an entry."""
    lines = (f"{json.dumps(k)}: {json.dumps(v)}".replace(", ", ",") for k, v in recipe().items())
    WEIGHTS.write_text("{" + ",\n".join(lines) + "}\n", encoding="utf8")


def load() -> tuple[PixelCNN, Tensor]:
    """The model of the file, and the image ``[1, 8, 8]`` that the figure begins with.

    Example:
        >>> model, x = load()
        >>> model.log_prob(x[None]).shape
        torch.Size([1])
    """
    told = json.loads(WEIGHTS.read_text(encoding="utf8"))
    model = network().requires_grad_(False)
    for conv, (weight, bias) in zip((model.first, *model.layers), told["layers"], strict=True):
        rows, columns = conv.mask.amax((0, 1)).nonzero().T
        taps = torch.tensor(weight).unflatten(1, (len(rows), -1)).mT / told["unit"]
        conv.weight.zero_()[:, :, rows, columns] = taps
        conv.bias.copy_(torch.tensor(bias) / told["unit"])
    for part in (model.last.weight, model.last.bias):
        part.zero_()
    (weight,), (bias,) = told["last"]
    model.last.weight[1, :, 0, 0] = torch.tensor(weight) / told["unit"]
    model.last.bias[1] = bias / told["unit"]
    model.offsets[..., 1] = torch.tensor(told["offsets"]).view(1, 8, 8) / told["unit"]
    return model, torch.tensor([int(v) for v in told["image"]]).view(1, 8, 8).float()


def autoregressive() -> Figure:
    """Chapter 07: what four stacks see; a digit begun, what is expected next, and three draws."""
    fig = Figure(figsize=(plot.WIDTH, plot.WIDTH * 400 / 640))
    top, bottom = fig.subfigures(2, 1, height_ratios=(5, 4))
    stacks = {
        "4 layers": ("masks A, B", 4, False),
        "14 layers": ("masks A, B", 14, False),
        "4, dilated": ("masks A, B", 4, True),
        "two stacks": ("two stacks", 14, False),
    }
    for ax, (title, options) in zip(top.subplots(1, 4), stacks.items(), strict=True):
        _field(ax, title, *options)
    model, x = load()
    rng = Generator().manual_seed(1)
    u = torch.rand(DRAWS, 1, 8, 8, generator=rng)
    draws = model.from_uniforms(u[:3], x.expand(3, -1, -1, -1), KNOWN).flatten(1).float()
    given = torch.arange(64) < KNOWN
    shown = [x.flatten() * given, torch.where(given, x.flatten(), expected(model, x, KNOWN, u))]
    titles = ["painted", "expected", "drawn", "", ""]
    for ax, title, image in zip(bottom.subplots(1, 5), titles, [*shown, *draws], strict=True):
        _image(ax, title, image, given)
    return fig


# Colours that are seen on both grounds.
GREY, SEEN, BLIND = (0.5, 0.5, 0.5), (0.85, 0.45, 0.22), (0.2, 0.5, 0.75)


def _field(ax: Axes, title: str, stack: str, layers: int, doubling: bool) -> None:
    """The sites that are seen, those that come before and are not, and in blue the blind spot."""
    seen = sees(N, SITE, stack, 3, layers, doubling)
    before = torch.arange(N * N).view(N, N) < N * SITE[0] + SITE[1]
    blind = before & ~sees(N, SITE, stack, 3, layers=N)
    image = torch.tensor([*GREY, 0.06]).repeat(N, N, 1)
    image[before] = torch.tensor([*GREY, 0.35])
    image[seen] = torch.tensor([*SEEN, 0.9])
    image[blind] = torch.tensor([*BLIND, 0.9])
    image[SITE] = torch.tensor([*GREY, 1.0])
    ax.imshow(image.numpy())
    rows, columns = blind.nonzero().T
    ax.plot(columns, rows, "x", color=plot.INK, markersize=2.5, markeredgewidth=0.8)
    ax.set(title=f"{title}: {int(seen.sum())}", xticks=[], yticks=[])
    ax.spines[:].set_visible(False)


def _image(ax: Axes, title: str, values: Tensor, given: Tensor) -> None:
    """An image: in grey the pixels that are given, in colour the others."""
    image = torch.where(given[:, None], torch.tensor(GREY), torch.tensor(SEEN))
    rgba = torch.cat([image, 0.05 + 0.95 * values[:, None]], 1)
    ax.imshow(rgba.view(8, 8, 4).numpy())
    ax.set(title=title, xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
