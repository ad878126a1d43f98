"""What a training is: a loss, an optimiser, averages, a seed."""

from __future__ import annotations

import math
import struct
import zlib
from bisect import bisect_right
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from functools import partial
from itertools import pairwise

import torch
from torch import Tensor, nn

from sdeplug.errors import ArgumentError
from sdeplug.options import Configured, option
from sdeplug.training.averages import Power, Warm
from sdeplug.training.labels import Labels
from sdeplug.training.post_hoc import PostHoc


@dataclass(frozen=True)
class WarmUp(Configured):
    """A learning rate that rises from 0 in equal steps, and then stays: its factor at a step."""

    steps: int = option(500, help="steps until the rate is the optimiser's own", ge=0)

    def __call__(self, step: int) -> float:
        """min((step + 1) / steps, 1)."""
        return min((step + 1) / self.steps, 1.0) if self.steps else 1.0


@dataclass(frozen=True)
class Cosine(Configured):
    """A learning rate that rises, and then falls to 0 along half a cosine: its factor at a step.

    It ends with the last step.  A training that is to go on after that begins anew there:
    ``Cosine(6000, restarts=(3000,))`` is ``Cosine(3000)`` for 3000 steps.

    Loshchilov & Hutter, arXiv 1608.03983, equation 5.

    Raises:
        ArgumentError: unless the restarts rise and are before the end.
    """

    steps: int = option(help="steps of the training", ge=1)
    warm_up: int = option(100, help="steps until it falls", ge=0)
    restarts: tuple[int, ...] = option((), help="steps at which it begins anew", ge=1)

    def __post_init__(self) -> None:
        super().__post_init__()
        if any(early >= late for early, late in pairwise((*self.restarts, self.steps))):
            raise ArgumentError("restarts", self.restarts, f"rising, and below {self.steps}")

    def __call__(self, step: int) -> float:
        """min((i + 1) / warm_up, 1) (1 + cos(pi i / n)) / 2 at step i of the n between restarts."""
        past = bisect_right(self.restarts, step)
        begin, end = (0, *self.restarts)[past], (*self.restarts, self.steps)[past]
        done, planned = step - begin, end - begin
        rise = min((done + 1) / self.warm_up, 1.0) if self.warm_up else 1.0
        return rise * 0.5 * (1.0 + math.cos(math.pi * min(done / planned, 1.0)))


_CALLED = (
    (
        "loss",
        "a loss: a function of (network, x0, noise), with a number for each row",
        "DenoisingLoss(VPSDE()) is one.",
    ),
    (
        "optimiser",
        "what makes an optimiser of parameters",
        "partial(torch.optim.Adam, lr=1e-3) does: the trainer gives it those of the network.",
    ),
    (
        "rate",
        "a function from the number of a step to a factor of the learning rate",
        "The rate itself belongs to the optimiser: partial(torch.optim.Adam, lr=1e-3).",
    ),
)


@dataclass(frozen=True)
class Recipe(Configured):
    """What a training is: the options of :class:`Trainer`."""

    loss: Callable[..., Tensor] = option(help="loss(network, x0, noise): a number for each row")
    optimiser: Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer] = option(
        partial(torch.optim.Adam, lr=2e-4), help="makes the optimiser of parameters"
    )
    ema: tuple[float, ...] = option((0.9999,), help="decays of the averages", ge=0.0, lt=1.0)
    batch: int = option(128, help="rows of a step, over all processes; a loader has its own", ge=1)
    rate: Callable[[int], float] = option(WarmUp(), help="factor of the learning rate at a step")
    clip: float = option(1.0, help="largest norm of the gradient; inf: any", gt=0.0)
    labels: Labels = option(Labels(), help="how labels reach the network")
    seed: int = option(0, help="decides all randomness", ge=0)
    post_hoc: PostHoc | None = option(None, help="averages whose length is chosen afterwards")

    def __post_init__(self) -> None:
        for name, wanted, hint in _CALLED:
            value = getattr(self, name)
            of_class = isinstance(value, type) and name != "optimiser"
            if of_class or isinstance(value, torch.optim.Optimizer) or not callable(value):
                raise ArgumentError(name, value, wanted, hint)
        super().__post_init__()

    def decays(self) -> tuple[Callable[[int], float], ...]:
        """Those of all averages: of ``ema``, and then of ``post_hoc``."""
        widths = self.post_hoc.widths if self.post_hoc else ()
        return (*(Warm(each) for each in self.ema), *(Power(each) for each in widths))

    def told(self) -> dict[str, str]:
        """What has to be the same where a training goes on: by name, as text.

        Of the rate it is what :func:`rates_mark` makes of the steps done.  What is not there is
        left out.
        """
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        return {name: _told(value) for name, value in values.items() if value is not None}


def rates_mark(before: int, factor: float) -> int:
    """What tells the learning rates of a training from others: the mark of one step more."""
    return zlib.crc32(struct.pack("<d", factor), before)


def _told(value: object) -> str:
    """A value as text that is the same in another process."""
    if isinstance(value, partial):
        parts = (*map(repr, value.args), *(f"{k}={v!r}" for k, v in value.keywords.items()))
        return f"{_told(value.func)}({', '.join(parts)})"
    if isinstance(value, (Configured, int, float, tuple)):
        return repr(value)
    return getattr(value, "__qualname__", type(value).__qualname__)
