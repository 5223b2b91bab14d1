"""The explorable of chapter 10: its tilt is genlab's, its price the end of the tangent."""

import math
import re

import pytest
import torch
from conftest import javascript, sphinx_page

from genlab import data, plot
from genlab.course.explorables.knowledge import MOST, knowledge
from genlab.course.explorables.knowledge import truth as truth_of
from genlab.interact import SOURCES, explore_knowledge, script
from genlab.knowledge import posterior_regularization, weight_for

INPUTS = 16
COUNTS = [1, 0, 11, 21, 49, 110, 185, 237, 227, 252, 234, 203, 119, 76, 46, 18, 6, 2]
FIRST = 10


@pytest.fixture(scope="module")
def js():
    return javascript("tilt")


def numbers(values):
    return torch.tensor(values, dtype=torch.float64)


def law():
    p = numbers(COUNTS)
    return p / p.sum(), FIRST + torch.arange(len(p), dtype=torch.float64)


def cases(g):
    """A law, with nothing on some numbers, a rule's truth and a weight, drawn anew each time."""
    for _ in range(INPUTS):
        n = int(torch.randint(2, 40, (), generator=g))
        p = torch.rand(n, dtype=torch.float64, generator=g)
        p[1:] *= torch.rand(n - 1, generator=g) > 0.2
        f = torch.rand(n, dtype=torch.float64, generator=g)
        yield p / p.sum(), f, MOST * float(torch.rand((), generator=g))


def test_the_tilt_is_genlabs(js, g):
    for p, f, weight in cases(g):
        found = js("tilt", p.tolist(), f.tolist(), weight)
        expected = posterior_regularization(p, f, weight)
        for name, value in zip(("q", "logZ", "expected", "kl"), expected, strict=True):
            torch.testing.assert_close(numbers(found[name]), value, rtol=1e-10, atol=1e-12)


def test_the_tangent_has_the_slope_of_log_z_and_ends_at_the_price(js, g):
    step = 1e-5
    for p, f, weight in cases(g):
        now = js("tilt", p.tolist(), f.tolist(), weight)
        ends = [js("tilt", p.tolist(), f.tolist(), weight + s)["logZ"] for s in (-step, step)]
        assert (ends[1] - ends[0]) / (2 * step) == pytest.approx(now["expected"], abs=1e-8)
        assert now["logZ"] - weight * now["expected"] == pytest.approx(-now["kl"], abs=1e-12)
        q, p = numbers(now["q"]), p
        assert now["kl"] == pytest.approx(float(torch.xlogy(q, q / p).nansum()), abs=1e-10)


@pytest.mark.parametrize("softness", [0, 1, 6])
@pytest.mark.parametrize("threshold", [10, 21, 28])
def test_the_truth_of_a_rule_rises_where_it_should(js, threshold, softness):
    _, x = law()
    found = numbers([js("truth", v, threshold, softness) for v in x.tolist()])
    torch.testing.assert_close(found, truth_of(x, threshold, softness), rtol=0, atol=1e-12)
    assert bool((found[x >= threshold] == 1).all())
    assert bool((found[x <= threshold - max(softness, 1)] == 0).all())


def test_the_weight_for_a_bound_is_genlabs(js):
    p, x = law()
    for threshold, softness, bound in ((21, 0, 0.9), (21, 6, 0.9), (26, 0, 0.5), (15, 4, 0.97)):
        f = truth_of(x, threshold, softness)
        found = js("weightFor", p.tolist(), f.tolist(), bound, MOST)
        assert found == pytest.approx(weight_for(p, f, bound), abs=1e-8)
    assert js("weightFor", p.tolist(), [0.0] * len(p), 0.5, MOST) == MOST


def test_what_the_page_says_of_its_figure(root):
    digits = data.digits()
    dark = (torch.cat([digits.train, digits.test]).flatten(1) > 0.5).sum(1)
    assert torch.bincount(dark)[FIRST:].tolist() == COUNTS
    assert int(dark.min()) == FIRST
    p, x = law()
    f = truth_of(x, 21, 0)
    start = posterior_regularization(p, f, 2.0)
    assert [round(float(v), 3) for v in ((p * f).sum(), start.expected, start.kl)] == [
        0.262,
        0.724,
        0.465,
    ]
    nine = posterior_regularization(p, f, weight_for(p, f, 0.9))
    soft = truth_of(x, 21, 6)
    softer = posterior_regularization(p, soft, weight_for(p, soft, 0.9))
    rare_f = truth_of(x, 26, 0)
    rare = posterior_regularization(p, rare_f, weight_for(p, rare_f, 0.5))
    assert [round(float(t.kl), 3) for t in (nine, softer, rare)] == [0.912, 0.524, 2.016]
    hard = posterior_regularization(p, f, math.inf)
    assert float(hard.kl) == pytest.approx(-math.log(float((p * f).sum())))
    page = (root / "book" / "10_knowledge.md").read_text(encoding="utf8")
    assert f":counts: {' '.join(map(str, COUNTS))}\n:first: {FIRST}\n" in page


def test_a_law_that_no_rule_touches_stays(js):
    p, x = law()
    found = js("tilt", p.tolist(), truth_of(x, 28, 0).tolist(), 5.0)
    torch.testing.assert_close(numbers(found["q"]), p, rtol=1e-12, atol=0)
    assert found["kl"] == pytest.approx(0, abs=1e-12)


def test_the_static_figure_shows_the_same_numbers(js):
    with plot.mpl.rc_context(plot.STYLE):
        fig = knowledge(" ".join(map(str, COUNTS)), "10", "21", "0", "2")
    assert [ax.get_title("left") for ax in fig.axes[1:]] == [
        "E f under q is 0.724",
        "log Z, and the price 0.465",
    ]
    p, x = law()
    q = js("tilt", p.tolist(), truth_of(x, 21, 0).tolist(), 2.0)["q"]
    drawn = [bar.get_height() for bar in fig.axes[0].patches][len(p) :]
    torch.testing.assert_close(numbers(drawn), numbers(q))


def test_colours_are_those_of_the_figures():
    style = (SOURCES / "explore.css").read_text(encoding="utf8")
    light, dark = re.findall(r"gen-knowledge \{ --truth: (#\w{6}) \}", style)
    assert (light, dark) == (plot.COLORS["truth"], plot.ON_DARK[light])


def test_a_figure_in_the_notebook_holds_its_start():
    figure = explore_knowledge([1, 4, 3], 5, threshold=7, softness=2, weight=1.5)
    assert figure.attributes == {
        "counts": "1 4 3",
        "first": "5",
        "threshold": "7",
        "softness": "2",
        "weight": "1.5",
    }
    page = figure._repr_html_()
    assert 'customElements.define("gen-knowledge"' in page
    assert not re.search(r"\b(src|href)=", page)


@pytest.mark.parametrize(
    ("counts", "change", "sentence"),
    [
        ([1], {}, r"Expected 2 to 40 counts >= 0, one of them positive, got \[1\]"),
        ([0, 0], {}, "one of them positive"),
        ([1, -1], {}, "counts >= 0"),
        ([1, 2], {"threshold": 3}, "Expected a threshold between 0 and 2, got 3"),
        ([1, 2], {"softness": -1}, "Expected a softness between 0 and 8, got -1"),
        ([1, 2], {"weight": 7}, "Expected a weight λ between 0 and 6, got 7"),
        ([1, 2], {"weight": math.nan}, "Expected a weight λ between 0 and 6, got nan"),
    ],
)
def test_what_does_not_fit_is_refused(counts, change, sentence):
    with pytest.raises(ValueError, match=sentence):
        explore_knowledge(counts, **({"threshold": 1} | change))


def test_the_directive_keeps_the_static_figure(tmp_path):
    out = sphinx_page(
        tmp_path,
        "# Page\n\n:::{explorable} knowledge\n:counts: 1 4 3\n:first: 5\n:threshold: 7\n"
        ":softness: 0\n:weight: 2\n:alt: Bars.\n\nTold *without* it.\n:::\n\n"
        "Press {try}`knowledge nine <true in nine of ten>`.\n",
    )
    page = (out / "index.html").read_text(encoding="utf8")
    pattern = r"<gen-knowledge ([^>]*)>(.*?)</gen-knowledge>"
    element = re.search(pattern, page, flags=re.DOTALL)
    assert 'counts="1 4 3" first="5" threshold="7" softness="0" weight="2"' in element[1]
    assert element[2].count('alt="Bars."') == 2
    assert "Told <em>without</em> it." in element[2]
    assert script("knowledge") in page
    assert 'data-explorable="knowledge" data-try="nine"' in page


def test_the_tries_of_the_prose_exist():
    text = (SOURCES / "knowledge.mjs").read_text(encoding="utf8")
    tries = text[text.index("  tries = {") : text.index("  initial()")]
    assert re.findall(r"\b(\w+): \[\"", tries) == ["nine", "soft", "rare", "none"]
