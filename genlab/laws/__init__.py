"""What must be true of any density, sampler, bound or map: checks that explain themselves.

A law takes any object that speaks the words of :mod:`genlab.models` and raises
:class:`LawBroken`, an AssertionError, with a sentence to act on. The same law serves the package's
tests, the check cells of the exercises, and the pages of the book.
"""

from genlab.laws.autoregressive import is_autoregressive
from genlab.laws.boxes import Bound
from genlab.laws.broken import LawBroken
from genlab.laws.densities import integrates_to_one, sums_to_one
from genlab.laws.divergences import is_divergence
from genlab.laws.estimates import bounds_from_below, never_goes_down, unbiased
from genlab.laws.maps import inverts, log_det_agrees
from genlab.laws.samplers import samples_follow, speaks_sampler
from genlab.laws.slopes import is_triangular, jacobian

__all__ = [
    "Bound",
    "LawBroken",
    "bounds_from_below",
    "integrates_to_one",
    "inverts",
    "is_autoregressive",
    "is_divergence",
    "is_triangular",
    "jacobian",
    "log_det_agrees",
    "never_goes_down",
    "samples_follow",
    "speaks_sampler",
    "sums_to_one",
    "unbiased",
]
