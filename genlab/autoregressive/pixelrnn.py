"""PixelRNN: the memory of an LSTM runs over the image, along its rows or along its diagonals.

A recurrent layer sees far in one step, where a convolution sees as far as its kernel. The price is
that its steps are taken one after the other, in training too: h of them over the rows, h + w − 1
over the diagonals.
"""

from collections.abc import Sequence

import torch
from torch import Generator, Tensor, nn
from torch.nn.functional import pad, relu

from genlab.autoregressive.cache import Cache
from genlab.autoregressive.masks import MaskedConv
from genlab.autoregressive.raster import RasterModel
from genlab.models import catalogued

__all__ = ["DiagonalBiLSTM", "PixelRNN", "RowLSTM", "skew", "unskew"]


class RowLSTM(nn.Module):
    """An LSTM that goes down the rows, all sites of a row at once.

    The gates of a row are a convolution of the row itself, masked, plus one of the states of the
    row above, both of three sites. What a site sees widens by one on each side with each row: a
    triangle.

    Args:
        width: features before and behind, a multiple of the colours.
        colours: channels of the image.

    Source: van den Oord, Kalchbrenner and Kavukcuoglu 2016, arXiv:1601.06759, section 3.1.

    Example:
        >>> RowLSTM(4)(torch.zeros(2, 4, 5, 6)).shape
        torch.Size([2, 4, 5, 6])
    """

    def __init__(self, width: int, colours: int = 1) -> None:
        super().__init__()
        self.colours = colours
        self.inputs = MaskedConv(width, 4 * width, (1, 3), "B", colours)
        self.states = nn.Conv1d(width, 4 * width, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        state = torch.zeros_like(x[:, :, 0]), torch.zeros_like(x[:, :, 0])  # h and c, [n, f, w]
        rows = []
        for gates in self.inputs(x).unbind(2):
            state = _lstm(gates + self.states(state[0]), state[1], self.colours)
            rows.append(state[0])
        return torch.stack(rows, 2)


class DiagonalBiLSTM(nn.Module):
    """Two LSTMs that go along the diagonals, one from each upper corner.

    Skewed by one column a row, a diagonal is a column, and the neighbours to the left and above
    are its neighbours one column before. The second LSTM runs over the mirrored image; it is moved
    down by one row, else it would see the later sites of the own row. Together they see all that
    comes before, whatever the size of the image.

    Args:
        width: features before and behind, a multiple of the colours.
        colours: channels of the image.

    Source: van den Oord, Kalchbrenner and Kavukcuoglu 2016, arXiv:1601.06759, section 3.2.

    Example:
        >>> DiagonalBiLSTM(4)(torch.zeros(2, 4, 5, 6)).shape
        torch.Size([2, 4, 5, 6])
    """

    def __init__(self, width: int, colours: int = 1) -> None:
        super().__init__()
        self.colours = colours
        self.inputs = nn.ModuleList(MaskedConv(width, 4 * width, 1, "B", colours) for _ in range(2))
        # From a site to itself, which is to the right of it in the image, and to the one below.
        self.states = nn.ModuleList(nn.Conv1d(width, 4 * width, 2, bias=False) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        right = self._along(x, 0)
        left = self._along(x.flip(3), 1).flip(3)
        return right + pad(left, (0, 0, 1, 0))[:, :, :-1]

    def _along(self, x: Tensor, which: int) -> Tensor:
        """One LSTM from the upper left corner to the lower right one."""
        diagonals = skew(self.inputs[which](x))
        state = torch.zeros_like(x[..., 0]), torch.zeros_like(x[..., 0])  # h and c, [n, f, height]
        columns = []
        for gates in diagonals.unbind(3):
            before = self.states[which](pad(state[0], (1, 0)))
            state = _lstm(gates + before, state[1], self.colours)
            columns.append(state[0])
        return unskew(torch.stack(columns, 3))


def skew(x: Tensor) -> Tensor:
    """Row i moved right by i: ``[…, h, w]`` to ``[…, h, w + h − 1]``, zeros around.

    Example:
        >>> skew(torch.tensor([[1, 2], [3, 4]]))
        tensor([[1, 2, 0],
                [0, 3, 4]])
    """
    *_, h, w = x.shape
    # h zeros behind each row; read on as rows that are shorter by one, each starts one later
    return pad(x, (0, h)).flatten(-2)[..., :-h].unflatten(-1, (h, w + h - 1))


def unskew(x: Tensor) -> Tensor:
    """Undoes :func:`skew`.

    Example:
        >>> unskew(torch.tensor([[1, 2, 0], [0, 3, 4]]))
        tensor([[1, 2],
                [3, 4]])
    """
    *_, h, wide = x.shape
    return pad(x.flatten(-2), (0, h)).unflatten(-1, (h, wide + 1))[..., : wide - h + 1]


@catalogued(chapter="autoregressive", source="van den Oord, Kalchbrenner and Kavukcuoglu 2016")
class PixelRNN(RasterModel):
    """A masked convolution, then recurrent layers with a way around each, then the logits.

    Behind mask A the features at a site know the pixels before it, and not its own. So even with
    diagonals one earlier pixel stays unseen, the last of the row above: the first to know of it are
    those sites of the own row from which the first kernel reaches as far to the right.

    Args:
        event, levels, width, first, generator: as in :class:`~genlab.autoregressive.PixelCNN`.
        layers: number of recurrent layers.
        layer: :class:`RowLSTM` or :class:`DiagonalBiLSTM`.

    Raises:
        ValueError: sizes that do not fit.

    Source: van den Oord, Kalchbrenner and Kavukcuoglu 2016, arXiv:1601.06759, section 3.

    Example:
        >>> rng = torch.Generator().manual_seed(0)
        >>> model = PixelRNN((1, 4, 4), width=8, layer=RowLSTM, generator=rng)
        >>> model.log_prob(model.sample(3, generator=rng)).shape
        torch.Size([3])
    """

    def __init__(
        self,
        event: Sequence[int],
        levels: int = 2,
        width: int = 16,
        layers: int = 1,
        first: int = 7,
        layer: type[nn.Module] = DiagonalBiLSTM,
        *,
        generator: Generator | None = None,
    ) -> None:
        super().__init__(event, levels, width, layers, first, generator=generator, recurrent=layer)

    @staticmethod
    def _layer(
        n_in: int, width: int, kernel: int, kind: str, colours: int, recurrent: type
    ) -> nn.Module:
        if kind == "A":
            return MaskedConv(n_in, width, kernel, kind, colours)
        return recurrent(width, colours)

    def network(self, planes: Tensor, cache: Cache | None = None) -> Tensor:
        if cache is not None:
            raise ValueError("The states of a PixelRNN are not cached: take from_uniforms.")
        h = self.first(planes)
        for layer in self.layers:
            h = h + layer(h)
        return self.last(relu(h))


def _lstm(gates: Tensor, memory: Tensor, colours: int) -> tuple[Tensor, Tensor]:
    """h and c after a step; each colour has its four gates."""
    o, f, i, g = gates.unflatten(1, (colours, 4, -1)).unbind(2)
    o, f, i = (torch.sigmoid(v).flatten(1, 2) for v in (o, f, i))
    memory = f * memory + i * torch.tanh(g).flatten(1, 2)
    return o * torch.tanh(memory), memory
