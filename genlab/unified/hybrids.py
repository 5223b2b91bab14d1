"""Two hybrids of VAE and GAN: an adversary for the code, and an adversary for the image.

The adversarial autoencoder asks D whether a code came from the prior or from the encoder: D's game
stands where the KL to the prior was. The VAE–GAN keeps that KL, and asks D about x: what D's last
hidden layer sees of an image says how well it is reconstructed.
"""

import torch
from torch import Tensor, nn
from torch.distributions import Independent, Normal, kl_divergence
from torch.func import functional_call

from genlab.data.checks import positive
from genlab.gans import Discriminator, discriminator_loss, generator_loss
from genlab.models import as_rows, catalogued, sample_size
from genlab.variational import GaussianEncoder, rsample

__all__ = ["VAEGAN", "AdversarialAutoencoder", "aae_game", "mmd", "vaegan_game"]


@catalogued(chapter="unified", source="Makhzani et al. 2015")
class AdversarialAutoencoder(nn.Module):
    """An encoder, a decoder, and a discriminator of codes: q(z) is driven to N(0, I).

    At the game's equilibrium the aggregate q(z) = E_data q(z | x) is the prior, not each q(z | x):
    a code may say all about its x. So no KL of a single posterior is needed, nor its density.

    Args:
        encoder: from x ``[batch, d]`` to z ``[batch, latent]``.
        decoder: from z to x.
        D: from z to logits ``[batch]``; "real" is a draw of the prior.
        latent: length of z.

    Source: Makhzani et al. 2015, arXiv:1511.05644, section 2.

    Example:
        >>> from genlab.nets import MLP
        >>> rng = torch.Generator().manual_seed(0)
        >>> nets = MLP(3, 2, generator=rng), MLP(2, 3, generator=rng), MLP(2, 1, generator=rng)
        >>> model = AdversarialAutoencoder(*nets[:2], Discriminator(nets[2]), latent=2)
        >>> model.sample(5, generator=rng).shape, aae_game(model, torch.ones(4, 3), rng).shape
        (torch.Size([5, 3]), torch.Size([4]))
    """

    def __init__(self, encoder: nn.Module, decoder: nn.Module, D: Discriminator, latent: int):
        super().__init__()
        self.encoder, self.decoder, self.D, self.latent = encoder, decoder, D, latent

    @torch.no_grad()
    def sample(self, n: int, *, generator: torch.Generator | None = None) -> Tensor:
        """The decoder at n draws of the prior, ``[n, d]``."""
        like = next(self.parameters())
        z = torch.randn(sample_size(n), self.latent, generator=generator, dtype=like.dtype)
        return self.decoder(z.to(like))


def aae_game(
    model: AdversarialAutoencoder, x: Tensor, generator: torch.Generator | None = None
) -> Tensor:
    """The objective of :func:`genlab.train.fit`: each of its slopes is that of one player's loss.

    ½‖x − decoder(encoder(x))‖² and −log D(encoder(x)), with D held still, for encoder and decoder;
    D's loss, at codes held still, for D.

    Returns:
        ``[batch]``; no sum that goes down: one player's gain is the other's loss.

    Source: Makhzani et al. 2015, section 2, there by turns.
    """
    z = model.encoder(x)
    prior = torch.randn(z.shape, generator=generator, dtype=z.dtype, device=z.device)
    error = (x - model.decoder(z)).square().sum(1) / 2
    d = discriminator_loss(model.D(prior), model.D(z.detach()))
    return error + generator_loss(_still(model.D, z)) + d


@catalogued(chapter="unified", source="Larsen et al. 2016")
class VAEGAN(nn.Module):
    """A VAE whose likelihood is measured by a discriminator's features, and trained against it.

    ``log p(f(x) | z) = log N(f(x); f(decoder(z)), I)`` with f the features of D. f is D's
    to learn, not the VAE's: else f = 0 would be perfect.

    Args:
        encoder: from x to q(z | x), a :class:`genlab.variational.GaussianEncoder`.
        decoder: from z ``[batch, latent]`` to x ``[batch, d]``.
        features: f, from x ``[batch, d]`` to ``[batch, h]``.
        head: from f to one logit, ``[batch, 1]``: D(x) = σ(head(f(x))).
        latent: length of z.

    Source: Larsen et al. 2016, arXiv:1512.09300.

    Example:
        >>> from genlab.nets import MLP
        >>> rng = torch.Generator().manual_seed(0)
        >>> encoder = GaussianEncoder(MLP(3, 4, generator=rng))
        >>> f, head = MLP(3, 8, generator=rng), MLP(8, 1, (), generator=rng)
        >>> model = VAEGAN(encoder, MLP(2, 3, generator=rng), f, head, latent=2)
        >>> model.sample(5, generator=rng).shape, vaegan_game(model, torch.ones(4, 3), rng).shape
        (torch.Size([5, 3]), torch.Size([4]))
    """

    def __init__(
        self,
        encoder: GaussianEncoder,
        decoder: nn.Module,
        features: nn.Module,
        head: nn.Module,
        latent: int,
    ) -> None:
        super().__init__()
        self.encoder, self.decoder, self.latent = encoder, decoder, latent
        self.features, self.D = features, Discriminator(nn.Sequential(features, head))

    sample = AdversarialAutoencoder.sample


def vaegan_game(
    model: VAEGAN, x: Tensor, generator: torch.Generator | None = None, *, gamma: float = 1e-2
) -> Tensor:
    """The objective of :func:`genlab.train.fit`: each of its slopes is that of one player's loss.

    ::

        encoder  KL(q(z | x)‖p(z)) + ½‖f(x) − f(x̃)‖²
        decoder  γ ½‖f(x) − f(x̃)‖² − log D(x̃) − log D(G(z))
        D        −2 log D(x) − log(1 − D(x̃)) − log(1 − D(G(z)))

    with x̃ the reconstruction and z from the prior. Held still: D for the first two, x̃ and G(z) for
    D, and what γ does not touch for the encoder.

    Args:
        gamma: weight of the reconstruction in the decoder's loss.

    Source: Larsen et al. 2016, arXiv:1512.09300, algorithm 1.
    """
    positive(gamma, "gamma")
    q = model.encoder(x)
    z = rsample(q, generator=generator)
    prior = torch.randn(z.shape, generator=generator, dtype=z.dtype, device=z.device)
    standard = Independent(Normal(torch.zeros_like(z), torch.ones_like(z)), 1)

    def error(recovered: Tensor) -> Tensor:
        f = _still(model.features, x).detach()
        return (f - _still(model.features, recovered)).square().sum(1) / 2

    of_encoder = kl_divergence(q, standard) + error(_still(model.decoder, z))
    recovered, drawn = model.decoder(z.detach()), model.decoder(prior)
    of_decoder = gamma * error(recovered)
    of_d = 0.0
    for fake in (recovered, drawn):
        of_decoder = of_decoder + generator_loss(_still(model.D, fake))
        of_d = of_d + discriminator_loss(model.D(x), model.D(fake.detach()))
    return of_encoder + of_decoder + of_d


def mmd(x: Tensor, y: Tensor, bandwidth: float = 1.0) -> float:
    """Squared maximum mean discrepancy of two samples, without bias, so it may be negative.

    MMD² = E k(x, x′) + E k(y, y′) − 2 E k(x, y) with k = exp(−‖x − y‖²/(2h²)); no x with itself.

    Args:
        x, y: ``[n, d]`` and ``[m, d]``, two draws or more each.
        bandwidth: h.

    Raises:
        ValueError: other shapes, fewer draws, or h that is not positive.

    Source: Gretton et al. 2012, JMLR 13, 723, eq. 3.

    Example: two laws that never meet.
        >>> mmd(torch.zeros(3, 1), torch.full((3, 1), 50.0))
        2.0
    """
    positive(bandwidth, "bandwidth")
    x, y = as_rows(x).double(), as_rows(y).double()
    if min(len(x), len(y)) < 2 or x.shape[1] != y.shape[1]:
        raise ValueError(
            "Expected two draws or more of both laws, rows of one length, got shapes "
            f"{tuple(x.shape)} and {tuple(y.shape)}."
        )

    def closeness(a: Tensor, b: Tensor) -> Tensor:
        return torch.exp(-torch.cdist(a, b).square() / (2 * bandwidth**2))

    def within(a: Tensor) -> Tensor:
        k = closeness(a, a)
        return (k.sum() - k.diagonal().sum()) / (len(a) * (len(a) - 1))

    return float(within(x) + within(y) - 2 * closeness(x, y).mean())


def _still(net: nn.Module, x: Tensor) -> Tensor:
    """net(x) with its weights held fixed: the slope passes to x alone."""
    fixed = {name: weight.detach() for name, weight in net.named_parameters()}
    return functional_call(net, fixed, (x,))
