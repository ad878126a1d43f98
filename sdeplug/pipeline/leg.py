"""A leg of a pipeline, and what a run gives."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor

from sdeplug.compose import OnGrid
from sdeplug.errors import ArgumentError, PairingError, brief
from sdeplug.pipeline.views import samples_html, samples_line
from sdeplug.reverse import checked_level
from sdeplug.solvers import Integrator, found_instead
from sdeplug.values import number


@dataclass(frozen=True)
class Leg:
    """A part of a pipeline.

    Attributes:
        to: the time that it runs to, at least 0.
        by: the integrator that carries the samples there.
        stochasticity: overrides that of the reverse SDE for this leg; None keeps it.

    Raises:
        ArgumentError: for a time below 0 or a negative stochasticity.
        PairingError: if ``by`` is not an integrator, or puts one that brings its own grid on
            another.
    """

    to: float
    by: Integrator
    stochasticity: float | None = None

    def __post_init__(self) -> None:
        checked_integrator(self.by)
        to = number(self.to)
        if to is None:
            raise ArgumentError("to", self.to, "a time", "The order is Leg(to, by).")
        if not 0.0 <= to < math.inf:
            raise ArgumentError("to", self.to, "a time of at least 0")
        object.__setattr__(self, "to", to)
        if self.stochasticity is not None:
            object.__setattr__(self, "stochasticity", checked_level(self.stochasticity))


def checked_integrator(by: object) -> Integrator:
    """The integrator that somebody has given.

    Raises:
        PairingError: if it is none, or one that brings its own grid is on another.
    """
    if not isinstance(by, Integrator):
        raise PairingError(f"by = {brief(by)}: must be an Integrator. {found_instead(by)}")
    if isinstance(by, OnGrid) and by.claims.steps is not None:
        raise PairingError(
            f"by = {brief(by, 200)}: what is on the grid brings its own, and would begin anew in "
            f"each step. Give it without a grid; its option {by.claims.steps} says how far it is "
            "refined."
        )
    return by


@dataclass(frozen=True, eq=False, repr=False)
class Samples:
    """What a run gives; in a notebook it shows itself as a picture.

    Attributes:
        x: samples, shape ``(B, *D)``.
        t: the time they are at.
        nfe: score evaluations of the whole batch, counted at the score.
        seconds: wall time.
        nfe_by_row: score evaluations of each sample, int64, shape ``(B,)``, on the CPU: fewer
            where a solver leaves out the rows that have arrived.
        notes: what solvers decided by themselves, and why, in the order of the run.
    """

    x: Tensor
    t: float
    nfe: int
    seconds: float
    nfe_by_row: Tensor
    notes: tuple[str, ...] = ()

    @property
    def _line(self) -> str:
        return samples_line(self.x, self.t, self.nfe, self.seconds)

    def __repr__(self) -> str:
        return f"Samples({self._line})"

    def _repr_html_(self) -> str:
        return samples_html(self.x, self._line)
