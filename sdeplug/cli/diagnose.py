"""The words of ``sdeplug diagnose``."""

from __future__ import annotations

from pathlib import Path

import click

from sdeplug.cli.subject import names_data, on_device
from sdeplug.cli.words import Command, File


@click.command(cls=Command)
@names_data
@on_device
@click.option("--levels", default=10, show_default=True, help="Levels of noise to look at.")
@click.option("--rows", type=int, help="Rows of data at each level, at most.  [default: by size]")
@click.option("--paths", type=int, help="Samples of flow and SDE, at most.  [default: by size]")
@click.option("--steps", default=24, show_default=True, help="Steps of a sample.")
@click.option("--seed", default=0, show_default=True, help="Decides all randomness.")
@click.option("--plot", type=File(), metavar="FILE", help="Draw loss, scale and distances.")
@click.option("--json", type=File(), metavar="FILE", help="Write everything as JSON.")
def diagnose(
    model: Path | None,
    labels: tuple[str, ...],
    target: str | None,
    sde: str | None,
    device: str,
    data: Path | None,
    plot: Path | None,
    json: Path | None,
    seed: int,
    **effort: int | None,
) -> None:
    """What is wrong with a network, where over the noise, and what to do about it.

    For example: sdeplug diagnose --model model --data table.csv --plot diagnosis.png
    """
    from sdeplug.cli.work.aim import Subject
    from sdeplug.cli.work.diagnose import Request, run
    from sdeplug.cli.work.held import Scene
    from sdeplug.cli.work.place import Place
    from sdeplug.tuning import Effort

    scene = Scene(Subject(target, model, labels), data, sde, Place(device))
    run(Request(scene, plot, json), Effort(**effort), seed)  # type: ignore[arg-type]
