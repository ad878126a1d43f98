"""Solvers that are wrong on purpose, or claim what they do not keep: what the tiers must refuse."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

from sdeplug import Claims, Integrator

ONE = Claims(order=1, evaluations=1)


@dataclass(frozen=True)
class Wrong(Integrator):
    """Euler-Maruyama with a drift, a noise and a time of the score that may be wrong."""

    drift: float = 1.0
    noise: float = 1.0
    score: float = 1.0
    late: bool = False
    claims = replace(ONE, strong_order=1)

    def integrate(self, reverse, x, t, s, run):
        return self.begin(reverse, run)(x, t, s)

    def begin(self, reverse, run):
        last = []

        def advance(x, t, s):
            h, weight = t - s, 0.5 * (1.0 + reverse.level(t) ** 2)
            last.append(reverse.score(x, t))
            score = last[-2] if self.late and len(last) > 1 else last[-1]
            pull = self.score * weight * reverse.forward.diffusion_at(t) ** 2 * score
            x = x - h * (self.drift * reverse.forward.drift_at(x, t) - pull)
            scale = self.noise * math.sqrt(h) * reverse.diffusion(t)
            return x + scale * run.noise.normal(x) if scale else x

        return advance


@dataclass(frozen=True)
class Claiming(Integrator):
    """A solver that claims what it is told to."""

    solver: Integrator
    told: Claims = field(default_factory=Claims)

    @property
    def claims(self):
        return self.told

    def integrate(self, reverse, x, t, s, run):
        return self.solver.integrate(reverse, x, t, s, run)

    def begin(self, reverse, run):
        return self.solver.begin(reverse, run)
