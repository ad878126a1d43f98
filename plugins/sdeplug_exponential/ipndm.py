r"""Multistep methods with fixed coefficients: those of equal steps, whatever the steps are.

With :math:`y = x / \alpha`, :math:`q = \sigma / \alpha` and the noise in x,
:math:`\epsilon = -\sigma \nabla \log p_t`, the probability flow is :math:`dy / dq = \epsilon`, and
a step is

.. math:: y' = y + (q' - q) \sum_j c_j\, \epsilon_j.

Coefficients that know the steps, as those of DEIS, are of higher order.  Fixed ones stay small
where steps shrink fast, which is worth more when steps are few and the score is a network.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from math import exp, inf

from sdeplug import Claims, LinearSDE, ReverseSDE, Run, option
from sdeplug_exponential.multistep import Memory, Plan, Remembering, Rule, extrapolation
from sdeplug_exponential.prediction import NOISE
from sdeplug_exponential.weights import lagrange_weights, nodes

Row = tuple[float, ...]
"""Coefficients of the noise, the newest first; their sum is 1."""

_FLOW = Claims(order=1, stochastic=False, evaluations=1, needs=LinearSDE)


@dataclass(frozen=True)
class IPNDM(Remembering):
    r"""iPNDM along the probability flow: Adams-Bashforth with the coefficients of equal steps.

    (3, -1)/2, (23, -16, 5)/12 and (55, -59, 37, -9)/24; the first steps use fewer.  Liu et al.,
    arXiv 2202.09778, equation 12, improved in Zhang & Chen, arXiv 2204.13902, appendix H.

    Where each step has nearly the length of the one before, two values and more give order 2; in
    general they give order 1.
    """

    claims = _FLOW

    order: int = option(4, help="values that are used", ge=1, le=4)

    def memory(self, reverse: ReverseSDE, run: Run) -> Memory:
        """As many values as the order."""
        return _Fixed(tuple(bashforth(count + 1) for count in range(self.order)), reverse, run)


@dataclass(frozen=True)
class GradientEstimation(Remembering):
    r"""The gradient-estimation sampler along the probability flow: the noise, extrapolated.

    :math:`\bar\epsilon = \gamma \epsilon + (1 - \gamma) \epsilon_{old}`; with gamma = 1 it is DDIM,
    with 1.5 iPNDM of order 2.  Permenter & Yuan, arXiv 2306.04848, algorithm 2, with gamma = 2.
    """

    claims = _FLOW

    gamma: float = option(2.0, help="weight of the newest noise", ge=1.0)

    def memory(self, reverse: ReverseSDE, run: Run) -> Memory:
        """Two values."""
        return _Fixed(((1.0,), (self.gamma, 1.0 - self.gamma)), reverse, run)


@cache
def bashforth(count: int) -> Row:
    """The coefficients of Adams and Bashforth for so many values at equal steps."""
    return tuple(lagrange_weights([-float(back) for back in range(count)], nodes(1.0)))


class _Fixed(Memory):
    """Values of the noise, with a row of coefficients for each number of them that is known."""

    def __init__(self, rows: tuple[Row, ...], reverse: ReverseSDE, run: Run) -> None:
        super().__init__(Rule(len(rows), prediction=NOISE), reverse, run, quiet=True)
        self.rows = rows

    def plan(self, target: float, zeta: float) -> Plan:
        if target == inf:
            return extrapolation(self.rule, target, self.places, zeta)
        gap = exp(-self.places[0]) - exp(-target)  # the values are the noise with its sign turned
        return 1.0, tuple(gap * each for each in self.rows[len(self.places) - 1]), 0.0
