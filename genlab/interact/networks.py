"""A perceptron written down for a figure: net.mjs computes it in the page."""

from torch import Tensor, nn

ACTIVATIONS = {nn.Tanh: "tanh", nn.ReLU: "relu"}


def network(net: nn.Module, name: str, unit: int) -> dict:
    """Activation and layers [[W, b], …] of a perceptron, in whole multiples of 1/unit.

    Raises:
        ValueError: a network of another make, which is called by its name.
    """
    leaves = [module for module in net.modules() if not list(module.children())]
    affine, kinds = leaves[::2], {type(module) for module in leaves[1::2]}
    biased = all(isinstance(m, nn.Linear) and m.bias is not None for m in affine)
    if not (biased and len(leaves) % 2 and len(kinds) <= 1 and kinds <= set(ACTIVATIONS)):
        raise ValueError(
            f"Expected nn.Linear with bias and nn.Tanh, or nn.ReLU, in turn as the {name}'s "
            f"network, got {', '.join(type(m).__name__ for m in leaves)}."
        )
    return {
        "activation": ACTIVATIONS[kinds.pop()] if kinds else "tanh",
        "layers": [[_rounded(m.weight, unit), _rounded(m.bias, unit)] for m in affine],
    }


def _rounded(weights: Tensor, unit: int) -> list:
    return (weights.detach().double() * unit).round().long().tolist()
