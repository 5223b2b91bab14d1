"""Data sets: densities in the plane, the lectures' lists, and real images and texts.

The synthetic sets are densities: they can ``sample`` and they know their exact ``log_prob``.
The real sets are read from a folder; ``digits`` needs none.  See :mod:`genlab.data.files`
for where the files are looked for.
"""

from genlab.data.binarized import BinaryImages, binarized_mnist
from genlab.data.images import Images, digits, fashion_mnist, mnist
from genlab.data.lists import LIST_A, LIST_C, SignSums
from genlab.data.synthetic import Annulus, Grid, Ring, Spiral, TwoMoons
from genlab.data.text import Reviews, movie_reviews, tiny_shakespeare

__all__ = [
    "LIST_A",
    "LIST_C",
    "Annulus",
    "BinaryImages",
    "Grid",
    "Images",
    "Reviews",
    "Ring",
    "SignSums",
    "Spiral",
    "TwoMoons",
    "binarized_mnist",
    "digits",
    "fashion_mnist",
    "mnist",
    "movie_reviews",
    "tiny_shakespeare",
]
