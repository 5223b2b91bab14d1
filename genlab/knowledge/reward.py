"""A reward as a teacher: the best stochastic policy is a posterior over trajectories.

With f = the return of a trajectory and λ = 1/α, the E step q(τ) = p(τ) e^{R(τ)/α}/Z tilts the law
of the trajectories of a prior policy. Where actions decide the next state, q is again the law of a
policy, and soft value iteration finds it backwards in time, without a list of trajectories.
"""

import itertools
from typing import NamedTuple

import torch
from torch import Tensor

from genlab.divergences import probabilities
from genlab.em.kmeans import count

__all__ = ["Chain", "SoftPolicy", "Trajectories", "soft_value_iteration"]


class Trajectories(NamedTuple):
    """All trajectories of a chain from one state.

    Attributes:
        states: ``[n, T + 1]``.
        actions: ``[n, T]``.
        returns: the sum of the rewards, ``[n]``.
    """

    states: Tensor
    actions: Tensor
    returns: Tensor


class Chain:
    """A decision process in which an action leads from a state to one state, for sure.

    Args:
        step: the next state, ``[S, A]``, integers below S.
        reward: of the action in the state, ``[S, A]``.

    Raises:
        ValueError: tables of different shapes, or states that do not exist.

    Example: on two states, action 0 stays and action 1 crosses; crossing from 0 to 1 pays.
        >>> chain = Chain([[0, 1], [1, 0]], [[0.0, 1.0], [0.0, 0.0]])
        >>> chain.trajectories(0, 2).returns
        tensor([0., 1., 1., 1.], dtype=torch.float64)
    """

    def __init__(self, step: Tensor, reward: Tensor) -> None:
        step, reward = torch.as_tensor(step), torch.as_tensor(reward).double()
        if step.ndim != 2 or step.shape != reward.shape or step.is_floating_point():
            raise ValueError(
                "Expected the next state, integers, and the reward of each action in each state, "
                f"both of shape (S, A), got {tuple(step.shape)} and {tuple(reward.shape)}."
            )
        if ((step < 0) | (step >= len(step))).any():
            raise ValueError(
                f"Expected next states from 0 to {len(step) - 1}, got {step.tolist()}."
            )
        self.step, self.reward = step, reward

    def trajectories(self, start: int, horizon: int) -> Trajectories:
        """Every sequence of T actions from a state, A^T of them, with where it leads.

        Raises:
            ValueError: more than a million sequences.
        """
        count(horizon, "horizon")
        choices = self.step.shape[1]
        if choices**horizon > 10**6:
            raise ValueError(
                f"Expected at most a million trajectories, got {choices}^{horizon}. "
                "soft_value_iteration needs no list."
            )
        actions = torch.tensor(list(itertools.product(range(choices), repeat=horizon)))
        states = [torch.full((len(actions),), start)]
        returns = torch.zeros(len(actions), dtype=torch.float64)
        for a in actions.T:
            returns = returns + self.reward[states[-1], a]
            states.append(self.step[states[-1], a])
        return Trajectories(torch.stack(states, 1), actions, returns)


class SoftPolicy(NamedTuple):
    """What :func:`soft_value_iteration` returns.

    Attributes:
        policy: π_t(a | s), ``[T, S, A]``.
        value: V_t(s), ``[T + 1, S]``; V_0(s) = α log Z, Z = E_p e^{R/α} from s.
    """

    policy: Tensor
    value: Tensor

    def law(self, trajectories: Trajectories) -> Tensor:
        """The probability of each trajectory under the policy, ``[n]``."""
        steps = range(len(self.policy))
        at, do = trajectories.states, trajectories.actions
        return torch.stack([self.policy[t, at[:, t], do[:, t]] for t in steps]).prod(0)


def soft_value_iteration(
    chain: Chain, horizon: int, temperature: float = 1.0, prior: Tensor | None = None
) -> SoftPolicy:
    """V_t(s) = α log Σ_a π₀(a | s) exp((r(s, a) + V_{t+1}(s′))/α), backwards from V_T = 0.

    The policy is π₀ exp((r + V_{t+1} − V_t)/α). It maximises E R − α KL(its trajectories ‖ those of
    the prior). As α → 0 it becomes the greedy policy of value iteration; as α → ∞ it is π₀.

    Args:
        chain: with actions that lead to one state. Where chance has a say the tilt would also
            change the odds of chance, which no policy can.
        horizon: T.
        temperature: α > 0.
        prior: π₀(a | s), ``[S, A]``; None is uniform.

    Raises:
        ValueError: a temperature that is not positive, or a prior that is no law for each state.

    Source: Ziebart 2010; Levine 2018, arXiv:1805.00909, section 2.

    Example:
        >>> chain = Chain([[0, 1], [1, 0]], [[0.0, 1.0], [0.0, 0.0]])
        >>> soft = soft_value_iteration(chain, horizon=2, temperature=0.5)
        >>> soft.policy[0, 0]  # waiting is no great loss: there is another step
        tensor([0.3621, 0.6379], dtype=torch.float64)
    """
    if not temperature > 0:
        raise ValueError(f"Expected a temperature > 0, got {temperature}.")
    if prior is None:
        prior = torch.full_like(chain.reward, 1 / chain.reward.shape[1])
    prior = probabilities(prior)[0].double()
    if prior.shape != chain.reward.shape:
        raise ValueError(
            f"Expected a prior of shape {tuple(chain.reward.shape)}, got {tuple(prior.shape)}."
        )
    value, policy = [torch.zeros(len(prior), dtype=torch.float64)], []
    for _ in range(count(horizon, "horizon")):
        score = prior.log() + (chain.reward + value[0][chain.step]) / temperature
        value.insert(0, temperature * score.logsumexp(1))
        policy.insert(0, score.softmax(1))
    return SoftPolicy(torch.stack(policy), torch.stack(value))
