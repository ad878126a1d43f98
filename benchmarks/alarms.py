"""What is right and may be taken for wrong: asked with any seed, answered by a plain dictionary.

``alarm`` in an answer is what was taken for wrong, or None.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any, Protocol

from worlds import world

from sdeplug import VPSDE, Corrected, Integrator, solver
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
from sdeplug.testing.mutants import EQUIVALENT, RIGHT
from sdeplug.testing.mutants.generic import Solver
from sdeplug.testing.mutants.right import AdamsBashforth
from sdeplug.testing.mutants.right_metropolis import AdjustedLangevin

Answer = dict[str, Any]
SDE = VPSDE()
_ELSEWHERE = "foreign/"
_AT_ONCE = 2**23  # numbers in the samples of one call at most
_TIED = 25  # experiments in one call at most, of a solver that ties the rows of a batch together
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
    """Samples of a right solver, as ``check_law_by_sampling`` has them: in all cells, all rows.

    Many seeds are asked with one call of the solver.  Its rows are independent, unless it claims
    ``couples_batch``: then its steps follow the errors of all rows in the call.  What that ties
    together is the length of the steps, which few rows decide hardly less than many; but to be
    plain about it no more than 25 seeds share a call of such a solver, and ``together`` in an
    answer says how many did at most.

    Attributes:
        solver: integrator or corrector.
        device: where.
    """

    solver: Solver
    device: str = "cpu"

    @property
    def who(self) -> str:
        return repr(self.solver)

    @property
    def applies(self) -> bool:
        return bool(cells(self.solver))

    @property
    def adaptive(self) -> bool:
        """Whether its steps follow a tolerance, and much is decided on the host."""
        return isinstance(self.solver, Integrator) and self.solver.claims.order is None

    @property
    def cost(self) -> float:
        """About how long a seed takes: what decides who is asked first, and no more.

        Fixed steps are few and the same for all rows.  What follows a tolerance takes many, and
        decides about them on the host, for each row where rows have steps of their own.
        """
        claims, numbers = self.solver.claims, sum(size(cell) for cell in cells(self.solver))
        if self.adaptive:
            return numbers * (1e3 if claims.couples_batch else 1e4)
        return float(numbers * min(claims.evaluations or 2, 6))

    def ask(self, seed: int, before: Sequence[Answer]) -> Answer:
        """The p-value of each cell in its first stage, and those that all stages reject."""
        return self.ask_many((seed,))[0]

    def ask_many(self, seeds: Sequence[int]) -> list[Answer]:
        """The same for many seeds; the first stages of some of them are asked in one."""
        answers: list[Answer] = [{"p": {}, "alarm": None, "together": 1} for _ in seeds]
        for cell in cells(self.solver):
            name, there = named(cell), cell.on(self.device)
            most = max(1, _AT_ONCE // size(cell))
            if self.solver.claims.couples_batch:
                most = min(most, _TIED)
            for first in range(0, len(seeds), most):
                some, told = seeds[first : first + most], answers[first : first + most]
                for seed, verdict, answer in zip(some, there.first_stages(some), told, strict=True):
                    answer["p"][name] = float(f"{verdict.pvalue:.5g}")
                    answer["together"] = max(answer["together"], len(some))
                    if not verdict.passed and not there.after(verdict, seed).passed:
                        answer["alarm"] = "; ".join(filter(None, (answer["alarm"], name)))
        return answers


@dataclass(frozen=True)
class Checks:
    """The checks that take no seed, where each seed in them stands for other numbers.

    Attributes:
        solver: integrator or corrector.
        named: what the names of those that are asked have in them.
    """

    solver: Solver
    named: str = ""
    applies = True

    @property
    def who(self) -> str:
        return f"{self.solver!r}{self.named and f', {self.named}'}"

    def ask(self, seed: int, before: Sequence[Answer]) -> Answer:
        """What each check says, and which fail; of those that are exact no more is asked."""
        moving = moved(before)
        asked = [
            each
            for each in FAST
            if self.named in each.__name__ and (len(before) < WORLDS or each.__name__ in moving)
        ]
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


def kept(log: Path) -> dict[tuple[str, str, int], Answer]:
    """What was asked before; a line that was cut short, or tells of an error, is asked again."""
    return {
        (each["part"], each["who"], each["seed"]): each for each in read(log) if "error" not in each
    }


def troubles(log: Path) -> dict[str, str]:
    """The last errors of those that have some seeds unanswered by them."""
    done = kept(log)
    return {
        each["who"]: each["error"]
        for each in read(log)
        if "error" in each and (each["part"], each["who"], each["seed"]) not in done
    }


def read(log: Path) -> list[Answer]:
    """The lines of a log that are whole."""
    return parsed(log.read_text()) if log.exists() else []


def parsed(text: str) -> list[Answer]:
    """The lines of a text that are whole."""
    found = []
    for line in text.splitlines():
        with suppress(ValueError):
            found.append(json.loads(line))
    return found


def size(cell: Cell) -> int:
    """How many numbers are in its samples of one seed."""
    return cell.specimen.rows * cell.specimen.target.means[0].numel()


def named(cell: Cell) -> str:
    """A cell in words."""
    return f"{cell.specimen.name}, {type(cell.sde).__name__}, {cell.label or 'own steps'}"


def right_solvers() -> Iterator[Solver]:
    """Those that mutants are made from, those that only look wrong, the bundled ones, and pairs of
    a predictor and a corrector."""
    yield from RIGHT
    yield from (each.solver for each in EQUIVALENT)
    yield Corrected(solver("song/reverse-diffusion"), solver("song/langevin"))
    yield Corrected(AdamsBashforth(), AdjustedLangevin())
    for name in registry().solvers():
        if not name.startswith(_ELSEWHERE):
            yield solver(name)


PARTS: dict[str, Callable[[], tuple[Experiment, ...]]] = {
    "draws": lambda: tuple(map(Draws, specimens())),
    "samples": lambda: tuple(map(Samples, right_solvers())),
    "checks": lambda: tuple(map(Checks, right_solvers())),
}
"""What can be asked: cheap ones first."""
