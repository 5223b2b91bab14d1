"""The two players: a net that turns noise into data, and a net that tells its draws from the data.

G(z) with z from a law that is easy to draw from is a sample; its density is never written down.
D(x) is a logit, one number per example.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

from genlab.em.kmeans import count
from genlab.models import Sampler, catalogued, sample_size

__all__ = [
    "ConditionalDiscriminator",
    "ConditionalGenerator",
    "Discriminator",
    "Generator",
    "MinibatchDiscrimination",
    "Packed",
    "labelled",
]


@catalogued(chapter="gans", source="Goodfellow et al. 2014")
class Generator(nn.Module):
    """x = G(z) with z from a law of noise: one pass through the net is one draw.

    With batch normalisation call ``eval()`` before you draw: in training mode a draw depends on the
    others of its batch.

    Args:
        noise: law of z, for instance ``genlab.flows.StandardNormal((2,))``.
        net: G, from ``[n, *z]`` to ``[n, *x]``.

    Raises:
        TypeError: noise that cannot be drawn.

    Source: Goodfellow et al. 2014, arXiv:1406.2661.

    Example: N(3, 4) as an affine map of N(0, 1).
        >>> from genlab.flows import StandardNormal
        >>> G = Generator(StandardNormal((1,)), nn.Linear(1, 1))
        >>> G.net.weight.data.fill_(2.0), G.net.bias.data.fill_(3.0)
        (tensor([[2.]]), tensor([3.]))
        >>> x = G.sample(10_000, generator=torch.Generator().manual_seed(0))
        >>> round(x.mean().item(), 1), round(x.std().item(), 1)
        (3.0, 2.0)
    """

    def __init__(self, noise: Sampler, net: nn.Module) -> None:
        super().__init__()
        if not isinstance(noise, Sampler):
            raise TypeError(
                f"Expected noise that has sample(n), got a {type(noise).__name__}. "
                "StandardNormal((2,)) of genlab.flows is one."
            )
        self.noise, self.net = noise, net

    def draw(self, n: int, *, generator: torch.Generator | None = None) -> Tensor:
        """n draws of z, in the dtype and on the device of the weights."""
        z = self.noise.sample(sample_size(n), generator=generator)
        return z.to(next(self.parameters(), z))

    def forward(self, z: Tensor) -> Tensor:
        return self.net(z)

    @torch.no_grad()
    def sample(self, n: int, *, generator: torch.Generator | None = None) -> Tensor:
        """x = G(z) with z from the noise, ``[n, *x]``."""
        return self(self.draw(n, generator=generator))


@catalogued(chapter="gans", source="Mirza and Osindero 2014")
class ConditionalGenerator(Generator):
    """x = G(z, y): the label y stands beside the noise as a one-hot code.

    Args:
        noise: law of z, ``[n, d]``.
        net: G, from ``[n, d + classes]`` to ``[n, *x]``.
        classes: their number.

    Source: Mirza and Osindero 2014, arXiv:1411.1784.

    Example:
        >>> from genlab.flows import StandardNormal
        >>> from genlab.nets import MLP
        >>> rng = torch.Generator().manual_seed(0)
        >>> G = ConditionalGenerator(StandardNormal((2,)), MLP(5, 2, generator=rng), classes=3)
        >>> G.sample(4, y=2, generator=rng).shape
        torch.Size([4, 2])
    """

    def __init__(self, noise: Sampler, net: nn.Module, classes: int) -> None:
        super().__init__(noise, net)
        self.classes = count(classes, "classes")

    def forward(self, z: Tensor, y: Tensor) -> Tensor:
        return self.net(labelled(z, y, self.classes))

    @torch.no_grad()
    def sample(
        self, n: int, y: int | Tensor | None = None, *, generator: torch.Generator | None = None
    ) -> Tensor:
        """n draws with the labels y ``[n]``, or all with one label; without y all are as likely."""
        z = self.draw(n, generator=generator)
        if y is None:
            y = torch.randint(self.classes, (n,), generator=generator, device=z.device)
        y = torch.as_tensor(y, device=z.device)
        return self(z, y.expand(n) if y.ndim == 0 else y)


class Discriminator(nn.Module):
    """The logit of "x is real", one number per example: D(x) = σ(logit).

    Args:
        net: from ``[n, *x]`` to ``[n, 1]``.

    Raises:
        ValueError: the net gives another shape.

    Source: Goodfellow et al. 2014, arXiv:1406.2661.

    Example:
        >>> from genlab.nets import MLP
        >>> D = Discriminator(MLP(2, 1, generator=torch.Generator().manual_seed(0)))
        >>> D(torch.zeros(3, 2)).shape
        torch.Size([3])
    """

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        logits = self.net(x)
        if logits.shape != (len(x), 1):
            raise ValueError(
                f"Expected one logit per example from the net, shape ({len(x)}, 1), got "
                f"{tuple(logits.shape)}."
            )
        return logits[:, 0]


class ConditionalDiscriminator(Discriminator):
    """The logit of "x is real, and of class y": a right label is a part of being real.

    Args:
        net: from x with ``classes`` columns (channels, if x is an image) more, to ``[n, 1]``.
        classes: their number.

    Source: Mirza and Osindero 2014, arXiv:1411.1784.
    """

    def __init__(self, net: nn.Module, classes: int) -> None:
        super().__init__(net)
        self.classes = count(classes, "classes")

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return super().forward(labelled(x, y, self.classes))


class Packed(Discriminator):
    """D sees m examples at once, all real or all fake, and gives one logit for them.

    A collapsed generator is betrayed by m draws that are alike, although each alone looks right:
    between the products of m draws the distance is larger for two laws where mass is missing.

    Args:
        net: from m examples side by side, ``[n / m, m·d]`` (channels, if they are images), to
            ``[n / m, 1]``.
        m: 1 or more.

    Raises:
        ValueError: n examples that do not make whole packs.

    Source: Lin et al. 2018, arXiv:1712.04086.

    Example:
        >>> from genlab.nets import MLP
        >>> D = Packed(MLP(3 * 2, 1, generator=torch.Generator().manual_seed(0)), m=3)
        >>> D(torch.zeros(12, 2)).shape
        torch.Size([4])
    """

    def __init__(self, net: nn.Module, m: int) -> None:
        super().__init__(net)
        self.m = count(m, "m")

    def forward(self, x: Tensor) -> Tensor:
        if len(x) % self.m:
            raise ValueError(
                f"Expected examples in packs of {self.m}, got {len(x)}. "
                f"Take a batch_size that {self.m} divides."
            )
        return super().forward(x.reshape(-1, self.m * x.shape[1], *x.shape[2:]))


class MinibatchDiscrimination(nn.Module):
    """A layer that says of each example how close the others of its batch are to it.

    ::

        M_i = T f_i ∈ R^{B×C},   o_b(i) = Σ_{j ≠ i} exp(−‖M_ib − M_jb‖₁),   output (f_i, o(i))

    Args:
        features: length of f.
        kernels: B, the numbers that are added to f.
        width: C.
        generator: source of the first weights.

    Source: Salimans et al. 2016, arXiv:1606.03498, section 3.2.

    Example: three examples, two of them alike.
        >>> layer = MinibatchDiscrimination(1, kernels=1, width=1)
        >>> layer.T.data.fill_(1.0)
        tensor([[[1.]]])
        >>> layer(torch.tensor([[0.0], [0.0], [5.0]])).detach().round(decimals=3)
        tensor([[0.0000, 1.0070],
                [0.0000, 1.0070],
                [5.0000, 0.0130]])
    """

    def __init__(
        self,
        features: int,
        kernels: int = 16,
        width: int = 4,
        *,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        start = torch.randn(features, kernels, width, generator=generator)
        self.T = nn.Parameter(start / features**0.5)

    def forward(self, f: Tensor) -> Tensor:
        M = torch.einsum("nf,fbc->nbc", f, self.T)
        closeness = torch.exp(-(M[:, None] - M).abs().sum(-1))  # [n, n, B]
        return torch.cat([f, closeness.sum(1) - 1], 1)  # without the example itself


def labelled(x: Tensor, y: Tensor, classes: int) -> Tensor:
    """x with the one-hot code of its label beside it: more columns, or channels of an image.

    Raises:
        ValueError: labels that are not one whole number in 0, …, classes − 1 for each example.

    Example:
        >>> labelled(torch.zeros(2, 1), torch.tensor([0, 2]), classes=3)
        tensor([[0., 1., 0., 0.],
                [0., 0., 0., 1.]])
    """
    if y.shape != (len(x),) or y.is_floating_point() or y.is_complex():
        raise ValueError(
            f"Expected a whole number as label of each of the {len(x)} examples, got {y.dtype} of "
            f"shape {tuple(y.shape)}."
        )
    low, high = y.aminmax() if len(y) else (0, 0)
    if low < 0 or high >= classes:
        raise ValueError(
            f"Expected labels from 0 to {classes - 1}, got labels from {int(low)} to {int(high)}."
        )
    code = one_hot(y.long(), classes).to(x.dtype)
    code = code.reshape(len(x), classes, *[1] * (x.ndim - 2)).expand(-1, -1, *x.shape[2:])
    return torch.cat([x, code], 1)
