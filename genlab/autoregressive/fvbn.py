"""A fully visible belief net: a logistic regression of each entry on those before it."""

from collections.abc import Sequence

import torch
from torch import Generator, Tensor, nn

from genlab.autoregressive.model import Autoregressive
from genlab.models import catalogued
from genlab.nets import weights_from

__all__ = ["FVBN"]


@catalogued(chapter="autoregressive", source="Neal 1992; Frey, Hinton and Dayan 1996")
class FVBN(Autoregressive):
    """Fully visible belief net of n binary entries: n (n + 1) / 2 parameters.

    .. math:: p(x_i = 1 \\mid x_{<i}) = \\sigma\\Big(b_i + \\sum_{j<i} W_{ij} x_j\\Big)

    with j < i in the model's ordering. The log-likelihood is concave in W and b, so nothing but
    the global maximum stops an ascent. What it cannot say: that an entry is the exclusive or of
    two others.

    Args:
        n: entries.
        order: the ordering; by default the entries as they stand.
        generator: source of the first weights.

    Raises:
        ValueError: n below 1, or an ordering that is no permutation.

    Source: Neal 1992, Artificial Intelligence 56, 71; Frey, Hinton and Dayan 1996, NIPS 8, 661;
        Frey 1998, Graphical models for machine learning and digital communication.

    Example:
        >>> model = FVBN(3, generator=torch.Generator().manual_seed(0))
        >>> model.log_prob(torch.tensor([[0, 1, 1]])).shape
        torch.Size([1])
    """

    def __init__(
        self,
        n: int,
        *,
        order: Sequence[int] | Tensor | None = None,
        generator: Generator | None = None,
    ) -> None:
        super().__init__((n,), 2, order)
        with weights_from(generator):
            self.linear = nn.Linear(n, n)  # of its n² weights those of earlier entries are used

    def forward(self, x: Tensor) -> Tensor:
        place = self.order.argsort()
        weight = torch.where(place[:, None] > place, self.linear.weight, 0.0)
        return nn.functional.linear(x, weight, self.linear.bias)
