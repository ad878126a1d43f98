"""Mistakes about the schedule and the stochasticity: one place has another than the next."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from torch import Tensor

from sdeplug.reverse import ReverseSDE
from sdeplug.run import Run
from sdeplug.sde import LinearSDE
from sdeplug.solvers import Advance
from sdeplug.testing.mutants.defect import Begin, Defect
from sdeplug.testing.mutants.heard import Scaled


@dataclass(frozen=True)
class DefaultSchedule(Defect):
    """A schedule with its default parameters, whatever they are."""

    kind: type[LinearSDE]

    @property
    def what(self) -> str:
        """With the schedule."""
        return f"the parameters of {self.kind.__name__} are its defaults, whatever they are"

    def seen(self, reverse: ReverseSDE) -> ReverseSDE:
        """With the forward SDE that the defaults make."""
        forward = reverse.forward
        if type(forward) is not self.kind:
            return reverse
        other = self.kind(T=forward.T, eps=forward.eps)  # type: ignore[call-arg]
        return replace(reverse, forward=other)


@dataclass(frozen=True)
class StepOfUnitTime(Defect):
    """The length of the step is measured in units of T where the noise is scaled."""

    def start(self, begin: Begin, reverse: ReverseSDE, run: Run) -> Advance:
        """With noise that is off by the root of T."""
        return Scaled(reverse.forward.T**-0.5).start(begin, reverse, run)


Levels = Callable[[ReverseSDE, float], float]
"""A stochasticity that is taken for that of the time, above 0; a function of a module."""


@dataclass(frozen=True)
class DriftAt(Defect):
    """The drift has another stochasticity than the noise."""

    level: Levels

    @property
    def what(self) -> str:
        """With the stochasticity."""
        return f"the stochasticity of the drift is {(self.level.__doc__ or '').rstrip('.')}"

    def start(self, begin: Begin, reverse: ReverseSDE, run: Run) -> Advance:
        """Each step at the other stochasticity, with noise that makes up for it."""

        def advance(x: Tensor, t: float, s: float) -> Tensor:
            right, other = reverse.level(t), self.level(reverse, t)
            if right == other:
                return begin(reverse, run)(x, t, s)
            mended = Scaled(right / other)
            return mended.start(begin, replace(reverse, stochasticity=other), run)(x, t, s)

        return advance


@dataclass(frozen=True)
class NoiseAt(DriftAt):
    """The noise has another stochasticity than the drift."""

    @property
    def what(self) -> str:
        """With the stochasticity."""
        return f"the stochasticity of the noise is {(self.level.__doc__ or '').rstrip('.')}"

    def start(self, begin: Begin, reverse: ReverseSDE, run: Run) -> Advance:
        """Each step with noise of the other stochasticity."""

        def advance(x: Tensor, t: float, s: float) -> Tensor:
            right, other = reverse.level(t), self.level(reverse, t)
            factor = other / right if right else 1.0
            return Scaled(factor).start(begin, reverse, run)(x, t, s)

        return advance


def of_the_start(reverse: ReverseSDE, t: float) -> float:
    """that of T, whatever the time."""
    return reverse.level(reverse.forward.T)


def at_most_one(reverse: ReverseSDE, t: float) -> float:
    """at most 1."""
    return min(reverse.level(t), 1.0)


def in_halves(reverse: ReverseSDE, t: float) -> float:
    """rounded to halves, and not to 0."""
    level = reverse.level(t)
    return max(0.5, round(2.0 * level) / 2.0) if level else 0.0


def in_unit_time(reverse: ReverseSDE, t: float) -> float:
    """that of t / T, not of t."""
    return reverse.level(t / reverse.forward.T)
