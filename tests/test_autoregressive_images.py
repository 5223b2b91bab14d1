"""Chapter 07: models of images in raster order, each theorem as a test."""

import itertools
import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from genlab import data, laws
from genlab.autoregressive import (
    Cache,
    DiagonalBiLSTM,
    GatedPixelCNN,
    MaskedConv,
    PixelCNN,
    PixelRNN,
    RasterModel,
    RowLSTM,
    causal_mask,
    jacobi,
    naive,
    nll,
    receptive_field,
    skew,
    sweep,
    unskew,
)
from genlab.flows import bits_per_dim
from genlab.laws import LawBroken
from genlab.models import Density, place
from genlab.train import fit

DOUBLE = torch.float64
Build = Callable[..., RasterModel]

MODELS: dict[str, Build] = {
    "PixelCNN": lambda *a, **k: PixelCNN(*a, width=6, layers=2, first=3, **k),
    "GatedPixelCNN": lambda *a, **k: GatedPixelCNN(*a, width=6, layers=2, first=3, **k),
    "PixelRNN, rows": lambda *a, **k: PixelRNN(*a, width=6, first=3, layer=RowLSTM, **k),
    "PixelRNN, diagonals": lambda *a, **k: PixelRNN(*a, width=6, first=3, **k),
}
each_model = pytest.mark.parametrize("name", MODELS)
# (colours, height, width), levels: all images can be listed
SMALL = [((1, 3, 3), 2), ((1, 2, 2), 3), ((2, 2, 2), 2), ((3, 1, 2), 2), ((1, 1, 1), 5)]


def seeded(number: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(number)


def made(name: str, event=(1, 3, 3), levels: int = 2, seed: int = 1) -> RasterModel:
    """A model with weights large enough for its conditionals to differ."""
    model = MODELS[name](event, levels, generator=seeded(seed)).double()
    with torch.no_grad():
        for weight in model.parameters():
            weight *= 2.5
    return model


def all_images(event, levels: int) -> Tensor:
    entries = range(math.prod(event))
    return torch.tensor(list(itertools.product(range(levels), repeat=len(entries)))).reshape(
        -1, *event
    )


def uniforms(n: int, event, seed: int = 3) -> Tensor:
    return torch.rand(n, *event, dtype=DOUBLE, generator=seeded(seed))


class Counter:
    """How often a layer ran, and for how many sites."""

    def __init__(self, layer: nn.Module) -> None:
        self.passes = self.sites = 0
        self.handle = layer.register_forward_hook(self)

    def __call__(self, layer, inputs, output) -> None:
        self.passes += 1
        self.sites += output.shape[2:].numel()


# --- The laws, over every model ------------------------------------------------------------------


@pytest.mark.covers("S0-18", "S3-08", "S3-10", "S3-13")
@each_model
@pytest.mark.parametrize(("event", "levels"), SMALL)
def test_the_probabilities_of_all_images_sum_to_one(name, event, levels):
    model = made(name, event, levels)
    assert isinstance(model, Density)
    assert place(model) == "explicit, tractable"
    laws.sums_to_one(model, all_images(event, levels))


@pytest.mark.proves("thm-raster")
@pytest.mark.covers("S3-10")
@each_model
@pytest.mark.parametrize("event", [(1, 5, 4), (3, 3, 4)])
def test_no_conditional_depends_on_its_own_site_or_a_later_one(name, event):
    model = made(name, event, levels=4)
    x = 3 * uniforms(2, event)
    assert laws.is_autoregressive(model, x, model.order) > 0
    assert model.order[:3].tolist() == ([0, 1, 2] if event[0] == 1 else [0, 12, 24])


def test_a_first_layer_of_mask_b_sees_what_it_shall_predict():
    model = made("PixelCNN")
    model.first = MaskedConv(1, 6, 3, "B", generator=seeded()).double()
    with pytest.raises(LawBroken, match="Output 0 depends on input 0"):
        laws.is_autoregressive(model, uniforms(2, (1, 3, 3)), model.order)


@each_model
def test_every_parameter_gets_a_gradient_and_single_precision_stays(name):
    model = MODELS[name]((2, 4, 4), 3, generator=seeded())
    x = torch.randint(0, 3, (16, 2, 4, 4), generator=seeded())
    log_p = model.log_prob(x)
    assert log_p.dtype == torch.float32
    log_p.sum().backward()
    # Of a last layer nothing asks what the stack of the rows goes on with.
    assert not [n for n, w in model.named_parameters() if w.grad is None or not w.grad.any()]
    assert model.log_prob(x[:0]).shape == (0,)
    assert model.sample(0).shape == (0, 2, 4, 4)
    assert laws.speaks_sampler(model, 3, generator=seeded()).dtype == torch.int64


@each_model
def test_draws_are_as_frequent_as_the_model_says(name):
    model, n = made(name, (1, 2, 2)), 3000
    images = all_images((1, 2, 2), 2)
    p = model.log_prob(images).exp().detach()
    code = (model.sample(n, generator=seeded()).flatten(1) * torch.tensor([8, 4, 2, 1])).sum(1)
    often = n * p > 20
    z = (torch.bincount(code, minlength=16) - n * p) / (n * p * (1 - p)).sqrt()
    assert z[often].abs().max() < 4
    assert often.sum() >= 4


# --- Masks and what is seen through them ---------------------------------------------------------


@pytest.mark.covers("S3-10")
def test_masks_open_what_comes_before_and_of_the_own_site_the_colours_before():
    a = causal_mask("A", (3, 3), 6, 6, colours=3)
    b = causal_mask("B", (3, 3), 6, 6, colours=3)
    assert a[:, :, 0].eq(1).all()
    assert a[:, :, 1, 0].eq(1).all()
    assert a[:, :, 1, 2].eq(0).all()
    own = torch.ones(3, 3).tril()
    pairs = torch.ones(2, 2)
    assert torch.equal(b[:, :, 1, 1], torch.kron(own, pairs))
    assert torch.equal(a[:, :, 1, 1], torch.kron(own - torch.eye(3), pairs))
    assert causal_mask("above", (3, 3)).sum() == 3
    assert causal_mask("down", (3, 3)).sum() == 6


def reached(first: int, layers: int) -> set[tuple[int, int]]:
    """Offsets that a tap of mask A and then taps of mask B, 3 × 3, lead to."""

    def taps(kind: str, side: int) -> list[tuple[int, int]]:
        return [
            (i - side // 2, j - side // 2)
            for _, _, i, j in causal_mask(kind, (side, side)).nonzero().tolist()
        ]

    ends = set(taps("A", first))
    for _ in range(layers):
        ends = {(i + k, j + m) for i, j in ends for k, m in taps("B", 3)}
    return ends


@pytest.mark.proves("thm-blind-spot")
@pytest.mark.covers("S3-10")
@pytest.mark.parametrize(("first", "layers"), [(3, 0), (3, 2), (3, 8), (7, 3)])
def test_a_stack_of_masked_convolutions_has_a_blind_spot(first, layers):
    model = PixelCNN((1, 9, 17), width=16, layers=layers, first=first, generator=seeded()).double()
    site = (8, 8)
    seen = receptive_field(model.network, 2 * uniforms(20, (1, 9, 17)) - 1, site) > 0
    inside = {(i - 8, j - 8) for i in range(9) for j in range(17)}
    assert {(i - 8, j - 8) for i, j in seen.nonzero().tolist()} == reached(first, layers) & inside
    if (first, layers) == (3, 8):  # as deep as the image is high: all but the wedge on the right
        before = {(i, j) for i, j in inside if (i, j) < (0, 0)}
        blind = {(i, j) for i, j in before if i < 0 and j > -i}
        assert reached(first, layers) & inside == before - blind
        assert (len(before), len(blind)) == (144, 28)


@pytest.mark.proves("prop-wavefront")
@pytest.mark.parametrize(("first", "layers"), [(1, 2), (3, 0), (3, 4), (5, 3), (7, 6)])
def test_the_sites_of_a_step_see_sites_of_earlier_steps_only(first, layers):
    model = PixelCNN((1, 8, 9), width=2, layers=layers, first=first)
    step = {divmod(site, 9): t for t, sites in enumerate(model.steps()) for site in sites}
    assert sorted(step) == [(i, j) for i in range(8) for j in range(9)]
    offsets = reached(first, layers)
    for (i, j), t in step.items():
        assert all(step.get((i + a, j + b), -1) < t for a, b in offsets)
    assert len(PixelCNN((1, 28, 28)).steps()) == 136
    assert len(GatedPixelCNN((1, 28, 28)).steps()) == 784


@pytest.mark.proves("prop-gated")
@pytest.mark.covers("S3-10")
def test_two_stacks_see_every_site_before_and_no_other():
    model = GatedPixelCNN((1, 9, 9), width=8, layers=8, first=3, generator=seeded()).double()
    for site in [(8, 4), (8, 0), (4, 8), (1, 0)]:
        seen = receptive_field(model.network, 2 * uniforms(4, (1, 9, 9)) - 1, site) > 0
        assert seen.flatten().nonzero().flatten().tolist() == list(range(site[0] * 9 + site[1]))


@pytest.mark.proves("prop-pixelrnn")
@pytest.mark.covers("S3-08")
def test_an_lstm_of_rows_sees_a_triangle_and_one_of_diagonals_all():
    x = uniforms(2, (4, 6, 9))
    site = (5, 4)
    rows = RowLSTM(4).double()
    diagonals = DiagonalBiLSTM(4).double()
    i, j = torch.meshgrid(torch.arange(6), torch.arange(9), indexing="ij")
    # The row itself enters through a kernel of three, mask B: one more site on each side above.
    up, across = 5 - i, (j - 4)
    triangle = torch.where(
        up == 0, (across <= 0) & (across >= -1), (-up - 1 <= across) & (across <= up)
    )
    assert torch.equal(receptive_field(rows, x, site) > 0, triangle)
    before = (i < 5) | (j <= 4)
    assert torch.equal(receptive_field(diagonals, x, site) > 0, before)
    # All sites of a row, or of a diagonal, are one step.
    steps = [Counter(layer) for layer in (rows.states, *diagonals.states)]
    rows(x), diagonals(x)
    assert [counter.passes for counter in steps] == [6, 6 + 9 - 1, 6 + 9 - 1]


@pytest.mark.proves("prop-pixelrnn")
def test_behind_mask_a_the_end_of_the_row_above_is_seen_from_the_end_of_the_row_only():
    model = PixelRNN((1, 9, 17), first=3, generator=seeded()).double()
    points = 2 * uniforms(4, (1, 9, 17)) - 1
    for column in (0, 8, 14, 15, 16):
        seen = receptive_field(model.network, points, (8, column)) > 0
        unseen = (~seen).flatten()[: 8 * 17 + column].nonzero().flatten().tolist()
        assert not seen.flatten()[8 * 17 + column :].any()
        assert unseen == ([7 * 17 + 16] if column < 15 else [])  # at (8, 8) 143 of 144 are seen


def test_skewing_puts_diagonals_into_columns_and_back():
    x = torch.arange(12).reshape(1, 3, 4) + 1
    s = skew(x)
    assert s[0].tolist() == [[1, 2, 3, 4, 0, 0], [0, 5, 6, 7, 8, 0], [0, 0, 9, 10, 11, 12]]
    assert torch.equal(unskew(s), x)
    assert torch.equal(unskew(skew(x[:, :1])), x[:, :1])


# --- Sampling ------------------------------------------------------------------------------------


CACHED = ("PixelCNN", "GatedPixelCNN")


@pytest.mark.proves("thm-cached")
@pytest.mark.covers("S0-19", "S3-09", "S3-11", "S3-12", "S2-23")
@pytest.mark.parametrize("name", CACHED)
@pytest.mark.parametrize(("event", "levels"), [((1, 5, 6), 2), ((3, 4, 3), 4), ((2, 1, 3), 3)])
def test_cached_sampling_computes_each_site_once_and_draws_the_same(name, event, levels):
    model = made(name, event, levels)
    u, sites = uniforms(4, event), event[1] * event[2]
    counter = Counter(model.last)
    x = model.from_uniforms(u)
    assert (counter.passes, counter.sites) == (event[0] * len(model.steps()), event[0] * sites)
    counter.passes = counter.sites = 0
    assert torch.equal(naive(model, u), x)
    assert (counter.passes, counter.sites) == (event[0] * sites, event[0] * sites**2)
    counter.passes = counter.sites = 0
    model.log_prob(x)
    assert (counter.passes, counter.sites) == (1, sites)
    assert x.unique().numel() == levels


@pytest.mark.parametrize("name", CACHED)
def test_in_single_precision_cached_sampling_draws_the_same(name):
    model = MODELS[name]((1, 8, 8), 17, generator=seeded())
    u = uniforms(16, (1, 8, 8)).float()
    assert torch.equal(model.from_uniforms(u), naive(model, u))


@pytest.mark.proves("thm-jacobi")
@pytest.mark.covers("S0-20", "E55")
@each_model
@pytest.mark.parametrize("event", [(1, 5, 5), (2, 3, 3)])
def test_sweeps_reach_the_very_same_draw_and_after_k_of_them_k_entries_are_right(name, event):
    model = made(name, event, levels=3)
    u, n = uniforms(8, event), math.prod(event)
    x, history = jacobi(model, u)
    assert torch.equal(x, naive(model, u))
    assert torch.equal(sweep(model, u, x), x)
    assert len(history) <= n
    after = torch.arange(1, len(history) + 1)[:, None]
    assert (history >= after).all()
    assert (history[-1] == n).all()
    # From any start, and for one that is already there in one sweep.
    start = torch.randint(0, 3, u.shape, generator=seeded())
    assert torch.equal(jacobi(model, u, start).x, x)
    assert len(jacobi(model, u, x).history) == 1


@pytest.mark.covers("E55")
def test_a_chain_of_fifty_sites_settles_in_far_fewer_sweeps():
    model = PixelCNN((1, 1, 50), width=8, layers=1, first=3, generator=seeded()).double()
    x, history = jacobi(model, uniforms(1, (1, 1, 50)))
    assert torch.equal(x, naive(model, uniforms(1, (1, 1, 50))))
    assert len(history) < 15


@each_model
def test_the_other_half_is_drawn_given_the_first(name):
    model, known = made(name, (1, 3, 3)), 4
    images = all_images((1, 3, 3), 2)
    top = images[:, 0].flatten(1)[:, :known]
    given = torch.tensor([1, 0, 0, 1])
    fits = (top == given).all(1)
    p = model.log_prob(images[fits]).softmax(0).detach()
    n = 1000
    x = images[fits][:1].expand(n, -1, -1, -1)
    drawn = model.complete(x, known, generator=seeded(7))
    assert (drawn.flatten(1)[:, :known] == given).all()
    code = (drawn.flatten(1)[:, known:] * 2 ** torch.arange(4, -1, -1)).sum(1)
    often = n * p > 20
    z = (torch.bincount(code, minlength=32) - n * p) / (n * p * (1 - p)).sqrt()
    assert z[often].abs().max() < 4
    u = uniforms(20, (1, 3, 3))
    ways = [f(model, u, x[:20].double(), known) for f in (naive, lambda *a: jacobi(*a).x)]
    assert torch.equal(ways[0], ways[1])
    assert torch.equal(ways[0], model.from_uniforms(u, x[:20].double(), known))


# --- Classes -------------------------------------------------------------------------------------


def by_class(classes: int = 3, event=(1, 2, 2)) -> GatedPixelCNN:
    model = GatedPixelCNN(event, width=6, layers=1, first=3, classes=classes, generator=seeded())
    return model.double()


@pytest.mark.covers("S3-10", "S0-21", "E55")
def test_given_a_class_it_is_a_law_and_without_one_the_mean_of_these_laws():
    model, images = by_class(), all_images((1, 2, 2), 2)
    each = torch.stack([model.given(y).log_prob(images).exp() for y in range(3)])
    for y in range(3):
        laws.sums_to_one(model.given(y), images)
    laws.sums_to_one(model, images)
    assert torch.allclose(model.log_prob(images).exp(), each.mean(0), atol=1e-14)
    assert (each[0] - each[1]).abs().max() > 0.01
    y = torch.arange(16) % 3
    assert torch.allclose(model.given(y).log_prob(images).exp(), each[y, torch.arange(16)])


def test_with_classes_cached_sampling_draws_the_same():
    model = by_class(event=(2, 3, 4))
    u = uniforms(6, (2, 3, 4))
    for y in (1, torch.tensor([0, 1, 2, 2, 1, 0])):
        given = model.given(y)
        assert torch.equal(given.from_uniforms(u), naive(given, u))
    assert model.sample(5, generator=seeded()).shape == (5, 2, 3, 4)


def test_a_class_conditional_model_learns_what_each_class_looks_like():
    model = by_class(2).float()
    y = torch.arange(64) % 2
    x = y[:, None, None, None].expand(64, 1, 2, 2).clone()
    x[:, 0, 1, 1] = torch.arange(64) // 2 % 2  # at one site a fair coin
    loss = lambda model, batch, _: -model.given(batch[1]).log_prob(batch[0])
    fit(model, loss, (x, y), steps=100, lr=2e-2, generator=seeded(), progress=False)
    with torch.no_grad():
        assert -float(model.given(y).log_prob(x).mean()) == pytest.approx(math.log(2), abs=0.1)
        assert -float(model.log_prob(x).mean()) == pytest.approx(2 * math.log(2), abs=0.1)
    # Bayes' rule makes a classifier of it.
    each = torch.stack([model.given(k).log_prob(x) for k in range(2)])
    assert torch.equal(each.argmax(0), y)


# --- Learning ------------------------------------------------------------------------------------


@each_model
def test_what_is_learnt_is_what_sites_say_of_each_other(name):
    model = MODELS[name]((1, 3, 3), 2, generator=seeded())
    x = all_images((1, 3, 1), 2).expand(-1, -1, -1, 3)  # each row of one value: 3 log 2, not 9
    fit(model, nll, x, steps=100, lr=3e-2, generator=seeded(), progress=False)
    with torch.no_grad():
        assert -float(model.log_prob(x).mean()) == pytest.approx(3 * math.log(2), abs=0.1)


@pytest.mark.proves("prop-start")
@each_model
@pytest.mark.parametrize(("event", "levels"), [((1, 3, 3), 3), ((2, 2, 2), 2)])
def test_it_starts_as_the_law_of_independent_sites(name, event, levels):
    x = torch.randint(0, levels, (20, *event), generator=seeded())
    x[..., 0] //= 2  # not the same frequencies everywhere
    model = MODELS[name](event, levels, generator=seeded()).double().start(x)
    expected = torch.zeros(20, dtype=DOUBLE)
    for site in x.flatten(1).T:
        frequency = (torch.bincount(site, minlength=levels) + 1).double() / (20 + levels)
        expected += frequency[site].log()
    assert torch.allclose(model.log_prob(x), expected, atol=1e-12)


@pytest.mark.covers("S3-10", "S3-13")
def test_on_held_out_digits_the_sites_before_save_a_sixth_of_the_nats():
    digits = data.digits()
    train, test = ((16 * images).round() for images in (digits.train, digits.test))
    model = PixelCNN((1, 8, 8), 17, width=16, layers=3, generator=seeded()).start(train)
    with torch.no_grad():
        independent = -float(model.log_prob(test).mean())
    fit(model, nll, train, steps=100, lr=1e-2, generator=seeded(), progress=False)
    with torch.no_grad():
        nats = -float(model.log_prob(test).mean())
    assert independent > 100
    assert nats < 5 / 6 * independent
    assert bits_per_dim(-nats, 64) < 2.05


# --- Bad input -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (lambda: causal_mask("C", (3, 3)), "Expected a mask of kind 'A', 'B', 'above' or 'down'"),
        (lambda: MaskedConv(1, 1, 4), "an even one has no centre"),
        (lambda: MaskedConv(3, 8, 3, "A", 3), "that 3 colours can share equally, got 3 and 8"),
        (lambda: PixelCNN((8, 8)), r"Expected images \(colours, height, width\), got \(8, 8\)"),
        (lambda: PixelCNN((1, 0, 8)), "integer >= 1, got 0"),
        (lambda: PixelCNN((0, 8, 8)), "integer >= 1, got 0"),
        (lambda: PixelCNN((1, 8.0, 8)), "integer >= 1, got 8.0"),
        (lambda: PixelCNN((1, 8, 8), levels=0), "Expected levels as an integer >= 1, got 0"),
        (lambda: PixelCNN((1, 8, 8), width=2.5), "Expected n_out as an integer >= 1, got 2.5"),
        (lambda: PixelCNN((1, 8, 8), first=4), "an even one has no centre"),
        (lambda: GatedPixelCNN((1, 8, 8), classes=-1), "Expected classes as an integer >= 1"),
        (lambda: made("PixelCNN").log_prob(torch.full((1, 1, 3, 3), 2)), "from 0 to 1"),
        (lambda: made("PixelCNN").log_prob(torch.full((1, 1, 3, 3), 0.5)), "whole numbers"),
        (lambda: made("PixelCNN").log_prob(torch.full((2, 1, 3, 3), math.nan)), "2 of 2 rows"),
        (lambda: made("PixelCNN").start(torch.full((1, 1, 3, 3), -1)), "from 0 to 1"),
        (lambda: made("PixelCNN").log_prob(torch.zeros(1, 3, 3)), r"shape \(batch, 1, 3, 3\)"),
        (lambda: made("PixelCNN").complete(torch.zeros(1, 1, 3, 3), 10), "0 to 9 known entries"),
        (lambda: made("PixelCNN").sample(-1), "n >= 0"),
        (lambda: made("GatedPixelCNN").given(0), "knows no classes"),
        (lambda: by_class().given(3), "whole numbers from 0 to 2"),
        (lambda: by_class().given(torch.tensor([1.0])), "whole numbers from 0 to 2"),
        (lambda: by_class()(torch.zeros(1, 1, 2, 2).double()), r"take model.given\(label\)"),
        (lambda: jacobi(made("PixelCNN"), torch.ones(1, 1, 3, 3)), r"in \[0, 1\) for each entry"),
        (lambda: jacobi(made("PixelCNN"), uniforms(1, (3, 3))), r"shape \(batch, 1, 3, 3\)"),
        (lambda: jacobi(made("PixelCNN"), uniforms(1, (1, 3, 3)), known=10), "0 to 9 known"),
        (lambda: made("PixelRNN, rows").network(torch.zeros(1), Cache(3, 3)), "not cached"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(wrong, sentence):
    with pytest.raises(ValueError, match=sentence):
        wrong()
