"""From the numbers of the data to those of a network, and back."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sdeplug.cli.work.data.rows import Array, Rows
from sdeplug.errors import ArgumentError

NAME = "data.json"
_CHANNELS = (1, 3)


@dataclass(frozen=True)
class Units:
    """What the numbers of a network mean: written beside its weights.

    Attributes:
        shape: of one row, as in the file: ``(D,)``, ``(H, W)``, ``(C, H, W)`` or ``(H, W, C)``.
        offset: what is 0 for the network: one number, or one for each column.
        scale: what is 1 for it, from there.
        least: the smallest number of images; None: any.
        most: the largest.
        whole: images of whole numbers: samples are rounded to them.
        classes: names of the classes, by number.
        columns: names of the columns of a table.
        mark: tells these data from others.
        by: what held the classes, where that was named: a column of a table, an array of a file.
        seed: of the order of the rows.
        held_out: how many of the last of them the network never learned.
    """

    shape: tuple[int, ...]
    offset: tuple[float, ...]
    scale: tuple[float, ...]
    least: float | None = None
    most: float | None = None
    whole: bool = False
    classes: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    mark: str = ""
    by: str = ""
    seed: int = 0
    held_out: int = 0

    @classmethod
    def of(cls, rows: Rows) -> Units:
        """Those of data: images lie in [-1, 1] then, columns have mean 0 and deviation 1."""
        shape, words = rows.x.shape[1:], (rows.classes, rows.columns)
        if len(shape) == 1:
            wide = rows.x.astype(np.float64)
            spread = wide.std(axis=0)
            spread[spread == 0.0] = 1.0
            middles = tuple(wide.mean(axis=0).tolist())
            return cls(shape, middles, tuple(spread.tolist()), None, None, False, *words)
        least, most = float(rows.x.min()), float(rows.x.max())
        whole = bool((rows.x == np.round(rows.x)).all()) and most - least > 1.0
        middle, half = (most + least) / 2.0, (most - least) / 2.0
        return cls(shape, (middle,), (half,), least, most, whole, *words)

    @property
    def inside(self) -> tuple[int, ...]:
        """Shape of one row for the network: ``(D,)``, or ``(C, H, W)``."""
        if len(self.shape) == 2:
            return (1, *self.shape)
        return (self.shape[2], *self.shape[:2]) if self._channels_last else self.shape

    @property
    def level(self) -> float:
        """Distance of two neighbouring whole numbers for the network; 0: there are none."""
        return 1.0 / self.scale[0] if self.whole else 0.0

    @property
    def limits(self) -> tuple[float, float] | None:
        """Range of the data for the network; None: any."""
        return None if self.least is None else (-1.0, 1.0)

    def inward(self, x: Array) -> Tensor:
        """Rows as the network sees them: float32, shape ``(N, *inside)``."""
        wide = (x.astype(np.float64) - np.array(self.offset)) / np.array(self.scale)
        found = torch.from_numpy(wide.astype(np.float32))
        found = found.movedim(-1, 1) if self._channels_last else found
        return found.reshape(-1, *self.inside).contiguous()

    def outward(self, x: Tensor) -> Array:
        """Samples of the network as rows of data: ``(N, *shape)``."""
        wide = x.detach().cpu().double()
        wide = wide.movedim(1, -1) if self._channels_last else wide
        found: Array = wide.reshape(-1, *self.shape).numpy()
        found = found * np.array(self.scale) + np.array(self.offset)
        if self.least is not None:
            found = found.clip(self.least, self.most)
        return np.round(found) if self.whole else found

    def number(self, name: str) -> int:
        """The number of a class.

        Raises:
            ArgumentError: for a name that none has.
        """
        if not self.classes:
            raise ArgumentError("labels", name, "left out: the model was trained without classes")
        if name not in self.classes:
            raise ArgumentError("labels", name, f"one of {', '.join(self.classes)}")
        return self.classes.index(name)

    def save(self, folder: Path) -> None:
        """Write them into a folder that is there."""
        text = json.dumps(asdict(self), indent=1) + "\n"
        (folder / NAME).write_text(text, encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Units | None:
        """Those that are in a folder; None: there are none.

        Raises:
            ArgumentError: if the file is damaged.
        """
        file = folder / NAME
        if not file.exists():
            return None
        try:
            given = json.loads(file.read_text(encoding="utf-8"))
            known = {each.name for each in fields(cls)}
            values: dict[str, Any] = {n: _tuple(v) for n, v in given.items() if n in known}
            found = cls(**values)
            math.prod(found.inside)
        except (ValueError, TypeError, AttributeError) as error:
            raise ArgumentError(
                "model", str(folder), f"a folder whose {NAME} is whole", f"{error}."
            ) from error
        return found

    @property
    def _channels_last(self) -> bool:
        """Whether rows are (H, W, C); where both ends can be channels, the first are."""
        return len(self.shape) == 3 and self.shape[0] not in _CHANNELS


def _tuple(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value
