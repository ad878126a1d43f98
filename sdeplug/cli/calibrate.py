"""The words of ``sdeplug calibrate``."""

from __future__ import annotations

from pathlib import Path

import click

from sdeplug.cli.subject import names_network, on_device
from sdeplug.cli.words import Command, File, Stopped


@click.command(cls=Command)
@names_network
@on_device
@click.option("--nfe", default=6, show_default=True, help="Score evaluations of the solver.")
@click.option("-n", "--noises", default=96, show_default=True,
              help="Noises that it is fitted to; a third of them is held out.")  # fmt: skip
@click.option(
    "--rounds",
    default=20,
    show_default=True,
    help="Rounds of each of the two parts of the fit, at most.",
)
@click.option("--fine", default=80, show_default=True, help="Steps of the run that is to be met.")
@click.option("--analytic/--no-analytic", default=True, show_default=True,
              help="Whether one step more, the first, asks no network.")  # fmt: skip
@click.option("--seed", default=0, show_default=True, help="Seed of the noises.")
@click.option("--out", default="calibrated.json", show_default=True, type=File(), metavar="FILE",
              help="Write the solver.")  # fmt: skip
@click.option("--resume", type=click.Path(path_type=Path), metavar="DIR",
              help="Keep the rounds of the fit there, and go on after the last.")  # fmt: skip
def calibrate(
    model: Path | None,
    labels: tuple[str, ...],
    target: str | None,
    sde: str | None,
    device: str,
    nfe: int,
    noises: int,
    seed: int,
    out: Path,
    resume: Path | None,
    **fitting: int | bool,
) -> None:
    """A solver of few steps that is fitted to a network.

    For example: sdeplug calibrate --model model --nfe 5
    """
    try:
        from sdeplug.cli.work.aim import Subject
        from sdeplug.cli.work.calibrate import Request, run
        from sdeplug.cli.work.place import Place
        from sdeplug.tuning import Fitting

        subject = Subject(target, model, labels)
        fit = Fitting(**fitting)  # type: ignore[arg-type]
        run(Request(subject, sde, Place(device), nfe, noises, seed, fit, out, resume))
    except KeyboardInterrupt:
        raise Stopped.kept(resume) from None
