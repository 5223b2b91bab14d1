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
# # Exercises 04: early deep generative models
#
# Eight exercises, 22 points, about three hours. Replace each `raise NotImplementedError` and run
# the check below it. A check answers at once: **right**, **not yet, because …**, or
# **not attempted**. Some checks are repeated with other numbers when the notebook is graded.
#
# The chapter: [Early deep generative models](../book/04_early.md). Work in float64 throughout, and
# in nats; bits are zeros and ones in float64 too. `states(n)` gives all 2ⁿ rows of n bits, in the
# order in which one counts: a sum over them is the referee of everything that is drawn.

# %%
import math

import torch
from IPython.display import display
from torch.nn.functional import logsigmoid, softplus

from genlab import data, plot
from genlab.course.check import check
from genlab.early import RBM, HelmholtzMachine, double_well, pseudo_log_likelihood, states
from genlab.interact import Knob, sliders


def seeded(number):
    """A generator of random numbers of its own for each check."""
    return torch.Generator().manual_seed(number)


def vector(*numbers):
    """These numbers as a float64 tensor."""
    return torch.tensor(numbers, dtype=torch.float64)


def randn(*shape, generator):
    """Draws from N(0, 1), float64."""
    return torch.randn(shape, dtype=torch.float64, generator=generator)


def coins(*shape, generator):
    """Fair coins, float64."""
    return torch.randint(2, shape, generator=generator).double()


def said(numbers):
    """Numbers, to read."""
    return [round(v, 4) + 0.0 for v in torch.as_tensor(numbers).detach().flatten().tolist()]


def fits(found, *shape, dtype=torch.float64, setting=""):
    """An answer is a tensor of this shape and dtype, without NaN."""
    assert isinstance(found, torch.Tensor), f"expected a tensor, got a {type(found).__name__}"
    assert found.shape == shape, f"expected the shape {shape}, got {tuple(found.shape)}"
    assert found.dtype == dtype, (
        f"expected {dtype}, got {found.dtype}: torch.zeros, ones and tensor make float32 if not told"
    )
    assert not found.isnan().any(), f"{setting}your answer holds NaN: 0/0, or 0 times infinity"


def near(found, right, tolerance=1e-9):
    """Two tensors agree in every entry; NaN agrees with nothing."""
    return bool(((found - right).abs() <= tolerance * (1 + right.abs())).all())


def digit_bits():
    """The digits of 8 by 8 pixels, ink or none: training and test rows, [1437, 64], [360, 64]."""
    digits = data.digits()
    return [(x.flatten(1) > 0.5).double() for x in (digits.train, digits.test)]


# %% [markdown]
# ## 4.1 A chain that stays where it should (2 points, 20 minutes)
#
# A chain on $S$ states goes from $i$ to $j$ with probability $K_{ij}$. It keeps a law $\pi$ where
# $\pi K = \pi$, and it does so where every pair of states is in *detailed balance*,
# $\pi_i K_{ij} = \pi_j K_{ji}$. Write
#
# - `metropolis`: propose $j$ with probability $Q_{ij}$, accept with probability
#   $\min\bigl(1, \frac{\pi_j Q_{ji}}{\pi_i Q_{ij}}\bigr)$, stay otherwise. $\pi$ is known up to a
#   factor; $Q$ need not be symmetric; what is never proposed is never done, and $Q_{ij} = 0$ just
#   where $Q_{ji} = 0$;
# - `gibbs`: two variables have a table of weights, all above 0. Draw the variable of one axis anew
#   from its law given the other. The states are the table's entries, row after row:
#   $(0, 0), (0, 1), \dots$;
# - `imbalance`: the largest $|\pi_i K_{ij} - \pi_j K_{ji}|$.
#
# *Hint:* `torch.minimum`, and what the rest of a row leaves is the probability to stay. For
# `gibbs`: which entries of the table can be reached from entry number $s$? `a[:, None] == a`.


# %% nbgrader={"grade": false, "grade_id": "chains", "locked": false, "schema_version": 3, "solution": true, "task": false}
def metropolis(weights, proposal):
    """K, [S, S]. weights: pi up to a factor, [S], all above 0; proposal: Q, [S, S]."""
    ### BEGIN SOLUTION
    forth = weights[:, None] * proposal
    moves = torch.minimum(forth, forth.T) / weights[:, None]
    moves = moves - moves.diagonal().diag()
    return moves + (1 - moves.sum(1)).diag()
    ### END SOLUTION


def gibbs(table, axis):
    """K, [n * m, n * m]. table: weights, [n, m]; axis: of the variable that is drawn, 0 or 1."""
    ### BEGIN SOLUTION
    n, m = table.shape
    number = torch.arange(n * m)
    stays = number % m if axis == 0 else number // m
    given = table / table.sum(axis, keepdim=True)
    return (stays[:, None] == stays) * given.flatten()
    ### END SOLUTION


def imbalance(law, kernel):
    """The largest difference between a pair's two flows, a float. law: [S]; kernel: [S, S]."""
    ### BEGIN SOLUTION
    flow = law[:, None] * kernel
    return float((flow - flow.T).abs().max())
    ### END SOLUTION


# %% tags=["wrong-answer"]
# Metropolis' rule of 1953 for a proposal that is not symmetric. (A wrong answer ends where it is
# wrong: what the check would come to later is left out.)
def metropolis(weights, proposal):
    moves = proposal * (weights / weights[:, None]).clamp(max=1)
    moves = moves - moves.diagonal().diag()
    return moves + (1 - moves.sum(1)).diag()


# %% tags=["wrong-answer"]
# What is refused is lost: the rows don't sum to one.
def metropolis(weights, proposal):
    forth = weights[:, None] * proposal
    return torch.minimum(forth, forth.T) / weights[:, None]


# %% tags=["wrong-answer"]
# What is refused is proposed again until something is accepted: rows divided by their sums.
def metropolis(weights, proposal):
    forth = weights[:, None] * proposal
    moves = torch.minimum(forth, forth.T) / weights[:, None]
    return moves / moves.sum(1, keepdim=True)


# %% tags=["wrong-answer"]
# The ratio upside down: the chain flees from where the weight is.
def metropolis(weights, proposal):
    forth = proposal / weights[:, None]
    moves = torch.minimum(forth, forth.T) * weights[:, None]
    moves = moves - moves.diagonal().diag()
    return moves + (1 - moves.sum(1)).diag()


# %% tags=["wrong-answer"]
# 0/0 where nothing is proposed.
from genlab.early import imbalance


def metropolis(weights, proposal):
    forth = weights[:, None] * proposal
    moves = proposal * (forth.T / forth).clamp(max=1)
    moves = moves - moves.diagonal().diag()
    return moves + (1 - moves.sum(1)).diag()


# %% tags=["wrong-answer"]
# Barker's rule: it keeps the law too, and refuses more than it must.
def metropolis(weights, proposal):
    forth = weights[:, None] * proposal
    moves = torch.where(forth > 0, proposal * forth.T / (forth + forth.T), 0.0)
    moves = moves - moves.diagonal().diag()
    return moves + (1 - moves.sum(1)).diag()


# %% tags=["wrong-answer"]
# Draws the other variable.
from genlab.early import gibbs_kernel, imbalance
from genlab.early import metropolis_kernel as metropolis


def gibbs(table, axis):
    return gibbs_kernel(table, 1 - axis)


# %% tags=["wrong-answer"]
# Draws one variable from its margin, and does not look at the other.
from genlab.early import imbalance
from genlab.early import metropolis_kernel as metropolis


def gibbs(table, axis):
    n, m = table.shape
    number = torch.arange(n * m)
    stays, drawn = (number % m, number // m) if axis == 0 else (number // m, number % m)
    margin = table.sum(1 - axis) / table.sum()
    return (stays[:, None] == stays) * margin[drawn]


# %% tags=["wrong-answer"]
# Asks whether the law is kept: a walk that goes round and round keeps it without balance.
from genlab.early import gibbs_kernel as gibbs
from genlab.early import metropolis_kernel as metropolis


def imbalance(law, kernel):
    return float((law @ kernel - law).abs().max())


# %% nbgrader={"grade": true, "grade_id": "check-chains", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
def is_kernel(found, n, setting):
    """Rows of probabilities."""
    fits(found, n, n, setting=f"{setting}: ")
    low, sums = float(found.min()), found.sum(1)
    assert low >= -1e-12, f"{setting}: a probability of your chain is {low:.4f}"
    assert near(sums, torch.ones_like(sums)), (
        f"{setting}: the rows of your chain sum to {said(sums)}; who refuses a move stays"
    )


def neighbours(n):
    """A proposal: one step up or down, or none, with chances that differ."""
    up = torch.linspace(0.1, 0.6, n, dtype=torch.float64)
    q = up[:-1].diag(1) + (0.9 - up)[1:].diag(-1)
    return q + (1 - q.sum(1)).diag()


with check("4.1") as answer:
    for weights, q, right, why in (
        (
            vector(1.0, 2.0),
            vector(0.5, 0.5, 0.5, 0.5),
            vector(0.5, 0.5, 0.25, 0.75),
            "the way up is always accepted, the way down half of the time",
        ),
        (
            vector(3.0, 1.0),
            vector(0.5, 0.5, 0.1, 0.9),
            vector(29 / 30, 1 / 30, 0.1, 0.9),
            "from the first state the move is proposed with 0.5 and accepted with "
            "(1 · 0.1) / (3 · 0.5); back it is always accepted",
        ),
    ):
        found = metropolis(weights, q.reshape(2, 2))
        setting = f"weights {said(weights)} and the proposal {said(q)}, row by row"
        is_kernel(found, 2, setting)
        assert near(found.flatten(), right), (
            f"{setting}: K is {said(right)}: {why}; yours is {said(found)}"
        )
    g = seeded(1)
    for n in (3, 6, 12):
        for kind, q in (
            ("full", randn(n, n, generator=g).softmax(1)),
            ("to neighbours alone", neighbours(n)),
        ):
            weights = 5 * randn(n, generator=g).exp()
            law = weights / weights.sum()
            found = metropolis(weights, q)
            setting = f"{n} states, random weights, a proposal that is {kind}"
            is_kernel(found, n, setting)
            off = float((law @ found - law).abs().max())
            assert off < 1e-9, f"{setting}: πK differs from π by {off:.4f}"
            flow = law[:, None] * found
            apart = float((flow - flow.T).abs().max())
            assert apart < 1e-9, f"{setting}: a pair's two flows differ by {apart:.4f}"
            assert float(imbalance(law, found)) < 1e-9, (
                f"{setting}: your chain is in detailed balance, and your imbalance says "
                f"{float(imbalance(law, found)):.4f}"
            )
    table = vector(1.0, 2.0, 3.0, 4.0, 5.0, 6.0).reshape(2, 3)
    for axis, right, why in (
        (0, (1 / 5, 0, 0, 4 / 5, 0, 0), "the second variable stays 0"),
        (1, (1 / 6, 2 / 6, 3 / 6, 0, 0, 0), "the first variable stays 0"),
    ):
        found = gibbs(table, axis)
        setting = f"the table 1 2 3 / 4 5 6 with the variable of axis {axis} drawn anew"
        is_kernel(found, 6, setting)
        assert near(found[0], vector(*right)), (
            f"{setting}: from the first entry the chain goes to the six entries with "
            f"{said(vector(*right))}, for {why}; yours with {said(found[0])}"
        )
    for n, m in ((2, 2), (4, 3)):
        table = randn(n, m, generator=g).exp()
        law = table.flatten() / table.sum()
        for axis in (0, 1):
            found = gibbs(table, axis)
            setting = f"a table of {n} by {m} with the variable of axis {axis} drawn anew"
            is_kernel(found, n * m, setting)
            off = float((law @ found - law).abs().max())
            assert off < 1e-9, f"{setting}: the joint law changes by {off:.4f}"
            assert near(found @ found, found), (
                f"{setting}: to draw it twice is to draw it once; K² is not K in your chain"
            )
    ring = torch.eye(3, dtype=torch.float64).roll(1, 1)
    for law, kernel, right, what in (
        (torch.full((3,), 1 / 3).double(), ring, 1 / 3, "a walk round three states in one sense"),
        (vector(0.5, 0.5), vector(0.9, 0.1, 0.3, 0.7).reshape(2, 2), 0.1, "0.5 · 0.3 - 0.5 · 0.1"),
    ):
        found = float(imbalance(law, kernel))
        assert abs(found - right) < 1e-6, (
            f"for the law {said(law)} and K = {said(kernel)} the largest imbalance is "
            f"{right:.4f}: {what}; yours is {found:.4f}"
        )
### BEGIN HIDDEN TESTS
answer.require()
from genlab import early

g = seeded(2)
weights, q = randn(7, generator=g).exp(), randn(7, 7, generator=g).softmax(1)
assert near(metropolis(weights, q), early.metropolis_kernel(weights, q))
table = randn(3, 5, generator=g).exp()
for axis in (0, 1):
    assert near(gibbs(table, axis), early.gibbs_kernel(table, axis))
sweep = early.gibbs_kernel(table, 0) @ early.gibbs_kernel(table, 1)
law = table.flatten() / table.sum()
assert abs(imbalance(law, sweep) - early.imbalance(law, sweep)) < 1e-9
assert imbalance(law, sweep) > 1e-4
### END HIDDEN TESTS

# %% [markdown]
# Your chain on two wells (nothing to hand in): $\pi \propto e^{-B (x^2 - 1)^2}$ at 41 points of a
# line, moves to a neighbour alone. $|\lambda_2|$ is the factor by which the chain comes nearer to
# $\pi$ with each step, so it needs about $1 / (1 - |\lambda_2|)$ of them. What does one more nat of
# the barrier cost? And what would a chain cost that may also propose $-x$?


# %%
try:
    barriers, steps = list(range(4, 13)), []
    there = torch.full((40,), 0.5, dtype=torch.float64)
    q = there.diag(1) + there.diag(-1)
    q = q + (1 - q.sum(1)).diag()
    for barrier in barriers:
        moduli = torch.linalg.eigvals(metropolis(double_well(barrier), q)).abs().sort().values
        steps.append(float(1 / (1 - moduli[-2])))
    with plot.figure(
        x="height of the barrier, nats",
        y="steps",
        height=2.8,
        alt="On a logarithmic axis the number of steps rises almost along a straight line, from "
        "some thousands with a barrier of 4 nats to some millions with one of 12.",
    ) as ax:
        ax.semilogy(barriers, steps, marker="o")
except NotImplementedError:
    print("Comes with exercise 4.1.")

# %% [markdown]
# ## 4.2 Causes that know of each other (3 points, 25 minutes)
#
# Two causes $B$ and $C$ are present or not, independently; each that is present brings about the
# effect $A$ by itself, with a chance of its own, and with the chance $\lambda$ it comes without
# any:
#
# $$P(A = 1 \mid b, c) = 1 - (1 - \lambda)(1 - w_B)^b (1 - w_C)^c.$$
#
# A *sigmoid belief net* has the same form with logits: hidden bits $z$, each by itself with
# $P(z_j = 1) = \sigma(t_j)$, and below them bits $x$, given $z$ each by itself with
# $P(x_i = 1 \mid z) = \sigma(b_i + \sum_j W_{ij} z_j)$. Write
#
# - `explained`: how much $C$ is believed: $P(C)$, $P(C \mid A)$ and $P(C \mid A, B)$;
# - `log_evidence`: $\log p(x)$ of the net, by a sum over all hidden states, safe for logits of
#   $\pm 1000$;
# - `belief_slopes`: the slopes of the *mean* of $\log p(x)$ over rows, in $W$, $b$ and $t$. No
#   autograd: each is $\mathbb{E}_{p(z \mid x)}[(s - p)\, s']$, a unit less the chance that its
#   parents give it, times the parent, which is 1 for $b$ and $t$.
#
# *Hint:* with $a = b + Wz$, $\log p(x \mid z) = \sum_i x_i a_i - \log(1 + e^{a_i})$; `softplus`,
# `states(H)`, `logsumexp`.


# %% nbgrader={"grade": false, "grade_id": "causes", "locked": false, "schema_version": 3, "solution": true, "task": false}
def explained(prior, strength, leak):
    """P(C), P(C | A), P(C | A, B), [3]. prior, strength: of B and of C, [2]; leak: a float."""
    ### BEGIN SOLUTION
    z = states(2)
    joint = (prior**z * (1 - prior) ** (1 - z)).prod(1)
    joint = joint * (1 - (1 - leak) * ((1 - strength) ** z).prod(1))
    _, c, b, both = joint  # with A: neither cause, C, B, both
    return torch.stack([prior[1], (c + both) / joint.sum(), both / (b + both)])
    ### END SOLUTION


def log_evidence(x, W, b, t):
    """log p(x), [n]. x: bits, [n, d]; W: [d, H]; b: [d]; t: [H]."""
    ### BEGIN SOLUTION
    z = states(len(t))
    a = z @ W.T + b
    log_prior = z @ t - softplus(t).sum()
    return (x @ a.T - softplus(a).sum(1) + log_prior).logsumexp(1)
    ### END SOLUTION


def belief_slopes(x, W, b, t):
    """The slopes of the mean of log p(x) in W, b and t, in their shapes: three tensors."""
    ### BEGIN SOLUTION
    z = states(len(t))
    a = z @ W.T + b
    q = (x @ a.T - softplus(a).sum(1) + z @ t).softmax(1)  # p(z | x), [n, 2^H]
    error = (q[:, :, None] * (x[:, None] - a.sigmoid())).mean(0)  # [2^H, d]
    return error.T @ z, error.sum(0), q.mean(0) @ (z - t.sigmoid())
    ### END SOLUTION


# %% tags=["wrong-answer"]
# «The other's probability goes back down»: to where it was, it is believed.
def explained(prior, strength, leak):
    z = states(2)
    joint = (prior**z * (1 - prior) ** (1 - z)).prod(1)
    joint = joint * (1 - (1 - leak) * ((1 - strength) ** z).prod(1))
    return torch.stack([prior[1], (joint[1] + joint[3]) / joint.sum(), prior[1]])


# %% tags=["wrong-answer"]
# P(C, A) in place of P(C | A): nothing is divided.
def explained(prior, strength, leak):
    z = states(2)
    joint = (prior**z * (1 - prior) ** (1 - z)).prod(1)
    joint = joint * (1 - (1 - leak) * ((1 - strength) ** z).prod(1))
    return torch.stack([prior[1], joint[1] + joint[3], joint[3]])


# %% tags=["wrong-answer"]
# Every hidden state counts alike: the prior of z is forgotten.
def explained(prior, strength, leak):
    p = (prior ** states(2) * (1 - prior) ** (1 - states(2))).prod(1)
    p = p * (1 - (1 - leak) * ((1 - strength) ** states(2)).prod(1))
    return torch.stack([prior[1], (p[1] + p[3]) / p.sum(), p[3] / (p[2] + p[3])])


def log_evidence(x, W, b, t):
    a = states(len(t)) @ W.T + b
    return (x @ a.T - softplus(a).sum(1)).logsumexp(1) - len(t) * math.log(2)


# %% tags=["wrong-answer"]
# Probabilities first, logarithms afterwards.
def explained(prior, strength, leak):
    p = (prior ** states(2) * (1 - prior) ** (1 - states(2))).prod(1)
    p = p * (1 - (1 - leak) * ((1 - strength) ** states(2)).prod(1))
    return torch.stack([prior[1], (p[1] + p[3]) / p.sum(), p[3] / (p[2] + p[3])])


def log_evidence(x, W, b, t):
    z, on = states(len(t)), t.sigmoid()
    p = (z @ W.T + b).sigmoid()
    prior = (on**z * (1 - on) ** (1 - z)).prod(1)
    return ((p ** x[:, None] * (1 - p) ** (1 - x[:, None])).prod(2) @ prior).log()


# %% tags=["wrong-answer"]
# The hidden bits are drawn from the prior: what x says of them is not heard.
def explained(prior, strength, leak):
    p = (prior ** states(2) * (1 - prior) ** (1 - states(2))).prod(1)
    p = p * (1 - (1 - leak) * ((1 - strength) ** states(2)).prod(1))
    return torch.stack([prior[1], (p[1] + p[3]) / p.sum(), p[3] / (p[2] + p[3])])


def log_evidence(x, W, b, t):
    z = states(len(t))
    a = z @ W.T + b
    return (x @ a.T - softplus(a).sum(1) + z @ t - softplus(t).sum()).logsumexp(1)


def belief_slopes(x, W, b, t):
    z = states(len(t))
    q = (z @ t).softmax(0).expand(len(x), -1)
    error = (q[:, :, None] * (x[:, None] - (z @ W.T + b).sigmoid())).mean(0)
    return error.T @ z, error.sum(0), q.mean(0) @ (z - t.sigmoid())


# %% tags=["wrong-answer"]
# The means of the hidden bits in their places: a product of means for a mean of products.
def explained(prior, strength, leak):
    p = (prior ** states(2) * (1 - prior) ** (1 - states(2))).prod(1)
    p = p * (1 - (1 - leak) * ((1 - strength) ** states(2)).prod(1))
    return torch.stack([prior[1], (p[1] + p[3]) / p.sum(), p[3] / (p[2] + p[3])])


def log_evidence(x, W, b, t):
    z = states(len(t))
    a = z @ W.T + b
    return (x @ a.T - softplus(a).sum(1) + z @ t - softplus(t).sum()).logsumexp(1)


def belief_slopes(x, W, b, t):
    z = states(len(t))
    a = z @ W.T + b
    mean = (x @ a.T - softplus(a).sum(1) + z @ t).softmax(1) @ z
    error = x - (mean @ W.T + b).sigmoid()
    return error.T @ mean / len(x), error.mean(0), (mean - t.sigmoid()).mean(0)


# %% tags=["wrong-answer"]
# Hebb's rule: what fires together is wired together, and nothing is subtracted.
def explained(prior, strength, leak):
    p = (prior ** states(2) * (1 - prior) ** (1 - states(2))).prod(1)
    p = p * (1 - (1 - leak) * ((1 - strength) ** states(2)).prod(1))
    return torch.stack([prior[1], (p[1] + p[3]) / p.sum(), p[3] / (p[2] + p[3])])


def log_evidence(x, W, b, t):
    z = states(len(t))
    a = z @ W.T + b
    return (x @ a.T - softplus(a).sum(1) + z @ t - softplus(t).sum()).logsumexp(1)


def belief_slopes(x, W, b, t):
    z = states(len(t))
    a = z @ W.T + b
    q = (x @ a.T - softplus(a).sum(1) + z @ t).softmax(1)
    return x.T @ q @ z / len(x), x.mean(0), q.mean(0) @ z


# %% tags=["wrong-answer"]
# The sum over rows, where the mean was asked for.
def explained(prior, strength, leak):
    p = (prior ** states(2) * (1 - prior) ** (1 - states(2))).prod(1)
    p = p * (1 - (1 - leak) * ((1 - strength) ** states(2)).prod(1))
    return torch.stack([prior[1], (p[1] + p[3]) / p.sum(), p[3] / (p[2] + p[3])])


def log_evidence(x, W, b, t):
    z = states(len(t))
    a = z @ W.T + b
    return (x @ a.T - softplus(a).sum(1) + z @ t - softplus(t).sum()).logsumexp(1)


def belief_slopes(x, W, b, t):
    z = states(len(t))
    a = z @ W.T + b
    q = (x @ a.T - softplus(a).sum(1) + z @ t).softmax(1)
    error = (q[:, :, None] * (x[:, None] - a.sigmoid())).sum(0)
    return error.T @ z, error.sum(0), q.sum(0) @ (z - t.sigmoid())


# %% nbgrader={"grade": true, "grade_id": "check-causes", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def random_net(d, H, generator):
    """W, b and t of a net with weights that matter."""
    return [2 * randn(*shape, generator=generator) for shape in ((d, H), (d,), (H,))]


with check("4.2") as answer:
    for prior, strength, leak, joint, why in (
        (
            vector(0.1, 0.1),
            vector(0.9, 0.9),
            0.01,
            (0.0081, 0.08109, 0.08109, 0.009901),
            "B explains A, so C comes back near to its prior, not to it",
        ),
        (
            vector(0.5, 0.2),
            vector(1.0, 0.5),
            0.0,
            (0.0, 0.05, 0.4, 0.1),
            "B is certain to bring A about, so with B present A says nothing of C",
        ),
    ):
        neither, c, b, both = joint
        right = vector(float(prior[1]), (c + both) / sum(joint), both / (b + both))
        found = explained(prior, strength, leak)
        fits(found, 3)
        assert near(found, right), (
            f"priors {said(prior)}, strengths {said(strength)}, leak {leak}: A comes with neither "
            f"cause, C, B, both with {joint}, so P(C), P(C | A), P(C | A, B) are {said(right)}: "
            f"{why}; yours are {said(found)}"
        )
    one = vector(1.0)
    small = vector(math.log(3))[None], vector(0.0), vector(0.0)
    setting = "one fair cause that raises the chance of one bit from 1/2 to 3/4"
    found = log_evidence(one[None], *small)
    fits(found, 1)
    assert near(found, vector(math.log(0.625))), (
        f"{setting}: p(x = 1) = 5/8, its logarithm is {math.log(0.625):.4f}; yours is {said(found)}"
    )
    found = log_evidence(one[None], 0 * small[0], vector(-1000.0), vector(-1000.0))
    fits(found, 1)
    assert near(found, vector(-1000.0)), (
        "a bit with the logit -1000 is 1 with log p = -1000, whatever its causes; yours is "
        f"{said(found)}. σ(-1000) is 0 in floating point, its logarithm is not"
    )
    g = seeded(3)
    for d, H in ((2, 1), (3, 4)):
        net = random_net(d, H, g)
        log_p = log_evidence(states(d), *net)
        fits(log_p, 2**d)
        total = float(log_p.exp().sum())
        assert abs(total - 1) < 1e-9, (
            f"the probabilities of all x of a random net with {d} visible and {H} hidden bits sum "
            f"to {total:.4f}, not to 1"
        )
    far = random_net(3, 1, g)
    far[2] = vector(20.0)  # the hidden bit is as good as always on
    a = far[0][:, 0] + far[1]
    right = (states(3) * a - softplus(a)).sum(1)
    found = log_evidence(states(3), *far)
    assert near(found, right, 1e-6), (
        "a net whose only hidden bit is always on has log p(x) = Σ log σ(±(b + W)); yours is off "
        f"by {float((found - right).abs().max()):.4f}. Does its chance to be on count?"
    )
    found = belief_slopes(one[None], *small)
    assert isinstance(found, tuple | list), "expected three tensors, the slopes in W, b and t"
    assert len(found) == 3, f"expected three tensors, got {len(found)}"
    for name, slope, weight, right, why in zip(
        ("W", "b", "t"),
        found,
        small,
        (0.15, 0.35, 0.1),
        ("3/5 · (1 - 3/4) · 1", "2/5 · (1 - 1/2) + 3/5 · (1 - 3/4)", "3/5 - 1/2"),
        strict=True,
    ):
        fits(slope, *weight.shape)
        assert near(slope, torch.full_like(weight, right)), (
            f"{setting}, and the bit is 1: the cause is then on with probability 3/5, and the "
            f"slope in {name} is {why} = {right}; yours is {said(slope)}"
        )
    for d, H, n in ((3, 2, 1), (4, 3, 5)):
        net, x = random_net(d, H, g), coins(n, d, generator=g)
        at = [w.clone().requires_grad_() for w in net]
        right = torch.autograd.grad(log_evidence(x, *at).mean(), at)
        for name, slope, wanted in zip(("W", "b", "t"), belief_slopes(x, *net), right, strict=True):
            fits(slope, *wanted.shape)
            why = ""
            if near(slope, -wanted):
                why = ": all have the wrong sign, log p(x) is to rise"
            elif near(slope, n * wanted):
                why = ": the mean over rows was asked for, not the sum"
            assert near(slope, wanted, 1e-6), (
                f"a random net of {d} and {H} bits, {n} row{'s' * (n > 1)} of x: the slopes in "
                f"{name} differ by up to {float((slope - wanted).abs().max()):.4f} from autograd's "
                f"of your own log p(x){why}. The mean is taken under p(z | x)"
            )
### BEGIN HIDDEN TESTS
answer.require()
from genlab.early import SigmoidBeliefNet, explaining_away, learning_gradient

right = vector(*explaining_away(0.2, 0.7, 0.05))
assert near(explained(vector(0.2, 0.2), vector(0.7, 0.7), 0.05), right)
g = seeded(4)
net = SigmoidBeliefNet(5, [4], generator=g).double()
W, b, t = random_net(5, 4, g)
with torch.no_grad():
    net.layers[0].weight.copy_(W)
    net.layers[0].bias.copy_(b)
    net.top.copy_(t)
x = coins(6, 5, generator=g)
assert near(log_evidence(x, W, b, t), net.log_prob(x).detach())
right = learning_gradient(net, x)
names = "layers.0.weight", "layers.0.bias", "top"
for slope, name in zip(belief_slopes(x, W, b, t), names, strict=True):
    assert near(slope, right[name])
### END HIDDEN TESTS

# %% [markdown]
# How much of $C$ is explained away (nothing to hand in). Slide the strength of $B$: where does
# $P(C \mid A, B)$ meet the prior, and where does $P(C \mid A)$ go? Then raise the leak: what is $A$
# still a sign of?


# %%
def show_causes(strength, leak):
    prior = vector(0.1, 0.1)
    found = explained(prior, vector(strength, 0.9), leak)
    with plot.figure(
        y="belief in C",
        height=2.6,
        title=f"B brings A with {strength:.2f}, the leak is {leak:.2f}",
        alt="Three bars, the belief in C: low before anything is seen, higher once A is seen, and "
        "lower again once B is seen too.",
    ) as ax:
        names = ["P(C)", "P(C | A)", "P(C | A, B)"]
        bars = ax.bar(names, found.tolist(), color=plot.COLORS["model"])
        ax.bar_label(bars, fmt="%.3f")
        ax.set_ylim(0, 1)


try:
    panel = sliders(
        show_causes, strength=Knob(0.1, 1.0, start=0.9), leak=Knob(0.0, 0.5, start=0.01)
    )
except NotImplementedError:
    print("Comes with exercise 4.2.")
else:
    display(panel)

# %% [markdown]
# ## 4.3 Awake and asleep (3 points, 25 minutes)
#
# A Helmholtz machine has two halves: a net $p_\theta(x, z)$ that dreams from the top down and a net
# $q_\phi(z \mid x)$ that recognises from the bottom up. For the machines of the checks
#
# - `machine.infer(x, generator=g)` draws $z \sim q_\phi(z \mid x)$, a row for each row of $x$;
# - `machine.generative.dream(n, generator=g)` draws $n$ pairs $(x, z) \sim p_\theta(x, z)$;
# - `machine.log_joint(x, z)` is $\log p_\theta(x, z)$ and `machine.log_q(x, z)` is
#   $\log q_\phi(z \mid x)$. Gradients pass through these two alone, never through what is drawn.
#
# Write what each phase *minimises*, by one draw for each row:
#
# - `wake`: recognise the data, and teach $\theta$ to produce what was recognised;
# - `sleep`: dream, and teach $\phi$ to say from what the dream was made. No data enter;
# - `energies`: from tables over all states of $z$ the two free energies,
#   $F = -\log p(x) + \mathrm{KL}(q(z \mid x) \,\|\, p(z \mid x))$ and
#   $F' = -\log p(x) + \mathrm{KL}(p(z \mid x) \,\|\, q(z \mid x))$. A $q$ may be as small as
#   $e^{-1000}$;
# - `asleep`: where sleep ends. The recognition net has independent bits and sees only a mark $c(x)$
#   of $x$; among all such nets, which $q(z_j = 1 \mid c)$ does the mean of the sleep loss prefer?
#
# *Hint:* for `asleep`, how often is $z_j = 1$ in those dreams that bear the mark? `index_add`.


# %% nbgrader={"grade": false, "grade_id": "phases", "locked": false, "schema_version": 3, "solution": true, "task": false}
def wake(machine, x, generator):
    """What theta descends, [n], from one draw a row. x: data, [n, d]."""
    ### BEGIN SOLUTION
    return -machine.log_joint(x, machine.infer(x, generator=generator))
    ### END SOLUTION


def sleep(machine, n, generator):
    """What phi descends, [n], from n dreams."""
    ### BEGIN SOLUTION
    x, z = machine.generative.dream(n, generator=generator)
    return -machine.log_q(x, z)
    ### END SOLUTION


def energies(log_joint, log_q):
    """F and F', each [n]. log p(x, z) and log q(z | x) of n rows x and all S states z, [n, S]."""
    ### BEGIN SOLUTION
    surprise = -log_joint.logsumexp(1)
    log_posterior = log_joint + surprise[:, None]
    forward = surprise + (log_q.exp() * (log_q - log_posterior)).sum(1)
    return forward, surprise + (log_posterior.exp() * (log_posterior - log_q)).sum(1)
    ### END SOLUTION


def asleep(joint, z, marks):
    """q(z_j = 1 | c), [C, H].

    joint: p(x, z) of all X states x and S states z, [X, S]; z: those states, [S, H];
    marks: c(x), int64, [X], from 0 to C - 1, each there at least once.
    """
    ### BEGIN SOLUTION
    share = joint.new_zeros(int(marks.max()) + 1, len(z)).index_add(0, marks, joint)
    return share @ z / share.sum(1, keepdim=True)
    ### END SOLUTION


# %% tags=["wrong-answer"]
# Wake as the lectures print it: the logarithm itself is minimised, and has no least value.
def wake(machine, x, generator):
    return machine.log_joint(x, machine.infer(x, generator=generator))


# %% tags=["wrong-answer"]
# Sleep as the lectures print it: the logarithm itself is minimised.
from genlab.early import wake_loss as wake


def sleep(machine, n, generator):
    return machine.log_q(*machine.generative.dream(n, generator=generator))


# %% tags=["wrong-answer"]
# log p(x | z) alone: the top of the generative net never learns.
def wake(machine, x, generator):
    z = machine.infer(x, generator=generator)
    return machine.generative.log_prior(z) - machine.log_joint(x, z)


# %% tags=["wrong-answer"]
# Awake, with hidden bits that were dreamt: what stands in x is not recognised.
def wake(machine, x, generator):
    z = machine.generative.dream(len(x), generator=generator)[1]
    return -machine.log_joint(x, z)


# %% tags=["wrong-answer"]
# The whole bound: its gradient reaches φ as well, and there it is noise.
def wake(machine, x, generator):
    z = machine.infer(x, generator=generator)
    return machine.log_q(x, z) - machine.log_joint(x, z)


# %% tags=["wrong-answer"]
# Asleep, the dream is recognised anew: φ learns to say what it says already.
from genlab.early import wake_loss as wake


def sleep(machine, n, generator):
    x, _ = machine.generative.dream(n, generator=generator)
    return -machine.log_q(x, machine.infer(x, generator=generator))


# %% tags=["wrong-answer"]
# The two free energies are swapped.
from genlab.early import sleep_loss as sleep
from genlab.early import wake_loss as wake


def energies(log_joint, log_q):
    log_p = log_joint.logsumexp(1)
    forward = (log_q.exp() * (log_q - log_joint)).sum(1)
    posterior = (log_joint - log_p[:, None]).exp()
    return (posterior * (log_joint - log_q)).sum(1) - 2 * log_p, forward


# %% tags=["wrong-answer"]
# The divergences alone: they do not see whether the data are likely.
from genlab.early import sleep_loss as sleep
from genlab.early import wake_loss as wake


def energies(log_joint, log_q):
    log_posterior = log_joint.log_softmax(1)
    apart = log_q - log_posterior
    return (log_q.exp() * apart).sum(1), -(log_posterior.exp() * apart).sum(1)


# %% tags=["wrong-answer"]
# Every x that bears the mark counts alike, however seldom it is dreamt.
from genlab.early import sleep_loss as sleep
from genlab.early import wake_loss as wake


def energies(log_joint, log_q):
    log_p = log_joint.logsumexp(1)
    forward = (log_q.exp() * (log_q - log_joint)).sum(1)
    posterior = (log_joint - log_p[:, None]).exp()
    return forward, (posterior * (log_joint - log_q)).sum(1) - 2 * log_p


def asleep(joint, z, marks):
    means = joint / joint.sum(1, keepdim=True) @ z
    return torch.stack([means[marks == c].mean(0) for c in range(int(marks.max()) + 1)])


# %% tags=["wrong-answer"]
# The likeliest dream with the mark, and nothing but it.
from genlab.early import sleep_loss as sleep
from genlab.early import wake_loss as wake


def energies(log_joint, log_q):
    log_p = log_joint.logsumexp(1)
    forward = (log_q.exp() * (log_q - log_joint)).sum(1)
    posterior = (log_joint - log_p[:, None]).exp()
    return forward, (posterior * (log_joint - log_q)).sum(1) - 2 * log_p


def asleep(joint, z, marks):
    share = torch.stack([joint[marks == c].sum(0) for c in range(int(marks.max()) + 1)])
    return z[share.argmax(1)]


# %% nbgrader={"grade": true, "grade_id": "check-phases", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def a_machine(seed):
    """A Helmholtz machine of 3 visible bits and 2 + 2 hidden ones, with weights that matter."""
    g = seeded(seed)
    machine = HelmholtzMachine(3, [2, 2], generator=g).double()
    with torch.no_grad():
        for w in machine.parameters():
            w.copy_(1.5 * randn(*w.shape, generator=g))
    return machine


def is_drawn(losses, n, weights, values, slope_values, others, setting):
    """Each of n losses is one of the values, they come as often as they should, slopes agree.

    weights: probabilities of the values; slope_values: their mean, to be differentiated;
    others: the half that learns and the half that draws, and what the loss might be instead.
    """
    mine, not_mine = others["halves"]
    fits(losses, n)
    assert losses.requires_grad, f"{setting} no gradient reaches any weight"
    off = (losses.detach()[:, None] - values).abs().min(1).values
    if not float(off.max()) < 1e-6:
        why = [
            what
            for what, table in others["values"].items()
            if float((losses.detach()[:, None] - table).abs().min(1).values.max()) < 1e-6
        ]
        raise AssertionError(
            f"{setting} {others['what']}; yours has other values"
            + "".join(f": it is {what}" for what in why[:1])
        )
    right = float(weights @ values)
    error = math.sqrt(float(weights @ (values - right) ** 2) / n)
    found = float(losses.detach().mean())
    assert abs(found - right) < 5 * error, (
        f"{setting} the mean over all draws is {right:.4f}; yours over {n:,} draws is {found:.4f}, "
        f"{abs(found - right) / error:.0f} standard errors off. From which law is z drawn?"
    )
    slopes = torch.autograd.grad(losses.mean(), not_mine, allow_unused=True, retain_graph=True)
    assert all(s is None or not s.any() for s in slopes), (
        f"{setting} a gradient reaches the half that only draws"
    )
    rights = torch.autograd.grad(slope_values, mine)
    founds = torch.autograd.grad(losses.mean(), mine, allow_unused=True)
    for wanted, got in zip(rights, founds, strict=True):
        assert got is not None, (
            f"{setting} no gradient reaches some weights of the half that learns"
        )
        # Each slope is a mean of n numbers between -1 and 1.
        assert float((got - wanted).abs().max()) < 5 / math.sqrt(n), (
            f"{setting} a slope is {float((got - wanted).abs().max()):.4f} off"
        )


with check("4.3") as answer:
    n = 20_000
    for seed, row in ((5, (1.0, 0.0, 1.0)), (6, (0.0, 0.0, 1.0))):
        machine = a_machine(seed)
        theta, phi = list(machine.generative.parameters()), list(machine.recognition.parameters())
        x = vector(*row)[None]
        log_p, log_q = machine.generative.table(x)[0], machine.table(x)[0]
        prior, q = machine.generative.log_prior(states(4)).detach(), log_q.detach().exp()
        values = -log_p.detach()
        is_drawn(
            wake(machine, x.repeat(n, 1), seeded(seed + 10)),
            n,
            q,
            values,
            -(q @ log_p),
            {
                "halves": (theta, phi),
                "what": "the wake loss is -log p(x, z) with z from q(z | x)",
                "values": {
                    "log p(x, z), which would be made small": -values,
                    "-log p(x | z), and the prior of z is forgotten": values + prior,
                    "log q(z | x) - log p(x, z), of which the first term has no θ": values
                    + log_q.detach(),
                },
            },
            f"x = {row}:",
        )
        every = states(3)
        joint = machine.generative.table(every).detach().exp()
        table = machine.table(every)
        is_drawn(
            sleep(machine, n, seeded(seed + 20)),
            n,
            joint.flatten(),
            -table.detach().flatten(),
            -(joint * table).sum(),
            {
                "halves": (phi, theta),
                "what": "the sleep loss is -log q(z | x) of a dream (x, z)",
                "values": {"log q(z | x), which would be made small": table.detach().flatten()},
            },
            "n dreams:",
        )
    p, q = vector(0.3, 0.1)[None], vector(0.5, 0.5)[None]
    found = energies(p.log(), q.log())
    assert isinstance(found, tuple | list), "expected two tensors, F and F'"
    assert len(found) == 2, f"expected two tensors, F and F', got {len(found)}"
    surprise = -math.log(0.4)
    apart = 0.5 * math.log(0.5 / 0.75) + 0.5 * math.log(0.5 / 0.25)
    back = 0.75 * math.log(0.75 / 0.5) + 0.25 * math.log(0.25 / 0.5)
    for name, value, right, which in zip(
        ("F", "F'"), found, (apart, back), ("KL(q‖p)", "KL(p‖q)"), strict=True
    ):
        fits(value, 1)
        assert near(value, vector(surprise + right)), (
            f"p(x, z) = 0.3 and 0.1 and a q that tosses a coin: -log p(x) is {surprise:.4f}, "
            f"{which} to the posterior (3/4, 1/4) is {right:.4f}, so {name} is "
            f"{surprise + right:.4f}; yours is {float(value):.4f}"
        )
    sharp = vector(0.0, -1000.0)[None]
    for name, value, right in zip(
        ("F", "F'"), energies(p.log(), sharp), (-math.log(0.3), surprise), strict=True
    ):
        fits(value, 1)
        if name == "F'":
            right += 0.75 * math.log(0.75) + 0.25 * (math.log(0.25) + 1000)
        assert near(value, vector(right)), (
            f"p(x, z) = 0.3 and 0.1, log q = 0 and -1000: {name} is {right:.4f}; yours is "
            f"{float(value):.4f}. A q that underflows to 0 still has its logarithm"
        )
    joint, z = vector(0.81, 0.09, 0.01, 0.09).reshape(2, 2), states(1)
    for marks, right, why in (
        ((0, 1), (0.1, 0.9), "each x has a mark of its own, so q can be the posterior"),
        ((0, 0), (0.18,), "both look alike, and of all dreams 0.09 + 0.09 have z = 1"),
    ):
        found = asleep(joint, z, torch.tensor(marks))
        fits(found, len(right), 1)
        assert near(found, vector(*right)[:, None]), (
            f"dreams of two x and one hidden bit, p(x, z) = 0.81, 0.09 / 0.01, 0.09 with the marks "
            f"{marks}: sleep ends at q(z = 1 | c) = {right}: {why}; yours is {said(found)}"
        )
    g = seeded(7)
    joint, z = (2 * randn(8, 8, generator=g)).flatten().softmax(0).reshape(8, 8), states(3)
    marks = torch.tensor([0, 1, 2, 0, 1, 2, 0, 1])

    def sleep_mean(q):
        """The mean of the sleep loss over all dreams. q: [3, 3]."""
        logits = q.logit()[marks]
        return -(joint * (logits @ z.T + logsigmoid(-logits).sum(1, keepdim=True))).sum()

    found = asleep(joint, z, marks)
    fits(found, 3, 3)
    inside = bool(((found > 0) & (found < 1)).all())
    assert inside, f"each q(z_j = 1 | c) lies between 0 and 1; yours are {said(found)}"
    mine = float(sleep_mean(found))
    tries = [found.logit() + 0.3 * randn(3, 3, generator=g) for _ in range(50)]
    other = min(float(sleep_mean(logits.sigmoid())) for logits in tries)
    assert mine < other, (
        f"eight x with three marks: the mean sleep loss of your q is {mine:.4f}, and {other:.4f} "
        "of one nearby. How often is a mark dreamt together with z_j = 1?"
    )
### BEGIN HIDDEN TESTS
answer.require()
from genlab.early import free_energies

machine, every = a_machine(8), states(3)
right = free_energies(machine, every)
found = energies(machine.generative.table(every), machine.table(every))
assert near(found[0].detach(), right.forward.detach())
assert near(found[1].detach(), right.reverse.detach())
g = seeded(9)
joint, marks = randn(8, 4, generator=g).flatten().softmax(0).reshape(8, 4), torch.arange(8) % 5
found = asleep(joint, states(2), marks)
for c in range(5):
    rows = joint[marks == c].sum(0)
    assert near(found[c], rows @ states(2) / rows.sum())
losses = sleep(machine, 7, seeded(10))
assert losses.shape == (7,)
### END HIDDEN TESTS

# %% [markdown]
# A recognition net that cannot say "both or neither" (nothing to hand in). Two hidden bits agree:
# their posterior is 0.48, 0.02, 0.02, 0.48 for neither, one, the other, both; $q$ gives both the
# probability $\mu$, independently. Where does $F$ have its least values, where $F'$? Which of the
# two is content with a half of the truth? And how much do they miss: what is $-\log p(x)$ here?


# %%
try:
    mu = torch.linspace(0.02, 0.98, 97, dtype=torch.float64)
    log_q = torch.stack([2 * (1 - mu).log(), *2 * [mu.log() + (1 - mu).log()], 2 * mu.log()], 1)
    posterior = vector(0.48, 0.02, 0.02, 0.48).log().expand(len(mu), -1)
    forward, reverse = energies(posterior, log_q)
    plot.curve(
        mu,
        {"F": forward, "F'": reverse},
        x="μ, what q says of each cause",
        y="nats",
        height=2.8,
        alt="Two curves. F has two valleys, near 0.06 and 0.94, and a hump at one half; F' has one "
        "valley, at one half, and rises steeply towards both ends.",
    )
except NotImplementedError:
    print("Comes with exercise 4.3.")

# %% [markdown]
# ## 4.4 Energy in place of a direction (3 points, 25 minutes)
#
# A restricted Boltzmann machine joins visible bits $x$ and hidden bits $h$ by an energy:
#
# $$p(x, h) = \frac{1}{Z} e^{-E(x, h)}, \qquad
#   E(x, h) = -x^\top W h - b^\top x - c^\top h.$$
#
# Write
#
# - `conditionals`: $p(h_j = 1 \mid x)$ and $p(x_i = 1 \mid h)$;
# - `free_energy`: $F(x) = -\log \sum_h e^{-E(x, h)}$, in closed form and safe for large weights;
# - `log_z`: $\log Z$, by a sum over the states of *one* side, so that 200 visible units don't
#   matter where there are ten hidden ones;
# - `rbm_slopes`: the slopes of the *mean* of $\log p(x)$ over rows in $W$, $b$ and $c$, exactly and
#   without autograd: what the data do together, less what the machine does together,
#   $\mathbb{E}_{\text{data}}[x_i h_j] - \mathbb{E}_p[x_i h_j]$ for $W_{ij}$. Here the checks have few
#   visible units: sum over their states.
#
# *Hint:* the sum over $h$ of a product of factors, one for each $h_j$, is a product of sums. And
# $x$ and $h$ have the same part in $E$.


# %% nbgrader={"grade": false, "grade_id": "energy", "locked": false, "schema_version": 3, "solution": true, "task": false}
def conditionals(x, h, W, b, c):
    """p(h_j = 1 | x), [n, m], and p(x_i = 1 | h), [k, d]. x: [n, d]; h: [k, m]; W: [d, m]."""
    ### BEGIN SOLUTION
    return (x @ W + c).sigmoid(), (h @ W.T + b).sigmoid()
    ### END SOLUTION


def free_energy(x, W, b, c):
    """F(x), [n]. x: bits, [n, d]; W: [d, m]; b: [d]; c: [m]."""
    ### BEGIN SOLUTION
    return -(x @ b) - softplus(x @ W + c).sum(1)
    ### END SOLUTION


def log_z(W, b, c):
    """log Z, one number: at most 20 units on the smaller side. W: [d, m]; b: [d]; c: [m]."""
    ### BEGIN SOLUTION
    if len(b) < len(c):
        W, b, c = W.T, c, b
    return (-free_energy(states(len(c)), W.T, c, b)).logsumexp(0)
    ### END SOLUTION


def rbm_slopes(x, W, b, c):
    """The slopes of the mean of log p(x) in W, b and c, in their shapes: three tensors."""
    ### BEGIN SOLUTION
    every = states(len(b))
    p = (-free_energy(every, W, b, c)).softmax(0)
    h, dreamt = (x @ W + c).sigmoid(), (every @ W + c).sigmoid()
    return (
        x.T @ h / len(x) - every.T @ (p[:, None] * dreamt),
        x.mean(0) - p @ every,
        h.mean(0) - p @ dreamt,
    )
    ### END SOLUTION


# %% tags=["wrong-answer"]
# Energy is taken for log-probability: F has the wrong sign, and all that follows from it.
def conditionals(x, h, W, b, c):
    return (x @ W + c).sigmoid(), (h @ W.T + b).sigmoid()


def free_energy(x, W, b, c):
    return x @ b + softplus(x @ W + c).sum(1)


# %% tags=["wrong-answer"]
# The best h in place of all of them: the energy's minimum, no free energy.
def conditionals(x, h, W, b, c):
    return (x @ W + c).sigmoid(), (h @ W.T + b).sigmoid()


def free_energy(x, W, b, c):
    return -(x @ b) - (x @ W + c).relu().sum(1)


# %% tags=["wrong-answer"]
# log(1 + e^a) as it is written: with a large weight it is infinite.
def conditionals(x, h, W, b, c):
    return (x @ W + c).sigmoid(), (h @ W.T + b).sigmoid()


def free_energy(x, W, b, c):
    return -(x @ b) - (1 + (x @ W + c).exp()).log().sum(1)


# %% tags=["wrong-answer"]
# A low energy is unlikely, in the conditionals: minus the logits.
def conditionals(x, h, W, b, c):
    return (-x @ W - c).sigmoid(), (-h @ W.T - b).sigmoid()


# %% tags=["wrong-answer"]
# Always over the hidden side: 2^200 states.
def conditionals(x, h, W, b, c):
    return (x @ W + c).sigmoid(), (h @ W.T + b).sigmoid()


def free_energy(x, W, b, c):
    return -(x @ b) - softplus(x @ W + c).sum(1)


def log_z(W, b, c):
    return (-free_energy(states(len(c)), W.T, c, b)).logsumexp(0)


# %% tags=["wrong-answer"]
# The mean over the states in place of the sum.
def conditionals(x, h, W, b, c):
    return (x @ W + c).sigmoid(), (h @ W.T + b).sigmoid()


def free_energy(x, W, b, c):
    return -(x @ b) - softplus(x @ W + c).sum(1)


def log_z(W, b, c):
    if len(b) < len(c):
        W, b, c = W.T, c, b
    every = states(len(c))
    return (every @ c + softplus(every @ W.T + b).sum(1)).logsumexp(0) - math.log(len(every))


# %% tags=["wrong-answer"]
# The model's term is not weighted: every state counts alike.
def conditionals(x, h, W, b, c):
    return (x @ W + c).sigmoid(), (h @ W.T + b).sigmoid()


def free_energy(x, W, b, c):
    return -(x @ b) - softplus(x @ W + c).sum(1)


def log_z(W, b, c):
    if len(b) < len(c):
        return (states(len(b)) @ b + softplus(states(len(b)) @ W + c).sum(1)).logsumexp(0)
    return (states(len(c)) @ c + softplus(states(len(c)) @ W.T + b).sum(1)).logsumexp(0)


def rbm_slopes(x, W, b, c):
    every = states(len(b))
    h, k = (x @ W + c).sigmoid(), (every @ W + c).sigmoid()
    dW = x.T @ h / len(x) - every.T @ k / len(every)
    return dW, x.mean(0) - every.mean(0), h.mean(0) - k.mean(0)


# %% tags=["wrong-answer"]
# The slopes of −log p(x), a loss: the machine unlearns.
def conditionals(x, h, W, b, c):
    return (x @ W + c).sigmoid(), (h @ W.T + b).sigmoid()


def free_energy(x, W, b, c):
    return -(x @ b) - softplus(x @ W + c).sum(1)


def log_z(W, b, c):
    if len(b) < len(c):
        return (states(len(b)) @ b + softplus(states(len(b)) @ W + c).sum(1)).logsumexp(0)
    return (states(len(c)) @ c + softplus(states(len(c)) @ W.T + b).sum(1)).logsumexp(0)


def rbm_slopes(x, W, b, c):
    every = states(len(b))
    p = (every @ b + softplus(every @ W + c).sum(1)).softmax(0)
    h, k = (x @ W + c).sigmoid(), (every @ W + c).sigmoid()
    dW = every.T @ (p[:, None] * k) - x.T @ h / len(x)
    return dW, p @ every - x.mean(0), p @ k - h.mean(0)


# %% tags=["wrong-answer"]
# Products of means for means of products.
def conditionals(x, h, W, b, c):
    return (x @ W + c).sigmoid(), (h @ W.T + b).sigmoid()


def free_energy(x, W, b, c):
    return -(x @ b) - softplus(x @ W + c).sum(1)


def log_z(W, b, c):
    if len(b) < len(c):
        return (states(len(b)) @ b + softplus(states(len(b)) @ W + c).sum(1)).logsumexp(0)
    return (states(len(c)) @ c + softplus(states(len(c)) @ W.T + b).sum(1)).logsumexp(0)


def rbm_slopes(x, W, b, c):
    every = states(len(b))
    p = (every @ b + softplus(every @ W + c).sum(1)).softmax(0)
    h, k = (x @ W + c).sigmoid().mean(0), p @ (every @ W + c).sigmoid()
    return x.mean(0).outer(h) - (p @ every).outer(k), x.mean(0) - p @ every, h - k


# %% nbgrader={"grade": true, "grade_id": "check-energy", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def boltzmann(d, m, seed, scale=1.5):
    """W, b and c of a machine with weights that matter."""
    g = seeded(seed)
    return scale * randn(d, m, generator=g), randn(d, generator=g), randn(m, generator=g)


def joint_energy(W, b, c):
    """E(x, h) of all pairs of states, [2^d, 2^m]."""
    x, h = states(len(b)), states(len(c))
    return -(x @ W @ h.T) - (x @ b)[:, None] - h @ c


with check("4.4") as answer:
    for d, m in ((1, 1), (4, 2), (3, 5)):
        machine = boltzmann(d, m, d)
        x, h, energy = states(d), states(m), joint_energy(*machine)
        setting = f"a random machine of {d} visible and {m} hidden units"
        up, down = conditionals(x, h, *machine)
        fits(up, 2**d, m)
        fits(down, 2**m, d)
        for mine, right, what in (
            (up, (-energy).softmax(1) @ h, "p(h = 1 | x)"),
            (down, (-energy).softmax(0).T @ x, "p(x = 1 | h)"),
        ):
            off = float((mine - right).abs().max())
            assert off < 1e-9, (
                f"{setting}: {what} by the sum over all pairs differs from yours by up to "
                f"{off:.4f}. Where the energy is lower, the probability is higher"
            )
        found, right = free_energy(x, *machine), -(-energy).logsumexp(1)
        fits(found, 2**d)
        if not near(found, right):
            why = f"it differs by up to {float((found - right).abs().max()):.4f}"
            if near(found, -right):
                why = "it has the wrong sign"
            elif near(found, energy.min(1).values):
                why = "it is the energy of the best h, and all the others are forgotten"
            raise AssertionError(f"{setting}: your F(x) is not -log of the sum over h: {why}")
    big = torch.full((1, 1), 1000.0).double(), vector(0.0), vector(0.0)
    found = free_energy(states(1), *big)
    fits(found, 2)
    right = vector(-math.log(2), -1000.0)
    assert near(found, right), (
        f"one unit on each side and a weight of 1000: F(0) and F(1) are {said(right)}; yours are "
        f"{said(found)}. Where does e^1000 appear?"
    )
    for d, m in ((4, 2), (3, 5)):
        machine = boltzmann(d, m, 10 + d)
        found = float(log_z(*machine))
        right = float((-joint_energy(*machine)).flatten().logsumexp(0))
        assert abs(found - right) < 1e-9, (
            f"a random machine of {d} visible and {m} hidden units: the sum over all "
            f"{2 ** (d + m)} pairs gives log Z = {right:.4f}; yours is {found:.4f}"
        )
    for d, m in ((200, 3), (3, 200)):
        zero = torch.zeros(d, m).double(), torch.zeros(d).double(), torch.zeros(m).double()
        try:
            found, right = float(log_z(*zero)), (d + m) * math.log(2)
        except ValueError as error:
            raise AssertionError(
                f"{d} visible and {m} hidden units: the smaller side has 8 states, the other side "
                "too many to sum over"
            ) from error
        assert abs(found - right) < 1e-6, (
            f"{d} visible and {m} hidden units without weights: all 2^{d + m} states have the "
            f"energy 0, so log Z is {right:.4f}; yours is {found:.4f}"
        )
    for d, m, n in ((1, 1, 1), (4, 3, 6)):
        machine, x = boltzmann(d, m, 20 + d), coins(n, d, generator=seeded(30 + d))
        if n == 1:
            x = torch.ones(1, 1, dtype=torch.float64)
        at = [w.clone().requires_grad_() for w in machine]
        log_p = -free_energy(x, *at).mean() - (-joint_energy(*at)).flatten().logsumexp(0)
        right = torch.autograd.grad(log_p, at)
        found = rbm_slopes(x, *machine)
        assert isinstance(found, tuple | list), "expected three tensors, the slopes in W, b and c"
        assert len(found) == 3, f"expected three tensors, got {len(found)}"
        for name, slope, wanted in zip(("W", "b", "c"), found, right, strict=True):
            fits(slope, *wanted.shape)
            why = ": all have the wrong sign, log p(x) is to rise" if near(slope, -wanted) else ""
            assert near(slope, wanted), (
                f"a random machine of {d} visible and {m} hidden units, {n} row{'s' * (n > 1)} of "
                f"x: the slopes in {name} are {said(wanted)[:4]} …, yours {said(slope)[:4]} …{why}"
                ". The machine's own term is a mean under p, of products x_i h_j"
            )
### BEGIN HIDDEN TESTS
answer.require()
from genlab.early import log_partition

model = RBM(5, 7).double()
machine = boltzmann(5, 7, 40)
with torch.no_grad():
    for own, given in zip((model.W, model.b, model.c), machine, strict=True):
        own.copy_(given)
x = states(5)[::3]
assert near(free_energy(x, *machine), model.energy(x).detach())
assert abs(float(log_z(*machine)) - float(log_partition(model).detach())) < 1e-9
right = torch.autograd.grad(
    -model.energy(x).mean() - log_partition(model), list(model.parameters())
)
for slope, wanted in zip(rbm_slopes(x, *machine), right, strict=True):
    assert near(slope, wanted)
### END HIDDEN TESTS

# %% [markdown]
# One hidden unit, joined to three bits with the weights $w, w, -w$ (nothing to hand in). Which
# states does a large $w$ prefer, and what does the bias $c$ of the hidden unit do? With pencil and
# paper: for which $b$ and $c$ are 110 and 001 the two favourites, equally likely?


# %%
def show_rbm(w, c):
    machine = w * vector(1.0, 1.0, -1.0)[:, None], torch.zeros(3).double(), vector(c)
    p = (-free_energy(states(3), *machine) - log_z(*machine)).exp()
    with plot.figure(
        x="x",
        y="p(x)",
        height=2.6,
        title=f"w = {w:.1f}, c = {c:.1f}",
        alt="Eight bars, the probabilities of the states of three bits. Without weights they are "
        "equal; the larger the weight, the further 110 stands out.",
    ) as ax:
        names = ["".join(str(int(bit)) for bit in row) for row in states(3)]
        ax.bar(names, p.tolist(), color=plot.COLORS["model"])


try:
    panel = sliders(show_rbm, w=Knob(0.0, 5.0, start=3.0), c=Knob(-6.0, 2.0, start=0.0))
except NotImplementedError:
    print("Comes with exercise 4.4.")
else:
    display(panel)

# %% [markdown]
# ## 4.5 Learning from the machine's own draws (3 points, 30 minutes)
#
# A restricted Boltzmann machine has $p(h_j = 1 \mid x) = \sigma(c_j + (xW)_j)$ and
# $p(x_i = 1 \mid h) = \sigma(b_i + (Wh)_i)$. A *sweep* draws all of $h$ given $x$, then all of $x$
# given $h$. The slope of the mean log-likelihood in $W$ is what the data do together, less what the
# machine does together. The second mean takes draws of the machine. In their place stand
#
# - in CD-$k$ what has become of the *data* after $k$ sweeps, in each step anew;
# - in PCD-$k$ *chains* that each step moves by $k$ sweeps, and that go on from there in the next.
#
# Write
#
# - `fantasies`: where $k$ sweeps lead, from given rows. $h$ and $x$ are bits, never probabilities;
# - `difference`: the step's direction in $W$, $b$ and $c$, the mean over the data less the mean
#   over the fantasies. (There may be another number of these.) In both, $p(h \mid x)$ stands for
#   $h$: it has the mean of the draw, and less noise;
# - `learn`: one step of rate $\eta$, upwards, for each batch. The fantasies are drawn with the
#   weights of before the step.
#
# The check ends with ten epochs on the digits of 8 by 8 pixels.


# %% nbgrader={"grade": false, "grade_id": "learning", "locked": false, "schema_version": 3, "solution": true, "task": false}
def fantasies(x, k, W, b, c, generator):
    """Bits after k sweeps from x, [n, d]. x: bits, [n, d]; W: [d, m]; b: [d]; c: [m]."""
    ### BEGIN SOLUTION
    for _ in range(k):
        h = torch.bernoulli((x @ W + c).sigmoid(), generator=generator)
        x = torch.bernoulli((h @ W.T + b).sigmoid(), generator=generator)
    return x
    ### END SOLUTION


def difference(x, dreams, W, c):
    """Data less fantasies, for W, b and c: three tensors. x: [n, d]; dreams: [r, d]."""
    ### BEGIN SOLUTION
    h, dreamt = (x @ W + c).sigmoid(), (dreams @ W + c).sigmoid()
    return (
        x.T @ h / len(x) - dreams.T @ dreamt / len(dreams),
        x.mean(0) - dreams.mean(0),
        h.mean(0) - dreamt.mean(0),
    )
    ### END SOLUTION


def learn(batches, k, rate, W, b, c, generator, chains=None):
    """W, b, c and the chains after a step for each batch.

    batches: rows of bits, a tensor [n, d] each. chains: rows of bits, [r, d], for PCD; with None it
    is CD, and None is handed back.
    """
    ### BEGIN SOLUTION
    for x in batches:
        dreams = fantasies(x if chains is None else chains, k, W, b, c, generator)
        if chains is not None:
            chains = dreams
        rise = difference(x, dreams, W, c)
        W, b, c = (w + rate * slope for w, slope in zip((W, b, c), rise, strict=True))
    return W, b, c, chains
    ### END SOLUTION


# %% tags=["wrong-answer"]
# The last x is left as probabilities: a smooth picture, and no state of the machine.
def fantasies(x, k, W, b, c, generator):
    for _ in range(k):
        h = torch.bernoulli((x @ W + c).sigmoid(), generator=generator)
        x = (h @ W.T + b).sigmoid()
    return x


# %% tags=["wrong-answer"]
# h isn't drawn: its probabilities are handed down, and pixels that share a unit fall apart.
def fantasies(x, k, W, b, c, generator):
    for _ in range(k):
        x = torch.bernoulli(((x @ W + c).sigmoid() @ W.T + b).sigmoid(), generator=generator)
    return x


# %% tags=["wrong-answer"]
# One sweep, whatever k.
def fantasies(x, k, W, b, c, generator):
    h = torch.bernoulli((x @ W + c).sigmoid(), generator=generator)
    return torch.bernoulli((h @ W.T + b).sigmoid(), generator=generator)


# %% tags=["wrong-answer"]
# Sums in place of means: with other numbers of rows the two sides don't balance.
def fantasies(x, k, W, b, c, generator):
    for _ in range(k):
        h = torch.bernoulli((x @ W + c).sigmoid(), generator=generator)
        x = torch.bernoulli((h @ W.T + b).sigmoid(), generator=generator)
    return x


def difference(x, dreams, W, c):
    h, r = (x @ W + c).sigmoid(), (dreams @ W + c).sigmoid()
    return x.T @ h - dreams.T @ r, x.sum(0) - dreams.sum(0), h.sum(0) - r.sum(0)


# %% tags=["wrong-answer"]
# Products of means.
def fantasies(x, k, W, b, c, generator):
    for _ in range(k):
        h = torch.bernoulli((x @ W + c).sigmoid(), generator=generator)
        x = torch.bernoulli((h @ W.T + b).sigmoid(), generator=generator)
    return x


def difference(x, dreams, W, c):
    h, r = (x @ W + c).sigmoid().mean(0), (dreams @ W + c).sigmoid().mean(0)
    x, dreams = x.mean(0), dreams.mean(0)
    return x.outer(h) - dreams.outer(r), x - dreams, h - r


# %% tags=["wrong-answer"]
# h as bits in the difference too: the likelier value, where the mean was asked for.
def fantasies(x, k, W, b, c, generator):
    for _ in range(k):
        h = torch.bernoulli((x @ W + c).sigmoid(), generator=generator)
        x = torch.bernoulli((h @ W.T + b).sigmoid(), generator=generator)
    return x


def difference(x, dreams, W, c):
    h, r = (x @ W + c > 0).double(), (dreams @ W + c > 0).double()
    dW = x.T @ h / len(x) - dreams.T @ r / len(dreams)
    return dW, x.mean(0) - dreams.mean(0), h.mean(0) - r.mean(0)


# %% tags=["wrong-answer"]
# Downwards, as if the direction were the gradient of a loss.
def fantasies(x, k, W, b, c, generator):
    for _ in range(k):
        h = torch.bernoulli((x @ W + c).sigmoid(), generator=generator)
        x = torch.bernoulli((h @ W.T + b).sigmoid(), generator=generator)
    return x


def difference(x, dreams, W, c):
    h, r = (x @ W + c).sigmoid(), (dreams @ W + c).sigmoid()
    dW = x.T @ h / len(x) - dreams.T @ r / len(dreams)
    return dW, x.mean(0) - dreams.mean(0), h.mean(0) - r.mean(0)


def learn(batches, k, rate, W, b, c, generator, chains=None):
    for x in batches:
        dreams = fantasies(x if chains is None else chains, k, W, b, c, generator)
        dW, db, dc = difference(x, dreams, W, c)
        W, b, c = W - rate * dW, b - rate * db, c - rate * dc
        chains = None if chains is None else dreams
    return W, b, c, chains


# %% tags=["wrong-answer"]
# The persistent chains begin where they began, in every step.
def fantasies(x, k, W, b, c, generator):
    for _ in range(k):
        h = torch.bernoulli((x @ W + c).sigmoid(), generator=generator)
        x = torch.bernoulli((h @ W.T + b).sigmoid(), generator=generator)
    return x


def difference(x, dreams, W, c):
    h, r = (x @ W + c).sigmoid(), (dreams @ W + c).sigmoid()
    dW = x.T @ h / len(x) - dreams.T @ r / len(dreams)
    return dW, x.mean(0) - dreams.mean(0), h.mean(0) - r.mean(0)


def learn(batches, k, rate, W, b, c, generator, chains=None):
    dreams = None
    for x in batches:
        dreams = fantasies(x if chains is None else chains, k, W, b, c, generator)
        dW, db, dc = difference(x, dreams, W, c)
        W, b, c = W + rate * dW, b + rate * db, c + rate * dc
    return W, b, c, None if chains is None else dreams


# %% tags=["wrong-answer"]
# With CD too the chains go on from batch to batch.
def fantasies(x, k, W, b, c, generator):
    for _ in range(k):
        h = torch.bernoulli((x @ W + c).sigmoid(), generator=generator)
        x = torch.bernoulli((h @ W.T + b).sigmoid(), generator=generator)
    return x


def difference(x, dreams, W, c):
    h, r = (x @ W + c).sigmoid(), (dreams @ W + c).sigmoid()
    dW = x.T @ h / len(x) - dreams.T @ r / len(dreams)
    return dW, x.mean(0) - dreams.mean(0), h.mean(0) - r.mean(0)


def learn(batches, k, rate, W, b, c, generator, chains=None):
    persistent = chains is not None
    for x in batches:
        chains = fantasies(x if chains is None else chains, k, W, b, c, generator)
        dW, db, dc = difference(x, chains, W, c)
        W, b, c = W + rate * dW, b + rate * db, c + rate * dc
    return W, b, c, chains if persistent else None


# %% nbgrader={"grade": true, "grade_id": "check-learning", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def spreading():
    """W, b, c of a machine that draws without chance: each one passes to the next bit at right."""
    W = torch.zeros(4, 3, dtype=torch.float64)
    W[range(3), range(3)] = W[range(1, 4), range(3)] = 200.0
    return W, torch.full((4,), -100.0).double(), torch.full((3,), -100.0).double()


def bits(*words):
    """Rows of bits from words as "1000"."""
    return vector(*(float(letter) for word in words for letter in word)).reshape(len(words), -1)


def written(x):
    """Rows of bits as words."""
    return ["".join(str(int(bit)) for bit in row) for row in x.tolist()]


def together(x):
    """The direction that rows of the spreading machine give by themselves, for W, b and c."""
    h = ((x[:, 1:] + x[:, :-1]) > 0).double()
    return x.T @ h / len(x), x.mean(0), h.mean(0)


def sweeps(k, W, b, c):
    """Where k sweeps lead, from all states to all states, [2^d, 2^d]."""
    x, h = states(len(b)), states(len(c))
    energy = -(x @ W @ h.T) - (x @ b)[:, None] - h @ c
    return ((-energy).softmax(1) @ (-energy).softmax(0).T).matrix_power(k)


def small_boltzmann():
    """W, b and c of three visible and two hidden units; from 101 both of these are nearly fair."""
    W = vector(4.0, -3.0, 3.0, 4.0, -4.0, 3.0).reshape(3, 2)
    return W, vector(-0.5, -1.0, 0.5), vector(0.3, -0.2)


def digits_learnt(epochs, chains, seed):
    """W, b, c, the chains and the mean pseudo-log-likelihood of the test digits, after PCD-1."""
    train, test = digit_bits()
    g = seeded(seed)
    W, b, c = 0.01 * randn(64, 64, generator=g), torch.zeros(64).double(), torch.zeros(64).double()
    for _ in range(epochs):
        batches = train[torch.randperm(len(train), generator=g)].split(10)
        W, b, c, chains = learn(batches, 1, 0.05, W, b, c, g, chains)
    model = RBM(64, 64).double()
    with torch.no_grad():
        for own, mine in zip((model.W, model.b, model.c), (W, b, c), strict=True):
            own.copy_(mine)
    return (W, b, c), chains, float(pseudo_log_likelihood(model, test).mean())


with check("4.5") as answer:
    n, g = 20_000, seeded(41)
    for k, right in ((1, "1100"), (2, "1110"), (3, "1111")):
        found = fantasies(bits("1000", "0000"), k, *spreading(), g)
        fits(found, 2, 4)
        assert bool(((found == 0) | (found == 1)).all()), (
            f"a fantasy is a row of bits; yours holds {said(found)[:4]}"
        )
        assert written(found) == [right, "0000"], (
            f"a machine in which each sweep turns the neighbours of a one on, k = {k}: 1000 and "
            f"0000 become {right} and 0000; yours become {written(found)}"
        )
    for k in (1, 2):
        machine = small_boltzmann()
        found = fantasies(bits("101").repeat(n, 1), k, *machine, g)
        fits(found, n, 3)
        assert bool(((found == 0) | (found == 1)).all()), (
            f"a fantasy is a row of bits; yours begins with {said(found)[:3]}"
        )
        p = sweeps(k, *machine)[5]
        share = (found @ vector(4.0, 2.0, 1.0)).long().bincount(minlength=8) / n
        z = ((share - p).abs() / (p * (1 - p) / n).sqrt().clamp_min(1e-6)).max()
        assert float(z) < 5, (
            f"a machine of 3 and 2 units, {n:,} times {k} sweep{'s' * (k > 1)} from 101: the eight "
            f"states should come with {said(p)}; yours come with {said(share)}. Are both layers "
            "drawn?"
        )
    x, dreams = bits("1000", "0110"), bits("1111", "0000", "0001")
    W, _, c = spreading()
    apart = x.mean(0) - dreams.mean(0)
    for scale, right, what in (
        (
            1,
            [a - b for a, b in zip(together(x), together(dreams), strict=True)],
            "the h that belong to them are 100, 111 and 111, 000, 001",
        ),
        (
            0,
            [apart[:, None].expand(4, 3) / 2, apart, torch.zeros(3).double()],
            "without weights, so that each p(h_j = 1 | x) is 1/2",
        ),
    ):
        found = difference(x, dreams, scale * W, scale * c)
        assert isinstance(found, tuple | list), "expected three tensors, for W, b and c"
        assert len(found) == 3, f"expected three tensors, for W, b and c, got {len(found)}"
        for name, mine, wanted in zip(("W", "b", "c"), found, right, strict=True):
            fits(mine, *wanted.shape)
            why = ", which has the wrong sign" if near(mine, -wanted) else ""
            assert near(mine, wanted), (
                f"data 1000, 0110, fantasies 1111, 0000, 0001; {what}: the direction in {name} is "
                f"{said(wanted)}; yours is {said(mine)}{why}. Each side is a mean over its own "
                "rows, for W of the products x_i p(h_j = 1 | x)"
            )
    batches = [bits("1000"), bits("1000", "0100"), bits("0011")]
    for k, chains, stands in (
        (1, None, (("1100",), ("1100", "1110"), ("0111",))),
        (2, None, (("1110",), ("1110", "1111"), ("1111",))),
        (1, bits("1000", "0000"), (("1100", "0000"), ("1110", "0000"), ("1111", "0000"))),
    ):
        how = f"CD-{k}" if chains is None else "PCD-1 with chains at 1000 and 0000"
        wanted = list(spreading())
        for x, dreams in zip(batches, stands, strict=True):
            up, down = together(x), together(bits(*dreams))
            wanted = [w + 0.5 * (u - v) for w, u, v in zip(wanted, up, down, strict=True)]
        found = learn(batches, k, 0.5, *spreading(), g, chains)
        assert isinstance(found, tuple | list), "expected W, b, c and the chains"
        assert len(found) == 4, f"expected W, b, c and the chains, got {len(found)} things"
        for name, mine, right in zip(("W", "b", "c"), found, wanted, strict=False):
            fits(mine, *right.shape)
            assert near(mine, right), (
                f"{how}, three batches, η = 0.5, the machine in which a one turns its neighbours "
                f"on: the fantasies of the three steps are {stands}. Your {name} is "
                f"{float((mine - right).abs().max()):.4f} off. Where does each chain begin, and is "
                "the step upwards?"
            )
        if chains is None:
            assert found[3] is None, "CD has no chains to hand back: None was expected"
        else:
            fits(found[3], 2, 4)
            assert written(found[3]) == ["1111", "0000"], (
                f"{how}: after three steps the chains stand at 1111 and 0000; yours at "
                f"{written(found[3])}"
            )
    _, chains, score = digits_learnt(10, coins(10, 64, generator=seeded(44)), 45)
    # With 20 other seeds -17.97 to -18.82: more than one nat of margin.
    assert score > -20, (
        f"after ten epochs of PCD-1 on the digits the test digits have the pseudo-log-likelihood "
        f"{score:.2f}; about -18 is to be expected, more than -20 asked for, and independent "
        "pixels reach -24.3"
    )
### BEGIN HIDDEN TESTS
answer.require()
machine, g = small_boltzmann(), seeded(47)
found = fantasies(bits("010").repeat(20_000, 1), 3, *machine, g)
share = (found @ vector(4.0, 2.0, 1.0)).long().bincount(minlength=8) / 20_000
p = sweeps(3, *machine)[2]
assert float(((share - p).abs() / (p * (1 - p) / 20_000).sqrt().clamp_min(1e-6)).max()) < 5
x, dreams = coins(6, 3, generator=g), coins(4, 3, generator=g)
model = RBM(3, 2).double()
with torch.no_grad():
    for own, given in zip((model.W, model.b, model.c), machine, strict=True):
        own.copy_(given)
rise = model.energy(dreams).mean() - model.energy(x).mean()
right = torch.autograd.grad(rise, [model.W, model.b, model.c])
for mine, wanted in zip(difference(x, dreams, *machine[::2]), right, strict=True):
    assert near(mine, wanted)
### END HIDDEN TESTS

# %% [markdown]
# What the chains of your machine of digits dream (nothing to hand in): where they stand after
# learning, and where the same chains stand 200 sweeps later, with the weights at rest. Which digits
# do you know again? Then learn for twenty epochs. The score rises; what has become of the chains
# 200 sweeps later, and what does that say of chains that are moved by one sweep while the weights
# move?


# %%
try:
    machine, chains, score = digits_learnt(10, coins(10, 64, generator=seeded(48)), 49)
    later = fantasies(chains, 200, *machine, seeded(50))
    plot.images(
        torch.cat([chains, later]).reshape(-1, 8, 8),
        columns=10,
        title=f"pseudo-log-likelihood {score:.1f}",
        alt="Two rows of ten black and white images of 8 by 8 pixels. Above, the chains at the end "
        "of learning, strokes of which many are digits; below, the same chains 200 sweeps later: "
        "other strokes of the same kind.",
    )
except NotImplementedError:
    print("Comes with exercise 4.5.")

# %% [markdown]
# ## 4.6 The size of all that was not seen (2 points, 20 minutes)
#
# A law known up to a factor, $f_1 / Z_1$, is reached by a path $f_\beta$ from one that can be drawn
# from and whose $Z_0$ is known. *Annealed importance sampling* takes $\beta = 0, \frac1T, \frac2T,
# \dots, 1$ and starts chains at draws of $f_0 / Z_0$. At each step from $\alpha$ to the next
# $\beta$ it first *weighs* and then *moves*,
#
# $$\log w \leftarrow \log w + \log f_\beta(x) - \log f_\alpha(x), \qquad
#   x \leftarrow \text{a step of a chain that keeps } f_\beta,$$
#
# so that $\mathbb{E}[w] = Z_1 / Z_0$ exactly, however few the steps. Write
#
# - `anneal`: $\log w$ of each chain, with $\log Z_0$ added. `log_f(x, beta)` gives a number for
#   each chain, `move(x, beta)` gives the moved chains;
# - `estimate`: from these the logarithm of the *mean weight*, which estimates $\log Z_1$, and its
#   standard error to first order, $\mathrm{sd}(w) / (\bar w \sqrt n)$. A $\log w$ may be 1000.
#
# *Hint:* subtract something before you take `exp`; the error does not change by it. `torch.std`.


# %% nbgrader={"grade": false, "grade_id": "annealing", "locked": false, "schema_version": 3, "solution": true, "task": false}
def anneal(log_f, move, start, T, log_z0=0.0):
    """log w + log Z_0 of each chain, [n]. start: draws of f_0 / Z_0, [n, ...]; T: steps."""
    ### BEGIN SOLUTION
    x, log_w = start, torch.full((len(start),), log_z0, dtype=torch.float64)
    for t in range(T):
        alpha, beta = t / T, (t + 1) / T
        log_w = log_w + log_f(x, beta) - log_f(x, alpha)
        x = move(x, beta)
    return log_w
    ### END SOLUTION


def estimate(log_w):
    """log of the mean of w and its standard error, two floats. log_w: [n]."""
    ### BEGIN SOLUTION
    value = float(log_w.logsumexp(0)) - math.log(len(log_w))
    w = (log_w - value).exp()  # their mean is one
    return value, float(w.std()) / math.sqrt(len(w))
    ### END SOLUTION


# %% tags=["wrong-answer"]
# Moves first and weighs afterwards.
def anneal(log_f, move, start, T, log_z0=0.0):
    x, log_w = start, log_z0 + torch.zeros(len(start)).double()
    for t in range(T):
        x = move(x, (t + 1) / T)
        log_w = log_w + log_f(x, (t + 1) / T) - log_f(x, t / T)
    return log_w


# %% tags=["wrong-answer"]
# Weighs once, at the end: where the chains have arrived, as if they had come from there.
def anneal(log_f, move, start, T, log_z0=0.0):
    x = start
    for t in range(1, T):
        x = move(x, t / T)
    return log_z0 + log_f(x, 1.0) - log_f(x, 0.0)


# %% tags=["wrong-answer"]
# Never moves: plain importance sampling, in T steps.
def anneal(log_f, move, start, T, log_z0=0.0):
    return log_z0 + log_f(start, 1.0) - log_f(start, 0.0)


# %% tags=["wrong-answer"]
# Stops one step before the end.
def anneal(log_f, move, start, T, log_z0=0.0):
    x, log_w = start, log_z0 + torch.zeros(len(start)).double()
    for t in range(T - 1):
        log_w = log_w + log_f(x, (t + 1) / T) - log_f(x, t / T)
        x = move(x, (t + 1) / T)
    return log_w


# %% tags=["wrong-answer"]
# The chains move by the law that they have just left.
def anneal(log_f, move, start, T, log_z0=0.0):
    x, log_w = start, log_z0 + torch.zeros(len(start)).double()
    for t in range(T):
        log_w = log_w + log_f(x, (t + 1) / T) - log_f(x, t / T)
        x = move(x, t / T)
    return log_w


# %% tags=["wrong-answer"]
# Where the path begins is forgotten: log Z₁/Z₀ for log Z₁.
def anneal(log_f, move, start, T, log_z0=0.0):
    x, log_w = start, torch.zeros(len(start)).double()
    for t in range(T):
        log_w = log_w + log_f(x, (t + 1) / T) - log_f(x, t / T)
        x = move(x, (t + 1) / T)
    return log_w


# %% tags=["wrong-answer"]
# The mean of the logarithms.
def anneal(log_f, move, start, T, log_z0=0.0):
    x, log_w = start, log_z0 + torch.zeros(len(start)).double()
    for t in range(T):
        log_w = log_w + log_f(x, (t + 1) / T) - log_f(x, t / T)
        x = move(x, (t + 1) / T)
    return log_w


def estimate(log_w):
    return float(log_w.mean()), float(log_w.std()) / math.sqrt(len(log_w))


# %% tags=["wrong-answer"]
# e^1000.
def anneal(log_f, move, start, T, log_z0=0.0):
    x, log_w = start, log_z0 + torch.zeros(len(start)).double()
    for t in range(T):
        log_w = log_w + log_f(x, (t + 1) / T) - log_f(x, t / T)
        x = move(x, (t + 1) / T)
    return log_w


def estimate(log_w):
    w = log_w.exp()
    return float(w.mean().log()), float(w.std() / w.mean()) / math.sqrt(len(w))


# %% tags=["wrong-answer"]
# The spread of the weights, not the error of their mean.
def anneal(log_f, move, start, T, log_z0=0.0):
    x, log_w = start, log_z0 + torch.zeros(len(start)).double()
    for t in range(T):
        log_w = log_w + log_f(x, (t + 1) / T) - log_f(x, t / T)
        x = move(x, (t + 1) / T)
    return log_w


def estimate(log_w):
    value = float(log_w.logsumexp(0)) - math.log(len(log_w))
    return value, float((log_w - value).exp().std())


# %% nbgrader={"grade": true, "grade_id": "check-annealing", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
def annealed_machine(W, b, c):
    """log f, a move, and log Z_0 of the path on which the weights W and c grow from 0 to theirs."""

    def log_f(x, beta):
        return x @ b + softplus(beta * (x @ W + c)).sum(1)

    def move(x, beta, generator):
        h = torch.bernoulli((beta * (x @ W + c)).sigmoid(), generator=generator)
        return torch.bernoulli((beta * (h @ W.T) + b).sigmoid(), generator=generator)

    return log_f, move, float(len(c) * math.log(2) + softplus(b).sum())


def run_on(machine, chains, T, seed):
    """Your log w of a machine with the weights W, b, c."""
    g = seeded(seed)
    log_f, move, log_z0 = annealed_machine(*machine)
    start = torch.bernoulli(machine[1].sigmoid().expand(chains, -1), generator=g)
    return anneal(log_f, lambda x, beta: move(x, beta, g), start, T, log_z0)


def annealing_example(d, m, seed):
    """W, b, c of a machine and its log Z, by the sum over all pairs of states."""
    g = seeded(seed)
    W, b, c = randn(d, m, generator=g), randn(d, generator=g), randn(m, generator=g)
    x, h = states(d), states(m)
    return (W, b, c), float((x @ W @ h.T + (x @ b)[:, None] + h @ c).flatten().logsumexp(0))


with check("4.6") as answer:
    start = vector(1.0, 3.0)
    for T, right, why in (
        (1, (1.0, 3.0), "one weighing where the chains start"),
        (2, (1.5, 3.5), "half of it at the start, half of it one place further"),
        (4, (2.25, 4.25), "before the four weighings the chains have moved by 0, 0.5, 1.5 and 3"),
    ):
        found = anneal(lambda x, beta: beta * x, lambda x, beta: x + 2 * beta, start, T)
        fits(found, 2)
        assert near(found, vector(*right)), (
            f"log f = βx and a move to x + 2β, from x = 1 and 3 with T = {T}: log w = {right}: "
            f"{why}; yours is {said(found)}. At each step first weigh, then move at the new β; the "
            "last weighing ends at β = 1"
        )
    found = anneal(lambda x, beta: beta * x, lambda x, beta: x, start, 3, 5.0)
    fits(found, 2)
    assert near(found, start + 5), (
        f"log f = βx, no move, log Z_0 = 5, from x = 1 and 3: log w + log Z_0 is 6 and 8; yours is "
        f"{said(found)}"
    )
    for log_w, mean, spread in (
        (vector(0.0, math.log(3.0)), math.log(2.0), 0.5),
        (vector(1000.0, 1000 + math.log(3.0)), 1000 + math.log(2.0), 0.5),
        (vector(0.0, 0.0, 0.0, math.log(5.0)), math.log(2.0), 0.5),
    ):
        found = estimate(log_w)
        assert isinstance(found, tuple | list), "expected two numbers, the estimate and its error"
        assert len(found) == 2, f"expected two numbers, got {len(found)}"
        value, error = (float(number) for number in found)
        assert abs(value - mean) < 1e-9, (
            f"log w = {said(log_w)}: the log of the mean weight is {mean:.4f}; yours is {value:.4f}"
        )
        assert abs(error - spread) < 1e-9, (
            f"log w = {said(log_w)}: weights in the ratio {said((log_w - log_w[0]).exp())} have "
            f"sd / (mean · √n) = {spread}; your error is {error:.4f}"
        )
    for T in (1, 3):
        machine, right = annealing_example(6, 4, 51)
        w = (run_on(machine, 20_000, T, 52) - right).exp()
        error = float(w.std()) / math.sqrt(len(w))
        assert abs(float(w.mean()) - 1) < 5 * error, (
            f"a machine of 6 and 4 units, T = {T}: the mean of 20,000 weights over Z is "
            f"{float(w.mean()):.4f} ± {error:.4f}; it is 1, however few the steps"
        )
    # 40 machines of this size have standard errors of 0.007 to 0.020: a factor of 2.5 of margin.
    for seed in (53, 54):
        machine, right = annealing_example(10, 6, seed)
        value, error = estimate(run_on(machine, 100, 300, seed + 10))
        assert 0 < error < 0.05, (
            f"a machine of 10 and 6 units, 100 chains, T = 300: your standard error is "
            f"{error:.4f}; one to two hundredths are to be expected"
        )
        assert abs(value - right) < 5 * error, (
            f"a machine of 10 and 6 units: log Z is {right:.4f}; yours is {value:.4f} ± {error:.4f}"
        )
### BEGIN HIDDEN TESTS
answer.require()
found = anneal(lambda x, beta: beta**2 * x, lambda x, beta: 2 * x, vector(1.0), 3, -1.0)
assert near(found, vector(-1 + 1 / 9 + 2 * 3 / 9 + 4 * 5 / 9), 1e-6)
log_w = -700 + randn(50, generator=seeded(55))
value, error = estimate(log_w)
w = (log_w + 700).exp()
assert abs(value - float(w.mean().log()) + 700) < 1e-9
assert abs(error - float(w.std() / w.mean()) / math.sqrt(50)) < 1e-9
### END HIDDEN TESTS

# %% [markdown]
# How many steps does the path need (nothing to hand in)? Another machine, 100 chains, more and more
# steps; the truth is the sum over all states. Crosses are the means of $\log w$: on which side of
# the truth do they lie, and why must they? What could the error bar at $T = 1$ not know?


# %%
try:
    machine, right = annealing_example(12, 8, 56)
    steps = [1, 3, 10, 30, 100, 300]
    runs = [run_on(machine, 100, T, 57) for T in steps]
    values, errors = zip(*(estimate(log_w) for log_w in runs), strict=True)
    with plot.figure(
        x="steps T of the path",
        y="log Z, nats",
        height=2.8,
        alt="Over the number of steps, on a logarithmic axis: crosses that come up to a horizontal "
        "line from far below, and dots whose error bars shrink. With one step the dot lies below "
        "the line, farther than its bar reaches; from ten steps on the dots are near the line.",
    ) as ax:
        ax.errorbar(
            steps,
            values,
            yerr=[2 * e for e in errors],
            fmt="o",
            color=plot.COLORS["model"],
            label="log of mean w, ± 2 errors",
        )
        ax.plot(
            steps,
            [float(log_w.mean()) for log_w in runs],
            "x",
            color=plot.COLORS["approx"],
            label="mean of log w",
        )
        ax.axhline(right, color=plot.COLORS["truth"], lw=0.8, label="sum over all states")
        ax.set_xscale("log")
        ax.legend()
except NotImplementedError:
    print("Comes with exercise 4.6.")

# %% [markdown]
# ## 4.7 To undo noise (3 points, 20 minutes)
#
# The data are $K$ points $a_k$ on a line, with probabilities $p_k$. What one sees has noise on it,
# $\tilde x = x + \sigma\varepsilon$ with $\varepsilon \sim N(0, 1)$, and the density $p_\sigma$.
# The guess at $x$ with the least mean squared error, $r(\tilde x) = \mathbb{E}[x \mid \tilde x]$,
# is a step up the logarithm of that density, $\tilde x + \sigma^2 (\log p_\sigma)'(\tilde x)$.
# Write
#
# - `denoised`: $r$, safe far away from all points;
# - `score`: $(\log p_\sigma)'$;
# - `reconstruction`: now with finitely many values. $x$ has the law $p$ and becomes $\tilde x$ with
#   probability $C(\tilde x \mid x)$; give $P(x \mid \tilde x)$, which an unlimited net would learn;
# - `stationary`: the law $\pi$ with $\pi K = \pi$ of a chain that can reach every state. The chain
#   that corrupts by $C$ and reconstructs by $P$, again and again, is one: which law does it keep?
#
# *Hint:* `torch.softmax`; $\pi K = \pi$ and $\sum \pi = 1$ are linear equations:
# `torch.linalg.lstsq`. A chain that goes to and fro never settles, and has a law all the same.


# %% nbgrader={"grade": false, "grade_id": "denoising", "locked": false, "schema_version": 3, "solution": true, "task": false}
def denoised(noisy, at, p, sigma):
    """r, [n]. noisy: what is seen, [n]; at: the points a, [K]; p: their probabilities, [K]."""
    ### BEGIN SOLUTION
    logits = p.log() - (noisy[:, None] - at) ** 2 / (2 * sigma**2)
    return logits.softmax(1) @ at
    ### END SOLUTION


def score(noisy, at, p, sigma):
    """The slope of log p_sigma, [n]."""
    ### BEGIN SOLUTION
    return (denoised(noisy, at, p, sigma) - noisy) / sigma**2
    ### END SOLUTION


def reconstruction(p, C):
    """P, [Y, X], a row for each of the Y corrupted values. p: [X]; C: [X, Y]."""
    ### BEGIN SOLUTION
    joint = (p[:, None] * C).T
    return joint / joint.sum(1, keepdim=True)
    ### END SOLUTION


def stationary(kernel):
    """The law, [S]. kernel: [S, S], its rows sum to one."""
    ### BEGIN SOLUTION
    n = len(kernel)
    left = torch.cat([kernel.T - torch.eye(n).double(), torch.ones(1, n).double()])
    right = torch.zeros(n + 1, 1).double()
    right[-1] = 1
    return torch.linalg.lstsq(left, right).solution[:, 0]
    ### END SOLUTION


# %% tags=["wrong-answer"]
# The likeliest point, no mean: the picture is sharp and the error larger.
def denoised(noisy, at, p, sigma):
    return at[(p.log() - (noisy[:, None] - at) ** 2 / (2 * sigma**2)).argmax(1)]


# %% tags=["wrong-answer"]
# How frequent the points are is forgotten.
def denoised(noisy, at, p, sigma):
    return (-((noisy[:, None] - at) ** 2) / (2 * sigma**2)).softmax(1) @ at


# %% tags=["wrong-answer"]
# Densities first: far away all of them are 0.
def denoised(noisy, at, p, sigma):
    weights = p * (-((noisy[:, None] - at) ** 2) / (2 * sigma**2)).exp()
    return weights / weights.sum(1, keepdim=True) @ at


# %% tags=["wrong-answer"]
# The noise that was added, in place of the slope: away from the data.
def denoised(noisy, at, p, sigma):
    return (p.log() - (noisy[:, None] - at) ** 2 / (2 * sigma**2)).softmax(1) @ at


def score(noisy, at, p, sigma):
    return (noisy - denoised(noisy, at, p, sigma)) / sigma**2


# %% tags=["wrong-answer"]
# σ for σ².
def denoised(noisy, at, p, sigma):
    return (p.log() - (noisy[:, None] - at) ** 2 / (2 * sigma**2)).softmax(1) @ at


def score(noisy, at, p, sigma):
    return (denoised(noisy, at, p, sigma) - noisy) / sigma


# %% tags=["wrong-answer"]
# The likelihood alone: where x̃ can come from, not how often it does.
def denoised(noisy, at, p, sigma):
    return (p.log() - (noisy[:, None] - at) ** 2 / (2 * sigma**2)).softmax(1) @ at


def score(noisy, at, p, sigma):
    return (denoised(noisy, at, p, sigma) - noisy) / sigma**2


def reconstruction(p, C):
    return (C / C.sum(0)).T


# %% tags=["wrong-answer"]
# The prior alone: x̃ is not looked at. (A chain of independent draws, and no denoiser.)
def denoised(noisy, at, p, sigma):
    return (p.log() - (noisy[:, None] - at) ** 2 / (2 * sigma**2)).softmax(1) @ at


def score(noisy, at, p, sigma):
    return (denoised(noisy, at, p, sigma) - noisy) / sigma**2


def reconstruction(p, C):
    return p.expand(C.shape[1], -1)


# %% tags=["wrong-answer"]
# K π = π: the right eigenvector, which is constant for every chain.
from genlab.early import bayes_reconstruction as reconstruction


def denoised(noisy, at, p, sigma):
    return (p.log() - (noisy[:, None] - at) ** 2 / (2 * sigma**2)).softmax(1) @ at


def score(noisy, at, p, sigma):
    return (denoised(noisy, at, p, sigma) - noisy) / sigma**2


def stationary(kernel):
    values, vectors = torch.linalg.eig(kernel)
    law = vectors[:, (values - 1).abs().argmin()].real
    return law / law.sum()


# %% tags=["wrong-answer"]
# A thousand steps from the first state: a chain that goes to and fro never arrives.
from genlab.early import bayes_reconstruction as reconstruction


def denoised(noisy, at, p, sigma):
    return (p.log() - (noisy[:, None] - at) ** 2 / (2 * sigma**2)).softmax(1) @ at


def score(noisy, at, p, sigma):
    return (denoised(noisy, at, p, sigma) - noisy) / sigma**2


def stationary(kernel):
    return kernel.matrix_power(1000)[0]


# %% nbgrader={"grade": true, "grade_id": "check-denoising", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def log_noisy(x, at, p, sigma):
    """log p_sigma but for a constant."""
    return (p.log() - (x[:, None] - at) ** 2 / (2 * sigma**2)).logsumexp(1)


with check("4.7") as answer:
    at, p = vector(-1.0, 1.0), vector(0.25, 0.75)
    setting = "the points -1 and 1 with the probabilities 1/4 and 3/4, σ = 1"
    for x, right, why in (
        (0.0, 0.5, "0 lies as near to one as to the other, so the mean of the data is left"),
        (-math.log(3) / 2, 0.0, "there the two are equally likely"),
    ):
        found = denoised(vector(x), at, p, 1.0)
        fits(found, 1)
        assert near(found, vector(right)), (
            f"{setting}: E[x | x̃] at x̃ = {x:.4f} is {right}: {why}; yours is {float(found):.4f}"
        )
    found = denoised(vector(-80.0, 80.0), at, p, 0.5)
    fits(found, 2, setting="the points -1 and 1, σ = 1/2, and ±80 is seen: ")
    assert near(found, vector(-1.0, 1.0)), (
        "the points -1 and 1, σ = 1/2, and ±80 is seen: the nearer point is as good as certain; "
        f"yours are {said(found)}. Both densities underflow to 0 there"
    )
    g = seeded(61)
    for K, sigma in ((2, 1.0), (5, 0.3), (5, 2.0)):
        at, p = 2 * randn(K, generator=g), randn(K, generator=g).softmax(0)
        x = (3 * randn(6, generator=g)).requires_grad_()
        (right,) = torch.autograd.grad(log_noisy(x, at, p, sigma).sum(), x)
        x = x.detach()
        setting = f"{K} random points, σ = {sigma}"
        found, mine = denoised(x, at, p, sigma), score(x, at, p, sigma)
        fits(found, 6)
        fits(mine, 6)
        wanted = x + sigma**2 * right
        assert near(found, wanted), (
            f"{setting}: x̃ + σ² (log p_σ)' at x̃ = {said(x)} is {said(wanted)}; your r is "
            f"{said(found)}"
        )
        why = ": it points away from the data" if near(mine, -right) else ""
        assert near(mine, right), (
            f"{setting}: the slopes of log p_σ at x̃ = {said(x)} are {said(right)}, as autograd "
            f"finds them; yours are {said(mine)}{why}"
        )
    p, C = vector(0.75, 0.25), vector(0.8, 0.2, 0.2, 0.8).reshape(2, 2)
    found = reconstruction(p, C)
    fits(found, 2, 2)
    right = vector(12 / 13, 1 / 13, 3 / 7, 4 / 7)
    assert near(found.flatten(), right), (
        "p = (3/4, 1/4), each value kept with 0.8: of 0.65 that are seen as the first value 0.6 "
        f"were it, so P is {said(right)}, row by row; yours is {said(found)}"
    )
    for kernel, right, what in (
        (vector(0.9, 0.1, 0.3, 0.7), vector(0.75, 0.25), "a chain that leaves with 0.1 and 0.3"),
        (vector(0.0, 1.0, 1.0, 0.0), vector(0.5, 0.5), "a chain that goes to and fro"),
    ):
        found = stationary(kernel.reshape(2, 2))
        fits(found, 2)
        assert near(found, right, 1e-6), (
            f"{what}: πK = π has the solution {said(right)}; yours is {said(found)}. The law "
            "stands on the left of K"
        )
    for X, Y in ((4, 4), (6, 3), (3, 5)):
        p = randn(X, generator=g).softmax(0)
        C = (2 * randn(X, Y, generator=g)).softmax(1)
        P = reconstruction(p, C)
        fits(P, Y, X)
        sums = P.sum(1)
        assert near(sums, torch.ones_like(sums)), (
            f"{X} values and {Y} corrupted ones: each row of P is a law of x; yours sum to "
            f"{said(sums)}"
        )
        found = stationary(C @ P)
        fits(found, X)
        assert near(found, p, 1e-6), (
            f"{X} values and {Y} corrupted ones: the chain that corrupts by C and reconstructs by "
            f"P(x | x̃) keeps p = {said(p)}; yours keeps {said(found)}"
        )
### BEGIN HIDDEN TESTS
answer.require()
from genlab import early

g = seeded(62)
at, p = randn(4, generator=g), randn(4, generator=g).softmax(0)
x = 2 * randn(9, generator=g)
right = early.optimal_denoiser(lambda y: log_noisy(y, at, p, 0.7), x, 0.7)
assert near(denoised(x, at, p, 0.7), right)
assert near(score(x, at, p, 0.7), (right - x) / 0.49)
p, C = randn(5, generator=g).softmax(0), randn(5, 7, generator=g).softmax(1)
assert near(reconstruction(p, C), early.bayes_reconstruction(p, C))
kernel = randn(6, 6, generator=g).softmax(1)
assert near(stationary(kernel), early.stationary(kernel), 1e-6)
### END HIDDEN TESTS

# %% [markdown]
# The best denoiser of three points (nothing to hand in). What does it do where it stands between
# two of them, for a small σ and for a large one? A chain adds noise, puts down $r$ itself without a
# draw, and begins again: where would it be found?


# %%
def show_denoiser(sigma):
    at, p = vector(-2.0, 0.0, 1.0), vector(0.3, 0.3, 0.4)
    x = torch.linspace(-4, 3, 281, dtype=torch.float64)
    with plot.figure(
        x="what is seen",
        y="r",
        height=3.0,
        title=f"σ = {sigma:.2f}",
        alt="A rising curve beside the diagonal. With little noise it is a staircase whose treads "
        "lie at -2, 0 and 1; the more noise, the flatter it lies around the mean of the three.",
    ) as ax:
        ax.plot(x, x, lw=0.8, color=plot.COLORS["data"], label="as it is seen")
        ax.plot(x, denoised(x, at, p, sigma), color=plot.COLORS["model"], label="r")
        ax.legend()


try:
    panel = sliders(show_denoiser, sigma=Knob(0.1, 3.0, start=0.5))
except NotImplementedError:
    print("Comes with exercise 4.7.")
else:
    display(panel)

# %% [markdown]
# ## 4.8 Find out why (3 points, 30 minutes)
#
# Four colleagues bring a step of PCD-1 each, for a restricted Boltzmann machine $(W, b, c)$. All
# get a batch $x$ and the chains, and give back the machine and the chains that they have used as
# fantasies. The four look alike; in three of them one line is wrong. A row for each shows its
# chains after eight epochs of digits. Above stands how well its machine guesses each pixel of a
# test digit from the others, the pseudo-log-likelihood: independent pixels have $-24$. Would you
# know which step is right?


# %%
def step_a(machine, x, chains, rate, generator):
    """A colleague's step."""
    W, b, c = machine
    h = (chains @ W + c).sigmoid()
    chains = torch.bernoulli((h @ W.T + b).sigmoid(), generator=generator)
    seen, dreamt = (x @ W + c).sigmoid(), (chains @ W + c).sigmoid()
    rise, fall = rate / len(x), -rate / len(chains)
    W = W + rise * x.T @ seen + fall * chains.T @ dreamt
    b = b + rise * x.sum(0) + fall * chains.sum(0)
    c = c + rise * seen.sum(0) + fall * dreamt.sum(0)
    return (W, b, c), chains


def step_b(machine, x, chains, rate, generator):
    """A colleague's step."""
    W, b, c = machine
    chains = torch.bernoulli(torch.full_like(chains, 0.5), generator=generator)
    h = torch.bernoulli((chains @ W + c).sigmoid(), generator=generator)
    chains = torch.bernoulli((h @ W.T + b).sigmoid(), generator=generator)
    seen, dreamt = (x @ W + c).sigmoid(), (chains @ W + c).sigmoid()
    rise, fall = rate / len(x), -rate / len(chains)
    W = W + rise * x.T @ seen + fall * chains.T @ dreamt
    b = b + rise * x.sum(0) + fall * chains.sum(0)
    c = c + rise * seen.sum(0) + fall * dreamt.sum(0)
    return (W, b, c), chains


def step_c(machine, x, chains, rate, generator):
    """A colleague's step."""
    W, b, c = machine
    h = torch.bernoulli((chains @ W + c).sigmoid(), generator=generator)
    chains = torch.bernoulli((h @ W.T + b).sigmoid(), generator=generator)
    seen, dreamt = (x @ W + c).sigmoid(), (chains @ W + c).sigmoid()
    rise, fall = rate / len(x), -rate / len(chains)
    W = W + rise * x.T @ seen + fall * chains.T @ dreamt
    b = b + rise * x.sum(0) + fall * chains.sum(0)
    c = c + rise * seen.sum(0) + fall * dreamt.sum(0)
    return (W, b, c), chains


def step_d(machine, x, chains, rate, generator):
    """A colleague's step."""
    W, b, c = machine
    h = torch.bernoulli((chains @ W + c).sigmoid(), generator=generator)
    chains = torch.bernoulli((h @ W.T + b).sigmoid(), generator=generator)
    seen, dreamt = (x @ W + c).sigmoid(), (chains @ W + c).sigmoid()
    rise, fall = rate / len(x), rate / len(chains)
    W = W + rise * x.T @ seen + fall * chains.T @ dreamt
    b = b + rise * x.sum(0) + fall * chains.sum(0)
    c = c + rise * seen.sum(0) + fall * dreamt.sum(0)
    return (W, b, c), chains


STEPS = {"A": step_a, "B": step_b, "C": step_c, "D": step_d}
train, test = digit_bits()
trained, rows, scores = {}, [], []
for name, step in STEPS.items():
    g = seeded(71)
    machine = 0.01 * randn(64, 64, generator=g), torch.zeros(64).double(), torch.zeros(64).double()
    chains = coins(10, 64, generator=g)
    for _ in range(8):
        for x in train[torch.randperm(len(train), generator=g)].split(10):
            machine, chains = step(machine, x, chains, 0.05, g)
    model = RBM(64, 64).double()
    with torch.no_grad():
        for own, learnt in zip((model.W, model.b, model.c), machine, strict=True):
            own.copy_(learnt)
    trained[name] = model
    rows.append(chains.reshape(-1, 8, 8))
    scores.append(f"{name}: {float(pseudo_log_likelihood(model, test).mean()):,.1f}")
plot.images(
    torch.cat(rows),
    columns=10,
    title=",  ".join(scores),
    alt="Four rows of ten black and white images of 8 by 8 pixels. The first three rows, A, B and "
    "C, hold strokes like those of digits; the fourth, D, is black all over.",
)

# %% [markdown]
# Find out why, without reading them: measure. A machine whose behaviour you can foretell is a
# measuring device, and you may choose machine, batch and chains. Write `measured`, four numbers of
# a step,
#
# - $u$ and $v$: in a machine without weights, $\Delta b / \eta = u\,\bar x + v\,\bar x^-$, with the
#   means of the batch and of the chains that came back. By least squares over the pixels;
# - the *memory*: in a machine in which each pixel copies itself from sweep to sweep, the share of
#   the chains' entries that are still what they were. The batch is to be another one;
# - the *agreement*: in a machine in which one fair hidden bit decides two pixels, so that both are
#   1 or both are 0, the share of chains that come back exactly so;
#
# and `verdict`: `"right"`, `"wrong sign"` (of the data's term or of the model's), `"new chains"`
# (the chains do not go on from where they were), or `"probabilities"` (somewhere in the sweep stand
# probabilities where bits should be drawn). Another rate or more sweeps are no fault.
#
# *Hint:* a logit of $\pm 20$ is as good as certain; with chains at 0 a hidden bit of bias 0 is
# fair. Take some hundred chains, and as many rows for the batch. Work out the four numbers of a
# right step first. What is $v$ of a step that begins at the batch?


# %% nbgrader={"grade": false, "grade_id": "stalled", "locked": false, "schema_version": 3, "solution": true, "task": false}
def measured(step, generator):
    """u, v, the memory and the agreement, [4]. step: as those above."""
    ### BEGIN SOLUTION
    # Without weights, and with random pixels.
    d = 40
    machine = torch.zeros(d, 1).double(), torch.zeros(d).double(), torch.zeros(1).double()
    x, chains = coins(2, 9, d, generator=generator)
    (_, b, _), after = step(machine, x, chains, 0.01, generator)
    means = torch.stack([x.mean(0), after.mean(0)], 1)
    uv = torch.linalg.lstsq(means, b[:, None] / 0.01).solution[:, 0]
    # Each pixel has a hidden bit of its own, which copies it and is copied.
    half = torch.full((d,), -20.0).double()
    _, after = step((40 * torch.eye(d).double(), half, half), x, chains, 1e-6, generator)
    memory = ((after > 0.5) == (chains > 0.5)).double().mean()
    # One hidden bit, which is fair where both pixels are 0.
    W, b = torch.full((2, 1), 40.0).double(), torch.full((2,), -20.0).double()
    zeros = torch.zeros(1000, 2).double()
    _, after = step((W, b, torch.zeros(1).double()), zeros, zeros, 1e-6, generator)
    both = ((after == 0).all(1) | (after == 1).all(1)).double().mean()
    return torch.cat([uv, torch.stack([memory, both])])
    ### END SOLUTION


def verdict(step, generator):
    """One of the four words."""
    ### BEGIN SOLUTION
    u, v, memory, agreement = measured(step, generator).tolist()
    if not agreement > 0.99:
        return "probabilities"
    if not memory > 0.99:
        return "new chains"
    return "right" if u > 0 > v else "wrong sign"
    ### END SOLUTION


# %% tags=["wrong-answer"]
# The change is not divided by the rate.
def measured(step, generator):
    machine = torch.zeros(40, 1).double(), torch.zeros(40).double(), torch.zeros(1).double()
    x, chains = coins(2, 9, 40, generator=generator)
    (_, b, _), after = step(machine, x, chains, 0.01, generator)
    means = torch.stack([x.mean(0), after.mean(0)], 1)
    uv = torch.linalg.lstsq(means, b[:, None]).solution[:, 0]
    return torch.cat([uv, torch.ones(2).double()])


# %% tags=["wrong-answer"]
# Where the chains were before, as fantasies: they are what came back.
def measured(step, generator):
    machine = torch.zeros(40, 1).double(), torch.zeros(40).double(), torch.zeros(1).double()
    x, chains = coins(2, 9, 40, generator=generator)
    (_, b, _), _ = step(machine, x, chains, 0.01, generator)
    means = torch.stack([x.mean(0), chains.mean(0)], 1)
    uv = torch.linalg.lstsq(means, b[:, None] / 0.01).solution[:, 0]
    return torch.cat([uv, torch.ones(2).double()])


# %% tags=["wrong-answer"]
# The batch is where the chains stand: who begins at the data anew seems to remember.
def measured(step, generator):
    d, half = 40, torch.full((40,), -20.0).double()
    machine = torch.zeros(d, 1).double(), torch.zeros(d).double(), torch.zeros(1).double()
    x, chains = coins(2, 9, d, generator=generator)
    (_, b, _), after = step(machine, x, chains, 0.01, generator)
    means = torch.stack([x.mean(0), after.mean(0)], 1)
    uv = torch.linalg.lstsq(means, b[:, None] / 0.01).solution[:, 0]
    after = step((40 * torch.eye(d).double(), half, half), chains, chains, 1e-6, generator)[1]
    return torch.cat([uv, (after == chains).double().mean()[None], torch.ones(1).double()])


# %% tags=["wrong-answer"]
# Looks for entries that are no bits, in x alone: an h that wasn't drawn is not seen.
def measured(step, generator):
    d, zeros = 40, torch.zeros(1000, 2).double()
    machine = torch.zeros(d, 1).double(), torch.zeros(d).double(), torch.zeros(1).double()
    x, chains = coins(2, 9, d, generator=generator)
    (_, b, _), after = step(machine, x, chains, 0.01, generator)
    means = torch.stack([x.mean(0), after.mean(0)], 1)
    u, v = torch.linalg.lstsq(means, b[:, None] / 0.01).solution[:, 0]
    half, W = torch.full((d,), -20.0).double(), 40 * torch.eye(d).double()
    memory = (step((W, half, half), x, chains, 1e-6, generator)[1] - chains).abs() < 0.5
    pair = torch.full((2, 1), 40.0).double(), half[:2], torch.zeros(1).double()
    after = step(pair, zeros, zeros, 1e-6, generator)[1]
    both = ((after == 0) | (after == 1)).double().mean()
    return torch.stack([u, v, memory.double().mean(), both])


# %% tags=["wrong-answer"]
# Two pixels that both are surely 1: they agree whether their hidden bit is drawn or not.
def measured(step, generator):
    d, zeros = 40, torch.zeros(1000, 2).double()
    machine = torch.zeros(d, 1).double(), torch.zeros(d).double(), torch.zeros(1).double()
    x, chains = coins(2, 9, d, generator=generator)
    (_, b, _), after = step(machine, x, chains, 0.01, generator)
    means = torch.stack([x.mean(0), after.mean(0)], 1)
    u, v = torch.linalg.lstsq(means, b[:, None] / 0.01).solution[:, 0]
    half, W = torch.full((d,), -20.0).double(), 40 * torch.eye(d).double()
    memory = (step((W, half, half), x, chains, 1e-6, generator)[1] - chains).abs() < 0.5
    pair = torch.full((2, 1), 40.0).double(), half[:2], torch.full((1,), 20.0).double()
    after = step(pair, zeros, zeros, 1e-6, generator)[1]
    both = ((after == 0).all(1) | (after == 1).all(1)).double().mean()
    return torch.stack([u, v, memory.double().mean(), both])


# %% tags=["wrong-answer"]
# Looks at the data's term alone: who adds the model's passes for right.
def measured(step, generator):
    d, zeros = 40, torch.zeros(1000, 2).double()
    machine = torch.zeros(d, 1).double(), torch.zeros(d).double(), torch.zeros(1).double()
    x, chains = coins(2, 9, d, generator=generator)
    (_, b, _), after = step(machine, x, chains, 0.01, generator)
    means = torch.stack([x.mean(0), after.mean(0)], 1)
    u, v = torch.linalg.lstsq(means, b[:, None] / 0.01).solution[:, 0]
    half, W = torch.full((d,), -20.0).double(), 40 * torch.eye(d).double()
    memory = (step((W, half, half), x, chains, 1e-6, generator)[1] - chains).abs() < 0.5
    pair = torch.full((2, 1), 40.0).double(), half[:2], torch.zeros(1).double()
    after = step(pair, zeros, zeros, 1e-6, generator)[1]
    both = ((after == 0).all(1) | (after == 1).all(1)).double().mean()
    return torch.stack([u, v, memory.double().mean(), both])


def verdict(step, generator):
    u, _, memory, agreement = measured(step, generator).tolist()
    if not agreement > 0.99:
        return "probabilities"
    if not memory > 0.99:
        return "new chains"
    return "right" if u > 0 else "wrong sign"


# %% tags=["wrong-answer"]
# Wants u = 1 and v = −1 exactly: a colleague's rate is no fault.
def measured(step, generator):
    d, zeros = 40, torch.zeros(1000, 2).double()
    machine = torch.zeros(d, 1).double(), torch.zeros(d).double(), torch.zeros(1).double()
    x, chains = coins(2, 9, d, generator=generator)
    (_, b, _), after = step(machine, x, chains, 0.01, generator)
    means = torch.stack([x.mean(0), after.mean(0)], 1)
    u, v = torch.linalg.lstsq(means, b[:, None] / 0.01).solution[:, 0]
    half, W = torch.full((d,), -20.0).double(), 40 * torch.eye(d).double()
    memory = (step((W, half, half), x, chains, 1e-6, generator)[1] - chains).abs() < 0.5
    pair = torch.full((2, 1), 40.0).double(), half[:2], torch.zeros(1).double()
    after = step(pair, zeros, zeros, 1e-6, generator)[1]
    both = ((after == 0).all(1) | (after == 1).all(1)).double().mean()
    return torch.stack([u, v, memory.double().mean(), both])


def verdict(step, generator):
    u, v, memory, agreement = measured(step, generator).tolist()
    if not agreement > 0.99:
        return "probabilities"
    if not memory > 0.99:
        return "new chains"
    return "right" if abs(u - 1) + abs(v + 1) < 0.01 else "wrong sign"


# %% nbgrader={"grade": true, "grade_id": "check-stalled", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def made_of(u=1.0, v=-1.0, begin="chains", drawn="xh", sweeps_made=1):
    """A step with these multiples of the two terms, that begins there and draws these layers."""

    def step(machine, x, chains, rate, generator):
        W, b, c = machine
        if begin == "coins":
            chains = coins(*chains.shape, generator=generator)
        elif begin == "batch":
            chains = x
        for _ in range(sweeps_made):
            h = (chains @ W + c).sigmoid()
            h = torch.bernoulli(h, generator=generator) if "h" in drawn else h
            chains = (h @ W.T + b).sigmoid()
            chains = torch.bernoulli(chains, generator=generator) if "x" in drawn else chains
        terms = [
            (s.T @ (s @ W + c).sigmoid() / len(s), s.mean(0), (s @ W + c).sigmoid().mean(0))
            for s in (x, chains)
        ]
        new = [w + rate * (u * p + v * q) for w, p, q in zip(machine, *terms, strict=True)]
        return tuple(new), chains

    return step


CASES = (
    ({}, "right", "a right step"),
    ({"u": 2.0, "v": -2.0}, "right", "a right step of twice the rate"),
    ({"sweeps_made": 3}, "right", "a right step of three sweeps"),
    ({"v": 1.0}, "wrong sign", "a step that adds both terms"),
    ({"u": -1.0}, "wrong sign", "a step that subtracts both terms"),
    ({"u": -1.0, "v": 1.0}, "wrong sign", "a step that goes down"),
    ({"begin": "coins"}, "new chains", "a step that begins at fair coins"),
    ({"begin": "batch"}, "new chains", "a step that begins at the batch"),
    ({"drawn": "x"}, "probabilities", "a step in which h is not drawn"),
    ({"drawn": "h"}, "probabilities", "a step in which x is not drawn"),
    ({"drawn": ""}, "probabilities", "a step in which nothing is drawn"),
)

with check("4.8") as answer:
    g = seeded(72)
    for how, _, what in CASES:
        found = measured(made_of(**how), g)
        fits(found, 4)
        u, v, memory, agreement = found.tolist()
        if how.get("drawn", "xh") == "xh":
            right = how.get("u", 1.0), how.get("v", -1.0)
            assert abs(u - right[0]) + abs(v - right[1]) < 1e-3, (
                f"{what}: without weights Δb / η is {right[0]:+g} times the batch's mean and "
                f"{right[1]:+g} times that of the chains that come back; your u and v are "
                f"{u:.4f} and {v:.4f}"
            )
            stays = "begin" not in how
            assert memory > 0.99 if stays else memory < 0.8, (
                f"{what}: where each pixel copies itself, "
                + ("all entries" if stays else "about half of the entries, by chance,")
                + f" are what they were; your memory is {memory:.3f}"
            )
            assert agreement > 0.99, (
                f"{what}: two pixels that one drawn bit decides come back equal; your agreement is "
                f"{agreement:.3f}"
            )
        elif how["drawn"] == "x":
            assert agreement < 0.8, (
                f"{what}: a hidden bit that stays at 1/2 leaves each of the two pixels a coin of "
                f"its own, so that half of the chains agree; your agreement is {agreement:.3f}"
            )
    for how, word, what in CASES:
        found = verdict(made_of(**how), g)
        assert found == word, f"{what} is «{word}»; your verdict is «{found}»"
### BEGIN HIDDEN TESTS
answer.require()
for seed in (73, 74, 75):
    for how, word, _ in CASES:
        assert verdict(made_of(**how), seeded(seed)) == word
    for u in (0.2, 3.0):
        assert verdict(made_of(u, -u), seeded(seed)) == "right"
        assert verdict(made_of(u, u), seeded(seed)) == "wrong sign"
### END HIDDEN TESTS

# %% [markdown]
# Your verdict on the four (nothing to hand in), and where ten chains are after 200 right sweeps of
# each machine, from fair coins. The chains of B looked well where the step used them: what has B
# learnt instead of the digits? A's fault shows in no picture, and hardly in its score. Would you
# have found it without a measurement?


# %%
try:
    lines = ["        u      v   memory  agreement   verdict"]
    for name, step in STEPS.items():
        u, v, memory, agreement = measured(step, seeded(76)).tolist()
        word = verdict(step, seeded(77))
        lines.append(f"{name}  {u:6.2f} {v:6.2f}   {memory:6.2f}     {agreement:6.2f}   {word}")
    print(*lines, sep="\n")
    later = [model.sample(10, steps=200, generator=seeded(78)) for model in trained.values()]
    plot.images(
        torch.cat(later).reshape(-1, 8, 8),
        columns=10,
        title="200 right sweeps from coins: A, B, C, D",
        alt="Four rows of ten black and white images of 8 by 8 pixels. Rows A and C hold strokes "
        "like those of digits, row B the same dark block ten times, row D is black all over.",
    )
except NotImplementedError:
    print("Comes with exercise 4.8.")
