"""How to keep a critic's slope down: clip its weights, charge its gradient, or divide by norms.

And how to measure it. A perceptron whose activations have slope 1 or less rises at most as steeply
as the product of its matrices' largest singular values.
"""

from collections.abc import Callable

import torch
from torch import Generator, Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from genlab.nets import weights_from

__all__ = [
    "clip_weights",
    "gradient_penalty",
    "lipschitz",
    "r1_penalty",
    "spectrally_normalised",
]

Critic = Callable[[Tensor], Tensor]
LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.ConvTranspose1d, nn.ConvTranspose2d)


def lipschitz(critic: Critic, points: Tensor) -> Tensor:
    """The steepest slope |∇D| that a critic has at these points: a lower bound of its constant.

    Args:
        critic: D, from ``[n, *event]`` to ``[n]``, each row by itself.
        points: where to look, ``[n, *event]``; a fine grid where there are few dimensions.

    Returns:
        a number.

    Raises:
        ValueError: no points, or a critic that does not give one number a row.

    Example:
        >>> lipschitz(lambda x: (x**2).sum(1), torch.tensor([[3.0, 4.0], [0.0, 0.0]]))
        tensor(10.)
    """
    if len(points) == 0:
        raise ValueError("Expected points to look at, got none.")
    return _slopes(critic, points, create_graph=False).norm(dim=1).max()


@torch.no_grad()
def clip_weights(critic: nn.Module, c: float) -> None:
    """Every weight and bias brought back to [−c, c], in place, after each step of the critic.

    It bounds the Lipschitz constant, at a K that nobody knows. Clipping the *gradient* of a
    training step bounds how far the step goes, and no constant.

    Raises:
        ValueError: c ≤ 0.

    Source: Arjovsky, Chintala & Bottou 2017, algorithm 1 (c = 0.01).

    Example:
        >>> layer = nn.Linear(2, 1)
        >>> clip_weights(layer, 0.01)
        >>> bool(layer.weight.abs().max() <= 0.01)
        True
    """
    if not c > 0:
        raise ValueError(f"Expected a bound c > 0 on the weights, got {c}.")
    for weights in critic.parameters():
        weights.clamp_(-c, c)


def gradient_penalty(
    critic: Critic, real: Tensor, fake: Tensor, *, generator: Generator | None = None
) -> Tensor:
    """(|∇D(x̂)| − 1)² at x̂ = εx + (1 − ε)G(z), with ε uniform for each pair.

    Times λ = 10 it is the penalty of WGAN-GP. The best critic has slope 1 along the way of the
    mass. Elsewhere the penalty asks too much.

    Args:
        critic: D, from ``[n, *event]`` to ``[n]``, each row by itself (no batch normalisation).
        real, fake: ``[n, *event]`` each.
        generator: source of ε.

    Returns:
        ``[n]``; its gradient reaches the critic's weights.

    Raises:
        ValueError: batches of different shapes, or a critic that does not give one number a row.

    Source: Gulrajani et al. 2017, arXiv:1704.00028, eq. 3.

    Example:
        >>> x = torch.zeros(2, 2)
        >>> gradient_penalty(lambda x: x @ torch.tensor([3.0, 4.0]), x, x + 1)
        tensor([16., 16.])
    """
    if real.shape != fake.shape:
        raise ValueError(
            f"Expected as many fake examples as real ones, of one shape, got {tuple(real.shape)} "
            f"and {tuple(fake.shape)}."
        )
    share = torch.rand(
        (len(real), *[1] * (real.ndim - 1)),
        generator=generator,
        dtype=real.dtype,
        device=real.device,
    )
    between = share * real + (1 - share) * fake
    return (_slopes(critic, between, create_graph=True).norm(dim=1) - 1) ** 2


def r1_penalty(critic: Critic, real: Tensor) -> Tensor:
    """½ |∇D(x)|² at the data; times γ it is R1, which makes the Dirac-GAN's equilibrium attract.

    Args:
        critic: logits of D, from ``[n, *event]`` to ``[n]``, each row by itself.
        real: ``[n, *event]``.

    Returns:
        ``[n]``; its gradient reaches the critic's weights.

    Raises:
        ValueError: a critic that does not give one number a row.

    Source: Mescheder, Geiger & Nowozin 2018, arXiv:1801.04406, eq. 9.

    Example:
        >>> r1_penalty(lambda x: x @ torch.tensor([3.0, 4.0]), torch.zeros(2, 2))
        tensor([12.5000, 12.5000])
    """
    return (_slopes(critic, real, create_graph=True) ** 2).sum(1) / 2


def spectrally_normalised(net: nn.Module, *, generator: Generator | None = None) -> nn.Module:
    """Divide the weights of every affine layer by their largest singular value, in place.

    Torch's parametrisation: a step of power iteration at each pass in training mode. With
    activations of slope ≤ 1 a perceptron then has a Lipschitz constant of 1 at most. A convolution
    is normalised as the matrix ``[out, in·k·k]``, and its constant may be some times larger.

    Args:
        net: linear layers and convolutions anywhere in it.
        generator: source of the first vectors of the iteration.

    Returns:
        the same net.

    Raises:
        ValueError: no such layer.

    Source: Miyato et al. 2018, arXiv:1802.05957.

    Example:
        >>> from genlab.nets import MLP
        >>> rng = torch.Generator().manual_seed(0)
        >>> net = spectrally_normalised(MLP(3, 3, (8,), generator=rng), generator=rng)
        >>> for _ in range(100):
        ...     y = net(torch.ones(1, 3))
        >>> [round(torch.linalg.matrix_norm(net[i].weight, ord=2).item(), 3) for i in (0, 2)]
        [1.0, 1.0]
    """
    layers = [module for module in net.modules() if isinstance(module, LAYERS)]
    if not layers:
        raise ValueError(f"Expected a net with linear layers or convolutions, got {net}.")
    with weights_from(generator):
        for layer in layers:
            spectral_norm(layer)
    return net


def _slopes(critic: Critic, points: Tensor, *, create_graph: bool) -> Tensor:
    """∇D at each row, ``[n, d]``."""
    points = points.detach().requires_grad_()
    with torch.enable_grad():
        values = critic(points)
        if values.shape != points.shape[:1]:
            raise ValueError(
                f"Expected from the critic one number for each of {len(points)} rows, got shape "
                f"{tuple(values.shape)}. A last layer of one unit gives (n, 1): take [:, 0]."
            )
        (slope,) = torch.autograd.grad(values.sum(), points, create_graph=create_graph)
    return slope.reshape(len(points), -1)
