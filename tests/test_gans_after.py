"""Chapter 08: what came after the first GANs, each theorem as a test."""

import itertools
import math
from functools import partial

import pytest
import torch
from conftest import slope
from scipy.stats import truncnorm
from torch import Tensor, nn
from torch.distributions import Categorical, Independent, Normal
from torch.nn.functional import avg_pool2d, interpolate, logsigmoid

from genlab import data, laws
from genlab.divergences import js, wasserstein2_normal
from genlab.flows import StandardNormal
from genlab.gans.auxiliary import AuxiliaryDiscriminator, acgan_losses, infogan_losses
from genlab.gans.conditional import LabelEmbedding, ProjectionDiscriminator, accuracy
from genlab.gans.equalised import MinibatchDeviation, PixelNorm, equalised
from genlab.gans.features import classifier
from genlab.gans.growing import GrowingDiscriminator, GrowingGenerator, fade, fading
from genlab.gans.inference import BiGAN, bigan_game, information_bound
from genlab.gans.losses import discriminator_loss, generator_loss
from genlab.gans.networks import (
    ConditionalDiscriminator,
    ConditionalGenerator,
    Discriminator,
    Generator,
    labelled,
)
from genlab.gans.penalties import r1_penalty
from genlab.gans.play import play
from genlab.gans.scaling import (
    TruncatedNormal,
    expected_classes,
    gradient_variance,
    orthogonal_penalty,
)
from genlab.gans.style import StyleGenerator, adain, truncated_style
from genlab.models import Density, mutual_information, place
from genlab.nets import MLP, weights_from
from genlab.train import fit

DOUBLE = torch.float64
upsample, downsample = partial(interpolate, scale_factor=2), partial(avg_pool2d, kernel_size=2)


def seeded(number: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(number)


def randn(*shape: int, seed: int = 5) -> Tensor:
    return torch.randn(shape, dtype=DOUBLE, generator=seeded(seed))


# --- Progressive growing --------------------------------------------------------------------------


def grown(cls: type, times: int, alpha: float = 1.0, **sizes: int) -> nn.Module:
    """A net in double precision that has grown, with biases that are not zero."""
    net = cls(width=4, generator=seeded(1), **sizes).double()
    for _ in range(times):
        net.fade_in(1.0)
        net.grow(generator=seeded(2))
    g = seeded(3)
    with torch.no_grad():
        for weight in net.parameters():
            weight += 0.1 * torch.randn(weight.shape, generator=g)
    net.fade_in(alpha)
    return net


@pytest.mark.proves("prop-fade-in")
@pytest.mark.covers("S4-52")
@pytest.mark.parametrize("times", [0, 1, 2])
def test_at_alpha_0_growth_changes_nothing_but_the_side_to_the_bit(times):
    G, D = grown(GrowingGenerator, times, latent=3), grown(GrowingDiscriminator, times)
    side = D.event[1]
    z, x = randn(5, 3), randn(5, 1, 2 * side, 2 * side)
    images, logits = G(z), D(downsample(x))
    for net in (G, D):
        net.grow(generator=seeded(4))
        assert net.event == (1, 2 * side, 2 * side)
    assert torch.equal(G(z), upsample(images))
    assert torch.equal(D(x), logits)


@pytest.mark.proves("prop-fade-in")
@pytest.mark.covers("S4-52")
def test_at_alpha_1_the_old_exit_and_entry_are_gone_to_the_bit():
    G, D = grown(GrowingGenerator, 1, latent=3), grown(GrowingDiscriminator, 1)
    z, x = randn(5, 3), randn(5, 1, 8, 8)
    assert torch.equal(G(z), G.images[1](G.blocks[0](upsample(G.first(z)))))
    assert torch.equal(D(x), D.last(D.blocks[0](D.images[1](x))))
    for net, points, gone in ((G, z, G.images[0]), (D, x, D.images[0])):
        net(points).square().sum().backward()
        assert not any(weight.grad.any() for weight in gone.parameters())
    # and at 0 the new layers learn nothing yet
    for net, points, new in ((G, z, G.blocks[0]), (D, x, D.blocks[0])):
        net.zero_grad()
        net.fade_in(0.0)
        net(points).square().sum().backward()
        assert not any(weight.grad.any() for weight in new.parameters())


def test_between_the_ends_the_images_move_on_a_line():
    G, z = grown(GrowingGenerator, 2, 0.0, latent=3), randn(4, 3)
    low = G(z)
    G.fade_in(1.0)
    high = G(z)
    for alpha in (0.25, 0.6):
        G.fade_in(alpha)
        assert torch.allclose(G(z), low + alpha * (high - low), atol=1e-12)
    assert torch.equal(fade(low, high, 0.0), low)
    assert torch.equal(fade(low, high, 1.0), high)


def test_down_undoes_up_and_keeps_the_mean():
    x = randn(2, 3, 4, 4)
    assert torch.equal(downsample(upsample(x)), x)
    assert torch.allclose(downsample(x).mean((2, 3)), x.mean((2, 3)), atol=1e-12)


def test_fading_goes_by_equal_steps_to_1_and_stays():
    G, D = grown(GrowingGenerator, 1, 0.0), grown(GrowingDiscriminator, 1, 0.0)
    move = fading(G, D, steps=10)
    seen = []
    for _ in range(12):
        move(D)
        assert G.alpha == D.alpha
        seen.append(float(D.alpha))
    assert seen == pytest.approx([*(i / 10 for i in range(1, 11)), 1, 1])
    with pytest.raises(ValueError, match="steps"):
        fading(G, steps=0)


@pytest.mark.proves("prop-equalised")
@pytest.mark.parametrize("fan_in", [4, 400])
def test_with_equalised_weights_adam_moves_every_layer_by_the_same_share_of_its_size(fan_in):
    eta, c = 1e-3, math.sqrt(2 / fan_in)
    with weights_from(seeded()):
        layer = equalised(nn.Linear(fan_in, 3)).double()
        plain = nn.Linear(fan_in, 3).double()
    plain.weight.data.copy_(layer.weight.detach())
    shares = []
    for net in (layer, plain):
        before = net.weight.detach().clone()
        optimizer = torch.optim.Adam(net.parameters(), lr=eta)
        net(randn(50, fan_in)).square().sum().backward()
        optimizer.step()
        shares.append(float((net.weight - before).detach().abs().mean()) / c)
    equal, other = shares
    assert equal == pytest.approx(eta, rel=1e-4)
    assert other == pytest.approx(eta / c, rel=1e-4)  # which grows with the root of the fan-in


def test_equalised_layers_start_with_he_s_variance():
    with weights_from(seeded(3)):
        layer = equalised(nn.Conv2d(50, 40, 3))
    weights = layer.weight.detach().flatten().double()
    laws.unbiased(weights, 0.0)
    laws.unbiased(weights.square(), 2 / (50 * 9))
    assert not layer.bias.any()


def test_pixel_norm_gives_length_1_and_forgets_the_scale():
    x = randn(3, 5, 2, 2)
    y = PixelNorm()(x)
    assert torch.allclose(y.square().mean(1), torch.ones(3, 2, 2, dtype=DOUBLE), atol=1e-6)
    assert torch.allclose(PixelNorm()(7 * x), y, atol=1e-6)
    assert not PixelNorm()(torch.zeros(1, 3)).isnan().any()


@pytest.mark.covers("S4-52")
def test_minibatch_deviation_is_the_mean_deviation_and_finds_a_collapse():
    x = randn(6, 2, 3, 3)
    last = MinibatchDeviation()(x)[:, 2]
    by_hand = (x - x.mean(0)).square().mean(0).sqrt().mean()
    assert torch.allclose(last, by_hand.expand(6, 3, 3))
    collapsed = x[:1].expand(6, -1, -1, -1).clone().requires_grad_()
    flat = MinibatchDeviation()(collapsed)
    assert not flat[:, 2].any()
    flat.sum().backward()
    assert collapsed.grad.isfinite().all()
    # The same image gets another logit beside its copies than beside others.
    D = GrowingDiscriminator(width=4, side=3, channels=2, generator=seeded()).double()
    assert not torch.isclose(D(x)[0], D(collapsed.detach())[0])


NETS = {
    "GrowingGenerator": (lambda g: GrowingGenerator(3, 4, generator=g), (3,)),
    "GrowingDiscriminator": (lambda g: GrowingDiscriminator(4, generator=g), (1, 8, 8)),
    "StyleGenerator": (lambda g: StyleGenerator(3, 4, generator=g), (3,)),
}


@pytest.mark.parametrize("name", NETS)
def test_the_generator_alone_decides_the_weights_and_the_state_goes_round(name):
    build, event = NETS[name]
    before = torch.get_rng_state()

    def built(seed: int) -> nn.Module:
        g = seeded(seed)
        net = build(g)
        if hasattr(net, "grow"):
            net.grow(generator=g)
            net.fade_in(0.5)
        return net

    one, same, other = built(1), built(1), built(2)
    assert torch.equal(before, torch.get_rng_state())
    x = torch.randn(4, *event, generator=seeded())
    assert torch.equal(one(x), same(x))
    assert not torch.equal(one(x), other(x))
    other.load_state_dict(one.state_dict())
    assert torch.equal(one(x), other(x))
    assert one.double()(x.double()).dtype == DOUBLE
    one(x.double()).square().sum().backward()
    assert not [n for n, w in one.named_parameters() if w.grad is None or not w.grad.any()]


def test_what_grows_keeps_its_dtype_and_draws_as_a_sampler(g):
    net = GrowingGenerator(3, 4, generator=seeded()).double()
    net.grow(generator=seeded())
    assert {w.dtype for w in net.state_dict().values()} == {DOUBLE}
    for net_ in (net, StyleGenerator(3, 4, generator=seeded())):
        G = Generator(StandardNormal((3,)), net_)
        assert laws.speaks_sampler(G, 5, generator=g).shape == (5, 1, 8, 8)
        assert place(G) == "implicit"


def test_growing_nets_refuse_what_does_not_fit_in_a_sentence():
    G, D = GrowingGenerator(3, 4), GrowingDiscriminator(4)
    for alpha in (-0.1, 1.5, math.nan):
        with pytest.raises(ValueError, match=r"alpha in \[0, 1\]"):
            G.fade_in(alpha)
    G.grow()
    with pytest.raises(ValueError, match="alpha = 1 before the next growth, got 0"):
        G.grow()
    with pytest.raises(ValueError, match=r"\(batch, 1, 4, 4\) at this stage, got \(2, 1, 8, 8\)"):
        D(torch.zeros(2, 1, 8, 8))
    with pytest.raises(ValueError, match=r"shape \(batch, 3\), got \(2, 4\)"):
        G(torch.zeros(2, 4))
    for sizes in ({"latent": 0}, {"width": 0}, {"channels": 0}, {"side": 0}):
        with pytest.raises(ValueError, match="integer >= 1, got 0"):
            GrowingGenerator(**sizes)


def distance(x: Tensor, y: Tensor) -> Tensor:
    """W₂ of the normal laws with the moments of two sets of images."""
    moments = [m for rows in (x.flatten(1), y.flatten(1)) for m in (rows.mean(0), rows.T.cov())]
    return wasserstein2_normal(*moments)


@pytest.mark.covers("S4-52")
def test_it_grows_from_4_to_8_on_digits_and_is_nearer_than_any_blown_up_image():
    x = 2 * data.digits().train - 1
    g = seeded(7)
    G = Generator(StandardNormal((16,)), GrowingGenerator(16, 12, generator=g))
    D = GrowingDiscriminator(12, generator=g)
    optimizer = partial(torch.optim.Adam, betas=(0.0, 0.99), fused=True)
    game = partial(play, G, D, lr=3e-3, batch_size=32, optimizer=optimizer, generator=g)
    game(downsample(x), steps=150)
    for net in (G.net, D):
        net.grow(generator=g)
    at_growth = distance(x, G.sample(1000, generator=g))
    game(x, steps=80, project=fading(G.net, D, steps=80))
    assert G.net.alpha == D.alpha == 1
    game(x, steps=150)
    blown_up = distance(x, upsample(downsample(x)))
    assert distance(x, G.sample(1000, generator=g)) < blown_up < at_growth


# --- BigGAN's lessons -----------------------------------------------------------------------------


@pytest.mark.proves("prop-classes-in-a-batch")
@pytest.mark.covers("S4-53", "E91")
def test_a_batch_of_256_shows_226_classes_of_imagenet_and_one_of_2048_shows_871():
    p = torch.full((1000,), 1e-3, dtype=DOUBLE)
    assert float(expected_classes(p, 256)) == pytest.approx(225.96, abs=0.005)
    assert float(expected_classes(p, 2048)) == pytest.approx(871.14, abs=0.005)


@pytest.mark.proves("prop-classes-in-a-batch")
def test_the_expected_number_of_classes_is_that_of_all_batches():
    p, total = torch.tensor([0.5, 0.3, 0.2, 0.0], dtype=DOUBLE), 0.0
    for batch in itertools.product(range(4), repeat=4):
        total += float(p[list(batch)].prod()) * len(set(batch))
    assert float(expected_classes(p, 4)) == pytest.approx(total, abs=1e-12)
    assert float(expected_classes(p, 1)) == pytest.approx(1)
    assert float(expected_classes(torch.eye(3, dtype=DOUBLE), 9).sum()) == 3
    assert float(expected_classes(p, 10**6)) == pytest.approx(3)


def test_classes_counted_in_batches_agree_with_what_is_expected(g):
    p = torch.arange(1.0, 21.0, dtype=DOUBLE) / 210
    batches = torch.multinomial(p.expand(2000, -1), 12, replacement=True, generator=g)
    seen = torch.tensor([len(batch.unique()) for batch in batches], dtype=DOUBLE)
    laws.unbiased(seen, float(expected_classes(p, 12)))


@pytest.mark.proves("prop-batch-variance")
@pytest.mark.covers("S4-53")
def test_the_variance_of_a_batch_gradient_is_that_of_one_example_over_b():
    x = randn(4, 2)
    w = randn(2, seed=6).requires_grad_()
    each = torch.stack([torch.autograd.grad((row @ w).exp(), w)[0] for row in x])
    one = each.var(0, correction=0).sum()
    for batch in (1, 2, 3):
        all_batches = torch.tensor(list(itertools.product(range(4), repeat=batch)))
        means = each[all_batches].mean(1)
        assert torch.isclose(means.var(0, correction=0).sum(), one / batch, rtol=1e-12)
    g = seeded(2)
    estimates = [
        gradient_variance(lambda x: (x @ w).exp(), [w], x, 3, 10, generator=g) for _ in range(60)
    ]
    laws.unbiased(torch.tensor(estimates), float(one) / 3)


@pytest.mark.covers("S4-53", "E91")
def test_in_a_gan_the_variance_of_both_gradients_falls_as_1_over_b():
    ring, g = data.Ring(radius=1.0, scale=0.05), seeded(3)
    G, D = MLP(2, 2, (16,), generator=g), MLP(2, 1, (16,), generator=g)
    real, z = ring.sample(1000, generator=g), torch.randn(1000, 2, generator=g)

    def d_loss(rows: Tensor) -> Tensor:
        x, z = rows.chunk(2, 1)
        return discriminator_loss(D(x)[:, 0], D(G(z).detach())[:, 0])

    def g_loss(z: Tensor) -> Tensor:
        return generator_loss(D(G(z))[:, 0])

    sizes = [8, 16, 32, 64, 128, 256]
    for loss, weights, rows in (
        (d_loss, D.parameters(), torch.cat([real, z], 1)),
        (g_loss, G.parameters(), z),
    ):
        weights = list(weights)
        variances = [gradient_variance(loss, weights, rows, b, 200, generator=g) for b in sizes]
        assert slope(sizes, variances) == pytest.approx(-1, abs=0.1)


def variance(tau: float) -> float:
    return TruncatedNormal(1, tau).variance


@pytest.mark.proves("prop-truncation")
@pytest.mark.covers("S4-53")
def test_the_variance_of_truncated_noise_is_the_formula_and_rises_with_tau(g):
    taus = [1e-4, 0.0029, 0.0031, 0.1, 0.5, 1.0, 2.0, 5.0]
    values = [variance(tau) for tau in taus]
    for tau, value in zip(taus, values, strict=True):
        if tau >= 0.1:
            assert value == pytest.approx(truncnorm.var(-tau, tau), rel=1e-6)
        assert value < min(1, tau**2 / 3)
    assert values == sorted(values)
    assert variance(1e-3) == pytest.approx(1e-6 / 3, rel=1e-6)
    assert variance(0.003 - 1e-12) == pytest.approx(variance(0.003), rel=1e-8)
    assert variance(40.0) == 1
    for tau in (0.1, 0.5, 2.0):
        z = laws.speaks_sampler(TruncatedNormal(2, tau), 4000, generator=g)
        assert z.shape == (4000, 2)
        assert z.abs().max() <= tau + 1e-6
        laws.unbiased(z[:, 0], 0.0)
        laws.unbiased(z.flatten().double().square(), variance(tau))


@pytest.mark.covers("S4-53")
def test_of_a_linear_generator_truncation_scales_the_covariance_and_no_more(g):
    A = randn(3, 2)
    G = Generator(TruncatedNormal(2, 0.7), nn.Linear(2, 3, bias=False).double())
    G.net.weight.data.copy_(A)
    x, truth = G.sample(20_000, generator=g), variance(0.7) * A @ A.T
    for i, j in itertools.combinations_with_replacement(range(3), 2):
        laws.unbiased(x[:, i] * x[:, j], float(truth[i, j]))


@pytest.mark.proves("prop-orthogonal")
@pytest.mark.covers("S4-53")
def test_the_orthogonal_penalty_is_0_just_for_orthogonal_filters_whatever_their_lengths():
    rotation = torch.linalg.qr(randn(4, 4)).Q
    lengths = torch.tensor([0.0, 0.5, 2.0, 9.0], dtype=DOUBLE)
    assert float(orthogonal_penalty(lengths[:, None] * rotation)) == pytest.approx(0, abs=1e-25)
    w = randn(3, 2, 2, 2)
    flat = w.flatten(1)
    by_hand = sum(float(flat[i] @ flat[j]) ** 2 for i in range(3) for j in range(3) if i != j)
    assert float(orthogonal_penalty(w)) == pytest.approx(by_hand)
    # Welch 1974: m filters of length 1 with d numbers each cannot do better than m²/d − m.
    wide = randn(50, 7, 3)
    wide = wide / wide.norm(dim=2, keepdim=True)
    assert min(float(orthogonal_penalty(one)) for one in wide) > 49 / 3 - 7
    triangle = torch.tensor([[1, 0], [-0.5, 0.75**0.5], [-0.5, -(0.75**0.5)]], dtype=DOUBLE)
    assert float(orthogonal_penalty(triangle)) == pytest.approx(9 / 2 - 3)


def test_descent_on_the_orthogonal_penalty_turns_filters_and_does_not_make_them_of_length_1():
    w = randn(3, 5).requires_grad_()
    optimizer = torch.optim.SGD([w], lr=0.05)
    for _ in range(100):
        optimizer.zero_grad()
        orthogonal_penalty(w).backward()
        optimizer.step()
    assert orthogonal_penalty(w) < 1e-8
    shortest, _, longest = w.detach().norm(dim=1).sort().values
    assert shortest < 0.5
    assert longest > 1.5


def test_scaling_refuses_what_does_not_fit_in_a_sentence():
    for tau in (0.0, -1.0, math.inf, math.nan):
        with pytest.raises(ValueError, match="tau > 0 and finite"):
            TruncatedNormal(2, tau)
    with pytest.raises(ValueError, match="latent as an integer >= 1, got 0"):
        TruncatedNormal(0, 1.0)
    with pytest.raises(ValueError, match="sum to one"):
        expected_classes(torch.tensor([0.5, 0.6]), 3)
    with pytest.raises(ValueError, match="batch as an integer >= 1, got 0"):
        expected_classes(torch.tensor([0.5, 0.5]), 0)
    with pytest.raises(ValueError, match="2 draws or more"):
        gradient_variance(lambda x: x, [torch.zeros(1)], torch.zeros(3), 2, 1)
    with pytest.raises(ValueError, match="0 rows"):
        gradient_variance(lambda x: x, [torch.zeros(1)], torch.zeros(0), 2)
    with pytest.raises(ValueError, match=r"\(out, in\) or more axes, got \(3,\)"):
        orthogonal_penalty(torch.zeros(3))


# --- StyleGAN -------------------------------------------------------------------------------------


@pytest.mark.proves("prop-adain")
def test_adain_gives_each_channel_the_mean_and_the_deviation_that_it_is_told():
    x, s, b = 3 + 2 * randn(4, 3, 5, 5), randn(4, 3, seed=1), randn(4, 3, seed=2)
    y = adain(x, s, b)
    assert torch.allclose(y.mean((2, 3)), b, atol=1e-12)
    assert torch.allclose(y.std((2, 3), correction=0), s.abs(), rtol=1e-6)
    constant = torch.full_like(x, 7.0).requires_grad_()
    y = adain(constant, s, b)
    assert torch.equal(y, b[..., None, None].expand_as(y))
    y.sum().backward()
    assert constant.grad.isfinite().all()


@pytest.mark.proves("prop-adain")
def test_of_two_styles_only_the_last_is_left():
    x, b, t = randn(4, 3, 5, 5), randn(4, 3, seed=2), randn(4, 3, seed=4)
    s = 0.5 + randn(4, 3, seed=3).abs()
    once = adain(x, t, b)
    assert torch.allclose(adain(adain(x, s, t), t, b), once, atol=1e-6)
    assert torch.allclose(adain(adain(x, -s, t), -t, b), once, atol=1e-6)


def test_each_style_enters_at_its_layer_and_one_for_all_is_the_generator():
    G = StyleGenerator(3, 4, layers=3, generator=seeded()).double()
    z = randn(5, 3)
    w, other = G.mapping(z), G.mapping(randn(5, 3, seed=8))
    assert G(z).shape == (5, 1, 16, 16)
    assert torch.equal(G(z), G.synthesise([w, w, w]))
    features = []
    G.layers[1].register_forward_hook(lambda _, __, out: features.append(out))
    mixed = G.synthesise([w, w, other])
    G.synthesise([w, w, w])
    assert torch.equal(*features)
    assert not torch.allclose(mixed, G(z))
    # Only the direction of z counts.
    assert torch.allclose(G(4 * z), G(z), atol=1e-6)


@pytest.mark.covers("S4-53")
def test_styles_drawn_to_the_mean_have_psi_squared_of_the_covariance():
    w = randn(200, 3)
    mean = w.mean(0)
    for psi in (0.0, 0.4, 1.0):
        near = truncated_style(w, mean, psi)
        assert torch.allclose(near.T.cov(), psi**2 * w.T.cov(), atol=1e-12)
        assert torch.allclose(near.mean(0), mean, atol=1e-12)


def test_style_refuses_what_does_not_fit_in_a_sentence():
    G = StyleGenerator(3, 4)
    with pytest.raises(ValueError, match="each of the 2 layers, got 1"):
        G.synthesise([torch.zeros(2, 3)])
    with pytest.raises(ValueError, match=r"shape \(batch, 3\), got \(2, 4\)"):
        G(torch.zeros(2, 4))
    with pytest.raises(ValueError, match=r"psi in \[0, 1\], got 2"):
        truncated_style(torch.zeros(1, 1), torch.zeros(1), 2)
    with pytest.raises(ValueError, match=r"scale and shift \(n, c\), got \(2, 3, 4, 4\), \(2,\)"):
        adain(torch.zeros(2, 3, 4, 4), torch.zeros(2), torch.zeros(2, 3))
    for sizes in ({"latent": 0}, {"width": 0}, {"channels": 0}, {"layers": 0}):
        with pytest.raises(ValueError, match="integer >= 1, got 0"):
            StyleGenerator(**sizes)


# --- InfoGAN and BiGAN ----------------------------------------------------------------------------


@pytest.mark.proves("thm-infogan")
@pytest.mark.covers("S3-26", "E98")
def test_the_bound_is_below_the_mutual_information_by_the_divergence_of_q_and_touches_it():
    joint = torch.rand(3, 5, dtype=DOUBLE, generator=seeded())  # p(c, x)
    joint[1, 2] = 0
    joint /= joint.sum()
    c, x = (i.flatten() for i in torch.meshgrid(*map(torch.arange, joint.shape), indexing="ij"))
    prior, posterior = Categorical(joint.sum(1)), (joint / joint.sum(0)).T
    other = torch.rand(5, 3, dtype=DOUBLE, generator=seeded(1))
    other /= other.sum(1, keepdim=True)

    def mean(q: Tensor) -> Tensor:
        terms = information_bound(Categorical(q[x], validate_args=False), c, prior)
        return (joint.flatten() * terms).sum()

    truth = mutual_information(joint)
    gap = (joint.sum(0) * (posterior * (posterior.clamp_min(1e-300) / other).log()).sum(1)).sum()
    assert torch.isclose(mean(other), truth - gap, atol=1e-12)
    laws.bounds_from_below(
        torch.stack([mean(other), mean(posterior)]),
        truth.expand(2),
        touching=torch.tensor([False, True]),
    )


def test_the_bound_reads_vectors_and_numbers_too():
    c = randn(4, 2)
    standard = Independent(Normal(torch.zeros(2, dtype=DOUBLE), 1.0), 1)
    q = Independent(Normal(c, 0.1), 1)
    bound = information_bound(q, c, standard)
    assert torch.allclose(bound, 2 * math.log(10) + c.square().sum(1) / 2)
    with pytest.raises(ValueError, match=r"each of the 4 codes, got shape \(4, 2\)"):
        information_bound(Normal(c, 0.1), c, Normal(torch.zeros(2, dtype=DOUBLE), 1.0))


BLOBS = torch.tensor([[-1.0, 0.0], [1.0, 0.0]])


def blobs(n: int, g: torch.Generator) -> tuple[Tensor, Tensor]:
    """Two round blobs and which of them each point is of."""
    y = torch.randint(2, (n,), generator=g)
    return BLOBS[y] + 0.2 * torch.randn(n, 2, generator=g), y


def conditional_generator(g: torch.Generator, *layers: nn.Module, width: int = 4):
    net = nn.Sequential(*layers, MLP(width, 2, (32,), generator=g))
    return ConditionalGenerator(StandardNormal((2,)), net, classes=2)


@pytest.mark.covers("E98")
def test_infogan_finds_the_two_blobs_by_itself_and_its_code_can_be_read_off(g):
    x, _ = blobs(2000, g)
    codes = torch.randint(2, (2000,), generator=g)  # drawn apart from x
    G = conditional_generator(g)
    D = AuxiliaryDiscriminator(MLP(2, 3, (32, 32), generator=g), classes=2)
    play(G, D, (x, codes), steps=600, lr=2e-3, loss=infogan_losses(), generator=g)
    c = torch.randint(2, (2000,), generator=g)
    draws = G.sample(2000, c, generator=g)
    with torch.no_grad():
        q = Categorical(logits=D.net(draws)[:, 1:])
        bound = information_bound(q, c, Categorical(logits=torch.zeros(2))).mean()
    assert 0.6 < bound <= math.log(2) + 1e-6
    side = [float((draws[c == k, 0] > 0).double().mean()) for k in (0, 1)]
    assert abs(side[0] - side[1]) > 0.9


def joint_tables(p: Tensor, prior: Tensor, G: tuple[int, ...], E: tuple[int, ...]):
    """The laws of (x, E(x)) and (G(z), z) on 3 × 3 pairs."""
    encoded, generated = torch.zeros(2, 3, 3, dtype=DOUBLE)
    for x in range(3):
        encoded[x, E[x]] += p[x]
    for z in range(3):
        generated[G[z], z] += prior[z]
    return encoded.flatten(), generated.flatten()


@pytest.mark.proves("thm-bigan")
@pytest.mark.covers("S3-26", "E98")
def test_of_all_maps_on_three_points_only_an_inverse_makes_the_pairs_alike():
    p, prior = torch.tensor([[0.5, 0.3, 0.2], [0.2, 0.5, 0.3]], dtype=DOUBLE)
    alike = []
    for G, E in itertools.product(itertools.product(range(3), repeat=3), repeat=2):
        encoded, generated = joint_tables(p, prior, G, E)
        gap = js(encoded, generated)
        # D sees more in the pairs than in x alone.
        assert gap >= js(p, generated.reshape(3, 3).sum(1)) - 1e-12
        if gap < 1e-12:
            alike.append((G, E))
        else:
            assert gap > 0.01
    assert alike == [((2, 0, 1), (1, 2, 0))]
    ((G, E),) = alike
    assert [E[G[z]] for z in range(3)] == [0, 1, 2]


@pytest.mark.proves("thm-bigan")
def test_with_the_best_discriminator_the_value_is_twice_the_divergence_of_the_pairs_less_log_4():
    p, prior = torch.tensor([[0.5, 0.3, 0.2], [0.2, 0.5, 0.3]], dtype=DOUBLE)
    encoded, generated = joint_tables(p, prior, (2, 0, 0), (1, 2, 2))
    seen = encoded + generated > 0
    logits = (encoded[seen].clamp_min(1e-300) / generated[seen].clamp_min(1e-300)).log()
    pairs = encoded[seen], generated[seen]
    zero = torch.zeros_like(logits)
    # Each loss with the other's logit at −∞ or ∞ is one term of V.
    value = -(pairs[0] * discriminator_loss(logits, zero - math.inf)).sum()
    value = value - (pairs[1] * discriminator_loss(zero + math.inf, logits)).sum()
    assert torch.isclose(value, 2 * js(encoded, generated) - math.log(4), atol=1e-12)


def bigan(g: torch.Generator, d: int = 1) -> BiGAN:
    G = Generator(StandardNormal((d,)), MLP(d, d, (16,), activation=nn.Tanh, generator=g))
    E = MLP(d, d, (16,), activation=nn.Tanh, generator=g)
    return BiGAN(G, E, Discriminator(MLP(2 * d, 1, (32, 32), generator=g)))


def test_in_the_game_of_bigan_each_player_descends_its_own_loss():
    model = bigan(seeded(), d=2).double()
    x = randn(6, 2)
    bigan_game(model, x, seeded(4)).sum().backward()
    found = {name: w.grad.clone() for name, w in model.named_parameters()}
    z = model.G.draw(6, generator=seeded(4))
    real, fake = (model.D(pair) for pair in model.pairs(x, z))
    model.zero_grad()
    discriminator_loss(real, fake).sum().backward(retain_graph=True)
    own = {f"D.{name}": w.grad.clone() for name, w in model.D.named_parameters()}
    model.zero_grad()
    (generator_loss(-real) + generator_loss(fake)).sum().backward()
    own |= {n: w.grad for n, w in model.named_parameters() if not n.startswith("D.")}
    assert found.keys() == own.keys()
    assert all(torch.allclose(found[name], own[name], atol=1e-12) for name in found)
    assert all(found[name].any() for name in found)


@pytest.mark.covers("S3-26", "E98")
def test_bigan_learns_to_tell_the_noise_of_a_draw_as_a_gan_cannot(g):
    model = bigan(g)
    x = 1 + 0.5 * torch.randn(4000, 1, generator=g)
    adam = partial(torch.optim.Adam, betas=(0.5, 0.999), fused=True)
    for steps, lr in ((1000, 3e-3), (300, 3e-4)):
        fit(model, bigan_game, x, steps=steps, lr=lr, optimizer=adam, generator=g)
    draws = model.sample(2000, generator=g)
    assert float(draws.mean()) == pytest.approx(1, abs=0.3)
    assert float(draws.std()) == pytest.approx(0.5, abs=0.3)
    z = model.G.draw(2000, generator=g)
    with torch.no_grad():
        back = model.infer(model.G(z))
    assert float((back - z).abs().mean()) < 0.3  # another draw would be at 1.13
    assert float(torch.corrcoef(torch.cat([z, back], 1).T)[0, 1]) > 0.95
    assert place(model) == "implicit"
    assert not isinstance(model, Density)
    assert not hasattr(model.G, "infer")


# --- Labels ---------------------------------------------------------------------------------------


@pytest.mark.covers("S0-62")
def test_an_embedding_is_a_matrix_before_the_code_so_that_one_hot_can_do_what_it_does():
    embedding = LabelEmbedding(4, 2, generator=seeded()).double()
    layer, u = nn.Linear(3 + 2, 6).double(), labelled(randn(5, 3), torch.arange(5) % 4, 4)
    wide = nn.Linear(3 + 4, 6).double()
    with torch.no_grad():
        wide.bias.copy_(layer.bias)
        of_labels = layer.weight[:, 3:] @ embedding.vectors.T
        wide.weight.copy_(torch.cat([layer.weight[:, :3], of_labels], 1))
    assert torch.allclose(layer(embedding(u)), wide(u), atol=1e-12)
    assert torch.linalg.matrix_rank(of_labels) == 2  # of 4, had it been free


@pytest.mark.proves("prop-projection")
@pytest.mark.covers("S0-62")
def test_between_gaussians_with_one_covariance_the_best_logit_is_a_projection():
    means = randn(3, 2, seed=1), randn(3, 2, seed=2)  # of the truth and of the model
    weights = torch.tensor([[0.5, 0.3, 0.2], [0.2, 0.2, 0.6]], dtype=DOUBLE)
    constants = [w.log() - m.square().sum(1) / 2 for m, w in zip(means, weights, strict=True)]
    D = ProjectionDiscriminator(nn.Identity(), 3, 3).double()  # φ(x) = (x, 1), ψ = 0
    for weight in D.parameters():
        nn.init.zeros_(weight)
    with torch.no_grad():
        D.v.weight[:2] = (means[0] - means[1]).T
        D.v.weight[2] = constants[0] - constants[1]
    x, y = randn(9, 2), torch.arange(9) % 3
    log_p, log_q = (
        Independent(Normal(m[y], 1.0), 1).log_prob(x) + w[y].log()
        for m, w in zip(means, weights, strict=True)
    )
    phi = torch.cat([x, torch.ones(9, 1, dtype=DOUBLE)], 1)
    assert torch.allclose(D(phi, y), log_p - log_q, atol=1e-12)


@pytest.mark.proves("prop-acgan")
def test_at_the_truth_the_term_of_acgan_still_moves_overlapping_classes_apart():
    # The truth is x | y ~ N(±m, 1), the model x | y ~ N(±a, 1). At a = m the best D is 1/2
    # everywhere, and the best C is the posterior σ(2m y x).
    m, e = 1.0, torch.linspace(-9, 9, 4001, dtype=DOUBLE)
    p = Normal(0.0, 1.0).log_prob(e).exp() * (e[1] - e[0])

    def pull(weight: float) -> Tensor:
        a = torch.tensor(m, dtype=DOUBLE, requires_grad=True)
        log_c = logsigmoid(2 * m * (a + e))  # of y = 1; of y = −1 it is the same
        out = torch.stack([torch.zeros_like(e), log_c], 1)
        return torch.autograd.grad((p * acgan_losses(weight)[1](out)).sum(), a)[0]

    assert pull(0.0) == 0
    assert torch.isclose(pull(1.0), -2 * m * (p * torch.sigmoid(-2 * m * (m + e))).sum())
    assert pull(1.0) < -0.3


def test_the_second_head_gives_the_log_probability_of_the_label_that_is_asked_for():
    D = AuxiliaryDiscriminator(nn.Identity(), classes=3)
    out = randn(4, 4)
    y = torch.tensor([0, 2, 2, 1])
    found = D(out, y)
    assert torch.equal(found[:, 0], out[:, 0])
    assert torch.allclose(found[:, 1], Categorical(logits=out[:, 1:]).log_prob(y))
    real, fake = found, found.flip(0)
    d = discriminator_loss(real[:, 0], fake[:, 0])
    of_ac, of_info = acgan_losses(0.5), infogan_losses(0.5)
    assert torch.allclose(of_ac[0](real, fake), d - 0.5 * (real[:, 1] + fake[:, 1]))
    assert torch.allclose(of_info[0](real, fake), d - 0.5 * fake[:, 1])
    for losses in (of_ac, of_info):
        assert torch.allclose(losses[1](fake), generator_loss(fake[:, 0]) - 0.5 * fake[:, 1])


def on_logits(D: nn.Module, x: Tensor, _: Tensor, __: torch.Generator) -> Tensor:
    """R1, without which two players of these sizes circle about the means."""
    return 0.5 * r1_penalty(lambda x: D(x).reshape(len(x), -1)[:, 0], x)


DISCRIMINATORS = {
    "one-hot": (lambda g: ConditionalDiscriminator(MLP(4, 1, (32, 32), generator=g), 2), {}),
    "projection": (
        lambda g: ProjectionDiscriminator(
            nn.Sequential(MLP(2, 32, (32,), generator=g), nn.ReLU()), 32, 2, generator=g
        ),
        {},
    ),
    "AC-GAN": (
        lambda g: AuxiliaryDiscriminator(MLP(2, 3, (32, 32), generator=g), 2),
        {"loss": acgan_losses()},
    ),
}


@pytest.mark.covers("S0-62")
@pytest.mark.parametrize(
    ("name", "embedded"),
    [("one-hot", False), ("one-hot", True), ("projection", True), ("AC-GAN", False)],
)
def test_a_conditional_gan_puts_each_class_of_two_blobs_where_it_is(name, embedded, g):
    build, options = DISCRIMINATORS[name]
    layers = [LabelEmbedding(2, 1, generator=g)] if embedded else []
    G, D = conditional_generator(g, *layers, width=3 if embedded else 4), build(g)
    game = partial(play, G, D, blobs(2000, g), penalty=on_logits, generator=g, **options)
    game(steps=250, lr=3e-3)
    game(steps=100, lr=5e-4)
    for k in (0, 1):
        draws = G.sample(2000, k, generator=g)
        assert float((draws.mean(0) - BLOBS[k]).norm()) < 0.2


def test_labels_out_of_range_are_refused_in_a_sentence():
    for D in (
        ProjectionDiscriminator(nn.Identity(), 2, 3),
        AuxiliaryDiscriminator(nn.Linear(2, 4), 3),
    ):
        for wrong in ([0, 3], [-1, 0]):
            with pytest.raises(ValueError, match="labels from 0 to 2"):
                D(torch.zeros(2, 2), torch.tensor(wrong))
    with pytest.raises(ValueError, match=r"1 \+ 3 numbers for each example"):
        AuxiliaryDiscriminator(nn.Linear(2, 3), 3)(torch.zeros(2, 2), torch.zeros(2).long())
    with pytest.raises(ValueError, match="one label for each, got 2"):
        accuracy(nn.Identity(), torch.zeros(2, 2), torch.zeros(3))
    for sizes in ((0, 1), (1, 0)):
        with pytest.raises(ValueError, match="integer >= 1, got 0"):
            LabelEmbedding(*sizes)
        with pytest.raises(ValueError, match="integer >= 1, got 0"):
            ProjectionDiscriminator(nn.Identity(), *sizes)


@pytest.fixture(scope="module")
def judge() -> nn.Module:
    """A classifier that has seen the real digits."""
    digits = data.digits()
    return classifier(2 * digits.train - 1, digits.train_labels, generator=seeded(9))


@pytest.mark.covers("S0-62")
def test_real_digits_pass_both_judges_and_one_draw_a_class_passes_only_the_first(judge):
    digits = data.digits()
    test = 2 * digits.test - 1
    assert accuracy(judge, test, digits.test_labels) > 0.95
    # Perfect images, the same for each class: what was asked for, and not to learn from.
    labels = torch.arange(10)
    first = torch.stack([(digits.train_labels == k).nonzero()[0, 0] for k in labels])
    collapsed = (2 * digits.train[first] - 1).repeat(50, 1, 1, 1)
    assert accuracy(judge, collapsed, labels.repeat(50)) > 0.95
    learnt = classifier(collapsed, labels.repeat(50), steps=300, generator=seeded(1))
    assert accuracy(learnt, test, digits.test_labels) < 0.8
