"""Features of images for measures: what the last layer of an own small classifier sees.

The literature takes a network trained on a million photographs; for digits one of a second will do.
Figures in different features are not comparable.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from genlab.nets import MLP
from genlab.train import fit

__all__ = ["classifier", "features"]


def classifier(
    x: Tensor,
    y: Tensor,
    *,
    hidden: tuple[int, ...] = (128, 32),
    steps: int = 1000,
    generator: torch.Generator | None = None,
) -> nn.Sequential:
    """A small perceptron for images, trained on their labels; it gives logits ``[n, classes]``.

    Args:
        x: images ``[n, *event]``.
        y: labels ``[n]``, whole numbers from 0.
        hidden: widths; the last is the number of :func:`features`.
        steps: of :func:`genlab.train.fit`.

    Example:
        >>> rng = torch.Generator().manual_seed(0)
        >>> x = torch.randn(200, 1, 2, 2, generator=rng)
        >>> y = (x.sum((1, 2, 3)) > 0).long()
        >>> net = classifier(x, y, steps=100, generator=rng)
        >>> bool((net(x).argmax(1) == y).double().mean() > 0.95), features(net, x).shape
        (True, torch.Size([200, 32]))
    """
    classes = int(y.max()) + 1
    perceptron = MLP(x[0].numel(), classes, hidden, generator=generator)
    net = nn.Sequential(nn.Flatten(), *perceptron).to(x.dtype)

    def loss(net: nn.Module, batch: tuple[Tensor, Tensor], _: torch.Generator) -> Tensor:
        return cross_entropy(net(batch[0]), batch[1], reduction="none")

    fit(net, loss, (x, y), steps=steps, generator=generator, progress=False)
    return net.eval()


@torch.no_grad()
def features(net: nn.Sequential, x: Tensor) -> Tensor:
    """What a classifier's last layer sees, ``[n, width]``."""
    return net[:-1](x)
