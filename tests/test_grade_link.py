"""Two ends of a link in one process: what crosses, what does not, and gradients that do."""

import copy
import math
import os
import threading
from contextlib import contextmanager, suppress

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import softplus

from genlab.course.grade.channel import Channel, Refused, Stopped
from genlab.course.grade.link import Link


@contextmanager
def pair(**things):
    """The grader's end, and stand-ins for the things of a student at the other end (a thread)."""
    ends = [os.pipe(), os.pipe()]
    grader = Link(Channel(ends[0][0], ends[1][1]), "grader")
    student = Link(Channel(ends[1][0], ends[0][1]), "student")

    def load():
        student.forget(tuple(thing for thing in things.values() if isinstance(thing, type)))
        return things

    student.loader = load

    def serve():
        with suppress(Stopped):
            student.serve()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield grader, grader.ask("load", None)
    finally:
        os.close(ends[1][1])
        thread.join()
        for end in (ends[0][0], ends[0][1], ends[1][0]):
            os.close(end)


@pytest.mark.parametrize(
    "value",
    [
        *(None, True, 3, -(2**63), 1.5, math.inf, "é\0<", 2 + 3j, torch.float64),
        *([1, (2, [])], {"a": 1, (1, 2): None}, slice(1, None, 2)),
    ],
)
def test_data_comes_back_as_it_went(value):
    with pair(same=lambda x: x) as (_, student):
        back = student["same"](value)
    assert back == value
    assert type(back) is type(value)


@pytest.mark.parametrize(
    "dtype",
    [torch.float64, torch.float32, torch.bfloat16, torch.int64, torch.bool, torch.complex128],
)
def test_tensors_come_back_to_the_last_bit(dtype):
    x = torch.randn(3, 4, dtype=torch.float64).to(dtype)
    with pair(same=lambda x: x) as (_, student):
        for shape in (x, x[:0], x[0, 0], x.T, x[:1, :1].expand(3, 2)):
            back = student["same"](shape)
            assert back.dtype == dtype
            assert torch.equal(back, shape)
        assert math.isnan(student["same"](torch.tensor(math.nan)))


def test_numbers_and_arrays_of_numpy_are_data():
    with pair(number=lambda: np.float32(0.5), array=lambda: np.arange(3)) as (_, student):
        assert student["number"]() == 0.5
        assert student["array"]().tolist() == [0, 1, 2]


class Yes:
    def __eq__(self, other):
        return True


@pytest.mark.parametrize("value", [Yes(), {1}, b"x", iter([]), 10**30, torch.zeros(2).to_sparse()])
def test_what_is_no_data_does_not_cross(value):
    with pair(give=lambda: value) as (_, student), pytest.raises(TypeError, match=r"cross|got a"):
        student["give"]()


def test_errors_keep_their_kind_and_none_ends_a_loop():
    def stop(error):
        raise {"NotImplementedError": NotImplementedError, "Stop": StopIteration}[error]

    with pair(stop=stop) as (_, student):
        with pytest.raises(NotImplementedError) as raised:
            student["stop"]("NotImplementedError")
        assert raised.value.args == ()
        with pytest.raises(RuntimeError, match="StopIteration"):
            student["stop"]("Stop")
        with pytest.raises(KeyError):
            student["stop"]("another")


def test_a_generator_goes_on_where_the_other_side_left_it():
    def draw(generator, again):
        return torch.rand(3, generator=generator), again(generator)

    def again(generator):
        return torch.rand(2, generator=generator)

    here, there = (torch.Generator().manual_seed(1) for _ in range(2))
    right = *draw(here, again), torch.rand(1, generator=here)
    with pair(draw=draw) as (_, student):
        found = *student["draw"](there, again), torch.rand(1, generator=there)
    assert all(map(torch.equal, found, right))


def test_arguments_changed_in_place_stay_so_in_hidden_tests_only_by_what_returns_nothing():
    def clear(x):
        x.zero_()

    with pair(clear=clear, more=lambda x: x.add_(1)) as (link, student):
        x, y = torch.ones(3), torch.ones(3)
        student["more"](x)
        student["more"](x)
        student["clear"](y)
        assert x.tolist() == [3, 3, 3]  # as a check of what it is given has to see
        assert y.tolist() == [0, 0, 0]
        link.write_no_more()
        assert x.tolist() == [1, 1, 1]
        student["more"](x)
        assert x.tolist() == [1, 1, 1]
        student["clear"](x)
        assert x.tolist() == y.tolist() == [0, 0, 0]


class Counter:
    """Has state, and a method."""

    def __init__(self, start):
        self.n, self._secret = start, 7

    def add(self, k):
        self.n += k
        return self


def test_objects_stay_where_they_are():
    with pair(Counter=Counter) as (_, student):
        counter = student["Counter"](2)
        assert isinstance(counter, student["Counter"])
        assert counter.add(3) is not None
        assert counter.n == 5
        counter.n = 1
        assert counter.add(1).n == 2
        for name in ("_secret", "__class__.__bases__"):
            with pytest.raises(AttributeError):
                getattr(counter, name)
        with pytest.raises(TypeError):
            len(counter)


def test_a_student_is_told_nothing_of_what_a_check_is_made_of():
    def spy(f):
        found = []
        for name in ("__globals__", "__closure__", "__code__"):
            try:
                found.append(f._link.ask("get", f, name))
            except AttributeError:
                continue
        return found

    def forge(f):
        link = f.__closure__[1].cell_contents if hasattr(f, "__closure__") else None
        found = []
        for number in ("grader99", "grader0.__globals__", "grader0.__code__", "grader-tensor1"):
            f.__dict__["_genlab_far"] = number
            for do, args in (("call", ([], {}, True)), ("get", ("__globals__",)), ("copy", ())):
                try:
                    found.append(link.ask(do, f, *args))
                except (TypeError, AttributeError, RuntimeError, KeyError):
                    continue
        with suppress(TypeError, RuntimeError):  # a text that is filled in with what is private
            found.append(link.ask("call", None, "{0.__globals__}".format, [f], {}, True))
        return found

    secret = 2002
    with pair(spy=spy, forge=forge) as (_, student):
        assert student["spy"](lambda: secret) == []
        assert student["forge"](lambda: secret) == []


def test_gradients_go_through_a_call_and_through_what_it_calls():
    def loss(x, encoder, noise):
        mean, log_sd = encoder(x)
        z = mean + log_sd.exp() * noise
        return (z**2).sum(1) + (x[:, :2] * mean).sum(1) - softplus(log_sd).sum(1)

    g = torch.Generator().manual_seed(2)
    net = nn.Linear(3, 4).double()
    x = torch.randn(5, 3, dtype=torch.float64, generator=g).requires_grad_()
    noise = torch.randn(5, 2, dtype=torch.float64, generator=g)

    def encoder(x):
        return net(x).chunk(2, 1)

    with pair(loss=loss) as (_, student):
        for function in (loss, student["loss"]):
            value = function(x, encoder, noise)
            grads = torch.autograd.grad(value.sum(), [x, *net.parameters()])
            if function is loss:
                right = value, grads
    assert torch.allclose(value, right[0])
    assert all(torch.allclose(a, b) for a, b in zip(grads, right[1], strict=True))


def test_a_gradient_can_be_differentiated_once_more():
    def penalty(critic, x):
        x = x.detach().requires_grad_()
        (slope,) = torch.autograd.grad(critic(x).sum(), x, create_graph=True)
        return (slope.norm(dim=1) - 1) ** 2

    critic = nn.Sequential(nn.Linear(2, 5), nn.Tanh(), nn.Linear(5, 1)).double()
    x = torch.randn(6, 2, dtype=torch.float64)
    right = torch.autograd.grad(penalty(critic, x).mean(), critic[0].weight)[0]
    with pair(penalty=penalty) as (_, student):
        found = torch.autograd.grad(student["penalty"](critic, x).mean(), critic[0].weight)[0]
    assert torch.allclose(found, right)


def test_networks_are_trained_on_either_side():
    def train(nets, optimizer, x, step, rate):
        for _ in range(3):
            loss = (nets[1](nets[0](x)) ** 2).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        copied = copy.deepcopy(nets[0])
        step(copied, torch.optim.SGD(copied.parameters(), lr=rate), x)
        for weight in nets[1].parameters():
            weight.data.clamp_(-0.1, 0.1)
        return [w.detach() for w in copied.parameters()]

    def step(net, optimizer, x):
        net(x).sum().backward()
        assert optimizer.param_groups[0]["params"][0] is next(net.parameters())
        optimizer.step()

    x, ends = torch.randn(8, 2), []
    with pair(train=train) as (_, student):
        for function in (train, student["train"]):
            torch.manual_seed(0)
            nets = nn.ModuleList([nn.Linear(2, 3), nn.Linear(3, 1)])
            optimizer = torch.optim.Adam(nets.parameters(), lr=0.1)
            copied = function(nets, optimizer, x, step, 0.5)
            ends.append([*copied, *(w.detach().clone() for w in nets.parameters())])
    assert all(torch.allclose(a, b) for a, b in zip(*ends, strict=True))


def test_in_hidden_tests_a_function_cannot_change_the_network_that_it_is_given():
    def cheat(net, x):
        for weight in net.parameters():
            weight.data.zero_()
        net(x)
        return 0 * x[:, :1]

    def clip(net, bound):
        for weight in net.parameters():
            weight.data.clamp_(-bound, bound)

    def hook(net):
        return net._link.ask("get", net, "register_forward_hook")

    net, x = nn.Linear(2, 1), torch.ones(3, 2)
    before = net.weight.detach().clone()
    with pair(cheat=cheat, clip=clip, hook=hook) as (link, student):
        link.writes = False
        student["cheat"](net, x)
        assert torch.equal(net.weight, before)
        other = nn.Linear(2, 1)
        student["clip"](other, 1e-3)
        assert bool((other.weight.abs() <= 1e-3).all())
        with pytest.raises(AttributeError, match="does not cross"):
            student["hook"](net)


def test_a_network_of_a_student_is_one_here():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.w = nn.Parameter(torch.ones(2))

        def forward(self, x):
            return x @ self.w

    with pair(Net=Net) as (_, student):
        net = student["Net"]()
        assert isinstance(net, nn.Module)
        optimizer = torch.optim.SGD(net.parameters(), lr=0.5)
        (net(torch.eye(2)) ** 2).sum().backward()
        optimizer.step()
        assert net(torch.eye(2)).tolist() == [0, 0]


def test_no_gradient_is_kept_that_nobody_needs():
    with pair(f=lambda x: x * 2) as (link, student):
        for _ in range(20):
            student["f"](torch.ones(1000, requires_grad=True)).sum().backward()
        assert len(link.things.shared.own) <= 3
        assert len(link.things.shared.got) <= 20


@pytest.mark.parametrize(
    "message",
    [
        b"x",
        b"[]",
        b'{"value": {"tensor": ["float64", [1e9], 0]}}',
        b'{"value": {"tensor": ["float64", [-1], 0]}}',
        b'{"value": {"tensor": ["float64", [' + b"1, " * 99 + b"1], 0]}}",
        b'{"value": {"tensor": ["object", [1], 0]}}',
        b'{"value": [{"tensor": ["uint8", [8], 0]}, {"tensor": ["uint8", [8], 0]}]}',
        b'{"value": {"far": ["a", "class", "A", ["__eq__", 3], false]}}',
        b'{"value": {"pickle": "gASV"}}',
        b'{"value": {"far": ["a", "module"]}}',
        b'{"value": {"home": "grader7"}}',
        b'{"sync": [["grader-tensor1", null, null]]}',
        b'{"wrote": [[7, null]]}',
        b'{"free": 7, "error": 3}',
        b"[" * 100_000,
    ],
)
def test_a_forged_answer_ends_the_talk(message):
    source, sink = os.pipe()
    other, ignored = os.pipe()
    link = Link(Channel(source, ignored), "grader")
    size = len(message).to_bytes(8, "little") + (8).to_bytes(8, "little")
    os.write(sink, (size + message + bytes(8))[:60_000])
    os.close(sink)
    with pytest.raises(Stopped):
        link.ask("load", None)
    with pytest.raises(Stopped):
        link.ask("load", None)
    for end in (source, other, ignored):
        os.close(end)


def test_who_never_stops_talking_is_late_as_well():
    with pair(talk=lambda f: [f() for _ in range(1000)]) as (link, student):
        calls = []

        def tick():
            calls.append(1)
            if len(calls) == 3:
                link.channel.deadline = 0.0

        with pytest.raises(Stopped, match="too long"):
            student["talk"](tick)
    assert len(calls) == 3


def test_a_frame_that_is_too_large_is_not_read():
    source, sink = os.pipe()
    channel = Channel(source, sink)
    os.write(sink, (1 << 62).to_bytes(8, "little") * 2)
    with pytest.raises(Refused, match="may cross"):
        channel.receive()
    os.close(source)
    os.close(sink)
