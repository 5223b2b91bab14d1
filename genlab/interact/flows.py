"""The figure of chapter 06 on your own flow of couplings in the plane."""

import json
import math
from collections.abc import Mapping

import torch
from torch import Tensor

from genlab.flows import AdditiveCoupling, AffineCoupling, Compose, Flow, Scaling, StandardNormal
from genlab.flows.transforms import Transform
from genlab.interact.explorable import Explorable
from genlab.interact.networks import network

LAYERS = (AdditiveCoupling, AffineCoupling, Scaling)


def explore_flows(flow: Flow | None = None) -> Explorable:
    """Follow a small square through the layers of your own flow: the figure of chapter 06.

    Without a flow the figure is that of the page: two flows of eight couplings, trained on two
    moons, one of which scales.

    Args:
        flow: in the plane over N(0, I), of couplings and scalings, as
            :class:`~genlab.flows.RealNVP` and :class:`~genlab.flows.NICE` are; its networks are
            perceptrons with tanh or ReLU units.

    Returns:
        an object to leave as the last line of a cell; it needs no kernel once it is shown.

    Raises:
        ValueError: a flow that does not fit.

    Example:
        >>> from genlab.flows import NICE
        >>> rng = torch.Generator().manual_seed(0)
        >>> figure = explore_flows(NICE(2, couplings=3, hidden=(8,), generator=rng))
        >>> [sorted(layer) for layer in json.loads(figure.attributes["flows"])["own"]["layers"]]
        [['scale'], ['bound', 'kept', 'net'], ['bound', 'kept', 'net'], ['bound', 'kept', 'net']]
    """
    if flow is None:
        return Explorable("flows", {})
    if not _fits(flow):
        raise ValueError(
            "Expected a flow in the plane over StandardNormal((2,)) whose transform is made of "
            f"AdditiveCoupling, AffineCoupling and Scaling, got {_described(flow)}."
        )
    return Explorable("flows", {"flows": json.dumps(numbers({"own": flow}, unit=10_000))})


def numbers(flows: Mapping[str, Flow], unit: int) -> dict:
    """What the figure holds: layers from base to data, weights in whole multiples of 1/unit.

    ``span`` is how far the plane is shown on each side of zero: as far as any layer carries the
    circle of radius 1, and somewhat farther; 3.2 at least.

    Raises:
        ValueError: a flow that carries points of the base to infinity, or has NaN for a weight.
    """
    told: dict = {"unit": unit}
    turn = torch.linspace(0, 2 * math.pi, 101)
    for name, flow in flows.items():
        points, _ = stops(flow, torch.stack([turn.cos(), turn.sin()], 1))
        far = float(points.abs().max())
        if not math.isfinite(far):
            raise ValueError(
                "Expected a flow that keeps points of the base finite, got NaN or infinity. "
                "Standardise the data, lower lr, and train again."
            )
        told[name] = {
            "span": max(3.2, math.ceil(10.5 * far) / 10),
            "layers": [_written(layer, unit) for layer in drawn_by(flow)],
        }
    return told


def drawn_by(flow: Flow) -> list[Transform]:
    """The layers in the order of drawing, from base to data."""
    whole = flow.transform
    return list(reversed(whole.parts)) if isinstance(whole, Compose) else [whole]


@torch.no_grad()
def stops(flow: Flow, z: Tensor) -> tuple[Tensor, Tensor]:
    """Where points of the base are after each layer, and log |det ∂x/∂z| so far.

    Args:
        z: ``[n, 2]``.

    Returns:
        points ``[layers + 1, n, 2]``, of which the first are z, and ``[layers + 1, n]``.

    Example: a scaling by 2 and by 4 makes areas eight times as large.
        >>> layer = Scaling((2,))
        >>> layer.log_scale.data -= torch.tensor([2.0, 4.0]).log()
        >>> points, log_det = stops(Flow(StandardNormal((2,)), layer), torch.ones(1, 2))
        >>> points[1].tolist(), round(log_det[1].exp().item(), 3)
        ([[2.0, 4.0]], 8.0)
    """
    x = z.to(next(flow.parameters(), z))
    points, log_dets = [x], [x.new_zeros(len(x))]
    for layer in drawn_by(flow):
        x, log_det = layer.inverse(x)
        points.append(x)
        log_dets.append(log_dets[-1] + log_det)
    return torch.stack(points), torch.stack(log_dets)


def _fits(flow: object) -> bool:
    return (
        isinstance(flow, Flow)
        and flow.event == (2,)
        and isinstance(flow.base, StandardNormal)
        and all(isinstance(layer, LAYERS) for layer in drawn_by(flow))
    )


def _written(layer: Transform, unit: int) -> dict:
    if isinstance(layer, Scaling):
        return {"scale": (layer.log_scale.detach().double() * unit).round().long().tolist()}
    return {
        "kept": 0 if layer.first else 1,
        "bound": layer.bound if isinstance(layer, AffineCoupling) else 0,
        "net": network(layer.net, "coupling", unit),
    }


def _described(flow: object) -> str:
    if not isinstance(flow, Flow):
        return f"a {type(flow).__name__}"
    kinds = ", ".join(dict.fromkeys(type(layer).__name__ for layer in drawn_by(flow)))
    return f"one of {flow.event} over {type(flow.base).__name__}, made of {kinds}"
