"""Files that are there whole, or as they were; what the system refuses is one sentence."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import get_ident

from sdeplug.errors.raised import UnwrittenError

IN_MEMORY = "nothing is lost, write it elsewhere."
"""Where what could not be written is: with whoever wanted to write it."""
RESUMED = "what was written before is there, and the same call goes on from it."
"""Where the work is whose next part could not be written."""


@contextmanager
def whole(argument: str, path: str | os.PathLike[str], kept: str = IN_MEMORY) -> Iterator[Path]:
    """Around the writing of a file: it is put in its place when all of it is there. ::

        with whole("path", path) as part:
            part.write_text(text, encoding="utf-8")

    Its folder is made.  A file that is there stays as it is until then, and if it fails.

    Args:
        argument: name of the argument that says where.
        path: where; what is there and no file, as a device, is written to as it is.
        kept: where the content is if it fails, a clause.

    Raises:
        UnwrittenError: if the system refuses.
    """
    try:
        place = Path(path).resolve()
        if place.exists() and not place.is_file():
            yield place
            return
        place.parent.mkdir(parents=True, exist_ok=True)
        part = place.with_name(f".{place.stem}.{os.getpid()}-{get_ident()}{place.suffix}")
        try:
            yield part
            os.replace(part, place)
        finally:
            with suppress(OSError):
                part.unlink(missing_ok=True)
    except UnwrittenError:
        raise
    except OSError as error:
        reason = error.strerror or str(error) or type(error).__name__
        raise UnwrittenError(f"{argument} = {os.fspath(path)!r}", reason, kept) from error


def write_text(
    argument: str, path: str | os.PathLike[str], text: str, kept: str = IN_MEMORY
) -> None:
    """Write text in UTF-8, as :func:`whole` does."""
    with whole(argument, path, kept) as part:
        part.write_text(text, encoding="utf-8")
