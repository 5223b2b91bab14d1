"""Chapter 04: denoisers and their chains, and codes that cannot be predicted."""

import itertools
from functools import partial

import pytest
import torch
from scipy.stats import chisquare
from torch import Tensor, nn
from torch.distributions import Categorical, MixtureSameFamily, Normal

from genlab import data, laws
from genlab.divergences import total_variation
from genlab.early.chains import stationary
from genlab.early.denoising import (
    BinaryDenoiser,
    DenoisingAutoencoder,
    add_gaussian,
    flip_bits,
    optimal_denoiser,
)
from genlab.early.gsn import (
    GenerativeStochasticNetwork,
    bayes_reconstruction,
    walkback_corruption,
    walkback_loss,
)
from genlab.early.predictability import (
    PredictabilityMinimisation,
    pairwise_information,
    predictability_game,
    unpredictability,
)
from genlab.early.states import states
from genlab.models import mutual_information, place
from genlab.nets import MLP
from genlab.train import fit

DOUBLE = torch.float64
# The law of the lectures' denoising example: two normal modes, and noise of deviation 0.6.
WEIGHTS, MEANS, SCALES = (
    torch.tensor(v, dtype=DOUBLE) for v in ([0.3, 0.7], [-2.0, 1.0], [0.5, 0.8])
)


def seeded(number: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(number)


def mixture(sigma: float = 0.0) -> MixtureSameFamily:
    """p_σ: the mixture after noise of this deviation."""
    return MixtureSameFamily(Categorical(WEIGHTS), Normal(MEANS, (SCALES**2 + sigma**2).sqrt()))


def posterior_mean(x: Tensor, sigma: float) -> Tensor:
    """E[x | x̃] of the mixture, component by component."""
    total = SCALES**2 + sigma**2
    share = (Normal(MEANS, total.sqrt()).log_prob(x[:, None]) + WEIGHTS.log()).softmax(-1)
    return (share * (MEANS + SCALES**2 / total * (x[:, None] - MEANS))).sum(-1)


# --- Denoising autoencoder ------------------------------------------------------------------------


@pytest.mark.proves("thm-optimal-denoiser")
@pytest.mark.covers("S1-72", "E23")
def test_the_best_denoiser_is_a_step_up_the_log_density_of_the_noisy_data():
    x = torch.tensor([-1.0, 0.2, 2.0], dtype=DOUBLE)
    best = optimal_denoiser(mixture(0.6).log_prob, x, 0.6)
    assert best.tolist() == pytest.approx([-1.119957, 0.465632, 1.639996], abs=1e-6)
    x = torch.linspace(-6, 6, 101, dtype=DOUBLE)
    for sigma in (0.1, 0.6, 3.0):
        best = optimal_denoiser(mixture(sigma).log_prob, x, sigma)
        assert torch.allclose(best, posterior_mean(x, sigma), atol=1e-10)


@pytest.mark.proves("thm-optimal-denoiser")
def test_in_the_plane_the_best_denoiser_of_a_ring_pulls_to_its_modes():
    sigma, ring = 0.3, data.Ring(modes=4, radius=2.0, scale=0.1)
    noisy = data.Ring(modes=4, radius=2.0, scale=(0.1**2 + sigma**2) ** 0.5)
    x = torch.randn(20, 2, dtype=DOUBLE, generator=seeded())
    share = (-(torch.cdist(x, ring.centres) ** 2) / 2 / (0.01 + sigma**2)).softmax(-1)
    pull = 0.01 / (0.01 + sigma**2)
    right = pull * x + (1 - pull) * share @ ring.centres
    assert torch.allclose(optimal_denoiser(noisy.log_prob, x, sigma), right, atol=1e-9)
    assert not optimal_denoiser(noisy.log_prob, x, sigma).requires_grad


@pytest.mark.proves("thm-optimal-denoiser")
@pytest.mark.covers("S1-72")
def test_no_other_function_has_a_smaller_error_and_a_trained_net_comes_near(g):
    sigma, n = 0.6, 20_000
    clean = MEANS[(u := torch.rand(n, generator=g) < 0.7).long()]
    clean = (clean + SCALES[u.long()] * torch.randn(n, dtype=DOUBLE, generator=g))[:, None]
    model = DenoisingAutoencoder(MLP(1, 1, (32,), activation=nn.Tanh, generator=g), sigma).double()
    fit(model, lambda m, x, g: m.loss(x, g), clean, steps=1500, lr=1e-2, generator=g)
    noisy = model.corrupt(clean, g)
    with torch.no_grad():
        learnt = (model(noisy) - clean).square().mean()
    best = posterior_mean(noisy[:, 0], sigma)[:, None]
    least = (best - clean).square().mean()
    shrunk = (noisy * clean.var() / (clean.var() + sigma**2) - clean).square().mean()
    assert least < learnt < least + 0.1 * (shrunk - least)
    x = torch.linspace(-3, 2.5, 56, dtype=DOUBLE)[:, None]
    score = (posterior_mean(x[:, 0], sigma) - x[:, 0]) / sigma**2
    assert (model.score(x)[:, 0].detach() - score).abs().mean() < 0.1


@pytest.mark.covers("E23")
def test_a_denoiser_alone_is_no_generative_model_and_its_chain_is_an_implicit_one():
    model = DenoisingAutoencoder(nn.Linear(2, 2), 0.5)
    assert place(model) == place(BinaryDenoiser(nn.Linear(2, 2), 0.5)) == "not generative"
    assert place(GenerativeStochasticNetwork(model, torch.zeros(1, 2))) == "implicit"


def test_the_loss_is_the_squared_error_and_the_reconstruction_its_density():
    model = DenoisingAutoencoder(MLP(2, 2, (4,), generator=seeded()).double(), 0.5)
    x = torch.randn(5, 2, dtype=DOUBLE, generator=seeded(1))
    noisy = model.corrupt(x, seeded(2))
    error = (model(noisy) - x).square().sum(1)
    assert torch.equal(model.loss(x, seeded(2)), error)
    log_p = model.reconstruct(noisy).log_prob(x)
    constant = 2 * torch.tensor(2 * torch.pi * 0.25).double().log() / 2
    assert torch.allclose(log_p, -error / (2 * 0.25) - constant, atol=1e-12)
    assert torch.allclose(noisy + 0.25 * model.score(noisy), model(noisy), atol=1e-12)
    assert log_p.dtype == DOUBLE


def test_corruptions_have_the_law_they_say(g):
    x = add_gaussian(torch.ones(20_000, dtype=DOUBLE), 0.5, g)
    laws.unbiased(x, 1.0)
    laws.unbiased((x - 1).square(), 0.25)
    for bit in (0.0, 1.0):
        y = flip_bits(torch.full((20_000,), bit, dtype=DOUBLE), 0.3, g)
        laws.unbiased(y, 0.7 * bit + 0.15)
        assert set(y.tolist()) == {0.0, 1.0}


def test_denoisers_refuse_what_does_not_fit_in_a_sentence():
    for sigma in (0, -1.0, float("inf"), float("nan")):
        with pytest.raises(ValueError, match="deviation sigma > 0"):
            DenoisingAutoencoder(nn.Linear(2, 2), sigma)
        with pytest.raises(ValueError, match="deviation sigma > 0"):
            optimal_denoiser(lambda x: -(x**2), torch.zeros(1), sigma)
    for share in (0, 1.5):
        with pytest.raises(ValueError, match="above 0 and at most 1"):
            BinaryDenoiser(nn.Linear(2, 2), share)


# --- Chains of denoisers --------------------------------------------------------------------------


def salt_and_pepper(bits: int, share: float) -> Tensor:
    """C(x̃ | x) of all states."""
    x = states(bits)
    apart = (x[:, None] != x).sum(-1)
    return (1 - share / 2) ** (bits - apart).double() * (share / 2) ** apart.double()


@pytest.fixture
def law() -> Tensor:
    """Some law on the eight states of three bits."""
    return torch.randn(8, dtype=DOUBLE, generator=seeded(4)).mul(1.5).softmax(0)


@pytest.mark.proves("thm-gsn")
@pytest.mark.covers("S0-30", "S1-72")
@pytest.mark.parametrize("share", [0.1, 0.5, 1.0])
def test_the_stationary_law_of_corrupting_and_reconstructing_is_that_of_the_data(law, share):
    corruption = salt_and_pepper(3, share)
    kernel = corruption @ bayes_reconstruction(law, corruption)
    assert torch.allclose(stationary(kernel), law, atol=1e-12)
    flow = law[:, None] * kernel
    assert torch.allclose(flow, flow.T, atol=1e-15)  # detailed balance
    if share == 1:  # all is forgotten, and one step is a draw
        assert torch.allclose(kernel, law.expand(8, -1), atol=1e-12)


@pytest.mark.proves("thm-gsn")
@pytest.mark.covers("S0-30")
def test_a_reconstruction_learnt_from_more_pairs_has_a_nearer_stationary_law(law, g):
    corruption, off = salt_and_pepper(3, 0.5), []
    joint = (law[:, None] * corruption).T
    for n in (10**3, 10**5):
        pairs = torch.multinomial(joint.flatten(), n, replacement=True, generator=g)
        counts = pairs.bincount(minlength=64).double().reshape(8, 8) + 1e-9
        learnt = counts / counts.sum(1, keepdim=True)
        kernel = corruption @ learnt
        off.append(float(total_variation(stationary(kernel), law)))
        right = corruption @ bayes_reconstruction(law, corruption)
        # Perturbed chains: the error is at most that of one step over 1 − the contraction.
        contraction = max(float(total_variation(a, b)) for a in kernel for b in kernel)
        step = max(float(total_variation(*rows)) for rows in zip(kernel, right, strict=True))
        assert off[-1] <= step / (1 - contraction)
    assert off[1] < 0.3 * off[0]


@pytest.mark.covers("S0-30")
def test_the_sampler_draws_from_the_stationary_law_of_its_own_kernel(g):
    denoiser = BinaryDenoiser(nn.Linear(3, 3), 0.6).double()
    with torch.no_grad():
        denoiser.net.weight.copy_(3 * torch.randn(3, 3, generator=seeded(8)))
    x = states(3)
    p = denoiser.reconstruct(x)
    up = torch.stack([p.log_prob(row.expand(8, -1)) for row in x], 1).exp().detach()
    kernel = salt_and_pepper(3, 0.6) @ up
    model = GenerativeStochasticNetwork(denoiser, start=x[:1], steps=60)
    draws = model.sample(8000, generator=g)
    code = (draws @ torch.tensor([4.0, 2.0, 1.0], dtype=DOUBLE)).long()
    expected = 8000 * stationary(kernel)
    assert chisquare(code.bincount(minlength=8).tolist(), expected.tolist()).pvalue > 1e-4


@pytest.mark.proves("prop-gaussian-chain")
@pytest.mark.covers("S1-72")
@pytest.mark.parametrize("u", [0.05, 0.5])
def test_on_normal_data_the_chain_is_too_wide_by_half_the_noise(u, g):
    # r(x̃) = x̃ / (1 + u), u = σ² / s²; the reconstruction's spread σ² is that of p(x | x̃) at u = 0.
    sigma = u**0.5
    net = nn.Linear(1, 1).double()
    with torch.no_grad():
        net.weight.fill_(-u / (1 + u))
        net.bias.zero_()
    model = GenerativeStochasticNetwork(
        DenoisingAutoencoder(net, sigma), torch.full((1, 1), 5.0, dtype=DOUBLE), steps=300
    )
    x = model.sample(4000, generator=g)[:, 0]
    laws.unbiased(x, 0.0)
    variance = (2 + 2 * u + u**2) / (2 + u)
    laws.unbiased(x.square(), variance)
    assert variance - 1 == pytest.approx(u * (1 + u) / (2 + u))


@pytest.mark.covers("S1-72")
def test_the_chain_of_the_best_denoiser_of_a_mixture_has_nearly_its_law(g):
    class Best(nn.Module):
        def forward(self, x):
            return (posterior_mean(x[:, 0], 0.25) - x[:, 0])[:, None]

    start = torch.zeros(1, 1, dtype=DOUBLE)
    model = GenerativeStochasticNetwork(DenoisingAutoencoder(Best(), 0.25), start, steps=400)
    x = model.sample(4000, generator=g)[:, 0]
    edges = torch.linspace(-4, 4, 17, dtype=DOUBLE)
    p = mixture().cdf(edges).diff()
    seen = torch.histc(x, 16, -4, 4) / len(x)
    assert total_variation(seen / seen.sum(), p / p.sum()) < 0.06
    assert model.chain(start, 7, generator=g).shape == (8, 1, 1)


def test_the_chain_begins_where_it_is_told_and_goes_step_by_step():
    denoiser = BinaryDenoiser(nn.Linear(3, 3), 0.6).double()
    model = GenerativeStochasticNetwork(denoiser, states(3), steps=2)
    walked = model.chain(states(3), 2, generator=seeded(1))
    assert torch.equal(walked[0], states(3))
    g = seeded(1)
    once = model.step(states(3), generator=g)
    assert torch.equal(walked[1], once)
    assert torch.equal(walked[2], model.step(once, generator=g))
    assert model.sample(0).shape == (0, 3)
    assert laws.speaks_sampler(model, 6, generator=seeded()).dtype == DOUBLE
    with pytest.raises(ValueError, match="steps as an integer >= 1"):
        GenerativeStochasticNetwork(denoiser, states(3), steps=0)
    with pytest.raises(ValueError, match="at least one row"):
        GenerativeStochasticNetwork(denoiser, torch.zeros(0, 3))


# --- Walkback -------------------------------------------------------------------------------------


@pytest.mark.proves("prop-walkback")
@pytest.mark.covers("S1-72")
def test_walkback_leaves_the_law_of_the_data_stationary(law):
    corruption = salt_and_pepper(3, 0.2)
    wrong = torch.rand(8, 8, dtype=DOUBLE, generator=seeded()).softmax(1)  # some reconstruction
    for steps in (1, 2, 5):
        walked = walkback_corruption(corruption, wrong, steps)
        assert torch.allclose(walked.sum(1), torch.ones(8, dtype=DOUBLE))
        kernel = walked @ bayes_reconstruction(law, walked)
        assert torch.allclose(stationary(kernel), law, atol=1e-12)
    assert torch.equal(walkback_corruption(corruption, wrong, 1), corruption)


@pytest.mark.proves("prop-walkback")
def test_walkback_teaches_the_way_home_from_where_denoising_never_was():
    # Data on two of 21 places in a row; noise moves one place. The learner errs with chance 0.05,
    # and where it never was it has learnt nothing: it stays.
    size, slip = 21, 0.05
    p = torch.zeros(size, dtype=DOUBLE)
    p[[5, 6]] = 0.5
    one = torch.eye(size, dtype=DOUBLE)
    corruption = 0.5 * one + 0.25 * (one.roll(1, 1) + one.roll(-1, 1))

    def learnt(corruption: Tensor) -> Tensor:
        joint = (p[:, None] * corruption).T
        known = joint.sum(1, keepdim=True) > 1e-12
        rows = torch.where(known, joint / joint.sum(1, keepdim=True).clamp_min(1e-300), one)
        return (1 - slip) * rows + slip / size

    plain = learnt(corruption)
    walked = learnt(walkback_corruption(corruption, plain, 30))
    off = [1 - float(stationary(corruption @ rows)[[5, 6]].sum()) for rows in (plain, walked)]
    assert off[0] > 0.6
    assert off[1] < 0.06


def test_the_walkback_loss_of_one_step_is_denoising_and_of_more_goes_on_from_its_draws():
    denoiser = BinaryDenoiser(nn.Linear(3, 3), 0.6).double()
    x, g = states(3), seeded(3)
    noisy = denoiser.corrupt(x, g)
    p = denoiser.reconstruct(noisy)
    assert torch.equal(walkback_loss(denoiser, x, seeded(3)), -p.log_prob(x))
    two = walkback_loss(denoiser, x, seeded(3), steps=2)
    here = GenerativeStochasticNetwork(denoiser, x).step(x, generator=(g := seeded(3)))
    again = denoiser.reconstruct(denoiser.corrupt(here, g))
    assert torch.allclose(two, -(p.log_prob(x) + again.log_prob(x)) / 2, atol=1e-12)
    with pytest.raises(ValueError, match="steps as an integer >= 1"):
        walkback_loss(denoiser, x, steps=0)


@pytest.mark.covers("S0-30", "S1-72")
def test_on_digits_a_chain_of_denoisers_draws_images_that_independent_pixels_do_not(g):
    images = data.digits()
    x, test = ((part.flatten(1) > 0.5).float() for part in (images.train, images.test))
    denoiser = BinaryDenoiser(MLP(64, 64, (128,), generator=g), share=0.2)
    fit(denoiser, partial(walkback_loss, steps=2), x, steps=600, lr=3e-3, generator=g)
    model = GenerativeStochasticNetwork(denoiser, x, steps=30)
    draws = model.sample(500, generator=g)
    means = (denoiser.reconstruct(denoiser.corrupt(draws, g)).mean > 0.5).float()
    alone = torch.bernoulli(x.mean(0).expand(500, -1), generator=g)

    def nearest(rows: Tensor) -> float:  # pixels to the nearest of the held-out digits
        return float(torch.cdist(rows, test).square().min(1).values.mean())

    assert nearest(draws) < 0.8 * nearest(alone)
    assert nearest(means) < 0.65 * nearest(alone)
    assert len(means.unique(dim=0)) > 450
    # and the chain has left its digit: two digits drawn at random differ in 17 pixels
    path = model.chain(x[:200], 30, generator=g)
    assert float((path[-1] != path[0]).double().sum(1).mean()) > 13


def test_tables_of_chains_refuse_what_does_not_fit(law):
    with pytest.raises(ValueError, match=r"p of shape \(X,\) and a corruption \(X, Y\)"):
        bayes_reconstruction(law, torch.eye(4))
    with pytest.raises(ValueError, match="1 of 2 corrupted values come from no data"):
        bayes_reconstruction(torch.tensor([1.0, 0.0]), torch.eye(2))
    with pytest.raises(ValueError, match="steps as an integer >= 1"):
        walkback_corruption(torch.eye(2), torch.eye(2), 0)


# --- Predictability minimisation ------------------------------------------------------------------

ALL_CODES = torch.tensor(
    list(itertools.product(itertools.product((0.0, 1.0), repeat=2), repeat=4)), dtype=DOUBLE
)


@pytest.mark.covers("S4-06", "E52")
@pytest.mark.parametrize("p", [[0.25] * 4, [0.7, 0.1, 0.1, 0.1]])
def test_24_of_the_256_codes_cannot_be_predicted_best_and_they_are_the_bijections(p):
    value = unpredictability(ALL_CODES, torch.tensor(p, dtype=DOUBLE))
    best = ALL_CODES[value > value.max() - 1e-12]
    assert len(ALL_CODES) == 256
    assert len(best) == 24
    assert all(len(code.unique(dim=0)) == 4 for code in best)
    assert float(value.max()) == pytest.approx({0.25: 0.5, 0.7: 0.275}[p[0]])


@pytest.mark.proves("thm-predictability")
@pytest.mark.covers("S4-06")
def test_v_is_the_variance_less_that_of_the_best_guesses():
    p = torch.tensor([0.4, 0.3, 0.2, 0.1], dtype=DOUBLE)
    for code in ALL_CODES[::17]:
        mean = p @ code
        variance = p @ (code - mean) ** 2
        guesses = torch.empty_like(code)
        for i, y in itertools.product(range(2), range(4)):
            same = (code[:, 1 - i] == code[y, 1 - i]).double() * p
            guesses[y, i] = same @ code[:, i] / same.sum()
        explained = p @ (guesses - mean) ** 2
        V = unpredictability(code, p)
        assert float(V) == pytest.approx(float((variance - explained).sum()), abs=1e-12)
        joint = torch.zeros(2, 2, dtype=DOUBLE)
        for y in range(4):
            joint[tuple(code[y].long())] += p[y]
        independent = float(mutual_information(joint)) < 1e-12
        assert independent == (abs(float(variance.sum() - V)) < 1e-12)


@pytest.mark.covers("E52")
def test_a_predictor_that_sees_the_unit_itself_is_right_for_every_code():
    for code in ALL_CODES[::5]:
        twice = code[:, [0, 0, 1, 1]]  # each unit beside its copy: the others know it
        assert float(unpredictability(twice, torch.full((4,), 0.25, dtype=DOUBLE))) < 1e-12


@pytest.mark.proves("thm-predictability")
def test_in_the_game_predictors_go_down_and_the_encoder_up_the_same_v():
    g = seeded(2)
    model = PredictabilityMinimisation(MLP(4, 3, (), generator=g), 3, 4, generator=g).double()
    x = torch.randn(40, 4, dtype=DOUBLE, generator=g)
    value = predictability_game(model, x)
    assert value.shape == (40,)
    assert float(value.detach().abs().max()) < 1e-12
    value.mean().backward()
    game = {name: w.grad.clone() for name, w in model.named_parameters()}
    model.zero_grad()
    model(x).sum(1).mean().backward()
    for name, w in model.named_parameters():
        sign = 1 if name.startswith("predictors") else -1
        assert torch.allclose(game[name], sign * w.grad, atol=1e-12), name
    # no predictor looks at its own unit
    y = model.code(x).detach().requires_grad_()
    slopes = torch.autograd.functional.jacobian(lambda y: model.predictors(y).sum(0), y)
    assert not slopes.diagonal(dim1=0, dim2=2).any()
    assert slopes.any()


def test_pairwise_information_is_the_mean_over_pairs_of_units(g):
    bits = torch.randint(2, (50, 4), generator=g)
    bits[:, 1] = bits[:, 0]
    pairs = []
    for i, j in itertools.combinations(range(4), 2):
        joint = torch.zeros(2, 2, dtype=DOUBLE)
        for row in bits:
            joint[row[i], row[j]] += 1 / 50
        pairs.append(mutual_information(joint))
    assert torch.allclose(pairwise_information(bits), torch.stack(pairs).mean(), atol=1e-12)
    with pytest.raises(ValueError, match=r"two units or more, shape \(n, units\), got \(50, 1\)"):
        pairwise_information(bits[:, :1])
    with pytest.raises(ValueError, match="zeros and ones"):
        pairwise_information(bits / 2)


@pytest.mark.covers("S4-06")
def test_on_digits_the_bits_of_a_code_come_to_know_less_of_one_another():
    images = data.digits()
    x, test = images.train.flatten(1), images.test.flatten(1)
    g = seeded(0)
    model = PredictabilityMinimisation(MLP(64, 8, (), generator=g), 8, generator=g)
    for _ in range(60):  # settle the running mean and variance of the untrained code
        model.code(x)
    model.eval()
    before = model.bits(test)
    sgd = partial(torch.optim.SGD, momentum=0.9)
    fit(model, predictability_game, x, steps=300, lr=1.0, optimizer=sgd, generator=g)
    after = model.bits(test)
    assert pairwise_information(after) < 0.4 * pairwise_information(before)
    assert len(after.unique(dim=0)) > 1.2 * len(before.unique(dim=0))
    assert ((after.double().mean(0) - 0.5).abs() < 0.15).all()


def test_predictability_refuses_what_does_not_fit():
    with pytest.raises(ValueError, match="two units or more"):
        PredictabilityMinimisation(nn.Linear(2, 1), 1)
    with pytest.raises(ValueError, match=r"one code for each of 4 patterns"):
        unpredictability(torch.zeros(3, 2), torch.full((4,), 0.25))
    with pytest.raises(ValueError, match="sum to one"):
        unpredictability(torch.zeros(2, 2), torch.ones(2))
