"""What comes after a step that is rejected: the law stays what it is.

Whether a step is rejected depends on its noise.  So what a shorter one sees has to be a part of the
same noise: if it is drawn anew, large numbers are avoided, and those that are left are too small.
Over a short span tolerances are made tighter until many rows go another way than before, with the
same draws.  What the two ways make different in law is then no chance.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor

from sdeplug.errors import ArgumentError, StepError
from sdeplug.noise import NoiseSource
from sdeplug.solvers import Corrector, Integrator, tolerances, with_tolerances
from sdeplug.testing.bench import Solver, jumps, parts, sdes, single_thread
from sdeplug.testing.claimed import first_level, follows_its_tolerance
from sdeplug.testing.exact.arrays import nodes
from sdeplug.testing.exact.leaks import Place, places
from sdeplug.testing.findings import Finding, NotApplicable, demand
from sdeplug.testing.weak.balanced import Counted, Many
from sdeplug.testing.weak.modes import of_modes, points, three_modes, told_of_modes
from sdeplug.testing.weak.spans import at_once, carried

LIMIT = 5e-3
"""How far the law may be off for each nat; right solvers are by 1e-4, and noise that is drawn anew
makes 0.1 and more."""

_OTHERS = 0.25  # of all rows that have to go another way
_TIGHTER, _TIMES = 0.7, 80
_ROWS = 4  # for each point, to see how many do
_MOST = 64  # numbers that a row draws
_SIZES = tuple(nodes(4)[2:].tolist())  # of a normal number: a small and a large one
_SAME = 1e-9  # roundings of other sums


def check_rejected_steps(solver: Solver) -> Finding:
    """Where tolerances are so tight that steps are rejected, the law after a short span is the one
    without that."""
    with single_thread():
        found = _Watched.of(solver).with_rejections()
    worst = int(found.leak.abs().argmax())
    size = float(found.leak[worst].abs())
    tight = ", ".join(f"{each:.1g}" for each in tolerances(found.solver))
    how = f"with tolerances of {tight} {found.share:.0%} of all rows go another way"
    demand(
        size <= LIMIT,
        f"{how}, and their law with them: for each nat of log-SNR "
        f"{told_of_modes(worst, float(found.leak[worst]))}, {100.0 * LIMIT:g} % at most is right, "
        f"{found.place}. A step that is tried again has to see a part of the same noise, as that "
        "of run.noise.walk or run.noise.brownian",
    )
    return Finding(f"{how}, and their law by {size:.0e} a nat")


@dataclass(frozen=True, eq=False)
class _Found:
    """What tighter tolerances make different.

    Attributes:
        solver: the one with these.
        share: of all rows that go another way.
        leak: errors of :func:`of_modes` beside those with loose ones, per nat of log-SNR.
        place: where it started.
    """

    solver: Integrator
    share: float
    leak: Tensor
    place: Place


@dataclass(frozen=True)
class _Watched:
    """A solver of a tolerance, over one short span.

    Attributes:
        solver: with tolerances so loose that it rejects nothing.
        place: where the span starts.
    """

    solver: Integrator
    place: Place

    @classmethod
    def of(cls, solver: Solver) -> _Watched:
        if not isinstance(solver, Integrator) or jumps(solver):
            raise NotApplicable("it is a corrector, or runs to 0 only")
        if not follows_its_tolerance(solver):
            raise NotApplicable("it follows no tolerance, or declares a bias that stays")
        if not solver.claims.stochastic:
            raise NotApplicable("it draws no noise: its own error is all that rejections change")
        if any(isinstance(part, Corrector) for part in parts(solver)):
            raise NotApplicable("a corrector is at work in it, whose steps do not follow the span")
        (place,) = places(sdes(solver)[0], first_level(solver), 0.0)
        return cls(at_once(solver, place, place.ends[0]), place)

    def with_rejections(self) -> _Found:
        """What the loosest of tighter tolerances does by which many rows go another way.

        Raises:
            NotApplicable: if there is none, or more is drawn then than can be balanced.
        """
        x, _ = points(self.place.sde, self.place.t)
        large = max(_SIZES) if self.solver.claims.couples_batch else 1.0
        x, noise = x.repeat_interleave(_ROWS, 0), Counted(large)
        before, few = self._carried(self.solver, x, noise), noise.draws
        for times in range(1, _TIMES):
            noise = Counted(large)
            try:
                tight = with_tolerances(self.solver, _TIGHTER**times)
                other = self._moved(self._carried(tight, x, noise), before)
            except (ArgumentError, StepError):
                break
            if noise.draws > few and other >= _OTHERS:
                found = self._compared(tight, noise.draws)
                if found.share >= _OTHERS:
                    return found
        raise NotApplicable("over a short span it rejects no step, however tight its tolerance is")

    def _compared(self, tight: Integrator, number: int) -> _Found:
        """The same with draws that are balanced, one size of which may ask for more of them."""
        columns = 2 ** math.ceil(math.log2(number))  # no more rows than for fewer
        if columns > _MOST:
            raise NotApplicable(f"it draws {number} numbers where it rejects steps, over {_MOST}")
        try:
            return self._with(tight, columns)
        except NotApplicable:
            return self._compared(tight, 2 * columns)

    def _with(self, tight: Integrator, columns: int) -> _Found:
        x, weights = points(self.place.sde, self.place.t)
        sde, end = self.place.sde, self.place.ends[0]
        share, off = 0.0, torch.zeros(len(x), 1, dtype=torch.float64, device="cpu")
        for sizes in self._batches():
            noises = [Many(len(x), columns, sizes) for _ in range(2)]
            rows = x.repeat_interleave(noises[0].repeats, 0)
            y, other = (
                self._carried(by, rows, noise)
                for by, noise in zip((self.solver, tight), noises, strict=True)
            )
            change = of_modes(other, end, sde) - of_modes(y, end, sde)
            off = off + change.reshape(len(x), noises[0].repeats, -1).mean(1)
            share += self._moved(y, other)
        count = len(self._batches())
        nats = sde.at(end).log_snr - sde.at(self.place.t).log_snr
        return _Found(tight, share / count, weights @ off / (count * nats), self.place)

    def _batches(self) -> Sequence[Sequence[tuple[float, ...]]]:
        """Sizes of the first numbers of a row: in one batch where rows differ in what they reject.

        Where they do not, sizes of the first two draws differ from batch to batch: of the whole
        step and of its middle, as the error goes by the one or the other.
        """
        width = three_modes().means.shape[1]
        if self.solver.claims.couples_batch:
            pairs = product(_SIZES, repeat=2)
            return [[(whole,) * width + (middle,) * width] for whole, middle in pairs]
        return [list(product(_SIZES, repeat=width))]

    def _moved(self, y: Tensor, other: Tensor) -> float:
        """The share of all rows that are not the same."""
        _, weights = points(self.place.sde, self.place.t)
        differ = ((y - other).abs() > _SAME).any(1).to(weights)
        return float(weights @ differ.reshape(len(weights), -1).mean(1))

    def _carried(self, by: Integrator, x: Tensor, noise: NoiseSource) -> Tensor:
        return carried(by, self.place, self.place.ends[0], x, noise)


CHECKS: tuple[Callable[[Solver], Finding], ...] = (check_rejected_steps,)
"""The checks of this module."""
