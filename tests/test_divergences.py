"""Chapter 02: the theorems about divergences, each as a test."""

import dataclasses
import itertools
import math
import warnings

import numpy as np
import pytest
import torch
from conftest import slope
from scipy.integrate import quad
from scipy.stats import norm, wasserstein_distance
from torch.distributions import (
    Bernoulli,
    Categorical,
    Cauchy,
    Distribution,
    Exponential,
    Independent,
    Laplace,
    MultivariateNormal,
    Normal,
    Poisson,
    Uniform,
)

from genlab import laws
from genlab.data import LIST_C, SignSums, TwoMoons
from genlab.density import KDE, Gaussian
from genlab.divergences import (
    F_DIVERGENCES,
    Estimate,
    FDivergence,
    NotConverged,
    cross_entropy,
    entropy,
    estimate,
    f_divergence,
    fit_gaussian,
    gaussian_reverse_kl,
    integrands,
    jeffreys,
    js,
    kl,
    kl_from_ratio,
    kolmogorov,
    on_grid,
    optimal_discriminator,
    reverse_kl_gradient,
    scheffe,
    sinkhorn,
    squared_hellinger,
    switching_point,
    testing_error,
    total_variation,
    train_ratio,
    transport,
    two_modes,
    variational_bound,
    variational_terms,
    wasserstein2_normal,
    wasserstein_1d,
)
from genlab.divergences.finite import kl_terms

with warnings.catch_warnings():  # its docstrings hold escapes that Python warns of
    warnings.simplefilter("ignore")
    import ot

LOG2 = math.log(2)
NAMED = {
    "kl": kl,
    "reverse kl": lambda p, q: kl(q, p),
    "total variation": total_variation,
    "js": js,
    "jeffreys": jeffreys,
    "squared hellinger": squared_hellinger,
    "pearson": lambda p, q: ((p - q) ** 2 / q).sum(-1),
    "neyman": lambda p, q: ((p - q) ** 2 / p).sum(-1),
    "gan": lambda p, q: 2 * js(p, q) - math.log(4),
}
# Two laws each of which has a zero where the other has none, and one where both have.
HOLES = torch.tensor([0.5, 0.5, 0.0, 0.0]).double(), torch.tensor([0.25, 0.0, 0.75, 0.0]).double()


def tables(g, *shape):
    """Random probability tables; the last axis sums to one."""
    p = -torch.rand(*shape, dtype=torch.float64, generator=g).clamp_min(1e-300).log()
    return p / p.sum(-1, keepdim=True)


def double(*values):
    return torch.tensor(values, dtype=torch.float64)


def normal(mean, sd):
    return Normal(*double(mean, sd))


def line(points=4001, reach=20.0):
    return torch.linspace(-reach, reach, points, dtype=torch.float64)


# --- Total variation ---------------------------------------------------------------------------


@pytest.mark.proves("thm-scheffe")
@pytest.mark.covers("S1-45", "S1-46", "S1-47")
def test_half_the_absolute_difference_is_the_largest_difference_of_an_event(g):
    for p, q in tables(g, 500, 2, 6):
        every = [
            abs(float((p - q)[list(event)].sum()))
            for r in range(7)
            for event in itertools.combinations(range(6), r)
        ]
        value, event = scheffe(p, q)
        assert float(total_variation(p, q)) == pytest.approx(max(every), abs=1e-14)
        assert float(value) == pytest.approx(max(every), abs=1e-14)
        assert event.tolist() == (p > q).nonzero().flatten().tolist()


@pytest.mark.covers("S1-48", "E05")
def test_the_example_of_four_values_and_the_two_events_that_are_not_listed(g):
    p, q = double(0.5, 0.5, 0, 0), double(0, 0.5, 0.5, 0)
    assert scheffe(p, q)[0] == total_variation(p, q) == 0.5
    listed = [e for r in range(1, 5) for e in itertools.combinations(range(4), r)]
    listed.remove((1, 2, 3))
    assert len(listed) == 14  # of 16: the empty event is missing too
    pairs = tables(g, 2000, 2, 4)
    difference = pairs[:, 0] - pairs[:, 1]
    sums = torch.stack([difference[:, list(event)].sum(1) for event in listed])
    truth = total_variation(pairs[:, 0], pairs[:, 1])
    assert torch.allclose(sums.abs().amax(0), truth)  # the absolute value saves the short list
    assert ((sums.amax(0) - truth).abs() > 1e-12).double().mean() == pytest.approx(0.05, abs=0.03)


@pytest.mark.covers("S1-49")
def test_total_variation_is_a_metric(g):
    p, q, r = tables(g, 3, 5000, 4)
    assert torch.equal(total_variation(p, q), total_variation(q, p))
    excess = total_variation(p, q) - total_variation(p, r) - total_variation(r, q)
    assert float(excess.max()) <= 1e-14


@pytest.mark.proves("thm-testing")
@pytest.mark.covers("S1-50", "E04")
def test_least_sum_of_errors_is_one_minus_total_variation(g):
    for p, q in tables(g, 200, 2, 7):
        errors = [
            float(p[list(a)].sum() + 1 - q[list(a)].sum())
            for r in range(8)
            for a in itertools.combinations(range(7), r)
        ]
        assert float(testing_error(p, q)) == pytest.approx(min(errors), abs=1e-14)
        assert float(testing_error(p, q) + total_variation(p, q)) == pytest.approx(1, abs=1e-14)
    assert testing_error(p, p) == pytest.approx(1)  # equal laws cannot be told apart
    # Two normal laws: reject above a threshold.
    threshold = np.linspace(-10, 10, 200_001)
    least = (norm.sf(threshold) + norm.cdf(threshold - 1)).min()
    tv = float(total_variation(normal(0, 1), normal(1, 1)))
    assert tv == pytest.approx(0.382925, abs=1e-6)
    assert least == pytest.approx(0.617075, abs=1e-6)
    assert least == pytest.approx(1 - tv, abs=1e-9)


@pytest.mark.proves("prop-sign-sums")
@pytest.mark.covers("S1-51", "E06")
def test_sign_sums_converge_in_distribution_and_stay_at_total_variation_one():
    sizes, distance = (1, 10, 100, 1000, 10_000), []
    for n in sizes:
        law = SignSums(n)
        p = law.log_prob(law.support).exp()
        laws.sums_to_one(law, law.support)
        distance.append(float(kolmogorov(law.support, p / p.sum(), torch.special.ndtr)))
        # An event that the sum cannot miss and that the normal law hits with probability <= 1e-9.
        width = 1e-9 / (n + 1)
        hit = torch.special.ndtr(law.support + width) - torch.special.ndtr(law.support - width)
        assert float(p.sum() - hit.sum()) == pytest.approx(1, abs=2e-9)
    assert [round(d, 5) for d in distance] == [0.34134, 0.12305, 0.03979, 0.01261, 0.00399]
    assert slope(sizes[1:], distance[1:]) == pytest.approx(-0.5, abs=0.01)


def test_kolmogorov_looks_above_and_below_each_step():
    steps, p = double(0.1, 0.2), double(0.5, 0.5)
    assert kolmogorov(steps, p, lambda t: t) == pytest.approx(0.8)
    assert kolmogorov(1 - steps.flip(0), p, lambda t: t) == pytest.approx(0.8)
    with pytest.raises(ValueError, match="ascending order"):
        kolmogorov(steps.flip(0), p, lambda t: t)


@pytest.mark.covers("S1-46")
@pytest.mark.parametrize("shift", [0.0, 1e-6, 0.3, -2.0, 30.0])
@pytest.mark.parametrize("sd", [1.0, 1 + 1e-9, 1.3, 0.05, 40.0])
def test_closed_forms_of_normal_laws_are_their_integrals(shift, sd):
    p, q = normal(0.2, 1), normal(0.2 + shift, sd)
    f, g = norm(0.2, 1), norm(0.2 + shift, sd)
    low, high = min(f.ppf(1e-17), g.ppf(1e-17)), max(f.isf(1e-17), g.isf(1e-17))
    near = sorted(
        {
            0.2,
            0.2 + shift,
            *(m + k * s for m, s in ((0.2, 1), (0.2 + shift, sd)) for k in (-6, -3, 3, 6)),
        }
    )
    inside = [t for t in near if low < t < high]

    def integral(of):
        cuts = [low, *inside, high]
        return sum(quad(of, a, b, limit=200)[0] for a, b in itertools.pairwise(cuts))

    assert float(total_variation(p, q)) == pytest.approx(
        integral(lambda t: abs(f.pdf(t) - g.pdf(t)) / 2), abs=1e-7
    )
    assert float(total_variation(p, q)) == pytest.approx(float(total_variation(q, p)), abs=1e-14)
    assert float(squared_hellinger(p, q)) == pytest.approx(
        integral(lambda t: (math.sqrt(f.pdf(t)) - math.sqrt(g.pdf(t))) ** 2), abs=1e-9
    )
    assert float(kl(p, q)) == pytest.approx(
        integral(lambda t: f.pdf(t) * (f.logpdf(t) - g.logpdf(t))), rel=1e-9, abs=1e-12
    )


def test_multivariate_closed_forms_are_those_of_the_line_in_a_rotated_frame(g):
    turn = torch.linalg.qr(torch.randn(2, 2, dtype=torch.float64, generator=g))[0]
    mean, sd = double(0.7, -0.4), double(1.5, 0.6)
    p = MultivariateNormal(torch.zeros(2).double(), torch.eye(2).double())
    q = MultivariateNormal(turn @ mean, turn @ torch.diag(sd**2) @ turn.T)
    affinity = math.prod(
        1 - float(squared_hellinger(normal(0, 1), normal(float(m), float(s)))) / 2
        for m, s in zip(mean, sd, strict=True)
    )
    assert float(squared_hellinger(p, q)) == pytest.approx(2 - 2 * affinity, abs=1e-12)
    r = MultivariateNormal(q.loc + 3 * turn @ double(sd[0], 0.0), q.covariance_matrix)
    assert float(total_variation(q, r)) == pytest.approx(2 * norm.cdf(1.5) - 1, abs=1e-12)
    with pytest.raises(NotImplementedError, match=r"other covariances.*estimate.*on_grid"):
        total_variation(p, q)


# --- Kullback–Leibler --------------------------------------------------------------------------


@pytest.mark.proves("thm-gibbs")
@pytest.mark.covers("S1-52", "S1-56")
def test_kl_is_positive_and_zero_only_at_equality(g):
    laws.is_divergence(kl, m=5, pairs=400, generator=g)
    p = tables(g, 1000, 5)
    # Quadratic around equality: KL = sum (p - q)^2 / (2p) to leading order, so it is a minimum.
    q = p + 1e-4 * (p - p.flip(-1))
    q = q.abs() / q.abs().sum(-1, keepdim=True)
    keep = (p.amin(-1) > 0.02) & ((p - q).abs().sum(-1) > 1e-6)
    ratio = kl(p, q)[keep] / ((p - q) ** 2 / (2 * p)).sum(-1)[keep]
    assert keep.sum() > 100
    assert torch.allclose(ratio, torch.ones_like(ratio), atol=5e-3)


@pytest.mark.covers("S1-53", "E16")
def test_kl_is_not_symmetric_in_general_but_sometimes(g):
    p, q = double(0.5, 0.5), double(0.1, 0.9)
    assert float(kl(p, q)) == pytest.approx(0.5 * math.log(25 / 9))
    assert abs(float(kl(p, q) - kl(q, p))) > 0.1
    assert kl(normal(0, 1), normal(1, 1)) == kl(normal(1, 1), normal(0, 1)) == 0.5


@pytest.mark.proves("prop-kl-invariance")
@pytest.mark.covers("S1-54", "E16")
def test_kl_is_invariant_under_an_invertible_map_and_falls_under_another():
    p, q = normal(0, 1), normal(0.7, 1.4)
    # X -> sinh X, with densities p(asinh y) / sqrt(1 + y^2)
    reach = torch.sinh(line(40_001, 11.0))
    stretched = on_grid(
        *(law.log_prob(torch.asinh(reach)) - 0.5 * torch.log1p(reach**2) for law in (p, q)), reach
    )
    straight = on_grid(p.log_prob(line()), q.log_prob(line()), line())
    for name in ("kl", "reverse_kl", "tv", "js"):
        assert float(stretched[name]) == pytest.approx(float(straight[name]), abs=1e-6)
    assert float(straight["kl"]) == pytest.approx(float(kl(p, q)), abs=1e-9)
    assert abs(float(stretched["w1"] - straight["w1"])) > 0.1  # a transport cost is not invariant
    # |X| forgets the sign: densities p(t) + p(-t), and KL falls.
    t = torch.linspace(0, 15, 20_001, dtype=torch.float64)
    folded = [torch.logaddexp(law.log_prob(t), law.log_prob(-t)) for law in (p, q)]
    assert float(on_grid(*folded, t)["kl"]) < float(kl(p, q)) - 0.05


@pytest.mark.proves("prop-kl-additive")
@pytest.mark.covers("S1-55", "E16")
def test_kl_adds_up_over_independent_parts(g):
    p, q = tables(g, 2, 4), tables(g, 2, 4)
    r, s = tables(g, 2, 3), tables(g, 2, 3)
    product = lambda a, b: (a[:, :, None] * b[:, None, :]).flatten(1)
    assert torch.allclose(kl(product(p, r), product(q, s)), kl(p, q) + kl(r, s), atol=1e-12)
    # Independence is needed on both sides: with a dependent p of the same marginals it is more.
    joint = torch.eye(3, dtype=torch.float64).flatten() / 3
    uniform = torch.full((9,), 1 / 9, dtype=torch.float64)
    assert float(kl(joint, uniform)) == pytest.approx(math.log(3))


@pytest.mark.proves("prop-kl-cross-entropy")
@pytest.mark.covers("S1-57", "S4-19", "E01", "E02")
def test_kl_is_cross_entropy_minus_entropy(g):
    p, q = tables(g, 300, 6), tables(g, 300, 6)
    minus_mean_log = -(p * q.log()).sum(-1)
    assert torch.allclose(cross_entropy(p, q), minus_mean_log, atol=1e-12)
    assert torch.allclose(kl(p, q), minus_mean_log - entropy(p), atol=1e-12)
    assert torch.allclose(kl(q, p), -entropy(q) - (q * p.log()).sum(-1), atol=1e-12)
    # The printed signs: none of the readings is KL, and one is exactly its negative.
    assert torch.allclose(entropy(p) + (p * q.log()).sum(-1), -kl(p, q), atol=1e-12)
    assert ((entropy(p) + minus_mean_log - kl(p, q)) > 0.1).all()
    assert ((entropy(q) - (q * p.log()).sum(-1) - kl(q, p)) > 0.1).all()
    with pytest.raises(laws.LawBroken, match="not 0"):
        laws.is_divergence(lambda p, q: entropy(p) + cross_entropy(p, q), generator=g)


@pytest.mark.proves("prop-kl-normal")
@pytest.mark.covers("S1-52")
def test_kl_of_normal_laws(g):
    draws = torch.randn(20, 4, dtype=torch.float64, generator=g)
    for m, n, a, b in draws:
        s, t = a.exp(), b.exp()
        formula = torch.log(t / s) + (s**2 + (m - n) ** 2) / (2 * t**2) - 0.5
        p, q = Normal(m, s), Normal(n, t)
        assert float(kl(p, q)) == pytest.approx(float(formula), rel=1e-12)
        x = m + s * line(4001, 12.0)
        area = torch.trapezoid(p.log_prob(x).exp() * (p.log_prob(x) - q.log_prob(x)), x)
        assert float(area) == pytest.approx(float(formula), rel=1e-9)


@pytest.mark.covers("S1-61", "S1-67")
def test_kl_is_infinite_where_q_is_zero_and_p_is_not_and_never_nan():
    p, q = HOLES
    assert kl(p, q) == kl(q, p) == math.inf
    assert kl(p, double(0.4, 0.4, 0.2, 0)) < math.inf
    assert kl(double(1, 0, 0, 0), p) == pytest.approx(LOG2)
    for of in (js, total_variation, squared_hellinger, entropy, cross_entropy):
        assert not (of(p) if of is entropy else of(p, q)).isnan()
    tiny = double(5e-324, 1)
    assert js(tiny, double(0, 1)) == pytest.approx(0, abs=1e-300)
    assert Uniform(0.0, 1.0).log_prob(torch.tensor(0.5)) == 0
    assert kl(Uniform(*double(0, 1)), Uniform(*double(2, 3))) == math.inf


@pytest.mark.covers("S1-66")
def test_jeffreys_is_the_symmetric_sum_and_may_be_infinite(g):
    p, q = tables(g, 2, 50, 4)
    assert torch.allclose(jeffreys(p, q), ((p - q) * (p / q).log()).sum(-1))
    assert torch.equal(jeffreys(p, q), jeffreys(q, p))
    assert jeffreys(*HOLES) == math.inf
    assert jeffreys(normal(0, 1), normal(1, 2)) == kl(normal(0, 1), normal(1, 2)) + kl(
        normal(1, 2), normal(0, 1)
    )


@pytest.mark.covers("S0-11", "S1-58", "E03")
def test_maximum_likelihood_is_least_kl_from_the_relative_frequencies():
    counts = torch.bincount(LIST_C, minlength=9)[3:].double()
    p_hat = counts / counts.sum()
    # A one-parameter family on the six values: p_theta(v) proportional to exp(theta v).
    theta = torch.linspace(-3, 3, 2001, dtype=torch.float64)
    q = (theta[:, None] * torch.arange(6)).softmax(-1)
    log_likelihood = (counts * q.log()).sum(-1)
    divergence = kl(p_hat.expand_as(q), q)
    assert log_likelihood.argmax() == divergence.argmin()
    assert torch.allclose(log_likelihood, -counts.sum() * (entropy(p_hat) + divergence), atol=1e-10)
    # A minus sign does not pass through argmin: the printed line moves with the box.
    mean_log = log_likelihood / counts.sum()
    assert mean_log.argmin() in (0, 2000)
    assert abs(theta[mean_log.argmin()]) > 2.9 > abs(theta[divergence.argmin()])


@pytest.mark.covers("E44")
def test_kl_from_the_data_points_to_a_density_is_infinite_and_the_cross_entropy_is_not(g):
    x = torch.randn(20, dtype=torch.float64, generator=g)
    values = []
    for width in (2.0**-k for k in range(20, 25)):
        low = (x / width).floor() * width
        cell = torch.special.ndtr(low + width) - torch.special.ndtr(low)
        empirical = torch.cat([torch.full((20,), 1 / 20).double(), double(0.0)])
        binned = torch.cat([cell, 1 - cell.sum(dim=0, keepdim=True)])
        assert len(low.unique()) == 20
        values.append(float(kl(empirical / empirical.sum(), binned)))
    assert np.diff(values) == pytest.approx([LOG2] * 4, abs=1e-4)  # one bit for each halving
    assert math.isfinite(float(-normal(0, 1).log_prob(x).mean()))


@pytest.mark.proves("thm-pinsker")
def test_pinsker_and_its_constant(g):
    for m in (2, 3, 8):
        p, q = tables(g, 2, 20_000, m)
        assert (total_variation(p, q) <= (kl(p, q) / 2).sqrt() + 1e-12).all()
    p, q = double(0.5, 0.5), double(0.5 + 1e-4, 0.5 - 1e-4)
    assert float(total_variation(p, q) / (kl(p, q) / 2).sqrt()) == pytest.approx(1, abs=1e-6)


# --- Fitting a normal law, in both directions --------------------------------------------------


@pytest.mark.covers("S1-59")
def test_a_normal_law_fitted_to_normal_data_recovers_its_moments(g):
    mean, factor = double(1.0, -2.0), double([2.0, 0.0], [0.8, 0.5])
    covariance = factor @ factor.T
    n = 20_000
    x = mean + torch.randn(n, 2, dtype=torch.float64, generator=g) @ factor.T
    model = Gaussian().fit(x)
    z = (model.mean - mean) / (covariance.diagonal() / n).sqrt()
    assert (z.abs() < 4).all()
    fitted = model.factor @ model.factor.T
    variances = covariance.diagonal()
    spread = ((variances[:, None] * variances + covariance**2) / n).sqrt()
    assert ((fitted - covariance).abs() < 4 * spread).all()
    # Without data: both directions return p itself, since the family contains it.
    nodes = torch.cartesian_prod(*[line(161, 12.0)] * 2) + mean
    weights = torch.full((len(nodes),), 0.15**2, dtype=torch.float64)
    p = MultivariateNormal(mean, covariance)
    for direction in ("forward", "reverse"):
        m, c = fit_gaussian(p.log_prob, nodes, weights, direction=direction)
        assert torch.allclose(m, mean, atol=1e-6)
        assert torch.allclose(c, covariance, atol=1e-6)


@pytest.mark.proves("thm-forward-moments")
@pytest.mark.covers("S1-60")
@pytest.mark.parametrize("m", [0.5, 1.5, 3.0])
def test_forward_kl_matches_moments_and_covers_the_gap(m, g):
    t = line()
    log_p = two_modes(m)
    mean, sd = fit_gaussian(log_p, t, torch.full_like(t, 0.01))
    assert float(mean) == pytest.approx(0, abs=1e-9)
    assert float(sd) == pytest.approx(math.sqrt(1 + m * m), abs=1e-9)
    best = Normal(mean, sd)
    forward = lambda q: float(on_grid(log_p(t), q.log_prob(t), t)["kl"])
    # Of any other normal law, KL(p‖q) is larger by exactly KL(q*‖q).
    for a, b in torch.randn(20, 2, dtype=torch.float64, generator=g):
        q = Normal(a, sd * (b / 4).exp())
        assert forward(q) == pytest.approx(forward(best) + float(kl(best, q)), abs=1e-8)
    if m == 3.0:  # mass between the modes, where p has next to none
        gap = lambda cdf: float(cdf(double(1.0)) - cdf(double(-1.0)))
        p_gap = norm.cdf(1 - m) - norm.cdf(-1 - m)
        assert gap(best.cdf) > 10 * p_gap > 0.2


@pytest.mark.proves("prop-reverse-kl")
@pytest.mark.covers("S1-62", "S1-63")
def test_reverse_kl_is_minus_entropy_minus_fit(g):
    p, q = tables(g, 2, 200, 5)
    objective = entropy(q) + (q * p.log()).sum(-1)
    assert torch.allclose(kl(q, p), -objective, atol=1e-12)
    # What is forced is q = 0 where p = 0, not q = 0 somewhere where p > 0.
    hole, inside = double(0.5, 0.5, 0), double(1.0, 0, 0)
    assert kl(double(0.4, 0.4, 0.2), hole) == math.inf
    assert kl(inside, hole) == pytest.approx(LOG2)
    assert kl(hole, hole) == 0
    for mean, sd in ((0.0, 1.0), (2.0, 0.6), (-1.0, 3.0)):
        x = mean + sd * line(8001, 10.0)
        log_q, log_p = normal(mean, sd).log_prob(x), two_modes(2.0)(x)
        area = torch.trapezoid(log_q.exp() * (log_q - log_p), x)
        value = gaussian_reverse_kl(two_modes(2.0), double(mean)[0], double(sd)[0])
        assert float(value) == pytest.approx(float(area), abs=1e-10)
        fit = float(torch.trapezoid(log_q.exp() * log_p, x))
        assert float(value) == pytest.approx(-float(entropy(normal(mean, sd))) - fit, abs=1e-10)


def test_a_normal_law_has_no_finite_reverse_kl_to_a_law_with_a_hole():
    edge = lambda x: torch.where(x.abs() < 1, -LOG2, -math.inf) + 0 * x
    t = torch.linspace(-0.99, 0.99, 199, dtype=torch.float64)
    with pytest.raises(ValueError, match="no normal q has a finite"):
        fit_gaussian(edge, t, torch.full_like(t, 0.01), direction="reverse")
    assert gaussian_reverse_kl(edge, *double(0, 1)) == math.inf


@pytest.mark.proves("prop-reverse-gradient")
@pytest.mark.covers("S1-63")
@pytest.mark.parametrize(("mean", "sd"), [(0.0, 1.0), (1.3, 0.7), (-2.0, 2.5)])
def test_reverse_gradient_is_the_score_weighted_log_ratio(mean, sd):
    log_p = two_modes(1.7)
    unnormalised = lambda x: log_p(x) + 3.21
    at = [v.requires_grad_() for v in (double(mean)[0], double(sd)[0])]
    exact = torch.stack(torch.autograd.grad(gaussian_reverse_kl(log_p, *at), at))
    for f in (log_p, unnormalised):
        got = reverse_kl_gradient(f, double(mean)[0], double(sd)[0])
        assert torch.allclose(got, exact, atol=1e-9)
    h = 1e-5
    value = lambda m, s: float(gaussian_reverse_kl(log_p, double(m)[0], double(s)[0]))
    assert float(exact[0]) == pytest.approx(
        (value(mean + h, sd) - value(mean - h, sd)) / (2 * h), abs=1e-7
    )
    assert float(exact[1]) == pytest.approx(
        (value(mean, sd + h) - value(mean, sd - h)) / (2 * h), abs=1e-7
    )


@pytest.mark.proves("prop-switch")
@pytest.mark.covers("S1-62", "S1-64", "E15")
def test_reverse_fit_covers_both_modes_until_it_jumps_to_one():
    t = line(4001, 15.0)
    weights = torch.full_like(t, 0.0075)
    expected = {
        0.5: (0.0, 1.118, 0.0002),
        1.0: (0.0, 1.394, 0.0109),
        1.5: (0.0, 1.714, 0.0742),
        2.0: (0.0, 2.047, 0.2265),
        3.0: (2.984, 1.023, 0.6888),
    }
    for m, (mean, sd, value) in expected.items():
        fitted = fit_gaussian(two_modes(m), t, weights, direction="reverse")
        assert abs(float(fitted[0])) == pytest.approx(mean, abs=5e-4)
        assert float(fitted[1]) == pytest.approx(sd, abs=5e-4)
        assert float(gaussian_reverse_kl(two_modes(m), *fitted)) == pytest.approx(value, abs=5e-5)
    # The jump, against a grid search that knows nothing of the module's descent.
    m = switching_point()
    assert m == pytest.approx(2.8001, abs=1e-4)
    best = {}
    for at in (m - 0.02, m + 0.02):
        means = torch.linspace(0, 4, 161, dtype=torch.float64)
        sds = torch.linspace(0.8, 3.2, 121, dtype=torch.float64)
        z = line(241, 7.0)
        w = torch.exp(-(z**2) / 2)
        x = means[:, None, None] + sds[:, None] * z
        value = -sds.log() - two_modes(at)(x) @ (w / w.sum())
        best[at] = float(means[int(value.argmin()) // len(sds)])
    assert best[m - 0.02] == 0
    assert best[m + 0.02] > 2.5


def test_the_reverse_fit_begins_where_it_is_told():
    t = line(4001, 15.0)
    fit = lambda m: fit_gaussian(
        two_modes(3.0),
        t,
        torch.full_like(t, 0.0075),
        direction="reverse",
        start=(double(m)[0], double(1.0)[0]),
    )
    assert float(fit(-3.0)[0]) == pytest.approx(-2.984, abs=5e-4)
    assert float(fit(0.0)[0]) == pytest.approx(0, abs=1e-6)  # a local minimum


# --- Jensen–Shannon ----------------------------------------------------------------------------


@pytest.mark.proves("prop-js-entropy")
@pytest.mark.covers("S1-68")
def test_js_is_the_entropy_of_the_mixture_minus_the_mean_entropy(g):
    p, q = tables(g, 2, 500, 5)
    m = (p + q) / 2
    assert torch.allclose(js(p, q), (kl(p, m) + kl(q, m)) / 2, atol=1e-14)
    assert torch.allclose(js(p, q), entropy(m) - (entropy(p) + entropy(q)) / 2, atol=1e-12)


@pytest.mark.proves("thm-js")
@pytest.mark.covers("S1-69")
def test_js_is_symmetric_and_at_most_log_2(g):
    laws.is_divergence(js, m=5, pairs=200, generator=g)
    p, q = tables(g, 2, 20_000, 3) ** 8  # many of them close to a corner
    p, q = p / p.sum(-1, keepdim=True), q / q.sum(-1, keepdim=True)
    value = js(p, q)
    assert torch.allclose(value, js(q, p), atol=1e-15)
    assert (value >= 0).all()
    assert (value <= LOG2 + 1e-15).all()
    assert float(value.max()) > 0.69
    assert js(double(0.5, 0.5, 0, 0), double(0, 0, 0.3, 0.7)) == pytest.approx(LOG2)


@pytest.mark.proves("thm-js-metric")
@pytest.mark.covers("S1-69", "E17")
def test_the_root_of_js_is_a_metric_and_js_is_not(g):
    worst = -math.inf
    for concentration in (1, 6):
        p, q, r = tables(g, 3, 25_000, 3) ** concentration
        p, q, r = (v / v.sum(-1, keepdim=True) for v in (p, q, r))
        excess = js(p, q).sqrt() - js(p, r).sqrt() - js(r, q).sqrt()
        worst = max(worst, float(excess.max()))
    assert worst <= 1e-12
    p, q, r = double([1, 0], [0, 1], [0.5, 0.5])
    assert float(js(p, q)) == pytest.approx(0.6931, abs=1e-4)
    assert float(js(p, r) + js(r, q)) == pytest.approx(0.4315, abs=1e-4)
    assert float(js(p, q).sqrt()) == pytest.approx(0.8326, abs=1e-4)
    assert float(js(p, r).sqrt() + js(r, q).sqrt()) == pytest.approx(0.9290, abs=1e-4)


# --- f-divergences -----------------------------------------------------------------------------


@pytest.mark.proves("thm-f")
@pytest.mark.covers("S1-70")
@pytest.mark.parametrize("name", F_DIVERGENCES)
def test_f_divergences_are_positive_and_fall_when_data_are_processed(name, g):
    p, q = tables(g, 2, 300, 6)
    value = f_divergence(name, p, q)
    assert torch.allclose(value, NAMED[name](p, q), rtol=1e-10, atol=1e-13)
    offset = float(F_DIVERGENCES[name].f(double(1.0)))  # f(1), zero but for "gan"
    laws.is_divergence(lambda p, q: f_divergence(name, p, q) - offset, generator=g)
    channel = tables(g, 300, 6, 4)  # p(y | x)
    after = [(v[:, None] @ channel)[:, 0] for v in (p, q)]
    assert (f_divergence(name, *after) <= value + 1e-12).all()
    # Merging values whose ratio p/q is the same loses nothing.
    split = tables(g, 300, 6, 2)
    finer = [(v[..., None] * split).flatten(1) for v in (p, q)]
    assert torch.allclose(f_divergence(name, *finer), value, rtol=1e-10)


@pytest.mark.covers("S1-70")
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("kl", math.inf),
        ("reverse kl", math.inf),
        ("jeffreys", math.inf),
        ("pearson", math.inf),
        ("neyman", math.inf),
        ("total variation", 0.75),
        ("js", float(js(*HOLES))),
        ("gan", 2 * float(js(*HOLES)) - math.log(4)),
        ("squared hellinger", float(squared_hellinger(*HOLES))),
    ],
)
def test_f_divergences_with_zeros_have_their_limits(name, value):
    assert float(f_divergence(name, *HOLES)) == pytest.approx(value, rel=1e-12)
    one, many = double(1, 0), double(0.5, 0.5)
    assert float(f_divergence(name, many, one)) == pytest.approx(
        {"kl": math.inf, "jeffreys": math.inf, "pearson": math.inf}.get(
            name, float(NAMED[name](many, one)) if name != "reverse kl" else LOG2
        )
    )
    smallest = double(1e-310, 1 - 1e-310)
    assert not f_divergence(name, many, smallest).isnan()


@pytest.mark.proves("thm-f-variational")
@pytest.mark.covers("S1-70")
@pytest.mark.parametrize("name", F_DIVERGENCES)
def test_a_critic_bounds_the_divergence_and_the_best_reaches_it(name, g):
    divergence = F_DIVERGENCES[name]
    low, high = divergence.domain
    # f* is the supremum, here over a grid of u
    t = torch.linspace(-4, min(high, 3.0), 41, dtype=torch.float64)[:-1]
    u = torch.linspace(-18, 12, 300_001, dtype=torch.float64).exp()
    brute = torch.stack([(s * u - divergence.f(u)).max() for s in t])
    assert low == -math.inf
    assert torch.allclose(divergence.conjugate(t), brute, atol=1e-6)
    # slope is the derivative of f, and f'(infinity) the end of the domain
    v = double(0.1, 0.7, 1.9, 5.0).requires_grad_()
    (derivative,) = torch.autograd.grad(divergence.f(v).sum(), v)
    assert torch.allclose(divergence.slope(v), derivative)
    assert (
        float(divergence.slope(double(1e12))) == pytest.approx(high, abs=1e-5) or high == math.inf
    )
    # The bound, with exact expectations on six values
    p, q = tables(g, 2, 200, 6)
    exact = f_divergence(name, p, q)
    bound = lambda T: (p * T).sum(-1) - (q * divergence.conjugate(T)).sum(-1)
    best = divergence.slope(p / q)
    assert torch.allclose(bound(best), exact, rtol=1e-9, atol=1e-11)
    for size in (0.01, 0.3, 3.0):
        other = best + size * torch.randn(best.shape, dtype=torch.float64, generator=g)
        if high < math.inf:
            other = torch.minimum(other, torch.tensor(high - 1e-3).double())
        assert (bound(other) <= exact + 1e-9).all()
    # the gradient in the critic is p - q f*'(T), zero at the best critic
    T = best.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(bound(T).sum(), T)
    if name != "total variation":  # whose f has a corner
        assert float(gradient.abs().max()) < 1e-7


@pytest.mark.proves("thm-f-variational")
def test_the_sample_bound_is_unbiased_for_its_critic(g):
    p, q = normal(0, 1), normal(1, 1)
    T = lambda x: 1 + 0.5 - x  # 1 + log p/q, the best critic of KL
    bounds = []
    for _ in range(200):
        x = torch.randn(2, 500, dtype=torch.float64, generator=g)
        bounds.append(variational_bound("kl", T(x[0]), T(x[1] + 1)))
        gain, loss = variational_terms("kl", T(x[0]), T(x[1] + 1))
        assert gain.shape == loss.shape == (500,)
    laws.unbiased(torch.stack(bounds), float(kl(p, q)))


@pytest.mark.parametrize(
    ("name", "bad"),
    [
        ("js", 0.4),
        ("reverse kl", 0.0),
        ("total variation", 0.6),
        ("squared hellinger", 1.0),
        ("gan", 0.1),
        ("neyman", 1.1),
        ("kl", math.nan),
        ("pearson", math.inf),
    ],
)
def test_a_critic_outside_the_domain_is_refused(name, bad):
    good = -torch.ones(3)
    values = torch.tensor([-0.5, bad])
    with pytest.raises(ValueError, match=r"1 of 2 values of critic_q are .*domain\[1\]"):
        variational_bound(name, good, values)
    with pytest.raises(ValueError, match="Expected critic_p as a tensor"):
        variational_bound(name, good[:, None], good)


def test_your_own_f_divergence_and_a_name_that_is_none(g):
    p, q = tables(g, 2, 5)
    triangular = FDivergence(
        "triangular",
        f=lambda u: (u - 1) ** 2 / (u + 1),
        conjugate=lambda t: 2 + t - 4 * ((1 - t) ** 0.5) + 2,
        slope=lambda u: 1 - 4 / (u + 1) ** 2,
        domain=(-math.inf, 1.0),
    )
    assert float(f_divergence(triangular, p, q)) == pytest.approx(
        float(((p - q) ** 2 / (p + q)).sum())
    )
    assert float(f_divergence(triangular, *HOLES)) == pytest.approx(0.0625 / 0.75 + 0.5 + 0.75)
    with pytest.raises(ValueError, match="Expected an FDivergence or one of 'kl'"):
        f_divergence("hellinger", p, q)


# --- From draws --------------------------------------------------------------------------------


@pytest.mark.covers("S1-70")
@pytest.mark.parametrize("name", F_DIVERGENCES)
def test_estimates_are_unbiased_and_know_their_error(name, g):
    # Close enough that every integrand has a variance.
    p, q, t = normal(0, 1), normal(0.5, 1.1), line()
    u = (p.log_prob(t) - q.log_prob(t)).exp()
    truth = float(torch.trapezoid(q.log_prob(t).exp() * F_DIVERGENCES[name].f(u), t))
    runs = [estimate(name, p, q, 400, generator=g) for _ in range(200)]
    values = torch.tensor([e.value for e in runs], dtype=torch.float64)
    laws.unbiased(values, truth)
    errors = torch.tensor([e.standard_error for e in runs], dtype=torch.float64)
    assert float(errors.pow(2).mean().sqrt() / values.std()) == pytest.approx(1, abs=0.25)


def test_estimates_take_densities_of_the_lab_and_any_dimension(g):
    truth = TwoMoons(noise=0.2)
    near, far = (
        KDE("silverman").fit(truth.sample(2000, generator=g)),
        Gaussian().fit(truth.sample(2000, generator=g)),
    )
    gaps = [estimate("js", truth, q, 4000, generator=g) for q in (near, far)]
    assert gaps[0].value + 4 * gaps[0].standard_error < gaps[1].value < LOG2
    wide = [Independent(Normal(torch.full((800,), m), torch.ones(800)), 1) for m in (0.0, 2.0)]
    e = estimate("kl", *wide, 1000, generator=g)  # a ratio of e^1600: no exponential is taken
    assert abs(e.value - 1600) < 4 * e.standard_error
    assert estimate("js", *wide, 100, generator=g).value == pytest.approx(LOG2)


def test_estimates_depend_on_the_generator_alone_and_see_impossible_draws(g):
    p, q = Normal(0.0, 1.0), Laplace(0.0, 1.0)
    state = torch.get_rng_state()
    runs = [estimate("js", p, q, 50, generator=torch.Generator().manual_seed(1)) for _ in range(2)]
    assert runs[0] == runs[1]
    assert torch.equal(state, torch.get_rng_state())
    near, far = Exponential(1.0), Normal(0.0, 1.0)
    assert estimate("kl", far, near, 100, generator=g) == Estimate(math.inf, 0.0)
    assert math.isfinite(estimate("kl", near, far, 100, generator=g).value)
    assert estimate("total variation", far, near, 100, generator=g).value < 1
    with pytest.raises(ValueError, match="n >= 2 draws"):
        estimate("js", p, q, 1, generator=g)
    with pytest.raises(ValueError, match=r"shape \(10,\), got \(10, 3\).*Independent"):
        estimate("js", Normal(torch.zeros(3), 1.0), Normal(torch.zeros(3), 2.0), 10, generator=g)


@pytest.mark.proves("prop-ratio")
@pytest.mark.covers("S1-65")
def test_the_best_classifier_is_p_over_p_plus_q(g):
    p, q = tables(g, 2, 300, 6)
    best = optimal_discriminator(p.log(), q.log())
    assert torch.allclose(best, p / (p + q), atol=1e-14)
    loss = lambda D: -(p * D.log() + q * (-D).log1p()).sum(-1)
    assert torch.allclose(loss(best), 2 * LOG2 - 2 * js(p, q), atol=1e-12)
    for size in (0.01, 0.5):
        noise = size * torch.randn(best.shape, dtype=torch.float64, generator=g)
        assert (loss((best.logit() + noise).sigmoid()) >= loss(best)).all()
    assert torch.allclose(best.logit(), p.log() - q.log(), atol=1e-12)
    with pytest.raises(ValueError, match="1 points where no ratio exists"):
        optimal_discriminator(double(-math.inf, 0), double(-math.inf, 0))


@pytest.mark.covers("S1-65")
def test_kl_without_access_to_p_from_a_trained_classifier(g):
    draw = lambda n, mean: mean + torch.randn(n, dtype=torch.float64, generator=g)
    # The classes differ in size, and the affine logit is exact here: log p/q = x - 1/2.
    log_ratio = train_ratio(
        draw(60_000, 1.0), draw(30_000, 0.0), hidden=(), steps=3000, generator=g
    )
    x = double(-1.0, 0.5, 2.0)
    assert torch.allclose(log_ratio(x), x - 0.5, atol=0.1)
    e = kl_from_ratio(log_ratio, draw(1000, 1.0))
    assert abs(e.value - 0.5) < 4 * e.standard_error
    curved = train_ratio(
        draw(20_000, 0.0), 2 * draw(20_000, 0.0), hidden=(32,), steps=1500, generator=g
    )
    e = kl_from_ratio(curved, draw(500, 0.0))
    assert abs(e.value - float(kl(normal(0, 1), normal(0, 2)))) < 4 * e.standard_error


# --- On a grid ---------------------------------------------------------------------------------


def test_a_grid_knows_the_closed_forms_of_two_normal_laws():
    p, q, t = normal(-0.5, 1), normal(1.2, 0.7), line(1601, 12.0)
    values = on_grid(p.log_prob(t), q.log_prob(t), t)
    assert float(values["kl"]) == pytest.approx(float(kl(p, q)), abs=1e-9)
    assert float(values["reverse_kl"]) == pytest.approx(float(kl(q, p)), abs=1e-9)
    assert float(values["tv"]) == pytest.approx(float(total_variation(p, q)), abs=1e-4)
    quantile = (torch.arange(200_000, dtype=torch.float64) + 0.5) / 200_000
    w1 = (p.icdf(quantile) - q.icdf(quantile)).abs().mean()
    assert float(values["w1"]) == pytest.approx(float(w1), abs=1e-4)
    shapes = {
        name: tuple(curve.shape)
        for name, curve in integrands(p.log_prob(t), q.log_prob(t), t).items()
    }
    assert shapes == dict.fromkeys(("kl", "reverse_kl", "tv", "js", "w1"), (1601,))


def test_far_apart_js_is_flat_and_w1_keeps_its_slope():
    t = line(8001, 40.0)
    p = normal(0, 1).log_prob(t)
    mean = double(30.0)[0].requires_grad_()
    values = on_grid(p, Normal(mean, 1.0).log_prob(t), t)
    slopes = {
        name: float(torch.autograd.grad(v, mean, retain_graph=True)[0])
        for name, v in values.items()
    }
    assert values["js"].item() == pytest.approx(LOG2, abs=1e-12)
    assert abs(slopes["js"]) < 1e-15
    assert slopes["w1"] == pytest.approx(1, abs=1e-9)
    assert slopes["kl"] == pytest.approx(30, abs=1e-6)


@pytest.mark.parametrize(
    ("t", "message"),
    [
        (line(401, 12.0).flip(0), "ascending"),
        (line(401, 1.0), "has mass 0.68"),
        (line(401, 12.0)[:-1], "of one shape"),
    ],
)
def test_a_bad_grid_is_refused(t, message):
    log_p = normal(0, 1).log_prob(t if len(t) == 401 else line(401, 12.0))
    with pytest.raises(ValueError, match=message):
        on_grid(log_p, log_p, t)


# --- Transport ---------------------------------------------------------------------------------


@pytest.mark.proves("thm-wasserstein-1d")
@pytest.mark.parametrize("order", [1, 1.5, 2, 3])
def test_sorting_is_the_best_coupling_on_the_line(order, g):
    permutations = torch.tensor(list(itertools.permutations(range(6))))
    for x, y in torch.randn(20, 2, 6, dtype=torch.float64, generator=g):
        best = (x - y[permutations]).abs().pow(order).mean(1).min() ** (1 / order)
        assert float(wasserstein_1d(x, y, order=order)) == pytest.approx(float(best), rel=1e-12)
    x, y = torch.randn(7, dtype=torch.float64, generator=g), torch.rand(4, generator=g).double()
    a, b = tables(g, 7), tables(g, 4)
    a[2] = 0
    a = a / a.sum()
    cost = (x[:, None] - y).abs() ** order
    exact = float(transport(a, b, cost).cost) ** (1 / order)
    got = wasserstein_1d(x, y, order=order, weights_x=a, weights_y=b)
    assert float(got) == pytest.approx(exact, rel=1e-9)


@pytest.mark.proves("thm-wasserstein-1d")
def test_w1_is_the_area_between_the_distribution_functions(g):
    for n, m in ((50, 50), (50, 75), (1, 9)):
        x, y = torch.randn(n, dtype=torch.float64, generator=g), torch.rand(m, generator=g).double()
        x[0] = x[-1]  # ties
        at = torch.cat([x, y]).sort().values
        F, G = ((v[:, None] <= at[:-1]).double().mean(0) for v in (x, y))
        area = float(((F - G).abs() * at.diff()).sum())
        assert float(wasserstein_1d(x, y)) == pytest.approx(area, abs=1e-12)
        assert area == pytest.approx(wasserstein_distance(x.numpy(), y.numpy()), abs=1e-9)
    x, y = torch.randn(2, 20, dtype=torch.float64, generator=g)
    x.requires_grad_()
    (gradient,) = torch.autograd.grad(wasserstein_1d(x, y + 100), x)
    assert torch.allclose(gradient, torch.full_like(x, -1 / 20))
    assert wasserstein_1d(torch.tensor([0, 2]), torch.tensor([1, 1])).dtype == torch.float64
    assert wasserstein_1d(torch.zeros(2), torch.ones(3)).dtype == torch.float32


@pytest.mark.proves("thm-kantorovich")
@pytest.mark.parametrize(("n", "m"), [(5, 5), (4, 7), (40, 40), (30, 20)])
def test_cheapest_plan_and_best_prices_have_the_same_value(n, m, g):
    x, y = torch.randn(n, 2, generator=g).double(), torch.randn(m, 2, generator=g).double()
    cost = torch.cdist(x, y) ** 2
    uniform = [torch.full((k,), 1 / k, dtype=torch.float64) for k in (n, m)]
    for a, b in (uniform, (tables(g, n), tables(g, m))):
        found = transport(a, b, cost)
        f, g_ = found.potentials
        assert (found.plan >= 0).all()
        assert torch.allclose(found.plan.sum(1), a, atol=1e-12)
        assert torch.allclose(found.plan.sum(0), b, atol=1e-12)
        # Any prices below the cost earn at most what any plan costs: both must be optimal.
        assert float((f[:, None] + g_ - cost).max()) <= 1e-9
        assert float(a @ f + b @ g_) == pytest.approx(float(found.cost), abs=1e-9)
        peer = ot.emd2(a.numpy(), b.numpy(), cost.numpy())
        assert float(found.cost) == pytest.approx(float(peer), abs=1e-9)
    if n == m == 5:
        permutations = torch.tensor(list(itertools.permutations(range(5))))
        each = cost[torch.arange(5), permutations].mean(1)
        assert float(transport(*uniform, cost).cost) == pytest.approx(float(each.min()), rel=1e-12)


@pytest.mark.proves("thm-kantorovich")
def test_for_a_distance_the_prices_are_a_lipschitz_function(g):
    x = torch.randn(12, 2, dtype=torch.float64, generator=g)
    a, b = tables(g, 2, 12)
    distance = torch.cdist(x, x)
    found = transport(a, b, distance)
    # f(x) = min_j d(x, x_j) - g_j is 1-Lipschitz, and E_p f - E_q f reaches the cost.
    f = (distance - found.potentials[1]).amin(1)
    assert ((f[:, None] - f) <= distance + 1e-12).all()
    assert float((a - b) @ f) == pytest.approx(float(found.cost), abs=1e-9)


@pytest.mark.parametrize("factor", [1e-30, 1.0, 1e32])
def test_transport_costs_of_any_size(factor, g):
    a, b, cost = tables(g, 6), tables(g, 5), torch.rand(6, 5, dtype=torch.float64, generator=g)
    exact = ot.emd2(a.numpy(), b.numpy(), cost.numpy())
    assert float(transport(a, b, factor * cost).cost) / factor == pytest.approx(exact, rel=1e-9)


@pytest.mark.proves("prop-sinkhorn")
@pytest.mark.parametrize("epsilon", [0.05, 0.5, 5.0])
def test_the_entropic_optimum_is_a_scaled_kernel_and_no_plan_is_better(epsilon, g):
    a, b = tables(g, 7), tables(g, 5)
    cost = torch.rand(7, 5, dtype=torch.float64, generator=g)
    found = sinkhorn(a, b, cost, epsilon=epsilon, tol=1e-12)
    P, (f, g_) = found.plan, found.potentials
    form = a[:, None] * b * ((f[:, None] + g_ - cost) / epsilon).exp()
    assert torch.allclose(P, form, atol=1e-12)
    assert torch.allclose(P.sum(1), a, atol=1e-14)
    assert torch.allclose(P.sum(0), b, atol=1e-14)
    objective = lambda P: (P * cost).sum() + epsilon * kl(P.flatten(), (a[:, None] * b).flatten())
    least = float(objective(P))
    assert least == pytest.approx(float(a @ f + b @ g_), abs=1e-9)  # the dual value
    for _ in range(50):  # move mass round a random cycle of four entries
        i, j = torch.randperm(7, generator=g)[:2], torch.randperm(5, generator=g)[:2]
        size = 0.5 * float(torch.minimum(P[i[0], j[0]], P[i[1], j[1]]))
        moved = P.clone()
        moved[i, j] -= size
        moved[i, j.flip(0)] += size
        assert float(objective(moved)) >= least


@pytest.mark.proves("prop-sinkhorn")
def test_entropic_cost_falls_to_the_exact_one_from_above(g):
    a, b = tables(g, 20), tables(g, 15)
    cost = torch.cdist(*torch.randn(2, 20, 2, dtype=torch.float64, generator=g))[:, :15]
    exact = transport(a, b, cost)
    product = float((a[:, None] * b * cost).sum())
    costs = [
        float(sinkhorn(a, b, cost, epsilon=e, tol=1e-7, max_iterations=200_000).cost)
        for e in (1000.0, 1.0, 0.1, 0.01)
    ]
    assert costs[0] == pytest.approx(product, rel=1e-2)
    assert costs == sorted(costs, reverse=True)
    assert 0 <= costs[-1] - float(exact.cost) < 0.01 * math.log(20)


def test_sinkhorn_equals_its_peer_and_never_answers_below_the_optimum(g):
    n = 60
    x, y = torch.randn(2, n, 2, dtype=torch.float64, generator=g)
    cost, a = torch.cdist(x, y) ** 2, torch.full((n,), 1 / n, dtype=torch.float64)
    P = ot.bregman.sinkhorn_log(a.numpy(), a.numpy(), cost.numpy(), 0.5, stopThr=1e-12)
    assert np.allclose(P, sinkhorn(a, a, cost, epsilon=0.5).plan, atol=1e-9)
    exact = float(transport(a, a, cost).cost)
    for tol in (0.5, 1e-2, 1e-5):  # loose, but on the marginals all the same
        found = sinkhorn(a, a, cost, epsilon=0.1, tol=tol)
        assert torch.allclose(found.plan.sum(0), a, atol=1e-14)
        assert torch.allclose(found.plan.sum(1), a, atol=1e-14)
        assert float(found.cost) >= exact - 1e-12
    with pytest.raises(NotConverged, match=r"rows miss their sums by .* larger epsilon"):
        sinkhorn(a, a, cost, epsilon=1e-4, max_iterations=300)


@pytest.mark.proves("prop-sinkhorn")
def test_sinkhorn_converges_where_the_scalings_alone_would_overflow(g):
    a, b = tables(g, 2, 8)
    x, y = torch.rand(2, 8, 2, dtype=torch.float64, generator=g)
    cost = torch.cdist(x, y + 1) ** 2
    found = sinkhorn(a, b, cost, epsilon=3e-4, tol=1e-6, max_iterations=30_000)
    exact = float(transport(a, b, cost).cost)
    assert exact - 1e-12 <= float(found.cost) <= exact + 3e-4 * math.log(8) + 1e-5


def test_sinkhorn_with_costs_that_under_and_overflow(g):
    a, b = tables(g, 6), tables(g, 6)
    a[1] = 0
    a = a / a.sum()
    cost = 1e4 * torch.eye(6, dtype=torch.float64) - 3e4
    found = sinkhorn(a, b, cost, epsilon=1.0, tol=1e-10, max_iterations=100_000)
    assert (found.plan >= 0).all()
    assert found.plan[1].abs().max() == 0
    assert torch.allclose(found.plan.sum(0), b, atol=1e-12)
    assert float(found.cost) >= float(transport(a, b, cost).cost) - 1e-7


@pytest.mark.proves("prop-w2-normal")
@pytest.mark.parametrize("d", [1, 2, 5])
def test_w2_of_normal_laws_is_reached_by_a_linear_map_and_by_nothing_less(d, g):
    for _ in range(5):
        A, B = torch.randn(2, d, d, dtype=torch.float64, generator=g)
        p, q = A @ A.T, B @ B.T
        mean = torch.randn(d, dtype=torch.float64, generator=g)
        got = float(wasserstein2_normal(torch.zeros(d).double(), p, mean, q)) ** 2
        value, vector = torch.linalg.eigh(p)
        root, inverse = ((vector * value**e) @ vector.T for e in (0.5, -0.5))
        value, vector = torch.linalg.eigh(root @ q @ root)
        T = inverse @ (vector * value.clamp_min(0).sqrt() @ vector.T) @ inverse
        assert torch.allclose(T @ p @ T, q, atol=1e-6 * float(q.abs().max()))  # T carries p to q
        paid = float(mean @ mean + torch.trace(p + q - 2 * T @ p))
        assert got == pytest.approx(paid, rel=1e-6)
        # Any coupling has a cross-covariance p^1/2 R (q^1/2)^T with a contraction R.
        for R in torch.linalg.qr(torch.randn(200, d, d, dtype=torch.float64, generator=g))[0]:
            cross = float(torch.trace(root @ R @ torch.linalg.cholesky(q).T))
            assert float(mean @ mean + torch.trace(p + q)) - 2 * cross >= got - 1e-9
        peer = ot.gaussian.bures_wasserstein_distance(
            np.zeros(d), mean.numpy(), p.numpy(), q.numpy()
        )
        assert got**0.5 == pytest.approx(float(peer), rel=1e-6)


@pytest.mark.proves("prop-w2-normal")
def test_w2_on_the_line_is_the_distance_of_mean_and_deviation():
    got = float(wasserstein2_normal(*double(0.3, 4.0, 1.5, 0.25)))
    assert got == pytest.approx(math.hypot(1.2, 1.5), rel=1e-12)
    z = torch.special.ndtri((torch.arange(400_000, dtype=torch.float64) + 0.5) / 400_000)
    assert float(wasserstein_1d(0.3 + 2 * z, 1.5 + 0.5 * z, order=2)) == pytest.approx(
        got, abs=1e-4
    )
    flat = double([1.0, 1.0], [1.0, 1.0])  # singular, and equal: no digits are lost
    assert float(wasserstein2_normal(double(1, 2), flat, double(1, 2), flat)) < 1e-14


# --- What is refused ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("p", "q", "message"),
    [
        ([0.5, 0.6], [0.5, 0.5], "sum to one"),
        ([-0.5, 1.5], [0.5, 0.5], "1 that are negative or NaN"),
        ([math.nan, 1.0], [0.5, 0.5], "1 that are negative or NaN"),
        ([1.0], [0.5, 0.5], "of one shape"),
        ([[0.5, 0.5]], [0.5, 0.5], "of one shape"),
        ([], [], "of one shape"),
        (1.0, 1.0, "of one shape"),
    ],
)
@pytest.mark.parametrize("of", [kl, total_variation, js, jeffreys, squared_hellinger, scheffe])
def test_what_is_no_probability_is_refused(of, p, q, message):
    with pytest.raises(ValueError, match=message):
        of(torch.tensor(p), torch.tensor(q))


def test_tables_keep_their_dtype_and_whole_numbers_become_double():
    p, q = torch.tensor([0.25, 0.75]), torch.tensor([0.5, 0.5])
    for of in (kl, total_variation, js, jeffreys, squared_hellinger, cross_entropy):
        assert of(p, q).dtype == torch.float32
        assert of(p, q.double()).dtype == torch.float64
        assert of(torch.tensor([1, 0]), torch.tensor([1, 0])) == 0
        assert of(torch.tensor([1, 0]), torch.tensor([1, 0])).dtype == torch.float64


def test_events_are_listed_up_to_twenty_values(g):
    p, q = tables(g, 2, 20)
    assert float(scheffe(p, q)[0]) == pytest.approx(float(total_variation(p, q)), abs=1e-12)
    with pytest.raises(ValueError, match="m <= 20"):
        testing_error(*tables(g, 2, 21))
    with pytest.raises(ValueError, match="m <= 20"):
        scheffe(*tables(g, 2, 3, 4))


@pytest.mark.parametrize("of", [kl, total_variation, js, squared_hellinger, jeffreys])
def test_laws_on_few_values_may_be_distributions(of, g):
    p, q = tables(g, 2, 5, 3)
    assert torch.allclose(of(Categorical(p), Categorical(q)), of(p, q), atol=1e-14)
    assert torch.allclose(of(Categorical(logits=p.log()), Categorical(q)), of(p, q), atol=1e-12)
    both = [torch.stack([1 - v[:, 0], v[:, 0]], -1) for v in (p, q)]
    coins = [Bernoulli(p[:, 0]), Bernoulli(logits=q[:, 0].logit())]
    assert torch.allclose(of(*coins), of(*both), atol=1e-12)


def test_tiny_probabilities_are_not_clamped():
    # torch clamps the logarithm of a probability at that of its epsilon.
    p, q = Bernoulli(double(0.5)), Bernoulli(double(1e-30))
    assert float(kl(p, q)) == pytest.approx(0.5 * math.log(0.5e30) + 0.5 * math.log(0.5))
    far = Categorical(logits=double(0.0, -900.0))
    assert float(kl(Categorical(double(0.5, 0.5)), far)) == pytest.approx(450 - LOG2)
    assert kl(Categorical(double(1, 0)), Categorical(double(0, 1))) == math.inf
    assert kl(far, Categorical(double(1, 0))) == math.inf  # e^-900 is 0 in floats, not in KL


def test_a_law_that_has_been_evaluated_is_the_same_law():
    # Evaluation leaves the clamped logarithms behind as an attribute.
    for q in (Bernoulli(double(1e-30)), Categorical(double(1 - 1e-30, 1e-30))):
        half = type(q)(torch.full_like(q.probs, 0.5))
        before = kl(half, q)
        q.log_prob(double(1.0)[0])
        assert kl(half, q) == before > 30


def test_your_own_divergence_is_itself_whatever_its_name(g):
    p, q, state = normal(0, 1), normal(0.5, 1), g.get_state()
    own = dataclasses.replace(F_DIVERGENCES["pearson"], name="kl")
    got = estimate(own, p, q, 100, generator=g)
    assert got == estimate("pearson", p, q, 100, generator=g.set_state(state))


def test_impossible_values_have_no_part_in_the_gradient():
    log_p = double(0.5, 0.5, 0).log().requires_grad_()
    (slope,) = torch.autograd.grad(kl_terms(log_p, double(0.25, 0.25, 0.5).log()).sum(), log_p)
    assert torch.allclose(slope, double(0.5, 0.5, 0) * (1 + LOG2))


def test_powers_of_large_distances_do_not_overflow():
    x, y = torch.tensor([0.0, 1e20]), torch.tensor([0.0, 3e20])
    for far in (y, torch.cat([y, y])):
        assert wasserstein_1d(x, far, order=2).dtype == torch.float32
        assert float(wasserstein_1d(x, far, order=2)) == pytest.approx(2**0.5 * 1e20)
    assert float(wasserstein_1d(double(0), double(1e5), order=100)) == pytest.approx(1e5)
    assert wasserstein_1d(x, x, order=2) == 0


def test_nothing_broadcasts_and_no_nan_is_passed_on():
    def column(x):
        return two_modes(1.0)(x)[:, None]

    def half(x):
        return torch.where(x > 0, -x, -math.inf)

    t = line(101)
    for of in (gaussian_reverse_kl, reverse_kl_gradient):
        with pytest.raises(ValueError, match="one value for each of 401 points"):
            of(column, *double(0, 1))
        with pytest.raises(ValueError, match="finite mean"):
            of(two_modes(1.0), *double(math.nan, 1))
    with pytest.raises(ValueError, match="not finite"):
        reverse_kl_gradient(half, *double(0, 1))
    with pytest.raises(ValueError, match="on the line"):
        reverse_kl_gradient(two_modes(1.0), torch.zeros(2), torch.eye(2))
    with pytest.raises(ValueError, match="d <= 3"):
        fit_gaussian(lambda x: -x.square().sum(1), torch.rand(9, 4), torch.ones(9))
    plane = torch.zeros(2), torch.eye(2)
    with pytest.raises(ValueError, match=r"a mean of shape \(\) to start from"):
        fit_gaussian(two_modes(1.0), t, torch.ones_like(t), direction="reverse", start=plane)
    with pytest.raises(ValueError, match="NaN or infinite"):
        wasserstein2_normal(*double(math.nan, 1, 0, 1))
    with pytest.raises(ValueError, match="both"):
        kl_from_ratio(lambda x: double(math.inf, -math.inf), torch.zeros(2))
    with pytest.raises(ValueError, match=r"shapes \(3,\) and \(2,\)"):
        optimal_discriminator(torch.zeros(3), torch.zeros(2))
    with pytest.raises(ValueError, match="floating point"):
        variational_bound("kl", torch.tensor([1]), torch.tensor([1]))
    with pytest.raises(TypeError, match="got a NoneType"):
        entropy(None)


def test_kolmogorov_takes_whole_numbers_and_refuses_what_is_no_cdf():
    half, signs = double(0.5, 0.5), torch.tensor([-1, 1])
    got = kolmogorov(signs, half, torch.special.ndtr)
    assert got == kolmogorov(signs.double(), half, torch.special.ndtr)
    assert got.dtype == torch.float64
    with pytest.raises(ValueError, match="ascending order"):
        kolmogorov(double(math.nan), double(1), torch.special.ndtr)
    with pytest.raises(ValueError, match="between 0 and 1"):
        kolmogorov(signs, half, lambda t: 2 * t)


def test_what_has_no_closed_form_says_what_to_do_instead():
    for of in (js, total_variation, squared_hellinger):
        with pytest.raises(NotImplementedError, match=r"Draw.*estimate.*on_grid"):
            of(normal(0, 1), Laplace(*double(0, 1)))
    with pytest.raises(NotImplementedError, match=r"kl.*estimate.*on_grid"):
        kl(Laplace(*double(0, 1)), Cauchy(*double(0, 1)))
    assert float(kl(Exponential(1.0), Exponential(2.0))) == pytest.approx(1 - LOG2, abs=1e-6)
    with pytest.raises(ValueError, match="NaN for 1 of 1 pairs"):
        kl(Poisson(double(0.0)), Poisson(double(1.0)))
    with pytest.raises(TypeError, match="Expected two probability tables or two distributions"):
        kl(normal(0, 1), double(0.5, 0.5))
    with pytest.raises(ValueError, match="of one shape"):
        kl(normal(0, 1), Normal(torch.zeros(3), torch.ones(3)))
    with pytest.raises(NotImplementedError, match="entropy"):
        entropy(Distribution(validate_args=False))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": torch.zeros(3, 1)}, "on the line"),
        ({"x": torch.zeros(0)}, "on the line"),
        ({"x": torch.tensor([math.nan])}, "1 of 1 values of x"),
        ({"order": 0.5}, "order >= 1"),
        ({"weights_x": torch.tensor([0.5, 0.5])}, "weights_x of shape"),
        ({"weights_y": torch.tensor([0.5, 0.4])}, "sum to one"),
    ],
)
def test_wasserstein_refuses(change, message):
    with pytest.raises(ValueError, match=message):
        wasserstein_1d(**{"x": torch.zeros(3), "y": torch.ones(2)} | change)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"cost": torch.zeros(3, 2)}, r"a \(n,\), b \(m,\) and a cost"),
        ({"cost": torch.full((2, 3), math.inf)}, "6 costs are NaN or infinite"),
        ({"a": torch.tensor([0.5, 0.6])}, "sum to one"),
    ],
)
def test_transport_refuses(change, message):
    problem = {"a": torch.ones(2) / 2, "b": torch.ones(3) / 3, "cost": torch.zeros(2, 3)} | change
    for solver in (transport, lambda **p: sinkhorn(**p, epsilon=1.0)):
        with pytest.raises(ValueError, match=message):
            solver(**problem)


def test_fits_and_plans_refuse_arguments_out_of_range(g):
    t, half = line(101), torch.ones(2) / 2
    with pytest.raises(ValueError, match='"forward" or "reverse"'):
        fit_gaussian(two_modes(1.0), t, t, direction="both")
    with pytest.raises(ValueError, match="Expected nodes of shape"):
        fit_gaussian(two_modes(1.0), t, t[:-1])
    with pytest.raises(ValueError, match="no mass, or no width"):
        fit_gaussian(normal(0.03, 1e-4).log_prob, t, torch.ones_like(t))
    with pytest.raises(ValueError, match="standard deviation > 0"):
        gaussian_reverse_kl(two_modes(1.0), *double(0, -1))
    with pytest.raises(ValueError, match=r"at low = 2\.9"):
        switching_point(2.9, 3.0)
    for change in ({"epsilon": 0.0}, {"epsilon": 1.0, "tol": -1.0}):
        with pytest.raises(ValueError, match="epsilon > 0 and tol > 0"):
            sinkhorn(half, half, torch.zeros(2, 2), **change)
    with pytest.raises(ValueError, match="Expected means"):
        wasserstein2_normal(*double(0, 1), double(1, 2), double(1)[0])
    with pytest.raises(ValueError, match="smallest eigenvalue of -1"):
        wasserstein2_normal(*double(0, 1, 0, -1))
    with pytest.raises(ValueError, match="same dimension"):
        train_ratio(torch.zeros(5, 2), torch.zeros(5, 3))
    with pytest.raises(ValueError, match="two draws or more"):
        kl_from_ratio(lambda x: x, torch.zeros(1))
