"""One training loop for every network of the course; it knows no model.

Mini-batch gradient descent on the mean of an objective (Robbins and Monro 1951; Bottou, Curtis and
Nocedal 2018, arXiv:1606.04838): θ ← θ - η ∇_θ 1/|B| Σ_{i ∈ B} loss(θ; x_i), B from shuffled data.
"""

import json
import math
import os
import time
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Generator, Tensor, nn
from torch.optim import Adam, Optimizer
from tqdm import tqdm

Batch = Tensor | tuple[Tensor, ...]
_ADAM = partial(Adam, fused=True)  # the same steps in a third of the time


@dataclass(frozen=True, eq=False, repr=False)
class History:
    """What a run leaves behind, the parts before a resume included.

    Attributes:
        loss: mean objective of each step's batch, before the step; float64, shape ``[steps]``.
        seconds: time spent in the loop.
        steps_per_epoch: steps in one pass through the data.
    """

    loss: Tensor
    seconds: float
    steps_per_epoch: int

    def __repr__(self) -> str:  # without the seconds: a notebook prints the same text every time
        return f"History({len(self.loss)} steps, last loss {self.loss[-1]:.3g})"


@dataclass
class _Run:
    """Everything a step changes, and by what the run is recognised: the content of a checkpoint."""

    model: nn.Module
    optimizer: Optimizer
    generator: Generator
    order: Tensor = field(default_factory=lambda: torch.empty(0, dtype=torch.long))  # epoch's rest
    losses: list[float] = field(default_factory=list)
    seconds: float = 0.0
    identity: dict[str, object] = field(default_factory=dict)


def fit(
    model: nn.Module,
    loss: Callable[[nn.Module, Batch, Generator], Tensor],
    data: Batch,
    *,
    steps: int,
    batch_size: int = 128,
    lr: float = 1e-3,
    optimizer: Callable[..., Optimizer] = _ADAM,
    generator: Generator | None = None,
    device: torch.device | str | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    checkpoint_every: int = 1000,
    progress: bool | None = None,
) -> History:
    """Train a model in place by stochastic gradient descent on an objective.

    An epoch is a random permutation of the data, cut into batches without replacement; the last
    batch of an epoch may be smaller. The model is in training mode meanwhile, and every submodule
    returns to the mode it was in: call ``model.eval()`` yourself before you evaluate a model with
    dropout or batch normalisation.

    With a checkpoint, calling ``fit`` again with the same arguments resumes where the file stands.
    A killed run then ends with the parameters and history of one that was never stopped, bit for
    bit on a CPU with the same number of threads. The file is recognised by all arguments but the
    objective, and by the data. It is never half-written.

    Args:
        model: the network. It moves to ``device``, and its parameters change.
        loss: ``loss(model, batch, generator)`` returns one value per example, shape ``[batch]``.
            What it draws, it draws from the generator.
        data: a tensor ``[n, *event]``, or a tuple of tensors of the same n; batches are alike.
        steps: length of the whole run, resumed steps included.
        batch_size: examples in a batch; n or more takes all of them at every step.
        lr: learning rate η.
        optimizer: called as ``optimizer(parameters, lr=lr)``, for instance
            ``functools.partial(torch.optim.SGD, momentum=0.9)``. The default is Adam, computed in
            one pass over each parameter.
        generator: source of the permutations and of what the objective draws, on the model's
            device. None is torch's global CPU generator. Dropout always draws from the global one,
            which a checkpoint holds only if it is also the generator of the run.
        device: where to train; None stays where the model is. Batches move, the data set does not.
        checkpoint: file to write and to resume from (safetensors, nothing pickled).
        checkpoint_every: steps between two writes; the last step is always written.
        progress: a bar on stderr: None in a terminal only, True also in a notebook, False never.
            Where the environment variable ``GENLAB_QUIET`` is set there is no bar.

    Raises:
        TypeError: the model, the data or what the loss returned is of another kind.
        ValueError: an argument out of range; data that differ in length or are not finite; a loss
            of another shape, or that depends on no parameter; a checkpoint that is damaged or
            belongs to another run; a loss or gradient that is NaN or infinite: the step is named
            and not taken, so the weights stay finite (running statistics have seen its batch).
        FileNotFoundError: the checkpoint's folder does not exist.

    Example:
        The mean is the point with the least squared distance to the data.

        >>> rng = torch.Generator().manual_seed(0)
        >>> x = 3 + torch.randn(1000, generator=rng)
        >>> model = nn.ParameterList([torch.zeros(())])
        >>> fit(model, lambda model, x, _: (x - model[0]) ** 2, x, steps=300, lr=0.1, generator=rng)
        History(300 steps, last loss 1.03)
        >>> f"{model[0].item():.1f} {x.mean().item():.1f}"
        '3.0 3.0'
    """
    path = None if checkpoint is None else Path(checkpoint)
    columns = _checked_columns(data)
    _check_arguments(model, optimizer, steps, batch_size, checkpoint_every, lr, path)
    n = len(columns[0])
    target = next(model.parameters()).device if device is None else torch.device(device)
    rng = torch.default_generator if generator is None else generator
    if rng.device.type != target.type:
        raise ValueError(
            f"The generator draws on {rng.device.type}, the model trains on {target.type}. "
            f"Pass generator=torch.Generator('{target.type}').manual_seed(...)."
        )

    model.to(target)
    weights = list(model.parameters())
    run = _Run(model, optimizer(weights, lr=lr), rng)
    if path is not None:
        run.identity = {
            "batch_size": batch_size,
            "lr": lr,
            "device": target.type,
            "seed": "torch's global one" if generator is None else generator.initial_seed(),
            **{f"data[{i}]": _describe(x, checksum=True) for i, x in enumerate(columns)},
            **{f"model.{name}": _describe(x) for name, x in model.state_dict().items()},
            "optimizer": " ".join(repr(run.optimizer).split()),
        }
        if path.exists():
            _resume(run, path, steps)

    # tqdm reads None as "hide, unless stderr is a terminal"
    hide = bool(os.environ.get("GENLAB_QUIET")) or (None if progress is None else not progress)
    modes = [(module, module.training) for module in model.modules()]
    model.train()
    start = time.perf_counter() - run.seconds
    try:
        with tqdm(total=steps, initial=len(run.losses), unit="step", disable=hide) as bar:
            for step in range(len(run.losses) + 1, steps + 1):
                if len(run.order) == 0:
                    run.order = torch.randperm(n, generator=rng, device=target)
                index, run.order = run.order[:batch_size], run.order[batch_size:]
                batch = tuple(x[index.to(x.device)].to(target) for x in columns)

                for w in weights:  # as optimizer.zero_grad() does, without its bookkeeping
                    w.grad = None
                each = loss(model, batch if isinstance(data, tuple) else batch[0], rng)
                mean = _checked_objective(each, len(index)).mean()
                not_taken = f"Step {step} of {steps} was not taken"
                run.losses.append(mean.item())
                _check(math.isfinite(run.losses[-1]), f"{not_taken}: its loss is", lr)
                mean.backward()
                gradients = (w.grad for w in weights if w.grad is not None)
                _check(_finite(gradients), f"{not_taken}: its gradient is", lr)
                run.optimizer.step()

                run.seconds = time.perf_counter() - start
                bar.set_postfix_str(f"loss {run.losses[-1]:.4g}", refresh=False)
                bar.update()
                if step % checkpoint_every == 0 or step == steps:
                    finite = _finite(w.detach() for w in weights)
                    _check(finite, f"After step {step} a weight is", lr)
                    if path is not None:
                        _save(run, path)
    finally:
        for module, mode in modes:
            module.training = mode
    return History(
        loss=torch.tensor(run.losses, dtype=torch.float64),
        seconds=run.seconds,
        steps_per_epoch=math.ceil(n / batch_size),
    )


# What is refused before anything is computed ------------------------------------------------------


def _check_arguments(
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


def _checked_columns(data: Batch) -> tuple[Tensor, ...]:
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


def _checked_objective(each: Tensor, batch: int) -> Tensor:
    if not isinstance(each, Tensor):
        raise TypeError(f"Expected the loss to return a tensor, got {type(each).__name__}.")
    if each.shape != (batch,):
        raise ValueError(
            f"Expected one loss per example, shape ({batch},), got {tuple(each.shape)}. "
            "Sum over the axes of an event, not over the batch: fit takes the mean."
        )
    if not each.requires_grad:
        raise ValueError(
            "The loss does not depend on the model's parameters: nothing to train. "
            "Look for detach, item, no_grad or an integer operation on the way."
        )
    return each


def _finite(tensors: Iterable[Tensor]) -> bool:
    """Whether no entry is NaN or infinite: one call for all, by the test that torch.amp makes."""
    listed = list(tensors)
    if not listed:
        return True
    found, one = (torch.full((), value, device=listed[0].device) for value in (0.0, 1.0))
    torch._amp_foreach_non_finite_check_and_unscale_(listed, found, one)
    return not found


def _check(finite: bool, what: str, lr: float) -> None:
    if not finite:
        raise ValueError(
            f"{what} NaN or infinite. Lower lr (now {lr:g}), scale the data, or look for a "
            "logarithm, a division, a root or an exponential that leaves its domain."
        )


# Checkpoints: tensors and the JSON text beside them in one safetensors file -----------------------


def _save(run: _Run, path: Path) -> None:
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


def _resume(run: _Run, path: Path, steps: int) -> None:
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
    if not _finite(weights[name] for name, _ in run.model.named_parameters()):
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


def _describe(x: Tensor, checksum: bool = False) -> str:
    content = f", checksum {_crc32('', {'': x}):08x}" if checksum else ""
    return f"{str(x.dtype).removeprefix('torch.')} {tuple(x.shape)}{content}"


def _crc32(text: str, tensors: dict[str, Tensor]) -> int:
    crc = zlib.crc32(text.encode())
    for name in sorted(tensors):
        x = tensors[name].detach().cpu().contiguous()
        crc = zlib.crc32(f"{name}: {x.dtype} {tuple(x.shape)}".encode(), crc)
        crc = zlib.crc32(x.reshape(-1).view(torch.uint8).numpy(), crc)
    return crc
