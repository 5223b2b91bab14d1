"""Chapter 03: the theorems of latent variables and EM, each as a test."""

import math

import numpy as np
import pytest
import torch
from conftest import slope
from scipy.optimize import minimize
from scipy.stats import multivariate_normal, norm, truncnorm
from sklearn.cluster import KMeans as SklearnKMeans
from sklearn.datasets import load_digits, load_iris
from sklearn.decomposition import PCA
from sklearn.decomposition import FactorAnalysis as SklearnFactorAnalysis
from sklearn.mixture import GaussianMixture as SklearnMixture
from torch.distributions import (
    Bernoulli,
    Categorical,
    Independent,
    MixtureSameFamily,
    MultivariateNormal,
    Normal,
)

from genlab import data, laws
from genlab.em import (
    FactorAnalysis,
    GaussianMixture,
    HiddenMarkovModel,
    LatentVariableModel,
    ProbabilisticPCA,
    binned_log_prob,
    decompose,
    e_step,
    elbo,
    features,
    free_energy,
    gradient_ascent,
    kmeans,
    m_step,
    natural,
    plus_plus,
    posterior,
)
from genlab.em.mixture import STRUCTURES, clamped, log_interval
from genlab.models import GaussianNaiveBayes

DOUBLE = torch.float64
structures = pytest.mark.parametrize("structure", STRUCTURES)


def randn(*shape: int, g: torch.Generator) -> torch.Tensor:
    return torch.randn(shape, dtype=DOUBLE, generator=g)


def dirichlet(*shape: int, g: torch.Generator) -> torch.Tensor:
    """Uniform on the simplex, over the last axis."""
    e = -torch.rand(shape, dtype=DOUBLE, generator=g).clamp_min(1e-12).log()
    return e / e.sum(-1, keepdim=True)


def spd(*shape: int, g: torch.Generator) -> torch.Tensor:
    """Random symmetric positive definite matrices."""
    root = randn(*shape, shape[-1], g=g)
    return root @ root.mT / shape[-1] + 0.1 * torch.eye(shape[-1], dtype=DOUBLE)


def blobs(n: int, g: torch.Generator, centres: torch.Tensor) -> torch.Tensor:
    which = torch.randint(len(centres), (n,), generator=g)
    return centres[which] + randn(n, centres.shape[1], g=g)


TRIANGLE = torch.tensor([[0.0, 0.0], [6.0, 0.0], [0.0, 6.0]], dtype=DOUBLE)


def direct_log_joint(x, weights, means, covariances):
    """log π_k N(x; μ_k, Σ_k) from the definition, by scipy."""
    return torch.stack(
        [
            torch.from_numpy(
                np.atleast_1d(multivariate_normal(m.numpy(), c.numpy()).logpdf(x.numpy()))
            )
            + w.log()
            for w, m, c in zip(weights, means, covariances, strict=True)
        ],
        1,
    )


# --- The decomposition -------------------------------------------------------------------------


@pytest.mark.proves("thm-em-decomposition")
@pytest.mark.covers("S0-34", "S0-35", "S4-20")
def test_the_log_likelihood_is_the_bound_plus_the_divergence(g):
    log_joint, q = dirichlet(2000, 6, g=g).log() - 3, dirichlet(2000, 6, g=g)
    log_p, bound, kl = decompose(log_joint, q)
    assert (log_p - (bound + kl)).abs().max() < 1e-12
    assert torch.allclose(log_p, log_joint.exp().sum(1).log(), atol=1e-13)
    assert kl.min() > 1e-6
    laws.bounds_from_below(bound, log_p)


@pytest.mark.proves("thm-em-decomposition")
@pytest.mark.covers("S0-35", "S0-36")
def test_the_bound_touches_at_the_posterior_and_nowhere_else(g):
    log_joint = dirichlet(200, 5, g=g).log() + 2
    best = posterior(log_joint)
    assert torch.allclose(best, log_joint.exp() / log_joint.exp().sum(1, keepdim=True))
    log_p = log_joint.logsumexp(1)
    laws.bounds_from_below(elbo(log_joint, best), log_p, touching=True, tolerance=1e-12)
    for other in (best.roll(1, 1), 0.99 * best + 0.002):
        assert (log_p - elbo(log_joint, other)).min() > 1e-8


@pytest.mark.proves("thm-em-decomposition")
def test_the_decomposition_with_states_that_are_excluded():
    log_joint = torch.tensor([0.2, 0.3, 0.0], dtype=DOUBLE).log()
    inside = torch.tensor([0.5, 0.5, 0.0], dtype=DOUBLE)
    log_p, bound, kl = decompose(log_joint, inside)
    assert float(log_p - bound - kl) == pytest.approx(0, abs=1e-15)
    outside = decompose(log_joint, torch.tensor([0.0, 0.5, 0.5], dtype=DOUBLE))
    assert (float(outside.elbo), float(outside.kl)) == (-math.inf, math.inf)


@pytest.mark.proves("prop-free-energy")
@pytest.mark.covers("S4-21", "E47")
def test_free_energy_is_energy_minus_entropy_and_surprise_plus_divergence(g):
    log_joint, q = dirichlet(500, 4, g=g).log(), dirichlet(500, 4, g=g)
    F = free_energy(log_joint, q)
    energy, entropy = -(q * log_joint).sum(1), Categorical(q).entropy()
    log_p, bound, kl = decompose(log_joint, q)
    assert (F - (energy - entropy)).abs().max() < 1e-12
    assert (F - (-log_p + kl)).abs().max() < 1e-12
    assert torch.equal(F, -bound)
    assert (F + log_p).min() > 0  # the divergence is no part of -log p


@pytest.mark.proves("prop-e-step")
@pytest.mark.covers("S0-36")
def test_no_distribution_has_a_higher_bound_than_the_posterior(g):
    # Ascent over the softmax of free numbers arrives at the posterior, and at no better bound.
    log_joint = dirichlet(6, g=g).log()

    def loss(free):
        a = torch.from_numpy(free).requires_grad_()
        value = free_energy(log_joint, a.softmax(0))
        return value.item(), torch.autograd.grad(value, a)[0].numpy()

    found = minimize(loss, np.zeros(6), jac=True, options={"gtol": 1e-8})
    assert torch.allclose(torch.from_numpy(found.x).softmax(0), posterior(log_joint), atol=1e-6)
    assert -found.fun == pytest.approx(float(log_joint.logsumexp(0)), abs=1e-12)


def ascent(x, g):
    """EM with the bound written down after every half step, from the public functions."""
    d, phi = x.shape[1], features(x)
    parameters = (
        torch.full((3,), 1 / 3, dtype=DOUBLE),
        randn(3, d, g=g),
        torch.eye(d, dtype=DOUBLE).expand(3, d, d),
    )
    bounds, evidence, r = [], [], dirichlet(len(x), 3, g=g)
    for _ in range(40):
        theta = natural(*parameters)
        log_joint = phi @ theta.T
        bounds.append(elbo(log_joint, r).mean())
        log_p, r = e_step(phi, theta)
        bounds.append(elbo(log_joint, r).mean())
        evidence.append(log_p.mean())
        parameters = m_step(r.T @ phi, d)
    return torch.stack(bounds), torch.stack(evidence)


@pytest.mark.proves("thm-em-monotone")
@pytest.mark.covers("S0-37", "S4-20")
def test_every_half_step_climbs_the_bound_and_every_step_the_likelihood(g):
    bounds, evidence = ascent(blobs(200, g, TRIANGLE / 3), g)
    laws.never_goes_down(bounds, 1e-12)
    laws.never_goes_down(evidence, 1e-12)
    laws.bounds_from_below(bounds[1::2], evidence, touching=True, tolerance=1e-12)
    assert (evidence - bounds[::2]).min() > 1e-8  # before the E step it lies below
    assert evidence[-1] - evidence[0] > 0.1


@pytest.mark.proves("prop-fisher-identity")
def test_the_gradient_of_the_evidence_is_that_of_the_bound_at_the_posterior(g):
    x = blobs(50, g, TRIANGLE / 3)
    free = [randn(3, g=g), randn(3, 2, g=g), randn(3, g=g)]
    for parameter in free:
        parameter.requires_grad_()

    def log_joint():
        a, means, log_scale = free
        normal = Independent(Normal(means, log_scale.exp()[:, None].expand(3, 2)), 1)
        return a.log_softmax(0) + normal.log_prob(x[:, None])

    exact = torch.autograd.grad(log_joint().logsumexp(1).sum(), free)
    at_posterior = torch.autograd.grad(
        elbo(log_joint(), posterior(log_joint()).detach()).sum(), free
    )
    elsewhere = torch.autograd.grad(elbo(log_joint(), dirichlet(50, 3, g=g)).sum(), free)
    for truth, same, other in zip(exact, at_posterior, elsewhere, strict=True):
        assert torch.allclose(truth, same, rtol=1e-10, atol=1e-10)
        assert not torch.allclose(truth, other, rtol=0.05)


@pytest.mark.parametrize(
    ("log_joint", "q", "sentence"),
    [
        ([0.0, 0.0], [0.5, 0.4], "q >= 0 with rows that sum to one"),
        ([0.0, 0.0], [1.5, -0.5], "q >= 0 with rows that sum to one"),
        ([0.0, math.nan], [0.5, 0.5], "without NaN"),
        ([0.0, math.inf], [0.5, 0.5], r"below \+inf"),
        ([0.0, 0.0, 0.0], [0.5, 0.5], r"of one shape, got \(2,\) and \(3,\)"),
        ([-math.inf, -math.inf], [0.5, 0.5], r"p\(x\) = 0"),
    ],
)
def test_what_is_no_joint_or_no_distribution_is_refused(log_joint, q, sentence):
    with pytest.raises(ValueError, match=sentence):
        decompose(torch.tensor(log_joint), torch.tensor(q))


# --- Latent variable models --------------------------------------------------------------------


@pytest.mark.covers("S0-32")
@pytest.mark.parametrize("dim", [1, 2])
def test_quadrature_of_a_linear_gaussian_model_is_the_closed_form(dim, g):
    W, mean, noise = randn(3, dim, g=g), randn(3, g=g), 1.5
    loc, factor = randn(dim, g=g), torch.linalg.cholesky(spd(dim, g=g))
    model = LatentVariableModel(
        MultivariateNormal(loc, scale_tril=factor),
        lambda z: Independent(Normal(z @ W.T + mean, noise), 1),
    )
    covariance = W @ factor @ factor.T @ W.T + noise**2 * torch.eye(3, dtype=DOUBLE)
    truth = MultivariateNormal(mean + W @ loc, covariance)
    x = mean + 2 * randn(50, 3, g=g)
    assert torch.allclose(model.log_prob(x), truth.log_prob(x), rtol=1e-9)
    # The posterior weights give the posterior mean of the closed form.
    M = torch.linalg.inv(factor @ factor.T) + W.T @ W / noise**2
    right = torch.linalg.inv(factor @ factor.T) @ loc + (x - mean) @ W / noise**2
    assert torch.allclose(model.posterior(x) @ model.states, right @ torch.linalg.inv(M), atol=1e-7)


@pytest.mark.covers("S0-33", "E41")
def test_a_decoder_returns_a_distribution_and_the_model_integrates_to_one(g):
    curve = lambda z: torch.stack([z, z**2], 1)
    model = LatentVariableModel(
        Normal(torch.zeros((), dtype=DOUBLE), 1.0),
        lambda z: Independent(Normal(curve(z), 0.5), 1),
        nodes=128,
    )
    laws.integrates_to_one(model, [-7, -5], [7, 40], 256)
    with pytest.raises(TypeError, match=r"return a distribution, got a Tensor\. A density is not"):
        LatentVariableModel(Normal(0.0, 1.0), curve)


@pytest.mark.covers("S0-32")
def test_a_finite_prior_is_summed(g):
    weights, probs = dirichlet(4, g=g), torch.rand(4, 3, dtype=DOUBLE, generator=g)
    model = LatentVariableModel(Categorical(weights), lambda z: Independent(Bernoulli(probs[z]), 1))
    states = torch.cartesian_prod(*[torch.arange(2)] * 3)
    laws.sums_to_one(model, states)
    likelihood = torch.where(states[:, None] == 1, probs, 1 - probs).prod(2)
    by_hand = (likelihood * weights).sum(1)
    assert torch.allclose(model.log_prob(states).exp(), by_hand, rtol=1e-12)
    joint = likelihood * weights
    assert torch.allclose(model.posterior(states), joint / joint.sum(1, keepdim=True))


@pytest.mark.parametrize(
    ("prior", "decoder", "error", "sentence"),
    [
        (Normal(0.0, 1.0), lambda z: Normal(z.sum(), 1.0), ValueError, r"batch shape \(64,\)"),
        (Bernoulli(0.5), lambda z: Normal(z, 1.0), TypeError, "Expected one prior"),
        (Normal(torch.zeros(3), 1.0), lambda z: Normal(z, 1.0), TypeError, "Expected one prior"),
        (
            MultivariateNormal(torch.zeros(3), torch.eye(3)),
            lambda z: Normal(z[:, 0], 1.0),
            ValueError,
            "one or two dimensions, got 3",
        ),
        (  # two priors, not one in two dimensions
            Independent(Normal(torch.zeros(2), torch.ones(2)), 0),
            lambda z: Normal(z, 1.0),
            TypeError,
            "Expected one prior",
        ),
    ],
)
def test_a_latent_variable_model_refuses(prior, decoder, error, sentence):
    with pytest.raises(error, match=sentence):
        LatentVariableModel(prior, decoder)


def test_quadrature_has_no_more_nodes_than_it_has_weights():
    exact = LatentVariableModel(Normal(0.0, 1.0), lambda z: Normal(z, 1.0), nodes=256)
    x = torch.tensor([0.0, 2.0])
    assert torch.allclose(exact.log_prob(x), Normal(0.0, 2**0.5).log_prob(x), atol=1e-5)
    for nodes in (257, 0):
        with pytest.raises(ValueError, match="nodes"):
            LatentVariableModel(Normal(0.0, 1.0), lambda z: Normal(z, 1.0), nodes=nodes)


@pytest.mark.covers("S1-28")
def test_the_posterior_of_naive_bayes_is_that_of_a_mixture_whose_components_are_known(g):
    # Fitted with the classes, evaluated without them: the same p(x), the same p(class | x).
    iris = load_iris()
    x, y = torch.from_numpy(iris.data), torch.from_numpy(iris.target)
    bayes = GaussianNaiveBayes().fit(x, y)
    mixture = GaussianMixture(3, "diagonal", max_iterations=0)
    mixture.fit(x, start=(bayes.prior, bayes.mean, bayes.variance))
    assert torch.allclose(bayes.posterior(x), mixture.responsibilities(x), atol=1e-9)
    assert torch.allclose(bayes.log_prob(x), mixture.log_prob(x), rtol=1e-9)
    log_joint = direct_log_joint(x, bayes.prior, bayes.mean, bayes.variance.diag_embed())
    assert torch.allclose(bayes.posterior(x), posterior(log_joint), atol=1e-12)


# --- The mixture: one E step, one M step -------------------------------------------------------


@structures
@pytest.mark.parametrize("d", [1, 2, 5])
def test_the_product_of_features_and_natural_parameters_is_the_log_joint(structure, d, g):
    x, weights, means = randn(40, d, g=g), dirichlet(3, g=g), randn(3, d, g=g)
    covariances = spd(3, d, g=g)
    if structure in ("diagonal", "spherical"):
        covariances = covariances.diagonal(dim1=1, dim2=2)
    theta = natural(weights, means, covariances)
    full = covariances if covariances.ndim == 3 else covariances.diag_embed()
    log_joint = direct_log_joint(x, weights, means, full)
    assert torch.allclose(features(x, structure) @ theta.T, log_joint, rtol=1e-10)
    log_p, r = e_step(features(x, structure), theta)
    assert torch.allclose(log_p, log_joint.logsumexp(1), rtol=1e-10)
    assert torch.allclose(r, log_joint.softmax(1), atol=1e-12)
    assert torch.allclose(r.sum(1), torch.ones(40, dtype=DOUBLE), atol=1e-14)


@pytest.mark.covers("S0-36")
def test_the_e_step_far_from_every_component_is_still_a_distribution():
    theta = natural(
        torch.tensor([0.5, 0.5, 0.0], dtype=DOUBLE),
        torch.tensor([[0.0], [1.0], [50.0]], dtype=DOUBLE),
        torch.full((3, 1), 1e-6, dtype=DOUBLE),
    )
    log_p, r = e_step(features(torch.tensor([[1e6]], dtype=DOUBLE), "diagonal"), theta)
    assert torch.allclose(r, torch.tensor([[0.0, 1.0, 0.0]], dtype=DOUBLE))
    assert -math.inf < float(log_p) < -1e17


def objective(x, r, weights, means, covariances):
    """Σᵢ_k rᵢ_k log π_k N(xᵢ; μ_k, Σ_k) from the definition."""
    return float((r * direct_log_joint(x, weights, means, covariances)).sum())


def as_full(covariances, d):
    return covariances if covariances.ndim == 3 else covariances.diag_embed()


@pytest.mark.proves("prop-m-step-mixture")
@pytest.mark.covers("S0-37")
@structures
def test_the_m_step_is_the_maximum_over_all_parameters(structure, g):
    x, r = randn(60, 2, g=g) @ spd(2, g=g), dirichlet(60, 3, g=g)
    found = m_step(r.T @ features(x, structure), 2, structure, floor=1e-9)
    weights, means, covariances = found
    best = objective(x, r, weights, means, as_full(covariances, 2))
    if structure == "full":
        for k in range(3):
            assert torch.allclose(weights[k], r[:, k].mean())
            assert torch.allclose(means[k], (r[:, k : k + 1] * x).sum(0) / r[:, k].sum())
            centred = x - means[k]
            weighted = (r[:, k, None, None] * centred[:, :, None] * centred[:, None]).sum(0)
            assert torch.allclose(covariances[k], weighted / r[:, k].sum(), rtol=1e-9)
    for i in range(60):
        size = 10 ** -(1 + i % 3)
        w = (weights.log() + size * randn(3, g=g)).softmax(0)
        m = means + size * randn(3, 2, g=g)
        if structure in ("full", "tied"):
            turn = torch.eye(2, dtype=DOUBLE)
            turn = turn + size * randn(3 if structure == "full" else 1, 2, 2, g=g)
            c = turn @ covariances @ turn.mT
        elif structure == "diagonal":
            c = covariances * (size * randn(3, 2, g=g)).exp()
        else:
            c = covariances * (size * randn(3, 1, g=g)).exp()
        for trial in ((w, means, covariances), (weights, m, covariances), (weights, means, c)):
            assert objective(x, r, trial[0], trial[1], as_full(trial[2], 2)) < best


@pytest.mark.proves("prop-covariance-floor")
def test_clamped_eigenvalues_are_the_maximum_under_the_constraint(g):
    # S = diag(4, 0.01) turned, floor 0.5: no other Σ ⪰ 0.5 I has a higher likelihood.
    turn, _ = torch.linalg.qr(randn(2, 2, g=g))
    S, floor = turn @ torch.diag(torch.tensor([4.0, 0.01], dtype=DOUBLE)) @ turn.T, 0.5
    value = lambda C: float(-torch.logdet(C) - torch.trace(torch.linalg.solve(C, S)))
    best = clamped(S, floor)
    assert torch.allclose(torch.linalg.eigvalsh(best), torch.tensor([0.5, 4.0], dtype=DOUBLE))
    added = S + floor * torch.eye(2, dtype=DOUBLE)  # what scikit-learn does: not the maximum
    assert value(added) < value(best) - 1e-3
    for i in range(300):
        root = randn(2, 2, g=g) * 10 ** (-(i % 4) / 2)
        C = floor * torch.eye(2, dtype=DOUBLE) + root @ root.T
        assert value(C) < value(best)
        near = clamped(best + 1e-3 * (root + root.T), floor)
        assert value(near) <= value(best) + 1e-12
    assert torch.equal(clamped(S, 0.001), S)


@pytest.mark.proves("prop-covariance-floor", "thm-em-monotone")
@pytest.mark.covers("S0-37")
@structures
@pytest.mark.parametrize("floor", [1e-6, 0.05, 0.5])
def test_with_a_floor_em_is_still_monotone(structure, floor, g):
    # 12 points a component of which some are doubled: without a floor it would collapse.
    x = randn(24, 2, g=g).repeat(2, 1)
    for seed in range(5):
        model = GaussianMixture(8, structure, floor=floor, tol=0, max_iterations=200)
        model.fit(x, generator=torch.Generator().manual_seed(seed))
        laws.never_goes_down(model.history)
        scaled = as_full(model._parameters[2], 2)
        assert torch.linalg.eigvalsh(scaled).min() >= floor * (1 - 1e-9)
        if floor == 0.5 or (structure, floor) == ("full", 0.05):
            assert torch.linalg.eigvalsh(scaled).min() <= floor * (1 + 1e-9), "it never mattered"


# --- The mixture: fits -------------------------------------------------------------------------


def start_of(x, k, structure, g):
    d = x.shape[1]
    weights, means = torch.full((k,), 1 / k, dtype=DOUBLE), plus_plus(x, k, generator=g)
    variance = x.var(0).mean()
    covariances = {
        "full": variance * torch.eye(d, dtype=DOUBLE).expand(k, d, d),
        "tied": variance * torch.eye(d, dtype=DOUBLE),
        "diagonal": variance.expand(k, d),
        "spherical": variance.expand(k),
    }[structure]
    return weights, means, covariances


@structures
def test_the_same_steps_as_scikit_learn(structure, g):
    x = torch.from_numpy(load_iris().data)
    start = start_of(x, 3, structure, g)
    ours = GaussianMixture(3, structure, floor=1e-8, tol=0, max_iterations=25).fit(x, start=start)
    covariances = start[2].numpy()
    with pytest.warns(UserWarning, match="did not converge"):
        theirs = SklearnMixture(
            3,
            covariance_type={"diagonal": "diag"}.get(structure, structure),
            reg_covar=0,
            tol=0,
            max_iter=25,
            weights_init=start[0].numpy(),
            means_init=start[1].numpy(),
            precisions_init=np.linalg.inv(covariances)
            if structure in ("full", "tied")
            else 1 / covariances,
            init_params="random_from_data",
            random_state=0,
        ).fit(x.numpy())
    assert np.allclose(ours.weights, theirs.weights_, atol=1e-6)
    assert np.allclose(ours.means, theirs.means_, atol=1e-6)
    assert np.allclose(ours.covariances, theirs.covariances_, atol=1e-6)
    assert np.allclose(ours.log_prob(x), theirs.score_samples(x.numpy()), atol=1e-6)
    assert np.allclose(ours.responsibilities(x), theirs.predict_proba(x.numpy()), atol=1e-6)
    assert ours.bic(x) == pytest.approx(theirs.bic(x.numpy()), rel=1e-8)
    assert ours.parameters == theirs._n_parameters()
    assert ours.history[-1] == pytest.approx(float(ours.log_prob(x).mean()), abs=1e-9)
    assert len(ours.history) == 26


@pytest.mark.covers("S1-41")
def test_thirty_gaussians_on_an_annulus(g):
    # 900 points, K = 30; e16: inside 0.949 to 0.956, held out -1.60 beside -log area = -1.368.
    truth = data.Annulus(1, 1.5)
    x, held_out = (
        truth.sample(900, generator=g).double(),
        truth.sample(20_000, generator=g).double(),
    )
    model = GaussianMixture(30, floor=1e-3, tol=1e-6).fit(x, generator=g)
    laws.never_goes_down(model.history)
    log_area = math.log(math.pi * (1.5**2 - 1))
    radius = model.sample(20_000, generator=g).norm(dim=1)
    inside = ((radius > 1) & (radius < 1.5)).double().mean()
    assert 0.93 < inside < 0.97
    train, test = model.history[-1], float(model.log_prob(held_out).mean())
    assert -1.65 < test < -1.5 < -log_area < train  # it scores above the truth, where it was fitted
    laws.integrates_to_one(model, [-2.5, -2.5], [2.5, 2.5])


@pytest.mark.proves("prop-mixture-rate")
@pytest.mark.covers("S1-44", "E13")
def test_a_well_specified_mixture_converges_at_the_parametric_rate(g):
    truth = MixtureSameFamily(
        Categorical(torch.tensor([0.4, 0.6], dtype=DOUBLE)),
        Normal(torch.tensor([-2.0, 1.5], dtype=DOUBLE), torch.tensor([0.7, 1.0], dtype=DOUBLE)),
    )
    grid = torch.linspace(-9, 9, 4001, dtype=DOUBLE)
    p = truth.log_prob(grid).exp()
    sizes, errors = [200, 800, 3200, 12_800], []
    for n in sizes:
        tv = []
        for _ in range(24):
            component = (torch.rand(n, dtype=DOUBLE, generator=g) < 0.6).long()
            loc, scale = truth.component_distribution.loc, truth.component_distribution.scale
            x = loc[component] + scale[component] * randn(n, g=g)
            model = GaussianMixture(2, floor=1e-3, tol=1e-8)
            model.fit(x, start=torch.tensor([-2.0, 1.5], dtype=DOUBLE))
            tv.append(float(torch.trapezoid((model.log_prob(grid).exp() - p).abs(), grid) / 2))
        errors.append(tv)
    means = torch.tensor(errors).mean(1)
    # The slope with its standard error from the spread of the repetitions.
    slopes = torch.tensor([slope(sizes, e) for e in torch.tensor(errors).T])
    assert abs(slope(sizes, means) + 0.5) < 4 * float(slopes.std()) / math.sqrt(24)
    assert float(slopes.std()) / math.sqrt(24) < 0.05, "the test is blind"
    assert errors[-1] < errors[0]


@pytest.mark.covers("S1-44", "E13")
def test_a_fixed_number_of_components_has_a_floor_which_falls_with_the_number():
    # The uniform density on [-1, 1] is no finite mixture; equispaced ones come closer like 1/K.
    grid = torch.linspace(-3, 3, 60_001, dtype=DOUBLE)
    uniform = (grid.abs() < 1).double() / 2
    tv = []
    for k in (2, 4, 8, 16, 32, 64):
        means = -1 + (2 * torch.arange(k, dtype=DOUBLE) + 1) / k
        weights, variances = torch.full((k,), 1 / k, dtype=DOUBLE), torch.full((k,), 1.44 / k**2)
        model = GaussianMixture(k, max_iterations=0)
        model.fit(means, start=(weights, means, variances.double()))
        tv.append(float(torch.trapezoid((model.log_prob(grid).exp() - uniform).abs(), grid) / 2))
    assert tv == pytest.approx([0.2085, 0.1043, 0.0524, 0.0265, 0.0135, 0.0070], abs=4e-4)


@pytest.mark.proves("prop-unbounded-likelihood")
@pytest.mark.covers("S1-44", "E13")
def test_a_component_on_one_point_lifts_the_likelihood_without_bound(g):
    # e11: the total grows by log 1/σ for the one point, the others keep half of the wide component.
    x = randn(50, g=g)
    total = [
        float(
            torch.logaddexp(
                math.log(0.5) + Normal(0.0, 1.0).log_prob(x),
                math.log(0.5) + Normal(x[0], s).log_prob(x),
            ).sum()
        )
        for s in (1e-30, 1e-100, 1e-150)
    ]
    assert total[1] - total[0] == pytest.approx(70 * math.log(10), rel=1e-3)
    assert total[2] - total[1] == pytest.approx(50 * math.log(10), rel=1e-3)
    # EM finds such a spike when it is allowed to: the maximum is the floor's.
    spread = float(x.var(correction=0))
    found = []
    for floor in (1e-4, 1e-6, 1e-8):
        start = (
            torch.tensor([0.5, 0.5]),
            torch.stack([torch.zeros((), dtype=DOUBLE), x[0]]),
            torch.tensor([1.0, floor * spread]),
        )
        model = GaussianMixture(2, floor=floor).fit(x, start=start)
        laws.never_goes_down(model.history, 1e-7)
        found.append(model.history[-1])
        assert float(model.covariances.min()) == pytest.approx(floor * spread)
    assert found == sorted(found)
    # Each factor of 100 in the floor is a factor of 10 in the density at one of 50 points.
    assert found[2] - found[1] == pytest.approx(math.log(10) / 50, rel=0.05)


@pytest.mark.proves("prop-label-switching")
@pytest.mark.covers("S1-44", "E14")
def test_the_density_does_not_change_when_the_components_are_renamed(g):
    x = blobs(90, g, TRIANGLE)
    model = GaussianMixture(3, max_iterations=0).fit(x, start=start_of(x, 3, "full", g))
    fitted = GaussianMixture(3).fit(x, generator=g)
    seen = set()
    for order in torch.tensor([[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]]):
        renamed = (fitted.weights[order], fitted.means[order], fitted.covariances[order])
        model.fit(x, start=renamed)
        assert torch.allclose(model.log_prob(x), fitted.log_prob(x), rtol=1e-10)
        assert torch.allclose(model.responsibilities(x), fitted.responsibilities(x)[:, order])
        seen.add(tuple(model.means.flatten().tolist()))
    assert len(seen) == math.factorial(3)  # six points of the parameter space, one density


@pytest.mark.proves("prop-saddle")
@pytest.mark.covers("E34")
def test_from_equal_means_em_cannot_leave(g):
    # e11: stuck at -2.5772, the likelihood of one Gaussian; -2.1156 from a generic start.
    x = 6 * torch.randint(2, (2000,), generator=g).double() - 3 + randn(2000, g=g)
    half, ones = torch.tensor([0.5, 0.5]), torch.ones(2)
    stuck = GaussianMixture(2).fit(x, start=(half, torch.zeros(2), ones))
    laws.never_goes_down(stuck.history)
    assert stuck.converged
    assert float(stuck.means[0]) == float(stuck.means[1])
    one = GaussianMixture(1).fit(x)
    assert stuck.history[-1] == pytest.approx(one.history[-1], abs=1e-9)
    assert stuck.history[-1] == pytest.approx(-2.577, abs=0.02)
    # Not a maximum: means m ± δ with variance S − δ² do better however small δ is, like δ⁴, so
    # that EM leaves the neighbourhood very slowly, and from m ± ½ it climbs to the top.
    middle, spread = float(x.mean()), float(x.var(correction=0))
    gains = []
    for delta in (0.2, 0.1):
        means = torch.tensor([middle - delta, middle + delta], dtype=DOUBLE)
        model = GaussianMixture(2, max_iterations=0)
        model.fit(x, start=(half, means, (spread - delta**2) * ones.double()))
        gains.append(model.history[0] - one.history[-1])
    assert gains[1] > 1e-8
    assert gains[0] / gains[1] == pytest.approx(16, rel=0.05)
    nudged = GaussianMixture(2, tol=0).fit(x, start=torch.tensor([middle - 0.5, middle + 0.5]))
    generic = GaussianMixture(2).fit(x, generator=g)
    assert nudged.history[-1] == pytest.approx(generic.history[-1], abs=1e-4)
    assert generic.history[-1] == pytest.approx(-2.1156, abs=0.04)
    assert generic.history[-1] > stuck.history[-1] + 0.4


@pytest.mark.covers("S1-43", "E14")
@pytest.mark.parametrize("d", [0, 2])
def test_gradient_ascent_finds_the_same_optimum_as_em(d, g):
    # e11: EM -1.891799, BFGS -1.891798 a point.
    if d == 0:
        low = torch.rand(800, dtype=DOUBLE, generator=g) < 0.4
        x = torch.where(low, -2 + 0.7 * randn(800, g=g), 1.5 + randn(800, g=g))
        start = torch.tensor([-1.0, 1.0], dtype=DOUBLE)
    else:
        x, start = blobs(300, g, TRIANGLE), TRIANGLE + 1
    em = GaussianMixture(len(start), tol=1e-12, max_iterations=5000).fit(x, start=start)
    gradient = gradient_ascent(x, len(start), start=start)
    laws.never_goes_down(gradient.history)
    assert gradient.history[0] == pytest.approx(em.history[0], abs=1e-10)
    assert gradient.history[-1] == pytest.approx(em.history[-1], abs=2e-6)
    assert gradient.history[-1] == pytest.approx(float(gradient.log_prob(x).mean()), abs=1e-9)
    assert torch.allclose(gradient.means, em.means, atol=1e-3)
    assert torch.allclose(gradient.covariances, em.covariances, atol=1e-3)


@pytest.mark.proves("prop-bic")
@pytest.mark.covers("S1-44")
def test_bic_and_the_held_out_likelihood_choose_three_components_for_three_blobs(g):
    x, held_out = blobs(600, g, TRIANGLE), blobs(3000, g, TRIANGLE)
    models = {k: GaussianMixture(k, starts=4, tol=1e-6).fit(x, generator=g) for k in range(1, 7)}
    bic = {k: model.bic(x) for k, model in models.items()}
    by_hand = -2 * float(models[3].log_prob(x).sum()) + (2 + 6 + 9) * math.log(600)
    assert bic[3] == pytest.approx(by_hand)
    assert min(bic, key=bic.get) == 3
    train = [model.history[-1] for model in models.values()]
    assert max(range(6), key=train.__getitem__) > 3  # the training likelihood asks for more
    test = {k: float(model.log_prob(held_out).mean()) for k, model in models.items()}
    assert max(test, key=test.get) == 3


@pytest.mark.proves("prop-bic")
def test_bic_is_the_log_evidence_to_a_bounded_error(g):
    # x ~ N(μ, 1) with prior μ ~ N(0, 1) has an exact evidence: −BIC/2 differs by O(1).
    gaps = []
    for n in (100, 1000, 10_000, 100_000):
        x = 0.7 + randn(n, g=g)
        mean = float(x.mean())
        best = float(Normal(mean, 1.0).log_prob(x).sum())
        exact = best - 0.5 * math.log(n + 1) - 0.5 * mean**2 * n / (n + 1)
        gaps.append(best - 0.5 * math.log(n) - exact)
    limit = 0.5 * 0.7**2  # −log prior density at μ, up to ½ log 2π
    assert gaps == pytest.approx([limit] * 4, abs=0.2)
    assert gaps[-1] == pytest.approx(limit, abs=0.02)


# --- k-means -----------------------------------------------------------------------------------


@pytest.mark.proves("prop-kmeans-limit")
@pytest.mark.covers("S3-02")
def test_em_with_narrow_components_assigns_like_k_means(g):
    # Equal weights and Σ = σ² I held fixed: the E step becomes the nearest centre as σ → 0.
    x, start = blobs(150, g, TRIANGLE / 2), randn(3, 2, g=g)
    expected = kmeans(x, 3, start=start)
    weights = torch.full((3,), 1 / 3, dtype=DOUBLE)
    disagree = []
    for sigma in (2.0, 0.5, 0.1, 0.01):
        means = start
        for _ in range(60):
            theta = natural(weights, means, torch.full((3, 2), sigma**2, dtype=DOUBLE))
            _, r = e_step(features(x, "spherical"), theta)
            means = m_step(r.T @ features(x, "spherical"), 2, "spherical")[1]
        hard = torch.nn.functional.one_hot(expected.labels, 3)
        disagree.append(float((r - hard).abs().sum(1).mean()) / 2)
    assert disagree[-1] < 1e-6
    assert torch.allclose(means, expected.centres, atol=1e-6)
    assert disagree[0] > 0.1
    assert disagree == sorted(disagree, reverse=True)


def test_k_means_like_scikit_learn_and_never_up(g):
    x = torch.from_numpy(load_iris().data)
    start = plus_plus(x, 3, generator=g)
    centres, labels, history = kmeans(x, 3, start=start)
    theirs = SklearnKMeans(3, init=start.numpy(), n_init=1, tol=0, algorithm="lloyd").fit(x.numpy())
    assert np.allclose(centres, theirs.cluster_centers_, atol=1e-9)
    assert np.array_equal(labels, theirs.labels_)
    assert history[-1] * len(x) == pytest.approx(theirs.inertia_)
    laws.never_goes_down([-j for j in history], 0)


def test_k_means_at_an_offset_with_duplicates_and_with_too_few_points(g):
    x = blobs(100, g, TRIANGLE)
    here, there = kmeans(x, 3, start=x[:3]), kmeans(x + 1e8, 3, start=x[:3] + 1e8)
    assert torch.equal(here.labels, there.labels)
    assert there.history[-1] == pytest.approx(here.history[-1], rel=1e-6)
    few = kmeans(torch.tensor([1.0, 1.0, 5.0]), 4, generator=g)
    assert few.history[-1] == 0
    assert few.centres.isfinite().all()
    assert few.centres.dtype == torch.float32
    assert kmeans(torch.tensor([2, 4]), 1).centres.tolist() == [3.0]


def test_plus_plus_draws_proportionally_to_the_squared_distance():
    x = torch.tensor([0.0, 1.0, 3.0], dtype=DOUBLE)
    seen = torch.zeros(3, 3, dtype=DOUBLE)
    g = torch.Generator().manual_seed(4)
    n = 6000
    for _ in range(n):
        a, b = plus_plus(x, 2, generator=g)
        seen[(x == a).nonzero()[0], (x == b).nonzero()[0]] += 1
    square = (x[:, None] - x) ** 2
    expected = n / 3 * square / square.sum(1, keepdim=True)
    z = (seen - expected) / (expected.clamp_min(1e-9) * (1 - expected / n)).sqrt()
    assert z[expected > 0].abs().max() < 4
    assert (seen[expected == 0] == 0).all()


# --- The mixture: what data may look like ------------------------------------------------------


def hard_cases() -> dict[str, torch.Tensor]:
    g = torch.Generator().manual_seed(0)
    return {
        "two distinct points": torch.tensor([[0.0, 0.0], [1.0, 2.0]], dtype=DOUBLE).repeat(20, 1),
        "duplicates": randn(10, 2, g=g).repeat(10, 1),
        "fewer rows than components": randn(2, 2, g=g),
        "one row": randn(1, 2, g=g),
        "a constant column": torch.cat([randn(50, 2, g=g), torch.full((50, 1), 3.3)], 1),
        "only constant columns": torch.full((50, 2), 1e8 + 0.1, dtype=DOUBLE),
        "an offset of 1e8": 1e8 + randn(500, 2, g=g),
        "float32 of size 1e4": 1e4 * randn(500, 2, g=g).float(),
        "the line": randn(60, g=g),
        "very small": 1e-90 * randn(50, 2, g=g),
        "very large": 1e90 * randn(50, 2, g=g),
        "an outlier": torch.cat([randn(200, 2, g=g), torch.full((1, 2), 1e6, dtype=DOUBLE)]),
        "collinear columns": randn(100, 1, g=g) @ torch.tensor([[1.0, 2.0, 3.0]], dtype=DOUBLE),
        "whole numbers": torch.randint(0, 3, (40, 2), generator=g),
    }


@structures
@pytest.mark.parametrize("name", hard_cases())
def test_whatever_the_data_the_fit_is_finite_and_monotone(name, structure):
    x = hard_cases()[name]
    model = GaussianMixture(3, structure, tol=0, max_iterations=100)
    model.fit(x, generator=torch.Generator().manual_seed(3))
    if len(model.history) > 1:
        laws.never_goes_down(model.history)
    r = model.responsibilities(x)
    for value in (model.weights, model.means, model.covariances, model.log_prob(x), r):
        assert value.isfinite().all()
    assert torch.allclose(r.sum(1), torch.ones(len(x), dtype=r.dtype))
    draws = model.sample(100, generator=torch.Generator().manual_seed(3))
    assert draws.isfinite().all()
    assert draws.dtype == (x.dtype if x.is_floating_point() else DOUBLE)


def test_at_an_offset_of_1e8_the_variance_is_right_to_one_per_cent(g):
    x = randn(2000, 2, g=g)
    model = GaussianMixture(1).fit(x + 1e8)
    assert torch.allclose(model.covariances[0], torch.cov(x.T, correction=0), rtol=1e-2, atol=1e-4)


def test_a_fit_does_not_depend_on_the_units_of_the_columns(g):
    x, unit = blobs(200, g, TRIANGLE), torch.tensor([1e-6, 1e5], dtype=DOUBLE)
    a = GaussianMixture(3, floor=0.01).fit(x, start=x[:3])
    b = GaussianMixture(3, floor=0.01).fit(x * unit, start=x[:3] * unit)
    assert torch.allclose(a.means * unit, b.means, rtol=1e-6)
    assert torch.allclose(a.log_prob(x) - unit.log().sum(), b.log_prob(x * unit), rtol=1e-6)


@structures
def test_a_start_is_kept_and_comes_back(structure, g):
    x = blobs(50, g, TRIANGLE)
    start = start_of(x, 3, structure, g)
    model = GaussianMixture(3, structure, max_iterations=0).fit(x, start=start)
    for given, kept in zip(start, (model.weights, model.means, model.covariances), strict=True):
        assert torch.allclose(given, kept, rtol=1e-10)
    assert not model.converged
    assert len(model.history) == 1


def test_on_the_line_the_parameters_have_the_shapes_of_the_event(g):
    x = torch.cat([randn(40, g=g), 5 + randn(40, g=g)])
    for structure in STRUCTURES:
        model = GaussianMixture(2, structure).fit(x, generator=g)
        assert tuple(model.means.shape) == (2,)
        assert tuple(model.covariances.shape) == (() if structure == "tied" else (2,))
        again = GaussianMixture(2, structure, max_iterations=0)
        again.fit(x, start=(model.weights, model.means, model.covariances))
        assert torch.allclose(again.log_prob(x), model.log_prob(x), rtol=1e-9)


def test_the_best_of_several_starts_is_kept(g):
    x = blobs(100, g, torch.cat([TRIANGLE, TRIANGLE + 20]))
    one = [
        GaussianMixture(6, max_iterations=20).fit(x, generator=s).history[-1]
        for s in [torch.Generator().manual_seed(1)]
        for _ in range(8)
    ]
    best = GaussianMixture(6, max_iterations=20, starts=8)
    assert best.fit(x, generator=torch.Generator().manual_seed(1)).history[-1] == max(one)
    assert min(one) < max(one)


@structures
def test_the_log_density_has_a_gradient(structure, g):
    model = GaussianMixture(3, structure).fit(blobs(60, g, TRIANGLE), generator=g)
    x = randn(4, 2, g=g).requires_grad_()
    assert torch.autograd.gradcheck(model.log_prob, (x,))


def test_blocks_of_rows_change_nothing(g, monkeypatch):
    x = randn(3000, 3, g=g)
    whole = GaussianMixture(4, max_iterations=5).fit(x, start=x[:4])
    monkeypatch.setattr("genlab.em.mixture.BLOCK", 1)  # the least is 256 rows
    parts = GaussianMixture(4, max_iterations=5).fit(x, start=x[:4])
    assert torch.allclose(whole.means, parts.means, atol=1e-12)
    assert torch.allclose(whole.log_prob(x), parts.log_prob(x), atol=1e-12)


def coin_chain() -> HiddenMarkovModel:
    half = torch.full((2, 2), 0.5)
    return HiddenMarkovModel(2, 2, initial=half[0], transition=half, emission=half)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: GaussianMixture(0), "Expected k as an integer >= 1, got 0"),
        (lambda: GaussianMixture(2.0), "Expected k as an integer"),
        (lambda: GaussianMixture(2, "round"), "Expected a covariance among"),
        (lambda: GaussianMixture(2, floor=0), "Expected a floor between 1e-8 and 1, got 0"),
        (lambda: GaussianMixture(2, floor=math.nan), "Expected a floor"),
        (lambda: GaussianMixture(2, tol=-1), "Expected tol >= 0"),
        (lambda: GaussianMixture(2, max_iterations=-1), "Expected max_iterations"),
        (lambda: GaussianMixture(2, starts=0), "Expected starts as an integer >= 1"),
        (lambda: kmeans(torch.zeros(3), 0), "Expected k as an integer >= 1"),
        (lambda: kmeans(torch.zeros(3), 2, start=torch.zeros(3)), "a start of 2 points"),
        (lambda: plus_plus(torch.zeros(3), 0), "Expected k as an integer >= 1"),
        (lambda: gradient_ascent(torch.zeros(3), 2, steps=0), "Expected steps as an integer"),
        (
            lambda: gradient_ascent(
                torch.arange(3), 2, start=(torch.tensor([1, 0]), torch.arange(2), torch.ones(2))
            ),
            "Expected weights > 0",
        ),
        (lambda: coin_chain().log_prob(torch.zeros(2, 0)), r"with T >= 1, got \(2, 0\)"),
        (lambda: coin_chain().log_prob(torch.zeros(3)), r"with T >= 1, got \(3,\)"),
        (lambda: GaussianMixture(1).fit(torch.arange(3)).bic([]), "at least one row"),
        (lambda: FactorAnalysis(1).fit(1e200 * torch.eye(3).double()), "overflow. Rescale"),
        (lambda: HiddenMarkovModel(0, 2), "Expected states as an integer"),
        (lambda: HiddenMarkovModel(2, 2, initial=torch.ones(2) / 2), "together, or none"),
        (lambda: ProbabilisticPCA(0), "Expected dim as an integer"),
        (lambda: ProbabilisticPCA(1, "svd"), 'Expected a method "eigen" or "em"'),
        (lambda: FactorAnalysis(1, floor=0), "Expected a floor between 0 and 1"),
    ],
)
def test_parameters_that_are_refused(make, sentence):
    with pytest.raises(ValueError, match=sentence):
        make()


@pytest.mark.parametrize(
    ("start", "sentence"),
    [
        (torch.zeros(3, 2), "a start of 2 points, one a component, got 3"),
        (torch.zeros(2), "Expected points of shape"),
        (torch.full((2, 2), math.nan), "NaN or infinite"),
        ((torch.ones(2), torch.zeros(2, 2)), r"\(weights, means, covariances\)"),
        ((torch.ones(2), torch.zeros(2, 2), torch.eye(2).expand(2, 2, 2)), "2 weights >= 0"),
        ((torch.ones(2) / 2, torch.zeros(2, 2), torch.eye(2)), r"covariances of shape \(2, 2, 2\)"),
        (
            (torch.ones(2) / 2, torch.zeros(2, 2), torch.tensor([[[1.0, 0.5], [0, 1]]] * 2)),
            "symmetric",
        ),
    ],
)
def test_starts_that_are_refused(start, sentence, g):
    with pytest.raises(ValueError, match=sentence):
        GaussianMixture(2).fit(randn(20, 2, g=g), start=start)
    with pytest.raises(ValueError, match="Expected one start"):
        GaussianMixture(2, starts=2).fit(randn(20, 2, g=g), start=torch.zeros(2, 2))


def test_data_beyond_all_measure_are_refused():
    with pytest.raises(ValueError, match=r"between 1e-100 and 1e100, .* Rescale the data"):
        GaussianMixture(1).fit(torch.tensor([0.0, 1e200], dtype=DOUBLE))


# --- Rounded data ------------------------------------------------------------------------------


def test_an_interval_has_its_probability_in_both_tails(g):
    a = torch.tensor([-40.0, -1.0, 3.0, 30.0, 0.0, -0.5], dtype=DOUBLE)
    b = torch.tensor([-39.0, 1.0, 3.5, 31.0, math.inf, 0.5], dtype=DOUBLE)
    got = log_interval(a, b)
    assert torch.allclose(got, log_interval(-b, -a), rtol=1e-14)
    assert np.allclose(got[[1, 2, 5]].exp(), norm.cdf(b[[1, 2, 5]]) - norm.cdf(a[[1, 2, 5]]))
    # Far out, by the normalising constant of scipy's truncated normal.
    x = 30.5
    assert float(got[3]) == pytest.approx(norm.logpdf(x) - truncnorm.logpdf(x, 30, 31), rel=1e-9)
    assert float(log_interval(a[:1] * 0 - math.inf, b[:1] * 0)) == pytest.approx(math.log(0.5))
    assert log_interval(a[3:4] * 1e200, b[3:4] * 1e200) == -math.inf


@pytest.mark.parametrize("structure", ["diagonal", "spherical"])
def test_the_cells_of_a_grid_have_all_the_mass_and_each_its_integral(structure, g):
    model = GaussianMixture(3, structure).fit(blobs(80, g, TRIANGLE / 4), generator=g)
    edges = torch.tensor([-math.inf, -1.0, 0.0, 1.5, math.inf], dtype=DOUBLE)
    low = torch.cartesian_prod(edges[:-1], edges[:-1])
    high = torch.cartesian_prod(edges[1:], edges[1:])
    log_p = binned_log_prob(model, low, high)
    assert float(log_p.exp().sum()) == pytest.approx(1, abs=1e-12)
    inner = (low.isfinite() & high.isfinite()).all(1)
    t, w = map(torch.from_numpy, np.polynomial.legendre.leggauss(24))
    for a, b, p in zip(low[inner], high[inner], log_p[inner].exp(), strict=True):
        points = (a + b) / 2 + torch.cartesian_prod(t, t) * (b - a) / 2
        mass = (torch.cartesian_prod(w, w).prod(1) * model.log_prob(points).exp()).sum()
        assert float(mass * (b - a).prod() / 4) == pytest.approx(float(p), rel=1e-9)


def test_binned_log_prob_refuses(g):
    x = randn(20, 2, g=g)
    full, diagonal = GaussianMixture(1).fit(x), GaussianMixture(1, "diagonal").fit(x)
    with pytest.raises(ValueError, match="a product only then"):
        binned_log_prob(full, x, x + 1)
    with pytest.raises(ValueError, match=r"Expected corners of shape \(batch, 2\)"):
        binned_log_prob(diagonal, x[:, :1], x[:, :1] + 1)
    with pytest.raises(ValueError, match="Expected low < high"):
        binned_log_prob(diagonal, x, x)


def test_digits_beat_the_histogram_of_each_pixel(g):
    # In nats an image of whole grey values 0 to 16: first 1000 train, last 447 test.
    x = torch.from_numpy(load_digits().data)
    train, test = x[:1000], x[1350:]
    counts = torch.stack([(train == v).double().sum(0) for v in range(17)]) + 0.1
    pixels = (counts / counts.sum(0)).log()
    histogram = -float(pixels.gather(0, test.long()).sum(1).mean())
    assert histogram == pytest.approx(106.3, abs=0.05)
    uniform = torch.rand(train.shape, dtype=DOUBLE, generator=g) - 0.5
    model = GaussianMixture(100, "diagonal", floor=0.6, tol=1e-4).fit(train + uniform, generator=g)
    low = torch.where(test == 0, -math.inf, test - 0.5)
    high = torch.where(test == 16, math.inf, test + 0.5)
    nats = -float(binned_log_prob(model, low, high).mean())
    assert nats < 101.5
    # The 17 values of one pixel, the others open, are a distribution.
    value = torch.arange(17, dtype=DOUBLE)
    low, high = (torch.full((17, 64), v, dtype=DOUBLE) for v in (-math.inf, math.inf))
    low[1:, 20], high[:-1, 20] = value[1:] - 0.5, value[:-1] + 0.5
    assert float(binned_log_prob(model, low, high).exp().sum()) == pytest.approx(1, abs=1e-12)


# --- Hidden Markov models ----------------------------------------------------------------------

S, M, T = 3, 2, 5
PATHS = torch.cartesian_prod(*[torch.arange(S)] * T)
SEQUENCES = torch.cartesian_prod(*[torch.arange(M)] * T)


def chain(g, zeros: bool = False) -> HiddenMarkovModel:
    A = dirichlet(S, S, g=g)
    if zeros:  # from left to right
        A = A.triu() / A.triu().sum(1, keepdim=True)
    initial = torch.tensor([1.0, 0.0, 0.0]) if zeros else dirichlet(S, g=g)
    return HiddenMarkovModel(
        S, M, initial=initial, transition=A, emission=dirichlet(S, M, g=g), length=T
    )


def enumerated(model: HiddenMarkovModel) -> torch.Tensor:
    """log p(x, z) for every sequence and every path, from the definition."""
    z, x = PATHS[None], SEQUENCES[:, None]
    log_p = model.initial.log()[z[..., 0]] + model.emission.log()[z[..., 0], x[..., 0]]
    for t in range(1, T):
        log_p = log_p + model.transition.log()[z[..., t - 1], z[..., t]]
        log_p = log_p + model.emission.log()[z[..., t], x[..., t]]
    return log_p


@pytest.mark.proves("thm-forward-backward")
@pytest.mark.covers("S1-28")
@pytest.mark.parametrize("zeros", [False, True])
def test_forward_and_backward_are_the_sums_over_all_paths(zeros, g):
    model = chain(g, zeros)
    joint = enumerated(model)
    log_p = joint.logsumexp(1)
    assert torch.allclose(model.log_prob(SEQUENCES), log_p, rtol=1e-12)
    laws.sums_to_one(model, SEQUENCES)
    both = (model.forward(SEQUENCES) + model.backward(SEQUENCES)).logsumexp(2)
    assert torch.allclose(both, log_p[:, None].expand(-1, T), rtol=1e-12)  # at every t
    for t in range(T):
        for s in range(S):
            share = (joint.exp() * (PATHS[:, t] == s)).sum(1) / joint.exp().sum(1)
            assert torch.allclose(model.posterior(SEQUENCES)[:, t, s], share, atol=1e-14)
    # αₜ(z) is the joint of the first t symbols and zₜ: summed over the symbols that follow.
    t, s = 2, 1
    alpha = (joint.exp() * (PATHS[:, t] == s)).sum(1).reshape(M ** (t + 1), -1).sum(1)
    first = model.forward(SEQUENCES)[:: M ** (T - t - 1), t, s].exp()
    assert torch.allclose(first, alpha, rtol=1e-12)


@pytest.mark.proves("thm-forward-backward")
@pytest.mark.parametrize("zeros", [False, True])
def test_the_viterbi_path_is_the_best_of_all(zeros, g):
    model = chain(g, zeros)
    joint = enumerated(model)
    path, log_p = model.viterbi(SEQUENCES)
    assert torch.allclose(log_p, joint.max(1).values, rtol=1e-12)
    assert torch.equal(path, PATHS[joint.argmax(1)])


def test_a_long_sequence_does_not_underflow(g):
    tables = {"initial": dirichlet(S, g=g), "transition": dirichlet(S, S, g=g)}
    model = HiddenMarkovModel(S, M, **tables, emission=dirichlet(S, M, g=g))
    x = torch.randint(M, (2, 3000), generator=g)
    log_p = model.log_prob(x)
    assert (log_p < -1500).all()
    assert log_p.isfinite().all()
    total = model.posterior(x).sum(2)
    assert torch.allclose(total, torch.ones_like(total))


@pytest.mark.proves("prop-baum-welch", "thm-em-monotone")
@pytest.mark.covers("S1-28", "S0-37")
def test_baum_welch_divides_expected_counts_and_never_goes_down(g):
    x = chain(g).sample(60, generator=g)
    model = chain(g)
    model.max_iterations = 1
    # One step by enumeration: expected starts, transitions and emissions over all paths.
    joint = enumerated(model)
    weight = joint.softmax(1)  # [sequences, paths]
    code = (x * 2 ** torch.arange(T - 1, -1, -1)).sum(1)
    w = weight[code]
    starts = torch.stack([(w * (PATHS[:, 0] == s)).sum() for s in range(S)])
    pairs, emitted = torch.zeros(S, S, dtype=DOUBLE), torch.zeros(S, M, dtype=DOUBLE)
    for a in range(S):
        for t in range(T):
            for m in range(M):
                emitted[a, m] += (w[x[:, t] == m] * (PATHS[:, t] == a)).sum()
            for b in range(S):
                if t:
                    pairs[a, b] += (w * ((PATHS[:, t - 1] == a) & (PATHS[:, t] == b))).sum()
    model.fit(x)
    assert torch.allclose(model.initial, starts / starts.sum(), atol=1e-12)
    assert torch.allclose(model.transition, pairs / pairs.sum(1, keepdim=True), atol=1e-12)
    assert torch.allclose(model.emission, emitted / emitted.sum(1, keepdim=True), atol=1e-12)
    fitted = HiddenMarkovModel(S, M, max_iterations=200).fit(x, generator=g)
    laws.never_goes_down(fitted.history)
    assert fitted.history[-1] > fitted.history[0]
    assert fitted.history[-1] == pytest.approx(float(fitted.log_prob(x).mean()), abs=1e-10)


@pytest.mark.proves("prop-baum-welch")
def test_baum_welch_recovers_a_chain_up_to_the_names_of_the_states(g):
    A = torch.tensor([[0.95, 0.05], [0.1, 0.9]], dtype=DOUBLE)
    B = torch.tensor([[0.9, 0.1, 0.0], [0.0, 0.2, 0.8]], dtype=DOUBLE)
    initial = torch.tensor([2 / 3, 1 / 3], dtype=DOUBLE)
    truth = HiddenMarkovModel(2, 3, initial=initial, transition=A, emission=B, length=40)
    x = truth.sample(500, generator=g)
    model = HiddenMarkovModel(2, 3, tol=1e-6).fit(x, generator=g)
    order = model.emission[:, 0].argsort(descending=True)
    assert torch.allclose(model.transition[order][:, order], A, atol=0.02)
    assert torch.allclose(model.emission[order], B, atol=0.02)
    assert model.history[-1] >= float(truth.log_prob(x).mean())


def test_a_second_fit_starts_anew_and_from_the_tables_given(g):
    model = chain(g)
    x, first = model.sample(30, generator=g), None
    for _ in range(2):
        model.fit(x)
        assert first is None or model.history == first
        first = model.history


@pytest.mark.parametrize(
    ("x", "sentence"),
    [
        (torch.tensor([[0, 2]]), r"symbols 0 to 1, got shape \(1, 2\) with values from 0 to 2"),
        (torch.tensor([[0, -1]]), "symbols 0 to 1"),
        (torch.tensor([[0.5, 0.0]]), "symbols 0 to 1"),
        (torch.tensor([0, 1]), "Expected sequences of shape"),
    ],
)
def test_what_is_no_sequence_is_refused(x, sentence):
    with pytest.raises(ValueError, match=sentence):
        HiddenMarkovModel(2, 2).fit(x)


def test_a_chain_that_cannot_have_said_it_is_told(g):
    model = HiddenMarkovModel(
        1, 2, initial=torch.ones(1), transition=torch.ones(1, 1), emission=torch.tensor([[1.0, 0]])
    )
    x = torch.tensor([[0, 1, 0]])
    assert model.log_prob(x).tolist() == [-math.inf]
    with pytest.raises(ValueError, match="has probability 0"):
        model.posterior(x)
    with pytest.raises(ValueError, match="has probability 0"):
        model.fit(x)
    with pytest.raises(ValueError, match="The length of a sequence is not known"):
        HiddenMarkovModel(1, 2).sample(3)
    with pytest.raises(ValueError, match="rows of emission to sum to one"):
        HiddenMarkovModel(
            1, 2, initial=torch.ones(1), transition=torch.ones(1, 1), emission=torch.ones(1, 2)
        )


# --- Factor models -----------------------------------------------------------------------------


@pytest.mark.proves("thm-ppca")
@pytest.mark.parametrize("dim", [1, 2, 3])
def test_the_closed_form_is_the_maximum_and_em_reaches_it(dim, g):
    x = torch.from_numpy(load_iris().data)
    closed = ProbabilisticPCA(dim).fit(x)
    em = ProbabilisticPCA(dim, "em", tol=1e-12).fit(x, generator=g)
    laws.never_goes_down(em.history)
    assert em.history[-1] == pytest.approx(closed.history[0], abs=1e-7)
    assert em.history[-1] <= closed.history[0] + 1e-10
    assert torch.allclose(
        em.loadings @ em.loadings.T, closed.loadings @ closed.loadings.T, atol=1e-3
    )
    best = float(closed.log_prob(x).mean())
    assert best == pytest.approx(closed.history[0], abs=1e-10)
    for i in range(60):
        size, other = 10 ** -(1 + i % 3), ProbabilisticPCA(dim).fit(x)
        other.loadings = other.loadings + size * randn(4, dim, g=g)
        assert float(other.log_prob(x).mean()) < best
        other.loadings, other.noise = closed.loadings, closed.noise * math.exp((-1) ** i * size)
        assert float(other.log_prob(x).mean()) < best


@pytest.mark.proves("thm-ppca")
def test_the_factors_of_ppca_span_the_principal_directions(g):
    x = torch.from_numpy(load_iris().data)
    model, theirs = ProbabilisticPCA(2).fit(x), PCA(2).fit(x.numpy())
    U = torch.from_numpy(theirs.components_)
    overlap = torch.linalg.svdvals(U @ torch.linalg.qr(model.loadings)[0])
    assert torch.allclose(overlap, torch.ones(2, dtype=DOUBLE), atol=1e-10)
    values = torch.linalg.eigvalsh(torch.cov(x.T, correction=0))
    assert torch.allclose(model.noise, values[:2].mean().expand(4))
    # scikit-learn divides by n − 1 before it computes the likelihood.
    assert model.history[0] == pytest.approx(theirs.score(x.numpy()), abs=1e-4)
    assert model.history[0] > theirs.score(x.numpy())


@pytest.mark.parametrize("model", [ProbabilisticPCA(2), FactorAnalysis(2, tol=1e-5)])
def test_the_posterior_of_the_factors_is_bayes_rule(model, g):
    # log p(z | x) = log p(x | z) + log p(z) − log p(x) at any z.
    x = torch.from_numpy(load_iris().data)
    model.fit(x, generator=g)
    x = x[::22]
    z = randn(7, 2, g=g)
    likelihood = Normal(model.mean + z @ model.loadings.T, model.noise.sqrt()).log_prob(x).sum(1)
    prior = Normal(0.0, 1.0).log_prob(z).sum(1)
    bayes = likelihood + prior - model.log_prob(x)
    assert torch.allclose(model.posterior(x).log_prob(z), bayes, rtol=1e-6, atol=1e-6)


def test_factor_analysis_like_scikit_learn_and_free_of_units(g):
    W, noise = randn(6, 2, g=g), torch.rand(6, dtype=DOUBLE, generator=g) + 0.3
    x = randn(1000, 2, g=g) @ W.T + noise.sqrt() * randn(1000, 6, g=g) + 5
    model = FactorAnalysis(2).fit(x, generator=g)
    laws.never_goes_down(model.history)
    theirs = SklearnFactorAnalysis(2, tol=1e-10, max_iter=10_000, svd_method="lapack")
    assert model.history[-1] == pytest.approx(theirs.fit(x.numpy()).score(x.numpy()), abs=1e-5)
    assert np.allclose(model.noise, theirs.noise_variance_, rtol=1e-2)
    assert model.history[-1] == pytest.approx(float(model.log_prob(x).mean()), abs=1e-9)
    unit = torch.tensor([1.0, 1e3, 1, 1, 1e-3, 1], dtype=DOUBLE)
    scaled = FactorAnalysis(2).fit(x * unit, generator=torch.Generator().manual_seed(5))
    assert torch.allclose(scaled.noise, model.noise * unit**2, rtol=1e-2)
    # Principal components do change with the units: one large column takes a factor for itself.
    pca, pca_scaled = ProbabilisticPCA(2).fit(x), ProbabilisticPCA(2).fit(x * unit)
    assert pca_scaled.history[0] < pca.history[0] - float(unit.log().sum()) - 1


def test_factor_models_refuse(g):
    plane = randn(30, 2, g=g) @ randn(2, 5, g=g)
    with pytest.raises(ValueError, match="lie on a plane of 2 dimensions"):
        ProbabilisticPCA(2).fit(plane)
    for model in (ProbabilisticPCA(5), FactorAnalysis(5)):
        with pytest.raises(ValueError, match=r"more columns than factors \(dim=5\)"):
            model.fit(plane)
        with pytest.raises(ValueError, match="more columns than factors"):
            model.fit(plane[:, 0])
    with pytest.raises(ValueError, match="Column 1 is constant"):
        FactorAnalysis(1).fit(torch.cat([plane[:, :1], torch.ones(30, 1), plane[:, 2:]], 1))
