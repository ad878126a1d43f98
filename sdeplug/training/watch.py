"""Who looks on while a network is trained: a bar, pictures of samples, anyone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn

from sdeplug.observers import bar_console
from sdeplug.options import Configured, option

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


class Mark(NamedTuple):
    """How a training stood.

    Attributes:
        step: steps done.
        loss: mean over the rows of the steps since the mark before.
        held_out: mean loss of the held-out data, of the first average of the network; None
            without such data.
    """

    step: int
    loss: float
    held_out: float | None


@dataclass(frozen=True)
class Moment:
    """A moment of a training, as observers see it.

    Attributes:
        mark: how it stands.
        steps: how many steps there will be.
        network: the first average of the network, or itself where there is none; in eval mode.
            To be looked at: who changes it changes the training.
    """

    mark: Mark
    steps: int
    network: nn.Module = field(repr=False)


@dataclass(frozen=True)
class Journal(Configured):
    """Where a training writes, how often, and who looks on.

    With a folder the training is written there, and goes on from there when it is started again:
    to the same bits as if it had never stopped.
    """

    folder: str | Path | None = option(None, help="folder of the checkpoint")
    every: int = option(100, help="steps between two looks and checkpoints", ge=1)
    observers: tuple[Callable[[Moment], None], ...] = option((), help="who sees every moment")


class LossBar:
    """A progress bar with the loss, and the held-out loss where there is one.

    It closes when the training ends, whichever way.  In a notebook it moves if ipywidgets is
    installed, and else is shown once, at the end.
    """

    def __init__(self, title: str = "training") -> None:
        self.title = title
        self._bar: Progress | None = None
        self._task: TaskID | None = None

    def __call__(self, moment: Moment) -> None:
        """Move the bar to the step of the moment."""
        if self._bar is None:
            self._open(moment.steps)
        assert self._bar is not None
        assert self._task is not None
        mark = moment.mark
        held = "" if mark.held_out is None else f", held out {mark.held_out:.4f}"
        self._bar.update(self._task, completed=mark.step, loss=f"loss {mark.loss:.4f}{held}")

    def ended(self) -> None:
        """Hear that the training has ended, or failed: stop the bar."""
        bar, self._bar = self._bar, None
        if bar is not None:
            bar.stop()

    def __enter__(self) -> LossBar:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.ended()

    def _open(self, steps: int) -> None:
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
        )

        self._bar = Progress(
            TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(),
            TextColumn("{task.fields[loss]}", markup=False), TimeRemainingColumn(),
            console=bar_console(),
        )  # fmt: skip
        self._task = self._bar.add_task(self.title, total=steps, loss="")
        self._bar.start()


class Pictures:
    """Draws samples of the network on the way, and writes a picture of them.

    The files are ``samples-000100.png``, by the steps done.  It needs matplotlib.

    Args:
        folder: where the pictures go.
        draw: samples of a network, shape ``(B, *D)``: images in [-1, 1], or points.
        every: steps between two pictures, at least; the end has one, too.
    """

    def __init__(
        self, folder: str | Path, draw: Callable[[nn.Module], Tensor], every: int = 1000
    ) -> None:
        self.folder, self.draw, self.every = Path(folder), draw, every
        self._next = every

    def __call__(self, moment: Moment) -> None:
        """Write a picture where it is time."""
        step = moment.mark.step
        if step < self._next and step < moment.steps:
            return
        self._next = (step // self.every + 1) * self.every
        from sdeplug.pictures import glance, save

        self.folder.mkdir(parents=True, exist_ok=True)
        with torch.no_grad():
            save(glance(self.draw(moment.network)), self.folder / f"samples-{step:06d}.png")
