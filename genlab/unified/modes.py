"""Missed modes: what the −JSD in the lemma does. It refunds most of the penalty of the reverse KL.

Against the best discriminator the practical generator descends KL(p_g‖p) − 2 JSD = 2 KL(m‖p) with
m = ½(p + p_g). Half of m is the data itself: so a mode that p_g misses costs at most a part of what
it costs under either KL. "JSD is symmetric, so it does not matter" is a non sequitur.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from scipy.optimize import minimize
from torch import Tensor

from genlab.divergences import NotConverged, js, kl, on_grid
from genlab.gans import descended

__all__ = ["Fitted", "MissedMode", "fit_generator", "missed_mode"]

DIRECTIONS = ("forward", "reverse", "saturating", "non-saturating")


class MissedMode(NamedTuple):
    """What it costs to miss a mode, by four measures, nats; see :func:`missed_mode`."""

    forward: float
    reverse: float
    js: float
    effective: float


def missed_mode(weight: float) -> MissedMode:
    """p_data has a mode of this weight that p_g never visits; elsewhere they are proportional.

    ::

        forward    KL(p_data‖p_g) = ∞
        reverse    KL(p_g‖p_data) = −log(1 − w)
        js         JSD(p_g, p_data)
        effective  2 KL(m‖p_data) = reverse − 2 js,  m = ½(p_data + p_g)

    The modes have to be far apart: then only their weights count.

    Args:
        weight: w, in (0, 1).

    Raises:
        ValueError: another weight.

    Source: the identity: Arjovsky and Bottou 2017, arXiv:1701.04862, theorem 2.5 (as gradients).

    Example: half of the data missed.
        >>> [round(cost, 4) for cost in missed_mode(0.5)]
        [inf, 0.6931, 0.2158, 0.2616]
    """
    if not 0 < weight < 1:
        raise ValueError(f"Expected a weight of the missed mode in (0, 1), got {weight}.")
    data = torch.tensor([1 - weight, weight], dtype=torch.float64)
    fake = torch.tensor([1.0, 0.0], dtype=torch.float64)
    mixture = (data + fake) / 2
    values = kl(data, fake), kl(fake, data), js(data, fake), 2 * kl(mixture, data)
    return MissedMode(*map(float, values))


class Fitted(NamedTuple):
    """Mean and standard deviation of the fitted law, and the divergence that is left, nats."""

    mean: float
    sd: float
    divergence: float


def fit_generator(
    log_p: Callable[[Tensor], Tensor], t: Tensor, kind: str, start: tuple[float, float] = (0.0, 1.0)
) -> Fitted:
    """A normal generator on the line that descends one of four divergences to a local minimum.

    The last two are where a generator ends whose discriminator is trained to the end before each
    of its steps: the gradients are equal (:func:`genlab.gans.descended`).

    Args:
        log_p: log-density of the data, from ``[m]`` to ``[m]``.
        t: grid ``[m]`` for the integrals, ascending; the mean is sought in its middle half, the
            standard deviation up to a twelfth of its length.
        kind: ``"forward"`` KL(p‖g), ``"reverse"`` KL(g‖p), ``"saturating"`` 2 JSD, or
            ``"non-saturating"`` 2 KL(m‖p).
        start: mean and standard deviation.

    Raises:
        ValueError: another kind, or a grid that does not ascend, or a start out of its reach.
        NotConverged: the slope at the end is not zero.

    Source: Hu et al. 2018, arXiv:1706.00550 (the claim that is tested by it).

    Example: two modes at ±3, started at the right one; the standard deviations tell who stays.
        >>> from genlab.divergences import two_modes
        >>> t = torch.linspace(-30, 30, 601, dtype=torch.float64)
        >>> for kind in DIRECTIONS:
        ...     print(f"{fit_generator(two_modes(3.0), t, kind, (3.0, 1.0)).sd:.2f}", kind)
        3.16 forward
        1.02 reverse
        1.05 saturating
        1.01 non-saturating
    """
    if kind not in DIRECTIONS:
        raise ValueError(f"Expected a kind among {', '.join(map(repr, DIRECTIONS))}, got {kind!r}.")
    if t.ndim != 1 or len(t) < 3 or not (t.diff() > 0).all():
        raise ValueError(f"Expected a grid in ascending order, got shape {tuple(t.shape)}.")
    low, high, width = float(t[0]), float(t[-1]), float(t[-1] - t[0])
    bounds = [
        (low + width / 4, high - width / 4),
        (math.log(2 * float(t.diff().max())), math.log(width / 12)),
    ]
    begin = start[0], math.log(start[1]) if start[1] > 0 else math.nan
    if not all(a <= value <= b for value, (a, b) in zip(begin, bounds, strict=True)):
        raise ValueError(
            "Expected a start with its mean in the middle half of the grid, and sd > 0 between two "
            f"of its steps and a twelfth of it, got {start}."
        )
    log_data = log_p(t)

    def divergence(at: np.ndarray) -> tuple[float, np.ndarray]:
        at = torch.tensor(at, dtype=torch.float64, requires_grad=True)
        log_g = torch.distributions.Normal(at[0], at[1].exp()).log_prob(t)
        if kind in ("forward", "reverse"):
            value = on_grid(log_data, log_g, t)["kl" if kind == "forward" else "reverse_kl"]
        else:
            value = descended(log_data, log_g, t, kind)
        value.backward()
        return float(value.detach()), at.grad.numpy()

    found = minimize(
        divergence,
        begin,
        jac=True,
        bounds=bounds,
        method="L-BFGS-B",
        options={"ftol": 0.0, "gtol": 1e-9},
    )
    slope = float(np.abs(found.jac).max())
    if not slope <= 1e-6:
        raise NotConverged(
            f"The fit ended with a slope of {slope:.1g}. Take a wider or finer grid, or a start "
            "nearer to the data."
        )
    return Fitted(float(found.x[0]), math.exp(found.x[1]), float(found.fun))
