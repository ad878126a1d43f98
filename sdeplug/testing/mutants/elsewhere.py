"""Mistakes of some shapes, dtypes, legs and laws, in solvers of every kind."""

from __future__ import annotations

from collections.abc import Iterator

from sdeplug.testing.mutants import acts, again, chance, heard, seen, shaped, unsaid, when
from sdeplug.testing.mutants.defect import Defect, spoil
from sdeplug.testing.mutants.generic import Solver, mutant
from sdeplug.testing.mutants.joined import When
from sdeplug.testing.mutants.record import Mutant
from sdeplug.testing.mutants.right import (
    HEUN,
    AdamsBashforth,
    EulerMaruyama,
    ExponentialMidpoint,
    Langevin,
    RowLangevin,
    RungeKutta,
)
from sdeplug.testing.mutants.right_kinds import AdaptiveHeun
from sdeplug.testing.mutants.right_metropolis import AdjustedLangevin, Hamiltonian
from sdeplug.testing.mutants.right_random import RandomSubsteps
from sdeplug.testing.mutants.right_steps import OwnGrid, RowHeun

_SHAPES = "check_other_shapes check_coordinates"
_MIXTURE = "check_mixture_leaks"
_STATE, _PARTS = "check_state_in_half_precision", "check_parts"
_ENTRIES: tuple[tuple[Solver, str, Defect, str], ...] = (
    (ExponentialMidpoint(), "tail-small", shaped.TailSmall(), _SHAPES),
    (RungeKutta(HEUN), "score-transposed", shaped.ScoreTransposed(), _SHAPES),
    (Langevin(), "channels-small", shaped.ChannelsSmall(), _SHAPES),
    (RowLangevin(), "channels-correlated", shaped.ChannelsCorrelated(), _SHAPES),
    (Hamiltonian(), "noise-of-images", When(when.images, heard.Scaled(1.1)), _SHAPES),
    (AdamsBashforth(), "score-in-float16", When(when.float16, seen.ScoreTimes(0.9)), _STATE),
    (RowLangevin(), "noise-in-bfloat16", When(when.bfloat16, heard.Scaled(1.05)), _STATE),
    (Langevin(), "state-in-bfloat16", When(when.bfloat16, acts.FirstRowLeft()), _STATE),
    (ExponentialMidpoint(), "signs-1-percent-large", chance.Changed(chance.signs, 1.01),
     "check_moments"),
    (RowLangevin(), "first-noise-kept", again.Kept(), _PARTS),
    (AdjustedLangevin(), "starts-anew", again.StartsAnew(), _PARTS),
    (ExponentialMidpoint(), "shakes", unsaid.Shakes(1e-3), "check_many_short_steps"),
    (EulerMaruyama(), "curved", unsaid.Curved(0.01), _MIXTURE),
    (AdamsBashforth(), "curved", unsaid.Curved(0.01), _MIXTURE),
    (RandomSubsteps(), "curved", unsaid.Curved(0.01), _MIXTURE),
    (AdaptiveHeun(), "curved", unsaid.Curved(0.01), _MIXTURE),
    (RowHeun(), "curved", unsaid.Curved(0.01), _MIXTURE),
    (RowHeun(), "noise-of-low-stochasticity", When(when.near_zero, heard.Scaled(1.05)), _MIXTURE),
    (RowHeun(), "noise-of-varying-stochasticity", When(when.varying, heard.Scaled(1.02)), _MIXTURE),
    (OwnGrid(), "curved", unsaid.Curved(0.01), _MIXTURE),
    (AdjustedLangevin(), "curved", unsaid.Curved(0.05), "check_mixture_invariance"),
)  # fmt: skip


def elsewhere() -> Iterator[Mutant]:
    """One of each kind, in a solver that makes it hard to see."""
    for solver, name, defect, by in _ENTRIES:
        yield mutant(type(solver).__name__, name, defect.what, spoil(solver, defect), by)
