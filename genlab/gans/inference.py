"""What was a draw made of? A code that can be read off (InfoGAN), and an encoder (BiGAN, ALI).

A generator alone answers no question about a given x. Two games make it answer: in one, a few
numbers of the noise must stay legible in x; in the other, D is asked about pairs (x, z).
"""

import torch
from torch import Tensor, nn
from torch.distributions import Distribution
from torch.func import functional_call

from genlab.gans.losses import discriminator_loss
from genlab.gans.networks import Generator
from genlab.models import catalogued

__all__ = ["BiGAN", "bigan_game", "information_bound"]


def information_bound(q: Distribution, c: Tensor, prior: Distribution) -> Tensor:
    """log q(c | x) − log p(c): its mean over c ~ p and x = G(z, c) is at most I(c; x).

    ::

        I(c; x) = E[log q(c | x) − log p(c)] + E KL(p(c | x) ‖ q(c | x))

    so it is I(c; x) where q is the posterior. InfoGAN adds −λ times it to the generator's loss,
    and trains q, a network that sees x, with it: the code then shows in the draw. At the largest
    value, I = H(c), every code can be read off its draw.

    Args:
        q: q(c | x) for each draw, batch shape ``[batch]``.
        c: the codes from which the draws were made, ``[batch, *event]``.
        prior: p(c), batch shape ``[]``.

    Returns:
        ``[batch]``, nats.

    Raises:
        ValueError: a q that gives another shape than one value for each code.

    Source: Chen et al. 2016, arXiv:1606.03657, eq. 4; Barber and Agakov 2003.

    Example: a fair bit that is read off with certainty 0.9.
        >>> from torch.distributions import Categorical
        >>> q = Categorical(torch.tensor([[0.9, 0.1], [0.1, 0.9]]))
        >>> fair = Categorical(torch.tensor([0.5, 0.5]))
        >>> information_bound(q, torch.tensor([0, 1]), fair)
        tensor([0.5878, 0.5878])
    """
    bound = q.log_prob(c) - prior.log_prob(c)
    if bound.shape != (len(c),):
        raise ValueError(
            f"Expected one value for each of the {len(c)} codes, got shape {tuple(bound.shape)}. "
            "Independent(q, 1) makes a code of its last axis."
        )
    return bound


@catalogued(chapter="gans", source="Donahue et al. 2017; Dumoulin et al. 2017")
class BiGAN(nn.Module):
    """A generator G, an encoder E, and a discriminator of the pairs (x, E(x)) and (G(z), z).

    With the best D the value of the game is 2 JS(p(x, E(x)), p(G(z), z)) − log 4. At its least both
    pairs have one law; then x = G(z) and z = E(x) hold together, and E(G(z)) = z almost surely.

    Args:
        G: a generator of vectors from vectors.
        E: from x ``[batch, d]`` to z ``[batch, latent]``. One that adds noise of its own, so that
            z ~ q(z | x), makes it ALI.
        D: from (x, z) side by side, ``[batch, d + latent]``, to logits ``[batch]``.

    Source: Donahue, Krähenbühl and Darrell 2017, arXiv:1605.09782, theorems 1 and 2; Dumoulin et
        al. 2017, arXiv:1606.00704.

    Example:
        >>> from genlab.flows import StandardNormal
        >>> from genlab.gans.networks import Discriminator
        >>> from genlab.nets import MLP
        >>> rng = torch.Generator().manual_seed(0)
        >>> G = Generator(StandardNormal((1,)), MLP(1, 2, (16,), generator=rng))
        >>> E, D = MLP(2, 1, (16,), generator=rng), Discriminator(MLP(3, 1, (16,), generator=rng))
        >>> model = BiGAN(G, E, D)
        >>> x = model.sample(4, generator=rng)
        >>> x.shape, model.infer(x).shape
        (torch.Size([4, 2]), torch.Size([4, 1]))
    """

    def __init__(self, G: Generator, E: nn.Module, D: nn.Module) -> None:
        super().__init__()
        self.G, self.E, self.D = G, E, D

    def pairs(self, x: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
        """(x, E(x)) and (G(z), z), each side by side, ``[batch, d + latent]``."""
        return torch.cat([x, self.E(x)], 1), torch.cat([self.G(z), z], 1)

    @torch.no_grad()
    def infer(self, x: Tensor) -> Tensor:
        """E(x), ``[batch, latent]``: the noise from which x would be drawn."""
        return self.E(x)

    def sample(self, n: int, *, generator: torch.Generator | None = None) -> Tensor:
        """G of n draws of z, ``[n, d]``."""
        return self.G.sample(n, generator=generator)


def bigan_game(model: BiGAN, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """The objective of :func:`genlab.train.fit`: each of its slopes is that of one player's loss.

    It is the sum of D's loss at pairs that are held fixed, and of the same loss with the labels
    exchanged and D held fixed: −log(1 − D(x, E(x))) − log D(G(z), z), which G and E pay. So one
    optimizer moves all players at once, each by its own loss.

    Args:
        model: the three players.
        x: data ``[batch, d]``.
        generator: source of z.

    Returns:
        ``[batch]``, nats.

    Source: Donahue, Krähenbühl and Darrell 2017, section 3.4, where the players move at once too.

    Example: x = 3 + 2z, and E has to find z.
        >>> from functools import partial
        >>> from genlab.flows import StandardNormal
        >>> from genlab.gans.networks import Discriminator
        >>> from genlab.nets import MLP
        >>> from genlab.train import fit
        >>> rng = torch.Generator().manual_seed(0)
        >>> x = 3 + 2 * torch.randn(500, 1, generator=rng)
        >>> G = Generator(StandardNormal((1,)), MLP(1, 1, (), generator=rng))
        >>> E, D = MLP(1, 1, (), generator=rng), Discriminator(MLP(2, 1, (32,), generator=rng))
        >>> adam = partial(torch.optim.Adam, betas=(0.5, 0.999))
        >>> fit(BiGAN(G, E, D), bigan_game, x, steps=5, optimizer=adam, generator=rng)
        History(5 steps, last loss 2.97)
    """
    real, fake = model.pairs(x, model.G.draw(len(x), generator=generator))
    d = discriminator_loss(model.D(real.detach()), model.D(fake.detach()))
    still = {name: weight.detach() for name, weight in model.D.named_parameters()}
    real, fake = (functional_call(model.D, still, (pair,)) for pair in (real, fake))
    return d + discriminator_loss(fake, real)
