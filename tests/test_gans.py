"""Chapter 08: the game, its losses, the best discriminator and the steps, theorem by theorem."""

import math

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Normal
from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy

from genlab.divergences import (
    F_DIVERGENCES,
    f_divergence,
    js,
    kl,
    on_grid,
    optimal_discriminator,
    train_ratio,
    transport,
    wasserstein_1d,
)
from genlab.gans.dynamics import (
    alternating,
    clip_critic,
    dirac_gan,
    eigenvalues,
    extragradient,
    simultaneous,
    trajectory,
    zero_sum_field,
)
from genlab.gans.games import best_response_gap, fictitious_play, pure_play, solve_zero_sum
from genlab.gans.losses import (
    critic_loss,
    discriminator_loss,
    f_critic_loss,
    f_generator_loss,
    generator_loss,
    hinge_loss,
    into_domain,
)
from genlab.gans.optimal import (
    against_optimal,
    descended,
    smoothed_discriminator,
    value,
    value_of_the_best,
)
from genlab.gans.penalties import (
    clip_weights,
    gradient_penalty,
    lipschitz,
    r1_penalty,
    spectrally_normalised,
)
from genlab.gans.wasserstein import kantorovich_rubinstein, parallel_lines
from genlab.nets import MLP

LOG2, LOG4 = math.log(2), math.log(4)
LECTURES = [[30.0, -10.0, 20.0], [-10.0, 20.0, -20.0]]
KINDS = ("saturating", "non-saturating", "linear")


def numbers(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def randn(*shape: int, g: torch.Generator) -> Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=g)


def tables(g: torch.Generator, *shape: int) -> Tensor:
    weights = -torch.rand(shape, dtype=torch.float64, generator=g).log()
    return weights / weights.sum(-1, keepdim=True)


def line(reach: float = 12.0, m: int = 4801) -> Tensor:
    return torch.linspace(-reach, reach, m, dtype=torch.float64)


def log_normal(mean: float | Tensor, sd: float | Tensor, t: Tensor) -> Tensor:
    return Normal(torch.as_tensor(mean).double(), torch.as_tensor(sd).double()).log_prob(t)


def slope_of(function, at: Tensor) -> Tensor:
    at = at.detach().requires_grad_()
    return torch.autograd.grad(function(at).sum(), at)[0]


# --- The losses ----------------------------------------------------------------------------------


@pytest.mark.covers("S0-54", "S4-31")
def test_the_discriminators_loss_is_twice_the_cross_entropy_of_both_classes(g):
    real, fake = 5 * randn(2, 300, g=g)
    labels = torch.cat([torch.ones(300), torch.zeros(300)]).double()
    J = cross_entropy(torch.cat([real, fake]), labels)
    loss = discriminator_loss(real, fake)
    assert loss.shape == (300,)
    assert float(loss.mean() / 2) == pytest.approx(float(J), abs=1e-13)
    D = real.sigmoid(), fake.sigmoid()
    assert torch.allclose(loss, -D[0].log() - (1 - D[1]).log(), atol=1e-9)
    undecided = torch.zeros(1, dtype=torch.float64)
    assert float(discriminator_loss(undecided, undecided)) == pytest.approx(LOG4, abs=1e-15)


@pytest.mark.covers("S0-63")
@pytest.mark.parametrize(("alpha", "beta"), [(0.0, 0.0), (0.1, 0.0), (0.1, 0.2), (0.0, 0.3)])
def test_smoothing_is_the_cross_entropy_with_softer_targets(alpha, beta, g):
    real, fake = 5 * randn(2, 100, g=g)
    soft = lambda a, target: cross_entropy(a, torch.full_like(a, target), reduction="none")
    wanted = soft(real, 1 - alpha) + soft(fake, beta)
    got = discriminator_loss(real, fake, smooth=alpha, smooth_fake=beta)
    assert torch.allclose(got, wanted, atol=1e-12)


@pytest.mark.proves("prop-saturation")
@pytest.mark.covers("S0-60", "E75")
def test_where_the_discriminator_is_sure_one_slope_dies_and_the_other_does_not():
    sure = numbers(-10.0)
    slopes = [float(slope_of(lambda a, k=k: generator_loss(a, k), sure)) for k in KINDS]
    assert slopes[0] == pytest.approx(-4.5397868702434395e-05, rel=1e-12)
    assert slopes[1] == pytest.approx(-0.9999546021312976, rel=1e-12)
    assert slopes[2] == -1
    a = torch.linspace(-40, 40, 81, dtype=torch.float64)
    assert torch.allclose(slope_of(lambda a: generator_loss(a, "saturating"), a), -a.sigmoid())
    assert torch.allclose(slope_of(generator_loss, a), -(-a).sigmoid())


@pytest.mark.covers("S0-58", "E75")
def test_only_the_saturating_game_is_zero_sum(g):
    real, fake = randn(2, 50, g=g)
    pays = slope_of(lambda a: discriminator_loss(real, a), fake)
    gains = slope_of(lambda a: generator_loss(a, "saturating"), fake)
    assert torch.equal(pays, -gains)
    # With the practical loss the sum of the two costs depends on the discriminator.
    t = line()
    log_p, log_g = log_normal(0, 1, t), log_normal(1.5, 0.8, t)
    sums = []
    for shift in (0.0, 0.5):
        a = log_p - log_g + shift
        J_D = -value(log_p, log_g, a, t) / 2
        J_G = torch.trapezoid(log_g.exp() * generator_loss(a), t) / 2
        sums.append(round(float(J_D + J_G), 4))
    assert sums == [1.2202, 1.0678]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_losses_keep_their_precision_and_are_finite_far_out(dtype):
    far = torch.tensor([-1e4, -50.0, 0.0, 50.0, 1e4], dtype=dtype).requires_grad_()
    losses = [
        discriminator_loss(far, far.flip(0), smooth=0.1),
        hinge_loss(far, far),
        critic_loss(far, 2 * far),
        *(generator_loss(far, kind) for kind in KINDS),
    ]
    for loss in losses:
        assert loss.dtype == dtype
        assert loss.isfinite().all()
        assert torch.autograd.grad(loss.sum(), far)[0].isfinite().all()
    # Small losses are not rounded to 0.
    assert generator_loss(torch.tensor([30.0], dtype=dtype)).item() == pytest.approx(
        math.exp(-30), rel=1e-6
    )


def test_the_hinge_pays_up_to_its_margin_and_the_critic_without_end():
    real, fake = numbers(-2.0, 0.5, 3.0), numbers(-3.0, 0.5, 2.0)
    assert hinge_loss(real, fake).tolist() == [3.0, 2.0, 3.0]
    assert critic_loss(real, fake).tolist() == [-1.0, 0.0, -1.0]
    assert slope_of(lambda a: hinge_loss(a, fake), real).tolist() == [-1.0, -1.0, 0.0]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda a: discriminator_loss(a[:, None], a[:, None]), r"take \[:, 0\]"),
        (lambda a: discriminator_loss(a, a[:2]), "as many fake examples as real"),
        (lambda a: discriminator_loss(a, a, smooth=0.9 + 0.1), r"smooth in \[0, 1\)"),
        (lambda a: discriminator_loss(a, a, smooth_fake=-0.1), r"smooth_fake in \[0, 1\)"),
        (lambda a: discriminator_loss(a.long(), a), "int64 of shape"),
        (lambda a: generator_loss(a, "wasserstein"), "'saturating'.*'wasserstein'"),
        (lambda a: hinge_loss(a, a[:1]), "as many fake examples"),
        (lambda a: critic_loss(a.reshape(1, 3), a), "one number per example"),
        (lambda a: into_domain("hellinger", a), "Expected an FDivergence or one of"),
        (lambda a: f_critic_loss("squared hellinger", a + 2, a - 9), "outside the domain"),
        (lambda a: f_critic_loss("js", a - 9, a * math.nan), "outside the domain"),
        (lambda a: f_generator_loss("reverse kl", a), r"domain of the conjugate.*t <= 0"),
    ],
)
def test_a_loss_says_what_it_expects(call, message):
    with pytest.raises(ValueError, match=message):
        call(numbers(0.0, 1.0, 2.0))


# --- f-GANs --------------------------------------------------------------------------------------

COUNTS = torch.tensor([[1, 2, 3, 4, 5, 5], [6, 5, 1, 3, 2, 3]])  # of six values, twenty of each law
VALUES = [torch.arange(6).repeat_interleave(counts) for counts in COUNTS]


def bound(name: str, T: Tensor) -> Tensor:
    """Σ p T − Σ q f*(T) for a critic of six values."""
    return -f_critic_loss(name, T[VALUES[0]], T[VALUES[1]]).mean()


@pytest.mark.proves("thm-f-gan")
@pytest.mark.parametrize("name", F_DIVERGENCES)
def test_no_critic_exceeds_the_divergence_and_the_best_one_reaches_it(name, g):
    p, q = COUNTS.double() / 20
    truth = float(f_divergence(name, p, q))
    for size in (0.1, 1.0, 10.0):
        for _ in range(20):
            raw = size * randn(6, g=g)
            assert float(bound(name, into_domain(name, raw))) <= truth + 1e-12
    assert float(bound(name, F_DIVERGENCES[name].slope(p / q))) == pytest.approx(truth, abs=1e-12)


@pytest.mark.proves("thm-f-gan")
# The best critic of total variation sits on a kink of the conjugate, where no slope leads.
@pytest.mark.parametrize("name", [name for name in F_DIVERGENCES if name != "total variation"])
def test_through_its_output_activation_a_critic_can_be_trained_to_the_divergence(name):
    p, q = COUNTS.double() / 20
    raw = torch.zeros(6, dtype=torch.float64, requires_grad=True)
    search = torch.optim.LBFGS([raw], max_iter=300, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        search.zero_grad()
        loss = -bound(name, into_domain(name, raw))
        loss.backward()
        return loss

    search.step(loss)
    truth = float(f_divergence(name, p, q))
    assert -float(loss().detach()) == pytest.approx(truth, abs=1e-6)


@pytest.mark.parametrize("name", F_DIVERGENCES)
def test_the_output_activation_stays_in_the_domain_and_rises(name):
    raw = torch.linspace(-30, 30, 61, dtype=torch.float64)
    T = into_domain(name, raw)
    top = F_DIVERGENCES[name].domain[1]
    assert (top > T).all()
    assert (T.diff() > 0).all()
    assert f_critic_loss(name, T, T).isfinite().all()


def test_with_the_divergence_gan_an_f_gan_is_the_gan(g):
    real, fake = randn(2, 30, g=g)
    T = [into_domain("gan", a) for a in (real, fake)]
    assert torch.allclose(f_critic_loss("gan", *T), discriminator_loss(real, fake), atol=1e-12)
    assert torch.allclose(f_generator_loss("gan", T[1]), generator_loss(fake, "saturating"))
    assert torch.allclose(generator_loss(T[1], "linear"), generator_loss(fake))


@pytest.mark.proves("thm-f-gan")
@pytest.mark.parametrize("name", F_DIVERGENCES)
def test_against_the_best_critic_an_f_gans_generator_descends_its_divergence(name):
    t = line(9.0, 1801)
    log_p = log_normal(0, 1, t)
    theta = numbers(0.7, 1.1).requires_grad_()
    log_g = log_normal(*theta, t)
    T = F_DIVERGENCES[name].slope((log_p - log_g).exp()).detach()
    loss = torch.trapezoid(log_g.exp() * f_generator_loss(name, T), t)
    g = log_g.exp()
    divergence = torch.trapezoid(g * F_DIVERGENCES[name].f((log_p - log_g).exp()), t)
    got, wanted = (torch.autograd.grad(v, theta, retain_graph=True)[0] for v in (loss, divergence))
    assert torch.allclose(got, wanted, atol=1e-9)


# --- Games ---------------------------------------------------------------------------------------


@pytest.mark.proves("thm-minimax")
@pytest.mark.covers("S0-56", "S0-57", "E74")
def test_the_lectures_game_has_the_value_20_over_7():
    pure = pure_play(LECTURES)
    assert (pure.maximin, pure.minimax) == (-10, 20)  # no equilibrium without mixing
    found = solve_zero_sum(LECTURES)
    assert found.value == pytest.approx(20 / 7, abs=1e-12)
    assert found.row.tolist() == pytest.approx([4 / 7, 3 / 7], abs=1e-12)
    assert found.column.tolist() == pytest.approx([0, 4 / 7, 3 / 7], abs=1e-12)
    assert best_response_gap(LECTURES, found.row, found.column) == pytest.approx(0, abs=1e-12)
    # Whatever Blue does instead, Red does not get less, and the other way round.
    A = torch.tensor(LECTURES, dtype=torch.float64)
    assert (found.row @ A).min() >= 20 / 7 - 1e-12
    assert (A @ found.column).max() <= 20 / 7 + 1e-12


@pytest.mark.proves("thm-minimax")
@pytest.mark.parametrize("shape", [(2, 2), (3, 5), (6, 4), (1, 3), (30, 30)])
def test_what_red_is_sure_of_is_what_blue_must_pay(shape, g):
    for A in randn(5, *shape, g=g):
        found = solve_zero_sum(A)
        assert float((found.row @ A).min()) == pytest.approx(found.value, abs=1e-9)
        assert float((A @ found.column).max()) == pytest.approx(found.value, abs=1e-9)
        pure = pure_play(A)
        assert pure.maximin - 1e-9 <= found.value <= pure.minimax + 1e-9
        (a, b), (c, d) = A[:2, :2] if min(shape) > 1 else ((0, 0), (0, 0))
        if shape == (2, 2) and pure.maximin < pure.minimax:
            assert found.value == pytest.approx(float((a * d - b * c) / (a + d - b - c)))
        for factor, more in ((1e-6, 0.0), (1e5, -3e5)):
            other = solve_zero_sum(factor * A + more)
            wanted = factor * found.value + more
            assert other.value == pytest.approx(wanted, rel=1e-8, abs=1e-9 * factor)


@pytest.mark.proves("thm-fictitious-play")
@pytest.mark.covers("S0-57")
def test_by_playing_both_learn_the_value():
    play = fictitious_play(LECTURES, 20_000)
    assert (play.lower <= 20 / 7 + 1e-9).all()
    assert (play.upper >= 20 / 7 - 1e-9).all()
    gap = play.upper - play.lower
    assert float(gap[-1]) == pytest.approx(
        best_response_gap(LECTURES, play.row, play.column), abs=1e-9
    )
    # The theorem promises that the gap goes to 0, and says nothing of a rate.
    assert gap[99] > gap[1999] > gap[-1]
    assert gap[-1] < 0.3
    assert play.row.tolist() == pytest.approx([4 / 7, 3 / 7], abs=0.01)
    assert play.column.tolist() == pytest.approx([0, 4 / 7, 3 / 7], abs=0.01)


def test_a_saddle_point_is_found_at_once():
    A = [[3.0, 1.0, 4.0], [2.0, 0.0, -1.0]]  # 1 is the least of its row, the most of its column
    assert pure_play(A) == (1.0, 0, 1.0, 1)
    assert solve_zero_sum(A).value == pytest.approx(1)
    assert fictitious_play(A, 50).lower[-1] == pytest.approx(1, abs=0.1)


@pytest.mark.covers("S0-59", "E73")
def test_the_arg_min_of_a_maximum_is_a_generator_and_not_a_discriminator():
    d, g = numbers(*range(11)), numbers(*range(6))
    V = (g - 3) ** 2 - (d[:, None] - 2 * g) ** 2
    pure = pure_play(V)
    assert (float(g[pure.column]), float(V[:, pure.column].argmax())) == (3, 6)
    # Who chooses second has the gain here, by a lot: the order of min and max matters.
    assert pure.maximin < pure.minimax == 0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: solve_zero_sum([1.0, 2.0]), r"matrix of finite payoffs.*shape \(2,\)"),
        (lambda: solve_zero_sum([[1.0, math.nan]]), "1 entries NaN"),
        (lambda: fictitious_play(LECTURES, 0), "rounds as an integer >= 1"),
        (lambda: best_response_gap(LECTURES, [1.0], [1.0]), "mixtures of 2 rows and 3 columns"),
        (lambda: best_response_gap(LECTURES, [0.9, 0.9], [1.0, 0, 0]), "sum to one"),
    ],
)
def test_a_bad_game_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# --- Steps in games ------------------------------------------------------------------------------

BILINEAR = zero_sum_field(lambda d, g: d * g)
QUADRATIC = zero_sum_field(lambda d, g: (g - 3) ** 2 - (d - 2 * g) ** 2)


def run(rule, field, start, rate, steps):
    return trajectory(lambda s: rule(field, s, rate), start, steps)


@pytest.mark.proves("prop-bilinear")
@pytest.mark.covers("S0-52")
@pytest.mark.parametrize("rate", [0.01, 0.1, 1.0])
def test_in_the_bilinear_game_each_rule_changes_the_radius_by_its_own_factor(rate, g):
    start = randn(20, 2, g=g)
    ratio = lambda states: (states[1:].norm(dim=-1) / states[:-1].norm(dim=-1)).flatten()
    out = ratio(run(simultaneous, BILINEAR, start, rate, 40))
    assert torch.allclose(out, out.new_tensor(math.sqrt(1 + rate**2)), rtol=1e-12)
    inwards = ratio(run(extragradient, BILINEAR, start, rate, 40))
    factor = math.sqrt(1 - rate**2 + rate**4)
    assert torch.allclose(inwards, inwards.new_tensor(factor), rtol=1e-12)
    psi, theta = run(alternating, BILINEAR, start, rate, 40).unbind(-1)
    kept = psi**2 + theta**2 + rate * psi * theta
    assert torch.allclose(kept, kept[0].expand_as(kept), rtol=1e-10)


@pytest.mark.covers("S0-52")
def test_wassersteins_dirac_gan_is_the_bilinear_game_in_a_mirror(g):
    states = randn(10, 2, g=g)
    mirrored = BILINEAR(states * numbers(1, -1)) * numbers(1, -1)
    assert torch.allclose(dirac_gan("wasserstein")(states), mirrored)
    assert eigenvalues(dirac_gan("wasserstein"), numbers(0, 0)).tolist() == [-1j, 1j]


@pytest.mark.parametrize("loss", ["saturating", "non-saturating", "wasserstein"])
@pytest.mark.parametrize("noise", [0.0, 0.7])
def test_the_dirac_gans_field_is_autograds_of_the_losses_and_penalties(loss, noise, g):
    gamma, weight = 0.3, 0.2
    field = dirac_gan(loss, r1=gamma, gradient_penalty=weight, noise=noise)
    states = randn(6, 2, g=g)
    # The expectation over the noise on a fine grid, as an average of weighted copies.
    e = noise * line(9.0, 2001) if noise else numbers(0)
    w = (-((e / (noise or 1)) ** 2) / 2).exp()
    w = w / w.sum()
    zero = torch.zeros(1, 1, dtype=torch.float64)
    for state, moved in zip(states, field(states), strict=True):
        psi, theta = (v.clone().requires_grad_() for v in state)
        real, fake = psi * e, psi * (theta + e)
        d_loss, kind = (discriminator_loss, loss)
        if loss == "wasserstein":
            d_loss, kind = critic_loss, "linear"
        critic = lambda x, psi=psi: psi * x[:, 0]
        J_D = (
            w @ d_loss(real, fake)
            + gamma * r1_penalty(critic, zero).mean()
            + weight * gradient_penalty(critic, zero, zero + 1).mean()
        )
        J_G = w @ generator_loss(fake, kind)
        (down_d,) = torch.autograd.grad(J_D, psi, retain_graph=True)
        (down_g,) = torch.autograd.grad(J_G, theta)
        assert torch.allclose(moved, -torch.stack([down_d, down_g]), atol=1e-9)


@pytest.mark.proves("thm-dirac-gan")
@pytest.mark.covers("S0-52")
@pytest.mark.parametrize("loss", ["saturating", "non-saturating"])
def test_without_a_penalty_steps_leave_the_dirac_gans_equilibrium_at_every_rate(loss):
    field, start = dirac_gan(loss), numbers(0.3, 0.4)
    assert torch.allclose(eigenvalues(field, numbers(0, 0)).imag, numbers(-0.5, 0.5))
    assert eigenvalues(field, numbers(0, 0)).real.abs().max() < 1e-15
    for rate in (0.01, 0.1, 0.5):
        near = run(simultaneous, field, 1e-6 * start, rate, 20).norm(dim=-1)
        factor = near[1:] / near[:-1]
        assert torch.allclose(factor, factor.new_tensor(math.sqrt(1 + rate**2 / 4)), atol=1e-9)


@pytest.mark.proves("thm-dirac-gan")
def test_far_from_the_equilibrium_the_saturating_loss_turns_and_the_practical_one_also_pulls(g):
    states = 2 * randn(50, 2, g=g)
    a = states.prod(-1)
    inwards = lambda loss: (states * dirac_gan(loss)(states)).sum(-1)
    assert inwards("saturating").abs().max() < 1e-14
    assert torch.allclose(inwards("non-saturating"), -a * (a / 2).tanh(), atol=1e-14)
    # The first grows at each step by √(1 + (ησ(a))²).
    states = run(simultaneous, dirac_gan("saturating"), numbers(0.3, 0.4), 0.5, 50)
    force = 0.5 * states[:-1].prod(-1).sigmoid()
    ratio = states[1:].norm(dim=-1) / states[:-1].norm(dim=-1)
    assert torch.allclose(ratio, (1 + force**2).sqrt(), rtol=1e-12)
    # The second ends where the pull makes up for the steps, on a circle of radius near √(2η).
    starts = numbers(0.2, 1.5)[:, None] * numbers(1, 0)
    radius = run(simultaneous, dirac_gan(), starts, 0.1, 2500).norm(dim=-1)
    assert torch.allclose(radius[-300:].mean(0), numbers(0.2).sqrt(), rtol=0.05)


@pytest.mark.proves("thm-dirac-gan")
@pytest.mark.parametrize("gamma", [0.1, 1.0, 1.25])
def test_r1_makes_the_equilibrium_attract_for_rates_below_four_gamma(gamma):
    field = dirac_gan(r1=gamma)
    root = torch.sqrt(torch.tensor(complex(gamma**2 / 4 - 1 / 4), dtype=torch.complex128))
    wanted = torch.stack([-gamma / 2 - root, -gamma / 2 + root])
    assert torch.allclose(eigenvalues(field, numbers(0, 0)), wanted, atol=1e-7)
    states = run(simultaneous, field, numbers(0.6, 0.8), 0.2, 2000)
    assert states[-1].norm() < 1e-3
    if gamma < 1:  # complex: |1 + ηλ|² = 1 − ηγ + η²/4
        for rate, inwards in ((3.9 * gamma, True), (4.1 * gamma, False)):
            radius = run(simultaneous, field, numbers(1e-7, 0), rate, 2000).norm(dim=-1)
            assert bool(radius[-1] < radius[0]) is inwards


@pytest.mark.proves("thm-dirac-gan")
@pytest.mark.parametrize("sigma", [0.5, 1.0, 3.0])
def test_instance_noise_makes_the_equilibrium_attract(sigma):
    field = dirac_gan(noise=sigma)
    root = torch.sqrt(torch.tensor(complex(sigma**4 / 16 - 1 / 4), dtype=torch.complex128))
    wanted = torch.stack([-(sigma**2) / 4 - root, -(sigma**2) / 4 + root])
    assert torch.allclose(eigenvalues(field, numbers(0, 0)), wanted, atol=1e-9)
    states = run(simultaneous, field, numbers(0.3, 0.4), 0.1, 3000)
    assert states[-1].norm() < 1e-3 * states[0].norm()


def test_clipping_and_the_two_sided_penalty_leave_the_dirac_gan_going_round():
    start = numbers(0.5, 1.0)
    clipped = trajectory(
        lambda s: clip_critic(simultaneous(dirac_gan("wasserstein"), s, 0.1), 0.2), start, 3000
    )
    assert clipped[1:, 0].abs().max() <= 0.2
    penalised = run(simultaneous, dirac_gan("wasserstein", gradient_penalty=0.5), start, 0.1, 3000)
    for states in (clipped, penalised):
        late = states[-500:, 1]
        assert late.abs().max() > 0.05  # not at rest …
        assert late.abs().max() < 5  # … and not running away
        assert (late.sign().diff() != 0).any()


@pytest.mark.proves("prop-alternating")
@pytest.mark.parametrize("rate", [0.1, 1.0, 3.9, 4.1])
def test_a_turn_of_the_dirac_gan_has_its_eigenvalues_on_the_unit_circle_up_to_rate_4(rate):
    turn = lambda state: alternating(dirac_gan(), state, rate)
    found = torch.linalg.eigvals(torch.func.jacrev(turn)(numbers(0.0, 0.0)))
    assert float(found.prod().real) == pytest.approx(1)
    assert float(found.sum().real) == pytest.approx(2 - rate**2 / 4)
    assert torch.allclose(found.abs(), torch.ones(2).double()) == (rate < 4)


@pytest.mark.proves("prop-alternating")
def test_alternating_steps_of_the_dirac_gan_neither_settle_nor_run_away():
    radius = run(alternating, dirac_gan("saturating"), numbers(0.3, 0.4), 0.1, 1500).norm(dim=-1)
    assert 0.4 < float(radius.min()) <= float(radius.max()) < 0.6
    # The practical loss pulls in, ever more slowly: r² = 1/(4 + t/8).
    radius = run(alternating, dirac_gan(), numbers(0.3, 0.4), 0.1, 1500).norm(dim=-1)
    assert float(radius[-1]) == pytest.approx((4 + 150 / 8) ** -0.5, rel=0.1)


@pytest.mark.proves("prop-two-time-scales")
@pytest.mark.covers("S0-59", "S0-65")
def test_a_faster_discriminator_turns_a_repelling_solution_into_an_attracting_one(g):
    solution = numbers(6, 3)
    assert QUADRATIC(solution).abs().max() == 0
    # λ = 2 twice: with equal rates even a flow leaves the solution of min max V.
    assert torch.allclose(eigenvalues(QUADRATIC, solution).real, numbers(2, 2), atol=1e-6)
    for k, attracts in ((1.0, False), (2.9, False), (3.1, True), (10.0, True)):
        field = lambda s, k=k: QUADRATIC(s) * numbers(k, 1)
        assert bool(eigenvalues(field, solution).real.max() < 0) is attracts
    k = numbers(1, 2.5, 3.5, 10)
    rates = 0.01 * torch.stack([k, torch.ones_like(k)], 1)
    away = run(simultaneous, QUADRATIC, solution + 1e-6 * randn(4, 2, g=g), rates, 1000) - solution
    assert (away[-1].norm(dim=1) < away[0].norm(dim=1)).tolist() == [False, False, True, True]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: dirac_gan("hinge"), "a loss among 'saturating'"),
        (lambda: dirac_gan(r1=-1.0), "r1 >= 0, got -1.0"),
        (lambda: dirac_gan(noise=math.inf), "noise >= 0"),
        (lambda: clip_critic(numbers(1, 1), 0.0), "c > 0"),
        (lambda: trajectory(lambda s: s, numbers(1, 1), 0), "steps as an integer >= 1"),
        (lambda: trajectory(lambda s: s, numbers(1, 1, 1), 5), "start of two finite numbers"),
        (lambda: trajectory(lambda s: s, numbers(1, math.nan), 5), "start of two finite numbers"),
    ],
)
def test_a_bad_run_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# --- Against the best discriminator --------------------------------------------------------------


@pytest.mark.proves("thm-gan-value")
@pytest.mark.covers("S0-51", "S0-55", "E76")
def test_the_value_of_any_discriminator_is_below_that_of_the_best(g):
    t = line()
    log_p, log_g = log_normal(0, 1, t), log_normal(1.5, 0.8, t)
    best = log_p - log_g
    top = float(value(log_p, log_g, best, t))
    assert top == pytest.approx(-0.86182890, abs=1e-8)
    assert top == pytest.approx(float(value_of_the_best(log_p, log_g, t)), abs=1e-12)
    others = [best + 0.3 * t.sin(), 1.2 * best, 0.7 - t, 0 * t, *randn(20, 1, g=g)]
    for logit in others:
        assert float(value(log_p, log_g, logit.expand_as(t), t)) < top
    # So a discriminator's value bounds the divergence from below.
    divergence = float(on_grid(log_p, log_g, t)["js"])
    assert round((float(value(log_p, log_g, 0.7 - t, t)) + LOG4) / 2, 4) == 0.2218
    assert round(divergence, 4) == 0.2622


@pytest.mark.covers("S0-55")
def test_the_formula_of_the_best_discriminator_is_the_optimum_on_a_grid():
    t, D = line(4.0, 41), torch.linspace(0.0001, 0.9999, 9999, dtype=torch.float64)
    log_p, log_g = log_normal(0, 1, t), log_normal(1, 1.5, t)
    gain = log_p.exp()[:, None] * D.log() + log_g.exp()[:, None] * (-D).log1p()
    assert torch.allclose(D[gain.argmax(1)], optimal_discriminator(log_p, log_g), atol=1e-4)


@pytest.mark.covers("S0-55")
def test_a_trained_discriminator_comes_close_to_the_formula(g):
    draws = randn(2, 20_000, g=g)
    logit = train_ratio(draws[0] + 1, 1.5 * draws[1], hidden=(16,), steps=1500, generator=g)
    x = line(3.0, 61)
    best = optimal_discriminator(log_normal(1, 1, x), log_normal(0, 1.5, x))
    assert (logit(x).sigmoid() - best).abs().max() < 0.05


@pytest.mark.covers("S0-65")
def test_with_more_steps_the_discriminator_only_comes_closer_to_the_best():
    t = line()
    log_p, log_g = log_normal(1, 1, t), log_normal(-1, 1, t)
    best = optimal_discriminator(log_p, log_g)  # σ(2x), which σ(wx + b) can be
    w = numbers(0.0, 0.5)
    errors = []
    for _ in range(60):
        w = w + 0.5 * slope_of(lambda w: value(log_p, log_g, w[0] * t + w[1], t), w)
        D = (w[0] * t + w[1]).sigmoid()
        weight = (log_p.exp() + log_g.exp()) / 2
        errors.append(torch.trapezoid(weight * (D - best) ** 2, t))
    errors = torch.stack(errors)
    assert (errors.diff() < 0).all()
    assert errors[-1] < 0.01 * errors[0]


@pytest.mark.proves("thm-two-generator-losses")
@pytest.mark.covers("S0-60", "S4-47", "E78")
@pytest.mark.parametrize(
    ("theta", "saturating", "practical"),
    [((1.5, 0.8), 0.50987, 0.99013), ((3.0, 1.0), 0.29586, 2.70414)],
)
def test_each_generator_loss_descends_a_divergence_of_its_own(theta, saturating, practical):
    t = line(14.0, 5601)
    log_p = log_normal(0, 1, t)
    theta = numbers(*theta).requires_grad_()
    log_g = log_normal(*theta, t)
    for kind, in_the_mean in (("saturating", saturating), ("non-saturating", practical)):
        (got,) = torch.autograd.grad(
            against_optimal(log_p, log_g, t, kind), theta, retain_graph=True
        )
        (wanted,) = torch.autograd.grad(descended(log_p, log_g, t, kind), theta, retain_graph=True)
        assert torch.allclose(got, wanted, atol=1e-8)
        assert round(float(got[0]), 5) == in_the_mean
    (got,) = torch.autograd.grad(
        against_optimal(log_p, log_g, t, "linear"), theta, retain_graph=True
    )
    closed = torch.distributions.kl_divergence(Normal(*theta), Normal(numbers(0)[0], 1.0))
    assert torch.allclose(got, torch.autograd.grad(closed, theta)[0], atol=1e-8)


@pytest.mark.covers("E78")
def test_the_statement_is_local_a_discriminator_of_another_moment_gives_another_gradient():
    t = line(14.0, 5601)
    log_p, mean = log_normal(0, 1, t), numbers(1.5)[0].requires_grad_()
    log_g = log_normal(mean, 0.8, t)
    stale = (log_p - log_normal(2.0, 0.8, t)).detach()
    loss = torch.trapezoid(log_g.exp() * generator_loss(stale, "saturating"), t)
    wanted = descended(log_p, log_g, t, "saturating")
    got, wanted = (torch.autograd.grad(v, mean, retain_graph=True)[0] for v in (loss, wanted))
    assert abs(got - wanted) > 0.01


@pytest.mark.covers("S4-13", "S4-31", "E77")
def test_where_the_generator_has_the_data_law_the_best_discriminator_tosses_and_nobody_moves():
    t = line()
    theta = numbers(0.5, 1.3).requires_grad_()
    log_p, log_g = log_normal(*theta.detach(), t), log_normal(*theta, t)
    assert (optimal_discriminator(log_p, log_g.detach()) == 0.5).all()
    assert float(value_of_the_best(log_p, log_g.detach(), t)) == pytest.approx(-LOG4, abs=1e-12)
    for kind in KINDS:
        loss = against_optimal(log_p, log_g, t, kind)
        (slope,) = torch.autograd.grad(loss, theta, retain_graph=True)
        assert slope.abs().max() < 1e-12


@pytest.mark.proves("prop-practical-divergence")
@pytest.mark.covers("E82")
def test_the_practical_divergence_is_twice_kl_of_the_middle_and_forgives_missing_modes(g):
    for p, q in tables(g, 30, 2, 5):
        m = (p + q) / 2
        assert float(kl(q, p) - 2 * js(p, q)) == pytest.approx(float(2 * kl(m, p)), abs=1e-12)
    t = line(14.0, 5601)
    log_p, log_g = log_normal(0, 1, t), log_normal(1.5, 0.8, t)
    values = on_grid(log_p, log_g, t)
    assert float(descended(log_p, log_g, t)) == pytest.approx(
        float(values["reverse_kl"] - 2 * values["js"]), abs=1e-9
    )
    rows = []
    for missing in (0.1, 0.5, 0.9):
        p, q = numbers(1 - missing, missing), numbers(1, 0)
        price = float(kl(q, p)), float(2 * kl((p + q) / 2, p))
        rows.append([round(v, 3) for v in price] + [round(100 * price[1] / price[0])])
    assert rows == [[0.105, 0.033, 32], [0.693, 0.262, 38], [2.303, 1.251, 54]]


@pytest.mark.proves("prop-smoothing")
@pytest.mark.covers("S0-63")
@pytest.mark.parametrize(("alpha", "beta"), [(0.1, 0.0), (0.0, 0.1), (0.1, 0.1)])
def test_the_smoothed_loss_is_least_at_the_smoothed_discriminator(alpha, beta):
    p, q = COUNTS.double() / 20
    D = smoothed_discriminator(p.log(), q.log(), smooth=alpha, smooth_fake=beta)
    assert torch.allclose(D, ((1 - alpha) * p + beta * q) / (p + q), atol=1e-14)
    loss = lambda a: discriminator_loss(
        a[VALUES[0]], a[VALUES[1]], smooth=alpha, smooth_fake=beta
    ).mean()
    assert slope_of(loss, D.logit()).abs().max() < 1e-14
    for shift in (-0.1, 0.1):
        assert loss(D.logit() + shift) > loss(D.logit())


@pytest.mark.proves("prop-smoothing")
@pytest.mark.covers("S0-63")
def test_two_sided_smoothing_leaves_far_draws_without_a_way_home():
    x = numbers(6.0)  # where the generator draws; the data are at 0

    def logit(x: Tensor, **smooth: float) -> Tensor:
        log_p, log_g = log_normal(0, 1, x), log_normal(6, 1, x)
        return smoothed_discriminator(log_p, log_g, **smooth).logit()

    plain = float(slope_of(logit, x))
    assert plain == pytest.approx(-6, abs=1e-6)
    one_sided = float(slope_of(lambda x: logit(x, smooth=0.1), x))
    assert one_sided == pytest.approx(-6, abs=1e-6)
    two_sided = float(slope_of(lambda x: logit(x, smooth=0.1, smooth_fake=0.1), x))
    assert abs(two_sided) < 1e-5


def test_shapes_that_do_not_fit_and_kinds_that_are_none_are_refused():
    t = line(12.0, 101)
    log_p = log_normal(0, 1, t)
    with pytest.raises(ValueError, match=r"of one shape \(m,\), got \(101,\), \(101,\), \(1,\)"):
        value(log_p, log_p, numbers(0), t)
    with pytest.raises(ValueError, match="a kind among"):
        descended(log_p, log_p, t, "hinge")
    with pytest.raises(ValueError, match="a kind among"):
        against_optimal(log_p, log_p, t, "hinge")


# --- Wasserstein ---------------------------------------------------------------------------------


@pytest.mark.proves("thm-kantorovich-rubinstein")
@pytest.mark.covers("S4-49", "S4-50", "E90")
@pytest.mark.parametrize("K", [1.0, 2.0, 5.0])
def test_the_best_critic_of_slope_k_earns_k_times_the_transport(K, g):
    x = randn(12, g=g)
    p, q = tables(g, 2, 12)
    found = kantorovich_rubinstein(p, q, (x[:, None] - x).abs(), lipschitz=K)
    steepness = (found.critic[:, None] - found.critic).abs() - K * (x[:, None] - x).abs()
    assert steepness.max() < 1e-8
    assert float((p - q) @ found.critic) == pytest.approx(found.value, abs=1e-12)
    w1 = float(transport(p, q, (x[:, None] - x).abs()).cost)
    order = x.argsort()
    area = float(((p - q)[order].cumsum(0)[:-1].abs() * x[order].diff()).sum())
    assert found.value / K == pytest.approx(w1, abs=1e-9)
    assert found.value / K == pytest.approx(area, abs=1e-9)
    assert found.value / K == pytest.approx(
        float(wasserstein_1d(x, x, weights_x=p, weights_y=q)), abs=1e-9
    )
    # With the supremum over the first term alone, a constant raises the value without end.
    raised = found.critic + 1000
    assert float((p - q) @ raised) == pytest.approx(found.value, abs=1e-9)
    assert float(p @ raised) > float(p @ found.critic) + 999


@pytest.mark.proves("thm-kantorovich-rubinstein")
def test_the_duality_holds_in_the_plane_and_no_other_critic_earns_more(g):
    for n in (1, 2, 15):
        x = 100 * randn(n, 2, g=g)
        p, q = tables(g, 2, n)
        d = torch.cdist(x, x)
        found = kantorovich_rubinstein(p, q, d)
        assert found.value == pytest.approx(float(transport(p, q, d).cost), abs=1e-7)
        for direction in torch.nn.functional.normalize(randn(20, 2, g=g)):
            assert float((p - q) @ (x @ direction)) <= found.value + 1e-9


@pytest.mark.parametrize(
    ("d", "K", "message"),
    [
        (numbers(0, 1, 2)[:, None].sub(numbers(0, 1, 2)) ** 2, 1.0, "longer than a detour"),
        (torch.ones(3, 3), 1.0, "0 on the diagonal"),
        (torch.zeros(2, 2), 1.0, r"an \(n, n\) matrix"),
        (torch.zeros(3, 3), 0.0, "Lipschitz constant > 0"),
    ],
)
def test_costs_that_are_no_metric_have_no_lipschitz_critics(d, K, message):
    third = torch.full((3,), 1 / 3, dtype=torch.float64)
    with pytest.raises(ValueError, match=message):
        kantorovich_rubinstein(third, third, d, lipschitz=K)


@pytest.mark.proves("prop-parallel-lines")
@pytest.mark.covers("S4-48")
@pytest.mark.parametrize("offset", [-2.0, 0.01, 0.5])
def test_of_two_parallel_lines_only_wasserstein_knows_how_far_they_are(offset):
    x, y = parallel_lines(offset, 20)
    uniform = torch.full((20,), 0.05, dtype=torch.float64)
    assert float(transport(uniform, uniform, torch.cdist(x, y)).cost) == pytest.approx(abs(offset))
    # As laws on the points of both lines they have no point in common.
    p, q = torch.eye(2, dtype=torch.float64).repeat_interleave(20, 1) / 20
    assert float(js(p, q)) == pytest.approx(LOG2, abs=1e-14)
    assert float(kl(p, q)) == float(kl(q, p)) == math.inf
    assert torch.equal(*parallel_lines(0.0, 20))


@pytest.mark.covers("E88")
def test_little_overlap_harms_neither_kl_nor_wasserstein_but_jsd_has_no_slope_left():
    t = torch.linspace(-12, 42, 20_001, dtype=torch.float64)
    mean = numbers(30)[0].requires_grad_()
    values = on_grid(log_normal(0, 1, t), log_normal(mean, 1, t), t)
    overlap = math.erfc(30 / math.sqrt(8))  # 2 Φ(−15)
    assert 7e-51 < overlap < 8e-51
    wanted = {"kl": (450, 30), "js": (LOG2, 0), "w1": (30, 1)}
    for name, (height, slope) in wanted.items():
        (got,) = torch.autograd.grad(values[name], mean, retain_graph=True)
        assert float(values[name].detach()) == pytest.approx(height, abs=1e-6)
        assert float(got) == pytest.approx(slope, abs=1e-6)


# --- How steep a critic is -----------------------------------------------------------------------


def one_column(net: nn.Module):
    return lambda x: net(x)[:, 0]


@pytest.mark.proves("prop-lipschitz-product")
def test_the_measured_slope_is_the_steepest_and_below_the_product_of_the_layers(g):
    w = randn(3, g=g)
    assert float(lipschitz(lambda x: x @ w, randn(5, 3, g=g))) == pytest.approx(float(w.norm()))
    x = line(2.0, 401)[:, None]
    assert float(lipschitz(lambda x: x[:, 0] ** 2, x)) == pytest.approx(4)
    for activation in (nn.ReLU, nn.Tanh):
        net = MLP(2, 1, (16, 16), activation=activation, generator=g).double()
        points = 3 * randn(500, 2, g=g)
        measured = float(lipschitz(one_column(net), points))
        norms = [torch.linalg.matrix_norm(w.detach(), 2) for w in net.parameters() if w.ndim == 2]
        product = math.prod(map(float, norms))
        assert 0 < measured <= product + 1e-12
        values = net(points)[:, 0].detach()
        distance = torch.cdist(points, points) + torch.eye(500)
        quotient = ((values[:, None] - values).abs() / distance).max()
        assert float(quotient) <= product + 1e-12
    with pytest.raises(ValueError, match="points to look at"):
        lipschitz(one_column(net), torch.zeros(0, 2))
    with pytest.raises(ValueError, match=r"take \[:, 0\]"):
        lipschitz(net, points)


def climb(critic: nn.Module, real: Tensor, fake: Tensor, steps: int, clip: str, c: float, lr=1.0):
    """Plain gradient ascent of a critic's value, clipped in one of the two senses."""
    for _ in range(steps):
        critic.zero_grad()
        critic_loss(critic(real)[:, 0], critic(fake)[:, 0]).mean().backward()
        if clip == "gradient":
            nn.utils.clip_grad_norm_(critic.parameters(), c)
        with torch.no_grad():
            for w in critic.parameters():
                w -= lr * w.grad
        if clip == "weight":
            clip_weights(critic, c)


@pytest.mark.covers("S4-51", "E89")
def test_clipped_gradients_let_a_linear_critic_rise_without_end_and_clipped_weights_do_not():
    real, fake = torch.full((4, 1), 2.0).double(), torch.zeros(4, 1).double()
    for steps in (100, 500):
        free, held = (nn.Linear(1, 1, dtype=torch.float64) for _ in range(2))
        for critic in (free, held):
            nn.init.zeros_(critic.weight)
        climb(free, real, fake, steps, "gradient", 0.01)
        climb(held, real, fake, steps, "weight", 0.01)
        assert float(lipschitz(one_column(free), real)) == pytest.approx(0.01 * steps, rel=1e-4)
        assert float(lipschitz(one_column(held), real)) == pytest.approx(0.01, rel=1e-12)


@pytest.mark.covers("S4-51", "E89")
def test_the_same_with_hidden_units_and_the_clipped_estimate_is_too_small(g):
    real = torch.cat([-torch.ones(200), torch.ones(200)]).double() + 0.1 * randn(400, g=g)
    fake = 0.1 * randn(400, g=g)
    w1 = float(wasserstein_1d(real, fake))
    real, fake, everywhere = real[:, None], fake[:, None], line(3.0, 1201)[:, None]
    steep = {}
    for clip in ("gradient", "weight"):
        critic = MLP(1, 1, (16,), generator=torch.Generator().manual_seed(1)).double()
        clip_weights(critic, 0.05)
        for half in (0, 1):
            climb(critic, real, fake, 400, clip, 0.05, lr=0.1)
            steep[clip, half] = float(lipschitz(one_column(critic), everywhere))
        gain = -critic_loss(critic(real)[:, 0], critic(fake)[:, 0]).mean().item()
        assert gain / steep[clip, 1] <= w1 + 1e-9  # Kantorovich and Rubinstein
        if clip == "weight":
            assert gain / steep[clip, 1] < 0.95 * w1
    assert steep["gradient", 1] > 1.5 * steep["gradient", 0] > 1
    assert steep["weight", 1] < 16 * 0.05**2 + 1e-12  # 16 ways of slope c² each at most


@pytest.mark.covers("S4-51")
def test_penalties_are_zero_where_they_should_be_and_reach_the_weights(g):
    x, y = randn(2, 40, 2, g=g)
    unit = torch.nn.functional.normalize(randn(2, g=g), dim=0)
    assert gradient_penalty(lambda x: x @ unit, x, y, generator=g).abs().max() < 1e-28
    assert torch.allclose(r1_penalty(lambda x: 3 * x @ unit, x), numbers(4.5))
    quadratic = lambda x: (x**2).sum(1) / 2  # ∇ = x
    assert torch.allclose(r1_penalty(quadratic, x), (x**2).sum(1) / 2)
    state = g.get_state()
    share = torch.rand(40, 1, dtype=torch.float64, generator=g)
    g.set_state(state)
    between = share * x + (1 - share) * y
    wanted = (between.norm(dim=1) - 1) ** 2
    assert torch.allclose(gradient_penalty(quadratic, x, y, generator=g), wanted)
    images = randn(3, 1, 4, 4, g=g)
    assert gradient_penalty(lambda x: x.flatten(1).sum(1), images, images).tolist() == [9.0] * 3
    net = MLP(2, 1, (8,), activation=nn.Tanh, generator=g).double()
    for penalty in (
        lambda: r1_penalty(one_column(net), x).mean(),
        lambda: gradient_penalty(
            one_column(net), x, y, generator=torch.Generator().manual_seed(0)
        ).mean(),
    ):
        net.zero_grad()
        penalty().backward()
        w, h = net[0].weight, 1e-6
        slope = float(w.grad[3, 1])
        ends = []
        for sign in (1, -1):
            with torch.no_grad():
                w[3, 1] += sign * h
                ends.append(penalty().item())
                w[3, 1] -= sign * h
        assert slope == pytest.approx((ends[0] - ends[1]) / (2 * h), abs=1e-7)
        assert slope != 0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: gradient_penalty(lambda x: x[:, 0], x, x[:2]), "as many fake examples"),
        (lambda x: r1_penalty(lambda x: x, x), "one number for each of 4 rows"),
        (lambda x: clip_weights(nn.Linear(1, 1), -0.1), "c > 0"),
        (lambda x: spectrally_normalised(nn.ReLU()), "linear layers or convolutions"),
    ],
)
def test_a_bad_penalty_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call(torch.zeros(4, 2))


@pytest.mark.proves("prop-lipschitz-product")
def test_of_all_matrices_in_the_box_those_with_every_entry_at_an_end_may_be_the_steepest(g):
    n, m, c = 5, 7, 0.1
    norm = lambda w: float(torch.linalg.matrix_norm(w, 2))
    signs = randn(n, 1, g=g).sign() * randn(1, m, g=g).sign()
    assert norm(c * signs) == pytest.approx(c * (n * m) ** 0.5)
    inside = c * signs.clone()
    inside[2, 3] *= 0.5
    assert norm(inside) < c * (n * m) ** 0.5 - 1e-3
    assert norm(c * (2 * torch.rand(n, m, generator=g) - 1)) < c * (n * m) ** 0.5


@pytest.mark.proves("prop-lipschitz-product")
@pytest.mark.covers("S4-51")
def test_spectral_normalisation_holds_the_slope_at_one(g):
    make = lambda: MLP(2, 1, (16, 16), generator=torch.Generator().manual_seed(3)).double()
    outside = torch.get_rng_state()
    seeds = [torch.Generator().manual_seed(5) for _ in range(2)]
    net, again = (spectrally_normalised(make(), generator=seed) for seed in seeds)
    assert torch.equal(torch.get_rng_state(), outside)
    points = 3 * randn(300, 2, g=g)
    assert torch.equal(net(points), again(points))
    with torch.no_grad():
        for layer in (net[0], net[2], net[4]):
            layer.parametrizations.weight.original *= 20
        for _ in range(300):  # each pass improves the estimate of the singular vectors
            net(points)
    net.eval()
    for layer in (net[0], net[2], net[4]):
        assert float(torch.linalg.matrix_norm(layer.weight, 2).detach()) == pytest.approx(
            1, abs=1e-4
        )
    assert 0.01 < float(lipschitz(one_column(net), points)) <= 1 + 1e-3
    convolution = spectrally_normalised(nn.Conv2d(2, 4, 3), generator=g)
    assert convolution(torch.zeros(1, 2, 5, 5)).shape == (1, 4, 3, 3)


@pytest.mark.covers("S4-51")
def test_a_penalised_critic_finds_the_wasserstein_distance(g):
    real, fake = randn(256, 1, g=g) + 2, randn(256, 1, g=g)
    w1 = float(wasserstein_1d(real[:, 0], fake[:, 0]))
    net = MLP(1, 1, (32,), generator=g).double()
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    critic = one_column(net)
    for _ in range(400):
        optimizer.zero_grad()
        penalty = gradient_penalty(critic, real, fake, generator=g)
        (critic_loss(critic(real), critic(fake)) + 10 * penalty).mean().backward()
        optimizer.step()
    gain = -critic_loss(critic(real), critic(fake)).mean().item()
    # Of slope s it gains sW₁ and pays 10 (s − 1)²: best is s = 1 + W₁/20, a little too steep.
    assert gain == pytest.approx((1 + w1 / 20) * w1, rel=0.03)
