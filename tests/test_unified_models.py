"""Chapter 09: missed modes, importance weights and the hybrids, each statement as a test."""

import math
from functools import partial

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Normal
from torch.nn.functional import logsigmoid

from genlab import laws
from genlab.data import Ring
from genlab.divergences import js, kl, two_modes
from genlab.flows import StandardNormal
from genlab.gans import Discriminator, Generator, descended, generator_loss, play
from genlab.gans.losses import discriminator_loss
from genlab.nets import MLP
from genlab.train import fit
from genlab.unified import (
    VAEGAN,
    AdversarialAutoencoder,
    aae_game,
    fit_generator,
    missed_mode,
    mmd,
    vaegan_game,
    weighted_generator_loss,
)
from genlab.variational import GaussianEncoder

DOUBLE = torch.float64
LINE = torch.linspace(-30, 30, 601, dtype=DOUBLE)


def seeded(number: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(number)


# --- Missed modes ---------------------------------------------------------------------------------


@pytest.mark.covers("S4-39", "E82")
@pytest.mark.covers("E82")
@pytest.mark.proves("prop-jsd-refund")
@pytest.mark.parametrize(
    ("weight", "reverse", "effective", "share"),
    [(0.1, 0.105, 0.033, 32), (0.5, 0.693, 0.262, 38), (0.9, 2.303, 1.251, 54)],
)
def test_the_jsd_refunds_most_of_the_penalty_of_a_missed_mode(weight, reverse, effective, share):
    cost = missed_mode(weight)
    assert cost.forward == math.inf
    assert cost.reverse == pytest.approx(-math.log(1 - weight), abs=1e-12)
    assert (cost.reverse, cost.effective) == pytest.approx((reverse, effective), abs=1e-3)
    assert round(100 * cost.effective / cost.reverse) == share
    assert cost.effective == pytest.approx(cost.reverse - 2 * cost.js, abs=1e-12)


@pytest.mark.proves("prop-jsd-refund")
def test_a_missed_mode_costs_a_third_when_small_and_all_but_two_log_two_when_large():
    small, large = missed_mode(1e-6), missed_mode(1 - 1e-9)
    # To first order in w the JSD is (w/2) log 2.
    assert small.effective / small.reverse == pytest.approx(1 - math.log(2), abs=1e-5)
    assert large.reverse - large.effective == pytest.approx(2 * math.log(2), abs=1e-6)


@pytest.mark.covers("S4-39")
def test_twice_kl_of_the_mixture_is_the_reverse_kl_less_two_jsd_for_any_two_laws():
    g, p = torch.rand(2, 50, 7, dtype=DOUBLE, generator=seeded()).softmax(-1)
    assert torch.allclose(2 * kl((g + p) / 2, p), kl(g, p) - 2 * js(g, p), atol=1e-14)
    assert (2 * kl((g + p) / 2, p) <= kl(g, p)).all()


@pytest.mark.covers("S4-39", "S4-43", "E87")
@pytest.mark.proves("prop-directions-of-games")
def test_a_normal_generator_covers_two_modes_by_likelihood_and_takes_one_in_either_game():
    near, far = two_modes(1.0), two_modes(4.0)
    for kind in ("reverse", "saturating", "non-saturating"):
        one = fit_generator(far, LINE, kind, (4.0, 1.0))
        assert one.mean == pytest.approx(4, abs=0.05)
        both = fit_generator(near, LINE, kind, (0.5, 1.0))
        assert both.mean == pytest.approx(0, abs=1e-4)  # near modes are covered by every kind
    everything = fit_generator(far, LINE, "forward", (4.0, 1.0))
    assert (everything.mean, everything.sd) == pytest.approx((0, math.sqrt(17)), abs=1e-4)


def prefers_one(kind: str, m: float) -> bool:
    """Is a law at one of two modes ±m a better end than one over both?"""
    log_p = two_modes(m)
    both = fit_generator(log_p, LINE, kind, (0.0, math.sqrt(1 + m * m)))
    return fit_generator(log_p, LINE, kind, (m, 1.0)).divergence < both.divergence - 1e-6


@pytest.mark.covers("S4-39", "S4-43", "E82", "E87")
@pytest.mark.proves("prop-directions-of-games")
def test_the_practical_game_leaves_a_mode_sooner_than_the_reverse_kl_and_the_zero_sum_game_later():
    # One mode is preferred from m = 2.38 (2 KL(m‖p)), 2.80 (reverse KL) and 4.24 (JSD) on.
    found = [
        [prefers_one(kind, m) for kind in ("non-saturating", "reverse", "saturating")]
        for m in (2.2, 2.6, 3.5, 4.5)
    ]
    assert found == [
        [False, False, False],
        [True, False, False],
        [True, True, False],
        [True, True, True],
    ]


@pytest.mark.proves("prop-directions-of-games")
def test_the_end_of_a_fit_is_where_the_best_discriminator_leaves_no_slope():
    log_p = two_modes(2.0)
    for kind in ("saturating", "non-saturating"):
        mean, sd, left = fit_generator(log_p, LINE, kind, (1.0, 1.5))
        at = torch.tensor([mean, math.log(sd)], dtype=DOUBLE, requires_grad=True)
        log_g = Normal(at[0], at[1].exp()).log_prob(LINE)
        a = (log_p(LINE) - log_g).detach()
        loss = torch.trapezoid(log_g.exp() * generator_loss(a, kind), LINE)
        assert torch.autograd.grad(loss, at)[0].abs().max() < 1e-6
        assert left == pytest.approx(
            float(descended(log_p(LINE), log_g.detach(), LINE, kind)), abs=1e-12
        )


# --- Importance weights ---------------------------------------------------------------------------

Z = torch.linspace(-14, 14, 1121, dtype=DOUBLE)
MASS = Normal(0.0, 1.0).log_prob(Z).exp() * (Z[1] - Z[0])


def pathwise(weight, kind: str) -> Tensor:
    """Slope in (m, log s) of x = m + s z at (1, log 0.8), by quadrature over z, data N(0, 1)."""
    theta = torch.tensor([1.0, math.log(0.8)], dtype=DOUBLE, requires_grad=True)
    x = theta[0] + theta[1].exp() * Z
    a = logit(x)
    loss = MASS @ (weight(a.detach()) * generator_loss(a, kind))
    return torch.autograd.grad(loss, theta)[0]


def logit(x: Tensor) -> Tensor:
    """The best discriminator at θ0 = (1, log 0.8), held fixed as a function of x."""
    return -(x**2) / 2 + ((x - 1) / 0.8) ** 2 / 2 + math.log(0.8)


def slope_of(name: str) -> Tensor:
    theta = torch.tensor([1.0, math.log(0.8)], dtype=DOUBLE, requires_grad=True)
    log_p = Normal(0.0, 1.0).log_prob(LINE)
    log_g = Normal(theta[0], theta[1].exp()).log_prob(LINE)
    if name == "forward":
        value = torch.trapezoid(log_p.exp() * (log_p - log_g), LINE)
    else:
        value = descended(log_p, log_g, LINE, name)
    return torch.autograd.grad(value, theta)[0]


@pytest.mark.covers("S4-46")
@pytest.mark.proves("thm-importance-weighted-gan")
@pytest.mark.parametrize(
    ("kind", "limit"), [("non-saturating", "saturating"), ("linear", "forward")]
)
def test_with_many_draws_the_weighted_loss_descends_another_divergence(kind, limit):
    assert torch.allclose(pathwise(torch.ones_like, kind), slope_of(kind), atol=1e-8)
    assert float(MASS @ logit(1 + 0.8 * Z).exp()) == pytest.approx(1, abs=1e-8)  # E w = 1
    assert torch.allclose(pathwise(torch.exp, kind), slope_of(limit), atol=1e-7)
    assert not torch.allclose(pathwise(torch.ones_like, kind), slope_of(limit), atol=1e-2)


@pytest.mark.proves("thm-importance-weighted-gan")
def test_the_mean_slope_with_two_draws_is_that_of_the_quadrature_over_pairs():
    theta = torch.tensor([1.0, math.log(0.8)], dtype=DOUBLE, requires_grad=True)
    z, mass = Z[::3], 3 * MASS[::3]
    a = logit(theta[0] + theta[1].exp() * z)
    share = (a[:, None] - a).detach().sigmoid()  # of the first of a pair
    pair = 2 * mass * (share @ mass) @ -logsigmoid(a)
    exact = torch.autograd.grad(pair, theta)[0]

    draws = torch.randn(40_000, dtype=DOUBLE, generator=seeded(1))
    x = (1 + 0.8 * draws).requires_grad_()
    (pull,) = torch.autograd.grad(weighted_generator_loss(logit(x), 2).sum(), x)
    by_pair = torch.stack([pull, pull * 0.8 * draws]).reshape(2, -1, 2).mean(-1)
    for estimates, truth in zip(by_pair, exact, strict=True):
        laws.unbiased(estimates, float(truth))


@pytest.mark.covers("S4-46")
def test_groups_of_one_are_the_plain_loss_and_weights_take_no_gradient():
    a = torch.randn(6, generator=seeded()).requires_grad_()
    assert torch.equal(weighted_generator_loss(a, 1), generator_loss(a))
    loss = weighted_generator_loss(a, 3)
    share = a.detach().reshape(2, 3).softmax(1).flatten()
    (slope,) = torch.autograd.grad(loss.sum(), a)
    assert torch.allclose(slope, -3 * share * (-a.detach()).sigmoid(), atol=1e-6)


def test_a_game_can_be_played_with_weighted_draws():
    rng = seeded(3)
    x = 1.5 + torch.randn(500, 1, generator=rng)
    G = Generator(StandardNormal((1,)), nn.Linear(1, 1))
    D = Discriminator(MLP(1, 1, (16,), generator=rng))
    losses = discriminator_loss, partial(weighted_generator_loss, k=4)
    play(G, D, x, steps=500, lr=0.01, loss=losses, generator=rng, progress=False)
    assert float(G.sample(4000, generator=rng).mean()) == pytest.approx(1.5, abs=0.5)


# --- Hybrids --------------------------------------------------------------------------------------


def test_the_discrepancy_of_two_samples_is_unbiased():
    # k of two normal laws in closed form: E exp(−(x−y)²/2h²) = h/√(h²+2) e^{−δ²/(2(h²+2))}
    def mean_k(shift: float) -> float:
        return math.exp(-(shift**2) / 6) / math.sqrt(3)

    g = seeded(2)
    for shift in (0.0, 1.0):
        found = [
            mmd(torch.randn(20, 1, generator=g), shift + torch.randn(30, 1, generator=g))
            for _ in range(400)
        ]
        laws.unbiased(torch.tensor(found), 2 * mean_k(0) - 2 * mean_k(shift))
    a, b = torch.randn(5, 2, generator=g), torch.randn(4, 2, generator=g)
    k = lambda u, v: math.exp(-float((u - v).square().sum()) / (2 * 0.7**2))
    by_hand = (
        sum(k(u, v) for i, u in enumerate(a) for j, v in enumerate(a) if i != j) / 20
        + sum(k(u, v) for i, u in enumerate(b) for j, v in enumerate(b) if i != j) / 12
        - 2 * sum(k(u, v) for u in a for v in b) / 20
    )
    assert mmd(a, b, 0.7) == pytest.approx(by_hand, abs=1e-6)


def autoencoder(rng: torch.Generator) -> AdversarialAutoencoder:
    return AdversarialAutoencoder(
        MLP(2, 2, (32,), generator=rng),
        MLP(2, 2, (32,), generator=rng),
        Discriminator(MLP(2, 1, (32,), generator=rng)),
        latent=2,
    )


@pytest.mark.covers("S4-45")
def test_the_aggregate_code_of_an_adversarial_autoencoder_comes_near_the_prior():
    rng = seeded(0)
    e = torch.randn(2, 2000, generator=rng)
    x = torch.stack([2 * e[0], e[1] + e[0] ** 2], 1)  # a normal law, bent
    model = autoencoder(rng)
    prior = torch.randn(1000, 2, generator=rng)

    def far() -> float:
        with torch.no_grad():
            return mmd(model.encoder(x[:1000]), prior)

    before = far()
    adam = partial(torch.optim.Adam, betas=(0.5, 0.999))
    fit(model, aae_game, x, steps=500, batch_size=128, lr=5e-3, optimizer=adam, generator=rng)
    assert far() < before / 10
    with torch.no_grad():
        error = (model.decoder(model.encoder(x)) - x).square().sum(1).mean()
    assert float(error) < float(x.var(0).sum()) / 50


def test_each_player_of_an_adversarial_autoencoder_gets_the_slope_of_its_own_loss():
    model = autoencoder(seeded(1)).double()
    x = torch.randn(16, 2, dtype=DOUBLE, generator=seeded(2))
    aae_game(model, x, seeded(3)).mean().backward()
    z, prior = model.encoder(x), torch.randn(16, 2, dtype=DOUBLE, generator=seeded(3))
    own = (x - model.decoder(z)).square().sum(1) / 2 - logsigmoid(model.D(z))
    judge = -logsigmoid(model.D(prior)) - logsigmoid(-model.D(z))
    for loss, player in ((own, model.encoder), (own, model.decoder), (judge, model.D)):
        weights = list(player.parameters())
        right = torch.autograd.grad(loss.mean(), weights, retain_graph=True)
        for weight, slope in zip(weights, right, strict=True):
            assert torch.allclose(weight.grad, slope, atol=1e-12)


def vaegan(rng: torch.Generator) -> VAEGAN:
    return VAEGAN(
        GaussianEncoder(MLP(2, 4, (32,), generator=rng)),
        MLP(2, 2, (32,), generator=rng),
        nn.Sequential(MLP(2, 8, (32,), generator=rng), nn.Tanh()),
        nn.Linear(8, 1),
        latent=2,
    )


@pytest.mark.covers("S4-45")
def test_each_player_of_a_vae_gan_gets_the_slope_of_its_own_loss():
    model, gamma = vaegan(seeded(1)).double(), 0.3
    x = torch.randn(16, 2, dtype=DOUBLE, generator=seeded(2))
    vaegan_game(model, x, seeded(3), gamma=gamma).mean().backward()
    g = seeded(3)
    q = model.encoder(x).base_dist
    noise, prior = (torch.randn(16, 2, dtype=DOUBLE, generator=g) for _ in range(2))
    z = q.loc + q.scale * noise
    f, D = model.features, model.D
    recovered, drawn = model.decoder(z), model.decoder(prior)
    error = (f(x).detach() - f(recovered)).square().sum(1) / 2
    divergence = (q.loc**2 + q.scale**2 - 1 - 2 * q.scale.log()).sum(1) / 2
    losses = {
        model.encoder: divergence + error,
        model.decoder: gamma * error - logsigmoid(D(recovered)) - logsigmoid(D(drawn)),
        D: -2 * logsigmoid(D(x)) - logsigmoid(-D(recovered)) - logsigmoid(-D(drawn)),
    }
    for player, loss in losses.items():
        weights = list(player.parameters())
        right = torch.autograd.grad(loss.mean(), weights, retain_graph=True)
        for weight, slope in zip(weights, right, strict=True):
            assert torch.allclose(weight.grad, slope, atol=1e-12)


@pytest.mark.covers("S4-45")
def test_a_vae_gan_learns_to_draw_the_ring():
    rng = seeded(0)
    ring = Ring()
    x = ring.sample(2000, generator=rng)
    model = vaegan(rng)
    before = mmd(model.sample(1000, generator=rng), x[:1000])
    adam = partial(torch.optim.Adam, betas=(0.5, 0.999))
    fit(model, vaegan_game, x, steps=600, batch_size=128, lr=2e-3, optimizer=adam, generator=rng)
    assert mmd(model.sample(1000, generator=rng), x[:1000]) < before / 2


# --- Bad input ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: missed_mode(1.0), "weight of the missed mode"),
        (lambda: fit_generator(two_modes(1.0), LINE, "jsd"), "kind among"),
        (lambda: fit_generator(two_modes(1.0), LINE, "forward", (0.0, 0.0)), "sd > 0"),
        (lambda: weighted_generator_loss(torch.zeros(5), 2), "groups of 2"),
        (lambda: weighted_generator_loss(torch.zeros(4), 0), "k"),
        (lambda: mmd(torch.zeros(1, 2), torch.zeros(3, 2)), "two draws or more"),
        (lambda: mmd(torch.zeros(3, 2), torch.zeros(3, 1)), "rows of one length"),
        (lambda: mmd(torch.zeros(3, 2), torch.zeros(3, 2), 0.0), "bandwidth"),
        (lambda: vaegan_game(vaegan(seeded()), torch.zeros(2, 2), gamma=0.0), "gamma"),
    ],
)
def test_bad_input_gets_a_sentence(call, words):
    with pytest.raises(ValueError, match=words):
        call()
