"""Masked convolutions: layers over images through which no site sees a later one.

The sites of an image are read row by row, and in a site one colour after the other. A convolution
keeps this order if the taps behind its centre are zero; then so does a stack of them, and one pass
gives the law of every site given the sites before it.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Generator, Tensor, nn
from torch.nn.functional import conv2d, pad

from genlab.autoregressive.cache import Cache
from genlab.em.kmeans import count
from genlab.nets import weights_from

__all__ = ["MaskedConv", "causal_mask", "receptive_field"]


def causal_mask(
    kind: str, kernel: Sequence[int], n_in: int = 1, n_out: int = 1, colours: int = 1
) -> Tensor:
    """Which taps of a convolution are open: ``[n_out, n_in, rows, columns]`` of zeros and ones.

    ======== ====================================================================================
    "A"      the sites before the centre; at the centre, the colours before the own one
    "B"      the same, and at the centre the own colour too
    "above"  the rows above the centre
    "down"   the rows above the centre, and its own row
    ======== ====================================================================================

    A is for inputs, the pixels themselves; B is for features, which know of their own site only
    what A let through. "above" and "down" are A and B for features that know of whole rows. The
    rows below the centre are left out: they would hold nothing but zeros. Features are dealt out to
    the colours in equal blocks: of 6 features of 3 colours the first 2 belong to the first.

    Args:
        kind: one of the four.
        kernel: rows and columns of the whole kernel, both odd; (r + 1) / 2 rows are returned.
        n_in, n_out: features before and behind, multiples of ``colours``.
        colours: channels of the image.

    Raises:
        ValueError: another kind, an even kernel, or features that cannot be dealt out.

    Source: van den Oord, Kalchbrenner and Kavukcuoglu 2016, arXiv:1601.06759, section 3.4; van den
        Oord et al. 2016, arXiv:1606.05328, section 2.2.

    Example:
        >>> causal_mask("A", (3, 3))[0, 0]
        tensor([[1., 1., 1.],
                [1., 0., 0.]])
        >>> causal_mask("B", (1, 1), n_in=3, n_out=3, colours=3)[:, :, 0, 0]
        tensor([[1., 0., 0.],
                [1., 1., 0.],
                [1., 1., 1.]])
    """
    if kind not in ("A", "B", "above", "down"):
        raise ValueError(f"Expected a mask of kind 'A', 'B', 'above' or 'down', got {kind!r}.")
    rows, columns = kernel
    if count(rows, "rows") % 2 == 0 or count(columns, "columns") % 2 == 0:
        raise ValueError(
            f"Expected a kernel with odd sides, got {rows} × {columns}: an even one has no centre."
        )
    if count(n_in, "n_in") % count(colours, "colours") or count(n_out, "n_out") % colours:
        raise ValueError(
            f"Expected numbers of features that {colours} colours can share equally, got {n_in} "
            f"and {n_out}."
        )
    mask = torch.ones(n_out, n_in, rows // 2 + 1, columns)
    if kind == "above":
        mask[:, :, -1] = 0
    elif kind != "down":
        before = torch.arange(n_in) * colours // n_in
        own = (torch.arange(n_out) * colours // n_out)[:, None]
        mask[:, :, -1, columns // 2] = (before < own if kind == "A" else before <= own).float()
        mask[:, :, -1, columns // 2 + 1 :] = 0
    return mask


class MaskedConv(nn.Conv2d):
    """A convolution whose taps behind the centre are zero; height and width stay.

    Args:
        n_in, n_out: features, multiples of ``colours``.
        kernel: its odd side, or its rows and columns.
        kind: of the mask, see :func:`causal_mask`.
        colours: channels of the image.
        generator: source of the first weights.

    Example:
        >>> layer = MaskedConv(1, 1, 3, "A")
        >>> _ = torch.nn.init.ones_(layer.weight), torch.nn.init.zeros_(layer.bias)
        >>> layer(torch.ones(1, 1, 2, 3))[0, 0]  # how many sites are seen
        tensor([[0., 1., 1.],
                [2., 4., 3.]], grad_fn=<SelectBackward0>)
    """

    def __init__(
        self,
        n_in: int,
        n_out: int,
        kernel: int | Sequence[int],
        kind: str = "B",
        colours: int = 1,
        *,
        generator: Generator | None = None,
    ) -> None:
        sides = (kernel, kernel) if isinstance(kernel, int) else tuple(kernel)
        mask = causal_mask(kind, sides, n_in, n_out, colours)
        with weights_from(generator):
            super().__init__(n_in, n_out, tuple(mask.shape[2:]))
        self.register_buffer("mask", mask, persistent=False)
        self.margin = (sides[1] // 2, sides[1] // 2, sides[0] // 2, 0)  # left, right, top, bottom

    def forward(self, x: Tensor, cache: Cache | None = None) -> Tensor:
        """From ``[n, n_in, h, w]`` to ``[n, n_out, h, w]``; with a cache, its part at the site."""
        if cache is not None:
            return cache.convolve(self, x)
        return conv2d(pad(x, self.margin), self.weight * self.mask, self.bias)


def receptive_field(network: Callable[[Tensor], Tensor], x: Tensor, site: Sequence[int]) -> Tensor:
    """At which sites the input changes the output at one site, by back-propagation.

    The largest |∂ output / ∂ input| over the batch, the features of the input and a random
    combination of those of the output.

    Args:
        network: from ``[batch, n_in, *sites]`` to ``[batch, n_out, *sites]``.
        x: points at which it is asked; several, as a unit that is flat at one is steep at another.
        site: indices of the site, one for each of the last axes.

    Returns:
        ``[*sites]``, exactly 0 at the sites that are not seen.

    Example: a convolution of three, twice.
        >>> conv = nn.Conv1d(1, 1, 3, padding=1)
        >>> seen = receptive_field(lambda x: conv(conv(x)), torch.zeros(1, 1, 8), [3])
        >>> (seen > 0).long()
        tensor([0, 1, 1, 1, 1, 1, 0, 0])
    """
    x = x.detach().clone().requires_grad_()
    out = network(x)[(..., *site)]
    weights = torch.randn(out.shape, generator=Generator().manual_seed(0)).to(out)
    (slope,) = torch.autograd.grad((out * weights).sum(), x)
    return slope.abs().flatten(0, 1).amax(0)
