"""One training loop for every network of the course; it knows no model.

Mini-batch gradient descent on the mean of an objective (Robbins and Monro 1951; Bottou, Curtis and
Nocedal 2018, arXiv:1606.04838): θ ← θ - η ∇_θ 1/|B| Σ_{i ∈ B} loss(θ; x_i), B from shuffled data.
"""

import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Generator, Tensor, nn
from torch.optim import Adam, Optimizer

from genlab._runs import (
    Batch,
    Run,
    check,
    check_arguments,
    checked_columns,
    describe,
    finite,
    in_training,
    progress_bar,
    resume,
    save_run,
)

__all__ = ["Batch", "History", "fit"]

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
    columns = checked_columns(data)
    check_arguments(model, optimizer, steps, batch_size, checkpoint_every, lr, path)
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
    run = Run(model, optimizer(weights, lr=lr), rng)
    if path is not None:
        run.identity = {
            "batch_size": batch_size,
            "lr": lr,
            "device": target.type,
            "seed": "torch's global one" if generator is None else generator.initial_seed(),
            **{f"data[{i}]": describe(x, checksum=True) for i, x in enumerate(columns)},
            **{f"model.{name}": describe(x) for name, x in model.state_dict().items()},
            "optimizer": " ".join(repr(run.optimizer).split()),
        }
        if path.exists():
            resume(run, path, steps)

    start = time.perf_counter() - run.seconds
    with in_training(model), progress_bar(run, steps, progress) as bar:
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
            check(math.isfinite(run.losses[-1]), f"{not_taken}: its loss is", lr)
            mean.backward()
            gradients = (w.grad for w in weights if w.grad is not None)
            check(finite(gradients), f"{not_taken}: its gradient is", lr)
            run.optimizer.step()

            run.seconds = time.perf_counter() - start
            bar.set_postfix_str(f"loss {run.losses[-1]:.4g}", refresh=False)
            bar.update()
            if step % checkpoint_every == 0 or step == steps:
                sound = finite(w.detach() for w in weights)
                check(sound, f"After step {step} a weight is", lr)
                if path is not None:
                    save_run(run, path)
    return History(
        loss=torch.tensor(run.losses, dtype=torch.float64),
        seconds=run.seconds,
        steps_per_epoch=math.ceil(n / batch_size),
    )


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
