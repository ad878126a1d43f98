"""The right solvers and all their mutants."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain

from sdeplug.testing.memory import forget_all
from sdeplug.testing.mutants.acts import TABLE
from sdeplug.testing.mutants.elsewhere import elsewhere
from sdeplug.testing.mutants.flows import KEPT
from sdeplug.testing.mutants.generic import Solver, mutants_of
from sdeplug.testing.mutants.record import Mutant
from sdeplug.testing.mutants.right import (
    CLASSICAL,
    EULER,
    HEUN,
    AdamsBashforth,
    EulerMaruyama,
    ExponentialEuler,
    ExponentialMidpoint,
    Langevin,
    RowLangevin,
    RungeKutta,
)
from sdeplug.testing.mutants.right_kinds import AdaptiveHeun, OneLevel, Underdamped
from sdeplug.testing.mutants.right_metropolis import AdjustedLangevin, Hamiltonian, RandomWalk
from sdeplug.testing.mutants.right_random import RandomisedMidpoint, RandomSubsteps
from sdeplug.testing.mutants.right_steps import OwnGrid, RowHeun
from sdeplug.testing.mutants.situations import situations
from sdeplug.testing.mutants.specific import specific
from sdeplug.testing.mutants.unusual import unusual

RIGHT: tuple[Solver, ...] = (
    EulerMaruyama(),
    ExponentialEuler(),
    ExponentialMidpoint(),
    RungeKutta(EULER),
    RungeKutta(HEUN),
    RungeKutta(CLASSICAL),
    AdamsBashforth(),
    Langevin(),
    RowLangevin(),
    RandomisedMidpoint(),
    RandomSubsteps(),
    RandomWalk(),
    AdjustedLangevin(),
    Hamiltonian(),
    Underdamped(),
    OneLevel(),
    AdaptiveHeun(),
    RowHeun(),
    OwnGrid(),
)
"""The right solvers that mutants are made from."""

FAMILIES: Mapping[str, tuple[Mutant, ...]] = {
    "Any solver in a wrong world": mutants_of(EulerMaruyama()),
    "A term, a coefficient, a claim": tuple(specific()),
    "Right but for some situations": tuple(situations()),
    "Some shapes, dtypes, legs and laws": tuple(elsewhere()),
    "Solvers of unusual kinds": tuple(unusual()),
}
"""The mutants by what is wrong with them."""

MUTANTS: tuple[Mutant, ...] = tuple(chain.from_iterable(FAMILIES.values()))
"""Wrong solvers, each with one mistake."""


def forget() -> None:
    """Empty what the mutants with a memory that outlives a run have kept, and what the harness
    remembers of them."""
    forget_all()
    TABLE.clear()
    KEPT.clear()
