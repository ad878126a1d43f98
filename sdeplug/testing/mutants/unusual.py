"""Mutants of the solvers of unusual kinds."""

from __future__ import annotations

from collections.abc import Iterator

from sdeplug.testing.mutants import drawn, moves, promises
from sdeplug.testing.mutants.defect import spoil
from sdeplug.testing.mutants.generic import LAW, Solver, dashed, mutant
from sdeplug.testing.mutants.record import Mutant, origin, sentence
from sdeplug.testing.mutants.right_metropolis import AdjustedLangevin

_LAW = f"{LAW} check_sizes"  # which has the variances of rows that decide for themselves
_FORMULAS: tuple[tuple[Solver, str], ...] = (
    (drawn.EarlyTime(), _LAW),
    (drawn.BeginningTime(), _LAW),
    (drawn.OneTime(), "check_permutation"),
    (drawn.TimeOfTheNoise(), _LAW),
    (drawn.OffThePath(), _LAW),
    (drawn.SilentMiddle(), _LAW),
    (drawn.LoudAtZero(), _LAW),
    (drawn.CountOfTheNoise(), _LAW),
    (moves.AlwaysAccepted(), _LAW),
    (moves.RatioInverted(), _LAW),
    (moves.ProposalsIgnored(), _LAW),
    (moves.ProposalsInverted(), _LAW),
    (moves.ScoreOfTheStart(), _LAW),
    (moves.LeftEnd(), _LAW),
    (moves.OneNumber(), "check_permutation"),
    (moves.NormalNumber(), _LAW),
)

_CLAIMS: tuple[tuple[Solver, str, object, str], ...] = (
    (AdjustedLangevin(), "affine", True, "check_affinity"),
)


def unusual() -> Iterator[Mutant]:
    """All of them: of formulas, and of claims."""
    for solver, by in _FORMULAS:
        yield mutant(origin(solver), dashed(type(solver).__name__), sentence(solver), solver, by)
    for right, claim, value, by in _CLAIMS:
        untrue = promises.Promise(claim, value)
        name = f"claims-{dashed(claim)}-{value}".lower()
        yield mutant(type(right).__name__, name, untrue.what, spoil(right, untrue), by)
