"""What a normal distribution says of the rest when a part of it is known."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.distributions import MultivariateNormal


def conditional_gaussian(
    mean: Tensor, covariance: Tensor, known: Sequence[int] | Tensor, values: Tensor
) -> MultivariateNormal:
    """The law of the other columns of N(μ, Σ), given the values of some.

    It is normal with mean μ_u + Σ_uk Σ_kk⁻¹ (x_k − μ_k) and covariance
    Σ_uu − Σ_uk Σ_kk⁻¹ Σ_ku, where k are the known columns and u the others. The covariance does not
    depend on the values.

    Args:
        mean: μ ``[d]``.
        covariance: Σ ``[d, d]``, symmetric.
        known: indices of the known columns, k of them, 1 ≤ k < d.
        values: x_k ``[k]``, or one row a case ``[batch, k]``, in the order of ``known``.

    Returns:
        The law of the d − k other columns, in their order; ``batch_shape`` is ``()`` or
        ``(batch,)``.

    Raises:
        ValueError: shapes that do not fit, numbers that are NaN or infinite, a covariance that is
            not symmetric, columns out of range or named twice, or a singular covariance.

    Source: Bishop 2006, Pattern Recognition and Machine Learning, eq. 2.81–2.82.

    Example:
        >>> covariance = torch.tensor([[4.0, 2.0], [2.0, 2.0]])
        >>> p = conditional_gaussian(torch.zeros(2), covariance, [1], torch.tensor([3.0]))
        >>> p.mean, p.covariance_matrix
        (tensor([3.]), tensor([[2.]]))
    """
    mean, covariance, values = (
        t if t.is_floating_point() else t.double()
        for t in map(torch.as_tensor, (mean, covariance, values))
    )
    known = torch.as_tensor(known)
    unknown = _others(mean, covariance, known, values)
    known = known.long()  # eight-bit integers would be taken for a mask
    dtype = torch.promote_types(torch.promote_types(mean.dtype, covariance.dtype), values.dtype)
    mean, covariance, values = (t.to(dtype) for t in (mean, covariance, values))
    S_uu, S_uk = covariance[unknown][:, unknown], covariance[unknown][:, known]
    factor = _cholesky(covariance[known][:, known], "known")
    gain = torch.cholesky_solve(S_uk.T, factor).T
    conditional = S_uu - gain @ S_uk.T
    _cholesky(conditional, "other", S_uu)
    shifted = mean[unknown] + (values - mean[known]) @ gain.T
    return MultivariateNormal(shifted, (conditional + conditional.T) / 2)


def _others(mean: Tensor, covariance: Tensor, known: Tensor, values: Tensor) -> Tensor:
    """The columns that are not known; refuses what does not fit."""
    d = len(mean) if mean.ndim == 1 else 0
    if d < 2 or tuple(covariance.shape) != (d, d):
        raise ValueError(
            "Expected a mean of shape (d,) with d >= 2 and a covariance of shape (d, d), got "
            f"{tuple(mean.shape)} and {tuple(covariance.shape)}."
        )
    if not all(t.isfinite().all() for t in (mean, covariance, values)):
        raise ValueError("The mean, the covariance or the values hold NaN or infinite numbers.")
    if not torch.allclose(covariance, covariance.T, rtol=1e-5, atol=1e-8 * covariance.abs().max()):
        raise ValueError("Expected a symmetric covariance. Take (S + S.T) / 2.")
    whole = not (known.is_floating_point() or known.dtype == torch.bool)
    named = set(known.flatten().tolist())
    if (
        not whole
        or known.ndim != 1
        or not 1 <= len(known) < d
        or len(named) < len(known)
        or not named <= set(range(d))
    ):
        raise ValueError(
            f"Expected the indices of 1 to {d - 1} different columns out of 0 to {d - 1}, "
            f"got {known.tolist()}."
        )
    if values.ndim not in (1, 2) or values.shape[-1] != len(known):
        raise ValueError(
            f"Expected one value for each of the {len(known)} known columns, shape "
            f"({len(known)},) or (batch, {len(known)}), got {tuple(values.shape)}."
        )
    return torch.tensor([j for j in range(d) if j not in named])


def _cholesky(matrix: Tensor, which: str, scale: Tensor | None = None) -> Tensor:
    """The Cholesky factor, refused where it rests on rounding errors."""
    factor, failed = torch.linalg.cholesky_ex(matrix)
    # The square of a pivot is what a column varies when the ones before it are known.
    left = factor.diagonal() ** 2
    before = (matrix if scale is None else scale).diagonal()
    if failed or (left <= 100 * torch.finfo(matrix.dtype).eps * before).any():
        raise ValueError(
            f"The covariance of the {which} columns is singular: one is constant or follows from "
            "the rest. Shrink it towards a multiple of the identity, (1 − a) S + a s I with s the "
            "mean variance and a small a > 0, or drop the column."
        )
    return factor
