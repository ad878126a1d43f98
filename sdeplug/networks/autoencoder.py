r"""Between data and a smaller space: a pair of networks with a scale.

Both are normal laws, :math:`q(z | x)` and :math:`p(x | z)`, so that a density of latents bounds one
of data:

.. math:: \log p(x) \ge E_{q(z | x)}\,\big[\log p(z) + \log p(x | z) - \log q(z | x)\big].

Reference: Kingma & Welling, arXiv 1312.6114; Burda et al., arXiv 1509.00519 (several draws);
Rombach et al., arXiv 2112.10752, appendix G (the scale); Rybkin et al., arXiv 2006.13202 (the
spread of p, trained).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from sdeplug.errors import ArgumentError, PairingError, brief
from sdeplug.noise import NoiseSource

_LEAST, _MOST = -30.0, 20.0  # of a log-variance: beyond it float32 has no number


class Posterior(NamedTuple):
    """The latents of data: N(mean, std^2), each coordinate by itself.

    Attributes:
        mean: shape ``(B, *E)``.
        std: likewise.
    """

    mean: Tensor
    std: Tensor

    def draw(self, noise: NoiseSource) -> Tensor:
        """Latents: shape ``(B, *E)``."""
        return self.mean + self.std * noise.normal(self.mean)

    def log_prob(self, z: Tensor) -> Tensor:
        """log q(z | x), in nats: shape ``(B,)``."""
        return _log_normal((z - self.mean) / self.std, self.std.log())


class Evidence(NamedTuple):
    """What bounds the log-density of data, term by term in nats; each of shape ``(K, B)``.

    Attributes:
        prior: log p(z), of the score model.
        decoder: log p(x | z).
        encoder: -log q(z | x).
    """

    prior: Tensor
    decoder: Tensor
    encoder: Tensor

    @property
    def bound(self) -> Tensor:
        """The log of the mean over the K draws of exp of the sum: shape ``(B,)``.

        Its mean is below log p(x), and nears it as K grows.
        """
        total = self.prior + self.decoder + self.encoder
        return total.logsumexp(0) - math.log(len(total))


class Autoencoder(nn.Module):
    """A pair of networks between data and latents, with a scale.

    The latents are (z' - shift) scale, where z' is what the encoder knows.  The density of data
    given latents is N(decoder(z'), spread^2), with a spread that is trained with the rest.

    Args:
        encoder: module from x of shape ``(B, *D)`` to ``(B, 2 C, *E)``: the means, then the
            log-variances, as in ``AutoencoderKL(...).encode(x).latent_dist.parameters``.
        decoder: module from z of shape ``(B, C, *E)`` to ``(B, *D)``.
        spread: standard deviation of data given latents, at the beginning.

    Raises:
        PairingError: if a network is none.
        ArgumentError: unless the spread is above 0.
    """

    shift: Tensor
    scale: Tensor

    def __init__(
        self,
        encoder: Callable[[Tensor], Tensor],
        decoder: Callable[[Tensor], Tensor],
        spread: float = 0.1,
    ) -> None:
        super().__init__()
        for name, value in (("encoder", encoder), ("decoder", decoder)):
            if not callable(value):
                raise PairingError(
                    f"{name} = {brief(value)}: must be a callable of a tensor. "
                    "The order is Autoencoder(encoder, decoder)."
                )
        if not spread > 0.0:
            raise ArgumentError("spread", spread, "above 0")
        self.encoder, self.decoder = encoder, decoder
        start = torch.tensor(math.log(spread), dtype=torch.float32, device="cpu")
        self.log_spread = nn.Parameter(start)
        self.register_buffer("shift", torch.zeros((), dtype=torch.float32, device="cpu"))
        self.register_buffer("scale", torch.ones((), dtype=torch.float32, device="cpu"))

    def forward(self, x: Tensor) -> Tensor:
        """Data of shape ``(B, *D)`` to latents and back."""
        return self.decode(self.encode(x))

    def posterior(self, x: Tensor) -> Posterior:
        """The latents of data of shape ``(B, *D)``.

        Raises:
            PairingError: if the encoder returns an odd number of channels.
        """
        output = self.encoder(x)
        if not isinstance(output, Tensor) or output.ndim < 2 or output.shape[1] % 2:
            found = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
            raise PairingError(
                f"the encoder returned {found}: must be a tensor of shape (B, 2 C, ...), the means "
                "of the latents, then their log-variances."
            )
        mean, log_variance = output.chunk(2, dim=1)
        std = (0.5 * log_variance.clamp(_LEAST, _MOST)).exp()
        return Posterior((mean - self.shift) * self.scale, std * self.scale)

    def encode(self, x: Tensor, noise: NoiseSource | None = None) -> Tensor:
        """Latents of data of shape ``(B, *D)``: their means, or a draw where there is noise."""
        posterior = self.posterior(x)
        return posterior.mean if noise is None else posterior.draw(noise)

    def decode(self, z: Tensor) -> Tensor:
        """Data of latents of shape ``(B, *E)``: the mean of p(x | z)."""
        return self.decoder(z / self.scale + self.shift)

    def log_prob(self, x: Tensor, z: Tensor) -> Tensor:
        """log p(x | z), in nats: shape ``(B,)``.

        Raises:
            PairingError: if the decoder returns anything but a tensor of the shape of x.
        """
        mean = self.decode(z)
        if mean.shape != x.shape:
            raise PairingError(
                f"the decoder returned shape {tuple(mean.shape)} for data of shape "
                f"{tuple(x.shape)}: must be the same."
            )
        return _log_normal((x - mean) / self.log_spread.exp(), self.log_spread.expand_as(x))

    @torch.no_grad()
    def standardise(self, x: Tensor) -> Autoencoder:
        """Set shift and scale so that the latents of x have mean 0 and variance 1; itself."""
        self.shift.zero_()
        self.scale.fill_(1.0)
        mean, std = self.posterior(x)
        variance = mean.double().var(correction=0) + std.double().square().mean()
        self.shift.fill_(mean.double().mean())
        self.scale.fill_(variance.rsqrt())
        return self

    def evidence(
        self,
        x: Tensor,
        log_prior: Callable[[Tensor], Tensor],
        noise: NoiseSource,
        draws: int = 1,
    ) -> Evidence:
        """What bounds log p(x) from below: the density of a latent model.

        Args:
            x: data, shape ``(B, *D)``.
            log_prior: from latents of shape ``(B, *E)`` to their log-density in nats, ``(B,)``.
            noise: where the random numbers come from.
            draws: K, latents for each row.

        Raises:
            ArgumentError: unless there is at least one draw.
        """
        if draws < 1:
            raise ArgumentError("draws", draws, "at least 1")
        posterior = self.posterior(x)
        terms = []
        for _ in range(draws):
            z = posterior.draw(noise)
            terms.append((log_prior(z), self.log_prob(x, z), -posterior.log_prob(z)))
        return Evidence(*(torch.stack(each) for each in zip(*terms, strict=True)))


def _log_normal(normal: Tensor, log_std: Tensor) -> Tensor:
    """Log-density of mean + std normal: both of shape ``(B, *D)``, to ``(B,)``."""
    nats = 0.5 * normal.square() + log_std + 0.5 * math.log(2.0 * math.pi)
    return -nats.flatten(1).sum(1)
