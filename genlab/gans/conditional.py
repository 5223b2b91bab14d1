"""Labels in the game: how they enter a net, and whether the draws are what was asked for.

A label can stand beside x, as a one-hot code or an embedding of it; or D takes the inner product of
its vector with the features of x, which is what the best D does where classes are Gaussian.
"""

import torch
from torch import Generator, Tensor, nn

from genlab.em.kmeans import count
from genlab.gans.networks import labelled
from genlab.nets import weights_from

__all__ = ["LabelEmbedding", "ProjectionDiscriminator", "accuracy"]


class LabelEmbedding(nn.Module):
    """A layer that turns the one-hot code at the end of its input into a learnt vector.

    The code times a matrix is a row of it. So the layer before a perceptron adds no function: it
    restricts the weights of the label to rank ``width``, which pays where there are many classes.

    Args:
        classes: length of the code, as :func:`genlab.gans.networks.labelled` puts it there.
        width: length of the vector.
        generator: source of the first vectors.

    Raises:
        ValueError: sizes below 1.

    Source: Mirza and Osindero 2014, arXiv:1411.1784, section 4 (a learnt layer for each input).

    Example:
        >>> layer = LabelEmbedding(classes=10, width=2, generator=torch.Generator().manual_seed(0))
        >>> u = labelled(torch.zeros(3, 5), torch.tensor([4, 4, 9]), classes=10)
        >>> u.shape, layer(u).shape
        (torch.Size([3, 15]), torch.Size([3, 7]))
    """

    def __init__(self, classes: int, width: int, *, generator: Generator | None = None) -> None:
        super().__init__()
        shape = count(classes, "classes"), count(width, "width")
        self.vectors = nn.Parameter(torch.randn(shape, generator=generator))

    def forward(self, u: Tensor) -> Tensor:
        code = u[:, -len(self.vectors) :]
        return torch.cat([u[:, : -len(self.vectors)], code @ self.vectors], 1)


class ProjectionDiscriminator(nn.Module):
    """Logit a(x, y) = ψ(φ(x)) + v_y · φ(x): what is real, and what is real for this label.

    The best logit of pairs is a sum, log p(y | x)/p_θ(y | x) + log p(x)/p_θ(x). Where both
    posteriors are a softmax of affine maps of φ(x), the first is affine in φ(x) for each y: the
    label needs no more than an inner product.

    Args:
        features: φ, from x to ``[batch, width]``.
        width: length of φ(x).
        classes: their number.
        generator: source of the first weights of ψ and v.

    Raises:
        ValueError: sizes below 1, labels out of range.

    Source: Miyato and Koyama 2018, arXiv:1802.05637, section 3.

    Example:
        >>> D = ProjectionDiscriminator(nn.Flatten(), width=64, classes=10)
        >>> D(torch.zeros(3, 1, 8, 8), torch.tensor([0, 9, 9])).shape
        torch.Size([3])
    """

    def __init__(
        self, features: nn.Module, width: int, classes: int, *, generator: Generator | None = None
    ) -> None:
        super().__init__()
        self.features, self.classes = features, count(classes, "classes")
        with weights_from(generator):
            self.psi = nn.Linear(count(width, "width"), 1)
            self.v = nn.Linear(classes, width, bias=False)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        phi = self.features(x)
        code = labelled(phi[:, :0], y, self.classes)
        return self.psi(phi)[:, 0] + (self.v(code) * phi).sum(1)


@torch.no_grad()
def accuracy(classifier: nn.Module, x: Tensor, y: Tensor) -> float:
    """Share of examples whose label a classifier finds.

    For a conditional generator it answers two questions. Trained on real data and asked about
    draws: are they what was asked for? Trained on draws and asked about real data: are they varied
    enough to learn from? A generator with one perfect draw a class answers only the first.

    Args:
        classifier: from x to logits ``[batch, classes]``.
        x, y: examples and their labels.

    Raises:
        ValueError: no examples, or not one label for each.

    Source: Shmelkov, Schmid and Alahari 2018, arXiv:1807.09499 (GAN-test and GAN-train); Ravuri
        and Vinyals 2019, arXiv:1905.10887.

    Example:
        >>> x = torch.tensor([[2.0, 1.0], [0.0, 3.0]])
        >>> accuracy(nn.Identity(), x, torch.tensor([0, 0]))
        0.5
    """
    if len(x) == 0 or y.shape != (len(x),):
        raise ValueError(
            f"Expected examples and one label for each, got {len(x)} and labels of shape "
            f"{tuple(y.shape)}."
        )
    return float((classifier(x).argmax(1) == y).double().mean())
