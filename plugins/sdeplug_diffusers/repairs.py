"""What the schedulers of Song et al. have in common: repairs that are options."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from sdeplug_diffusers.arguments import counted, switched
from sdeplug_diffusers.needed import ConfigMixin, SchedulerMixin


class Repairable(SchedulerMixin, ConfigMixin):  # type: ignore[misc]
    """A scheduler of single steps with oddities of diffusers, and options that repair them.

    An option of the configuration repairs one oddity, ``repaired`` all.
    """

    order = 1
    repairs: ClassVar[tuple[str, ...]] = ("repaired", "rows_apart", "keep_dtype")

    def scale_model_input(self, sample: Tensor, timestep: float | Tensor | None = None) -> Tensor:
        """The sample as it is, shape ``(B, *D)``."""
        return sample

    def __len__(self) -> int:
        return int(self.config.num_train_timesteps)

    def _check_options(self) -> None:
        """Refuse options of all schedulers that are none.

        Raises:
            ArgumentError: for a count that is no whole number, or a repair that is not on or off.
        """
        counted("num_train_timesteps", self.config.num_train_timesteps)
        counted("correct_steps", self.config.correct_steps, least=0)
        switched(self.config, *self.repairs)

    def _repairs(self, what: str) -> bool:
        """Whether an option is on, by itself or with all."""
        return bool(self.config.repaired or self.config[what])

    def _kept(self, moved: Tensor, sample: Tensor) -> Tensor:
        """A result in the dtype of the sample, where that is repaired."""
        return moved.to(sample.dtype) if self._repairs("keep_dtype") else moved
