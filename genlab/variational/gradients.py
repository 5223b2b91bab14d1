"""The gradient of an expectation, ∇_φ E_{q_φ}[f(z)]: φ moves the law, and the draws with it.

Two ways to estimate it from draws. The score function moves the weights of the draws and asks
nothing of f; reparameterisation moves the draws themselves along ∇f. Both return one unbiased
estimate a draw, so that you see their spread: ``.mean(0)`` is the estimate, ``.var(0)`` divided by
n its variance.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.distributions import Distribution

from genlab.em.kmeans import count
from genlab.nets import weights_from

Law = Callable[[Tensor], Distribution]
Function = Callable[[Tensor], Tensor]


def score_gradient(
    f: Function,
    law: Law,
    phi: Tensor,
    n: int,
    *,
    baseline: Tensor | float = 0.0,
    generator: torch.Generator | None = None,
) -> Tensor:
    """(f(z) − b) ∇_φ log q_φ(z) at n draws z ~ q_φ: the score function, or log-derivative, trick.

    ∫ ∇q f = ∫ q (∇ log q) f. It holds where f does not depend on φ, where the support of q_φ does
    not either, and where the derivative may be taken under the integral. E_q ∇ log q = 0, so a
    baseline b that does not depend on the draw changes the variance and not the mean.

    Args:
        f: takes draws ``[n, *event]``, returns ``[n]``; it need not be differentiable.
        law: q_φ as a function of φ ``[n, *phi.shape]``, with batch shape ``(n,)``: write the last
            axis as ``phi[..., 0]``.
        phi: the parameters at which the gradient is taken, floating.
        n: number of draws.
        baseline: b, one number, or one for each parameter, of the shape of φ.

    Returns:
        ``[n, *phi.shape]``.

    Raises:
        ValueError: n below 1, or a law, values of f or a baseline of another shape.

    Source: Williams 1992, Machine Learning 8, 229; Glynn 1990, Commun. ACM 33, 75.

    Example: ∇_μ E z² = 2μ under N(μ, 1).
        >>> law = lambda phi: torch.distributions.Normal(phi[..., 0], 1.0)
        >>> g = torch.Generator().manual_seed(0)
        >>> terms = score_gradient(torch.square, law, torch.tensor([0.7]), 100_000, generator=g)
        >>> terms.mean(0).round(decimals=1), terms.var(0).sqrt().round(decimals=0)
        (tensor([1.4000]), tensor([5.]))
    """
    z, score = _scores(law, phi, n, generator)
    baseline = torch.as_tensor(baseline, dtype=score.dtype)
    if baseline.shape not in ((), phi.shape):
        raise ValueError(
            f"Expected a baseline as one number or of shape {tuple(phi.shape)}, got "
            f"{tuple(baseline.shape)}: it must not depend on the draw."
        )
    value = _values(f, z).reshape(n, *[1] * phi.ndim)
    return (value - baseline) * score


def optimal_baseline(
    f: Function,
    law: Law,
    phi: Tensor,
    n: int,
    *,
    generator: torch.Generator | None = None,
) -> Tensor:
    """b* = E[f s²] / E[s²] with s = ∇ log q: the constant that leaves the least variance.

    With another constant b the variance is larger by (b − b*)² E[s²]. Each parameter has its own;
    the mean of f is close, and is the best just where f and s² are uncorrelated. Estimate it from
    other draws than those it is used on, or the gradient is biased.

    Args:
        f, law, phi, n: as in :func:`score_gradient`.

    Returns:
        ``phi.shape``; 0 for a parameter that does not move q.

    Source: Greensmith, Bartlett and Baxter 2004, JMLR 5, 1471, section 3.

    Example: under N(0, 1) a step at 0 has mean ½ and, by symmetry, the best baseline ½.
        >>> law = lambda phi: torch.distributions.Normal(phi[..., 0], 1.0)
        >>> g = torch.Generator().manual_seed(0)
        >>> step = lambda z: (z > 0).float()
        >>> optimal_baseline(step, law, torch.zeros(1), 100_000, generator=g).round(decimals=1)
        tensor([0.5000])
    """
    z, score = _scores(law, phi, n, generator)
    value = _values(f, z).reshape(n, *[1] * phi.ndim)
    size = score.square().sum(0)
    return torch.where(size > 0, (value * score.square()).sum(0) / size, 0.0)


def reparameterised_gradient(
    f: Function,
    law: Law,
    phi: Tensor,
    n: int,
    *,
    generator: torch.Generator | None = None,
) -> Tensor:
    """∇_φ f(z_φ(ε)) at n draws of the noise ε: the pathwise gradient, or reparameterisation.

    It holds where z is a differentiable function of φ and of noise whose law does not depend on φ,
    and f is differentiable. Its variance follows the slope of f, that of the score function the
    size of f: usually, not always, it is the lower.

    Args:
        f, law, phi, n: as in :func:`score_gradient`; f is differentiable.

    Returns:
        ``[n, *phi.shape]``.

    Raises:
        ValueError: as :func:`score_gradient`, or a law that cannot be reparameterised.

    Source: Kingma and Welling 2014, arXiv 1312.6114, section 2.4; Rezende, Mohamed and Wierstra
        2014, arXiv 1401.4082.

    Example:
        >>> law = lambda phi: torch.distributions.Normal(phi[..., 0], 1.0)
        >>> g = torch.Generator().manual_seed(0)
        >>> phi = torch.tensor([0.7])
        >>> terms = reparameterised_gradient(torch.square, law, phi, 100_000, generator=g)
        >>> terms.mean(0).round(decimals=1), terms.var(0).sqrt().round(decimals=0)
        (tensor([1.4000]), tensor([2.]))
    """
    rows, q = _law_by_row(law, phi, n)
    if not q.has_rsample:
        raise ValueError(
            f"{type(q).__name__} is no smooth function of its parameters and noise: there is no "
            "pathwise gradient. Use score_gradient."
        )
    with weights_from(generator):
        z = q.rsample()
    value = f(z)
    _check_values(value, z)
    return _gradient(value, rows)


def _law_by_row(law: Law, phi: Tensor, n: int) -> tuple[Tensor, Distribution]:
    """φ once for each draw, so that one backward pass gives the gradient of each."""
    rows = phi.detach().expand(count(n, "n"), *phi.shape).clone().requires_grad_()
    q = law(rows)
    if tuple(q.batch_shape) != (n,):
        raise ValueError(
            f"Expected law(phi) to have batch shape ({n},), one law for each row of phi, got "
            f"{tuple(q.batch_shape)}. Write phi[..., 0] for a parameter, and make a law over "
            "vectors by torch.distributions.Independent."
        )
    return rows, q


def _scores(
    law: Law, phi: Tensor, n: int, generator: torch.Generator | None
) -> tuple[Tensor, Tensor]:
    rows, q = _law_by_row(law, phi, n)
    with weights_from(generator):
        z = q.sample()
    return z, _gradient(q.log_prob(z), rows)


def _values(f: Function, z: Tensor) -> Tensor:
    with torch.no_grad():
        value = f(z)
    _check_values(value, z)
    return value


def _check_values(value: Tensor, z: Tensor) -> None:
    if value.shape != z.shape[:1]:
        raise ValueError(
            f"Expected from f one value for each of {len(z)} draws, got shape {tuple(value.shape)}."
        )
    if not value.isfinite().all():
        raise ValueError(
            f"f is NaN or infinite at {int((~value.isfinite()).sum())} of {len(z)} draws."
        )


def _gradient(value: Tensor, rows: Tensor) -> Tensor:
    (gradient,) = torch.autograd.grad(value.sum(), rows)
    return gradient
