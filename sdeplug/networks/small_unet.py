"""A small network for tiny images."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sdeplug.networks.embedding import Embedding, checked_width


class SmallUNet(nn.Module):
    """A network of (x, log-SNR) for images of 8 to 32 pixels: three resolutions, no attention.

    It begins as 0.  What it predicts is what it is trained for; under a schedule it is
    ``Labelled(network, sde, LogSNRLabel())``, or :class:`Preconditioned`.

    Args:
        image_channels: channels of an image.
        width: channels at the finest resolution, a multiple of 8; twice as many below.
        classes: number of classes; 0: none.
    """

    def __init__(self, image_channels: int = 1, width: int = 32, classes: int = 0) -> None:
        super().__init__()
        self.settings = {"image_channels": image_channels, "width": width, "classes": classes}
        inner = 2 * checked_width(width)
        self.embedding = Embedding(4 * width, classes)
        self.first = nn.Conv2d(image_channels, width, 3, padding=1)
        down = ((width, width), (width, inner), (inner, inner))
        up = ((2 * inner, inner), (2 * inner, width), (2 * width, width))
        self.down = nn.ModuleList(_Block(*each, 4 * width) for each in down)
        self.middle = _Block(inner, inner, 4 * width)
        self.up = nn.ModuleList(_Block(*each, 4 * width) for each in up)
        self.last = nn.Conv2d(width, image_channels, 3, padding=1)
        for each in self.last.parameters():
            nn.init.zeros_(each)

    def forward(self, x: Tensor, log_snr: Tensor, labels: Tensor | int | None = None) -> Tensor:
        """x of shape ``(B, C, H, W)``, log_snr and labels of shape ``(B,)``: like x."""
        embedded = self.embedding(log_snr, labels)
        hidden, kept = self.first(x), []
        for block in self.down:
            hidden = block(hidden, embedded)
            kept.append(hidden)
            hidden = nn.functional.avg_pool2d(hidden, 2, ceil_mode=True)
        hidden = self.middle(hidden, embedded)
        for block in self.up:
            beside = kept.pop()
            hidden = nn.functional.interpolate(hidden, size=beside.shape[2:])
            hidden = block(torch.cat((hidden, beside), dim=1), embedded)
        output: Tensor = self.last(nn.functional.silu(hidden))
        return output


class _Block(nn.Module):
    """Two convolutions; the embedding scales and shifts what is between them."""

    def __init__(self, inputs: int, outputs: int, embedding: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList((nn.GroupNorm(8, inputs), nn.GroupNorm(8, outputs)))
        self.convolutions = nn.ModuleList(
            nn.Conv2d(each, outputs, 3, padding=1) for each in (inputs, outputs)
        )
        self.modulation = nn.Linear(embedding, 2 * outputs)
        self.beside = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else nn.Identity()

    def forward(self, x: Tensor, embedded: Tensor) -> Tensor:
        scale, shift = self.modulation(nn.functional.silu(embedded))[:, :, None, None].chunk(2, 1)
        hidden = self.convolutions[0](nn.functional.silu(self.norms[0](x)))
        hidden = self.norms[1](hidden) * (1.0 + scale) + shift
        output: Tensor = self.beside(x) + self.convolutions[1](nn.functional.silu(hidden))
        return output
