"""Mutual information on finite sets, and what a noisy channel leaves of it."""

import torch
from torch import Tensor


def mutual_information(joint: Tensor) -> Tensor:
    """I(X; Y) = Σ p(x, y) log(p(x, y) / (p(x) p(y))), nats: how much X and Y say of each other.

    Args:
        joint: p(x, y) ``[a, b]``, entries ≥ 0 that sum to one.

    Returns:
        A tensor without axes, ≥ 0, and 0 just for independent variables.

    Raises:
        ValueError: a table that is no joint distribution.

    Source: Shannon 1948; Cover & Thomas 2006, eq. 2.28.

    Example: a fair bit and its copy share log 2 nats.
        >>> mutual_information(torch.eye(2, dtype=torch.float64) / 2)
        tensor(0.6931, dtype=torch.float64)
    """
    joint = _table(joint, "joint distribution", rows=False)
    ratio = joint / joint.sum(1, keepdim=True) / joint.sum(0)  # p(x) p(y) might underflow
    return (joint * torch.where(joint > 0, ratio, 1).log()).sum().clamp_min(0)


def through(joint: Tensor, channel: Tensor) -> Tensor:
    """The joint law of X and Z when Z is drawn from Y: p(x, z) = Σ_y p(x, y) p(z | y).

    X → Y → Z: given Y, Z knows nothing more of X. The data-processing inequality says
    I(X; Z) ≤ I(X; Y).

    Args:
        joint: p(x, y) ``[a, b]``.
        channel: p(z | y) ``[b, c]``, each row sums to one.

    Returns:
        p(x, z) ``[a, c]``.

    Raises:
        ValueError: tables that are no distributions, or that do not fit together.

    Source: Cover & Thomas 2006, theorem 2.8.1.

    Example: a copied bit through a channel that forgets everything.
        >>> forget = torch.full((2, 3), 1 / 3, dtype=torch.float64)
        >>> mutual_information(through(torch.eye(2, dtype=torch.float64) / 2, forget))
        tensor(0., dtype=torch.float64)
    """
    joint = _table(joint, "joint distribution", rows=False)
    channel = _table(channel, "channel", rows=True)
    if len(channel) != joint.shape[1]:
        raise ValueError(
            f"Expected a channel with one row for each of the {joint.shape[1]} values of y, "
            f"got {len(channel)} rows."
        )
    return joint @ channel


def _table(p: Tensor, what: str, rows: bool) -> Tensor:
    p = torch.as_tensor(p).double()
    if p.ndim != 2 or p.numel() == 0:
        raise ValueError(f"Expected a {what} as a table with two axes, got shape {tuple(p.shape)}.")
    sums = p.sum(1) if rows else p.sum()
    if not (p >= 0).all() or not ((sums - 1).abs() < 1e-6).all():
        raise ValueError(
            f"Expected a {what} with entries >= 0, {'each row summing' if rows else 'summing'} to "
            f"one, got a smallest entry {float(p.min()):.4g} and sums {sums.tolist()}."
        )
    return p
