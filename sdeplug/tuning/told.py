"""The same network told another time: what it then says, in units of the time that it is.

A score model is a network in some units.  From its score at the time t' that it was told, what
the network said is found, and from that the score at the time t of the state.  So nothing of the
network is needed but its score.
"""

from __future__ import annotations

import torch
from torch import Tensor

from sdeplug.reverse import ReverseSDE
from sdeplug.score import PREDICTED, Parametrisation, inside
from sdeplug.sde import LinearSDE


def routes(score_model: object) -> tuple[type[Parametrisation], ...]:
    """What a network may predict: one thing where its score model says so, else all."""
    found = inside(score_model)
    return (type(found),) if isinstance(found, Parametrisation) else PREDICTED


def predicted_noise(reverse: ReverseSDE, x: Tensor, t: float) -> Tensor:
    """-sigma score: the noise that the network sees in x, shape ``(B, *D)``."""
    return -reverse.linear.at(t).sigma * reverse.score(x, t)


def retold(reverse: ReverseSDE, x: Tensor, t: float, told: float) -> list[Tensor]:
    """The noise that a network sees in x of time t when it is told another time.

    Returns:
        One for each of :func:`routes`, shape ``(B, *D)``.
    """
    score = reverse.score(x, told)
    sde = reverse.linear
    return [
        -sde.at(t).sigma * _moved(score, x, route, (sde, told, t))
        for route in routes(reverse.score_model)
    ]


def _moved(
    score: Tensor, x: Tensor, route: type[Parametrisation], at: tuple[LinearSDE, float, float]
) -> Tensor:
    sde, told, t = at
    before, after = (_units(sde, time, route) for time in (told, t))
    output = (score - before[1] * x) / before[0]
    return output * after[0] + after[1] * x


def _units(sde: LinearSDE, t: float, route: type[Parametrisation]) -> tuple[float, float]:
    units = route.units(sde, torch.tensor([t], dtype=torch.float64, device="cpu"))
    return float(units.of_output), 0.0 if units.of_x is None else float(units.of_x)
