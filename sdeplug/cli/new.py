"""The words of ``sdeplug new``."""

from __future__ import annotations

from pathlib import Path

import click

from sdeplug.cli.words import Command


@click.command(cls=Command)
@click.argument("name")
@click.option("--folder", type=click.Path(path_type=Path),
              help="Where to write.  [default: sdeplug-NAME]")  # fmt: skip
def new(name: str, folder: Path | None) -> None:
    """Write a new plugin.

    It is a whole distribution, which installs and passes its tests as written.
    """
    from sdeplug.registry import write_plugin

    folder = folder or Path(f"sdeplug-{name}")
    for path in write_plugin(name, folder):
        click.echo(f"wrote {path}")
    click.echo(f'next: pip install -e "{folder}[test]" && pytest {folder}')
