"""The explorable of chapter 09: its terms are genlab's, its slopes autograd's, and they add up."""

import math
import re

import pytest
import torch
from conftest import javascript, sphinx_page
from torch.distributions import Normal

from genlab import plot
from genlab.course.explorables.unified import lemma as lemma_of
from genlab.course.explorables.unified import unified
from genlab.interact import SOURCES, explore_unified, script
from genlab.unified import lemma_gan, on_line

INPUTS = 16
DATA, START = [0.0, 1.0], [1.5, 1.0]
NAMES = ("loss", "kl", "js", "drift", "evidence")


@pytest.fixture(scope="module")
def js():
    return javascript("lemma")


def numbers(*values):
    return torch.tensor(values, dtype=torch.float64)


def cases(g):
    """Data, generator, generator when D was trained, and D's sharpness, drawn anew each time."""
    for _ in range(INPUTS):
        u = torch.rand(7, dtype=torch.float64, generator=g).tolist()
        data = [2 * u[0] - 1, 0.5 + u[1]]
        now, at = [6 * u[2] - 3, 0.3 + 2 * u[3]], [6 * u[4] - 3, 0.3 + 2 * u[5]]
        yield data, now, at, 2 * u[6]


def by_genlab(js, data, theta, at, sharp):
    """The terms, with a graph from θ = (mean, log sd), on the places of the figure."""
    t = numbers(*js("places", [data, [theta[0].item(), theta[1].exp().item()], at]))
    real, old = Normal(*numbers(*data)).log_prob(t), Normal(*numbers(*at)).log_prob(t)
    now = on_line(Normal(theta[0], theta[1].exp()).log_prob(t), real, t)
    return lemma_gan(now, on_line(old, real, t), sharp * (real - old))


def test_terms_and_slopes_are_genlabs(js, g):
    for data, now, at, sharp in cases(g):
        found = js("lemma", data, now, at, sharp)
        theta = numbers(now[0], math.log(now[1])).requires_grad_()
        terms = by_genlab(js, data, theta, at, sharp)
        for name in NAMES:
            value = getattr(terms, name)
            assert found["terms"][name] == pytest.approx(value.item(), abs=1e-9), name
            if value.requires_grad:
                slope = torch.autograd.grad(value, theta, retain_graph=True)[0]
                torch.testing.assert_close(
                    numbers(*found["slopes"][name]), slope, atol=1e-8, rtol=0
                )
            else:
                assert found["slopes"][name] == [0, 0]


def test_the_terms_add_up_wherever_the_generator_is(js, g):
    for case in cases(g):
        for kind in js("lemma", *case).values():
            loss, first, *less = (torch.tensor(kind[name]).double() for name in NAMES)
            torch.testing.assert_close(loss, first - sum(less), atol=1e-6, rtol=0)


def test_the_lemma_holds_where_d_was_trained_and_not_elsewhere(js, g):
    for data, now, _, sharp in cases(g):
        slopes = js("lemma", data, now, now, sharp)["slopes"]
        assert slopes["drift"] == pytest.approx([0, 0], abs=1e-9)
        both = [a - b for a, b in zip(slopes["kl"], slopes["js"], strict=True)]
        assert slopes["loss"] == pytest.approx(both, abs=1e-7)
    away = js("lemma", DATA, [0.0, 1.0], START, 1.0)["slopes"]
    assert abs(away["kl"][0] - away["js"][0] - away["loss"][0]) > 0.1


def test_with_the_best_d_the_first_term_is_the_divergence_to_the_data(js):
    """E KL(p(x | y) ‖ q^r(x | y)) is the mean of KL(p_g ‖ p_data) and KL(p_data ‖ p_g)."""
    found = js("lemma", DATA, START, START, 1.0)["terms"]
    assert found["kl"] == pytest.approx(1.5**2 / 2)
    other = js("lemma", DATA, [0.5, 0.7], [0.5, 0.7], 1.0)["terms"]
    p, q = Normal(0.0, 1.0), Normal(0.5, 0.7)
    both = torch.distributions.kl_divergence(q, p) + torch.distributions.kl_divergence(p, q)
    assert other["kl"] == pytest.approx(float(both) / 2, abs=1e-6)
    assert other["evidence"] == pytest.approx(-math.log(2))


def test_g_collapses_before_a_d_that_stands_still_and_arrives_before_one_that_learns(js):
    held = js("descend", DATA, START, START, 1.0, 60, False)
    taught = js("descend", DATA, START, START, 1.0, 60, True)
    assert held["at"] == START
    assert held["now"][0] < -1
    assert held["now"][1] < 0.5
    assert taught["now"] == pytest.approx(DATA, abs=0.01)
    one = js("descend", DATA, START, START, 1.0, 1, False)
    assert one["now"] == js("descend", DATA, START, START, 1.0, 1, True)["now"]
    slope = js("lemma", DATA, START, START, 1.0)["slopes"]["loss"]
    assert one["now"][0] == pytest.approx(START[0] - 0.4 * slope[0])


def test_what_the_page_says_of_its_figure(js, root):
    start = js("lemma", DATA, START, START, 1.0)
    terms, slopes = start["terms"], start["slopes"]
    assert [round(terms[name], 3) for name in NAMES] == [1.597, 1.125, 0.221, 0, -0.693]
    assert round(slopes["loss"][0], 3) == 0.518
    held = js("descend", DATA, START, START, 1.0, 20, False)
    taught = js("descend", DATA, START, START, 1.0, 20, True)
    assert [round(v, 2) for v in held["now"]] == [-0.58, 0.49]
    assert [round(v, 2) for v in taught["now"]] == [0.17, 0.97]
    apart = js("lemma", DATA, held["now"], START, 1.0)["slopes"]
    assert round(apart["loss"][0], 3) == 0.105
    assert round(apart["kl"][0] - apart["js"][0], 3) == -0.134
    step = js("descend", DATA, START, START, 1.0, 1, False)["now"]
    moved = js("lemma", DATA, step, START, 1.0)["slopes"]
    assert round(moved["drift"][0], 3) == -0.071
    poor = js("lemma", DATA, START, START, 0.3)["slopes"]
    assert poor["loss"][0] == pytest.approx(poor["kl"][0] - poor["js"][0], abs=1e-8)
    page = (root / "book" / "09_unified.md").read_text(encoding="utf8")
    assert ":::{explorable} unified\n:data: 0 1\n:start: 1.5 1\n" in page


def test_the_static_figure_shows_the_same_numbers(js):
    found = js("lemma", DATA, START, START, 1.0)
    terms, slopes = lemma_of(numbers(*DATA), numbers(*START), numbers(*START), 1.0)
    signs = {"kl": 1, "js": -1, "drift": -1, "evidence": -1, "loss": 1}
    expected = [sign * found["terms"][name] for name, sign in signs.items()]
    assert terms == pytest.approx(expected, abs=1e-9)
    inside = [sign * found["slopes"][name][0] for name, sign in signs.items()]
    assert slopes == pytest.approx(inside, abs=1e-8)
    with plot.mpl.rc_context(plot.STYLE):
        fig = unified("0 1", "1.5 1")
    labels = [label.get_text() for label in fig.axes[1].get_yticklabels()]
    assert labels == [
        "KL  1.125",
        "− JS  −0.221",
        "− drift  0.000",
        "− log Z  0.693",
        "loss  1.597",
    ]


def test_colours_are_those_of_the_figures():
    style = (SOURCES / "explore.css").read_text(encoding="utf8")
    light, dark = re.findall(r"gen-unified \{ --truth: (#\w{6}) \}", style)
    assert (light, dark) == (plot.COLORS["truth"], plot.ON_DARK[light])


def test_a_figure_in_the_notebook_holds_its_start():
    figure = explore_unified(2, 0.5, data_mean=1, data_sd=2)
    assert figure.attributes == {"data": "1.0 2.0", "start": "2.0 0.5"}
    page = figure._repr_html_()
    assert 'customElements.define("gen-unified"' in page
    assert not re.search(r"\b(src|href)=", page)


@pytest.mark.parametrize(
    ("law", "data", "sentence"),
    [
        ((0, 1), {"data_sd": 0}, "standard deviation between 0.01 and 100, got 0.0 and 0"),
        ((0, 1), {"data_mean": math.nan}, "Expected a finite mean of the data"),
        ((5, 1), {}, "Expected a generator .* between -4 and 4, got 5"),
        ((math.nan, 1), {}, "between -4 and 4, got nan"),
        ((0, 0.1), {}, "generator between 0.2 and 4, a fifth and four times .* got 0.1"),
        ((0, math.inf), {}, "a fifth and four times .* got inf"),
    ],
)
def test_what_does_not_fit_is_refused(law, data, sentence):
    with pytest.raises(ValueError, match=sentence):
        explore_unified(*law, **data)


def test_the_directive_keeps_the_static_figure(tmp_path):
    out = sphinx_page(
        tmp_path,
        "# Page\n\n:::{explorable} unified\n:data: 0 1\n:start: 1.5 1\n:alt: Two hills.\n\n"
        "Told *without* it.\n:::\n\nPress {try}`unified held <20 steps, D held>`.\n",
    )
    page = (out / "index.html").read_text(encoding="utf8")
    element = re.search(r"<gen-unified ([^>]*)>(.*?)</gen-unified>", page, flags=re.DOTALL)
    assert 'data="0 1" start="1.5 1"' in element[1]
    assert element[2].count('alt="Two hills."') == 2
    assert "Told <em>without</em> it." in element[2]
    assert script("unified") in page
    assert 'data-explorable="unified" data-try="held"' in page


def test_the_tries_of_the_prose_exist():
    text = (SOURCES / "unified.mjs").read_text(encoding="utf8")
    tries = text[text.index("  tries = {") : text.index("  initial()")]
    assert re.findall(r"\b(\w+): \[\"", tries) == ["step", "train", "held", "taught", "poor"]
