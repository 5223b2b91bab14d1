"""A flow over more than the data say: noise completes them, and the model is an average over it.

Let y be x completed by noise e ~ q. The flow knows p(y), and p(x) = E_q[p(y) / q(e)] has no short
form. So p(y) / q(e) is a weight of importance sampling, and what follows from it is chapter 05.
"""

from abc import ABC, abstractmethod

import torch
from torch import Generator, Tensor, nn

from genlab.em.kmeans import count
from genlab.flows.flow import Flow
from genlab.flows.transforms import Pair
from genlab.variational import importance_bound

__all__ = ["NoisyFlow"]


class NoisyFlow(nn.Module, ABC):
    """What the models share that complete x by noise e ~ q to y, and ask a flow for p(y).

    .. math:: \\log p(x) = \\log \\mathrm E_q \\frac{p(y)}{q(e)}
              \\ge \\mathrm E_q [\\log p(y) - \\log q(e)]

    Args:
        flow: a density of y.
    """

    def __init__(self, flow: Flow) -> None:
        super().__init__()
        self.flow = flow

    @abstractmethod
    def completed(self, x: Tensor, k: int, *, generator: Generator | None = None) -> Pair:
        """y at k draws of e for each x, ``[k, batch, *flow.event]``, and log q(e) ``[k, batch]``.

        Raises:
            ValueError: x that is no data of the model.
        """

    def log_weights(self, x: Tensor, k: int, *, generator: Generator | None = None) -> Tensor:
        """log p(y) − log q(e) at k draws for each x, ``[k, batch]``; the mean weight is p(x)."""
        y, log_q = self.completed(x, count(k, "k"), generator=generator)
        return self.flow.log_prob(y.flatten(0, 1)).reshape(log_q.shape) - log_q

    def elbo(self, x: Tensor, n: int = 1, *, generator: Generator | None = None) -> Tensor:
        """E_q[log p(y) − log q(e)], ``[batch]``, nats, the mean of n draws: at most log p(x)."""
        return self.log_weights(x, n, generator=generator).mean(0)

    @torch.no_grad()
    def log_prob_estimate(self, x: Tensor, k: int, *, generator: Generator | None = None) -> Tensor:
        """log of the mean weight of k draws, nats, ``[batch]``: it rises to log p(x) with k."""
        return importance_bound(self.log_weights(x, k, generator=generator))
