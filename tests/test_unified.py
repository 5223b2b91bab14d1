"""Chapter 09: one notation, the two lemmas and the table, each statement as a test."""

import math

import pytest
import torch
from torch import Tensor
from torch.distributions import Categorical, Normal
from torch.nn.functional import logsigmoid

from genlab import em, gans
from genlab.divergences import entropy, js, kl, optimal_discriminator
from genlab.models import mutual_information
from genlab.unified import (
    Provenance,
    as_machine,
    correspondence,
    gan_losses,
    generator_bound,
    lemma_gan,
    lemma_vae,
    log_q,
    log_q_reversed,
    on_finite,
    on_line,
    reversed_posterior,
)
from genlab.variational import HelmholtzMachine, sleep, variational_e_step, wake

DOUBLE = torch.float64
LINE = torch.linspace(-24, 24, 2401, dtype=DOUBLE)


def randn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, dtype=DOUBLE, generator=torch.Generator().manual_seed(seed))


def slopes(f, at: Tensor, h: float = 1e-3) -> Tensor:
    """Central differences of fourth order: the referee that knows no autograd."""
    steps = h * torch.eye(at.numel(), dtype=DOUBLE).reshape(-1, *at.shape)
    rows = [8 * (f(at + e) - f(at - e)) - (f(at + 2 * e) - f(at - 2 * e)) for e in steps]
    return torch.stack([row.detach() for row in rows]).reshape(at.shape) / (12 * h)


def worst(a: Tensor, b: Tensor) -> float:
    return float((a - b).abs().max())


class Finite:
    """A generator softmax(Aθ) on six values, and data."""

    start, real = randn(3, seed=1), 0.5
    A, data = randn(6, 3, seed=2), randn(6, seed=3).softmax(0)

    def law(self, theta: Tensor, real: float = 0.5) -> Provenance:
        return on_finite((self.A @ theta).softmax(0), self.data, real=real)

    def discriminators(self) -> list[Tensor]:
        log_g, log_p = self.law(self.start).log_x
        return [log_p - log_g, randn(6, seed=4)]


class Gaussian:
    """A generator N(m, s²) with θ = (m, log s), data N(0, 1)."""

    def __init__(self, mean: float, sd: float) -> None:
        self.start = torch.tensor([mean, math.log(sd)], dtype=DOUBLE)

    def law(self, theta: Tensor, real: float = 0.5) -> Provenance:
        log_g = Normal(theta[0], theta[1].exp()).log_prob(LINE)
        return on_line(log_g, Normal(0.0, 1.0).log_prob(LINE), LINE, real=real)

    def discriminators(self) -> list[Tensor]:
        log_g, log_p = self.law(self.start).log_x
        return [log_p - log_g, 0.3 + 0.8 * LINE - 0.1 * LINE**2]


MODELS = {
    "finite": Finite(),
    "N(1, 1)": Gaussian(1.0, 1.0),
    "N(2, 0.7²)": Gaussian(2.0, 0.7),
    "N(−½, 1.5²)": Gaussian(-0.5, 1.5),
}


@pytest.fixture(params=MODELS.values(), ids=MODELS)
def model(request):
    return request.param


# --- One notation ---------------------------------------------------------------------------------


@pytest.mark.covers("S4-34", "E79")
@pytest.mark.proves("prop-gan-in-y")
@pytest.mark.parametrize("which", [0, 1], ids=["best D", "any D"])
def test_the_new_form_is_half_the_usual_game_plus_a_constant(model, which):
    x, a = model.law(model.start), model.discriminators()[which]
    each = x.weights * x.log_x.exp()
    usual = each[1] @ logsigmoid(a) + each[0] @ logsigmoid(-a)
    phi, theta = gan_losses(x, a)
    assert float(phi) == pytest.approx(float(usual) / 2, abs=1e-12)
    practical = -(each[0] @ gans.generator_loss(a))
    constant = each[1] @ gans.generator_loss(a, "saturating") / 2
    assert float(theta) == pytest.approx(float(practical / 2 + constant), abs=1e-12)
    # The constant has no θ in it: elsewhere it is the same.
    moved = model.law(model.start + 0.3)
    density = moved.weights * moved.log_x[0].exp()
    other = gan_losses(moved, a).theta + density @ gans.generator_loss(a) / 2
    assert float(other) == pytest.approx(float(constant), abs=1e-12)


@pytest.mark.covers("S4-34")
def test_on_the_line_the_discriminators_objective_is_half_the_value_of_chapter_08():
    x, a = MODELS["N(1, 1)"].law(MODELS["N(1, 1)"].start), MODELS["N(1, 1)"].discriminators()[1]
    log_g, log_p = x.log_x
    assert worst(gan_losses(x, a).phi, gans.value(log_p, log_g, a, LINE) / 2) < 1e-12
    assert (
        worst(2 * gan_losses(x, log_p - log_g).phi, gans.value_of_the_best(log_p, log_g, LINE))
        < 1e-12
    )


def test_the_label_is_reversed_by_the_sign_of_the_logit():
    a = randn(5)
    assert torch.equal(log_q_reversed(a), log_q(a).flip(0))
    assert worst(log_q(a).exp().sum(0), torch.ones(5, dtype=DOUBLE)) < 1e-15
    assert worst(log_q(a)[1].exp(), a.sigmoid()) < 1e-15


@pytest.mark.covers("S4-36")
def test_the_reversed_posterior_is_a_law_for_each_label(model):
    x = model.law(model.start)
    for a in model.discriminators():
        log_x, log_z = reversed_posterior(x, a)
        mass = (x.weights * log_x.exp()).sum(1)
        assert worst(mass, torch.ones(2, dtype=DOUBLE)) < 1e-12
        by_bayes = log_q_reversed(a) + x.log_marginal - log_z[:, None]
        assert worst(log_x.exp(), by_bayes.exp()) < 1e-14


@pytest.mark.covers("S4-36", "E82")
@pytest.mark.proves("prop-reversed-posterior")
def test_with_the_best_discriminator_each_label_is_inferred_as_the_other_law_and_else_not(model):
    x = model.law(model.start)
    best, other = model.discriminators()
    assert worst(best.sigmoid(), optimal_discriminator(*x.log_x.flip(0))) < 1e-15
    assert worst(reversed_posterior(x, best).log_x.exp(), x.log_x.flip(0).exp()) < 1e-9
    assert worst(reversed_posterior(x, other).log_x[0].exp(), x.log_x[1].exp()) > 1e-2
    smoothed = (0.9 * best.sigmoid()).logit()  # D times a constant infers the data all the same
    assert worst(reversed_posterior(x, smoothed).log_x[0].exp(), x.log_x[1].exp()) < 1e-9


def test_the_divergence_of_the_labels_is_the_information_of_x_about_y():
    g, p = randn(2, 5).softmax(1)
    assert worst(on_finite(g, p).js(), js(g, p)) < 1e-15
    for real in (0.1, 0.5, 0.7):
        x = on_finite(g, p, real=real)
        joint = x.prior[:, None] * x.log_x.exp()
        assert float(x.js()) == pytest.approx(float(mutual_information(joint)), abs=1e-14)
        assert float(x.js()) <= float(entropy(x.prior))


# --- The lemma of the GAN -------------------------------------------------------------------------


@pytest.mark.covers("S4-37", "S4-38", "E80")
@pytest.mark.proves("thm-gan-identity")
@pytest.mark.parametrize("real", [0.5, 0.7])
def test_the_terms_add_up_for_any_theta_theta0_and_discriminator(model, real):
    for shift in (0.0, 0.4):
        now, at = model.law(model.start + shift, real), model.law(model.start, real)
        for a in model.discriminators():
            loss, mean_kl, jsd, drift, evidence = lemma_gan(now, at, a)
            assert float(loss) == pytest.approx(float(mean_kl - jsd - drift - evidence), abs=1e-12)
            assert float(drift) == pytest.approx(
                float(
                    now.weights @ (now.log_marginal.exp() * (now.log_marginal - at.log_marginal))
                ),
                abs=1e-9,
            )


def sides(model, a, theta, real=0.5) -> dict[str, Tensor]:
    """The slopes of each term at θ, by finite differences; θ0 is where the model starts."""
    at = model.law(model.start, real)
    return {
        name: slopes(lambda v, i=i: lemma_gan(model.law(v, real), at, a)[i], theta)
        for i, name in enumerate(("loss", "kl", "js", "drift", "evidence"))
    }


@pytest.mark.covers("S4-37", "E81")
@pytest.mark.covers("E81")
@pytest.mark.proves("thm-gan-lemma")
@pytest.mark.parametrize("which", [0, 1], ids=["best D", "any D"])
def test_at_theta0_the_slopes_agree_with_the_minus_sign_and_not_without(model, which):
    s = sides(model, model.discriminators()[which], model.start)
    assert worst(s["loss"], s["kl"] - s["js"]) < 1e-8
    assert worst(-s["loss"], s["kl"] - s["js"]) > 0.05  # as printed, without the minus
    assert s["drift"].abs().max() < 1e-8
    assert s["evidence"].abs().max() < 1e-12


@pytest.mark.covers("S4-37", "E81")
@pytest.mark.proves("prop-gan-lemma-fails-away")
def test_away_from_theta0_the_slopes_differ_by_exactly_that_of_the_drift(model):
    s = sides(model, model.discriminators()[1], model.start + 0.5)
    assert worst(s["loss"], s["kl"] - s["js"]) > 1e-3
    assert worst(s["loss"], s["kl"] - s["js"] - s["drift"]) < 1e-8


@pytest.mark.covers("S4-37", "E81")
def test_for_another_p_of_y_the_divergence_is_the_weighted_one():
    model = MODELS["finite"]
    s = sides(model, model.discriminators()[1], model.start, real=0.7)
    assert worst(s["loss"], s["kl"] - s["js"]) < 1e-8
    usual = slopes(lambda v: js(model.law(v).log_x[0].exp(), model.data), model.start)
    assert worst(s["loss"], s["kl"] - usual) > 1e-2


def test_autograd_gives_the_slopes_of_every_term(model):
    theta = model.start.clone().requires_grad_()
    a = model.discriminators()[1]
    terms = lemma_gan(model.law(theta), model.law(theta), a)  # θ0 has no slope
    found = [torch.autograd.grad(t, theta, retain_graph=True)[0] for t in terms[:4]]
    for slope, right in zip(found, sides(model, a, model.start).values(), strict=False):
        assert worst(slope, right) < 1e-8


@pytest.mark.covers("S4-37", "S4-39", "E78")
@pytest.mark.proves("cor-gan-effective")
def test_against_the_best_discriminator_the_loss_descends_twice_kl_of_the_mixture(model):
    best = model.discriminators()[0]
    s = sides(model, best, model.start)

    def mixture(theta: Tensor) -> Tensor:
        x = model.law(theta)
        return x.weights @ (x.log_marginal.exp() * (x.log_marginal - x.log_x[1]))

    assert worst(s["loss"], slopes(mixture, model.start)) < 1e-8


@pytest.mark.covers("S4-37")
def test_a_perfect_discriminator_of_laws_that_never_meet_leaves_both_sides_infinite():
    x = on_finite([1.0, 0.0], [0.0, 1.0])
    loss, mean_kl, _, _, _ = lemma_gan(x, x, torch.tensor([-math.inf, math.inf]))
    assert loss == mean_kl == math.inf


@pytest.mark.covers("S4-35", "S4-38", "E80")
@pytest.mark.proves("prop-generator-bound")
def test_a_gan_keeps_the_first_term_of_the_bound_in_which_x_is_latent():
    g, data, a = randn(5, seed=1), randn(5, seed=2).softmax(0), randn(5, seed=3)
    bound, kept = generator_bound(g, data, a)
    x = on_finite(g.softmax(0), data)
    prior_kl = torch.stack([kl(law, x.log_marginal.exp()) for law in (g.softmax(0), data)])
    assert worst(bound, kept - prior_kl) < 1e-12
    log_posterior, log_z = reversed_posterior(x, a)
    gap = torch.stack([kl(p.exp(), q.exp()) for p, q in zip(x.log_x, log_posterior, strict=True)])
    assert worst(bound, log_z - gap) < 1e-12  # the decomposition of EM
    assert float(kept.mean()) == pytest.approx(float(gan_losses(x, a).theta), abs=1e-12)
    assert float(prior_kl.mean()) == pytest.approx(float(js(g.softmax(0), data)), abs=1e-12)


# --- The lemma of the VAE -------------------------------------------------------------------------

DATA, FAKE = randn(5, seed=7).softmax(0), randn(5, 4, seed=8)
PRIOR, DECODER, ENCODER = randn(4, seed=9).softmax(0), randn(4, 5, seed=10), randn(5, 4, seed=11)
AT = (PRIOR @ DECODER.softmax(1)).detach()


def vae_terms(decoder: Tensor = DECODER, encoder: Tensor = ENCODER):
    return lemma_vae(HelmholtzMachine(PRIOR, decoder, encoder), DATA, AT, FAKE)


@pytest.mark.covers("S4-40", "S4-42", "E83", "E84")
@pytest.mark.proves("thm-vae-lemma")
@pytest.mark.parametrize("moved", [0.0, 0.7])
def test_the_three_lines_of_the_vae_differ_by_the_constants_that_are_said(moved):
    terms = vae_terms(DECODER + moved * randn(4, 5, seed=12))
    assert float(terms.with_labels) == pytest.approx(float(terms.elbo + terms.constant), abs=1e-12)
    assert float(terms.with_labels) == pytest.approx(
        float(terms.posterior + terms.drift), abs=1e-12
    )
    assert len({round(float(line), 3) for line in terms[:3]}) == 3  # no "=" in value


def test_the_constant_and_the_lines_by_their_own_sums():
    terms, q, q1 = vae_terms(), ENCODER.softmax(1), FAKE.softmax(1)
    p = DECODER.softmax(1)
    elbo = sum(
        DATA[x] * q[x, z] * (p[z, x].log() + PRIOR[z].log() - q[x, z].log())
        for x in range(5)
        for z in range(4)
    )
    assert float(terms.elbo) == pytest.approx(float(elbo), abs=1e-12)
    constant = -2 * math.log(2) + AT @ (DATA.log() - kl(q1, PRIOR.expand_as(q1)))
    assert float(terms.constant) == pytest.approx(float(constant), abs=1e-12)
    marginal = (DATA + PRIOR @ p) / 2
    assert float(terms.drift) == pytest.approx(float((DATA + AT) @ marginal.log()), abs=1e-12)


@pytest.mark.covers("S4-40", "E83")
@pytest.mark.covers("E83")
def test_the_posterior_is_likelihood_times_prior_and_not_itself_times_the_prior():
    log_joint = HelmholtzMachine(PRIOR, DECODER, ENCODER).log_joint
    posterior = em.posterior(log_joint)
    by_bayes = DECODER.softmax(1).T * PRIOR
    assert worst(posterior, by_bayes / by_bayes.sum(1, keepdim=True)) < 1e-14
    circular = posterior * PRIOR
    assert worst(posterior, circular / circular.sum(1, keepdim=True)) > 0.05


@pytest.mark.covers("S4-42", "E84")
@pytest.mark.covers("E84")
@pytest.mark.proves("thm-vae-lemma")
def test_all_lines_have_one_slope_at_theta0_and_the_last_only_there():
    def slope(i: int, at: Tensor, table: str = "decoder") -> Tensor:
        return slopes(lambda v: vae_terms(**{table: v})[i], at)

    elbo, labels, posterior = (slope(i, DECODER) for i in range(3))
    assert max(worst(elbo, labels), worst(elbo, posterior)) < 1e-8
    elbo, labels, posterior = (slope(i, ENCODER, "encoder") for i in range(3))
    assert max(worst(elbo, labels), worst(elbo, posterior)) < 1e-8
    away = DECODER + 0.7 * randn(4, 5, seed=12)
    elbo, labels, posterior, _, drift = (slope(i, away) for i in range(5))
    assert worst(elbo, labels) < 1e-8
    assert worst(elbo, posterior) > 1e-3
    assert worst(elbo, posterior + drift) < 1e-8


@pytest.mark.covers("S4-40", "E84")
def test_where_the_data_are_zero_on_a_fake_x_the_constant_is_minus_infinity():
    machine = HelmholtzMachine(PRIOR, DECODER, ENCODER)
    data = torch.tensor([0.0, 0.25, 0.25, 0.25, 0.25], dtype=DOUBLE)
    assert lemma_vae(machine, data, AT, FAKE).constant == -math.inf


@pytest.mark.covers("S4-41")
def test_the_information_bound_of_a_code_is_at_most_its_entropy_and_exact_at_the_posterior():
    joint = randn(3, 4, seed=5).flatten().softmax(0).reshape(3, 4)  # code, x
    code = joint.sum(1)
    exact = (joint / joint.sum(0)).T  # p(c | x)
    cells = [(c, x) for c in range(3) for x in range(4)]

    def bound(q: Tensor) -> float:
        prior = Categorical(code)
        rows = gans.information_bound(
            Categorical(torch.stack([q[x] for _, x in cells])),
            torch.tensor([c for c, _ in cells]),
            prior,
        )
        return float(joint.flatten() @ rows)

    truth = float(mutual_information(joint))
    assert bound(exact) == pytest.approx(truth, abs=1e-7)
    assert bound(randn(4, 3, seed=6).softmax(1)) < truth < float(entropy(code))


# --- The table ------------------------------------------------------------------------------------


@pytest.mark.covers("S4-33", "S4-35", "S4-43", "S4-44", "E85", "E86")
@pytest.mark.proves("prop-correspondence")
def test_every_row_of_the_table_has_the_slope_of_its_divergence():
    machine = HelmholtzMachine(PRIOR, DECODER, ENCODER)
    rows = correspondence(machine, DATA, randn(5, seed=13), randn(5, seed=14))
    assert [(row.method, row.moves) for row in rows] == [
        ("VAE", "θ"),
        ("VAE", "φ"),
        ("wake", "θ"),
        ("sleep", "φ"),
        ("GAN", "φ"),
        ("GAN", "θ"),
    ]
    assert max(row.mismatch for row in rows) < 1e-12
    assert rows[0].loss == rows[1].loss
    assert rows[0].loss == pytest.approx(rows[0].value + float(entropy(DATA)), abs=1e-12)
    assert all(row.value > 0 for row in rows[:5])


@pytest.mark.covers("S4-43", "S4-44")
def test_the_rows_of_wake_and_sleep_are_those_of_chapter_05():
    machine = HelmholtzMachine(PRIOR, DECODER, ENCODER)
    rows = {(r.method, r.moves): r for r in correspondence(machine, DATA, DATA.log(), 0 * DATA)}
    assert rows["wake", "θ"].loss == pytest.approx(-float(wake(machine, DATA).objective))
    assert rows["sleep", "φ"].loss == pytest.approx(-float(sleep(machine).objective))
    assert rows["VAE", "φ"].loss == pytest.approx(
        -float(variational_e_step(machine, DATA).objective)
    )


@pytest.mark.covers("S4-44", "E86")
@pytest.mark.proves("thm-discriminator-is-sleep")
def test_the_discriminators_slope_is_the_slope_of_sleep_with_the_label_for_a_code():
    g, a = randn(5, seed=13), randn(5, seed=14)
    dreams = sleep(as_machine(g, DATA, a))
    x = on_finite(g.softmax(0), DATA)
    assert float(dreams.objective) == pytest.approx(float(gan_losses(x, a).phi), abs=1e-12)
    discriminator = slopes(lambda v: gan_losses(x, v).phi, a)
    # q(y | x) has two logits, ∓a/2.
    assert worst(discriminator, (dreams.gradient[:, 1] - dreams.gradient[:, 0]) / 2) < 1e-10
    assert worst(dreams.gradient.sum(1), torch.zeros(5, dtype=DOUBLE)) < 1e-12


@pytest.mark.covers("S4-44", "E86")
def test_sleep_moves_no_theta_and_the_gan_does():
    machine = as_machine(randn(5, seed=13), DATA, randn(5, seed=14))
    assert sleep(machine).gradient.shape == machine.encoder.shape
    g = randn(5, seed=13)
    slope = slopes(lambda v: gan_losses(on_finite(v.softmax(0), DATA), randn(5, seed=14)).theta, g)
    assert slope.abs().max() > 1e-2


def test_em_of_the_label_gives_the_best_discriminator():
    x = on_finite(randn(5).softmax(0), DATA, real=0.3)
    label = em.posterior((x.log_x + x.prior.log()[:, None]).T)
    best = x.log_x[1] - x.log_x[0] + math.log(0.3 / 0.7)
    assert worst(label[:, 1], best.sigmoid()) < 1e-14
    assert worst(slopes(lambda a: gan_losses(x, a).phi, best), 0 * best) < 1e-10


# --- Bad input ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: on_finite([0.5, 0.5], [0.5, 0.4]), "sum to one"),
        (lambda: on_finite([0.5, 0.5], [0.5, 0.5], real=1.0), r"p\(y = 1\), in \(0, 1\)"),
        (lambda: on_line(*3 * [torch.zeros(3)]), "ascending"),
        (lambda: on_line(torch.zeros(2), torch.zeros(3), torch.arange(3.0)), "one shape"),
        (lambda: on_line(*2 * [torch.zeros(9)], torch.arange(9.0)), "has mass 8.0000"),
        (lambda: Provenance(torch.zeros(3, 2), torch.tensor([0.5, 0.5]), torch.ones(2)), "row"),
        (lambda: Provenance(torch.zeros(2, 1), torch.tensor([0.5, 0.5]), torch.ones(2)), "weight"),
        (lambda: gan_losses(on_finite([1.0], [1.0]), torch.zeros(2)), "logit for each of 1"),
        (lambda: gan_losses(on_finite([1.0], [1.0]), torch.tensor([math.nan])), "1 NaN"),
        (
            lambda: reversed_posterior(on_finite([1.0], [1.0]), torch.tensor([math.inf])),
            "no chance at any node",
        ),
        (
            lambda: lemma_gan(
                on_finite([1.0], [1.0]), on_finite([1.0], [1.0], real=0.3), torch.zeros(1)
            ),
            "same p",
        ),
        (
            lambda: lemma_vae(HelmholtzMachine(PRIOR, DECODER, ENCODER), DATA, AT, FAKE.T),
            "encoder of shape",
        ),
        (
            lambda: correspondence(
                HelmholtzMachine(PRIOR, DECODER, ENCODER), torch.eye(5)[0], DATA, DATA
            ),
            "with 4 zeros",
        ),
    ],
)
def test_bad_input_gets_a_sentence(call, words):
    with pytest.raises(ValueError, match=words):
        call()
