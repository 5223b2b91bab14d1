"""Chapter 04, early deep generative models: Markov chains, belief nets, Boltzmann machines."""

from genlab.early.ais import LogPartition, ais, ais_log_partition
from genlab.early.belief import SigmoidBeliefNet, coins, learning_gradient, log_bernoulli
from genlab.early.boltzmann import RBM
from genlab.early.chains import (
    double_well,
    gibbs_kernel,
    imbalance,
    metropolis_kernel,
    spectral_gap,
    stationary,
)
from genlab.early.contrastive import (
    contrastive_divergence,
    persistent_ascent,
    pseudo_log_likelihood,
)
from genlab.early.dbm import DBM, dbm_loss
from genlab.early.deep import DBN, greedy, tied_layer
from genlab.early.denoising import (
    BinaryDenoiser,
    DenoisingAutoencoder,
    add_gaussian,
    flip_bits,
    optimal_denoiser,
)
from genlab.early.exact import expected_divergence, law, log_partition, tables, tied_net
from genlab.early.explaining import Explained, explaining_away, noisy_or
from genlab.early.gsn import (
    Denoiser,
    GenerativeStochasticNetwork,
    bayes_reconstruction,
    walkback_corruption,
    walkback_loss,
)
from genlab.early.helmholtz import HelmholtzMachine
from genlab.early.layerwise import DoubledRBM, layerwise
from genlab.early.meanfield import MeanField, belief_bound, factorised, mean_field
from genlab.early.predictability import (
    PredictabilityMinimisation,
    pairwise_information,
    predictability_game,
    unpredictability,
)
from genlab.early.reweighted import importance_log_prob, reweighted_wake_sleep_loss
from genlab.early.states import binary, states
from genlab.early.wake_sleep import (
    FreeEnergies,
    exact_sleep,
    exact_wake,
    free_energies,
    sleep_loss,
    wake_loss,
    wake_sleep_loss,
)
from genlab.early.walks import autocorrelation_time, gibbs, metropolis, walk

__all__ = [
    "DBM",
    "DBN",
    "RBM",
    "BinaryDenoiser",
    "Denoiser",
    "DenoisingAutoencoder",
    "DoubledRBM",
    "Explained",
    "FreeEnergies",
    "GenerativeStochasticNetwork",
    "HelmholtzMachine",
    "LogPartition",
    "MeanField",
    "PredictabilityMinimisation",
    "SigmoidBeliefNet",
    "add_gaussian",
    "ais",
    "ais_log_partition",
    "autocorrelation_time",
    "bayes_reconstruction",
    "belief_bound",
    "binary",
    "coins",
    "contrastive_divergence",
    "dbm_loss",
    "double_well",
    "exact_sleep",
    "exact_wake",
    "expected_divergence",
    "explaining_away",
    "factorised",
    "flip_bits",
    "free_energies",
    "gibbs",
    "gibbs_kernel",
    "greedy",
    "imbalance",
    "importance_log_prob",
    "law",
    "layerwise",
    "learning_gradient",
    "log_bernoulli",
    "log_partition",
    "mean_field",
    "metropolis",
    "metropolis_kernel",
    "noisy_or",
    "optimal_denoiser",
    "pairwise_information",
    "persistent_ascent",
    "predictability_game",
    "pseudo_log_likelihood",
    "reweighted_wake_sleep_loss",
    "sleep_loss",
    "spectral_gap",
    "states",
    "stationary",
    "tables",
    "tied_layer",
    "tied_net",
    "unpredictability",
    "wake_loss",
    "wake_sleep_loss",
    "walk",
    "walkback_corruption",
    "walkback_loss",
]
