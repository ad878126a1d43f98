"""The march of a batch whose rows have steps of their own.

Each row keeps its time, its step length and its memory.  In one round all rows that are still on
their way try a step; those whose error is small enough take it; those that have arrived leave the
batch, and cost no evaluation from then on.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from sdeplug import NonFiniteError, Run, StepError
from sdeplug_adaptive.control import Control


class State(NamedTuple):
    """R rows on their way.

    Attributes:
        x: states, shape ``(R, *D)``.
        t: their times, float64, shape ``(R,)``.
        h: lengths of the steps to try next, in the measure of the method, float64, ``(R,)``.
        memory: what the method remembers, tensors of R rows each.
    """

    x: Tensor
    t: Tensor
    h: Tensor
    memory: tuple[Tensor, ...] = ()

    def pick(self, rows: Tensor) -> State:
        """Some of the rows, by number or mask."""
        return State(
            self.x[rows], self.t[rows], self.h[rows], tuple(each[rows] for each in self.memory)
        )

    def replaced(self, rows: Tensor, other: State, h: Tensor) -> State:
        """Rows of another state where the mask says so, and new step lengths."""
        return State(
            _chosen(rows, other.x, self.x),
            _chosen(rows, other.t, self.t),
            h,
            tuple(_chosen(rows, *pair) for pair in zip(other.memory, self.memory, strict=True)),
        )


class Method(Protocol):
    """One step of a method, for all rows at once."""

    @property
    def control(self) -> Control:
        """How long its steps are."""
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

    def attempt(self, state: State, rows: Tensor) -> tuple[State, Tensor]:
        """Try a step of every row, none past the goal.

        Args:
            state: where the rows are.
            rows: their numbers in the batch, int64, shape ``(R,)``.

        Returns:
            Where the step leads, with its length as h; and its error, float64, shape ``(R,)``,
            at most 1 where it is to be taken.
        """
        ...

    def settle(self, state: State, rows: Tensor) -> None:
        """Hear where the rows are after a round."""
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
    _arrived: list[tuple[Tensor, State]] = field(default_factory=list, init=False)
    _broken: Tensor = field(init=False)  # which rows of the batch have met what is not finite

    def __call__(self, x: Tensor) -> Tensor:
        """Carry x of shape ``(B, *D)`` to the goal.

        Raises:
            StepError: if the steps of a row become too short, or too many.
            NonFiniteError: if the steps of a row are not finite however short.
        """
        rows = torch.arange(len(x), device=x.device)
        self._broken = torch.zeros_like(rows, dtype=torch.bool)
        try:
            state = self.method.begin(x)
            latest = float(state.t[0]) if len(rows) else self.goal
            rounds = 0
            while len(rows):
                self._check_budget(rounds, state, rows)
                rounds += 1
                state, stuck, gone, slowest = self._round(state, rows)
                if stuck:
                    self._give_up(state, rows)
                if gone:
                    rows, state = self._part(state, rows)
                    self.run.select(None if self.method.whole else rows, len(x))
                if len(rows) and slowest != latest:
                    latest = slowest
                    self._report(latest, state, rows)
        finally:
            self.run.select(None, len(x))
        return self._whole(rows, state)[0]

    def _round(self, state: State, rows: Tensor) -> tuple[State, bool, bool, float]:
        """One step of all rows; whether one is stuck, one is there, and where the last one is."""
        tried, error = self.method.attempt(state, rows)
        state = state.replaced(error <= 1.0, tried, tried.h * self.method.control.factor(error))
        self._broken[rows] |= ~error.isfinite()
        self.method.settle(state, rows)
        there = state.t == self.goal
        stuck = (state.h.abs() < self.method.shortest) & ~there
        away = (state.t - self.goal).abs()
        # One look at the device in a round.
        flags = torch.stack((stuck.any().double(), there.any().double(), state.t[away.argmax()]))
        is_stuck, is_there, slowest = flags.tolist()
        return state, bool(is_stuck), bool(is_there), slowest

    def _part(self, state: State, rows: Tensor) -> tuple[Tensor, State]:
        there = state.t == self.goal
        self._arrived.append((rows[there], state.pick(there)))
        return rows[~there], state.pick(~there)

    def _whole(self, rows: Tensor, state: State) -> tuple[Tensor, Tensor]:
        """States and times of the whole batch, in its order."""
        if not self._arrived:
            return state.x, state.t
        parts = [*self._arrived, (rows, state)]
        order = torch.cat([each for each, _ in parts]).argsort()
        x = torch.cat([each.x for _, each in parts])[order]
        return x, torch.cat([each.t for _, each in parts])[order]

    def _report(self, t: float, state: State, rows: Tensor) -> None:
        if self.run.observers and t != self.goal:
            x, times = self._whole(rows, state)
            self.run.report(t, x, times)

    def _check_budget(self, rounds: int, state: State, rows: Tensor) -> None:
        if rounds == self.max_steps:
            self._fail(
                StepError, state, rows, int((state.t - self.goal).abs().argmax()),
                f"has tried max_steps = {rounds} steps without arriving at {self.goal:.6g}.",
                "Allow more, or a larger tolerance.",
            )  # fmt: skip

    def _give_up(self, state: State, rows: Tensor) -> None:
        first = int((state.h.abs() < self.method.shortest).nonzero()[0])
        if bool(self._broken[rows[first]]):
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
        rows: Tensor,
        first: int,
        *what: str,
    ) -> None:
        x, times = self._whole(rows, state)
        t, h = float(state.t[first]), float(state.h[first].abs())
        row = int(rows[first])
        raise error(
            f"row {row} at t = {t:.6g}, with a step of {h:.2g}: it " + " ".join(what),
            t=t, row=row, last=x, last_t=t, times=times, step=h,
        )  # fmt: skip


def _chosen(rows: Tensor, one: Tensor, other: Tensor) -> Tensor:
    return torch.where(rows.reshape(-1, *[1] * (one.ndim - 1)), one, other)
