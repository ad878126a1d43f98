"""Subtly wrong solvers: what the harness itself is tested with.

Each of :data:`MUTANTS` is a right solver with one mistake, and fails the checks.  Each of
:data:`EQUIVALENT` looks like one, and passes.  :func:`mutants_of` makes mutants of any solver.
"""

from sdeplug.testing.mutants.collection import MUTANTS, RIGHT, forget
from sdeplug.testing.mutants.defect import Act, Defect, spoil
from sdeplug.testing.mutants.equivalents import EQUIVALENT
from sdeplug.testing.mutants.generic import mutants_of
from sdeplug.testing.mutants.record import Equivalent, Mutant

__all__ = [
    "EQUIVALENT",
    "MUTANTS",
    "RIGHT",
    "Act",
    "Defect",
    "Equivalent",
    "Mutant",
    "forget",
    "mutants_of",
    "spoil",
]
