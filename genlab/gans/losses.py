"""The losses of the two players, one value per example, each sign in one place.

D's last number is a logit a, so that D = σ(a), log D = log σ(a) and log(1 − D) = log σ(−a); nothing
overflows. What a critic maximises is minimised here with a minus before it. Nats; no factors ½, so
that a penalty weighs the same beside every loss.
"""

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid, relu

from genlab.divergences import FDivergence, variational_terms
from genlab.divergences.f import named

__all__ = [
    "critic_loss",
    "discriminator_loss",
    "f_critic_loss",
    "f_generator_loss",
    "generator_loss",
    "hinge_loss",
    "into_domain",
]

GENERATOR_LOSSES = {
    "non-saturating": lambda a: -logsigmoid(a),  # −log D
    "saturating": lambda a: logsigmoid(-a),  # log(1 − D)
    "linear": lambda a: -a,  # −log D/(1 − D) of a discriminator, −D of a critic
}


def discriminator_loss(
    real: Tensor, fake: Tensor, *, smooth: float = 0.0, smooth_fake: float = 0.0
) -> Tensor:
    """−log D(x) − log(1 − D(G(z))) for each pair of a real and a fake example.

    Its mean is −V(D, G); where D = ½ it is log 4. The cross-entropy of the 2n labelled examples,
    the lectures' J^(D), is half of it.

    Args:
        real, fake: logits of D, ``[n]`` each.
        smooth: α, which makes the target of real examples 1 − α (one-sided smoothing). It adds
            α·a: a large logit costs.
        smooth_fake: β, the target of fake examples. Leave it 0: with β > 0 the best D is
            ((1 − α) p_data + β p_g)/(p_data + p_g), which is high where p_g is, and G is told to
            stay where it is wrong. It is here to show that.

    Returns:
        ``[n]``, nats.

    Raises:
        ValueError: logits of another shape, or a smoothing outside [0, 1).

    Source: Goodfellow et al. 2014, arXiv:1406.2661; Salimans et al. 2016, arXiv:1606.03498,
        section 3.4 (smoothing).

    Example:
        >>> discriminator_loss(torch.tensor([0.0, 2.0]), torch.tensor([0.0, -1.0]))
        tensor([1.3863, 0.4402])
        >>> discriminator_loss(torch.tensor([2.0]), torch.tensor([-1.0]), smooth=0.1)
        tensor([0.6402])
    """
    _pairs(real, fake)
    for name, share in (("smooth", smooth), ("smooth_fake", smooth_fake)):
        if not 0 <= share < 1:
            raise ValueError(
                f"Expected {name} in [0, 1), the share taken off a target, got {share}. "
                "Targets of 0.9 for real examples are smooth=0.1."
            )
    loss = -logsigmoid(real) - logsigmoid(-fake)
    if smooth:
        loss = loss + smooth * real
    if smooth_fake:
        loss = loss - smooth_fake * fake
    return loss


def generator_loss(fake: Tensor, kind: str = "non-saturating") -> Tensor:
    """What the generator pays for each of its draws, from D's logits.

    ::

        saturating      log(1 − D(G(z)))    the zero-sum game; slope −σ(a), which dies where D wins
        non-saturating  −log D(G(z))        slope −σ(−a), near −1 where D wins
        linear          −a                  with the hinge loss and the Wasserstein critic

    Args:
        fake: logits of D at draws of the generator, ``[n]``.
        kind: one of the three.

    Returns:
        ``[n]``, nats.

    Raises:
        ValueError: logits of another shape, or another kind.

    Source: Goodfellow et al. 2014, section 3.

    Example: the two slopes where D is sure that the draw is fake.
        >>> a = torch.tensor([-10.0], requires_grad=True)
        >>> for kind in ("saturating", "non-saturating"):
        ...     (slope,) = torch.autograd.grad(generator_loss(a, kind).sum(), a)
        ...     print(f"{kind}: {slope.item():.1e}")
        saturating: -4.5e-05
        non-saturating: -1.0e+00
    """
    _logits("fake", fake)
    if kind not in GENERATOR_LOSSES:
        raise ValueError(
            f"Expected a kind among {', '.join(map(repr, GENERATOR_LOSSES))}, got {kind!r}."
        )
    return GENERATOR_LOSSES[kind](fake)


def hinge_loss(real: Tensor, fake: Tensor) -> Tensor:
    """max(0, 1 − D(x)) + max(0, 1 + D(G(z))): D is paid for no more than a margin of 1.

    Args, Returns, Raises: as in :func:`critic_loss`.

    Source: Lim & Ye 2017, arXiv:1705.02894; Miyato et al. 2018, arXiv:1802.05957, eq. 16.

    Example:
        >>> hinge_loss(torch.tensor([0.0, 2.0]), torch.tensor([0.0, -0.5]))
        tensor([2.0000, 0.5000])
    """
    _pairs(real, fake)
    return relu(1 - real) + relu(1 + fake)


def critic_loss(real: Tensor, fake: Tensor) -> Tensor:
    """D(G(z)) − D(x), for a critic whose Lipschitz constant something else keeps at K.

    Minus its least mean is K·W₁(p_data, p_g). Without a bound on the constant there is no least.

    Args:
        real, fake: values of D, ``[n]`` each.

    Returns:
        ``[n]``.

    Raises:
        ValueError: values of another shape.

    Source: Arjovsky, Chintala & Bottou 2017, arXiv:1701.07875, eq. 3.

    Example:
        >>> critic_loss(torch.tensor([2.0, 3.0]), torch.tensor([0.0, 0.5]))
        tensor([-2.0000, -2.5000])
    """
    _pairs(real, fake)
    return fake - real


def into_domain(divergence: str | FDivergence, raw: Tensor) -> Tensor:
    """A network's last number mapped into the domain of f*: the output activation of an f-GAN.

    T = t₁ + log σ(raw), below the domain's end t₁, and T = raw where it has none. For ``"gan"`` t₁
    is 0, and the raw number is the logit of D.

    Args:
        divergence: a name in ``F_DIVERGENCES``, or your own.
        raw: ``[n]``.

    Raises:
        ValueError: an unknown name.

    Source: Nowozin, Cseke & Tomioka 2016, arXiv:1606.00709, table 2 (there one map a divergence).

    Example:
        >>> into_domain("squared hellinger", torch.tensor([0.0, 50.0]))
        tensor([0.3069, 1.0000])
        >>> into_domain("kl", torch.tensor([0.0, 50.0]))
        tensor([ 0., 50.])
    """
    top = named(divergence).domain[1]
    return raw if top == torch.inf else top + logsigmoid(raw)


def f_critic_loss(divergence: str | FDivergence, real: Tensor, fake: Tensor) -> Tensor:
    """f*(T(G(z))) − T(x): minus its mean is a lower bound of D_f(p_data‖p_g).

    Args:
        divergence: a name in ``F_DIVERGENCES``, or your own.
        real, fake: values of the critic in the domain of f*, as :func:`into_domain` gives them,
            ``[n]`` each.

    Returns:
        ``[n]``.

    Raises:
        ValueError: values of another shape, or outside the domain.

    Source: Nguyen, Wainwright & Jordan 2010, arXiv:0809.0853; Nowozin et al. 2016, eq. 6.

    Example: with ``"gan"`` it is the discriminator's loss.
        >>> a, b = torch.tensor([0.0, 2.0]), torch.tensor([0.0, -1.0])
        >>> f_critic_loss("gan", into_domain("gan", a), into_domain("gan", b))
        tensor([1.3863, 0.4402])
    """
    _pairs(real, fake)
    gain, conjugate = variational_terms(divergence, real, fake)
    return conjugate - gain


def f_generator_loss(divergence: str | FDivergence, fake: Tensor) -> Tensor:
    """−f*(T(G(z))), the generator's part of the bound.

    With ``"gan"`` it is the saturating loss. In practice one takes −T(G(z)) in its place, the
    ``"linear"`` one.

    Args, Returns, Raises: as in :func:`f_critic_loss`.

    Example:
        >>> a = torch.tensor([0.0, -1.0])
        >>> f_generator_loss("gan", into_domain("gan", a)), generator_loss(a, "saturating")
        (tensor([-0.6931, -0.3133]), tensor([-0.6931, -0.3133]))
    """
    return -variational_terms(divergence, fake, fake)[1]


def _logits(name: str, values: Tensor) -> None:
    if values.ndim != 1 or not values.is_floating_point():
        raise ValueError(
            f"Expected {name} as one number per example, shape (n,), got {values.dtype} of shape "
            f"{tuple(values.shape)}. A last layer of one unit gives (n, 1): take [:, 0]."
        )


def _pairs(real: Tensor, fake: Tensor) -> None:
    _logits("real", real)
    _logits("fake", fake)
    if len(real) != len(fake):
        raise ValueError(
            f"Expected as many fake examples as real ones, got {len(real)} real and {len(fake)} "
            "fake: a batch of each size makes the two means weigh the same."
        )
