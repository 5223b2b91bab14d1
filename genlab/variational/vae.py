"""The variational autoencoder: a network as likelihood, another as approximate posterior.

log p(x) ≥ E_q log p(x | z) − KL(q(z | x) ‖ p(z)) with p(z) = N(0, I) and a normal q(z | x).
"""

import math
from typing import NamedTuple

import torch
from torch import Generator, Tensor, nn
from torch.distributions import Distribution, Independent, Normal

from genlab.em.kmeans import count
from genlab.models import catalogued, query_points, sample_size
from genlab.nets import weights_from
from genlab.variational.bounds import importance_bound
from genlab.variational.coders import check_shape, check_support, rsample

__all__ = ["IWAE", "VAE", "Terms", "negative_elbo"]


class Terms(NamedTuple):
    """The two terms of the bound, each ``[batch]`` in nats: elbo = log_likelihood − kl.

    −log_likelihood is the distortion of the code, kl its rate.
    """

    log_likelihood: Tensor
    kl: Tensor


@catalogued(chapter="variational", source="Kingma and Welling 2014; Rezende et al. 2014")
class VAE(nn.Module):
    """Variational autoencoder: z ~ N(0, I), x ~ p(x | z), and q(z | x) to learn it with.

    Args:
        encoder: from x ``[batch, d]`` to q(z | x), ``Independent(Normal, 1)``, event ``(latent,)``.
        decoder: from z ``[..., latent]`` to a distribution of x with event ``(d,)``.
        latent: length of z.

    Raises:
        ValueError: a latent size below 1; data that are not finite, of another shape than the
            decoder's distribution, or outside its support; an encoder or decoder whose
            distribution has another shape.

    Source: Kingma and Welling 2014, arXiv:1312.6114; Rezende, Mohamed and Wierstra 2014,
        arXiv:1401.4082.

    Example:
        >>> from genlab.nets import MLP
        >>> from genlab.variational import BernoulliDecoder, GaussianEncoder
        >>> rng = torch.Generator().manual_seed(0)
        >>> encoder = GaussianEncoder(MLP(64, 2 * 2, hidden=(32,), generator=rng))
        >>> decoder = BernoulliDecoder(MLP(2, 64, hidden=(32,), generator=rng))
        >>> model = VAE(encoder, decoder, latent=2)
        >>> x = model.sample(5, generator=rng)
        >>> x.shape, model.elbo(x, generator=rng).shape
        (torch.Size([5, 64]), torch.Size([5]))
    """

    def __init__(self, encoder: nn.Module, decoder: nn.Module, latent: int) -> None:
        super().__init__()
        self.encoder, self.decoder, self.latent = encoder, decoder, count(latent, "latent")
        with torch.no_grad():
            p = decoder(next(self.parameters()).new_zeros(1, latent))
        self.event, self._like = check_shape("decoder(z)", p, (1,)), p

    def elbo(
        self, x: Tensor, n: int = 1, *, beta: float = 1.0, generator: Generator | None = None
    ) -> Tensor:
        """E_q log p(x | z) − β KL(q(z | x) ‖ p(z)) in nats, ``[batch]``: a mean over n draws.

        The divergence is exact. The expectation over the draws is at most log p(x) for β = 1, and
        lower still for β > 1; with β < 1 it bounds nothing.
        """
        log_likelihood, kl = self.terms(x, n, generator=generator)
        return torch.sub(log_likelihood, kl, alpha=beta)

    def terms(self, x: Tensor, n: int = 1, *, generator: Generator | None = None) -> Terms:
        """The mean over n draws of log p(x | z), and the exact KL(q(z | x) ‖ p(z))."""
        x, one = self._checked(x), count(n, "n") == 1
        q = self._encode(x)
        z = self._draw(q, None if one else n, generator)  # an axis of length 1 would cost time
        log_likelihood = self._decode(z).log_prob(x)
        return Terms(log_likelihood if one else log_likelihood.mean(0), self._kl(q))

    def log_weights(self, x: Tensor, k: int, *, generator: Generator | None = None) -> Tensor:
        """log p(x | z) + log p(z) − log q(z | x) at k draws from q(z | x), ``[k, batch]``."""
        x = self._checked(x)
        q = self._encode(x)
        z = self._draw(q, count(k, "k"), generator)
        return self._decode(z).log_prob(x) + self.prior().log_prob(z) - q.log_prob(z)

    @torch.no_grad()
    def log_prob_estimate(self, x: Tensor, k: int, *, generator: Generator | None = None) -> Tensor:
        """log p̂(x) with p̂(x) = (1/k) Σ_i p(x, z_i) / q(z_i | x), nats, ``[batch]``.

        p̂ is unbiased; its logarithm is low on average, and rises to log p(x) with k. It takes no
        gradient: see :class:`IWAE`.
        """
        x = self._checked(x)
        rows = max(1, 2**22 // (count(k, "k") * math.prod(self.event)))  # 16 MB a tensor
        blocks = (self.log_weights(block, k, generator=generator) for block in x.split(rows))
        return torch.cat([importance_bound(block) for block in blocks])

    @torch.no_grad()
    def sample(self, n: int, *, generator: Generator | None = None) -> Tensor:
        """z from the prior, then x from p(x | z), ``[n, *event]``; on the CPU."""
        z = self._draw(self.prior(), sample_size(n), generator)
        with weights_from(generator):  # it stands in for the global one, from which they draw
            return self._decode(z).sample()

    def prior(self) -> Independent:
        """p(z) = N(0, I), in the dtype and on the device of the weights."""
        zero = next(self.parameters()).new_zeros(self.latent)
        return Independent(Normal(zero, torch.ones_like(zero), validate_args=False), 1)

    def _kl(self, q: Independent) -> Tensor:
        # What kl_divergence(q, self.prior()) gives, in half the operations: it is in every step.
        mean, sigma = q.base_dist.loc, q.base_dist.scale
        return (0.5 * (mean**2 + sigma**2 - 1) - sigma.log()).sum(-1)

    def _draw(self, q: Independent, n: int | None, generator: Generator | None) -> Tensor:
        return rsample(q, n, generator=generator)

    def _encode(self, x: Tensor) -> Independent:
        q = self.encoder(x)
        check_shape("encoder(x)", q, (len(x),), (self.latent,))
        return q

    def _decode(self, z: Tensor) -> Distribution:
        p = self.decoder(z)
        check_shape("decoder(z)", p, tuple(z.shape[:-1]), self.event)
        return p

    def _checked(self, x: Tensor) -> Tensor:
        # The extremes tell in a fraction of the time of query_points that all is finite: this is
        # called at every step of training.
        x = torch.as_tensor(x)
        if tuple(x.shape[1:]) != self.event or x.ndim == 0 or x.numel() == 0:
            x = query_points(x, self.event)
        else:
            low, high = (float(extreme) for extreme in x.aminmax())
            if not (math.isfinite(low) and math.isfinite(high)):
                x = query_points(x, self.event)
            check_support(self._like, x, low, high)
        return x.to(next(self.parameters()).dtype)


@catalogued(chapter="variational", source="Burda, Grosse and Salakhutdinov 2016")
class IWAE(VAE):
    """Importance-weighted autoencoder: a VAE with a tighter bound.

    Args:
        encoder, decoder, latent: as in :class:`VAE`.
        k: draws in the bound.

    Raises:
        ValueError: k below 1, and what :class:`VAE` raises.

    Source: Burda, Grosse and Salakhutdinov 2016, arXiv:1509.00519, eq. 8.
    """

    def __init__(self, encoder: nn.Module, decoder: nn.Module, latent: int, k: int = 5) -> None:
        super().__init__(encoder, decoder, latent)
        self.k = count(k, "k")

    def elbo(self, x: Tensor, *, generator: Generator | None = None) -> Tensor:
        """log (1/k) Σ_i p(x, z_i) / q(z_i | x) in nats, ``[batch]``, from k draws.

        Its expectation rises with k to log p(x). With k = 1 it is the bound of the VAE, with the
        divergence estimated by the same draw.
        """
        return importance_bound(self.log_weights(x, self.k, generator=generator))


def negative_elbo(model: nn.Module, x: Tensor, generator: Generator | None = None) -> Tensor:
    """−elbo(x), ``[batch]``: what :func:`genlab.train.fit` minimises."""
    return -model.elbo(x, generator=generator)
