"""The few small networks that several chapters use."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise

import torch
from torch import Generator, Tensor, nn


@contextmanager
def weights_from(generator: Generator | None) -> Iterator[None]:
    """Layers that are built inside draw their first weights from this generator.

    torch's layers draw from the global generator, by a law of their own: for ``nn.Linear`` and
    convolutions weights and biases are U(-1/√fan_in, 1/√fan_in). The law stays; for as long as the
    block lasts the given generator stands in for the global one, whose state is then restored.

    Args:
        generator: a CPU generator; None leaves the draws to the global one.

    Raises:
        ValueError: the generator is not on the CPU, where layers are built.

    Example:
        >>> with weights_from(torch.Generator().manual_seed(0)):
        ...     layer = nn.Linear(2, 1)
        >>> [round(w, 4) for w in layer.weight[0].tolist()]
        [-0.0053, 0.3793]
    """
    if generator is None:
        yield
        return
    if generator.device.type != "cpu":
        raise ValueError(
            f"Expected a CPU generator for the weights, got one on {generator.device.type}. "
            "Build the model on the CPU, then move it."
        )
    outside = torch.get_rng_state()
    torch.set_rng_state(generator.get_state())
    try:
        yield
    finally:
        generator.set_state(torch.get_rng_state())
        torch.set_rng_state(outside)


class MLP(nn.Sequential):
    """Multilayer perceptron: affine maps with an activation between them.

    :math:`f(x) = W_L a(\\cdots a(W_1 x + b_1) \\cdots) + b_L`, from ``[*batch, n_in]`` to
    ``[*batch, n_out]``.

    Args:
        n_in: inputs.
        n_out: outputs; no activation follows them.
        hidden: widths of the hidden layers; ``()`` leaves one affine map.
        activation: module class that is put between the layers.
        generator: source of the first weights, see :func:`weights_from`.

    Source:
        Rumelhart, Hinton and Williams 1986, Nature 323, 533-536.

    Example:
        >>> MLP(2, 1, hidden=(64,), generator=torch.Generator().manual_seed(0))
        MLP(
          (0): Linear(in_features=2, out_features=64, bias=True)
          (1): ReLU()
          (2): Linear(in_features=64, out_features=1, bias=True)
        )
    """

    def __init__(
        self,
        n_in: int,
        n_out: int,
        hidden: Sequence[int] = (64, 64),
        *,
        activation: type[nn.Module] = nn.ReLU,
        generator: Generator | None = None,
    ) -> None:
        widths = [n_in, *hidden, n_out]
        if min(widths) < 1:
            raise ValueError(f"Expected widths of 1 or more, got {widths} from input to output.")
        with weights_from(generator):
            layers: list[nn.Module] = [nn.Linear(n_in, widths[1])]
            for width, following in pairwise(widths[1:]):
                layers += [activation(), nn.Linear(width, following)]
        super().__init__(*layers)


class MixtureDensityNetwork(nn.Module):
    """A conditional density: a mixture of diagonal Gaussians whose parameters a network computes.

    .. math:: p(y \\mid x) = \\sum_{k=1}^K \\pi_k(x)
              \\prod_{j=1}^d \\mathcal N(y_j; \\mu_{kj}(x), \\sigma_{kj}(x)^2),
              \\qquad \\pi = \\operatorname{softmax}(a), \\quad \\sigma = e^s

    with a, μ and s the outputs of a perceptron with tanh units. With one component it is
    regression with a learnt variance. Mind that the likelihood has no maximum: a component that
    sits on one point gains without bound as its σ goes to 0. Stop early, or use more data.

    Args:
        n_in: length of x.
        n_out: length d of y.
        components: K.
        hidden: widths of the perceptron's hidden layers.
        generator: source of the first weights.

    Source:
        Bishop 1994, Mixture density networks, technical report NCRG/94/004 (there one σ_k for all
        axes); Bishop 2006, Pattern recognition and machine learning, section 5.6.

    Example:
        >>> rng = torch.Generator().manual_seed(0)
        >>> model = MixtureDensityNetwork(1, 2, components=3, generator=rng)
        >>> x = torch.zeros(4, 1)
        >>> y = model.sample(x, generator=rng)
        >>> y.shape, model.log_prob(y, x).shape
        (torch.Size([4, 2]), torch.Size([4]))
    """

    def __init__(
        self,
        n_in: int,
        n_out: int,
        components: int,
        hidden: Sequence[int] = (64, 64),
        *,
        generator: Generator | None = None,
    ) -> None:
        super().__init__()
        if components < 1 or n_out < 1:
            raise ValueError(
                f"Expected components and n_out of 1 or more, got {components} and {n_out}."
            )
        self.n_in, self.n_out, self.components = n_in, n_out, components
        self.net = MLP(
            n_in, components * (1 + 2 * n_out), hidden, activation=nn.Tanh, generator=generator
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Parameters of p(y | x): log π ``[batch, K]``, μ and log σ ``[batch, K, d]``."""
        sizes = [self.components, *2 * [self.components * self.n_out]]
        logits, mean, log_sigma = self.net(self._checked("x", x, self.n_in)).split(sizes, dim=-1)
        event = (self.components, self.n_out)
        return logits.log_softmax(-1), mean.unflatten(-1, event), log_sigma.unflatten(-1, event)

    def log_prob(self, y: Tensor, x: Tensor) -> Tensor:
        """log p(y | x) in nats, ``[batch]``, of y ``[batch, d]`` at x ``[batch, n_in]``.

        Raises:
            ValueError: another shape or dtype than the model's, or NaN or infinite rows.
        """
        y = self._checked("y", y, self.n_out)
        log_pi, mean, log_sigma = self(x)
        if len(y) != len(mean):
            raise ValueError(f"Expected one y for each x, got {len(y)} for {len(mean)}.")
        z = (y[:, None] - mean) * torch.exp(-log_sigma)  # [batch, K, d]
        log_normal = -0.5 * z**2 - log_sigma - 0.5 * math.log(2 * math.pi)
        return torch.logsumexp(log_pi + log_normal.sum(-1), dim=-1)

    @torch.no_grad()
    def sample(self, x: Tensor, *, generator: Generator | None = None) -> Tensor:
        """One y ~ p(y | x) for each row of x, ``[batch, d]``: a component, then its Gaussian."""
        log_pi, mean, log_sigma = self(x)
        k = torch.multinomial(log_pi.exp(), 1, generator=generator).flatten()
        rows = torch.arange(len(mean), device=mean.device)
        mean, sigma = mean[rows, k], log_sigma[rows, k].exp()
        noise = torch.randn(mean.shape, generator=generator, dtype=mean.dtype, device=mean.device)
        return mean + sigma * noise

    def _checked(self, name: str, points: Tensor, width: int) -> Tensor:
        dtype = next(self.parameters()).dtype
        if points.ndim != 2 or points.shape[1] != width or points.dtype != dtype:
            raise ValueError(
                f"Expected {name} of shape (batch, {width}) and of the weights' {dtype}, "
                f"got {tuple(points.shape)} of {points.dtype}."
            )
        if not points.isfinite().all():
            bad = int((~points.isfinite()).any(1).sum())
            raise ValueError(f"{bad} of {len(points)} rows of {name} are NaN or infinite.")
        return points
