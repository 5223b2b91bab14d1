"""A conditional GAN on the 8 × 8 digits: are draws what was asked for, and can one learn from them?

python -m benchmarks.published.gans_digits

A perceptron on noise and the label's code, against a projection discriminator, on genlab's split of
1,437 images to train and 360 to test. One classifier is trained on real images and asked about
draws: the share of requested labels that it finds is the GAN-test of Shmelkov et al. 2018. Another
is trained on 5,000 draws and asked about real test images: GAN-train. The players see no test
image; but their settings were chosen with these two figures in view.
"""

import time
from functools import partial
from statistics import mean, stdev

import torch
from torch import Generator, Tensor, nn

from benchmarks import record
from genlab import data
from genlab.flows import StandardNormal
from genlab.gans import (
    ConditionalGenerator,
    ProjectionDiscriminator,
    accuracy,
    classifier,
    discriminator_loss,
    generator_loss,
    play,
    r1_penalty,
)
from genlab.nets import MLP

CLASSES, LATENT, WIDTH, DRAWS, SEEDS = 10, 32, 256, 5_000, range(5)
STEPS, RATE, BATCH, SMOOTH, GAMMA = 4_000, 3e-4, 64, 0.1, 0.1
FOUND, LEARNT, REAL = (
    "share of requested labels found",
    "accuracy on test images after training on draws",
    "accuracy on test images after training on real ones",
)
SECONDS = "CPU seconds of a game"
LIMITS = {FOUND: 0.95, LEARNT: 0.90}
LEAKY = partial(nn.LeakyReLU, 0.2)


def seeded(seed: int) -> Generator:
    return torch.Generator().manual_seed(seed)


def game(x: Tensor, y: Tensor, g: Generator) -> ConditionalGenerator:
    net = nn.Sequential(MLP(LATENT + CLASSES, 64, 2 * (WIDTH,), generator=g), nn.Tanh())
    G = ConditionalGenerator(StandardNormal((LATENT,)), net, CLASSES)
    phi = nn.Sequential(MLP(64, WIDTH, (WIDTH,), activation=LEAKY, generator=g), LEAKY())
    D = ProjectionDiscriminator(phi, WIDTH, CLASSES, generator=g)
    play(
        G,
        D,
        (x, y),
        steps=STEPS,
        lr=RATE,
        batch_size=BATCH,
        loss=(partial(discriminator_loss, smooth=SMOOTH), generator_loss),
        penalty=lambda D, x, *_: GAMMA * r1_penalty(D, x),
        generator=g,
        progress=False,
    )
    return G


def conditional() -> dict:
    """Every seed's two accuracies, beside that of a classifier that saw real images."""
    digits = data.digits()
    x, test = (2 * part.flatten(1) - 1 for part in (digits.train, digits.test))
    judge = classifier(x, digits.train_labels, generator=seeded(100))
    asked = torch.arange(CLASSES).repeat(DRAWS // CLASSES)
    found = {FOUND: [], LEARNT: [], SECONDS: []}
    for seed in SEEDS:
        g, start = seeded(seed), time.process_time()
        G = game(x, digits.train_labels, g)
        found[SECONDS].append(time.process_time() - start)
        fake = G.sample(DRAWS, asked, generator=g)
        found[FOUND].append(accuracy(judge, fake, asked))
        pupil = classifier(fake, asked, steps=2_000, generator=seeded(200))
        found[LEARNT].append(accuracy(pupil, test, digits.test_labels))
    return {
        "what": "conditional GAN on the digits",
        "setting": {
            "train": len(x),
            "test": len(test),
            "hidden": f"2 × {WIDTH} each",
            "noise": LATENT,
            "batch": BATCH,
            "steps": STEPS,
            "learning rate": RATE,
            "γ of R1": GAMMA,
            "target of real": 1 - SMOOTH,
            "draws": DRAWS,
            "seeds": "0 to 4",
        },
        "repetitions": found,
        "standard_deviation": {key: stdev(values) for key, values in found.items()},
        REAL.replace(" ", "_"): accuracy(judge, test, digits.test_labels),
        "targets": [
            record.target(f"{name}, mean", mean(found[name]), limit, at_least=True)
            for name, limit in LIMITS.items()
        ],
    }


def main() -> None:
    print("About 3 minutes on an idle core.", flush=True)
    record.one_thread()
    environment = record.environment("genlab", "torch", "numpy", "scikit-learn")
    torch.optim.Adam([torch.zeros(1)])  # the first optimizer spends 4 s on imports
    measurement = conditional()
    record.show(measurement)
    record.save(
        "published_gans_digits",
        {"family": "published: a GAN on digits", **environment, "measurements": [measurement]},
    )


if __name__ == "__main__":
    main()
