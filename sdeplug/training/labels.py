"""How the labels of a batch reach the network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from sdeplug.errors import ArgumentError
from sdeplug.noise import NoiseSource
from sdeplug.options import Configured, option
from sdeplug.score import Bound


@dataclass(frozen=True)
class Labels(Configured):
    """How the labels of a batch reach the network: by a name, and now and then not at all.

    A share of the rows gets the label ``null`` in the place of its own, so that one network is
    trained with and without labels, as classifier-free guidance needs (Ho & Salimans,
    arXiv 2207.12598).

    Raises:
        ArgumentError: for a share to drop, and no label to put in its place.
    """

    name: str = option("labels", help="name of the network's argument")
    drop: float = option(0.0, help="share of the labels that are dropped", ge=0.0, le=1.0)
    null: int | None = option(None, help="the label that stands for none", ge=0)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.drop > 0.0 and self.null is None:
            raise ArgumentError(
                "null", None, "given where labels are dropped",
                "With labels from 0 to 9 it is 10, and the network knows 11.",
            )  # fmt: skip

    def bind(self, network: Callable[..., Tensor], labels: Tensor, noise: NoiseSource) -> Bound:
        """The network with the labels of a batch: a callable (x, t).

        Args:
            network: callable (x, t, labels), by the name of this object's.
            labels: one for each row, shape ``(B,)`` or ``(B, ...)``.
            noise: where the random numbers come from.
        """
        if self.null is not None and self.drop > 0.0:
            u = torch.special.ndtr(
                noise.normal(torch.empty(len(labels), dtype=torch.float64, device="cpu"))
            )
            gone = (u < self.drop).reshape(-1, *(1 for _ in labels.shape[1:])).to(labels.device)
            labels = torch.where(gone, torch.full_like(labels, self.null), labels)
        return Bound(network, **{self.name: labels})
