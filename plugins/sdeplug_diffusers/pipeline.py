"""A pipeline of diffusers for the networks of Song et al.: VE, VP and sub-VP."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from sdeplug import (
    ArgumentError,
    Corrected,
    Corrector,
    Denoise,
    Integrator,
    Leg,
    OnGrid,
    Pipeline,
    ReverseSDE,
    TimeGrid,
    Uniform,
)
from sdeplug.networks import from_diffusers
from sdeplug_diffusers.calling import Calling, Ended, told
from sdeplug_diffusers.handed import Drawing, Generators, drawn
from sdeplug_diffusers.needed import DiffusionPipeline, ImagePipelineOutput
from sdeplug_diffusers.score_sde_ve import ScoreSdeVeScheduler
from sdeplug_diffusers.score_sde_vp import ScoreSdeVpScheduler


class ScoreSdePipeline(DiffusionPipeline):  # type: ignore[misc]
    """Images from a network and a scheduler of Song et al., by any predictor and corrector.

    With the scheduler's own steps, the default, it gives the images of ``ScoreSdeVePipeline`` of
    diffusers under the same seed.  With a predictor of sdeplug the scheduler says only which SDE
    the network belongs to.

    Args:
        unet: network of (sample, label) with ``config.sample_size`` and ``config.in_channels``.
        scheduler: :class:`ScoreSdeVeScheduler`, :class:`ScoreSdeVpScheduler` or
            :class:`ScoreSdeSubVpScheduler`.
    """

    def __init__(self, unet: Any, scheduler: Any) -> None:
        super().__init__()
        if not isinstance(scheduler, (ScoreSdeVeScheduler, ScoreSdeVpScheduler)):
            raise ArgumentError(
                "scheduler", type(scheduler).__name__,
                "ScoreSdeVeScheduler, ScoreSdeVpScheduler or ScoreSdeSubVpScheduler",
                "ScoreSdeVeScheduler.from_config(scheduler.config) makes one of diffusers' own.",
            )  # fmt: skip
        self.register_modules(unet=unet, scheduler=scheduler)

    @torch.no_grad()
    def __call__(
        self,
        batch_size: int = 1,
        num_inference_steps: int = 2000,
        generator: Generators = None,
        output_type: str | None = "pil",
        return_dict: bool = True,
        *,
        predictor: Integrator | None = None,
        corrector: Corrector | None = None,
        grid: TimeGrid | None = None,
        denoise: bool = True,
        callback_on_step_end: Ended | None = None,
    ) -> ImagePipelineOutput | tuple[Any]:
        """Draw images.

        Args:
            batch_size: number of images.
            num_inference_steps: number of steps, of the scheduler, or of ``grid`` left out.
            generator: where the noise comes from; a list has one for each image.
            output_type: "pil", "np" or "pt": PIL images, numpy ``(B, H, W, C)``, or a tensor
                ``(B, C, H, W)``; the last two in [0, 1].
            return_dict: whether to return ``ImagePipelineOutput`` and not a tuple of one.
            predictor: integrator of sdeplug; None: the scheduler's own steps.
            corrector: corrector of sdeplug, after each step of the predictor.
            grid: times of the predictor; None: the scheduler's.
            denoise: whether the last state is the mean of the last step, without its noise; with
                a predictor, whether what is left of the noise is removed at the end.
            callback_on_step_end: called after each step with (pipeline, number, time,
                {"latents": state}); what it returns under "latents" is gone on with.

        Raises:
            ArgumentError: for an unknown ``output_type``, or a corrector or grid without a
                predictor.
        """
        if output_type not in ("pil", "np", "pt"):
            raise ArgumentError("output_type", output_type, "'pil', 'np' or 'pt'")
        if predictor is None and (corrector is not None or grid is not None):
            raise ArgumentError(
                "predictor", None, "an integrator, where a corrector or a grid is given",
                "Without one the steps are the scheduler's own.",
            )  # fmt: skip
        size = self.unet.config.sample_size
        height, width = size if isinstance(size, (tuple, list)) else (size, size)
        shape = (batch_size, self.unet.config.in_channels, height, width)
        like = torch.empty(
            shape, dtype=torch.float32, device="cpu"
        )  # as diffusers: every device has the same start
        x = (drawn(like, generator) * self.scheduler.init_noise_sigma).to(self.device)
        self._set_up(num_inference_steps)
        if predictor is None:
            x = self._by_scheduler(x, generator, denoise, callback_on_step_end)
        else:
            by = predictor
            if corrector is not None or callback_on_step_end is not None:
                by = Corrected(predictor, Calling(corrector, callback_on_step_end, self))
            x = self._by_solver(x, generator, by, grid or Uniform(num_inference_steps), denoise)
        images = self._shown(x, output_type)
        return ImagePipelineOutput(images=images) if return_dict else (images,)

    def _set_up(self, steps: int) -> None:
        self.scheduler.set_timesteps(steps)
        if isinstance(self.scheduler, ScoreSdeVeScheduler):
            self.scheduler.set_sigmas(steps)

    def _by_scheduler(
        self, x: Tensor, generator: Generators, denoise: bool, ended: Ended | None
    ) -> Tensor:
        """Predictor and corrector of the scheduler, the corrector first."""
        scheduler, mean = self.scheduler, x
        for number, t in enumerate(self.progress_bar(scheduler.timesteps)):
            label = scheduler.label(number).to(x.device).expand(len(x))
            for _ in range(scheduler.config.correct_steps):
                x = scheduler.correct(self.unet(x, label, return_dict=False)[0], t, x, generator)
            output = self.unet(x, label, return_dict=False)[0]
            x, mean = scheduler.predict(output, t, x, generator)
            x = told(ended, self, number, float(t), x)
        return mean if denoise else x

    def _by_solver(
        self, x: Tensor, generator: Generators, by: Integrator, grid: TimeGrid, denoise: bool
    ) -> Tensor:
        """A run of sdeplug, whose score model is the network with the scheduler's SDE."""
        model = from_diffusers(self)
        whole = OnGrid(by, grid) if by.needs_grid else by
        legs = [Leg(self.scheduler.config.sampling_eps, whole)]
        legs += [Leg(0.0, Denoise())] if denoise else []
        pipeline = Pipeline(ReverseSDE(model.sde, model.score), tuple(legs))
        with self.progress_bar(total=grid.length) as bar:
            return pipeline.sample(
                x=x, noise=Drawing(generator), observers=lambda event: bar.update(1)
            ).x

    def _shown(self, x: Tensor, output_type: str) -> Any:
        """Images in [0, 1]: those of VE are there, those of VP in [-1, 1]."""
        if not isinstance(self.scheduler, ScoreSdeVeScheduler):
            x = 0.5 * (x + 1.0)
        images = x.clamp(0.0, 1.0).cpu()
        if output_type == "pt":
            return images
        array = images.permute(0, 2, 3, 1).float().numpy()
        return self.numpy_to_pil(array) if output_type == "pil" else array
