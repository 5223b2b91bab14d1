"""The 8 × 8 digits: a PixelCNN, MADE and MAF, beside what the code of others reaches on them.

python -m benchmarks.published.autoregressive_digits

As counts from 0 to 16 in the split of Tomczak's code for "Deep generative modeling": the first
1,000 images to train, the next 350 to choose, the last 447 to test. As bits, and as a density after
a logit, in genlab's split, of which 1,437 images are to train and 360 to test; the figures beside
the bits are of as many images, divided otherwise. A density after a logit depends on its edge: so
zuko and nflows, which are no dependencies of genlab, train their MAF on the same numbers by the
same recipe, if they can be imported. All likelihoods are exact.
"""

import time
from collections.abc import Callable
from importlib.util import find_spec

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

from benchmarks import record
from benchmarks.peers.flows import loop
from genlab import data
from genlab.autoregressive import MADE, MAF, PixelCNN, nll
from genlab.train import fit

LEVELS, SAMPLES, SEEDS = 17, 64, range(5)
COUNTS = {"width": 32, "residual layers": 4, "batch": 50, "steps": 400, "learning rate": 3e-3}
BITS = {"hidden": 256, "batch": 128, "steps": 300, "learning rate": 1e-2}
DENSITY = {"batch": 128, "steps": 600, "learning rate": 1e-3}
TRANSFORMS, HIDDEN, EDGE = 5, (128, 128), 1e-3
NATS, VALIDATION = "nats an image, test", "nats an image, validation"
TRAINING, DRAWING = "CPU seconds of training", f"CPU seconds to draw {SAMPLES} images"
RUN = "{}, run for this course"
TOMCZAK = RUN.format("Tomczak 2024, four causal convolutions; his code (intro_dgm at 28bbc85)")
PEERS = [name for name in ("zuko", "nflows") if find_spec(name)]
LogProb = Callable[[Tensor], Tensor]


def measurement(
    what: str,
    setting: dict,
    repetitions: dict[str, list[float]],
    published: list[tuple[str, float, str]],
    limits: dict[str, float],
) -> dict:
    """Every seed's figures, and their means beside those of others; limits hold for the means."""
    mean = {name: sum(values) / len(values) for name, values in repetitions.items()}
    return {
        "what": what,
        "setting": {**setting, "seeds": "0 to 4"},
        "published": [
            {"what": name, "here": mean[name], "published": figure, "source": source}
            for name, figure, source in published
        ],
        "repetitions": repetitions,
        "targets": [
            record.target(f"{name}, mean", mean[name], limit, at_least=False)
            for name, limit in limits.items()
        ],
    }


def pixelcnn(x: Tensor, seed: int) -> tuple[float, ...]:
    """Nats on test and validation images, CPU seconds of training, and of 64 draws."""
    train, valid, test = x[:1000], x[1000:1350], x[1350:]
    width, layers, batch, steps, lr = COUNTS.values()
    g = torch.Generator().manual_seed(seed)
    start = time.process_time()
    model = PixelCNN((1, 8, 8), LEVELS, width, layers, generator=g).start(train)
    fit(model, nll, train, steps=steps, batch_size=batch, lr=lr, generator=g, progress=False)
    trained = time.process_time()
    model.sample(SAMPLES, generator=g)
    drawn = time.process_time()
    with torch.no_grad():
        nats = [float(nll(model, part).mean()) for part in (test, valid)]
    return *nats, trained - start, drawn - trained


def counts() -> dict:
    """A PixelCNN of 17 levels."""
    x = torch.from_numpy(load_digits().images).float()[:, None]
    columns = zip(*(pixelcnn(x, seed) for seed in SEEDS), strict=True)
    found = dict(zip((NATS, VALIDATION, TRAINING, DRAWING), map(list, columns), strict=True))
    return measurement(
        "PixelCNN on the digits as counts",
        {"train": 1000, "valid": 350, "test": 447, **COUNTS},
        found,
        [
            (NATS, 86.35, f"{TOMCZAK}, the better of two seeds"),
            (TRAINING, 254, f"{TOMCZAK}, the quicker of two seeds"),
            (DRAWING, 5.02, TOMCZAK),
        ],
        {NATS: 85.5, TRAINING: 60, DRAWING: 0.5},
    )


def bits() -> dict:
    """MADE on the digits as zeros and ones: a pixel is 1 above half of the full ink."""
    images = data.digits()
    train, test = ((part.flatten(1) > 0.5).float() for part in (images.train, images.test))
    hidden, batch, steps, lr = BITS.values()
    found = []
    for seed in SEEDS:
        g = torch.Generator().manual_seed(seed)
        model = MADE(64, (hidden,), generator=g)
        fit(model, nll, train, steps=steps, batch_size=batch, lr=lr, generator=g, progress=False)
        with torch.no_grad():
            found.append(float(nll(model, test).mean()))
    return measurement(
        "MADE on the digits as bits",
        {"train": len(train), "test": len(test), **BITS},
        {NATS: found},
        [
            (NATS, 17.59, RUN.format("pytorch-generative")),
            (NATS, 17.91, RUN.format("Karpathy's pytorch-made")),
        ],
        {NATS: 17.6},
    )


def ours() -> tuple[nn.Module, LogProb]:
    model = MAF(64, TRANSFORMS, HIDDEN)
    return model, model.log_prob


def zuko() -> tuple[nn.Module, LogProb]:
    from zuko.flows import MAF

    model = MAF(64, transforms=TRANSFORMS, hidden_features=HIDDEN)
    return model, lambda x: model().log_prob(x)


def nflows() -> tuple[nn.Module, LogProb]:
    from nflows.flows import MaskedAutoregressiveFlow

    model = MaskedAutoregressiveFlow(64, HIDDEN[0], TRANSFORMS, 1, use_residual_blocks=False)
    return model, model.log_prob


BUILD = {"zuko": zuko, "nflows": nflows}


def spread(x: Tensor) -> Tensor:
    """Counts spread over their cells, and the cells over the line."""
    return torch.logit(EDGE + (1 - 2 * EDGE) * (x + torch.rand(x.shape)) / LEVELS)


def density() -> dict:
    """MAF on counts with uniform noise, after a logit: nats of the density there."""
    images = data.digits()
    train, test = ((16 * part.flatten(1)).round() for part in (images.train, images.test))
    batch, steps, lr = DENSITY.values()

    def reached(build: Callable[[], tuple[nn.Module, LogProb]], seed: int) -> float:
        torch.manual_seed(seed)
        model, log_prob = build()

        def loss(x: Tensor) -> Tensor:
            return -log_prob(spread(x)).mean()

        torch.manual_seed(1000 + seed)  # of the batches and the noise
        loop(model, loss, train, steps, lr, batch)
        torch.manual_seed(0)
        with torch.no_grad():
            return float(loss(test))

    builds = {NATS: ours} | {f"{NATS}, {name}": BUILD[name] for name in PEERS}
    sizes = {"transforms": TRANSFORMS, "hidden": "128, 128", "edge of the logit": EDGE}
    return measurement(
        "MAF on the digits after a logit",
        {"train": len(train), "test": len(test), **sizes, **DENSITY},
        {name: [reached(build, seed) for seed in SEEDS] for name, build in builds.items()},
        [],
        {NATS: 114.0},
    )


def main() -> None:
    print("About 3 minutes on an idle core.", flush=True)
    record.one_thread()
    environment = record.environment("genlab", "torch", "numpy", "scikit-learn", *PEERS)
    torch.optim.Adam([torch.zeros(1)])  # the first optimizer spends 4 s on imports
    measurements = []
    for measure in (counts, bits, density):
        measurements.append(measure())
        record.show(measurements[-1])
    record.save(
        "published_autoregressive_digits",
        {
            "family": "published: autoregressive models on digits",
            **environment,
            "measurements": measurements,
        },
    )


if __name__ == "__main__":
    main()
