"""Divergences between two laws: exact sums on a finite set, closed forms where there is one."""

import math

import torch
from torch import Tensor
from torch.distributions import Distribution

from genlab.divergences.checks import probabilities
from genlab.divergences.closed import closed_entropy, closed_form, finite_law

Law = Tensor | Distribution


def kl(p: Law, q: Law) -> Tensor:
    """Kullback–Leibler divergence, KL(p‖q) = Σ p log(p/q), in nats.

    0 log 0 = 0, and +∞ where p > 0 = q. Never negative, zero only where p = q, not symmetric.

    Args:
        p, q: both probability tables ``[..., m]`` on one finite set, or both
            ``torch.distributions`` of one shape.

    Returns:
        ``[...]``, the batch shape.

    Raises:
        TypeError: a table and a distribution.
        ValueError: shapes that differ, or tables that are not probabilities.
        NotImplementedError: no closed form for these two distributions.

    Source: Kullback & Leibler 1951, Ann. Math. Stat. 22, 79.

    Example:
        >>> kl([0.5, 0.5, 0.0], [0.25, 0.5, 0.25])
        tensor(0.3466)
        >>> kl([0.25, 0.5, 0.25], [0.5, 0.5, 0.0])
        tensor(inf)
    """
    tables = _log_tables(p, q)
    if tables is None:
        return closed_form("kl", p, q)
    return kl_terms(*tables).sum(-1).clamp_min(0)  # rounding can leave -1e-17


def total_variation(p: Law, q: Law) -> Tensor:
    """Total variation distance, TV(p, q) = ½ Σ |p − q|, between 0 and 1.

    It is the largest difference |P(A) − Q(A)| over all events A (:func:`scheffe`). For two normal
    laws on the line the densities cross in at most two points, and A is the interval between.

    Args, Raises: as in :func:`kl`.

    Source: Tsybakov 2009, Introduction to Nonparametric Estimation, section 2.4.

    Example:
        >>> total_variation([0.5, 0.5, 0.0, 0.0], [0.0, 0.5, 0.5, 0.0])
        tensor(0.5000)
    """
    tables = _log_tables(p, q)
    if tables is None:
        return closed_form("total_variation", p, q)
    return 0.5 * (tables[0].exp() - tables[1].exp()).abs().sum(-1)


def js(p: Law, q: Law) -> Tensor:
    """Jensen–Shannon divergence, ½ KL(p‖m) + ½ KL(q‖m) with m = ½(p + q), in nats.

    Symmetric, and between 0 and log 2 even where KL is infinite. Its root is a metric.

    Args, Raises: as in :func:`kl`.

    Source: Lin 1991, IEEE Trans. Inf. Theory 37, 145.

    Example:
        >>> js([1.0, 0.0], [0.0, 1.0]) / math.log(2)
        tensor(1.)
    """
    tables = _log_tables(p, q)
    if tables is None:
        return closed_form("js", p, q)
    log_m = torch.logaddexp(*tables) - math.log(2)
    halves = [0.5 * kl_terms(log_table, log_m).sum(-1) for log_table in tables]
    return sum(halves).clamp_min(0)


def jeffreys(p: Law, q: Law) -> Tensor:
    """Jeffreys divergence, KL(p‖q) + KL(q‖p), in nats: symmetric, but it may be infinite.

    Args, Raises: as in :func:`kl`.

    Source: Jeffreys 1946, Proc. R. Soc. A 186, 453.

    Example:
        >>> jeffreys([0.5, 0.5], [0.25, 0.75])
        tensor(0.2747)
    """
    return kl(p, q) + kl(q, p)


def squared_hellinger(p: Law, q: Law) -> Tensor:
    """Squared Hellinger distance, H²(p, q) = Σ (√p − √q)² = 2 − 2 Σ √(pq), between 0 and 2.

    Some authors put ½ before the sum.

    Args, Raises: as in :func:`kl`.

    Source: Tsybakov 2009, section 2.4.

    Example:
        >>> squared_hellinger([1.0, 0.0], [0.0, 1.0])
        tensor(2.)
    """
    tables = _log_tables(p, q)
    if tables is None:
        return closed_form("squared_hellinger", p, q)
    return ((tables[0] / 2).exp() - (tables[1] / 2).exp()).square().sum(-1)


def cross_entropy(p: Law, q: Law) -> Tensor:
    """Cross-entropy, H(p, q) = −Σ p log q = H(p) + KL(p‖q), in nats.

    Args, Raises: as in :func:`kl`.

    Source: Shannon 1948; Cover & Thomas 2006, Elements of Information Theory, ch. 2.

    Example:
        >>> cross_entropy([1.0, 0.0], [0.25, 0.75])
        tensor(1.3863)
    """
    return entropy(p) + kl(p, q)


def entropy(p: Law) -> Tensor:
    """Entropy, H(p) = −Σ p log p, in nats; of a density the differential entropy −∫ p log p.

    Args:
        p: a probability table ``[..., m]``, or a distribution.

    Raises:
        ValueError: a table that is not a probability.
        NotImplementedError: no closed form for this distribution.

    Source: Shannon 1948, Bell Syst. Tech. J. 27, 379.

    Example:
        >>> entropy([0.5, 0.25, 0.25]) / math.log(2)
        tensor(1.5000)
    """
    if isinstance(p, Distribution) and finite_law(p) is None:
        return closed_entropy(p)
    log_p = finite_law(p) if isinstance(p, Distribution) else probabilities(p)[0].log()
    return -kl_terms(log_p, torch.zeros_like(log_p)).sum(-1)


def kl_terms(log_p: Tensor, log_q: Tensor) -> Tensor:
    """p log(p/q) elementwise from the logarithms; 0 where p = 0, +∞ where p > 0 = q."""
    absent = log_p == -math.inf
    impossible = (log_q == -math.inf) & ~absent
    # Masked before the product, whose gradient would be 0 times infinity.
    log_ratio = (log_p - log_q).masked_fill(absent | impossible, 0)
    return (log_p.exp() * log_ratio).masked_fill(impossible, math.inf)


def scheffe(p: Tensor, q: Tensor) -> tuple[Tensor, Tensor]:
    """sup_A |P(A) − Q(A)|, by going through all 2^m events A.

    Args:
        p, q: probability tables ``[m]``, m ≤ 20.

    Returns:
        the largest difference, and the positions that make up an A with the largest P(A) − Q(A).

    Raises:
        ValueError: tables that are not probabilities, or more than 20 values.

    Source: Scheffé 1947, Ann. Math. Stat. 18, 434.

    Example:
        >>> scheffe([0.5, 0.5, 0.0, 0.0], [0.0, 0.5, 0.5, 0.0])
        (tensor(0.5000), tensor([0]))
    """
    p, q = probabilities(p, q)
    difference = _over_all_events(p - q)
    return difference.abs().max(), _members(int(difference.argmax()), len(p))


def testing_error(p: Tensor, q: Tensor) -> Tensor:
    """Least sum of the two errors of a test of p against q, by going through all 2^m tests.

    A test rejects p where the observation falls in A: type I error P(A), type II error Q(Aᶜ).
    The minimum is 1 − TV(p, q). Tests that toss a coin are mixtures of these and do no better.

    Args:
        p, q: probability tables ``[m]``, m ≤ 20.

    Raises:
        ValueError: as in :func:`scheffe`.

    Source: Le Cam 1973; Tsybakov 2009, theorem 2.2.

    Example:
        >>> testing_error([0.5, 0.5, 0.0, 0.0], [0.0, 0.5, 0.5, 0.0])
        tensor(0.5000)
    """
    p, q = probabilities(p, q)
    type_1 = _over_all_events(p)
    type_2 = _over_all_events(q).flip(0)  # the complement of event number i is number 2^m - 1 - i
    return (type_1 + type_2).min()


testing_error.__test__ = False  # pytest collects what begins with "test"


def _over_all_events(weights: Tensor) -> Tensor:
    """Σ_{i ∈ A} weights[i] for every A, ``[2^m]``; bit i of an event's number says if i is in A."""
    if weights.ndim != 1 or len(weights) > 20:
        raise ValueError(
            "Expected two tables of shape (m,) with m <= 20, whose 2^m events can be listed, got "
            f"shape {tuple(weights.shape)}. genlab.divergences.total_variation needs no list."
        )
    sums = weights.new_zeros(1)
    for weight in weights:
        sums = torch.cat([sums, sums + weight])
    return sums


def _members(event: int, m: int) -> Tensor:
    return torch.tensor([i for i in range(m) if event >> i & 1], dtype=torch.int64)


def _log_tables(p: Law, q: Law) -> tuple[Tensor, Tensor] | None:
    """log p and log q on a finite set, checked; None for two distributions that have none."""
    laws = [isinstance(law, Distribution) for law in (p, q)]
    if not any(laws):
        p, q = probabilities(p, q)
        return p.log(), q.log()
    if not all(laws):
        raise TypeError(
            "Expected two probability tables or two distributions, got "
            f"{type(p).__name__} and {type(q).__name__}."
        )
    if p.batch_shape != q.batch_shape or p.event_shape != q.event_shape:
        raise ValueError(
            "Expected two distributions of one shape, got batch and event shapes "
            f"{tuple(p.batch_shape)}, {tuple(p.event_shape)} and "
            f"{tuple(q.batch_shape)}, {tuple(q.event_shape)}. Expand one: q.expand(p.batch_shape)."
        )
    if type(p) is not type(q) or finite_law(p) is None:
        return None
    log_p, log_q = finite_law(p), finite_law(q)
    if log_p.shape != log_q.shape:
        raise ValueError(
            f"Expected laws on the same number of values, got {log_p.shape[-1]} "
            f"and {log_q.shape[-1]}."
        )
    return log_p, log_q
