"""A small comparison, and solvers to compare."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import ClassVar

import sdeplug as sp
from sdeplug import VPSDE, solver
from sdeplug.compare import (
    Comparison,
    Conditions,
    Work,
    compare,
)

VP = VPSDE()
RING = sp.targets.eight_gaussians()
GAUSS = sp.targets.Gaussian([0.5, -1.0], [[1.0, 0.3], [0.3, 0.5]])
HEUN, EM, ANCESTRAL = map(solver, ("ode/heun", "song/euler-maruyama", "song/ancestral"))


def small(solvers, target=RING, sde=VP, **options) -> Comparison:
    """A quick comparison; what belongs to its conditions or its work is put there."""
    options = {"nfe": (4, 8), "seeds": 2, "samples": 200, "score_errors": (0.0,), **options}
    return compare(solvers, target, sde, **grouped(options))


def grouped(options):
    for name, cls in (("conditions", Conditions), ("work", Work)):
        own = {each.name for each in fields(cls)} & set(options)
        if own:
            options[name] = cls(**{each: options.pop(each) for each in own})
    return options


def numbers(comparison: Comparison) -> str:
    return comparison.to_json(times=False)


@dataclass(frozen=True)
class Recorder(sp.Integrator):
    """Euler-Maruyama that remembers what it was given."""

    claims = sp.Claims(order=1, evaluations=1)
    seen: ClassVar = []

    def integrate(self, reverse, x, t, s, run):
        self.seen.append((x.clone(), t, reverse.level(t), reverse.score(x, t)))
        return EM.integrate(reverse, x, t, s, run)


@dataclass(frozen=True)
class Diverging(sp.Integrator):
    claims = sp.Claims(order=1, evaluations=1)

    def integrate(self, reverse, x, t, s, run):
        return x / 0.0 if s < 0.1 else x.clone()
