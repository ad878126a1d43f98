"""Errors of samplers, ours and those of other libraries alike, with an exact score and a wrong one.

Every run counts its score evaluations, and none may spend more than its budget.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial

import torch
from torch import Tensor

from sdeplug import (
    Counted,
    Integrator,
    LinearSDE,
    LogSNR,
    NoiseSource,
    OnGrid,
    ReverseSDE,
    Run,
    ScoreModel,
    SharedNoise,
)
from sdeplug.targets import GaussianMixture
from sdeplug.testing import exact_spectrum, marginal_law, relative_error, sliced_w2, specimens
from sdeplug.testing.bench import carried, gaussian, gaussian_score
from sdeplug_exponential import Adams

Level = float | Callable[[float], float]
"""A stochasticity, constant or a function of time."""

SPECTRUM = (1e-4, 0.01, 0.25, 1.0, 4.0)
RING, UNEVEN = "eight gaussians", "eight uneven Gaussians"
MIXTURES = {each.name: each.target for each in specimens()[:2]}
EXACT = tuple(MIXTURES)
MIXTURES[UNEVEN] = GaussianMixture((1, 5, 3, 7, 2, 8, 4, 6), MIXTURES[RING].means, std=0.1)
"""Those of ``EXACT``, and the modes of the first with weights that differ, for wrong scores: there
it is no help to forget which mode is how likely."""


@dataclass(frozen=True)
class Error:
    """An error by its squares: one for each random field or part of the rows, or a single one.

    A square that comes from samples is an estimate without bias, and negative half of the time
    where there is nothing to see.
    """

    squares: tuple[float, ...]

    @property
    def value(self) -> float:
        return math.sqrt(max(sum(self.squares) / len(self.squares), 0.0))

    def above(self, other: Error) -> bool:
        """Larger; where there are several, by more than twice the standard error of the mean."""
        gaps = torch.tensor(self.squares, dtype=torch.float64) - torch.tensor(other.squares)
        doubt = 2.0 * float(gaps.std()) / math.sqrt(len(gaps)) if len(gaps) > 1 else 0.0
        return float(gaps.mean()) > doubt


@dataclass(frozen=True)
class Problem:
    """What is sampled: the Gaussian spectrum or a mixture, under an SDE, with a score that is off.

    Attributes:
        name: ``Gaussian``, or one of ``MIXTURES``.
        sde: the forward SDE.
        size: of the score's error, in units of the noise; 0 for an exact score.
        fields: how many random errors of that size; with an exact score, how many runs that are
            compared with exact draws, and 0 for the flow from the same draws instead.
        rows: samples of a run on a mixture.
    """

    name: str
    sde: LinearSDE
    size: float = 0.0
    fields: int = 0
    rows: int = 0

    @property
    def title(self) -> str:
        score = f"score off by {self.size}" if self.size else "exact score"
        law = ", against exact draws" if self.fields and not self.size else ""
        return f"{self.name}, {type(self.sde).__name__.removesuffix('SDE')}, {score}{law}"

    @property
    def trial(self) -> Problem:
        """A short one, to find out who should run in earnest."""
        size = 0.05 if self.size else 0.0
        if self.name == "Gaussian":
            return Problem(self.name, self.sde, size, self.fields)
        return Problem(self.name, self.sde, size, min(self.fields, 2), min(self.rows, 1024))

    @property
    def floor(self) -> float:
        """Distance of exact draws from each other; 0 where nothing is drawn."""
        if self.name == "Gaussian" or not self.fields:
            return 0.0
        target = MIXTURES[self.name]
        return math.sqrt(_exact(self.sde, target, self.rows)[1]) / _std(target)

    def error(self, by: Integrator, level: Level, nfe: int) -> Error:
        """That of a sampler at a stochasticity, with at most ``nfe`` evaluations."""
        if self.name == "Gaussian":
            return spectral(by, self.sde, level, nfe, self.size, max(self.fields, 1))
        target = MIXTURES[self.name]
        if not self.fields:
            return coupled(by, self.sde, target, nfe, self.rows)
        squares = (
            drawn(by, self.sde, target, level, nfe, self.size, seed, self.rows)
            for seed in range(self.fields)
        )
        return Error(tuple(squares))


# Exactly, on a Gaussian


def spectral(
    by: Integrator,
    sde: LinearSDE,
    level: Level,
    nfe: int,
    size: float = 0.0,
    fields: int = 1,
) -> Error:
    """Exact: root mean square relative error of the standard deviations at eps.

    With a score that is off, errors of the mean count as well, in units of the deviation.
    """
    variances = tuple(each for each in SPECTRUM for _ in range(fields))
    start, end = (marginal_law(gaussian(variances), sde, t) for t in (sde.T, sde.eps))
    exact = gaussian_score(sde, variances)
    counted = Counted(Tilted(exact, sde, size, len(variances)) if size else exact)
    reverse = ReverseSDE(sde, counted, level)
    law = exact_spectrum(partial(carried, by, reverse, sde.eps), start)
    within(counted, 2 * nfe)  # one run counts the draws, one answers them
    # Coordinates are sorted by variance, so that all fields of one variance are together.
    width, shift = relative_error(law, end).square().reshape(2, len(SPECTRUM), fields).mean(1)
    return Error(tuple((width + shift if size else width).tolist()))


@dataclass(frozen=True)
class Tilted:
    """A score whose noise predictions are off by a random affine function on each coordinate."""

    exact: ScoreModel
    sde: LinearSDE
    size: float
    wide: int

    def __call__(self, x: Tensor, t: Tensor) -> Tensor:
        marginal = self.sde.at(float(t[0]))
        scale = math.hypot(marginal.alpha, marginal.sigma)
        drift, phase = _waves(self.wide)
        slope, offset = (drift * marginal.log_snr + phase).cos().unbind()
        return self.exact(x, t) - self.size / marginal.sigma * (slope * x / scale + offset)


@cache
def _waves(wide: int) -> tuple[Tensor, Tensor]:
    source, like = SharedNoise(7), torch.empty(2, wide, dtype=torch.float64)
    return 0.25 * source.normal(like), 2.0 * math.pi * source.normal(like)


# From samples, on mixtures


def coupled(by: Integrator, sde: LinearSDE, target: GaussianMixture, nfe: int, rows: int) -> Error:
    """Sliced W2 to the flow from the same draws, over the standard deviation of the data.

    It is that of eight parts of the rows: few rows that end in another mode make most of it.
    """
    x = ends(by, sde, target.score(sde), 0.0, _prior(sde, rows, *target.shape), nfe)
    parts = zip(x.chunk(8), _flow(sde, target, rows).chunk(8), strict=True)
    distances = [sliced_w2(one, other, SharedNoise(1)) / _std(target) for one, other in parts]
    return Error(tuple(distance**2 for distance in distances))


def drawn(
    by: Integrator, sde: LinearSDE, target: GaussianMixture, level: Level, nfe: int,
    size: float, seed: int, rows: int,
) -> float:  # fmt: skip
    """Square of the sliced W2 to exact draws without its floor, over the variance of the data."""
    source = Turned if target is MIXTURES[RING] else SharedNoise
    start, noise = source(2 * seed + 100), source(2 * seed + 101)
    x = sde.prior((rows, *target.shape), start, torch.float64)
    score = Bent(target.score(sde), sde, size, seed) if size else target.score(sde)
    wanted, floor = _exact(sde, target, rows)
    distance = sliced_w2(ends(by, sde, score, level, x, nfe, noise), wanted, SharedNoise(1))
    return (distance**2 - floor) / _std(target) ** 2


@dataclass(frozen=True)
class Bent:
    """A score with a smooth error: noise predictions are off by ``size`` times a random field."""

    exact: ScoreModel
    sde: LinearSDE
    size: float
    seed: int

    def __call__(self, x: Tensor, t: Tensor) -> Tensor:
        marginal = self.sde.at(float(t[0]))
        scale = math.hypot(marginal.alpha, marginal.sigma)
        waves, drift, values = _field(self.seed, x.shape[1])
        phase = torch.addmm(drift * marginal.log_snr, x, waves.to(x.dtype) / scale)
        field = phase.cos_() @ values
        return self.exact(x, t).sub(field, alpha=self.size / marginal.sigma).to(x.dtype)


@cache
def _field(seed: int, wide: int) -> tuple[Tensor, Tensor, Tensor]:
    source, like = SharedNoise(seed), torch.empty(32, wide, dtype=torch.float64)
    waves, drift = 1.5 * source.normal(like).T, 0.25 * source.normal(like[:, 0])
    return waves, drift, math.sqrt(2.0 / len(drift)) * source.normal(like)


class Turned(NoiseSource):
    """Numbers for an eighth of the rows, and the same ones turned by 45, ..., 315 degrees.

    Samples on the ring are then as symmetric as it is when the score is exact, and no luck with
    the modes hides what a wrong one does.
    """

    def __init__(self, seed: int) -> None:
        self.source = SharedNoise(seed)

    def normal(self, like: Tensor) -> Tensor:
        """Turned numbers; ``like`` has a multiple of eight rows."""
        return turned(self.source.normal(like[: len(like) // 8]))


def turned(x: Tensor) -> Tensor:
    """All eight turns of each row of x, shape ``(n, 2)``."""
    angles = torch.arange(8, dtype=x.dtype) * (math.pi / 4.0)
    c, s = angles.cos(), angles.sin()
    turns = torch.stack((torch.stack((c, -s), 1), torch.stack((s, c), 1)), 1)
    return torch.einsum("kij,nj->kni", turns, x).reshape(-1, 2)


# Both


@torch.no_grad()
def ends(
    by: Integrator, sde: LinearSDE, score: ScoreModel, level: Level, x: Tensor, nfe: int,
    noise: NoiseSource | None = None,
) -> Tensor:  # fmt: skip
    """x carried from T to eps."""
    counted, run = Counted(score), Run(noise or SharedNoise(0))
    out = by.integrate(ReverseSDE(sde, counted, level), x, sde.T, sde.eps, run)
    within(counted, nfe)
    return out


def within(counted: Counted, most: int) -> None:
    """Raise unless a sampler kept to its budget."""
    if counted.nfe > most:
        raise RuntimeError(f"{counted.nfe} score evaluations, {most} are the budget")


@cache
def _prior(sde: LinearSDE, rows: int, dimension: int) -> Tensor:
    return sde.prior((rows, dimension), SharedNoise(3), torch.float64)


@cache
def _flow(sde: LinearSDE, target: GaussianMixture, rows: int) -> Tensor:
    """The probability flow from the same draws, in 600 steps of order 4."""
    by = OnGrid(Adams(4, 5), LogSNR(600))
    return ends(by, sde, target.score(sde), 0.0, _prior(sde, rows, *target.shape), 600)


@cache
def _exact(sde: LinearSDE, target: GaussianMixture, rows: int) -> tuple[Tensor, float]:
    """Exact draws at eps, and the mean square of their distance to other exact draws."""
    sets = []
    for k in range(9):
        noise = SharedNoise(k + 50)
        each = target.sample(rows, noise=noise, t=sde.eps, sde=sde, dtype=torch.float64)
        sets.append(turned(each[: rows // 8]) if target is MIXTURES[RING] else each)
    squares = [sliced_w2(each, sets[0], SharedNoise(1)) ** 2 for each in sets[1:]]
    return sets[0], sum(squares) / len(squares)


def _std(target: GaussianMixture) -> float:
    return math.sqrt(float(target.covariance.diagonal().mean()))
