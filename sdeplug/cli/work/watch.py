"""Who looks on while a command trains: a bar where a person is, lines elsewhere."""

from __future__ import annotations

import sys

import click

from sdeplug.training import LossBar, Mark, Moment

_LINES = 10  # of a training that nobody looks on


def watcher(title: str) -> LossBar | Lines:
    """A bar where a person looks on, lines elsewhere."""
    return LossBar(title) if sys.stderr.isatty() else Lines(title)


class Lines:
    """A line for each tenth of a training, where a bar would be lost.

    Args:
        title: what each line begins with.
    """

    def __init__(self, title: str) -> None:
        self.title, self._next = title, 0

    def __call__(self, moment: Moment) -> None:
        """Write a line where it is time."""
        mark = moment.mark
        if mark.step < self._next and mark.step < moment.steps:
            return
        self._next = mark.step + moment.steps // _LINES
        click.echo(f"{self.title}: step {mark.step} of {moment.steps}, {losses(mark)}", err=True)


def losses(mark: Mark) -> str:
    """The losses of a moment, in words."""
    held = "" if mark.held_out is None else f", held out {mark.held_out:.4f}"
    return f"loss {mark.loss:.4f}{held}"
