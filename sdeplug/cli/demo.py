"""The words of ``sdeplug demo``."""

from __future__ import annotations

from pathlib import Path

import click

from sdeplug.cli.words import Command, Stopped


@click.command(cls=Command)
@click.option("--out", default="demo", show_default=True, type=click.Path(path_type=Path),
              help="Folder for the network, the pictures and the page.")  # fmt: skip
@click.option("--seed", default=0, show_default=True, help="Decides all randomness.")
def demo(out: Path, seed: int) -> None:
    """Run the main job; write pictures and a page.

    A network learns real digits and draws new ones; exact scores show what samplers do.  The same
    command goes on where it was stopped.
    """
    try:
        from sdeplug.cli.work.demo import run

        run(out, seed)
    except KeyboardInterrupt:
        raise Stopped from None
