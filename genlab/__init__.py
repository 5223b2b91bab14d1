"""genlab: the package behind the course on generative models.

Chapters: :mod:`genlab.density`. Shared rooms: :mod:`genlab.models`, :mod:`genlab.laws`,
:mod:`genlab.data`, :mod:`genlab.nets`, :mod:`genlab.train`, :mod:`genlab.plot`,
:mod:`genlab.interact`. The tools of the course itself live in :mod:`genlab.course`.
"""

__version__ = "0.1.0"
