"""Chapter 06: whole flows, trained and untrained, and what they say of whole numbers."""

import math
from functools import partial

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Normal

from genlab import data, laws
from genlab.flows import (
    NICE,
    ActNorm,
    AffineCoupling,
    AugmentedFlow,
    Compose,
    Coupling,
    Dequantised,
    Flow,
    GaussianMargins,
    Glow,
    ImageRealNVP,
    LUConv,
    RealNVP,
    Scaling,
    SplineCoupling,
    StandardNormal,
    bits_per_dim,
    data_dependent_start,
    negative_log_likelihood,
    zero_last,
)
from genlab.flows.dequantise import dequantised
from genlab.models import Density, LowerBound, place
from genlab.nets import MLP
from genlab.train import fit

DOUBLE = torch.float64


def randn(*shape: int, g: torch.Generator) -> Tensor:
    return torch.randn(shape, dtype=DOUBLE, generator=g)


def seeded(number: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(number)


def spline(d: int, g: torch.Generator) -> Flow:
    """Two spline couplings over vectors of even length."""
    layers = [
        SplineCoupling(
            (d,), zero_last(MLP(d // 2, d // 2 * 11, (16,), generator=g)), first=first, bins=4
        )
        for first in (True, False)
    ]
    return Flow(StandardNormal((d,)), Compose(*layers))


def glow_of_vectors(d: int, g: torch.Generator) -> Flow:
    """Two steps of Glow on one pixel."""
    layers = []
    for _ in range(2):
        net = zero_last(MLP(d // 2, 2 * (d - d // 2), (16,), generator=g))
        layers += [ActNorm((d,)), LUConv((d,), generator=g), AffineCoupling((d,), net)]
    return Flow(StandardNormal((d,)), Compose(*layers))


IN_PLANE = {
    "NICE": lambda g: NICE(2, hidden=(16,), generator=g),
    "RealNVP": lambda g: RealNVP(2, 4, (16,), generator=g),
    "splines": lambda g: spline(2, g),
    "Glow of vectors": lambda g: glow_of_vectors(2, g),
}
OF_IMAGES = {
    "ImageRealNVP": lambda g: ImageRealNVP((1, 4, 4), 1, 2, 8, generator=g),
    "ImageRealNVP, two scales": lambda g: ImageRealNVP((2, 4, 8), 2, 1, 8, generator=g),
    "Glow": lambda g: Glow((1, 4, 4), 1, 2, 8, generator=g),
    "Glow, two scales": lambda g: Glow((1, 4, 4), 2, 1, 8, generator=g),
}
MODELS = IN_PLANE | OF_IMAGES
each_model = pytest.mark.parametrize("name", MODELS)


def points(model: Flow, n: int, g: torch.Generator) -> Tensor:
    return randn(n, *model.event, g=g)


def trained(name: str, steps: int = 25) -> Flow:
    """A model after some steps of gradient descent on bent data."""
    model, g = MODELS[name](seeded(1)), seeded(2)
    x = torch.randn(256, *model.event, generator=g)
    x = x + 0.5 * x.flip(1) ** 2 if x.shape[1] > 1 else x + 0.5 * x.flip(2) ** 2
    data_dependent_start(model.transform, x)
    loss = negative_log_likelihood
    fit(model, loss, x, steps=steps, lr=1e-2, generator=g, progress=False)
    return model


# --- The laws, over every model, before and after training ---------------------------------------


@pytest.mark.covers("S0-22", "S2-18")
@pytest.mark.parametrize("name", IN_PLANE)
def test_in_the_plane_the_integral_is_one_before_and_after_training(name):
    model = MODELS[name](seeded(1))
    laws.integrates_to_one(model.double(), [-10.0, -10.0], [10.0, 10.0], points=256)
    after = trained(name).double()
    total = laws.integrates_to_one(after, [-20.0] * 2, [20.0] * 2, points=512)
    assert total == pytest.approx(1, abs=1e-4)


@pytest.mark.covers("S2-25", "S4-76")
@each_model
def test_a_trained_model_inverts_and_its_log_determinant_is_autograds(name, g):
    model = trained(name)
    assert isinstance(model, Density)
    assert place(model) == "explicit, tractable"
    x = points(model, 5, g)
    laws.inverts(model.transform, x.float(), tolerance=1e-4)
    model = model.double()
    laws.inverts(model.transform, x, tolerance=1e-10)
    laws.log_det_agrees(model.transform, x, tolerance=1e-9)
    z, log_det = model.transform(x)
    base = Normal(0.0, 1.0).log_prob(z).sum(1)
    assert torch.allclose(model.log_prob(x), base + log_det, atol=1e-12)


@each_model
def test_draws_are_as_many_as_asked_for_and_the_generator_alone_decides(name, g):
    model = trained(name)
    state = torch.get_rng_state()
    laws.speaks_sampler(model, 9, generator=g)
    assert model.sample(3, generator=g).shape == (3, *model.event)
    assert model.sample(0).shape == (0, *model.event)
    assert torch.equal(state, torch.get_rng_state())
    assert not model.sample(1, generator=g).requires_grad
    with pytest.raises(ValueError, match="n >= 0"):
        model.sample(-1)


@pytest.mark.parametrize("name", IN_PLANE)
def test_the_draws_follow_the_density(name, g):
    laws.samples_follow(trained(name), [-4.0, -4.0], [6.0, 6.0], n=10_000, generator=g)


@each_model
def test_every_parameter_gets_a_gradient_from_the_likelihood(name):
    model = trained(name, steps=2)  # at the start the last layers are 0, and stop it
    x = torch.randn(16, *model.event, generator=seeded(3))
    model.zero_grad()
    negative_log_likelihood(model, x).sum().backward()
    silent = [n for n, w in model.named_parameters() if w.grad is None or not w.grad.any()]
    assert silent == []


@each_model
def test_the_model_starts_as_a_law_that_is_known_and_learns(name):
    model = MODELS[name](seeded(1))
    x = 3 * torch.randn(200, *model.event, generator=seeded(4)) + 1
    before = float(-model.log_prob(x).mean().detach())
    data_dependent_start(model.transform, x)
    fit(model, negative_log_likelihood, x, steps=30, lr=1e-2, generator=seeded(5))
    after = float(-model.log_prob(x).mean().detach())
    assert after < before - 0.3


@each_model
def test_far_out_the_log_density_is_finite_and_so_is_its_gradient(name):
    model = trained(name)
    for size in (0.0, 1e-6, 1e3, 1e6):
        for sign in (-1, 1):
            model.zero_grad()
            x = torch.full((2, *model.event), sign * size)
            log_p = model.log_prob(x)
            assert log_p.isfinite().all()
            log_p.sum().backward()
            assert all(w.grad.isfinite().all() for w in model.parameters())


@each_model
def test_dtype_follows_the_weights(name, g):
    model = MODELS[name](seeded())
    x = points(model, 3, g)
    assert model.log_prob(x).dtype == model.sample(2, generator=g).dtype == torch.float32
    model = model.double()
    assert model.log_prob(x).dtype == model.sample(2, generator=g).dtype == DOUBLE
    assert model.log_prob(x.float()).dtype == DOUBLE


@each_model
def test_wrong_points_are_refused_in_a_sentence(name):
    model = MODELS[name](seeded())
    d, *rest = model.event
    shapes = [(4, d + 1, *rest), (4, d - 1, *rest), (4, 1, *rest), (0, d + 1, *rest), model.event]
    for shape in [s for s in shapes if s[1:] != model.event]:
        with pytest.raises(ValueError, match="Expected points of shape"):
            model.log_prob(torch.zeros(shape))
    for bad in (math.nan, math.inf):
        x = torch.zeros(3, *model.event)
        x[1] = bad
        with pytest.raises(ValueError, match="1 of 3 rows of the points are NaN or infinite"):
            model.log_prob(x)
    assert model.log_prob(torch.zeros(0, *model.event)).shape == (0,)


@each_model
def test_the_state_goes_round_to_the_bit_and_nothing_is_left_on_a_device(name, g):
    model, other = trained(name), MODELS[name](seeded(9))
    other.load_state_dict(model.state_dict())
    x = points(model, 4, g)
    assert torch.equal(model.log_prob(x), other.log_prob(x))
    assert torch.equal(model.sample(4, generator=seeded()), other.sample(4, generator=seeded()))
    assert {v.device.type for v in model.to("meta").state_dict().values()} == {"meta"}
    assert model.base.zero.device.type == "meta"


@each_model
def test_the_generator_alone_decides_the_first_weights(name):
    before = torch.get_rng_state()
    one, other, another = (MODELS[name](seeded(i)).state_dict() for i in (1, 1, 2))
    assert torch.equal(before, torch.get_rng_state())
    assert all(torch.equal(one[k], other[k]) for k in one)
    assert any(not torch.equal(one[k], another[k]) for k in one)


@pytest.mark.parametrize("name", [n for n in MODELS if "RealNVP" in n or "Glow" in n])
def test_realnvp_and_glow_start_as_the_normal_law(name, g):
    model = MODELS[name](g).double()  # couplings that do nothing, and rotations
    x = points(model, 20, g)
    truth = Normal(0.0, 1.0).log_prob(x).flatten(1).sum(1)
    assert torch.allclose(model.log_prob(x), truth, atol=1e-5)  # the rotations are of float32


@pytest.mark.parametrize("build", [NICE, RealNVP])
def test_couplings_of_vectors_take_turns(build, g):
    model = build(5, 3, (7,), generator=g)
    couplings = [part for part in model.transform.parts if isinstance(part, Coupling)]
    assert [c.first for c in couplings] == [True, False, True]
    per_entry = couplings[0].per_entry
    layers = [[m for m in c.net if isinstance(m, nn.Linear)] for c in couplings]
    shapes = [(first.in_features, first.out_features, last.out_features) for first, last in layers]
    assert shapes == [(2, 7, 3 * per_entry), (3, 7, 2 * per_entry), (2, 7, 3 * per_entry)]
    assert len(model.transform.parts) - len(couplings) == (build is NICE)  # its scaling
    assert len(NICE(5, 3, scaling=False, generator=g).transform.parts) == 3


@pytest.mark.covers("S2-20")
def test_realnvp_of_images_masks_by_colours_and_then_by_rows(g):
    model = ImageRealNVP((2, 8, 8), 2, 3, 4, generator=g)
    assert len(model.transform.stages) == 2
    for stage in model.transform.stages:
        squeeze, *turns = stage.parts
        assert [type(part).__name__ for part in turns] == (
            ["AffineCoupling"] * 3 + ["Permutation"] + ["AffineCoupling"] * 3
        )
        assert [t.first for t in turns[:3]] == [t.first for t in turns[4:]] == [True, False, True]
        rows = (torch.arange(squeeze.event[1]) % 2.0)[:, None].expand(squeeze.event)[None]
        z = turns[3](squeeze(rows)[0])[0]
        half = z.shape[1] // 2
        assert not z[:, :half].any()
        assert z[:, half:].all()


@pytest.mark.covers("S4-57")
def test_glow_is_steps_of_three_layers_at_each_scale(g):
    model = Glow((1, 8, 8), 2, 3, 4, generator=g)
    assert len(model.transform.stages) == 2
    for stage in model.transform.stages:
        assert [type(part).__name__ for part in stage.parts] == ["Squeeze"] + ["Compose"] * 3
        for step in stage.parts[1:]:
            names = [type(part).__name__ for part in step.parts]
            assert names == ["ActNorm", "LUConv", "AffineCoupling"]


def test_the_same_seed_builds_and_trains_the_same_flow():
    one, other = trained("RealNVP"), trained("RealNVP")
    x = torch.randn(5, 2, generator=seeded())
    assert torch.equal(one.log_prob(x), other.log_prob(x))


def test_what_is_no_base_and_no_size_is_refused():
    with pytest.raises(TypeError, match="takes a generator"):
        Flow(Normal(torch.zeros(2), 1.0), Scaling((2,)))
    with pytest.raises(TypeError, match="Expected a Transform"):
        Flow(StandardNormal((2,)), nn.Identity())
    with pytest.raises(TypeError, match="log_prob"):
        Flow(nn.Identity(), Scaling((2,)))
    for build in (NICE, RealNVP):
        with pytest.raises(ValueError, match="d as an integer"):
            build(0)
        with pytest.raises(ValueError, match="2 or more features to cut into halves, got 1"):
            build(1)
        with pytest.raises(ValueError, match="couplings as an integer"):
            build(2, 0)
    for build in (ImageRealNVP, Glow):
        with pytest.raises(ValueError, match="even height and width"):
            build((1, 12, 12), 3)  # 12, 6, 3
        with pytest.raises(ValueError, match="even height and width"):
            build((64,))
        with pytest.raises(ValueError, match="scales as an integer"):
            build((1, 8, 8), 0)
        with pytest.raises(ValueError, match=r"(steps|couplings) as an integer"):
            build((1, 8, 8), 1, 0)


def test_training_on_whole_numbers_is_refused(g):
    model = RealNVP(2, 2, (8,), generator=g)
    x = torch.randint(0, 17, (50, 2), generator=g)
    for whole in (x, x.float()):
        with pytest.raises(ValueError, match=r"without bound\. Add uniform noise"):
            negative_log_likelihood(model, whole)
    with pytest.raises(ValueError, match="Add uniform noise"):
        fit(model, negative_log_likelihood, x.float(), steps=1, progress=False)
    noisy = x + torch.rand(x.shape, generator=g)
    assert torch.equal(negative_log_likelihood(model, noisy), -model.log_prob(noisy))
    assert model.log_prob(x.float()).shape == (50,)  # to ask at such points is no crime
    with pytest.raises(ValueError, match="n >= 1"):
        fit(model, negative_log_likelihood, noisy[:0], steps=1, progress=False)


# --- Deep ----------------------------------------------------------------------------------------


def test_a_thousand_steps_at_depth_32_with_a_large_learning_rate_leave_no_nan():
    g = seeded()
    x = torch.randn(512, 19, generator=g) ** 3
    model = RealNVP(19, 32, (16,), generator=g)
    adam = partial(torch.optim.Adam, fused=True)  # 192 small tensors: a third of the time
    history = fit(
        model,
        negative_log_likelihood,
        x,
        steps=1000,
        batch_size=32,
        lr=1e-2,
        optimizer=adam,
        generator=g,
    )
    assert history.loss.isfinite().all()  # fit itself refuses NaN, with the step
    assert history.loss[-100:].mean() < history.loss[:10].mean() - 5
    with torch.no_grad():
        for size in (0.0, 1e3, 1e6):
            assert model.log_prob(torch.full((1, 19), size)).isfinite().all()
        assert model.sample(1000, generator=g).isfinite().all()
        laws.inverts(model.double().transform, x.double(), tolerance=1e-6)


# --- What they learn -----------------------------------------------------------------------------


def fitted(model: Flow, x: Tensor, steps: int, g: torch.Generator, lr: float = 5e-3) -> Flow:
    loss = negative_log_likelihood
    fit(model, loss, x, steps=steps, batch_size=256, lr=lr, generator=g, progress=False)
    return model


@pytest.mark.proves("thm-volume-price")
@pytest.mark.covers("S2-16", "S2-20", "S0-23", "E63")
def test_nice_without_scaling_pays_1614_nats_and_the_others_do_not():
    g = seeded()
    x, test = (2 * torch.randn(n, 2, generator=g) for n in (4000, 40_000))
    gaps = {}
    for name, model in (
        ("without", NICE(2, hidden=(16,), scaling=False, generator=g)),
        ("with", NICE(2, hidden=(16,), generator=g)),
        ("affine", RealNVP(2, 4, (16,), generator=g)),
    ):
        fitted(model, x, 300, g, lr=1e-2)
        with torch.no_grad():
            # The truth on the same draws: what they have in common cancels.
            truth = Normal(0.0, 2.0).log_prob(test).sum(1)
            gaps[name] = float((truth - model.log_prob(test)).mean())
    assert gaps["without"] == pytest.approx(3 - math.log(4), abs=0.06)
    assert gaps["without"] > 3 - math.log(4) - 0.03
    assert 0 <= gaps["with"] < 0.03
    assert 0 <= gaps["affine"] < 0.06


@pytest.mark.covers("S0-23", "S2-20")
def test_on_two_moons_couplings_that_scale_beat_couplings_that_add():
    g = seeded(1)
    moons = data.TwoMoons(noise=0.1)
    x, test = moons.sample(5000, generator=g), moons.sample(5000, generator=g)
    entropy = float(-moons.log_prob(test).mean())
    nll = {}
    for build in (NICE, RealNVP):
        model = fitted(build(2, 6, (32,), generator=g), x, 400, g)
        with torch.no_grad():
            nll[build.__name__] = float(-model.log_prob(test).mean())
    assert entropy < nll["RealNVP"] < nll["NICE"] - 0.1
    assert nll["RealNVP"] < entropy + 0.3


@pytest.mark.covers("S2-17")
def test_maximum_likelihood_reaches_the_entropy_on_data_from_a_flow():
    g = seeded(2)
    truth = RealNVP(2, 2, (8,), generator=g)
    with torch.no_grad():
        for w in truth.parameters():
            w.add_(0.3 * torch.randn(w.shape, generator=g))
        x, test = truth.sample(8000, generator=g), truth.sample(8000, generator=g)
        entropy = float(-truth.log_prob(test).mean())
    model = fitted(RealNVP(2, 6, (32,), generator=g), x, 400, g)
    with torch.no_grad():
        reached = float(-model.log_prob(test).mean())
    assert reached == pytest.approx(entropy, abs=0.05)
    # The mean of −log p_θ is the entropy plus KL(p_data ‖ p_θ).
    assert reached > entropy - 0.01


@pytest.mark.parametrize("sigma", [0.01, 100.0])
def test_a_scaling_alone_fits_very_narrow_and_very_wide_data(sigma):
    g = seeded(3)
    x = sigma * torch.randn(2000, 1, generator=g)
    model = Flow(StandardNormal((1,)), ActNorm((1,)))
    data_dependent_start(model.transform, x)
    truth = Normal(0.0, sigma).log_prob(x)[:, 0]
    assert float((model.log_prob(x).detach() - truth).mean()) == pytest.approx(0, abs=2e-3)


@pytest.mark.covers("S4-57")
def test_a_step_of_glow_learns_a_rotation_that_couplings_of_fixed_halves_need_not_see():
    g = seeded(4)
    a = math.pi / 4
    R = torch.tensor([[math.cos(a), -math.sin(a)], [math.sin(a), math.cos(a)]])
    x = torch.randn(4000, 2, generator=g) * torch.tensor([3.0, 0.2]) @ R.T
    truth = float(-(Normal(0.0, torch.tensor([3.0, 0.2])).log_prob(x @ R).sum(1)).mean())
    model = Flow(
        StandardNormal((2,)), Compose(ActNorm((2,)), LUConv((2,), generator=g), ActNorm((2,)))
    )
    data_dependent_start(model.transform, x)
    fitted(model, x, 300, g, lr=2e-2)
    assert float(-model.log_prob(x).mean().detach()) == pytest.approx(truth, abs=0.02)


# --- Auxiliary variables -------------------------------------------------------------------------


@pytest.mark.covers("S2-13", "E61")
def test_an_augmented_flow_is_a_bound_and_not_a_density(g):
    model = AugmentedFlow(NICE(3, hidden=(8,), generator=g), noise=1)
    assert isinstance(model, LowerBound)
    assert place(model) == "explicit, approximate"
    model = model.double()
    x = randn(6, 2, g=g)
    e = torch.linspace(-9, 9, 4001, dtype=DOUBLE)
    with torch.no_grad():
        joint = [model.flow.log_prob(torch.cat([r.expand(4001, 2), e[:, None]], 1)) for r in x]
        log_p = torch.stack([torch.trapezoid(j.exp(), e).log() for j in joint])
        q = Normal(0.0, 1.0).log_prob(e)
        bound = torch.stack([torch.trapezoid(q.exp() * (j - q), e) for j in joint])
        laws.bounds_from_below(bound, log_p)
        assert (log_p - bound).min() > 1e-4
        draws = model.log_weights(x, 4000, generator=g)
        for i in range(6):
            laws.unbiased(draws[:, i], float(bound[i]))
            laws.unbiased(draws[:, i].exp(), float(log_p[i].exp()))
        assert model.elbo(x, 3, generator=g).shape == (6,)
        near = model.log_prob_estimate(x, 4000, generator=g)
        assert (near - log_p).abs().max() < 0.1
    laws.speaks_sampler(model, 5, generator=g)
    assert model.elbo(x[:0], generator=g).shape == (0,)
    for bad in (0, 3):
        with pytest.raises(ValueError, match="noise"):
            AugmentedFlow(NICE(3, generator=g), noise=bad)
    for shape in ((4, 3), (4, 1), (2,), (0, 3)):
        with pytest.raises(ValueError, match=r"shape \(batch, 2\)"):
            model.elbo(torch.zeros(shape))
    with pytest.raises(ValueError, match="Expected a flow over vectors"):
        AugmentedFlow(Glow((1, 4, 4), 1, 1, 4, generator=g))
    for ask in (model.log_weights, model.log_prob_estimate):
        with pytest.raises(ValueError, match="k as an integer"):
            ask(x, 0)


@pytest.mark.parametrize(
    "model",
    [
        AugmentedFlow(NICE(3, hidden=(8,), generator=seeded(1)), noise=1),
        Dequantised(NICE(2, hidden=(8,), generator=seeded(1)), levels=3),
    ],
)
def test_the_bound_is_the_mean_logarithm_and_the_estimate_the_logarithm_of_the_mean(model):
    x = torch.ones(3, 2)
    log_w = model.log_weights(x, 5, generator=seeded(2))
    assert log_w.shape == (5, 3)
    assert len(log_w.unique()) == 15  # equal rows, and each has its own noise
    elbo = model.elbo(x, 5, generator=seeded(2))
    estimate = model.log_prob_estimate(x, 5, generator=seeded(2))
    assert torch.allclose(elbo, log_w.mean(0), atol=1e-6)
    assert torch.allclose(estimate, log_w.exp().mean(0).log(), atol=1e-6)
    assert elbo.requires_grad
    assert not estimate.requires_grad
    assert not torch.equal(elbo, model.elbo(x, 5, generator=seeded(3)))


# --- Whole numbers -------------------------------------------------------------------------------


@pytest.mark.proves("thm-dequantisation")
def test_dequantisation_bounds_the_probability_of_whole_numbers(g):
    flow = RealNVP(2, 2, (8,), generator=g)
    with torch.no_grad():
        for w in flow.parameters():
            w.add_(0.3 * torch.randn(w.shape, generator=g))
    model = Dequantised(flow, levels=3).double()
    assert isinstance(model, LowerBound)
    cells = torch.cartesian_prod(torch.arange(3), torch.arange(3)).double()
    m = 200
    u = (torch.arange(m, dtype=DOUBLE) + 0.5) / m
    grid = torch.cartesian_prod(u, u)
    with torch.no_grad():
        log_density = torch.stack([flow.log_prob(c + grid) for c in cells])
        log_p = log_density.logsumexp(1) - 2 * math.log(m)
        bound = log_density.mean(1)
        laws.bounds_from_below(bound, log_p)
        assert (log_p - bound).max() > 1e-3
        draws = model.log_weights(cells, 3000, generator=g)
        for i in range(9):
            laws.unbiased(draws[:, i], float(bound[i]))
            laws.unbiased(draws[:, i].exp(), float(log_p[i].exp()))
        near = model.log_prob_estimate(cells, 3000, generator=g)
    assert (near - log_p)[log_p > -9].abs().max() < 0.1
    # The nine cells hold what the density has there; the rest is outside.
    assert 0 < float(log_p.exp().sum()) < 1


@pytest.mark.proves("thm-dequantisation")
def test_the_bound_touches_where_the_density_is_flat_on_each_cell(g):
    x = torch.randint(0, 4, (100, 2), generator=g)
    flow = Flow(StandardNormal((2,)), GaussianMargins(x, levels=4))
    model = Dequantised(flow, levels=4)
    one, other = (model.elbo(x, generator=seeded(i)) for i in (1, 2))
    assert (one - other).abs().max() < 1e-4
    counts = torch.nn.functional.one_hot(x, 4).double().sum(0) + 0.1
    p = counts / counts.sum(1, keepdim=True)
    truth = p.log().expand(100, 2, 4).gather(-1, x[..., None])[..., 0].sum(1)
    assert (one - truth).abs().max() < 1e-4
    draws = model.sample(4000, generator=g)
    for v in range(4):  # rounded down: the cell of v is [v, v + 1)
        laws.unbiased((draws[:, 0] == v).double(), float(p[0, v]))


def test_a_density_of_whole_numbers_that_got_no_noise_grows_without_bound():
    # Why the noise: spikes of width s on the numbers 0 and 1 gain log 1/s, without end.
    x = torch.tensor([0.0, 1.0] * 50, dtype=DOUBLE)
    gains = []
    for s in (1e-1, 1e-3, 1e-6):
        spikes = torch.stack([Normal(0.0, s).log_prob(x), Normal(1.0, s).log_prob(x)])
        gains.append(float((spikes.logsumexp(0) - math.log(2)).mean()))
    assert gains[2] > gains[1] + 6 > gains[0] + 10
    # The printed number would be a better code than any: fewer than 0 bits.
    assert bits_per_dim(gains[2], 1) < -15
    # Half of the noise, as in a published RealNVP: 64 pixels gain 64 log 2 nats for nothing.
    assert 64 * math.log(2) == pytest.approx(44.4, abs=0.05)
    assert bits_per_dim(-123.7, 64, cell=0.5) == pytest.approx(
        bits_per_dim(-(123.7 + 44.361), 64), abs=1e-3
    )


def test_data_that_are_no_whole_numbers_are_refused(g):
    model = Dequantised(NICE(2, generator=g), levels=17)
    for x in (torch.tensor([[0.5, 1.0]]), torch.tensor([[17.0, 1.0]]), torch.tensor([[-1, 1]])):
        with pytest.raises(ValueError, match="whole numbers from 0 to 16"):
            model.elbo(x)
    for shape in ((4, 3), (4, 1), (2,), (0, 3)):
        with pytest.raises(ValueError, match=r"shape \(batch, 2\)"):
            model.elbo(torch.zeros(shape))
    with pytest.raises(ValueError, match="levels as an integer"):
        Dequantised(NICE(2, generator=g), levels=0)
    assert model.elbo(torch.zeros(0, 2)).shape == (0,)
    x = torch.full((2000, 2), 16)
    y = model.log_weights(x, 1, generator=g)
    assert y.isfinite().all()
    draws = laws.speaks_sampler(model, 50, generator=g)
    assert draws.dtype == torch.int64
    assert draws.min() >= 0
    assert draws.max() <= 16


def test_the_noise_never_leaves_its_cell():
    x = torch.tensor([[2.0**20], [0.0]])
    y = dequantised(x, 2**21, (1,), 100_000, generator=seeded())
    assert (y.floor() == x).all()


@pytest.mark.parametrize(("couplings", "total"), [(1, 8), (2, 12), (3, 10), (8, 12)])
def test_all_couplings_together_scale_no_entry_by_more_than_e_to_the_four(g, couplings, total):
    # Three entries: of an odd number of couplings the last leaves one entry at half of the limit.
    model = RealNVP(3, couplings, (8,), generator=g).double().requires_grad_(False)
    for w in model.parameters():
        w.fill_(1e3)  # every scale at its bound
    log_det = model.transform(torch.zeros(1, 3, dtype=torch.float64))[1]
    assert abs(float(log_det)) == pytest.approx(total)


# --- Digits --------------------------------------------------------------------------------------


def test_on_digits_a_flow_behind_the_histograms_beats_the_histograms():
    g = seeded(6)
    images = data.digits()
    x, test = ((16 * v.flatten(1)).round() for v in (images.train, images.test))
    margins = GaussianMargins(x, levels=17)
    layers = []
    for first in (True, False):
        net = zero_last(MLP(32, 64, (64,), generator=g))
        layers.append(AffineCoupling((64,), net, first=first))
    chain = Compose(margins, ActNorm((64,)), LUConv((64,), torch.eye(64)), *layers)
    model = Dequantised(Flow(StandardNormal((64,)), chain), levels=17)
    with torch.no_grad():
        histogram = float(
            -Dequantised(Flow(StandardNormal((64,)), margins), 17).elbo(test, generator=g).mean()
        )
        start = float(-model.elbo(test, generator=g).mean())
    assert start == pytest.approx(histogram, abs=1.0)  # the layers behind start as the identity
    loss = lambda model, x, g: -model.elbo(x, generator=g)
    fit(model, loss, x, steps=150, lr=3e-3, generator=g)
    with torch.no_grad():
        reached = float(-model.elbo(test, generator=g).mean())
    assert reached < histogram - 5
    assert bits_per_dim(-histogram, 64) > bits_per_dim(-reached, 64) > 0
