"""What the configuration of a scheduler says of the network: its SDE, labels and prediction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import inf
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sdeplug import (
    ArgumentError,
    FromDenoiser,
    FromFlow,
    FromNoise,
    FromVelocity,
    Integrator,
    LinearSDE,
    TabulatedSDE,
    from_spec,
)
from sdeplug.networks.spacing import SPACINGS, spaced
from sdeplug_diffusers.arguments import counted, real, reals, switched
from sdeplug_diffusers.cut import asks
from sdeplug_diffusers.flow import StraightSDE
from sdeplug_diffusers.needed import DDIMScheduler

PREDICTS: Mapping[str, Any] = MappingProxyType(
    {
        "epsilon": FromNoise,
        "sample": FromDenoiser,
        "v_prediction": FromVelocity,
        "flow_prediction": FromFlow,
    }
)
"""What a network predicts, by the word of diffusers."""


@dataclass(frozen=True)
class Schedule:
    """The SDE of a network, with the words of diffusers for its times.

    Attributes:
        sde: the linear SDE.
        predicts: the parametrisation.
        spacing: how steps are spaced.
        offset: added to the labels of "leading".
        shift: of the times of the straight path.
        last_label: label at t = 1, for an SDE that is no table.
    """

    sde: LinearSDE
    predicts: Any
    spacing: str
    offset: int
    shift: float
    last_label: float

    @property
    def double(self) -> bool:
        """Whether the state needs float64: near pure noise alpha is 1e-6 on the straight path."""
        return isinstance(self.sde, StraightSDE)

    def nodes(self, steps: int) -> tuple[float, ...]:
        """The times at which so many steps begin, falling."""
        if isinstance(self.sde, TabulatedSDE):
            return self._falling(spaced(self.sde, self.spacing, self.offset, steps).points, steps)
        if steps < 1:
            raise ArgumentError("num_inference_steps", steps, "1 at least")
        (last,) = self._moved([1.0 / self.last_label])  # diffusers shifts the last time twice
        return self._shifted(np.linspace(1.0, last, steps).tolist())

    def of_labels(self, labels: Sequence[float]) -> tuple[float, ...]:
        """The times of labels."""
        return self._falling([self.time_of(each) for each in reals("timesteps", labels)], labels)

    def of_sigmas(self, sigmas: Sequence[float]) -> tuple[float, ...]:
        """The times of noise levels sigma / alpha, or the shifted ones of the straight path."""
        allowed = "a list of numbers above 0, the last may be 0"
        values = reals("sigmas", sigmas, allowed)
        kept = values[:-1] if values and values[-1] == 0.0 else values
        if not all(0.0 < each < inf for each in kept):
            raise ArgumentError("sigmas", sigmas, allowed)
        if self.double:
            return self._shifted(kept)
        levels = torch.tensor(kept, dtype=torch.float64, device="cpu")
        return self._falling(self.sde.time_at(-2.0 * levels.log()).tolist(), sigmas)

    def time_of(self, label: float) -> float:
        """The time of a label, at most T."""
        table = self.sde
        time = table.time_of(label) if isinstance(table, TabulatedSDE) else label / self.last_label
        return min(time, table.T)

    def labels(self, times: Sequence[float]) -> Tensor:
        """What the network is told: int64 where all are whole numbers, else float32."""
        ends = [1.0 if time == self.sde.T else time for time in times]
        table = torch.tensor(ends, dtype=torch.float64, device="cpu")
        if isinstance(self.sde, TabulatedSDE):
            labels = self.sde.label(table)
        else:
            labels = self.last_label * table
        whole = labels.round()
        if bool((labels - whole).abs().max() < 1e-6):
            return whole.long()
        return labels.float()

    def sigmas(self, times: Sequence[float]) -> Tensor:
        """Noise levels sigma / alpha, or t on the straight path, and a last 0: float32."""
        marginals = [self.sde.at(time) for time in times]
        levels = [each.sigma / (1.0 if self.double else each.alpha) for each in marginals]
        return torch.tensor([*levels, 0.0], dtype=torch.float32, device="cpu")

    def probe(self, by: Integrator) -> list[float]:
        """The times at which a step of the solver asks for the score."""
        sde = self.sde
        found = asks(by, sde, (sde.T, 0.5 * sde.T))
        return [ask.time for ask in found if ask.step == 0]

    def _shifted(self, times: Sequence[float]) -> tuple[float, ...]:
        return self._falling(self._moved(times), list(times))

    def _moved(self, times: Sequence[float]) -> list[float]:
        return [self.shift * t / (1.0 + (self.shift - 1.0) * t) for t in times]

    def _falling(self, times: Sequence[float], given: object) -> tuple[float, ...]:
        found = tuple(min(float(time), self.sde.T) for time in times)
        if not found or any(late <= early for late, early in pairwise(found)):
            raise ArgumentError(
                "timesteps", given, "strictly falling from step to step",
                "Where the last levels are noise alone, they are one.",
            )  # fmt: skip
        return found


def schedule_of(
    config: Mapping[str, Any], sde: LinearSDE | str | Mapping[str, Any] | None
) -> Schedule:
    """The schedule of a configuration.

    Args:
        config: of a scheduler.
        sde: another SDE than the one of its betas.

    Raises:
        ArgumentError: for an unknown prediction type, or a shift or last label that is not above 0.
    """
    word = config["prediction_type"]
    if not isinstance(word, str) or word not in PREDICTS:
        raise ArgumentError("prediction_type", word, f"one of {', '.join(PREDICTS)}")
    if isinstance(sde, (str, Mapping)):
        sde = from_spec({"name": sde} if isinstance(sde, str) else sde, LinearSDE)
    if sde is not None and not isinstance(sde, LinearSDE):
        raise ArgumentError("sde", sde, "a LinearSDE, such as VPSDE(), or the name of one")
    if sde is None:
        sde = StraightSDE() if word == "flow_prediction" else TabulatedSDE(betas=_betas(config))
    for name in ("shift", "last_label"):
        if not real(name, config[name]) > 0.0:
            raise ArgumentError(name, config[name], "above 0")
    counted("steps_offset", config["steps_offset"], 0)
    spacing = config["timestep_spacing"]
    if not isinstance(spacing, str) or spacing not in SPACINGS:
        raise ArgumentError("timestep_spacing", spacing, f"one of {', '.join(SPACINGS)}")
    names = ("timestep_spacing", "steps_offset", "shift", "last_label")
    return Schedule(sde, PREDICTS[word], *(config[name] for name in names))


_WORDS = ("linear", "scaled_linear", "squaredcos_cap_v2")


def _betas(config: Mapping[str, Any]) -> tuple[float, ...]:
    names = (
        "num_train_timesteps", "beta_start", "beta_end", "beta_schedule", "trained_betas",
        "rescale_betas_zero_snr",
    )  # fmt: skip
    counted("num_train_timesteps", config["num_train_timesteps"])
    switched(config, "rescale_betas_zero_snr")
    word, trained = config["beta_schedule"], config["trained_betas"]
    if word not in _WORDS:
        raise ArgumentError("beta_schedule", word, f"one of {', '.join(_WORDS)}")
    for name in ("beta_start", "beta_end"):
        if not 0.0 < real(name, config[name]) < 1.0:
            raise ArgumentError(name, config[name], "a number in (0, 1)")
    if trained is not None:
        reals("trained_betas", trained)
    table = DDIMScheduler(**{name: config[name] for name in names}).betas
    return tuple(table.double().tolist())
