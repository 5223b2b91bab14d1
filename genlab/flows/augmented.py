"""Auxiliary variables: a flow over (x, e) with noise e at the side of x bounds log p(x) only.

To double x by noise is not the same as to cut it into halves. With halves the density of x is
exact; with noise the flow gives log p(x, e), and p(x) = ∫ p(x, e) de has no short form.
"""

import torch
from torch import Generator, Tensor

from genlab.em.kmeans import count
from genlab.flows.flow import Flow, StandardNormal
from genlab.flows.noise import NoisyFlow
from genlab.flows.transforms import Pair
from genlab.models import catalogued, query_points, sample_size

__all__ = ["AugmentedFlow"]


@catalogued(chapter="flows", source="Huang, Dinh and Courville 2020")
class AugmentedFlow(NoisyFlow):
    """A flow over d numbers of data followed by k of noise e ~ N(0, I).

    .. math:: \\log p(x) = \\log \\mathrm E_{q(e)} \\frac{p(x, e)}{q(e)}
              \\ge \\mathrm E_{q(e)} [\\log p(x, e) - \\log q(e)]

    Args:
        flow: over vectors of d + k entries.
        noise: k, at least 1 and less than d + k.

    Raises:
        ValueError: no such k; data of another shape than ``(batch, d)``, or not finite.

    Source: Huang, Dinh and Courville 2020, arXiv:2002.07101, eq. 5.

    Example:
        >>> from genlab.flows import NICE
        >>> rng = torch.Generator().manual_seed(0)
        >>> model = AugmentedFlow(NICE(3, generator=rng), noise=1)
        >>> x = model.sample(4, generator=rng)
        >>> x.shape, model.elbo(x, generator=rng).shape
        (torch.Size([4, 2]), torch.Size([4]))
    """

    def __init__(self, flow: Flow, noise: int = 1) -> None:
        super().__init__(flow)
        total = flow.event[0] if len(flow.event) == 1 else 0
        if not 0 < count(noise, "noise") < total:
            raise ValueError(
                f"Expected a flow over vectors and fewer noise entries than it has, got the event "
                f"{flow.event} and noise={noise}."
            )
        self.event = (total - noise,)
        self.noise = StandardNormal((noise,))

    def completed(self, x: Tensor, k: int, *, generator: Generator | None = None) -> Pair:
        """(x, e) at k draws of e ~ N(0, I) for each x, and log q(e)."""
        x = query_points(x, self.event)
        e = self.noise.sample(k * len(x), generator=generator)
        y = torch.cat([x.to(e.dtype).repeat(k, 1), e], 1)
        draws = k, len(x)
        return y.reshape(*draws, *self.flow.event), self.noise.log_prob(e).reshape(draws)

    def sample(self, n: int, *, generator: Generator | None = None) -> Tensor:
        """(x, e) from the flow, and e forgotten: ``[n, d]``."""
        return self.flow.sample(sample_size(n), generator=generator)[:, : self.event[0]]
