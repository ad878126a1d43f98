r"""How schedulers of diffusers keep their state and their tables.

A scheduler holds tables of its training schedule.  After it is built they are replaced by the
exact values at the nodes of the grid, in float64: ``sigmas`` are :math:`q = \sigma/\alpha`, and
``alphas_cumprod`` are :math:`1 / (1 + q^2)`.  So there are no discrete training times, and the
last step ends at s like any other.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from torch import Tensor

from sdeplug import LinearSDE
from sdeplug_foreign.borrowed import Passage, numbers


class Place(NamedTuple):
    """Where a scheduler wants the model.

    Attributes:
        time: of the SDE.
        ratio: q there.
    """

    time: float
    ratio: float


class Preserving:
    """The state is kept as that of the variance-preserving SDE; tables are ``sigmas``.

    Args:
        passage: the way from t to s.
    """

    def __init__(self, passage: Passage) -> None:
        self.passage = passage
        self.steps = len(passage.times) - 1

    @staticmethod
    def times(t: float, s: float, sde: LinearSDE, steps: int) -> Sequence[float] | None:
        """The times of its steps, where it leaves no choice; else None."""
        return None

    @property
    def training_steps(self) -> int:
        """How many training times a scheduler is built with, before its tables are replaced."""
        return max(1000, 2 * self.steps)

    def arguments(self) -> dict[str, Any]:
        """What the scheduler is built with."""
        return {"num_train_timesteps": self.training_steps, "prediction_type": "sample"}

    def set_up(self, scheduler: Any, like: Tensor) -> None:
        """Put the tables of the grid in.

        Args:
            scheduler: as it was built.
            like: the state, for what draws noise.
        """
        scheduler.set_timesteps(self.steps)
        scheduler.sigmas = numbers(self.levels())
        scheduler.timesteps = numbers(range(self.steps))
        scheduler.set_begin_index(0)

    def levels(self) -> Sequence[float]:
        """The noise levels at the nodes, as the scheduler counts them."""
        return self.passage.ratios

    def labels(self, scheduler: Any) -> Any:
        """What stands for the time in each call of ``step``."""
        return scheduler.timesteps

    def place(self, call: int) -> Place:
        """Where a call wants the model."""
        return self.node(call)

    def node(self, number: int) -> Place:
        """A node of the grid."""
        return Place(self.passage.times[number], self.passage.ratios[number])

    def factor(self, place: Place) -> float:
        """State over x."""
        return 1.0 / (self.passage.alpha(place.time) * math.sqrt(1.0 + place.ratio**2))

    def output(self, scheduler: Any, clean: Tensor, state: Tensor, place: Place) -> Tensor:
        """The model output that says that the data are ``clean``."""
        return clean

    def ask(self, scheduler: Any, label: Any, state: Tensor) -> None:
        """Tell the scheduler that the model is asked; some count on it."""
        scheduler.scale_model_input(state, label)

    def step(
        self, scheduler: Any, output: Tensor, label: Any, state: Tensor, **more: Any
    ) -> Tensor:
        """The next state."""
        moved: Tensor = scheduler.step(output, label, state, **more).prev_sample
        return moved


class Angular(Preserving):
    """The state is kept as alpha x_0 + sigma noise, the tables are alpha and sigma."""

    def arguments(self) -> dict[str, Any]:
        """What the scheduler is built with."""
        return {"num_train_timesteps": self.training_steps}

    def set_up(self, scheduler: Any, like: Tensor) -> None:
        """Put the tables of the grid in."""
        super().set_up(scheduler, like)
        alphas = [alpha_of(q) for q in self.passage.ratios]
        scheduler.alphas = numbers(alphas)
        pairs = zip(self.passage.ratios, alphas, strict=True)
        scheduler.betas = numbers([q * alpha for q, alpha in pairs])

    def output(self, scheduler: Any, clean: Tensor, state: Tensor, place: Place) -> Tensor:
        """The velocity alpha noise - sigma x_0."""
        alpha = alpha_of(place.ratio)
        return (alpha * state - clean) / (alpha * place.ratio)


class Exploding(Preserving):
    """The state is kept as x / alpha."""

    def factor(self, place: Place) -> float:
        """State over x."""
        return 1.0 / self.passage.alpha(place.time)


class Noise(Exploding):
    """Likewise, for a scheduler that understands predicted noise only."""

    def arguments(self) -> dict[str, Any]:
        """What the scheduler is built with."""
        return {"num_train_timesteps": self.training_steps, "prediction_type": "epsilon"}

    def output(self, scheduler: Any, clean: Tensor, state: Tensor, place: Place) -> Tensor:
        """The noise that is left when the data are ``clean``."""
        return (state - clean) / place.ratio


class Twice(Exploding):
    """Two calls for each step: at its start, and where the first one leads."""

    def set_up(self, scheduler: Any, like: Tensor) -> None:
        """Put the tables of the grid in, inner nodes twice."""
        super().set_up(scheduler, like)
        scheduler.sigmas = numbers(twice(self.levels()))
        scheduler.timesteps = numbers(range(2 * self.steps))

    def place(self, call: int) -> Place:
        """The node of the grid at which a call wants the model."""
        return self.node((call + 1) // 2)


class EDM(Exploding):
    """The state is kept as x / alpha; the model output is that of an EDM network."""

    def arguments(self) -> dict[str, Any]:
        """What the scheduler is built with."""
        return {"num_train_timesteps": self.training_steps}

    def output(self, scheduler: Any, clean: Tensor, state: Tensor, place: Place) -> Tensor:
        """The raw network output; Karras et al., arXiv 2206.00364, equation 7, solved for F."""
        sigma, data = place.ratio, float(scheduler.config.sigma_data)
        total = sigma**2 + data**2
        return (clean - data**2 / total * state) * (math.sqrt(total) / (sigma * data))


class Straight(Preserving):
    """The state is kept as (1 - u) x_0 + u noise, the tables are u = q / (1 + q)."""

    def arguments(self) -> dict[str, Any]:
        """What the scheduler is built with."""
        return {"num_train_timesteps": self.training_steps}

    def levels(self) -> Sequence[float]:
        """u at the nodes."""
        return [q / (1.0 + q) for q in self.passage.ratios]

    def factor(self, place: Place) -> float:
        """State over x."""
        return 1.0 / (self.passage.alpha(place.time) * (1.0 + place.ratio))

    def ask(self, scheduler: Any, label: Any, state: Tensor) -> None:
        """Nothing has to be told."""

    def output(self, scheduler: Any, clean: Tensor, state: Tensor, place: Place) -> Tensor:
        """The velocity noise - x_0."""
        return (state - clean) * ((1.0 + place.ratio) / place.ratio)


class StraightTwice(Straight, Twice):
    """Likewise, with two calls for each step."""


def noise_left(clean: Tensor, state: Tensor, place: Place) -> Tensor:
    """The noise in a variance-preserving state when the data are ``clean``."""
    alpha = alpha_of(place.ratio)
    return (state / alpha - clean) / place.ratio


def half_way(passage: Passage, high: float, low: float) -> Place:
    """Between two noise ratios, on a scale of their logarithm."""
    ratio = math.sqrt(high * low)
    return Place(passage.time_of(ratio), ratio)


def alpha_of(ratio: float) -> float:
    """alpha of the variance-preserving state with this noise ratio."""
    return 1.0 / math.sqrt(1.0 + ratio**2)


def twice(values: Sequence[float]) -> list[float]:
    """All values but the first one twice."""
    first, *rest = values
    return [first, *(value for value in rest for _ in range(2))]
