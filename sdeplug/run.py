"""What belongs to one call, and to no method: the noise, and who is looking."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor

from sdeplug.errors import ArgumentError
from sdeplug.noise import NoiseSource


@dataclass(frozen=True)
class Event:
    """A moment of a run, seen by the observers.

    Attributes:
        t: time reached.
        x: state there, shape ``(B, *D)``, of the run itself: to be looked at.  Who writes to it is
            told so; who keeps it, keeps what the run may return, and takes ``x.clone()``.  In
            float32 where the samples are of half precision.
        nfe: score evaluations so far; 0 outside a pipeline, where nobody counts.
        leg: number of the leg at work, from 0.
        times: the time of each row, float64, shape ``(B,)``, where a solver gives each row steps
            of its own; then t is the largest.  None where all rows are at t.
    """

    t: float
    x: Tensor = field(repr=False)
    nfe: int = 0
    leg: int = 0
    times: Tensor | None = field(default=None, repr=False)


class Observer(Protocol):
    """Looks at a run; what changes x is an integrator or a corrector, never an observer.

    One that has a method ``ended()`` hears of the end of a run too, whichever way it ends.
    """

    def __call__(self, event: Event, /) -> None:
        """See one event."""
        ...


def _uncounted() -> int:
    return 0


def _unheard(said: str) -> None:
    """Nobody listens."""


def _unselected(rows: Tensor | None, batch: int) -> None:
    """Nobody counts."""


@dataclass(frozen=True)
class Run:
    """What belongs to one call: noise, observers, and the place in a pipeline.

    Attributes:
        noise: the only source of randomness.
        observers: who sees the events.
        leg: number of the leg at work, from 0.
        count: gives the score evaluations so far.
        select: hears which rows of a batch of which size the next score evaluations are for,
            from solvers that leave finished rows out; None for all.
        note: hears what a solver has decided by itself, and why: it is kept with the samples.
        guard: sees each time and state before the observers do, without an event made for it.
    """

    noise: NoiseSource
    observers: tuple[Observer, ...] = ()
    leg: int = 0
    count: Callable[[], int] = _uncounted
    select: Callable[[Tensor | None, int], None] = _unselected
    note: Callable[[str], None] = _unheard
    guard: Callable[[float, Tensor], None] | None = None

    def home(self, x: Tensor) -> AbstractContextManager[object]:
        """A block in which torch's default device is that of x.

        For a solver that calls a library which makes tensors without saying where, since the
        default of the process, :func:`torch.set_default_device`, may be another device.
        """
        default = torch.empty(0).device
        usual = default.type == "cpu" or default == x.device
        return nullcontext() if usual else x.device

    def report(self, t: float, x: Tensor, times: Tensor | None = None) -> None:
        """Show (t, x) to every observer.

        The rule that keeps events unique: a solver reports the times *between* the ends of its
        span; who called it knows the ends.

        Raises:
            ArgumentError: for an observer that has written to the state.
        """
        if self.guard is not None:
            self.guard(t, x)
        if self.observers:
            self._show(Event(t, x, self.count(), self.leg, times))

    def _show(self, event: Event) -> None:
        before = _version(event.x)
        for observer in self.observers:
            observer(event)
            if _version(event.x) != before:
                raise ArgumentError(
                    "observers", observer, "one that only looks",
                    f"It has written to event.x at t = {event.t:.6g}: change event.x.clone().",
                )  # fmt: skip


def _version(x: Tensor) -> int | None:
    """How often a tensor has been written to; None where torch does not count."""
    return None if x.is_inference() else x._version
