"""Mistakes made of mistakes: one that is made only sometimes, and two at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from torch import Tensor

from sdeplug.reverse import ReverseSDE
from sdeplug.run import Run
from sdeplug.solvers import Advance, Claims
from sdeplug.testing.mutants.defect import Begin, Defect


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

    def __repr__(self) -> str:  # the same in every process
        return f"{type(self).__name__}({self.condition.__name__}, {self.mistake!r})"

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


@dataclass(frozen=True)
class Both(Defect):
    """One mistake on top of another."""

    first: Defect
    second: Defect

    @property
    def what(self) -> str:
        """With the number."""
        return f"{self.first.what}; {self.second.what}"

    def start(self, begin: Begin, reverse: ReverseSDE, run: Run) -> Advance:
        """Start what the first has spoilt, with the second."""
        return self.second.start(partial(self.first.start, begin), reverse, run)

    def promised(self, claims: Claims) -> Claims:
        """What both claim."""
        return self.second.promised(self.first.promised(claims))
