"""How good are draws of a model that has no likelihood? Five answers, and what each cannot see.

Where the truth is a mixture with known centres, draws are counted. Else both samples are compared
in a space of features: by the balls around their points, or by their first two moments.
"""

from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from genlab.density import KDE
from genlab.divergences import kl, wasserstein2_normal
from genlab.em.kmeans import count
from genlab.models import as_rows, query_points

__all__ = ["Coverage", "coverage", "frechet_distance", "parzen", "precision_recall"]


class Mixture(Protocol):
    """Equally likely round Gaussians: ``Ring`` and ``Grid`` of :mod:`genlab.data`."""

    scale: float

    @property
    def centres(self) -> Tensor: ...


class Coverage(NamedTuple):
    """What :func:`coverage` counts.

    Attributes:
        modes: those with a draw of high quality.
        quality: share of the draws that are of high quality.
        reverse_kl: KL(shares of the modes ‖ equal shares), in nats.
    """

    modes: int
    quality: float
    reverse_kl: float


def coverage(x: Tensor, law: Mixture) -> Coverage:
    """Modes captured, share of high quality, and how unequal the modes' shares are.

    A draw belongs to its nearest mode. It is of high quality within three standard deviations of
    the centre; of the mixture's own draws in the plane 1 − e^{−9/2} = 98.9 % are. A generator
    that gives each centre and nothing else scores best: no measure here sees a mode's width.

    Args:
        x: draws ``[n, 2]``; 2,500 in the source.
        law: has ``centres`` ``[K, 2]`` and their ``scale``.

    Raises:
        ValueError: draws of another shape, none, NaN or infinite.

    Source: Srivastava et al. 2017, arXiv:1705.07761; Lin et al. 2018, arXiv:1712.04086, section 4.

    Example: two modes of eight, in equal shares.
        >>> from genlab.data import Ring
        >>> ring = Ring(radius=1.0, scale=0.01)
        >>> x = torch.tensor([[1.0, 0.02], [1.0, 0.0], [-1.0, 0.0], [-0.9, 0.0]])
        >>> modes, quality, reverse_kl = coverage(x, ring)
        >>> modes, quality, round(reverse_kl, 4)  # log 8/2
        (2, 0.75, 1.3863)
    """
    centres = law.centres
    x = query_points(x, tuple(centres.shape[1:])).double()
    if not len(x):
        raise ValueError("Expected draws to count, got none.")
    distance, nearest = _distances(x, centres).min(1)
    good = distance <= 3 * law.scale
    share = nearest.bincount(minlength=len(centres)).double() / len(x)
    equal = torch.full_like(share, 1 / len(centres))
    return Coverage(
        modes=len(nearest[good].unique()),
        quality=float(good.double().mean()),
        reverse_kl=float(kl(share, equal)),
    )


def precision_recall(real: Tensor, fake: Tensor, k: int = 3) -> tuple[float, float]:
    """Precision, the share of fake among the real; recall, the share of real among the fake.

    A point is "among" a sample if it lies in a ball around one of its points, which reaches to
    that point's k-th neighbour in the sample. Collapsed draws have precision without recall, noise
    around the data recall without precision.

    Args:
        real, fake: ``[n, d]`` and ``[m, d]``, mostly :func:`features`; n·m numbers are held.
        k: neighbour that sets the radius, less than n and m.

    Raises:
        ValueError: bad data, data of different lengths, or a k that is no neighbour's number.

    Source: Kynkäänniemi et al. 2019, arXiv:1904.06991, eqs. 1 and 2.

    Example:
        >>> real = torch.tensor([[0.0], [1.0], [10.0], [11.0]])
        >>> precision_recall(real, fake=torch.tensor([[0.25], [0.75], [5.0], [6.0]]), k=1)
        (0.5, 0.5)
    """
    real, fake = _two_samples(real, fake)
    if count(k, "k") >= min(len(real), len(fake)):
        raise ValueError(
            f"Expected more than k={k} points in both samples, got {len(real)} and {len(fake)}."
        )
    return _share_among(fake, real, k), _share_among(real, fake, k)


def _share_among(x: Tensor, sample: Tensor, k: int) -> float:
    radius = _distances(sample, sample).kthvalue(k + 1, dim=1).values  # the first is itself
    return float((_distances(x, sample) <= radius).any(1).double().mean())


def _distances(x: Tensor, y: Tensor) -> Tensor:
    return torch.cdist(x, y, compute_mode="donot_use_mm_for_euclid_dist")  # exact where they are 0


def frechet_distance(real: Tensor, fake: Tensor) -> float:
    """Fréchet distance, |μ − ν|² + tr(Σ + Τ − 2 (ΣΤ)^½): W₂² of the normal laws with these moments.

    In features of the Inception network it is the FID, which ``torchmetrics.image.fid`` computes as
    papers report it (``pip install 'genlab[metrics]'``); in the same features it gives what this
    does. It sees two moments and no more, and from few draws it is too large, by an amount that
    differs between models.

    Args:
        real, fake: ``[n, d]`` and ``[m, d]``, mostly :func:`features`; n, m ≥ 2.

    Raises:
        ValueError: bad data, or data of different lengths.

    Source: Heusel et al. 2017, arXiv:1706.08500, eq. 6.

    Example:
        >>> x = torch.tensor([[-1.0], [1.0]])
        >>> round(frechet_distance(x, 3 * x + 4), 6)  # 4² + (3√2 − √2)²
        24.0
    """
    real, fake = _two_samples(real, fake)
    return float(wasserstein2_normal(*_moments(real), *_moments(fake))) ** 2


def _moments(x: Tensor) -> tuple[Tensor, Tensor]:
    d = x.shape[1]
    return x.mean(0), x.T.cov().reshape(d, d)


def parzen(
    fake: Tensor, valid: Tensor, test: Tensor, bandwidths: Tensor | list[float]
) -> tuple[float, float]:
    """Mean log-density of test data under a kernel estimate made of draws: a warning.

    The bandwidth is the one that does best on the validation data. In many dimensions the value
    says little of the model: with 10,000 draws the centres of k-means beat draws of the truth.

    Args:
        fake, valid, test: ``[n, *event]``.
        bandwidths: to choose from.

    Returns:
        nats an example, and the bandwidth.

    Raises:
        ValueError: bad data or bandwidths.

    Source: Breuleux, Bengio and Vincent 2011; Goodfellow et al. 2014, table 1; against it Theis,
        van den Oord and Bethge 2016, arXiv:1511.01844, section 3.2.

    Example:
        >>> g = torch.Generator().manual_seed(0)
        >>> x = torch.randn(3, 500, generator=g)
        >>> value, bandwidth = parzen(*x, bandwidths=[0.01, 0.3, 3.0])
        >>> bandwidth, round(value, 1)
        (0.3, -1.4)
    """
    fake, valid, test = (as_rows(x) for x in (fake, valid, test))

    def score(x: Tensor, bandwidth: float) -> float:
        return float(KDE(bandwidth).fit(fake).log_prob(x).mean())

    best = max((float(h) for h in bandwidths), key=lambda h: score(valid, h))
    return score(test, best), best


def _two_samples(real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
    real = query_points(real, tuple(real.shape[1:]))
    fake = query_points(fake, tuple(real.shape[1:]))
    if real.ndim != 2 or min(len(real), len(fake)) < 2:
        raise ValueError(
            "Expected two samples of two or more rows, (n, d) and (m, d), got "
            f"{tuple(real.shape)} and {tuple(fake.shape)}. Images become rows by features."
        )
    return real.double(), fake.double()
