"""A function that is not affine: its moments by arrays, its law by samples of mixtures."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial

import torch
from torch import Tensor

from sdeplug.noise import SharedNoise
from sdeplug.run import Run
from sdeplug.score import ScoreModel
from sdeplug.sde import LinearSDE
from sdeplug.testing.bench import SPECTRUM, gaussian, gaussian_score
from sdeplug.testing.doors.running import result_of
from sdeplug.testing.exact import Law, intercepted, marginal_law, relative_error
from sdeplug.testing.exact.arrays import LEVELS, Apart, counted_draws
from sdeplug.testing.exact.chance import Estimate, in_the_limit
from sdeplug.testing.exact.laws import Sampler
from sdeplug.testing.exact.words import largest
from sdeplug.testing.findings import CheckFailed, Finding, Outcome, Result
from sdeplug.testing.law import Cell, Specimen, rejected, specimens

Sampling = Callable[[ScoreModel, Tensor, int], Tensor]
"""Code that samples: (score, x, steps) -> y."""

Function = Callable[[Tensor], Tensor]
"""The same with its score, in so many steps."""

_FACTOR = 3.0  # tau of a mixture in units of the error for Gaussian data
_LEAST, _LARGEST = 0.02, 0.15  # of tau
_TARGETS = 2
_ROWS = 64  # in which draws are counted: those of some rows alone are none
_LAW = "check_law_by_sampling"
_FINER = 4  # times as many steps, for a mixture and where that is found too coarse

Drawn = Sequence[tuple[Cell, Tensor]]
"""Cells of the statistical tier, and their first samples."""


def by_samples(sampled: BySamples, order: float, steps: int, why: str) -> tuple[Result, ...]:
    """What samples say of a function: of mixtures, and of mean and spread in the limit.

    What is wrong by much shows in samples of mixtures; so these are drawn first.

    Args:
        sampled: the function.
        order: how its errors fall.
        steps: the fewest that it is run in.
        why: why it is judged by samples.
    """
    drawn: list[tuple[Cell, Tensor]] = []

    def roughly() -> Finding:
        drawn.extend(sampled.drawn(_FINER * steps))
        return _law(drawn, _LARGEST, why)

    law = result_of(_LAW, roughly)
    if law.outcome is Outcome.FAILED:
        return (law,)
    found: list[Estimate] = []
    moments = result_of("check_moments", partial(sampled.moments, order, steps, found))
    if found:
        error = _FACTOR * float(found[0].on_grids[-1].abs().max())
        tau = min(max(_LEAST, error), _LARGEST)
        law = result_of(_LAW, partial(_law, drawn, tau, why))
    return law, moments


def seeded(function: Function, seed: int, strict: bool = True) -> Sampler:
    """A function as a sampler; what is not made of the noise of its run follows from a seed."""
    sampler = intercepted(function, strict)

    def repeatable(x: Tensor, run: Run) -> Tensor:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return sampler(x, run)

    return repeatable


def _law(drawn: Drawn, tau: float, why: str) -> Finding:
    """Samples of mixtures, against exact ones.

    Raises:
        CheckFailed: if they are of another law.
    """
    worst = 1.0
    for cell, samples in drawn:
        finer = None if cell.finer is None else replace(cell.finer, tau=tau)
        asked = replace(cell, tau=tau, finer=finer)
        verdict = asked.verdict(0, samples)
        worst = min(worst, verdict.pvalue)
        if not verdict.passed:
            raise CheckFailed(f"{rejected(asked, verdict, 0)}. It is judged by samples: {why}")
    return Finding(
        f"{len(drawn)} targets, smallest p = {worst:.2g}, errors up to {tau:.1%} let pass"
    )


@dataclass(frozen=True)
class BySamples:
    """A function whose law is to be had by samples alone.

    Attributes:
        function: (score, x, steps) to y.
        sde: the forward SDE.
        dtype: dtype of x.
    """

    function: Sampling
    sde: LinearSDE
    dtype: torch.dtype

    def drawn(self, steps: int) -> Iterator[tuple[Cell, Tensor]]:
        """Samples of mixtures in so many steps, of exact ones at T."""
        for specimen in specimens()[:_TARGETS]:
            finer = self._cell(specimen, _FINER * steps)
            cell = replace(self._cell(specimen, steps), finer=finer)
            yield cell, cell.samples(0)

    def moments(self, order: float, steps: int, found: list[Estimate]) -> Finding:
        """Mean and standard deviations for Gaussian data, in the limit of short steps.

        Args:
            order: how their errors fall.
            steps: of the coarsest grid.
            found: gets the errors.

        Raises:
            CheckFailed: if they are wrong.
            Unproven: if chance hides too much of them.
        """
        start, wanted = (marginal_law(gaussian(), self.sde, t) for t in (self.sde.T, self.sde.eps))
        score, root = gaussian_score(self.sde), start.covariance.diagonal().sqrt()
        levels = cache(partial(self._levels, score))

        def errors(count: int, seed: int) -> Tensor:
            noise = Apart(levels(count), seed, root.shape)
            x = start.mean + root * noise.normal(root.new_empty(noise.rows, len(root)))
            y = self._carried(score, count, seed, x, Run(noise))
            return relative_error(Law(y.mean(0), torch.cov(y.T, correction=0)), wanted)

        found.append(in_the_limit(errors, order, steps, largest))
        return Finding(
            f"off by {float(found[0].limit.abs().max()):.1e} in the limit, and by "
            f"{found[0].possibly:.1%} at most; in {found[0].steps[-1]} steps "
            f"{largest(found[0].on_grids[-1])}"
        )

    def _carried(self, score: ScoreModel, steps: int, seed: int, x: Tensor, run: Run) -> Tensor:
        """x carried from T to eps in so many steps, in float64."""
        return seeded(lambda y: self.function(score, y, steps), seed, strict=False)(
            x.to(self.dtype), run
        )

    def _cell(self, specimen: Specimen, steps: int) -> Cell:
        score = specimen.target.score(self.sde)

        def carry(x: Tensor, run: Run) -> Tensor:
            number = float(run.noise.normal(x.new_empty(1, dtype=torch.float64)))
            return self._carried(score, steps, int(1e9 * abs(number)), x, run)

        name = f"{steps} steps"
        return Cell(specimen, self.sde, carry, self.sde.T, self.sde.eps, _LARGEST, name)

    def _levels(self, score: ScoreModel, steps: int) -> int:
        """Levels of an array that has a column for each draw, if there is one; the most where there
        is none, so that nothing but many rows makes less of chance."""
        like = torch.empty(_ROWS, len(SPECTRUM), dtype=torch.float64, device="cpu")
        x = SharedNoise(0).normal(like)
        draws = counted_draws(partial(self._carried, score, steps, 0), x)
        return next((each for each in LEVELS if each >= draws > 0), LEVELS[-1])
