"""Denoising: to undo noise one must know where the data are, and what undoes it best is a score.

The best guess at x from x̃ = x + σε is the posterior mean, and it is a step up the log-density of
the noisy data: E[x | x̃] = x̃ + σ²∇log p_σ(x̃). A net that is trained to denoise learns ∇log p_σ
without a density; diffusion models do so at many σ.
"""

import math
from collections.abc import Callable

import torch
from torch import Generator, Tensor, nn
from torch.distributions import Bernoulli, Independent, Normal

from genlab.models import catalogued

__all__ = [
    "BinaryDenoiser",
    "DenoisingAutoencoder",
    "add_gaussian",
    "flip_bits",
    "optimal_denoiser",
]


def optimal_denoiser(
    log_prob: Callable[[Tensor], Tensor], x: Tensor, sigma: float | Tensor
) -> Tensor:
    """r*(x̃) = x̃ + σ²∇log p_σ(x̃), which is E[x | x̃]: the least squared error there is.

    Args:
        log_prob: log p_σ, the log-density of x̃ = x + σε, ``[batch]``; it is differentiated.
        x: noisy points x̃, ``[batch, *event]``.
        sigma: σ > 0.

    Returns:
        ``[batch, *event]``.

    Raises:
        ValueError: σ ≤ 0.

    Source: Robbins 1956 and Miyasawa 1961; Alain and Bengio 2014, arXiv:1211.4246, theorem 1, for
        small σ.

    Example: x ~ N(0, 1) with σ = 1 has x̃ ~ N(0, 2), and half of x̃ is noise.
        >>> noisy = Normal(0.0, 2.0**0.5)
        >>> optimal_denoiser(noisy.log_prob, torch.tensor([-1.0, 3.0]), 1.0)
        tensor([-0.5000,  1.5000])
    """
    at = x.detach().requires_grad_()
    with torch.enable_grad():
        (score,) = torch.autograd.grad(log_prob(at).sum(), at)
    return x + _positive(sigma) ** 2 * score


def add_gaussian(x: Tensor, sigma: float, generator: Generator | None = None) -> Tensor:
    """x + σε with ε ~ N(0, I).

    Example:
        >>> add_gaussian(torch.zeros(2), 2.0, torch.Generator().manual_seed(0))
        tensor([ 3.0820, -0.5869])
    """
    noise = torch.randn(x.shape, generator=generator, dtype=x.dtype, device=x.device)
    return x + sigma * noise


def flip_bits(x: Tensor, share: float, generator: Generator | None = None) -> Tensor:
    """Zeros and ones, each replaced with chance ``share`` by a fair coin: salt and pepper.

    Example:
        >>> x = flip_bits(torch.zeros(10_000), 0.5, torch.Generator().manual_seed(0))
        >>> round(x.mean().item(), 1)  # a half of a half
        0.2
    """
    u = torch.rand(x.shape, generator=generator, dtype=x.dtype, device=x.device)
    return torch.where(u < share / 2, 1.0, torch.where(u < share, 0.0, x))


@catalogued(chapter="early", source="Vincent, Larochelle, Bengio and Manzagol 2008")
class DenoisingAutoencoder(nn.Module):
    """A net r that is given x + σε and shall return x.

    It is no generative model: it neither draws nor evaluates. A chain that corrupts and denoises
    draws, see :class:`GenerativeStochasticNetwork`.

    .. math:: \\min_r \\; \\mathrm{E} \\lvert r(x + \\sigma\\varepsilon) - x \\rvert^2

    Args:
        net: from ``[batch, d]`` to ``[batch, d]``; r is x̃ plus its output.
        sigma: σ > 0.

    Raises:
        ValueError: σ that is no positive number.

    Source: Vincent, Larochelle, Bengio and Manzagol 2008, ICML, 1096; Alain and Bengio 2014.

    Example:
        >>> from genlab.nets import MLP
        >>> g = torch.Generator().manual_seed(0)
        >>> model = DenoisingAutoencoder(MLP(2, 2, generator=g), sigma=0.5)
        >>> x = torch.randn(4, 2, generator=g)
        >>> model(x).shape, model.loss(x, g).shape
        (torch.Size([4, 2]), torch.Size([4]))
    """

    def __init__(self, net: nn.Module, sigma: float) -> None:
        super().__init__()
        self.net, self.sigma = net, _positive(sigma)

    def forward(self, x: Tensor) -> Tensor:
        """r(x̃), ``[batch, d]``."""
        return x + self.net(x)

    def score(self, x: Tensor) -> Tensor:
        """(r(x̃) − x̃) / σ², which in the best r is ∇log p_σ(x̃), ``[batch, d]``."""
        return self.net(x) / self.sigma**2

    def corrupt(self, x: Tensor, generator: Generator | None = None) -> Tensor:
        """x + σε."""
        return add_gaussian(x, self.sigma, generator)

    def reconstruct(self, x: Tensor) -> Independent:
        """N(r(x̃), σ²I), which is close to p(x | x̃) where σ is small."""
        return Independent(Normal(self(x), self.sigma, validate_args=False), 1)

    def loss(self, x: Tensor, generator: Generator | None = None) -> Tensor:
        """Squared error of r(x + σε) as a guess at x, ``[batch]``; no r brings its mean to 0."""
        return (self(self.corrupt(x, generator)) - x).square().sum(-1)


@catalogued(chapter="early", source="Vincent et al. 2008; Bengio, Yao, Alain and Vincent 2013")
class BinaryDenoiser(nn.Module):
    """A net that is given bits with salt and pepper on them, and tells the chance of each bit.

    Args:
        net: from ``[batch, d]`` to logits ``[batch, d]``.
        share: of the bits that are replaced by a fair coin, above 0 and at most 1.

    Raises:
        ValueError: a share outside that.

    Source: Bengio, Yao, Alain and Vincent 2013, arXiv:1305.6663.

    Example:
        >>> from genlab.nets import MLP
        >>> g = torch.Generator().manual_seed(0)
        >>> model = BinaryDenoiser(MLP(3, 3, generator=g), share=0.5)
        >>> x = torch.tensor([[0.0, 1.0, 1.0]])
        >>> model.reconstruct(model.corrupt(x, g)).log_prob(x).shape
        torch.Size([1])
    """

    def __init__(self, net: nn.Module, share: float) -> None:
        super().__init__()
        if not 0 < share <= 1:
            raise ValueError(
                f"Expected a share of replaced bits above 0 and at most 1, got {share!r}."
            )
        self.net, self.share = net, float(share)

    def corrupt(self, x: Tensor, generator: Generator | None = None) -> Tensor:
        """Salt and pepper."""
        return flip_bits(x, self.share, generator)

    def reconstruct(self, x: Tensor) -> Independent:
        """A model of p(x | x̃) whose bits are independent given x̃."""
        return Independent(Bernoulli(logits=self.net(x), validate_args=False), 1)


def _positive(sigma: float) -> float:
    if not 0 < sigma < math.inf:
        raise ValueError(f"Expected noise of a standard deviation sigma > 0, got {sigma!r}.")
    return sigma
