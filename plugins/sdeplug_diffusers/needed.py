"""What is taken from diffusers, in one place, so that its absence is one clear sentence."""

from __future__ import annotations

from sdeplug import MissingExtraError

try:
    from diffusers import (
        ConfigMixin,
        DDIMScheduler,
        DiffusionPipeline,
        ImagePipelineOutput,
        SchedulerMixin,
    )
    from diffusers.configuration_utils import register_to_config
    from diffusers.schedulers.scheduling_utils import SchedulerOutput
    from diffusers.utils import BaseOutput
    from diffusers.utils.torch_utils import randn_tensor
except ModuleNotFoundError as error:
    raise MissingExtraError("sdeplug_diffusers", error.name or "diffusers", "diffusers") from error

__all__ = [
    "BaseOutput",
    "ConfigMixin",
    "DDIMScheduler",
    "DiffusionPipeline",
    "ImagePipelineOutput",
    "SchedulerMixin",
    "SchedulerOutput",
    "randn_tensor",
    "register_to_config",
]
