"""The words of ``sdeplug check``."""

from __future__ import annotations

from pathlib import Path

import click

from sdeplug.cli.words import NAMED, Command, File, Name


@click.command(cls=Command)
@click.argument("solver", metavar=NAMED, type=Name("solvers"))
@click.option("--fast", is_flag=True, help="Only the checks that are free of noise.")
@click.option("--sde", "sdes", multiple=True, metavar=NAMED, type=Name("sdes"),
              help="Check it on this forward SDE too; may be repeated.")  # fmt: skip
@click.option("--grid", is_flag=True, help="It is the name of a time grid.")
@click.option("--json", type=File(), metavar="FILE", help="Write the report as JSON.")
@click.option("--picture", type=File(), metavar="FILE",
              help="Draw the observed orders, and the laws that are wrong.")  # fmt: skip
def check(
    solver: str,
    fast: bool,
    sdes: tuple[str, ...],
    grid: bool,
    json: Path | None,
    picture: Path | None,
) -> int:
    """Check the promises of a solver, or with --grid of a time grid.

    Exit status 1 if one is not kept, and 3 if no check could measure its law: it is unproven then.
    """
    from sdeplug.cli.work.check import Request, run

    return run(Request(solver, fast, json, picture, sdes, grid))
