"""Metrics of clouds of points, for any target."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from math import prod
from typing import TypeGuard

from torch import Tensor

from sdeplug.metrics.distances import energy_distance, gap, mixture_quantiles, slices, unit_vectors
from sdeplug.metrics.metric import Metric, Truth, is_image, stream
from sdeplug.options import option
from sdeplug.targets import Empirical, GaussianMixture, Target

_COMPONENTS = 64  # of a mixture whose quantiles are worth computing


@dataclass(frozen=True)
class SlicedW2(Metric):
    """Sliced Wasserstein distance, against exact quantiles where the target is a mixture.

    In units of the standard deviation of a coordinate.  The directions are the same for all
    samples.  Against exact quantiles the noise is that of the samples alone; other targets, data
    sets, and mixtures of more than 64 components, are compared with as many exact draws.
    """

    directions: int = option(16, help="number of random directions", ge=1)

    @classmethod
    def suits(cls, target: Target) -> bool:
        """Targets that have a density, and data sets that are no images."""
        return not target.singular or (isinstance(target, Empirical) and not is_image(target))

    def measure(self, x: Tensor, truth: Truth) -> float:
        """The distance; of n exact draws about 1 / sqrt(n), more where modes are far apart."""
        along = slices(x.flatten(1).double(), _axes(self.directions, truth))
        wanted = (
            _quantiles(self.directions, replace(truth, seed=0), len(x))
            if _has_quantiles(truth.target)
            else _drawn(self.directions, truth, len(x))
        )
        return gap(along, wanted) / truth.scale()


@dataclass(frozen=True)
class EnergyDistance(Metric):
    """Energy distance to exact draws, in units of the standard deviation of a coordinate.

    Székely & Rizzo 2013; without bias, so that it is below 0 half of the time for exact samples.
    It sees everything in principle and small errors badly, and costs the square of the rows.
    """

    rows: int = option(2000, help="how many samples are used", ge=2)

    def measure(self, x: Tensor, truth: Truth) -> float:
        """The distance, negative for half of all exact samples."""
        return energy_distance(x, truth.draws(self.rows).to(x.device), self.rows) / truth.scale()


def _axes(count: int, truth: Truth) -> Tensor:
    """Directions that are the same for all samples, so that these can be told apart."""
    return unit_vectors(stream(0, "directions"), count, prod(truth.target.shape))


def _has_quantiles(target: Target) -> TypeGuard[GaussianMixture]:
    if not isinstance(target, GaussianMixture) or target.singular:
        return False
    return len(target.weights) <= _COMPONENTS


@lru_cache(maxsize=4)
def _quantiles(directions: int, truth: Truth, n: int) -> Tensor:
    """Exact quantiles along each direction, shape ``(directions, n)``."""
    target = truth.target
    assert isinstance(target, GaussianMixture)
    means, stds = target.projected(_axes(directions, truth), truth.t, truth.sde)
    return mixture_quantiles(target.weights, means, stds, n)


@lru_cache(maxsize=4)
def _drawn(directions: int, truth: Truth, n: int) -> Tensor:
    """Sorted projections of exact draws, shape ``(directions, n)``."""
    return slices(truth.draws(n).flatten(1), _axes(directions, truth))
