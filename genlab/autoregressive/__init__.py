"""Chapter 07, autoregressive models: the product rule, and networks for its conditionals."""

from genlab.autoregressive.autoflow import IAF, MAF, MaskedAffine
from genlab.autoregressive.cache import Cache
from genlab.autoregressive.fvbn import FVBN
from genlab.autoregressive.gated import GatedPixelCNN
from genlab.autoregressive.made import MADE, MaskedMLP
from genlab.autoregressive.markov import MarkovChain, entropy_rate, stationary
from genlab.autoregressive.masks import MaskedConv, causal_mask, receptive_field
from genlab.autoregressive.model import Autoregressive, drawn, log_conditional, nll
from genlab.autoregressive.mulaw import from_mu_law, mu_law
from genlab.autoregressive.nade import NADE
from genlab.autoregressive.noise import NoiseMixture, UniformNoise
from genlab.autoregressive.orderings import OrderMixture, any_order, known_first, ordering
from genlab.autoregressive.pixelcnn import PixelCNN
from genlab.autoregressive.pixelrnn import DiagonalBiLSTM, PixelRNN, RowLSTM, skew, unskew
from genlab.autoregressive.product import Tabular, free_parameters, states
from genlab.autoregressive.raster import RasterModel
from genlab.autoregressive.recurrent import RNNDensity
from genlab.autoregressive.sampling import Sweeps, jacobi, naive, sweep
from genlab.autoregressive.sequence import SequenceModel, influence
from genlab.autoregressive.sound import Sound, plucked
from genlab.autoregressive.text import Alphabet, brackets, python_topics
from genlab.autoregressive.transformer import CausalTransformer
from genlab.autoregressive.wavenet import WaveNet

__all__ = [
    "FVBN",
    "IAF",
    "MADE",
    "MAF",
    "NADE",
    "Alphabet",
    "Autoregressive",
    "Cache",
    "CausalTransformer",
    "DiagonalBiLSTM",
    "GatedPixelCNN",
    "MarkovChain",
    "MaskedAffine",
    "MaskedConv",
    "MaskedMLP",
    "NoiseMixture",
    "OrderMixture",
    "PixelCNN",
    "PixelRNN",
    "RNNDensity",
    "RasterModel",
    "RowLSTM",
    "SequenceModel",
    "Sound",
    "Sweeps",
    "Tabular",
    "UniformNoise",
    "WaveNet",
    "any_order",
    "brackets",
    "causal_mask",
    "drawn",
    "entropy_rate",
    "free_parameters",
    "from_mu_law",
    "influence",
    "jacobi",
    "known_first",
    "log_conditional",
    "mu_law",
    "naive",
    "nll",
    "ordering",
    "plucked",
    "python_topics",
    "receptive_field",
    "skew",
    "states",
    "stationary",
    "sweep",
    "unskew",
]
