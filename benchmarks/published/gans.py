"""The ring and the grid: a plain GAN, one trick at a time, and the recipes of the chapter.

python -m benchmarks.published.gans [WORD ...]

The laws, and what is counted in 2,500 draws, are those of Lin et al. 2018 ("PacGAN"). Their nets
are larger and their games twenty times as long: four layers of 400 units with batch normalisation
against three of 200 maxout units, for 400,000 steps. So their figures and ours are of different
games; ``the paper's nets`` is theirs for a short while. Precision and recall, with k = 3, are
beside 2,500 real points.

With words only the games whose heading holds them all are played, for instance "ring trick". A game
that stands in the record with the same setting is not played again: delete the record when code has
changed.
"""

import json
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import partial
from statistics import mean, stdev

import torch
from torch import Generator, Tensor, nn

from benchmarks import record
from genlab.gans import (
    BEST_GRID,
    BEST_RING,
    GRID,
    RING,
    VANILLA,
    Discriminator,
    FourierFeatures,
    MinibatchDiscrimination,
    Packed,
    Recipe,
    coverage,
    discriminator_loss,
    generator_loss,
    precision_recall,
    spectrally_normalised,
)
from genlab.nets import MLP, weights_from

NAME, DRAWS, SEEDS, OTHERS = "published_gans", 2_500, range(5), range(10, 15)
LAWS = {"ring": RING, "grid": GRID}
BEST = {"ring": BEST_RING, "grid": BEST_GRID}
GOOD, KL = "share of high quality", "reverse KL, nats"
FIGURES = ("modes", GOOD, KL, "precision", "recall", "CPU seconds of a game")
LIN = "Lin et al. 2018, table 1, {}: 400,000 steps, larger nets, 10 runs"
PUBLISHED = {  # by law: modes, share, reverse KL
    "ring": {"GAN": (6.3, 0.982, 0.45), "PacGAN2": (7.9, 0.956, 0.07)},
    "grid": {"GAN": (17.3, 0.948, 0.70), "PacGAN4": (24.8, 0.936, 0.04)},
}
LIMITS = {  # by law: of the best recipe
    "ring": {"modes": 8, GOOD: 0.98, KL: 0.05},
    "grid": {"modes": 24.8, GOOD: 0.95},
}
LEAKY = partial(nn.LeakyReLU, 0.2)


# Other nets ---------------------------------------------------------------------------------------


def normalised(net: MLP) -> nn.Sequential:
    """Batch normalisation behind each layer but the last."""
    *hidden, last = net
    layers = []
    for layer in hidden:
        layers += [layer]
        if isinstance(layer, nn.Linear):
            layers += [nn.BatchNorm1d(layer.out_features)]
    return nn.Sequential(*layers, last)


class NormalisedG(Recipe):
    def net(self, inputs: int, generator: Generator) -> nn.Module:
        return normalised(super().net(inputs, generator))


class NormalisedD(Recipe):
    def judge(self, generator: Generator) -> Discriminator:
        return Discriminator(normalised(super().judge(generator).net))


class SpectralD(Recipe):
    def judge(self, generator: Generator) -> Discriminator:
        return spectrally_normalised(super().judge(generator), generator=generator)


class MinibatchD(Recipe):
    def judge(self, generator: Generator) -> Discriminator:
        features = MLP(2, self.width, (self.width,), activation=LEAKY, generator=generator)
        layer = MinibatchDiscrimination(self.width, kernels=8, width=3, generator=generator)
        with weights_from(generator):
            last = nn.Linear(self.width + 8, 1)
        return Discriminator(nn.Sequential(features, LEAKY(), layer, last))


@dataclass(frozen=True)
class PackedD(Recipe):
    m: int = 2

    def judge(self, generator: Generator) -> Discriminator:
        hidden = 2 * (self.width,)
        return Packed(MLP(2 * self.m, 1, hidden, activation=LEAKY, generator=generator), self.m)


class Seen(FourierFeatures):
    """Waves that are there from the first step."""

    def forward(self, x: Tensor) -> Tensor:
        self.alpha.fill_(1.0)
        return super().forward(x)


class EarlyWaves(Recipe):
    def judge(self, generator: Generator) -> Discriminator:
        D = super().judge(generator)
        D.net[0] = Seen(self.octaves)
        return D


class Maxout(nn.Module):
    """The largest of five affine maps, unit by unit."""

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.maps = nn.Linear(n_in, 5 * n_out)

    def forward(self, x: Tensor) -> Tensor:
        return self.maps(x).unflatten(-1, (5, -1)).amax(-2)


class Paper(Recipe):
    """The nets of the paper's code, weights from N(0, 0.02²)."""

    def net(self, inputs: int, generator: Generator) -> nn.Module:
        net = normalised(MLP(inputs, 2, 4 * (400,), generator=generator))
        return net.apply(partial(narrow, generator))

    def judge(self, generator: Generator) -> Discriminator:
        net = nn.Sequential(Maxout(2, 200), Maxout(200, 200), Maxout(200, 200), nn.Linear(200, 1))
        return Discriminator(net.apply(partial(narrow, generator)))


def narrow(generator: Generator, layer: nn.Module) -> None:
    if isinstance(layer, nn.Linear):
        nn.init.normal_(layer.weight, 0.0, 0.02, generator=generator)
        nn.init.zeros_(layer.bias)


# The games ----------------------------------------------------------------------------------------


def tricks(law: str) -> dict[str, Recipe]:
    """The plain game of 2,000 steps, and each trick alone beside it."""
    plain, best = replace(VANILLA, steps=2_000), BEST[law]
    smooth = partial(discriminator_loss, smooth=0.1), generator_loss
    saturating = discriminator_loss, partial(generator_loss, kind="saturating")
    return {
        "plain": plain,
        "smoothing, real labels 0.9": replace(plain, more={"loss": smooth}),
        "batch normalisation in G": NormalisedG(plain.steps),
        "batch normalisation in D": NormalisedD(plain.steps),
        "five steps of D": replace(plain, more={"d_steps": 5}),
        "D's rate times 3": replace(plain, more={"d_lr": 3 * plain.rates[0]}),
        "minibatch discrimination": MinibatchD(plain.steps),
        "packs of 2": PackedD(plain.steps, batch_size=2 * plain.batch_size),
        "packs of 4": PackedD(plain.steps, batch_size=4 * plain.batch_size, m=4),
        "spectral normalisation": SpectralD(plain.steps),
        "R1": replace(plain, gammas=2 * best.gammas[:1]),
        "average of weights": replace(plain, keep=best.keep),
        "falling rates": replace(plain, rates=(plain.rates[0], 1e-5)),
        "no momentum": replace(plain, betas=best.betas),
        "coins": replace(plain, coins=best.coins),
        "saturating loss": replace(plain, more={"loss": saturating}),
        **({"waves": replace(plain, octaves=best.octaves)} if best.octaves else {}),
        **({"data not scaled": replace(plain, scaled=False)} if law == "grid" else {}),
    }


def without(law: str) -> dict[str, Recipe]:
    """The best recipe, less one of its parts."""
    best = BEST[law]
    return {
        "no coins": replace(best, coins=0),
        **({"no waves": replace(best, octaves=0)} if best.octaves else {}),
        **({"waves from the start": EarlyWaves(**vars(best))} if best.octaves else {}),
        "no R1": replace(best, gammas=(0.0, 0.0)),
        "momentum 0.5": replace(best, betas=(0.5, best.betas[1])),
        "constant rates": replace(best, rates=2 * best.rates[:1]),
        "constant γ": replace(best, gammas=2 * best.gammas[:1]),
        "no average": replace(best, keep=0.0),
    }


def games() -> dict[tuple[str, str], tuple[str, Recipe, range]]:
    """By heading and name: the law, the recipe, the seeds."""
    paper = Paper(5_000, rates=(1e-4, 1e-4), batch_size=100, betas=(0.8, 0.999), scaled=False)
    found = {}
    for law in LAWS:
        for heading, recipes, seeds in (
            ("plain game", {"plain": VANILLA}, SEEDS),
            ("best recipe", {"best": BEST[law]}, SEEDS),
            ("one trick in the plain game", tricks(law), SEEDS),
            ("best recipe less one part", without(law), SEEDS),
            ("best recipe, other seeds", {"best": BEST[law]}, OTHERS),
            ("nets of the paper, for a short while", {"the paper's nets": paper}, range(1)),
        ):
            for name, recipe in recipes.items():
                found[f"{law}: {heading}", name] = law, recipe, seeds
    return found


def setting(name: str, recipe: Recipe, seeds: range) -> dict:
    nets = "4 × 400 and 3 × 200" if isinstance(recipe, Paper) else f"2 × {recipe.width} each"
    return {
        "recipe": name,
        "steps": recipe.steps,
        "batch": recipe.batch_size,
        "hidden": nets,
        "coins": recipe.coins,
        **({"octaves": recipe.octaves} if recipe.octaves else {}),
        "rate": fall(recipe.rates),
        "γ of R1": fall(recipe.gammas),
        "betas": "{:g}, {:g}".format(*recipe.betas),
        "average keeps": recipe.keep,
        "seeds": f"{seeds[0]} to {seeds[-1]}" if len(seeds) > 1 else f"{seeds[0]}",
    }


def fall(ends: tuple[float, float]) -> str:
    first, last = ends
    return f"{first:g}" if first == last else f"{first:g} to {last:g}"


def played(law: str, recipe: Recipe, seed: int) -> tuple[float, ...]:
    """Every figure of one game; the draws are those of `genlab.gans.outcomes`."""
    rng, truth = (torch.Generator().manual_seed(s) for s in (seed, 1_000_000))
    start = time.process_time()
    G = recipe.train(LAWS[law], generator=rng)
    seconds = time.process_time() - start
    fake = G.sample(DRAWS, generator=rng)
    compared = precision_recall(LAWS[law].sample(DRAWS, generator=truth), fake)
    return *coverage(fake, LAWS[law]), *compared, seconds


def measured(heading: str, name: str, law: str, recipe: Recipe, seeds: range) -> dict:
    columns = zip(*(played(law, recipe, seed) for seed in seeds), strict=True)
    found = dict(zip(FIGURES, map(list, columns), strict=True))
    here = {key: mean(values) for key, values in found.items()}
    spread = {key: stdev(values) for key, values in found.items() if len(values) > 1}
    best, paper = heading.endswith("best recipe"), PUBLISHED[law]
    beside = paper if best else {"GAN": paper["GAN"]} if "plain game" in heading.split(": ") else {}
    return {
        "what": heading,
        "setting": setting(name, recipe, seeds),
        "published": [
            {"what": key, "here": here[key], "published": value, "source": LIN.format(method)}
            for method, values in beside.items()
            for key, value in zip(FIGURES, values, strict=False)
        ],
        "repetitions": found,
        **({"standard_deviation": spread} if spread else {}),
        "targets": [
            record.target(f"{key}, mean", here[key], limit, at_least=key != KL)
            for key, limit in LIMITS[law].items()
            if best
        ],
    }


# The record ---------------------------------------------------------------------------------------


def kept() -> list[dict]:
    """The measurements that stand in the record by now."""
    path = record.ROOT / "benchmarks" / "results" / f"{NAME}.json"
    return json.loads(path.read_text(encoding="utf8"))["measurements"] if path.exists() else []


def keep(measurement: dict, order: Iterable[tuple[str, str]], environment: dict) -> None:
    """Put one into the record, in the place of what had its heading and name."""
    found = {(m["what"], m["setting"]["recipe"]): m for m in [*kept(), measurement]}
    measurements = [found[key] for key in order if key in found]
    family = {"family": "published: GANs on the ring and the grid"}
    record.save(NAME, {**family, **environment, "measurements": measurements})


def main(words: list[str]) -> None:
    print("About an hour on an idle core.", flush=True)
    record.one_thread()
    environment = record.environment("genlab", "torch", "numpy")
    torch.optim.Adam([torch.zeros(1)])  # the first optimizer spends 4 s on imports
    plan = games()
    for (heading, name), (law, recipe, seeds) in plan.items():
        done = ({"what": m["what"], **m["setting"]} for m in kept())
        wanted = {"what": heading, **setting(name, recipe, seeds)}
        if all(word in heading for word in words) and wanted not in done:
            measurement = measured(heading, name, law, recipe, seeds)
            keep(measurement, plan, environment)
            record.show(measurement)
            for key, values in measurement["repetitions"].items():
                print(f"  {key}: {mean(values):.4f} of", *(f"{v:.4g}" for v in values), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
