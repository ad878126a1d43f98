"""Operators that see some directions, all with one factor: known pixels, grey and small images."""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from sdeplug.conditioning.operator import OfSingularValues, Spectral
from sdeplug.conditioning.shapes import check_measured, check_sample, refuse
from sdeplug.errors import ArgumentError
from sdeplug.options import Configured, option
from sdeplug.sde import expand


class Isometric(Spectral):
    """An operator that sees some directions, all with one factor, and no others."""

    @property
    @abstractmethod
    def gain(self) -> float:
        """The singular value of what it sees, above 0."""

    def on_modes(self, x: Tensor, function: OfSingularValues) -> Tensor:
        """f(gain) times what it sees, and f(0) times the rest."""
        values = torch.tensor([self.gain, 0.0], dtype=torch.float64, device="cpu")
        seen, unseen = function(values).to(x).unbind(-1)
        part = self.adjoint(self.forward(x)) / self.gain**2
        return expand(seen, x) * part + expand(unseen, x) * (x - part)


@dataclass(frozen=True, eq=False)
class Mask(Isometric):
    """The known pixels of an image, or the known numbers of a vector, in a row: shape ``(B, M)``.

    ``Measurement(mask, mask.forward(images))`` knows what the mask leaves of the images; what is
    elsewhere in them does not matter.

    Attributes:
        known: True where a number is known; Boolean, of the shape ``D`` of one sample.

    Raises:
        ArgumentError: unless it is Boolean, and True somewhere.
    """

    known: Tensor

    def __post_init__(self) -> None:
        known = torch.from_numpy(self.known) if isinstance(self.known, np.ndarray) else self.known
        if not isinstance(known, Tensor) or known.dtype != torch.bool:
            kind = known.dtype if isinstance(known, Tensor) else type(known).__name__
            raise ArgumentError(
                "known", kind, "a Boolean tensor, True where a pixel is known",
                "mask > 0.5 makes one of numbers, if 1 stands for known.",
            )  # fmt: skip
        if known.ndim == 0 or not bool(known.any()):
            raise ArgumentError("known", f"shape {tuple(known.shape)}", "True somewhere")
        object.__setattr__(self, "known", known.cpu())

    def __repr__(self) -> str:
        count = f"{int(self.known.sum())} of {self.known.numel()} known"
        return f"Mask({count}, shape={tuple(self.known.shape)})"

    @property
    def gain(self) -> float:
        """1."""
        return 1.0

    def forward(self, x: Tensor) -> Tensor:
        """The known numbers: ``(B, *D)`` to ``(B, M)``."""
        check_sample(x, tuple(self.known.shape))
        return x.flatten(1).index_select(1, self._places.to(x.device))

    def adjoint(self, y: Tensor) -> Tensor:
        """The known numbers in their places, and 0 elsewhere: ``(B, M)`` to ``(B, *D)``."""
        check_measured(y, len(self._places))
        blank = y.new_zeros(len(y), self.known.numel())
        return blank.index_copy(1, self._places.to(y.device), y).reshape(-1, *self.known.shape)

    @cached_property
    def _places(self) -> Tensor:
        return self.known.flatten().nonzero()[:, 0]


@dataclass(frozen=True)
class Grey(Isometric, Configured):
    """Colour images in grey: a weighted sum of the channels, ``(B, C, ...)`` to ``(B, 1, ...)``.

    Mean of three channels by default, as in Song et al., arXiv 2011.13456, appendix I.3.
    """

    weights: tuple[float, ...] = option((1 / 3, 1 / 3, 1 / 3), help="weight of each channel")

    def __post_init__(self) -> None:
        super().__post_init__()
        if not all(map(math.isfinite, self.weights)) or not any(self.weights):
            raise ArgumentError("weights", self.weights, "finite numbers, not all of them 0")

    @property
    def gain(self) -> float:
        """Length of the vector of weights."""
        return math.hypot(*self.weights)

    def forward(self, x: Tensor) -> Tensor:
        """The weighted sum of the channels."""
        if x.ndim < 2 or x.shape[1] != len(self.weights):
            refuse("x", x, f"(B, {len(self.weights)}, ...), a channel for each of the weights")
        return (x * self._column(x)).sum(1, keepdim=True)

    def adjoint(self, y: Tensor) -> Tensor:
        """Each channel its weight of the grey image."""
        if y.ndim < 2 or y.shape[1] != 1:
            refuse("y", y, "(B, 1, ...), one channel of grey")
        return y * self._column(y)

    def _column(self, x: Tensor) -> Tensor:
        weights = torch.tensor(self.weights, dtype=torch.float64, device="cpu").to(x)
        return weights.reshape(-1, *(1,) * (x.ndim - 2))


@dataclass(frozen=True)
class Downsample(Isometric, Configured):
    """Smaller images: means over squares of ``factor`` x ``factor`` pixels."""

    factor: int = option(help="pixels along a side of a square", ge=1)

    @property
    def gain(self) -> float:
        """1 / factor: what a mean makes of factor^2 independent numbers."""
        return 1.0 / self.factor

    def forward(self, x: Tensor) -> Tensor:
        """Means over squares: ``(B, ..., H, W)`` to ``(B, ..., H / factor, W / factor)``."""
        if x.ndim < 3 or x.shape[-2] % self.factor or x.shape[-1] % self.factor:
            refuse("x", x, f"(B, ..., H, W), H and W multiples of {self.factor}")
        height, width = (n // self.factor for n in x.shape[-2:])
        squares = x.reshape(*x.shape[:-2], height, self.factor, width, self.factor)
        return squares.mean((-3, -1))

    def adjoint(self, y: Tensor) -> Tensor:
        """Each mean, divided by factor^2, in all pixels of its square."""
        if y.ndim < 3:
            refuse("y", y, "(B, ..., H, W)")
        wide = y.repeat_interleave(self.factor, -2).repeat_interleave(self.factor, -1)
        return wide / self.factor**2
