"""Chapter 07: densities over sequences of symbols, text and sound."""

import io
import math
import re
import wave
from collections.abc import Callable
from functools import cache

import pytest
import torch
from scipy.stats import chisquare
from torch import Tensor

from genlab import laws
from genlab.autoregressive import (
    Alphabet,
    Autoregressive,
    CausalTransformer,
    NoiseMixture,
    PixelCNN,
    PixelRNN,
    RNNDensity,
    SequenceModel,
    Sound,
    UniformNoise,
    WaveNet,
    brackets,
    from_mu_law,
    influence,
    jacobi,
    mu_law,
    naive,
    nll,
    plucked,
    python_topics,
    states,
)
from genlab.autoregressive.sequence import delayed
from genlab.em import HiddenMarkovModel
from genlab.flows import Glow
from genlab.models import Density, place
from genlab.train import fit

DOUBLE = torch.float64


def seeded(number: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(number)


MODELS: dict[str, Callable[[int, int], SequenceModel]] = {
    "LSTM": lambda k, n: RNNDensity(k, n, 8, generator=seeded()),
    "GRU": lambda k, n: RNNDensity(k, n, 8, "gru", generator=seeded()),
    "simple RNN": lambda k, n: RNNDensity(k, n, 8, "rnn", generator=seeded()),
    "WaveNet": lambda k, n: WaveNet(k, n, 2, width=8, generator=seeded()),
    "WaveNet, two cycles": lambda k, n: WaveNet(k, n, 1, 2, 8, generator=seeded()),
    "transformer": lambda k, n: CausalTransformer(k, n, 8, 2, 2, generator=seeded()),
}
each_model = pytest.mark.parametrize("name", MODELS)


@cache
def trained(name: str) -> SequenceModel:
    """Over four of three symbols, after some steps on sequences in which each follows the last."""
    model, g = MODELS[name](3, 4), seeded(2)
    x = (torch.randint(3, (200, 1), generator=g) + torch.arange(4)) % 3
    fit(model, nll, x, steps=20, lr=0.02, generator=g, progress=False)
    return model.double()


# --- A density ------------------------------------------------------------------------------------


@pytest.mark.covers("S0-16", "S0-14", "S2-21")
@each_model
@pytest.mark.parametrize("length", range(1, 7))
def test_the_probabilities_of_all_sequences_of_a_length_sum_to_one(name, length):
    model = MODELS[name](3, 6).double()
    log_p = model.log_conditionals(states(length, 3)).sum(1)
    assert log_p.exp().sum().item() == pytest.approx(1, abs=1e-12)


@each_model
def test_a_trained_model_is_a_density_and_draws_from_it(name, g):
    model = trained(name)
    assert isinstance(model, Density)
    assert place(model) == "explicit, tractable"
    laws.sums_to_one(model, support := states(4, 3))
    n, keys = 5000, torch.tensor([27, 9, 3, 1])
    seen = (model.sample(n, generator=g) * keys).sum(1).bincount(minlength=81).double()
    expected = n * model.log_prob(support).exp().detach()
    often = expected > 10
    joined = [torch.cat([v[often], v[~often].sum()[None]]).numpy() for v in (seen, expected)]
    assert chisquare(*joined).pvalue > 1e-4


@pytest.mark.covers("S2-21", "S2-24")
@each_model
def test_no_output_depends_on_its_own_symbol_or_on_a_later_one(name, g):
    model = MODELS[name](5, 9).double()
    h = model.embedding(torch.randint(5, (3, 9), generator=g)).detach()
    laws.is_autoregressive(lambda h: model.network(delayed(h)), h, range(9))
    with pytest.raises(laws.LawBroken, match="its own"):
        laws.is_autoregressive(model.network, h, range(9))  # the inputs not delayed


@each_model
def test_the_steps_of_the_sampler_say_what_the_density_says(name, g):
    model = MODELS[name](4, 12).double()
    x = torch.randint(4, (5, 12), generator=g)
    with torch.no_grad():
        h, state = torch.zeros(5, 8, dtype=DOUBLE), model.start(5)
        stepped = []
        for t in range(12):
            logits, state = model.step(h, state)
            stepped.append(logits.log_softmax(-1).gather(1, x[:, t : t + 1])[:, 0])
            h = model.embedding(x[:, t])
        assert torch.allclose(torch.stack(stepped, 1), model.log_conditionals(x), atol=1e-12)


# --- Drawing: n steps, of which each may be cheap -------------------------------------------------


@pytest.mark.proves("thm-cached", "thm-jacobi")
@pytest.mark.covers("S2-24", "S0-17", "S0-20", "S1-07", "E55")
@each_model
def test_cached_sampling_and_sweeps_give_the_symbols_of_the_naive_sampler(name, g):
    model = MODELS[name](7, 40).double()
    u = torch.rand(6, 40, dtype=DOUBLE, generator=g)
    cached = model.from_uniforms(u)
    assert torch.equal(cached, naive(model, u))
    assert torch.equal(cached, jacobi(model, u).x)
    assert len(cached.unique(dim=0)) == 6
    again = model.from_uniforms(u, cached, known=25)
    assert torch.equal(again, cached)


@pytest.mark.proves("thm-cached")
@pytest.mark.covers("S0-19")
def test_the_naive_sampler_runs_each_layer_t_squared_times_and_the_cached_one_t_times(g):
    model = WaveNet(3, 32, layers=5, width=4, generator=seeded())
    calls, sites = [], []
    model.embedding.register_forward_hook(lambda *_: calls.append(1))
    for layer in model.layers:
        layer.register_forward_hook(lambda _, given, __: sites.append(given[0][..., 0].numel()))

    def counted(run: Callable[[], object]) -> tuple[int, int]:
        calls.clear()
        sites.clear()
        run()
        return len(calls), sum(sites)

    u = torch.rand(1, 32, generator=g)
    assert counted(lambda: model.log_prob(model.from_uniforms(u)))[0] == 32 + 1
    assert counted(lambda: model.log_prob(torch.zeros(1, 32))) == (1, 5 * 32)
    assert counted(lambda: naive(model, u)) == (32, 5 * 32 * 32)
    assert counted(lambda: model.from_uniforms(u)) == (32, 5 * 32)


@each_model
def test_a_continuation_is_drawn_from_the_conditional_law(name, g):
    model, n = trained(name), 4000
    start = torch.tensor([[1, 2]])
    drawn = model.continued(start.expand(n, -1), 2, generator=g)
    assert (drawn[:, :2] == start).all()
    rest = states(2, 3)
    joint = model.log_prob(torch.cat([start.expand(9, -1), rest], 1))
    p = (joint - model.log_conditionals(start).sum()).exp().detach()
    assert p.sum().item() == pytest.approx(1, abs=1e-12)
    seen = (3 * drawn[:, 2] + drawn[:, 3]).bincount(minlength=9).double()
    often = n * p > 5
    assert often.sum() >= 2
    joined = [torch.cat([v[often], v[~often].sum()[None]]) for v in (seen, n * p)]
    assert chisquare(*[v[v > 0].numpy() for v in joined]).pvalue > 1e-4


# --- How far back ---------------------------------------------------------------------------------


@pytest.mark.proves("prop-receptive-field")
@pytest.mark.covers("S2-24", "S1-07", "E67")
@pytest.mark.parametrize("layers", [1, 2, 3, 6, 10])
def test_l_layers_of_a_wavenet_see_two_to_the_l_symbols_and_no_more(layers, g):
    field = 2**layers
    model = WaveNet(4, field + 9, layers, width=6, generator=seeded()).double()
    assert model.receptive_field == field
    x = torch.randint(4, (2, field + 9), generator=g)
    seen = influence(model, x, field + 5).nonzero().flatten()
    assert seen.tolist() == list(range(5, field + 5))


@pytest.mark.proves("prop-receptive-field")
def test_cycles_add_what_they_see_and_layers_without_dilation_add_one_each(g):
    x = torch.randint(4, (2, 40), generator=g)
    for layers, cycles, field in [(3, 2, 15), (4, 2, 31), (1, 7, 8)]:
        model = WaveNet(4, 40, layers, cycles, 6, generator=seeded()).double()
        assert model.receptive_field == field
        assert (influence(model, x, 35) > 0).sum() == field


def test_what_lies_outside_the_receptive_field_can_be_left_out(g):
    model = WaveNet(4, 40, 3, width=6, generator=seeded()).double()
    h = model.embedding(torch.randint(4, (2, 40), generator=g))
    assert torch.allclose(model.network(h)[:, -1], model.network(h[:, -8:])[:, -1], atol=1e-12)


def depth(node: object, name: str, known: dict) -> int:
    """The longest chain of operations of this name, from a node of autograd's graph down."""
    if node not in known:
        below = [depth(child, name, known) for child, _ in node.next_functions if child is not None]
        known[node] = max(below, default=0) + (name in node.name())
    return known[node]


@pytest.mark.covers("S2-23", "E67")
def test_a_recurrent_network_is_as_deep_as_the_sequence_and_a_wavenet_as_its_logarithm():
    x = torch.zeros(1, 64)
    recurrent = RNNDensity(2, 64, 4, "rnn", generator=seeded())
    convolutional = WaveNet(2, 64, 6, width=4, generator=seeded())
    assert depth(recurrent(x)[0, -1, 0].grad_fn, "Tanh", {}) == 64
    assert depth(convolutional(x)[0, -1, 0].grad_fn, "Tanh", {}) == 6
    for model in (recurrent, convolutional):  # and both reach back to the first symbol
        assert influence(model.double(), x, 63)[0] > 0


@pytest.mark.covers("S2-25", "E68")
def test_convolutions_get_no_deeper_with_the_data_and_glow_is_not_autoregressive(g):
    def operations(*models: Autoregressive) -> list[int]:
        return [depth(m(torch.zeros(1, *m.event)).sum().grad_fn, "", {}) for m in models]

    wavenets = [WaveNet(2, n, 2) for n in (8, 16)]
    pixelcnns = [PixelCNN((1, n, n), 2, 4, 2) for n in (4, 8)]
    for short, long in (operations(*wavenets), operations(*pixelcnns)):
        assert short == long
    recurrent = [RNNDensity(2, n, 4, "rnn") for n in (8, 16)]
    pixelrnns = [PixelRNN((1, n, n), 2, 4) for n in (4, 8)]
    for short, long in (operations(*recurrent), operations(*pixelrnns)):
        assert long > 1.5 * short
    # In every order the first output of an autoregressive map depends on one input alone.
    x = torch.randn(4, 1, 4, 4, generator=g)
    seen = laws.jacobian(Glow((1, 4, 4), 2, 1, 8, generator=g).transform, x).abs().amax(0) > 0
    assert seen.sum(1).min() > 1


# --- A grammar of which all probabilities are known -----------------------------------------------


def test_brackets_are_a_law_over_sequences_that_close_no_more_than_they_open(g):
    law = brackets(3, 10)
    laws.sums_to_one(law, every := states(10))
    depth = (1 - 2 * every).cumsum(1)
    fit_in = ((depth >= 0) & (depth <= 3)).all(1)
    assert torch.equal(law.log_prob(every) > -math.inf, fit_in)
    drawn = (1 - 2 * law.sample(500, generator=g)).cumsum(1)
    assert drawn.min() == 0
    assert drawn.max() == 3


def stationary_brackets(depth: int, length: int) -> HiddenMarkovModel:
    law = brackets(depth, length)
    m = law.states
    equations = torch.cat([law.transition.T - torch.eye(m), torch.ones(1, m)])
    right = torch.zeros(m + 1, 1).double()
    right[-1] = 1
    first = torch.linalg.lstsq(equations, right, driver="gelsd").solution[:, 0].clamp_min(0)
    tables = {"transition": law.transition, "emission": law.emission}
    return HiddenMarkovModel(m, 2, initial=first, length=length, **tables)


@pytest.mark.proves("thm-entropy-rate")
@pytest.mark.covers("S2-22")
def test_the_last_k_brackets_never_tell_all_and_the_whole_past_does():
    entropies = []
    for length in range(1, 13):
        log_p = stationary_brackets(3, length).log_prob(states(length))
        entropies.append(-torch.xlogy(log_p.exp(), log_p.exp()).sum())
    conditional = torch.stack(entropies).diff()  # of a symbol given the k before it, k = 1 … 11
    rate = (1 - 1 / 3) * math.log(2)
    assert (conditional.diff() < 1e-12).all()
    assert conditional[0] > conditional[-1] > rate + 1e-4

    law, exact = brackets(3, 400), 0.0
    p, entropy = law.initial, -torch.xlogy(law.transition, law.transition).sum(1)
    for _ in range(399):
        exact += float(p @ entropy)
        p = p @ law.transition
    laws.unbiased(-law.log_prob(law.sample(1000, generator=seeded(1))), exact)
    assert exact / 400 == pytest.approx(rate, abs=2 / 400)


@pytest.mark.covers("S1-06", "S0-16")
@pytest.mark.parametrize("name", ["LSTM", "GRU"])
def test_a_recurrent_network_learns_to_count_and_comes_down_to_the_entropy_rate(name, g):
    law, T = brackets(3, 32), 32
    cell = {"LSTM": "lstm", "GRU": "gru"}[name]
    model = RNNDensity(2, T, 16, cell, generator=seeded())
    x = law.sample(1000, generator=g)
    fit(model, nll, x, steps=150, batch_size=50, lr=0.03, generator=g)
    held_out = law.sample(1000, generator=seeded(5))
    with torch.no_grad():
        log_p = model.log_prob(held_out)
    gap = (law.log_prob(held_out) - log_p) / T  # on average the divergence, nats a symbol
    assert 0 < gap.mean() < 0.01
    assert -log_p.mean() / T == pytest.approx((1 - 1 / 3) * math.log(2), abs=0.05)
    drawn = (1 - 2 * model.sample(300, generator=g)).cumsum(1)
    assert ((drawn >= 0) & (drawn <= 3)).all(1).double().mean() > 0.9


# --- A good likelihood and bad samples ------------------------------------------------------------


@pytest.mark.proves("prop-noise-mixture")
@pytest.mark.covers("S3-13", "E49")
def test_a_mixture_that_is_noise_in_99_draws_of_100_loses_log_100_and_no_more(g):
    law = brackets(3, 64)
    mixture = NoiseMixture(law, UniformNoise(2, (64,)), 0.99)
    x = law.sample(500, generator=g)
    lost = law.log_prob(x) - mixture.log_prob(x)
    assert (lost <= math.log(100) + 1e-9).all()
    assert lost.mean().item() == pytest.approx(math.log(100), abs=2e-4)
    assert lost.mean() / 64 < 0.072  # nats a symbol
    depth = (1 - 2 * mixture.sample(20_000, generator=g)).cumsum(1)
    good = ((depth >= 0) & (depth <= 3)).all(1).double()
    laws.unbiased(good, 0.01)


@pytest.mark.proves("prop-noise-mixture")
def test_a_mixture_with_noise_is_a_density_nowhere_far_below_the_model():
    model = MODELS["LSTM"](3, 5).double()
    mixture = NoiseMixture(model, UniformNoise(3, (5,)), 0.9)
    x = states(5, 3)
    with torch.no_grad():
        laws.sums_to_one(mixture, x)
        assert (model.log_prob(x) - mixture.log_prob(x)).max() <= mixture.most_lost
    assert mixture.most_lost == pytest.approx(math.log(10))


# --- Text -----------------------------------------------------------------------------------------


def test_text_becomes_symbols_and_text_again():
    text = python_topics()
    alphabet = Alphabet(text)
    symbols = alphabet.encode(text[:5000])
    assert alphabet.decode(symbols) == text[:5000]
    assert symbols.max() < len(alphabet) == len(set(text))
    assert alphabet.decode(symbols.unfold(0, 64, 64)[3]) == text[192:256]
    assert alphabet.encode("").shape == (0,)


def test_no_paragraph_of_the_documentation_stands_there_twice():
    text = python_topics()
    paragraphs = text.split("\n\n")
    assert len(paragraphs) == len(set(paragraphs)) > 1000
    assert 'The "for" statement' in text


@pytest.mark.covers("S1-06")
def test_a_character_model_reads_more_than_letter_frequencies(g):
    text = python_topics()[:40_000]
    alphabet = Alphabet(text)
    x = alphabet.encode(text).unfold(0, 40, 40)
    train, held_out = x[:900], x[900:]
    model = RNNDensity(len(alphabet), 40, 32, generator=seeded())
    fit(model, nll, train, steps=100, batch_size=32, lr=0.02, generator=g)
    counts = train.flatten().bincount(minlength=len(alphabet)).double() + 1
    letters = -(counts / counts.sum()).log()[held_out].mean()
    with torch.no_grad():
        learnt = -model.log_prob(held_out).mean() / 40
    assert learnt < letters - 0.5


# --- Sound ----------------------------------------------------------------------------------------


@pytest.mark.proves("prop-mu-law")
@pytest.mark.parametrize("levels", [2, 16, 255, 256, 1024])
def test_mu_law_leads_back_to_every_symbol_and_keeps_order(levels):
    symbols = torch.arange(levels)
    signal = from_mu_law(symbols, levels)
    assert torch.equal(mu_law(signal, levels), symbols)
    assert (signal.diff() > 0).all()
    assert signal[[0, -1]].tolist() == [-1, 1]


@pytest.mark.proves("prop-mu-law")
def test_the_error_of_mu_law_is_in_proportion_to_one_over_mu_and_the_signal():
    x = torch.linspace(-1, 1, 100_001, dtype=DOUBLE)
    error = (from_mu_law(mu_law(x)).double() - x).abs()
    # half a step, 1/µ, of f has at most this width at x, and its middle is no further
    bound = torch.expm1(torch.tensor(math.log(256) / 255).double()) * (1 / 255 + x.abs())
    assert (error <= bound + 1e-7).all()
    assert (error / bound).max() > 0.95


@pytest.mark.proves("prop-mu-law")
@pytest.mark.parametrize("loudness", [1.0, 0.1, 0.03])
def test_noise_stays_38_decibels_below_a_loud_and_a_quiet_signal(loudness):
    x = loudness * torch.linspace(-1, 1, 100_001, dtype=DOUBLE)

    def ratio(error: Tensor) -> float:
        return float(10 * torch.log10((x**2).mean() / (error**2).mean()))

    # a step at x is 2/µ · ln(1 + µ) (1/µ + |x|) wide, and a uniform error has 1/12 of its square
    step = 2 / 255 * math.log(256) * (1 / 255 + x.abs())
    assert ratio(from_mu_law(mu_law(x)) - x) == pytest.approx(ratio(step / math.sqrt(12)), abs=0.15)
    equal = (x * 127.5 + 127.5).round() / 127.5 - 1
    linear = 10 * math.log10(loudness**2 / 3 * 12 * 127.5**2)
    assert ratio(equal - x) == pytest.approx(linear, abs=0.7)
    assert (ratio(from_mu_law(mu_law(x)) - x) > linear) == (loudness < 0.3)


@pytest.mark.proves("prop-string")
def test_a_plucked_string_obeys_its_recurrence(g):
    y, N = plucked(30, 2000, decay=0.99, generator=g).double(), 30
    assert torch.allclose(y[N + 1 :], 0.495 * (y[1:-N] + y[: -N - 1]), atol=1e-7)
    assert y.abs().max() == 1
    assert abs(y[:N].mean()) < 1e-7


@pytest.mark.proves("prop-string")
def test_the_harmonics_of_a_string_die_away_by_their_cosine(g):
    N, rate, rho = 40, 8000, 0.999
    y = plucked(N, 8100, decay=rho, generator=g).double()
    t = torch.arange(4050)
    window = torch.hann_window(4050, periodic=False, dtype=DOUBLE)
    for k in (1, 2, 3):
        f = k * rate / (N + 0.5)
        wave_k = window * torch.exp(-2j * math.pi * f / rate * t)
        amplitude = [(part * wave_k).sum().abs() for part in (y[:4050], y[4050:8100])]
        rounds = 4050 / (N + 0.5)
        expected = (rho * math.cos(math.pi * f / rate)) ** rounds
        assert (amplitude[1] / amplitude[0]).item() == pytest.approx(expected, rel=1e-4), k


@pytest.mark.covers("S1-07", "S2-24")
def test_a_string_can_be_foretold_by_a_field_longer_than_its_period_only(g):
    period, levels, T = 12, 8, 40
    sounds = torch.stack([plucked(period, 80, decay=1.0, generator=g) for _ in range(350)])
    x = mu_law(sounds, levels)[:, period : period + T]
    loss = {}
    for layers in (3, 4):  # receptive fields of 8 and 16
        model = WaveNet(levels, T, layers, width=16, generator=seeded())
        fit(model, nll, x[:300], steps=80, batch_size=32, lr=0.02, generator=g)
        with torch.no_grad():
            loss[layers] = -model.log_conditionals(x[300:])[:, period + 2 :].mean()
    assert loss[4] < 0.8 < 1.2 < loss[3]


def test_a_sound_is_a_file_and_a_player_with_a_name():
    signal = plucked(18, 4000, generator=seeded())
    sound = Sound(signal, 8000, alt='a string, "A"')
    with wave.open(io.BytesIO(sound.wav())) as file:
        assert file.getparams()[:4] == (1, 2, 8000, 4000)
        read = torch.frombuffer(bytearray(file.readframes(4000)), dtype=torch.int16)
    assert torch.equal(read, (signal * 32767).round().short())
    player = sound._repr_html_()
    assert player.startswith('<audio controls aria-label="a string, &quot;A&quot;" ')
    assert re.findall(r"\w+:[^,]*,", player) == ["data:audio/wav;base64,"]
    assert sound.wav() == Sound(signal, 8000, alt="the same").wav()


# --- What is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("attempt", "sentence"),
    [
        (lambda: RNNDensity(0, 5), "Expected levels as an integer >= 1, got 0"),
        (lambda: RNNDensity(3.0, 5), "Expected levels as an integer >= 1, got 3.0"),
        (lambda: RNNDensity(3, 0), "Expected a size of the event as an integer >= 1, got 0"),
        (lambda: RNNDensity(3, 5, 0), "Expected width as an integer >= 1, got 0"),
        (lambda: RNNDensity(3, 5, cell="mlp"), "Expected one of the cells rnn, gru, lstm, got 'm"),
        (lambda: WaveNet(3, 31, 5), "has 31 symbols, fewer than the receptive field of 32"),
        (lambda: WaveNet(3, 31, 0), "Expected layers as an integer >= 1, got 0"),
        (lambda: WaveNet(3, 31, 2, 0), "Expected cycles as an integer >= 1, got 0"),
        (lambda: CausalTransformer(3, 5, 6, heads=4), "4 heads divide, got 6. The next one is 8"),
        (lambda: CausalTransformer(3, 5, 8, 0), "Expected layers as an integer >= 1, got 0"),
        (lambda: NoiseMixture(NOISE, NOISE, 1.0), "Expected a share between 0 and 1, got 1.0"),
        (
            lambda: NoiseMixture(NOISE, UniformNoise(2, (4,))),
            r"The model draws \(3,\) and the noise \(4,\)",
        ),
        (lambda: NoiseMixture(NOISE, NOISE, math.nan), "Expected a share between 0 and 1, got nan"),
        (lambda: UniformNoise(2, (0,)), "integer >= 1, got 0"),
        (lambda: NOISE.log_prob(torch.full((1, 3), 2)), "Expected whole numbers from 0 to 1"),
        (lambda: Alphabet(""), "Expected a text of one character or more"),
        (lambda: Alphabet("ab").encode("abca"), "the 2 characters 'ab', got 'c' first at place 2"),
        (lambda: Alphabet("ab").decode(torch.tensor([0, 2])), "Expected a row of symbols 0 to 1"),
        (lambda: Alphabet("ab").decode(torch.tensor([0.5, 1.0])), "with 1 other numbers"),
        (lambda: Alphabet("ab").decode(torch.zeros(1, 2)), r"shape \(1, 2\).* decode\(x\[0\]\)"),
        (lambda: brackets(0, 5), "Expected depth as an integer >= 1, got 0"),
        (lambda: plucked(5, 5), "more samples than that, got 5 and 5"),
        (lambda: plucked(1, 5), "a period of 2 or more"),
        (lambda: plucked(5, 50, decay=1.1), "Expected a decay above 0 and at most 1, got 1.1"),
        (lambda: mu_law(torch.tensor([0.0, -1.5])), r"a signal in \[-1, 1\], got -1.5 to 0"),
        (lambda: mu_law(torch.tensor([math.nan])), r"a signal in \[-1, 1\], got nan"),
        (lambda: mu_law(torch.zeros(1), 1), "Expected levels as an integer >= 2, got 1"),
        (lambda: from_mu_law(torch.tensor([256])), "Expected whole numbers 0 to 255, .* to 256"),
        (lambda: from_mu_law(torch.tensor([0.5])), "Expected whole numbers 0 to 255"),
        (lambda: from_mu_law(torch.tensor([math.nan])), "Expected whole numbers 0 to 255"),
        (lambda: Sound(torch.zeros(2, 9), 8000, "x"), r"one row of samples .* shape \(2, 9\)"),
        (lambda: Sound(torch.full((9,), 2.0), 8000, "x"), r"Expected one row of samples in \[-1"),
        (lambda: Sound(torch.zeros(9), 0, "x"), "Expected rate as an integer >= 1, got 0"),
        (lambda: Sound(torch.zeros(9), 8000, " "), 'Expected alt="…", what is to be heard'),
    ],
)
def test_bad_input_is_refused_in_a_sentence(attempt, sentence):
    with pytest.raises(ValueError, match=sentence):
        attempt()


NOISE = UniformNoise(2, (3,))


@each_model
def test_symbols_that_are_none_are_refused_in_a_sentence(name, g):
    model = MODELS[name](3, 4)
    for bad in (-1, 3, 0.5):
        with pytest.raises(ValueError, match="Expected symbols 0 to 2, got values from"):
            model.log_prob(torch.tensor([[0, 1, 2, bad]]))
        with pytest.raises(ValueError, match="Expected symbols 0 to 2, got values from"):
            model.continued(torch.tensor([[0, bad]]), 1)
    with pytest.raises(ValueError, match="1 of 1 rows of the points are NaN"):
        model.log_prob(torch.tensor([[0, 1, 2, math.nan]]))
    with pytest.raises(ValueError, match=r"needs its batch axis: x\[None\]"):
        model.log_conditionals(torch.zeros(4))
    with pytest.raises(ValueError, match=r"Expected points of shape \(batch, 4\)"):
        model.log_prob(torch.zeros(2, 5))
    with pytest.raises(ValueError, match="Expected steps as an integer >= 1, got 0"):
        model.continued(torch.zeros(1, 2), 0)


def test_a_transformer_has_no_place_beyond_its_length(g):
    model = MODELS["transformer"](3, 4)
    for attempt in (
        lambda: model.log_conditionals(torch.zeros(1, 5)),
        lambda: model.continued(torch.zeros(1, 3), 2, generator=g),
    ):
        with pytest.raises(ValueError, match="Expected at most 4 symbols, which have places"):
            attempt()
