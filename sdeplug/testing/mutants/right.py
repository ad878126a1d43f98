r"""Right solvers, small and whole: what the mutants are made from.

Each has its formula in few methods, so that a mutant overrides one of them.  They are here and
not taken from plugins, because the harness stands below the plugins.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from torch import Tensor

from sdeplug.noise import NoiseSource
from sdeplug.options import option
from sdeplug.reverse import ReverseSDE
from sdeplug.run import Run
from sdeplug.sde import LinearSDE
from sdeplug.solvers import Advance, Claims, Corrector, Field, FlowIntegrator, Integrator


@dataclass(frozen=True)
class EulerMaruyama(Integrator):
    """One Euler-Maruyama step: weak and strong order 1 (Song et al., arXiv 2011.13456)."""

    claims = Claims(order=1, strong_order=1, evaluations=1)

    def integrate(self, reverse: ReverseSDE, x: Tensor, t: float, s: float, run: Run) -> Tensor:
        """x - h drift + sqrt(h) l g z."""
        mean = x - self._length(t, s) * self._drift(reverse, x, t, s)
        scale = self._scale(reverse, t, s)
        return mean + scale * run.noise.normal(x) if scale else mean

    def _length(self, t: float, s: float) -> float:
        return t - s

    def _drift(self, reverse: ReverseSDE, x: Tensor, t: float, s: float) -> Tensor:
        return reverse.drift(x, t)

    def _scale(self, reverse: ReverseSDE, t: float, s: float) -> float:
        return math.sqrt(t - s) * reverse.diffusion(t)


class Step(Integrator):
    """The same, for classes that are to be other values than it: as it stands, no dataclass."""

    claims = EulerMaruyama.claims

    def integrate(self, reverse: ReverseSDE, x: Tensor, t: float, s: float, run: Run) -> Tensor:
        """The step of :class:`EulerMaruyama`."""
        return EulerMaruyama().integrate(reverse, x, t, s, run)


@dataclass(frozen=True)
class ExponentialEuler(Integrator):
    """The exact step with the denoised data held fixed: weak order 1; DDPM and DDIM."""

    claims = Claims(order=1, evaluations=1, needs=LinearSDE)

    def integrate(self, reverse: ReverseSDE, x: Tensor, t: float, s: float, run: Run) -> Tensor:
        """Shrink towards the denoised data, and add what is left of the noise."""
        level, sde = reverse.level(t), reverse.linear
        late, early = sde.at(t), sde.at(s)
        kept: float = self._shrink(sde, t, s) ** self._power(level)
        data = self._denoised(reverse, x, t)
        mean = (early.alpha / late.alpha * kept) * x + (early.alpha * (1.0 - kept)) * data
        spread = self._spread(sde, t, s, level)
        return mean + spread * run.noise.normal(x) if spread else mean

    def _shrink(self, sde: LinearSDE, t: float, s: float) -> float:
        late, early = sde.at(t), sde.at(s)
        return (early.sigma / late.sigma) * (late.alpha / early.alpha)

    def _power(self, level: float) -> float:
        return 1.0 + level**2

    def _denoised(self, reverse: ReverseSDE, x: Tensor, t: float) -> Tensor:
        return reverse.denoised(x, t)

    def _spread(self, sde: LinearSDE, t: float, s: float, level: float) -> float:
        return sde.at(s).sigma * math.sqrt(1.0 - self._shrink(sde, t, s) ** (2.0 * level**2))


@dataclass(frozen=True)
class ExponentialMidpoint(Integrator):
    """Two stages of the exponential step, on one path of the noise: weak order 2."""

    claims = Claims(order=2, evaluations=2, needs=LinearSDE)

    def integrate(self, reverse: ReverseSDE, x: Tensor, t: float, s: float, run: Run) -> Tensor:
        """The slope of the denoised data over the first half is used for the whole step."""
        middle = 0.5 * (t + s)
        level = reverse.level(middle)
        keep, pull, first = self._step(reverse.linear, t, middle, level)
        data, early = reverse.denoised(x, t), self._noise(run.noise, x, first)
        inside = keep * x + pull * data + early
        data = data + self._weight() * (reverse.denoised(inside, middle) - data)
        keep, pull, _ = self._step(reverse.linear, t, s, level)
        mean = keep * x + pull * data
        keep, _, second = self._step(reverse.linear, middle, s, level)
        carried = keep * self._carried(run.noise, x, early, first)
        return mean + carried + self._noise(run.noise, x, second)

    def _step(self, sde: LinearSDE, t: float, s: float, level: float) -> tuple[float, float, float]:
        """Factors of x, of the denoised data and of the noise, with the data held fixed."""
        late, early = sde.at(t), sde.at(s)
        shrink = (early.sigma / late.sigma) * (late.alpha / early.alpha)
        kept = shrink ** (1.0 + level**2)
        spread = early.sigma * math.sqrt(1.0 - shrink ** (2.0 * level**2))
        return early.alpha / late.alpha * kept, early.alpha * (1.0 - kept), spread

    def _weight(self) -> float:
        return 1.0

    def _carried(
        self, noise: NoiseSource, x: Tensor, early: Tensor | float, spread: float
    ) -> Tensor | float:
        """The noise of the first half, as it reaches the end."""
        return early

    def _noise(self, noise: NoiseSource, x: Tensor, spread: float) -> Tensor | float:
        return spread * noise.normal(x) if spread else 0.0


@dataclass(frozen=True)
class Tableau:
    """An explicit Runge-Kutta method.

    Attributes:
        a: row i has the weights of the earlier stages in stage i + 1.
        b: weights of the stages in the result.
        c: times of the stages, as fractions of the step.
        order: order of the method.
    """

    a: tuple[tuple[float, ...], ...]
    b: tuple[float, ...]
    c: tuple[float, ...]
    order: int


EULER = Tableau((), (1.0,), (0.0,), 1)
HEUN = Tableau(((1.0,),), (0.5, 0.5), (0.0, 1.0), 2)
CLASSICAL = Tableau(
    ((0.5,), (0.0, 0.5), (0.0, 0.0, 1.0)),
    (1 / 6, 1 / 3, 1 / 3, 1 / 6),
    (0.0, 0.5, 0.5, 1.0),
    4,
)


@dataclass(frozen=True)
class RungeKutta(FlowIntegrator):
    """One step of an explicit Runge-Kutta method."""

    tableau: Tableau = option(HEUN, help="coefficients")

    @property
    def claims(self) -> Claims:
        """Order and evaluations of the tableau."""
        method = self.tableau
        return Claims(order=method.order, stochastic=False, evaluations=len(method.b))

    def flow(self, field: Field, y: Tensor, t: float, s: float, run: Run) -> Tensor:
        """One step from t to s, down or up in time."""
        h = self._length(t, s)
        stages = [field(y, t)]
        for row, c in zip(self.tableau.a, self.tableau.c[1:], strict=True):
            # The last stage of many methods is at s itself: t + 1.0 * (s - t) may round past it.
            time = s if c == 1.0 else t + c * (s - t)
            stages.append(field(self._combined(y, row, stages, h), time))
        return self._combined(y, self.tableau.b, stages, h)

    def _length(self, t: float, s: float) -> float:
        return s - t

    def _combined(
        self, y: Tensor, weights: tuple[float, ...], stages: list[Tensor], h: float
    ) -> Tensor:
        for weight, stage in zip(weights, stages, strict=True):
            y = y + (weight * h) * stage
        return y


@dataclass(frozen=True)
class AdamsBashforth(FlowIntegrator):
    """Two-step Adams-Bashforth on any grid: order 2, one evaluation a step after the first.

    Where something else has moved the state since the last step, there is no past.
    """

    claims = Claims(order=2, stochastic=False)

    def flow(self, field: Field, y: Tensor, t: float, s: float, run: Run) -> Tensor:
        """One step without memory: Heun's."""
        return RungeKutta(HEUN).flow(field, y, t, s, run)

    def begin(self, reverse: ReverseSDE, run: Run) -> Advance:
        """Start a sequence of steps; its memory is in the closure."""
        kept: list[tuple[float, Tensor]] = self._memory()
        reached: Tensor | None = None

        def advance(y: Tensor, t: float, s: float) -> Tensor:
            nonlocal reached
            velocity = reverse.flow(y, t)
            past = self._past(kept) if self._goes_on(y, reached) else None
            self._keep(kept, t, velocity)
            if past is None:
                middle = reverse.flow(y + (s - t) * velocity, s)
                reached = y + 0.5 * (s - t) * (velocity + middle)
            else:
                back = self._weight(s - t, t - past[0])
                reached = y + (s - t - back) * velocity + back * past[1]
            return reached

        return advance

    def _goes_on(self, y: Tensor, reached: Tensor | None) -> bool:
        return y is reached

    def _memory(self) -> list[tuple[float, Tensor]]:
        return []

    def _past(self, kept: list[tuple[float, Tensor]]) -> tuple[float, Tensor] | None:
        return kept[-1] if kept else None

    def _keep(self, kept: list[tuple[float, Tensor]], t: float, velocity: Tensor) -> None:
        kept[:] = [*kept[-1:], (t, velocity)]

    def _weight(self, h: float, before: float) -> float:
        """Weight of the older velocity, for a step h after a step ``before``."""
        return -0.5 * h * h / before


@dataclass(frozen=True)
class Langevin(Corrector):
    """Langevin steps whose length follows the noise level: affine, with a known bias."""

    snr: float = option(0.16, gt=0.0, le=0.99, help="signal-to-noise ratio of a step")

    @property
    def claims(self) -> Claims:
        """A bias that falls with snr."""
        return Claims(
            evaluations=1, floor=1.0 / math.sqrt(1.0 - self.snr**2) - 1.0, needs=LinearSDE
        )

    def correct(self, reverse: ReverseSDE, x: Tensor, t: float, run: Run) -> Tensor:
        """x + e score + sqrt(2 e) z with e = 2 (snr sigma)^2."""
        length = 2.0 * (self.snr * reverse.linear.at(t).sigma) ** 2
        return self._moved(reverse, x, t, length, run.noise)

    def _moved(
        self, reverse: ReverseSDE, x: Tensor, t: float, length: float, noise: NoiseSource
    ) -> Tensor:
        return x + length * reverse.score(x, t) + math.sqrt(2.0 * length) * noise.normal(x)


@dataclass(frozen=True)
class RowLangevin(Langevin):
    """Langevin steps whose length follows the score of each row: not affine."""

    @property
    def claims(self) -> Claims:
        """A bias that falls with snr, and one that stays since steps follow the state."""
        floor = (super().claims.floor or 0.0) + 2.0 / 256.0
        return replace(super().claims, affine=False, floor=floor)

    def correct(self, reverse: ReverseSDE, x: Tensor, t: float, run: Run) -> Tensor:
        """The step is 2 snr^2 over the mean square of the score, shrunk to 1 / sigma^2."""
        score, z = reverse.score(x, t), run.noise.normal(x)
        flat, prior = score.flatten(1), self._prior()
        total = flat.square().sum(1) + prior / reverse.linear.at(t).sigma ** 2
        mean = (total / (flat.shape[1] + prior)).reshape(-1, *(1,) * (x.ndim - 1))
        length = 2.0 * self.snr**2 / mean
        return x + length * score + self._spread(length) * z

    def _prior(self) -> float:
        return 256.0

    def _spread(self, length: Tensor) -> Tensor:
        return (2.0 * length).sqrt()
