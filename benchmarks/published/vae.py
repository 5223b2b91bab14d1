"""VAE and IWAE on binarised MNIST, beside the table of Burda, Grosse and Salakhutdinov.

python -m benchmarks.published.vae --data FOLDER --folder CHECKPOINTS

The setting of the paper: one stochastic layer of 50 units, two hidden layers of 200 tanh units on
either side, and pixels that are drawn anew, with their grey values as probabilities, each time an
image is shown. Shorter than in the paper: 100 epochs for the VAE and 50 for the IWAE with batches
of 100, not 3,280 with batches of 20; and the bound on the test set is from 1,000 draws, not 5,000.
The learning rate was chosen on training images that were held out.
"""

from argparse import Namespace

import torch
from torch import Tensor, nn

from benchmarks import record
from benchmarks.published import training
from genlab import data
from genlab.nets import MLP
from genlab.variational import IWAE, VAE, BernoulliDecoder, GaussianEncoder, negative_elbo

SOURCE = "Burda, Grosse and Salakhutdinov 2016, table 1"
PUBLISHED = {1: 86.76, 5: 85.54}  # nats, by k
STAGES = {
    1: ((45_000, 3e-3), (10_000, 1e-3), (5_000, 3e-4)),
    5: ((22_500, 3e-3), (5_000, 1e-3), (2_500, 3e-4)),
}
BATCH, DRAWS, SEED = 100, 1000, 0


def model(k: int, latent: int = 50, width: int = 200) -> VAE:
    """The networks of the paper; k = 1 is the VAE, with its divergence in closed form."""
    g = torch.Generator().manual_seed(SEED)
    nets = (
        MLP(n_in, n_out, (width, width), activation=nn.Tanh, generator=g)
        for n_in, n_out in ((784, 2 * latent), (latent, 784))
    )
    encoder, decoder = GaussianEncoder(next(nets)), BernoulliDecoder(next(nets))
    return VAE(encoder, decoder, latent) if k == 1 else IWAE(encoder, decoder, latent, k=k)


def drawn_loss(model: VAE, grey: Tensor, g: torch.Generator) -> Tensor:
    """The bound on a fresh binary image of each grey one."""
    return negative_elbo(model, torch.bernoulli(grey, generator=g), g)


def likelihood(k: int, images: data.Images, chosen: Namespace) -> dict:
    """Train with k draws, and bound the negative log-likelihood of the test images."""
    vae, stages = model(k), STAGES[k]
    name = "VAE" if k == 1 else f"IWAE, k = {k}"
    x = images.train.flatten(1)
    seconds = training.train(
        f"vae-{k}", vae, drawn_loss, x, stages, batch_size=BATCH, seed=SEED, chosen=chosen
    )
    g = torch.Generator().manual_seed(SEED)
    test = torch.bernoulli(images.test.flatten(1), generator=g).to(chosen.device)
    g = torch.Generator(chosen.device).manual_seed(SEED)
    nats = -vae.log_prob_estimate(test, DRAWS, generator=g)
    # What more draws would add, on some of the images.
    more = -vae.log_prob_estimate(test[:500], 5 * DRAWS, generator=g)
    with torch.no_grad():
        bound = -VAE.elbo(vae, test, 10, generator=g).mean()
    figure = float(nats.mean())
    steps = sum(n for n, _ in stages)
    return {
        "what": f"{name}: negative log-likelihood of binarised MNIST",
        "setting": {
            "binarisation": "drawn anew each time",
            "epochs": round(steps * BATCH / len(x)),
            "batch": BATCH,
            "k": k,
            "draws in the bound on the test set": DRAWS,
            "seed": SEED,
        },
        "published": [
            {
                "what": "nats an image",
                "here": figure,
                "published": PUBLISHED[k],
                "source": f"{SOURCE}, with 5,000 draws",
            }
        ],
        "standard_error_in_nats": float(nats.std()) / len(test) ** 0.5,
        "nats_gained_by_5000_draws_on_500_images": float((nats[:500] - more).mean()),
        "nats_of_the_VAE's_bound_with_10_draws": float(bound),
        "training_seconds": seconds,
        "targets": [record.target("nats an image", figure, 94, at_least=False)],
    }


def main() -> None:
    chosen = training.options("VAE and IWAE on binarised MNIST.", 21)
    environment = record.environment("genlab", "torch", "numpy", "torchvision")
    images = data.mnist(chosen.data)
    measurements = []
    for k in STAGES:
        measurements.append(likelihood(k, images, chosen))
        record.show(measurements[-1])
    record.save(
        "published_vae",
        {"family": "published: VAE and IWAE", **environment, "measurements": measurements},
    )


if __name__ == "__main__":
    main()
