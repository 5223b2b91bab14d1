"""Boltzmann machines, a deep belief net and wake–sleep on binarised MNIST, beside published nats.

python -m benchmarks.published.early_mnist --data FOLDER --folder CHECKPOINTS

The fixed binarisation, 50,000 images to train. An RBM of 500 hidden units begins with the
frequencies of the pixels and takes plain steps at a rate that falls in a line to 0; the rate was
chosen by validation images, in three runs of 12 epochs. The paper learnt by CD-25. Here PCD-1 has
most of the time, and CD-25 two epochs, since a step of it takes about ten of PCD-1. The second
machine of the deep belief net starts tied to the first, so that its bound starts at what the first
reached. The deep Boltzmann machine is put together from two machines that learn by CD-1 one after
the other, each with its outer layer doubled, and then learns as a whole. Wake–sleep goes by Adam,
with batches of 100. Shorter than in the papers: all.

Annealing finds a log Z that is too low on average, and so an image is likelier than it should be;
the error that it sees knows nothing of the chains that are missing. Beside each figure stands the
one from a tenth of the temperatures. With 5,000 of them and 100 chains the
RBM seemed to reach 87.7, with an error of 0.2.
"""

import math
import time
from argparse import Namespace
from collections.abc import Callable
from functools import partial

import torch
from safetensors.torch import load_file, save_file
from torch import Generator, Tensor
from torch.optim import SGD

from benchmarks import record
from benchmarks.published import training
from genlab import data
from genlab.early import (
    DBM,
    DBN,
    RBM,
    HelmholtzMachine,
    LogPartition,
    ais_log_partition,
    contrastive_divergence,
    dbm_loss,
    importance_log_prob,
    layerwise,
    persistent_ascent,
    tied_layer,
    wake_sleep_loss,
)
from genlab.train import fit

NAME, SEED, BATCH = "published_early_mnist", 0, 100
HIDDEN, RATE, EPOCHS, SHORT = 500, 0.1, 100, 2
SECOND, RATE_2, EPOCHS_2 = 784, 0.05, 20
TOP, HALVES, WHOLE, RATE_3 = 500, 10, 10, 0.02
UNITS, STAGES = 200, ((20_000, 3e-3), (5_000, 1e-3), (5_000, 3e-4))
CHAINS, TEMPERATURES, DRAWS, MANY = 50, 20_000, 20, 100
CD_25 = "Salakhutdinov and Murray 2008, CD-25"
DEEP = "Murray and Salakhutdinov 2009, an estimate"
UNDIRECTED = "Salakhutdinov and Hinton 2009, 500 and 1,000 units, a bound"
WAKE_SLEEP = "Bornschein and Bengio 2015, wake–sleep"

Epoch = Callable[[float, Generator], object]  # a pass through the data, at this rate


def seeded(seed: int, chosen: Namespace) -> Generator:
    return Generator(chosen.device).manual_seed(seed)


def learn(
    name: str, model: RBM, epoch: Epoch, epochs: int, rate: float, chosen: Namespace
) -> float:
    """Train in passes of falling rate; with a folder a stopped run goes on. Seconds of CPU."""
    file = chosen.folder and chosen.folder / f"{name}.safetensors"
    first, seconds = 0, 0.0
    if file is not None and file.exists():
        state = load_file(file, device=chosen.device)
        first, seconds = int(state.pop("epoch")), float(state.pop("seconds"))
        model.load_state_dict(state)
    for number in range(first, epochs):
        start = time.process_time()
        epoch(rate * (1 - number / epochs), seeded(1000 * (SEED + 1) + number, chosen))
        seconds += time.process_time() - start
        if file is not None and ((number + 1) % 5 == 0 or number + 1 == epochs):
            done = {"epoch": number + 1, "seconds": seconds}
            state = {key: torch.tensor(value) for key, value in done.items()}
            save_file(model.state_dict() | state, part := file.with_suffix(".part"))
            part.replace(file)
        if (number + 1) % 10 == 0 or number + 1 == epochs:
            print(f"  {name}: epoch {number + 1} of {epochs}, {seconds:.0f} s", flush=True)
    return seconds


def machine(x: Tensor, chosen: Namespace, chains: int = 0) -> RBM:
    """An RBM that knows the frequencies of the pixels and nothing else."""
    g = torch.Generator().manual_seed(SEED)
    model = RBM(x.shape[1], HIDDEN, generator=g)
    with torch.no_grad():
        model.b.copy_(((x.sum(0) + 0.5) / (len(x) + 1)).logit())
    if chains:
        model.start_chains(chains, generator=g)
    return model.to(chosen.device)


def by_pcd(x: Tensor, chosen: Namespace) -> tuple[RBM, float]:
    model = machine(x, chosen, chains=BATCH)

    def epoch(rate: float, g: Generator) -> None:
        persistent_ascent(model, x, epochs=1, batch_size=BATCH, lr=rate, generator=g)

    return model, learn("rbm-pcd", model, epoch, EPOCHS, RATE, chosen)


def by_cd(x: Tensor, chosen: Namespace) -> tuple[RBM, float]:
    model = machine(x, chosen)
    steps = math.ceil(len(x) / BATCH)

    def loss(model: RBM, rows: Tensor, g: Generator) -> Tensor:
        return contrastive_divergence(model, rows, 25, generator=g)

    def epoch(rate: float, g: Generator) -> None:
        options = {"batch_size": BATCH, "lr": rate, "optimizer": SGD, "progress": False}
        fit(model, loss, x, steps=steps, generator=g, **options)

    return model, learn("rbm-cd25", model, epoch, SHORT, RATE, chosen)


def annealed(model: RBM, rows: Tensor, chosen: Namespace) -> tuple[LogPartition, LogPartition]:
    """log Z, and again from a tenth of the temperatures."""
    anneal = partial(ais_log_partition, model, CHAINS, data=rows)
    return tuple(
        anneal(t, generator=seeded(SEED, chosen)) for t in (TEMPERATURES, TEMPERATURES // 10)
    )


def figures(each: Tensor, log_z: LogPartition, rough: LogPartition, seconds: float) -> dict:
    """What every measurement of a machine with a log Z says beside its figure."""
    return {
        "standard_error_in_nats": {
            "test images": float(each.std()) / len(each) ** 0.5,
            "log Z": log_z.error,
        },
        f"nats_with_{TEMPERATURES // 10}_temperatures": float(each.mean())
        + rough.value
        - log_z.value,
        "training_seconds": seconds,
    }


def restricted(
    name: str, epochs: int, trained: tuple[RBM, float], images: dict[str, Tensor], chosen: Namespace
) -> dict:
    """−log p of the images, by the annealed log Z."""
    model, seconds = trained
    log_z, rough = annealed(model, images["train"], chosen)
    with torch.no_grad():
        nats = {key: model.energy(x) + log_z.value for key, x in images.items()}
    here = float(nats["test"].mean())
    return {
        "what": f"RBM of {HIDDEN} hidden units: negative log-likelihood of binarised MNIST",
        "setting": {
            "learning": name,
            "epochs": epochs,
            "batch": BATCH,
            "rate": f"{RATE:g}, falling to 0",
            "chains and temperatures": f"{CHAINS} and {TEMPERATURES:,}",
            "seed": SEED,
        },
        "published": [
            {"what": "nats an image, test", "here": here, "published": 86.34, "source": CD_25}
        ],
        **figures(nats["test"], log_z, rough, seconds),
        "nats_on_the_validation_images": float(nats["valid"].mean()),
        "nats_on_the_training_images": float(nats["train"].mean()),
        "targets": [record.target("nats an image, test", here, 90, at_least=False)]
        if name == "PCD-1"
        else [],
    }


def deep(below: RBM, images: dict[str, Tensor], chosen: Namespace) -> dict:
    """The bound of two machines, and the estimate from the mean of the weights."""
    above = tied_layer(below)
    net, x = DBN([below, above]), images["train"]
    above.start_chains(BATCH, generator=seeded(SEED, chosen))
    above.move_chains(500, generator=seeded(SEED, chosen))  # the machine is a trained one

    def epoch(rate: float, g: Generator) -> None:
        codes = net.codes(x, generator=g)
        persistent_ascent(above, codes, epochs=1, batch_size=BATCH, lr=rate, generator=g)

    seconds = learn("dbn", above, epoch, EPOCHS_2, RATE_2, chosen)
    g = seeded(SEED, chosen)
    log_z, rough = annealed(above, net.codes(x, generator=g), chosen)
    log_w = torch.stack(
        [net.elbo(images["test"], log_z=log_z.value, generator=g) for _ in range(DRAWS)]
    )
    bound, each = -log_w.mean(0), math.log(DRAWS) - log_w.logsumexp(0)
    here = float(each.mean())
    return {
        "what": f"Deep belief net of {HIDDEN} and {SECOND} hidden units on binarised MNIST",
        "setting": {
            "below": "the RBM by PCD-1",
            "learning of the second machine": "PCD-1, from the tied start",
            "epochs": EPOCHS_2,
            "batch": BATCH,
            "rate": f"{RATE_2:g}, falling to 0",
            "chains and temperatures": f"{CHAINS} and {TEMPERATURES:,}",
            "draws of codes": DRAWS,
            "seed": SEED,
        },
        "published": [
            {"what": "nats an image, test", "here": here, "published": 84.55, "source": DEEP}
        ],
        "bound_in_nats": float(bound.mean()),
        **figures(each, log_z, rough, seconds),
        "targets": [],
    }


def undirected(images: dict[str, Tensor], chosen: Namespace) -> dict:
    """The bound of a deep Boltzmann machine, by an annealed log Z of all its units."""
    x, seconds = images["train"], 0.0
    steps = math.ceil(len(x) / BATCH)
    options = {"batch_size": BATCH, "optimizer": SGD, "progress": False, "steps": steps}

    def halves(model: RBM, rows: Tensor) -> None:
        nonlocal seconds

        def epoch(rate: float, g: Generator) -> None:
            fit(model, by_cd1, rows, lr=rate, generator=g, **options)

        seconds += learn(f"dbm-{rows.shape[1]}", model, epoch, HALVES, RATE, chosen)

    def by_cd1(model: RBM, rows: Tensor, g: Generator) -> Tensor:
        return contrastive_divergence(model, rows, generator=g)

    def by_field(model: DBM, rows: Tensor, g: Generator) -> Tensor:
        return dbm_loss(model, rows, generator=g)

    def whole(rate: float, g: Generator) -> None:
        fit(model, by_field, x, lr=rate, generator=g, **options)

    model = layerwise(x, HIDDEN, TOP, halves, generator=seeded(SEED, chosen))
    model.machine.start_chains(BATCH, generator=seeded(SEED, chosen))
    model.machine.move_chains(500, generator=seeded(SEED, chosen))
    seconds += learn("dbm", model, whole, WHOLE, RATE_3, chosen)
    _, tops = model.mean_field(x[:5000])
    tops = torch.bernoulli(tops, generator=seeded(SEED, chosen))
    log_z, rough = annealed(model.machine, torch.cat([x[:5000], tops], 1), chosen)
    each = torch.cat([-model.elbo(part, log_z=log_z.value) for part in images["test"].split(1000)])
    here = float(each.mean())
    return {
        "what": f"Deep Boltzmann machine of {HIDDEN} and {TOP} hidden units on binarised MNIST",
        "setting": {
            "halves": f"CD-1, {HALVES} epochs each, rate {RATE:g}, falling to 0",
            "whole": f"mean field of 10 sweeps, persistent chains, {WHOLE} epochs",
            "rate of the whole": f"{RATE_3:g}, falling to 0",
            "batch": BATCH,
            "chains and temperatures": f"{CHAINS} and {TEMPERATURES:,}",
            "seed": SEED,
        },
        "published": [
            {
                "what": "nats an image, test, the bound",
                "here": here,
                "published": 84.62,
                "source": UNDIRECTED,
            }
        ],
        **figures(each, log_z, rough, seconds),
        "targets": [],
    }


def helmholtz(images: dict[str, Tensor], chosen: Namespace) -> dict:
    """Wake–sleep with one layer: the bound, and the estimate from many draws."""
    model = HelmholtzMachine(784, [UNITS], generator=torch.Generator().manual_seed(SEED))
    x, test = images["train"], images["test"]
    seconds = training.train(
        "wake-sleep",
        model,
        wake_sleep_loss,
        x,
        STAGES,
        batch_size=BATCH,
        seed=SEED,
        chosen=chosen,
    )
    g, parts = seeded(SEED, chosen), test.split(100)
    with torch.no_grad():
        bound = -torch.cat([model.elbo(part, MANY, generator=g) for part in parts])
        each = -torch.cat([importance_log_prob(model, part, MANY, generator=g) for part in parts])
    found = {"an estimate": (each, 116.3), "the bound": (bound, 120.7)}
    return {
        "what": f"Helmholtz machine of {UNITS} units on binarised MNIST",
        "setting": {
            "learning": "wake–sleep",
            "epochs": round(sum(n for n, _ in STAGES) * BATCH / len(x)),
            "batch": BATCH,
            "draws for each test image": MANY,
            "seed": SEED,
        },
        "published": [
            {
                "what": f"nats an image, test, {key}",
                "here": float(nats.mean()),
                "published": published,
                "source": WAKE_SLEEP,
            }
            for key, (nats, published) in found.items()
        ],
        "standard_error_in_nats": float(each.std()) / len(each) ** 0.5,
        "training_seconds": seconds,
        "targets": [
            record.target(
                "nats an image, test, the bound", float(bound.mean()), 130, at_least=False
            )
        ],
    }


def main() -> None:
    chosen = training.options("Boltzmann machines and wake–sleep on binarised MNIST.", 25)
    environment = record.environment("genlab", "torch", "numpy", "scipy")
    torch.optim.Adam([torch.zeros(1)])  # the first optimizer spends 4 s on imports
    found = data.binarized_mnist(chosen.data)
    images = {
        key: getattr(found, key).flatten(1).float().to(chosen.device)
        for key in ("train", "valid", "test")
    }
    below = by_pcd(images["train"], chosen)
    measurements = []
    for measure in (
        lambda: restricted("PCD-1", EPOCHS, below, images, chosen),
        lambda: deep(below[0], images, chosen),
        lambda: undirected(images, chosen),
        lambda: helmholtz(images, chosen),
        lambda: restricted("CD-25", SHORT, by_cd(images["train"], chosen), images, chosen),
    ):
        measurements.append(measure())
        record.show(measurements[-1])
        family = {"family": "published: early models on MNIST", **environment}
        record.save(NAME, {**family, "measurements": measurements})


if __name__ == "__main__":
    main()
