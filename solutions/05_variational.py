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
# # Exercises 05: variational inference and the VAE
#
# Eight exercises, 22 points, about three hours. Replace each `raise NotImplementedError` and run
# the check below it. A check answers at once: **right**, **not yet, because …**, or
# **not attempted**. Some checks are repeated with other numbers when the notebook is graded.
#
# The chapter: [Variational inference and the VAE](../book/05_variational.md). Work in float64
# throughout, and in nats. What is to be maximised is a *bound*; what is to be minimised, a *loss*.

# %%
import itertools
import math

import torch
from IPython.display import display
from sklearn.datasets import load_diabetes
from torch.distributions import (
    Bernoulli,
    Independent,
    MultivariateNormal,
    Normal,
    kl_divergence,
)

from genlab import data, em, laws, plot, train
from genlab.course.check import check
from genlab.interact import Knob, sliders
from genlab.nets import MLP
from genlab.variational import VAE, BernoulliDecoder, GaussianEncoder, LinearVAE, rsample

digits = data.digits()
seen, fresh = digits.train.flatten(1).double(), digits.test.flatten(1).double()  # 8×8, grey


def seeded(number):
    """A generator of its own for each check."""
    return torch.Generator().manual_seed(number)


def vector(*numbers):
    """These numbers as a float64 tensor."""
    return torch.tensor(numbers, dtype=torch.float64)


def randn(*shape, generator):
    """Draws from N(0, 1), float64."""
    return torch.randn(shape, dtype=torch.float64, generator=generator)


def all_codes(units):
    """Every code of so many zeros and ones, float64 [2^units, units]."""
    return torch.tensor(list(itertools.product((0.0, 1.0), repeat=units)), dtype=torch.float64)


# %% [markdown]
# ## 5.1 A bound, and what it leaves out (2 points, 15 minutes)
#
# A code consists of $H$ units, each 0 or 1, so there are $2^H$ codes. Under the prior the units
# are independent, unit $j$ is on with probability $\pi_j$. The guess for $x_i$ is a law of
# independent units as well, $q_i(z) = \prod_j m_{ij}^{z_j}(1 - m_{ij})^{1 - z_j}$. You know
# $\log p(x_i \mid z)$ for every code. Return two numbers an observation: the bound
#
# $$\mathcal L_i = \mathrm E_{q_i}[\log p(x_i \mid z)] - \mathrm{KL}\bigl(q_i(z)\,\|\,p(z)\bigr),$$
#
# and its gap $\mathrm{KL}\bigl(q_i(z)\,\|\,p(z \mid x_i)\bigr)$. The posterior is a law on all
# codes; its units need not be independent. An $m_{ij}$ may be 0 or 1, and $0 \log 0 = 0$.
# *Hint:* `codes` holds the codes in the order of the columns of `log_likelihood`. `torch.xlogy`.


# %% nbgrader={"grade": false, "grade_id": "factorised-bound", "locked": false, "schema_version": 3, "solution": true, "task": false}
def bound_and_gap(log_likelihood, codes, prior, m):
    """The bound [n] and its gap [n], in nats.

    log_likelihood: log p(x_i | z) of every code, [n, C], finite; codes: all C = 2^H of them,
    [C, H]; prior: the chances π that a unit is on, [H], inside (0, 1); m: the chances of the
    guesses, [n, H], from 0 to 1.
    """
    ### BEGIN SOLUTION
    q = torch.where(codes == 1, m[:, None], 1 - m[:, None]).prod(2)  # [n, C]
    log_prior = torch.where(codes == 1, prior, 1 - prior).log().sum(1)
    log_p = (log_likelihood + log_prior).logsumexp(1)
    surprise = torch.xlogy(q, q) - q * log_prior
    bound = (q * log_likelihood - surprise).sum(1)
    return bound, log_p - bound
    ### END SOLUTION


# %% tags=["wrong-answer"]
# The divergence from the prior is added, as the lectures print the bound.
def bound_and_gap(log_likelihood, codes, prior, m):
    q = torch.where(codes == 1, m[:, None], 1 - m[:, None]).prod(2)
    log_prior = torch.where(codes == 1, prior, 1 - prior).log().sum(1)
    log_joint = log_likelihood + log_prior
    log_posterior = log_joint - log_joint.logsumexp(1, keepdim=True)
    from_prior = (torch.xlogy(q, q) - q * log_prior).sum(1)
    return (q * log_likelihood).sum(1) + from_prior, (torch.xlogy(q, q) - q * log_posterior).sum(1)


# %% tags=["wrong-answer"]
# log p(x, z) less the divergence from the prior: the prior is counted twice.
def bound_and_gap(log_likelihood, codes, prior, m):
    q = torch.where(codes == 1, m[:, None], 1 - m[:, None]).prod(2)
    log_prior = torch.where(codes == 1, prior, 1 - prior).log().sum(1)
    log_joint = log_likelihood + log_prior
    log_posterior = log_joint - log_joint.logsumexp(1, keepdim=True)
    from_prior = (torch.xlogy(q, q) - q * log_prior).sum(1)
    return (q * log_joint).sum(1) - from_prior, (torch.xlogy(q, q) - q * log_posterior).sum(1)


# %% tags=["wrong-answer"]
# The gap the other way round, KL(p(z|x)‖q).
def bound_and_gap(log_likelihood, codes, prior, m):
    q = torch.where(codes == 1, m[:, None], 1 - m[:, None]).prod(2)
    log_prior = torch.where(codes == 1, prior, 1 - prior).log().sum(1)
    log_joint = log_likelihood + log_prior
    log_posterior = log_joint - log_joint.logsumexp(1, keepdim=True)
    bound = (q * log_joint - torch.xlogy(q, q)).sum(1)
    return bound, (log_posterior.exp() * (log_posterior - q.log())).sum(1)


# %% tags=["wrong-answer"]
# 0 log 0 in floating point.
def bound_and_gap(log_likelihood, codes, prior, m):
    q = torch.where(codes == 1, m[:, None], 1 - m[:, None]).prod(2)
    log_prior = torch.where(codes == 1, prior, 1 - prior).log().sum(1)
    log_joint = log_likelihood + log_prior
    bound = (q * (log_joint - q.log())).sum(1)
    return bound, log_joint.logsumexp(1) - bound


# %% tags=["wrong-answer"]
# The likelihood of the most probable code stands for the mean over all codes.
def bound_and_gap(log_likelihood, codes, prior, m):
    q = torch.where(codes == 1, m[:, None], 1 - m[:, None]).prod(2)
    log_prior = torch.where(codes == 1, prior, 1 - prior).log().sum(1)
    log_joint = log_likelihood + log_prior
    log_posterior = log_joint - log_joint.logsumexp(1, keepdim=True)
    from_prior = (torch.xlogy(q, q) - q * log_prior).sum(1)
    best = log_likelihood.gather(1, q.argmax(1, keepdim=True))[:, 0]
    return best - from_prior, (torch.xlogy(q, q) - q * log_posterior).sum(1)


# %% nbgrader={"grade": true, "grade_id": "check-factorised-bound", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
with check("5.1") as answer:
    # One unit, on with probability 1/4; p(x | off) = 0.1 and p(x | on) = 0.3. So p(x) = 0.15.
    table, on = vector(0.1, 0.3).log()[None], vector(0.25)
    truth = math.log(0.15)
    bound, gap = (float(part[0]) for part in bound_and_gap(table, all_codes(1), on, vector([0.5])))
    if not abs(bound - truth) < 1e-12:
        why = "below it: is the likelihood a mean over all codes?"
        if bound > truth:
            why = "above log p(x), so it bounds nothing from below: which sign has the divergence?"
        elif abs(bound - truth - (math.log(0.75) + math.log(0.25)) / 2) < 1e-9:
            why = "below it: how often does the prior enter?"
        raise AssertionError(
            f"a unit that is on with probability 1/4, p(x | off) = 0.1 and p(x | on) = 0.3 leave "
            f"both states equally probable after x, and there the bound touches log 0.15 = "
            f"{truth:.4f}; yours is {bound:.4f}, {why}"
        )
    assert abs(gap) < 1e-12, f"at the posterior the gap is 0 nats, yours is {gap:.4f}"
    bound, gap = (float(part[0]) for part in bound_and_gap(table, all_codes(1), on, vector([1.0])))
    assert abs(bound - math.log(0.075)) < 1e-12, (
        f"a guess that is certain of the unit has the bound log p(x, on) = log 0.075 = "
        f"{math.log(0.075):.4f}; yours is {bound:.4f}; 0 log 0 is 0"
    )
    assert abs(gap - math.log(2)) < 1e-12, (
        f"a guess that is certain of a state with posterior 0.5 is log 2 = {math.log(2):.4f} nats "
        f"away; yours is {gap:.4f}; q stands in front of the logarithm"
    )
    g = seeded(1)
    table, codes = 3 * randn(500, 16, generator=g), all_codes(4)
    on, m = torch.rand(2, 500, 4, dtype=torch.float64, generator=g)
    bound, gap = bound_and_gap(table, codes, on[0], m)
    shapes = tuple(bound.shape), tuple(gap.shape)
    assert shapes == ((500,), (500,)), f"500 observations have two times [500], not {shapes}"
    by_unit = torch.where(codes == 1, on[0], 1 - on[0])
    log_p = (table + by_unit.prod(1).log()).logsumexp(1)
    laws.bounds_from_below(bound, log_p)
    off = float((bound + gap - log_p).abs().max())
    assert off < 1e-10, (
        f"bound plus gap should be log p(x) for every guess; of 500 random ones on 16 codes the "
        f"worst is off by {off:.3g} nats"
    )
    assert gap.min() > 0, "16 codes with random likelihoods have no posterior of independent units"
    # Where x says nothing the bound is minus the divergence, which is a sum over the units.
    bound = bound_and_gap(torch.zeros_like(table), codes, on[0], m)[0]
    units = kl_divergence(Bernoulli(m), Bernoulli(on[0].expand_as(m))).sum(1)
    off = float((bound + units).abs().max())
    assert off < 1e-10, (
        f"if p(x | z) = 1 for every code, the bound is minus the sum of the divergences of the four "
        f"units; the worst of 500 is off by {off:.3g} nats"
    )
### BEGIN HIDDEN TESTS
answer.require()
g = seeded(2)
codes, table = all_codes(6)[torch.randperm(64, generator=g)], 5 * randn(40, 64, generator=g)
on, m = torch.rand(2, 40, 6, dtype=torch.float64, generator=g)
m[::2, 1:4] = m[::2, 1:4].round()
each = torch.where(codes == 1, m[:, None], 1 - m[:, None]).prod(2)
log_joint = table + torch.where(codes == 1, on[0], 1 - on[0]).prod(1).log()
parts = em.decompose(log_joint, each / each.sum(1, keepdim=True))
bound, gap = bound_and_gap(table, codes, on[0], m)
assert torch.allclose(bound, parts.elbo, atol=1e-9)
assert torch.allclose(gap, parts.kl, atol=1e-9)
### END HIDDEN TESTS

# %% [markdown]
# Two causes, one effect (nothing to hand in). Each cause is there with probability ½, and the
# effect is seen where *exactly one* of them is. You have seen the effect. The figure shows the gap
# of every guess of independent causes. How many best guesses are there, and why can none of them
# do better than about $\ln 2 \approx 0.69$? What does a lonely minimum say of the other cause?


# %%
def show_two_causes(p):
    side = torch.linspace(0.005, 0.995, 100, dtype=torch.float64)
    m = torch.cartesian_prod(side, side)
    table = vector(1 - p, p, p, 1 - p).log().expand(len(m), 4)
    gap = bound_and_gap(table, all_codes(2), vector(0.5, 0.5), m)[1].reshape(100, 100)
    levels = (0.05, 0.1, 0.2, 0.4, 0.7, 0.8, 1, 1.2, 1.4, 1.6, 1.8, 2, 2.5, 3)
    with plot.figure(
        x="chance of the first cause",
        y="chance of the second",
        title=f"p(effect | one cause) = {p:.2f}: least gap {float(gap.min()):.3f} nats",
        height=3.2,
        alt="Contours of the gap over the two chances: for a reliable effect two hollows, one "
        "where only the first cause is there, one where only the second is, and a saddle between.",
    ) as ax:
        lines = ax.contour(side, side, gap.T, levels=levels, cmap="cividis_r")
        ax.clabel(lines, fontsize=8)
        ax.set_aspect("equal")


try:
    panel = sliders(show_two_causes, p=Knob(0.5, 0.99, start=0.98))
except NotImplementedError:
    print("Comes with exercise 5.1.")
else:
    display(panel)

# %% [markdown]
# ## 5.2 One factor at a time (3 points, 20 minutes)
#
# The posterior is known to be normal, $p(z \mid x) = N(z; \mu, \Lambda^{-1})$ with precision
# $\Lambda$, and you look for the closest law with independent coordinates, in
# $\mathrm{KL}(q\,\|\,p)$. The best factor for the others held fixed has
#
# $$\log q_j(z_j) = \mathrm E_{l \ne j}[\log p(z \mid x)] + \text{const}.$$
#
# Expand $-\frac12 (z - \mu)^\top \Lambda (z - \mu)$, keep what has $z_j$ in it, and read off the
# mean and the variance of $q_j$. Then write one sweep: every factor is updated once, in order,
# each with the newest means of the others. The mean that you are given must stay as it is.


# %% nbgrader={"grade": false, "grade_id": "sweep", "locked": false, "schema_version": 3, "solution": true, "task": false}
def sweep(mean, centre, precision):
    """Mean [d] and variances [d] of q after one sweep.

    mean: of q before it, [d]; centre, precision: μ [d] and Λ [d, d] of p.
    """
    ### BEGIN SOLUTION
    new, diagonal = mean.clone(), precision.diagonal()
    for j, row in enumerate(precision):
        new[j] -= row @ (new - centre) / diagonal[j]  # the gradient in z_j over its curvature
    return new, 1 / diagonal
    ### END SOLUTION


# %% tags=["wrong-answer"]
# The variances of the margins: those of the other direction of KL.
def sweep(mean, centre, precision):
    new = mean.clone()
    for j in range(len(new)):
        others = precision[j] @ (new - centre) - precision[j, j] * (new[j] - centre[j])
        new[j] = centre[j] - others / precision[j, j]
    return new, precision.inverse().diagonal()


# %% tags=["wrong-answer"]
# All factors at once, from the means of the sweep before: this may overshoot and run away.
def sweep(mean, centre, precision):
    diagonal = precision.diagonal()
    others = precision @ (mean - centre) - diagonal * (mean - centre)
    return centre - others / diagonal, 1 / diagonal


# %% tags=["wrong-answer"]
# The other coordinates do not pull: the end is right, the factor is not.
def sweep(mean, centre, precision):
    return centre.clone(), 1 / precision.diagonal()


# %% tags=["wrong-answer"]
# They pull the wrong way.
def sweep(mean, centre, precision):
    new = mean.clone()
    for j in range(len(new)):
        others = precision[j] @ (new - centre) - precision[j, j] * (new[j] - centre[j])
        new[j] = centre[j] + others / precision[j, j]
    return new, 1 / precision.diagonal()


# %% tags=["wrong-answer"]
# The precision where the variance is asked for.
def sweep(mean, centre, precision):
    new = mean.clone()
    for j in range(len(new)):
        others = precision[j] @ (new - centre) - precision[j, j] * (new[j] - centre[j])
        new[j] = centre[j] - others / precision[j, j]
    return new, precision.diagonal()


# %% tags=["wrong-answer"]
# Overwrites what it was given.
def sweep(mean, centre, precision):
    for j in range(len(mean)):
        others = precision[j] @ (mean - centre) - precision[j, j] * (mean[j] - centre[j])
        mean[j] = centre[j] - others / precision[j, j]
    return mean, 1 / precision.diagonal()


# %% nbgrader={"grade": true, "grade_id": "check-sweep", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def regression(noise=0.5):
    """Posterior of ten coefficients on 442 patients, prior N(0, I): mean, precision, names."""
    patients = load_diabetes()
    x, y = torch.tensor(patients.data), torch.tensor(patients.target)
    x, y = ((v - v.mean(0)) / v.std(0, correction=0) for v in (x, y))
    precision = x.T @ x / noise + torch.eye(10, dtype=torch.float64)
    return torch.linalg.solve(precision, x.T @ y / noise), precision, patients.feature_names


def less_divergence(mean, variance, centre, precision):
    """−KL(q‖p): the bound, up to log p(x)."""
    q = MultivariateNormal(mean, variance.diag())
    return -float(kl_divergence(q, MultivariateNormal(centre, precision_matrix=precision)))


with check("5.2") as answer:
    centre, precision = vector(1.0, -1.0), vector(2.0, 1.0, 1.0, 4.0).reshape(2, 2)
    start = vector(3.0, 1.0)
    mean, variance = sweep(start, centre, precision)
    setting = "for μ = (1, -1), Λ = ((2, 1), (1, 4)) and the start (3, 1)"
    assert (mean.shape, variance.shape) == ((2,), (2,)), (
        f"{setting} mean and variances have two entries, yours {tuple(mean.shape)} and "
        f"{tuple(variance.shape)}"
    )
    assert torch.equal(start, vector(3.0, 1.0)), (
        f"the mean that was given, (3, 1), has become {tuple(start.tolist())}: work on a clone"
    )
    got = tuple(round(v, 4) for v in mean.tolist())
    assert abs(got[0]) < 1e-9, (
        f"{setting} the second mean is 2 above its centre, and with Λ₁₂/Λ₁₁ = ½ it pulls the first "
        f"one 1 below its own, to 0; yours is {got[0]}. Down or up, and does it pull at all?"
    )
    assert abs(got[1] + 0.75) < 1e-9, (
        f"{setting} the first mean is 0 when the second is updated, 1 below its centre, so the "
        f"second goes to -1 + ¼ = -0.75; yours is {got[1]}. Which mean of the first did you use?"
    )
    got = tuple(round(v, 4) for v in variance.tolist())
    assert torch.allclose(variance, vector(0.5, 0.25)), (
        f"{setting} the variances are (0.5, 0.25), those of a coordinate when the other is known; "
        f"yours are {got}"
    )
    centre, precision, names = regression()
    mean = torch.zeros(10, dtype=torch.float64)
    record = []
    for _ in range(30):
        mean, variance = sweep(mean, centre, precision)
        record.append(less_divergence(mean, variance, centre, precision))
    try:
        laws.never_goes_down(record)
    except laws.LawBroken as broken:
        raise AssertionError(
            f"on the diabetes data the bound goes down, which it cannot if every factor is the "
            f"best one for the others as they are now. {broken}"
        ) from broken
    for factor in (0.9, 1.1):
        for j in range(10):
            other = variance.clone()
            other[j] *= factor
            gain = less_divergence(mean, other, centre, precision) - record[-1]
            assert gain < 0, (
                f"on the diabetes data the bound rises by {gain:.2g} nats if the variance for "
                f"{names[j]} is multiplied by {factor}"
            )
    off = float(((mean - centre) @ precision[9]).abs())
    assert off < 1e-9, (
        "on the diabetes data the factor that was updated last is not the best one for the others"
    )
### BEGIN HIDDEN TESTS
answer.require()
g = seeded(3)
root, centre = randn(6, 6, generator=g), randn(6, generator=g)
precision = root @ root.T + 0.5 * torch.eye(6, dtype=torch.float64)
mean = 5 * randn(6, generator=g)
lower, upper = precision.tril(), precision.triu(1)  # Gauss and Seidel's, solved at once
for _ in range(5):
    right = centre - torch.linalg.solve(lower, upper @ (mean - centre))
    mean, variance = sweep(mean, centre, precision)
    assert torch.allclose(mean, right)
assert torch.allclose(variance, 1 / precision.diagonal())
mean, variance = sweep(vector(7.0), vector(2.0), vector([4.0]))
assert torch.allclose(torch.cat([mean, variance]), vector(2.0, 0.25))
### END HIDDEN TESTS

# %% [markdown]
# Ten measurements of 442 patients predict how far their diabetes will have advanced in a year. The
# coefficients have a normal posterior, known exactly. What would you say of the coefficient of
# `s1` if you had only $q$ (nothing to hand in)? Why does the mean take hundreds of sweeps, and why
# for `s1` and `s2` above all?


# %%
try:
    centre, precision, names = regression()
    mean = torch.zeros(10, dtype=torch.float64)
    for done in range(1, 401):
        mean, variance = sweep(mean, centre, precision)
        if done in (1, 10, 100, 400):
            print(
                f"{done:3d} sweeps: the worst mean is {float((mean - centre).abs().max()):.4f} off"
            )
    exact = precision.inverse().diagonal().sqrt()
    for j, name in enumerate(names):
        factorised = float(variance[j].sqrt())
        print(
            f"{name:4s} {float(centre[j]):6.2f} ± {float(exact[j]):.3f}, q says ± {factorised:.3f}"
        )
except NotImplementedError:
    print("Comes with exercise 5.2.")

# %% [markdown]
# ## 5.3 Every draw judged by the others (3 points, 25 minutes)
#
# The law $q$ of a code has $H$ independent units, unit $j$ is on with probability
# $\operatorname{sigmoid}(\phi_j)$. Some $f(z)$ is to be made large in the mean; it may be a game, a
# count, a program, and it has no gradient. Estimate $\nabla_\phi \mathrm E_q f(z)$ from $n \ge 2$
# draws by the score function, each draw with the baseline
#
# $$b_i = \frac{1}{n - 1} \sum_{l \ne i} f(z_l),$$
#
# the mean of the *other* draws. *Hint:* what is the derivative of
# $\log\operatorname{sigmoid}(\phi)$, and of $\log(1 - \operatorname{sigmoid}(\phi))$?
# `torch.bernoulli(p, generator=g)` draws a tensor of the shape of $p$. Ask $f$ once, for all draws.


# %% nbgrader={"grade": false, "grade_id": "leave-one-out", "locked": false, "schema_version": 3, "solution": true, "task": false}
def score_gradient(f, phi, n, generator):
    """One estimate of the gradient, [H], from n draws.

    f: takes codes of zeros and ones, float64 [n, H], returns [n]; phi: logits, [H]; generator: all
    draws come from it.
    """
    ### BEGIN SOLUTION
    chance = phi.sigmoid().expand(n, -1)
    z = torch.bernoulli(chance, generator=generator)
    value = f(z)
    others = (value.sum() - value) / (n - 1)
    return (value - others) @ (z - chance) / n
    ### END SOLUTION


# %% tags=["wrong-answer"]
# ∇q where ∇ log q belongs: every draw is weighted by its probability once more.
def score_gradient(f, phi, n, generator):
    chance = phi.sigmoid().expand(n, -1)
    z = torch.bernoulli(chance, generator=generator)
    value = f(z)
    others = (value.sum() - value) / (n - 1)
    q = Bernoulli(chance).log_prob(z).sum(1).exp()
    return ((value - others) * q) @ (z - chance) / n


# %% tags=["wrong-answer"]
# The mean of all draws as the baseline: each is judged by itself too.
def score_gradient(f, phi, n, generator):
    chance = phi.sigmoid().expand(n, -1)
    z = torch.bernoulli(chance, generator=generator)
    value = f(z)
    return (value - value.mean()) @ (z - chance) / n


# %% tags=["wrong-answer"]
# No baseline.
def score_gradient(f, phi, n, generator):
    chance = phi.sigmoid().expand(n, -1)
    z = torch.bernoulli(chance, generator=generator)
    return f(z) @ (z - chance) / n


# %% tags=["wrong-answer"]
# The derivative in the chances, where that in the logits is asked for.
def score_gradient(f, phi, n, generator):
    chance = phi.sigmoid().expand(n, -1)
    z = torch.bernoulli(chance, generator=generator)
    value = f(z)
    others = (value.sum() - value) / (n - 1)
    return (value - others) @ (z / chance - (1 - z) / (1 - chance)) / n


# %% tags=["wrong-answer"]
# The sum over the draws, not their mean.
def score_gradient(f, phi, n, generator):
    chance = phi.sigmoid().expand(n, -1)
    z = torch.bernoulli(chance, generator=generator)
    value = f(z)
    others = (value.sum() - value) / (n - 1)
    return (value - others) @ (z - chance)


# %% tags=["wrong-answer"]
# Draws of its own for the baseline: twice as many as were asked for.
def score_gradient(f, phi, n, generator):
    chance = phi.sigmoid().expand(n, -1)
    z, again = (torch.bernoulli(chance, generator=generator) for _ in range(2))
    return (f(z) - f(again).mean()) @ (z - chance) / n


# %% nbgrader={"grade": true, "grade_id": "check-leave-one-out", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def by_enumeration(f, phi):
    """The exact gradient, from the sum over all codes."""
    codes, leaf = all_codes(len(phi)), phi.clone().requires_grad_()
    q = Bernoulli(logits=leaf).log_prob(codes).sum(1).exp()
    return torch.autograd.grad((q * f(codes)).sum(), leaf)[0]


with check("5.3") as answer:
    phi, asked = vector(0.5, -1.0, 0.3), []

    def f(z):
        asked.append(len(z))
        return (z @ vector(1.0, 2.0, -1.5) - 0.5) ** 2

    found = score_gradient(f, phi, 6, seeded(4))
    assert found.shape == (3,), f"three logits have a gradient [3], yours is {tuple(found.shape)}"
    assert asked == [6], (
        f"with n = 6, f should be asked once, for six codes; it was asked for {asked}"
    )
    again, other = (score_gradient(f, phi, 6, seeded(k)) for k in (4, 5))
    assert torch.equal(found, again), (
        "the same generator gave two different estimates: does every draw come from it?"
    )
    assert not torch.equal(found, other), "two generators gave the same estimate: nothing is drawn"
    moved = score_gradient(lambda z: f(z) + 1000, phi, 6, seeded(4))
    assert torch.allclose(found, moved, atol=1e-8), (
        "a constant added to f moves no gradient, and with b_i it cancels in every single "
        f"estimate; for f + 1000 the same draws give {[round(v, 3) for v in moved.tolist()]} "
        f"instead of {[round(v, 3) for v in found.tolist()]}"
    )
    truth = by_enumeration(f, phi)
    for n in (2, 5):
        g = seeded(6)
        many = torch.stack([score_gradient(f, phi, n, g) for _ in range(4000)])
        ratio = float(many.mean(0) @ truth / (truth @ truth))
        try:
            for j in range(3):
                laws.unbiased(many[:, j], float(truth[j]))
        except laws.LawBroken as broken:
            why = "is it ∇ log q, in the logits, averaged over the draws?"
            if abs(ratio - (n - 1) / n) < 0.1:
                why = "is a draw among those that it is judged by?"
            elif abs(ratio - n) < 0.3:
                why = "is it a mean over the draws?"
            raise AssertionError(
                f"the sum over all eight codes has the gradient "
                f"{[round(v, 3) for v in truth.tolist()]}; 4,000 estimates from {n} draws each "
                f"average {[round(v, 3) for v in many.mean(0).tolist()]}, about {ratio:.2f} times "
                f"that: {why}"
            ) from broken
### BEGIN HIDDEN TESTS
answer.require()
phi, drawn = 2 * randn(7, generator=seeded(7)), []


def few(z):
    drawn.append(z)
    return (z.sum(1) == 2).double() - 3 * z[:, 4]


for n in (2, 3, 50):
    found = score_gradient(few, phi, n, seeded(n))
    z = drawn[-1]
    assert z.shape == (n, 7)
    assert set(z.unique().tolist()) <= {0.0, 1.0}
    apart = few(z) - few(z).mean()
    assert torch.allclose(found, (apart[:, None] * (z - phi.sigmoid())).sum(0) / (n - 1))
g = seeded(8)
many = torch.stack([score_gradient(few, phi, 4, g) for _ in range(2000)])
for j, right in enumerate(by_enumeration(few, phi).tolist()):
    laws.unbiased(many[:, j], right)
### END HIDDEN TESTS

# %% [markdown]
# What is a baseline worth (nothing to hand in)? Here $f$ counts the units that agree with a
# target, plus a constant. The first column is what a single draw without a baseline has for a
# standard deviation; the second is yours, from two draws, times $\sqrt2$ to be fair. Why does only
# one of them feel the constant?


# %%
def compare_spread(units, constant):
    g = seeded(9)
    phi, target = torch.zeros(units, dtype=torch.float64), torch.ones(units, dtype=torch.float64)

    def agree(z):
        return (z == target).double().sum(1) + constant

    z = torch.bernoulli(phi.sigmoid().expand(2000, -1), generator=g)
    bare = (agree(z)[:, None] * (z - 0.5))[:, 0].std()
    yours = torch.stack([score_gradient(agree, phi, 2, g)[0] for _ in range(2000)]).std()
    print(f"{units:5d} {constant:8.0f} {float(bare):13.2f} {math.sqrt(2) * float(yours):15.2f}")


try:
    score_gradient(lambda z: z[:, 0], vector(0.0), 2, seeded(9))
    print("units constant   no baseline   the other draw")
    for units, constant in ((4, 0.0), (4, 100.0), (64, 0.0), (64, 100.0)):
        compare_spread(units, constant)
except NotImplementedError:
    print("Comes with exercise 5.3.")

# %% [markdown]
# ## 5.4 Move the draws (2 points, 20 minutes)
#
# If $z = \mu + \sigma\varepsilon$ with $\varepsilon \sim N(0, 1)$ and $\sigma = e^\lambda$, the
# gradient of $\mathrm E f(z)$ is the mean of the derivatives of $f(\mu + e^\lambda\varepsilon)$,
# noise held fixed.
#
# - `pathwise`: these derivatives in $\mu$ and in $\lambda$, for each draw of the noise, from the
#   slope $f'$.
# - `crossing`: for $f(z) = \sin\omega z$ and $\sigma = 1$, two estimators of $\partial/\partial\mu$
#   compete, the pathwise one and the score function $f(z)(z - \mu)$ without a baseline. Predict
#   where they change places: return the $\omega > 0$ at which one draw of each has the same
#   variance. *Hint:* both have the same mean, so compare the means of their squares; do that by
#   a closed form or by a sum over a fine grid of $\varepsilon$, not from draws.


# %% nbgrader={"grade": false, "grade_id": "pathwise", "locked": false, "schema_version": 3, "solution": true, "task": false}
def pathwise(slope, mean, log_sd, noise):
    """Derivative of f(z) in mean and in log_sd for each draw, [n, 2].

    slope: f', takes [n], returns [n]; mean, log_sd: 0-dim; noise: draws from N(0, 1), [n].
    """
    ### BEGIN SOLUTION
    away = log_sd.exp() * noise
    uphill = slope(mean + away)
    return torch.stack([uphill, uphill * away], 1)
    ### END SOLUTION


def crossing(mean):
    """ω at which both estimators of ∂/∂μ E sin ωz under N(mean, 1) have one variance; a float."""
    ### BEGIN SOLUTION
    noise = torch.linspace(-10, 10, 2001, dtype=torch.float64)
    share = Normal(0.0, 1.0).log_prob(noise).softmax(0)
    low, high = 0.1, 3.0
    for _ in range(60):
        omega = (low + high) / 2
        wave = omega * (mean + noise)
        score_is_worse = share @ (wave.sin() * noise) ** 2 > share @ (omega * wave.cos()) ** 2
        low, high = (omega, high) if score_is_worse else (low, omega)
    return omega
    ### END SOLUTION


# %% tags=["wrong-answer"]
# The slope at the mean instead of at the draw.
def pathwise(slope, mean, log_sd, noise):
    rise = slope(mean.expand_as(noise))
    return torch.stack([rise, rise * log_sd.exp() * noise], 1)


def crossing(mean):
    return 1.0


# %% tags=["wrong-answer"]
# The derivative in σ, where that in log σ is asked for.
def pathwise(slope, mean, log_sd, noise):
    rise = slope(mean + log_sd.exp() * noise)
    return torch.stack([rise, rise * noise], 1)


def crossing(mean):
    return 1.0


# %% tags=["wrong-answer"]
# The second derivative forgets the noise.
def pathwise(slope, mean, log_sd, noise):
    rise = slope(mean + log_sd.exp() * noise)
    return torch.stack([rise, rise * log_sd.exp()], 1)


def crossing(mean):
    return 1.0


# %% tags=["wrong-answer"]
# The size of the slope against the size of f: where the sine's slope passes one.
def pathwise(slope, mean, log_sd, noise):
    rise = slope(mean + log_sd.exp() * noise)
    return torch.stack([rise, rise * log_sd.exp() * noise], 1)


def crossing(mean):
    return 1.0


# %% tags=["wrong-answer"]
# The spread of f itself, without the score: the wrong competitor.
def pathwise(slope, mean, log_sd, noise):
    rise = slope(mean + log_sd.exp() * noise)
    return torch.stack([rise, rise * log_sd.exp() * noise], 1)


def crossing(mean):
    noise = torch.linspace(-10, 10, 2001, dtype=torch.float64)
    share = Normal(0.0, 1.0).log_prob(noise).softmax(0)
    low, high = 0.1, 3.0
    for _ in range(60):
        omega = (low + high) / 2
        angle = omega * (mean + noise)
        more = share @ angle.sin() ** 2 > share @ (omega * angle.cos()) ** 2
        low, high = (omega, high) if more else (low, omega)
    return omega


# %% nbgrader={"grade": true, "grade_id": "check-pathwise", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
def two_variances(omega, mean):
    """Variances of one draw of the score function and of the pathwise gradient, on a fine grid."""
    noise = torch.linspace(-12, 12, 24_001, dtype=torch.float64)
    share = Normal(0.0, 1.0).log_prob(noise).softmax(0)
    angle = omega * (mean + noise)
    estimators = angle.sin() * noise, omega * angle.cos()
    return [float(share @ e**2 - (share @ e) ** 2) for e in estimators]


with check("5.4") as answer:
    mean, log_sd, h = vector(0.4)[0], vector(-0.7)[0], 1e-5
    noise = randn(50, generator=seeded(10))
    found = pathwise(lambda z: 3 * z**2, mean, log_sd, noise)
    assert found.shape == (50, 2), (
        f"50 draws and two parameters have shape (50, 2), yours {tuple(found.shape)}"
    )

    def cube(mean, log_sd):
        return (mean + log_sd.exp() * noise) ** 3

    for j, (name, up, down, why) in enumerate(
        (
            (
                "μ",
                cube(mean + h, log_sd),
                cube(mean - h, log_sd),
                "is the slope taken at the draw?",
            ),
            (
                "log σ",
                cube(mean, log_sd + h),
                cube(mean, log_sd - h),
                "how far does z move with λ?",
            ),
        )
    ):
        right = (up - down) / (2 * h)
        worst = int((found[:, j] - right).abs().argmax())
        assert abs(float(found[worst, j] - right[worst])) < 1e-6, (
            f"for f(z) = z³ and the noise {float(noise[worst]):.3f} differences of f give the "
            f"derivative {float(right[worst]):.4f} in {name}; yours is "
            f"{float(found[worst, j]):.4f}: {why}"
        )
    exact = vector(3 * (0.4**2 + math.exp(-1.4)), 6 * 0.4 * math.exp(-1.4))
    g = seeded(11)
    many = pathwise(lambda z: 3 * z**2, mean, log_sd, randn(20_000, generator=g))
    for j in range(2):
        laws.unbiased(many[:, j], float(exact[j]))
    for place in (0.0, 0.7, 2.0):
        omega = float(crossing(place))
        assert 0 < omega < math.inf, f"expected a finite ω above 0, got {omega}"
        score, path = two_variances(omega, place)
        for factor, where in ((0.999, "a little below"), (1.001, "a little above")):
            winner = "pathwise" if factor < 1 else "score"
            here = two_variances(factor * omega, place)
            wins = here[1] < here[0] if winner == "pathwise" else here[0] < here[1]
            assert wins, (
                f"for μ = {place} and your ω = {omega:.4f} one draw of the score function has the "
                f"variance {score:.4f} and one of the pathwise gradient {path:.4f}; {where} your "
                f"ω the {winner} estimator should spread less, and it does not. Is the score, "
                "z − μ, in your comparison?"
            )
### BEGIN HIDDEN TESTS
answer.require()
for place in (-1.0, 0.3, 1.5):
    omega = float(crossing(place))
    below, above = (two_variances(factor * omega, place) for factor in (0.999, 1.001))
    assert below[1] < below[0]
    assert above[0] < above[1]
noise = randn(30, generator=seeded(12))
for place in (vector(-2.0, 0.8), vector(5.0, -3.0)):
    leaf = place.expand(30, 2).clone().requires_grad_()
    z = leaf[:, 0] + leaf[:, 1].exp() * noise
    right = torch.autograd.grad(torch.sin(2 * z).sum(), leaf)[0]
    found = pathwise(lambda z: 2 * torch.cos(2 * z), place[0], place[1], noise)
    assert torch.allclose(found, right)
### END HIDDEN TESTS

# %% [markdown]
# Your derivatives race against the score function (nothing to hand in). Move $\omega$ through your
# prediction. Which of the two knows how fast $f$ changes, and which how large $f$ is? Try
# $\omega = 8$: is it the noise of the estimator or the gradient that has disappeared?


# %%
def show_race(omega):
    noise = randn(4000, generator=seeded(13))
    zero = vector(0.0)[0]
    wins = pathwise(lambda z: omega * torch.cos(omega * z), zero + 0.7, zero, noise)[:, 0]
    score = torch.sin(omega * (0.7 + noise)) * noise
    truth = omega * math.cos(0.7 * omega) * math.exp(-(omega**2) / 2)
    widest = max(3.0, 1.1 * omega)
    with plot.figure(
        x="one draw of the estimate",
        y="of 4,000 draws",
        height=2.8,
        title=f"gradient {truth:.3f}; your ω is {crossing(0.7):.3f}",
        alt="Histograms of single draws of the two estimators. For a small ω the pathwise one is a "
        "narrow hill at the gradient; for a large ω it is wider than the score function's.",
    ) as ax:
        for name, draws, colour in (
            (f"score, variance {float(score.var()):.2f}", score, "model"),
            (f"pathwise, variance {float(wins.var()):.2f}", wins, "approx"),
        ):
            look = {"color": plot.COLORS[colour], "alpha": 0.5, "label": name}
            ax.hist(draws.numpy(), bins=81, range=(-widest, widest), **look)
        ax.axvline(truth, color=plot.INK, lw=1)
        ax.legend()


try:
    panel = sliders(show_race, omega=Knob(0.25, 8.0, start=2.0, log=True))
except NotImplementedError:
    print("Comes with exercise 5.4.")
else:
    display(panel)

# %% [markdown]
# ## 5.5 The loss of a VAE (3 points, 30 minutes)
#
# You get two networks. `encoder(x)` returns the mean and $\log\sigma$ (not $\log\sigma^2$) of
# $q(z \mid x)$, both [n, k]; `decoder(z)` returns the logits of the pixels, [n, d], each of them
# an independent Bernoulli under $p(x \mid z)$. The prior is $N(0, I)$. Return for each image
#
# $$-\log p(x \mid z) + \mathrm{KL}\bigl(q(z \mid x)\,\|\,p(z)\bigr)$$
#
# with one reparameterised draw $z$, whose noise is given, and with the divergence in closed form.
# Its mean over the noise is minus the bound, in nats an image. *Hint:* distributions know their
# densities and divergences: `Bernoulli(logits=…)`, `kl_divergence`. What do their shapes say, and
# over which axis is a sum missing?


# %% nbgrader={"grade": false, "grade_id": "vae-loss", "locked": false, "schema_version": 3, "solution": true, "task": false}
def vae_loss(x, encoder, decoder, noise):
    """Minus the estimate of the bound, [n], nats; differentiable in both networks.

    x: images of zeros and ones, [n, d]; encoder, decoder: see above; noise: draws from N(0, I),
    [n, k], one for each image.
    """
    ### BEGIN SOLUTION
    mean, log_sigma = encoder(x)
    q = Normal(mean, log_sigma.exp())
    pixels = Bernoulli(logits=decoder(q.loc + q.scale * noise))
    rate = kl_divergence(q, Normal(0.0, 1.0)).sum(1)
    return rate - pixels.log_prob(x).sum(1)
    ### END SOLUTION


# %% tags=["wrong-answer"]
# The output is taken for log σ².
def vae_loss(x, encoder, decoder, noise):
    mean, log_sigma = encoder(x)
    z = mean + (log_sigma / 2).exp() * noise
    rate = 0.5 * (log_sigma.exp() + mean**2 - 1 - log_sigma).sum(1)
    return rate - Bernoulli(logits=decoder(z)).log_prob(x).sum(1)


# %% tags=["wrong-answer"]
# log σ for the draws and log σ² in the divergence.
def vae_loss(x, encoder, decoder, noise):
    mean, log_sigma = encoder(x)
    z = mean + log_sigma.exp() * noise
    rate = 0.5 * (log_sigma.exp() + mean**2 - 1 - log_sigma).sum(1)
    return rate - Bernoulli(logits=decoder(z)).log_prob(x).sum(1)


# %% tags=["wrong-answer"]
# The mean over the pixels: the divergence then counts 64 times too much.
def vae_loss(x, encoder, decoder, noise):
    mean, log_sigma = encoder(x)
    z = mean + log_sigma.exp() * noise
    rate = 0.5 * ((2 * log_sigma).exp() + mean**2 - 1 - 2 * log_sigma).sum(1)
    return rate - Bernoulli(logits=decoder(z)).log_prob(x).mean(1)


# %% tags=["wrong-answer"]
# The divergence with the wrong sign: it is rewarded.
def vae_loss(x, encoder, decoder, noise):
    mean, log_sigma = encoder(x)
    z = mean + log_sigma.exp() * noise
    rate = 0.5 * ((2 * log_sigma).exp() + mean**2 - 1 - 2 * log_sigma).sum(1)
    return -rate - Bernoulli(logits=decoder(z)).log_prob(x).sum(1)


# %% tags=["wrong-answer"]
# log p(x, z) less the divergence: the prior is counted twice.
def vae_loss(x, encoder, decoder, noise):
    mean, log_sigma = encoder(x)
    z = mean + log_sigma.exp() * noise
    rate = 0.5 * ((2 * log_sigma).exp() + mean**2 - 1 - 2 * log_sigma).sum(1)
    joint = Bernoulli(logits=decoder(z)).log_prob(x).sum(1) + Normal(0, 1).log_prob(z).sum(1)
    return rate - joint


# %% tags=["wrong-answer"]
# The variance as the width of the draws.
def vae_loss(x, encoder, decoder, noise):
    mean, log_sigma = encoder(x)
    z = mean + (2 * log_sigma).exp() * noise
    rate = 0.5 * ((2 * log_sigma).exp() + mean**2 - 1 - 2 * log_sigma).sum(1)
    return rate - Bernoulli(logits=decoder(z)).log_prob(x).sum(1)


# %% tags=["wrong-answer"]
# The logarithm of a rounded probability.
def vae_loss(x, encoder, decoder, noise):
    mean, log_sigma = encoder(x)
    chance = decoder(mean + log_sigma.exp() * noise).sigmoid()
    rate = 0.5 * ((2 * log_sigma).exp() + mean**2 - 1 - 2 * log_sigma).sum(1)
    return rate - (x * chance.log() + (1 - x) * (1 - chance).log()).sum(1)


# %% tags=["wrong-answer"]
# The draw is cut off from the encoder: no gradient of the likelihood reaches it.
def vae_loss(x, encoder, decoder, noise):
    mean, log_sigma = encoder(x)
    z = (mean + log_sigma.exp() * noise).detach()
    rate = 0.5 * ((2 * log_sigma).exp() + mean**2 - 1 - 2 * log_sigma).sum(1)
    return rate - Bernoulli(logits=decoder(z)).log_prob(x).sum(1)


# %% nbgrader={"grade": true, "grade_id": "check-vae-loss", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
binary = (seen > 0.5).double()


def constant(*parameters):
    """A network that says the same of every row."""
    return lambda rows: [p.expand(len(rows), -1) for p in parameters]


def divergence_on_a_grid(mean, sd):
    """KL(N(mean, sd²)‖N(0, 1)) by a sum over a fine grid."""
    t = torch.linspace(-30, 30, 60_001, dtype=torch.float64)
    log_q = Normal(mean, sd).log_prob(t)
    return float((log_q.exp() * (log_q - Normal(0.0, 1.0).log_prob(t))).sum()) / 1000


def train_vae(steps, seed):
    """Encoder (with the mean and log σ of eight units in one output) and decoder."""
    g = seeded(seed)
    widths = (64, 16), (8, 64)
    nets = torch.nn.ModuleList([MLP(*w, (64,), generator=g) for w in widths]).double()

    def loss(nets, x, generator):
        noise = randn(len(x), 8, generator=generator)
        return vae_loss(x, lambda x: nets[0](x).chunk(2, 1), nets[1], noise)

    train.fit(nets, loss, binary, steps=steps, lr=3e-3, generator=g, progress=False)
    return nets


with check("5.5") as answer:
    every = all_codes(4)  # all images of four pixels
    zero, logits = torch.zeros(2, dtype=torch.float64), vector(0.3, -2.0, 1.0, 0.0)
    asked = []

    def decoder(z):
        asked.append(z)
        return logits.expand(len(z), -1)

    noise = torch.full((16, 2), 0.5, dtype=torch.float64)
    loss = vae_loss(every, constant(zero, zero), decoder, noise)
    assert loss.shape == (16,), f"16 images have 16 losses, yours has shape {tuple(loss.shape)}"
    total = float((-loss).exp().sum())
    assert abs(total - 1) < 1e-10, (
        "where the encoder says N(0, I) the divergence is zero and the loss is −log p(x | z), so "
        f"exp(−loss) of all 16 images of four pixels sums to 1; yours to {total:.4g}. Is each "
        "pixel's log-probability added, and nothing else?"
    )
    for mean, sd in ((0.0, 0.5), (1.5, 1.0), (-0.7, 2.0)):
        coder = constant(vector(mean, 0.0), vector(math.log(sd), 0.0))
        rate = float((vae_loss(every, coder, decoder, noise) - loss)[0])
        right = divergence_on_a_grid(mean, sd)
        why = "which power of σ does the encoder give the logarithm of?"
        if abs(rate + right) < 1e-4:
            why = "the size is right; is it a price or a reward?"
        assert abs(rate - right) < 1e-6, (
            f"KL of N({mean}, {sd}²) from N(0, 1) is {right:.4f} by a sum over a grid; with a code "
            f"of mean {mean} and σ = {sd} your loss rises by {rate:.4f}: {why}"
        )
    coder = constant(vector(1.0, -1.0), vector(math.log(3), math.log(0.5)))
    asked.clear()
    vae_loss(every, coder, decoder, noise)
    z = [round(v, 4) for v in asked[0][0].tolist()]
    assert z == [2.5, -0.75], (
        "with means 1 and -1, σ = 3 and 0.5, and noise 0.5 the decoder should be asked for the "
        f"code [2.5, -0.75]; yours was asked for {z}"
    )
    loud = vae_loss(every, constant(zero, zero), lambda z: 100 * logits.expand(len(z), -1), noise)
    assert loud.isfinite().all(), (
        f"with logits of 100 and -200 a loss is {float(loud.max())}: the probability is 0 or 1 in "
        "floating point, its logarithm from the logit is not"
    )
    parameters = vector(0.2, -0.4, -0.5, 0.3)
    weights = randn(2, 4, generator=seeded(14))

    def at(place):
        coder = constant(place[:2], place[2:])
        return vae_loss(every, coder, lambda z: z @ weights, noise).sum()

    leaf = parameters.clone().requires_grad_()
    slopes = torch.autograd.grad(at(leaf), leaf)[0]
    nudges = 1e-5 * torch.eye(4, dtype=torch.float64)
    right = vector(*(float(at(parameters + e) - at(parameters - e)) / 2e-5 for e in nudges))
    assert torch.allclose(slopes, right, atol=1e-6), (
        "differences of your loss in the encoder's outputs are "
        f"{[round(v, 3) for v in right.tolist()]}, and back-propagation gives "
        f"{[round(v, 3) for v in slopes.tolist()]}: does the gradient pass through the draw?"
    )
    # On the digits, in black and white: better than independent pixels, and below log p(x).
    nets, held_out = train_vae(300, 15), (fresh > 0.5).double()
    with torch.no_grad():
        noise = randn(360, 8, generator=seeded(16))
        loss = vae_loss(held_out, lambda x: nets[0](x).chunk(2, 1), nets[1], noise)
        model = VAE(GaussianEncoder(nets[0]), BernoulliDecoder(nets[1]), 8)
        log_p = float(model.log_prob_estimate(held_out, 100, generator=seeded(17)).mean())
        apart = Bernoulli(binary.mean(0).clamp(1e-3, 1 - 1e-3)).log_prob(held_out).sum(1)
    bound = -float(loss.mean())
    assert bound < log_p, (
        f"trained on the digits your bound is {bound:.2f} nats on new ones, above their log p(x), "
        f"which is {log_p:.2f} by importance sampling"
    )
    assert bound > float(apart.mean()) + 3, (
        f"trained on the digits your bound is {bound:.2f} nats on new ones; independent pixels "
        f"without any code reach {float(apart.mean()):.2f}"
    )
### BEGIN HIDDEN TESTS
answer.require()
g = seeded(18)
nets = [MLP(*widths, (8,), generator=g).double() for widths in ((5, 6), (3, 5))]
model = VAE(GaussianEncoder(nets[0]), BernoulliDecoder(nets[1]), 3)
x = torch.bernoulli(torch.full((40, 5), 0.4, dtype=torch.float64), generator=g)
state = g.get_state()
right = -model.elbo(x, generator=g)
g.set_state(state)
found = vae_loss(x, lambda x: nets[0](x).chunk(2, 1), nets[1], randn(40, 3, generator=g))
assert torch.allclose(found, right)
slopes = [
    torch.autograd.grad(v.sum(), nets[0][0].weight, retain_graph=True)[0] for v in (found, right)
]
assert torch.allclose(*slopes)
one = vae_loss(x[:1], lambda x: nets[0](x).chunk(2, 1), nets[1], torch.zeros(1, 3).double())
assert one.shape == (1,)
### END HIDDEN TESTS

# %% [markdown]
# What your loss has learnt: the first row holds digits that it never saw, the second what the
# decoder makes of the means of their codes, the third what it makes of codes from the prior
# (nothing to hand in). Which row is the model's own? Where does the third look worse, and what
# does the loss say of codes that no digit has?


# %%
try:
    nets = train_vae(900, 19)
    with torch.no_grad():
        some = (fresh[::30] > 0.5).double()
        means = nets[0](some).chunk(2, 1)[0]
        own = nets[1](randn(12, 8, generator=seeded(20)))
        sheet = torch.cat([some, nets[1](means).sigmoid(), own.sigmoid()])
    plot.images(
        sheet.reshape(-1, 8, 8),
        alt="Three rows of twelve digits. The first are black and white; the second are the same "
        "digits with grey, soft edges; in the third about two in three can be read.",
    )
except NotImplementedError:
    print("Comes with exercise 5.5.")

# %% [markdown]
# ## 5.6 A bound that rises (3 points, 20 minutes)
#
# Draw $k$ codes for each image, $z = m + s \odot \varepsilon$ with the $m$ and $s$ of
# $q(z \mid x) = N(z; m, \operatorname{diag} s^2)$, and return
#
# $$\log\frac1k\sum_{i=1}^k w_i, \qquad w_i = \frac{p(x, z_i)}{q(z_i \mid x)}.$$
#
# You are given $\log p(x, z)$. The weights may be as small as $e^{-2000}$: stay with logarithms.
# The referee is the linear VAE with four units, fitted to the digits, since its $\log p(x)$ is
# known exactly.


# %% nbgrader={"grade": false, "grade_id": "importance", "locked": false, "schema_version": 3, "solution": true, "task": false}
def importance_bound(log_joint, m, s, noise):
    """log of the mean weight, [n], nats.

    log_joint: takes codes [k, n, latent], returns log p(x, z), [k, n]; m, s: means and standard
    deviations of q, [n, latent]; noise: draws from N(0, I), [k, n, latent].
    """
    ### BEGIN SOLUTION
    z = torch.addcmul(m, s, noise)
    surplus = log_joint(z) - Normal(m, s).log_prob(z).sum(-1)
    return torch.logsumexp(surplus, 0) - math.log(noise.shape[0])
    ### END SOLUTION


# %% tags=["wrong-answer"]
# The mean of the logarithms: the bound of the VAE, whatever k is.
def importance_bound(log_joint, m, s, noise):
    z = m + s * noise
    log_w = log_joint(z) - Normal(m, s).log_prob(z).sum(2)
    return log_w.mean(0)


# %% tags=["wrong-answer"]
# The sum of the weights, not their mean.
def importance_bound(log_joint, m, s, noise):
    z = m + s * noise
    log_w = log_joint(z) - Normal(m, s).log_prob(z).sum(2)
    return log_w.logsumexp(0)


# %% tags=["wrong-answer"]
# Normalised weights times log-weights: they are for the gradient, and the value is no bound.
def importance_bound(log_joint, m, s, noise):
    z = m + s * noise
    log_w = log_joint(z) - Normal(m, s).log_prob(z).sum(2)
    return (log_w.softmax(0) * log_w).sum(0)


# %% tags=["wrong-answer"]
# The logarithm at the end: all weights have become zero on the way.
def importance_bound(log_joint, m, s, noise):
    z = m + s * noise
    log_w = log_joint(z) - Normal(m, s).log_prob(z).sum(2)
    return log_w.exp().mean(0).log()


# %% tags=["wrong-answer"]
# The density of the noise instead of that of z: the widths are missing.
def importance_bound(log_joint, m, s, noise):
    log_w = log_joint(m + s * noise) - Normal(0.0, 1.0).log_prob(noise).sum(2)
    return log_w.logsumexp(0) - math.log(len(noise))


# %% tags=["wrong-answer"]
# The variance as the width of the draws, whose density is another one.
def importance_bound(log_joint, m, s, noise):
    z = m + s**2 * noise
    log_w = log_joint(z) - Normal(m, s).log_prob(z).sum(2)
    return log_w.logsumexp(0) - math.log(len(noise))


# %% tags=["wrong-answer"]
# The prior is forgotten under q: log p(x, z) without dividing.
def importance_bound(log_joint, m, s, noise):
    return log_joint(m + s * noise).logsumexp(0) - math.log(len(noise))


# %% nbgrader={"grade": true, "grade_id": "check-importance", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def referee(latent, x):
    """The linear VAE at its optimum: log p(x, z), log p(x) and the means and widths of p(z | x)."""
    model = LinearVAE.optimum(em.ProbabilisticPCA(latent).fit(seen)).requires_grad_(False)
    posterior = model.posterior(x)

    def log_joint(z):
        return model.decoder(z).log_prob(x) + model.prior().log_prob(z)

    return log_joint, model.log_prob(x), posterior.mean, posterior.variance.sqrt()


with check("5.6") as answer:
    log_joint, log_p, m, s = referee(4, fresh)
    g = seeded(21)
    for k in (1, 7):
        found = importance_bound(log_joint, m, s, randn(k, 360, 4, generator=g))
        assert found.shape == (360,), (
            f"{k} draws for each of 360 images have 360 bounds, yours has shape "
            f"{tuple(found.shape)}"
        )
        off = float((found - log_p).mean())
        why = "is q(z | x) the density of z, and is it divided by?"
        if k > 1 and abs(off - math.log(k)) < 1e-6:
            why = f"that is log {k}: a sum is not a mean"
        assert torch.allclose(found, log_p, atol=1e-6), (
            f"where q is the posterior every weight is p(x), so the bound is log p(x) with any k; "
            f"with {k} yours is {off:+.4f} nats off in the mean: {why}"
        )
    wide, aside = 1.3 * s, m + 0.3 * s
    noise = randn(20, 360, 4, generator=g)
    found = importance_bound(log_joint, aside, wide, noise)
    less = importance_bound(lambda z: log_joint(z) - 2000, aside, wide, noise)
    assert torch.allclose(less, found - 2000, atol=1e-6), (
        f"weights that are e^-2000 times as large have a bound 2000 nats below; the first image "
        f"has {float(found[0]):.2f} and then {float(less[0]):.2f}"
    )
    means = [
        float((importance_bound(log_joint, aside, wide, noise) - log_p).mean())
        for noise in (randn(k, 360, 4, generator=g) for k in (1, 10, 200))
    ]
    said = ", ".join(f"{v:.3f}" for v in means)
    assert max(means) < 0.02, (
        "for a q that is too wide and beside the posterior the bounds of 1, 10 and 200 draws lie "
        f"{said} nats from log p(x) in the mean over 360 digits; a bound does not lie above"
    )
    assert means[2] > means[1] > means[0] + 0.05, (
        f"for a q that is too wide and beside the posterior the bounds of 1, 10 and 200 draws lie "
        f"{said} nats from log p(x) in the mean over 360 digits; they should rise with k. In which "
        "order do you take the mean and the logarithm?"
    )
    for k in (1, 3):
        noise = randn(k, 360, 4, generator=g)
        ratio = (importance_bound(log_joint, aside, wide, noise) - log_p).exp()
        try:
            laws.unbiased(ratio, 1.0)
        except laws.LawBroken as broken:
            raise AssertionError(
                f"the mean weight is unbiased: divided by p(x) it averages one, also with k = {k}. "
                f"{broken} Do the draws have the density that they are divided by?"
            ) from broken
### BEGIN HIDDEN TESTS
answer.require()
log_joint, log_p, m, s = referee(7, seen[:50])
g = seeded(22)
noise = randn(13, 50, 7, generator=g)
q = Normal(m + s, 2 * s)
z = q.loc + q.scale * noise
log_w = log_joint(z) - q.log_prob(z).sum(2)
right = log_w.exp().mean(0).log()
assert torch.allclose(importance_bound(log_joint, q.loc, q.scale, noise), right)
many = noise[:, :1].expand(13, 5, 7) + 0.1 * randn(13, 5, 7, generator=g)
one = importance_bound(
    lambda z: -2000 - z.square().sum(2), torch.zeros(5, 7).double(), torch.ones(5, 7).double(), many
)
log_w = -2000 - many.square().sum(2) - Normal(0.0, 1.0).log_prob(many).sum(2)
assert torch.allclose(one, log_w.logsumexp(0) - math.log(13))
### END HIDDEN TESTS

# %% [markdown]
# How many draws would you want (nothing to hand in)? The table holds how far below $\log p(x)$ the
# bound is, in nats a digit, for a $q$ whose widths are wrong by a factor. Too narrow or too wide:
# which is the more expensive mistake with one draw, and which with 300? Why?


# %%
try:
    log_joint, log_p, m, s = referee(4, fresh)
    g, lines = seeded(23), ["  k   half as wide   right   twice as wide"]
    for k in (1, 3, 10, 30, 100, 300):
        noise = randn(k, 360, 4, generator=g)
        below = [
            float((log_p - importance_bound(log_joint, m, factor * s, noise)).mean())
            for factor in (0.5, 1.0, 2.0)
        ]
        lines.append(f"{k:3d} {below[0]:14.3f} {abs(below[1]):7.3f} {below[2]:15.3f}")
    print(*lines, sep="\n")
except NotImplementedError:
    print("Comes with exercise 5.6.")

# %% [markdown]
# ## 5.7 Awake, asleep (3 points, 20 minutes)
#
# A model of $K$ codes and $X$ observations: its prior and its decoder are tables of logits, and so
# is the encoder, $q(z \mid x)$. Return three numbers, **each to be made larger**:
#
# 1. the bound, in the mean over $p_\text{data}$: variational inference climbs it in all tables;
# 2. what *wake* climbs in the prior and the decoder: $\log p(x, z)$ of codes that the encoder finds
#    for the data;
# 3. what *sleep* climbs in the encoder: $\log q(z \mid x)$ of dreams, for which code *and*
#    observation come from the model.
#
# All are exact sums over the table of $x$ and $z$. Compute with tensors throughout: the check
# differentiates your numbers. *Hint:* `log_softmax` makes logarithms of probabilities from logits;
# which law does each mean stand under?


# %% nbgrader={"grade": false, "grade_id": "wake-sleep", "locked": false, "schema_version": 3, "solution": true, "task": false}
def objectives(prior, decoder, encoder, data_law):
    """Bound, wake and sleep, three 0-dim tensors, nats.

    prior: logits of p(z), [K]; decoder: of p(x | z), [K, X]; encoder: of q(z | x), [X, K];
    data_law: probabilities p_data(x), [X].
    """
    ### BEGIN SOLUTION
    log_model = prior.log_softmax(0)[:, None] + decoder.log_softmax(1)  # [K, X]
    log_found = encoder.log_softmax(1).T
    awake, dream = data_law * log_found.exp(), log_model.exp()
    wake = (awake * log_model).sum()
    return wake - (awake * log_found).sum(), wake, (dream * log_found).sum()
    ### END SOLUTION


# %% tags=["wrong-answer"]
# The divergence from the prior is added, as the lectures print the bound.
def objectives(prior, decoder, encoder, data_law):
    log_prior, log_decoder = prior.log_softmax(0)[:, None], decoder.log_softmax(1)
    log_q = encoder.log_softmax(1).T
    joint, drawn = log_prior + log_decoder, data_law * log_q.exp()
    bound = (drawn * (log_decoder + log_q - log_prior)).sum()
    return bound, (drawn * joint).sum(), (joint.exp() * log_q).sum()


# %% tags=["wrong-answer"]
# The E step without the divergence from the prior: E_q log p(x | z), as a table prints it.
def objectives(prior, decoder, encoder, data_law):
    log_q = encoder.log_softmax(1).T
    joint = prior.log_softmax(0)[:, None] + decoder.log_softmax(1)
    drawn = data_law * log_q.exp()
    bound = (drawn * decoder.log_softmax(1)).sum()
    return bound, (drawn * joint).sum(), (joint.exp() * log_q).sum()


# %% tags=["wrong-answer"]
# The divergence from the posterior alone: it cannot see the likelihood.
def objectives(prior, decoder, encoder, data_law):
    log_q = encoder.log_softmax(1).T
    joint = prior.log_softmax(0)[:, None] + decoder.log_softmax(1)
    drawn = data_law * log_q.exp()
    gap = (drawn * (log_q - joint.log_softmax(0))).sum()
    return -gap, (drawn * joint).sum(), (joint.exp() * log_q).sum()


# %% tags=["wrong-answer"]
# Wake to be minimised, as the lectures print it.
def objectives(prior, decoder, encoder, data_law):
    log_q = encoder.log_softmax(1).T
    joint = prior.log_softmax(0)[:, None] + decoder.log_softmax(1)
    drawn = data_law * log_q.exp()
    wake = (drawn * joint).sum()
    return wake - (drawn * log_q).sum(), -wake, (joint.exp() * log_q).sum()


# %% tags=["wrong-answer"]
# log p(x | z) in the place of log p(x, z): the prior learns nothing.
def objectives(prior, decoder, encoder, data_law):
    log_q = encoder.log_softmax(1).T
    joint = prior.log_softmax(0)[:, None] + decoder.log_softmax(1)
    drawn = data_law * log_q.exp()
    wake = (drawn * decoder.log_softmax(1)).sum()
    return (drawn * (joint - log_q)).sum(), wake, (joint.exp() * log_q).sum()


# %% tags=["wrong-answer"]
# Sleep to be minimised, as the lectures print it.
def objectives(prior, decoder, encoder, data_law):
    log_q = encoder.log_softmax(1).T
    joint = prior.log_softmax(0)[:, None] + decoder.log_softmax(1)
    drawn = data_law * log_q.exp()
    wake = (drawn * joint).sum()
    return wake - (drawn * log_q).sum(), wake, -(joint.exp() * log_q).sum()


# %% tags=["wrong-answer"]
# Dreams whose code is not drawn from the prior: every code dreams as often.
def objectives(prior, decoder, encoder, data_law):
    log_q = encoder.log_softmax(1).T
    joint = prior.log_softmax(0)[:, None] + decoder.log_softmax(1)
    drawn = data_law * log_q.exp()
    wake = (drawn * joint).sum()
    sleep = (decoder.softmax(1) * log_q).sum() / len(prior)
    return wake - (drawn * log_q).sum(), wake, sleep


# %% tags=["wrong-answer"]
# Sleep on the data: posterior codes of real observations, which nobody can draw.
def objectives(prior, decoder, encoder, data_law):
    log_q = encoder.log_softmax(1).T
    joint = prior.log_softmax(0)[:, None] + decoder.log_softmax(1)
    drawn = data_law * log_q.exp()
    wake = (drawn * joint).sum()
    return wake - (drawn * log_q).sum(), wake, (data_law * joint.softmax(0) * log_q).sum()


# %% nbgrader={"grade": true, "grade_id": "check-wake-sleep", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def random_tables(codes, observations, generator):
    """Logits of prior, decoder and encoder, and a law of the data."""
    sizes = (codes,), (codes, observations), (observations, codes), (observations,)
    tables = [randn(*size, generator=generator) for size in sizes]
    return *tables[:3], tables[3].softmax(0)


def posterior_logits(prior, decoder):
    """The encoder that is right for every observation, [X, K]."""
    return (prior.log_softmax(0)[:, None] + decoder.log_softmax(1)).T


def slopes(which, tables, data_law, of):
    """The gradient of one objective in some of the three tables, in one row."""
    leaves = [t.clone().requires_grad_() for t in tables]
    value = objectives(*leaves, data_law)[which]
    found = torch.autograd.grad(value, [leaves[i] for i in of], materialize_grads=True)
    return torch.cat([part.flatten() for part in found])


with check("5.7") as answer:
    g = seeded(24)
    *tables, data_law = random_tables(3, 5, g)
    values = objectives(*tables, data_law)
    shapes = [tuple(torch.as_tensor(v).shape) for v in values]
    assert shapes == [(), (), ()], f"expected three 0-dim tensors, got shapes {shapes}"
    log_p = posterior_logits(*tables[:2]).logsumexp(1)
    evidence = float(data_law @ log_p)
    at_posterior = [*tables[:2], posterior_logits(*tables[:2])]
    found = float(objectives(*at_posterior, data_law)[0])
    posterior = at_posterior[2].log_softmax(1)
    rates = (posterior.exp() * (posterior - tables[0].log_softmax(0))).sum(1)
    rate = float(data_law @ rates)  # the mean divergence of the posteriors from the prior
    why = "is each mean taken under p_data(x) q(z | x)?"
    for excess, reason in (
        (2 * rate, "which sign has the divergence from the prior?"),
        (rate, "is the divergence from the prior forgotten?"),
        (-evidence, "that is how far below log p(x) the bound is, not where"),
    ):
        if abs(found - evidence - excess) < 1e-9:
            why = reason
    assert abs(found - evidence) < 1e-10, (
        "where the encoder is the posterior the bound is the mean of log p(x) over the data, "
        f"{evidence:.4f}; yours is {found:.4f}: {why}"
    )
    bounds = torch.stack(
        [
            torch.as_tensor(objectives(*tables[:2], 2 * randn(5, 3, generator=g), data_law)[0])
            for _ in range(200)
        ]
    )
    assert bounds.max() < evidence, (
        f"the mean of log p(x) over the data is {evidence:.4f}, and one of 200 random encoders "
        f"makes your bound {float(bounds.max()):.4f}"
    )
    bound, wake = (slopes(which, tables, data_law, (0, 1)) for which in (0, 1))
    if not torch.allclose(bound, wake, atol=1e-10):
        why = "is each log-probability taken under p_data(x) q(z | x)?"
        if torch.allclose(bound, -wake):
            why = "yours points downhill"
        elif torch.allclose(bound[3:], wake[3:]):
            why = "the decoder is right, the prior is not: it has something to learn as well"
        raise AssertionError(
            "wake is the M step: in the prior and the decoder the gradients of wake and bound are "
            f"the same. They differ by up to {float((bound - wake).abs().max()):.3f}; {why}"
        )
    sleep = float(objectives(*at_posterior, data_law)[2])
    slope = float(slopes(2, at_posterior, data_law, (2,)).abs().max())
    assert slope < 1e-10, (
        "where the encoder is the posterior, sleep has nothing to learn; your gradient there is "
        f"up to {slope:.3f}. From which law does the code of a dream come?"
    )
    nudged = [
        float(
            objectives(*tables[:2], at_posterior[2] + 0.1 * randn(5, 3, generator=g), data_law)[2]
        )
        for _ in range(100)
    ]
    assert max(nudged) < sleep, (
        f"by Gibbs' inequality nobody predicts the codes of dreams better than the posterior; "
        f"yours has {sleep:.4f} there, an encoder next to it {max(nudged):.4f}. Which way is up?"
    )
    other = float(objectives(*tables, random_tables(3, 5, g)[3])[2])
    assert abs(other - float(values[2])) < 1e-10, (
        f"asleep one sees no data: with another p_data sleep should stay {float(values[2]):.4f}, "
        f"yours becomes {other:.4f}"
    )
### BEGIN HIDDEN TESTS
answer.require()
g = seeded(25)
*tables, data_law = random_tables(4, 9, g)
data_law = torch.where(torch.arange(9) < 3, 0.0, data_law)
data_law = data_law / data_law.sum()
log_joint = posterior_logits(*tables[:2])
log_q = tables[2].log_softmax(1)
bound, wake, sleep = (float(v) for v in objectives(*tables, data_law))
assert abs(bound - float(data_law @ em.elbo(log_joint, log_q.exp()))) < 1e-10
assert abs(wake - float(data_law @ (log_q.exp() * log_joint).sum(1))) < 1e-10
assert abs(sleep - float((log_joint.exp() * log_q).sum())) < 1e-10
right = (
    data_law[:, None] * log_q.exp() * (log_joint - log_q - em.elbo(log_joint, log_q.exp())[:, None])
)
assert torch.allclose(slopes(0, tables, data_law, (2,)), right.flatten(), atol=1e-10)
dream = log_joint.exp()
right = dream - dream.sum(1, keepdim=True) * log_q.exp()
assert torch.allclose(slopes(2, tables, data_law, (2,)), right.flatten(), atol=1e-10)
### END HIDDEN TESTS

# %% [markdown]
# A model stands still, and both ways climb in the encoder alone (nothing to hand in). The code has
# four values, the observation is a pair of bits, 00, 01, 10 or 11. The encoder may be poor: at
# `poor` = 1 it must say the same of 01 as of 10, and of 00 as of 11. The third curve falls asleep
# at step 200. Where do all arrive with a free encoder, at `poor` = 0? With a poor one, would you
# call what sleep does a failure to converge, or another aim?


# %%
def show_climb(poor):
    g = seeded(26)
    prior, decoder = (2 * randn(*size, generator=g) for size in ((4,), (4, 4)))
    start, data_law = randn(4, 4, generator=g), vector(0.7, 0.1, 0.1, 0.1)
    evidence = data_law @ posterior_logits(prior, decoder).logsumexp(1)
    rows = torch.tensor([0, 1, 1, 0] if poor else [0, 1, 2, 3])  # of the table, for 00, 01, 10, 11
    curves = {"log p(x)": evidence.expand(400)}
    for name, plan in (
        ("variational", [0] * 400),
        ("sleep", [2] * 400),
        ("one, then the other", [0] * 200 + [2] * 200),
    ):
        table, record = start.clone(), []
        for which in plan:
            table.requires_grad_()
            values = objectives(prior, decoder, table[rows], data_law)
            table = (table + 0.5 * torch.autograd.grad(values[which], table)[0]).detach()
            record.append(float(values[0].detach()))
        curves[name] = torch.tensor(record)
    with plot.figure(
        x="steps",
        y="nats",
        height=2.8,
        title="the bound, in the mean over the data",
        alt="The bound over 400 steps, under a line at log p(x). With a poor encoder variational "
        "inference climbs without a fall; sleep arrives lower, and falls to there if it takes "
        "over. With a free encoder all of them reach the line.",
    ) as ax:
        for name, values in curves.items():
            ax.plot(values, label=name)
        ax.set_ylim(-2.75, -1.55)
        ax.legend(loc="lower right")


try:
    panel = sliders(show_climb, poor=Knob(0, 1, start=1))
except NotImplementedError:
    print("Comes with exercise 5.7.")
else:
    display(panel)

# %% [markdown]
# ## 5.8 Find out why (3 points, 30 minutes)
#
# Here is a VAE for grey digits, pixels from 0 to 1, with the loss that is found everywhere:
# $\frac12\|x - g(z)\|^2 + \mathrm{KL}$. It has eight units. The table shows what each of them
# costs. In the second run the weight $\beta$ of the divergence rises from 0 to 1 in the first 150
# steps.


# %%
def fit_vae(beta, warm_up=0):
    """Encoder and decoder, trained by 300 steps on ½‖x − g(z)‖² + β KL."""
    g, steps = seeded(27), itertools.count(1)
    encoder = GaussianEncoder(MLP(64, 16, (64,), generator=g))
    nets = torch.nn.ModuleList([encoder, MLP(8, 64, (64,), generator=g)]).double()
    prior = Independent(Normal(torch.zeros(8).double(), 1.0), 1)

    def usual_loss(nets, x, generator):
        q = nets[0](x)
        z = rsample(q, 1, generator=generator)[0]
        weight = beta * min(1.0, next(steps) / (warm_up + 1))
        rate = kl_divergence(q, prior.expand(q.batch_shape))
        return (x - nets[1](z)).square().sum(1) / 2 + weight * rate

    train.fit(nets, usual_loss, seen, steps=300, lr=3e-3, generator=g, progress=False)
    return nets.requires_grad_(False)


collapsed = fit_vae(beta=1.0)
for name, nets in (("from the start", collapsed), ("warmed up", fit_vae(1.0, warm_up=150))):
    q = nets[0](fresh).base_dist
    rates = kl_divergence(q, Normal(0.0, 1.0)).mean(0)
    print(f"{name:15s}", " ".join(f"{float(rate):.2f}" for rate in rates), "nats")

# %% [markdown]
# Find out why, and why warming up does not help. Whose logarithm is $-\frac12\|x - g(z)\|^2$, up to
# a constant? Compare the width that it gives to a pixel with how far pixels are from their mean.
# What must a unit save to be worth its nats?
#
# The linear VAE answers exactly. Let it have more than enough units, and let every pixel be given
# the standard deviation $s$ around $Wz + \bar x$. With $\lambda_j$ the eigenvalues of the covariance
# of the data (divided by $n$), the best columns of $W$ have the squared lengths
# $\lambda_j - s^2$ where that is positive; all other units are switched off. Write
#
# - `rates`: what each unit in use costs, the mean over the data of its
#   $\mathrm{KL}\bigl(q(z_j \mid x)\,\|\,p(z_j)\bigr)$, with $q$ the posterior;
# - `best_sd`: the $s$ with which the likelihood of a linear VAE with `latent` units is largest.
#
# *Hint:* what is the variance of a unit under the posterior, what the variance of its posterior
# means over the data, and what is the sum of the two? Chapter 03 has the best $s$.


# %% nbgrader={"grade": false, "grade_id": "collapse", "locked": false, "schema_version": 3, "solution": true, "task": false}
def rates(x, sd):
    """Nats of each unit in use, the dearest first, float64 [units].

    x: data [n, d]; sd: of a pixel given its code.
    """
    ### BEGIN SOLUTION
    spectrum = torch.linalg.eigvalsh(x.T.cov(correction=0)).flip(0)
    # The posterior's variance is sd²/λ, that of its means the rest of 1: the squares cancel.
    return 0.5 * (spectrum[spectrum > sd**2] / sd**2).log()
    ### END SOLUTION


def best_sd(x, latent):
    """Standard deviation of a pixel given its code, a float. x: data [n, d]; latent: units."""
    ### BEGIN SOLUTION
    ascending = torch.linalg.eigvalsh(x.T.cov(correction=0))
    return math.sqrt(ascending[: x.shape[1] - latent].mean())
    ### END SOLUTION


# %% tags=["wrong-answer"]
# Compares variances with a standard deviation.
def rates(x, sd):
    values = torch.linalg.eigvalsh(x.T.cov(correction=0)).flip(0)
    return 0.5 * (values[values > sd] / sd**2).log()


def best_sd(x, latent):
    return float(torch.linalg.eigvalsh(x.T.cov(correction=0))[:-latent].mean().sqrt())


# %% tags=["wrong-answer"]
# Looks at the pixels' own variances, as if they did not move together.
def rates(x, sd):
    values = x.var(0, correction=0).sort(descending=True).values
    return 0.5 * (values[values > sd**2] / sd**2).log()


def best_sd(x, latent):
    return float(torch.linalg.eigvalsh(x.T.cov(correction=0))[:-latent].mean().sqrt())


# %% tags=["wrong-answer"]
# The noise counts twice: λ is taken for the signal alone, though it holds s² already.
def rates(x, sd):
    values = torch.linalg.eigvalsh(x.T.cov(correction=0)).flip(0)
    return 0.5 * (1 + values[values > sd**2] / sd**2).log()


def best_sd(x, latent):
    return float(torch.linalg.eigvalsh(x.T.cov(correction=0))[:-latent].mean().sqrt())


# %% tags=["wrong-answer"]
# The logarithm of a ratio of variances, without the half.
def rates(x, sd):
    values = torch.linalg.eigvalsh(x.T.cov(correction=0)).flip(0)
    return (values[values > sd**2] / sd**2).log()


def best_sd(x, latent):
    return float(torch.linalg.eigvalsh(x.T.cov(correction=0))[:-latent].mean().sqrt())


# %% tags=["wrong-answer"]
# The posterior means are forgotten: only what the narrow posteriors cost.
def rates(x, sd):
    values = torch.linalg.eigvalsh(x.T.cov(correction=0)).flip(0)
    share = sd**2 / values[values > sd**2]
    return 0.5 * (share - 1 - share.log())


def best_sd(x, latent):
    return float(torch.linalg.eigvalsh(x.T.cov(correction=0))[:-latent].mean().sqrt())


# %% tags=["wrong-answer"]
# The variance where the standard deviation is asked for.
def rates(x, sd):
    values = torch.linalg.eigvalsh(x.T.cov(correction=0)).flip(0)
    return 0.5 * (values[values > sd**2] / sd**2).log()


def best_sd(x, latent):
    return float(torch.linalg.eigvalsh(x.T.cov(correction=0))[:-latent].mean())


# %% tags=["wrong-answer"]
# The squared error spread over all pixels, though the units have used up some of the freedom.
def rates(x, sd):
    values = torch.linalg.eigvalsh(x.T.cov(correction=0)).flip(0)
    return 0.5 * (values[values > sd**2] / sd**2).log()


def best_sd(x, latent):
    rest = torch.linalg.eigvalsh(x.T.cov(correction=0))[:-latent].sum()
    return float((rest / x.shape[1]).sqrt())


# %% tags=["wrong-answer"]
# All that varies is noise: the units explain nothing.
def rates(x, sd):
    values = torch.linalg.eigvalsh(x.T.cov(correction=0)).flip(0)
    return 0.5 * (values[values > sd**2] / sd**2).log()


def best_sd(x, latent):
    return float(torch.linalg.eigvalsh(x.T.cov(correction=0)).mean().sqrt())


# %% nbgrader={"grade": true, "grade_id": "check-collapse", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def best_fit(x, latent, sd):
    """The linear VAE's best likelihood for this sd, and its rates: by EM, not by eigenvalues.

    Returns the mean of log N(x; x̄, WWᵀ + sd² I), nats, and the mean divergence of each unit's
    posterior from N(0, 1), [latent], with W turned so that the posterior's units are independent.
    """
    x = x - x.mean(0)
    d, eye = x.shape[1], torch.eye(latent, dtype=torch.float64)
    second, weights = x.T @ x / len(x), randn(d, latent, generator=seeded(28))
    for _ in range(500):
        inverse = torch.linalg.inv(weights.T @ weights + sd**2 * eye)
        project = second @ weights @ inverse
        weights = project @ torch.linalg.inv(sd**2 * inverse + inverse @ weights.T @ project)
    weights = weights @ torch.linalg.svd(weights).Vh.T
    covariance = weights @ weights.T + sd**2 * torch.eye(d, dtype=torch.float64)
    law = MultivariateNormal(torch.zeros(d, dtype=torch.float64), covariance)
    variance = 1 / (1 + weights.square().sum(0) / sd**2)
    posterior = Normal(x @ weights * variance / sd**2, variance.sqrt())
    return float(law.log_prob(x).mean()), kl_divergence(posterior, Normal(0.0, 1.0)).mean(0)


with check("5.8") as answer:
    g = seeded(29)
    turn = torch.linalg.qr(randn(6, 6, generator=g)).Q
    pixels = randn(400, 6, generator=g) * vector(9, 4, 1.6, 0.9, 0.36, 0.12).sqrt() @ turn
    for sd in (0.5, 1.5, 4.0):
        right = best_fit(pixels, 5, sd)[1]
        right, found = right[right > 1e-3], rates(pixels, sd)
        said = [round(v, 3) for v in right.tolist()]
        assert len(found) == len(right), (
            f"400 vectors of six numbers, sd = {sd}, five units: the best W, found by EM, uses "
            f"{len(right)} units, at {said} nats; yours has {len(found)}. A unit pays for itself "
            "along a direction in which the data vary more than the noise does"
        )
        assert torch.allclose(found, right, atol=1e-4), (
            f"400 vectors of six numbers, sd = {sd}, five units: with the best W, found by EM, the "
            f"units cost {said} nats; yours {[round(v, 3) for v in found.tolist()]}. KL of a "
            "normal law from N(0, 1) has the variance, its logarithm and the square of the mean "
            "in it; over the data the first and the last add up to what?"
        )
    for latent in (1, 2, 4):
        sd = float(best_sd(pixels, latent))
        assert 0 < sd < math.inf, f"expected a finite standard deviation above 0, got {sd}"
        here = best_fit(pixels, latent, sd)[0]
        for factor in (0.98, 1.02):
            gain = best_fit(pixels, latent, factor * sd)[0] - here
            assert gain < 0, (
                f"with latent = {latent} and sd = {factor} times yours, {sd:.4f}, the best fit of "
                f"the linear VAE gains {gain:.2g} nats: yours is not the best. A variance or its "
                "root, and over how many directions is the rest of the data spread?"
            )
    found = len(rates(seen, 1.0))
    assert found == 0, f"on the digits no unit pays for itself at sd = 1; you say that {found} do"
### BEGIN HIDDEN TESTS
answer.require()
fitted = em.ProbabilisticPCA(5).fit(fresh)
assert math.isclose(best_sd(fresh, 5) ** 2, float(fitted.noise[0]), rel_tol=1e-6)
# At the best sd all five pay, and so may further units that the model does not have.
model = LinearVAE.optimum(fitted)
with torch.no_grad():
    q = model.encoder(fresh).base_dist
right = kl_divergence(q, Normal(0.0, 1.0)).mean(0).sort(descending=True).values
found = rates(fresh, best_sd(fresh, 5))
assert torch.allclose(found[:5], right, atol=1e-6)
assert torch.equal(found, found.sort(descending=True).values)
variances = torch.linalg.eigvalsh(torch.cov(seen.T, correction=0))
for k in (1, 3, 12):
    middle = float(variances[-k - 1 : 64 - k + 1].mean().sqrt())
    assert rates(seen, middle).shape == (k,)
### END HIDDEN TESTS

# %% [markdown]
# Now mend it (nothing to hand in): with pixels of standard deviation $s$ the loss is
# $\frac{1}{2s^2}\|x - g(z)\|^2 + \mathrm{KL}$ plus a constant, so $\beta = s^2$ in the usual one.
# The rows of images: digits, what the collapsed VAE decodes from their codes, and what the mended
# one does. Whose picture is in the second row, twelve times, and why is it blurred? Nothing was
# changed in the direction of the divergence, nor in the networks.


# %%
try:
    s = best_sd(seen, 8)
    mended = fit_vae(beta=s**2)
    some = fresh[::30]
    rows = [some]
    for name, nets in (("collapsed", collapsed), ("mended", mended)):
        cost = kl_divergence(nets[0](fresh).base_dist, Normal(0.0, 1.0)).mean(0)
        print(
            f"{name:9s}: {int((cost > 0.01).sum())} of 8 units active, {float(cost.sum()):.1f} nats"
        )
        rows.append(nets[1](nets[0](some).mean))
    print(f"linear VAE at s = {s:.3f}: {float(rates(seen, s)[:8].sum()):.1f} nats in eight units")
    plot.images(
        torch.cat(rows).reshape(-1, 8, 8),
        title=f"β = s² = {s**2:.4f}",
        alt="Three rows of twelve images: grey digits; twelve times the same pale smear, the mean "
        "of all digits; and the digits again, a little softer.",
    )
except NotImplementedError:
    print("Comes with exercise 5.8.")
