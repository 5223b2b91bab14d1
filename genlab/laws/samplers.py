"""A sampler draws what it is asked for, by its generator alone, and where its density says."""

import torch
from scipy.stats import chi2
from torch import Tensor

from genlab.laws.boxes import Bound, corner_of, dimensions, grid_mass
from genlab.laws.broken import LawBroken, describe
from genlab.models import Density, Sampler

__all__ = ["samples_follow", "speaks_sampler"]


def samples_follow(
    model: Density,
    low: Bound,
    high: Bound,
    n: int = 20_000,
    *,
    generator: torch.Generator | None = None,
) -> float:
    """Draws fall where the density says: a χ² test over cells of a box.

    The probability of each cell is integrated from ``log_prob``. All that lies outside the box, or
    in cells that expect fewer than 10 draws, is one more cell.

    Args:
        low, high: a box as in :func:`integrates_to_one`, d ≤ 2.
        n: number of draws.

    Returns:
        the p-value.

    Raises:
        LawBroken: p-value below 1e-5, with the cell that disagrees most; or too few cells that
            expect 10 draws to decide.
        ValueError: no box of at most two dimensions.

    Example:
        >>> from genlab.density import KDE
        >>> model = KDE(bandwidth=0.5).fit(torch.tensor([0.0, 3.0]))
        >>> samples_follow(model, -3, 6, generator=torch.Generator().manual_seed(0)) > 1e-5
        True
    """
    d = dimensions(low, high, most=2)
    cells, points = {1: (64, 64 * 64), 2: (16, 16 * 32)}[d]
    x = speaks_sampler(model, n, generator=generator)
    event = (d,) if torch.as_tensor(low).ndim else ()
    if tuple(x.shape) != (n, *event):
        raise LawBroken(f"sample({n}) must have shape {(n, *event)}, got {describe(x)}.")
    x = x.double().reshape(n, d)
    corner, width = corner_of(low), (corner_of(high) - corner_of(low)) / cells
    index = ((x - corner) / width).floor().long()
    inside = ((index >= 0) & (index < cells)).all(1)
    flat = (index * torch.tensor([cells ** (d - 1 - j) for j in range(d)])).sum(1)
    observed = torch.bincount(flat[inside], minlength=cells**d).double()
    mass = grid_mass(model, low, high, points)
    per = points // cells
    mass = mass.reshape(cells, per) if d == 1 else mass.reshape(cells, per, cells, per)
    expected = n * (mass.sum(1) if d == 1 else mass.sum((1, 3))).flatten()
    small = expected < 10
    joined = (~inside).sum() + observed[small].sum()
    remaining = max(0.0, n - float(expected.sum())) + expected[small].sum()
    observed = torch.cat([observed[~small], joined[None]])
    expected = torch.cat([expected[~small], remaining[None]])
    terms = (observed - expected) ** 2 / expected.clamp_min(10)
    p_value = float(chi2.sf(float(terms.sum()), max(1, len(terms) - 1)))
    if p_value < 1e-5:
        worst = int(terms.argmax())
        place = "all outside the box or in cells that expect fewer than 10 draws"
        if worst < len(terms) - 1:
            name = _cell_name(int((~small).nonzero()[worst]), corner, width, cells)
            place = f"the cell {name}"
        raise LawBroken(
            f"The draws do not follow the density (χ² test, p = {p_value:.1g}). Most off: {place} "
            f"holds {int(observed[worst])} of {n} draws where the density expects "
            f"{float(expected[worst]):.0f}."
        )
    if len(terms) <= 5 or remaining > n / 2:
        raise LawBroken(
            f"{n} draws decide nothing here: {len(terms) - 1} of the {cells**d} cells of the box "
            f"expect 10 or more, and the rest expects {float(remaining):.0f}. Use more draws, or a "
            "box that fits the density."
        )
    return p_value


def speaks_sampler(
    model: Sampler, n: int = 8, *, generator: torch.Generator | None = None
) -> Tensor:
    """``sample(n)`` returns n finite rows, and the generator alone decides them.

    Returns:
        the draws.

    Example:
        >>> from genlab.density import Gaussian
        >>> model = Gaussian().fit(torch.tensor([[0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]))
        >>> speaks_sampler(model, 5).shape
        torch.Size([5, 2])
    """
    state = None if generator is None else generator.get_state()
    x = model.sample(n, generator=generator)
    if not isinstance(x, Tensor) or x.ndim == 0 or len(x) != n:
        raise LawBroken(f"sample({n}) must return a tensor with {n} rows, got {describe(x)}.")
    if not x.isfinite().all():
        raise LawBroken(f"sample({n}) returned NaN or infinite values.")
    if generator is not None:
        generator.set_state(state)
        if not torch.equal(x, model.sample(n, generator=generator)):
            raise LawBroken(
                "The same generator gave two different samples: some draw does not use the "
                "generator that is passed."
            )
    return x


def _cell_name(flat: int, corner: Tensor, width: Tensor, cells: int) -> str:
    d = len(corner)
    index = [flat // cells ** (d - 1 - j) % cells for j in range(d)]
    sides = [
        f"[{corner[j] + i * width[j]:.3g}, {corner[j] + (i + 1) * width[j]:.3g}]"
        for j, i in enumerate(index)
    ]
    return " x ".join(sides)
