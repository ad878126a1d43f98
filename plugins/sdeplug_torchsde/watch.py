"""What can be seen of a run from the questions that torchsde asks."""

from __future__ import annotations

from typing import NoReturn

from torch import Tensor

from sdeplug import Run, StepError
from sdeplug_torchsde.clock import Clock
from sdeplug_torchsde.memory import Memory


class Watch:
    """Follows fixed steps: each asks for its noise first, then for the drift where it begins.

    Args:
        run: who is told of the states between the ends.
        clock: what tau means.
    """

    def __init__(self, run: Run, clock: Clock) -> None:
        self.run, self.clock = run, clock
        self.start = 0.0
        self.open = True
        self.last: tuple[float, Tensor] | None = None

    def step(self, start: float, end: float) -> float | None:
        """Hear of a question for the noise of [start, end].

        Returns:
            A tau before which nothing is asked for again, if that is known.
        """
        self.start = start
        return start

    def state(self, tau: float, x: Tensor) -> None:
        """Hear of a question for the drift at (tau, x), x of shape ``(B, *D)``."""
        if tau != self.start or not self.open:
            return
        self.last = (self.clock.time(tau), x)
        if tau > 0.0:
            self.run.report(*self.last)

    def close(self) -> None:
        """Hear that the end was reached: what is asked for now is on the way back."""
        self.open = False


class Ledger(Watch):
    """Follows fixed steps that are gone through again backwards: no noise is forgotten."""

    def step(self, start: float, end: float) -> None:
        """Hear of a question for the noise of [start, end]; all of it may be asked for again."""
        super().step(start, end)


class Limits(Watch):
    """Follows adaptive steps, and ends a run that would not end.

    torchsde tries each step as a whole and then in two halves, and asks for their noise in this
    order.

    Args:
        run: who is told of the states between the ends.
        clock: what tau means.
        memory: the drifts that are known, to find the row to blame.
        shortest: the shortest step.
        attempts: how many steps may be tried, rejected ones included.
        tolerances: relative and absolute.
    """

    def __init__(
        self,
        run: Run,
        clock: Clock,
        memory: Memory,
        shortest: float,
        attempts: int,
        tolerances: tuple[float, float],
    ) -> None:
        super().__init__(run, clock)
        self.memory, self.shortest, self.attempts = memory, shortest, attempts
        self.tolerances = tolerances
        self.asked = 0

    def step(self, start: float, end: float) -> float | None:
        """Hear of a question for the noise of [start, end].

        Raises:
            StepError: for a step below the shortest, or one more than may be tried.
        """
        self.asked += 1
        if self.asked % 3 != 1:
            return None
        rejected, self.start = start == self.start and self.asked > 1, start
        if self.asked > 3 * self.attempts:
            what = f"max_steps = {self.attempts} steps were tried"
            self._give_up(what, "Raise max_steps, rtol or atol", start, end - start)
        if rejected and end - start < self.shortest:
            what = f"the step fell below dt_min = {self.shortest:g}"
            self._give_up(what, "Raise rtol and atol", start, end - start)
        return start

    def _give_up(self, what: str, advice: str, start: float, step: float) -> NoReturn:
        time = self.clock.time(start)
        last_t, last = self.last or (None, None)
        raise StepError(
            f"{what} at t = {time:g}, where the step is {step:.3g}. {advice}, start this leg with "
            "a solver of fixed steps, or end it at a later time.",
            t=time,
            row=self._worst(),
            last=None if last is None else last.detach(),
            last_t=last_t,
            step=step,
        )

    def _worst(self) -> int:
        """The row whose drift is largest, in units of what it may be off by."""
        relative, absolute = self.tolerances
        if not self.memory.known or self.last is None:
            return 0
        _, y, drift = self.memory.known[-1]
        rows = len(self.last[1])
        weight = drift.detach().abs() / (relative * y.detach().abs() + absolute)
        return int(weight.reshape(rows, -1).amax(1).argmax())
