"""Other numbers for checks that have theirs fixed: as many worlds as there are seeds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

from torch import Tensor

from sdeplug import LinearSDE, NoiseSource, SharedNoise
from sdeplug.targets import GaussianMixture
from sdeplug.testing.exact.arrays import Arrays
from sdeplug.testing.mutants import forget
from sdeplug.testing.weak import sweeps
from sdeplug.testing.weak.balanced import Balanced
from sdeplug.testing.weak.scattered import scattered

_FAR = 1_000_003  # seeds of one world are below


@contextmanager
def world(number: int) -> Iterator[None]:
    """Where each seed of what draws numbers stands for others; in world 0, for its own."""
    far = _FAR * number
    begin, arrange, balance = SharedNoise.__init__, Arrays.__init__, Balanced.__init__

    def begun(self: SharedNoise, seed: int) -> None:
        begin(self, (seed + far) % 2**63)

    def arranged(
        self: Arrays, levels: int, seed: int = 0, drawn: bool = False, mirrored: bool = False
    ) -> None:
        arrange(self, levels, seed + far, drawn, mirrored)

    def balanced(
        self: Balanced, points: int, columns: int, levels: int = 1, seed: int | None = None
    ) -> None:
        balance(self, points, columns, levels, None if seed is None else seed + far)

    def strewn(
        target: GaussianMixture, t: float, sde: LinearSDE, columns: int, seed: int
    ) -> tuple[Tensor, NoiseSource]:
        return scattered(target, t, sde, columns, seed + far)

    forget()
    with (
        mock.patch.object(SharedNoise, "__init__", begun),
        mock.patch.object(Arrays, "__init__", arranged),
        mock.patch.object(Balanced, "__init__", balanced),
        mock.patch.object(sweeps, "scattered", strewn),
    ):
        yield
    forget()
