"""f-divergences: one convex function, one divergence; and the bound that a critic gives."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from genlab.divergences.checks import probabilities

Elementwise = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class FDivergence:
    """D_f(p‖q) = Σ q f(p/q) for a convex function f on u ≥ 0.

    Attributes:
        name: as in ``F_DIVERGENCES``.
        f: f(u), elementwise; at u = 0 its limit, which may be +∞.
        conjugate: f*(t) = sup_{u ≥ 0} (tu − f(u)), elementwise, for t in the domain.
        slope: f'(u); ``slope(p/q)`` is the optimal critic.
        domain: (−∞, f'(∞)), the ends of the interval where f* is finite. The upper end, the slope
            of f at infinity, is also what a unit of mass costs where q = 0.

    Source: Csiszár 1963; Ali & Silvey 1966; Nowozin, Cseke & Tomioka 2016, arXiv:1606.00709.

    Example:
        >>> u = torch.tensor([0.5, 1.0, 2.0])
        >>> F_DIVERGENCES["pearson"].f(u), F_DIVERGENCES["pearson"].slope(u)
        (tensor([0.2500, 0.0000, 1.0000]), tensor([-1.,  0.,  2.]))
    """

    name: str
    f: Elementwise
    conjugate: Elementwise
    slope: Elementwise
    domain: tuple[float, float]


def _jeffreys_conjugate(t: Tensor) -> Tensor:
    """tu − (u − 1) log u at the u with f'(u) = log u + 1 − 1/u = t.

    In v = −log u this is e^v + v = 1 − t, and Newton's steps come down to it from above. The
    derivative of a supremum is that with u held fixed, so u needs no gradient.
    """
    c = 1 - t.detach()
    v = torch.where(c < 1, c, c.clamp_min(1).log())
    for _ in range(50):
        step = (v.exp() + v - c) / (v.exp() + 1)
        v = v - step
        if not (step.abs() > 4 * torch.finfo(v.dtype).eps * v.abs().clamp_min(1)).any():
            break
    u = torch.exp(-v)
    return t * u + (u - 1) * v


# The sup over u >= 0 makes f* flat below f'(0): that is what the clamps say.
F_DIVERGENCES: dict[str, FDivergence] = {
    d.name: d
    for d in (
        FDivergence(
            "kl",
            f=lambda u: torch.xlogy(u, u),
            conjugate=lambda t: torch.exp(t - 1),
            slope=lambda u: 1 + u.log(),
            domain=(-math.inf, math.inf),
        ),
        FDivergence(
            "reverse kl",
            f=lambda u: -u.log(),
            conjugate=lambda t: -1 - torch.log(-t),
            slope=lambda u: -1 / u,
            domain=(-math.inf, 0.0),
        ),
        FDivergence(
            "total variation",
            f=lambda u: (u - 1).abs() / 2,
            conjugate=lambda t: t.clamp_min(-0.5),
            slope=lambda u: (u - 1).sign() / 2,
            domain=(-math.inf, 0.5),
        ),
        FDivergence(
            "js",
            f=lambda u: (torch.xlogy(u, 2 * u / (1 + u)) + torch.log(2 / (1 + u))) / 2,
            conjugate=lambda t: -torch.log(2 - torch.exp(2 * t)) / 2,
            slope=lambda u: torch.log(2 * u / (1 + u)) / 2,
            domain=(-math.inf, math.log(2) / 2),
        ),
        FDivergence(
            "pearson",
            f=lambda u: (u - 1) ** 2,
            conjugate=lambda t: t.clamp_min(-2) ** 2 / 4 + t.clamp_min(-2),
            slope=lambda u: 2 * (u - 1),
            domain=(-math.inf, math.inf),
        ),
        FDivergence(
            "neyman",
            f=lambda u: (u - 1) ** 2 / u,
            conjugate=lambda t: 2 - 2 * (1 - t).sqrt(),
            slope=lambda u: 1 - 1 / u**2,
            domain=(-math.inf, 1.0),
        ),
        FDivergence(
            "squared hellinger",
            f=lambda u: (u.sqrt() - 1) ** 2,
            conjugate=lambda t: t / (1 - t),
            slope=lambda u: 1 - 1 / u.sqrt(),
            domain=(-math.inf, 1.0),
        ),
        FDivergence(
            "jeffreys",
            f=lambda u: (u - 1) * u.log(),
            conjugate=_jeffreys_conjugate,
            slope=lambda u: u.log() + 1 - 1 / u,
            domain=(-math.inf, math.inf),
        ),
        FDivergence(  # 2 JS - log 4: its f(1) is not 0
            "gan",
            f=lambda u: torch.xlogy(u, u / (1 + u)) - torch.log1p(u),
            conjugate=lambda t: -torch.log(-torch.expm1(t)),
            slope=lambda u: torch.log(u / (1 + u)),
            domain=(-math.inf, 0.0),
        ),
    )
}


def named(divergence: str | FDivergence) -> FDivergence:
    """The entry of ``F_DIVERGENCES`` of this name; an FDivergence is returned as it is.

    Raises:
        ValueError: a name that is not there.
    """
    if isinstance(divergence, FDivergence):
        return divergence
    if divergence not in F_DIVERGENCES:
        raise ValueError(
            f"Expected an FDivergence or one of {', '.join(map(repr, F_DIVERGENCES))}, "
            f"got {divergence!r}."
        )
    return F_DIVERGENCES[divergence]


def f_divergence(divergence: str | FDivergence, p: Tensor, q: Tensor) -> Tensor:
    """D_f(p‖q) = Σ_{q > 0} q f(p/q) + f'(∞) P(q = 0) on a finite set, in nats where f has logs.

    Args:
        divergence: a name in ``F_DIVERGENCES``, or your own.
        p, q: probability tables ``[..., m]``; either may be zero anywhere.

    Returns:
        ``[...]``, possibly +∞.

    Raises:
        ValueError: an unknown name, or tables that are not probabilities.

    Source: Csiszár 1963; Liese & Vajda 2006, IEEE Trans. Inf. Theory 52, 4394.

    Example:
        >>> [round(float(f_divergence(name, [0.5, 0.5], [0.25, 0.75])), 4)
        ...     for name in ("kl", "reverse kl", "total variation", "pearson")]
        [0.1438, 0.1308, 0.25, 0.3333]
    """
    divergence = named(divergence)
    return perspective(divergence, *probabilities(p, q)).sum(-1)


def perspective(divergence: FDivergence, p: Tensor, q: Tensor) -> Tensor:
    """q f(p/q) elementwise, and its limit f'(∞) p where q is zero (0 where both are)."""
    u = p / torch.where(q > 0, q, 1)
    no_ratio = (q == 0) | u.isinf()
    finite = q * divergence.f(u.masked_fill(no_ratio, 1))
    limit = torch.where(p > 0, divergence.domain[1] * p.masked_fill(p == 0, 1), 0)
    return torch.where(no_ratio, limit, finite)


def variational_terms(
    divergence: str | FDivergence, critic_p: Tensor, critic_q: Tensor
) -> tuple[Tensor, Tensor]:
    """The two parts of the bound, one value per example: T(xᵢ) for x ~ p, f*(T(xⱼ)) for x ~ q.

    Args, Raises: as in :func:`variational_bound`.

    Returns:
        T(xᵢ) ``[n]`` and f*(T(xⱼ)) ``[m]``.

    Example:
        >>> variational_terms("pearson", torch.tensor([0.0, 1.0]), torch.tensor([2.0]))
        (tensor([0., 1.]), tensor([3.]))
    """
    divergence = named(divergence)
    for name, critic in (("critic_p", critic_p), ("critic_q", critic_q)):
        if not isinstance(critic, Tensor) or critic.ndim != 1 or len(critic) == 0:
            raise ValueError(f"Expected {name} as a tensor with one value per example, shape (n,).")
        if not critic.is_floating_point():
            raise ValueError(f"Expected {name} in floating point, got {critic.dtype}.")
        top = torch.tensor(divergence.domain[1], dtype=critic.dtype)
        outside = ~(critic.detach() <= top) | critic.detach().isinf()
        if outside.any():
            _refuse(name, int(outside.sum()), len(critic), divergence)
    loss = divergence.conjugate(critic_q)
    if not loss.detach().isfinite().all():
        _refuse("critic_q", int((~loss.detach().isfinite()).sum()), len(loss), divergence)
    return critic_p, loss


def variational_bound(divergence: str | FDivergence, critic_p: Tensor, critic_q: Tensor) -> Tensor:
    """mean T(x_p) − mean f*(T(x_q)): in expectation never above D_f(p‖q), and equal at T = f'(p/q).

    Args:
        divergence: a name in ``F_DIVERGENCES``, or your own.
        critic_p: T at draws of p, ``[n]``.
        critic_q: T at draws of q, ``[m]``.

    Returns:
        a number that carries the critic's gradient; :func:`variational_terms` has the values
        before the means.

    Raises:
        ValueError: an unknown name, values that are not ``[n]``, NaN, infinite, or outside the
            domain of f*.

    Source: Nguyen, Wainwright & Jordan 2010, arXiv:0809.0853; Nowozin et al. 2016, eq. 4.

    Example:
        >>> variational_bound("kl", torch.tensor([1.5, 2.5]), torch.tensor([1.0, 1.0]))
        tensor(1.)
    """
    gain, loss = variational_terms(divergence, critic_p, critic_q)
    return gain.mean() - loss.mean()


def _refuse(name: str, bad: int, n: int, divergence: FDivergence) -> None:
    raise ValueError(
        f"{bad} of {n} values of {name} are NaN, infinite or outside the domain of the conjugate "
        f"of {divergence.name!r}, t <= {divergence.domain[1]:.6g}: the bound would not hold. "
        "Let the critic's last layer map into the domain, for instance "
        "by domain[1] - softplus(-raw)."
    )
