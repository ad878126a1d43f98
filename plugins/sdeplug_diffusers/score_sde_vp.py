"""``ScoreSdeVpScheduler`` of diffusers with the arithmetic of sdeplug, and the same for sub-VP.

The predictor is ``song/euler-maruyama``, the corrector ``song/langevin`` with one step for the
batch: Song et al., arXiv 2011.13456, equations 32 to 34 and algorithm 5.  Names, positions,
defaults and types are those of diffusers; what its users patch in is here from the start.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from sdeplug import VPSDE, ArgumentError, FromNoise, LinearSDE, ReverseSDE, SubVPSDE, solver
from sdeplug_diffusers.arguments import each_row, state, tensor
from sdeplug_diffusers.corrected import corrected
from sdeplug_diffusers.handed import (
    Generators,
    Given,
    Handed,
    drawn,
    evenly,
    in_rows,
    timed,
    wide,
)
from sdeplug_diffusers.needed import SchedulerOutput, register_to_config
from sdeplug_diffusers.repairs import Repairable

LABELS = 999.0
"""What a continuous network of Song et al. is told at t = 1."""


class ScoreSdeVpScheduler(Repairable):
    """Predictor and corrector of the variance-preserving SDE, in the place of diffusers' own.

    Args:
        num_train_timesteps: steps of the training.
        beta_min: beta at time 0.
        beta_max: beta at time 1.
        sampling_eps: time at which sampling ends; it begins at 1.
        snr: signal-to-noise ratio of a step of the corrector.
        correct_steps: steps of the corrector at each time, for pipelines.
        rows_apart: a repair, as for :class:`ScoreSdeVeScheduler`.
        keep_dtype: a repair, too.
        repaired: both of these.
    """

    sde_class: ClassVar[type[LinearSDE]] = VPSDE

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(
        self,
        num_train_timesteps: int = 2000,
        beta_min: float = 0.1,
        beta_max: float = 20,
        sampling_eps: float = 1e-3,
        snr: float = 0.16,
        correct_steps: int = 0,
        rows_apart: bool = False,
        keep_dtype: bool = False,
        repaired: bool = False,
    ) -> None:
        self._check_options()
        self.init_noise_sigma = 1.0
        self.sigmas = None
        self.discrete_sigmas = None
        self.timesteps: Tensor | None = None
        self._sde = self.sde_class(beta_min=beta_min, beta_max=beta_max, eps=0.0)  # type: ignore[call-arg]

    def set_timesteps(
        self, num_inference_steps: int, device: str | torch.device | None = None
    ) -> None:
        """Set ``timesteps``: so many from 1 to ``sampling_eps``, evenly, where ``device`` says."""
        self.timesteps = evenly(self.config.sampling_eps, num_inference_steps, device)
        self._sde.prepare(self.timesteps.tolist())
        self._predictor = solver("song/euler-maruyama", reference_steps=num_inference_steps)

    def step_pred(
        self,
        score: Tensor,
        x: Tensor,
        t: float | Tensor,
        generator: Generators = None,
        noise: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """One step of the predictor, ``song/euler-maruyama``, of the length 1 / steps.

        Args:
            score: what the network predicts, the noise, shape ``(B, *D)``.
            x: state, shape ``(B, *D)``.
            t: time in (0, 1], one or one for each row.
            generator: where the noise comes from; a list has one for each row.
            noise: numbers to use in the place of drawn ones, shape ``(B, *D)``.

        Returns:
            The next state, and its mean without the noise of the step.

        Raises:
            ValueError: before ``set_timesteps``.
        """
        state("score", score, like=state("x", x))
        each = self._times("t", t, len(x))
        noise = wide(drawn(x, generator) if noise is None else state("noise", noise, like=x))
        output, wide_x = wide(score), wide(x)

        def move(time: float, rows: Tensor | slice) -> tuple[Tensor, Tensor]:
            reverse = ReverseSDE(self._sde, FromNoise(Given(output[rows]), self._sde))
            mean, std = self._predictor.kernel(reverse, wide_x[rows], time, 0.0)
            return mean + std * noise[rows], mean

        moved, mean = in_rows(each, move)
        return self._kept(moved, x), self._kept(mean, x)

    def step_correct(
        self,
        model_output: Tensor,
        timestep: float | Tensor,
        sample: Tensor,
        generator: Generators = None,
        return_dict: bool = True,
    ) -> SchedulerOutput | tuple[Tensor]:
        """One step of the corrector: ``song/langevin`` with one length for the batch.

        Args:
            model_output: what the network predicts, the noise, shape ``(B, *D)``.
            timestep: time in (0, 1], the same for all rows.
            sample: state, shape ``(B, *D)``.
            generator: where the noise comes from; a list has one for each row.
            return_dict: whether to return ``SchedulerOutput`` and not a tuple of one.

        Raises:
            ValueError: before ``set_timesteps``.
            ArgumentError: for a time of its own for each row.
        """
        state("model_output", model_output, like=state("sample", sample))
        found = self._times("timestep", timestep, len(sample)).unique().tolist()
        if len(found) > 1:
            raise ArgumentError("timestep", found, "one time for the batch")
        reverse = ReverseSDE(self._sde, FromNoise(Given(wide(model_output)), self._sde))
        score = reverse.score(wide(sample), found[0])
        by = solver(
            "song/langevin", snr=self.config.snr, batch_mean=True, reference_steps=self._steps
        )
        noise = drawn(sample, generator)
        apart = self._repairs("rows_apart")
        moved = corrected(by, self._sde, found[0], score, sample, noise, apart=apart)
        moved = self._kept(moved, sample)
        return SchedulerOutput(prev_sample=moved) if return_dict else (moved,)

    def add_noise(self, original_samples: Tensor, noise: Tensor, timesteps: Tensor) -> Tensor:
        """Data with noise, alpha x_0 + sigma noise.

        Args:
            original_samples: data, shape ``(B, *D)``.
            noise: of the same shape.
            timesteps: times in [0, 1], one or one for each row: shape ``()`` or ``(B,)``.
        """
        each = tensor("timesteps", timesteps).to(state("original_samples", original_samples).device)
        if not bool(((each >= 0.0) & (each <= 1.0)).all()):
            raise ArgumentError("timesteps", timesteps, "times in [0, 1]")
        each_row("timesteps", each, len(original_samples))
        return self._sde.perturb(original_samples, each, Handed(tensor("noise", noise)))

    def label(self, number: int) -> Tensor:
        """What the network is told at a step of a run: 999 t, float32, shape ``()``."""
        return LABELS * timed(self.timesteps)[number]

    def correct(self, output: Tensor, t: Tensor, x: Tensor, generator: Generators) -> Tensor:
        """:meth:`step_correct`, called alike for every scheduler."""
        return self.step_correct(output, t, x, generator, return_dict=False)[0]

    def predict(
        self, output: Tensor, t: Tensor, x: Tensor, generator: Generators
    ) -> tuple[Tensor, Tensor]:
        """:meth:`step_pred`, called alike for every scheduler."""
        return self.step_pred(output, x, t, generator)

    @property
    def _steps(self) -> int:
        return len(timed(self.timesteps))

    def _times(self, argument: str, t: float | Tensor, batch: int) -> Tensor:
        """The time of each row, float64, shape ``(B,)``."""
        timed(self.timesteps)
        told = each_row(argument, t, batch)
        found = torch.as_tensor(told, dtype=torch.float64, device="cpu").flatten()
        if not bool(((found > 0.0) & (found <= 1.0)).all()):
            raise ArgumentError(argument, t, "in (0, 1]", "At 0 there is no noise to predict.")
        return found.expand(batch)


class ScoreSdeSubVpScheduler(ScoreSdeVpScheduler):
    """Predictor and corrector of the sub-variance-preserving SDE; options as for VP.

    Song et al., arXiv 2011.13456, section 3.4.
    """

    sde_class: ClassVar[type[LinearSDE]] = SubVPSDE
