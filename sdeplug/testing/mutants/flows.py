"""Mistakes in solvers of the probability flow: tableaus and memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from sdeplug.run import Run
from sdeplug.solvers import Field
from sdeplug.testing.mutants.right import AdamsBashforth, RungeKutta, Tableau


def wrong_entries(method: Tableau, factor: float) -> Iterator[tuple[str, Tableau]]:
    """Every tableau that differs from a right one in one entry, by a factor; with its name."""
    for i, row in enumerate(method.a):
        for j, entry in enumerate(row):
            if entry:
                rows = list(method.a)
                rows[i] = _with(row, j, factor * entry)
                yield f"a{i + 2}{j + 1}", replace(method, a=tuple(rows))
    for i, entry in enumerate(method.b):
        yield f"b{i + 1}", replace(method, b=_with(method.b, i, factor * entry))
    for i, entry in enumerate(method.c):
        if entry:
            yield f"c{i + 1}", replace(method, c=_with(method.c, i, factor * entry))


def _with(row: tuple[float, ...], i: int, entry: float) -> tuple[float, ...]:
    return (*row[:i], entry, *row[i + 1 :])


@dataclass(frozen=True)
class LengthInFloat32(RungeKutta):
    """The length of the step is a difference of float32 numbers."""

    def _length(self, t: float, s: float) -> float:
        return float(
            torch.tensor(s, dtype=torch.float32, device="cpu")
            - torch.tensor(t, dtype=torch.float32, device="cpu")
        )


@dataclass(frozen=True)
class DownOnly(RungeKutta):
    """The length of the step is taken to be negative: it cannot go up in time."""

    def _length(self, t: float, s: float) -> float:
        return -abs(s - t)


@dataclass(frozen=True)
class Aliased(RungeKutta):
    """Stages are summed in place, into the state that is given."""

    def flow(self, field: Field, y: Tensor, t: float, s: float, run: Run) -> Tensor:
        """As the right one, then written to y."""
        return y.copy_(super().flow(field, y, t, s, run))


@dataclass(frozen=True)
class EqualStepWeights(AdamsBashforth):
    """Weights 3/2 and -1/2, which are those of equal steps, on any grid."""

    def _weight(self, h: float, before: float) -> float:
        return -0.5 * h


@dataclass(frozen=True)
class WeightOfOtherSign(AdamsBashforth):
    """The past is added where it should be taken off."""

    def _weight(self, h: float, before: float) -> float:
        return 0.5 * h * h / before


@dataclass(frozen=True)
class HalfWeight(AdamsBashforth):
    """Half the correction by the past."""

    def _weight(self, h: float, before: float) -> float:
        return -0.25 * h * h / before


@dataclass(frozen=True)
class OldestKept(AdamsBashforth):
    """The memory is never refreshed: the first velocity is the past of every step."""

    def _keep(self, kept: list[tuple[float, Tensor]], t: float, velocity: Tensor) -> None:
        if not kept:
            kept.append((t, velocity))


@dataclass(frozen=True)
class OneStepTooOld(AdamsBashforth):
    """The time of the last step with the velocity of the one before."""

    def _past(self, kept: list[tuple[float, Tensor]]) -> tuple[float, Tensor] | None:
        return (kept[-1][0], kept[0][1]) if kept else None


@dataclass(frozen=True)
class GoesOn(AdamsBashforth):
    """After a corrector has moved the state it goes on with the velocity of before."""

    def _goes_on(self, y: Tensor, reached: Tensor | None) -> bool:
        return reached is not None


@dataclass(frozen=True)
class MemoryOfAll(AdamsBashforth):
    """The memory is one list for all runs, and not emptied."""

    def _memory(self) -> list[tuple[float, Tensor]]:
        return KEPT

    def _goes_on(self, y: Tensor, reached: Tensor | None) -> bool:
        return True


KEPT: list[tuple[float, Tensor]] = []
"""What :class:`MemoryOfAll` keeps."""
