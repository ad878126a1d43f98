"""Cells: what a comparison is made of.

A cell is a pure function of its description, which can be pickled: where it runs, when, and
after what, does not change a bit of its result.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, is_dataclass, replace

import torch
from torch import Tensor

from sdeplug.compare.contenders import Entrant
from sdeplug.compare.perturbed import PerturbedScore
from sdeplug.compare.rows import encoded
from sdeplug.errors import NonFiniteError
from sdeplug.metrics import Metric, Truth, stream
from sdeplug.pipeline import Pipeline
from sdeplug.run import Run
from sdeplug.score import ScoreModel, Wrapper, asked_count
from sdeplug.sde import LinearSDE
from sdeplug.targets import Gaussian, Target
from sdeplug.testing import Affinity, affinity, exact_law, marginal_law, relative_error

Named = tuple[tuple[str, Metric], ...]


@dataclass(frozen=True)
class Outcome:
    """What a cell gives.

    Attributes:
        values: each metric; empty if the run failed.
        nfe: score evaluations of a sample; a mean where samples differ.
        seconds: wall time of the run.
        scoring: what of it was inside the score.
        measuring: wall time of the metrics, which is no part of the run.
        exact: relative error of the exact law, if it was asked for and is to be had.
        failure: why there are no values.
        picture: some of the samples, encoded.
    """

    values: Mapping[str, float]
    nfe: float = 0.0
    seconds: float = 0.0
    scoring: float = 0.0
    measuring: float = 0.0
    exact: float | None = None
    failure: str = ""
    picture: str = ""


@dataclass(frozen=True)
class Floor:
    """A cell that measures exact draws: what a metric gives when nothing is wrong.

    Attributes:
        truth: the law, and the seed.
        samples: how many.
        metrics: names and metrics.
        keep: how many samples are kept for a picture.
    """

    truth: Truth
    samples: int
    metrics: Named
    keep: int = 0

    def run(self) -> Outcome:
        """Draw, and measure."""
        torch.set_num_threads(1)
        draws = self.truth.draws(self.samples, "floor")
        begin = time.perf_counter()
        values = _measured(draws, self.truth, self.metrics)
        took = time.perf_counter() - begin
        return Outcome(values, measuring=took, picture=encoded(draws[: self.keep]))


@dataclass(frozen=True)
class Cell:
    """A cell that runs a sampler.

    All samplers of one seed start from the same exact draws of p_T, in float32, and get the same
    source of noise and, if the score has an error, the same error.

    Attributes:
        entrant: what runs.
        target: the data law.
        score_error: relative size of the error of the score.
        seed: of the start, the noise, the error and the truth.
        samples: how many.
        metrics: names and metrics.
        exact: whether the exact law is asked for.
        keep: how many samples are kept for a picture, or for the distance to another run.
        rows: how many of the starts run; None: all.
    """

    entrant: Entrant
    target: Target
    score_error: float
    seed: int
    samples: int
    metrics: Named
    exact: bool = False
    keep: int = 0
    rows: int | None = None

    def run(self) -> Outcome:
        """Run the sampler, and measure; a run that diverges is an outcome too."""
        torch.set_num_threads(1)
        pipeline, timed = self._prepared()
        sde = pipeline.reverse.linear
        x = Truth(self.target, sde, sde.T, self.seed).draws(self.samples, "start")
        x = x[: self.rows].float()
        begin = time.perf_counter()
        try:
            out = pipeline.sample(x.shape, noise=stream(self.seed, "noise"), x=x)
        except NonFiniteError as error:
            took = time.perf_counter() - begin
            reason = f"diverged at t = {error.t:.3g}"
            return Outcome({}, timed.rows / len(x), took, timed.seconds, failure=reason)
        begin = time.perf_counter()
        values = _measured(out.x, Truth(self.target, sde, out.t, self.seed), self.metrics)
        took = time.perf_counter() - begin
        nfe, scoring = timed.rows / len(x), timed.seconds
        exact = _exact_error(pipeline, self.target, out.t) if self.exact else None
        picture = encoded(out.x[: self.keep])
        return Outcome(values, nfe, out.seconds, scoring, took, exact, "", picture)

    def _prepared(self) -> tuple[Pipeline, _Timed]:
        """The pipeline with an SDE that remembers nothing and a score that is timed."""
        reverse = self.entrant.pipeline.reverse
        sde = _fresh(reverse.linear)
        score = reverse.score_model
        if self.score_error:
            scale = Truth(self.target, sde, 0.0).scale()
            score = PerturbedScore(score, sde, self.score_error, self.seed, scale)
        timed = _Timed(score)
        reverse = replace(reverse, forward=sde, score_model=timed)
        return replace(self.entrant.pipeline, reverse=reverse), timed


@dataclass(eq=False)
class _Timed(Wrapper):
    """A score model that adds up its time."""

    score_model: ScoreModel
    seconds: float = field(default=0.0, init=False)
    rows: int = field(default=0, init=False)

    def through(self, model: ScoreModel, x: Tensor, t: Tensor) -> Tensor:
        begin = time.perf_counter()
        score = model(x, t)
        self.seconds += time.perf_counter() - begin
        self.rows += asked_count(model, x, t)
        return score


def _fresh(sde: LinearSDE) -> LinearSDE:
    """A copy without the tables that other runs, perhaps in other threads, have left in it."""
    if not is_dataclass(sde):
        return sde
    copy: LinearSDE = replace(sde)
    return copy


def _measured(x: Tensor, truth: Truth, metrics: Named) -> dict[str, float]:
    return {name: float(metric.measure(x, truth)) for name, metric in metrics}


@torch.no_grad()
def _exact_error(pipeline: Pipeline, target: Target, end: float) -> float | None:
    """Relative error of the law at the end, when that at T is right; None if it is not affine."""
    if not isinstance(target, Gaussian) or len(target.shape) > 1:
        return None

    def sampler(x: Tensor, run: Run) -> Tensor:
        return pipeline.sample(x.shape, noise=run.noise, x=x).x

    sde = pipeline.reverse.linear
    try:
        if affinity(sampler, len(target.mean)) is not Affinity.AFFINE:
            return None
        law = exact_law(sampler, marginal_law(target, sde, sde.T))
    except ArithmeticError:
        return None
    error = relative_error(law, marginal_law(target, sde, end))
    return float(error.square().mean().sqrt())
