"""A recurrent network as a density: a state that is meant to remember all symbols so far."""

from torch import Generator, Tensor, nn

from genlab.autoregressive.sequence import SequenceModel
from genlab.models import catalogued
from genlab.nets import weights_from

__all__ = ["RNNDensity"]

_CELLS = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}


@catalogued(chapter="autoregressive", source="Elman 1990; Graves 2013")
class RNNDensity(SequenceModel):
    """p(x_t | x_{<t}) = softmax(V s_t + c), with the state s_t = cell(e(x_{t−1}), s_{t−1}).

    The number of parameters does not depend on the length, and a state can carry news over any
    distance; but in training too T cells are computed one after the other, since each needs the
    state before it. The state remembers everything, so sampling needs no other cache.

    Args:
        symbols: K.
        length: of a sequence.
        width: of embeddings and of the state.
        cell: "rnn" (s = tanh(A e + B s + b)), "gru" or "lstm", whose gates keep a slope from
            vanishing over long distances.
        generator: source of the first weights.

    Raises:
        ValueError: as :class:`SequenceModel`, or another cell.

    Source: Elman 1990, Cognitive Science 14, 179; Graves 2013, arXiv:1308.0850. LSTM: Hochreiter
        and Schmidhuber 1997, Neural Computation 9, 1735; GRU: Cho et al. 2014, arXiv:1406.1078.

    Example:
        >>> import torch
        >>> rng = torch.Generator().manual_seed(0)
        >>> model = RNNDensity(2, 3, generator=rng)
        >>> x = torch.cartesian_prod(*[torch.arange(2)] * 3)  # all eight
        >>> round(model.log_prob(x).exp().sum().item(), 5)
        1.0
    """

    def __init__(
        self,
        symbols: int,
        length: int,
        width: int = 64,
        cell: str = "lstm",
        *,
        generator: Generator | None = None,
    ) -> None:
        super().__init__(symbols, length, width, generator)
        if cell not in _CELLS:
            raise ValueError(f"Expected one of the cells {', '.join(_CELLS)}, got {cell!r}.")
        with weights_from(generator):
            self.cell = _CELLS[cell](width, width, batch_first=True)
            self.head = nn.Linear(width, symbols)

    def network(self, h: Tensor) -> Tensor:
        return self.head(self.cell(h)[0])

    def start(self, n: int) -> None:
        """No state: torch's cells then begin with zeros."""

    def step(self, h: Tensor, state: Tensor | tuple | None) -> tuple[Tensor, Tensor | tuple]:
        out, state = self.cell(h[:, None], state)
        return self.head(out[:, 0]), state
