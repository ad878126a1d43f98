"""Mean and variance of solvers that are not affine, by orthogonal arrays: limit and order."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import torch
from torch import Tensor

from sdeplug.reverse import ReverseSDE
from sdeplug.sde import LinearSDE
from sdeplug.solvers import Integrator
from sdeplug.testing.bench import Solver, carried, gaussian, gaussian_score, jumps, sdes
from sdeplug.testing.claimed import first_level, levels
from sdeplug.testing.exact.affine import is_affine
from sdeplug.testing.exact.arrays import LEVELS, Arrays, array_moments, counted_draws
from sdeplug.testing.exact.chance import MOST
from sdeplug.testing.exact.laws import Sampler
from sdeplug.testing.exact.refine import Refined, refinements
from sdeplug.testing.exact.tolerances import demand_tolerance
from sdeplug.testing.exact.words import largest
from sdeplug.testing.findings import CheckFailed, Finding, NotApplicable, Unproven

_VARIANCES = (0.25, 0.01, 4.0)
_LIMIT = 3e-3  # of the extrapolated error; right solvers leave 3e-4
_COLUMNS = 128  # of the finest run
_FEWER = 16  # levels, where x alone has a column
_FEW, _MORE = 2, 4
_DRAWN_STEPS = (16, 32, 64)
STAGES = (range(8), range(8, 24))
"""Seeds of arrays in two stages: each may reject one right solver in a thousand."""

QUANTILE = 5.41
"""Two-sided at 1e-3, of Student's t with 7 degrees of freedom."""

# Of draws that decide at thresholds: a first look, at 1e-1, and longer ones, at 1e-5, which come
# where the first finds too much, or where chance hides too much.
_LOOKS = ((range(8), 1.895), (range(8, 48), 5.07), (range(48, 160), 4.64))


@dataclass(frozen=True)
class _Setting:
    """Gaussian data of one variance on the way from T to eps."""

    sde: LinearSDE
    level: float
    variance: float

    def __str__(self) -> str:
        return f"{self.sde!r} at stochasticity {self.level:g}, data of variance {self.variance:g}"

    def sampler(self, by: Integrator) -> Sampler:
        """From T to eps."""
        score = gaussian_score(self.sde, (self.variance,))
        return partial(carried, by, ReverseSDE(self.sde, score, self.level), self.sde.eps)

    def errors(self, by: Integrator, noise: Arrays) -> Tensor:
        """Relative errors of the standard deviation and of the mean at eps: shape ``(2,)``."""
        (mean, variance), (wanted, square) = map(self._moments, (self.sde.T, self.sde.eps))
        mean, variance = array_moments(self.sampler(by), mean, variance, noise)
        off = math.sqrt(variance / square) - 1.0, (mean - wanted) / math.sqrt(square)
        return torch.tensor(off, dtype=torch.float64, device="cpu")

    def _moments(self, t: float) -> tuple[float, float]:
        now, mean = self.sde.at(t), float(gaussian((self.variance,)).mean)
        return now.alpha * mean, now.alpha**2 * self.variance + now.sigma**2


def check_moments(solver: Solver) -> Finding:
    """Not affine, it carries mean and variance of p_T to those of p_eps all the same.

    Each draw has a column of an orthogonal array, so that both are as good as exact; but for
    choices at a threshold, which cost a little chance, at a rate of 1e-6 of false alarms.

    Raises:
        Unproven: if chance leaves it open whether it is off by less than :data:`chance.MOST`.
    """
    integrator = _judged(solver)
    order = integrator.claims.order
    if order is None:
        return _by_its_tolerance(integrator)
    worst, hidden, chooses = 0.0, 0.0, False
    for number, setting in enumerate(_settings(integrator)):
        refined, *_ = refinements(integrator, setting.sde)
        limit = _Limit(setting, refined, order)
        off = float(limit.error().abs().max())
        if chooses and setting.variance != _VARIANCES[0]:
            continue  # one variance is dear enough, where values have to be drawn
        if off > _LIMIT or number == 0:
            (off, chance), chooses = limit.error_by_chance(), off > _LIMIT
            hidden = max(hidden, chance)
        worst = max(worst, off)
    if hidden > MOST:
        raise Unproven(
            f"chance hides errors of up to {hidden:.1%} of what it chooses at thresholds; more "
            f"than {MOST:.0%} is too much"
        )
    told = f", give or take {hidden:.1e}, with choices at thresholds" if chooses else ""
    return Finding(f"off by {worst:.1e} in the limit{told}")


def _by_its_tolerance(integrator: Integrator) -> Finding:
    worst = 0.0
    for setting in _settings(integrator):

        def measured(by: Integrator, setting: _Setting = setting) -> tuple[Tensor, float]:
            return setting.errors(by, Arrays(_FEWER)), 0.0

        words = partial(largest, spectrum=(setting.variance,))
        worst = max(worst, demand_tolerance(integrator, measured, setting, words))
    return Finding(f"off by {worst:.1e}")


def _judged(solver: Solver) -> Integrator:
    if not isinstance(solver, Integrator):
        raise NotApplicable("it is a corrector")
    claims = solver.claims
    if is_affine(solver):
        raise NotApplicable("it is affine: its law is measured whole")
    if claims.couples_batch or claims.floor is not None or jumps(solver):
        raise NotApplicable("its rows hang together, or it declares a bias: pairs measure its law")
    if claims.randomised:
        raise NotApplicable("it draws more than noise in each step: the sampling checks measure it")
    if claims.order is None and (claims.stochastic or claims.evaluations is not None):
        raise NotApplicable("each row draws for steps of its own: the sampling checks measure it")
    return solver


def _settings(integrator: Integrator) -> Iterator[_Setting]:
    first, *_ = sdes(integrator)
    for variance in _VARIANCES:
        for sde in sdes(integrator):
            for level in levels(integrator):
                if level == first_level(integrator) or (sde is first and level > 0.0):
                    yield _Setting(sde, level, variance)


class _Limit:
    """The error in one setting, extrapolated twice from three grids."""

    def __init__(self, setting: _Setting, refined: Refined, order: float) -> None:
        self.setting, self.refined, self.factor = setting, refined, 2.0**order
        few, more = (counted_draws(setting.sampler(refined(steps))) for steps in (_FEW, _MORE))
        each = max((more - few) / (_MORE - _FEW), 1.0)
        finest = 2 ** math.floor(math.log2(_COLUMNS / each))
        self.counts = finest // 4, finest // 2, finest

    def error(self) -> Tensor:
        """By one value for each level; exact for what has no threshold between two of them."""
        return self._extrapolated(lambda: Arrays(LEVELS[-1]), self.counts)

    def error_by_chance(self) -> tuple[float, float]:
        """By values drawn from the levels, in two looks or three: more than its limit is too much,
        unless chance alone goes as far.  With it, how far that may go.

        Raises:
            CheckFailed: if the first look and a longer one find the error too large.
        """
        counts = min(self.counts, _DRAWN_STEPS)
        for seeds, quantile in _LOOKS:
            found = torch.stack(
                [
                    self._extrapolated(partial(Arrays, LEVELS[-1], seed, drawn=True), counts)
                    for seed in seeds
                ]
            )
            error, scatter = found.mean(0).abs(), found.std(0) / math.sqrt(len(found))
            chance = quantile * scatter
            right = bool((error <= chance.clamp(min=_LIMIT)).all())
            if right and float(chance.max()) <= MOST:
                break
            if not right and seeds is not _LOOKS[0][0]:
                raise CheckFailed(
                    f"the limit is wrong on {self.setting}: extrapolated errors of standard "
                    f"deviation and mean {error[0]:.2g} and {error[1]:.2g}, give or take "
                    f"{float(scatter.max()):.0e}; {_LIMIT:g} at most is right"
                )
        return float(error.max()), float(chance.max())

    def _extrapolated(self, noise: Callable[[], Arrays], counts: tuple[int, ...]) -> Tensor:
        errors = [self.setting.errors(self.refined(steps), noise()) for steps in counts]
        for factor in (self.factor, 2.0 * self.factor):
            errors = [
                (factor * fine - coarse) / (factor - 1.0) for coarse, fine in pairwise(errors)
            ]
        return errors[0]


CHECKS = (check_moments,)
"""The checks of this module."""
