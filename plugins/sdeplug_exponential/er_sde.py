r"""ER-SDE: values along the noise level, and a stochasticity that is a function of it.

With :math:`q = \sigma / \alpha` and :math:`\kappa = 1 + l^2` a step is

.. math:: y' = r y + (1 - r) D + A_1 D' + A_2 D'' + q' \sqrt{1 - e^{-2 l^2 h}}\; z, \qquad
          r = e^{-\kappa h}, \quad
          A_k = \kappa \int_0^h e^{-\kappa (h - v)} \frac{(u(v) - q)^k}{k!}\,dv, \quad u = q e^{-v},

with divided differences of the last values for the derivatives along q (Cui et al.,
arXiv 2309.06169, section 3, where :math:`r = \phi(q') / \phi(q)` and :math:`A_k` is integrated by
parts and then summed over a hundred points).  The noise that the paper recommends,
:math:`\phi = q\,(e^{q^{0.3}} + 10)`, is a stochasticity of the reverse SDE,
:math:`l^2 = d \log \phi / d \log q - 1`: :class:`ERStochasticity`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import exp, expm1, inf, sqrt

from sdeplug import Claims, LinearSDE, ReverseSDE, Run, option
from sdeplug_exponential.multistep import Memory, Plan, Remembering, Rule
from sdeplug_exponential.weights import kernel


@dataclass(frozen=True)
class ERStochasticity:
    r"""The stochasticity of ER-SDE: :math:`l^2 = 0.3\,q^{0.3} / (1 + 10 e^{-q^{0.3}})`.

    Below 0.3 for q < 1: nearly the probability flow where details are made.  The noise function
    number 5 of arXiv 2309.06169, appendix A.8.

    Attributes:
        sde: the forward SDE, which says what q is at a time.
    """

    sde: LinearSDE

    def __call__(self, t: float) -> float:
        """l at a time."""
        power = exp(-0.15 * self.sde.at(t).log_snr)
        return sqrt(0.3 * power / (1.0 + 10.0 * exp(-power)))


@dataclass(frozen=True)
class ERSDE(Remembering):
    """ER-SDE in data prediction, of one to three values, at any stochasticity."""

    order: int = option(3, help="values that are used", ge=1, le=3)

    @property
    def claims(self) -> Claims:
        """Weak order 2 from two values on, strong order 1."""
        return Claims(order=min(self.order, 2), strong_order=1, evaluations=1, needs=LinearSDE)

    def memory(self, reverse: ReverseSDE, run: Run) -> Memory:
        """Values along the noise level."""
        return _Memory(Rule(self.order), reverse, run)


class _Memory(Memory):
    def plan(self, target: float, zeta: float) -> Plan:
        return combination(target, self.places, zeta)


@lru_cache(maxsize=16384)
def combination(target: float, places: tuple[float, ...], zeta: float) -> Plan:
    r"""What a step makes of the state and of the known values, remembered.

    Args:
        target: :math:`\lambda = -\log q` at the end; infinite where there is no noise.
        places: :math:`\lambda` of the known values, the newest first.
        zeta: mean square of the stochasticity.
    """
    if target == inf:
        return 0.0, (1.0,) + (0.0,) * (len(places) - 1), 0.0
    q, h = [exp(-place) for place in places], target - places[0]
    z = (1.0 + zeta) * h
    moments = [0.0, 0.0, 0.0]
    for v, weight in kernel(z):
        gap = q[0] * expm1(-v * h)
        for k, factor in enumerate((1.0, gap, 0.5 * gap**2)):
            moments[k] += weight * factor
    weights = [moments[0], *(0.0 for _ in places[1:])]
    if len(places) > 1:
        first = moments[1] / (q[0] - q[1])
        weights[0], weights[1] = weights[0] + first, -first
    if len(places) > 2:
        second = 2.0 * moments[2] / (q[0] - q[2])
        newer, older = second / (q[0] - q[1]), second / (q[1] - q[2])
        weights = [weights[0] + newer, weights[1] - newer - older, older]
    return exp(-z), tuple(weights), sqrt(-expm1(-2.0 * zeta * h))
