"""Soft logic: statements that are true to a degree, and rules as values that compose.

Łukasiewicz's connectives extend the truth table of logic from {0, 1} to [0, 1]. They are piecewise
linear, and at the corners they are the usual ones; a ⇒ b is fully true just where b is at least as
true as a.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Rule", "average", "soft_and", "soft_implies", "soft_not", "soft_or", "truth_values"]


def truth_values(a: Tensor, name: str = "a truth value") -> Tensor:
    """Check degrees of truth, of any shape, and return them as floats.

    Raises:
        ValueError: numbers outside [0, 1], or NaN.

    Example:
        >>> truth_values([0.2, 1.5], name="the rule 'rain'")
        Traceback (most recent call last):
        ...
        ValueError: Expected the rule 'rain' in [0, 1], got 1.5 (1 of 2 values are outside). Squash
        it, for instance by torch.sigmoid, or rescale it.
    """
    a = torch.as_tensor(a)
    a = a if a.is_floating_point() else a.double()
    off = ~((a >= 0) & (a <= 1))
    if off.any():
        raise ValueError(
            f"Expected {name} in [0, 1], got {float(a[off].flatten()[0]):.4g} ({int(off.sum())} of "
            f"{a.numel()} values are outside). Squash it, for instance by torch.sigmoid, or "
            "rescale it."
        )
    return a


def soft_not(a: Tensor) -> Tensor:
    """¬a = 1 − a.

    Raises:
        ValueError: values outside [0, 1]; so do all connectives.
    """
    return 1 - truth_values(a)


def soft_and(a: Tensor, b: Tensor) -> Tensor:
    """a ∧ b = max(a + b − 1, 0): what is half true twice may be false.

    Source: Łukasiewicz and Tarski 1930; Bach et al. 2017, arXiv:1505.04406.

    Example:
        >>> soft_and([1.0, 0.7, 0.5], [0.0, 0.8, 0.5])
        tensor([0.0000, 0.5000, 0.0000])
    """
    return (truth_values(a) + truth_values(b) - 1).clamp_min(0)


def soft_or(a: Tensor, b: Tensor) -> Tensor:
    """a ∨ b = min(a + b, 1).

    Example:
        >>> soft_or([0.0, 0.25], [0.0, 0.5])
        tensor([0.0000, 0.7500])
    """
    return (truth_values(a) + truth_values(b)).clamp_max(1)


def soft_implies(a: Tensor, b: Tensor) -> Tensor:
    """a ⇒ b = min(1 − a + b, 1): what a is truer than b, the implication lacks.

    Example:
        >>> soft_implies([0.75, 0.25], [0.25, 0.75])
        tensor([0.5000, 1.0000])
    """
    return (1 - truth_values(a) + truth_values(b)).clamp_max(1)


@dataclass(frozen=True)
class Rule:
    """A statement about a world: true to a degree in [0, 1].

    Rules compose: ``a & b``, ``a | b``, ``~a``, and ``a >> b`` for a ⇒ b. Python binds ``>>`` more
    tightly than ``&``, and ``&`` more tightly than ``|``; parentheses help.

    Args:
        truth: takes what describes the worlds, returns one degree for each.
        name: what messages call the rule.

    Example:
        >>> rain, wet = Rule(lambda w: w[:, 0], "rain"), Rule(lambda w: w[:, 1], "wet")
        >>> rule = rain >> wet
        >>> rule.name
        '(rain ⇒ wet)'
        >>> rule(torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.75, 0.5]]))
        tensor([1.0000, 0.0000, 0.7500])
    """

    truth: Callable[..., Tensor]
    name: str

    def __call__(self, *world: Tensor) -> Tensor:
        """The degree of truth in each world.

        Raises:
            ValueError: a degree outside [0, 1]; the rule is named.
        """
        return truth_values(self.truth(*world), f"the rule {self.name!r}")

    def __invert__(self) -> "Rule":
        return Rule(lambda *w: soft_not(self(*w)), f"¬{self.name}")

    def __and__(self, other: "Rule") -> "Rule":
        return _joined(soft_and, "∧", self, other)

    def __or__(self, other: "Rule") -> "Rule":
        return _joined(soft_or, "∨", self, other)

    def __rshift__(self, other: "Rule") -> "Rule":
        return _joined(soft_implies, "⇒", self, other)


def average(*rules: Rule) -> Rule:
    """The mean of some rules: a milder "and", which counts how many of them hold.

    Hu et al. join the parts of a rule so. At the corners it is 1 where the conjunction is, and
    below 1 elsewhere.

    Raises:
        ValueError: no rules.

    Source: Hu et al. 2016, arXiv:1603.06318, section 3.

    Example:
        >>> yes, no = Rule(lambda w: 0 * w + 1, "yes"), Rule(lambda w: 0 * w, "no")
        >>> average(yes, no)(torch.zeros(1)), (yes & no)(torch.zeros(1))
        (tensor([0.5000]), tensor([0.]))
    """
    if not rules:
        raise ValueError("Expected one rule or more to average, got none.")
    name = f"mean({', '.join(rule.name for rule in rules)})"
    return Rule(lambda *w: torch.stack([rule(*w) for rule in rules]).mean(0), name)


def _joined(connective: Callable, sign: str, a: Rule, b: Rule) -> Rule:
    return Rule(lambda *w: connective(a(*w), b(*w)), f"({a.name} {sign} {b.name})")
