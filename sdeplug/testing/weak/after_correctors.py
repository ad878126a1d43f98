"""What follows a corrector: a step that has a past does to p_t what it does without one.

A corrector is judged by what many sweeps make of p_t, a predictor by what it leaves of it in steps
of its own.  Together they are right if a step after the sweeps does to the law what it does as the
first of all: which it does not if it goes on with what it remembers of the state before them.  So
three steps with sweeps after each are run, and the same with a new beginning of the last.

Most end in the same states.  Where they do not, their laws on a mixture are compared: numbers of
the corrector are then the same in both, and for all states, so that whatever it does to a law it
does twice, and is gone in the difference.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import torch
from torch import Tensor

from sdeplug.compose import Corrected
from sdeplug.grid import Uniform
from sdeplug.noise import NoiseSource, SharedNoise
from sdeplug.options import option
from sdeplug.reverse import ReverseSDE
from sdeplug.run import Run
from sdeplug.solvers import Claims, Corrector, Integrator
from sdeplug.testing.bench import Solver, jumps, parts, single_thread
from sdeplug.testing.claimed import follows_its_tolerance
from sdeplug.testing.exact import is_affine
from sdeplug.testing.exact.elsewhere import where_it_works
from sdeplug.testing.exact.leaks import Place
from sdeplug.testing.findings import Finding, NotApplicable, demand
from sdeplug.testing.weak.balanced import Balanced, Counted
from sdeplug.testing.weak.mixtures import LIMIT
from sdeplug.testing.weak.modes import of_modes, points, three_modes, told_of_modes
from sdeplug.testing.weak.spans import adds_noise, at_once
from sdeplug.testing.weak.where import where_modes_overlap

_PATTERNS = 8  # of the numbers of a corrector, one half the other with the opposite sign
_SEED = 3
_STEPS = 3  # of which the last one remembers two
_STATES = 16  # whose paths are compared
_ROUNDING = 1e-10
_LENGTH = 0.05  # of a Langevin step, in units of sigma squared


def check_steps_after_correctors(solver: Solver) -> Finding:
    """After a corrector a step keeps p_t as a first step does, where the score is not linear.

    What remembers earlier steps is asked with a corrector of the bench, if it has none.
    """
    found = [each for steps in _with_correctors(solver) for each in _looked_at(steps)]
    most = max(found, key=lambda each: each.size)
    worst = int(most.change.abs().nan_to_num(nan=math.inf).argmax())
    demand(
        most.size <= LIMIT,
        f"after {most.steps.corrector!r} a step leaves p_t of a mixture, as a first step does not: "
        f"for each nat of log-SNR {told_of_modes(worst, float(most.change[worst]))}, "
        f"{100.0 * LIMIT:g} % at most is right, {most.place}. What a step remembers is no longer "
        "true once a corrector has moved x: use it only if x is what the last step returned",
    )
    how = f"is off by {most.size:.0e} a nat beside" if most.size else "is the same as"
    return Finding(f"a step after a corrector {how} one without a past")


def _with_correctors(solver: Solver) -> list[Corrected]:
    """The predictors with correctors in a solver, or a solver with one."""
    if not isinstance(solver, Integrator) or jumps(solver):
        raise NotApplicable("it is a corrector, or runs to 0 only")
    found = [part for part in parts(solver) if isinstance(part, Corrected) and part.sweeps]
    if found:
        return found
    if type(solver).begin is Integrator.begin or isinstance(solver, Corrected):
        raise NotApplicable("it remembers no earlier step")
    return [Corrected(solver, _Moving())]


def _looked_at(steps: Corrected) -> list[_Changed]:
    """What the past of a step changes, wherever it is looked at."""
    with single_thread():
        return where_it_works(_Watched(steps, each).seen for each in where_modes_overlap(steps))


@dataclass(frozen=True, eq=False)
class _Changed:
    """What the past of a step changes.

    Attributes:
        steps: the predictor and the corrector.
        place: where.
        change: of the means of :func:`of_modes`, per nat of log-SNR.
    """

    steps: Corrected
    place: Place
    change: Tensor

    @property
    def size(self) -> float:
        """The largest of them; infinity where one is no number."""
        return float(self.change.abs().nan_to_num(nan=math.inf).max())


@dataclass(frozen=True)
class _Watched:
    """Steps with sweeps after each, at a place."""

    steps: Corrected
    place: Place

    def seen(self) -> _Changed:
        """What the past changes: nothing, where paths are the same, or what the law tells.

        Raises:
            NotApplicable: if they are not, and the predictor is biased anyway, or what it draws
                cannot be balanced by signs.
        """
        full, half, wide = self.place.ends
        gone_on, begun = (
            self._carried(self.steps, self._few(), SharedNoise(0), self._times(wide), anew)
            for anew in (False, True)
        )
        if bool(((gone_on - begun).abs() <= _ROUNDING).all()):
            change = torch.zeros(1, dtype=torch.float64, device="cpu")
        else:
            self._demand_judged()
            change = 2.0 * self._over(half) - self._over(full)
        return _Changed(self.steps, self.place, change)

    def _demand_judged(self) -> None:
        alone, corrector = self.steps.integrator, self.steps.corrector
        claims, follows = alone.claims, follows_its_tolerance(alone)
        if not follows and (claims.order is None or claims.floor is not None):
            raise NotApplicable("its predictor claims no order, or a bias that does not vanish")
        if corrector.claims.couples_batch or (
            claims.couples_batch and claims.stochastic and not follows
        ):
            raise NotApplicable("its rows hang together")
        added = is_affine(alone) or (follows and adds_noise(alone, self.place))
        if claims.stochastic and not added:
            raise NotApplicable("its predictor has a past, and does more than to add what it draws")

    def _over(self, end: float) -> Tensor:
        """Errors per nat of some steps, the last of which has a past, beside a new beginning."""
        sde, by = self.place.sde, self.steps.integrator
        if follows_its_tolerance(by):
            by = at_once(by, self.place, end)
        steps = replace(self.steps, integrator=by, corrector=_WithFew(self.steps.corrector))
        times = self._times(end)
        gone_on, begun = (self._ends(steps, times, anew) for anew in (False, True))
        return (gone_on - begun) / (sde.at(times[-1]).log_snr - sde.at(times[-2]).log_snr)

    def _ends(self, steps: Corrected, times: Sequence[float], anew: bool) -> Tensor:
        """Means of :func:`of_modes` at the last of the times."""
        sde, counted = self.place.sde, Counted()
        x, weights = points(sde, times[0])
        self._carried(steps, x[:1].repeat(_PATTERNS, 1), counted, times, anew)
        noise = Balanced(_PATTERNS * len(x), counted.draws)
        rows = x.repeat_interleave(noise.repeats, 0).repeat(_PATTERNS, 1)
        y = self._carried(steps, rows, noise, times, anew)
        found = of_modes(y, times[-1], sde).reshape(_PATTERNS, len(x), noise.repeats, -1)
        return weights @ found.mean((0, 2))

    def _carried(
        self, steps: Corrected, x: Tensor, noise: NoiseSource, times: Sequence[float], anew: bool
    ) -> Tensor:
        """x at the last of the times; the last step may begin anew."""
        score = three_modes().score(self.place.sde)
        reverse, run = ReverseSDE(self.place.sde, score, self.place.level), Run(noise)
        with torch.no_grad():
            advance = steps.begin(reverse, run)
            for late, early in pairwise(times[:-1]):
                x = advance(x, late, early)
            if anew:
                advance = steps.begin(reverse, run)
            return advance(x, times[-2], times[-1])

    def _times(self, end: float) -> Sequence[float]:
        return Uniform(_STEPS).times(self.place.t, end, self.place.sde)

    def _few(self) -> Tensor:
        """Some states."""
        x, _ = points(self.place.sde, self.place.t)
        return x[:: len(x) // _STATES]


@dataclass(frozen=True)
class _Moving(Corrector):
    """Langevin steps, short enough to keep p_t to a per cent, and long enough to be felt."""

    claims = Claims(evaluations=1, floor=0.02)

    def correct(self, reverse: ReverseSDE, x: Tensor, t: float, run: Run) -> Tensor:
        length = _LENGTH * reverse.linear.at(t).sigma ** 2
        moved = x + length * reverse.score(x, t)
        return moved + math.sqrt(2.0 * length) * run.noise.normal(x)

    def __repr__(self) -> str:
        return "a corrector"


@dataclass(frozen=True)
class _WithFew(Corrector):
    """A corrector that has the same few numbers for all states, in every sweep."""

    corrector: Corrector = option(help="the one that has them")

    @property
    def claims(self) -> Claims:
        return self.corrector.claims

    def correct(self, reverse: ReverseSDE, x: Tensor, t: float, run: Run) -> Tensor:
        return self.corrector.correct(reverse, x, t, replace(run, noise=_Few()))


class _Few(NoiseSource):
    """A few rows of numbers, each for as many rows of a batch, one after the other."""

    def __init__(self) -> None:
        self._source = SharedNoise(_SEED)

    def normal(self, like: Tensor) -> Tensor:
        z = self._source.normal(like[: _PATTERNS // 2])
        return torch.cat((z, -z)).repeat_interleave(len(like) // _PATTERNS, 0)


CHECKS: tuple[Callable[[Solver], Finding], ...] = (check_steps_after_correctors,)
"""The checks of this module."""
