"""A trained network with all that sampling needs to know of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from torch import Tensor

from sdeplug.errors import PairingError, brief, brief_fields
from sdeplug.grid import TimeGrid
from sdeplug.networks.latent import Latent
from sdeplug.score import Label, Labelled, Parametrisation
from sdeplug.sde import LinearSDE


@dataclass(frozen=True)
class Model:
    """A trained network with all that sampling needs to know of it.

    ``ReverseSDE(model.sde, model.score)`` is what a pipeline samples.

    Attributes:
        network: callable (x, t) -> ``(B, *D)``, with conditions by name where it has any.
        sde: the linear SDE that it was trained for.
        parametrisation: what it predicts, such as ``FromNoise``.
        data_range: least and largest value of the data; None: unknown.
        step: number of training steps; None: unknown.
        grid: from a number of steps to the grid that it came with; None: no such one.
    """

    network: Callable[..., Tensor]
    sde: LinearSDE
    parametrisation: type[Parametrisation]
    data_range: tuple[float, float] | None = None
    step: int | None = None
    grid: Callable[[int], TimeGrid] | None = field(default=None, repr=False)

    __repr__ = brief_fields

    @property
    def score(self) -> Parametrisation:
        """The score model, without conditions.

        Labels and other conditions are bound around the network:
        ``model.parametrisation(Bound(model.network, labels=labels), model.sde)``.
        """
        return self.parametrisation(self.network, self.sde)

    def decode(self, x: Tensor) -> Tensor:
        """Data of samples, shape ``(B, *D)``: x itself unless the model is one of latents."""
        return self.network.decode(x) if isinstance(self.network, Latent) else x


def from_module(
    network: Callable[..., Tensor],
    sde: LinearSDE,
    *,
    predicts: type[Parametrisation],
    labels: Label,
) -> Model:
    """A network of (x, label) as a model.

    Args:
        network: callable (x, label), such as a module; a network of t itself has ``TimeLabel()``.
        sde: the linear SDE that it was trained for.
        predicts: what it predicts: FromScore, FromNoise, FromDenoiser, FromVelocity or FromFlow.
        labels: what it is told of the time: TimeLabel, SigmaLabel, LogSigmaLabel, LogSNRLabel or
            LevelLabel.

    Raises:
        PairingError: if a part is not what it should be, or the SDE has no such label.
    """
    if not (isinstance(predicts, type) and issubclass(predicts, Parametrisation)):
        raise PairingError(
            f"predicts = {brief(predicts)}: must be a class of parametrisations: FromScore, "
            "FromNoise, FromDenoiser, FromVelocity, FromFlow."
        )
    return Model(Labelled(network, sde, labels), sde, predicts)
