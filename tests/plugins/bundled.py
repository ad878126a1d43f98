"""Which checks of a bundled solver `make test` runs; `make test-all` runs every one of them.

A solver that is the first of its kind keeps all.  One that shares its machinery with another, such
as a second method of a wrapped library, keeps the contract, and where each of its calls is a long
run of its own the brief part of that; what is left is marked thorough.  Where two differ by a
tableau alone, the loop around it is asked once.
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


SHARED = frozenset(
    f"check_{name}"
    for name in (
        "near_eps interleaved split score_times score_inputs randomness stochastic_claim "
        "stochasticity memory permutation batch_independence"
    ).split()
)
"""What a tableau cannot touch: of methods that differ by theirs alone, one is asked."""


def checks_of(solvers, kept: Sequence = CONTRACT, expected_failures=None, shared=()):
    """Tiers 0 and 1 of solvers; those checks that are not among the kept are thorough.

    Args:
        solvers: instances.
        kept: checks.
        expected_failures: as for :func:`parametrize_with_checks`.
        shared: names of checks that are asked of another solver, whose loop these have.
    """
    parametrised = parametrize_with_checks(solvers, expected_failures, fast=True)
    return _marked(parametrised, kept, shared)


def sampled_checks_of(solvers, kept: Sequence = ()):
    """Tiers 2 and 3 of solvers whose tiers 0 and 1, and whose proof by these, are tested elsewhere;
    thorough but the kept."""
    gone = {check.__name__ for check in (*FAST, *selected()[-1:])}
    return _marked(parametrize_with_checks(solvers), kept, gone)


def _marked(parametrised, kept, gone):
    stay = {check.__name__ for check in kept}
    marked = []
    for each in parametrised.args[1]:
        name = each.id.rpartition("-")[2]
        if name not in gone:
            marks = each.marks if name in stay else (*each.marks, pytest.mark.thorough)
            marked.append(each._replace(marks=marks))
    return pytest.mark.parametrize("check", marked)
