"""Neural variational inference and learning: codes of zeros and ones.

No path leads a gradient through a binary draw. The score function does:
∇_φ L = E_q [(log p(x, z) − log q(z | x) − b) ∇_φ log q(z | x)], for any b that z does not move.
"""

import torch
from torch import Generator, Tensor, nn
from torch.distributions import Bernoulli, Independent
from torch.distributions.kl import kl_divergence

from genlab.models import catalogued
from genlab.variational.vae import VAE

__all__ = ["NVIL", "BernoulliEncoder"]


class BernoulliEncoder(nn.Module):
    """q(z | x) = Π_j Bernoulli(z_j; sigmoid(g(x)_j)).

    Args:
        net: g, from ``[batch, d]`` to logits ``[batch, latent]``.
    """

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Independent:
        return Independent(Bernoulli(logits=self.net(x), validate_args=False), 1)


@catalogued(chapter="variational", source="Mnih and Gregor 2014")
class NVIL(VAE):
    """A belief net of Bernoulli units, z ~ Bernoulli(π), x ~ p(x | z), trained by the score.

    From the learning signal log p(x, z) − log q(z | x) two baselines are taken: the centre c, its
    running mean, and B(x), which a network learns by least squares. Both leave the mean of the
    gradient and lower its variance. (The paper also divides by the signal's deviation, which
    changes the mean; the optimisers that adapt their step make up for it.) Train it by
    ``fit(model, lambda m, x, g: m.loss(x, generator=g), …)``.

    Args:
        encoder: from x to q(z | x), see :class:`BernoulliEncoder`.
        decoder: from z ``[..., latent]`` to a distribution of x with event ``(d,)``.
        latent: number of units.
        baseline: B, from ``[batch, d]`` to ``[batch, 1]``; None for the centre alone.

    Attributes:
        centre: c; it moves by a fifth of the way at each loss in training mode.

    Raises:
        ValueError: as :class:`VAE`, or a baseline of another shape.

    Source: Mnih and Gregor 2014, arXiv:1402.0030, section 2.3 and algorithm 1.

    Example:
        >>> from genlab.nets import MLP
        >>> from genlab.variational import BernoulliDecoder
        >>> g = torch.Generator().manual_seed(0)
        >>> encoder = BernoulliEncoder(MLP(4, 2, generator=g))
        >>> model = NVIL(encoder, BernoulliDecoder(MLP(2, 4, generator=g)), 2)
        >>> x = model.sample(3, generator=g)
        >>> model.loss(x, generator=g).shape
        torch.Size([3])
    """

    centre: Tensor

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        latent: int,
        baseline: nn.Module | None = None,
    ) -> None:
        super().__init__(encoder, decoder, latent)
        self.baseline = baseline
        self.prior_logits = nn.Parameter(next(self.parameters()).new_zeros(latent))
        self.register_buffer("centre", self.prior_logits.new_zeros(()))

    def prior(self) -> Independent:
        """p(z), independent units with their learnt probabilities."""
        return Independent(Bernoulli(logits=self.prior_logits, validate_args=False), 1)

    @torch.no_grad()
    def elbo(
        self, x: Tensor, n: int = 1, *, beta: float = 1.0, generator: Generator | None = None
    ) -> Tensor:
        """As for the VAE, and without a gradient: what would reach q is not the bound's."""
        return super().elbo(x, n, beta=beta, generator=generator)

    def loss(self, x: Tensor, *, generator: Generator | None = None) -> Tensor:
        """What to minimise, ``[batch]``: its gradient, not its value, is the estimate.

        −log p(x, z) − (signal − B(x) − c) log q(z | x) + (signal − B(x) − c)², with z ~ q; the
        second term's factor moves nothing but q, the third nothing but B.
        """
        x = self._checked(x)
        q = self._encode(x)
        z = self._draw(q, None, generator)
        log_joint = self._decode(z).log_prob(x) + self.prior().log_prob(z)
        log_q = q.log_prob(z)
        signal = (log_joint - log_q).detach()
        rest = signal - self._baseline(x) - self.centre
        if self.training:  # after use: a centre that knows this draw would bias the gradient
            self.centre += 0.2 * (rest.detach().mean())
        return rest**2 - log_joint - rest.detach() * log_q

    def _baseline(self, x: Tensor) -> Tensor:
        if self.baseline is None:
            return x.new_zeros(len(x))
        value = self.baseline(x)
        if value.shape != (len(x), 1):
            raise ValueError(
                f"Expected from the baseline one value a row, shape ({len(x)}, 1), got "
                f"{tuple(value.shape)}."
            )
        return value[:, 0]

    def _kl(self, q: Independent) -> Tensor:
        # torch's divergence of Bernoullis does not broadcast.
        return kl_divergence(q, self.prior().expand(q.batch_shape))

    def _draw(self, q: Independent, n: int | None, generator: Generator | None) -> Tensor:
        chance = q.mean.detach()
        draws = chance if n is None else chance.expand(n, *chance.shape)
        return torch.bernoulli(draws, generator=generator)
