"""Chapter 08: the players, the loop in which they meet, and what is measured afterwards."""

import copy
import functools
import math
from dataclasses import replace
from itertools import product

import pytest
import scipy.linalg
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.functional import softplus
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torchmetrics.image.fid import FrechetInceptionDistance

from genlab import laws
from genlab.data import Grid, Ring, digits
from genlab.density import KDE
from genlab.divergences import optimal_discriminator, total_variation, wasserstein_1d
from genlab.em import kmeans
from genlab.flows import StandardNormal, UnitCube
from genlab.gans.dcgan import dcgan_discriminator, dcgan_generator
from genlab.gans.features import classifier, features
from genlab.gans.fourier import FourierFeatures
from genlab.gans.losses import critic_loss, discriminator_loss, generator_loss
from genlab.gans.measures import Coverage, coverage, frechet_distance, parzen, precision_recall
from genlab.gans.networks import (
    ConditionalDiscriminator,
    ConditionalGenerator,
    Discriminator,
    Generator,
    MinibatchDiscrimination,
    Packed,
    labelled,
)
from genlab.gans.noise import NormalAndCoins
from genlab.gans.play import History, play
from genlab.gans.recipes import BEST_RING, GRID, RING, Recipe, outcomes
from genlab.models import Density, Sampler, place
from genlab.nets import MLP


def seeded(number: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(number)


def players(seed: int = 0, d: int = 2, hidden: int = 16) -> tuple[Generator, Discriminator]:
    g = seeded(seed)
    G = Generator(StandardNormal((d,)), MLP(d, d, (hidden,), generator=g))
    return G, Discriminator(MLP(d, 1, (hidden,), generator=g))


def state(*modules: nn.Module) -> list[Tensor]:
    return [x.clone() for module in modules for x in module.state_dict().values()]


def same(a: list[Tensor], b: list[Tensor]) -> bool:
    return len(a) == len(b) and all(map(torch.equal, a, b))


# --- The players ---------------------------------------------------------------------------------


def conditional() -> ConditionalGenerator:
    return ConditionalGenerator(StandardNormal((2,)), MLP(5, 2, (8,), generator=seeded()), 3)


def images(side: int) -> Generator:
    net = dcgan_generator(6, (1, side, side), width=4, generator=seeded())
    return Generator(StandardNormal((6,)), net).eval()


GENERATORS = {
    "perceptron": lambda: players()[0],
    "uniform noise": lambda: Generator(UnitCube((3,)), MLP(3, 2, (8,), generator=seeded())),
    "conditional": conditional,
    "8 x 8": lambda: images(8),
    "28 x 28": lambda: images(28),
}
each_generator = pytest.mark.parametrize("name", GENERATORS)


@pytest.mark.covers("S0-31", "S0-53", "S3-23")
@each_generator
def test_a_generator_is_an_implicit_model_that_draws_by_its_generator_alone(name, g):
    G = GENERATORS[name]()
    assert isinstance(G, Sampler)
    assert not isinstance(G, Density)
    assert place(G) == "implicit"
    before = torch.get_rng_state()
    x = laws.speaks_sampler(G, 9, generator=g)
    assert torch.equal(before, torch.get_rng_state())
    assert not x.requires_grad
    assert G.sample(0, generator=g).shape == (0, *x.shape[1:])
    with pytest.raises(ValueError, match="n >= 0"):
        G.sample(-1)


@pytest.mark.covers("S0-31", "S0-51", "S3-25")
def test_a_sample_of_any_size_is_one_call_of_the_net(g):
    calls = []
    G, _ = players()
    G.net.register_forward_hook(lambda *_: calls.append(1))
    x = G.sample(1000, generator=g)
    assert calls == [1]
    again = seeded(g.initial_seed())
    assert torch.equal(x, G.net(torch.randn(1000, 2, generator=again)))


@each_generator
def test_dtype_follows_the_weights(name, g):
    G = GENERATORS[name]()
    assert G.sample(2, generator=g).dtype == torch.float32
    assert G.double().sample(2, generator=g).dtype == torch.float64


def test_noise_of_another_kind_is_cast_and_what_cannot_be_drawn_is_refused(g):
    G = Generator(Ring(), nn.Linear(2, 1)).double()
    assert G.sample(3, generator=g).dtype == torch.float64
    with pytest.raises(TypeError, match="noise that has sample"):
        Generator(torch.zeros(2), nn.Linear(2, 1))


def test_a_discriminator_gives_one_logit_an_example():
    _, D = players()
    assert D(torch.zeros(5, 2)).shape == (5,)
    assert D(torch.zeros(0, 2)).shape == (0,)
    with pytest.raises(ValueError, match=r"shape \(4, 1\), got \(4, 2\)"):
        Discriminator(nn.Linear(3, 2))(torch.zeros(4, 3))


@pytest.mark.covers("S0-62")
def test_a_label_stands_beside_the_noise_as_a_one_hot_code(g):
    G = conditional()
    z = torch.randn(4, 2, generator=g)
    y = torch.tensor([0, 2, 1, 2])
    code = torch.tensor([[1, 0, 0], [0, 0, 1], [0, 1, 0], [0, 0, 1]]).float()
    assert torch.equal(G(z, y), G.net(torch.cat([z, code], 1)))
    assert torch.equal(G.sample(4, y, generator=seeded(3)), G(G.draw(4, generator=seeded(3)), y))
    all_two = G.sample(4, 2, generator=seeded(3))
    assert torch.equal(all_two, G.sample(4, torch.full((4,), 2), generator=seeded(3)))


def test_without_labels_all_classes_are_as_likely(g):
    G = ConditionalGenerator(StandardNormal((1,)), nn.Linear(4, 1, bias=False), 3)
    G.net.weight.data = torch.tensor([[0.0, 1.0, 2.0, 3.0]])  # x is the class, from 1
    counts = G.sample(30_000, generator=g).flatten().long().bincount()[1:].double()
    z = (counts - 10_000) / math.sqrt(30_000 * 2 / 9)
    assert z.abs().max() < 4


def test_the_code_of_an_image_fills_channels(g):
    x = torch.randn(2, 1, 3, 3, generator=g)
    both = labelled(x, torch.tensor([1, 0]), 2)
    assert torch.equal(both[:, :1], x)
    assert both[:, 1:].flatten(2).unique(dim=2).squeeze(2).tolist() == [[0, 1], [1, 0]]
    D = ConditionalDiscriminator(dcgan_discriminator((3, 8, 8), 4, generator=seeded()), 2)
    assert D(torch.zeros(4, 1, 8, 8), torch.tensor([0, 1, 0, 1])).shape == (4,)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (torch.tensor([0, 3]), "labels from 0 to 2, got labels from 0 to 3"),
        (torch.tensor([-1, 0]), "labels from -1 to 0"),
        (torch.tensor([0.0, 1.0]), "whole number as label"),
        (torch.tensor([0]), r"each of the 2 examples, got torch.int64 of shape \(1,\)"),
        (torch.tensor([[0], [1]]), "whole number as label"),
    ],
)
def test_labels_out_of_range_are_refused_in_a_sentence(y, message):
    with pytest.raises(ValueError, match=message):
        conditional()(torch.zeros(2, 2), y)


# --- DCGAN and its tricks ------------------------------------------------------------------------


@pytest.mark.covers("S0-61")
@pytest.mark.parametrize("side", [8, 28])
def test_tanh_keeps_images_in_the_range_of_the_data(side, g):
    G = images(side)
    G.net[1].weight.data *= 1e6
    x = G.sample(20, generator=g)
    assert x.shape == (20, 1, side, side)
    assert float(x.abs().max()) <= 1
    assert float(x.abs().max()) > 0.9


@pytest.mark.parametrize("side", [8, 28])
def test_every_weight_of_a_dcgan_gets_a_gradient_and_starts_narrow(side, g):
    G = Generator(StandardNormal((6,)), dcgan_generator(6, (1, side, side), width=16, generator=g))
    D = Discriminator(dcgan_discriminator((1, side, side), width=16, generator=g))
    generator_loss(D(G(G.draw(8, generator=g)))).mean().backward()
    for net in (G.net, D.net):
        assert [n for n, w in net.named_parameters() if w.grad is None or not w.grad.any()] == []
    for layer in (*G.net, *D.net):
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d) and layer.weight.numel() > 1000:
            assert float(layer.weight.detach().std()) == pytest.approx(0.02, rel=0.1)


def test_the_generator_decides_the_first_weights_of_a_dcgan():
    for build in (functools.partial(dcgan_generator, 6), dcgan_discriminator):
        before = torch.get_rng_state()
        a, b, c = (build((1, 8, 8), 4, generator=seeded(s)) for s in (1, 1, 2))
        assert torch.equal(before, torch.get_rng_state())
        assert same(state(a), state(b))
        assert not same(state(a), state(c))


@pytest.mark.parametrize("event", [(1, 10, 8), (8, 8), (1, 8, 0)])
def test_images_that_cannot_be_halved_twice_are_refused(event):
    with pytest.raises(ValueError, match="divisible by 4"):
        dcgan_generator(4, event)
    with pytest.raises(ValueError, match="divisible by 4"):
        dcgan_discriminator(event)


@pytest.mark.covers("S0-64")
def test_with_batch_normalisation_a_draw_depends_on_its_batch_until_eval(g):
    G = images(8)
    z = torch.randn(8, 6, generator=g)
    others = torch.cat([z[:1], 3 * z[1:]])
    with torch.no_grad():
        assert torch.allclose(G(z)[0], G(others)[0], atol=1e-6)
        G.train()
        moved = (G(z)[0] - G(others)[0]).abs().max()
    assert moved > 1e-3


@pytest.mark.covers("S0-64")
def test_batch_normalisation_tells_a_discriminator_what_a_single_draw_cannot(g):
    """One draw, in a batch of copies of it and in a batch of the data: the logits differ."""
    x = RING.sample(64, generator=g)
    layers = nn.Linear(2, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 1)
    D = Discriminator(nn.Sequential(*layers))
    copies = x[:1].expand(64, -1)
    with torch.no_grad():
        assert (D(copies)[0] - D(x)[0]).abs() > 1e-3
        D.eval()
        assert torch.allclose(D(copies)[0], D(x)[0], atol=1e-6)


# --- Against collapse ----------------------------------------------------------------------------


NORMAL = torch.distributions.Normal(*torch.tensor([0.0, 1.0]).double())


@pytest.mark.proves("prop-bridges")
@pytest.mark.parametrize("L", [0.5, 2.0, 50.0])
def test_between_two_modes_a_generator_leaves_a_bridge(L):
    """Sets {−1} and {1}, δ = 2; G(z) = max(−1, min(1, Lz)) leaves the least there is."""
    left = NORMAL.cdf(torch.tensor(-1 / L, dtype=torch.float64))
    between = 1 - 2 * left
    least = NORMAL.cdf(NORMAL.icdf(left) + 2 / L) - left
    assert float(between) == pytest.approx(float(least), abs=1e-12)


@pytest.mark.proves("prop-bridges")
@pytest.mark.parametrize("seed", range(5))
def test_no_perceptron_leaves_less_than_the_bridge_of_its_slope(seed):
    net = MLP(2, 1, (32,), generator=seeded(seed)).double()
    net[2].bias.data.zero_()
    L = math.prod(torch.linalg.matrix_norm(net[i].weight.detach(), ord=2) for i in (0, 2))
    n = 100_000
    with torch.no_grad():
        x = net(torch.randn(n, 2, dtype=torch.float64, generator=seeded(9)))[:, 0]
    low, high = x.quantile(torch.tensor([0.3, 0.6]).double())
    a = (x <= low).double().mean()
    between = ((x > low) & (x < high)).double().mean()
    least = NORMAL.cdf(NORMAL.icdf(a) + (high - low) / L) - a
    assert between > least - 4 * math.sqrt(0.25 / n)


def test_packs_are_made_of_neighbours_in_the_batch(g):
    net = MLP(6, 1, (8,), generator=g)
    x = torch.randn(12, 2, generator=g)
    by_hand = torch.stack([net(x[i : i + 3].flatten()) for i in range(0, 12, 3)])[:, 0]
    assert torch.allclose(Packed(net, 3)(x), by_hand, atol=1e-6)
    flat = MLP(2, 1, (8,), generator=g)
    assert torch.equal(Packed(flat, 1)(x), Discriminator(flat)(x))
    pictures = torch.randn(4, 1, 8, 8, generator=g)
    twins = Packed(dcgan_discriminator((2, 8, 8), 4, generator=g), 2)
    assert twins(pictures).shape == (2,)
    with pytest.raises(ValueError, match=r"packs of 3, got 4.*that 3 divides"):
        Packed(net, 3)(x[:4])
    with pytest.raises(ValueError, match="m as an integer >= 1"):
        Packed(net, 0)


@pytest.mark.proves("prop-packing")
def test_packing_separates_a_law_that_misses_a_mode_from_one_that_does_not():
    """Both are 0.2 from the truth; of two draws at once, the one that misses a fifth is farther."""
    truth = torch.full((10,), 0.1, dtype=torch.float64)
    missing = torch.tensor([0.0] * 2 + [0.125] * 8, dtype=torch.float64)
    uneven = torch.tensor([0.06] * 5 + [0.14] * 5, dtype=torch.float64)

    def packed(law: Tensor, m: int) -> Tensor:
        return torch.stack([torch.stack(p).prod() for p in product(law, repeat=m)])

    def distances(law: Tensor) -> list[float]:
        return [float(total_variation(packed(truth, m), packed(law, m))) for m in (1, 2, 3)]

    assert distances(missing) == pytest.approx([1 - 0.8**m for m in (1, 2, 3)])
    assert distances(uneven)[:2] == pytest.approx([0.2, 0.24])
    gaps = [a - b for a, b in zip(distances(missing), distances(uneven), strict=True)]
    assert gaps[0] == pytest.approx(0)
    assert gaps[0] < gaps[1] < gaps[2]


@pytest.mark.covers("S0-64")
def test_minibatch_discrimination_sums_closeness_over_the_others(g):
    layer = MinibatchDiscrimination(3, kernels=4, width=2, generator=g)
    f = torch.randn(5, 3, generator=g)
    M = torch.einsum("nf,fbc->nbc", f, layer.T.detach())
    by_hand = [
        [sum(math.exp(-(M[i, b] - M[j, b]).abs().sum()) for j in range(5) if j != i)
         for b in range(4)]
        for i in range(5)
    ]  # fmt: skip
    out = layer(f).detach()
    assert torch.equal(out[:, :3], f)
    assert torch.allclose(out[:, 3:], torch.tensor(by_hand), atol=1e-5)
    alike = layer(f[:1].expand(5, -1))[:, 3:].detach()
    assert torch.allclose(alike, torch.full((5, 4), 4.0))  # a collapsed batch is as close as can be
    order = torch.tensor([3, 1, 4, 0, 2])
    assert torch.allclose(layer(f[order]), out[order], atol=1e-6)


# --- The loop ------------------------------------------------------------------------------------


def by_hand(G, D, x, *, steps, k, size, lr, d_lr, rng) -> list[tuple[float, float]]:
    """Algorithm 1 with two optimizers, as everyone writes it."""
    d_adam = torch.optim.Adam(D.parameters(), lr=d_lr, betas=(0.5, 0.999), fused=True)
    g_adam = torch.optim.Adam(G.parameters(), lr=lr, betas=(0.5, 0.999), fused=True)
    order, losses = torch.empty(0, dtype=torch.long), []
    for _ in range(steps):
        for _ in range(k):
            if len(order) < size:
                order = torch.randperm(len(x), generator=rng)
            rows, order = order[:size], order[size:]
            fake = G(torch.randn(size, 2, generator=rng)).detach()
            d = (softplus(-D(x[rows])) + softplus(D(fake))).mean()
            d_adam.zero_grad()
            d.backward()
            d_adam.step()
        g = softplus(-D(G(torch.randn(size, 2, generator=rng)))).mean()
        g_adam.zero_grad()
        g.backward()
        g_adam.step()
        losses.append((d.item(), g.item()))
    return losses


@pytest.mark.covers("S4-13", "S4-31", "E77")
@pytest.mark.parametrize("k", [1, 3])
def test_the_loop_is_algorithm_1_as_everyone_writes_it(k):
    x = RING.sample(50, generator=seeded(1))
    (G, D), (bare_G, bare_D) = players(), players()
    here, there = seeded(5), seeded(5)
    losses = by_hand(bare_G, bare_D, x, steps=20, k=k, size=16, lr=1e-3, d_lr=2e-3, rng=there)
    history = play(G, D, x, steps=20, d_steps=k, batch_size=16, lr=1e-3, d_lr=2e-3, generator=here)
    assert torch.equal(here.get_state(), there.get_state())
    for ours, bare in zip(state(G, D), state(bare_G, bare_D), strict=True):
        assert torch.allclose(ours, bare, atol=1e-6)
    assert torch.allclose(
        torch.stack([history.d, history.g], 1), torch.tensor(losses).double(), atol=1e-6
    )
    assert history.seconds > 0


def test_a_player_moves_only_in_its_turn():
    x = RING.sample(64, generator=seeded(1))
    seen = []

    class Watched(Discriminator):
        def forward(self, x):
            seen.append(state(G, D))
            return super().forward(x)

    G, _ = players()
    D = Watched(MLP(2, 1, (8,), generator=seeded(2)))
    play(G, D, x, steps=2, batch_size=64, generator=seeded(3))
    # D looks at real and fake, moves, and looks at fake again for G, which moves
    real, fake, for_g, next_real, *_ = seen
    parts = len(state(G))
    assert same(real, fake)
    assert same(fake[:parts], for_g[:parts])
    assert not same(fake[parts:], for_g[parts:])
    assert same(for_g[parts:], next_real[parts:])
    assert not same(for_g[:parts], next_real[:parts])


def test_every_batch_has_the_same_size_and_no_example_comes_twice_before_a_shuffle():
    x = torch.arange(11.0)[:, None]
    seen = []

    def record(real, fake):
        return real - fake

    class Looks(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.w = nn.Parameter(torch.zeros(()))

        def forward(self, x):
            seen.append(x.detach().flatten().tolist())
            return self.w * x[:, 0]

    G = Generator(StandardNormal((1,)), nn.Linear(1, 1))
    play(
        G, Looks(), x, steps=4, batch_size=4, loss=(record, lambda fake: fake), lr=1e-9,
        generator=seeded(0),
    )  # fmt: skip
    real = seen[0::3]
    assert [len(batch) for batch in real] == [4, 4, 4, 4]
    assert len(set(real[0] + real[1])) == 8
    assert len(set(real[2] + real[3])) == 8


def test_more_data_than_a_batch_is_not_needed():
    x = RING.sample(10, generator=seeded(1))
    G, D = players()
    play(G, D, x, steps=3, batch_size=512, generator=seeded(0))
    assert all(w.isfinite().all() for w in state(G, D))


def test_the_generator_decides_and_the_global_state_is_left_alone():
    x = RING.sample(64, generator=seeded(1))
    before = torch.get_rng_state()
    ends = []
    for seed in (1, 1, 2):
        G, D = players()
        play(G, D, x, steps=5, batch_size=8, generator=seeded(seed))
        ends.append(state(G, D))
    assert torch.equal(before, torch.get_rng_state())
    assert same(ends[0], ends[1])
    assert not same(ends[0], ends[2])


def test_float64_stays_float64_and_the_modes_of_both_come_back():
    G, D = players()
    D.net.append(nn.Dropout(0.0))
    G.double().eval()
    D.double()
    history = play(G, D, RING.sample(32).double(), steps=2, generator=seeded(0))
    assert {w.dtype for w in state(G, D)} == {torch.float64}
    assert not any(module.training for module in G.modules())
    assert all(module.training for module in D.modules())
    assert history.d.dtype == torch.float64


def test_labels_reach_both_players_and_belong_to_their_examples():
    y = torch.arange(12) % 3
    x = y[:, None] + torch.zeros(12, 2)
    seen = []

    class Both(ConditionalDiscriminator):
        def forward(self, x, y):
            seen.append((x.detach(), y))
            return super().forward(x, y)

    D = Both(MLP(5, 1, (8,), generator=seeded(1)), 3)
    play(conditional(), D, (x, y), steps=2, batch_size=6, generator=seeded(2))
    for real, fake, for_g in (seen[:3], seen[3:]):
        assert torch.equal(real[0][:, 0].long(), real[1])
        assert torch.equal(real[1], fake[1])
        assert torch.equal(real[1], for_g[1])


@pytest.mark.covers("S0-62")
def test_a_conditional_gan_learns_which_blob_is_which():
    rng = seeded(0)
    y = torch.randint(2, (2000,), generator=rng)
    centres = torch.tensor([[-1.0, 0.0], [1.0, 0.5]])
    x = centres[y] + 0.1 * torch.randn(2000, 2, generator=rng)
    G = ConditionalGenerator(StandardNormal((2,)), MLP(4, 2, (32,), generator=rng), 2)
    D = ConditionalDiscriminator(MLP(4, 1, (32,), generator=rng), 2)
    play(G, D, (x, y), steps=800, lr=2e-3, d_lr=6e-3, batch_size=64, generator=rng)
    for label in (0, 1):
        mean = G.sample(1000, label, generator=rng).mean(0)
        assert (mean - centres[label]).abs().max() < 0.15


def test_a_penalty_is_added_to_the_discriminators_loss_and_not_to_its_history():
    x = RING.sample(64, generator=seeded(1))
    seen = []

    def square(critic, real, fake, rng):
        seen.append((real.shape, fake.shape, fake.requires_grad, rng))
        return critic(real) ** 2 + critic(fake) ** 2

    def combined(real, fake):
        return discriminator_loss(real, fake) + real**2 + fake**2

    rng = seeded(0)
    (G, D), (other_G, other_D) = players(), players()
    kept = play(G, D, x, steps=5, batch_size=64, penalty=square, generator=rng)
    full = play(
        other_G, other_D, x, steps=5, batch_size=64, loss=(combined, generator_loss),
        generator=seeded(0),
    )  # fmt: skip
    assert seen[0] == ((64, 2), (64, 2), False, rng)
    for ours, theirs in zip(state(G, D), state(other_G, other_D), strict=True):
        assert torch.allclose(ours, theirs, atol=1e-6)
    assert (kept.d < full.d).all()


@pytest.mark.covers("S4-51")
def test_a_projection_holds_after_every_move_of_the_discriminator():
    x = RING.sample(64, generator=seeded(1))
    sizes = []

    def clip(D):
        with torch.no_grad():
            for w in D.parameters():
                sizes.append(float(w.abs().max()))
                w.clamp_(-0.01, 0.01)

    G, D = players()
    loss = critic_loss, functools.partial(generator_loss, kind="linear")
    play(
        G, D, x, steps=4, d_steps=5, loss=loss, project=clip, lr=1e-2,
        optimizer=torch.optim.RMSprop, generator=seeded(0),
    )  # fmt: skip
    assert len(sizes) == 4 * 5 * 4
    assert max(sizes[4:]) > 0.01
    assert all(float(w.detach().abs().max()) <= 0.01 for w in D.parameters())


def test_an_average_follows_the_generator_and_survives_a_stop(tmp_path):
    x = RING.sample(64, generator=seeded(1))
    seen = []

    class Recorded(AveragedModel):
        def update_parameters(self, model):
            super().update_parameters(model)
            seen.append(next(model.parameters()).detach().clone())

    def run(steps: int, path) -> tuple[Recorded, Generator]:
        G, D = players()
        average = Recorded(G, multi_avg_fn=get_ema_multi_avg_fn(0.5))
        options = {"average": average, "checkpoint": path, "checkpoint_every": 2}
        play(G, D, x, steps=steps, lr=0.1, generator=seeded(2), **options)
        return average, G

    average, _ = run(3, tmp_path / "a")
    first, second, third = seen
    by_hand = 0.25 * first + 0.25 * second + 0.5 * third
    assert torch.allclose(next(average.module.parameters()), by_hand, atol=1e-6)
    again, _ = run(5, tmp_path / "a")
    straight, _ = run(5, tmp_path / "b")
    assert same(state(again), state(straight))
    assert again.module.sample(2, generator=seeded()).shape == (2, 2)


def test_a_history_prints_the_same_text_every_time():
    history = History(torch.tensor([2.0, 1.3863]), torch.tensor([1.0, 0.69315]), seconds=1.0)
    assert repr(history) == "History(2 steps, last losses 1.39, 0.693)"


# --- What the loop refuses -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"d_steps": 0}, ValueError, "d_steps as an integer >= 1, got 0"),
        ({"d_steps": 1.5}, ValueError, "d_steps as an integer"),
        ({"steps": 0}, ValueError, "steps to be an int of 1 or more"),
        ({"batch_size": 0}, ValueError, "batch_size"),
        ({"lr": 0.0}, ValueError, "lr > 0"),
        ({"d_lr": -1.0}, ValueError, "d_lr > 0 and finite, got -1"),
        ({"checkpoint": "no/such/folder/run"}, FileNotFoundError, "create it first"),
        ({"G": nn.Linear(2, 2)}, TypeError, r"a Generator, which knows its noise.*Wrap the net"),
        ({"D": abs}, TypeError, "D to be a torch.nn.Module"),
        ({"data": [1.0]}, TypeError, "got list"),
        ({"data": torch.tensor([[0.0, math.nan]])}, ValueError, "1 of 1 rows"),
        ({"data": torch.zeros(4, 3)}, ValueError, r"data's shape \(4, 3\), got \(4, 2\)"),
        ({"optimizer": torch.optim.Adam([torch.zeros(1)])}, TypeError, "already built"),
    ],
)
def test_bad_arguments_are_refused_in_a_sentence(options, error, message):
    G, D = players()
    before = state(G, D)
    arguments = {"G": G, "D": D, "data": torch.zeros(4, 2), "steps": 1} | options
    with pytest.raises(error, match=message):
        play(**arguments)
    assert same(before, state(G, D))


@pytest.mark.covers("S0-61")
def test_images_outside_the_range_of_tanh_are_refused():
    x = digits().train[:32]
    D = Discriminator(dcgan_discriminator((1, 8, 8), 4, generator=seeded()))
    with pytest.raises(ValueError, match=r"data in \[−1, 1\].*from 0 to 16.*2x − 1"):
        play(images(8), D, 16 * x, steps=1)
    play(images(8), D, 2 * x - 1, steps=1, generator=seeded())


def test_labels_out_of_range_stop_the_game_before_a_move():
    G, D = conditional(), ConditionalDiscriminator(MLP(5, 1, (8,), generator=seeded(1)), 3)
    before = state(G, D)
    with pytest.raises(ValueError, match="labels from 0 to 2, got labels from 3 to 3"):
        play(G, D, (torch.zeros(4, 2), torch.full((4,), 3)), steps=1)
    assert same(before, state(G, D))


# --- Stopped and diverged games ------------------------------------------------------------------


def game(path, *, steps: int = 30, stop: int = 0, bad: float | None = None, seed: int = 9):
    """A game with a draw in its penalty; at call ``stop`` of it, it fails or its value is bad."""
    calls = []

    def noisy(critic, real, fake, rng):
        calls.append(1)
        if len(calls) == stop:
            if bad is None:
                raise InterruptedError
            return bad * critic(real)
        return 0.1 * critic(real + 0.1 * torch.randn(real.shape, generator=rng)) ** 2

    G, D = players()
    rng = seeded(seed)
    x = RING.sample(50, generator=seeded(1))
    history = error = None
    try:
        history = play(
            G, D, x, steps=steps, batch_size=16, penalty=noisy, d_steps=2, d_lr=1e-3,
            generator=rng, checkpoint=path, checkpoint_every=7,
        )  # fmt: skip
    except (InterruptedError, ValueError) as stopped:
        error = stopped
    return state(G, D), history, rng.get_state(), error


@pytest.mark.parametrize("stop", [15, 29, 44])
def test_a_game_that_stopped_continues_bit_for_bit(stop, tmp_path):
    straight, whole, rng, _ = game(tmp_path / "straight")
    *_, error = game(tmp_path / "stopped", stop=stop)
    assert isinstance(error, InterruptedError)
    resumed, history, after, _ = game(tmp_path / "stopped")
    assert same(resumed, straight)
    assert torch.equal(history.d, whole.d)
    assert torch.equal(history.g, whole.g)
    assert torch.equal(after, rng)
    files = [load_file(tmp_path / name) for name in ("straight", "stopped")]
    assert all(torch.equal(files[0][name], x) for name, x in files[1].items())


def test_a_finished_game_is_read_and_not_played_again(tmp_path):
    straight, whole, *_ = game(tmp_path / "run")
    again, history, *_ = game(tmp_path / "run", stop=1)  # the first step would fail
    assert same(again, straight)
    assert torch.equal(history.d, whole.d)


def test_the_checkpoint_of_another_game_is_refused(tmp_path):
    game(tmp_path / "run")
    *_, error = game(tmp_path / "run", seed=10)
    assert "belongs to another run: its seed is 9, this run's is 10" in str(error)
    *_, error = game(tmp_path / "run", steps=20)
    assert "stands at step 30, beyond the 20" in str(error)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_game_that_diverges_names_step_and_losses_and_keeps_the_last_good_checkpoint(
    bad, tmp_path
):
    path = tmp_path / "run"
    weights, _, _, error = game(path, stop=2 * 16 + 1, bad=bad)
    _, whole, *_ = game(tmp_path / "whole", steps=16)
    assert "Step 17 of 30 was not taken: the loss or the gradient of D" in str(error)
    assert f"{whole.d[-1]:.3g} of D, {whole.g[-1]:.3g} of G" in str(error)
    assert "keeps what was last written" in str(error)
    assert all(w.isfinite().all() for w in weights)
    kept = load_file(path)
    assert kept["loss"].shape == (14, 2)
    assert torch.equal(kept["loss"], torch.stack([whole.d, whole.g], 1)[:14])
    straight, *_ = game(tmp_path / "straight")
    resumed, *_ = game(path)
    assert same(resumed, straight)


def test_a_generator_that_diverges_is_named_too():
    G, D = players()
    x = RING.sample(50, generator=seeded(1))
    loss = discriminator_loss, lambda fake: generator_loss(fake) * math.inf
    with pytest.raises(ValueError, match=r"Step 1 of 3 .* gradient of G .* losses were none yet"):
        play(G, D, x, steps=3, loss=loss, generator=seeded(0))


# --- What the game does --------------------------------------------------------------------------


@pytest.mark.covers("S3-24", "S3-25", "S4-31")
def test_on_the_line_the_generator_becomes_the_quantiles_of_the_noise_and_d_a_coin():
    """Data F: the increasing G with G(z) ~ F is F⁻¹∘Φ; F is uniform on [−1, 1], it is 2Φ − 1."""
    rng = seeded(0)
    x = 2 * torch.rand(20_000, 1, generator=rng) - 1
    G = Generator(StandardNormal((1,)), MLP(1, 1, (32, 32), generator=rng))
    D = Discriminator(MLP(1, 1, (32, 32), generator=rng))
    adam = functools.partial(torch.optim.Adam, betas=(0.5, 0.99), fused=True)
    for steps, lr in ((600, 1e-3), (400, 1e-4)):  # D three times as fast, to know where G is
        play(G, D, x, steps=steps, lr=lr, d_lr=3 * lr, optimizer=adam, generator=rng)
    z = torch.linspace(-2, 2, 41)[:, None]
    with torch.no_grad():
        learnt = G(z) if G(z)[-1] > G(z)[0] else G(-z)
        assert (learnt - (2 * NORMAL.cdf(z) - 1)).abs().max() < 0.2
        assert (D(x[:5000]).sigmoid() - 0.5).abs().mean() < 0.1
    assert wasserstein_1d(G.sample(20_000, generator=rng)[:, 0], x[:, 0]) < 0.06


@pytest.mark.covers("S0-65", "S0-55")
def test_the_more_steps_d_takes_the_closer_it_is_to_the_best_one():
    x = 1 + torch.randn(20_000, 1, generator=seeded(0))
    points = torch.linspace(-2, 3, 101)
    p, q = (torch.distributions.Normal(mean, 1.0).log_prob(points) for mean in (1.0, 0.0))
    best = optimal_discriminator(p, q)

    def error(k: int) -> float:
        G = Generator(StandardNormal((1,)), nn.Linear(1, 1))
        nn.init.ones_(G.net.weight)
        nn.init.zeros_(G.net.bias)
        D = Discriminator(MLP(1, 1, (16,), activation=nn.Tanh, generator=seeded(1)))
        play(G, D, x, steps=1, d_steps=k, batch_size=512, d_lr=5e-3, generator=seeded(2))
        with torch.no_grad():
            return float((D(points[:, None]).sigmoid() - best).abs().max())

    errors = [error(k) for k in (1, 10, 100, 400)]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 0.05


# --- Recipes -------------------------------------------------------------------------------------


def test_the_coins_are_fair_signs_beside_the_normal_noise(g):
    noise = NormalAndCoins(2, 3)
    z = laws.speaks_sampler(noise, 20_000, generator=g)
    coins = z[:, 2:]
    assert coins.unique().tolist() == [-1, 1]
    for product_of_signs in (coins[:, 0], coins[:, 0] * coins[:, 1], coins.prod(1)):
        laws.unbiased(product_of_signs, truth=0.0)  # fair, and independent
    laws.unbiased(z[:, 0] ** 2, truth=1.0)
    assert noise.double().sample(2, generator=g).dtype == torch.float64
    with pytest.raises(ValueError, match="coins as an integer >= 1"):
        NormalAndCoins(2, 0)


@pytest.mark.proves("prop-waves")
@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0])
def test_waves_stretch_a_small_step_most(alpha, g):
    look = FourierFeatures(octaves=3).double()
    look.alpha.fill_(alpha)
    x, y = 2 * torch.rand(2, 200, 2, generator=g, dtype=torch.float64) - 1

    def stretched(x: Tensor, y: Tensor) -> Tensor:
        return (look(x) - look(y)).norm(dim=1) / (x - y).norm(dim=1)

    waves = sum(torch.sin(2**j * math.pi * (x - y) / 2) ** 2 for j in range(3)).sum(1)
    expected = (1 + 4 * alpha**2 * waves / (x - y).square().sum(1)).sqrt()
    assert torch.allclose(stretched(x, y), expected)
    most = math.sqrt(1 + 21 * (alpha * math.pi) ** 2)
    assert (stretched(x, y) <= most + 1e-12).all()
    assert torch.allclose(stretched(x, x + 1e-5 * (y - x)), torch.tensor(most).double(), rtol=1e-6)


def test_where_waves_are_asked_for_they_come_in_the_middle_of_the_game():
    seen = []

    class Watched(Recipe):
        def judge(self, generator):
            D = super().judge(generator)
            D.register_forward_pre_hook(lambda *_: seen.append(D.net[0].alpha.item()))
            return D

    Watched(steps=10, octaves=2, width=4).train(GRID, generator=seeded(0))
    calls = len(seen) // 10
    assert seen[::calls] == [0.0] * 4 + [0.5] + [1.0] * 5
    with pytest.raises(ValueError, match="octaves as an integer >= 1, got 0"):
        FourierFeatures(0)


@pytest.mark.covers("S0-66")
def test_in_a_thousand_steps_the_best_recipe_has_every_mode_and_without_coins_bridges():
    short = replace(BEST_RING, steps=1000, keep=0.98)  # an average over 50 steps

    def played(recipe: Recipe) -> Coverage:
        G = recipe.train(RING, generator=seeded(0))
        return coverage(G.sample(2500, generator=seeded(1)), RING)

    found, bridged = played(short), played(replace(short, coins=0))
    assert found.modes == 8
    assert found.reverse_kl < 0.05
    assert found.quality > 0.8 > 0.5 > bridged.quality


def test_a_recipe_plays_in_the_unit_square_and_draws_in_the_unit_of_the_law():
    tiny = Recipe(steps=10, width=4)
    grid, near = (
        tiny.train(law, generator=seeded(0)).sample(5, generator=seeded(1))
        for law in (GRID, replace(GRID, spacing=0.5, scale=0.0125))
    )
    assert torch.allclose(grid, 4 * near, atol=1e-4)
    assert outcomes(tiny, GRID, seeds=[3]) == outcomes(tiny, GRID, seeds=[3])
    with pytest.raises(ValueError, match="10 equal stages, got 15"):
        replace(tiny, steps=15).train(RING)


# --- Measures ------------------------------------------------------------------------------------


@pytest.mark.covers("S0-66", "S4-32")
@pytest.mark.parametrize("law", [RING, Grid()], ids=["ring", "grid"])
def test_the_truths_own_draws_capture_all_modes_at_the_quality_of_a_normal_law(law, g):
    n = 2500
    modes, quality, reverse_kl = coverage(law.sample(n, generator=g), law)
    K = len(law.centres)
    assert modes == K
    inside = 1 - math.exp(-4.5)
    assert abs(quality - inside) < 4 * math.sqrt(inside * (1 - inside) / n)
    assert 0 <= reverse_kl < 3 * (K - 1) / (2 * n)  # 2n KL is nearly χ² with K − 1 degrees


@pytest.mark.proves("prop-missing-modes")
@pytest.mark.parametrize("captured", [1, 3, 8])
def test_the_reverse_kl_of_missing_modes_is_the_log_of_their_ratio(captured, g):
    x = RING.centres[:captured].repeat(50, 1)
    found = coverage(x, RING)
    assert found.modes == captured
    assert found.reverse_kl == pytest.approx(math.log(8 / captured), abs=1e-12)


def test_a_generator_of_centres_beats_the_truth_which_is_what_coverage_cannot_see(g):
    centres = coverage(RING.centres.repeat(300, 1), RING)
    truth = coverage(RING.sample(2400, generator=g), RING)
    assert centres == (8, 1.0, 0.0)
    assert truth.quality < centres.quality
    assert truth.reverse_kl > centres.reverse_kl


def test_stray_draws_count_for_their_mode_but_not_as_quality():
    x = torch.tensor([[1.0, 0.0], [1.0, 0.031], [-0.9, 0.0]])
    found = coverage(x, RING)
    assert (found.modes, found.quality) == (1, pytest.approx(1 / 3))
    shares = torch.tensor([2 / 3, 1 / 3], dtype=torch.float64)
    assert found.reverse_kl == pytest.approx(float((shares * (8 * shares).log()).sum()), abs=1e-12)
    with pytest.raises(ValueError, match="got none"):
        coverage(torch.zeros(0, 2), RING)
    with pytest.raises(ValueError, match="1 of 2 rows"):
        coverage(torch.tensor([[0.0, 0.0], [math.nan, 0.0]]), RING)


def test_precision_and_recall_are_what_two_loops_count(g):
    real, fake = torch.randn(60, 3, generator=g), 0.7 + torch.randn(50, 3, generator=g)
    k = 3

    def share(points, sample):
        inside = 0
        for x in points:
            inside += any(
                (x - centre).norm() <= (sample - centre).norm(dim=1).sort().values[k]
                for centre in sample
            )
        return inside / len(points)

    assert precision_recall(real, fake, k) == pytest.approx((share(fake, real), share(real, fake)))
    assert precision_recall(real, real, k) == (1.0, 1.0)
    assert precision_recall(fake, real, k) == precision_recall(real, fake, k)[::-1]


@pytest.mark.covers("S4-32")
def test_collapse_costs_recall_and_noise_costs_precision(g):
    real = Ring().sample(400, generator=g)
    one_mode = real[(real - Ring().centres[0]).norm(dim=1) < 0.1]
    precision, recall = precision_recall(real, one_mode.repeat(9, 1)[:400])
    assert precision == 1
    assert recall < 0.2
    noise = 6 * torch.rand(400, 2, generator=g) - 3
    precision, recall = precision_recall(real, noise)
    assert precision < 0.2
    assert recall > 0.8


def test_bad_samples_are_refused_by_both_comparisons():
    x = torch.zeros(5, 2)
    for measure in (precision_recall, frechet_distance):
        with pytest.raises(ValueError, match="Expected points of shape"):
            measure(x, torch.zeros(5, 3))
        with pytest.raises(ValueError, match="two or more rows"):
            measure(x, x[:1])
        with pytest.raises(ValueError, match="become rows"):
            measure(torch.zeros(5, 1, 8, 8), torch.zeros(5, 1, 8, 8))
        with pytest.raises(ValueError, match="NaN"):
            measure(x, x + math.nan)
    with pytest.raises(ValueError, match="more than k=5 points"):
        precision_recall(x, x, k=5)


def test_the_frechet_distance_is_its_formula(g):
    x = torch.randn(200, 4, generator=g, dtype=torch.float64)
    y = torch.randn(150, 4, generator=g, dtype=torch.float64) @ torch.randn(
        4, 4, generator=g, dtype=torch.float64
    )
    a, b = x.T.cov(), y.T.cov()
    root = torch.from_numpy(scipy.linalg.sqrtm((a @ b).numpy()).real)
    formula = (x.mean(0) - y.mean(0)).square().sum() + (a + b - 2 * root).trace()
    assert frechet_distance(x, y) == pytest.approx(float(formula), rel=1e-9)
    assert frechet_distance(x, x) == pytest.approx(0, abs=1e-12)
    assert frechet_distance(x.float(), y.float()) == pytest.approx(float(formula), rel=1e-4)


def test_of_few_draws_the_frechet_distance_is_too_large(g):
    def mean_distance(n: int) -> float:
        pairs = torch.randn(40, 2, n, 8, generator=g)
        return sum(frechet_distance(*pair) for pair in pairs) / 40

    found = [mean_distance(n) for n in (20, 80, 320)]
    assert found[0] > 2 * found[1] > 4 * found[2] > 0  # the truth is 0


def test_two_moments_are_all_that_the_frechet_distance_sees():
    signs = torch.tensor([[-1.0], [1.0]]).repeat(3, 1)
    spread = torch.tensor([[-math.sqrt(3.0)], [0.0], [math.sqrt(3.0)]]).repeat(2, 1)
    spread = (spread / spread.std()) * signs.std()
    assert frechet_distance(signs, spread) == pytest.approx(0, abs=1e-10)


@pytest.fixture(scope="module")
def trained() -> nn.Sequential:
    data = digits()
    return classifier(data.train, data.train_labels, generator=seeded(0))


def test_the_classifier_knows_digits_it_has_not_seen(trained):
    data = digits()
    right = (trained(data.test).argmax(1) == data.test_labels).double().mean()
    assert right > 0.95
    assert features(trained, data.test).shape == (360, 32)
    assert not trained.training


def test_in_features_the_test_digits_are_near_and_others_are_far(trained, g):
    data = digits()
    real, test = features(trained, data.train), features(trained, data.test)
    near = frechet_distance(real, test)
    half = features(trained, data.train[data.train_labels < 5])
    noise = features(trained, torch.rand(360, 1, 8, 8, generator=g))
    assert near < frechet_distance(real, half) / 3
    assert near < frechet_distance(real, noise) / 10
    precision, recall = precision_recall(real, test)
    assert min(precision, recall) > 0.7


def test_torchmetrics_finds_the_same_frechet_distance_in_the_same_features(g):
    x, new = digits().train.double(), digits().test.double()
    net = classifier(x, digits().train_labels, steps=100, generator=g)
    body = net[:-1]
    body.num_features = 32
    options = {"feature": body, "normalize": True, "input_img_size": (1, 8, 8)}
    peer = FrechetInceptionDistance(**options).set_dtype(torch.float64)
    peer.update(x, real=True)
    peer.update(new, real=False)
    ours = frechet_distance(features(net, x), features(net, new))
    assert ours == pytest.approx(float(peer.compute()), rel=1e-6)
    assert ours > 0.01


@pytest.mark.proves("prop-parzen-warning")
@pytest.mark.parametrize("r", [0.0, 1.0, 2.0])
def test_far_clusters_cost_a_parzen_estimate_nothing_at_the_centres(r):
    d, s = 3, 0.7
    centres = 1e4 * torch.eye(d).double()
    aside = s * d**0.5 * torch.eye(d).double()
    bumps = centres + r * aside[0]  # each at the distance r s √d
    x = (centres[:, None] + torch.cat([aside, -aside])).reshape(-1, d)  # mean c, covariance s² I
    truth = -math.log(d) - d / 2 * math.log(2 * math.pi * math.e * s**2)
    at = lambda h: float(KDE(h).fit(bumps).log_prob(x).mean())
    best = s * (1 + r**2) ** 0.5
    assert at(best) == pytest.approx(truth - d / 2 * math.log(1 + r**2), abs=1e-9)
    assert max(at(0.9 * best), at(1.1 * best)) < at(best)


@pytest.mark.proves("prop-parzen-warning")
def test_parzen_prefers_the_centres_of_k_means_to_real_digits(g):
    data = digits()
    x = data.train.flatten(1).double()
    x = x[torch.randperm(len(x), generator=g)]
    train, valid, test = x[:900], x[900:], data.test.double()
    bandwidths = [0.5 * 0.8**i for i in range(8)]
    centres = kmeans(train, 100, generator=g).centres
    of_centres, _ = parzen(centres, valid, test, bandwidths)
    of_the_truth, h = parzen(train[:100], valid, test, bandwidths)
    assert of_centres > of_the_truth + 1
    check = KDE(h).fit(train[:100]).log_prob(test.flatten(1)).mean()
    assert of_the_truth == pytest.approx(float(check))


def test_players_can_be_copied(g):
    G, D = players()
    twins = copy.deepcopy(G), copy.deepcopy(D)
    play(G, D, RING.sample(32, generator=g), steps=1, generator=g)
    assert not same(state(G), state(twins[0]))
    assert same(state(twins[0]), state(players()[0]))
