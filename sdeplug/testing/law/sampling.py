"""Tier 3, law by sampling: samples of every kind of target, against exact ones, with a declared
rate of false alarms.

Each cell applies the battery of :func:`sdeplug.testing.law_pvalues` in two independent stages of
rate 1e-3, which makes 1e-6.  Since a right solver has a discretisation error, an error up to a
bound tau is let pass, taken from the exact laws of tier 1: what is wrong in the limit is found
there, what is not affine, loses modes or ties rows together is found here.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from sdeplug.compose import Corrected, OnGrid
from sdeplug.grid import LogSNR
from sdeplug.metrics import energy_distance, sliced_w2
from sdeplug.noise import SharedNoise
from sdeplug.reverse import ReverseSDE
from sdeplug.run import Run
from sdeplug.sde import LinearSDE
from sdeplug.solvers import Corrector, Integrator, own_steps, with_own_steps
from sdeplug.testing.bench import Solver, jumps, sdes, single_thread
from sdeplug.testing.claimed import first_level, levels, own_grid, tightened, tolerant
from sdeplug.testing.exact import (
    Law,
    counted_columns,
    exact_spectrum,
    extrapolated_columns,
    gaussian_bias,
    is_affine,
    refinements,
)
from sdeplug.testing.findings import CheckFailed, Finding, NotApplicable
from sdeplug.testing.law.cells import Cell, CellVerdict, Specimen, specimens, wide

_LEAST = 0.002  # tau of a solver without error
_ADAPTIVE = 0.01  # of one that is accurate to a tolerance that is not known here
_ON_GAUSSIAN = 0.004  # the same on a Gaussian, where tolerances are made tighter if they have to be
_UNKNOWN, _OF_HIGHER_ORDERS = {1: 0.1}, 0.03  # of fixed steps without an exact law, by order
_WANTED = 0.06  # steps are refined until tau is no larger
_LARGEST = 0.15  # of all tau: with a larger one a test would say nothing
_FACTOR = 3.0  # tau in units of the error for Gaussian data
_STEPS, _FINER = (64, 128, 256), 4  # times as many, where the first ones are found too long
_RING, _CURVED = 65_536, 0.1  # rows, and when, on a ring that is curved as no Gaussian is
_SWEEPS, _SWEEP_TIMES = 30, (0.1, 0.5)
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
    for specimen, sde, level in _settings(solver):
        cell = _run(solver, specimen, sde, level)
        if cell.tau <= _LARGEST:
            yield cell
    if tolerant(solver) and claims.stochastic and not claims.couples_batch and not claims.floor:
        yield _spread(solver)


def _settings(solver: Integrator) -> Iterator[tuple[Specimen, LinearSDE, float]]:
    """All targets under one SDE, and the first one under the others and without noise.

    What an affine solver of known order does to a Gaussian is proven before: it is drawn from to
    see whether modes are kept, from fewer targets.
    """
    (first, *others), (at, *further) = sdes(solver), levels(solver)
    known = solver.claims.order is not None and solver.claims.floor is None and is_affine(solver)
    for specimen in specimens():
        if not known:
            yield specimen, first, at
        elif specimen.rows_if_known:
            yield replace(specimen, rows=specimen.rows_if_known), first, at
    for sde in others:
        yield specimens()[0], sde, at
    if 0.0 in further:
        yield specimens()[0], first, 0.0


def _sweeps(corrector: Corrector) -> Iterator[Cell]:
    """Exact samples of p_t, moved about at t."""
    tau = _LEAST + _evident(corrector)
    ring, *others = specimens()
    many = replace(ring, rows=_RING)
    for specimen in (ring, *others):
        for sde in sdes(corrector) if specimen is ring else sdes(corrector)[:1]:
            for t in _SWEEP_TIMES:
                told = (
                    many if (specimen, sde, t) == (ring, sdes(corrector)[0], _CURVED) else specimen
                )
                reverse = ReverseSDE(sde, specimen.target.score(sde), first_level(corrector))
                carry = partial(_swept, corrector, reverse, t)
                yield Cell(told, sde, carry, t, t, tau, f"{_SWEEPS} sweeps at t = {t:g}")


def _evident(corrector: Corrector) -> float:
    """The bias that a corrector declares, as far as there is evidence of it on a Gaussian."""
    floor = corrector.claims.floor
    if floor is None:
        return 0.0
    try:
        return min(floor, _FACTOR * gaussian_bias(corrector))
    except NotApplicable:
        return floor


def _run(solver: Integrator, specimen: Specimen, sde: LinearSDE, level: float) -> Cell:
    """A run from T to eps, on a grid as fine as it takes where the solver has none."""
    reverse = ReverseSDE(sde, specimen.target.score(sde), level)

    def cell(by: Integrator, tau: float, label: str) -> Cell:
        label = f"stochasticity {level:g}{label}"
        return Cell(specimen, sde, partial(_carried, by, reverse), sde.T, sde.eps, tau, label)

    claims = solver.claims
    if claims.order is None or (isinstance(solver, OnGrid) and claims.steps is None):
        tau, again = equivalence_bound(solver, specimen, sde, level), None
        for tuned in reversed(tightened(solver)):
            again = replace(cell(tuned, tau, f", {tuned!r}"), finer=again)
        return replace(cell(solver, tau, ""), finer=again)
    for steps in _STEPS:
        by = _refined(solver, steps)
        tau = equivalence_bound(by, specimen, sde, level)
        if tau <= _WANTED:
            break
    tau = tau if tau <= _LARGEST else _LARGEST  # also where it is no number
    finer = _refined(solver, _FINER * steps)
    return replace(
        cell(by, tau, f", {steps} steps"),
        finer=cell(finer, tau, f", {_FINER * steps} steps"),
    )


def _spread(solver: Integrator) -> Cell:
    """Very many numbers: for noise in steps of each row's own nothing else tells their spread."""
    cell = _run(solver, wide(), sdes(solver)[0], first_level(solver))
    if cell.finer is None:
        return cell
    finer = replace(cell.finer, tau=_ON_GAUSSIAN, finer=None)  # more of them take too long
    return replace(cell, tau=_ON_GAUSSIAN, finer=finer)


def _refined(solver: Integrator, steps: int) -> Integrator:
    """The solver on so many steps: those of its own, where it brings them."""
    own = solver.claims.steps is not None
    return with_own_steps(solver, steps) if own else OnGrid(solver, LogSNR(steps))


def equivalence_bound(
    solver: Integrator, specimen: Specimen, sde: LinearSDE, level: float = 1.0
) -> float:
    """The relative error tau that is let pass, from what the solver does to Gaussian data.

    Three times the largest error of an exact standard deviation (tier 1), over variances from
    the narrowest direction of a component to the widest of the whole, at least 0.2 %; and the
    floor that the solver claims.  A corrector adds its floor to what its predictor has.

    Args:
        solver: an integrator that is run from T to eps as it is.
        specimen: the target.
        sde: the forward SDE.
        level: stochasticity of the reverse SDE.
    """
    floor, alone = solver.claims.floor or 0.0, _predictor(solver)
    order = alone.claims.order
    if (order is not None or own_grid(alone)) and is_affine(alone):
        return floor + max(_LEAST, _FACTOR * _error(alone, specimen, sde, level))
    if order is None:
        return floor + _ADAPTIVE
    return floor + _UNKNOWN.get(math.ceil(order), _OF_HIGHER_ORDERS)


def _predictor(solver: Integrator) -> Integrator:
    """A predictor-corrector without its corrector, on the same grid."""
    if isinstance(solver, OnGrid):
        return replace(solver, integrator=_predictor(solver.integrator))
    return _predictor(solver.integrator) if isinstance(solver, Corrected) else solver


def _error(solver: Integrator, specimen: Specimen, sde: LinearSDE, level: float) -> float:
    """Largest relative error of a standard deviation for Gaussian data, at eps."""
    variances = _variances(specimen, sde)

    def spectrum(t: float) -> Tensor:
        marginal = sde.at(t)
        return marginal.alpha**2 * variances + marginal.sigma**2

    def score(x: Tensor, t: Tensor) -> Tensor:
        return x / -spectrum(float(t[0]))

    reverse = ReverseSDE(sde, score, level)
    start = Law(torch.zeros_like(variances), torch.diag(spectrum(sde.T)))
    columns = _columns(solver, reverse, len(variances))
    actual = exact_spectrum(partial(_carried, solver, reverse), start, columns).covariance
    return float(((actual.diagonal() / spectrum(sde.eps)).sqrt() - 1.0).abs().max())


def _columns(solver: Integrator, reverse: ReverseSDE, dimension: int) -> int | None:
    """How many draws it makes, if each step makes as many; None where that is not to be seen."""
    length = solver.grid.length if isinstance(solver, OnGrid) else own_steps(solver)
    if length is None or (isinstance(solver, OnGrid) and solver.claims.steps is not None):
        return None
    try:
        refined, *_ = refinements(solver, reverse.linear)
    except NotApplicable:
        return None
    return extrapolated_columns(
        lambda steps: counted_columns(partial(_carried, refined(steps), reverse), dimension),
        length,
    )


def _variances(specimen: Specimen, sde: LinearSDE) -> Tensor:
    """The narrowest variance, and eight in geometric steps from there to the widest."""
    end = sde.at(sde.eps)
    start = max(specimen.narrowest, (end.sigma / end.alpha) ** 2)
    ends = math.log10(start), math.log10(specimen.widest)
    steps = torch.logspace(*ends, 8, dtype=torch.float64, device="cpu")
    return torch.cat((steps.new_tensor([specimen.narrowest]), steps))


def _carried(by: Integrator, reverse: ReverseSDE, x: Tensor, run: Run) -> Tensor:
    """x carried from T to eps."""
    return by.integrate(reverse, x, reverse.forward.T, reverse.forward.eps, run)


def _swept(corrector: Corrector, reverse: ReverseSDE, t: float, x: Tensor, run: Run) -> Tensor:
    """x moved about at t."""
    for _ in range(_SWEEPS):
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
