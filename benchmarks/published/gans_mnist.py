"""A DCGAN on MNIST: how far its draws are from images that it never saw, and what they show.

python -m benchmarks.published.gans_mnist --data FOLDER --folder CHECKPOINTS

The nets of the page with 32 channels, the rates and batches of Radford, Metz and Chintala 2016; ten
passes through the data. Distances are between features of an own classifier that was trained on the
training images, so they compare with nobody's. Beside that of the draws stands that of as many
training images, which is what chance leaves. The same classifier says which digits the draws show.
"""

from argparse import Namespace

import torch
from torch import Generator, Tensor
from torch.nn.functional import one_hot

from benchmarks import record
from benchmarks.published import training
from genlab import data, gans
from genlab.divergences import kl
from genlab.flows import StandardNormal

NAME, SEED, LATENT, WIDTH, BATCH, STEPS, RATE = "published_gans_mnist", 0, 100, 32, 64, 9_370, 2e-4
DRAWS, FEW, JUDGED = 10_000, 2_500, 3_000


def seeded(seed: int) -> Generator:
    return torch.Generator().manual_seed(seed)


def shares(judge: torch.nn.Module, x: Tensor) -> Tensor:
    """How often the classifier sees each digit."""
    with torch.no_grad():
        return one_hot(judge(x).argmax(1), 10).double().mean(0)


def measured(chosen: Namespace) -> dict:
    """Play the game, then compare draws and training images with test images."""
    images = data.mnist(chosen.data)
    x, test = 2 * images.train - 1, 2 * images.test - 1
    judge = gans.classifier(
        x, images.train_labels, hidden=(256, 64), steps=JUDGED, generator=seeded(100)
    )
    with torch.no_grad():
        right = (judge(test).argmax(1) == images.test_labels).double().mean()

    g, event = seeded(SEED), x.shape[1:]
    up = gans.dcgan_generator(LATENT, event, WIDTH, generator=g)
    G = gans.Generator(StandardNormal((LATENT,)), up)
    D = gans.Discriminator(gans.dcgan_discriminator(event, WIDTH, generator=g))
    history = gans.play(
        G,
        D,
        x,
        steps=STEPS,
        batch_size=BATCH,
        lr=RATE,
        generator=g,
        checkpoint=chosen.folder and chosen.folder / "dcgan.safetensors",
        progress=False,
    )
    G.eval()
    few = torch.randperm(len(x), generator=g)[:DRAWS]
    there = gans.features(judge, test)
    distances, precision, recall, missed = {}, {}, {}, {}
    for what, here in {"draws": G.sample(DRAWS, generator=g), "training images": x[few]}.items():
        seen = gans.features(judge, here)
        distances[what] = gans.frechet_distance(there, seen)
        precision[what], recall[what] = gans.precision_recall(there[:FEW], seen[:FEW])
        missed[what] = float(kl(shares(judge, here), shares(judge, test)))
    return {
        "what": "DCGAN on MNIST",
        "setting": {
            "train": len(x),
            "test": len(test),
            "channels": f"{2 * WIDTH} and {WIDTH}",
            "noise": LATENT,
            "batch": BATCH,
            "steps": STEPS,
            "learning rate": RATE,
            "draws": DRAWS,
            "seed": SEED,
        },
        "Fréchet_distance_in_features": distances,
        "precision": precision,
        "recall": recall,
        "KL_of_the_shares_of_digits_in_nats": missed,
        "share_right_of_the_classifier": float(right),
        "training_seconds": float(history.seconds),
        "targets": [],
    }


def main() -> None:
    chosen = training.options("A DCGAN on MNIST", 15)
    environment = record.environment("genlab", "torch", "numpy")
    measurement = measured(chosen)
    record.show(measurement)
    record.save(
        NAME,
        {"family": "published: a DCGAN on MNIST", **environment, "measurements": [measurement]},
    )


if __name__ == "__main__":
    main()
