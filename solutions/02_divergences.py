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
# # Exercises 02: divergences
#
# Eight exercises, 23 points, about three and a half hours. Replace each
# `raise NotImplementedError` and run the check below it. A check answers at once: **right**,
# **not yet, because …**, or **not attempted**. Some checks are repeated with other numbers when
# the notebook is graded.
#
# The chapter: [Divergences](../book/02_divergences.md). Work in float64 and in nats throughout.

# %%
import itertools
import math

import torch
from IPython.display import display
from sklearn.datasets import load_breast_cancer
from torch.distributions import Normal

from genlab import data, divergences, laws, plot
from genlab.course.check import check
from genlab.interact import Knob, sliders

tumours = load_breast_cancer()
values, is_benign = torch.tensor(tumours.data), torch.tensor(tumours.target)
benign, malignant = values[is_benign == 1], values[is_benign == 0]  # [357, 30] and [212, 30]


def seeded(number):
    """A generator of its own for each check."""
    return torch.Generator().manual_seed(number)


def random_laws(*shape, generator):
    """Random probabilities that sum to one over the last axis."""
    p = torch.empty(shape, dtype=torch.float64).exponential_(generator=generator)
    return p / p.sum(-1, keepdim=True)


# %% [markdown]
# ## 2.1 Three ways to one number (2 points, 15 minutes)
#
# Two laws $p$, $q$ on $m$ outcomes. Return three things, each computed in its own way:
#
# 1. half of the area between the two, $\frac12\sum_i|p_i - q_i|$;
# 2. the event $A$ with the largest $P(A) - Q(A)$, without bars, as a mask: `True` where the
#    outcome belongs to $A$ (outcomes with $p_i = q_i$ may be in it or not);
# 3. the least possible sum $P(B) + 1 - Q(B)$ of the two errors of a test, which says "$q$" on
#    the event $B$. *Hint:* choose for each outcome, apart from the others, what to say.
#
# How are 1 and 3 tied?


# %% nbgrader={"grade": false, "grade_id": "three-ways", "locked": false, "schema_version": 3, "solution": true, "task": false}
def total_variation(p, q):
    """Half the area, the best event, and the least sum of errors of a test.

    p, q: probabilities, float64 [m]. Returns a number (0-dim), a mask [m], a number (0-dim).
    """
    ### BEGIN SOLUTION
    # Saying "q" at i errs with p_i, saying "p" with q_i: the test takes the smaller.
    return (p - q).abs().sum() / 2, p > q, torch.minimum(p, q).sum()
    ### END SOLUTION


# %% tags=["wrong-answer"]
# The whole area: twice the distance.
def total_variation(p, q):
    return (p - q).abs().sum(), p > q, torch.minimum(p, q).sum()


# %% tags=["wrong-answer"]
# "The distance is the sum of errors", as on a slide: it is one minus that.
def total_variation(p, q):
    half = (p - q).abs().sum() / 2
    return half, p > q, half


# %% tags=["wrong-answer"]
# Looks at single outcomes only.
def total_variation(p, q):
    event = torch.zeros(len(p), dtype=torch.bool)
    event[(p - q).argmax()] = True
    return (p - q).abs().sum() / 2, event, torch.minimum(p, q).sum()


# %% tags=["wrong-answer"]
# The complement: it has the largest |P(A) − Q(A)| too, but without the bars the smallest.
def total_variation(p, q):
    return (p - q).abs().sum() / 2, p < q, torch.minimum(p, q).sum()


# %% nbgrader={"grade": true, "grade_id": "check-three-ways", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
def by_trying_all(p, q):
    """Largest P(A) − Q(A) and least P(A) + 1 − Q(A) of all events."""
    subsets = torch.tensor(list(itertools.product([False, True], repeat=len(p))))
    gain = subsets.double() @ (p - q)
    return float(gain.max()), float(1 + gain.min())


with check("2.1") as answer:
    p, q = torch.tensor([[0.5, 0.5, 0.0, 0.0], [0.0, 0.5, 0.5, 0.0]], dtype=torch.float64)
    half, event, errors = total_variation(p, q)
    assert abs(float(half) - 0.5) < 1e-12, (
        "(½, ½, 0, 0) and (0, ½, ½, 0) differ by ½ at the first and the third outcome, so the "
        f"distance is 0.5; yours is {float(half):.3f}"
    )
    errors = float(total_variation(p, p)[2])
    assert abs(errors - 1) < 1e-12, (
        "no test tells a law from itself: what one error gains the other loses, and the sum is 1; "
        f"your least sum is {errors:.3f}"
    )
    p, q = torch.tensor([[0.1, 0.3, 0.3, 0.3], [0.7, 0.1, 0.1, 0.1]], dtype=torch.float64)
    event = total_variation(p, q)[1]
    kind = (tuple(event.shape), event.dtype)
    assert kind == ((4,), torch.bool), (
        "the event should be a mask, four times True or False; yours has shape and type "
        f"{kind[0]}, {kind[1]}"
    )
    gain = float((p - q)[event].sum())
    assert abs(gain - 0.6) < 1e-12, (
        "for p = (0.1, 0.3, 0.3, 0.3) and q = (0.7, 0.1, 0.1, 0.1) one of the sixteen events has "
        f"P(A) − Q(A) = 0.6; yours, {event.long().tolist()}, has {gain:.1f}"
    )
    p, q = (torch.histc(x[:, 0], 12, 5, 30) / len(x) for x in (benign, malignant))
    largest, least = by_trying_all(p, q)
    half, event, errors = total_variation(p, q)
    for what, found, right in (
        ("half of the area", half, largest),
        ("P(A) − Q(A) of your event", (p - q)[event].sum(), largest),
        ("the least sum of errors", errors, least),
    ):
        assert abs(float(found) - right) < 1e-12, (
            "for the radii of benign and malignant tumours, in 12 bins, all 4,096 events give "
            f"{right:.4f} for {what}; yours is {float(found):.4f}"
        )
### BEGIN HIDDEN TESTS
answer.require()
p, q = random_laws(2, 10, generator=seeded(1))
p[3] = q[4] = 0.0
p, q = p / p.sum(), q / q.sum()
largest, least = by_trying_all(p, q)
half, event, errors = total_variation(p, q)
assert abs(float(half) - largest) < 1e-12
assert abs(float((p - q)[event].sum()) - largest) < 1e-12
assert abs(float(errors) - least) < 1e-12
### END HIDDEN TESTS

# %% [markdown]
# ## 2.2 Signs and zeros (3 points, 25 minutes)
#
# Write $\mathrm{KL}(p\,\|\,q)$ of laws on a finite set. An outcome with $p_i = 0$ adds nothing,
# whatever $q_i$ is. An outcome with $p_i > 0 = q_i$ makes the divergence $+\infty$, however small
# $p_i$ is. The result is never NaN, and no constant such as $10^{-12}$ is needed. *Hint:* what are
# `torch.xlogy(0, 0)` and `torch.xlogy(0.3, 0)`? Remember too that knowing the truth makes the
# mean surprise smaller: $\mathrm{KL} = H(p, q) - H(p)$.


# %% nbgrader={"grade": false, "grade_id": "signs-and-zeros", "locked": false, "schema_version": 3, "solution": true, "task": false}
def kl(p, q):
    """KL(p‖q) in nats.

    p, q: probabilities, float64 [..., m], over the last axis. Returns [...], possibly +inf.
    """
    ### BEGIN SOLUTION
    return (torch.xlogy(p, p) - torch.xlogy(p, q)).sum(-1)
    ### END SOLUTION


# %% tags=["wrong-answer"]
# As printed in the lectures: H(p) + H(p, q) with H(p, q) = E_p log q, which is -KL.
def kl(p, q):
    return -torch.xlogy(p, p).sum(-1) + torch.xlogy(p, q).sum(-1)


# %% tags=["wrong-answer"]
# Also printed: "H − E log" with the entropy where minus the entropy belongs.
def kl(p, q):
    return -torch.xlogy(p, p).sum(-1) - torch.xlogy(p, q).sum(-1)


# %% tags=["wrong-answer"]
# 0 log 0 is not a number.
def kl(p, q):
    return (p * (p / q).log()).sum(-1)


# %% tags=["wrong-answer"]
# A small constant hides the infinity.
def kl(p, q):
    return (p * ((p + 1e-12) / (q + 1e-12)).log()).sum(-1)


# %% tags=["wrong-answer"]
# Outcomes that q rules out are left out, instead of being the end of it.
def kl(p, q):
    both = (p > 0) & (q > 0)
    return torch.where(both, p * (p / q).log(), 0.0).sum(-1)


# %% tags=["wrong-answer"]
# The arguments the other way round.
def kl(p, q):
    return (torch.xlogy(q, q) - torch.xlogy(q, p)).sum(-1)


# %% nbgrader={"grade": true, "grade_id": "check-signs-and-zeros", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
with check("2.2") as answer:
    even, skew = torch.tensor([[0.5, 0.5], [0.25, 0.75]], dtype=torch.float64)
    found = float(kl(even, even))
    assert abs(found) < 1e-12, (
        "a belief that is right costs nothing, KL(p‖p) = 0; for p = (½, ½) yours is "
        f"{found:.4f}: which of the two means should be taken away from the other?"
    )
    found, right = float(kl(even, skew)), 0.5 * math.log(4 / 3)
    why = ""
    if abs(found + right) < 1e-9:
        why = "; the size is right: which is larger, H(p, q) or H(p)?"
    elif abs(found - (0.25 * math.log(0.5) + 0.75 * math.log(1.5))) < 1e-9:
        why = "; that is KL(q‖p): the mean is taken under the first law"
    assert abs(found - right) < 1e-9, (
        f"KL of (½, ½) from (¼, ¾) is ½ ln(4/3) = {right:.4f} nats; yours is {found:.4f}{why}"
    )
    certain, never = torch.tensor([[1.0, 0.0], [0.0, 1.0]], dtype=torch.float64)
    found = float(kl(certain, even))
    assert abs(found - math.log(2)) < 1e-12, (
        "who believes in a fair coin is surprised by heads by ln 2 = 0.6931 nats; for p = (1, 0) "
        f"and q = (½, ½) yours is {found:.4f}: an outcome that p never visits counts zero"
    )
    rare = torch.tensor([1 - 1e-9, 1e-9], dtype=torch.float64)
    for p in (never, even, rare):
        found = float(kl(p, certain))
        assert found == math.inf, (
            "q = (1, 0) rules out the second outcome, which p visits with probability "
            f"{float(p[1]):.3g}: the divergence is inf, yours is {found:.4g}"
        )
    A, C = (torch.bincount(x, minlength=9).double() / 20 for x in (data.LIST_A, data.LIST_C))
    found = float(kl(A, C))
    assert math.isfinite(found), (
        f"list C has all values that list A has, so KL(A‖C) is finite; yours is {found}. Many "
        "values are in neither list"
    )
    many = random_laws(2, 3, 4, generator=seeded(2))
    assert kl(*many).shape == (3,), (
        f"three laws on four outcomes, [3, 4], have three divergences; yours has shape "
        f"{tuple(kl(*many).shape)}"
    )
    laws.is_divergence(kl, generator=seeded(3))
### BEGIN HIDDEN TESTS
answer.require()
p, q = random_laws(2, 50, 6, generator=seeded(4))
q[::5, 2] = 0.0
p[::2, 2] = 0.0
p[1::7, 1] = 0.0
p, q = p / p.sum(-1, keepdim=True), q / q.sum(-1, keepdim=True)
assert torch.allclose(kl(p, q), divergences.kl(p, q), rtol=1e-9)
### END HIDDEN TESTS

# %% [markdown]
# ## 2.3 The best normal law (3 points, 30 minutes)
#
# Write two functions for laws on the line.
#
# - `kl_normal`: the closed form of $\mathrm{KL}\bigl(N(\mu_p, \sigma_p^2)\,\|\,N(\mu_q,
#   \sigma_q^2)\bigr)$. Derive it: $\log\frac{p(x)}{q(x)}$ is a quadratic polynomial in $x$, and
#   you know $\mathrm{E}_p(x - \mu_p)^2$ and $\mathrm{E}_p(x - \mu_q)^2$.
# - `forward_fit`: mean and standard deviation of the normal law $g$ that is closest, in forward
#   KL, to the mixture $p = \sum_k w_k N(\mu_k, \sigma_k^2)$. By theorem it has the moments of $p$.
#
# The check needs both: $\mathrm{KL}(p\,\|\,q) = \mathrm{KL}(p\,\|\,g) + \mathrm{KL}(g\,\|\,q)$
# for every normal $q$.


# %% nbgrader={"grade": false, "grade_id": "best-normal-law", "locked": false, "schema_version": 3, "solution": true, "task": false}
def kl_normal(mean_p, sd_p, mean_q, sd_q):
    """KL(p‖q) in nats of two normal laws on the line; all arguments float64 tensors, 0-dim."""
    ### BEGIN SOLUTION
    square = (sd_p**2 + (mean_p - mean_q) ** 2) / sd_q**2  # E_p of ((x - mean_q) / sd_q)²
    return (square - 1) / 2 + (sd_q / sd_p).log()
    ### END SOLUTION


def forward_fit(weights, means, sds):
    """Mean and standard deviation (0-dim) of the normal law closest to a mixture in forward KL.

    weights: sum to one, [k]; means, sds: of the components, [k]; float64.
    """
    ### BEGIN SOLUTION
    mean = weights @ means
    second = weights @ (sds**2 + means**2)
    return mean, (second - mean**2).sqrt()
    ### END SOLUTION


# %% tags=["wrong-answer"]
# The ratio of the standard deviations upside down.
def kl_normal(mean_p, sd_p, mean_q, sd_q):
    square = (sd_p**2 + (mean_p - mean_q) ** 2) / sd_q**2
    return (square - 1) / 2 + (sd_p / sd_q).log()


def forward_fit(weights, means, sds):
    mean = weights @ means
    return mean, (weights @ (sds**2 + means**2) - mean**2).sqrt()


# %% tags=["wrong-answer"]
# The shift in units of the wrong law.
def kl_normal(mean_p, sd_p, mean_q, sd_q):
    shift = (mean_p - mean_q) ** 2 / sd_p**2
    return (sd_p**2 / sd_q**2 + shift - 1) / 2 + (sd_q / sd_p).log()


def forward_fit(weights, means, sds):
    mean = weights @ means
    return mean, (weights @ (sds**2 + means**2) - mean**2).sqrt()


# %% tags=["wrong-answer"]
# The mean of the variances: the spread of the means is forgotten.
def kl_normal(mean_p, sd_p, mean_q, sd_q):
    square = (sd_p**2 + (mean_p - mean_q) ** 2) / sd_q**2
    return (square - 1) / 2 + (sd_q / sd_p).log()


def forward_fit(weights, means, sds):
    return weights @ means, (weights @ sds**2).sqrt()


# %% tags=["wrong-answer"]
# The variance where the standard deviation is asked for.
def kl_normal(mean_p, sd_p, mean_q, sd_q):
    square = (sd_p**2 + (mean_p - mean_q) ** 2) / sd_q**2
    return (square - 1) / 2 + (sd_q / sd_p).log()


def forward_fit(weights, means, sds):
    mean = weights @ means
    return mean, weights @ (sds**2 + means**2) - mean**2


# %% nbgrader={"grade": true, "grade_id": "check-best-normal-law", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def by_quadrature(log_p, log_q):
    """KL(p‖q) on a fine grid, for two functions that give log-densities."""
    t = torch.linspace(-40, 40, 40_001, dtype=torch.float64)
    return float((log_p(t).exp() * (log_p(t) - log_q(t))).sum()) * 80 / 40_000


def mixture(weights, means, sds):
    """The log-density of a mixture of normal laws."""
    return lambda t: (Normal(means, sds).log_prob(t[:, None]) + weights.log()).logsumexp(1)


with check("2.3") as answer:
    for case, hint in (
        ((0, 1, 0, 2), "look at the terms without the means"),
        ((0, 1, 0, 0.5), "look at the terms without the means"),
        ((1, 2, 0, 2), "the shift counts in units of a standard deviation"),
        ((1, 2, 0, 1), "the shift counts in units of which of the two laws?"),
    ):
        m, s, n, r = torch.tensor(case, dtype=torch.float64)
        found = float(kl_normal(m, s, n, r))
        right = by_quadrature(Normal(m, s).log_prob, Normal(n, r).log_prob)
        assert abs(found - right) < 1e-6, (
            f"KL of a normal law with mean {case[0]} and standard deviation {case[1]} from one "
            f"with {case[2]} and {case[3]} is {right:.4f} by quadrature; yours is {found:.4f}: "
            f"{hint}"
        )
    w, m, s = torch.tensor([[0.5, 0.5], [-3, 3], [1, 1]], dtype=torch.float64)
    mean, sd = (float(v) for v in forward_fit(w, m, s))
    assert max(abs(mean), abs(sd - math.sqrt(10))) < 1e-9, (
        "of two hills of width 1 at -3 and 3 the mean is 0 and the standard deviation √10 = 3.162; "
        f"yours are {mean:.3f} and {sd:.3f}. How far from 0 is a typical draw?"
    )
    radii = [benign[:, 0], malignant[:, 0]]
    w = torch.tensor([len(x) for x in radii]).double() / len(values)
    moments = [
        torch.stack([f(x) for x in radii]) for f in (torch.mean, lambda x: x.std(correction=0))
    ]
    mean, sd = (float(v) for v in forward_fit(w, *moments))
    right = float(values[:, 0].mean()), float(values[:, 0].std(correction=0))
    assert max(abs(mean - right[0]), abs(sd - right[1])) < 1e-9, (
        "both groups of tumours together have radii of mean and standard deviation "
        f"{right[0]:.3f} and {right[1]:.3f}; made from the two groups yours are {mean:.3f} and "
        f"{sd:.3f}"
    )
    w, m, s = torch.tensor([[0.3, 0.7], [-2, 1], [0.5, 1.5]], dtype=torch.float64)
    log_p = mixture(w, m, s)
    g = [torch.as_tensor(v, dtype=torch.float64) for v in forward_fit(w, m, s)]
    for n, r in torch.tensor([[0, 1], [2, 3], [-1, 1.2]], dtype=torch.float64):
        q = Normal(n, r).log_prob
        left = by_quadrature(log_p, q)
        right = by_quadrature(log_p, Normal(*g).log_prob) + float(kl_normal(*g, n, r))
        assert abs(left - right) < 1e-6, (
            f"KL(p‖q) = {left:.4f} should be KL(p‖g) + KL(g‖q), which with your two functions is "
            f"{right:.4f}"
        )
### BEGIN HIDDEN TESTS
answer.require()
g = seeded(5)
means, sds = torch.randn(2, 20, dtype=torch.float64, generator=g)
sds = sds.abs() + 0.1
for i in range(0, 20, 2):
    right = divergences.kl(Normal(means[i], sds[i]), Normal(means[i + 1], sds[i + 1]))
    found = kl_normal(means[i], sds[i], means[i + 1], sds[i + 1])
    assert abs(float(found) / float(right) - 1) < 1e-8
w = random_laws(5, generator=g)
t = torch.linspace(-20, 20, 40_001, dtype=torch.float64)
p = mixture(w, means[:5], sds[:5])(t).exp() / 1000
mean, sd = forward_fit(w, means[:5], sds[:5])
assert abs(float(mean - p @ t)) < 1e-6
assert abs(float(sd**2 - p @ (t - mean) ** 2)) < 1e-6
### END HIDDEN TESTS

# %% [markdown]
# ## 2.4 Down the reverse divergence (4 points, 40 minutes)
#
# The model is $q = N(\mu, \sigma^2)$. Its parameters are $\mu$ and $\lambda = \log\sigma$, so that
# a step cannot make $\sigma$ negative. The truth is given by $\log p$ at the points
# $t_1 < \dots < t_m$ of a grid with equal gaps. Write the derivatives
#
# $$\frac{\partial}{\partial\mu}\,\mathrm{KL}(q\,\|\,p), \qquad
#   \frac{\partial}{\partial\lambda}\,\mathrm{KL}(q\,\|\,p)$$
#
# from the chapter's formula $\mathrm{E}_q\bigl[\nabla\log q\,\log\frac qp\bigr]$, with the sum
# over the grid, $\sum_j q(t_j)\,(\dots)\,(t_2 - t_1)$, for the mean under $q$. Do it by hand, not
# by automatic differentiation. *Hint:* write $z = (t - \mu)/\sigma$; then
# $\log q = -\tfrac12z^2 - \lambda - \tfrac12\log 2\pi$. What are the derivatives of $z$ in $\mu$
# and in $\lambda$?


# %% nbgrader={"grade": false, "grade_id": "reverse-gradient", "locked": false, "schema_version": 3, "solution": true, "task": false}
def reverse_gradient(log_p, t, mean, log_sd):
    """Derivatives of KL(q‖p) in mean and log_sd of a normal q; float64 [2].

    log_p: log-density of the truth at t, up to a constant, [m]; t: equally spaced points that
    cover q, [m]; mean, log_sd: 0-dim tensors.
    """
    ### BEGIN SOLUTION
    sd = log_sd.exp()
    z = (t - mean) / sd
    log_q = -(z**2) / 2 - log_sd - math.log(2 * math.pi) / 2
    value = log_q.exp() * (t[1] - t[0]) * (log_q - log_p)
    return torch.stack([(value * z / sd).sum(), (value * (z**2 - 1)).sum()])
    ### END SOLUTION


# %% tags=["wrong-answer"]
# The gradient pulled into the mean past its law: E_q[∇ log q] is zero, whatever p is.
def reverse_gradient(log_p, t, mean, log_sd):
    sd = log_sd.exp()
    z = (t - mean) / sd
    q = Normal(mean, sd).log_prob(t).exp() * (t[1] - t[0])
    return torch.stack([(q * z / sd).sum(), (q * (z**2 - 1)).sum()])


# %% tags=["wrong-answer"]
# Weights with ∇q where ∇log q belongs: the density is counted twice.
def reverse_gradient(log_p, t, mean, log_sd):
    sd = log_sd.exp()
    z = (t - mean) / sd
    log_q = Normal(mean, sd).log_prob(t)
    value = (2 * log_q).exp() * (t[1] - t[0]) * (log_q - log_p)
    return torch.stack([(value * z / sd).sum(), (value * (z**2 - 1)).sum()])


# %% tags=["wrong-answer"]
# The derivative in sd, where that in log sd is asked for.
def reverse_gradient(log_p, t, mean, log_sd):
    sd = log_sd.exp()
    z = (t - mean) / sd
    log_q = Normal(mean, sd).log_prob(t)
    value = log_q.exp() * (t[1] - t[0]) * (log_q - log_p)
    return torch.stack([(value * z / sd).sum(), (value * (z**2 - 1) / sd).sum()])


# %% tags=["wrong-answer"]
# The fit without the entropy: such a descent shrinks q to a point.
def reverse_gradient(log_p, t, mean, log_sd):
    sd = log_sd.exp()
    z = (t - mean) / sd
    value = Normal(mean, sd).log_prob(t).exp() * (t[1] - t[0]) * -log_p
    return torch.stack([(value * z / sd).sum(), (value * (z**2 - 1)).sum()])


# %% tags=["wrong-answer"]
# The sum without the gap of the grid.
def reverse_gradient(log_p, t, mean, log_sd):
    sd = log_sd.exp()
    z = (t - mean) / sd
    log_q = Normal(mean, sd).log_prob(t)
    value = log_q.exp() * (log_q - log_p)
    return torch.stack([(value * z / sd).sum(), (value * (z**2 - 1)).sum()])


# %% tags=["wrong-answer"]
# log p − log q: uphill.
def reverse_gradient(log_p, t, mean, log_sd):
    sd = log_sd.exp()
    z = (t - mean) / sd
    log_q = Normal(mean, sd).log_prob(t)
    value = log_q.exp() * (t[1] - t[0]) * (log_p - log_q)
    return torch.stack([(value * z / sd).sum(), (value * (z**2 - 1)).sum()])


# %% nbgrader={"grade": true, "grade_id": "check-reverse-gradient", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def reverse_kl(log_p, t, mean, log_sd):
    """KL(q‖p) on the grid."""
    log_q = Normal(mean, log_sd.exp()).log_prob(t)
    return float((log_q.exp() * (log_q - log_p)).sum() * (t[1] - t[0]))


def by_differences(log_p, t, mean, log_sd, h=1e-5):
    """Both derivatives of reverse_kl, from two values each."""
    sides = [
        (reverse_kl(log_p, t, mean + h, log_sd), reverse_kl(log_p, t, mean - h, log_sd)),
        (reverse_kl(log_p, t, mean, log_sd + h), reverse_kl(log_p, t, mean, log_sd - h)),
    ]
    return [(above - below) / (2 * h) for above, below in sides]


with check("2.4") as answer:
    t = torch.linspace(-20, 20, 2001, dtype=torch.float64)
    log_p = torch.logaddexp(
        math.log(0.3) + Normal(-2.0, 0.7).log_prob(t), math.log(0.7) + Normal(2.0, 1.0).log_prob(t)
    )
    for place in ((1.0, 0.7), (-2.5, -0.4), (0.0, 0.0)):
        m, s = torch.tensor(place, dtype=torch.float64)
        found = torch.as_tensor(reverse_gradient(log_p, t, m, s))
        assert found.shape == (2,), f"two derivatives, [2]; yours has shape {tuple(found.shape)}"
        found, right = found.tolist(), by_differences(log_p, t, m, s)
        good = [abs(a - b) < 1e-6 for a, b in zip(found, right, strict=True)]
        hint = ". Is it a mean under q, with weights that sum to one?"
        if max(map(abs, found)) < 1e-6:
            hint = ". Yours is zero: is log(q/p) in it?"
        elif max(abs(a + b) for a, b in zip(found, right, strict=True)) < 1e-6:
            hint = ". Yours has the opposite sign"
        elif good[0]:
            hint = (
                ". The first is right; is the second taken in log σ, and is nothing of q missing?"
            )
        assert all(good), (
            f"at mean {place[0]} and log sd {place[1]} the differences of KL(q‖p) give "
            f"({right[0]:.4f}, {right[1]:.4f}), your formula ({found[0]:.4f}, {found[1]:.4f}){hint}"
        )
    shifted = reverse_gradient(log_p + 3.0, t, m, s).tolist()
    assert max(abs(a - b) for a, b in zip(shifted, right, strict=True)) < 1e-6, (
        "p need not be normalised: a constant added to log p should change nothing, yours becomes "
        f"({shifted[0]:.4f}, {shifted[1]:.4f})"
    )
### BEGIN HIDDEN TESTS
answer.require()
t = torch.linspace(-30, 30, 2401, dtype=torch.float64)
log_p = torch.distributions.StudentT(3.0).log_prob(t)
for place in ((0.0, 1.0), (4.0, 0.3)):
    m, s = torch.tensor(place, dtype=torch.float64).requires_grad_()
    log_q = Normal(m, s.exp()).log_prob(t)
    loss = (log_q.exp() * (log_q - log_p)).sum() * (t[1] - t[0])
    right = torch.stack(torch.autograd.grad(loss, [m, s]))
    assert torch.allclose(reverse_gradient(log_p, t, m.detach(), s.detach()), right, atol=1e-8)
### END HIDDEN TESTS

# %% [markdown]
# Now descend with it (nothing to hand in). The truth has two hills, at $-m$ and $m$; $q$ starts as
# a normal law of standard deviation 1 at `start`. Does the end depend on the start? At which $m$
# does it begin to? Which ends are better than $\ln 2 \approx 0.69$?


# %%
def show_descent(m, start):
    t = torch.linspace(-12, 12, 961, dtype=torch.float64)
    log_p = torch.logaddexp(Normal(-m, 1.0).log_prob(t), Normal(m, 1.0).log_prob(t)) - math.log(2)
    place = torch.tensor([start, 0.0], dtype=torch.float64)
    for _ in range(600):
        place = place - 0.1 * reverse_gradient(log_p, t, *place)
    log_q = Normal(place[0], place[1].exp()).log_prob(t)
    value = float((log_q.exp() * (log_q - log_p)).sum() * 0.025)
    with plot.figure(
        x="x",
        y="density",
        title=f"m = {m:.1f}, start at {start:.1f}: KL(q‖p) = {value:.2f} nats",
        height=2.8,
        alt="A truth p with two hills, and the normal law q at which the descent ends: over both "
        "hills if they are close; if they are far apart, on one of them or between, as it started.",
    ) as ax:
        ax.plot(t, log_p.exp(), color=plot.COLORS["truth"], label="truth p")
        ax.plot(t, log_q.exp(), color=plot.COLORS["approx"], label="end of the descent")
        ax.set_xlim(-7, 7)
        ax.legend()


try:
    panel = sliders(show_descent, m=Knob(0.0, 4.0, start=2.6), start=Knob(-5.0, 5.0, start=1.0))
except NotImplementedError:
    print("Comes with exercise 2.4.")
else:
    display(panel)

# %% [markdown]
# ## 2.5 A metric from a divergence (2 points, 20 minutes)
#
# Models give logarithms of probabilities. Write the Jensen–Shannon *distance*
# $\sqrt{\mathrm{JS}(p, q)}$ from them; an entry may be $-\infty$. Take care of three things. The
# mixture $\frac12(p + q)$ is a mean of probabilities; `torch.logaddexp` adds them from their
# logarithms. An outcome that a law rules out counts zero. And for equal laws rounding may leave
# $-10^{-17}$ under the root. The check tries the triangle inequality.


# %% nbgrader={"grade": false, "grade_id": "js-distance", "locked": false, "schema_version": 3, "solution": true, "task": false}
def js_distance(log_p, log_q):
    """√JS(p, q), JS in nats.

    log_p, log_q: logarithms of probabilities, possibly -inf, float64 [..., m]. Returns [...].
    """
    ### BEGIN SOLUTION
    log_m = torch.logaddexp(log_p, log_q) - math.log(2)

    def kl_to_mixture(log_a):
        return torch.where(log_a > -math.inf, log_a.exp() * (log_a - log_m), 0.0).sum(-1)

    js = (kl_to_mixture(log_p) + kl_to_mixture(log_q)) / 2
    return js.clamp_min(0).sqrt()
    ### END SOLUTION


# %% tags=["wrong-answer"]
# JS itself: symmetric and bounded, but no metric.
def js_distance(log_p, log_q):
    log_m = torch.logaddexp(log_p, log_q) - math.log(2)
    parts = [torch.where(a > -math.inf, a.exp() * (a - log_m), 0.0).sum(-1) for a in (log_p, log_q)]
    return (parts[0] + parts[1]) / 2


# %% tags=["wrong-answer"]
# The mean of the logarithms: its exponential sums to less than one, and denies what either denies.
def js_distance(log_p, log_q):
    log_m = (log_p + log_q) / 2
    parts = [torch.where(a > -math.inf, a.exp() * (a - log_m), 0.0).sum(-1) for a in (log_p, log_q)]
    return ((parts[0] + parts[1]) / 2).clamp_min(0).sqrt()


# %% tags=["wrong-answer"]
# Zero times minus infinity is not a number.
def js_distance(log_p, log_q):
    log_m = torch.logaddexp(log_p, log_q) - math.log(2)
    parts = [(a.exp() * (a - log_m)).sum(-1) for a in (log_p, log_q)]
    return ((parts[0] + parts[1]) / 2).clamp_min(0).sqrt()


# %% tags=["wrong-answer"]
# The sum p + q is not halved: no law, and the result negative.
def js_distance(log_p, log_q):
    log_m = torch.logaddexp(log_p, log_q)
    parts = [torch.where(a > -math.inf, a.exp() * (a - log_m), 0.0).sum(-1) for a in (log_p, log_q)]
    return ((parts[0] + parts[1]) / 2).clamp_min(0).sqrt()


# %% tags=["wrong-answer"]
# The root of a rounding error below zero.
def js_distance(log_p, log_q):
    log_m = torch.logaddexp(log_p, log_q) - math.log(2)
    parts = [torch.where(a > -math.inf, a.exp() * (a - log_m), 0.0).sum(-1) for a in (log_p, log_q)]
    return ((parts[0] + parts[1]) / 2).sqrt()


# %% nbgrader={"grade": true, "grade_id": "check-js-distance", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
with check("2.5") as answer:
    one, other, mixed = torch.tensor([[1, 0], [0, 1], [0.5, 0.5]], dtype=torch.float64).log()
    direct = float(js_distance(one, other))
    detour = float(js_distance(one, mixed)) + float(js_distance(mixed, other))
    assert math.isfinite(direct), (
        f"from (1, 0) to (0, 1), with logarithms -inf, yours is {direct}: the mixture (½, ½) rules "
        "nothing out, and what a law rules out counts zero"
    )
    assert direct <= detour + 1e-12, (
        f"the way from (1, 0) to (0, 1) is {direct:.4f} by your function, and shorter by way of "
        f"(½, ½): {detour:.4f}. Which function of JS is a metric?"
    )
    assert abs(direct - math.sqrt(math.log(2))) < 1e-12, (
        "laws that exclude each other have the largest JS, ln 2, and the distance "
        f"√ln 2 = {math.sqrt(math.log(2)):.4f}; yours is {direct:.4f}. Does your mixture sum to one?"
    )
    p, q, r = random_laws(3, 20_000, 5, generator=seeded(6)).log()
    same = js_distance(p, p)
    assert same.shape == (20_000,), f"20,000 pairs gave a result of shape {tuple(same.shape)}"
    wrong = ~(same.abs() < 1e-7)
    assert not wrong.any(), (
        f"from a law to itself the distance is 0; for {int(wrong.sum())} of 20,000 laws yours is "
        f"not, but for instance {float(same[wrong][0])}"
    )
    excess = float((js_distance(p, r) - js_distance(p, q) - js_distance(q, r)).max())
    assert excess < 1e-12, f"of 20,000 triangles one has a side too long by {excess:.4f}"
    difference = float((js_distance(p, q) - js_distance(q, p)).abs().max())
    assert difference < 1e-12, f"there and back differ by up to {difference:.4f}"
    right = divergences.js(p.exp(), q.exp()).sqrt()
    worst = int((js_distance(p, q) - right).abs().argmax())
    assert abs(float(js_distance(p, q)[worst] - right[worst])) < 1e-9, (
        f"between p = {[round(v, 3) for v in p[worst].exp().tolist()]} and "
        f"q = {[round(v, 3) for v in q[worst].exp().tolist()]} the distance is "
        f"{float(right[worst]):.4f}, yours is {float(js_distance(p, q)[worst]):.4f}"
    )
### BEGIN HIDDEN TESTS
answer.require()
p, q = random_laws(2, 100, 6, generator=seeded(7))
p[::3, 1] = q[::4, 2] = 0.0
p[::5, 4] = q[::5, 4] = 0.0
p, q = p / p.sum(-1, keepdim=True), q / q.sum(-1, keepdim=True)
assert torch.allclose(js_distance(p.log(), q.log()), divergences.js(p, q).sqrt(), atol=1e-8)
### END HIDDEN TESTS

# %% [markdown]
# ## 2.6 A critic (3 points, 30 minutes)
#
# For $\mathrm{KL}(p\,\|\,q)$ the convex function is $f(t) = t\ln t$. Derive its conjugate
# $f^*(u) = \sup_{t > 0}(tu - t\ln t)$ with pencil and paper: where is the derivative in $t$ zero,
# and what is the value there? Then write
#
# - `kl_bound`: the variational bound $\mathrm{E}_pT - \mathrm{E}_qf^*(T)$ from the values of a
#   critic at a sample of each law;
# - `best_critic`: the values of the critic with which the bound is as high as it can be, from
#   $\log\frac{p(x)}{q(x)}$.


# %% nbgrader={"grade": false, "grade_id": "critic", "locked": false, "schema_version": 3, "solution": true, "task": false}
def kl_bound(critic_p, critic_q):
    """Lower bound of KL(p‖q), a number (0-dim).

    critic_p: T at draws of p, [n]; critic_q: T at draws of q, [m]; float64.
    """
    ### BEGIN SOLUTION
    # u = ln t + 1 at the top, so t = exp(u - 1), and the value there is t itself.
    return critic_p.mean() - (critic_q - 1).exp().mean()
    ### END SOLUTION


def best_critic(log_ratio):
    """T at points where log p/q is log_ratio, [n]; float64 [n]."""
    ### BEGIN SOLUTION
    return 1 + log_ratio  # f'(t) = 1 + ln t
    ### END SOLUTION


# %% tags=["wrong-answer"]
# f in the place of its conjugate.
def kl_bound(critic_p, critic_q):
    return critic_p.mean() - torch.xlogy(critic_q, critic_q.abs()).mean()


def best_critic(log_ratio):
    return 1 + log_ratio


# %% tags=["wrong-answer"]
# Both means under p.
def kl_bound(critic_p, critic_q):
    return critic_p.mean() - (critic_p - 1).exp().mean()


def best_critic(log_ratio):
    return 1 + log_ratio


# %% tags=["wrong-answer"]
# The mean inside: f* of the mean is less than the mean of f*, and the bound breaks.
def kl_bound(critic_p, critic_q):
    return critic_p.mean() - (critic_q.mean() - 1).exp()


def best_critic(log_ratio):
    return 1 + log_ratio


# %% tags=["wrong-answer"]
# exp(u): the term t of tu − t ln t is lost.
def kl_bound(critic_p, critic_q):
    return critic_p.mean() - critic_q.exp().mean()


def best_critic(log_ratio):
    return log_ratio


# %% tags=["wrong-answer"]
# The log-ratio itself: the derivative of t ln t has two terms.
def kl_bound(critic_p, critic_q):
    return critic_p.mean() - (critic_q - 1).exp().mean()


def best_critic(log_ratio):
    return log_ratio


# %% nbgrader={"grade": true, "grade_id": "check-critic", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
with check("2.6") as answer:
    # Samples in which every outcome has exactly its share, so that the means are exact.
    shares_p, shares_q = torch.tensor([[1, 4, 8, 3], [6, 2, 4, 4]])
    x_p, x_q = (torch.arange(4).repeat_interleave(n) for n in (shares_p, shares_q))
    log_ratio = (shares_p.double() / shares_q).log()
    truth = float((shares_p / 16).double() @ log_ratio)
    ratios = torch.linspace(0, 9, 90_001, dtype=torch.float64)[:, None]

    def by_search(T):
        """f* at each value of T, the largest of 90,001 values of tu − t ln t."""
        return (ratios * T - torch.xlogy(ratios, ratios)).max(0).values

    for value in (-1.0, 0.0, 2.0):
        same = torch.full((9,), value, dtype=torch.float64)
        found, right = float(kl_bound(same, same)), value - float(by_search(same)[0])
        assert abs(found - right) < 1e-6, (
            f"a critic that says {value:.0f} everywhere knows nothing; its bound is "
            f"{value:.0f} − f*({value:.0f}) = {right:.4f}, by the largest of 90,001 values of "
            f"tu − t ln t; yours is {found:.4f}"
        )
    critics = 2 * torch.randn(1000, 4, dtype=torch.float64, generator=seeded(8))
    bounds = torch.stack([torch.as_tensor(kl_bound(T[x_p], T[x_q])) for T in critics])
    assert bounds.max() <= truth, (
        f"KL(p‖q) is {truth:.4f}, and one of 1,000 random critics makes your bound "
        f"{float(bounds.max()):.4f}: in which order are f* and the mean taken?"
    )
    T = torch.tensor([-1.0, 0.5, 2.0, 1.0], dtype=torch.float64)
    found = float(kl_bound(T[x_p], T[x_q]))
    right = float(T[x_p].mean() - by_search(T)[x_q].mean())
    assert abs(found - right) < 1e-6, (
        f"for the critic that says {T.tolist()} at the four outcomes, of which p has 1, 4, 8, 3 "
        f"and q has 6, 2, 4, 4 sixteenths, the bound is {right:.4f}, yours is {found:.4f}: under "
        "which law is each mean?"
    )
    critic = best_critic(log_ratio)
    found = float(kl_bound(critic[x_p], critic[x_q]))
    nudges = 0.05 * torch.randn(100, 4, dtype=torch.float64, generator=seeded(9))
    near = max(float(kl_bound(T[x_p], T[x_q])) for T in critic + nudges)
    assert near <= found, (
        f"your best critic reaches {found:.4f}, and a critic next to it {near:.4f}; it is the "
        "slope f' at the ratio"
    )
    assert abs(found - truth) < 1e-9, (
        f"with the best critic the bound should be KL(p‖q) = {truth:.4f}, yours is {found:.4f}"
    )
### BEGIN HIDDEN TESTS
answer.require()
g = seeded(10)
log_ratio = torch.randn(50, dtype=torch.float64, generator=g)
right = divergences.F_DIVERGENCES["kl"].slope(log_ratio.exp())
assert torch.allclose(best_critic(log_ratio), right)
for n, m in ((5, 5), (40, 7)):
    a, b = (torch.randn(k, dtype=torch.float64, generator=g) for k in (n, m))
    right = divergences.variational_bound("kl", a, b)
    assert abs(float(kl_bound(a, b)) - float(right)) < 1e-9
### END HIDDEN TESTS

# %% [markdown]
# What does a poor critic cost? For $p = N(0, 1)$ and $q = N(1, 1)$, multiply the log-ratio by a
# strength before it goes into the best critic. At which strength is the bound flat? What is lost
# at one half? And which error is worse, to be half as sure as one should be, or half as much
# again?


# %%
def show_strength():
    normal = torch.special.ndtri((torch.arange(4000).double() + 0.5) / 4000)  # even quantiles
    strength = torch.linspace(0, 2, 81, dtype=torch.float64)
    bounds = [
        kl_bound(best_critic(s * (0.5 - normal)), best_critic(s * (-0.5 - normal)))
        for s in strength
    ]
    plot.curve(
        strength,
        torch.stack(bounds),
        x="strength of the critic",
        y="bound (nats)",
        height=2.6,
        alt="The bound as a function of the critic's strength: 0 at strength 0, 0.5 and flat at "
        "strength 1, and falling ever faster beyond.",
    )


try:
    show_strength()
except NotImplementedError:
    print("Comes with exercise 2.6.")

# %% [markdown]
# ## 2.7 Earth on a line (3 points, 25 minutes)
#
# Write $W_1$ between two samples on the line, of sizes that may differ. For equal sizes one sorts
# both and pairs them off; for others use $W_1 = \int|\hat F - \hat G|\,dx$ with the two empirical
# distribution functions. They are constant between neighbouring observations, so the integral is
# a sum. *Hint:* sort both samples together; `torch.searchsorted(ordered, z, right=True)` counts
# how many of `ordered` are at most $z$, in whole numbers, of which torch makes float32 when it
# divides: call `.double()` first.


# %% nbgrader={"grade": false, "grade_id": "earth-on-a-line", "locked": false, "schema_version": 3, "solution": true, "task": false}
def wasserstein(x, y):
    """W₁ between the empirical laws of x [n] and y [m], float64; a number (0-dim)."""
    ### BEGIN SOLUTION
    z = torch.cat([x, y]).sort().values
    counts = [torch.searchsorted(s.sort().values, z[:-1], right=True).double() for s in (x, y)]
    return ((counts[0] / len(x) - counts[1] / len(y)).abs() * z.diff()).sum()
    ### END SOLUTION


# %% tags=["wrong-answer"]
# Pairs the observations as they come.
def wasserstein(x, y):
    n = min(len(x), len(y))
    return (x[:n] - y[:n]).abs().mean()


# %% tags=["wrong-answer"]
# Sorts, but leaves the largest of the longer sample out.
def wasserstein(x, y):
    n = min(len(x), len(y))
    return (x.sort().values[:n] - y.sort().values[:n]).abs().mean()


# %% tags=["wrong-answer"]
# The mean of all differences: the plan that mixes everything, not the cheapest.
def wasserstein(x, y):
    return (x[:, None] - y).abs().mean()


# %% tags=["wrong-answer"]
# The bars outside the integral: that is the difference of the means.
def wasserstein(x, y):
    return (x.mean() - y.mean()).abs()


# %% tags=["wrong-answer"]
# The largest difference of the distribution functions: Kolmogorov's distance, which knows no units.
def wasserstein(x, y):
    z = torch.cat([x, y])
    F, G = ((s <= z[:, None]).double().mean(1) for s in (x, y))
    return (F - G).abs().max()


# %% nbgrader={"grade": true, "grade_id": "check-earth-on-a-line", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
with check("2.7") as answer:
    x = torch.tensor([3.0, 0.0, 1.0, 7.0, 2.0], dtype=torch.float64)
    found = float(wasserstein(x, x.flip(0)))
    assert abs(found) < 1e-12, (
        "a sample in another order is the same heap of earth, nothing has to move; yours is "
        f"{found:.3f}"
    )
    found = float(wasserstein(x, x + 3))
    assert abs(found - 3) < 1e-12, (
        f"a heap that is moved by 3 has gone a distance of 3; yours is {found:.3f}"
    )
    two, middle = torch.tensor([[-1.0, 1.0], [0.0, 0.0]], dtype=torch.float64)
    found = float(wasserstein(two, middle))
    assert abs(found - 1) < 1e-12, (
        "from -1 and 1 to 0 each half goes a distance of 1, whatever the direction; yours is "
        f"{found:.3f}"
    )
    x, y = torch.randn(2, 6, dtype=torch.float64, generator=seeded(11))
    right = min(
        float((x - y[list(order)]).abs().mean()) for order in itertools.permutations(range(6))
    )
    found = float(wasserstein(x, y))
    assert abs(found - right) < 1e-12, (
        f"of the 720 ways to pair six with six observations the cheapest costs {right:.4f}; yours "
        f"is {found:.4f}"
    )
    found = float(wasserstein(x, torch.cat([y, y, y])))
    assert abs(found - right) < 1e-12, (
        "each observation of y taken three times is the same law, and the distance stays "
        f"{right:.4f}; yours is {found:.4f}"
    )
    both = [group[:, 0] for group in (benign, malignant)]
    found = float(wasserstein(*both))
    gap = float(both[1].mean() - both[0].mean())
    assert abs(found - float(divergences.wasserstein_1d(*both))) < 1e-9, (
        f"for 357 benign and 212 malignant radii genlab finds "
        f"{float(divergences.wasserstein_1d(*both)):.4f} (their means are {gap:.4f} apart), you "
        f"{found:.4f}"
    )
### BEGIN HIDDEN TESTS
answer.require()
x = torch.randint(-5, 6, (40,), generator=seeded(12)).double()
y = torch.randint(-3, 9, (23,), generator=seeded(13)).double()
assert abs(float(wasserstein(x, y)) - float(divergences.wasserstein_1d(x, y))) < 1e-9
assert abs(float(wasserstein(y, x)) - float(wasserstein(x, y))) < 1e-12
assert abs(float(wasserstein(2.5 * x, 2.5 * y)) - 2.5 * float(wasserstein(x, y))) < 1e-9
### END HIDDEN TESTS

# %% [markdown]
# One law or two? Relabel the tumours at random, 199 times. These are, of the thirty measurements,
# the ones for which more than one relabelling in twenty gives as large a distance as the true
# labels do (nothing to hand in). If none of the thirty knew anything of the diagnosis, for how many
# would you still expect a share below 0.05?


# %%
def find_equal_ones(relabellings):
    g = seeded(14)
    orders = [torch.randperm(len(values), generator=g) for _ in range(relabellings)]
    for j in range(values.shape[1]):
        x = values[:, j]
        observed = wasserstein(benign[:, j], malignant[:, j])
        shuffled = torch.stack([wasserstein(x[order[:357]], x[order[357:]]) for order in orders])
        share = float((1 + (shuffled >= observed).sum()) / (1 + relabellings))
        if share > 0.05:
            print(f"{tumours.feature_names[j]:26s} p = {share:.2f}")


try:
    find_equal_ones(199)
except NotImplementedError:
    print("Comes with exercise 2.7.")

# %% [markdown]
# ## 2.8 Find out why (3 points, 35 minutes)
#
# Forty benign and thirty malignant tumours lie in the plane of mean radius and texture; to turn
# one into another costs the square of the distance. Here is Sinkhorn's algorithm as the chapter
# writes it, $\pi_{ij} = u_i\,e^{-C_{ij}/\varepsilon}\,v_j$. The smaller $\varepsilon$, the closer
# to the cheapest plan. Up to a point.


# %%
def with_a_kernel(a, b, cost, epsilon, rounds):
    """Plan [n, m] after so many repairs of the rows and of the columns."""
    K = (-cost / epsilon).exp()
    v = torch.ones_like(b)
    for _ in range(rounds):
        u = a / (K @ v)
        v = b / (u @ K)
    return u[:, None] * K * v


cost = torch.cdist(benign[:40, :2], malignant[:30, :2]) ** 2
a, b = (torch.full((n,), 1 / n, dtype=torch.float64) for n in cost.shape)
print(f"cheapest: {float(divergences.transport(a, b, cost).cost):.2f}")
for epsilon in (100.0, 10.0, 1.0, 0.1, 0.01):
    plan = with_a_kernel(a, b, cost, epsilon, 200)
    print(f"ε = {epsilon:6.2f}: {float((plan * cost).sum()):.2f}")

# %% [markdown]
# Find out why. At $\varepsilon = 0.01$, how many rows of $K$ are zero throughout, and what is the
# smallest float64 above zero? At $\varepsilon = 0.1$ no row is; what becomes zero or infinite there?
#
# Then write one round with logarithms. Keep, instead of $u$ and $v$, the potentials
# $f = \varepsilon\log u$ and $g = \varepsilon\log v$, in the unit of the costs, so that
#
# $$\pi_{ij} = \exp\frac{f_i + g_j - C_{ij}}{\varepsilon}.$$
#
# First repair the rows: find the new $f$ such that they sum to $a$. Then, with the *new* $f$,
# repair the columns. Exponentials occur inside `torch.logsumexp` only.


# %% nbgrader={"grade": false, "grade_id": "sinkhorn", "locked": false, "schema_version": 3, "solution": true, "task": false}
def sinkhorn_round(f, g, a, b, cost, epsilon):
    """The potentials f [n], g [m] after one round: rows repaired, then columns.

    a: positive row sums [n]; b: positive column sums [m]; cost: [n, m]; float64; epsilon: > 0.
    """
    ### BEGIN SOLUTION
    f = epsilon * (a.log() - ((g - cost) / epsilon).logsumexp(1))
    g = epsilon * (b.log() - ((f[:, None] - cost) / epsilon).logsumexp(0))
    return f, g
    ### END SOLUTION


# %% tags=["wrong-answer"]
# Logarithms outside, the old kernel inside: it still underflows.
def sinkhorn_round(f, g, a, b, cost, epsilon):
    K = (-cost / epsilon).exp()
    f = epsilon * (a / (K @ (g / epsilon).exp())).log()
    g = epsilon * (b / ((f / epsilon).exp() @ K)).log()
    return f, g


# %% tags=["wrong-answer"]
# Repairs the columns for the rows as they were before.
def sinkhorn_round(f, g, a, b, cost, epsilon):
    new_f = epsilon * (a.log() - ((g - cost) / epsilon).logsumexp(1))
    new_g = epsilon * (b.log() - ((f[:, None] - cost) / epsilon).logsumexp(0))
    return new_f, new_g


# %% tags=["wrong-answer"]
# log u and log v in the place of the potentials: right for ε = 1 only.
def sinkhorn_round(f, g, a, b, cost, epsilon):
    f = a.log() - (g - cost / epsilon).logsumexp(1)
    g = b.log() - (f[:, None] - cost / epsilon).logsumexp(0)
    return f, g


# %% tags=["wrong-answer"]
# The row sums are forgotten: the plan sums to more than one.
def sinkhorn_round(f, g, a, b, cost, epsilon):
    f = -epsilon * ((g - cost) / epsilon).logsumexp(1)
    g = -epsilon * ((f[:, None] - cost) / epsilon).logsumexp(0)
    return f, g


# %% nbgrader={"grade": true, "grade_id": "check-sinkhorn", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def plan_after(rounds, a, b, cost, epsilon):
    """The plan of your potentials after so many rounds from zero."""
    f, g = torch.zeros_like(a), torch.zeros_like(b)
    for _ in range(rounds):
        f, g = sinkhorn_round(f, g, a, b, cost, epsilon)
    return ((f[:, None] + g - cost) / epsilon).exp()


with check("2.8") as answer:
    a = torch.tensor([0.25, 0.75], dtype=torch.float64)
    b = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
    cost = torch.tensor([[0.0, 1.0, 4.0], [1.0, 0.0, 1.0]], dtype=torch.float64)
    for epsilon in (1.0, 2.0):
        columns = plan_after(1, a, b, cost, epsilon).sum(0)
        assert (columns - b).abs().max() < 1e-12, (
            "the columns are repaired last, so after one round they sum to b = "
            f"{b.tolist()}; for ε = {epsilon:.0f} yours sum to "
            f"{[round(v, 4) for v in columns.tolist()]}. Is every quantity the newest, in the "
            "unit of the costs?"
        )
    plan = plan_after(200, a, b, cost, 0.5)
    error = float((plan.sum(1) - a).abs().max())
    assert error < 1e-9, f"after 200 rounds the rows still miss their sums a, by up to {error:.3g}"
    cost = torch.cdist(benign[:40, :2], malignant[:30, :2]) ** 2
    a, b = (torch.full((n,), 1 / n, dtype=torch.float64) for n in cost.shape)
    cheapest = float(divergences.transport(a, b, cost).cost)
    for epsilon, rounds in ((10.0, 500), (1.0, 500), (0.01, 20)):
        plan = plan_after(rounds, a, b, cost, epsilon)
        assert plan.isfinite().all(), (
            f"on the tumours, with ε = {epsilon}, your plan has {int((~plan.isfinite()).sum())} of "
            "1,200 entries that are NaN or infinite: is there a number that underflows to zero?"
        )
        assert (plan.sum(0) - b).abs().max() < 1e-9, "on the tumours the columns miss their sums"
        if rounds == 500:
            found = float((plan * cost).sum())
            assert cheapest - 0.01 <= found <= cheapest + epsilon * math.log(30), (
                f"with ε = {epsilon} the cost should exceed the least, {cheapest:.2f}, by at most "
                f"ε ln 30 = {epsilon * math.log(30):.2f}; yours is {found:.2f}"
            )
### BEGIN HIDDEN TESTS
answer.require()
g = seeded(15)
a, b = random_laws(7, generator=g), random_laws(12, generator=g)
cost = torch.rand(7, 12, dtype=torch.float64, generator=g)
for epsilon in (1.0, 0.1):
    right = divergences.sinkhorn(a, b, cost, epsilon=epsilon, tol=1e-12).plan
    assert torch.allclose(plan_after(2000, a, b, cost, epsilon), right, atol=1e-8)
assert plan_after(5, a, b, 1e6 * cost, 0.01).isfinite().all()
### END HIDDEN TESTS

# %% [markdown]
# Watch the plan while $\varepsilon$ falls (nothing to hand in). The heaps are those forty and
# thirty tumours, on the line of their radii, in order; dark is much mass. Where does it gather,
# and what has that to do with exercise 2.7?


# %%
def show_plan(epsilon):
    x, y = (group.sort().values for group in (benign[:40, 0], malignant[:30, 0]))
    cost = (x[:, None] - y) ** 2
    a, b = (torch.full((n,), 1 / n, dtype=torch.float64) for n in cost.shape)
    f, g = torch.zeros_like(a), torch.zeros_like(b)
    for _ in range(500):
        f, g = sinkhorn_round(f, g, a, b, cost, epsilon)
    plan = ((f[:, None] + g - cost) / epsilon).exp()
    with plot.figure(
        x="rank of the malignant radius",
        y="rank of the benign radius",
        title=f"ε = {epsilon:.3g}, cost {float((plan * cost).sum()):.2f}",
        height=3,
        alt="The plan as an image of 40 rows and 30 columns: an even pale tone for a large ε, a narrow "
        "dark band along the diagonal for a small one.",
    ) as ax:
        ax.imshow(plan, cmap="Blues", origin="lower", aspect="auto", vmin=0, vmax=0.01)


try:
    panel = sliders(show_plan, epsilon=Knob(0.01, 1000.0, start=3.0, log=True))
except NotImplementedError:
    print("Comes with exercise 2.8.")
else:
    display(panel)
