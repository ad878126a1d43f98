"""A small network for data of one's own: which one, by which loss, for how long.

What ``sdeplug train`` and ``sdeplug demo`` do alike.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import prod
from pathlib import Path

import torch
from torch import Tensor

from sdeplug.cli.work.data.parts import mark, parted, shuffled
from sdeplug.cli.work.data.rows import Rows
from sdeplug.cli.work.data.units import Units
from sdeplug.cli.work.plan import Plan
from sdeplug.errors import ArgumentError
from sdeplug.networks import Preconditioned, ResidualMLP, SmallUNet, save
from sdeplug.noise import SharedNoise
from sdeplug.options import Configured, option
from sdeplug.score import FromDenoiser
from sdeplug.sde import VPSDE
from sdeplug.training import (
    EDM,
    DenoisingLoss,
    Dequantised,
    Journal,
    Labels,
    LogNormalTimes,
    Moment,
    Trained,
    Trainer,
)

SDE = VPSDE()
_DROPPED = 0.1  # share of the labels: one network learns the classes, and all of them together
_FEW_PIXELS = 100  # an image of so few has no more to it than a vector, which learns sooner
_RATE, _DECAY = 2e-3, 0.998
_TIMES = LogNormalTimes(-0.6, 1.5)


@dataclass(frozen=True)
class Settings(Configured):
    """How a small network is trained."""

    steps: int = option(3000, help="steps of training", ge=1)
    batch: int = option(64, help="rows of a step", ge=1)
    width: int = option(32, help="channels of a network of images; an eighth of one of vectors",
                        ge=8)  # fmt: skip
    held_out: float = option(0.1, help="share of the rows that is only looked at", gt=0.0, lt=1.0)
    seed: int = option(0, help="decides all randomness", ge=0)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.width % 8:
            raise ArgumentError("width", self.width, "a multiple of 8")


@dataclass(frozen=True)
class Part:
    """A part of the data, as a network sees it.

    Attributes:
        x: float32, shape ``(N, *D)``.
        labels: classes, int64, shape ``(N,)``; None: there are none.
    """

    x: Tensor
    labels: Tensor | None

    @property
    def given(self) -> object:
        """As a trainer takes it."""
        return self.x if self.labels is None else (self.x, self.labels)


@dataclass(frozen=True)
class Divided:
    """Data as a network sees them: what it learns from, and what it never sees.

    Attributes:
        units: what their numbers mean.
        learned: the part to train on.
        held_out: the other.
    """

    units: Units
    learned: Part
    held_out: Part

    @property
    def spread(self) -> float:
        """Standard deviation of what is learned, over all coordinates."""
        return float(self.learned.x.double().std())


def divided(rows: Rows, settings: Settings) -> Divided:
    """Data in the units of a network, in an order that the seed decides.

    Raises:
        ArgumentError: if a part would be empty.
    """
    count = len(rows.x)
    out = round(settings.held_out * count)
    if not 1 <= out < count:
        allowed = f"a share that leaves some of the {count} rows in both parts"
        raise ArgumentError("held_out", settings.held_out, allowed)
    data = shuffled(rows, settings.seed)
    units = Units.of(rows)
    units = replace(units, mark=mark(data), by=rows.by, seed=settings.seed, held_out=out)
    return Divided(units, *(_part(each, units) for each in parted(data, out)))


def fit(
    data: Divided,
    settings: Settings,
    folder: Path,
    observers: Sequence[Callable[[Moment], None]] = (),
) -> Trained:
    """Train a network, or go on where the folder is, and write it there.

    With more steps than the folder was planned for, a rate that falls once more comes after them.

    Args:
        data: both parts.
        settings: how it is trained.
        folder: where the training and the model are.
        observers: who looks on.

    Raises:
        ArgumentError: for a folder with a model of other data or settings.
        TrainingError: if a loss or a gradient is not a number.
    """
    before = Units.load(folder)
    if before not in (None, data.units):
        hint = "Give another folder, or remove this one."
        raise ArgumentError("out", str(folder), "a folder without a model of other data", hint)
    folder.mkdir(parents=True, exist_ok=True)
    data.units.save(folder)
    plan = Plan.of(folder, settings.steps)
    watching = (lambda moment: plan.save(folder), *observers)  # once it has begun: all fits
    journal = Journal(folder, every=max(1, min(100, settings.steps // 20)), observers=watching)
    inner, given, beside = network(data, settings), data.learned.given, data.held_out.given
    try:
        trained = _trainer(data, settings, plan).fit(inner, given, settings.steps, beside, journal)
    except ArgumentError as error:
        name = "out" if error.argument == "folder" else error.argument
        raise ArgumentError(name, error.value, error.allowed, error.hint) from error
    step = trained.history[-1].step
    save(folder, trained.average, SDE, FromDenoiser, data.units.limits, step)
    return trained


def network(data: Divided, settings: Settings) -> Preconditioned:
    """A small network for the data, as a denoiser; its weights depend on the seed alone."""
    shape, classes = data.units.inside, len(data.units.classes)
    with torch.random.fork_rng([]):
        torch.default_generator.manual_seed(_seed(settings, "weights"))
        inner = (
            SmallUNet(shape[0], settings.width, classes)
            if len(shape) == 3 and prod(shape) > _FEW_PIXELS
            else ResidualMLP(prod(shape), 8 * settings.width, classes=classes)
        )
    return Preconditioned(inner, SDE, data.spread)


def _trainer(data: Divided, settings: Settings, plan: Plan) -> Trainer:
    spread, classes = data.spread, len(data.units.classes)
    loss: Callable[..., Tensor] = DenoisingLoss(SDE, FromDenoiser, EDM(spread), _TIMES)
    return Trainer(
        Dequantised(loss, data.units.level) if data.units.level else loss,
        optimiser=partial(torch.optim.Adam, lr=_RATE),
        ema=(_DECAY,),
        batch=settings.batch,
        rate=plan.rate,
        labels=Labels(drop=_DROPPED, null=classes) if classes else Labels(),
        seed=settings.seed,
    )


def _part(rows: Rows, units: Units) -> Part:
    labels = None if rows.labels is None else torch.from_numpy(rows.labels)
    return Part(units.inward(rows.x), labels)


def _seed(settings: Settings, purpose: str) -> int:
    return SharedNoise(settings.seed).stream(purpose).seed
