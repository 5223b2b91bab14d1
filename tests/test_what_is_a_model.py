"""Chapter 00: what a generative model is, what maximum likelihood does, each claim as a test."""

import ast
import math
import re

import numpy as np
import pytest
import torch
from conftest import slope
from scipy.optimize import linprog, minimize_scalar
from scipy.spatial import ConvexHull, Delaunay
from scipy.stats import chisquare
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import mutual_info_score
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch.distributions import (
    Bernoulli,
    Binomial,
    Categorical,
    Independent,
    MixtureSameFamily,
    MultivariateNormal,
    Normal,
)

from genlab import data, density, divergences
from genlab.models import (
    CATALOGUE,
    PLACES,
    GaussianNaiveBayes,
    capabilities,
    conditional_gaussian,
    cross_entropy_of_data,
    empirical_law,
    in_convex_hull,
    kl_from_data,
    learning_curve,
    likelihood,
    log_likelihood,
    most_probable,
    mutual_information,
    place,
    through,
)


def normal(n, g, d=None):
    return torch.randn((n,) if d is None else (n, d), dtype=torch.float64, generator=g)


def z_score(difference) -> float:
    """Mean over its standard error."""
    return float(difference.mean() / (difference.std() / len(difference) ** 0.5))


def covariance(d, g):
    a = normal(d, g, d)
    return a @ a.T + 0.1 * torch.eye(d, dtype=torch.float64)


def dirichlet(*shape, g):
    """Rows that are uniform on the simplex."""
    e = -torch.rand(*shape, dtype=torch.float64, generator=g).log()
    return e / e.sum(-1, keepdim=True)


# --- The three tasks, and the place of a model -------------------------------------------------


@pytest.mark.covers("S0-01", "S1-29", "S3-03")
def test_the_fitted_model_comes_close_to_the_truth_as_data_grow(g):
    # KL(N(0, 1) || fit), in closed form; two parameters, so 2 n KL tends to chi-squared(2).
    sizes, found = (50, 200, 800, 3200), []
    for n in sizes:
        x = normal(n, g, 400)
        mean, variance = x.mean(0), x.var(0, correction=0)
        found.append(0.5 * (variance.log() + (1 + mean**2) / variance - 1))
    risk = [float(kl.mean()) for kl in found]
    assert slope(sizes, risk) == pytest.approx(-1, abs=0.06)
    assert abs(z_score(2 * sizes[-1] * found[-1] - 2)) < 4
    fitted = density.Gaussian().fit(x[:, 0])
    assert fitted.mean.item() == pytest.approx(float(mean[0]))


@pytest.mark.covers("S0-02", "S1-26", "S3-06")
def test_a_model_answers_the_tasks_of_its_place():
    seen = set()
    for entry in CATALOGUE.values():
        cls, leaf = entry.cls, place(entry.cls)
        seen.add(leaf)
        assert leaf in dict(PLACES)
        assert hasattr(cls, "sample") == (leaf != "not generative")
        if leaf == "explicit, tractable":
            assert hasattr(cls, "log_prob")
        if leaf == "implicit":
            assert not hasattr(cls, "log_prob")
    assert {"explicit, tractable", "implicit", "not generative"} <= seen
    only_draws = density.PCASampler(density.Gaussian(), dim=1).fit(torch.eye(3))
    assert place(only_draws) == "implicit"
    with pytest.raises(AttributeError, match="log_prob"):
        only_draws.log_prob(torch.eye(3))


class Draws:
    def sample(self, n, *, generator=None):
        return torch.zeros(n)


class Bounds(Draws):
    def elbo(self, x):
        return x


class Energy(Draws):
    def energy(self, x):
        return x


class Enumerated(Energy):
    def log_prob(self, x):
        return x


class Mute:
    def log_prob(self, x):
        return x

    elbo = energy = log_prob


@pytest.mark.covers("S0-12", "S0-13", "S0-68", "S3-07")
def test_a_model_has_exactly_one_place():
    tractable, approximate, implicit, none = (leaf for leaf, _ in PLACES)
    places = {
        Draws: implicit,
        Bounds: approximate,
        Energy: approximate,
        Enumerated: tractable,
        Mute: none,
        int: none,
    }
    for cls, leaf in places.items():
        assert place(cls) == place(cls()) == leaf
    assert len({leaf for leaf, _ in PLACES}) == len(PLACES) == 4
    assert all(meaning and "\n" not in meaning for _, meaning in PLACES)


# --- Maximum likelihood ------------------------------------------------------------------------


@pytest.mark.proves("prop-same-argmax")
@pytest.mark.covers("S0-10")
def test_product_sum_and_mean_have_one_maximiser():
    x = data.LIST_A.double()
    theta = torch.linspace(0.01, 0.99, 981, dtype=torch.float64)
    family = [Binomial(8, t) for t in theta]
    product, total, mean = (
        torch.stack([f(model, x) for model in family])
        for f in (likelihood, log_likelihood, lambda m, x: -cross_entropy_of_data(m, x))
    )
    assert product.min() > 0, "the product has underflowed, so this list shows nothing"
    assert product.argmax() == total.argmax() == mean.argmax()
    assert float(theta[total.argmax()]) == pytest.approx(float(x.mean()) / 8, abs=5e-4)
    assert torch.equal(product.argsort(), total.argsort())
    assert torch.allclose(product.log(), total, rtol=1e-12)
    assert torch.allclose(mean * len(x), total, rtol=1e-12)


@pytest.mark.covers("S0-10")
def test_the_product_underflows_and_the_sum_does_not():
    x = torch.tensor(load_breast_cancer().data[:, 0])
    fit = Normal(x.mean(), x.std(correction=0))
    assert likelihood(fit, x) == 0
    assert likelihood(fit, x[:20]) > 0
    entropy = 0.5 * math.log(2 * math.pi * math.e * float(x.var(correction=0)))
    assert float(cross_entropy_of_data(fit, x)) == pytest.approx(entropy, rel=1e-12)
    assert float(log_likelihood(fit, x)) == pytest.approx(-len(x) * entropy, rel=1e-12)


@pytest.mark.proves("thm-mle-is-kl")
@pytest.mark.covers("S0-11")
def test_maximum_likelihood_is_minimal_kl_from_the_data():
    x = data.LIST_A
    values, share = empirical_law(x)
    assert (values.tolist(), share.tolist()) == ([3, 4, 5, 6], [0.05, 0.3, 0.4, 0.25])
    assert values.dtype == x.dtype
    entropy = -(share * share.log()).sum()
    theta = torch.linspace(0.05, 0.95, 181, dtype=torch.float64)
    family = [Binomial(8, t) for t in theta]
    kl = torch.stack([kl_from_data(model, x) for model in family])
    cross = torch.stack([cross_entropy_of_data(model, x) for model in family])
    by_hand = torch.stack(
        [(share * (share.log() - m.log_prob(values.double()))).sum() for m in family]
    )
    assert torch.allclose(kl, by_hand, rtol=1e-12)
    assert torch.allclose(kl, cross - entropy, rtol=1e-12)
    assert (kl > 0).all()
    assert kl.argmin() == torch.stack([log_likelihood(m, x) for m in family]).argmax()
    # The derivative of the divergence vanishes at the closed form of maximum likelihood.
    best = (x.double().mean() / 8).requires_grad_()
    (gradient,) = torch.autograd.grad(kl_from_data(Binomial(8, best), x), best)
    assert abs(float(gradient)) < 1e-12


def test_the_table_of_frequencies_has_divergence_zero_and_no_table_beats_it(g):
    x = torch.randint(4, (50,), generator=g)
    best = empirical_law(x)[1]
    assert float(kl_from_data(Categorical(best), x)) == pytest.approx(0, abs=1e-15)
    for other in dirichlet(200, 4, g=g):
        assert kl_from_data(Categorical(other), x) > 0
        assert likelihood(Categorical(other), x) < likelihood(Categorical(best), x)
    narrow = density.Categorical(range(4)).fit(torch.zeros(3))
    assert kl_from_data(narrow, torch.arange(4)) == cross_entropy_of_data(narrow, x) == math.inf
    assert likelihood(narrow, x) == 0


def test_whole_numbers_are_measured_in_double_precision():
    # torch's own lgamma of integers is of single precision.
    model = Binomial(8, torch.tensor(0.6, dtype=torch.float64))
    for measure in (likelihood, log_likelihood, cross_entropy_of_data, kl_from_data):
        assert measure(model, data.LIST_A) == measure(model, data.LIST_A.double())


def test_empirical_law_of_rows():
    values, share = empirical_law(torch.tensor([[1.0, 2.0], [0.0, 5.0], [1.0, 2.0], [1.0, 3.0]]))
    assert values.tolist() == [[0.0, 5.0], [1.0, 2.0], [1.0, 3.0]]
    assert share.tolist() == [0.25, 0.5, 0.25]


@pytest.mark.covers("E44")
def test_from_the_data_to_a_density_only_the_cross_entropy_makes_sense(g):
    x = 1 + 2 * normal(40, g)
    fit = Normal(x.mean(), x.std(correction=0))
    with pytest.raises(ValueError, match=r"sum to .* more than one: this is a density"):
        kl_from_data(fit, x)
    values = []
    for cell in (1e-4, 1e-5, 1e-6):
        # Both as laws on cells of this width: finite, and infinite in the limit.
        index = (x / cell).floor()
        assert len(index.unique()) == len(x)
        p = fit.cdf((index + 1) * cell) - fit.cdf(index * cell)
        values.append(float((-math.log(len(x)) - p.log()).mean()) + math.log(cell))
    limit = float(cross_entropy_of_data(fit, x)) - math.log(len(x))
    errors = [abs(value - limit) for value in values]
    assert errors[0] < 1e-4
    assert errors[2] < 1e-6  # KL = log(1 / cell) + this: grows without end
    # The constant does not depend on the parameters: the cross-entropy has the same minimiser.
    shifted = Normal(x.mean() + 0.1, x.std(correction=0))
    assert cross_entropy_of_data(fit, x) < cross_entropy_of_data(shifted, x)


@pytest.mark.proves("prop-normal-mle")
@pytest.mark.covers("S0-10")
def test_the_normal_law_of_maximum_likelihood_is_mean_and_variance(g):
    x = 3 + 0.5 * normal(200, g)
    mean, log_sd = x.mean().requires_grad_(), x.std(correction=0).log().requires_grad_()
    gradient = torch.autograd.grad(log_likelihood(Normal(mean, log_sd.exp()), x), (mean, log_sd))
    assert max(abs(float(part)) for part in gradient) < 1e-9
    mean, log_sd = mean.detach(), log_sd.detach()
    best = log_likelihood(Normal(mean, log_sd.exp()), x)
    for dm in (-0.5, -0.01, 0.0, 0.01, 0.5):
        for ds in (-0.5, -0.01, 0.0, 0.01, 0.5):
            other = log_likelihood(Normal(mean + dm, (log_sd + ds).exp()), x)
            assert (other < best) if (dm, ds) != (0.0, 0.0) else (other == best)
    unbiased = log_likelihood(Normal(x.mean(), x.std()), x)
    assert unbiased < best, "1/(n-1) is not maximum likelihood"
    fitted = density.Gaussian().fit(x)
    assert float(log_likelihood(fitted, x)) == pytest.approx(float(best), rel=1e-12)


class Wide:
    def log_prob(self, x):
        return torch.zeros(len(x), 2)


class Lost:
    def log_prob(self, x):
        return torch.full((len(x),), math.nan)


@pytest.mark.parametrize("measure", [likelihood, log_likelihood, cross_entropy_of_data])
def test_measures_of_fit_refuse(measure):
    x = torch.zeros(3)
    with pytest.raises(ValueError, match=r"one log-probability for each of the 3 .* \(3, 2\)"):
        measure(Wide(), x)
    with pytest.raises(ValueError, match="NaN at 3 of 3 observations"):
        measure(Lost(), x)
    with pytest.raises(ValueError, match="at least one observation"):
        measure(Normal(0.0, 1.0), torch.zeros(0))
    with pytest.raises(ValueError, match="NaN or infinite"):
        kl_from_data(Bernoulli(0.5), torch.tensor([1.0, math.nan]))


# --- Naive Bayes and logistic regression -------------------------------------------------------


def two_classes(n, g, d=3):
    y = (torch.rand(n, generator=g) < 0.4).long()
    scale = torch.linspace(0.5, 2, d, dtype=torch.float64)
    return (1 + y[:, None]) * 0.7 + scale * normal(n, g, d), y


@pytest.mark.covers("S1-27", "S3-01", "S4-02")
@pytest.mark.parametrize("shared", [False, True])
def test_joint_posterior_and_density_are_one_law(g, shared):
    x, y = two_classes(100, g)
    model = GaussianNaiveBayes(shared_variance=shared).fit(x, y)
    joint = model.log_joint(x).exp()
    assert torch.allclose(joint.sum(1), model.log_prob(x).exp(), rtol=1e-12)
    assert torch.allclose(joint / joint.sum(1, keepdim=True), model.posterior(x), rtol=1e-12)
    assert torch.allclose(model.posterior(x).sum(1), torch.ones(100).double(), rtol=1e-12)
    assert torch.equal(model.predict(x), model.posterior(x).argmax(1))
    by_hand = [
        Normal(m, v.sqrt()).log_prob(x).sum(1) + p.log()
        for m, v, p in zip(model.mean, model.variance, model.prior, strict=True)
    ]
    assert torch.allclose(model.log_joint(x), torch.stack(by_hand, 1), rtol=1e-12)


@pytest.mark.covers("S1-27")
def test_naive_bayes_agrees_with_scikit_learn():
    wine = load_wine()
    x, y = torch.tensor(wine.data), torch.tensor(wine.target) + 5
    model = GaussianNaiveBayes().fit(x, y)
    peer = GaussianNB(var_smoothing=0).fit(wine.data, wine.target + 5)
    assert model.classes.tolist() == [5, 6, 7]
    assert np.allclose(model.posterior(x), peer.predict_proba(wine.data), rtol=1e-9, atol=1e-300)
    assert np.array_equal(model.predict(x), peer.predict(wine.data))


@pytest.mark.covers("S1-27")
@pytest.mark.parametrize("shared", [False, True])
def test_naive_bayes_has_the_largest_joint_likelihood_of_its_family(g, shared):
    x, y = two_classes(60, g)
    model = GaussianNaiveBayes(shared_variance=shared).fit(x, y)
    mean = model.mean.clone().requires_grad_()
    log_var = (model.variance[:1] if shared else model.variance).log().requires_grad_()
    logits = model.prior.log().requires_grad_()
    total = logits.log_softmax(0)[y].sum()
    total = total + Normal(mean[y], (0.5 * log_var).exp().expand(2, 3)[y]).log_prob(x).sum()
    assert float(total.detach()) == pytest.approx(float(model.log_joint(x)[range(60), y].sum()))
    for gradient in torch.autograd.grad(total, (mean, log_var, logits)):
        assert gradient.abs().max() < 1e-9


@pytest.mark.proves("prop-naive-bayes-linear")
@pytest.mark.covers("S1-27")
def test_with_shared_variances_the_log_odds_are_linear(g):
    x, y = two_classes(80, g)
    model = GaussianNaiveBayes(shared_variance=True).fit(x, y)
    (m0, m1), variance, prior = model.mean, model.variance[0], model.prior
    assert torch.equal(model.variance[0], model.variance[1])
    w = (m1 - m0) / variance
    b = (prior[1] / prior[0]).log() - ((m1**2 - m0**2) / (2 * variance)).sum()
    far = 10 * normal(200, g, 3)
    log_odds = model.log_joint(far) @ torch.tensor([-1.0, 1.0], dtype=torch.float64)
    assert torch.allclose(log_odds, far @ w + b, rtol=1e-9, atol=1e-9)
    assert torch.allclose(model.posterior(x)[:, 1], (x @ w + b).sigmoid(), rtol=1e-9)
    # Without sharing they are not: the second differences of the log-odds do not vanish.
    bent = (
        GaussianNaiveBayes().fit(x, y).log_joint(torch.arange(3.0).double()[:, None].expand(3, 3))
    )
    odds = bent[:, 1] - bent[:, 0]
    assert abs(float(odds[0] - 2 * odds[1] + odds[2])) > 1e-3


def test_a_repeated_column_counts_its_evidence_twice(g):
    x, y = two_classes(80, g, d=1)
    one = GaussianNaiveBayes(shared_variance=True).fit(x, y)
    twice = GaussianNaiveBayes(shared_variance=True).fit(x.expand(-1, 2), y)
    prior = (one.prior[1] / one.prior[0]).log()
    odds = lambda m, x: m.log_joint(x)[:, 1] - m.log_joint(x)[:, 0] - prior
    assert torch.allclose(odds(twice, x.expand(-1, 2)), 2 * odds(one, x), rtol=1e-9)


@pytest.mark.covers("S2-02", "S4-02")
def test_joint_draws_have_the_shares_and_moments_of_the_classes(g):
    x, y = two_classes(100, g)
    model = GaussianNaiveBayes().fit(x, y + 3)
    drawn, c = model.sample_joint(40_000, generator=g)
    assert set(c.tolist()) == {3, 4}
    counts = [(c == k).sum().item() for k in (3, 4)]
    assert chisquare(counts, 40_000 * model.prior.numpy()).pvalue > 1e-4
    for k in range(2):
        z = (drawn[c == k + 3] - model.mean[k]) / model.variance[k].sqrt()
        assert (z.mean(0).abs() * len(z) ** 0.5 < 4).all()
        assert ((z**2 - 1).mean(0).abs() * (len(z) / 2) ** 0.5 < 4).all()
    twin = lambda: torch.Generator().manual_seed(1)
    joint = model.sample_joint(7, generator=twin())[0]
    assert torch.equal(joint, model.sample(7, generator=twin()))


def test_a_column_that_is_constant_within_a_class_gets_the_floor():
    x = torch.tensor([[0.0, 1.0], [0.0, 2.0], [1.0, 4.0], [2.0, 8.0]], dtype=torch.float64)
    y = torch.tensor([0, 0, 1, 1])
    model = GaussianNaiveBayes().fit(x, y)
    assert model.variance[0, 0] == 1e-9 * x[:, 1].var(correction=0)
    assert model.variance[1].tolist() == [0.25, 4.0]
    assert model.log_prob(x).isfinite().all()


@pytest.mark.parametrize(
    ("x", "y", "sentence"),
    [
        (torch.eye(3), [0, 0, 1], r"Class 1 has a single row.* shared_variance=True"),
        (torch.eye(3), [2, 2, 2], "All 3 rows are of class 2"),
        (torch.eye(3), [0, 1], r"Expected y as 3 integers.* shape \(2,\)"),
        (torch.eye(3), [0.0, 1.0, 1.0], r"Expected y as 3 integers.* torch\.float32"),
        (torch.ones(4, 2), [0, 0, 1, 1], "Every column of the data is constant"),
        (torch.full((4, 2), math.nan), [0, 0, 1, 1], "NaN or infinite"),
    ],
)
def test_naive_bayes_refuses(x, y, sentence):
    with pytest.raises(ValueError, match=sentence):
        GaussianNaiveBayes().fit(x, torch.tensor(y))


class Spy:
    """Keeps what it is shown; says class 0."""

    def __init__(self, seen):
        self.seen = seen

    def fit(self, x, y):
        self.train = (x[:, 0].tolist(), y.tolist())

    def predict(self, x):
        self.seen.append((*self.train, x[:, 0].tolist()))
        return torch.zeros(len(x), dtype=torch.int64)


def test_a_learning_curve_is_paired_and_tests_on_the_rest(g):
    x, y = torch.arange(30.0)[:, None], torch.tensor([0] * 26 + [1] * 3 + [2])
    first, second = [], []
    make = {"a": lambda: Spy(first), "b": lambda: Spy(second)}
    errors = learning_curve(make, x, y, [3, 10, 29], 20, generator=g)
    assert first == second
    assert torch.equal(errors["a"], errors["b"])
    assert tuple(errors["a"].shape) == (3, 20)
    assert errors["a"].dtype == torch.float64
    for i, (train, labels, test) in enumerate(first):
        assert len(train) == [3, 10, 29][i % 3]
        assert set(labels) == {0, 1, 2}
        assert y[torch.tensor(train).long()].tolist() == labels
        assert sorted(train + test) == x[:, 0].tolist()
        wrong = y[torch.tensor(test).long()] != 0
        assert errors["a"][i % 3, i // 3] == wrong.double().mean()
    assert len({tuple(train) for train, _, _ in first if len(train) == 29}) == 20


@pytest.mark.parametrize(
    ("sizes", "repeats", "sentence"),
    [
        ([1, 5], 3, r"sizes from 2 \(one row a class\) to 9"),
        ([10], 3, "sizes from 2"),
        ([2.5], 3, "sizes from 2"),
        ([], 3, "sizes from 2"),
        ([4], 0, "repeats >= 1"),
    ],
)
def test_learning_curve_refuses(sizes, repeats, sentence):
    with pytest.raises(ValueError, match=sentence):
        learning_curve({}, torch.randn(10, 2), torch.arange(10) % 2, sizes, repeats)


def logistic_regression():
    # A ridge of 1e-6 stands for none: where the classes are separable there is no maximum without.
    return make_pipeline(StandardScaler(), LogisticRegression(C=1e6, max_iter=10_000))


def race(x, y, sizes, repeats, g):
    """z-score of the error of naive Bayes less that of logistic regression, for each size."""
    make = {
        "naive Bayes": lambda: GaussianNaiveBayes(shared_variance=True),
        "logistic regression": logistic_regression,
    }
    errors = learning_curve(make, x, y, sizes, repeats, generator=g)
    return [z_score(d) for d in errors["naive Bayes"] - errors["logistic regression"]]


@pytest.mark.covers("S1-27")
@pytest.mark.parametrize("name", ["breast cancer", "diabetes", "wine"])
def test_naive_bayes_learns_faster_and_logistic_regression_further(name, g):
    # Ng and Jordan 2001 on real data: paired differences over random splits of the same rows.
    if name == "breast cancer":
        bunch, sizes = load_breast_cancer(), [10, 250]
        x, y = bunch.data, bunch.target
    elif name == "diabetes":
        bunch, sizes = load_diabetes(), [16, 350]
        x, y = bunch.data, (bunch.target > np.median(bunch.target)).astype(int)
    else:
        bunch, sizes = load_wine(), [10, 90]
        x, y = bunch.data[bunch.target < 2], bunch.target[bunch.target < 2]
    few, many = race(torch.tensor(x), torch.tensor(y), sizes, 150, g)
    assert few < -4, "naive Bayes is not ahead with few rows"
    assert many > 4, "logistic regression is not ahead with many rows"


@pytest.mark.covers("S1-27")
def test_not_every_data_set_shows_the_crossing(g):
    bunch = load_digits(n_class=2)
    found = race(torch.tensor(bunch.data), torch.tensor(bunch.target), [6, 40, 100], 100, g)
    assert found[0] > -3, "naive Bayes was ahead"
    assert min(found[1:]) > 4


@pytest.mark.covers("S1-27")
def test_with_dependent_columns_naive_bayes_ends_at_a_larger_error(g):
    # Two normal classes with one covariance, where both errors are known: Phi(-distance / 2).
    S = torch.tensor([[1.0, 0.8], [0.8, 1.0]], dtype=torch.float64)
    gap = torch.tensor([1.0, 0.0], dtype=torch.float64)
    below = lambda t: float(Normal(0.0, 1.0).cdf(torch.as_tensor(t)))
    naive = below(-0.5 * gap @ gap / (gap @ S @ gap).sqrt())
    bayes = below(-0.5 * (gap @ torch.linalg.solve(S, gap)).sqrt())
    assert (round(naive, 3), round(bayes, 3)) == (0.309, 0.202)
    n = 20_000
    y = torch.arange(2 * n) % 2
    x = y[:, None] * gap + normal(2 * n, g, 2) @ torch.linalg.cholesky(S).T
    for make, limit in (
        (lambda: GaussianNaiveBayes(shared_variance=True), naive),
        (logistic_regression, bayes),
    ):
        model = make()
        model.fit(x[:n], y[:n])
        error = (torch.as_tensor(model.predict(x[n:])) != y[n:]).double()
        # The fitted line is not quite the best one, which costs of the order 1/n.
        assert abs(float(error.mean()) - limit) < 4 * float(error.std()) / n**0.5 + 3 / n


@pytest.mark.covers("E21")
@pytest.mark.parametrize("eta", [0.55, 0.75, 0.95])
def test_the_support_vector_machine_gives_no_probability(eta):
    # The score that minimises the expected loss where the label is 1 with probability eta.
    # Hinge: min eta a + (1 - eta) b with a >= 1 - f, b >= 1 + f, a, b >= 0, a linear program.
    found = linprog(
        [0, eta, 1 - eta],
        A_ub=[[-1, -1, 0], [1, 0, -1]],
        b_ub=[-1, -1],
        bounds=[(None, None), (0, None), (0, None)],
    )
    assert found.x[0] == pytest.approx(1, abs=1e-9)
    assert found.fun == pytest.approx(2 * (1 - eta))
    loss = lambda f: eta * np.logaddexp(0, -f) + (1 - eta) * np.logaddexp(0, f)
    score = minimize_scalar(loss, bounds=(-9, 9), method="bounded", options={"xatol": 1e-10}).x
    assert 1 / (1 + math.exp(-score)) == pytest.approx(eta, abs=1e-6)


# --- Optimise and condition --------------------------------------------------------------------


@pytest.mark.proves("prop-conditional-gaussian")
@pytest.mark.covers("S2-02", "S2-03")
def test_a_conditional_is_the_joint_over_the_marginal(g):
    d, known = 5, [3, 0]
    others = [1, 2, 4]
    mean, S = normal(d, g), covariance(d, g)
    joint = MultivariateNormal(mean, S)
    marginal = MultivariateNormal(mean[known], S[known][:, known])
    x = mean + 3 * normal(50, g, d)
    law = conditional_gaussian(mean, S, known, x[:, known])
    assert law.batch_shape == (50,)
    assert law.event_shape == (3,)
    expected = joint.log_prob(x) - marginal.log_prob(x[:, known])
    assert torch.allclose(law.log_prob(x[:, others]), expected, rtol=1e-9)
    one = conditional_gaussian(mean, S, torch.tensor(known), x[7, known])
    assert one.batch_shape == ()
    assert torch.allclose(one.mean, law.mean[7], rtol=1e-12)
    # The condition lowers the uncertainty, by an amount that does not depend on the values.
    assert torch.allclose(law.covariance_matrix, one.covariance_matrix.expand(50, 3, 3))
    assert (one.variance < S.diagonal()[others]).all()
    P = torch.linalg.inv(S)
    assert torch.allclose(
        one.covariance_matrix, torch.linalg.inv(P[others][:, others]), rtol=1e-8, atol=1e-10
    )


@pytest.mark.proves("prop-conditional-gaussian")
@pytest.mark.covers("S2-02")
def test_its_mean_is_the_linear_regression(g):
    x = normal(200, g, 4) @ normal(4, g, 4)
    law = conditional_gaussian(x.mean(0), x.T.cov(correction=0), [0, 2], x[:, [0, 2]])
    design = torch.cat([torch.ones(200, 1).double(), x[:, [0, 2]]], 1)
    fitted = design @ torch.linalg.lstsq(design, x[:, [1, 3]]).solution
    assert torch.allclose(law.mean, fitted, rtol=1e-8, atol=1e-10)
    residual = x[:, [1, 3]] - fitted
    assert torch.allclose(law.covariance_matrix[0], residual.T @ residual / 200, atol=1e-10)


@pytest.mark.proves("prop-conditional-gaussian")
def test_draws_near_the_condition_have_the_conditional_law(g):
    mean, S = torch.tensor([1.0, -2.0]).double(), torch.tensor([[2.0, 1.2], [1.2, 1.0]]).double()
    x = MultivariateNormal(mean, S).mean + normal(400_000, g, 2) @ torch.linalg.cholesky(S).T
    near = x[(x[:, 1] + 1).abs() < 0.01, 0]
    law = conditional_gaussian(mean, S, [1], torch.tensor([-1.0]).double())
    z = (near - law.mean) / law.stddev
    assert len(near) > 1000
    assert abs(z_score(z)) < 4
    assert abs(z_score(z**2 - 1)) < 4


@pytest.mark.covers("S2-01", "S2-02")
def test_half_of_a_digit_tells_of_the_other_half(g):
    digits = data.digits()
    train, test = (x.double().reshape(-1, 64) for x in (digits.train, digits.test))
    mean, S = train.mean(0), train.T.cov(correction=0)
    top, below = torch.arange(32), test[:, 32:]
    with pytest.raises(ValueError, match=r"known columns is singular.*Shrink it"):
        conditional_gaussian(mean, S, top, test[:, :32])
    error = {}
    for shrinkage in (1e-6, 0.01, 0.1):
        shrunk = (1 - shrinkage) * S + shrinkage * S.diagonal().mean() * torch.eye(64)
        law = conditional_gaussian(mean, shrunk, top, test[:, :32])
        error[shrinkage] = (law.mean - below).square().mean(1)
    blank = (mean[32:] - below).square().mean(1)
    # An error two thirds of that of the mean image, on images that were not used; paired.
    assert z_score(blank - error[0.01]) > 10
    assert 0.6 < float(error[0.01].mean() / blank.mean()) < 0.7
    assert float(error[1e-6].mean()) == pytest.approx(float(error[0.01].mean()), rel=0.02)
    # One draw errs about twice as much as the best guess: truth and draw vary around one mean.
    law = conditional_gaussian(mean, S + 1e-3 * torch.eye(64), top, test[:, :32])
    noise = normal(len(test), g, 32)
    draw = law.mean + noise @ law.scale_tril[0].T
    ratio = (draw - below).square().mean() / (law.mean - below).square().mean()
    assert 1.8 < float(ratio) < 2.2


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"covariance": torch.ones(3, 3)}, "known columns is singular"),
        # Positive definite by a rounding error only.
        ({"covariance": torch.ones(3, 3).double() + 2e-15 * torch.eye(3)}, "known columns is sing"),
        ({"covariance": torch.diag(torch.tensor([1.0, 0.0, 1.0]))}, "known columns is singular"),
        ({"covariance": torch.diag(torch.tensor([1.0, 1.0, 0.0]))}, "other columns is singular"),
        ({"covariance": torch.eye(3) + torch.eye(3).roll(1, 0)}, "symmetric"),
        ({"covariance": torch.eye(2)}, r"covariance of shape \(d, d\), got \(3,\) and \(2, 2\)"),
        ({"mean": torch.zeros(3, 1)}, "Expected a mean of shape"),
        ({"mean": torch.tensor([0.0, math.nan, 0.0])}, "NaN or infinite"),
        ({"known": [0, 0]}, "1 to 2 different columns out of 0 to 2"),
        ({"known": [0, 3]}, "different columns"),
        ({"known": [-1, 0]}, "different columns"),
        ({"known": [0, 1, 2], "values": torch.zeros(3)}, "different columns"),
        ({"known": [], "values": torch.zeros(0)}, "different columns"),
        ({"known": torch.tensor([True, True, False])}, "different columns"),
        ({"values": torch.zeros(3)}, r"shape \(2,\) or \(batch, 2\), got \(3,\)"),
        ({"values": torch.zeros(2, 1)}, r"got \(2, 1\)"),
    ],
)
def test_conditional_gaussian_refuses(change, sentence):
    good = {
        "mean": torch.zeros(3),
        "covariance": torch.eye(3),
        "known": [0, 1],
        "values": torch.zeros(2),
    }
    assert conditional_gaussian(**good).mean.tolist() == [0.0]
    with pytest.raises(ValueError, match=sentence):
        conditional_gaussian(**good | change)


@pytest.mark.covers("S2-03")
def test_the_most_probable_point_under_a_linear_condition_has_a_closed_form(g):
    mean, S, a, b = normal(4, g), covariance(4, g), normal(4, g), 2.5
    model = MultivariateNormal(mean, S)
    found = most_probable(model, normal(4, g), constraint=lambda x: a @ x - b)
    expected = mean + S @ a * (b - a @ mean) / (a @ S @ a)
    assert torch.allclose(found, expected, atol=1e-5)
    assert float(a @ found) == pytest.approx(b, abs=1e-9)
    assert torch.allclose(most_probable(model, normal(4, g)), mean, atol=1e-4)


@pytest.mark.covers("S2-03")
def test_design_on_a_mixture_under_a_curved_condition(g):
    means = torch.tensor([[0.0, 0.0], [3.0, 1.0], [1.0, 3.0]], dtype=torch.float64)
    parts = Independent(Normal(means, torch.tensor(0.7, dtype=torch.float64)), 1)
    model = MixtureSameFamily(Categorical(torch.tensor([0.5, 0.3, 0.2]).double()), parts)
    ring = lambda x: x @ x - 4  # designs of size 2
    angle = torch.linspace(0, 2 * math.pi, 20_001, dtype=torch.float64)
    every = 2 * torch.stack([angle.cos(), angle.sin()], 1)
    highest = model.log_prob(every).max()
    starts = [torch.tensor(s).double() for s in ([3.0, 0.5], [0.0, 2.0], [-1.0, 1.5])]
    tops = [most_probable(model, s, constraint=ring) for s in starts]
    for x in tops:
        assert abs(float(ring(x))) < 1e-8
        # Stationary on the ring: the gradient of log p points along the radius.
        at = x.clone().requires_grad_()
        (slope_,) = torch.autograd.grad(model.log_prob(at[None]).sum(), at)
        assert abs(float(slope_[0] * x[1] - slope_[1] * x[0])) < 1e-4
    values = model.log_prob(torch.stack(tops))
    assert values.max() == pytest.approx(float(highest), abs=1e-6)
    assert (values <= highest + 1e-6).all()


def test_most_probable_refuses():
    model = MultivariateNormal(torch.zeros(2).double(), torch.eye(2).double())
    with pytest.raises(ValueError, match=r"shape \(d,\) with finite numbers, got shape \(1, 2\)"):
        most_probable(model, torch.zeros(1, 2))
    flat = density.Histogram(2).fit(torch.tensor([[0.0, 0.0], [1.0, 1.0], [0.2, 0.9]]))
    with pytest.raises(ValueError, match="Histogram has no gradient"):
        most_probable(flat, torch.tensor([0.3, 0.3]))
    with pytest.raises(ValueError, match="density is zero at the start"):
        most_probable(flat, torch.tensor([5.0, 5.0]))
    with pytest.raises(ValueError, match="found no maximum"):
        most_probable(model, torch.ones(2), constraint=lambda x: x @ x + 1)


# --- What generation does not do ---------------------------------------------------------------


@pytest.mark.covers("S1-17")
def test_mutual_information_is_that_of_scikit_learn(g):
    counts = torch.randint(0, 9, (4, 6), generator=g)
    joint = counts.double() / counts.sum()
    peer = mutual_info_score(None, None, contingency=counts.numpy())
    assert float(mutual_information(joint)) == pytest.approx(peer, rel=1e-12)
    p, q = dirichlet(2, 5, g=g)
    assert float(mutual_information(p[:, None] * q)) == pytest.approx(0, abs=1e-15)
    assert float(mutual_information(torch.diag(p))) == pytest.approx(-float((p * p.log()).sum()))


@pytest.mark.proves("thm-data-processing")
@pytest.mark.covers("S1-17", "E19")
def test_no_channel_adds_information(g):
    for _ in range(200):
        a, b, c = torch.randint(2, 6, (3,), generator=g).tolist()
        joint = dirichlet(a * b, g=g).reshape(a, b)
        channel = dirichlet(b, c, g=g)
        after = through(joint, channel)
        assert tuple(after.shape) == (a, c)
        assert torch.allclose(after.sum(1), joint.sum(1), rtol=1e-12)
        assert mutual_information(after) < mutual_information(joint)
        # The proof: what is lost is I(X; Y | Z), by the law of all three.
        three = joint[:, :, None] * channel
        given = [mutual_information(t / t.sum()) * t.sum() for t in three.unbind(2)]
        lost = mutual_information(joint) - mutual_information(after)
        assert float(lost) == pytest.approx(float(sum(given)), abs=1e-12)
    renamed = torch.eye(b, dtype=torch.float64)[torch.randperm(b, generator=g)]
    kept = mutual_information(through(joint, renamed))
    assert float(kept) == pytest.approx(float(mutual_information(joint)), rel=1e-12)


@pytest.mark.proves("thm-data-processing")
@pytest.mark.covers("S1-17", "E19")
def test_generated_flips_say_less_of_the_coin_than_the_flips_they_were_made_from():
    bias = torch.tensor([0.2, 0.5, 0.8], dtype=torch.float64)[:, None]
    heads = torch.arange(6, dtype=torch.float64)
    real = Binomial(5, bias).log_prob(heads).exp() / 3
    made = []
    for m in (1, 5, 50, 1000):
        flips = torch.arange(m + 1, dtype=torch.float64)
        channel = Binomial(m, heads[:, None] / 5).log_prob(flips).exp()
        made.append(float(mutual_information(through(real, channel))))
    assert made == sorted(made)
    assert made[-1] <= float(mutual_information(real))
    assert [round(value, 4) for value in made] == [0.1285, 0.2930, 0.4171, 0.4342]
    assert float(mutual_information(real)) == pytest.approx(0.4342, abs=5e-5)


@pytest.mark.parametrize(
    ("joint", "channel", "sentence"),
    [
        (torch.eye(2), torch.eye(2), "joint distribution with entries >= 0, summing to one"),
        (torch.eye(2) / 2, 2 * torch.eye(2), "channel with entries >= 0, each row summing"),
        (torch.eye(2) / 2, torch.eye(3), "one row for each of the 2 values of y, got 3"),
        (torch.tensor([[1.5, -0.5]]), torch.eye(2), "smallest entry -0.5"),
        (torch.ones(2) / 2, torch.eye(2), "table with two axes"),
        (torch.eye(2) * math.nan, torch.eye(2), "joint distribution"),
    ],
)
def test_tables_that_are_no_distributions_are_refused(joint, channel, sentence):
    with pytest.raises(ValueError, match=sentence):
        through(joint, channel)


@pytest.mark.covers("S1-11", "E19")
def test_the_hull_agrees_with_a_triangulation(g):
    for n, d in ((30, 2), (40, 3)):
        points, queries = normal(n, g, d) * 100 + 7, normal(200, g, d) * 80 + 7
        inside = Delaunay(points.numpy()).find_simplex(queries.numpy()) >= 0
        assert 20 < inside.sum() < 180
        assert in_convex_hull(points, queries).tolist() == inside.tolist()
    weights = dirichlet(20, n, g=g)
    assert in_convex_hull(points, weights @ points).all()
    assert in_convex_hull(points, points).all()


@pytest.mark.covers("S1-11", "S1-17", "E19")
def test_in_high_dimension_new_draws_are_no_interpolations(g):
    # Efron 1965: the chance that a draw is outside the hull of n others is E[corners of the hull
    # of n + 1] / (n + 1), as any of the n + 1 is equally likely to be the outer one.
    n, share = 500, {}
    for d, sets in ((2, 6), (5, 6), (10, 3), (20, 1)):
        drawn = [normal(n + 60, g, d) for _ in range(sets)]
        share[d] = torch.stack([in_convex_hull(x[:n], x[n:]).double().mean() for x in drawn])
        if d < 10:
            corners = [len(ConvexHull(normal(n + 1, g, d)).vertices) for _ in range(30)]
            outside = torch.tensor(corners, dtype=torch.float64) / (n + 1)
            error = (share[d].var() / sets + outside.var() / 30) ** 0.5
            assert abs(float(share[d].mean() - (1 - outside.mean()))) < 4 * float(error)
    mean = {d: float(s.mean()) for d, s in share.items()}
    assert mean[2] > 0.95
    assert 0.65 < mean[5] < 0.85
    assert 0.05 < mean[10] < 0.25
    assert mean[20] == 0


def test_on_the_line_the_hull_is_an_interval():
    x = torch.tensor([[3.0], [-1.0], [2.0]])
    asked = torch.tensor([[-1.1], [-1.0], [0.0], [3.0], [3.1]])
    assert in_convex_hull(x, asked).tolist() == [False, True, True, True, False]
    assert in_convex_hull(x, torch.empty(0, 1)).shape == (0,)
    flat = torch.tensor([[0.0, 5.0], [1.0, 5.0]])  # a column without spread
    assert in_convex_hull(flat, torch.tensor([[0.5, 5.0], [0.5, 5.1]])).tolist() == [True, False]


def test_in_convex_hull_refuses():
    with pytest.raises(ValueError, match=r"points of shape \(n, d\), got \(4,\)"):
        in_convex_hull(torch.zeros(4), torch.zeros(1))
    with pytest.raises(ValueError, match=r"points of shape \(batch, 2\), got \(1, 3\)"):
        in_convex_hull(torch.zeros(4, 2), torch.zeros(1, 3))


# --- The page ----------------------------------------------------------------------------------


def table(root, name):
    """Rows of a table of the page, by its class."""
    page = (root / "book" / "00_models.md").read_text(encoding="utf8")
    body = re.search(rf":class: fixed {name}\n.*?\n\|[-|]+\|\n(.*?)```", page, re.DOTALL)
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in body[1].splitlines()]


@pytest.mark.covers("S1-10", "S1-18", "S4-01")
def test_the_timeline_is_dated_sorted_and_every_entry_has_a_source(root):
    references = (root / "book" / "references.bib").read_text(encoding="utf8")
    known = set(re.findall(r"@\w+\{([\w-]+),", references))
    rows = table(root, "timeline")
    years = [int(year) for year, *_ in rows]
    assert years == sorted(set(years))
    assert len(years) > 20
    assert years[0] < 1950
    assert years[-1] >= 2025
    for _, what, here in rows:
        sources = [
            key for cited in re.findall(r"\{cite\}`(.*?)`", what) for key in cited.split(",")
        ]
        assert sources, what
        assert set(sources) <= known, what
        assert here


@pytest.mark.covers("S4-14")
def test_the_words_of_the_vocabulary_are_words_of_the_code(root):
    code = set()
    for file in (root / "genlab").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf8"))):
            code |= {getattr(node, key, None) for key in ("name", "arg", "attr", "id")}
    words = [re.sub(r"[`-]", "", row[-1]) for row in table(root, "vocabulary")]
    assert len(words) >= 8
    assert set(words) <= code
    assert {"log_prob", "sample", "posterior", "elbo"} <= set(words)
    assert hasattr(GaussianNaiveBayes, "posterior")
    assert capabilities(GaussianNaiveBayes) == ("Sampler", "Density")


@pytest.mark.covers("S1-01")
def test_the_divergences_that_the_lectures_announce_are_there(g):
    p, q = dirichlet(2, 4, g=g)
    for divergence in (divergences.total_variation, divergences.kl, divergences.js):
        assert divergence(p, q) > 0
        assert float(divergence(p, p)) == pytest.approx(0, abs=1e-12)


# --- Inputs at the edge ------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_however_far_a_point_lies_its_posterior_sums_to_one(dtype):
    x, y = torch.tensor([[0.0], [1.0], [5.0], [9.0]], dtype=dtype), torch.tensor([0, 0, 1, 1])
    far = torch.finfo(dtype).max / torch.tensor([[1], [-2]], dtype=dtype)
    model = GaussianNaiveBayes().fit(x, y)
    assert model.predict(far).tolist() == [1, 1]  # the wider class
    assert model.posterior(far).dtype == dtype
    assert torch.equal(model.posterior(far).sum(1), torch.ones(2, dtype=dtype))
    with pytest.raises(ValueError, match="Rescale the data"):
        GaussianNaiveBayes().fit(1e200 * x.double(), y)


def test_mutual_information_of_a_rare_pair_does_not_underflow():
    rare = torch.tensor([1 - 1e-200, 1e-200], dtype=torch.float64).diag()
    entropy = 1e-200 * (200 * math.log(10) + 1)  # H(X), since Y is a copy of X
    assert float(mutual_information(rare)) == pytest.approx(entropy, rel=0.01)


def test_a_condition_may_come_in_other_types():
    S = torch.tensor([[4.0, 1.0, 0.0], [1.0, 3.0, 0.5], [0.0, 0.5, 1.0]])
    known, values = torch.tensor([1, 0]), torch.tensor([3.0, 1.0])
    p = conditional_gaussian(torch.zeros(3), S, known, values)
    q = conditional_gaussian(torch.zeros(3), S.double(), known.to(torch.uint8), values)
    assert q.mean.dtype == torch.float64
    assert torch.allclose(p.mean, q.mean.float())


def test_points_that_carry_gradients_are_points():
    x = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]], requires_grad=True)
    assert in_convex_hull(x, x.mean(0, keepdim=True)).tolist() == [True]
    normal_law = Independent(Normal(torch.zeros(2), 1.0), 1)
    assert torch.allclose(most_probable(normal_law, x[1]), torch.zeros(2).double(), atol=1e-6)
    with pytest.raises(ValueError, match="a density of vectors of 2 numbers"):
        most_probable(Normal(0.0, 1.0), x[1])
    with pytest.raises(ValueError, match=r"got shape \(\)"):
        log_likelihood(Normal(0.0, 1.0), torch.tensor(0.0))
