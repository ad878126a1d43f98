"""One run over the legs of a pipeline.

Half precision is for the score model and for the samples.  The state in between is carried in
float32: in float16 the numbers that a step is made of overflow where its result would not, and
bfloat16 loses what a short step adds.
"""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from sdeplug.errors import NonFiniteError, RunError, SolverError
from sdeplug.noise import NoiseSource
from sdeplug.observers import Guard
from sdeplug.pipeline.advice import advice
from sdeplug.pipeline.first_answer import warn_unless_heard
from sdeplug.pipeline.leg import Leg, Samples
from sdeplug.reverse import ReverseSDE
from sdeplug.run import Observer, Run
from sdeplug.score import Counted, InDtype
from sdeplug.sde import in_float32
from sdeplug.solvers import Integrator

_EVERY_ON_ACCELERATORS = 25  # a look waits for the device
_EVERY = 8  # of large states on the CPU
_SMALL, _TOGETHER = 2**14, 16  # numbers in a small state; so many of these are looked at together


class Course:
    """One run over the legs: counts, guards, and tells where it went wrong.

    Args:
        reverse: the reverse SDE.
        legs: the legs, checked.
        noise: the only source of randomness.
        observers: who sees the states on the way.
        dtype: that of the samples, and of what the score model sees.
    """

    def __init__(
        self,
        reverse: ReverseSDE,
        legs: tuple[Leg, ...],
        noise: NoiseSource,
        observers: tuple[Observer, ...],
        dtype: torch.dtype,
    ) -> None:
        model, half = reverse.score_model, dtype.itemsize < torch.float32.itemsize
        asked = replace(reverse, score_model=InDtype(model, dtype) if half else model)
        self.counted = Counted(asked.score_model, first=partial(warn_unless_heard, asked))
        self.reverse, self.legs = replace(reverse, score_model=self.counted), legs
        self.noise, self.observers = noise, observers
        self.guard, self.dtype = Guard(), dtype

    def run(self, x: Tensor, t: float) -> Samples:
        """Carry x from t through all legs; x has shape ``(B, *D)``.

        Raises:
            NonFiniteError: if a state is not finite, in the dtype of the samples too.
            SolverError: if a solver returns something that is not a state.
        """
        try:
            return self._run(in_float32(x), t)
        finally:
            for each in self.observers:
                getattr(each, "ended", _nothing)()

    def _run(self, x: Tensor, t: float) -> Samples:
        begin = time.perf_counter()
        self.guard = self._guard(x)
        self.guard.look(t, x)
        notes: list[str] = []
        run = Run(
            self.noise,
            self.observers,
            count=lambda: self.counted.nfe,
            select=self.counted.select,
            note=notes.append,
            guard=self.guard.pass_by,
        )
        run.report(t, x)
        start = x
        for number, leg in enumerate(self.legs):
            x = self._advance(leg, x, t, replace(run, leg=number))
            t = leg.to
        x = self._rounded(x, t)
        if _same_memory(x, start):  # what leaves belongs to who called
            x = x.clone()
        if x.is_cuda:
            torch.cuda.synchronize(x.device)
        seconds = time.perf_counter() - begin
        by_row = self.counted.by_row(len(x))
        return Samples(x, t, self.counted.nfe, seconds, by_row, tuple(notes))

    def _advance(self, leg: Leg, x: Tensor, t: float, run: Run) -> Tensor:
        reverse = self.reverse
        if leg.stochasticity is not None:
            reverse = replace(reverse, stochasticity=leg.stochasticity)
        try:
            by = leg.by.settled(reverse, x, t, leg.to)
            moved = by.integrate(reverse, x, t, leg.to, run)
            _checked_state(moved, x, leg.by)
            self.guard.look(leg.to, moved)
        except RunError as error:
            raise self._located(error, leg, run.leg) from None
        except Exception as error:
            self._blame_state(error, leg, run.leg)
            raise
        run.report(leg.to, moved)
        return moved

    def _rounded(self, x: Tensor, t: float) -> Tensor:
        """x in the dtype of the samples."""
        if x.dtype == self.dtype:
            return x
        rounded, leg = x.to(self.dtype), len(self.legs) - 1
        try:
            self.guard.look(t, rounded)
        except RunError as error:
            raise self._located(error, self.legs[-1], leg) from None
        return rounded

    def _guard(self, x: Tensor) -> Guard:
        if x.device.type != "cpu":
            return Guard(_EVERY_ON_ACCELERATORS)
        if self.observers:
            return Guard()  # so that they see finite states only
        # A look costs a step of a small state; a large one is dear to keep.
        return Guard(together=_TOGETHER) if x.numel() <= _SMALL else Guard(_EVERY)

    def _blame_state(self, cause: Exception, leg: Leg, number: int) -> None:
        """Raise the error of a state that was not finite, and which nobody has looked at yet."""
        try:
            self.guard.look_back()
        except RunError as error:
            raise self._located(error, leg, number) from cause

    def _located(self, error: RunError, leg: Leg, number: int) -> RunError:
        """The same error with solver and leg, and with the score's part in it."""
        uncounted = replace(self.reverse, score_model=self.counted.score_model)
        hint = (
            advice(error, leg.by, uncounted, self.dtype)
            if isinstance(error, NonFiniteError)
            else ""
        )
        kept = "The error's attributes last and last_t hold the last finite state."
        return type(error)(
            " ".join(filter(None, (f"{leg.by!r} in leg {number}: {error.message}", hint, kept))),
            t=error.t,
            row=error.row,
            last=None if error.last is None else error.last.detach().clone(),
            last_t=error.last_t,
            times=error.times,
            step=error.step,
            solver=repr(leg.by),
            leg=number,
        )


def _nothing() -> None:
    """What is called at the end of a run where nobody wants to know."""


def _same_memory(x: Tensor, other: Tensor) -> bool:
    return x.untyped_storage().data_ptr() == other.untyped_storage().data_ptr()


def _checked_state(moved: object, x: Tensor, by: Integrator) -> None:
    if not isinstance(moved, Tensor):
        raise SolverError(f"{by!r} returned {type(moved).__name__}: must be a tensor like x.")
    if moved.shape != x.shape or moved.dtype != x.dtype or moved.device != x.device:
        raise SolverError(
            f"{by!r} returned shape {tuple(moved.shape)}, {moved.dtype} on {moved.device} for x "
            f"of shape {tuple(x.shape)}, {x.dtype} on {x.device}: must be the same."
        )
