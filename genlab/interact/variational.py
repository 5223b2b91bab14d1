"""The figure of chapter 05 on your own autoencoders: one for each β, with a code in the plane."""

import json
import math
from collections.abc import Mapping

import torch
from torch import Tensor
from torch.distributions.kl import kl_divergence

from genlab import data
from genlab.interact.explorable import Explorable
from genlab.interact.networks import network
from genlab.variational import VAE, BernoulliDecoder, GaussianEncoder


def explore_variational(models: Mapping[float, VAE] | None = None) -> Explorable:
    """Walk through the codes of your own VAEs, one for each β: the figure of chapter 05.

    The real digits and the curve of rate and distortion are those of the test set of
    :func:`genlab.data.digits`. Without models the figure is that of the page.

    Args:
        models: one to nine VAEs of 8 × 8 images, each under the β that it was trained with: a
            :class:`~genlab.variational.GaussianEncoder` and a
            :class:`~genlab.variational.BernoulliDecoder` of perceptrons with tanh or ReLU units,
            and a code of two numbers.

    Returns:
        an object to leave as the last line of a cell; it needs no kernel once it is shown.

    Raises:
        ValueError: models that do not fit.

    Example:
        >>> from genlab.nets import MLP
        >>> rng = torch.Generator().manual_seed(0)
        >>> encoder = GaussianEncoder(MLP(64, 4, (16,), generator=rng))
        >>> decoder = BernoulliDecoder(MLP(2, 64, (16,), generator=rng))
        >>> figure = explore_variational({1.0: VAE(encoder, decoder, latent=2)})
        >>> sorted(json.loads(figure.attributes["models"]))
        ['betas', 'curve', 'decoders', 'encoders', 'unit']
    """
    return Explorable("variational", {} if models is None else {"models": _own(models)})


def numbers(models: Mapping[float, VAE], unit: int) -> dict:
    """What the figure holds of the models: weights in whole multiples of 1/unit, and the curve.

    ``curve`` has rate and distortion of each model, means over the 360 test digits.
    """
    x = data.digits().test.flatten(1)
    pairs = [rate_distortion(model, x) for model in models.values()]
    return {
        "unit": unit,
        "betas": list(models),
        "curve": [[round(float(term.mean()), 4) for term in pair] for pair in pairs],
        "encoders": [network(model.encoder.net, "encoder", unit) for model in models.values()],
        "decoders": [network(model.decoder.net, "decoder", unit) for model in models.values()],
    }


@torch.no_grad()
def rate_distortion(model: VAE, x: Tensor) -> tuple[Tensor, Tensor]:
    """KL(q(z | x) ‖ p(z)) and −E_q log p(x | z) in nats, each ``[batch]``, without noise.

    What :meth:`genlab.variational.VAE.terms` approaches with very many draws: the expectation is
    taken by the trapezoid rule, 11 points an axis within four standard deviations.

    Args:
        model: with a code of two numbers.
        x: ``[batch, d]``.

    Example: a code that carries nothing, and pixels that are 1 with probability ½.
        >>> from torch import nn
        >>> encoder = GaussianEncoder(nn.Linear(64, 4))
        >>> model = VAE(encoder, BernoulliDecoder(nn.Linear(2, 64)), latent=2)
        >>> _ = [nn.init.zeros_(w) for w in model.parameters()]
        >>> [round(term.item(), 3) for term in rate_distortion(model, torch.ones(1, 64))]
        [0.0, 44.361]
    """
    x = x.to(next(model.parameters()))
    q = model.encoder(x)
    line = torch.linspace(-4, 4, 11).to(x)
    steps = torch.cartesian_prod(line, line)
    z = q.mean + q.stddev * steps[:, None]
    weights = (-steps.square().sum(1) / 2).softmax(0)
    rate = kl_divergence(q, model.prior().expand(q.batch_shape))
    return rate, -(weights @ model.decoder(z).log_prob(x))


def _own(models: Mapping[float, VAE]) -> str:
    named = isinstance(models, Mapping)
    numbered = named and all(isinstance(beta, int | float) for beta in models)
    if not numbered or not 1 <= len(models) <= 9 or not all(0 < b < math.inf for b in models):
        raise ValueError(
            "Expected one to nine models, each under its β > 0, for instance {1.0: vae}, "
            f"got {f'the keys {list(models)}' if named else f'a {type(models).__name__}'}."
        )
    for beta, model in models.items():
        fits = isinstance(model, VAE) and (model.latent, model.event) == (2, (64,))
        coders = (GaussianEncoder, BernoulliDecoder)
        if not fits or not all(map(isinstance, (model.encoder, model.decoder), coders)):
            raise ValueError(
                f"Expected under {beta} a VAE of 64 pixels with a code of two numbers, made of a "
                f"GaussianEncoder and a BernoulliDecoder, got {_described(model)}."
            )
    return json.dumps(numbers(dict(sorted(models.items())), unit=10_000))


def _described(model: object) -> str:
    if not isinstance(model, VAE):
        return f"a {type(model).__name__}"
    coders = f"{type(model.encoder).__name__} and {type(model.decoder).__name__}"
    return f"one of {model.event} with a code of {model.latent}, of {coders}"
