"""The ``train`` command: a small network for data of one's own, and the folder that it is in."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from sdeplug.cli.work.data.read import Source, read
from sdeplug.cli.work.small import Divided, Settings, divided, fit
from sdeplug.errors import ArgumentError
from sdeplug.training import LossBar, Mark, Moment, Trained

_LINES = 10  # of a training that nobody looks on
_WORSE = 0.95  # a held-out loss below this share of the last one tells of too many steps


def run(source: Source, settings: Settings, out: Path) -> None:
    """Read the data, train on them, and write the model.

    Raises:
        SdeplugError: for data or settings that do not fit, before anything is trained; for a
            loss that is not a number.
    """
    if out.exists() and not out.is_dir():
        raise ArgumentError("out", str(out), "a folder")
    rows, left = read(source)
    for each in left:
        click.echo(f"left out {each}", err=True)
    data = divided(rows, settings)
    click.echo(_told(data))
    try:
        trained = fit(data, settings, out, (watcher(f"training {source.path.name}"),))
    except ArgumentError as error:  # the trainer's folder is the user's --out
        name = "out" if error.argument == "folder" else error.argument
        raise ArgumentError(name, error.value, error.allowed, error.hint) from error
    click.echo(_end(trained, out))


def watcher(title: str) -> LossBar | Lines:
    """A bar where a person looks on, lines elsewhere."""
    return LossBar(title) if sys.stderr.isatty() else Lines(title)


class Lines:
    """A line for each tenth of a training, where a bar would be lost.

    Args:
        title: what each line begins with.
    """

    def __init__(self, title: str) -> None:
        self.title, self._next = title, 0

    def __call__(self, moment: Moment) -> None:
        """Write a line where it is time."""
        mark = moment.mark
        if mark.step < self._next and mark.step < moment.steps:
            return
        self._next = mark.step + moment.steps // _LINES
        click.echo(f"{self.title}: step {mark.step} of {moment.steps}, {_losses(mark)}", err=True)


def _losses(mark: Mark) -> str:
    held = "" if mark.held_out is None else f", held out {mark.held_out:.4f}"
    return f"loss {mark.loss:.4f}{held}"


def _told(data: Divided) -> str:
    """What the data are, in a line."""
    shape = "x".join(map(str, data.units.inside))
    kind = f"vectors of {shape} numbers" if len(data.units.inside) == 1 else f"images of {shape}"
    classes = f", {len(data.units.classes)} classes" if data.units.classes else ""
    parts = f"{len(data.learned.x)} to train on, {len(data.held_out.x)} held out"
    return f"{kind}{classes}: {parts}"


def _end(trained: Trained, out: Path) -> str:
    """How it ended, and what comes next."""
    last = trained.history[-1]
    best = min(trained.history, key=lambda mark: mark.held_out or 0.0)
    early = (
        f" The held-out loss was lowest at step {best.step}: more data would help, and more steps "
        "would not."
        if best.held_out is not None
        and last.held_out is not None
        and best.held_out < _WORSE * last.held_out
        else ""
    )
    return (
        f"wrote {out} after {last.step} steps, {_losses(last)}.{early}\n"
        f"next: sdeplug sample --model {out}"
    )
