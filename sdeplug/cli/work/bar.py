"""A bar that tells how far a command is."""

from __future__ import annotations

from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn


class Bar:
    """A bar on standard error, where a person looks on; a context manager.

    Args:
        title: what is counted.
    """

    def __init__(self, title: str) -> None:
        screen = Console(stderr=True)
        words = TextColumn("{task.description}", markup=False)
        columns = (words, BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        self._progress = Progress(
            *columns, console=screen, transient=True, disable=not screen.is_terminal
        )
        self._task = self._progress.add_task(title, total=None)

    def show(self, done: int, of: int) -> None:
        """Show how many are done."""
        self._progress.update(self._task, completed=done, total=of)

    def count(self, done: int) -> None:
        """Show how many are done, where nobody knows of how many."""
        self._progress.update(self._task, completed=done)

    def name(self, title: str) -> None:
        """Show what comes next."""
        self._progress.update(self._task, description=title)

    def __enter__(self) -> Bar:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.stop()
