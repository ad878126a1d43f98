"""The law that the probability flow gives, and the one that the reverse SDE gives.

For an exact score they are the same, and that of the data on their way to noise.  For a network
they are two: a flow carries its mistakes along, and noise forgets a part of them.  Both start
from the same draws of the prior.  Distances are energy distances to data at the same time, in
standard deviations of a coordinate: without bias, so that chance is around 0.
"""

from __future__ import annotations

import contextlib
import math
from dataclasses import dataclass, replace

from torch import Tensor

from sdeplug.compare import Estimate
from sdeplug.compose import OnGrid
from sdeplug.errors import RunError
from sdeplug.grid import LogSNR, checked_times
from sdeplug.metrics import energy_distance, stream
from sdeplug.pipeline import Leg, Pipeline, last_time
from sdeplug.registry import solver
from sdeplug.reverse import ReverseSDE
from sdeplug.run import Event
from sdeplug.tuning.held import Held
from sdeplug.tuning.jackknife import GROUPS, difference, estimate, without_each

SOLVER = "exponential/adams"
"""Of both: one method at any stochasticity, one evaluation a step."""

_PARTS = (0.5, 0.75, 1.0)  # of the steps, at whose ends the laws are looked at


@dataclass(frozen=True)
class Laws:
    """What the flow and the SDE give at one time.

    Attributes:
        t: time.
        log_snr: log(alpha^2 / sigma^2), in nats.
        flow: distance of the law of the flow to the data; infinite where it ran away.
        noisy: distance of the law of the reverse SDE.
        gain: how much nearer the SDE is, with the error of the difference.
        chance: distance of other data: what is right is around it.
    """

    t: float
    log_snr: float
    flow: Estimate
    noisy: Estimate
    gain: Estimate
    chance: Estimate


def laws(reverse: ReverseSDE, held: Held, rows: int, steps: int, seed: int) -> tuple[Laws, ...]:
    """Run both, and compare.

    Args:
        reverse: the reverse SDE; its stochasticity does not matter.
        held: data: the known ones are what both are compared with.
        rows: how many samples, at most as many as the other data.
        steps: of each run.
        seed: of the start and the noise.
    """
    sde = reverse.linear
    grid, end = LogSNR(steps), last_time(sde)
    start = min(sde.T, sde.horizon)
    times = checked_times(grid, start, end, sde)
    wanted = sorted({times[round(part * steps)] for part in _PARTS}, reverse=True)
    other = held.other[:rows]
    x = sde.prior_std * stream(seed, "start").normal(other)
    runs = (replace(reverse, stochasticity=level) for level in (0.0, 1.0))
    both = tuple(_states(each, x, (grid, end), seed) for each in runs)
    found = []
    for t in wanted:
        truth = _diffused(reverse, held.known[: 2 * rows], t, seed, "known")
        scale = float(truth.double().flatten(1).var(0).mean().sqrt()) or 1.0
        flow, noisy = (_distances(states.get(t), truth, scale) for states in both)
        chance = _distances(_diffused(reverse, other, t, seed, "other"), truth, scale)
        parts = (estimate(flow), estimate(noisy), difference(flow, noisy), estimate(chance))
        found.append(Laws(t, sde.at(t).log_snr, *parts))
    return tuple(found)


def _states(
    reverse: ReverseSDE, x: Tensor, course: tuple[LogSNR, float], seed: int
) -> dict[float, Tensor]:
    """States at the ends of all steps, as far as the run came."""
    grid, end = course
    states: dict[float, Tensor] = {}

    def keep(event: Event) -> None:
        states[event.t] = event.x.clone()

    pipeline = Pipeline(reverse, (Leg(end, OnGrid(solver(SOLVER, predictor=2), grid)),))
    with contextlib.suppress(RunError):
        pipeline.sample(x.shape, noise=stream(seed, "noise"), x=x, observers=keep)
    return states


def _diffused(reverse: ReverseSDE, x0: Tensor, t: float, seed: int, word: str) -> Tensor:
    at = reverse.linear.at(t)
    return at.alpha * x0 + at.sigma * stream(seed, f"{word} at {t!r}").normal(x0)


def _distances(x: Tensor | None, truth: Tensor, scale: float) -> list[float]:
    """Of all rows, and without each group of them."""
    if x is None:
        return [math.inf] * (GROUPS + 1)
    most = max(len(x), len(truth))
    return without_each(lambda rows: energy_distance(x[rows], truth, most) / scale, len(x))
