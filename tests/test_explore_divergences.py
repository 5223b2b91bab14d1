"""The explorable of chapter 02: its numbers are genlab's, its gradients autograd's."""

import math
import re

import pytest
import torch
from conftest import javascript, sphinx_page
from torch.distributions import Categorical, MixtureSameFamily, Normal

from genlab import plot
from genlab.course.explorables.divergences import divergences
from genlab.divergences import integrands, on_grid
from genlab.interact import SOURCES, explore_divergences, script

INPUTS = 16
FIVE = ("kl", "reverse_kl", "tv", "js", "w1")
P = {"weights": [0.5, 0.5], "means": [-3.0, 3.0], "sds": [1.0, 1.0]}
START = {"mean": 1.5, "sd": 1.0}
FAR = ({**P, "means": [-1.0, 1.0]}, {"mean": 9.0, "sd": 1.0})


@pytest.fixture(scope="module")
def js():
    return javascript("divergences")


def numbers(*values):
    return torch.tensor(values, dtype=torch.float64)


def cases(g):
    """A mixture p and a normal q, drawn anew for each input."""
    for _ in range(INPUTS):
        u = torch.rand(7, dtype=torch.float64, generator=g).tolist()
        p = {
            "weights": [u[0], 1 - u[0]],
            "means": [-4 * u[1], 4 * u[2]],
            "sds": [0.3 + u[3], 0.3 + u[4]],
        }
        yield p, {"mean": 12 * u[5] - 6, "sd": 0.4 + 3 * u[6]}


def logs(p, mean, sd, t):
    """log p and log q on the grid, by torch."""
    mixture = MixtureSameFamily(
        Categorical(numbers(*p["weights"])), Normal(numbers(*p["means"]), numbers(*p["sds"]))
    )
    return mixture.log_prob(t), Normal(mean, sd).log_prob(t)


def same(found, expected, rtol=1e-10):
    torch.testing.assert_close(numbers(*found), expected, rtol=rtol, atol=1e-12)


@pytest.mark.parametrize("name", FIVE)
def test_values_and_integrands_are_genlabs(js, g, name):
    for p, q in cases(g):
        found = js("measure", name, p, q)
        t = numbers(*found["t"])
        assert len(t) == 400
        log_p, log_q = logs(p, numbers(q["mean"]), numbers(q["sd"]), t)
        same(found["logs"][0], log_p)
        same(found["logs"][1], log_q)
        same(found["integrand"], integrands(log_p, log_q, t)[name], rtol=1e-9)
        same([found["value"]], on_grid(log_p, log_q, t)[name][None])


@pytest.mark.parametrize("name", FIVE)
def test_gradients_are_autograds(js, g, name):
    for p, q in [*cases(g), (P, START), FAR]:
        found = js("measure", name, p, q)
        theta = numbers(q["mean"], math.log(q["sd"])).requires_grad_()
        t = numbers(*found["t"])
        value = on_grid(*logs(p, theta[0], theta[1].exp(), t), t)[name]
        same(found["gradient"], torch.autograd.grad(value, theta)[0], rtol=1e-9)


def test_the_grid_holds_both_densities(js, g):
    """The 400 places lose neither mass nor detail: on 4000 wider ones the values are the same."""
    for p, q in cases(g):
        found = js("measure", "js", p, q)
        coarse = numbers(*found["t"])
        t = torch.linspace(float(coarse[0]) - 5, float(coarse[-1]) + 5, 4000, dtype=torch.float64)
        fine = on_grid(*logs(p, numbers(q["mean"]), numbers(q["sd"]), t), t)
        for name, bound in zip(FIVE, (1e-8, 1e-8, 2e-3, 1e-8, 2e-3), strict=True):
            # |p − q| and |F − G| have corners, where the rule is of second order.
            value = js("measure", name, p, q)["value"]
            assert value == pytest.approx(float(fine[name]), rel=bound, abs=bound), name


@pytest.mark.parametrize("name", FIVE)
def test_no_step_goes_uphill(js, g, name):
    narrow = {"weights": [0.5, 0.5], "means": [-0.5, 0.5], "sds": [0.25, 0.05]}
    for p, q in [*list(cases(g))[:2], (narrow, {"mean": 0.45, "sd": 0.1})]:
        now = js("measure", name, p, q)["value"]
        for _ in range(20):
            q = js("descend", name, p, q, 1)
            before, now = now, js("measure", name, p, q)["value"]
            assert now <= before


def test_steps_add_up(js):
    """40 steps at once, for readers who want no motion, end where 40 single ones do."""
    q = START
    for _ in range(40):
        q = js("descend", "js", P, q, 1)
    assert q == js("descend", "js", P, START, 40)


def test_a_step_is_a_tenth_of_the_gradient_and_at_most_a_tenth_long(js):
    for name, length in (("kl", 0.1), ("js", 0.1 * 0.24702)):
        u, v = js("measure", name, P, START)["gradient"]
        to = js("descend", name, P, START, 1)
        step = to["mean"] - START["mean"], math.log(to["sd"] / START["sd"])
        assert math.hypot(*step) == pytest.approx(length, rel=1e-4)
        assert step[0] * v == pytest.approx(step[1] * u)


def test_forward_covers_and_reverse_chooses(js):
    """The forward optimum has the moments of p, √(1 + 3²) = 3.162; the reverse one a single mode.

    From the middle the same descent of KL(q‖p) ends in a local minimum that covers both.
    """
    forward = js("descend", "kl", P, START, 2000)
    assert forward["mean"] == pytest.approx(0, abs=1e-3)
    assert forward["sd"] == pytest.approx(math.sqrt(10), abs=1e-3)
    reverse = js("descend", "reverse_kl", P, START, 400)
    assert (round(reverse["mean"], 3), round(reverse["sd"], 3)) == (2.984, 1.023)
    assert round(js("measure", "reverse_kl", P, reverse)["value"], 3) == 0.689
    stuck = js("descend", "reverse_kl", P, {"mean": 0.5, "sd": 1.0}, 2000)
    assert (round(stuck["mean"], 2), round(stuck["sd"], 3)) == (0, 2.744)
    assert round(js("measure", "reverse_kl", P, stuck)["value"], 3) == 0.841


def test_far_apart_js_and_tv_are_flat_and_w1_is_not(js):
    value = {name: js("measure", name, *FAR)["value"] for name in FIVE}
    slope = {name: math.hypot(*js("measure", name, *FAR)["gradient"]) for name in FIVE}
    assert math.log(2) - 1e-4 < value["js"] < math.log(2)
    assert 1 - 1e-4 < value["tv"] < 1
    assert value["w1"] == pytest.approx(9, abs=1e-6)
    assert slope["js"] < 1e-3
    assert slope["tv"] < 1e-3
    assert slope["w1"] == pytest.approx(1, abs=1e-6)
    moved = {name: js("descend", name, *FAR, 40)["mean"] for name in ("js", "w1")}
    assert moved["js"] > 8.99
    assert moved["w1"] == pytest.approx(5, abs=0.01)


def test_equal_densities_stay(js):
    p = {"weights": [0.3, 0.7], "means": [0.0, 0.0], "sds": [1.0, 1.0]}
    for name in FIVE:
        found = js("measure", name, p, {"mean": 0.0, "sd": 1.0})
        assert found["value"] == pytest.approx(0, abs=1e-12)
        if name not in ("tv", "w1"):  # which have no gradient where they are zero
            same(found["gradient"], torch.zeros(2, dtype=torch.float64))


@pytest.mark.parametrize("weight", [0.0, 1.0])
def test_a_mode_without_weight_is_no_mode(js, weight):
    p = {"weights": [weight, 1 - weight], "means": [-3.0, 3.0], "sds": [1.0, 1.0]}
    q = {"mean": -3.0 if weight else 3.0, "sd": 2.0}
    found = js("measure", "kl", p, q)["value"]
    assert found == pytest.approx(math.log(2) + 1 / 8 - 1 / 2, abs=1e-9)


def test_the_static_figure_shows_the_same_five(js):
    with plot.mpl.rc_context(plot.STYLE):
        fig = divergences("0.5 0.5", "-3 3", "1 1", "1.5", "1")
    shown = [text.get_text() for text in fig.axes[2].texts]
    for name in FIVE:
        assert f"{js('measure', name, P, START)['value']:.3f}" in shown
    assert shown.count(" ≤ 1") == shown.count(" ≤ ln 2") == 1
    assert [label.get_text() for label in fig.axes[2].get_yticklabels()][2:4] == ["TV", "JS"]


def test_colours_are_those_of_the_figures():
    style = (SOURCES / "explore.css").read_text(encoding="utf8")
    light, dark = re.findall(r"gen-divergences \{ --truth: (#\w{6}) \}", style)
    assert (light, dark) == (plot.COLORS["truth"], plot.ON_DARK[light])


def test_a_figure_in_the_notebook_holds_its_start():
    figure = explore_divergences([0.25, 0.75], [0, 1 / 3], [0.3, 0.4], mean=0.1, sd=1)
    page = figure._repr_html_()
    assert figure.attributes == {
        "weights": "0.25 0.75",
        "means": "0.0 0.3333333333333333",
        "sds": "0.3 0.4",
        "mean": "0.1",
        "sd": "1.0",
    }
    assert 'customElements.define("gen-divergences"' in page
    assert not re.search(r"\b(src|href)=", page)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"weights": [1.0]}, r"Expected two finite weights, one for each mode of p, got \[1.0\]"),
        ({"means": [0.0, math.nan]}, "Expected two finite means"),
        ({"weights": [0.5, 0.6]}, "Expected positive weights that sum to 1"),
        ({"weights": [1.5, -0.5]}, "Expected positive weights"),
        ({"sds": [1.0, 0.0]}, "at most five times the smaller"),
        ({"sds": [10.0, 10.0]}, "between 0.25 and 4"),
        ({"means": [3.0, -3.0]}, "Expected the left mode first"),
        ({"means": [0.0, 15.0]}, "at most 14 times the larger standard deviation away"),
        ({"mean": 11.0}, "Expected a mean of q between -10 and 10, .* got 11.0"),
        ({"mean": math.nan}, "Expected a mean of q between .* got nan"),
        ({"sd": 0.1}, "Expected a standard deviation of q between 0.4 and 10, got 0.1"),
        ({"sd": math.inf}, "Expected a standard deviation of q .* got inf"),
    ],
)
def test_what_does_not_fit_is_refused(change, sentence):
    with pytest.raises(ValueError, match=sentence):
        explore_divergences(**(P | START | change))


def test_the_directive_keeps_the_static_figure(tmp_path):
    out = sphinx_page(
        tmp_path,
        "# Page\n\n:::{explorable} divergences\n:weights: 0.5 0.5\n:means: -3 3\n:sds: 1 1\n"
        ":mean: 1.5\n:sd: 1\n:alt: Two modes and one hill between them.\n\nTold *without* it.\n"
        ":::\n\nPress {try}`divergences far <far apart>`.\n",
    )
    page = (out / "index.html").read_text(encoding="utf8")
    element = re.search(r"<gen-divergences ([^>]*)>(.*?)</gen-divergences>", page, flags=re.DOTALL)
    assert 'means="-3 3" sds="1 1" mean="1.5" sd="1"' in element[1]
    assert element[2].count('alt="Two modes and one hill between them."') == 2
    assert "Told <em>without</em> it." in element[2]
    assert script("divergences") in page
    assert 'data-explorable="divergences" data-try="far"' in page


def test_the_tries_of_the_prose_exist():
    text = (SOURCES / "divergences.mjs").read_text(encoding="utf8")
    tries = text[text.index("  tries = {") : text.index("  initial()")]
    assert re.findall(r"\b(\w+): \[\"", tries) == ["cover", "choose", "far"]
