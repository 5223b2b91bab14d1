"""Deep belief nets: Boltzmann machines stacked one on the other, learnt one at a time.

::

    p(x, h¹, …, h^L) = p(x | h¹) p(h¹ | h²) ⋯ p(h^{L−1}, h^L)

An RBM says p(x) = Σ_h p(x | h) p(h), and the p(h) that its weights imply is rarely that of the
codes it gives to data. Keep p(x | h), and let a second RBM learn p(h): for any q(h | x),

::

    log p(x) ≥ E_q[log p(x | h) + log p(h)] + H(q),

with equality for the RBM itself and q its posterior. So the bound starts at log p(x) of the first
machine, and only one term of it, E_q log p(h), moves while the second learns: it cannot fall.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Generator, Tensor, nn
from torch.nn.functional import softplus

from genlab.early.boltzmann import RBM
from genlab.early.exact import law, log_partition, tables
from genlab.em.kmeans import count
from genlab.models import catalogued, sample_size

__all__ = ["DBN", "greedy", "tied_layer"]


@catalogued(chapter="early", source="Hinton, Osindero and Teh 2006")
class DBN(nn.Module):
    """Deep belief net: directed sigmoid layers with an RBM on top.

    Of all machines but the last one direction counts for the model, p(x | h) downwards. The other,
    p(h | x) upwards, is the approximate posterior q.

    Args:
        machines: RBMs from the bottom to the top, each with as many visible units as the one below
            has hidden ones.

    Raises:
        ValueError: no machine, or two that do not fit.

    Source: Hinton, Osindero and Teh 2006, Neural Computation 18, 1527.

    Example:
        >>> g = torch.Generator().manual_seed(0)
        >>> model = DBN([RBM(6, 4, generator=g), RBM(4, 3, generator=g)])
        >>> x = model.sample(5, steps=20, generator=g)
        >>> x.shape, model.elbo(x, generator=g).shape
        (torch.Size([5, 6]), torch.Size([5]))
    """

    def __init__(self, machines: Sequence[RBM]) -> None:
        super().__init__()
        if len(machines) == 0:
            raise ValueError("Expected one RBM or more, from the bottom to the top, got none.")
        for below, above in pairwise(machines):
            if len(below.c) != len(above.b):
                raise ValueError(
                    f"A machine with {len(above.b)} visible units stands on one with "
                    f"{len(below.c)} hidden units: expected as many."
                )
        self.machines = nn.ModuleList(machines)

    @property
    def top(self) -> RBM:
        return self.machines[-1]

    @torch.no_grad()
    def codes(self, x: Tensor, *, generator: Generator | None = None) -> Tensor:
        """h^{L−1} ~ q(h | x), layer by layer upwards: what the top machine sees; for one machine x.

        Args:
            x: ``[batch, visible]``.
        """
        x = self.machines[0].bits(x)
        for machine in self.machines[:-1]:
            x = torch.bernoulli(machine.hidden(x), generator=generator)
        return x

    def sample(self, n: int, *, steps: int = 1000, generator: Generator | None = None) -> Tensor:
        """n draws ``[n, visible]``: chains of the top machine, then one pass down."""
        x = self.top.sample(sample_size(n), steps=steps, generator=generator)
        with torch.no_grad():
            for machine in reversed(self.machines[:-1]):
                x = torch.bernoulli(machine.visible(x), generator=generator)
        return x

    @torch.no_grad()
    def elbo(
        self,
        x: Tensor,
        n: int = 1,
        *,
        log_z: float | None = None,
        generator: Generator | None = None,
    ) -> Tensor:
        """E_q[log p(x, h) − log q(h | x)] from n draws of all codes, nats, ``[batch]``.

        Args:
            x: ``[batch, visible]``.
            n: draws for each row.
            log_z: log Z of the top machine, e.g. from :func:`ais_log_partition`; None enumerates.

        Raises:
            ValueError: data that are not zeros and ones; more than twenty units on both sides of
                the top machine where ``log_z`` is not given.
        """
        rows = self.machines[0].bits(x)
        state = rows.repeat(count(n, "n"), 1)
        total = state.new_zeros(len(state))
        for machine in self.machines[:-1]:
            up = state @ machine.W + machine.c
            h = torch.bernoulli(up.sigmoid(), generator=generator)
            down = h @ machine.W.T + machine.b
            total += _log_bits(state, down) - _log_bits(h, up)
            state = h
        log_z = log_partition(self.top) if log_z is None else log_z
        return (total - self.top.energy(state) - log_z).reshape(n, len(rows)).mean(0)

    def law(self) -> Tensor:
        """p(x) of all 2^d visible states in the order of :func:`states`, ``[2^d]``.

        Raises:
            ValueError: more than twenty units in two layers that follow one another.
        """
        p = law(self.top)
        for machine in reversed(self.machines[:-1]):
            p = p @ tables(machine)[1]
        return p


def tied_layer(machine: RBM) -> RBM:
    """The RBM that stands on another and changes nothing: its weights transposed, biases swapped.

    Its p(h) is the one that the lower machine implies, so the net of both is the lower machine, and
    the bound of :meth:`DBN.elbo` is log p(x). From here every step up counts.

    Source: Hinton, Osindero and Teh 2006, section 4.

    Example:
        >>> machine = RBM(3, 2, generator=torch.Generator().manual_seed(0)).double()
        >>> both = DBN([machine, tied_layer(machine)])
        >>> torch.allclose(both.law(), law(machine))
        True
    """
    d, m = machine.W.shape
    above = RBM(m, d).to(machine.W)
    with torch.no_grad():
        above.W.copy_(machine.W.T)
        above.b.copy_(machine.c)
        above.c.copy_(machine.b)
    return above


def greedy(
    x: Tensor,
    hidden: Sequence[int],
    train: Callable[[RBM, Tensor], object],
    *,
    generator: Generator | None = None,
) -> DBN:
    """A deep belief net, a layer at a time: each RBM learns the codes of the one below.

    A machine of the size of the one below turned over starts tied to it, any other at random (then
    the bound may begin lower).

    Args:
        x: ``[n, visible]``, zeros and ones.
        hidden: units of each hidden layer, from the bottom to the top.
        train: ``train(machine, rows)`` trains an RBM in place, e.g. by :func:`persistent_ascent`.

    Raises:
        ValueError: no hidden layer, or one without units; data that are not zeros and ones.

    Source: Hinton, Osindero and Teh 2006, section 4.

    Example:
        >>> from genlab.early import persistent_ascent
        >>> g = torch.Generator().manual_seed(0)
        >>> x = torch.bernoulli(torch.full((100, 6), 0.3), generator=g)
        >>> train = lambda machine, rows: persistent_ascent(machine, rows, epochs=2, generator=g)
        >>> [machine.W.shape for machine in greedy(x, (4, 6), train, generator=g).machines]
        [torch.Size([6, 4]), torch.Size([4, 6])]
    """
    machines: list[RBM] = []
    for width in hidden:
        if machines and width == len(machines[-1].b):
            machine = tied_layer(machines[-1])
        else:
            machine = RBM(
                len(machines[-1].c) if machines else x.shape[1], width, generator=generator
            )
            machine = machine.to(x.dtype) if x.is_floating_point() else machine
        machines.append(machine)
        train(machine, DBN(machines).codes(x, generator=generator))
    return DBN(machines)


def _log_bits(x: Tensor, logits: Tensor) -> Tensor:
    return (x * logits - softplus(logits)).sum(-1)
