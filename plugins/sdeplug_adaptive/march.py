"""The march of a batch whose rows have steps of their own.

Each row keeps its time, its step length and its memory.  In one round all rows that are still on
their way try a step; those whose error is small enough take it; those that have arrived leave the
batch, and cost no evaluation from then on.  Times, lengths and errors are numpy arrays: what is
small and decides is on the host, with one look at the device in a round.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sdeplug import NonFiniteError, Run, StepError
from sdeplug_adaptive.control import Control, Floats

Rows = NDArray[np.int64]
Mask = NDArray[np.bool_]


class State(NamedTuple):
    """R rows on their way.

    Attributes:
        x: states, shape ``(R, *D)``.
        t: their times, shape ``(R,)``.
        h: lengths of the steps to try next, in the measure of the method, ``(R,)``.
        memory: what the method remembers, tensors of R rows each.
        marks: what it remembers on the host, arrays of R rows each.
    """

    x: Tensor
    t: Floats
    h: Floats
    memory: tuple[Tensor, ...] = ()
    marks: tuple[NDArray[Any], ...] = ()

    def pick(self, rows: Mask) -> State:
        """Some of the rows."""
        picked = _places(rows, self.x)
        return State(
            self.x.index_select(0, picked), self.t[rows], self.h[rows],
            tuple(each.index_select(0, picked) for each in self.memory),
            tuple(each[rows] for each in self.marks),
        )  # fmt: skip

    def replaced(self, rows: Mask, other: State, h: Floats) -> State:
        """Rows of another state where the mask says so, and new step lengths."""
        if rows.all():
            return other._replace(h=h)
        wide = torch.from_numpy(rows).to(self.x.device).reshape(-1, *[1] * (self.x.ndim - 1))
        x, *memory = (
            torch.where(wide, new, old)
            for new, old in zip((other.x, *other.memory), (self.x, *self.memory), strict=True)
        )
        t, *marks = (
            np.where(rows if new.ndim == 1 else rows[:, None], new, old)
            for new, old in zip((other.t, *other.marks), (self.t, *self.marks), strict=True)
        )
        return State(x, t, h, tuple(memory), tuple(marks))


class Walk(Protocol):
    """Noise whose past the march settles: a :class:`sdeplug.BrownianWalk`, or one like it."""

    def settle(self, taken: Mask) -> None:
        """Hear which rows have taken the step that was tried: a mask, shape ``(R,)``."""
        ...

    def keep(self, rows: Mask) -> None:
        """Hear which rows go on, the others having arrived: a mask, shape ``(R,)``."""
        ...


class Method(Protocol):
    """One step of a method, for all rows at once."""

    @property
    def control(self) -> Control:
        """How long its steps are."""
        ...

    @property
    def walk(self) -> Walk | None:
        """The noise that its steps see; None without."""
        ...

    @property
    def shortest(self) -> float:
        """Length below which a step is no step."""
        ...

    @property
    def whole(self) -> bool:
        """Whether it evaluates rows that have arrived, too."""
        ...

    def begin(self, x: Tensor) -> State:
        """The state before the first step, x of shape ``(B, *D)``."""
        ...

    def attempt(self, state: State, rows: Rows) -> tuple[State, Floats]:
        """Try a step of every row, none past the goal.

        Args:
            state: where the rows are.
            rows: their numbers in the batch, shape ``(R,)``.

        Returns:
            Where the step leads, with its length as h; and its error, shape ``(R,)``, at most 1
            where it is to be taken.
        """
        ...


@dataclass
class March:
    """Rows marching to one goal.

    Attributes:
        method: what takes the steps.
        goal: the time to arrive at.
        max_steps: rounds after which it gives up.
        run: observers, and who counts evaluations by row.
    """

    method: Method
    goal: float
    max_steps: int
    run: Run
    _arrived: list[tuple[Rows, Tensor]] = field(default_factory=list, init=False)

    def __call__(self, x: Tensor) -> Tensor:
        """Carry x of shape ``(B, *D)`` to the goal.

        Raises:
            StepError: if the steps of a row become too short, or too many.
            NonFiniteError: if the steps of a row are not finite however short.
        """
        rows = np.arange(len(x))
        try:
            state = self.method.begin(x)
            strain = np.full(len(x), self.method.control.start)
            latest, rounds = math.nan, 0
            while len(rows):
                self._check_budget(rounds, state, rows)
                rounds += 1
                state, strain, error = self._round(state, strain, rows)
                there = state.t == self.goal
                self._check_stuck(state, rows, error, there)
                if there.any():
                    self._arrived.append(
                        (rows[there], state.x.index_select(0, _places(there, state.x)))
                    )
                    rows, state, strain = rows[~there], state.pick(~there), strain[~there]
                    if self.method.walk is not None:
                        self.method.walk.keep(~there)
                    self.run.select(None if self.method.whole else torch.from_numpy(rows), len(x))
                latest = self._report(latest, state, rows)
        finally:
            self.run.select(None, len(x))
        return self._whole(rows, state)[0]

    def _round(self, state: State, strain: Floats, rows: Rows) -> tuple[State, Floats, Floats]:
        """One try of all rows: where they are, the strains of their last steps, the errors."""
        control = self.method.control
        tried, error = self.method.attempt(state, rows)
        found = control.strain(error)
        taken = found <= 0.0
        if self.method.walk is not None:
            self.method.walk.settle(taken)
        state = state.replaced(taken, tried, tried.h * control.factor(found, strain))
        return state, np.where(taken, found, strain), error

    def _whole(self, rows: Rows, state: State) -> tuple[Tensor, Tensor]:
        """States and times of the whole batch, in its order."""
        parts = [*self._arrived, (rows, state.x)]
        order = np.concatenate([each for each, _ in parts])
        x = torch.cat([each for _, each in parts])
        times = np.full(len(order), self.goal)
        times[rows] = state.t
        places = torch.from_numpy(order.argsort()).to(x.device)
        return x.index_select(0, places), torch.from_numpy(times)

    def _report(self, latest: float, state: State, rows: Rows) -> float:
        """Show where the last row is, if it has moved."""
        if not self.run.observers or not len(rows):
            return latest
        slowest = float(state.t[abs(state.t - self.goal).argmax()])
        if slowest != latest:
            x, times = self._whole(rows, state)
            self.run.report(slowest, x, times)
        return slowest

    def _check_budget(self, rounds: int, state: State, rows: Rows) -> None:
        if rounds == self.max_steps:
            self._fail(
                StepError, state, rows, int(abs(state.t - self.goal).argmax()),
                f"has tried max_steps = {rounds} steps without arriving at {self.goal:.6g}.",
                "Allow more, or a larger tolerance.",
            )  # fmt: skip

    def _check_stuck(self, state: State, rows: Rows, error: Floats, there: Mask) -> None:
        stuck = (abs(state.h) < self.method.shortest) & ~there
        if not stuck.any():
            return
        first = int(stuck.argmax())
        if not np.isfinite(error[first]):
            self._fail(
                NonFiniteError, state, rows, first, "is not finite after any step, however short."
            )
        self._fail(
            StepError, state, rows, first,
            f"would need a step below {self.method.shortest:.2g} to meet the tolerance.",
            "Use a larger tolerance, or stop earlier: the problem is too steep here.",
        )  # fmt: skip

    def _fail(
        self,
        error: type[NonFiniteError | StepError],
        state: State,
        rows: Rows,
        first: int,
        *what: str,
    ) -> None:
        x, times = self._whole(rows, state)
        t, h = float(state.t[first]), float(abs(state.h[first]))
        row = int(rows[first])
        raise error(
            f"row {row} at t = {t:.6g}, with a step of {h:.2g}: it " + " ".join(what),
            t=t, row=row, last=x, last_t=t, times=times, step=h,
        )  # fmt: skip


def _places(rows: Mask, x: Tensor) -> Tensor:
    """The numbers of some rows, where x is."""
    return torch.from_numpy(rows.nonzero()[0]).to(x.device)
