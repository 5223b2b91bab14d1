"""The importance-weighted GAN: the generator listens most to those of its draws that look real.

In a bound with k draws each counts by its share of the importance weights. A discriminator knows
them: q^r(y | x)/q(y | x) at y = 0 is D/(1 − D) = e^a, at the best D the ratio p_data/p_g.
"""

from torch import Tensor

from genlab.em.kmeans import count
from genlab.gans import generator_loss

__all__ = ["weighted_generator_loss"]


def weighted_generator_loss(fake: Tensor, k: int, kind: str = "non-saturating") -> Tensor:
    """The generator's loss with each draw weighted by e^a within its group of k.

    ::

        Σᵢ w̃ᵢ ℓ(aᵢ),   w̃ = softmax(a₁, …, a_k), held fixed

    With k = 1 it is the plain loss. As k grows its gradient tends to that of another loss, since
    e^a d(−log D) = d log(1 − D) and e^a d(−a) = −d e^a:

    ====================  ==================  ===================================
    loss, best D          k = 1 descends      k → ∞ descends
    ====================  ==================  ===================================
    non-saturating        2 KL(m‖p_data)      2 JSD(p_data, p_g), as the zero-sum
    linear                KL(p_g‖p_data)      KL(p_data‖p_g), as maximum likelihood
    ====================  ==================  ===================================

    The limits hold for the steps of the draws themselves, x = G(z): the weights are constants.

    Args:
        fake: logits at draws of the generator ``[n]``; n in groups of k, in their order.
        k: 1 or more.
        kind: as in :func:`genlab.gans.generator_loss`.

    Returns:
        ``[n]``, whose mean over a group is its weighted loss.

    Raises:
        ValueError: n that is no multiple of k, or what :func:`genlab.gans.generator_loss` raises.

    Source: Hu et al. 2018, arXiv:1706.00550; Burda et al. 2016, arXiv:1509.00519.

    Example: of two draws the one that looks real has nearly all the weight.
        >>> import torch
        >>> a = torch.tensor([-3.0, 0.0], requires_grad=True)
        >>> weighted_generator_loss(a, 2).mean().backward()
        >>> a.grad
        tensor([-0.0452, -0.4763])
    """
    loss = generator_loss(fake, kind)
    if len(fake) % count(k, "k"):
        raise ValueError(f"Expected draws in groups of {k}, got {len(fake)}.")
    return loss * k * fake.detach().reshape(-1, k).softmax(1).flatten()
