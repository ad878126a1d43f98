"""The words of ``sdeplug train``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from sdeplug.cli.words import Command, Stopped


@click.command(cls=Command)
@click.argument("data", type=click.Path(path_type=Path))
@click.option("--out", default="model", show_default=True, type=click.Path(path_type=Path),
              help="Folder for the model.")  # fmt: skip
@click.option("--labels", metavar="NAME",
              help="What holds the classes: a column of a table, an array of a file.")  # fmt: skip
@click.option("--size", type=click.IntRange(4, 64), metavar="PIXELS",
              help="Bring the images of a folder to this size.")  # fmt: skip
@click.option("--skip", is_flag=True, help="Leave out what cannot be used, and say which.")
@click.option("--steps", default=3000, show_default=True, help="Steps of training.")
@click.option("--batch", default=64, show_default=True, help="Rows of a step.")
@click.option("--width", default=32, show_default=True, help="Width of the network.")
@click.option("--held-out", default=0.1, show_default=True, metavar="SHARE",
              help="Share of the rows that is only looked at.")  # fmt: skip
@click.option("--seed", default=0, show_default=True, help="Decides all randomness.")
def train(
    data: Path, out: Path, labels: str | None, size: int | None, skip: bool, **settings: Any
) -> None:
    """Train a small network on your own data.

    DATA is an .npz or .npy file, a folder of images, or a table of numbers (.csv).  The same
    command goes on where it was stopped; `sdeplug sample --model OUT` samples what it learned.
    """
    try:
        from sdeplug.cli.work.data.read import Source
        from sdeplug.cli.work.small import Settings
        from sdeplug.cli.work.train import run

        run(Source(data, labels, size, skip), Settings(**settings), out)
    except KeyboardInterrupt:
        raise Stopped from None
