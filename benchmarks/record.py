"""Time entrants side by side and keep what was measured, with everything that it depends on."""

import json
import os
import platform
import re
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median

import torch
from threadpoolctl import threadpool_info, threadpool_limits

ROOT = Path(__file__).resolve().parents[1]


def one_thread() -> None:
    """Hold torch, OpenMP and the BLAS libraries, here and in child processes, to one thread."""
    os.environ["OMP_NUM_THREADS"] = "1"
    torch.set_num_threads(1)
    threadpool_limits(1)


def environment(*packages: str) -> dict:
    """What a timing depends on: date, commit, processor, threads, versions, load."""
    changed = _git("status", "--porcelain", "--", ".", ":!benchmarks/results").splitlines()
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _git("rev-parse", "HEAD"),
        "dirty": bool(changed),
        "changed": [line[3:] for line in changed],
        "processor": _processor(),
        "cores": os.cpu_count(),
        "load": [round(x, 2) for x in os.getloadavg()],
        "platform": f"{platform.system()} {platform.machine()}",
        "threads": [f"torch {torch.get_num_threads()}"]
        + [f"{pool['prefix']} {pool['num_threads']}" for pool in threadpool_info()],
        "vector_instructions": torch.backends.cpu.get_cpu_capability(),
        "versions": {"python": platform.python_version()} | {p: version(p) for p in packages},
    }


def race(entrants: dict[str, Callable[[], object]], rounds: int) -> dict:
    """Run the entrants in turn, ``rounds`` times, after one round to warm up.

    The first entrant is genlab's. A ratio is another's time over genlab's in the same round, so
    what slows the machine for a while slows both; above 1, genlab is the faster.

    Returns:
        ``seconds``: for each entrant every repetition and the median, in CPU and wall time;
        ``ratios``: for each other entrant the median, the least and the largest.
    """
    seconds = {name: {"cpu": [], "wall": []} for name in entrants}
    for number in range(rounds + 1):
        for name, run in entrants.items():
            cpu, wall = time.process_time(), time.perf_counter()
            run()
            cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
            if number > 0:
                seconds[name]["cpu"].append(cpu)
                seconds[name]["wall"].append(wall)
    ours, *others = entrants
    ratios = {
        name: {
            clock: _spread([b / a for a, b in zip(seconds[ours][clock], times, strict=True)])
            for clock, times in seconds[name].items()
        }
        for name in others
    }
    for times in seconds.values():
        times |= {f"median_{clock}": median(times[clock]) for clock in ("cpu", "wall")}
    return {"seconds": seconds, "ratios": ratios}


def target(what: str, value: float, limit: float, *, at_least: bool) -> dict:
    """A figure beside the limit it has to keep."""
    met = value >= limit if at_least else value <= limit
    return {"what": what, "value": value, "at_least" if at_least else "at_most": limit, "met": met}


def peak_memory() -> int:
    """Bytes that this process has held at most (a child begins with its parent's peak)."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def show(result: dict) -> None:
    """Print the medians, the ratios, the errors, what was published, and the targets."""
    setting = ", ".join(
        f"{key} = {value if isinstance(value, str) else f'{value:.6g}'}"
        for key, value in result["setting"].items()
    )
    print(f"\n{result['what']}: {setting}")
    for name, times in result.get("seconds", {}).items():
        line = f"  {name:<28} cpu {times['median_cpu']:9.4f} s  wall {times['median_wall']:9.4f} s"
        if ratio := result["ratios"].get(name):
            line += "  ratio {median:.2f} ({min:.2f} to {max:.2f})".format(**ratio["cpu"])
        print(line)
    for name, errors in result.get("max_abs_error", {}).items():
        print(f"  error of {name}: " + ", ".join(f"{p} {e:.1e}" for p, e in errors.items()))
    for p in result.get("published", []):
        print("  {what}: {here:.2f}; published {published:.2f} ({source})".format(**p))
    for t in result["targets"]:
        sign = f">= {t['at_least']:.3g}" if "at_least" in t else f"<= {t['at_most']:.3g}"
        print(
            f"  {'met' if t['met'] else 'MISSED'}: {t['what']}: {t['value']:.3g} ({sign})",
            flush=True,
        )


def save(name: str, result: dict) -> None:
    """Write ``benchmarks/results/name.json``, floats to six digits, a list of numbers a line."""
    text = json.dumps(_rounded(result), indent=1, ensure_ascii=False)
    text = re.sub(r"\[[^\[\]{}]*\]", lambda found: " ".join(found[0].split()), text)
    path = ROOT / "benchmarks" / "results" / f"{name}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text + "\n", encoding="utf-8")
    print(f"\nWritten: {path.relative_to(ROOT)}")


def _spread(values: list[float]) -> dict:
    return {"median": median(values), "min": min(values), "max": max(values)}


def _rounded(value: object) -> object:
    if isinstance(value, dict):
        return {key: _rounded(v) for key, v in value.items()}
    if isinstance(value, list):
        return [_rounded(v) for v in value]
    return float(f"{value:.6g}") if isinstance(value, float) else value


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*: (.*)", info.read_text()) if info.exists() else None
    return found[1] if found else platform.processor()


def _git(*words: str) -> str:
    run = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True)
    return run.stdout.rstrip()
