"""The cells of a comparison, and the way back from their outcomes to its rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import cycle
from math import prod
from statistics import median

from sdeplug.compare.cells import Cell, Floor, Outcome
from sdeplug.compare.contenders import Entrant
from sdeplug.compare.notes import overspent
from sdeplug.compare.reference import Held, references
from sdeplug.compare.rows import Estimate, Row, decoded, encoded
from sdeplug.compare.setting import Setting
from sdeplug.metrics import Truth, is_image
from sdeplug.sde import LinearSDE
from sdeplug.targets import Gaussian, Target

_POINTS, _IMAGES = 400, 16  # kept for pictures


class Plan:
    """The cells of a comparison, floors first, and the way back to its rows.

    Args:
        setting: the problem.
        entrants: who runs, each on one grid.
    """

    def __init__(self, setting: Setting, entrants: Sequence[Entrant]) -> None:
        self.setting = setting
        self.entrants = entrants
        self.laws = list(dict.fromkeys(map(_end, entrants)))
        floors, cells = self._floors(), self._cells()
        self.edges = (len(floors), len(floors) + len(cells))
        self.jobs: list[Cell | Floor] = [*floors, *cells, *self._references()]

    def rows(self, outcomes: Sequence[Outcome]) -> tuple[Row, ...]:
        """One row for each entrant and size of the error of the score."""
        s, count = self.setting, len(self.setting.seeds)
        first, last = self.edges
        floors, runs = outcomes[:first], outcomes[first:last]
        if s.conditions.flow is not None:
            held = Held(s, s.conditions.flow, outcomes[last:])
            floors, runs = held.floors(floors), held.runs(runs, self.entrants)
        laws = {
            law: _estimates(floors[n * count : (n + 1) * count]) for n, law in enumerate(self.laws)
        }
        sizes = s.conditions.score_errors
        number = len(self.entrants) * len(sizes)
        return tuple(
            replace(
                _row(entrant, sizes[n // len(self.entrants)], runs[n::number], laws[_end(entrant)]),
                picture=_first(runs[n].picture, s.target),
            )
            for n, entrant in zip(range(number), cycle(self.entrants), strict=False)
        )

    def notes(self, rows: Sequence[Row]) -> tuple[str, ...]:
        """What a reader should know of the rows."""
        return tuple(overspent(self.entrants, rows))

    def floor_picture(self, outcomes: Sequence[Outcome]) -> str:
        """Exact draws, beside which samples are shown."""
        return outcomes[0].picture

    def _floors(self) -> list[Cell | Floor]:
        s = self.setting
        return [
            Floor(Truth(s.target, sde, t, seed), s.samples, s.metrics, self._keep(seed))
            for sde, t in self.laws
            for seed in s.seeds
        ]

    def _cells(self) -> list[Cell | Floor]:
        s = self.setting
        return [
            Cell(
                entrant, s.target, error, seed, s.samples, s.metrics,
                isinstance(s.target, Gaussian) and error == 0.0 and seed == s.seeds[0],
                self._keep(seed),
            )
            for seed in s.seeds
            for error in s.conditions.score_errors
            for entrant in self.entrants
        ]  # fmt: skip

    def _references(self) -> list[Cell | Floor]:
        """The converged flow, for each seed and size of the error of the score: and half of it."""
        s, flow = self.setting, self.setting.conditions.flow
        if flow is None:
            return []
        return [
            Cell(each, s.target, error, seed, s.samples, (), keep=flow.rows, rows=flow.rows)
            for seed in s.seeds
            for error in s.conditions.score_errors
            for each in references(flow, s.problem)
        ]

    def _keep(self, seed: int) -> int:
        flow = self.setting.conditions.flow
        for_flow = 0 if flow is None else min(flow.rows, self.setting.samples)
        for_picture = _shown(self.setting.target) if seed == self.setting.seeds[0] else 0
        return max(for_flow, for_picture)


def _shown(target: Target) -> int:
    return _IMAGES if is_image(target) else _POINTS


def _first(picture: str, target: Target) -> str:
    """What of the kept samples is shown: for the distance to the flow there may be more."""
    return encoded(decoded(picture)[: _shown(target) * prod(target.shape)])


def _row(
    entrant: Entrant, score_error: float, runs: Sequence[Outcome], floor: Mapping[str, Estimate]
) -> Row:
    failures = [run.failure for run in runs if run.failure]
    failure = f"{len(failures)} of {len(runs)} runs: {failures[0]}" if failures else ""
    return Row(
        solver=entrant.solver,
        sampler=entrant.sampler,
        budget=entrant.budget,
        score_error=score_error,
        law="{!r}, t = {:g}".format(*_end(entrant)),
        nfe=Estimate.of([run.nfe for run in runs]).mean,
        seconds=median(run.seconds for run in runs),
        overhead=median(run.seconds - run.scoring for run in runs),
        values={} if failures else _estimates(runs),
        floor=floor,
        exact=runs[0].exact,
        failure=failure,
    )


def _estimates(runs: Sequence[Outcome]) -> dict[str, Estimate]:
    return {name: Estimate.of([run.values[name] for run in runs]) for name in runs[0].values}


def _end(entrant: Entrant) -> tuple[LinearSDE, float]:
    """The law that the samples of an entrant should have: its SDE, and the time they end at."""
    return entrant.pipeline.reverse.linear, entrant.pipeline.legs[-1].to
