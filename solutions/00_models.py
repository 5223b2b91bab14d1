# ---
# jupyter:
#   jupytext:
#     notebook_metadata_filter: kernelspec,-jupytext.text_representation.jupytext_version
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Exercises 00: what is a generative model?
#
# Seven exercises, 20 points, about two and a half hours. Replace each `raise NotImplementedError`
# and run the check below it. A check answers at once: **right**, **not yet, because …**, or
# **not attempted**. Some checks are repeated with other numbers when the notebook is graded.
#
# The chapter: [What is a generative model?](../book/00_models.md). Work in float64 throughout.

# %%
import math

import torch
from IPython.display import display
from sklearn.datasets import load_breast_cancer
from torch.distributions import Binomial, MultivariateNormal, Poisson

from genlab import data, laws, plot
from genlab.course.check import check
from genlab.interact import Knob, sliders
from genlab.models import GaussianNaiveBayes, capabilities, conditional_gaussian

cancer = load_breast_cancer()
features = torch.tensor(cancer.data)  # 569 samples of tissue, 30 features, float64
malignant = torch.tensor(1 - cancer.target)  # 1 for malignant, 0 for benign


def seeded(number):
    """A generator of its own for each check."""
    return torch.Generator().manual_seed(number)


def random_law(*shape, generator):
    """Random probabilities that sum to one over all axes."""
    p = torch.empty(shape, dtype=torch.float64).exponential_(generator=generator)
    return p / p.sum()


# %% [markdown]
# ## 0.1 Add logarithms (2 points, 15 minutes)
#
# Flips of a coin are 0 or 1, and $\theta$ is the probability of 1. Write the log-likelihood
# $\log \prod_i p_\theta(x_i)$ of all flips, in nats, for each $\theta$ of a list. It must work for
# a hundred thousand flips, and at the ends too: at $\theta = 0$ it is $-\infty$ if there is a 1
# among the flips and 0 if there is none. *Hint:* only the numbers of ones and of zeros matter;
# what is $0 \log 0$ here, and which function of torch knows it?


# %% nbgrader={"grade": false, "grade_id": "add-logarithms", "locked": false, "schema_version": 3, "solution": true, "task": false}
def log_likelihood_of_flips(x, theta):
    """Log-likelihood of flips x [n] (0 or 1) under each probability theta [m] of a 1, float64 [m]."""
    ### BEGIN SOLUTION
    ones = x.double().sum()
    return torch.xlogy(ones, theta) + torch.xlogy(len(x) - ones, 1 - theta)
    ### END SOLUTION


# %% tags=["wrong-answer"]
# The logarithm comes too late: the product has already become zero.
def log_likelihood_of_flips(x, theta):
    p = torch.where(x[:, None] == 1, theta, 1 - theta)
    return p.prod(0).log()


# %% tags=["wrong-answer"]
# Zero times minus infinity is not a number.
def log_likelihood_of_flips(x, theta):
    ones = x.double().sum()
    return ones * theta.log() + (len(x) - ones) * (1 - theta).log()


# %% nbgrader={"grade": true, "grade_id": "check-add-logarithms", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
with check("0.1") as answer:
    few = torch.tensor([1, 0, 1, 1])
    found = float(log_likelihood_of_flips(few, torch.tensor([0.5], dtype=torch.float64))[0])
    assert abs(found - 4 * math.log(0.5)) < 1e-12, (
        f"four flips of a fair coin have probability 1/16, so {math.log(1 / 16):.4f} nats; "
        f"your function says {found:.4f}"
    )
    many = (torch.arange(100_000) % 10 < 3).long()  # 30 % ones
    theta = torch.tensor([0.2, 0.3, 0.4], dtype=torch.float64)
    found = log_likelihood_of_flips(many, theta)
    assert found.isfinite().all(), (
        f"for 100,000 flips it returns {found.tolist()}: the probability of that many flips is no "
        "floating-point number, its logarithm is"
    )
    assert found.argmax() == 1, "with 30 % ones the likelihood should be largest at 0.3"
    ends = torch.tensor([0.0, 1.0], dtype=torch.float64)
    found = log_likelihood_of_flips(torch.zeros(5), ends).tolist()
    assert found == [0.0, -math.inf], (
        f"five zeros are certain at θ = 0 and impossible at θ = 1: [0, -inf]; yours is {found}"
    )
### BEGIN HIDDEN TESTS
answer.require()
x = (torch.rand(1000, generator=seeded(1)) < 0.7).long()
theta = torch.rand(50, dtype=torch.float64, generator=seeded(2))
one_by_one = torch.where(x[:, None] == 1, theta, 1 - theta).log().sum(0)
assert torch.allclose(log_likelihood_of_flips(x, theta), one_by_one, rtol=1e-10, atol=1e-9)
### END HIDDEN TESTS

# %% [markdown]
# ## 0.2 What the likelihood minimises (3 points, 25 minutes)
#
# Counts $x_1, \dots, x_n$ are to be modelled by a Poisson law $p_\lambda$. Write the divergence of
# the *empirical law* from the model,
#
# $$\mathrm{KL}(\hat p\,\|\,p_\lambda) = \sum_v \hat p(v) \log\frac{\hat p(v)}{p_\lambda(v)},$$
#
# where $v$ runs through the values that occur and $\hat p(v)$ is the share of the observations
# that equal $v$. In nats, for each $\lambda$ of a list. `torch.unique(x, return_counts=True)` and
# `Poisson(λ).log_prob` help. Where must its minimum be?


# %% nbgrader={"grade": false, "grade_id": "kl-to-poisson", "locked": false, "schema_version": 3, "solution": true, "task": false}
def kl_to_poisson(x, rates):
    """KL(p̂‖Poisson(λ)) of integer counts x [n] for each λ in rates [m], nats, float64 [m]."""
    ### BEGIN SOLUTION
    values, counts = torch.unique(x, return_counts=True)
    p = counts.double() / len(x)
    log_model = Poisson(rates[:, None]).log_prob(values.double())
    return (p * (p.log() - log_model)).sum(1)
    ### END SOLUTION


# %% tags=["wrong-answer"]
# The cross-entropy: its minimum is in the right place, but it is not zero at equality.
def kl_to_poisson(x, rates):
    return -Poisson(rates[:, None]).log_prob(x.double()).mean(1)


# %% tags=["wrong-answer"]
# The other direction, KL(p_λ‖p̂), cut to the values that occur.
def kl_to_poisson(x, rates):
    values, counts = torch.unique(x, return_counts=True)
    p = counts.double() / len(x)
    log_model = Poisson(rates[:, None]).log_prob(values.double())
    return (log_model.exp() * (log_model - p.log())).sum(1)


# %% tags=["wrong-answer"]
# Each value once, whatever its share.
def kl_to_poisson(x, rates):
    values, counts = torch.unique(x, return_counts=True)
    p = counts.double() / len(x)
    return (p.log() - Poisson(rates[:, None]).log_prob(values.double())).mean(1)


# %% nbgrader={"grade": true, "grade_id": "check-kl-to-poisson", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
with check("0.2") as answer:
    rates = torch.linspace(1, 9, 161, dtype=torch.float64)
    always_three = torch.full((7,), 3)
    found = float(kl_to_poisson(always_three, torch.tensor([3.0], dtype=torch.float64))[0])
    surprise = 3 - 3 * math.log(3) + math.log(6)
    assert abs(found - surprise) < 1e-6, (
        "if every observation is 3, the empirical law is certain and the divergence is "
        f"-log p(3) = {surprise:.4f} nats; yours is {found:.4f}"
    )
    x = data.LIST_A
    divergence = kl_to_poisson(x, rates)
    assert divergence.shape == rates.shape, (
        f"161 rates went in, a result of shape {tuple(divergence.shape)} came out"
    )
    best = float(rates[divergence.argmin()])
    assert abs(best - 4.85) < 1e-9, (
        f"the smallest divergence of list A should be at the mean of its numbers, 4.85; yours is "
        f"at {best:.2f}"
    )
    likelihood = Poisson(rates[:, None]).log_prob(x.double()).mean(1)
    gap = divergence + likelihood
    assert (gap - gap.mean()).abs().max() < 1e-9, (
        "divergence and mean log-likelihood should add up to the same number at every λ"
    )
    entropy = -sum(c / 20 * math.log(c / 20) for c in (1, 6, 8, 5))
    assert abs(float(gap.mean()) + entropy) < 1e-9, (
        f"divergence plus mean log-likelihood should be -H(p̂) = {-entropy:.4f}, it is "
        f"{float(gap.mean()):.4f}: is the entropy of the empirical law counted?"
    )
### BEGIN HIDDEN TESTS
answer.require()
x = torch.poisson(torch.full((400,), 2.5), generator=seeded(3)).long()
rates = torch.tensor([0.5, 2.5, 40.0], dtype=torch.float64)
expected = []
for rate in rates.tolist():
    total = 0.0
    for v in sorted(set(x.tolist())):
        share = (x == v).double().mean().item()
        total += share * (math.log(share) - (v * math.log(rate) - rate - math.lgamma(v + 1)))
    expected.append(total)
expected = torch.tensor(expected, dtype=torch.float64)
assert torch.allclose(kl_to_poisson(x, rates), expected, rtol=1e-9)
### END HIDDEN TESTS

# %% [markdown]
# ## 0.3 A model of your own (3 points, 25 minutes)
#
# Write a model that does all three tasks. Its law is exponential, $p_\lambda(x) = \lambda
# e^{-\lambda x}$ for $x \ge 0$ and zero elsewhere; think of waiting times.
#
# - `fit(x)` finds the $\lambda$ of largest likelihood (set the derivative of
#   $n\log\lambda - \lambda\sum x_i$ to zero), stores it as `self.rate` and returns `self`;
# - `log_prob(x)` gives nats, $-\infty$ for negative $x$;
# - `sample(n, generator=…)` inverts $F(x) = 1 - e^{-\lambda x}$ at uniform numbers, which it draws
#   with the generator.


# %% nbgrader={"grade": false, "grade_id": "a-model-of-your-own", "locked": false, "schema_version": 3, "solution": true, "task": false}
class Exponential:
    """Exponential law of waiting times x [n], float64."""

    def fit(self, x):
        ### BEGIN SOLUTION
        self.rate = 1 / x.mean()
        return self
        ### END SOLUTION

    def log_prob(self, x):
        ### BEGIN SOLUTION
        return torch.where(x < 0, -math.inf, self.rate.log() - self.rate * x)
        ### END SOLUTION

    def sample(self, n, *, generator=None):
        ### BEGIN SOLUTION
        z = torch.rand(n, dtype=torch.float64, generator=generator)
        return -(1 - z).log() / self.rate
        ### END SOLUTION


# %% tags=["wrong-answer"]
# The rate is not the mean.
class Exponential:
    def fit(self, x):
        self.rate = x.mean()
        return self

    def log_prob(self, x):
        return torch.where(x < 0, -math.inf, self.rate.log() - self.rate * x)

    def sample(self, n, *, generator=None):
        return -torch.rand(n, dtype=torch.float64, generator=generator).log() / self.rate


# %% tags=["wrong-answer"]
# No edge at zero: the formula goes on to the left, and grows.
class Exponential:
    def fit(self, x):
        self.rate = 1 / x.mean()
        return self

    def log_prob(self, x):
        return self.rate.log() - self.rate * x

    def sample(self, n, *, generator=None):
        return -torch.rand(n, dtype=torch.float64, generator=generator).log() / self.rate


# %% tags=["wrong-answer"]
# The generator is ignored: nobody can repeat the draws.
class Exponential:
    def fit(self, x):
        self.rate = 1 / x.mean()
        return self

    def log_prob(self, x):
        return torch.where(x < 0, -math.inf, self.rate.log() - self.rate * x)

    def sample(self, n, *, generator=None):
        return torch.empty(n, dtype=torch.float64).exponential_() / self.rate


# %% nbgrader={"grade": true, "grade_id": "check-a-model-of-your-own", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
with check("0.3") as answer:
    waits = torch.tensor([0.5, 1.0, 4.5], dtype=torch.float64)
    model = Exponential().fit(waits)
    assert isinstance(model, Exponential), "fit should return self, so that calls can be chained"
    found = float(model.rate)
    assert abs(found - 0.5) < 1e-12, (
        f"three waits of mean 2 make a rate of 0.5 per unit of time most likely; yours is {found:.3g}"
    )
    assert capabilities(model) == ("Sampler", "Density"), "log_prob and sample make it a density"
    laws.integrates_to_one(model, -5.0, 60.0)
    laws.samples_follow(model, 0.0, 12.0, generator=seeded(4))
### BEGIN HIDDEN TESTS
answer.require()
x = torch.empty(200, dtype=torch.float64).exponential_(generator=seeded(5)) * 3
model = Exponential().fit(x)
best = float(model.log_prob(x).sum())
for factor in (0.99, 1.01):
    other = Exponential().fit(x)
    other.rate = other.rate * factor
    assert float(other.log_prob(x).sum()) < best
laws.speaks_sampler(model, generator=seeded(6))
z = laws.unbiased(model.sample(20_000, generator=seeded(7)), float(x.mean()))
### END HIDDEN TESTS

# %% [markdown]
# ## 0.4 Turn the arrow round (3 points, 25 minutes)
#
# A naive Bayes model knows the share $\pi_c$ of each class and, for each class, mean and variance
# of each column. Write $p(c \mid x)$ by Bayes' rule. Far from all classes every $p(x \mid c)$ is
# smaller than the smallest floating-point number, and yet one class is more likely than the
# others: stay with logarithms to the end (`torch.logsumexp`, or `torch.softmax`).


# %% nbgrader={"grade": false, "grade_id": "turn-the-arrow", "locked": false, "schema_version": 3, "solution": true, "task": false}
def posterior(x, prior, mean, variance):
    """p(c | x) of naive Bayes, float64 [n, classes]; each row sums to one.

    x: points [n, d]; prior: shares of the classes [classes]; mean, variance: [classes, d].
    """
    ### BEGIN SOLUTION
    squares = (x[:, None] - mean) ** 2 / variance
    log_class = -0.5 * (squares + (2 * math.pi * variance).log()).sum(-1)
    return torch.softmax(prior.log() + log_class, dim=1)
    ### END SOLUTION


# %% tags=["wrong-answer"]
# Densities instead of their logarithms: 0/0 far from all classes.
def posterior(x, prior, mean, variance):
    squares = (x[:, None] - mean) ** 2 / variance
    density = ((-0.5 * squares).exp() / (2 * math.pi * variance).sqrt()).prod(-1)
    joint = prior * density
    return joint / joint.sum(1, keepdim=True)


# %% tags=["wrong-answer"]
# The shares of the classes are forgotten.
def posterior(x, prior, mean, variance):
    squares = (x[:, None] - mean) ** 2 / variance
    log_class = -0.5 * (squares + (2 * math.pi * variance).log()).sum(-1)
    return torch.softmax(log_class, dim=1)


# %% tags=["wrong-answer"]
# Without the normalising constants a wide class looks as likely as a narrow one.
def posterior(x, prior, mean, variance):
    squares = (x[:, None] - mean) ** 2 / variance
    return torch.softmax(prior.log() - 0.5 * squares.sum(-1), dim=1)


# %% nbgrader={"grade": true, "grade_id": "check-turn-the-arrow", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
with check("0.4") as answer:
    share = torch.tensor([0.9, 0.1], dtype=torch.float64)
    same = torch.zeros(2, 1, dtype=torch.float64)
    one, wide = torch.ones(2, 1, dtype=torch.float64), torch.tensor([[1.0], [9.0]]).double()
    origin = torch.zeros(1, 1, dtype=torch.float64)
    found = posterior(origin, share, same, one)[0].tolist()
    assert abs(found[0] - 0.9) < 1e-12, (
        "if both classes look the same, x says nothing and the answer is the prior, 0.9 and 0.1; "
        f"yours is {found[0]:.3f} and {found[1]:.3f}"
    )
    found = posterior(origin, torch.tensor([0.5, 0.5]).double(), same, wide)[0].tolist()
    assert abs(found[0] - 0.75) < 1e-12, (
        "at the common mean a class of standard deviation 1 is three times as dense as one of 3, "
        f"so 0.75 and 0.25; yours is {found[0]:.3f} and {found[1]:.3f}"
    )
    x = features[:, :4]
    model = GaussianNaiveBayes().fit(x, malignant)
    found = posterior(1e3 * x[:5], model.prior, model.mean, model.variance)
    assert found.isfinite().all(), (
        f"far from all classes it returns {found[0].tolist()}: every density is zero there in "
        "floating point, but not its logarithm"
    )
    found = posterior(x, model.prior, model.mean, model.variance)
    assert (found.sum(1) - 1).abs().max() < 1e-12, "the probabilities of a row should sum to one"
    worst = float((found - model.posterior(x)).abs().max())
    assert worst < 1e-9, f"on the 569 samples it differs from genlab by up to {worst:.3g}"
### BEGIN HIDDEN TESTS
answer.require()
g = seeded(8)
mean = torch.randn(3, 2, dtype=torch.float64, generator=g)
variance = torch.rand(3, 2, dtype=torch.float64, generator=g) + 0.2
prior = random_law(3, generator=g)
x = torch.randn(20, 2, dtype=torch.float64, generator=g)
laws_of = [MultivariateNormal(m, v.diag()) for m, v in zip(mean, variance, strict=True)]
joint = torch.stack([p * law.log_prob(x).exp() for p, law in zip(prior, laws_of, strict=True)], 1)
assert torch.allclose(posterior(x, prior, mean, variance), joint / joint.sum(1, keepdim=True))
### END HIDDEN TESTS

# %% [markdown]
# ## 0.5 Counted twice (3 points, 30 minutes)
#
# Find out why naive Bayes is overconfident. You have fitted it to one column, and for some patient
# it says $P(y{=}1 \mid x) = s$, where the share of class 1 is $\pi$. A colleague by mistake
# feeds it the same column $m$ times. The patient is the same, the evidence is the same. What does
# it say now? Derive a formula in $s$, $\pi$ and $m$. *Hint:* write the log-odds
# $\log\frac{s}{1-s}$ as a sum of two terms, one from the prior and one from the column. Which of
# them is multiplied?


# %% nbgrader={"grade": false, "grade_id": "counted-twice", "locked": false, "schema_version": 3, "solution": true, "task": false}
def posterior_with_copies(s, prior, m):
    """What naive Bayes says of class 1 if its only column is given m times.

    s: what it says with one column, [n], between 0 and 1; prior: share of class 1; m: copies.
    Returns float64 [n].
    """
    ### BEGIN SOLUTION
    base = math.log(prior / (1 - prior))
    return torch.sigmoid(base + m * (torch.logit(s) - base))
    ### END SOLUTION


# %% tags=["wrong-answer"]
# The prior is multiplied too, as if it were a column.
def posterior_with_copies(s, prior, m):
    return torch.sigmoid(m * torch.logit(s))


# %% tags=["wrong-answer"]
# The same evidence is the same evidence: so it should be, but naive Bayes does not know it.
def posterior_with_copies(s, prior, m):
    return s.clone()


# %% nbgrader={"grade": true, "grade_id": "check-counted-twice", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
with check("0.5") as answer:
    column = features[:, 1:2]  # mean texture
    once = GaussianNaiveBayes().fit(column, malignant)
    share = float(once.prior[1])
    said = once.posterior(column)[:, 1]
    neutral = posterior_with_copies(torch.tensor([share], dtype=torch.float64), share, 7)
    assert abs(float(neutral[0]) - share) < 1e-9, (
        f"a column that says nothing leaves the prior, {share:.3f}, however often it is counted; "
        f"yours becomes {float(neutral[0]):.3f}"
    )
    for m in (1, 2, 5):
        many = GaussianNaiveBayes().fit(column.repeat(1, m), malignant)
        really, yours = (
            many.posterior(column.repeat(1, m))[:, 1],
            posterior_with_copies(said, share, m),
        )
        i = int((really - yours).abs().argmax())
        assert (really - yours).abs().max() < 1e-6, (
            f"with {m} copies of the texture naive Bayes says {float(really[i]):.3f} of patient "
            f"{i}, of whom it said {float(said[i]):.3f} with one; your formula says "
            f"{float(yours[i]):.3f}"
        )
### BEGIN HIDDEN TESTS
answer.require()
column = features[:, 5:6]
once = GaussianNaiveBayes(shared_variance=True).fit(column, malignant)
many = GaussianNaiveBayes(shared_variance=True).fit(column.repeat(1, 3), malignant)
said = posterior_with_copies(once.posterior(column)[:, 1], float(once.prior[1]), 3)
assert torch.allclose(said, many.posterior(column.repeat(1, 3))[:, 1], rtol=1e-6, atol=1e-9)
### END HIDDEN TESTS

# %% [markdown]
# How bad is it? The curve shows what naive Bayes says after $m$ copies against what it said with
# one. Move $m$: below the prior everything goes to 0, above it to 1. A patient between the prior
# and one half even changes class.


# %%
def show_copies(m):
    with plot.figure(
        x="with one column",
        y=f"with {m} copies",
        height=2.8,
        alt="The probability that naive Bayes gives after m copies of a column against the "
        "probability with one: the diagonal for m = 1, a steeper and steeper step for larger m.",
    ) as ax:
        s = torch.linspace(0.001, 0.999, 400, dtype=torch.float64)
        ax.plot(s, s, color=plot.COLORS["data"], lw=1)
        ax.plot(s, posterior_with_copies(s, 0.37, m), color=plot.COLORS["model"])


try:
    panel = sliders(show_copies, m=Knob(1, 20, start=3))
except NotImplementedError:
    print("Comes with exercise 0.5.")
else:
    display(panel)

# %% [markdown]
# ## 0.6 The other half (3 points, 30 minutes)
#
# A vector is normal with mean $\mu$ and covariance $\Sigma$; the coordinates `known` have been
# observed. Write mean and covariance of the others, in their order,
#
# $$\mu_u + \Sigma_{uk}\Sigma_{kk}^{-1}(x_k - \mu_k), \qquad
#   \Sigma_{uu} - \Sigma_{uk}\Sigma_{kk}^{-1}\Sigma_{ku}.$$
#
# Use `torch.linalg.solve` rather than an inverse.


# %% nbgrader={"grade": false, "grade_id": "the-other-half", "locked": false, "schema_version": 3, "solution": true, "task": false}
def complete(mean, covariance, known, values):
    """Mean [u] and covariance [u, u] of the unknown coordinates, given the known ones.

    mean: [d]; covariance: [d, d]; known: indices [k], increasing; values: [k]; u = d - k.
    """
    ### BEGIN SOLUTION
    unknown = torch.ones(len(mean), dtype=torch.bool)
    unknown[known] = False
    across = covariance[unknown][:, known]
    weights = torch.linalg.solve(covariance[known][:, known], across.T).T
    centre = mean[unknown] + weights @ (values - mean[known])
    return centre, covariance[unknown][:, unknown] - weights @ across.T
    ### END SOLUTION


# %% tags=["wrong-answer"]
# The known mean is not subtracted.
def complete(mean, covariance, known, values):
    unknown = torch.ones(len(mean), dtype=torch.bool)
    unknown[known] = False
    across = covariance[unknown][:, known]
    weights = torch.linalg.solve(covariance[known][:, known], across.T).T
    return mean[unknown] + weights @ values, covariance[unknown][:, unknown] - weights @ across.T


# %% tags=["wrong-answer"]
# The covariance of the unknown part as it was before anything was known.
def complete(mean, covariance, known, values):
    unknown = torch.ones(len(mean), dtype=torch.bool)
    unknown[known] = False
    across = covariance[unknown][:, known]
    weights = torch.linalg.solve(covariance[known][:, known], across.T).T
    return mean[unknown] + weights @ (values - mean[known]), covariance[unknown][:, unknown]


# %% nbgrader={"grade": true, "grade_id": "check-the-other-half", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
with check("0.6") as answer:
    mean = torch.tensor([10.0, 20.0], dtype=torch.float64)
    covariance = torch.tensor([[1.0, 0.8], [0.8, 1.0]], dtype=torch.float64)
    first = torch.tensor([0])
    centre, spread = complete(mean, covariance, first, torch.tensor([10.0]).double())
    assert abs(float(centre[0]) - 20) < 1e-9, (
        "a known coordinate at its own mean tells nothing about the mean of the other, 20; yours "
        f"is {float(centre[0]):.3g}"
    )
    centre, spread = complete(mean, covariance, first, torch.tensor([11.0]).double())
    assert abs(float(centre[0]) - 20.8) < 1e-9, (
        "one standard deviation up in the first moves the second by the correlation, to 20.8; "
        f"yours is {float(centre[0]):.3g}"
    )
    assert abs(float(spread[0, 0]) - 0.36) < 1e-9, (
        "with correlation 0.8 a share 1 - 0.64 of the variance is left; yours leaves "
        f"{float(spread[0, 0]):.3g}"
    )
    g = seeded(9)
    root = torch.randn(5, 5, dtype=torch.float64, generator=g)
    mean, covariance = torch.randn(5, dtype=torch.float64, generator=g), root @ root.T
    x, known = torch.randn(5, dtype=torch.float64, generator=g), torch.tensor([1, 4])
    unknown = torch.tensor([0, 2, 3])
    part = complete(mean, covariance, known, x[known])
    joint = MultivariateNormal(mean, covariance).log_prob(x)
    rest = MultivariateNormal(mean[known], covariance[known][:, known]).log_prob(x[known])
    gap = float(MultivariateNormal(*part).log_prob(x[unknown]) + rest - joint)
    assert abs(gap) < 1e-8, (
        "log p(known) + log p(unknown | known) should be log p(all of them); yours is off by "
        f"{gap:.3g} nats"
    )
### BEGIN HIDDEN TESTS
answer.require()
g = seeded(10)
root = torch.randn(7, 9, dtype=torch.float64, generator=g)
mean, covariance = torch.randn(7, dtype=torch.float64, generator=g), root @ root.T
known, values = torch.tensor([0, 3, 5]), torch.randn(3, dtype=torch.float64, generator=g)
law = conditional_gaussian(mean, covariance, known, values)
found = complete(mean, covariance, known, values)
assert torch.allclose(found[0], law.mean)
assert torch.allclose(found[1], law.covariance_matrix, atol=1e-9)
### END HIDDEN TESTS

# %% [markdown]
# Your function completes digits. How many rows of a digit must you see before you know which one
# it is? Row by row: the answer with the smallest squared error, and one draw.


# %%
def show_halves(rows):
    images = data.digits()
    train, test = (part.double().reshape(-1, 64) for part in (images.train, images.test))
    covariance = train.T.cov() + 0.005 * torch.eye(64, dtype=torch.float64)
    known = torch.arange(8 * rows)
    shown = []
    for x in test[::36]:
        mean, spread = complete(train.mean(0), covariance, known, x[known])
        noise = torch.randn(len(mean), dtype=torch.float64, generator=seeded(11))
        draw = mean + torch.linalg.cholesky(spread) @ noise
        covered = torch.zeros(64 - 8 * rows, dtype=torch.float64)
        shown += [torch.cat([x[known], part]) for part in (covered, mean, draw, x[8 * rows :])]
    plot.images(
        torch.stack(shown).reshape(10, 4, 8, 8).transpose(0, 1).reshape(-1, 8, 8).clamp(0, 1),
        columns=10,
        alt="Ten digits: what is known of each, the best guess of the rest, one draw of the rest, "
        "and the truth. The more rows are known, the closer all of them are.",
    )


try:
    panel = sliders(show_halves, rows=Knob(1, 7, start=4))
except NotImplementedError:
    print("Comes with exercise 0.6.")
else:
    display(panel)

# %% [markdown]
# ## 0.7 No new information (3 points, 20 minutes)
#
# Write the mutual information of two discrete variables from the table of their joint law,
#
# $$I(A; B) = \sum_{a,b} p(a, b)\,\log\frac{p(a, b)}{p(a)\,p(b)},$$
#
# in nats. A cell of probability zero adds nothing. The check then looks whether your function obeys
# the data-processing inequality: a thousand random worlds $\theta \to X \to Y$.


# %% nbgrader={"grade": false, "grade_id": "no-new-information", "locked": false, "schema_version": 3, "solution": true, "task": false}
def information(joint):
    """Mutual information of rows and columns of a table of probabilities [a, b], nats."""
    ### BEGIN SOLUTION
    independent = joint.sum(1, keepdim=True) * joint.sum(0, keepdim=True)
    cell = joint > 0
    return (joint[cell] * (joint[cell] / independent[cell]).log()).sum()
    ### END SOLUTION


# %% tags=["wrong-answer"]
# 0 log 0 in floating point.
def information(joint):
    independent = joint.sum(1, keepdim=True) * joint.sum(0, keepdim=True)
    return (joint * (joint / independent).log()).sum()


# %% tags=["wrong-answer"]
# Bits.
def information(joint):
    independent = joint.sum(1, keepdim=True) * joint.sum(0, keepdim=True)
    cell = joint > 0
    return (joint[cell] * (joint[cell] / independent[cell]).log2()).sum()


# %% tags=["wrong-answer"]
# H(A) + H(B): the joint entropy is not subtracted.
def information(joint):
    rows, columns = joint.sum(1), joint.sum(0)
    return -torch.xlogy(rows, rows).sum() - torch.xlogy(columns, columns).sum()


# %% nbgrader={"grade": true, "grade_id": "check-no-new-information", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
with check("0.7") as answer:
    g = seeded(12)
    a, b = random_law(3, generator=g), random_law(4, generator=g)
    found = float(information(a[:, None] * b))
    assert abs(found) < 1e-12, (
        f"independent variables tell nothing about each other: 0 nats, yours is {found:.4f}"
    )
    found = float(information(torch.eye(4, dtype=torch.float64) / 4))
    assert abs(found - math.log(4)) < 1e-12, (
        "if B repeats A, which has four equally likely values, B tells all of it: "
        f"log 4 = {math.log(4):.4f} nats, yours is {found:.4f}"
    )
    for trial in range(1000):
        world = random_law(3, 4, generator=g)
        channel = torch.stack([random_law(5, generator=g) for _ in range(4)])
        before, after = float(information(world)), float(information(world @ channel))
        assert -1e-12 <= after <= before + 1e-12, (
            f"in world {trial} Y tells {after:.4f} nats about θ and X only {before:.4f}: what is "
            "made from X cannot tell more than X"
        )
### BEGIN HIDDEN TESTS
answer.require()
count = torch.arange(6).double()
coins = torch.tensor([0.2, 0.5, 0.8], dtype=torch.float64)[:, None]
table = Binomial(5, coins).log_prob(count).exp() / 3
entropy = (
    -torch.xlogy(table.sum(0), table.sum(0)).sum() + torch.xlogy(table, table).sum() + math.log(3)
)
assert abs(float(information(table) - entropy)) < 1e-12
assert abs(float(information(table) - information(table.T))) < 1e-12
### END HIDDEN TESTS
