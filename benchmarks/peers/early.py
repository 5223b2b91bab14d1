"""An RBM beside scikit-learn's, and annealed log Z beside the sum over states.

python -m benchmarks.peers.early
"""

import torch
from sklearn.neural_network import BernoulliRBM
from torch import Generator, Tensor

from benchmarks import record
from genlab import data
from genlab.early import (
    RBM,
    ais_log_partition,
    log_partition,
    persistent_ascent,
    pseudo_log_likelihood,
)

HIDDEN, EPOCHS, BATCH, RATE, SEEDS, ROUNDS = 100, 20, 10, 0.05, 5, 15
# Visible units, hidden units, and the spread of the weights; one side can be enumerated.
SMALL = ((6, 10, 1.0), (20, 5, 1.0), (64, 10, 0.5), (12, 12, 1.5), (64, 16, 0.3))
CHAINS, TEMPERATURES, REPEATS = 200, 500, 5


def seeded(seed: int) -> Generator:
    return torch.Generator().manual_seed(seed)


def bits() -> tuple[Tensor, Tensor]:
    """Digits, a bit being 1 where the grey value is above one half; to train and to test."""
    digits = data.digits()
    return tuple((x.flatten(1) > 0.5).float() for x in (digits.train, digits.test))


def ours(x: Tensor, seed: int) -> RBM:
    g = seeded(seed)
    model = RBM(x.shape[1], HIDDEN, generator=g)
    persistent_ascent(model, x, epochs=EPOCHS, batch_size=BATCH, lr=RATE, generator=g)
    return model


def theirs(x: Tensor, seed: int) -> BernoulliRBM:
    sizes = {"learning_rate": RATE, "batch_size": BATCH, "n_iter": EPOCHS}
    return BernoulliRBM(HIDDEN, **sizes, random_state=seed).fit(x.numpy())


@torch.no_grad()
def as_ours(model: BernoulliRBM) -> RBM:
    """scikit-learn's weights in our machine: one yardstick for both."""
    copy = RBM(model.components_.shape[1], HIDDEN)
    weights = model.components_.T, model.intercept_visible_, model.intercept_hidden_
    for own, other in zip((copy.W, copy.b, copy.c), weights, strict=True):
        own.copy_(torch.from_numpy(other.copy()))
    return copy


def learning() -> dict:
    """The time of a fit, and the pseudo-likelihood of the test images for several seeds."""
    train, test = bits()
    entrants = {
        "genlab RBM": lambda seed=0: ours(train, seed),
        "scikit-learn BernoulliRBM": lambda seed=0: theirs(train, seed),
    }
    reached = {name: [] for name in entrants}
    for name, run in entrants.items():
        for seed in range(SEEDS):
            model = run(seed)
            model = model if isinstance(model, RBM) else as_ours(model)
            reached[name].append(float(pseudo_log_likelihood(model, test).mean()))
    result = record.race(entrants, ROUNDS)
    for times in result["seconds"].values():
        times["milliseconds_an_epoch"] = 1000 * times["median_cpu"] / EPOCHS
    ratio = result["ratios"]["scikit-learn BernoulliRBM"]["cpu"]["median"]
    mean = sum(reached["genlab RBM"]) / SEEDS
    return {
        "what": "RBM of 64 and 100 units: 20 epochs of PCD-1 on binary digits",
        "setting": {
            "images": len(train),
            "batch": BATCH,
            "rate": RATE,
            "seeds": f"0 to {SEEDS - 1}, 0 in the race",
        },
        **result,
        "repetitions": {
            f"nats of pseudo-likelihood, test, {name}": values for name, values in reached.items()
        },
        "targets": [
            record.target("times faster than scikit-learn, CPU", ratio, 1, at_least=True),
            record.target("nats of pseudo-likelihood, test, mean", mean, -19.3, at_least=True),
        ],
    }


@torch.no_grad()
def annealing() -> dict:
    """Annealed less enumerated log Z, again and again, for machines with random weights."""
    found = {}
    for visible, hidden, scale in SMALL:
        g = seeded(3)
        model = RBM(visible, hidden).double()
        for w, size in ((model.W, scale), (model.b, 0.5), (model.c, 0.5)):
            w.copy_(size * torch.randn(w.shape, generator=g, dtype=torch.float64))
        truth = float(log_partition(model))
        estimates = (
            ais_log_partition(model, CHAINS, TEMPERATURES, generator=g) for _ in range(REPEATS)
        )
        units = f"{visible} and {hidden} units, weights N(0, {scale:g}²)"
        found[f"nats above the true log Z, {units}"] = [e.value - truth for e in estimates]
    worst = max(abs(error) for errors in found.values() for error in errors)
    return {
        "what": "log Z by annealed importance sampling, against enumeration",
        "setting": {"chains": CHAINS, "temperatures": TEMPERATURES, "seed": 3},
        "repetitions": found,
        "targets": [record.target("nats of error, the worst", worst, 0.1, at_least=False)],
    }


def main() -> None:
    print("About half a minute on an idle core.", flush=True)
    record.one_thread()
    environment = record.environment("genlab", "torch", "numpy", "scipy", "scikit-learn")
    measurements = []
    for task in (learning, annealing):
        measurements.append(task())
        record.show(measurements[-1])
    record.save("early", {"family": "early", **environment, "measurements": measurements})


if __name__ == "__main__":
    main()
