"""What small networks are told of the noise level: its log-SNR, and a class where there is one."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sdeplug.errors import ArgumentError

_WAVES = 16
_SEEN = 40.0  # nats; beyond it, data or noise are all that is to be seen


class Embedding(nn.Module):
    """Waves of the log-SNR, from one in 400 nats to one in 3, and a vector for each class.

    A network that knows the noise level by nothing else serves any schedule.

    Args:
        width: length of the embedding.
        classes: number of classes; 0: none.  One more vector stands for no class.
    """

    def __init__(self, width: int, classes: int = 0) -> None:
        super().__init__()
        waves = torch.logspace(-6.0, 1.0, _WAVES, base=2.0, dtype=torch.float64, device="cpu")
        self.waves: Tensor
        self.register_buffer("waves", waves.float(), persistent=False)
        self.first = nn.Linear(2 * _WAVES, width)
        self.layers = nn.Sequential(self.first, nn.SiLU(), nn.Linear(width, width))
        self.classes = nn.Embedding(classes + 1, width) if classes else None

    def forward(self, log_snr: Tensor, labels: Tensor | None) -> Tensor:
        """Both of shape ``(B,)``, labels int64 or None: no class.  Shape ``(B, width)``.

        Raises:
            ArgumentError: for labels of a network without classes.
        """
        angles = log_snr.clamp(-_SEEN, _SEEN).to(self.waves.dtype)[:, None] * self.waves
        waves = torch.cat((angles.sin(), angles.cos()), dim=1)
        embedded: Tensor = self.layers(waves.to(self.first.weight.dtype))
        if self.classes is None and labels is None:
            return embedded
        if self.classes is None:
            raise ArgumentError(
                "labels", "given", "left out: the network has no classes",
                "SmallUNet(classes=10) has ten.",
            )  # fmt: skip
        if labels is None:
            none = self.classes.num_embeddings - 1
            labels = torch.full(log_snr.shape, none, dtype=torch.int64, device=log_snr.device)
        embedded = embedded + self.classes(labels)
        return embedded
