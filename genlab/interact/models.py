"""The figure of chapter 00 on your own points: three mixtures of Gaussians, and your networks."""

import json
import math

import torch
from sklearn.mixture import GaussianMixture
from torch import Tensor, nn

from genlab.interact.explorable import Explorable
from genlab.models import training_data


def explore_models(
    points: Tensor | None = None,
    *,
    generator: nn.Module | None = None,
    regression: nn.Module | None = None,
) -> Explorable:
    """Five questions to five models of your own points: the figure of chapter 00.

    Gaussian, kernel estimate and mixture are fitted again (:func:`fitted`). A network is not: it
    would have to be trained. Give your own, or its panel stays grey and says so. Without points
    the figure is that of the page.

    Args:
        points: ``[n, 2]``, 20 ≤ n ≤ 500.
        generator: perceptron with tanh units from two standard normal codes to (x, y).
        regression: perceptron with tanh units from x to the logits, means and log σ of the
            components of p(y | x), or a :class:`genlab.nets.MixtureDensityNetwork` of one x and
            one y.

    Returns:
        an object to leave as the last line of a cell; it needs no kernel once it is shown.

    Raises:
        ValueError: points or a network that do not fit.

    Example:
        >>> x = torch.randn(50, 2, generator=torch.Generator().manual_seed(0))
        >>> sorted(json.loads(explore_models(x).attributes["models"]))
        ['gaussian', 'generator', 'mixture', 'points', 'regression', 'widths']
    """
    networks = {"generator": generator, "regression": regression}
    own = {name: layers(network, name) for name, network in networks.items() if network is not None}
    if points is not None:
        own = fitted(points) | dict.fromkeys(networks) | own
    return Explorable("models", {"models": json.dumps(own)} if own else {})


def fitted(points: Tensor) -> dict[str, list]:
    """One Gaussian, a kernel estimate and a mixture of the same points in the plane.

    A mixture is a list of components [π_k, μ_k1, μ_k2, Σ_k11, Σ_k12, Σ_k22]. The Gaussian has the
    mean and the 1/n covariance of the points. The kernel estimate has one Gaussian a point, its
    two standard deviations ``widths`` the same multiple of those of the points: of 61 multiples
    the one with the largest leave-one-out log-likelihood. The mixture is fitted by EM (chapter 03)
    with the number of components, at most 8, that has the smallest BIC (Schwarz 1978).

    Args:
        points: ``[n, 2]``, 20 ≤ n ≤ 500.

    Raises:
        ValueError: another shape, NaN or infinite rows, or points (almost) on a line.

    Example:
        >>> x = torch.randn(50, 2, generator=torch.Generator().manual_seed(0))
        >>> [round(v, 2) for v in fitted(x)["gaussian"][0]]
        [1.0, -0.06, 0.13, 0.8, 0.27, 1.28]
    """
    x = training_data(points).double()
    if x.ndim != 2 or x.shape[1] != 2 or not 20 <= len(x) <= 500:
        raise ValueError(
            f"Expected 20 to 500 points in the plane, shape (n, 2), got {tuple(x.shape)}. "
            "Take two columns and some of the rows: points[:500, :2]."
        )
    mean, scale = x.mean(0), x.std(0, correction=0)
    z = (x - mean) / scale
    if not z.isfinite().all() or (z[:, 0] * z[:, 1]).mean().abs() > 1 - 1e-6:
        raise ValueError("Expected points that do not lie on one line: they have no 2-D density.")
    most = min(8, len(z.unique(dim=0)))
    fits = [GaussianMixture(k, n_init=3, random_state=0).fit(z.numpy()) for k in range(1, most + 1)]
    best = min(fits, key=lambda fit: fit.bic(z.numpy()))
    means = mean + scale * torch.from_numpy(best.means_)
    covariances = scale.outer(scale) * torch.from_numpy(best.covariances_)
    one = torch.ones(1, dtype=torch.float64)
    return {
        "points": _rounded(x, 6),
        "gaussian": _rows(one, mean[None], torch.cov(x.T, correction=0)[None]),
        "widths": _rounded(_multiple(z) * scale, 6),
        "mixture": _rows(torch.from_numpy(best.weights_), means, covariances),
    }


def layers(network: nn.Module, name: str) -> list[list]:
    """Weights and biases [[W, b], …] of a perceptron with tanh units, four decimals of each.

    Example:
        >>> affine = nn.Linear(2, 2)
        >>> _ = nn.init.eye_(affine.weight), nn.init.zeros_(affine.bias)
        >>> layers(affine, "generator")
        [[[[1.0, 0.0], [0.0, 1.0]], [0.0, 0.0]]]
    """
    leaves = [module for module in network.modules() if not list(module.children())]
    affine = leaves[::2]
    biased = all(isinstance(m, nn.Linear) and m.bias is not None for m in affine)
    chain = biased and len(leaves) % 2
    if not chain or not all(isinstance(m, nn.Tanh) for m in leaves[1::2]):
        kinds = ", ".join(type(m).__name__ for m in leaves)
        raise ValueError(
            f"Expected nn.Linear and nn.Tanh in turn as the {name}, each nn.Linear with its "
            f"bias, got {kinds}."
        )
    ends = affine[0].in_features, affine[-1].out_features
    if not (ends == (2, 2) if name == "generator" else ends[0] == 1 and ends[1] % 3 == 0):
        wanted = "2 and 2" if name == "generator" else "1 and three a component"
        raise ValueError(
            f"Expected a {name} with {wanted} inputs and outputs, got {ends[0]} and {ends[1]}."
        )
    return [[_rounded(m.weight, 4), _rounded(m.bias, 4)] for m in affine]


def _multiple(z: Tensor) -> float:
    """Of 61 widths the one with the largest leave-one-out log-likelihood."""
    squares = torch.cdist(z, z).square().fill_diagonal_(math.inf)
    widths = torch.logspace(-2, 0.5, 61, dtype=z.dtype)
    scores = [
        (torch.logsumexp(-squares / (2 * h**2), 1) - 2 * h.log()).mean().item() for h in widths
    ]
    return widths[scores.index(max(scores))].item()


def _rows(weights: Tensor, means: Tensor, covariances: Tensor) -> list[list[float]]:
    upper = covariances[:, [0, 0, 1], [0, 1, 1]]
    return _rounded(torch.cat([weights[:, None], means, upper], dim=1), 6)


def _rounded(values: Tensor, decimals: int) -> list:
    return values.detach().double().round(decimals=decimals).tolist()
