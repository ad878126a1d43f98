"""Budgets and seeds as people have them: one number or several, those of numpy and torch too."""

from __future__ import annotations

from sdeplug.errors import ArgumentError
from sdeplug.values import listed


def budgets(nfe: object) -> tuple[int, ...]:
    """Budgets of score evaluations, from one or several.

    Raises:
        ArgumentError: unless they are whole numbers above 0 that rise.
    """
    found = _whole(nfe)
    if not found or found[0] < 1 or list(found) != sorted(set(found)):
        raise ArgumentError("nfe", nfe, "rising whole numbers of at least 1", "(5, 10) are two.")
    return found


def repetitions(seeds: object) -> tuple[int, ...]:
    """The seed of each repetition, from how many there are or from all of them.

    Raises:
        ArgumentError: unless they are whole numbers that differ, and not below 0.
    """
    one = listed(seeds)
    if isinstance(one, int) and not isinstance(one, bool):
        one = list(range(one))
    found = _whole(one)
    if not found or min(found) < 0 or len(set(found)) < len(found):
        raise ArgumentError(
            "seeds", seeds, "how many there are, or a list of whole numbers that differ",
            "Neither may be below 0, and one is the least.",
        )  # fmt: skip
    return found


def _whole(given: object) -> tuple[int, ...]:
    """Whole numbers, of one or several; none where one of them is something else."""
    found = listed(given)
    each = tuple(map(listed, found)) if isinstance(found, (list, tuple, range)) else (found,)
    whole = tuple(one for one in each if isinstance(one, int) and not isinstance(one, bool))
    return whole if len(whole) == len(each) else ()
