"""The 8 × 8 digits as counts from 0 to 16: flows beside a table of each pixel's frequencies.

python -m benchmarks.published.flows_digits

The split of Tomczak's code for "Deep generative modeling": the first 1,000 images to train, the
next 350 to choose, the last 447 to test. The same couplings stand once behind the margins of the
pixels, once behind a learnt shift and scale. Width, dropout, decay and steps were chosen by the
bound on the validation images; the test images are looked at once, at the end of each seed.
"""

import time
from functools import partial

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

from benchmarks import record
from genlab.flows import (
    ActNorm,
    AffineCoupling,
    Compose,
    Dequantised,
    Flow,
    GaussianMargins,
    LUConv,
    StandardNormal,
    data_dependent_start,
    zero_last,
)
from genlab.nets import MLP
from genlab.train import fit

PIXELS, LEVELS = 64, 17
COUPLINGS, HIDDEN, DROPOUT, DECAY = 4, 128, 0.5, 0.1
STAGES = {  # steps and learning rate
    "behind margins": ((500, 1e-3), (200, 3e-4)),
    "plain": ((300, 1e-3), (100, 1e-4)),
}
BATCH, DRAWS, SEEDS = 64, 100, range(5)
TOMCZAK = "Tomczak 2024, {}; his code (intro_dgm at 28bbc85), run for this course"
PUBLISHED = {
    TOMCZAK.format("RealNVP, its noise made to fill the cell"): 124.4,
    TOMCZAK.format("flow over whole numbers"): 142.66,
}


def table(x: Tensor) -> GaussianMargins:
    """The frequencies of each pixel by itself, from the images to train on."""
    return GaussianMargins(x[:1000], LEVELS)


def model(name: str, x: Tensor, seed: int) -> Dequantised:
    """Margins or actnorm; then actnorm, a linear map and couplings."""
    g = torch.Generator().manual_seed(seed)
    first = table(x) if name == "behind margins" else ActNorm((PIXELS,))
    layers = [first, ActNorm((PIXELS,)), LUConv((PIXELS,), torch.eye(PIXELS))]
    for i in range(COUPLINGS):
        *body, last = MLP(PIXELS // 2, PIXELS, (HIDDEN, HIDDEN), generator=g)
        net = zero_last(nn.Sequential(*body, nn.Dropout(DROPOUT), last))
        layers.append(AffineCoupling((PIXELS,), net, first=i % 2 == 0, bound=2.0))
    return Dequantised(Flow(StandardNormal((PIXELS,)), Compose(*layers)), LEVELS)


def loss(model: Dequantised, x: Tensor, g: torch.Generator) -> Tensor:
    return -model.elbo(x, generator=g)


def run(name: str, x: Tensor, seed: int) -> tuple[float, float, float, float]:
    """CPU seconds of training; the bound on validation and test images; the latter with draws."""
    train, valid, test = x[:1000], x[1000:1350], x[1350:]
    torch.manual_seed(seed)  # dropout draws from the global generator
    g = torch.Generator().manual_seed(seed)
    start = time.process_time()
    net = model(name, x, seed)
    data_dependent_start(net.flow.transform, train + torch.rand(train.shape, generator=g))
    optimizer = partial(torch.optim.AdamW, weight_decay=DECAY)
    options = {"batch_size": BATCH, "optimizer": optimizer, "generator": g, "progress": False}
    for steps, lr in STAGES[name]:
        fit(net, loss, train, steps=steps, lr=lr, **options)
    seconds = time.process_time() - start
    net.eval()
    with torch.no_grad():
        bounds = [-net.elbo(part, DRAWS, generator=g).mean() for part in (valid, test)]
    bounds.append(-net.log_prob_estimate(test, DRAWS, generator=g).mean())
    return seconds, *map(float, bounds)


def likelihood(name: str, x: Tensor) -> dict:
    """Every seed's bound, and the mean beside the table's and those of published code."""
    seconds, valid, test, tight = zip(*(run(name, x, seed) for seed in SEEDS), strict=True)
    here = sum(test) / len(test)
    alone = Dequantised(Flow(StandardNormal((PIXELS,)), table(x)), LEVELS)
    g = torch.Generator().manual_seed(0)
    baseline = -float(alone.elbo(x[1350:], generator=g).mean())
    limit = record.target("nats an image, test, mean", here, baseline, at_least=False)
    references = {"a table of each pixel's frequencies, from the same images": baseline}
    return {
        "what": f"Flow on the digits as counts, {name}",
        "setting": {
            "train": 1000,
            "valid": 350,
            "test": 447,
            "couplings": COUPLINGS,
            "steps": sum(steps for steps, _ in STAGES[name]),
            "draws in the bound": DRAWS,
            "seeds": "0 to 4",
        },
        "published": [
            {
                "what": "nats an image, test",
                "here": here,
                "published": figure,
                "source": source,
            }
            for source, figure in (references | PUBLISHED).items()
        ],
        "repetitions": {
            "nats an image, validation": list(valid),
            "nats an image, test": list(test),
            "nats an image, test, log of the mean weight": list(tight),
            "CPU seconds of training": list(seconds),
        },
        "targets": [limit] if name == "behind margins" else [],
    }


def main() -> None:
    print("About 3 minutes on an idle core.", flush=True)
    record.one_thread()
    environment = record.environment("genlab", "torch", "numpy", "scikit-learn")
    x = torch.from_numpy(load_digits().data).float()
    torch.optim.AdamW([torch.zeros(1)])  # the first optimizer spends 4 s on imports
    measurements = []
    for name in STAGES:
        measurements.append(likelihood(name, x))
        record.show(measurements[-1])
    record.save(
        "published_flows_digits",
        {"family": "published: flows on digits", **environment, "measurements": measurements},
    )


if __name__ == "__main__":
    main()
