"""What a loss is: a frozen object, and a number for each row.

``loss(network, x0, noise)`` gives a tensor of shape ``(B,)``.  The network is any callable
(x, t); one with labels is bound to those of the batch first, ``loss(labels.bind(network, y,
noise), x0, noise)``.  All random numbers come from the noise source.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import NamedTuple

import torch
from torch import Tensor

from sdeplug.errors import ArgumentError, PairingError, brief
from sdeplug.noise import NoiseSource
from sdeplug.options import Configured, option
from sdeplug.sde import LinearSDE, expand, in_float32
from sdeplug.training.times import Drawn, Times

Network = Callable[[Tensor, Tensor], Tensor]
"""(x, t) -> output: x of shape ``(B, *D)``, t of shape ``(B,)``; what comes out is the loss's."""


@dataclass(frozen=True, kw_only=True, repr=False)
class Loss(Configured, ABC):
    """What a network is trained by, row by row."""

    mean: bool = option(True, help="mean over coordinates; otherwise half their sum")

    def __repr__(self) -> str:
        given = ((each.name, getattr(self, each.name)) for each in fields(self))
        shown = (f"{n}={v.__name__ if isinstance(v, type) else repr(v)}" for n, v in given)
        return f"{type(self).__name__}({', '.join(shown)})"

    @abstractmethod
    def __call__(self, network: Network, x0: Tensor, noise: NoiseSource) -> Tensor:
        """The loss of each row.

        Args:
            network: callable (x, t).
            x0: data, shape ``(B, *D)``, any floating dtype.
            noise: where all random numbers come from.

        Returns:
            Shape ``(B,)``, float32 at least, differentiable.

        Raises:
            ArgumentError: for data that are no batch of floating-point numbers.
            ScoreModelError: if the network returns anything but what the loss needs.
        """

    def reduced(self, values: Tensor) -> Tensor:
        """One number a row of values of shape ``(B, *D)``: their mean, or half their sum."""
        flat = values.reshape(len(values), -1)
        return flat.mean(1) if self.mean else 0.5 * flat.sum(1)


class Noised(NamedTuple):
    """Data on their way to noise.

    Attributes:
        x: alpha x_0 + sigma epsilon, shape ``(B, *D)``, float32 at least.
        x0: data, in that dtype.
        epsilon: noise, likewise.
        drawn: the times, on the CPU, where schedules are computed.
    """

    x: Tensor
    x0: Tensor
    epsilon: Tensor
    drawn: Drawn

    def says(self, network: Network) -> Tensor:
        """What the network returns for x and its times.

        Raises:
            PairingError: if it is none.
        """
        if not callable(network):
            raise PairingError(f"network = {brief(network)}: must be a callable (x, t).")
        return network(self.x, self.time)

    @property
    def time(self) -> Tensor:
        """The times in the dtype of x and where it is, as the network gets them: ``(B,)``."""
        return self.drawn.t.to(self.x.device, self.x.dtype, non_blocking=True)


def noised(sde: LinearSDE, times: Times, x0: Tensor, noise: NoiseSource) -> Noised:
    """Draw a time for each row, and x_t given x_0.

    Schedules are computed in float64 on the CPU, where times are drawn, so that no device waits.

    Raises:
        ArgumentError: for data that are no batch of floating-point numbers.
        PairingError: for a source of noise that is none.
    """
    data = checked_data(x0, noise)
    drawn = times.draw(sde, len(data), noise)
    epsilon = noise.normal(data)
    alpha, sigma = like(sde.alpha(drawn.t), data), like(sde.sigma(drawn.t), data)
    return Noised(alpha * data + sigma * epsilon, data, epsilon, drawn)


def checked_data(x0: object, noise: object) -> Tensor:
    """A batch of data, in float32 at least, that comes with a source of noise.

    Raises:
        ArgumentError: unless it is one, of floating-point numbers.
        PairingError: for a source of noise that is none.
    """
    if not isinstance(noise, NoiseSource):
        raise PairingError(
            f"noise = {brief(noise)}: must be a NoiseSource, as SharedNoise(seed). The order is "
            "loss(network, x0, noise)."
        )
    if not isinstance(x0, Tensor) or x0.ndim == 0 or len(x0) == 0 or not x0.is_floating_point():
        told = (tuple(x0.shape), x0.dtype) if isinstance(x0, Tensor) else x0
        raise ArgumentError(
            "x0", told, "a batch of data, shape (B, *D), of a floating dtype",
            "Images of whole numbers from 0 to 255 are x0.float() / 127.5 - 1.",
        )  # fmt: skip
    return in_float32(x0)


def like(coefficient: Tensor, x: Tensor) -> Tensor:
    """A number for each row, shape ``(B,)``, that multiplies x of shape ``(B, *D)``."""
    return expand(coefficient.to(x.device, x.dtype, non_blocking=True), x)


def checked_sde(sde: object, name: str) -> None:
    """Refuse what is no linear SDE, and one whose schedule is not sound.

    Raises:
        PairingError: unless it is a LinearSDE.
        ArgumentError: if its schedule is not sound.
    """
    if not isinstance(sde, LinearSDE):
        raise PairingError(
            f"sde = {brief(sde)}: must be a LinearSDE, such as VPSDE(), for {name}, since the law "
            "of x_t given x_0 must be known."
        )
    sde.validate()


def two_halves(output: object, x: Tensor, second: str) -> tuple[Tensor, Tensor]:
    """The two halves of a network's output along the channels, dimension 1.

    Args:
        output: what the network returned.
        x: state, shape ``(B, C, *D)``.
        second: what the second half is, for errors.

    Returns:
        Two tensors of the shape of x.

    Raises:
        PairingError: unless it is a floating-point tensor of shape ``(B, 2 C, *D)``.
    """
    wanted = (len(x), 2 * x.shape[1], *x.shape[2:]) if x.ndim > 1 else ()
    if not isinstance(output, Tensor) or output.shape != wanted or not wanted:
        found = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
        raise PairingError(
            f"the network returned {found} for x of shape {tuple(x.shape)}: must be a tensor of "
            f"shape {wanted or '(B, 2 C, ...)'}, twice the channels: the prediction, then {second}."
        )
    prediction, other = torch.chunk(output.to(x.dtype), 2, dim=1)
    return prediction, other
