"""Steps of a GAN in the plane beside a bare loop, from the same weights and the same numbers.

python -m benchmarks.peers.gans
"""

from functools import partial

import torch
from torch import Generator, Tensor, nn
from torch.nn.functional import softplus
from torch.optim import Adam

from benchmarks import record
from genlab.data import Ring
from genlab.flows import StandardNormal
from genlab.gans import Discriminator, play
from genlab.gans import Generator as Player
from genlab.nets import MLP

BATCH, WIDTH, EXAMPLES, STEPS, ROUNDS = 512, 128, 20_480, 250, 25
LR, BETAS = 1e-4, (0.5, 0.999)


def seeded(seed: int) -> Generator:
    return torch.Generator().manual_seed(seed)


def players() -> tuple[Player, Discriminator]:
    """The same weights every time."""
    g, hidden, leaky = seeded(0), 2 * (WIDTH,), partial(nn.LeakyReLU, 0.2)
    G = Player(StandardNormal((2,)), MLP(2, 2, hidden, generator=g))
    return G, Discriminator(MLP(2, 1, hidden, activation=leaky, generator=g))


def genlab(G: Player, D: Discriminator, x: Tensor, steps: int) -> tuple[float, float]:
    """`play` with all its checks; the last losses."""
    options = {"batch_size": BATCH, "lr": LR, "generator": seeded(1), "progress": False}
    history = play(G, D, x, steps=steps, **options)
    return float(history.d[-1]), float(history.g[-1])


def bare(G: Player, D: Discriminator, x: Tensor, steps: int) -> tuple[float, float]:
    """What one would write without a library, on the nets of genlab; the last losses."""
    g, generate, judge = seeded(1), G.net, D.net
    optimizers = [Adam(net.parameters(), LR, BETAS, fused=True) for net in (judge, generate)]
    of_judge, of_generate = optimizers
    order = torch.empty(0, dtype=torch.long)
    for _ in range(steps):
        if len(order) == 0:
            order = torch.randperm(len(x), generator=g)
        real, order = x[order[:BATCH]], order[BATCH:]
        fake = generate(torch.randn(BATCH, 2, generator=g)).detach()
        d_loss = (softplus(-judge(real)) + softplus(judge(fake))).mean()
        of_judge.zero_grad()
        d_loss.backward()
        of_judge.step()
        g_loss = softplus(-judge(generate(torch.randn(BATCH, 2, generator=g)))).mean()
        of_generate.zero_grad()
        g_loss.backward()
        of_generate.step()
        last = d_loss.item(), g_loss.item()
    return last


def steps() -> dict:
    """The time of a step of D and one of G, and how far the losses lie apart after a run."""
    x = Ring().sample(EXAMPLES, generator=seeded(2))
    loops = {"genlab": genlab, "bare loop": bare}
    last = {name: torch.tensor(run(*players(), x, STEPS)) for name, run in loops.items()}
    gap = float((last["genlab"] - last["bare loop"]).abs().max())
    entrants = {name: partial(run, *players(), x, STEPS) for name, run in loops.items()}
    result = record.race(entrants, ROUNDS)
    for times in result["seconds"].values():
        times["milliseconds_a_step"] = 1000 * times["median_cpu"] / STEPS
    ratio = 1 / result["ratios"]["bare loop"]["cpu"]["median"]
    return {
        "what": "training step of a GAN, D and G",
        "setting": {"batch": BATCH, "hidden": f"2 × {WIDTH} each", "steps": STEPS, "seed": 0},
        **result,
        "max_abs_gap": {f"bare loop, after {STEPS} steps": gap},
        "targets": [
            record.target("times the CPU time of the bare loop", ratio, 1.05, at_least=False)
        ],
    }


def main() -> None:
    print("About a minute on an idle core.", flush=True)
    record.one_thread()
    environment = record.environment("genlab", "torch", "numpy")
    torch.optim.Adam([torch.zeros(1)])  # the first optimizer spends 4 s on imports
    measurement = steps()
    record.show(measurement)
    record.save("gans", {"family": "gans", **environment, "measurements": [measurement]})


if __name__ == "__main__":
    main()
