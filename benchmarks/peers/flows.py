"""RealNVP on two moons and a Glow of images, beside a bare loop and three libraries.

python -m benchmarks.peers.flows

zuko, nflows and normflows are no dependencies of genlab: what cannot be imported is left out. All
have the same couplings and as many weights, start as their library starts them, and are trained by
one recipe, Adam in two stages. It was chosen for genlab's flow, on other seeds than those reported.
"""

import math
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec

import torch
from torch import Tensor, nn

from benchmarks import record
from genlab import train
from genlab.data import TwoMoons
from genlab.flows import Flow, Glow, RealNVP, data_dependent_start, negative_log_likelihood

COUPLINGS, HIDDEN, BATCH = 8, (64, 64), 512
NOISE, TRAIN, TEST = 0.05, 100_000, 20_000
STAGES = ((700, 2e-3), (300, 2e-4))  # steps and learning rate
SEEDS = range(5)
STEPS, ROUNDS = 250, 24
SIDE, SCALES, GLOW_STEPS, WIDTH, IMAGES, GLOW_ROUNDS = 28, 2, 4, 64, 32, 12
PEERS = [name for name in ("zuko", "nflows", "normflows") if find_spec(name)]
Loss = Callable[[Tensor], Tensor]  # from a batch to the mean of −log p


def moons() -> tuple[Tensor, Tensor, float]:
    """Standardised points to train and to test on, and −log p of the truth on the latter."""
    law = TwoMoons(noise=NOISE)
    x = law.sample(TRAIN + TEST, generator=torch.Generator().manual_seed(0))
    mean, std = x[:TRAIN].mean(0), x[:TRAIN].std(0)
    truth = -(law.log_prob(x[TRAIN:]).mean() + std.log().sum())
    x = (x - mean) / std
    return x[:TRAIN], x[TRAIN:], float(truth)


def ours(seed: int) -> RealNVP:
    return RealNVP(2, COUPLINGS, HIDDEN, generator=torch.Generator().manual_seed(seed))


def bare(seed: int) -> tuple[nn.Module, Loss]:
    """What one would write without a library, on the networks of genlab."""
    nets = nn.ModuleList(coupling.net for coupling in ours(seed).transform.parts)

    def loss(x: Tensor) -> Tensor:
        log_det = 0.0
        a, b = x.chunk(2, 1)
        for net in nets:
            s, t = net(a).chunk(2, 1)
            s = torch.tanh(s)
            a, b = (b - t) * torch.exp(-s), a  # the two take turns
            log_det = log_det - s.sum(1)
        log_normal = -0.5 * (a**2 + b**2).sum(1) - math.log(2 * math.pi)
        return -(log_normal + log_det).mean()

    return nets, loss


def zuko(seed: int) -> tuple[nn.Module, Loss]:
    from zuko.flows import RealNVP

    torch.manual_seed(seed)
    model = RealNVP(2, transforms=COUPLINGS, hidden_features=HIDDEN)
    return model, lambda x: -model().log_prob(x).mean()


def nflows(seed: int) -> tuple[nn.Module, Loss]:
    from nflows.distributions import StandardNormal
    from nflows.flows import Flow
    from nflows.nn.nets import MLP
    from nflows.transforms import AffineCouplingTransform, CompositeTransform

    class Net(MLP):
        def forward(self, x: Tensor, context: None) -> Tensor:
            return super().forward(x)

    torch.manual_seed(seed)
    layers = [
        AffineCouplingTransform([i % 2, 1 - i % 2], lambda n, m: Net([n], [m], HIDDEN))
        for i in range(COUPLINGS)
    ]
    model = Flow(CompositeTransform(layers), StandardNormal([2]))
    return model, lambda x: -model.log_prob(x).mean()


def normflows(seed: int) -> tuple[nn.Module, Loss]:
    import normflows as nf

    torch.manual_seed(seed)
    layers = []
    for _ in range(COUPLINGS):
        net = nf.nets.MLP([1, *HIDDEN, 2], init_zeros=True)
        layers += [nf.flows.AffineCouplingBlock(net), nf.flows.Permute(2, mode="swap")]
    model = nf.NormalizingFlow(nf.distributions.DiagGaussian(2, trainable=False), layers)
    return model, model.forward_kld


BUILD = {"bare loop": bare, "zuko": zuko, "nflows": nflows, "normflows": normflows}


def loop(model: nn.Module, loss: Loss, x: Tensor, steps: int, lr: float, batch: int) -> float:
    """Adam on shuffled batches, fused as in `train.fit`; returns the last loss."""
    optimizer = torch.optim.Adam(model.parameters(), lr=lr, fused=True)
    order = torch.empty(0, dtype=torch.long)
    for _ in range(steps):
        if len(order) == 0:
            order = torch.randperm(len(x))
        rows, order = x[order[:batch]], order[batch:]
        optimizer.zero_grad()
        value = loss(rows)
        value.backward()
        optimizer.step()
        last = value.item()
    return last


def fitted(model: Flow, x: Tensor, steps: int, lr: float, batch: int) -> float:
    """`train.fit` with all its checks."""
    options = {"steps": steps, "lr": lr, "batch_size": batch, "progress": False}
    return float(train.fit(model, negative_log_likelihood, x, **options).loss[-1])


def step_on_moons(x: Tensor) -> dict:
    """The time of a step of the RealNVP, and how far the losses lie apart before the first."""
    entrants = {"genlab": partial(fitted, ours(0), x)} | {
        name: partial(loop, *BUILD[name](0), x) for name in ["bare loop", *PEERS]
    }
    options = {"lr": STAGES[0][1], "batch": BATCH}
    gap = abs(fitted(ours(0), x[:BATCH], 1, **options) - bare(0)[1](x[:BATCH]).item())
    run = {name: partial(entrant, steps=STEPS, **options) for name, entrant in entrants.items()}
    result = record.race(run, ROUNDS)
    for times in result["seconds"].values():
        times["milliseconds_a_step"] = 1000 * times["median_cpu"] / STEPS
    ratio = 1 / result["ratios"]["bare loop"]["cpu"]["median"]
    return {
        "what": "training step of RealNVP on two moons",
        "setting": {
            "couplings": COUPLINGS,
            "hidden": "64, 64",
            "batch": BATCH,
            "steps": STEPS,
            "seed": 0,
        },
        **result,
        "max_abs_gap": {"bare loop": gap},
        "targets": [
            record.target("times the CPU time of the bare loop", ratio, 1.05, at_least=False)
        ],
    }


def likelihood_on_moons(x: Tensor, test: Tensor, truth: float) -> dict:
    """Every seed's −log p on points that were not trained on, after 1,000 steps."""

    def reached(name: str, seed: int) -> float:
        if name == "genlab":
            model = ours(seed)
            run, loss = partial(fitted, model, x), lambda x: -model.log_prob(x).mean()
        else:
            model, loss = BUILD[name](seed)
            run = partial(loop, model, loss, x)
        torch.manual_seed(1000 + seed)  # of the batches
        for steps, lr in STAGES:
            run(steps, lr, BATCH)
        model.eval()
        with torch.no_grad():
            return float(loss(test))

    nats = {name: [reached(name, seed) for seed in SEEDS] for name in ["genlab", *PEERS]}
    here = nats["genlab"]
    return {
        "what": "negative log-likelihood of standardised two moons by RealNVP",
        "setting": {
            "noise": NOISE,
            "train": TRAIN,
            "test": TEST,
            "batch": BATCH,
            "steps and rates": ", then ".join(f"{steps} at {lr:g}" for steps, lr in STAGES),
            "seeds": "0 to 4",
        },
        "nats_of_the_truth_on_the_test_points": truth,
        "repetitions": {f"nats, test, {name}": found for name, found in nats.items()},
        "targets": [
            record.target("nats, test, worst of 5 seeds", max(here), 1.25, at_least=False),
            record.target("worst less best", max(here) - min(here), 0.05, at_least=False),
        ],
    }


def glow_of_normflows() -> tuple[nn.Module, Loss]:
    """The same depth and the same networks; the scales are listed from coarse to fine."""
    import normflows as nf

    torch.manual_seed(0)
    bases, stages = [], []
    for scale in range(SCALES, 0, -1):
        channels, side = 2 ** (scale + 1), SIDE // 2**scale
        blocks = [nf.flows.GlowBlock(channels, WIDTH) for _ in range(GLOW_STEPS)]
        stages.append([*blocks, nf.flows.Squeeze()])
        left = channels if scale == SCALES else channels // 2
        bases.append(nf.distributions.DiagGaussian((left, side, side), trainable=False))
    merges = [nf.flows.Merge() for _ in range(SCALES - 1)]
    model = nf.MultiscaleFlow(bases, stages, merges, class_cond=False)
    return model, model.forward_kld


def step_of_glow() -> dict:
    """The time of a step of Glow, and the number of its parameters."""
    g = torch.Generator().manual_seed(0)
    x = torch.rand(10 * IMAGES, 1, SIDE, SIDE, generator=g)
    model = Glow((1, SIDE, SIDE), SCALES, GLOW_STEPS, WIDTH, generator=g)
    data_dependent_start(model.transform, x[:IMAGES])
    models, entrants = {"genlab": model}, {"genlab": partial(fitted, model, x)}
    if "normflows" in PEERS:
        models["normflows"], loss = glow_of_normflows()
        entrants["normflows"] = partial(loop, models["normflows"], loss, x)
    steps = 10
    options = {"steps": steps, "lr": 1e-4, "batch": IMAGES}
    run = {name: partial(entrant, **options) for name, entrant in entrants.items()}
    result = record.race(run, GLOW_ROUNDS)
    for times in result["seconds"].values():
        times["milliseconds_a_step"] = 1000 * times["median_cpu"] / steps
    return {
        "what": "training step of Glow",
        "setting": {
            "image": "28 × 28",
            "scales": SCALES,
            "steps of flow at each": GLOW_STEPS,
            "width": WIDTH,
            "batch": IMAGES,
            "steps": steps,
            "seed": 0,
        },
        **result,
        "parameters": {
            name: sum(weight.numel() for weight in model.parameters())
            for name, model in models.items()
        },
        "targets": [],
    }


def main() -> None:
    print("About 5 minutes on an idle core.", flush=True)
    record.one_thread()
    environment = record.environment("genlab", "torch", "numpy", *PEERS)
    x, test, truth = moons()
    measurements = []
    for measure in (
        partial(step_on_moons, x),
        partial(likelihood_on_moons, x, test, truth),
        step_of_glow,
    ):
        measurements.append(measure())
        record.show(measurements[-1])
    record.save("flows", {"family": "flows", **environment, "measurements": measurements})


if __name__ == "__main__":
    main()
