"""Things to move: sliders that call Python, and figures that compute in the page.

The second kind needs no kernel. Its JavaScript stands in ``js/``, one module a figure and one
that they share; the book and the notebook show the same one.
"""

from genlab.interact.density import explore_density
from genlab.interact.explorable import SOURCES, Explorable, join, script
from genlab.interact.sliders import Knob, sliders

__all__ = ["SOURCES", "Explorable", "Knob", "explore_density", "join", "script", "sliders"]
