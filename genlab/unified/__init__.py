"""Chapter 09, the unified view: GAN, VAE and wake–sleep as steps on KL divergences."""

from genlab.unified.game import GanLosses, ReversedPosterior, gan_losses, reversed_posterior
from genlab.unified.hybrids import VAEGAN, AdversarialAutoencoder, aae_game, mmd, vaegan_game
from genlab.unified.lemmas import GanLemma, VaeLemma, lemma_gan, lemma_vae
from genlab.unified.modes import Fitted, MissedMode, fit_generator, missed_mode
from genlab.unified.notation import Provenance, log_q, log_q_reversed, on_finite, on_line
from genlab.unified.table import Step, as_machine, correspondence, generator_bound
from genlab.unified.weighted import weighted_generator_loss

__all__ = [
    "VAEGAN",
    "AdversarialAutoencoder",
    "Fitted",
    "GanLemma",
    "GanLosses",
    "MissedMode",
    "Provenance",
    "ReversedPosterior",
    "Step",
    "VaeLemma",
    "aae_game",
    "as_machine",
    "correspondence",
    "fit_generator",
    "gan_losses",
    "generator_bound",
    "lemma_gan",
    "lemma_vae",
    "log_q",
    "log_q_reversed",
    "missed_mode",
    "mmd",
    "on_finite",
    "on_line",
    "reversed_posterior",
    "vaegan_game",
    "weighted_generator_loss",
]
