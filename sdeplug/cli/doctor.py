"""The words of ``sdeplug doctor``."""

from __future__ import annotations

import click

from sdeplug.cli.words import Command


@click.command(cls=Command)
def doctor() -> int:
    """Show versions, devices, plugins and failures.

    Exit status 1 if a plugin does not work.
    """
    from sdeplug.cli.work.doctor import run

    return 0 if run() else 1
