"""What every training loop of the course shares: what it refuses, its checkpoints, its bar."""

import json
import math
import os
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Generator, Tensor, nn
from torch.optim import Optimizer
from tqdm import tqdm

Batch = Tensor | tuple[Tensor, ...]


@dataclass
class Run:
    """Everything a step changes, and by what the run is recognised: the content of a checkpoint."""

    model: nn.Module
    optimizer: Optimizer
    generator: Generator
    order: Tensor = field(default_factory=lambda: torch.empty(0, dtype=torch.long))  # epoch's rest
    losses: list[float] = field(default_factory=list)
    seconds: float = 0.0
    identity: dict[str, object] = field(default_factory=dict)


@contextmanager
def in_training(model: nn.Module) -> Iterator[None]:
    """Training mode inside; outside, the modes that were there."""
    modes = [(module, module.training) for module in model.modules()]
    model.train()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode


def progress_bar(run: Run, steps: int, progress: bool | None) -> tqdm:
    """The bar of a run: None shows it in a terminal only, ``GENLAB_QUIET`` never."""
    # tqdm reads None as "hide, unless stderr is a terminal"
    hide = bool(os.environ.get("GENLAB_QUIET")) or (None if progress is None else not progress)
    return tqdm(total=steps, initial=len(run.losses), unit="step", disable=hide)


# What is refused before anything is computed ------------------------------------------------------


def check_arguments(
    model: nn.Module,
    optimizer: Callable[..., Optimizer],
    steps: int,
    batch_size: int,
    checkpoint_every: int,
    lr: float,
    path: Path | None,
) -> None:
    if not isinstance(model, nn.Module):
        raise TypeError(f"Expected the model to be a torch.nn.Module, got {type(model).__name__}.")
    if not any(p.requires_grad for p in model.parameters()):
        raise ValueError("The model has no parameter that requires a gradient: nothing to train.")
    if not callable(optimizer):
        raise TypeError(
            f"Expected the optimizer's class or a partial of it, got an {type(optimizer).__name__} "
            "already built. Pass torch.optim.Adam, or functools.partial(torch.optim.SGD, ...)."
        )
    counts = {"steps": steps, "batch_size": batch_size, "checkpoint_every": checkpoint_every}
    for name, value in counts.items():
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise ValueError(f"Expected {name} to be an int of 1 or more, got {value!r}.")
    if not 0 < lr < math.inf:
        raise ValueError(f"Expected a learning rate lr > 0 and finite, got {lr!r}.")
    if path is not None and not path.parent.is_dir():
        raise FileNotFoundError(
            f"The folder {path.parent} of the checkpoint does not exist: create it first."
        )


def checked_columns(data: Batch) -> tuple[Tensor, ...]:
    columns = data if isinstance(data, tuple) else (data,)
    for x in columns:
        if not isinstance(x, Tensor):
            raise TypeError(
                f"Expected data as a tensor or a tuple of tensors, got {type(x).__name__}. "
                "Arrays become tensors by torch.as_tensor."
            )
    lengths = [len(x) if x.ndim else 0 for x in columns]
    if not lengths or 0 in lengths or len(set(lengths)) > 1:
        raise ValueError(
            "Expected data of shape (n, *event), n >= 1, with one n for all tensors, "
            f"got shapes {[tuple(x.shape) for x in columns]}."
        )
    for i, x in enumerate(columns):
        if math.isfinite(x.sum()):
            continue
        bad = (~x.isfinite().reshape(len(x), x[0].numel()).all(1)).nonzero().flatten()
        if len(bad):
            raise ValueError(
                f"{len(bad)} of {len(x)} rows of data[{i}] are NaN or infinite, the first is row "
                f"{int(bad[0])}. Remove or impute them."
            )
    return columns


def finite(tensors: Iterable[Tensor]) -> bool:
    """Whether no entry is NaN or infinite: one call for all, by the test that torch.amp makes."""
    listed = list(tensors)
    if not listed:
        return True
    found, one = (torch.full((), value, device=listed[0].device) for value in (0.0, 1.0))
    torch._amp_foreach_non_finite_check_and_unscale_(listed, found, one)
    return not found


def check(finite: bool, what: str, lr: float) -> None:
    if not finite:
        raise ValueError(
            f"{what} NaN or infinite. Lower lr (now {lr:g}), scale the data, or look for a "
            "logarithm, a division, a root or an exponential that leaves its domain."
        )


# Checkpoints: tensors and the JSON text beside them in one safetensors file -----------------------


def save_run(run: Run, path: Path) -> None:
    state = {
        f"optimizer.{i}.{key}": value
        for i, values in run.optimizer.state_dict()["state"].items()
        for key, value in values.items()
    }
    scalars = {key: value for key, value in state.items() if not isinstance(value, Tensor)}
    tensors = {key: value for key, value in state.items() if isinstance(value, Tensor)}
    tensors |= {f"model.{name}": value for name, value in run.model.state_dict().items()}
    tensors |= {"generator": run.generator.get_state(), "order": run.order}
    tensors["loss"] = torch.tensor(run.losses, dtype=torch.float64)
    # clones, since safetensors refuses tensors that share memory, as tied weights do
    tensors = {
        key: x.cpu().clone(memory_format=torch.contiguous_format) for key, x in tensors.items()
    }
    text = json.dumps({"run": run.identity, "seconds": run.seconds, "optimizer": scalars})
    blob = save(tensors, {"genlab": text, "crc32": str(_crc32(text, tensors))})

    beside = path.with_name(path.name + ".tmp")
    with beside.open("wb") as file:
        file.write(blob)
        file.flush()
        os.fsync(file.fileno())
    os.replace(beside, path)  # atomic: a kill leaves the old file or the new one


def resume(run: Run, path: Path, steps: int) -> None:
    """Check the whole file, then load it."""
    remedy = "Delete it to start again, or pass another path."
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata()
            tensors = {key: file.get_tensor(key).clone() for key in list(file.keys())}
        text = metadata["genlab"]
        damaged = metadata["crc32"] != str(_crc32(text, tensors))
    except (OSError, SafetensorError, KeyError, TypeError) as error:
        raise ValueError(
            f"{path} is no checkpoint of fit, or it is cut short or damaged ({error}). {remedy}"
        ) from error
    if damaged:
        raise ValueError(f"{path} is damaged: its checksum differs from its content. {remedy}")

    meta = json.loads(text)
    for key in run.identity | meta["run"]:
        old, new = meta["run"].get(key, "absent"), run.identity.get(key, "absent")
        if old != new:
            raise ValueError(
                f"{path} belongs to another run: its {key} is {old}, this run's is {new}. "
                f"Pass what that run began with. {remedy}"
            )
    losses = tensors["loss"].tolist()
    if steps < len(losses):
        raise ValueError(
            f"{path} stands at step {len(losses)}, beyond the {steps} steps asked for. "
            f"Ask for more steps. {remedy}"
        )
    weights = {
        key.removeprefix("model."): x for key, x in tensors.items() if key.startswith("model.")
    }
    if not finite(weights[name] for name, _ in run.model.named_parameters()):
        raise ValueError(f"{path} holds weights that are NaN or infinite. {remedy}")

    state: dict[int, dict[str, object]] = {}
    for name, value in (tensors | meta["optimizer"]).items():
        if name.startswith("optimizer."):
            _, i, key = name.split(".", 2)
            state.setdefault(int(i), {})[key] = value
    groups = run.optimizer.state_dict()["param_groups"]  # the same as in the file: see identity
    run.optimizer.load_state_dict({"state": state, "param_groups": groups})
    run.model.load_state_dict(weights)
    run.generator.set_state(tensors["generator"])
    run.order, run.losses, run.seconds = tensors["order"], losses, meta["seconds"]


def describe(x: Tensor, checksum: bool = False) -> str:
    content = f", checksum {_crc32('', {'': x}):08x}" if checksum else ""
    return f"{str(x.dtype).removeprefix('torch.')} {tuple(x.shape)}{content}"


def _crc32(text: str, tensors: dict[str, Tensor]) -> int:
    crc = zlib.crc32(text.encode())
    for name in sorted(tensors):
        x = tensors[name].detach().cpu().contiguous()
        crc = zlib.crc32(f"{name}: {x.dtype} {tuple(x.shape)}".encode(), crc)
        crc = zlib.crc32(x.reshape(-1).view(torch.uint8).numpy(), crc)
    return crc
