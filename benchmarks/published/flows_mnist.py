"""RealNVP and Glow on MNIST with 256 grey values, beside the published bits per dimension.

python -m benchmarks.published.flows_mnist --data FOLDER --folder CHECKPOINTS

Whole grey values from 0 to 255, with uniform noise on each cell. The published flows are several
times as deep and wide, and were trained on GPUs for far longer. Here about ten minutes of one core
a model have to do. So the flow begins with the margins of the pixels, where the papers take logits:
with nothing behind them it is a table of each pixel's frequencies, which stands beside it. The
size of the batch was chosen on training images that were held out.
"""

from argparse import Namespace

import torch
from torch import Tensor

from benchmarks import record
from benchmarks.published import training
from genlab import data
from genlab.flows import (
    Compose,
    Dequantised,
    Flow,
    GaussianMargins,
    Glow,
    ImageRealNVP,
    StandardNormal,
    bits_per_dim,
    data_dependent_start,
)

EVENT, LEVELS, PIXELS = (1, 28, 28), 256, 784
SOURCE = "Grathwohl et al. 2019, table 2"
PUBLISHED = {"RealNVP": 1.06, "Glow": 1.05}
STAGES = ((6_000, 2e-3), (1_500, 3e-4))
SCALES, DEPTH, WIDTH = 2, {"RealNVP": 3, "Glow": 6}, 32
BATCH, DRAWS, SEED = 50, 8, 0


def behind(margins: GaussianMargins, name: str) -> Flow:
    """The flow of this name between the margins and N(0, I); "" for nothing."""
    if not name:
        return Flow(StandardNormal(EVENT), margins)
    build = {"RealNVP": ImageRealNVP, "Glow": Glow}[name]
    g = torch.Generator().manual_seed(SEED)
    flow = build(EVENT, SCALES, DEPTH[name], WIDTH, generator=g)
    return Flow(flow.base, Compose(margins, flow.transform))


def loss(model: Dequantised, x: Tensor, g: torch.Generator) -> Tensor:
    return -model.elbo(x, generator=g)


@torch.no_grad()
def bits(model: Dequantised, x: Tensor, device: str) -> tuple[float, float, float]:
    """The bound in bits per dimension, its standard error, and the bound from the mean weight."""
    g = torch.Generator(device).manual_seed(SEED)
    log_w = torch.cat(
        [model.log_weights(part.to(device), DRAWS, generator=g) for part in x.split(100)], 1
    )
    each = bits_per_dim(log_w.mean(0), PIXELS)
    tight = bits_per_dim(log_w.logsumexp(0) - torch.tensor(float(DRAWS)).log(), PIXELS)
    return float(each.mean()), float(each.std()) / len(x) ** 0.5, float(tight.mean())


def likelihood(name: str, images: dict[str, Tensor], chosen: Namespace) -> dict:
    """Train, and bound the bits per dimension of the test images; beside them the table's."""
    margins = GaussianMargins(images["train"], LEVELS)
    table = Dequantised(behind(margins, ""), LEVELS).to(chosen.device)
    model = Dequantised(behind(margins, name), LEVELS)
    g = torch.Generator().manual_seed(SEED)
    some = images["train"][:500]
    data_dependent_start(model.flow.transform, some + torch.rand(some.shape, generator=g))
    seconds = training.train(
        f"flows-{name}",
        model,
        loss,
        images["train"],
        STAGES,
        batch_size=BATCH,
        seed=SEED,
        chosen=chosen,
    )
    model.eval()
    figure, error, tight = bits(model, images["test"], chosen.device)
    alone = bits(table, images["test"], chosen.device)[0]
    references = {SOURCE: PUBLISHED[name], "a table of each pixel's frequencies": alone}
    return {
        "what": f"{name} behind the margins of the pixels: MNIST with 256 grey values",
        "setting": {
            "scales": SCALES,
            "couplings at each": 2 * DEPTH[name] if name == "RealNVP" else DEPTH[name],
            "width": WIDTH,
            "epochs": round(sum(n for n, _ in STAGES) * BATCH / len(images["train"]), 1),
            "batch": BATCH,
            "draws in the bound on the test set": DRAWS,
            "seed": SEED,
        },
        "published": [
            {
                "what": "bits per dimension, test",
                "here": figure,
                "published": reference,
                "source": source,
            }
            for source, reference in references.items()
        ],
        "standard_error_in_bits_per_dimension": error,
        "bits_per_dimension_from_the_mean_weight": tight,
        "parameters": sum(weight.numel() for weight in model.parameters()),
        "training_seconds": seconds,
        "targets": [],
    }


def main() -> None:
    chosen = training.options("RealNVP and Glow on MNIST.", 25)
    environment = record.environment("genlab", "torch", "numpy", "torchvision")
    mnist = data.mnist(chosen.data)
    images = {"train": mnist.train, "test": mnist.test}
    images = {name: (255 * x).round() for name, x in images.items()}
    measurements = []
    for name in PUBLISHED:
        measurements.append(likelihood(name, images, chosen))
        record.show(measurements[-1])
    record.save(
        "published_flows_mnist",
        {"family": "published: flows on MNIST", **environment, "measurements": measurements},
    )


if __name__ == "__main__":
    main()
