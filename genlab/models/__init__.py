"""Chapter 00, what a generative model is: three tasks, and the words in which models answer them.

The lectures name three tasks: estimate, evaluate, sample. A model's place in the taxonomy is
which of these words it has; nothing is declared twice. Later chapters import the words from here.
"""

from genlab.models.catalogue import CATALOGUE, Entry, capabilities, catalogued
from genlab.models.inputs import as_rows, query_points, sample_size, training_data
from genlab.models.protocols import Density, LowerBound, Sampler, Unnormalized

__all__ = [
    "CATALOGUE",
    "Density",
    "Entry",
    "LowerBound",
    "Sampler",
    "Unnormalized",
    "as_rows",
    "capabilities",
    "catalogued",
    "query_points",
    "sample_size",
    "training_data",
]
