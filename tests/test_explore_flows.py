"""The figure of chapter 06: its couplings are genlab's, and what the page says of it is so."""

import json
import math
import re

import matplotlib as mpl
import pytest
import torch
from conftest import javascript
from torch import nn

from genlab import data, plot
from genlab.course.explorables import flows as figure
from genlab.course.explorables.flows import (
    CENTRE,
    EDGE,
    KINDS,
    SCALE,
    SIDE,
    START,
    UNIT,
    WEIGHTS,
    area,
    load,
    moons,
    network,
    recipe,
    square,
)
from genlab.flows import (
    NICE,
    AdditiveCoupling,
    AffineCoupling,
    Compose,
    Flow,
    Permutation,
    RealNVP,
    Scaling,
    SplineCoupling,
    StandardNormal,
    UnitCube,
)
from genlab.interact import SOURCES, explore_flows, script
from genlab.interact.flows import drawn_by, numbers, stops

NUMBERS = json.loads(WEIGHTS.read_text(encoding="utf8"))
GAP = (-0.7, -0.4)  # where the button "gap" puts the square


@pytest.fixture(scope="module")
def js():
    return javascript("flows")


@pytest.fixture(scope="module")
def models():
    return {kind: flow.double() for kind, flow in load().items()}


def moved(flow, g):
    """The flow with all weights drawn anew: as they are built, couplings are the identity."""
    for weight in flow.parameters():
        nn.init.normal_(weight, std=0.4, generator=g)
    return flow


def part(flow, k):
    """What the first k layers make of the base: it is a flow, too."""
    return Flow(flow.base, Compose(*drawn_by(flow)[:k][::-1])) if k else flow.base


def points(g, n=16):
    return 1.5 * torch.randn(n, 2, dtype=torch.float64, generator=g)


def same(found, expected, atol=1e-6):
    found = torch.tensor(found, dtype=torch.float64)
    torch.testing.assert_close(found, expected.double(), rtol=0, atol=atol)


def carried(js, layers, z):
    """Points and log |det| after each layer, as the page computes them: what ``stops`` gives."""
    found = js("((layers, z) => z.map(v => stops(layers, v)))", layers, z.tolist())
    return (
        [[at[k][0] for at in found] for k in range(len(layers) + 1)],
        [[at[k][1] for at in found] for k in range(len(layers) + 1)],
    )


@pytest.mark.parametrize("kind", KINDS)
def test_every_stop_of_the_page_is_genlabs(js, models, g, kind):
    layers, z = js("numbered", NUMBERS[kind]["layers"], UNIT), points(g)
    for found, expected in zip(carried(js, layers, z), stops(models[kind], z), strict=True):
        same(found, expected)


@pytest.mark.parametrize("kind", KINDS)
def test_the_density_after_each_layer_is_genlabs(js, models, g, kind):
    layers, x = js("numbered", NUMBERS[kind]["layers"], UNIT), points(g)
    for k in range(len(layers) + 1):
        density = "((layers, x) => x.map(v => logDensity(layers, v)))"
        same(js(density, layers[:k], x.tolist()), part(models[kind], k).log_prob(x), atol=1e-5)
        back = js("((layers, x) => x.map(v => origin(layers, v)[0]))", layers[:k], x.tolist())
        expected = part(models[kind], k).transform(x)[0] if k else x
        same(back, expected)


@pytest.mark.parametrize(
    "build",
    [
        lambda g: RealNVP(2, 5, (7,), generator=g),
        lambda g: RealNVP(2, 1, (), generator=g),
        lambda g: NICE(2, 4, (9, 5), generator=g),
        lambda g: NICE(2, 3, (6,), scaling=False, generator=g),
        lambda g: Flow(StandardNormal((2,)), Scaling((2,))),
    ],
)
def test_your_own_flow_is_evaluated_too(js, g, build):
    flow = moved(build(g), g).double()
    told = json.loads(explore_flows(flow).attributes["flows"])
    layers, z = js("numbered", told["own"]["layers"], told["unit"]), points(g)
    for found, expected in zip(carried(js, layers, z), stops(flow, z), strict=True):
        same(found, expected, atol=5e-3)  # weights rounded to 1e-4
    x = stops(flow, z)[0][-1]
    density = js("((layers, x) => x.map(v => logDensity(layers, v)))", layers, x.tolist())
    same(density, flow.log_prob(x), atol=2e-2)
    assert told["own"]["span"] >= 3.2


def test_the_square_and_its_area_are_those_of_the_static_figure(js, models, g):
    for centre in points(g, 5).tolist():
        edge = square(tuple(centre), 0.3, EDGE)
        same(js("square", centre, 0.3, EDGE), edge)
        assert js("area", edge.tolist()) == pytest.approx(0.09, rel=1e-5)
        x = stops(models["affine"], edge.double())[0][-1]
        assert js("area", x.tolist()) == pytest.approx(area(x).item(), rel=1e-6)
    assert js("area", [[0, 0], [2, 0], [0, 3]]) == 3


@pytest.mark.parametrize("kind", KINDS)
def test_the_area_is_the_integral_of_the_determinant(models, g, kind):
    """Change of variables: the polygon's area, and exp(log |det|) summed over the square."""
    for centre in points(g, 8).tolist():
        edge = square(tuple(centre), 0.1, 4000).double()
        t = (torch.arange(40, dtype=torch.float64) + 0.5) / 40 - 0.5
        inside = torch.tensor(centre, dtype=torch.float64) + 0.1 * torch.cartesian_prod(t, t)
        areas, (_, log_det) = area(stops(models[kind], edge)[0]), stops(models[kind], inside)
        torch.testing.assert_close(areas, 0.01 * log_det.exp().mean(1), rtol=1e-3, atol=0)


def kept(models, z, side, n=1000):
    """Area × exp(−log |det|) after each layer, the determinant being that at the centre."""
    edge = square(tuple(z), side, n).double()
    log_det = stops(models, torch.tensor([z], dtype=torch.float64))[1][:, 0]
    return area(stops(models, edge)[0]) / side**2 * torch.exp(-log_det)


def test_what_it_lacks_of_one_falls_with_the_area_of_the_square(models, g):
    """By four for half the side: the first-order changes of the determinant cancel."""
    ratios = []
    for z in points(g, 60).tolist():
        large, small = (kept(models["affine"], z, side)[-1].item() - 1 for side in (0.04, 0.02))
        assert abs(small) < 0.01
        if abs(large) > 1e-3:
            ratios.append(large / small)
    assert len(ratios) > 5
    torch.testing.assert_close(
        torch.tensor(ratios), torch.full((len(ratios),), 4.0), rtol=0.1, atol=0
    )


def test_additive_couplings_keep_every_area(models, g):
    """And so the largest value of the density: 1/2π, in the middle."""
    flow = models["additive"]
    z = points(g)
    assert stops(flow, z)[1].abs().max() == 0
    for centre in z.tolist():
        one = torch.ones(9, dtype=torch.float64)
        torch.testing.assert_close(kept(flow, centre, 0.1, 4000), one, rtol=1e-3, atol=0)
    side = torch.linspace(-3, 3, 121, dtype=torch.float64)
    p = flow.log_prob(torch.cartesian_prod(side, side)).exp()
    assert p.max() <= 1 / (2 * math.pi)
    assert p.max() > 0.99 / (2 * math.pi)


def test_what_the_page_says_of_the_square(models):
    flow = models["affine"]
    log_det = stops(flow, torch.tensor([START]).double())[1][-1]
    areas = kept(models["affine"], START, SIDE)[-1] * log_det.exp()
    assert round(areas.item(), 2) == 0.29
    assert round(torch.exp(-log_det).item(), 1) == 3.5
    log_det = stops(flow, torch.tensor([GAP]).double())[1][-1]
    large, small = (kept(flow, GAP, side)[-1].item() for side in (SIDE, SIDE / 6))
    assert round(large, 2) == 0.91
    assert round(small, 3) == 0.997
    assert round(large * log_det.exp().item(), 1) == 2.0
    assert 0.4 < torch.exp(-log_det) < 0.5
    assert 30 < (1 - large) / (1 - small) < 42


def test_what_the_page_says_of_the_price(models, g):
    """Nats a point on new points, and the entropy of the data."""
    x = moons(20_000, g).double()
    entropy = -(data.TwoMoons(noise=0.1).log_prob(x * SCALE + CENTRE) + SCALE.log().sum())
    for values, said in (
        (entropy, 1.84),
        (-models["affine"].log_prob(x), 1.93),
        (-models["additive"].log_prob(x), 2.28),
    ):
        error = values.std() / math.sqrt(len(x))
        assert abs(values.mean() - said) < 0.005 + 4.5 * error
    assert x.mean(0).abs().max() < 0.03
    assert (x.std(0) - 1).abs().max() < 0.03


@pytest.mark.parametrize("kind", KINDS)
def test_each_coupling_moves_one_axis_and_they_take_turns(models, g, kind):
    way, _ = stops(models[kind], points(g))
    still = (way[1:] == way[:-1]).all(1)
    assert still.sum(1).tolist() == [1] * 8
    assert still.int().argmax(1).tolist() in ([0, 1] * 4, [1, 0] * 4)


def test_the_recipe_makes_the_file(models, g):
    again = recipe()
    assert again.keys() == NUMBERS.keys() == {"unit", *KINDS}
    x = moons(2000, g).double()
    for kind, flow in models.items():
        found = network(kind)
        for coupling, layer in zip(drawn_by(found), again[kind]["layers"], strict=True):
            for module, (weight, bias) in zip(
                [m for m in coupling.net if isinstance(m, nn.Linear)],
                layer["net"]["layers"],
                strict=True,
            ):
                module.weight.data = torch.tensor(weight) / UNIT
                module.bias.data = torch.tensor(bias) / UNIT
        # Other processors round otherwise, and a thousand steps amplify it.
        gap = found.double().log_prob(x).mean() - flow.log_prob(x).mean()
        assert abs(gap) < 0.1
    assert WEIGHTS.stat().st_size < 40_000


def test_the_numbers_are_whole_and_are_the_weights(models):
    assert numbers(models, UNIT) == NUMBERS


def test_a_figure_of_your_own_flow(g):
    given = explore_flows(RealNVP(2, 3, (4,), generator=g))
    told = json.loads(given.attributes["flows"])
    assert told.keys() == {"unit", "own"}
    assert [layer["kept"] for layer in told["own"]["layers"]] == [0, 1, 0]
    assert told["own"]["layers"][0]["bound"] == 2.0
    assert "<gen-flows " in given._repr_html_()
    assert explore_flows().attributes == {}


@pytest.mark.parametrize(
    ("build", "sentence"),
    [
        (lambda g: nn.Linear(2, 2), "Expected a flow in the plane .* got a Linear"),
        (lambda g: RealNVP(3, 2, generator=g), r"got one of \(3,\) over StandardNormal"),
        (
            lambda g: Flow(UnitCube((2,)), AdditiveCoupling((2,), nn.Linear(1, 1))),
            "over UnitCube, made of AdditiveCoupling",
        ),
        (
            lambda g: Flow(
                StandardNormal((2,)),
                Compose(Permutation([1, 0]), AffineCoupling((2,), nn.Linear(1, 2))),
            ),
            "made of AffineCoupling, Permutation",
        ),
        (
            lambda g: Flow(StandardNormal((2,)), SplineCoupling((2,), nn.Linear(1, 23))),
            "made of SplineCoupling",
        ),
        (
            lambda g: Flow(
                StandardNormal((2,)),
                AdditiveCoupling((2,), nn.Sequential(nn.Linear(1, 3), nn.SiLU(), nn.Linear(3, 1))),
            ),
            "as the coupling's network, got Linear, SiLU, Linear",
        ),
    ],
)
def test_a_flow_that_does_not_fit_is_refused(g, build, sentence):
    with pytest.raises(ValueError, match=sentence):
        explore_flows(build(g))


@pytest.mark.parametrize("value", [math.nan, math.inf, 1e30])
def test_a_flow_that_has_run_away_is_refused(g, value):
    flow = NICE(2, 2, (4,), generator=g)
    nn.init.constant_(flow.transform.parts[0].net[-1].bias, value)
    flow.transform.parts[-1].log_scale.data.fill_(-value if value == 1e30 else 0.0)
    with pytest.raises(ValueError, match="keeps points of the base finite, got NaN or infinity"):
        explore_flows(flow)


def test_the_module_names_what_the_page_may_press():
    text = (SOURCES / "flows.mjs").read_text(encoding="utf8")
    tries = text[text.index("  tries = {") : text.index("  initial()")]
    names = ["next", "base", "data", "affine", "additive", "gap", "small"]
    assert re.findall(r"\b(\w+): \[\"", tries) == names


def test_the_figure_begins_where_the_static_one_stands():
    text = (SOURCES / "flows.mjs").read_text(encoding="utf8")
    z, side = re.search(r"return \{ z: \[(.*?)\], side: ([\d.]+)", text).groups()
    assert tuple(float(v) for v in z.split(",")) == START
    assert float(side) == SIDE
    assert f'gap: ["gap", s => ({{ z: {list(GAP)}' in text
    least = float(re.search(r"LEAST = ([\d.]+)", text)[1])
    assert SIDE / least == pytest.approx(6)
    assert f"EDGE = {EDGE}," in text


def test_the_script_holds_its_numbers():
    text = script("flows")
    assert f'"unit": {UNIT}' in text
    assert not re.search(r"^\s*(import|export)\b", text, flags=re.MULTILINE)
    assert "</script" not in text


def test_the_static_figure_shows_the_same_areas(models):
    with mpl.rc_context(plot.STYLE):
        fig = figure()
    base, *after = fig.axes
    assert base.get_title(loc="left") == "base"
    shown = [(kind, k) for kind in KINDS for k in (4, 8)]
    for ax, (kind, k) in zip(after, shown, strict=True):
        edge = stops(models[kind], square(START, SIDE, EDGE).double())[0][k]
        name = f"{k} {kind}: area × {area(edge) / SIDE**2:.2f}"
        assert ax.get_title(loc="left") == name
        drawn = torch.tensor(ax.lines[-1].get_xydata())
        torch.testing.assert_close(drawn[:-1], edge, rtol=0, atol=1e-5)
