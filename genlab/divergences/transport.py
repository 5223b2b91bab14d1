"""Optimal transport: the cost of turning one law into another."""

from dataclasses import dataclass

import numpy as np
import scipy.sparse
import torch
from scipy.optimize import linear_sum_assignment, linprog
from torch import Tensor

from genlab.divergences.checks import NotConverged, probabilities

ABSORB = 50.0  # |log u| from which scalings go into the potentials: e^(2·50) is far from overflow


@dataclass(frozen=True)
class Plan:
    """A coupling of two finite laws, what it costs, and the potentials that go with it.

    Attributes:
        plan: P ``[n, m]``, rows sum to a, columns to b.
        cost: Σ P C.
        potentials: f ``[n]`` and g ``[m]``. Of an exact plan: f_i + g_j ≤ C_ij, and
            Σ a f + Σ b g = cost. Of Sinkhorn's: P_ij = a_i b_j exp((f_i + g_j − C_ij)/ε).
    """

    plan: Tensor
    cost: Tensor
    potentials: tuple[Tensor, Tensor]


def wasserstein_1d(
    x: Tensor,
    y: Tensor,
    *,
    order: float = 1,
    weights_x: Tensor | None = None,
    weights_y: Tensor | None = None,
) -> Tensor:
    """Wasserstein distance of two samples on the line, W_r = (∫₀¹ |F⁻¹ − G⁻¹|^r)^(1/r).

    The best coupling pairs the smallest with the smallest. For samples of one size that is the
    mean of \\|x₍ᵢ₎ − y₍ᵢ₎\\|^r over the sorted values.

    Args:
        x, y: samples ``[n]`` and ``[m]``.
        order: r ≥ 1.
        weights_x, weights_y: probabilities of the values, ``[n]`` and ``[m]``; 1/n and 1/m if
            not given.

    Returns:
        a number; it carries gradients where x or y do.

    Raises:
        ValueError: samples that are not ``[n]``, empty, NaN or infinite; an order below 1; weights
            that are not probabilities.

    Source: Vallender 1974, Theory Probab. Appl. 18, 784.

    Example:
        >>> wasserstein_1d(torch.tensor([0.0, 1.0]), torch.tensor([3.0, 4.0, 5.0, 4.0]))
        tensor(3.5000)
    """
    x, y = _sample("x", x), _sample("y", y)
    if not 1 <= order < float("inf"):
        raise ValueError(f"Expected a finite order >= 1, got {order}.")
    if weights_x is None and weights_y is None and len(x) == len(y):
        gap = (_sorted(x) - _sorted(y)).abs_()
        return gap.mean() if order == 1 else _mean(gap, 1 / len(gap), order)
    x, up_to_x = _quantiles("x", x, weights_x)
    y, up_to_y = _quantiles("y", y, weights_y)
    # Between two neighbouring levels both quantile functions are constant.
    levels = torch.cat([up_to_x, up_to_y]).sort().values
    width = levels.diff(prepend=levels.new_zeros(1))
    i = torch.searchsorted(up_to_x, levels).clamp_max(len(x) - 1)
    j = torch.searchsorted(up_to_y, levels).clamp_max(len(y) - 1)
    return _mean((x[i] - y[j]).abs(), width, order)


def transport(a: Tensor, b: Tensor, cost: Tensor) -> Plan:
    """The cheapest coupling: min Σ P C over P ≥ 0 with row sums a and column sums b.

    A linear programme (HiGHS); for uniform a and b of one size an assignment. Its dual,
    max Σ a f + Σ b g with f_i + g_j ≤ C_ij, has the same value; the answer is returned only if
    the two agree. n and m of a few hundred are a matter of seconds.

    Args:
        a: probabilities ``[n]``.
        b: probabilities ``[m]``.
        cost: C ``[n, m]``, finite.

    Returns:
        a :class:`Plan`, float64.

    Raises:
        ValueError: tables that are not probabilities, or a cost of another shape, NaN or infinite.
        NotConverged: a plan whose cost the dual does not confirm to 1e-9 of the largest cost.

    Source: Kantorovich 1942; Peyré & Cuturi 2019, arXiv:1803.00567, chapters 2 and 3.

    Example:
        >>> cost = torch.tensor([[0.0, 1.0], [1.0, 0.0]])
        >>> transport(torch.tensor([0.5, 0.5]), torch.tensor([0.25, 0.75]), cost).cost
        tensor(0.2500, dtype=torch.float64)
    """
    a, b, cost = _problem(a, b, cost)
    scale = float(cost.abs().max()) or 1.0
    # HiGHS judges by absolute tolerances, so it is given costs of order one.
    uniform = len(a) == len(b) and (a == a[0]).all() and (b == a[0]).all()
    plan, f, g = (_assignment if uniform else _linear_programme)(a, b, cost / scale)
    f, g = scale * f, scale * g
    value = (plan * cost).sum()
    wrong = {
        "the marginals": max(
            float((plan.sum(1) - a).abs().max()), float((plan.sum(0) - b).abs().max())
        ),
        "the constraint f + g <= C": float((f[:, None] + g - cost).max()) / scale,
        "the duality gap": float((value - a @ f - b @ g).abs()) / scale,
    }
    for name, error in wrong.items():
        if not error <= 1e-9:
            raise NotConverged(
                f"The solver's plan misses {name} by {error:.1g} of the largest cost. "
                "Very unequal costs or weights do that: rescale them, or join the smallest."
            )
    return Plan(plan, value, (f, g))


def sinkhorn(
    a: Tensor,
    b: Tensor,
    cost: Tensor,
    *,
    epsilon: float,
    tol: float = 1e-9,
    max_iterations: int = 10_000,
) -> Plan:
    """Entropic transport: min Σ P C + ε KL(P‖a bᵀ) over couplings P of a and b.

    The optimum has the form P_ij = a_i b_j exp((f_i + g_j − C_ij)/ε). An iteration sets f such that
    the rows sum to a, then g such that the columns sum to b. It is done by scaling a matrix,
    u ← a/(Kv), v ← b/(Kᵀu), and whenever a scaling grows large it goes into the potentials, which
    are renewed in the logarithm; so a small ε neither overflows nor underflows. The last plan is
    moved onto the marginals exactly: its cost is never below that of :func:`transport`.

    Args:
        a: probabilities ``[n]``.
        b: probabilities ``[m]``.
        cost: C ``[n, m]``, finite.
        epsilon: ε > 0, in the unit of the costs.
        tol: where to stop: Σ_i |Σ_j P_ij − a_i|, the columns being exact.
        max_iterations: number of iterations before it gives up.

    Returns:
        a :class:`Plan`, float64; its cost is Σ P C without the entropy.

    Raises:
        ValueError: as in :func:`transport`, or an ε or tol that is not positive.
        NotConverged: the tolerance was not reached.

    Source: Sinkhorn 1967; Cuturi 2013, arXiv:1306.0895; Schmitzer 2019, arXiv:1610.06519
        (absorption); Altschuler et al. 2017, arXiv:1705.09634, algorithm 2 (marginals).

    Example:
        >>> half, cost = torch.tensor([0.5, 0.5]), torch.tensor([[0.0, 1.0], [1.0, 0.0]])
        >>> sinkhorn(half, half, cost, epsilon=1.0).plan[0] * 2  # 1 / (1 + e^-1)
        tensor([0.7311, 0.2689], dtype=torch.float64)
    """
    a, b, cost = _problem(a, b, cost)
    if not 0 < epsilon < float("inf") or not 0 < tol < float("inf"):
        raise ValueError(f"Expected epsilon > 0 and tol > 0, got {epsilon} and {tol}.")
    rows, columns = a > 0, b > 0  # a value without mass takes no part
    f, g = torch.zeros_like(a), torch.zeros_like(b)
    inner = _scale(a[rows], b[columns], cost[rows][:, columns], epsilon, tol, max_iterations)
    f[rows], g[columns] = inner
    plan = a[:, None] * b * ((f[:, None] + g - cost) / epsilon).exp()
    plan = _onto_marginals(plan.nan_to_num(0.0), a, b)
    return Plan(plan, (plan * cost).sum(), (f, g))


def _scale(
    a: Tensor, b: Tensor, cost: Tensor, epsilon: float, tol: float, max_iterations: int
) -> tuple[Tensor, Tensor]:
    """Potentials at which the rows sum to a within tol and the columns to b."""
    log_a, log_b, c = a.log(), b.log(), cost / epsilon
    f, g = torch.zeros_like(a), torch.zeros_like(b)  # in units of ε
    done, error = 0, float("inf")
    while done < max_iterations:
        # One iteration in the logarithm: exact for any ε.
        f = -torch.logsumexp(log_b + g - c, 1)
        g = -torch.logsumexp((log_a + f)[:, None] - c, 0)
        done += 1
        K = torch.exp((log_a + f)[:, None] + (log_b + g) - c)
        u, v = torch.ones_like(a), torch.ones_like(b)
        while True:
            sums = K @ v
            error = float((u * sums - a).abs().sum())
            if error <= tol:
                return epsilon * (f + u.log()), epsilon * (g + v.log())
            if done >= max_iterations:
                break
            next_u = a / sums
            next_v = b / (next_u @ K)
            size = max(float(next_u.log().abs().max()), float(next_v.log().abs().max()))
            if not size <= ABSORB:  # NaN too: a row of K has underflowed
                break
            u, v = next_u, next_v
            done += 1
        f, g = f + u.log(), g + v.log()
    raise NotConverged(
        f"After {done} iterations the rows miss their sums by {error:.2g} in all, the tolerance is "
        f"{tol:.2g}: no plan is returned. A larger epsilon (now {epsilon:.3g}, the costs reach "
        f"{float(cost.abs().max()):.3g}) needs fewer; else raise max_iterations or tol, or take "
        "genlab.divergences.transport, which is exact."
    )


def wasserstein2_normal(mean_p: Tensor, cov_p: Tensor, mean_q: Tensor, cov_q: Tensor) -> Tensor:
    """Wasserstein distance of order 2 between two normal laws, in closed form.

    ::

        W₂² = |μ − ν|² + tr(Σ + Τ − 2 (Σ^½ Τ Σ^½)^½) = |μ − ν|² + min_U |Σ^½ − Τ^½ U|²

    with U orthogonal and |·| the Frobenius norm. The second form is computed: nothing cancels.

    Args:
        mean_p, mean_q: ``[d]``, or numbers.
        cov_p, cov_q: symmetric, positive semidefinite, ``[d, d]``; variances for numbers.

    Returns:
        W₂ (not its square), float64.

    Raises:
        ValueError: shapes that do not fit, NaN, infinity, or a covariance that is not one.

    Source: Dowson & Landau 1982, J. Multivariate Anal. 12, 450.

    Example:
        >>> wasserstein2_normal(torch.tensor(0.0), torch.tensor(1.0),
        ...                     torch.tensor(3.0), torch.tensor(25.0))
        tensor(5., dtype=torch.float64)
    """
    mean_p, mean_q = (torch.as_tensor(mean).double() for mean in (mean_p, mean_q))
    cov_p, cov_q = (torch.as_tensor(cov).double() for cov in (cov_p, cov_q))
    if (
        mean_p.ndim > 1
        or mean_q.shape != mean_p.shape
        or not cov_p.shape == cov_q.shape == mean_p.shape * 2
    ):
        raise ValueError(
            "Expected means (d,) and covariances (d, d), or four numbers, got shapes "
            f"{', '.join(str(tuple(v.shape)) for v in (mean_p, cov_p, mean_q, cov_q))}."
        )
    if not all(v.isfinite().all() for v in (mean_p, cov_p, mean_q, cov_q)):
        raise ValueError("The means or the covariances hold NaN or infinite numbers.")
    d = mean_p.numel()
    root_p, root_q = (_root(cov.reshape(d, d)) for cov in (cov_p, cov_q))
    left, _, right = torch.linalg.svd(root_q @ root_p)
    bures = root_p - root_q @ (left @ right)
    return torch.cat([(mean_p - mean_q).reshape(-1), bures.reshape(-1)]).norm()


def _root(covariance: Tensor) -> Tensor:
    """Symmetric square root."""
    values, vectors = torch.linalg.eigh(covariance)
    size = values.abs().max()
    if not (
        torch.allclose(covariance, covariance.T, atol=1e-12 * float(size))
        and values.isfinite().all()
        and values.min() >= -1e-12 * size
    ):
        raise ValueError(
            "Expected a covariance: symmetric with eigenvalues >= 0, got a smallest eigenvalue of "
            f"{float(values.min()):.3g}."
        )
    return vectors * values.clamp_min(0).sqrt() @ vectors.T


def _linear_programme(a: Tensor, b: Tensor, cost: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    n, m = cost.shape
    sums = scipy.sparse.vstack(
        [
            scipy.sparse.kron(scipy.sparse.eye(n), np.ones((1, m))),
            scipy.sparse.kron(np.ones((1, n)), scipy.sparse.eye(m)),
        ],
        format="csc",
    )
    tight = {"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10}
    found = linprog(
        cost.flatten().numpy(),
        A_eq=sums,
        b_eq=torch.cat([a, b]).numpy(),
        method="highs",
        options=tight,
    )
    if found.status != 0:
        raise NotConverged(f"The linear programme was not solved: {found.message}")
    f, g = torch.from_numpy(found.eqlin.marginals.copy()).split([n, m])
    return torch.from_numpy(found.x).reshape(n, m).clamp_min(0), f, g


def _assignment(a: Tensor, b: Tensor, cost: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The best permutation σ, and its potentials as shortest paths.

    With g_σ(k) = C_kσ(k) − f_k the constraint is f_i ≤ f_k + C_iσ(k) − C_kσ(k) for all k: f is a
    shortest distance in a graph without negative cycles (Bellman and Ford).
    """
    n = len(a)
    _, sigma = linear_sum_assignment(cost.numpy())
    sigma = torch.from_numpy(sigma)
    paid = cost[torch.arange(n), sigma]
    edge = cost[:, sigma] - paid
    f = torch.zeros_like(a)
    for _ in range(n):
        shorter = (f + edge).amin(1)
        moved = float((f - shorter).max())
        f = shorter
        if moved <= 1e-14:
            break
    g = torch.empty_like(b)
    g[sigma] = paid - f
    plan = torch.zeros_like(cost)
    plan[torch.arange(n), sigma] = a
    return plan, f, g


def _onto_marginals(plan: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """The plan shrunk to fit under both marginals, and what is missing spread as a product."""
    plan = plan * (a / plan.sum(1).clamp_min(1e-300)).clamp_max(1)[:, None]
    plan = plan * (b / plan.sum(0).clamp_min(1e-300)).clamp_max(1)
    missing_a = (a - plan.sum(1)).clamp_min(0)
    missing_b = (b - plan.sum(0)).clamp_min(0)
    total = missing_a.sum()
    return plan + missing_a[:, None] * (missing_b / total) if total > 0 else plan


def _problem(a: Tensor, b: Tensor, cost: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    (a,), (b,), cost = probabilities(a), probabilities(b), torch.as_tensor(cost)
    if a.ndim != 1 or b.ndim != 1 or tuple(cost.shape) != (len(a), len(b)):
        raise ValueError(
            "Expected a (n,), b (m,) and a cost (n, m), got "
            f"{tuple(a.shape)}, {tuple(b.shape)} and {tuple(cost.shape)}."
        )
    if not cost.isfinite().all():
        raise ValueError(
            f"{int((~cost.isfinite()).sum())} costs are NaN or infinite. "
            "Forbid a pair by a cost well above all others."
        )
    a, b = a.detach().double(), b.detach().double()
    return a / a.sum(), b / b.sum(), cost.detach().double()


def _sample(name: str, x: Tensor) -> Tensor:
    x = torch.as_tensor(x)
    x = x if x.is_floating_point() else x.double()
    if x.ndim != 1 or len(x) == 0:
        raise ValueError(
            f"Expected {name} as a sample on the line, shape (n,), got {tuple(x.shape)}. "
            "In more dimensions: transport with the matrix of costs."
        )
    if not x.isfinite().all():
        raise ValueError(
            f"{int((~x.isfinite()).sum())} of {len(x)} values of {name} are NaN or infinite."
        )
    return x


def _mean(gap: Tensor, width: Tensor | float, order: float) -> Tensor:
    """(Σ w g^r)^(1/r), in units of the largest g, whose power may overflow."""
    unit = gap.detach().max().double()
    unit = torch.where(unit > 0, unit, 1.0)
    power = (width * (gap / unit).pow(order)).sum()
    return (unit * power.pow(1 / order)).to(gap.dtype)


def _sorted(x: Tensor) -> Tensor:
    # numpy's sort takes half the time of torch's, which alone carries gradients
    return x.sort().values if x.requires_grad else torch.from_numpy(np.sort(x.numpy()))


def _quantiles(name: str, x: Tensor, weights: Tensor | None) -> tuple[Tensor, Tensor]:
    """Sorted values, and the level up to which each is the quantile."""
    n = len(x)
    if weights is None:
        return _sorted(x), torch.arange(1, n + 1, dtype=torch.float64) / n
    (weights,) = probabilities(weights)
    if weights.shape != x.shape:
        raise ValueError(
            f"Expected weights_{name} of shape ({n},), one a value, got {tuple(weights.shape)}."
        )
    order = x.argsort()
    return x[order], weights[order].double().cumsum(0)
