"""What is right and may be taken for wrong: asked with any seed, answered by a plain dictionary.

``alarm`` in an answer is what was taken for wrong, or None.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, Protocol
from unittest import mock

from sdeplug import VPSDE, SharedNoise, solver
from sdeplug.registry import registry
from sdeplug.testing import (
    FAST,
    Cell,
    CellVerdict,
    NotApplicable,
    Outcome,
    Specimen,
    sampling_cells,
    specimens,
)
from sdeplug.testing.doors.running import finding_of, result_of
from sdeplug.testing.exact.arrays import Arrays
from sdeplug.testing.mutants import EQUIVALENT, RIGHT, forget
from sdeplug.testing.mutants.generic import Solver

Answer = dict[str, Any]
SDE = VPSDE()
_FAR = 1_000_003  # seeds of one world are below
_ELSEWHERE = "foreign/"
WORLDS = 3
"""Seeds that all checks are asked with; what says the same in all of them is exact."""


class Experiment(Protocol):
    """Something right."""

    @property
    def who(self) -> str:
        """Its name."""
        ...

    @property
    def applies(self) -> bool:
        """Whether there is something to ask."""
        ...

    def ask(self, seed: int, before: Sequence[Answer]) -> Answer:
        """What is seen with a seed, after some others."""
        ...


@dataclass(frozen=True)
class Draws:
    """Exact draws of a target, as many as the check takes: every statistic has its own law."""

    specimen: Specimen

    applies = True

    @property
    def who(self) -> str:
        return self.specimen.name

    def ask(self, seed: int, before: Sequence[Answer]) -> Answer:
        """The p-value of each statistic; an alarm is what a second stage rejects too."""
        cell = Cell(self.specimen, SDE, lambda x, run: x, SDE.eps, SDE.eps, 0.0, "exact draws")
        x = cell.samples(3 * seed)
        found = cell.pvalues(3 * seed, x=x)
        passed = CellVerdict.of(found).passed or cell.verdict(seed, x).passed
        return {
            "p": dict(found),  # of each statistic by itself
            "alarm": None if passed else "all stages",
        }


@dataclass(frozen=True)
class Samples:
    """Samples of a right solver, as ``check_law_by_sampling`` has them: in all cells, all rows."""

    solver: Solver

    @property
    def who(self) -> str:
        return repr(self.solver)

    @property
    def applies(self) -> bool:
        return bool(cells(self.solver))

    def ask(self, seed: int, before: Sequence[Answer]) -> Answer:
        """The p-value of each cell in its first stage, and those that all stages reject."""
        found, alarms = {}, []
        for cell in cells(self.solver):
            name, x = named(cell), cell.samples(3 * seed)
            verdict = CellVerdict.of(cell.pvalues(3 * seed, x=x))
            found[name] = verdict.pvalue
            if not verdict.passed and not cell.verdict(seed, x).passed:
                alarms.append(name)
        return {"p": found, "alarm": "; ".join(alarms) or None}


@dataclass(frozen=True)
class Checks:
    """The checks that take no seed, where each seed in them stands for other numbers."""

    solver: Solver
    applies = True

    @property
    def who(self) -> str:
        return repr(self.solver)

    def ask(self, seed: int, before: Sequence[Answer]) -> Answer:
        """What each check says, and which fail; of those that are exact no more is asked."""
        moving = moved(before)
        asked = [each for each in FAST if len(before) < WORLDS or each.__name__ in moving]
        with world(seed):
            found = [
                result_of(each.__name__, partial(finding_of, each, self.solver)) for each in asked
            ]
        failed = [each for each in found if each.outcome is Outcome.FAILED]
        return {
            "said": {each.name: each.reason for each in found if each.outcome is Outcome.PASSED},
            "alarm": "; ".join(f"{each.name}: {each.reason}" for each in failed) or None,
        }


def moved(answers: Sequence[Answer]) -> list[str]:
    """The checks that say something else with other numbers."""
    said: dict[str, set[str]] = defaultdict(set)
    for each in answers:
        for name, reason in each["said"].items():
            said[name].add(reason)
    return sorted(name for name, reasons in said.items() if len(reasons) > 1)


@cache
def cells(by: Solver) -> tuple[Cell, ...]:
    """The cells of a solver; none where samples do not judge it."""
    try:
        return tuple(sampling_cells(by))
    except NotApplicable:
        return ()


def named(cell: Cell) -> str:
    """A cell in words."""
    return f"{cell.specimen.name}, {type(cell.sde).__name__}, {cell.label or 'own steps'}"


@contextmanager
def world(number: int) -> Iterator[None]:
    """Where each seed of what draws numbers stands for others; in world 0, for its own."""
    begin, arrange = SharedNoise.__init__, Arrays.__init__

    def begun(self: SharedNoise, seed: int) -> None:
        begin(self, (seed + _FAR * number) % 2**63)

    def arranged(self: Arrays, levels: int, seed: int = 0, drawn: bool = False) -> None:
        arrange(self, levels, seed + _FAR * number, drawn)

    forget()
    with (
        mock.patch.object(SharedNoise, "__init__", begun),
        mock.patch.object(Arrays, "__init__", arranged),
    ):
        yield
    forget()


def right_solvers() -> Iterator[Solver]:
    """Those that mutants are made from, those that only look wrong, and the bundled ones."""
    yield from RIGHT
    yield from (each.solver for each in EQUIVALENT)
    for name in registry().solvers():
        if not name.startswith(_ELSEWHERE):
            yield solver(name)


PARTS: dict[str, Callable[[], tuple[Experiment, ...]]] = {
    "draws": lambda: tuple(map(Draws, specimens())),
    "samples": lambda: tuple(map(Samples, right_solvers())),
    "checks": lambda: tuple(map(Checks, right_solvers())),
}
"""What can be asked: cheap ones first."""
