"""Rules as a teacher: labels are re-weighed by how true they make the rules.

q(y | x) = p(y | x) exp(Σ_l λ_l r_l(x, y)) / Z(x). It is the tilt of the student's own prediction,
for each x by itself. The weights can be learnt: their gradient is what the data have of a rule
less what the teacher has of it, and that also learns a constraint function from data alone.
"""

import math
from collections.abc import Sequence
from itertools import combinations

import torch
from scipy.optimize import minimize
from torch import Tensor

from genlab.divergences import probabilities
from genlab.knowledge.logic import truth_values
from genlab.knowledge.posterior import checked_weight

__all__ = ["learn_weights", "rule_teacher", "tilted_log_likelihood"]


def rule_teacher(
    p: Tensor, truth: Tensor, weights: Sequence[float], names: Sequence[str] | None = None
) -> Tensor:
    """q(y | x) ∝ p(y | x) exp(−Σ_l λ_l (1 − r_l(x, y))), ``[..., m]``.

    Since Σ λ_l does not depend on y it is also p exp(Σ_l λ_l r_l) / Z. The p is the student's
    p(y | x), not a p(x), which would cancel in Z.

    Args:
        p: the student's p(y | x), ``[..., m]``.
        truth: r_l(x, y) in [0, 1], ``[..., m, L]``; 1 where a rule says nothing.
        weights: λ_l ≥ 0, L of them; ``math.inf`` is a hard rule: only what makes it quite true
            is left.
        names: of the rules, for messages.

    Raises:
        ValueError: no rules, truth outside [0, 1] or of another shape, a negative weight, or hard
            rules that leave nothing: Z = 0, and the fewest that clash are named.

    Source: Hu et al. 2016, arXiv:1603.06318, with its C in the weights.

    Example:
        >>> p, truth = torch.tensor([0.7, 0.2, 0.1]), torch.tensor([[0.2], [0.9], [0.5]])
        >>> rule_teacher(p, truth, [1.5])
        tensor([0.4901, 0.4001, 0.1098])
        >>> rule_teacher(p, torch.tensor([[0.0], [1.0], [1.0]]), [math.inf])
        tensor([0.0000, 0.6667, 0.3333])
        >>> clash = torch.tensor([[0.0, 1.0], [1.0, 0.0], [0.0, 0.0]])
        >>> rule_teacher(p, clash, [math.inf, math.inf], names=["rain", "sun"])
        Traceback (most recent call last):
        ...
        ValueError: The hard rules 'rain' and 'sun' contradict each other: at 1 of 1 inputs no label
        that the student allows satisfies both, Z = 0. Give one of them a finite weight.
    """
    (p,) = probabilities(p)
    truth = truth_values(truth, "every rule").to(p.dtype)
    n = len(weights)
    if not n:
        raise ValueError("Expected one rule or more, got none: without rules the teacher is p.")
    if truth.shape != (*p.shape, n):
        raise ValueError(
            f"Expected the truth of {n} rules for each label, shape {(*p.shape, n)}, got "
            f"{tuple(truth.shape)}."
        )
    names = [f"r{i + 1}" for i in range(n)] if names is None else list(names)
    score = p.log()
    for weight, name, r in zip(weights, names, truth.unbind(-1), strict=True):
        weight = checked_weight(weight, f"the weight of the rule {name!r}")
        lost = torch.zeros_like(r).masked_fill(r < 1, -math.inf)
        score = score + (lost if weight == math.inf else weight * (r - 1))
    if not (score > -math.inf).any(-1).all():
        _clash(p, truth, {i: names[i] for i in range(n) if weights[i] == math.inf})
    return score.softmax(-1)


def _clash(p: Tensor, truth: Tensor, hard: dict[int, str]) -> None:
    """Name the smallest set of hard rules that leaves no label."""
    for size in range(1, len(hard) + 1):
        for group in combinations(hard, size):
            empty = ~((truth[..., group] == 1).all(-1) & (p > 0)).any(-1)
            if not empty.any():
                continue
            where = f"at {int(empty.sum())} of {empty.numel()} inputs"
            if size == 1:
                raise ValueError(
                    f"The hard rule {hard[group[0]]!r} leaves nothing: {where} no label that the "
                    "student allows satisfies it, Z = 0. Give it a finite weight."
                )
            named = [repr(hard[i]) for i in group]
            raise ValueError(
                f"The hard rules {', '.join(named[:-1])} and {named[-1]} contradict each other: "
                f"{where} no label that the student allows satisfies "
                f"{'both' if size == 2 else 'all'}, Z = 0. Give one of them a finite weight."
            )


def tilted_log_likelihood(p: Tensor, features: Tensor, weights: Tensor, target: Tensor) -> Tensor:
    """E_target log q of q ∝ p exp(Σ_l w_l f_l), the mean over the leading axes.

    It is concave in w, and its gradient is E_target f_l − E_q f_l.

    Args:
        p: ``[..., m]``.
        features: f_l, ``[..., m, L]``, finite.
        weights: w ``[L]``, of any sign; gradients pass.
        target: what is seen, ``[..., m]``: rows of zeros and a one for labels, or p_data.

    Raises:
        ValueError: tables that are no laws, or shapes that do not fit.
    """
    p, target = probabilities(p, target)
    features = torch.as_tensor(features).to(p.dtype)
    if features.ndim < 1 or features.shape[:-1] != p.shape or not features.shape[-1]:
        raise ValueError(
            f"Expected one feature or more at each value, shape {tuple(p.shape)} and L, got "
            f"{tuple(features.shape)}."
        )
    log_q = (p.log() + features @ weights).log_softmax(-1)
    return torch.where(target > 0, target * log_q, 0.0).sum(-1).mean()


def learn_weights(
    p: Tensor, features: Tensor, target: Tensor, *, signed: bool = False, penalty: float = 0.0
) -> Tensor:
    """The weights of greatest likelihood of q ∝ p exp(Σ_l w_l f_l), by L-BFGS-B.

    With rules r_l(x, y) for features and labels for the target these are the confidences λ_l. With
    features of x and p_data for the target, f = Σ w_l f_l is a constraint function learnt from
    data: of all laws with the data's expectations of the features, q is the nearest to p. That is
    maximum-entropy inverse reinforcement learning.

    Args:
        p, features, target: as in :func:`tilted_log_likelihood`.
        signed: whether weights below 0 are allowed.
        penalty: c of −½ c ‖w‖²; with c > 0 the weights are finite also where a rule always holds.

    Returns:
        ``[L]``, float64.

    Raises:
        ValueError: as there; a negative penalty, or no finite maximum: what is seen lies at the
            edge of what features allow, as with a rule that the data never break.

    Source: Ziebart et al. 2008; Hu et al. 2016b, EMNLP; Hu et al. 2018, arXiv:1806.09764.

    Example: a rule that holds for three quarters of the labels, under a student that guesses.
        >>> p = torch.full((4, 2), 0.5)
        >>> truth = torch.tensor([[[0.0], [1.0]]]).repeat(4, 1, 1)
        >>> y = torch.tensor([1, 1, 1, 0])
        >>> round(float(learn_weights(p, truth, torch.eye(2)[y])), 4), round(math.log(3), 4)
        (1.0986, 1.0986)
    """
    p, target = (v.double() / v.double().sum(-1, keepdim=True) for v in probabilities(p, target))
    features = torch.as_tensor(features).double()
    checked_weight(penalty, "the penalty")

    def loss(values):
        w = torch.tensor(values, dtype=torch.float64, requires_grad=True)
        value = penalty * w.square().sum() / 2 - tilted_log_likelihood(p, features, w, target)
        return float(value.detach()), torch.autograd.grad(value, w)[0].numpy()

    size = features.shape[-1] if features.ndim else 0
    bounds = None if signed else [(0, None)] * size
    tight = {"maxiter": 10_000, "ftol": 0, "gtol": 1e-10}
    found = minimize(
        loss, torch.zeros(size).numpy(), jac=True, method="L-BFGS-B", bounds=bounds, options=tight
    )
    learnt, values = torch.tensor(found.x), features.reshape(-1, size)
    if (learnt.abs() * (values.amax(0) - values.amin(0)) > 18).any():  # odds of e^18 to 1
        raise ValueError(
            "The likelihood has no finite maximum: it still rises at weights of "
            f"{float(learnt.abs().max()):.3g}. A rule is never broken in the data. Set penalty > 0."
        )
    return learnt
