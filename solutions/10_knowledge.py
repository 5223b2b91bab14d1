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
# # Exercises 10: learning with knowledge
#
# Eight exercises, 21 points, about three hours. Replace each `raise NotImplementedError` and run
# the check below it. A check answers at once: **right**, **not yet, because …**, or
# **not attempted**. Some checks are repeated with other numbers when the notebook is graded.
#
# The chapter: [Learning with knowledge](../book/10_knowledge.md). Work in float64 throughout, and
# in nats. Sets are finite: a law is a table of probabilities, a constraint function another table,
# and every expectation a sum.

# %%
import itertools
import math

import torch
from IPython.display import display
from torch.nn.functional import cross_entropy, one_hot
from torch.optim import LBFGS

from genlab import plot
from genlab.course.check import check
from genlab.interact import Knob, sliders
from genlab.knowledge import (
    ButTeacher,
    Chain,
    PhraseNet,
    Reviewer,
    Vocabulary,
    accuracies,
    distill,
    grammar,
    imitation,
)

GOOD, BAD, NEUTRAL = (words.split() for words in (grammar.GOOD, grammar.BAD, grammar.NEUTRAL))


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


def fits(found, *shape, dtype=torch.float64, setting=""):
    """An answer is a tensor of this shape and dtype, without NaN."""
    assert isinstance(found, torch.Tensor), (
        f"{setting}expected a tensor, got a {type(found).__name__}"
    )
    assert found.shape == shape, f"{setting}expected the shape {shape}, got {tuple(found.shape)}"
    assert found.dtype == dtype, (
        f"{setting}expected {dtype}, got {found.dtype}: torch.zeros, ones and tensor make float32 "
        "if not told"
    )
    assert not found.isnan().any(), f"{setting}your answer holds NaN: 0/0, ∞/∞, or 0 times ∞"


def near(found, right, tolerance=1e-9):
    """Two tensors agree in every entry; NaN agrees with nothing."""
    return bool(((found - right).abs() <= tolerance * (1 + right.abs())).all())


def is_law(found, *shape, setting=""):
    """Probabilities along the last axis."""
    fits(found, *shape, setting=setting)
    low, off = float(found.min()), (found.sum(-1) - 1).abs().flatten()
    assert low >= 0, f"{setting}one of your probabilities is {low:.4f}"
    total = float(found.sum(-1).flatten()[off.argmax()])
    assert abs(total - 1) < 1e-9, f"{setting}your probabilities sum to {total:.4f}, not to 1"


# %% [markdown]
# ## 10.1 True to a degree (2 points, 20 minutes)
#
# Truth is a number from 0 to 1. Write Łukasiewicz' connectives, and what follows from them:
#
# - `both`: how true $a \wedge b$ is;
# - `implies`: how true $a \Rightarrow b$ is;
# - `concluded`: you know a statement $s_0$ to the degree $a$ at least, and each of $k$ rules
#   $s_0 \Rightarrow s_1$, $s_1 \Rightarrow s_2$, … to the degree $r_1, r_2, \dots$ at least. How true
#   is $s_k$, at the least?
# - `b_decides`: the rule for "A but B". A sentence has a label $y$ that is 0 or 1, its clause B is
#   favourable to the degree $b$, and the rule is the *mean* of $y \Rightarrow b$ and
#   $b \Rightarrow y$.
#
# *Hint:* the least $c$ with $(a \Rightarrow c) \ge r$ is one of the four connectives of $a$ and $r$.


# %% nbgrader={"grade": false, "grade_id": "logic", "locked": false, "schema_version": 3, "solution": true, "task": false}
def both(a, b):
    """How true "a and b" is. a, b: degrees of truth, of one shape."""
    ### BEGIN SOLUTION
    return (a + b - 1).clamp(min=0)
    ### END SOLUTION


def implies(a, b):
    """How true "a implies b" is. a, b: degrees of truth, of one shape."""
    ### BEGIN SOLUTION
    return (1 - a + b).clamp(max=1)
    ### END SOLUTION


def concluded(a, rules):
    """The least truth of the last statement, [n]. a: of the first, [n]; rules: [k, n]."""
    ### BEGIN SOLUTION
    for rule in rules:
        a = both(a, rule)
    return a
    ### END SOLUTION


def b_decides(b):
    """How true the rule is for the labels 0 and 1, [n, 2]. b: how favourable B is, [n]."""
    ### BEGIN SOLUTION
    labels = torch.zeros_like(b), torch.ones_like(b)
    return torch.stack([(implies(y, b) + implies(b, y)) / 2 for y in labels], 1)
    ### END SOLUTION


# %% tags=["wrong-answer"]
# The product: right for probabilities of independent events. (A wrong answer ends where it is
# wrong: what the check would come to later is left out.)
def both(a, b):
    return a * b


# %% tags=["wrong-answer"]
# The lesser of the two: another logic, in which what is half true twice is half true.
def both(a, b):
    return torch.minimum(a, b)


# %% tags=["wrong-answer"]
# Degrees below 0.
def both(a, b):
    return a + b - 1


# %% tags=["wrong-answer"]
# "Not a, or b" with the larger of the two: a ⇒ a is then not quite true.
from genlab.knowledge import soft_and as both


def implies(a, b):
    return torch.maximum(1 - a, b)


# %% tags=["wrong-answer"]
# Truer than true.
from genlab.knowledge import soft_and as both


def implies(a, b):
    return 1 - a + b


# %% tags=["wrong-answer"]
# The implication the wrong way round.
from genlab.knowledge import soft_and as both


def implies(a, b):
    return (1 - b + a).clamp(max=1)


# %% tags=["wrong-answer"]
# A chain is as strong as its weakest link.
from genlab.knowledge import soft_and as both
from genlab.knowledge import soft_implies as implies


def concluded(a, rules):
    return torch.minimum(a, rules.amin(0))


# %% tags=["wrong-answer"]
# The links are multiplied.
from genlab.knowledge import soft_and as both
from genlab.knowledge import soft_implies as implies


def concluded(a, rules):
    return a * rules.prod(0)


# %% tags=["wrong-answer"]
# One of the two implications: who calls every sentence unfavourable has kept it.
from genlab.knowledge import soft_and as both
from genlab.knowledge import soft_implies as implies


def concluded(a, rules):
    return (a + (rules - 1).sum(0)).clamp(min=0)


def b_decides(b):
    return torch.stack([implies(0 * b, b), implies(0 * b + 1, b)], 1)


# %% tags=["wrong-answer"]
# Both implications joined by "and", not by the mean.
from genlab.knowledge import soft_and as both
from genlab.knowledge import soft_implies as implies


def concluded(a, rules):
    return (a + (rules - 1).sum(0)).clamp(min=0)


def b_decides(b):
    return torch.stack([1 - b, b], 1)


# %% tags=["wrong-answer"]
# The labels the other way round.
from genlab.knowledge import soft_and as both
from genlab.knowledge import soft_implies as implies


def concluded(a, rules):
    return (a + (rules - 1).sum(0)).clamp(min=0)


def b_decides(b):
    return torch.stack([(1 + b) / 2, (2 - b) / 2], 1)


# %% nbgrader={"grade": true, "grade_id": "check-logic", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
EIGHTHS = torch.arange(9, dtype=torch.float64) / 8

with check("10.1") as answer:
    a, b, c = (v.flatten() for v in torch.meshgrid(EIGHTHS, EIGHTHS, EIGHTHS, indexing="ij"))
    for name, connective, corners in (
        ("both", lambda a, b: both(a, b), (0.0, 0.0, 0.0, 1.0)),
        ("implies", lambda a, b: implies(a, b), (1.0, 1.0, 0.0, 1.0)),
    ):
        left, right = vector(0.0, 0.0, 1.0, 1.0), vector(0.0, 1.0, 0.0, 1.0)
        found = connective(left, right)
        fits(found, 4, setting=f"{name}: ")
        assert near(found, vector(*corners)), (
            f"of 0 and 0, 0 and 1, 1 and 0, 1 and 1 {name} makes {list(corners)}, as logic has it; "
            f"yours makes {said(found)}"
        )
        found = connective(a, b)
        fits(found, len(a), setting=f"{name}: ")
        for edge in (found.min(), found.max()):
            assert 0 <= float(edge) <= 1, (
                f"degrees of truth are numbers from 0 to 1; your {name} comes to {float(edge):.4f}"
            )
        if name == "both":
            found = float(both(vector(0.5), vector(0.5)))
            assert abs(found) < 1e-12, (
                "½ ∧ ½ is 0 by Łukasiewicz: to be true, a ∧ b may lack no more than 1 in all; "
                f"yours is {found:.4f}"
            )
            found = float(both(vector(0.75), vector(0.875)))
            assert abs(found - 0.625) < 1e-12, (
                f"0.75 lacks 0.25 of the truth and 0.875 lacks 0.125, so their ∧ lacks 0.375; "
                f"yours is {found:.4f}"
            )
    found = implies(a, b)
    for wanted, what in ((a <= b, "1 where a ≤ b"), (a > b, "below 1 where a > b")):
        wrong = wanted & ((found == 1) != (a <= b))
        assert not wrong.any(), (
            f"a ⇒ b is {what}; yours is {float(found[wrong][0]):.4f} for a = "
            f"{float(a[wrong][0])}, b = {float(b[wrong][0])}"
        )
    off = (both(a, b) <= c) != (a <= implies(b, c))
    assert not off.any(), (
        "a ∧ b ≤ c just where a ≤ (b ⇒ c), which is what makes conclusions safe; not so for your "
        f"connectives at a, b, c = {said(torch.stack([a[off][0], b[off][0], c[off][0]]))}"
    )
    found = concluded(vector(0.9, 0.9, 1.0), vector(0.8, 0.8, 1.0, 0.7, 0.2, 1.0).reshape(2, 3))
    fits(found, 3)
    right = vector(0.4, 0.0, 1.0)
    assert near(found, right), (
        f"from 0.9 by two rules that are true to 0.8 and 0.7 follows 0.9 - 0.2 - 0.3 = 0.4; by "
        f"rules of 0.8 and 0.2 nothing; from 1 by two true rules 1. Yours: {said(found)}"
    )
    for start, first, second in itertools.product(EIGHTHS[::2], repeat=3):
        worlds = torch.cartesian_prod(EIGHTHS, EIGHTHS)  # the truth of the last two statements
        keeps = (implies(start.expand(81), worlds[:, 0]) >= first) & (
            implies(worlds[:, 0], worlds[:, 1]) >= second
        )
        least = float(worlds[keeps, 1].min())
        found = float(concluded(start[None], torch.stack([first, second])[:, None]))
        assert abs(found - least) < 1e-12, (
            f"the first statement is true to {float(start)} and the rules to {float(first)} and "
            f"{float(second)}: of all degrees that agree with that, the least for the last "
            f"statement is {least}; yours is {found:.4f}"
        )
    found = concluded(vector(0.6), torch.ones(0, 1).double())
    assert near(found, vector(0.6)), f"from 0.6 without any rule follows 0.6; yours: {said(found)}"
    b = vector(0.0, 0.5, 0.9, 1.0)
    found = b_decides(b)
    fits(found, 4, 2)
    right = torch.stack([(2 - b) / 2, (1 + b) / 2], 1)
    assert near(found, right), (
        f"for b = {said(b)} the rule is true to {said(right[:, 0])} if the label is 0, and to "
        f"{said(right[:, 1])} if it is 1, the mean of two implications; yours is "
        f"{said(found[:, 0])} and {said(found[:, 1])}"
    )
### BEGIN HIDDEN TESTS
answer.require()
from genlab.knowledge import but_rule, soft_and, soft_implies

g = seeded(1)
a, b = torch.rand(2, 100, dtype=torch.float64, generator=g)
assert near(both(a, b), soft_and(a, b))
assert near(implies(a, b), soft_implies(a, b))
assert near(b_decides(b), but_rule(b, torch.ones(100, dtype=torch.bool)))
rules = 1 - 0.2 * torch.rand(6, 100, dtype=torch.float64, generator=g)
assert near(concluded(a, rules), (a - (1 - rules).sum(0)).clamp(min=0))
### END HIDDEN TESTS

# %% [markdown]
# The heap (nothing to hand in). A thousand grains are a heap, and who takes one grain from a heap
# leaves a heap: a rule that is true to 0.999. By ordinary logic a single grain is then a heap. What
# does yours say, and what would a logic say in which "and" is the minimum?


# %%
try:
    taken = torch.arange(0, 1200, 50)
    heap = [
        concluded(vector(1.0), torch.full((int(k), 1), 0.999, dtype=torch.float64)) for k in taken
    ]
    with plot.figure(
        x="grains taken",
        y="truth",
        height=2.4,
        alt="A straight line falls from 1 with no grain taken to 0 with a thousand taken, and stays "
        "there. A flat line at 0.999 stands above it.",
    ) as ax:
        ax.plot(taken, torch.cat(heap), label="it is a heap")
        ax.plot(taken, torch.full((len(taken),), 0.999), label="with the minimum for «and»")
        ax.legend()
except NotImplementedError:
    print("Comes with exercise 10.1.")

# %% [markdown]
# ## 10.2 The tilt and its price (2 points, 20 minutes)
#
# Of all laws $q$, the tilt $q^* \propto p\,e^{\lambda f}$ has the least
# $\mathrm{KL}(q \,\|\, p) - \lambda\,\mathbb{E}_q f$. Write
#
# - `tilted`: $q^*$. $p$ may hold zeros, $\lambda f$ may be in the thousands, and $\lambda$ may be
#   `math.inf`: then it is the limit, $p$ restricted to the best values *that $p$ allows*;
# - `price`: $\mathrm{KL}(q^* \,\|\, p)$, for these $\lambda$ too;
# - `weight_for`: the $\lambda$ that belongs to a bound, so that $\mathbb{E}_{q^*} f = b$. It is 0 if
#   $p$ itself has $b$ or more. $b$ is below the best value that $p$ allows.
#
# *Hint:* $\log q^*$ is $\log p + \lambda f$ up to a constant, and `softmax` knows constants.
# $\mathbb{E}_{q^*} f$ rises with $\lambda$: halve an interval sixty times; how far it must reach you
# don't know beforehand.


# %% nbgrader={"grade": false, "grade_id": "tilt", "locked": false, "schema_version": 3, "solution": true, "task": false}
def tilted(p, f, weight):
    """q*, [m]. p: a law, [m]; f: the constraint function, [m]; weight: λ >= 0, may be math.inf."""
    ### BEGIN SOLUTION
    if weight == math.inf:
        q = torch.where(f == f[p > 0].max(), p, 0.0)
        return q / q.sum()
    return (p.log() + weight * f).softmax(0)
    ### END SOLUTION


def price(p, f, weight):
    """KL(q* || p), a float, nats."""
    ### BEGIN SOLUTION
    q = tilted(p, f, weight)
    return float((torch.xlogy(q, q) - torch.xlogy(q, p)).sum())
    ### END SOLUTION


def weight_for(p, f, bound):
    """The λ at which q* has the expectation ``bound`` of f, a float."""
    ### BEGIN SOLUTION
    low, high = 0.0, 1.0
    if p @ f >= bound:
        return low
    while tilted(p, f, high) @ f < bound:
        high = 2 * high
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if tilted(p, f, middle) @ f < bound else (low, middle)
    return high
    ### END SOLUTION


# %% tags=["wrong-answer"]
# As the slides print it, e^λ without f: the factor cancels.
def tilted(p, f, weight):
    q = p * math.exp(min(weight, 700.0))
    return q / q.sum()


# %% tags=["wrong-answer"]
# The slides' sign: with −KL the best q is the worst of all values, and there alone.
def tilted(p, f, weight):
    if weight == math.inf:
        weight = 1e9
    q = torch.zeros_like(p)
    q[(p.log() + weight * f).argmin()] = 1
    return q


# %% tags=["wrong-answer"]
# p is forgotten: what is seldom counts as much as what is frequent.
def tilted(p, f, weight):
    return (min(weight, 1e9) * f).softmax(0)


# %% tags=["wrong-answer"]
# Exponentials first, and overflow afterwards.
def tilted(p, f, weight):
    q = p * (weight * f).exp()
    return q / q.sum()


# %% tags=["wrong-answer"]
# λ = ∞ on the best value of all, which p does not allow.
def tilted(p, f, weight):
    if weight == math.inf:
        best = (f == f.max()).double()
        return best / best.sum()
    return (p.log() + weight * f).softmax(0)


# %% tags=["wrong-answer"]
# Among the best values p counts no more.
def tilted(p, f, weight):
    if weight == math.inf:
        best = ((f == f[p > 0].max()) & (p > 0)).double()
        return best / best.sum()
    return (p.log() + weight * f).softmax(0)


# %% tags=["wrong-answer"]
# What f gains, not what it costs.
def tilted(p, f, weight):
    if weight == math.inf:
        q = torch.where(f == f[p > 0].max(), p, 0.0)
        return q / q.sum()
    return (p.log() + weight * f).softmax(0)


def price(p, f, weight):
    return float(min(weight, 1e9) * (tilted(p, f, weight) @ f - p @ f))


# %% tags=["wrong-answer"]
# The divergence in the other direction.
def tilted(p, f, weight):
    if weight == math.inf:
        q = torch.where(f == f[p > 0].max(), p, 0.0)
        return q / q.sum()
    return (p.log() + weight * f).softmax(0)


def price(p, f, weight):
    q = tilted(p, f, weight)
    return float((torch.xlogy(p, p) - torch.xlogy(p, q)).sum())


# %% tags=["wrong-answer"]
# 0 times ∞ in the price.
def tilted(p, f, weight):
    if weight == math.inf:
        q = torch.where(f == f[p > 0].max(), p, 0.0)
        return q / q.sum()
    return (p.log() + weight * f).softmax(0)


def price(p, f, weight):
    q = tilted(p, f, weight)
    return float((q * (q / p).log()).sum())


# %% tags=["wrong-answer"]
# One step along the tangent at 0: the curve bends.
from genlab.knowledge import posterior_regularization


def tilted(p, f, weight):
    return posterior_regularization(p, f, weight).q


def price(p, f, weight):
    return float(posterior_regularization(p, f, weight).kl)


def weight_for(p, f, bound):
    variance = p @ f.square() - (p @ f) ** 2
    return max(0.0, float((bound - p @ f) / variance))


# %% tags=["wrong-answer"]
# The interval is taken to end at 10.
from genlab.knowledge import posterior_regularization


def tilted(p, f, weight):
    return posterior_regularization(p, f, weight).q


def price(p, f, weight):
    return float(posterior_regularization(p, f, weight).kl)


def weight_for(p, f, bound):
    low, high = 0.0, 10.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if tilted(p, f, middle) @ f < bound else (low, middle)
    return high


# %% tags=["wrong-answer"]
# Tilts backwards to hit a bound that p keeps already.
from genlab.knowledge import posterior_regularization


def tilted(p, f, weight):
    return posterior_regularization(p, f, weight).q


def price(p, f, weight):
    return float(posterior_regularization(p, f, weight).kl)


def weight_for(p, f, bound):
    low, high = -1000.0, 1000.0
    for _ in range(80):
        middle = (low + high) / 2
        below = (p.log() + middle * f).softmax(0) @ f < bound
        low, high = (middle, high) if below else (low, middle)
    return high


# %% nbgrader={"grade": true, "grade_id": "check-tilt", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
def binomial(n, chance):
    """The law of the number of heads in n tosses, [n + 1]."""
    return vector(*(math.comb(n, k) * chance**k * (1 - chance) ** (n - k) for k in range(n + 1)))


with check("10.2") as answer:
    p, f = vector(0.5, 0.5), vector(0.0, 1.0)
    setting = "a fair coin with f = 1 for heads, λ = log 3: "
    q = tilted(p, f, math.log(3))
    is_law(q, 2, setting=setting)
    assert near(q, vector(0.25, 0.75)), (
        f"{setting}heads gain the factor 3, q* is (0.25, 0.75); yours is {said(q)}"
    )
    q = tilted(binomial(10, 0.2), torch.arange(11).double(), math.log(2))
    is_law(q, 11)
    assert near(q, binomial(10, 1 / 3)), (
        "ten tosses of a coin with chance 0.2, f the number of heads, λ = log 2: the odds of each "
        "toss double from 1/4 to 1/2, so q* is the law of ten tosses with the chance 1/3; yours is "
        f"{said(q)}"
    )
    p, f = vector(0.0, 0.1, 0.3, 0.6), vector(9.0, 5.0, 5.0, 1.0)
    for weight, right, why in (
        (0.0, p, "with λ = 0 q* is p"),
        (1000.0, vector(0.0, 0.25, 0.75, 0.0), "among 0.1 and 0.3 the shares stay as they were"),
        (math.inf, vector(0.0, 0.25, 0.75, 0.0), "the best value that p allows is 5"),
    ):
        setting = f"p = {said(p)}, f = {said(f)}, λ = {weight}: "
        q = tilted(p, f, weight)
        is_law(q, 4, setting=setting)
        assert near(q, right), f"{setting}q* is {said(right)}: {why}; yours is {said(q)}"
    for weight, right, why in (
        (0.0, 0.0, "p itself costs nothing"),
        (math.inf, -math.log(0.4), "-log of the probability of the best values"),
        (1000.0, -math.log(0.4), "all but -log of the probability of the best values"),
    ):
        setting = f"p = {said(p)}, f = {said(f)}, λ = {weight}: "
        found = float(price(p, f, weight))
        assert abs(found - right) < 1e-9, (
            f"{setting}the price is {right:.4f}, {why}; yours is {found:.4f}"
        )
    g = seeded(2)
    for m in (2, 5, 9):
        p, f = randn(m, generator=g).softmax(0), randn(m, generator=g)
        setting = f"a random p and f on {m} values, λ = 1.7: "
        q = tilted(p, f, 1.7)
        is_law(q, m, setting=setting)
        found, right = float(price(p, f, 1.7)), float((q * (q / p).log()).sum())
        assert abs(found - right) < 1e-9, (
            f"{setting}KL(q* || p) is {right:.4f}; your price is {found:.4f}"
        )
        mine = right - 1.7 * float(q @ f)
        for _ in range(20):
            other = (q.log() + 0.3 * randn(m, generator=g)).softmax(0)
            theirs = float((other * (other / p).log()).sum() - 1.7 * other @ f)
            assert mine <= theirs + 1e-12, (
                f"{setting}your q has KL - λ E f = {mine:.6f}, and another law has {theirs:.6f}"
            )
    p, f = vector(0.5, 0.5), vector(0.0, 1.0)
    for bound, right in ((0.75, math.log(3)), (0.999999, math.log(999999)), (0.5, 0.0), (0.1, 0.0)):
        found = float(weight_for(p, f, bound))
        assert abs(found - right) < 1e-6 * (1 + right), (
            f"a fair coin that is to show heads {bound} of the time, or more, needs λ = "
            f"{right:.6f}; yours is {found:.6f}"
            + (". The coin keeps the bound already" if not right else "")
        )
    for _ in range(5):
        p, f = randn(6, generator=g).softmax(0), randn(6, generator=g)
        bound = float((p @ f + 2 * f.max()) / 3)
        found = float(weight_for(p, f, bound))
        reached = float(tilted(p, f, found) @ f)
        assert abs(reached - bound) < 1e-7, (
            f"a random p and f on six values: at your λ = {found:.4f} the expectation is "
            f"{reached:.6f} in place of {bound:.6f}"
        )
### BEGIN HIDDEN TESTS
answer.require()
from genlab import knowledge

g = seeded(3)
for scale in (0.1, 1.0, 300.0):
    p, f = randn(7, generator=g).softmax(0), scale * randn(7, generator=g)
    for weight in (0.0, 0.3, 5.0, math.inf):
        right = knowledge.posterior_regularization(p, f, weight)
        assert near(tilted(p, f, weight), right.q)
        assert abs(price(p, f, weight) - float(right.kl)) < 1e-7
    bound = float((p @ f + f.max()) / 2)
    right = knowledge.weight_for(p, f, bound)
    assert abs(weight_for(p, f, bound) - right) < 1e-5 * right
### END HIDDEN TESTS

# %% [markdown]
# Two dice (nothing to hand in). You know that the sum was 9 or more, more or less: $f$ is 1 there
# and 0 elsewhere. Slide λ. How do the sums above 9 stand to each other, and how those below? Which
# price can no λ exceed, and how much of it is paid at λ = 2? At the bottom: $\log Z$, its tangent,
# and where that meets the axis.


# %%
def show_tilt(weight):
    sums = torch.arange(2, 13)
    p, f = (6 - (sums - 7).abs()).double() / 36, (sums >= 9).double()
    q, cost = tilted(p, f, weight), price(p, f, weight)
    at = torch.linspace(0, 6, 61, dtype=torch.float64)
    log_z = [(p.log() + w * f).logsumexp(0) for w in (*at, weight)]
    with plot.figure(
        panels=2,
        height=2.6,
        title=[f"E f = {float(q @ f):.3f}", f"the price: {cost:.3f} nats"],
        alt="On the left the triangle of probabilities of the sums 2 to 12 and the tilted law, "
        "higher from 9 on. On the right log Z over λ, a curve that bends upwards, with its tangent "
        "at the chosen λ, which meets the axis below 0.",
    ) as (left, right):
        left.bar(sums - 0.2, p, 0.4, color=plot.COLORS["model"], label="p")
        left.bar(sums + 0.2, q, 0.4, color=plot.COLORS["approx"], label="q*")
        left.legend()
        left.set_xlabel("sum of two dice")
        right.plot(at, log_z[:-1], color=plot.COLORS["model"])
        tangent = log_z[-1] + float(q @ f) * (at - weight)
        right.plot(at, tangent, color=plot.COLORS["approx"])
        right.axhline(0, color=plot.COLORS["data"], lw=0.8)
        right.set(xlabel="λ", ylabel="log Z")


try:
    panel = sliders(show_tilt, weight=Knob(0.0, 6.0, start=2.0))
except NotImplementedError:
    print("Comes with exercise 10.2.")
else:
    display(panel)

# %% [markdown]
# ## 10.3 Where the noise comes from (3 points, 25 minutes)
#
# A model on $m$ values has $p = \mathrm{softmax}(a)$, and you follow the gradient of
# $\mathbb{E}_p f$ in the logits $a$. Write
#
# - `slope`: the gradient itself, by a sum, without autograd;
# - `terms`: for values $x$ that were drawn from $p$, the terms whose mean estimates it,
#   $(f(x) - b)\,\nabla_a \log p(x)$, with a baseline $b$;
# - `spread`: how noisy one such term is: the variances of its $m$ components, added up. Exact, by
#   a sum over $x$;
# - `calmest`: the $b$ with the least spread. It is *not* $\mathbb{E}_p f$.
#
# *Hint:* what is $\nabla_a \log p(x)$? Begin with $\log p(x) = a_x - \log \sum_j e^{a_j}$. The spread
# is a parabola in $b$; `one_hot`.


# %% nbgrader={"grade": false, "grade_id": "noise", "locked": false, "schema_version": 3, "solution": true, "task": false}
def slope(a, f):
    """The gradient of E_p f in the logits, [m]. a: logits, [m]; f: the constraint function, [m]."""
    ### BEGIN SOLUTION
    p = a.softmax(0)
    return p * (f - p @ f)
    ### END SOLUTION


def terms(a, f, draws, baseline):
    """One term of the estimate for each draw, [n, m]. draws: values x, int64, [n]."""
    ### BEGIN SOLUTION
    score = one_hot(draws, len(a)) - a.softmax(0)
    return (f[draws] - baseline)[:, None] * score
    ### END SOLUTION


def spread(a, f, baseline):
    """The variances of the m components of a term, added up: a float."""
    ### BEGIN SOLUTION
    every = terms(a, f, torch.arange(len(a)), baseline)
    return float(a.softmax(0) @ every.square().sum(1) - slope(a, f).square().sum())
    ### END SOLUTION


def calmest(a, f):
    """The baseline with the least spread, a float."""
    ### BEGIN SOLUTION
    p = a.softmax(0)
    weight = p * (torch.eye(len(a)) - p).square().sum(1)
    return float(weight @ f / weight.sum())
    ### END SOLUTION


# %% tags=["wrong-answer"]
# The law is taken to stay where it is: each value gains by its own f.
def slope(a, f):
    return a.softmax(0) * f


# %% tags=["wrong-answer"]
# The gradient in the probabilities, not in the logits.
def slope(a, f):
    return f - f.mean()


# %% tags=["wrong-answer"]
# "A term that is the log probability itself": f is multiplied by log p.
def slope(a, f):
    p = a.softmax(0)
    return p * (f - p @ f)


def terms(a, f, draws, baseline):
    log_p = a.log_softmax(0)
    return ((f[draws] - baseline) * log_p[draws])[:, None] * (one_hot(draws, len(a)) - a.softmax(0))


# %% tags=["wrong-answer"]
# The score without its second half: the constant of the softmax depends on a, too.
def slope(a, f):
    p = a.softmax(0)
    return p * (f - p @ f)


def terms(a, f, draws, baseline):
    return (f[draws] - baseline)[:, None] * one_hot(draws, len(a))


# %% tags=["wrong-answer"]
# The score the wrong way round.
def slope(a, f):
    p = a.softmax(0)
    return p * (f - p @ f)


def terms(a, f, draws, baseline):
    return (f[draws] - baseline)[:, None] * (a.softmax(0) - one_hot(draws, len(a)))


# %% tags=["wrong-answer"]
# The baseline is taken from the whole term, not from f: now the mean is off.
def slope(a, f):
    p = a.softmax(0)
    return p * (f - p @ f)


def terms(a, f, draws, baseline):
    return f[draws][:, None] * (one_hot(draws, len(a)) - a.softmax(0)) - baseline


# %% tags=["wrong-answer"]
# The mean of the squares, from which the squared mean is not taken.
def slope(a, f):
    p = a.softmax(0)
    return p * (f - p @ f)


def terms(a, f, draws, baseline):
    return (f[draws] - baseline)[:, None] * (one_hot(draws, len(a)) - a.softmax(0))


def spread(a, f, baseline):
    every = terms(a, f, torch.arange(len(a)), baseline)
    return float(a.softmax(0) @ every.square().sum(1))


# %% tags=["wrong-answer"]
# Every value counts alike, as if p were uniform.
def slope(a, f):
    p = a.softmax(0)
    return p * (f - p @ f)


def terms(a, f, draws, baseline):
    return (f[draws] - baseline)[:, None] * (one_hot(draws, len(a)) - a.softmax(0))


def spread(a, f, baseline):
    every = terms(a, f, torch.arange(len(a)), baseline)
    return float(every.var(0, correction=0).sum())


# %% tags=["wrong-answer"]
# The variance of f, which has no direction.
def slope(a, f):
    p = a.softmax(0)
    return p * (f - p @ f)


def terms(a, f, draws, baseline):
    return (f[draws] - baseline)[:, None] * (one_hot(draws, len(a)) - a.softmax(0))


def spread(a, f, baseline):
    p = a.softmax(0)
    return float(p @ (f - baseline).square() - (p @ (f - baseline)) ** 2)


# %% tags=["wrong-answer"]
# The mean of f: near to the best, and not the best.
from genlab.knowledge import score_spread


def slope(a, f):
    p = a.softmax(0)
    return p * (f - p @ f)


def terms(a, f, draws, baseline):
    return (f[draws] - baseline)[:, None] * (one_hot(draws, len(a)) - a.softmax(0))


def spread(a, f, baseline):
    return float(score_spread(a.softmax(0), f, baseline))


def calmest(a, f):
    return float(a.softmax(0) @ f)


# %% nbgrader={"grade": true, "grade_id": "check-noise", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
with check("10.3") as answer:
    g = seeded(10)
    a, f = vector(0.0, 0.0), vector(10.0, 11.0)
    found = slope(a, f)
    fits(found, 2)
    assert near(found, vector(-0.25, 0.25)), (
        "a fair coin with f = 10 and 11: as one logit rises, the probability rises by ¼ and the "
        f"other falls by as much, so the slopes are -0.25 and 0.25; yours are {said(found)}"
    )
    for m in (3, 6):
        a, f = 2 * randn(m, generator=g), 5 * randn(m, generator=g)
        h = 1e-5 * torch.eye(m, dtype=torch.float64)
        right = torch.stack([((a + e).softmax(0) @ f - (a - e).softmax(0) @ f) / 2e-5 for e in h])
        found = slope(a, f)
        fits(found, m)
        assert near(found, right, 1e-6), (
            f"random logits and f on {m} values: by differences the slopes of E f are "
            f"{said(right)}; yours are {said(found)}"
        )
        draws = torch.randint(m, (7,), generator=g)
        for baseline in (0.0, 3.0):
            setting = f"random logits and f on {m} values, the baseline {baseline}: "
            found = terms(a, f, draws, baseline)
            fits(found, 7, m, setting=setting)
            every = terms(a, f, torch.arange(m), baseline)
            mean = a.softmax(0) @ every
            assert near(mean, right, 1e-6), (
                f"{setting}over all x, weighted by p, your terms have the mean {said(mean)}, and "
                f"the slopes are {said(right)}"
            )
            score = torch.stack(
                [
                    torch.autograd.functional.jacobian(lambda a, x=x: a.log_softmax(0)[x], a)
                    for x in draws
                ]
            )
            assert near(found, (f[draws] - baseline)[:, None] * score), (
                f"{setting}the mean of your terms is right, and a single one is not f - b times "
                "the gradient of log p, as autograd finds it"
            )
    a, f = vector(0.0, 0.0), vector(10.0, 11.0)
    for baseline, right, why in (
        (0.0, 55.125, "½ · 10² · ½ + ½ · 11² · ½, less ⅛ for the squared mean"),
        (10.5, 0.0, "both draws then give the same term"),
    ):
        found = float(spread(a, f, baseline))
        assert abs(found - right) < 1e-9, (
            f"a fair coin with f = 10 and 11 and the baseline {baseline}: the spread is {right}: "
            f"{why}; yours is {found:.4f}"
        )
    a, f = randn(5, generator=g), 10 + randn(5, generator=g)
    every = (f - 9.0)[:, None] * (torch.eye(5) - a.softmax(0))
    mean = a.softmax(0) @ every
    right = float(a.softmax(0) @ (every - mean).square().sum(1))
    found = float(spread(a, f, 9.0))
    assert abs(found - right) < 1e-9, (
        "random logits and f on five values, the baseline 9: weighted by p, the squared distance "
        f"of a term from the mean of all is {right:.4f}; your spread is {found:.4f}"
    )
    for m in (3, 6):
        a, f = 2 * randn(m, generator=g), 10 + randn(m, generator=g)
        found = float(calmest(a, f))
        low, here, high = (spread(a, f, found + shift) for shift in (-1.0, 0.0, 1.0))
        best = found + (low - high) / (low + high - 2 * here) / 2
        assert abs(found - best) < 1e-7, (
            f"random logits and f on {m} values: your spread is least at b = {best:.6f}, where it "
            f"is {spread(a, f, best):.6f}; you say {found:.6f}, where it is {here:.6f}"
            + (
                ". E f is what most people take"
                if abs(found - float(a.softmax(0) @ f)) < 1e-9
                else ""
            )
        )
### BEGIN HIDDEN TESTS
answer.require()
from genlab.knowledge import score_spread

g = seeded(11)
a, f = randn(8, generator=g), 4 + randn(8, generator=g)
p = a.softmax(0)
assert near(slope(a, f), p * (f - p @ f))
for baseline in (0.0, 4.0, -1.0):
    right = float(score_spread(p, f, baseline))
    assert abs(spread(a, f, baseline) - right) < 1e-9 * (1 + right)
size = p * (1 - 2 * p + p @ p)
assert abs(calmest(a, f) - float(size @ f / size.sum())) < 1e-9
draws = torch.randint(8, (50,), generator=g)
assert near(terms(a, f, draws, 1.0), (f[draws] - 1)[:, None] * (torch.eye(8)[draws] - p))
### END HIDDEN TESTS

# %% [markdown]
# The same $f$, lifted by a constant (nothing to hand in): the constant has no gradient, so what is
# it that grows? How many draws does it cost to have $f + 10$ in place of $f$, without a baseline?
# Where does the curve touch the best line, and why there? How much is lost with $\mathbb{E}_p f$?


# %%
try:
    g = seeded(20)
    a, f = 2 * randn(6, generator=g), randn(6, generator=g)
    mean, best = float(a.softmax(0) @ f), calmest(a, f)
    lifts = torch.linspace(0, 10, 101).tolist()
    with plot.figure(
        x="constant added to f",
        y="spread of a term",
        height=2.6,
        alt="On a logarithmic axis the spread without a baseline falls a little, touches the best line "
        "at a constant near 1, and rises to tens as the constant grows. Two flat lines: with the mean "
        "of f as baseline 0.2, and with the best one less than half of it.",
    ) as ax:
        for name, at in (("no baseline", None), ("E f", mean), ("the best", best)):
            values = [spread(a, f + c, 0.0 if at is None else at + c) for c in lifts]
            ax.semilogy(lifts, values, label=name)
        ax.legend()
except NotImplementedError:
    print("Comes with exercise 10.3.")

# %% [markdown]
# ## 10.4 By turns (3 points, 25 minutes)
#
# A figure has an arm and a leg, with $n$ and $k$ positions; laws are tables $[n, k]$. The model can
# only draw them independently, $p_{ij} = u_i v_j$. It learns from data and from its own tilt,
#
# $$J(p, q) = -\mathbb{E}_{p_\text{data}} \log p
#   + \alpha \bigl[\mathrm{KL}(q \,\|\, p) - \lambda\,\mathbb{E}_q f\bigr].$$
#
# Write
#
# - `objective`: $J$, with $0 \log 0 = 0$;
# - `e_step`: the $q$ with the least $J$ for this $p$;
# - `m_step`: the $p$ of the family with the least $J$ for this $q$;
# - `turns`: begin with the $p$ that suits the data best; so many times an E step, then an M step;
#   return the last $p$, and $J$ after every single step, twice as many numbers.
#
# *Hint:* for data alone, the independent law of greatest likelihood is the product of their margins.
# Of which table are the margins to be taken here?


# %% nbgrader={"grade": false, "grade_id": "turns", "locked": false, "schema_version": 3, "solution": true, "task": false}
def objective(data, p, q, f, weight, alpha):
    """J, a float. data, p, q, f: tables, [n, k]; weight: λ; alpha: α."""
    ### BEGIN SOLUTION
    kl = torch.xlogy(q, q) - torch.xlogy(q, p)
    return float((-torch.xlogy(data, p) + alpha * (kl - weight * q * f)).sum())
    ### END SOLUTION


def e_step(p, f, weight):
    """q, [n, k]."""
    ### BEGIN SOLUTION
    q = p * (weight * f).exp()
    return q / q.sum()
    ### END SOLUTION


def m_step(data, q, alpha):
    """p, [n, k], a product of two margins."""
    ### BEGIN SOLUTION
    mixture = (data + alpha * q) / (1 + alpha)
    return torch.outer(mixture.sum(1), mixture.sum(0))
    ### END SOLUTION


def turns(data, f, weight, alpha, rounds):
    """The last p, [n, k], and J after each step, [2 * rounds]."""
    ### BEGIN SOLUTION
    p, path = m_step(data, data, 0.0), []
    for _ in range(rounds):
        q = e_step(p, f, weight)
        path.append(objective(data, p, q, f, weight, alpha))
        p = m_step(data, q, alpha)
        path.append(objective(data, p, q, f, weight, alpha))
    return p, vector(*path)
    ### END SOLUTION


# %% tags=["wrong-answer"]
# The sign of the slides: the distance from the model is rewarded.
def objective(data, p, q, f, weight, alpha):
    kl = torch.xlogy(q, q) - torch.xlogy(q, p)
    return float((-torch.xlogy(data, p) - alpha * (kl - weight * q * f)).sum())


# %% tags=["wrong-answer"]
# α stands before the divergence alone.
def objective(data, p, q, f, weight, alpha):
    kl = torch.xlogy(q, q) - torch.xlogy(q, p)
    return float((-torch.xlogy(data, p) + alpha * kl - weight * q * f).sum())


# %% tags=["wrong-answer"]
# The cross-entropy for the divergence: what q itself is worth is left out.
def objective(data, p, q, f, weight, alpha):
    return float((-torch.xlogy(data, p) - alpha * (torch.xlogy(q, p) + weight * q * f)).sum())


# %% tags=["wrong-answer"]
# Each row by itself is made a law.
def objective(data, p, q, f, weight, alpha):
    kl = torch.xlogy(q, q) - torch.xlogy(q, p)
    return float((-torch.xlogy(data, p) + alpha * (kl - weight * q * f)).sum())


def e_step(p, f, weight):
    q = p * (weight * f).exp()
    return q / q.sum(1, keepdim=True)


# %% tags=["wrong-answer"]
# The M step of the slides: q weighs as much as the data, whatever α is.
def objective(data, p, q, f, weight, alpha):
    kl = torch.xlogy(q, q) - torch.xlogy(q, p)
    return float((-torch.xlogy(data, p) + alpha * (kl - weight * q * f)).sum())


def e_step(p, f, weight):
    q = p * (weight * f).exp()
    return q / q.sum()


def m_step(data, q, alpha):
    mixture = (data + q) / 2
    return torch.outer(mixture.sum(1), mixture.sum(0))


# %% tags=["wrong-answer"]
# What is added up is no law.
def objective(data, p, q, f, weight, alpha):
    kl = torch.xlogy(q, q) - torch.xlogy(q, p)
    return float((-torch.xlogy(data, p) + alpha * (kl - weight * q * f)).sum())


def e_step(p, f, weight):
    q = p * (weight * f).exp()
    return q / q.sum()


def m_step(data, q, alpha):
    mixture = data + alpha * q
    return torch.outer(mixture.sum(1), mixture.sum(0))


# %% tags=["wrong-answer"]
# The mixture itself: the family doesn't hold it.
def objective(data, p, q, f, weight, alpha):
    kl = torch.xlogy(q, q) - torch.xlogy(q, p)
    return float((-torch.xlogy(data, p) + alpha * (kl - weight * q * f)).sum())


def e_step(p, f, weight):
    q = p * (weight * f).exp()
    return q / q.sum()


def m_step(data, q, alpha):
    return (data + alpha * q) / (1 + alpha)


# %% tags=["wrong-answer"]
# Two products mixed: that's not a product.
def objective(data, p, q, f, weight, alpha):
    kl = torch.xlogy(q, q) - torch.xlogy(q, p)
    return float((-torch.xlogy(data, p) + alpha * (kl - weight * q * f)).sum())


def e_step(p, f, weight):
    q = p * (weight * f).exp()
    return q / q.sum()


def m_step(data, q, alpha):
    one, other = (torch.outer(t.sum(1), t.sum(0)) for t in (data, q))
    return (one + alpha * other) / (1 + alpha)


# %% tags=["wrong-answer"]
# The tilt is made once, of the first p, and never again.
def objective(data, p, q, f, weight, alpha):
    kl = torch.xlogy(q, q) - torch.xlogy(q, p)
    return float((-torch.xlogy(data, p) + alpha * (kl - weight * q * f)).sum())


def e_step(p, f, weight):
    q = p * (weight * f).exp()
    return q / q.sum()


def m_step(data, q, alpha):
    mixture = (data + alpha * q) / (1 + alpha)
    return torch.outer(mixture.sum(1), mixture.sum(0))


def turns(data, f, weight, alpha, rounds):
    p = m_step(data, data, 0.0)
    q, path = e_step(p, f, weight), []
    for _ in range(rounds):
        path.append(objective(data, p, q, f, weight, alpha))
        p = m_step(data, q, alpha)
        path.append(objective(data, p, q, f, weight, alpha))
    return p, vector(*path)


# %% tags=["wrong-answer"]
# The model of the last round takes the place of the data.
def objective(data, p, q, f, weight, alpha):
    kl = torch.xlogy(q, q) - torch.xlogy(q, p)
    return float((-torch.xlogy(data, p) + alpha * (kl - weight * q * f)).sum())


def e_step(p, f, weight):
    q = p * (weight * f).exp()
    return q / q.sum()


def m_step(data, q, alpha):
    mixture = (data + alpha * q) / (1 + alpha)
    return torch.outer(mixture.sum(1), mixture.sum(0))


def turns(data, f, weight, alpha, rounds):
    p, path = m_step(data, data, 0.0), []
    for _ in range(rounds):
        q = e_step(p, f, weight)
        path.append(objective(data, p, q, f, weight, alpha))
        p = m_step(p, q, alpha)
        path.append(objective(data, p, q, f, weight, alpha))
    return p, vector(*path)


# %% nbgrader={"grade": true, "grade_id": "check-turns", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def random_table(n, k, generator):
    """A law on a table, [n, k]."""
    return (1.5 * randn(n, k, generator=generator)).flatten().softmax(0).reshape(n, k)


def random_product(n, k, generator):
    """A law on a table with independent rows and columns."""
    return torch.outer(
        randn(n, generator=generator).softmax(0), randn(k, generator=generator).softmax(0)
    )


def is_table(found, n, k, setting):
    """A law on a table."""
    fits(found, n, k, setting=setting)
    is_law(found.flatten(), n * k, setting=setting)


with check("10.4") as answer:
    g = seeded(15)
    corner = vector(1.0, 0.0, 0.0, 0.0).reshape(2, 2)
    other = corner.flip(0, 1)
    even = torch.full((2, 2), 0.25, dtype=torch.float64)
    for q, right, why in (
        (even, math.log(4) - 0.6 * 2 * 0.25, "q = p costs no divergence and gains 2 · ¼ of f"),
        (other, math.log(4) + 0.6 * (math.log(4) - 2), "q all on one entry is log 4 from p"),
    ):
        found = float(objective(corner, even, q, other, 2.0, 0.6))
        assert abs(found - right) < 1e-9, (
            f"all data on one entry of a 2 by 2 table, p even, f = 1 on the opposite entry, λ = 2, "
            f"α = 0.6, q = {said(q)}: J is {right:.4f}, for {why}; yours is {found:.4f}"
        )
    for n, k in ((2, 2), (3, 4)):
        p, f, data = (random_table(n, k, g), randn(n, k, generator=g), random_table(n, k, g))
        setting = f"a random p and f on a table of {n} by {k}, λ = 1.5: "
        q = e_step(p, f, 1.5)
        is_table(q, n, k, setting)
        here = objective(data, p, q, f, 1.5, 0.6)
        for _ in range(20):
            rival = (q.log() + 0.3 * randn(n, k, generator=g)).flatten().softmax(0).reshape(n, k)
            there = objective(data, p, rival, f, 1.5, 0.6)
            assert here <= there + 1e-12, (
                f"{setting}J is {here:.6f} at your q, and {there:.6f} at another"
            )
    found = m_step(corner, other, 3.0)
    setting = "all data on the first entry of a 2 by 2 table, q all on the last, α = 3: "
    is_table(found, 2, 2, setting)
    right = vector(1 / 16, 3 / 16, 3 / 16, 9 / 16).reshape(2, 2)
    assert near(found, right), (
        f"{setting}the arm follows q in three of four cases, the leg too, each by itself: p is "
        f"{said(right)}; yours is {said(found)}"
    )
    for n, k in ((2, 2), (3, 4)):
        data, q, f = random_table(n, k, g), random_table(n, k, g), randn(n, k, generator=g)
        for alpha in (0.0, 0.6, 4.0):
            setting = f"random data and q on a table of {n} by {k}, α = {alpha}: "
            p = m_step(data, q, alpha)
            is_table(p, n, k, setting)
            apart = float((p - torch.outer(p.sum(1), p.sum(0))).abs().max())
            assert apart < 1e-12, (
                f"{setting}in your p arm and leg are not independent; entries differ by "
                f"{apart:.4f} from the product of its margins"
            )
            here = objective(data, p, q, f, 1.5, alpha)
            for _ in range(20):
                moved = [
                    (p.sum(i).log() + 0.2 * randn(s, generator=g)).softmax(0)
                    for i, s in ((1, n), (0, k))
                ]
                there = objective(data, torch.outer(*moved), q, f, 1.5, alpha)
                assert here <= there + 1e-12, (
                    f"{setting}J is {here:.6f} at your p, and {there:.6f} at another product"
                )
    for n, k in ((2, 2), (3, 4)):
        data, f = random_table(n, k, g), 2 * randn(n, k, generator=g)
        setting = f"random data and f on a table of {n} by {k}, λ = 1.5, α = 2: "
        answers = turns(data, f, 1.5, 2.0, 300)
        assert isinstance(answers, tuple | list), "expected two tensors: p and J after each step"
        assert len(answers) == 2, f"expected two tensors, got {len(answers)}"
        p, path = answers
        is_table(p, n, k, setting)
        fits(path, 600, setting=setting)
        first = torch.outer(data.sum(1), data.sum(0))
        right = objective(data, first, e_step(first, f, 1.5), f, 1.5, 2.0)
        assert abs(float(path[0]) - right) < 1e-9, (
            f"{setting}after the first E step J is {right:.4f}; yours is {float(path[0]):.4f}. "
            "The first p has the margins of the data"
        )
        up = float(path.diff().max())
        assert up < 1e-9, f"{setting}in one of your steps J rises by {up:.6f}; no step may raise it"
        again = m_step(data, e_step(p, f, 1.5), 2.0)
        apart = float((again - p).abs().max())
        assert apart < 1e-6, (
            f"{setting}after 300 rounds the next one still changes p by {apart:.4f}. The q must be "
            "made anew from each p, and the data stay the data"
        )
        best = float(-torch.xlogy(data, p).sum() - 2 * (p * (1.5 * f).exp()).sum().log())
        assert abs(float(path[-1]) - best) < 1e-6, (
            f"{setting}with the best q J is -E log p - α log E_p e^(λf) = {best:.4f} at your p; "
            f"your last J is {float(path[-1]):.4f}"
        )
### BEGIN HIDDEN TESTS
answer.require()
from genlab.knowledge import pr_em

g = seeded(16)
data, f = random_table(4, 3, g), randn(4, 3, generator=g)
for weight, alpha in ((0.5, 0.3), (3.0, 5.0)):
    right = pr_em(
        data.flatten(),
        lambda law: torch.outer(law.reshape(4, 3).sum(1), law.reshape(4, 3).sum(0)).flatten(),
        f.flatten(),
        weight,
        alpha=alpha,
        steps=40,
    )
    p, path = turns(data, f, weight, alpha, 40)
    assert near(p.flatten(), right.p)
    assert near(path, right.objective)
### END HIDDEN TESTS

# %% [markdown]
# Arm and leg are *up*, *level* or *down*, all nine pairs as likely in the data, and the rule is "arm
# up if and only if leg up" (nothing to hand in). The model cannot make its limbs agree. How does it
# come to keep the rule? Is that what you meant?


# %%
try:
    arm, leg = torch.meshgrid(torch.arange(3), torch.arange(3), indexing="ij")
    f = ((arm == 0) == (leg == 0)).double()
    weights = torch.linspace(0, 6, 25).tolist()
    ends = [
        turns(torch.full((3, 3), 1 / 9, dtype=torch.float64), f, w, 5.0, 100)[0] for w in weights
    ]
    with plot.figure(
        x="λ",
        y="probability",
        height=2.6,
        alt="Two lines over λ. That the rule holds rises from 0.56; that the arm is up falls from "
        "one third towards 0.1.",
    ) as ax:
        ax.plot(weights, [float((p * f).sum()) for p in ends], label="the rule holds")
        ax.plot(weights, [float(p[0].sum()) for p in ends], label="the arm is up")
        ax.set_ylim(0, 1)
        ax.legend()
except NotImplementedError:
    print("Comes with exercise 10.4.")

# %% [markdown]
# ## 10.5 Rules that teach, and rules that clash (2 points, 20 minutes)
#
# For $n$ inputs a student gives $m$ labels the probabilities $p(y \mid x)$, and $L$ rules are true
# to the degrees $r_l(x, y)$. The teacher is
#
# $$q(y \mid x) \propto p(y \mid x)\,\exp\Bigl[-\sum_l \lambda_l \bigl(1 - r_l(x, y)\bigr)\Bigr].$$
#
# A rule is *hard* if its weight is `math.inf`: what is not quite true is struck out. Write
#
# - `teacher`: $q$. Some weights may be infinite; some label is then left for every input;
# - `clash`: now all rules are hard. The fewest of them that leave some input without any label that
#   the student allows ($p > 0$), as a list of their numbers from 0; `[]` if there are none. Where
#   several groups are as small, any one of them.
#
# *Hint:* 0 times ∞ is NaN, and a rule that is quite true has no say. `itertools.combinations`; small
# groups first.


# %% nbgrader={"grade": false, "grade_id": "rules", "locked": false, "schema_version": 3, "solution": true, "task": false}
def teacher(p, truth, weights):
    """q, [n, m]. p: [n, m]; truth: [n, m, L], from 0 to 1; weights: λ, [L], 0 to infinity."""
    ### BEGIN SOLUTION
    lost = torch.where(truth < 1, weights * (1 - truth), 0.0).sum(-1)
    return (p.log() - lost).softmax(-1)
    ### END SOLUTION


def clash(p, truth):
    """The numbers of the rules that contradict each other, a list, as short as can be."""
    ### BEGIN SOLUTION
    rules = range(truth.shape[-1])
    for size in range(1, len(rules) + 1):
        for group in itertools.combinations(rules, size):
            left = (p > 0) & (truth[..., list(group)] == 1).all(-1)
            if not left.any(-1).all():
                return list(group)
    return []
    ### END SOLUTION


# %% tags=["wrong-answer"]
# p(x) in place of p(y | x), as on the slides: it cancels, and the student has no say.
def teacher(p, truth, weights):
    lost = torch.where(truth < 1, weights * (1 - truth), 0.0).sum(-1)
    return (-lost).softmax(-1)


# %% tags=["wrong-answer"]
# 0 times ∞: the rule that is quite true makes NaN.
def teacher(p, truth, weights):
    return (p.log() - (weights * (1 - truth)).sum(-1)).softmax(-1)


# %% tags=["wrong-answer"]
# Rewards what breaks the rules.
def teacher(p, truth, weights):
    lost = torch.where(truth < 1, weights.clamp(max=1e6) * (1 - truth), 0.0).sum(-1)
    return (p.log() + lost).softmax(-1)


# %% tags=["wrong-answer"]
# One normaliser for all inputs.
def teacher(p, truth, weights):
    lost = torch.where(truth < 1, weights * (1 - truth), 0.0).sum(-1)
    q = p * (-lost).exp()
    return q / q.sum()


# %% tags=["wrong-answer"]
# The mean of the rules, not their sum.
def teacher(p, truth, weights):
    lost = torch.where(truth < 1, weights * (1 - truth), 0.0).mean(-1)
    return (p.log() - lost).softmax(-1)


# %% tags=["wrong-answer"]
# All rules together are named, also those that are innocent.
from genlab.knowledge import rule_teacher


def teacher(p, truth, weights):
    return rule_teacher(p, truth, weights.tolist())


def clash(p, truth):
    left = (p > 0) & (truth == 1).all(-1)
    return [] if left.any(-1).all() else list(range(truth.shape[-1]))


# %% tags=["wrong-answer"]
# Pairs alone: three rules can contradict each other of which any two agree.
from genlab.knowledge import rule_teacher


def teacher(p, truth, weights):
    return rule_teacher(p, truth, weights.tolist())


def clash(p, truth):
    for size in (1, 2):
        for group in itertools.combinations(range(truth.shape[-1]), size):
            left = (p > 0) & (truth[..., list(group)] == 1).all(-1)
            if not left.any(-1).all():
                return list(group)
    return []


# %% tags=["wrong-answer"]
# Contradictions between rules alone: a label that the student excludes seems to be left.
from genlab.knowledge import rule_teacher


def teacher(p, truth, weights):
    return rule_teacher(p, truth, weights.tolist())


def clash(p, truth):
    for size in range(1, truth.shape[-1] + 1):
        for group in itertools.combinations(range(truth.shape[-1]), size):
            if not (truth[..., list(group)] == 1).all(-1).any(-1).all():
                return list(group)
    return []


# %% tags=["wrong-answer"]
# Half true counts as kept: only what is quite false is struck out.
from genlab.knowledge import rule_teacher


def teacher(p, truth, weights):
    return rule_teacher(p, truth, weights.tolist())


def clash(p, truth):
    for size in range(1, truth.shape[-1] + 1):
        for group in itertools.combinations(range(truth.shape[-1]), size):
            left = (p > 0) & (truth[..., list(group)] > 0).all(-1)
            if not left.any(-1).all():
                return list(group)
    return []


# %% tags=["wrong-answer"]
# Clashes at every input are found, those at some inputs are not.
from genlab.knowledge import rule_teacher


def teacher(p, truth, weights):
    return rule_teacher(p, truth, weights.tolist())


def clash(p, truth):
    for size in range(1, truth.shape[-1] + 1):
        for group in itertools.combinations(range(truth.shape[-1]), size):
            left = (p > 0) & (truth[..., list(group)] == 1).all(-1)
            if not left.any():
                return list(group)
    return []


# %% nbgrader={"grade": true, "grade_id": "check-rules", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
def contradicts(p, truth, group):
    """Whether these hard rules leave some input without a label."""
    kept = (truth[..., list(group)] == 1).all(-1) & (p > 0)
    return bool((~kept.any(-1)).any())


with check("10.5") as answer:
    g = seeded(20)
    p, r = vector(0.7, 0.2, 0.1)[None], vector(0.2, 0.9, 0.5).reshape(1, 3, 1)
    for weight, right in (
        (1.5, (p * (1.5 * r[..., 0]).exp())[0] / (p * (1.5 * r[..., 0]).exp()).sum()),
        (0.0, p[0]),
    ):
        setting = f"p = (0.7, 0.2, 0.1), one rule true to (0.2, 0.9, 0.5) with λ = {weight}: "
        q = teacher(p, r, vector(weight))
        is_law(q, 1, 3, setting=setting)
        assert near(q[0], right), f"{setting}q is {said(right)}; yours is {said(q)}"
    r = vector(0.0, 1.0, 1.0).reshape(1, 3, 1)
    setting = "p = (0.7, 0.2, 0.1), a hard rule that forbids the first label: "
    q = teacher(p, r, vector(math.inf))
    is_law(q, 1, 3, setting=setting)
    assert near(q[0], vector(0.0, 2 / 3, 1 / 3)), (
        f"{setting}the other two keep their odds, q is (0, 0.6667, 0.3333); yours is {said(q)}"
    )
    p = randn(4, 3, generator=g).softmax(1)
    truth = torch.rand(4, 3, 2, dtype=torch.float64, generator=g)
    weights = vector(0.5, 3.0)
    setting = "random p and two rules at four inputs, λ = 0.5 and 3: "
    q = teacher(p, truth, weights)
    is_law(q, 4, 3, setting=setting)
    odds = (q[:, 0] / q[:, 1]).log() - (p[:, 0] / p[:, 1]).log()
    right = (truth[:, 0] - truth[:, 1]) @ weights
    assert near(odds, right), (
        f"{setting}the log odds of the first two labels change by Σ λ times the difference in "
        f"truth, {said(right)}; yours change by {said(odds)}"
    )
    truth[:, :, 0] = (truth[:, :, 0] > 0.5).double()
    truth[:, 2, 0] = 1
    setting = "a hard rule and a soft one at four inputs: "
    q = teacher(p, truth, vector(math.inf, 3.0))
    is_law(q, 4, 3, setting=setting)
    right = p * truth[..., 0] * (3 * truth[..., 1]).exp()
    assert near(q, right / right.sum(1, keepdim=True)), (
        f"{setting}what the hard rule allows is tilted by the soft one; your q is something else"
    )
    even = torch.full((2, 3), 1 / 3, dtype=torch.float64)
    all_true = torch.ones(2, 3, 4, dtype=torch.float64)
    first_or_second, second_or_third, third_or_first, half = (all_true.clone() for _ in range(4))
    three = all_true.clone()  # rules 1, 2 and 3 each strike out one label of the second input
    three[1, 0, 1] = three[1, 1, 2] = three[1, 2, 3] = 0
    pair = all_true.clone()
    pair[0, :2, 1] = pair[0, 1:, 3] = 0
    one = all_true.clone()
    one[1, :, 2] = 0
    vague = all_true.clone()
    vague[0, 0, 0], vague[0, 1, 0], vague[0, 2, 0] = 0.9, 0.5, 0.0
    excluded = all_true.clone()
    excluded[0, 0, 2] = 0
    sure = even.clone()
    sure[0] = vector(1.0, 0.0, 0.0)
    for p, truth, right, why in (
        (even, all_true, [], "all rules are quite true everywhere"),
        (even, one, [2], "rule 2 strikes out every label of the second input"),
        (even, pair, [1, 3], "at the first input rule 1 leaves the third label, rule 3 the first"),
        (
            even,
            three,
            [1, 2, 3],
            "at the second input each strikes out another label, and any two of them leave one",
        ),
        (even, vague, [0], "at the first input rule 0 is quite true of no label"),
        (
            sure,
            excluded,
            [2],
            "at the first input the student allows one label, which rule 2 strikes out",
        ),
    ):
        found = clash(p, truth)
        assert found is not None, "expected a list of numbers, got None"
        found = [int(i) for i in found]
        assert sorted(found) == right, (
            f"two inputs, three labels, four hard rules: the fewest that clash are {right}: {why}; "
            f"yours are {found}"
        )
    for _ in range(20):
        truth = (torch.rand(5, 3, 4, generator=g) > 0.25).double()
        p = randn(5, 3, generator=g).softmax(1)
        found = [int(i) for i in clash(p, truth)]
        sizes = [
            size
            for size in range(1, 5)
            for group in itertools.combinations(range(4), size)
            if contradicts(p, truth, group)
        ]
        if not sizes:
            assert found == [], f"no rules contradict each other here; yours are {found}"
            continue
        assert contradicts(p, truth, found), (
            f"random rules: your {found} leave some label for every input, and {min(sizes)} of the "
            "rules do not"
        )
        assert len(found) == min(sizes), (
            f"random rules: your {found} clash, and so do {min(sizes)} of them, or of the others"
        )
### BEGIN HIDDEN TESTS
answer.require()
from genlab.knowledge import rule_teacher

g = seeded(21)
p = randn(30, 4, generator=g).softmax(1)
truth = torch.rand(30, 4, 3, dtype=torch.float64, generator=g)
truth[..., 2] = truth[..., 2].round()
truth[:, 0, 2] = 1
for weights in ([0.0, 1.0, 2.0], [4.0, 0.3, math.inf]):
    assert near(teacher(p, truth, vector(*weights)), rule_teacher(p, truth, weights))
truth[3, :, 2], truth[5, :, 1] = vector(1.0, 0.0, 0.0, 0.0), vector(0.0, 1.0, 1.0, 1.0)
truth[..., 0] = 1
truth[:5, 0, 1] = truth[6:, 0, 1] = 1
truth[5, 0, 2], truth[5, 1:, 2] = 1, 0
assert sorted(int(i) for i in clash(p, truth)) == [1, 2]
### END HIDDEN TESTS

# %% [markdown]
# ## 10.6 What a student hears (3 points, 25 minutes)
#
# Write
#
# - `imitate`: the loss of distillation, $T^2\,\mathrm{KL}(s \,\|\, q)$ with $s$ and $q$ the softmax
#   of $v / T$ and of $z / T$, safe for logits of $\pm 1000$;
# - `pull`: its gradient in $z$, without autograd;
# - `heard`: of several teachers $s_k$, the $q$ with the least $\sum_k \mathrm{CE}(s_k, q)$, where
#   $\mathrm{CE}(s, q) = -\mathbb{E}_s \log q$;
# - `agreed`: the $q$ with the least $\sum_k \mathrm{KL}(q \,\|\, s_k)$. A teacher may exclude values;
#   at least one value is excluded by none;
# - `taught`: the loss by labels and a teacher at once, the mean over *all* $n$ rows of
#   $(1 - \pi)\,\mathrm{CE}(y_i, p_i) + \pi\,\mathrm{CE}(s_i, p_i)$. A label of $-1$ is missing: there
#   the first term is 0. No gradient passes through the teacher.
#
# *Hint:* `log_softmax`, `detach`. `cross_entropy(..., ignore_index=-1, reduction="none")` gives 0
# where a label is missing.


# %% nbgrader={"grade": false, "grade_id": "distilled", "locked": false, "schema_version": 3, "solution": true, "task": false}
def imitate(z, v, T):
    """T² KL(s || q), [n]. z: logits of the student, [n, m]; v: of the teacher; T: a float > 0."""
    ### BEGIN SOLUTION
    log_s, log_q = (v / T).log_softmax(1), (z / T).log_softmax(1)
    return T**2 * (log_s.exp() * (log_s - log_q)).sum(1)
    ### END SOLUTION


def pull(z, v, T):
    """The gradient of each loss in its logits z, [n, m]."""
    ### BEGIN SOLUTION
    return T * ((z / T).softmax(1) - (v / T).softmax(1))
    ### END SOLUTION


def heard(teachers):
    """[m], from laws s_k, [K, m]."""
    ### BEGIN SOLUTION
    return teachers.mean(0)
    ### END SOLUTION


def agreed(teachers):
    """[m], from laws s_k, [K, m], that may hold zeros."""
    ### BEGIN SOLUTION
    return teachers.log().mean(0).softmax(0)
    ### END SOLUTION


def taught(logits, labels, soft, pi):
    """The loss of a batch, shape (). logits, soft: [n, m]; labels: int64, [n], -1 if missing."""
    ### BEGIN SOLUTION
    told = cross_entropy(logits, labels, ignore_index=-1, reduction="none")
    shown = cross_entropy(logits, soft.detach(), reduction="none")
    return ((1 - pi) * told + pi * shown).mean()
    ### END SOLUTION


# %% tags=["wrong-answer"]
# Without T²: the hotter, the less is learnt.
def imitate(z, v, T):
    log_s, log_q = (v / T).log_softmax(1), (z / T).log_softmax(1)
    return (log_s.exp() * (log_s - log_q)).sum(1)


# %% tags=["wrong-answer"]
# The student alone is softened.
def imitate(z, v, T):
    log_s, log_q = v.log_softmax(1), (z / T).log_softmax(1)
    return T**2 * (log_s.exp() * (log_s - log_q)).sum(1)


# %% tags=["wrong-answer"]
# The divergence in the other direction.
def imitate(z, v, T):
    log_s, log_q = (v / T).log_softmax(1), (z / T).log_softmax(1)
    return T**2 * (log_q.exp() * (log_q - log_s)).sum(1)


# %% tags=["wrong-answer"]
# Probabilities first, logarithms afterwards.
def imitate(z, v, T):
    s, q = (v / T).softmax(1), (z / T).softmax(1)
    return T**2 * (s * (s.log() - q.log())).sum(1)


# %% tags=["wrong-answer"]
# The slope in z / T: a factor T too much.
def imitate(z, v, T):
    log_s, log_q = (v / T).log_softmax(1), (z / T).log_softmax(1)
    return T**2 * (log_s.exp() * (log_s - log_q)).sum(1)


def pull(z, v, T):
    return T**2 * ((z / T).softmax(1) - (v / T).softmax(1))


# %% tags=["wrong-answer"]
# The way that the student should go, which is against the gradient.
def imitate(z, v, T):
    log_s, log_q = (v / T).log_softmax(1), (z / T).log_softmax(1)
    return T**2 * (log_s.exp() * (log_s - log_q)).sum(1)


def pull(z, v, T):
    return T * ((v / T).softmax(1) - (z / T).softmax(1))


# %% tags=["wrong-answer"]
# "Closer to one of the teachers": the one that the others contradict least.
from genlab.knowledge import distillation_loss as imitate


def pull(z, v, T):
    return T * ((z / T).softmax(1) - (v / T).softmax(1))


def heard(teachers):
    losses = -torch.xlogy(teachers[:, None], teachers).sum((0, 2))
    return teachers[losses.argmin()]


# %% tags=["wrong-answer"]
# The two averages are swapped.
from genlab.knowledge import distillation_loss as imitate


def pull(z, v, T):
    return T * ((z / T).softmax(1) - (v / T).softmax(1))


def heard(teachers):
    return teachers.log().mean(0).softmax(0)


# %% tags=["wrong-answer"]
# A geometric mean that is no law.
from genlab.knowledge import distillation_loss as imitate


def pull(z, v, T):
    return T * ((z / T).softmax(1) - (v / T).softmax(1))


def heard(teachers):
    return teachers.mean(0)


def agreed(teachers):
    return teachers.prod(0) ** (1 / len(teachers))


# %% tags=["wrong-answer"]
# The product of the teachers: each of them counts in full.
from genlab.knowledge import distillation_loss as imitate


def pull(z, v, T):
    return T * ((z / T).softmax(1) - (v / T).softmax(1))


def heard(teachers):
    return teachers.mean(0)


def agreed(teachers):
    return teachers.prod(0) / teachers.prod(0).sum()


# %% tags=["wrong-answer"]
# As the slide has it without the bracket: the mean of one term, and the sum of the other.
from genlab.knowledge import average_of_teachers
from genlab.knowledge import distillation_loss as imitate


def pull(z, v, T):
    return T * ((z / T).softmax(1) - (v / T).softmax(1))


def heard(teachers):
    return teachers.mean(0)


def agreed(teachers):
    return average_of_teachers(teachers, "geometric")


def taught(logits, labels, soft, pi):
    told = cross_entropy(logits, labels, ignore_index=-1, reduction="none")
    return (1 - pi) * told.mean() + pi * cross_entropy(logits, soft.detach(), reduction="sum")


# %% tags=["wrong-answer"]
# The mean over the labelled rows, where the mean over all was asked for.
from genlab.knowledge import average_of_teachers
from genlab.knowledge import distillation_loss as imitate


def pull(z, v, T):
    return T * ((z / T).softmax(1) - (v / T).softmax(1))


def heard(teachers):
    return teachers.mean(0)


def agreed(teachers):
    return average_of_teachers(teachers, "geometric")


def taught(logits, labels, soft, pi):
    told = cross_entropy(logits, labels, ignore_index=-1)
    return (1 - pi) * told + pi * cross_entropy(logits, soft.detach())


# %% tags=["wrong-answer"]
# "A student takes labelled data only": the other rows are left out.
from genlab.knowledge import average_of_teachers
from genlab.knowledge import distillation_loss as imitate


def pull(z, v, T):
    return T * ((z / T).softmax(1) - (v / T).softmax(1))


def heard(teachers):
    return teachers.mean(0)


def agreed(teachers):
    return average_of_teachers(teachers, "geometric")


def taught(logits, labels, soft, pi):
    told = cross_entropy(logits, labels, ignore_index=-1, reduction="none")
    shown = cross_entropy(logits, soft.detach(), reduction="none")
    return torch.where(labels >= 0, (1 - pi) * told + pi * shown, 0.0).mean()


# %% tags=["wrong-answer"]
# The gradient passes through the teacher, who comes to agree with the student.
from genlab.knowledge import average_of_teachers
from genlab.knowledge import distillation_loss as imitate


def pull(z, v, T):
    return T * ((z / T).softmax(1) - (v / T).softmax(1))


def heard(teachers):
    return teachers.mean(0)


def agreed(teachers):
    return average_of_teachers(teachers, "geometric")


def taught(logits, labels, soft, pi):
    told = cross_entropy(logits, labels, ignore_index=-1, reduction="none")
    return ((1 - pi) * told + pi * cross_entropy(logits, soft, reduction="none")).mean()


# %% tags=["wrong-answer"]
# The shares are swapped.
from genlab.knowledge import average_of_teachers
from genlab.knowledge import distillation_loss as imitate


def pull(z, v, T):
    return T * ((z / T).softmax(1) - (v / T).softmax(1))


def heard(teachers):
    return teachers.mean(0)


def agreed(teachers):
    return average_of_teachers(teachers, "geometric")


def taught(logits, labels, soft, pi):
    told = cross_entropy(logits, labels, ignore_index=-1, reduction="none")
    shown = cross_entropy(logits, soft.detach(), reduction="none")
    return (pi * told + (1 - pi) * shown).mean()


# %% nbgrader={"grade": true, "grade_id": "check-distilled", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
with check("10.6") as answer:
    g = seeded(30)
    z, v = vector(0.0, 0.0)[None], vector(2.0, -2.0)[None]
    for T in (1.0, 4.0):
        s = torch.sigmoid(vector(4.0) / T)
        right = T**2 * (s * s.log() + (1 - s) * (1 - s).log() + math.log(2))
        found = imitate(z, v, T)
        fits(found, 1)
        assert near(found, right), (
            f"an even student of the teacher with the logits 2 and -2, T = {T}: the teacher says "
            f"{said(torch.stack([s, 1 - s]))}, T² KL is {float(right):.4f}; yours is "
            f"{float(found):.4f}"
        )
    a, b = vector(0.2, 0.5, 0.3).log()[None], vector(0.0, 0.0, 1.0)[None]
    right = (a.exp() * (a - b.log_softmax(1))).sum(1)
    found = imitate(b, a, 1.0)
    assert near(found, right), (
        "a student (0.2119, 0.2119, 0.5761) of the teacher (0.2, 0.5, 0.3) at T = 1: KL(teacher || "
        f"student) is {float(right):.4f}; yours is {float(found):.4f}"
    )
    found = imitate(vector(1000.0, -1000.0)[None], vector(-1000.0, 1000.0)[None], 2.0)
    fits(found, 1, setting="logits of ±1000: ")
    assert near(found, vector(4000.0)), (
        "a student with the logits 1000 and -1000 of a teacher with -1000 and 1000 at T = 2: the "
        f"loss is 4 · 1000; yours is {float(found):.4f}"
    )
    for T in (0.7, 1.0, 5.0):
        z, v = 2 * randn(4, 3, generator=g), 2 * randn(4, 3, generator=g)
        at = z.clone().requires_grad_()
        (right,) = torch.autograd.grad(imitate(at, v, T).sum(), at)
        found = pull(z, v, T)
        fits(found, 4, 3)
        why = ""
        if near(found, -right):
            why = ", it has the wrong sign"
        assert near(found, right), (
            f"random logits, T = {T}: autograd's gradient of your own losses in z is "
            f"{said(right[0])} in the first row; yours is {said(found[0])}{why}"
        )
    s = vector(0.9, 0.1, 0.9, 0.1, 0.3, 0.7).reshape(3, 2)
    for name, average, right, why in (
        ("heard", lambda s: heard(s), vector(0.7, 0.3), "the mean of 0.9, 0.9 and 0.3"),
        (
            "agreed",
            lambda s: agreed(s),
            vector(0.9 * 0.9 * 0.3, 0.1 * 0.1 * 0.7) ** (1 / 3),
            "the geometric mean, made a law",
        ),
    ):
        right = right / right.sum()
        found = average(s)
        is_law(found, 2, setting=f"{name}, three teachers: ")
        assert near(found, right), (
            f"three teachers say 0.9, 0.9 and 0.3: {name} is {said(right)}, {why}; yours is "
            f"{said(found)}"
        )
        s_many = randn(4, 5, generator=g).softmax(1)

        def loss(q, s=s_many, name=name):
            return float(-(s * q.log()).sum() if name == "heard" else (q * (q / s).log()).sum())

        found = average(s_many)
        is_law(found, 5, setting=f"{name}, four random teachers: ")
        for _ in range(30):
            other = (found.log() + 0.2 * randn(5, generator=g)).softmax(0)
            assert loss(found) <= loss(other) + 1e-12, (
                f"{name}, four random teachers: your q has the loss {loss(found):.6f}, and another "
                f"law has {loss(other):.6f}"
            )
    strict = vector(0.5, 0.5, 0.0, 0.2, 0.4, 0.4).reshape(2, 3)
    found = agreed(strict)
    is_law(found, 3, setting="a teacher that excludes a value: ")
    right = vector(0.1, 0.2, 0.0).sqrt() / vector(0.1, 0.2, 0.0).sqrt().sum()
    assert near(found, right), (
        f"two teachers, of which one excludes the third value: agreed is {said(right)}; yours is "
        f"{said(found)}"
    )
    logits = vector(0.0, math.log(3))[None]
    for labels, soft, pi, right, why in (
        (0, (0.5, 0.5), 0.0, math.log(4), "without a teacher: -log ¼"),
        (0, (0.0, 1.0), 0.25, 0.75 * math.log(4) + 0.25 * math.log(4 / 3), "¾ for the label"),
        (-1, (0.0, 1.0), 0.25, 0.25 * math.log(4 / 3), "no label, and ¼ for the teacher as before"),
    ):
        found = taught(logits, torch.tensor([labels]), vector(*soft)[None], pi)
        fits(found, setting=f"the label {labels}: ")
        assert near(found, vector(right)[0]), (
            f"the student says (¼, ¾), the label is {labels}, the teacher says {soft}, π = {pi}: "
            f"the loss is {right:.4f}, {why}; yours is {float(found):.4f}"
        )
    logits, labels = randn(4, 3, generator=g), torch.tensor([2, -1, 0, -1])
    at = logits.clone().requires_grad_()
    soft = (2 * at).softmax(1)
    found = taught(at, labels, soft, 0.4)
    log_p, s = logits.log_softmax(1), soft.detach()
    told = torch.where(labels >= 0, -log_p.gather(1, labels.clamp(min=0)[:, None])[:, 0], 0.0)
    right = (0.6 * told - 0.4 * (s * log_p).sum(1)).mean()
    fits(found)
    assert near(found.detach(), right), (
        f"four rows, of which two have a label, π = 0.4: the mean over all four of both terms is "
        f"{float(right):.4f}; yours is {float(found.detach()):.4f}"
    )
    (found,) = torch.autograd.grad(found, at)
    seen = (labels >= 0).double()[:, None]
    truth = one_hot(labels.clamp(min=0), 3)
    p = log_p.exp()
    right = (0.6 * seen * (p - truth) + 0.4 * (p - s)) / 4
    row = (found - right).abs().amax(1).argmax()
    assert near(found, right), (
        "the teacher is made from the student, and is data all the same: the gradient through the "
        f"student's own predictions alone is {said(right[row])} in row {int(row)}; yours is "
        f"{said(found[row])}"
    )
### BEGIN HIDDEN TESTS
answer.require()
from genlab.knowledge import average_of_teachers, blend, distillation_loss, soften

g = seeded(31)
z, v = 4 * randn(9, 6, generator=g), 4 * randn(9, 6, generator=g)
for T in (0.5, 3.0, 50.0):
    assert near(imitate(z, v, T), distillation_loss(z, v, T))
    assert near(pull(z, v, T), T * (soften(z, T) - soften(v, T)))
s = v.softmax(1)
assert near(heard(s), average_of_teachers(s))
assert near(agreed(s), average_of_teachers(s, "geometric"))
labels = torch.randint(6, (9,), generator=g)
for pi in (0.0, 0.3, 1.0):
    right = -(blend(one_hot(labels, 6).double(), s, pi) * z.log_softmax(1)).sum(1).mean()
    assert near(taught(z, labels, s, pi), right)
### END HIDDEN TESTS

# %% [markdown]
# A teacher is sure of the first of four labels, and has an opinion of the others (nothing to hand
# in): its logits are 9, 3, 1, -1. A student with the logits 9, 0, 0, 0 agrees about the first. Slide
# $T$: how hard is it pulled towards the teacher's opinion of the *other* labels, compared with the
# limit, where logits are matched?


# %%
def show_pull(T):
    v, z = vector(9.0, 3.0, 1.0, -1.0)[None], vector(9.0, 0.0, 0.0, 0.0)[None]
    limit = ((z - z.mean()) - (v - v.mean())) / 4
    with plot.figure(
        y="gradient",
        height=2.6,
        title=f"T = {T:.1f}",
        alt="Two bars for each of four labels: the gradient at this temperature and its limit. At a "
        "low temperature the first bars are almost 0, at a high one both are alike.",
    ) as ax:
        at = torch.arange(4)
        ax.bar(at - 0.2, pull(z, v, T)[0], 0.4, color=plot.COLORS["approx"], label="now")
        ax.bar(at + 0.2, limit[0], 0.4, color=plot.COLORS["truth"], label="as T → ∞")
        ax.set(xticks=at, xticklabels=["first", "second", "third", "fourth"])
        ax.legend()


try:
    panel = sliders(show_pull, T=Knob(0.5, 30.0, start=2.0))
except NotImplementedError:
    print("Comes with exercise 10.6.")
else:
    display(panel)

# %% [markdown]
# ## 10.7 What does he want? (3 points, 30 minutes)
#
# Two ways from data to knowledge, and the way back.
#
# - `rule_slope`: rules $r_l(x, y)$ with weights $\lambda_l$ tilt a student's $p(y \mid x)$ to
#   $q \propto p\,e^{\lambda \cdot r}$. The gradient in $\lambda$ of the *mean* of $\log q(y_i \mid x_i)$
#   over $n$ labels, without autograd;
# - `learnt`: on a finite set, the weights $w$, of any sign, with which
#   $q_w \propto p\,e^{w \cdot \varphi}$ has the means of the features that the data have,
#   $\mathbb{E}_{q_w} \varphi = \mathbb{E}_\text{data} \varphi$, to $10^{-6}$. They maximise
#   $\mathbb{E}_\text{data} \log q_w$, which is concave; there is a finite maximum, only one, and the
#   weights in the checks are below 3;
# - `soft_policy`: from a state $s$ the action $a$ leads to the state `step[s, a]` and pays
#   `reward[s, a]`. Who acts at random takes each of the $A$ actions with probability $1 / A$. His
#   law of trajectories, tilted by $e^{R / \alpha}$, is that of a policy $\pi_t(a \mid s)$. Return it
#   for $t = 0, \dots, T - 1$, and the values $V_t(s)$ for $t = 0, \dots, T$.
#
# *Hint:* any way up leads to the top: `torch.optim.LBFGS` with `line_search_fn="strong_wolfe"`, or
# many small steps along the gradient, or Newton's, which must be held back where they go too far.
# Begin at $V_T = 0$; the $1 / A$ matters.


# %% nbgrader={"grade": false, "grade_id": "wants", "locked": false, "schema_version": 3, "solution": true, "task": false}
def rule_slope(p, truth, labels, weights):
    """[L]. p: [n, m]; truth: [n, m, L]; labels: int64, [n]; weights: λ, [L]."""
    ### BEGIN SOLUTION
    q = (p.log() + truth @ weights).softmax(1)
    seen = one_hot(labels, p.shape[1])
    return ((seen - q)[..., None] * truth).sum(1).mean(0)
    ### END SOLUTION


def learnt(p, features, data):
    """w, [L]. p, data: laws, [m]; features: φ, [m, L]."""
    ### BEGIN SOLUTION
    w = torch.zeros(features.shape[1], dtype=torch.float64, requires_grad=True)
    options = {"tolerance_grad": 1e-8, "tolerance_change": 1e-15, "line_search_fn": "strong_wolfe"}
    climb = LBFGS([w], max_iter=100, **options)

    def loss():
        climb.zero_grad()
        value = -(data * (p.log() + features @ w).log_softmax(0)).sum()
        value.backward()
        return value

    climb.step(loss)
    return w.detach()
    ### END SOLUTION


def soft_policy(step, reward, horizon, alpha):
    """π, [T, S, A], and V, [T + 1, S]. step: int64, [S, A]; reward: [S, A]; horizon: T; alpha > 0."""
    ### BEGIN SOLUTION
    values, policies = [torch.zeros(len(step), dtype=torch.float64)], []
    for _ in range(horizon):
        score = (reward + values[0][step]) / alpha - math.log(step.shape[1])
        values.insert(0, alpha * score.logsumexp(1))
        policies.insert(0, score.softmax(1))
    return torch.stack(policies), torch.stack(values)
    ### END SOLUTION


# %% tags=["wrong-answer"]
# The sign: each rule is weighed down until it is broken.
def rule_slope(p, truth, labels, weights):
    q = (p.log() + truth @ weights).softmax(1)
    return ((q - one_hot(labels, p.shape[1]))[..., None] * truth).sum(1).mean(0)


# %% tags=["wrong-answer"]
# The expectation under the student, not under its tilt: the weights then rise for ever.
def rule_slope(p, truth, labels, weights):
    return ((one_hot(labels, p.shape[1]) - p)[..., None] * truth).sum(1).mean(0)


# %% tags=["wrong-answer"]
# How true the rules are of the labels; nothing is taken away.
def rule_slope(p, truth, labels, weights):
    return truth[torch.arange(len(labels)), labels].mean(0)


# %% tags=["wrong-answer"]
# The sum over the labels, where the mean was asked for.
def rule_slope(p, truth, labels, weights):
    q = (p.log() + truth @ weights).softmax(1)
    return ((one_hot(labels, p.shape[1]) - q)[..., None] * truth).sum((0, 1))


# %% tags=["wrong-answer"]
# One step, from where nothing was known.
def rule_slope(p, truth, labels, weights):
    q = (p.log() + truth @ weights).softmax(1)
    return ((one_hot(labels, p.shape[1]) - q)[..., None] * truth).sum(1).mean(0)


def learnt(p, features, data):
    centred = features - p @ features
    return torch.linalg.solve(centred.T @ (p[:, None] * centred), data @ centred)


# %% tags=["wrong-answer"]
# Newton's steps, and nobody holds them back: on the walks they go too far.
def rule_slope(p, truth, labels, weights):
    q = (p.log() + truth @ weights).softmax(1)
    return ((one_hot(labels, p.shape[1]) - q)[..., None] * truth).sum(1).mean(0)


def learnt(p, features, data):
    w = torch.zeros(features.shape[1], dtype=torch.float64)
    for _ in range(30):
        q = (p.log() + features @ w).softmax(0)
        centred = features - q @ features
        w = w + torch.linalg.pinv(centred.T @ (q[:, None] * centred)) @ (data @ centred)
        w = w.nan_to_num().clamp(-1000, 1000)
    return w


# %% tags=["wrong-answer"]
# Every feature by itself: they overlap.
def rule_slope(p, truth, labels, weights):
    q = (p.log() + truth @ weights).softmax(1)
    return ((one_hot(labels, p.shape[1]) - q)[..., None] * truth).sum(1).mean(0)


def learnt(p, features, data):
    from genlab.knowledge import learn_weights

    columns = features.split(1, 1)
    return torch.cat([learn_weights(p, column, data, signed=True) for column in columns])


# %% tags=["wrong-answer"]
# No weight below 0: what somebody avoids is not learnt.
def rule_slope(p, truth, labels, weights):
    q = (p.log() + truth @ weights).softmax(1)
    return ((one_hot(labels, p.shape[1]) - q)[..., None] * truth).sum(1).mean(0)


def learnt(p, features, data):
    from genlab.knowledge import learn_weights

    return learn_weights(p, features, data)


# %% tags=["wrong-answer"]
# Value iteration: the best action, for sure.
from genlab.knowledge import learn_weights


def rule_slope(p, truth, labels, weights):
    q = (p.log() + truth @ weights).softmax(1)
    return ((one_hot(labels, p.shape[1]) - q)[..., None] * truth).sum(1).mean(0)


def learnt(p, features, data):
    return learn_weights(p, features, data, signed=True)


def soft_policy(step, reward, horizon, alpha):
    values, policies = [torch.zeros(len(step)).double()], []
    for _ in range(horizon):
        score = reward + values[0][step]
        values.insert(0, score.amax(1))
        policies.insert(0, one_hot(score.argmax(1), step.shape[1]).double())
    return torch.stack(policies), torch.stack(values)


# %% tags=["wrong-answer"]
# The sum over actions, not the mean: each step left is taken to be worth α log A.
from genlab.knowledge import learn_weights


def rule_slope(p, truth, labels, weights):
    q = (p.log() + truth @ weights).softmax(1)
    return ((one_hot(labels, p.shape[1]) - q)[..., None] * truth).sum(1).mean(0)


def learnt(p, features, data):
    return learn_weights(p, features, data, signed=True)


def soft_policy(step, reward, horizon, alpha):
    values, policies = [torch.zeros(len(step)).double()], []
    for _ in range(horizon):
        score = (reward + values[0][step]) / alpha
        values.insert(0, alpha * score.logsumexp(1))
        policies.insert(0, score.softmax(1))
    return torch.stack(policies), torch.stack(values)


# %% tags=["wrong-answer"]
# The value of the state where he is, not of the state where he goes.
from genlab.knowledge import learn_weights


def rule_slope(p, truth, labels, weights):
    q = (p.log() + truth @ weights).softmax(1)
    return ((one_hot(labels, p.shape[1]) - q)[..., None] * truth).sum(1).mean(0)


def learnt(p, features, data):
    return learn_weights(p, features, data, signed=True)


def soft_policy(step, reward, horizon, alpha):
    values, policies = [torch.zeros(len(step)).double()], []
    for _ in range(horizon):
        score = (reward + values[0][:, None]) / alpha - math.log(step.shape[1])
        values.insert(0, alpha * score.logsumexp(1))
        policies.insert(0, score.softmax(1))
    return torch.stack(policies), torch.stack(values)


# %% tags=["wrong-answer"]
# In the order in which they were found: the last step comes first.
from genlab.knowledge import learn_weights


def rule_slope(p, truth, labels, weights):
    q = (p.log() + truth @ weights).softmax(1)
    return ((one_hot(labels, p.shape[1]) - q)[..., None] * truth).sum(1).mean(0)


def learnt(p, features, data):
    return learn_weights(p, features, data, signed=True)


def soft_policy(step, reward, horizon, alpha):
    values, policies = [torch.zeros(len(step)).double()], []
    for _ in range(horizon):
        score = (reward + values[-1][step]) / alpha - math.log(step.shape[1])
        values.append(alpha * score.logsumexp(1))
        policies.append(score.softmax(1))
    return torch.stack(policies), torch.stack(values)


# %% tags=["wrong-answer"]
# Looks one step ahead alone: the tilt of each step by its own reward.
from genlab.knowledge import learn_weights


def rule_slope(p, truth, labels, weights):
    q = (p.log() + truth @ weights).softmax(1)
    return ((one_hot(labels, p.shape[1]) - q)[..., None] * truth).sum(1).mean(0)


def learnt(p, features, data):
    return learn_weights(p, features, data, signed=True)


def soft_policy(step, reward, horizon, alpha):
    policy = (reward / alpha).softmax(1)
    values = [torch.zeros(len(step)).double()]
    for _ in range(horizon):
        score = (reward + values[0][step]) / alpha - math.log(step.shape[1])
        values.insert(0, alpha * score.logsumexp(1))
    return policy.expand(horizon, *policy.shape), torch.stack(values)


# %% nbgrader={"grade": true, "grade_id": "check-wants", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
STEP = torch.stack([torch.arange(-1, 4), torch.arange(5), torch.arange(1, 6)], 1).clamp(0, 4)
LIKES = vector(0.8, 0.3, -0.5)  # to be at the left end, to be at the right end, to stay


def walks():
    """All walks of seven steps from the middle of five places: their features, [2187, 3]."""
    stays = torch.tensor([0.0, 1.0, 0.0]).expand(5, 3)
    tables = (STEP == 0).double(), (STEP == 4).double(), stays.double()
    return torch.stack([Chain(STEP, table).trajectories(2, 7).returns for table in tables], 1)


with check("10.7") as answer:
    g = seeded(40)
    p, r = (
        torch.full((4, 2), 0.5, dtype=torch.float64),
        vector(0.0, 1.0).reshape(1, 2, 1).repeat(4, 1, 1),
    )
    labels = torch.tensor([1, 1, 1, 0])
    for weight, right, why in (
        (
            0.0,
            0.25,
            "three of four labels keep the rule, and the student keeps it half of the time",
        ),
        (math.log(3), 0.0, "the tilt then keeps the rule as often as the labels do"),
        (
            math.log(9),
            -0.15,
            "the tilt then keeps the rule nine times in ten, more than the labels",
        ),
    ):
        found = rule_slope(p, r, labels, vector(weight))
        fits(found, 1)
        assert near(found, vector(right)), (
            f"an even student of two labels, a rule that says 1, the labels 1, 1, 1, 0, λ = "
            f"{weight:.4f}: the slope is {right}: {why}; yours is {float(found):.4f}"
        )
    for n, m, L in ((5, 3, 2), (20, 4, 3)):
        p, r = randn(n, m, generator=g).softmax(1), torch.rand(n, m, L, generator=g).double()
        labels, weights = torch.randint(m, (n,), generator=g), torch.rand(L, generator=g).double()
        at = weights.clone().requires_grad_()
        log_q = (p.log() + r @ at).log_softmax(1)
        (right,) = torch.autograd.grad(log_q[torch.arange(n), labels].mean(), at)
        found = rule_slope(p, r, labels, weights)
        fits(found, L)
        assert near(found, right), (
            f"{L} random rules and {n} labels: autograd's gradient of the mean of log q is "
            f"{said(right)}; yours is {said(found)}"
        )
    coin, heads = vector(0.5, 0.5), vector(0.0, 1.0)[:, None]
    found = learnt(coin, heads, vector(0.9, 0.1))
    fits(found, 1)
    assert near(found, vector(-math.log(9)), 1e-5), (
        "a fair coin, the number of heads for a feature, and data with heads in one of ten: w = "
        f"-log 9 = {-math.log(9):.4f}; yours is {float(found):.4f}"
    )
    for m, L in ((6, 2), (12, 3)):
        p, features = randn(m, generator=g).softmax(0), randn(m, L, generator=g)
        true = 1.2 * randn(L, generator=g).clamp(-2, 2)
        data = (p.log() + features @ true).softmax(0)
        found = learnt(p, features, data)
        fits(found, L)
        q = (p.log() + features @ found).softmax(0)
        assert near(q @ features, data @ features, 1e-5), (
            f"{m} values and {L} random features: the data have the means "
            f"{said(data @ features)}, and at your w = {said(found)} q has {said(q @ features)}"
        )
        assert near(found, true, 1e-3), (
            f"{m} values, random features, data from the tilt with w = {said(true)}; yours is "
            f"{said(found)}"
        )
    features = walks()
    even, data = torch.full((3**7,), 3.0**-7, dtype=torch.float64), (features @ LIKES).softmax(0)
    found = learnt(even, features, data)
    fits(found, 3)
    assert near(found, LIKES, 1e-3), (
        "seven steps on five places, how often a walk was at the left end, at the right end, and "
        f"how often it stayed for features: the data are the tilt with w = {said(LIKES)}; yours is "
        f"{said(found)}"
    )
    S, A, T = 4, 3, 5
    step = torch.randint(S, (S, A), generator=g)
    reward = randn(S, A, generator=g)
    one_step = soft_policy(torch.zeros(1, 2, dtype=torch.int64), vector(0.0, 1.0)[None], 1, 1.0)
    assert isinstance(one_step, tuple | list), "expected two tensors: π and V"
    assert len(one_step) == 2, f"expected two tensors, got {len(one_step)}"
    found = one_step[1]
    fits(found, 2, 1)
    right = math.log((1 + math.e) / 2)
    assert near(found[:, 0], vector(right, 0.0)), (
        f"one state, one step, two actions that pay 0 and 1, α = 1: V_0 = log((1 + e) / 2) = "
        f"{right:.4f} and V_1 = 0; yours are {said(found)}"
    )
    for alpha in (0.3, 1.0, 5.0):
        policy, value = soft_policy(step, reward, T, alpha)
        setting = f"{S} states, {A} actions, {T} steps, α = {alpha}: "
        is_law(policy, T, S, A, setting=setting)
        fits(value, T + 1, S, setting=setting)
        every = [Chain(step, reward).trajectories(s, T) for s in range(S)]
        right = torch.stack([alpha * (t.returns / alpha).exp().mean().log() for t in every])
        assert near(value[0], right), (
            f"{setting}V_0(s) = α log of the mean of e^(R/α) over all {A**T} trajectories from s "
            f"is {said(right)}; yours is {said(value[0])}"
        )
        for s, paths in enumerate(every):
            chosen = [policy[t, paths.states[:, t], paths.actions[:, t]] for t in range(T)]
            found, right = torch.stack(chosen).prod(0), (paths.returns / alpha).softmax(0)
            apart = float((found - right).abs().sum() / 2)
            assert apart < 1e-9, (
                f"{setting}from the state {s} your policy draws trajectories that are {apart:.4f} "
                "in total variation from the tilted ones"
            )
### BEGIN HIDDEN TESTS
answer.require()
from genlab.knowledge import learn_weights, soft_value_iteration

g = seeded(41)
for alpha in (0.1, 2.0):
    step, reward = torch.randint(6, (6, 2), generator=g), randn(6, 2, generator=g)
    policy, value = soft_policy(step, reward, 9, alpha)
    right = soft_value_iteration(Chain(step, reward), 9, alpha)
    assert near(policy, right.policy)
    assert near(value, right.value)
p, features = randn(20, generator=g).softmax(0), randn(20, 2, generator=g)
data = (p.log() + features @ vector(0.8, -0.5) + 0.1 * randn(20, generator=g)).softmax(0)
assert near(learnt(p, features, data), learn_weights(p, features, data, signed=True), 1e-4)
p, r = randn(7, 3, generator=g).softmax(1), torch.rand(7, 3, 2, generator=g).double()
labels = torch.randint(3, (7,), generator=g)
q = (p.log() + r @ vector(1.0, 2.0)).softmax(1)
right = torch.stack([(one_hot(labels, 3) - q).mul(r[..., i]).sum() / 7 for i in range(2)])
assert near(rule_slope(p, r, labels, vector(1.0, 2.0)), right)
### END HIDDEN TESTS

# %% [markdown]
# Somebody walks along five places, seven steps from the middle, and you see some of his walks
# (nothing to hand in). Does he like the left end, the right end, or to stand still? How many walks
# do you need to know? And what would your $w$ say of somebody who looks for a place that is no
# feature of yours?


# %%
try:
    features, even = walks(), torch.full((3**7,), 3.0**-7, dtype=torch.float64)
    stays = torch.tensor([0.0, 1.0, 0.0]).double()
    reward = LIKES[0] * (STEP == 0) + LIKES[1] * (STEP == 4) + LIKES[2] * stays
    paths = Chain(STEP, reward).trajectories(2, 7)
    policy, _ = soft_policy(STEP, reward, 7, 1.0)
    chosen = [policy[t, paths.states[:, t], paths.actions[:, t]] for t in range(7)]
    law = torch.stack(chosen).prod(0)
    print(f"he likes          {said(LIKES)}")
    for n in (50, 500, 5000):
        drawn = torch.multinomial(law, n, replacement=True, generator=seeded(42))
        guess = learnt(even, features, drawn.bincount(minlength=3**7).double() / n)
        print(f"from {n:4d} walks   {[round(w, 2) + 0.0 for w in guess.tolist()]}")
except NotImplementedError:
    print("Comes with exercise 10.7.")

# %% [markdown]
# ## 10.8 Find out why: who has learnt the rule? (3 points, 30 minutes)
#
# The reviewer of the chapter writes "A but B", and a network was taught the rule *B decides* by
# distillation. Four colleagues each claim a reader that knows it. A reader takes sentences and
# returns the log odds that they are favourable. Look at their scores.


# %%
reviewer = Reviewer()
reviews, asked = (
    reviewer.sample(500, generator=seeded(50)),
    reviewer.sample(1000, generator=seeded(51)),
)
words = Vocabulary(reviews.sentences)
net = PhraseNet(len(words), generator=seeded(52)).double()
rule = ButTeacher(net, 6.0)
x = words.encode(reviews.sentences)
distill(net, x, reviews.labels, rule, pi=imitation(), epochs=15, lr=2e-3, generator=seeded(53))


def log_odds(probabilities):
    """Of the second of two labels, [n]."""
    return (probabilities[:, 1].log() - probabilities[:, 0].log()).detach()


def plain(sentences):
    return log_odds(net(words.encode(sentences)).softmax(1))


def ruled(sentences):
    x = words.encode(sentences)
    return log_odds(rule(x, net(x).softmax(1)))


def late(sentences):
    return plain([" ".join(s.split()[-4:]) for s in sentences])


def second(sentences):
    return plain([s.split(" but ")[-1] for s in sentences])


READERS = {"A": plain, "B": ruled, "C": late, "D": second}

but = torch.tensor([" but " in s for s in asked.sentences])
print("     A but B    rest")
for name, reader in READERS.items():
    found = reader(asked.sentences).sigmoid()
    share = accuracies(torch.stack([1 - found, found], 1), asked.labels, but)
    print(f"{name}       {share['but']:.2f}    {share['rest']:.2f}")

# %% [markdown]
# Three of the four are about as good. Find out what each has learnt, without reading them: measure.
# A sentence can be made for the purpose. Take one clause of six neutral words, twice, and in one of
# the two put another word in the third place: then a network that looks at three words at once never
# sees it together with "but", or at an end. Write `measured`, four numbers of a reader, each the
# mean over the twelve words of `GOOD` and their partners in `BAD` of *half* the difference that it
# makes whether the word is the good one or the bad one:
#
# - $u$, if it stands in A, and $v$, if it stands in B, of "A but B";
# - $u'$ and $v'$, if it stands in the same two places, with a neutral word for "but";
#
# and `verdict`:
#
# - `"no rule"`: "but" changes nothing, both clauses speak alike;
# - `"tilted"`: "but" makes B speak louder, and A still speaks for its own sentiment;
# - `"B alone"`: A is not heard where there is a "but";
# - `"contrast"`: A speaks for the *other* sentiment;
# - `"the end"`: later words speak louder, with or without "but".
#
# How loud a reader speaks in all is no fault: some are shy.
#
# *Hint:* the words are in `GOOD`, `BAD` and `NEUTRAL`. What are $u / v$ and $u' / v'$ of each of the
# five? Leave some room between them: no network that was trained is exact.


# %% nbgrader={"grade": false, "grade_id": "learnt", "locked": false, "schema_version": 3, "solution": true, "task": false}
def measured(reader):
    """u, v, u', v', [4]. reader: takes a list of sentences, returns log odds, [n]."""
    ### BEGIN SOLUTION
    clause, found = "film scene {} plot camera voice", []
    pair = clause, clause.format("music")
    for middle in ("but", "music"):
        for s in (f" {middle} ".join(pair), f" {middle} ".join(pair[::-1])):
            good, bad = (reader([s.format(w) for w in kind]) for kind in (GOOD, BAD))
            found.append((good - bad).mean() / 2)
    return torch.stack(found)
    ### END SOLUTION


def verdict(reader):
    """One of the five."""
    ### BEGIN SOLUTION
    u, v, u_without, v_without = measured(reader).tolist()
    if u_without < 0.75 * v_without:
        return "the end"
    if u < -0.1 * v:
        return "contrast"
    if u < 0.1 * v:
        return "B alone"
    return "tilted" if u < 0.8 * v else "no rule"
    ### END SOLUTION


# %% tags=["wrong-answer"]
# The whole difference between good and bad, not half of it.
def measured(reader):
    clause, found = "film scene {} plot camera voice", []
    pair = clause, clause.format("music")
    for middle in ("but", "music"):
        for s in (f" {middle} ".join(pair), f" {middle} ".join(pair[::-1])):
            found.append(
                (reader([s.format(w) for w in GOOD]) - reader([s.format(w) for w in BAD])).mean()
            )
    return torch.stack(found)


# %% tags=["wrong-answer"]
# One pair of words: not every reader knows it.
def measured(reader):
    clause, found = "film scene {} plot camera voice", []
    pair = clause, clause.format("music")
    for middle in ("but", "music"):
        for s in (f" {middle} ".join(pair), f" {middle} ".join(pair[::-1])):
            good, bad = reader([s.format(GOOD[0]), s.format(BAD[0])])
            found.append((good - bad) / 2)
    return torch.stack(found)


# %% tags=["wrong-answer"]
# Among other words of feeling, where the rule is at its limit and does not move any more.
def measured(reader):
    found = []
    for middle in ("but", "music"):
        for s in (
            f"witty {{}} warm {middle} scene voice story",
            f"scene voice story {middle} witty {{}} warm",
        ):
            good, bad = (reader([s.format(w) for w in kind]) for kind in (GOOD, BAD))
            found.append((good - bad).mean() / 2)
    return torch.stack(found)


# %% tags=["wrong-answer"]
# Probabilities, in which a word counts less the surer the reader is.
def measured(reader):
    clause, found = "film scene {} plot camera voice", []
    pair = clause, clause.format("music")
    for middle in ("but", "music"):
        for s in (f" {middle} ".join(pair), f" {middle} ".join(pair[::-1])):
            good, bad = (reader([s.format(w) for w in kind]).sigmoid() for kind in (GOOD, BAD))
            found.append((good - bad).mean() / 2)
    return torch.stack(found)


# %% tags=["wrong-answer"]
# Sentences so short that a reader of the last four words sees all of them.
def measured(reader):
    found = []
    for middle in ("but", "music"):
        for s in (f"{{}} {middle} film", f"film {middle} {{}}"):
            good, bad = (reader([s.format(w) for w in kind]) for kind in (GOOD, BAD))
            found.append((good - bad).mean() / 2)
    return torch.stack(found)


# %% tags=["wrong-answer"]
# Without a control: what "but" does and what the end of a sentence does look the same.
def measured(reader):
    found = []
    for s in ("film {} plot but scene voice story", "scene voice story but film {} plot"):
        good, bad = (reader([s.format(w) for w in kind]) for kind in (GOOD, BAD))
        found.append((good - bad).mean() / 2)
    return torch.stack(found + found)


# %% tags=["wrong-answer"]
# Believes the scores: who listens more to B than to A has the rule.
def measured(reader):
    clause, found = "film scene {} plot camera voice", []
    pair = clause, clause.format("music")
    for middle in ("but", "music"):
        for s in (f" {middle} ".join(pair), f" {middle} ".join(pair[::-1])):
            good, bad = (reader([s.format(w) for w in kind]) for kind in (GOOD, BAD))
            found.append((good - bad).mean() / 2)
    return torch.stack(found)


def verdict(reader):
    u, v, _, _ = measured(reader).tolist()
    if u > 0.8 * v:
        return "no rule"
    return "tilted" if u > 0.1 * v else "B alone" if u > -0.1 * v else "contrast"


# %% tags=["wrong-answer"]
# Differences in place of ratios: a shy reader seems to have no rule.
def measured(reader):
    clause, found = "film scene {} plot camera voice", []
    pair = clause, clause.format("music")
    for middle in ("but", "music"):
        for s in (f" {middle} ".join(pair), f" {middle} ".join(pair[::-1])):
            good, bad = (reader([s.format(w) for w in kind]) for kind in (GOOD, BAD))
            found.append((good - bad).mean() / 2)
    return torch.stack(found)


def verdict(reader):
    u, v, u_without, v_without = measured(reader).tolist()
    if v_without - u_without > 0.3:
        return "the end"
    if v - u < 0.3:
        return "no rule"
    return "tilted" if u > 0.1 else "B alone" if u > -0.1 else "contrast"


# %% tags=["wrong-answer"]
# A that speaks against itself is taken for an A that is not heard.
def measured(reader):
    clause, found = "film scene {} plot camera voice", []
    pair = clause, clause.format("music")
    for middle in ("but", "music"):
        for s in (f" {middle} ".join(pair), f" {middle} ".join(pair[::-1])):
            good, bad = (reader([s.format(w) for w in kind]) for kind in (GOOD, BAD))
            found.append((good - bad).mean() / 2)
    return torch.stack(found)


def verdict(reader):
    u, v, u_without, v_without = measured(reader).tolist()
    if u_without < 0.75 * v_without:
        return "the end"
    return "no rule" if u > 0.8 * v else "tilted" if u > 0.1 * v else "B alone"


# %% nbgrader={"grade": true, "grade_id": "check-learnt", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
VOICE = {w: 0.5 + i / 12 for i, w in enumerate(GOOD)} | {
    w: -0.5 - i / 12 for i, w in enumerate(BAD)
}


def made_of(kind, loud=1.0, rule=6.0):
    """A reader that counts words of feeling and knows this of "but"."""

    def count(sentence):
        return sum(loud * VOICE.get(word, 0.0) for word in sentence.split())

    def read(sentence):
        *before, last = sentence.split(" but ")
        if kind == "the end":
            return count(" ".join(sentence.split()[-4:]))
        if kind == "fading":
            found = sentence.split()[::-1]
            return sum(0.85**i * count(word) for i, word in enumerate(found))
        if not before or kind == "no rule":
            return count(sentence)
        a, b = count(" ".join(before)), count(last)
        if kind == "tilted":
            return a + b + rule * (1 / (1 + math.exp(-b)) - 0.5)
        if kind == "contrast":
            return b + math.log((0.1 * math.exp(a) + 0.9) / (0.9 * math.exp(a) + 0.1))
        return b

    return lambda sentences: vector(*(read(sentence) for sentence in sentences))


CASES = (
    ("no rule", {}, "no rule", "a reader that counts words"),
    ("no rule", {"loud": 0.05}, "no rule", "a shy reader that counts words"),
    ("tilted", {}, "tilted", "a reader that counts words, tilted by the rule with λ = 6"),
    ("tilted", {"loud": 0.05}, "tilted", "a shy one, tilted by the rule with λ = 6"),
    ("tilted", {"rule": 3.0}, "tilted", "a reader that counts words, tilted with λ = 3"),
    ("B alone", {}, "B alone", "a reader that begins after the «but»"),
    ("B alone", {"loud": 0.05}, "B alone", "a shy reader that begins after the «but»"),
    ("contrast", {}, "contrast", "a reader that knows the grammar"),
    ("contrast", {"loud": 0.05}, "contrast", "a shy reader that knows the grammar"),
    ("the end", {}, "the end", "a reader of the last four words"),
    ("the end", {"loud": 3.0}, "the end", "a loud reader of the last four words"),
    ("fading", {}, "the end", "a reader that has half forgotten how a sentence began"),
)

with check("10.8") as answer:
    for kind, how, _, what in CASES:
        reader = made_of(kind, **how)
        found = measured(reader)
        fits(found, 4, setting=f"{what}: ")
        if kind == "fading":
            continue
        voice = how.get("loud", 1.0) * vector(*(VOICE[w] for w in GOOD))
        u = v = u_without = v_without = voice.mean()
        if kind == "tilted":
            v = (voice + how.get("rule", 6.0) * (voice.sigmoid() - 0.5)).mean()
        elif kind == "B alone":
            u = 0 * u
        elif kind == "contrast":
            u = ((0.1 * voice.exp() + 0.9) / (0.9 * voice.exp() + 0.1)).log().mean()
        elif kind == "the end":
            u = u_without = 0 * u
        right = torch.stack([u, v, u_without, v_without])
        why = ""
        if near(found, 2 * right, 1e-6):
            why = (
                "; that is the whole difference between good and bad, and half of it was asked for"
            )
        assert near(found, right, 1e-6), (
            f"{what}: u, v, u', v' are {said(right)}; yours are {said(found)}{why}. Every word of "
            "the sentence is neutral but one, and each clause has six"
        )
    for kind, how, word, what in CASES:
        found = verdict(made_of(kind, **how))
        assert found == word, f"{what}: that is «{word}»; your verdict is «{found}»"
### BEGIN HIDDEN TESTS
answer.require()
for kind, how, word, _ in CASES:
    for loud in (0.02, 0.4, 2.0):
        assert verdict(made_of(kind, **(how | {"loud": loud}))) == word
assert verdict(made_of("tilted", rule=12.0)) == "tilted"
knows = Reviewer()
assert verdict(lambda sentences: knows.posterior(sentences).logit()) == "contrast"
### END HIDDEN TESTS

# %% [markdown]
# Your verdict on the four (nothing to hand in), and on somebody who knows the grammar. All four are
# one network, with the same weights, asked in four ways. What has distillation taught it? Then put
# the word next to "but": what does the network know there? Train one on the labels alone (`pi=0.0`)
# before you thank the rule for it. And which test sentences would have told B, C and D apart?


# %%
try:
    knower = {"grammar": lambda sentences: reviewer.posterior(sentences).logit()}
    print("            u      v     u'     v'   verdict")
    for name, reader in (READERS | knower).items():
        numbers = "  ".join(f"{v:5.2f}" for v in (measured(reader) + 0.0).tolist())
        print(f"{name:8s}{numbers}   {verdict(reader)}")
except NotImplementedError:
    print("Comes with exercise 10.8.")
