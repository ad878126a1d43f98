"""Schedulers of diffusers with a stage inside a step, or with noise from one path."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

from torch import Tensor

from sdeplug_foreign.borrowed import numbers
from sdeplug_foreign.forms import EDM, Noise, Place, Twice, half_way, twice
from sdeplug_foreign.increments import increments


class HalfWay(Noise, Twice):
    """Two calls for each step: at its start, and in its middle."""

    def set_up(self, scheduler: Any, like: Tensor) -> None:
        """Put the tables of the grid in, those of the middles too."""
        super().set_up(scheduler, like)
        inner = [math.sqrt(high * low) for high, low in pairwise(self.passage.ratios)]
        scheduler.sigmas_interpol = numbers(twice([inner[0], *inner]))

    def place(self, call: int) -> Place:
        """A node, or the middle of a step."""
        step, late = divmod(call, 2)
        if not late:
            return self.node(step)
        return half_way(self.passage, *self.passage.ratios[step : step + 2])


class Ancestral(HalfWay):
    """Likewise, on the way down to less than the next node, to which noise leads back."""

    def set_up(self, scheduler: Any, like: Tensor) -> None:
        """Put the tables of the grid in, those of the noise too."""
        super().set_up(scheduler, like)
        steps = list(pairwise(self.passage.ratios))
        tables = {
            "sigmas_down": [low**2 / high for high, low in steps],
            "sigmas_up": [low * math.sqrt(1.0 - (low / high) ** 2) for high, low in steps],
            "sigmas_interpol": [low for _, low in steps],  # half-way from high to low^2 / high
        }
        for name, values in tables.items():
            setattr(scheduler, name, numbers(twice(values)))

    def place(self, call: int) -> Place:
        """A node; half of the way down leads to the next one."""
        return self.node((call + 1) // 2)


class Tree(HalfWay):
    """Likewise, with noise from one Brownian path."""

    def set_up(self, scheduler: Any, like: Tensor) -> None:
        """Put the tables of the grid in, and the path."""
        super().set_up(scheduler, like)
        scheduler.noise_sampler = increments(self.passage, like)


class EDMTree(EDM):
    """Likewise, with noise from one Brownian path."""

    def arguments(self) -> dict[str, Any]:
        """What the scheduler is built with."""
        return {"num_train_timesteps": self.training_steps, "prediction_type": "epsilon"}

    def set_up(self, scheduler: Any, like: Tensor) -> None:
        """Put the tables of the grid in, and the path."""
        super().set_up(scheduler, like)
        scheduler.noise_sampler = increments(self.passage, like)
