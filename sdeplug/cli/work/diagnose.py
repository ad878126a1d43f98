"""The ``diagnose`` command: tables, advice, a picture and JSON."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import click

from sdeplug.cli.work.bar import Bar
from sdeplug.cli.work.files import demand_picture, write, write_text
from sdeplug.cli.work.held import Scene, held
from sdeplug.cli.work.terminal import console
from sdeplug.tuning import Diagnosis, Effort, diagnose


@dataclass(frozen=True)
class Request:
    """What is looked at, and where it goes.

    Attributes:
        scene: the network and its data.
        plot: picture file, if any.
        json: JSON file, if any.
    """

    scene: Scene
    plot: Path | None
    json: Path | None


def run(request: Request, effort: Effort, seed: int) -> None:
    """Diagnose, show what was found, write what was asked for.

    Raises:
        SdeplugError: for anything that does not fit, before anything is run.
    """
    if request.plot is not None:
        demand_picture("plot", request.plot)
    known = held(request.scene)
    click.echo(known.told)
    with Bar("levels") as bar:
        found = diagnose(known.reverse, known.data, effort=effort, seed=seed, on_part=bar.show)
    _show(found)
    if request.json is not None:
        write_text(request.json, found.to_json())
    if request.plot is not None:
        from sdeplug.pictures import save

        figure = found.plot()
        write(request.plot, lambda path: save(figure, path))


def _show(found: Diagnosis) -> None:
    screen = console()
    screen.print(found.table())
    screen.print(found.laws_table())
    for each in found.advice:
        click.echo(f"- {each.rule}: {each.text}")
    click.echo(f"{found.nfe} evaluations of {found.rows} rows in all, {found.seconds:.1f} s")
