"""The linear VAE: every integral has a closed form, so it judges all estimators.

z ~ N(0, I), x | z ~ N(Wz + μ, σ²I), q(z | x) = N(Ax + b, diag s²). The evidence is that of
probabilistic PCA, the expectation in the bound is known, and so is the optimum.
"""

import torch
from torch import Generator, Tensor, nn
from torch.distributions import Independent, LowRankMultivariateNormal, MultivariateNormal, Normal
from torch.distributions.kl import kl_divergence

from genlab.em import ProbabilisticPCA
from genlab.nets import MLP, weights_from
from genlab.variational.coders import GaussianDecoder
from genlab.variational.vae import VAE

__all__ = ["LinearEncoder", "LinearVAE"]


class LinearEncoder(nn.Module):
    """q(z | x) = N(Ax + b, diag s²): the deviations s are the same for every x."""

    def __init__(self, n_in: int, latent: int, *, generator: Generator | None = None) -> None:
        super().__init__()
        with weights_from(generator):
            self.mean = nn.Linear(n_in, latent)
        self.log_sigma = nn.Parameter(torch.zeros(latent))

    def forward(self, x: Tensor) -> Independent:
        mean = self.mean(x)
        return Independent(Normal(mean, self.log_sigma.exp().expand_as(mean)), 1)


class LinearVAE(VAE):
    """A VAE with affine maps for networks, whose evidence and bound are known exactly.

    At the maximum of the bound it is probabilistic PCA, and the bound touches log p(x): among the
    rotations of W one makes the posterior's covariance diagonal, as q's is.

    Args:
        n_in: length d of x.
        latent: length of z.
        generator: source of the first weights.

    Source: Lucas, Tucker, Grosse and Norouzi 2019, Don't blame the ELBO!, arXiv:1911.02469; the
        evidence: Tipping and Bishop 1999.

    Example:
        >>> g = torch.Generator().manual_seed(0)
        >>> model = LinearVAE(3, 1, generator=g)
        >>> x = model.sample(5, generator=g)
        >>> bool((model.exact_elbo(x) < model.log_prob(x)).all())
        True
    """

    def __init__(self, n_in: int, latent: int, *, generator: Generator | None = None) -> None:
        encoder = LinearEncoder(n_in, latent, generator=generator)
        super().__init__(
            encoder, GaussianDecoder(MLP(latent, n_in, (), generator=generator)), latent
        )

    @classmethod
    def optimum(cls, ppca: ProbabilisticPCA) -> "LinearVAE":
        """The maximum of the bound on the data that the model was fitted to, float64.

        Args:
            ppca: fitted with ``method="eigen"``, so that the columns of W are orthogonal.
        """
        d, latent = ppca.loadings.shape
        model = cls(d, latent).double()
        W, precision = ppca.loadings, ppca.noise.mean().reciprocal()
        variance = 1 / (1 + precision * (W**2).sum(0))  # the posterior's, which is diagonal
        project = precision * variance[:, None] * W.T
        with torch.no_grad():
            model._affine.weight.copy_(W)
            model._affine.bias.copy_(ppca.mean)
            model.decoder.log_sigma.copy_(-0.5 * precision.log())
            model.encoder.mean.weight.copy_(project)
            model.encoder.mean.bias.copy_(-project @ ppca.mean)
            model.encoder.log_sigma.copy_(0.5 * variance.log())
        return model

    def log_prob(self, x: Tensor) -> Tensor:
        """log N(x; μ, WWᵀ + σ²I) in nats, ``[batch]``: the evidence, exact."""
        mean, W, variance = self._affine.bias, self._affine.weight, self._variance
        marginal = LowRankMultivariateNormal(mean, W, variance.expand_as(mean))
        return marginal.log_prob(self._checked(x))

    def posterior(self, x: Tensor) -> MultivariateNormal:
        """p(z | x) = N(Σ Wᵀ(x − μ) / σ², Σ) with Σ⁻¹ = I + WᵀW / σ²; event ``(latent,)``."""
        W, variance = self._affine.weight, self._variance
        identity = torch.eye(self.latent, dtype=W.dtype, device=W.device)
        precision = identity + W.T @ W / variance
        shift = (self._checked(x) - self._affine.bias) @ W / variance
        mean = torch.linalg.solve(precision, shift.T).T
        return MultivariateNormal(mean, precision_matrix=precision)

    def exact_elbo(self, x: Tensor) -> Tensor:
        """The mean of ``elbo(x)`` over the draws, nats, ``[batch]``.

        E_q ‖x − Wz − μ‖² = ‖x − Wm − μ‖² + Σ_j s_j² ‖w_j‖² with m = Ax + b.
        """
        x = self._checked(x)
        q = self._encode(x)
        at_mean = self._decode(q.mean).log_prob(x)
        spread = (q.variance * (self._affine.weight**2).sum(0)).sum(1)
        return at_mean - 0.5 * spread / self._variance - kl_divergence(q, self.prior())

    @property
    def _affine(self) -> nn.Linear:
        return self.decoder.net[0]

    @property
    def _variance(self) -> Tensor:
        return (2 * self.decoder.log_sigma).exp()
