"""What must be true of any density and any sampler: checks that explain themselves.

A law takes any object that speaks the words of :mod:`genlab.models` and raises
:class:`LawBroken`, an AssertionError, with a sentence to act on. The same law serves the package's
tests, the check cells of the exercises, and the pages of the book.
"""

import math
from collections.abc import Callable, Sequence

import torch
from scipy.stats import chi2
from torch import Tensor, nn

from genlab.models import Density, Sampler

Bound = float | Sequence[float]


class LawBroken(AssertionError):
    """A property that must hold does not; the message says which, by how much, and why maybe."""


def integrates_to_one(density: Density, low: Bound, high: Bound, points: int = 0) -> float:
    """∫ p(x) dx = 1 over a box that holds all the mass, by the midpoint rule.

    The rule is run at several resolutions; four times their largest difference bounds its own
    error (at least 1e-6 is allowed), and a grid too coarse to decide is said to be so.

    Args:
        density: anything with ``log_prob``, nats.
        low, high: the box; two numbers for event ``()``, two sequences of d numbers for ``(d,)``
            with d ≤ 3.
        points: grid points on each axis; by default 4096, 512 and 96 for d = 1, 2, 3.

    Returns:
        the integral.

    Raises:
        LawBroken: the integral is not one, or the log-density has a wrong shape or NaN.
        ValueError: no box of at most three dimensions.

    Example:
        >>> from torch.distributions import Normal
        >>> round(integrates_to_one(Normal(0.0, 1.0), -9, 9), 6)
        1.0
    """
    d = _dimensions(low, high, most=3)
    points = points or {1: 4096, 2: 512, 3: 96}[d]

    def mass(m: int) -> float:
        return _grid_mass(density, low, high, m).sum().item()

    fine, coarse = mass(points), mass(points // 2)
    if max(abs(fine - 1), abs(coarse - 1)) <= 1e-6:
        return fine
    # Where the density jumps, the errors of two grids are as good as random and may be equal by
    # chance; those of five are not.
    others = [coarse, *(mass(round(points * share)) for share in (3 / 4, 2 / 3, 3 / 5))]
    spread = max(abs(fine - m) for m in others)
    if not (math.isfinite(fine) and spread <= 0.05):
        raise LawBroken(
            f"The integral is {min(fine, *others):.4f} to {max(fine, *others):.4f} on grids of "
            f"{points // 2} to {points} points an axis: the density is too spiky for this grid, "
            "or infinite somewhere. Use more points or a smaller box."
        )
    if abs(fine - 1) > max(1e-6, 4 * spread):
        why = ""
        if d > 1:
            why = f" In {d} dimensions a kernel of width h is divided by n·h^{d}, not n·h."
        elif fine < 1:
            why = " Does the box hold all the mass? Is the density divided by too much?"
        digits = 4 if abs(fine - 1) > 1e-3 else 7
        raise LawBroken(f"The density integrates to {fine:.{digits}f}, not 1.{why}")
    return fine


def sums_to_one(model: Density, support: Tensor) -> float:
    """Σ p(x) = 1 over a finite support, to 1e-10.

    Args:
        support: every possible value once, ``[states, *event]``.

    Example:
        >>> from genlab.density import Categorical
        >>> model = Categorical(range(3), smoothing=1).fit(torch.tensor([0, 2, 2]))
        >>> round(sums_to_one(model, torch.arange(3)), 12)
        1.0
    """
    total = float(_log_prob(model, support).double().exp().sum())
    if abs(total - 1) > 1e-10:
        raise LawBroken(
            f"The probabilities of the {len(support)} states sum to {total:.12g}, not 1."
        )
    return total


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
    d = _dimensions(low, high, most=2)
    cells, points = {1: (64, 64 * 64), 2: (16, 16 * 32)}[d]
    x = speaks_sampler(model, n, generator=generator)
    event = (d,) if torch.as_tensor(low).ndim else ()
    if tuple(x.shape) != (n, *event):
        raise LawBroken(f"sample({n}) must have shape {(n, *event)}, got {_describe(x)}.")
    x = x.double().reshape(n, d)
    corner, width = _corner(low), (_corner(high) - _corner(low)) / cells
    index = ((x - corner) / width).floor().long()
    inside = ((index >= 0) & (index < cells)).all(1)
    flat = (index * torch.tensor([cells ** (d - 1 - j) for j in range(d)])).sum(1)
    observed = torch.bincount(flat[inside], minlength=cells**d).double()
    mass = _grid_mass(model, low, high, points)
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
        raise LawBroken(f"sample({n}) must return a tensor with {n} rows, got {_describe(x)}.")
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


def unbiased(estimates: Tensor, truth: float) -> float:
    """The mean of independent estimates is the truth: |z| < 4, z by their own spread.

    Args:
        estimates: ``[repetitions]``, at least 30.
        truth: the exact value.

    Returns:
        z.

    Example:
        >>> draws = torch.randn(1000, generator=torch.Generator().manual_seed(0))
        >>> abs(unbiased(draws, truth=0.0)) < 4
        True
    """
    if estimates.ndim != 1 or len(estimates) < 30:
        raise ValueError(
            f"Expected 30 or more estimates in one axis, got shape {tuple(estimates.shape)}."
        )
    if not estimates.isfinite().all():
        bad = int((~estimates.isfinite()).sum())
        raise LawBroken(f"{bad} of the {len(estimates)} estimates are NaN or infinite.")
    rounding = torch.finfo(estimates.dtype if estimates.is_floating_point() else torch.float64).eps
    estimates = estimates.double()
    mean = float(estimates.mean())
    # Estimates that are all equal have no spread, but they are rounded.
    error = max(float(estimates.std() / math.sqrt(len(estimates))), rounding * abs(mean))
    z = (mean - truth) / error if error > 0 else (0.0 if mean == truth else math.inf)
    if not abs(z) < 4:
        raise LawBroken(
            f"The estimates average {mean:.6g} ± {error:.2g}, the truth is {truth:.6g}: "
            f"they are {abs(z):.1f} standard errors apart, so the estimator is biased."
        )
    return z


def is_divergence(
    divergence: Callable[[Tensor, Tensor], Tensor | float],
    m: int = 4,
    pairs: int = 50,
    *,
    generator: torch.Generator | None = None,
) -> float:
    """D(p, q) ≥ 0, and D(p, q) = 0 only where p = q: on random laws on m values.

    Among the pairs are laws with zeros, and laws of which one is the other reordered. D may be +∞;
    it need not be symmetric.

    Args:
        divergence: takes two probability tables ``[m]``, float64, and returns a number.
        m: number of values, at least 3.
        pairs: number of random pairs.

    Returns:
        the smallest value between two different laws.

    Raises:
        LawBroken: a value that is NaN, negative, not zero for equal laws, or zero for others.
        ValueError: m below 3 or no pairs.

    Example:
        >>> g = torch.Generator().manual_seed(0)
        >>> is_divergence(lambda p, q: 0.5 * (p - q).abs().sum(), generator=g) > 0
        True
    """
    if m < 3 or pairs < 1:
        raise ValueError(f"Expected m >= 3 values and pairs >= 1, got m={m} and pairs={pairs}.")
    least = math.inf
    for i in range(pairs):
        p, q = -torch.rand(2, m, dtype=torch.float64, generator=generator).clamp_min(1e-9).log()
        if i % 4 == 1:
            p[0] = q[0] = 0.0
        elif i % 4 == 2:
            p[0] = 0.0
        elif i % 4 == 3:
            q = p.roll(1)
        p, q = p / p.sum(), q / q.sum()
        itself, value = _number(divergence, p, p), _number(divergence, p, q)
        if abs(itself) > 1e-9:
            raise LawBroken(
                f"D(p, p) is {itself:.4g}, not 0, for p = {_table(p)}. Do the two terms cancel "
                "when the laws are equal? Look at the sign of each."
            )
        if not value > 1e-12:
            fault = "zero" if abs(value) <= 1e-12 else "negative"
            why = (
                "Is the mean taken under the law that stands in front of the logarithm, and is "
                "the ratio the right way up?"
                if fault == "negative"
                else "It must compare the two laws value by value."
            )
            raise LawBroken(
                f"D(p, q) = {value:.4g} is {fault} although the laws differ: p = {_table(p)}, "
                f"q = {_table(q)}. {why}"
            )
        least = min(least, value)
    return least


def never_goes_down(history: Sequence[float] | Tensor, tolerance: float = 1e-9) -> float:
    """An objective that EM or another exact ascent climbs is never less than it was before.

    Args:
        history: values in order, two or more; −inf may only come first.
        tolerance: how much a value may fall short of the one before, for rounding.

    Returns:
        the gain from the first value to the last.

    Raises:
        LawBroken: NaN or +∞, or a fall of more than the tolerance: the largest is named.
        ValueError: fewer than two values, or more than one axis.

    Example:
        >>> never_goes_down([-3.0, -1.5, -1.5])
        1.5
        >>> never_goes_down([-3.0, -1.5, -1.75])  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        ...
        genlab.laws.LawBroken: The objective falls by 0.25 at step 2, from -1.5 to -1.75. ...
    """
    values = torch.as_tensor(history, dtype=torch.float64)
    if values.ndim != 1 or len(values) < 2:
        raise ValueError(f"Expected two or more values in a row, got shape {tuple(values.shape)}.")
    bad = values.isnan() | (values == math.inf)
    if bad.any():
        first = int(bad.nonzero()[0])
        raise LawBroken(f"The objective is {values[first]:g} at step {first}.")
    # A pair of -inf has not fallen; its difference would be NaN.
    falls = torch.where(values[1:] == values[:-1], 0.0, values[:-1] - values[1:])
    worst = int(falls.argmax())
    if falls[worst] > tolerance:
        raise LawBroken(
            f"The objective falls by {falls[worst]:.3g} at step {worst + 1}, from "
            f"{values[worst]:.8g} to {values[worst + 1]:.8g}. Does the E step use the parameters "
            "of the step before, the M step maximise exactly, and the history hold one objective?"
        )
    return float(values[-1] - values[0])


def bounds_from_below(
    bound: Tensor,
    log_prob: Tensor,
    touching: Tensor | bool = False,
    tolerance: float = 1e-9,
) -> float:
    """A lower bound is never above what it bounds, and equals it where the theory says so.

    Args:
        bound: ELBO, or another exact (not sampled) lower bound, any shape; −inf is allowed.
        log_prob: the exact values, of the same shape.
        touching: where the two must be equal: a mask of that shape, or True for everywhere.
        tolerance: allowed for rounding.

    Returns:
        the largest gap.

    Raises:
        LawBroken: NaN, a bound above, or one that does not touch.
        ValueError: shapes that differ, no values, or a mask that is not bool.

    Example:
        >>> bounds_from_below(torch.tensor([-2.0, -1.0]), torch.tensor([-1.5, -1.0]))
        0.5
    """
    bound, log_prob = torch.as_tensor(bound).double(), torch.as_tensor(log_prob).double()
    touching = torch.as_tensor(touching)
    if bound.shape != log_prob.shape or touching.shape not in ((), bound.shape):
        raise ValueError(
            f"Expected a bound, values and a mask of one shape, got {tuple(bound.shape)}, "
            f"{tuple(log_prob.shape)} and {tuple(touching.shape)}."
        )
    if touching.dtype != torch.bool:
        raise ValueError(f"Expected a mask of truth values, got {touching.dtype}.")
    if bound.numel() == 0:
        raise ValueError("Expected one value or more, got none.")
    if bound.isnan().any() or log_prob.isnan().any():
        raise LawBroken(
            f"The bound is NaN {int(bound.isnan().sum())} times, the log-probability "
            f"{int(log_prob.isnan().sum())} times, of {bound.numel()}."
        )
    gap = torch.where(bound == log_prob, 0.0, log_prob - bound)
    if gap.min() < -tolerance:
        raise LawBroken(
            f"The bound is above what it bounds, by {-gap.min():.3g} nats at most, in "
            f"{int((gap < -tolerance).sum())} of {gap.numel()} cases. Is the entropy of q added "
            "with the right sign, and does q sum to one?"
        )
    apart = gap[touching.expand(gap.shape)]
    if apart.numel() and apart.max() > tolerance:
        raise LawBroken(
            f"The bound stays {apart.max():.3g} nats below where it must touch. Is q there the "
            "posterior p(z | x) of the same parameters?"
        )
    return float(gap.max())


def jacobian(
    function: Callable[[Tensor], Tensor | tuple[Tensor, ...]],
    x: Tensor,
    *,
    create_graph: bool = False,
) -> Tensor:
    """∂f(x)/∂x at each row, by autograd: one backward pass for each output.

    Args:
        function: from ``[batch, *event]`` to ``[batch, *out]``, each row by itself; of a tuple the
            first entry counts.
        x: points, floating.
        create_graph: whether the result can be differentiated again.

    Returns:
        ``[batch, outputs, inputs]``, events flattened.

    Raises:
        LawBroken: the result is no differentiable tensor with one row for each row of x.

    Example:
        >>> jacobian(lambda x: x.flip(1) ** 2, torch.tensor([[1.0, 3.0]]))
        tensor([[[0., 6.],
                 [2., 0.]]])
    """
    if not (create_graph and x.requires_grad):
        x = x.detach().clone().requires_grad_()
    with torch.enable_grad():
        value = function(x)
        value = value[0] if isinstance(value, tuple) else value
        if not isinstance(value, Tensor) or value.ndim == 0 or len(value) != len(x):
            raise LawBroken(
                f"Expected from the map a tensor of {len(x)} rows, got {_describe(value)}."
            )
        if not value.requires_grad:
            raise LawBroken(
                "The map does not depend on x by operations that autograd follows: look for "
                "detach, item, no_grad, numpy or an integer operation."
            )
        rows = [
            torch.autograd.grad(
                out.sum(), x, retain_graph=True, create_graph=create_graph, materialize_grads=True
            )[0]
            for out in value.reshape(len(x), -1).unbind(1)
        ]
    return torch.stack([row.reshape(len(x), -1) for row in rows], 1)


def inverts(transform: nn.Module, x: Tensor, tolerance: float = 1e-9) -> float:
    """The inverse leads back to x, and the two log-determinants cancel.

    Args:
        transform: ``transform(x)`` and ``transform.inverse(z)`` each return the image and the
            log-determinant ``[batch]`` of the map that they took.
        x: points ``[batch, *event]``.
        tolerance: how far an entry may be off, relative to the largest of x or to 1.

    Returns:
        the largest distance of an entry from where it started.

    Raises:
        LawBroken: x is not found again, or the log-determinants do not sum to 0, or have another
            shape.

    Example:
        >>> from genlab.flows import Scaling
        >>> inverts(Scaling((2,)), torch.tensor([[1.0, 2.0]]))
        0.0
    """
    with torch.no_grad():
        z, there = _image(transform, x, "transform(x)")
        back, again = _image(transform.inverse, z, "inverse(z)")
    if back.shape != x.shape:
        raise LawBroken(f"inverse(transform(x)) must have {_describe(x)}, got {_describe(back)}.")
    off = (back - x).abs().reshape(len(x), -1).amax(1)
    off = torch.where(off.isnan(), math.inf, off)
    worst, largest = int(off.argmax()), max(1.0, float(x.abs().max()))
    if not off[worst] <= tolerance * largest:
        raise LawBroken(
            f"inverse(transform(x)) is {off[worst]:.3g} away from x, at row {worst}. Is every "
            "layer undone, the last one first, with what passed through it unchanged?"
        )
    # Relative to the row's own; each entry adds its rounding, and a slope is less exact than x.
    total = (there + again).abs().double() / there.abs().double().clamp_min(1)
    total = torch.where(total.isnan(), math.inf, total)
    worst = int(total.argmax())
    if not total[worst] <= 10 * tolerance * (x[0].numel() + 1):
        raise LawBroken(
            f"The log-determinants of the two directions are {there[worst]:.6g} and "
            f"{again[worst]:.6g} at row {worst}: they must sum to 0, since the Jacobian of the "
            "inverse is the inverse of the Jacobian."
        )
    return float(off.max())


def log_det_agrees(transform: nn.Module, x: Tensor, tolerance: float = 1e-8) -> float:
    """The log-determinant that a transform returns is that of autograd's Jacobian.

    Args:
        transform: ``transform(x)`` returns z and log |det ∂z/∂x|, ``[batch]``.
        x: points ``[batch, *event]``; as many backward passes are made as an event has entries.
        tolerance: how far one may be off.

    Returns:
        the largest difference.

    Raises:
        LawBroken: another value, or a Jacobian that is not square.

    Example:
        >>> from genlab.flows import Scaling
        >>> log_det_agrees(Scaling((2,)), torch.tensor([[1.0, 2.0]]))
        0.0
    """
    log_det = _image(transform, x, "transform(x)")[1].detach().double()
    found = jacobian(transform, x)
    if found.shape[1] != found.shape[2]:
        raise LawBroken(
            f"The map goes from {found.shape[2]} to {found.shape[1]} dimensions: without as many "
            "on both sides it has no inverse, and no log-determinant."
        )
    truth = torch.linalg.slogdet(found.double()).logabsdet
    off = (log_det - truth).abs()
    off = torch.where(off.isnan(), math.inf, off)
    worst = int(off.argmax())
    if not off[worst] <= tolerance:
        why = "Is it summed over the entries of an event, and of every layer?"
        if torch.allclose(log_det, -truth, atol=max(tolerance, 1e-6)):
            why = "It has the wrong sign: that is the log-determinant of the other direction."
        raise LawBroken(
            f"At row {worst} the transform says log |det| = {log_det[worst]:.8g}, and autograd's "
            f"Jacobian has {truth[worst]:.8g}. {why}"
        )
    return float(off.max())


def is_triangular(
    function: Callable[[Tensor], Tensor | tuple[Tensor, ...]],
    x: Tensor,
    order: Sequence[int] | None = None,
    *,
    strictly: bool = False,
) -> float:
    """No output depends on an input that comes later in the order: ∂f_i/∂x_j = 0 exactly for j > i.

    Args:
        function: from ``[batch, d]`` to ``[batch, d]``, as in :func:`jacobian`.
        x: points.
        order: a permutation of 0, …, d − 1; by default as they stand.
        strictly: whether the diagonal must be zero too.

    Returns:
        the largest entry below the diagonal: 0 says that the map is diagonal.

    Raises:
        LawBroken: an entry that is not zero, with its place.
        ValueError: an order that is no permutation.

    Example:
        >>> is_triangular(lambda x: x.cumsum(1), torch.zeros(1, 3))
        1.0
    """
    found = jacobian(function, x).abs().amax(0)
    order = list(range(len(found)) if order is None else order)
    if sorted(order) != list(range(len(found))) or found.shape[0] != found.shape[1]:
        raise ValueError(
            f"Expected a square Jacobian and an order of its {len(found)} entries, got shape "
            f"{tuple(found.shape)} and the order {order}."
        )
    found = found[order][:, order]
    above = found.triu(0 if strictly else 1)
    if above.max() != 0:
        i, j = divmod(int(above.argmax()), len(found))
        raise LawBroken(
            f"Output {order[i]} depends on input {order[j]}, which comes later in the order "
            f"{order}{', or on its own' if strictly else ''}: the slope reaches {above[i, j]:.3g}."
        )
    return float(found.tril(-1).max())


def _image(transform: Callable, x: Tensor, name: str) -> tuple[Tensor, Tensor]:
    pair = transform(x)
    if not isinstance(pair, tuple) or len(pair) != 2:
        raise LawBroken(
            f"{name} must return two tensors, the image and the log-determinant; got "
            f"{_describe(pair)}."
        )
    if tuple(pair[1].shape) != (len(x),):
        raise LawBroken(
            f"{name} must return one log-determinant for each of the {len(x)} rows, got "
            f"{_describe(pair[1])}. Sum over the axes of an event, not over the batch."
        )
    return pair


def _number(divergence: Callable[[Tensor, Tensor], Tensor | float], p: Tensor, q: Tensor) -> float:
    value = torch.as_tensor(divergence(p, q))
    if value.numel() != 1:
        raise LawBroken(f"A divergence is one number, got {_describe(value)}. Sum over the values.")
    if value.isnan():
        zeros = " Remember 0 log 0 = 0: torch.xlogy." if (p * q == 0).any() else ""
        raise LawBroken(f"D(p, q) is NaN for p = {_table(p)}, q = {_table(q)}.{zeros}")
    return float(value)


def _table(p: Tensor) -> str:
    return "(" + ", ".join(f"{v:.3g}" for v in p.tolist()) + ")"


def _log_prob(model: Density, x: Tensor) -> Tensor:
    with torch.no_grad():
        log_p = model.log_prob(x)
    if not isinstance(log_p, Tensor) or tuple(log_p.shape) != (len(x),):
        raise LawBroken(
            f"log_prob of {len(x)} points must have shape ({len(x)},), one value a point; "
            f"got {_describe(log_p)}."
        )
    if log_p.isnan().any():
        raise LawBroken(f"log_prob returned NaN at {int(log_p.isnan().sum())} of {len(x)} points.")
    return log_p


def _grid_mass(model: Density, low: Bound, high: Bound, points: int) -> Tensor:
    """Density times cell volume at the midpoints of a grid, ``[points] * d``."""
    a, b = _corner(low), _corner(high)
    width = (b - a) / points
    middles = torch.arange(points, dtype=torch.float64) + 0.5
    axes = [a[j] + middles * width[j] for j in range(len(a))]
    if torch.as_tensor(low).ndim:
        grid = torch.stack(torch.meshgrid(*axes, indexing="ij"), -1).reshape(-1, len(a))
    else:
        grid = axes[0]
    mass = torch.cat([_log_prob(model, block).double().exp() for block in grid.split(2**16)])
    return (mass * width.prod()).reshape([points] * len(a))


def _dimensions(low: Bound, high: Bound, most: int) -> int:
    """The dimension of a box, checked."""
    a, b = torch.as_tensor(low), torch.as_tensor(high)
    if a.shape != b.shape or a.ndim > 1 or not (a < b).all() or not (b - a).isfinite().all():
        raise ValueError(
            "Expected a box: two finite numbers low < high, or two sequences of d such numbers, "
            f"got low={low}, high={high}."
        )
    if not 1 <= a.numel() <= most:
        raise ValueError(f"Expected a box of 1 to {most} dimensions, got {a.numel()}.")
    return a.numel()


def _corner(bound: Bound) -> Tensor:
    return torch.as_tensor(bound, dtype=torch.float64).reshape(-1)


def _cell_name(flat: int, corner: Tensor, width: Tensor, cells: int) -> str:
    d = len(corner)
    index = [flat // cells ** (d - 1 - j) % cells for j in range(d)]
    sides = [
        f"[{corner[j] + i * width[j]:.3g}, {corner[j] + (i + 1) * width[j]:.3g}]"
        for j, i in enumerate(index)
    ]
    return " x ".join(sides)


def _describe(value: object) -> str:
    if isinstance(value, Tensor):
        return f"shape {tuple(value.shape)}"
    return f"a {type(value).__name__}"
