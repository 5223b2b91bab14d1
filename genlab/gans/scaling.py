"""What BigGAN taught: larger batches, a narrower law of the noise, filters that differ.

None of it is a new loss. A batch of B covers more classes, and its gradient has the variance 1/B;
noise cut off at τ trades variety for quality after training; orthogonal filters make the cut safer.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Generator, Tensor, nn

from genlab.data.checks import positive
from genlab.divergences import probabilities
from genlab.em.kmeans import count
from genlab.models import sample_size

__all__ = [
    "TruncatedNormal",
    "expected_classes",
    "gradient_variance",
    "orthogonal_penalty",
]


def expected_classes(p: Tensor, batch: int) -> Tensor:
    """How many classes a batch of independent draws shows on average: Σ_k [1 − (1 − p_k)^B].

    Args:
        p: probabilities of the classes ``[..., K]``.
        batch: B, 1 or more.

    Returns:
        ``[...]``.

    Raises:
        ValueError: p that are no probabilities, or no such B.

    Source: the classes of ImageNet in a batch of BigGAN, Brock, Donahue and Simonyan 2019,
        arXiv:1809.11096, section 3.1.

    Example: ImageNet has 1,000 classes.
        >>> p = torch.full((1000,), 1e-3, dtype=torch.float64)
        >>> [round(float(expected_classes(p, batch))) for batch in (256, 2048)]
        [226, 871]
    """
    (p,) = probabilities(p)
    return -torch.expm1(count(batch, "batch") * torch.log1p(-p)).sum(-1)


def gradient_variance(
    loss: Callable[[Tensor], Tensor],
    weights: Iterable[Tensor],
    data: Tensor,
    batch: int,
    draws: int = 100,
    *,
    generator: Generator | None = None,
) -> float:
    """tr Cov of the gradient of a mean loss over a random batch: it falls as 1/B.

    With g_i the gradient at example i, the gradient of a batch that is drawn with replacement is a
    mean of B independent g_i, so its covariance is Cov(g_i)/B.

    Args:
        loss: from rows of the data to one value per example, ``[batch]``.
        weights: with respect to which to differentiate.
        data: ``[n, *event]``.
        batch: B, 1 or more.
        draws: number of batches, 2 or more.
        generator: source of the batches.

    Returns:
        the sum over all weights of the unbiased estimate of the variance.

    Raises:
        ValueError: no data, a batch below 1, or fewer than 2 draws.

    Source: Brock, Donahue and Simonyan 2019, section 3.1, for the use; Bottou, Curtis and Nocedal
        2018, arXiv:1606.04838, section 4.2.

    Example: (w − x)² at w = 0 has the gradient −2x, and x = ±1 with a batch of 4 the variance 4/4.
        >>> w = torch.zeros((), requires_grad=True)
        >>> rng = torch.Generator().manual_seed(0)
        >>> x = torch.tensor([1.0, -1.0])
        >>> variance = gradient_variance(lambda x: (w - x)**2, [w], x, 4, 2000, generator=rng)
        >>> f"{variance:.1f}"
        '1.0'
    """
    weights = list(weights)
    if count(draws, "draws") < 2 or len(data) == 0:
        raise ValueError(f"Expected data, and 2 draws or more, got {len(data)} rows and {draws}.")
    gradients = []
    for _ in range(draws):
        rows = torch.randint(len(data), (count(batch, "batch"),), generator=generator)
        slopes = torch.autograd.grad(loss(data[rows]).mean(), weights)
        gradients.append(torch.cat([slope.reshape(-1) for slope in slopes]))
    return float(torch.stack(gradients).double().var(0).sum())


@dataclass(frozen=True)
class TruncatedNormal:
    """Noise of independent N(0, 1) numbers, each drawn again until it lies in [−τ, τ].

    In the place of N(0, I), with which a generator was trained, it gives images that are nearer to
    the typical one: better, and less varied. Their law is not the one that was learnt.

    Args:
        latent: length of z.
        tau: τ > 0.

    Raises:
        ValueError: a length below 1, or τ that is not positive.

    Source: Brock, Donahue and Simonyan 2019, section 3.1, "the truncation trick".

    Example: the draws of x = 3z have the standard deviation 3, and after the trick 3·0.29.
        >>> from genlab.flows import StandardNormal
        >>> from genlab.gans.networks import Generator
        >>> net = nn.Linear(1, 1, bias=False)
        >>> _ = nn.init.constant_(net.weight, 3.0)
        >>> rng = torch.Generator().manual_seed(0)
        >>> for noise in (StandardNormal((1,)), TruncatedNormal(1, 0.5)):
        ...     print(f"{Generator(noise, net).sample(10_000, generator=rng).std():.1f}")
        3.0
        0.9
    """

    latent: int
    tau: float

    def __post_init__(self) -> None:
        count(self.latent, "latent")
        positive(self.tau, "tau")

    @property
    def variance(self) -> float:
        """1 − 2τφ(τ)/(2Φ(τ) − 1) of each number: it rises with τ from 0, where it is τ²/3, to 1.

        Source: Johnson, Kotz and Balakrishnan 1994, Continuous univariate distributions 1, ch. 13,
            section 10.1.

        Example:
            >>> [round(TruncatedNormal(1, tau).variance, 3) for tau in (0.1, 0.5, 1.0, 2.0)]
            [0.003, 0.081, 0.291, 0.774]
        """
        if self.tau < 3e-3:
            return self.tau**2 / 3 - 2 * self.tau**4 / 45  # the difference would lose its digits
        height = math.exp(-(self.tau**2) / 2) / math.sqrt(2 * math.pi)
        return 1 - 2 * self.tau * height / math.erf(self.tau / math.sqrt(2))

    def sample(self, n: int, *, generator: Generator | None = None) -> Tensor:
        """n draws of z, ``[n, latent]``."""
        z = torch.empty(sample_size(n), self.latent)
        return nn.init.trunc_normal_(z, a=-self.tau, b=self.tau, generator=generator)


def orthogonal_penalty(weight: Tensor) -> Tensor:
    """Σ_{i ≠ j} (w_i · w_j)² over the filters w_i of a layer: 0 just where they are orthogonal.

    ‖WWᵀ − I‖² would also ask each filter for length 1. That proved too much: here the diagonal goes
    free. More filters than a filter has numbers cannot all be orthogonal.

    Args:
        weight: of a layer, ``[out, ...]``; a filter is what makes one output.

    Returns:
        A tensor without axes.

    Raises:
        ValueError: fewer than two axes.

    Source: Brock, Donahue and Simonyan 2019, arXiv:1809.11096, section 3.1.

    Example:
        >>> orthogonal_penalty(torch.tensor([[2.0, 0.0], [0.0, 5.0]]))
        tensor(0.)
        >>> orthogonal_penalty(torch.tensor([[1.0, 0.0], [1.0, 1.0]]))
        tensor(2.)
    """
    if weight.ndim < 2:
        raise ValueError(
            f"Expected the weights of a layer, (out, in) or more axes, got {tuple(weight.shape)}. "
            "Biases and scales have no filters."
        )
    filters = weight.flatten(1)
    products = filters @ filters.T
    return (products - products.diagonal().diag()).square().sum()
