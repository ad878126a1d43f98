"""The two schedulers of diffusers that follow Song et al., arXiv 2011.13456: their predictors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from sdeplug import VPSDE, LinearSDE
from sdeplug_foreign.borrowed import numbers
from sdeplug_foreign.forms import Exploding, Place, Preserving, noise_left


class SongVE(Exploding):
    """The variance-exploding predictor of Song et al.: its table is ``discrete_sigmas``."""

    def arguments(self) -> dict[str, Any]:
        """What the scheduler is built with."""
        return {"num_train_timesteps": self.training_steps}

    def set_up(self, scheduler: Any, like: Tensor) -> None:
        """Put the table of the grid in, from below."""
        scheduler.set_timesteps(self.steps + 1)
        scheduler.discrete_sigmas = numbers(self.passage.ratios[::-1])

    def labels(self, scheduler: Any) -> Any:
        """Times of the table's entries, from above; they are rounded down there."""
        return [(self.steps - k + 0.5) / self.steps for k in range(self.steps)]

    def output(self, scheduler: Any, clean: Tensor, state: Tensor, place: Place) -> Tensor:
        """The score."""
        return (clean - state) / place.ratio**2

    def step(
        self, scheduler: Any, output: Tensor, label: Any, state: Tensor, **more: Any
    ) -> Tensor:
        """The next state, by the predictor."""
        moved: Tensor = scheduler.step_pred(output, label, state, **more).prev_sample
        return moved


class SongVP(Preserving):
    """The variance-preserving predictor of Song et al.: equal steps in the time of that SDE.

    The scheduler knows betas that grow linearly and steps that are 1 / N long.  So time is counted
    in units of the span.
    """

    @staticmethod
    def times(t: float, s: float, sde: LinearSDE, steps: int) -> Sequence[float] | None:
        """Steps that are equal in the time of VP."""
        clock = _vp(sde)
        high, low = (float(clock.time_at(_log_snr(sde, time))) for time in (t, s))
        inner = torch.linspace(high, low, steps + 1, dtype=torch.float64, device="cpu")[1:-1]
        return (t, *sde.time_at(clock.log_snr(inner)).tolist(), s)

    def arguments(self) -> dict[str, Any]:
        """What the scheduler is built with: betas per unit of the span."""
        clock, (high, low) = self._span()
        length = high - low
        slope = length**2 * (clock.beta_max - clock.beta_min)
        return {"beta_min": length * clock.beta_min, "beta_max": length * clock.beta_min + slope}

    def ask(self, scheduler: Any, label: Any, state: Tensor) -> None:
        """Nothing has to be told."""

    def set_up(self, scheduler: Any, like: Tensor) -> None:
        """Tell it the number of steps."""
        scheduler.set_timesteps(self.steps)

    def labels(self, scheduler: Any) -> Any:
        """Times of the steps' starts, in units of the span."""
        _, (high, low) = self._span()
        start = high / (high - low)
        return numbers([start - k / self.steps for k in range(self.steps)])

    def output(self, scheduler: Any, clean: Tensor, state: Tensor, place: Place) -> Tensor:
        """The noise that is left when the data are ``clean``."""
        return noise_left(clean, state, place)

    def step(
        self, scheduler: Any, output: Tensor, label: Any, state: Tensor, **more: Any
    ) -> Tensor:
        """The next state, by the predictor."""
        moved: Tensor = scheduler.step_pred(output, state, label, **more)[0]
        return moved

    def _span(self) -> tuple[VPSDE, tuple[float, float]]:
        sde, times = self.passage.reverse.linear, self.passage.times
        clock = _vp(sde)
        high, low = (float(clock.time_at(_log_snr(sde, time))) for time in (times[0], times[-1]))
        return clock, (high, low)


def _vp(sde: LinearSDE) -> VPSDE:
    """The SDE whose time counts; another one than VP may have noise beyond its end."""
    return sde if isinstance(sde, VPSDE) else VPSDE(T=2.0)


def _log_snr(sde: LinearSDE, time: float) -> Tensor:
    return numbers((sde.at(time).log_snr,))
