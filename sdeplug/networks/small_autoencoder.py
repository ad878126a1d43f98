"""A small autoencoder for tiny images."""

from __future__ import annotations

from torch import Tensor, nn

from sdeplug.errors import ArgumentError
from sdeplug.networks.autoencoder import Autoencoder, Posterior
from sdeplug.networks.embedding import checked_width


class SmallAutoencoder(Autoencoder):
    """An autoencoder for images of 8 to 32 pixels, whose latents have a quarter of their sides.

    Args:
        image_channels: channels of an image.
        latent_channels: channels of the latents.
        width: channels at half the size, a multiple of 8; twice as many below.
        spread: standard deviation of data given latents, at the beginning.
    """

    def __init__(
        self,
        image_channels: int = 1,
        latent_channels: int = 4,
        width: int = 32,
        spread: float = 0.1,
    ) -> None:
        inner = 2 * checked_width(width)
        encoder = nn.Sequential(
            nn.Conv2d(image_channels, width, 3, stride=2, padding=1), nn.SiLU(),
            _Residual(width), nn.Conv2d(width, inner, 3, stride=2, padding=1), nn.SiLU(),
            _Residual(inner), nn.Conv2d(inner, 2 * latent_channels, 1),
        )  # fmt: skip
        decoder = nn.Sequential(
            nn.Conv2d(latent_channels, inner, 3, padding=1), _Residual(inner),
            nn.Upsample(scale_factor=2), nn.Conv2d(inner, width, 3, padding=1), _Residual(width),
            nn.Upsample(scale_factor=2), nn.Conv2d(width, width, 3, padding=1), nn.SiLU(),
            nn.Conv2d(width, image_channels, 3, padding=1),
        )  # fmt: skip
        super().__init__(encoder, decoder, spread)
        self.settings = {
            "image_channels": image_channels, "latent_channels": latent_channels, "width": width,
            "spread": spread,
        }  # fmt: skip

    def posterior(self, x: Tensor) -> Posterior:
        """The latents of images of shape ``(B, C, H, W)``.

        Raises:
            ArgumentError: unless their sides are multiples of 4.
        """
        if x.ndim != 4 or x.shape[2] % 4 or x.shape[3] % 4:
            raise ArgumentError(
                "x", f"of shape {tuple(x.shape)}", "images (B, C, H, W) of sides that 4 divides",
                "torch.nn.functional.pad makes them so.",
            )  # fmt: skip
        return super().posterior(x)


class _Residual(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.inner = nn.Sequential(
            nn.GroupNorm(8, channels), nn.SiLU(), nn.Conv2d(channels, channels, 3, padding=1),
            nn.GroupNorm(8, channels), nn.SiLU(), nn.Conv2d(channels, channels, 3, padding=1),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        output: Tensor = x + self.inner(x)
        return output
