"""Chapter 05, variational inference: bounds, their gradients, and models trained by them."""

from genlab.variational.autoencoder import Autoencoder
from genlab.variational.bounds import (
    draw,
    elbo,
    importance_bound,
    log_weights,
    naive_evidence,
)
from genlab.variational.coders import BernoulliDecoder, GaussianDecoder, GaussianEncoder, rsample
from genlab.variational.directions import (
    Direction,
    HelmholtzMachine,
    sleep,
    variational_e_step,
    variational_m_step,
    wake,
)
from genlab.variational.forms import Forms, Surgery, elbo_forms, elbo_surgery, gap
from genlab.variational.gradients import (
    optimal_baseline,
    reparameterised_gradient,
    score_gradient,
)
from genlab.variational.linear import LinearEncoder, LinearVAE
from genlab.variational.mcem import monte_carlo_em
from genlab.variational.meanfield import Ascent, coordinate_ascent, margins, mean_field
from genlab.variational.nvil import NVIL, BernoulliEncoder
from genlab.variational.vae import IWAE, VAE, Terms, negative_elbo
from genlab.variational.variances import Variances, sine_variances, square_variances

__all__ = [
    "IWAE",
    "NVIL",
    "VAE",
    "Ascent",
    "Autoencoder",
    "BernoulliDecoder",
    "BernoulliEncoder",
    "Direction",
    "Forms",
    "GaussianDecoder",
    "GaussianEncoder",
    "HelmholtzMachine",
    "LinearEncoder",
    "LinearVAE",
    "Surgery",
    "Terms",
    "Variances",
    "coordinate_ascent",
    "draw",
    "elbo",
    "elbo_forms",
    "elbo_surgery",
    "gap",
    "importance_bound",
    "log_weights",
    "margins",
    "mean_field",
    "monte_carlo_em",
    "naive_evidence",
    "negative_elbo",
    "optimal_baseline",
    "reparameterised_gradient",
    "rsample",
    "score_gradient",
    "sine_variances",
    "sleep",
    "square_variances",
    "variational_e_step",
    "variational_m_step",
    "wake",
]
