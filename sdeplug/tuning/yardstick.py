"""How far samples are from data: in features that are given, or in what stands for them.

Features of images are their principal components, where none are given; points are their own.
Distances are Fréchet distances of images and of features, energy distances of points, or what is
given: a function of the features of samples and of data.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import inf

import torch
from torch import Tensor

from sdeplug.errors import ArgumentError, argument_type, brief
from sdeplug.metrics import FeatureFrechet, energy_distance, frechet, moments
from sdeplug.tuning.jackknife import without_each

Features = Callable[[Tensor], Tensor]
"""Samples of shape ``(n, *D)`` to features of shape ``(n, F)``."""

Distance = Callable[[Tensor, Tensor], float]
"""Features of samples and of data to a distance, smaller for better ones."""

_COMPONENTS = 32


@dataclass(frozen=True)
class Yardstick:
    """How far samples are from data.

    Attributes:
        features: of samples.
        distance: of features of samples to features of data.
        name: for people.
    """

    features: Features
    distance: Distance
    name: str

    @torch.no_grad()
    def of(self, x: Tensor) -> Tensor:
        """Features, float64 on the CPU, ``(n, F)``.

        Raises:
            ArgumentError: for features of another shape, or that are not finite.
        """
        return FeatureFrechet(self.features).of(x)

    def check(self, some: Tensor, data: Tensor) -> None:
        """Measure features of some data against those of others, before anything is run.

        Raises:
            ArgumentError: for a distance that fails, or is no finite number even there.
        """
        if self._measured(some, data) == inf:
            raise ArgumentError(
                "distance", self.name, "a finite number for two halves of the data",
                "Give more data, or another distance.",
            )  # fmt: skip

    def distances(self, some: Tensor, data: Tensor) -> list[float]:
        """Of features of samples to those of data: of all, and without each group of them."""
        return without_each(lambda rows: self._measured(some[rows], data), len(some))

    def _measured(self, some: Tensor, data: Tensor) -> float:
        try:
            found: object = self.distance(some, data)
        except Exception as error:
            raise ArgumentError(
                "distance", brief(self.distance), "a function of two sets of features",
                f"For {len(some)} and {len(data)} rows it failed: {type(error).__name__}, {error}",
            ) from error  # fmt: skip
        if isinstance(found, Tensor) and found.numel() == 1:
            found = found.item()
        if isinstance(found, bool) or not isinstance(found, (int, float)):
            argument_type("distance", found, "a function that gives a number")
        return float(found) if found == found else inf


def yardstick(features: Features | None, distance: Distance | None, known: Tensor) -> Yardstick:
    """The yardstick for data, from what is given of it.

    Args:
        features: function of samples, or None.
        distance: function of two sets of features, or None.
        known: data, shape ``(n, *D)``.

    Raises:
        ArgumentError: for what is no function.
    """
    for name, each in (("features", features), ("distance", distance)):
        if each is not None and not callable(each):
            raise ArgumentError(name, each, "a function, or left out")
    if features is None and known.ndim != 4:
        return Yardstick(_flat, distance or _energy, "points" if distance else "energy distance")
    words = "your features" if features else f"{_COMPONENTS} principal components"
    axes = features or Principal.of(known)
    if distance is None:
        return Yardstick(axes, _frechet, f"Fréchet distance of {words}")
    return Yardstick(axes, distance, f"your distance of {words}")


@dataclass(frozen=True, eq=False)
class Principal:
    """Principal components of data.

    Attributes:
        axes: float32, shape ``(D, F)``.
    """

    axes: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        """Samples of shape ``(n, *D)`` to their components, ``(n, F)``."""
        return x.flatten(1) @ self.axes

    @classmethod
    def of(cls, known: Tensor) -> Principal:
        """The first components of data, shape ``(n, *D)``."""
        flat = known.flatten(1).double()
        axes = torch.linalg.svd(flat - flat.mean(0), full_matrices=False).Vh
        return cls(axes[:_COMPONENTS].T.float())


def _flat(x: Tensor) -> Tensor:
    return x.flatten(1)


def _frechet(some: Tensor, data: Tensor) -> float:
    return frechet(some, moments(data))


def _energy(some: Tensor, data: Tensor) -> float:
    return energy_distance(some, data, max(len(some), len(data)))
