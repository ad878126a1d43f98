"""Steps of a rule in plain numbers: one evaluation each, then one linear combination."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor

from sdeplug.reverse import ReverseSDE
from sdeplug.score import AnalyticFirst
from sdeplug.sde import LinearSDE
from sdeplug.tuning.rule import Numbers, Weights


class Held(NamedTuple):
    """What is known at a place.

    Attributes:
        y: x / alpha, shape ``(B, *D)``.
        values: the denoised data at the places before, the newest first.
    """

    y: Tensor
    values: tuple[Tensor, ...] = ()


@dataclass(frozen=True)
class Asked:
    """Denoised data at the places of a grid.

    Attributes:
        reverse: the reverse SDE; its forward SDE is linear.
        times: of the places.
        first: the score model that is asked at the first place; None: that of the reverse SDE.
    """

    reverse: ReverseSDE
    times: Numbers
    first: AnalyticFirst | None = None

    def __call__(self, y: Tensor, place: int) -> Tensor:
        """E[x_0 | x_t] for y = x / alpha at a place: ``(B, *D)``."""
        time, reverse = self.times[place], self.reverse
        if place == 0 and self.first is not None:
            reverse = replace(reverse, score_model=self.first)
        return reverse.denoised(y * reverse.linear.at(time).alpha, time)


def walk(
    asked: Callable[[Tensor, int], Tensor], weights: Weights, held: Held, first: int = 0
) -> Iterator[Held]:
    """What is known at each place after the one that a walk starts from.

    Args:
        asked: denoised data from y and the number of a place.
        weights: those of all steps.
        held: what is known at the start.
        first: the number of the place where the walk starts.
    """
    memory = max(map(len, weights)) - 1
    for place in range(first, len(weights)):
        of_y, *of_values = weights[place]
        values = (asked(held.y, place), *held.values[: memory - 1])
        y = held.y * of_y
        for weight, value in zip(of_values, values, strict=False):
            y = y.add(value, alpha=weight)
        held = Held(y, values)
        yield held


def ratio_at(sde: LinearSDE, t: float) -> float:
    """sigma / alpha at a time; 0 where there is no noise."""
    return math.exp(-0.5 * sde.at(t).log_snr)


def times_at(sde: LinearSDE, ratios: Numbers, t: float, s: float) -> Numbers:
    """The times of places, from t to s."""
    inner = torch.tensor(ratios[1:-1], dtype=torch.float64, device="cpu")
    return (t, *sde.time_at(-2.0 * inner.log()).tolist(), s)
