"""The ``doctor`` command: versions, devices, plugins and failures."""

from __future__ import annotations

from sdeplug.cli.work.tables import devices_table, failures_table, plugins_table, versions_table
from sdeplug.cli.work.terminal import console
from sdeplug.registry import all_names


def run() -> bool:
    """Show them.

    Returns:
        Whether every plugin works.
    """
    screen = console()
    for each in (versions_table(), devices_table(), plugins_table()):
        screen.print(each)
    failures = failures_table()
    all_names()  # for the shell
    screen.print("Every plugin works." if failures is None else failures)
    return failures is None
