"""Schedulers of diffusers whose table is that of a Markov chain."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from torch import Tensor

from sdeplug_foreign.borrowed import numbers
from sdeplug_foreign.forms import Place, Preserving, half_way, noise_left


class Chain(Preserving):
    """A Markov chain: its table is ``alphas_cumprod``, one entry for each node, from below."""

    @property
    def training_steps(self) -> int:
        """One for each node."""
        return self.steps + 1

    def set_up(self, scheduler: Any, like: Tensor) -> None:
        """Put the table of the grid in."""
        scheduler.alphas_cumprod = _cumprod(reversed(self.passage.ratios))
        scheduler.set_timesteps(self.steps + 1)

    def labels(self, scheduler: Any) -> Any:
        """The entries of the table, from above; the lowest is where it ends."""
        return scheduler.timesteps[:-1]


class Multistep(Chain):
    """A chain that asks for the noise, and for the first step twice."""

    def arguments(self) -> dict[str, Any]:
        """What the scheduler is built with."""
        return {"num_train_timesteps": self.training_steps}

    def place(self, call: int) -> Place:
        """The nodes in turn, the second one twice."""
        return self.node(call if call < 2 else call - 1)

    def output(self, scheduler: Any, clean: Tensor, state: Tensor, place: Place) -> Tensor:
        """The noise that is left when the data are ``clean``."""
        return noise_left(clean, state, place)


class RungeKutta(Multistep):
    """Likewise, with four calls in each of the first three steps; entries between nodes too."""

    @property
    def training_steps(self) -> int:
        """Two for each node."""
        return 2 * (self.steps + 1)

    def set_up(self, scheduler: Any, like: Tensor) -> None:
        """Put the table of the grid in, with the places half-way between nodes."""
        inner = [self._half_way(k).ratio for k in range(self.steps)]
        ratios = [q for pair in zip(self.passage.ratios, inner, strict=False) for q in pair]
        scheduler.alphas_cumprod = _cumprod(reversed([*ratios, self.passage.ratios[-1]]))
        scheduler.set_timesteps(self.steps + 1)

    def place(self, call: int) -> Place:
        """Start, middle, middle and end of three steps; then the nodes in turn."""
        step, stage = divmod(call, 4)
        if step >= 3:
            return self.node(call - 9)
        return self._half_way(step) if stage in (1, 2) else self.node(step + (stage == 3))

    def _half_way(self, step: int) -> Place:
        return half_way(self.passage, *self.passage.ratios[step : step + 2])


def _cumprod(ratios: Iterable[float]) -> Tensor:
    return numbers([1.0 / (1.0 + q**2) for q in ratios])
