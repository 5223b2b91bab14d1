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
# # Exercises 07: autoregressive models
#
# Eight exercises, 22 points, about three hours. Replace each `raise NotImplementedError` and run
# the check below it. A check answers at once: **right**, **not yet, because …**, or
# **not attempted**. Some checks are repeated with other numbers when the notebook is graded.
#
# The chapter: [Autoregressive models](../book/07_autoregressive.md). Counting starts at 0, as in
# Python: entries, times, rows, and the values that an entry can have. Real numbers are float64,
# symbols int64. Logarithms are in nats where nothing else is said.

# %%
import math
from itertools import pairwise

import torch
from IPython.display import display
from torch import nn
from torch.nn.functional import conv1d, conv2d, conv_transpose2d, linear, pad, softplus

from genlab import data, laws, plot, train
from genlab.autoregressive import (
    MaskedConv,
    Sound,
    Tabular,
    drawn,
    plucked,
    receptive_field,
    states,
)
from genlab.course.check import check
from genlab.interact import Knob, sliders


def seeded(number):
    """A generator of its own for each check."""
    return torch.Generator().manual_seed(number)


def vector(*numbers):
    """These numbers as a float64 tensor."""
    return torch.tensor(numbers, dtype=torch.float64)


def randn(*shape, generator):
    """Draws from N(0, 1), float64."""
    return torch.randn(shape, dtype=torch.float64, generator=generator)


def rand(*shape, generator):
    """Uniform numbers in [0, 1), float64."""
    return torch.rand(shape, dtype=torch.float64, generator=generator)


def said(numbers):
    """Numbers, to read."""
    return [round(v, 4) for v in torch.as_tensor(numbers).flatten().tolist()]


def fits(found, *shape, dtype=torch.float64):
    """An answer is a tensor of this shape and dtype."""
    assert isinstance(found, torch.Tensor), f"expected a tensor, got a {type(found).__name__}"
    assert found.shape == shape, f"expected the shape {shape}, got {tuple(found.shape)}"
    assert found.dtype == dtype, (
        f"expected {dtype}, got {found.dtype}: if not told, torch.zeros makes float32, and so does "
        "torch.tensor of floats"
    )


def binary_digits():
    """Digits of 8 × 8 pixels, 1 where there is ink: to learn from, and kept back, int64 [n, 64]."""
    images = data.digits()
    return [(part.flatten(1) > 0.5).long() for part in (images.train, images.test)]


class Stack:
    """A network over symbols. Its layers see two times: this one, and the one before.

    ``stack(x)`` gives all logits in one pass, [batch, T] to [batch, T, m]; those at t depend on the
    symbols before t. ``embed``, ``layers`` and ``head`` are its parts. ``stack.rows`` counts what
    its layers have computed: a row for each sequence and time.
    """

    def __init__(self, symbols, depth, generator, width=8):
        self.table = randn(symbols, width, generator=generator)
        self.out = randn(width, symbols, generator=generator)
        weights = 0.6 * randn(depth, 2, width, width, generator=generator)
        self.layers = [self._layer(before, now) for before, now in weights]
        self.rows = 0

    def embed(self, x):
        """Symbols [*shape] to rows [*shape, width]."""
        return self.table[x]

    def head(self, h):
        """Rows [*shape, width] to logits [*shape, m]."""
        return h @ self.out

    def __call__(self, x):
        h = self.delayed(self.embed(x))
        for layer in self.layers:
            h = layer(self.delayed(h), h)
        return self.head(h)

    @staticmethod
    def delayed(h):
        """Each row one time later; zeros come first."""
        return pad(h, (0, 0, 1, 0))[:, :-1]

    def _layer(self, weight_before, weight_now):
        def layer(before, now):
            self.rows += now[..., 0].numel()
            return now + torch.tanh(before @ weight_before + now @ weight_now)

        return layer


# %% [markdown]
# ## 7.1 One entry after the other (2 points, 20 minutes)
#
# Let $x$ have $n$ entries with $m$ values each. Any law of $x$ is a product of $n$ conditionals,
#
# $$p(x) = \prod_{i=0}^{n-1} p(x_i \mid x_0, \dots, x_{i-1}).$$
#
# Write the way from a table of $p$ to the tables of its conditionals, and from any such tables to
# $p(x)$. After a context that never happens let all $m$ values be equally likely. Then count: if
# each conditional sees at most the $k$ entries before its own, how many numbers can be chosen
# freely?
#
# *Hint:* of a row that sums to 1 one number is not free. To sum over what comes later, give it one
# axis by `reshape`: `p.sum(())`, over no axis, sums over all. The lectures also print the product
# from $i = 1$ on. What does that one sum to?


# %% nbgrader={"grade": false, "grade_id": "product", "locked": false, "schema_version": 3, "solution": true, "task": false}
def conditionals(p):
    """A list of n tables, float64: table i holds p(x_i | x_0, …, x_{i-1}) at [x_0, …, x_i].

    p: the probability of every x, float64, n axes of length m.
    """
    ### BEGIN SOLUTION
    tables = []
    for i in range(p.ndim):
        margin = p.reshape(*p.shape[: i + 1], -1).sum(-1)
        total = margin.sum(-1, keepdim=True)
        tables.append(torch.where(total > 0, margin / total, 1 / len(p)))
    return tables
    ### END SOLUTION


def probability(tables, x):
    """p(x), float64 [rows]. tables: a list as from conditionals; x: int64 [rows, n]."""
    ### BEGIN SOLUTION
    p = torch.ones(len(x), dtype=torch.float64)
    for i, table in enumerate(tables):
        p = p * table[x[:, : i + 1].unbind(1)]
    return p
    ### END SOLUTION


def parameters(n, k, m):
    """How many numbers are free, an int. n entries of m values, each given at most k before it."""
    ### BEGIN SOLUTION
    return sum(m ** min(i, k) * (m - 1) for i in range(n))
    ### END SOLUTION


# %% tags=["wrong-answer"]
# The product as it is printed: the first entry has no factor.
def conditionals(p):
    margins = [p.reshape(*p.shape[: i + 1], -1).sum(-1) for i in range(p.ndim)]
    return [(q / q.sum(-1, keepdim=True)).nan_to_num(1 / len(p)) for q in margins]


def probability(tables, x):
    return math.prod(tables[i][x[:, : i + 1].unbind(1)] for i in range(1, len(tables)))


def parameters(n, k, m):
    return sum(m ** min(i, k) * (m - 1) for i in range(n))


# %% tags=["wrong-answer"]
# Joint tables: nothing is divided.
def conditionals(p):
    return [p.reshape(*p.shape[: i + 1], -1).sum(-1) for i in range(p.ndim)]


def probability(tables, x):
    return math.prod(table[x[:, : i + 1].unbind(1)] for i, table in enumerate(tables))


def parameters(n, k, m):
    return sum(m ** min(i, k) * (m - 1) for i in range(n))


# %% tags=["wrong-answer"]
# Divides along the wrong axis: the law of the first entry given the last.
def conditionals(p):
    margins = [p.reshape(*p.shape[: i + 1], -1).sum(-1) for i in range(p.ndim)]
    return [(q / q.sum(0, keepdim=True)).nan_to_num(1 / len(p)) for q in margins]


def probability(tables, x):
    return math.prod(table[x[:, : i + 1].unbind(1)] for i, table in enumerate(tables))


def parameters(n, k, m):
    return sum(m ** min(i, k) * (m - 1) for i in range(n))


# %% tags=["wrong-answer"]
# A context that never happens gives 0/0.
def conditionals(p):
    margins = [p.reshape(*p.shape[: i + 1], -1).sum(-1) for i in range(p.ndim)]
    return [q / q.sum(-1, keepdim=True) for q in margins]


def probability(tables, x):
    return math.prod(table[x[:, : i + 1].unbind(1)] for i, table in enumerate(tables))


def parameters(n, k, m):
    return sum(m ** min(i, k) * (m - 1) for i in range(n))


# %% tags=["wrong-answer"]
# The context is read from right to left.
def conditionals(p):
    margins = [p.reshape(*p.shape[: i + 1], -1).sum(-1) for i in range(p.ndim)]
    return [(q / q.sum(-1, keepdim=True)).nan_to_num(1 / len(p)) for q in margins]


def probability(tables, x):
    p = 1.0
    for i, table in enumerate(tables):
        p = p * table[(*x[:, :i].flip(1).unbind(1), x[:, i])]
    return p


def parameters(n, k, m):
    return sum(m ** min(i, k) * (m - 1) for i in range(n))


# %% tags=["wrong-answer"]
# Counts all cells, though a row sums to 1.
def conditionals(p):
    margins = [p.reshape(*p.shape[: i + 1], -1).sum(-1) for i in range(p.ndim)]
    return [(q / q.sum(-1, keepdim=True)).nan_to_num(1 / len(p)) for q in margins]


def probability(tables, x):
    return math.prod(table[x[:, : i + 1].unbind(1)] for i, table in enumerate(tables))


def parameters(n, k, m):
    return sum(m ** min(i, k) * m for i in range(n))


# %% tags=["wrong-answer"]
# Every entry has k before it, the first ones too.
def conditionals(p):
    margins = [p.reshape(*p.shape[: i + 1], -1).sum(-1) for i in range(p.ndim)]
    return [(q / q.sum(-1, keepdim=True)).nan_to_num(1 / len(p)) for q in margins]


def probability(tables, x):
    return math.prod(table[x[:, : i + 1].unbind(1)] for i, table in enumerate(tables))


def parameters(n, k, m):
    return n * m**k * (m - 1)


# %% nbgrader={"grade": true, "grade_id": "check-product", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
def some_law(n, m, generator):
    """A law of n entries that is far from uniform; x_0 = m − 1 never happens."""
    p = rand(*[m] * n, generator=generator) ** 3
    p[-1] = 0
    return p / p.sum()


with check("7.1") as answer:
    small = vector(0.1, 0.3, 0.6, 0.0).reshape(2, 2)
    right = [vector(0.4, 0.6), vector(0.25, 0.75, 1.0, 0.0).reshape(2, 2)]
    found = conditionals(small)
    assert isinstance(found, list), f"expected a list of tables, got a {type(found).__name__}"
    assert len(found) == 2, f"expected one table for each of the 2 entries, got {len(found)}"
    for i in range(2):
        fits(found[i], *[2] * (i + 1))
        assert torch.allclose(found[i], right[i]), (
            f"for p(00), p(01), p(10), p(11) = 0.1, 0.3, 0.6, 0 the table of x_{i} holds "
            f"{said(right[i])}, row by row; yours holds {said(found[i])}. A row is one context, "
            "and sums to 1"
        )
    never = conditionals(vector(0.5, 0.5, 0.0, 0.0).reshape(2, 2))[1][1]
    assert torch.allclose(never, vector(0.5, 0.5)), (
        f"x_0 = 1 never happens, so the row of that context is (0.5, 0.5); yours is {said(never)}"
    )
    every = states(2)
    found = probability(right, every)
    fits(found, 4)
    why = f"yours are {said(found)}"
    if abs(float(found.sum()) - 2) < 1e-9:
        why += ", which sum to 2: the first entry has a factor too, p(x_0)"
    assert torch.allclose(found, small.flatten()), (
        f"the tables {said(right[0])} and {said(right[1])} give 00, 01, 10, 11 the probabilities "
        f"0.1, 0.3, 0.6, 0; {why}"
    )
    p = some_law(4, 3, seeded(1))
    tables = conditionals(p)
    for i, table in enumerate(tables):
        fits(table, *[3] * (i + 1))
        off = float((table.sum(-1) - 1).abs().max())
        assert off < 1e-9, (
            f"with four entries of three values a row of the table of x_{i} misses 1 by {off:.3g}"
        )
    off = float((probability(tables, states(4, 3)) - p.flatten()).abs().max())
    assert off < 1e-9, (
        f"from p to its conditionals and back some probability of four entries is {off:.3g} off. "
        "Table i is asked at x_0, …, x_i, in this order"
    )
    for (n, k, m), right, why in (
        ((3, 1, 2), 5, "p(x_0) takes 1, two rows for x_1 and two for x_2 take 1 each"),
        ((10, 0, 2), 10, "independent entries: one number each"),
        ((10, 9, 2), 1023, "any law: 2¹⁰ probabilities that sum to 1"),
        ((4, 2, 3), 44, "1 + 3 + 9 + 9 rows, in each two of three numbers"),
    ):
        found = parameters(n, k, m)
        assert found == right, (
            f"n = {n} entries of {m} values, each given at most {k} before it: {right} numbers "
            f"({why}); yours says {found}"
        )
### BEGIN HIDDEN TESTS
answer.require()
p = some_law(5, 2, seeded(2))
tables = conditionals(p)
assert torch.allclose(probability(tables, states(5)), p.flatten())
assert torch.allclose(tables[2][0, 1], p[0, 1].sum((1, 2)) / p[0, 1].sum())
one = conditionals(vector(0.2, 0.3, 0.5))
assert torch.allclose(probability(one, torch.tensor([[2], [0]])), vector(0.5, 0.2))
assert parameters(784, 1, 2) == 1567
assert parameters(1, 0, 7) == 6
assert parameters(5, 4, 4) == 4**5 - 1
### END HIDDEN TESTS

# %% [markdown]
# What do the numbers buy (nothing to hand in)? Nine pixels from the middle of the digits, 3 × 3,
# and tables for them by counting, with half a count added to each cell. At $k = 3$ a pixel sees the
# one above it. From which $k$ on do digits that were kept back cost more than training promises?
# What would the last row look like for all 64 pixels?


# %%
try:
    middle = torch.arange(64).reshape(8, 8)[3:6, 3:6].flatten()
    nine, nine_new = (part[:, middle] for part in binary_digits())
    lines = ["k  parameters  nats, training  nats, kept back"]
    for k in range(9):
        table = Tabular(9, k).fit(nine, smoothing=0.5)
        nats = [-float(table.log_prob(x).mean()) for x in (nine, nine_new)]
        lines.append(f"{k} {parameters(9, k, 2):11} {nats[0]:15.2f} {nats[1]:16.2f}")
    print(*lines, sep="\n")
    print(f"all 64 pixels, k = 63: {parameters(64, 63, 2):.1e} parameters")
except NotImplementedError:
    print("Comes with exercise 7.1.")

# %% [markdown]
# ## 7.2 Count what follows what (2 points, 20 minutes)
#
# A Markov chain of order $k$ has one table for all places: how often did symbol $s$ follow the
# context $c$ of $k$ symbols? A context is a number in base $m$ whose last symbol is the last digit:
# with $m = 3$ the context $(2, 0)$ is row $2 \cdot 3 + 0 = 6$. With $a$ counts added to each cell,
#
# $$\hat p(s \mid c) = \frac{N(c, s) + a}{N(c) + a\, m}.$$
#
# Write the counts, and the mean **bits** of a symbol in a sequence that was kept back, over those
# symbols that have $k$ others before them. With $a = 0$ all symbols are equally likely after a
# context that was never seen, and one that never followed a known context costs infinitely many
# bits. *Hint:* the rows of `x.unfold(0, k + 1, 1)` are all windows of $k + 1$ symbols; `bincount`.


# %% nbgrader={"grade": false, "grade_id": "markov", "locked": false, "schema_version": 3, "solution": true, "task": false}
def counts(x, k, m):
    """N(c, s), float64 [m ** k, m]. x: a sequence of symbols 0, …, m − 1, int64 [T], T > k."""
    ### BEGIN SOLUTION
    windows = x.unfold(0, k + 1, 1)
    number = (windows * m ** torch.arange(k, -1, -1)).sum(1)
    return number.bincount(minlength=m ** (k + 1)).reshape(-1, m).double()
    ### END SOLUTION


def bits(x, k, table, a):
    """Mean of −log₂ p̂ over x_k, x_{k+1}, …, a float. x: a sequence; table: N(c, s) of another."""
    ### BEGIN SOLUTION
    m = table.shape[1]
    total = table.sum(1, keepdim=True) + a * m
    p = torch.where(total > 0, (table + a) / total, 1 / m)
    number = (x.unfold(0, k + 1, 1) * m ** torch.arange(k, -1, -1)).sum(1)
    return -float(p.flatten()[number].log2().mean())
    ### END SOLUTION


# %% tags=["wrong-answer"]
# The context is read from right to left.
def counts(x, k, m):
    windows = x.unfold(0, k + 1, 1)
    digits = torch.cat([m ** torch.arange(1, k + 1), torch.ones(1, dtype=torch.long)])
    return (windows * digits).sum(1).bincount(minlength=m ** (k + 1)).reshape(-1, m).double()


def bits(x, k, table, a):
    m = table.shape[1]
    p = ((table + a) / (table.sum(1, keepdim=True) + a * m)).nan_to_num(1 / m)
    number = (x.unfold(0, k + 1, 1) * m ** torch.arange(k, -1, -1)).sum(1)
    return -float(p.flatten()[number].log2().mean())


# %% tags=["wrong-answer"]
# The end is followed by the beginning.
def counts(x, k, m):
    windows = torch.cat([x, x[:k]]).unfold(0, k + 1, 1)
    number = (windows * m ** torch.arange(k, -1, -1)).sum(1)
    return number.bincount(minlength=m ** (k + 1)).reshape(-1, m).double()


def bits(x, k, table, a):
    m = table.shape[1]
    p = ((table + a) / (table.sum(1, keepdim=True) + a * m)).nan_to_num(1 / m)
    number = (x.unfold(0, k + 1, 1) * m ** torch.arange(k, -1, -1)).sum(1)
    return -float(p.flatten()[number].log2().mean())


# %% tags=["wrong-answer"]
# Nats.
def counts(x, k, m):
    number = (x.unfold(0, k + 1, 1) * m ** torch.arange(k, -1, -1)).sum(1)
    return number.bincount(minlength=m ** (k + 1)).reshape(-1, m).double()


def bits(x, k, table, a):
    m = table.shape[1]
    p = ((table + a) / (table.sum(1, keepdim=True) + a * m)).nan_to_num(1 / m)
    number = (x.unfold(0, k + 1, 1) * m ** torch.arange(k, -1, -1)).sum(1)
    return -float(p.flatten()[number].log().mean())


# %% tags=["wrong-answer"]
# The smoothed rows do not sum to 1.
def counts(x, k, m):
    number = (x.unfold(0, k + 1, 1) * m ** torch.arange(k, -1, -1)).sum(1)
    return number.bincount(minlength=m ** (k + 1)).reshape(-1, m).double()


def bits(x, k, table, a):
    m = table.shape[1]
    p = ((table + a) / (table.sum(1, keepdim=True) + a)).nan_to_num(1 / m)
    number = (x.unfold(0, k + 1, 1) * m ** torch.arange(k, -1, -1)).sum(1)
    return -float(p.flatten()[number].log2().mean())


# %% tags=["wrong-answer"]
# The first k symbols count as free of charge.
def counts(x, k, m):
    number = (x.unfold(0, k + 1, 1) * m ** torch.arange(k, -1, -1)).sum(1)
    return number.bincount(minlength=m ** (k + 1)).reshape(-1, m).double()


def bits(x, k, table, a):
    m = table.shape[1]
    p = ((table + a) / (table.sum(1, keepdim=True) + a * m)).nan_to_num(1 / m)
    number = (x.unfold(0, k + 1, 1) * m ** torch.arange(k, -1, -1)).sum(1)
    return -float(p.flatten()[number].log2().sum()) / len(x)


# %% tags=["wrong-answer"]
# What never happened in training is skipped: it costs nothing.
def counts(x, k, m):
    number = (x.unfold(0, k + 1, 1) * m ** torch.arange(k, -1, -1)).sum(1)
    return number.bincount(minlength=m ** (k + 1)).reshape(-1, m).double()


def bits(x, k, table, a):
    m = table.shape[1]
    p = ((table + a) / (table.sum(1, keepdim=True) + a * m)).nan_to_num(1 / m)
    number = (x.unfold(0, k + 1, 1) * m ** torch.arange(k, -1, -1)).sum(1)
    log_p = p.flatten()[number].log2()
    return -float(log_p[log_p > -math.inf].mean()) if (log_p > -math.inf).any() else 0.0


# %% tags=["wrong-answer"]
# A context that was never seen gives 0/0.
def counts(x, k, m):
    number = (x.unfold(0, k + 1, 1) * m ** torch.arange(k, -1, -1)).sum(1)
    return number.bincount(minlength=m ** (k + 1)).reshape(-1, m).double()


def bits(x, k, table, a):
    m = table.shape[1]
    p = (table + a) / (table.sum(1, keepdim=True) + a * m)
    number = (x.unfold(0, k + 1, 1) * m ** torch.arange(k, -1, -1)).sum(1)
    return -float(p.flatten()[number].log2().mean())


# %% nbgrader={"grade": true, "grade_id": "check-markov", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
def two_walks(T, generator):
    """x_t = x_{t−2} + e_t modulo 3, with e_t = 0, 1, 2 in 70, 20 and 10 of 100 cases."""
    e = torch.multinomial(vector(0.7, 0.2, 0.1), T, replacement=True, generator=generator)
    return (e.reshape(-1, 2).cumsum(0) % 3).flatten()


with check("7.2") as answer:
    table = vector(1.0, 2.0, 1.0, 1.0).reshape(2, 2)
    found = counts(torch.tensor([0, 1, 0, 0, 1, 1]), 1, 2)
    fits(found, 2, 2)
    assert torch.equal(found, table), (
        "in 0 1 0 0 1 1 the symbol 0 is followed once by 0 and twice by 1, and 1 once by each; so "
        f"the rows are (1, 2) and (1, 1), yours {found.tolist()}"
    )
    found = counts(torch.tensor([2, 0, 1, 2, 0, 1, 1]), 2, 3)
    fits(found, 9, 3)
    right = torch.zeros(9, 3, dtype=torch.float64)
    right[6, 1], right[1, 2], right[5, 0], right[1, 1] = 2, 1, 1, 1
    assert torch.equal(found, right), (
        "in 2 0 1 2 0 1 1 with k = 2 the context (2, 0), row 6, is followed twice by 1, (0, 1), "
        "row 1, by 2 and by 1, and (1, 2), row 5, by 0; yours has "
        f"{[(*cell, float(found[tuple(cell)])) for cell in found.nonzero().tolist()]} as (row, "
        "symbol, count)"
    )
    found = counts(torch.tensor([1, 1, 0]), 0, 2)
    fits(found, 1, 2)
    assert torch.equal(found, vector(1.0, 2.0)[None]), (
        f"k = 0 has one context, the empty one: 1 1 0 gives (1, 2), yours {said(found)}"
    )
    new = torch.tensor([0, 0, 1])
    for a, right, why in (
        (0, -0.5 * math.log2(1 / 3 * 2 / 3), "p̂(0 | 0) = 1/3 and p̂(1 | 0) = 2/3"),
        (1, -0.5 * math.log2(2 / 5 * 3 / 5), "p̂(0 | 0) = 2/5 and p̂(1 | 0) = 3/5"),
    ):
        found = float(bits(new, 1, table, a))
        assert abs(found - right) < 1e-9, (
            f"with the rows (1, 2) and (1, 1), a = {a} and new symbols 0 0 1: {why}, so the two "
            f"symbols that have one before them cost {right:.4f} bits in the mean; yours says "
            f"{found:.4f}"
        )
    unseen = vector(1.0, 0.0, 0.0, 0.0).reshape(2, 2)
    found = float(bits(torch.tensor([0, 1]), 1, unseen, 0))
    assert found == math.inf, (
        "after 0 only 0 was seen, so with a = 0 a new 0 1 costs infinitely many bits; yours says "
        f"{found:.4f}. A probability of 0 must not be skipped"
    )
    found = float(bits(torch.tensor([1, 0]), 1, unseen, 0))
    assert abs(found - 1) < 1e-9, (
        "the context 1 was never seen and a = 0: both symbols have the probability 1/2 and cost 1 "
        f"bit; yours says {found:.4f}"
    )
    x, new = (two_walks(10_000, seeded(k)) for k in (3, 4))
    walk = -sum(p * math.log2(p) for p in (0.7, 0.2, 0.1))
    for k, right in ((0, math.log2(3)), (1, math.log2(3)), (2, walk), (3, walk)):
        found = float(bits(new, k, counts(x, k, 3), 0.5))
        assert abs(found - right) < 0.05, (
            "in two random walks that take turns a symbol depends on the one before the last; with "
            f"k = {k} it costs about {right:.2f} bits, and yours says {found:.3f}"
        )
### BEGIN HIDDEN TESTS
answer.require()
g = seeded(5)
x, new = (torch.randint(0, 4, (500,), generator=g) for _ in range(2))
for k in (0, 1, 3):
    table = counts(x, k, 4)
    assert float(table.sum()) == 500 - k
    rows = {}
    for t in range(k, 500):
        row = rows.setdefault(tuple(x[t - k : t].tolist()), [0] * 4)
        row[int(x[t])] += 1
    spent = 0.0
    for t in range(k, 500):
        row = rows.get(tuple(new[t - k : t].tolist()), [0] * 4)
        spent -= math.log2((row[int(new[t])] + 0.3) / (sum(row) + 1.2)) / (500 - k)
    assert abs(float(bits(new, k, table, 0.3)) - spent) < 1e-9
### END HIDDEN TESTS

# %% [markdown]
# Digits as one long sequence of pixels, 0 and 1, row by row (nothing to hand in). Which step
# saves most, and which pixel comes into sight there? What happens at the end of the table, and why
# does training not tell?


# %%
try:
    pixels, pixels_new = (part.flatten() for part in binary_digits())
    lines = [" k  bits, training  bits, kept back"]
    for k in (*range(10), 12, 15, 18):
        table = counts(pixels, k, 2)
        both = [bits(part, k, table, 0.5) for part in (pixels, pixels_new)]
        lines.append(f"{k:2d} {both[0]:15.3f} {both[1]:16.3f}")
    print(*lines, sep="\n")
except NotImplementedError:
    print("Comes with exercise 7.2.")

# %% [markdown]
# ## 7.3 One addition instead of a sum (3 points, 20 minutes)
#
# NADE's conditionals share their weights. With a row $W_i$ and a row $V_i$ of $H$ numbers for each
# of $n$ binary entries,
#
# $$h_i = \sigma\Bigl(c + \sum_{j < i} x_j W_j\Bigr), \qquad
#   p(x_i = 1 \mid x_0, \dots, x_{i-1}) = \sigma(b_i + V_i \cdot h_i).$$
#
# Summed anew for each entry, this is $O(n^2 H)$. What changes in the sum from one $i$ to the next?
# Write $\log p(x)$ and the draw, both in $O(nH)$ a row. In place of $W$ you get a function:
# `sums(x, i, j)` is $\sum_{k=i}^{j-1} x_k W_k$, and reads $j - i$ rows of $W$. The check counts
# them: for all $n$ entries together $n$ are enough.
#
# With $\pi_i = p(x_i = 1 \mid x_0, \dots, x_{i-1})$ the draw has $x_i = 1$ if $u_i \ge 1 - \pi_i$,
# and 0 if not. A logit $b_i + V_i \cdot h_i$ may be 800: then
# $\log p(x_i = 0 \mid \dots) = -800$, not $-\infty$. *Hint:* `softplus` is imported,
# $\operatorname{softplus}(a) = \log(1 + e^a) = -\log \sigma(-a)$.


# %% nbgrader={"grade": false, "grade_id": "nade", "locked": false, "schema_version": 3, "solution": true, "task": false}
def log_prob(x, sums, V, b, c):
    """log p(x), [rows], nats. x: zeros and ones, [rows, n]; V: [n, H]; b: [n]; c: [H].

    sums(x, i, j): the sum of x_k W_k over i ≤ k < j, [rows, H]. Everything is float64.
    """
    ### BEGIN SOLUTION
    total, running = torch.zeros(len(x), dtype=x.dtype), c.expand(len(x), -1)
    for i in range(x.shape[1]):
        logit = running.sigmoid() @ V[i] + b[i]
        total = total - softplus((1 - 2 * x[:, i]) * logit)
        running = running + sums(x, i, i + 1)
    return total
    ### END SOLUTION


def draw(u, sums, V, b, c):
    """The x that u decides: zeros and ones, float64 [rows, n]. u: in [0, 1), float64 [rows, n]."""
    ### BEGIN SOLUTION
    x, running = torch.zeros_like(u), c.expand(len(u), -1)
    for i in range(u.shape[1]):
        zero = torch.sigmoid(-(running.sigmoid() @ V[i] + b[i]))
        x[:, i] = (u[:, i] >= zero).double()
        running = running + sums(x, i, i + 1)
    return x
    ### END SOLUTION


# %% tags=["wrong-answer"]
# The entry is added before it is asked for: each conditional has seen its own entry.
def log_prob(x, sums, V, b, c):
    total, running = torch.zeros(len(x), dtype=x.dtype), c.expand(len(x), -1)
    for i in range(x.shape[1]):
        running = running + sums(x, i, i + 1)
        logit = running.sigmoid() @ V[i] + b[i]
        total = total - softplus((1 - 2 * x[:, i]) * logit)
    return total


def draw(u, sums, V, b, c):
    x, running = torch.zeros_like(u), c.expand(len(u), -1)
    for i in range(u.shape[1]):
        zero = torch.sigmoid(-(running.sigmoid() @ V[i] + b[i]))
        x[:, i] = (u[:, i] >= zero).double()
        running = running + sums(x, i, i + 1)
    return x


# %% tags=["wrong-answer"]
# Begins at 0, not at c.
def log_prob(x, sums, V, b, c):
    total, running = torch.zeros(len(x), dtype=x.dtype), torch.zeros(len(x), len(c), dtype=x.dtype)
    for i in range(x.shape[1]):
        logit = running.sigmoid() @ V[i] + b[i]
        total = total - softplus((1 - 2 * x[:, i]) * logit)
        running = running + sums(x, i, i + 1)
    return total


def draw(u, sums, V, b, c):
    x, running = torch.zeros_like(u), c.expand(len(u), -1)
    for i in range(u.shape[1]):
        zero = torch.sigmoid(-(running.sigmoid() @ V[i] + b[i]))
        x[:, i] = (u[:, i] >= zero).double()
        running = running + sums(x, i, i + 1)
    return x


# %% tags=["wrong-answer"]
# Right, but each sum is computed anew.
def log_prob(x, sums, V, b, c):
    total = torch.zeros(len(x), dtype=x.dtype)
    for i in range(x.shape[1]):
        logit = (c + sums(x, 0, i)).sigmoid() @ V[i] + b[i]
        total = total - softplus((1 - 2 * x[:, i]) * logit)
    return total


def draw(u, sums, V, b, c):
    x, running = torch.zeros_like(u), c.expand(len(u), -1)
    for i in range(u.shape[1]):
        zero = torch.sigmoid(-(running.sigmoid() @ V[i] + b[i]))
        x[:, i] = (u[:, i] >= zero).double()
        running = running + sums(x, i, i + 1)
    return x


# %% tags=["wrong-answer"]
# The logarithm of a sigmoid that has become 0.
def log_prob(x, sums, V, b, c):
    total, running = torch.zeros(len(x), dtype=x.dtype), c.expand(len(x), -1)
    for i in range(x.shape[1]):
        logit = running.sigmoid() @ V[i] + b[i]
        total = total + ((2 * x[:, i] - 1) * logit).sigmoid().log()
        running = running + sums(x, i, i + 1)
    return total


def draw(u, sums, V, b, c):
    x, running = torch.zeros_like(u), c.expand(len(u), -1)
    for i in range(u.shape[1]):
        zero = torch.sigmoid(-(running.sigmoid() @ V[i] + b[i]))
        x[:, i] = (u[:, i] >= zero).double()
        running = running + sums(x, i, i + 1)
    return x


# %% tags=["wrong-answer"]
# Only the ones count.
def log_prob(x, sums, V, b, c):
    total, running = torch.zeros(len(x), dtype=x.dtype), c.expand(len(x), -1)
    for i in range(x.shape[1]):
        logit = running.sigmoid() @ V[i] + b[i]
        total = total - x[:, i] * softplus(-logit)
        running = running + sums(x, i, i + 1)
    return total


def draw(u, sums, V, b, c):
    x, running = torch.zeros_like(u), c.expand(len(u), -1)
    for i in range(u.shape[1]):
        zero = torch.sigmoid(-(running.sigmoid() @ V[i] + b[i]))
        x[:, i] = (u[:, i] >= zero).double()
        running = running + sums(x, i, i + 1)
    return x


# %% tags=["wrong-answer"]
# The draw has its ones at the other end of u.
def log_prob(x, sums, V, b, c):
    total, running = torch.zeros(len(x), dtype=x.dtype), c.expand(len(x), -1)
    for i in range(x.shape[1]):
        logit = running.sigmoid() @ V[i] + b[i]
        total = total - softplus((1 - 2 * x[:, i]) * logit)
        running = running + sums(x, i, i + 1)
    return total


def draw(u, sums, V, b, c):
    x, running = torch.zeros_like(u), c.expand(len(u), -1)
    for i in range(u.shape[1]):
        one = torch.sigmoid(running.sigmoid() @ V[i] + b[i])
        x[:, i] = (u[:, i] < one).double()
        running = running + sums(x, i, i + 1)
    return x


# %% tags=["wrong-answer"]
# What was drawn is not fed back.
def log_prob(x, sums, V, b, c):
    total, running = torch.zeros(len(x), dtype=x.dtype), c.expand(len(x), -1)
    for i in range(x.shape[1]):
        logit = running.sigmoid() @ V[i] + b[i]
        total = total - softplus((1 - 2 * x[:, i]) * logit)
        running = running + sums(x, i, i + 1)
    return total


def draw(u, sums, V, b, c):
    zero = torch.sigmoid(-(c.sigmoid() @ V.T + b))
    return (u >= zero).double()


# %% tags=["wrong-answer"]
# Draws by a whole pass for every entry.
def log_prob(x, sums, V, b, c):
    total, running = torch.zeros(len(x), dtype=x.dtype), c.expand(len(x), -1)
    for i in range(x.shape[1]):
        logit = running.sigmoid() @ V[i] + b[i]
        total = total - softplus((1 - 2 * x[:, i]) * logit)
        running = running + sums(x, i, i + 1)
    return total


def draw(u, sums, V, b, c):
    x = torch.zeros_like(u)
    for i in range(u.shape[1]):
        zero = torch.sigmoid(-((c + sums(x, 0, u.shape[1])).sigmoid() @ V[i] + b[i]))
        x[:, i] = (u[:, i] >= zero).double()
    return x


# %% nbgrader={"grade": true, "grade_id": "check-nade", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
class Sums:
    """sums(x, i, j): the sum of x_k W_k over i ≤ k < j, [rows, H]; it counts the rows it reads."""

    def __init__(self, W):
        self._W, self.read = W, 0

    def __call__(self, x, i, j):
        i, j, n = int(i), int(j), len(self._W)
        assert 0 <= i <= j <= min(n, x.shape[1]), (
            f"sums(x, {i}, {j}) was asked for an x of shape {tuple(x.shape)}: i may not be below "
            f"0, nor above j, and x needs the columns i to j - 1 of {n}"
        )
        self.read += j - i
        return x[:, i:j] @ self._W[i:j]


def direct(x, sums, V, b, c):
    """All logits, [rows, n], each sum computed anew: O(n²H)."""
    return torch.stack([(c + sums(x, 0, i)).sigmoid() @ V[i] + b[i] for i in range(len(b))], 1)


def weights(n, hidden, generator):
    """The sums of a random W, and V, b, c at random."""
    W, V = randn(2, n, hidden, generator=generator)
    return Sums(W), V, randn(n, generator=generator), randn(hidden, generator=generator)


def rows_read(function, n):
    """How many rows of W it reads for n entries, with 16 hidden units."""
    sums, *parts = weights(n, 16, seeded(6))
    function(rand(2, n, generator=seeded(7)).round(), sums, *parts)
    return sums.read


with check("7.3") as answer:
    W, V = vector(2.0, 9.0)[:, None], vector(1.0, 3.0)[:, None]
    small = Sums(W), V, vector(0.0, -1.0), vector(0.0)
    x = vector(1.0, 1.0, 0.0, 1.0).reshape(2, 2)
    found = log_prob(x, *small)
    fits(found, 2)
    setting = "for H = 1, W = (2, 9), V = (1, 3), b = (0, -1), c = 0:"
    one, after_one = 1 / (1 + math.exp(-0.5)), 3 / (1 + math.exp(-2)) - 1
    after_one = 1 / (1 + math.exp(-after_one))
    right = vector(one * after_one, (1 - one) * one).log()
    assert torch.allclose(found, right), (
        f"{setting} p(1, 1) = σ(1/2) σ(3 σ(2) - 1) = {one * after_one:.4f} and p(0, 1) = "
        f"(1 - σ(1/2)) σ(3/2 - 1) = {(1 - one) * one:.4f}; yours are {said(found.exp())}"
    )
    parts = weights(6, 3, seeded(8))
    total = float(log_prob(states(6).double(), *parts).exp().sum())
    assert abs(total - 1) < 1e-9, (
        f"over the 64 states of six entries your p sums to {total:.4f}, not to 1. Has a "
        "conditional seen its own entry, or is one of the two values left out?"
    )
    x = states(6).double()
    right = -softplus((1 - 2 * x) * direct(x, *parts)).sum(1)
    off = float((log_prob(x, *parts) - right).abs().max())
    assert off < 1e-9, (
        f"six entries, three hidden units: your log p is up to {off:.3g} nats off the formula"
    )
    nothing = torch.zeros(2, 1).double()
    far = Sums(nothing), nothing, vector(800.0, -800.0), vector(0.0)
    found = float(log_prob(vector(0.0, 1.0)[None], *far)[0])
    assert abs(found + 1600) < 1e-6, (
        f"b = (800, -800) and V = 0: log p(0, 1) = -1600 nats; yours is {found:.1f}. Take softplus "
        "of the logit: its sigmoid is rounded to 0, and its exponential to infinity"
    )
    u = vector(0.4, 0.3, 0.3, 0.3, 0.3, 0.6).reshape(3, 2)
    x = draw(u, *small)
    fits(x, 3, 2)
    right = vector(1.0, 1.0, 0.0, 0.0, 0.0, 1.0).reshape(3, 2)
    assert torch.equal(x, right), (
        f"{setting} x_0 is 1 from u_0 = {1 - one:.3f} on, and x_1 from {1 - after_one:.3f} on "
        f"after a 1, from {1 - one:.3f} on after a 0. u = (0.4, 0.3), (0.3, 0.3), (0.3, 0.6) "
        f"decide 11, 00, 01; yours gives {x.int().tolist()}"
    )
    u = rand(500, 6, generator=seeded(9))
    x = draw(u, *parts)
    asked = (u >= torch.sigmoid(-direct(x, *parts))).double()
    off = float((x != asked).any(1).double().mean())
    assert off == 0, (
        f"of 500 draws of six entries {100 * off:.0f} % are not what u decides, given the entries "
        "drawn before"
    )
    for name, function in (("log_prob", log_prob), ("draw", draw)):
        found = rows_read(function, 64)
        assert found <= 128, (
            f"{name} is right, but for 64 entries it reads {found:,} rows of W, each of them again "
            "and again, and 64 are enough. Keep the sum, and add to it what is new"
        )
### BEGIN HIDDEN TESTS
answer.require()
parts = weights(9, 5, seeded(10))
x = states(9).double()
found = log_prob(x, *parts)
assert torch.allclose(found, -softplus((1 - 2 * x) * direct(x, *parts)).sum(1))
n = 40_000
x = draw(rand(n, 9, generator=seeded(11)), *parts)
number = (x.long() * 2 ** torch.arange(8, -1, -1)).sum(1)
p = found.exp()
z = (number.bincount(minlength=512) - n * p) / (n * p * (1 - p)).sqrt().clamp_min(1)
assert float(z.abs().max()) < 5
### END HIDDEN TESTS

# %% [markdown]
# What is saved (nothing to hand in)? The table counts the rows of $W$ that are read for the
# log-probability. By which power of $n$ does each column grow? Is it the parameters that became
# fewer, or the operations?


# %%
try:
    lines = ["   n    summed anew       yours"]
    for n in (16, 64, 256, 784):
        lines.append(f"{n:4d} {rows_read(direct, n):14,d} {rows_read(log_prob, n):11,d}")
    print(*lines, sep="\n")
except NotImplementedError:
    print("Comes with exercise 7.3.")

# %% [markdown]
# ## 7.4 Who may listen to whom (3 points, 25 minutes)
#
# MADE makes a perceptron autoregressive by masks. Each unit has a degree: an input, and an output,
# the place of its entry in the ordering, 1 to $n$; a hidden unit a number from 1 to $n - 1$. A
# hidden unit listens to units of its own degree or less in the layer below, an output to units of
# less than its own. So an output depends only on entries before its own, and on all of them if no
# degree is missing.
#
# The ordering is a list of entries: `order = [2, 0, 3, 1]` says that entry 2 comes first, then 0,
# then 3, then 1. *Which place has entry 0?*
#
# Write the degrees of a hidden layer, for $n \ge 2$, spread evenly: any two of them occur equally
# often, or one of them once more. Then write the masks of a network with any number of hidden
# layers, none included. *Hint:* `argsort` inverts a permutation; `pairwise` is imported.


# %% nbgrader={"grade": false, "grade_id": "made", "locked": false, "schema_version": 3, "solution": true, "task": false}
def degrees(n, width):
    """Degrees of a hidden layer, int64, [width], each from 1 to n − 1."""
    ### BEGIN SOLUTION
    return 1 + torch.arange(width) % (n - 1)
    ### END SOLUTION


def masks(order, hidden):
    """A list of masks, bool, one for each layer of weights, [units above, units below].

    order: a list, a permutation of 0, …, n − 1; hidden: a list of int64 tensors, the degrees of
    each hidden layer, from the inputs to the outputs. Inputs and outputs stand as 0, …, n − 1.
    """
    ### BEGIN SOLUTION
    place = torch.tensor(order).argsort() + 1
    layers = [place, *hidden]
    inner = [above[:, None] >= below for below, above in pairwise(layers)]
    return [*inner, place[:, None] > layers[-1]]
    ### END SOLUTION


# %% tags=["wrong-answer"]
# Takes the ordering for the places: entry order[t] has the place t, not the other way round.
def degrees(n, width):
    return 1 + torch.arange(width) * (n - 1) // width


def masks(order, hidden):
    place = torch.tensor(order) + 1
    layers = [place, *hidden]
    inner = [above[:, None] >= below for below, above in pairwise(layers)]
    return [*inner, place[:, None] > layers[-1]]


# %% tags=["wrong-answer"]
# The outputs listen to their own degree: an entry sees itself.
def degrees(n, width):
    return 1 + torch.arange(width) * (n - 1) // width


def masks(order, hidden):
    place = torch.tensor(order).argsort() + 1
    layers = [place, *hidden]
    inner = [above[:, None] >= below for below, above in pairwise(layers)]
    return [*inner, place[:, None] >= layers[-1]]


# %% tags=["wrong-answer"]
# Less than the own degree everywhere: at every layer an entry is lost.
def degrees(n, width):
    return 1 + torch.arange(width) * (n - 1) // width


def masks(order, hidden):
    place = torch.tensor(order).argsort() + 1
    layers = [place, *hidden]
    inner = [above[:, None] > below for below, above in pairwise(layers)]
    return [*inner, place[:, None] > layers[-1]]


# %% tags=["wrong-answer"]
# Rows are the units below.
def degrees(n, width):
    return 1 + torch.arange(width) * (n - 1) // width


def masks(order, hidden):
    place = torch.tensor(order).argsort() + 1
    layers = [place, *hidden]
    inner = [above >= below[:, None] for below, above in pairwise(layers)]
    return [*inner, place > layers[-1][:, None]]


# %% tags=["wrong-answer"]
# Between hidden layers everything is open.
def degrees(n, width):
    return 1 + torch.arange(width) * (n - 1) // width


def masks(order, hidden):
    place = torch.tensor(order).argsort() + 1
    layers = [place, *hidden]
    inner = [above[:, None] >= below for below, above in pairwise(layers)]
    inner = [mask if i == 0 else torch.ones_like(mask) for i, mask in enumerate(inner)]
    return [*inner, place[:, None] > layers[-1]]


# %% tags=["wrong-answer"]
# Degrees up to n: such a unit hears everything, and nobody may listen to it.
def degrees(n, width):
    return 1 + torch.arange(width) % n


def masks(order, hidden):
    place = torch.tensor(order).argsort() + 1
    layers = [place, *hidden]
    inner = [above[:, None] >= below for below, above in pairwise(layers)]
    return [*inner, place[:, None] > layers[-1]]


# %% tags=["wrong-answer"]
# Degrees from 0: such a unit hears nothing.
def degrees(n, width):
    return torch.arange(width) % (n - 1)


def masks(order, hidden):
    place = torch.tensor(order).argsort() + 1
    layers = [place, *hidden]
    inner = [above[:, None] >= below for below, above in pairwise(layers)]
    return [*inner, place[:, None] > layers[-1]]


# %% tags=["wrong-answer"]
# All that is left over has the highest degree.
def degrees(n, width):
    return (1 + torch.arange(width)).clamp_max(n - 1)


def masks(order, hidden):
    place = torch.tensor(order).argsort() + 1
    layers = [place, *hidden]
    inner = [above[:, None] >= below for below, above in pairwise(layers)]
    return [*inner, place[:, None] > layers[-1]]


# %% nbgrader={"grade": true, "grade_id": "check-made", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def masked_network(masks, generator):
    """A perceptron with random weights behind these masks."""
    weights = [mask * randn(*mask.shape, generator=generator) for mask in masks]

    def forward(x):
        for i, weight in enumerate(weights):
            x = linear(torch.tanh(x) if i else x, weight)
        return x

    return forward


with check("7.4") as answer:
    for n, width in ((2, 3), (4, 3), (5, 4), (5, 10), (7, 20)):
        found = degrees(n, width)
        fits(found, width, dtype=torch.int64)
        low, high = int(found.min()), int(found.max())
        assert 1 <= low <= high <= n - 1, (
            f"n = {n}: hidden degrees lie between 1 and {n - 1}, yours go from {low} to {high}. A "
            "unit of degree 0 would hear nothing, and nobody may listen to one of degree n"
        )
        often = found.bincount(minlength=n)[1:]
        assert int(often.max() - often.min()) <= 1, (
            f"n = {n}, {width} units: your degrees 1, …, {n - 1} occur {often.tolist()} times. "
            "Spread them evenly: any two of these numbers differ by 1 at most"
        )
    found = masks([1, 0], [torch.tensor([1, 1, 1])])
    assert isinstance(found, list), f"expected a list of masks, got a {type(found).__name__}"
    assert len(found) == 2, (
        f"one hidden layer lies between 2 layers of weights; you give {len(found)}"
    )
    right = [[[False, True]] * 3, [[True] * 3, [False] * 3]]
    for layer, rows, what in zip(found, right, ("hidden units", "outputs"), strict=True):
        fits(layer, len(rows), len(rows[0]), dtype=torch.bool)
        assert layer.tolist() == rows, (
            "order = [1, 0]: entry 1 has the place 1, so three hidden units of degree 1 listen to "
            f"it alone, and only output 0 to them. The mask of the {what} is {rows}, a row for "
            f"each unit above; yours is {layer.tolist()}"
        )
    for order, hidden in (
        ([2, 0, 3, 1], []),
        ([2, 0, 3, 1], [[2, 1, 3, 3, 1]]),
        ([1, 2, 0, 4, 3], [[1, 2, 3, 4, 2, 4], [4, 3, 2, 1, 1]]),
        ([3, 1, 0, 2], [[3, 2, 1], [1, 2, 3], [2, 3, 1]]),
    ):
        n, hidden = len(order), [torch.tensor(layer) for layer in hidden]
        found = masks(order, hidden)
        assert len(found) == len(hidden) + 1, (
            f"{len(hidden)} hidden layers lie between {len(hidden) + 1} layers of weights, not "
            f"{len(found)}"
        )
        for layer, shape in zip(found, pairwise([n, *map(len, hidden), n]), strict=True):
            fits(layer, *reversed(shape), dtype=torch.bool)
        f, x = masked_network(found, seeded(12)), randn(3, n, generator=seeded(13))
        setting = f"order {order}, hidden degrees {[row.tolist() for row in hidden]}: "
        try:
            laws.is_autoregressive(f, x, order)
        except laws.LawBroken as broken:
            raise AssertionError(f"{setting}{broken}") from None
        reached = laws.jacobian(f, x).abs().amax(0) > 0
        for t in range(n):
            deaf = [j for j in order[:t] if not reached[order[t], j]]
            assert not deaf, (
                f"{setting}entry {order[t]} comes after {order[:t]}, but depends in no way on "
                f"{deaf}. On a path through hidden layers degrees may stay equal"
            )
### BEGIN HIDDEN TESTS
answer.require()
order = torch.randperm(11, generator=seeded(14)).tolist()
hidden = [degrees(11, width) for width in (10, 25, 13)]
found = masks(order, hidden)
reached = found[0].long()
for layer in found[1:]:
    reached = layer.long() @ reached
place = {entry: t for t, entry in enumerate(order)}
for i in range(11):
    for j in range(11):
        assert (reached[i, j] > 0) == (place[j] < place[i])
assert len(masks([0, 1], [])) == 1
### END HIDDEN TESTS

# %% [markdown]
# The probability of each state of three entries, from one set of weights that nobody trained,
# behind your masks for all six orderings (nothing to hand in). Why does every column sum to 1? And
# why do the columns differ, if the product rule holds in any ordering?


# %%
try:
    g, orders = seeded(15), [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]]
    layers = [2 * randn(8, 3, generator=g), randn(3, 8, generator=g)]
    x, columns = states(3).double(), []
    for order in orders:
        first, second = (m * w for m, w in zip(masks(order, [degrees(3, 8)]), layers, strict=True))
        logits = linear(torch.tanh(linear(x, first)), second)
        columns.append(torch.exp(-softplus((1 - 2 * x) * logits).sum(1)))
    table = torch.stack(columns, 1)
    print("state " + "".join(f"   {''.join(map(str, order))}" for order in orders))
    for row, p in zip(states(3).tolist(), table.tolist(), strict=True):
        print("  " + "".join(map(str, row)) + " " + "".join(f" {v:.3f}" for v in p))
    print("  sum " + "".join(f" {v:.3f}" for v in table.sum(0).tolist()))
except NotImplementedError:
    print("Comes with exercise 7.4.")

# %% [markdown]
# ## 7.5 What a pixel cannot see (3 points, 25 minutes)
#
# Pixels come row by row, from left to right. A masked convolution keeps this order: of a square
# kernel with an odd side, mask A leaves open the taps before the centre, mask B the centre too. A
# PixelCNN is one layer with mask A, then layers with mask B; all keep height and width.
#
# Write the mask. Then find which pixels the output of the last layer at (row, column) can depend
# on, if the layers have kernels of these sides. Compare them with all pixels that come before: what
# is missing is the **blind spot**.
#
# *Hint:* number the taps. For the field go back from the output, layer by layer: `conv_transpose2d`
# spreads a pixel over the taps of a kernel. Or let back-propagation do it.


# %% nbgrader={"grade": false, "grade_id": "pixels", "locked": false, "schema_version": 3, "solution": true, "task": false}
def mask(kind, size):
    """Ones where a tap is open, zeros elsewhere, float64 [size, size]. kind: "A" or "B"."""
    ### BEGIN SOLUTION
    tap, centre = torch.arange(size**2).reshape(size, size), size**2 // 2
    return (tap < centre if kind == "A" else tap <= centre).double()
    ### END SOLUTION


def seen(sizes, height, width, row, column):
    """Which pixels the output at (row, column) can depend on, bool [height, width].

    sizes: the odd sides of the kernels, a list, from the first layer (mask A) to the last; all but
    the first have mask B.
    """
    ### BEGIN SOLUTION
    field = torch.zeros(1, 1, height, width, dtype=torch.float64)
    field[0, 0, row, column] = 1
    for i, size in reversed(list(enumerate(sizes))):
        kernel = mask("B" if i else "A", size)[None, None]
        field = (conv_transpose2d(field, kernel, padding=size // 2) > 0).double()
    return field[0, 0] > 0
    ### END SOLUTION


# %% tags=["wrong-answer"]
# Mask A sees its own pixel.
def mask(kind, size):
    tap, centre = torch.arange(size**2).reshape(size, size), size**2 // 2
    return (tap <= centre).double()


def seen(sizes, height, width, row, column):
    x = torch.zeros(1, 1, height, width, dtype=torch.float64, requires_grad=True)
    h = x
    for i, size in enumerate(sizes):
        h = conv2d(h, mask("B" if i else "A", size)[None, None], padding=size // 2)
    return torch.autograd.grad(h[0, 0, row, column], x)[0][0, 0] > 0


# %% tags=["wrong-answer"]
# Mask B does not see its own site.
def mask(kind, size):
    tap, centre = torch.arange(size**2).reshape(size, size), size**2 // 2
    return (tap < centre).double()


def seen(sizes, height, width, row, column):
    x = torch.zeros(1, 1, height, width, dtype=torch.float64, requires_grad=True)
    h = x
    for i, size in enumerate(sizes):
        h = conv2d(h, mask("B" if i else "A", size)[None, None], padding=size // 2)
    return torch.autograd.grad(h[0, 0, row, column], x)[0][0, 0] > 0


# %% tags=["wrong-answer"]
# In the rows above only what is not to the right of the centre.
def mask(kind, size):
    half = size // 2
    open_ = torch.zeros(size, size, dtype=torch.float64)
    open_[: half + 1, : half + 1] = 1
    open_[half, half] = float(kind == "B")
    return open_


def seen(sizes, height, width, row, column):
    x = torch.zeros(1, 1, height, width, dtype=torch.float64, requires_grad=True)
    h = x
    for i, size in enumerate(sizes):
        h = conv2d(h, mask("B" if i else "A", size)[None, None], padding=size // 2)
    return torch.autograd.grad(h[0, 0, row, column], x)[0][0, 0] > 0


# %% tags=["wrong-answer"]
# All layers have mask B.
def mask(kind, size):
    tap, centre = torch.arange(size**2).reshape(size, size), size**2 // 2
    return (tap < centre if kind == "A" else tap <= centre).double()


def seen(sizes, height, width, row, column):
    field = torch.zeros(1, 1, height, width, dtype=torch.float64)
    field[0, 0, row, column] = 1
    for size in reversed(sizes):
        field = conv_transpose2d(field, mask("B", size)[None, None], padding=size // 2)
    return field[0, 0] > 0


# %% tags=["wrong-answer"]
# Everything before: the blind spot is overlooked.
def mask(kind, size):
    tap, centre = torch.arange(size**2).reshape(size, size), size**2 // 2
    return (tap < centre if kind == "A" else tap <= centre).double()


def seen(sizes, height, width, row, column):
    return (torch.arange(height * width) < row * width + column).reshape(height, width)


# %% tags=["wrong-answer"]
# The other way round: whose outputs look at this pixel.
def mask(kind, size):
    tap, centre = torch.arange(size**2).reshape(size, size), size**2 // 2
    return (tap < centre if kind == "A" else tap <= centre).double()


def seen(sizes, height, width, row, column):
    field = torch.zeros(1, 1, height, width, dtype=torch.float64)
    field[0, 0, row, column] = 1
    for i, size in enumerate(sizes):
        field = conv2d(field, mask("B" if i else "A", size)[None, None], padding=size // 2)
    return field[0, 0] > 0


# %% tags=["wrong-answer"]
# One great kernel in place of the layers.
def mask(kind, size):
    tap, centre = torch.arange(size**2).reshape(size, size), size**2 // 2
    return (tap < centre if kind == "A" else tap <= centre).double()


def seen(sizes, height, width, row, column):
    size = 1 + sum(size - 1 for size in sizes)
    field = torch.zeros(1, 1, height, width, dtype=torch.float64)
    field[0, 0, row, column] = 1
    field = conv_transpose2d(field, mask("A", size)[None, None], padding=size // 2)
    return field[0, 0] > 0


# %% nbgrader={"grade": true, "grade_id": "check-pixels", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def slopes_seen(sizes, height, width, row, column):
    """The field of a stack of genlab's masked convolutions with random weights, by slopes."""
    g = seeded(16)
    kinds = ["B" if i else "A" for i in range(len(sizes))]
    layers = [MaskedConv(1, 1, *kind, generator=g) for kind in zip(sizes, kinds, strict=True)]
    stack = nn.Sequential(*layers).double()
    x = torch.zeros(1, 1, height, width, dtype=torch.float64)
    return receptive_field(stack, x, [row, column]) > 0


with check("7.5") as answer:
    for kind, centre in (("A", 0), ("B", 1)):
        found = mask(kind, 3)
        fits(found, 3, 3)
        right = [[1, 1, 1], [1, centre, 0], [0, 0, 0]]
        assert found.int().tolist() == right, (
            f"mask {kind} of 3 × 3 is {right}: the row above is known, and of its own row what is "
            f"to the left{', and the centre' if centre else ''}; yours is {found.int().tolist()}"
        )
        for size in (1, 5, 7):
            found = mask(kind, size)
            fits(found, size, size)
            taps = size**2 // 2 + centre
            assert int(found.sum()) == taps, (
                f"mask {kind} of {size} × {size} leaves {taps} taps open, yours {int(found.sum())}"
            )
    g, x = seeded(17), randn(2, 5, 6, generator=seeded(18))
    kernels = [mask(kind, 5) * randn(5, 5, generator=g) for kind in "AB"]

    def two_layers(x):
        for kernel in kernels:
            x = conv2d(x[:, None], kernel[None, None], padding=2)[:, 0]
        return x

    laws.is_autoregressive(two_layers, x)
    for sizes, row, column in (
        ([3], 4, 4),
        ([5], 2, 7),
        ([3, 3], 5, 4),
        ([3, 3, 3], 6, 4),
        ([7, 3, 3], 5, 3),
        ([3, 5, 3, 3], 8, 8),
        ([5, 3], 0, 6),
    ):
        found = seen(sizes, 9, 9, row, column)
        fits(found, 9, 9, dtype=torch.bool)
        right = slopes_seen(sizes, 9, 9, row, column)
        if (found != right).any():
            i, j = (found != right).nonzero()[0].tolist()
            why = "depends on" if right[i, j] else "does not depend on"
            place = 9 * i + j - 9 * row - column
            when = "itself" if place == 0 else "an earlier pixel" if place < 0 else "a later pixel"
            raise AssertionError(
                f"on 9 × 9 pixels with the kernels {sizes} the output at ({row}, {column}) {why} "
                f"pixel ({i}, {j}), {when}, by back-propagation; yours says the opposite. It is "
                f"wrong about {int((found != right).sum())} of 81 pixels"
            )
### BEGIN HIDDEN TESTS
answer.require()
for size in (9, 11):
    centre = torch.zeros(size, size, dtype=torch.float64)
    centre[size // 2, size // 2] = 1
    assert torch.equal(mask("B", size) - mask("A", size), centre)
    assert torch.equal(mask("A", size) + mask("A", size).flip(0, 1), 1 - centre)
for sizes, row, column in (([7, 3, 3, 3, 3], 10, 5), ([3] * 8, 11, 2), ([1, 3], 3, 3)):
    found = seen(sizes, 12, 12, row, column)
    assert torch.equal(found, slopes_seen(sizes, 12, 12, row, column))
### END HIDDEN TESTS

# %% [markdown]
# The blind spot (nothing to hand in). Dark is what the output at the marked pixel sees, grey what
# comes before and stays unseen. Do more layers help? Does a larger first kernel? By how many
# columns does the edge of the field move to the right from one row to the row above?


# %%
def show_blind(layers, first):
    first += 1 - first % 2
    row, column = 9, 6
    field = seen([first] + [3] * layers, 13, 13, row, column)
    earlier = (torch.arange(169) < 13 * row + column).reshape(13, 13)
    blind = int((earlier & ~field).sum())
    with plot.figure(
        height=3.2,
        title=f"{first} × {first}, then {layers} of 3 × 3: blind to {blind} of {9 * 13 + 6}",
        alt="A square of pixels. The marked one sees a dark fan above and to the left of it. With "
        "a small first kernel a grey triangle to the right stays unseen, whatever follows.",
    ) as ax:
        shade = (0.35 * earlier + 0.65 * field).numpy()
        ax.imshow(shade, cmap="gray_r", vmin=0, vmax=1.3)
        ax.plot(column, row, "s", color=plot.COLORS["model"], ms=9)
        ax.set(xticks=[], yticks=[])


try:
    panel = sliders(show_blind, layers=Knob(0, 12, start=6), first=Knob(3, 13, start=3))
except NotImplementedError:
    print("Comes with exercise 7.5.")
else:
    display(panel)

# %% [markdown]
# ## 7.6 The same draw for less (3 points, 25 minutes)
#
# Let one uniform number decide each symbol: $s$ is drawn if $u$ is at least the mass of all symbols
# below $s$, and less than that mass plus its own. Then a draw is a function of $u$, and two
# samplers can be compared symbol by symbol. Write
#
# - `quantile`: the symbols that $u$ decides, by the softmax of the logits;
# - `naive`: sequences, one symbol after the other, each by a whole pass of the model;
# - `cached`: the same sequences, with each layer called once for each time.
#
# The model is a `Stack`, see the first cell. At time $t$ the input of its first layer is
# `model.embed` of the symbol $x_{t-1}$, and zeros at $t = 0$; that of the next layer is the output
# of the one below. A layer is called as `layer(before, now)`, with its input at the time before and
# its input now, each [batch, width]; before $t = 0$ all inputs are zeros. `model.head` makes logits
# of the last layer's output. What has to be kept from one time to the next? *Hint:* rounded
# probabilities may sum to less than 1.


# %% nbgrader={"grade": false, "grade_id": "draws", "locked": false, "schema_version": 3, "solution": true, "task": false}
def quantile(logits, u):
    """Symbols 0, …, m − 1, int64 [*shape]. logits: [*shape, m]; u: in [0, 1), [*shape]."""
    ### BEGIN SOLUTION
    below = logits.softmax(-1).cumsum(-1)[..., :-1]  # of the last symbol nothing is above
    return (u[..., None] >= below).sum(-1)
    ### END SOLUTION


def naive(model, u):
    """Sequences, int64 [batch, T], by model(x): logits [batch, T, m] of x. u: [batch, T]."""
    ### BEGIN SOLUTION
    x = torch.zeros(u.shape, dtype=torch.int64)
    for t in range(u.shape[1]):
        x[:, t] = quantile(model(x)[:, t], u[:, t])
    return x
    ### END SOLUTION


def cached(model, u):
    """What naive draws, by model.embed, model.layers (a list) and model.head."""
    ### BEGIN SOLUTION
    h = torch.zeros_like(model.embed(torch.zeros(len(u), dtype=torch.int64)))
    x, kept = [], [h] * len(model.layers)  # kept: each layer's input at the time before
    for t in range(u.shape[1]):
        for i, layer in enumerate(model.layers):
            h, kept[i] = layer(kept[i], h), h
        x.append(quantile(model.head(h), u[:, t]))
        h = model.embed(x[-1])
    return torch.stack(x, 1)
    ### END SOLUTION


# %% tags=["wrong-answer"]
# The last sum counts too: where it is rounded below 1, there is a symbol too many.
def quantile(logits, u):
    return (u[..., None] >= logits.softmax(-1).cumsum(-1)).sum(-1)


def naive(model, u):
    x = torch.zeros(u.shape, dtype=torch.int64)
    for t in range(u.shape[1]):
        x[:, t] = quantile(model(x)[:, t], u[:, t])
    return x


def cached(model, u):
    h = 0 * model.embed(torch.zeros(len(u), dtype=torch.int64))
    x, kept = [], [h] * len(model.layers)
    for t in range(u.shape[1]):
        for i, layer in enumerate(model.layers):
            h, kept[i] = layer(kept[i], h), h
        x.append(quantile(model.head(h), u[:, t]))
        h = model.embed(x[-1])
    return torch.stack(x, 1)


# %% tags=["wrong-answer"]
# Reads the logits of the time before.
def quantile(logits, u):
    below = logits.softmax(-1).cumsum(-1)[..., :-1]
    return (u[..., None] >= below).sum(-1)


def naive(model, u):
    x = torch.zeros(u.shape, dtype=torch.int64)
    for t in range(u.shape[1]):
        x[:, t] = quantile(model(x)[:, t - 1], u[:, t])
    return x


def cached(model, u):
    h = 0 * model.embed(torch.zeros(len(u), dtype=torch.int64))
    x, kept = [], [h] * len(model.layers)
    for t in range(u.shape[1]):
        for i, layer in enumerate(model.layers):
            h, kept[i] = layer(kept[i], h), h
        x.append(quantile(model.head(h), u[:, t]))
        h = model.embed(x[-1])
    return torch.stack(x, 1)


# %% tags=["wrong-answer"]
# All symbols by one pass: none knows what was drawn.
def quantile(logits, u):
    below = logits.softmax(-1).cumsum(-1)[..., :-1]
    return (u[..., None] >= below).sum(-1)


def naive(model, u):
    x = torch.zeros(u.shape, dtype=torch.int64)
    return quantile(model(x), u)


def cached(model, u):
    h = 0 * model.embed(torch.zeros(len(u), dtype=torch.int64))
    x, kept = [], [h] * len(model.layers)
    for t in range(u.shape[1]):
        for i, layer in enumerate(model.layers):
            h, kept[i] = layer(kept[i], h), h
        x.append(quantile(model.head(h), u[:, t]))
        h = model.embed(x[-1])
    return torch.stack(x, 1)


# %% tags=["wrong-answer"]
# Keeps the layer's output, not its input.
def quantile(logits, u):
    below = logits.softmax(-1).cumsum(-1)[..., :-1]
    return (u[..., None] >= below).sum(-1)


def naive(model, u):
    x = torch.zeros(u.shape, dtype=torch.int64)
    for t in range(u.shape[1]):
        x[:, t] = quantile(model(x)[:, t], u[:, t])
    return x


def cached(model, u):
    h = 0 * model.embed(torch.zeros(len(u), dtype=torch.int64))
    x, kept = [], [h] * len(model.layers)
    for t in range(u.shape[1]):
        for i, layer in enumerate(model.layers):
            h = layer(kept[i], h)
            kept[i] = h
        x.append(quantile(model.head(h), u[:, t]))
        h = model.embed(x[-1])
    return torch.stack(x, 1)


# %% tags=["wrong-answer"]
# All layers share one memory.
def quantile(logits, u):
    below = logits.softmax(-1).cumsum(-1)[..., :-1]
    return (u[..., None] >= below).sum(-1)


def naive(model, u):
    x = torch.zeros(u.shape, dtype=torch.int64)
    for t in range(u.shape[1]):
        x[:, t] = quantile(model(x)[:, t], u[:, t])
    return x


def cached(model, u):
    h = kept = 0 * model.embed(torch.zeros(len(u), dtype=torch.int64))
    x = []
    for t in range(u.shape[1]):
        for layer in model.layers:
            h, kept = layer(kept, h), h
        x.append(quantile(model.head(h), u[:, t]))
        h = model.embed(x[-1])
    return torch.stack(x, 1)


# %% tags=["wrong-answer"]
# Begins with the embedding of symbol 0, not with zeros.
def quantile(logits, u):
    below = logits.softmax(-1).cumsum(-1)[..., :-1]
    return (u[..., None] >= below).sum(-1)


def naive(model, u):
    x = torch.zeros(u.shape, dtype=torch.int64)
    for t in range(u.shape[1]):
        x[:, t] = quantile(model(x)[:, t], u[:, t])
    return x


def cached(model, u):
    h = model.embed(torch.zeros(len(u), dtype=torch.int64))
    x, kept = [], [0 * h] * len(model.layers)
    for t in range(u.shape[1]):
        for i, layer in enumerate(model.layers):
            h, kept[i] = layer(kept[i], h), h
        x.append(quantile(model.head(h), u[:, t]))
        h = model.embed(x[-1])
    return torch.stack(x, 1)


# %% tags=["wrong-answer"]
# Nothing is cached.
def quantile(logits, u):
    below = logits.softmax(-1).cumsum(-1)[..., :-1]
    return (u[..., None] >= below).sum(-1)


def naive(model, u):
    x = torch.zeros(u.shape, dtype=torch.int64)
    for t in range(u.shape[1]):
        x[:, t] = quantile(model(x)[:, t], u[:, t])
    return x


def cached(model, u):
    return naive(model, u)


# %% nbgrader={"grade": true, "grade_id": "check-draws", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def first_wrong(x, model, u):
    """The first time at which the draws x are not what u decides, given those before; or None."""
    wrong = (x != drawn(model(x), u)).any(0)
    return int(wrong.long().argmax()) if wrong.any() else None


with check("7.6") as answer:
    logits = vector(0.5, 0.25, 0.25).log() + 3
    found = quantile(logits.expand(2, 3, 3), vector(0.1, 0.4, 0.6, 0.7, 0.8, 0.95).reshape(2, 3))
    fits(found, 2, 3, dtype=torch.int64)
    right = [[0, 0, 1], [1, 2, 2]]
    assert found.tolist() == right, (
        "0 has half of the mass, 1 and 2 a quarter each: u = 0.1, 0.4, 0.6, 0.7, 0.8, 0.95 decide "
        f"0, 0, 1, 1, 2, 2; yours gives {found.flatten().tolist()}"
    )
    logits = 3 * randn(2000, 40, generator=seeded(19))
    found = quantile(logits, torch.full((2000,), math.nextafter(1.0, 0.0), dtype=torch.float64))
    assert int(found.max()) <= 39, (
        f"for the largest u below 1 your quantile has drawn symbol {int(found.max())}; the last is "
        "39. Rounded, the masses may add up to a little less than 1"
    )
    for depth, T in ((1, 6), (3, 12)):
        model, u = Stack(4, depth, seeded(20)), rand(30, T, generator=seeded(21))
        x = naive(model, u)
        fits(x, 30, T, dtype=torch.int64)
        t = first_wrong(x, model, u)
        assert t is None, (
            f"naive: some symbol at t = {t} is not what u decides, given the symbols before it. "
            "Which logits belong to time t, and what do they depend on?"
        )
        model.rows = 0
        y = cached(model, u)
        rows = model.rows
        fits(y, 30, T, dtype=torch.int64)
        t = first_wrong(y, model, u)
        assert t is None, (
            f"cached: at depth {depth} some symbol at t = {t} is not what u decides. A layer wants "
            "its own input of the time before, and its input now; zeros at the beginning"
        )
        once = 30 * T * depth
        assert rows == once, (
            f"cached is right, but 30 sequences of {T} times make {once} rows at depth {depth} if "
            f"each is computed once; yours computes {rows}"
        )
### BEGIN HIDDEN TESTS
answer.require()
model, u = Stack(7, 4, seeded(22), width=5), rand(200, 40, generator=seeded(23))
x = cached(model, u)
assert torch.equal(x, naive(model, u))
assert first_wrong(x, model, u) is None
logits, u = randn(5000, 6, generator=seeded(24)), rand(5000, generator=seeded(25))
assert torch.equal(quantile(logits, u), drawn(logits, u))
### END HIDDEN TESTS

# %% [markdown]
# What it costs (nothing to hand in): rows that the layers compute for one sequence. The third way
# begins with zeros everywhere and sets all symbols at once, by one pass, to what their $u$ decide;
# then again, until nothing changes. Why does it end with exactly what `naive` draws, and after at
# most $T + 1$ passes? On what kind of machine would you take it?


# %%
def swept(model, u):
    """The draws, and after how many passes nothing had changed."""
    x, before, passes = torch.zeros(u.shape, dtype=torch.int64), None, 0
    while before is None or not torch.equal(x, before):
        x, before, passes = quantile(model(x), u), x, passes + 1
    return x, passes


try:
    lines = ["   T  naive, rows  cached, rows  passes  the same draw"]
    for T in (8, 32, 128):
        model, u = Stack(4, 3, seeded(26)), rand(1, T, generator=seeded(27))
        draws, rows = [], []
        for sampler in (naive, cached):
            model.rows = 0
            draws.append(sampler(model, u))
            rows.append(model.rows)
        x, passes = swept(model, u)
        equal = all(torch.equal(x, other) for other in draws)
        lines.append(f"{T:4d} {rows[0]:12,d} {rows[1]:13,d} {passes:7d}  {equal}")
    print(*lines, sep="\n")
except NotImplementedError:
    print("Comes with exercise 7.6.")

# %% [markdown]
# ## 7.7 Far back, and finely (3 points, 25 minutes)
#
# A causal convolution with dilation $d$ looks at its own time and $d$, $2d$, … steps back,
#
# $$y_t = \sum_{j=0}^{K-1} w_{K-1-j}\, h_{t - jd}, \qquad h_s = 0 \text{ for } s < 0,$$
#
# with the matrix $w_k$ = `weight[:, :, k]`: the last of the $K$ taps is now. Write it. Then count
# the times that a stack of such layers sees.
#
# WaveNet reads sound as whole numbers. The µ-law has fine steps where the sound is quiet: for $x$
# in $[-1, 1]$ and $\mu = \text{levels} - 1$
#
# $$f(x) = \operatorname{sign}(x)\, \frac{\log(1 + \mu |x|)}{\log(1 + \mu)},$$
#
# and the symbol $k$ is the whole number nearest to $\tfrac{\mu}{2}(1 + f(x))$. Write both
# directions; the way back gives the $x$ for which $\tfrac{\mu}{2}(1 + f(x))$ *is* $k$, before
# rounding. *Hint:* `conv1d`, `pad`; `torch.expm1(a)` is $e^a - 1$.


# %% nbgrader={"grade": false, "grade_id": "sound", "locked": false, "schema_version": 3, "solution": true, "task": false}
def dilated(h, weight, dilation):
    """y, [n, c_out, T]. h: [n, c_in, T]; weight: [c_out, c_in, K], the last tap is now."""
    ### BEGIN SOLUTION
    return conv1d(pad(h, ((weight.shape[2] - 1) * dilation, 0)), weight, dilation=dilation)
    ### END SOLUTION


def field(taps, dilations):
    """On how many times, t included, the output at t depends, an int. dilations: one a layer."""
    ### BEGIN SOLUTION
    return 1 + (taps - 1) * sum(dilations)
    ### END SOLUTION


def to_symbols(x, levels):
    """k, whole numbers from 0 to levels - 1, int64, of the shape of x. x: float64, -1 to 1."""
    ### BEGIN SOLUTION
    mu = levels - 1
    f = x.sign() * (mu * x.abs()).log1p() / math.log1p(mu)
    return (mu / 2 * (1 + f)).round().long()
    ### END SOLUTION


def to_signal(k, levels):
    """x from -1 to 1, float64, of the shape of k. k: from 0 to levels - 1, int64."""
    ### BEGIN SOLUTION
    mu = levels - 1
    f = 2 * k.double() / mu - 1
    return f.sign() * torch.expm1(f.abs() * math.log1p(mu)) / mu
    ### END SOLUTION


# %% tags=["wrong-answer"]
# Zeros on both sides: it looks into the future.
def dilated(h, weight, dilation):
    return conv1d(h, weight, dilation=dilation, padding="same")


def field(taps, dilations):
    return 1 + (taps - 1) * sum(dilations)


def to_symbols(x, levels):
    f = x.sign() * ((levels - 1) * x.abs()).log1p() / math.log(levels)
    return ((levels - 1) / 2 * (1 + f)).round().long()


def to_signal(k, levels):
    f = 2 * k.double() / (levels - 1) - 1
    return f.sign() * (levels ** f.abs() - 1) / (levels - 1)


# %% tags=["wrong-answer"]
# Zeros for K - 1 steps only, whatever the dilation is.
def dilated(h, weight, dilation):
    return conv1d(pad(h, (weight.shape[2] - 1, 0)), weight, dilation=dilation)


def field(taps, dilations):
    return 1 + (taps - 1) * sum(dilations)


def to_symbols(x, levels):
    f = x.sign() * ((levels - 1) * x.abs()).log1p() / math.log(levels)
    return ((levels - 1) / 2 * (1 + f)).round().long()


def to_signal(k, levels):
    f = 2 * k.double() / (levels - 1) - 1
    return f.sign() * (levels ** f.abs() - 1) / (levels - 1)


# %% tags=["wrong-answer"]
# The taps are turned round: the first one is now.
def dilated(h, weight, dilation):
    h = pad(h, ((weight.shape[2] - 1) * dilation, 0))
    return conv1d(h, weight.flip(2), dilation=dilation)


def field(taps, dilations):
    return 1 + (taps - 1) * sum(dilations)


def to_symbols(x, levels):
    f = x.sign() * ((levels - 1) * x.abs()).log1p() / math.log(levels)
    return ((levels - 1) / 2 * (1 + f)).round().long()


def to_signal(k, levels):
    f = 2 * k.double() / (levels - 1) - 1
    return f.sign() * (levels ** f.abs() - 1) / (levels - 1)


# %% tags=["wrong-answer"]
# Forgets the own time.
def dilated(h, weight, dilation):
    return conv1d(pad(h, ((weight.shape[2] - 1) * dilation, 0)), weight, dilation=dilation)


def field(taps, dilations):
    return (taps - 1) * sum(dilations)


def to_symbols(x, levels):
    f = x.sign() * ((levels - 1) * x.abs()).log1p() / math.log(levels)
    return ((levels - 1) / 2 * (1 + f)).round().long()


def to_signal(k, levels):
    f = 2 * k.double() / (levels - 1) - 1
    return f.sign() * (levels ** f.abs() - 1) / (levels - 1)


# %% tags=["wrong-answer"]
# A power of the number of layers, which holds for one cycle of doubled dilations.
def dilated(h, weight, dilation):
    return conv1d(pad(h, ((weight.shape[2] - 1) * dilation, 0)), weight, dilation=dilation)


def field(taps, dilations):
    return taps ** len(dilations)


def to_symbols(x, levels):
    f = x.sign() * ((levels - 1) * x.abs()).log1p() / math.log(levels)
    return ((levels - 1) / 2 * (1 + f)).round().long()


def to_signal(k, levels):
    f = 2 * k.double() / (levels - 1) - 1
    return f.sign() * (levels ** f.abs() - 1) / (levels - 1)


# %% tags=["wrong-answer"]
# µ = levels: the loudest sound has no symbol.
def dilated(h, weight, dilation):
    return conv1d(pad(h, ((weight.shape[2] - 1) * dilation, 0)), weight, dilation=dilation)


def field(taps, dilations):
    return 1 + (taps - 1) * sum(dilations)


def to_symbols(x, levels):
    f = x.sign() * (levels * x.abs()).log1p() / math.log1p(levels)
    return (levels / 2 * (1 + f)).round().long()


def to_signal(k, levels):
    f = 2 * k.double() / (levels - 1) - 1
    return f.sign() * (levels ** f.abs() - 1) / (levels - 1)


# %% tags=["wrong-answer"]
# Rounds down: half a step too low on average.
def dilated(h, weight, dilation):
    return conv1d(pad(h, ((weight.shape[2] - 1) * dilation, 0)), weight, dilation=dilation)


def field(taps, dilations):
    return 1 + (taps - 1) * sum(dilations)


def to_symbols(x, levels):
    f = x.sign() * ((levels - 1) * x.abs()).log1p() / math.log(levels)
    return ((levels - 1) / 2 * (1 + f)).long()


def to_signal(k, levels):
    f = 2 * k.double() / (levels - 1) - 1
    return f.sign() * (levels ** f.abs() - 1) / (levels - 1)


# %% tags=["wrong-answer"]
# Does not divide by µ at the end.
def dilated(h, weight, dilation):
    return conv1d(pad(h, ((weight.shape[2] - 1) * dilation, 0)), weight, dilation=dilation)


def field(taps, dilations):
    return 1 + (taps - 1) * sum(dilations)


def to_symbols(x, levels):
    f = x.sign() * ((levels - 1) * x.abs()).log1p() / math.log(levels)
    return ((levels - 1) / 2 * (1 + f)).round().long()


def to_signal(k, levels):
    f = 2 * k.double() / (levels - 1) - 1
    return f.sign() * (levels ** f.abs() - 1)


# %% nbgrader={"grade": true, "grade_id": "check-sound", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def by_hand(h, weight, dilation):
    """The sum of the formula, one tap and one time after the other."""
    y = torch.zeros(len(h), len(weight), h.shape[2], dtype=torch.float64)
    for j, tap in enumerate(weight.flip(2).unbind(2)):
        for t in range(j * dilation, h.shape[2]):
            y[:, :, t] += h[:, :, t - j * dilation] @ tap.T
    return y


def times_seen(taps, dilations, T):
    """How many inputs a stack of your layers sees at its last time, by back-propagation."""

    def stack(h):
        for dilation in dilations:
            h = dilated(h, torch.ones(1, 1, taps, dtype=torch.float64), dilation)
        return h

    x = torch.zeros(1, 1, T, dtype=torch.float64)
    return int((receptive_field(stack, x, [T - 1]) > 0).sum())


with check("7.7") as answer:
    h, weight = vector(1.0, 2.0, 3.0, 4.0, 5.0)[None, None], vector(10.0, 1.0)[None, None]
    found = dilated(h, weight, 2)
    fits(found, 1, 1, 5)
    right = vector(1.0, 2.0, 13.0, 24.0, 35.0)
    assert torch.allclose(found.flatten(), right), (
        "for h = 1, 2, 3, 4, 5, the taps (10, 1) and dilation 2, y_t = h_t + 10 h_{t-2}: 1, 2, 13, "
        f"24, 35; yours is {said(found)}"
    )
    g = seeded(28)
    h, weight = randn(2, 3, 17, generator=g), randn(4, 3, 3, generator=g)
    found = dilated(h, weight, 4)
    fits(found, 2, 4, 17)
    off = float((found - by_hand(h, weight, 4)).abs().max())
    assert off < 1e-9, (
        f"three taps, dilation 4, three channels to four: your y is up to {off:.3g} off the sum"
    )
    double = [2**i for i in range(6)]
    for taps, dilations in ((2, [1]), (2, [1, 2, 4]), (3, [1, 3, 9]), (2, double + double)):
        right, found = times_seen(taps, dilations, 140), field(taps, dilations)
        assert found == right, (
            f"a stack of your layers with {taps} taps and the dilations {dilations} sees {right} "
            f"times, its own included, by back-propagation; your field says {found}"
        )
    found = to_symbols(vector(-1.0, -0.01, 0.01, 1.0), 256)
    fits(found, 4, dtype=torch.int64)
    right = [0, 98, 157, 255]
    assert found.tolist() == right, (
        f"with 256 levels x = -1, -0.01, 0.01, 1 become {right}; yours {found.tolist()}. µ is 255, "
        "and the nearest whole number is meant"
    )
    found = to_signal(torch.tensor([0, 64, 255]), 256)
    fits(found, 3)
    right = vector(-1.0, -(256 ** (127 / 255) - 1) / 255, 1.0)
    assert torch.allclose(found, right), (
        f"with 256 levels the symbols 0, 64, 255 stand for {said(right)}; yours for {said(found)}. "
        "Solve k = µ/2 (1 + f) for f, then f(x) for |x|"
    )
    for levels in (16, 255, 256):
        k = torch.arange(levels)
        found = to_symbols(to_signal(k, levels), levels)
        assert torch.equal(found, k), (
            f"{levels} levels: {int((found != k).sum())} symbols are not themselves again after "
            "to_signal and to_symbols. The nearest whole number is meant"
        )
        x = torch.linspace(-1, 1, 4001, dtype=torch.float64)
        mu = levels - 1
        error = (to_signal(to_symbols(x, levels), levels) - x).abs()
        most = math.expm1(math.log1p(mu) / mu) * (1 / mu + x.abs())
        assert bool((error < most * 1.001).all()), (
            f"{levels} levels: half a step is at most {float(most[2000]):.2g} near 0 and "
            f"{float(most[-1]):.2g} near 1; after both your functions x is off by up to "
            f"{float((error / most).max()):.1f} times as much"
        )
### BEGIN HIDDEN TESTS
answer.require()
g = seeded(29)
h, weight = randn(1, 2, 30, generator=g), randn(2, 2, 4, generator=g)
assert torch.allclose(dilated(h, weight, 5), by_hand(h, weight, 5))
assert torch.allclose(dilated(h, weight[:, :, :1], 3), by_hand(h, weight[:, :, :1], 3))
assert field(2, [2**i for i in range(10)]) == 1024
assert field(5, [1, 1]) == 9
assert field(3, []) == 1
k = to_symbols(2 * rand(50, 3, generator=g) - 1, 64)
assert k.shape == (50, 3)
assert int(k.min()) >= 0
assert int(k.max()) <= 63
assert torch.equal(to_symbols(-to_signal(k, 64), 64), 63 - k)
### END HIDDEN TESTS

# %% [markdown]
# Listen (nothing to hand in): a plucked string with 16 levels, first in equal steps, then in yours.
# The table says by how many decibels the noise of rounding is weaker than the sound, for this
# string and for one 30 times as quiet. What becomes of the quiet one at 16 equal steps? Which steps
# would you take for a voice that now shouts and now whispers?


# %%
def equal_steps(x, levels):
    """To the middle of the nearest of equal steps, and back."""
    return ((levels - 1) / 2 * (1 + x)).round() * 2 / (levels - 1) - 1


def below(x, rounded):
    """Decibels between the sound and the noise of rounding."""
    return 10 * math.log10(float(x.square().mean() / (rounded - x).square().mean()))


try:
    string = plucked(40, 6000, generator=seeded(30)).double()
    lines = ["string  levels  equal steps  µ-law"]
    for name, x in (("loud", string), ("quiet", string / 30)):
        for levels in (16, 256):
            yours = to_signal(to_symbols(x, levels), levels)
            both = below(x, equal_steps(x, levels)), below(x, yours)
            lines.append(f"{name:6s} {levels:7d} {both[0]:9.1f} dB {both[1]:3.1f} dB")
    print(*lines, sep="\n")
    display(
        Sound(equal_steps(string, 16).float(), 8000, alt="a plucked string, harsh, with a hiss")
    )
    yours = to_signal(to_symbols(string, 16), 16)
    display(Sound(yours.float(), 8000, alt="the same string with the steps of the µ-law"))
except NotImplementedError:
    print("Comes with exercise 7.7.")

# %% [markdown]
# ## 7.8 Find out why (3 points, 30 minutes)
#
# A colleague brings a network for digits of 64 binary pixels, with two hidden layers and masks as
# in MADE. On digits that it has not seen it claims fewer nats than anything in the chapter. Then it
# draws.


# %%
class Suspect(nn.Module):
    """All logits, [rows, 64], of binary digits, [rows, 64], by one pass."""

    def __init__(self, between, generator, width=96):
        super().__init__()
        place, degree = torch.arange(64) + 1, torch.arange(width) % 63 + 1
        first, last = degree[:, None] >= place, place[:, None] > degree
        self.masks = [mask.double() for mask in (first, between(degree), last)]
        shapes = [mask.shape for mask in self.masks]
        self.weights = nn.ParameterList(
            0.2 * randn(*shape, generator=generator) for shape in shapes
        )
        self.biases = nn.ParameterList(torch.zeros(shape[0]).double() for shape in shapes)

    def forward(self, x):
        for i, layer in enumerate(zip(self.weights, self.biases, self.masks, strict=True)):
            weight, bias, mask = layer
            x = linear(torch.relu(x) if i else x, weight * mask, bias)
        return x


def claimed(network, x, generator=None):
    """−log p(x), [rows], nats, as the network says it."""
    return softplus((1 - 2 * x) * network(x)).sum(1)


def trained(between):
    """A network that has learnt from the digits, and the digits that were kept back."""
    x, new = (part.double() for part in binary_digits())
    g = seeded(31)
    network = Suspect(between, g)
    how = {"steps": 600, "batch_size": 256, "lr": 0.005, "progress": False}
    train.fit(network, claimed, x, generator=g, **how)
    return network.requires_grad_(False), new


def drawn_digits(network, n):
    """n draws, pixel by pixel; what is not drawn yet is 0."""
    x = torch.zeros(n, 64, dtype=torch.float64)
    u = rand(n, 64, generator=seeded(32))
    for i in range(64):
        x[:, i] = (u[:, i] >= torch.sigmoid(-network(x)[:, i])).double()
    return x.reshape(n, 8, 8)


suspect, kept_back = trained(lambda degree: degree >= degree[:, None])
print(f"{float(claimed(suspect, kept_back).mean()):.1f} nats a digit on digits kept back")
plot.images(
    drawn_digits(suspect, 24),
    alt="Twenty-four draws of the suspect, 8 by 8 pixels: almost blank, a few black pixels strewn "
    "over them. No digit can be read.",
)

# %% [markdown]
# Find out why. Take nothing from the colleague but a function that maps $x$ to all logits. Write
#
# - `leaks`: which logits depend on pixels that they must not see, their own or later ones;
# - `honest`: $\log p(x)$ under the law from which `drawn_digits` really draws.
#
# A slope can be 0 at one $x$ and not at another, and slopes at several $x$ can cancel.
# *Hint:* `laws.jacobian`. When the sampler asks for pixel $i$, what stands in the pixels after it?


# %% nbgrader={"grade": false, "grade_id": "peeking", "locked": false, "schema_version": 3, "solution": true, "task": false}
def leaks(network, x):
    """Bool [n, n]: row i, column j says that j ≥ i and that logit i changes with x_j somewhere.

    network: from [rows, n] to the logits [rows, n]; x: points at which to ask, float64 [rows, n].
    """
    ### BEGIN SOLUTION
    return laws.jacobian(network, x).abs().amax(0).triu() > 0
    ### END SOLUTION


def honest(network, x):
    """log p(x), [rows], nats, of the sampler's law. x: zeros and ones, float64 [rows, n]."""
    ### BEGIN SOLUTION
    total = torch.zeros(len(x), dtype=torch.float64)
    for i in range(x.shape[1]):
        then = x * (torch.arange(x.shape[1]) < i)  # as it was when pixel i was drawn
        total = total - softplus((1 - 2 * x[:, i]) * network(then)[:, i])
    return total
    ### END SOLUTION


# %% tags=["wrong-answer"]
# Later pixels only: the own one is forgotten.
def leaks(network, x):
    return laws.jacobian(network, x).abs().amax(0).triu(1) > 0


def honest(network, x):
    place = torch.arange(x.shape[1])
    each = [network(x * (place < i))[:, i] for i in place]
    return -softplus((1 - 2 * x) * torch.stack(each, 1)).sum(1)


# %% tags=["wrong-answer"]
# Reports what is allowed too.
def leaks(network, x):
    return laws.jacobian(network, x).abs().amax(0) > 0


def honest(network, x):
    place = torch.arange(x.shape[1])
    each = [network(x * (place < i))[:, i] for i in place]
    return -softplus((1 - 2 * x) * torch.stack(each, 1)).sum(1)


# %% tags=["wrong-answer"]
# Asks at the first point only.
def leaks(network, x):
    return laws.jacobian(network, x)[0].abs().triu() > 0


def honest(network, x):
    place = torch.arange(x.shape[1])
    each = [network(x * (place < i))[:, i] for i in place]
    return -softplus((1 - 2 * x) * torch.stack(each, 1)).sum(1)


# %% tags=["wrong-answer"]
# The mean of the slopes: those of opposite sign cancel.
def leaks(network, x):
    return laws.jacobian(network, x).mean(0).abs().triu() > 1e-12


def honest(network, x):
    place = torch.arange(x.shape[1])
    each = [network(x * (place < i))[:, i] for i in place]
    return -softplus((1 - 2 * x) * torch.stack(each, 1)).sum(1)


# %% tags=["wrong-answer"]
# What the network claims.
def leaks(network, x):
    return laws.jacobian(network, x).abs().amax(0).triu() > 0


def honest(network, x):
    return -softplus((1 - 2 * x) * network(x)).sum(1)


# %% tags=["wrong-answer"]
# Hides the later pixels, and shows the own one.
def leaks(network, x):
    return laws.jacobian(network, x).abs().amax(0).triu() > 0


def honest(network, x):
    place = torch.arange(x.shape[1])
    each = [network(x * (place <= i))[:, i] for i in place]
    return -softplus((1 - 2 * x) * torch.stack(each, 1)).sum(1)


# %% tags=["wrong-answer"]
# One half for what is not drawn yet; the sampler has zeros there.
def leaks(network, x):
    return laws.jacobian(network, x).abs().amax(0).triu() > 0


def honest(network, x):
    place = torch.arange(x.shape[1])
    each = [network(torch.where(place < i, x, 0.5))[:, i] for i in place]
    return -softplus((1 - 2 * x) * torch.stack(each, 1)).sum(1)


# %% tags=["wrong-answer"]
# Divides the claim by its sum: a law, but not the one from which is drawn.
def leaks(network, x):
    return laws.jacobian(network, x).abs().amax(0).triu() > 0


def honest(network, x):
    every = states(x.shape[1]).double()
    total = -softplus((1 - 2 * every) * network(every)).sum(1)
    return -softplus((1 - 2 * x) * network(x)).sum(1) - total.logsumexp(0)


# %% nbgrader={"grade": true, "grade_id": "check-peeking", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def drawn_by(network, n, rows, generator):
    """What the sampler draws, zeros and ones, [rows, n]."""
    x, u = torch.zeros(rows, n, dtype=torch.float64), rand(rows, n, generator=generator)
    for i in range(n):
        x[:, i] = (u[:, i] >= torch.sigmoid(-network(x)[:, i])).double()
    return x


def turning(x):
    """Logit 0 changes with x_1, up or down as x_2 says, logit 1 with x_2 where that is 1."""
    up_or_down = x[:, 1] * (x[:, 2] - 0.5)
    return torch.stack([up_or_down, (x[:, 2] - 0.5).relu() + x[:, 0], x[:, 0] - x[:, 1]], 1)


def open_network(n, generator):
    """A network without masks: every logit sees everything."""
    first, last = 2 * randn(2, n, n, generator=generator)
    return lambda x: torch.tanh(x @ first.T + 0.3) @ last.T - 0.2


with check("7.8") as answer:
    allowed = vector(0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 2.0, -1.0, 0.0).reshape(3, 3)
    every = states(3).double()
    for i, j in ((None, None), (1, 1), (0, 2), (1, 2)):
        matrix = allowed.clone()
        if i is not None:
            matrix[i, j] = 3.0
        found = leaks(lambda x, matrix=matrix: x @ matrix.T, every)
        fits(found, 3, 3, dtype=torch.bool)
        right = [] if i is None else [[i, j]]
        kind = "its own" if i == j else "a later one"
        what = "no logit sees its own entry or a later one"
        what = what if i is None else f"logit {i} sees entry {j}, {kind}, and no other such"
        assert found.nonzero().tolist() == right, (
            f"three entries, logits linear in them: {what}; yours reports the leaks "
            f"{found.nonzero().tolist()}, as [logit, entry]"
        )
    found, right = leaks(turning, every), [[0, 1], [0, 2], [1, 2]]
    assert found.nonzero().tolist() == right, (
        "logit 0 is x_1 (x_2 - 1/2), logit 1 is x_0 + relu(x_2 - 1/2), and all eight states are "
        f"given: the leaks are {right}, yours {found.nonzero().tolist()}. Look at each state by "
        "itself"
    )
    found = honest(lambda x: torch.stack([4 * x[:, 1], 0 * x[:, 0] + 2], 1), vector(1.0, 1.0)[None])
    fits(found, 1)
    right = math.log(0.5) - math.log1p(math.exp(-2))
    assert abs(float(found) - right) < 1e-9, (
        "the logits 4 x_1 and 2: when x_0 is drawn, 0 stands for x_1, so the sampler has p(1, 1) = "
        f"1/2 · σ(2) = {math.exp(right):.4f}; yours is {math.exp(float(found)):.4f}"
    )
    g = seeded(33)
    for n in (3, 5):
        network, every = open_network(n, g), states(n).double()
        p = honest(network, every).exp()
        fits(p, 2**n)
        claim = float(torch.exp(-softplus((1 - 2 * every) * network(every)).sum(1)).sum())
        total = float(p.sum())
        assert abs(total - 1) < 1e-9, (
            f"over all {2**n} states the claims of a network that sees everything sum to "
            f"{claim:.3f}; the sampler's law sums to 1, and yours to {total:.3f}"
        )
        rows = 20_000
        number = (drawn_by(network, n, rows, g).long() * 2 ** torch.arange(n - 1, -1, -1)).sum(1)
        often = number.bincount(minlength=2**n)
        z = (often - rows * p) / (rows * p * (1 - p)).sqrt().clamp_min(1)
        worst = int(z.abs().argmax())
        assert float(z.abs().max()) < 5, (
            f"of {rows} draws {int(often[worst])} are {states(n)[worst].tolist()}; by your law it "
            f"should be about {rows * float(p[worst]):.0f}"
        )
    x = states(4).double()
    masked = randn(4, 4, generator=g).tril(-1)
    claim = -softplus((1 - 2 * x) * (x @ masked.T)).sum(1)
    off = float((honest(lambda x: x @ masked.T, x) - claim).abs().max())
    assert off < 1e-9, (
        f"a network without a leak claims the truth; your log p is up to {off:.3g} nats off it"
    )
### BEGIN HIDDEN TESTS
answer.require()
network, every = open_network(6, seeded(34)), states(6).double()
assert torch.equal(leaks(network, every), torch.ones(6, 6).triu() > 0)
right = torch.zeros(64, dtype=torch.float64)
for i in range(6):
    then = every.clone()
    then[:, i:] = 0
    right -= softplus((1 - 2 * every[:, i]) * network(then)[:, i])
assert torch.allclose(honest(network, every), right)
assert abs(float(right.exp().sum()) - 1) < 1e-9
### END HIDDEN TESTS

# %% [markdown]
# Your verdict on the suspect (nothing to hand in), and the same network with one mask transposed.
# Which mask was it, and why did no shape complain? Why are the draws of the suspect almost blank?
# Why is its honest law worse even than 64 independent pixels?


# %%
try:
    cured, _ = trained(lambda degree: degree[:, None] >= degree)
    pixels = binary_digits()[0].double()
    alone = Tabular(64, 0).fit(pixels, smoothing=0.5)
    lines = ["nats a digit         leaks  claimed  honest"]
    for name, network in (("suspect", suspect), ("one mask transposed", cured)):
        leaking = int(leaks(network, kept_back[:20]).sum())
        nats = [float(v.mean()) for v in (claimed(network, kept_back), -honest(network, kept_back))]
        lines.append(f"{name:20s} {leaking:5d} {nats[0]:8.1f} {nats[1]:7.1f}")
    nats = -float(alone.log_prob(kept_back).mean())
    print(*lines, f"{'independent pixels':20s} {0:5d} {nats:8.1f} {nats:7.1f}", sep="\n")
    plot.images(
        drawn_digits(cured, 24),
        alt="Twenty-four draws of the network with the right masks, 8 by 8 pixels: strokes "
        "like those of digits, and some digits.",
    )
except NotImplementedError:
    print("Comes with exercise 7.8.")
