"""What gradient steps do in a game of two numbers: they turn round the equilibrium, in or out.

A state is (ψ, θ), the discriminator's number and the generator's; a field gives both velocities.
Near an equilibrium everything hangs on the eigenvalues λ of the field's Jacobian: a simultaneous
step multiplies by 1 + ηλ. On the imaginary axis that is longer than 1 for every rate η > 0.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import sigmoid

from genlab.em.kmeans import count
from genlab.laws import jacobian

__all__ = [
    "alternating",
    "clip_critic",
    "dirac_gan",
    "eigenvalues",
    "extragradient",
    "simultaneous",
    "trajectory",
    "zero_sum_field",
]

Field = Callable[[Tensor], Tensor]
NODES = 41  # of the quadrature over instance noise

# What a unit of each loss pushes with: D's real logit up, D's fake logit down, G's draw along ψ.
FORCES: dict[str, tuple[Field, Field, Field]] = {
    "saturating": (lambda a: sigmoid(-a), sigmoid, sigmoid),
    "non-saturating": (lambda a: sigmoid(-a), sigmoid, lambda a: sigmoid(-a)),
    "wasserstein": (torch.ones_like, torch.ones_like, torch.ones_like),
}


def simultaneous(field: Field, state: Tensor, rate: float | Tensor) -> Tensor:
    """Both players step from the same state: s + η v(s).

    Args:
        field: v, from states ``[..., 2]`` to velocities.
        state: (ψ, θ), ``[..., 2]``.
        rate: η; a tensor ``[2]`` gives each player his own.

    Example: the bilinear game. Each step is √(1 + η²) times as far from (0, 0).
        >>> turn = zero_sum_field(lambda d, g: d * g)
        >>> simultaneous(turn, torch.tensor([1.0, 0.0]), 0.75).norm()
        tensor(1.2500)
    """
    return state + rate * field(state)


def alternating(field: Field, state: Tensor, rate: float | Tensor) -> Tensor:
    """D steps, then G against the D that has stepped.

    In the bilinear game ψ² + θ² + ηψθ stays as it is: for η < 2 the players go round for ever.

    Args: as in :func:`simultaneous`.

    Example:
        >>> turn = zero_sum_field(lambda d, g: d * g)
        >>> alternating(turn, torch.tensor([1.0, 0.0]), 0.75)
        tensor([ 1.0000, -0.7500])
    """
    for player in (0, 1):
        turn = torch.arange(2, device=state.device) == player
        state = torch.where(turn, state + rate * field(state), state)
    return state


def extragradient(field: Field, state: Tensor, rate: float | Tensor) -> Tensor:
    """A step with the velocity of where a simultaneous step would lead: s + η v(s + η v(s)).

    In the bilinear game each step multiplies the distance by √(1 − η² + η⁴), less than 1 for η < 1.

    Args: as in :func:`simultaneous`.

    Source: Korpelevich 1976; Gidel et al. 2019, arXiv:1802.10551.

    Example:
        >>> turn = zero_sum_field(lambda d, g: d * g)
        >>> extragradient(turn, torch.tensor([1.0, 0.0]), 0.5).norm() ** 2  # 1 - 1/4 + 1/16
        tensor(0.8125)
    """
    return state + rate * field(simultaneous(field, state, rate))


def trajectory(step: Callable[[Tensor], Tensor], start: Tensor, steps: int) -> Tensor:
    """The states that a rule runs through, ``[steps + 1, ..., 2]``, the start being the first.

    Args:
        step: from a state to the next, e.g. ``lambda s: simultaneous(field, s, 0.1)``.
        start: ``[..., 2]``, finite.
        steps: 1 or more.

    Raises:
        ValueError: a start of another shape, or not finite; no step.

    Example:
        >>> trajectory(lambda s: s / 2, torch.tensor([4.0, 8.0]), 2)
        tensor([[4., 8.],
                [2., 4.],
                [1., 2.]])
    """
    if start.ndim == 0 or start.shape[-1] != 2 or not start.isfinite().all():
        raise ValueError(
            "Expected a start of two finite numbers, D's and G's, in the last axis, got shape "
            f"{tuple(start.shape)}."
        )
    states = [start]
    for _ in range(count(steps, "steps")):
        states.append(step(states[-1]))
    return torch.stack(states)


def zero_sum_field(value: Callable[[Tensor, Tensor], Tensor]) -> Field:
    """The field of a game that one function V decides: ψ climbs V(ψ, θ), θ descends it.

    Args:
        value: V, elementwise, in operations of torch.

    Example: V = (θ − 3)² − (ψ − 2θ)² rests at ψ = 6, θ = 3.
        >>> field = zero_sum_field(lambda d, g: (g - 3) ** 2 - (d - 2 * g) ** 2)
        >>> field(torch.tensor([[6.0, 3.0], [0.0, 3.0]])).abs()
        tensor([[ 0.,  0.],
                [12., 24.]])
    """

    def field(state: Tensor) -> Tensor:
        followed = torch.is_grad_enabled() and state.requires_grad
        at = state if followed else state.detach().requires_grad_()
        with torch.enable_grad():
            total = value(*at.unbind(-1)).sum()
            (slope,) = torch.autograd.grad(total, at, create_graph=followed)
        return slope * slope.new_tensor([1.0, -1.0])

    return field


def dirac_gan(
    loss: str = "non-saturating",
    *,
    r1: float = 0.0,
    gradient_penalty: float = 0.0,
    noise: float = 0.0,
) -> Field:
    """The smallest GAN: all data at 0, all draws at θ, and a linear discriminator, logit ψx.

    ::

        ψ' = E[ u(ψε) ε − d(ψ(θ + ε)) (θ + ε) ] − γψ − 2λ(|ψ| − 1) sign ψ
        θ' = E[ g(ψ(θ + ε)) ] ψ,    ε ~ N(0, σ²)

    with u, d, g the forces of the losses (σ(−a), σ(a) and σ(±a); 1 for Wasserstein's). It rests at
    (0, 0). Without γ, λ and σ its eigenvalues there are ±i/2 (Wasserstein: ±i), and simultaneous
    steps lead away.

    Args:
        loss: ``"saturating"``, ``"non-saturating"`` or ``"wasserstein"``.
        r1: γ, of the penalty (γ/2) |∇D(x)|² = (γ/2) ψ² at the data.
        gradient_penalty: λ, of λ (|∇D| − 1)² = λ (|ψ| − 1)².
        noise: σ, standard deviation of noise added to data and draws alike.

    Returns:
        a field.

    Raises:
        ValueError: another loss, or a negative strength.

    Source: Mescheder, Geiger & Nowozin 2018, arXiv:1801.04406, section 2 (there D is high on
        draws).

    Example:
        >>> eigenvalues(dirac_gan(), torch.zeros(2)).imag
        tensor([-0.5000,  0.5000], dtype=torch.float64)
        >>> eigenvalues(dirac_gan(r1=1.25), torch.zeros(2)).real
        tensor([-1.0000, -0.2500], dtype=torch.float64)
    """
    if loss not in FORCES:
        raise ValueError(f"Expected a loss among {', '.join(map(repr, FORCES))}, got {loss!r}.")
    for name, strength in (("r1", r1), ("gradient_penalty", gradient_penalty), ("noise", noise)):
        if not 0 <= strength < float("inf"):
            raise ValueError(f"Expected {name} >= 0, got {strength}.")
    up, down, pull = FORCES[loss]
    nodes, weights = np.polynomial.hermite_e.hermegauss(NODES if noise else 1)
    weights = weights / weights.sum()

    def field(state: Tensor) -> Tensor:
        psi, theta = state[..., :1], state[..., 1:]
        w, epsilon = state.new_tensor(weights), noise * state.new_tensor(nodes)
        draw = theta + epsilon
        climb = w * (up(psi * epsilon) * epsilon - down(psi * draw) * draw)
        penalty = r1 * psi + 2 * gradient_penalty * (psi - psi.sign())
        along = (w * pull(psi * draw)).sum(-1, keepdim=True) * psi
        return torch.cat([climb.sum(-1, keepdim=True) - penalty, along], -1)

    return field


def clip_critic(state: Tensor, c: float) -> Tensor:
    """ψ brought back to [−c, c] after a step, as weight clipping does; θ is left.

    Raises:
        ValueError: c ≤ 0.

    Example:
        >>> clip_critic(torch.tensor([0.5, 3.0]), 0.01)
        tensor([0.0100, 3.0000])
    """
    if not c > 0:
        raise ValueError(f"Expected a bound c > 0 on the critic's weight, got {c}.")
    return torch.stack([state[..., 0].clamp(-c, c), state[..., 1]], -1)


def eigenvalues(field: Field, at: Tensor) -> Tensor:
    """Eigenvalues of the field's Jacobian at a state ``[2]``, complex ``[2]``, in ascending order.

    Where both real parts are below 0, a flow leads to the state; a simultaneous step leads there
    where |1 + ηλ| < 1.

    Example:
        >>> eigenvalues(zero_sum_field(lambda d, g: d * g), torch.zeros(2)).imag
        tensor([-1.,  1.], dtype=torch.float64)
    """
    values = torch.linalg.eigvals(jacobian(field, at.double()[None])[0])
    order = sorted((0, 1), key=lambda k: (round(values[k].real.item(), 9), values[k].imag.item()))
    return values[order]
