"""Monte Carlo EM: an E step by draws, for posteriors from which one can draw but not sum."""

import torch
from torch import Tensor

from genlab.em import GaussianMixture, e_step, features, m_step, natural
from genlab.em.kmeans import count
from genlab.em.mixture import Parameters
from genlab.models import as_rows, training_data


def monte_carlo_em(
    x: Tensor,
    k: int,
    *,
    draws: int,
    iterations: int = 100,
    start: Tensor | Parameters | None = None,
    generator: torch.Generator | None = None,
) -> GaussianMixture:
    """EM for a mixture of Gaussians whose responsibilities are counts of draws from the posterior.

    r_k(x) = (number of the m draws z ~ p(z | x) that are k) / m. With m = 1 each point is put into
    one component at random, which is stochastic EM. The likelihood may go down: with a fixed m the
    parameters end up moving about EM's, at a distance of order 1/√m; only with m that grows do they
    come to rest. A mixture needs none of this, which is why the result can be judged here.

    Args:
        x: data ``[n]`` or ``[n, d]``.
        k: number of components.
        draws: m, draws of z for each point and iteration.
        iterations: number of E and M steps.
        start: as in :meth:`genlab.em.GaussianMixture.fit`.

    Returns:
        the fitted mixture, full covariances; ``history`` is the log-likelihood an observation at
        the start and after each iteration.

    Raises:
        ValueError: bad data or numbers, or a component that no point drew: take more draws.

    Source: Wei and Tanner 1990, J. Am. Stat. Assoc. 85, 699; for m = 1 Celeux and Diebolt 1985.

    Example:
        >>> g = torch.Generator().manual_seed(0)
        >>> x = torch.tensor([-2.2, -1.8, 1.8, 2.2])
        >>> model = monte_carlo_em(x, 2, draws=50, start=torch.tensor([-1.0, 1.0]), generator=g)
        >>> model.means.round(decimals=3)
        tensor([-2.,  2.], dtype=torch.float64)
    """
    x = training_data(x)
    count(draws, "draws"), count(iterations, "iterations")
    model = GaussianMixture(k, max_iterations=0).fit(x, start=start, generator=generator)
    centre, scale, parameters = model.centre, model.scale, model._parameters
    phi = features((as_rows(x) - centre) / scale)
    history: list[float] = []
    while True:
        log_p, r = e_step(phi, natural(*parameters))
        history.append(float(log_p.mean() - scale.log().sum()))
        if len(history) > iterations:
            break
        z = torch.multinomial(r, draws, replacement=True, generator=generator)
        counts = torch.zeros_like(r).scatter_add_(1, z, torch.ones_like(z, dtype=r.dtype))
        if (counts.sum(0) == 0).any():
            raise ValueError(
                f"No point drew component {int(counts.sum(0).argmin())}: nothing is left to fit it "
                f"to. Take more than {draws} draws, or fewer than {k} components."
            )
        parameters = m_step((counts / draws).T @ phi, len(scale))
    weights, means, covariances = parameters
    means = (centre + scale * means).reshape(k, *model.event)
    covariances = (covariances * scale[:, None] * scale).reshape(k, *2 * model.event)
    model.fit(x, start=(weights, means, covariances))
    model.history = history
    return model
