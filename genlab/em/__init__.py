"""Chapter 03, latent variables: the EM decomposition, mixtures, sequences, linear codes."""

from genlab.em.factors import FactorAnalysis, ProbabilisticPCA
from genlab.em.gradient import gradient_ascent
from genlab.em.hmm import HiddenMarkovModel
from genlab.em.kmeans import KMeans, kmeans, plus_plus
from genlab.em.latent import (
    Decomposition,
    LatentVariableModel,
    decompose,
    elbo,
    free_energy,
    posterior,
)
from genlab.em.mixture import (
    GaussianMixture,
    binned_log_prob,
    e_step,
    features,
    m_step,
    natural,
)

__all__ = [
    "Decomposition",
    "FactorAnalysis",
    "GaussianMixture",
    "HiddenMarkovModel",
    "KMeans",
    "LatentVariableModel",
    "ProbabilisticPCA",
    "binned_log_prob",
    "decompose",
    "e_step",
    "elbo",
    "features",
    "free_energy",
    "gradient_ascent",
    "kmeans",
    "m_step",
    "natural",
    "plus_plus",
    "posterior",
]
