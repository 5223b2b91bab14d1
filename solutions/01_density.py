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
# # Exercises 01: density estimation
#
# Eight exercises, 20 points, about three hours. Replace each `raise NotImplementedError` and run
# the check below it. A check answers at once: **right**, **not yet, because …**, or
# **not attempted**. Some checks are repeated with other numbers when the notebook is graded.
#
# The chapter: [Density estimation](../book/01_density.md). Work in float64 throughout.

# %%
import math

import torch
from IPython.display import display
from sklearn.datasets import load_breast_cancer

from genlab import data, laws, plot
from genlab.course.check import check
from genlab.density import KDE, Histogram
from genlab.interact import Knob, sliders

radius = torch.tensor(load_breast_cancer().data[:, 0])  # 569 radii of cell nuclei


def seeded(number):
    """A generator of its own for each check."""
    return torch.Generator().manual_seed(number)


# %% [markdown]
# ## 1.1 Down the stairs (2 points, 15 minutes)
#
# List C of the chapter is a sample of integers; its distribution function $\hat F$ is a staircase.
# Write the generalised inverse $\hat F^{-1}(z) = \inf\{x : \hat F(x) \ge z\}$ for levels
# $0 < z < 1$. *Hint:* sort the observations; $\hat F$ at the $i$-th smallest, counted from 1, is at
# least $i/n$. Mind the levels that are exactly $i/n$.


# %% nbgrader={"grade": false, "grade_id": "down-the-stairs", "locked": false, "schema_version": 3, "solution": true, "task": false}
def quantile(x, z):
    """Generalised inverse of the empirical distribution function of x, at the levels z.

    x: observations [n]; z: levels in (0, 1), float64 [m]. Returns one observation a level, [m].
    """
    ### BEGIN SOLUTION
    ordered = x.sort().values
    at_most = torch.arange(1, len(x) + 1, dtype=torch.float64) / len(x)
    return ordered[torch.searchsorted(at_most, z)]  # the first i with i/n >= z
    ### END SOLUTION


# %% tags=["wrong-answer"]
# inf{x : F(x) > z}: one riser too far at the levels i/n.
def quantile(x, z):
    ordered = x.sort().values
    at_most = torch.arange(1, len(x) + 1, dtype=torch.float64) / len(x)
    return ordered[torch.searchsorted(at_most, z, right=True).clamp_max(len(x) - 1)]


# %% tags=["wrong-answer"]
# Interpolates between observations: invents 4.5 on a list of integers.
def quantile(x, z):
    return torch.quantile(x.double(), z)


# %% nbgrader={"grade": true, "grade_id": "check-down-the-stairs", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
with check("1.1") as answer:
    z = torch.tensor([0.02, 0.05, 0.3, 0.35, 0.36, 0.95, 0.97], dtype=torch.float64)
    found, expected = quantile(data.LIST_C, z), [3, 3, 4, 4, 5, 6, 8]
    assert len(found) == len(z), f"seven levels went in and {len(found)} values came out"
    for level, got, right in zip(z.tolist(), found.tolist(), expected, strict=True):
        assert got == right, (
            f"at z = {level} the smallest x with F(x) ≥ z is {right}, your function returns {got}"
        )
### BEGIN HIDDEN TESTS
answer.require()
x = torch.randint(-5, 5, (50,), generator=seeded(1))
z = torch.rand(200, dtype=torch.float64, generator=seeded(2))
values = sorted(set(x.tolist()))
assert quantile(x, z).tolist() == [
    min(v for v in values if (x <= v).double().mean() >= level) for level in z
]
### END HIDDEN TESTS

# %% [markdown]
# ## 1.2 Darts on a disc (2 points, 20 minutes)
#
# Draw points that are uniform on the unit disc, without throwing any away. In polar coordinates:
# first the radius from its marginal, then the angle. The area within radius $r$ is proportional
# to $r^2$, so $F(r) = r^2$; invert it.


# %% nbgrader={"grade": false, "grade_id": "darts", "locked": false, "schema_version": 3, "solution": true, "task": false}
def sample_disc(n, generator):
    """n points uniform on the unit disc, float64 [n, 2]."""
    ### BEGIN SOLUTION
    z = torch.rand(2, n, dtype=torch.float64, generator=generator)
    r, angle = z[0].sqrt(), 2 * math.pi * z[1]
    return torch.stack([r * angle.cos(), r * angle.sin()], 1)
    ### END SOLUTION


# %% tags=["wrong-answer"]
# A uniform radius crowds the centre: the area element is r dr.
def sample_disc(n, generator):
    z = torch.rand(2, n, dtype=torch.float64, generator=generator)
    r, angle = z[0], 2 * math.pi * z[1]
    return torch.stack([r * angle.cos(), r * angle.sin()], 1)


# %% tags=["wrong-answer"]
# Draws from the global generator, so nobody can repeat it.
def sample_disc(n, generator):
    r, angle = torch.rand(n).double().sqrt(), 2 * math.pi * torch.rand(n).double()
    return torch.stack([r * angle.cos(), r * angle.sin()], 1)


# %% nbgrader={"grade": true, "grade_id": "check-darts", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
class Disc:
    """Your sampler beside the density that it should have, 1/π on the disc."""

    def sample(self, n, *, generator=None):
        return sample_disc(n, generator)

    def log_prob(self, x):
        return torch.where(x.norm(dim=1) <= 1, -math.log(math.pi), -math.inf)


with check("1.2") as answer:
    laws.samples_follow(Disc(), [-1.0, -1.0], [1.0, 1.0], generator=seeded(3))
### BEGIN HIDDEN TESTS
answer.require()
inside = (sample_disc(20_000, seeded(4)).norm(dim=1) <= 0.5).double()
z = laws.unbiased(inside, 0.25)
### END HIDDEN TESTS

# %% [markdown]
# ## 1.3 Honest bins (3 points, 30 minutes)
#
# A histogram with $m$ equal bins of width $w$ on $[a, b]$ has $\hat p = c_j/(nw)$ in bin $j$. Its
# leave-one-out risk is
#
# $$J(m) = \int \hat p^2\,dx - \frac 2n \sum_{i=1}^n \hat p_{-i}(x_i).$$
#
# Write it as a function of the counts $c_j$ only; no loop over the observations is needed. What is
# $\hat p_{-i}(x_i)$ if $x_i$ lies in a bin with $c_j$ observations?


# %% nbgrader={"grade": false, "grade_id": "honest-bins", "locked": false, "schema_version": 3, "solution": true, "task": false}
def risk(counts, width):
    """Leave-one-out risk of a histogram.

    counts: observations in each bin, [m]; width: width of a bin. Returns a number (0-dim tensor).
    """
    ### BEGIN SOLUTION
    c = counts.double()
    n = c.sum()
    square = (c**2).sum() / (n**2 * width)
    left_out = (c * (c - 1)).sum() / ((n - 1) * width)
    return square - 2 / n * left_out
    ### END SOLUTION


# %% tags=["wrong-answer"]
# The training risk: nobody is left out, so more bins always look better.
def risk(counts, width):
    c = counts.double()
    n = c.sum()
    return -(c**2).sum() / (n**2 * width)


# %% tags=["wrong-answer"]
# Leaves one out of the bin but still divides by n.
def risk(counts, width):
    c = counts.double()
    n = c.sum()
    return (c**2).sum() / (n**2 * width) - 2 / n * (c * (c - 1)).sum() / (n * width)


# %% nbgrader={"grade": true, "grade_id": "check-honest-bins", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def by_brute_force(x, bins, low, high):
    """J by fitting n histograms, each without one observation."""
    h = Histogram(bins, range=(low, high))
    n, width = len(x), (high - low) / bins
    square = float((h.fit(x).counts.double() ** 2).sum()) / (n**2 * width)
    rest = [h.fit(torch.cat([x[:i], x[i + 1 :]])).log_prob(x[i : i + 1]).exp() for i in range(n)]
    return square - 2 * float(torch.cat(rest).mean())


with check("1.3") as answer:
    x = torch.randn(40, dtype=torch.float64, generator=seeded(5))
    for bins in (4, 40, 400):
        counts = Histogram(bins, range=(-5, 5)).fit(x).counts
        got, right = float(risk(counts, 10 / bins)), by_brute_force(x, bins, -5, 5)
        why = (
            "that is the risk on the training data, with nobody left out"
            if math.isclose(got, -float((counts.double() ** 2).sum()) / (40**2 * 10 / bins))
            else "when one is left out, how many are left to divide by?"
        )
        assert math.isclose(got, right, abs_tol=1e-10), (
            f"with {bins} bins leaving each observation out in turn gives {right:.6f}, "
            f"your formula {got:.6f}; {why}"
        )
### BEGIN HIDDEN TESTS
answer.require()
x = torch.randn(25, dtype=torch.float64, generator=seeded(6)).abs()
for bins in (3, 17):
    counts = Histogram(bins, range=(0, 6)).fit(x).counts
    assert abs(float(risk(counts, 6 / bins)) - by_brute_force(x, bins, 0, 6)) < 1e-10
### END HIDDEN TESTS

# %% [markdown]
# Once it is right, let it choose the bins for the radii (nothing to hand in). Where is the minimum?


# %%
def show_risk(most):
    bins = torch.arange(1, most + 1)
    found = [risk(Histogram(int(m), range=(5, 30)).fit(radius).counts, 25 / m) for m in bins]
    plot.curve(
        bins,
        torch.stack(found),
        x="number of bins",
        y="leave-one-out risk",
        height=2.6,
        alt="The leave-one-out risk of the radii falls steeply up to about 15 bins, is flat and "
        "ragged to 30, and rises slowly after that.",
    )


try:
    show_risk(120)
except NotImplementedError:
    print("Comes with exercise 1.3.")

# %% [markdown]
# ## 1.4 A kernel estimate (4 points, 35 minutes)
#
# Write the Gaussian kernel estimate in $d$ dimensions, and its sampler. Compute $\log\hat p$ with
# `torch.logsumexp`, so that it stays finite far from the data. The check runs the law
# *integrates to one* in one, two and three dimensions, and *the sampler follows the density*.


# %% nbgrader={"grade": false, "grade_id": "kernel-estimate", "locked": false, "schema_version": 3, "solution": true, "task": false}
class MyKDE:
    """Gaussian kernel density estimate of data x, [n, d], with bandwidth h."""

    def __init__(self, x, h):
        self.x, self.h = x, h

    def log_prob(self, at):
        """log-density at the points at, [m, d], in nats; [m]."""
        ### BEGIN SOLUTION
        n, d = self.x.shape
        square = torch.cdist(at, self.x) ** 2
        bumps = -square / (2 * self.h**2) - d / 2 * math.log(2 * math.pi * self.h**2)
        return bumps.logsumexp(1) - math.log(n)
        ### END SOLUTION

    def sample(self, n, *, generator=None):
        """n draws, [n, d]."""
        ### BEGIN SOLUTION
        index = torch.randint(len(self.x), (n,), generator=generator)
        noise = torch.randn(n, self.x.shape[1], dtype=torch.float64, generator=generator)
        return self.x[index] + self.h * noise
        ### END SOLUTION


# %% tags=["wrong-answer"]
# Normalised by n·h, as one slide of the lectures has it: right in one dimension only.
class MyKDE:
    def __init__(self, x, h):
        self.x, self.h = x, h

    def log_prob(self, at):
        n, d = self.x.shape
        square = torch.cdist(at, self.x) ** 2
        bumps = -square / (2 * self.h**2) - d / 2 * math.log(2 * math.pi)
        return bumps.logsumexp(1) - math.log(n * self.h)

    def sample(self, n, *, generator=None):
        index = torch.randint(len(self.x), (n,), generator=generator)
        noise = torch.randn(n, self.x.shape[1], dtype=torch.float64, generator=generator)
        return self.x[index] + self.h * noise


# %% tags=["wrong-answer"]
# Resamples the data without the noise.
class MyKDE:
    def __init__(self, x, h):
        self.x, self.h = x, h

    def log_prob(self, at):
        return KDE(self.h).fit(self.x).log_prob(at)

    def sample(self, n, *, generator=None):
        return self.x[torch.randint(len(self.x), (n,), generator=generator)]


# %% nbgrader={"grade": true, "grade_id": "check-kernel-estimate", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
with check("1.4") as answer:
    for d in (1, 2, 3):
        x = torch.randn(6, d, dtype=torch.float64, generator=seeded(7))
        laws.integrates_to_one(MyKDE(x, 0.5), [-6.0] * d, [6.0] * d)
        far = torch.full((1, d), 100.0, dtype=torch.float64)
        assert MyKDE(x, 0.5).log_prob(far).isfinite().all(), (
            "far from the data the log-density is finite; take the logarithm before you add up "
            "(torch.logsumexp)"
        )
    x = torch.tensor([[0.0, 0.0], [3.0, 1.0]], dtype=torch.float64)
    laws.samples_follow(MyKDE(x, 0.6), [-3.0, -3.0], [6.0, 4.0], generator=seeded(8))
### BEGIN HIDDEN TESTS
answer.require()
x = torch.randn(30, 4, dtype=torch.float64, generator=seeded(9))
at = torch.randn(50, 4, dtype=torch.float64, generator=seeded(10))
assert torch.allclose(MyKDE(x, 0.8).log_prob(at), KDE(0.8).fit(x).log_prob(at))
z = laws.unbiased(MyKDE(x[:1], 0.8).sample(5000, generator=seeded(11))[:, 2], float(x[0, 2]))
### END HIDDEN TESTS

# %% [markdown]
# Turn the knob on the radii (nothing to hand in): where does the shoulder at 19 vanish, and where
# does the curve begin to flicker?


# %%
def show_estimate(h):
    t = torch.linspace(4, 31, 400, dtype=torch.float64)
    plot.curve(
        t,
        MyKDE(radius[:, None], h).log_prob(t[:, None]).exp(),
        x="mean radius (image units)",
        y="density",
        height=2.6,
        alt="Your kernel estimate of the radii, with a peak near 12 and, if the bandwidth is not "
        "too large, a shoulder near 19.",
    )


try:
    panel = sliders(show_estimate, h=Knob(0.05, 5.0, start=0.7, log=True))
except NotImplementedError:
    print("Comes with exercise 1.4.")
else:
    display(panel)

# %% [markdown]
# ## 1.5 Bias and variance, exactly (3 points, 30 minutes)
#
# The data are $n$ draws from $N(0, 1)$, the kernel is Gaussian with bandwidth $h$, and the point is
# $x = 0$. Write the squared bias and the variance of $\hat p(0)$ in closed form. You need
# $\mathrm E\,N(X; 0, s^2) = N(0; 0, 1 + s^2)$ and
# $N(x; 0, h^2)^2 = \frac{1}{2h\sqrt\pi}\,N(x; 0, h^2/2)$.


# %% nbgrader={"grade": false, "grade_id": "bias-variance", "locked": false, "schema_version": 3, "solution": true, "task": false}
def bias_squared_and_variance(n, h):
    """(bias², variance) of the kernel estimate at 0 from n standard normal draws."""

    ### BEGIN SOLUTION
    def normal_at_zero(variance):
        return 1 / math.sqrt(2 * math.pi * variance)

    mean = normal_at_zero(1 + h**2)
    second = normal_at_zero(1 + h**2 / 2) / (2 * h * math.sqrt(math.pi))
    return (mean - normal_at_zero(1)) ** 2, (second - mean**2) / n
    ### END SOLUTION


# %% tags=["wrong-answer"]
# Adds the standard deviations, 1 + h, where variances add.
def bias_squared_and_variance(n, h):
    def normal_at_zero(variance):
        return 1 / math.sqrt(2 * math.pi * variance)

    mean = normal_at_zero(1 + h)
    second = normal_at_zero(1 + h / 2) / (2 * h * math.sqrt(math.pi))
    return (mean - normal_at_zero(1)) ** 2, (second - mean**2) / n


# %% tags=["wrong-answer"]
# Takes the second moment for the variance: the square of the mean is not subtracted.
def bias_squared_and_variance(n, h):
    def normal_at_zero(variance):
        return 1 / math.sqrt(2 * math.pi * variance)

    mean = normal_at_zero(1 + h**2)
    second = normal_at_zero(1 + h**2 / 2) / (2 * h * math.sqrt(math.pi))
    return (mean - normal_at_zero(1)) ** 2, second / n


# %% nbgrader={"grade": true, "grade_id": "check-bias-variance", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
with check("1.5") as answer:
    n, h, repeat = 50, 0.8, 20_000
    draws = torch.randn(repeat, n, dtype=torch.float64, generator=seeded(12))
    estimates = (torch.exp(-(draws**2) / (2 * h**2)) / (h * math.sqrt(2 * math.pi))).mean(1)
    bias2, variance = bias_squared_and_variance(n, h)
    truth = 1 / math.sqrt(2 * math.pi)
    try:
        laws.unbiased(estimates, truth - math.sqrt(bias2))
    except laws.LawBroken as broken:
        raise AssertionError(
            f"20,000 repeated estimates put the bias at {float(estimates.mean()) - truth:.5f}, "
            f"yours is ±{math.sqrt(bias2):.5f}"
        ) from broken
    spread = (estimates - estimates.mean()) ** 2
    try:
        laws.unbiased(spread, variance)
    except laws.LawBroken as broken:
        raise AssertionError(
            f"20,000 repeated estimates put the variance at {float(spread.mean()):.6f}, yours is "
            f"{variance:.6f}; is the square of the mean subtracted?"
        ) from broken
### BEGIN HIDDEN TESTS
answer.require()
bias2, variance = bias_squared_and_variance(200, 0.3)
assert math.isclose(bias2, (1 / math.sqrt(2 * math.pi * 1.09) - 1 / math.sqrt(2 * math.pi)) ** 2)
assert math.isclose(
    200 * variance, 1 / (0.6 * math.pi * math.sqrt(2 * 1.045)) - 1 / (2 * math.pi * 1.09)
)
### END HIDDEN TESTS

# %% [markdown]
# ## 1.6 From neighbours to widths (2 points, 20 minutes)
#
# Nearest neighbours give no density, but good widths. Compute for each observation the distance to
# the $k$-th nearest of the *others*. (Use `torch.cdist`; the data are few.)


# %% nbgrader={"grade": false, "grade_id": "widths", "locked": false, "schema_version": 3, "solution": true, "task": false}
def widths(x, k):
    """Distance from each row of x, [n, d], to its k-th nearest other row; [n]."""
    ### BEGIN SOLUTION
    # Smallest of all is the distance 0 to oneself, so the k-th other stands at place k.
    return torch.cdist(x, x).sort(1).values[:, k]
    ### END SOLUTION


# %% tags=["wrong-answer"]
# Counts the point as its own first neighbour.
def widths(x, k):
    return torch.cdist(x, x).sort(1).values[:, k - 1]


# %% nbgrader={"grade": true, "grade_id": "check-widths", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
with check("1.6") as answer:
    line = torch.tensor([[0.0], [1.0], [3.0], [7.0]], dtype=torch.float64)
    for k, right in ((1, [1.0, 1.0, 2.0, 4.0]), (2, [3.0, 2.0, 3.0, 6.0])):
        got = widths(line, k).tolist()
        assert got == right, (
            f"for the points 0, 1, 3, 7 and k = {k} the widths are {right}, yours are {got}"
            + ("; a point is not its own neighbour" if 0 in got or got == [1, 1, 2, 4] else "")
        )
### BEGIN HIDDEN TESTS
answer.require()
x = torch.randn(30, 3, dtype=torch.float64, generator=seeded(13))
table = torch.cdist(x, x) + torch.diag(torch.full((30,), math.inf))
assert torch.allclose(widths(x, 5), table.sort(1).values[:, 4])
### END HIDDEN TESTS

# %% [markdown]
# ## 1.7 What a halving costs (2 points, 15 minutes)
#
# You want half the MISE. By what factor must the number of data grow, in the limit of many data:
# for a kernel estimate in $d$ dimensions; for a histogram on the line; for a normal law fitted to
# normal data? Careful with the last: the lectures quote $O(1/\sqrt n)$ for it, beside an MISE.


# %% nbgrader={"grade": false, "grade_id": "halving", "locked": false, "schema_version": 3, "solution": true, "task": false}
def more_data(estimate, d=1):
    """Factor on n that halves the MISE; estimate is "kernel", "histogram" or "normal"."""
    ### BEGIN SOLUTION
    exponent = {"kernel": 4 / (4 + d), "histogram": 2 / 3, "normal": 1}[estimate]
    return 2 ** (1 / exponent)
    ### END SOLUTION


# %% tags=["wrong-answer"]
# Takes 1/√n for the rate of the MISE, where it is the rate of a distance.
def more_data(estimate, d=1):
    exponent = {"kernel": 4 / (4 + d), "histogram": 2 / 3, "normal": 1 / 2}[estimate]
    return 2 ** (1 / exponent)


# %% tags=["wrong-answer"]
# By what factor the MISE falls when the data double: the other way round.
def more_data(estimate, d=1):
    return 2 ** {"kernel": 4 / (4 + d), "histogram": 2 / 3, "normal": 1}[estimate]


# %% nbgrader={"grade": true, "grade_id": "check-halving", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
with check("1.7") as answer:
    from genlab.density import minimal_mise

    for d in (1, 4):
        n = 1e12
        left = minimal_mise(more_data("kernel", d) * n, d)[0] / minimal_mise(n, d)[0]
        assert abs(left - 0.5) < 0.005, (
            f"with your factor the exact MISE of a kernel estimate in d = {d} falls to "
            f"{left:.3f} of what it was, not to one half"
        )
    x = torch.randn(4000, 2000, generator=seeded(14))
    few, many = (x[:, :n] for n in (500, round(500 * more_data("normal"))))

    def mise(sample):
        t = torch.linspace(-6, 6, 241)
        fitted = torch.distributions.Normal(sample.mean(1, True), sample.std(1, keepdim=True))
        truth = torch.distributions.Normal(0.0, 1.0).log_prob(t).exp()
        return float(((fitted.log_prob(t).exp() - truth) ** 2).sum(1).mean()) * 0.05

    left = mise(many) / mise(few)
    assert abs(left - 0.5) < 0.04, (
        f"with your factor the MISE of 4,000 fitted normal laws falls to {left:.2f} of what it "
        "was, not to one half; 1/√n is the rate of a distance, and the MISE is a square"
    )
### BEGIN HIDDEN TESTS
answer.require()
assert math.isclose(more_data("histogram"), 2**1.5)
assert math.isclose(more_data("kernel", 12), 16)
### END HIDDEN TESTS

# %% [markdown]
# ## 1.8 Find out why (2 points, 20 minutes)
#
# Somebody stored the radii as whole numbers. Cross-validation breaks down:


# %%
whole = radius.round()
try:
    KDE("lscv").fit(whole)
except ValueError as sentence:
    print(sentence)

# %% [markdown]
# A stored 13 stands for *some* number between 12.5 and 13.5. Undo the rounding as far as one can:
# write `dequantise`, which adds noise such that (a) rounding gives the stored data back, always,
# and (b) within a rounding cell no place is preferred.


# %% nbgrader={"grade": false, "grade_id": "dequantise", "locked": false, "schema_version": 3, "solution": true, "task": false}
def dequantise(x, step, generator):
    """Spread data that were rounded to multiples of step; float64, the shape of x."""
    ### BEGIN SOLUTION
    noise = torch.rand(x.shape, dtype=torch.float64, generator=generator) - 0.5
    return x + step * noise
    ### END SOLUTION


# %% tags=["wrong-answer"]
# Gaussian noise leaves the cell.
def dequantise(x, step, generator):
    return x + step / 2 * torch.randn(x.shape, dtype=torch.float64, generator=generator)


# %% tags=["wrong-answer"]
# Adds noise on (0, step): right for numbers that were cut off, not for rounded ones.
def dequantise(x, step, generator):
    return x + step * torch.rand(x.shape, dtype=torch.float64, generator=generator)


# %% tags=["wrong-answer"]
# Stays in the cell, but near its middle.
def dequantise(x, step, generator):
    return x + step / 4 * (torch.rand(x.shape, dtype=torch.float64, generator=generator) - 0.5)


# %% nbgrader={"grade": true, "grade_id": "check-dequantise", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
with check("1.8") as answer:
    for step in (1.0, 0.25):
        stored = (radius / step).round() * step
        spread = dequantise(stored, step, seeded(15))
        back = (spread / step).round() * step
        moved = int((back != stored).sum())
        assert moved == 0, (
            f"rounded to multiples of {step} again, {moved} of {len(stored)} values are not the "
            "stored ones: the noise leaves the cell from -step/2 to step/2"
        )
        laws.unbiased(((spread - stored) / step) ** 2, 1 / 12)  # ∫u² over (-1/2, 1/2)
    h = float(KDE("lscv").fit(dequantise(whole, 1.0, seeded(16))).h)
    assert 0.3 < h < 1.5, f"cross-validation should work again, it chose h = {h:.3f}"
### BEGIN HIDDEN TESTS
answer.require()
u = dequantise(torch.zeros(20_000, dtype=torch.float64), 2.0, seeded(17))
assert float(u.abs().max()) <= 1
laws.unbiased(u, 0.0)
z = laws.unbiased((u > 0.5).double(), 0.25)
### END HIDDEN TESTS

# %% [markdown]
# Does the bandwidth that cross-validation now finds come near the one for the unrounded radii?
# Dequantisation will return with models of images, whose pixels are whole numbers.
