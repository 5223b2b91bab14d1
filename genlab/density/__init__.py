"""Chapter 01, density estimation: from a sample to a density, and from a density to a sample."""

from genlab.density.histogram import Histogram, loo_risk
from genlab.density.kernel import KDE, KERNELS, Kernel, lscv, rule_of_thumb
from genlab.density.neighbours import AdaptiveKDE, KNNDensity
from genlab.density.parametric import Categorical, FullTable, Gaussian, IndependentBernoulli
from genlab.density.reduced import PCASampler
from genlab.density.risk import (
    bias_variance,
    gaussian_kde_mise,
    integrated_squared_error,
    minimal_mise,
    sample_size_needed,
)
from genlab.density.sampling import ecdf, inverse_cdf, sample_sequentially

__all__ = [
    "KDE",
    "KERNELS",
    "AdaptiveKDE",
    "Categorical",
    "FullTable",
    "Gaussian",
    "Histogram",
    "IndependentBernoulli",
    "KNNDensity",
    "Kernel",
    "PCASampler",
    "bias_variance",
    "ecdf",
    "gaussian_kde_mise",
    "integrated_squared_error",
    "inverse_cdf",
    "loo_risk",
    "lscv",
    "minimal_mise",
    "rule_of_thumb",
    "sample_sequentially",
    "sample_size_needed",
]
