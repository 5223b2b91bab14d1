"""Figures that compute in the page: their numbers are genlab's, the static one stays."""

import gzip
import math
import re

import pytest
import torch
from conftest import BROWSER, javascript, sphinx_page
from py_mini_racer import MiniRacer

from genlab import plot
from genlab.course.explorables.density import leave_one_out, neighbours
from genlab.density import KDE, Histogram, KNNDensity
from genlab.interact import SOURCES, explore_density, script

INPUTS = 16
FILES = sorted(SOURCES.iterdir())


@pytest.fixture(scope="module")
def js():
    return javascript("density")


def cases(g):
    """Points, a width and 50 places, drawn anew for each input: two groups of random distance."""
    for _ in range(INPUTS):
        n = int(torch.randint(3, 40, (), generator=g))
        x = torch.randn(n, dtype=torch.float64, generator=g)
        x += 4 * torch.rand((), dtype=torch.float64, generator=g) * (torch.arange(n) % 2)
        h = float(10 ** (2 * torch.rand((), dtype=torch.float64, generator=g) - 1.3))
        t = 12 * torch.rand(50, dtype=torch.float64, generator=g) - 4
        yield x, h, t


def same(found, expected):
    torch.testing.assert_close(
        torch.tensor(found, dtype=torch.float64), expected, rtol=1e-10, atol=1e-12
    )


def test_the_kernel_estimate_is_genlabs(js, g):
    for x, h, t in cases(g):
        found = [js("kde", x.tolist(), h, v) for v in t.tolist()]
        same(found, KDE(h).fit(x).log_prob(t).exp())


def test_the_histogram_is_genlabs(js, g):
    for x, h, t in cases(g):
        low = float(x.min()) - 1.0
        bins = math.ceil((float(x.max()) + 1.0 - low) / h)
        reference = Histogram(bins, range=(low, low + bins * h)).fit(x).log_prob(t).exp()
        found = [js("histogram", x.tolist(), h, v, low) for v in t.tolist()]
        same(found, reference)
        assert reference.max() > 0


def test_the_neighbours_are_genlabs(js, g):
    for x, h, t in cases(g):
        k = js("neighbours", x.tolist(), h)
        assert k == neighbours(x, h)
        found = [js("knn", x.tolist(), k, v) for v in t.tolist()]
        same(found, KNNDensity(k).fit(x).log_prob(t).exp())


@pytest.mark.parametrize("h", [1e-6, 1e6])
def test_k_stays_between_one_and_all_others(js, g, h):
    x = torch.randn(9, dtype=torch.float64, generator=g)
    assert js("neighbours", x.tolist(), h) == neighbours(x, h) == (1 if h < 1 else 8)


def left_out(x, h):
    """By brute force: fit to the others, score the one."""
    total = 0.0
    for i in range(len(x)):
        others = torch.cat([x[:i], x[i + 1 :]])
        total += float(KDE(h).fit(others).log_prob(x[i : i + 1]))
    return total / len(x)


def test_the_score_leaves_one_out(js, g):
    for x, h, _ in cases(g):
        same(js("loo", x.tolist(), h), torch.tensor(left_out(x, h), dtype=torch.float64))
        assert leave_one_out(x, h) == pytest.approx(left_out(x, h), rel=1e-12)


def test_the_score_of_a_far_point_stays_finite(js):
    x = torch.tensor([0.0, 0.1, 50.0], dtype=torch.float64)
    assert js("loo", x.tolist(), 0.01) == pytest.approx(left_out(x, 0.01), rel=1e-10)


def test_the_best_width_is_the_largest_score(js, g):
    """No h of a fine grid scores higher, and the h of the grid's best lies beside it."""
    for x, _, _ in cases(g):
        span = float(x.max() - x.min())
        widths = torch.logspace(math.log10(span / 200), math.log10(span), 60, dtype=torch.float64)
        scores = torch.tensor([leave_one_out(x, float(h)) for h in widths], dtype=torch.float64)
        best = js("best", x.tolist(), span / 200, span)["h"]
        assert left_out(x, best) >= float(scores.max()) - 1e-9
        assert abs(math.log(best / float(widths[scores.argmax()]))) <= math.log(200) / 59


def test_equal_points_drive_the_best_width_to_the_lowest(js):
    assert js("best", [1.0, 1.0, 2.0, 2.0, 5.0, 5.0], 0.02, 4.0)["h"] == pytest.approx(0.02)


@pytest.mark.parametrize(
    ("low", "high", "count", "expected"),
    [
        (-5.6, 5.9, 8, [-4, -2, 0, 2, 4]),
        (0.0, 1.0, 5, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (0.113, 0.119, 3, [0.114, 0.116, 0.118]),
        (81_000.0, 120_000.0, 4, [90_000, 100_000, 110_000, 120_000]),
    ],
)
def test_ticks_are_round_numbers(js, low, high, count, expected):
    assert js("ticks", low, high, count) == expected


def test_ticks_of_a_logarithmic_axis(js):
    assert js("logTicks", 0.03, 6.0) == [0.05, 0.1, 0.2, 0.5, 1, 2, 5]
    assert js("logTicks", 90.0, 30_000.0) == [100, 200, 500, 1000, 2000, 5000, 10_000, 20_000]


def test_one_far_point_widens_the_best(js, root):
    """What the chapter says of its own figure."""
    page = (root / "book" / "01_density.md").read_text(encoding="utf8")
    points = re.search(r":::\{explorable\} density\n:points: ([^\n]*)\n", page)
    assert points, "chapter 01 does not hold the explorable"
    x = [float(v) for v in points[1].split()]
    span = max(x) - min(x)
    here = js("best", x, span / 200, span)["h"]
    there = js("best", [*x[:-1], min(x) + 1.4 * span], span / 200, span)["h"]
    assert round(here, 2) == 0.44
    assert there > 2 * here


@pytest.mark.parametrize("file", sorted(SOURCES.glob("*.mjs")), ids=lambda file: file.name)
def test_a_module_is_small(file):
    text = file.read_text(encoding="utf8")
    code = [line for line in text.splitlines() if not re.match(r"\s*(//|/\*\*|$)", line)]
    assert len(code) <= (140 if file.name == "core.mjs" else 100)
    assert max(map(len, text.splitlines())) <= 120
    assert len(gzip.compress(text.encode(), 9)) <= 30_000


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_no_file_names_another_host(file):
    assert not re.search(r"(?:https?:)?//\w+\.", file.read_text(encoding="utf8"))


def test_the_script_is_classic_and_runs_twice():
    engine = MiniRacer()
    text = script("density")
    engine.eval(BROWSER)
    engine.eval(text)
    assert engine.eval("defined['gen-density'].name") == "Density"
    engine.eval(text)
    assert not re.search(r"^\s*(import|export)\b", text, flags=re.MULTILINE)
    assert "</script" not in text


def test_an_unknown_module_is_named():
    with pytest.raises(FileNotFoundError, match="No explorable 'nothing'; there are: auto"):
        script("nothing")


def test_colours_are_those_of_the_figures():
    style = (SOURCES / "explore.css").read_text(encoding="utf8")
    found = re.findall(r"--(\w+): (#\w{6});", style)
    names = ("model", "approx", "accent")
    light = [(name, plot.COLORS[name]) for name in names]
    assert found == [*light, *((name, plot.ON_DARK[color]) for name, color in light)]


def test_a_figure_in_the_notebook_is_whole_and_its_own():
    x = torch.tensor([0.25, 1 / 3, 2.0, 7.0], dtype=torch.float64)
    one, two = explore_density(x, h=0.5), explore_density(x)
    page = one._repr_html_()
    assert f'id="{one.id}"' in page
    assert one.id != two.id
    assert 'points="0.25 0.3333333333333333 2.0 7.0" h="0.5"' in page
    assert "h" not in two.attributes
    assert "customElements.define(" in page
    assert ".explorable" in page
    assert not re.search(r"\b(src|href)=", page)
    assert "linked" not in one.attributes, "a notebook's address is not the figure's to write"


@pytest.mark.parametrize(
    ("points", "h", "sentence"),
    [
        (torch.randn(5, 2), None, r"points on the line, shape \(n,\), got \(5, 2\)"),
        (torch.randn(2), None, r"Expected 3 to 100 points .* got \(2,\)"),
        (torch.randn(101), None, r"Expected 3 to 100 points .* got \(101,\)"),
        (torch.tensor([1.0, math.nan, 2.0]), None, "Expected finite points"),
        (torch.tensor([1.0, math.inf, 2.0]), None, "Expected finite points"),
        (torch.ones(4), None, "not all equal"),
        (torch.arange(4), 0.0, "Expected a width between 0.015 and 3, .* got 0.0"),
        (torch.arange(4), 4.0, "Expected a width between 0.015 and 3, .* got 4.0"),
        (torch.arange(4), math.nan, "Expected a width between .* got nan"),
    ],
)
def test_points_that_do_not_fit_are_refused(points, h, sentence):
    with pytest.raises(ValueError, match=sentence):
        explore_density(points, h)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A page with the directive and the role, built by Sphinx alone."""
    return sphinx_page(
        tmp_path_factory.mktemp("site"),
        "# Page\n\n:::{explorable} density\n:points: 0.0 1.0 1.5 4.0\n:h: 2\n"
        ":alt: Four points and a hill over them.\n\nTold to a reader *without* a script.\n:::\n\n"
        "Press {try}`density best <the best & only>`.\n",
    )


def test_the_static_figure_stays_in_the_page(site):
    page = (site / "index.html").read_text(encoding="utf8")
    element = re.search(r"<gen-density ([^>]*)>(.*?)</gen-density>", page, flags=re.DOTALL)
    assert 'id="density"' in element[1]
    assert 'points="0.0 1.0 1.5 4.0" h="2"' in element[1]
    assert "Told to a reader <em>without</em> a script." in element[2]
    images = re.findall(r"<img [^>]*>", element[2])
    grounds = [re.search(r'class="([^"]*)"', image)[1] for image in images]
    assert grounds == ["only-light", "only-dark"]
    for image in images:
        assert 'alt="Four points and a hill over them."' in image
        file = site / re.search(r'src="([^"]*)"', image)[1]
        assert file.read_bytes().startswith(b"\x89PNG")
    assert script("density") in page


def test_a_button_in_the_prose_names_a_figure_and_a_try(site):
    page = (site / "index.html").read_text(encoding="utf8")
    button = '<button type="button" data-explorable="density" data-try="best">'
    assert f"{button}the best &amp; only</button>" in page
    assert re.search(r"^\s*best: \[", (SOURCES / "density.mjs").read_text(), flags=re.MULTILINE)


def test_text_of_the_static_figure_is_found_by_the_search(site):
    index = (site / "searchindex.js").read_text(encoding="utf8")
    assert '"reader"' in index or "reader:" in index
