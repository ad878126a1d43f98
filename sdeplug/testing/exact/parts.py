"""The parts of a run have noise of their own: no number of one is used again by another.

There are two ways to see it.  A run with a seed is watched: who draws from a state of a generator
that another part has drawn from has its numbers.  And a leg that has kept numbers of the legs
before it comes out otherwise after others of theirs, from the same state and with the same noise.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from sdeplug.compose import Corrected, OnGrid
from sdeplug.grid import LogSNR
from sdeplug.noise import NoiseSource, SharedNoise
from sdeplug.options import option
from sdeplug.pipeline import Leg, Pipeline
from sdeplug.reverse import ReverseSDE
from sdeplug.run import Run
from sdeplug.solvers import Advance, Claims, Corrector, Integrator
from sdeplug.testing.bench import SPECTRUM, Solver, gaussian_score, jumps, sdes
from sdeplug.testing.claimed import first_level
from sdeplug.testing.exact.ledger import Ledger
from sdeplug.testing.findings import CheckFailed, Finding, NotApplicable, demand

_STEPS = 3
_MIDDLE = 0.5  # of T: where the first leg ends
_SEED = 5
_SHAPE = 2, len(SPECTRUM)


def check_parts(solver: Solver) -> Finding:
    """In two legs, beside a corrector and from a given state it draws no number again."""
    pipeline = _pipeline(solver)
    for given in (False, True):
        demand_apart(pipeline, _SHAPE, _SEED, given)
    demand_forgotten(pipeline, _SHAPE)
    return Finding("in two legs, beside another part and from a given state")


def demand_apart(pipeline: Pipeline, shape: tuple[int, ...], seed: int, given: bool) -> None:
    """Run a pipeline with a seed, and fail if two parts of it have numbers in common.

    Args:
        pipeline: legs, and in them predictors and correctors, are its parts.
        shape: of the samples.
        seed: one number.
        given: whether the state to start from is drawn first, with the same seed.

    Raises:
        CheckFailed: with the names of the parts.
    """
    ledger = Ledger()
    legs = tuple(
        replace(leg, by=watched(leg.by, ledger, f"leg {number}"))
        for number, leg in enumerate(pipeline.legs)
    )
    run = replace(pipeline, legs=legs)
    with torch.no_grad(), ledger:
        x = pipeline.reverse.forward.prior(shape, SharedNoise(seed)) if given else None
        run.sample(shape, seed=seed, x=x)
    if ledger.shared:
        one, other = min(ledger.shared)
        raise CheckFailed(
            f"with one seed, {one} and {other} draw the same numbers"
            f"{', from a given state' * given}: a part must take its noise from run.noise as it "
            "is, without a copy or a seed of its own"
        )


def demand_forgotten(pipeline: Pipeline, shape: tuple[int, ...]) -> None:
    """Fail if a leg, from one state and with one noise, depends on the noise of those before it.

    Args:
        pipeline: legs are run one by one.
        shape: of the states.

    Raises:
        CheckFailed: with the number of the leg.
        NotApplicable: if there is one leg alone.
    """
    if len(pipeline.legs) < 2:
        raise NotApplicable("it has one leg")
    x = pipeline.reverse.forward.prior(shape, SharedNoise(_SEED))
    starts = [x, *_through_legs(pipeline, [x] * len(pipeline.legs), range(len(pipeline.legs)))]
    for last in range(1, len(pipeline.legs)):
        one, other = (
            _through_legs(pipeline, starts, [*range(first, first + last), _SEED])[-1]
            for first in (100, 200)
        )
        demand(
            torch.equal(one, other),
            f"leg {last} comes out otherwise, by {float((one - other).abs().max()):.2g}, after "
            "other noise in the legs before it: numbers are kept and used again",
        )


def _through_legs(
    pipeline: Pipeline, starts: Sequence[Tensor], seeds: Iterable[int]
) -> list[Tensor]:
    """Where the legs end, each from a state of its own and with the noise of a seed of its own."""
    noise, t, ends = _Phases(), pipeline.reverse.forward.T, []
    for leg, x, seed in zip(pipeline.legs, starts, seeds, strict=False):
        reverse = pipeline.reverse
        if leg.stochasticity is not None:
            reverse = replace(reverse, stochasticity=leg.stochasticity)
        noise.source = SharedNoise(seed)
        with torch.no_grad():
            ends.append(leg.by.integrate(reverse, x, t, leg.to, Run(noise)))
        t = leg.to
    return ends


class _Phases(NoiseSource):
    """One source for a whole run, with other numbers in each leg."""

    def __init__(self) -> None:
        self.source: NoiseSource = SharedNoise(0)

    def normal(self, like: Tensor) -> Tensor:
        return self.source.normal(like)


def watched(solver: Integrator, ledger: Ledger, name: str) -> Integrator:
    """The same solver, which tells the ledger what is at work: its predictor, its corrector."""
    if isinstance(solver, OnGrid):
        return replace(solver, integrator=watched(solver.integrator, ledger, name))
    if isinstance(solver, Corrected):
        predictor = watched(solver.integrator, ledger, f"the predictor of {name}")
        corrector = _WatchedCorrector(solver.corrector, ledger, f"the corrector of {name}")
        return replace(solver, integrator=predictor, corrector=corrector)
    return _Watched(solver, ledger, name)


def _pipeline(solver: Solver) -> Pipeline:
    """Two legs of a solver beside another: a corrector, or what it corrects."""
    sde, level = sdes(solver)[0], first_level(solver)
    reverse = ReverseSDE(sde, gaussian_score(sde), level)
    if isinstance(solver, Corrector):
        by: Integrator = OnGrid(Corrected(_Drifting(), solver), LogSNR(_STEPS))
        return Pipeline(reverse, (Leg(_MIDDLE * sde.T, by), Leg(sde.eps, by)))
    if jumps(solver):
        raise NotApplicable("it jumps to the data, in one leg")
    by = OnGrid(Corrected(solver, _Shaking()), LogSNR(_STEPS)) if solver.needs_grid else solver
    return Pipeline(reverse, (Leg(_MIDDLE * sde.T, by), Leg(sde.eps, by)))


@dataclass(frozen=True)
class _Drifting(Integrator):
    """What a corrector corrects here: a step with noise, of any law."""

    claims = Claims(order=1, evaluations=0)

    def integrate(self, reverse: ReverseSDE, x: Tensor, t: float, s: float, run: Run) -> Tensor:
        return 0.9 * x + 0.1 * run.noise.normal(x)


@dataclass(frozen=True)
class _Shaking(Corrector):
    """What corrects here: noise, of any law."""

    claims = Claims(evaluations=0)

    def correct(self, reverse: ReverseSDE, x: Tensor, t: float, run: Run) -> Tensor:
        return 0.9 * x + 0.1 * run.noise.normal(x)


@dataclass(frozen=True, eq=False)
class _Watched(Integrator):
    solver: Integrator = option(help="the solver")
    ledger: Ledger = option(help="who is told")
    name: str = option("", help="of the part")

    @property
    def claims(self) -> Claims:
        return self.solver.claims

    @property
    def needs_grid(self) -> bool:
        return self.solver.needs_grid

    def integrate(self, reverse: ReverseSDE, x: Tensor, t: float, s: float, run: Run) -> Tensor:
        with self.ledger.at_work(self.name):
            return self.solver.integrate(reverse, x, t, s, run)

    def begin(self, reverse: ReverseSDE, run: Run) -> Advance:
        with self.ledger.at_work(self.name):
            advance = self.solver.begin(reverse, run)

        def told(x: Tensor, t: float, s: float) -> Tensor:
            with self.ledger.at_work(self.name):
                return advance(x, t, s)

        return told


@dataclass(frozen=True, eq=False)
class _WatchedCorrector(Corrector):
    solver: Corrector = option(help="the solver")
    ledger: Ledger = option(help="who is told")
    name: str = option("", help="of the part")

    @property
    def claims(self) -> Claims:
        return self.solver.claims

    def correct(self, reverse: ReverseSDE, x: Tensor, t: float, run: Run) -> Tensor:
        with self.ledger.at_work(self.name):
            return self.solver.correct(reverse, x, t, run)


CHECKS = (check_parts,)
"""The checks of this module."""
