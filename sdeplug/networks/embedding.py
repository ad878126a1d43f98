"""What small networks are told of the noise level: its log-SNR, and a class where there is one."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sdeplug.errors import ArgumentError

_WAVES = 16
_SEEN = 40.0  # nats; beyond it, data or noise are all that is to be seen


def checked_width(width: int) -> int:
    """The channels of a small network, whose normalisation has groups of an eighth.

    Raises:
        ArgumentError: unless it is a multiple of 8.
    """
    if width < 8 or width % 8:
        raise ArgumentError("width", width, "a multiple of 8", "16 and 32 are.")
    return width


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

    def forward(self, log_snr: Tensor, labels: Tensor | int | None) -> Tensor:
        """Both of shape ``(B,)``, labels whole numbers, or one for all; None: no class.

        Returns:
            Shape ``(B, width)``.

        Raises:
            ArgumentError: for labels that are no classes of the network.
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
        none = self.classes.num_embeddings - 1
        known = _numbers(none if labels is None else labels, log_snr, none)
        embedded = embedded + self.classes(known)
        return embedded


def _numbers(labels: object, like: Tensor, none: int) -> Tensor:
    """Labels as int64, one for each row of ``like``, from 0 to ``none``.

    On an accelerator their range is not looked at, since it would have to wait for that.

    Raises:
        ArgumentError: if they are anything else.
    """
    allowed = f"whole numbers from 0 to {none}, one for each row or one for all; {none}: no class"
    if isinstance(labels, int):
        labels = torch.tensor(labels, dtype=torch.int64, device=like.device)
    if not isinstance(labels, Tensor):
        hint = "torch.tensor(labels) makes a tensor of a list."
        raise ArgumentError("labels", f"of type {type(labels).__name__}", allowed, hint)
    whole = not (labels.is_floating_point() or labels.is_complex() or labels.dtype == torch.bool)
    if not whole or labels.shape not in ((), like.shape):
        hint = "one_hot.argmax(1) are." if labels.ndim == 2 and labels.shape[1] > 1 else ""
        raise ArgumentError(
            "labels", f"of shape {tuple(labels.shape)}, {labels.dtype}", allowed, hint
        )
    wrong = (labels < 0) | (labels > none)
    if labels.device.type == "cpu" and bool(wrong.any()):
        raise ArgumentError("labels", f"with {int(labels[wrong][0])}", allowed)
    return labels.long().expand(like.shape)
