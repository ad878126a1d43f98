r"""The samplers of Karras et al. and of Xu et al.: Heun's method along q, and noise put back.

With :math:`y = x / \alpha`, :math:`q = \sigma / \alpha` the probability flow is
:math:`dy/dq = -\sigma s(x, t)`, the noise in x.  A step of Heun's method is

.. math:: \tilde y = y - (q' - q)\, \sigma s(x, t), \qquad
          y' = y - \tfrac{q' - q}{2} \big( \sigma s(x, t) + \sigma' s(\tilde x, t') \big),

and noise is put back by the forward SDE itself: :math:`y + \sqrt{\hat q^2 - q^2}\, z` at
:math:`\hat q > q`.  Both keep the marginals, the first to order 2.

They bring their own grid, equal steps in :math:`q^{1/\rho}`, because going up needs room: the model
may only be asked inside the span, and a step of a given grid has none above it.  What goes up is
multiplied by :math:`l^2`: the published samplers are those at l = 1, and at l = 0 both are the
probability flow.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import ceil, exp, inf, log1p, sqrt

from torch import Tensor

from sdeplug import ArgumentError, Claims, Integrator, Karras, LinearSDE, ReverseSDE, Run, option
from sdeplug_exponential.inverse import times_between

_MOST = sqrt(2.0) - 1.0  # churn at most doubles the variance of the noise
_PER_INNER = 8  # steps to one step down again


class _OwnGrid(Integrator):
    """Heun's method on a grid of its own."""

    steps: int
    rho: float

    def integrate(self, reverse: ReverseSDE, x: Tensor, t: float, s: float, run: Run) -> Tensor:
        """All steps from t to s, or from the horizon; reports the times of the grid in between."""
        x, t = reverse.linear.from_horizon(x, t, s)
        times = (t, s) if self.steps == 1 else tuple(self._grid.times(t, s, reverse.linear))
        reverse.linear.prepare(times)
        rises = self.rises(reverse, times)
        reverse.linear.prepare(tuple(rises.values()))
        for late, early in pairwise(times):
            x = self.step(reverse, x, (late, early), rises, run)
            if early != s:
                run.report(early, x)
        return x

    @property
    def _grid(self) -> Karras:
        return Karras(self.steps, self.rho)

    @abstractmethod
    def rises(self, reverse: ReverseSDE, times: Sequence[float]) -> Mapping[float, float]:
        """The times of the grid at which noise is put back, and those that it goes up to."""

    @abstractmethod
    def step(
        self, reverse: ReverseSDE, x: Tensor, span: tuple[float, float],
        rises: Mapping[float, float], run: Run,
    ) -> Tensor:  # fmt: skip
        """One step over a span of the grid."""


@dataclass(frozen=True)
class EDMHeun(_OwnGrid):
    """The sampler of EDM, with churn; Karras et al., arXiv 2206.00364, algorithm 2.

    The first step has no room to go up, and none goes above the start of the span.  The factor
    on the noise is 1: others would bias the law.
    """

    steps: int = option(18, help="steps of its own grid", ge=1)
    rho: float = option(7.0, help="exponent of its own grid", gt=0.0)
    churn: float = option(0.0, help="noise put back over all steps, times l^2", ge=0.0)
    low: float = option(0.0, help="least sigma / alpha with churn", ge=0.0)
    high: float = option(inf, help="largest sigma / alpha with churn", ge=0.0)

    @property
    def claims(self) -> Claims:
        """Order 2 in its steps; one that has a single step can be put on any grid."""
        return Claims(
            order=2,
            steps="steps" if self.steps > 1 else None,
            stochastic=self.churn > 0.0 and self.steps > 1,
            evaluations=2 * self.steps,
            needs=LinearSDE,
        )

    def rises(self, reverse: ReverseSDE, times: Sequence[float]) -> Mapping[float, float]:
        """At every time but the first, by the churn; all are looked for at once."""
        wanted = {}
        for late in times[1:-1]:
            place = _place(reverse.linear, late)
            churn = reverse.level(late) ** 2 * self.churn / self.steps
            if churn and self.low <= exp(-place) <= self.high:
                wanted[late] = place - log1p(min(churn, _MOST))
        if not wanted:
            return {}
        found = times_between(reverse.linear, (times[0], times[-2]), tuple(wanted.values()))
        return {late: max(late, up) for late, up in zip(wanted, found, strict=True)}

    def step(
        self, reverse: ReverseSDE, x: Tensor, span: tuple[float, float],
        rises: Mapping[float, float], run: Run,
    ) -> Tensor:  # fmt: skip
        """Up by the churn where there is room, then down."""
        late, early = span
        if late in rises:
            x = noised(reverse.linear, x, (late, rises[late]), run)
        return heun(reverse, x, rises.get(late, late), early)


@dataclass(frozen=True)
class Restart(_OwnGrid):
    """Restart sampling: back up to a noise level and down again, a few times.

    Xu et al., arXiv 2306.14878, algorithm 1, with one interval.  Its ends are parts of the span
    in log-SNR, so that it is there in every span.
    """

    steps: int = option(18, help="steps of its own grid", ge=1)
    rho: float = option(7.0, help="exponent of its own grid", gt=0.0)
    low: float = option(0.2, help="part of the span that is left when it restarts", ge=0.0)
    high: float = option(0.4, help="part of the span that it goes back to", gt=0.0, le=1.0)
    times: int = option(2, help="number of restarts", ge=0)
    inner: int | None = option(
        None, help="steps down again, of each restart; None: an eighth of steps, rounded up", ge=1
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.low < self.high:
            raise ArgumentError("high", self.high, f"above low = {self.low}")

    @property
    def claims(self) -> Claims:
        """Order 2 in its steps; where those down again stay as many, a bias stays, and no claim."""
        settled = self.inner is not None and self.times > 0
        return Claims(
            order=None if settled else 2,
            steps=None if settled else "steps",
            stochastic=self.times > 0,
            evaluations=2 * (self.steps + self.times * self._inner),
            needs=LinearSDE,
        )

    def rises(self, reverse: ReverseSDE, times: Sequence[float]) -> Mapping[float, float]:
        """Once, at the end of the step that crosses ``low``."""
        sde, top = reverse.linear, times[0]
        end = _place(sde, times[-1])
        if not self.times or end == inf:
            return {}
        length = end - _place(sde, top)
        low, high = end - self.low * length, end - self.high * length
        for late, early in pairwise(times):
            here, zeta = _place(sde, early), reverse.level(early) ** 2
            if zeta and _place(sde, late) < low <= here:
                (up,) = times_between(sde, (top, early), [here - zeta * (here - high)])
                return {early: up}
        return {}

    def step(
        self, reverse: ReverseSDE, x: Tensor, span: tuple[float, float],
        rises: Mapping[float, float], run: Run,
    ) -> Tensor:  # fmt: skip
        """Down, and where the step crosses ``low``, up and down again."""
        late, early = span
        x = heun(reverse, x, late, early)
        if early in rises:
            up, sde = rises[early], reverse.linear
            down = Karras(self._inner, self.rho).times(up, early, sde)
            for _ in range(self.times):
                x = noised(sde, x, (early, up), run)
                for start, stop in pairwise(down):
                    x = heun(reverse, x, start, stop)
        return x

    @property
    def _inner(self) -> int:
        return ceil(self.steps / _PER_INNER) if self.inner is None else self.inner


def heun(reverse: ReverseSDE, x: Tensor, t: float, s: float) -> Tensor:
    """One step along q from t to s; Euler's where there is no noise at s."""
    now, end = reverse.linear.at(t), reverse.linear.at(s)
    gap = end.alpha * (end.sigma / end.alpha - now.sigma / now.alpha)
    kept = x.mul(end.alpha / now.alpha)
    first = reverse.score(x, t)
    guess = kept.add(first, alpha=-gap * now.sigma)
    if end.sigma == 0.0:
        return guess
    kept.add_(first, alpha=-0.5 * gap * now.sigma)
    return kept.add_(reverse.score(guess, s), alpha=-0.5 * gap * end.sigma)


def noised(sde: LinearSDE, x: Tensor, span: tuple[float, float], run: Run) -> Tensor:
    """x at the first time, carried up to the second by the forward SDE."""
    scale, variance = sde.transition(*span)
    return x.mul(scale).add_(run.noise.normal(x), alpha=sqrt(variance))


def _place(sde: LinearSDE, t: float) -> float:
    return 0.5 * sde.at(t).log_snr
