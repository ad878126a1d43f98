"""Finished runs on a network, and what they say: the best grids, means, standard errors."""

from __future__ import annotations

import json
import statistics
from dataclasses import dataclass, field
from pathlib import Path

from rivals import Sampler

Key = tuple[str, str, int, int]
"""Sampler, grid, budget, seed."""

Errors = dict[str, float | None]
"""``frechet`` and ``rmse``; None for one that there is not."""

HELD_OUT = 100
"""Seed of the noise that grids are chosen by; those of the tables are 0, 1, 2."""


@dataclass(frozen=True)
class Found:
    """An error of a sampler at a budget.

    Attributes:
        grid: the best one.
        values: one for each seed that has run.
    """

    grid: str
    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        return statistics.fmean(self.values)

    @property
    def doubt(self) -> float:
        """Standard error; 0 for one seed."""
        if len(self.values) < 2:
            return 0.0
        return statistics.stdev(self.values) / len(self.values) ** 0.5


@dataclass
class Cells:
    """Finished runs, a line of a file for each.

    Attributes:
        path: the file.
    """

    path: Path
    found: dict[Key, Errors] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if self.path.exists():
            for line in self.path.read_text().splitlines():
                key, values = json.loads(line)
                self.found[tuple(key)] = values

    def put(self, key: Key, values: Errors) -> None:
        """Keep one."""
        self.found[key] = values
        with self.path.open("a") as file:
            file.write(json.dumps([key, values]) + "\n")

    def grid(self, by: Sampler, nfe: int, error: str) -> str | None:
        """The grid with the least error with the noise that is held out; None if none has run."""
        pilots = {grid: self.found.get((by.name, grid, nfe, HELD_OUT), {}) for grid in by.grids}
        known = {g: value for g, each in pilots.items() if (value := each.get(error)) is not None}
        return min(known, key=lambda grid: known[grid]) if known else None

    def error(self, by: Sampler, nfe: int, error: str) -> Found | None:
        """What is known of a sampler at a budget, once it has run on all of its grids."""
        if any((by.name, grid, nfe, HELD_OUT) not in self.found for grid in by.grids):
            return None
        grid = self.grid(by, nfe, error)
        if grid is None:
            return None
        runs = (self.found.get((by.name, grid, nfe, seed), {}).get(error) for seed in range(3))
        values = tuple(value for value in runs if value is not None)
        return Found(grid, values) if values else None
