"""Drawing and scoring beside plain loops, and steps of MADE beside a bare loop and two libraries.

python -m benchmarks.peers.autoregressive

zuko and nflows are no dependencies of genlab: what cannot be imported is left out. Most of the time
goes into the naive loops, which run a whole model anew for each entry.
"""

from collections.abc import Callable
from functools import partial
from importlib.util import find_spec

import torch
from torch import Generator, Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, linear, softplus

from benchmarks import record
from benchmarks.peers.flows import loop
from genlab import train
from genlab.autoregressive import MADE, NADE, PixelCNN, WaveNet, jacobi, naive, nll

IMAGE, IMAGES, WIDTH, LAYERS, FIRST = (1, 28, 28), 16, 32, 6, 7
SYMBOLS, FIELD, DILATIONS, SEQUENCES = 256, 1024, 10, {1: 3, 16: 1}  # of them: rounds
PIXELS, UNITS, CALLS = 784, 500, {1: 40, 64: 5}  # by batch: calls in a round
STEPS = {(784, 500): 250, (64, 256): 400}  # by inputs and hidden units: steps in a round
BATCH, ROUNDS = 128, 25
PEERS = [name for name in ("zuko", "nflows") if find_spec(name)]
Function = Callable[[Tensor], Tensor]


def seeded(seed: int) -> Generator:
    return torch.Generator().manual_seed(seed)


# To draw ------------------------------------------------------------------------------------------


def drawing(samplers: dict[str, Function], u: Tensor, rounds: int) -> dict:
    """The time to draw what these uniforms decide, and how many entries another draws otherwise."""
    drawn: dict[str, Tensor] = {}

    def draw(name: str) -> None:
        drawn[name] = samplers[name](u)

    result = record.race({name: partial(draw, name) for name in samplers}, rounds)
    ours, *others = samplers
    differ = {name: int((drawn[name] != drawn[ours]).sum()) for name in others}
    return {**result, "entries_that_differ": differ}


def images() -> dict:
    """A PixelCNN, each site computed once, beside a pass for each pixel and Jacobi sweeps."""
    model = PixelCNN(IMAGE, 2, WIDTH, LAYERS, FIRST, generator=seeded(0))
    u = torch.rand(IMAGES, *IMAGE, generator=seeded(1))
    samplers = {
        "genlab": model.from_uniforms,
        "naive loop": partial(naive, model),
        "Jacobi sweeps": lambda u: jacobi(model, u).x,
    }
    result = drawing(samplers, u, rounds=3)
    ratio = result["ratios"]["naive loop"]["cpu"]["median"]
    return {
        "what": "images drawn from a PixelCNN",
        "setting": {
            "images": IMAGES,
            "image": "28 × 28",
            "first kernel": f"{FIRST} × {FIRST}",
            "residual layers": LAYERS,
            "width": WIDTH,
            "seed": 0,
        },
        **result,
        "targets": [
            record.target("times as fast as the naive loop", ratio, 100, at_least=True),
            record.target(
                "pixels that differ", sum(result["entries_that_differ"].values()), 0, at_least=False
            ),
        ],
    }


def sequences(n: int) -> dict:
    """A WaveNet with a queue for each layer beside a pass for each symbol."""
    model = WaveNet(SYMBOLS, FIELD, DILATIONS, width=WIDTH, generator=seeded(0))
    u = torch.rand(n, FIELD, generator=seeded(1))
    samplers = {"genlab": model.from_uniforms, "naive loop": partial(naive, model)}
    return {
        "what": "sequences drawn from a WaveNet",
        "setting": {
            "sequences": n,
            "symbols": SYMBOLS,
            "length": FIELD,
            "receptive field": model.receptive_field,
            "layers": DILATIONS,
            "width": WIDTH,
            "seed": 0,
        },
        **drawing(samplers, u, SEQUENCES[n]),
        "targets": [],
    }


# To score and to train ----------------------------------------------------------------------------


def one_by_one(model: NADE, x: Tensor) -> Tensor:
    """log p(x) of a NADE by the recursion of its paper, an input after the other."""
    a, total = model.c, torch.zeros(len(x))
    for value, w, v, b in zip(x.T, model.W, model.V, model.b, strict=True):
        logit = a.sigmoid() @ v + b
        total = total - softplus(logit * (1 - 2 * value))
        a = a + value[:, None] * w
    return total


@torch.no_grad()
def likelihood(batch: int) -> dict:
    """The time of NADE's log-likelihoods, and how far the two ways lie apart."""
    model = NADE(PIXELS, UNITS, generator=seeded(0))
    x = (torch.rand(batch, PIXELS, generator=seeded(1)) < 0.13).float()
    entrants = {"genlab": model.log_prob, "loop over inputs": partial(one_by_one, model)}

    def calls(log_prob: Function) -> None:
        for _ in range(CALLS[batch]):
            log_prob(x)

    result = record.race({name: partial(calls, run) for name, run in entrants.items()}, ROUNDS)
    for times in result["seconds"].values():
        times["milliseconds_a_call"] = 1000 * times["median_cpu"] / CALLS[batch]
    ratio = result["ratios"]["loop over inputs"]["cpu"]["median"]
    gap = float((model.log_prob(x) - one_by_one(model, x)).abs().max())
    return {
        "what": "log-likelihood of NADE",
        "setting": {
            "batch": batch,
            "inputs": PIXELS,
            "hidden": UNITS,
            "calls": CALLS[batch],
            "seed": 0,
        },
        **result,
        "max_abs_gap": {"loop over inputs": gap},
        # In a batch the loop's calls cost no more than their sums: the target is for one example.
        "targets": [record.target("times as fast as a loop over inputs", ratio, 10, at_least=True)]
        if batch == 1
        else [],
    }


def ours(n: int, hidden: int) -> MADE:
    return MADE(n, (hidden,), generator=seeded(0))


def bare(n: int, hidden: int) -> tuple[nn.Module, Function]:
    """What one would write without a library, on the layers of genlab."""
    first, last = ours(n, hidden).net.layers
    degree, place = 1 + torch.arange(hidden) * (n - 1) // hidden, 1 + torch.arange(n)
    into, out = (degree[:, None] >= place).float(), (place[:, None] > degree).float()

    def logits(x: Tensor) -> Tensor:
        h = linear(x, first.weight * into, first.bias).relu()
        return linear(h, last.weight * out, last.bias)

    return nn.ModuleList([first, last]), logits


def zuko(n: int, hidden: int) -> tuple[nn.Module, Function]:
    from zuko.nn import MaskedMLP

    net = MaskedMLP(torch.ones(n, n).tril(-1).bool(), (hidden,))
    return net, net


def nflows(n: int, hidden: int) -> tuple[nn.Module, Function]:
    from nflows.transforms.made import MADE

    net = MADE(n, hidden, num_blocks=0, use_residual_blocks=False)
    return net, net


BUILD = {"bare loop": bare, "zuko": zuko, "nflows": nflows}


def loss_of(logits: Function, x: Tensor) -> Tensor:
    return binary_cross_entropy_with_logits(logits(x), x, reduction="none").sum(1).mean()


def fitted(model: MADE, x: Tensor, steps: int, lr: float, batch: int) -> float:
    """`train.fit` with all its checks."""
    options = {"steps": steps, "lr": lr, "batch_size": batch, "progress": False}
    return float(train.fit(model, nll, x, **options).loss[-1])


def step(n: int, hidden: int) -> dict:
    """The time of a step of MADE, and how far the losses lie apart before the first."""
    x = (torch.rand(10 * BATCH, n, generator=seeded(1)) < 0.13).float()
    entrants = {"genlab": partial(fitted, ours(n, hidden), x)}
    for name in ["bare loop", *PEERS]:
        net, logits = BUILD[name](n, hidden)
        entrants[name] = partial(loop, net, partial(loss_of, logits), x)
    steps, options = STEPS[n, hidden], {"lr": 1e-3, "batch": BATCH}
    first = fitted(ours(n, hidden), x[:BATCH], 1, **options)
    gap = abs(first - loss_of(bare(n, hidden)[1], x[:BATCH]).item())
    run = {name: partial(entrant, steps=steps, **options) for name, entrant in entrants.items()}
    result = record.race(run, ROUNDS)
    for times in result["seconds"].values():
        times["milliseconds_a_step"] = 1000 * times["median_cpu"] / steps
    ratio = 1 / result["ratios"]["bare loop"]["cpu"]["median"]
    return {
        "what": "training step of MADE",
        "setting": {"inputs": n, "hidden": hidden, "batch": BATCH, "steps": steps, "seed": 0},
        **result,
        "max_abs_gap": {"bare loop": gap},
        # On the small net what does not grow with it is a fifth of a step: no target is set for it.
        "targets": [
            record.target("times the CPU time of the bare loop", ratio, 1.05, at_least=False)
        ]
        if n == PIXELS
        else [],
    }


def main() -> None:
    print("About 12 minutes on an idle core.", flush=True)
    record.one_thread()
    environment = record.environment("genlab", "torch", "numpy", *PEERS)
    measurements = []
    for measure in (
        images,
        *(partial(likelihood, batch) for batch in CALLS),
        *(partial(step, *sizes) for sizes in STEPS),
        *(partial(sequences, n) for n in SEQUENCES),
    ):
        measurements.append(measure())
        record.show(measurements[-1])
    record.save(
        "autoregressive", {"family": "autoregressive", **environment, "measurements": measurements}
    )


if __name__ == "__main__":
    main()
