"""Kernel and nearest-neighbour densities beside scikit-learn, scipy and a bare torch loop.

python -m benchmarks.peers.density
"""

import json
import math
import subprocess
import sys
import time
from functools import partial

import numpy as np
import torch
from scipy.spatial import cKDTree
from scipy.stats import gaussian_kde
from sklearn.neighbors import KernelDensity, NearestNeighbors
from torch import Tensor

from benchmarks import record
from genlab.density import KDE, KNNDensity

N = 10_000  # data, and as many queries
K = 10  # neighbours
DIMENSIONS = (1, 2, 10)
MANY = 1_000_000  # queries of the memory measurement


def sample(d: int) -> tuple[Tensor, Tensor]:
    """Standard normal data and queries, the data whitened to sample covariance I.

    The Scott rules of the libraries differ only in how they scale by the sample covariance; on
    whitened data each gives h = n^(−1/(d+4)).
    """
    g = torch.Generator().manual_seed(d)
    x, queries = torch.randn(2, N, d, dtype=torch.float64, generator=g)
    x = x - x.mean(0)
    root = torch.linalg.cholesky(x.T @ x / (N - 1))
    return torch.linalg.solve_triangular(root, x.T, upper=False).T.contiguous(), queries


def exact_log_density(queries: Tensor, x: Tensor, h: float) -> np.ndarray:
    """The Gaussian estimate by direct differences in long double (x86: 64-bit mantissa)."""
    centres, d = x.numpy().astype(np.longdouble), x.shape[1]
    log_sums = []
    for query in queries.numpy().astype(np.longdouble):
        exponent = -(((query - centres) / h) ** 2).sum(1) / 2
        top = exponent.max()
        log_sums.append(top + np.log(np.exp(exponent - top).sum()))
    two_pi = 8 * np.arctan(np.longdouble(1))
    return np.array(log_sums) - np.log(np.longdouble(N) * h**d * two_pi ** (np.longdouble(d) / 2))


def kernel_density(d: int) -> dict:
    """log p̂ at 10,000 queries, models fitted before; all four are asked for the same numbers."""
    x, queries = sample(d)
    h = N ** (-1 / (d + 4))
    ours = KDE("scott").fit(x)
    tree = KernelDensity(bandwidth="scott", rtol=0).fit(x.numpy())
    scipy = gaussian_kde(x.numpy().T, bw_method="scott")
    v = x / h
    constant = math.log(N) + d * math.log(h) + 0.5 * d * math.log(2 * math.pi)

    def bare(points: Tensor) -> Tensor:
        blocks = (points / h).split(1000)
        return torch.cat([(-0.5 * torch.cdist(u, v) ** 2).logsumexp(1) for u in blocks]) - constant

    entrants = {
        "genlab KDE": ours.log_prob,
        "scikit-learn KernelDensity": lambda points: tree.score_samples(points.numpy()),
        "scipy gaussian_kde": lambda points: scipy.logpdf(points.numpy().T),
        "torch cdist + logsumexp": bare,
    }
    order = queries.norm(dim=1).argsort()
    parts = {
        "200 of the queries": queries[order[:-200]][:: N // 200],
        "the furthest 200": queries[order[-200:]],
        "three times as far": 3 * queries[order[-200:]],
    }
    error = {name: {} for name in entrants}
    for part, points in parts.items():
        truth = exact_log_density(points, x, h)
        for name, log_p in entrants.items():
            error[name][part] = float(abs(np.asarray(log_p(points)) - truth).max())
    result = record.race({name: partial(log_p, queries) for name, log_p in entrants.items()}, 7)
    ratio = result["ratios"]["scikit-learn KernelDensity"]["cpu"]["median"]
    worst = max(error["genlab KDE"].values())
    return {
        "what": "exact Gaussian log-density",
        "setting": {"d": d, "data": N, "queries": N, "h": h, "seed": d},
        **result,
        "max_abs_error": error,
        "reference_epsilon": float(np.finfo(np.longdouble).eps),
        "targets": [
            record.target("times faster than scikit-learn, CPU", ratio, 2.5, at_least=True),
            record.target("largest error in log p̂, nats", worst, 1e-9, at_least=False),
        ],
    }


def neighbour_fit(d: int) -> dict:
    """Building the tree; genlab's also looks for rows so equal that the estimate is infinite."""
    x, _ = sample(d)
    entrants = {
        "genlab KNNDensity": lambda: KNNDensity(K).fit(x),
        "scipy cKDTree": lambda: cKDTree(x.numpy()),
        "scikit-learn NearestNeighbors": lambda: NearestNeighbors(n_neighbors=K).fit(x.numpy()),
    }
    result = record.race(entrants, 25)
    return _neighbour_result("k nearest neighbours, fit", d, result)


def neighbour_query(d: int) -> dict:
    """genlab returns log p̂, scipy the k-th distance, scikit-learn all k distances and indices."""
    x, queries = sample(d)
    ours, tree = KNNDensity(K).fit(x), cKDTree(x.numpy())
    neighbours = NearestNeighbors(n_neighbors=K).fit(x.numpy())
    entrants = {
        "genlab KNNDensity": lambda: ours.log_prob(queries),
        "scipy cKDTree": lambda: tree.query(queries.numpy(), k=[K]),
        "scikit-learn NearestNeighbors": lambda: neighbours.kneighbors(queries.numpy()),
    }
    log_ball = 0.5 * d * math.log(math.pi) - math.lgamma(0.5 * d + 1)
    log_p = entrants["genlab KNNDensity"]().numpy()
    gap = {
        name: float(
            abs(math.log(K / N) - log_ball - d * np.log(entrants[name]()[0][:, -1]) - log_p).max()
        )
        for name in list(entrants)[1:]
    }
    result = record.race(entrants, 15)
    return _neighbour_result("k nearest neighbours, query", d, result) | {"max_abs_gap": gap}


def _neighbour_result(what: str, d: int, result: dict) -> dict:
    times = 1 / result["ratios"]["scipy cKDTree"]["cpu"]["median"]
    return {
        "what": what,
        "setting": {"d": d, "k": K, "data": N, "queries": N, "seed": d},
        **result,
        "targets": [record.target("times cKDTree's CPU time", times, 1.5, at_least=False)],
    }


def memory() -> dict:
    """Peak memory of a fresh process, before and after a million queries in the plane.

    To be called before anything large: a child's peak begins with its parent's.
    """
    child = "from benchmarks.peers import density; density.memory_child()"
    run = subprocess.run(
        [sys.executable, "-c", child], cwd=record.ROOT, capture_output=True, text=True, check=True
    )
    peaks = json.loads(run.stdout)
    return {
        "what": "peak memory of many queries",
        "setting": {"d": 2, "data": N, "queries": MANY, "seed": 3},
        **peaks,
        "increment_bytes": peaks["after_bytes"] - peaks["before_bytes"],
        "targets": [record.target("bytes in all", peaks["after_bytes"], 1e9, at_least=False)],
    }


def memory_child() -> None:
    record.one_thread()
    g = torch.Generator().manual_seed(3)
    model = KDE("scott").fit(torch.randn(N, 2, dtype=torch.float64, generator=g))
    queries = torch.randn(MANY, 2, dtype=torch.float64, generator=g)
    before, start = record.peak_memory(), time.process_time()
    log_p = model.log_prob(queries)
    cpu, after = time.process_time() - start, record.peak_memory()
    if not log_p.isfinite().all():
        raise ArithmeticError("Expected a finite log-density at every query.")
    print(json.dumps({"before_bytes": before, "after_bytes": after, "cpu_seconds": cpu}))


def main() -> None:
    print("About 5 minutes on an idle core.", flush=True)
    record.one_thread()
    environment = record.environment("genlab", "torch", "numpy", "scipy", "scikit-learn")
    tasks = [memory] + [
        partial(task, d)
        for task in (kernel_density, neighbour_fit, neighbour_query)
        for d in DIMENSIONS
    ]
    measurements = []
    for task in tasks:
        measurements.append(task())
        record.show(measurements[-1])
    record.save("density", {"family": "density", **environment, "measurements": measurements})


if __name__ == "__main__":
    main()
