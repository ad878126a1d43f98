"""How much a diagnosis looks at."""

from __future__ import annotations

from dataclasses import dataclass, replace

from sdeplug.options import Configured, option

_NUMBERS = 2**14  # at each level


@dataclass(frozen=True)
class Effort(Configured):
    """How much a diagnosis looks at.

    It costs 5 evaluations of ``rows`` for each level, and two runs of ``steps`` over ``paths``.
    Where rows and paths are left out, there are more of small samples: 2,048 and 512 points of the
    plane, 256 and 128 images.
    """

    levels: int = option(10, help="levels of noise, evenly in log-SNR", ge=4)
    rows: int | None = option(None, help="rows of data at each level, at most", ge=16)
    paths: int | None = option(None, help="samples of the flow and the SDE, at most", ge=16)
    steps: int = option(24, help="steps of a sample", ge=4)

    def for_size(self, numbers: int) -> Effort:
        """With rows and paths for samples of so many numbers."""
        rows = min(max(_NUMBERS // numbers, 256), 2048)
        paths = min(max(_NUMBERS // (4 * numbers), 128), 512)
        return replace(self, rows=self.rows or rows, paths=self.paths or paths)
