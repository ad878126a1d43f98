"""Successive halving: all run a few samples, the best of them more, and only two run all.

All candidates start from the same states and get the same noise: sample i depends on the seed and
on i alone, so that samples of one round are kept for the next, and a difference between two
candidates has less noise than each of them.

Jamieson & Talwalkar, arXiv 1502.07943, algorithm 1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from sdeplug.compare import Estimate
from sdeplug.errors import RunError
from sdeplug.noise import PerSampleNoise
from sdeplug.options import Configured, option
from sdeplug.pipeline import Pipeline
from sdeplug.tuning.candidates import Starter
from sdeplug.tuning.jackknife import GROUPS, estimate
from sdeplug.tuning.kept import Kept, read, write
from sdeplug.tuning.yardstick import Yardstick


@dataclass(frozen=True)
class Race(Configured):
    """How many samples a tuning spends: ``samples`` in the last round, half as many before it.

    A third of the candidates, and no less than two, reach the next round.  A
    search, if there is one, has all samples at each of its points.
    """

    samples: int = option(256, help="samples of each candidate of the last round", ge=32)
    rounds: int = option(3, help="rounds", ge=1)
    batch: int = option(128, help="samples that are computed together", ge=1)
    search: int = option(
        0, help="points of a search for grid, knee and stochasticity after the rounds", ge=0
    )

    def rows(self, number: int) -> int:
        """Samples of each candidate after a round, counted from 0."""
        return max(self.samples >> (self.rounds - 1 - number), 2 * GROUPS)


@dataclass(eq=False)
class Runner:
    """A candidate on its way: its features so far.

    Attributes:
        starter: what runs.
        rows: samples behind them.
        failure: why there are no more.
    """

    starter: Starter
    rows: int = 0
    failure: str = ""
    _features: list[Tensor] = field(default_factory=list)
    _at: dict[int, list[float]] = field(default_factory=dict)

    @property
    def distances(self) -> list[float]:
        """Of all features, and without each group of them; infinite where it failed."""
        return self.at(self.rows)

    def at(self, rows: int) -> list[float]:
        """Those of so many samples, as they were after a round."""
        none = [math.inf] * (GROUPS + 1)
        return none if self.failure else self._at.get(rows, none)

    @property
    def distance(self) -> Estimate:
        """The distance with its standard error."""
        return estimate(self.distances)

    def advance(self, to: int, shape: tuple[int, ...], course: Course) -> None:
        """Run until there are so many samples, and measure."""
        try:
            for first in range(self.rows, to, course.race.batch):
                rows = range(first, min(first + course.race.batch, to))
                self._features.append(course.features_of(self.starter.pipeline, rows, shape))
        except RunError as error:
            self.failure = f"failed at t = {error.t:.3g}"
            return
        self.rows = to
        features = torch.cat(self._features)
        self._at[to] = course.yardstick.distances(features, course.features)


@dataclass(frozen=True, eq=False)
class Course:
    """What all candidates meet.

    Attributes:
        yardstick: how far samples are from data.
        data: the data, shape ``(n, *D)``.
        features: of the data.
        seed: of starts and noise.
        race: how many samples.
        kept: where finished samples are kept, if anywhere.
    """

    yardstick: Yardstick
    data: Tensor
    features: Tensor
    seed: int
    race: Race
    kept: Kept | None = None

    def features_of(self, pipeline: Pipeline, rows: range, shape: tuple[int, ...]) -> Tensor:
        """Features of some samples of a pipeline, float64, ``(len(rows), F)``.

        Raises:
            RunError: if the run cannot go on.
        """
        path = None if self.kept is None else self.kept.path(pipeline, self.seed, rows)
        found = None if path is None else read(path)
        if found is None:
            noise, size = PerSampleNoise(self.seed, rows), (len(rows), *shape)
            found = self.yardstick.of(pipeline.sample(size, noise=noise, device=self.data.device).x)
            if path is not None:
                write(path, found)
        return found


def survivors(runners: Sequence[Runner]) -> list[Runner]:
    """A third of them, the best, and no less than two."""
    ranked = sorted(runners, key=lambda each: each.distances[0])
    return ranked[: max(math.ceil(len(ranked) / 3), 2)]
