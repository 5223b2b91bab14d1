"""The words that models speak: law tests over every model in the catalogue."""

import importlib.util
import inspect
import math
import pkgutil
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise

import pytest
import torch
from scipy.stats import chisquare
from torch import Tensor, nn
from torch.distributions import Bernoulli, Independent, Normal
from torch.distributions import Categorical as TorchCategorical

import genlab
from genlab import laws, models
from genlab.autoregressive import (
    FVBN,
    IAF,
    MADE,
    MAF,
    NADE,
    CausalTransformer,
    GatedPixelCNN,
    MarkovChain,
    NoiseMixture,
    OrderMixture,
    PixelCNN,
    PixelRNN,
    RNNDensity,
    Tabular,
    UniformNoise,
    WaveNet,
)
from genlab.density import (
    KDE,
    AdaptiveKDE,
    Categorical,
    FullTable,
    Gaussian,
    Histogram,
    IndependentBernoulli,
    KNNDensity,
    PCASampler,
)
from genlab.early import (
    DBM,
    DBN,
    RBM,
    BinaryDenoiser,
    DenoisingAutoencoder,
    GenerativeStochasticNetwork,
    HelmholtzMachine,
    PredictabilityMinimisation,
    SigmoidBeliefNet,
)
from genlab.em import (
    FactorAnalysis,
    GaussianMixture,
    HiddenMarkovModel,
    LatentVariableModel,
    ProbabilisticPCA,
)
from genlab.flows import (
    NICE,
    ActNorm,
    AugmentedFlow,
    Compose,
    Dequantised,
    Flow,
    Glow,
    ImageRealNVP,
    LUConv,
    RealNVP,
    SplineCoupling,
    StandardNormal,
)
from genlab.gans import BiGAN, ConditionalGenerator, Discriminator, Generator
from genlab.models import (
    CATALOGUE,
    Density,
    GaussianNaiveBayes,
    LowerBound,
    Sampler,
    Unnormalized,
    capabilities,
    query_points,
    sample_size,
    training_data,
)
from genlab.nets import MLP
from genlab.unified import VAEGAN, AdversarialAutoencoder
from genlab.variational import (
    IWAE,
    NVIL,
    VAE,
    BernoulliDecoder,
    BernoulliEncoder,
    GaussianDecoder,
    GaussianEncoder,
)

# A model is in the catalogue once its module is imported.
for module in pkgutil.walk_packages(genlab.__path__, "genlab."):
    if not module.name.startswith("genlab.course"):
        importlib.import_module(module.name)


@dataclass(frozen=True)
class Example:
    """A small fit of one model: on which data, and where its mass is.

    A density on a continuum has a box (``low``, ``high``), one on a finite set its ``support``.
    What else the model's own ``fit`` asks for is told by ``given``, from the data.
    """

    fit: Callable[[Tensor], object]
    data: Tensor
    low: float | list[float] | None = None
    high: float | list[float] | None = None
    support: Tensor | None = None
    given: Callable[[Tensor], tuple] = lambda x: ()

    @property
    def model(self):
        return self.fit(self.data)

    @property
    def event(self) -> tuple[int, ...]:
        return tuple(self.data.shape[1:])


def on_line(fit, reach: float = 8.0) -> Example:
    return Example(fit, LINE, -reach, reach)


def in_plane(fit, reach: float = 8.0) -> Example:
    return Example(fit, PLANE, [-reach] * 2, [reach] * 2)


def by_sign(x: Tensor) -> tuple[Tensor]:
    """Two classes, by the sign of the first column."""
    return ((x.reshape(len(x), -1)[:, 0] > 0).long(),)


def linear_decoder(loc: Tensor) -> LatentVariableModel:
    """x = 2z + ε with z ~ N(loc / 2, 1)."""
    return LatentVariableModel(Normal(loc / 2, 1.0), lambda z: Normal(2 * z, 1.0))


def coins(mean: Tensor) -> LatentVariableModel:
    """Two sets of coins: with the means of the data, and with the means half as large."""
    probs = torch.stack([mean, mean / 2])
    prior = TorchCategorical(torch.tensor([0.3, 0.7]))
    return LatentVariableModel(prior, lambda z: Independent(Bernoulli(probs[z]), 1))


def coder(
    x: Tensor, model: type[VAE], encoder: type, decoder: type, outputs: int = 2, **options: int
) -> VAE:
    """One latent number, and networks with random weights in the dtype of the data."""
    g, d = seeded(5), x.shape[1]
    pair = encoder(MLP(d, outputs, (8,), generator=g)), decoder(MLP(1, d, (8,), generator=g))
    return model(*pair, 1, **options).to(x.dtype)


def flow(x: Tensor, model: Callable, *sizes: object, **options: object) -> nn.Module:
    """A flow with its weights pushed away from where they start, in the dtype of the data."""
    g = seeded(5)
    made = model(*sizes, **options, generator=g)
    with torch.no_grad():
        for w in made.parameters():
            w += 0.1 * torch.randn(w.shape, generator=g)
    return made.to(x.dtype)


def spline_flow(d: int, generator: torch.Generator) -> Flow:
    """Actnorm, a linear map, and a spline of the last entries."""
    net = MLP(d // 2, (d - d // 2) * 11, (8,), generator=generator)
    layers = ActNorm((d,)), LUConv((d,), generator=generator), SplineCoupling((d,), net, bins=4)
    return Flow(StandardNormal((d,)), Compose(*layers))


def of_bits(model: Callable, *sizes: object, **options: object) -> Example:
    """A network for the conditionals of three bits, with random weights."""
    return Example(lambda x: flow(x.double(), model, *sizes, **options), BITS, support=STATES)


def of_tiles(model: Callable, **options: int) -> Example:
    """A network for the conditionals of 2 × 2 binary pixels, with random weights."""
    sizes = (1, 2, 2), 2, 4, 1, 3
    return Example(lambda x: flow(x.double(), model, *sizes, **options), TILES, support=ALL_TILES)


def belief_stack(*sizes: int, generator: torch.Generator) -> DBN:
    """Machines of two layers each, on top of one another."""
    return DBN([RBM(*pair, generator=generator) for pair in pairwise(sizes)])


def bit_denoiser(x: Tensor) -> BinaryDenoiser:
    return BinaryDenoiser(flow(x, MLP, 3, 3, (8,)), 0.5)


def plane_denoiser(x: Tensor) -> DenoisingAutoencoder:
    return DenoisingAutoencoder(flow(x, MLP, 2, 2, (8,)), 0.5)


def net(inputs: int, outputs: int = 2) -> MLP:
    return MLP(inputs, outputs, (8,), generator=seeded(5))


def bigan(x: Tensor) -> BiGAN:
    """A generator of the plane from two numbers, with an encoder and a judge of pairs."""
    G = Generator(StandardNormal((2,)), net(2))
    return BiGAN(G, net(2), Discriminator(net(4, 1))).to(x.dtype)


def adversarial(x: Tensor) -> AdversarialAutoencoder:
    return AdversarialAutoencoder(net(2), net(2), Discriminator(net(2, 1)), latent=2).to(x.dtype)


def vaegan(x: Tensor) -> VAEGAN:
    parts = GaussianEncoder(net(2, 4)), net(2), net(2, 8), net(8, 1)
    return VAEGAN(*parts, latent=2).to(x.dtype)


_G = torch.Generator().manual_seed(7)
_SIDE = torch.randint(2, (60,), generator=_G).double()
LINE = 0.6 * torch.randn(60, dtype=torch.float64, generator=_G) + 3 * _SIDE - 1.5
PLANE = torch.stack([LINE, LINE / 2 + torch.randn(60, dtype=torch.float64, generator=_G)], 1)
SPACE = torch.cat([PLANE, PLANE.sum(1, keepdim=True) / 3], 1)
BITS = torch.cat([torch.randint(2, (60, 2), generator=_G), torch.ones(60, 1).long()], 1)
BITS[0, 2] = 0
STATES = torch.cartesian_prod(*[torch.arange(2)] * 3)
IMAGES = torch.randn(60, 1, 4, 4, dtype=torch.float64, generator=_G)
TILES = torch.randint(2, (60, 1, 2, 2), generator=_G)
ALL_TILES = torch.cartesian_prod(*[torch.arange(2)] * 4).reshape(-1, 1, 2, 2)
DICE = torch.tensor([1, 1, 2, 3, 3, 3, 6])

EXAMPLES: dict[str, list[Example]] = {
    "AdaptiveKDE": [
        on_line(lambda x: AdaptiveKDE(k=8).fit(x)),
        in_plane(lambda x: AdaptiveKDE(k=8).fit(x), 12),
    ],
    "AugmentedFlow": [
        Example(lambda x: AugmentedFlow(flow(x, NICE, 3, hidden=(8,)), noise=1).to(x.dtype), PLANE)
    ],
    "Categorical": [
        Example(lambda x: Categorical(range(1, 7)).fit(x), DICE, support=torch.arange(1, 7)),
        Example(lambda x: Categorical([6, 1, 2, 3], 0.5).fit(x), DICE, support=DICE.unique()),
    ],
    "AdversarialAutoencoder": [Example(adversarial, PLANE)],
    "BiGAN": [Example(bigan, PLANE)],
    "BinaryDenoiser": [Example(bit_denoiser, BITS * 1.0)],
    "CausalTransformer": [of_bits(CausalTransformer, 2, 3, 8, 1, 2)],
    "ConditionalGenerator": [
        Example(
            lambda x: ConditionalGenerator(StandardNormal((2,)), net(5), classes=3).to(x.dtype),
            PLANE,
        )
    ],
    "DBM": [Example(lambda x: flow(x, DBM, 3, 4, 2), BITS * 1.0)],
    "DBN": [Example(lambda x: flow(x, belief_stack, 3, 4, 2), BITS * 1.0)],
    "DenoisingAutoencoder": [Example(plane_denoiser, PLANE)],
    "Dequantised": [
        Example(lambda x: Dequantised(flow(0.5 * x, NICE, 3, hidden=(8,)), 2), BITS, support=STATES)
    ],
    "FVBN": [of_bits(FVBN, 3)],
    "FactorAnalysis": [
        in_plane(lambda x: FactorAnalysis(1, tol=1e-6).fit(x, generator=seeded(3)), 12)
    ],
    "Flow": [in_plane(lambda x: flow(x, spline_flow, 2), 12)],
    "FullTable": [Example(lambda x: FullTable().fit(x), BITS, support=STATES)],
    "Gaussian": [
        on_line(lambda x: Gaussian().fit(x), 16),
        in_plane(lambda x: Gaussian().fit(x), 12),
    ],
    "GatedPixelCNN": [of_tiles(GatedPixelCNN), of_tiles(GatedPixelCNN, classes=2)],
    "GaussianNaiveBayes": [
        replace(on_line(lambda x: GaussianNaiveBayes().fit(x, *by_sign(x))), given=by_sign),
        replace(in_plane(lambda x: GaussianNaiveBayes(True).fit(x, *by_sign(x)), 9), given=by_sign),
    ],
    "GaussianMixture": [
        on_line(lambda x: GaussianMixture(3, floor=0.01).fit(x, generator=seeded(3))),
        *(
            in_plane(lambda x, c=c: GaussianMixture(2, c, floor=0.01).fit(x, generator=seeded(3)))
            for c in ("full", "tied", "diagonal", "spherical")
        ),
    ],
    "GenerativeStochasticNetwork": [
        Example(lambda x: GenerativeStochasticNetwork(bit_denoiser(x), x, steps=3), BITS * 1.0),
        Example(lambda x: GenerativeStochasticNetwork(plane_denoiser(x), x, steps=3), PLANE),
    ],
    "Generator": [Example(lambda x: Generator(StandardNormal((2,)), net(2)).to(x.dtype), PLANE)],
    "Glow": [Example(lambda x: flow(x, Glow, (1, 4, 4), 2, 1, 8), IMAGES)],
    "HelmholtzMachine": [of_bits(HelmholtzMachine, 3, [2])],
    "HiddenMarkovModel": [
        Example(
            lambda x: HiddenMarkovModel(2, 2, max_iterations=3).fit(x, generator=seeded(3)),
            BITS,
            support=STATES,
        )
    ],
    "Histogram": [
        on_line(lambda x: Histogram(9).fit(x), 4),
        on_line(lambda x: Histogram("loo").fit(x), 4),
        in_plane(lambda x: Histogram([7, 4], (-4.5, 4.5)).fit(x), 5),
    ],
    "IAF": [in_plane(lambda x: flow(x, IAF, 2, 2, (8,)), 12)],
    "IWAE": [Example(lambda x: coder(x, IWAE, GaussianEncoder, BernoulliDecoder, k=5), BITS * 1.0)],
    "ImageRealNVP": [Example(lambda x: flow(x, ImageRealNVP, (1, 4, 4), 2, 1, 8), IMAGES)],
    "IndependentBernoulli": [
        Example(lambda x: IndependentBernoulli().fit(x), BITS, support=STATES)
    ],
    "KDE": [
        on_line(lambda x: KDE("lscv").fit(x)),
        on_line(lambda x: KDE(0.5, "triangular").fit(x)),
        on_line(lambda x: KDE(0.5, "uniform").fit(x)),
        in_plane(lambda x: KDE("scott").fit(x)),
        in_plane(lambda x: KDE(torch.tensor([1.0, 0.5]), "epanechnikov").fit(x)),
    ],
    "KNNDensity": [
        on_line(lambda x: KNNDensity(k=5).fit(x)),
        in_plane(lambda x: KNNDensity(k=5).fit(x)),
    ],
    "LatentVariableModel": [
        on_line(lambda x: linear_decoder(x.mean()), 16),
        Example(lambda x: coins(x.double().mean(0)), BITS, support=STATES),
    ],
    "MADE": [of_bits(MADE, 3, (8,))],
    "MAF": [in_plane(lambda x: flow(x, MAF, 2, 2, (8,)), 12)],
    "MarkovChain": [Example(lambda x: MarkovChain(2, 1).fit(x), BITS, support=STATES)],
    "NADE": [of_bits(NADE, 3, 4)],
    "NICE": [in_plane(lambda x: flow(x, NICE, 2, hidden=(8,)), 12)],
    "NVIL": [Example(lambda x: coder(x, NVIL, BernoulliEncoder, BernoulliDecoder, 1), BITS * 1.0)],
    "NoiseMixture": [
        Example(
            lambda x: NoiseMixture(flow(x.double(), FVBN, 3), UniformNoise(2, (3,)), 0.5),
            BITS,
            support=STATES,
        )
    ],
    "OrderMixture": [
        Example(
            lambda x: OrderMixture(flow(x.double(), MADE, 3, (8,)), [[0, 1, 2], [2, 0, 1]]),
            BITS,
            support=STATES,
        )
    ],
    "PCASampler": [
        Example(lambda x: PCASampler(KDE("scott"), dim=2).fit(x), SPACE),
        Example(lambda x: PCASampler(Gaussian(), dim=1).fit(x), PLANE),
    ],
    "PixelCNN": [of_tiles(PixelCNN)],
    "PixelRNN": [of_tiles(PixelRNN)],
    "ProbabilisticPCA": [
        in_plane(lambda x: ProbabilisticPCA(1).fit(x), 12),
        in_plane(lambda x: ProbabilisticPCA(1, "em").fit(x, generator=seeded(3)), 12),
    ],
    "PredictabilityMinimisation": [
        Example(lambda x: flow(x, partial(PredictabilityMinimisation, nn.Linear(2, 3)), 3), PLANE)
    ],
    "RBM": [Example(lambda x: flow(x, RBM, 3, 4), BITS * 1.0)],
    "RNNDensity": [of_bits(RNNDensity, 2, 3, 8)],
    "RealNVP": [in_plane(lambda x: flow(x, RealNVP, 2, 4, (8,)), 12)],
    "SigmoidBeliefNet": [of_bits(SigmoidBeliefNet, 3, [2]), of_bits(SigmoidBeliefNet, 3, [2, 2])],
    "VAEGAN": [Example(vaegan, PLANE)],
    "Tabular": [Example(lambda x: Tabular(3, 1).fit(x), BITS, support=STATES)],
    "UniformNoise": [Example(lambda x: UniformNoise(2, (3,)), BITS, support=STATES)],
    "VAE": [
        Example(lambda x: coder(x, VAE, GaussianEncoder, BernoulliDecoder), BITS * 1.0),
        Example(lambda x: coder(x, VAE, GaussianEncoder, GaussianDecoder), PLANE),
    ],
    "WaveNet": [of_bits(WaveNet, 2, 3, 1, width=8)],
}


def having(*words: str, on: str = "") -> pytest.MarkDecorator:
    """Parametrize over the examples whose class has these methods, on a "low" or a "support"."""
    chosen = [
        pytest.param(example, id=f"{name}-{i}")
        for name, examples in EXAMPLES.items()
        for i, example in enumerate(examples)
        if name in CATALOGUE and all(hasattr(CATALOGUE[name].cls, word) for word in words)
        if not on or getattr(example, on) is not None
    ]
    return pytest.mark.parametrize("example", chosen)


def seeded(number: int) -> torch.Generator:
    return torch.Generator().manual_seed(number)


# --- The catalogue -----------------------------------------------------------------------------


def test_every_catalogued_model_has_an_example():
    assert set(EXAMPLES) == set(CATALOGUE), "add the new model to EXAMPLES"
    for name, examples in EXAMPLES.items():
        assert examples
        assert all(type(example.model) is CATALOGUE[name].cls for example in examples)


@pytest.mark.parametrize("name", sorted(CATALOGUE))
def test_an_entry_names_its_chapter_and_its_source(name):
    entry = CATALOGUE[name]
    assert entry.cls.__name__ == name
    assert importlib.util.find_spec(f"genlab.{entry.chapter}"), "no such chapter"
    assert (entry.cls.__module__ + ".").startswith(f"genlab.{entry.chapter}.")
    assert re.search(r"[A-Z]\w+.* 1[789]\d\d|[A-Z]\w+.* 20\d\d", entry.source), entry.source


def test_catalogued_enters_the_class_and_leaves_it_as_it_is(monkeypatch):
    monkeypatch.setattr(models.catalogue, "CATALOGUE", entries := {})

    class Mine:
        pass

    assert models.catalogued(chapter="density", source="Author 1999")(Mine) is Mine
    assert list(entries) == ["Mine"]
    assert entries["Mine"] == models.Entry(Mine, "density", "Author 1999")


# --- What a model can do -----------------------------------------------------------------------


@having()
def test_capabilities_of_a_model_and_of_its_class_agree(example):
    model = example.model
    words = capabilities(model)
    assert words == capabilities(type(model))
    assert ("Sampler" in words) == hasattr(model, "sample")
    assert ("Density" in words) == (hasattr(model, "sample") and hasattr(model, "log_prob"))


def test_the_taxonomy_is_told_by_the_methods():
    class Draws:
        def sample(self, n, *, generator=None):
            return torch.zeros(n)

    class Bounds(Draws):
        def elbo(self, x):
            return -x

    class Energetic(Draws):
        def energy(self, x):
            return x

    class Mute:
        def log_prob(self, x):
            return x

    assert capabilities(Draws) == ("Sampler",)
    assert capabilities(Bounds()) == ("Sampler", "LowerBound")
    assert capabilities(Energetic()) == ("Sampler", "Unnormalized")
    assert capabilities(Mute()) == capabilities(object()) == capabilities(int) == ()
    assert isinstance(Bounds(), LowerBound)
    assert not isinstance(Bounds(), Density)
    assert isinstance(Energetic(), Unnormalized)
    assert not isinstance(Mute(), Sampler)


def test_the_places_of_the_density_chapter():
    assert capabilities(KDE) == ("Sampler", "Density")
    assert capabilities(PCASampler) == ("Sampler",)
    assert capabilities(KNNDensity) == ()


# --- The laws ----------------------------------------------------------------------------------


@pytest.mark.covers("S0-13")
@having("sample", "log_prob", on="low")
def test_a_density_integrates_to_one(example):
    laws.integrates_to_one(example.model, example.low, example.high)


@having("sample", "log_prob", on="low")
def test_draws_follow_the_density(example, g):
    laws.samples_follow(example.model, example.low, example.high, generator=g)


@pytest.mark.covers("S0-13")
@having("sample", "log_prob", on="support")
def test_probabilities_sum_to_one(example):
    laws.sums_to_one(example.model, example.support)


@having("sample", "log_prob", on="support")
def test_draws_have_the_frequencies_of_their_probabilities(example, g):
    n, model = 20_000, example.model
    seen = Counter(map(str, model.sample(n, generator=g).tolist()))
    observed = [seen.pop(str(state), 0) for state in example.support.tolist()]
    assert not seen, "draws outside the support"
    expected = n * model.log_prob(example.support).detach().exp()
    possible = expected > 0
    assert torch.tensor(observed)[~possible].sum() == 0
    counts = torch.tensor(observed).double()[possible]
    assert (expected[possible] > 10).all()
    assert chisquare(counts.numpy(), expected[possible].numpy()).pvalue > 1e-4


def test_every_density_has_a_box_or_a_support():
    for name, examples in EXAMPLES.items():
        if "Density" in capabilities(CATALOGUE[name].cls):
            for example in examples:
                known = (example.low is not None) + (example.support is not None)
                # No grid holds an image of floats; a flow of such is judged by its Jacobian.
                small = len(example.event) < 2 or not example.data.is_floating_point()
                assert known == small, name


@having("sample")
def test_the_generator_alone_decides_the_draws(example, g):
    x = laws.speaks_sampler(example.model, 50, generator=g)
    assert tuple(x.shape) == (50, *example.event)
    assert x.dtype == example.data.dtype
    assert not torch.equal(x, example.model.sample(50, generator=seeded(1)))


@having("sample")
def test_the_global_state_is_left_alone(example, g):
    model, before = example.model, torch.get_rng_state()
    model.sample(100, generator=g)
    if hasattr(model, "log_prob"):
        model.log_prob(example.data[:1] + (0 if example.support is not None else 0.01))
    assert torch.equal(torch.get_rng_state(), before)


@having("sample")
def test_without_a_generator_the_global_one_is_used(example):
    model = example.model
    with torch.random.fork_rng():
        torch.manual_seed(3)
        first, second = model.sample(20), model.sample(20)
        torch.manual_seed(3)
        assert torch.equal(first, model.sample(20))
    assert not torch.equal(first, second)


# --- Numbers, shapes, types --------------------------------------------------------------------


@having("log_prob", on="low")
def test_log_prob_is_a_number_or_minus_infinity_however_far_out(example):
    model = example.model
    size = torch.logspace(-3, 6, 64, dtype=torch.float64)
    far = torch.cat([size, -size, torch.tensor([1e6, -1e6])]) + math.pi / 100
    x = far if not example.event else torch.cartesian_prod(*[far[::4]] * example.event[0])
    log_p = model.log_prob(x)
    assert tuple(log_p.shape) == (len(x),)
    assert not log_p.isnan().any()
    assert (log_p < math.inf).all()
    assert (log_p > -math.inf).any()
    # A million away there is less than nearby.
    assert model.log_prob(torch.full((1, *example.event), 1e6).double()) < log_p.max() - 5


@having("log_prob")
def test_float64_in_gives_float64_out_in_one_value_a_point(example):
    x = example.data[:5].double() + (0.013 if example.support is None else 0)
    log_p = example.model.log_prob(x)
    assert log_p.dtype == torch.float64
    assert tuple(log_p.shape) == (5,)
    one = torch.cat([example.model.log_prob(x[i : i + 1]) for i in range(5)])
    assert torch.allclose(one, log_p, rtol=1e-12), "a value depends on its neighbours in the batch"


@having("log_prob", on="low")
def test_float32_in_gives_float32_out(example):
    x, model = example.data[:7] + 0.013, example.model
    network = isinstance(model, nn.Module)  # it computes in the dtype of its weights
    log_p = (model.float() if network else model).log_prob(x.float())
    assert log_p.dtype == torch.float32
    # Rounding x moves log p by its slope times 1e-7; a jump is not met at these points.
    truth = example.model.log_prob(x.float().double())
    assert torch.allclose(log_p.double(), truth, rtol=1e-5 if network else 1e-6)


@having("sample")
def test_draws_have_the_dtype_of_floating_data(example, g):
    if example.support is not None:
        assert example.model.sample(3, generator=g).dtype == torch.int64
    else:
        for dtype in (torch.float32, torch.float64):
            assert example.fit(example.data.to(dtype)).sample(3, generator=g).dtype == dtype


@having("log_prob")
def test_whole_numbers_are_points_too(example):
    x = example.data[:3].round().long()
    log_p = example.model.log_prob(x)
    assert log_p.dtype == torch.float64
    assert torch.equal(log_p, example.model.log_prob(x.double()))


@having("log_prob")
def test_no_points_give_no_values(example):
    empty = torch.empty(0, *example.event, dtype=torch.float64)
    assert tuple(example.model.log_prob(empty).shape) == (0,)


@having("sample")
def test_no_draws_have_the_shape_of_a_draw(example, g):
    assert tuple(example.model.sample(0, generator=g).shape) == (0, *example.event)
    assert tuple(example.model.sample(1, generator=g).shape) == (1, *example.event)


@having("log_prob")
def test_points_of_another_shape_are_refused(example):
    model, event = example.model, example.event
    batch = f"(batch, {', '.join(map(str, event))})" if event else "(batch,)"
    with pytest.raises(ValueError, match=re.escape(f"Expected points of shape {batch}, got")):
        model.log_prob(torch.zeros(2, *event, 1))
    with pytest.raises(ValueError, match=r"needs its batch axis: x\[None\]"):
        model.log_prob(torch.zeros(event))
    for other in {1, 2, 3} - set(event):
        with pytest.raises(ValueError, match="Expected points of shape"):
            model.log_prob(torch.zeros(4, other))


@having("log_prob")
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_points_that_are_no_numbers_are_refused(example, bad):
    x = torch.zeros(4, *example.event, dtype=torch.float64)
    x.reshape(4, -1)[2, -1] = bad
    with pytest.raises(ValueError, match=r"1 of 4 rows of the points are NaN .* row 2"):
        example.model.log_prob(x)


@having("sample")
@pytest.mark.parametrize("n", [-1, 2.0, True, None])
def test_a_bad_number_of_draws_is_refused(example, n, g):
    before = g.get_state()
    with pytest.raises(ValueError, match="Expected a number of draws n >= 0 as an int"):
        example.model.sample(n, generator=g)
    assert torch.equal(g.get_state(), before), "refused only after drawing"


@having("fit")
def test_the_data_are_not_changed_and_a_second_fit_forgets_the_first(example, g):
    data = example.data.clone()
    model = example.fit(data)
    assert torch.equal(data, example.data)
    part = example.data[: len(data) * 2 // 3]
    random = "generator" in inspect.signature(model.fit).parameters
    again = model.fit(part, *example.given(part), **({"generator": seeded(3)} if random else {}))
    assert again is model
    assert said(model, example) == said(example.fit(part), example)
    assert said(model, example) != said(example.model, example)


def said(model, example: Example) -> list:
    """What a model answers on a few points, or draws where it evaluates nothing."""
    if not hasattr(model, "log_prob"):
        return model.sample(9, generator=seeded(2)).tolist()
    return model.log_prob(example.data[:5] + (0 if example.support is not None else 0.013)).tolist()


# --- The checks that models share --------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_training_data_keeps_a_floating_dtype(dtype):
    x = torch.ones(3, 2, dtype=dtype)
    assert training_data(x) is x
    assert query_points(x, (2,)) is x


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int32, torch.int64, torch.bool])
def test_integers_become_float64(dtype):
    x = torch.ones(3, dtype=dtype)
    assert training_data(x).dtype == query_points(x, ()).dtype == torch.float64
    assert torch.equal(training_data([1, 2]), torch.tensor([1.0, 2.0]).double())


@pytest.mark.parametrize(
    ("x", "sentence"),
    [
        (torch.tensor(1.0), r"Expected data of shape \(n,\) or \(n, d\), got \(\)"),
        (torch.zeros(5, 2, 3), r"got \(5, 2, 3\)\. Flatten each .* x\.reshape\(len\(x\), -1\)"),
        (torch.zeros(0), r"Expected at least one row of data, got shape \(0,\)"),
        (torch.zeros(0, 3), r"Expected at least one row of data, got shape \(0, 3\)"),
        (torch.zeros(3, 0), r"Expected at least one row of data, got shape \(3, 0\)"),
        (torch.tensor([0.0, math.nan, 1.0, math.inf]), "2 of 4 rows of the data .* is row 1"),
        (
            torch.tensor([[0.0, 1.0], [math.inf, math.nan]]),
            r"1 of 2 rows .* row 1\. Remove or impute",
        ),
    ],
)
def test_training_data_says_what_is_wrong(x, sentence):
    with pytest.raises(ValueError, match=sentence):
        training_data(x)


def test_the_advice_on_bad_rows_helps():
    line, plane = torch.tensor([0.0, math.nan, 2.0]), torch.tensor([[0.0, 1.0], [math.inf, 1.0]])
    assert torch.equal(training_data(line[line.isfinite()]), torch.tensor([0.0, 2.0]))
    assert torch.equal(training_data(plane[plane.isfinite().all(1)]), torch.tensor([[0.0, 1.0]]))


@pytest.mark.parametrize(
    ("shape", "event", "wanted"),
    [
        ((3, 1), (2,), r"\(batch, 2\)"),
        ((3, 1), (), r"\(batch,\)"),
        ((3,), (3,), r"\(batch, 3\).* needs its batch axis"),
        ((), (), r"\(batch,\).* needs its batch axis"),
        ((2, 28, 27), (28, 28), r"\(batch, 28, 28\)"),
    ],
)
def test_query_points_says_which_shape(shape, event, wanted):
    with pytest.raises(ValueError, match=f"Expected points of shape {wanted}"):
        query_points(torch.zeros(shape), event)


def test_query_points_of_images():
    x = torch.zeros(2, 1, 4, 4)
    assert query_points(x, (1, 4, 4)) is x
    x[1, 0, 2, 3] = math.nan
    with pytest.raises(ValueError, match=r"1 of 2 rows of the points .* row 1"):
        query_points(x, (1, 4, 4))


@pytest.mark.parametrize("event", [(), (3,), (1, 4, 4)])
def test_query_points_may_be_none_at_all(event):
    x = torch.zeros(0, *event)
    assert query_points(x, event) is x


def test_sample_size():
    assert [sample_size(n) for n in (0, 1, 10**9)] == [0, 1, 10**9]
    for n in (-1, 1.0, True, "3", None, torch.tensor(3)):
        with pytest.raises(ValueError, match=re.escape(f"got {n!r}")):
            sample_size(n)
