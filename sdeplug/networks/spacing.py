"""Which levels a run of few steps visits, as the schedulers of diffusers space them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from sdeplug.errors import ArgumentError
from sdeplug.grid import At
from sdeplug.sde import TabulatedSDE

Spacing = Callable[[int, int], Any]


def spaced(sde: TabulatedSDE, spacing: str, offset: int, steps: int) -> At:
    """The levels that a scheduler visits in a run of some steps, as a grid.

    A span has its own ends, T among them: levels that end below it cost a step more.

    Lin et al., arXiv 2305.08891, table 2.

    Args:
        sde: the table.
        spacing: as diffusers calls it: "leading", "trailing" or "linspace".
        offset: what is added to the labels of "leading".
        steps: number of levels.

    Raises:
        ArgumentError: for more steps than levels, or another spacing.
    """
    if spacing not in SPACINGS:
        raise ArgumentError("timestep_spacing", spacing, f"one of {', '.join(SPACINGS)}")
    if not 1 <= steps <= sde.levels:
        raise ArgumentError("steps", steps, f"from 1 to the {sde.levels} levels of the network")
    labels = SPACINGS[spacing](sde.levels, steps).round() + (offset if spacing == "leading" else 0)
    points = sorted({sde.time_of(float(each)) for each in labels}, reverse=True)
    return At(tuple(points))


SPACINGS: Mapping[str, Spacing] = MappingProxyType(
    {
        "leading": lambda levels, steps: np.arange(steps) * float(levels // steps),
        "trailing": lambda levels, steps: np.arange(levels, 0, -levels / steps) - 1.0,
        "linspace": lambda levels, steps: np.linspace(0.0, levels - 1.0, steps),
    }
)
