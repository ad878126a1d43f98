"""Mistakes that are made only sometimes: in some numbers of steps, on some SDEs, in some sizes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from torch import Tensor

from sdeplug.reverse import ReverseSDE
from sdeplug.run import Run
from sdeplug.sde import EDMSDE, VESDE, VPSDE, CosineVPSDE, LinearSDE, SubVPSDE
from sdeplug.solvers import Advance, Claims
from sdeplug.testing.mutants.defect import Act, Begin, Defect
from sdeplug.testing.mutants.heard import Scaled


@dataclass(frozen=True)
class Step:
    """One step of a solver.

    Attributes:
        reverse: the reverse SDE.
        x: the state at its start.
        t: the time there.
        s: the time at its end.
        number: which one it is, from 1 on.
    """

    reverse: ReverseSDE
    x: Tensor
    t: float
    s: float
    number: int

    @property
    def last(self) -> bool:
        """Whether it ends at eps."""
        return self.s <= self.reverse.forward.eps

    @property
    def dimension(self) -> int:
        """The numbers in a row."""
        return self.x[0].numel()


Condition = Callable[[Step], bool]
"""A function of a module, so that it can be pickled; its docstring completes "when ..."."""


@dataclass(frozen=True)
class When(Defect):
    """A mistake in the steps for which a condition holds; the others are right."""

    condition: Condition
    mistake: Defect

    @property
    def what(self) -> str:
        """Both in words."""
        return f"{self.mistake.what}, {(self.condition.__doc__ or '').rstrip('.')}"

    def start(self, begin: Begin, reverse: ReverseSDE, run: Run) -> Advance:
        """Start twice: rightly and wrongly; each step is taken by one of them."""
        right, wrong = begin(reverse, run), self.mistake.start(begin, reverse, run)
        number = 0

        def advance(x: Tensor, t: float, s: float) -> Tensor:
            nonlocal number
            number += 1
            step = Step(reverse, x, t, s, number)
            return (wrong if self.condition(step) else right)(x, t, s)

        return advance

    def promised(self, claims: Claims) -> Claims:
        """What the mistake claims."""
        return self.mistake.promised(claims)


# Conditions: numbers of steps


def odd_last(step: Step) -> bool:
    """in the last of an odd number of steps."""
    return step.last and step.number % 2 == 1


def even_last(step: Step) -> bool:
    """in the last of an even number of steps."""
    return step.last and step.number % 2 == 0


def every_fifth(step: Step) -> bool:
    """in every fifth step."""
    return step.number % 5 == 0


def third(step: Step) -> bool:
    """in the third step of a run."""
    return step.number == 3


def from_sixth(step: Step) -> bool:
    """from the sixth step on."""
    return step.number >= 6


def prime(step: Step) -> bool:
    """in steps whose number is prime and above 10."""
    return step.number > 10 and all(step.number % each for each in range(2, step.number))


def up_to_fourth(step: Step) -> bool:
    """in the first four steps."""
    return step.number <= 4


# Conditions: forward SDEs


def unknown_sde(step: Step) -> bool:
    """on a forward SDE that does not come with sdeplug."""
    return not isinstance(step.reverse.forward, (VPSDE, SubVPSDE, VESDE, CosineVPSDE, EDMSDE))


def other_parameters(step: Step) -> bool:
    """on a forward SDE whose parameters are not the defaults."""
    return type(step.reverse.forward)() != step.reverse.forward


def long_time(step: Step) -> bool:
    """where T is above 1, but for EDM."""
    return step.reverse.forward.T > 1.0 and not isinstance(step.reverse.forward, EDMSDE)


def growing_and_shrinking(step: Step) -> bool:
    """where alpha falls and sigma grows above 1."""
    now = step.reverse.linear.at(step.t)
    return now.alpha < 0.99 and now.sigma > 1.0


# Conditions: stochasticity


def above_one(step: Step) -> bool:
    """where the stochasticity is above 1."""
    return step.reverse.level(step.t) > 1.0


def near_zero(step: Step) -> bool:
    """where the stochasticity is below 0.45 and not 0."""
    return 0.0 < step.reverse.level(step.t) < 0.45


def varying(step: Step) -> bool:
    """where the stochasticity varies in time."""
    return callable(step.reverse.stochasticity)


# Conditions: sizes


def wide(step: Step) -> bool:
    """in more than 16 dimensions."""
    return step.dimension > 16


def huge(step: Step) -> bool:
    """in more than 1,000 dimensions."""
    return step.dimension > 1000


def scalar(step: Step) -> bool:
    """in one dimension."""
    return step.dimension == 1


def many(step: Step) -> bool:
    """in a batch of more than 5,000 rows."""
    return len(step.x) > 5000


def lonely(step: Step) -> bool:
    """in a batch of one row and more than 10,000 dimensions."""
    return len(step.x) == 1 and step.dimension > 10_000


# Mistakes


@dataclass(frozen=True)
class Skipped(Act):
    """The step is not taken."""

    def act(self, advance: Advance, reverse: ReverseSDE, x: Tensor, t: float, s: float) -> Tensor:
        """Stay."""
        return x + 0.0 * reverse.score(x, t)

    def promised(self, claims: Claims) -> Claims:
        """The evaluations vary."""
        return replace(claims, evaluations=None)


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
