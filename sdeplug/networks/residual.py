"""A small network for vectors."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sdeplug.errors import ArgumentError
from sdeplug.networks.embedding import Embedding


class ResidualMLP(nn.Module):
    """A network of (x, log-SNR) for vectors: residual blocks of two layers.

    It begins as 0.  What it predicts is what it is trained for; under a schedule it is
    ``Labelled(network, sde, LogSNRLabel())``, or :class:`Preconditioned`.

    Args:
        features: length of a vector; samples of other shapes are flattened.
        width: length of the hidden ones.
        blocks: number of blocks.
        classes: number of classes; 0: none.
    """

    def __init__(self, features: int, width: int = 128, blocks: int = 3, classes: int = 0) -> None:
        super().__init__()
        self.settings = {
            "features": features, "width": width, "blocks": blocks, "classes": classes
        }  # fmt: skip
        self.embedding = Embedding(width, classes)
        self.first = nn.Linear(features, width)
        self.blocks = nn.ModuleList(_Block(width) for _ in range(blocks))
        self.last = nn.Linear(width, features)
        for each in self.last.parameters():
            nn.init.zeros_(each)

    def forward(self, x: Tensor, log_snr: Tensor, labels: Tensor | int | None = None) -> Tensor:
        """x of shape ``(B, *D)``, log_snr and labels of shape ``(B,)``: like x.

        Raises:
            ArgumentError: if a sample does not have as many numbers as the network has features.
        """
        flat = x.flatten(1)
        if flat.shape[1] != self.first.in_features:
            raise ArgumentError(
                "x", f"of shape {tuple(x.shape)}", f"samples of {self.first.in_features} numbers",
                "ResidualMLP(features) says how many.",
            )  # fmt: skip
        embedded = self.embedding(log_snr, labels)
        hidden = self.first(flat)
        for block in self.blocks:
            hidden = block(hidden, embedded)
        output: Tensor = self.last(hidden)
        return output.reshape(x.shape)


class _Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.layers = nn.Sequential(
            nn.Linear(2 * width, 2 * width), nn.SiLU(), nn.Linear(2 * width, width)
        )

    def forward(self, hidden: Tensor, embedded: Tensor) -> Tensor:
        both = torch.cat((self.norm(hidden), embedded), dim=1)
        output: Tensor = hidden + self.layers(both)
        return output
