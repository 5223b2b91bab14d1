"""The small networks: their weights, and the mixture density network as a conditional density."""

import math
from itertools import pairwise

import pytest
import torch
from scipy import stats
from torch import nn
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal

from genlab import laws
from genlab.nets import MLP, MixtureDensityNetwork, weights_from
from genlab.train import fit


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def mixture(n_in: int, n_out: int, components: int, seed: int = 0) -> MixtureDensityNetwork:
    """A float64 network whose mixture has separate modes that move with x."""
    model = MixtureDensityNetwork(n_in, n_out, components, (16,), generator=seeded(seed)).double()
    with torch.no_grad():
        model.net[-1].weight.mul_(3)
    return model


# First weights ------------------------------------------------------------------------------------


def build() -> nn.Module:
    return nn.ModuleList(
        [
            MLP(3, 2),
            nn.Conv2d(1, 4, 3),
            nn.ConvTranspose2d(4, 1, 3),
            nn.LSTM(2, 3),
            nn.Embedding(5, 2),
        ]
    )


def test_weights_follow_torchs_own_law_under_the_given_generator():
    """The same weights as after torch.manual_seed, for every kind of layer."""
    rng = seeded(3)
    with weights_from(rng):
        ours = build()
    with torch.random.fork_rng():
        torch.manual_seed(3)
        theirs = build()
        assert torch.equal(rng.get_state(), torch.get_rng_state())  # the stream moved on
    assert all(
        torch.equal(a, b) for a, b in zip(ours.parameters(), theirs.parameters(), strict=True)
    )


def test_linear_weights_are_uniform_on_the_interval_that_the_docstring_names():
    weight = MLP(16, 5000, (), generator=seeded(0))[0].weight.detach().flatten()
    assert stats.kstest(weight.numpy(), stats.uniform(-1 / 4, 1 / 2).cdf).pvalue > 1e-3


@pytest.mark.parametrize(
    "make",
    [
        lambda rng: MLP(2, 1, generator=rng),
        lambda rng: MixtureDensityNetwork(1, 1, 3, generator=rng),
    ],
)
def test_a_network_built_twice_is_the_same_and_the_global_state_is_left_alone(make):
    before = torch.get_rng_state()
    a, b, c = make(seeded(1)), make(seeded(1)), make(seeded(2))
    assert torch.equal(torch.get_rng_state(), before)
    for name, p in a.named_parameters():
        assert torch.equal(p, b.get_parameter(name))
        assert not torch.equal(p, c.get_parameter(name))


def test_two_networks_from_one_generator_differ():
    rng = seeded(0)
    assert not torch.equal(MLP(2, 1, generator=rng)[0].weight, MLP(2, 1, generator=rng)[0].weight)


def test_the_global_state_returns_even_if_the_block_fails():
    before = torch.get_rng_state()
    with pytest.raises(ValueError, match="widths"):
        MLP(2, 0, generator=seeded(0))
    with pytest.raises(RuntimeError), weights_from(seeded(0)):
        nn.Sequential(nn.Linear(2, 1), nn.Linear(2, -1))
    assert torch.equal(torch.get_rng_state(), before)


def test_without_a_generator_the_weights_are_torchs_global_draws():
    with torch.random.fork_rng():
        torch.manual_seed(5)
        model = MLP(2, 1)
    assert torch.equal(model[0].weight, MLP(2, 1, generator=seeded(5))[0].weight)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA generator")
def test_a_generator_that_is_not_on_the_cpu_is_refused():
    with pytest.raises(ValueError, match="Build the model on the CPU"):
        MLP(2, 1, generator=torch.Generator("cuda"))


# The perceptron -----------------------------------------------------------------------------------


@pytest.mark.parametrize("hidden", [(), (5,), (5, 7, 3)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_an_mlp_maps_the_last_axis_keeps_the_dtype_and_trains_every_parameter(hidden, dtype):
    model = MLP(3, 2, hidden, activation=nn.Tanh, generator=seeded(0)).to(dtype)
    y = model(torch.randn(6, 4, 3, generator=seeded(1), dtype=dtype))
    assert y.shape == (6, 4, 2)
    assert y.dtype == dtype
    y.square().sum().backward()
    assert all(p.grad.abs().sum() > 0 for p in model.parameters())
    widths = [3, *hidden, 2]
    assert sum(p.numel() for p in model.parameters()) == sum(
        (a + 1) * b for a, b in pairwise(widths)
    )


def test_an_mlp_is_the_formula():
    model = MLP(3, 2, (5,), generator=seeded(0)).double()
    x = torch.randn(4, 3, generator=seeded(1), dtype=torch.float64)
    first, _, last = model
    hand = torch.relu(x @ first.weight.T + first.bias) @ last.weight.T + last.bias
    torch.testing.assert_close(model(x), hand, rtol=0, atol=1e-14)


@pytest.mark.parametrize("widths", [(0, 1, (4,)), (1, 0, (4,)), (1, 1, (4, 0))])
def test_widths_below_one_are_refused(widths):
    with pytest.raises(ValueError, match="widths of 1 or more"):
        MLP(*widths)


# The mixture density network ----------------------------------------------------------------------


class At:
    """p(· | x) for one x, as a density that the laws can judge."""

    def __init__(self, model: MixtureDensityNetwork, x: torch.Tensor) -> None:
        self.model, self.x = model, x

    def log_prob(self, y: torch.Tensor) -> torch.Tensor:
        return self.model.log_prob(y.to(self.x.dtype), self.x.expand(len(y), -1))

    def sample(self, n: int, *, generator: torch.Generator | None = None) -> torch.Tensor:
        return self.model.sample(self.x.expand(n, -1), generator=generator)


@pytest.mark.parametrize("d", [1, 2])
@pytest.mark.parametrize("components", [1, 4])
def test_the_conditional_integrates_to_one_at_every_x(d, components):
    model = mixture(2, d, components)
    for x in torch.randn(3, 2, generator=seeded(1), dtype=torch.float64):
        with torch.no_grad():
            _, mean, log_sigma = model(x[None])
        reach = 8 * log_sigma.exp().max().item()
        low, high = mean.min().item() - reach, mean.max().item() + reach
        points = 2 * math.ceil((high - low) / log_sigma.exp().min().item())
        laws.integrates_to_one(At(model, x), [low] * d, [high] * d, points=points)


@pytest.mark.parametrize(("n_in", "d", "components"), [(1, 1, 1), (1, 1, 5), (3, 2, 4), (2, 5, 3)])
def test_log_prob_equals_torchs_mixture(n_in, d, components):
    model = mixture(n_in, d, components)
    x = torch.randn(50, n_in, generator=seeded(1), dtype=torch.float64)
    y = 3 * torch.randn(50, d, generator=seeded(2), dtype=torch.float64)
    log_pi, mean, log_sigma = model(x)
    torchs = MixtureSameFamily(
        Categorical(logits=log_pi), Independent(Normal(mean, log_sigma.exp()), 1)
    )
    assert model.log_prob(y, x).shape == (50,)
    torch.testing.assert_close(model.log_prob(y, x), torchs.log_prob(y), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("components", [1, 4])
@pytest.mark.parametrize("fixed", [True, False])
def test_the_sampler_agrees_with_the_density(components, fixed):
    """By the exact conditional cdfs of Rosenblatt's transformation, at one x and over many."""
    n, model = 4000, mixture(2, 2, components)
    x = torch.randn(n, 2, generator=seeded(1), dtype=torch.float64)
    x = x[:1].expand(n, -1) if fixed else x
    y = model.sample(x, generator=seeded(2))
    with torch.no_grad():
        log_pi, mean, log_sigma = model(x)
    normal = Normal(mean, log_sigma.exp())
    cdf, log_p = normal.cdf(y[:, None]), normal.log_prob(y[:, None])
    first = (log_pi.exp() * cdf[..., 0]).sum(1)  # F(y_1 | x)
    second = ((log_pi + log_p[..., 0]).softmax(1) * cdf[..., 1]).sum(1)  # F(y_2 | y_1, x)
    for uniform in (first, second):
        assert stats.kstest(uniform.numpy(), "uniform").pvalue > 1e-3
    assert stats.spearmanr(first, second).pvalue > 1e-3


def test_draws_come_from_the_generator_alone():
    model, x = mixture(1, 2, 3), torch.zeros(20, 1, dtype=torch.float64)
    before = torch.get_rng_state()
    a, b, c = (model.sample(x, generator=seeded(s)) for s in (1, 1, 2))
    assert torch.equal(a, b)
    assert not torch.equal(a, c)
    assert torch.equal(torch.get_rng_state(), before)
    assert not a.requires_grad


def test_gradients_equal_finite_differences_and_reach_every_parameter():
    model = mixture(2, 2, 3)
    x = torch.randn(4, 2, generator=seeded(1), dtype=torch.float64, requires_grad=True)
    y = torch.randn(4, 2, generator=seeded(2), dtype=torch.float64, requires_grad=True)
    names = [name for name, _ in model.named_parameters()]

    def log_prob(y, x, *parameters):
        return torch.func.functional_call(
            _LogProb(model),
            {f"model.{n}": p for n, p in zip(names, parameters, strict=True)},
            (y, x),
        )

    torch.autograd.gradcheck(log_prob, (y, x, *model.parameters()))
    model.log_prob(y, x).sum().backward()
    assert all(p.grad.abs().sum() > 0 for p in model.parameters())


class _LogProb(nn.Module):
    """log_prob as a forward pass, for functional_call."""

    def __init__(self, model: MixtureDensityNetwork) -> None:
        super().__init__()
        self.model = model

    def forward(self, y, x):
        return self.model.log_prob(y, x)


def test_far_tails_and_near_certain_components_stay_finite():
    model = mixture(1, 1, 3)
    x = torch.zeros(4, 1, dtype=torch.float64)
    y = torch.tensor([[0.0], [1e-6], [1e3], [1e6]], dtype=torch.float64)
    log_p = model.log_prob(y, x)
    assert log_p.isfinite().all()
    assert log_p[1] > log_p[2] > log_p[3]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_dtype_is_kept_and_an_empty_batch_is_a_batch(dtype):
    model = mixture(1, 2, 3).to(dtype)
    for n in (0, 5):
        x = torch.zeros(n, 1, dtype=dtype)
        y = model.sample(x, generator=seeded(0))
        assert (y.shape, y.dtype) == ((n, 2), dtype)
        assert (model.log_prob(y, x).shape, model.log_prob(y, x).dtype) == ((n,), dtype)


@pytest.mark.parametrize(
    ("y", "x", "message"),
    [
        (torch.zeros(5), torch.zeros(5, 3), r"y of shape \(batch, 2\).*got \(5,\)"),
        (torch.zeros(5, 1), torch.zeros(5, 3), r"y of shape \(batch, 2\).*got \(5, 1\)"),
        (torch.zeros(5, 3), torch.zeros(5, 3), r"y of shape \(batch, 2\).*got \(5, 3\)"),
        (torch.zeros(5, 2), torch.zeros(5, 1), r"x of shape \(batch, 3\).*got \(5, 1\)"),
        (torch.zeros(2), torch.zeros(1, 3), r"y of shape \(batch, 2\)"),
        (torch.zeros(5, 2), torch.zeros(1, 3), "one y for each x, got 5 for 1"),
        (torch.zeros(1, 2), torch.zeros(5, 3), "one y for each x, got 1 for 5"),
        (torch.zeros(5, 2).double(), torch.zeros(5, 3), "y .*the weights' .*float32.*float64"),
        (torch.zeros(5, 2), torch.zeros(5, 3).long(), "x .*the weights' .*float32.*int64"),
        (torch.full((5, 2), torch.nan), torch.zeros(5, 3), "5 of 5 rows of y are NaN"),
        (torch.zeros(2, 2), torch.tensor([[0, 0, 0], [0, torch.inf, 0]]), "1 of 2 rows of x"),
    ],
)
def test_wrong_points_are_refused_in_a_sentence(y, x, message):
    model = MixtureDensityNetwork(3, 2, 2, (4,), generator=seeded(0))
    with pytest.raises(ValueError, match=message):
        model.log_prob(y, x)


@pytest.mark.parametrize("sizes", [(1, 1, 0), (1, 0, 1), (0, 1, 1)])
def test_sizes_below_one_are_refused(sizes):
    with pytest.raises(ValueError, match="of 1 or more"):
        MixtureDensityNetwork(*sizes)


# The toy with two right answers: y = ±√x ----------------------------------------------------------

NOISE = 0.1


def roots(n: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """x ~ U(0, 1), y | x ~ ½ N(√x, 0.1²) + ½ N(-√x, 0.1²); float64."""
    rng = seeded(seed)
    x = torch.rand(n, 1, generator=rng, dtype=torch.float64)
    sign = torch.randint(2, (n, 1), generator=rng) * 2 - 1
    noise = torch.randn(n, 1, generator=rng, dtype=torch.float64)
    return x, sign * x.sqrt() + NOISE * noise


def roots_log_prob(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    both = [Normal(sign * x.sqrt(), NOISE).log_prob(y)[:, 0] for sign in (1, -1)]
    return torch.stack(both).logsumexp(0) - math.log(2)


@pytest.fixture(scope="module")
def fitted() -> dict[int, MixtureDensityNetwork]:
    """Networks with one and with four components, fitted to 4,000 pairs."""
    models = {}
    for components in (1, 4):
        rng = seeded(0)
        model = MixtureDensityNetwork(1, 1, components, (32, 32), generator=rng).double()
        fit(
            model, lambda model, batch, _: -model.log_prob(batch[1], batch[0]), roots(4000, 1),
            steps=1500, batch_size=256, lr=5e-3, generator=rng,
        )  # fmt: skip
        models[components] = model
    return models


@pytest.mark.covers("S0-07")
def test_two_answers_need_two_modes(fitted):
    """The mixture is nearer to the truth than any single Gaussian could be.

    Of all Gaussians N(m(x), v(x)) the nearest to p(y | x) in KL has its mean 0 and its variance
    x + σ²: a least-squares regression predicts 0, where there is no y, and no training helps it.
    """
    x, y = roots(20_000, 2)
    with torch.no_grad():
        truth = roots_log_prob(x, y)
        best_gaussian = Normal(0.0, (x + NOISE**2).sqrt()).log_prob(y)[:, 0]
        one, four = (fitted[k].log_prob(y, x) for k in (1, 4))

    def z_score(gap):
        return (gap.mean() * len(gap) ** 0.5 / gap.std()).item()

    assert z_score(truth - four) > -3  # a held-out mean cannot beat the truth
    assert (truth - four).mean() < 0.05  # nats
    assert z_score(best_gaussian - one) > -3  # nor one Gaussian the best Gaussian
    assert (best_gaussian - one).mean() < 0.02
    assert z_score(four - best_gaussian) > 50
    assert (four - best_gaussian).mean() > 0.5

    grid = torch.linspace(0.2, 1, 200, dtype=torch.float64)[:, None]
    with torch.no_grad():
        assert fitted[1](grid)[1].abs().max() < 0.2  # the regression's answer
    off_four, off_one = (
        (fitted[k].sample(x, generator=seeded(3)) ** 2 - x).abs().mean() for k in (4, 1)
    )
    off_truth = (y**2 - x).abs().mean()
    assert off_four < 1.2 * off_truth < 0.5 * off_one
    draws = fitted[4].sample(torch.full((2000, 1), 0.8).double(), generator=seeded(4))
    assert 0.35 < (draws > 0).double().mean() < 0.65


def test_the_fitted_conditional_still_integrates_to_one_and_its_draws_follow_it(fitted):
    for x in (0.3, 0.9):
        here = At(fitted[4], torch.tensor([x], dtype=torch.float64))
        laws.integrates_to_one(here, [-4.0], [4.0])
        y = here.sample(4000, generator=seeded(5))[:, 0]
        with torch.no_grad():
            log_pi, mean, log_sigma = fitted[4](here.x[None])
            uniform = (
                Normal(mean[..., 0], log_sigma[..., 0].exp()).cdf(y[:, None]) * log_pi.exp()
            ).sum(1)
        assert stats.kstest(uniform.numpy(), "uniform").pvalue > 1e-3
