"""Writing what was computed: if it cannot be where it was to be, it is somewhere else."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import click

from sdeplug.errors import ArgumentError, UnwrittenError


def write(path: Path, fill: Callable[[Path], object]) -> None:
    """Write a file and say so.

    Args:
        path: where.
        fill: writes a file with this ending at the path that it is given.

    Raises:
        UnwrittenError: if it cannot be written; the content is then in another file, if any
            can be written at all.
    """
    try:
        _filled(path, fill)
    except OSError as error:
        if isinstance(error, UnwrittenError):
            reason = error.reason
        else:
            reason = error.strerror or str(error) or type(error).__name__
        raise UnwrittenError(str(path), reason, _rescued(path, fill)) from error
    click.echo(f"wrote {path}")


def write_text(path: Path, text: str) -> None:
    """Write text and a line break, as :func:`write`."""
    write(path, lambda place: place.write_text(text + "\n", encoding="utf-8"))


def demand_picture(argument: str, path: Path | None) -> None:
    """Refuse an ending that matplotlib does not know, before the work.

    Raises:
        ArgumentError: for such an ending.
        MissingExtraError: if matplotlib is not installed.
    """
    from sdeplug.pictures import blank_figure

    kinds = blank_figure(1.0, 1.0).canvas.get_supported_filetypes()
    if path is not None and path.suffix[1:] not in kinds:
        raise ArgumentError(argument, str(path), f"a file that ends in {', '.join(kinds)}")


def _filled(path: Path, fill: Callable[[Path], object]) -> None:
    there = path.exists()
    try:
        fill(path)
    except BaseException:
        if not there:  # half a file looks like a whole one
            with suppress(OSError):
                path.unlink(missing_ok=True)
        raise


def _rescued(path: Path, fill: Callable[[Path], object]) -> str:
    """Where the content is, in words."""
    for other in _places(path):
        with suppress(OSError):
            _filled(other, fill)
            return f"its content is in {other}."
    return "nor could any other file, beside it or in the folder for temporary files."


def _places(path: Path) -> Iterator[Path]:
    """Free names beside the file, in the working directory, in the folder for temporary files.

    What is there and no file is a device: its neighbours are devices too.
    """
    beside = () if path.exists() and not path.is_file() else (path.absolute().parent,)
    for folder in dict.fromkeys((*beside, Path.cwd(), Path(tempfile.gettempdir()))):
        yield folder / f"{path.stem}-{os.getpid()}{path.suffix}"
