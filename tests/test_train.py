"""The training loop: what it computes, what it refuses, and that a killed run loses nothing."""

import functools
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import nn

import genlab
from genlab import train
from genlab.train import fit

MOMENTUM = functools.partial(torch.optim.SGD, momentum=0.9)


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def network(dtype: torch.dtype = torch.float32) -> nn.Sequential:
    """2 → 8 → 1, with weights that depend on nothing random."""
    model = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 1)).to(dtype)
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(torch.linspace(-1, 1, p.numel()).sin().reshape(p.shape))
    return model


def regression(model, batch, generator):
    x, y = batch
    return (model(x).squeeze(1) - y) ** 2


def denoising(model, x, generator):
    """An objective that draws: predict the first coordinate from a noisy pair."""
    noise = torch.randn(x.shape, generator=generator, dtype=x.dtype, device=x.device)
    return (model(x + 0.1 * noise).squeeze(1) - x[:, 0]) ** 2


def pairs(n: int = 50) -> tuple[torch.Tensor, torch.Tensor]:
    x = torch.randn(n, 2, generator=seeded(1))
    return x, x[:, 0] * x[:, 1]


def state(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: x.clone() for name, x in model.state_dict().items()}


def assert_same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> None:
    assert a.keys() == b.keys()
    assert all(torch.equal(a[name], b[name]) for name in a)


class Slope(nn.Module):
    """One parameter w, 1 at first."""

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.ones(()))


# What the loop computes ---------------------------------------------------------------------------


def test_a_fit_is_the_ten_line_loop_everyone_writes():
    x, y = pairs()
    model, by_hand, rng = network(), network(), seeded(5)
    optimizer = torch.optim.Adam(by_hand.parameters(), lr=0.01)
    losses = []
    for _ in range(3):
        for index in torch.randperm(50, generator=rng).split(16):
            optimizer.zero_grad()
            loss = ((by_hand(x[index]).squeeze(1) - y[index]) ** 2).mean()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())

    after = seeded(5)
    history = fit(
        model, regression, (x, y), steps=len(losses), batch_size=16, lr=0.01, generator=after
    )

    assert_same(state(model), state(by_hand))
    assert history.loss.tolist() == losses
    assert torch.equal(after.get_state(), rng.get_state())
    assert history.steps_per_epoch == 4
    assert history.seconds > 0


def test_full_batch_descent_reaches_the_least_squares_line():
    x = torch.randn(40, 2, generator=seeded(2), dtype=torch.float64)
    y = x @ torch.tensor([1.0, -2.0]).double() + 3 + torch.randn(40, generator=seeded(3)).double()
    model = nn.Linear(2, 1).double()
    fit(model, regression, (x, y), steps=600, batch_size=40, lr=0.1, optimizer=torch.optim.SGD)
    exact = torch.linalg.lstsq(torch.cat([x, torch.ones(40, 1)], 1), y[:, None]).solution[:, 0]
    reached = torch.cat([model.weight[0], model.bias]).detach()
    torch.testing.assert_close(reached, exact, rtol=0, atol=1e-12)


@pytest.mark.parametrize("n", [12, 13])
def test_an_epoch_takes_every_example_once_and_rows_stay_together(n):
    seen = []

    def record(model, batch, generator):
        seen.append(batch)
        return model.w * batch[0]

    first = torch.arange(n).double()
    fit(
        Slope(), record, (first, 10 * first), steps=2 * -(-n // 4), batch_size=4, lr=1e-9,
        generator=seeded(0),
    )  # fmt: skip
    half = len(seen) // 2
    epochs = [torch.cat([a for a, _ in seen[i : i + half]]) for i in (0, half)]
    assert all(torch.equal(b, 10 * a) for a, b in seen)
    assert [len(a) for a, _ in seen[:3]] == [4, 4, 4]
    assert all(torch.equal(epoch.sort().values, first) for epoch in epochs)
    assert not torch.equal(*epochs)
    assert not torch.equal(epochs[0], first)


def test_a_tensor_gives_tensors_and_a_tuple_gives_tuples():
    kinds = []

    def record(model, batch, generator):
        kinds.append(type(batch))
        return model.w * torch.ones(3)

    x = torch.zeros(3, 2)
    for data in (x, (x,), (x, x)):
        fit(Slope(), record, data, steps=1, generator=seeded(0))
    assert kinds == [torch.Tensor, tuple, tuple]


def test_float64_stays_float64_and_integers_reach_the_objective_as_they_are():
    def objective(model, batch, generator):
        x, k = batch
        assert x.dtype == torch.float64
        assert k.dtype == torch.int64
        return model(x)[:, 0] ** 2 + k

    model = network(torch.float64)
    data = torch.ones(6, 2).double(), torch.arange(6)
    history = fit(model, objective, data, steps=3, generator=seeded(0))
    assert {p.dtype for p in model.parameters()} == {torch.float64}
    assert history.loss.dtype == torch.float64


def test_the_generator_decides_and_the_global_state_is_left_alone():
    x, _ = pairs()
    a, b, c = network(), network(), network()
    before = torch.get_rng_state()
    for model, seed in ((a, 1), (b, 1), (c, 2)):
        fit(model, denoising, x, steps=5, batch_size=8, generator=seeded(seed))
    assert torch.equal(torch.get_rng_state(), before)
    assert_same(state(a), state(b))
    assert not torch.equal(a[0].weight, c[0].weight)


def test_without_a_generator_the_draws_are_torchs_global_ones():
    x, _ = pairs()
    a, b = network(), network()
    with torch.random.fork_rng():
        torch.manual_seed(11)
        fit(a, denoising, x, steps=5, batch_size=8)
    fit(b, denoising, x, steps=5, batch_size=8, generator=seeded(11))
    assert_same(state(a), state(b))


@pytest.mark.parametrize("fails", [False, True])
def test_the_model_trains_in_training_mode_and_returns_to_the_modes_it_was_in(fails):
    model = nn.Sequential(nn.Linear(2, 2), nn.Dropout(), nn.BatchNorm1d(2))
    model.eval()
    model[1].train()

    def objective(model, x, generator):
        assert all(module.training for module in model.modules())
        return model(x).sum(1) / (0 if fails else 1)

    x, _ = pairs()
    if fails:
        with pytest.raises(ValueError, match="not taken"):
            fit(model, objective, x, steps=2, generator=seeded(0))
    else:
        fit(model, objective, x, steps=2, generator=seeded(0))
    assert [module.training for module in model.modules()] == [False, False, True, False]


def test_a_history_prints_the_same_text_every_time():
    history = train.History(torch.tensor([2.0, 1.23456]), seconds=time.time(), steps_per_epoch=1)
    assert repr(history) == "History(2 steps, last loss 1.23)"


def test_the_bar_is_silent_off_a_terminal_and_wherever_genlab_is_quiet(capsys, monkeypatch):
    def printed(**options):
        fit(network(), denoising, pairs()[0], steps=3, generator=seeded(0), **options)
        out, err = capsys.readouterr()
        assert out == ""
        return err

    monkeypatch.delenv("GENLAB_QUIET", raising=False)
    assert printed() == ""
    assert printed(progress=False) == ""
    assert "3/3" in printed(progress=True)
    assert "loss" in printed(progress=True)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    assert "3/3" in printed()
    assert printed(progress=False) == ""
    monkeypatch.setenv("GENLAB_QUIET", "1")
    assert printed() == ""
    assert printed(progress=True) == ""


# What it refuses ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("objective", "error", "message"),
    [
        (lambda m, x, g: (m.w * x).mean(), ValueError, r"shape \(4,\), got \(\)"),
        (lambda m, x, g: m.w * x[:, None], ValueError, r"shape \(4,\), got \(4, 1\)"),
        (lambda m, x, g: m.w * x[:-1], ValueError, r"shape \(4,\), got \(3,\)"),
        (lambda m, x, g: 1.0, TypeError, "return a tensor, got float"),
        (lambda m, x, g: (m.w * x).detach(), ValueError, "nothing to train"),
    ],
)
def test_an_objective_returns_one_value_per_example(objective, error, message):
    model = Slope()
    with pytest.raises(error, match=message):
        fit(model, objective, torch.ones(4), steps=3)
    assert model.w.item() == 1


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        ([1.0, 2.0], TypeError, "tuple of tensors, got list"),
        ((torch.ones(3), [1, 2, 3]), TypeError, "got list"),
        ((torch.ones(3), torch.ones(4)), ValueError, r"one n for all.*\(3,\), \(4,\)"),
        ((), ValueError, "n >= 1"),
        (torch.ones(0, 2), ValueError, r"got shapes \[\(0, 2\)\]"),
        (torch.ones(()), ValueError, r"got shapes \[\(\)\]"),
        (torch.tensor([[0, 1], [0, torch.nan], [torch.inf, 0]]), ValueError, "2 of 3 rows.*row 1"),
        ((torch.ones(2), torch.tensor([0, -torch.inf])), ValueError, r"1 of 2 rows of data\[1\]"),
    ],
)
def test_bad_data_are_refused_before_the_objective_sees_them(data, error, message):
    def objective(*_):
        pytest.fail("the objective was called")

    with pytest.raises(error, match=message):
        fit(Slope(), objective, data, steps=1)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"steps": 0}, ValueError, "steps to be an int of 1 or more, got 0"),
        ({"steps": 2.0}, ValueError, r"steps .* got 2\.0"),
        ({"steps": True}, ValueError, "steps .* got True"),
        ({"batch_size": 0}, ValueError, "batch_size"),
        ({"checkpoint_every": -1}, ValueError, "checkpoint_every"),
        ({"lr": 0.0}, ValueError, "lr > 0"),
        ({"lr": float("nan")}, ValueError, "lr > 0 and finite, got nan"),
        ({"checkpoint": "no/such/folder/run.safetensors"}, FileNotFoundError, "create it first"),
        ({"model": nn.Tanh()}, ValueError, "nothing to train"),
        ({"model": abs}, TypeError, "torch.nn.Module"),
        ({"optimizer": torch.optim.Adam(Slope().parameters())}, TypeError, "an Adam already built"),
        ({"device": "meta"}, ValueError, "draws on cpu, the model trains on meta"),
    ],
)
def test_bad_arguments_are_refused_in_a_sentence(options, error, message):
    def objective(*_):
        pytest.fail("the objective was called")

    arguments = {"model": Slope(), "loss": objective, "data": torch.ones(4), "steps": 1} | options
    with pytest.raises(error, match=message):
        fit(**arguments)


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
def test_a_loss_that_is_not_finite_names_its_step_and_leaves_the_weights_of_the_last(value):
    calls = []

    def objective(model, x, generator):
        calls.append(1)
        each = denoising(model, x, generator)
        return each + value * (torch.arange(len(x)) == 2) if len(calls) == 4 else each

    x, _ = pairs()
    broken, whole = network(), network()
    with pytest.raises(ValueError, match=r"Step 4 of 9 was not taken: its loss.*Lower lr \(now 0"):
        fit(broken, objective, x, steps=9, batch_size=8, generator=seeded(4))
    fit(whole, denoising, x, steps=3, batch_size=8, generator=seeded(4))
    assert_same(state(broken), state(whole))


def test_a_gradient_that_is_not_finite_is_refused_although_the_loss_is():
    calls = []

    def objective(model, x, generator):
        calls.append(1)
        each = (model.w * x - 1) ** 2
        root = torch.sqrt(0 * model.w)  # 0, with gradient 0/0
        return each + root if len(calls) == 3 else each

    broken, whole, x = Slope(), Slope(), torch.linspace(0, 2, 8)
    with pytest.raises(ValueError, match="Step 3 of 5 was not taken: its gradient"):
        fit(broken, objective, x, steps=5, generator=seeded(0))
    calls.append(1)  # the count is past 3
    fit(whole, objective, x, steps=2, generator=seeded(0))
    assert torch.equal(broken.w, whole.w)
    assert broken.w != 1


def test_weights_that_overflow_in_a_step_are_neither_returned_nor_written(tmp_path):
    path = tmp_path / "run.safetensors"
    model = Slope()
    with pytest.raises(ValueError, match="After step 1 a weight is NaN or infinite"):
        fit(
            model, lambda m, x, g: 1e30 * m.w * x, torch.ones(4), steps=1, lr=1e30,
            optimizer=torch.optim.SGD, checkpoint=path,
        )  # fmt: skip
    assert not path.exists()


# Checkpoints: a killed run loses nothing ----------------------------------------------------------

RUNS = {
    "adam-tuple": dict(objective=regression, optimizer=torch.optim.Adam, columns=2, lr=0.01),
    "adam-tensor": dict(objective=denoising, optimizer=torch.optim.Adam, columns=1, lr=0.01),
    "momentum-tuple": dict(objective=regression, optimizer=MOMENTUM, columns=2, lr=0.05),
    "momentum-tensor": dict(objective=denoising, optimizer=MOMENTUM, columns=1, lr=0.05),
}


def run(name: str, path: Path, *, steps: int = 60, every: int = 7, stop: int = 0, **options):
    """One of the runs above: its model, history and generator; ``stop`` fails at that step."""
    setting = RUNS[name]
    calls = []

    def objective(model, batch, generator):
        calls.append(1)
        if len(calls) == stop:
            raise InterruptedError
        return setting["objective"](model, batch, generator)

    data = pairs(50)
    arguments = {
        "model": network(),
        "loss": objective,
        "data": data if setting["columns"] == 2 else data[0],
        "batch_size": 16,
        "lr": setting["lr"],
        "optimizer": setting["optimizer"],
        "generator": seeded(9),
    } | options
    history = fit(**arguments, steps=steps, checkpoint=path, checkpoint_every=every)
    return arguments["model"], history, arguments["generator"], len(calls)


@pytest.mark.parametrize("name", RUNS)
@pytest.mark.parametrize("stop", [8, 14, 33])
def test_a_run_that_stopped_continues_bit_for_bit(name, stop, tmp_path):
    path = tmp_path / "run.safetensors"
    straight, whole, rng, _ = run(name, tmp_path / "straight.safetensors")
    with pytest.raises(InterruptedError):
        run(name, path, stop=stop)
    done = (stop - 1) // 7 * 7
    resumed, history, after, calls = run(name, path)

    assert calls == 60 - done
    assert_same(state(resumed), state(straight))
    assert torch.equal(history.loss, whole.loss)
    assert torch.equal(after.get_state(), rng.get_state())
    assert_same(load_file(path), load_file(tmp_path / "straight.safetensors"))
    assert [p.name for p in tmp_path.glob("*.tmp")] == []


# The script below runs in a fresh interpreter, forks once for each attempt, and kills its children.
KILLER = """
import os, random, signal, sys, time
sys.path.insert(0, {tests!r})
import test_train

folder, chance = {folder!r}, random.Random({seed})
for name in test_train.RUNS:
    straight = os.path.join(folder, name + "-straight.safetensors")
    killed = os.path.join(folder, name + "-killed.safetensors")
    if os.fork() == 0:
        test_train.run(name, straight, every=1)
        os._exit(0)
    os.wait()
    midway, patience, status = 0, 0.04, None
    while status != 0:
        child = os.fork()
        if child == 0:
            test_train.run(name, killed, every=1)
            os._exit(0)
        time.sleep(chance.uniform(0, patience))
        os.kill(child, signal.SIGKILL)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if status > 0:
            sys.exit(name + ": a child failed")
        midway += status == -signal.SIGKILL and os.path.exists(killed)
        patience *= 1.3
    print(name, midway, flush=True)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the test kills children that it forks")
def test_kill_9_at_any_moment_loses_nothing(tmp_path):
    """Each child is killed at a random moment, often amid a write, and the next one goes on."""
    script = KILLER.format(tests=str(Path(__file__).parent), folder=str(tmp_path), seed=0)
    environment = os.environ | {
        "PYTHONPATH": str(Path(genlab.__file__).parents[1]),
        "OMP_NUM_THREADS": "1",
        "GENLAB_QUIET": "1",
    }
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    rows = [line.split() for line in done.stdout.splitlines()]
    assert [row[0] for row in rows] == list(RUNS)
    for name, midway in rows:
        assert int(midway) > 0
        assert_same(
            load_file(tmp_path / f"{name}-killed.safetensors"),
            load_file(tmp_path / f"{name}-straight.safetensors"),
        )
        assert len(load_file(tmp_path / f"{name}-killed.safetensors")["loss"]) == 60


def test_a_kill_between_writing_and_renaming_leaves_the_old_checkpoint(tmp_path, monkeypatch):
    path = tmp_path / "run.safetensors"
    name = "adam-tensor"
    run(name, path, steps=7)
    old = path.read_bytes()

    def killed(*_):
        raise InterruptedError

    monkeypatch.setattr(os, "replace", killed)
    with pytest.raises(InterruptedError):
        run(name, path, steps=14)
    monkeypatch.undo()
    assert path.read_bytes() == old
    assert path.with_name("run.safetensors.tmp").exists()
    resumed, *_ = run(name, path)
    straight, *_ = run(name, tmp_path / "straight.safetensors")
    assert_same(state(resumed), state(straight))
    assert not path.with_name("run.safetensors.tmp").exists()


def test_a_finished_run_is_loaded_and_a_longer_one_continues(tmp_path):
    path = tmp_path / "run.safetensors"
    run("adam-tuple", path, steps=20)
    again, history, _, calls = run("adam-tuple", path, steps=20)
    assert calls == 0
    assert len(history.loss) == 20
    longer, history, _, calls = run("adam-tuple", path, steps=31)
    assert calls == 11
    straight, whole, *_ = run("adam-tuple", tmp_path / "straight.safetensors", steps=31)
    assert_same(state(longer), state(straight))
    assert torch.equal(history.loss, whole.loss)
    assert not torch.equal(again[0].weight, longer[0].weight)


def test_the_seconds_of_a_resumed_run_include_those_before(tmp_path):
    path = tmp_path / "run.safetensors"
    first = run("adam-tuple", path, steps=20)[1].seconds
    second = run("adam-tuple", path, steps=21)[1].seconds
    assert second > first


class Mixed(nn.Module):
    """Tied weights, a running statistic, dropout, a transposed (non-contiguous) parameter."""

    def __init__(self) -> None:
        super().__init__()
        self.there = nn.Linear(2, 2)
        self.back = nn.Linear(2, 2)
        self.back.weight = self.there.weight
        self.norm = nn.BatchNorm1d(2)
        self.drop = nn.Dropout(0.3)
        self.turn = nn.Parameter(torch.arange(6.0).reshape(3, 2).T)
        with torch.no_grad():
            for p in (*self.there.parameters(), self.back.bias):
                p.copy_(torch.linspace(-1, 1, p.numel()).reshape(p.shape))

    def forward(self, x):
        return self.drop(self.norm(self.back(self.there(x).tanh()))) @ self.turn


class Counting(torch.optim.SGD):
    """An optimizer that keeps a Python number and None in its state."""

    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                mine = self.state[p]
                mine["count"] = mine.get("count", 0) + 1
                mine["nothing"] = None
                p.data.sub_(group["lr"] / mine["count"] * p.grad)


@pytest.mark.parametrize("optimizer", [torch.optim.Adam, torch.optim.NAdam, Counting])
def test_buffers_tied_weights_dropout_and_python_numbers_continue_bit_for_bit(optimizer, tmp_path):
    def once(path, steps):
        model = Mixed()
        history = fit(
            model, lambda m, x, g: m(x).square().sum(1), pairs()[0], steps=steps, batch_size=16,
            lr=0.01, optimizer=optimizer, checkpoint=path,
        )  # fmt: skip
        return model, history

    with torch.random.fork_rng():
        torch.manual_seed(3)  # the global generator: it also draws the dropout
        straight, whole = once(tmp_path / "straight.safetensors", 23)
        torch.manual_seed(3)
        once(tmp_path / "run.safetensors", 10)
        torch.manual_seed(99)
        resumed, history = once(tmp_path / "run.safetensors", 23)
    assert_same(state(resumed), state(straight))
    assert torch.equal(history.loss, whole.loss)
    assert resumed.there.weight is resumed.back.weight


def test_a_checkpoint_is_plain_safetensors_with_the_weights_by_name(tmp_path):
    path = tmp_path / "run.safetensors"
    model, history, *_ = run("adam-tuple", path, steps=9)
    tensors = load_file(path)
    for name, x in model.state_dict().items():
        assert torch.equal(tensors[f"model.{name}"], x)
    assert torch.equal(tensors["loss"], history.loss)
    with safe_open(path, framework="pt") as file:
        assert set(file.metadata()) == {"genlab", "crc32"}


def other_network() -> nn.Module:
    return nn.Sequential(nn.Linear(2, 9), nn.Tanh(), nn.Linear(9, 1))


def deeper_network() -> nn.Module:
    return nn.Sequential(*network(), nn.Tanh())[:3].append(nn.Linear(1, 1))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"model": other_network}, r"model.0.weight is float32 \(8, 2\), this.* \(9, 2\)"),
        ({"model": deeper_network}, r"model.3.weight is absent, this run's is float32 \(1, 1\)"),
        ({"model": lambda: network(torch.float64)}, "is float32 .*, this run's is float64"),
        ({"data": lambda: pairs(51)}, r"data\[0\] is float32 \(50, 2\).*is float32 \(51, 2\)"),
        ({"data": lambda: (pairs()[0], pairs()[1] + 1)}, r"data\[1\] is float32 \(50,\), checksum"),
        ({"data": lambda: (*pairs(), pairs()[1])}, r"data\[2\] is absent"),
        ({"batch_size": lambda: 17}, "batch_size is 16, this run's is 17"),
        ({"lr": lambda: 0.02}, r"lr is 0\.01, this run's is 0\.02"),
        ({"generator": lambda: seeded(10)}, "seed is 9, this run's is 10"),
        ({"optimizer": lambda: MOMENTUM}, "optimizer is Adam .* this run's is SGD"),
        (
            {"optimizer": lambda: functools.partial(torch.optim.Adam, betas=(0.5, 0.9))},
            r"betas: \(0\.9, 0\.999\).*betas: \(0\.5, 0\.9\)",
        ),
        ({"steps": lambda: 8}, "stands at step 9, beyond the 8 steps"),
    ],
)
def test_the_checkpoint_of_another_run_is_refused_before_anything_changes(
    options, message, tmp_path
):
    path = tmp_path / "run.safetensors"
    run("adam-tuple", path, steps=9)
    file = path.read_bytes()
    options = {"steps": 12, "model": network(), "generator": seeded(9)} | {
        key: make() for key, make in options.items()
    }
    before, draws = state(options["model"]), options["generator"].get_state()
    with pytest.raises(ValueError, match=message):
        run("adam-tuple", path, **options)
    assert_same(state(options["model"]), before)
    assert torch.equal(options["generator"].get_state(), draws)
    assert path.read_bytes() == file


def test_a_cut_or_damaged_checkpoint_is_refused(tmp_path):
    path = tmp_path / "run.safetensors"
    run("adam-tuple", path, steps=9)
    whole = path.read_bytes()
    chance = random.Random(0)
    lengths = [0, 1, 7, 8, 9, len(whole) - 1, *chance.sample(range(len(whole)), 40)]
    damaged = [whole[:length] for length in lengths]
    for place in [*range(8), *chance.sample(range(8, len(whole)), 300)]:
        flipped = bytearray(whole)
        flipped[place] ^= 1 << chance.randrange(8)
        damaged.append(bytes(flipped))
    damaged += [b"", b"not a checkpoint", whole + b"\0"]
    model = network()
    for content in damaged:
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"damaged.*Delete it to start again"):
            run("adam-tuple", path, steps=12, model=model)
        assert path.read_bytes() == content
    assert_same(state(model), state(network()))


def test_a_file_of_another_kind_is_refused(tmp_path):
    from safetensors.torch import save_file

    path = tmp_path / "weights.safetensors"
    save_file(network().state_dict(), path)
    with pytest.raises(ValueError, match="is no checkpoint of fit"):
        run("adam-tuple", path)
    with pytest.raises(ValueError, match="is no checkpoint of fit"):
        run("adam-tuple", tmp_path)


def test_a_checkpoint_with_weights_that_are_not_finite_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "run.safetensors"

    def poisoned(model, batch, generator):
        with torch.no_grad():
            model[2].bias.fill_(torch.nan)
        return denoising(network(), batch, generator) + 0 * model[0].weight.sum()

    with pytest.raises(ValueError, match="a weight is NaN"):
        run("adam-tensor", path, steps=7, loss=poisoned)
    assert not path.exists()
    monkeypatch.setattr(train, "check", lambda finite, what, lr: None)
    run("adam-tensor", path, steps=7, loss=poisoned)
    monkeypatch.undo()
    with pytest.raises(ValueError, match="holds weights that are NaN or infinite"):
        run("adam-tensor", path, steps=8)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_a_gpu_the_model_and_the_batches_move_and_the_generator_must_be_there(tmp_path):
    path = tmp_path / "run.safetensors"
    with pytest.raises(ValueError, match=r"torch\.Generator\('cuda'\)"):
        run("adam-tensor", path, device="cuda")
    there = torch.Generator("cuda").manual_seed(9)
    model, *_ = run("adam-tensor", path, steps=20, device="cuda", generator=there)
    assert {p.device.type for p in model.parameters()} == {"cuda"}
    model, history, *_ = run("adam-tensor", path, device="cuda", generator=there)
    assert len(history.loss) == 60
    with pytest.raises(ValueError, match="device is cuda, this run's is cpu"):
        run("adam-tensor", path)
