"""The ``train`` command: a small network for data of one's own, and the folder that it is in."""

from __future__ import annotations

from pathlib import Path

import click

from sdeplug.cli.work.data.read import Source, read
from sdeplug.cli.work.small import Divided, Settings, divided, fit
from sdeplug.cli.work.watch import losses, watcher
from sdeplug.errors import ArgumentError
from sdeplug.training import Trained

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
    trained = fit(data, settings, out, (watcher(f"training {source.path.name}"),))
    click.echo(_end(trained, out))


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
        f"wrote {out} after {last.step} steps, {losses(last)}.{early}\n"
        f"next: sdeplug sample --model {out}"
    )
