"""Chapter 04: Markov chains that keep a law, and how long they take; annealing from law to law."""

import math
from itertools import pairwise

import pytest
import torch
from scipy.stats import chi2
from torch import Tensor

from genlab import laws
from genlab.divergences import total_variation
from genlab.early import (
    RBM,
    LogPartition,
    ais,
    ais_log_partition,
    autocorrelation_time,
    binary,
    double_well,
    gibbs,
    gibbs_kernel,
    imbalance,
    log_partition,
    metropolis,
    metropolis_kernel,
    spectral_gap,
    states,
    stationary,
    walk,
)


def seeded(number: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(number)


def weights(*shape: int, seed: int = 1) -> Tensor:
    """Positive numbers that sum to anything but one."""
    return torch.rand(shape, generator=seeded(seed), dtype=torch.float64) + 0.05


def rows(n: int, seed: int = 2) -> Tensor:
    """A kernel with all entries positive."""
    q = weights(n, n, seed=seed)
    return q / q.sum(1, keepdim=True)


def neighbours(n: int) -> Tensor:
    """Propose the left or the right neighbour on a line; at the ends, one may be oneself."""
    near = torch.diag(torch.full((n - 1,), 0.5, dtype=torch.float64), 1)
    near = near + near.T
    return near + (1 - near.sum(1)).diag()


# --- Kernels on finitely many states --------------------------------------------------------------


@pytest.mark.proves("thm-detailed-balance")
@pytest.mark.covers("S0-28")
@pytest.mark.parametrize("n", [2, 5, 12])
def test_metropolis_keeps_any_law_from_its_ratios_alone(n):
    pi = weights(n)
    kernel = metropolis_kernel(pi, rows(n))  # the proposal is not symmetric: Hastings' ratio
    law = pi / pi.sum()
    assert (kernel >= 0).all()
    assert torch.allclose(kernel.sum(1), torch.ones(n, dtype=torch.float64), atol=1e-15)
    assert imbalance(law, kernel) < 1e-16
    assert (law @ kernel - law).abs().max() < 1e-15
    assert torch.allclose(kernel, metropolis_kernel(1000 * pi, rows(n)), atol=1e-15)
    assert torch.allclose(stationary(kernel), law, atol=1e-12)


def test_metropolis_of_a_symmetric_proposal_goes_up_for_sure_and_down_by_the_ratio():
    kernel = metropolis_kernel(torch.tensor([1.0, 4.0]), torch.tensor([[0.0, 1.0], [1.0, 0.0]]))
    assert kernel.tolist() == [[0.0, 1.0], [0.25, 0.75]]


@pytest.mark.covers("S0-28", "S4-15", "E46")
@pytest.mark.proves("thm-gibbs-stationary")
def test_each_gibbs_draw_and_each_sweep_keep_the_joint_law():
    joint = weights(2, 3, 4)
    law = (joint / joint.sum()).flatten()
    kernels = [gibbs_kernel(joint, axis) for axis in range(3)]
    for kernel in kernels:
        assert torch.allclose(kernel.sum(1), torch.ones(24, dtype=torch.float64))
        assert imbalance(law, kernel) < 1e-16
        assert (law @ kernel - law).abs().max() < 1e-15
        assert torch.allclose(kernel @ kernel, kernel, atol=1e-15)  # to draw twice is to draw once
    sweep = kernels[0] @ kernels[1] @ kernels[2]
    assert (law @ sweep - law).abs().max() < 1e-15
    assert imbalance(law, sweep) > 1e-4  # the law is kept all the same
    assert torch.allclose(stationary(sweep), law, atol=1e-12)


def test_a_gibbs_draw_moves_its_own_variables_alone_and_by_their_conditional():
    joint = weights(2, 3, 4)
    p = gibbs_kernel(joint, (0, 2)).reshape(2, 3, 4, 2, 3, 4)
    given = joint / joint.sum((0, 2), keepdim=True)
    for i in range(3):
        assert torch.allclose(p[1, i, 2, :, i], given[:, i])
        for j in set(range(3)) - {i}:
            assert (p[:, i, :, :, j] == 0).all()
    assert torch.allclose(gibbs_kernel(joint, (0, 1, 2))[5], (joint / joint.sum()).flatten())


@pytest.mark.covers("S4-15")
@pytest.mark.proves("prop-data-augmentation")
def test_data_augmentation_keeps_the_posterior_and_its_margins_are_chains_too():
    posterior = weights(3, 5)  # p(z1, z2 | x) up to p(x)
    law = posterior / posterior.sum()
    second = gibbs_kernel(posterior, 1) @ gibbs_kernel(posterior, 0)  # z2 | z1, then z1 | z2
    assert (law.flatten() @ second - law.flatten()).abs().max() < 1e-15
    z1_z2, z2_z1 = law / law.sum(1, keepdim=True), (law / law.sum(0)).T
    alone = z1_z2 @ z2_z1  # z1 to z1, with z2 forgotten
    assert imbalance(law.sum(1), alone) < 1e-16
    assert torch.allclose(stationary(alone), law.sum(1), atol=1e-12)
    assert spectral_gap(alone) == pytest.approx(spectral_gap(second), abs=1e-10)


@pytest.mark.proves("prop-spectral-gap")
def test_the_distance_to_the_law_shrinks_by_one_minus_the_gap():
    kernel = metropolis_kernel(weights(8), neighbours(8))
    law, p = stationary(kernel), torch.eye(8, dtype=torch.float64)[0]
    distance = []
    for _ in range(400):
        distance.append(float(total_variation(p, law)))
        p = p @ kernel
    assert all(a >= b - 1e-15 for a, b in pairwise(distance))
    rate = (distance[300] / distance[200]) ** 0.01
    assert rate == pytest.approx(1 - spectral_gap(kernel), rel=1e-3)


@pytest.mark.covers("S0-29")
@pytest.mark.proves("prop-double-well")
def test_the_time_between_wells_grows_exponentially_with_the_barrier():
    barriers = torch.arange(4.0, 13.0, dtype=torch.float64)
    gaps = [
        spectral_gap(metropolis_kernel(double_well(float(b)), neighbours(41))) for b in barriers
    ]
    time = -torch.tensor(gaps, dtype=torch.float64).log()
    design = torch.stack([barriers, torch.ones_like(barriers)], 1)
    fitted = torch.linalg.lstsq(design, time[:, None]).solution[:, 0]
    left = time - design @ fitted
    assert 1 - left.square().sum() / (time - time.mean()).square().sum() > 0.999
    # e^barrier by Kramers' law, less the factor of the barrier that steeper wells gain.
    assert fitted[0] == pytest.approx(0.87, abs=0.03)
    corrected = torch.linalg.lstsq(design, (time + barriers.log())[:, None]).solution[0, 0]
    assert corrected == pytest.approx(1.0, abs=0.02)


@pytest.mark.proves("prop-double-well")
def test_no_set_is_left_faster_than_the_gap_allows():
    g = torch.Generator().manual_seed(0)
    pi = torch.rand(41, generator=g, dtype=torch.float64)
    for law in (pi / pi.sum(), double_well(4.0)):
        K = metropolis_kernel(law, neighbours(41))
        for _ in range(50):
            A = torch.rand(41, generator=g) < 0.5
            leaving = (law[:, None] * K)[A][:, ~A].sum()
            assert spectral_gap(K) <= leaving / (law[A].sum() * law[~A].sum()) + 1e-12
    pi = double_well(8.0)
    top = float(pi[20])
    bound = 2 * top / (1 - top**2)
    assert 1 / bound == pytest.approx(10_975, rel=1e-3)
    assert spectral_gap(metropolis_kernel(pi, neighbours(41))) <= bound


def test_a_double_well_has_its_barrier_and_two_equal_wells():
    p = double_well(5.0)
    assert p.sum() == pytest.approx(1.0)
    assert torch.allclose(p, p.flip(0))
    assert math.log(p.max() / p[20]) == pytest.approx(5.0, abs=0.05)
    assert double_well(5.0, points=101).shape == (101,)


def test_a_walk_round_a_ring_keeps_its_law_without_detailed_balance():
    ring = 0.9 * torch.eye(5, dtype=torch.float64).roll(1, 1) + 0.1 * torch.eye(5)
    law = torch.full((5,), 0.2, dtype=torch.float64)
    assert torch.allclose(stationary(ring), law)
    assert imbalance(law, ring) == pytest.approx(0.18)


# --- Chains ---------------------------------------------------------------------------------------


@pytest.mark.covers("S0-28")
def test_a_long_chain_visits_states_as_often_as_their_law_says(g):
    kernel = metropolis_kernel(weights(6), rows(6))
    law = stationary(kernel)
    visited = walk(kernel, torch.zeros(2000, dtype=torch.long), 60, generator=g)
    assert visited.shape == (61, 2000)
    n = torch.bincount(visited[-1], minlength=6)  # chains are independent of one another
    statistic = float(((n - 2000 * law) ** 2 / (2000 * law)).sum())
    assert chi2.sf(statistic, 5) > 1e-4


def test_a_walk_makes_each_move_as_often_as_its_kernel_says(g):
    kernel = rows(3)
    a, b = walk(kernel, torch.arange(3).repeat(20000), 1, generator=g)
    moves = torch.bincount(3 * a + b, minlength=9).reshape(3, 3) / 20000
    error = (kernel * (1 - kernel) / 20000).sqrt()
    assert ((moves - kernel).abs() < 4 * error).all()


@pytest.mark.covers("S0-28")
def test_metropolis_in_the_plane_draws_what_is_known_up_to_a_factor(g):
    precision = torch.tensor([[1.0, 0.6], [0.6, 1.0]], dtype=torch.float64)
    start = torch.zeros(4000, 2, dtype=torch.float64)
    log_weight = lambda x: 7 - 0.5 * ((x @ precision) * x).sum(1)
    visited = metropolis(log_weight, start, 150, scale=1.5, generator=g)
    assert visited.shape == (151, 4000, 2)
    assert visited.dtype == torch.float64
    x = visited[-1]
    covariance = precision.inverse()
    for i in range(2):
        laws.unbiased(x[:, i], 0.0)
        laws.unbiased(x[:, i] ** 2, float(covariance[i, i]))
    laws.unbiased(x[:, 0] * x[:, 1], float(covariance[0, 1]))
    stays = (visited[1:] == visited[:-1]).all(2).double().mean()
    assert 0.2 < stays < 0.8


def test_gibbs_runs_its_updates_in_their_order_and_draws_from_the_joint(g):
    joint = weights(2, 3)
    law = joint / joint.sum()
    seen = []

    def first(z, generator):
        seen.append("first")
        p = law.T[z[:, 1]]
        return torch.stack([torch.multinomial(p, 1, generator=generator)[:, 0], z[:, 1]], 1)

    def second(z, generator):
        seen.append("second")
        p = law[z[:, 0]]
        return torch.stack([z[:, 0], torch.multinomial(p, 1, generator=generator)[:, 0]], 1)

    start = torch.zeros(3000, 2, dtype=torch.long)
    visited = gibbs([first, second], start, 15, generator=g)
    assert visited.shape == (16, 3000, 2)
    assert torch.equal(visited[0], start)
    assert seen == ["first", "second"] * 15
    z = visited[-1]
    n = torch.bincount(3 * z[:, 0] + z[:, 1], minlength=6)
    expected = 3000 * law.flatten()
    assert chi2.sf(float(((n - expected) ** 2 / expected).sum()), 5) > 1e-4


@pytest.mark.parametrize("rho", [0.0, 0.5, 0.9])
def test_the_autocorrelation_time_of_a_known_chain_is_found(rho, g):
    x, noise = [torch.zeros(200, dtype=torch.float64)], math.sqrt(1 - rho**2)
    for _ in range(3000):
        draw = torch.randn(200, generator=g, dtype=torch.float64)
        x.append(rho * x[-1] + noise * draw)
    found = autocorrelation_time(torch.stack(x))
    assert found == pytest.approx((1 + rho) / (1 - rho), rel=0.05)


@pytest.mark.covers("S0-29")
def test_the_autocorrelation_time_says_what_the_mean_of_a_chain_is_worth(g):
    kernel = metropolis_kernel(double_well(2.0, 15), neighbours(15))
    law = stationary(kernel)
    start = torch.multinomial(law, 500, replacement=True, generator=g)
    side = (walk(kernel, start, 2000, generator=g) > 7).double()
    tau = autocorrelation_time(side)
    # In the mean over T steps the variance is τ Var / T.
    assert float(side.mean(0).var() / side.var() * len(side)) == pytest.approx(tau, rel=0.25)
    assert tau > 20
    # A slow mode has τ near 2 / gap.
    assert tau == pytest.approx(2 / spectral_gap(kernel), rel=0.2)


def test_one_chain_is_a_column(g):
    x = torch.randn(500, generator=g)
    assert autocorrelation_time(x) == autocorrelation_time(x[:, None])


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: metropolis_kernel(torch.tensor([1.0, 0.0]), neighbours(2)), "weight > 0 .* 2"),
        (lambda: metropolis_kernel(torch.ones(3), neighbours(2)), r"2 states, got shape \(3,\)"),
        (lambda: gibbs_kernel(torch.tensor([[1.0, -1.0]]), 0), "weights > 0, got a smallest of -1"),
        (lambda: stationary(torch.ones(2, 3)), r"kernel \[S, S\].* got shape \(2, 3\)"),
        (lambda: spectral_gap(torch.ones(2, 2)), "rows that sum to 1, got sums from 2 to 2"),
        (lambda: stationary(torch.eye(3)), "never leaves: it keeps several laws"),
        (lambda: walk(torch.eye(2), torch.tensor([0]), 0), "steps as an integer >= 1, got 0"),
        (lambda: gibbs([], torch.zeros(1, 1), 0), "steps as an integer >= 1, got 0"),
        (
            lambda: metropolis(lambda x: x[:, 0].log(), torch.zeros(1, 1), 1),
            r"begin where p\(x\) > 0",
        ),
        (lambda: autocorrelation_time(torch.zeros(5)), "ten steps of the chains or more, got 5"),
        (lambda: autocorrelation_time(torch.ones(50)), "never change along the chains"),
    ],
)
def test_a_bad_chain_is_refused_in_a_sentence(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()


# --- States of bits -------------------------------------------------------------------------------


def test_every_state_is_there_once_in_the_order_of_binary_numbers():
    x = states(5)
    assert x.shape == (32, 5)
    assert x.dtype == torch.float64
    number = (x * torch.tensor([16, 8, 4, 2, 1])).sum(1)
    assert torch.equal(number, torch.arange(32).double())


def test_more_states_than_a_sum_can_take_are_refused_with_what_to_do():
    assert states(1).tolist() == [[0.0], [1.0]]
    with pytest.raises(ValueError, match=r"at most 20 .* got 21: 2\^21 .* ais_log_partition"):
        states(21)
    with pytest.raises(ValueError, match="units as an integer >= 1, got 0"):
        states(0)


def test_bits_keep_their_dtype_and_what_is_none_is_refused_with_its_share():
    x = torch.tensor([[0, 1], [1, 1]])
    assert binary(x, 2).dtype == torch.float64
    assert binary(x.float(), 2).dtype == torch.float32
    assert torch.equal(binary(x.bool(), 2), x.double())
    with pytest.raises(ValueError, match=r"got 25 % .* from 0 to 2\. Threshold them, \(x > 0\.5\)"):
        binary(torch.tensor([[0.0, 2.0], [1.0, 1.0]]), 2)
    with pytest.raises(ValueError, match=r"points of shape \(batch, 2\), got \(2, 1\)"):
        binary(torch.zeros(2, 1), 2)
    with pytest.raises(ValueError, match=r"1 of 1 rows .* NaN"):
        binary(torch.tensor([[math.nan, 0.0]]), 2)


# --- Annealed importance sampling -----------------------------------------------------------------


def machine(d: int, m: int, scale: float = 1.0, seed: int = 3) -> RBM:
    """A machine in float64 with weights that matter."""
    g, model = seeded(seed), RBM(d, m).double()
    with torch.no_grad():
        for w, size in ((model.W, scale), (model.b, 0.5), (model.c, 0.5)):
            w.copy_(size * torch.randn(w.shape, generator=g, dtype=torch.float64))
    return model


@pytest.mark.proves("thm-ais-unbiased")
@pytest.mark.covers("S0-28")
@pytest.mark.parametrize("temperatures", [1, 3, 30])
def test_the_weights_average_to_z_however_few_the_temperatures(temperatures, g):
    model = machine(5, 4)
    truth = log_partition(model).item()
    found = ais_log_partition(model, 20_000, temperatures, generator=g)
    laws.unbiased((found.log_weights - truth).exp(), 1.0)
    assert abs(found.value - truth) < 4 * found.error


def test_more_temperatures_mean_a_smaller_error_and_log_weights_lie_below(g):
    model = machine(8, 6)
    truth = log_partition(model).item()
    found = [ais_log_partition(model, 2000, t, generator=g) for t in (1, 10, 100)]
    errors = [f.error for f in found]
    assert errors[0] > 3 * errors[1] > 9 * errors[2]
    below = [truth - f.log_weights.mean().item() for f in found]
    assert below[0] > below[1] > below[2] > 0


def test_the_error_is_the_spread_of_repeated_estimates(g):
    model = machine(6, 4)
    repeated = [ais_log_partition(model, 100, 20, generator=g) for _ in range(100)]
    spread = torch.tensor([f.value for f in repeated]).std().item()
    said = torch.tensor([f.error for f in repeated]).mean().item()
    assert said == pytest.approx(spread, rel=0.3)


@pytest.mark.parametrize(
    ("d", "m", "scale"), [(4, 4, 0.01), (6, 10, 1.0), (20, 5, 1.0), (64, 10, 0.5), (12, 12, 1.5)]
)
def test_ais_is_within_a_tenth_of_a_nat_of_the_sum(d, m, scale, g):
    model = machine(d, m, scale)
    found = ais_log_partition(model, 200, 500, generator=g)
    assert isinstance(found, LogPartition)
    assert found.log_weights.shape == (200,)
    assert found.log_weights.dtype == torch.float64
    assert abs(found.value - log_partition(model).item()) < 0.1
    assert found.error < 0.05


def test_a_start_that_looks_like_the_data_is_unbiased_too_and_nearer(g):
    model = machine(10, 6)
    with torch.no_grad():
        model.b -= 3.0
    x = model.sample(500, steps=200, generator=g)
    truth = log_partition(model).item()
    far = ais_log_partition(model, 5000, 5, generator=g)
    near = ais_log_partition(model, 5000, 5, data=x, generator=g)
    for found in (far, near):
        assert abs(found.value - truth) < 4 * found.error
    assert near.error < far.error
    always = torch.ones(4, 10)  # a bit that was never 0 has no infinite bias
    assert math.isfinite(ais_log_partition(model, 2, 2, data=always, generator=g).value)


def test_annealing_is_not_for_bits_alone(g):
    """∫ exp(−x⁴ / 4) dx = Γ(1/4) / √2, from N(0, 1)."""

    def log_f(x, beta):
        return -0.5 * (1 - beta) * x[:, 0] ** 2 - beta * x[:, 0] ** 4 / 4

    def move(x, beta, generator):
        return metropolis(lambda x: log_f(x, beta), x, 1, generator=generator)[-1]

    start = torch.randn(5000, 1, generator=g, dtype=torch.float64)
    found = ais(log_f, move, start, 20, log_z0=0.5 * math.log(2 * math.pi), generator=g)
    truth = math.log(math.gamma(0.25) / math.sqrt(2))
    assert abs(found.value - truth) < 4 * found.error < 0.1


def test_annealing_needs_chains_and_temperatures():
    with pytest.raises(ValueError, match="two chains or more to tell an error, got 1"):
        ais_log_partition(machine(2, 2), chains=1)
    with pytest.raises(ValueError, match="temperatures as an integer >= 1, got 0"):
        ais_log_partition(machine(2, 2), temperatures=0)
    with pytest.raises(ValueError, match="Expected zeros and ones"):
        ais_log_partition(machine(2, 2), data=torch.full((3, 2), 0.5))
