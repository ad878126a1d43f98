"""Correctors leave p_t as it is, up to a bias of known size."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from sdeplug.reverse import ReverseSDE
from sdeplug.run import Run
from sdeplug.sde import LinearSDE
from sdeplug.solvers import Corrector
from sdeplug.testing.bench import Solver, gaussian, gaussian_score, sdes
from sdeplug.testing.exact.laws import Law, marginal_law, relative_error, response
from sdeplug.testing.exact.paired import PER_ROW, SEEDS, paired_response
from sdeplug.testing.exact.words import largest
from sdeplug.testing.findings import Finding, NotApplicable, demand

_FRACTIONS = (0.1, 0.5, 1.0)  # of T: where p_t is watched
_DOUBLINGS = 30  # the law of 2^30 sweeps is that of sweeps doubled so many times
_ROUNDING = 1e-9
_SHORTER = 0.5  # factor on the step size, whose square the bias goes with
_RATIO = (3.5, 5.0)  # of the biases: 4 for short steps, 4.4 and more for long ones
_ROWS = 2048


def check_corrector_invariance(solver: Solver) -> Finding:
    """However often it is applied, it moves p_t by no more than its declared floor."""
    corrector = _probed(solver)
    floor = corrector.claims.floor or _ROUNDING
    once, worst, scatter = 0.0, 0.0, 0.0
    for sde, t in _places(corrector):
        start = marginal_law(gaussian(), sde, t)
        drift = drift_of(corrector, sde, t, start)
        demand(
            drift.last <= floor + 4.0 * drift.spread,
            f"many sweeps moved p_t by {drift.last:.2g} at t = {t:g} of {sde!r}, over its floor "
            f"{floor:.2g}: {largest(drift.many)}",
        )
        once, worst = max(once, float(drift.once.abs().max())), max(worst, drift.last)
        scatter = max(scatter, drift.spread)
    told = f", give or take {scatter:.0e} from seed to seed" if scatter else ""
    return Finding(f"{once:.1e} after one sweep, {worst:.1e} after many{told}; floor {floor:.1e}")


def check_corrector_bias(solver: Solver) -> Finding:
    """Its bias falls with the square of ``snr``: half the step size leaves a quarter."""
    corrector = _probed(solver)
    if corrector.claims.floor is None:
        raise NotApplicable("it claims to have no bias")
    if not is_dataclass(corrector) or "snr" not in {each.name for each in fields(corrector)}:
        raise NotApplicable("it has no option snr, the size of its step")
    long: Any = corrector
    short = replace(long, snr=_SHORTER * long.snr)
    biases = []
    for sde, t in _places(corrector):
        start = marginal_law(gaussian(), sde, t)
        pair = [drift_of(each, sde, t, start).last for each in (long, short)]
        # Biases this small are rounding, or the scatter of the paired probe.
        if pair[0] > (1e-6 if corrector.claims.affine else 5e-3):
            biases.append((*pair, t, sde))
    demand(bool(biases), f"it moves p_t by nothing at snr={long.snr:g}: claim floor=None")
    low, high = _RATIO
    for before, after, t, sde in biases:
        demand(
            low * after <= before <= high * after or before > 0.3,
            f"half the step size changed the bias from {before:.2g} to {after:.2g} at t = {t:g} "
            f"of {sde!r}, not to a quarter",
        )
    before, after, *_ = max(biases, key=lambda each: each[0])
    return Finding(f"bias {before:.1e} at snr={long.snr:g}, {after:.1e} at {short.snr:g}")


def gaussian_bias(corrector: Corrector) -> float:
    """How far many sweeps move the law of a Gaussian: the largest relative error of all places.

    Raises:
        NotApplicable: if its steps differ from row to row.
    """
    _probed(corrector)
    return max(
        drift_of(corrector, sde, t, marginal_law(gaussian(), sde, t)).last
        for sde, t in _places(corrector)
    )


def _probed(solver: Solver) -> Corrector:
    if not isinstance(solver, Corrector):
        raise NotApplicable("it is an integrator")
    if not solver.claims.affine and not solver.claims.couples_batch:
        raise NotApplicable(f"{PER_ROW} its drift")
    return solver


def _places(corrector: Corrector) -> Iterator[tuple[LinearSDE, float]]:
    for sde in sdes(corrector):
        for fraction in _FRACTIONS:
            yield sde, fraction * sde.T


@dataclass(frozen=True)
class Drift:
    """Errors of the law after one sweep and after many, and the standard error of the latter."""

    once: Tensor
    many: Tensor
    spread: float

    @property
    def last(self) -> float:
        """The largest error after many sweeps."""
        return float(self.many.abs().max())


def drift_of(corrector: Corrector, sde: LinearSDE, t: float, start: Law) -> Drift:
    """Where sweeps take the law of the bench at a time.

    Args:
        corrector: one that is affine, or affine given the step sizes of a batch.
        sde: the forward SDE.
        t: the time.
        start: p_t there.
    """
    sampler = partial(_corrected, corrector, ReverseSDE(sde, gaussian_score(sde)), t)
    dimension = len(start.mean)
    if corrector.claims.affine:
        maps = [response(sampler, dimension, apart=True)]
    else:
        maps = [paired_response(sampler, start, seed, _ROWS, apart=True) for seed in SEEDS]
    errors = []
    for each in maps:
        once = each.law(start)
        gain, offset, added = each.inputs[0], each.offset, each.noise.square().sum(0)
        for _ in range(_DOUBLINGS):
            # Twice the sweeps: the map after itself.
            offset, added = offset + gain * offset, added + gain.square() * added
            gain = gain.square()
        variance = gain.square() * start.covariance.diagonal() + added
        many = Law(gain * start.mean + offset, torch.diag(variance))
        errors.append(torch.stack([relative_error(law, start) for law in (once, many)]))
    found = torch.stack(errors)
    spread = float(found[:, 1].std(0).max()) / math.sqrt(len(maps)) if len(maps) > 1 else 0.0
    means = found.mean(0)
    return Drift(means[0], means[1], spread)


def _corrected(corrector: Corrector, reverse: ReverseSDE, t: float, x: Tensor, run: Run) -> Tensor:
    return corrector.correct(reverse, x, t, run)


CHECKS = (check_corrector_invariance, check_corrector_bias)
"""The checks of this module."""
