"""Chains that run: draws that follow one another, and how many of them are worth one.

The draws of a chain tend to its stationary law and depend on those before. What that costs is the
autocorrelation time.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Generator, Tensor

from genlab.early.chains import checked_kernel
from genlab.em.kmeans import count

__all__ = ["autocorrelation_time", "gibbs", "metropolis", "walk"]


def walk(
    kernel: Tensor, start: Tensor, steps: int, *, generator: Generator | None = None
) -> Tensor:
    """Chains of this kernel from these states, int64 ``[steps + 1, chains]``, the start first.

    Args:
        kernel: ``[S, S]``.
        start: states 0 to S − 1, ``[chains]``.
        steps: 1 or more.

    Example:
        >>> walk(torch.eye(3).roll(1, 1), torch.tensor([0, 1]), 2)
        tensor([[0, 1],
                [1, 2],
                [2, 0]])
    """
    kernel = checked_kernel(kernel)
    states = [start]
    for _ in range(count(steps, "steps")):
        states.append(torch.multinomial(kernel[states[-1]], 1, generator=generator)[:, 0])
    return torch.stack(states)


@torch.no_grad()
def metropolis(
    log_weight: Callable[[Tensor], Tensor],
    start: Tensor,
    steps: int,
    *,
    scale: float = 1.0,
    generator: Generator | None = None,
) -> Tensor:
    """Random-walk Metropolis in ℝ^d: propose x + scale · N(0, I), accept with min(1, p(x′) / p(x)).

    Args:
        log_weight: log p up to a constant, from ``[chains, d]`` to ``[chains]``.
        start: ``[chains, d]``, where p > 0.
        steps: 1 or more.
        scale: length of a step: too short and the chain creeps, too long and it stays.

    Returns:
        ``[steps + 1, chains, d]``, the start first.

    Raises:
        ValueError: no step, or a start of probability zero.

    Source: Metropolis et al. 1953, J. Chem. Phys. 21, 1087.

    Example: N(0, 1), known up to a factor.
        >>> g = torch.Generator().manual_seed(0)
        >>> x = metropolis(lambda x: -0.5 * x[:, 0] ** 2, torch.zeros(1000, 1), 50, generator=g)
        >>> round(float(x[-1].var()), 1)
        1.0
    """
    x, height = start, log_weight(start)
    if not height.isfinite().all():
        raise ValueError("The weight is zero or no number at the start: begin where p(x) > 0.")
    visited = [x]
    for _ in range(count(steps, "steps")):
        noise = torch.randn(x.shape, generator=generator, dtype=x.dtype)
        u = torch.rand(len(x), generator=generator, dtype=x.dtype)
        there = x + scale * noise
        above = log_weight(there)
        accepted = u.log() < above - height
        x = torch.where(accepted[:, None], there, x)
        height = torch.where(accepted, above, height)
        visited.append(x)
    return torch.stack(visited)


@torch.no_grad()
def gibbs(
    updates: Sequence[Callable[..., Tensor]],
    start: Tensor,
    steps: int,
    *,
    generator: Generator | None = None,
) -> Tensor:
    """Sweeps in which each update draws a part of the state from its law given all the rest.

    Args:
        updates: ``update(state, generator)`` returns the state ``[chains, d]`` with its part drawn.
        start: ``[chains, d]``.
        steps: sweeps, 1 or more.

    Returns:
        ``[steps + 1, chains, d]``, the start first.

    Source: Geman and Geman 1984, IEEE Trans. Pattern Anal. Mach. Intell. 6, 721.

    Example: two normal numbers with correlation 0.6: each is N(0.6 · other, 0.64) given the other.
        >>> def update(i):
        ...     def drawn(x, g):
        ...         new = 0.6 * x[:, 1 - i] + 0.8 * torch.randn(len(x), generator=g)
        ...         return torch.stack([new, x[:, 1]] if i == 0 else [x[:, 0], new], 1)
        ...     return drawn
        >>> g = torch.Generator().manual_seed(0)
        >>> x = gibbs([update(0), update(1)], torch.zeros(5000, 2), 20, generator=g)
        >>> round(float(x[-1].T.corrcoef()[0, 1]), 1)
        0.6
    """
    x = start
    visited = [x]
    for _ in range(count(steps, "steps")):
        for update in updates:
            x = update(x, generator)
        visited.append(x)
    return torch.stack(visited)


def autocorrelation_time(values: Tensor) -> float:
    """τ = 1 + 2 Σ_t ρ(t): so many steps of a chain are worth one independent draw.

    The variance of the mean over T steps is τ Var / T. The sum is cut at the first lag t ≥ 5 τ(t):
    beyond, there is noise alone. A chain that is shorter than about 50 τ tells nothing: it may
    never have left the part of the space in which it began.

    Args:
        values: what is measured along the chains, ``[steps]`` or ``[steps, chains]``.

    Raises:
        ValueError: fewer than ten steps, or values that never change.

    Source: Sokal 1989, Monte Carlo methods in statistical mechanics, section 3.

    Example: x' = 0.5 x + noise has ρ(t) = 2^−t, so τ = 3.
        >>> g, x = torch.Generator().manual_seed(0), [torch.zeros(100)]
        >>> for _ in range(2000): x.append(0.5 * x[-1] + torch.randn(100, generator=g))
        >>> round(autocorrelation_time(torch.stack(x)))
        3
    """
    v = torch.as_tensor(values).double().reshape(len(values), -1)
    if len(v) < 10:
        raise ValueError(f"Expected ten steps of the chains or more, got {len(v)}.")
    v = v - v.mean()
    spectrum = torch.fft.rfft(v, n=2 * len(v), dim=0).abs().square()
    covariance = torch.fft.irfft(spectrum, dim=0)[: len(v)].mean(1)
    if not covariance[0] > 1e-20:
        raise ValueError("The values never change along the chains: no time can be told.")
    tau = 2 * (covariance / covariance[0]).cumsum(0) - 1
    enough = (torch.arange(len(v)) >= 5 * tau).nonzero()
    return float(tau[int(enough[0]) if len(enough) else -1])
