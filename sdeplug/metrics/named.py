"""Metrics with a name; for a target that more than one suits, the first one ranks."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from sdeplug.metrics.clouds import EnergyDistance, SlicedW2
from sdeplug.metrics.features import (
    Coverage,
    Density,
    FrechetDistance,
    NearestNeighbour,
    Precision,
    Recall,
)
from sdeplug.metrics.laws import BuresWasserstein, ModeMoments, ModeWeights
from sdeplug.metrics.metric import Metric

BUILTIN: Mapping[str, type[Metric]] = MappingProxyType(
    {
        "bures-wasserstein": BuresWasserstein,
        "sliced-w2": SlicedW2,
        "mode-weights": ModeWeights,
        "mode-moments": ModeMoments,
        "frechet": FrechetDistance,
        "nearest-neighbour": NearestNeighbour,
        "precision": Precision,
        "recall": Recall,
        "density": Density,
        "coverage": Coverage,
        "energy-distance": EnergyDistance,
    }
)
"""The named metrics, under the names that the command line takes."""
