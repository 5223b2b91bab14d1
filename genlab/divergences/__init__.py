"""Chapter 02, divergences: how far one law is from another, and in which sense."""

from genlab.divergences.checks import NotConverged, probabilities
from genlab.divergences.estimate import Estimate, estimate
from genlab.divergences.f import (
    F_DIVERGENCES,
    FDivergence,
    f_divergence,
    variational_bound,
    variational_terms,
)
from genlab.divergences.finite import (
    cross_entropy,
    entropy,
    jeffreys,
    js,
    kl,
    scheffe,
    squared_hellinger,
    testing_error,
    total_variation,
)
from genlab.divergences.fit import (
    fit_gaussian,
    gaussian_reverse_kl,
    reverse_kl_gradient,
    switching_point,
    two_modes,
)
from genlab.divergences.grid import integrands, on_grid
from genlab.divergences.kolmogorov import kolmogorov
from genlab.divergences.ratio import kl_from_ratio, optimal_discriminator, train_ratio
from genlab.divergences.transport import (
    Plan,
    sinkhorn,
    transport,
    wasserstein2_normal,
    wasserstein_1d,
)

__all__ = [
    "F_DIVERGENCES",
    "Estimate",
    "FDivergence",
    "NotConverged",
    "Plan",
    "cross_entropy",
    "entropy",
    "estimate",
    "f_divergence",
    "fit_gaussian",
    "gaussian_reverse_kl",
    "integrands",
    "jeffreys",
    "js",
    "kl",
    "kl_from_ratio",
    "kolmogorov",
    "on_grid",
    "optimal_discriminator",
    "probabilities",
    "reverse_kl_gradient",
    "scheffe",
    "sinkhorn",
    "squared_hellinger",
    "switching_point",
    "testing_error",
    "total_variation",
    "train_ratio",
    "transport",
    "two_modes",
    "variational_bound",
    "variational_terms",
    "wasserstein2_normal",
    "wasserstein_1d",
]
