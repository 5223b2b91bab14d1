"""What the published runs share: their options, and a training in stages that can be resumed."""

import time
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from benchmarks import record
from genlab.train import fit

Stages = Sequence[tuple[int, float]]  # steps and learning rate of each


def options(what: str, minutes: float) -> Namespace:
    """Read the command line, and say how long the run will take."""
    parser = ArgumentParser(description=what)
    parser.add_argument("--data", type=Path, help="folder of data sets; default: GENLAB_DATA")
    parser.add_argument("--device", default="cpu", help="where to train and to evaluate")
    parser.add_argument("--folder", type=Path, help="where to keep checkpoints, to resume a run")
    chosen = parser.parse_args()
    print(f"{what}\nAbout {minutes:g} minutes on one idle core of a CPU.", flush=True)
    record.one_thread()
    if chosen.folder is not None:
        chosen.folder.mkdir(parents=True, exist_ok=True)
    return chosen


def train(
    name: str,
    model: nn.Module,
    loss: Callable[[nn.Module, Tensor, torch.Generator], Tensor],
    x: Tensor,
    stages: Stages,
    *,
    batch_size: int,
    seed: int,
    chosen: Namespace,
) -> dict[str, float]:
    """Fit in stages of falling learning rate.

    With a folder each stage has its checkpoint there, and a run that was stopped goes on.

    Returns:
        Seconds of training by clock: wall time, and CPU time unless the run was resumed.
    """
    files = [
        chosen.folder and chosen.folder / f"{name}-{seed}-{stage}.safetensors"
        for stage in range(len(stages))
    ]
    resumed = any(file is not None and file.exists() for file in files)
    wall, cpu = 0.0, time.process_time()
    for stage, ((steps, lr), file) in enumerate(zip(stages, files, strict=True)):
        history = fit(
            model,
            loss,
            x,
            steps=steps,
            lr=lr,
            batch_size=batch_size,
            generator=torch.Generator(chosen.device).manual_seed(1000 * seed + stage),
            device=chosen.device,
            checkpoint=file,
        )
        wall += history.seconds
        last = float(history.loss[-history.steps_per_epoch :].mean())
        print(f"  {name}: {steps} steps at {lr:g}, mean loss {last:.2f}", flush=True)
    return {"wall": wall} | ({} if resumed else {"cpu": time.process_time() - cpu})
