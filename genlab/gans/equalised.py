"""Three layers against players that run away: one speed for all, one length, one look at the batch.

They came with progressive growing, and serve without it.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import register_parametrization

__all__ = ["MinibatchDeviation", "PixelNorm", "equalised"]


class _Scaled(nn.Module):
    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, weight: Tensor) -> Tensor:
        return self.factor * weight


def equalised(layer: nn.Linear | nn.Conv2d, gain: float = math.sqrt(2)) -> nn.Module:
    """A layer with weights c·v, where v ~ N(0, 1) is learnt and c = gain/√fan_in is not.

    It starts as a layer with weights of He's law N(0, c²), and learns otherwise: Adam moves every v
    by about η whatever its gradient, so every weight by ηc, the same share of its size in all
    layers. Without the c the wide layers, whose weights are small, would learn faster.

    Args:
        layer: its weights are drawn anew, see :func:`genlab.nets.weights_from`; its biases are 0.
        gain: √2 before a rectifier, 1 before nothing.

    Returns:
        the layer, changed in place.

    Source: Karras et al. 2018, section 4.1.

    Example:
        >>> layer = equalised(nn.Linear(8, 1), gain=1.0)
        >>> raw = layer.parametrizations.weight.original
        >>> torch.allclose(layer.weight, raw / 8**0.5)
        True
    """
    nn.init.normal_(layer.weight)
    nn.init.zeros_(layer.bias)
    fan_in = layer.weight[0].numel()
    register_parametrization(layer, "weight", _Scaled(gain / math.sqrt(fan_in)))
    return layer


class PixelNorm(nn.Module):
    """x/√(mean of x² over the channels), at every pixel: lengths cannot run away.

    Source: Karras et al. 2018, section 4.2.

    Example:
        >>> PixelNorm()(torch.tensor([[3.0, 4.0]]))
        tensor([[0.8485, 1.1314]])
    """

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.rsqrt(x.square().mean(1, keepdim=True) + 1e-8)


class MinibatchDeviation(nn.Module):
    """One more channel: how much the images of the batch differ, the same number everywhere.

    It is the standard deviation over the batch, averaged over channels and pixels. A generator that
    draws one image again and again gives 0, and is found out.

    Source: Karras et al. 2018, section 3.

    Example:
        >>> x = torch.tensor([[[[1.0]]], [[[5.0]]]])
        >>> MinibatchDeviation()(x).flatten(1)
        tensor([[1., 2.],
                [5., 2.]])
    """

    def forward(self, x: Tensor) -> Tensor:
        deviation = x.std(0, correction=0).mean()
        return torch.cat([x, deviation.expand_as(x[:, :1])], 1)
