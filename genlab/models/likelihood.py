"""How probable a model finds the data: the likelihood, its logarithm, and their divergence."""

from typing import Protocol

import torch
from torch import Tensor

from genlab.models.inputs import training_data


class Evaluates(Protocol):
    """Has ``log_prob(x)``, nats, ``[n]``: a density of genlab or of ``torch.distributions``."""

    def log_prob(self, x: Tensor) -> Tensor: ...


def likelihood(model: Evaluates, x: Tensor) -> Tensor:
    """The product Πᵢ p(xᵢ) over the observations, as it stands.

    It underflows: some hundred factors below one are less than the smallest floating-point
    number. That is why one works with :func:`log_likelihood`.

    Args:
        x: independent observations ``[n, *event]``.

    Returns:
        A tensor without axes.

    Raises:
        ValueError: bad data, or a model that does not return one value for each observation.

    Source: Fisher 1922, Phil. Trans. R. Soc. A 222, 309.

    Example:
        >>> normal = torch.distributions.Normal(0.0, 1.0)
        >>> likelihood(normal, torch.zeros(2)), likelihood(normal, torch.zeros(1000))
        (tensor(0.1592), tensor(0.))
    """
    return _log_prob(model, x).exp().prod()


def log_likelihood(model: Evaluates, x: Tensor) -> Tensor:
    """The log-likelihood Σᵢ log p(xᵢ), nats; −inf where an observation is impossible.

    Args:
        x: independent observations ``[n, *event]``.

    Returns:
        A tensor without axes, differentiable where ``log_prob`` is.

    Raises:
        ValueError: bad data, or a model that does not return one value for each observation.

    Source: Fisher 1922, Phil. Trans. R. Soc. A 222, 309.

    Example:
        >>> coin = torch.distributions.Bernoulli(probs=torch.tensor(0.75))
        >>> log_likelihood(coin, torch.tensor([1.0, 1.0, 0.0]))  # 2 log 3/4 + log 1/4
        tensor(-1.9617)
    """
    return _log_prob(model, x).sum()


def cross_entropy_of_data(model: Evaluates, x: Tensor) -> Tensor:
    """The cross-entropy of the empirical law, −(1/n) Σᵢ log p(xᵢ), nats per observation.

    It is defined for probabilities and for densities alike. On a finite set it is H(p̂) + KL(p̂‖p);
    for a density there is no such split: see :func:`kl_from_data`.

    Args:
        x: observations ``[n, *event]``.

    Returns:
        A tensor without axes.

    Raises:
        ValueError: bad data, or a model that does not return one value for each observation.

    Source: Bishop 2006, Pattern Recognition and Machine Learning, section 1.6.1.

    Example:
        >>> coin = torch.distributions.Bernoulli(probs=torch.tensor(0.75))
        >>> cross_entropy_of_data(coin, torch.tensor([1.0, 1.0, 0.0]))
        tensor(0.6539)
    """
    return -_log_prob(model, x).mean()


def empirical_law(x: Tensor) -> tuple[Tensor, Tensor]:
    """The different values among the observations, sorted, and their relative frequencies p̂.

    Args:
        x: observations ``[n]`` or ``[n, d]``.

    Returns:
        Values ``[m]`` or ``[m, d]`` in the dtype of the data, frequencies float64 ``[m]``.

    Raises:
        ValueError: bad data.

    Example:
        >>> empirical_law(torch.tensor([3, 1, 3, 3]))
        (tensor([1, 3]), tensor([0.2500, 0.7500], dtype=torch.float64))
    """
    x = torch.as_tensor(x)
    training_data(x)
    values, counts = x.unique(dim=0, return_counts=True)
    return values, counts.double() / len(x)


def kl_from_data(model: Evaluates, x: Tensor) -> Tensor:
    """KL(p̂‖p) = Σᵥ p̂(v) log(p̂(v) / p(v)), nats: from the empirical law to a model on a finite set.

    It is the cross-entropy of the data less the entropy of p̂, which no parameter moves: the model
    of maximum likelihood is the one nearest to the data. From p̂ to a *density* the divergence is
    infinite, for a density gives every single value the probability zero.

    Args:
        x: observations ``[n]`` or ``[n, d]``.

    Returns:
        A tensor without axes; +inf where a value that occurs is impossible.

    Raises:
        ValueError: bad data, or a model whose values at the observations sum to more than one,
            which is a density (one that sums to less is not found out).

    Source: Kullback & Leibler 1951, Ann. Math. Stat. 22, 79.

    Example:
        >>> coin = torch.distributions.Bernoulli(probs=torch.tensor([0.5], dtype=torch.float64))
        >>> kl_from_data(coin, torch.tensor([1.0, 1.0, 0.0]))  # log 2 - H(1/3)
        tensor(0.0566, dtype=torch.float64)
    """
    values, frequency = empirical_law(x)
    log_p = _log_prob(model, values)
    total = float(log_p.detach().double().exp().sum())
    if total > 1 + 1e-6:
        raise ValueError(
            f"The values of p at the {len(values)} different observations sum to {total:.4g}, more "
            "than one: this is a density, and KL from the data to a density is infinite. "
            "Compare densities by cross_entropy_of_data."
        )
    return (frequency * (frequency.log() - log_p)).sum()


def _log_prob(model: Evaluates, x: Tensor) -> Tensor:
    x = torch.as_tensor(x)
    if x.ndim == 0 or len(x) == 0:
        raise ValueError(
            f"Expected at least one observation, shape (n, *event), got shape {tuple(x.shape)}."
        )
    log_p = model.log_prob(x if x.is_floating_point() else x.double())
    if tuple(log_p.shape) != (len(x),):
        raise ValueError(
            f"Expected one log-probability for each of the {len(x)} observations, got shape "
            f"{tuple(log_p.shape)}. A distribution of torch over vectors needs Independent(p, 1)."
        )
    if log_p.isnan().any():
        raise ValueError(f"log_prob is NaN at {int(log_p.isnan().sum())} of {len(x)} observations.")
    return log_p
