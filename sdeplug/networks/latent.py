"""A network of latents, with the autoencoder that makes data of them."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from sdeplug.errors import PairingError, brief
from sdeplug.networks.autoencoder import Autoencoder
from sdeplug.score import ScoreModel, error_of, for_rows, sde_of
from sdeplug.sde import ForwardSDE


class Latent(nn.Module):
    """A network of latents, with the autoencoder that makes data of them.

    It stands where the network would: ``FromNoise(Latent(network, autoencoder), sde)`` is a score
    model of latents, and ``decode`` makes data of its samples.  :func:`save` writes both.

    Args:
        network: callable (z, t), such as ``Labelled(network, sde, label)``; z of shape
            ``(B, *E)``, t of shape ``(B,)``.
        autoencoder: between data and latents.

    Raises:
        PairingError: if a part is not what it should be.
    """

    def __init__(self, network: Callable[..., Tensor], autoencoder: Autoencoder) -> None:
        super().__init__()
        for name, value, wanted, right in (
            ("network", network, "a callable (z, t)", callable(network)),
            ("autoencoder", autoencoder, "an Autoencoder", isinstance(autoencoder, Autoencoder)),
        ):
            if not right:
                raise PairingError(
                    f"{name} = {brief(value)}: must be {wanted}. "
                    "The order is Latent(network, autoencoder)."
                )
        self.network, self.autoencoder = network, autoencoder

    def forward(self, z: Tensor, t: Tensor, **conditions: object) -> Tensor:
        """What the network says: z of shape ``(B, *E)``, t of shape ``(B,)``, its conditions."""
        output: Tensor = self.network(z, t, **conditions)
        return output

    def decode(self, z: Tensor) -> Tensor:
        """Data of latents of shape ``(B, *E)``."""
        return self.autoencoder.decode(z)

    @property
    def sde(self) -> ForwardSDE | None:
        """The SDE whose score the network is, where it says so."""
        return sde_of(self.network)

    @property
    def error(self) -> float | None:
        """Relative error of the noise that the network predicts, where it says so."""
        return error_of(self.network)

    def for_rows(self, rows: Tensor) -> ScoreModel:
        """The network for some rows of its batch: int64, shape ``(R,)``."""
        return for_rows(self.network, rows)
