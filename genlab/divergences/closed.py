"""Closed forms between two distributions, one small table by divergence and type."""

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.distributions import (
    Bernoulli,
    Categorical,
    Distribution,
    MultivariateNormal,
    Normal,
    kl_divergence,
)
from torch.nn.functional import softplus


def closed_form(name: str, p: Distribution, q: Distribution) -> Tensor:
    """The divergence of this name by its closed form, ``[*batch]``.

    Raises:
        NotImplementedError: none is known here.
    """
    form = CLOSED_FORMS.get((name, type(p), type(q)))
    if form is None and name == "kl":
        form = _torch_kl
    if form is None:
        raise _no_closed_form(name, type(p).__name__, type(q).__name__)
    return form(p, q)


def closed_entropy(p: Distribution) -> Tensor:
    """The entropy of a distribution by torch's closed form, ``[*batch]``."""
    try:
        return p.entropy()
    except NotImplementedError:
        raise _no_closed_form("entropy", type(p).__name__) from None


def finite_law(p: Distribution) -> Tensor | None:
    """log-probabilities ``[*batch, m]`` of a law on m values; None for any other law.

    From the argument that the law was built with: torch clamps whichever of probs and logits it
    derives from the other, so that a probability of 1e-20 would come back as 1e-7. Torch keeps
    that argument as ``_param``; the derived one is an attribute too, once it has been asked for.
    """
    if not isinstance(p, Categorical | Bernoulli):
        return None
    by_logits = p._param is vars(p).get("logits")
    if isinstance(p, Categorical):
        return p.logits if by_logits else p.probs.log()
    if by_logits:
        return torch.stack([-softplus(p.logits), -softplus(-p.logits)], -1)
    return torch.stack([torch.log1p(-p.probs), p.probs.log()], -1)


def _no_closed_form(name: str, *types: str) -> NotImplementedError:
    return NotImplementedError(
        f"No closed form of {name} for {' and '.join(types)}. Draw: "
        "genlab.divergences.estimate takes anything with sample and log_prob; or integrate: "
        "genlab.divergences.on_grid takes two log-densities on a grid of the line."
    )


def _torch_kl(p: Distribution, q: Distribution) -> Tensor:
    try:
        value = kl_divergence(p, q)
    except NotImplementedError:
        raise _no_closed_form("kl", type(p).__name__, type(q).__name__) from None
    if value.isnan().any():
        raise ValueError(
            f"torch's KL of {type(p).__name__} and {type(q).__name__} is NaN for "
            f"{int(value.isnan().sum())} of {value.numel()} pairs. Look for parameters at the edge "
            "of their range (a rate of 0), or that are NaN."
        )
    return value


def _tv_normal(p: Normal, q: Normal) -> Tensor:
    r"""|P(A) − Q(A)| with A the interval between the two points where the densities are equal.

    In units of the narrower law, with r ≤ 1 the ratio of widths and d the scaled shift, they solve
    (1 − r²) z² − 2rd z − (d² − 2 log r) = 0. For equal widths one of them is at infinity, and
    TV = 2Φ(|d|/2) − 1.
    """
    narrow_first = p.scale <= q.scale
    mean = torch.where(narrow_first, p.loc, q.loc), torch.where(narrow_first, q.loc, p.loc)
    scale = torch.minimum(p.scale, q.scale), torch.maximum(p.scale, q.scale)
    r, d = scale[0] / scale[1], (mean[0] - mean[1]) / scale[1]
    a, c = (1 - r) * (1 + r), 2 * (scale[1].log() - scale[0].log())
    larger = r * d + torch.copysign((d**2 + a * c).sqrt(), d)  # no cancellation
    z1, z2 = larger / a, -(d**2 + c) / larger
    inside = torch.special.ndtr(z1) - torch.special.ndtr(z2)
    wide = torch.special.ndtr(r * z1 + d) - torch.special.ndtr(r * z2 + d)
    return (inside - wide).abs().masked_fill(larger == 0, 0.0)  # the same law: no crossing


def _hellinger_normal(p: Normal, q: Normal) -> Tensor:
    """−2 expm1(log BC), with BC = √(2στ/(σ² + τ²)) exp(−(μ − ν)²/(4(σ² + τ²)))."""
    ratio = p.scale / q.scale
    log_bc = -0.5 * ((ratio + 1 / ratio) / 2).log()
    log_bc = log_bc - ((p.loc - q.loc) / torch.hypot(p.scale, q.scale)) ** 2 / 4
    return -2 * torch.expm1(log_bc)


def _hellinger_multivariate(p: MultivariateNormal, q: MultivariateNormal) -> Tensor:
    """As on the line, with determinants: BC = |Σ|^¼ |Τ|^¼ |M|^−½ exp(−⅛ δᵀM⁻¹δ), M = ½(Σ + Τ)."""
    middle = torch.linalg.cholesky((p.covariance_matrix + q.covariance_matrix) / 2)

    def half_log_det(factor: Tensor) -> Tensor:
        return factor.diagonal(dim1=-2, dim2=-1).log().sum(-1)

    delta = torch.linalg.solve_triangular(middle, (p.loc - q.loc)[..., None], upper=False)
    log_bc = (half_log_det(p.scale_tril) + half_log_det(q.scale_tril)) / 2 - half_log_det(middle)
    return -2 * torch.expm1(log_bc - delta.square().sum((-2, -1)) / 8)


def _tv_multivariate(p: MultivariateNormal, q: MultivariateNormal) -> Tensor:
    """2Φ(δ/2) − 1 with δ the Mahalanobis distance of the means; the covariances must be equal."""
    if not torch.equal(p.covariance_matrix, q.covariance_matrix):
        raise _no_closed_form("total_variation", *2 * ["MultivariateNormal of other covariances"])
    shift = (p.loc - q.loc)[..., None]
    delta = torch.linalg.solve_triangular(p.scale_tril, shift, upper=False).norm(dim=(-2, -1))
    return torch.special.erf(delta / math.sqrt(8))


# What is not here and torch has (KL of most pairs) comes from torch.
CLOSED_FORMS: dict[tuple[str, type, type], Callable[[Distribution, Distribution], Tensor]] = {
    ("total_variation", Normal, Normal): _tv_normal,
    ("total_variation", MultivariateNormal, MultivariateNormal): _tv_multivariate,
    ("squared_hellinger", Normal, Normal): _hellinger_normal,
    ("squared_hellinger", MultivariateNormal, MultivariateNormal): _hellinger_multivariate,
}
