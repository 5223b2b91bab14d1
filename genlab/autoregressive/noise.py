"""A good likelihood and bad samples: a model of which 99 draws in 100 are noise.

m = (1 − ε) p + ε q is at least (1 − ε) p everywhere, so log m ≥ log p + log(1 − ε): with ε = 0.99
the likelihood of any data loses at most log 100 = 4.6 nats, in any dimension.
"""

import math
from collections.abc import Sequence

import torch
from torch import Generator, Tensor

from genlab.em.kmeans import count
from genlab.flows.dequantise import check_levels
from genlab.models import Density, catalogued, sample_size

__all__ = ["NoiseMixture", "UniformNoise"]


@catalogued(chapter="autoregressive", source="Theis, van den Oord and Bethge 2016")
class NoiseMixture:
    """m(x) = (1 − share) p(x) + share · q(x): draws of p, most of which are replaced by noise.

    Args:
        model: p.
        noise: q, of the same event.
        share: of the draws that are noise, strictly between 0 and 1.

    Raises:
        ValueError: a share that is not between 0 and 1, or draws of two shapes.

    Source: Theis, van den Oord and Bethge 2016, arXiv:1511.01844, section 3.2.

    Example: what the likelihood can lose at most.
        >>> from genlab.autoregressive import RNNDensity
        >>> model = RNNDensity(9, 4, generator=torch.Generator().manual_seed(0))
        >>> mixture = NoiseMixture(model, UniformNoise(9, (4,)), share=0.99)
        >>> round(mixture.most_lost, 3)
        4.605
    """

    def __init__(self, model: Density, noise: Density, share: float = 0.99) -> None:
        if not 0 < share < 1:
            raise ValueError(f"Expected a share between 0 and 1, got {share!r}.")
        shapes = [tuple(part.sample(1, generator=Generator()).shape[1:]) for part in (model, noise)]
        if shapes[0] != shapes[1]:
            raise ValueError(f"The model draws {shapes[0]} and the noise {shapes[1]}.")
        self.model, self.noise, self.share = model, noise, share

    @property
    def most_lost(self) -> float:
        """−log(1 − share), nats: log m is nowhere further below log p."""
        return -math.log1p(-self.share)

    def log_prob(self, x: Tensor) -> Tensor:
        """log m(x) in nats, ``[batch]``."""
        kept, noise = self.model.log_prob(x), self.noise.log_prob(x)
        return torch.logaddexp(kept - self.most_lost, noise + math.log(self.share))

    @torch.no_grad()
    def sample(self, n: int, *, generator: Generator | None = None) -> Tensor:
        """n draws, each with probability ``share`` from the noise."""
        x = self.model.sample(sample_size(n), generator=generator)
        noise = self.noise.sample(n, generator=generator).to(x)
        chosen = torch.rand(n, generator=generator, device=x.device) < self.share
        return torch.where(chosen.reshape(n, *[1] * (x.ndim - 1)), noise, x)


@catalogued(chapter="autoregressive", source="Theis, van den Oord and Bethge 2016")
class UniformNoise:
    """Every one of the levels^d arrays of symbols 0 … levels − 1 is as probable as another.

    Args:
        levels: K.
        event: shape, with d entries.

    Raises:
        ValueError: levels below 1; points of another shape or with other values.

    Source: Theis, van den Oord and Bethge 2016, arXiv:1511.01844, section 3.2.

    Example:
        >>> UniformNoise(2, (3,)).log_prob(torch.tensor([[0, 1, 1]])).exp()
        tensor([0.1250], dtype=torch.float64)
    """

    def __init__(self, levels: int, event: Sequence[int]) -> None:
        self.levels = count(levels, "levels")
        self.event = tuple(count(size, "a size of the event") for size in event)

    def log_prob(self, x: Tensor) -> Tensor:
        """−d log K in nats, ``[batch]``."""
        x = check_levels(x, self.levels, self.event)
        return x.new_full((len(x),), -math.prod(self.event) * math.log(self.levels))

    def sample(self, n: int, *, generator: Generator | None = None) -> Tensor:
        """int64 ``[n, *event]``."""
        return torch.randint(self.levels, (sample_size(n), *self.event), generator=generator)
