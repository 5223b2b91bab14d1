"""Wake–sleep, the VAE and the GAN as one table: what each step minimises, and which KL that is.

A model draws from the top, an inference net answers from the bottom. In the VAE the code z is
latent and x is seen. In the GAN the label y is seen, x is what is inferred, and the generator is
the inference net. Every row is computed: its loss, its divergence, and how far their slopes differ.
"""

from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from genlab import em
from genlab.divergences import probabilities
from genlab.unified.game import gan_losses
from genlab.unified.lemmas import lemma_gan
from genlab.unified.notation import log_q_reversed, on_finite
from genlab.variational import HelmholtzMachine

__all__ = ["Step", "as_machine", "correspondence", "generator_bound"]


class Step(NamedTuple):
    """A row of :func:`correspondence`.

    Attributes:
        method, moves: whose step, and of which weights.
        draws: the law under which it takes means.
        loss: what it minimises, nats.
        divergence: what that is, in words; and its value, nats.
        mismatch: the largest difference of a slope of the loss and of the divergence.
    """

    method: str
    moves: str
    draws: str
    loss: float
    divergence: str
    value: float
    mismatch: float


def correspondence(
    machine: HelmholtzMachine, data: Tensor, generator: Tensor, logit: Tensor
) -> list[Step]:
    """The six steps of three methods on finite sets: each with its loss and its divergence.

    The VAE's two steps share one objective. Wake is the first of them; sleep turns the KL round and
    draws from the model. The discriminator's step is sleep with y for a code. The generator's is
    the VAE's E step with x for a code, without the KL to the prior p_θ0(x), and with q^r for q.

    Args:
        machine: a model with codes, and its encoder.
        data: p_data ``[X]``, positive.
        generator: logits of p_g ``[X]``.
        logit: of any discriminator ``[X]``.

    Raises:
        ValueError: tables that do not fit.

    Source: Hu et al. 2018, arXiv:1706.00550; Hinton et al. 1995.

    Example:
        >>> half = torch.full((2,), 0.5, dtype=torch.float64)
        >>> machine = HelmholtzMachine(half, torch.eye(2).double(), torch.eye(2).double())
        >>> rows = correspondence(machine, half, torch.eye(2)[0].double(), 0 * half)
        >>> [(row.method, row.moves, row.mismatch < 1e-12) for row in rows]
        [('VAE', 'θ', True), ('VAE', 'φ', True), ('wake', 'θ', True), ('sleep', 'φ', True),
         ('GAN', 'φ', True), ('GAN', 'θ', True)]
    """
    (data,) = probabilities(data)
    if data.shape != machine.encoder.shape[:1] or not (data > 0).all():
        raise ValueError(
            f"Expected p_data > 0 over the {len(machine.encoder)} observations of the machine, got "
            f"shape {tuple(data.shape)} with {int((data == 0).sum())} zeros."
        )
    theta, phi, g, a = (
        table.detach().double().requires_grad_()
        for table in (machine.decoder, machine.encoder, generator, logit)
    )
    machine = replace(machine, prior=machine.prior.double(), decoder=theta, encoder=phi)
    data = data.double()
    log_model, log_z = machine.log_joint, machine.log_q
    log_x = log_model.logsumexp(1)
    inferred = data[:, None] * log_z.exp()
    # Row by row: what is drawn is detached where a step does not move it.
    bound = (inferred * (log_z - log_model)).sum()
    joint_kl = (inferred * (data.log()[:, None] + log_z - log_model)).sum()
    dreams = log_model.detach().exp()
    posterior = (log_model - log_x[:, None]).detach()
    x = on_finite(g.softmax(0), data)
    dreamt = on_finite(g.detach().softmax(0), data)
    label = em.posterior((dreamt.log_x + dreamt.prior.log()[:, None]).T)
    log_label = torch.stack([-a, 0 * a], 1).log_softmax(1)
    marginal = dreamt.log_marginal.exp()
    lemma = lemma_gan(x, dreamt, a)
    wake = -(inferred.detach() * log_model).sum()
    seen, joint = "data, q(z|x)", "KL(p_data q(z|x) ‖ p(x,z))"
    rows = [
        ("VAE", "θ", seen, bound, joint, joint_kl, theta),
        ("VAE", "φ", seen, bound, joint, joint_kl, phi),
        ("wake", "θ", seen, wake, joint, joint_kl, theta),
        (
            "sleep",
            "φ",
            "model p(x,z)",
            -(dreams * log_z).sum(),
            "E KL(p(z|x) ‖ q(z|x))",
            (dreams * (posterior - log_z)).sum(),
            phi,
        ),
        (
            "GAN",
            "φ",
            "model p(x|y)p(y)",
            -gan_losses(dreamt, a).phi,
            "E KL(p(y|x) ‖ q(y|x))",
            (marginal[:, None] * (torch.xlogy(label, label) - label * log_label)).sum(),
            a,
        ),
        (
            "GAN",
            "θ",
            "model p(x|y)p(y)",
            lemma.loss,
            "E KL(p(x|y) ‖ q^r(x|y)) − JSD",
            lemma.kl - lemma.js,
            g,
        ),
    ]
    return [
        Step(*words, float(loss.detach()), name, float(value.detach()), _mismatch(loss, value, w))
        for *words, loss, name, value, w in rows
    ]


def as_machine(generator: Tensor, data: Tensor, logit: Tensor) -> HelmholtzMachine:
    """The GAN as a Helmholtz machine whose code is y: p(y) = ½, p(x | y), and q(y | x).

    Its sleep step is the discriminator's step. It has no wake step: y is seen, and the decoder's
    row y = 1 is the data's, which nothing moves.

    Args:
        generator: logits of p_g ``[X]``.
        data: p_data ``[X]``, positive.
        logit: of the discriminator ``[X]``.

    Source: Hu et al. 2018, arXiv:1706.00550.

    Example: at the best logit, log p_data/p_g, sleep has nothing to learn.
        >>> from genlab.variational import sleep
        >>> g, data = torch.tensor([0.5, 0.5]), torch.tensor([0.1, 0.9])
        >>> sleep(as_machine(g.log(), data, (data / g).log())).gradient.abs().max() < 1e-6
        tensor(True)
    """
    (data,) = probabilities(data)
    half = torch.full((2,), 0.5, dtype=data.dtype)
    decoder = torch.stack([generator.log_softmax(0), data.log()])
    return HelmholtzMachine(half, decoder, torch.stack([-logit / 2, logit / 2], 1))


def generator_bound(generator: Tensor, data: Tensor, logit: Tensor) -> tuple[Tensor, Tensor]:
    """The generator as an inference net of x: its evidence bound, and the part a GAN keeps.

    With y seen, x latent of prior p_θ0(x) and likelihood q^r(y | x), the bound of log Z_y is

    ::

        L_y = E_{p_θ(x | y)} log q^r(y | x) − KL(p_θ(x | y) ‖ p_θ0(x))

    and a GAN maximises the first term alone: the prior's KL is left out.

    Args:
        generator, data, logit: as in :func:`as_machine`.

    Returns:
        (L_y, its first term), ``[2]`` each, at θ = θ0, the generator's y = 0 first.

    Example: at the best logit log Z_0 = log ½, and L_0 is below it by KL(p_g ‖ p_data).
        >>> g, data = torch.tensor([0.5, 0.5]), torch.tensor([0.1, 0.9])
        >>> generator_bound(g.log(), data, (data / g).log())[0][0] - torch.tensor(0.5).log()
        tensor(-0.5108)
    """
    x = on_finite(generator.softmax(0), data)
    log_likelihood = log_q_reversed(logit)
    p = x.log_x.exp()
    bound = em.elbo(log_likelihood + x.log_marginal.detach(), p)
    return bound, torch.where(p > 0, p * log_likelihood, 0.0).sum(-1)


def _mismatch(loss: Tensor, value: Tensor, weights: Tensor) -> float:
    first, second = (
        torch.autograd.grad(objective, weights, retain_graph=True)[0] for objective in (loss, value)
    )
    return float((first - second).abs().max())
