"""Histograms, and the number of bins."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from genlab.models import as_rows, catalogued, query_points, sample_size, training_data

MAX_CELLS = 10_000_000


@catalogued(chapter="density", source="Pearson 1895; Scott 1979")
class Histogram:
    """Piecewise constant density on a box cut into equal cells.

    p̂(x) = c / (n V) for x in a cell of volume V that holds c of the n points; 0 outside the box.
    Event ``()`` for data ``[n]``, ``(d,)`` for data ``[n, d]``.

    Args:
        bins: number of bins, one for all axes or one for each; ``"loo"`` chooses the number
            (the same on each axis) that minimises :func:`loo_risk`.
        range: ``(low, high)`` of the box, the same on each axis; by default that of the data.

    Raises:
        ValueError: bad data, a constant column without a range, data outside the range, bins
            that are not whole numbers ≥ 1, more than ten million cells, or ``"loo"`` where ties
            drive the number of bins up without end.

    Source: Scott 1979, Biometrika 66, 605.

    Example:
        >>> h = Histogram(bins=4, range=(0, 4)).fit(torch.tensor([0.5, 1.5, 1.7, 4.0]))
        >>> h.log_prob(torch.tensor([0.1, 1.0, 2.0, 9.0])).exp()
        tensor([0.2500, 0.5000, 0.0000, 0.0000])
    """

    def __init__(
        self,
        bins: int | Sequence[int] | str = "loo",
        range: tuple[float, float] | None = None,
    ):
        if isinstance(bins, str):
            if bins != "loo":
                raise ValueError(f'Expected bins as a number or "loo", got {bins!r}.')
        else:
            each = [bins] if isinstance(bins, int) else list(bins)
            if not each or not all(isinstance(b, int) and b >= 1 for b in each):
                raise ValueError(f"Expected whole numbers of bins >= 1, got {bins!r}.")
        if range is not None and not (
            math.isfinite(range[0]) and math.isfinite(range[1]) and range[0] < range[1]
        ):
            raise ValueError(f"Expected range = (low, high) with low < high, got {range}.")
        self.bins, self.range = bins, range

    def fit(self, x: Tensor) -> "Histogram":
        x = training_data(x)
        self.event, self.dtype = tuple(x.shape[1:]), x.dtype
        rows = as_rows(x)
        d = rows.shape[1]
        self.low, self.high = _box(rows, self.range)
        if self.bins == "loo":
            self.shape = (_loo_bins(rows, self.low, self.high),) * d
        else:
            self.shape = (self.bins,) * d if isinstance(self.bins, int) else tuple(self.bins)
        if len(self.shape) != d:
            raise ValueError(
                f"Expected one number of bins for each of the {d} columns, got {len(self.shape)}."
            )
        if math.prod(self.shape) > MAX_CELLS:
            raise ValueError(
                f"{' x '.join(map(str, self.shape))} bins make {math.prod(self.shape):.2g} cells, "
                f"more than {MAX_CELLS:,}. That is the curse of dimensionality: take fewer bins, "
                "fewer columns, or genlab.density.KDE."
            )
        self.width = (self.high - self.low) / torch.tensor(self.shape)
        self.volume = float(self.width.prod())
        cells = math.prod(self.shape)
        self.counts = torch.bincount(_cell(rows, self.low, self.width, self.shape), minlength=cells)
        self.n = len(x)
        return self

    def log_prob(self, x: Tensor) -> Tensor:
        """log of count / (n·volume) in nats, ``[batch]``; −inf in empty cells and outside."""
        x = query_points(x, self.event)
        rows = as_rows(x)
        inside = ((rows >= self.low) & (rows <= self.high)).all(1)
        rows = torch.where(inside[:, None], rows, self.low)
        count = self.counts[_cell(rows, self.low, self.width, self.shape)]
        log_p = count.double().log() - math.log(self.n * self.volume)
        return torch.where(inside, log_p, -math.inf).to(x.dtype)

    def sample(self, n: int, *, generator: torch.Generator | None = None) -> Tensor:
        """A cell with probability count / n, then a uniform point in it, ``[n, *event]``."""
        if sample_size(n) == 0:
            return torch.empty(0, *self.event, dtype=self.dtype)
        # By inversion: torch.multinomial stops at 2^24 categories and its cost is per cell.
        cumulative = self.counts.cumsum(0)
        ticket = torch.randint(self.n, (n,), generator=generator)
        cell = torch.searchsorted(cumulative, ticket, right=True)
        index = torch.stack(torch.unravel_index(cell, self.shape), dim=1)
        u = torch.rand(n, len(self.shape), dtype=torch.float64, generator=generator)
        x = self.low + (index + u) * self.width
        return torch.minimum(x, self.high).reshape(n, *self.event).to(self.dtype)


def loo_risk(x: Tensor, bins: int, range: tuple[float, float] | None = None) -> float:
    """Leave-one-out estimate of a histogram's integrated squared error, up to a constant.

    J(m) = ∫p̂² − (2/n) Σᵢ p̂₋ᵢ(xᵢ) = 2/((n−1)V) − (n+1)/((n−1)V) · Σⱼ (cⱼ/n)², with V the
    volume of a cell. E J(m) = E∫(p̂ − p)² − ∫p². Without the leave-one-out, more bins always
    look better.

    Args:
        x: data ``[n]`` or ``[n, d]``, n ≥ 2.
        bins: number of bins on each axis.
        range: as in :class:`Histogram`.

    Source: Rudemo 1982, Scand. J. Statist. 9, 65.

    Example:
        >>> x = torch.randn(500, generator=torch.Generator().manual_seed(0))
        >>> [round(loo_risk(x, m), 3) for m in (2, 15, 300)]
        [-0.153, -0.277, -0.2]
    """
    rows = training_data(x).double()
    if len(rows) < 2:
        raise ValueError("Expected at least two rows to leave one out, got one.")
    h = Histogram(bins, range).fit(rows)
    n, p = h.n, h.counts.double() / h.n
    return float(2 - (n + 1) * (p**2).sum()) / ((n - 1) * h.volume)


def _loo_bins(rows: Tensor, low: Tensor, high: Tensor) -> int:
    """The number of bins per axis with the least leave-one-out risk.

    Tried are whole numbers in geometric steps up to one bin a point (a point alone in its cell
    has been left out of everything), as far as the cells can be held.
    """
    n, d = rows.shape
    if n < 2:
        raise ValueError('bins="loo" needs at least two rows; got one. Give a number of bins.')
    most = min(n, int(MAX_CELLS ** (1 / d)))
    tried = sorted({round(most ** (i / 79)) for i in range(80)})
    volume = float((high - low).prod())
    risk = []
    for m in tried:
        cell = _cell(rows, low, (high - low) / m, (m,) * d)
        share = cell.unique(return_counts=True)[1].double() / n
        risk.append(float(2 - (n + 1) * (share**2).sum()) * m**d / ((n - 1) * volume))
    best = tried[min(range(len(tried)), key=risk.__getitem__)]
    if best == n > 8:
        raise ValueError(
            "Leave-one-out prefers as many bins as there are rows: the data hold many equal values "
            "(rounded or whole numbers?). Give a number of bins, or use Categorical."
        )
    return best


def _box(rows: Tensor, given: tuple[float, float] | None) -> tuple[Tensor, Tensor]:
    if given is None:
        low, high = rows.amin(0), rows.amax(0)
        if (low == high).any():
            column = int((low == high).nonzero()[0])
            raise ValueError(
                f"Column {column} is constant ({low[column]:g}): its range has no width to cut. "
                "Drop the column or give range=(low, high)."
            )
        return low, high
    low, high = (torch.full((rows.shape[1],), float(v), dtype=torch.float64) for v in given)
    outside = int(((rows < low) | (rows > high)).any(1).sum())
    if outside:
        raise ValueError(
            f"{outside} of {len(rows)} rows lie outside range={given}. "
            "Widen the range or drop them."
        )
    return low, high


def _cell(rows: Tensor, low: Tensor, width: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Flat index of each row's cell; the upper edge of the box belongs to the last cell."""
    last = torch.tensor(shape) - 1
    index = ((rows - low) / width).long().clamp_min(0).minimum(last)
    stride = torch.tensor([math.prod(shape[j + 1 :]) for j in range(len(shape))])
    return (index * stride).sum(1)
