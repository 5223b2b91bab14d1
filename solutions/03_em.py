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
# # Exercises 03: latent variables and EM
#
# Seven exercises, 21 points, about three hours. Replace each `raise NotImplementedError` and run
# the check below it. A check answers at once: **right**, **not yet, because …**, or
# **not attempted**. Some checks are repeated with other numbers when the notebook is graded.
#
# The chapter: [Latent variables and EM](../book/03_em.md). Work in float64 throughout, and in nats.

# %%
import itertools
import math

import torch
from IPython.display import display
from sklearn.datasets import load_breast_cancer, load_wine
from torch.distributions import Binomial, MultivariateNormal, Normal

from genlab import data, em, laws, plot
from genlab.course.check import check
from genlab.interact import Knob, sliders

cancer, bottles = load_breast_cancer(), load_wine()
columns = [
    list(cancer.feature_names).index(f"worst {name}") for name in ("radius", "concave points")
]
nuclei = torch.tensor(cancer.data[:, columns])  # 569 samples of tissue: radius, concave points
radius = torch.tensor(cancer.data[:, 0])  # 569 mean radii
columns = [bottles.feature_names.index(name) for name in ("alcohol", "flavanoids")]
wine = torch.tensor(bottles.data[:, columns])  # 178 wines of three cultivars


def seeded(number):
    """A generator of its own for each check."""
    return torch.Generator().manual_seed(number)


def random_law(*shape, generator):
    """Random probabilities that sum to one over the last axis."""
    p = torch.empty(shape, dtype=torch.float64).exponential_(generator=generator)
    return p / p.sum(-1, keepdim=True)


def vector(*numbers):
    """These numbers as a float64 tensor."""
    return torch.tensor(numbers, dtype=torch.float64)


# %% [markdown]
# ## 3.1 A bound and what it misses (2 points, 20 minutes)
#
# A latent variable $z$ has $K$ states. You know $\log p(z)$ for each state, and
# $\log p(x_i \mid z)$ for each observation and each state. Somebody hands you a guess $q_i(z)$ for
# each observation. Return two numbers an observation: the bound
#
# $$\mathcal L_i = \mathrm E_{q_i}[\log p(x_i \mid z)] - \mathrm{KL}\bigl(q_i(z)\,\|\,p(z)\bigr),$$
#
# and the gap $\mathrm{KL}\bigl(q_i(z)\,\|\,p(z \mid x_i)\bigr)$ that keeps it below
# $\log p(x_i)$. A guess may be zero for some states; $0 \log 0 = 0$. *Hint:*
# `torch.logsumexp` for $\log p(x_i)$, `torch.xlogy` for $q \log q$.


# %% nbgrader={"grade": false, "grade_id": "bound-and-gap", "locked": false, "schema_version": 3, "solution": true, "task": false}
def bound_and_gap(log_prior, log_decoder, q):
    """The bound [n] and its gap [n], in nats.

    log_prior: log p(z), [K]; log_decoder: log p(x_i | z), [n, K]; q: guesses, [n, K], each row
    sums to one. All logarithms are finite.
    """
    ### BEGIN SOLUTION
    log_joint = log_prior + log_decoder
    log_posterior = log_joint - log_joint.logsumexp(1, keepdim=True)
    negative_entropy = torch.xlogy(q, q).sum(1)
    bound = (q * log_joint).sum(1) - negative_entropy
    return bound, negative_entropy - (q * log_posterior).sum(1)
    ### END SOLUTION


# %% tags=["wrong-answer"]
# The divergence from the prior is added, as five slides of the lectures print it.
def bound_and_gap(log_prior, log_decoder, q):
    log_joint = log_prior + log_decoder
    log_posterior = log_joint - log_joint.logsumexp(1, keepdim=True)
    negative_entropy = torch.xlogy(q, q).sum(1)
    from_prior = negative_entropy - (q * log_prior).sum(1)
    return (q * log_decoder).sum(1) + from_prior, negative_entropy - (q * log_posterior).sum(1)


# %% tags=["wrong-answer"]
# log p(x, z) less the divergence from the prior: the prior is counted twice.
def bound_and_gap(log_prior, log_decoder, q):
    log_joint = log_prior + log_decoder
    log_posterior = log_joint - log_joint.logsumexp(1, keepdim=True)
    negative_entropy = torch.xlogy(q, q).sum(1)
    from_prior = negative_entropy - (q * log_prior).sum(1)
    return (q * log_joint).sum(1) - from_prior, negative_entropy - (q * log_posterior).sum(1)


# %% tags=["wrong-answer"]
# The gap the other way round, KL(p(z|x)‖q).
def bound_and_gap(log_prior, log_decoder, q):
    log_joint = log_prior + log_decoder
    log_posterior = log_joint - log_joint.logsumexp(1, keepdim=True)
    bound = (q * log_joint).sum(1) - torch.xlogy(q, q).sum(1)
    return bound, (log_posterior.exp() * (log_posterior - q.log())).sum(1)


# %% tags=["wrong-answer"]
# 0 log 0 in floating point.
def bound_and_gap(log_prior, log_decoder, q):
    log_joint = log_prior + log_decoder
    log_p = log_joint.logsumexp(1)
    bound = (q * (log_joint - q.log())).sum(1)
    return bound, log_p - bound


# %% nbgrader={"grade": true, "grade_id": "check-bound-and-gap", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
with check("3.1") as answer:
    # Two states: prior 0.8 and 0.2, p(x | z) = 0.25 and 1. So p(x) = 0.4, and both are even.
    prior, decoder = vector(0.8, 0.2).log(), vector(0.25, 1.0).log()[None]
    truth = math.log(0.4)
    bound, gap = (float(part[0]) for part in bound_and_gap(prior, decoder, vector(0.5, 0.5)[None]))
    if abs(bound - truth) > 1e-12:
        why = (
            "above log p(x), so it bounds nothing from below; which sign has the divergence?"
            if bound > truth
            else "below it; how often does the prior enter?"
        )
        raise AssertionError(
            f"prior (0.8, 0.2) and p(x | z) = (0.25, 1) have the posterior (0.5, 0.5), and there "
            f"the bound touches log 0.4 = {truth:.4f}; yours is {bound:.4f}, {why}"
        )
    assert abs(gap) < 1e-12, f"at the posterior the gap is 0 nats, yours is {gap:.4f}"
    bound, gap = (float(part[0]) for part in bound_and_gap(prior, decoder, vector(1.0, 0.0)[None]))
    assert abs(bound - math.log(0.2)) < 1e-12, (
        f"a guess that is certain of the first state has the bound log p(x, z=1) = log 0.2 = "
        f"{math.log(0.2):.4f}; yours is {bound:.4f}; 0 log 0 is 0"
    )
    assert abs(gap - math.log(2)) < 1e-12, (
        f"a guess that is certain of a state with posterior 0.5 is log 2 = {math.log(2):.4f} nats "
        f"away; yours is {gap:.4f}; q stands in front of the logarithm"
    )
    g = seeded(1)
    prior, q = random_law(4, generator=g).log(), random_law(500, 4, generator=g)
    decoder = 3 * torch.randn(500, 4, dtype=torch.float64, generator=g)
    bound, gap = bound_and_gap(prior, decoder, q)
    log_p = (prior + decoder).logsumexp(1)
    laws.bounds_from_below(bound, log_p)
    off = float((bound + gap - log_p).abs().max())
    assert off < 1e-10, (
        f"bound plus gap should be log p(x) for every guess; of 500 random ones the worst is off "
        f"by {off:.3g} nats"
    )
### BEGIN HIDDEN TESTS
answer.require()
g = seeded(2)
prior, q = random_law(6, generator=g).log(), random_law(40, 6, generator=g)
q[::2, 1:4] = 0
q /= q.sum(1, keepdim=True)
decoder = 5 * torch.randn(40, 6, dtype=torch.float64, generator=g)
parts = em.decompose(prior + decoder, q)
bound, gap = bound_and_gap(prior, decoder, q)
assert torch.allclose(bound, parts.elbo, atol=1e-10)
assert torch.allclose(gap, parts.kl, atol=1e-10)
### END HIDDEN TESTS

# %% [markdown]
# ## 3.2 Who is responsible? (3 points, 25 minutes)
#
# The E step of a Gaussian mixture. For each observation return $\log p(x_i)$ and the
# responsibilities
#
# $$r_{il} = \frac{\pi_l N(x_i; \mu_l, \Sigma_l)}{\sum_m \pi_m N(x_i; \mu_m, \Sigma_m)}.$$
#
# Far from all components every term of the sum is smaller than the smallest floating-point number,
# and yet the fraction is well defined: stay with logarithms to the end.
# `MultivariateNormal(mean, covariance).log_prob(x)` knows the density of one component.


# %% nbgrader={"grade": false, "grade_id": "e-step", "locked": false, "schema_version": 3, "solution": true, "task": false}
def e_step(x, parameters):
    """log p(x_i), [n], nats, and the responsibilities, [n, K], whose rows sum to one.

    x: observations [n, d]; parameters: weights [K], means [K, d] and covariances [K, d, d].
    """
    weights, means, covariances = parameters
    ### BEGIN SOLUTION
    components = [MultivariateNormal(*law) for law in zip(means, covariances, strict=True)]
    log_joint = weights.log() + torch.stack([law.log_prob(x) for law in components], 1)
    return log_joint.logsumexp(1), log_joint.softmax(1)
    ### END SOLUTION


# %% tags=["wrong-answer"]
# Densities instead of their logarithms: 0/0 far from all components.
def e_step(x, parameters):
    weights, means, covariances = parameters
    components = [MultivariateNormal(*law) for law in zip(means, covariances, strict=True)]
    joint = weights * torch.stack([law.log_prob(x).exp() for law in components], 1)
    return joint.sum(1).log(), joint / joint.sum(1, keepdim=True)


# %% tags=["wrong-answer"]
# The weights are forgotten in the responsibilities.
def e_step(x, parameters):
    weights, means, covariances = parameters
    components = [MultivariateNormal(*law) for law in zip(means, covariances, strict=True)]
    log_p = torch.stack([law.log_prob(x) for law in components], 1)
    return (weights.log() + log_p).logsumexp(1), log_p.softmax(1)


# %% tags=["wrong-answer"]
# Distances without the determinants: a wide component looks as likely as a narrow one.
def e_step(x, parameters):
    weights, means, covariances = parameters
    apart = x[:, None] - means
    square = (apart[:, :, None] @ covariances.inverse() @ apart[..., None])[..., 0, 0]
    log_joint = weights.log() - 0.5 * square - x.shape[1] / 2 * math.log(2 * math.pi)
    return log_joint.logsumexp(1), log_joint.softmax(1)


# %% tags=["wrong-answer"]
# Normalised over the observations instead of over the components.
def e_step(x, parameters):
    weights, means, covariances = parameters
    components = [MultivariateNormal(*law) for law in zip(means, covariances, strict=True)]
    log_joint = weights.log() + torch.stack([law.log_prob(x) for law in components], 1)
    return log_joint.logsumexp(1), log_joint.softmax(0)


# %% nbgrader={"grade": true, "grade_id": "check-e-step", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
class Mixture:
    """Your E step as a density, for the law that it integrates to one."""

    def __init__(self, *parameters):
        self.parameters = parameters

    def log_prob(self, x):
        return e_step(x, self.parameters)[0]


with check("3.2") as answer:
    two = torch.zeros(2, 1, dtype=torch.float64)
    x = vector(0.0, 1.0, 2.0)[:, None]
    log_p, r = e_step(x, (vector(0.9, 0.1), two, torch.ones(2, 1, 1, dtype=torch.float64)))
    assert (log_p.shape, r.shape) == ((3,), (3, 2)), (
        f"three observations and two components give shapes (3,) and (3, 2), not "
        f"{tuple(log_p.shape)} and {tuple(r.shape)}"
    )
    worst = float((r.sum(1) - 1).abs().max())
    assert worst < 1e-12, (
        f"the responsibilities for one observation sum to one over the components; your rows sum "
        f"to {[round(s, 3) for s in r.sum(1).tolist()]}"
    )
    assert abs(float(r[1, 0]) - 0.9) < 1e-12, (
        "if both components are the same, x says nothing and the answer is the weights, 0.9 and "
        f"0.1; yours is {float(r[1, 0]):.3f} and {float(r[1, 1]):.3f}"
    )
    wide = vector(1.0, 9.0)[:, None, None]
    r = e_step(x, (vector(0.5, 0.5), two, wide))[1]
    assert abs(float(r[0, 0]) - 0.75) < 1e-12, (
        "at the common mean a component of standard deviation 1 is three times as dense as one "
        f"of 3, so 0.75 and 0.25; yours is {float(r[0, 0]):.3f} and {float(r[0, 1]):.3f}"
    )
    means, leaning = vector(-1.0, 0.0, 2.0, 1.0).reshape(2, 2), vector(1.0, 0.6, 0.6, 1.0)
    some = (vector(0.3, 0.7), means, torch.stack([leaning.reshape(2, 2), torch.eye(2).double()]))
    laws.integrates_to_one(Mixture(*some), [-8.0, -8.0], [9.0, 9.0], points=96)
    log_p, r = e_step(torch.full((1, 2), 1e3, dtype=torch.float64), some)
    assert torch.cat([log_p, r[0]]).isfinite().all(), (
        f"far from all components it returns log p = {float(log_p[0]):.3g} and responsibilities "
        f"{r[0].tolist()}: the densities are zero there in floating point, their logarithms are not"
    )
    fitted = em.GaussianMixture(3, max_iterations=20).fit(nuclei, generator=seeded(3))
    log_p, r = e_step(nuclei, (fitted.weights, fitted.means, fitted.covariances))
    worst = float((r - fitted.responsibilities(nuclei)).abs().max())
    assert worst < 1e-6, f"on the 569 nuclei a responsibility is {worst:.2g} away from genlab's"
    worst = float((log_p - fitted.log_prob(nuclei)).abs().max())
    assert worst < 1e-6, f"on the 569 nuclei log p(x) is {worst:.2g} nats away from genlab's"
### BEGIN HIDDEN TESTS
answer.require()
fitted = em.GaussianMixture(4, max_iterations=20).fit(wine, generator=seeded(4))
log_p, r = e_step(wine, (fitted.weights, fitted.means, fitted.covariances))
assert torch.allclose(log_p, fitted.log_prob(wine), atol=1e-6)
assert torch.allclose(r, fitted.responsibilities(wine), atol=1e-6)
log_p, r = e_step(vector(4e4)[:, None], (vector(0.5, 0.5), two, wide))
assert log_p.isfinite().all()
assert torch.allclose(r, vector(0.0, 1.0))
### END HIDDEN TESTS

# %% [markdown]
# ## 3.3 As if you had seen them (3 points, 25 minutes)
#
# The M step: given the observations and any responsibilities, return the weights, means and
# covariances that make
#
# $$\sum_{i,l} r_{il}\,\bigl[\log \pi_l + \log N(x_i; \mu_l, \Sigma_l)\bigr]$$
#
# as large as possible. The chapter derives them. No loop over the observations is needed.


# %% nbgrader={"grade": false, "grade_id": "m-step", "locked": false, "schema_version": 3, "solution": true, "task": false}
def m_step(x, r):
    """Weights [K], means [K, d] and covariances [K, d, d], as a tuple.

    x: observations [n, d]; r: responsibilities [n, K], whose rows sum to one.
    """
    ### BEGIN SOLUTION
    count = r.sum(0)
    means = r.T @ x / count[:, None]
    apart = x - means[:, None]  # [K, n, d]
    covariances = (r.T[..., None] * apart).mT @ apart / count[:, None, None]
    return count / len(x), means, covariances
    ### END SOLUTION


# %% tags=["wrong-answer"]
# Divided by all observations, not by those of the component.
def m_step(x, r):
    count = r.sum(0)
    means = r.T @ x / count[:, None]
    apart = x - means[:, None]
    return count / len(x), means, (r.T[..., None] * apart).mT @ apart / len(x)


# %% tags=["wrong-answer"]
# The covariance around the mean of all the data.
def m_step(x, r):
    count = r.sum(0)
    means = r.T @ x / count[:, None]
    apart = (x - x.mean(0)).expand(r.shape[1], -1, -1)
    return count / len(x), means, (r.T[..., None] * apart).mT @ apart / count[:, None, None]


# %% tags=["wrong-answer"]
# Counts heads: each observation goes whole to its best component.
def m_step(x, r):
    means = r.T @ x / r.sum(0)[:, None]
    apart = x - means[:, None]
    covariances = (r.T[..., None] * apart).mT @ apart / r.sum(0)[:, None, None]
    return torch.bincount(r.argmax(1), minlength=r.shape[1]) / len(x), means, covariances


# %% tags=["wrong-answer"]
# The mean of r x, not divided by the share of the component.
def m_step(x, r):
    count = r.sum(0)
    means = r.T @ x / len(x)
    apart = x - means[:, None]
    return count / len(x), means, (r.T[..., None] * apart).mT @ apart / count[:, None, None]


# %% tags=["wrong-answer"]
# N - 1 makes an unbiased variance of one sample; it is not what maximises.
def m_step(x, r):
    count = r.sum(0)
    means = r.T @ x / count[:, None]
    apart = x - means[:, None]
    covariances = (r.T[..., None] * apart).mT @ apart / (count - 1)[:, None, None]
    return count / len(x), means, covariances


# %% nbgrader={"grade": true, "grade_id": "check-m-step", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def expected_log_joint(x, r, weights, means, covariances):
    """What the M step makes large, per observation."""
    components = [MultivariateNormal(*law) for law in zip(means, covariances, strict=True)]
    log_joint = weights.log() + torch.stack([law.log_prob(x) for law in components], 1)
    return float((r * log_joint).sum(1).mean())


with check("3.3") as answer:
    x, r = vector(0.0, 2.0, 10.0)[:, None], vector(1.0, 0.0, 0.5, 0.5, 0.0, 1.0).reshape(3, 2)
    weights, means, covariances = m_step(x, r)
    shapes = tuple(weights.shape), tuple(means.shape), tuple(covariances.shape)
    assert shapes == ((2,), (2, 1), (2, 1, 1)), (
        f"two components on the line have shapes (2,), (2, 1) and (2, 1, 1), not {shapes}"
    )
    setting = "for the points 0, 2, 10, of which 2 belongs half to each component,"
    got = weights.double()
    assert torch.allclose(got, vector(0.5, 0.5)), (
        f"{setting} the weights are 0.5 and 0.5; yours are {got[0]:.3f} and {got[1]:.3f}"
    )
    got = means[:, 0]
    assert torch.allclose(got, vector(2 / 3, 22 / 3)), (
        f"{setting} the means are (0 + 1)/1.5 = 0.667 and (1 + 10)/1.5 = 7.333; yours are "
        f"{got[0]:.3f} and {got[1]:.3f}"
    )
    got = covariances[:, 0, 0]
    why = (
        "by how many observations do you divide?"
        if math.isclose(float(got[0] / got[1]), 1 / 16)
        else "from which mean do you measure the distances?"
    )
    assert torch.allclose(got, vector(8 / 9, 128 / 9)), (
        f"{setting} the variances are 0.889 and 14.222; yours are {got[0]:.3f} and {got[1]:.3f}; "
        + why
    )
    r = random_law(len(nuclei), 3, generator=seeded(5))
    found = m_step(nuclei, r)
    best = expected_log_joint(nuclei, r, *found)
    for name, index in (("weights", 0), ("means", 1), ("covariances", 2)):
        for factor in (0.98, 1.02):
            other = list(found)
            other[index] = found[index].clone()
            other[index][0] *= factor
            if index == 0:
                other[index] = other[index] / other[index].sum()
            value = expected_log_joint(nuclei, r, *other)
            assert value < best, (
                f"on the nuclei your {name} are no maximum: multiplied by {factor} for one "
                f"component they give {value - best:.2g} nats more"
            )
### BEGIN HIDDEN TESTS
answer.require()
g = seeded(6)
x, r = torch.randn(60, 3, dtype=torch.float64, generator=g), random_law(60, 4, generator=g)
weights, means, covariances = m_step(x, r)
assert torch.allclose(weights, r.mean(0))
for k in range(4):
    assert torch.allclose(means[k], (r[:, k : k + 1] * x).sum(0) / r[:, k].sum())
    assert torch.allclose(covariances[k], torch.cov(x.T, aweights=r[:, k], correction=0))
### END HIDDEN TESTS

# %% [markdown]
# ## 3.4 Round and round (3 points, 30 minutes)
#
# Now the loop. It knows no Gaussians; it is given the two steps:
#
# - `e_step(x, parameters)` returns $\log p(x_i)$, [n], and responsibilities, [n, K];
# - `m_step(x, r)` returns new parameters.
#
# An *iteration* takes the parameters to the next ones. Record the mean log-likelihood, in nats an
# observation, at the start and after each iteration. Stop after the first iteration that gains
# less than `tol`. Parameters, responsibilities and the last entry of the record must belong
# together: who reads off the responsibilities wants those of the parameters returned.


# %% nbgrader={"grade": false, "grade_id": "climb", "locked": false, "schema_version": 3, "solution": true, "task": false}
def climb(x, parameters, e_step, m_step, tol):
    """EM from the given parameters: (parameters, responsibilities [n, K], record).

    record: list of floats, the mean log-likelihood at the start and after each iteration.
    """
    ### BEGIN SOLUTION
    log_p, r = e_step(x, parameters)
    record = [float(log_p.mean())]
    while True:
        parameters = m_step(x, r)
        log_p, r = e_step(x, parameters)
        record.append(float(log_p.mean()))
        if record[-1] - record[-2] < tol:
            return parameters, r, record
    ### END SOLUTION


# %% tags=["wrong-answer"]
# Hard assignments: no M step of the likelihood, which may then fall.
def climb(x, parameters, e_step, m_step, tol):
    log_p, r = e_step(x, parameters)
    record = [float(log_p.mean())]
    while True:
        hard = torch.nn.functional.one_hot(r.argmax(1), r.shape[1]).double()
        parameters = m_step(x, hard)
        log_p, r = e_step(x, parameters)
        record.append(float(log_p.mean()))
        if record[-1] - record[-2] < tol:
            return parameters, r, record


# %% tags=["wrong-answer"]
# Ends with an M step: record and responsibilities are those of the parameters before.
def climb(x, parameters, e_step, m_step, tol):
    record = []
    while True:
        log_p, r = e_step(x, parameters)
        record.append(float(log_p.mean()))
        parameters = m_step(x, r)
        if len(record) > 1 and record[-1] - record[-2] < tol:
            return parameters, r, record


# %% tags=["wrong-answer"]
# The start is not in the record.
def climb(x, parameters, e_step, m_step, tol):
    r = e_step(x, parameters)[1]
    record = []
    while True:
        parameters = m_step(x, r)
        log_p, r = e_step(x, parameters)
        record.append(float(log_p.mean()))
        if len(record) > 1 and record[-1] - record[-2] < tol:
            return parameters, r, record


# %% tags=["wrong-answer"]
# Sums where the mean is asked for.
def climb(x, parameters, e_step, m_step, tol):
    log_p, r = e_step(x, parameters)
    record = [float(log_p.sum())]
    while True:
        parameters = m_step(x, r)
        log_p, r = e_step(x, parameters)
        record.append(float(log_p.sum()))
        if record[-1] - record[-2] < tol:
            return parameters, r, record


# %% nbgrader={"grade": true, "grade_id": "check-climb", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
# Five times one of two coins was picked, each as often as the other, and tossed ten times.
heads = vector(5, 9, 8, 4, 7)


def coin_e_step(x, bias):
    log_joint = Binomial(10, bias).log_prob(x[:, None]) + math.log(0.5)
    return log_joint.logsumexp(1), log_joint.softmax(1)


def coin_m_step(x, r):
    return r.T @ x / (10 * r.sum(0))


# The steps of genlab, for two Gaussians on the nuclei.
def genlab_e_step(x, parameters):
    return em.e_step(em.features(x), em.natural(*parameters))


def genlab_m_step(x, r):
    return em.m_step(r.T @ em.features(x), x.shape[1])


with check("3.4") as answer:
    start = vector(0.6, 0.5)
    bias, r, record = climb(heads, start, coin_e_step, coin_m_step, math.inf)
    at_start = float(coin_e_step(heads, start)[0].mean())
    assert abs(record[0] - at_start) < 1e-9, (
        f"for the coins the mean log-likelihood at the start is {at_start:.4f} nats a row of "
        f"tosses, your record begins with {record[0]:.4f}"
    )
    assert len(record) == 2, (
        "with tol = infinity no iteration gains enough and one is made; the record holds "
        f"{len(record)} numbers instead of 2"
    )
    log_p, right = coin_e_step(heads, bias)
    assert abs(record[-1] - float(log_p.mean())) < 1e-9, (
        f"the parameters you return have {float(log_p.mean()):.4f} nats a row of tosses, your "
        f"record ends with {record[-1]:.4f}: which step comes last?"
    )
    assert torch.allclose(r, right), (
        "the responsibilities you return are not those of the parameters you return: which step "
        "comes last?"
    )
    means = nuclei.mean(0) + vector(-1.0, 1.0)[:, None] * nuclei.std(0)
    start = (vector(0.5, 0.5), means, nuclei.T.cov().expand(2, 2, 2))
    parameters, r, record = climb(nuclei, start, genlab_e_step, genlab_m_step, 1e-8)
    try:
        laws.never_goes_down(record)
    except laws.LawBroken as broken:
        raise AssertionError(
            f"on the nuclei your record goes down, which EM's cannot. {broken} And do the "
            "responsibilities reach the M step as they are?"
        ) from broken
    gains = [after - before for before, after in itertools.pairwise(record)]
    assert [gain < 1e-8 for gain in gains] == [False] * (len(gains) - 1) + [True], (
        f"on the nuclei it should stop after the first iteration that gains less than 1e-8; it "
        f"made {len(gains)}, and the last gained {gains[-1]:.2g}"
    )
    fitted = em.GaussianMixture(2, tol=1e-8).fit(nuclei, start=start)
    assert abs(record[-1] - fitted.history[-1]) < 1e-6, (
        f"on the nuclei genlab climbs to {fitted.history[-1]:.6f} nats an observation from the "
        f"same start, your loop ends at {record[-1]:.6f}"
    )
### BEGIN HIDDEN TESTS
answer.require()
bias, r, record = climb(heads, vector(0.6, 0.5), coin_e_step, coin_m_step, 1e-10)
laws.never_goes_down(record)
assert torch.allclose(bias, vector(0.7968, 0.5196), atol=1e-3)
assert torch.allclose(r, coin_e_step(heads, bias)[1])
start = (vector(0.5, 0.5), wine[:2], wine.T.cov().expand(2, 2, 2))
parameters, r, record = climb(wine, start, genlab_e_step, genlab_m_step, 1e-4)
gains = [after - before for before, after in itertools.pairwise(record)]
assert gains[-1] < 1e-4 <= min(gains[:-1])
assert abs(float(genlab_e_step(wine, parameters)[0].mean()) - record[-1]) < 1e-9
### END HIDDEN TESTS

# %% [markdown]
# Your three functions at work on the nuclei (nothing to hand in). The means start on a line through
# the centre, `apart` standard deviations from each other. Move `step`: where is most of the climb
# made? Then set `apart` to 0 and explain what you see. A little more than 0, and what changes?


# %%
def show_steps(step, apart):
    means = nuclei.mean(0) + vector(-0.5, 0.5)[:, None] * apart * nuclei.std(0)
    start = (vector(0.5, 0.5), means, nuclei.T.cov(correction=0).expand(2, 2, 2))
    record = climb(nuclei, start, e_step, m_step, 1e-7)[2]
    parameters, step = start, min(step, len(record) - 1)
    for _ in range(step):
        parameters = m_step(nuclei, e_step(nuclei, parameters)[1])
    share = e_step(nuclei, parameters)[1]
    angle = torch.linspace(0, 2 * math.pi, 200, dtype=torch.float64)
    ring = torch.stack([angle.cos(), angle.sin()])
    with plot.figure(
        panels=2,
        height=3.2,
        title=[f"step {step}", f"{record[step]:.4f} nats an observation"],
        alt="Left, the nuclei, coloured by responsibility, with two ellipses for each of two "
        "components. Right, the mean log-likelihood climbs steeply, then levels off; a disc marks "
        "the step that is shown on the left.",
    ) as (left, right):
        for k, name in enumerate(("approx", "model")):
            left.scatter(*nuclei.T, s=7, lw=0, color=plot.COLORS[name], alpha=share[:, k])
            root = torch.linalg.cholesky(parameters[2][k])
            for deviations in (1, 2):
                ellipse = parameters[1][k][:, None] + deviations * root @ ring
                left.plot(*ellipse, color=plot.COLORS[name], lw=1.3)
        left.set(xlabel="radius", ylabel="concave points (fraction)")
        right.plot(record, color=plot.COLORS["accent"])
        right.plot(step, record[step], "o", color=plot.COLORS["model"])
        right.set(xlabel="iterations", xlim=(-1, 41), ylim=(min(record[0], -1.23) - 0.02, -0.95))


try:
    panel = sliders(show_steps, step=Knob(0, 40, start=4), apart=Knob(0.0, 4.0, start=1.0))
except NotImplementedError:
    print("Comes with exercises 3.2 to 3.4.")
else:
    display(panel)

# %% [markdown]
# ## 3.5 Beat any likelihood (3 points, 30 minutes)
#
# Find out why *the parameters of maximum likelihood* do not exist. You get any numbers
# $x_1, \dots, x_n$, not all equal, and any target in nats. Return a mixture of two Gaussians on
# the line,
#
# $$p(x) = \pi_1 N(x; \mu_1, \sigma_1^2) + \pi_2 N(x; \mu_2, \sigma_2^2),$$
#
# with $\sum_i \log p(x_i)$ above the target. Return $\log\sigma$ instead of $\sigma$: a target of
# a million nats needs a $\sigma$ that no floating-point number can hold. *Hint:* which component
# pays for the observations that the other does not care for, and how much?
#
# Then the remedy. If every eigenvalue of every covariance is at least $\varepsilon$, no mixture of
# Gaussians in $d$ dimensions can have more than a certain log-likelihood on $n$ observations,
# whatever they are. Return the least such ceiling.


# %% nbgrader={"grade": false, "grade_id": "beat", "locked": false, "schema_version": 3, "solution": true, "task": false}
def beat(x, target):
    """Weights [2], means [2] and log σ [2] of a mixture whose Σ log p(x_i) exceeds the target.

    x: float64 [n], n ≥ 2, not all equal; target: nats. Three float64 tensors of finite numbers;
    the weights are positive.
    """
    ### BEGIN SOLUTION
    wide = Normal(x.mean(), x.std())
    rest = float((math.log(0.5) + wide.log_prob(x[1:])).sum())
    # The first observation alone must bring target - rest, and one nat more.
    narrow = math.log(0.5) - 0.5 * math.log(2 * math.pi) - (target - rest + 1)
    return (
        torch.tensor([0.5, 0.5], dtype=torch.float64),
        torch.stack([x[0], x.mean()]),
        torch.stack([torch.tensor(narrow, dtype=torch.float64), x.std().log()]),
    )
    ### END SOLUTION


def ceiling(n, d, floor):
    """Least upper bound of Σ log p(x_i) over all [n, d] data and all mixtures with Σ_l ⪰ floor·I."""
    ### BEGIN SOLUTION
    return -n * d / 2 * math.log(2 * math.pi * floor)
    ### END SOLUTION


# %% tags=["wrong-answer"]
# Both components are narrow, and nobody pays for the others.
def beat(x, target):
    half = torch.tensor([0.5, 0.5], dtype=torch.float64)
    return half, torch.stack([x.min(), x.max()]), torch.full((2,), -float(target)).double()


def ceiling(n, d, floor):
    return -n * d / 2 * math.log(2 * math.pi * floor)


# %% tags=["wrong-answer"]
# One observation reaches the target, and the others take it back.
def beat(x, target):
    narrow = math.log(0.5) - 0.5 * math.log(2 * math.pi) - target
    half = torch.tensor([0.5, 0.5], dtype=torch.float64)
    return half, torch.stack([x[0], x.mean()]), torch.stack([torch.tensor(narrow), x.std().log()])


def ceiling(n, d, floor):
    return -n * d / 2 * math.log(2 * math.pi * floor)


# %% tags=["wrong-answer"]
# The narrow component stands at the mean, where no observation is.
def beat(x, target):
    half = torch.tensor([0.5, 0.5], dtype=torch.float64)
    wide, narrow = x.std().log(), torch.tensor(-10.0 * len(x) - target, dtype=torch.float64)
    return half, x.mean().expand(2) + 0.001, torch.stack([narrow, wide])


def ceiling(n, d, floor):
    return -n * d / 2 * math.log(2 * math.pi * floor)


# %% tags=["wrong-answer"]
# Takes the floor for a standard deviation; it is one of eigenvalues, which are variances.
def beat(x, target):
    wide = Normal(x.mean(), x.std())
    rest = float((math.log(0.5) + wide.log_prob(x[1:])).sum())
    narrow = torch.tensor(math.log(0.5) - math.log(2 * math.pi) / 2 - (target - rest + 1)).double()
    half = torch.tensor([0.5, 0.5], dtype=torch.float64)
    return half, torch.stack([x[0], x.mean()]), torch.stack([narrow, x.std().log()])


def ceiling(n, d, floor):
    return -n * d * math.log(math.sqrt(2 * math.pi) * floor)


# %% nbgrader={"grade": true, "grade_id": "check-beat", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def log_likelihoods(x, weights, means, log_deviations):
    """log p(x_i) of a mixture on the line; a deviation need not be a floating-point number."""
    distance = (x[:, None] - means).abs()
    squares = torch.where(distance == 0, 0.0, (2 * (distance.log() - log_deviations)).exp())
    log_normal = -0.5 * (squares + math.log(2 * math.pi)) - log_deviations
    return (weights.log() + log_normal).logsumexp(1)


with check("3.5") as answer:
    for name, x, target in (
        ("1, 2, 4 and 8", vector(1, 2, 4, 8), 50.0),
        ("the radii", radius, 1e3),
        ("the radii", radius, 1e6),
    ):
        mixture = beat(x, target)
        weights, means, log_deviations = mixture
        assert all(part.isfinite().all() for part in mixture), (
            f"for {name} and a target of {target:g} nats a parameter is not finite: {mixture}"
        )
        assert weights.min() > 0, f"weights are positive, yours are {weights.tolist()}"
        assert abs(float(weights.sum()) - 1) < 1e-6, (
            f"weights sum to one, yours to {float(weights.sum()):.6g}"
        )
        each = log_likelihoods(x, *mixture)
        found, lost = float(each.sum()), int((each < -1e6).sum())
        on = (x[:, None] == means).any(0)
        if lost:
            why = f"{lost} of {len(x)} observations have less than -1e6 nats: who covers them?"
        elif not on[log_deviations.argmin()]:
            why = "no observation lies exactly at the mean of the narrow component"
        else:
            why = f"the best observation has {float(each.max()):.0f}; what do the others cost?"
        assert found > target, (
            f"for {name} the target is {target:g} nats and your mixture has {found:.6g}; {why}"
        )
    for n, d, floor in ((3, 2, 0.01), (5, 3, 0.2)):
        narrowest = MultivariateNormal(torch.zeros(d).double(), floor * torch.eye(d).double())
        reached = n * float(narrowest.log_prob(torch.zeros(d).double()))
        assert abs(ceiling(n, d, floor) - reached) < 1e-9, (
            f"{n} observations in {d} dimensions that all lie at the mean of N(μ, {floor} I) have "
            f"{reached:.4f} nats and no eigenvalue may be smaller; your ceiling is "
            f"{ceiling(n, d, floor):.4f}"
        )
### BEGIN HIDDEN TESTS
answer.require()
x = 100 * torch.randn(300, dtype=torch.float64, generator=seeded(7)) + 1e4
for target in (-1e5, 0.0, 12_345.6, 3e7):
    assert float(log_likelihoods(x, *beat(x, target)).sum()) > target
assert math.isclose(ceiling(569, 2, 1e-4), 569 * math.log(1e4 / (2 * math.pi)))
### END HIDDEN TESTS

# %% [markdown]
# What is the victory worth? Here your mixtures meet the radii of other samples (nothing to hand
# in). Explain the last column.


# %%
try:
    seen, fresh = radius[1::2], radius[::2]
    fresh = fresh[fresh != seen[0]]
    for target in (1e3, 1e4, 1e6):
        mixture = beat(seen, target)
        total, other = (float(log_likelihoods(part, *mixture).sum()) for part in (seen, fresh))
        print(f"target {target:9,.0f}: seen {total:11,.1f}, fresh {other / len(fresh):.3f} each")
except NotImplementedError:
    print("Comes with exercise 3.5.")

# %% [markdown]
# ## 3.6 How many? (3 points, 30 minutes)
#
# Two ways to choose $K$; the likelihood of the data that were fitted is neither.
#
# **Charge for parameters.** Write $\mathrm{BIC} = -2 \log L + \nu \log n$, where $\log L$ is the
# *total* log-likelihood of $n$ observations and $\nu$ the number of free numbers in a mixture of
# $K$ Gaussians with full covariances in $d$ dimensions. The smallest wins. Careful with $\nu$: the
# weights sum to one, and a covariance is symmetric.
#
# **Hold out.** Observation $i$ is in fold $i \bmod m$. Fit to all folds but one, score that one, do
# so for each fold in turn, and return the mean of the $n$ log-densities. The largest wins.


# %% nbgrader={"grade": false, "grade_id": "how-many", "locked": false, "schema_version": 3, "solution": true, "task": false}
def bic(log_likelihood, n, k, d):
    """Bayesian information criterion of a mixture of k Gaussians with full covariances.

    log_likelihood: total of n observations in d dimensions, nats.
    """
    ### BEGIN SOLUTION
    free = (k - 1) + k * d + k * d * (d + 1) // 2
    return -2 * log_likelihood + free * math.log(n)
    ### END SOLUTION


def held_out(x, k, fit, folds):
    """Mean log-density of the observations, each under a model that has not seen its fold.

    x: [n, d]; fit(x, k): fits a model of k components, which has log_prob(x), [n].
    """
    ### BEGIN SOLUTION
    fold = torch.arange(len(x)) % folds
    total = sum(fit(x[fold != f], k).log_prob(x[fold == f]).sum() for f in range(folds))
    return float(total) / len(x)
    ### END SOLUTION


# %% tags=["wrong-answer"]
# All K weights are counted; the last one is what the others leave.
def bic(log_likelihood, n, k, d):
    return -2 * log_likelihood + (k + k * d + k * d * (d + 1) // 2) * math.log(n)


def held_out(x, k, fit, folds):
    fold = torch.arange(len(x)) % folds
    total = sum(fit(x[fold != f], k).log_prob(x[fold == f]).sum() for f in range(folds))
    return float(total) / len(x)


# %% tags=["wrong-answer"]
# The sign is turned, so that the smallest is the worst.
def bic(log_likelihood, n, k, d):
    return 2 * log_likelihood - (k - 1 + k * d + k * d * (d + 1) // 2) * math.log(n)


def held_out(x, k, fit, folds):
    fold = torch.arange(len(x)) % folds
    total = sum(fit(x[fold != f], k).log_prob(x[fold == f]).sum() for f in range(folds))
    return float(total) / len(x)


# %% tags=["wrong-answer"]
# All entries of a covariance, though it is symmetric.
def bic(log_likelihood, n, k, d):
    return -2 * log_likelihood + (k - 1 + k * d + k * d * d) * math.log(n)


def held_out(x, k, fit, folds):
    fold = torch.arange(len(x)) % folds
    total = sum(fit(x[fold != f], k).log_prob(x[fold == f]).sum() for f in range(folds))
    return float(total) / len(x)


# %% tags=["wrong-answer"]
# The training likelihood: every model has seen what it is asked about.
def bic(log_likelihood, n, k, d):
    return -2 * log_likelihood + (k - 1 + k * d + k * d * (d + 1) // 2) * math.log(n)


def held_out(x, k, fit, folds):
    return float(fit(x, k).log_prob(x).mean())


# %% tags=["wrong-answer"]
# Fitted to one fold and scored on the others: the wrong way round.
def bic(log_likelihood, n, k, d):
    return -2 * log_likelihood + (k - 1 + k * d + k * d * (d + 1) // 2) * math.log(n)


def held_out(x, k, fit, folds):
    fold = torch.arange(len(x)) % folds
    scores = [fit(x[fold == f], k).log_prob(x[fold != f]).mean() for f in range(folds)]
    return float(sum(scores)) / folds


# %% tags=["wrong-answer"]
# The mean of the folds' means: observations of a small fold count more.
def bic(log_likelihood, n, k, d):
    return -2 * log_likelihood + (k - 1 + k * d + k * d * (d + 1) // 2) * math.log(n)


def held_out(x, k, fit, folds):
    fold = torch.arange(len(x)) % folds
    scores = [fit(x[fold != f], k).log_prob(x[fold == f]).mean() for f in range(folds)]
    return float(sum(scores)) / folds


# %% nbgrader={"grade": true, "grade_id": "check-how-many", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def fit_mixture(x, k):
    return em.GaussianMixture(k, floor=1e-2, starts=3, tol=1e-5).fit(x, generator=seeded(8))


class Spy:
    """No model: it remembers what it was fitted to, and scores x with -x."""

    fitted, scored = [], []

    def __init__(self, x, k):
        self.seen = set(x[:, 0].tolist())
        Spy.fitted.append(len(x))

    def log_prob(self, x):
        Spy.scored += [(value, value in self.seen) for value in x[:, 0].tolist()]
        return -x[:, 0]


with check("3.6") as answer:
    for k, d, right in ((1, 1, 2), (2, 1, 5), (3, 2, 17)):
        low, high = bic(-200.0, 50, k, d), bic(-100.0, 50, k, d)
        assert high < low, (
            f"a log-likelihood of -100 is better than one of -200, and the smaller BIC wins; yours "
            f"are {high:.1f} and {low:.1f}"
        )
        assert abs(low - high - 200) < 1e-9, (
            f"100 nats more should lower BIC by 200; they lower yours by {low - high:.1f}"
        )
        free = bic(0.0, 50, k, d) / math.log(50)
        what = "One Gaussian" if k == 1 else f"{k} Gaussians"
        assert abs(free - right) < 1e-9, (
            f"{what} in {d} dimension{'s' if d > 1 else ''} with full covariances: {right} free "
            f"numbers; you charge for {free:.4g}"
        )
    values = torch.arange(11, dtype=torch.float64)[:, None] ** 2  # eleven: the folds are not equal
    score = held_out(values, 2, Spy, 4)
    known = sum(seen for _, seen in Spy.scored)
    assert known == 0, (
        f"{known} of 11 observations were scored by a model that had been fitted to them as well"
    )
    assert sorted(Spy.fitted) == [8, 8, 8, 9], (
        "eleven observations in four folds: the four models are fitted to 8, 8, 8 and 9 of them; "
        f"yours to {', '.join(map(str, Spy.fitted))}"
    )
    assert sorted(value for value, _ in Spy.scored) == values[:, 0].tolist(), (
        f"each of 11 observations should be scored once; {len(Spy.scored)} scores were asked for"
    )
    assert abs(score + 35) < 1e-9, (
        "eleven scores that add up to -385 have the mean -35, your result is "
        f"{score:.4f}; the folds do not have equal sizes"
    )
    blobs = data.Ring(modes=3, radius=3.0, scale=1.0).sample(300, generator=seeded(9)).double()
    fits = {k: fit_mixture(blobs, k) for k in range(1, 6)}
    criterion = {k: bic(float(m.log_prob(blobs).sum()), 300, k, 2) for k, m in fits.items()}
    best = min(criterion, key=criterion.get)
    assert best == 3, f"300 points from three blobs: BIC should prefer K = 3, yours {best}"
### BEGIN HIDDEN TESTS
answer.require()
fits = {k: fit_mixture(wine, k) for k in (1, 3, 4)}
for k, model in fits.items():
    assert math.isclose(bic(float(model.log_prob(wine).sum()), 178, k, 2), model.bic(wine))
assert math.isclose(bic(0.0, 100, 7, 5), (6 + 35 + 105) * math.log(100))
scores = torch.cat(
    [
        fit_mixture(wine[torch.arange(178) % 3 != f], 2).log_prob(wine[torch.arange(178) % 3 == f])
        for f in range(3)
    ]
)
assert abs(held_out(wine, 2, fit_mixture, 3) - float(scores.mean())) < 1e-9
### END HIDDEN TESTS

# %% [markdown]
# Two measurements of 178 Italian wines: alcohol and flavanoids. They come from three cultivars,
# which the fit is not told. Which columns know it, and which one cannot (nothing to hand in)?


# %%
try:
    print(" K   fitted, nats each      BIC   held out, nats each")
    for k in range(1, 7):
        each = float(fit_mixture(wine, k).log_prob(wine).mean())
        charged = bic(178 * each, 178, k, 2)
        print(f"{k:2d} {each:15.3f} {charged:14.1f} {held_out(wine, k, fit_mixture, 5):15.3f}")
except NotImplementedError:
    print("Comes with exercise 3.6.")

# %% [markdown]
# ## 3.7 Forward (4 points, 40 minutes)
#
# A hidden Markov model has $S$ states and $M$ symbols; $\pi_j = p(z_1 = j)$,
# $A_{jl} = p(z_{t+1} = l \mid z_t = j)$, $B_{js} = p(x_t = s \mid z_t = j)$. The likelihood of a
# sequence is a sum over $S^T$ paths. Compute it in $T$ steps: return
# $\log \alpha_t(j) = \log p(x_1, \dots, x_t, z_t = j)$ for all $t$ and $j$, from
#
# $$\alpha_1(j) = \pi_j B_{jx_1}, \qquad
#   \alpha_{t+1}(l) = \sum_j \alpha_t(j)\,A_{jl}\,B_{lx_{t+1}}.$$
#
# After a few hundred steps $\alpha_t$ is smaller than every floating-point number, so take
# logarithms from the start. A table may hold zeros. *Hint:* in a table of
# $\log\alpha_t(j) + \log A_{jl}$, which axis is summed over?


# %% nbgrader={"grade": false, "grade_id": "forward", "locked": false, "schema_version": 3, "solution": true, "task": false}
def forward(x, initial, transition, emission):
    """log α_t(j), nats, float64 [T, S].

    x: symbols, int64 [T]; initial: π [S]; transition: A [S, S]; emission: B [S, M].
    """
    ### BEGIN SOLUTION
    log_a, log_b = transition.log(), emission.log().T[x]  # [S, S] and [T, S]
    alpha = [initial.log() + log_b[0]]
    for here in log_b[1:]:
        alpha.append((alpha[-1][:, None] + log_a).logsumexp(0) + here)
    return torch.stack(alpha)
    ### END SOLUTION


# %% tags=["wrong-answer"]
# The table of transitions is transposed: from l to j.
def forward(x, initial, transition, emission):
    log_a, log_b = transition.log(), emission.log().T[x]
    alpha = [initial.log() + log_b[0]]
    for here in log_b[1:]:
        alpha.append((alpha[-1] + log_a).logsumexp(1) + here)
    return torch.stack(alpha)


# %% tags=["wrong-answer"]
# The logarithm at the end: everything has become zero on the way.
def forward(x, initial, transition, emission):
    b = emission.T[x]
    alpha = [initial * b[0]]
    for here in b[1:]:
        alpha.append(alpha[-1] @ transition * here)
    return torch.stack(alpha).log()


# %% tags=["wrong-answer"]
# The first symbol is not looked at.
def forward(x, initial, transition, emission):
    log_a, log_b = transition.log(), emission.log().T[x]
    alpha = [initial.log()]
    for here in log_b[1:]:
        alpha.append((alpha[-1][:, None] + log_a).logsumexp(0) + here)
    return torch.stack(alpha)


# %% tags=["wrong-answer"]
# The most probable path instead of the sum over paths (Viterbi).
def forward(x, initial, transition, emission):
    log_a, log_b = transition.log(), emission.log().T[x]
    alpha = [initial.log() + log_b[0]]
    for here in log_b[1:]:
        alpha.append((alpha[-1][:, None] + log_a).amax(0) + here)
    return torch.stack(alpha)


# %% tags=["wrong-answer"]
# Normalised at each step: p(z_t | x_1 … x_t), and the likelihood is thrown away.
def forward(x, initial, transition, emission):
    log_a, log_b = transition.log(), emission.log().T[x]
    alpha = [(initial.log() + log_b[0]).log_softmax(0)]
    for here in log_b[1:]:
        alpha.append(((alpha[-1][:, None] + log_a).logsumexp(0) + here).log_softmax(0))
    return torch.stack(alpha)


# %% nbgrader={"grade": true, "grade_id": "check-forward", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def by_enumeration(x, initial, transition, emission):
    """p(x_1, …, x_t, z_t = j) for the last t: the sum over all paths, [S]."""
    total = torch.zeros_like(initial)
    for path in itertools.product(range(len(initial)), repeat=len(x)):
        p = initial[path[0]] * emission[path[0], x[0]]
        for t in range(1, len(x)):
            p = p * transition[path[t - 1], path[t]] * emission[path[t], x[t]]
        total[path[-1]] += p
    return total


with check("3.7") as answer:
    g = seeded(10)
    tables = [random_law(*shape, generator=g) for shape in ((3,), (3, 3), (3, 4))]
    x = torch.tensor([2, 0, 3, 3, 1])
    alpha = forward(x, *tables)
    assert alpha.shape == (5, 3), (
        f"five symbols and three states give shape (5, 3), not {tuple(alpha.shape)}"
    )
    hints = {
        1: "look at the prior and at the first symbol",
        2: "A[j, l] leads from j to l, and all ways into l are added up",
    }
    for t in (1, 2, 3, 5):
        right, got = by_enumeration(x[:t], *tables), alpha[t - 1].exp()
        j = int((got - right).abs().argmax())
        assert abs(float(got[j] / right[j]) - 1) < 1e-9, (
            f"α_{t}({j + 1}) is {float(right[j]):.3g} by a sum over all {3**t} paths, yours is "
            f"{float(got[j]):.3g}; " + hints.get(t, "the recursion is the same at every step")
        )
    long = torch.randint(4, (2000,), generator=g)
    alpha = forward(long, *tables)
    lost = int((~alpha.isfinite()).any(1).sum())
    assert lost == 0, (
        f"of 2,000 steps {lost} have an infinite log α, though every sequence has a positive "
        "probability: it is too small for a floating-point number, its logarithm is not"
    )
    model = em.HiddenMarkovModel(
        3, 4, initial=tables[0], transition=tables[1], emission=tables[2], length=2000
    )
    right, got = float(model.log_prob(long[None])[0]), float(alpha[-1].logsumexp(0))
    assert abs(right - got) < 1e-6, (
        f"2,000 symbols have {right:.4f} nats by genlab, {got:.4f} by your recursion"
    )
### BEGIN HIDDEN TESTS
answer.require()
g = seeded(11)
tables = [random_law(*shape, generator=g) for shape in ((2,), (2, 2), (2, 2))]
sequences = [torch.tensor(x) for x in itertools.product(range(2), repeat=7)]
total = sum(float(forward(x, *tables)[-1].exp().sum()) for x in sequences)
assert abs(total - 1) < 1e-12
left_to_right = (vector(1, 0), vector(0.5, 0.5, 0, 1).reshape(2, 2), torch.eye(2).double())
alpha = forward(torch.tensor([0, 0, 1, 1]), *left_to_right)
assert torch.allclose(alpha.exp(), vector(1, 0, 0.5, 0, 0, 0.25, 0, 0.25).reshape(4, 2))
### END HIDDEN TESTS

# %% [markdown]
# A casino has a fair die and a loaded one that shows a six every second time, and now and then
# secretly changes from one to the other. From the rolls so far, which die is on the table?
# $p(z_t \mid x_1, \dots, x_t)$ is $\alpha_t$, normalised. Your knob is how probable the *model*
# thinks it that the die stays (nothing to hand in). At 0.5 the model has no memory. Which value
# does the likelihood like best? In truth the die stays with probability 0.95.


# %%
dice = torch.stack([torch.full((6,), 1 / 6).double(), vector(0.1, 0.1, 0.1, 0.1, 0.1, 0.5)])


def keeps(stay):
    return vector(stay, 1 - stay, 1 - stay, stay).reshape(2, 2)


g = seeded(12)
true_die = (torch.rand(300, generator=g) > 0.95).cumsum(0) % 2
rolls = torch.multinomial(dice[true_die], 1, generator=g)[:, 0]


def show_casino(stay):
    alpha = forward(rolls, vector(0.5, 0.5), keeps(stay), dice)
    with plot.figure(
        x="roll",
        y="loaded?",
        height=2.4,
        title=f"{float(alpha[-1].logsumexp(0)) / 300:.4f} nats a roll",
        alt="Over 300 rolls the probability that the loaded die is on the table, beside the "
        "truth, which changes between zero and one. With memory the curve follows the truth with "
        "some delay; without it, it jumps at every six.",
    ) as ax:
        ax.fill_between(range(300), true_die, step="mid", color=plot.COLORS["data"], alpha=0.25)
        ax.plot(alpha.softmax(1)[:, 1], color=plot.COLORS["code"], lw=1.2)


try:
    panel = sliders(show_casino, stay=Knob(0.5, 0.99, start=0.9))
except NotImplementedError:
    print("Comes with exercise 3.7.")
else:
    display(panel)

# %% [markdown]
# With a backward pass beside it you could look at each roll with the whole sequence in mind, and
# then learn all three tables from the rolls: that is the E step of Baum and Welch, and the chapter
# does it with English prose.
