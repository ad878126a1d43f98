"""What a short step has of each of its terms: why a law is wrong, as far as a step shows it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from sdeplug.reverse import ReverseSDE
from sdeplug.run import Run
from sdeplug.sde import LinearSDE
from sdeplug.solvers import Integrator
from sdeplug.testing.bench import SPECTRUM, gaussian_score
from sdeplug.testing.claimed import Level
from sdeplug.testing.exact.laws import response

_MIDDLE = 0.5  # of T: where one short step is looked at
_INSTANT = 1e-6  # its length, in units of T
_SWEEP = 20.0  # times the noise of that step: no factor, but what a corrector draws
_NOTICED = 2e-4  # a factor is 1 to this
_SCORES = ((2.0, ": is g^2 doubled?"), (0.5, ": is it the g^2 / 2 of the probability flow?"))


@dataclass(frozen=True)
class Factors:
    """What a short step has of each of its terms, in units of what it should have; None: unknown.

    Attributes:
        drift: of the drift f of the forward SDE.
        score: of the score times (1 + l^2) / 2 g^2.
        noise: of the noise.
    """

    drift: float | None
    score: float
    noise: float | None

    def __str__(self) -> str:
        if self.noise is not None and self.noise > _SWEEP:
            return (
                "in a step of next to no length it draws as in a long one: a corrector is at work, "
                "whose bias does not fall with the step; if it is meant, claim it as floor"
            )
        off = ", ".join(self._off())
        right = "drift, score and noise are right: look at the first step and the last"
        return f"in one short step in the middle of time {off or right}"

    def _off(self) -> Iterator[str]:
        if self.drift is not None and not _right(self.drift):
            yield _counted("the drift f of the forward SDE", self.drift)
        if not _right(self.score):
            hint = next((hint for factor, hint in _SCORES if _right(self.score / factor)), "")
            yield _counted("the score", self.score) + hint
        if self.noise is not None and not _right(self.noise):
            yield f"the noise is {self.noise:.5g} times as large as it should be"


def factors(integrator: Integrator, sde: LinearSDE, level: Level) -> Factors | None:
    """The terms of one short step in the middle of time; None where it takes no such step."""
    t = _MIDDLE * sde.T
    h = _INSTANT * sde.T
    # One that draws no noise should follow the flow.
    reverse = ReverseSDE(sde, gaussian_score(sde), level if integrator.claims.stochastic else 0.0)
    try:
        step = response(partial(_stepped, integrator, reverse, t, t - h), len(SPECTRUM), apart=True)
    except Exception:  # it is judged elsewhere: here its failure would hide another
        return None
    now, here = sde.at(t), reverse.level(t)
    spectrum = torch.tensor(SPECTRUM, dtype=torch.float64, device="cpu")
    pull = 0.5 * (1.0 + here**2) * now.diffusion**2 / (now.alpha**2 * spectrum + now.sigma**2)
    terms = torch.stack((torch.full_like(pull, now.drift_rate), pull), dim=1)
    drifts = now.drift_rate != 0.0
    counted = torch.linalg.lstsq(terms if drifts else terms[:, 1:], (1.0 - step.inputs[0]) / h)
    *drift, score = counted.solution.tolist()
    noise = None
    if here > 0.0:
        noise = float(step.noise.square().sum(0).mean().sqrt()) / (
            math.sqrt(h) * here * now.diffusion
        )
    return Factors(drift[0] if drifts else None, score, noise)


def _stepped(
    integrator: Integrator, reverse: ReverseSDE, t: float, s: float, x: Tensor, run: Run
) -> Tensor:
    return integrator.integrate(reverse, x, t, s, run)


def _right(factor: float) -> bool:
    return abs(factor - 1.0) <= _NOTICED


def _counted(term: str, factor: float) -> str:
    if _right(-factor):
        return f"{term} has the wrong sign"
    return f"{term} counts {factor:.5g} times"
