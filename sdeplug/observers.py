"""Observers: progress bar, trajectory, guard against states that are not finite."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from importlib.util import find_spec
from types import TracebackType
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from sdeplug.errors import ArgumentError, NonFiniteError
from sdeplug.run import Event

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as Bar
    from rich.progress import TaskID


def bar_console() -> Console:
    """Where a progress bar goes: the error stream, or a widget of a notebook that has them.

    Without ipywidgets rich shows nothing in a notebook but a warning, and an empty bar.
    """
    from rich.console import Console

    return Console(stderr=True, force_jupyter=None if find_spec("ipywidgets") else False)


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
        from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as Bar

        self._start = t
        self._bar = Bar(
            TextColumn(self.title),
            BarColumn(),
            TextColumn("t = {task.fields[t]:.4f}"),
            TextColumn("{task.fields[nfe]} evaluations"),
            TimeElapsedColumn(),
            console=bar_console(),
        )
        self._task = self._bar.add_task(self.title, total=1.0, nfe=0, t=t)
        self._bar.start()


@dataclass(eq=False)
class Trajectory:
    """Keep the states that a run goes through.

    Attributes:
        every: keep the first event and every so many after it.
        times: the times that were kept, falling.
        states: copies of the states at these times, each of shape ``(B, *D)``.

    Raises:
        ArgumentError: unless ``every`` is at least 1.
    """

    every: int = 1
    times: list[float] = field(default_factory=list, init=False, repr=False)
    states: list[Tensor] = field(default_factory=list, init=False, repr=False)
    _seen: int = field(default=0, init=False, repr=False)

    def __post_init__(self) -> None:
        _check_count("every", self.every)

    def __call__(self, event: Event) -> None:
        """Keep the event if it is its turn."""
        if self._seen % self.every == 0:
            self.times.append(event.t)
            self.states.append(event.x.clone())
        self._seen += 1

    def stack(self) -> Tensor:
        """All kept states: shape ``(len(times), B, *D)``."""
        return torch.stack(self.states)


_Place = tuple[float, Tensor]
"""A time, and the state there."""


class _Arriving:
    """A number on its way to the host, which goes on meanwhile where it can."""

    def __init__(self, number: Tensor) -> None:
        self._number, self._sent = number.detach(), None
        if number.is_cuda:
            there = torch.empty_like(self._number, device="cpu", pin_memory=True)
            self._number = there.copy_(self._number, non_blocking=True)
            self._sent = torch.cuda.current_stream(number.device).record_event()

    @property
    def here(self) -> bool:
        """Whether reading it waits for nothing."""
        return self._sent is None or self._sent.query()

    def read(self) -> float:
        """The number."""
        if self._sent is not None:
            self._sent.synchronize()
        return self._number.item()


class Guard:
    """Stop a run at the first state that is not finite, and keep the last one that was.

    Args:
        every: look at every so many states.  A look reads one number back from the device.  On
            CUDA nobody waits for it: what it says is heard when it has come, a few steps later.
        together: keep so many of them, and look when there are as many; what the error says
            is the same, and it comes so much later.

    Raises:
        ArgumentError: unless both are at least 1.
    """

    def __init__(self, every: int = 1, together: int = 1) -> None:
        _check_count("every", every)
        _check_count("together", together)
        self.every, self.together = every, together
        self._last: _Place | None = None
        self._kept: list[_Place] = []
        self._asked: list[tuple[list[_Place], _Arriving]] = []
        self._seen = self._leg = 0

    def __call__(self, event: Event) -> None:
        """Look at the event if it is its turn.

        Raises:
            NonFiniteError: if its state is not finite.
        """
        self._leg = event.leg
        self.pass_by(event.t, event.x)

    def check(self, event: Event) -> None:
        """Look at the event whether it is its turn or not.

        Raises:
            NonFiniteError: if its state, or one that was kept, is not finite.
        """
        self._leg = event.leg
        self.look(event.t, event.x)

    def pass_by(self, t: float, x: Tensor) -> None:
        """Look at a time and a state if it is their turn; as :meth:`look`."""
        due = self._seen % self.every == 0
        self._seen += 1
        if due:
            self._kept.append((t, x))
            if len(self._kept) >= self.together:
                self._ask()
        while self._asked and self._asked[0][1].here:
            self._hear()

    def look(self, t: float, x: Tensor) -> None:
        """Look at a time and a state, of shape ``(B, *D)``, now.

        Raises:
            NonFiniteError: if it, or one that was kept, is not finite.
        """
        self._kept.append((t, x))
        self.look_back()

    def look_back(self) -> None:
        """Look at what was kept.

        Raises:
            NonFiniteError: for the first state that is not finite.
        """
        self._ask()
        while self._asked:
            self._hear()

    def _ask(self) -> None:
        """Ask the device about what was kept."""
        kept, self._kept = self._kept, []
        if kept:
            # What is not finite stays so: the last state tells of all.  Its sum is finite only if
            # all terms are; it is cheaper than a mask of the whole batch, which is made only when
            # the sum says that it is needed (it may also have overflowed).
            self._asked.append((kept, _Arriving(kept[-1][1].sum())))

    def _hear(self) -> None:
        """Hear the answer to the oldest question."""
        kept, total = self._asked.pop(0)
        if not math.isfinite(total.read()):
            for t, x in kept:
                finite = x.isfinite().flatten(1).all(1)
                if not bool(finite.all()):
                    raise self._error(t, int((~finite).nonzero()[0]))
                self._last = t, x
        self._last = kept[-1]

    def _error(self, t: float, row: int) -> NonFiniteError:
        last_t, last = self._last or (None, None)
        since = f"after t = {last_t:.6g}, the last finite state" if self._last else "at the start"
        return NonFiniteError(
            f"row {row} of the state is not finite at t = {t:.6g}, {since}.",
            t=t,
            row=row,
            last=None if last is None else last.detach().clone(),
            last_t=last_t,
            leg=self._leg,
        )


def _check_count(argument: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ArgumentError(argument, value, "a whole number of at least 1")
