"""The likelihood of a mixture by gradient ascent: EM is convenient, it is not needed."""

import numpy as np
import torch
from scipy.optimize import minimize
from torch import Tensor
from torch.distributions import Categorical, MixtureSameFamily, MultivariateNormal

from genlab.em.kmeans import count
from genlab.em.mixture import GaussianMixture, Parameters
from genlab.models import as_rows, training_data


def gradient_ascent(
    x: Tensor,
    k: int,
    *,
    start: Tensor | Parameters | None = None,
    steps: int = 500,
    generator: torch.Generator | None = None,
) -> GaussianMixture:
    """Maximise the log-likelihood of a mixture of Gaussians by L-BFGS on free parameters.

    π = softmax(a) and Σ_k = L_k L_kᵀ with L_k lower triangular and log of its diagonal free: every
    value of the parameters is a mixture, so no constraint is left. Nothing keeps a component from
    shrinking to a point either; the mixture returned has its covariances clamped at 1e-8.

    Args:
        x: data ``[n]`` or ``[n, d]``.
        k: number of components.
        start: as in :meth:`GaussianMixture.fit`.
        steps: largest number of steps, each with a line search.

    Returns:
        a fitted mixture with full covariances; ``history`` is the log-likelihood an observation
        before the first step and after each.

    Raises:
        ValueError: as :meth:`GaussianMixture.fit`, a weight of 0 to start from, or no step.

    Source: Byrd, Lu, Nocedal and Zhu 1995, SIAM J. Sci. Comput. 16, 1190 (L-BFGS).

    Example:
        >>> g = torch.Generator().manual_seed(0)
        >>> x = torch.randn(400, dtype=torch.float64, generator=g)
        >>> x[:150] += 4
        >>> start = torch.tensor([0.0, 1.0])
        >>> round(gradient_ascent(x, 2, start=start).history[-1], 4)
        -2.025
        >>> round(GaussianMixture(2).fit(x, start=start).history[-1], 4)
        -2.025
    """
    x = training_data(x)
    count(steps, "steps")
    model = GaussianMixture(k, floor=1e-8, max_iterations=0)
    model.fit(x, start=start, generator=generator)
    centre, scale = model.centre, model.scale
    rows = (as_rows(x) - centre) / scale
    weights, means, covariances = model._parameters
    if not (weights > 0).all():
        raise ValueError("Expected weights > 0 to start from: no step leaves log 0.")
    factors = torch.linalg.cholesky(covariances)
    log_diagonal = factors.diagonal(dim1=1, dim2=2).log()
    start = [weights.log(), means, factors.tril(-1), log_diagonal]

    def mixture(free: Tensor) -> MixtureSameFamily:
        parts = free.split([part.numel() for part in start])
        a, means, below, log_diagonal = (
            p.reshape(s.shape) for p, s in zip(parts, start, strict=True)
        )
        factors = below.tril(-1) + log_diagonal.exp().diag_embed()
        components = MultivariateNormal(means, scale_tril=factors, validate_args=False)
        return MixtureSameFamily(Categorical(logits=a), components)

    def loss(free: np.ndarray) -> tuple[float, np.ndarray]:
        leaf = torch.from_numpy(free).requires_grad_()
        value = -mixture(leaf).log_prob(rows).mean()
        (slope,) = torch.autograd.grad(value, leaf)
        return value.item(), slope.numpy()

    free = torch.cat([part.flatten() for part in start]).numpy()
    log_scale = float(scale.log().sum())
    history = [-loss(free)[0] - log_scale]
    found = minimize(
        loss,
        free,
        jac=True,
        method="L-BFGS-B",
        callback=lambda intermediate_result: history.append(-intermediate_result.fun - log_scale),
        options={"maxiter": steps, "ftol": 1e-13, "gtol": 1e-8},
    )
    best = mixture(torch.from_numpy(found.x))
    covariances = best.component_distribution.covariance_matrix * scale[:, None] * scale
    parameters = (
        best.mixture_distribution.probs,
        (centre + scale * best.component_distribution.mean).reshape(k, *model.event),
        covariances if model.event else covariances[:, 0, 0],
    )
    model.fit(x, start=parameters)
    model.history = history
    return model
