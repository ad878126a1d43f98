"""Variants that look like mistakes and are none: right solvers of the claimed order."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from sdeplug.reverse import ReverseSDE
from sdeplug.sde import LinearSDE
from sdeplug.solvers import Claims
from sdeplug.testing.mutants import heard
from sdeplug.testing.mutants.defect import Spoilt
from sdeplug.testing.mutants.record import Equivalent
from sdeplug.testing.mutants.right import AdamsBashforth, EulerMaruyama, ExponentialEuler


@dataclass(frozen=True)
class LargeVariance(ExponentialEuler):
    """Noise of the transition from s to t, not of the posterior: DDPM's other choice."""

    def _spread(self, sde: LinearSDE, t: float, s: float, level: float) -> float:
        return level * math.sqrt(sde.transition(s, t)[1])


@dataclass(frozen=True)
class DiffusionInTheMiddle(EulerMaruyama):
    """Noise of size g in the middle of the step."""

    def _scale(self, reverse: ReverseSDE, t: float, s: float) -> float:
        return math.sqrt(t - s) * reverse.diffusion(0.5 * (t + s))


@dataclass(frozen=True)
class Weakened(heard.Signs):
    """Two-point noise, for a solver that claims no more than it then keeps."""

    def promised(self, claims: Claims) -> Claims:
        """Not affine, and of no strong order."""
        return replace(claims, affine=False, strong_order=None)


@dataclass(frozen=True)
class WeightUpsideDown(AdamsBashforth):
    """The ratio of the steps is inverted."""

    def _weight(self, h: float, before: float) -> float:
        return -0.5 * before


_LOCAL = "what changes in a step is of order h^2, as is the error of the step"
_LAST = "one step of the grid is of order h, as is the error of the run"

_TELESCOPES = "the corrections by the past cancel from step to step, up to the order of the method"

EQUIVALENT: tuple[Equivalent, ...] = (
    Equivalent(
        "large-variance", "ExponentialEuler",
        "noise of the transition from s to t, not of the posterior",
        _LOCAL, LargeVariance(), ExponentialEuler(),
    ),
    Equivalent(
        "last-step-without-noise", "ExponentialEuler", "the last step returns its mean",
        _LAST, Spoilt(ExponentialEuler(), heard.SilentLast()), ExponentialEuler(),
    ),
    Equivalent(
        "weight-upside-down", "AdamsBashforth", "the ratio of the steps is inverted",
        _TELESCOPES, WeightUpsideDown(), AdamsBashforth(),
    ),
    Equivalent(
        "diffusion-in-the-middle", "EulerMaruyama", "noise of size g((t + s) / 2), not g(t)",
        _LOCAL, DiffusionInTheMiddle(), EulerMaruyama(),
    ),
    Equivalent(
        "two-point-noise", "EulerMaruyama",
        "+1 or -1 in place of normal numbers; claims neither to be affine nor a strong order",
        "the moments are right up to the third, which is all that weak order 1 asks for",
        Spoilt(EulerMaruyama(), Weakened()), EulerMaruyama(),
    ),
)  # fmt: skip
"""Variants that keep all promises of their right solver, most with another law at each step."""
