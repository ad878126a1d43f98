"""Solvers that break the contract, each in one way, and one that keeps it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count

from sdeplug import Claims, Corrector, FlowIntegrator, Integrator, option
from sdeplug.testing.doors import CONTRACT

BY_NAME = {check.__name__: check for check in CONTRACT}


@dataclass(frozen=True)
class Right(Integrator):
    """Euler-Maruyama: what every wrong solver below is but for one thing."""

    claims = Claims(order=1, evaluations=1)

    def integrate(self, reverse, x, t, s, run):
        h = t - s
        return self.noisy(reverse, x - h * reverse.drift(x, t), t, s, run)

    def noisy(self, reverse, x, t, s, run):
        scale = math.sqrt(t - s) * reverse.diffusion(t)
        return x + scale * run.noise.normal(x) if scale else x


def wrong(body: Callable, base: type = Right, **more: object) -> Integrator:
    """A solver like ``base`` whose step is ``body(right_step, self, reverse, x, t, s, run)``."""

    def integrate(self, reverse, x, t, s, run):
        def right(x, t=t, s=s):
            return super(cls, self).integrate(reverse, x, t, s, run)

        return body(right, reverse, x, t, s, run)

    cls = dataclass(frozen=True)(type("Wrong", (base,), {"integrate": integrate, **more}))
    return cls()


@dataclass
class Mutable(Integrator):
    size: float = 1.0

    def integrate(self, reverse, x, t, s, run):
        return x


@dataclass(frozen=True, eq=False)
class ByIdentity(Integrator):
    def integrate(self, reverse, x, t, s, run):
        return x


@dataclass(frozen=True, eq=False)
class EqualToAll(Right):
    def __eq__(self, other):
        return True

    def __hash__(self):
        return 0


@dataclass(frozen=True, repr=False)
class Nameless(Right):
    size: float = option(1.0, help="anything")

    def __repr__(self):
        return "Nameless()"


@dataclass(frozen=True)
class Unchecked(Right):
    size: float = option(1.0, help="anything", gt=0.0)

    def __post_init__(self):
        pass


@dataclass(frozen=True)
class CheckedLate(Right):
    size: float = option(1.0, help="anything", gt=0.0)

    def __post_init__(self):
        math.log(self.size)
        super().__post_init__()


@dataclass(frozen=True)
class Stages(Right):
    """Claims the same cost whatever the option."""

    stages: int = option(1, help="steps inside", ge=1)

    def integrate(self, reverse, x, t, s, run):
        for k in range(self.stages):
            late, early = (t + (s - t) * n / self.stages for n in (k, k + 1))
            x = super().integrate(reverse, x, late, s if k + 1 == self.stages else early, run)
        return x


@dataclass(frozen=True)
class Doubling(Right):
    size: float = option(1.0, help="doubled when built")

    def __post_init__(self):
        super().__post_init__()
        object.__setattr__(self, "size", 2.0 * self.size)


@dataclass(frozen=True)
class WithFunction(Right):
    shape: Callable[[float], float] = option(math.sin, help="of the noise")


@dataclass(frozen=True)
class RemembersOnItself(Right):
    """A multistep method that keeps its last slope on the solver."""

    claims = Claims(order=1, evaluations=1, stochastic=False)

    def begin(self, reverse, run):
        object.__setattr__(self, "last", None)

        def advance(x, t, s):
            slope = reverse.flow(x, t)
            last = vars(self)["last"]
            object.__setattr__(self, "last", slope)
            return x + (s - t) * (slope if last is None else 1.5 * slope - 0.5 * last)

        return advance

    def integrate(self, reverse, x, t, s, run):
        return self.begin(reverse, run)(x, t, s)


@dataclass(frozen=True)
class Warming(Right):
    """Its first step is half of what ``integrate()`` does."""

    def begin(self, reverse, run):
        return lambda x, t, s: self.integrate(reverse, x, t, 0.5 * (t + s), run)


COUNTER = count()


@dataclass(frozen=True)
class CountsSequences(Right):
    """Every second sequence of steps runs backwards in its noise."""

    def begin(self, reverse, run):
        sign = 1.0 if next(COUNTER) % 2 else -1.0
        return lambda x, t, s: sign * self.integrate(reverse, x, t, s, run)


@dataclass(frozen=True)
class DownOnly(FlowIntegrator):
    claims = Claims(order=1, stochastic=False, evaluations=1)

    def flow(self, field, y, t, s, run):
        return y - abs(t - s) * field(y, t)


@dataclass(frozen=True)
class AsksAhead(DownOnly):
    def flow(self, field, y, t, s, run):
        return y + (s - t) * field(y, max(s + (s - t), 0.0) if s > 0.0 else t)


@dataclass(frozen=True)
class Wanders(Corrector):
    """Asks for the score at another time than its own."""

    claims = Claims(evaluations=1, floor=math.inf)

    def correct(self, reverse, x, t, run):
        return x + 1e-3 * reverse.score(x, 0.9 * t) + 0.01 * run.noise.normal(x)
