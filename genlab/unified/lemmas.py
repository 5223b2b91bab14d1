"""The two lemmas as identities in value: every term is computed, and they add up.

A lemma about gradients holds where the terms that it leaves out are stationary. Here those terms
have names, so that one sees where that is: at θ = θ0, and for which p(y).
"""

from typing import NamedTuple

import torch
from torch import Tensor

from genlab import em
from genlab.divergences import kl, probabilities
from genlab.unified.game import gan_losses, reversed_posterior
from genlab.unified.notation import Provenance
from genlab.variational import variational_m_step
from genlab.variational.directions import HelmholtzMachine

__all__ = ["GanLemma", "VaeLemma", "lemma_gan", "lemma_vae"]


class GanLemma(NamedTuple):
    """The terms of :func:`lemma_gan`, nats: loss = kl − js − drift − evidence.

    Attributes:
        loss: −E_{p(y) p_θ(x | y)} log q^r(y | x), what the generator minimises.
        kl: E_{p(y)} KL(p_θ(x | y) ‖ q^r(x | y)).
        js: JSD_π(p_θ(x | 0), p_θ(x | 1)).
        drift: KL(p_θ(x) ‖ p_θ0(x)): zero at θ0, and flat there.
        evidence: E_{p(y)} log Z_y, free of θ.
    """

    loss: Tensor
    kl: Tensor
    js: Tensor
    drift: Tensor
    evidence: Tensor


def lemma_gan(now: Provenance, at: Provenance, logit: Tensor) -> GanLemma:
    """The generator's loss against any discriminator, taken apart; true for every θ and θ0.

    ::

        −E log q^r(y | x) = E KL(p_θ(x | y) ‖ q^r(x | y)) − JSD_π − KL(p_θ(x) ‖ p_θ0(x)) − E log Z_y

    So at θ = θ0 the gradient of the loss is that of E KL − JSD_π, for any discriminator; elsewhere
    it is not, by ∇KL(p_θ ‖ p_θ0). Gradients pass through ``now`` alone.

    Args:
        now: the two laws at θ.
        at: those at θ0, which define q^r(x | y); the same nodes and p(y).
        logit: of any discriminator, ``[m]``, held fixed.

    Raises:
        ValueError: other nodes or another p(y), or what :func:`reversed_posterior` raises.

    Source: Hu et al. 2018, arXiv:1706.00550, lemma 1 (at θ0, p(y) = ½).

    Example: the generator has moved from θ0, and the terms add up all the same.
        >>> from genlab.unified import on_finite
        >>> at, now = on_finite([0.5, 0.5], [0.1, 0.9]), on_finite([0.3, 0.7], [0.1, 0.9])
        >>> loss, kl, js, drift, evidence = lemma_gan(now, at, torch.tensor([-1.0, 0.5]))
        >>> torch.isclose(loss, kl - js - drift - evidence), torch.isclose(loss, kl - js - evidence)
        (tensor(True), tensor(False))
    """
    if now.log_x.shape != at.log_x.shape or not (
        torch.equal(now.weights, at.weights) and torch.equal(now.prior, at.prior)
    ):
        raise ValueError(
            "Expected the laws at θ and at θ0 on the same nodes and with the same p(y), got "
            f"{now.log_x.shape[1]} and {at.log_x.shape[1]} nodes, p(y = 1) = "
            f"{float(now.prior[1]):.4g} and {float(at.prior[1]):.4g}."
        )
    log_posterior, log_evidence = reversed_posterior(at, logit)
    js = now.js()
    return GanLemma(
        loss=-gan_losses(now, logit.detach()).theta,
        kl=now.kl(log_posterior),
        js=js,
        drift=now.kl(at.log_marginal.detach()) - js,
        evidence=now.prior @ log_evidence,
    )


class VaeLemma(NamedTuple):
    """The terms of :func:`lemma_vae`, nats: with_labels = elbo + constant = posterior + drift.

    Attributes:
        elbo: E_data L, the VAE's own objective.
        with_labels: 2 E_{p_θ0(x)} [E log p_θ(x | z, y) − KL(q q*^r ‖ p(z | y) p(y))].
        posterior: −2 E_{p_θ0(x)} KL(q(z | x, y) q*^r(y | x) ‖ p_θ(z, y | x)).
        constant: 2 log ½ + E_{p_g0} [log p_data(x) − KL(q(z | x, 1) ‖ p(z))], free of θ.
        drift: 2 E_{p_θ0(x)} log p_θ(x): not zero, but flat at θ0.
    """

    elbo: Tensor
    with_labels: Tensor
    posterior: Tensor
    constant: Tensor
    drift: Tensor


def lemma_vae(
    machine: HelmholtzMachine, data: Tensor, generated: Tensor, fake_encoder: Tensor
) -> VaeLemma:
    """The VAE's bound with a y: real x are given y = 0, and the model's own x the label 1.

    The perfect discriminator q*^r(y | x) is read as provenance: it knows of each x whence it came,
    and turns the label round. A function of x it could be only if the two laws never met; then
    p_data(x) = 0 at every fake x, and the constant is −∞.

    Args:
        machine: p(z), p_θ(x | z, 0) = p_θ(x | z) and q(z | x, 0), on finite sets; p(x | z, 1) is
            p_data(x).
        data: p_data ``[X]``.
        generated: p_g at θ0 ``[X]``, held fixed; at θ0 itself ``machine.log_joint.exp().sum(1)``.
        fake_encoder: logits of q(z | x, 1) ``[X, K]``: any.

    Raises:
        ValueError: tables that do not fit, or are no laws.

    Source: Hu et al. 2018, arXiv:1706.00550, lemma 2, whose lines agree as gradients; constants and
        the place θ = θ0 of the last are worked out here.

    Example:
        >>> half = torch.full((2,), 0.5, dtype=torch.float64)
        >>> machine = HelmholtzMachine(half, torch.eye(2).double(), torch.zeros(2, 2).double())
        >>> terms = lemma_vae(machine, half, half, torch.zeros(2, 2).double())
        >>> [round(float(term), 4) for term in terms]
        [-0.8133, -2.8927, -1.5064, -2.0794, -1.3863]
    """
    data, generated = probabilities(data, generated)
    if fake_encoder.shape != machine.encoder.shape or generated.shape != machine.encoder.shape[:1]:
        raise ValueError(
            f"Expected a law of {len(machine.encoder)} generated values and an encoder of shape "
            f"{tuple(machine.encoder.shape)} for them, got {tuple(generated.shape)} and "
            f"{tuple(fake_encoder.shape)}."
        )
    elbo = variational_m_step(machine, data).objective
    generated, half = generated.detach(), torch.tensor(0.5, dtype=data.dtype)
    q_real, q_fake = machine.log_q.exp(), fake_encoder.softmax(-1)
    # States (y, z), those of y = 0 first.
    given_data = data.log()[:, None] + machine.prior.log()
    log_joint = torch.cat([machine.log_joint, given_data], 1) + half.log()
    q_real = torch.cat([q_real, torch.zeros_like(q_fake)], 1)
    q_fake_joint = torch.cat([torch.zeros_like(q_fake), q_fake], 1)

    def twice_mean(of_real: Tensor, of_fake: Tensor) -> Tensor:
        return _mean(data, of_real) + _mean(generated, of_fake)  # 2 · ½ each

    log_p, posterior = log_joint.logsumexp(-1), em.posterior(log_joint)
    prior = machine.prior.expand_as(q_fake)
    return VaeLemma(
        elbo=elbo,
        with_labels=twice_mean(em.elbo(log_joint, q_real), em.elbo(log_joint, q_fake_joint)),
        posterior=-twice_mean(kl(q_real, posterior), kl(q_fake_joint, posterior)),
        constant=2 * half.log() + _mean(generated, data.log() - kl(q_fake, prior)),
        drift=twice_mean(log_p, log_p),
    )


def _mean(p: Tensor, values: Tensor) -> Tensor:
    """E_p of values that may be infinite where p is 0."""
    return torch.where(p > 0, p * values, 0.0).sum()
