"""MADE, NADE and a PixelCNN on binarised MNIST, beside the published nats.

python -m benchmarks.published.autoregressive_mnist --data FOLDER --folder CHECKPOINTS

The fixed binarisation of the papers, 50,000 images to train, and an exact likelihood. Less was
spent than in the papers, under ten minutes of one core a model: theirs were trained until the
validation images said to stop, MADE with up to 8,000 hidden units and NADE with 500, the PixelCNN
and the PixelRNN on GPUs. Widths, rates and batches were chosen by validation images, in runs of
at most four minutes. Of MADE 2,000 units beat 500 with seven times the steps, by ten nats.
"""

from argparse import Namespace
from typing import NamedTuple

import torch
from torch import Generator, Tensor

from benchmarks import record
from benchmarks.published import training
from genlab import data
from genlab.autoregressive import MADE, NADE, Autoregressive, PixelCNN, nll

PIXELS, SEED = 784, 0
GERMAIN, OORD = "Germain et al. 2015, table 6", "van den Oord et al. 2016, table 4"


class Recipe(NamedTuple):
    """How one model is built and trained, and what was published."""

    sizes: dict[str, int]
    batch: int
    stages: training.Stages
    published: dict[str, float]


RECIPES = {
    "MADE": Recipe(
        {"hidden": 2000},
        100,
        ((3_000, 2e-3), (1_500, 4e-4), (500, 1e-4)),
        {f"{GERMAIN}, one hidden layer": 88.40, f"{GERMAIN}, two and 32 masks": 86.64},
    ),
    "NADE": Recipe(
        {"hidden": 200},
        20,
        ((15_000, 5e-3), (5_000, 1e-3), (2_000, 2e-4)),
        {f"{GERMAIN}, 500 hidden units": 88.33},
    ),
    "PixelCNN": Recipe(
        {"width": 32, "layers": 6},
        20,
        ((5_000, 3e-3), (2_000, 5e-4)),
        {f"{OORD}, PixelCNN": 81.30, f"{OORD}, PixelRNN": 79.20},
    ),
}
TARGETS = {"MADE": 95.0}


def model(name: str, sizes: dict[str, int], x: Tensor, g: Generator) -> Autoregressive:
    """The model of this name; the PixelCNN begins with the frequencies of the pixels."""
    if name == "PixelCNN":
        return PixelCNN((1, 28, 28), **sizes, generator=g).start(x.reshape(-1, 1, 28, 28))
    if name == "MADE":
        return MADE(PIXELS, (sizes["hidden"],), generator=g)
    return NADE(PIXELS, **sizes, generator=g)


@torch.no_grad()
def nats(model: Autoregressive, x: Tensor, device: str) -> Tensor:
    """−log p of each image."""
    return torch.cat([nll(model, part.to(device)) for part in x.split(100)])


def likelihood(name: str, images: data.BinaryImages, chosen: Namespace) -> dict:
    """Train, and average −log p over the test images."""
    sizes, batch, stages, published = RECIPES[name]
    net = model(name, sizes, images.train, torch.Generator().manual_seed(SEED))
    train, valid, test = (
        part.reshape(-1, *net.event).float() for part in (images.train, images.valid, images.test)
    )
    seconds = training.train(
        f"autoregressive-{name}",
        net,
        nll,
        train,
        stages,
        batch_size=batch,
        seed=SEED,
        chosen=chosen,
    )
    each = nats(net, test, chosen.device)
    here = float(each.mean())
    return {
        "what": f"{name}: negative log-likelihood of binarised MNIST",
        "setting": {
            "binarisation": "fixed",
            **sizes,
            "epochs": round(sum(n for n, _ in stages) * batch / len(train), 1),
            "batch": batch,
            "seed": SEED,
        },
        "published": [
            {"what": "nats an image, test", "here": here, "published": figure, "source": source}
            for source, figure in published.items()
        ],
        "standard_error_in_nats": float(each.std()) / len(test) ** 0.5,
        "nats_on_the_validation_images": float(nats(net, valid, chosen.device).mean()),
        "nats_on_as_many_training_images": float(
            nats(net, train[: len(test)], chosen.device).mean()
        ),
        "parameters": sum(weight.numel() for weight in net.parameters()),
        "training_seconds": seconds,
        "targets": [
            record.target("nats an image, test", here, limit, at_least=False)
            for of, limit in TARGETS.items()
            if of == name
        ],
    }


def main() -> None:
    chosen = training.options("MADE, NADE and a PixelCNN on binarised MNIST.", 21)
    environment = record.environment("genlab", "torch", "numpy", "scipy")
    images = data.binarized_mnist(chosen.data)
    measurements = []
    for name in RECIPES:
        measurements.append(likelihood(name, images, chosen))
        record.show(measurements[-1])
    record.save(
        "published_autoregressive_mnist",
        {
            "family": "published: autoregressive models on MNIST",
            **environment,
            "measurements": measurements,
        },
    )


if __name__ == "__main__":
    main()
