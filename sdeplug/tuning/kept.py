"""Features of finished samples in a folder: a tuning that was interrupted goes on there.

They are known by everything that decides them: legs, stochasticity, SDE, seed and rows in full, and
score model and features by what they give for a few rows of data; and by the versions.  The code
of a solver is known by the name of its class.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from sdeplug.compare.identity import described
from sdeplug.compare.work import checked_folder
from sdeplug.errors import RESUMED, whole
from sdeplug.pipeline import Pipeline
from sdeplug.registry import installed_version
from sdeplug.reverse import ReverseSDE
from sdeplug.tuning.folder import digest
from sdeplug.tuning.yardstick import Yardstick

_ROWS = 8
_PLACES = (0.0, 0.5, 1.0)  # of the way from eps to T, where scores and stochasticities are compared


@dataclass(frozen=True)
class Kept:
    """A folder of features, a file for each batch of samples of a candidate.

    Attributes:
        folder: where; it is made with the first of them.
        mark: of the network and of what is measured.
    """

    folder: Path
    mark: str

    @classmethod
    def of(cls, resume: object, reverse: ReverseSDE, x: Tensor, stick: Yardstick) -> Kept | None:
        """A folder for a network and what measures it; None where none is given.

        Args:
            resume: path of the folder, or None.
            reverse: the reverse SDE with the network.
            x: rows of data, shape ``(n, *D)``.
            stick: what samples are measured by.

        Raises:
            ArgumentError: for what is no path of a folder.
        """
        if resume is None:
            return None
        folder = checked_folder(resume)
        scores = [reverse.score(x[:_ROWS], t) for t in _times(reverse)]
        versions = f"{installed_version('sdeplug')} {torch.__version__}"
        return cls(folder, digest(versions, *scores, x, stick.of(x[:_ROWS])))

    def path(self, pipeline: Pipeline, seed: int, rows: range) -> Path:
        """The file of some samples."""
        reverse = pipeline.reverse
        levels = [reverse.level(t) for t in _times(reverse)]
        what = described((reverse.forward, pipeline.legs))
        name = digest(self.mark, what, repr((levels, seed, rows)))
        return self.folder / f"{name}.npy"


def read(path: Path) -> Tensor | None:
    """Features from a file; None where it is not there, or not whole."""
    try:
        return torch.from_numpy(np.load(path, allow_pickle=False))
    except (OSError, ValueError, EOFError):
        return None


def write(path: Path, features: Tensor) -> None:
    """Keep features: the file is there whole, or not at all."""
    with whole("resume", path, RESUMED) as part:
        np.save(part, features.numpy())


def _times(reverse: ReverseSDE) -> list[float]:
    sde = reverse.forward
    return [sde.eps + place * (sde.T - sde.eps) for place in _PLACES]
