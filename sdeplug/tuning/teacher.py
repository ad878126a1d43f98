"""A run of many steps along the flow of a network: what one of few steps should come to."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import chain

import torch
from torch import Tensor

from sdeplug.errors import NonFiniteError
from sdeplug.pipeline.first_answer import warn_unless_heard
from sdeplug.reverse import ReverseSDE
from sdeplug.score.understood import understood
from sdeplug.tuning.rule import Numbers, Rule
from sdeplug.tuning.walk import Asked, Held, ratio_at, times_at, walk


@dataclass(frozen=True, eq=False)
class Path:
    """States of a run, and the denoised data that it has seen there.

    Attributes:
        ratios: sigma / alpha at the places, the end included.
        times: of the places.
        states: y = x / alpha at each place, shape ``(places, B, *D)``.
        values: denoised data at each place but the last, shape ``(places - 1, B, *D)``.
    """

    ratios: Numbers
    times: Numbers
    states: Tensor
    values: Tensor


@torch.no_grad()
def teacher(reverse: ReverseSDE, x: Tensor, t: float, s: float, steps: int) -> Path:
    """Follow the flow by DPM-Solver++ 2M with equal steps in log sigma / alpha.

    Towards a time without noise they end at eps, and the denoised data there are the end.

    Args:
        reverse: the reverse SDE; its forward SDE is linear.
        x: states at t, shape ``(B, *D)``.
        t: time to start from.
        s: time to reach.
        steps: how many, each one score evaluation of all rows.

    Raises:
        PairingError: if the network cannot be asked: it wants labels, or x of another shape.
        NonFiniteError: if a state is not finite.
    """
    sde = reverse.linear
    last = ratio_at(sde, s)
    ratios = spaced(ratio_at(sde, t), last or ratio_at(sde, sde.eps), steps + (last > 0.0))
    ratios = ratios if last else (*ratios, 0.0)
    times = times_at(sde, ratios, t, s)
    start = Held(x / sde.at(t).alpha)
    held = []
    run = walk(Asked(reverse, times), Rule.theory(ratios, 2).weights, start)
    with understood(reverse.score_model, x, "noises"):
        first = next(run)
    _look(reverse, x, t, first)
    for here in chain((first,), run):
        held.append(here)
        finite = here.y.isfinite().flatten(1).all(1)
        if not bool(finite.all()):
            raise NonFiniteError(
                f"the run of {steps} steps is not finite after t = {times[len(held) - 1]:.6g}: "
                "what the score model returns there is not, or the steps are too long.",
                t=times[len(held)],
                row=int((~finite).nonzero()[0]),
            )
    states = torch.stack([start.y, *(each.y for each in held)])
    return Path(ratios, times, states, torch.stack([each.values[0] for each in held]))


def _look(reverse: ReverseSDE, x: Tensor, t: float, first: Held) -> None:
    """Warn of a network that is told another time than in its training, by its first answer."""
    at = reverse.linear.at(t)
    score = (at.alpha * first.values[0] - x) / at.sigma**2
    warn_unless_heard(reverse, x, x.new_full(x.shape[:1], t), score)


def spaced(high: float, low: float, count: int) -> Numbers:
    """So many numbers from high to low with equal steps in their logarithm."""
    u = torch.linspace(math.log(high), math.log(low), count, dtype=torch.float64, device="cpu")
    return (high, *u[1:-1].exp().tolist(), low)
