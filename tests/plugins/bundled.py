"""Which checks of a bundled solver `make test` runs; `make test-all` runs every one of them.

A solver that is the first of its kind keeps all.  One that shares its machinery with another, such
as a second method of a wrapped library, keeps the contract, and where each of its calls is a long
run of its own the brief part of that; what is left is marked thorough.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from sdeplug.testing import CONTRACT, FAST, parametrize_with_checks
from sdeplug.testing.doors import selected

BRIEF = CONTRACT[:2] + tuple(
    check
    for check in CONTRACT[2:]
    if check.__name__.removeprefix("check_")
    in "options spec claims shapes_and_dtypes evaluations affine batch_independence".split()
)
"""The part of the contract that takes few calls."""


def checks_of(solvers, kept: Sequence = CONTRACT, expected_failures=None):
    """Tiers 0 and 1 of solvers; those checks that are not among the kept are thorough."""
    return _marked(parametrize_with_checks(solvers, expected_failures, fast=True), kept, dropped=())


def sampled_checks_of(solvers, kept: Sequence = ()):
    """Tiers 2 and 3 of solvers whose tiers 0 and 1, and whose proof by these, are tested elsewhere;
    thorough but the kept."""
    return _marked(parametrize_with_checks(solvers), kept, dropped=(*FAST, *selected()[-1:]))


def _marked(parametrised, kept, dropped):
    stay, gone = ({check.__name__ for check in each} for each in (kept, dropped))
    marked = []
    for each in parametrised.args[1]:
        name = each.id.rpartition("-")[2]
        if name not in gone:
            marks = each.marks if name in stay else (*each.marks, pytest.mark.thorough)
            marked.append(each._replace(marks=marks))
    return pytest.mark.parametrize("check", marked)
