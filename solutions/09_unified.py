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
# # Exercises 09: one view of GAN, VAE and wake–sleep
#
# Six exercises, 18 points, about three hours. Replace each `raise NotImplementedError` and run
# the check below it. A check answers at once: **right**, **not yet, because …**, or
# **not attempted**. Some checks are repeated with other numbers when the notebook is graded.
#
# The chapter: [The unified view](../book/09_unified.md). Work in float64 throughout, and in nats.
#
# In 9.1 to 9.3 the sample takes `m` values. A label says where it came from: 0 from the
# generator, 1 from the data. Three tensors hold a game:
#
# - `laws`, `[2, m]`: a row for each label, the law of the sample given it;
# - `prior`, `[2]`: the law of the label, not always ½ and ½;
# - `a`, `[m]`: the logits of any discriminator, which says "real" with `a.sigmoid()`.
#
# And two more laws are made of them:
#
# - $p_\theta(x) = \sum_y p(y)\,p_\theta(x \mid y)$, the *pool*;
# - $q^r(y \mid x) = q_\phi(1 - y \mid x)$, the labels exchanged.

# %%
import math
from functools import partial
from typing import NamedTuple

import torch
from scipy.optimize import minimize
from torch.distributions import Normal
from torch.nn.functional import logsigmoid, softplus

from genlab import plot
from genlab.course.check import check
from genlab.divergences import two_modes
from genlab.unified import fit_generator
from genlab.variational import HelmholtzMachine, sleep

DIRECTIONS = ("forward", "reverse", "saturating", "non-saturating")
LINE = torch.linspace(-40, 40, 401, dtype=torch.float64)  # the grid of 9.5 and 9.6


def seeded(number):
    """A generator of random numbers of its own for each check."""
    return torch.Generator().manual_seed(number)


def vector(*numbers):
    """These numbers as a float64 tensor."""
    return torch.tensor(numbers, dtype=torch.float64)


def randn(*shape, generator):
    """Draws from N(0, 1), float64."""
    return torch.randn(shape, dtype=torch.float64, generator=generator)


def said(numbers):
    """Numbers, to read."""
    return [round(v, 4) + 0.0 for v in torch.as_tensor(numbers).detach().flatten().tolist()]


def fits(found, *shape):
    """An answer is a float64 tensor of this shape."""
    assert isinstance(found, torch.Tensor), f"expected a tensor, got a {type(found).__name__}"
    assert found.shape == shape, f"expected the shape {shape}, got {tuple(found.shape)}"
    assert found.dtype == torch.float64, (
        f"expected float64, got {found.dtype}: torch.zeros and torch.ones make float32 if not told"
    )


def kl(p, q):
    """KL(p‖q) = Σ p log(p/q) over the last dimension; shapes broadcast, gradients pass."""
    return (torch.xlogy(p, p) - torch.xlogy(p, q)).sum(-1)


def slopes_of(function, at, h=1e-3):
    """Central differences, of fourth order: slopes without autograd, of the shape of ``at``."""
    at, rows = at.detach(), []
    for e in h * torch.eye(at.numel(), dtype=at.dtype).reshape(-1, *at.shape):
        near, far = (float(function(at + k * e) - function(at - k * e)) for k in (1, 2))
        rows.append((8 * near - far) / (12 * h))
    return vector(*rows).reshape(at.shape)


def descend(function, mean, sd):
    """Where L-BFGS ends that starts at (mean, sd): both numbers, and function(mean, sd) there."""

    def value(at):
        at = torch.tensor(at, dtype=torch.float64, requires_grad=True)
        number = function(at[0], at[1].exp())
        (slope,) = torch.autograd.grad(number, at)
        return number.item(), slope.numpy()

    found = minimize(
        value,
        (mean, math.log(sd)),
        jac=True,
        method="L-BFGS-B",
        bounds=[(-12, 12), (math.log(0.3), math.log(8))],
        options={"ftol": 0.0, "gtol": 1e-8},
    )
    return float(found.x[0]), math.exp(found.x[1]), float(found.fun)


class Run(NamedTuple):
    """How a game ended (9.6): the data, the loss of G, the law N(mean, sd²) of its draws, and D."""

    log_p: object  # log-density of the data, a function of x
    modes: tuple  # where its two modes are, left and right
    kind: str  # "saturating" or "non-saturating"
    mean: float
    sd: float
    logit: object  # of the D that G met last, a function of x


def rested(kind, left, mu, start, share=0.5, logit=None):
    """A run that ended where a descent from N(start, 1) ends: modes at left and left + 2 μ.

    share: weight of the left mode; logit: of the D that G met last, the best one if not told.
    """

    def log_p(x):
        modes = Normal(left, 1.0).log_prob(x), Normal(left + 2 * mu, 1.0).log_prob(x)
        return torch.logaddexp(modes[0] + math.log(share), modes[1] + math.log1p(-share))

    def best_logit(x):
        return log_p(x) - Normal(mean, sd).log_prob(x)

    mean, sd, _ = fit_generator(log_p, LINE, kind, (start, 1.0))
    return Run(log_p, (left, left + 2 * mu), kind, mean, sd, logit or best_logit)


def covers(mean, sd, modes):
    """Does N(mean, sd²) give both halves of the line, left and right of the middle, a tenth?"""
    left = float(Normal(mean, sd).cdf(torch.tensor(sum(modes) / 2)))
    return 0.1 <= left <= 0.9


def some_game(m, real, generator):
    """Laws, a prior with p(y = 1) = real, and logits, all drawn at random."""
    laws = randn(2, m, generator=generator).softmax(1)
    return laws, vector(1 - real, real), randn(m, generator=generator)


# %% [markdown]
# ## 9.1 Two players, one label (2 points, 20 minutes)
#
# Both players of a GAN can be said to speak of $y$. The discriminator wants the right label to be
# likely, the generator the wrong one; each *maximises* its own objective,
#
# $$\mathcal L_\phi = \mathrm{E}_{p(y)\,p_\theta(x \mid y)} \log q_\phi(y \mid x), \qquad
#   \mathcal L_\theta = \mathrm{E}_{p(y)\,p_\theta(x \mid y)} \log q_\phi^r(y \mid x).$$
#
# Write
#
# - `objectives`: both;
# - `best`: the logits with the largest $\mathcal L_\phi$, for any $p(y)$;
# - `information`: how much $x$ tells about $y$, in nats: how far $\mathcal L_\phi$ of the best
#   discriminator is above the $\mathcal L_\phi$ of one that knows $p(y)$ and does not look at $x$.
#
# A table may hold zeros: what never comes costs nothing, and a logit may be ±1000, or infinite.
# Every value of $x$ has a chance under one law at least.


# %% nbgrader={"grade": false, "grade_id": "two-players", "locked": false, "schema_version": 3, "solution": true, "task": false}
def objectives(laws, prior, a):
    """L_φ and L_θ, each a tensor of shape (), nats; gradients pass through laws and a."""
    ### BEGIN SOLUTION
    joint = prior[:, None] * laws
    log_q = torch.stack([logsigmoid(-a), logsigmoid(a)])
    comes = joint > 0
    return joint[comes] @ log_q[comes], joint[comes] @ log_q.flip(0)[comes]
    ### END SOLUTION


def best(laws, prior):
    """The best discriminator's logits, [m]."""
    ### BEGIN SOLUTION
    log_joint = prior.log()[:, None] + laws.log()
    return log_joint[1] - log_joint[0]
    ### END SOLUTION


def information(laws, prior):
    """What x tells about y, shape (), nats."""
    ### BEGIN SOLUTION
    return objectives(laws, prior, best(laws, prior))[0] - prior @ prior.log()
    ### END SOLUTION


# %% tags=["wrong-answer"]
# A game of zero sum: the generator wants what the discriminator does not.
def objectives(laws, prior, a):
    joint = prior[:, None] * laws
    log_q = torch.stack([logsigmoid(-a), logsigmoid(a)])
    value = torch.where(joint > 0, joint * log_q, 0.0).sum()
    return value, -value


def best(laws, prior):
    return (prior[1] * laws[1] / (prior[0] * laws[0])).log()


def information(laws, prior):
    return prior @ kl(laws, prior @ laws)


# %% tags=["wrong-answer"]
# The rows are taken the other way round: the data first.
def objectives(laws, prior, a):
    joint = prior[:, None] * laws
    log_q = torch.stack([logsigmoid(a), logsigmoid(-a)])
    phi, theta = (
        torch.where(joint > 0, joint * table, 0.0).sum() for table in (log_q, log_q.flip(0))
    )
    return phi, theta


def best(laws, prior):
    return (prior[0] * laws[0] / (prior[1] * laws[1])).log()


def information(laws, prior):
    return prior @ kl(laws, prior @ laws)


# %% tags=["wrong-answer"]
# The usual game: p(y) is forgotten, which doubles both where it is ½.
def objectives(laws, prior, a):
    log_q = torch.stack([logsigmoid(-a), logsigmoid(a)])
    phi, theta = (
        torch.where(laws > 0, laws * table, 0.0).sum() for table in (log_q, log_q.flip(0))
    )
    return phi, theta


def best(laws, prior):
    return (prior[1] * laws[1] / (prior[0] * laws[0])).log()


def information(laws, prior):
    return prior @ kl(laws, prior @ laws)


# %% tags=["wrong-answer"]
# The generator is paid for its own draws alone: the term without θ is left out.
def objectives(laws, prior, a):
    joint = prior[:, None] * laws
    log_q = torch.stack([logsigmoid(-a), logsigmoid(a)])
    phi = torch.where(joint > 0, joint * log_q, 0.0).sum()
    return phi, torch.where(joint[0] > 0, joint[0] * logsigmoid(a), 0.0).sum()


def best(laws, prior):
    return (prior[1] * laws[1] / (prior[0] * laws[0])).log()


def information(laws, prior):
    return prior @ kl(laws, prior @ laws)


# %% tags=["wrong-answer"]
# Probabilities first, logarithms afterwards.
def objectives(laws, prior, a):
    joint = prior[:, None] * laws
    D = torch.sigmoid(a)
    q = torch.stack([1 - D, D])
    return torch.xlogy(joint, q).sum(), torch.xlogy(joint, q.flip(0)).sum()


def best(laws, prior):
    return (prior[1] * laws[1] / (prior[0] * laws[0])).log()


def information(laws, prior):
    return prior @ kl(laws, prior @ laws)


# %% tags=["wrong-answer"]
# 0 times -∞.
def objectives(laws, prior, a):
    joint = prior[:, None] * laws
    log_q = torch.stack([logsigmoid(-a), logsigmoid(a)])
    return (joint * log_q).sum(), (joint * log_q.flip(0)).sum()


def best(laws, prior):
    return (prior[1] * laws[1] / (prior[0] * laws[0])).log()


def information(laws, prior):
    return prior @ kl(laws, prior @ laws)


# %% tags=["wrong-answer"]
# The ratio of the laws, whatever the prior odds are.
def objectives(laws, prior, a):
    joint = prior[:, None] * laws
    log_q = torch.stack([logsigmoid(-a), logsigmoid(a)])
    phi, theta = (
        torch.where(joint > 0, joint * table, 0.0).sum() for table in (log_q, log_q.flip(0))
    )
    return phi, theta


def best(laws, prior):
    return laws[1].log() - laws[0].log()


def information(laws, prior):
    return prior @ kl(laws, prior @ laws)


# %% tags=["wrong-answer"]
# Above a discriminator that tosses a coin, not above one that knows p(y).
def objectives(laws, prior, a):
    joint = prior[:, None] * laws
    log_q = torch.stack([logsigmoid(-a), logsigmoid(a)])
    phi, theta = (
        torch.where(joint > 0, joint * table, 0.0).sum() for table in (log_q, log_q.flip(0))
    )
    return phi, theta


def best(laws, prior):
    return (prior[1] * laws[1] / (prior[0] * laws[0])).log()


def information(laws, prior):
    return objectives(laws, prior, best(laws, prior))[0] + math.log(2)


# %% tags=["wrong-answer"]
# The Jensen–Shannon divergence of halves, whatever p(y) is.
def objectives(laws, prior, a):
    joint = prior[:, None] * laws
    log_q = torch.stack([logsigmoid(-a), logsigmoid(a)])
    phi, theta = (
        torch.where(joint > 0, joint * table, 0.0).sum() for table in (log_q, log_q.flip(0))
    )
    return phi, theta


def best(laws, prior):
    return (prior[1] * laws[1] / (prior[0] * laws[0])).log()


def information(laws, prior):
    return kl(laws, laws.mean(0)).mean()


# %% nbgrader={"grade": true, "grade_id": "check-two-players", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
def both_objectives(laws, prior, a):
    """The student's two numbers, as floats."""
    found = objectives(laws, prior, a)
    assert len(found) == 2, "expected two numbers, L_φ and L_θ, in this order"
    for number in found:
        fits(number)
    return [float(number) for number in found]


with check("9.1") as answer:
    half = vector(0.5, 0.5)
    laws = torch.stack([vector(0.5, 0.5, 0.0), vector(0.25, 0.0, 0.75)])
    setting = "p_g = (1/2, 1/2, 0), p_data = (1/4, 0, 3/4)"
    phi = both_objectives(laws, half, vector(0.0, 0.0, 0.0))[0]
    assert abs(phi + math.log(2)) < 1e-9, (
        f"{setting}, p(y) = 1/2: a D that tosses a coin gives the right label the chance 1/2 for "
        f"every x, so L_φ is log 1/2 = -0.6931; yours is {phi:.4f}"
    )
    prior, a = vector(0.3, 0.7), vector(1.0, -2.0, 3.0)
    real, fake = laws[1] @ softplus(-a), laws[0] @ softplus(a)
    right = -float(0.7 * real + 0.3 * fake)
    phi, theta = both_objectives(laws, prior, a)
    assert abs(phi - right) < 1e-9, (
        f"{setting}, p(y = 1) = 0.7, a = {said(a)}: L_φ = 0.7 E_data log D + 0.3 E_g log(1 - D) is "
        f"{right:.4f}; yours is {phi:.4f}"
    )
    real, fake = laws[1] @ softplus(a), laws[0] @ softplus(-a)
    right = -float(0.7 * real + 0.3 * fake)
    why = ""
    if abs(theta + phi) < 1e-9:
        why = ". The game is not of zero sum: the wrong label's chance is not the right one's lost"
    elif abs(theta + 0.3 * float(fake)) < 1e-9:
        why = ". The mean is over both labels; with real x the generator can do nothing, but it counts"
    assert abs(theta - right) < 1e-9, (
        f"{setting}, p(y = 1) = 0.7, a = {said(a)}: L_θ is the mean of log q(1 - y | x) over all x, "
        f"{right:.4f}; yours is {theta:.4f}{why}"
    )
    found = both_objectives(laws, half, vector(1000.0, -1000.0, 1000.0))
    assert torch.allclose(vector(*found), vector(-250.0, -750.0)), (
        f"{setting}, p(y) = 1/2: with logits of 1000, -1000 and 1000 L_φ and L_θ are -250 and -750; "
        f"yours are {said(found)}. σ(-1000) is 0 in floating point, its logarithm is not -∞"
    )
    apart = torch.stack([vector(1.0, 0.0), vector(0.0, 1.0)])
    phi, theta = both_objectives(apart, half, vector(-math.inf, math.inf))
    assert (phi, theta) == (0, -math.inf), (
        "laws that never meet and a D that knows it, with logits of ±∞: L_φ is 0 and L_θ is -∞; "
        f"yours are {phi} and {theta}. What never comes must not count"
    )
    g = seeded(1)
    for real in (0.5, 0.2, 0.9):
        laws, prior, a = some_game(6, real, g)
        found = best(laws, prior)
        fits(found, 6)
        top = both_objectives(laws, prior, found)[0]
        slope = slopes_of(lambda v, of=(laws, prior): objectives(*of, v)[0], found).abs().max()
        off = f"p(y = 1) = {real}, two random laws of 6 values"
        assert slope < 1e-8, (
            f"{off}: at the best logits L_φ has no slope; at yours it has one of {slope:.4f}. By "
            "Bayes, what are the odds of y = 1 when x is seen?"
        )
        others = [both_objectives(laws, prior, 2 * randn(6, generator=g))[0] for _ in range(50)]
        assert max(others) < top, (
            f"{off}: logits drawn at random have L_φ = {max(others):.4f}, more than your best "
            f"ones, {top:.4f}"
        )
        told = information(laws, prior)
        fits(told)
        right = float(prior @ kl(laws, prior @ laws))
        assert abs(float(told) - right) < 1e-9, (
            f"{off}: x tells {right:.4f} nats about y, which is H(y) less the mean H(y | x); yours "
            f"says {float(told):.4f}"
        )
        for pair, right, why in (
            (laws[:1].expand(2, 6), 0.0, "of equal laws x tells nothing"),
            (apart, -float(prior @ prior.log()), "of laws that never meet x tells all of y, H(y)"),
        ):
            found = float(information(pair, prior))
            assert abs(found - right) < 1e-9, (
                f"p(y = 1) = {real}: {why}, {right:.4f}; yours says {found:.4f}"
            )
### BEGIN HIDDEN TESTS
answer.require()
from genlab.unified import gan_losses, on_finite

g = seeded(2)
for real in (0.5, 0.35):
    laws, prior, a = some_game(9, real, g)
    x = on_finite(*laws, real=real)
    found, right = objectives(laws, prior, a), gan_losses(x, a)
    assert torch.allclose(torch.stack(list(found)), torch.stack(list(right)), atol=1e-10)
    assert abs(float(information(laws, prior)) - float(x.js())) < 1e-10
    logits = laws.log().requires_grad_()
    for one, other in zip(
        objectives(logits.softmax(1), prior, a),
        gan_losses(on_finite(*logits.softmax(1), real=real), a),
        strict=True,
    ):
        (mine,) = torch.autograd.grad(one, logits, retain_graph=True)
        (right,) = torch.autograd.grad(other, logits, retain_graph=True)
        assert torch.allclose(mine, right, atol=1e-10)
### END HIDDEN TESTS

# %% [markdown]
# Half the usual game (nothing to hand in): at $p(y) = \tfrac12$ the first line is half of
# $V = \mathrm{E}_\text{data} \log D + \mathrm{E}_g \log(1 - D)$. Below, D stands still and the
# generator changes. What does $\mathcal L_\theta - \tfrac12 \mathrm{E}_g \log D$ do, and why does
# the generator not care?


# %%
try:
    g = seeded(3)
    laws, prior, a = some_game(4, 0.5, g)
    table = ["   L_φ - ½ V   L_θ - ½ E_g log D"]
    for _ in range(4):
        laws = torch.stack([randn(4, generator=g).softmax(0), laws[1]])
        phi, theta = objectives(laws, prior, a)
        left = phi - (laws[1] @ logsigmoid(a) + laws[0] @ logsigmoid(-a)) / 2
        left = abs(float(left)), float(theta - laws[0] @ logsigmoid(a) / 2)
        table.append("{:12.4f}{:20.4f}".format(*left))
    print(*table, sep="\n")
except NotImplementedError:
    print("Comes with exercise 9.1.")

# %% [markdown]
# ## 9.2 Who infers what? (3 points, 30 minutes)
#
# Read the GAN as a model with a code, in two ways.
#
# **The code is $y$.** The prior is $p(y)$, the decoder $p_\theta(x \mid y)$, the encoder
# $q_\phi(y \mid x)$. Write `machine`: these three as tables that
# `genlab.variational.HelmholtzMachine` takes. Then its *sleep* step is the discriminator's.
#
# **The code is $x$.** Now $y$ is what is seen. The prior of $x$ is $p_\theta(x)$, with the weights
# that the generator has at this moment, and the likelihood is $q^r(y \mid x)$. So there is a
# posterior and an evidence,
#
# $$q^r(x \mid y) = \frac{q^r(y \mid x)\, p_\theta(x)}{Z_y}, \qquad
#   Z_y = \sum_x q^r(y \mid x)\, p_\theta(x),$$
#
# and $p_\theta(x \mid y)$, from which the generator draws, is a guess at that posterior. Write
# `reversed_posterior`, and `bound`: the evidence lower bound of $\log Z_y$ with this guess, for
# each $y$. No entry of `laws` is 0 here.


# %% nbgrader={"grade": false, "grade_id": "who-infers", "locked": false, "schema_version": 3, "solution": true, "task": false}
def machine(laws, prior, a):
    """p(y), [2]; logits of p(x | y), [2, m]; logits of q(y | x), [m, 2]."""
    ### BEGIN SOLUTION
    return prior, laws.log(), torch.stack([-a / 2, a / 2], 1)
    ### END SOLUTION


def reversed_posterior(laws, prior, a):
    """q^r(x | y), [2, m], as probabilities; and log Z_y, [2]."""
    ### BEGIN SOLUTION
    joint = torch.stack([torch.sigmoid(a), torch.sigmoid(-a)]) * (prior @ laws)
    Z = joint.sum(1)
    return joint / Z[:, None], Z.log()
    ### END SOLUTION


def bound(laws, prior, a):
    """The evidence lower bound of log Z_y with the guess p(x | y), [2], nats."""
    ### BEGIN SOLUTION
    log_likelihood = torch.stack([logsigmoid(a), logsigmoid(-a)])
    return (laws * log_likelihood).sum(1) - kl(laws, prior @ laws)
    ### END SOLUTION


# %% tags=["wrong-answer"]
# The labels are not exchanged: q in place of q^r.
def machine(laws, prior, a):
    return prior, laws.log(), torch.stack([0 * a, a], 1)


def reversed_posterior(laws, prior, a):
    joint = torch.stack([torch.sigmoid(-a), torch.sigmoid(a)]) * (prior @ laws)
    return joint / joint.sum(1, keepdim=True), joint.sum(1).log()


def bound(laws, prior, a):
    posterior, log_Z = reversed_posterior(laws, prior, a)
    return log_Z - kl(laws, posterior)


# %% tags=["wrong-answer"]
# Without a prior of x: all values are equally likely before y is seen.
def machine(laws, prior, a):
    return prior, laws.log(), torch.stack([0 * a, a], 1)


def reversed_posterior(laws, prior, a):
    joint = torch.stack([torch.sigmoid(a), torch.sigmoid(-a)]) / len(a)
    return joint / joint.sum(1, keepdim=True), joint.sum(1).log()


def bound(laws, prior, a):
    posterior, log_Z = reversed_posterior(laws, prior, a)
    return log_Z - kl(laws, posterior)


# %% tags=["wrong-answer"]
# The prior of x is taken to be the data's law.
def machine(laws, prior, a):
    return prior, laws.log(), torch.stack([0 * a, a], 1)


def reversed_posterior(laws, prior, a):
    joint = torch.stack([torch.sigmoid(a), torch.sigmoid(-a)]) * laws[1]
    return joint / joint.sum(1, keepdim=True), joint.sum(1).log()


def bound(laws, prior, a):
    posterior, log_Z = reversed_posterior(laws, prior, a)
    return log_Z - kl(laws, posterior)


# %% tags=["wrong-answer"]
# p(y) is forgotten in p(x): halves of both laws.
def machine(laws, prior, a):
    return prior, laws.log(), torch.stack([0 * a, a], 1)


def reversed_posterior(laws, prior, a):
    joint = torch.stack([torch.sigmoid(a), torch.sigmoid(-a)]) * laws.mean(0)
    return joint / joint.sum(1, keepdim=True), joint.sum(1).log()


def bound(laws, prior, a):
    posterior, log_Z = reversed_posterior(laws, prior, a)
    return log_Z - kl(laws, posterior)


# %% tags=["wrong-answer"]
# The other law, whatever D is: as if D were always the best one.
def machine(laws, prior, a):
    return prior, laws.log(), torch.stack([0 * a, a], 1)


def reversed_posterior(laws, prior, a):
    return laws.flip(0), prior.flip(0).log()


def bound(laws, prior, a):
    posterior, log_Z = reversed_posterior(laws, prior, a)
    return log_Z - kl(laws, posterior)


# %% tags=["wrong-answer"]
# Normalised over y for each x, where a law of x for each y is wanted.
def machine(laws, prior, a):
    return prior, laws.log(), torch.stack([0 * a, a], 1)


def reversed_posterior(laws, prior, a):
    joint = torch.stack([torch.sigmoid(a), torch.sigmoid(-a)]) * (prior @ laws)
    return joint / joint.sum(0), joint.sum(1).log()


def bound(laws, prior, a):
    log_q = torch.stack([logsigmoid(a), logsigmoid(-a)])
    return (laws * log_q).sum(1) - kl(laws, prior @ laws)


# %% tags=["wrong-answer"]
# What a GAN keeps of the bound: the divergence from the prior is left out.
def machine(laws, prior, a):
    return prior, laws.log(), torch.stack([0 * a, a], 1)


def reversed_posterior(laws, prior, a):
    joint = torch.stack([torch.sigmoid(a), torch.sigmoid(-a)]) * (prior @ laws)
    return joint / joint.sum(1, keepdim=True), joint.sum(1).log()


def bound(laws, prior, a):
    return (laws * torch.stack([logsigmoid(a), logsigmoid(-a)])).sum(1)


# %% tags=["wrong-answer"]
# The gap of the bound is turned round: KL(q^r(x|y) ‖ p(x|y)).
def machine(laws, prior, a):
    return prior, laws.log(), torch.stack([0 * a, a], 1)


def reversed_posterior(laws, prior, a):
    joint = torch.stack([torch.sigmoid(a), torch.sigmoid(-a)]) * (prior @ laws)
    return joint / joint.sum(1, keepdim=True), joint.sum(1).log()


def bound(laws, prior, a):
    posterior, log_Z = reversed_posterior(laws, prior, a)
    return log_Z - kl(posterior, laws)


# %% tags=["wrong-answer"]
# The encoder answers with the wrong label: q^r is the generator's matter.
def machine(laws, prior, a):
    return prior, laws.log(), torch.stack([a, 0 * a], 1)


def reversed_posterior(laws, prior, a):
    joint = torch.stack([torch.sigmoid(a), torch.sigmoid(-a)]) * (prior @ laws)
    return joint / joint.sum(1, keepdim=True), joint.sum(1).log()


def bound(laws, prior, a):
    posterior, log_Z = reversed_posterior(laws, prior, a)
    return log_Z - kl(laws, posterior)


# %% tags=["wrong-answer"]
# Probabilities where logits are asked for: softmax makes other laws of them.
def machine(laws, prior, a):
    D = torch.sigmoid(a)
    return prior, laws, torch.stack([1 - D, D], 1)


def reversed_posterior(laws, prior, a):
    joint = torch.stack([torch.sigmoid(a), torch.sigmoid(-a)]) * (prior @ laws)
    return joint / joint.sum(1, keepdim=True), joint.sum(1).log()


def bound(laws, prior, a):
    posterior, log_Z = reversed_posterior(laws, prior, a)
    return log_Z - kl(laws, posterior)


# %% nbgrader={"grade": true, "grade_id": "check-who-infers", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def right_label(laws, prior, a):
    """E log q(y | x), shape ()."""
    return -(prior[:, None] * laws * softplus(torch.stack([a, -a]))).sum()


with check("9.2") as answer:
    g = seeded(4)
    for real in (0.5, 0.3):
        laws, prior, a = some_game(5, real, g)
        setting = f"p(y = 1) = {real}, random laws of 5 values and a random D"
        found = machine(laws, prior, a)
        assert len(found) == 3, "expected three tables: prior, decoder, encoder"
        for table, shape in zip(found, ((2,), (2, 5), (5, 2)), strict=True):
            fits(table, *shape)
        drawn = found[1].softmax(1)
        assert torch.allclose(drawn, laws), (
            f"{setting}: the decoder of y = 0 draws with the chances {said(laws[0])}; softmax makes "
            f"{said(drawn[0])} of your first row"
        )
        answered = found[2].softmax(1)[:, 1]
        assert torch.allclose(answered, torch.sigmoid(a)), (
            f"{setting}: the encoder gives y = 1 the chances D = {said(torch.sigmoid(a))}; softmax "
            f"makes {said(answered)} of your logits"
        )
        dreams = sleep(HelmholtzMachine(*found))
        right = right_label(laws, prior, a)
        assert abs(float(dreams.objective - right)) < 1e-9, (
            f"{setting}: what sleep climbs should be L_φ = {float(right):.4f}; with your machine it "
            f"is {float(dreams.objective):.4f}. Is the prior p(y)?"
        )
        posterior, log_z = reversed_posterior(laws, prior, a)
        fits(posterior, 2, 5)
        fits(log_z, 2)
        total = posterior.sum(1)
        assert torch.allclose(total, torch.ones_like(total)), (
            f"{setting}: q^r(x | y) is a law of x for each y, so each row sums to 1; yours sum to "
            f"{said(total)}"
        )
        known = math.log(prior @ laws @ torch.sigmoid(a))
        assert abs(float(log_z[0]) - known) < 1e-9, (
            f"{setting}: Z_0 is the mean of q^r(0 | x) = D(x) under p(x), so log Z_0 = {known:.4f}; "
            f"yours is {float(log_z[0]):.4f}"
        )
        ratio = posterior[0] / posterior[1]
        odds = a.exp() * (log_z[1] - log_z[0]).exp()
        assert torch.allclose(ratio, odds), (
            f"{setting}: p(x) cancels in q^r(x | 0) / q^r(x | 1) = D/(1 - D) Z_1/Z_0 = {said(odds)}; "
            f"yours is {said(ratio)}"
        )
        before = (log_z.exp()[:, None] * posterior).sum(0)
        assert torch.allclose(before, prior @ laws), (
            f"{setting}: Σ_y Z_y q^r(x | y) is the prior of x, {said(prior @ laws)}; with yours it "
            f"is {said(before)}"
        )
        top = laws[1].log() - laws[0].log() + math.log(real / (1 - real))
        found = reversed_posterior(laws, prior, top)[0]
        assert torch.allclose(found, laws.flip(0)), (
            f"p(y = 1) = {real}: with the best D the generator's x is inferred as from the data, "
            f"p_data = {said(laws[1])}; yours is {said(found[0])}"
        )
        found = bound(laws, prior, a)
        fits(found, 2)
        gap = log_z - found
        right = kl(laws, posterior)
        why = "what lies between is the divergence of the guess from the posterior"
        if torch.allclose(gap, kl(posterior, laws)):
            why = "which law draws in an evidence lower bound?"
        elif torch.allclose(right - gap, kl(laws, prior @ laws)):
            why = "is the guess's divergence from the prior of x left out?"
        assert torch.allclose(gap, right), (
            f"{setting}: the bound is {said(log_z - right)}; yours is {said(found)}: {why}"
        )
        found = bound(posterior.mean(0).expand(2, 5), prior, 0 * a)
        assert torch.allclose(found, torch.full_like(found, -math.log(2))), (
            "where both laws are one and D tosses a coin the guess is the posterior, and the bound "
            f"log 1/2; yours is {said(found)}"
        )
### BEGIN HIDDEN TESTS
answer.require()
from genlab.unified import generator_bound, on_finite
from genlab.unified import reversed_posterior as right_posterior

g = seeded(5)
laws, prior, a = some_game(8, 0.8, g)
right = right_posterior(on_finite(*laws, real=0.8), a)
found = reversed_posterior(laws, prior, a)
assert torch.allclose(found[0], right.log_x.exp(), atol=1e-10)
assert torch.allclose(found[1], right.log_evidence, atol=1e-10)
assert torch.allclose(bound(laws, prior, a), right.log_evidence - kl(laws, right.log_x.exp()))
half = vector(0.5, 0.5)
assert torch.allclose(bound(laws, half, a), generator_bound(laws[0].log(), laws[1], a)[0])
dreams = sleep(HelmholtzMachine(*machine(laws, prior, a)))
slope = slopes_of(lambda v: right_label(laws, prior, v), a)
assert torch.allclose((dreams.gradient[:, 1] - dreams.gradient[:, 0]) / 2, slope, atol=1e-8)
### END HIDDEN TESTS

# %% [markdown]
# What the generator leaves out (nothing to hand in): it does not climb the bound, but
# $\mathcal L_\theta$, the part of it without the divergence from the prior. Below, the laws stay
# and D changes. What is the last column, which D cannot move? You met its name in 9.1; in 9.3 it
# comes back with a minus.


# %%
try:
    g = seeded(6)
    laws, prior, _ = some_game(5, 0.5, g)
    table = ["    L_θ   mean bound   L_θ - mean bound"]
    for _ in range(4):
        a = 2 * randn(5, generator=g)
        theta, mean = float(right_label(laws, prior, -a)), float(prior @ bound(laws, prior, a))
        table.append(f"{theta:7.4f}{mean:13.4f}{theta - mean:19.4f}")
    print(*table, sep="\n")
except NotImplementedError:
    print("Comes with exercise 9.2.")

# %% [markdown]
# ## 9.3 The lemma, term by term (4 points, 35 minutes)
#
# $\theta$ moves, while $a$ and $\theta_0$ stand still: $\theta_0$ are the weights that $D$ was trained
# against. They define the posterior $q^r(x \mid y) = q^r(y \mid x)\, p_{\theta_0}(x) / Z_y$. Then the
# generator's loss is, for every $\theta$ and for every $D$,
#
# $$\underbrace{-\mathrm{E} \log q^r(y \mid x)}_\text{loss} =
#   \underbrace{\mathrm{E}_{p(y)} \mathrm{KL}\bigl(p_\theta(x \mid y) \,\|\, q^r(x \mid y)\bigr)}_\text{kl}
#   - \underbrace{\mathrm{JS}_\pi}_\text{js}
#   - \underbrace{\mathrm{KL}\bigl(p_\theta(x) \,\|\, p_{\theta_0}(x)\bigr)}_\text{drift}
#   - \underbrace{\mathrm{E}_{p(y)} \log Z_y}_\text{evidence},$$
#
# with $\mathrm{JS}_\pi = \mathrm{E}_{p(y)} \mathrm{KL}(p_\theta(x \mid y) \,\|\, p_\theta(x))$. Write
#
# - `terms`: the five, each by its own formula and positive as it stands under its brace (the
#   evidence has the sign it has);
# - `slopes`: the gradients in $\theta$ of the loss, and of $\text{kl} - \text{js}$;
# - `failure`: the first gradient less the second, for which you need no $D$ at all. Where is it 0?
#
# `law` is a function from $\theta$, `[k]`, to `laws`. No table has zeros. *Hint:* if you use
# autograd, what must not pass a gradient when $\theta = \theta_0$?


# %% nbgrader={"grade": false, "grade_id": "lemma", "locked": false, "schema_version": 3, "solution": true, "task": false}
def terms(now, at, prior, a):
    """loss, kl, js, drift, evidence: [5], nats. now, at: the laws at θ and at θ0, [2, m]."""
    ### BEGIN SOLUTION
    log_q = torch.stack([logsigmoid(a), logsigmoid(-a)])
    joint = log_q.exp() * (prior @ at)
    Z = joint.sum(1)
    return torch.stack(
        [
            -prior @ (now * log_q).sum(1),
            prior @ kl(now, joint / Z[:, None]),
            prior @ kl(now, prior @ now),
            kl(prior @ now, prior @ at),
            prior @ Z.log(),
        ]
    )
    ### END SOLUTION


def slopes(law, theta, theta0, prior, a):
    """Gradients in θ, [2, k]: of the loss, then of kl − js."""
    ### BEGIN SOLUTION
    theta, at = theta.detach().clone().requires_grad_(), law(theta0).detach()
    loss, mean_kl, js, _, _ = terms(law(theta), at, prior, a)
    return torch.stack(
        [torch.autograd.grad(v, theta, retain_graph=True)[0] for v in (loss, mean_kl - js)]
    )
    ### END SOLUTION


def failure(law, theta, theta0, prior):
    """By how much the slope of the loss is not that of kl − js, [k]."""
    ### BEGIN SOLUTION
    theta, before = theta.detach().clone().requires_grad_(), prior @ law(theta0).detach()
    return -torch.autograd.grad(kl(prior @ law(theta), before), theta)[0]
    ### END SOLUTION


# %% tags=["wrong-answer"]
# Without the minus, as a slide prints it: the gradient of +E log q^r.
def terms(now, at, prior, a):
    log_q = torch.stack([logsigmoid(a), logsigmoid(-a)])
    joint = log_q.exp() * (prior @ at)
    Z = joint.sum(1)
    parts = [
        prior @ (now * log_q).sum(1),
        prior @ kl(now, joint / Z[:, None]),
        prior @ kl(now, prior @ now),
        kl(prior @ now, prior @ at),
        prior @ Z.log(),
    ]
    return torch.stack(parts)


def slopes(law, theta, theta0, prior, a):
    theta, at = theta.detach().clone().requires_grad_(), law(theta0).detach()
    loss, mean_kl, js, _, _ = terms(law(theta), at, prior, a)
    both = [torch.autograd.grad(v, theta, retain_graph=True)[0] for v in (loss, mean_kl - js)]
    return torch.stack(both)


def failure(law, theta, theta0, prior):
    theta, before = theta.detach().clone().requires_grad_(), prior @ law(theta0).detach()
    return -torch.autograd.grad(kl(prior @ law(theta), before), theta)[0]


# %% tags=["wrong-answer"]
# The usual Jensen–Shannon divergence, of halves, whatever p(y) is.
def terms(now, at, prior, a):
    log_q = torch.stack([logsigmoid(a), logsigmoid(-a)])
    joint = log_q.exp() * (prior @ at)
    Z = joint.sum(1)
    parts = [
        -prior @ (now * log_q).sum(1),
        prior @ kl(now, joint / Z[:, None]),
        kl(now, now.mean(0)).mean(),
        kl(prior @ now, prior @ at),
        prior @ Z.log(),
    ]
    return torch.stack(parts)


def slopes(law, theta, theta0, prior, a):
    theta, at = theta.detach().clone().requires_grad_(), law(theta0).detach()
    loss, mean_kl, js, _, _ = terms(law(theta), at, prior, a)
    both = [torch.autograd.grad(v, theta, retain_graph=True)[0] for v in (loss, mean_kl - js)]
    return torch.stack(both)


def failure(law, theta, theta0, prior):
    theta, before = theta.detach().clone().requires_grad_(), prior @ law(theta0).detach()
    return -torch.autograd.grad(kl(prior @ law(theta), before), theta)[0]


# %% tags=["wrong-answer"]
# The posterior moves with θ: its prior is the pool of now, not the one that D knew.
def terms(now, at, prior, a):
    log_q = torch.stack([logsigmoid(a), logsigmoid(-a)])
    joint = log_q.exp() * (prior @ now)
    Z = joint.sum(1)
    parts = [
        -prior @ (now * log_q).sum(1),
        prior @ kl(now, joint / Z[:, None]),
        prior @ kl(now, prior @ now),
        kl(prior @ now, prior @ at),
        prior @ Z.log(),
    ]
    return torch.stack(parts)


def slopes(law, theta, theta0, prior, a):
    theta, at = theta.detach().clone().requires_grad_(), law(theta0).detach()
    loss, mean_kl, js, _, _ = terms(law(theta), at, prior, a)
    both = [torch.autograd.grad(v, theta, retain_graph=True)[0] for v in (loss, mean_kl - js)]
    return torch.stack(both)


def failure(law, theta, theta0, prior):
    theta, before = theta.detach().clone().requires_grad_(), prior @ law(theta0).detach()
    return -torch.autograd.grad(kl(prior @ law(theta), before), theta)[0]


# %% tags=["wrong-answer"]
# The drift is turned round.
def terms(now, at, prior, a):
    log_q = torch.stack([logsigmoid(a), logsigmoid(-a)])
    joint = log_q.exp() * (prior @ at)
    Z = joint.sum(1)
    parts = [
        -prior @ (now * log_q).sum(1),
        prior @ kl(now, joint / Z[:, None]),
        prior @ kl(now, prior @ now),
        kl(prior @ at, prior @ now),
        prior @ Z.log(),
    ]
    return torch.stack(parts)


def slopes(law, theta, theta0, prior, a):
    theta, at = theta.detach().clone().requires_grad_(), law(theta0).detach()
    loss, mean_kl, js, _, _ = terms(law(theta), at, prior, a)
    both = [torch.autograd.grad(v, theta, retain_graph=True)[0] for v in (loss, mean_kl - js)]
    return torch.stack(both)


def failure(law, theta, theta0, prior):
    theta, before = theta.detach().clone().requires_grad_(), prior @ law(theta0).detach()
    return -torch.autograd.grad(kl(before, prior @ law(theta)), theta)[0]


# %% tags=["wrong-answer"]
# The whole divergence from the old pool, for each y: the JS is in it, and counts twice.
def terms(now, at, prior, a):
    log_q = torch.stack([logsigmoid(a), logsigmoid(-a)])
    joint = log_q.exp() * (prior @ at)
    Z = joint.sum(1)
    parts = [
        -prior @ (now * log_q).sum(1),
        prior @ kl(now, joint / Z[:, None]),
        prior @ kl(now, prior @ now),
        prior @ kl(now, prior @ at),
        prior @ Z.log(),
    ]
    return torch.stack(parts)


def slopes(law, theta, theta0, prior, a):
    theta, at = theta.detach().clone().requires_grad_(), law(theta0).detach()
    loss, mean_kl, js, _, _ = terms(law(theta), at, prior, a)
    both = [torch.autograd.grad(v, theta, retain_graph=True)[0] for v in (loss, mean_kl - js)]
    return torch.stack(both)


def failure(law, theta, theta0, prior):
    theta, before = theta.detach().clone().requires_grad_(), prior @ law(theta0).detach()
    return -torch.autograd.grad(kl(prior @ law(theta), before), theta)[0]


# %% tags=["wrong-answer"]
# The logarithm of the mean evidence, not the mean of its logarithm.
def terms(now, at, prior, a):
    log_q = torch.stack([logsigmoid(a), logsigmoid(-a)])
    joint = log_q.exp() * (prior @ at)
    Z = joint.sum(1)
    parts = [
        -prior @ (now * log_q).sum(1),
        prior @ kl(now, joint / Z[:, None]),
        prior @ kl(now, prior @ now),
        kl(prior @ now, prior @ at),
        (prior @ Z).log(),
    ]
    return torch.stack(parts)


def slopes(law, theta, theta0, prior, a):
    theta, at = theta.detach().clone().requires_grad_(), law(theta0).detach()
    loss, mean_kl, js, _, _ = terms(law(theta), at, prior, a)
    both = [torch.autograd.grad(v, theta, retain_graph=True)[0] for v in (loss, mean_kl - js)]
    return torch.stack(both)


def failure(law, theta, theta0, prior):
    theta, before = theta.detach().clone().requires_grad_(), prior @ law(theta0).detach()
    return -torch.autograd.grad(kl(prior @ law(theta), before), theta)[0]


# %% tags=["wrong-answer"]
# Where the generator stands still the gradient also passes through the posterior.
def terms(now, at, prior, a):
    log_q = torch.stack([logsigmoid(a), logsigmoid(-a)])
    joint = log_q.exp() * (prior @ at)
    Z = joint.sum(1)
    parts = [
        -prior @ (now * log_q).sum(1),
        prior @ kl(now, joint / Z[:, None]),
        prior @ kl(now, prior @ now),
        kl(prior @ now, prior @ at),
        prior @ Z.log(),
    ]
    return torch.stack(parts)


def slopes(law, theta, theta0, prior, a):
    same = torch.equal(theta, theta0)
    theta = theta.detach().clone().requires_grad_()
    now = law(theta)
    loss, mean_kl, js, _, _ = terms(now, now if same else law(theta0), prior, a)
    both = [torch.autograd.grad(v, theta, retain_graph=True)[0] for v in (loss, mean_kl - js)]
    return torch.stack(both)


def failure(law, theta, theta0, prior):
    theta, before = theta.detach().clone().requires_grad_(), prior @ law(theta0).detach()
    return -torch.autograd.grad(kl(prior @ law(theta), before), theta)[0]


# %% tags=["wrong-answer"]
# The second slope is that of kl alone: the JS is symmetric, so it is said not to matter.
def terms(now, at, prior, a):
    log_q = torch.stack([logsigmoid(a), logsigmoid(-a)])
    joint = log_q.exp() * (prior @ at)
    Z = joint.sum(1)
    parts = [
        -prior @ (now * log_q).sum(1),
        prior @ kl(now, joint / Z[:, None]),
        prior @ kl(now, prior @ now),
        kl(prior @ now, prior @ at),
        prior @ Z.log(),
    ]
    return torch.stack(parts)


def slopes(law, theta, theta0, prior, a):
    theta, at = theta.detach().clone().requires_grad_(), law(theta0).detach()
    loss, mean_kl, _, _, _ = terms(law(theta), at, prior, a)
    both = [torch.autograd.grad(v, theta, retain_graph=True)[0] for v in (loss, mean_kl)]
    return torch.stack(both)


def failure(law, theta, theta0, prior):
    theta, before = theta.detach().clone().requires_grad_(), prior @ law(theta0).detach()
    return -torch.autograd.grad(kl(prior @ law(theta), before), theta)[0]


# %% tags=["wrong-answer"]
# The lemma is taken for true everywhere.
def terms(now, at, prior, a):
    log_q = torch.stack([logsigmoid(a), logsigmoid(-a)])
    joint = log_q.exp() * (prior @ at)
    Z = joint.sum(1)
    parts = [
        -prior @ (now * log_q).sum(1),
        prior @ kl(now, joint / Z[:, None]),
        prior @ kl(now, prior @ now),
        kl(prior @ now, prior @ at),
        prior @ Z.log(),
    ]
    return torch.stack(parts)


def slopes(law, theta, theta0, prior, a):
    theta, at = theta.detach().clone().requires_grad_(), law(theta0).detach()
    loss, mean_kl, js, _, _ = terms(law(theta), at, prior, a)
    both = [torch.autograd.grad(v, theta, retain_graph=True)[0] for v in (loss, mean_kl - js)]
    return torch.stack(both)


def failure(law, theta, theta0, prior):
    return torch.zeros_like(theta)


# %% nbgrader={"grade": true, "grade_id": "check-lemma", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def entropy(p):
    """−Σ p log p over the last dimension."""
    return -torch.xlogy(p, p).sum(-1)


def softmax_game(seed, real):
    """A generator softmax(A θ) of 6 values and 3 weights: its law, a prior and logits."""
    g = seeded(seed)
    A, data, a = randn(6, 3, generator=g), randn(6, generator=g).softmax(0), randn(6, generator=g)

    def law(theta):
        return torch.stack([(A @ theta).softmax(0), data])

    return law, vector(1 - real, real), a, randn(3, generator=g)


with check("9.3") as answer:
    for seed, real in ((7, 0.5), (8, 0.3)):
        law, prior, a, theta0 = softmax_game(seed, real)
        theta = theta0 + vector(0.5, -0.8, 0.4)
        now, at = law(theta), law(theta0)
        parts = terms(now, at, prior, a)
        fits(parts, 5)
        loss, mean_kl, js, drift, evidence = parts.tolist()
        setting = f"p(y = 1) = {real}, a random game, θ away from θ0"
        right = float(prior @ (now * softplus(torch.stack([-a, a]))).sum(1))
        assert abs(loss - right) < 1e-9, (
            f"{setting}: the loss is -E log q^r(y | x) = {right:.4f}, what the generator "
            f"*minimises*; yours is {loss:.4f}"
        )
        right = float(entropy(prior @ now) - prior @ entropy(now))
        why = ", with the p(y) of the game and not halves" if real != 0.5 else ""
        assert abs(js - right) < 1e-9, (
            f"{setting}: the JS is H of p_θ(x) less the mean H of p_θ(x | y), {right:.4f}{why}; "
            f"yours is {js:.4f}"
        )
        right = float((prior @ now) @ ((prior @ now) / (prior @ at)).log())
        assert abs(drift - right) < 1e-9, (
            f"{setting}: the drift is the divergence of all x together, p_θ(x), from where they "
            f"were, {right:.4f}; yours is {drift:.4f}"
        )
        chances = torch.sigmoid(torch.stack([a, -a])) @ (prior @ at)
        right = float(prior @ chances.log())
        assert abs(evidence - right) < 1e-9, (
            f"{setting}: Z = {said(chances)} at θ0, and the mean of log Z is {right:.4f}; yours is "
            f"{evidence:.4f}"
        )
        off = loss - (mean_kl - js - drift - evidence)
        assert abs(off) < 1e-9, (
            f"{setting}: your loss, JS, drift and evidence are right, and kl - js - drift - "
            f"evidence is {-off:.4f} more than the loss. Whose posterior is q^r(x | y)?"
        )
        fixed = {
            "θ = θ0": theta0,
            "θ away from θ0": theta,
        }
        for where, point in fixed.items():
            found = slopes(law, point, theta0, prior, a)
            fits(found, 2, 3)
            held = partial(terms, at=law(theta0), prior=prior, a=a)
            right = slopes_of(lambda v, held=held, law=law: held(law(v))[0], point)
            assert torch.allclose(found[0], right, atol=1e-7), (
                f"p(y = 1) = {real}, {where}: by finite differences the loss has the slopes "
                f"{said(right)} in θ; yours are {said(found[0])}"
            )
            right = slopes_of(
                lambda v, held=held, law=law: held(law(v))[1] - held(law(v))[2], point
            )
            assert torch.allclose(found[1], right, atol=1e-7), (
                f"p(y = 1) = {real}, {where}: by finite differences kl - js has the slopes "
                f"{said(right)} in θ, with q^r(x | y) held still; yours are {said(found[1])}. Does "
                "the gradient also pass through the posterior, or is a term left out?"
            )
            right, found = found[0] - found[1], failure(law, point, theta0, prior)
            fits(found, 3)
            assert torch.allclose(found, right, atol=1e-7), (
                f"p(y = 1) = {real}, {where}: your slopes of the loss less those of kl - js are "
                f"{said(right)}; your failure says {said(found)}. Which terms of the identity have "
                "a slope, and with which sign?"
            )
        nearby = slopes(law, theta0, theta0, prior, a)
        assert torch.allclose(*nearby, atol=1e-9), "at θ0 the two slopes are the same"
### BEGIN HIDDEN TESTS
answer.require()
from genlab.unified import lemma_gan, on_finite

law, prior, a, theta0 = softmax_game(9, 0.6)
theta = (theta0 - 0.7).requires_grad_()
now, at = (on_finite(*law(v), real=0.6) for v in (theta, theta0))
right = lemma_gan(now, at, a)
assert torch.allclose(terms(law(theta), law(theta0), prior, a), torch.stack(list(right)))
for value, found in (
    (right.loss, slopes(law, theta, theta0, prior, a)[0]),
    (right.kl - right.js, slopes(law, theta, theta0, prior, a)[1]),
    (-right.drift, failure(law, theta, theta0, prior)),
):
    assert torch.allclose(torch.autograd.grad(value, theta, retain_graph=True)[0], found)
### END HIDDEN TESTS

# %% [markdown]
# One step long (nothing to hand in): the data are $N(0, 1)$, the generator is $N(\theta, 1)$ and
# starts at 2. It takes steps down the slope of its loss, and after every $k$ of them $D$ is trained
# to the end, which makes a new $\theta_0$. What does the generator do between two trainings? Which
# of the terms would have held it back, and why is there none of it to feel for $k = 1$?


# %%
def normal_laws(theta):
    """N(θ, 1) and N(0, 1) as tables on a fine grid."""
    t = torch.linspace(-15, 15, 301, dtype=torch.float64)
    return torch.stack([(-((t - m) ** 2) / 2).softmax(0) for m in (theta[0], 0.0)])


try:
    paths, half = {}, vector(0.5, 0.5)
    for k in (1, 20, 40):
        path = [vector(2.0)]
        for step in range(120):
            if step % k == 0:
                theta0 = path[-1]
                log_g, log_p = normal_laws(theta0).log()
            down = slopes(normal_laws, path[-1], theta0, half, log_p - log_g)[0]
            path.append(path[-1] - 0.3 * down)
        paths[f"k = {k}"] = torch.cat(path)
    plot.curve(
        torch.arange(121),
        paths,
        x="steps of the generator",
        y="θ",
        height=2.8,
        alt="Three paths from 2. With D trained after every step the path falls to 0 and stays. "
        "With 20 steps between two trainings it falls through 0 and swings in, with 40 the swings "
        "round 0 grow.",
    )
except NotImplementedError:
    print("Comes with exercise 9.3.")

# %% [markdown]
# ## 9.4 A VAE with a label (3 points, 25 minutes)
#
# Give every $x$ the label that a *perfect* discriminator with exchanged labels would give it: it
# knows where each $x$ came from and says the opposite. So real $x$ have $y = 0$ and
# $p_\theta(x \mid z, 0)$ is the decoder; the model's own, old draws have $y = 1$ and
# $p(x \mid z, 1) = p_\text{data}(x)$, whatever $z$ is. Half of all $x$ are real and $p(y) = \tfrac12$;
# the draws are from $p_{\theta_0}$, which stands still. Codes have the prior $p(z)$ under both
# labels. Three lines have been said to be the objective of a VAE:
#
# 1. $\mathrm{E}_\text{data}\, \mathcal L$, the evidence lower bound;
# 2. $2\, \mathrm{E}_x \bigl[ \mathrm{E}_q \log p_\theta(x \mid z, y) -
#    \mathrm{KL}\bigl(q(z \mid x, y)\, q^r_*(y \mid x) \,\|\, p(z)\, p(y)\bigr) \bigr]$;
# 3. $-2\, \mathrm{E}_x\, \mathrm{KL}\bigl(q(z \mid x, y)\, q^r_*(y \mid x) \,\|\, p_\theta(z, y \mid x)\bigr)$.
#
# $\mathrm{E}_x$ is the mean over real and drawn $x$, $q^r_*$ gives one $y$ to each, and
# $p_\theta(z, y \mid x) \propto p_\theta(x \mid z, y)\, p(z)\, p(y)$. Write `lines`: the three, to be
# differentiated in the decoder and the encoder; and `constant`: what line 2 is above line 1.
# *Hint:* for one $x$, how are the brackets of line 2 and the divergence of line 3 related?


# %% nbgrader={"grade": false, "grade_id": "labelled-vae", "locked": false, "schema_version": 3, "solution": true, "task": false}
def lines(prior, decoder, encoder, data, drawn, encoder_of_drawn):
    """The three, [3], nats.

    prior: p(z), [K]; decoder: logits of p_θ(x | z), [K, X]; encoder: of q(z | x, 0), [X, K];
    data, drawn: p_data(x) and p_θ0(x), [X]; encoder_of_drawn: logits of q(z | x, 1), [X, K].
    """
    ### BEGIN SOLUTION
    q, p = encoder.softmax(1), decoder.softmax(1)
    elbo = data @ ((q * p.T.log()).sum(1) - kl(q, prior))
    with_labels = elbo + constant(prior, data, drawn, encoder_of_drawn)
    log_p = ((prior @ p + data) / 2).log()  # of x, whatever its label
    return torch.stack([elbo, with_labels, with_labels - (data + drawn) @ log_p])
    ### END SOLUTION


def constant(prior, data, drawn, encoder_of_drawn):
    """Line 2 less line 1, shape (): it has no θ, and no φ of the real x."""
    ### BEGIN SOLUTION
    of_drawn = data.log() - kl(encoder_of_drawn.softmax(1), prior)
    return drawn @ of_drawn - 2 * math.log(2)
    ### END SOLUTION


# %% tags=["wrong-answer"]
# The factor 2 is left out: p(y) = ½ is in the mean twice.
def constant(prior, data, drawn, encoder_of_drawn):
    of_drawn = data.log() - kl(encoder_of_drawn.softmax(1), prior)
    return drawn @ of_drawn - 2 * math.log(2)


def lines(prior, decoder, encoder, data, drawn, encoder_of_drawn):
    q, p = encoder.softmax(1), decoder.softmax(1)
    elbo = data @ ((q * p.T.log()).sum(1) - kl(q, prior))
    second = (elbo + constant(prior, data, drawn, encoder_of_drawn)) / 2
    log_p = ((prior @ p + data) / 2).log()
    return torch.stack([elbo, second, second - (data + drawn) @ log_p / 2])


# %% tags=["wrong-answer"]
# The labels are not turned round: real x are given y = 1, so p_data is their decoder.
def constant(prior, data, drawn, encoder_of_drawn):
    of_drawn = data.log() - kl(encoder_of_drawn.softmax(1), prior)
    return drawn @ of_drawn - 2 * math.log(2)


def lines(prior, decoder, encoder, data, drawn, encoder_of_drawn):
    q, r, p = encoder.softmax(1), encoder_of_drawn.softmax(1), decoder.softmax(1)
    elbo = data @ ((q * p.T.log()).sum(1) - kl(q, prior))
    second = data @ (data.log() - kl(q, prior)) - 2 * math.log(2)
    second = second + drawn @ ((r * p.T.log()).sum(1) - kl(r, prior))
    log_p = ((prior @ p + data) / 2).log()
    return torch.stack([elbo, second, second - (data + drawn) @ log_p])


# %% tags=["wrong-answer"]
# The KL from p(y): what it costs to be sure of a label, log 2 for each x, is forgotten.
def constant(prior, data, drawn, encoder_of_drawn):
    return drawn @ (data.log() - kl(encoder_of_drawn.softmax(1), prior))


def lines(prior, decoder, encoder, data, drawn, encoder_of_drawn):
    q, p = encoder.softmax(1), decoder.softmax(1)
    elbo = data @ ((q * p.T.log()).sum(1) - kl(q, prior))
    second = elbo + constant(prior, data, drawn, encoder_of_drawn)
    log_p = ((prior @ p + data) / 2).log()
    return torch.stack([elbo, second, second - (data + drawn) @ log_p - 2 * math.log(2)])


# %% tags=["wrong-answer"]
# The joint in place of the likelihood, as a slide prints it: the prior of the code counts twice.
def constant(prior, data, drawn, encoder_of_drawn):
    of_drawn = data.log() - kl(encoder_of_drawn.softmax(1), prior)
    return drawn @ of_drawn - 2 * math.log(2)


def lines(prior, decoder, encoder, data, drawn, encoder_of_drawn):
    q, p = encoder.softmax(1), decoder.softmax(1)
    elbo = data @ ((q * (p.T.log() + prior.log())).sum(1) - kl(q, prior))
    second = elbo + constant(prior, data, drawn, encoder_of_drawn)
    log_p = ((prior @ p + data) / 2).log()
    return torch.stack([elbo, second, second - (data + drawn) @ log_p])


# %% tags=["wrong-answer"]
# Old draws cost nothing: only the labels are counted in the constant.
def constant(prior, data, drawn, encoder_of_drawn):
    return torch.tensor(-2 * math.log(2), dtype=torch.float64)


def lines(prior, decoder, encoder, data, drawn, encoder_of_drawn):
    q, p = encoder.softmax(1), decoder.softmax(1)
    elbo = data @ ((q * p.T.log()).sum(1) - kl(q, prior))
    second = elbo + constant(prior, data, drawn, encoder_of_drawn)
    log_p = ((prior @ p + data) / 2).log()
    return torch.stack([elbo, second, second - (data + drawn) @ log_p])


# %% tags=["wrong-answer"]
# Line 3 divides by the old pool, which stands still: it has the slope of the others everywhere.
def constant(prior, data, drawn, encoder_of_drawn):
    of_drawn = data.log() - kl(encoder_of_drawn.softmax(1), prior)
    return drawn @ of_drawn - 2 * math.log(2)


def lines(prior, decoder, encoder, data, drawn, encoder_of_drawn):
    q, p = encoder.softmax(1), decoder.softmax(1)
    elbo = data @ ((q * p.T.log()).sum(1) - kl(q, prior))
    second = elbo + constant(prior, data, drawn, encoder_of_drawn)
    return torch.stack([elbo, second, second - (data + drawn) @ ((drawn + data) / 2).log()])


# %% tags=["wrong-answer"]
# Line 3 takes the posterior of the code alone, and not that of the label.
def constant(prior, data, drawn, encoder_of_drawn):
    of_drawn = data.log() - kl(encoder_of_drawn.softmax(1), prior)
    return drawn @ of_drawn - 2 * math.log(2)


def lines(prior, decoder, encoder, data, drawn, encoder_of_drawn):
    q, r, p = encoder.softmax(1), encoder_of_drawn.softmax(1), decoder.softmax(1)
    elbo = data @ ((q * p.T.log()).sum(1) - kl(q, prior))
    second = elbo + constant(prior, data, drawn, encoder_of_drawn)
    posterior = p.T * prior / (prior @ p)[:, None]
    return torch.stack([elbo, second, -data @ kl(q, posterior) - drawn @ kl(r, prior)])


# %% tags=["wrong-answer"]
# The posterior times the prior, as a slide prints it: the prior counts twice in line 3.
def constant(prior, data, drawn, encoder_of_drawn):
    of_drawn = data.log() - kl(encoder_of_drawn.softmax(1), prior)
    return drawn @ of_drawn - 2 * math.log(2)


def lines(prior, decoder, encoder, data, drawn, encoder_of_drawn):
    q, r, p = encoder.softmax(1), encoder_of_drawn.softmax(1), decoder.softmax(1)
    elbo = data @ ((q * p.T.log()).sum(1) - kl(q, prior))
    second = elbo + constant(prior, data, drawn, encoder_of_drawn)
    joint = torch.cat([p.T * prior**2, data[:, None] * prior**2], 1)
    posterior = joint / joint.sum(1, keepdim=True)
    of_real, of_drawn = posterior.chunk(2, 1)
    return torch.stack([elbo, second, -data @ kl(q, of_real) - drawn @ kl(r, of_drawn)])


# %% nbgrader={"grade": true, "grade_id": "check-labelled-vae", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def some_machine(K, X, generator):
    """Prior, decoder, encoder and data's law, all drawn at random."""
    prior, data = randn(K, generator=generator).softmax(0), randn(X, generator=generator).softmax(0)
    return prior, randn(K, X, generator=generator), randn(X, K, generator=generator), data


with check("9.4") as answer:
    g = seeded(10)
    prior, decoder, encoder, data = some_machine(1, 5, g)
    p, drawn = decoder.softmax(1)[0], randn(5, generator=g).softmax(0)
    found = lines(prior, decoder, encoder, data, drawn, encoder)
    fits(found, 3)
    setting = "one code alone, so that every divergence of codes is 0"
    right = float(data @ p.log())
    assert abs(float(found[0]) - right) < 1e-9, (
        f"{setting}: line 1 is E_data log p_θ(x) = {right:.4f}; yours is {float(found[0]):.4f}"
    )
    right = float(data @ p.log() + drawn @ data.log()) - 2 * math.log(2)
    assert abs(float(found[1]) - right) < 1e-9, (
        f"{setting}: line 2 is E_data log p_θ(x) + E_drawn log p_data(x) - 2 log 2 = {right:.4f}; "
        f"yours is {float(found[1]):.4f}. Real x have y = 0, and to be sure of a label costs log 2"
    )
    D = data / (data + p)
    right = float(data @ (1 - D).log() + drawn @ D.log())
    assert abs(float(found[2]) - right) < 1e-9, (
        f"{setting}: by Bayes p_θ(y = 1 | x) is D(x) = p_data/(p_data + p_θ), and line 3 is "
        f"E_data log(1 - D) + E_drawn log D = {right:.4f}; yours is {float(found[2]):.4f}"
    )
    prior, decoder, _, data = some_machine(3, 5, g)
    p = decoder.softmax(1)
    encoder = (p.T * prior).log()  # the posterior of the code
    for at_theta0, where in ((True, "at θ = θ0"), (False, "away from θ0")):
        drawn = prior @ p if at_theta0 else randn(5, generator=g).softmax(0)
        of_drawn = randn(5, 3, generator=g)
        found = lines(prior, decoder, encoder, data, drawn, of_drawn)
        setting = f"3 codes, 5 values of x, {where}"
        right = float(data @ (prior @ p).log())
        assert abs(float(found[0]) - right) < 1e-9, (
            f"{setting}, the encoder the posterior: line 1 is E_data log p_θ(x) = {right:.4f}; "
            f"yours is {float(found[0]):.4f}. Is the prior of the code counted once?"
        )
        C = constant(prior, data, drawn, of_drawn)
        fits(C)
        rates = of_drawn.log_softmax(1) - prior.log()
        paid = (of_drawn.softmax(1) * rates).sum(1)
        right = float(drawn @ (data.log() - paid)) - 2 * math.log(2)
        assert abs(float(C) - right) < 1e-9, (
            f"{setting}: the constant is 2 log 1/2 and, for the drawn x, E log p_data(x) less the "
            f"divergence of their codes from the prior: {right:.4f}; yours is {float(C):.4f}"
        )
        off = float(found[1] - found[0] - C)
        assert abs(off) < 1e-9, (
            f"{setting}: line 2 less line 1 should be your constant, {float(C):.4f}; it is "
            f"{float(found[1] - found[0]):.4f}"
        )
        D = data / (data + prior @ p)
        right = float(data @ (1 - D).log() + drawn @ D.log())
        of_prior = prior.log().expand(5, 3)
        at_posteriors = lines(prior, decoder, encoder, data, drawn, of_prior)
        assert abs(float(at_posteriors[2]) - right) < 1e-9, (
            f"{setting}: where both encoders are posteriors of the code, only the label is left to "
            f"pay for, and line 3 is E_data log(1 - D) + E_drawn log D = {right:.4f}, with "
            f"D = p_data/(p_data + p_θ); yours is {float(at_posteriors[2]):.4f}. p_θ(z, y | x) is a "
            "law of code and label together, normalised with the weights of now"
        )
        apart = float((at_posteriors[1] - at_posteriors[2]) - (found[1] - found[2]))
        assert abs(apart) < 1e-9, (
            f"{setting}: by Bayes line 2 less line 3 is a matter of p_θ(x), of which the encoders "
            f"know nothing; yours changes by {apart:.4f} with the encoder of the drawn x"
        )
        other = randn(5, 3, generator=g)
        rest = {"encoder": other, "data": data, "drawn": drawn, "encoder_of_drawn": of_drawn}
        of_decoder = partial(lines, prior, **rest)
        in_decoder = torch.stack(
            [slopes_of(lambda v, i=i, f=of_decoder: f(v)[i], decoder) for i in range(3)]
        )
        assert torch.allclose(in_decoder[1], in_decoder[0], atol=1e-7), (
            f"{setting}: lines 1 and 2 have the same slopes in the decoder, always; yours differ "
            f"by up to {float((in_decoder[1] - in_decoder[0]).abs().max()):.4f}"
        )
        apart = float((in_decoder[2] - in_decoder[0]).abs().max())
        assert (apart < 1e-7) == at_theta0, (
            f"{setting}: lines 1 and 3 have the same slopes in the decoder at θ0, and only there; "
            f"yours differ by up to {apart:.4f}"
        )
        table = decoder.clone().requires_grad_()
        value = of_decoder(table)[2]
        assert value.requires_grad, "no gradient passes from your lines to the decoder"
        assert torch.allclose(torch.autograd.grad(value, table)[0], in_decoder[2], atol=1e-7), (
            f"{setting}: the slopes of line 3 in the decoder are not those that autograd finds"
        )
### BEGIN HIDDEN TESTS
answer.require()
from genlab.unified import lemma_vae

g = seeded(11)
prior, decoder, encoder, data = some_machine(4, 7, g)
drawn, of_drawn = randn(7, generator=g).softmax(0), randn(7, 4, generator=g)
right = lemma_vae(HelmholtzMachine(prior, decoder, encoder), data, drawn, of_drawn)
found = lines(prior, decoder, encoder, data, drawn, of_drawn)
assert torch.allclose(found, torch.stack(list(right[:3])), atol=1e-10)
assert abs(float(constant(prior, data, drawn, of_drawn) - right.constant)) < 1e-10
### END HIDDEN TESTS

# %% [markdown]
# How far the third line holds (nothing to hand in): the decoder goes away from $\theta_0$, along a
# direction drawn at random. The columns are the largest differences of a slope in the decoder from
# that of the bound. With one code and at $\theta_0$ the third line has the value of
# $2 \mathcal L_\theta$ for the best $D$. A GAN's generator moves the draws and holds $D$: what
# moves here, and what is held?


# %%
try:
    g = seeded(12)
    prior, decoder, encoder, data = some_machine(3, 5, g)
    direction, of_drawn = randn(3, 5, generator=g), randn(5, 3, generator=g)
    drawn = prior @ decoder.softmax(1)
    table = ["step   line 2   line 3"]
    for step in (0.0, 0.1, 0.3, 1.0):
        rows = [
            slopes_of(
                lambda v, i=i: lines(prior, v, encoder, data, drawn, of_drawn)[i],
                decoder + step * direction,
            )
            for i in range(3)
        ]
        apart = [float((row - rows[0]).abs().max()) for row in rows[1:]]
        table.append(f"{step:4.1f}{apart[0]:9.4f}{apart[1]:9.4f}")
    print(*table, sep="\n")
except NotImplementedError:
    print("Comes with exercise 9.4.")

# %% [markdown]
# ## 9.5 Who drops a mode first? (3 points, 25 minutes)
#
# The view says: a GAN has the generator before the bars of its KL, so it misses modes. Does it?
# The data are $\tfrac12 N(-\mu, 1) + \tfrac12 N(\mu, 1)$, the generator is $g = N(b, s^2)$. With
# $m = \tfrac12 (p + g)$ there are four candidates for what falls. The last two are what a game
# descends whose $D$ is always the best:
#
# | kind | divergence |
# |---|---|
# | `"forward"` | $\mathrm{KL}(p \,\Vert\, g)$, maximum likelihood |
# | `"reverse"` | $\mathrm{KL}(g \,\Vert\, p)$ |
# | `"saturating"` | $2\,\mathrm{JS}(p, g)$, the game of zero sum |
# | `"non-saturating"` | $2\,\mathrm{KL}(m \,\Vert\, p)$, the practical game |
#
# Write
#
# - `divergence`: each, as an integral over `LINE` by the trapezoid rule, in logarithms where that
#   matters; gradients pass through $b$ and $s$;
# - `switch`: the $\mu$ from which the best law at one mode is better than the best law over both.
#   Find the two by `descend`, from $(\mu, 1)$ and from $(0, \sqrt{1 + \mu^2})$; search between
#   $\mu = 1$ and 6, to 0.01; `math.inf` if both are still preferred at 6.
#
# Before you run it: in which order do the four drop a mode?
#
# *Hint:* `two_modes(mu)(LINE)` is $\log p$. For small $\mu$ both descents end at the same law, with
# values equal but for rounding, so ask for better by $10^{-6}$; halve the interval.


# %% nbgrader={"grade": false, "grade_id": "drops", "locked": false, "schema_version": 3, "solution": true, "task": false}
def divergence(b, s, mu, kind):
    """Of N(b, s²) and the data, shape (), nats. b, s: tensors of shape (); mu: a float."""
    ### BEGIN SOLUTION
    log_p, log_g = two_modes(mu)(LINE), Normal(b, s).log_prob(LINE)
    log_mix = torch.logaddexp(log_p, log_g) - math.log(2)

    def kl_of(one, other):
        return torch.trapezoid(one.exp() * (one - other), LINE)

    return {
        "forward": lambda: kl_of(log_p, log_g),
        "reverse": lambda: kl_of(log_g, log_p),
        "saturating": lambda: kl_of(log_p, log_mix) + kl_of(log_g, log_mix),
        "non-saturating": lambda: 2 * kl_of(log_mix, log_p),
    }[kind]()
    ### END SOLUTION


def switch(kind):
    """The μ from which one mode is preferred, a float."""
    ### BEGIN SOLUTION

    def prefers_one(mu):
        falls = partial(divergence, mu=mu, kind=kind)
        both = descend(falls, 0.0, math.sqrt(1 + mu * mu))[2]
        return descend(falls, mu, 1.0)[2] < both - 1e-6

    low, high = 1.0, 6.0
    if not prefers_one(high):
        return math.inf
    while high - low > 0.01:
        middle = (low + high) / 2
        low, high = (low, middle) if prefers_one(middle) else (middle, high)
    return (low + high) / 2
    ### END SOLUTION


# %% tags=["wrong-answer"]
# The two directions are exchanged.
SWITCH = {"forward": 2.8, "reverse": math.inf, "saturating": 4.245, "non-saturating": 2.38}


def divergence(b, s, mu, kind):
    log_p, log_g = two_modes(mu)(LINE), Normal(b, s).log_prob(LINE)
    log_mix = torch.logaddexp(log_p, log_g) - math.log(2)

    def kl_of(one, other):
        return torch.trapezoid(one.exp() * (one - other), LINE)

    if kind == "saturating":
        return kl_of(log_p, log_mix) + kl_of(log_g, log_mix)
    if kind == "non-saturating":
        return 2 * kl_of(log_mix, log_p)
    return kl_of(log_g, log_p) if kind == "forward" else kl_of(log_p, log_g)


def switch(kind):
    return SWITCH[kind]


# %% tags=["wrong-answer"]
# "A GAN minimises KL(g‖p)": the practical game is given the reverse divergence.
def divergence(b, s, mu, kind):
    log_p, log_g = two_modes(mu)(LINE), Normal(b, s).log_prob(LINE)
    log_mix = torch.logaddexp(log_p, log_g) - math.log(2)

    def kl_of(one, other):
        return torch.trapezoid(one.exp() * (one - other), LINE)

    if kind == "saturating":
        return kl_of(log_p, log_mix) + kl_of(log_g, log_mix)
    return kl_of(log_p, log_g) if kind == "forward" else kl_of(log_g, log_p)


def switch(kind):
    return {"forward": math.inf, "saturating": 4.245}.get(kind, 2.8)


# %% tags=["wrong-answer"]
# KL(g‖p) − JS: the JS is given back once.
def divergence(b, s, mu, kind):
    log_p, log_g = two_modes(mu)(LINE), Normal(b, s).log_prob(LINE)
    log_mix = torch.logaddexp(log_p, log_g) - math.log(2)

    def kl_of(one, other):
        return torch.trapezoid(one.exp() * (one - other), LINE)

    twice = kl_of(log_p, log_mix) + kl_of(log_g, log_mix)
    if kind == "non-saturating":
        return kl_of(log_g, log_p) - twice / 2
    if kind == "saturating":
        return twice
    return kl_of(log_p, log_g) if kind == "forward" else kl_of(log_g, log_p)


def switch(kind):
    return dict(zip(DIRECTIONS, (math.inf, 2.8, 4.245, 2.6), strict=True))[kind]


# %% tags=["wrong-answer"]
# JS once, where the game of zero sum has it twice.
def divergence(b, s, mu, kind):
    log_p, log_g = two_modes(mu)(LINE), Normal(b, s).log_prob(LINE)
    log_mix = torch.logaddexp(log_p, log_g) - math.log(2)

    def kl_of(one, other):
        return torch.trapezoid(one.exp() * (one - other), LINE)

    if kind == "non-saturating":
        return 2 * kl_of(log_mix, log_p)
    if kind == "saturating":
        return (kl_of(log_p, log_mix) + kl_of(log_g, log_mix)) / 2
    return kl_of(log_p, log_g) if kind == "forward" else kl_of(log_g, log_p)


def switch(kind):
    return dict(zip(DIRECTIONS, (math.inf, 2.8, 4.245, 2.38), strict=True))[kind]


# %% tags=["wrong-answer"]
# A sum over the grid, without the step.
def divergence(b, s, mu, kind):
    log_p, log_g = two_modes(mu)(LINE), Normal(b, s).log_prob(LINE)
    log_mix = torch.logaddexp(log_p, log_g) - math.log(2)

    def kl_of(one, other):
        return (one.exp() * (one - other)).sum()

    if kind == "saturating":
        return kl_of(log_p, log_mix) + kl_of(log_g, log_mix)
    if kind == "non-saturating":
        return 2 * kl_of(log_mix, log_p)
    return kl_of(log_p, log_g) if kind == "forward" else kl_of(log_g, log_p)


def switch(kind):
    return dict(zip(DIRECTIONS, (math.inf, 2.8, 4.245, 2.38), strict=True))[kind]


# %% tags=["wrong-answer"]
# Densities first, logarithms afterwards: far from the data log 0 comes in.
def divergence(b, s, mu, kind):
    p, g = two_modes(mu)(LINE).exp(), Normal(b, s).log_prob(LINE).exp()

    def kl_of(one, other):
        return torch.trapezoid(one * (one / other).log(), LINE)

    if kind == "saturating":
        return kl_of(p, (p + g) / 2) + kl_of(g, (p + g) / 2)
    if kind == "non-saturating":
        return 2 * kl_of((p + g) / 2, p)
    return kl_of(p, g) if kind == "forward" else kl_of(g, p)


def switch(kind):
    return dict(zip(DIRECTIONS, (math.inf, 2.8, 4.245, 2.38), strict=True))[kind]


# %% tags=["wrong-answer"]
# Where one mode begins to be a place to rest, not where it is the better one.
def divergence(b, s, mu, kind):
    log_p, log_g = two_modes(mu)(LINE), Normal(b, s).log_prob(LINE)
    log_mix = torch.logaddexp(log_p, log_g) - math.log(2)

    def kl_of(one, other):
        return torch.trapezoid(one.exp() * (one - other), LINE)

    if kind == "saturating":
        return kl_of(log_p, log_mix) + kl_of(log_g, log_mix)
    if kind == "non-saturating":
        return 2 * kl_of(log_mix, log_p)
    return kl_of(log_p, log_g) if kind == "forward" else kl_of(log_g, log_p)


def switch(kind):
    low, high = 1.0, 6.0

    def rests(mu):
        return descend(lambda b, s: divergence(b, s, mu, kind), mu, 1.0)[0] > mu / 2

    if not rests(high):
        return math.inf
    while high - low > 0.01:
        middle = (low + high) / 2
        low, high = (low, middle) if rests(middle) else (middle, high)
    return high


# %% tags=["wrong-answer"]
# Two fixed laws are compared, N(μ, 1) and N(0, 1 + μ²): neither is the best of its sort.
def divergence(b, s, mu, kind):
    log_p, log_g = two_modes(mu)(LINE), Normal(b, s).log_prob(LINE)
    log_mix = torch.logaddexp(log_p, log_g) - math.log(2)

    def kl_of(one, other):
        return torch.trapezoid(one.exp() * (one - other), LINE)

    if kind == "saturating":
        return kl_of(log_p, log_mix) + kl_of(log_g, log_mix)
    if kind == "non-saturating":
        return 2 * kl_of(log_mix, log_p)
    return kl_of(log_p, log_g) if kind == "forward" else kl_of(log_g, log_p)


def switch(kind):
    low, high = 1.0, 6.0
    if kind == "forward":
        return math.inf
    while high - low > 0.01:
        mu = (low + high) / 2
        one = divergence(vector(mu)[0], vector(1.0)[0], mu, kind)
        both = divergence(vector(0.0)[0], vector(1 + mu * mu)[0].sqrt(), mu, kind)
        low, high = (low, mu) if one < both else (mu, high)
    return high


# %% tags=["wrong-answer"]
# What never comes is said to come at the end of the interval.
def divergence(b, s, mu, kind):
    log_p, log_g = two_modes(mu)(LINE), Normal(b, s).log_prob(LINE)
    log_mix = torch.logaddexp(log_p, log_g) - math.log(2)

    def kl_of(one, other):
        return torch.trapezoid(one.exp() * (one - other), LINE)

    if kind == "saturating":
        return kl_of(log_p, log_mix) + kl_of(log_g, log_mix)
    if kind == "non-saturating":
        return 2 * kl_of(log_mix, log_p)
    return kl_of(log_p, log_g) if kind == "forward" else kl_of(log_g, log_p)


def switch(kind):
    return dict(zip(DIRECTIONS, (6.0, 2.8, 4.245, 2.38), strict=True))[kind]


# %% nbgrader={"grade": true, "grade_id": "check-drops", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
SWITCHES = {"forward": math.inf, "reverse": 2.800, "saturating": 4.245, "non-saturating": 2.380}

with check("9.5") as answer:
    one, eight = vector(1.0, 8.0)
    mixture = vector(0.75, 0.25)
    far = {
        "reverse": math.log(2),
        "saturating": float(kl(vector(0.5, 0.5), mixture) + kl(vector(1.0, 0.0), mixture)),
        "non-saturating": float(2 * kl(mixture, vector(0.5, 0.5))),
    }
    for kind in DIRECTIONS:
        found = divergence(0 * one, one, 0.0, kind)
        fits(found)
        assert abs(float(found)) < 1e-9, (
            f"{kind}: with μ = 0 the data are N(0, 1); a generator N(0, 1) is 0 away from them; "
            f"yours says {float(found):.4f}"
        )
    for kind, right in far.items():
        found = float(divergence(eight, one, 8.0, kind))
        assert abs(found - right) < 1e-6, (
            f"{kind}: modes at ±8 and a generator that is one of them; then only the weights count, "
            f"p = (1/2, 1/2) and g = (1, 0), and the divergence is {right:.4f}; yours is {found:.4f}"
        )
    wide = vector(65.0)[0].sqrt()
    found = float(divergence(0 * one, wide, 8.0, "forward"))
    right = 0.5 * math.log(65) - math.log(2)
    assert abs(found - right) < 1e-6, (
        "forward: modes at ±8 and the generator N(0, 65), the most likely one: the divergence is "
        f"log √65 - log 2 = {right:.4f}; yours is {found:.4f}"
    )
    found = float(divergence(0 * one, one, 3.0, "forward"))
    right = 0.5 * (9 + 1) + 0.5 * math.log(2 * math.pi)
    p = two_modes(3.0)(LINE)
    right += float(torch.trapezoid(p.exp() * p, LINE))
    assert abs(found - right) < 1e-6, (
        f"forward: modes at ±3 and the generator N(0, 1): the divergence is {right:.4f}; yours is "
        f"{found:.4f}"
    )
    for kind in DIRECTIONS:
        at = vector(1.0, 0.7).requires_grad_()
        number = divergence(at[0], at[1], 2.0, kind)
        assert number.requires_grad, f"{kind}: no gradient passes from your divergence to b and s"
        (slope,) = torch.autograd.grad(number, at)
        right = slopes_of(lambda v, kind=kind: divergence(v[0], v[1], 2.0, kind), at.detach())
        assert torch.allclose(slope, right, atol=1e-6), (
            f"{kind}: N(1, 0.49) and modes at ±2: the slopes in b and s are {said(right)} by finite "
            f"differences; yours are {said(slope)} by autograd"
        )
    for kind, right in SWITCHES.items():
        found = float(switch(kind))
        near = found == right if math.isinf(right) else abs(found - right) < 0.012
        why = {
            "forward": "the most likely normal law has the mean of the data, 0, whatever μ is",
            "reverse": "are both laws the best of their sort?",
            "saturating": "a law at one mode is a place to rest long before it is the better one",
            "non-saturating": "a missed mode costs 0.26 nats, less than in the reverse divergence",
        }[kind]
        assert near, (
            f"{kind}: one mode is preferred from μ = {right:.3f} on; yours says {found:.3f}: {why}"
        )
### BEGIN HIDDEN TESTS
answer.require()
from genlab.divergences import on_grid, switching_point
from genlab.gans import descended

at = vector(1.5, 0.8)
log_p, log_g = two_modes(2.5)(LINE), Normal(*at).log_prob(LINE)
right = on_grid(log_p, log_g, LINE)
for kind, value in (
    ("forward", right["kl"]),
    ("reverse", right["reverse_kl"]),
    ("saturating", descended(log_p, log_g, LINE, "saturating")),
    ("non-saturating", descended(log_p, log_g, LINE)),
):
    assert abs(float(divergence(*at, 2.5, kind) - value)) < 1e-9
assert abs(switch("reverse") - switching_point()) < 0.02
### END HIDDEN TESTS

# %% [markdown]
# What each has to choose between (nothing to hand in): the dashed line is the best law at one mode,
# the other the best law over both. Which game pays least for a missed mode? Which one covers
# longest, and is what it descends a reverse KL? What becomes of the claim at the top?


# %%
try:
    apart = torch.linspace(2.0, 5.0, 13, dtype=torch.float64)
    kinds = DIRECTIONS[1:]
    with plot.figure(
        panels=3,
        x="μ",
        y="nats",
        title=list(kinds),
        height=2.4,
        alt="Three panels over μ, half the distance of the modes. In each a line for the law over "
        "both rises and crosses a level dashed line for one mode: first for the non-saturating "
        "game, near 2.4, then for the reverse divergence, near 2.8, and last for the saturating "
        "game, near 4.2.",
    ) as axes:
        for ax, kind in zip(axes, kinds, strict=True):
            one, both = [], []
            for mu in apart.tolist():
                falls = partial(divergence, mu=mu, kind=kind)
                mean, _, left = descend(falls, mu, 1.0)
                one.append(left if mean > mu / 2 else math.nan)
                both.append(descend(falls, 0.0, math.sqrt(1 + mu * mu))[2])
            ax.plot(apart, both, label="over both")
            ax.plot(apart, one, "--", label="at one")
            ax.set_ylim(0, 1)
        axes[0].legend()
except NotImplementedError:
    print("Comes with exercise 9.5.")

# %% [markdown]
# ## 9.6 Find out why (3 points, 35 minutes)
#
# Four generators $N(b, s^2)$, each at rest beside one of two modes. Grey is the density of the
# data, the thick line that of the generator, and the thin one is $D(x)$ of the discriminator that
# it met last. A and C played the practical game, B and D that of zero sum.


# %%
RUNS = {
    "A": rested("non-saturating", -2.3, 2.3, 2.3),
    "B": rested("saturating", -4.6, 4.6, 4.6),
    "C": rested("non-saturating", -3.2, 3.2, 3.2),
    "D": Run(two_modes(2.6), (-2.6, 2.6), "saturating", 2.6, 0.9, torch.zeros_like),
}
with plot.figure(
    title=list(RUNS),
    panels=4,
    height=2.0,
    alt="Four panels, each with two grey modes and a narrow bell over the right one. In A, B and C "
    "a thin line, the discriminator, falls from 1 on the left to about 1/3 at the bell. In D it "
    "lies at one half everywhere.",
) as axes:
    x = LINE[(LINE >= -8) & (LINE <= 8)]
    for ax, run in zip(axes, RUNS.values(), strict=True):
        ax.fill_between(x, run.log_p(x).exp(), color=plot.COLORS["data"], alpha=0.25, lw=0)
        ax.plot(x, Normal(run.mean, run.sd).log_prob(x).exp(), color=plot.COLORS["model"])
        ax.plot(x, torch.sigmoid(run.logit(x)), color=plot.COLORS["data"], lw=0.8)
        ax.set(ylim=(0, 1.05), xticks=[], yticks=[])

# %% [markdown]
# Why does it miss the other mode? There are four suspects, in this order:
#
# - `"discriminator"`: against the best $D$ it would still move; it rests because of the $D$ it has;
# - `"start"`: the lowest end of its own game covers both modes; it began in the wrong place;
# - `"game"`: the lowest end of its own game does not cover both, that of the other game does;
# - `"family"`: neither game's lowest end covers both; among normal laws there is nothing to want.
#
# A run has `log_p`, `modes`, `kind`, `mean`, `sd` and `logit`. Write
#
# - `pull`: the slope in $(b, \log s)$ of $\mathrm{E}_g \log(1 - D)$ (saturating) or
#   $-\mathrm{E}_g \log D$ (non-saturating), with the best $D$ for this generator, held still. The
#   generator is at rest if the length of this slope is below $10^{-3}$;
# - `lowest_end`: where a game can end, by `fit_generator(run.log_p, LINE, kind, (mean, sd))`, from
#   three starts: at each mode with $s = 1$, and in the middle with $s^2 = 1 + \mu^2$, where $2\mu$ is the
#   distance of the modes. Of three ends the one with the lowest divergence;
# - `verdict`: one of the four words. `covers(mean, sd, modes)` is given.


# %% nbgrader={"grade": false, "grade_id": "missed", "locked": false, "schema_version": 3, "solution": true, "task": false}
def pull(run):
    """The slope against the best D, [2]."""
    ### BEGIN SOLUTION
    at = vector(run.mean, math.log(run.sd)).requires_grad_()
    log_g = Normal(at[0], at[1].exp()).log_prob(LINE)
    a = (run.log_p(LINE) - log_g).detach()
    paid = -softplus(a) if run.kind == "saturating" else softplus(-a)
    return torch.autograd.grad(torch.trapezoid(log_g.exp() * paid, LINE), at)[0]
    ### END SOLUTION


def lowest_end(run, kind):
    """Mean, standard deviation and divergence of the lowest end."""
    ### BEGIN SOLUTION
    left, right = run.modes
    wide = math.hypot(1, (right - left) / 2)
    starts = (left, 1.0), (right, 1.0), ((left + right) / 2, wide)
    ends = [fit_generator(run.log_p, LINE, kind, start) for start in starts]
    return min(ends, key=lambda end: end.divergence)
    ### END SOLUTION


def verdict(run):
    """One of the four words."""
    ### BEGIN SOLUTION
    if pull(run).norm() > 1e-3:
        return "discriminator"
    mean, sd, _ = lowest_end(run, run.kind)
    if covers(mean, sd, run.modes):
        return "start"
    other = "saturating" if run.kind == "non-saturating" else "non-saturating"
    mean, sd, _ = lowest_end(run, other)
    return "game" if covers(mean, sd, run.modes) else "family"
    ### END SOLUTION


# %% tags=["wrong-answer"]
# It asks the D of the run: whom a blind D does not push is taken to be at rest.
def pull(run):
    at = vector(run.mean, math.log(run.sd)).requires_grad_()
    log_g = Normal(at[0], at[1].exp()).log_prob(LINE)
    a = run.logit(LINE)
    paid = -softplus(a) if run.kind == "saturating" else softplus(-a)
    return torch.autograd.grad(torch.trapezoid(log_g.exp() * paid, LINE), at)[0]


def lowest_end(run, kind):
    left, right = run.modes
    wide = math.hypot(1, (right - left) / 2)
    starts = (left, 1.0), (right, 1.0), ((left + right) / 2, wide)
    return min((fit_generator(run.log_p, LINE, kind, s) for s in starts), key=lambda e: e[2])


def verdict(run):
    if pull(run).norm() > 1e-3:
        return "discriminator"
    if covers(*lowest_end(run, run.kind)[:2], run.modes):
        return "start"
    other = "saturating" if run.kind == "non-saturating" else "non-saturating"
    return "game" if covers(*lowest_end(run, other)[:2], run.modes) else "family"


# %% tags=["wrong-answer"]
# D is not held: it is trained again while G steps.
def pull(run):
    at = vector(run.mean, math.log(run.sd)).requires_grad_()
    log_g = Normal(at[0], at[1].exp()).log_prob(LINE)
    a = run.log_p(LINE) - log_g
    paid = -softplus(a) if run.kind == "saturating" else softplus(-a)
    return torch.autograd.grad(torch.trapezoid(log_g.exp() * paid, LINE), at)[0]


def lowest_end(run, kind):
    left, right = run.modes
    wide = math.hypot(1, (right - left) / 2)
    starts = (left, 1.0), (right, 1.0), ((left + right) / 2, wide)
    return min((fit_generator(run.log_p, LINE, kind, s) for s in starts), key=lambda e: e[2])


def verdict(run):
    if pull(run).norm() > 1e-3:
        return "discriminator"
    if covers(*lowest_end(run, run.kind)[:2], run.modes):
        return "start"
    other = "saturating" if run.kind == "non-saturating" else "non-saturating"
    return "game" if covers(*lowest_end(run, other)[:2], run.modes) else "family"


# %% tags=["wrong-answer"]
# The slope of the practical loss, whichever game was played.
def pull(run):
    at = vector(run.mean, math.log(run.sd)).requires_grad_()
    log_g = Normal(at[0], at[1].exp()).log_prob(LINE)
    a = (run.log_p(LINE) - log_g).detach()
    return torch.autograd.grad(torch.trapezoid(log_g.exp() * softplus(-a), LINE), at)[0]


def lowest_end(run, kind):
    left, right = run.modes
    wide = math.hypot(1, (right - left) / 2)
    starts = (left, 1.0), (right, 1.0), ((left + right) / 2, wide)
    return min((fit_generator(run.log_p, LINE, kind, s) for s in starts), key=lambda e: e[2])


def verdict(run):
    if pull(run).norm() > 1e-3:
        return "discriminator"
    if covers(*lowest_end(run, run.kind)[:2], run.modes):
        return "start"
    other = "saturating" if run.kind == "non-saturating" else "non-saturating"
    return "game" if covers(*lowest_end(run, other)[:2], run.modes) else "family"


# %% tags=["wrong-answer"]
# The slope in s, where that in log s is asked for.
def pull(run):
    at = vector(run.mean, run.sd).requires_grad_()
    log_g = Normal(at[0], at[1]).log_prob(LINE)
    a = (run.log_p(LINE) - log_g).detach()
    paid = -softplus(a) if run.kind == "saturating" else softplus(-a)
    return torch.autograd.grad(torch.trapezoid(log_g.exp() * paid, LINE), at)[0]


def lowest_end(run, kind):
    left, right = run.modes
    wide = math.hypot(1, (right - left) / 2)
    starts = (left, 1.0), (right, 1.0), ((left + right) / 2, wide)
    return min((fit_generator(run.log_p, LINE, kind, s) for s in starts), key=lambda e: e[2])


def verdict(run):
    if pull(run).norm() > 1e-3:
        return "discriminator"
    if covers(*lowest_end(run, run.kind)[:2], run.modes):
        return "start"
    other = "saturating" if run.kind == "non-saturating" else "non-saturating"
    return "game" if covers(*lowest_end(run, other)[:2], run.modes) else "family"


# %% tags=["wrong-answer"]
# From where the run has ended, and from nowhere else.
def pull(run):
    at = vector(run.mean, math.log(run.sd)).requires_grad_()
    log_g = Normal(at[0], at[1].exp()).log_prob(LINE)
    a = (run.log_p(LINE) - log_g).detach()
    paid = -softplus(a) if run.kind == "saturating" else softplus(-a)
    return torch.autograd.grad(torch.trapezoid(log_g.exp() * paid, LINE), at)[0]


def lowest_end(run, kind):
    return fit_generator(run.log_p, LINE, kind, (run.mean, run.sd))


def verdict(run):
    if pull(run).norm() > 1e-3:
        return "discriminator"
    if covers(*lowest_end(run, run.kind)[:2], run.modes):
        return "start"
    other = "saturating" if run.kind == "non-saturating" else "non-saturating"
    return "game" if covers(*lowest_end(run, other)[:2], run.modes) else "family"


# %% tags=["wrong-answer"]
# The first end that covers is taken, not the lowest one.
def pull(run):
    at = vector(run.mean, math.log(run.sd)).requires_grad_()
    log_g = Normal(at[0], at[1].exp()).log_prob(LINE)
    a = (run.log_p(LINE) - log_g).detach()
    paid = -softplus(a) if run.kind == "saturating" else softplus(-a)
    return torch.autograd.grad(torch.trapezoid(log_g.exp() * paid, LINE), at)[0]


def lowest_end(run, kind):
    left, right = run.modes
    wide = math.hypot(1, (right - left) / 2)
    starts = (left, 1.0), (right, 1.0), ((left + right) / 2, wide)
    ends = [fit_generator(run.log_p, LINE, kind, s) for s in starts]
    return next((end for end in ends if covers(*end[:2], run.modes)), ends[0])


def verdict(run):
    if pull(run).norm() > 1e-3:
        return "discriminator"
    if covers(*lowest_end(run, run.kind)[:2], run.modes):
        return "start"
    other = "saturating" if run.kind == "non-saturating" else "non-saturating"
    return "game" if covers(*lowest_end(run, other)[:2], run.modes) else "family"


# %% tags=["wrong-answer"]
# Another end that is as low is taken for a better one: the other mode, by symmetry.
def pull(run):
    at = vector(run.mean, math.log(run.sd)).requires_grad_()
    log_g = Normal(at[0], at[1].exp()).log_prob(LINE)
    a = (run.log_p(LINE) - log_g).detach()
    paid = -softplus(a) if run.kind == "saturating" else softplus(-a)
    return torch.autograd.grad(torch.trapezoid(log_g.exp() * paid, LINE), at)[0]


def lowest_end(run, kind):
    left, right = run.modes
    wide = math.hypot(1, (right - left) / 2)
    starts = (left, 1.0), (right, 1.0), ((left + right) / 2, wide)
    return min((fit_generator(run.log_p, LINE, kind, s) for s in starts), key=lambda e: e[2])


def verdict(run):
    if pull(run).norm() > 1e-3:
        return "discriminator"
    if abs(lowest_end(run, run.kind)[0] - run.mean) > 0.1:
        return "start"
    other = "saturating" if run.kind == "non-saturating" else "non-saturating"
    return "game" if covers(*lowest_end(run, other)[:2], run.modes) else "family"


# %% tags=["wrong-answer"]
# The divergences of two games are compared, which have no common measure.
def pull(run):
    at = vector(run.mean, math.log(run.sd)).requires_grad_()
    log_g = Normal(at[0], at[1].exp()).log_prob(LINE)
    a = (run.log_p(LINE) - log_g).detach()
    paid = -softplus(a) if run.kind == "saturating" else softplus(-a)
    return torch.autograd.grad(torch.trapezoid(log_g.exp() * paid, LINE), at)[0]


def lowest_end(run, kind):
    left, right = run.modes
    wide = math.hypot(1, (right - left) / 2)
    starts = (left, 1.0), (right, 1.0), ((left + right) / 2, wide)
    return min((fit_generator(run.log_p, LINE, kind, s) for s in starts), key=lambda e: e[2])


def verdict(run):
    if pull(run).norm() > 1e-3:
        return "discriminator"
    if covers(*lowest_end(run, run.kind)[:2], run.modes):
        return "start"
    own, other = (lowest_end(run, kind)[2] for kind in ("non-saturating", "saturating"))
    if run.kind == "saturating":
        own, other = other, own
    return "game" if other < own else "family"


# %% tags=["wrong-answer"]
# Maximum likelihood is asked, which always covers: no family is ever too small.
def pull(run):
    at = vector(run.mean, math.log(run.sd)).requires_grad_()
    log_g = Normal(at[0], at[1].exp()).log_prob(LINE)
    a = (run.log_p(LINE) - log_g).detach()
    paid = -softplus(a) if run.kind == "saturating" else softplus(-a)
    return torch.autograd.grad(torch.trapezoid(log_g.exp() * paid, LINE), at)[0]


def lowest_end(run, kind):
    left, right = run.modes
    wide = math.hypot(1, (right - left) / 2)
    starts = (left, 1.0), (right, 1.0), ((left + right) / 2, wide)
    return min((fit_generator(run.log_p, LINE, kind, s) for s in starts), key=lambda e: e[2])


def verdict(run):
    if pull(run).norm() > 1e-3:
        return "discriminator"
    if covers(*lowest_end(run, run.kind)[:2], run.modes):
        return "start"
    return "game" if covers(*lowest_end(run, "forward")[:2], run.modes) else "family"


# %% tags=["wrong-answer"]
# The direction of a KL is to blame: the practical game is always the reason.
def pull(run):
    at = vector(run.mean, math.log(run.sd)).requires_grad_()
    log_g = Normal(at[0], at[1].exp()).log_prob(LINE)
    a = (run.log_p(LINE) - log_g).detach()
    paid = -softplus(a) if run.kind == "saturating" else softplus(-a)
    return torch.autograd.grad(torch.trapezoid(log_g.exp() * paid, LINE), at)[0]


def lowest_end(run, kind):
    left, right = run.modes
    wide = math.hypot(1, (right - left) / 2)
    starts = (left, 1.0), (right, 1.0), ((left + right) / 2, wide)
    return min((fit_generator(run.log_p, LINE, kind, s) for s in starts), key=lambda e: e[2])


def verdict(run):
    if pull(run).norm() > 1e-3:
        return "discriminator"
    if run.kind == "non-saturating":
        return "game"
    return "start" if covers(*lowest_end(run, run.kind)[:2], run.modes) else "family"


# %% nbgrader={"grade": true, "grade_id": "check-missed", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def paid_against(run, logit):
    """The loss of a generator at (b, log s) against logits on LINE that stand still."""

    def loss(at):
        log_g = Normal(at[0], at[1].exp()).log_prob(LINE)
        each = logsigmoid(-logit) if run.kind == "saturating" else -logsigmoid(logit)
        return torch.trapezoid(log_g.exp() * each, LINE)

    return loss


with check("9.6") as answer:
    blind = torch.zeros_like
    for run, why in (
        (Run(two_modes(2.0), (-2.0, 2.0), "saturating", 1.5, 0.8, blind), "a blind D"),
        (Run(two_modes(2.0), (-2.0, 2.0), "non-saturating", 1.5, 0.8, blind), "a blind D"),
        (rested("saturating", -1.0, 3.4, -1.0, logit=torch.sin), "another D than the best"),
    ):
        found = pull(run)
        fits(found, 2)
        at = vector(run.mean, math.log(run.sd))
        best_logit = run.log_p(LINE) - Normal(run.mean, run.sd).log_prob(LINE)
        right = slopes_of(paid_against(run, best_logit), at)
        reason = "D is the best one for this generator, and stands still while it moves"
        if torch.allclose(found, slopes_of(paid_against(run, run.logit(LINE)), at), atol=1e-7):
            reason = "that is the slope against the D of the run"
        assert torch.allclose(found, right, atol=1e-6), (
            f"{run.kind}, N({run.mean:.2f}, {run.sd:.2f}²), {why} in the run: the slopes in b and "
            f"log s against the best D are {said(right)}; yours are {said(found)}: {reason}"
        )
    for kind, mu, covered in (
        ("saturating", 3.4, True),
        ("non-saturating", 3.4, False),
        ("non-saturating", 2.3, True),
        ("saturating", 4.6, False),
    ):
        run = rested(kind, 1.0 - mu, mu, 1.0 + mu)
        end = lowest_end(run, kind)
        mean, sd = (float(number) for number in end[:2])
        right = (0.0, "over both modes") if covered else (mu, "at one of them")
        assert abs(abs(mean - 1.0) - right[0]) < 0.2, (
            f"{kind}, modes at 1 ± {mu}: of the ends from three starts the lowest is {right[1]}, "
            f"{right[0]:.1f} from the middle; yours is N({mean:.2f}, {sd:.2f}²)"
        )
    for word, run in (
        ("start", rested("non-saturating", -1.3, 2.3, -1.3)),
        ("game", rested("non-saturating", -4.0, 2.8, -4.0)),
        ("family", rested("non-saturating", -4.0, 4.6, 5.2)),
        ("game", rested("non-saturating", -4.0, 3.0, -4.0, share=0.4)),
        ("start", rested("saturating", -2.0, 3.1, -2.0, logit=torch.sin)),
        ("family", rested("saturating", -4.6, 4.6, -4.6)),
        ("discriminator", Run(two_modes(3.0), (-3.0, 3.0), "non-saturating", 3.0, 1.2, blind)),
        ("discriminator", Run(two_modes(2.6), (-2.6, 2.6), "saturating", 2.6, 0.9, blind)),
    ):
        found = verdict(run)
        left, right = run.modes
        assert found == word, (
            f"{run.kind}, modes at {left:.1f} and {right:.1f}, ended at N({run.mean:.2f}, "
            f"{run.sd:.2f}²): the reason is «{word}»; your verdict is «{found}»"
        )
### BEGIN HIDDEN TESTS
answer.require()
for word, run in (
    ("start", rested("saturating", 0.0, 3.8, 7.6)),
    ("start", rested("non-saturating", -2.3, 2.3, 2.3, logit=torch.zeros_like)),
    ("game", rested("non-saturating", -3.0, 3.6, 4.2, logit=torch.cos)),
    ("discriminator", Run(two_modes(4.0), (-4.0, 4.0), "saturating", -4.0, 0.8, torch.zeros_like)),
):
    assert verdict(run) == word
### END HIDDEN TESTS

# %% [markdown]
# Your verdict on the four (nothing to hand in). For each, say what would help: another start,
# another loss, another family, or more training of $D$. A $D$ that says ½ everywhere is what an
# equilibrium looks like: how does `pull` tell the two apart? And how often was the direction of a
# KL the reason?


# %%
try:
    table = ["   slope   verdict"]
    for name, run in RUNS.items():
        table.append(f"{name}{abs(float(pull(run).norm())):7.3f}   {verdict(run)}")
    print(*table, sep="\n")
except NotImplementedError:
    print("Comes with exercise 9.6.")
