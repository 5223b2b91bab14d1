"""The data sets: densities against integrals and draws, files against their checksums."""

import dataclasses
import gzip
import hashlib
import http.client
import io
import itertools
import math
import os
import shutil
import socket
import struct
import subprocess
import sys
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest
import torch
from scipy import integrate, stats
from scipy.io import savemat
from torch import Tensor

from genlab import laws
from genlab.data import (
    LIST_A,
    LIST_C,
    Annulus,
    Grid,
    Ring,
    SignSums,
    Spiral,
    TwoMoons,
    binarized,
    binarized_mnist,
    digits,
    fashion_mnist,
    mnist,
    movie_reviews,
    tiny_shakespeare,
)
from genlab.data.binarized import read_amat
from genlab.data.files import FileSet
from genlab.data.images import read_idx
from genlab.models import Density

REAL = Path(os.environ.get("GENLAB_DATA") or Path(__file__).parents[2] / "shared" / "data")


def real(subfolder: str) -> pytest.MarkDecorator:
    there = (REAL / subfolder).is_dir()
    return pytest.mark.skipif(not there, reason="real data folder not found")


# Each density in the plane with a box that holds its mass, to 1e-10 or exactly.
PLANE = [
    pytest.param(Annulus(), 1.6, id="annulus"),
    pytest.param(Annulus(0.0, 1.0), 1.1, id="disc"),
    pytest.param(TwoMoons(), 3.0, id="moons"),
    pytest.param(TwoMoons(noise=0.3), 5.0, id="moons-wide"),
    pytest.param(Spiral(turns=0.7, noise=0.2), 3.2, id="spiral-short"),
    pytest.param(Ring(), 2.3, id="ring"),
    pytest.param(Ring(modes=3, radius=1.0, scale=0.5), 5.0, id="ring-wide"),
    pytest.param(Grid(), 4.6, id="grid"),
    pytest.param(Grid(side=2, spacing=1.0, scale=0.5), 5.0, id="grid-wide"),
]
SMOOTH = [case for case in PLANE if not isinstance(case.values[0], Annulus)]
SMOOTH += [pytest.param(Spiral(), 3.2, id="spiral")]
TUBES = [TwoMoons(0.02), TwoMoons(0.05), TwoMoons(), TwoMoons(2.0), Spiral(noise=0.05), Spiral()]


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def checksum(data: bytes) -> str:
    return hashlib.md5(data).hexdigest()


def circle(radius: float, n: int) -> Tensor:
    angle = 2 * math.pi * torch.arange(n, dtype=torch.float64) / n
    return radius * torch.stack([angle.cos(), angle.sin()], -1)


# --- Densities in the plane -----------------------------------------------------------------------


def grid(density: Density, side: float) -> tuple[Tensor, float]:
    """Midpoints of a grid over the square of half-width ``side``, and the area of a cell.

    On these densities the midpoint rule is exact to rounding: the cells are less than half as wide
    as the Gaussians.
    """
    points = 512 if isinstance(density, Ring | Grid) else 128
    axis = ((torch.arange(points, dtype=torch.float64) + 0.5) / points * 2 - 1) * side
    return torch.cartesian_prod(axis, axis), (2 * side / points) ** 2


@pytest.mark.parametrize(("density", "side"), SMOOTH)
def test_integral_is_one(density, side):
    x, area = grid(density, side)
    assert density.log_prob(x).exp().sum().item() * area == pytest.approx(1, abs=1e-10)


@pytest.mark.covers("S1-41")
@pytest.mark.parametrize("annulus", [Annulus(), Annulus(0.0, 1.0), Annulus(2.0, 3.0)])
def test_annulus_integral_in_polar_coordinates(annulus):
    a, b = annulus.inner, annulus.outer
    z, w = np.polynomial.legendre.leggauss(8)
    total = 0.0
    for radius, weight in zip((a + b) / 2 + (b - a) / 2 * z, (b - a) / 2 * w, strict=True):
        p = annulus.log_prob(circle(radius, 60)).exp()
        total += weight * 2 * math.pi * radius * p.mean().item()
    assert total == pytest.approx(1, abs=1e-12)
    outside = torch.cat([circle(b + 1e-9, 60), circle(a - 1e-9, 60)[: 60 if a else 0]])
    assert (annulus.log_prob(outside) == -math.inf).all()


@pytest.mark.covers("S1-41")
def test_annulus_of_the_lectures_has_the_area_of_the_curriculum():
    x = circle(1.25, 5)
    assert Annulus().log_prob(x).tolist() == pytest.approx([-math.log(1.25 * math.pi)] * 5)
    assert round(-Annulus().log_prob(x)[0].item(), 3) == 1.368


@pytest.mark.covers("S0-01")
@pytest.mark.parametrize(("density", "side"), PLANE)
def test_draws_follow_the_density(density, side):
    assert isinstance(density, Density)
    laws.speaks_sampler(density, generator=seeded())
    laws.samples_follow(density, (-side, -side), (side, side), generator=seeded(1))


def test_annulus_draws_fill_cells_of_equal_area_equally():
    x = Annulus().sample(40_000, generator=seeded(2)).double()
    area = ((x.square().sum(1) - 1) / 1.25 * 20).clamp(0, 19.999).long()
    sector = ((torch.atan2(x[:, 1], x[:, 0]) / (2 * math.pi) + 0.5) * 20).clamp(0, 19.999).long()
    counts = torch.bincount(20 * area + sector, minlength=400)
    assert stats.chisquare(counts.numpy()).pvalue > 1e-5


def test_annulus_draws_never_fall_outside():
    for annulus in (Annulus(), Annulus(0.999, 1.0)):
        x = annulus.sample(500_000, generator=seeded(3))
        assert annulus.log_prob(x).isfinite().all()


@pytest.mark.parametrize(("density", "side"), SMOOTH)
def test_mean_log_density_of_draws_is_the_negative_entropy(density, side):
    x, area = grid(density, side)
    log_p = density.log_prob(x)
    entropy = -(log_p.exp() * log_p).sum().item() * area
    x = density.sample(20_000, generator=seeded(4)).double()
    laws.unbiased(-density.log_prob(x), entropy)


@pytest.mark.parametrize("density", [Ring(), Grid()])
def test_modes_are_equally_likely_and_as_wide_as_said(density):
    x = density.sample(20_000, generator=seeded(5)).double()
    distance, mode = torch.cdist(x, density.centres).min(1)
    assert stats.chisquare(torch.bincount(mode).numpy()).pvalue > 1e-5
    laws.unbiased(distance.square(), 2 * density.scale**2)  # modes lie over 30 scales apart


def test_ring_and_grid_stand_where_the_papers_put_them():
    assert torch.allclose(Ring().centres.norm(dim=1), torch.tensor(2.0).double())
    ring, chord = Ring().centres, 4 * math.sin(math.pi / 8)
    assert torch.allclose((ring - ring.roll(1, 0)).norm(dim=1), torch.tensor(chord).double())
    assert Grid().centres[[0, 1, 5, 24]].tolist() == [[-4, -4], [-4, -2], [-2, -4], [4, 4]]


@pytest.mark.parametrize("density", [Ring(modes=1), Grid(side=1, scale=0.3)])
def test_one_mode_is_one_gaussian(density):
    x = torch.randn(50, 2, generator=seeded(), dtype=torch.float64)
    normal = stats.multivariate_normal(density.centres[0].numpy(), density.scale**2)
    np.testing.assert_allclose(density.log_prob(x), normal.logpdf(x), rtol=1e-12)


# --- The tubes: quadrature and geometry -----------------------------------------------------------


def by_finer_rule(tube: TwoMoons | Spiral, x: Tensor, panels: int) -> Tensor:
    """The log-density by ``panels`` panels of 20 Gauss-Legendre nodes, in numpy's words."""
    z, w = np.polynomial.legendre.leggauss(20)
    u = ((np.arange(panels)[:, None] + (z + 1) / 2) / panels).ravel()
    points = tube.curve(torch.from_numpy(u))
    log_w = torch.from_numpy(np.tile(w / 2 / panels, panels)).log()
    squares = torch.cdist(x, points, compute_mode="donot_use_mm_for_euclid_dist").square()
    peak = torch.logsumexp(log_w - squares / (2 * tube.noise**2), 1)
    return peak - math.log(2 * math.pi * tube.noise**2)


@pytest.mark.parametrize("tube", TUBES, ids=str)
def test_quadrature_error_is_below_its_bounds(tube):
    panels = 4 * len(tube._rule[0]) // 32
    u = torch.rand(100, generator=seeded(), dtype=torch.float64)
    v = torch.rand(100, generator=seeded(1), dtype=torch.float64)
    away = 20 * tube.noise * v.sqrt()[:, None] * circle(1, 100)
    near = tube.curve(u) + away
    mine, finer = tube.log_prob(near), by_finer_rule(tube, near, panels)
    assert finer.min() < -150
    assert (mine - finer).abs().max() < 1e-10
    plane = 6 * v.sqrt()[:, None] * circle(1, 100)
    mine, finer = tube.log_prob(plane), by_finer_rule(tube, plane, panels)
    assert (mine.exp() - finer.exp()).abs().max() < 1e-10
    for radius in (6, 100):
        far = circle(radius, 12)
        torch.testing.assert_close(
            tube.log_prob(far), by_finer_rule(tube, far, 4 * panels), rtol=1e-5, atol=0
        )


@pytest.mark.parametrize("noise", [0.05, 0.1, 1.0])
def test_moons_by_adaptive_quadrature(noise):
    moons = TwoMoons(noise)
    x = torch.cat([moons.sample(8, generator=seeded()).double(), torch.tensor([[0.5, 0.25]])])

    def density(point):
        def moon(centre, sign):
            def integrand(t):
                a = point[0] - centre[0] - sign * math.cos(t)
                b = point[1] - centre[1] - sign * math.sin(t)
                return math.exp(-(a**2 + b**2) / (2 * noise**2)) / (2 * math.pi * noise**2)

            # The angle of the point, as seen from the centre, is where the integrand peaks.
            peak = math.atan2(sign * (point[1] - centre[1]), sign * (point[0] - centre[0]))
            ends = [0.0, *([peak] if 0 < peak < math.pi else []), math.pi]
            pieces = itertools.pairwise(ends)
            return sum(integrate.quad(integrand, *p, epsabs=1e-13, limit=200)[0] for p in pieces)

        return (moon((0, 0), 1) + moon((1, 0.5), -1)) / (2 * math.pi)

    expected = [density(point) for point in x.tolist()]
    np.testing.assert_allclose(moons.log_prob(x).exp(), expected, rtol=0, atol=1e-10)


def test_moons_have_scikit_learns_geometry():
    from sklearn.datasets import make_moons

    theirs, label = make_moons(400, shuffle=False, noise=None)
    u = torch.arange(200, dtype=torch.float64) / 199 / 2
    upper, lower = TwoMoons().curve(u[:-1]), TwoMoons().curve(u + 0.5)
    np.testing.assert_allclose(upper, theirs[label == 0][:-1], atol=1e-12)
    np.testing.assert_allclose(lower, theirs[label == 1], atol=1e-12)


def test_spiral_is_scikit_learns_swiss_roll_from_above():
    from sklearn.datasets import make_swiss_roll

    theirs, angle = make_swiss_roll(300, random_state=0)
    u = torch.from_numpy((angle / (2 * math.pi) - 0.75) / 1.5)
    assert u.min() >= 0
    assert u.max() <= 1
    ours = Spiral().curve(u)
    np.testing.assert_allclose(2 * math.pi * ours, theirs[:, [0, 2]], atol=1e-12)


def test_moons_mean_is_its_closed_form():
    # The upper moon has mean (0, 2/pi), the lower one (1, 1/2 - 2/pi).
    x = TwoMoons().sample(20_000, generator=seeded(6)).double()
    laws.unbiased(x[:, 0], 0.5)
    laws.unbiased(x[:, 1], 0.25)


def test_score_by_autograd_is_the_finite_difference():
    for density in (TwoMoons(), Spiral(), Ring(scale=0.3)):
        x = density.sample(20, generator=seeded()).double().requires_grad_()
        (score,) = torch.autograd.grad(density.log_prob(x).sum(), x)
        step = 1e-5 * torch.eye(2, dtype=torch.float64)
        with torch.no_grad():
            slopes = [(density.log_prob(x + h) - density.log_prob(x - h)) / 2e-5 for h in step]
        torch.testing.assert_close(score, torch.stack(slopes, 1), rtol=1e-6, atol=1e-6)


# --- Shapes, dtypes, refusals ---------------------------------------------------------------------


ALL = [*(case.values[0] for case in PLANE), Spiral()]


@pytest.mark.parametrize("density", ALL, ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_log_density_is_finite_or_minus_infinity_far_out(density, dtype):
    for radius in (0.0, 1.0, 10.0, 1e3, 1e6):
        log_p = density.log_prob(circle(radius, 16).to(dtype))
        assert log_p.dtype == dtype
        assert log_p.shape == (16,)
        assert not log_p.isnan().any()
        assert (log_p < 20).all()
        if not isinstance(density, Annulus):
            assert log_p.isfinite().all()


@pytest.mark.parametrize("density", ALL, ids=str)
def test_single_precision_agrees_with_double(density):
    x = density.sample(200, generator=seeded())
    torch.testing.assert_close(
        density.log_prob(x).double(), density.log_prob(x.double()), rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize("density", [*ALL, SignSums(9)], ids=str)
def test_draws_have_the_default_dtype_and_the_right_shape(density):
    event = () if isinstance(density, SignSums) else (2,)
    assert density.sample(3).dtype == torch.float32
    torch.set_default_dtype(torch.float64)
    try:
        x = density.sample(7, generator=seeded())
    finally:
        torch.set_default_dtype(torch.float32)
    assert x.dtype == torch.float64
    assert x.shape == (7, *event)
    assert density.sample(0).shape == (0, *event)
    assert density.log_prob(torch.zeros(2, *event, dtype=torch.int64)).dtype == torch.float64


def test_draws_in_double_precision_are_precise_to_it():
    ring = Ring(scale=1e-12)
    torch.set_default_dtype(torch.float64)
    try:
        x = ring.sample(100, generator=seeded())
    finally:
        torch.set_default_dtype(torch.float32)
    assert (x[:, None] - ring.centres).norm(dim=2).min(1).values.max() < 1e-11


@pytest.mark.parametrize("density", [Annulus(), TwoMoons(), Ring()], ids=str)
def test_wrong_points_are_refused(density):
    for wrong in (torch.zeros(2), torch.zeros(4, 3), torch.zeros(4, 2, 1)):
        with pytest.raises(ValueError, match=r"Expected points of shape \(batch, 2\)"):
            density.log_prob(wrong)
    with pytest.raises(ValueError, match="NaN or infinite"):
        density.log_prob(torch.tensor([[0.0, math.nan]]))
    with pytest.raises(ValueError, match=r"Expected points of shape \(batch,\)"):
        SignSums(3).log_prob(torch.zeros(4, 2))


@pytest.mark.parametrize("density", [*ALL, SignSums(9)], ids=str)
@pytest.mark.parametrize("n", [-1, 2.0, True])
def test_wrong_numbers_of_draws_are_refused(density, n):
    with pytest.raises(ValueError, match="number of draws"):
        density.sample(n)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Annulus(2.0, 1.0), "radii 0 <= inner < outer, got inner=2.0, outer=1.0"),
        (lambda: Annulus(-1.0, 1.0), "radii 0 <= inner < outer"),
        (lambda: Annulus(0.0, math.inf), "outer > 0 and finite"),
        (lambda: Annulus(math.nan, 1.0), "radii 0 <= inner < outer"),
        (lambda: TwoMoons(noise=0.0), "noise > 0 and finite, got 0.0"),
        (lambda: TwoMoons(noise=1e-4), "noise >= 0.0013, got 0.0001: the quadrature"),
        (lambda: Spiral(noise=0.004), "noise >= 0.0043, got 0.004"),
        (lambda: Spiral(turns=-1.0), "turns > 0 and finite"),
        (lambda: Ring(modes=0), "modes as an integer >= 1, got 0"),
        (lambda: Ring(modes=2.5), "modes as an integer >= 1, got 2.5"),
        (lambda: Ring(radius=math.nan), "radius > 0 and finite"),
        (lambda: Ring(scale=0.0), "scale > 0 and finite"),
        (lambda: Grid(side=-1), "side as an integer >= 1"),
        (lambda: Grid(spacing="2"), "spacing > 0 and finite, got '2'"),
        (lambda: Grid(scale=-1.0), "scale > 0 and finite"),
        (lambda: SignSums(0), "terms as an integer >= 1"),
        (lambda: SignSums(True), "terms as an integer >= 1"),
    ],
)
def test_wrong_parameters_are_refused(make, sentence):
    with pytest.raises(ValueError, match=sentence):
        make()


# --- Lists and sums of signs ----------------------------------------------------------------------


@pytest.mark.covers("S1-19", "E18")
def test_list_a():
    assert LIST_A.dtype == torch.int64
    assert torch.bincount(LIST_A).tolist() == [0, 0, 0, 1, 6, 8, 5]
    assert LIST_A.double().mean().item() == pytest.approx(4.85)
    assert round(LIST_A.double().std(correction=0).item(), 3) == 0.853


@pytest.mark.covers("S1-20", "E18")
def test_list_c_has_an_eight_and_no_seven():
    assert LIST_C.dtype == torch.int64
    assert torch.bincount(LIST_C).tolist() == [0, 0, 0, 1, 6, 8, 4, 0, 1]
    assert len(LIST_C) == 20


@pytest.mark.parametrize("terms", [1, 2, 7, 12])
def test_sign_sums_are_the_enumeration_of_all_signs(terms):
    signs = torch.cartesian_prod(*[torch.tensor([-1, 1])] * terms).reshape(-1, terms)
    values, counts = signs.sum(1).unique(return_counts=True)
    law = SignSums(terms)
    lattice = values.double() / math.sqrt(terms)
    torch.testing.assert_close(law.support, lattice, rtol=1e-15, atol=0)
    expected = counts.double() / 2**terms
    torch.testing.assert_close(law.log_prob(law.support).exp(), expected, rtol=1e-12, atol=0)
    assert laws.sums_to_one(law, law.support) == pytest.approx(1, abs=1e-12)


def test_sign_sums_of_many_terms():
    law = SignSums(10_000)
    assert laws.sums_to_one(law, law.support) == pytest.approx(1, abs=1e-10)
    p = law.log_prob(law.support).exp()
    assert (p * law.support**2).sum().item() == pytest.approx(1, abs=1e-10)


def test_sign_sums_off_the_lattice_have_probability_zero():
    law = SignSums(10)
    step = 2 / math.sqrt(10)
    for off in (law.support + 1e-6, law.support + step / 2, law.support + 11 * step):
        assert (law.log_prob(off) == -math.inf).all()
    assert (law.log_prob(torch.tensor([1e6, -1e6, 4.0, -4.0])) == -math.inf).all()


def test_sign_sums_know_the_lattice_in_single_precision():
    for terms in (3, 10, 1000):
        law = SignSums(terms)
        rounded = law.support.float()
        divided = torch.arange(-terms, terms + 1, 2).float() / math.sqrt(terms)
        for x in (rounded, divided):
            torch.testing.assert_close(law.log_prob(x), law.log_prob(law.support).float())
        assert law.log_prob(law.sample(1000, generator=seeded())).isfinite().all()


@pytest.mark.parametrize("terms", [1, 5, 20, 400])
def test_sign_sums_draws_follow_the_law(terms):
    law = SignSums(terms)
    n = 20_000
    x = law.sample(n, generator=seeded(7)).double()
    assert torch.equal(x, law.sample(n, generator=seeded(7)).double())
    k = ((x * math.sqrt(terms) + terms) / 2).round().long()
    counts = torch.bincount(k, minlength=terms + 1).double()
    expected = n * law.log_prob(law.support).exp()
    often = expected >= 10
    seen = torch.cat([counts[often], counts[~often].sum()[None]])
    hoped = torch.cat([expected[often], expected[~often].sum()[None]])
    keep = hoped > 0
    assert stats.chisquare(seen[keep], hoped[keep]).pvalue > 1e-5
    laws.unbiased(x, 0.0)


@pytest.mark.covers("E06")
def test_sign_sums_never_come_closer_to_the_normal_law_in_total_variation():
    # For any set U the distance is at least P(U) - N(U). U is the lattice with a hair around it.
    hair = 1e-12
    for terms in (1, 10, 100, 1000, 10_000):
        law = SignSums(terms)
        lattice = law.log_prob(law.support).exp().sum().item()
        normal = 2 * hair * stats.norm.pdf(law.support.numpy()).sum()
        assert lattice - normal > 1 - 1e-9


@pytest.mark.covers("E06")
def test_sign_sums_come_closer_to_the_normal_law_in_kolmogorov_distance():
    distances = []
    for terms in (1, 10, 100, 1000, 10_000):
        law = SignSums(terms)
        p = law.log_prob(law.support).exp().numpy()
        after, normal = p.cumsum(), stats.norm.cdf(law.support.numpy())
        distances.append(max(abs(after - normal).max(), abs(after - p - normal).max()))
    assert [round(d, 4) for d in distances] == [0.3413, 0.1230, 0.0398, 0.0126, 0.0040]


@pytest.mark.covers("S0-01")
def test_empirical_law_approaches_the_truth():
    truth = SignSums(10)
    p = truth.log_prob(truth.support).exp()
    expected = []
    for n in (10, 100, 1000):
        # The mean distance of the empirical law: half the mean absolute deviations of binomials.
        k = np.arange(n + 1)
        expected.append(sum(stats.binom.pmf(k, n, q) @ abs(k / n - q) for q in p.tolist()) / 2)
        x = truth.sample(300 * n, generator=seeded(8)).double()
        state = ((x * math.sqrt(10) + 10) / 2).round().long().view(300, n)
        empirical = torch.stack([torch.bincount(row, minlength=11) / n for row in state])
        distance = (empirical - p).abs().sum(1) / 2
        laws.unbiased(distance, expected[-1])
    assert expected[0] > 3 * expected[1] > 9 * expected[2]


# --- Images ---------------------------------------------------------------------------------------


@pytest.mark.covers("S1-23")
def test_digits():
    data = digits()
    assert data.train.shape == (1437, 1, 8, 8)
    assert data.test.shape == (360, 1, 8, 8)
    both = torch.cat([data.train, data.test])
    assert both.dtype == torch.float32
    assert both.unique().tolist() == [k / 16 for k in range(17)]
    assert data.train_labels.dtype == data.test_labels.dtype == torch.int64
    counts = torch.bincount(data.train_labels) + torch.bincount(data.test_labels)
    assert counts.tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert ((torch.bincount(data.test_labels) - counts / 5).abs() < 1).all()


def test_digits_split_divides_the_whole_set():
    from sklearn.datasets import load_digits

    bunch = load_digits()
    data = digits()
    pixels = torch.cat([data.train, data.test]).flatten(1) * 16
    ours = torch.column_stack([pixels, torch.cat([data.train_labels, data.test_labels])])
    theirs = np.column_stack([bunch.data, bunch.target])
    assert sorted(ours.tolist()) == sorted(theirs.tolist())
    again = digits()
    assert torch.equal(again.train, data.train)


def idx(array: np.ndarray) -> bytes:
    return (
        b"\0\0\x08"
        + bytes([array.ndim])
        + struct.pack(f">{array.ndim}I", *array.shape)
        + (array.tobytes())
    )


@pytest.fixture
def small(monkeypatch):
    """Four small idx files by name, whose checksums torchvision's two classes are told."""
    import torchvision

    rng = np.random.default_rng(0)
    files = {}
    for part, n in (("train", 20), ("t10k", 8)):
        pixels = rng.integers(0, 256, (n, 28, 28), dtype=np.uint8)
        classes = rng.integers(0, 10, n, dtype=np.uint8)
        files[f"{part}-images-idx3-ubyte.gz"] = gzip.compress(idx(pixels), mtime=0)
        files[f"{part}-labels-idx1-ubyte.gz"] = gzip.compress(idx(classes), mtime=0)
    resources = [(name, checksum(data)) for name, data in files.items()]
    monkeypatch.setattr(torchvision.datasets.MNIST, "resources", resources)
    monkeypatch.setattr(torchvision.datasets.FashionMNIST, "resources", resources)
    return files


def put(files: dict[str, bytes], folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return folder


@pytest.fixture
def home(tmp_path, monkeypatch):
    """An empty home, and no data folder named."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("GENLAB_DATA", raising=False)
    return home


@pytest.mark.parametrize(
    ("load", "subfolder"), [(mnist, "mnist"), (fashion_mnist, "fashion_mnist")]
)
def test_idx_sets_from_a_folder(load, subfolder, small, tmp_path, home, monkeypatch):
    inside = put(small, tmp_path / "direct")
    below = put(small, tmp_path / "below" / subfolder).parent
    monkeypatch.setenv("GENLAB_DATA", str(below))
    for data in (load(inside), load(str(below)), load()):
        assert data.train.shape == (20, 1, 28, 28)
        assert data.test.shape == (8, 1, 28, 28)
        pixels = np.frombuffer(gzip.decompress(small["train-images-idx3-ubyte.gz"])[16:], np.uint8)
        assert torch.equal(data.train.flatten(), torch.from_numpy(pixels.copy()).float() / 255)
        labels = gzip.decompress(small["t10k-labels-idx1-ubyte.gz"])[8:]
        assert data.test_labels.tolist() == list(labels)
        assert data.train_labels.dtype == torch.int64
    assert not (home / ".cache").exists()


def test_own_subfolder_comes_before_the_folder_itself(small, tmp_path):
    other = {name: b"of another set" for name in small}
    folder = put(other, tmp_path / "data")
    with pytest.raises(ValueError, match="fashion_mnist"):
        fashion_mnist(folder)
    put(small, folder / "fashion_mnist")
    assert len(fashion_mnist(folder).train) == 20


@pytest.mark.parametrize("load", [mnist, fashion_mnist])
def test_changed_idx_file_is_refused(load, small, tmp_path):
    folder = put(small, tmp_path / "data")
    name = "t10k-images-idx3-ubyte.gz"
    changed = small[name][:-1] + bytes([small[name][-1] ^ 1])
    (folder / name).write_bytes(changed)
    with pytest.raises(ValueError, match="expected md5") as refusal:
        load(folder)
    sentence = str(refusal.value)
    assert str(folder / name) in sentence
    assert checksum(small[name]) in sentence
    assert checksum(changed) in sentence
    assert "Replace it" in sentence


def test_missing_fashion_mnist_is_said_with_name_checksum_place_and_source(tmp_path):
    with pytest.raises(FileNotFoundError) as refusal:
        fashion_mnist(tmp_path)
    sentence = str(refusal.value)
    for part in (
        "train-images-idx3-ubyte.gz (md5 8d4fb7e6c68d591d4c3dfef9ec88bf0d)",
        "t10k-labels-idx1-ubyte.gz (md5 bb300cfdad3c16e7a12a480ee83cd310)",
        str(tmp_path / "fashion_mnist"),
        "zalandoresearch/fashion-mnist",
        "GENLAB_DATA",
        "folder=",
    ):
        assert part in sentence


def test_only_the_missing_files_are_named(small, tmp_path):
    del small["t10k-labels-idx1-ubyte.gz"]
    folder = put(small, tmp_path / "data")
    with pytest.raises(FileNotFoundError, match=r"MNIST: t10k-labels-idx1-ubyte\.gz") as refusal:
        mnist(folder)
    assert "train-images" not in str(refusal.value)


def test_folder_that_is_not_there_is_refused(tmp_path, home, monkeypatch):
    with pytest.raises(FileNotFoundError, match="Expected folder to name a folder"):
        mnist(tmp_path / "nowhere")
    monkeypatch.setenv("GENLAB_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(FileNotFoundError, match="variable GENLAB_DATA to name a folder"):
        tiny_shakespeare()


FAILURES = [
    URLError("no route"),
    RuntimeError("File not found or corrupted."),
    TimeoutError("timed out"),
    http.client.IncompleteRead(b"half"),
]


@pytest.mark.parametrize("failure", FAILURES, ids=lambda e: type(e).__name__)
@pytest.mark.parametrize("load", [mnist, fashion_mnist])
def test_failed_download_leaves_no_file(load, failure, home, monkeypatch):
    def fails_on_the_second_file(url, download_root, filename, md5):
        Path(download_root, filename).write_bytes(b"half a file")
        if filename.startswith("train-labels"):
            raise failure

    monkeypatch.setattr(
        "torchvision.datasets.mnist.download_and_extract_archive", fails_on_the_second_file
    )
    patience = socket.getdefaulttimeout()
    with pytest.raises(FileNotFoundError, match="download failed") as refusal:
        load()
    sentence = str(refusal.value)
    assert "GENLAB_DATA" in sentence
    assert "train-images-idx3-ubyte.gz (md5 " in sentence
    assert "\n" not in sentence
    assert [path for path in home.rglob("*") if not path.is_dir()] == []
    assert socket.getdefaulttimeout() == patience


def test_download_with_wrong_bytes_leaves_no_file(home, monkeypatch):
    monkeypatch.setattr("torchvision.datasets.utils._get_redirect_url", lambda url, max_hops: url)
    monkeypatch.setattr(
        "torchvision.datasets.utils._urlretrieve",
        lambda url, filename: Path(filename).write_bytes(b"a page that says sorry"),
    )
    with pytest.raises(FileNotFoundError, match="download failed"):
        mnist()
    assert [path for path in home.rglob("*") if not path.is_dir()] == []


def test_download_is_kept_and_done_once(small, home, monkeypatch):
    calls = []

    def from_memory(url, filename):
        calls.append(url)
        Path(filename).write_bytes(small[Path(filename).name])

    monkeypatch.setattr("torchvision.datasets.utils._get_redirect_url", lambda url, max_hops: url)
    monkeypatch.setattr("torchvision.datasets.utils._urlretrieve", from_memory)
    first, second = mnist(), mnist()
    assert torch.equal(first.train, second.train)
    assert len(calls) == 4
    kept = {str(path.relative_to(home)) for path in home.rglob("*") if path.is_file()}
    assert kept == {f".cache/genlab/mnist/{name}" for name in small}


def test_named_folder_is_never_filled_by_a_download(tmp_path, home, monkeypatch):
    def never(*args, **kwargs):
        raise AssertionError("a download was tried")

    monkeypatch.setattr("torchvision.datasets.mnist.download_and_extract_archive", never)
    with pytest.raises(FileNotFoundError, match="not found in"):
        mnist(tmp_path)


def test_idx_reader_agrees_with_torchvisions(tmp_path):
    from torchvision.datasets.mnist import read_image_file

    array = np.random.default_rng(0).integers(0, 256, (3, 5, 4), dtype=np.uint8)
    path = tmp_path / "images"
    path.write_bytes(idx(array))
    assert torch.equal(read_idx(idx(array)), read_image_file(str(path)))


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "unsigned bytes"),
        (b"\0\0\x0d\x01" + b"\0\0\0\x01" + b"\0\0\0\0", "unsigned bytes"),
        (b"\0\0\x08\x03\0\0\0\x01", "unsigned bytes"),
        (idx(np.zeros((2, 3), np.uint8))[:-1], r"shape \(2, 3\), got 5"),
        (idx(np.zeros((2, 3), np.uint8)) + b"\0", r"shape \(2, 3\), got 7"),
    ],
)
def test_idx_reader_refuses_other_bytes(data, sentence):
    with pytest.raises(ValueError, match=sentence):
        read_idx(data)


# --- Binarised MNIST ------------------------------------------------------------------------------


@pytest.fixture
def bits():
    return np.random.default_rng(0).integers(0, 2, (10_000, 784), dtype=np.uint8)


def amat(rows: np.ndarray) -> bytes:
    text = np.full((len(rows), 2 * rows.shape[1]), ord(" "), np.uint8)
    text[:, ::2] = rows + ord("0")
    text[:, -1] = ord("\n")
    return text.tobytes()


def matlab(rows: np.ndarray) -> bytes:
    data = io.BytesIO()
    savemat(data, {"X": rows})
    return data.getvalue()


@pytest.mark.parametrize("end", [b"\n", b" \n", b"\r\n"])
def test_amat_parser(end, bits):
    rows = bits[:7]
    data = amat(rows)
    assert data.startswith(" ".join(map(str, rows[0])).encode() + b"\n")
    x = read_amat(data.replace(b"\n", end))
    assert x.dtype == torch.uint8
    np.testing.assert_array_equal(x, rows)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"0 1\n0 2\n", r"zeros and ones in line 2, got b'0 2'"),
        (b"0 1\n01 1\n", "zeros and ones in line 2"),
        (b"0 1\n0 1 1\n", "2 values in line 2 as in line 1, got 3"),
        (b"0 1\n\n0 1\n", "zeros and ones in line 2"),
        (b"0 nan\n", "zeros and ones in line 1"),
        (b"", "empty"),
    ],
)
def test_amat_parser_refuses_other_text(data, sentence):
    with pytest.raises(ValueError, match=sentence):
        read_amat(data)


def test_binarized_mnist_in_its_three_forms(bits, tmp_path, monkeypatch):
    train = np.tile(bits, (5, 1))
    forms = {"train": matlab(train), "valid": matlab(bits), "test": amat(bits)}
    md5 = {f"binarized_mnist_{split}.mat": checksum(data) for split, data in forms.items()}
    monkeypatch.setattr(binarized, "_FILES", dataclasses.replace(binarized._FILES, md5=md5))
    names = {"train": "train.mat", "valid": "valid.amat", "test": "test.amat.gz"}
    forms["test"] = gzip.compress(forms["test"], compresslevel=1)
    put(
        {f"binarized_mnist_{name}": forms[split] for split, name in names.items()},
        tmp_path / "binarized_mnist",
    )
    data = binarized_mnist(tmp_path)
    for split, rows in ((data.train, train), (data.valid, bits), (data.test, bits)):
        assert split.dtype == torch.uint8
        assert split.shape == (len(rows), 1, 28, 28)
        np.testing.assert_array_equal(split.flatten(1), rows)


@pytest.mark.parametrize("name", ["binarized_mnist_train.mat", "binarized_mnist_train.amat"])
def test_changed_matlab_file_is_refused(name, tmp_path):
    put({name: b"MATLAB 5.0 MAT-file, but another one"}, tmp_path)
    with pytest.raises(ValueError, match="expected md5 4e26f7a5b466cfcde0fa4876fa4b60a6"):
        binarized_mnist(tmp_path)


def test_text_form_of_another_size_is_refused(tmp_path, bits):
    put({"binarized_mnist_train.amat": amat(bits[:3])}, tmp_path)
    with pytest.raises(ValueError, match=r"Expected 50000 rows of 784 pixels .* \(3, 784\)"):
        binarized_mnist(tmp_path)


def test_missing_binarized_mnist_is_said(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"4e26f7a5b466cfcde0fa4876fa4b60a6.*ARM-gradient"):
        binarized_mnist(tmp_path)


# --- Texts ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["input.txt", "input.txt.gz"])
def test_changed_text_is_refused(name, tmp_path):
    data = b"First Citizen: nothing."
    (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith("gz") else data)
    with pytest.raises(
        ValueError, match="expected md5 6fb458f1232090904fb40fe944165e91"
    ) as refusal:
        tiny_shakespeare(tmp_path)
    assert checksum(data) in str(refusal.value)
    assert str(tmp_path / name) in str(refusal.value)


@pytest.mark.parametrize("cut", [lambda data: data[:-9], lambda data: b"no gzip at all"])
def test_damaged_gzip_is_refused(cut, tmp_path):
    (tmp_path / "input.txt.gz").write_bytes(cut(gzip.compress(b"First Citizen: nothing." * 99)))
    with pytest.raises(ValueError, match="is damaged and cannot be unpacked"):
        tiny_shakespeare(tmp_path)


@pytest.mark.parametrize(
    ("load", "first", "source"),
    [
        (tiny_shakespeare, "input.txt", "karpathy/char-rnn"),
        (lambda f: movie_reviews("rt-polarity", f), "rt-polarity.pos", "rt-polaritydata"),
        (lambda f: movie_reviews("sst2", f), "stsa.binary.train", "ZhitingHu/logicnn"),
    ],
)
def test_missing_text_is_said(load, first, source, tmp_path):
    with pytest.raises(FileNotFoundError, match=rf"{first} \(md5 [0-9a-f]{{32}}\).*{source}"):
        load(tmp_path)


def test_reviews_parser(tmp_path, monkeypatch):
    files = {
        "rt-polarity.pos": b"warm\x85 and\x0c wise . \nit 's caf\xe9 noir \x96 fun . \n",
        "rt-polarity.neg": b"dull . \n",
        "stsa.binary.train": "1 déjà vu , but fun\n0 0 1 2 go\n".encode(),
        "stsa.binary.dev": b"0 no .\n",
        "stsa.binary.test": b"1 yes .\n",
    }
    sums = {name: checksum(data) for name, data in files.items()}
    for constant, start in (("_RT_POLARITY", "rt"), ("_SST2", "stsa")):
        md5 = {name: s for name, s in sums.items() if name.startswith(start)}
        whole = FileSet(constant, "sentiment", "this test", md5)
        monkeypatch.setattr(f"genlab.data.text.{constant}", whole)
    put(files, tmp_path / "sentiment")
    (rt,) = movie_reviews("rt-polarity", tmp_path).values()
    assert rt.sentences == ("warm… and\f wise . ", "it 's café noir \N{EN DASH} fun . ", "dull . ")
    assert rt.labels.tolist() == [1, 1, 0]
    sst = movie_reviews("sst2", tmp_path)
    assert list(sst) == ["train", "dev", "test"]
    assert sst["train"].sentences == ("déjà vu , but fun", "0 1 2 go")
    assert sst["train"].labels.tolist() == [1, 0]
    assert sst["dev"].labels.dtype == torch.int64


def test_unknown_reviews_are_refused():
    with pytest.raises(ValueError, match='"rt-polarity" or "sst2", got \'SST-2\''):
        movie_reviews("SST-2")


# --- The real files -------------------------------------------------------------------------------


@real("mnist")
@pytest.mark.covers("S1-23")
def test_real_mnist():
    data = mnist(REAL)
    assert data.train.shape == (60_000, 1, 28, 28)
    assert data.train.dtype == torch.float32
    assert data.train.min() == 0
    assert data.train.max() == 1
    assert round(data.train.double().mean().item(), 6) == 0.130660
    assert round(data.train.double().std().item(), 6) == 0.308108
    assert round(data.test.double().mean().item(), 6) == 0.132515
    train = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    test = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert torch.bincount(data.train_labels).tolist() == train
    assert torch.bincount(data.test_labels).tolist() == test


@real("binarized_mnist")
def test_real_binarized_mnist():
    data = binarized_mnist(REAL)
    means = []
    for split, n in ((data.train, 50_000), (data.valid, 10_000), (data.test, 10_000)):
        assert split.shape == (n, 1, 28, 28)
        assert split.dtype == torch.uint8
        assert split.max() == 1
        means.append(round(split.double().mean().item(), 6))
    assert means == [0.130562, 0.131127, 0.132512]


@real("binarized_mnist")
def test_real_binarized_mnist_as_text(tmp_path):
    shutil.copytree(REAL / "binarized_mnist", tmp_path / "data")
    folder = tmp_path / "data"
    bits = binarized_mnist(folder)
    (folder / "binarized_mnist_test.mat").rename(tmp_path / "moved")
    (folder / "binarized_mnist_test.amat").write_bytes(amat(bits.test.flatten(1).numpy()))
    assert torch.equal(binarized_mnist(folder).test, bits.test)


@real("tinyshakespeare")
def test_real_tiny_shakespeare(monkeypatch):
    text = tiny_shakespeare(REAL)
    assert len(text) == 1_115_394
    assert len(set(text)) == 65
    assert text.count("\n") == 40_000
    assert text.startswith("First Citizen:\n")
    monkeypatch.setenv("GENLAB_DATA", str(REAL))
    assert tiny_shakespeare() == text


@real("sentiment")
def test_real_rt_polarity():
    (reviews,) = movie_reviews("rt-polarity", REAL).values()
    assert len(reviews.sentences) == len(reviews.labels) == 10_662
    assert reviews.labels.dtype == torch.int64
    assert torch.bincount(reviews.labels).tolist() == [5331, 5331]
    but = torch.tensor([" but " in sentence for sentence in reviews.sentences])
    assert [int(but[reviews.labels == label].sum()) for label in (1, 0)] == [765, 838]


@real("sentiment")
def test_real_sst2():
    splits = movie_reviews("sst2", REAL)
    counts = {}
    for split, reviews in splits.items():
        but = sum(" but " in f" {sentence}" for sentence in reviews.sentences)
        counts[split] = (len(reviews.sentences), int(reviews.labels.sum()), but)
    assert counts == {"train": (6920, 3610, 843), "dev": (872, 444, 108), "test": (1821, 909, 237)}


# --- The package ----------------------------------------------------------------------------------


def test_import_is_light():
    heavy = ("torchvision", "sklearn", "scipy")
    code = f"import sys, genlab.data; print([m for m in {heavy} if m in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
