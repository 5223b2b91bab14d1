"""Chapter 05: the theorems of variational inference, each as a test."""

import itertools
import math

import numpy as np
import pytest
import torch
from conftest import slope
from torch.distributions import (
    Bernoulli,
    Categorical,
    Independent,
    MultivariateNormal,
    Normal,
    Uniform,
    kl_divergence,
)

from genlab import laws
from genlab.divergences import kl
from genlab.em import GaussianMixture, LatentVariableModel, decompose, posterior
from genlab.variational import (
    HelmholtzMachine,
    coordinate_ascent,
    draw,
    elbo,
    elbo_forms,
    elbo_surgery,
    gap,
    importance_bound,
    log_weights,
    margins,
    mean_field,
    monte_carlo_em,
    naive_evidence,
    optimal_baseline,
    reparameterised_gradient,
    score_gradient,
    sine_variances,
    sleep,
    square_variances,
    variational_e_step,
    variational_m_step,
    wake,
)

DOUBLE = torch.float64


def randn(*shape: int, g: torch.Generator) -> torch.Tensor:
    return torch.randn(shape, dtype=DOUBLE, generator=g)


def dirichlet(*shape: int, g: torch.Generator) -> torch.Tensor:
    """Uniform on the simplex, over the last axis."""
    e = -torch.rand(shape, dtype=DOUBLE, generator=g).clamp_min(1e-12).log()
    return e / e.sum(-1, keepdim=True)


def numbers(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=DOUBLE)


def linear_gaussian(x):
    """z ~ N(0, 1), x | z ~ N(z, 1): log p(x, z) as a function, log p(x), and the posterior."""
    prior = Normal(numbers(0.0)[0], 1.0)
    log_joint = lambda z: prior.log_prob(z) + Normal(z, 1.0).log_prob(x)
    return log_joint, Normal(numbers(0.0)[0], 2**0.5).log_prob(x), Normal(x / 2, 0.5**0.5)


# --- Bounds ------------------------------------------------------------------------------------


@pytest.mark.proves("thm-elbo-forms")
@pytest.mark.covers("S0-44", "S4-16")
def test_every_line_of_the_derivation_has_the_same_value(g):
    likelihood, prior = dirichlet(1000, 6, g=g).log() - 2, dirichlet(1000, 6, g=g)
    q = dirichlet(1000, 6, g=g)
    forms = elbo_forms(likelihood, prior, q)
    by_hand = (q * (likelihood + prior.log() - q.log())).sum(1)
    for line in forms:
        assert (line - by_hand).abs().max() < 1e-10
    laws.bounds_from_below(by_hand, (likelihood + prior.log()).logsumexp(1))
    # The last line is an equality with the evidence where q is the posterior.
    at_posterior = elbo_forms(likelihood, prior, posterior(likelihood + prior.log()))
    log_p = (likelihood + prior.log()).logsumexp(1)
    laws.bounds_from_below(at_posterior.regularised, log_p, touching=True, tolerance=1e-10)


@pytest.mark.proves("thm-elbo-forms")
def test_the_forms_agree_where_q_or_the_likelihood_is_zero():
    likelihood, prior = numbers(0.5, 0.2, 0.0).log(), numbers(0.25, 0.5, 0.25)
    inside = elbo_forms(likelihood, prior, numbers(0.4, 0.6, 0.0))
    expected = 0.4 * math.log(0.125 / 0.4) + 0.6 * math.log(0.1 / 0.6)
    assert [float(line) for line in inside] == pytest.approx([expected] * 6, abs=1e-14)
    outside = elbo_forms(likelihood, prior, numbers(0.4, 0.0, 0.6))
    assert [float(line) for line in outside] == [-math.inf] * 6


@pytest.mark.covers("S0-25", "S0-26", "S0-27")
def test_the_gap_is_the_divergence_from_the_posterior(g):
    log_joint, q = dirichlet(500, 5, g=g).log() - 1, dirichlet(500, 5, g=g)
    best = posterior(log_joint)
    assert (gap(log_joint, q) - kl(q, best)).abs().max() < 1e-10
    assert (gap(log_joint, q) - decompose(log_joint, q).kl).abs().max() < 1e-10
    assert gap(log_joint, q).min() > 1e-6
    assert gap(log_joint, best).abs().max() < 1e-12


@pytest.mark.covers("E25", "S4-16")
def test_with_plus_kl_the_bound_is_none_for_most_q():
    rng = np.random.default_rng(0)
    rng.dirichlet(np.ones(6), size=2)
    prior, rows, q = (rng.dirichlet(np.ones(k), size=s) for k, s in ((5, None), (4, 5), (5, None)))
    prior, likelihood = torch.from_numpy(prior), torch.from_numpy(rows[:, 2]).log()
    log_p = float((prior.log() + likelihood).logsumexp(0))
    assert log_p == pytest.approx(-0.871498, abs=1e-6)
    q = torch.from_numpy(q)
    right = float(elbo_forms(likelihood, prior, q).regularised)
    assert right == pytest.approx(-2.265342, abs=1e-6)
    assert right + 2 * float(kl(q, prior)) == pytest.approx(0.176114, abs=1e-6)
    many = torch.from_numpy(rng.dirichlet(0.3 * np.ones(5), size=20_000)).clamp_min(1e-300)
    right = elbo_forms(likelihood, prior, many).regularised
    printed = (many * likelihood).sum(1) + kl(many, prior.expand_as(many))
    assert int((printed > log_p).sum()) == 18_337
    assert int((right > log_p).sum()) == 0


@pytest.mark.covers("E26")
def test_with_the_joint_in_front_of_the_kl_the_prior_counts_twice(g):
    likelihood, prior = dirichlet(5, g=g).log(), dirichlet(5, g=g)
    value = lambda q: (q * (likelihood + prior.log())).sum(-1) - kl(q, prior.expand_as(q))
    q = dirichlet(4000, 5, g=g)
    forms = elbo_forms(likelihood, prior, q)
    assert torch.allclose(value(q), forms.regularised + (q * prior.log()).sum(1), atol=1e-12)
    twice = (likelihood + 2 * prior.log()).softmax(0)
    assert (value(q) <= value(twice) + 1e-12).all()  # its best q is no posterior
    assert value(twice) - value(posterior(likelihood + prior.log())) > 1e-3


@pytest.mark.covers("S0-47")
def test_one_draw_of_the_bound_is_unbiased_and_may_lie_above(g):
    x = numbers(0.7)
    log_joint, log_p, exact = linear_gaussian(x)
    q = Normal(numbers(0.0), 0.9)
    # log p(x) - KL(q ‖ posterior), the reference that needs no draw.
    truth = float(log_p - kl(q, exact))
    draws = log_weights(log_joint, q, 20_000, generator=g)[:, 0]
    laws.unbiased(draws, truth)
    laws.unbiased(torch.cat([elbo(log_joint, q, 50, generator=g) for _ in range(200)]), truth)
    assert truth < log_p
    assert (draws > log_p).double().mean() > 0.2


@pytest.mark.covers("S0-25", "S0-26")
def test_the_bound_is_exact_at_the_posterior_with_one_draw(g):
    x = randn(40, g=g)
    log_joint, log_p, exact = linear_gaussian(x)
    value = elbo(log_joint, exact, 1, generator=g)
    laws.bounds_from_below(value, log_p, touching=True, tolerance=1e-12)


def test_an_estimator_draws_exactly_as_many_as_it_is_asked_for(g):
    seen = []

    def log_joint(z):
        seen.append(tuple(z.shape))
        return -z.square().sum(-1)

    q = Independent(Normal(torch.zeros(3, 2), 1.0), 1)
    assert elbo(log_joint, q, 7, generator=g).shape == (3,)
    assert log_weights(log_joint, q, 5, generator=g).shape == (5, 3)
    assert naive_evidence(log_joint, Independent(Normal(torch.zeros(2), 1.0), 1), 4).shape == ()
    assert seen == [(7, 3, 2), (5, 3, 2), (4, 2)]


def test_the_generator_alone_decides_the_draws_and_the_global_one_is_left(g):
    q = Normal(torch.zeros(3), 1.0)
    state, outside = g.get_state(), torch.get_rng_state()
    first = draw(q, 4, generator=g)
    g.set_state(state)
    assert torch.equal(first, draw(q, 4, generator=g))
    assert not torch.equal(first, draw(q, 4, generator=g))
    assert torch.equal(outside, torch.get_rng_state())


def test_draws_carry_a_gradient_where_they_can(g):
    mean = torch.zeros(3, requires_grad=True)
    draw(Normal(mean, 1.0), 4, generator=g).sum().backward()
    assert mean.grad.tolist() == [4.0, 4.0, 4.0]
    logits = torch.zeros(3, requires_grad=True)
    assert not draw(Categorical(logits=logits), 4, generator=g).requires_grad


@pytest.mark.covers("S3-14")
def test_on_small_images_the_chain_rule_is_exact_and_the_bound_is_not(g):
    # Images of 3 by 3 bits under a mixture of eight codes, all 512 of them enumerated.
    images = torch.cartesian_prod(*[numbers(0, 1)] * 9)
    probs = torch.rand(8, 9, dtype=DOUBLE, generator=g)
    model = LatentVariableModel(
        Categorical(dirichlet(8, g=g)), lambda z: Independent(Bernoulli(probs[z]), 1)
    )
    laws.sums_to_one(model, images)
    log_p = model.log_prob(images)
    # Pixel by pixel, p(x_i | x_<i) = p(x_1..i) / p(x_1..i-1): no code is left, and no gap.
    table, chain = log_p.exp().reshape([2] * 9), torch.zeros(512, dtype=DOUBLE)
    for i in range(9):
        before = table.sum(dim=tuple(range(i, 9))) if i else table.sum()
        after = table.sum(dim=tuple(range(i + 1, 9))) if i < 8 else table
        bits = images.long().T
        chain += after[tuple(bits[: i + 1])].log() - before[tuple(bits[:i])].log()
    assert torch.allclose(chain, log_p, atol=1e-10)
    # A linear encoder is not the posterior, unless by chance: the bound pays KL(q ‖ posterior).
    q = (images @ randn(9, 8, g=g)).softmax(1)
    bound = decompose(model.log_joint(images), q).elbo
    laws.bounds_from_below(bound, log_p)
    assert (log_p.exp() * (log_p - bound)).sum() > 0.1
    assert torch.allclose(log_p - bound, kl(q, model.posterior(images)), atol=1e-10)


@pytest.mark.covers("S4-30", "E40")
def test_the_direction_of_the_divergence_does_not_blur(g):
    # Data at -1 and 1, both fits by maximum likelihood: the same forward KL.
    x = torch.where(torch.rand(4000, dtype=DOUBLE, generator=g) < 0.5, -1.0, 1.0)
    x = x + 0.05 * randn(4000, g=g)
    one, two = GaussianMixture(1).fit(x), GaussianMixture(2).fit(x, generator=g)
    assert (x - one.means).abs().min() > 0.7  # its mean is like no observation
    assert torch.allclose(two.means.sort().values, numbers(-1, 1), atol=0.01)
    between = numbers(-0.5, 0.5)
    cdf = Normal(two.means, two.covariances.sqrt()).cdf(between[:, None])
    assert float(two.weights @ cdf.diff(dim=0)[0]) < 1e-15


@pytest.mark.proves("thm-importance-bound")
def test_the_mean_of_the_importance_bound_rises_with_k_to_the_evidence(g):
    # Exactly, over all K^k sequences of draws.
    log_joint, q = dirichlet(3, g=g).log() - 1, dirichlet(3, g=g)
    log_p = float(log_joint.logsumexp(0))
    weights, means = log_joint - q.log(), []
    for k in range(1, 8):
        draws = torch.tensor(list(itertools.product(range(3), repeat=k))).T
        means.append(float((q[draws].prod(0) * importance_bound(weights[draws])).sum()))
        assert float((q[draws].prod(0) * importance_bound(weights[draws]).exp()).sum()) == (
            pytest.approx(math.exp(log_p), abs=1e-14)
        )
    assert means[0] == pytest.approx(float(decompose(log_joint, q).elbo), abs=1e-14)
    assert min(b - a for a, b in itertools.pairwise(means)) > 1e-5
    laws.bounds_from_below(torch.tensor(means), torch.full((7,), log_p))
    assert log_p - means[-1] < 0.3 * (log_p - means[0])


@pytest.mark.proves("prop-naive-evidence")
@pytest.mark.covers("S0-42")
def test_the_naive_evidence_is_unbiased_and_its_logarithm_too_low(g):
    x, prior = numbers(-1.0, 0.5, 3.0), Normal(numbers(0.0)[0], 1.0)
    log_likelihood = lambda z: Normal(z[:, None], 1.0).log_prob(x)
    truth = Normal(0.0, 2**0.5).log_prob(x)
    estimates = torch.stack(
        [naive_evidence(log_likelihood, prior, 10, generator=g) for _ in range(4000)]
    )
    for estimate, log_p in zip(estimates.T, truth, strict=True):
        laws.unbiased(estimate.exp(), math.exp(log_p))
        assert estimate.mean() + 4 * estimate.std() / 4000**0.5 < log_p


@pytest.mark.proves("prop-naive-evidence")
@pytest.mark.covers("S0-42", "E43")
def test_the_spread_of_the_naive_evidence_explodes_with_the_dimension(g):
    # x = (1, …, 1), z ~ N(0, I), x | z ~ N(z, 0.1 I): var w = E w² - p², both normal integrals.
    def relative(d: int, n: int = 500) -> float:
        second = Normal(0.0, 1.05**0.5).log_prob(torch.tensor(1.0)) - 0.5 * math.log(0.4 * math.pi)
        first = Normal(0.0, 1.1**0.5).log_prob(torch.tensor(1.0))
        return math.sqrt((math.exp(d * float(second - 2 * first)) - 1) / n)

    spread = {}
    for d in (1, 4, 16):
        one = torch.ones(d, dtype=DOUBLE)
        prior = Independent(Normal(0 * one, one), 1)
        log_likelihood = lambda z: Independent(Normal(z, 0.1**0.5), 1).log_prob(one)  # noqa: B023
        estimates = torch.stack(
            [naive_evidence(log_likelihood, prior, 500, generator=g) for _ in range(400)]
        )
        log_p = float(Normal(0 * one, 1.1**0.5).log_prob(one).sum())
        spread[d] = float((estimates - log_p).exp().std()), float(estimates.mean()) - log_p
    assert spread[1][0] == pytest.approx(relative(1), rel=0.15)
    assert spread[4][0] == pytest.approx(relative(4), rel=0.25)
    assert relative(1) == pytest.approx(0.07, abs=0.005)
    assert relative(4) == pytest.approx(0.61, abs=0.1)
    assert relative(16) > 1000  # no 400 estimates show it: they all miss
    assert abs(spread[1][1]) < 0.02
    assert spread[16][1] < -20


@pytest.mark.covers("S0-43")
def test_draws_from_a_good_q_estimate_the_evidence_with_far_less_variance(g):
    one = torch.ones(4, dtype=DOUBLE)
    prior = Independent(Normal(0 * one, 1.0), 1)
    log_likelihood = lambda z: Independent(Normal(z, 0.1**0.5), 1).log_prob(one)
    q = Independent(Normal(one, 0.4 * one), 1)  # not the posterior N(1/1.1, 0.1/1.1)
    log_joint = lambda z: prior.log_prob(z) + log_likelihood(z)
    naive = log_likelihood(draw(prior, 40_000, generator=g)).exp()
    seen = log_weights(log_joint, q, 40_000, generator=g).exp()
    truth = math.exp(float(Normal(0 * one, 1.1**0.5).log_prob(one).sum()))
    laws.unbiased(seen, truth)
    laws.unbiased(naive, truth)
    assert naive.var() / seen.var() > 50


@pytest.mark.proves("prop-elbo-surgery")
@pytest.mark.covers("S3-21", "E39")
def test_the_mean_kl_is_the_information_plus_the_kl_of_the_aggregate(g):
    posteriors, prior = dirichlet(30, 4, g=g), dirichlet(4, g=g)
    parts = elbo_surgery(posteriors, prior)
    assert float(parts.mean_kl - parts.information - parts.aggregate_kl) == (
        pytest.approx(0, abs=1e-12)
    )
    assert min(parts) > 0.01
    # Each example on the prior: the mean is zero, and the code says nothing.
    collapsed = elbo_surgery(prior.expand(30, 4), prior)
    assert max(abs(float(part)) for part in collapsed) < 1e-12
    # The aggregate on the prior: the mean is not zero.
    matched = elbo_surgery(posteriors, posteriors.mean(0))
    assert float(matched.aggregate_kl) == pytest.approx(0, abs=1e-12)
    assert float(matched.mean_kl) == pytest.approx(float(parts.information), abs=1e-12)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda q: elbo(q.log_prob, q, 0), r"Expected n as an integer >= 1, got 0"),
        (lambda q: elbo(lambda z: z.sum(), q, 2), r"one value for each draw, shape \(2, 3\)"),
        (lambda q: elbo(lambda z: z * math.nan, q, 2), "6 of 6 log-densities are NaN or"),
        (lambda q: importance_bound(torch.zeros(0, 3)), r"one draw or more.*\(0, 3\)"),
        (lambda q: importance_bound(torch.tensor(0.0)), "one draw or more"),
        (lambda q: importance_bound(torch.tensor([math.inf])), r"NaN or \+inf"),
        (lambda q: naive_evidence(q.log_prob, q, 2), r"one prior, got a batch of shape \(3,\)"),
        (
            lambda q: naive_evidence(lambda z: z.mean()[None], Normal(0.0, 1.0), 2),
            r"one row a draw, shape \(2, \*batch\), got \(1,\)",
        ),
        (
            lambda q: elbo_surgery(torch.full((2, 3), 1 / 3), torch.full((2,), 0.5)),
            r"got \(2, 3\) and \(2,\)",
        ),
    ],
)
def test_bounds_refuse(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call(Normal(torch.zeros(3), 1.0))


def test_impossible_examples_have_the_bound_minus_infinity():
    weights = torch.tensor([[-math.inf, 0.0], [-math.inf, -math.inf]])
    assert importance_bound(weights).tolist() == pytest.approx([-math.inf, -math.log(2)])


@pytest.mark.covers("S0-38")
def test_gibbs_draws_estimate_a_posterior_whose_sum_has_1024_terms(g):
    # Ten causes of one effect: the evidence sums over 2^10 states, Gibbs sampling over none.
    h = 10
    states = torch.cartesian_prod(*[numbers(0, 1)] * h)
    strength, prior = randn(h, g=g), Bernoulli(torch.full((h,), 0.3, dtype=DOUBLE))

    def log_joint(z):
        return prior.log_prob(z).sum(-1) + Bernoulli(logits=z @ strength - 1).log_prob(numbers(1.0))

    exact = posterior(log_joint(states)) @ states
    chains = torch.zeros(2000, h, dtype=DOUBLE)
    for i in list(range(h)) * 30:
        on, off = chains.clone(), chains.clone()
        on[:, i], off[:, i] = 1, 0
        chance = (log_joint(on) - log_joint(off)).sigmoid()
        chains[:, i] = (torch.rand(2000, dtype=DOUBLE, generator=g) < chance).double()
    for share, truth in zip(chains.T, exact, strict=True):
        laws.unbiased(share, float(truth))


# --- Mean field --------------------------------------------------------------------------------


def correlated(d: int, g: torch.Generator) -> MultivariateNormal:
    root = randn(d, d, g=g)
    return MultivariateNormal(randn(d, g=g), root @ root.T / d + 0.1 * torch.eye(d, dtype=DOUBLE))


def joined(mean, scale):
    """A factorised law in the form of which torch knows KL."""
    return MultivariateNormal(mean, scale_tril=scale.diag())


@pytest.mark.proves("prop-mean-field-gaussian")
@pytest.mark.covers("S0-40")
def test_no_factorised_law_is_nearer_than_the_diagonal_of_the_precision(g):
    p = correlated(5, g)
    q = mean_field(p)
    assert torch.allclose(1 / q.variance, p.precision_matrix.diagonal(), rtol=1e-12)
    least = float(kl_divergence(joined(q.mean, q.stddev), p))
    precision = p.precision_matrix
    closed = 0.5 * (precision.diagonal().log().sum() - torch.logdet(precision))
    assert least == pytest.approx(float(closed), abs=1e-12)
    mean, log_scale = q.mean.clone().requires_grad_(), q.stddev.log().requires_grad_()
    slopes = torch.autograd.grad(kl_divergence(joined(mean, log_scale.exp()), p), [mean, log_scale])
    assert max(float(slope.abs().max()) for slope in slopes) < 1e-10
    for _ in range(100):
        other = joined(q.mean + 0.3 * randn(5, g=g), q.stddev * (0.3 * randn(5, g=g)).exp())
        assert kl_divergence(other, p) > least


@pytest.mark.proves("prop-mean-field-gaussian")
@pytest.mark.covers("S0-40")
def test_the_other_direction_takes_the_margins_which_are_wider(g):
    p = correlated(4, g)
    q = margins(p)
    assert torch.allclose(q.variance, p.covariance_matrix.diagonal(), rtol=1e-12)
    least = float(kl_divergence(p, joined(q.mean, q.stddev)))
    for _ in range(100):
        other = joined(q.mean + 0.3 * randn(4, g=g), q.stddev * (0.3 * randn(4, g=g)).exp())
        assert kl_divergence(p, other) > least
    assert (mean_field(p).variance < q.variance - 1e-6).all()
    alone = MultivariateNormal(torch.zeros(2), torch.tensor([1.0, 4.0]).diag())
    assert torch.allclose(mean_field(alone).variance, margins(alone).variance)


@pytest.mark.proves("thm-coordinate-ascent")
@pytest.mark.covers("S0-40", "S4-18")
def test_coordinate_ascent_climbs_the_bound_to_the_closed_form(g):
    p = correlated(4, g)
    start = p.loc + 3 * randn(4, g=g)
    q, means, history = coordinate_ascent(p, start, sweeps=200)
    laws.never_goes_down(history, 1e-12)
    best = mean_field(p)
    assert torch.allclose(q.mean, best.mean, atol=1e-8)
    assert torch.allclose(q.variance, best.variance, rtol=1e-12)
    assert history[-1] == pytest.approx(
        -float(kl_divergence(joined(best.mean, best.stddev), p)), abs=1e-10
    )
    assert torch.equal(means[0], start)
    assert (means.diff(dim=0) != 0).sum(1).max() == 1  # one coordinate at a time
    assert len(history) == len(means) == 1 + 4 * 200


@pytest.mark.covers("S0-40")
def test_each_update_is_the_best_factor_for_the_others():
    p = MultivariateNormal(numbers(1.0, -1.0), torch.tensor([[2.0, 1.2], [1.2, 1.0]]).double())
    first = float(coordinate_ascent(p, numbers(0.0, 1.0), 1).means[1, 0])

    def value(m):
        return float(kl_divergence(joined(numbers(m, 1.0), numbers(1.0, 1.0)), p))

    assert value(first) < min(value(first + 0.01), value(first - 0.01))


@pytest.mark.parametrize(
    ("call", "error", "sentence"),
    [
        (lambda: mean_field(Normal(0.0, 1.0)), TypeError, "MultivariateNormal, got a Normal"),
        (
            lambda: margins(MultivariateNormal(torch.zeros(3, 2), torch.eye(2))),
            ValueError,
            r"one normal law, got a batch of shape \(3,\)",
        ),
        (
            lambda: coordinate_ascent(MultivariateNormal(torch.zeros(2), torch.eye(2)), numbers(1)),
            ValueError,
            r"shape \(batch, 2\), got \(1, 1\)",
        ),
        (
            lambda: coordinate_ascent(
                MultivariateNormal(torch.zeros(2), torch.eye(2)), numbers(1, 1), 0
            ),
            ValueError,
            "sweeps as an integer >= 1, got 0",
        ),
    ],
)
def test_mean_field_refuses(call, error, sentence):
    with pytest.raises(error, match=sentence):
        call()


# --- Gradients of an expectation ---------------------------------------------------------------


def shifted(phi):
    return Normal(phi[..., 0], 1.0)


def located(phi):
    """N(μ, e^{2s}) of φ = (μ, s)."""
    return Normal(phi[..., 0], phi[..., 1].exp())


def shifted_vector(phi):
    return Independent(Normal(phi, 1.0), 1)


def categorical(phi):
    return Categorical(logits=phi)


def variance_is(terms: torch.Tensor, truth: float) -> None:
    """The second moment about the mean agrees with the formula, by its own z-score."""
    laws.unbiased((terms - terms.mean()).square(), truth)


@pytest.mark.proves("thm-score-gradient")
@pytest.mark.covers("S0-49", "S3-20", "S4-22", "S4-28", "E38")
def test_both_gradients_of_a_quadratic_are_unbiased(g):
    # E z² = μ² + e^{2s}, so the gradient is (2μ, 2e^{2s}).
    phi = numbers(0.7, -0.3)
    truth = 2 * 0.7, 2 * math.exp(-0.6)
    for estimator in (score_gradient, reparameterised_gradient):
        terms = estimator(torch.square, located, phi, 100_000, generator=g)
        assert terms.shape == (100_000, 2)
        for column, value in zip(terms.T, truth, strict=True):
            laws.unbiased(column, value)


@pytest.mark.proves("thm-score-gradient")
@pytest.mark.covers("S4-22", "E30")
def test_the_score_gradient_of_a_finite_law_is_that_of_the_sum(g):
    phi, table = randn(4, g=g), randn(4, g=g)
    leaf = phi.clone().requires_grad_()
    (truth,) = torch.autograd.grad((leaf.softmax(0) * table).sum(), leaf)
    terms = score_gradient(lambda z: table[z], categorical, phi, 100_000, generator=g)
    for column, value in zip(terms.T, truth, strict=True):
        laws.unbiased(column, float(value))
    # Exactly, as a sum over the states: E_q[f ∇ log q], and with ∇q in its place another number.
    q = phi.softmax(0)
    score = torch.eye(4, dtype=DOUBLE) - q
    assert torch.allclose((q * table) @ score, truth, atol=1e-14)
    assert ((q * table * q) @ score - truth).abs().max() > 0.05


@pytest.mark.covers("S4-23", "E30")
def test_one_cannot_stop_at_the_gradient_of_the_density(g):
    # E_q[f ∇q] in place of E_q[f ∇ log q]: for z² under N(μ, 1) it is μ/(2√π), not 2μ.
    z = draw(Normal(numbers(0.7)[0], 1.0), 200_000, generator=g)
    density = Normal(0.7, 1.0).log_prob(z).exp()
    stopped = z.square() * (z - 0.7) * density
    laws.unbiased(stopped, 0.7 / (2 * math.pi**0.5))
    assert 0.7 / (2 * math.pi**0.5) == pytest.approx(0.197, abs=0.001)
    with pytest.raises(laws.LawBroken, match="biased"):
        laws.unbiased(stopped, 1.4)
    laws.unbiased(stopped / density, 1.4)


@pytest.mark.proves("prop-score-conditions")
@pytest.mark.covers("S4-22", "E36")
def test_the_score_gradient_is_wrong_where_the_support_moves(g):
    # E z = θ/2 under U(0, θ): the slope is 1/2, and the trick gives E[z · (-1/θ)] = -1/2.
    def law(phi):
        return Uniform(0 * phi[..., 0], phi[..., 0])

    terms = score_gradient(lambda z: z, law, numbers(2.0), 50_000, generator=g)
    laws.unbiased(terms[:, 0], -0.5)
    with pytest.raises(laws.LawBroken, match="biased"):
        laws.unbiased(terms[:, 0], 0.5)
    pathwise = reparameterised_gradient(lambda z: z, law, numbers(2.0), 50_000, generator=g)
    laws.unbiased(pathwise[:, 0], 0.5)


@pytest.mark.proves("prop-pathwise-conditions")
@pytest.mark.covers("E37")
def test_the_pathwise_gradient_is_wrong_where_f_jumps(g):
    # E 1[z > 0] under N(μ, 1) has slope φ(μ); along the path the step is flat.
    step = lambda z: (z > 0) + 0 * z
    truth = float(Normal(0.0, 1.0).log_prob(torch.tensor(0.3)).exp())
    laws.unbiased(score_gradient(step, shifted, numbers(0.3), 20_000, generator=g)[:, 0], truth)
    pathwise = reparameterised_gradient(step, shifted, numbers(0.3), 2000, generator=g)
    assert torch.equal(pathwise, torch.zeros(2000, 1, dtype=DOUBLE))


@pytest.mark.proves("prop-sine-variances")
@pytest.mark.covers("S4-28", "E37")
@pytest.mark.parametrize(
    ("omega", "pathwise", "score"),
    [(0.5, 0.011, 0.328), (1.0, 0.296, 0.319), (2.0, 1.997, 0.495), (8.0, 32.0, 0.5)],
)
def test_reparameterisation_wins_on_a_slow_sine_and_loses_on_a_fast_one(omega, pathwise, score, g):
    exact = sine_variances(omega, 0.7)
    assert (exact.pathwise, exact.score) == pytest.approx((pathwise, score), abs=2e-3)
    assert (exact.pathwise < exact.score) == (omega < 2)
    sine, phi = lambda z: (omega * z).sin(), numbers(0.7)
    truth = omega * math.cos(omega * 0.7) * math.exp(-(omega**2) / 2)
    best = optimal_baseline(sine, shifted, phi, 200_000, generator=g)
    for terms, variance in (
        (score_gradient(sine, shifted, phi, 200_000, generator=g), exact.score),
        (score_gradient(sine, shifted, phi, 200_000, baseline=best, generator=g), exact.baseline),
        (reparameterised_gradient(sine, shifted, phi, 200_000, generator=g), exact.pathwise),
    ):
        laws.unbiased(terms[:, 0], truth)
        variance_is(terms[:, 0], variance)


@pytest.mark.proves("prop-square-variances")
@pytest.mark.covers("S3-20", "S4-24", "E38")
def test_the_variance_of_the_score_gradient_grows_with_the_dimension(g):
    norm = lambda z: z.square().sum(-1)
    for d in (1, 3, 20):
        mean = 0.5 * randn(d, g=g)
        exact = square_variances(mean)
        best = float(mean[0] ** 2 + 3 + (d - 1) + mean[1:].square().sum())
        for terms, variance in (
            (score_gradient(norm, shifted_vector, mean, 100_000, generator=g), exact.score),
            (
                score_gradient(norm, shifted_vector, mean, 100_000, baseline=best, generator=g),
                exact.baseline,
            ),
            (
                reparameterised_gradient(norm, shifted_vector, mean, 100_000, generator=g),
                exact.pathwise,
            ),
        ):
            laws.unbiased(terms[:, 0], 2 * float(mean[0]))
            variance_is(terms[:, 0], variance)
    one = square_variances(numbers(0.7))
    assert one.score / one.pathwise == pytest.approx(5.5, abs=0.05)  # E38
    score = [square_variances(torch.zeros(d)).score for d in (100, 1000)]
    assert score[1] / score[0] == pytest.approx(100, rel=0.06)
    assert square_variances(torch.zeros(1000)).baseline == 2004


@pytest.mark.proves("prop-optimal-baseline")
@pytest.mark.covers("S4-24", "S4-29")
def test_the_variance_is_a_parabola_in_the_baseline_with_its_least_value_at_the_optimum(g):
    # Exactly, on a finite law, for every parameter.
    phi, table = randn(5, g=g), 3 + randn(5, g=g)
    q = phi.softmax(0)
    score = torch.eye(5, dtype=DOUBLE) - q
    size = q @ score.square()
    best = (q * table) @ score.square() / size

    def moments(b):
        terms = (table[:, None] - b) * score
        return q @ terms, q @ terms.square() - (q @ terms) ** 2

    mean, least = moments(best)
    for b in (0.0, float(q @ table), 7.0):
        same, variance = moments(b)
        assert torch.allclose(same, mean, atol=1e-14)
        assert torch.allclose(variance, least + (b - best) ** 2 * size, atol=1e-12)
    estimate = optimal_baseline(lambda z: table[z], categorical, phi, 200_000, generator=g)
    assert torch.allclose(estimate, best, rtol=0.05)
    terms = score_gradient(
        lambda z: table[z], categorical, phi, 100_000, baseline=best, generator=g
    )
    for column, truth, variance in zip(terms.T, mean, least, strict=True):
        laws.unbiased(column, float(truth))
        variance_is(column, float(variance))


@pytest.mark.covers("S4-29")
def test_a_baseline_that_has_seen_the_draw_is_biased(g):
    # Two draws and the baseline from the same two: the mean is off. From two others it is not.
    def estimates(z, pilot):
        score, size = z - 0.7, (pilot - 0.7).square()
        best = (pilot.square() * size).sum(1, keepdim=True) / size.sum(1, keepdim=True)
        return ((z.square() - best) * score).mean(1)

    z, others = draw(Normal(torch.full((50_000, 2), 0.7, dtype=DOUBLE), 1.0), 2, generator=g)
    laws.unbiased(estimates(z, others), 1.4)
    with pytest.raises(laws.LawBroken, match="biased"):
        laws.unbiased(estimates(z, z), 1.4)


def test_a_parameter_that_does_not_move_the_law_has_gradient_and_baseline_zero(g):
    phi = numbers(0.7, 3.0)
    terms = score_gradient(
        torch.square, lambda p: Normal(p[..., 0] + 0 * p[..., 1], 1.0), phi, 10, generator=g
    )
    assert torch.equal(terms[:, 1], torch.zeros(10, dtype=DOUBLE))
    best = optimal_baseline(
        torch.square, lambda p: Normal(p[..., 0] + 0 * p[..., 1], 1.0), phi, 10, generator=g
    )
    assert float(best[1]) == 0


def test_the_same_generator_gives_the_same_gradient(g):
    for estimator in (score_gradient, reparameterised_gradient, optimal_baseline):
        state = g.get_state()
        first = estimator(torch.square, shifted, numbers(0.7), 50, generator=g)
        g.set_state(state)
        assert torch.equal(first, estimator(torch.square, shifted, numbers(0.7), 50, generator=g))


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: score_gradient(torch.square, shifted, numbers(0), 0), "n as an integer >= 1"),
        (
            lambda: score_gradient(torch.square, lambda p: Normal(p, 1.0), numbers(0), 3),
            r"batch shape \(3,\), one law for each row of phi, got \(3, 1\)",
        ),
        (
            lambda: score_gradient(torch.sum, shifted, numbers(0), 3),
            r"one value for each of 3 draws, got shape \(\)",
        ),
        (
            lambda: score_gradient(lambda z: z * math.nan, shifted, numbers(0), 3),
            "NaN or infinite at 3 of 3 draws",
        ),
        (
            lambda: score_gradient(torch.square, shifted, numbers(0), 3, baseline=torch.ones(3)),
            r"of shape \(1,\), got \(3,\): it must not depend on the draw",
        ),
        (
            lambda: reparameterised_gradient(lambda z: 1.0 * z, categorical, numbers(0, 1), 3),
            "Categorical is no smooth function.* Use score_gradient",
        ),
    ],
)
def test_gradients_refuse(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()


# --- Monte Carlo EM ----------------------------------------------------------------------------


def two_blobs(n: int, g: torch.Generator, apart: float = 4.0) -> torch.Tensor:
    x = randn(n, 2, g=g)
    x[: n // 3] += numbers(apart, 1.0)
    return x


@pytest.mark.proves("prop-monte-carlo-em")
@pytest.mark.covers("S0-39")
def test_monte_carlo_em_moves_about_the_estimate_of_em(g):
    x = two_blobs(150, g)
    start = x[[0, -1]]
    exact = GaussianMixture(2, tol=1e-12, max_iterations=5000).fit(x, start=start)
    runs = [
        monte_carlo_em(x, 2, draws=200, iterations=40, start=start, generator=g) for _ in range(30)
    ]
    for truth, estimates in (
        (exact.weights, torch.stack([run.weights for run in runs])),
        (exact.means, torch.stack([run.means for run in runs])),
        (exact.covariances, torch.stack([run.covariances for run in runs])),
    ):
        for estimate, value in zip(estimates.reshape(30, -1).T, truth.flatten(), strict=True):
            laws.unbiased(estimate, float(value))
            assert estimate.std() > 1e-5  # each run by itself is not there


@pytest.mark.proves("prop-monte-carlo-em")
@pytest.mark.covers("S0-39")
def test_its_distance_from_em_falls_like_one_over_the_root_of_the_draws(g):
    x = two_blobs(150, g)
    exact = GaussianMixture(2, tol=1e-12, max_iterations=5000).fit(x, start=x[[0, -1]])
    start = (exact.weights, exact.means, exact.covariances)
    away, number = [], (5, 20, 80, 320)
    for draws in number:
        runs = [
            monte_carlo_em(x, 2, draws=draws, iterations=20, start=start, generator=g).means
            for _ in range(20)
        ]
        away.append((torch.stack(runs) - exact.means).square().mean().sqrt())
    assert slope(number, torch.stack(away)) == pytest.approx(-0.5, abs=0.12)


@pytest.mark.covers("S0-39")
def test_unlike_em_it_may_lose_likelihood(g):
    x = two_blobs(90, g, apart=2.5)
    model = monte_carlo_em(x, 2, draws=5, iterations=40, start=x[[0, -1]], generator=g)
    assert len(model.history) == 41
    with pytest.raises(laws.LawBroken, match="falls"):
        laws.never_goes_down(model.history)
    assert model.history[-1] == pytest.approx(float(model.log_prob(x).mean()), abs=1e-9)
    other = monte_carlo_em(x, 2, draws=5, iterations=40, start=x[[0, -1]], generator=g)
    assert other.history[0] == model.history[0]
    assert other.history[1] != model.history[1]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"draws": 0}, "Expected draws as an integer >= 1, got 0"),
        ({"draws": 1, "iterations": 0}, "Expected iterations as an integer >= 1, got 0"),
        ({"draws": 1, "start": torch.tensor([0.0, 1e6])}, "No point drew component 1"),
    ],
)
def test_monte_carlo_em_refuses(arguments, sentence, g):
    with pytest.raises(ValueError, match=sentence):
        monte_carlo_em(torch.tensor([0.0, 1.0, 2.0]), 2, generator=g, **arguments)


# --- Variational inference against wake-sleep --------------------------------------------------


def machine(g: torch.Generator, codes: int = 3, values: int = 4) -> HelmholtzMachine:
    return HelmholtzMachine(
        dirichlet(codes, g=g), randn(codes, values, g=g), randn(values, codes, g=g)
    )


def machine_of_the_errata() -> tuple[HelmholtzMachine, torch.Tensor]:
    """A random model of three codes, and data that are all x = 1."""
    rng = np.random.default_rng(5)
    tables = rng.dirichlet(np.ones(3)), rng.normal(size=(3, 4)), rng.normal(size=(4, 3))
    return HelmholtzMachine(*map(torch.from_numpy, tables)), numbers(0, 1, 0, 0)


def differences(value, logits, h=1e-5):
    """Central finite differences of a function of a table of logits."""
    steps = h * torch.eye(logits.numel(), dtype=DOUBLE).reshape(-1, *logits.shape)
    slopes = [(value(logits + step) - value(logits - step)) / (2 * h) for step in steps]
    return torch.stack(slopes).reshape(logits.shape)


def bound(m, data):
    """E_data L, from the exact bound of chapter 03."""
    return (data * decompose(m.log_joint, m.log_q.exp()).elbo).sum()


def with_decoder(m, decoder):
    return HelmholtzMachine(m.prior, decoder, m.encoder)


def with_encoder(m, encoder):
    return HelmholtzMachine(m.prior, m.decoder, encoder)


@pytest.mark.proves("prop-four-directions")
@pytest.mark.covers("S4-27", "E31", "E32", "E33")
def test_each_gradient_is_that_of_its_objective_by_finite_differences(g):
    for _ in range(5):
        m, data = machine(g), dirichlet(4, g=g)
        for step, table, other in (
            (lambda m, data=data: variational_m_step(m, data), m.decoder, with_decoder),
            (lambda m, data=data: variational_e_step(m, data), m.encoder, with_encoder),
            (lambda m, data=data: wake(m, data), m.decoder, with_decoder),
            (sleep, m.encoder, with_encoder),
        ):
            slopes = differences(lambda t: step(other(m, t)).objective, table)  # noqa: B023
            assert (step(m).gradient - slopes).abs().max() < 1e-9


@pytest.mark.proves("prop-four-directions")
@pytest.mark.covers("S4-27", "E31")
def test_both_variational_steps_climb_the_bound_and_wake_is_the_m_step(g):
    m, data = machine(g), dirichlet(4, g=g)
    assert torch.allclose(variational_m_step(m, data).objective, bound(m, data), atol=1e-14)
    assert torch.allclose(variational_e_step(m, data).objective, bound(m, data), atol=1e-14)
    assert torch.equal(wake(m, data).gradient, variational_m_step(m, data).gradient)
    q = m.log_q.exp()
    entropy = (data * Categorical(q).entropy()).sum()
    assert torch.allclose(wake(m, data).objective + entropy, bound(m, data), atol=1e-14)


@pytest.mark.proves("prop-four-directions")
@pytest.mark.covers("S4-27")
def test_the_variance_is_that_of_single_draws(g):
    m, data, n = machine(g), dirichlet(4, g=g), 100_000
    p, weight = m.log_joint.exp(), m.log_joint - m.log_q

    def single(chance, weight, logits):
        cell = torch.multinomial(chance.flatten(), n, replacement=True, generator=g)
        row, column = cell // chance.shape[1], cell % chance.shape[1]
        terms = torch.zeros(n, *logits.shape, dtype=DOUBLE)
        score = torch.eye(chance.shape[1], dtype=DOUBLE)[column] - logits.softmax(1)[row]
        terms[torch.arange(n), row] = weight[row, column][:, None] * score
        return terms

    inferred = data[:, None] * m.log_q.exp()
    one = torch.ones(4, 3, dtype=DOUBLE)
    for step, terms in (
        (variational_m_step(m, data), single(inferred.T, one.T, m.decoder)),
        (variational_e_step(m, data), single(inferred, weight, m.encoder)),
        (sleep(m), single(p, one, m.encoder)),
    ):
        for column, truth in zip(terms.flatten(1).T, step.gradient.flatten(), strict=True):
            laws.unbiased(column, float(truth))
        laws.unbiased((terms - step.gradient).square().sum((1, 2)), float(step.variance))


@pytest.mark.covers("S4-24", "S4-27", "E35")
def test_the_e_step_has_more_variance_than_sleep_and_a_baseline_takes_most_of_it(g):
    # Many observations, so log p(x, z) is large: the weight of each draw is, too.
    ratios, remain = [], []
    for _ in range(20):
        m = machine(g, codes=4, values=50)
        data = m.log_joint.exp().sum(1)  # the model's own observations: both see the same x
        e, s = variational_e_step(m, data), sleep(m)
        ratios.append(float(e.variance / s.variance))
        # The bound of each x as its baseline: the mean stays.
        chance = data[:, None] * m.log_q.exp()
        weight = m.log_joint - m.log_q
        pull = chance * (weight - (m.log_q.exp() * weight).sum(1, keepdim=True))
        share = m.log_q.exp()
        centred = pull - pull.sum(1, keepdim=True) * share
        assert torch.allclose(centred, e.gradient, atol=1e-14)
        weight = weight - (share * weight).sum(1, keepdim=True)
        length = 1 - 2 * share + share.square().sum(1, keepdim=True)
        variance = (chance * weight.square() * length).sum() - e.gradient.square().sum()
        remain.append(float(variance / e.variance))
    assert min(ratios) > 5
    assert max(remain) < 0.3


@pytest.mark.covers("S4-27", "E31")
def test_the_divergence_from_the_posterior_alone_cannot_see_the_likelihood(g):
    m, data = machine_of_the_errata()
    posterior_kl = lambda table: gap(with_decoder(m, table).log_joint, m.log_q.exp())[1]
    printed = -differences(posterior_kl, m.decoder)
    right = variational_m_step(m, data).gradient
    assert float((printed - right).abs().max()) == pytest.approx(0.405, abs=1e-3)
    # q = p(z), and p(x | z) the same for every z: the divergence is 0 whatever x weighs.
    for weight in (-3.0, 0.0, 3.0):
        table = numbers(0, weight, 0, 0).expand(3, 4)
        blind = HelmholtzMachine(m.prior, table, m.prior.log().expand(4, 3))
        assert float(gap(blind.log_joint, blind.log_q.exp())[1]) == pytest.approx(0, abs=1e-12)


@pytest.mark.covers("E32")
def test_the_e_step_without_the_divergence_from_the_prior_forgets_the_prior():
    m, data = machine_of_the_errata()
    log_likelihood = m.decoder.log_softmax(1).T
    printed = lambda table: (table.softmax(1) * log_likelihood)[1].sum()
    rate = lambda table: kl(table.softmax(1)[1], m.prior)
    slopes, right = differences(printed, m.encoder), variational_e_step(m, data).gradient
    assert float((slopes - right).abs().max()) == pytest.approx(0.223, abs=1e-3)
    assert (slopes - differences(rate, m.encoder) - right).abs().max() < 1e-9
    # Followed upwards, it puts all of q on the code with the largest p(x | z).
    table = m.encoder[1].clone()
    for _ in range(3000):
        q = table.softmax(0)
        table += q * (log_likelihood[1] - (q * log_likelihood[1]).sum())
    assert table.softmax(0).tolist() == pytest.approx([0.9998, 0.0002, 0.0001], abs=1e-4)
    assert posterior(m.log_joint)[1].tolist() == pytest.approx([0.797, 0.144, 0.059], abs=1e-3)


@pytest.mark.covers("E29")
def test_the_log_posterior_enters_the_free_energy_with_a_minus():
    m, data = machine_of_the_errata()
    q = lambda table: table.softmax(1)[1]
    log_posterior = posterior(m.log_joint)[1].log()
    cross = differences(lambda table: (q(table) * log_posterior).sum(), m.encoder)
    negentropy = differences(lambda table: (q(table) * q(table).log()).sum(), m.encoder)
    free = -variational_e_step(m, data).gradient
    assert (free - (negentropy - cross)).abs().max() < 1e-9
    assert float((free - (negentropy + cross)).abs().max()) == pytest.approx(0.925, abs=1e-3)


@pytest.mark.covers("E30")
def test_the_score_may_take_the_joint_for_the_posterior_but_not_the_density_for_its_log():
    m, _ = machine_of_the_errata()
    q = m.log_q[1].exp()
    score = torch.eye(3, dtype=DOUBLE) - q
    log_joint, log_posterior = m.log_joint[1], posterior(m.log_joint)[1].log()
    truth = [0.462537, -0.11034, -0.352197]
    assert ((q * log_posterior) @ score).tolist() == pytest.approx(truth, abs=1e-6)
    assert ((q * log_joint) @ score).tolist() == pytest.approx(truth, abs=1e-6)
    printed = (q * log_joint * q) @ score
    assert printed.tolist() == pytest.approx([0.1592, -0.0840, -0.0752], abs=1e-4)


@pytest.mark.covers("E27")
def test_wake_is_to_be_maximised():
    m, data = machine_of_the_errata()
    first = wake(m, data)
    for _ in range(200):
        m = with_decoder(m, m.decoder - wake(m, data).gradient)
    likelihood = lambda m: float((m.log_q.exp().T * m.decoder.log_softmax(1))[:, 1].sum())
    assert likelihood(m) == pytest.approx(-133.7, abs=0.1)
    assert float(m.log_joint[1].logsumexp(0)) == pytest.approx(-122.9, abs=0.1)
    assert wake(m, data).objective < first.objective - 100


@pytest.mark.proves("prop-sleep")
@pytest.mark.covers("E28", "E33", "S4-27")
def test_sleep_learns_the_posterior_of_the_model_and_minimised_it_runs_away():
    m, _ = machine_of_the_errata()
    down = m
    for _ in range(200):
        down = with_encoder(down, down.encoder - 2 * sleep(down).gradient)
    assert float(sleep(down).objective) < -100
    truth = posterior(m.log_joint)
    for _ in range(3000):
        m = with_encoder(m, m.encoder + 2 * sleep(m).gradient)
    assert (m.log_q.exp() - truth).abs().max() < 1e-8


@pytest.mark.proves("prop-sleep")
@pytest.mark.covers("E28", "S4-27")
def test_sleep_averages_the_other_divergence_over_the_models_own_observations(g):
    m, data = machine(g), dirichlet(4, g=g)
    best, weight = posterior(m.log_joint), m.log_joint.exp().sum(1)

    def reverse(chance):
        value = lambda table: -(chance * kl(best, table.softmax(1))).sum()
        return differences(value, m.encoder)

    assert (sleep(m).gradient - reverse(weight)).abs().max() < 1e-9
    assert (sleep(m).gradient - reverse(data)).abs().max() > 0.01


@pytest.mark.proves("prop-single-objective")
@pytest.mark.covers("S4-27", "E34")
def test_steps_on_the_bound_never_lower_it_and_sleep_with_a_small_encoder_does(g):
    m, data = machine(g), dirichlet(4, g=g)
    history = [bound(m, data)]
    for _ in range(300):
        m = with_encoder(m, m.encoder + 0.2 * variational_e_step(m, data).gradient)
        history.append(bound(m, data))
        m = with_decoder(m, m.decoder + 0.2 * variational_m_step(m, data).gradient)
        history.append(bound(m, data))
    laws.never_goes_down(history, 1e-12)
    # An encoder that gives all x the same q: one row of logits, the gradients of its uses summed.
    m = machine(g)
    best = with_encoder(m, (data @ m.log_joint).expand(4, 3))
    assert variational_e_step(best, data).gradient.sum(0).abs().max() < 1e-12
    m, history = best, [bound(best, data)]
    for _ in range(2000):
        m = with_encoder(m, m.encoder + sleep(m).gradient.sum(0))
        history.append(bound(m, data))
    assert torch.allclose(m.log_q.exp(), m.prior.expand(4, 3), atol=1e-8)  # dreams average to p(z)
    assert history[-1] < history[0] - 0.01


@pytest.mark.covers("E34")
def test_a_single_objective_still_stops_at_saddles():
    # All codes alike: both gradients vanish between them, and the bound stays below the best.
    prior, data = numbers(0.5, 0.5), numbers(0.5, 0.5)
    alike = HelmholtzMachine(prior, torch.zeros(2, 2).double(), torch.zeros(2, 2).double())
    assert variational_e_step(alike, data).gradient.abs().max() == 0
    assert variational_m_step(alike, data).gradient.abs().max() == 0


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (
            lambda: HelmholtzMachine(numbers(0.5, 0.5), torch.zeros(2, 3), torch.zeros(2, 3)),
            r"encoder \(X, K\), got \(2,\), \(2, 3\) and \(2, 3\)",
        ),
        (
            lambda: HelmholtzMachine(numbers(0.5, 0.6), torch.zeros(2, 3), torch.zeros(3, 2)),
            "sum to one over the last axis",
        ),
        (
            lambda: wake(
                HelmholtzMachine(numbers(0.5, 0.5), torch.zeros(2, 3), torch.zeros(3, 2)),
                numbers(0.5, 0.5),
            ),
            r"over the 3 observations, got shape \(2,\)",
        ),
    ],
)
def test_a_helmholtz_machine_refuses(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()
