"""Calls of a solver: all that a result depends on but the solver itself, as a value.

A contract holds for every shape, dtype, span and forward SDE.  :func:`explore` tries calls that
go evenly over them, and reports the simplest one that breaks it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TypeVar

import torch
from torch import Tensor

from sdeplug.errors import ArgumentError, PairingError
from sdeplug.noise import PerSampleNoise, SharedNoise
from sdeplug.reverse import ReverseSDE
from sdeplug.run import Run
from sdeplug.score import ScoreModel
from sdeplug.sde import LinearSDE
from sdeplug.solvers import Corrector
from sdeplug.testing import makers
from sdeplug.testing.bench import Solver, by_row, jumps, span
from sdeplug.testing.choices import Choose, Maker
from sdeplug.testing.choices import examples as spread
from sdeplug.testing.claimed import first_level
from sdeplug.testing.findings import CheckFailed, Finding, NotApplicable
from sdeplug.testing.makers import SDES
from sdeplug.testing.memory import remembered

C = TypeVar("C")

EXAMPLES = 12
"""How many calls are tried where nothing else is said."""

_LOOKED_AT = 200  # examples from which the simplest that fails is looked for


@dataclass(frozen=True)
class Call:
    """One call of a solver.

    Attributes:
        sde: the forward SDE.
        t: time to start from.
        s: time to reach; of no meaning to a corrector.
        shape: shape ``(B, *D)`` of the state.
        dtype: dtype of the state.
        seed: seed of state and noise.
        level: stochasticity of the reverse SDE.
    """

    sde: LinearSDE
    t: float
    s: float
    shape: tuple[int, ...] = (3, 2)
    dtype: torch.dtype = torch.float64
    seed: int = 0
    level: float = 1.0

    def __str__(self) -> str:
        dtype = str(self.dtype).removeprefix("torch.")
        return (
            f"{type(self.sde).__name__} from t={self.t:g} to s={self.s:g}, x of shape "
            f"{self.shape} {dtype}, seed={self.seed}, stochasticity={self.level:g}"
        )

    @classmethod
    def plain(cls, solver: Solver, sde: LinearSDE) -> Call:
        """A short call in the middle of time."""
        t, s = span(solver)
        return cls(sde, t * sde.T, s * sde.T, level=first_level(solver))

    def state(self) -> Tensor:
        """A draw from p_t for standard normal data."""
        source = SharedNoise(self.seed + 1)
        noise = source.normal(torch.empty(self.shape, dtype=torch.float64, device="cpu"))
        return noise.div(math.sqrt(self._precision(self.t))).to(self.dtype)

    def run(self) -> Run:
        """A run whose rows have noise of their own."""
        return Run(PerSampleNoise(self.seed, range(self.shape[0])))

    def score(self, x: Tensor, t: Tensor) -> Tensor:
        """That of p_t for standard normal data, bent a little, so that it is not affine."""
        return x.add(torch.sin(x), alpha=0.1).mul(-self.steepness(t, x)).to(x.dtype)

    def normal_score(self, centre: float | Tensor = 0.0) -> ScoreModel:
        """That of a normal law of the same width about a centre, which broadcasts against x."""

        def score(x: Tensor, t: Tensor) -> Tensor:
            return (x - centre).mul(-self.steepness(t, x)).to(x.dtype)

        return score

    def steepness(self, t: Tensor, x: Tensor) -> float | Tensor:
        """One over the variance of p_t for standard normal data, as :func:`by_row`."""
        return by_row(self._precision, t, x)

    def reverse(self, score: ScoreModel | None = None) -> ReverseSDE:
        """The reverse SDE, with :meth:`score` unless another is given."""
        return ReverseSDE(self.sde, score or self.score, self.level)

    def apply(
        self,
        solver: Solver,
        x: Tensor | None = None,
        run: Run | None = None,
        score: ScoreModel | None = None,
    ) -> Tensor:
        """One ``integrate()`` or ``correct()``, with the parts of the call where none is given."""
        reverse = self.reverse(score)
        x = self.state() if x is None else x
        run = run or self.run()
        if isinstance(solver, Corrector):
            return solver.correct(reverse, x, self.t, run)
        return solver.integrate(reverse, x, self.t, self.s, run)

    def in_steps(
        self,
        solver: Solver,
        x: Tensor,
        score: ScoreModel,
        run: Run | None = None,
        steps: int = 3,
    ) -> Tensor:
        """A sequence of steps over the span; one call of a solver that takes no single steps."""
        run = run or self.run()
        if isinstance(solver, Corrector) or not solver.needs_grid:
            return self.apply(solver, x, run, score)
        advance = solver.begin(self.reverse(score), run)
        length = (self.t - self.s) / steps
        times = (*(self.t - k * length for k in range(steps)), self.s)
        for late, early in pairwise(times):
            x = advance(x, late, early)
        return x

    def _precision(self, t: float) -> float:
        now = self.sde.at(t)
        return 1.0 / (now.alpha**2 + now.sigma**2)


def working(solver: Solver) -> tuple[LinearSDE, ...]:
    """Those of :data:`SDES` that fit what a solver needs, and that it does not refuse.

    Raises:
        NotApplicable: if there is none.
    """
    found = _working(solver)
    if not found:
        names = ", ".join(type(sde).__name__ for sde in SDES)
        raise NotApplicable(f"it works with none of {names}")
    return found


def calls(
    solver: Solver, dtypes: tuple[torch.dtype, ...] = (torch.float64,), level: float | None = None
) -> Maker[Call]:
    """A maker of calls that fit a solver; at any stochasticity unless one is given.

    Raises:
        NotApplicable: if it works with none of :data:`SDES`, or not at the stochasticity.
    """
    allowed = stochasticities(solver)
    if level is not None and level not in allowed:
        raise NotApplicable(f"it refuses a stochasticity of {level:g}")
    noisy = tuple(each for each in allowed if each > 0.0)
    levels = (noisy or allowed) if level is None else (level,)
    fitting, to_zero = working(solver), jumps(solver)

    def made(choose: Choose) -> Call:
        sde = choose(fitting)
        t, s = choose(makers.spans(sde))
        shape, dtype = makers.shape(choose), choose(dtypes)
        return Call(sde, t, 0.0 if to_zero else s, shape, dtype, choose(range(100)), choose(levels))

    return made


def explore(maker: Maker[C], test: Callable[[C], None], examples: int = EXAMPLES) -> Finding:
    """Try a test on examples, chosen without chance; report the simplest that fails.

    Returns:
        How many were tried.

    Raises:
        CheckFailed: with what the test said, or with the error that it met, and the example.
    """
    failures: list[CheckFailed] = []
    tried = 0

    def fails(example: C) -> bool:
        try:
            test(example)
        except Exception as error:
            failures.append(_told(error, example))
            return True
        return False

    with torch.no_grad():
        for example in spread(maker, examples):
            tried += 1
            if fails(example):
                if tried > 1:  # the first is the simplest that there is
                    _look_for_the_simplest(maker, fails)
                break
    if failures:  # the last of them is the simplest that was seen
        raise failures[-1] from failures[-1].__cause__
    return Finding(f"in {tried} calls")


def _look_for_the_simplest(maker: Maker[C], fails: Callable[[C], bool]) -> None:
    """Let hypothesis look for the simplest example that fails, which it then asks about last."""
    from hypothesis import HealthCheck, find, settings
    from hypothesis.errors import NoSuchExample

    from sdeplug.testing.strategies import chosen

    quiet = settings(
        max_examples=_LOOKED_AT,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    with suppress(NoSuchExample):
        find(chosen(maker), fails, settings=quiet)


def _told(error: Exception, value: object) -> CheckFailed:
    if isinstance(error, CheckFailed):
        return CheckFailed(f"{error} ({value})", error.curves, error.spectra)
    told = CheckFailed(f"it raised {type(error).__name__}: {error} ({value})")
    told.__cause__ = error
    return told


@remembered(64)
def _working(solver: Solver) -> tuple[LinearSDE, ...]:
    fitting = (sde for sde in SDES if isinstance(sde, solver.claims.needs))
    return tuple(sde for sde in fitting if not _refuses(solver, Call.plain(solver, sde)))


@remembered(64)
def stochasticities(solver: Solver) -> tuple[float, ...]:
    """The stochasticities that it works at."""
    if solver.claims.level is not None:
        return (solver.claims.level,)
    plain = Call.plain(solver, working(solver)[0])
    return tuple(
        level for level in (1.0, 0.5, 0.0) if not _refuses(solver, replace(plain, level=level))
    )


def _refuses(solver: Solver, call: Call) -> bool:
    """Whether a solver says that it does not go with the SDE, or with the stochasticity."""
    try:
        with torch.no_grad():
            call.apply(solver)
    except PairingError:
        return True
    except ArgumentError as error:
        return error.argument == "stochasticity"
    except Exception:  # for the checks to find
        return False
    return False
