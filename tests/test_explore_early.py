"""The figure of chapter 04: chain and energies are genlab's, and what the page says is so."""

import json
import math
import re

import matplotlib as mpl
import pytest
import torch
from conftest import javascript
from torch import nn

from genlab import data, plot
from genlab.course.explorables import early as figure
from genlab.course.explorables.autoregressive import ink
from genlab.course.explorables.early import (
    FIRST,
    HELD,
    HIDDEN,
    SEED,
    STOPS,
    SWEEPS,
    UNIT,
    WEIGHTS,
    load,
    recipe,
    uniforms,
)
from genlab.early import RBM, pseudo_log_likelihood
from genlab.interact import SOURCES, explore_early, script
from genlab.interact.early import numbers, walked

NUMBERS = json.loads(WEIGHTS.read_text(encoding="utf8"))
ALL, NONE, UPPER = (torch.ones(64) > 0, torch.zeros(64) > 0, HELD)
# What the page says of its numbers, of chains of 200 sweeps from the first digit: changes of class
# and mean of F for T = 0.5, 1, 2; the mean of F over the digits; the unit, and p(h = 1) along the
# chain for T = 1 and over the digits.
SAID = {
    "changes": [0, 79, 136],
    "energies": [-70.5, -65.2, -51.1],
    "usual": -66.3,
    "unit": 34,
    "on": [0.409, 0.59],
}
WALK = "((told, state) => walker(machine(told))(state))"


@pytest.fixture(scope="module")
def js():
    return javascript("early")


@pytest.fixture(scope="module")
def told():
    return load()


def built(g, hidden=7, scale=0.5):
    """A machine with its numbers drawn, whole multiples of 1/100, and what the page holds of it."""
    model = RBM(64, hidden, generator=g).double()
    for weight in model.parameters():
        nn.init.normal_(weight, std=scale, generator=g)
        weight.data.mul_(100).round_().div_(100)
    return model, numbers(model, 100)


def bits(g, n=16, share=0.4):
    return (torch.rand(n, 64, generator=g, dtype=torch.float64) < share).double()


def rolled(g, sweeps, hidden):
    return torch.rand(sweeps, hidden + 64, generator=g, dtype=torch.float64)


def chain(js, machine, x, u, held=NONE, temperature=1.0):
    """Every place of a chain of the page."""
    call = "((told, ...rest) => chain(machine(told), ...rest))"
    given = x.tolist(), held.long().tolist(), temperature, u.flatten().tolist(), len(u)
    return js(call, machine, *given)


def state(told, held=NONE, temperature=1.0, sweeps=200, seed=SEED):
    """A state of the figure, from the digit that it begins with."""
    x = told.digits[told.starts[FIRST]]
    settings = {"temperature": temperature, "sweeps": sweeps, "seed": seed}
    return {"image": x.long().tolist(), "held": held.long().tolist()} | settings


def same(found, expected, atol=1e-9):
    found, expected = (torch.as_tensor(v, dtype=torch.float64).detach() for v in (found, expected))
    torch.testing.assert_close(found, expected, rtol=0, atol=atol)


@pytest.mark.parametrize("temperature", [0.3, 1.0, 2.5])
@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_the_chain_of_the_page_is_genlabs_gibbs(js, g, monkeypatch, temperature, share):
    """RBM.gibbs itself, its coins replaced by given uniforms."""
    model, machine = built(g)
    x, u = bits(g, 1), rolled(g, 25, 7)
    held = torch.rand(64, generator=g) < share
    coins, tossed = iter([part for row in u for part in row.split((7, 64))]), []

    def bernoulli(p, *, generator):
        tossed.append((next(coins) < p).to(p))
        return tossed[-1]

    places = chain(js, machine, x[0], u, held, temperature)
    with monkeypatch.context() as patch:
        patch.setattr(torch, "bernoulli", bernoulli)
        last = model.gibbs(x, 25, clamped=held, temperature=temperature)
    assert places[-1]["x"] == last[0].tolist()
    assert [place["h"] for place in places[1:]] == [h[0].tolist() for h in tossed[::2]]
    drawn = torch.stack(tossed[1::2])[:, 0]
    same([place["x"] for place in places[1:]], torch.where(held, x, drawn), atol=0)
    assert len(places) == 26
    assert places[0]["x"] == x[0].tolist()


@pytest.mark.parametrize("temperature", [0.3, 1.0, 2.5])
@pytest.mark.parametrize("held", [ALL, NONE, UPPER])
def test_so_is_that_of_the_static_figure(js, g, temperature, held):
    model, machine = built(g, 11)
    x, u = bits(g, 1)[0], rolled(g, 40, 11)
    xs, hs = walked(model, x, u, held=held, temperature=temperature)
    places = chain(js, machine, x, u, held, temperature)
    same([place["x"] for place in places], xs, atol=0)
    same([place["h"] for place in places[1:]], hs, atol=0)
    assert torch.equal(xs[:, held], x[held].expand(41, -1))
    assert bool((xs[1:] != xs[0]).any()) == (not held.all())


@pytest.mark.parametrize("scale", [0.01, 0.5, 3.0])
def test_free_energies_and_logits_are_genlabs(js, g, scale):
    model, machine = built(g, 20, scale)
    x = bits(g, 50)
    call = "((told, x) => x.map(v => place(machine(told), v)))"
    places = js(call, machine, x.tolist())
    # Above 20 torch takes a softplus for a line.
    same([place["F"] for place in places], model.energy(x), atol=1e-7)
    same([place["logits"] for place in places], x @ model.W + model.c)
    h = (torch.rand(50, 20, generator=g) < 0.5).double()
    call = "((told, h) => h.map(v => downwards(machine(told), v)))"
    same(js(call, machine, h.tolist()), h @ model.W.T + model.b)


def test_the_sides_of_the_gradient_are_genlabs(js, g):
    """Their difference is minus the slope of the mean free energy in W and c, by autograd."""
    model, machine = built(g)
    x, y = bits(g, 30), bits(g, 20, 0.6)
    gap = model.energy(x).mean() - model.energy(y).mean()
    of_w, of_c = torch.autograd.grad(-gap, [model.W, model.c])
    call = "((told, x, j) => moments(x.map(v => ({ x: v, logits: upwards(machine(told), v) })), j))"
    for j in range(7):
        data_side, model_side = (js(call, machine, v.tolist(), j) for v in (x, y))
        assert data_side["on"] - model_side["on"] == pytest.approx(float(of_c[j]), abs=1e-12)
        found = torch.tensor(data_side["with"]) - torch.tensor(model_side["with"])
        same(found.tolist(), of_w[:, j], atol=1e-6)
        same(data_side["with"], model.hidden(x)[:, j] @ x / 30, atol=1e-12)


def test_a_chain_of_the_page_visits_images_as_often_as_the_law_says(js, g):
    """With all but three pixels held, in 4000 sweeps, beside the law by enumeration."""
    model, machine = built(g, 5, 0.3)
    x, free = bits(g, 1)[0], torch.tensor([3, 30, 60])
    held = torch.ones(64) > 0
    held[free] = False
    ends = x.repeat(8, 1)
    ends[:, free] = torch.cartesian_prod(*3 * [torch.arange(2.0)]).double()
    law = (-model.energy(ends)).softmax(0)
    places = chain(js, machine, x, rolled(g, 4000, 5), held)
    visited = torch.tensor([place["x"] for place in places])[:, free] @ torch.tensor([4, 2, 1])
    share = visited.bincount(minlength=8) / len(visited)
    # Neighbours in a chain are alike: three times the error of independent draws.
    assert ((share - law).abs() < 3 * 4.5 * (law * (1 - law) / 4000).sqrt()).all()
    assert (law - 1 / 8).abs().max() > 0.02


def test_what_is_known_of_a_chain_is_not_drawn_anew(js, told):
    called = """((told, before, now) => {
      const walk = walker(machine(told));
      walk(before);
      return walk(now).map(({ x }) => x);
    })"""
    now = state(told, UPPER, sweeps=30)
    fresh = [place["x"] for place in js(WALK, NUMBERS, now)]
    assert len(fresh) == 31
    changes = (
        {"sweeps": 0},
        {"sweeps": 10},
        {"sweeps": 90},
        {"seed": 2},
        {"temperature": 2.0},
        {"held": 64 * [0]},
        {"image": 64 * [1]},
    )
    for change in changes:
        assert js(called, NUMBERS, now | change, now) == fresh, change


def test_the_uniforms_are_genlabs_noise_and_uniform(js):
    u = uniforms(3, 50)
    assert u.shape == (50, HIDDEN + 64)
    same(js("uniforms", 3, u.numel()), u.flatten(), atol=0)
    assert abs(u.mean() - 0.5) < 4.5 / math.sqrt(12 * u.numel())
    assert not torch.equal(u, uniforms(4, 50))


def test_the_digits_of_the_page_are_the_test_set(js, told):
    digits = data.digits()
    x = ink(digits.test).flatten(1)
    same(js("images", NUMBERS["digits"]), x, atol=0)
    assert torch.equal(told.digits, x.double())
    assert torch.equal(told.labels, digits.test_labels)
    assert told.labels[told.starts].tolist() == list(range(10))
    one = "((x, words) => nearest(x, images(words)))"
    assert js(one, x[100].long().tolist(), NUMBERS["digits"]) == 100
    other = x[100].clone()
    other[:3] = 1 - other[:3]
    far = (x - other).abs().sum(1)
    assert js(one, other.long().tolist(), NUMBERS["digits"]) == int(far.argmin())


def test_a_touched_pixel_is_held_and_a_chain_begins_there(js):
    before = {"held": 64 * [0], "image": 64 * [0], "sweeps": 9}
    x = [1, *63 * [0]]
    inked, papered, freed = (js("touched", before, x, 11, now) for now in (1, 2, 0))
    for after in (inked, papered, freed):
        assert (after["sweeps"], after["row"], after["column"]) == (0, 2, 4)
        assert after["image"][:11] + after["image"][12:] == x[:11] + x[12:]
        assert after["start"] == js("(() => OWN)")
    assert (inked["held"][11], inked["image"][11]) == (1, 1)
    assert (papered["held"][11], papered["image"][11]) == (1, 0)
    assert (freed["held"][11], freed["image"][11]) == (0, 0)
    assert [js("kind", after, 11) for after in (freed, inked, papered)] == [0, 1, 2]
    assert js("site", inked) == 11


def test_a_start_is_a_digit_coins_or_what_stands_there(js, told):
    before = {"held": HELD.long().tolist(), "image": 64 * [1]}
    x, digits = bits(torch.Generator().manual_seed(1), 1)[0].tolist(), [[0] * 64, [1] * 64]
    assert js("started", before, x, 1, digits) == {"start": 1, "image": digits[1]}
    coins, own = js("(() => [COINS, OWN])")
    tossed = js("started", before, x, coins, digits)["image"]
    assert tossed[:32] == 32 * [1], "what is held stays"
    assert 4 < sum(tossed[32:]) < 28
    assert js("started", before, x, own, digits) == {"start": own, "image": x, "sweeps": 0}


@pytest.mark.parametrize(
    ("held", "side", "title", "words"),
    [
        (NONE, -1, "sleep: −", "Nothing is held: sleep."),
        (UPPER, 0, "this chain", "32 of 64 pixels are held."),
        (ALL, 1, "wake: this x", "All pixels are held: wake."),
    ],
)
def test_what_is_held_says_which_side_it_is(js, told, held, side, title, words):
    held = held.long().tolist()
    assert js("phase", held) == side
    over, along = ({"on": p, "with": 64 * [p]} for p in (0.5, 0.3))
    shown = js("pictures", 64 * [0.25], over, along, side)
    assert shown["chain"] == [title, 64 * [-0.3 if side < 0 else 0.3]]
    same(shown["slope"][1], 64 * [0.6 if side < 0 else 0.0])
    assert shown["weights"] == ["weights", 64 * [1]]
    assert shown["wake"][1] == 64 * [0.5]
    values = ((-1, "7"), (-2, "7"), (-4, "1"), (-5, "7"))
    places = [{"F": F, "logits": [0.0], "name": name} for F, name in values]
    settings = {"sweeps": 3, "temperature": 1, "held": held, "unit": 1}
    first, second = js("report", settings, places, places[:1], over, along)
    assert first == (
        "Sweep 3, T = 1.00: F = <b>−5.00</b>, on average −3.00 along the chain, −1.00 over the "
        "digits; the nearest digit is of class 7, changes so far: 2."
    )
    assert second == (
        f"{words} Unit 1: p(h = 1) = <b>0.500</b>, on average 0.300 along the chain, 0.500 over "
        "the digits."
    )


def test_the_axis_has_room_for_the_chain_and_changes_seldom(js):
    ends = [js("reach", n) for n in range(501)]
    assert all(end >= n and end % STOPS == 0 for n, end in enumerate(ends))
    assert len(set(ends)) == 4
    for n in (0, 20, 21, 500):
        drawn = js("energies", [0, 0, 100, 50], [-60.0 - i % 7 for i in range(n + 1)], -64.0)
        heights = [float(v) for v in re.findall(r"[ML][\d.]+ ([\d.]+)", drawn)]
        assert all(0 <= v <= 50 for v in heights)
        assert "NaN" not in drawn
        level, curve = heights[1], heights[2:]  # the first is of the axis
        assert curve[:3] == sorted(curve[:3]), "a lower F stands lower"
        assert all(abs(height - level) < 0.1 for height in curve[4::7])
        end = re.search(r'<circle cx="([\d.]+)" cy="([\d.]+)"', drawn)
        same([float(v) for v in end.groups()], [100 * n / js("reach", n), curve[-1]], atol=0.1)


def test_each_image_stands_under_its_sweep_with_its_class(js):
    for last in (30, 100):
        places = [{"x": [n % 2, 1], "name": f"a {n}"} for n in range(last + 1)]
        drawn = js("strip", [50, 0, 200, 20], places)
        found = re.findall(r'<text x="([\d.]+)" [^>]*>a (\d+)<', drawn)
        expected = [(50 + 2 * n, n) for n in range(0, last + 1, 10)]
        assert [(round(float(x), 6), int(n)) for x, n in found] == expected


def free(js, told, temperature):
    """The places of the page's free chain of 200 sweeps, with the classes of the nearest digits."""
    places = js(WALK, NUMBERS, state(told, temperature=temperature))
    x = torch.tensor([place["x"] for place in places]).double()
    far = torch.cdist(x, told.digits, p=1)
    return x, told.labels[far.argmin(1)]


def test_what_the_page_says_of_warm_and_cold_chains(js, told):
    changes, energies = [], []
    for temperature in (0.5, 1.0, 2.0):
        x, classes = free(js, told, temperature)
        changes.append(int((classes.diff() != 0).sum()))
        energies.append(round(float(told.model.energy(x).mean()), 1))
    usual = float(told.model.energy(told.digits).mean())
    assert changes == SAID["changes"]
    assert energies == SAID["energies"]
    assert round(usual, 1) == SAID["usual"]
    # In words: a cold chain stays and is neater than digits are, a hot one leaves them.
    assert 0 == changes[0] < changes[1] < changes[2]
    assert energies[0] < usual - 4
    assert energies[2] > usual + 8
    assert abs(energies[1] - usual) < 4


def test_what_the_page_says_of_the_unit(js, told):
    model = told.model
    unit = int(model.W.norm(dim=0).argmax()) + 1
    x, _ = free(js, told, 1.0)
    on = [float(model.hidden(v)[:, unit - 1].mean()) for v in (x, told.digits)]
    assert unit == SAID["unit"]
    assert [round(p, 3) for p in on] == SAID["on"]
    assert abs(on[0] - on[1]) > 0.1, "one chain of 200 sweeps has been to few places"


def test_these_are_the_numbers_on_the_page(root):
    page = (root / "book" / "04_early.md").read_text(encoding="utf8").replace("−", "-")
    for words in (
        f"the nearest class changes {SAID['changes'][1]} times.",
        f"with a mean $F$ of {SAID['energies'][0]}, where the digits have {SAID['usual']}.",
        f"it changes {SAID['changes'][2]} times, and the mean is {SAID['energies'][2]}:",
        f"For unit {SAID['unit']} the mean",
        f"over the digits is {SAID['on'][1]:.3f}, and",
        f"it is {SAID['on'][0]:.3f} along the chain.",
    ):
        assert words in page


def test_the_machine_is_one_that_has_learnt(told, g):
    digits = told.digits
    assert pseudo_log_likelihood(told.model, digits).mean() > -15.5
    draws = told.model.sample(200, steps=300, generator=g)
    coins = torch.bernoulli(digits.mean(0).expand(200, -1), generator=g)
    near, far = (torch.cdist(x, digits, p=1).amin(1).mean() for x in (draws, coins))
    assert near < far - 2
    here, there = (told.model.hidden(x).mean(0) for x in (digits, draws))
    assert (here - there).abs().mean() < 0.06, "wake and sleep differ by chance alone"


def test_the_recipe_makes_the_file(told):
    again = recipe()
    assert again.keys() == NUMBERS.keys()
    for name in ("unit", "starts", "labels", "digits"):
        assert again[name] == NUMBERS[name]
    model = RBM(64, HIDDEN).double().requires_grad_(False)
    for name in ("W", "b", "c"):
        getattr(model, name).copy_(torch.tensor(again[name]).double() / UNIT)
    # Other processors round otherwise, and some thousand steps amplify it.
    gap = pseudo_log_likelihood(model, told.digits) - pseudo_log_likelihood(told.model, told.digits)
    assert abs(gap.mean()) < 0.5
    assert WEIGHTS.stat().st_size < 30_000


def test_the_numbers_are_whole_and_are_the_weights(told):
    found = numbers(told.model, UNIT)
    assert found == {name: NUMBERS[name] for name in found}


def test_a_figure_of_your_own_model(js, g):
    model, _ = built(g, 20)
    machine = json.loads(explore_early(model).attributes["model"])
    x = bits(g)
    call = "((told, x) => x.map(v => energy(machine(told), v)))"
    same(js(call, machine, x.tolist()), model.energy(x), atol=1e-9)
    assert "<gen-early " in explore_early(model)._repr_html_()
    assert explore_early().attributes == {}


def broken():
    model = RBM(64, 3)
    model.W.data[5, 1] = math.nan
    return model


@pytest.mark.parametrize(
    ("model", "sentence"),
    [
        (nn.Linear(64, 3), "Expected an RBM of 64 pixels .* got a Linear"),
        (RBM(63, 5), "got one of 63 with 5"),
        (RBM(64, 101), "at most 100 hidden units, .* got one of 64 with 101"),
        (broken(), "Expected finite weights, got NaN or infinity"),
    ],
)
def test_a_model_that_does_not_fit_is_refused(model, sentence):
    with pytest.raises(ValueError, match=sentence):
        explore_early(model)


def test_the_module_names_what_the_page_may_press():
    text = (SOURCES / "early.mjs").read_text(encoding="utf8")
    tries = text[text.index("  tries = {") : text.index("  initial()")]
    names = ["one", "ten", "hundred", "again", "lower", "sleep", "wake", "cold", "hot"]
    assert re.findall(r"\b(\w+): \[\"", tries) == names
    assert "NONE, 0.5)" in tries
    assert "NONE, 2)" in tries
    assert "sweeps: 200" in text


INITIAL = """
const figure = new Early();
figure.getAttribute = () => null;
const first = figure.initial();
"""


def test_the_figure_begins_where_the_static_one_stands(js, told):
    first = js(f"(() => {{ {INITIAL} return first; }})")
    expected = state(told, UPPER, sweeps=SWEEPS)
    assert {key: first[key] for key in expected} == expected
    assert (first["start"], first["unit"]) == (FIRST, SAID["unit"])


def test_no_try_leaves_the_figure_as_the_static_one_is(js):
    changed = js(f"""(() => {{ {INITIAL}
      const other = change => Object.keys(change).filter(k => `${{change[k]}}` !== `${{first[k]}}`);
      return Object.fromEntries(Object.entries(figure.tries).map(([name, [, change]]) =>
        [name, other(change(first)).sort().join(" ")]));
    }})""")
    steps = dict.fromkeys(("one", "ten", "hundred"), "sweeps")
    sides = dict.fromkeys(("lower", "sleep", "wake"), "held sweeps")
    warmth = dict.fromkeys(("cold", "hot"), "held sweeps temperature")
    assert changed == {"again": "seed"} | steps | sides | warmth


def test_the_script_is_whole():
    text = script("early")
    assert f'"unit": {UNIT}' in text
    assert not re.search(r"^\s*(import|export)\b", text, flags=re.MULTILINE)
    assert "</script" not in text


def test_the_static_figure_shows_the_same(js, told):
    with mpl.rc_context(plot.STYLE):
        fig = figure()
    top, trace, stills = fig.axes[:6], fig.axes[6], fig.axes[7:]
    chains = [js(WALK, NUMBERS, state(told, UPPER, sweeps=SWEEPS, seed=seed)) for seed in (1, 2, 3)]
    alpha = [
        (torch.tensor(ax.images[0].get_array())[..., 3] - 0.05) / 0.95 for ax in (*top, *stills)
    ]
    for image, places in zip(alpha[1:4], chains, strict=True):
        same(image.flatten().tolist(), torch.tensor(places[-1]["x"]), atol=1e-6)
    same(alpha[0].flatten().tolist(), torch.tensor(chains[0][0]["x"]) * HELD, atol=1e-6)
    places = chains[SEED - 1]
    same(trace.lines[0].get_ydata(), [place["F"] for place in places])
    for image, place in zip(alpha[6:], places[:: SWEEPS // STOPS], strict=True):
        same(image.flatten().tolist(), torch.tensor(place["x"]), atol=1e-6)
    x = torch.tensor([place["x"] for place in places[:: SWEEPS // STOPS]]).double()
    nearest = told.labels[torch.cdist(x, told.digits, p=1).argmin(1)]
    titles = [ax.get_title(loc="left") for ax in stills]
    assert titles == [str(k) for k in nearest.tolist()]
    j = SAID["unit"] - 1
    call = "((told, x, j) => moments(x.map(v => place(machine(told), v)), j).with)"
    wake = js(call, NUMBERS, told.digits.long().tolist(), j)
    same(alpha[5].flatten().tolist(), 0.7 * torch.tensor(wake), atol=1e-6)
