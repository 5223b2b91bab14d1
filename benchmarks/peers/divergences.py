"""Wasserstein distances and entropic transport beside scipy and POT.

python -m benchmarks.peers.divergences
"""

from functools import partial

import ot
import torch
from scipy.stats import wasserstein_distance
from torch import Tensor

from benchmarks import record
from genlab.divergences import sinkhorn, wasserstein_1d

N = 1_000_000  # points on the line, in each sample
M = 1000  # points in the plane, in each sample
EPSILONS = (1.0, 0.1)  # the largest of the M x M squared distances is about 65
STOP = 1e-6  # POT's stopThr: Euclidean norm of the error of the columns


def distance_on_the_line(n: int = N) -> dict:
    """W₁ of two samples of one size: both sort."""
    g = torch.Generator().manual_seed(0)
    x, y = torch.randn(2, n, dtype=torch.float64, generator=g)
    y += 1
    entrants = {
        "genlab wasserstein_1d": lambda: wasserstein_1d(x, y),
        "scipy wasserstein_distance": lambda: wasserstein_distance(x.numpy(), y.numpy()),
        "POT wasserstein_1d": lambda: ot.wasserstein_1d(x.numpy(), y.numpy(), p=1),
    }
    ours = float(wasserstein_1d(x, y))
    gap = {name: abs(float(run()) - ours) for name, run in list(entrants.items())[1:]}
    result = record.race(entrants, 7)
    share = 1 / result["ratios"]["scipy wasserstein_distance"]["cpu"]["median"]
    return {
        "what": "Wasserstein distance on the line",
        "setting": {"n": n, "seed": 0},
        **result,
        "max_abs_gap": gap,
        "targets": [
            record.target("times scipy's CPU time", share, 0.5, at_least=False),
            record.target("gap to scipy", gap["scipy wasserstein_distance"], 1e-9, at_least=False),
        ],
    }


def entropic_plan(epsilon: float, n: int = M) -> dict:
    """Sinkhorn to the same error of the marginals: genlab is asked for the one that POT reached."""
    g = torch.Generator().manual_seed(1)
    x, y = torch.randn(2, n, 2, dtype=torch.float64, generator=g)
    cost = torch.cdist(x, y + 1) ** 2
    a = torch.full((n,), 1 / n, dtype=torch.float64)
    weights, table = a.numpy(), cost.numpy()

    def peer() -> Tensor:
        plan = ot.bregman.sinkhorn_log(
            weights, weights, table, epsilon, numItermax=100_000, stopThr=STOP
        )
        return torch.from_numpy(plan)

    theirs = peer()
    reached = max(float((theirs.sum(axis) - a).abs().sum()) for axis in (0, 1))
    ours = sinkhorn(a, a, cost, epsilon=epsilon, tol=reached)
    converged = sinkhorn(a, a, cost, epsilon=epsilon, tol=1e-12, max_iterations=1_000_000).cost
    error = {
        name: {"cost": float(((plan * cost).sum() - converged).abs())}
        for name, plan in (("genlab sinkhorn", ours.plan), ("POT sinkhorn_log", theirs))
    }
    entrants = {
        "genlab sinkhorn": lambda: sinkhorn(a, a, cost, epsilon=epsilon, tol=reached),
        "POT sinkhorn_log": peer,
    }
    result = record.race(entrants, 5)
    times = result["ratios"]["POT sinkhorn_log"]["cpu"]["median"]
    return {
        "what": "entropic transport",
        "setting": {
            "n": n,
            "d": 2,
            "epsilon": epsilon,
            "largest_cost": float(cost.max()),
            "marginal_error": reached,
            "seed": 1,
        },
        **result,
        "max_abs_error": error,
        "targets": [record.target("times faster than POT, CPU", times, 1.0, at_least=True)],
    }


def main() -> None:
    print("About 2 minutes on an idle core.", flush=True)
    record.one_thread()
    environment = record.environment("genlab", "torch", "numpy", "scipy", "pot")
    measurements = []
    for task in [distance_on_the_line, *(partial(entropic_plan, e) for e in EPSILONS)]:
        measurements.append(task())
        record.show(measurements[-1])
    record.save(
        "divergences", {"family": "divergences", **environment, "measurements": measurements}
    )


if __name__ == "__main__":
    main()
