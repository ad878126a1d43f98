"""When a method of torchdiffeq asks for the field, found out by asking it.

torchdiffeq rounds every time to the dtype of the state before it hands it on, and on an
accelerator reading it back waits for the device.  The times are known without that: they are
fixed fractions of a step, and a problem of one number, solved once, tells which.
"""

from __future__ import annotations

from functools import cache
from operator import sub

import torch
from torch import Tensor

Rhythm = tuple[tuple[float, ...], ...]
"""For each step the fractions of it at which the field is asked; the last step stands for all
that follow, and the last fraction of a step for all that follow in it."""

_STEPS = 6  # more than any method needs to find its rhythm
_NEAR = 1e-12


@cache
def rhythm(method: str, adaptive: bool) -> Rhythm:
    """The rhythm of a method, without the evaluation that an adaptive one begins with.

    Args:
        method: its name in torchdiffeq.
        adaptive: whether it chooses its steps.
    """
    with torch.device("cpu"):  # tensors that torchdiffeq makes when it is imported, too
        return _heard(method, adaptive)


def _heard(method: str, adaptive: bool) -> Rhythm:
    from torchdiffeq import odeint

    listener = _Listener()
    steps = 1 if adaptive else _STEPS
    times = torch.arange(0.0, steps + 1.0, dtype=torch.float64, device="cpu")
    ends = times[[0, -1]]
    options = (
        {"first_step": 1.0, "step_t": ends[1:]}
        if adaptive
        else {"grid_constructor": lambda field, y, t: times}
    )
    with torch.no_grad():
        odeint(
            listener,
            torch.zeros(1, dtype=torch.float64, device="cpu"),
            ends,
            method=method,
            options=options,
        )
    first, *others = heard = tuple(tuple(map(_snapped, each)) for each in listener.steps)
    return (first,) if all(_alike(first, each) for each in others) else heard


def _snapped(fraction: float) -> float:
    """torchdiffeq asks one rounding before the end of a step: meant is the end."""
    return 1.0 if abs(fraction - 1.0) < _NEAR else fraction


def _alike(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return len(one) == len(other) and max(map(abs, map(sub, one, other))) < _NEAR


class _Listener:
    """A field that is 0 everywhere, and hears when it is asked."""

    def __init__(self) -> None:
        self.start = 0.0
        self.steps: list[list[float]] = []

    def callback_step(self, tau: Tensor, y: Tensor, h: Tensor) -> None:
        self.start = float(tau)
        self.steps.append([])

    def __call__(self, tau: Tensor, y: Tensor) -> Tensor:
        if self.steps:
            self.steps[-1].append(float(tau) - self.start)
        return torch.zeros_like(y)
