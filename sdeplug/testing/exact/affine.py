"""Which probe a sampler takes: whether it is affine in its input and noise, and in what sense."""

from __future__ import annotations

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
from sdeplug.testing.claimed import first_level
from sdeplug.testing.exact.laws import Sampler
from sdeplug.testing.exact.refine import coarse
from sdeplug.testing.findings import Finding, demand

_RESIDUAL = 1e-10  # relative; an affine sampler leaves some 1e-14
_SIGNS = torch.tensor([1.0, 1.0, -1.0, -1.0], dtype=torch.float64, device="cpu")


class Affinity(Enum):
    """How a sampler depends on (x, noise) when the score is affine."""

    AFFINE = "affine"
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
        together = sampler(x, Run(_Mixed(1)))
        if not _superposed(together):
            return Affinity.NONE
        alone = [sampler(x[k : k + 1], Run(_Mixed(1, k))) for k in range(4)]
    return Affinity.AFFINE if _superposed(torch.cat(alone)) else Affinity.PAIRED


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
    """Whether the law of a solver is to be had exactly: it says so, or it is so without saying.

    A claim that is too modest must not keep a solver from the sharpest checks.  An adaptive one,
    though, may look affine by luck, where a few rows happen to take the same steps.
    """
    claims = solver.claims
    adaptive = claims.order is None and claims.evaluations is None
    if claims.affine or adaptive:
        return claims.affine
    return measured(solver) is Affinity.AFFINE


def check_affinity(solver: Solver) -> Finding:
    """It is as affine as it claims: this decides how its law is measured."""
    found = measured(solver)
    if solver.claims.affine:
        demand(
            found is Affinity.AFFINE,
            f"it claims to be affine, and is {found.value}: claim affine=False",
        )
        return Finding(found.value)
    if found is Affinity.AFFINE:
        return Finding("affine, which it does not claim: its law is measured exactly all the same")
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


def _superposed(y: Tensor) -> bool:
    gap = (_SIGNS[:, None] * y).sum(0).abs().max()
    return bool(gap <= _RESIDUAL * y.abs().max().clamp(min=1.0))


CHECKS = (check_affinity,)
"""The checks of this module."""
