"""The words of ``sdeplug demo``."""

from __future__ import annotations

from pathlib import Path

import click

from sdeplug.cli.words import Command


@click.command(cls=Command)
@click.option("--out", default="demo", show_default=True, type=click.Path(path_type=Path),
              help="Folder for pictures and the page.")  # fmt: skip
@click.option("--seed", default=0, show_default=True, help="Seed of the noise.")
def demo(out: Path, seed: int) -> None:
    """Run the main job; write pictures and a page.

    Real digits through a mixed pipeline, and why Langevin dynamics is annealed.
    """
    from sdeplug.cli.work.demo import run

    run(out, seed)
