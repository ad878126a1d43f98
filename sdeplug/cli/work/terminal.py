"""What the commands share: the screen."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

_WIDTH = 160  # of a table that goes to a file or a pipe


def console() -> Console:
    """The screen: as wide as the terminal, or wide enough for a table where there is none."""
    from rich.console import Console

    screen = Console()
    return screen if screen.is_terminal else Console(width=_WIDTH)
