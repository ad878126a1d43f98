"""Data from folders of images; a folder in it is a class."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from sdeplug.cli.work.data.rows import Array, Rows, classified
from sdeplug.errors import ArgumentError, MissingExtraError

_ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm")
_GREY = ("1", "L", "LA")
_DEEP = ("I", "F")  # what the modes of images of more than eight bits begin with


def read_pictures(folder: Path, size: int | None, skip: bool) -> tuple[Rows, tuple[str, ...]]:
    """The images in a folder, in the order of their names, and what was left out.

    Where they are in folders of their own, each of these is a class.  They are grey if all of
    them are.

    Args:
        folder: path.
        size: pixels along a side: the middle square of each is brought to it; None: as they are.
        skip: leave out what cannot be read, instead of refusing the folder.

    Raises:
        ArgumentError: for a folder without images, one that cannot be read, or different sizes.
        MissingExtraError: without pillow.
    """
    library = _pillow()
    files = sorted(each for each in folder.rglob("*") if each.suffix.lower() in _ENDINGS)
    if not files:
        raise ArgumentError("data", str(folder), f"a folder of images: {', '.join(_ENDINGS)}")
    images, kept, left = [], [], []
    for file in files:
        try:
            images.append(_opened(library, file, size))
            kept.append(file)
        except (OSError, ValueError, SyntaxError) as error:
            reason = " ".join(str(error).split()).rstrip(".")
            if not skip:
                raise ArgumentError(
                    "data", str(file), "an image that can be read",
                    f"{reason}. `sdeplug train --skip` leaves such images out, and says which.",
                ) from error  # fmt: skip
            left.append(f"{file}: {reason}")
    if not images:
        raise ArgumentError("data", str(folder), "a folder with an image that can be read")
    _check_sizes(images, kept)
    mode = "L" if all(each.mode in _GREY for each in images) else "RGB"
    x = np.stack([np.asarray(each.convert(mode)) for each in images])
    return classified(x, _classes(folder, kept)), tuple(left)


def _opened(library: Any, file: Path, size: int | None) -> Any:
    """One image, whole in memory.

    Raises:
        OSError: if it cannot be read.
        ValueError: if it has more than eight bits, which no conversion keeps.
    """
    with library.open(file) as image:
        image.load()
        if image.mode.startswith(_DEEP):
            raise ValueError(f"it has more than 8 bits a pixel (mode {image.mode})")
        found = image.convert("RGBA").convert("RGB") if image.mode == "P" else image.copy()
    if size is None:
        return found
    side = min(found.size)
    left, top = (found.width - side) // 2, (found.height - side) // 2
    square = found.crop((left, top, left + side, top + side))
    return square.resize((size, size), library.Resampling.BOX if side > size else None)


def _check_sizes(images: list[Any], files: list[Path]) -> None:
    for image, file in zip(images, files, strict=True):
        if image.size != images[0].size:
            raise ArgumentError(
                "data", f"{file}, {image.width}x{image.height} pixels",
                f"of the size of {files[0].name}, {images[0].width}x{images[0].height}",
                "--size 32 brings the middle square of each to 32x32 pixels.",
            )  # fmt: skip


def _classes(folder: Path, files: list[Path]) -> Array | None:
    """The folder that each image is in; None where all are in the same."""
    words = [file.relative_to(folder).parent.as_posix() for file in files]
    return np.array(words) if len(set(words)) > 1 else None


def _pillow() -> Any:
    try:
        from PIL import Image
    except ImportError as error:
        raise MissingExtraError("a folder of images", "pillow", "images") from error
    return Image
