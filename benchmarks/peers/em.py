"""EM iterations of a Gaussian mixture beside scikit-learn's, from the same start.

python -m benchmarks.peers.em
"""

import json
import subprocess
import sys
import warnings
from functools import partial

import numpy as np
import torch
from sklearn.mixture import GaussianMixture as SklearnMixture
from torch import Tensor

from benchmarks import record
from genlab import data
from genlab.em import GaussianMixture

K = 30  # components, full covariances
SETTINGS = {"annulus": (900, 2, 60, 9), "blobs": (100_000, 10, 7, 5)}  # n, d, iterations, rounds
Start = tuple[Tensor, Tensor, Tensor]


def sample(name: str) -> tuple[Tensor, Start]:
    """The data and one start: means drawn from the data, equal weights, equal round covariances."""
    n, d, _, _ = SETTINGS[name]
    g = torch.Generator().manual_seed(d)
    if name == "annulus":
        x = data.Annulus(1, 1.5).sample(n, generator=g).double()
    else:
        centres = 4 * torch.randn(K, d, dtype=torch.float64, generator=g)
        which = torch.randint(K, (n,), generator=g)
        x = centres[which] + torch.randn(n, d, dtype=torch.float64, generator=g)
    means = x[torch.randperm(n, generator=g)[:K]]
    covariance = (0.2 if name == "annulus" else 1.0) * x.var(0).mean() * torch.eye(d).double()
    weights = torch.full((K,), 1 / K, dtype=torch.float64)
    return x, (weights, means, covariance.expand(K, d, d).contiguous())


def entrants(name: str, x: Tensor, start: Start) -> dict:
    """Both run the same number of iterations, and neither stops before."""
    iterations = SETTINGS[name][2]
    ours = GaussianMixture(K, floor=1e-6, tol=0, max_iterations=iterations)
    theirs = SklearnMixture(
        K,
        reg_covar=0,
        tol=0,
        max_iter=iterations,
        weights_init=start[0].numpy(),
        means_init=start[1].numpy(),
        precisions_init=np.linalg.inv(start[2].numpy()),
        init_params="random_from_data",
        random_state=0,
    )
    return {
        "genlab GaussianMixture": lambda: ours.fit(x, start=start),
        "scikit-learn GaussianMixture": lambda: theirs.fit(x.numpy()),
    }


def iterations(name: str) -> dict:
    """The time of an iteration, and the mean log-likelihood that both reach."""
    n, d, steps, rounds = SETTINGS[name]
    x, start = sample(name)
    both = entrants(name, x, start)
    ours, theirs = (fit() for fit in both.values())
    if len(ours.history) != steps + 1 or theirs.n_iter_ != steps:
        raise RuntimeError(f"{name}: {len(ours.history) - 1} and {theirs.n_iter_} iterations.")
    reached = [float(ours.log_prob(x).mean()), float(theirs.score(x.numpy()))]
    result = record.race(both, rounds)
    for times in result["seconds"].values():
        times["milliseconds_an_iteration"] = 1000 * times["median_cpu"] / steps
    ratio = result["ratios"]["scikit-learn GaussianMixture"]["cpu"]["median"]
    return {
        "what": f"EM on the {name}",
        "setting": {"data": n, "d": d, "K": K, "iterations": steps, "seed": d},
        **result,
        "log_likelihood": dict(zip(both, reached, strict=True)),
        "targets": [
            record.target("times faster than scikit-learn, CPU", ratio, 5, at_least=True),
            record.target(
                "gap in log-likelihood, nats", abs(reached[0] - reached[1]), 1e-6, at_least=False
            ),
        ],
    }


def memory() -> dict:
    """Peak memory of a fresh process, before and after one fit of the 100,000 rows.

    To be called before anything large: a child's peak begins with its parent's.
    """
    n, d, steps, _ = SETTINGS["blobs"]
    peaks = {}
    for which in range(2):
        child = f"from benchmarks.peers import em; em.memory_child({which})"
        command = [sys.executable, "-c", child]
        run = subprocess.run(command, cwd=record.ROOT, capture_output=True, text=True, check=True)
        peaks |= json.loads(run.stdout)
    ours, theirs = peaks.values()
    return {
        "what": "peak memory of a fit",
        "setting": {"data": n, "d": d, "K": K, "iterations": steps, "seed": d},
        "increment_bytes": peaks,
        "data_bytes": 8 * n * d,
        "targets": [
            record.target("bytes beyond the data", ours, 64e6, at_least=False),
            record.target("times less than scikit-learn", theirs / ours, 1, at_least=True),
        ],
    }


def memory_child(which: int) -> None:
    """Print by how much one entrant raises the peak of this process."""
    record.one_thread()
    warnings.simplefilter("ignore")
    x, start = sample("blobs")
    name, fit = list(entrants("blobs", x, start).items())[which]
    before = record.peak_memory()
    fit()
    print(json.dumps({name: record.peak_memory() - before}))


def main() -> None:
    print("About 2 minutes on an idle core.", flush=True)
    record.one_thread()
    warnings.simplefilter("ignore")  # scikit-learn: it stops before it has converged, as asked
    environment = record.environment("genlab", "torch", "numpy", "scipy", "scikit-learn")
    measurements = []
    for task in (memory, partial(iterations, "annulus"), partial(iterations, "blobs")):
        measurements.append(task())
        record.show(measurements[-1])
    record.save("em", {"family": "em", **environment, "measurements": measurements})


if __name__ == "__main__":
    main()
