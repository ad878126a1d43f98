"""The cells of a comparison, and the way back from their outcomes to its rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median

from sdeplug.compare.cells import Cell, Floor, Outcome
from sdeplug.compare.contenders import Contender, Entrant
from sdeplug.compare.notes import missed, overspent
from sdeplug.compare.planner import Planner
from sdeplug.compare.rows import Estimate, Row
from sdeplug.compare.setting import Setting
from sdeplug.errors import ArgumentError
from sdeplug.metrics import Truth, is_image
from sdeplug.sde import LinearSDE
from sdeplug.targets import Gaussian

_POINTS, _IMAGES = 400, 16  # kept for pictures


class Plan:
    """The cells of a comparison, floors first, and the way back to its rows.

    Args:
        setting: the problem.
        contenders: label to contender.

    Raises:
        SdeplugError: for a contender that does not fit the problem.
    """

    def __init__(self, setting: Setting, contenders: Mapping[str, Contender]) -> None:
        self.setting = setting
        self.entrants: list[Entrant] = []
        notes = []
        for label, contender in contenders.items():
            found = Planner(label, contender, setting).entrants()
            without = [b for b in setting.nfe if not any(e.budget in (b, None) for e in found)]
            if without:
                notes.append(missed(label, without))
            self.entrants += found
        if not self.entrants:
            raise ArgumentError("nfe", setting.nfe, "enough for one step of one solver")
        self.missed = tuple(notes)
        self.laws = list(dict.fromkeys(map(_end, self.entrants)))
        self.jobs: list[Cell | Floor] = [*self._floors(), *self._cells()]

    def rows(self, outcomes: Sequence[Outcome]) -> tuple[Row, ...]:
        """One row for each entrant and size of the error of the score."""
        seeds = self.setting.seeds
        count = len(self.laws) * len(seeds)
        floors = {
            law: _estimates(outcomes[n * len(seeds) : (n + 1) * len(seeds)])
            for n, law in enumerate(self.laws)
        }
        rows, runs = [], list(outcomes[count:])
        number = len(self.entrants) * len(self.setting.conditions.score_errors)
        for n in range(number):
            error, entrant = divmod(n, len(self.entrants))
            rows.append(
                _row(
                    self.entrants[entrant],
                    self.setting.conditions.score_errors[error],
                    runs[n::number],
                    floors[_end(self.entrants[entrant])],
                )
            )
        return tuple(rows)

    def notes(self, rows: Sequence[Row]) -> tuple[str, ...]:
        """What a reader should know of the rows."""
        return (*self.missed, *overspent(self.entrants, rows))

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

    def _keep(self, seed: int) -> int:
        if seed != self.setting.seeds[0]:
            return 0
        return _IMAGES if is_image(self.setting.target) else _POINTS


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
        picture=runs[0].picture,
    )


def _estimates(runs: Sequence[Outcome]) -> dict[str, Estimate]:
    return {name: Estimate.of([run.values[name] for run in runs]) for name in runs[0].values}


def _end(entrant: Entrant) -> tuple[LinearSDE, float]:
    """The law that the samples of an entrant should have: its SDE, and the time they end at."""
    return entrant.pipeline.reverse.linear, entrant.pipeline.legs[-1].to
