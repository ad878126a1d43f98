"""Marginal consistency by exact laws: limit, order and constant of a solver, without noise."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import cycle

import torch
from torch import Tensor

from sdeplug.compose import Denoise
from sdeplug.reverse import ReverseSDE
from sdeplug.sde import LinearSDE
from sdeplug.solvers import Integrator
from sdeplug.testing.bench import (
    SPECTRUM,
    Solver,
    all_sdes,
    carried,
    gaussian,
    gaussian_score,
    rotated,
    rotation,
    sdes,
)
from sdeplug.testing.claimed import Level, first_level, levels, own_grid
from sdeplug.testing.exact.affine import is_affine, rounding
from sdeplug.testing.exact.convergence import (
    STEPS,
    WrongLimit,
    allowed,
    demand_order_and_limit,
    extrapolated,
    observed,
    on_finer_grids,
    rms,
)
from sdeplug.testing.exact.factors import factors
from sdeplug.testing.exact.laws import (
    Law,
    Sampler,
    counted_columns,
    exact_law,
    exact_spectrum,
    extrapolated_columns,
    marginal_law,
    relative_error,
)
from sdeplug.testing.exact.refine import Refined, coarse, refinements
from sdeplug.testing.exact.words import difference, largest
from sdeplug.testing.findings import CheckFailed, Curve, Finding, NotApplicable, Spectrum, demand
from sdeplug.testing.memory import remembered

_STAYING = 0.5  # of an error that vanishes: what the extrapolation from two grids may leave
_CONSTANT = 0.5  # rms error per nat of log(alpha / sigma) in a step; measured in right solvers: 0.4
_NEAR_SINGULAR = 1e-4  # a variance that is told of, not judged: no grid here resolves it
_JUDGED_AND_TOLD = (_NEAR_SINGULAR, *SPECTRUM)


@dataclass(frozen=True)
class Setting:
    """What a solver is refined on.

    Attributes:
        label: a name for the curve.
        sde: the forward SDE.
        level: the stochasticity.
        end: time to reach.
        refined: number of steps to the solver on so many steps.
        like: another in which the solver draws as often, if one was asked before: not more than
            a guess, which is made once for both.
    """

    label: str
    sde: LinearSDE
    level: Level
    end: float
    refined: Refined
    like: Setting | None = None

    def error(self, steps: int) -> Tensor:
        """Relative errors of the exact law at the end when that at T is right.

        Returns:
            As :func:`relative_error`, the first entry of each half for the variance that is
            near singular.
        """
        law = _law(self.refined(steps), self.sde, self.level, self.end, self._columns(steps))
        return relative_error(law, marginal_law(gaussian(_JUDGED_AND_TOLD), self.sde, self.end))

    def _columns(self, steps: int) -> int:
        """How many draws it will make, if each step makes as many: a guess."""
        if self.like is not None:
            return self.like._columns(steps)
        return extrapolated_columns(
            lambda each: _counted(self.refined(each), self.sde, self.level, self.end), steps
        )


@remembered(64)
def _law(by: Integrator, sde: LinearSDE, level: Level, end: float, columns: int) -> Law:
    """The exact law at the end when that at T is right."""
    start = marginal_law(gaussian(_JUDGED_AND_TOLD), sde, sde.T)
    return exact_spectrum(_sampler(by, sde, level, end), start, columns)


@remembered(64)
def _counted(by: Integrator, sde: LinearSDE, level: Level, end: float) -> int:
    """How many draws it makes."""
    return counted_columns(_sampler(by, sde, level, end), len(_JUDGED_AND_TOLD))


def _sampler(by: Integrator, sde: LinearSDE, level: Level, end: float) -> Sampler:
    reverse = ReverseSDE(sde, gaussian_score(sde, _JUDGED_AND_TOLD), level)
    return partial(carried, by, reverse, end)


def check_marginals(solver: Solver) -> Finding:
    """It carries p_T to p_eps: the right limit, at the claimed order, on two kinds of grid."""
    integrator, order = consistent(solver)
    curves, singular = [], 0.0
    for setting in _settings(integrator):
        curve, error = converging(integrator, setting, order)
        curves.append(curve)
        singular = max(singular, float(error[0].abs()))
    slowest = min(map(observed, curves))
    steps = curves[0].steps[-1]
    return Finding(
        f"order {slowest:.2f} observed, {order:g} claimed; variance {_NEAR_SINGULAR:g} is off by "
        f"at most {singular:.2g} in {steps} steps",
        tuple(curves),
    )


def check_constant(solver: Solver) -> Finding:
    """A first-order solver of the reverse SDE is about as accurate as those that are known.

    A score that is asked for one step late is still consistent, but not as accurate.
    """
    integrator, order = consistent(solver)
    if order != 1 or not integrator.claims.stochastic or first_level(integrator) != 1.0:
        raise NotApplicable("only for solvers of order 1 at stochasticity 1 is a constant known")
    if own_grid(integrator):
        raise NotApplicable("it brings its own grid, and the constant is that of the grid")
    worst, steps = 0.0, STEPS[-1]
    for sde in all_sdes(integrator):
        (uniform, *_) = refinements(integrator, sde)
        setting = Setting(repr(sde), sde, 1.0, sde.eps, uniform)
        *_, error = errors = [_judged(setting.error(each)) for each in STEPS]
        left = float(extrapolated(errors, order).abs().max())
        if not left <= max(_STAYING * rms(error), allowed(order)):
            raise NotApplicable("most of its error does not vanish: it has no constant")
        length = 0.5 * (sde.at(sde.eps).log_snr - sde.at(sde.T).log_snr) / steps
        constant = rms(error) / length
        demand(
            constant <= _CONSTANT,
            f"it converges, but with an error of {constant:.2g} per nat of log(alpha / sigma) in "
            f"a step on {sde!r}; solvers of order 1 have at most {_CONSTANT}. At {steps} steps "
            f"{largest(error)}. Is the score of an earlier or later step?",
        )
        worst = max(worst, constant)
    return Finding(f"an error of at most {worst:.2g} per nat of log(alpha / sigma) in a step")


def check_rotation(solver: Solver) -> Finding:
    """Rotating the data rotates the samples: coordinates are not mixed up."""
    if not isinstance(solver, Integrator):
        raise NotApplicable("it is a corrector")
    if isinstance(solver, Denoise):
        raise NotApplicable("it jumps to the data")
    if not is_affine(solver):
        raise NotApplicable("it is not affine: its law is not to be had exactly")
    axes, allowed = rotation(), 100.0 * rounding(solver)
    worst = 0.0
    for sde in sdes(solver):
        by = coarse(solver, sde)
        straight, turned = (
            exact_law(
                partial(carried, by, ReverseSDE(sde, target.score(sde), first_level(by)), sde.eps),
                marginal_law(target, sde, sde.T),
            )
            for target in (gaussian(), rotated())
        )
        back = Law(axes.T @ turned.mean, axes.T @ turned.covariance @ axes)
        scale = float(straight.covariance.abs().max().clamp(min=1.0))
        gaps = (back.mean - straight.mean, (back.covariance - straight.covariance) / scale)
        off = max(float(gap.abs().max()) for gap in gaps)
        demand(off <= allowed, f"the law of rotated data is another: {difference(back, straight)}")
        worst = max(worst, off)
    return Finding(f"off by {worst:.0e}")


def consistent(solver: Solver) -> tuple[Integrator, float]:
    """The solver as an integrator with a claimed order, if the check applies to it."""
    if not isinstance(solver, Integrator):
        raise NotApplicable("it is a corrector")
    claims = solver.claims
    if claims.floor is not None:
        raise NotApplicable(f"it declares a bias that does not vanish (floor={claims.floor:g})")
    if claims.order is None:
        raise NotApplicable("it claims no order")
    if not is_affine(solver):
        raise NotApplicable("it is not affine: its law is not to be had exactly")
    return solver, claims.order


def _settings(integrator: Integrator) -> Iterator[Setting]:
    """All SDEs at one stochasticity, two of them on another grid as well; each other one on one.

    At further ones, and where it varies, leaks tell more for less.  An own grid is judged on those
    two alone: it may not suit the others' scale of time.
    """
    main = sdes(integrator)
    first, *further = levels(integrator)
    like = None
    for sde in main if own_grid(integrator) else all_sdes(integrator):
        uniform, *others = refinements(integrator, sde)
        for refined in (uniform, *(others if sde in main else ())):
            yield (setting := _whole(sde, first, refined, like))
            like = like or setting
    for sde, each in zip(cycle(main), further):
        uniform, *_ = refinements(integrator, sde)
        yield _whole(sde, each, uniform)


def _whole(sde: LinearSDE, level: float, refined: Refined, like: Setting | None = None) -> Setting:
    """From T to eps at a stochasticity."""
    return Setting(f"{sde!r} at stochasticity {level:g}", sde, level, sde.eps, refined, like)


def converging(integrator: Integrator, setting: Setting, order: float) -> tuple[Curve, Tensor]:
    """Errors on ever finer grids and the last of them, when order and limit are right.

    Args:
        integrator: the solver.
        setting: what it is refined on.
        order: the claimed one.

    Raises:
        CheckFailed: if order or limit are wrong.
    """
    least = rounding(integrator)
    counts, errors = on_finer_grids(lambda steps: _judged(setting.error(steps)), order, least)
    curve = Curve(setting.label, tuple(counts), tuple(map(rms, errors)))
    last = setting.error(counts[-1])
    try:
        demand_order_and_limit(errors, order, curve, least)
    except WrongLimit as failure:
        spectrum = _spectrum(last, f"{curve.label}, {counts[-1]} steps")
        found = factors(integrator, setting.sde, setting.level)
        words = str(failure) if found is None else f"{failure}; {found}"
        raise CheckFailed(words, failure.curves, (spectrum,)) from None
    return curve, last


def _spectrum(error: Tensor, label: str) -> Spectrum:
    """The law behind an error, for a picture: in units of the right standard deviations."""
    seen = (1.0 + error.chunk(2)[0]).tolist()
    return Spectrum(label, (1.0,) * len(seen), tuple(seen))


def _judged(error: Tensor) -> Tensor:
    """The errors without those of the variance that is near singular."""
    return torch.cat([half[1:] for half in error.chunk(2)])


CHECKS: tuple[Callable[[Solver], Finding], ...] = (
    check_marginals,
    check_constant,
    check_rotation,
)
"""The checks of this module."""
