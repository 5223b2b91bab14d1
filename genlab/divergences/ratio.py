"""The ratio of two densities from draws alone: a classifier knows it."""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from genlab.divergences.estimate import Estimate
from genlab.models import as_rows, query_points, training_data
from genlab.nets import MLP
from genlab.train import fit

RATES = (1e-2, 1e-3, 1e-4)  # at a constant rate the last weights keep swinging, and so does KL


def optimal_discriminator(log_p: Tensor, log_q: Tensor) -> Tensor:
    """The best classifier between draws of p and of q, D*(x) = p(x) / (p(x) + q(x)).

    It minimises −E_p log D − E_q log(1 − D), and log(D*/(1 − D*)) = log p/q.

    Args:
        log_p, log_q: log-densities at the same points, of one shape.

    Raises:
        ValueError: shapes that differ, NaN, or a point where both densities are zero.

    Source: Goodfellow et al. 2014, arXiv:1406.2661, proposition 1.

    Example:
        >>> optimal_discriminator(torch.tensor([0.0, -1.0]), torch.tensor([0.0, -3.0]))
        tensor([0.5000, 0.8808])
    """
    if log_p.shape != log_q.shape:
        raise ValueError(
            "Expected two log-densities at the same points, got shapes "
            f"{tuple(log_p.shape)} and {tuple(log_q.shape)}."
        )
    logit = log_p - log_q
    if logit.isnan().any():
        raise ValueError(
            "Expected two log-densities that are nowhere NaN, and nowhere −∞ both, got "
            f"{int(logit.isnan().sum())} points where no ratio exists."
        )
    return logit.sigmoid()


def train_ratio(
    x_p: Tensor,
    x_q: Tensor,
    *,
    hidden: Sequence[int] = (64, 64),
    steps: int = 2000,
    generator: torch.Generator | None = None,
) -> Callable[[Tensor], Tensor]:
    """Estimate log p/q from draws of both, by a classifier with the logistic loss.

    A perceptron learns the logit of "drawn from p". With n draws of p and m of q the best logit is
    log(n p / (m q)), from which log(n/m) is taken off.

    Args:
        x_p: draws of p, ``[n]`` or ``[n, d]``.
        x_q: draws of q, ``[m]`` or ``[m, d]``.
        hidden: widths of the hidden layers; ``()`` leaves an affine logit, which is exact for two
            normal laws of one covariance.
        steps: steps of :func:`genlab.train.fit` in all, at falling learning rates.

    Returns:
        a function from points ``[batch, *event]`` to log p/q in nats, ``[batch]``.

    Raises:
        ValueError: bad data, or data of different dimensions.

    Source: Sugiyama, Suzuki & Kanamori 2012, Density Ratio Estimation in Machine Learning, ch. 4.

    Example:
        >>> g = torch.Generator().manual_seed(0)
        >>> x, y = torch.randn(2, 2000, generator=g)
        >>> log_ratio = train_ratio(x, y + 1, hidden=(), generator=g)
        >>> bool(log_ratio(torch.tensor([-1.0])) > 1 > log_ratio(torch.tensor([1.0])))
        True
    """
    x_p, x_q = training_data(x_p), training_data(x_q)
    event = tuple(x_p.shape[1:])
    if tuple(x_q.shape[1:]) != event:
        raise ValueError(
            f"Expected draws of the same dimension, got {tuple(x_p.shape)} and {tuple(x_q.shape)}."
        )
    x = torch.cat([as_rows(x_p), as_rows(x_q)])
    from_p = torch.cat([x.new_ones(len(x_p)), x.new_zeros(len(x_q))])
    mean, scale = x.mean(0), x.std(0).clamp_min(1e-12)
    net = MLP(x.shape[1], 1, hidden, activation=nn.Tanh, generator=generator).double()

    def logistic_loss(net: MLP, batch: tuple[Tensor, Tensor], _: torch.Generator) -> Tensor:
        rows, label = batch
        return binary_cross_entropy_with_logits(net(rows)[:, 0], label, reduction="none")

    rows = (x - mean) / scale
    for lr in RATES:
        fit(
            net,
            logistic_loss,
            (rows, from_p),
            steps=-(-steps // len(RATES)),
            batch_size=256,
            lr=lr,
            generator=generator,
        )
    log_odds = torch.tensor(len(x_p) / len(x_q), dtype=torch.float64).log()

    @torch.no_grad()
    def log_ratio(points: Tensor) -> Tensor:
        points = query_points(points, event)
        return (net((as_rows(points) - mean) / scale)[:, 0] - log_odds).to(points.dtype)

    return log_ratio


def kl_from_ratio(log_ratio: Callable[[Tensor], Tensor], x_p: Tensor) -> Estimate:
    """KL(p‖q) without access to p or q: the mean of an estimated log p/q over fresh draws of p.

    The standard error is that of the mean. It does not know how wrong the ratio is.

    Args:
        log_ratio: e.g. from :func:`train_ratio`.
        x_p: draws of p that the ratio was not trained on, n ≥ 2.

    Raises:
        ValueError: bad data, a single draw, or a ratio that is NaN or not one value a draw.

    Example:
        >>> kl_from_ratio(lambda x: 0.5 - x, torch.tensor([-1.0, 1.0]))
        Estimate(value=0.5, standard_error=1.0)
    """
    x_p = training_data(x_p)
    values = log_ratio(x_p).detach()
    if values.shape != (len(x_p),) or len(x_p) < 2 or values.isnan().any():
        raise ValueError(
            f"Expected two draws or more and one log-ratio for each of the {len(x_p)}, got shape "
            f"{tuple(values.shape)} with {int(values.isnan().sum())} NaN."
        )
    if (values == math.inf).any() and (values == -math.inf).any():
        raise ValueError("The log-ratios hold both +∞ and −∞: they have no mean.")
    return Estimate.of(values)
