"""Deep Boltzmann machines: two hidden layers, and no direction anywhere.

::

    E(x, h, t) = − x·W h − t·V h − b·x − c·h − d·t,      p(x) = Σ_{h,t} exp(−E) / Z

x and t meet only through h. So it is a restricted Boltzmann machine with (x, t) on one side and h
on the other, of which t is never seen: its chains, its Z and its annealing are those of an RBM.
What is new is inference: with x known, h and t still depend on one another. Mean field gives
q(h) q(t), a bound on log p(x), and the data's term of the gradient; persistent chains give the
model's term.
"""

import torch
from torch import Generator, Tensor, nn

from genlab.early.boltzmann import RBM
from genlab.early.exact import law, log_partition
from genlab.early.states import binary
from genlab.em.kmeans import count
from genlab.models import catalogued, sample_size

__all__ = ["DBM", "dbm_loss"]


@catalogued(chapter="early", source="Salakhutdinov and Hinton 2009")
class DBM(nn.Module):
    """Deep Boltzmann machine of binary units in three layers, x – h – t.

    Args:
        visible, hidden, top: numbers of units of x, h and t.
        generator: source of the first weights.

    Attributes:
        machine: the RBM of (x, t) against h; ``machine.W`` is W above V,
            ``[visible + top, hidden]``. Its chains are the persistent ones.

    Raises:
        ValueError: a layer without units; data that are not zeros and ones.

    Source: Salakhutdinov and Hinton 2009, AISTATS, PMLR 5, 448.

    Example:
        >>> g = torch.Generator().manual_seed(0)
        >>> model = DBM(6, 4, 3, generator=g)
        >>> x = model.sample(5, steps=20, generator=g)
        >>> x.shape, model.elbo(x).shape
        (torch.Size([5, 6]), torch.Size([5]))
    """

    def __init__(
        self, visible: int, hidden: int, top: int, *, generator: Generator | None = None
    ) -> None:
        super().__init__()
        self.visible = count(visible, "visible")
        self.machine = RBM(visible + count(top, "top"), hidden, generator=generator)

    @torch.no_grad()
    def mean_field(self, x: Tensor, sweeps: int = 100) -> tuple[Tensor, Tensor]:
        """The means of q(h) and q(t), ``[batch, hidden]`` and ``[batch, top]``.

        By turns each layer's best factor for the other's, h = σ(xW + tV + c) and t = σ(Vh + d): the
        bound goes up with each, to a local maximum. It stops early where nothing moves any more.

        Args:
            x: ``[batch, visible]``.
            sweeps: at most so many, 1 or more.
        """
        x = self._bits(x)
        t = x.new_full((len(x), len(self.machine.b) - self.visible), 0.5)
        for _ in range(count(sweeps, "sweeps")):
            h = self.machine.hidden(torch.cat([x, t], 1))
            before, t = t, self.machine.visible(h)[:, self.visible :]
            if len(x) == 0 or (t - before).abs().max() < 10 * torch.finfo(t.dtype).eps:
                break
        return h, t

    @torch.no_grad()
    def elbo(self, x: Tensor, *, sweeps: int = 100, log_z: float | None = None) -> Tensor:
        """E_q[−E(x, h, t)] + H(q) − log Z ≤ log p(x), nats, ``[batch]``, q from mean field.

        Args:
            x: ``[batch, visible]``.
            sweeps: as in :meth:`mean_field`.
            log_z: e.g. from :func:`ais_log_partition` of ``machine``; None enumerates.

        Raises:
            ValueError: more than twenty units on both sides of the machine, without ``log_z``.
        """
        h, t = self.mean_field(x, sweeps)
        below = torch.cat([self._bits(x), t], 1)
        log_z = log_partition(self.machine) if log_z is None else log_z
        return _entropy(h) + _entropy(t) - self.machine.joint_energy(below, h) - log_z

    def law(self) -> Tensor:
        """p(x) of all 2^d visible states in the order of :func:`states`, ``[2^d]``.

        Raises:
            ValueError: more than twenty units in x and t together.
        """
        return law(self.machine).reshape(2**self.visible, -1).sum(1)

    def sample(self, n: int, *, steps: int = 1000, generator: Generator | None = None) -> Tensor:
        """n states x, one of each of n chains that begin with fair coins, ``[n, visible]``."""
        return self.machine.sample(n, steps=steps, generator=generator)[:, : self.visible]

    def inpaint(
        self, x: Tensor, known: Tensor, steps: int = 1000, *, generator: Generator | None = None
    ) -> Tensor:
        """Keep the known bits and draw the others: chains with clamped units, ``[batch, visible]``.

        Args:
            x: ``[batch, visible]``; what it holds at the unknown bits is not looked at.
            known: true where a bit is kept, ``[visible]`` or ``[batch, visible]``.
            steps: sweeps.
        """
        x = self._bits(torch.where(known, x, 0))
        start = torch.full((sample_size(len(x)), len(self.machine.b)), 0.5).to(x)
        start = torch.bernoulli(start, generator=generator)
        start[:, : self.visible] = torch.where(known, x, start[:, : self.visible])
        clamped = torch.zeros_like(start, dtype=torch.bool)
        clamped[:, : self.visible] = known
        drawn = self.machine.gibbs(start, steps, clamped=clamped, generator=generator)
        return drawn[:, : self.visible]

    def _bits(self, x: Tensor) -> Tensor:
        return binary(x, self.visible).to(self.machine.W)


def dbm_loss(
    model: DBM, x: Tensor, k: int = 1, *, sweeps: int = 10, generator: Generator | None = None
) -> Tensor:
    """E_q E(x, h, t) − mean F(x⁻, t⁻), for :func:`genlab.train.fit`; ``[batch]``.

    The gradient of its mean is that of the bound, downhill: the data's term by mean field, the
    model's by the persistent chains, moved k sweeps.

    Args:
        model: a :class:`DBM` whose ``machine`` has its chains started.
        x: ``[batch, visible]``.
        k: sweeps of the chains, 1 or more.
        sweeps: of mean field.

    Raises:
        ValueError: chains that were not started, k below 1, data that are not zeros and ones.

    Source: Salakhutdinov and Hinton 2009, AISTATS, PMLR 5, 448, algorithm 1.

    Example:
        >>> g = torch.Generator().manual_seed(0)
        >>> model = DBM(6, 4, 3, generator=g)
        >>> model.machine.start_chains(20, generator=g)
        >>> dbm_loss(model, torch.ones(2, 6), generator=g).shape
        torch.Size([2])
    """
    h, t = model.mean_field(x, sweeps)
    below = torch.cat([x.to(t), t], 1)
    fantasy = model.machine.move_chains(k, generator=generator)
    return model.machine.joint_energy(below, h) - model.machine.energy(fantasy).mean()


def _entropy(p: Tensor) -> Tensor:
    return -(torch.xlogy(p, p) + torch.xlogy(1 - p, 1 - p)).sum(1)
