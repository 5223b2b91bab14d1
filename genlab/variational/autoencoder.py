"""The autoencoder: a code that is shorter than x, and what is lost by it.

It is no model of the data: no law of the code is given to draw from. With affine maps its best
code is that of principal components.
"""

import torch
from torch import Tensor, nn

from genlab.em.kmeans import count
from genlab.models import query_points, training_data
from genlab.nets import MLP

__all__ = ["Autoencoder"]


class Autoencoder(nn.Module):
    """x̂ = g(f(x)) with the code f(x), trained to make ‖x − x̂‖² small.

    Args:
        encoder: f, from ``[batch, d]`` to ``[batch, latent]``.
        decoder: g, from ``[batch, latent]`` to ``[batch, d]``.

    Source: Hinton and Salakhutdinov 2006, Science 313, 504; Bourlard and Kamp 1988, Biol. Cybern.
        59, 291, for affine maps.

    Example:
        >>> x = torch.tensor([[3.0, 0.0], [-3.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
        >>> Autoencoder.pca(x, latent=1).error(x).tolist()
        [0.0, 0.0, 1.0, 1.0]
    """

    def __init__(self, encoder: nn.Module, decoder: nn.Module) -> None:
        super().__init__()
        self.encoder, self.decoder = encoder, decoder

    @classmethod
    def pca(cls, x: Tensor, latent: int) -> "Autoencoder":
        """The best autoencoder with affine maps: f(x) = Uᵀ(x − x̄) and g(z) = Uz + x̄.

        U holds the eigenvectors of the covariance with the largest eigenvalues; the mean error is
        the sum of the others. Any invertible A does as well: f = AUᵀ(x − x̄), g = UA⁻¹z + x̄.

        Raises:
            ValueError: bad data, or no code that is shorter than x.
        """
        x = training_data(x)
        if x.ndim != 2 or count(latent, "latent") >= x.shape[1]:
            raise ValueError(
                f"Expected data of shape (n, d) and a code shorter than d, got {tuple(x.shape)} "
                f"and latent={latent}."
            )
        mean, d = x.mean(0), x.shape[1]
        U = torch.linalg.svd(x - mean, full_matrices=True).Vh[:latent].T
        encoder, decoder = MLP(d, latent, ()), MLP(latent, d, ())
        with torch.no_grad():
            for layer, weight, bias in (
                (encoder[0], U.T, -U.T @ mean),
                (decoder[0], U, mean),
            ):
                layer.to(x.dtype)
                layer.weight.copy_(weight)
                layer.bias.copy_(bias)
        return cls(encoder, decoder).requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        """The reconstruction x̂."""
        return self.decoder(self.encoder(x))

    def error(self, x: Tensor) -> Tensor:
        """‖x − x̂‖², ``[batch]``: what training minimises.

        Raises:
            ValueError: data that are not finite, or reconstructions of another shape.
        """
        x = torch.as_tensor(x)
        x = query_points(x, tuple(x.shape[1:])).to(next(self.parameters()).dtype)
        again = self(x)
        if again.shape != x.shape:
            raise ValueError(
                f"Expected reconstructions of the shape of the data, {tuple(x.shape)}, got "
                f"{tuple(again.shape)}."
            )
        return (x - again).square().flatten(1).sum(1)
