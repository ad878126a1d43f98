"""Mutants whose mistake shows in some situations alone: which, and what is meant to see it."""

from __future__ import annotations

from collections.abc import Iterator

from sdeplug.sde import VESDE, VPSDE, CosineVPSDE, SubVPSDE
from sdeplug.testing.mutants import mixed, when
from sdeplug.testing.mutants.acts import Skipped, StopsEarly
from sdeplug.testing.mutants.defect import Defect, spoil
from sdeplug.testing.mutants.generic import Solver, mutant
from sdeplug.testing.mutants.heard import Rounded, Scaled, SilentLast
from sdeplug.testing.mutants.joined import Both, When
from sdeplug.testing.mutants.mixed import DefaultSchedule, DriftAt, NoiseAt
from sdeplug.testing.mutants.record import Mutant
from sdeplug.testing.mutants.right import (
    HEUN,
    AdamsBashforth,
    EulerMaruyama,
    ExponentialEuler,
    ExponentialMidpoint,
    Langevin,
    RowLangevin,
    RungeKutta,
)
from sdeplug.testing.mutants.seen import ScoreTimes

_EM, _EXP, _MID = EulerMaruyama(), ExponentialEuler(), ExponentialMidpoint()
_HEUN, _AB = RungeKutta(HEUN), AdamsBashforth()
_LANGEVIN, _ROWS = Langevin(), RowLangevin()

Entries = tuple[tuple[Solver, str, Defect], ...]

_NUMBERS: Entries = (
    (_HEUN, "odd-last-skipped", When(when.odd_last, Skipped())),
    (_EM, "odd-last-skipped", When(when.odd_last, Skipped())),
    (_EXP, "even-last-skipped", When(when.even_last, Skipped())),
    (_MID, "odd-last-without-noise", When(when.odd_last, Scaled(0.0))),
    (_AB, "every-fifth-skipped", When(when.every_fifth, Skipped())),
    (_EM, "third-without-noise", When(when.third, Scaled(0.0))),
    (_HEUN, "third-skipped", When(when.third, Skipped())),
    (_EM, "noise-large-from-sixth", When(when.from_sixth, Scaled(1.02))),
    (_EXP, "prime-without-noise", When(when.prime, Scaled(0.0))),
    (_HEUN, "score-large-up-to-fourth", When(when.up_to_fourth, ScoreTimes(1.02))),
)
_SCHEDULES: Entries = (
    (_EM, "beta-of-the-default", DefaultSchedule(VPSDE)),
    (_HEUN, "beta-of-the-default", DefaultSchedule(VPSDE)),
    (_EM, "beta-of-the-default-sub-vp", DefaultSchedule(SubVPSDE)),
    (_EXP, "sigma-of-the-default", DefaultSchedule(VESDE)),
    (_MID, "offset-of-the-default", DefaultSchedule(CosineVPSDE)),
    (_EM, "noise-large-on-unknown", When(when.unknown_sde, Scaled(1.2))),
    (_EXP, "noise-large-on-unknown", When(when.unknown_sde, Scaled(1.01))),
    (_HEUN, "score-small-on-unknown", When(when.unknown_sde, ScoreTimes(0.99))),
    (_MID, "score-large-on-others", When(when.other_parameters, ScoreTimes(1.02))),
    (_AB, "score-small-in-long-time", When(when.long_time, ScoreTimes(0.98))),
    (_EXP, "score-large-where-both", When(when.growing_and_shrinking, ScoreTimes(1.1))),
    (_EM, "noise-of-unit-time", mixed.StepOfUnitTime()),
    (_LANGEVIN, "noise-large-on-unknown", When(when.unknown_sde, Scaled(1.1))),
)
_RUNS: Entries = (
    (_HEUN, "last-skipped-on-unknown", When(when.last_on_unknown, Skipped())),
    (_MID, "last-without-noise-on-unknown", When(when.last_on_unknown, Scaled(0.0))),
    (_AB, "last-score-lost-on-unknown", When(when.last_on_unknown, ScoreTimes(0.0))),
)
_LEVELS: Entries = (
    (_EM, "noise-large-above-one", When(when.above_one, Scaled(1.1))),
    (_EXP, "noise-large-near-zero", When(when.near_zero, Scaled(1.1))),
    (_MID, "noise-small-where-varying", When(when.varying, Scaled(0.98))),
    (_EM, "drift-at-level-of-start", DriftAt(mixed.of_the_start)),
    (_EXP, "drift-at-level-of-start", DriftAt(mixed.of_the_start)),
    (_EM, "noise-at-level-of-start", NoiseAt(mixed.of_the_start)),
    (_MID, "drift-at-most-one", DriftAt(mixed.at_most_one)),
    (_EM, "drift-in-halves", DriftAt(mixed.in_halves)),
    (_EXP, "noise-in-halves", NoiseAt(mixed.in_halves)),
    (_EM, "noise-in-unit-time", NoiseAt(mixed.in_unit_time)),
)
_SIZES: Entries = (
    (_EM, "noise-large-when-wide", When(when.wide, Scaled(1.03))),
    (_EM, "noise-large-when-huge", When(when.huge, Scaled(1.2))),
    (_HEUN, "score-small-when-wide", When(when.wide, ScoreTimes(0.99))),
    (_EXP, "no-noise-when-scalar", When(when.scalar, Scaled(0.0))),
    (_MID, "noise-large-when-many", When(when.many, Scaled(1.01))),
    (_AB, "score-small-when-lonely", When(when.lonely, ScoreTimes(0.99))),
    (_LANGEVIN, "noise-large-when-scalar", When(when.scalar, Scaled(1.05))),
    (_LANGEVIN, "noise-large-when-huge", When(when.huge, Scaled(1.2))),
    (_ROWS, "noise-large-when-huge", When(when.huge, Scaled(1.2))),
)
# Noise in float32 is right; with a mistake beside it the law is not let off.
_ROUNDED: Entries = (
    (_EM, "rounded-noise-large", Both(Rounded(), Scaled(1.01))),
    (_EXP, "rounded-noise-small", Both(Rounded(), Scaled(0.995))),
    (_MID, "rounded-score-large", Both(Rounded(), ScoreTimes(1.01))),
    (_EM, "rounded-stops-early", Both(Rounded(), StopsEarly(1.5))),
    (_EXP, "rounded-noise-large-at-half", Both(Rounded(), When(when.half, Scaled(1.05)))),
    (_MID, "rounded-last-step-without-noise", Both(Rounded(), SilentLast())),
)
_SITUATIONS = (
    (_NUMBERS, "check_step_numbers"),
    (_SCHEDULES, "check_schedules"),
    (_RUNS, "check_drawn_runs"),
    (_LEVELS, "check_levels"),
    (_SIZES, "check_sizes"),
    (_ROUNDED, "check_marginals"),
)


def situations() -> Iterator[Mutant]:
    """All of them."""
    for entries, by in _SITUATIONS:
        for right, name, defect in entries:
            yield mutant(type(right).__name__, name, defect.what, spoil(right, defect), by)
