"""What a network is told of the time: its label; and networks of (x, label) as ones of (x, t).

A network knows the time by whatever it was trained with: t itself, 999 t, sigma, its logarithm,
the number of a level.  A label object says which, for any schedule, in one place.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import Tensor

from sdeplug.errors import PairingError, brief
from sdeplug.options import Configured, option
from sdeplug.score.model import error_of, for_rows
from sdeplug.sde import LinearSDE, TabulatedSDE


class Label(Configured, ABC):
    """What a network is told of the time."""

    @abstractmethod
    def __call__(self, sde: LinearSDE, t: Tensor) -> Tensor:
        """The labels at times t of shape ``(B,)``: the same shape.

        Raises:
            PairingError: if the schedule has no such label.
        """


@dataclass(frozen=True)
class TimeLabel(Label):
    """The time, times a factor: 999 for the continuous networks of Song et al."""

    scale: float = option(1.0, help="factor of t", gt=0.0)

    def __call__(self, sde: LinearSDE, t: Tensor) -> Tensor:
        """scale t."""
        return self.scale * t


@dataclass(frozen=True)
class SigmaLabel(Label):
    """The noise level sigma(t), as in NCSN++ and k-diffusion."""

    def __call__(self, sde: LinearSDE, t: Tensor) -> Tensor:
        """sigma(t)."""
        return sde.sigma(t)


@dataclass(frozen=True)
class LogSigmaLabel(Label):
    """The logarithm of sigma / alpha, times a factor: 1/4 in EDM (Karras et al., 2206.00364)."""

    scale: float = option(1.0, help="factor of the logarithm", gt=0.0)

    def __call__(self, sde: LinearSDE, t: Tensor) -> Tensor:
        """scale log(sigma / alpha)."""
        return -0.5 * self.scale * sde.log_snr(t)


@dataclass(frozen=True)
class LogSNRLabel(Label):
    """The log-SNR, log(alpha^2 / sigma^2), as in variational diffusion models (2107.00630)."""

    def __call__(self, sde: LinearSDE, t: Tensor) -> Tensor:
        """log(alpha^2 / sigma^2)."""
        return sde.log_snr(t)


@dataclass(frozen=True)
class LevelLabel(Label):
    """The number of the noise level in the table that the network was trained on.

    Between two levels it is a fraction, which an embedding by sines takes well; a network that
    has learned a vector for each level needs whole ones.
    """

    whole: bool = option(False, help="round to the nearest level, as int64")

    def __call__(self, sde: LinearSDE, t: Tensor) -> Tensor:
        """The label of the table, and its nearest whole number where that is wanted."""
        if not isinstance(sde, TabulatedSDE):
            raise PairingError(
                f"sde = {brief(sde)}: must be a TabulatedSDE, whose levels LevelLabel counts. Make "
                "it of what the network was trained with, TabulatedSDE(betas=betas), or use "
                "another label: TimeLabel(999), SigmaLabel()."
            )
        return sde.index(t) if self.whole else sde.label(t)


LABELS: Mapping[str, type[Label]] = MappingProxyType(
    {
        "time": TimeLabel,
        "sigma": SigmaLabel,
        "log-sigma": LogSigmaLabel,
        "log-snr": LogSNRLabel,
        "level": LevelLabel,
    }
)
"""The labels by name, for plain data."""


class Labelled(torch.nn.Module):
    """A network of (x, label) as one of (x, t): it is told the label that it was trained with.

    It stands where a network would: ``FromNoise(Labelled(network, sde, TimeLabel(999)), sde)``.
    A module inside is a part of it, with its parameters.

    Args:
        network: callable (x, label); x of shape ``(B, *D)``, label of shape ``(B,)``.
        sde: the linear SDE that the network was trained for.
        label: what it is told of the time.

    Raises:
        PairingError: if a part is not what it should be, or the SDE has no such label.
    """

    def __init__(self, network: Callable[..., Tensor], sde: LinearSDE, label: Label) -> None:
        super().__init__()
        order = "The order is Labelled(network, sde, label)."
        for name, value, wanted, right in (
            ("network", network, "a callable (x, label)", callable(network)),
            ("sde", sde, "a LinearSDE", isinstance(sde, LinearSDE)),
            ("label", label, "a Label, such as TimeLabel(999)", isinstance(label, Label)),
        ):
            if not right:
                raise PairingError(f"{name} = {brief(value)}: must be {wanted}. {order}")
        label(sde, torch.full((1,), sde.T, dtype=torch.float64, device="cpu"))
        self.network, self.sde, self.label = network, sde, label

    def forward(self, x: Tensor, t: Tensor, **conditions: object) -> Tensor:
        """What the network says: x of shape ``(B, *D)``, t of shape ``(B,)``, and its conditions,
        as :class:`Bound` passes them."""
        label = self.label(self.sde, t.to(torch.float64))
        label = label.to(t.dtype) if label.is_floating_point() else label
        output: Tensor = self.network(x, label, **conditions)
        return output

    def __repr__(self) -> str:
        return f"{type(self).__name__}({brief(self.network, 1000)}, {self.sde!r}, {self.label!r})"

    @property
    def error(self) -> float | None:
        """Relative error of the noise that the network predicts, where it says so."""
        return error_of(self.network)

    def for_rows(self, rows: Tensor) -> Labelled:
        """The same network for some rows of its batch: int64, shape ``(R,)``."""
        picked = for_rows(self.network, rows)
        return self if picked is self.network else self.around(picked)

    def around(self, network: Callable[..., Tensor]) -> Labelled:
        """The same around another network of (x, label)."""
        return Labelled(network, self.sde, self.label)
