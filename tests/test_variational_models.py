"""Chapter 05: autoencoders and the models that are trained by a bound, each theorem as a test."""

import math

import pytest
import torch
from scipy.linalg import subspace_angles
from torch import nn
from torch.distributions import (
    Bernoulli,
    Binomial,
    Categorical,
    Independent,
    MultivariateNormal,
    Normal,
    kl_divergence,
)

from genlab import data, em, laws
from genlab.models import LowerBound, place
from genlab.nets import MLP
from genlab.train import fit
from genlab.variational import (
    IWAE,
    NVIL,
    VAE,
    Autoencoder,
    BernoulliDecoder,
    BernoulliEncoder,
    GaussianDecoder,
    GaussianEncoder,
    LinearVAE,
    negative_elbo,
    rsample,
)

DOUBLE = torch.float64


def randn(*shape: int, g: torch.Generator) -> torch.Tensor:
    return torch.randn(shape, dtype=DOUBLE, generator=g)


def small(
    g: torch.Generator, cls: type[VAE] = VAE, decoder: type = BernoulliDecoder, **options: int
) -> VAE:
    """A VAE of four pixels and one latent number, with random weights: the line is integrated."""
    encoder = GaussianEncoder(MLP(4, 2, (8,), generator=g))
    model = cls(encoder, decoder(MLP(1, 4, (8,), activation=nn.Tanh, generator=g)), 1, **options)
    with torch.no_grad():
        for w in model.parameters():
            w.mul_(1.5)
    return model.double()


def evidence(model: VAE, x: torch.Tensor) -> torch.Tensor:
    """log ∫ p(x | z) p(z) dz by the trapezoidal rule, which is exact to rounding here."""
    z = torch.linspace(-12, 12, 4001, dtype=DOUBLE)[:, None, None]
    log_joint = model.decoder(z).log_prob(x) + Normal(0.0, 1.0).log_prob(z[:, :, 0])
    return log_joint.logsumexp(0) + math.log(24 / 4000)


BITS = torch.cartesian_prod(*[torch.tensor([0.0, 1.0], dtype=DOUBLE)] * 4)


# --- Encoder, divergence, draws ------------------------------------------------------------------


@pytest.mark.covers("S0-45", "S3-19")
def test_the_encoder_gives_a_mean_and_a_positive_deviation_for_each_code(g):
    q = GaussianEncoder(MLP(4, 6, (8,), generator=g))(randn(10, 4, g=g).float())
    assert (tuple(q.batch_shape), tuple(q.event_shape)) == ((10,), (3,))
    assert q.stddev.min() > 0
    assert q.mean.shape == q.stddev.shape == (10, 3)
    assert q.mean.std(0).min() > 0  # they depend on x


@pytest.mark.covers("S0-46", "E42")
@pytest.mark.proves("prop-kl-prior")
def test_the_closed_form_of_the_divergence_is_torchs_and_the_mean_of_the_log_ratio(g):
    model, x = small(g), BITS[[3, 5, 9]]
    with torch.no_grad():
        _, kl = model.terms(x, generator=g)
        q = model.encoder(x)
        mean, variance = q.mean, q.variance
        formula = 0.5 * (variance.sum(1) + (mean**2).sum(1) - 1 - variance.log().sum(1))
        assert torch.allclose(kl, formula, rtol=0, atol=1e-12)
        assert torch.allclose(kl, kl_divergence(q, model.prior()), rtol=0, atol=1e-12)
        for row in range(3):
            one = Independent(Normal(mean[row], q.stddev[row]), 1)
            z = rsample(Independent(Normal(mean, q.stddev), 1), 20_000, generator=g)[:, row]
            laws.unbiased(one.log_prob(z) - model.prior().log_prob(z), float(formula[row]))


@pytest.mark.covers("S0-49", "S3-20", "S4-28", "E42")
@pytest.mark.proves("prop-reparameterisation")
def test_the_reparameterised_gradient_is_that_of_the_closed_form(g):
    # E (aᵀz)² = (aᵀμ)² + Σ a²σ²: gradients 2a aᵀμ and 2a²σ.
    a, mean, sigma = randn(3, g=g), randn(3, g=g), randn(3, g=g).exp()
    mean, sigma = mean.requires_grad_(), sigma.requires_grad_()
    n = 4000
    q = Independent(Normal(mean.expand(n, 3), sigma.expand(n, 3)), 1)
    q.base_dist.loc.retain_grad(), q.base_dist.scale.retain_grad()
    z = rsample(q, 1, generator=g)[0]
    ((z @ a) ** 2).sum().backward()
    truth = 2 * a * (a @ mean.detach()), 2 * a**2 * sigma.detach()
    for each, exact in zip((q.base_dist.loc.grad, q.base_dist.scale.grad), truth, strict=True):
        for j in range(3):
            laws.unbiased(each[:, j], float(exact[j]))


def test_the_generator_alone_decides_and_exactly_n_draws_are_made(g):
    q = Independent(Normal(torch.zeros(5, 2), torch.ones(5, 2)), 1)
    assert rsample(q, 7, generator=g).shape == (7, 5, 2)
    one, other = (torch.Generator().manual_seed(3) for _ in range(2))
    rsample(q, 7, generator=one)
    torch.randn(70, generator=other)
    assert torch.equal(torch.rand(1, generator=one), torch.rand(1, generator=other))
    state = torch.get_rng_state()
    model = small(g)
    model.elbo(model.sample(3, generator=g), generator=g)
    assert torch.equal(state, torch.get_rng_state())


# --- Decoders ------------------------------------------------------------------------------------


@pytest.mark.covers("E41")
def test_a_decoder_is_a_distribution_and_sums_or_integrates_to_one(g):
    z = randn(1, 2, g=g)
    with torch.no_grad():
        pixels = BernoulliDecoder(MLP(2, 4, (8,), generator=g)).double()(z)
        normal = GaussianDecoder(MLP(2, 2, (8,), generator=g), sigma=0.7).double()(z)
    assert float(pixels.log_prob(BITS).exp().sum()) == pytest.approx(1, abs=1e-12)
    laws.integrates_to_one(normal, (-7, -7), (7, 7))
    assert normal.stddev.unique() == pytest.approx(0.7)


def test_the_bernoulli_decoder_is_torchs_and_takes_grey_values_as_probabilities(g):
    decoder = BernoulliDecoder(MLP(2, 4, (8,), generator=g)).double()
    p = decoder(randn(3, 1, 2, g=g))
    reference = Independent(Bernoulli(logits=p.base_dist.logits), 1)
    assert torch.allclose(p.log_prob(BITS), reference.log_prob(BITS), rtol=0, atol=1e-13)
    grey = torch.tensor([0.1, 0.5, 1.0, 0.8], dtype=DOUBLE)
    chance = Independent(Bernoulli(grey), 1).log_prob(BITS).exp()
    assert torch.allclose(p.log_prob(grey)[:, 0], p.log_prob(BITS) @ chance, rtol=0, atol=1e-12)


# --- The bound -----------------------------------------------------------------------------------


@pytest.mark.parametrize("decoder", [BernoulliDecoder, GaussianDecoder])
@pytest.mark.covers("S0-44", "S0-47", "S4-16")
@pytest.mark.proves("thm-vae-bound")
def test_the_bound_is_the_evidence_less_the_divergence_from_the_posterior(g, decoder):
    model = small(g, decoder=decoder)
    x = BITS[:3]
    with torch.no_grad():
        log_p, q = evidence(model, x), model.encoder(x)
        z = torch.linspace(-12, 12, 4001, dtype=DOUBLE)[:, None, None]
        log_q = Normal(q.mean, q.stddev).log_prob(z)[:, :, 0]
        log_posterior = model.decoder(z).log_prob(x) + Normal(0.0, 1.0).log_prob(z[:, :, 0]) - log_p
        gap = (log_q.exp() * (log_q - log_posterior)).sum(0) * 24 / 4000
        assert gap.min() > 1e-3
        for row in range(3):
            each = model.elbo(x[row].expand(5000, 4), generator=g)
            laws.unbiased(each, float(log_p[row] - gap[row]))
            assert each.mean() < log_p[row]


@pytest.mark.covers("S0-47")
def test_more_draws_leave_the_mean_and_divide_the_variance(g):
    model, x = small(g), BITS[5].expand(4000, 4)
    with torch.no_grad():
        one, four = model.elbo(x, generator=g), model.elbo(x, 4, generator=g)
    error = math.hypot(one.std() / 4000**0.5, four.std() / 4000**0.5)
    assert abs(one.mean() - four.mean()) < 4 * error
    assert float(one.var() / four.var()) == pytest.approx(4, rel=0.25)


@pytest.mark.covers("S3-21", "E39")
def test_beta_weighs_the_rate_and_a_large_one_makes_a_bound_that_is_lower(g):
    model, x = small(g), BITS
    with torch.no_grad():
        state = g.get_state()
        log_likelihood, kl = model.terms(x, generator=g)
        for beta in (0.0, 1.0, 4.0):
            g.set_state(state)
            bound = model.elbo(x, beta=beta, generator=g)
            assert torch.allclose(bound, log_likelihood - beta * kl, rtol=0, atol=1e-12)
    assert kl.min() > 0


@pytest.mark.covers("S0-50", "S4-12")
@pytest.mark.proves("thm-iwae")
def test_the_importance_weighted_bound_rises_with_k_to_the_evidence(g):
    model, x = small(g), BITS[9].expand(4000, 4)
    with torch.no_grad():
        log_p = float(evidence(model, x[:1]))
        elbo = model.elbo(x, 50, generator=g)
        means = []
        for k in (1, 5, 50):
            iwae = small(torch.Generator().manual_seed(0), IWAE, k=k)
            iwae.load_state_dict(model.state_dict())
            each = iwae.elbo(x, generator=g)
            means.append(float(each.mean()))
            if k == 1:  # the VAE's bound, its divergence drawn
                difference = each - elbo
                laws.unbiased(difference, 0.0)
        weights = model.log_weights(x, 5, generator=g)
        laws.unbiased(weights.exp().mean(0), math.exp(log_p))
    assert means[0] < means[1] - 1e-3 < means[2] - 2e-3 < log_p
    assert log_p - means[2] < 0.35 * (log_p - means[0])


@pytest.mark.covers("S0-43")
def test_the_estimate_of_the_evidence_needs_fewer_draws_than_the_prior_does(g):
    # A trained encoder looks where the posterior is; draws from the prior look everywhere.
    model = small(g, decoder=GaussianDecoder)
    with torch.no_grad():
        model.decoder.log_sigma.fill_(math.log(0.2))
    x = model.sample(256, generator=g)
    loss = lambda _, x, g: -model.elbo(x, generator=g)
    fit(model.encoder, loss, x, steps=300, lr=0.02, generator=g, progress=False)
    with torch.no_grad():
        estimate = model.log_prob_estimate(x, 2000, generator=g)
        exact = evidence(model, x)
        assert (estimate - exact).abs().median() < 0.02
        one = x[:1].expand(2000, 4)
        z = torch.randn(2000, 1, dtype=DOUBLE, generator=g)
        naive = model.decoder(z).log_prob(one).exp().var()
        weighted = model.log_weights(one, 1, generator=g)[0].exp().var()
    assert naive > 10 * weighted


def test_the_estimate_of_many_rows_is_the_estimate_in_blocks(g):
    model = small(g)
    x = model.sample(3000, generator=g)
    k = 600  # 2²² / (600 · 4) = 1747 rows at a time
    one, other = (torch.Generator().manual_seed(1) for _ in range(2))
    estimate = model.log_prob_estimate(x, k, generator=one)
    first = model.log_prob_estimate(x[:1747], k, generator=other)
    assert estimate.shape == (3000,)
    assert torch.equal(estimate[:1747], first)
    assert not estimate.requires_grad


# --- Draws and training --------------------------------------------------------------------------


@pytest.mark.parametrize("decoder", [BernoulliDecoder, GaussianDecoder])
@pytest.mark.covers("S0-41", "S3-18")
def test_ancestral_draws_have_the_moments_of_the_model(g, decoder):
    model = small(g, decoder=decoder)
    x = laws.speaks_sampler(model, 4000, generator=g)
    z = torch.linspace(-12, 12, 4001, dtype=DOUBLE)
    with torch.no_grad():
        mean = model.decoder(z[:, None]).mean
        exact = (Normal(0.0, 1.0).log_prob(z).exp()[:, None] * mean).sum(0) * 24 / 4000
    for j in range(4):
        laws.unbiased(x[:, j], float(exact[j]))
    assert model.sample(0, generator=g).shape == (0, 4)


def test_both_models_are_lower_bounds_at_their_place_in_the_taxonomy(g):
    for model in (small(g), small(g, IWAE)):
        assert isinstance(model, LowerBound)
        assert place(model) == "explicit, approximate"


def digits_model(g: torch.Generator, decoder: type = BernoulliDecoder) -> VAE:
    encoder = GaussianEncoder(MLP(64, 2 * 8, (128,), generator=g))
    return VAE(encoder, decoder(MLP(8, 64, (128,), generator=g)), 8)


@pytest.fixture(scope="module")
def digits() -> tuple[torch.Tensor, torch.Tensor]:
    images = data.digits()
    return images.train.flatten(1), images.test.flatten(1)


@pytest.mark.covers("S0-48", "S0-50")
def test_training_raises_the_bound_on_new_digits_and_it_stays_below_the_estimate(g, digits):
    train, test = digits
    model = digits_model(g)
    with torch.no_grad():
        before = model.elbo(test, generator=g).mean()
    fit(model, negative_elbo, train, steps=500, lr=3e-3, generator=g, progress=False)
    with torch.no_grad():
        bound = model.elbo(test, 10, generator=g).mean()
        estimate = model.log_prob_estimate(test, 100, generator=g).mean()
    assert bound > before + 15
    assert bound < estimate - 0.2
    # what any model of independent pixels reaches at most, with the test images' own means
    mean = test.mean(0)
    assert bound > 1.5 - Bernoulli(mean).entropy().sum()


@pytest.mark.covers("S3-21", "E39")
def test_a_large_beta_collapses_the_posterior_onto_the_prior(g, digits):
    train, test = digits
    rates = []
    for beta in (1.0, 30.0):
        model = digits_model(g)
        loss = lambda m, x, g, beta=beta: -m.elbo(x, beta=beta, generator=g)
        fit(model, loss, train, steps=300, lr=3e-3, generator=g, progress=False)
        with torch.no_grad():
            rates.append(float(model.terms(test, generator=g).kl.mean()))
    assert rates[0] > 1.5
    assert rates[1] < 0.1


@pytest.mark.covers("E40", "S3-22", "S4-30")
@pytest.mark.proves("prop-factorised-mean")
def test_one_normal_puts_its_mean_where_no_datum_is_and_a_mixture_does_not(g):
    # Data at −1 and 1: the same likelihood, hence the same direction of KL, in both fits.
    x = torch.cat([-torch.ones(500), torch.ones(500)]).double()[:, None]
    x = x + 0.1 * randn(1000, 1, g=g)
    blurred = em.GaussianMixture(1).fit(x, generator=g)
    sharp = em.GaussianMixture(2).fit(x, generator=g)
    assert (x - blurred.means).abs().min() > 0.5
    distance = (x[:, None, 0] - sharp.means[None, :, 0]).abs().min(0).values
    assert distance.max() < 0.02
    assert sharp.log_prob(torch.zeros(1, 1, dtype=DOUBLE)) < -20


@pytest.mark.proves("prop-factorised-mean")
def test_the_best_factorised_decoder_shows_the_average_of_the_data_that_share_a_code(g):
    x = torch.randint(2, (30, 6), generator=g).double()
    q = randn(30, 3, g=g).softmax(1)
    best = q.T @ x / q.sum(0)[:, None]
    laws_of = {
        "bits": lambda mean: Bernoulli(mean),
        "counts": lambda mean: Binomial(1, mean),
        "normal": lambda mean: Normal(mean, 0.7),
    }
    for law in laws_of.values():

        def value(mean: torch.Tensor, law=law) -> float:
            return float((q * Independent(law(mean), 1).log_prob(x[:, None])).sum())

        highest = value(best)
        for size in (1e-3, 1e-2, 0.1):
            for _ in range(30):
                other = (best + size * randn(3, 6, g=g)).clamp(1e-6, 1 - 1e-6)
                assert value(other) < highest


# --- What is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize("k", [0, -1, 1.5, True])
def test_a_number_of_draws_or_codes_below_one_is_refused(g, k):
    model = small(g)
    for call in (
        lambda: model.elbo(BITS, k),
        lambda: model.log_weights(BITS, k),
        lambda: model.log_prob_estimate(BITS, k),
        lambda: IWAE(model.encoder, model.decoder, 1, k=k),
        lambda: VAE(model.encoder, model.decoder, k),
    ):
        with pytest.raises(ValueError, match=rf"as an integer >= 1, got {k}"):
            call()


@pytest.mark.parametrize(
    ("x", "sentence"),
    [
        ([[0.0, 1.0, 0.5, 2.0]], r"from 0 to 2.*Bernoulli.*upper_bound=1.*Rescale"),
        ([[0.0, 1.0, 0.5, -0.1]], r"from -0\.1 to 1"),
        ([[0.0, 1.0, 0.5, math.nan]], "1 of 1 rows of the points are NaN or infinite"),
        ([[0.0, 1.0, 0.5, math.inf]], "1 of 1 rows of the points are NaN or infinite"),
        ([[0.0, 1.0, 0.5]], r"shape \(batch, 4\), got \(1, 3\)"),
        ([0.0, 1.0, 0.5, 1.0], r"shape \(batch, 4\), got \(4,\).*x\[None\]"),
    ],
)
def test_data_that_the_decoder_cannot_give_are_refused(g, x, sentence):
    model = small(g)
    for call in (model.elbo, lambda x: model.log_weights(x, 2)):
        with pytest.raises(ValueError, match=sentence):
            call(torch.tensor(x, dtype=DOUBLE))


class Counts(nn.Module):
    """Five values a pixel; written by a reader."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, z: torch.Tensor) -> Independent:
        return Independent(Categorical(logits=self.net(z).unflatten(-1, (4, 5))), 1)


def test_a_decoder_of_the_readers_own_works_and_its_values_are_checked(g):
    encoder = GaussianEncoder(MLP(4, 2, (8,), generator=g))
    model = VAE(encoder, Counts(MLP(1, 20, (8,), generator=g)), 1)
    x = model.sample(6, generator=g)
    assert model.elbo(x, generator=g).shape == (6,)
    for wrong in (x + 5, x + 0.5):
        with pytest.raises(ValueError, match=r"from \S+ to \S+.*Categorical"):
            model.elbo(wrong, generator=g)


def test_networks_whose_distributions_have_another_shape_are_refused(g):
    encoder, net = GaussianEncoder(MLP(4, 2, generator=g)), MLP(1, 4, generator=g)
    with pytest.raises(TypeError, match="to return a distribution, got a Tensor"):
        VAE(encoder, net, 1)

    class Loose(BernoulliDecoder):
        def forward(self, z):
            return super().forward(z).base_dist

    with pytest.raises(ValueError, match=r"decoder\(z\).*batch shape \(1,\).*\(1, 4\) and \(\)"):
        VAE(encoder, Loose(net), 1)
    wide = VAE(GaussianEncoder(MLP(4, 6, generator=g)), BernoulliDecoder(net), 1)
    with pytest.raises(ValueError, match=r"encoder\(x\).*event shape \(1,\).*\(16,\) and \(3,\)"):
        wide.elbo(BITS)
    with pytest.raises(ValueError, match="sigma > 0"):
        GaussianDecoder(net, sigma=0.0)
    with pytest.raises(ValueError, match="n >= 0 as an int, got -1"):
        small(g).sample(-1)


# --- The linear VAE: the referee -----------------------------------------------------------------


@pytest.fixture
def linear(g) -> tuple[LinearVAE, torch.Tensor, em.ProbabilisticPCA]:
    x = randn(400, 5, g=g) @ randn(5, 5, g=g) + randn(5, g=g)
    ppca = em.ProbabilisticPCA(2).fit(x)
    return LinearVAE.optimum(ppca), x, ppca


@pytest.mark.covers("S0-41")
@pytest.mark.proves("thm-linear-vae")
def test_at_its_optimum_the_bound_of_the_linear_vae_is_the_likelihood_of_ppca(linear):
    model, x, ppca = linear
    assert torch.allclose(model.log_prob(x), ppca.log_prob(x), rtol=0, atol=1e-10)
    laws.bounds_from_below(
        model.exact_elbo(x).detach(), ppca.log_prob(x), touching=True, tolerance=1e-10
    )
    assert float(model.exact_elbo(x).mean().detach()) == pytest.approx(ppca.history[-1], abs=1e-10)


@pytest.mark.covers("S0-41")
@pytest.mark.proves("thm-linear-vae")
def test_the_optimum_has_no_gradient_and_every_step_away_is_lower(linear, g):
    model, x, ppca = linear
    model.exact_elbo(x).mean().backward()
    for w in model.parameters():
        assert w.grad.abs().max() < 1e-10
    with torch.no_grad():
        for _ in range(20):
            other = LinearVAE.optimum(ppca)
            for w in other.parameters():
                w.add_(0.05 * randn(*w.shape, g=g))
            assert other.exact_elbo(x).mean() < ppca.history[-1] - 1e-5


@pytest.mark.covers("S0-41", "S0-48")
def test_training_the_bound_arrives_at_ppca(linear, g):
    _, x, ppca = linear
    model = LinearVAE(5, 2, generator=g).double()
    loss = lambda model, x, _: -model.exact_elbo(x)
    fit(model, loss, x, steps=500, batch_size=400, lr=0.05, generator=g, progress=False)
    gap = ppca.history[-1] - float(model.exact_elbo(x).mean().detach())
    assert 0 <= gap < 1e-3


@pytest.mark.covers("S0-27")
def test_a_rotation_of_the_code_leaves_the_evidence_and_costs_the_bound(linear):
    model, x, _ = linear
    log_p, angle = model.log_prob(x).detach(), math.pi / 4
    turn = torch.tensor(
        [[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]], dtype=DOUBLE
    )
    with torch.no_grad():
        model._affine.weight.copy_(model._affine.weight @ turn)
        model.encoder.mean.weight.copy_(turn.T @ model.encoder.mean.weight)
        model.encoder.mean.bias.copy_(turn.T @ model.encoder.mean.bias)
        # the best diagonal q: precision = diagonal of the posterior's precision
        posterior = model.posterior(x)
        model.encoder.log_sigma.copy_(-0.5 * posterior.precision_matrix[0].diagonal().log())
        assert torch.allclose(posterior.mean, model.encoder(x).mean, rtol=0, atol=1e-10)
        gap = model.log_prob(x) - model.exact_elbo(x)
        q = model.encoder(x)
        full = MultivariateNormal(q.mean, torch.diag_embed(q.variance))
        assert torch.allclose(model.log_prob(x), log_p, rtol=0, atol=1e-10)
        assert torch.allclose(gap, kl_divergence(full, posterior), rtol=0, atol=1e-10)
    assert gap.min() > 1e-3


@pytest.mark.covers("S0-42", "S0-43", "S0-47", "S4-16")
def test_every_estimator_agrees_with_the_linear_vae(g):
    model = LinearVAE(5, 2, generator=g).double()
    one = model.sample(1, generator=g)
    x = one.expand(20_000, 5)
    with torch.no_grad():
        exact, evidence = float(model.exact_elbo(one)), float(model.log_prob(one))
        laws.unbiased(model.elbo(x, generator=g), exact)
        laws.unbiased(model.log_weights(x, 1, generator=g)[0], exact)
        model.encoder.log_sigma.fill_(0.3)  # wider than the posterior: weights of finite variance
        weights = model.log_weights(x, 5, generator=g)
        laws.unbiased(weights.exp().mean(0), math.exp(evidence))
        estimate = model.log_prob_estimate(x[:200], 2000, generator=g)
        assert exact < estimate.mean() < evidence + 4 * estimate.std() / 200**0.5
        assert float(estimate.mean()) == pytest.approx(evidence, abs=0.02)


def test_the_linear_vae_is_a_density(g):
    model = LinearVAE(2, 1, generator=g).requires_grad_(False)
    laws.integrates_to_one(model, (-9, -9), (9, 9))
    laws.samples_follow(model, (-4, -4), (4, 4), generator=g)
    assert place(model) == "explicit, tractable"


# --- Bernoulli codes: NVIL -----------------------------------------------------------------------


CODES = torch.cartesian_prod(*[torch.tensor([0.0, 1.0], dtype=DOUBLE)] * 3)


class Table(nn.Module):
    """An encoder network that gives each row its own logits: a gradient for each draw."""

    def __init__(self, rows: torch.Tensor) -> None:
        super().__init__()
        self.rows = nn.Parameter(rows.clone())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.rows[: len(x)]


class FirstPixel(nn.Module):
    """A baseline of two values, by the first pixel."""

    def __init__(self, values: torch.Tensor) -> None:
        super().__init__()
        self.values = nn.Parameter(values.clone())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.values[x[:, 0].long()][:, None]


@pytest.mark.covers("S4-12", "S4-24", "S4-29", "E29", "E30")
@pytest.mark.proves("prop-nvil")
def test_nvil_is_unbiased_with_every_baseline_and_each_better_one_lowers_the_variance(g):
    n, logits = 40_000, randn(3, g=g)
    decoder = BernoulliDecoder(MLP(3, 4, (8,), generator=g)).double()
    with torch.no_grad():
        decoder.net[2].weight.mul_(3)
        decoder.net[2].bias.copy_(torch.tensor([0.0, 6, 6, 6]))
    pair = torch.tensor([[0.0, 1, 1, 1], [1.0, 0, 0, 1]], dtype=DOUBLE)  # one likely, one not
    # exact: the bound as a sum over the eight codes
    free = logits.expand(2, 3).clone().requires_grad_()
    q = Independent(Bernoulli(logits=free), 1)
    signal = decoder(CODES[:, None]).log_prob(pair) - 3 * math.log(2)
    signal = signal - q.log_prob(CODES[:, None])
    chance = q.log_prob(CODES[:, None]).exp()
    (chance * signal).sum().backward()
    mean = (chance * signal).sum(0).detach()
    assert (mean[0] - mean[1]).abs() > 4

    x = pair.repeat(n // 2, 1)
    variances = []
    for baseline, centre in ((None, 0.0), (None, float(mean.mean())), (FirstPixel(mean), 0.0)):
        encoder = BernoulliEncoder(Table(logits.expand(n, 3)))
        model = NVIL(encoder, decoder, 3, baseline).double().eval()
        model.centre.fill_(centre)
        model.loss(x, generator=g).sum().backward()
        each = -encoder.net.rows.grad.reshape(n // 2, 2, 3)
        for i in range(2):
            for j in range(3):
                laws.unbiased(each[:, i, j], float(free.grad[i, j]))
        variances.append(float(each.var(0).sum()))
    assert variances[0] > 1.5 * variances[1] > 2 * variances[2]


@pytest.mark.covers("S4-12")
def test_nvil_learns_a_bound_below_the_enumerated_evidence_and_its_centre_follows(g):
    patterns = torch.tensor([[1, 1, 0, 0, 0, 0], [0, 0, 1, 1, 0, 0], [0, 0, 0, 0, 1, 1.0]])
    x = patterns[torch.randint(3, (600,), generator=g)]
    encoder = BernoulliEncoder(MLP(6, 3, (16,), generator=g))
    decoder = BernoulliDecoder(MLP(3, 6, (16,), generator=g))
    model = NVIL(encoder, decoder, 3, MLP(6, 1, (16,), generator=g))
    before = model.elbo(x, 20, generator=g).mean()
    loss = lambda model, x, g: model.loss(x, generator=g)
    fit(model, loss, x, steps=400, lr=0.02, generator=g, progress=False)
    codes = CODES.float()[:, None]
    with torch.no_grad():
        log_p = (decoder(codes).log_prob(x) + model.prior().log_prob(codes)).logsumexp(0)
        q = encoder(x)
        log_q = q.log_prob(codes)
        log_joint = decoder(codes).log_prob(x) + model.prior().log_prob(codes)
        exact = (log_q.exp() * (log_joint - log_q)).sum(0)
        bound = model.elbo(x, 20, generator=g).mean()
    laws.bounds_from_below(exact, log_p, tolerance=1e-4)
    assert abs(bound - exact.mean()) < 0.2
    assert bound > before + 1.5
    assert log_p.mean() < -math.log(3) + 0.05  # no law of three patterns does better
    assert model.centre != 0


def test_nvil_draws_codes_of_zeros_and_ones_and_gives_no_false_gradient(g):
    encoder = BernoulliEncoder(MLP(4, 3, (8,), generator=g))
    model = NVIL(encoder, BernoulliDecoder(MLP(3, 4, (8,), generator=g)), 3)
    x = laws.speaks_sampler(model, 50, generator=g)
    assert set(x.unique().tolist()) <= {0.0, 1.0}
    assert isinstance(model, LowerBound)
    with pytest.raises(ValueError, match="does not depend on the model's parameters"):
        fit(model, negative_elbo, x, steps=1, generator=g, progress=False)
    assert model.log_prob_estimate(x, 5, generator=g).shape == (50,)
    wrong = NVIL(model.encoder, model.decoder, 3, MLP(4, 2, generator=g))
    with pytest.raises(ValueError, match=r"baseline.*\(50, 1\), got \(50, 2\)"):
        wrong.loss(x, generator=g)


# --- Autoencoders --------------------------------------------------------------------------------


def reconstruct(model: Autoencoder, x: torch.Tensor, _: torch.Generator) -> torch.Tensor:
    return model.error(x)


@pytest.mark.covers("S3-15")
@pytest.mark.proves("thm-linear-autoencoder")
def test_the_linear_autoencoder_finds_the_plane_of_principal_components(g):
    scale = torch.tensor([3.0, 2.0, 1.0, 0.7, 0.5, 0.3], dtype=DOUBLE)
    turn = torch.linalg.qr(randn(6, 6, g=g)).Q
    x = (randn(300, 6, g=g) * scale) @ turn.T + randn(6, g=g)
    values, vectors = torch.linalg.eigh(torch.cov(x.T, correction=0))
    model = Autoencoder(MLP(6, 2, (), generator=g), MLP(2, 6, (), generator=g)).double()
    fit(model, reconstruct, x, steps=1500, batch_size=300, lr=0.02, generator=g, progress=False)
    plane = model.decoder[0].weight.detach()
    assert subspace_angles(plane.numpy(), vectors[:, -2:].numpy()).max() < 1e-3
    tail = float(values[:-2].sum())
    assert float(model.error(x).mean().detach()) == pytest.approx(tail, rel=1e-4)


@pytest.mark.covers("S3-15")
@pytest.mark.proves("thm-linear-autoencoder")
def test_the_error_of_the_closed_form_is_the_sum_of_the_eigenvalues_left_out(g):
    x = randn(100, 6, g=g) @ randn(6, 6, g=g)
    values = torch.linalg.eigvalsh(torch.cov(x.T, correction=0))
    for latent in (1, 3, 5):
        model = Autoencoder.pca(x, latent)
        assert float(model.error(x).mean()) == pytest.approx(float(values[:-latent].sum()))
        for _ in range(20):  # no affine map nearby does better
            other = Autoencoder.pca(x, latent)
            for w in other.parameters():
                w.add_(0.05 * randn(*w.shape, g=g))
            assert other.error(x).mean() > model.error(x).mean()


@pytest.mark.covers("S3-15", "S3-17")
def test_a_nonlinear_code_of_a_circle_loses_less_than_any_plane_and_does_not_draw(g):
    angle = torch.rand(512, generator=g) * 4.5
    x = torch.stack([angle.cos(), angle.sin()], 1)
    nets = (MLP(2, 1, (64,), activation=nn.Tanh, generator=g),
            MLP(1, 2, (64,), activation=nn.Tanh, generator=g))  # fmt: skip
    model = Autoencoder(*nets)
    fit(model, reconstruct, x, steps=1000, lr=0.01, generator=g, progress=False)
    assert model.error(x).mean() < 0.3 * Autoencoder.pca(x, 1).error(x).mean()
    assert place(model) == "not generative"


@pytest.mark.covers("S3-17")
def test_noise_is_decoded_off_the_digits_by_the_autoencoder_and_near_them_by_the_vae(g, digits):
    train, _ = digits
    vae = digits_model(g)
    fit(vae, negative_elbo, train, steps=500, lr=3e-3, generator=g, progress=False)
    plain = Autoencoder(MLP(64, 8, (128,), generator=g), MLP(8, 64, (128,), generator=g))
    fit(plain, reconstruct, train, steps=500, lr=3e-3, generator=g, progress=False)
    z = torch.randn(500, 8, generator=g)
    with torch.no_grad():
        off = torch.cdist(plain.decoder(z), train).min(1).values.mean()
        near = torch.cdist(vae.decoder(z).mean, train).min(1).values.mean()
        assert (
            plain.error(train).mean()
            < (vae.decoder(vae.encoder(train).mean).mean - train).square().sum(1).mean()
        )
    assert off > 1.15 * near


@pytest.mark.parametrize("latent", [0, 2, 3])
def test_a_code_that_is_empty_or_not_shorter_is_refused(latent):
    with pytest.raises(ValueError, match=r">= 1, got 0|shorter than d"):
        Autoencoder.pca(torch.eye(2), latent)


def test_an_autoencoder_refuses_data_that_are_not_finite_and_other_shapes(g):
    model = Autoencoder(MLP(3, 1, generator=g), MLP(1, 2, generator=g))
    with pytest.raises(ValueError, match=r"shape of the data, \(4, 3\), got \(4, 2\)"):
        model.error(torch.zeros(4, 3))
    with pytest.raises(ValueError, match="1 of 1 rows"):
        model.error(torch.full((1, 3), math.nan))


@pytest.mark.covers("S3-14")
def test_on_images_that_can_be_listed_the_bound_overstates_the_exact_code_length(g):
    # 2⁹ images of 3 × 3 pixels: the VAE sums to one, and its -elbo is longer than its -log p.
    images = torch.cartesian_prod(*[torch.tensor([0.0, 1.0], dtype=DOUBLE)] * 9)
    encoder = GaussianEncoder(MLP(9, 2, (8,), generator=g))
    model = VAE(encoder, BernoulliDecoder(MLP(1, 9, (8,), activation=nn.Tanh, generator=g)), 1)
    model.double()
    with torch.no_grad():
        log_p = evidence(model, images)
        bound = model.elbo(images, 2000, generator=g)
    assert float(log_p.exp().sum()) == pytest.approx(1, abs=1e-10)
    length = -(log_p.exp() * log_p).sum()  # nats an image, if the model is the truth
    assert -(log_p.exp() * bound).sum() > length + 1e-3
