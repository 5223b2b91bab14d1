"""A second head of D names a class: of labelled data (AC-GAN), or of a code in the noise (InfoGAN).

Both ask the generator for draws whose class can be told. They differ in who teaches the head, and
in what the class is: a label that the data bring, or a number that means nothing at first.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from genlab.em.kmeans import count
from genlab.gans.losses import discriminator_loss, generator_loss
from genlab.gans.networks import labelled
from genlab.gans.play import Losses

__all__ = ["AuxiliaryDiscriminator", "acgan_losses", "infogan_losses"]


class AuxiliaryDiscriminator(nn.Module):
    """D with a second head that names the class: (logit of "real", log C(y | x)), ``[batch, 2]``.

    For :func:`genlab.gans.play.play` with (x, y): with labels y and :func:`acgan_losses` it is
    AC-GAN; with codes y drawn apart from x and :func:`infogan_losses` it is InfoGAN.

    Args:
        net: from x to ``[batch, 1 + classes]``.
        classes: their number.

    Raises:
        ValueError: no classes, labels out of range, a net with another number of outputs.

    Source: Odena, Olah and Shlens 2017, arXiv:1610.09585; Chen et al. 2016, arXiv:1606.03657.

    Example:
        >>> D = AuxiliaryDiscriminator(nn.Linear(2, 1 + 3), classes=3)
        >>> D(torch.zeros(4, 2), torch.tensor([0, 1, 2, 2])).shape
        torch.Size([4, 2])
    """

    def __init__(self, net: nn.Module, classes: int) -> None:
        super().__init__()
        self.net, self.classes = net, count(classes, "classes")

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        out = self.net(x)
        if out.shape != (len(x), 1 + self.classes):
            raise ValueError(
                f"Expected 1 + {self.classes} numbers for each example, a logit and the classes', "
                f"got {tuple(out.shape)}."
            )
        code = labelled(out[:, :0], y, self.classes)
        log_c = (out[:, 1:].log_softmax(1) * code).sum(1)
        return torch.stack([out[:, 0], log_c], 1)


def acgan_losses(weight: float = 1.0) -> Losses:
    """D and G both want the class to be named: each loses −λ log C(y | x) more.

    C learns from real and fake examples. Mind what G gains by it: not only the right class, but one
    that is easy to tell. Where classes overlap in the truth, G moves them apart.

    Args:
        weight: λ.

    Returns:
        the losses of D and G for :func:`genlab.gans.play.play`, one value per example each.

    Source: Odena, Olah and Shlens 2017, section 3; on the bias Gong et al. 2019, arXiv:1907.02690.

    Example: a logit 0, and a class named with certainty ½, in both.
        >>> d_loss, g_loss = acgan_losses()
        >>> out = torch.tensor([[0.0, -0.6931]])
        >>> d_loss(out, out), g_loss(out)
        (tensor([2.7725]), tensor([1.3862]))
    """

    def d_loss(real: Tensor, fake: Tensor) -> Tensor:
        return discriminator_loss(real[:, 0], fake[:, 0]) - weight * (real[:, 1] + fake[:, 1])

    return d_loss, _g_loss(weight)


def infogan_losses(weight: float = 1.0) -> Losses:
    """G and the second head want the code to be named: both lose −λ log q(c | x) more, at fakes.

    Up to a constant the term is −λ times :func:`genlab.gans.inference.information_bound`: G keeps
    the code legible. No label of a real example is asked for.

    Args, Returns: as in :func:`acgan_losses`.

    Source: Chen et al. 2016, arXiv:1606.03657, eq. 6.

    Example:
        >>> d_loss, g_loss = infogan_losses()
        >>> out = torch.tensor([[0.0, -0.6931]])
        >>> d_loss(out, out), g_loss(out)
        (tensor([2.0794]), tensor([1.3862]))
    """

    def d_loss(real: Tensor, fake: Tensor) -> Tensor:
        return discriminator_loss(real[:, 0], fake[:, 0]) - weight * fake[:, 1]

    return d_loss, _g_loss(weight)


def _g_loss(weight: float) -> Callable[[Tensor], Tensor]:
    return lambda fake: generator_loss(fake[:, 0]) - weight * fake[:, 1]
