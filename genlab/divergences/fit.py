"""One normal law fitted to any density, in the two directions of KL."""

import math
from collections.abc import Callable

import torch
from scipy.optimize import bisect
from torch import Tensor

from genlab.divergences.checks import NotConverged

LogDensity = Callable[[Tensor], Tensor]
POINTS = {1: 401, 2: 81, 3: 33}  # nodes an axis in the expectation under q
REACH = 8.5  # standard deviations that the nodes reach


def fit_gaussian(
    log_p: LogDensity,
    nodes: Tensor,
    weights: Tensor,
    *,
    direction: str = "forward",
    start: tuple[Tensor, Tensor] | None = None,
) -> tuple[Tensor, Tensor]:
    """The normal law q closest to p in one of the two directions of KL.

    Forward, KL(p‖q) is least for the mean and the covariance of p (moment matching), whatever p
    is. Reverse, KL(q‖p) = −H(q) − E_q log p is minimised by L-BFGS over the mean and the Cholesky
    factor of the covariance. It may have several local minima: without a start the search begins
    at the forward fit and at the highest node, and the better end is returned.

    Args:
        log_p: log-density of p up to a constant, from ``[k]`` or ``[k, d]`` to ``[k]``, in torch
            operations (it is differentiated).
        nodes, weights: a quadrature rule that holds the mass of p: ``[m]`` or ``[m, d]``, d ≤ 3,
            and ``[m]``; on a regular grid the weight is the volume of a cell.
        direction: ``"forward"`` or ``"reverse"``.
        start: mean and standard deviation (or covariance) from which the reverse search begins.

    Returns:
        mean and standard deviation, two numbers, for nodes ``[m]``; mean ``[d]`` and covariance
        ``[d, d]`` for nodes ``[m, d]``; float64.

    Raises:
        ValueError: shapes that do not fit, a density without mass on the nodes, or a reverse KL
            that is infinite for every normal q since p is zero somewhere.
        NotConverged: the search ended where the gradient is not zero.

    Source: Minka 2005, MSR-TR-2005-173; Murphy 2012, Machine Learning, section 21.2.2.

    Example:
        >>> log_p = two_modes(3.0)
        >>> t = torch.linspace(-12, 12, 2401, dtype=torch.float64)
        >>> w = torch.full_like(t, 0.01)
        >>> [round(float(v), 3) for v in fit_gaussian(log_p, t, w)]
        [0.0, 3.162]
        >>> [round(abs(float(v)), 3) for v in fit_gaussian(log_p, t, w, direction="reverse")]
        [2.984, 1.023]
    """
    if direction not in ("forward", "reverse"):
        raise ValueError(f'Expected direction "forward" or "reverse", got {direction!r}.')
    nodes, weights = torch.as_tensor(nodes).double(), torch.as_tensor(weights).double()
    line = nodes.ndim == 1
    d = 1 if line else nodes.shape[-1] if nodes.ndim == 2 else 0
    if d not in POINTS or weights.shape != nodes.shape[:1] or not len(nodes):
        raise ValueError(
            "Expected nodes of shape (m,) or (m, d), d <= 3, and weights of shape (m,), got "
            f"{tuple(nodes.shape)} and {tuple(weights.shape)}."
        )
    moments = _moments(log_p, nodes, weights)
    if direction == "reverse":
        starts = [moments, _around_the_mode(log_p, nodes, weights, moments)]
        if start is not None:
            starts = [_checked(*start)]
            if torch.as_tensor(start[0]).shape != nodes.shape[1:]:
                raise ValueError(
                    f"Expected a mean of shape {tuple(nodes.shape[1:])} to start from, as the "
                    f"nodes are, got {tuple(torch.as_tensor(start[0]).shape)}."
                )
        ends = [_descend(log_p, *begin, line=line) for begin in starts]
        moments = min(ends, key=lambda end: float(_reverse_kl(log_p, *end, line=line)))
    mean, factor = moments
    return (mean[0], factor[0, 0]) if line else (mean, factor @ factor.T)


def gaussian_reverse_kl(log_p: LogDensity, mean: Tensor, spread: Tensor) -> Tensor:
    """KL(q‖p) = −H(q) − E_q log p for a normal q, the expectation by the trapezoid rule.

    H(q) = log det L + (d/2)(1 + log 2π) wants q wide, E_q log p wants it where p is high. For a
    smooth log p the rule is exact to rounding.

    Args:
        log_p: log-density of p, as in :func:`fit_gaussian`; without its constant log Z the value
            is KL − log Z.
        mean: a number, or ``[d]``, d ≤ 3.
        spread: the standard deviation, or the covariance ``[d, d]``.

    Returns:
        a number; +∞ where p is zero on a part that q reaches.

    Raises:
        ValueError: a mean and a spread that are no normal law, or a ``log_p`` that does not give
            one value a point.

    Example:
        >>> log_p = torch.distributions.Normal(0.0, 1.0).log_prob
        >>> mean, sd = torch.tensor([1.0, 2.0], dtype=torch.float64)
        >>> gaussian_reverse_kl(log_p, mean, sd)  # (1 + 4 - 1)/2 - log 2
        tensor(1.3069, dtype=torch.float64)
    """
    line = torch.as_tensor(mean).ndim == 0
    return _reverse_kl(log_p, *_checked(mean, spread), line=line)


def reverse_kl_gradient(log_p: LogDensity, mean: Tensor, sd: Tensor) -> Tensor:
    """Derivatives of KL(q‖p) in the mean and the standard deviation of a normal q on the line.

    ::

        ∇ KL(q‖p) = E_q[ ∇ log q · (log q − log p) ]
        ∇ log q   = ( z/σ, (z² − 1)/σ ),   z = (x − μ)/σ

    since E_q ∇ log q = 0. No derivative of p is needed, nor its constant.

    Args:
        log_p, mean, sd: as in :func:`gaussian_reverse_kl`.

    Returns:
        float64 ``[2]``.

    Raises:
        ValueError: as in :func:`gaussian_reverse_kl`, a q that is not on the line, or a p that is
            zero on a part that q reaches.

    Source: Williams 1992, Machine Learning 8, 229 (the score-function gradient).

    Example:
        >>> log_p = torch.distributions.Normal(0.0, 1.0).log_prob
        >>> mean, sd = torch.tensor([1.0, 2.0], dtype=torch.float64)
        >>> reverse_kl_gradient(log_p, mean, sd)  # mean, sd - 1/sd
        tensor([1.0000, 1.5000], dtype=torch.float64)
    """
    if torch.as_tensor(mean).ndim:
        raise ValueError(f"Expected a mean on the line, got shape {tuple(mean.shape)}.")
    (mean,), factor = _checked(mean, sd)
    sd = factor[0, 0]
    z, w = _standard_nodes(1)
    z = z[:, 0]
    log_q = -(z**2) / 2 - sd.log() - math.log(2 * math.pi) / 2
    value = w * (log_q - _values(log_p, mean + sd * z))
    if not value.isfinite().all():
        raise ValueError("KL(q‖p) is not finite: log_p is −∞ or NaN where q has mass.")
    return torch.stack([(value * z).sum(), (value * (z**2 - 1)).sum()]) / sd


def two_modes(m: float) -> LogDensity:
    """Log-density of ½ N(−m, 1) + ½ N(m, 1), the example on which the two directions part.

    Example:
        >>> two_modes(0.0)(torch.zeros(1))
        tensor([-0.9189])
    """

    def log_p(x: Tensor) -> Tensor:
        both = torch.logaddexp(-((x - m) ** 2) / 2, -((x + m) ** 2) / 2)
        return both - math.log(2 * math.sqrt(2 * math.pi))

    return log_p


def switching_point(low: float = 2.5, high: float = 3.0) -> float:
    """The m from which the reverse fit to ½ N(±m, 1) prefers one mode to both.

    For small m the best normal law is centred, and it is the only local minimum of KL(q‖p). From
    m ≈ 2.45 on there is a one-sided one as well, and at the m returned here it has become as low
    as the centred one: the best law jumps from both modes to one. By bisection on the difference.

    Args:
        low, high: an m where the centred law is the better of two local minima, and one where
            the one-sided law is.

    Raises:
        ValueError: the order of the two is the same at both ends.

    Example:
        >>> round(switching_point(), 4)
        2.8001
    """

    def advantage(m: float) -> float:
        log_p = two_modes(m)
        both, one = (
            _descend(log_p, *_checked(mean, sd), line=True)
            for mean, sd in ((0.0, math.sqrt(1 + m * m)), (m, 1.0))
        )
        centred, sided = (float(_reverse_kl(log_p, *end, line=True)) for end in (both, one))
        return centred - sided

    ends = advantage(low), advantage(high)
    if not ends[0] < 0 < ends[1]:
        raise ValueError(
            f"Expected the centred law to be better at low = {low} and the one-sided one at "
            f"high = {high}; the advantages of the one-sided law are {ends[0]:.3g} and "
            f"{ends[1]:.3g} nats."
        )
    return float(bisect(advantage, low, high, xtol=1e-7))


def _moments(log_p: LogDensity, nodes: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Mean ``[d]`` of p and the Cholesky factor ``[d, d]`` of its covariance."""
    value = _values(log_p, nodes).detach()
    if value.isnan().any() or not (weights >= 0).all():
        raise ValueError(
            f"Expected weights >= 0 and a log-density for each of the {len(weights)} nodes, got "
            f"{int((~(weights >= 0)).sum())} weights that are negative or NaN and "
            f"{int(value.isnan().sum())} log-densities that are NaN."
        )
    mass = weights * (value - value.max()).exp()  # log p may lack its constant
    share = mass / mass.sum()
    rows = nodes.reshape(len(nodes), -1)
    mean = share @ rows
    covariance = (rows - mean).T @ (share[:, None] * (rows - mean))
    factor, failed = torch.linalg.cholesky_ex(covariance)
    if failed or not factor.isfinite().all():
        raise ValueError(
            "The density has no mass, or no width, on these nodes. Take a rule that covers it, "
            "with more nodes where it is narrow."
        )
    return mean, factor


def _around_the_mode(
    log_p: LogDensity, nodes: Tensor, weights: Tensor, moments: tuple[Tensor, Tensor]
) -> tuple[Tensor, Tensor]:
    """The highest node, and the forward fit's factor shrunk until q is as high as p there."""
    value = _values(log_p, nodes).detach()
    log_z = torch.logsumexp(value + weights.log(), 0)
    d, factor = len(moments[0]), moments[1]
    log_height = -factor.diagonal().log().sum() - d / 2 * math.log(2 * math.pi)
    shrink = ((log_height - (value.max() - log_z)) / d).exp().clamp_max(1)
    return nodes.reshape(len(nodes), -1)[value.argmax()], shrink * factor


def _checked(mean: Tensor | float, spread: Tensor | float) -> tuple[Tensor, Tensor]:
    """Mean ``[d]`` and Cholesky factor ``[d, d]`` of a number and a deviation, or of both in d."""
    mean, spread = (torch.as_tensor(v, dtype=torch.float64) for v in (mean, spread))
    d = mean.numel()
    if mean.ndim > 1 or spread.shape != mean.shape * 2 or d not in POINTS:
        raise ValueError(
            "Expected a mean and a standard deviation, or a mean (d,) and a covariance (d, d) with "
            f"d <= 3, got shapes {tuple(mean.shape)} and {tuple(spread.shape)}."
        )
    if not mean.isfinite().all():
        raise ValueError(f"Expected a finite mean, got {mean.tolist()}.")
    if mean.ndim == 0:
        if not 0 < spread < math.inf:
            raise ValueError(f"Expected a standard deviation > 0, got {float(spread)}.")
        return mean[None], spread.reshape(1, 1)
    factor, failed = torch.linalg.cholesky_ex(spread)
    if failed or not torch.allclose(spread, spread.T):
        raise ValueError("Expected a symmetric positive definite covariance.")
    return mean, factor


def _values(log_p: LogDensity, x: Tensor) -> Tensor:
    """log p at the points, float64 ``[k]``; any other shape would broadcast."""
    value = log_p(x)
    if value.shape != x.shape[:1]:
        raise ValueError(
            f"Expected from log_p one value for each of {len(x)} points, got shape "
            f"{tuple(value.shape)}."
        )
    return value.double()


def _standard_nodes(d: int) -> tuple[Tensor, Tensor]:
    """Nodes ``[k, d]`` and weights ``[k]`` of the trapezoid rule under N(0, I).

    For a smooth function times a Gaussian the error of this rule falls faster than any power.
    Gauss–Hermite nodes do worse here: log p of separated modes has singularities close to the
    real line.
    """
    axis = torch.linspace(-REACH, REACH, POINTS[d], dtype=torch.float64)
    z = torch.cartesian_prod(*[axis] * d).reshape(-1, d)
    w = torch.exp(-(z**2).sum(1) / 2)
    return z, w / w.sum()


def _reverse_kl(log_p: LogDensity, mean: Tensor, factor: Tensor, *, line: bool) -> Tensor:
    z, w = _standard_nodes(len(mean))
    x = mean + z @ factor.T
    entropy = factor.diagonal().log().sum() + len(mean) / 2 * (1 + math.log(2 * math.pi))
    return -entropy - w @ _values(log_p, x[:, 0] if line else x)


def _descend(
    log_p: LogDensity, mean: Tensor, factor: Tensor, *, line: bool
) -> tuple[Tensor, Tensor]:
    """L-BFGS on the mean, the entries under the diagonal and the logarithms on it."""
    mean = mean.detach().clone().requires_grad_()
    log_diagonal = factor.detach().diagonal().log().clone().requires_grad_()
    under = factor.detach().tril(-1).clone().requires_grad_()
    parameters = [mean, log_diagonal, under]
    search = torch.optim.LBFGS(
        parameters,
        max_iter=500,
        tolerance_grad=1e-10,
        tolerance_change=1e-15,
        line_search_fn="strong_wolfe",
    )

    def value() -> Tensor:
        search.zero_grad()
        loss = _reverse_kl(log_p, mean, under.tril(-1) + log_diagonal.exp().diag(), line=line)
        if not loss.isfinite():
            raise ValueError(
                "KL(q‖p) is not finite: log_p is −∞ or NaN where a normal law has mass, so that no "
                "normal q has a finite KL(q‖p), or the search ran away. Give a start nearby."
            )
        loss.backward()
        return loss

    search.step(value)
    value()
    gradient = max(float(v.grad.abs().max()) for v in parameters)
    if not gradient <= 1e-6:
        raise NotConverged(
            f"The reverse fit ended with a gradient of {gradient:.1g} after at most 500 steps: "
            "log_p is not smooth, or has no best normal law. Give a start nearby."
        )
    return mean.detach(), (under.tril(-1) + log_diagonal.exp().diag()).detach()
