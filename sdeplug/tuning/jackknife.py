"""Standard errors of whatever is computed from rows: the jackknife over groups of them.

A statistic is computed without each of G groups in turn; with :math:`\\theta_g` what it then is,

.. math:: se^2 = \\frac{G - 1}{G} \\sum_g (\\theta_g - \\bar\\theta)^2.

Quenouille 1956; Efron & Tibshirani 1993, section 11.  The same groups for two samplers that
share their random numbers give the error of their difference.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from sdeplug.compare import Estimate

GROUPS = 8


def without_each(statistic: Callable[[Tensor], float], rows: int) -> list[float]:
    """A statistic of all rows, then of all but each group.

    Args:
        statistic: function of the numbers of rows, int64.
        rows: how many there are.
    """
    numbers = torch.arange(rows, dtype=torch.int64, device="cpu")
    rests = (numbers[numbers % GROUPS != group] for group in range(GROUPS))
    return [statistic(each) for each in (numbers, *rests)]


def estimate(values: Sequence[float]) -> Estimate:
    """What :func:`without_each` gave, with its standard error."""
    whole, *rest = values
    if not all(map(math.isfinite, values)):
        return Estimate(whole)
    mean = sum(rest) / len(rest)
    spread = sum((each - mean) ** 2 for each in rest)
    return Estimate(whole, math.sqrt((len(rest) - 1) / len(rest) * spread))


def difference(some: Sequence[float], others: Sequence[float]) -> Estimate:
    """The difference of two statistics of the same rows, with its standard error."""
    return estimate([one - other for one, other in zip(some, others, strict=True)])
