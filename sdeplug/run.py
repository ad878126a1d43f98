"""What belongs to one call, and to no method: the noise, and who is looking."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor

from sdeplug.noise import NoiseSource


@dataclass(frozen=True)
class Event:
    """A moment of a run, seen by the observers.

    Attributes:
        t: time reached.
        x: state there, shape ``(B, *D)``; to be looked at, not written to.
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
    """

    noise: NoiseSource
    observers: tuple[Observer, ...] = ()
    leg: int = 0
    count: Callable[[], int] = _uncounted
    select: Callable[[Tensor | None, int], None] = _unselected

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
        """
        if self.observers:
            event = Event(t, x, self.count(), self.leg, times)
            for observer in self.observers:
                observer(event)
