"""Training steps of a VAE and an IWAE beside a bare loop and pythae, from the same weights.

python -m benchmarks.peers.variational

pythae is no dependency of genlab: where it cannot be imported, it is left out.
"""

import math
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from benchmarks import record
from genlab import train
from genlab.nets import MLP
from genlab.variational import IWAE, VAE, BernoulliDecoder, GaussianEncoder, negative_elbo

PIXELS, HIDDEN, LATENT, BATCH = 784, 512, 16, 128
SETTINGS = {1: (40, 40), 5: (20, 30)}  # by k: steps, rounds
PYTHAE = find_spec("pythae") is not None
Step = Callable[[Tensor], Tensor]  # from a batch to the mean loss


def build(k: int) -> VAE:
    """The same weights every time; k = 1 is the VAE."""
    g = torch.Generator().manual_seed(0)
    encoder = GaussianEncoder(MLP(PIXELS, 2 * LATENT, (HIDDEN,), generator=g))
    decoder = BernoulliDecoder(MLP(LATENT, PIXELS, (HIDDEN,), generator=g))
    return IWAE(encoder, decoder, LATENT, k=k) if k > 1 else VAE(encoder, decoder, LATENT)


def bare(k: int) -> tuple[nn.Module, Step]:
    """What one would write without a library, on the networks of genlab."""
    model = build(k)
    encoder, decoder = model.encoder.net, model.decoder.net

    def loss(x: Tensor) -> Tensor:
        mean, log_sigma = encoder(x).chunk(2, -1)
        noise = torch.randn(k, *mean.shape) if k > 1 else torch.randn_like(mean)
        z = mean + log_sigma.exp() * noise
        logits = decoder(z)
        pixels = x.expand_as(logits)
        log_p = -binary_cross_entropy_with_logits(logits, pixels, reduction="none").sum(-1)
        if k == 1:
            kl = 0.5 * (mean**2 + (2 * log_sigma).exp() - 1 - 2 * log_sigma).sum(-1)
            return (kl - log_p).mean()
        log_w = log_p - (0.5 * (z**2 - noise**2) - log_sigma).sum(-1)
        return (math.log(k) - log_w.logsumexp(0)).mean()

    return model, loss


def pythae(k: int) -> tuple[nn.Module, Step]:
    """pythae's model with its default networks, which are of these sizes, and our weights."""
    from pythae.models import IWAE, VAE, IWAEConfig, VAEConfig

    shape = {"input_dim": (PIXELS,), "latent_dim": LATENT, "reconstruction_loss": "bce"}
    model = IWAE(IWAEConfig(number_samples=k, **shape)) if k > 1 else VAE(VAEConfig(**shape))
    ours = build(k)
    hidden, codes = ours.encoder.net[0], ours.encoder.net[2]
    log_var = nn.Linear(HIDDEN, LATENT)
    with torch.no_grad():
        log_var.weight.copy_(2 * codes.weight[LATENT:])
        log_var.bias.copy_(2 * codes.bias[LATENT:])
        model.encoder.embedding.weight.copy_(codes.weight[:LATENT])
        model.encoder.embedding.bias.copy_(codes.bias[:LATENT])
    model.encoder.log_var = log_var
    model.encoder.layers[0][0] = hidden
    model.decoder.layers[0][0], model.decoder.layers[1][0] = (
        ours.decoder.net[0],
        ours.decoder.net[2],
    )
    return model, lambda x: model({"data": x}).loss


def loop(model: nn.Module, loss: Step, x: Tensor, steps: int) -> float:
    """Adam on shuffled batches, fused as in `train.fit`; returns the last loss."""
    torch.manual_seed(1)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
    order = torch.empty(0, dtype=torch.long)
    for _ in range(steps):
        if len(order) == 0:
            order = torch.randperm(len(x))
        batch, order = x[order[:BATCH]], order[BATCH:]
        optimizer.zero_grad()
        value = loss(batch)
        value.backward()
        optimizer.step()
        last = value.item()
    return last


def genlab_steps(model: VAE, x: Tensor, steps: int) -> float:
    """`train.fit` with all its checks."""
    torch.manual_seed(1)
    history = train.fit(model, negative_elbo, x, steps=steps, batch_size=BATCH, progress=False)
    return float(history.loss[-1])


def steps_of(k: int) -> dict:
    """The time of a step, and how far the losses lie apart before the first."""
    steps, rounds = SETTINGS[k]
    g = torch.Generator().manual_seed(0)
    x = (torch.rand(10 * BATCH, PIXELS, generator=g) < 0.13).float()
    name = "VAE" if k == 1 else "IWAE"
    others = {"bare loop": bare(k)} | ({f"pythae {name}": pythae(k)} if PYTHAE else {})
    entrants = {f"genlab {name}": partial(genlab_steps, build(k), x)} | {
        other: partial(loop, *made, x) for other, made in others.items()
    }
    first = {name: entrant(1) for name, entrant in entrants.items()}
    if k > 1:  # pythae's IWAE reports another number than its bound, and draws in another order
        first.pop("pythae IWAE", None)
    ours, *gaps = first.values()
    result = record.race({key: partial(run, steps) for key, run in entrants.items()}, rounds)
    for times in result["seconds"].values():
        times["milliseconds_a_step"] = 1000 * times["median_cpu"] / steps
    ratio = 1 / result["ratios"]["bare loop"]["cpu"]["median"]
    return {
        "what": f"training step of the {name}",
        "setting": {
            "pixels": PIXELS,
            "hidden": HIDDEN,
            "latent": LATENT,
            "batch": BATCH,
            "k": k,
            "steps": steps,
            "seed": 0,
        },
        **result,
        "max_abs_gap": dict(zip(list(first)[1:], (abs(gap - ours) for gap in gaps), strict=True)),
        "targets": [
            record.target("times the CPU time of the bare loop", ratio, 1.05, at_least=False)
        ],
    }


def main() -> None:
    print("About 3 minutes on an idle core.", flush=True)
    record.one_thread()
    packages = ["genlab", "torch", "numpy"] + ["pythae"] * PYTHAE
    environment = record.environment(*packages)
    measurements = []
    for k in SETTINGS:
        measurements.append(steps_of(k))
        record.show(measurements[-1])
    record.save(
        "variational", {"family": "variational", **environment, "measurements": measurements}
    )


if __name__ == "__main__":
    main()
