r"""Embedded Runge-Kutta pairs with a step size for each row: ``dopri5`` and ``tsit5``."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import reduce
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from sdeplug import Claims, Field, FlowIntegrator, Run, option
from sdeplug_adaptive.control import (
    Control,
    Floats,
    absolute_tolerance,
    columns,
    relative_tolerance,
    rms,
    step_budget,
)
from sdeplug_adaptive.march import March, Rows, State
from sdeplug_adaptive.pairs import DORMAND_PRINCE, TSITOURAS, Pair
from sdeplug_adaptive.rows import Asked, full, whole_batch

_SHORTEST = 1e-13  # step, as a part of the span
_LONGEST = 0.1  # of the span: the stages of a longer step may miss where the field bends


@dataclass(frozen=True)
class _RungeKuttaPair(FlowIntegrator):
    rtol: float = relative_tolerance(1e-4)
    atol: float = absolute_tolerance(1e-4)
    first_step: float | None = option(
        None, help="first step, in units of time; None: from the field at the start", gt=0.0
    )
    longest_step: float | None = option(
        None, help="longest step, in units of time; None: a tenth of the span", gt=0.0
    )
    max_steps: int = step_budget()
    whole_batch: bool = whole_batch()
    pair: ClassVar[Pair]

    claims = Claims(stochastic=False, affine=False)

    def flow(self, field: Field, y: Tensor, t: float, s: float, run: Run) -> Tensor:
        """Carry y from t to s, down or up in time, each row with steps of its own.

        Raises:
            StepError: if the steps of a row become too short, or too many.
            NonFiniteError: if the field is not finite on the way of a row.
        """
        if t == s:
            return y
        return March(_Stages(self, field, t, s), s, self.max_steps, run)(y)


@dataclass(frozen=True)
class RowDopri5(_RungeKuttaPair):
    """Dormand and Prince's pair of orders 5 and 4: six evaluations a step, one row at a time."""

    pair: ClassVar[Pair] = DORMAND_PRINCE


@dataclass(frozen=True)
class RowTsit5(_RungeKuttaPair):
    """Tsitouras' pair of orders 5 and 4: six evaluations a step, one row at a time."""

    pair: ClassVar[Pair] = TSITOURAS


class _Stages:
    """One step of a pair; the memory is the field at the present state."""

    control = Control(exponent=5.0, gain=0.7, memory=0.4, grow=2.0)
    walk = None

    def __init__(self, options: _RungeKuttaPair, field: Field, t: float, s: float) -> None:
        self.options, self.t, self.s, self.whole = options, t, s, options.whole_batch
        self.field = Asked(lambda y, t: field(y, _beside(t, y)), self.whole)
        span = abs(s - t)
        self.shortest, self.sign = _SHORTEST * span, math.copysign(1.0, s - t)
        self.longest = options.longest_step or _LONGEST * span

    def begin(self, x: Tensor) -> State:
        """The field at the start, and the first step."""
        t = full(self.t, x)
        velocity = self.field(x, t)
        first = self.options.first_step
        size = full(first, x) if first else self._first(x, velocity, t)
        return State(x, t, size * self.sign, (velocity,))

    def attempt(self, state: State, rows: Rows) -> tuple[State, Floats]:
        """Six evaluations, and the error of order 5."""
        pair, (x, t, h, (first,), _) = self.options.pair, state
        left, h = self.s - t, h.clip(-self.longest, self.longest)
        last = abs(h) >= abs(left)
        h = np.where(last, left, h)
        end = np.where(last, self.s, t + h)
        stages, (wide,) = [first], columns((h,), x)
        for weights, c in zip(pair.a, pair.c, strict=True):
            y = torch.addcmul(x, _combined(weights, stages), wide)
            stages.append(self.field(y, end if c == 1.0 else t + c * h, rows))
        tolerance = self._tolerance(torch.maximum(x.abs(), y.abs()))
        error = rms(_combined(pair.e, stages) * wide / tolerance)
        return State(y, end, h, (stages[-1],)), error

    def _first(self, x: Tensor, velocity: Tensor, t: Floats) -> Floats:
        """Hairer, Norsett & Wanner, section II.4, "starting step size": one evaluation."""
        tolerance, span = self._tolerance(x.abs()), abs(self.s - self.t)
        size, speed = rms(x / tolerance), rms(velocity / tolerance)
        with np.errstate(divide="ignore", invalid="ignore"):
            guess = np.where((size > 1e-5) & (speed > 1e-5), 0.01 * size / speed, 1e-6)
            guess = np.nan_to_num(np.minimum(guess, span), nan=1e-3 * span)
            (ahead,) = columns((guess * self.sign,), x)
            # A step of the whole span may end a last bit beyond it.
            there = (t + guess * self.sign).clip(min(self.t, self.s), max(self.t, self.s))
            bent = self.field(x + ahead * velocity, there) - velocity
            steepest = np.maximum(speed, rms(bent / tolerance) / guess)
            wanted = np.where(steepest > 1e-15, (0.01 / steepest) ** 0.2, guess * 1e-3)
        first: Floats = np.nan_to_num(np.minimum(100.0 * guess, wanted), nan=1e-3 * span)
        return np.minimum(first, span)

    def _tolerance(self, size: Tensor) -> Tensor:
        return size.mul(self.options.rtol).add_(self.options.atol)


def _combined(weights: tuple[float, ...], stages: list[Tensor]) -> Tensor:
    pairs = [(w, stage) for w, stage in zip(weights, stages, strict=True) if w]
    (weight, stage), *rest = pairs
    return reduce(lambda sum_, each: sum_.add(each[1], alpha=each[0]), rest, stage * weight)


def _beside(t: Tensor, y: Tensor) -> Tensor:
    """Times that broadcast against y."""
    return t.to(y.device).reshape(-1, *[1] * (y.ndim - 1))
