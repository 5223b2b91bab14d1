"""Chapter 06, flows: invertible maps that carry a simple law to the data, with exact densities."""

from genlab.flows.actnorm import ActNorm, data_dependent_start
from genlab.flows.augmented import AugmentedFlow
from genlab.flows.change import BoxMuller, log_pushforward
from genlab.flows.convolution import InvertibleConv, LUConv
from genlab.flows.couplings import AdditiveCoupling, AffineCoupling, Coupling, Turns, zero_last
from genlab.flows.dequantise import Dequantised, bits_per_dim
from genlab.flows.flow import Flow, StandardNormal, UnitCube, negative_log_likelihood
from genlab.flows.glow import Glow, glow_step
from genlab.flows.images import MultiScale, Squeeze, conv_net
from genlab.flows.margins import GaussianMargins
from genlab.flows.nice import NICE
from genlab.flows.noise import NoisyFlow
from genlab.flows.realnvp import ImageRealNVP, RealNVP
from genlab.flows.residual import Contraction, FixedPoint, ResidualBlock, fixed_point
from genlab.flows.splines import SplineCoupling, rational_quadratic
from genlab.flows.transforms import Compose, Inverse, Permutation, Scaling, Transform
from genlab.flows.triangular import KnotheRosenblatt

__all__ = [
    "NICE",
    "ActNorm",
    "AdditiveCoupling",
    "AffineCoupling",
    "AugmentedFlow",
    "BoxMuller",
    "Compose",
    "Contraction",
    "Coupling",
    "Dequantised",
    "FixedPoint",
    "Flow",
    "GaussianMargins",
    "Glow",
    "ImageRealNVP",
    "Inverse",
    "InvertibleConv",
    "KnotheRosenblatt",
    "LUConv",
    "MultiScale",
    "NoisyFlow",
    "Permutation",
    "RealNVP",
    "ResidualBlock",
    "Scaling",
    "SplineCoupling",
    "Squeeze",
    "StandardNormal",
    "Transform",
    "Turns",
    "UnitCube",
    "bits_per_dim",
    "conv_net",
    "data_dependent_start",
    "fixed_point",
    "glow_step",
    "log_pushforward",
    "negative_log_likelihood",
    "rational_quadratic",
    "zero_last",
]
