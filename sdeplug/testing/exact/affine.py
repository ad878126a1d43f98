"""Which probe a sampler takes: whether it is affine in its input and noise, and in what sense."""

from __future__ import annotations

import math
from enum import Enum
from functools import partial

import torch
from torch import Tensor

from sdeplug.compose import Denoise
from sdeplug.noise import NoiseSource, SharedNoise
from sdeplug.reverse import ReverseSDE
from sdeplug.run import Run
from sdeplug.solvers import Corrector
from sdeplug.testing.bench import Solver, carried, gaussian, gaussian_score, sdes
from sdeplug.testing.claimed import first_level, tolerant
from sdeplug.testing.exact.laws import Sampler
from sdeplug.testing.exact.refine import coarse
from sdeplug.testing.findings import Finding, demand
from sdeplug.testing.memory import remembered

EXACT = 1e-10
"""Relative error of a sum over an affine sampler, at most; it leaves some 1e-14."""

ROUNDED = 1e-5
"""The same where something in it is rounded to float32, which leaves some 1e-7."""

_SIGNS = torch.tensor([1.0, 1.0, -1.0, -1.0], dtype=torch.float64, device="cpu")


class Affinity(Enum):
    """How a sampler depends on (x, noise) when the score is affine."""

    AFFINE = "affine"
    ROUNDED = "affine to a rounding of float32"
    PAIRED = "affine given the step sizes that the batch shares"
    NONE = "not affine"


def affinity(sampler: Sampler, dimension: int) -> Affinity:
    """The class of a sampler, by superposition of four rows a + b = c + d.

    In one batch the rows share their step sizes, so that only steps of their own break the sum;
    alone each has step sizes of its own, which breaks it too.

    Args:
        sampler: function (x, run) -> y.
        dimension: the numbers in a row of x.
    """
    x = _Mixed(0).normal(torch.empty(4, dimension, dtype=torch.float64, device="cpu"))
    with torch.no_grad():
        together = _residual(sampler(x, Run(_Mixed(1))))
        if not together <= ROUNDED:
            return Affinity.NONE
        rows = [sampler(x[k : k + 1], Run(_Mixed(1, k))) for k in range(4)]
    alone = _residual(torch.cat(rows))
    if max(together, alone) <= EXACT:
        return Affinity.AFFINE
    if alone <= ROUNDED:
        return Affinity.ROUNDED
    return Affinity.PAIRED if together <= EXACT else Affinity.NONE


@remembered(64)
def measured(solver: Solver) -> Affinity:
    """The class of a solver, on the way from T to eps (of a corrector: in two applications)."""
    sde = sdes(solver)[0]
    reverse = ReverseSDE(sde, gaussian_score(sde), first_level(solver))
    sampler: Sampler
    if isinstance(solver, Corrector):
        corrector = solver

        def sampler(x: Tensor, run: Run) -> Tensor:
            return corrector.correct(reverse, corrector.correct(reverse, x, 0.5, run), 0.5, run)

    elif isinstance(solver, Denoise):
        sampler = partial(carried, solver, reverse, 0.0)
    else:
        sampler = partial(carried, coarse(solver, sde), reverse, sde.eps)
    return affinity(sampler, len(gaussian().mean))


def is_affine(solver: Solver) -> bool:
    """Whether the law of a solver is to be had by impulses, to :func:`rounding`."""
    return rounding(solver) <= ROUNDED


def rounding(solver: Solver) -> float:
    """To what relative accuracy a solver is affine: it says so, or it is so without saying.

    A claim that is too modest must not keep a solver from the sharpest checks.  An adaptive one,
    though, may look affine by luck, where a few rows happen to take the same steps.

    Returns:
        :data:`EXACT`, :data:`ROUNDED`, or infinity for one that is not affine.
    """
    claims = solver.claims
    if claims.affine or tolerant(solver):
        return EXACT if claims.affine else math.inf
    found = measured(solver)
    return {Affinity.AFFINE: EXACT, Affinity.ROUNDED: ROUNDED}.get(found, math.inf)


def check_affinity(solver: Solver) -> Finding:
    """It is as affine as it claims: this decides how its law is measured."""
    found = measured(solver)
    if solver.claims.affine:
        demand(
            found is Affinity.AFFINE,
            f"it claims to be affine, and is {found.value}: claim affine=False",
        )
        return Finding(found.value)
    if found in (Affinity.AFFINE, Affinity.ROUNDED):
        return Finding(
            f"{found.value}, which it does not claim: its law is measured exactly all the same"
        )
    return Finding(found.value)


class _Mixed(NoiseSource):
    """Noise of four rows with a + b = c + d, or of one of them alone."""

    def __init__(self, seed: int, row: int | None = None) -> None:
        self.source = SharedNoise(seed)
        self.row = row

    def normal(self, like: Tensor) -> Tensor:
        return self.picked(self.source.normal(self.four(like)))

    def four(self, like: Tensor) -> Tensor:
        return like if self.row is None else like.expand(4, *like.shape[1:])

    def picked(self, noise: Tensor) -> Tensor:
        noise[3] = noise[0] + noise[1] - noise[2]
        return noise if self.row is None else noise[self.row : self.row + 1]


def _residual(y: Tensor) -> float:
    """By how much the sum of four rows fails, relative to the largest number."""
    gap = (_SIGNS[:, None] * y).sum(0).abs().max()
    return float(gap / y.abs().max().clamp(min=1.0))


CHECKS = (check_affinity,)
"""The checks of this module."""
