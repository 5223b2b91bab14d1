"""A sigmoid belief net of 200 units by NVIL, beside the figure of Mnih and Gregor.

python -m benchmarks.published.nvil --data FOLDER --folder CHECKPOINTS

The setting of the paper: one layer of 200 binary units, affine maps to and from them, a baseline
of 100 tanh units, and MNIST in the fixed binarisation. Other than in the paper: Adam with batches
of 100 in place of plain steps with batches of 20 and a learning signal divided by its deviation,
and 120 epochs. The rate was chosen on validation images.
"""

from argparse import Namespace

import torch
from torch import Tensor, nn

from benchmarks import record
from benchmarks.published import training
from genlab import data
from genlab.nets import MLP
from genlab.variational import NVIL, BernoulliDecoder, BernoulliEncoder

STAGES = ((45_000, 3e-3), (10_000, 1e-3), (5_000, 3e-4))
UNITS, BATCH, DRAWS, SEED = 200, 100, 100, 0


def model() -> NVIL:
    """One layer of binary units, and a baseline that sees x."""
    g = torch.Generator().manual_seed(SEED)
    encoder = BernoulliEncoder(MLP(784, UNITS, (), generator=g))
    decoder = BernoulliDecoder(MLP(UNITS, 784, (), generator=g))
    baseline = MLP(784, 1, (100,), activation=nn.Tanh, generator=g)
    return NVIL(encoder, decoder, UNITS, baseline)


def loss(model: NVIL, x: Tensor, g: torch.Generator) -> Tensor:
    return model.loss(x, generator=g)


def bound(images: data.BinaryImages, chosen: Namespace) -> dict:
    """Train, and average the bound on the test images over draws from q."""
    net = model()
    x = images.train.flatten(1).float()
    seconds = training.train(
        "nvil", net, loss, x, STAGES, batch_size=BATCH, seed=SEED, chosen=chosen
    )
    g = torch.Generator(chosen.device).manual_seed(SEED)
    test = images.test.flatten(1).float().to(chosen.device)
    blocks = test.split(250)
    nats = -torch.cat([net.elbo(block, DRAWS, generator=g) for block in blocks])
    figure = float(nats.mean())
    return {
        "what": "Sigmoid belief net of 200 units: bound on binarised MNIST",
        "setting": {
            "binarisation": "fixed",
            "epochs": round(sum(n for n, _ in STAGES) * BATCH / len(x)),
            "batch": BATCH,
            "draws in the bound on the test set": DRAWS,
            "seed": SEED,
        },
        "published": [
            {
                "what": "nats an image",
                "here": figure,
                "published": 113.1,
                "source": "Mnih and Gregor 2014",
            }
        ],
        "standard_error_in_nats": float(nats.std()) / len(test) ** 0.5,
        "training_seconds": seconds,
        "targets": [record.target("nats an image", figure, 125, at_least=False)],
    }


def main() -> None:
    chosen = training.options("NVIL on binarised MNIST.", 7)
    environment = record.environment("genlab", "torch", "numpy", "scipy")
    measurements = [bound(data.binarized_mnist(chosen.data), chosen)]
    record.show(measurements[-1])
    record.save(
        "published_nvil", {"family": "published: NVIL", **environment, "measurements": measurements}
    )


if __name__ == "__main__":
    main()
