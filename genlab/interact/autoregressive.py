"""The figure of chapter 07 on your own PixelCNN, and what a stack of masked convolutions sees."""

import json

import torch
from torch import Tensor
from torch.nn.functional import conv2d, pad

from genlab.autoregressive import MaskedConv, PixelCNN, causal_mask, receptive_field
from genlab.interact.explorable import Explorable

# How a stack is called in the figure; masks of its first layer and of later ones.
STACKS: dict[str, tuple[str | None, str | None]] = {
    "masks A, B": ("A", "B"),
    "two stacks": ("A", "B"),
    "B only": ("B", "B"),
    "no mask": (None, None),
}


def explore_autoregressive(model: PixelCNN | None = None) -> Explorable:
    """Paint pixels and let your own PixelCNN go on: the figure of chapter 07.

    Beside it stands what a stack of masked convolutions sees from a pixel. Without a model the
    figure is that of the page: a PixelCNN of binary digits.

    Args:
        model: a :class:`~genlab.autoregressive.PixelCNN` of images (1, 8, 8) with two levels.

    Returns:
        an object to leave as the last line of a cell; it needs no kernel once it is shown.

    Raises:
        ValueError: a model that does not fit, or one with NaN or infinity among its weights.

    Example:
        >>> rng = torch.Generator().manual_seed(0)
        >>> figure = explore_autoregressive(PixelCNN((1, 8, 8), width=4, layers=1, generator=rng))
        >>> sorted(json.loads(figure.attributes["model"]))
        ['kernel', 'last', 'layers', 'offsets', 'unit']
    """
    if model is None:
        return Explorable("autoregressive", {})
    if not isinstance(model, PixelCNN) or (model.event, model.levels) != ((1, 8, 8), 2):
        raise ValueError(
            "Expected a PixelCNN of binary images, PixelCNN((1, 8, 8), levels=2), got "
            f"{_described(model)}."
        )
    if not all(weights.isfinite().all() for weights in model.parameters()):
        raise ValueError(
            "Expected finite weights, got NaN or infinity. Train the model again with a lower lr."
        )
    return Explorable("autoregressive", {"model": json.dumps(numbers(model, unit=10_000))})


def numbers(model: PixelCNN, unit: int) -> dict:
    """What the figure holds of a model: weights in whole multiples of 1/unit.

    A layer is [W, b]. Row j of W is for feature j: the open taps row by row, and for each tap the
    features before it. What comes last gives one logit, that of 1 against 0.
    """

    def whole(weights: Tensor) -> list:
        return (weights.detach().double() * unit).round().long().tolist()

    def layer(conv: MaskedConv) -> list:
        rows, columns = conv.mask.amax((0, 1)).nonzero().T
        return [whole(conv.weight[:, :, rows, columns].mT.flatten(1)), whole(conv.bias)]

    zero, one = model.last.weight.flatten(1)
    return {
        "unit": unit,
        "kernel": model.first.kernel_size[1],
        "layers": [layer(conv) for conv in (model.first, *model.layers)],
        "last": [[whole(one - zero)], [whole(model.last.bias.diff().squeeze())]],
        "offsets": whole(model.offsets.diff().flatten()),
    }


def sees(
    n: int, site: tuple[int, int], stack: str, kernel: int, layers: int, doubling: bool = False
) -> Tensor:
    """On which sites of an n × n image the output at one site depends, bool ``[n, n]``.

    By back-propagation through layers without units in between, whose open taps are all 1: the
    gradient counts the paths.

    Args:
        n: side of the image.
        site: row and column, from 0 on.
        stack: one of :data:`STACKS`. "two stacks" is that of a gated PixelCNN.
        kernel: side of the first layer, odd.
        layers: how many more there are, of side 3.
        doubling: whether their taps are 1, 2, 4, … sites apart.

    Example: a site knows its neighbour on the left, and what is above but for a wedge.
        >>> sees(4, (2, 1), "masks A, B", kernel=3, layers=3).long()
        tensor([[1, 1, 1, 1],
                [1, 1, 1, 0],
                [1, 0, 0, 0],
                [0, 0, 0, 0]])
    """

    def network(x: Tensor) -> Tensor:
        rows = x
        for i in range(layers + 1):
            kind, side = STACKS[stack][min(i, 1)], 3 if i else kernel
            step = 2 ** (i - 1) if i and doubling else 1
            if stack == "two stacks":
                rows = _ones(rows, "down" if i else "above", (side, side), step)
                x = _ones(x, kind, (1, side), step) + rows
            else:
                x = _ones(x, kind, (side, side), step)
        return x

    return receptive_field(network, torch.zeros(1, 1, n, n, dtype=torch.float64), site) > 0


@torch.no_grad()
def expected(model: PixelCNN, x: Tensor, known: int, u: Tensor) -> Tensor:
    """p(x_i = 1) of each pixel given the first ``known``, the mean over a completion for each u.

    Of the next pixel it is the conditional itself, of later ones an estimate.

    Args:
        x: ``[1, 8, 8]``.
        u: numbers in [0, 1), ``[completions, 1, 8, 8]``.

    Returns:
        ``[64]``; at the known pixels, their probability given those before.
    """
    drawn = model.from_uniforms(u, x.expand_as(u).to(u), known)
    return model(drawn.to(u)).softmax(-1)[..., 1].mean(0).flatten()


def _ones(x: Tensor, kind: str | None, sides: tuple[int, int], step: int) -> Tensor:
    """A convolution whose open taps are 1 and lie ``step`` sites apart."""
    up, across = (step * (side // 2) for side in sides)
    if kind is None:
        return conv2d(pad(x, (across, across, up, up)), x.new_ones(1, 1, *sides), dilation=step)
    return conv2d(pad(x, (across, across, up, 0)), causal_mask(kind, sides).to(x), dilation=step)


def _described(model: object) -> str:
    if not isinstance(model, PixelCNN):
        return f"a {type(model).__name__}"
    return f"one of {model.event} with {model.levels} levels"
