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
# # Exercises 08: generative adversarial networks
#
# Eight exercises, 22 points, about three hours. Replace each `raise NotImplementedError` and run
# the check below it. A check answers at once: **right**, **not yet, because …**, or
# **not attempted**. Some checks are repeated with other numbers when the notebook is graded.
#
# The chapter: [Generative adversarial networks](../book/08_gans.md). Work in float64 throughout,
# and in nats. A discriminator D gives a logit, one number for each example; its sigmoid is the
# probability that the example is real. The losses have no factor ½.

# %%
import copy
import math

import torch
from IPython.display import display
from scipy.optimize import linprog
from torch import nn
from torch.nn.functional import logsigmoid, softplus
from torch.optim import SGD, Adam

from genlab import data, plot
from genlab.course.check import check
from genlab.gans import Discriminator
from genlab.interact import Knob, sliders
from genlab.nets import MLP

KINDS = ("saturating", "non-saturating")  # log(1 − D) and −log D, of a draw of the generator


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


def fits(found, *shape, dtype=torch.float64):
    """An answer is a tensor of this shape and dtype."""
    assert isinstance(found, torch.Tensor), f"expected a tensor, got a {type(found).__name__}"
    assert found.shape == shape, f"expected the shape {shape}, got {tuple(found.shape)}"
    assert found.dtype == dtype, (
        f"expected {dtype}, got {found.dtype}: torch.zeros and torch.ones make float32 if not told"
    )


def players(seed, hidden=(6,), activation=nn.Tanh):
    """G, from rows of two numbers to rows of two, and D, from rows of two to one logit each."""
    g = seeded(seed)
    G = MLP(2, 2, hidden, activation=activation, generator=g).double()
    D = Discriminator(MLP(2, 1, hidden, activation=activation, generator=g)).double()
    return G, D


def weights_of(player):
    """All weights of a player in one row, as numbers."""
    return torch.cat([w.detach().flatten() for w in player.parameters()])


def slope_of(number, player):
    """∂ number / ∂ weights of a player, in one row."""
    slopes_of_all = torch.autograd.grad(number, list(player.parameters()))
    return torch.cat([slope.flatten() for slope in slopes_of_all])


# %% [markdown]
# ## 8.1 What can you be sure of? (2 points, 20 minutes)
#
# Red chooses a row of $A$, Blue at the same time a column, and Blue pays Red $A_{ij}$. The game of
# the lectures is
#
# $$A = \begin{pmatrix} 30 & -10 & 20 \\ -10 & 20 & -20 \end{pmatrix}.$$
#
# Red draws rows from $p$, Blue columns from $q$. Whatever Blue does, $p$ earns
# $\min_j (p^\top A)_j$ or more; whatever Red does, $q$ costs $\max_i (Aq)_i$ or less. Write
#
# - `gap`: what lies between the two, $\max_i (Aq)_i - \min_j (p^\top A)_j$;
# - `equilibrium`: the value of the game, and mixtures of both players with a gap of 0, by
#   `linprog`: the largest $v$ with $(p^\top A)_j \ge v$ for all $j$. What is Blue's problem in
#   these words?
# - `fictitious`: the shares of the choices, when in each round both at once answer best to the
#   shares of the *other's* choices in the rounds before. Both begin with their first choice; of
#   equally good answers they take the first.
#
# *Hint:* `linprog` minimises, wants $\le$, and takes its variables for positive if it isn't told
# `bounds`.


# %% nbgrader={"grade": false, "grade_id": "games", "locked": false, "schema_version": 3, "solution": true, "task": false}
def gap(A, p, q):
    """What both could gain by their best answers, a float. A: [n, m]; p: [n]; q: [m]."""
    ### BEGIN SOLUTION
    return float((A @ q).max() - (p @ A).min())
    ### END SOLUTION


def equilibrium(A):
    """The value, a float, and the mixtures p, [n], and q, [m]. A: what Blue pays Red, [n, m]."""
    ### BEGIN SOLUTION

    def sure(A):
        n, m = A.shape
        found = linprog(
            [0.0] * n + [-1.0],
            A_ub=torch.cat([-A.T, torch.ones(m, 1, dtype=A.dtype)], 1).numpy(),
            b_ub=[0.0] * m,
            A_eq=[[1.0] * n + [0.0]],
            b_eq=[1.0],
            bounds=[(0, None)] * n + [(None, None)],
        )
        return -float(found.fun), torch.as_tensor(found.x[:n])

    v, p = sure(A)
    return v, p, sure(-A.T)[1]  # Blue is the row player of the game -A.T
    ### END SOLUTION


def fictitious(A, rounds):
    """Shares of the rows, [n], and of the columns, [m], after so many rounds."""
    ### BEGIN SOLUTION
    rows, columns = (torch.zeros(size, dtype=A.dtype) for size in A.shape)
    for _ in range(rounds):
        i, j = (A @ columns).argmax(), (rows @ A).argmin()
        rows[i] += 1
        columns[j] += 1
    return rows / rounds, columns / rounds
    ### END SOLUTION


# %% tags=["wrong-answer"]
# The gap of one player: Blue's gain is forgotten.
from genlab.gans import fictitious_play
from genlab.gans import solve_zero_sum as equilibrium


def gap(A, p, q):
    return float((A @ q).max() - p @ A @ q)


def fictitious(A, rounds):
    return fictitious_play(A, rounds)[:2]


# %% tags=["wrong-answer"]
# Without mixing: the row and the column that are best against the worst.
from genlab.gans import best_response_gap as gap
from genlab.gans import fictitious_play


def equilibrium(A):
    p, q = torch.zeros(len(A)).double(), torch.zeros(A.shape[1]).double()
    p[A.amin(1).argmax()] = 1
    q[A.amax(0).argmin()] = 1
    return float(A.amin(1).max()), p, q


def fictitious(A, rounds):
    return fictitious_play(A, rounds)[:2]


# %% tags=["wrong-answer"]
# Blue is solved for as if he were paid: A.T in place of -A.T.
from genlab.gans import best_response_gap as gap
from genlab.gans import fictitious_play, solve_zero_sum


def equilibrium(A):
    v, p, _ = solve_zero_sum(A)
    return v, p, solve_zero_sum(A.T).row


def fictitious(A, rounds):
    return fictitious_play(A, rounds)[:2]


# %% tags=["wrong-answer"]
# The least of −v is handed back as the value.
from genlab.gans import best_response_gap as gap
from genlab.gans import fictitious_play, solve_zero_sum


def equilibrium(A):
    v, p, q = solve_zero_sum(A)
    return -v, p, q


def fictitious(A, rounds):
    return fictitious_play(A, rounds)[:2]


# %% tags=["wrong-answer"]
# v ≥ 0, as linprog has it if not told: a player who must lose then has no solution, and gives up.
from genlab.gans import best_response_gap as gap
from genlab.gans import fictitious_play, solve_zero_sum


def equilibrium(A):
    v, p, q = solve_zero_sum(A)
    return max(v, 0.0), p if v >= 0 else torch.ones_like(p) / len(p), q


def fictitious(A, rounds):
    return fictitious_play(A, rounds)[:2]


# %% tags=["wrong-answer"]
# Each answers the other's last choice, not the shares so far.
from genlab.gans import best_response_gap as gap
from genlab.gans import solve_zero_sum as equilibrium


def fictitious(A, rounds):
    rows, columns = torch.zeros(len(A)).double(), torch.zeros(A.shape[1]).double()
    i = j = 0
    for _ in range(rounds):
        rows[i] += 1
        columns[j] += 1
        i, j = A[:, j].argmax(), A[i].argmin()
    return rows / rounds, columns / rounds


# %% tags=["wrong-answer"]
# Blue sees what Red does in this very round.
from genlab.gans import best_response_gap as gap
from genlab.gans import solve_zero_sum as equilibrium


def fictitious(A, rounds):
    rows, columns = torch.zeros(len(A)).double(), torch.zeros(A.shape[1]).double()
    for _ in range(rounds):
        rows[(A @ columns).argmax()] += 1
        columns[(rows @ A).argmin()] += 1
    return rows / rounds, columns / rounds


# %% tags=["wrong-answer"]
# In fictitious play Blue wants to pay as much as he can.
from genlab.gans import best_response_gap as gap
from genlab.gans import solve_zero_sum as equilibrium


def fictitious(A, rounds):
    rows, columns = torch.zeros(len(A)).double(), torch.zeros(A.shape[1]).double()
    for _ in range(rounds):
        i, j = (A @ columns).argmax(), (rows @ A).argmax()
        rows[i] += 1
        columns[j] += 1
    return rows / rounds, columns / rounds


# %% nbgrader={"grade": true, "grade_id": "check-games", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
LECTURES = vector(30.0, -10.0, 20.0, -10.0, 20.0, -20.0).reshape(2, 3)


def is_mixture(found, n, whose):
    """Shares of n choices."""
    fits(found, n)
    low, total = float(found.min()), float(found.sum())
    assert low > -1e-7, f"a share of {whose} mixture is {low:.4f}: shares are 0 or more"
    assert abs(total - 1) < 1e-7, f"the shares of {whose} mixture sum to {total:.4f}, not to 1"


with check("8.1") as answer:
    for p, q, red, blue in (
        (vector(1.0, 1.0) / 2, vector(1.0, 1.0, 1.0) / 3, 40 / 3, 0.0),
        (vector(1.0, 0.0), vector(0.0, 1.0, 0.0), 20.0, -10.0),
    ):
        found = float(gap(LECTURES, p, q))
        assert abs(found - (red - blue)) < 1e-9, (
            f"in the lectures' game, with p = {said(p)} and q = {said(q)}, Red's best answer earns "
            f"{red:.4f} and Blue's best answer pays {blue:.4f}; {red - blue:.4f} lies between, and "
            f"yours is {found:.4f}"
        )
    v, p, q = equilibrium(LECTURES)
    is_mixture(p, 2, "Red's")
    is_mixture(q, 3, "Blue's")
    sure, cost = float((p @ LECTURES).min()), float((LECTURES @ q).max())
    assert abs(sure - 20 / 7) < 1e-6, (
        f"in the lectures' game the mixture {said(p)} makes Red sure of {sure:.4f} and no more; "
        f"there is one that makes him sure of 20/7 = {20 / 7:.4f}"
    )
    assert abs(cost - 20 / 7) < 1e-6, (
        f"in the lectures' game the mixture {said(q)} may cost Blue {cost:.4f}; there is one that "
        f"never costs more than 20/7 = {20 / 7:.4f}. What Red gets, Blue pays"
    )
    assert abs(float(v) - 20 / 7) < 1e-6, (
        f"the mixtures are right, and the value of the lectures' game is 20/7; yours is {v:.4f}"
    )
    g = seeded(1)
    for n, m in ((3, 5), (4, 4), (6, 2)):
        A = 10 * randn(n, m, generator=g) - 20
        v, p, q = equilibrium(A)
        is_mixture(p, n, "Red's")
        is_mixture(q, m, "Blue's")
        apart = float((A @ q).max() - (p @ A).min())
        assert apart < 1e-6, (
            f"a game of {n} rows and {m} columns with payoffs around -20, so that Red must lose: "
            f"by better answers to your mixtures the players could gain {apart:.4f} together"
        )
        assert abs(float(v) - float(p @ A @ q)) < 1e-6, (
            f"a game of {n} rows and {m} columns: your mixtures earn {float(p @ A @ q):.4f}, and "
            f"you say {v:.4f}"
        )
    for rounds, rows, columns, why in (
        (1, (1, 0), (1, 0, 0), "neither knows anything of the other yet"),
        (2, (2, 0), (1, 1, 0), "each answers the other's first choice, and Blue pays little"),
        (4, (3, 1), (1, 3, 0), "each answers all rounds before, not the last one alone"),
        (7, (3, 4), (1, 5, 1), "each answers all rounds before"),
    ):
        p, q = fictitious(LECTURES, rounds)
        is_mixture(p, 2, "Red's")
        is_mixture(q, 3, "Blue's")
        found = said(p * rounds), said(q * rounds)
        assert found == (list(rows), list(columns)), (
            f"in the lectures' game after {rounds} round{'s' * (rounds > 1)} Red has played his "
            f"rows {rows} times and Blue his columns {columns} times: {why}; yours have played "
            f"them {tuple(found[0])} and {tuple(found[1])} times"
        )
    p, q = fictitious(LECTURES, 3000)
    apart = float((LECTURES @ q).max() - (p @ LECTURES).min())
    assert apart < 1.0, (
        f"after 3,000 rounds of the lectures' game the gap of your shares is {apart:.3f}; it "
        "should be below 1, and go to 0"
    )
### BEGIN HIDDEN TESTS
answer.require()
from genlab.gans import fictitious_play, solve_zero_sum

g = seeded(2)
A = randn(4, 3, generator=g)
p, q = randn(4, generator=g).softmax(0), randn(3, generator=g).softmax(0)
assert abs(gap(A, p, q) - float((A @ q).max() - (p @ A).min())) < 1e-9
v, p, q = equilibrium(A)
assert abs(v - solve_zero_sum(A).value) < 1e-6
right = fictitious_play(A, 500)
p, q = fictitious(A, 500)
assert torch.allclose(p, right.row)
assert torch.allclose(q, right.column)
### END HIDDEN TESTS

# %% [markdown]
# Fictitious play in the lectures' game (nothing to hand in). The value always lies between the two
# lines: why? Read off how many more rounds half the gap takes. Two networks that learn from each
# other see only the other's last move: what do they forget that these players keep?


# %%
try:
    rounds = [2**k for k in range(1, 13)]
    shares = [fictitious(LECTURES, r) for r in rounds]
    lower = [float((p @ LECTURES).min()) for p, q in shares]
    upper = [float((LECTURES @ q).max()) for p, q in shares]
    with plot.figure(
        x="rounds",
        y="payoff",
        height=2.8,
        alt="Two lines over the number of rounds, on a logarithmic axis: what Red's shares are "
        "sure of rises from below, what Blue's may cost falls from above, and both come near 20/7.",
    ) as ax:
        ax.semilogx(rounds, upper, label="what Blue's shares may cost")
        ax.semilogx(rounds, lower, label="what Red's shares are sure of")
        ax.axhline(20 / 7, color=plot.COLORS["data"], lw=0.8)
        ax.legend()
except NotImplementedError:
    print("Comes with exercise 8.1.")

# %% [markdown]
# ## 8.2 Who pays what, and what pushes (3 points, 20 minutes)
#
# For each pair of a real and a fake example, with logits $a$ and $b$, the discriminator pays
#
# $$-\log \sigma(a) - \log \bigl(1 - \sigma(b)\bigr).$$
#
# With *one-sided smoothing* $\alpha$ it is told that a real example is real with probability
# $1 - \alpha$: its first term becomes the cross-entropy
# $-(1 - \alpha) \log \sigma(a) - \alpha \log (1 - \sigma(a))$. The second stays as it is. The
# generator pays, for the same $b$,
#
# $$\log \bigl(1 - \sigma(b)\bigr)\ \text{(saturating)} \quad\text{or}\quad
#   -\log \sigma(b)\ \text{(non-saturating)}.$$
#
# Write the losses, one value for each example, and the slope of each generator's loss in $b$. A
# logit may be as large as 1000, so stay with `logsigmoid`. *Hint:* $1 - \sigma(b) = \sigma(-b)$.


# %% nbgrader={"grade": false, "grade_id": "losses", "locked": false, "schema_version": 3, "solution": true, "task": false}
def d_loss(real, fake, smooth=0.0):
    """What D pays for each pair, [n]. real, fake: logits, [n]; smooth: α."""
    ### BEGIN SOLUTION
    return -logsigmoid(real) + smooth * real - logsigmoid(-fake)
    ### END SOLUTION


def g_loss(fake, kind):
    """What G pays for each draw, [n]. fake: logits, [n]; kind: one of KINDS."""
    ### BEGIN SOLUTION
    return logsigmoid(-fake) if kind == "saturating" else -logsigmoid(fake)
    ### END SOLUTION


def slopes(fake):
    """The slopes in the logit of both losses of G, [2, n]: saturating, then non-saturating."""
    ### BEGIN SOLUTION
    return -torch.stack([torch.sigmoid(fake), torch.sigmoid(-fake)])
    ### END SOLUTION


# %% tags=["wrong-answer"]
# Probabilities first, logarithms afterwards.
def d_loss(real, fake, smooth=0.0):
    D, E = torch.sigmoid(real), torch.sigmoid(fake)
    return -(1 - smooth) * D.log() - smooth * (1 - D).log() - (1 - E).log()


def g_loss(fake, kind):
    E = torch.sigmoid(fake)
    return (1 - E).log() if kind == "saturating" else -E.log()


def slopes(fake):
    return -torch.stack([torch.sigmoid(fake), torch.sigmoid(-fake)])


# %% tags=["wrong-answer"]
# Half of it, as the lectures print J^(D).
from genlab.gans import generator_loss as g_loss


def d_loss(real, fake, smooth=0.0):
    return 0.5 * (smooth * real - logsigmoid(real) - logsigmoid(-fake))


def slopes(fake):
    return -torch.stack([torch.sigmoid(fake), torch.sigmoid(-fake)])


# %% tags=["wrong-answer"]
# The labels are swapped: D learns to call the draws real.
from genlab.gans import generator_loss as g_loss


def d_loss(real, fake, smooth=0.0):
    return -logsigmoid(-real) - smooth * real - logsigmoid(fake)


def slopes(fake):
    return -torch.stack([torch.sigmoid(fake), torch.sigmoid(-fake)])


# %% tags=["wrong-answer"]
# Smoothed on both sides: the draws have the target α.
from genlab.gans import generator_loss as g_loss


def d_loss(real, fake, smooth=0.0):
    return smooth * (real - fake) - logsigmoid(real) - logsigmoid(-fake)


def slopes(fake):
    return -torch.stack([torch.sigmoid(fake), torch.sigmoid(-fake)])


# %% tags=["wrong-answer"]
# The real term is weighted by 1 − α, and the other half of the cross-entropy is missing.
from genlab.gans import generator_loss as g_loss


def d_loss(real, fake, smooth=0.0):
    return -(1 - smooth) * logsigmoid(real) - logsigmoid(-fake)


def slopes(fake):
    return -torch.stack([torch.sigmoid(fake), torch.sigmoid(-fake)])


# %% tags=["wrong-answer"]
# A minus too much: this generator is paid for being found out.
from genlab.gans import discriminator_loss as d_loss


def g_loss(fake, kind):
    return -logsigmoid(-fake) if kind == "saturating" else -logsigmoid(fake)


def slopes(fake):
    return torch.stack([torch.sigmoid(fake), -torch.sigmoid(-fake)])


# %% tags=["wrong-answer"]
# The slopes in D, not in the logit.
from genlab.gans import discriminator_loss as d_loss
from genlab.gans import generator_loss as g_loss


def slopes(fake):
    D = torch.sigmoid(fake)
    return -torch.stack([1 / (1 - D), 1 / D])


# %% tags=["wrong-answer"]
# The slopes are swapped.
from genlab.gans import discriminator_loss as d_loss
from genlab.gans import generator_loss as g_loss


def slopes(fake):
    return -torch.stack([torch.sigmoid(-fake), torch.sigmoid(fake)])


# %% nbgrader={"grade": true, "grade_id": "check-losses", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
with check("8.2") as answer:
    real, fake = vector(0.0, 2.0), vector(0.0, -1.0)
    right = vector(2 * math.log(2), math.log1p(math.exp(-2)) + math.log1p(math.exp(-1)))
    found = d_loss(real, fake)
    fits(found, 2)
    if not torch.allclose(found, right):
        why = f"yours are {said(found)}"
        if torch.allclose(2 * found, right):
            why += ", half of them: J^(D) of the lectures has a ½ that this course leaves out"
        raise AssertionError(
            f"D's losses at the logits a = 0 and 2 of real, b = 0 and -1 of fake examples are "
            f"{said(right)}: who calls a real example real pays little; {why}"
        )
    found = d_loss(vector(1000.0, -1000.0), vector(-1000.0, 1000.0))
    assert torch.allclose(found, vector(0.0, 2000.0)), (
        "a D that is right with logits of ±1000 pays 0, one that is wrong with them 2000; yours "
        f"pay {said(found)}. σ(-1000) is 0 in floating point, its logarithm is not -∞"
    )
    found = d_loss(real, fake, smooth=0.1)
    fits(found, 2)
    up, down = torch.sigmoid(real), torch.sigmoid(fake)
    right = -0.9 * up.log() - 0.1 * (1 - up).log() - (1 - down).log()
    assert torch.allclose(found, right), (
        f"with α = 0.1 D's losses at a = 0 and 2, b = 0 and -1 are {said(right)}; yours are "
        f"{said(found)}. The target of a real example is 0.9, so 0.1 of the cross-entropy speaks "
        "for fake; the target of a fake one stays 0"
    )
    fake = vector(-1000.0, -10.0, 0.0, 10.0, 1000.0)
    for kind, right, formula in zip(
        KINDS,
        (-softplus(fake), softplus(-fake)),
        ("log(1 - D)", "-log D"),
        strict=True,
    ):
        found = g_loss(fake, kind)
        fits(found, 5)
        assert torch.allclose(found, right, rtol=1e-7, atol=1e-7), (
            f"the {kind} loss of G is {formula}, at the logits {said(fake)} it is {said(right)}; "
            f"yours is {said(found)}. G wants a high D(G(z)), so its loss falls with the logit"
        )
    fake = vector(-10.0, -1.0, 0.0, 3.0, 10.0)
    found = slopes(fake)
    fits(found, 2, 5)
    for kind, mine in zip(KINDS, found, strict=True):
        at = fake.clone().requires_grad_()
        (right,) = torch.autograd.grad(g_loss(at, kind).sum(), at)
        assert torch.allclose(mine, right), (
            f"at the logits {said(fake)} the {kind} loss has the slopes {said(right)}, as autograd "
            f"finds them; yours are {said(mine)}. They are slopes in the logit, and where D is "
            "sure that a draw is fake the saturating one is almost 0"
        )
### BEGIN HIDDEN TESTS
answer.require()
g = seeded(3)
real, fake = 5 * randn(2, 50, generator=g)
for smooth in (0.0, 0.25):
    right = (1 - smooth) * softplus(-real) + smooth * softplus(real) + softplus(fake)
    assert torch.allclose(d_loss(real, fake, smooth), right, atol=1e-7)
assert torch.allclose(g_loss(fake, "saturating"), -softplus(fake), atol=1e-7)
assert torch.allclose(g_loss(fake, "non-saturating"), softplus(-fake), atol=1e-7)
assert torch.allclose(slopes(fake)[0] + slopes(fake)[1], -torch.ones_like(fake))
assert torch.allclose(slopes(fake)[0], -1 / (1 + torch.exp(-fake)))
### END HIDDEN TESTS

# %% [markdown]
# What a draw feels (nothing to hand in): the size of the two slopes. On the left D is sure that the
# draw is fake, as it is at the start of almost every training. Which loss sends the worst draws
# home, and which one works on the best? At which logit do the two agree?


# %%
try:
    at = torch.linspace(-10, 6, 321, dtype=torch.float64)
    pair = slopes(at)
    plot.curve(
        at,
        {kind: -one for kind, one in zip(KINDS, pair, strict=True)},
        x="logit of D at a draw",
        y="size of the slope",
        height=2.6,
        alt="Two S-shaped curves that cross at logit 0 and height one half. The saturating loss "
        "has no slope on the left, where D is sure; the non-saturating one has slope 1 there.",
    )
except NotImplementedError:
    print("Comes with exercise 8.2.")

# %% [markdown]
# ## 8.3 The best discriminator, and what G then descends (3 points, 25 minutes)
#
# Let data and draws have finitely many values, with the tables $p$ and $g$; D is a table too,
#
# $$V(D) = \sum_i p_i \log D_i + g_i \log (1 - D_i),$$
#
# and $D^*$ is the D with the largest $V$. Write `best` and `value`. A table may hold zeros:
# $0 \log 0$ is 0, and where neither data nor draws ever are, set $D^*$ to ½.
#
# Now train D to the end, hold it there, and let G take a step. Its loss is
# $\sum_i g_i \log(1 - D^*_i)$ or $-\sum_i g_i \log D^*_i$, where $D^*$ *is a number*: G's gradient
# goes through the draws alone. That is `felt`. For each of the two losses there is a divergence of
# $p$ and $g$ that has the same gradient at this $g$: that is `descended`. *Hint:*
# `torch.xlogy(x, y)` is $x \log y$, and 0 where $x = 0$. The divergences stand in the chapter, under
# "What should the generator minimise?"; one of them is $2\,\mathrm{JS}(p, g)$.


# %% nbgrader={"grade": false, "grade_id": "best", "locked": false, "schema_version": 3, "solution": true, "task": false}
def best(p, g):
    """D*, [n], as probabilities. p, g: tables of the data and of the draws, [n]."""
    ### BEGIN SOLUTION
    return torch.where(p + g > 0, p / (p + g), 0.5)
    ### END SOLUTION


def value(p, g, D):
    """V(D), a tensor of shape (), nats. D: probabilities, [n]."""
    ### BEGIN SOLUTION
    return (torch.xlogy(p, D) + torch.xlogy(g, 1 - D)).sum()
    ### END SOLUTION


def felt(p, g, kind):
    """G's loss against D* held fixed, shape (): gradients pass through g alone."""
    ### BEGIN SOLUTION
    D = best(p, g).detach()
    return (torch.xlogy(g, 1 - D) if kind == "saturating" else -torch.xlogy(g, D)).sum()
    ### END SOLUTION


def descended(p, g, kind):
    """The divergence, shape (), whose gradient in g is that of ``felt``; 0 where g = p."""
    ### BEGIN SOLUTION

    def kl(a, b):
        return (torch.xlogy(a, a) - torch.xlogy(a, b)).sum()

    m = (p + g) / 2
    return kl(p, m) + kl(g, m) if kind == "saturating" else 2 * kl(m, p)
    ### END SOLUTION


# %% tags=["wrong-answer"]
# The probability that an example is a draw.
from genlab.divergences import js, kl


def best(p, g):
    return torch.where(p + g > 0, g / (p + g), 0.5)


def value(p, g, D):
    return torch.xlogy(p, D).sum() + torch.xlogy(g, 1 - D).sum()


def felt(p, g, kind):
    D = best(p, g).detach()
    return torch.xlogy(g, 1 - D).sum() if kind == "saturating" else -torch.xlogy(g, D).sum()


def descended(p, g, kind):
    js2 = 2 * js(p, g)
    return js2 if kind == "saturating" else kl(g, p) - js2


# %% tags=["wrong-answer"]
# 0/0 where nothing ever is.
from genlab.divergences import js, kl


def best(p, g):
    return p / (p + g)


def value(p, g, D):
    return torch.xlogy(p, D).sum() + torch.xlogy(g, 1 - D).sum()


def felt(p, g, kind):
    D = best(p, g).detach()
    return torch.xlogy(g, 1 - D).sum() if kind == "saturating" else -torch.xlogy(g, D).sum()


def descended(p, g, kind):
    js2 = 2 * js(p, g)
    return js2 if kind == "saturating" else kl(g, p) - js2


# %% tags=["wrong-answer"]
# Half of V, as J^(D) of the lectures.
from genlab.divergences import js, kl


def best(p, g):
    return torch.where(p + g > 0, p / (p + g), 0.5)


def value(p, g, D):
    return 0.5 * (torch.xlogy(p, D).sum() + torch.xlogy(g, 1 - D).sum())


def felt(p, g, kind):
    D = best(p, g).detach()
    return torch.xlogy(g, 1 - D).sum() if kind == "saturating" else -torch.xlogy(g, D).sum()


def descended(p, g, kind):
    js2 = 2 * js(p, g)
    return js2 if kind == "saturating" else kl(g, p) - js2


# %% tags=["wrong-answer"]
# 0 times -∞.
from genlab.divergences import js, kl


def best(p, g):
    return torch.where(p + g > 0, p / (p + g), 0.5)


def value(p, g, D):
    return (p * D.log()).sum() + (g * (1 - D).log()).sum()


def felt(p, g, kind):
    D = best(p, g).detach()
    return (g * (1 - D).log()).sum() if kind == "saturating" else -(g * D.log()).sum()


def descended(p, g, kind):
    js2 = 2 * js(p, g)
    return js2 if kind == "saturating" else kl(g, p) - js2


# %% tags=["wrong-answer"]
# D is not held: it is trained again while G steps.
from genlab.divergences import js, kl


def best(p, g):
    return torch.where(p + g > 0, p / (p + g), 0.5)


def value(p, g, D):
    return torch.xlogy(p, D).sum() + torch.xlogy(g, 1 - D).sum()


def felt(p, g, kind):
    D = best(p, g)
    return torch.xlogy(g, 1 - D).sum() if kind == "saturating" else -torch.xlogy(g, D).sum()


def descended(p, g, kind):
    js2 = 2 * js(p, g)
    return js2 if kind == "saturating" else kl(g, p) - js2


# %% tags=["wrong-answer"]
# Both losses are taken for one: minus the other's logarithm.
from genlab.divergences import js, kl


def best(p, g):
    return torch.where(p + g > 0, p / (p + g), 0.5)


def value(p, g, D):
    return torch.xlogy(p, D).sum() + torch.xlogy(g, 1 - D).sum()


def felt(p, g, kind):
    D = best(p, g).detach()
    return torch.xlogy(g, 1 - D).sum() * (1 if kind == "saturating" else -1)


def descended(p, g, kind):
    js2 = 2 * js(p, g)
    return js2 if kind == "saturating" else kl(g, p) - js2


# %% tags=["wrong-answer"]
# The non-saturating loss is said to descend KL(g‖p): what JS gives back is forgotten.
from genlab.divergences import js, kl


def best(p, g):
    return torch.where(p + g > 0, p / (p + g), 0.5)


def value(p, g, D):
    return torch.xlogy(p, D).sum() + torch.xlogy(g, 1 - D).sum()


def felt(p, g, kind):
    D = best(p, g).detach()
    return torch.xlogy(g, 1 - D).sum() if kind == "saturating" else -torch.xlogy(g, D).sum()


def descended(p, g, kind):
    js2 = 2 * js(p, g)
    return js2 if kind == "saturating" else kl(g, p)


# %% tags=["wrong-answer"]
# JS once.
from genlab.divergences import js, kl


def best(p, g):
    return torch.where(p + g > 0, p / (p + g), 0.5)


def value(p, g, D):
    return torch.xlogy(p, D).sum() + torch.xlogy(g, 1 - D).sum()


def felt(p, g, kind):
    D = best(p, g).detach()
    return torch.xlogy(g, 1 - D).sum() if kind == "saturating" else -torch.xlogy(g, D).sum()


def descended(p, g, kind):
    return js(p, g) if kind == "saturating" else kl(g, p) - 2 * js(p, g)


# %% nbgrader={"grade": true, "grade_id": "check-best", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def frozen(p, g, kind):
    """G's loss with D* as numbers, for tables without zeros."""
    D = (p / (p + g)).detach()
    return (g * (torch.log1p(-D) if kind == "saturating" else -torch.log(D))).sum()


def slope_in(function, p, theta, kind):
    """∂/∂θ of function(p, softmax θ, kind)."""
    theta = theta.clone().requires_grad_()
    number = function(p, theta.softmax(0), kind)
    fits(number)
    assert number.requires_grad, (
        f"no gradient of your {function.__name__} reaches g: D* is held, the draws are not"
    )
    return torch.autograd.grad(number, theta)[0]


with check("8.3") as answer:
    p, g = vector(0.5, 0.5, 0.0, 0.0), vector(0.25, 0.25, 0.5, 0.0)
    setting = "for p = (1/2, 1/2, 0, 0) and g = (1/4, 1/4, 1/2, 0)"
    right = vector(2 / 3, 2 / 3, 0.0, 0.5)
    found = best(p, g)
    fits(found, 4)
    assert torch.allclose(found, right), (
        f"{setting} D* is (2/3, 2/3, 0, 1/2): of three examples with the first value two are real, "
        f"and the fourth value never comes; yours is {said(found)}"
    )
    found = value(p, g, torch.full_like(p, 0.5))
    fits(found)
    assert abs(float(found) + math.log(4)) < 1e-9, (
        f"a D that tosses a coin has V = -log 4 = {-math.log(4):.4f}; yours is {float(found):.4f}"
    )
    found = float(value(p, g, right))
    expected = math.log(2 / 3) + 0.5 * math.log(1 / 3)
    assert abs(found - expected) < 1e-9, (
        f"{setting} V(D*) = log 2/3 + 1/2 log 1/3 = {expected:.4f}; yours is {found:.4f}. What "
        "never comes costs nothing, however sure D is there"
    )
    rng = seeded(4)
    for n in (2, 5, 20):
        p, g = 2 * randn(2, n, generator=rng)
        p, g = p.softmax(0), g.softmax(0)
        m = (p + g) / 2
        twice = float((p * (p / m).log() + g * (g / m).log()).sum())
        top = float(value(p, g, best(p, g)))
        assert abs(top - (twice - math.log(4))) < 1e-9, (
            f"for two tables of {n} values 2 JS - log 4 is {twice - math.log(4):.4f}; your V(D*) "
            f"is {top:.4f}"
        )
        others = [float(value(p, g, torch.sigmoid(randn(n, generator=rng)))) for _ in range(50)]
        assert max(others) < top, (
            f"for two tables of {n} values a D drawn at random has V = {max(others):.4f}, more "
            f"than your D*'s {top:.4f}"
        )
    p, theta = vector(0.1, 0.2, 0.3, 0.4), vector(1.0, 0.0, -1.0, 0.5)
    g = theta.softmax(0)
    for kind, formula in zip(KINDS, ("Σ g log(1 - D*)", "-Σ g log D*"), strict=True):
        found, right = felt(p, g, kind), frozen(p, g, kind)
        fits(found)
        assert abs(float(found) - float(right)) < 1e-9, (
            f"for p = {said(p)} and g = {said(g)} the {kind} loss against D*, {formula}, is "
            f"{float(right):.4f}; yours is {float(found):.4f}"
        )
        found, right = slope_in(felt, p, theta, kind), slope_in(frozen, p, theta, kind)
        assert torch.allclose(found, right), (
            f"the {kind} loss, g = softmax θ: with D* held fixed the slopes in θ are "
            f"{said(right)}; yours are {said(found)}. Does your gradient also go through D*?"
        )
        found = descended(p, p, kind)
        fits(found)
        assert abs(float(found)) < 1e-9, f"a divergence is 0 at g = p; yours is {float(found):.4f}"
        found = slope_in(descended, p, theta, kind)
        reverse = sum(slope_in(frozen, p, theta, kind) for kind in KINDS)
        cases = {
            "half of them": right / 2,
            "the slopes of KL(g‖p), which belong to the sum of the two losses": reverse,
        }
        why = "".join(f": {case}" for case, at in cases.items() if torch.allclose(found, at))
        assert torch.allclose(found, right), (
            f"the {kind} loss, g = softmax θ: a generator that faces D* feels the slopes "
            f"{said(right)} in θ; those of your divergence are {said(found)}{why}"
        )
    p, g = vector(0.5, 0.5), vector(1.0, 0.0)
    twice = 0.5 * math.log(2 / 3) + 0.5 * math.log(2) + math.log(4 / 3)
    for kind, right in zip(KINDS, (twice, math.log(2) - twice), strict=True):
        found = float(descended(p, g, kind))
        assert abs(found - right) < 1e-9, (
            f"a generator that misses one of two equally likely values pays {right:.4f} in the "
            f"divergence of the {kind} loss; yours says {found:.4f}"
        )
### BEGIN HIDDEN TESTS
answer.require()
rng = seeded(5)
p, theta = randn(7, generator=rng).softmax(0), randn(7, generator=rng)
g = theta.softmax(0)
assert torch.allclose(best(p, g), p / (p + g))
D = torch.sigmoid(randn(7, generator=rng))
assert torch.allclose(value(p, g, D), (p * D.log() + g * (1 - D).log()).sum())
for kind in KINDS:
    right = slope_in(frozen, p, theta, kind)
    assert torch.allclose(slope_in(felt, p, theta, kind), right)
    assert torch.allclose(slope_in(descended, p, theta, kind), right)
m = (p + g) / 2
assert torch.allclose(descended(p, g, "non-saturating"), 2 * (m * (m / p).log()).sum())
### END HIDDEN TESTS

# %% [markdown]
# What it costs to miss a mode (nothing to hand in): the data have two values, one of them with
# probability $w$, and G never draws it. The highest line is
# $\mathrm{KL}(g \,\|\, p) = -\log(1 - w)$. The non-saturating loss is often said to descend it: how
# much of the penalty is left? And from which $w$ on is the saturating loss the more forgiving one?


# %%
try:
    w = torch.linspace(0, 0.95, 96, dtype=torch.float64)
    miss = vector(0.0, 1.0)
    costs = [[float(descended(torch.stack([v, 1 - v]), miss, kind)) for v in w] for kind in KINDS]
    plot.curve(
        w,
        {
            "KL(g‖p)": -torch.log1p(-w),
            "2 JS(p, g), saturating": vector(*costs[0]),
            "2 KL(m‖p), non-saturating": vector(*costs[1]),
        },
        x="weight w of the mode that G misses",
        y="nats",
        height=2.8,
        alt="Three curves that rise from 0. The reverse KL is the highest and soon steep. The "
        "divergence of the non-saturating loss is the lowest at first and crosses that of the "
        "saturating loss near 0.84.",
    )
except NotImplementedError:
    print("Comes with exercise 8.3.")

# %% [markdown]
# ## 8.4 The smallest GAN (3 points, 25 minutes)
#
# All data are at 0, all draws at $\theta$, and the logit of D is $\psi x$. With the saturating loss
# and the penalty $\tfrac{\gamma}{2} \|\nabla_x (\psi x)\|^2$ at the data, D climbs and G descends
#
# $$V(\psi, \theta) = \log \sigma(0) + \log \sigma(-\psi\theta) - \tfrac{\gamma}{2} \psi^2.$$
#
# A state is $(\psi, \theta)$; only at $(0, 0)$ does it rest. Write
#
# - `velocity`: $(\psi', \theta')$ with which the two move, D along its slope of $V$, G against its own;
# - `run`: the states of so many steps of rate $\eta$, the start being the first. Both players step
#   at once from the same state, or *by turns*: D, then G against the D that has stepped;
# - `eigenvalues`: those of the velocity's Jacobian at $(0, 0)$;
# - `largest_rate`: the rate below which steps at once come in to $(0, 0)$ from nearby: the largest
#   $r$ such that for all $\eta < r$ both $|1 + \eta\lambda| < 1$; 0 if no rate does.
#
# *Hint:* near $(0, 0)$ every $\sigma$ is ½. For two complex numbers that belong together
# $|1 + \eta\lambda|^2$ is a polynomial in $\eta$; is your answer right for $\gamma > 1$, where the
# two are real?


# %% nbgrader={"grade": false, "grade_id": "dirac", "locked": false, "schema_version": 3, "solution": true, "task": false}
def velocity(state, gamma=0.0):
    """(ψ', θ'), [..., 2]. state: (ψ, θ), [..., 2]; gamma: weight of the penalty."""
    ### BEGIN SOLUTION
    psi, theta = state.unbind(-1)
    push = torch.sigmoid(psi * theta)
    return torch.stack([-theta * push - gamma * psi, psi * push], -1)
    ### END SOLUTION


def run(start, rate, steps, gamma=0.0, by_turns=False):
    """The states, [steps + 1, 2]. start: [2]; by_turns: D first, then G."""
    ### BEGIN SOLUTION
    states = [start]
    for _ in range(steps):
        state = states[-1]
        for mask in (vector(1, 0), vector(0, 1)) if by_turns else (vector(1, 1),):
            state = state + rate * mask * velocity(state, gamma)
        states.append(state)
    return torch.stack(states)
    ### END SOLUTION


def eigenvalues(gamma):
    """Both, complex128 [2], in any order."""
    ### BEGIN SOLUTION
    root = torch.tensor(gamma**2 / 4 - 0.25, dtype=torch.complex128).sqrt()
    return torch.stack([-gamma / 2 - root, -gamma / 2 + root])
    ### END SOLUTION


def largest_rate(gamma):
    """r, a float."""
    ### BEGIN SOLUTION
    both = eigenvalues(gamma)
    return float((-2 * both.real / both.abs() ** 2).min())
    ### END SOLUTION


# %% tags=["wrong-answer"]
# Both climb: G is taken for a friend.
from genlab.gans import alternating, simultaneous, trajectory


def velocity(state, gamma=0.0):
    psi, theta = state.unbind(-1)
    push = torch.sigmoid(psi * theta)
    return torch.stack([-theta * push - gamma * psi, -psi * push], -1)


def run(start, rate, steps, gamma=0.0, by_turns=False):
    step = alternating if by_turns else simultaneous
    return trajectory(lambda s: step(lambda t: velocity(t, gamma), s, rate), start, steps)


def eigenvalues(gamma):
    root = torch.tensor(gamma**2 - 1 + 0j, dtype=torch.complex128).sqrt()
    return torch.stack([-gamma - root, -gamma + root]) / 2


def largest_rate(gamma):
    return 4.0 * gamma if gamma <= 1 else 4 / (gamma + math.sqrt(gamma**2 - 1))


# %% tags=["wrong-answer"]
# G's push is that of the non-saturating loss.
from genlab.gans import alternating, simultaneous, trajectory


def velocity(state, gamma=0.0):
    psi, theta = state.unbind(-1)
    a = psi * theta
    return torch.stack([-theta * torch.sigmoid(a) - gamma * psi, psi * torch.sigmoid(-a)], -1)


def run(start, rate, steps, gamma=0.0, by_turns=False):
    step = alternating if by_turns else simultaneous
    return trajectory(lambda s: step(lambda t: velocity(t, gamma), s, rate), start, steps)


def eigenvalues(gamma):
    root = torch.tensor(gamma**2 - 1 + 0j, dtype=torch.complex128).sqrt()
    return torch.stack([-gamma - root, -gamma + root]) / 2


def largest_rate(gamma):
    return 4.0 * gamma if gamma <= 1 else 4 / (gamma + math.sqrt(gamma**2 - 1))


# %% tags=["wrong-answer"]
# By turns, whatever was asked for.
def velocity(state, gamma=0.0):
    psi, theta = state.unbind(-1)
    push = torch.sigmoid(psi * theta)
    return torch.stack([-theta * push - gamma * psi, psi * push], -1)


def run(start, rate, steps, gamma=0.0, by_turns=False):
    states = [start]
    for _ in range(steps):
        state = states[-1].clone()
        state[0] = state[0] + rate * velocity(state, gamma)[0]
        state[1] = state[1] + rate * velocity(state, gamma)[1]
        states.append(state)
    return torch.stack(states)


def eigenvalues(gamma):
    root = torch.tensor(gamma**2 - 1 + 0j, dtype=torch.complex128).sqrt()
    return torch.stack([-gamma - root, -gamma + root]) / 2


def largest_rate(gamma):
    return 4.0 * gamma if gamma <= 1 else 4 / (gamma + math.sqrt(gamma**2 - 1))


# %% tags=["wrong-answer"]
# By turns G moves first.
def velocity(state, gamma=0.0):
    psi, theta = state.unbind(-1)
    push = torch.sigmoid(psi * theta)
    return torch.stack([-theta * push - gamma * psi, psi * push], -1)


def run(start, rate, steps, gamma=0.0, by_turns=False):
    states = [start]
    for _ in range(steps):
        state = states[-1]
        for mask in [vector(0, 1), vector(1, 0)] if by_turns else [vector(1, 1)]:
            state = state + rate * mask * velocity(state, gamma)
        states.append(state)
    return torch.stack(states)


def eigenvalues(gamma):
    root = torch.tensor(gamma**2 - 1 + 0j, dtype=torch.complex128).sqrt()
    return torch.stack([-gamma - root, -gamma + root]) / 2


def largest_rate(gamma):
    return 4.0 * gamma if gamma <= 1 else 4 / (gamma + math.sqrt(gamma**2 - 1))


# %% tags=["wrong-answer"]
# The eigenvalues of the bilinear game: the two halves of σ(0) are forgotten.
from genlab.gans import alternating, simultaneous, trajectory


def velocity(state, gamma=0.0):
    psi, theta = state.unbind(-1)
    push = torch.sigmoid(psi * theta)
    return torch.stack([-theta * push - gamma * psi, psi * push], -1)


def run(start, rate, steps, gamma=0.0, by_turns=False):
    step = alternating if by_turns else simultaneous
    return trajectory(lambda s: step(lambda t: velocity(t, gamma), s, rate), start, steps)


def eigenvalues(gamma):
    root = torch.tensor(gamma**2 / 4 - 1 + 0j, dtype=torch.complex128).sqrt()
    return torch.stack([-gamma / 2 - root, -gamma / 2 + root])


def largest_rate(gamma):
    return 4.0 * gamma if gamma <= 1 else 4 / (gamma + math.sqrt(gamma**2 - 1))


# %% tags=["wrong-answer"]
# 4γ, which holds while the eigenvalues are complex.
from genlab.gans import alternating, simultaneous, trajectory


def velocity(state, gamma=0.0):
    psi, theta = state.unbind(-1)
    push = torch.sigmoid(psi * theta)
    return torch.stack([-theta * push - gamma * psi, psi * push], -1)


def run(start, rate, steps, gamma=0.0, by_turns=False):
    step = alternating if by_turns else simultaneous
    return trajectory(lambda s: step(lambda t: velocity(t, gamma), s, rate), start, steps)


def eigenvalues(gamma):
    root = torch.tensor(gamma**2 - 1 + 0j, dtype=torch.complex128).sqrt()
    return torch.stack([-gamma - root, -gamma + root]) / 2


def largest_rate(gamma):
    return 4.0 * gamma


# %% tags=["wrong-answer"]
# What holds for a flow, that steps of any length come in where the real parts are below 0.
from genlab.gans import alternating, simultaneous, trajectory


def velocity(state, gamma=0.0):
    psi, theta = state.unbind(-1)
    push = torch.sigmoid(psi * theta)
    return torch.stack([-theta * push - gamma * psi, psi * push], -1)


def run(start, rate, steps, gamma=0.0, by_turns=False):
    step = alternating if by_turns else simultaneous
    return trajectory(lambda s: step(lambda t: velocity(t, gamma), s, rate), start, steps)


def eigenvalues(gamma):
    root = torch.tensor(gamma**2 - 1 + 0j, dtype=torch.complex128).sqrt()
    return torch.stack([-gamma - root, -gamma + root]) / 2


def largest_rate(gamma):
    return math.inf if float(eigenvalues(gamma).real.max()) < 0 else 0.0


# %% nbgrader={"grade": true, "grade_id": "check-dirac", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def in_order(values):
    """Complex numbers by their real parts, then by their imaginary parts, to read."""
    rounded = [complex(round(v.real, 4) + 0.0, round(v.imag, 4) + 0.0) for v in values.tolist()]
    return sorted(rounded, key=lambda v: (v.real, v.imag))


with check("8.4") as answer:
    at_one = 1 / (1 + math.exp(-1))
    for state, gamma, right, why in (
        ((1.0, 0.0), 0.0, (0.0, 0.5), "D's logit rises to the right, so G goes right"),
        ((0.0, 1.0), 0.0, (-0.5, 0.0), "the draws are on the right, so D turns down there"),
        ((1.0, 1.0), 0.0, (-at_one, at_one), "the saturating loss pushes with σ(ψθ), here σ(1)"),
        ((1.0, 0.0), 2.0, (-2.0, 0.5), "the penalty γψ²/2 pulls ψ back, with γψ"),
    ):
        found = velocity(vector(*state), gamma)
        fits(found, 2)
        assert torch.allclose(found, vector(*right)), (
            f"at (ψ, θ) = {state} with γ = {gamma:.0f} the velocity is {tuple(said(right))}: "
            f"{why}; yours is {tuple(said(found))}"
        )
    start = vector(0.6, 0.8)
    states = run(start, 0.75, 20)
    fits(states, 21, 2)
    assert torch.equal(states[0], start), (
        f"the first state is the start, {said(start)}; yours is {said(states[0])}"
    )
    before, after = states[:-1], states[1:]
    right = torch.sqrt(1 + 0.75**2 * torch.sigmoid(before.prod(1)) ** 2)
    found = after.norm(dim=1) / before.norm(dim=1)
    assert torch.allclose(found, right), (
        "steps at once, η = 3/4, no penalty: the velocity stands across the line to (0, 0), so the "
        f"first step makes the distance {float(right[0]):.4f} times as large, by Pythagoras; yours "
        f"makes it {float(found[0]):.4f} times as large. Do both step from the same state?"
    )
    for by_turns, right in ((False, (0.5, 0.25)), (True, (0.5, 0.125))):
        states = run(vector(1.0, 0.0), 0.5, 1, 1.0, by_turns)
        fits(states, 2, 2)
        how = "by turns, D first" if by_turns else "at once"
        assert torch.allclose(states[1], vector(*right)), (
            f"from (1, 0) with η = 1/2 and γ = 1, {how}: a step leads to {right}; yours to "
            f"{tuple(said(states[1]))}"
        )
    psi = 1 - 0.125 / (1 + math.exp(-0.25))
    theta = 0.25 + 0.5 * psi / (1 + math.exp(-0.25 * psi))
    found = run(vector(1.0, 0.0), 0.5, 2, by_turns=True)[2]
    assert torch.allclose(found, vector(psi, theta)), (
        f"from (1, 0) with η = 1/2, by turns, without penalty: two steps lead to "
        f"{tuple(said(vector(psi, theta)))}; yours to {tuple(said(found))}"
    )
    for gamma, low, high in (
        (0.0, -0.5j, 0.5j),
        (0.5, -0.25 - 0.1875**0.5 * 1j, -0.25 + 0.1875**0.5 * 1j),
        (1.0, -0.5, -0.5),
        (1.25, -1.0, -0.25),
    ):
        found = eigenvalues(gamma)
        fits(found, 2, dtype=torch.complex128)
        right = in_order(torch.tensor([low, high], dtype=torch.complex128))
        assert in_order(found) == right, (
            f"with γ = {gamma} the Jacobian at (0, 0) has the eigenvalues {right}; yours are "
            f"{in_order(found)}. They are the roots of λ² + γλ + 1/4"
        )
    for gamma, right, why in (
        (0.0, 0.0, "|1 + ηi/2| > 1 for every η"),
        (0.5, 2.0, "|1 + ηλ|² is 1 - η/2 + η²/4"),
        (1.0, 4.0, "both eigenvalues are -1/2"),
        (1.25, 2.0, "one eigenvalue is -1, and 1 - η must not fall below -1"),
    ):
        found = float(largest_rate(gamma))
        assert abs(found - right) < 1e-6, (
            f"with γ = {gamma} the largest rate at which steps at once come in is {right}: {why}; "
            f"yours is {found:.4f}"
        )
### BEGIN HIDDEN TESTS
answer.require()
from genlab.gans import alternating, dirac_gan, simultaneous, trajectory

start = vector(-0.7, 0.4)
for gamma in (0.0, 0.8):
    field = dirac_gan("saturating", r1=gamma)
    states = randn(30, 2, generator=seeded(6))
    assert torch.allclose(velocity(states, gamma), field(states))
    for by_turns, step in ((False, simultaneous), (True, alternating)):
        right = trajectory(lambda s, f=field, step=step: step(f, s, 0.3), start, 40)
        assert torch.allclose(run(start, 0.3, 40, gamma, by_turns), right)
for gamma in (0.1, 0.7, 2.0, 5.0):
    rate = largest_rate(gamma)
    assert torch.allclose(eigenvalues(gamma).prod().real, vector(0.25)[0])
    assert float((1 + 0.99 * rate * eigenvalues(gamma)).abs().max()) < 1
    assert float((1 + 1.01 * rate * eigenvalues(gamma)).abs().max()) > 1
### END HIDDEN TESTS

# %% [markdown]
# Both ways to step, from $(1, 0)$ (nothing to hand in). Without a penalty, is there a rate at which
# steps at once come in? Do steps by turns? Then set $\gamma = 0.2$ and raise the rate: from which
# $\eta$ on do steps at once stay out, and what do your eigenvalues say?


# %%
def show_dirac(rate, gamma):
    with plot.figure(
        x="ψ, the slope of D",
        y="θ, where the draws are",
        height=3.4,
        title=f"300 steps, η = {rate:.2f}, γ = {gamma:.2f}",
        alt="Two paths round the origin. Without a penalty steps at once spiral outwards and steps "
        "by turns stay on a closed curve; with one both spiral in, if the rate is small.",
    ) as ax:
        for by_turns, name in ((False, "at once"), (True, "by turns")):
            states = run(vector(1.0, 0.0), rate, 300, gamma, by_turns)
            states = states[states.abs().amax(1) < 10]
            ax.plot(states[:, 0], states[:, 1], lw=1, marker=".", ms=3, label=name)
        ax.plot(0, 0, "+", color=plot.COLORS["data"])
        ax.set(xlim=(-3, 3), ylim=(-3, 3), aspect="equal")
        ax.legend(loc="upper right")


try:
    panel = sliders(show_dirac, rate=Knob(0.0, 1.0, start=0.2), gamma=Knob(0.0, 1.0, start=0.0))
except NotImplementedError:
    print("Comes with exercise 8.4.")
else:
    display(panel)

# %% [markdown]
# ## 8.5 The loop (3 points, 30 minutes)
#
# A step of the game: $k$ times a move of D, each on a batch of data and a batch of draws; then one
# move of G, against the D that has moved. Every move gets fresh noise. Each player descends *its
# own* loss and nothing else. Write `game`. It gets
#
# - `optimizers`, D's and G's, and `losses`, D's and G's: `d_loss(D(x), D(G(z)))` and
#   `g_loss(D(G(z)))` give one value for each example, a move descends the mean;
# - `batch()` and `noise()`, which give the next batch of $x$ and of $z$ when they are called.
#
# It trains G and D in place and returns what each paid: a row for each step with D's mean loss in
# the *last* of its $k$ moves and G's. *Hint:* `backward` adds to the gradients that are there, in
# all weights that the loss depends on. Whose weights does $D(G(z))$ depend on?
#
# The check ends with 600 steps on a ring of eight modes. There D learns three times as fast as G,
# and Adam has no momentum.


# %% nbgrader={"grade": false, "grade_id": "loop", "locked": false, "schema_version": 3, "solution": true, "task": false}
def game(G, D, optimizers, losses, batch, noise, steps, k=1):
    """Play so many steps; return the losses of D and G, [steps, 2].

    optimizers: (of D, of G); losses: (of D, of G); batch, noise: functions without arguments.
    """
    ### BEGIN SOLUTION
    d_optimizer, g_optimizer = optimizers
    d_loss, g_loss = losses
    history = []
    for _ in range(steps):
        for _ in range(k):
            d = d_loss(D(batch()), D(G(noise()).detach())).mean()
            d_optimizer.zero_grad()
            d.backward()
            d_optimizer.step()
        g = g_loss(D(G(noise()))).mean()
        g_optimizer.zero_grad()
        g.backward()
        g_optimizer.step()
        history.append((d.item(), g.item()))
    return torch.tensor(history, dtype=torch.float64)
    ### END SOLUTION


# %% tags=["wrong-answer"]
# Nothing is detached, and gradients are cleared once a step: D's loss reaches G.
def game(G, D, optimizers, losses, batch, noise, steps, k=1):
    history = []
    for _ in range(steps):
        for optimizer in optimizers:
            optimizer.zero_grad()
        for _ in range(k):
            d = losses[0](D(batch()), D(G(noise()))).mean()
            optimizers[0].zero_grad()
            d.backward()
            optimizers[0].step()
        g = losses[1](D(G(noise()))).mean()
        g.backward()
        optimizers[1].step()
        history.append((d.item(), g.item()))
    return torch.tensor(history, dtype=torch.float64)


# %% tags=["wrong-answer"]
# Gradients are never cleared.
def game(G, D, optimizers, losses, batch, noise, steps, k=1):
    history = []
    for _ in range(steps):
        for _ in range(k):
            d = losses[0](D(batch()), D(G(noise()).detach())).mean()
            d.backward()
            optimizers[0].step()
        g = losses[1](D(G(noise()))).mean()
        g.backward()
        optimizers[1].step()
        history.append((d.item(), g.item()))
    return torch.tensor(history, dtype=torch.float64)


# %% tags=["wrong-answer"]
# Each clears its own after its move: what G's loss leaves in D stays for D's next move.
def game(G, D, optimizers, losses, batch, noise, steps, k=1):
    history = []
    for _ in range(steps):
        for _ in range(k):
            d = losses[0](D(batch()), D(G(noise()).detach())).mean()
            d.backward()
            optimizers[0].step()
            optimizers[0].zero_grad()
        g = losses[1](D(G(noise()))).mean()
        g.backward()
        optimizers[1].step()
        optimizers[1].zero_grad()
        history.append((d.item(), g.item()))
    return torch.tensor(history, dtype=torch.float64)


# %% tags=["wrong-answer"]
# At once: G moves against the D of before.
def game(G, D, optimizers, losses, batch, noise, steps, k=1):
    history = []
    for _ in range(steps):
        for i in range(k):
            fake = G(noise())
            d = losses[0](D(batch()), D(fake.detach())).mean()
            if i == k - 1:
                g = losses[1](D(G(noise()))).mean()
                optimizers[1].zero_grad()
                g.backward()
            optimizers[0].zero_grad()
            d.backward()
            optimizers[0].step()
        optimizers[1].step()
        history.append((d.item(), g.item()))
    return torch.tensor(history, dtype=torch.float64)


# %% tags=["wrong-answer"]
# The noise of D's last move serves G too.
def game(G, D, optimizers, losses, batch, noise, steps, k=1):
    history = []
    for _ in range(steps):
        for _ in range(k):
            z = noise()
            d = losses[0](D(batch()), D(G(z).detach())).mean()
            optimizers[0].zero_grad()
            d.backward()
            optimizers[0].step()
        g = losses[1](D(G(z))).mean()
        optimizers[1].zero_grad()
        g.backward()
        optimizers[1].step()
        history.append((d.item(), g.item()))
    return torch.tensor(history, dtype=torch.float64)


# %% tags=["wrong-answer"]
# The labels are swapped.
def game(G, D, optimizers, losses, batch, noise, steps, k=1):
    history = []
    for _ in range(steps):
        for _ in range(k):
            d = losses[0](D(G(noise()).detach()), D(batch())).mean()
            optimizers[0].zero_grad()
            d.backward()
            optimizers[0].step()
        g = losses[1](D(G(noise()))).mean()
        optimizers[1].zero_grad()
        g.backward()
        optimizers[1].step()
        history.append((d.item(), g.item()))
    return torch.tensor(history, dtype=torch.float64)


# %% tags=["wrong-answer"]
# G moves as often as D.
def game(G, D, optimizers, losses, batch, noise, steps, k=1):
    history = []
    for _ in range(steps):
        for _ in range(k):
            d = losses[0](D(batch()), D(G(noise()).detach())).mean()
            optimizers[0].zero_grad()
            d.backward()
            optimizers[0].step()
            g = losses[1](D(G(noise()))).mean()
            optimizers[1].zero_grad()
            g.backward()
            optimizers[1].step()
        history.append((d.item(), g.item()))
    return torch.tensor(history, dtype=torch.float64)


# %% tags=["wrong-answer"]
# D's loss is that of the first of its moves.
def game(G, D, optimizers, losses, batch, noise, steps, k=1):
    history = []
    for _ in range(steps):
        paid = []
        for _ in range(k):
            d = losses[0](D(batch()), D(G(noise()).detach())).mean()
            optimizers[0].zero_grad()
            d.backward()
            optimizers[0].step()
            paid.append(d.item())
        g = losses[1](D(G(noise()))).mean()
        optimizers[1].zero_grad()
        g.backward()
        optimizers[1].step()
        history.append((paid[0], g.item()))
    return torch.tensor(history, dtype=torch.float64)


# %% nbgrader={"grade": true, "grade_id": "check-loop", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
LOSSES = (lambda real, fake: softplus(-real) + softplus(fake), lambda fake: softplus(-fake))
START = vector(0.5, 0.3, -0.2)  # b, w, c


class Shift(nn.Module):
    """G(z) = z + b."""

    def __init__(self):
        super().__init__()
        self.b = nn.Parameter(START[:1].clone())

    def forward(self, z):
        return z + self.b


class Line(nn.Module):
    """The logit wx + c."""

    def __init__(self):
        super().__init__()
        self.wc = nn.Parameter(START[1:].clone())

    def forward(self, x):
        return self.wc[0] * x[:, 0] + self.wc[1]


class Source:
    """Gives one batch after the other, and counts them."""

    def __init__(self, batches):
        self.batches, self.given = batches, 0

    def __call__(self):
        self.given += 1
        return self.batches[(self.given - 1) % len(self.batches)]


def shift_game(steps, k):
    """Your game of Shift and Line, by gradient steps of rate 0.25 for G and 0.5 for D."""
    g = seeded(7)
    G, D = Shift(), Line()
    batch = Source(2 + randn(40, 6, 1, generator=g))
    noise = Source(randn(40, 6, 1, generator=g))
    optimizers = SGD(D.parameters(), lr=0.5), SGD(G.parameters(), lr=0.25)
    history = game(G, D, optimizers, LOSSES, batch, noise, steps, k)
    return torch.cat([weights_of(G), weights_of(D)]), history, batch, noise


def by_hand(batches, noises, steps, k):
    """b, w, c and the losses, by the derivatives of the two losses."""
    (b, w, c), history = START, []
    xs, zs = iter(batches), iter(noises)
    for _ in range(steps):
        for _ in range(k):
            x, fake = next(xs), b + next(zs)
            up, down = torch.sigmoid(-w * x - c), torch.sigmoid(w * fake + c)
            d = -torch.log1p(-up).mean() - torch.log1p(-down).mean()
            w = w + 0.5 * ((up * x).mean() - (down * fake).mean())
            c = c + 0.5 * (up.mean() - down.mean())
        up = torch.sigmoid(-w * (b + next(zs)) - c)
        history.append(torch.stack([d, -torch.log1p(-up).mean()]))
        b = b + 0.25 * up.mean() * w
    return torch.stack([b, w, c]), torch.stack(history)


def on_the_ring(seed, d_lr=3e-3, momentum=0.0):
    """Players, optimizers, and where their batches come from: eight modes, not too narrow."""
    G, D = players(seed, (64, 64), nn.ReLU)
    g, h = seeded(seed + 1), seeded(seed + 2)
    x = data.Ring(modes=8, radius=1.0, scale=0.1).sample(10_000, generator=g).double()
    optimizers = [
        Adam(player.parameters(), lr=lr, betas=(momentum, 0.99))
        for player, lr in ((D, d_lr), (G, 1e-3))
    ]

    def batch():
        return x[torch.randint(len(x), (128,), generator=g)]

    def noise():
        return randn(128, 2, generator=h)

    return G, D, optimizers, LOSSES, batch, noise


with check("8.5") as answer:
    end, history, batch, noise = shift_game(1, 1)
    right, paid = by_hand(batch.batches, noise.batches, 1, 1)
    setting = "G(z) = z + b and the logit wx + c, from b = 0.5, w = 0.3, c = -0.2"
    assert torch.allclose(end[1:], right[1:]), (
        f"{setting}: the data are on the right, so one move of D with rate 0.5 leads to (w, c) = "
        f"{tuple(said(right[1:]))}; yours to {tuple(said(end[1:]))}"
    )
    if not abs(float(end[0] - right[0])) < 1e-9:
        (b, w, c), (first, second) = START, noise.batches[:2]
        w_after, c_after = right[1:]
        reached = 0.25 * w * torch.sigmoid(w * (b + first) + c).mean()
        cases = {
            "it did not move": b,
            "it moved against the D of before D's move": b
            + 0.25 * w * torch.sigmoid(-w * (b + second) - c).mean(),
            "it moved on the noise of D's move": b
            + 0.25 * w_after * torch.sigmoid(-w_after * (b + first) - c_after).mean(),
            "it has descended D's loss as well as its own": right[0] - reached,
        }
        why = [case for case, there in cases.items() if abs(float(end[0] - there)) < 1e-9]
        raise AssertionError(
            f"{setting}: one step, with rate 0.25 of G, leads to b = {float(right[0]):.6f}; yours "
            f"to {float(end[0]):.6f}{''.join(f': {case}' for case in why)}"
        )
    end, history, batch, noise = shift_game(5, 3)
    assert (batch.given, noise.given) == (15, 20), (
        "5 steps with k = 3 take 15 batches of data and 5·(3 + 1) = 20 of noise; yours took "
        f"{batch.given} and {noise.given}"
    )
    right, paid = by_hand(batch.batches, noise.batches, 5, 3)
    assert torch.allclose(end, right), (
        f"{setting}: 5 steps with k = 3 lead to (b, w, c) = {tuple(said(right))}; yours to "
        f"{tuple(said(end))}. The first step was right: what stands in the gradients when the "
        "next move begins?"
    )
    fits(history, 5, 2)
    assert torch.allclose(history, paid), (
        f"in 5 steps with k = 3 D pays {said(paid[:, 0])} in the last move of each step and G "
        f"{said(paid[:, 1])}; yours says {said(history[:, 0])} and {said(history[:, 1])}"
    )
    ring = on_the_ring(8)
    game(*ring, 600)
    with torch.no_grad():
        draws = ring[0](randn(2500, 2, generator=seeded(11)))
    distance, nearest = (draws[:, None] - data.Ring(radius=1.0).centres).norm(dim=2).min(1)
    good = distance <= 0.3
    modes, share = len(nearest[good].unique()), float(good.double().mean())
    assert modes >= 7, (
        f"after 600 steps on a ring of eight modes your generator has draws in {modes} of them; "
        "7 or 8 are to be expected"
    )
    assert share >= 0.7, (
        f"after 600 steps on a ring of eight modes {share:.0%} of your draws lie within three "
        "standard deviations of a mode; 85% are to be expected, and 70% asked for"
    )
### BEGIN HIDDEN TESTS
answer.require()
for steps, k in ((7, 1), (4, 4)):
    end, history, batch, noise = shift_game(steps, k)
    right, paid = by_hand(batch.batches, noise.batches, steps, k)
    assert torch.allclose(end, right)
    assert torch.allclose(history, paid)
    assert (batch.given, noise.given) == (steps * k, steps * (k + 1))
### END HIDDEN TESTS

# %% [markdown]
# Your game on the ring, from another start (nothing to hand in). What does the generator find first,
# the circle or the modes? Then play with equal rates and with Adam's momentum,
# `on_the_ring(12, 1e-3, 0.5)`: how many modes are left? Between the modes lie draws that are none.
# Could a longer training take them away altogether, and how steep would the generator have to be?


# %%
try:
    ring = on_the_ring(12)
    z, panels = randn(600, 2, generator=seeded(15)), []
    for steps in (100, 200, 300, 600):
        game(*ring, steps)
        with torch.no_grad():
            panels.append(ring[0](z))
    with plot.figure(
        title=["100 steps", "300 steps", "600 steps", "1,200 steps"],
        panels=4,
        height=1.9,
        alt="Four panels with eight grey modes on a circle and the generator's draws: at first they "
        "fill a disc, then most lie on the circle, in the end in the modes and on threads "
        "between neighbours.",
    ) as axes:
        for ax, draws in zip(axes, panels, strict=True):
            ax.plot(*ring[4]().T, ".", ms=2, color=plot.COLORS["data"], alpha=0.5)
            ax.plot(*draws.T, ".", ms=2, color=plot.COLORS["model"])
            ax.set(xlim=(-1.7, 1.7), ylim=(-1.7, 1.7), aspect="equal", xticks=[], yticks=[])
except NotImplementedError:
    print("Comes with exercise 8.5.")

# %% [markdown]
# ## 8.6 How good are the draws? (2 points, 20 minutes)
#
# A generator has no likelihood. Where the truth is a mixture of $K$ equally likely round normal
# laws with known centres, one counts instead. A draw *belongs* to the mode whose centre is nearest,
# and it is *good* if that is at most three standard deviations away. Write `counted`:
#
# - the number of modes that have a good draw;
# - the quality: the share of draws that are good;
# - the reverse KL, $\sum_k s_k \log (K s_k)$ in nats, with $0 \log 0 = 0$: the divergence of the
#   modes' shares $s_k$ from equal shares. To a mode's share count *all* draws that belong to it.
#
# And `within`: of the truth's own draws in the plane, which share lies within $r$ standard
# deviations? *Hint:* the squared distance of $N(0, I_2)$ from 0 is exponential with mean 2.


# %% nbgrader={"grade": false, "grade_id": "counting", "locked": false, "schema_version": 3, "solution": true, "task": false}
def counted(x, centres, scale):
    """Modes, an int, quality and reverse KL, floats. x: [n, 2]; centres: [K, 2]; scale: sd."""
    ### BEGIN SOLUTION
    distance, nearest = (x[:, None] - centres).norm(dim=2).min(1)
    good = distance <= 3 * scale
    share = nearest.bincount(minlength=len(centres)).double() / len(x)
    reverse = torch.xlogy(share, share * len(centres)).sum()
    return len(nearest[good].unique()), float(good.double().mean()), float(reverse)
    ### END SOLUTION


def within(r):
    """P(|ε| ≤ r) for ε ~ N(0, I) in the plane, a float."""
    ### BEGIN SOLUTION
    return 1 - math.exp(-(r**2) / 2)
    ### END SOLUTION


# %% tags=["wrong-answer"]
# The other KL, which is infinite as soon as a mode is missing.
def counted(x, centres, scale):
    distance, nearest = (x[:, None] - centres).norm(dim=2).min(1)
    good = distance <= 3 * scale
    share = nearest.bincount(minlength=len(centres)).double() / len(x)
    forward = -(share * len(centres)).log().mean()
    return len(nearest[good].unique()), float(good.double().mean()), float(forward)


def within(r):
    return 1 - math.exp(-(r**2) / 2)


# %% tags=["wrong-answer"]
# A mode counts as soon as it is the nearest one, however far away.
def counted(x, centres, scale):
    distance, nearest = (x[:, None] - centres).norm(dim=2).min(1)
    good = distance <= 3 * scale
    share = nearest.bincount(minlength=len(centres)).double() / len(x)
    reverse = torch.xlogy(share, share * len(centres)).sum()
    return len(nearest.unique()), float(good.double().mean()), float(reverse)


def within(r):
    return 1 - math.exp(-(r**2) / 2)


# %% tags=["wrong-answer"]
# Three standard deviations in each coordinate: a square, not a disc.
def counted(x, centres, scale):
    nearest = (x[:, None] - centres).norm(dim=2).argmin(1)
    good = ((x - centres[nearest]).abs() <= 3 * scale).all(1)
    share = nearest.bincount(minlength=len(centres)).double() / len(x)
    reverse = torch.xlogy(share, share * len(centres)).sum()
    return len(nearest[good].unique()), float(good.double().mean()), float(reverse)


def within(r):
    return 1 - math.exp(-(r**2) / 2)


# %% tags=["wrong-answer"]
# Only the good draws have shares.
def counted(x, centres, scale):
    distance, nearest = (x[:, None] - centres).norm(dim=2).min(1)
    good = distance <= 3 * scale
    number = nearest[good].bincount(minlength=len(centres)).double()
    share = number / number.sum().clamp_min(1)
    reverse = torch.xlogy(share, share * len(centres)).sum()
    return len(nearest[good].unique()), float(good.double().mean()), float(reverse)


def within(r):
    return 1 - math.exp(-(r**2) / 2)


# %% tags=["wrong-answer"]
# The negative entropy: the equal shares are forgotten.
def counted(x, centres, scale):
    distance, nearest = (x[:, None] - centres).norm(dim=2).min(1)
    good = distance <= 3 * scale
    share = nearest.bincount(minlength=len(centres)).double() / len(x)
    reverse = torch.xlogy(share, share).sum()
    return len(nearest[good].unique()), float(good.double().mean()), float(reverse)


def within(r):
    return 1 - math.exp(-(r**2) / 2)


# %% tags=["wrong-answer"]
# 0 times -∞ for a mode without a draw.
def counted(x, centres, scale):
    distance, nearest = (x[:, None] - centres).norm(dim=2).min(1)
    good = distance <= 3 * scale
    share = nearest.bincount(minlength=len(centres)).double() / len(x)
    reverse = (share * (share * len(centres)).log()).sum()
    return len(nearest[good].unique()), float(good.double().mean()), float(reverse)


def within(r):
    return 1 - math.exp(-(r**2) / 2)


# %% tags=["wrong-answer"]
# What holds on the line: 99.7 % within three standard deviations.
def counted(x, centres, scale):
    distance, nearest = (x[:, None] - centres).norm(dim=2).min(1)
    good = distance <= 3 * scale
    share = nearest.bincount(minlength=len(centres)).double() / len(x)
    reverse = torch.xlogy(share, share * len(centres)).sum()
    return len(nearest[good].unique()), float(good.double().mean()), float(reverse)


def within(r):
    return math.erf(r / math.sqrt(2))


# %% nbgrader={"grade": true, "grade_id": "check-counting", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
with check("8.6") as answer:
    law = data.Ring(modes=8, radius=1.0, scale=0.01)
    points = [(1.0, 0.02), (1.0, 0.0), (-1.0, 0.0), (-0.9, 0.0), (0.0, 0.9)]
    some = vector(*(number for point in points for number in point)).reshape(-1, 2)
    setting = "eight modes on the unit circle with the standard deviation 0.01"
    for rows, modes, quality, reverse, why in (
        (4, 2, 0.75, math.log(4), "two modes have half of all draws each, and six have none"),
        (
            5,
            2,
            0.6,
            0.8 * math.log(3.2) + 0.2 * math.log(1.6),
            "three modes have 2/5, 2/5 and 1/5 of all draws, good or not",
        ),
    ):
        found = counted(some[:rows], law.centres, law.scale)
        draws = ", ".join(map(str, points[:rows]))
        assert found[0] == modes, (
            f"{setting}, draws at {draws}: {modes} modes have a good draw, one within 0.03; yours "
            f"says {found[0]}"
        )
        assert abs(found[1] - quality) < 1e-6, (
            f"{setting}, draws at {draws}: the quality is {quality}; yours is {found[1]:.4f}"
        )
        assert abs(found[2] - reverse) < 1e-6, (
            f"{setting}, draws at {draws}: {why}, so KL(shares‖equal) is {reverse:.4f} nats; yours "
            f"is {found[2]:.4f}"
        )
    found = counted(vector(1.025, 0.025)[None], law.centres, law.scale)
    assert found[:2] == (0, 0.0), (
        f"{setting}: a draw at (1.025, 0.025) is 0.0354 away from its mode, more than 0.03; yours "
        f"counts {found[0]} modes and the quality {found[1]}"
    )
    for r in (2.0, 3.0):
        right = 1 - math.exp(-(r**2) / 2)
        found = float(within(r))
        assert abs(found - right) < 1e-9, (
            f"in the plane, not on a line, {right:.4f} of a normal law lies within {r:.0f} "
            f"standard deviations of its centre; yours says {found:.4f}"
        )
    for law in (data.Ring(modes=8, radius=1.0, scale=0.01), data.Grid()):
        n = 10_000
        found = counted(law.sample(n, generator=seeded(16)).double(), law.centres, law.scale)
        right = within(3.0)
        error = math.sqrt(right * (1 - right) / n)
        assert found[0] == len(law.centres), (
            f"{n:,} draws of the truth reach all {len(law.centres)} modes; yours counts {found[0]}"
        )
        assert abs(found[1] - right) < 5 * error, (
            f"of {n:,} draws of the truth about {right:.4f} are good; yours says {found[1]:.4f}"
        )
        assert 0 <= found[2] < 0.01, (
            f"{n:,} draws of the truth have almost equal shares, and a reverse KL near 0; yours is "
            f"{found[2]:.4f}"
        )
### BEGIN HIDDEN TESTS
answer.require()
from genlab.gans import coverage

law = data.Grid()
draws = 3 * randn(500, 2, generator=seeded(17))
right = coverage(draws, law)
found = counted(draws, law.centres, law.scale)
assert found[0] == right.modes
assert abs(found[1] - right.quality) < 1e-6
assert abs(found[2] - right.reverse_kl) < 1e-6
assert abs(within(0.5) - 0.11750309741540454) < 1e-12
### END HIDDEN TESTS

# %% [markdown]
# A generator that is made of the truth (nothing to hand in): it draws from some of the modes only,
# with another width. Which of the three numbers notice when the modes are too narrow? What do they
# say of a generator that gives each centre and nothing else, and would you take it?


# %%
def show_counts(modes, width):
    law, g = data.Ring(modes=8, radius=1.0, scale=0.1), seeded(18)
    which = torch.randint(modes, (2500,), generator=g)
    x = law.centres[which] + width * law.scale * randn(2500, 2, generator=g)
    found = counted(x, law.centres, law.scale)
    with plot.figure(
        height=3.0,
        title=f"modes: {found[0]}, quality: {found[1]:.3f} (truth: {within(3):.3f}), "
        f"KL: {found[2]:.3f}",
        alt="Draws around some of the eight modes of a ring, and circles of three standard "
        "deviations of the truth round all eight.",
    ) as ax:
        ax.plot(*x[:600].T, ".", ms=2, color=plot.COLORS["model"])
        turn = torch.linspace(0, 2 * math.pi, 60, dtype=torch.float64)
        circle = 3 * law.scale * torch.stack([turn.cos(), turn.sin()])
        for centre in law.centres:
            ax.plot(*(centre[:, None] + circle), lw=0.8, color=plot.COLORS["truth"])
        ax.set(xlim=(-1.7, 1.7), ylim=(-1.7, 1.7), aspect="equal")


try:
    panel = sliders(show_counts, modes=Knob(1, 8, start=5), width=Knob(0.0, 2.0, start=1.0))
except NotImplementedError:
    print("Comes with exercise 8.6.")
else:
    display(panel)

# %% [markdown]
# ## 8.7 A critic that may not be steep (3 points, 25 minutes)
#
# Kantorovich and Rubinstein: over all critics whose slope is $K$ at most,
#
# $$W_1(p, q) = \frac1K \sup \Bigl\{ \mathbb{E}_p D - \mathbb{E}_q D \;:\;
#   |D(x) - D(y)| \le K\, d(x, y) \text{ for all } x, y \Bigr\}.$$
#
# Both expectations stand under one supremum, so a constant added to $D$ changes nothing. Write
#
# - `dual`: $W_1$ of two tables over the same $n$ points, and a best critic of slope $K$, by
#   `linprog`;
# - `clip`: every weight and every bias of a network brought back to $[-c, c]$, in place. It holds
#   the slope of a network down, at a $K$ that nobody knows;
# - `penalty`: $(\|\nabla D(\hat x)\| - 1)^2$ at $\hat x = \epsilon x + (1 - \epsilon) G(z)$, one
#   value for each pair, with a gradient that reaches the weights of $D$.
#
# *Hint:* the lectures write "gradient clipping" for the second. That bounds the length of a
# training step, and no slope. `torch.autograd.grad(…, create_graph=True)`.


# %% nbgrader={"grade": false, "grade_id": "critics", "locked": false, "schema_version": 3, "solution": true, "task": false}
def dual(p, q, distance, K=1.0):
    """W₁, a float, and a best critic's values, [n]. p, q: tables, [n]; distance: d, [n, n]."""
    ### BEGIN SOLUTION
    n = len(p)
    i, j = torch.cartesian_prod(torch.arange(n), torch.arange(n)).T
    one = torch.eye(n, dtype=torch.float64)
    found = linprog(
        (q - p).numpy(),
        A_ub=(one[i] - one[j]).numpy(),
        b_ub=K * distance[i, j].numpy(),
        bounds=[(0, 0), *[(None, None)] * (n - 1)],
    )
    D = torch.as_tensor(found.x)
    return float((p - q) @ D) / K, D
    ### END SOLUTION


def clip(critic, c):
    """Bring all weights and biases of a network back to [−c, c], in place."""
    ### BEGIN SOLUTION
    with torch.no_grad():
        for weights in critic.parameters():
            weights.clamp_(-c, c)
    ### END SOLUTION


def penalty(critic, real, fake, share):
    """(|∇D| − 1)² between the pairs, [n].

    critic: from [n, d] to [n]; real, fake: x and G(z), [n, d]; share: ε, [n].
    """
    ### BEGIN SOLUTION
    between = (share[:, None] * real + (1 - share[:, None]) * fake).detach().requires_grad_()
    (slope,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
    return (slope.norm(dim=1) - 1) ** 2
    ### END SOLUTION


# %% tags=["wrong-answer"]
# The supremum is not divided by K.
from genlab.gans import clip_weights as clip


def dual(p, q, distance, K=1.0):
    n, one = len(p), torch.eye(len(p)).double()
    i, j = torch.cartesian_prod(torch.arange(n), torch.arange(n)).T
    how = {"b_ub": K * distance[i, j].numpy(), "bounds": [(0, 0), *[(None, None)] * (n - 1)]}
    D = torch.as_tensor(linprog((q - p).numpy(), A_ub=(one[i] - one[j]).numpy(), **how).x)
    return float((p - q) @ D), D


def penalty(critic, real, fake, share):
    at = (fake + share[:, None] * (real - fake)).detach().requires_grad_()
    slope = torch.autograd.grad(critic(at).sum(), at, create_graph=True)[0]
    return (slope.norm(dim=1) - 1) ** 2


# %% tags=["wrong-answer"]
# The critic stands on its head: high on the draws.
from genlab.gans import clip_weights as clip


def dual(p, q, distance, K=1.0):
    n, one = len(p), torch.eye(len(p)).double()
    i, j = torch.cartesian_prod(torch.arange(n), torch.arange(n)).T
    how = {"b_ub": K * distance[i, j].numpy(), "bounds": [(0, 0), *[(None, None)] * (n - 1)]}
    D = torch.as_tensor(linprog((p - q).numpy(), A_ub=(one[i] - one[j]).numpy(), **how).x)
    return float((q - p) @ D) / K, D


def penalty(critic, real, fake, share):
    at = (fake + share[:, None] * (real - fake)).detach().requires_grad_()
    slope = torch.autograd.grad(critic(at).sum(), at, create_graph=True)[0]
    return (slope.norm(dim=1) - 1) ** 2


# %% tags=["wrong-answer"]
# Only neighbours in the table are compared, which is enough for points in order on a line.
from genlab.gans import clip_weights as clip


def dual(p, q, distance, K=1.0):
    n, one = len(p), torch.eye(len(p)).double()
    i, j = torch.arange(n - 1), torch.arange(1, n)
    i, j = torch.cat([i, j]), torch.cat([j, i])
    how = {"b_ub": K * distance[i, j].numpy(), "bounds": [(0, 0), *[(None, None)] * (n - 1)]}
    D = torch.as_tensor(linprog((q - p).numpy(), A_ub=(one[i] - one[j]).numpy(), **how).x)
    return float((p - q) @ D) / K, D


def penalty(critic, real, fake, share):
    at = (fake + share[:, None] * (real - fake)).detach().requires_grad_()
    slope = torch.autograd.grad(critic(at).sum(), at, create_graph=True)[0]
    return (slope.norm(dim=1) - 1) ** 2


# %% tags=["wrong-answer"]
# Every critic may rise by K from any point to any other: the total variation.
from genlab.gans import clip_weights as clip


def dual(p, q, distance, K=1.0):
    D = K * (p > q).double()
    return float((p - q) @ D) / K, D


def penalty(critic, real, fake, share):
    at = (fake + share[:, None] * (real - fake)).detach().requires_grad_()
    slope = torch.autograd.grad(critic(at).sum(), at, create_graph=True)[0]
    return (slope.norm(dim=1) - 1) ** 2


# %% tags=["wrong-answer"]
# Clips the gradients.
from genlab.gans import kantorovich_rubinstein


def dual(p, q, distance, K=1.0):
    value, D = kantorovich_rubinstein(p, q, distance, lipschitz=K)
    return value / K, D


def clip(critic, c):
    nn.utils.clip_grad_norm_(critic.parameters(), c)


def penalty(critic, real, fake, share):
    at = (fake + share[:, None] * (real - fake)).detach().requires_grad_()
    slope = torch.autograd.grad(critic(at).sum(), at, create_graph=True)[0]
    return (slope.norm(dim=1) - 1) ** 2


# %% tags=["wrong-answer"]
# Shrinks all weights by one factor, until the largest is c.
from genlab.gans import kantorovich_rubinstein


def dual(p, q, distance, K=1.0):
    value, D = kantorovich_rubinstein(p, q, distance, lipschitz=K)
    return value / K, D


def clip(critic, c):
    largest = float(weights_of(critic).abs().max())
    for weights in critic.parameters():
        weights.data.mul_(min(1.0, c / largest))


def penalty(critic, real, fake, share):
    at = (fake + share[:, None] * (real - fake)).detach().requires_grad_()
    slope = torch.autograd.grad(critic(at).sum(), at, create_graph=True)[0]
    return (slope.norm(dim=1) - 1) ** 2


# %% tags=["wrong-answer"]
# One-sided: a critic that is too flat is let off.
from genlab.gans import clip_weights as clip
from genlab.gans import kantorovich_rubinstein


def dual(p, q, distance, K=1.0):
    value, D = kantorovich_rubinstein(p, q, distance, lipschitz=K)
    return value / K, D


def penalty(critic, real, fake, share):
    at = (fake + share[:, None] * (real - fake)).detach().requires_grad_()
    slope = torch.autograd.grad(critic(at).sum(), at, create_graph=True)[0]
    return (slope.norm(dim=1) - 1).relu() ** 2


# %% tags=["wrong-answer"]
# The slope is a number without a history: the penalty changes no weight.
from genlab.gans import clip_weights as clip
from genlab.gans import kantorovich_rubinstein


def dual(p, q, distance, K=1.0):
    value, D = kantorovich_rubinstein(p, q, distance, lipschitz=K)
    return value / K, D


def penalty(critic, real, fake, share):
    at = (fake + share[:, None] * (real - fake)).detach().requires_grad_()
    slope = torch.autograd.grad(critic(at).sum(), at)[0]
    return (slope.norm(dim=1) - 1) ** 2


# %% nbgrader={"grade": true, "grade_id": "check-critics", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
class Plane(nn.Module):
    """The critic w·x."""

    def __init__(self, *slope):
        super().__init__()
        self.w = nn.Parameter(vector(*slope))

    def forward(self, x):
        return x @ self.w


def bowl(x):
    """|x|²/2: its slope at x is x."""
    return (x**2).sum(1) / 2


def is_best(found, p, q, distance, K, right, setting):
    """The value is W₁, and the critic is one of slope K that attains it."""
    w1, D = found
    fits(D, len(p))
    steepest = float((D[:, None] - D - K * distance).max())
    assert steepest < 1e-6, (
        f"{setting} with K = {K:g} your critic rises by {steepest:.4f} more than K times the "
        "distance, between two of the points"
    )
    assert abs(float(w1) - right) < 1e-6, (
        f"{setting} W₁ is {right:.4f}, whatever K; with K = {K:g} yours is {float(w1):.4f}"
    )
    gain = float((p - q) @ D)
    assert abs(gain - K * right) < 1e-6, (
        f"{setting} a best critic with K = {K:g} has E_p D - E_q D = {K * right:.4f}; yours has "
        f"{gain:.4f}. It is high where p is larger"
    )


with check("8.7") as answer:
    p, q, distance = vector(0.0, 1.0), vector(0.5, 0.5), vector(0.0, 3.0, 3.0, 0.0).reshape(2, 2)
    for K in (1.0, 2.0):
        setting = "p = (0, 1), q = (1/2, 1/2), a distance of 3, half of the mass has to travel:"
        is_best(dual(p, q, distance, K), p, q, distance, K, 1.5, setting)
    g = seeded(20)
    for n in (4, 9):
        at = 5 * randn(n, generator=g)
        p, q = randn(2, n, generator=g).softmax(1)
        order, distance = at.argsort(), (at[:, None] - at).abs()
        right = float(((p - q)[order].cumsum(0)[:-1].abs() * at[order].diff()).sum())
        for K in (1.0, 0.5):
            setting = f"{n} points on a line, in no order:"
            is_best(dual(p, q, distance, K), p, q, distance, K, right, setting)
    critic = MLP(2, 1, (5,), generator=seeded(21)).double()
    before = weights_of(critic)
    clip(critic, 0.2)
    found, right = weights_of(critic), before.clamp(-0.2, 0.2)
    largest = float(found.abs().max())
    assert largest <= 0.2 + 1e-12, (
        f"after clipping to [-0.2, 0.2] a weight or bias of the network is still {largest:.4f} in "
        f"size; before, the largest was {float(before.abs().max()):.4f}"
    )
    off = float((found - right).abs().max())
    assert off < 1e-12, (
        "after clipping to [-0.2, 0.2] those weights that were outside stand at the edge, and "
        f"those inside are where they were; yours are up to {off:.4f} off"
    )
    real, fake = vector(3.0, 4.0).expand(3, 2), torch.zeros(3, 2, dtype=torch.float64)
    share = vector(1.0, 0.5, 0.0)
    found = penalty(bowl, real, fake, share)
    fits(found, 3)
    right = vector(16.0, 2.25, 1.0)
    assert torch.allclose(found, right), (
        "the critic |x|²/2, of slope |x|, between x = (3, 4) and G(z) = (0, 0), with ε = 1, 1/2 "
        f"and 0: the slopes are 5, 2.5 and 0, the penalties {said(right)}; yours are "
        f"{said(found)}. A slope below 1 is charged as well"
    )
    critic = Plane(3.0, 4.0)
    found = penalty(critic, real, fake, share)
    fits(found, 3)
    assert torch.allclose(found, vector(16.0, 16.0, 16.0)), (
        f"the critic 3x + 4y has the slope 5 everywhere, so the penalty is 16; yours is "
        f"{said(found)}"
    )
    assert found.requires_grad, (
        "your penalty is a number that no weight of the critic can change: the slope has to keep "
        "its history, so that it can be differentiated once more"
    )
    (slope,) = torch.autograd.grad(found.mean(), critic.w)
    assert torch.allclose(slope, vector(4.8, 6.4)), (
        "the critic w·x has the penalty (|w| - 1)², at w = (3, 4) with the slopes (4.8, 6.4) in w; "
        f"yours has {tuple(said(slope))}"
    )
### BEGIN HIDDEN TESTS
answer.require()
from genlab.gans import gradient_penalty, kantorovich_rubinstein

g = seeded(22)
points = randn(7, 3, generator=g)
p, q = randn(2, 7, generator=g).softmax(1)
distance = torch.cdist(points, points, compute_mode="donot_use_mm_for_euclid_dist")
w1, D = dual(p, q, distance, 3.0)
assert abs(w1 - kantorovich_rubinstein(p, q, distance).value) < 1e-6
assert float((D[:, None] - D - 3 * distance).max()) < 1e-6
critic = Discriminator(MLP(3, 1, (6,), activation=nn.Tanh, generator=g)).double()
real, fake = randn(2, 20, 3, generator=g)
share = torch.rand(20, 1, generator=seeded(23), dtype=torch.float64)[:, 0]
right = gradient_penalty(critic, real, fake, generator=seeded(23))
assert torch.allclose(penalty(critic, real, fake, share), right)
clip(critic, 0.1)
assert float(weights_of(critic).abs().max()) <= 0.1
### END HIDDEN TESTS

# %% [markdown]
# Three critics between data around 2 and draws around 0, after 300 steps (nothing to hand in). The
# distance is 2. Which of them would you ask for it, and how? What would the third look like after
# 3,000 steps?


# %%
def trained_critic(after_backward, after_step, weight=0.0):
    """A critic on the line after 300 steps, something done to it at two places in each."""
    g = seeded(24)
    critic = Discriminator(MLP(1, 1, (32,), generator=g)).double()
    optimizer = Adam(critic.parameters(), lr=0.01, betas=(0.5, 0.9))
    for _ in range(300):
        real, fake = 2 + 0.5 * randn(128, 1, generator=g), 0.5 * randn(128, 1, generator=g)
        share = torch.rand(128, generator=g, dtype=torch.float64)
        loss = (critic(fake) - critic(real)).mean()
        if weight:
            loss = loss + weight * penalty(critic, real, fake, share).mean()
        optimizer.zero_grad()
        loss.backward()
        after_backward(critic)
        optimizer.step()
        after_step(critic)
    return critic


def nothing(critic):
    """Leave the critic as it is."""


try:
    critics = {
        "weights clipped to 0.1": trained_critic(nothing, lambda critic: clip(critic, 0.1)),
        "gradient penalty, λ = 10": trained_critic(nothing, nothing, 10.0),
        "gradient clipped to 0.1": trained_critic(
            lambda critic: nn.utils.clip_grad_norm_(critic.parameters(), 0.1), nothing
        ),
    }
    at = torch.linspace(-2, 4, 241, dtype=torch.float64)
    with plot.figure(
        x="x: draws around 0, data around 2",
        y="D(x) - D(0)",
        height=2.8,
        alt="Three curves. With clipped weights the critic is nearly flat, with the gradient "
        "penalty it is almost a straight line of slope 1, with clipped gradients it is so steep "
        "that it leaves the picture at once.",
    ) as ax:
        for name, critic in critics.items():
            with torch.no_grad():
                values = critic(at[:, None]) - critic(vector(0.0)[:, None])
            steepest = float((values.diff() / at.diff()).abs().max())
            ax.plot(at, values, label=f"{name}: slope {steepest:.3g}")
        ax.set_ylim(-2, 5)
        ax.legend()
except NotImplementedError:
    print("Comes with exercise 8.7.")

# %% [markdown]
# ## 8.8 Find out why (3 points, 30 minutes)
#
# Four colleagues bring a training step each. D is to descend $-\log D(x) - \log(1 - D(G(z)))$ and G
# is to descend $-\log D(G(z))$. The four look alike; in three of them one line is wrong. All get G,
# D and their optimizers, a batch $x$ and its noise $z$. Look at what their generators draw after
# 500 steps; what D and G then pay, in the mean, stands above. Would you know which step is right?


# %%
def step_a(G, D, d_optimizer, g_optimizer, x, z):
    """A colleague's step."""
    d_optimizer.zero_grad()
    g_optimizer.zero_grad()
    (softplus(-D(x)) + softplus(D(G(z)))).mean().backward()
    d_optimizer.step()
    softplus(-D(G(z))).mean().backward()
    g_optimizer.step()


def step_b(G, D, d_optimizer, g_optimizer, x, z):
    """A colleague's step."""
    d_optimizer.zero_grad()
    (softplus(D(x)) + softplus(-D(G(z).detach()))).mean().backward()
    d_optimizer.step()
    g_optimizer.zero_grad()
    softplus(-D(G(z))).mean().backward()
    g_optimizer.step()


def step_c(G, D, d_optimizer, g_optimizer, x, z):
    """A colleague's step."""
    d_optimizer.zero_grad()
    (softplus(-D(x)) + softplus(D(G(z).detach()))).mean().backward()
    d_optimizer.step()
    g_optimizer.zero_grad()
    softplus(-D(G(z))).mean().backward()
    g_optimizer.step()


def step_d(G, D, d_optimizer, g_optimizer, x, z):
    """A colleague's step."""
    d_optimizer.zero_grad()
    g_optimizer.zero_grad()
    (softplus(-D(x)) + softplus(D(G(z))) + softplus(-D(G(z)))).mean().backward()
    d_optimizer.step()
    g_optimizer.step()


STEPS = {"A": step_a, "B": step_b, "C": step_c, "D": step_d}
modes, drawn = data.Ring(modes=8, radius=1.0, scale=0.1), {}
for name, step in STEPS.items():
    G, D = players(7, (64, 64), nn.ReLU)
    both = [Adam(player.parameters(), lr=1e-3, betas=(0.5, 0.999)) for player in (D, G)]
    g = seeded(26)
    for _ in range(500):
        step(G, D, *both, modes.sample(128, generator=g).double(), randn(128, 2, generator=g))
    with torch.no_grad():
        draws = G(randn(500, 2, generator=g))
        real, fake = D(modes.sample(500, generator=g).double()), D(draws)
        d, g_paid = (softplus(-real) + softplus(fake)).mean(), softplus(-fake).mean()
    drawn[f"{name}: {d:.2f}, {g_paid:.2f}"] = draws
with plot.figure(
    title=list(drawn),
    panels=4,
    height=1.9,
    alt="Four panels, after 500 steps each, with eight grey modes on a circle. In A the draws lie "
    "along the circle, in C along a line through a few modes on the right; in B and D none is in "
    "sight.",
) as axes:
    truth = modes.sample(200, generator=seeded(27))
    for ax, draws in zip(axes, drawn.values(), strict=True):
        ax.plot(*truth.T, ".", ms=2, color=plot.COLORS["data"], alpha=0.5)
        ax.plot(*draws.T, ".", ms=2, color=plot.COLORS["model"])
        ax.set(xlim=(-1.7, 1.7), ylim=(-1.7, 1.7), aspect="equal", xticks=[], yticks=[])

# %% [markdown]
# Find out why, without reading them: measure. A step on one real example $x$ and one draw $G(z)$
# changes D's weights $\phi$ and G's weights $\theta$. With plain gradient steps of a tiny rate
# $\eta$ all that D and G can learn of the two examples are three *pushes*,
#
# $$\frac{\Delta\phi}{\eta} = u\, \nabla_\phi a(x) + v\, \nabla_\phi a(G(z)), \qquad
#   \frac{\Delta\theta}{\eta} = w\, \nabla_\theta a(G(z)),$$
#
# where $a$ is D's logit: $u$ and $v$ push it up at $x$ and at $G(z)$, and $w$ pushes G's draw to
# where it is higher. Write
#
# - `pushes`: make a step on *copies* of the players, with optimizers of your own, and find the
#   three numbers by least squares. (The two gradients in $\phi$ are not at right angles.)
# - `verdict`: `"right"`, `"labels swapped"` (D learns to call draws real), `"no detach"` (D's loss
#   is in G's gradient as well), or `"one loss for both"` (both descend the sum of D's and G's
#   loss).
#
# *Hint:* work out $u$, $v$ and $w$ for the four, with $s = \sigma(a(x))$ and $t = \sigma(a(G(z)))$.
# Signs are not enough: what is $w$ of "no detach" if D is winning? `copy.deepcopy`, `SGD`,
# `weights_of`, `slope_of`, `torch.linalg.lstsq`.


# %% nbgrader={"grade": false, "grade_id": "faults", "locked": false, "schema_version": 3, "solution": true, "task": false}
def pushes(step, G, D, x, z):
    """u, v and w, [3]. step: as above; x: a real example, [1, 2]; z: its noise, [1, 2]."""
    ### BEGIN SOLUTION
    rate = 1e-5
    G_then, D_then = copy.deepcopy(G), copy.deepcopy(D)
    step(G_then, D_then, *(SGD(p.parameters(), lr=rate) for p in (D_then, G_then)), x, z)
    change = [
        (weights_of(then) - weights_of(now)) / rate for now, then in ((D, D_then), (G, G_then))
    ]
    at_both = torch.stack([slope_of(D(e).sum(), D) for e in (x, G(z).detach())], 1)
    uv = torch.linalg.lstsq(at_both, change[0][:, None]).solution[:, 0]
    along = slope_of(D(G(z)).sum(), G)
    return torch.cat([uv, (along @ change[1] / (along @ along))[None]])
    ### END SOLUTION


def verdict(step, G, D, x, z):
    """One of the four words."""
    ### BEGIN SOLUTION
    with torch.no_grad():
        s, t = torch.sigmoid(D(x)), torch.sigmoid(D(G(z)))
    expected = {
        "right": (1 - s, -t, 1 - t),
        "labels swapped": (-s, 1 - t, 1 - t),
        "no detach": (1 - s, -t, 1 - 2 * t),
        "one loss for both": (1 - s, 1 - 2 * t, 1 - 2 * t),
    }
    found = pushes(step, G, D, x, z)
    return min(expected, key=lambda word: float((torch.cat(expected[word]) - found).norm()))
    ### END SOLUTION


# %% tags=["wrong-answer"]
# The step is made on the players themselves: after the measurement they are others.
def pushes(step, G, D, x, z):
    old = weights_of(D), weights_of(G)
    at_both = torch.stack([slope_of(D(e).sum(), D) for e in (x, G(z).detach())], 1)
    along = slope_of(D(G(z)).sum(), G)
    step(G, D, SGD(D.parameters(), lr=1e-5), SGD(G.parameters(), lr=1e-5), x, z)
    uv = torch.linalg.lstsq(at_both, 1e5 * (weights_of(D) - old[0])[:, None]).solution[:, 0]
    w = 1e5 * along @ (weights_of(G) - old[1]) / (along @ along)
    return torch.cat([uv, w[None]])


def verdict(step, G, D, x, z):
    t = float(torch.sigmoid(D(G(z)).detach()))
    u, v, w = pushes(step, G, D, x, z).tolist()
    if abs(w - (1 - t)) < 0.01:
        return "right" if u > 0 else "labels swapped"
    return "no detach" if abs(v + t) < 0.01 else "one loss for both"


# %% tags=["wrong-answer"]
# The change is not divided by the rate.
def pushes(step, G, D, x, z):
    G2, D2 = copy.deepcopy(G), copy.deepcopy(D)
    step(G2, D2, SGD(D2.parameters(), lr=1e-3), SGD(G2.parameters(), lr=1e-3), x, z)
    at_both = torch.stack([slope_of(D(e).sum(), D) for e in (x, G(z).detach())], 1)
    along = slope_of(D(G(z)).sum(), G)
    uv = torch.linalg.lstsq(at_both, (weights_of(D2) - weights_of(D))[:, None]).solution[:, 0]
    w = along @ (weights_of(G2) - weights_of(G)) / (along @ along)
    return torch.cat([uv, w[None]])


def verdict(step, G, D, x, z):
    t = float(torch.sigmoid(D(G(z)).detach()))
    u, v, w = (1e3 * pushes(step, G, D, x, z)).tolist()
    if abs(w - (1 - t)) < 0.01:
        return "right" if u > 0 else "labels swapped"
    return "no detach" if abs(v + t) < 0.01 else "one loss for both"


# %% tags=["wrong-answer"]
# Old minus new: the gradient of a loss, not the push.
def pushes(step, G, D, x, z):
    G2, D2 = copy.deepcopy(G), copy.deepcopy(D)
    step(G2, D2, SGD(D2.parameters(), lr=1e-5), SGD(G2.parameters(), lr=1e-5), x, z)
    at_both = torch.stack([slope_of(D(e).sum(), D) for e in (x, G(z).detach())], 1)
    along = slope_of(D(G(z)).sum(), G)
    uv = torch.linalg.lstsq(at_both, 1e5 * (weights_of(D) - weights_of(D2))[:, None]).solution[:, 0]
    w = 1e5 * along @ (weights_of(G) - weights_of(G2)) / (along @ along)
    return torch.cat([uv, w[None]])


def verdict(step, G, D, x, z):
    t = float(torch.sigmoid(D(G(z)).detach()))
    u, v, w = (-pushes(step, G, D, x, z)).tolist()
    if abs(w - (1 - t)) < 0.01:
        return "right" if u > 0 else "labels swapped"
    return "no detach" if abs(v + t) < 0.01 else "one loss for both"


# %% tags=["wrong-answer"]
# Each gradient by itself, as if the two were at right angles.
def pushes(step, G, D, x, z):
    G2, D2 = copy.deepcopy(G), copy.deepcopy(D)
    step(G2, D2, SGD(D2.parameters(), lr=1e-5), SGD(G2.parameters(), lr=1e-5), x, z)
    at_both = [slope_of(D(e).sum(), D) for e in (x, G(z).detach())]
    along = slope_of(D(G(z)).sum(), G)
    change = 1e5 * (weights_of(D2) - weights_of(D))
    uv = [at @ change / (at @ at) for at in at_both]
    w = 1e5 * along @ (weights_of(G2) - weights_of(G)) / (along @ along)
    return torch.stack([*uv, w])


def verdict(step, G, D, x, z):
    t = float(torch.sigmoid(D(G(z)).detach()))
    u, v, w = pushes(step, G, D, x, z).tolist()
    if abs(w - (1 - t)) < 0.01:
        return "right" if u > 0 else "labels swapped"
    return "no detach" if abs(v + t) < 0.01 else "one loss for both"


# %% tags=["wrong-answer"]
# Signs alone.
def pushes(step, G, D, x, z):
    G2, D2 = copy.deepcopy(G), copy.deepcopy(D)
    step(G2, D2, SGD(D2.parameters(), lr=1e-5), SGD(G2.parameters(), lr=1e-5), x, z)
    at_both = torch.stack([slope_of(D(e).sum(), D) for e in (x, G(z).detach())], 1)
    along = slope_of(D(G(z)).sum(), G)
    uv = torch.linalg.lstsq(at_both, 1e5 * (weights_of(D2) - weights_of(D))[:, None]).solution[:, 0]
    w = 1e5 * along @ (weights_of(G2) - weights_of(G)) / (along @ along)
    return torch.cat([uv, w[None]])


def verdict(step, G, D, x, z):
    u, v, w = pushes(step, G, D, x, z).tolist()
    if u < 0:
        return "labels swapped"
    if v > 0:
        return "one loss for both"
    return "right" if w > 0 else "no detach"


# %% tags=["wrong-answer"]
# What would be true of a D that tosses a coin.
def pushes(step, G, D, x, z):
    G2, D2 = copy.deepcopy(G), copy.deepcopy(D)
    step(G2, D2, SGD(D2.parameters(), lr=1e-5), SGD(G2.parameters(), lr=1e-5), x, z)
    at_both = torch.stack([slope_of(D(e).sum(), D) for e in (x, G(z).detach())], 1)
    along = slope_of(D(G(z)).sum(), G)
    uv = torch.linalg.lstsq(at_both, 1e5 * (weights_of(D2) - weights_of(D))[:, None]).solution[:, 0]
    w = 1e5 * along @ (weights_of(G2) - weights_of(G)) / (along @ along)
    return torch.cat([uv, w[None]])


def verdict(step, G, D, x, z):
    found = pushes(step, G, D, x, z)
    table = {
        "right": (0.5, -0.5, 0.5),
        "labels swapped": (-0.5, 0.5, 0.5),
        "no detach": (0.5, -0.5, 0.0),
        "one loss for both": (0.5, 0.0, 0.0),
    }
    return min(table, key=lambda word: float((vector(*table[word]) - found).norm()))


# %% tags=["wrong-answer"]
# Looks at G alone: whoever shares D's loss with G has forgotten to detach.
def pushes(step, G, D, x, z):
    G2, D2 = copy.deepcopy(G), copy.deepcopy(D)
    step(G2, D2, SGD(D2.parameters(), lr=1e-5), SGD(G2.parameters(), lr=1e-5), x, z)
    at_both = torch.stack([slope_of(D(e).sum(), D) for e in (x, G(z).detach())], 1)
    along = slope_of(D(G(z)).sum(), G)
    uv = torch.linalg.lstsq(at_both, 1e5 * (weights_of(D2) - weights_of(D))[:, None]).solution[:, 0]
    w = 1e5 * along @ (weights_of(G2) - weights_of(G)) / (along @ along)
    return torch.cat([uv, w[None]])


def verdict(step, G, D, x, z):
    u, _, w = pushes(step, G, D, x, z).tolist()
    t = float(torch.sigmoid(D(G(z)).detach()))
    if abs(w - (1 - 2 * t)) < 1e-3:
        return "no detach"
    return "right" if u > 0 else "labels swapped"


# %% nbgrader={"grade": true, "grade_id": "check-faults", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def made_of(d_terms, g_terms):
    """A step in which both descend multiples of D's loss, G's, and D's with swapped labels."""

    def step(G, D, d_optimizer, g_optimizer, x, z):
        real, fake = D(x), D(G(z))
        losses = torch.stack(
            [
                (softplus(-real) + softplus(fake)).mean(),
                softplus(-fake).mean(),
                (softplus(real) + softplus(-fake)).mean(),
            ]
        )
        for optimizer, terms in ((d_optimizer, d_terms), (g_optimizer, g_terms)):
            mine = [w for group in optimizer.param_groups for w in group["params"]]
            found = torch.autograd.grad(losses @ vector(*terms), mine, retain_graph=True)
            for w, slope in zip(mine, found, strict=True):
                w.grad = slope
        d_optimizer.step()
        g_optimizer.step()

    return step


def in_turns(G, D, d_optimizer, g_optimizer, x, z):
    """A right step: G against the D that has moved."""
    for optimizer, loss in (
        (d_optimizer, lambda: softplus(-D(x)) + softplus(D(G(z).detach()))),
        (g_optimizer, lambda: softplus(-D(G(z)))),
    ):
        optimizer.zero_grad()
        loss().mean().backward()
        optimizer.step()


def expected_pushes(d_terms, g_terms, s, t):
    """u, v and w of such a step, at σ(a(x)) = s and σ(a(G(z))) = t."""
    of_d, of_g, swapped = vector(1 - s, -t), vector(0.0, 1 - t), vector(-s, 1 - t)
    parts = [
        torch.stack([of_d, of_g, swapped]) * vector(*terms)[:, None] for terms in (d_terms, g_terms)
    ]
    return torch.cat([parts[0].sum(0), parts[1].sum(0)[1:]])


def pair_of_examples(seed, shift):
    """Players whose D's logits are shifted, a real example and noise."""
    G, D = players(seed)
    g = seeded(seed + 100)
    with torch.no_grad():
        D.net[-1].bias += shift
    return G, D, 1.5 * randn(1, 2, generator=g), randn(1, 2, generator=g)


FAULTS = {
    "right": ((1, 0, 0), (0, 1, 0)),
    "labels swapped": ((0, 0, 1), (0, 1, 0)),
    "no detach": ((1, 0, 0), (1, 1, 0)),
    "one loss for both": ((1, 1, 0), (1, 1, 0)),
}

with check("8.8") as answer:
    for seed, shift in ((30, 0.0), (31, -1.5), (32, 1.5)):
        G, D, x, z = pair_of_examples(seed, shift)
        before = torch.cat([weights_of(G), weights_of(D)])
        with torch.no_grad():
            s, t = (float(torch.sigmoid(D(e))) for e in (x, G(z)))
        setting = f"D gives {s:.3f} to x and {t:.3f} to G(z)"
        for terms, how in (
            (((1, 0, 0), (0, 0, 0)), "D descends its loss and G stands still"),
            (((0, 0, 0), (0, 1, 0)), "G descends its loss and D stands still"),
            (((2, 0, 0), (0, 0.5, 0)), "D descends twice its loss and G half of its own"),
            (((1, 0.3, 0.2), (0.4, 1, 0)), "both descend a mixture of losses"),
        ):
            found = pushes(made_of(*terms), G, D, x, z)
            fits(found, 3)
            after = torch.cat([weights_of(G), weights_of(D)])
            assert torch.equal(before, after), (
                "your measurement has changed the players that it was given; step with copies"
            )
            right = expected_pushes(*terms, s, t)
            off = float((found - right).abs().max())
            assert off < 0.01, (
                f"{setting}; {how}: (u, v, w) = {tuple(said(right))}; yours are "
                f"{tuple(said(found))}. They are pushes, new weights minus old for a rate of 1, "
                "with the two gradients of D taken together"
            )
        off = float(
            (pushes(in_turns, G, D, x, z) - expected_pushes((1, 0, 0), (0, 1, 0), s, t)).norm()
        )
        assert off < 0.01, (
            f"{setting}; a right step, in which G moves after D: your pushes are {off:.4f} off. With "
            "a rate that is not tiny G meets another D"
        )
        for word, terms in FAULTS.items():
            found = verdict(made_of(*terms), G, D, x, z)
            right = tuple(said(expected_pushes(*terms, s, t)))
            assert found == word, (
                f"{setting}; a step with the pushes (u, v, w) = {right} is «{word}»; your verdict "
                f"is «{found}»"
            )
### BEGIN HIDDEN TESTS
answer.require()


for seed in (40, 41, 42):
    for shift in (-2.0, -1.0, 1.0, 2.0):
        G, D, x, z = pair_of_examples(seed, shift)
        assert verdict(in_turns, G, D, x, z) == "right"
        for word, terms in FAULTS.items():
            assert verdict(made_of(*terms), G, D, x, z) == word
### END HIDDEN TESTS

# %% [markdown]
# Your verdict on the four (nothing to hand in), measured on players that have not learnt anything.
# Which one did you take for right? Would the losses above the pictures have told? (The right one
# lacks nothing but a D that learns faster than G, and an Adam without momentum.) Where D tosses a
# coin, D's loss pushes a draw down as hard as G's loss pushes it up. What then becomes of the
# generators of A and of D?


# %%
try:
    G, D, x, z = pair_of_examples(28, 0.0)
    lines = ["        u      v      w   verdict"]
    for name, step in STEPS.items():
        found = " ".join(f"{number:6.2f}" for number in pushes(step, G, D, x, z).tolist())
        lines.append(f"{name}  {found}   {verdict(step, G, D, x, z)}")
    print(*lines, sep="\n")
except NotImplementedError:
    print("Comes with exercise 8.8.")
