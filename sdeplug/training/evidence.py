r"""Three networks at once: an encoder, a decoder, and the score of what is between them.

.. math:: -\log p(x) \le E_{q(z | x)}\,\big[-\log p(x | z) + \log q(z | x) - \log p(z)\big].

The last term is a cross-entropy, which no network gives.  It is bounded by denoising score
matching with the weight of maximum likelihood,

.. math:: E\,[-\log p(z)] \le \tfrac12 \int g^2\,E\,\|s_\theta + \epsilon / \sigma\|^2\,dt
          + KL\big(q(z_T | z_0)\,\|\,p(z_T)\big) + \tfrac D2 \log 2 \pi e\,\sigma_\varepsilon^2,

and the bound is met where the score is that of p.  Its gradient reaches the encoder, too.

Reference: Vahdat et al., arXiv 2106.05931, equation 8 and theorem 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, cast

from torch import Tensor

from sdeplug.errors import PairingError, brief
from sdeplug.noise import NoiseSource
from sdeplug.options import option
from sdeplug.score import FromNoise, Parametrisation
from sdeplug.sde import LinearSDE
from sdeplug.training.denoising import DenoisingLoss
from sdeplug.training.divergence import prior_divergence
from sdeplug.training.loss import Loss, Network, checked_data
from sdeplug.training.times import ImportanceTimes, UniformTimes
from sdeplug.training.weightings import Likelihood


class Between(Protocol):
    """What a latent network has as ``autoencoder``: the laws between data and latents."""

    def posterior(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of the latents of data."""
        ...

    def log_prob(self, x: Tensor, z: Tensor) -> Tensor:
        """log p(x | z), in nats: shape ``(B,)``."""
        ...


@dataclass(frozen=True, repr=False)
class EvidenceLoss(Loss):
    """The negative evidence bound of log p(x) in nats, of a score model in a latent space.

    The network is one with an autoencoder, ``Latent(network, autoencoder)``, and all of it is
    trained together.  The latents are those of time eps, where the score model ends: a little
    noise is in what the decoder sees.

    The mean over rows is the bound for each coordinate of the data, or for all of them if not
    ``mean``.

    Raises:
        PairingError: unless the SDE is linear.
        ArgumentError: if a part is not what it should be.
    """

    sde: LinearSDE = option(help="forward SDE")
    parametrisation: type[Parametrisation] = option(FromNoise, help="what the network predicts")
    times: ImportanceTimes | UniformTimes = option(
        ImportanceTimes(), help="at which times the score is looked at"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        self._matching  # noqa: B018  what does not fit is an error now, not in the run

    def __call__(self, network: Network, x0: Tensor, noise: NoiseSource) -> Tensor:
        """The loss of each row of x0, shape ``(B, *D)``: shape ``(B,)``.

        Raises:
            PairingError: for a network without an autoencoder.
        """
        autoencoder, data = autoencoder_of(network), checked_data(x0, noise)
        first = self.sde.at(self.times.first(self.sde))
        mean, std = autoencoder.posterior(data)
        draw = noise.normal(mean)
        spread = (first.alpha**2 * std.square() + first.sigma**2).sqrt()
        decoded = autoencoder.log_prob(data, first.alpha * mean + spread * draw)
        z0 = mean + std * draw
        span = self.sde.T - self.times.first(self.sde)
        matching = span * self._matching(network, z0, noise)
        constants = prior_divergence(self.sde, z0) + (first.sigma / spread).log()
        nats = matching + constants.flatten(1).sum(1) - decoded
        return nats / data[0].numel() if self.mean else nats

    @property
    def _matching(self) -> DenoisingLoss:
        return DenoisingLoss(
            self.sde, self.parametrisation, Likelihood(), self.times, mean=False
        )  # fmt: skip


def autoencoder_of(network: object) -> Between:
    """The autoencoder of a network, through what is around it.

    Raises:
        PairingError: if it has none.
    """
    inside: Any = network
    while inside is not None:
        if getattr(inside, "autoencoder", None) is not None:
            return cast(Between, inside.autoencoder)
        inside = getattr(inside, "module", getattr(inside, "network", None))
    raise PairingError(
        f"network = {brief(network)}: must have an autoencoder. "
        "Latent(network, autoencoder) is one with both."
    )
