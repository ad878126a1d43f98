"""Solvers that pass and fail a few quick checks."""

from __future__ import annotations

from dataclasses import dataclass

import sdeplug as sp
from sdeplug import Claims, FlowIntegrator
from sdeplug.testing.doors import CONTRACT

EULER = sp.solver("ode/euler")
QUICK = CONTRACT[:3]


@dataclass(frozen=True)
class TooFar(FlowIntegrator):
    """Euler, one per cent too far: the limit is wrong."""

    claims = Claims(order=1, stochastic=False, evaluations=1)

    def flow(self, field, y, t, s, run):
        return y + 1.01 * (s - t) * field(y, t)
