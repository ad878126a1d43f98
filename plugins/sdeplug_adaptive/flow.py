r"""Embedded Runge-Kutta pairs with a step size for each row: ``dopri5`` and ``tsit5``."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from typing import ClassVar

import torch
from torch import Tensor

from sdeplug import Claims, Field, FlowIntegrator, Run, option
from sdeplug_adaptive.control import (
    Control,
    absolute_tolerance,
    column,
    relative_tolerance,
    rms,
    step_budget,
)
from sdeplug_adaptive.march import March, State
from sdeplug_adaptive.pairs import DORMAND_PRINCE, TSITOURAS, Pair
from sdeplug_adaptive.rows import Asked, full, whole_batch

_SHORTEST = 1e-13  # step, as a part of the span


@dataclass(frozen=True)
class _RungeKuttaPair(FlowIntegrator):
    rtol: float = relative_tolerance(1e-4)
    atol: float = absolute_tolerance(1e-4)
    first_step: float | None = option(
        None, help="first step, in units of time; None: from the field at the start", gt=0.0
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

    control = Control(exponent=5.0, grow=10.0)

    def __init__(self, options: _RungeKuttaPair, field: Field, t: float, s: float) -> None:
        self.options, self.t, self.s, self.whole = options, t, s, options.whole_batch
        self.field = Asked(lambda y, t: field(y, _beside(t, y)), self.whole)
        self.shortest = _SHORTEST * abs(s - t)

    def begin(self, x: Tensor) -> State:
        """The field at the start, and the first step."""
        t = full(self.t, x)
        velocity = self.field(x, t)
        first = self.options.first_step
        size = torch.full_like(t, first) if first else self._first(x, velocity, t)
        return State(
            x, t, size.clamp(max=abs(self.s - self.t)) * _sign(self.s - self.t), (velocity,)
        )

    def attempt(self, state: State, rows: Tensor) -> tuple[State, Tensor]:
        """Six evaluations, and the error of order 5."""
        pair, (x, t, h, (first,)) = self.options.pair, state
        left = self.s - t
        last = h.abs() >= left.abs()
        h = torch.where(last, left, h)
        end = torch.where(last, self.s, t + h)
        stages, wide = [first], column(h, x)
        for weights, c in zip(pair.a, pair.c, strict=True):
            y = torch.addcmul(x, _combined(weights, stages), wide)
            stages.append(self.field(y, end if c == 1.0 else t + c * h, rows))
        tolerance = self._tolerance(torch.maximum(x.abs(), y.abs()))
        error = rms(_combined(pair.e, stages) * wide / tolerance)
        return State(y, end, h, (stages[-1],)), error

    def settle(self, state: State, rows: Tensor) -> None:
        """Nothing to do: the state says it all."""

    def _first(self, x: Tensor, velocity: Tensor, t: Tensor) -> Tensor:
        """Hairer, Norsett & Wanner, section II.4, "starting step size": one evaluation."""
        tolerance, span = self._tolerance(x.abs()), abs(self.s - self.t)
        size, speed = rms(x / tolerance), rms(velocity / tolerance)
        guess = torch.where((size > 1e-5) & (speed > 1e-5), 0.01 * size / speed, 1e-6)
        guess = guess.clamp(max=span).nan_to_num(nan=1e-3 * span)
        ahead = guess * _sign(self.s - self.t)
        bent = self.field(x + column(ahead, x) * velocity, t + ahead) - velocity
        bend = rms(bent / tolerance) / guess
        steepest = torch.maximum(speed, bend)
        wanted = torch.where(steepest > 1e-15, (0.01 / steepest) ** 0.2, guess * 1e-3)
        return torch.minimum(100.0 * guess, wanted).nan_to_num(nan=1e-3 * span)

    def _tolerance(self, size: Tensor) -> Tensor:
        return size.mul(self.options.rtol).add_(self.options.atol)


def _combined(weights: tuple[float, ...], stages: list[Tensor]) -> Tensor:
    pairs = [(w, stage) for w, stage in zip(weights, stages, strict=True) if w]
    (weight, stage), *rest = pairs
    return reduce(lambda sum_, each: sum_.add(each[1], alpha=each[0]), rest, stage * weight)


def _beside(t: Tensor, y: Tensor) -> Tensor:
    """Times that broadcast against y."""
    return t.reshape(-1, *[1] * (y.ndim - 1))


def _sign(x: float) -> float:
    return 1.0 if x > 0.0 else -1.0
