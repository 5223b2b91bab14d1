"""Generative stochastic networks: corrupt, reconstruct, and again; where the chain stays is p_data.

Learning p(x) is hard because it has many modes. p(x | x̃), given a corrupted x̃ nearby, has few: it
is nearly a regression. A step is two draws, from C(x̃ | x), which is known, and from P(x | x̃),
which is learnt; no density, no energy and no Z appears.
"""

from typing import Protocol

import torch
from torch import Generator, Tensor, nn
from torch.distributions import Distribution

from genlab.divergences import probabilities
from genlab.em.kmeans import count
from genlab.models import catalogued, sample_size, training_data
from genlab.nets import weights_from

__all__ = [
    "Denoiser",
    "GenerativeStochasticNetwork",
    "bayes_reconstruction",
    "walkback_corruption",
    "walkback_loss",
]


class Denoiser(Protocol):
    """Corrupts x, and says what law x has given what became of it."""

    def corrupt(self, x: Tensor, generator: Generator | None = None) -> Tensor: ...

    def reconstruct(self, x: Tensor) -> Distribution: ...


@catalogued(chapter="early", source="Bengio, Laufer, Alain and Yosinski 2014")
class GenerativeStochasticNetwork(nn.Module):
    """The chain x̃ ~ C(x̃ | x), x ~ P(x | x̃) as a sampler: implicit, for its law is nowhere written.

    If P is the conditional law of x given x̃ under p_data and C, then p_data is stationary, and
    where the chain can reach everything it is the only such law.

    Args:
        denoiser: C and P, a :class:`DenoisingAutoencoder` or :class:`BinaryDenoiser`.
        start: rows at which chains begin, ``[m, d]``, for instance some of the data.
        steps: of each chain before its x is a draw.

    Raises:
        ValueError: no rows to start at, or no step.

    Source: Bengio, Laufer, Alain and Yosinski 2014, arXiv:1306.1091; Bengio, Yao, Alain and Vincent
        2013, arXiv:1305.6663.

    Example: data N(0, 1), the best denoiser, 500 steps from far away.
        >>> from genlab.early.denoising import DenoisingAutoencoder
        >>> net = nn.Linear(1, 1)
        >>> with torch.no_grad():
        ...     _ = net.weight.fill_(-0.04 / 1.04), net.bias.zero_()  # r(x̃) = x̃ / (1 + σ²)
        >>> model = GenerativeStochasticNetwork(
        ...     DenoisingAutoencoder(net, 0.2), start=torch.full((1, 1), 9.0), steps=500
        ... )
        >>> x = model.sample(2000, generator=torch.Generator().manual_seed(0))
        >>> abs(x.mean().item()) < 0.1, abs(x.var().item() - 1) < 0.1
        (True, True)
    """

    start: Tensor

    def __init__(self, denoiser: Denoiser, start: Tensor, steps: int = 100) -> None:
        super().__init__()
        self.denoiser, self.steps = denoiser, count(steps, "steps")
        self.register_buffer("start", training_data(start))

    @torch.no_grad()
    def chain(self, x: Tensor, steps: int, *, generator: Generator | None = None) -> Tensor:
        """The x of one chain from each row, ``[steps + 1, batch, d]``, the first as given."""
        visited = [x]
        for _ in range(steps):
            visited.append(self.step(visited[-1], generator=generator))
        return torch.stack(visited)

    @torch.no_grad()
    def step(self, x: Tensor, *, generator: Generator | None = None) -> Tensor:
        """Corrupt, then draw from the reconstruction, ``[batch, d]``."""
        return _draw(self.denoiser.reconstruct(self.denoiser.corrupt(x, generator)), generator)

    @torch.no_grad()
    def sample(self, n: int, *, generator: Generator | None = None) -> Tensor:
        """Where n chains are after ``steps`` steps, each from a row of ``start``, ``[n, d]``."""
        rows = torch.randint(
            len(self.start), (sample_size(n),), generator=generator, device=self.start.device
        )
        x = self.start[rows]
        for _ in range(self.steps if n else 0):
            x = self.step(x, generator=generator)
        return x


def walkback_loss(
    denoiser: Denoiser, x: Tensor, generator: Generator | None = None, *, steps: int = 1
) -> Tensor:
    """−log P(x | x̃ₖ), averaged over k = 1 … ``steps`` of the model's own chain from x, ``[batch]``.

    With one step it is the denoising criterion. With more, the chain walks off, to where it has no
    business, and from wherever it comes it is taught the way back to x: so modes are removed that
    denoising near the data never sees. It is denoising still, with a corruption that is longer.

    Args:
        x: data ``[batch, d]``.
        steps: how far the chain walks, 1 or more.

    Raises:
        ValueError: no step.

    Source: Bengio, Yao, Alain and Vincent 2013, arXiv:1305.6663, algorithm 1 and proposition 1
        (there the number of steps is geometric).

    Example:
        >>> from genlab.early.denoising import BinaryDenoiser
        >>> model = BinaryDenoiser(nn.Linear(3, 3), share=0.5)
        >>> walkback_loss(model, torch.ones(4, 3), steps=5).shape
        torch.Size([4])
    """
    losses, here = [], x
    for _ in range(count(steps, "steps")):
        noisy = denoiser.corrupt(here, generator)
        p = denoiser.reconstruct(noisy)
        losses.append(-p.log_prob(x))
        here = _draw(p, generator)
    return torch.stack(losses).mean(0)


def bayes_reconstruction(p: Tensor, corruption: Tensor) -> Tensor:
    """P(x | x̃) = p(x) C(x̃ | x) / Σ_x p(x) C(x̃ | x), ``[Y, X]``: what an unlimited net would learn.

    The chain's kernel is ``corruption @ bayes_reconstruction(p, corruption)``, and p is stationary:
    Σ_x p(x) C(x̃ | x) P(x' | x̃) is symmetric in x and x', which is detailed balance.

    Args:
        p: p_data, ``[X]``.
        corruption: C(x̃ | x), ``[X, Y]``, rows that sum to one.

    Raises:
        ValueError: tables that are no laws or do not fit, or an x̃ that no data become.

    Source: Bengio, Yao, Alain and Vincent 2013, theorem 1.

    Example:
        >>> p, corruption = torch.tensor([0.75, 0.25]), torch.tensor([[0.8, 0.2], [0.2, 0.8]])
        >>> reconstruction = bayes_reconstruction(p, corruption)
        >>> p @ corruption @ reconstruction
        tensor([0.7500, 0.2500])
    """
    (p,), (corruption,) = probabilities(p), probabilities(corruption)
    if p.ndim != 1 or corruption.ndim != 2 or len(p) != len(corruption):
        raise ValueError(
            f"Expected p of shape (X,) and a corruption (X, Y), got {tuple(p.shape)} and "
            f"{tuple(corruption.shape)}."
        )
    joint = (p[:, None] * corruption).T
    if not (joint.sum(1) > 0).all():
        raise ValueError(
            f"{int((joint.sum(1) == 0).sum())} of {len(joint)} corrupted values come from no data: "
            "leave them out, or give every x a chance above 0."
        )
    return joint / joint.sum(1, keepdim=True)


def walkback_corruption(corruption: Tensor, reconstruction: Tensor, steps: int) -> Tensor:
    """The law of x̃ after a walk of 1 to ``steps`` steps from x, all lengths alike, ``[X, Y]``.

    It is a corruption like any other, so that the reconstruction learnt from it has p_data
    stationary again: walkback changes what is seen in training, not what is right.

    Args:
        corruption: C ``[X, Y]``. reconstruction: P ``[Y, X]``.
        steps: 1 or more.

    Source: Bengio, Yao, Alain and Vincent 2013, proposition 1.

    Example: one step is the corruption itself.
        >>> corruption = torch.tensor([[0.8, 0.2], [0.2, 0.8]])
        >>> walkback_corruption(corruption, torch.eye(2), 1)
        tensor([[0.8000, 0.2000],
                [0.2000, 0.8000]])
    """
    walked = [corruption]
    for _ in range(count(steps, "steps") - 1):
        walked.append(walked[-1] @ reconstruction @ corruption)
    return torch.stack(walked).mean(0)


def _draw(p: Distribution, generator: Generator | None) -> Tensor:
    # A torch distribution draws from the global generator: ours stands in for it.
    with torch.no_grad(), weights_from(generator):
        return p.sample()
