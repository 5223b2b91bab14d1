"""Chapter 05's figure: five VAEs of the digits, how they are trained, and the static picture.

:func:`write` trains the five again and writes ``genlab/interact/js/variational.json``, which the
figure in the page and this module both read.
"""

import json
import math

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Generator, nn

from genlab import data, interact, plot, train
from genlab.interact.variational import numbers
from genlab.nets import MLP
from genlab.variational import VAE, BernoulliDecoder, GaussianEncoder

WEIGHTS = interact.SOURCES / "variational.json"
BETAS = (0.25, 0.5, 1.0, 2.0, 4.0)
UNIT = 50  # weights are whole multiples of 1/50
EACH = 6  # real digits of each class
DIGIT = 37  # the one that has its ellipse drawn: a 6


def recipe() -> dict:
    """Train the five VAEs on the training digits; all numbers of the file.

    Each starts where the one of the next smaller β ended, so that β moves the codes and does not
    shuffle them.
    """
    rng = Generator().manual_seed(1)
    digits = data.digits()
    model, models = network(rng), {}
    for beta in BETAS:
        for rate in (2e-2, 6e-3, 2e-3):
            train.fit(
                model,
                lambda vae, x, noise, beta=beta: -vae.elbo(x, beta=beta, generator=noise),
                digits.train.flatten(1),
                steps=600 if beta == BETAS[0] else 200,
                batch_size=256,
                lr=rate,
                generator=rng,
            )
        models[beta] = network(rng)
        models[beta].load_state_dict(
            {name: (w * UNIT).round() / UNIT for name, w in model.state_dict().items()}
        )
    order = torch.cat([(digits.test_labels == k).nonzero()[:EACH, 0] for k in range(10)])
    grey = (digits.test[order].flatten(1) * 16).long().tolist()
    return {
        "labels": digits.test_labels[order].tolist(),
        "digits": ["".join("0123456789abcdefg"[value] for value in row) for row in grey],
    } | numbers(models, UNIT)


def network(rng: Generator | None = None) -> VAE:
    """A VAE of 64 pixels and two codes, with tanh units."""
    encoder = MLP(64, 4, (16,), activation=nn.Tanh, generator=rng)
    decoder = MLP(2, 64, (28,), activation=nn.Tanh, generator=rng)
    return VAE(GaussianEncoder(encoder), BernoulliDecoder(decoder), latent=2)


def write() -> None:
    """Make the file anew, one line an entry."""
    lines = (f"{json.dumps(k)}: {json.dumps(v)}".replace(", ", ",") for k, v in recipe().items())
    WEIGHTS.write_text("{" + ",\n".join(lines) + "}\n", encoding="utf8")


def load() -> dict[float, VAE]:
    """The five VAEs of the file, each under its β.

    Example:
        >>> models = load()
        >>> list(models)
        [0.25, 0.5, 1.0, 2.0, 4.0]
        >>> models[1.0].decoder(torch.zeros(3, 2)).mean.shape
        torch.Size([3, 64])
    """
    told = json.loads(WEIGHTS.read_text(encoding="utf8"))
    models = {}
    for i, beta in enumerate(told["betas"]):
        model = models[beta] = network().requires_grad_(False)
        for net, name in ((model.encoder.net, "encoders"), (model.decoder.net, "decoders")):
            affine = [module for module in net if isinstance(module, nn.Linear)]
            for layer, (weight, bias) in zip(affine, told[name][i]["layers"], strict=True):
                layer.weight.data = torch.tensor(weight) / told["unit"]
                layer.bias.data = torch.tensor(bias) / told["unit"]
    return models


def variational() -> Figure:
    """Chapter 05: what codes decode to at three β, where the real digits are, and the curve."""
    told, models = json.loads(WEIGHTS.read_text(encoding="utf8")), load()
    grey = [[int(value, 17) / 16 for value in row] for row in told["digits"]]
    fig = Figure(figsize=(plot.WIDTH, plot.WIDTH * 400 / 640))
    top, bottom = fig.subfigures(2, 1, height_ratios=(3, 2))
    for ax, beta in zip(top.subplots(1, 3), (0.25, 1.0, 4.0), strict=True):
        _plane(ax, models[beta], torch.tensor(grey), told["labels"])
        ax.set_title(f"β = {beta:g}")
    ax, color = bottom.subplots(), plot.COLORS["model"]
    ax.plot(*zip(*told["curve"], strict=True), "o-", color=color)
    for beta, at in zip(told["betas"], told["curve"], strict=True):
        ax.annotate(f"β = {beta:g}", at, xytext=(5, 4), textcoords="offset points")
    ax.set(xlabel="rate, nats", ylabel="distortion, nats", xlim=(-0.1, 5.3), ylim=(19, 29))
    ax.set_title("mean of 360 test digits")
    return fig


def _plane(ax: Axes, model: VAE, x: torch.Tensor, labels: list[int]) -> None:
    """The code plane in tiles, each what its centre decodes to; over it the codes of real digits.

    The ellipse is one standard deviation of q(z | x) for one of them.
    """
    t = torch.linspace(-2.5, 2.5, 9)
    decoded = model.decoder(torch.cartesian_prod(-t, t).flip(1)).mean.view(9, 9, 8, 8)
    tiles = torch.nn.functional.pad(decoded, (0, 1, 0, 1)).transpose(1, 2).reshape(81, 81)
    image = torch.full((81, 81, 4), 0.5)  # a mid grey, seen on both grounds
    image[..., 3] = 0.8 * tiles
    edge = 2.5 * 9 / 8
    ax.imshow(image.numpy(), extent=(-edge, edge, -edge, edge))
    q = model.encoder(x)
    for (a, b), label in zip(q.mean.tolist(), labels, strict=True):
        ax.text(a, b, label, ha="center", va="center", fontsize=7)
    mean, sd = q.mean[DIGIT].numpy(), q.stddev[DIGIT].numpy()
    turn = torch.linspace(0, 2 * math.pi, 61)
    color = plot.COLORS["approx"]
    ax.plot(mean[0] + sd[0] * turn.cos(), mean[1] + sd[1] * turn.sin(), color=color)
    ax.set(xticks=[], yticks=[])
