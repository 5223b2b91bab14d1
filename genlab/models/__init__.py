"""Chapter 00, what a generative model is: three tasks, and the words in which models answer them.

The lectures name three tasks: estimate, evaluate, sample. A model's place in the taxonomy is
which of these words it has; nothing is declared twice. Later chapters import the words from here.
"""

from genlab.models.catalogue import CATALOGUE, PLACES, Entry, capabilities, catalogued, place
from genlab.models.conditional import conditional_gaussian
from genlab.models.hull import in_convex_hull
from genlab.models.information import mutual_information, through
from genlab.models.inputs import as_rows, query_points, sample_size, training_data
from genlab.models.likelihood import (
    cross_entropy_of_data,
    empirical_law,
    kl_from_data,
    likelihood,
    log_likelihood,
)
from genlab.models.naive_bayes import GaussianNaiveBayes, learning_curve
from genlab.models.optimise import most_probable
from genlab.models.protocols import Density, LowerBound, Sampler, Unnormalized

__all__ = [
    "CATALOGUE",
    "PLACES",
    "Density",
    "Entry",
    "GaussianNaiveBayes",
    "LowerBound",
    "Sampler",
    "Unnormalized",
    "as_rows",
    "capabilities",
    "catalogued",
    "conditional_gaussian",
    "cross_entropy_of_data",
    "empirical_law",
    "in_convex_hull",
    "kl_from_data",
    "learning_curve",
    "likelihood",
    "log_likelihood",
    "most_probable",
    "mutual_information",
    "place",
    "query_points",
    "sample_size",
    "through",
    "training_data",
]
