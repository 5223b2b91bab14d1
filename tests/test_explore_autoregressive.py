"""The figure of chapter 07: fields and PixelCNN are genlab's, and what the page says is so."""

import itertools
import json
import math
import re

import matplotlib as mpl
import pytest
import torch
from conftest import javascript
from torch import nn

from genlab import data, plot
from genlab.autoregressive import MADE, GatedPixelCNN, PixelCNN, WaveNet, nll, receptive_field
from genlab.course.explorables import autoregressive as figure
from genlab.course.explorables.autoregressive import (
    DIGIT,
    DRAWS,
    KNOWN,
    SITE,
    UNIT,
    WEIGHTS,
    N,
    ink,
    load,
    recipe,
)
from genlab.course.explorables.autoregressive import (
    network as figure_network,
)
from genlab.interact import SOURCES, explore_autoregressive, script
from genlab.interact.autoregressive import STACKS, expected, numbers, sees

NUMBERS = json.loads(WEIGHTS.read_text(encoding="utf8"))
PLAIN, TWO = "masks A, B", "two stacks"


@pytest.fixture(scope="module")
def js():
    return javascript("autoregressive")


@pytest.fixture(scope="module")
def model():
    return load()[0].double()


def options(stack, kernel, layers, doubling):
    return {
        "stack": list(STACKS).index(stack),
        "kernel": kernel,
        "layers": layers,
        "doubling": int(doubling),
    }


def field(js, n, site, *chosen):
    """The sites seen, as the page finds them, bool [n, n]."""
    call = "((n, site, options) => [...field(n, site, options)])"
    seen = torch.zeros(n * n, dtype=torch.bool)
    seen[torch.tensor(js(call, n, n * site[0] + site[1], options(*chosen)), dtype=torch.long)] = (
        True
    )
    return seen.view(n, n)


def counts(js, stack, kernel, layers, doubling=False):
    """What the readout says at the first site: seen, not reached, blind, seen but not earlier."""
    site = N * SITE[0] + SITE[1]
    told = js("verdict", N, site, options(stack, kernel, layers, doubling))
    return [len(told[name]) for name in ("seen", "beyond", "blind", "leak")]


def built(g, width=5, layers=2, first=3):
    """A PixelCNN with all of its numbers drawn."""
    model = PixelCNN((1, 8, 8), 2, width, layers, first, generator=g)
    for weight in model.parameters():
        nn.init.normal_(weight, std=0.4, generator=g)
    return model.double()


def images(g, n=16):
    return (torch.rand(n, 1, 8, 8, generator=g, dtype=torch.float64) < 0.4).double()


def same(found, expected, atol=1e-5):
    found = torch.tensor(found, dtype=torch.float64)
    torch.testing.assert_close(found, expected.detach().double(), rtol=0, atol=atol)


@pytest.mark.parametrize("doubling", [False, True])
@pytest.mark.parametrize("stack", STACKS)
def test_what_the_page_sees_is_where_the_gradient_is_not_zero(js, g, stack, doubling):
    for kernel, layers in itertools.product((3, 5, 7), (0, 1, 4, 9)):
        site = tuple(torch.randint(10, (2,), generator=g).tolist())
        found = field(js, 10, site, stack, kernel, layers, doubling)
        assert torch.equal(found, sees(10, site, stack, kernel, layers, doubling))


@pytest.mark.parametrize(("kernel", "layers"), [(3, 0), (3, 4), (5, 2), (7, 9)])
def test_so_do_genlabs_networks(js, g, kernel, layers):
    plain = PixelCNN((1, 10, 10), 2, 4, layers, kernel, generator=g).double()
    for weight in plain.parameters():
        weight.data.abs_()  # with inputs above 0, so that no unit is flat
    two = GatedPixelCNN((1, 10, 10), 2, 4, layers, kernel, generator=g).double()
    x = torch.rand(10, 1, 10, 10, generator=g, dtype=torch.float64)
    for site in ((9, 4), (0, 0), (5, 9)):
        for name, network in ((PLAIN, plain.network), (TWO, two.network)):
            seen = receptive_field(network, x, site) > 0
            assert torch.equal(seen, field(js, 10, site, name, kernel, layers, False))


@pytest.mark.parametrize("layers", range(5))
def test_with_doubled_dilation_the_reach_doubles_with_each_layer(js, layers):
    """In the own row as in a WaveNet, and upwards; a step apart it grows by one."""
    for doubling, reach in ((False, 1 + layers), (True, 2**layers)):
        seen = field(js, 20, (19, 19), PLAIN, 3, layers, doubling)
        assert seen[19].nonzero().flatten().tolist() == list(range(19 - reach, 19))
        assert seen.any(1).nonzero().flatten().tolist() == list(range(19 - reach, 20))
    if layers:
        assert WaveNet(2, 16, layers=layers).receptive_field == reach


@pytest.mark.parametrize("kernel", [3, 5, 7])
def test_the_blind_spot_is_that_of_the_theorem(js, g, kernel):
    """i ≥ 1 rows up, j ≥ i + a columns to the right; doubled dilation does not see it either."""
    i, j = torch.meshgrid(torch.arange(N), torch.arange(N), indexing="ij")
    for _ in range(8):
        row, column = torch.randint(N, (2,), generator=g).tolist()
        wedge = (i < row) & (j - column >= row - i + (kernel - 1) // 2)
        chosen = options(PLAIN, kernel, 3, False)
        told = js("verdict", N, N * row + column, chosen)
        assert told["blind"] == wedge.flatten().nonzero().flatten().tolist()
        before = N * row + column
        assert sorted(told["seen"] + told["beyond"] + told["blind"]) == list(range(before))
        assert told["leak"] == []
        assert not (field(js, N, (row, column), PLAIN, kernel, 9, True) & wedge).any()
        two = options(TWO, kernel, 15 - (kernel - 1) // 2, False)
        assert js("verdict", N, before, two)["seen"] == list(range(before))


def test_what_the_page_says_of_the_field(js):
    assert counts(js, PLAIN, 3, 4) == [50, 96, 36, 0]
    assert counts(js, PLAIN, 3, 14) == counts(js, PLAIN, 3, 4, True) == [146, 0, 36, 0]
    deep = (field(js, N, SITE, PLAIN, 3, layers, on) for layers, on in ((14, False), (4, True)))
    assert torch.equal(*deep)
    assert counts(js, PLAIN, 7, 14)[2] == 21
    assert counts(js, TWO, 3, 14) == [182, 0, 0, 0]
    assert counts(js, "B only", 3, 4)[3] == 1
    assert field(js, N, SITE, "B only", 3, 4, False)[SITE]
    assert counts(js, "no mask", 3, 4)[3] > 1


def test_what_the_page_says_of_the_network(js, model):
    called = "((told, x, known) => look(pixelcnn(told), x, known, [x]))"
    told = js(called, NUMBERS, [int(v) for v in NUMBERS["image"]], KNOWN)
    assert round(told["p"][0], 3) == 0.413
    assert round(told["nats"], 2) == 7.0
    weights = [len(w) * (len(w[0]) + 1) for w, _ in NUMBERS["layers"]]
    assert sum(weights) + len(NUMBERS["last"][0][0]) + 1 + len(NUMBERS["offsets"]) == 1735
    digits = data.digits()
    table = figure_network().start(ink(digits.train)).requires_grad_(False)
    x = ink(digits.test)
    assert round(float(nll(model, x.double()).mean()), 1) == 18.5
    assert round(float(nll(table, x).mean()), 1) == 24.3


@pytest.mark.parametrize("known", [0, 1, 32, 63, 64])
def test_the_network_of_the_page_is_genlabs(js, model, g, known):
    """Logits of the known pixels, their log p, and p(ink) of the next one."""
    x = images(g)
    logits = model(x).diff(dim=-1).flatten(1)
    remembered = "((told, x, known) => x.map(v => remember(pixelcnn(told), v, known)[0]))"
    same(js(remembered, NUMBERS, x.flatten(1).tolist(), known), logits[:, :known])
    called = "((told, x, known) => x.map(v => look(pixelcnn(told), v, known, [v])))"
    told = js(called, NUMBERS, x.flatten(1).tolist(), known)
    log_p = model.log_conditionals(x).flatten(1)[:, :known].sum(1)
    same([each["nats"] for each in told], -log_p)
    assert {len(each["p"]) for each in told} == {64 - known}
    if known < 64:
        same([each["p"][0] for each in told], logits[:, known].sigmoid())


@pytest.mark.parametrize(("width", "layers", "first"), [(1, 0, 1), (3, 0, 3), (4, 2, 7), (6, 3, 5)])
def test_your_own_model_is_evaluated_too(js, g, width, layers, first):
    own = built(g, width, layers, first)
    told = json.loads(explore_autoregressive(own).attributes["model"])
    x = images(g)
    called = "((told, x) => x.map(v => remember(pixelcnn(told), v, 64)[0]))"
    found = js(called, told, x.flatten(1).tolist())
    same(found, own(x).diff(dim=-1).flatten(1), atol=2e-2)  # weights rounded to 1e-4


@pytest.mark.parametrize("known", [0, 13, 32, 64])
def test_the_page_draws_what_genlab_draws(js, model, g, known):
    x = images(g)
    u = torch.rand(16, 1, 8, 8, generator=g, dtype=torch.float64)
    called = "((told, x, known, u) => x.map((v, i) => complete(pixelcnn(told), v, known, u[i])))"
    told = js(called, NUMBERS, x.flatten(1).tolist(), known, u.flatten(1).tolist())
    drawn = model.from_uniforms(u, x, known)
    assert [each["image"] for each in told] == drawn.flatten(1).tolist()
    assert torch.equal(drawn.flatten(1)[:, :known].double(), x.flatten(1)[:, :known])
    p = model(drawn.double()).softmax(-1)[..., 1].flatten(1)
    same([each["p"] for each in told], p[:, known:])


@pytest.mark.parametrize("known", [0, 32, 50])
def test_what_is_expected_is_the_mean_over_completions(js, model, g, known):
    x = load()[1].double()
    u = torch.rand(10, 1, 8, 8, generator=g, dtype=torch.float64)
    called = "((told, x, known, u) => look(pixelcnn(told), x, known, u).p)"
    found = js(called, NUMBERS, x.flatten().tolist(), known, u.flatten(1).tolist())
    same(found, expected(model, x, known, u)[known:])


def test_the_mean_over_completions_estimates_the_law_of_a_later_pixel(model, g):
    """Beside the sum over all 16 ends of an image, by its standard error."""
    x = load()[1].double()
    ends = x.flatten().repeat(16, 1)
    ends[:, 60:] = torch.cartesian_prod(*4 * [torch.arange(2.0)]).double()
    weights = model.log_prob(ends.view(-1, 1, 8, 8)).softmax(0)
    u = torch.rand(2000, 1, 8, 8, generator=g, dtype=torch.float64)
    found = expected(model, x, 60, u)[60:]
    error = 0.5 / math.sqrt(len(u))
    assert ((found - weights @ ends[:, 60:]).abs() < 4.5 * error).all()


def test_the_uniforms_are_uniform_and_others_for_another_seed(js):
    u = torch.tensor([js("uniforms", seed, 64) for seed in range(1, 41)])
    assert u.min() >= 0
    assert u.max() < 1
    assert abs(u.mean() - 0.5) < 4.5 / math.sqrt(12 * u.numel())
    assert len(u.unique()) > 0.99 * u.numel()
    assert len(js("uniforms", 1, 64)) == 64


def test_painting_opens_what_comes_after(js):
    """Drawn pixels behind the brush are open again, open ones before it paper."""
    ones = {"image": [1] * 64, "known": 20, "kept": 10}
    inside = js("painted", ones, 5, 0)
    assert inside == {"known": 10, "kept": 10, "image": [*5 * [1], 0, *4 * [1], *54 * [0]]}
    drawn = js("painted", ones, 15, 0)
    assert drawn == {"known": 16, "kept": 16, "image": [*15 * [1], *49 * [0]]}
    ahead = js("painted", ones, 30, 1)
    assert ahead == {"known": 31, "kept": 31, "image": [*20 * [1], *10 * [0], 1, *33 * [0]]}
    assert js("painted", ones, 64, 1) == {}


def test_the_recipe_makes_the_file(model):
    again = recipe()
    assert again.keys() == NUMBERS.keys()
    for name in ("image", "unit", "kernel"):
        assert again[name] == NUMBERS[name]
    x = ink(data.digits().test)
    found = costs(again, x)
    # Other processors round otherwise, and some hundred steps amplify it.
    assert abs(found - nll(model, x.double()).mean()) < 0.3
    assert WEIGHTS.stat().st_size < 12_000


def costs(told, x):
    """−log p of images by the numbers of a file, nats an image."""
    js = javascript("autoregressive")
    called = (
        "((told, x) => { const m = pixelcnn(told); return x.map(v => look(m, v, 64, []).nats); })"
    )
    return torch.tensor(js(called, told, x.flatten(1).tolist())).mean()


def test_the_numbers_are_whole_and_are_the_weights(model):
    assert {"image": NUMBERS["image"]} | numbers(model, UNIT) == NUMBERS
    digit = ink(data.digits().test[DIGIT])
    assert torch.equal(load()[1], digit)


def test_a_figure_of_your_own_model(g):
    given = explore_autoregressive(built(g))
    told = json.loads(given.attributes["model"])
    assert told.keys() == {"unit", "kernel", "layers", "last", "offsets"}
    assert told["kernel"] == 3
    assert [len(weight[0]) for weight, _ in told["layers"]] == [4, 25, 25]
    assert "<gen-autoregressive " in given._repr_html_()
    assert explore_autoregressive().attributes == {}


def broken(g):
    model = built(g)
    model.offsets.data[0, 3, 3, 1] = math.nan
    return model


@pytest.mark.parametrize(
    ("build", "sentence"),
    [
        (lambda g: nn.Linear(2, 2), "Expected a PixelCNN of binary images, .* got a Linear"),
        (lambda g: MADE(64, generator=g), "got a MADE"),
        (lambda g: PixelCNN((1, 8, 8), 17, 4, 1), r"got one of \(1, 8, 8\) with 17 levels"),
        (lambda g: PixelCNN((1, 7, 8), 2, 4, 1), r"got one of \(1, 7, 8\) with 2 levels"),
        (broken, "Expected finite weights, got NaN or infinity"),
    ],
)
def test_a_model_that_does_not_fit_is_refused(g, build, sentence):
    with pytest.raises(ValueError, match=sentence):
        explore_autoregressive(build(g))


def test_the_module_names_what_the_page_may_press():
    text = (SOURCES / "autoregressive.mjs").read_text(encoding="utf8")
    tries = text[text.index("  tries = {") : text.index("  initial()")]
    names = ["next", "end", "again", "ink", "paper", "deep", "doubling", "two"]
    assert re.findall(r"\b(\w+): \[\"", tries) == names


def test_the_figure_begins_where_the_static_one_stands(js):
    text = (SOURCES / "autoregressive.mjs").read_text(encoding="utf8")
    row, column = re.search(
        r"return \{ row: (\d+), column: (\d+), stack: 0, kernel: 3,", text
    ).groups()
    assert (int(row) - 1, int(column) - 1) == SITE
    assert f"const N = {N}," in text
    assert f"known: {KNOWN}, kept: {KNOWN}, seed: 1" in text
    assert [name for name, *_ in js("(() => STACKS)")] == list(STACKS)


def test_the_script_holds_its_numbers():
    text = script("autoregressive")
    assert f'"unit": {UNIT}' in text
    assert not re.search(r"^\s*(import|export)\b", text, flags=re.MULTILINE)
    assert "</script" not in text


def test_the_colour_of_the_blind_spot_is_that_of_the_figures():
    style = (SOURCES / "explore.css").read_text(encoding="utf8")
    light, dark = re.findall(r"gen-autoregressive \{ --truth: (#\w{6}) \}", style)
    assert (light, dark) == (plot.COLORS["truth"], plot.ON_DARK[light])


def test_the_static_figure_shows_the_same(js):
    with mpl.rc_context(plot.STYLE):
        fig = figure()
    fields, pictures = fig.axes[:4], fig.axes[4:]
    titles = ["4 layers: 50", "14 layers: 146", "4, dilated: 146", "two stacks: 182"]
    assert [ax.get_title(loc="left") for ax in fields] == titles
    assert [len(ax.lines[0].get_xdata()) for ax in fields] == [36, 36, 36, 0]
    model, x = load()
    u = torch.rand(DRAWS, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    alpha = [(torch.tensor(ax.images[0].get_array())[..., 3] - 0.05) / 0.95 for ax in pictures]
    for image in alpha:
        same(image.flatten()[:KNOWN].tolist(), x.flatten()[:KNOWN], atol=1e-6)
    assert alpha[0].flatten()[KNOWN:].abs().max() < 1e-6
    same(alpha[1].flatten()[KNOWN:].tolist(), expected(model, x, KNOWN, u)[KNOWN:], atol=1e-6)
    drawn = model.from_uniforms(u[:3], x.expand(3, -1, -1, -1), KNOWN)
    same(torch.stack(alpha[2:]).tolist(), drawn[:, 0], atol=1e-6)
