"""The game played by gradient steps: algorithm 1 of Goodfellow et al. 2014, whatever the losses.

D takes k steps on its loss, then G takes one on its own; each sees the other as it is by now.
"""

import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.optim import Adam, Optimizer
from torch.optim.swa_utils import AveragedModel

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
from genlab.data.checks import positive
from genlab.em.kmeans import count
from genlab.gans.losses import discriminator_loss, generator_loss
from genlab.gans.networks import Generator

__all__ = ["History", "play"]

Losses = tuple[Callable[[Tensor, Tensor], Tensor], Callable[[Tensor], Tensor]]
Penalty = Callable[[Callable[[Tensor], Tensor], Tensor, Tensor, torch.Generator], Tensor]
_ADAM = partial(Adam, betas=(0.5, 0.999), fused=True)


@dataclass(frozen=True, eq=False, repr=False)
class History:
    """What a game leaves behind, the parts before a resume included.

    Attributes:
        d: mean loss of D in the last of its moves of each step, without the penalty; float64.
        g: mean loss of G in each step.
        seconds: time spent in the loop.
    """

    d: Tensor
    g: Tensor
    seconds: float

    def __repr__(self) -> str:  # without the seconds: a notebook prints the same text every time
        return f"History({len(self.d)} steps, last losses {self.d[-1]:.3g}, {self.g[-1]:.3g})"


def play(
    G: Generator,
    D: nn.Module,
    data: Batch,
    *,
    steps: int,
    loss: Losses = (discriminator_loss, generator_loss),
    penalty: Penalty | None = None,
    project: Callable[[nn.Module], object] | None = None,
    average: AveragedModel | None = None,
    d_steps: int = 1,
    batch_size: int = 128,
    lr: float = 2e-4,
    d_lr: float | None = None,
    optimizer: Callable[..., Optimizer] = _ADAM,
    generator: torch.Generator | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    checkpoint_every: int = 1000,
    progress: bool | None = None,
) -> History:
    """Train a generator and a discriminator in place, by turns.

    Every batch has the same size: what is left of an epoch and makes no batch waits for the next
    shuffle. Modes, checkpoints, resuming and the bar are as in :func:`genlab.train.fit`.

    Args:
        G: a :class:`Generator`, on the device where the game is to be played.
        D: from examples to one logit each.
        data: x ``[n, *event]``; or (x, y), and G(z, y) and D(x, y) are told the label y of x.
        steps: steps of G in the whole run, resumed ones included.
        loss: ``d_loss(D(x), D(G(z)))`` and ``g_loss(D(G(z)))``, one value per example each.
        penalty: ``penalty(D, x, G(z), generator)`` is added to D's loss, one value per example; R1
            with γ = 0.1 is ``lambda D, x, *_: 0.1 * r1_penalty(D, x)``.
        project: ``project(D)`` after each step of D, for instance to clip its weights.
        average: ``torch.optim.swa_utils.AveragedModel(G, …)``, updated after each step of G: where
            G goes round an equilibrium, the average of its weights is nearer to it.
        d_steps: k, steps of D for one of G.
        batch_size: examples of each kind in a batch; n or more takes all of them.
        lr: learning rate.
        d_lr: that of D, if it is another.
        optimizer: the class of both players' optimizers or a partial of it. The default is Adam
            with β₁ = 0.5, as a memory of ten steps is long when the other moves.
        generator: source of the shuffles, the noise and the penalty's draws, on G's device.
        checkpoint, checkpoint_every, progress: as in :func:`genlab.train.fit`.

    Raises:
        TypeError: G is no :class:`Generator`, or an argument is of another kind.
        ValueError: an argument out of range, k = 0 among them; bad data; data outside [−1, 1] where
            G ends in tanh; draws of another shape than the data; a checkpoint of another run; a
            loss or gradient that is NaN or infinite: the step and the last losses are named, the
            move is not made, and the checkpoint stays as it was last written.

    Source: Goodfellow et al. 2014, arXiv:1406.2661, algorithm 1; Radford, Metz and Chintala 2016,
        arXiv:1511.06434 (lr and β₁).

    Example: G(z) = z + b has to find the mean, 3.
        >>> from genlab.flows import StandardNormal
        >>> from genlab.gans import Discriminator, Generator, play
        >>> from genlab.nets import MLP
        >>> rng = torch.Generator().manual_seed(0)
        >>> x = 3 + torch.randn(1000, 1, generator=rng)
        >>> G = Generator(StandardNormal((1,)), nn.Linear(1, 1))
        >>> D = Discriminator(MLP(1, 1, (16,), generator=rng))
        >>> history = play(G, D, x, steps=600, lr=0.01, generator=rng)
        >>> round(G.sample(10_000, generator=rng).mean().item())
        3
    """
    path = None if checkpoint is None else Path(checkpoint)
    columns = _checked_game(G, D, data)
    players = nn.ModuleDict({"D": D, "G": G})
    check_arguments(players, optimizer, steps, batch_size, checkpoint_every, lr, path)
    positive(d_lr := lr if d_lr is None else d_lr, "d_lr")
    count(d_steps, "d_steps")
    d_loss, g_loss = loss

    device = next(G.parameters()).device
    rng = torch.default_generator if generator is None else generator
    weights = {name: list(player.to(device).parameters()) for name, player in players.items()}
    groups = [{"params": weights["D"], "lr": d_lr}, {"params": weights["G"], "lr": lr}]
    run = Run(players, optimizer(groups, lr=lr), rng)
    run.optimizer.zero_grad()
    if average is not None:
        players["average"] = average.to(device)
    n, size = len(columns[0]), min(batch_size, len(columns[0]))

    def minibatch() -> tuple[Tensor, ...]:
        if len(run.order) < size:
            run.order = torch.randperm(n, generator=rng, device=device)
        rows, run.order = run.order[:size], run.order[size:]
        return tuple(column[rows.to(column.device)].to(device) for column in columns)

    def noise() -> Tensor:
        return G.draw(size, generator=rng)

    def descend(name: str, objective: Tensor) -> None:
        """One move of one player: the other's weights have no gradient, so they stay."""
        objective.backward(inputs=weights[name])
        gradients = (w.grad for w in weights[name] if w.grad is not None)
        if not (math.isfinite(objective.item()) and finite(gradients)):
            raise ValueError(_diverged(run, name, steps, lr, path))
        run.optimizer.step()
        for w in weights[name]:
            w.grad = None

    if path is not None:
        run.identity = _identity(run, columns, generator, batch_size=batch_size, d_steps=d_steps)
        if path.exists():
            resume(run, path, steps)
    start = time.perf_counter() - run.seconds
    with in_training(players), progress_bar(run, steps, progress) as bar:
        for step in range(len(run.losses) + 1, steps + 1):
            for _ in range(d_steps):
                x, *y = minibatch()
                with torch.no_grad():
                    fake = _alike(G(noise(), *y), x)
                d = d_loss(D(x, *y), D(fake, *y)).mean()
                cost = penalty(lambda x, y=y: D(x, *y), x, fake, rng).mean() if penalty else 0
                descend("D", d + cost)
                if project:
                    project(D)
            g = g_loss(D(G(noise(), *y), *y)).mean()
            descend("G", g)
            if average is not None:
                average.update_parameters(G)

            run.losses.append((d.item(), g.item()))
            run.seconds = time.perf_counter() - start
            bar.update()
            if step % checkpoint_every == 0 or step == steps:
                sound = finite(w.detach() for w in players.parameters())
                check(sound, f"After step {step} a weight is", lr)
                if path is not None:
                    save_run(run, path)
    d, g = torch.tensor(run.losses, dtype=torch.float64).unbind(1)
    return History(d, g, run.seconds)


def _checked_game(G: Generator, D: nn.Module, data: Batch) -> tuple[Tensor, ...]:
    if not isinstance(G, Generator):
        raise TypeError(
            f"Expected a Generator, which knows its noise, got a {type(G).__name__}. "
            "Wrap the net: Generator(StandardNormal((2,)), net)."
        )
    if not isinstance(D, nn.Module):
        raise TypeError(f"Expected D to be a torch.nn.Module, got a {type(D).__name__}.")
    columns = checked_columns(data)
    low, high = (float(end) for end in columns[0].aminmax())
    if isinstance([*G.net.modules()][-1], nn.Tanh) and not -1 <= low <= high <= 1:
        raise ValueError(
            f"Expected data in [−1, 1], all that a generator with tanh at its end can give, got "
            f"values from {low:g} to {high:g}. Grey values in [0, 1] become 2x − 1."
        )
    return columns


def _alike(fake: Tensor, x: Tensor) -> Tensor:
    if fake.shape != x.shape:
        raise ValueError(
            f"Expected from G draws of the data's shape {tuple(x.shape)}, got {tuple(fake.shape)}."
        )
    return fake


def _identity(
    run: Run, columns: tuple[Tensor, ...], generator: torch.Generator | None, **options: int
) -> dict[str, object]:
    return {
        **options,
        "seed": "torch's global one" if generator is None else generator.initial_seed(),
        **{f"data[{i}]": describe(x, checksum=True) for i, x in enumerate(columns)},
        **{name: describe(x) for name, x in run.model.state_dict().items()},
        "optimizer": " ".join(repr(run.optimizer).split()),
    }


def _diverged(run: Run, name: str, steps: int, lr: float, path: Path | None) -> str:
    losses = "none yet" if not run.losses else "{:.3g} of D, {:.3g} of G".format(*run.losses[-1])
    kept = "" if path is None else f" {path} keeps what was last written to it."
    return (
        f"Step {len(run.losses) + 1} of {steps} was not taken: the loss or the gradient of {name} "
        f"is NaN or infinite; the last losses were {losses}. Lower the learning rates (now "
        f"{lr:g}), scale the data to [−1, 1], or hold D back by a penalty.{kept}"
    )
