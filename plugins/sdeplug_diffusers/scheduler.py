"""An integrator of sdeplug in the place of a scheduler of diffusers."""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from sdeplug import ArgumentError, Integrator, LinearSDE, ReverseSDE
from sdeplug_diffusers.arguments import counted, each_row, placed, real, state, tensor
from sdeplug_diffusers.configured import translated
from sdeplug_diffusers.cut import Ask, Course, asks, in_units
from sdeplug_diffusers.handed import Generators, Given, Handed, timed, wide
from sdeplug_diffusers.needed import (
    ConfigMixin,
    SchedulerMixin,
    SchedulerOutput,
    register_to_config,
)
from sdeplug_diffusers.plain import plain, single_steps
from sdeplug_diffusers.schedule import Schedule, schedule_of


class IntegratorScheduler(SchedulerMixin, ConfigMixin):  # type: ignore[misc]
    """An integrator of sdeplug in the place of a scheduler.

    ``IntegratorScheduler.from_config(pipeline.scheduler.config, solver="exponential/unipc")`` keeps
    the schedule that the network was trained for; :func:`as_scheduler` takes a solver as an object.

    A solver with several stages has more timesteps than steps, and ``order`` says how many go with
    a step, as for the Heun scheduler of diffusers.  The last step is always the denoising, from the
    last level to the data.  A state that was changed between two steps, as in inpainting, is taken
    as it is, and a multistep solver keeps what it knows.

    Args:
        solver: name of an integrator of single steps, or its plain form (:func:`sdeplug.to_spec`);
            one with a grid of its own is taken with one step of it.
        num_train_timesteps: levels of the training.
        beta_start: beta of the first level.
        beta_end: beta of the last level.
        beta_schedule: as in diffusers: "linear", "scaled_linear" or "squaredcos_cap_v2".
        trained_betas: all betas, in the place of the last three.
        rescale_betas_zero_snr: whether the last level is noise alone.
        prediction_type: what the network predicts: "epsilon", "sample", "v_prediction" or
            "flow_prediction".  With the last one x_t = (1 - t) x_0 + t epsilon, and no betas.
        timestep_spacing: "leading", "trailing" or "linspace", as in diffusers.
        steps_offset: added to the timesteps of "leading".
        shift: of the times of "flow_prediction": t becomes shift t / (1 + (shift - 1) t).
        sde: another linear SDE, its name or plain form; None: the betas, or the straight path.
        last_label: what the network is told at t = 1, for an SDE that is no table.
        stochasticity: that of the reverse SDE; None: ``eta`` of a step, or else 1.

    Raises:
        ArgumentError: for a solver that cannot be cut into steps, or an unknown prediction type.
    """

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(
        self,
        solver: str | Mapping[str, Any] | Integrator = "exponential/unipc",
        num_train_timesteps: int = 1000,
        beta_start: float = 0.0001,
        beta_end: float = 0.02,
        beta_schedule: str = "linear",
        trained_betas: Sequence[float] | None = None,
        rescale_betas_zero_snr: bool = False,
        prediction_type: str = "epsilon",
        timestep_spacing: str = "leading",
        steps_offset: int = 0,
        shift: float = 1.0,
        sde: str | Mapping[str, Any] | LinearSDE | None = None,
        last_label: float = 1000.0,
        stochasticity: float | None = None,
    ) -> None:
        self._by = single_steps(solver)
        self.schedule: Schedule = schedule_of(self.config, sde)
        self.register_to_config(solver=plain(solver), sde=None if sde is None else plain(sde))
        self.order = len(self.schedule.probe(self._by))
        if stochasticity is not None:  # one that cannot be is an error now, not in the run
            nothing = Given(torch.empty(0, dtype=torch.float32, device="cpu"))
            ReverseSDE(self.schedule.sde, nothing, real("stochasticity", stochasticity))
        self.num_inference_steps: int | None = None
        self.timesteps: Tensor | None = None
        self._step_index: int | None = None
        self._begin_index: int | None = None
        self._course: Course | None = None
        self._held: tuple[Tensor, Tensor, int] | None = None
        self.sigmas: Tensor | None = None

    @classmethod
    def from_config(cls, config: Any = None, *others: Any, **options: Any) -> Any:
        """One for the network that another scheduler was configured for.

        Args:
            config: of a scheduler of diffusers, or of this one.
            others: as in diffusers.
            options: of this class, above what the configuration says.

        Raises:
            ArgumentError: for what is no configuration, or a schedule that is neither a table
                of betas nor the straight path.
        """
        if not isinstance(config, (Mapping, str, os.PathLike)):
            raise ArgumentError("config", config, "the configuration of a scheduler")
        if isinstance(config, Mapping):
            options = {**translated({**config, **options}), **options}
        return super().from_config(config, *others, **options)

    @property
    def init_noise_sigma(self) -> float:
        """Standard deviation of the noise to start from."""
        return self.schedule.sde.prior_std

    @property
    def step_index(self) -> int | None:
        """Number of the next call; None before the first."""
        return self._step_index

    @property
    def begin_index(self) -> int | None:
        """Number of the first call, where :meth:`set_begin_index` has said so."""
        return self._begin_index

    def set_begin_index(self, begin_index: int | None = 0) -> None:
        """Begin at a later timestep, as pipelines that start from an image do."""
        self._begin_index = None if begin_index is None else counted("begin_index", begin_index, 0)

    def scale_model_input(self, sample: Tensor, timestep: float | Tensor | None = None) -> Tensor:
        """The sample as it is, shape ``(B, *D)``."""
        return sample

    def set_timesteps(
        self,
        num_inference_steps: int | None = None,
        device: str | torch.device | None = None,
        timesteps: Sequence[float] | None = None,
        sigmas: Sequence[float] | None = None,
    ) -> None:
        """Set ``timesteps``, at which the network is asked, by one of three.

        Args:
            num_inference_steps: number of steps, spaced as ``timestep_spacing`` says.
            device: where the timesteps are.
            timesteps: falling labels of the network, at which steps begin.
            sigmas: falling noise levels sigma / alpha, at which steps begin; a last 0 is left out.
                With "flow_prediction" they are the times, before ``shift``.

        Raises:
            ArgumentError: unless one of the three is given, or for values that do not fall.
        """
        given = [each is not None for each in (num_inference_steps, timesteps, sigmas)]
        if sum(given[1:]) > 1 or not any(given):
            raise ArgumentError(
                "timesteps", timesteps, "one of num_inference_steps, timesteps and sigmas"
            )
        if timesteps is not None:
            nodes = self.schedule.of_labels(timesteps)
        elif sigmas is not None:
            nodes = self.schedule.of_sigmas(sigmas)
        else:
            nodes = self.schedule.nodes(counted("num_inference_steps", num_inference_steps))
        self._set(nodes, device)

    def step(
        self,
        model_output: Tensor,
        timestep: float | Tensor,
        sample: Tensor,
        eta: float | None = None,
        generator: Generators = None,
        return_dict: bool = True,
        *,
        use_clipped_model_output: bool | None = None,
    ) -> SchedulerOutput | tuple[Tensor]:
        """Take in what the network said, and give the state to ask it about next.

        Args:
            model_output: what the network predicts, shape ``(B, *D)``.
            timestep: the timestep that it was asked at.
            sample: the state that it was asked about, shape ``(B, *D)``.
            eta: stochasticity of the reverse SDE, the same in all steps of a run; 1 is that of
                the SDE, 0 the probability flow.
            generator: where noise comes from; a list has one for each row.
            return_dict: whether to return ``SchedulerOutput`` and not a tuple of one.
            use_clipped_model_output: of ``DDIMPipeline``; here nothing is clipped.

        Raises:
            ValueError: before ``set_timesteps``.
            ArgumentError: for a timestep that is not the next one, or after the last.
        """
        ask = self._next(timestep)
        course = self._begun(eta)
        state("model_output", model_output, like=state("sample", sample))
        moved = course(ask, self._wide(model_output), self._state(sample, course), generator)
        self._step_index = (self._step_index or 0) + 1
        narrow = moved.to(sample.dtype)
        returned = narrow.view_as(narrow) if narrow is moved else narrow
        self._held = returned, moved, _version(returned)
        return SchedulerOutput(prev_sample=returned) if return_dict else (returned,)

    def add_noise(self, original_samples: Tensor, noise: Tensor, timesteps: Tensor) -> Tensor:
        """Data with noise, alpha x_0 + sigma noise.

        Args:
            original_samples: data, shape ``(B, *D)``.
            noise: of the same shape.
            timesteps: labels, shape ``()`` or ``(B,)``.
        """
        rows = len(state("original_samples", original_samples))
        told = each_row("timesteps", timesteps, rows)
        labels = torch.as_tensor(told, dtype=torch.float64, device="cpu").flatten().tolist()
        found = torch.tensor([self.schedule.time_of(each) for each in labels], dtype=torch.float64,
                             device=original_samples.device)  # fmt: skip
        given = Handed(tensor("noise", noise))
        return self.schedule.sde.perturb(original_samples, found.expand(rows), given)

    def scale_noise(self, sample: Tensor, timestep: Tensor, noise: Tensor) -> Tensor:
        """:meth:`add_noise`, as pipelines of flow matching call it."""
        return self.add_noise(sample, noise, timestep)

    def __len__(self) -> int:
        return int(self.config.num_train_timesteps)

    def __deepcopy__(self, memo: dict[int, Any]) -> IntegratorScheduler:
        """A scheduler of its own, at the same timestep; multistep memory begins anew."""
        twin = copy.copy(self)
        twin._held = None
        if self._course is not None:
            twin._course = self._course.copied()
        return twin

    def _set(self, nodes: Sequence[float], device: str | torch.device | None) -> None:
        schedule = self.schedule
        schedule.sde.prepare(nodes)
        found = asks(self._by, schedule.sde, nodes)
        self._nodes, self._asks = nodes, in_units(found, schedule.predicts, schedule.sde)
        self.num_inference_steps = len(nodes)
        asked = [ask.time for ask in self._asks]
        self.timesteps = schedule.labels(asked).to(placed(device) or "cpu")
        self.sigmas = schedule.sigmas(asked)
        self._labels: list[float] = self.timesteps.tolist()
        self._step_index = self._begin_index = self._course = self._held = None

    def _next(self, timestep: float | Tensor) -> Ask:
        timed(self.timesteps)
        first = timestep.flatten()[:1] if isinstance(timestep, Tensor) else timestep
        label = real("timestep", first)
        index = self._step_index
        if index is None:
            index = self._begin_index
        if index is None:
            found = [k for k, each in enumerate(self._labels) if each == label]
            index = found[0] if found else 0
        if index >= len(self._labels):
            raise ArgumentError(
                "timestep", label, "none after the last one", "set_timesteps() begins a new run."
            )
        if self._labels[index] != label:
            raise ArgumentError(
                "timestep", label, f"{self._labels[index]:g}, the one of step {index}",
                "Steps are taken in the order of scheduler.timesteps; set_timesteps() begins anew.",
            )  # fmt: skip
        self._step_index = index
        return self._asks[index]

    def _begun(self, eta: float | None) -> Course:
        """The run, begun where this is its first step."""
        only = self._by.claims.level
        said = (self.config.stochasticity, eta, only, 1.0)
        level = real("eta", next(each for each in said if each is not None))
        if only is not None and level != only:
            raise ArgumentError("eta", level, f"{only:g} for {self._by!r}", "It has no other.")
        if self._course is None or self._course.stochasticity != level:
            self._course = Course(self._by, self.schedule.sde, level, self._nodes)
        return self._course

    def _wide(self, x: Tensor) -> Tensor:
        return x.to(torch.float64) if self.schedule.double else wide(x)

    def _state(self, sample: Tensor, course: Course) -> Tensor:
        """The state as the solver knows it: what it returned, or that changed to the sample."""
        if self._held is None:
            return self._wide(sample)
        returned, state, version = self._held
        if sample is returned and _version(sample) == version:
            return state
        changed = self._wide(sample)
        if changed.requires_grad or state.requires_grad or changed.shape != state.shape:
            return changed
        state.data = changed  # the tensor that a multistep solver knows; what was returned stays
        return state


def _version(x: Tensor) -> int:
    """How often a tensor has been written to; 0 where torch does not count."""
    return 0 if x.is_inference() else x._version
