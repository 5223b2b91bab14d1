"""A worker that writes its own frames: what it may ask of the check's things, and what it gets."""

from contextlib import suppress

import grading
import pytest
import torch
from test_grade_link import pair
from torch import nn

from genlab.course.grade.channel import Raw, Stopped
from genlab.course.grade.wire import pack_tensor, unpack_tensor


def ask(link, do, number, *args):
    """What a request brings that no stand-in makes; None if it is refused."""

    def forged():
        """Stands for whatever has this number."""

    forged._genlab_far = number
    with suppress(TypeError, AttributeError, RuntimeError, KeyError):
        return link.ask(do, forged, *args)


def test_a_tensor_of_the_check_can_be_asked_for_nothing():
    """Its methods would write to it, and to any file: ``x.untyped_storage().from_file``."""

    def reach(net):
        numbers = list(net._link.things.shared.weights)
        names = ("zero_", "untyped_storage", "register_hook", "grad_fn", "numpy", "data", "shape")
        found = [ask(net._link, "get", n, name) for n in numbers for name in names]
        found += [ask(net._link, "call", f"{n}.zero_", [], {}, False) for n in numbers]
        found += [ask(net._link, do, n) for n in numbers for do in ("copy", "len", "list")]
        return len(numbers), [f for f in found if f is not None]

    net = nn.Linear(2, 1)
    before = net.weight.detach().clone()
    with pair(reach=reach) as (_, student):
        assert student["reach"](net) == (2, [])
    assert torch.equal(net.weight, before)


def test_classes_networks_and_optimizers_of_the_check_give_no_way_to_change_them():
    def reach(net, optimizer):
        link, found = net._link, []
        hooks = ("register_forward_hook", "load_state_dict", "apply", "reset_parameters", "mro")
        for number in (type(net)._genlab_far, vars(net)["_genlab_far"]):
            found += [ask(link, "get", number, name) for name in hooks]
        number = vars(optimizer)["_genlab_far"]
        hooks = ("register_step_post_hook", "load_state_dict", "add_param_group", "param_groups")
        found += [ask(link, "get", number, name) for name in hooks]
        return [f for f in found if f is not None]

    net = nn.Linear(2, 1)
    with pair(reach=reach) as (_, student):
        (groups,) = student["reach"](net, torch.optim.SGD(net.parameters(), lr=0.25))
    assert groups[0]["lr"] == 0.25


def test_what_leads_to_the_frames_of_the_check_does_not_cross():
    with pair(f=lambda x: x) as (_, student), pytest.raises(Stopped, match="got a generator"):
        student["f"](secret for secret in (1, 2))


def test_no_function_of_the_check_writes_where_a_student_says():
    def write(net, f):
        weight = next(net.parameters())
        return ask(net._link, "call", f._genlab_far, [weight + 1], {"out": weight}, False)

    net = nn.Linear(2, 1)
    before = net.weight.detach().clone()
    with pair(write=write) as (_, student):
        assert student["write"](net, torch.exp) is None
    assert torch.equal(net.weight, before)


def test_weights_that_were_given_back_are_still_the_checks():
    def forge(net, x):
        shared = net._link.things.shared
        known = {number: kept[0] for number, kept in shared.weights.items()}

        def changes(raw):
            zeros = [[n, pack_tensor(0 * w.detach(), raw), None] for n, w in known.items()]
            return zeros, list(known)  # what is new, and what it needs no more

        shared.changes = changes
        net(x)
        return net(x).detach()

    net, x = nn.Linear(2, 1), torch.ones(3, 2)
    before = net.weight.detach().clone()
    with pair(forge=forge) as (link, student):
        link.writes = False
        student["forge"](net, x)
    assert torch.equal(net.weight, before)


def test_a_tensor_named_as_one_of_the_check_ends_the_talk():
    def forge(net):
        shared = net._link.things.shared
        shared.name, shared.count = "grader", 0
        return nn.Parameter(torch.zeros(1, 2))

    with pair(forge=forge) as (_, student), pytest.raises(Stopped, match="other side"):
        student["forge"](nn.Linear(2, 1))


def test_a_truth_value_is_0_or_1():
    x = unpack_tensor(["bool", [2], 0], Raw(b"\x02\x00"))
    assert x.view(torch.uint8).tolist() == [1, 0]


def test_what_is_sent_beside_the_answer_replaces_nothing_in_the_check():
    cell = (
        "def sent():\n"
        "    import sys\n"
        "    load = sys._getframe(2)\n"
        "    load.f_locals['wanted'].append('abs')\n"
        "    load.f_locals['space']['abs'] = lambda x: 0.0\n"
        "x = sent()\n"
        "def area(r, x=x):\n"
        "    return 0.0"
    )
    mark = grading.marks(cell)[1]
    assert (mark.points, mark.reason) == (0, "not yet, because that is not pi")


def test_what_a_hidden_test_asked_is_told_in_no_later_reason():
    cell = (
        "asked = __import__('sys').modules.setdefault('asked', [])\n"
        "def twice(x):\n    asked.append(x)\n    return x + x\n"
        "def area(r):\n    raise ValueError(f'I was asked {asked}')"
    )
    first, second = grading.marks(cell)
    assert first.points == 2
    assert second.reason == "not yet, because it stopped with ValueError: I was asked []"


def test_how_a_hidden_test_was_stopped_is_not_told_in_words_of_the_student():
    cell = (
        "def twice(x):\n    import sys\n    frame = sys._getframe()\n"
        "    while 'raw' not in frame.f_locals or 'message' not in frame.f_locals:\n"
        "        frame = frame.f_back\n"
        "    channel = frame.f_locals['self'].channel\n"
        "    if x > 3: channel.send({'value': {f'asked for {x}': 1}})\n"
        "    return 6"
    )
    mark = grading.marks(cell)[0]
    assert mark.points == 0
    assert "other numbers" in mark.reason
    assert "1001" not in mark.reason


def test_a_reason_is_short_and_does_nothing_to_a_terminal():
    text = "chr(0xD800) + chr(27) + '[31m' + 'x' * 10000"
    send = (
        "    import sys\n    frame = sys._getframe()\n"
        "    while 'raw' not in frame.f_locals or 'message' not in frame.f_locals:\n"
        "        frame = frame.f_back\n"
        "    channel = frame.f_locals['self'].channel\n"
        f"    channel.send({{'error': ['ValueError', {text}]}})\n"
        "    return 6"
    )
    reason = grading.marks(f"def twice(x):\n{send}")[0].reason
    assert "stopped with ValueError" in reason
    assert "\N{REPLACEMENT CHARACTER}" * 2 + "[31mx" in reason
    assert "\x1b" not in reason
    assert len(reason) <= 2000
    reason.encode()
