r"""Exponential Runge-Kutta methods whose stages lie on one Brownian path.

With :math:`y = x / \alpha`, :math:`\lambda = \log(\alpha / \sigma)` and :math:`z = \kappa h`, where
:math:`\kappa = 1 + l^2`, stage i at the part :math:`c_i` of a step of length h is

.. math:: y_i = e^{-c_i z} y + z \sum_{j < i} a_{ij}(z) D_j + N_i, \qquad
          N_i = \int_0^{c_i h} e^{-\kappa (c_i h - u)} q(u) \sqrt{2}\, l\, dW_u,

with the weights of a tableau (:mod:`sdeplug_exponential.tableaux`), and the result is likewise.
:math:`N_i` is made of unit normals for the parts between the stages, scaled increments of one
path, with their exact weights.  (SEEDS: Gonzalez et al., arXiv 2305.14267; without noise
DPM-Solver-2 and -3, Lu et al., arXiv 2206.00927, algorithms 1 and 2, in the data-prediction form
of arXiv 2211.01095.)
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Hashable
from dataclasses import dataclass
from functools import lru_cache
from math import exp, expm1, inf, sqrt

from torch import Tensor

from sdeplug import BrownianPath, Claims, Integrator, LinearSDE, OneOf, ReverseSDE, Run, option
from sdeplug_exponential import tableaux
from sdeplug_exponential.inverse import times_between
from sdeplug_exponential.multistep import mean_square_level
from sdeplug_exponential.tableaux import Tableau


@dataclass(frozen=True)
class Stage:
    """Floats of one stage, or of the result.

    Attributes:
        time: where it is.
        kept: factor of x.
        weights: of the denoised data of the stages before, by their numbers.
        place: which of the noises of the step it has.
    """

    time: float
    kept: float
    weights: tuple[tuple[int, float], ...]
    place: int


@dataclass(frozen=True)
class Plan:
    """Floats of one step.

    Attributes:
        stages: all but the first, and last the result.
        noises: at each new part of the step its time, and the factors of the noise of the part
            before and of a fresh unit normal.
    """

    stages: tuple[Stage, ...]
    noises: tuple[tuple[float, float, float], ...]


class ExponentialRungeKutta(Integrator):
    """One step of the method of a tableau."""

    @property
    @abstractmethod
    def tableau(self) -> Tableau:
        """The method."""

    @property
    def claims(self) -> Claims:
        """Weak order 2 and strong order 1."""
        return Claims(
            order=2, strong_order=1, evaluations=len(self.tableau.fractions), needs=LinearSDE
        )

    def integrate(self, reverse: ReverseSDE, x: Tensor, t: float, s: float, run: Run) -> Tensor:
        """One step; into a time without noise, a jump to the denoised data."""
        sde = reverse.linear
        if sde.at(s).log_snr == inf:
            return sde.at(s).alpha * reverse.denoised(x, t)
        zeta = mean_square_level(reverse, t, s)
        plan = _planned(self.tableau, sde, (t, s), zeta)
        noises = _Noises(plan, run.noise.brownian(x, t, s), t) if zeta else None
        state, time, values = x, t, []
        for stage in plan.stages:
            values.append(reverse.denoised(state, time))
            state, time = x.mul(stage.kept), stage.time
            for j, weight in stage.weights:
                state.add_(values[j], alpha=weight)
            if noises is not None:
                state.add_(noises.at(stage.place))
        return state


class _Noises:
    """The noises at the parts of one step, made from its start on as far as they are wanted."""

    def __init__(self, plan: Plan, path: BrownianPath, t: float) -> None:
        self.plan, self.path, self.now = plan, path, t
        self.made: list[Tensor] = []

    def at(self, place: int) -> Tensor:
        """The noise of a place; it is not to be changed."""
        while len(self.made) <= place:
            time, old, fresh = self.plan.noises[len(self.made)]
            noise = self.path.increment(time, self.now)
            noise = noise.mul(fresh / sqrt(self.now - time) if time < self.now else 0.0)
            self.made.append(noise.add_(self.made[-1], alpha=old) if self.made else noise)
            self.now = time
        return self.made[place]


class Method(OneOf):
    """The tableaux by name."""

    RES_2S = tableaux.RES_2S
    SEEDS_2 = tableaux.SEEDS_2
    ETDRK2 = tableaux.ETDRK2
    RES_3S = tableaux.RES_3S
    SEEDS_3 = tableaux.SEEDS_3
    ETDRK3 = tableaux.ETDRK3
    ETDRK4 = tableaux.ETDRK4
    KROGSTAD = tableaux.KROGSTAD
    STREHMEL_WEINER = tableaux.STREHMEL_WEINER
    HOCHBRUCK_OSTERMANN = tableaux.HOCHBRUCK_OSTERMANN
    LAWSON2 = tableaux.LAWSON2
    LAWSON4 = tableaux.LAWSON4


@dataclass(frozen=True)
class ExpRK(ExponentialRungeKutta):
    """Exponential Runge-Kutta by tableau: as many evaluations as stages, any stochasticity."""

    method: Method = option(Method.SEEDS_3, help="the tableau")

    @property
    def tableau(self) -> Tableau:
        """That of the option."""
        found: Tableau = self.method.value
        return found


@dataclass(frozen=True)
class ExpMidpoint(ExponentialRungeKutta):
    """Exponential midpoint rule: two evaluations, the second in the middle of the step.

    SEEDS-2 and DPM-Solver++ 2S type; arXiv 2305.14267 and 2211.01095, algorithm 1.
    """

    tableau = tableaux.RES_2S


@dataclass(frozen=True)
class ExpHeun(ExponentialRungeKutta):
    """Exponential trapezoidal rule: two evaluations, the second at the end of the step."""

    tableau = tableaux.ETDRK2


@dataclass(frozen=True)
class ExpRK3(ExponentialRungeKutta):
    """Three evaluations, at 0, 1/3 and 2/3 of the step; order 3 without noise.

    SEEDS-3 and DPM-Solver-3 type; arXiv 2305.14267 and 2206.00927, algorithm 2.
    """

    tableau = tableaux.SEEDS_3


def _planned(tableau: Tableau, sde: LinearSDE, span: tuple[float, float], zeta: float) -> Plan:
    """The plan of a step, remembered where the SDE can be a key."""
    make = _remembered if isinstance(sde, Hashable) else _plan
    return make(tableau, sde, span, zeta)


def _plan(tableau: Tableau, sde: LinearSDE, span: tuple[float, float], zeta: float) -> Plan:
    t, s = span
    start, end = (0.5 * sde.at(time).log_snr for time in span)
    parts = sorted({*tableau.fractions[1:], 1.0})
    inner = [start + part * (end - start) for part in parts if part < 1.0]
    times = [*(times_between(sde, span, inner) if inner else ()), s]
    sde.prepare(times)
    z = (1.0 + zeta) * (end - start)
    stages = []
    rows = (*tableau.rows, tableau.result)
    for part, row in zip((*tableau.fractions[1:], 1.0), rows, strict=True):
        place = parts.index(part)
        alpha = sde.at(times[place]).alpha
        weights = tuple((j, alpha * z * w.at(z)) for j, w in enumerate(row) if w.terms)
        kept = alpha / sde.at(t).alpha * exp(-part * z)
        stages.append(Stage(times[place], kept, weights, place))
    noises, before, done = [], sde.at(t), 0.0
    for part, time in zip(parts, times, strict=True):
        here, gap = sde.at(time), (part - done) * (end - start)
        old = here.alpha / before.alpha * exp(-(1.0 + zeta) * gap)
        noises.append((time, old, here.sigma * sqrt(-expm1(-2.0 * zeta * gap))))
        before, done = here, part
    return Plan(tuple(stages), tuple(noises))


_remembered = lru_cache(maxsize=16384)(_plan)
