"""Comparison: which solver, at which cost, with what error.

:func:`compare` runs solvers at equal budgets of score evaluations, on exact scores and on
perturbed ones, and gives a :class:`Comparison`: a table, pictures, a page, plain data.
"""

from sdeplug.compare.comparison import Comparison
from sdeplug.compare.conditions import Conditions
from sdeplug.compare.contenders import DEFAULT_SOLVERS, Contender
from sdeplug.compare.entry import compare
from sdeplug.compare.flow import Flow
from sdeplug.compare.perturbed import PerturbedScore
from sdeplug.compare.problem import OnData
from sdeplug.compare.rows import Estimate, Row
from sdeplug.compare.work import Work
from sdeplug.sheet import Sheet

__all__ = [
    "DEFAULT_SOLVERS",
    "Comparison",
    "Conditions",
    "Contender",
    "Estimate",
    "Flow",
    "OnData",
    "PerturbedScore",
    "Row",
    "Sheet",
    "Work",
    "compare",
]
