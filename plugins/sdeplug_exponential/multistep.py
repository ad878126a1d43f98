r"""The one multistep method of this plugin: exponential Adams, predict, evaluate, correct.

With :math:`y = x / \alpha`, :math:`\lambda = \log(\alpha / \sigma)`, D the denoised data and
:math:`\kappa = 1 + l^2`, a step of length h in :math:`\lambda` is

.. math:: y' = e^{-\kappa h} y + \sum_j w_j D_j
          + \tfrac{\sigma'}{\alpha'} \sqrt{1 - e^{-2 l^2 h}}\; z,

exact but for the polynomial through the values D_j (:mod:`sdeplug_exponential.weights`); where the
noise is predicted it is one through those (:mod:`sdeplug_exponential.prediction`).  The
model is asked once a step, where the last step predicted its end.  With that value the last step
is done over again, now with a polynomial through its end as well (the correction), and the next
end is predicted.  Both are one linear combination of the state and the values:
no tensor is touched that a predictor alone would not touch.

The noise is additive in y, so that the same formula serves every stochasticity l.  One that
varies enters by its mean square over the step, by quadrature.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, lru_cache, partial
from math import exp, inf, log1p

from torch import Tensor

from sdeplug import Advance, Integrator, Marginal, ReverseSDE, Run
from sdeplug_exponential.prediction import DATA, Held, Prediction
from sdeplug_exponential.weights import (
    Slope,
    bent_weights,
    exact_slope,
    lagrange_weights,
    step_weights,
)

_CLOSE = 1.0 / 16.0  # of a step: values closer to each other would only amplify their errors
_NODES = ((0.0694318442029737, 0.1739274225687269), (0.3300094782075719, 0.3260725774312731))
_QUADRATURE = (*_NODES, *((1.0 - node, weight) for node, weight in _NODES))  # order 8


Plan = tuple[float, tuple[float, ...], float]
"""Factor of y, weight of each value, and the part of sigma that is fresh noise."""


@dataclass(frozen=True)
class Rule:
    """Which values a step uses.

    Attributes:
        predictor: values of the prediction, its order without noise.
        corrector: values of the correction, one of them at the predicted end; 0 for none.
        slope: the rule for two values of the data, without a knee.
        knee: they are a polynomial in log(1 + q / knee), q = sigma / alpha; in log q where it is 0.
        prediction: what the values are.
    """

    predictor: int
    corrector: int = 0
    slope: Slope = exact_slope
    knee: float = 0.0
    prediction: Prediction = DATA

    @property
    def memory(self) -> int:
        """Values to keep."""
        return max(self.predictor + 1, self.corrector) if self.corrector else self.predictor

    def corrections(self, known: int) -> int:
        """Values of the correction to a step that knew so many, its end included.

        In the first steps an order is missing.  A rule of order 3 or more gets it back by a
        correction that costs nothing, even if it corrects no other step.
        """
        starting = known if known < self.predictor else 0
        return min(max(self.corrector, starting), known)


class Memory:
    """The values of one sequence of steps, the newest first.

    Args:
        rule: which values a step uses.
        reverse: the reverse SDE.
        run: noise and observers of the run.
        quiet: whether to follow the probability flow, whatever the stochasticity.
    """

    def __init__(self, rule: Rule, reverse: ReverseSDE, run: Run, quiet: bool = False) -> None:
        self.reverse, self.run = reverse, run
        self.sde, self.quiet = reverse.linear, quiet
        self.rule, self.predicted, self.keep = rule, rule.prediction.value, rule.memory - 1
        self.combination = combinations(rule)
        self.state: Tensor | None = None
        self.places: tuple[float, ...] = ()
        self.values: list[Held] = []
        self.last = 0.0

    def advance(self, x: Tensor, t: float, s: float) -> Tensor:
        """One step from t to s; what is known is used when x is what the last step returned."""
        if x is not self.state:
            self.places, self.values = (), []
        now, end = self.sde.at(t), self.sde.at(s)
        x = self.arrived(x, t, now)
        zeta = 0.0 if self.quiet else mean_square_level(self.reverse, t, s)
        plan = self.plan(0.5 * end.log_snr, zeta)
        x, share = self.combined(x, plan, now, end), plan[2]
        if share and end.sigma:
            x.add_(self.run.noise.normal(x), alpha=end.sigma * share)
        self.last, self.state = zeta, x
        self.places = self.places[: self.keep]
        del self.values[self.keep :]
        return x

    def arrived(self, x: Tensor, t: float, here: Marginal) -> Tensor:
        """Ask the model at the start of a step, and return the state to step from."""
        self.remember(x, self.reverse.score(x, t), here)
        return x

    def remember(self, x: Tensor, score: Tensor, here: Marginal) -> None:
        """Keep the value at a state, made of x and its score at a time."""
        self.places = (0.5 * here.log_snr, *self.places[: self.keep])
        del self.values[self.keep :]  # first, so that no more than these are alive at one time
        self.values.insert(0, self.predicted(x, score, here))

    def combined(self, x: Tensor, plan: Plan, now: Marginal, end: Marginal) -> Tensor:
        """What a plan makes of the state and of the known values, without its noise."""
        decay, weights, _ = plan
        x = x.mul(decay * end.alpha / now.alpha)
        for weight, (factor, each) in zip(weights, self.values, strict=True):
            if weight:
                x.add_(each, alpha=end.alpha * weight * factor)
        return x

    def plan(self, target: float, zeta: float) -> Plan:
        r"""The step to a place: ``target`` is :math:`\lambda` there, ``zeta`` the mean of l^2."""
        return self.combination(target, self.places, (zeta, self.last))


class Remembering(Integrator):
    """An integrator whose steps know those before them."""

    @abstractmethod
    def memory(self, reverse: ReverseSDE, run: Run) -> Memory:
        """What a sequence of steps knows, empty."""

    def integrate(self, reverse: ReverseSDE, x: Tensor, t: float, s: float, run: Run) -> Tensor:
        """One step without memory."""
        return self.begin(reverse, run)(x, t, s)

    def begin(self, reverse: ReverseSDE, run: Run) -> Advance:
        """Start a sequence of steps; what is known lives in this closure."""
        return self.memory(reverse, run).advance


def mean_square_level(reverse: ReverseSDE, t: float, s: float) -> float:
    r"""Mean of l^2 over a step, in :math:`\lambda`: by quadrature in time where it varies."""
    if not callable(reverse.stochasticity):
        return reverse.stochasticity**2
    sde = reverse.linear
    times = [t + node * (s - t) for node, _ in _QUADRATURE]
    sde.prepare(times)
    total = weighted = 0.0
    for time, (_, weight) in zip(times, _QUADRATURE, strict=True):
        marginal = sde.at(time)
        speed = weight * (marginal.diffusion / marginal.sigma) ** 2
        total, weighted = total + speed, weighted + speed * reverse.level(time) ** 2
    return weighted / total


@cache
def combinations(rule: Rule) -> Callable[[float, tuple[float, ...], tuple[float, float]], Plan]:
    """:func:`combination` for a rule, remembered: a grid is used again."""
    return lru_cache(maxsize=16384)(partial(combination, rule))


def combination(
    rule: Rule, target: float, places: tuple[float, ...], zetas: tuple[float, float]
) -> Plan:
    r"""What a step makes of the state and of the known values.

    Args:
        rule: which values are used.
        target: :math:`\lambda` at the end of the step; infinite where there is no noise.
        places: :math:`\lambda` of the known values, the newest first.
        zetas: mean square of the stochasticity in this step and in the one before.
    """
    decay, known, share = extrapolation(rule, target, places, zetas[0])
    if target == inf:
        return decay, known, share
    return decay, corrected(rule, places, zetas[1], known, decay), share


def corrected(
    rule: Rule,
    places: tuple[float, ...],
    zeta: float,
    known: tuple[float, ...],
    decay: float = 1.0,
) -> tuple[float, ...]:
    """Weights, and what the correction of the last step adds to them, its end included.

    Args:
        rule: which values are used.
        places: as in :func:`combination`.
        zeta: mean square of the stochasticity in the last step.
        known: the weights without it.
        decay: what a later step leaves of the correction.
    """
    weights = list(known)
    count = rule.corrections(len(places))
    if count > 1:
        end, start = places[:2]
        for index, weight in _weights(rule, zeta, end, start, places[:count]):
            weights[index] += decay * weight
        used = places[1 : 1 + rule.predictor]
        for index, weight in _weights(rule, zeta, end, start, used):
            weights[1 + index] -= decay * weight
    return tuple(weights)


@lru_cache(maxsize=16384)
def extrapolation(rule: Rule, target: float, places: tuple[float, ...], zeta: float) -> Plan:
    """What a step makes of the state and of the known values, without a correction, remembered.

    The arguments are those of :func:`combination`.
    """
    weights, values = [0.0] * len(places), rule.prediction
    if target == inf:
        kept, weights[0] = values.landing(places[0])
        return kept, tuple(weights), 0.0
    for index, weight in _weights(rule, zeta, target, places[0], places[: rule.predictor]):
        weights[index] += weight
    h = target - places[0]
    return values.decay(zeta, h), tuple(weights), values.share(zeta, h)


def _weights(
    rule: Rule, zeta: float, end: float, start: float, places: tuple[float, ...]
) -> list[tuple[int, float]]:
    """Weights of the values at the places that are far enough from each other, with index."""
    length = end - start
    kept = [0]
    for index in range(1, len(places)):
        if places[kept[-1]] - places[index] >= _CLOSE * length:
            kept.append(index)
    points = [(places[index] - start) / length for index in kept]
    if rule.prediction is DATA and not rule.knee:
        weights = step_weights((1.0 + zeta) * length, points, rule.slope)
        return list(zip(kept, weights, strict=True))
    measure = rule.prediction.measure(zeta, length, start)
    if rule.knee:
        weights = bent_weights(
            measure, points, lambda v: log1p(exp(-start - v * length) / rule.knee)
        )
    else:
        weights = lagrange_weights(points, measure)
    return list(zip(kept, weights, strict=True))
