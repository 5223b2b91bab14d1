"""Mixtures of Gaussians, fitted by EM in the form of an exponential family.

log π_k N(x; μ_k, Σ_k) is linear in the features φ(x) = (1, x, vec xxᵀ). The E step is then one
matrix product and a softmax, the M step one matrix product and K small decompositions.
"""

import math
from collections.abc import Iterator
from functools import cache

import torch
from torch import Tensor

from genlab.em.kmeans import count, plus_plus, squared_distances, starting_means
from genlab.models import as_rows, catalogued, query_points, sample_size, training_data

STRUCTURES = ("full", "tied", "diagonal", "spherical")
BLOCK = 2**18  # numbers in one block of features and responsibilities: 2 MB
Parameters = tuple[Tensor, Tensor, Tensor]


def features(x: Tensor, structure: str = "full") -> Tensor:
    """φ(x) = (1, x, xᵢxⱼ for i ≤ j), or (1, x, x²) where Σ is diagonal or spherical.

    Args:
        x: ``[n, d]``.

    Returns:
        ``[n, 1 + d + d(d+1)/2]``, or ``[n, 1 + 2d]``.

    Example:
        >>> features(torch.tensor([[2.0, 3.0]]))
        tensor([[1., 2., 3., 4., 6., 9.]])
    """
    if structure in ("full", "tied"):
        products = [x[:, i:] * x[:, i : i + 1] for i in range(x.shape[1])]
    else:
        products = [x * x]
    return torch.cat([torch.ones_like(x[:, :1]), x, *products], 1)


def natural(weights: Tensor, means: Tensor, covariances: Tensor) -> Tensor:
    """Natural parameters θ with θ_k · φ(x) = log π_k + log N(x; μ_k, Σ_k).

    θ_k = (log π_k − ½(μᵀΛμ + log det 2πΣ), Λμ, −½Λ), Λ = Σ_k⁻¹; an off-diagonal entry of Λ
    counts twice, as φ holds xᵢxⱼ once.

    Args:
        weights: ``[K]``.
        means: ``[K, d]``.
        covariances: ``[K, d, d]``, or variances ``[K, d]``.

    Returns:
        ``[K, p]``, with p the number of features.

    Example:
        >>> one = torch.ones(1, 1)
        >>> theta = natural(one[0], one, one)
        >>> features(torch.tensor([[1.0]]), "diagonal") @ theta.T  # log N(1; 1, 1)
        tensor([[-0.9189]])
    """
    d = means.shape[1]
    if covariances.ndim == 2:
        linear, log_det = means / covariances, covariances.log().sum(1)
        square = -0.5 / covariances
    else:
        factor = torch.linalg.cholesky(covariances)
        precision = torch.cholesky_inverse(factor)
        linear = (precision @ means[:, :, None])[:, :, 0]
        log_det = 2 * factor.diagonal(dim1=1, dim2=2).log().sum(1)
        i, j, times = _upper(d)
        square = -0.5 * times.to(means.dtype) * precision[:, i, j]
    norm = (linear * means).sum(1) + log_det + d * math.log(2 * math.pi)
    return torch.cat([(weights.log() - 0.5 * norm)[:, None], linear, square], 1)


def e_step(phi: Tensor, theta: Tensor) -> tuple[Tensor, Tensor]:
    """E step: the posterior of the component, q(z = k | x) = π_k N(x; μ_k, Σ_k) / p(x).

    Args:
        phi: features ``[n, p]``.
        theta: natural parameters ``[K, p]``.

    Returns:
        log p(x) in nats, ``[n]``; responsibilities, ``[n, K]``, rows that sum to one.

    Source: Dempster, Laird and Rubin 1977, J. R. Statist. Soc. B 39, 1, section 4.3.

    Example: half way between two equal components.
        >>> one = torch.ones(2, 1)
        >>> theta = natural(one[:, 0] / 2, torch.tensor([[-1.0], [1.0]]), one)
        >>> e_step(features(torch.tensor([[0.0]]), "diagonal"), theta)
        (tensor([-1.4189]), tensor([[0.5000, 0.5000]]))
    """
    log_joint = phi @ theta.T
    largest = log_joint.amax(1, keepdim=True)
    # e^-700 is nothing beside 1, and further down the exponential function is slow.
    r = (log_joint - largest).clamp_min(-700).exp()
    total = r.sum(1, keepdim=True)
    return (largest + total.log())[:, 0], r / total


def m_step(moments: Tensor, d: int, structure: str = "full", floor: float = 1e-6) -> Parameters:
    """M step: the parameters whose expected features are those of the weighted data.

    π_k = N_k/n, μ_k = Σᵢ rᵢ_k xᵢ / N_k, Σ_k = Σᵢ rᵢ_k xᵢxᵢᵀ / N_k − μ_kμ_kᵀ. The eigenvalues of Σ_k
    are clamped from below, which gives the exact maximum over all Σ_k ⪰ floor·I.

    Args:
        moments: Σᵢ rᵢ_k φ(xᵢ), ``[K, p]``; its first column is N_k.
        d: number of columns of the data.

    Returns:
        weights ``[K]``, means ``[K, d]``, covariances ``[K, d, d]`` (variances ``[K, d]`` where
        the structure is diagonal or spherical). Moments that are all 0 give weight 0, mean 0 and
        the floor.

    Source: Dempster, Laird and Rubin 1977, section 4.3.

    Example: one component that has all the data, 0 and 2.
        >>> moments = features(torch.tensor([[0.0], [2.0]])).sum(0, keepdim=True)
        >>> m_step(moments, 1)
        (tensor([1.]), tensor([[1.]]), tensor([[[1.]]]))
    """
    weights = moments[:, 0] / moments[:, 0].sum()
    moments = moments / moments[:, :1].clamp_min(torch.finfo(moments.dtype).tiny)
    means, second = moments[:, 1 : d + 1], moments[:, d + 1 :]
    if structure == "diagonal":
        return weights, means, (second - means**2).clamp_min(floor)
    if structure == "spherical":
        variance = (second - means**2).mean(1, keepdim=True)
        return weights, means, variance.clamp_min(floor).expand_as(means).contiguous()
    i, j, _ = _upper(d)
    covariances = means.new_empty(len(means), d, d)
    covariances[:, i, j] = covariances[:, j, i] = second - means[:, i] * means[:, j]
    if structure == "tied":
        pooled = (weights[:, None, None] * covariances).sum(0)
        return weights, means, clamped(pooled, floor).expand_as(covariances)
    return weights, means, clamped(covariances, floor)


def clamped(covariance: Tensor, floor: float) -> Tensor:
    """V max(λ, floor) Vᵀ, where the symmetric matrix is V diag(λ) Vᵀ; batched.

    It maximises −log det Σ − tr(Σ⁻¹S) over Σ ⪰ floor·I: the trace is least when Σ has the
    eigenvectors of S (von Neumann), and −log s − λ/s falls for s > λ.

    Example:
        >>> clamped(torch.diag(torch.tensor([2.0, 0.0])), 0.5)
        tensor([[2.0000, 0.0000],
                [0.0000, 0.5000]])
    """
    values, vectors = torch.linalg.eigh(covariance)
    if (values >= floor).all():
        return covariance
    return (vectors * values.clamp_min(floor)[..., None, :]) @ vectors.mT


@catalogued(chapter="em", source="Pearson 1894; Dempster, Laird and Rubin 1977")
class GaussianMixture:
    """Mixture of K Gaussians, p(x) = Σ_k π_k N(x; μ_k, Σ_k), fitted by EM.

    Event ``()`` for data ``[n]``, ``(d,)`` for data ``[n, d]``. The likelihood of a mixture has no
    maximum: it grows without bound as one component shrinks to one point. The floor bounds every
    Σ_k from below, and then it has one. Inside, the data are centred and scaled, and pass through
    each step in blocks: memory is that of the data and one block.

    Args:
        k: K, number of components.
        covariance: ``"full"``; ``"tied"``, one matrix for all; ``"diagonal"``; ``"spherical"``.
        floor: least variance of a component in any direction, as a share of the data's:
            Σ_k ⪰ floor · diag(variance of each column), or for ``"spherical"`` floor times their
            mean. A constant column counts as one of variance 1. Between 1e-8 and 1; the
            log-likelihood is computed with an error of about 1e-16 / floor.
        tol: EM stops when an iteration gains less than this, nats an observation.
        max_iterations: EM stops after as many.
        starts: number of random starts, of which the one of highest likelihood is kept.

    After ``fit``: ``weights``, ``means`` and ``covariances``; ``history``, the log-likelihood an
    observation, first at the start, then after each iteration; ``converged``, whether ``tol`` was
    reached.

    Raises:
        ValueError: bad data, a parameter out of its range, or a start that is no mixture.

    Source: Pearson 1894, Phil. Trans. R. Soc. A 185, 71; Dempster, Laird and Rubin 1977.

    Example:
        >>> x = torch.tensor([-2.2, -1.8, 1.8, 2.2])
        >>> model = GaussianMixture(2).fit(x, start=torch.tensor([-1.0, 1.0]))
        >>> model.means.round(decimals=3), model.covariances.round(decimals=3)
        (tensor([-2.,  2.], dtype=torch.float64), tensor([0.0400, 0.0400], dtype=torch.float64))
        >>> round(model.history[-1], 3)
        -0.503
    """

    def __init__(
        self,
        k: int,
        covariance: str = "full",
        *,
        floor: float = 1e-6,
        tol: float = 1e-7,
        max_iterations: int = 1000,
        starts: int = 1,
    ):
        if covariance not in STRUCTURES:
            raise ValueError(f"Expected a covariance among {STRUCTURES}, got {covariance!r}.")
        if not 1e-8 <= floor <= 1:
            raise ValueError(f"Expected a floor between 1e-8 and 1, got {floor}.")
        if not tol >= 0:
            raise ValueError(f"Expected tol >= 0, got {tol}.")
        if not isinstance(max_iterations, int) or max_iterations < 0:
            raise ValueError(f"Expected max_iterations as an integer >= 0, got {max_iterations!r}.")
        self.k, self.starts = count(k, "k"), count(starts, "starts")
        self.covariance, self.floor = covariance, floor
        self.tol, self.max_iterations = tol, max_iterations

    def fit(
        self,
        x: Tensor,
        *,
        start: Tensor | Parameters | None = None,
        generator: torch.Generator | None = None,
    ) -> "GaussianMixture":
        """EM from a start until it gains no more than ``tol``.

        Args:
            x: data ``[n]`` or ``[n, d]``.
            start: means ``[K, *event]``, and then the weights are equal and each covariance is
                that of the data; or ``(weights, means, covariances)`` in the shapes of the
                attributes; by default means from :func:`plus_plus`, equal weights, and for each
                component the covariance within the cells of these means.
        """
        x = training_data(x)
        event, rows = tuple(x.shape[1:]), as_rows(x)
        if start is not None and self.starts > 1:
            raise ValueError(f"Expected one start where it is given, got starts={self.starts}.")
        centre, scale = _standard(rows, common=self.covariance == "spherical")
        if start is not None:
            start = self._given(start, event, centre, scale, rows)
        self.event, self.dtype, self.centre, self.scale = event, x.dtype, centre, scale
        rows = (rows - centre) / scale
        best = -math.inf
        for _ in range(self.starts):
            parameters, history, converged = self._run(rows, start or self._start(rows, generator))
            if history[-1] > best:
                best = history[-1]
                self._parameters, self.history, self.converged = parameters, history, converged
        self._theta = natural(*self._parameters)
        return self

    def _run(self, rows: Tensor, parameters: Parameters) -> tuple[Parameters, list[float], bool]:
        n, d = rows.shape
        log_scale = float(self.scale.log().sum())
        history: list[float] = []
        while True:
            theta = natural(*parameters)
            moments, total = torch.zeros_like(theta), 0.0
            for block in self._blocks(rows, theta.numel() // len(theta)):
                phi = features(block, self.covariance)
                log_p, r = e_step(phi, theta)
                moments.addmm_(r.T, phi)
                total += float(log_p.sum())
            history.append(total / n - log_scale)
            converged = len(history) > 1 and history[-1] - history[-2] < self.tol
            if converged or len(history) > self.max_iterations:
                return parameters, history, converged
            parameters = m_step(moments, d, self.covariance, self.floor)

    def log_prob(self, x: Tensor) -> Tensor:
        """log Σ_k π_k N(x; μ_k, Σ_k) in nats, ``[batch]``."""
        x = query_points(x, self.event)
        log_p = [log_p for log_p, _ in self._evaluate(x)]
        return (torch.cat(log_p) - self.scale.log().sum()).to(x.dtype)

    def responsibilities(self, x: Tensor) -> Tensor:
        """Posterior probability of each component given x, ``[batch, K]``."""
        x = query_points(x, self.event)
        return torch.cat([r for _, r in self._evaluate(x)]).to(x.dtype)

    def sample(self, n: int, *, generator: torch.Generator | None = None) -> Tensor:
        """A component with probability π_k, then a draw from it, ``[n, *event]``."""
        weights, means, covariances = self._parameters
        u = torch.randn(sample_size(n), means.shape[1], dtype=torch.float64, generator=generator)
        edges = weights.cumsum(0)
        ticket = torch.rand(n, dtype=torch.float64, generator=generator) * edges[-1]
        component = torch.searchsorted(edges, ticket, right=True).clamp_max(self.k - 1)
        for k in component.unique().tolist():
            mine = component == k
            if covariances.ndim == 2:
                u[mine] = means[k] + covariances[k].sqrt() * u[mine]
            else:
                u[mine] = means[k] + u[mine] @ torch.linalg.cholesky(covariances[k]).T
        return (self.centre + self.scale * u).reshape(n, *self.event).to(self.dtype)

    def bic(self, x: Tensor) -> float:
        """Bayesian information criterion, −2 log L + parameters · log n; less is better.

        Source: Schwarz 1978, Ann. Statist. 6, 461.
        """
        x = training_data(x)
        return -2 * float(self.log_prob(x).double().sum()) + self.parameters * math.log(len(x))

    @property
    def weights(self) -> Tensor:
        """π, ``[K]``."""
        return self._parameters[0]

    @property
    def means(self) -> Tensor:
        """μ, ``[K, *event]``."""
        return (self.centre + self.scale * self._parameters[1]).reshape(self.k, *self.event)

    @property
    def covariances(self) -> Tensor:
        """Σ: full ``[K, d, d]``, tied ``[d, d]``, diagonal ``[K, d]``, spherical ``[K]``.

        For event ``()`` they are variances ``[K]``, tied one number.
        """
        covariances, scale = self._parameters[2], self.scale
        if self.covariance == "spherical":
            return covariances[:, 0] * scale[0] ** 2
        if self.covariance == "diagonal":
            return (covariances * scale**2).reshape(self.k, *self.event)
        covariances = covariances * scale[:, None] * scale
        covariances = covariances[0] if self.covariance == "tied" else covariances
        return covariances if self.event else covariances[..., 0, 0]

    @property
    def parameters(self) -> int:
        """Number of free parameters: K − 1 weights, K·d means, and the covariances."""
        d = len(self.scale)
        shape = {
            "full": self.k * d * (d + 1) // 2,
            "tied": d * (d + 1) // 2,
            "diagonal": self.k * d,
            "spherical": self.k,
        }
        return self.k - 1 + self.k * d + shape[self.covariance]

    def _evaluate(self, x: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        # Beyond 1e100 standard deviations squares overflow; there log p is about -1e200 anyhow.
        rows = ((as_rows(x) - self.centre) / self.scale).clamp(-1e100, 1e100)
        for block in self._blocks(rows, self._theta.shape[1]):
            yield e_step(features(block, self.covariance), self._theta)

    def _blocks(self, rows: Tensor, p: int) -> tuple[Tensor, ...]:
        return rows.split(max(256, BLOCK // (p + self.k)))

    def _start(self, rows: Tensor, generator: torch.Generator | None) -> Parameters:
        means = plus_plus(rows, self.k, generator=generator)
        labels = squared_distances(rows, means).argmin(1)
        within = features(rows - means[labels], self.covariance).mean(0, keepdim=True)
        within[:, 1 : rows.shape[1] + 1] = 0  # about the centre of the cell, not about the mean
        return self._equal(means, m_step(within, rows.shape[1], self.covariance, self.floor)[2])

    def _equal(self, means: Tensor, covariance: Tensor) -> Parameters:
        weights = torch.full((self.k,), 1 / self.k, dtype=torch.float64)
        return weights, means, covariance.expand(self.k, *covariance.shape[1:]).contiguous()

    def _given(
        self,
        start: Tensor | Parameters,
        event: tuple[int, ...],
        centre: Tensor,
        scale: Tensor,
        rows: Tensor,
    ) -> Parameters:
        """A start in the units of the data, checked, in the units of the fit."""
        d = len(scale)
        if isinstance(start, Tensor):
            means = (as_rows(starting_means(start, self.k, event)) - centre) / scale
            moments = features((rows - centre) / scale, self.covariance).mean(0, keepdim=True)
            return self._equal(means, m_step(moments, d, self.covariance, self.floor)[2])
        if len(start) != 3:
            raise ValueError("Expected start as means or as (weights, means, covariances).")
        weights, means, covariances = start
        weights = query_points(weights, ()).double()
        if len(weights) != self.k or (weights < 0).any() or abs(weights.sum() - 1) > 1e-6:
            raise ValueError(f"Expected {self.k} weights >= 0 that sum to one, got {weights}.")
        means = (as_rows(starting_means(means, self.k, event)) - centre) / scale
        covariances = torch.as_tensor(covariances).double()
        axes = {"full": (self.k, *event, *event), "tied": (*event, *event)}
        axes |= {"diagonal": (self.k, *event), "spherical": (self.k,)}
        if tuple(covariances.shape) != axes[self.covariance] or not covariances.isfinite().all():
            raise ValueError(
                f"Expected finite {self.covariance} covariances of shape {axes[self.covariance]}, "
                f"got shape {tuple(covariances.shape)}."
            )
        if self.covariance in ("diagonal", "spherical"):
            variances = covariances.reshape(self.k, -1) / scale**2
            return weights, means, variances.clamp_min(self.floor)
        covariances = covariances.reshape(-1, d, d).expand(self.k, d, d)
        if not torch.allclose(covariances, covariances.mT):
            raise ValueError("Expected symmetric covariances.")
        return weights, means, clamped(covariances / scale[:, None] / scale, self.floor)


def binned_log_prob(mixture: GaussianMixture, low: Tensor, high: Tensor) -> Tensor:
    """Exact log-probability of boxes under a mixture with diagonal covariances.

    P(low ≤ x ≤ high) = Σ_k π_k Πⱼ [Φ((highⱼ − μ_kⱼ)/σ_kⱼ) − Φ((lowⱼ − μ_kⱼ)/σ_kⱼ)]. It makes a
    mixture a distribution on rounded data: a grey value v is the cell from v − ½ to v + ½, and the
    outermost cells reach to ±∞, so that the probabilities of all images sum to one.

    Args:
        mixture: fitted, ``"diagonal"`` or ``"spherical"`` (on the line any).
        low, high: corners ``[batch, *event]``, low < high, possibly infinite.

    Returns:
        nats, ``[batch]``.

    Raises:
        ValueError: another covariance, shapes that do not fit, or no low < high.

    Example:
        >>> model = GaussianMixture(1).fit(torch.tensor([-1.0, 1.0]))
        >>> cell = binned_log_prob(model, torch.tensor([-1.0]), torch.tensor([1.0]))
        >>> round(float(cell.exp()), 4)
        0.6827
    """
    if mixture.event and mixture.covariance in ("full", "tied"):
        raise ValueError(
            f'Expected a mixture with covariance "diagonal" or "spherical", got '
            f"{mixture.covariance!r}: the probability of a box is a product only then."
        )
    low, high = torch.as_tensor(low).double(), torch.as_tensor(high).double()
    if low.shape != high.shape or tuple(low.shape[1:]) != mixture.event or low.ndim == 0:
        raise ValueError(
            f"Expected corners of shape (batch, {', '.join(map(str, mixture.event))}), got "
            f"{tuple(low.shape)} and {tuple(high.shape)}."
        )
    if not (low < high).all():
        raise ValueError("Expected low < high in every coordinate of every box.")
    weights, means, variances = mixture._parameters
    deviations = variances.reshape(means.shape).sqrt()
    a, b = ((as_rows(corner) - mixture.centre) / mixture.scale for corner in (low, high))
    log_joint = [
        weights[k].log()
        + log_interval((a - means[k]) / deviations[k], (b - means[k]) / deviations[k]).sum(1)
        for k in range(mixture.k)
    ]
    return torch.stack(log_joint, 1).logsumexp(1)


def log_interval(a: Tensor, b: Tensor) -> Tensor:
    """log(Φ(b) − Φ(a)) for a < b, to full precision in both tails.

    With both ends on the left, where log Φ is exact, log Φ(b) + log(1 − e^(log Φ(a) − log Φ(b))).

    Example:
        >>> round(float(log_interval(torch.tensor(30.0), torch.tensor(31.0))), 2)
        -454.32
    """
    right = a > 0
    a, b = torch.where(right, -b, a), torch.where(right, -a, b)
    top = torch.special.log_ndtr(b)
    ratio = torch.special.log_ndtr(a) - top
    ratio = ratio.masked_fill(top == -math.inf, -1.0)  # beyond 1e154 nothing is left to divide
    return top + torch.log(-torch.expm1(ratio))


@cache
def _upper(d: int) -> tuple[Tensor, Tensor, Tensor]:
    """Rows and columns of the entries i ≤ j of a matrix, and how often each stands in it."""
    i, j = torch.triu_indices(d, d)
    return i, j, torch.where(i == j, 1, 2)


def _standard(rows: Tensor, common: bool) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each column; a constant column has deviation 1.

    Args:
        common: one deviation for all columns, the root of the mean variance.
    """
    low, width = rows.amin(0), rows.amax(0) - rows.amin(0)
    unit = torch.where(width > 0, width, 1.0)
    shares = (rows - low) / unit  # in [0, 1]: nothing overflows, a constant column is 0 exactly
    deviation = unit * shares.std(0, correction=0)
    if common:
        deviation = deviation.square().mean().sqrt().expand_as(deviation)
    scale = torch.where(deviation > 0, deviation, 1.0)
    if not ((scale > 1e-100) & (scale < 1e100)).all():
        raise ValueError(
            "Expected columns with standard deviations between 1e-100 and 1e100, got "
            f"{scale.min():.3g} to {scale.max():.3g}. Rescale the data."
        )
    return low + unit * shares.mean(0), scale
