"""Observers: progress bar, trajectory, guard against states that are not finite."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib.util import find_spec
from types import TracebackType
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from sdeplug.errors import ArgumentError, NonFiniteError
from sdeplug.run import Event

if TYPE_CHECKING:
    from rich.progress import Progress as Bar
    from rich.progress import TaskID


class Progress:
    """A progress bar over time, so that it needs no step count. ::

        pipeline.sample((64, 2), observers=(Progress(to=1e-3),))

    It closes when the run ends, whichever way, or at the end of a ``with``, where no pipeline
    runs.  In a notebook it moves if ipywidgets is installed, and else is shown once, at the end.

    Args:
        to: the time at which the run ends.
        title: what stands before the bar.
    """

    def __init__(self, to: float = 0.0, title: str = "sampling") -> None:
        self.to, self.title = to, title
        self._bar: Bar | None = None
        self._task: TaskID | None = None
        self._start = 0.0

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __call__(self, event: Event) -> None:
        """Move the bar to the time of the event."""
        if self._bar is None or self._task is None:
            self._open(event.t)
        assert self._bar is not None
        assert self._task is not None
        done = (self._start - event.t) / max(self._start - self.to, 1e-12)
        self._bar.update(self._task, completed=done, nfe=event.nfe, t=event.t)
        if event.t <= self.to:
            self.close()

    def close(self) -> None:
        """Stop the bar; another run opens a new one."""
        bar, self._bar, self._task = self._bar, None, None
        if bar is not None:
            bar.stop()

    def ended(self) -> None:
        """Hear that a run has ended, or failed: stop the bar."""
        self.close()

    def _open(self, t: float) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as Bar

        self._start = t
        self._bar = Bar(
            TextColumn(self.title),
            BarColumn(),
            TextColumn("t = {task.fields[t]:.4f}"),
            TextColumn("{task.fields[nfe]} evaluations"),
            TimeElapsedColumn(),
            # Without ipywidgets rich shows nothing in a notebook but a warning at every step.
            console=Console(stderr=True, force_jupyter=None if find_spec("ipywidgets") else False),
        )
        self._task = self._bar.add_task(self.title, total=1.0, nfe=0, t=t)
        self._bar.start()


@dataclass(eq=False)
class Trajectory:
    """Keep the states that a run goes through.

    Attributes:
        every: keep the first event and every so many after it.
        times: the times that were kept, falling.
        states: the states at these times, each of shape ``(B, *D)``.

    Raises:
        ArgumentError: unless ``every`` is at least 1.
    """

    every: int = 1
    times: list[float] = field(default_factory=list, init=False, repr=False)
    states: list[Tensor] = field(default_factory=list, init=False, repr=False)
    _seen: int = field(default=0, init=False, repr=False)

    def __post_init__(self) -> None:
        _check_every(self.every)

    def __call__(self, event: Event) -> None:
        """Keep the event if it is its turn."""
        if self._seen % self.every == 0:
            self.times.append(event.t)
            self.states.append(event.x)
        self._seen += 1

    def stack(self) -> Tensor:
        """All kept states: shape ``(len(times), B, *D)``."""
        return torch.stack(self.states)


class Guard:
    """Stop a run at the first state that is not finite, and keep the last one that was.

    Args:
        every: look at every so many events.  A look reads one number
            back from the device, which on an accelerator waits for it.

    Raises:
        ArgumentError: unless ``every`` is at least 1.
    """

    def __init__(self, every: int = 1) -> None:
        _check_every(every)
        self.every = every
        self._last: Event | None = None
        self._seen = 0

    def __call__(self, event: Event) -> None:
        """Look at the event.

        Raises:
            NonFiniteError: if its state is not finite.
        """
        due = self._seen % self.every == 0
        self._seen += 1
        if due:
            self.check(event)

    def check(self, event: Event) -> None:
        """Look at the event whether it is its turn or not.

        Raises:
            NonFiniteError: if its state is not finite.
        """
        # A sum is finite only if all terms are; it is cheaper than a mask of the whole batch,
        # which is made only when the sum says that it is needed (it may also have overflowed).
        if not bool(event.x.sum().isfinite()):
            finite = event.x.isfinite().flatten(1).all(1)
            if not bool(finite.all()):
                self._fail(event, int((~finite).nonzero()[0]))
        self._last = event

    def _fail(self, event: Event, row: int) -> None:
        last = self._last
        since = "at the start" if last is None else f"after t = {last.t:.6g}, the last finite state"
        raise NonFiniteError(
            f"row {row} of the state is not finite at t = {event.t:.6g}, {since}.",
            t=event.t,
            row=row,
            last=None if last is None else last.x,
            last_t=None if last is None else last.t,
            leg=event.leg,
        )


def _check_every(every: int) -> None:
    if isinstance(every, bool) or not isinstance(every, int) or every < 1:
        raise ArgumentError("every", every, "a whole number of at least 1")
