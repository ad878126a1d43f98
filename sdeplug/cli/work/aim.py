"""What is sampled: a target with an exact score, or a model that was trained."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from sdeplug.cli.work.data.units import NAME, Units
from sdeplug.cli.work.place import Place
from sdeplug.conditioning import ClassifierFree
from sdeplug.errors import ArgumentError
from sdeplug.networks import Model, load
from sdeplug.registry import named, target
from sdeplug.score import Bound, ScoreModel
from sdeplug.sde import LinearSDE

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_DEFAULT_SDE, _DEFAULT_TARGET = "core/vp", "core/eight-gaussians"


class Aim(ABC):
    """What is sampled."""

    @property
    @abstractmethod
    def shape(self) -> tuple[int, ...]:
        """Shape of one sample."""

    @abstractmethod
    def forward(self, sde: str | None) -> LinearSDE:
        """The forward SDE.

        Args:
            sde: as ``NAME[:OPTION=VALUE,...]``; None: its own, or the default.

        Raises:
            SdeplugError: for a name or option that is not allowed.
        """

    @abstractmethod
    def score(self, sde: LinearSDE) -> ScoreModel:
        """The score under an SDE.

        Raises:
            ArgumentError: if there is none under this one.
        """

    @abstractmethod
    def arrays(self, x: Tensor) -> dict[str, Any]:
        """What is written of samples: ``x`` in the units of the data, and what belongs to it."""

    @abstractmethod
    def picture(self, x: Tensor) -> Figure:
        """Samples as people like to see them; needs matplotlib."""


@dataclass(frozen=True)
class Exact(Aim):
    """A target, whose score is exact.

    Attributes:
        name: of the target.
    """

    name: str

    def __post_init__(self) -> None:
        target(self.name)

    @property
    def shape(self) -> tuple[int, ...]:
        """That of the target."""
        return target(self.name).shape

    def forward(self, sde: str | None) -> LinearSDE:
        """Any linear SDE."""
        found: LinearSDE = named("sdes", sde or _DEFAULT_SDE)
        return found

    def score(self, sde: LinearSDE) -> ScoreModel:
        """The exact score."""
        return target(self.name).score(sde)

    def arrays(self, x: Tensor) -> dict[str, Any]:
        """The samples, and the name of the target."""
        return {"x": x.cpu().numpy(), "target": self.name}

    def picture(self, x: Tensor) -> Figure:
        """Images, or points beside exact ones."""
        from sdeplug.pictures import draw_samples

        return draw_samples(x, target(self.name))


@dataclass(frozen=True)
class Learned(Aim):
    """A model that ``sdeplug train`` wrote.

    Attributes:
        folder: where it is.
        model: what was read there.
        units: what its numbers mean.
        labels: the class of each sample, int64, shape ``(n,)``; None: any.
        guidance: how much the class counts against all data: 1, as it is.

    Raises:
        ArgumentError: for a guidance below 0, or that is no number.
    """

    folder: Path
    model: Model
    units: Units
    labels: Tensor | None
    guidance: float = 1.0

    def __post_init__(self) -> None:
        if not 0.0 <= self.guidance < math.inf:
            raise ArgumentError("guidance", self.guidance, "a number of at least 0")

    @property
    def shape(self) -> tuple[int, ...]:
        """That of a row of the data, as the network sees it."""
        return self.units.inside

    def forward(self, sde: str | None) -> LinearSDE:
        """The model's own; no other."""
        if sde is not None:
            allowed = f"left out: the model was trained for {self.model.sde!r}"
            raise ArgumentError("sde", sde, allowed)
        return self.model.sde

    def score(self, sde: LinearSDE) -> ScoreModel:
        """The network's, with its labels."""
        if sde != self.model.sde:
            allowed = f"one of {self.model.sde!r}, which the model was trained for"
            raise ArgumentError("pipeline", f"of {sde!r}", allowed)
        if self.guidance == 1.0:
            return self.bound.score
        return ClassifierFree(self.bound.score, self.model.score, self.guidance)

    @property
    def bound(self) -> Model:
        """The model with its labels."""
        if self.labels is None:
            return self.model
        return replace(self.model, network=Bound(self.model.network, labels=self.labels))

    def arrays(self, x: Tensor) -> dict[str, Any]:
        """The samples in the units of the data, their labels, and the folder."""
        found: dict[str, Any] = {"x": self.units.outward(x), "model": str(self.folder)}
        if self.labels is not None:
            found |= {"labels": self.labels.cpu().numpy(), "guidance": self.guidance}
        for name in ("columns", "classes"):
            found |= {name: getattr(self.units, name)} if getattr(self.units, name) else {}
        return found

    def picture(self, x: Tensor) -> Figure:
        """Images, or the first two columns."""
        from sdeplug.pictures import glance

        return glance(x)


def learned(folder: Path, labels: Sequence[str], samples: int, place: Place) -> Learned:
    """A model in a folder, where the samples are to be.

    Args:
        folder: as ``sdeplug train`` wrote it.
        labels: names of classes, each for the same number of samples; none: any class.
        samples: how many there will be.
        place: device and dtype.

    Raises:
        ArgumentError: for a folder without a model, or a class that it does not have.
    """
    model, units = opened(folder, place), Units.load(folder)
    if units is None:
        raise ArgumentError(
            "model", str(folder), f"a folder with {NAME}, as `sdeplug train` writes it",
            "A model that networks.save wrote is sampled in code: networks.load(folder).",
        )  # fmt: skip
    numbers = [units.number(name) for name in labels]
    if not numbers:
        return Learned(folder, model, units, None)
    chosen = torch.tensor(numbers, dtype=torch.int64, device=place.device)
    return Learned(folder, model, units, chosen.repeat(-(-samples // len(numbers)))[:samples])


def opened(folder: Path, place: Place) -> Model:
    """The model in a folder, where it is to be.

    Raises:
        ArgumentError: for a folder without one.
    """
    try:
        model = load(folder)
    except ArgumentError as error:
        allowed = f"a folder with a whole model, as `sdeplug train` writes it: {error.value}"
        wanted = f"{allowed} must be {error.allowed}"
        raise ArgumentError("model", str(folder), wanted, error.hint) from error
    assert isinstance(model.network, torch.nn.Module)  # load builds no other
    model.network.to(place.device, place.torch_dtype)
    return model


@dataclass(frozen=True)
class Subject:
    """What is sampled, in words.

    Attributes:
        target: name of a target; None: the default.
        model: folder of a model, in its place.
        labels: names of the classes that samples of the model are to have; none: any.
        guidance: how much a class counts against all data; None: as it is.
    """

    target: str | None = None
    model: Path | None = None
    labels: tuple[str, ...] = ()
    guidance: float | None = None

    def aim(self, samples: int, place: Place) -> Aim:
        """What it stands for.

        Args:
            samples: how many there will be.
            place: device and dtype of them.

        Raises:
            SdeplugError: for a target or model that is not there, or labels that it lacks.
        """
        self.check()
        if self.model is None:
            return self.exact
        aim = learned(self.model, self.labels, samples, place)
        return aim if self.guidance is None else replace(aim, guidance=self.guidance)

    @property
    def has_units(self) -> bool:
        """Whether ``sdeplug sample`` takes it: a model must know the units of its data."""
        return self.model is None or (self.model / NAME).exists()

    @property
    def words(self) -> list[str]:
        """The flags that name it."""
        named_by = (("--model", self.model), ("--target", self.target))
        words = [each for flag, value in named_by if value for each in (flag, str(value))]
        return [*words, *(each for label in self.labels for each in ("--label", label))]

    def check(self) -> None:
        """Refuse a target and a model together, labels of a target, and guidance to no label.

        Raises:
            ArgumentError: for these.
        """
        if self.model is not None and self.target is not None:
            raise ArgumentError("target", self.target, "given without --model")
        if self.labels and self.model is None:
            raise ArgumentError("labels", self.labels[0], "given with --model")
        if self.guidance is not None and not self.labels:
            raise ArgumentError("guidance", self.guidance, "given with --label, the class")

    @property
    def exact(self) -> Exact:
        """The target, or the default.

        Raises:
            SdeplugError: for a name that nothing has.
        """
        return Exact(self.target or _DEFAULT_TARGET)
