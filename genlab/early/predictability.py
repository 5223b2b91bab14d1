"""Predictability minimisation: a code whose units cannot be guessed from one another.

Each unit of a code y = f(x) has a predictor that sees all the *other* units, and only them. The
predictors make their squared errors small, the encoder makes the same errors large: two players,
one function, in 1992. A predictor that saw the unit itself would be right for every code. What is
learnt is a code, not a generator: nothing is drawn.
"""

import torch
from torch import Generator, Tensor, nn
from torch.func import functional_call

from genlab.divergences import probabilities
from genlab.early.states import binary
from genlab.em.kmeans import count
from genlab.models import catalogued, mutual_information
from genlab.nets import MLP

__all__ = [
    "PredictabilityMinimisation",
    "pairwise_information",
    "predictability_game",
    "unpredictability",
]


def unpredictability(codes: Tensor, p: Tensor) -> Tensor:
    """V = Σᵢ E(E[yᵢ | the other units] − yᵢ)² of a code of m values, against the best predictors.

    ::

        V = Σᵢ Var(yᵢ) − Σᵢ Var(E[yᵢ | y₋ᵢ]) ≤ Σᵢ Var(yᵢ),

    an equality just where no unit's mean depends on the others: for zeros and ones, where each is
    independent of all others together.

    Args:
        codes: y of each of m patterns, ``[..., m, units]``.
        p: chance of each pattern, ``[m]``.

    Returns:
        ``[...]``.

    Raises:
        ValueError: a p that is no law, or of another length.

    Source: Schmidhuber 1992, Neural Computation 4, 863.

    Example: four patterns on two bits. A bijection cannot be predicted, a copied bit can.
        >>> p = torch.full((4,), 0.25)
        >>> bijection = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
        >>> unpredictability(bijection, p), unpredictability(bijection[:, [0, 0]], p)
        (tensor(0.5000), tensor(0.))
    """
    (p,) = probabilities(p)
    if codes.ndim < 2 or codes.shape[-2] != len(p):
        raise ValueError(
            f"Expected one code for each of {len(p)} patterns, shape (..., {len(p)}, units), got "
            f"{tuple(codes.shape)}."
        )
    error = torch.zeros_like(codes[..., 0, 0])
    for i in range(codes.shape[-1]):
        others = torch.cat([codes[..., :i], codes[..., i + 1 :]], -1)
        same = (others[..., :, None, :] == others[..., None, :, :]).all(-1)  # [..., m, m]
        weight = same * p
        guess = (weight @ codes[..., i, None])[..., 0] / weight.sum(-1)
        error = error + (p * (guess - codes[..., i]) ** 2).sum(-1)
    return error


def pairwise_information(bits: Tensor) -> Tensor:
    """Mean mutual information of two units of a binary code, over all pairs, nats, from data.

    Args:
        bits: zeros and ones ``[n, units]``, two units or more.

    Returns:
        a tensor without axes, ≥ 0.

    Raises:
        ValueError: entries that are neither 0 nor 1, no data or a single unit.

    Example: a bit, its copy, and one that knows nothing of them: one pair of three shares log 2.
        >>> bits = torch.tensor([[0, 0, 0], [0, 0, 1], [1, 1, 0], [1, 1, 1]])
        >>> pairwise_information(bits)
        tensor(0.2310, dtype=torch.float64)
    """
    if bits.ndim != 2 or len(bits) == 0 or bits.shape[1] < 2:
        raise ValueError(
            f"Expected rows of two units or more, shape (n, units), got {tuple(bits.shape)}."
        )
    y = binary(bits, bits.shape[1]).double()
    both = torch.stack([1 - y, y], 2).flatten(1)  # each unit as (is 0, is 1)
    joint = (both.T @ both / len(y)).unflatten(0, (-1, 2)).unflatten(2, (-1, 2))
    first, second = torch.triu_indices(y.shape[1], y.shape[1], 1)
    return torch.stack(
        [mutual_information(joint[i, :, j]) for i, j in zip(first, second, strict=True)]
    ).mean()


@catalogued(chapter="early", source="Schmidhuber 1992")
class PredictabilityMinimisation(nn.Module):
    """An encoder to ``units`` numbers in (0, 1), and a predictor of each from the others.

    .. math:: \\min_P \\max_f \\; V = \\sum_i \\mathrm{E} \\big(P_i(y_{-i}) - y_i\\big)^2,
              \\qquad y = f(x)

    An encoder that runs ahead of its predictors pushes each unit to one side for every x, and V is
    0 for good. So logits are standardised over the batch before the sigmoid: no unit is constant.

    Args:
        encoder: from ``[batch, d]`` to logits ``[batch, units]``.
        units: 2 or more.
        hidden: width of each predictor's hidden layer.
        generator: source of the predictors' first weights.

    Raises:
        ValueError: sizes below that.

    Source: Schmidhuber 1992, Neural Computation 4, 863; Schmidhuber, Eldracher and Foltin 1996,
        Neural Computation 8, 773, for images.

    Example:
        >>> g = torch.Generator().manual_seed(0)
        >>> model = PredictabilityMinimisation(MLP(4, 3, generator=g), units=3, generator=g)
        >>> x = torch.randn(5, 4, generator=g)
        >>> model.code(x).shape, model.errors(model.code(x)).shape
        (torch.Size([5, 3]), torch.Size([5, 3]))
    """

    def __init__(
        self,
        encoder: nn.Module,
        units: int,
        hidden: int = 16,
        *,
        generator: Generator | None = None,
    ) -> None:
        super().__init__()
        if count(units, "units") < 2:
            raise ValueError("Expected two units or more: a single one has no others to guess it.")
        self.encoder, self.standardise = encoder, nn.BatchNorm1d(units, affine=False)
        self.predictors = _Predictors(units, hidden, generator)

    def code(self, x: Tensor) -> Tensor:
        """y = σ(4 a) with a the standardised logits, ``[batch, units]``; use it in eval mode."""
        return (4 * self.standardise(self.encoder(x))).sigmoid()

    def bits(self, x: Tensor) -> Tensor:
        """The code rounded, int64 ``[batch, units]``."""
        return (self.code(x) > 0.5).long()

    def errors(self, y: Tensor) -> Tensor:
        """(Pᵢ(y₋ᵢ) − yᵢ)² of each unit, ``[batch, units]``."""
        return (self.predictors(y) - y).square()

    def forward(self, x: Tensor) -> Tensor:
        """The errors at the codes of x, ``[batch, units]``."""
        return self.errors(self.code(x))


def predictability_game(
    model: PredictabilityMinimisation, x: Tensor, generator: Generator | None = None
) -> Tensor:
    """The objective of :func:`genlab.train.fit`: each player's slope is that of his own loss.

    The predictors' errors at codes that are held fixed, less the errors of predictors that are held
    fixed. Its value is 0; its gradient moves the predictors down V and the encoder up.

    Args:
        x: data ``[batch, d]``.
        generator: not used, the game draws nothing.

    Returns:
        ``[batch]``.

    Example:
        >>> from genlab.train import fit
        >>> g = torch.Generator().manual_seed(0)
        >>> model = PredictabilityMinimisation(MLP(4, 3, generator=g), units=3, generator=g)
        >>> x = torch.randn(50, 4, generator=g)
        >>> abs(fit(model, predictability_game, x, steps=3, generator=g).loss[-1].item()) < 1e-6
        True
    """
    y = model.code(x)
    still = {name: weight.detach() for name, weight in model.predictors.named_parameters()}
    guess = functional_call(model.predictors, still, (y,))
    return model.errors(y.detach()).sum(1) - (guess - y).square().sum(1)


class _Predictors(nn.Module):
    """A perceptron for each unit that sees the others, from y ``[batch, units]`` to its guesses."""

    def __init__(self, units: int, hidden: int, generator: Generator | None) -> None:
        super().__init__()
        self.nets = nn.ModuleList(
            MLP(units - 1, 1, (hidden,), generator=generator) for _ in range(units)
        )

    def forward(self, y: Tensor) -> Tensor:
        others = [torch.cat([y[:, :i], y[:, i + 1 :]], 1) for i in range(len(self.nets))]
        guesses = [net(rest) for net, rest in zip(self.nets, others, strict=True)]
        return torch.cat(guesses, 1).sigmoid()
