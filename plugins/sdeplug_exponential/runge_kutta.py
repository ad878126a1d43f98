r"""Exponential Runge-Kutta methods whose stages lie on one Brownian path.

With :math:`y = x / \alpha`, :math:`\lambda = \log(\alpha / \sigma)` and :math:`\kappa = 1 + l^2`,
stage i at the part :math:`c_i` of a step of length h is

.. math:: y_i = e^{-\kappa c_i h} y + \sum_{j < i} w_{ij} D_j + N_i, \qquad
          N_i = \int_0^{c_i h} e^{-\kappa (c_i h - u)} q(u) \sqrt{2}\, l\, dW_u,

with the weights of the polynomial through the stages that the tableau names, and the result is
the stage at 1.  :math:`N_i` is made of unit normals for the parts between the stages, scaled
increments of one path, with their exact weights.  (SEEDS: Gonzalez et al., arXiv 2305.14267;
without noise DPM-Solver-2 and -3, Lu et al., arXiv 2206.00927, algorithms 1 and 2, in the
data-prediction form of arXiv 2211.01095.)
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from functools import lru_cache
from math import exp, expm1, inf, sqrt
from typing import ClassVar

from torch import Tensor

from sdeplug import Claims, Integrator, LinearSDE, ReverseSDE, Run
from sdeplug_exponential.inverse import times_between
from sdeplug_exponential.multistep import mean_square_level
from sdeplug_exponential.weights import step_weights


@dataclass(frozen=True)
class Tableau:
    """An exponential Runge-Kutta method.

    Attributes:
        fractions: where the stages are; the first is 0.
        used: for each later stage, and last for the result, the stages that its polynomial
            goes through.
    """

    fractions: tuple[float, ...]
    used: tuple[tuple[int, ...], ...]


MIDPOINT = Tableau((0.0, 0.5), ((0,), (0, 1)))
HEUN = Tableau((0.0, 1.0), ((0,), (0, 1)))
THIRD = Tableau((0.0, 1 / 3, 2 / 3), ((0,), (0, 1), (0, 2)))


@dataclass(frozen=True)
class Plan:
    """Floats of one step: of each later stage and of the result.

    Attributes:
        times: where the stages are in time.
        kept: factors of x.
        weights: of the denoised data of the stages, None where one is not used.
        noises: factors of the noise of the stage before, and of a fresh unit normal.
    """

    times: tuple[float, ...]
    kept: tuple[float, ...]
    weights: tuple[tuple[tuple[int, float], ...], ...]
    noises: tuple[tuple[float, float], ...]


class ExponentialRungeKutta(Integrator):
    """One step of the method that the class names."""

    tableau: ClassVar[Tableau]

    @property
    def claims(self) -> Claims:
        """Weak order 2 and strong order 1."""
        return Claims(
            order=2, strong_order=1, evaluations=len(self.tableau.fractions), needs=LinearSDE
        )

    def integrate(self, reverse: ReverseSDE, x: Tensor, t: float, s: float, run: Run) -> Tensor:
        """One step; into a time without noise, a jump to the denoised data."""
        sde = reverse.linear
        values = [reverse.denoised(x, t)]
        if sde.at(s).log_snr == inf:
            return sde.at(s).alpha * values[0]
        zeta = mean_square_level(reverse, t, s)
        plan = _planned(self.tableau, sde, (t, s), zeta)
        path = run.noise.brownian(x, t, s) if zeta else None
        noise, now = None, t
        for index, (time, kept) in enumerate(zip(plan.times, plan.kept, strict=True)):
            stage = x.mul(kept)
            for j, weight in plan.weights[index]:
                stage.add_(values[j], alpha=weight)
            if path is not None:
                old, fresh = plan.noises[index]
                if time < now:
                    step = path.increment(time, now).mul(fresh / sqrt(now - time))
                    noise = step if noise is None else step.add_(noise, alpha=old)
                assert noise is not None
                stage.add_(noise)
            if index < len(plan.times) - 1:
                values.append(reverse.denoised(stage, time))
            now = time
        return stage


@dataclass(frozen=True)
class ExpMidpoint(ExponentialRungeKutta):
    """Exponential midpoint rule: two evaluations, the second in the middle of the step.

    SEEDS-2 and DPM-Solver++ 2S type; arXiv 2305.14267 and 2211.01095, algorithm 1.
    """

    tableau: ClassVar[Tableau] = MIDPOINT


@dataclass(frozen=True)
class ExpHeun(ExponentialRungeKutta):
    """Exponential trapezoidal rule: two evaluations, the second at the end of the step."""

    tableau: ClassVar[Tableau] = HEUN


@dataclass(frozen=True)
class ExpRK3(ExponentialRungeKutta):
    """Three evaluations, at 0, 1/3 and 2/3 of the step; order 3 without noise.

    SEEDS-3 and DPM-Solver-3 type; arXiv 2305.14267 and 2206.00927, algorithm 2.
    """

    tableau: ClassVar[Tableau] = THIRD


def _planned(tableau: Tableau, sde: LinearSDE, span: tuple[float, float], zeta: float) -> Plan:
    """The plan of a step, remembered where the SDE can be a key."""
    make = _remembered if isinstance(sde, Hashable) else _plan
    return make(tableau, sde, span, zeta)


def _plan(tableau: Tableau, sde: LinearSDE, span: tuple[float, float], zeta: float) -> Plan:
    t, s = span
    start, end = (0.5 * sde.at(time).log_snr for time in span)
    inner = [start + c * (end - start) for c in tableau.fractions[1:] if c < 1.0]
    ends = times_between(sde, span, inner) if inner else []
    ends += [s] * (len(tableau.used) - len(inner))
    sde.prepare(ends)
    now, places = sde.at(t), [start, *(0.5 * sde.at(time).log_snr for time in ends)]
    kept, weights, noises = [], [], []
    for stage, used in enumerate(tableau.used, 1):
        marginal, length = sde.at(ends[stage - 1]), places[stage] - start
        z = (1.0 + zeta) * length
        points = [(places[j] - start) / length for j in used]
        parts = step_weights(z, points)
        weights.append(tuple((j, marginal.alpha * w) for j, w in zip(used, parts, strict=True)))
        kept.append(marginal.alpha / now.alpha * exp(-z))
        before = sde.at(t if stage == 1 else ends[stage - 2])
        gap = places[stage] - places[stage - 1]
        old = marginal.alpha / before.alpha * exp(-(1.0 + zeta) * gap)
        noises.append((old, marginal.sigma * sqrt(-expm1(-2.0 * zeta * gap))))
    return Plan(tuple(ends), tuple(kept), tuple(weights), tuple(noises))


_remembered = lru_cache(maxsize=16384)(_plan)
