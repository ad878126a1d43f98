r"""Noise without chance for rows of very many numbers: draws that are orthonormal.

Where a solver adds what it draws, and does the same to all numbers of a row, one of them ends as
:math:`y_n = a x_n + \sum_j c_j z_{jn}`.  The mean of :math:`y_n^2` over the row is then what it is
for independent numbers, if means of :math:`z_j^2` are 1 and those of products of different draws 0.
A sequence whose spectrum is flat is orthonormal to all its cyclic shifts, which are those draws.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from sdeplug.noise import NoiseSource, SharedNoise
from sdeplug.testing.findings import NotApplicable


class Shifts(NoiseSource):
    """Draws for rows of ``(B, G * N)``: in each group of N numbers of a row they are orthonormal.

    Args:
        rows: B, each with a sequence of its own.
        groups: G, likewise.
        length: N, an even number; also how many draws there are.
        seed: another one, other sequences.
    """

    def __init__(self, rows: int, groups: int, length: int, seed: int = 0) -> None:
        like = torch.empty(rows, groups, length, dtype=torch.float64, device="cpu")
        waves = torch.fft.rfft(SharedNoise(seed).normal(like))
        flat = torch.fft.irfft(waves / waves.abs(), n=length)
        self._sequence, self.draws = math.sqrt(length) * flat, 0

    def normal(self, like: Tensor) -> Tensor:
        """The next shift.

        Raises:
            NotApplicable: for a state of another size, or after the last shift.
        """
        length = self._sequence.shape[-1]
        if like.numel() != self._sequence.numel() or self.draws == length:
            raise NotApplicable(f"it draws other numbers than one for each, or over {length} times")
        self.draws += 1
        shifted: Tensor = self._sequence.roll(self.draws, -1)
        return shifted.reshape(like.shape).to(like)
