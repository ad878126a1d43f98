"""The words of ``sdeplug tune``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from sdeplug.cli.subject import names_data, on_device
from sdeplug.cli.words import NAMED, Command, File, Name, Stopped


@click.command(cls=Command)
@click.argument("solvers", metavar=f"[{NAMED}]...", nargs=-1, type=Name("solvers"))
@names_data
@on_device
@click.option("--nfe", default=10, show_default=True, help="Score evaluations of a sample.")
@click.option("--grid", "grids", multiple=True, metavar=NAMED, type=Name("grids"),
              help="Grid of each SOLVER, once for each.  [default: log-snr]")  # fmt: skip
@click.option("--stochasticity", "levels", multiple=True, type=float,
              help="That of each SOLVER with noise, once for each.  [default: 1]")  # fmt: skip
@click.option("--samples", "-n", default=256, show_default=True,
              help="Samples of each that reaches the last round.")  # fmt: skip
@click.option("--rounds", default=3, show_default=True, help="Rounds; a third reaches the next.")
@click.option("--search", default=0, show_default=True, metavar="N",
              help="Points of a search for grid, knee and stochasticity.")  # fmt: skip
@click.option("--batch", default=128, show_default=True, help="Samples at a time.")
@click.option("--seed", default=0, show_default=True, help="Decides all randomness.")
@click.option("--out", default="tuned.toml", show_default=True, type=File(), metavar="FILE",
              help="Write the best as a pipeline (.toml or .json).")  # fmt: skip
@click.option("--plot", type=File(), metavar="FILE", help="Draw the distances.")
@click.option("--json", type=File(), metavar="FILE", help="Write everything as JSON.")
@click.option("--resume", type=click.Path(path_type=Path), metavar="DIR",
              help="Keep finished samples there, and use what is there.")  # fmt: skip
def tune(
    model: Path | None,
    labels: tuple[str, ...],
    target: str | None,
    sde: str | None,
    data: Path | None,
    device: str,
    resume: Path | None,
    **asked: Any,
) -> None:
    """The solver, grid and stochasticity that are best on a network.

    Without a SOLVER seventeen race: auto, and multistep methods on four grids.  Half of the data
    choose, the other half tell whether it was luck.

    For example: sdeplug tune --model model --data table.csv --nfe 10
    """
    try:
        from sdeplug.cli.work.aim import Subject
        from sdeplug.cli.work.held import Scene
        from sdeplug.cli.work.place import Place
        from sdeplug.cli.work.tune import Request, run

        scene = Scene(Subject(target, model, labels), data, sde, Place(device))
        run(Request(scene, resume, **asked))
    except KeyboardInterrupt:
        raise Stopped.kept(resume) from None
