"""For how many steps a small network is trained: in stretches, each with a rate that falls to 0."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from sdeplug.errors import ArgumentError
from sdeplug.training import Cosine, checkpoint

NAME = "plan.json"


@dataclass(frozen=True)
class Plan:
    """The stretches of a training.

    Attributes:
        ends: the steps at which they end, rising.
    """

    ends: tuple[int, ...]

    @classmethod
    def of(cls, folder: Path, steps: int) -> Plan:
        """The plan of a folder, with a stretch more where it is to have more steps.

        So what has begun goes on as it was planned, and what is done goes on after it.

        Raises:
            ArgumentError: if the file is damaged.
        """
        path = folder / NAME
        if not (path.exists() and (folder / checkpoint.NAME).exists()):
            return cls((steps,))
        try:
            ends = tuple(int(each) for each in json.loads(path.read_text(encoding="utf-8")))
            longest = ends[-1]
        except (ValueError, TypeError, IndexError) as error:
            raise ArgumentError(
                "out", str(folder), f"a folder whose {NAME} is a list of steps",
                f"It is damaged ({type(error).__name__}): give another folder.",
            ) from error  # fmt: skip
        return cls((*ends, steps) if steps > longest else ends)

    @property
    def rate(self) -> Cosine:
        """The factor of the learning rate at each step."""
        return Cosine(self.ends[-1], restarts=self.ends[:-1])

    def save(self, folder: Path) -> None:
        """Write it into a folder that is there."""
        beside = folder / f"{NAME}.part"
        beside.write_text(json.dumps(self.ends) + "\n", encoding="utf-8")
        beside.replace(folder / NAME)
