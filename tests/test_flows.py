"""Chapter 06: change of variables and the layers of flows, each theorem as a test."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.stats import kstest, norm
from torch import Tensor, nn
from torch.distributions import (
    Chi2,
    Laplace,
    LogNormal,
    MultivariateNormal,
    Normal,
    kl_divergence,
)

from genlab import laws
from genlab.density import inverse_cdf
from genlab.em import GaussianMixture
from genlab.flows import (
    ActNorm,
    AdditiveCoupling,
    AffineCoupling,
    AugmentedFlow,
    BoxMuller,
    Compose,
    Contraction,
    Flow,
    GaussianMargins,
    Inverse,
    InvertibleConv,
    KnotheRosenblatt,
    LUConv,
    MultiScale,
    Permutation,
    ResidualBlock,
    Scaling,
    SplineCoupling,
    Squeeze,
    StandardNormal,
    Transform,
    Turns,
    UnitCube,
    bits_per_dim,
    conv_net,
    data_dependent_start,
    fixed_point,
    glow_step,
    log_pushforward,
    rational_quadratic,
)
from genlab.laws import LawBroken
from genlab.nets import MLP

DOUBLE = torch.float64


def randn(*shape: int, g: torch.Generator) -> Tensor:
    return torch.randn(shape, dtype=DOUBLE, generator=g)


def numbers(*values: float) -> Tensor:
    return torch.tensor(values, dtype=DOUBLE)


def seeded(number: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(number)


def net(n_in: int, n_out: int, seed: int = 0, activation: type[nn.Module] = nn.Tanh) -> nn.Module:
    return MLP(n_in, n_out, (8,), activation=activation, generator=seeded(seed))


class Fixed(nn.Module):
    """A network that is a formula."""

    def __init__(self, function: Callable[[Tensor], Tensor]):
        super().__init__()
        self.function = function

    def forward(self, u: Tensor) -> Tensor:
        return self.function(u)


def moved(transform: Transform, seed: int = 3) -> Transform:
    """The transform with its parameters pushed away from where they start."""
    g = seeded(seed)
    with torch.no_grad():
        for w in transform.parameters():
            w += 0.3 * torch.randn(w.shape, generator=g)
    return transform


def couplings_of_five() -> list[AffineCoupling]:
    """With bounds other than 1 too, in halves of 2 and 3."""
    return [
        AffineCoupling((5,), net(2, 6), bound=0.5),
        AffineCoupling((5,), net(3, 4, 1), first=False),
        AffineCoupling((5,), net(2, 6, 2)),
    ]


COUNTS = torch.randint(0, 4, (50, 2), generator=seeded(1))
MIXTURE = (
    [0.3, 0.7],
    [[-2.0, 0.0], [1.0, 1.0]],
    [[[0.5, 0.2], [0.2, 0.4]], [[1.0, -0.6], [-0.6, 0.8]]],
)

TRANSFORMS: dict[str, Callable[[], Transform]] = {
    "ActNorm": lambda: moved(ActNorm((3, 2, 2))),
    "ActNorm of vectors": lambda: moved(ActNorm((3,))),
    "AdditiveCoupling": lambda: AdditiveCoupling((5,), net(2, 3)),
    "AdditiveCoupling, last": lambda: AdditiveCoupling((5,), net(3, 2), first=False),
    "AffineCoupling": lambda: moved(AffineCoupling((5,), net(2, 6))),
    "AffineCoupling of channels": lambda: AffineCoupling(
        (4, 2, 3), conv_net(2, 4, 8, generator=seeded()), first=False
    ),
    "BoxMuller": BoxMuller,
    "Compose": lambda: Compose(
        moved(ActNorm((4,))),
        Permutation([2, 0, 3, 1]),
        AffineCoupling((4,), net(2, 4)),
        moved(Scaling((4,))),
    ),
    "GaussianMargins": lambda: GaussianMargins(COUNTS, levels=4),
    "Inverse": lambda: Inverse(moved(AffineCoupling((5,), net(2, 6)))),
    "InvertibleConv": lambda: moved(InvertibleConv((3, 2, 2), generator=seeded())),
    "InvertibleConv of vectors": lambda: InvertibleConv((4,), generator=seeded()),
    "KnotheRosenblatt": lambda: KnotheRosenblatt(*MIXTURE),
    "LUConv": lambda: moved(LUConv((3, 2, 2), generator=seeded())),
    "MultiScale": lambda: MultiScale(
        Compose(Squeeze((1, 4, 4)), moved(glow_step((4, 2, 2), 8, seeded()))), Squeeze((2, 2, 2))
    ),
    "MultiScale, three stages": lambda: MultiScale(
        Squeeze((1, 8, 8)), Squeeze((2, 4, 4)), Squeeze((4, 2, 2))
    ),
    "Permutation": lambda: Permutation([2, 0, 1], (2,)),
    "ResidualBlock": lambda: ResidualBlock(3, Contraction(3, (8,), generator=seeded())),
    "Scaling": lambda: moved(Scaling((2, 3))),
    "SplineCoupling": lambda: moved(SplineCoupling((5,), net(2, 33), bins=4)),
    "Squeeze": lambda: Squeeze((2, 4, 6)),
    "Turns": lambda: Turns(*couplings_of_five()),
    "Turns of channels": lambda: Turns(
        AdditiveCoupling((4, 2, 3), conv_net(2, 2, 8, generator=seeded())),
        AffineCoupling((4, 2, 3), conv_net(2, 4, 8, generator=seeded(1)), first=False),
    ),
    "glow_step": lambda: moved(glow_step((4, 2, 2), 8, seeded())),
    "glow_step, three channels": lambda: moved(glow_step((3, 2, 2), 8, seeded())),
}


def points(transform: Transform, n: int = 7, seed: int = 5) -> Tensor:
    """Points at which a transform is asked: inside its support, where it has one."""
    if isinstance(transform, GaussianMargins):
        return 4 * torch.rand((n, 2), dtype=DOUBLE, generator=seeded(seed))
    return 1.5 * randn(n, *transform.event, g=seeded(seed))


each_transform = pytest.mark.parametrize("name", TRANSFORMS)
# Knothe and Rosenblatt's map is computed in double precision, whatever comes in.
each_in_single = pytest.mark.parametrize("name", [n for n in TRANSFORMS if n != "KnotheRosenblatt"])


# --- The laws, over every transform --------------------------------------------------------------


@pytest.mark.proves("prop-inverse-log-det")
@pytest.mark.covers("S4-56", "S4-57")
@each_transform
def test_the_inverse_leads_back_and_the_log_determinants_cancel(name):
    t = TRANSFORMS[name]().double()
    x = points(t)
    laws.inverts(t, x, tolerance=1e-8 if name == "ResidualBlock" else 1e-10)
    z = t(x)[0].detach()
    laws.inverts(Inverse(t), z, tolerance=1e-8)
    assert z.shape[1:] == t.latent


@each_in_single
def test_in_single_precision_the_inverse_is_as_good_as_single_precision_is(name):
    t = TRANSFORMS[name]()
    laws.inverts(t, points(t).float(), tolerance=2e-5)


@pytest.mark.proves("thm-change-of-variables")
@pytest.mark.covers("S2-09", "S4-55")
@each_transform
def test_the_log_determinant_is_that_of_autograds_jacobian(name):
    t = TRANSFORMS[name]().double()
    laws.log_det_agrees(t, points(t), tolerance=1e-9)


@each_in_single
def test_double_precision_stays_and_single_stays(name):
    for dtype in (torch.float64, torch.float32):
        t = TRANSFORMS[name]().to(dtype)
        z, log_det = t(points(t).to(dtype))
        x, back = t.inverse(z)
        assert {v.dtype for v in (z, log_det, x, back)} == {dtype}
        assert log_det.shape == back.shape == (7,)


@pytest.mark.parametrize("name", [n for n, t in TRANSFORMS.items() if list(t().parameters())])
def test_every_parameter_gets_a_gradient(name):
    t = TRANSFORMS[name]().double()
    z, log_det = t(points(t))
    (0.5 * (z**2).reshape(len(z), -1).sum(1) - log_det).sum().backward()
    assert not [n for n, w in t.named_parameters() if w.grad is None or not w.grad.any()]


@each_transform
def test_wrong_shapes_are_refused_and_no_rows_are_no_rows(name):
    t = TRANSFORMS[name]()
    dtype = DOUBLE if name == "KnotheRosenblatt" else torch.float32
    d, *rest = t.event
    wrong = [(4, d + 1, *rest), (4, d - 1, *rest), (4, 1, *rest), (d, *rest)]
    for shape in [s for s in wrong if s[1:] != t.event]:
        for direction in (t, t.inverse):
            with pytest.raises(ValueError, match="Expected points of shape"):
                direction(torch.zeros(shape, dtype=dtype))
    z, log_det = t(torch.zeros((0, *t.event), dtype=dtype))
    assert (z.shape, log_det.shape) == ((0, *t.latent), (0,))
    x, log_det = t.inverse(torch.zeros((0, *t.latent), dtype=dtype))
    assert (x.shape, log_det.shape) == ((0, *t.event), (0,))


@each_transform
def test_far_out_nothing_is_nan(name):
    t = TRANSFORMS[name]().double()
    for size in (0.0, 1e-6, 1e3, 1e6):
        x = size * points(t).sign()
        z, log_det = t(x)
        assert not z.isnan().any()
        if name != "GaussianMargins":  # its density is 0 there
            assert log_det.isfinite().all()


@each_transform
def test_the_state_goes_round_and_the_result_is_the_same_to_the_bit(name):
    t, other = moved(TRANSFORMS[name](), 11), TRANSFORMS[name]()
    other.load_state_dict(t.state_dict())
    x = points(t).float() if name != "KnotheRosenblatt" else points(t)
    assert torch.equal(t(x)[0], other(x)[0])


# --- Triangular maps -----------------------------------------------------------------------------


@pytest.mark.proves("prop-triangular")
@pytest.mark.covers("S4-55", "S2-14")
def test_the_determinant_of_a_triangular_jacobian_is_the_product_of_its_diagonal(g):
    map_ = KnotheRosenblatt(*MIXTURE)
    y = randn(6, 2, g=g)
    laws.is_triangular(map_, y)
    diagonal = laws.jacobian(map_, y).diagonal(dim1=1, dim2=2)
    assert torch.allclose(diagonal.log().sum(1), map_(y)[1], atol=1e-10)
    # Couplings are triangular in the order in which the half that passes stands first.
    for first, order in ((True, range(5)), (False, [2, 3, 4, 0, 1])):
        sizes = (2, 6) if first else (3, 4)
        laws.is_triangular(
            AffineCoupling((5,), net(*sizes), first=first).double(), randn(3, 5, g=g), order
        )
    # A 1 × 1 convolution is not (E72).
    with pytest.raises(LawBroken):
        laws.is_triangular(InvertibleConv((3,), generator=seeded()).double(), randn(3, 3, g=g))


# --- Change of variables -------------------------------------------------------------------------


@pytest.mark.proves("prop-change-1d")
@pytest.mark.covers("S2-08")
def test_the_exponential_of_a_normal_number_is_lognormal():
    x = torch.linspace(0.05, 8, 200, dtype=DOUBLE)
    found = log_pushforward(Normal(numbers(0.3)[0], 0.7).log_prob, [torch.log], x)
    assert (found - LogNormal(numbers(0.3)[0], 0.7).log_prob(x)).abs().max() < 1e-12


@pytest.mark.covers("E57")
def test_without_the_absolute_value_a_falling_map_has_a_negative_density():
    zero = numbers(0.0)
    log_normal = Normal(zero[0], 1.0).log_prob
    right = log_pushforward(log_normal, [lambda x: -x], zero).exp()
    assert float(right) == pytest.approx(0.3989, abs=5e-5)
    printed = log_normal(zero).exp() / laws.jacobian(lambda z: -z, zero)[:, 0, 0]  # no bars
    assert float(printed) == pytest.approx(-0.3989, abs=5e-5)
    # In the plane: a reflection has determinant −1; |det| is 1.
    flip = Permutation([1, 0]).double()
    x = numbers(0.2, 1.0)[None]
    assert float(torch.linalg.det(laws.jacobian(flip, x))) == -1
    assert float(flip(x)[1]) == 0


@pytest.mark.proves("thm-branches")
@pytest.mark.covers("S2-10")
def test_a_map_with_two_branches_needs_both():
    log_normal = Normal(numbers(0.0)[0], 1.0).log_prob
    both = [torch.sqrt, lambda x: -torch.sqrt(x)]
    x = torch.linspace(0.1, 9, 50, dtype=DOUBLE)
    truth = Chi2(numbers(1.0)[0]).log_prob(x)
    assert (log_pushforward(log_normal, both, x) - truth).abs().max() < 1e-12
    one = log_pushforward(log_normal, both[:1], x)
    assert torch.allclose((truth - one).exp(), torch.full_like(x, 2.0))

    # With a base that is not even the branches differ; the mass is that of both.
    class Square:
        def __init__(self, branches):
            self.branches = branches

        def log_prob(self, y):  # of t = √x, so that nothing is infinite: dx = 2t dt
            base = Normal(numbers(0.5)[0], 1.0).log_prob
            return log_pushforward(base, self.branches, y**2) + (2 * y).log()

    assert laws.integrates_to_one(Square(both), 1e-9, 9.0) == pytest.approx(1, abs=1e-6)
    with pytest.raises(LawBroken, match=r"integrates to 0\.6915"):
        laws.integrates_to_one(Square(both[:1]), 1e-9, 9.0)
    # Where no z leads to x the density is 0: √ of a negative number is NaN.
    assert log_pushforward(log_normal, both, numbers(-1.0)).item() == -math.inf


@pytest.mark.covers("S2-10", "E58")
def test_each_condition_of_the_theorem_is_needed():
    log_normal = Normal(numbers(0.0)[0], 1.0).log_prob
    # Not differentiable in both directions: x = z³ has a density that is infinite at 0.
    cube_root = lambda x: x.sign() * x.abs() ** (1 / 3)
    x = numbers(1e-12, 1e-6)
    near = log_pushforward(log_normal, [cube_root], x).exp()
    assert near[0] > 1e6
    assert near[0] / near[1] == pytest.approx(1e4, rel=1e-3)
    assert log_pushforward(log_normal, [cube_root], numbers(0.0)).isnan()  # and has no slope there
    # A constant map has no branch that autograd can follow.
    with pytest.raises(ValueError, match="does not depend on x"):
        log_pushforward(log_normal, [lambda x: numbers(1.0)], x)
    with pytest.raises(ValueError, match="one branch or more"):
        log_pushforward(log_normal, [], x)
    with pytest.raises(ValueError, match=r"shape \(batch,\)"):
        log_pushforward(log_normal, [torch.log], torch.ones(2, 2))


@pytest.mark.proves("prop-box-muller")
@pytest.mark.covers("S4-54")
def test_box_muller_turns_the_square_into_the_normal_plane(g):
    u = numbers(0.3, 0.6)[None]
    x, log_det = BoxMuller().inverse(u)
    log_p = MultivariateNormal(torch.zeros(2).double(), torch.eye(2).double()).log_prob
    assert float(-log_det) == pytest.approx(float(log_p(x)), abs=1e-12)
    model = Flow(UnitCube((2,)), BoxMuller())
    y = 2 * randn(100, 2, g=g)
    assert (model.log_prob(y) - log_p(y)).abs().max() < 1e-12
    assert float(model.log_prob(numbers(1e6, -1e6)[None])) == pytest.approx(-1e12)
    draws = model.sample(20_000, generator=g)
    for column in (draws[:, 0], draws[:, 1], draws.sum(1) / 2**0.5):
        assert kstest(column.numpy(), norm.cdf).pvalue > 1e-4


@pytest.mark.covers("S2-07")
def test_draws_through_a_generator_follow_the_density_of_the_flow(g):
    model = Flow(StandardNormal((2,)), moved(pair_of_couplings(), 8)).double()
    laws.samples_follow(model, [-6.0, -6.0], [6.0, 6.0], generator=g)
    z = model.base.sample(500, generator=seeded(4))
    assert torch.equal(model.transform.inverse(z)[0], model.sample(500, generator=seeded(4)))


def pair_of_couplings() -> Compose:
    return Compose(
        AffineCoupling((2,), net(1, 2, 1)), AffineCoupling((2,), net(1, 2, 2), first=False)
    )


@pytest.mark.proves("thm-knothe-rosenblatt")
@pytest.mark.covers("S4-58", "E72")
def test_a_triangular_map_takes_any_mixture_to_the_normal_law(g):
    t = KnotheRosenblatt(*MIXTURE)
    weights, means, covariances = (torch.tensor(v, dtype=DOUBLE) for v in MIXTURE)
    k = torch.multinomial(weights, 20_000, replacement=True, generator=g)
    L = torch.linalg.cholesky(covariances)
    x = means[k] + (L[k] @ randn(20_000, 2, 1, g=g))[..., 0]
    z = t(x)[0]
    for column in z.T:
        assert kstest(column.numpy(), norm.cdf).pvalue > 1e-4
    assert abs(float(torch.corrcoef(z.T)[0, 1])) < 4 / 20_000**0.5
    assert abs(float(torch.corrcoef((z**2).T)[0, 1])) < 4 / 20_000**0.5
    model = Flow(StandardNormal((2,)), t)
    parts = MultivariateNormal(means, covariances).log_prob(x[:, None])
    log_p = (parts + weights.log()).logsumexp(1)
    assert (model.log_prob(x) - log_p).abs().max() < 1e-9
    laws.samples_follow(model, [-6.0, -4.0], [6.0, 5.0], n=4000, generator=g)
    # In both tails the way back is as good as in the middle.
    tails = numbers(-9, 8, 9, -8).reshape(2, 2)
    laws.inverts(t, tails, tolerance=1e-9)
    # Far out z is held where float64 ends, and the density is still exact.
    assert float(model.log_prob(numbers(1e6, 0.0)[None])) == pytest.approx(-1.8e12, rel=0.6)


@pytest.mark.covers("E72")
def test_the_triangular_map_of_a_law_that_is_not_gaussian(g):
    # y₁ exponential, y₂ = y₁² + Laplace noise.
    n = 20_000
    y1 = -torch.log1p(-torch.rand(n, dtype=DOUBLE, generator=g))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        noise = Laplace(numbers(0.0)[0], numbers(1.0)[0]).sample((n,))
    z1 = torch.special.ndtri(-torch.expm1(-y1))
    z2 = torch.special.ndtri(Laplace(y1**2, 1.0).cdf(y1**2 + noise))
    for z in (z1, z2):
        assert kstest(z.numpy(), norm.cdf).pvalue > 1e-3
    assert abs(float(torch.corrcoef(torch.stack([z1, z2]))[0, 1])) < 4 / n**0.5


@pytest.mark.covers("S4-58")
def test_knothe_rosenblatt_has_its_slope_at_a_median_too():
    line = KnotheRosenblatt([1.0], torch.tensor([[0.5]]), torch.tensor([[[4.0]]]))
    x = torch.tensor([[0.5], [0.75]], dtype=DOUBLE)  # exact in binary: a true tie of the tails
    laws.log_det_agrees(line, x)


@pytest.mark.parametrize("base", [StandardNormal((2,)), UnitCube((2,))])
def test_a_base_refuses_points_of_another_shape(base):
    # (4, 1) against two entries would be summed in silence, and (2,) is no batch.
    for shape in ((4, 3), (4, 1), (2,), (), (0, 3), (4, 2, 1)):
        with pytest.raises(ValueError, match=r"points of shape \(batch, 2\)"):
            base.log_prob(torch.zeros(shape))
    assert base.log_prob(torch.zeros(0, 2)).shape == (0,)


def test_the_unit_cube_draws_no_zero(monkeypatch):
    # torch.rand draws from [0, 1), and Box and Muller take the logarithm.
    monkeypatch.setattr(torch, "rand", lambda size, **_: torch.zeros(size))
    assert torch.equal(UnitCube((2,)).sample(3), torch.ones(3, 2))


def test_where_a_density_is_zero_it_says_so_and_not_a_number():
    assert UnitCube((1,)).log_prob(torch.tensor([[math.nan], [0.5]])).tolist() == [-math.inf, 0]
    square = UnitCube((2,)).log_prob(torch.tensor([[0.5, 1.5], [-0.5, 0.5], [0.0, 1.0]]))
    assert square.tolist() == [-math.inf, -math.inf, 0]
    at_zero = log_pushforward(Normal(0.0, 1.0).log_prob, [torch.log], torch.tensor([0.0, 1.0]))
    assert at_zero.tolist() == pytest.approx([-math.inf, -0.5 * math.log(2 * math.pi)])


def test_one_component_of_knothe_rosenblatt_is_the_cholesky_map(g):
    covariance = torch.tensor([[2.0, 0.6, 0.1], [0.6, 1.0, 0.3], [0.1, 0.3, 0.5]]).double()
    t = KnotheRosenblatt([1.0], numbers(1, -1, 2)[None], covariance[None])
    L = torch.linalg.cholesky(covariance)
    z = randn(50, 3, g=g)
    x = numbers(1, -1, 2) + z @ L.T
    assert (t(x)[0] - z).abs().max() < 1e-10
    assert torch.allclose(t(x)[1], -L.diagonal().log().sum().expand(50), atol=1e-10)
    assert laws.inverts(t, x, 1e-9) < 1e-8


def test_knothe_rosenblatt_refuses_what_is_no_mixture():
    eye = torch.eye(2)
    with pytest.raises(ValueError, match="sum to 1"):
        KnotheRosenblatt([0.5], [[0.0, 0.0]], eye[None])
    with pytest.raises(ValueError, match=r"weights \(K,\)"):
        KnotheRosenblatt([1.0], [0.0, 0.0], eye[None])
    with pytest.raises(ValueError, match="component 0 is not positive"):
        KnotheRosenblatt([1.0], [[0.0, 0.0]], -eye[None])
    with pytest.raises(ValueError, match=r"weights \(K,\)"):
        KnotheRosenblatt([], torch.zeros(0, 2), torch.zeros(0, 2, 2))
    zero, nan = torch.zeros(1, 2), torch.tensor([[0.0, math.nan]])
    for name, law in {
        "weights": ([math.nan], zero, eye[None]),
        "means": ([1.0], nan, eye[None]),
        "covariances": ([1.0], zero, math.inf * eye[None]),
    }.items():
        with pytest.raises(ValueError, match=f"Expected finite {name}"):
            KnotheRosenblatt(*law)


def test_knothe_rosenblatt_refuses_a_covariance_that_is_not_symmetric(g):
    # Half of it would be used, and the other half passed over in silence.
    zero, right = torch.zeros(2, 2), torch.tensor([[2.0, 0.5], [0.5, 1.0]])
    wrong = torch.tensor([[2.0, 0.5], [0.4, 1.0]])
    with pytest.raises(ValueError, match=r"component 1 is not symmetric: .* by 0\.1 "):
        KnotheRosenblatt([0.5, 0.5], zero, torch.stack([right, wrong]))
    A = torch.randn(2, 5, 5, generator=g)
    rounded = A @ A.mT + torch.eye(5)  # in single precision, and symmetric up to that
    KnotheRosenblatt([0.5, 0.5], torch.zeros(2, 5), rounded + 1e-7 * torch.randn(5, 5, generator=g))


@pytest.mark.covers("E69")
def test_a_mean_is_normal_only_under_conditions_and_only_when_scaled(g):
    iqr = lambda v: float(torch.quantile(v, 0.75) - torch.quantile(v, 0.25))
    uniform = torch.rand(4000, 1000, dtype=DOUBLE, generator=g)
    cauchy = torch.tan(math.pi * (uniform - 0.5))
    # The mean of n Cauchy numbers is Cauchy again: its quartiles are at ±1 for every n.
    found = [iqr(cauchy[:, :n].mean(1)) for n in (1, 10, 100, 1000)]
    error = math.pi * math.sqrt(3 / 16) * 2 / 4000**0.5  # standard error of each quartile, about
    assert max(abs(v - 2) for v in found) < 5 * error
    # With a variance it works, if the sum is centred and scaled by √n; else it collapses.
    exponential = -torch.log1p(-uniform)
    means = exponential.mean(1)
    assert iqr(means) < 0.05 < 1 < iqr(exponential[:, 0])
    assert kstest((1000**0.5 * (means - 1)).numpy(), norm.cdf).pvalue > 1e-3


# --- Nonlinear ICA -------------------------------------------------------------------------------


@pytest.mark.proves("prop-ica-not-identified")
@pytest.mark.covers("S0-22", "E56")
def test_a_rotation_of_the_base_changes_the_latents_and_not_the_density(g):
    class Sinh(Transform):
        def forward(self, x):
            return x.asinh(), -0.5 * torch.log1p(x**2).sum(1)

        def inverse(self, z):
            return z.sinh(), z.cosh().log().sum(1)

    A = torch.from_numpy(np.random.default_rng(0).normal(size=(2, 2)))
    c, s = math.cos(0.7), math.sin(0.7)
    R = torch.tensor([[c, -s], [s, c]], dtype=DOUBLE)
    one = Flow(
        StandardNormal((2,)), Compose(Sinh((2,)), InvertibleConv((2,), A.inverse()).double())
    )
    turned = InvertibleConv((2,), R.T @ A.inverse()).double()
    other = Flow(StandardNormal((2,)), Compose(Sinh((2,)), turned)).double()
    one = one.double()
    for transform in (one.transform, other.transform):
        laws.log_det_agrees(transform, randn(9, 2, g=g))
    x = randn(500, 2, g=g)
    assert (one.log_prob(x) - other.log_prob(x)).abs().max() < 1e-12
    apart = (one.transform(x)[0] - other.transform(x)[0]).abs().max()
    assert apart > 1
    # With another base than the normal, one that is not the same in all directions, it is seen.
    logistic = lambda z: (-z - 2 * torch.nn.functional.softplus(-z)).sum(1)
    seen = [logistic(f.transform(x)[0]) + f.transform(x)[1] for f in (one, other)]
    assert (seen[0] - seen[1]).abs().max() > 0.01


@pytest.mark.proves("prop-ica-not-identified")
@pytest.mark.covers("E56")
def test_any_map_that_keeps_the_base_changes_the_latents_and_not_the_density(g):
    # Not only rotations: an angle that depends on the radius keeps N(0, I) too.
    class Swirl(Transform):
        def forward(self, x):
            return self._turned(x, 1.0), x.new_zeros(len(x))

        def inverse(self, z):
            return self._turned(z, -1.0), z.new_zeros(len(z))

        def _turned(self, x, sign):
            a = sign * (x**2).sum(1)
            c, s = a.cos(), a.sin()
            return torch.stack([c * x[:, 0] - s * x[:, 1], s * x[:, 0] + c * x[:, 1]], 1)

    x = randn(200, 2, g=g)
    laws.inverts(Swirl((2,)), x)
    laws.log_det_agrees(Swirl((2,)), x)
    model = Flow(StandardNormal((2,)), Swirl((2,)))
    assert (model.log_prob(x) - StandardNormal((2,)).log_prob(x)).abs().max() < 1e-12


@pytest.mark.covers("S0-24", "E70")
def test_x_and_z_have_the_same_number_of_dimensions_or_the_constructor_refuses():
    class Shrink(Transform):
        def forward(self, x):
            return x[:, :1], x[:, 0]

        def inverse(self, z):
            return z.expand(-1, 2), z[:, 0]

    with pytest.raises(ValueError, match="as many numbers in z as in x"):
        Shrink((2,), (1,))
    with pytest.raises(ValueError, match="same number of dimensions"):
        Flow(StandardNormal((3,)), Scaling((2,)))
    # A push-forward of fewer dimensions lies on a curve: its Jacobian has no determinant.
    x = torch.zeros(1, 2, dtype=DOUBLE)
    with pytest.raises(LawBroken, match="from 2 to 1 dimensions"):
        laws.log_det_agrees(Fixed(lambda x: (x[:, :1], x[:, 0])), x)


@pytest.mark.covers("E70")
def test_a_connected_base_keeps_a_bridge_and_a_mixture_as_base_does_not(g):
    # Whatever the homeomorphism: the path between two latents leads over the gap.
    t = moved(pair_of_couplings(), 2).double()
    ends = numbers(-2, 0, 2, 0).reshape(2, 2)
    z = t(ends)[0].detach()
    path = torch.lerp(z[0], z[1], torch.linspace(0, 1, 4001, dtype=DOUBLE)[:, None])
    x = t.inverse(path)[0].detach()
    assert (x[0] - ends[0]).abs().max() < 1e-9
    assert (x[1:] - x[:-1]).norm(dim=1).max() < 0.05  # no jump
    assert Flow(StandardNormal((2,)), t).double().log_prob(x).min() > -20  # mass all the way
    # A mixture may be the base of a flow: two islands.
    base = GaussianMixture(2)
    far = torch.cat([0.1 * randn(200, 2, g=g) - 3, 0.1 * randn(200, 2, g=g) + 3])
    base.fit(far, generator=g)
    islands = Flow(base, Scaling((2,)).double())
    assert islands.log_prob(torch.zeros(1, 2).double()).item() < -300
    assert islands.sample(10, generator=g).shape == (10, 2)


# --- Residual blocks -----------------------------------------------------------------------------


@pytest.mark.proves("thm-residual-inverse")
@pytest.mark.covers("S2-11")
def test_a_contraction_is_inverted_at_a_geometric_rate(g):
    for limit in (0.3, 0.6, 0.9):
        net_ = Contraction(3, (16,), lipschitz=limit, generator=seeded(2)).double()
        with torch.no_grad():
            for w in net_.parameters():
                w.mul_(5)  # the limit binds
            x = randn(20, 3, g=g)
            z = x + net_(x)
            found = fixed_point(net_, z, 12)
        for k in (4, 8, 12):
            with torch.no_grad():
                off = (fixed_point(net_, z, k).x - x).norm(dim=1)
                start = (z - x).norm(dim=1)
            assert (off <= limit**k * start * (1 + 1e-9)).all()
        ratio = found.steps[1:] / found.steps[:-1]
        assert ratio[2:].max() <= 1
        assert found.steps[-1] < found.steps[0]


@pytest.mark.parametrize("lipschitz", [0.5, 0.9, 1.5])
@pytest.mark.parametrize("hidden", [(2,), (2, 2)])
def test_a_contraction_reaches_its_limit_and_leaves_smaller_weights_alone(lipschitz, hidden):
    net_ = Contraction(2, hidden, lipschitz=lipschitz, generator=seeded()).double()
    zero = torch.zeros(1, 2, dtype=DOUBLE)
    layers = [m for m in net_.net if isinstance(m, nn.Linear)]
    for size, slope in ((5.0, lipschitz), (0.1, 0.1 ** len(layers))):
        with torch.no_grad():
            for layer in layers:
                layer.weight.copy_(size * torch.eye(2))
                layer.bias.zero_()
        found = laws.jacobian(net_, zero)[0]  # tanh has slope 1 at 0
        assert torch.allclose(found, slope * torch.eye(2, dtype=DOUBLE), atol=1e-12)
    before = torch.get_rng_state()
    assert torch.equal(Contraction(2, generator=seeded()).net[0].weight, first_weight())
    assert torch.equal(before, torch.get_rng_state())


def first_weight() -> Tensor:
    return MLP(2, 2, (32, 32), activation=nn.Tanh, generator=seeded())[0].weight


def test_the_iteration_is_counted_and_stops_at_rest():
    z = numbers(3.0)
    assert fixed_point(lambda x: x / 2, z, 4).steps.tolist() == [1.5, 0.75, 0.375, 0.1875]
    found = fixed_point(lambda x: x / 2, z, 500, rest=1e-6)
    assert len(found.steps) == 22  # 3 / 2^22 is the first below
    assert float(found.x) == pytest.approx(2, abs=1e-6)


@pytest.mark.covers("S2-11")
def test_beyond_a_contraction_the_iteration_fails_and_there_may_be_no_inverse():
    # z = x − 2 sin x is not monotone: three x lead to z = 0. Its iteration runs away from it.
    wave = lambda x: -2 * torch.sin(x)
    x = numbers(0.0, 1.895494, -1.895494)
    assert (x + wave(x)).abs().max() < 1e-6
    linear = lambda x: 1.5 * x
    steps = fixed_point(linear, numbers(1.0), 10).steps
    assert torch.allclose(steps[1:] / steps[:-1], numbers(1.5))
    block = ResidualBlock(1, Fixed(linear), iterations=50)
    with pytest.raises(ValueError, match="Lipschitz constant below 1"):
        block.inverse(torch.ones(1, 1))
    with pytest.raises(ValueError, match="Lipschitz constant > 0"):
        Contraction(2, lipschitz=0.0)
    narrow = ResidualBlock(3, net(3, 1))  # it would broadcast
    for direction in (narrow, narrow.inverse):
        with pytest.raises(ValueError, match=r"shape that it gets, \(4, 3\), got \(4, 1\)"):
            direction(torch.zeros(4, 3))


def test_the_log_determinant_of_a_residual_block_can_be_trained(g):
    block = ResidualBlock(2, Contraction(2, (4,), generator=seeded(1))).double()
    x = randn(6, 2, g=g)
    total = lambda: block(x)[1].sum()
    weight = block.residual.net[0].weight
    (found,) = torch.autograd.grad(total(), weight)
    with torch.no_grad():
        for i, j in ((0, 0), (3, 1)):
            ends = []
            for step in (1e-5, -2e-5):
                weight[i, j] += step
                ends.append(total())
            weight[i, j] += 1e-5
            assert float(found[i, j]) == pytest.approx(float(ends[0] - ends[1]) / 2e-5, rel=1e-6)
    assert found.any()


@pytest.mark.covers("S2-11", "S2-15")
def test_the_invertible_residual_block_is_two_couplings_and_its_inverse_is_exact(g):
    F, G = net(2, 2, 1).double(), net(2, 2, 2, nn.ReLU).double()
    z, u = randn(30, 2, g=g), randn(30, 2, g=g)
    x = z + F(u)
    v = u + G(x)
    chain = Compose(AdditiveCoupling((4,), G), AdditiveCoupling((4,), F, first=False)).double()
    found, log_det = chain.inverse(torch.cat([z, u], 1))
    assert (found - torch.cat([x, v], 1)).abs().max() < 1e-14
    assert not log_det.any()
    # The exercise: u = v − G(x), then z = x − F(u).
    back = v - G(x)
    assert (x - F(back) - z).abs().max() < 1e-14
    assert laws.inverts(chain, found.detach()) < 1e-14
    # A plain residual block with the same networks, x = z + F(z), says nothing of the kind.
    slopes = torch.eye(2).double() + laws.jacobian(F, z)
    assert (torch.linalg.slogdet(slopes).logabsdet.abs() > 1e-2).any()


# --- Couplings -----------------------------------------------------------------------------------


@pytest.mark.proves("prop-additive-coupling")
@pytest.mark.covers("S2-12", "S2-14", "E60")
def test_an_additive_coupling_inverts_exactly_and_keeps_volume(g):
    t = AdditiveCoupling((4,), net(2, 2)).double()
    x = randn(50, 4, g=g)
    assert laws.inverts(t, x) < 1e-15
    J = laws.jacobian(t, x)
    eye = torch.eye(2).double().expand(50, 2, 2)
    assert torch.equal(J[:, :2, :2], eye)
    assert torch.equal(J[:, 2:, 2:], eye)
    assert not J[:, :2, 2:].any()
    assert torch.allclose(J[:, 2:, :2], -laws.jacobian(t.net, x[:, :2]))
    assert (torch.linalg.det(J) - 1).abs().max() < 1e-14


@pytest.mark.covers("S2-14")
def test_the_area_of_a_mapped_polygon_is_kept_and_so_is_the_entropy():
    t = Compose(
        AdditiveCoupling((2,), net(1, 1, 1)), AdditiveCoupling((2,), net(1, 1, 2), first=False)
    ).double()
    a = torch.linspace(0, 2 * math.pi, 100_001, dtype=DOUBLE)[:-1]
    circle = torch.stack([a.cos(), a.sin()], 1)

    def area(p):
        q = p.roll(-1, 0)
        return float(0.5 * (p[:, 0] * q[:, 1] - p[:, 1] * q[:, 0]).sum().abs())

    mapped = t(circle)[0].detach()
    assert (mapped - circle).abs().max() > 0.1
    assert area(mapped) == pytest.approx(area(circle), abs=1e-8)
    # Entropy: −E log p(x) = −E log p_Z(z), by the change of variables, point by point.
    model = Flow(StandardNormal((2,)), t).double()
    z = model.base.sample(1000, generator=seeded())
    x = t.inverse(z)[0].detach()
    assert torch.allclose(model.log_prob(x), model.base.log_prob(z), atol=1e-12)


def numbers_of_the_check() -> tuple[Tensor, Tensor, Tensor]:
    """Two matrices and a point, drawn in this order."""
    rng = np.random.default_rng(2)
    rng.normal(size=15)
    W1, W2 = (torch.from_numpy(w) for w in rng.normal(size=(2, 2, 2)))
    return W1, W2, torch.from_numpy(rng.normal(size=4))[None]


@pytest.mark.proves("prop-two-couplings")
@pytest.mark.covers("S2-15", "E62")
def test_the_two_layer_block_has_determinant_one_and_its_literal_reading_has_not(g):
    W1, W2, v = numbers_of_the_check()
    F = lambda u: torch.tanh(u @ W1.T)
    G = lambda u: torch.relu(u @ W2.T)
    halves = lambda v: (v[:, :2], v[:, 2:])

    def block(v):
        z, u = halves(v)
        x = z + F(u)
        return torch.cat([x, u + G(x)], 1)

    def literal(v):  # the second block applied to "v and u", and v = u
        z, u = halves(v)
        return torch.cat([z + F(u), u + G(u)], 1)

    det = lambda f: float(torch.linalg.det(laws.jacobian(f, v)))
    assert det(block) == pytest.approx(1, abs=1e-12)
    x, u2 = halves(block(v))
    u = u2 - G(x)
    assert (torch.cat([x - F(u), u], 1) - v).abs().max() < 1e-15
    assert det(literal) == pytest.approx(-0.0149, abs=5e-5)


@pytest.mark.proves("prop-affine-coupling")
@pytest.mark.covers("S2-19", "E65")
def test_every_block_of_the_jacobian_of_an_affine_coupling(g):
    W1, W2, v = numbers_of_the_check()  # v = (z, u)
    s, t = lambda u: torch.tanh(u @ W1.T), lambda u: torch.tanh(u @ W2.T)
    inside = lambda u: torch.cat([u @ W1.T, t(u)], 1)  # the class takes the tanh
    coupling = AffineCoupling((4,), Fixed(inside), first=False, bound=1.0)
    J = laws.jacobian(coupling.inverse, v)[0]
    z, u = v[:, :2], v[:, 2:]
    ds, dt = laws.jacobian(s, u)[0], laws.jacobian(t, u)[0]
    scale = s(u).exp()[0]
    assert torch.allclose(J[:2, :2], torch.diag(scale), atol=1e-14)
    assert torch.allclose(J[:2, 2:], torch.diag(z[0] * scale) @ ds + dt, atol=1e-14)
    assert torch.equal(J[2:], torch.cat([torch.zeros(2, 2), torch.eye(2)], 1).double())
    assert float((J[:2, 2:] - ds).abs().max()) == pytest.approx(1.156, abs=5e-4)  # as printed
    # Whatever stands there, the determinant is the same.
    assert float(torch.linalg.det(J)) == pytest.approx(float(s(u).sum().exp()), abs=1e-12)
    assert float(torch.linalg.det(J)) == pytest.approx(1.76462204, abs=5e-9)
    assert float(coupling.inverse(v)[1].exp()) == pytest.approx(1.76462204, abs=5e-9)
    # Σ runs over the entries that move, which are half of the data's (the lecture's d).
    assert s(u).shape[1] == 2


@pytest.mark.covers("E59")
def test_a_coupling_with_relus_is_a_density_all_the_same():
    model = Flow(StandardNormal((2,)), AdditiveCoupling((2,), net(1, 1, 4, nn.ReLU))).double()
    assert laws.integrates_to_one(model, [-12.0, -12.0], [12.0, 12.0]) == pytest.approx(1, abs=1e-6)


@pytest.mark.covers("S2-13", "E61")
def test_an_auxiliary_variable_is_not_a_split():
    # x = z + 2 tanh(1.5 u): with noise u at the side, p(x) is an integral over u.
    shift = Fixed(lambda u: 2 * torch.tanh(1.5 * u))
    flow = Flow(StandardNormal((2,)), AdditiveCoupling((2,), shift, first=False))
    model = AugmentedFlow(flow, noise=1).double()
    u = torch.linspace(-8, 8, 8001, dtype=DOUBLE)
    at = lambda x, u: flow.log_prob(torch.stack([torch.full_like(u, x), u], 1))
    marginal = torch.trapezoid(at(1.0, u).exp(), u)
    assert float(marginal) == pytest.approx(0.18371, abs=5e-6)
    x = model.sample(400_000, generator=seeded())[:, 0]
    share = ((x - 1).abs() < 0.05).double()
    # The cell's mean density, and the share of draws in it.
    cell = torch.linspace(0.95, 1.05, 11, dtype=DOUBLE)
    mass = [float(torch.trapezoid(at(float(c), u).exp(), u)) for c in cell]
    laws.unbiased(share, float(torch.trapezoid(torch.tensor(mass).double(), cell)))
    # The printed likelihood, p_Z(f⁻¹(x)), depends on the u one happens to hold.
    printed = Normal(numbers(0.0)[0], 1.0).log_prob(1 - 2 * torch.tanh(1.5 * numbers(0.0, 1.0)))
    assert [round(p, 4) for p in printed.exp().tolist()] == [0.242, 0.2873]
    # What is left is a bound, which the importance-weighted one tightens.
    rows = torch.ones(1, 1, dtype=DOUBLE)
    weights = model.log_weights(rows.expand(20_000, 1), 1, generator=seeded(1))[0]
    laws.unbiased(weights.exp().detach(), float(marginal))
    gap = float(marginal.log()) - float(weights.mean())
    assert gap > 0.2
    near = model.log_prob_estimate(rows, 20_000, generator=seeded(2))
    assert float(near) == pytest.approx(float(marginal.log()), abs=0.03)


@pytest.mark.covers("S2-13", "E61")
def test_splitting_the_features_needs_no_integral(g):
    t = AdditiveCoupling((2,), Fixed(lambda u: 2 * torch.tanh(1.5 * u)), first=False)
    model = Flow(StandardNormal((2,)), t).double()
    laws.integrates_to_one(model, [-9.0, -9.0], [9.0, 9.0])
    x = randn(20, 2, g=g)
    z = torch.stack([x[:, 0] - 2 * torch.tanh(1.5 * x[:, 1]), x[:, 1]], 1)
    assert torch.allclose(model.log_prob(x), StandardNormal((2,)).log_prob(z), atol=1e-13)


# --- Volume --------------------------------------------------------------------------------------


@pytest.mark.proves("thm-volume-price")
@pytest.mark.covers("S2-16", "E63")
def test_without_scaling_the_gap_to_a_wider_normal_is_1614_nats(g):
    gap = 2 * float(kl_divergence(Normal(0.0, 2.0), Normal(0.0, 1.0)))
    assert gap == pytest.approx(3 - math.log(4), abs=1e-6)
    assert gap == pytest.approx(1.6137, abs=5e-5)
    assert [1 / (2 * math.pi), 1 / (8 * math.pi)] == pytest.approx([0.1592, 0.0398], abs=5e-5)
    # 300 random pairs of couplings on draws of N(0, 4I): none beats the identity.
    x = 2 * randn(20_000, 2, g=g)
    base = StandardNormal((2,)).double()
    identity = float(-base.log_prob(x).mean())
    best = math.inf
    for a, b, c, d, e, f in (2 * randn(300, 6, g=g)).tolist():
        z = x.clone()
        z[:, 0] -= a * torch.tanh(b * z[:, 1] + c)
        z[:, 1] -= d * torch.tanh(e * z[:, 0] + f)
        best = min(best, float(-base.log_prob(z).mean()))
    assert best > identity - 0.01  # the noise of a mean over 20,000 draws, of the difference
    entropy = math.log(2 * math.pi * math.e) + math.log(4)
    assert identity - entropy == pytest.approx(gap, abs=0.05)


@pytest.mark.proves("thm-volume-price")
@pytest.mark.covers("S2-16", "E63")
def test_the_largest_value_of_the_density_is_kept_by_unit_determinants(g):
    t = Compose(*(AdditiveCoupling((2,), net(1, 1, i), first=i % 2 == 0) for i in range(4)))
    model = Flow(StandardNormal((2,)), t).double()
    top = t.inverse(torch.zeros(1, 2).double())[0].detach()
    assert model.log_prob(top).item() == pytest.approx(-math.log(2 * math.pi), abs=1e-12)
    assert model.log_prob(3 * randn(2000, 2, g=g)).max() <= -math.log(2 * math.pi) + 1e-12
    # With the scaling the law is N(0, 4I) to the digit.
    scaling = Scaling((2,)).double()
    scaling.log_scale.data -= math.log(2)
    wide = Flow(StandardNormal((2,)), scaling).double()
    x = 3 * randn(50, 2, g=g)
    four = MultivariateNormal(torch.zeros(2).double(), 4 * torch.eye(2).double())
    assert torch.allclose(wide.log_prob(x), four.log_prob(x), atol=1e-12)


@pytest.mark.proves("prop-three-couplings")
@pytest.mark.covers("E63")
def test_three_couplings_let_every_entry_depend_on_every_other(g):
    x = randn(20, 4, g=g)
    for n, full in ((1, False), (2, False), (3, True)):
        layers = (AdditiveCoupling((4,), net(2, 2, i), first=i % 2 == 0) for i in range(n))
        J = laws.jacobian(Compose(*layers).double(), x).abs().amax(0)
        assert bool((J > 0).all()) is full


# --- Chains --------------------------------------------------------------------------------------


@pytest.mark.proves("thm-chain")
@pytest.mark.covers("S2-18", "S4-56", "E64", "E71")
def test_a_chain_sums_its_log_determinants_and_is_undone_from_the_end(g):
    parts = [
        moved(AffineCoupling((3,), net(1, 4, i), first=i % 2 == 0), i)
        if i % 2 == 0
        else moved(Scaling((3,)), i)
        for i in range(5)
    ]
    chain = Compose(*parts).double()
    x = randn(8, 3, g=g)
    z, total = x, 0.0
    for part in parts:
        J = torch.linalg.slogdet(laws.jacobian(part, z.detach())).logabsdet
        z, log_det = part(z)
        assert torch.allclose(J, log_det)
        total = total + J
    assert torch.allclose(chain(x)[1], total)
    assert torch.equal(chain(x)[0], z)
    laws.log_det_agrees(chain, x)
    # E71, with the numbers of the check: x = sinh(2 z + 1) is undone from the end.
    forth = [lambda t: 2 * t + 1, math.sinh]
    back = [lambda t: (t - 1) / 2, math.asinh]
    z0 = 0.3
    z1 = forth[0](z0)
    z2 = forth[1](z1)
    assert (back[0](z1), back[1](z2)) == pytest.approx((z0, z1))
    assert back[0](z0) == pytest.approx(-0.35)  # printed: z_1 = f_1⁻¹(z_0)


@pytest.mark.covers("E64")
def test_layers_are_composed_and_not_multiplied(g):
    a, b = moved(Scaling((2,)), 1), Permutation([1, 0])
    x = randn(3, 2, g=g).float()
    assert torch.equal(Compose(a, b)(x)[0], b(a(x)[0])[0])
    assert not torch.equal(Compose(a, b)(x)[0], a(x)[0] * b(x)[0])
    assert not torch.equal(Compose(a, b)(x)[0], Compose(b, a)(x)[0])  # and order counts


def test_turns_are_the_same_map_as_their_composition(g):
    one, other = Turns(*couplings_of_five()).double(), Compose(*couplings_of_five()).double()
    x = randn(6, 5, g=g)
    for z, expected in ((one(x), other(x)), (one.inverse(x), other.inverse(x))):
        torch.testing.assert_close(z, expected, rtol=1e-14, atol=1e-14)


# --- Layers of images ----------------------------------------------------------------------------


@pytest.mark.covers("S4-57", "S2-20")
def test_half_of_the_channels_after_a_squeeze_is_one_colour_of_the_board():
    board = (torch.arange(4)[:, None] + torch.arange(6)) % 2
    z = Squeeze((1, 4, 6))(board[None, None].float())[0]
    assert not z[:, :2].any()
    assert z[:, 2:].all()
    t = Compose(
        Squeeze((1, 4, 6)),
        AffineCoupling((4, 2, 3), conv_net(2, 4, 8, generator=seeded())),
        Inverse(Squeeze((1, 4, 6))),
    ).double()
    x = randn(1, 1, 4, 6, g=seeded(3))
    J = laws.jacobian(t, x)[0]
    white = board.flatten() == 0
    assert torch.equal(J[white][:, white], torch.eye(12).double())  # it passes through
    assert not J[white][:, ~white].any()
    assert torch.equal(J[~white][:, ~white] != 0, torch.eye(12).bool())  # diagonal
    assert J[~white][:, white].any()
    laws.log_det_agrees(t, x)


@pytest.mark.covers("S2-20")
def test_the_last_half_of_the_channels_leaves_first():
    colour = ((torch.arange(8)[:, None] + torch.arange(8)) % 2)[None, None].float()
    stages = Squeeze((1, 8, 8)), Squeeze((2, 4, 4)), Squeeze((4, 2, 2))
    z = MultiScale(*stages)(colour)[0][0]
    assert z[:32].all()  # one colour of the board, 2 of 4 channels
    assert not z[32:].any()
    numbered = MultiScale(*stages)(torch.arange(64.0).reshape(1, 1, 8, 8))[0][0]
    second = stages[1](stages[0](torch.arange(64.0).reshape(1, 1, 8, 8))[0][:, :2])[0]
    assert torch.equal(numbered[32:48], second[:, 4:].flatten())


@pytest.mark.proves("prop-conv-log-det")
@pytest.mark.covers("S4-57")
def test_the_log_determinant_of_a_convolution_counts_every_pixel(g):
    h, w, c = 3, 2, 4
    W, x = randn(c, c, g=g), randn(2, c, h, w, g=g)
    conv = InvertibleConv((c, h, w), W)
    J = torch.kron(W, torch.eye(h * w).double())
    assert torch.allclose(laws.jacobian(conv, x)[0], J, atol=1e-14)
    truth = float(torch.linalg.slogdet(J).logabsdet)
    assert truth == pytest.approx(h * w * float(torch.linalg.slogdet(W).logabsdet))
    assert conv(x)[1].tolist() == pytest.approx([truth, truth])
    start = InvertibleConv((c, h, w), generator=g).weight.detach()
    assert torch.allclose(start @ start.T, torch.eye(c), atol=1e-5)  # a rotation
    lu = LUConv((c, h, w), W)
    assert torch.allclose(lu.matrix()[0], W, atol=1e-12)
    assert torch.allclose(lu(x)[0], conv(x)[0], atol=1e-12)
    assert torch.allclose(lu(x)[1], conv(x)[1], atol=1e-12)
    norm_ = moved(ActNorm((c, h, w))).double()
    assert norm_(x)[1][0].item() == pytest.approx(h * w * float(norm_.log_scale.detach().sum()))


@pytest.mark.covers("S4-57")
def test_the_lu_form_keeps_its_pattern_and_a_permutation_is_one_w(g):
    W = torch.tensor([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    x = randn(4, 3, g=g).float()
    assert torch.equal(LUConv((3,), W)(x)[0], Permutation([2, 0, 1])(x)[0])
    count = sum(w.numel() for w in LUConv((5,), generator=g).parameters())
    assert count == 25
    # Its weights can go anywhere: it stays invertible.
    lu = moved(LUConv((5,), generator=g)).double()
    with torch.no_grad():
        for weight in lu.parameters():
            weight.mul_(3)
    laws.inverts(lu, randn(20, 5, g=g), tolerance=1e-6)


@pytest.mark.covers("S4-57")
def test_a_singular_convolution_is_refused_when_built_and_when_trained_to_be():
    singular = torch.tensor([[1.0, 2.0], [2.0, 4.0]])
    for cls in (InvertibleConv, LUConv):
        with pytest.raises(ValueError, match="1 × 1 convolution is singular"):
            cls((2,), singular)
        with pytest.raises(ValueError, match=r"matrix of shape \(2, 2\)"):
            cls((2,), torch.eye(3))
    conv = InvertibleConv((2,), torch.eye(2))
    conv.weight.data.copy_(singular)
    with pytest.raises(ValueError, match="LUConv"):
        conv(torch.zeros(1, 2))


@pytest.mark.covers("S4-57")
def test_the_data_dependent_start_gives_mean_zero_and_deviation_one_behind_every_actnorm(g):
    event = (4, 4, 4)
    chain = Compose(*(moved(glow_step(event, 8, seeded(i)), i) for i in range(3))).double()
    x = 3 + 5 * randn(64, *event, g=g) ** 3
    data_dependent_start(chain, x)
    seen = []
    norms = [m for m in chain.modules() if isinstance(m, ActNorm)]
    hooks = [m.register_forward_hook(lambda m, i, out: seen.append(out[0])) for m in norms]
    chain(x)
    for hook in hooks:
        hook.remove()
    assert len(seen) == 3
    for z in seen:
        assert z.mean((0, 2, 3)).abs().max() < 1e-10
        assert (z.std((0, 2, 3), correction=0) - 1).abs().max() < 1e-10
    before = {k: v.clone() for k, v in chain.state_dict().items()}
    chain(x + 100)  # only that batch counts
    assert all(torch.equal(v, before[k]) for k, v in chain.state_dict().items())


def test_the_data_dependent_start_refuses_constant_channels_and_whole_numbers():
    norm_ = ActNorm((2,))
    with pytest.raises(ValueError, match=r"rows of data to start from, got shape \(0, 2\)"):
        data_dependent_start(norm_, torch.zeros(0, 2))
    with pytest.raises(ValueError, match=r"channels \[0, 1\] are constant"):
        data_dependent_start(norm_, torch.tensor([[0.5, 3.5]]))
    with pytest.raises(ValueError, match="Expected points of shape"):
        data_dependent_start(norm_, torch.tensor([[0.5], [1.5]]))
    with pytest.raises(ValueError, match="finite rows to start from"):
        data_dependent_start(norm_, torch.tensor([[0.5, 1.0], [math.nan, 2.0]]))
    with pytest.raises(ValueError, match=r"channels \[1\] are constant"):
        data_dependent_start(norm_, torch.tensor([[0.5, 3.5], [1.7, 3.5]]))
    with pytest.raises(ValueError, match="Dequantised"):
        data_dependent_start(norm_, torch.tensor([[0.0, 3.0], [1.0, 4.0]]))
    assert not norm_.waiting  # a start that failed leaves no trace
    assert not norm_.shift.any()


def test_what_cannot_be_squeezed_cut_or_joined_is_refused():
    for event in ((1, 5, 4), (1, 4, 5), (4, 4)):
        with pytest.raises(ValueError, match="even height and width"):
            Squeeze(event)
    with pytest.raises(ValueError, match="2 or more features"):
        AffineCoupling((1,), net(1, 2))
    with pytest.raises(ValueError, match="2 or more features"):
        AdditiveCoupling((1, 8, 8), conv_net(1, 1))
    with pytest.raises(ValueError, match="even number of channels"):
        MultiScale(ActNorm((3, 2, 2)), ActNorm((1, 2, 2)))
    with pytest.raises(ValueError, match="one stage or more"):
        MultiScale()
    with pytest.raises(ValueError, match=r"Transform 0 gives shape \(2,\)"):
        Compose(Scaling((2,)), Scaling((3,)))
    with pytest.raises(ValueError, match="one transform or more"):
        Compose()
    with pytest.raises(TypeError, match="couplings only, got a Scaling"):
        Turns(AdditiveCoupling((2,), net(1, 1)), Scaling((2,)))
    with pytest.raises(ValueError, match="permutation of 0 to 2"):
        Permutation([0, 0, 2])
    with pytest.raises(ValueError, match="each of 1 or more"):
        Scaling((2, 0))
    for bound in (0.0, -1.0, math.inf, math.nan):
        with pytest.raises(ValueError, match="finite bound > 0"):
            AffineCoupling((2,), net(1, 2), bound=bound)
    for event in ((1, 4, 4), (4,)):
        with pytest.raises(ValueError, match=r"of 2 or more channels, got .* Squeeze first"):
            glow_step(event)
    with pytest.raises(ValueError, match="n_in as an integer >= 1"):
        conv_net(0, 2)
    with pytest.raises(ValueError, match="network to return shape"):
        AffineCoupling((2,), net(1, 1))(torch.zeros(3, 2))
    with pytest.raises(ValueError, match="network to return shape"):
        AdditiveCoupling((4,), net(2, 1))(torch.zeros(3, 4))  # it would broadcast
    with pytest.raises(ValueError, match=r"torch\.float32 as the weights are"):
        AdditiveCoupling((2,), net(1, 1))(torch.zeros(3, 2).double())


def test_the_network_of_images_has_two_relus_and_sees_two_pixels_far(g):
    network = conv_net(2, 3, 8, generator=g).double()
    assert [type(m).__name__ for m in network] == ["Conv2d", "ReLU", "Conv2d", "ReLU", "Conv2d"]
    x = randn(1, 2, 9, 9, g=g).requires_grad_()
    (slope,) = torch.autograd.grad(network(x)[0, :, 4, 4].sum(), x)
    seen = slope.abs().sum((0, 1)) > 0
    assert not seen[:2].any() | seen[7:].any() | seen[:, :2].any() | seen[:, 7:].any()
    assert seen[2:7, 2:7].float().mean() > 0.9


# --- Splines -------------------------------------------------------------------------------------


@pytest.mark.proves("prop-spline")
def test_a_rational_quadratic_spline_rises_goes_through_its_knots_and_inverts(g):
    parameters = 2 * randn(1, 3 * 6 - 1, g=g)
    x = torch.linspace(-4, 4, 4001, dtype=DOUBLE)
    each = parameters.expand(len(x), -1)
    y, log_slope = rational_quadratic(x, each, 3.0)
    assert (y[1:] > y[:-1]).all()
    outside = x.abs() >= 3
    assert torch.equal(y[outside], x[outside])
    assert not log_slope[outside].any()
    back, log_back = rational_quadratic(y, each, 3.0, inverse=True)
    assert (back - x).abs().max() < 1e-9
    assert (log_slope + log_back).abs().max() < 1e-9
    slope = laws.jacobian(lambda x: rational_quadratic(x, each, 3.0)[0], x)[:, 0, 0]
    assert (slope.log() - log_slope).abs().max() < 1e-10
    # It is a density's map: what enters a cell leaves it.
    assert float(torch.trapezoid(log_slope.exp(), x)) == pytest.approx(8, abs=1e-3)
    flat = rational_quadratic(x, torch.zeros(len(x), 17, dtype=DOUBLE), 3.0)
    assert (flat[0] - x).abs().max() < 1e-12
    assert flat[1].abs().max() < 1e-12
    # Through the knots, which the shares of the first 2K parameters set.
    w, h = parameters[:, :6].softmax(1), parameters[:, 6:12].softmax(1)
    knots_x, knots_y = (6 * (1e-3 + (1 - 6e-3) * v).cumsum(1)[0, :-1] - 3 for v in (w, h))
    at = rational_quadratic(knots_x, parameters.expand(5, -1), 3.0)[0]
    assert (at - knots_y).abs().max() < 1e-12
    # Parameters beyond all measure: still finite, still rising.
    wild = 1e3 * randn(1, 17, g=g).expand(len(x), -1)
    y, log_slope = rational_quadratic(x, wild, 3.0)
    assert log_slope.isfinite().all()
    assert (y[1:] >= y[:-1]).all()
    narrow = moved(SplineCoupling((2,), net(1, 11), bins=4, bound=1.0)).double()
    ends = 1.01 * torch.ones(3, 2, dtype=DOUBLE)
    assert torch.equal(narrow(ends)[0], ends)
    with pytest.raises(ValueError, match="3K - 1"):
        rational_quadratic(x, each[:, :-1])
    with pytest.raises(ValueError, match="2 to 999 bins"):
        SplineCoupling((2,), net(1, 2), bins=1)


# --- Units and margins ---------------------------------------------------------------------------


@pytest.mark.proves("prop-bits-per-dim")
def test_one_converter_gives_the_literatures_numbers_their_right_size():
    # NICE prints the log-density of x in [0, 1]; the 256 levels are still to be counted.
    assert bits_per_dim(1980.50, 784, cell=1 / 256) == pytest.approx(4.36, abs=5e-3)
    assert bits_per_dim(1980.50, 784) == pytest.approx(-3.64, abs=5e-3)  # the trap
    assert bits_per_dim(0.0, 784, cell=1 / 256) == 8
    # Digits: 64 pixels of 17 values, noise of one whole cell.
    assert bits_per_dim(-124.4, 64) == pytest.approx(2.804, abs=5e-4)
    assert bits_per_dim(-106.3, 64) == pytest.approx(2.396, abs=5e-4)
    assert bits_per_dim(-64 * math.log(17), 64) == pytest.approx(math.log2(17))
    # On [−1, 1] a cell is 2/256: the same model, the same bits.
    nats = -500.0
    for scale in (1 / 256, 2 / 256, 3.7):
        log_p = nats - 784 * math.log(scale)
        assert bits_per_dim(log_p, 784, cell=scale) == pytest.approx(bits_per_dim(nats, 784))
    assert bits_per_dim(torch.tensor([-1.0, -2.0]), 1).tolist() == pytest.approx(
        [1.4427, 2.8854], abs=1e-4
    )
    with pytest.raises(ValueError, match="cell width > 0"):
        bits_per_dim(1.0, 4, cell=0.0)
    with pytest.raises(ValueError, match="d as an integer"):
        bits_per_dim(1.0, 0)


@pytest.mark.proves("prop-margins")
def test_with_the_identity_behind_it_the_layer_of_margins_is_the_histogram(g):
    x = torch.randint(0, 5, (200, 3), generator=g)
    layer = GaussianMargins(x, levels=6, smoothing=0.5)
    assert set(layer.state_dict()) == {"p", "below", "above"}  # they are saved, and move
    model = Flow(StandardNormal((3,)), layer)
    u = torch.rand(200, 3, dtype=DOUBLE, generator=g)
    counts = torch.nn.functional.one_hot(x, 6).double().sum(0) + 0.5
    p = counts / counts.sum(1, keepdim=True)
    truth = p.log().expand(200, 3, 6).gather(-1, x[..., None])[..., 0].sum(1)
    assert (model.log_prob(x + u) - truth).abs().max() < 1e-9
    assert model.log_prob(torch.full((1, 3), -0.1).double()).item() == -math.inf
    draws = model.double().sample(2000, generator=g)
    assert draws.min() >= 0
    assert draws.max() <= 6
    share = (draws[:, 0].floor()[:, None] == torch.arange(6)).double()
    for v in range(6):
        laws.unbiased(share[:, v], float(p[0, v]))
    with pytest.raises(ValueError, match="smoothing > 0"):
        GaussianMargins(x, levels=6, smoothing=0.0)
    with pytest.raises(ValueError, match="whole numbers from 0 to 3"):
        GaussianMargins(x, levels=4)
    with pytest.raises(ValueError, match=r"rows to count, got shape \(0, 3\)"):
        GaussianMargins(x[:0], levels=6)
    with pytest.raises(ValueError, match="A number is a vector of one entry"):
        GaussianMargins(x[:, 0], levels=6)


@pytest.mark.parametrize("value", [0, 3])
def test_values_that_never_occur_come_back_from_both_tails(value):
    # Their mass is 1e-20: on the other side of the median it is lost in 1 - 1e-20.
    layer = GaussianMargins(torch.full((50, 1), value), levels=4, smoothing=1e-20)
    laws.inverts(layer, numbers(0.5, 1.5, 2.25, 3.75)[:, None], tolerance=1e-9)


def test_inversion_and_the_layer_of_margins_agree(g):
    x = torch.tensor([[0], [0], [1], [3]])
    layer = GaussianMargins(x, levels=4, smoothing=0.5)
    p = layer.p[0]
    cdf = lambda t: (p * (t[..., None] - torch.arange(4)).clamp(0, 1)).sum(-1)
    levels = torch.tensor([0.01, 0.4, 0.5, 0.8, 0.99], dtype=DOUBLE)
    ours = layer.inverse(torch.special.ndtri(levels)[:, None])[0][:, 0]
    assert (ours - inverse_cdf(cdf, levels)).abs().max() < 1e-9
