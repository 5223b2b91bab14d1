"""The figure of chapter 05: its networks are genlab's, and what the page says of it is so."""

import itertools
import json
import math
import re

import matplotlib as mpl
import pytest
import torch
from conftest import javascript
from torch import nn

from genlab import data, plot
from genlab.course.explorables import variational as figure
from genlab.course.explorables.variational import BETAS, DIGIT, EACH, UNIT, WEIGHTS, load, recipe
from genlab.interact import SOURCES, explore_variational, script
from genlab.interact.variational import numbers, rate_distortion
from genlab.nets import MLP
from genlab.variational import VAE, BernoulliDecoder, GaussianDecoder, GaussianEncoder

NUMBERS = json.loads(WEIGHTS.read_text(encoding="utf8"))
FIRST, SECOND = 38, 1  # the two digits of the button "half way", counted from 1


@pytest.fixture(scope="module")
def js():
    return javascript("net", "variational")


@pytest.fixture(scope="module")
def models():
    return load()


@pytest.fixture(scope="module")
def digits():
    return data.digits()


def vae(g, activation=nn.ReLU, hidden=(12,)):
    encoder = GaussianEncoder(MLP(64, 4, hidden, activation=activation, generator=g))
    decoder = BernoulliDecoder(MLP(2, 64, hidden, activation=activation, generator=g))
    return VAE(encoder, decoder, latent=2)


def own(g, *networks):
    return json.loads(
        explore_variational(dict(zip(BETAS, networks, strict=False))).attributes["models"]
    )


def network(js, told, name, i):
    return js("scaled", told[name][i], told["unit"])


def same(found, expected):
    found = torch.tensor(found, dtype=torch.float64)
    torch.testing.assert_close(found, expected.double(), rtol=0, atol=1e-4)


@pytest.mark.parametrize("i", range(len(BETAS)))
def test_the_networks_of_the_page_are_genlabs(js, models, g, i):
    """Decoded pixels, means and deviations, rate and distortion, at random codes and images."""
    model = models[BETAS[i]]
    encoder, decoder = (network(js, NUMBERS, name, i) for name in ("encoders", "decoders"))
    z, x = 2 * torch.randn(16, 2, generator=g), torch.rand(16, 64, generator=g)
    decoded = js("((decoder, z) => z.map(v => decode({ decoder }, v)))", decoder, z.tolist())
    same(decoded, model.decoder(z).mean)
    same(js("((net, z) => z.map(v => mlp(net, v)))", decoder, z.tolist()), model.decoder.net(z))
    q = model.encoder(x)
    codes = js("((net, x) => x.map(v => encode(net, v)))", encoder, x.tolist())
    same(codes, torch.stack([q.mean, q.stddev], 1))
    rate, distortion = rate_distortion(model.double(), x)
    model.float()
    same([js("rate", code) for code in codes], rate)
    terms = "((net, q, x) => x.map((v, i) => distortion(net, q[i], v)))"
    same(js(terms, decoder, codes, x.tolist()), distortion)


@pytest.mark.parametrize("hidden", [(), (7,), (9, 5)])
@pytest.mark.parametrize("activation", [nn.Tanh, nn.ReLU])
def test_own_networks_are_evaluated_with_their_activation(js, g, activation, hidden):
    model = vae(g, activation, hidden)
    told = own(g, model)
    x, z = torch.rand(16, 64, generator=g), 3 * torch.randn(16, 2, generator=g)
    encoder, decoder = (network(js, told, name, 0) for name in ("encoders", "decoders"))
    found = torch.tensor([js("mlp", decoder, code) for code in z.tolist()])
    torch.testing.assert_close(found, model.decoder.net(z).detach(), rtol=0, atol=2e-3)
    found = torch.tensor([js("encode", encoder, image) for image in x.tolist()])
    q = model.encoder(x)
    expected = torch.stack([q.mean, q.stddev], 1).detach()
    torch.testing.assert_close(found, expected, rtol=0, atol=2e-3)  # weights rounded to 1e-4


def test_rate_and_distortion_are_what_many_draws_approach(models, digits, g):
    """The rule beside 4000 draws from q, by z-scores, and beside itself on a fine grid."""
    x = digits.test[:20].flatten(1)
    for model in models.values():
        rate, distortion = rate_distortion(model, x)
        torch.testing.assert_close(model.terms(x, generator=g).kl, rate)
        q = model.encoder(x)
        z = q.mean + q.stddev * torch.randn(4000, 20, 2, generator=g)
        each = -model.decoder(z).log_prob(x)
        error = each.std(0) / math.sqrt(4000)
        assert ((each.mean(0) - distortion).abs() < 4.5 * error).all()
        line = torch.linspace(-6, 6, 61)
        steps = torch.cartesian_prod(line, line)
        weights = (-steps.square().sum(1) / 2).softmax(0)
        fine = -(weights @ model.decoder(q.mean + q.stddev * steps[:, None]).log_prob(x))
        assert (fine - distortion).abs().max() < 0.006


def test_the_curve_is_that_of_the_test_digits(models, digits):
    x = digits.test.flatten(1)
    assert len(x) == 360
    found = [[t.mean().item() for t in rate_distortion(model, x)] for model in models.values()]
    same(NUMBERS["curve"], torch.tensor(found))
    assert tuple(NUMBERS["betas"]) == BETAS == tuple(models)


def test_beta_slides_along_the_curve():
    """More β, less rate, more distortion; the sum is least at β = 1; chords are convex."""
    (rates, costs), sums = zip(*NUMBERS["curve"], strict=True), [r + d for r, d in NUMBERS["curve"]]
    assert list(rates) == sorted(rates, reverse=True)
    assert list(costs) == sorted(costs)
    assert BETAS[sums.index(min(sums))] == 1
    slopes = [
        (e - d) / (r - s) for (r, d), (s, e) in itertools.pairwise(NUMBERS["curve"])
    ]  # nats of distortion that a nat of rate saves, from β to the next
    assert slopes == sorted(slopes)


def test_each_is_best_at_its_own_beta(models, digits):
    """On the training digits D + βR of no other is lower: the line of slope −β touches there."""
    x = digits.train.flatten(1)
    ends = [[t.mean().item() for t in rate_distortion(model, x)] for model in models.values()]
    for beta, (rate, cost) in zip(BETAS, ends, strict=True):
        assert cost + beta * rate <= min(d + beta * r for r, d in ends) + 0.02


def test_what_the_page_says(js, models):
    curve = dict(zip(BETAS, NUMBERS["curve"], strict=True))
    assert [round(v, 2) for v in curve[0.25]] == [4.64, 20.38]
    assert round(sum(curve[1.0]), 2) == 24.07
    flat = curve[4.0]
    assert flat[0] < 0.005
    saved = [(flat[1] - d) / (r - flat[0]) for r, d in NUMBERS["curve"][:-1]]
    assert round(max(saved), 1) <= 2.4
    x = torch.tensor(
        js("(rows => rows.map(row => [...row].map(v => parseInt(v, 17) / 16)))", NUMBERS["digits"])
    )
    # β = ¼ makes the ellipse of the 6 smaller than β = 1; at β = 4 each is that of the prior.
    q = {beta: model.encoder(x) for beta, model in models.items()}
    assert NUMBERS["labels"][FIRST - 1] == 6
    assert DIGIT == FIRST - 1
    assert (q[0.25].stddev[DIGIT] < q[1.0].stddev[DIGIT]).all()
    assert q[4.0].mean.abs().max() < 0.1
    assert (q[4.0].stddev - 1).abs().max() < 0.05
    # All codes decode to one blur, which is near the mean of the digits; with β = 1 they do not.
    z = torch.cartesian_prod(*2 * [torch.linspace(-2, 2, 9)])
    spread = {beta: model.decoder(z).mean.std(0).max() for beta, model in models.items()}
    assert spread[4.0] < 0.03
    assert spread[1.0] > 0.3
    mean = data.digits().train.flatten(1).mean(0)
    assert (models[4.0].decoder(z).mean - mean).abs().max() < 0.1


def test_half_way_from_the_6_to_the_0_lies_an_image_between(models):
    """Pixels change little by little, and the middle is nearer to both ends than they are."""
    assert [NUMBERS["labels"][i - 1] for i in (FIRST, SECOND)] == [6, 0]
    rows = [[int(v, 17) / 16 for v in NUMBERS["digits"][i - 1]] for i in (FIRST, SECOND)]
    one, other = models[1.0].encoder(torch.tensor(rows)).mean
    images = models[1.0].decoder(torch.lerp(one, other, torch.linspace(0, 1, 21)[:, None])).mean
    whole = (images[0] - images[-1]).norm()
    assert (images[1:] - images[:-1]).norm(dim=1).max() < whole / 8
    assert max((images[10] - images[end]).norm() for end in (0, -1)) < 0.8 * whole


def test_neighbours_in_code_are_neighbours_in_image(models, digits):
    """Of each test digit the nearest in code, at β ≤ 1: mostly of its class, and alike."""
    x, labels = digits.test.flatten(1), digits.test_labels
    for beta in (0.25, 0.5, 1.0):
        mean = models[beta].encoder(x).mean
        nearest = torch.cdist(mean, mean).fill_diagonal_(math.inf).argmin(1)
        assert (labels[nearest] == labels).double().mean() > 0.8
        apart = (x - x[nearest]).norm(dim=1).mean()
        assert apart < 0.7 * torch.pdist(x).mean()


def test_decoded_digits_are_recognised(models, digits):
    """What the mean code decodes to is, by its five nearest training digits, of the same class."""
    x, labels = digits.test.flatten(1), digits.test_labels
    train = digits.train.flatten(1)
    for beta, least in ((0.25, 0.85), (0.5, 0.85), (1.0, 0.85)):
        decoded = models[beta].decoder(models[beta].encoder(x).mean).mean
        near = torch.cdist(decoded, train).topk(5, largest=False).indices
        votes = digits.train_labels[near].mode(1).values
        assert (votes == labels).double().mean() > least


def test_the_real_digits_are_test_digits(digits):
    grey = [[int(v, 17) / 16 for v in row] for row in NUMBERS["digits"]]
    assert NUMBERS["labels"] == [k for k in range(10) for _ in range(EACH)]
    for k in range(10):
        expected = digits.test[digits.test_labels == k][:EACH].flatten(1)
        assert torch.equal(torch.tensor(grey[k * EACH : (k + 1) * EACH]), expected)


def test_the_recipe_makes_the_file():
    again = recipe()
    assert again.keys() == NUMBERS.keys()
    for name in ("labels", "digits", "unit", "betas"):
        assert again[name] == NUMBERS[name]
    # Other processors round otherwise, and three thousand steps amplify it.
    found, expected = torch.tensor(again["curve"]), torch.tensor(NUMBERS["curve"])
    torch.testing.assert_close(found, expected, rtol=0, atol=0.1)
    assert WEIGHTS.stat().st_size < 60_000


def test_the_numbers_are_whole_and_are_the_weights(models):
    assert numbers(models, UNIT) == {
        name: NUMBERS[name] for name in ("unit", "betas", "curve", "encoders", "decoders")
    }


def test_a_figure_of_your_own_models(g):
    models = {4: vae(g), 0.5: vae(g)}
    given = explore_variational(models)
    told = json.loads(given.attributes["models"])
    assert told["betas"] == [0.5, 4]
    expected = rate_distortion(models[0.5], data.digits().test.flatten(1))
    assert told["curve"][0] == pytest.approx([t.mean().item() for t in expected], abs=1e-3)
    assert "<gen-variational " in given._repr_html_()
    assert explore_variational().attributes == {}


def test_models_in_double_precision_are_shown_too(g):
    told = own(g, vae(g).double())
    assert len(told["curve"]) == 1


@pytest.mark.parametrize(
    ("models", "sentence"),
    [
        (lambda g: {}, r"one to nine models, .* got the keys \[\]"),
        (lambda g: {float(i): vae(g) for i in range(1, 11)}, "one to nine models"),
        (lambda g: {0.0: vae(g)}, r"each under its β > 0, .* got the keys \[0.0\]"),
        (lambda g: {math.inf: vae(g)}, "each under its β > 0"),
        (lambda g: {"1": vae(g)}, r"got the keys \['1'\]"),
        (lambda g: vae(g), "one to nine models, .* got a VAE"),
        (lambda g: {1.0: nn.Linear(1, 1)}, "Expected under 1.0 a VAE .* got a Linear"),
        (
            lambda g: {
                1.0: VAE(GaussianEncoder(MLP(64, 6)), BernoulliDecoder(MLP(3, 64)), latent=3)
            },
            "with a code of 3",
        ),
        (
            lambda g: {
                1.0: VAE(GaussianEncoder(MLP(64, 4)), GaussianDecoder(MLP(2, 64)), latent=2)
            },
            "of GaussianEncoder and GaussianDecoder",
        ),
        (lambda g: {1.0: vae(g, nn.SiLU)}, "as the encoder's network, got Linear, SiLU, Linear"),
    ],
)
def test_models_that_do_not_fit_are_refused(g, models, sentence):
    with pytest.raises(ValueError, match=sentence):
        explore_variational(models(g))


def test_the_module_names_what_the_page_may_press():
    text = (SOURCES / "variational.mjs").read_text(encoding="utf8")
    for name in ("own", "half", "least", "one", "most"):
        assert re.search(rf"^\s*{name}: \[", text, flags=re.MULTILINE), name
    first, second = (int(re.search(rf"{name} = (\d+)", text)[1]) for name in ("FIRST", "SECOND"))
    assert (first, second) == (FIRST, SECOND)
    assert f"codes of {10 * EACH} real digits" in text


def test_the_script_holds_its_numbers():
    text = script("variational")
    assert '"betas": [0.25,0.5,1.0,2.0,4.0]' in text
    assert not re.search(r"^\s*(import|export)\b", text, flags=re.MULTILINE)
    assert "</script" not in text


def test_the_colour_of_the_code_is_that_of_the_figures():
    style = (SOURCES / "explore.css").read_text(encoding="utf8")
    light = plot.COLORS["code"]
    assert re.findall(r"--code: (#\w+)", style) == [light, plot.ON_DARK[light]]


def test_the_static_figure_shows_the_same_numbers(models):
    with mpl.rc_context(plot.STYLE):
        fig = figure()
    *planes, below = fig.axes
    assert [ax.get_title(loc="left") for ax in planes] == ["β = 0.25", "β = 1", "β = 4"]
    torch.testing.assert_close(
        torch.tensor(below.lines[0].get_xydata()), torch.tensor(NUMBERS["curve"]).double()
    )
    x = torch.tensor([[int(v, 17) / 16 for v in row] for row in NUMBERS["digits"]])
    for ax, beta in zip(planes, (0.25, 1.0, 4.0), strict=True):
        q = models[beta].encoder(x)
        places = torch.tensor([word.get_position() for word in ax.texts])
        torch.testing.assert_close(places, q.mean)
        assert [word.get_text() for word in ax.texts] == [str(k) for k in NUMBERS["labels"]]
        around = torch.tensor(ax.lines[0].get_xydata()) - q.mean[DIGIT]
        torch.testing.assert_close(
            (around / q.stddev[DIGIT]).norm(dim=1), torch.ones(61).double(), rtol=0, atol=1e-5
        )
        tiles = torch.tensor(ax.images[0].get_array())[..., 3].float().view(9, 9, 9, 9)
        middle = models[beta].decoder(torch.zeros(2)).mean.view(8, 8)
        torch.testing.assert_close(tiles[4, :8, 4, :8] / 0.8, middle)
