"""The figure of chapter 00: its five models are genlab's, and they answer what genlab's can."""

import inspect
import json
import math
import re

import pytest
import torch
from conftest import javascript
from scipy import stats
from torch.distributions import Normal

from genlab import laws, nets
from genlab.course.explorables import models as figure
from genlab.course.explorables.models import WEIGHTS, energy_distance, load, mixture, recipe
from genlab.interact import SOURCES, explore_models, script
from genlab.interact.models import fitted, layers
from genlab.models import PLACES, conditional_gaussian

NUMBERS = json.loads(WEIGHTS.read_text(encoding="utf8"))
TOLD = json.loads((SOURCES / "questions.json").read_text(encoding="utf8"))
BOX = [[-1.7, 2.7], [-1.0, 1.5]]
W = torch.float64


@pytest.fixture(scope="module")
def js():
    return javascript("plane", "answers", "models")


@pytest.fixture(scope="module")
def five():
    return load()


def shipped():
    """The models as the figure holds them; the kernel estimate is a mixture of one a point."""
    (a, b), x = NUMBERS["widths"], NUMBERS["points"]
    kernel = [[1 / len(x), *point, a * a, 0.0, b * b] for point in x]
    return NUMBERS | {"kernel": kernel}


def places(g, n=40):
    """Points in the panel, and a few outside of it."""
    low, high = torch.tensor(BOX, dtype=W).T
    return low + (high - low) * (1.4 * torch.rand(n, 2, generator=g, dtype=W) - 0.2)


def same(found, expected, atol=1e-9):
    torch.testing.assert_close(torch.tensor(found, dtype=W), expected, rtol=1e-9, atol=atol)


@pytest.mark.parametrize("name", ["gaussian", "kernel", "mixture"])
def test_the_densities_are_genlabs(js, five, g, name):
    x = places(g)
    found = [js("logDensity", shipped()[name], *point) for point in x.tolist()]
    same(found, five[name].log_prob(x), atol=1e-4)


@pytest.mark.parametrize("name", ["gaussian", "kernel", "mixture"])
@pytest.mark.parametrize("axis", [0, 1])
def test_a_conditional_is_the_joint_over_the_marginal(js, five, g, name, axis):
    """p(y | x) = p(x, y) / ∫ p(x, y) dy, with genlab's p and the integral by the trapezoid rule."""
    low, high = -6.0, 8.0
    t = torch.linspace(low, high, 2801, dtype=W)
    for fixed in places(g, 5)[:, axis].tolist():
        line = torch.stack([torch.full_like(t, fixed), t], dim=1)
        p = five[name].log_prob(line if axis == 0 else line.flip(1)).exp()
        law = js("conditional", shipped()[name], axis, fixed)
        found = [js("line", law, v) for v in t[::40].tolist()]
        same(found, (p / torch.trapezoid(p, t))[::40], atol=1e-4)


def test_the_conditional_of_one_gaussian_is_the_closed_form(js, five, g):
    mean, covariance = five["gaussian"].mean, five["gaussian"].factor @ five["gaussian"].factor.T
    for axis in (0, 1):
        for fixed in places(g, 8)[:, axis]:
            law = conditional_gaussian(mean, covariance, torch.tensor([axis]), fixed[None])
            ((weight, m, c),) = js("conditional", shipped()["gaussian"], axis, fixed.item())
            assert weight == 1.0
            same([m], law.mean.flatten(), atol=1e-5)
            same([c], law.covariance_matrix.flatten(), atol=1e-5)


def test_the_posterior_is_bayes(js, five, g):
    """Of the components, by torch's own parts of the mixture."""
    x = places(g)
    joint = five["mixture"].component_distribution.log_prob(x[:, None])
    joint = joint + five["mixture"].mixture_distribution.probs.log()
    found = [js("posterior", js("terms", shipped()["mixture"], *point)) for point in x.tolist()]
    same(found, joint.softmax(1))


def test_the_generator_is_genlabs(js, five, g):
    z = torch.randn(50, 2, generator=g, dtype=W)
    found = [js("net", shipped()["generator"], code) for code in z.tolist()]
    same(found, five["generator"](z))


def test_the_regression_is_genlabs(js, five, g):
    x = places(g)
    found = [
        math.log(js("line", js("regress", shipped()["regression"], a), b)) for a, b in x.tolist()
    ]
    same(found, five["regression"].log_prob(x[:, 1:], x[:, :1]), atol=1e-8)


def mulberry32(seed):
    """T. Ettinger's generator, with Python's integers."""
    while True:
        seed = (seed + 0x6D2B79F5) % 2**32
        t = (seed ^ seed >> 15) * (seed | 1) % 2**32
        t ^= (t + (t ^ t >> 7) * (t | 61)) % 2**32
        yield ((t ^ t >> 14) % 2**32) / 2**32


def test_the_noise_is_mulberry32_by_box_and_muller(js):
    assert next(mulberry32(1)) == pytest.approx(0.6270739405881613, abs=1e-15)  # published value
    for seed in (0, 1, 2**31, 2**32 - 1):
        uniforms, expected = mulberry32(seed), []
        for u, v, w in (tuple(next(uniforms) for _ in range(3)) for _ in range(100)):
            radius, turn = math.sqrt(-2 * math.log(1 - v)), 2 * math.pi * w
            expected.append([u, radius * math.cos(turn), radius * math.sin(turn)])
        same(js("noise", seed, 100), torch.tensor(expected, dtype=W))


def test_the_noise_has_the_laws_it_claims(js):
    u, a, b = torch.tensor(js("noise", 7, 4000), dtype=W).T
    assert stats.kstest(u, "uniform").pvalue > 1e-4
    assert stats.kstest(torch.cat([a, b]), "norm").pvalue > 1e-4
    assert abs(torch.corrcoef(torch.stack([u, a, b]))[0, 1]) < 4 / math.sqrt(4000)


@pytest.mark.parametrize("name", ["gaussian", "kernel", "mixture"])
def test_a_draw_is_made_of_its_noise(js, name):
    """x = μ_k + L_k ε with the Cholesky factor of torch, and k where the uniform falls."""
    rows = torch.tensor(shipped()[name], dtype=W)
    factors = torch.linalg.cholesky(rows[:, [3, 4, 4, 5]].reshape(-1, 2, 2))
    z = js("noise", 3, 300)
    u, e = torch.tensor(z, dtype=W)[:, 0].clone(), torch.tensor(z, dtype=W)[:, 1:]
    k = torch.searchsorted(rows[:, 0].cumsum(0), u, right=True).clamp(max=len(rows) - 1)
    expected = rows[k, 1:3] + (factors[k] @ e[..., None])[..., 0]
    same([js("sample", shipped()[name], row) for row in z], expected)


@pytest.mark.parametrize("name", ["gaussian", "kernel", "mixture"])
def test_draws_have_the_density(js, five, name):
    """The mean of log p over draws is minus the entropy: two samples of it, by their z-score."""
    drawn = js("(mixture => noise(5, 2000).map(z => sample(mixture, z)))", shipped()[name])
    drawn = torch.tensor(drawn, dtype=W)
    rng = torch.Generator().manual_seed(0)
    if name == "mixture":
        k = five[name].mixture_distribution.probs.multinomial(2000, True, generator=rng)
        each = five[name].component_distribution
        noise = torch.randn(2000, 2, 1, generator=rng, dtype=W)
        other = each.mean[k] + (each.scale_tril[k] @ noise)[..., 0]
    else:
        other = five[name].sample(2000, generator=rng)
    one, two = (five[name].log_prob(x) for x in (drawn, other))
    error = math.sqrt((one.var() + two.var()) / 2000)
    assert abs(one.mean() - two.mean()) < 4 * error


def test_an_ellipse_is_two_deviations_away(js, five):
    """(x − μ)ᵀ Σ⁻¹ (x − μ) = 4 on all of it."""
    row = shipped()["mixture"][2]
    around = torch.tensor(js("ellipse", row), dtype=W) - torch.tensor(row[1:3], dtype=W)
    covariance = torch.tensor([row[3:5], row[4:6]], dtype=W)
    distance = (around @ torch.linalg.inv(covariance) * around).sum(1)
    same(distance.tolist(), torch.full((61,), 4.0, dtype=W))


def test_a_contour_lies_on_its_level(js):
    """Of a plane it is exact; of x² + y² it stays within the error of a cell."""
    xs, ys = torch.linspace(-2, 2, 41, dtype=W), torch.linspace(-1, 1, 31, dtype=W)
    plane = (2 * xs + 3 * ys[:, None]).tolist()
    ends = torch.tensor(js("contour", xs.tolist(), ys.tolist(), plane, 0.37), dtype=W)
    same((ends @ torch.tensor([2.0, 3.0], dtype=W)).tolist(), torch.full_like(ends[..., 0], 0.37))
    bowl = (xs**2 + ys[:, None] ** 2).tolist()
    ends = torch.tensor(js("contour", xs.tolist(), ys.tolist(), bowl, 0.5), dtype=W)
    assert (ends.norm(dim=-1) - math.sqrt(0.5)).abs().max() < 0.01
    length = (ends[:, 0] - ends[:, 1]).norm(dim=-1).sum()
    assert abs(length - 2 * math.pi * math.sqrt(0.5)) < 0.02
    assert js("contour", xs.tolist(), ys.tolist(), bowl, 9.0) == []


def asked(js, name, question, x=0.5, y=0.23):
    state = {"question": question, "x": x, "y": y, "seed": 1}
    return js("answer", name, shipped(), BOX, state)


def evaluates(model):
    """log_prob of a point alone; that of a regression wants x beside y."""
    wanted = inspect.signature(getattr(model, "log_prob", asked)).parameters.values()
    return sum(p.default is p.empty for p in wanted) == 1


def test_who_answers_is_who_can(js, five):
    """Draw: all but the regression. A density has every conditional; the regression only one."""
    can = {q: {n for n in TOLD["models"] if "no" not in asked(js, n, q)} for q in TOLD["questions"]}
    densities = {name for name in TOLD["models"] if evaluates(five[name])}
    assert can == {
        "draw": {"gaussian", "kernel", "mixture", "generator"},
        "density": densities,
        "code": {"mixture"},
        "y": densities | {"regression"},
        "x": densities,
    }
    for question, words in TOLD["questions"].items():
        refused = set(TOLD["models"]) - can[question]
        assert set(words["no"]) == refused
        assert all(asked(js, n, question)["no"].startswith("No: ") for n in refused)


def test_places_are_those_of_the_taxonomy():
    given = {entry["place"] for entry in TOLD["models"].values()}
    known = {place for place, _ in PLACES}
    assert given <= known
    assert known - given == {"explicit, approximate"}, "the page says which place is missing"


def test_the_words_hold_the_numbers(js, five):
    here = torch.tensor([[0.5, 0.23]], dtype=W)
    for name in ("gaussian", "kernel", "mixture"):
        log_p = five[name].log_prob(here).item()
        words = asked(js, name, "density")["words"]
        found = re.fullmatch(r"p = (\S+), log p = (−?\d+\.\d\d)", words)
        assert float(found[1]) == pytest.approx(math.exp(log_p), rel=0.005)
        assert float(found[2].replace("−", "-")) == pytest.approx(log_p, abs=0.005)


def test_the_mean_and_the_peak_of_the_regression(js, five):
    t = torch.linspace(*BOX[1], 20_001, dtype=W)
    p = five["regression"].log_prob(t[:, None], torch.full((20_001, 1), 0.5, dtype=W)).exp()
    words = asked(js, "regression", "y")["words"]
    mean, peak = re.fullmatch(r"mean (\S+), peak at (\S+)", words).groups()
    assert float(mean) == pytest.approx(torch.trapezoid(t * p, t).item(), abs=0.002)
    assert float(peak) == pytest.approx(t[p.argmax()].item(), abs=0.002)


def test_what_the_page_says_of_the_middle(js, five):
    """Between the moons the Gaussian is 30 times as sure of a point as the kernel estimate, 120
    times as the mixture; p(y | x) has two hills for all but the Gaussian, whose mean no point is
    near; given y, kernel estimate and mixture have four."""
    here = torch.tensor([[0.5, 0.23]], dtype=W)
    p = {n: five[n].log_prob(here).exp().item() for n in ("gaussian", "kernel", "mixture")}
    assert 25 < p["gaussian"] / p["kernel"] < 35
    assert 110 < p["gaussian"] / p["mixture"] < 130
    assert (five["points"] - here).norm(dim=1).min() > 0.15

    def hills(name, question):
        thick = torch.tensor(asked(js, name, question)["thick"][0], dtype=W)
        height = thick[:, 0 if question == "y" else 1]
        inner = height[1:-1]
        peaks = (inner > height[:-2]) & (inner > height[2:])
        return int((peaks & (inner - height.min() > 0.05 * (height.max() - height.min()))).sum())

    assert hills("gaussian", "y") == 1
    assert hills("kernel", "y") >= 2
    assert hills("mixture", "y") == hills("regression", "y") == 2
    assert hills("gaussian", "x") == 1
    assert hills("kernel", "x") == hills("mixture", "x") == 4


def test_the_recipe_makes_the_file():
    again = recipe()
    assert again["points"] == NUMBERS["points"]
    for name in ("gaussian", "widths", "mixture"):
        same(NUMBERS[name], torch.tensor(again[name], dtype=W), atol=1e-3)
    for name in ("generator", "regression"):
        for (weight, bias), (w, b) in zip(again[name], NUMBERS[name], strict=True):
            same(w, torch.tensor(weight, dtype=W), atol=1e-2)
            same(b, torch.tensor(bias, dtype=W), atol=1e-2)
    assert WEIGHTS.stat().st_size < 20_000


def test_the_generator_is_trained(five, g):
    """Its draws are closer to the points than those of the Gaussian, by the energy distance."""
    x = five["points"]

    class Drawn(torch.nn.Module):
        def __init__(self, sample):
            super().__init__()
            self.sample = sample

        def forward(self, z):
            return self.sample(len(z))

    gaussian = Drawn(lambda n: five["gaussian"].sample(n, generator=g))
    scores = {
        name: torch.tensor([energy_distance(model, x, g).mean() for _ in range(50)])
        for name, model in (("generator", five["generator"]), ("gaussian", gaussian))
    }
    gap = scores["gaussian"] - scores["generator"]
    assert gap.mean() > 8 * gap.std() / math.sqrt(len(gap))


def test_the_energy_distance_of_equal_laws_is_that_of_the_data(g):
    """E of it is E|X − X'| if both laws are the same, more if not; by its z-score."""
    net = torch.nn.Identity()
    for shift, equal in ((0.0, True), (0.5, False)):
        values = []
        for _ in range(200):
            x = shift + torch.randn(40, 2, generator=g, dtype=W)
            values.append(energy_distance(net, x, g).mean())
        values = torch.stack(values)
        expected = math.sqrt(math.pi)  # E|X − X'| of two standard normal points in the plane
        z = (values.mean() - expected) / (values.std() / math.sqrt(len(values)))
        assert (abs(z) < 4) == equal


def test_the_density_models_obey_the_laws(five):
    for name in ("gaussian", "kernel"):
        box = (-4.0, -3.0), (5.0, 3.5)
        laws.integrates_to_one(five[name], *box)
        laws.samples_follow(five[name], *box, generator=torch.Generator().manual_seed(0))


def test_widths_leave_one_out(g):
    """No multiple of the deviations scores higher, by brute force over 31 of them."""
    x = five_points(g)
    scale = x.std(0, correction=0)

    def score(widths):
        law = Normal(x, widths)
        pairs = law.log_prob(x[:, None]).sum(-1).masked_fill(torch.eye(len(x)).bool(), -math.inf)
        return (pairs.logsumexp(1) - math.log(len(x) - 1)).mean().item()

    best = score(torch.tensor(fitted(x)["widths"], dtype=W))
    assert all(
        score(c * scale) <= best + 1e-4 for c in torch.logspace(-2, 0.5, 31, dtype=W).tolist()
    )


def five_points(g):
    x = torch.randn(60, 2, generator=g, dtype=W)
    return x * torch.tensor([1.0, 30.0], dtype=W) + torch.tensor([5.0, 0.0], dtype=W)


def test_fits_are_in_the_units_of_the_points(g):
    """Moved and stretched points give moved and stretched fits."""
    x = five_points(g)
    y = x * torch.tensor([100.0, 0.1], dtype=W) - 7
    here, there = fitted(x), fitted(y)
    one, two = mixture(here["mixture"]), mixture(there["mixture"])
    at = five_points(g)
    stretched = at * torch.tensor([100.0, 0.1], dtype=W) - 7
    same((two.log_prob(stretched) + math.log(10)).tolist(), one.log_prob(at), atol=1e-3)
    same(here["gaussian"][0][1:3], x.mean(0), atol=1e-5)


def test_own_points_refit_three_and_leave_the_networks_grey(js, g):
    own = json.loads(explore_models(five_points(g)).attributes["models"])
    assert own["generator"] is None
    assert own["regression"] is None
    state = {"question": "draw", "x": 5.0, "y": 0.0, "seed": 1}
    box = [[0, 10], [-90, 90]]
    answers = {name: js("answer", name, own, box, state) for name in ("gaussian", "generator")}
    assert len(answers["gaussian"]["dots"]) == 200
    assert answers["generator"]["no"].startswith("No: it was trained on other points")


def test_own_networks_take_the_place(js, g):
    generator = nets.MLP(2, 2, (4,), activation=torch.nn.Tanh, generator=g).double()
    regression = nets.MixtureDensityNetwork(1, 1, 3, (5,), generator=g)
    own = json.loads(
        explore_models(generator=generator, regression=regression).attributes["models"]
    )
    assert set(own) == {"generator", "regression"}
    z = torch.randn(5, 2, generator=g, dtype=W)
    found = [js("net", own["generator"], code) for code in z.tolist()]
    same(found, generator(z).detach(), atol=2e-3)  # the weights are rounded to 1e-4
    assert len(js("regress", own["regression"], 0.3)) == 3
    assert explore_models().attributes == {}


@pytest.mark.parametrize(
    ("points", "sentence"),
    [
        (torch.randn(30), r"shape \(n, 2\), got \(30,\)"),
        (torch.randn(30, 3), r"shape \(n, 2\), got \(30, 3\)"),
        (torch.randn(19, 2), r"20 to 500 points .* got \(19, 2\)"),
        (torch.randn(501, 2), r"20 to 500 points .* got \(501, 2\)"),
        (torch.full((30, 2), math.nan), "NaN or infinite"),
        (torch.arange(30.0)[:, None].expand(30, 2), "do not lie on one line"),
        (torch.stack([torch.arange(30.0), torch.ones(30)], 1), "do not lie on one line"),
    ],
)
def test_points_that_do_not_fit_are_refused(points, sentence):
    with pytest.raises(ValueError, match=sentence):
        explore_models(points)


def test_points_that_repeat_have_no_more_components_than_values():
    # scikit-learn warns where there are more, and a warning is an error here.
    corners = torch.cartesian_prod(torch.arange(2.0), torch.arange(2.0))
    assert len(fitted(corners.repeat(6, 1))["mixture"]) <= 4


@pytest.mark.parametrize(
    ("network", "name", "sentence"),
    [
        (nets.MLP(2, 2, (4,)), "generator", "nn.Linear and nn.Tanh in turn .* Linear, ReLU"),
        (nets.MLP(3, 2, (), activation=torch.nn.Tanh), "generator", "2 and 2 .* got 3 and 2"),
        (nets.MixtureDensityNetwork(2, 1, 2), "regression", "1 and three a component .* 2 and 6"),
        (nets.MLP(1, 4, (), activation=torch.nn.Tanh), "regression", "got 1 and 4"),
        (torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Tanh()), "generator", "in turn"),
        (torch.nn.Linear(2, 2, bias=False), "generator", "with its bias, got Linear"),
    ],
)
def test_networks_that_do_not_fit_are_refused(network, name, sentence):
    with pytest.raises(ValueError, match=sentence):
        layers(network, name)


def test_the_script_holds_its_numbers():
    text = script("models")
    assert '"generator": [[[' in text
    assert '"gaussian": {"title"' in text
    assert not re.search(r"^\s*(import|export)\b", text, flags=re.MULTILINE)
    assert "</script" not in text


def test_the_static_figure_shows_the_first_state():
    table, *axes = figure().axes
    answers = [text.get_text() for text in table.texts if text.get_text() in ("yes", "no")]
    refused = sum(len(question["no"]) for question in TOLD["questions"].values())
    assert (answers.count("yes"), answers.count("no")) == (25 - refused, refused) == (15, 10)
    titles = [f"{i} {entry['title']}" for i, entry in enumerate(TOLD["models"].values(), 1)]
    assert [ax.get_title() for ax in axes] == ["the points", *titles]
    assert all(len(ax.collections[0].get_offsets()) == 200 for ax in axes)
