"""The converged flow as a run like others, and the distance of their ends from its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sdeplug.compare.cells import Outcome
from sdeplug.compare.contenders import Entrant
from sdeplug.compare.flow import NAME, Flow
from sdeplug.compare.problem import Problem
from sdeplug.compare.rows import decoded
from sdeplug.compare.setting import Setting
from sdeplug.compose import OnGrid
from sdeplug.grid import Karras
from sdeplug.pipeline import Pipeline
from sdeplug.registry import solver
from sdeplug.reverse import ReverseSDE


def references(flow: Flow, problem: Problem) -> tuple[Entrant, Entrant]:
    """The converged run, and that with half of its steps."""
    return _converged(problem, flow.steps), _converged(problem, flow.steps // 2)


def _converged(problem: Problem, steps: int) -> Entrant:
    by = OnGrid(solver("exponential/adams", predictor=4, corrector=4), Karras(steps))
    reverse = ReverseSDE(problem.sde, problem.score, 0.0)
    return Entrant("the converged flow", None, Pipeline(reverse, problem.legs(by)))


@dataclass(frozen=True)
class Held:
    """Outcomes with their distance to the converged flow among their values.

    Attributes:
        setting: the problem.
        flow: the converged flow.
        ends: outcomes of :func:`references`, for each seed and size of the error of the score.
    """

    setting: Setting
    flow: Flow
    ends: Sequence[Outcome]

    def floors(self, outcomes: Sequence[Outcome]) -> list[Outcome]:
        """Those of exact draws, with the flow's own error: what half of its steps change."""
        seeds = self.setting.seeds
        errors = len(self.setting.conditions.score_errors)
        own = [self._gap(*self.ends[2 * errors * n :][:2]) for n in range(len(seeds))]
        return [_with(each, own[n % len(seeds)]) for n, each in enumerate(outcomes)]

    def runs(self, outcomes: Sequence[Outcome], entrants: Sequence[Entrant]) -> list[Outcome]:
        """Those of samplers, entrant by entrant for each size of the error, for each seed."""
        found = []
        for n, each in enumerate(outcomes):
            comparable = self._follows(entrants[n % len(entrants)].pipeline)
            gap = self._gap(self.ends[2 * (n // len(entrants))], each) if comparable else None
            found.append(_with(each, gap))
        return found

    def _gap(self, whole: Outcome, other: Outcome) -> float | None:
        """Root mean square over the numbers of the first rows; None where one has none."""
        if whole.failure or other.failure:
            return None
        x, y = decoded(whole.picture), decoded(other.picture)[: len(decoded(whole.picture))]
        return float((x - y).square().mean().sqrt())

    def _follows(self, pipeline: Pipeline) -> bool:
        """Whether a run draws nothing, and goes where the converged flow goes."""
        problem, claims = self.setting.problem, [leg.by.claims for leg in pipeline.legs]
        silent = pipeline.reverse.stochasticity == 0.0 or not any(c.stochastic for c in claims)
        same = pipeline.reverse.forward == problem.sde
        ends = pipeline.legs[-1].to == problem.end
        return silent and same and ends and not any(c.randomised for c in claims)


def _with(outcome: Outcome, gap: float | None) -> Outcome:
    if gap is None:
        return outcome
    return replace(outcome, values={**outcome.values, NAME: gap})
