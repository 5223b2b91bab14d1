"""Chapter 08, GANs: a generator learns from a discriminator that tells its draws from the data."""

from genlab.gans.auxiliary import AuxiliaryDiscriminator, acgan_losses, infogan_losses
from genlab.gans.conditional import LabelEmbedding, ProjectionDiscriminator, accuracy
from genlab.gans.dcgan import dcgan_discriminator, dcgan_generator
from genlab.gans.dynamics import (
    alternating,
    clip_critic,
    dirac_gan,
    eigenvalues,
    extragradient,
    simultaneous,
    trajectory,
    zero_sum_field,
)
from genlab.gans.equalised import MinibatchDeviation, PixelNorm, equalised
from genlab.gans.features import classifier, features
from genlab.gans.fourier import FourierFeatures
from genlab.gans.games import (
    Equilibrium,
    FictitiousPlay,
    PurePlay,
    best_response_gap,
    fictitious_play,
    pure_play,
    solve_zero_sum,
)
from genlab.gans.growing import GrowingDiscriminator, GrowingGenerator, fade, fading
from genlab.gans.inference import BiGAN, bigan_game, information_bound
from genlab.gans.losses import (
    critic_loss,
    discriminator_loss,
    f_critic_loss,
    f_generator_loss,
    generator_loss,
    hinge_loss,
    into_domain,
)
from genlab.gans.measures import Coverage, coverage, frechet_distance, parzen, precision_recall
from genlab.gans.networks import (
    ConditionalDiscriminator,
    ConditionalGenerator,
    Discriminator,
    Generator,
    MinibatchDiscrimination,
    Packed,
    labelled,
)
from genlab.gans.noise import NormalAndCoins
from genlab.gans.optimal import (
    against_optimal,
    descended,
    smoothed_discriminator,
    value,
    value_of_the_best,
)
from genlab.gans.penalties import (
    clip_weights,
    gradient_penalty,
    lipschitz,
    r1_penalty,
    spectrally_normalised,
)
from genlab.gans.play import History, play
from genlab.gans.recipes import BEST_GRID, BEST_RING, GRID, RING, VANILLA, Recipe, outcomes
from genlab.gans.scaling import (
    TruncatedNormal,
    expected_classes,
    gradient_variance,
    orthogonal_penalty,
)
from genlab.gans.style import StyleGenerator, adain, truncated_style
from genlab.gans.wasserstein import BestCritic, kantorovich_rubinstein, parallel_lines

__all__ = [
    "BEST_GRID",
    "BEST_RING",
    "GRID",
    "RING",
    "VANILLA",
    "AuxiliaryDiscriminator",
    "BestCritic",
    "BiGAN",
    "ConditionalDiscriminator",
    "ConditionalGenerator",
    "Coverage",
    "Discriminator",
    "Equilibrium",
    "FictitiousPlay",
    "FourierFeatures",
    "Generator",
    "GrowingDiscriminator",
    "GrowingGenerator",
    "History",
    "LabelEmbedding",
    "MinibatchDeviation",
    "MinibatchDiscrimination",
    "NormalAndCoins",
    "Packed",
    "PixelNorm",
    "ProjectionDiscriminator",
    "PurePlay",
    "Recipe",
    "StyleGenerator",
    "TruncatedNormal",
    "accuracy",
    "acgan_losses",
    "adain",
    "against_optimal",
    "alternating",
    "best_response_gap",
    "bigan_game",
    "classifier",
    "clip_critic",
    "clip_weights",
    "coverage",
    "critic_loss",
    "dcgan_discriminator",
    "dcgan_generator",
    "descended",
    "dirac_gan",
    "discriminator_loss",
    "eigenvalues",
    "equalised",
    "expected_classes",
    "extragradient",
    "f_critic_loss",
    "f_generator_loss",
    "fade",
    "fading",
    "features",
    "fictitious_play",
    "frechet_distance",
    "generator_loss",
    "gradient_penalty",
    "gradient_variance",
    "hinge_loss",
    "infogan_losses",
    "information_bound",
    "into_domain",
    "kantorovich_rubinstein",
    "labelled",
    "lipschitz",
    "orthogonal_penalty",
    "outcomes",
    "parallel_lines",
    "parzen",
    "play",
    "precision_recall",
    "pure_play",
    "r1_penalty",
    "simultaneous",
    "smoothed_discriminator",
    "solve_zero_sum",
    "spectrally_normalised",
    "trajectory",
    "truncated_style",
    "value",
    "value_of_the_best",
    "zero_sum_field",
]
