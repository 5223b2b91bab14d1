"""Recipes for the ring and the grid: all that a game is made of, so that an ablation is one word.

What the best ones have: noise in pieces (coins), since between two modes a continuous generator
leaves a bridge; Adam without momentum and the average of G's weights, as both players keep moving;
R1, strong at first, and falling rates, which the ring turned out not to need; for the grid, whose
modes are narrow, waves beside the coordinates that D sees. What each is worth is measured by
``benchmarks/published/gans.py``.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor, nn
from torch.optim import Adam
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from genlab.data import Grid, Ring
from genlab.flows import StandardNormal
from genlab.gans.fourier import FourierFeatures
from genlab.gans.measures import Coverage, coverage
from genlab.gans.networks import Discriminator, Generator
from genlab.gans.noise import NormalAndCoins
from genlab.gans.penalties import r1_penalty
from genlab.gans.play import play
from genlab.nets import MLP

__all__ = ["BEST_GRID", "BEST_RING", "GRID", "RING", "VANILLA", "Recipe", "outcomes"]

RING = Ring(modes=8, radius=1.0, scale=0.01)
GRID = Grid(side=5, spacing=2.0, scale=0.05)
EXAMPLES, DRAWS, STAGES = 100_000, 2_500, 10
_WAVES = 4 * [0.0] + [0.5] + 5 * [1.0]  # α of the Fourier features, by stage


@dataclass(frozen=True)
class Recipe:
    """A game in the plane; ``dataclasses.replace(recipe, coins=0)`` changes one part of it.

    In ten stages of equal length the rates go down by one factor; so does γ. Waves come in the
    middle: none in four stages, half as strong in one, whole in five. Other nets are those of a
    class that inherits :meth:`net` or :meth:`judge` and changes it.

    Attributes:
        steps: of G, a multiple of ten.
        coins: k signs beside the normal noise in two dimensions; 0 for none.
        octaves: of sines and cosines beside the coordinates that D sees; 0 for none.
        width: of the two hidden layers of each net; ReLU in G, leaky ReLU in D.
        rates: learning rate of the first stage and of the last.
        gammas: weight of R1 in the first stage and in the last; 0 for none.
        batch_size: examples of each kind.
        betas: of Adam.
        keep: what the average of G's weights keeps at each step; 0 takes the last weights.
        scaled: into [−1, 1]; else the players see the law in its own unit.
        more: arguments of :func:`genlab.gans.play.play`, for instance ``{"d_steps": 5}``.
    """

    steps: int = 20_000
    coins: int = 0
    octaves: int = 0
    width: int = 64
    rates: tuple[float, float] = (1e-3, 1e-3)
    gammas: tuple[float, float] = (0.0, 0.0)
    batch_size: int = 128
    betas: tuple[float, float] = (0.5, 0.999)
    keep: float = 0.0
    scaled: bool = True
    more: Mapping[str, object] = field(default_factory=dict)

    def net(self, inputs: int, generator: torch.Generator | None) -> nn.Module:
        """G, from ``[n, inputs]`` to ``[n, 2]``."""
        return MLP(inputs, 2, 2 * (self.width,), generator=generator)

    def judge(self, generator: torch.Generator | None) -> Discriminator:
        """D, for points of the plane."""
        layers, leaky = 2 * (self.width,), partial(nn.LeakyReLU, 0.2)
        net = MLP(2 + 4 * self.octaves, 1, layers, activation=leaky, generator=generator)
        return Discriminator(
            nn.Sequential(FourierFeatures(self.octaves), net) if self.octaves else net
        )

    def train(self, law: Ring | Grid, *, generator: torch.Generator | None = None) -> Generator:
        """A generator after a game on 100,000 points of the law.

        Raises:
            ValueError: steps that do not make ten stages.

        Example:
            >>> rng = torch.Generator().manual_seed(0)
            >>> G = Recipe(steps=20, width=8).train(RING, generator=rng)
            >>> G.sample(5, generator=rng).shape
            torch.Size([5, 2])
        """
        if self.steps % STAGES or self.steps < STAGES:
            raise ValueError(f"Expected steps in {STAGES} equal stages, got {self.steps}.")
        noise = NormalAndCoins(2, self.coins) if self.coins else StandardNormal((2,))
        G, D = Generator(noise, self.net(2 + self.coins, generator)), self.judge(generator)
        average = AveragedModel(G, multi_avg_fn=get_ema_multi_avg_fn(self.keep))
        radius = float(law.centres.abs().max()) if self.scaled else 1.0
        x = law.sample(EXAMPLES, generator=generator) / radius
        stages = zip(_falling(*self.rates), _falling(*self.gammas), _WAVES, strict=True)
        for lr, gamma, alpha in stages:
            if self.octaves:
                D.net[0].alpha.fill_(alpha)
            play(
                G,
                D,
                x,
                steps=self.steps // STAGES,
                penalty=partial(_r1, gamma) if gamma else None,
                average=average,
                batch_size=self.batch_size,
                lr=lr,
                optimizer=partial(Adam, betas=self.betas, fused=True),
                generator=generator,
                progress=False,
                **self.more,
            )
        return Generator(noise, nn.Sequential(average.module.net, _Times(radius))).eval()


_STILL = {"betas": (0.0, 0.99), "keep": 0.998}
VANILLA = Recipe()
BEST_RING = Recipe(5_000, coins=4, rates=(3e-3, 1e-4), gammas=(0.1, 0.01), **_STILL)
BEST_GRID = Recipe(
    8_000,
    coins=8,
    octaves=3,
    width=128,
    rates=(3e-3, 1e-4),
    gammas=(0.01, 0.001),
    batch_size=256,
    **_STILL,
)


def outcomes(
    recipe: Recipe, law: Ring | Grid, *, seeds: Iterable[int] = range(5)
) -> list[Coverage]:
    """What is counted in 2,500 draws after a game, for each seed.

    Source: Lin et al. 2018, arXiv:1712.04086, section 4.1, for the laws and the counting.

    Example:
        >>> outcomes(Recipe(steps=10, width=4), RING, seeds=[0])[0].modes
        0
    """
    found = []
    for seed in seeds:
        rng = torch.Generator().manual_seed(seed)
        G = recipe.train(law, generator=rng)
        found.append(coverage(G.sample(DRAWS, generator=rng), law))
    return found


def _r1(gamma: float, D: Discriminator, x: Tensor, *_: object) -> Tensor:
    return gamma * r1_penalty(D, x)


def _falling(first: float, last: float) -> list[float]:
    return [first * (last / first) ** (i / (STAGES - 1)) if first else 0.0 for i in range(STAGES)]


class _Times(nn.Module):
    """Back from [−1, 1] to the unit of the law."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        return self.factor * x
