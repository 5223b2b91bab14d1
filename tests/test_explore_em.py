"""Chapter 03's figure: each half step is genlab's, and what the page says of it is so."""

import itertools
import math
import re

import matplotlib as mpl
import pytest
import torch
from conftest import javascript

from genlab import plot
from genlab.course.explorables.em import between, bound, em, iterates
from genlab.em import GaussianMixture, decompose, e_step, features, m_step, natural
from genlab.interact import SOURCES, explore_em

INPUTS, FLOOR, STEPS = 16, 1e-3, 40
POINTS = (
    "-1.2,0.1 0.1,1.6 -1.9,0.0 -1.1,0.9 -1.3,0.2 -0.3,1.0 -1.3,0.6 -1.3,1.0 1.1,2.7 -2.0,-0.1 "
    "-2.0,-0.3 -1.6,0.1 -3.3,0.0 1.3,-0.5 1.1,-1.3 0.5,-0.3 1.7,-1.1 1.2,-1.2 1.4,-1.1 3.2,-2.0 "
    "0.3,-0.2 0.5,-0.6 -0.7,-0.6 -0.3,0.9"
)
GOOD, WORSE = "0.4,-1.1 -0.9,1.1", "-1.5,-0.3 1.0,0.3"


@pytest.fixture(scope="module")
def js():
    return javascript("em")


def pairs(text):
    rows = [[float(v) for v in pair.split(",")] for pair in text.split()]
    return torch.tensor(rows, dtype=torch.float64)


def cases(g):
    """Points and means, drawn anew for each input: K = 2 or 3 groups; some end on the floor."""
    for i in range(INPUTS):
        n, k = int(torch.randint(8, 40, (), generator=g)), 2 + i % 2
        centres = 4 * torch.randn(k, 2, dtype=torch.float64, generator=g)
        x = torch.randn(n, 2, dtype=torch.float64, generator=g) + centres[torch.arange(n) % k]
        means = x[torch.randperm(n, generator=g)[:k]] + 0.1
        if i % 4 == 0:  # a component on a far point
            means[0] = x[-1] = x.mean(0) + 4 * x.std(0)
        yield x, means


def same(found, expected):
    found = torch.tensor(found, dtype=torch.float64)
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)


def components(weights, means, covariances):
    """θ as the figure writes it: weight, mean, Σ₁₁, Σ₁₂, Σ₂₂ for each component, ``[k, 6]``."""
    upper = covariances.flatten(1)[:, [0, 1, 3]]
    return torch.cat([weights[:, None], means, upper], 1)


def fitted(model):
    return components(model.weights, model.means, model.covariances)


def parameters(theta):
    """(weights, means, covariances) from what the figure writes."""
    theta = torch.tensor(theta, dtype=torch.float64)
    return theta[:, 0], theta[:, 1:3], theta[:, [3, 4, 4, 5]].reshape(-1, 2, 2)


def run(js, x, means, steps=STEPS):
    floors = js("floorsOf", x.tolist(), FLOOR)
    return js("run", x.tolist(), means.tolist(), floors, steps)


def log_likelihood(js, x, theta):
    return js("logLikelihood", x.tolist(), theta)


def test_each_half_step_is_genlabs(js, g):
    """Five iterations: q and log p from e_step, θ from m_step, the bound from decompose."""
    floored = 0
    for x, means in cases(g):
        floors = torch.tensor(js("floorsOf", x.tolist(), FLOOR), dtype=torch.float64)
        same(floors.tolist(), FLOOR * x.var(0, correction=0))
        states = run(js, x, means, 10)
        unit = floors.sqrt()
        for t in range(1, 11):
            theta, q = states[t]
            weights, mu, covariances = parameters(theta)
            held = torch.tensor(q, dtype=torch.float64)
            phi, eta = features(x), natural(weights, mu, covariances)
            if t % 2:
                _, posterior = e_step(phi, eta)
                same(q, posterior)
                assert theta == states[t - 1][0]
            else:
                # In units of the floors the floor is 1.
                moments = held.T @ features((x - x.mean(0)) / unit)
                w, m, c = m_step(moments, 2, floor=1.0)
                c = c * unit[:, None] * unit
                same(theta, components(w, m * unit + x.mean(0), c))
                assert q == states[t - 1][1]
                floored += int((torch.linalg.eigvalsh(c / unit[:, None] / unit) < 1.001).any())
            parts = decompose(phi @ eta.T, held)
            same(log_likelihood(js, x, theta), parts.log_p.mean())
            same(js("bound", x.tolist(), q, theta), parts.elbo.mean())
    assert floored > 0, "no input shows the floor"


def test_the_whole_run_is_that_of_the_class(js, g):
    """GaussianMixture(k, floor=0.001).fit(x, start=means), after 0 to 20 iterations."""
    for x, means in cases(g):
        states = run(js, x, means)
        models = iterates(x, means)
        for t in (0, 1, 2, 5, 20):
            theta, _ = states[2 * t]
            assert log_likelihood(js, x, theta) == pytest.approx(models[t].history[-1], abs=1e-9)
            same(theta, fitted(models[t]))


def test_the_bound_touches_after_e_and_m_stands_on_its_top(js, g):
    """After E no gap; after M no other θ has a higher bound, tried at random."""
    for x, means in cases(g):
        for t, (theta, q) in enumerate(run(js, x, means, 6)):
            gap = log_likelihood(js, x, theta) - js("bound", x.tolist(), q, theta)
            assert gap >= -1e-12
            if t % 2:
                assert gap < 1e-12
            elif t:
                top = js("bound", x.tolist(), q, theta)
                for _ in range(3):
                    w, m, c = parameters(theta)
                    m = m + 0.1 * torch.randn(m.shape, dtype=torch.float64, generator=g)
                    w = w * (0.1 * torch.randn(w.shape, dtype=torch.float64, generator=g)).exp()
                    other = components(w / w.sum(), m, 1.1 * c).tolist()
                    assert js("bound", x.tolist(), q, other) < top


@pytest.mark.proves("thm-em-monotone")
def test_log_likelihood_and_bound_never_go_down(js, g):
    for x, means in cases(g):
        states = run(js, x, means)
        gain = [log_likelihood(js, x, theta) for theta, _ in states]
        low = [js("bound", x.tolist(), q, theta) for theta, q in states]
        for values in (gain, low):
            assert all(b >= a - 1e-12 for a, b in itertools.pairwise(values))


def test_a_component_without_points_does_no_harm(js, g):
    x = torch.randn(6, 2, dtype=torch.float64, generator=g)
    q = [[1.0, 0.0]] * 6
    floors = js("floorsOf", x.tolist(), FLOOR)
    theta = js("mStep", x.tolist(), q, floors)
    assert theta[1][0] == 0
    same(theta[1][3:], torch.tensor([floors[0], 0.0, floors[1]], dtype=torch.float64))
    assert js("eStep", x.tolist(), theta) == q
    assert js("bound", x.tolist(), q, theta) == pytest.approx(log_likelihood(js, x, theta))


@pytest.mark.parametrize("turn", [0.0, 0.4, 1.3])
def test_ellipses_have_the_axes_of_the_covariance(js, turn):
    axes = torch.tensor([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])
    cov = axes @ torch.diag(torch.tensor([4.0, 0.25])) @ axes.T
    large, small, angle = js("eigen", float(cov[0, 0]), float(cov[0, 1]), float(cov[1, 1]))
    assert (large, small, angle) == pytest.approx((4.0, 0.25, turn), abs=1e-6)


def end(js, x, means, steps=STEPS):
    theta = run(js, x, means, steps)[-1][0]
    return theta, log_likelihood(js, x, theta)


def test_the_worse_start_ends_worse(js):
    x = pairs(POINTS)
    assert round(end(js, x, pairs(GOOD))[1], 2) == -2.42
    assert round(end(js, x, pairs(WORSE))[1], 2) == -2.81
    # It is an optimum, not a run that is on its way.
    model = GaussianMixture(2, floor=FLOOR, tol=1e-12, max_iterations=5000)
    assert model.fit(x, start=pairs(WORSE)).converged
    assert model.history[-1] == pytest.approx(-2.81, abs=0.01)


@pytest.mark.proves("prop-saddle")
def test_equal_means_stay_equal(js):
    x = pairs(POINTS)
    theta, reached = end(js, x, x.mean(0).expand(2, 2))
    same(theta[0], torch.tensor(theta[1], dtype=torch.float64))
    assert round(reached, 2) == -3.17
    assert reached == pytest.approx(float(GaussianMixture(1).fit(x).log_prob(x).mean()), abs=1e-9)


@pytest.mark.proves("prop-unbounded-likelihood")
def test_a_component_falls_onto_the_far_point(js):
    """Only the floor ends it; it passes the fit that the good start finds in the same points."""
    x = pairs(POINTS)
    middle = x.mean(0)
    far = middle - 0.9 * 1.2 * (x - middle).abs().max()
    x[-1] = far
    start = torch.stack([far, pairs(GOOD)[1]])
    theta, reached = end(js, x, start)
    floors = js("floorsOf", x.tolist(), FLOOR)
    assert theta[0] == pytest.approx([1 / 24, *far.tolist(), floors[0], 0, floors[1]], abs=1e-6)
    assert round(reached, 2) == -3.05
    assert reached > end(js, x, pairs(GOOD))[1] + 0.03
    # A floor a tenth of that adds log(10)/24 nats a point, and so on without end.
    lower = GaussianMixture(2, floor=FLOOR / 10, tol=1e-12).fit(x, start=start).history[-1]
    assert lower - reached == pytest.approx(math.log(10) / 24, abs=1e-4)


def test_the_module_names_what_the_page_may_press():
    text = (SOURCES / "em.mjs").read_text(encoding="utf8")
    for name in ("e", "m", "both", "good", "worse", "stuck", "far"):
        assert re.search(rf"^\s*{name}: \[", text, flags=re.MULTILINE), name
    assert "customElements.define(" in text


def test_colours_of_the_components_are_those_of_the_figures():
    style = (SOURCES / "explore.css").read_text(encoding="utf8")
    for z, name in (("--z1", "code"), ("--z3", "truth")):
        light = plot.COLORS[name]
        assert re.findall(rf"{z}: (#\w+)", style) == [light, plot.ON_DARK[light]]
    assert "--z2: var(--accent)" in style


@pytest.mark.parametrize("steps", ["0", "1", "4"])
def test_the_static_figure_shows_the_same_state(js, steps):
    """Its ball is at the log-likelihood of that half step, on its bound after E."""
    x = pairs(POINTS)
    theta, q = run(js, x, pairs(GOOD))[int(steps)]
    with mpl.rc_context(plot.STYLE):
        fig = em(POINTS, GOOD, WORSE, steps)
    _, cut, history = fig.axes
    curve, below, ball = cut.lines[:3]
    assert ball.get_ydata()[0] == pytest.approx(log_likelihood(js, x, theta), abs=1e-9)
    assert (below.get_ydata() <= curve.get_ydata() + 1e-9).all()
    lower = pytest.approx(js("bound", x.tolist(), q, theta), abs=1e-9)
    here = abs(below.get_xdata() - ball.get_xdata()[0]).argmin()
    assert below.get_ydata()[here] == lower
    assert history.lines[1].get_ydata()[int(steps)] == lower


def test_between_two_mixtures_lie_both(g):
    x, means = next(cases(g))
    one, other = iterates(x, means)[:2]
    for s, model in ((0.0, one), (1.0, other)):
        here = between(x, one, other, s)
        torch.testing.assert_close(fitted(here), fitted(model), rtol=1e-9, atol=1e-12)
        q = model.responsibilities(x)
        assert bound(x, q, here) == pytest.approx(model.history[-1], abs=1e-9)


def test_a_figure_of_your_own_points(g):
    x = torch.randn(10, 2, dtype=torch.float64, generator=g) * torch.tensor([3.0, 1.0])
    page = explore_em(x)._repr_html_()
    assert "<gen-em " in page
    assert "linked" not in explore_em(x).attributes
    assert torch.equal(pairs(explore_em(x).attributes["points"]), x)
    start = pairs(explore_em(x).attributes["means"])
    same(start.mean(0).tolist(), x.mean(0))
    side = (start[1] - start[0]) / 2
    assert side[0] > 0
    cov = torch.cov(x.T, correction=0)
    same((cov @ side).tolist(), torch.linalg.eigvalsh(cov)[1] * side)
    same(side.square().sum().item(), torch.linalg.eigvalsh(cov)[1])
    assert torch.equal(pairs(explore_em(x, x[:3]).attributes["means"]), x[:3])


@pytest.mark.parametrize(
    ("points", "means", "sentence"),
    [
        (torch.zeros(5), None, r"points in the plane, shape \(n, 2\), got \(5,\)"),
        (torch.randn(5, 3), None, r"got \(5, 3\)"),
        (torch.randn(3, 2), None, r"Expected 4 to 60 points .* got \(3, 2\)"),
        (torch.randn(61, 2), None, r"Expected 4 to 60 points .* got \(61, 2\)"),
        (torch.full((5, 2), math.nan), None, "Expected finite points"),
        (torch.eye(5)[:, :2] * torch.tensor([1.0, 0.0]), None, "differ in both coordinates"),
        (torch.eye(4)[:, :2], torch.zeros(2), r"2 or 3 means, shape \(k, 2\), got \(2,\)"),
        (torch.eye(4)[:, :2], torch.zeros(4, 2), r"2 or 3 means, .* got \(4, 2\)"),
        (torch.eye(4)[:, :2], torch.full((2, 2), math.inf), "Expected finite means"),
    ],
)
def test_points_and_means_that_do_not_fit_are_refused(points, means, sentence):
    with pytest.raises(ValueError, match=sentence):
        explore_em(points, means)
