"""Error against evaluations: our exponential solvers, and those of other libraries as the bar.

python benchmarks/frontier.py [--quick] [--policy] [--json FILE]

One thread, CPU.  The exit status is 1 where, with an exact score, ``auto`` is worse than the best
sampler of diffusers, k-diffusion and azula on the best of its grids, or misses a stored number; and
where, with a wrong score, the best member of our family is worse, which is found among members and
grids in the way theirs is.  Libraries that are not installed are left out.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch
from entrants import Entrant, family, ours, theirs
from measures import EXACT, MIXTURES, RING, UNEVEN, Error, Problem
from policy import policy
from rich.console import Console
from rich.table import Table

from sdeplug import VESDE, VPSDE

BUDGETS = (8, 16, 32, 64, 128)
SDES = (VPSDE(), VESDE())
SIZES = (0.02, 0.05, 0.1)
FIELDS = 6
FINALISTS = 6
RING_VP = (4.3e-2, 7.2e-3, 1.3e-3, 1.2e-4, 1.3e-5)  # what auto must reach on the eight Gaussians


@dataclass(frozen=True)
class Line:
    """One row of a table: an error for each budget."""

    what: str
    errors: tuple[Error, ...]

    @property
    def values(self) -> tuple[float, ...]:
        return tuple(error.value for error in self.errors)


@dataclass(frozen=True)
class Standing:
    """All of ours on one problem, and for each budget the best of theirs.

    Attributes:
        problem: what was sampled.
        lines: ours, ``auto`` first.
        bar: the best of the others, its name and its grid; empty without other libraries.
        best: with a wrong score the best of ours, found in the same way; else empty.
        limits: stored numbers for ``auto``.
    """

    problem: Problem
    lines: tuple[Line, ...]
    bar: tuple[tuple[str, Error], ...]
    best: tuple[tuple[str, Error], ...] = ()
    limits: tuple[float, ...] = ()

    @property
    def verdicts(self) -> tuple[str, ...]:
        """For each budget: whether we are worse than the bar, or auto misses a stored number."""
        auto = self.lines[0].errors
        mine = [error for _, error in self.best] or auto
        worse = [one.above(other) for one, (_, other) in zip(mine, self.bar, strict=False)]
        over = [one.value > limit for one, limit in zip(auto, self.limits, strict=False)]
        missed = [any(pair) for pair in zip(_padded(worse), _padded(over), strict=True)]
        return tuple("missed" if each else "ok" for each in missed)


def _padded(known: list[bool]) -> list[bool]:
    return known or [False] * len(BUDGETS)


def problems(quick: bool) -> Iterator[tuple[Problem, tuple[float, ...]]]:
    """With an exact score, without and with noise; then with scores that are off."""
    rows, drawn = (2048, 1024) if quick else (8192, 2048)
    for sde in SDES:
        yield Problem("Gaussian", sde), ()
        for name in EXACT:
            stored = name == RING and sde == SDES[0]
            yield Problem(name, sde, rows=rows), RING_VP if stored else ()
        yield Problem(RING, sde, 0.0, FIELDS, drawn), ()
    for sde in SDES:
        for size in SIZES[1:2] if quick else SIZES:
            yield Problem("Gaussian", sde, size, FIELDS), ()
            yield Problem(RING, sde, size, FIELDS, drawn), ()
            yield Problem(UNEVEN, sde, size, FIELDS, drawn), ()
        if not quick:  # smaller errors cannot be told from none there
            yield Problem(EXACT[1], sde, SIZES[-1], FIELDS, drawn), ()


def stand(problem: Problem, others: Sequence[Entrant], limits: tuple[float, ...]) -> Standing:
    """Run some of ours and the best of theirs; with a wrong score the best of ours as well."""
    flow = not problem.fields and problem.name in MIXTURES  # ends are compared, not laws
    law = problem.fields > 0 and not problem.size
    mine = [each for each in ours(problem.size) if not (flow and each.noisy)]
    able = [each for each in mine if not law or each.noisy or each.name == "auto"]
    lines = (
        Line(each.name, tuple(measured(problem, each, nfe) for nfe in BUDGETS)) for each in able
    )
    field = tuple(
        each for each in others
        if (each.noisy if law else problem.fields or not each.noisy)
        and not (each.grid == "uniform" and isinstance(problem.sde, VESDE))  # is log-snr there
    )  # fmt: skip
    bar = tuple(best(problem, field, nfe) for nfe in BUDGETS) if field else ()
    own = tuple(best(problem, tuple(family()), nfe) for nfe in BUDGETS) if problem.size else ()
    return Standing(problem, tuple(lines), bar, own, limits)


def best(problem: Problem, field: tuple[Entrant, ...], nfe: int) -> tuple[str, Error]:
    """The best of those that do best in a short trial, with name and grid."""
    able = [(each, k) for k, each in enumerate(field) if each.least <= nfe]
    trials = [(measured(problem.trial, each, nfe).value, k) for each, k in able]
    first = sorted(each for each in trials if math.isfinite(each[0]))[:FINALISTS]
    finals = [(measured(problem, field[k], nfe), field[k]) for _, k in first]
    error, winner = min(finals, key=lambda pair: pair[0].value)
    return f"{winner.name}, {winner.grid}", error


@cache
def measured(problem: Problem, entrant: Entrant, nfe: int) -> Error:
    """The error of one entrant, remembered: some trials serve several problems."""
    return problem.error(entrant.family(nfe), entrant.stochasticity, nfe)


def table(standing: Standing) -> Table:
    """Errors of ours, and at the foot the bar: best of theirs, ratio, verdict."""
    floor = standing.problem.floor
    made = Table("sampler", title=standing.problem.title, title_justify="left")
    if floor:
        made.caption = f"exact draws are {floor:.2g} apart, which has been taken out"
    for nfe in BUDGETS:
        made.add_column(str(nfe), justify="right")
    for line in standing.lines:
        made.add_row(line.what, *(f"{value:.2g}" for value in line.values))
    made.add_section()
    if standing.bar:
        made.add_row("best of the others", *(f"{error.value:.2g}" for _, error in standing.bar))
        made.add_row("", *(name for name, _ in standing.bar))
        pairs = zip(standing.lines[0].values, standing.bar, strict=True)
        ratios = [mine / error.value if error.value else math.nan for mine, (_, error) in pairs]
        made.add_row("auto over it", *(f"{ratio:.2f}" for ratio in ratios))
    if standing.best:
        made.add_row("best of ours", *(f"{error.value:.2g}" for _, error in standing.best))
        made.add_row("", *(name for name, _ in standing.best))
    made.add_row("", *standing.verdicts)
    return made


def figures(standing: Standing) -> dict[str, object]:
    """A table as plain values."""
    return {
        "problem": standing.problem.title,
        "lines": {line.what: line.values for line in standing.lines},
        "others": [{"sampler": name, "error": error.value} for name, error in standing.bar],
        "ours": [{"sampler": name, "error": error.value} for name, error in standing.best],
        "verdicts": standing.verdicts,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer rows, one size of error")
    parser.add_argument("--policy", action="store_true", help="what the policy of auto rests on")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there as well")
    options = parser.parse_args()
    torch.set_num_threads(1)
    screen, begin = Console(width=132), time.perf_counter()
    if options.policy:
        for made in policy(2048 if options.quick else 4096):
            screen.print(made)
        return 0
    others, found = tuple(theirs()), []
    for problem, limits in problems(options.quick):
        found.append(stand(problem, others, limits))
        screen.print(table(found[-1]))
    missed = sum(each.verdicts.count("missed") for each in found)
    print(f"{missed} columns missed, {time.perf_counter() - begin:.0f} s")
    if options.json:
        where = f"torch {torch.__version__}, {platform.platform()}"
        told = {"machine": where, "tables": [figures(each) for each in found]}
        options.json.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main())
