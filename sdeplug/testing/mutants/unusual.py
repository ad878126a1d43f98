"""Mutants of the solvers of unusual kinds."""

from __future__ import annotations

from collections.abc import Iterator

from sdeplug.testing.mutants import drawn, momenta, moves, owned, promises, tolerances
from sdeplug.testing.mutants.defect import spoil
from sdeplug.testing.mutants.generic import LAW, Solver, dashed, mutant
from sdeplug.testing.mutants.record import Mutant, origin, sentence
from sdeplug.testing.mutants.right_metropolis import AdjustedLangevin

_LAW = f"{LAW} check_sizes"  # which has the variances of rows that decide for themselves
_WEAK = "check_randomised_leaks check_nonlinear_order check_law_by_sampling"
_REJECTED = "check_rejected_steps"
_TOLERANCE = f"{_LAW} check_own_tolerance"
_FORMULAS: tuple[tuple[Solver, str], ...] = (
    (drawn.EarlyTime(), _WEAK),
    (drawn.BeginningTime(), _WEAK),
    (drawn.OneTime(), "check_permutation"),
    (drawn.TimeOfTheNoise(), _WEAK),
    (drawn.OffThePath(), _WEAK),
    (drawn.SilentMiddle(), _WEAK),
    (drawn.LoudAtZero(), _WEAK),
    (drawn.CountOfTheNoise(), _WEAK),
    (moves.AlwaysAccepted(), _LAW),
    (moves.RatioInverted(), _LAW),
    (moves.ProposalsIgnored(), _LAW),
    (moves.ProposalsInverted(), _LAW),
    (moves.ScoreOfTheStart(), _LAW),
    (moves.LeftEnd(), _LAW),
    (moves.OneNumber(), "check_permutation"),
    (moves.NormalNumber(), _LAW),
    (moves.TriesAgain(size=1.0), "check_mixture_invariance check_law_by_sampling"),
    (moves.LengthOfTheState(), _LAW),
    (moves.ShrunkProposal(), _LAW),
    (momenta.NoKinetic(), _LAW),
    (momenta.KineticNotHalved(), _LAW),
    (momenta.WideMomentum(), _LAW),
    (momenta.MomentumOfTheScore(), _LAW),
    (momenta.LastHalfKickLeftOut(), _LAW),
    (momenta.WholeKick(), _LAW),
    (momenta.NoFreshMomentum(), _LAW),
    (momenta.NoiseNotSquared(), _LAW),
    (momenta.FrictionAlone(), _LAW),
    (momenta.EulerKicks(), _LAW),
    (drawn.WholeNoise(), _WEAK),
    (drawn.ShortSteps(), f"check_short_span {_WEAK}"),
    (tolerances.AllAccepted(), _TOLERANCE),
    (tolerances.RejectedKept(), _TOLERANCE),
    (tolerances.RejectedSkipped(), _TOLERANCE),
    (tolerances.StopsShort(), _TOLERANCE),
    (tolerances.SaysAlone(), "check_batch_independence"),
    (tolerances.NoiseDrawnAnew(), f"{_REJECTED} {_LAW}"),
    (tolerances.NoiseRescaled(), _REJECTED),
    (tolerances.NoiseLost(), f"{_REJECTED} {_LAW}"),
    (tolerances.NoiseGrows(), "check_wide_rows check_law_by_sampling"),
    (owned.OtherLevel(), LAW),
    (owned.HalfLevel(), LAW),
    (owned.LastStepLost(), LAW),
    (owned.WholeGrid(), "check_score_times"),
    (owned.FixedGrid(), f"{LAW} check_evaluations"),
    (owned.HalfTheGrid(), "check_evaluations"),
    (owned.GridInFloat32(), "check_score_times check_short_span"),
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
