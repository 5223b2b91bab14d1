"""Things to move: sliders that call Python, and figures that compute in the page.

The second kind needs no kernel. Its JavaScript stands in ``js/``, one module a figure and one
that they share; the book and the notebook show the same one.
"""

from genlab.interact.autoregressive import explore_autoregressive
from genlab.interact.density import explore_density
from genlab.interact.divergences import explore_divergences
from genlab.interact.early import explore_early
from genlab.interact.em import explore_em
from genlab.interact.explorable import SOURCES, Explorable, join, script
from genlab.interact.flows import explore_flows
from genlab.interact.gans import explore_gans
from genlab.interact.knowledge import explore_knowledge
from genlab.interact.models import explore_models
from genlab.interact.sliders import Knob, sliders
from genlab.interact.unified import explore_unified
from genlab.interact.variational import explore_variational

__all__ = [
    "SOURCES",
    "Explorable",
    "Knob",
    "explore_autoregressive",
    "explore_density",
    "explore_divergences",
    "explore_early",
    "explore_em",
    "explore_flows",
    "explore_gans",
    "explore_knowledge",
    "explore_models",
    "explore_unified",
    "explore_variational",
    "join",
    "script",
    "sliders",
]
