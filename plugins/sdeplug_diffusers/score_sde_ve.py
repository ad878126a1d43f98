"""``ScoreSdeVeScheduler`` of diffusers, with the arithmetic of sdeplug.

The predictor is ``song/reverse-diffusion`` on the scheduler's table of noise levels, the
corrector ``song/langevin`` with one step for the batch: Song et al., arXiv 2011.13456, equation 47
and algorithm 4.  Names, positions, defaults, tables and types are those of diffusers, its oddities
too; each option that is off by default repairs one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from sdeplug import ArgumentError, ReverseSDE, solver
from sdeplug_diffusers.arguments import counted, each_row, real, state, tensor
from sdeplug_diffusers.corrected import corrected
from sdeplug_diffusers.handed import (
    Generators,
    Given,
    drawn,
    evenly,
    in_rows,
    timed,
    wide,
)
from sdeplug_diffusers.ladder import Ladder, ladder_of
from sdeplug_diffusers.needed import BaseOutput, SchedulerOutput, register_to_config
from sdeplug_diffusers.repairs import Repairable


@dataclass
class SdeVeOutput(BaseOutput):  # type: ignore[misc]
    """What a step of the predictor returns.

    Attributes:
        prev_sample: the next state, shape ``(B, *D)``.
        prev_sample_mean: its mean, without the noise of the step.
    """

    prev_sample: Tensor
    prev_sample_mean: Tensor


class ScoreSdeVeScheduler(Repairable):
    """Predictor and corrector of the variance-exploding SDE, in the place of diffusers' own.

    Args:
        num_train_timesteps: noise levels of the training.
        snr: signal-to-noise ratio of a step of the corrector.
        sigma_min: least noise level.
        sigma_max: largest noise level.
        sampling_eps: time at which sampling ends; it begins at 1.
        correct_steps: steps of the corrector at each level, for pipelines.
        rows_apart: each row has its own length of the corrector's step, and does not depend on
            its neighbours.
        keep_dtype: results have the dtype of the sample, and the corrector draws in it, where it
            is; so a generator of the sample's device serves.
        rebuild_sigmas: noise levels and timesteps are always of one run: setting the one sets the
            other.
        any_noise: ``add_noise`` takes data of any rank, and float times as well as levels.
        single_step: a run of one step goes from sigma_max to 0, and not from sigma_min.
        repaired: all of these.
    """

    repairs = (*Repairable.repairs, "rebuild_sigmas", "any_noise", "single_step")

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(
        self,
        num_train_timesteps: int = 2000,
        snr: float = 0.15,
        sigma_min: float = 0.01,
        sigma_max: float = 1348.0,
        sampling_eps: float = 1e-5,
        correct_steps: int = 1,
        rows_apart: bool = False,
        keep_dtype: bool = False,
        rebuild_sigmas: bool = False,
        any_noise: bool = False,
        single_step: bool = False,
        repaired: bool = False,
    ) -> None:
        self._check_options()
        self.init_noise_sigma = sigma_max
        self.timesteps: Tensor | None = None
        self._ladder: tuple[Tensor, Ladder] | None = None
        self._predictor = solver("song/reverse-diffusion")
        self._corrector = solver("song/langevin", snr=snr, batch_mean=True)
        self.set_sigmas(num_train_timesteps, sigma_min, sigma_max, sampling_eps)

    def set_timesteps(
        self,
        num_inference_steps: int,
        sampling_eps: float | None = None,
        device: str | torch.device | None = None,
    ) -> None:
        """Set ``timesteps``: so many equal steps from 1 to ``sampling_eps``.

        Args:
            num_inference_steps: their number.
            sampling_eps: the last; None: that of the configuration.
            device: where they are; the noise levels stay on the CPU.
        """
        end = self.config.sampling_eps if sampling_eps is None else sampling_eps
        self.timesteps = evenly(end, num_inference_steps, device)
        if self._repairs("rebuild_sigmas"):
            self._tabulate(num_inference_steps, self.config.sigma_min, self.config.sigma_max)

    def set_sigmas(
        self,
        num_inference_steps: int,
        sigma_min: float | None = None,
        sigma_max: float | None = None,
        sampling_eps: float | None = None,
    ) -> None:
        """Set the noise levels: ``sigmas`` at the timesteps, ``discrete_sigmas`` of the steps.

        Args:
            num_inference_steps: number of noise levels.
            sigma_min: the least; None: that of the configuration.
            sigma_max: the largest; None: that of the configuration.
            sampling_eps: the last time, used where the timesteps are not set yet.
        """
        if self.timesteps is None or self._repairs("rebuild_sigmas"):
            end = self.config.sampling_eps if sampling_eps is None else sampling_eps
            device = None if self.timesteps is None else self.timesteps.device
            self.timesteps = evenly(end, num_inference_steps, device)
        self._tabulate(
            num_inference_steps,
            self.config.sigma_min if sigma_min is None else sigma_min,
            self.config.sigma_max if sigma_max is None else sigma_max,
        )

    def get_adjacent_sigma(self, timesteps: Tensor, t: Tensor) -> Tensor:
        """The noise level below each, 0 below the first.

        Args:
            timesteps: numbers of levels, int64, shape ``(B,)``.
            t: their times, of the same shape.
        """
        below = self.discrete_sigmas[timesteps - 1].to(timesteps.device)
        return torch.where(timesteps == 0, torch.zeros_like(t.to(timesteps.device)), below)

    def step_pred(
        self,
        model_output: Tensor,
        timestep: float | Tensor,
        sample: Tensor,
        generator: Generators = None,
        return_dict: bool = True,
    ) -> SdeVeOutput | tuple[Tensor, Tensor]:
        """One step of the predictor: ``song/reverse-diffusion`` on the table of levels.

        Args:
            model_output: the score, shape ``(B, *D)``.
            timestep: time in [0, 1], one or one for each row.
            sample: state, shape ``(B, *D)``.
            generator: where the noise comes from; a list has one for each row.
            return_dict: whether to return :class:`SdeVeOutput` and not a tuple.

        Raises:
            ValueError: before ``set_timesteps``.
        """
        state("model_output", model_output, like=state("sample", sample))
        levels = self._times(timestep, len(sample))
        noise = wide(drawn(sample, generator))
        output, x, ladder = wide(model_output), wide(sample), self._levels()

        def move(level: int, rows: Tensor | slice) -> tuple[Tensor, Tensor]:
            reverse = ReverseSDE(ladder, Given(output[rows]))
            mean, std = self._predictor.kernel(reverse, x[rows], level + 1.0, float(level))
            return noise[rows].mul_(std).add_(mean), mean  # the draws are this step's own

        moved = tuple(self._kept(each, sample) for each in in_rows(levels, move))
        if return_dict:
            return SdeVeOutput(prev_sample=moved[0], prev_sample_mean=moved[1])
        return moved[0], moved[1]

    def step_correct(
        self,
        model_output: Tensor,
        sample: Tensor,
        generator: Generators = None,
        return_dict: bool = True,
    ) -> SchedulerOutput | tuple[Tensor]:
        """One step of the corrector: ``song/langevin`` with one length for the batch.

        Args:
            model_output: the score, shape ``(B, *D)``.
            sample: state, shape ``(B, *D)``.
            generator: where the noise comes from; a list has one for each row.
            return_dict: whether to return ``SchedulerOutput`` and not a tuple of one.

        Raises:
            ValueError: before ``set_timesteps``.
        """
        timed(self.timesteps)
        state("model_output", model_output, like=state("sample", sample))
        ladder = self._levels()
        noise = drawn(sample, generator, everywhere=self._repairs("keep_dtype"))
        moved = corrected(
            self._corrector, ladder, ladder.T, model_output, sample, noise,
            apart=self._repairs("rows_apart"),
        )  # fmt: skip
        moved = self._kept(moved, sample)
        return SchedulerOutput(prev_sample=moved) if return_dict else (moved,)

    def add_noise(
        self, original_samples: Tensor, noise: Tensor | None, timesteps: Tensor
    ) -> Tensor:
        """Data with noise: x_0 + sigma noise.

        Args:
            original_samples: data, images of shape ``(B, C, H, W)``; with ``any_noise`` any.
            noise: of the same shape; None: drawn from torch's own generator.
            timesteps: numbers of levels, int64, shape ``(B,)``; with ``any_noise`` also times in
                [0, 1].
        """
        tensor("original_samples", original_samples)
        noise = torch.randn_like(original_samples) if noise is None else tensor("noise", noise)
        places, levels = tensor("timesteps", timesteps).to("cpu"), self.discrete_sigmas
        any_noise = self._repairs("any_noise")
        if any_noise and places.is_floating_point():
            places = self._level_of(places)
        rows = max(each.shape[:1].numel() for each in (original_samples, noise))
        each_row("timesteps", timesteps, rows)
        whole = not (places.is_floating_point() or places.dtype == torch.bool)
        if not whole or bool((places.abs() >= len(levels)).any()):
            raise ArgumentError(
                "timesteps", timesteps, f"numbers of noise levels, whole and below {len(levels)}",
                "any_noise=True takes times in [0, 1], too.",
            )  # fmt: skip
        sigmas = levels[places].to(original_samples.device)
        rank = original_samples.ndim if any_noise else 4
        return original_samples + noise * sigmas.reshape(-1, *(1,) * (rank - 1))

    def label(self, number: int) -> Tensor:
        """What the network is told at a step of a run: its noise level, float32, shape ``()``."""
        return self.sigmas[number]

    def correct(self, output: Tensor, t: Tensor, x: Tensor, generator: Generators) -> Tensor:
        """:meth:`step_correct`, called alike for every scheduler."""
        return self.step_correct(output, x, generator, return_dict=False)[0]

    def predict(
        self, output: Tensor, t: Tensor, x: Tensor, generator: Generators
    ) -> tuple[Tensor, Tensor]:
        """:meth:`step_pred`, called alike for every scheduler."""
        moved = self.step_pred(output, t, x, generator, return_dict=False)
        return moved[0], moved[1]

    def _tabulate(self, count: int, sigma_min: float, sigma_max: float) -> None:
        counted("num_inference_steps", count)
        if not 0.0 < real("sigma_min", sigma_min) < real("sigma_max", sigma_max):
            raise ArgumentError(
                "sigma_min", sigma_min, f"above 0 and below sigma_max = {sigma_max}"
            )
        if count == 1 and self._repairs("single_step"):
            self.discrete_sigmas = _table([sigma_max])
        else:
            ends = math.log(sigma_min), math.log(sigma_max)
            self.discrete_sigmas = torch.linspace(
                *ends, count, dtype=torch.float32, device="cpu"
            ).exp()
        ratio = sigma_max / sigma_min
        self.sigmas = _table([sigma_min * ratio**t for t in timed(self.timesteps)])

    def _times(self, timestep: float | Tensor, batch: int) -> Tensor:
        """The level of each row, on the CPU."""
        timed(self.timesteps)
        found = each_row("timestep", timestep, batch)
        found = found.to("cpu") if isinstance(found, Tensor) else found
        ones = torch.ones(1, dtype=torch.float32, device="cpu")
        levels = self._level_of((found * ones).flatten())
        last, numbers = len(self.discrete_sigmas) - 1, levels.tolist()
        if not 0 <= min(numbers) <= max(numbers) <= last:
            raise ArgumentError(
                "timestep", timestep, f"that of a level from 0 to {last}",
                "set_sigmas() makes as many levels as there are timesteps.",
            )  # fmt: skip
        return levels

    def _level_of(self, times: Tensor) -> Tensor:
        return (times * (len(timed(self.timesteps)) - 1)).long()

    def _levels(self) -> Ladder:
        """The table as a forward SDE, made anew where it has become another."""
        known, ladder = self._ladder or (None, None)
        if ladder is None or known is not self.discrete_sigmas:
            ladder = ladder_of(self.discrete_sigmas.cpu(), ladder)
            self._ladder = self.discrete_sigmas, ladder
        return ladder


def _table(values: list[Any]) -> Tensor:
    return torch.tensor(values, dtype=torch.float32, device="cpu")
