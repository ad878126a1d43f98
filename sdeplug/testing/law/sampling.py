"""Tier 3, law by sampling: samples of every kind of target, against exact ones, with a declared
rate of false alarms.

Each cell applies the battery of :func:`sdeplug.testing.law_pvalues` in two independent stages of
rate 1e-3, which makes 1e-6.  Since a right solver has a discretisation error, an error up to a
bound tau is let pass, taken from the exact laws of tier 1: what is wrong in the limit is found
there, what is not affine, loses modes or ties rows together is found here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

from torch import Tensor

from sdeplug.compose import OnGrid
from sdeplug.metrics import energy_distance, sliced_w2
from sdeplug.noise import SharedNoise
from sdeplug.reverse import ReverseSDE
from sdeplug.run import Run
from sdeplug.sde import LinearSDE
from sdeplug.solvers import Corrector, Integrator
from sdeplug.testing.bench import Solver, jumps, parts, sdes, single_thread
from sdeplug.testing.claimed import (
    first_level,
    levels,
    own_grid,
    tightened,
    tolerant,
)
from sdeplug.testing.exact import check_short_rows, gaussian_bias, is_affine
from sdeplug.testing.findings import CheckFailed, Finding, NotApplicable, Unproven
from sdeplug.testing.law.bounds import FACTOR, LEAST, equivalence_bound
from sdeplug.testing.law.carried import carried, refined
from sdeplug.testing.law.cells import Cell, CellVerdict, Specimen, specimens, wide
from sdeplug.testing.law.flow import follows_the_flow
from sdeplug.testing.memory import remembered
from sdeplug.testing.weak import (
    check_mixture_invariance,
    check_mixture_leaks,
    check_steps_after_correctors,
)

_ON_GAUSSIAN = 0.003  # the same on a Gaussian, where tolerances are made tighter if they have to be
_WANTED = 0.06  # steps are refined until tau is no larger
_LARGEST = 0.15  # of all tau: with a larger one a test would say nothing
_STEPS, _FINER = (64, 128, 256), 4  # times as many, where the first ones are found too long
_RING = 65_536  # rows on a ring that is curved as no Gaussian is
_SWEEPS, _FEW, _SWEEP_TIMES = 30, 10, (0.1, 0.5)  # few where what many do is known
_SHOWN = 1024  # rows behind an energy distance, which is told of and not judged


def check_law_by_sampling(solver: Solver, seed: int = 0) -> Finding:
    """Its samples are those of p_eps, or of p_t for a corrector, on mixtures, discs and points."""
    with single_thread():
        worst, bounds, told = 1.0, list[float](), ""
        for cell in sampling_cells(solver):
            first = cell.samples(3 * seed) if not bounds else None
            verdict = cell.verdict(seed, first)
            if not verdict.passed:
                raise CheckFailed(rejected(cell, verdict, seed))
            if first is not None:
                told = _distances(cell, first, seed)
            worst = min(worst, verdict.pvalue)
            bounds.append(cell.tau)
        if not bounds:
            raise NotApplicable(f"its floor, or the error of its grid, is above {_LARGEST:.0%}")
        return Finding(
            f"{len(bounds)} targets, smallest p = {worst:.2g}, errors up to {min(bounds):.1%} ... "
            f"{max(bounds):.1%} let pass; {told}"
        )


def rejected(cell: Cell, verdict: CellVerdict, seed: int) -> str:
    """Why a cell fails: what is off, how surely, and what would have been let pass."""
    last = cell.at_stage(verdict.stages)
    off = last.farthest(seed, verdict.samples)
    return (
        f"{last.specimen.name} on {last.sde!r}, {last.label}: {off}. The "
        f"statistic '{verdict.statistic}' has p = {verdict.pvalue:.1e} in stage "
        f"{verdict.stages}, with errors up to {last.tau:.2%} let pass"
    )


def sampling_cells(solver: Solver) -> Iterator[Cell]:
    """The cells that a solver is tested in; each can be asked again with any seed.

    Raises:
        NotApplicable: if the law of its output is not p_s, or it has no law of its own.
    """
    claims = solver.claims
    if claims.floor == math.inf:
        raise NotApplicable("it claims no consistency")
    if isinstance(solver, Corrector):
        yield from (cell for cell in _sweeps(solver) if cell.tau <= _LARGEST)
        return
    if jumps(solver):
        raise NotApplicable("it ends in the law of the posterior mean, not in p_0")
    if claims.order is None and claims.evaluations is not None and not own_grid(solver):
        raise NotApplicable("it claims no order and is not adaptive: put it on its grid")
    settings = list(_settings(solver))
    wanted = _LARGEST if is_affine(solver) and _judged(solver) else _WANTED
    if not settings:
        raise NotApplicable("its rows end where the flow takes them: check_flow measures its law")
    for specimen, sde, level in settings:
        cell = _run(solver, specimen, sde, level, wanted)
        if cell.tau <= _LARGEST:
            yield cell
    by_row = tolerant(solver) and claims.stochastic and not claims.couples_batch
    if by_row and not claims.floor and not _keeps(check_short_rows, solver):
        yield _spread(solver)


def _settings(solver: Integrator) -> Iterator[tuple[Specimen, LinearSDE, float]]:
    """All targets under one SDE, and the first one under the others and without noise, but for
    those on which its paths tell more.

    What leaves mixtures by nothing has been judged too, in two dimensions: samples of some targets
    show whether it keeps modes in many, and over whole runs.
    """
    (first, *others), (at, *further) = sdes(solver), levels(solver)
    if _judged(solver):
        asked = [
            (replace(each, rows=each.rows_if_known), first, at)
            for each in specimens()
            if each.rows_if_known
        ]
    else:
        ring, flow = specimens()[0], [0.0] if 0.0 in further else []
        asked = [(each, first, at) for each in specimens()]
        asked += [(ring, sde, at) for sde in others] + [(ring, first, level) for level in flow]
    for setting in asked:
        if not follows_the_flow(solver, *setting):
            yield setting


def _judged(solver: Solver) -> bool:
    """Whether its law on mixtures is known without samples, and right: that of a predictor with
    correctors between its steps, if all parts are, and the steps after these."""
    if isinstance(solver, Corrector):
        return _keeps(check_mixture_invariance, solver)
    if not _keeps(check_mixture_leaks, solver):
        return False
    correctors = [part for part in parts(solver) if isinstance(part, Corrector)]
    return not correctors or (
        _keeps(check_steps_after_correctors, solver)
        and all(_keeps(check_mixture_invariance, each) for each in correctors)
    )


@remembered(64)
def _keeps(check: Callable[[Solver], Finding], solver: Solver) -> bool:
    """Whether a solver passes a check."""
    try:
        check(solver)
    except (NotApplicable, Unproven, CheckFailed):
        return False
    return True


def _sweeps(corrector: Corrector) -> Iterator[Cell]:
    """Exact samples of p_t, moved about at t."""
    tau, sweeps = LEAST + _evident(corrector), _FEW if _judged(corrector) else _SWEEPS
    for specimen, sde, t in _rests(corrector):
        reverse = ReverseSDE(sde, specimen.target.score(sde), first_level(corrector))
        carry = partial(_swept, corrector, sweeps, reverse, t)
        yield Cell(specimen, sde, carry, t, t, tau, f"{sweeps} sweeps at t = {t:g}")


def _rests(corrector: Corrector) -> Iterator[tuple[Specimen, LinearSDE, float]]:
    """Where a corrector leaves a law as it is: all targets, SDEs, and many rows on a ring, curved
    as no Gaussian is; two of these where it is known to leave mixtures as they are."""
    first, *others = sdes(corrector)
    ring, *targets = specimens()
    curved, late = _SWEEP_TIMES
    if _judged(corrector):
        yield ring, first, curved
        yield targets[0], first, late
        return
    yield replace(ring, rows=_RING), first, curved
    yield ring, first, late
    for sde in others:
        for t in _SWEEP_TIMES:
            yield ring, sde, t
    for specimen in targets:
        for t in _SWEEP_TIMES:
            yield specimen, first, t


def _evident(corrector: Corrector) -> float:
    """The bias that a corrector declares, as far as there is evidence of it on a Gaussian."""
    floor = corrector.claims.floor
    if floor is None:
        return 0.0
    try:
        return min(floor, FACTOR * gaussian_bias(corrector))
    except NotApplicable:
        return floor


def _run(
    solver: Integrator, specimen: Specimen, sde: LinearSDE, level: float, wanted: float = _WANTED
) -> Cell:
    """A run from T to eps, on a grid as fine as it takes where the solver has none."""
    reverse = ReverseSDE(sde, specimen.target.score(sde), level)

    def cell(by: Integrator, tau: float, label: str) -> Cell:
        label = f"stochasticity {level:g}{label}"
        return Cell(specimen, sde, partial(carried, by, reverse), sde.T, sde.eps, tau, label)

    claims = solver.claims
    if claims.order is None or (isinstance(solver, OnGrid) and claims.steps is None):
        tau, again = equivalence_bound(solver, specimen, sde, level), None
        for tuned in reversed(tightened(solver)):
            again = replace(cell(tuned, tau, f", {tuned!r}"), finer=again)
        return replace(cell(solver, tau, ""), finer=again)
    for steps in _STEPS:
        by = refined(solver, steps)
        tau = equivalence_bound(by, specimen, sde, level)
        if tau <= wanted:
            break
    tau = tau if tau <= _LARGEST else _LARGEST  # also where it is no number
    finer = refined(solver, _FINER * steps)
    return replace(
        cell(by, tau, f", {steps} steps"),
        finer=cell(finer, tau, f", {_FINER * steps} steps"),
    )


def _spread(solver: Integrator) -> Cell:
    """Very many numbers: the spread of whole runs in steps of each row's own, of noise whose path
    is not known."""
    cell = _run(solver, wide(), sdes(solver)[0], first_level(solver))
    if cell.finer is None:
        return cell
    finer = replace(cell.finer, tau=_ON_GAUSSIAN, finer=None)  # more of them take too long
    return replace(cell, tau=_ON_GAUSSIAN, finer=finer)


def _swept(
    corrector: Corrector, sweeps: int, reverse: ReverseSDE, t: float, x: Tensor, run: Run
) -> Tensor:
    """x moved about at t."""
    for _ in range(sweeps):
        x = corrector.correct(reverse, x, t, run)
    return x


def _distances(cell: Cell, x: Tensor, seed: int) -> str:
    """How far the samples of a cell are from exact ones, beside how far those are from others."""
    target = cell.specimen.target
    exact, other = (
        target.sample(len(x), noise=SharedNoise(k), t=cell.s, sde=cell.sde, dtype=x.dtype)
        for k in (2 * seed + 1, 2 * seed + 2)
    )
    w2, floor = (sliced_w2(each, exact, SharedNoise(seed)) for each in (x, other))
    energy, least = (energy_distance(each, exact, _SHOWN) for each in (x, other))
    return (
        f"on {cell.specimen.name} sliced W2 {w2:.2g} (floor {floor:.2g}), energy distance "
        f"{energy:.1g} (floor {least:.1g})"
    )


CHECKS = (check_law_by_sampling,)
"""The checks of this module."""
