"""Each law lets a right object pass and turns a wrong one down, with a sentence to act on."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from scipy.stats import binom, kstest
from torch import Tensor
from torch.distributions import Beta, Chi2, Independent, Laplace, Normal, Uniform

from genlab import laws
from genlab.flows import Scaling, Transform
from genlab.laws import (
    LawBroken,
    bounds_from_below,
    integrates_to_one,
    inverts,
    is_divergence,
    is_triangular,
    jacobian,
    log_det_agrees,
    never_goes_down,
    samples_follow,
    speaks_sampler,
    sums_to_one,
    unbiased,
)


@dataclass
class Model:
    """A density and a sampler that need not agree."""

    log_prob: Callable[[Tensor], Tensor]
    draw: Callable[[int, torch.Generator | None], Tensor] = lambda n, g: torch.zeros(n)

    def sample(self, n: int, *, generator: torch.Generator | None = None) -> Tensor:
        return self.draw(n, generator)


def seeded(number: int) -> torch.Generator:
    return torch.Generator().manual_seed(number)


def double(value: float) -> Tensor:
    return torch.tensor(value, dtype=torch.float64)


def randn(*shape: int, g: torch.Generator | None) -> Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=g)


def standard(d: int = 0):
    """The standard normal law: event () for d = 0, (d,) for d > 0."""
    if d == 0:
        return Normal(double(0), double(1))
    return Independent(Normal(torch.zeros(d).double(), torch.ones(d).double()), 1)


def normal(d: int = 0, factor: float = 1.0, scale: float = 1.0, shift: float = 0.0) -> Model:
    """p = factor · N(0, I), and draws from N(shift, scale² I)."""
    shape = (d,) if d else ()
    return Model(
        lambda x: standard(d).log_prob(x) + math.log(factor),
        lambda n, g: shift + scale * randn(n, *shape, g=g),
    )


def box(d: int = 0, reach: float = 9.0):
    return (-reach, reach) if d == 0 else ([-reach] * d, [reach] * d)


def uniform(low: float, high: float, factor: float = 1.0) -> Model:
    height = math.log(factor / (high - low))
    return Model(lambda x: torch.where((x >= low) & (x <= high), height, -math.inf))


# --- ∫ p = 1 -----------------------------------------------------------------------------------


@pytest.mark.parametrize("d", [0, 1, 2, 3])
def test_a_normal_density_integrates_to_one(d):
    assert integrates_to_one(standard(d), *box(d)) == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize(
    ("density", "low", "high"),
    [
        (Laplace(double(0.3), double(0.2)), -25, 26),  # a kink
        (Beta(double(0.5), double(0.5)), 0, 1),  # infinite at both ends
        (Chi2(double(1)), 0, 40),  # infinite at 0
        (Uniform(double(0), double(1), validate_args=False), 0, 1),  # the box fits exactly
        (Normal(double(1e8), double(1)), 1e8 - 9, 1e8 + 9),  # more digits than float32 has
        (Normal(double(0), double(1e-6)), -9e-6, 9e-6),
    ],
)
def test_densities_that_are_hard_to_integrate(density, low, high):
    assert integrates_to_one(density, low, high) == pytest.approx(1, abs=0.03)


def test_jumps_that_miss_the_grid_are_no_reason_to_turn_a_density_down(g):
    # The error of the midpoint rule at a jump is as good as random: of 300 uniform densities on
    # intervals that know nothing of the grid, every one passes.
    ends = torch.rand(300, 2, dtype=torch.float64, generator=g)
    for a, b in ends.tolist():
        integrates_to_one(uniform(a - 1.5, b + 0.5), -2, 2)


@pytest.mark.parametrize("factor", [0.97, 1.03])
def test_a_jump_does_not_hide_a_factor_of_three_per_cent(factor, g):
    ends = torch.rand(50, 2, dtype=torch.float64, generator=g)
    for a, b in ends.tolist():
        with pytest.raises(LawBroken, match=f"integrates to {str(factor)[:3]}"):
            integrates_to_one(uniform(a - 1.5, b + 0.5, factor), -2, 2)


@pytest.mark.parametrize("d", [0, 1, 2, 3])
@pytest.mark.parametrize("factor", [0.5, 0.999, 1.001, 1.00001, 2.0])
def test_a_density_off_by_a_factor_is_turned_down(d, factor):
    with pytest.raises(LawBroken, match=rf"integrates to {factor:.4f}\d*, not 1\b") as caught:
        integrates_to_one(normal(d, factor), *box(d))
    assert "to 1.0000," not in str(caught.value), "the digits that are wrong are not shown"


@pytest.mark.parametrize("d", [2, 3])
def test_a_wrong_integral_in_the_plane_comes_with_the_usual_reason(d):
    with pytest.raises(LawBroken, match=rf"In {d} dimensions .* divided by n·h\^{d}, not n·h\."):
        integrates_to_one(normal(d, 0.5), *box(d))


def test_mass_outside_the_box_is_missed():
    with pytest.raises(LawBroken, match=r"to 0\.6827, not 1\. Does the box hold all the mass\?"):
        integrates_to_one(standard(), -1, 1)


@pytest.mark.parametrize(
    ("scale", "sentence"),
    [
        (1e-3, r"to \d+\.\d+ on grids of 2048 to 4096 points an axis: the density is too spiky"),
        (1e-4, r"to 0\.0000, not 1\."),  # between the points of every grid
    ],
)
def test_a_spike_takes_more_points(scale, sentence):
    spike = Normal(double(0.123), double(scale))
    with pytest.raises(LawBroken, match=sentence):
        integrates_to_one(spike, -9, 9)
    assert integrates_to_one(spike, -9, 9, 2**19) == pytest.approx(1, abs=1e-6)


def test_a_density_that_is_infinite_at_a_point_is_not_decided():
    model = Model(lambda x: torch.where((x - 0.5).abs() < 1e-3, math.inf, 0.0))
    with pytest.raises(LawBroken, match="or infinite somewhere"):
        integrates_to_one(model, 0, 1)


def test_the_number_of_points_can_be_given():
    asked = []

    def log_prob(x):
        asked.append(len(x))
        return standard().log_prob(x)

    integrates_to_one(Model(log_prob), -9, 9, 200)
    assert asked == [200, 100]  # both grids say 1: no more are needed


@pytest.mark.parametrize(
    ("log_prob", "sentence"),
    [
        (lambda x: standard().log_prob(x)[:, None], r"shape \(4096,\), .*; got shape \(4096, 1\)"),
        (lambda x: standard().log_prob(x).sum(), r"shape \(4096,\), .*; got shape \(\)"),
        (lambda x: standard().log_prob(x)[1:], r"got shape \(4095,\)"),
        (lambda x: standard().log_prob(x).tolist(), "got a list"),
        (lambda x: torch.where(x.abs() < 1e-2, math.nan, -x * x), "NaN at 4 of 4096 points"),
    ],
)
def test_log_prob_gives_one_number_a_point(log_prob, sentence):
    with pytest.raises(LawBroken, match=sentence):
        integrates_to_one(Model(log_prob), -9, 9)


@pytest.mark.parametrize("law", [integrates_to_one, samples_follow])
@pytest.mark.parametrize(
    ("low", "high"),
    [
        (1.0, 1.0),
        (2.0, -2.0),
        (-math.inf, 0.0),
        (0.0, math.nan),
        ([0.0, 0.0], 1.0),
        (0.0, [1.0, 1.0]),
        ([0.0, 0.0], [1.0, 1.0, 1.0]),
        ([0.0, 0.0], [1.0, 0.0]),
        ([[0.0]], [[1.0]]),
    ],
)
def test_what_is_no_box_is_refused_before_anything_is_drawn(law, low, high):
    def never(*_):
        raise AssertionError("asked before the box was checked")

    with pytest.raises(ValueError, match="Expected a box: two finite numbers low < high"):
        law(Model(never, never), low, high)


def test_boxes_of_too_many_dimensions_are_refused():
    with pytest.raises(ValueError, match="Expected a box of 1 to 3 dimensions, got 4"):
        integrates_to_one(standard(4), *box(4))
    with pytest.raises(ValueError, match="Expected a box of 1 to 2 dimensions, got 3"):
        samples_follow(normal(3), *box(3))
    with pytest.raises(ValueError, match="Expected a box of 1 to 3 dimensions, got 0"):
        integrates_to_one(standard(1), [], [])


# --- Σ p = 1 -----------------------------------------------------------------------------------


def table(*p: float) -> Model:
    log_p = torch.tensor(p, dtype=torch.float64).log()
    return Model(lambda x: log_p[x])


def test_probabilities_that_sum_to_one():
    assert sums_to_one(table(0.5, 0.2, 0.3, 0.0), torch.arange(4)) == pytest.approx(1, abs=1e-15)


@pytest.mark.parametrize(
    ("p", "states", "sentence"),
    [
        ((0.5, 0.2, 0.2), [0, 1, 2], "the 3 states sum to 0.9, not 1"),
        ((0.5, 0.2, 0.3), [0, 1], "the 2 states sum to 0.7, not 1"),
        ((0.5, 0.2, 0.3), [0, 1, 2, 2], "the 4 states sum to 1.3, not 1"),
        ((0.5, 0.2, 0.3 + 1e-9), [0, 1, 2], "sum to 1.000000001, not 1"),
        ((0.5, 0.2, math.nan), [0, 1, 2], "NaN at 1 of 3 points"),
    ],
)
def test_probabilities_that_do_not_sum_to_one(p, states, sentence):
    with pytest.raises(LawBroken, match=sentence):
        sums_to_one(table(*p), torch.tensor(states))


# --- Draws follow the density ------------------------------------------------------------------


@pytest.mark.parametrize("d", [0, 1, 2])
def test_p_values_of_a_right_model_are_like_any_others(d):
    p = [samples_follow(normal(d), *box(d, 5), generator=seeded(i)) for i in range(50)]
    assert min(p) > 1e-5
    low = sum(value < 0.05 for value in p)
    assert binom.sf(low - 1, 50, 0.05) > 1e-3  # not more than chance
    assert binom.cdf(sum(value < 0.5 for value in p), 50, 0.5) > 1e-3  # and not fewer: not blind
    assert kstest(p, "uniform").pvalue > 1e-3


def test_the_draws_outside_the_box_are_one_more_cell():
    # A third of the mass lies outside; p-values are still those of a right model.
    p = [samples_follow(normal(), -1, 1, generator=seeded(i)) for i in range(50)]
    assert kstest(p, "uniform").pvalue > 1e-3


@pytest.mark.parametrize("d", [0, 2])
@pytest.mark.parametrize(
    "wrong",
    [{"scale": 1.05}, {"scale": 0.95}, {"shift": 0.15}, {"factor": 0.9}, {"factor": 1.1}],
    ids=str,
)
def test_small_errors_are_seen_by_every_one_of_twenty_seeds(d, wrong):
    for i in range(20):
        with pytest.raises(LawBroken, match=r"do not follow the density \(χ² test, p = \d"):
            samples_follow(normal(d, **wrong), *box(d, 5), generator=seeded(i))


@pytest.mark.parametrize(
    "draw",
    [
        # One draw in a hundred is the same number.
        lambda n, g: torch.where(torch.arange(n) % 100 == 0, 0.7, randn(n, g=g)),
        # Never far out.
        lambda n, g: randn(n, g=g).clamp(-2.5, 2.5),
        # Student's t with 10 degrees of freedom, scaled to variance 1.
        lambda n, g: math.sqrt(0.8) * randn(n, g=g) / randn(10, n, g=g).square().mean(0).sqrt(),
        # Rounded to one digit.
        lambda n, g: randn(n, g=g).mul(10).round() / 10,
    ],
    ids=["atom", "clamped", "heavy tails", "rounded"],
)
def test_draws_from_another_law_with_nearly_the_same_moments(draw, g):
    with pytest.raises(LawBroken, match="do not follow"):
        samples_follow(Model(standard().log_prob, draw), -5, 5, generator=g)


def test_a_correlation_of_a_tenth_is_seen(g):
    def draw(n, generator):
        x = randn(n, 2, g=generator)
        return torch.stack([x[:, 0], 0.1 * x[:, 0] + math.sqrt(0.99) * x[:, 1]], 1)

    with pytest.raises(LawBroken, match="do not follow"):
        samples_follow(Model(standard(2).log_prob, draw), *box(2, 4), generator=g)


def test_the_cell_that_is_most_off_is_named(g):
    spot = lambda n, g: torch.where(torch.arange(n) % 10 == 0, 1.3, randn(n, g=g))
    with pytest.raises(LawBroken, match=r"the cell \[1\.25, 1\.4\d?\] holds 2\d{3} of 20000 .* 5"):
        samples_follow(Model(standard().log_prob, spot), -5, 5, generator=g)
    spot = lambda n, g: torch.where((torch.arange(n) % 10 == 0)[:, None], 1.3, randn(n, 2, g=g))
    cell = r"the cell \[1, 1\.5\] x \[1, 1\.5\] holds 2\d{3} of 20000"
    with pytest.raises(LawBroken, match=cell):
        samples_follow(Model(standard(2).log_prob, spot), *box(2, 4), generator=g)


def test_draws_outside_the_box_are_named(g):
    away = lambda n, g: torch.where(torch.arange(n) % 10 == 0, 99.0, randn(n, g=g))
    with pytest.raises(LawBroken, match=r"all outside the box .* holds 20\d\d of 20000 .* expects"):
        samples_follow(Model(standard().log_prob, away), -5, 5, generator=g)
    with pytest.raises(LawBroken, match=r"outside the box .* holds 20000 of 20000 .* expects 15\."):
        samples_follow(normal(shift=1e9), *box(), generator=g)


def test_too_few_draws_decide_nothing(g):
    # With 50 draws no cell expects ten: whatever is drawn, nothing could be said against it.
    for model in (normal(), normal(scale=3.0)):
        with pytest.raises(LawBroken, match=r"50 draws decide nothing here: 0 of the 64 cells"):
            samples_follow(model, -5, 5, 50, generator=g)
    with pytest.raises(LawBroken, match=r"200 draws decide nothing here: \d of the 256 cells"):
        samples_follow(normal(2), *box(2, 5), 200, generator=g)


def test_a_box_that_does_not_fit_decides_nothing(g):
    with pytest.raises(LawBroken, match=r"2 of the 64 cells .* or a box that fits the density\."):
        samples_follow(normal(), -1000, 1000, generator=g)
    with pytest.raises(LawBroken, match=r"0 of the 64 cells .* and the rest expects 20000\."):
        samples_follow(normal(), 50, 60, generator=g)


@pytest.mark.parametrize(
    ("draw", "sentence"),
    [
        (lambda n, g: randn(n, 1, g=g), r"must have shape \(20000,\), got shape \(20000, 1\)"),
        (lambda n, g: randn(n - 1, g=g), r"must return a tensor with 20000 rows, got .*19999"),
        (lambda n, g: randn(n, g=g).log(), "returned NaN or infinite values"),
        (lambda n, g: randn(n, g=None), "some draw does not use the generator"),
    ],
)
def test_what_is_no_sample_is_not_counted(draw, sentence, g):
    with pytest.raises(LawBroken, match=sentence), torch.random.fork_rng():
        samples_follow(Model(standard().log_prob, draw), -5, 5, generator=g)


def test_draws_in_a_row_are_no_draws_in_the_plane(g):
    model = Model(standard(2).log_prob, lambda n, g: randn(n, 3, g=g))
    with pytest.raises(LawBroken, match=r"must have shape \(20000, 2\), got shape \(20000, 3\)"):
        samples_follow(model, *box(2), generator=g)


# --- A sampler ---------------------------------------------------------------------------------


def drawing(draw) -> Model:
    return Model(lambda x: x, draw)


@pytest.mark.parametrize("shape", [(), (3,), (1, 4, 4)])
def test_a_sampler_returns_its_draws_and_moves_the_generator_once(shape):
    model, g, twin = drawing(lambda n, g: randn(n, *shape, g=g)), seeded(1), seeded(1)
    x = speaks_sampler(model, 6, generator=g)
    assert torch.equal(x, model.sample(6, generator=twin))
    assert x.shape == (6, *shape)
    assert torch.equal(g.get_state(), twin.get_state())
    assert speaks_sampler(model, 0, generator=g).shape == (0, *shape)


@pytest.mark.parametrize(
    ("draw", "sentence"),
    [
        (lambda n, g: randn(n + 1, g=g), r"sample\(8\) must return .* 8 rows, got shape \(9,\)"),
        (lambda n, g: randn(g=g), r"8 rows, got shape \(\)"),
        (lambda n, g: randn(2, n, g=g), r"8 rows, got shape \(2, 8\)"),
        (lambda n, g: randn(n, g=g).tolist(), "8 rows, got a list"),
        (lambda n, g: None, "8 rows, got a NoneType"),
        (lambda n, g: 1 / torch.zeros(n), "NaN or infinite"),
        (lambda n, g: torch.full((n, 2), math.nan), "NaN or infinite"),
        (lambda n, g: torch.rand(n), "The same generator gave two different samples"),
        (lambda n, g: randn(n, g=g) + 1e-9 * torch.rand(n), "two different samples"),
    ],
)
def test_what_is_no_sampler(draw, sentence, g):
    with torch.random.fork_rng(), pytest.raises(LawBroken, match=sentence):
        speaks_sampler(drawing(draw), generator=g)


def test_a_sampler_that_has_moved_its_own_state_on(g):
    kept = [0.0]

    def chain(n, generator):
        kept[0] += 1
        return kept[0] + randn(n, g=generator)

    with pytest.raises(LawBroken, match="two different samples"):
        speaks_sampler(drawing(chain), generator=g)
    assert len(speaks_sampler(drawing(chain))) == 8  # without a generator nothing is promised


# --- An estimator ------------------------------------------------------------------------------


def test_z_of_unbiased_estimates_is_standard_normal():
    # The variance estimate with 1/(n−1), of samples of five.
    z = [unbiased(randn(2000, 5, g=seeded(i)).var(1), truth=1.0) for i in range(200)]
    assert kstest(z, "norm").pvalue > 1e-3
    assert max(map(abs, z)) < 4


def test_the_variance_with_one_over_n_is_biased(g):
    x = randn(20_000, 5, g=g).var(1, correction=0)
    with pytest.raises(LawBroken, match=r"average 0\.[78]\d+ ± 0\.00\d+, the truth is 1: they are"):
        unbiased(x, truth=1.0)
    assert abs(unbiased(x, truth=0.8)) < 4


def test_a_bias_of_six_standard_errors_is_seen_by_nearly_every_seed():
    # |z| ≥ 4 has probability 0.977 where the bias is six standard errors.
    seen = 0
    for i in range(100):
        try:
            unbiased(randn(400, g=seeded(i)) + 6 / 20, truth=0.0)
        except LawBroken:
            seen += 1
    assert binom.cdf(seen, 100, 0.977) > 1e-3
    assert binom.sf(seen - 1, 100, 0.977) > 1e-3


@pytest.mark.parametrize("value", [0.0, 0.1, 1 / 3, 7.7, -1e8 / 3])
@pytest.mark.parametrize("n", [30, 1000, 12_345])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_estimates_without_spread_are_right_up_to_rounding(value, n, dtype):
    unbiased(torch.full((n,), value, dtype=dtype), truth=value)
    with pytest.raises(LawBroken, match="the estimator is biased"):
        unbiased(torch.full((n,), value, dtype=dtype), truth=value * (1 + 1e-5) + 1e-5)


def test_whole_numbers_are_estimates_too():
    assert unbiased(torch.tensor([0, 1] * 50), truth=0.5) == 0.0


@pytest.mark.parametrize("shape", [(), (29,), (30, 1), (0,)])
def test_too_few_estimates_are_refused(shape):
    with pytest.raises(ValueError, match="Expected 30 or more estimates in one axis, got shape"):
        unbiased(torch.zeros(shape), truth=0.0)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_estimates_that_are_no_numbers(bad):
    x = torch.zeros(40)
    x[3] = bad
    with pytest.raises(LawBroken, match="1 of the 40 estimates are NaN or infinite"):
        unbiased(x, truth=0.0)


# --- Climbing, and bounds ----------------------------------------------------------------------


@pytest.mark.parametrize("kind", [list, torch.tensor])
def test_a_history_that_climbs_or_stays(kind):
    assert never_goes_down(kind([-3.0, -2.0, -2.0, 1.5])) == pytest.approx(4.5)
    assert never_goes_down(kind([-math.inf, -math.inf, 0.0])) == math.inf
    assert never_goes_down([1.0, 1.0 - 5e-10]) == pytest.approx(-5e-10)
    never_goes_down([1.0, 0.9], tolerance=0.2)


@pytest.mark.parametrize(
    ("history", "sentence"),
    [
        ([0.0, 1.0, 0.75, 2.0, 1.9], r"falls by 0\.25 at step 2, from 1 to 0\.75"),
        ([0.0, -3e-9], r"falls by 3e-09 at step 1"),
        ([0.0, -math.inf], "falls by inf at step 1"),
        ([0.0, math.nan], "is nan at step 1"),
        ([math.inf, 0.0], "is inf at step 0"),
    ],
)
def test_a_history_that_falls(history, sentence):
    with pytest.raises(LawBroken, match=sentence):
        never_goes_down(history)


@pytest.mark.parametrize("history", [[], [1.0], [[1.0, 2.0]]])
def test_what_is_no_history_is_refused(history):
    with pytest.raises(ValueError, match="Expected two or more values in a row"):
        never_goes_down(history)


def test_a_bound_that_stays_below_and_touches():
    log_p = torch.tensor([-1.0, -2.0, -math.inf], dtype=torch.float64)
    bound = torch.tensor([-1.5, -2.0, -math.inf], dtype=torch.float64)
    mask = torch.tensor([False, True, True])
    assert bounds_from_below(bound, log_p) == pytest.approx(0.5)
    assert bounds_from_below(bound, log_p, touching=mask) == pytest.approx(0.5)
    assert bounds_from_below(log_p, log_p, touching=True) == 0.0
    assert bounds_from_below(torch.tensor(-math.inf), torch.tensor(0.0)) == math.inf


@pytest.mark.parametrize(
    ("bound", "touching", "sentence"),
    [
        ([-1.5, -1.9], False, r"above what it bounds, by 0\.1 nats at most, in 1 of 2 cases"),
        ([-1.5, -2 + 3e-9], False, "above what it bounds, by 3e-09 nats"),
        ([-1.5, -2.0], True, r"stays 0\.5 nats below where it must touch"),
        ([-1.5, -2.2], [False, True], r"stays 0\.2 nats below"),
        ([math.nan, -2.0], False, "The bound is NaN 1 times"),
        ([-math.inf, -2.0], True, "stays inf nats below"),
    ],
)
def test_a_bound_that_is_none(bound, touching, sentence):
    bound = torch.tensor(bound, dtype=torch.float64)
    log_p = torch.tensor([-1.0, -2.0], dtype=torch.float64)
    with pytest.raises(LawBroken, match=sentence):
        bounds_from_below(bound, log_p, torch.tensor(touching))


def test_bounds_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"of one shape, got \(2,\), \(3,\) and \(\)"):
        bounds_from_below(torch.zeros(2), torch.zeros(3))
    with pytest.raises(ValueError, match="one value or more"):
        bounds_from_below(torch.zeros(0), torch.zeros(0))
    with pytest.raises(ValueError, match=r"a mask of truth values, got torch\.int64"):
        bounds_from_below(torch.zeros(2), torch.zeros(2), torch.tensor([0, 1]))


def test_a_broken_law_is_a_failed_assertion():
    assert issubclass(laws.LawBroken, AssertionError)


# --- Divergences -------------------------------------------------------------------------------


def kl(p: Tensor, q: Tensor) -> Tensor:
    return (torch.xlogy(p, p) - torch.xlogy(p, q)).sum()


def entropy(p: Tensor) -> Tensor:
    return -torch.xlogy(p, p).sum()


RIGHT_DIVERGENCES = {
    "kl": kl,
    "reverse kl": lambda p, q: kl(q, p),
    "total variation": lambda p, q: float((p - q).abs().sum()) / 2,
    "jensen-shannon": lambda p, q: (kl(p, (p + q) / 2) + kl(q, (p + q) / 2)) / 2,
    "squared euclid": lambda p, q: ((p - q) ** 2).sum(),
}


@pytest.mark.parametrize("name", RIGHT_DIVERGENCES)
@pytest.mark.parametrize("m", [3, 7])
def test_divergences_pass(name, m):
    assert is_divergence(RIGHT_DIVERGENCES[name], m, generator=seeded(0)) > 0


WRONG_DIVERGENCES = {
    "entropies added": (lambda p, q: entropy(p) + entropy(q), r"D\(p, p\) is .*, not 0"),
    "half of KL forgotten": (lambda p, q: -torch.xlogy(p, q).sum(), r"D\(p, p\) is .*, not 0"),
    "upside down": (lambda p, q: -kl(p, q), "negative although the laws differ.*right way up"),
    "mean under the wrong law": (
        lambda p, q: (torch.xlogy(q, p) - torch.xlogy(q, q)).sum(),
        "negative although the laws differ",
    ),
    "differences that cancel": (lambda p, q: (p - q).sum() * 0, "is zero although"),
    "blind to order": (
        lambda p, q: ((p.sort().values - q.sort().values) ** 2).sum(),
        "is zero although.*value by value",
    ),
    "0 log 0": (lambda p, q: (p * (p / q).log()).sum(), "is NaN.*0 log 0 = 0: torch.xlogy"),
    "no sum": (lambda p, q: (p - q).abs(), r"one number, got shape \(4,\)"),
}


@pytest.mark.parametrize("name", WRONG_DIVERGENCES)
def test_what_is_no_divergence_is_told_why(name):
    wrong, message = WRONG_DIVERGENCES[name]
    with pytest.raises(LawBroken, match=message):
        is_divergence(wrong, generator=seeded(0))


@pytest.mark.parametrize(("m", "pairs"), [(2, 10), (4, 0)])
def test_a_divergence_needs_three_values_and_a_pair(m, pairs):
    with pytest.raises(ValueError, match="m >= 3 values and pairs >= 1"):
        is_divergence(kl, m, pairs)


# --- Maps --------------------------------------------------------------------------------------


class Doubled(Transform):
    """z = 2x, with faults to choose."""

    def __init__(
        self, log_det: Callable = lambda x: x.new_full((len(x),), 2 * math.log(2)), back=0.5
    ):
        super().__init__((2,))
        self.log_det, self.back = log_det, back

    def forward(self, x):
        return 2 * x, self.log_det(x)

    def inverse(self, z):
        return self.back * z, -self.log_det(z)


def test_the_laws_of_flows_turn_wrong_maps_down_with_a_reason(g):
    x = randn(5, 2, g=g)
    right = Doubled()
    assert inverts(right, x) == 0
    assert log_det_agrees(right, x) < 1e-12
    minus = Doubled(lambda x: x.new_full((len(x),), -2 * math.log(2)))
    with pytest.raises(LawBroken, match="the other direction"):
        log_det_agrees(minus, x)
    half = Doubled(lambda x: x.new_full((len(x),), math.log(2)))
    with pytest.raises(LawBroken, match="summed over the entries"):
        log_det_agrees(half, x)
    with pytest.raises(LawBroken, match=r"away from x, at row \d"):
        inverts(Doubled(back=0.4), x)
    both = Doubled()
    both.inverse = lambda z: (z / 2, right.log_det(z))
    with pytest.raises(LawBroken, match="must sum to 0"):
        inverts(both, x)
    with pytest.raises(LawBroken, match="one log-determinant for each of the 5 rows"):
        log_det_agrees(Doubled(lambda x: torch.zeros(())), x)
    with pytest.raises(LawBroken, match="return two tensors"):
        inverts(lambda x: 2 * x, x)
    with pytest.raises(LawBroken, match="from 2 to 3 dimensions"):
        log_det_agrees(lambda x: (x @ torch.ones(2, 3).double(), x[:, 0]), x)
    nan = Doubled(lambda x: x.new_full((len(x),), math.nan))
    for law in (inverts, log_det_agrees):
        with pytest.raises(LawBroken):
            law(nan, x)


def test_the_jacobian_is_that_of_the_formula_and_says_when_there_is_none(g):
    x = randn(4, 3, g=g)
    found = jacobian(lambda x: torch.stack([x[:, 0] * x[:, 1], x[:, 2] ** 2], 1), x)
    zero = torch.zeros(4, dtype=torch.float64)
    right = torch.stack([x[:, 1], x[:, 0], zero, zero, zero, 2 * x[:, 2]], 1).reshape(4, 2, 3)
    assert torch.equal(found, right)
    with pytest.raises(LawBroken, match="autograd follows"):
        jacobian(lambda x: x.detach(), x)
    with pytest.raises(LawBroken, match="4 rows"):
        jacobian(lambda x: x.sum(), x)
    x.requires_grad_()
    jacobian(lambda x: x**3, x, create_graph=True).sum().backward()
    assert torch.allclose(x.grad, 6 * x.detach())


def test_infinite_log_determinants_do_not_cancel():
    class Endless(Scaling):
        def forward(self, x):
            return x, x.new_full((len(x),), math.inf)

        def inverse(self, z):
            return z, z.new_full((len(z),), -math.inf)

    with pytest.raises(LawBroken, match="must sum to 0"):
        inverts(Endless((1,)), torch.ones(2, 1))


def test_triangular_maps_are_told_from_others(g):
    x = randn(6, 4, g=g)
    assert is_triangular(lambda x: x.cumsum(1) ** 3, x) > 0
    assert is_triangular(lambda x: x**3, x) == 0
    with pytest.raises(LawBroken, match="Output 0 depends on input"):
        is_triangular(lambda x: x.flip(1), x)
    with pytest.raises(LawBroken, match="its own"):
        is_triangular(lambda x: x.cumsum(1), x, strictly=True)
    is_triangular(lambda x: x.cumsum(1) - x, x, strictly=True)
    is_triangular(lambda x: x.flip(1).cumsum(1).flip(1), x, order=[3, 2, 1, 0])
    with pytest.raises(ValueError, match="order"):
        is_triangular(lambda x: x, x, order=[0, 0, 1, 2])
