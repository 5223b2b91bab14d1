"""The figure of chapter 04 on your own Boltzmann machine, and its chain by given uniforms."""

import json

import torch
from torch import Tensor

from genlab.early import RBM
from genlab.interact.explorable import Explorable

MOST = 100  # hidden units that the figure has room for


def explore_early(model: RBM | None = None) -> Explorable:
    """Hold pixels and let your own Boltzmann machine draw the others: the figure of chapter 04.

    Beside the image stand the hidden units, what one of them has learnt, and the free energy along
    the chain. The real digits are the test set of :func:`genlab.data.digits`, black where a pixel
    is more than half black. Without a model the figure is that of the page.

    Args:
        model: an :class:`~genlab.early.RBM` of 64 pixels with at most 100 hidden units.

    Returns:
        an object to leave as the last line of a cell; it needs no kernel once it is shown.

    Raises:
        ValueError: a model that does not fit, or one with NaN or infinity among its weights.

    Example:
        >>> figure = explore_early(RBM(64, 20, generator=torch.Generator().manual_seed(0)))
        >>> sorted(json.loads(figure.attributes["model"]))
        ['W', 'b', 'c', 'unit']
    """
    if model is None:
        return Explorable("early", {})
    if not isinstance(model, RBM) or len(model.b) != 64 or len(model.c) > MOST:
        raise ValueError(
            f"Expected an RBM of 64 pixels with at most {MOST} hidden units, for instance "
            f"RBM(64, 64), got {_described(model)}."
        )
    if not all(weights.isfinite().all() for weights in model.parameters()):
        raise ValueError(
            "Expected finite weights, got NaN or infinity. Train the model again with a lower lr."
        )
    return Explorable("early", {"model": json.dumps(numbers(model, unit=10_000))})


def numbers(model: RBM, unit: int) -> dict:
    """What the figure holds of a model: weights in whole multiples of 1/unit; a row of W a pixel.

    Example:
        >>> told = numbers(RBM(3, 2), unit=100)
        >>> len(told["W"]), told["c"]
        (3, [0, 0])
    """

    def whole(weights: Tensor) -> list:
        return (weights.detach().double() * unit).round().long().tolist()

    return {"unit": unit, "W": whole(model.W), "b": whole(model.b), "c": whole(model.c)}


@torch.no_grad()
def walked(
    model: RBM,
    x: Tensor,
    u: Tensor,
    *,
    held: Tensor | None = None,
    temperature: float = 1.0,
) -> tuple[Tensor, Tensor]:
    """The sweeps of :meth:`~genlab.early.RBM.gibbs` with given uniforms: a unit is 1 where u < p.

    Args:
        x: where the chain begins, ``[visible]``.
        u: numbers in [0, 1), ``[sweeps, hidden + visible]``; those of h stand first.
        held: true where a pixel keeps its value, ``[visible]``.
        temperature: T > 0.

    Returns:
        every x of the chain, ``[sweeps + 1, visible]``, and the h between, ``[sweeps, hidden]``.

    Example: two pixels, of which the first is held.
        >>> model = RBM(2, 3, generator=torch.Generator().manual_seed(0))
        >>> u = torch.rand(9, 5, generator=torch.Generator().manual_seed(1))
        >>> x, h = walked(model, torch.ones(2), u, held=torch.tensor([True, False]))
        >>> x.shape, h.shape, bool(x[:, 0].all())
        (torch.Size([10, 2]), torch.Size([9, 3]), True)
    """
    x = x.to(model.W)
    xs, hs = [x], []
    for of_h, of_x in zip(*u.split((len(model.c), len(x)), 1), strict=True):
        h = (of_h < model.hidden(x, temperature)).to(x)
        drawn = (of_x < model.visible(h, temperature)).to(x)
        x = drawn if held is None else torch.where(held, x, drawn)
        xs.append(x)
        hs.append(h)
    return torch.stack(xs), torch.stack(hs)


def _described(model: object) -> str:
    if not isinstance(model, RBM):
        return f"a {type(model).__name__}"
    return f"one of {len(model.b)} with {len(model.c)}"
