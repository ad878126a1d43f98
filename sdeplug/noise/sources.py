"""Noise sources: the only place where random numbers come from.

A solver draws from ``run.noise`` and never from a global generator.  What a source promises is
that the same source, built the same way and asked the same questions, gives the same answers.

A seed is one stream: what it has given is never given again.  Each purpose beside a run from the
prior has a stream of its own, derived from the seed and a word for the purpose by hashing.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from numbers import Integral

import torch
from torch import Tensor

from sdeplug.errors import ArgumentError
from sdeplug.noise.brownian import BrownianBridge, BrownianPath
from sdeplug.noise.philox import normals
from sdeplug.noise.walk import BrownianWalk
from sdeplug.values import plain

_WORD = 2**63
_AT_ONCE, _SMALL = 8, 4096  # draws that are made together, and numbers in them at most


class NoiseSource(ABC):
    """A source of normal numbers and Brownian paths."""

    @abstractmethod
    def normal(self, like: Tensor) -> Tensor:
        """Fresh N(0, I) numbers.

        Args:
            like: tensor of shape ``(B, *D)``.

        Returns:
            Tensor of the same shape, dtype and device.
        """

    def brownian(self, like: Tensor, t: float, s: float) -> BrownianPath:
        """A fresh Brownian path on [s, t], consistent under refinement.

        It draws from :meth:`normal` where it is asked for: the same source gives the same path
        to the same questions.

        Args:
            like: tensor of shape ``(B, *D)`` whose shape, dtype and device increments have.
            t: upper end.
            s: lower end, below ``t``.

        Raises:
            ArgumentError: unless s < t.
        """
        return BrownianBridge(like, t, s, self.normal)

    def walk(self, like: Tensor, t: float) -> BrownianWalk:
        """A fresh Brownian path for each row, walked down from t in steps of the row's own.

        It draws from :meth:`normal`, once for every step that is tried.

        Args:
            like: tensor of shape ``(B, *D)`` whose shape, dtype and device increments have.
            t: time at which all rows begin.
        """
        return BrownianWalk(like, t, self.normal)

    def stream(self, purpose: str) -> NoiseSource:
        """The stream for one purpose, independent of this source and of those for others.

        Asked for twice, it is the same stream, which goes on where it was.  A source without a
        seed has no way to derive one: it is its own stream for every purpose.

        Args:
            purpose: a word for it.
        """
        return self


class SharedNoise(NoiseSource):
    """One generator for the whole batch: fast; a row depends on the shape of the batch.

    Args:
        seed: whole number from 0 to 2^63 - 1.

    Raises:
        ArgumentError: for any other seed.
    """

    def __init__(self, seed: int) -> None:
        self.seed = checked_seed("seed", seed)
        self._generators: dict[torch.device, torch.Generator] = {}
        self._streams: dict[str, SharedNoise] = {}

    def __repr__(self) -> str:
        return f"SharedNoise(seed={self.seed})"

    def normal(self, like: Tensor) -> Tensor:
        """Fresh N(0, I) numbers of the shape, dtype and device of ``like``."""
        generator = self._generators.get(like.device)
        if generator is None:
            generator = torch.Generator(like.device).manual_seed(self.seed)
            self._generators[like.device] = generator
        return torch.randn(like.shape, generator=generator, dtype=like.dtype, device=like.device)

    def stream(self, purpose: str) -> SharedNoise:
        """The stream for one purpose: a source with a seed of its own, derived by hashing."""
        if purpose not in self._streams:
            self._streams[purpose] = SharedNoise(_derived(self.seed, purpose))
        return self._streams[purpose]


class PerSampleNoise(NoiseSource):
    """Row i depends on (seed, ids[i]) alone.

    A sample is then the same alone, in any batch, at any place of it, on any number of machines,
    and, to rounding, in any dtype.  Numbers are counter-based (:mod:`sdeplug.noise.philox`).

    Args:
        seed: whole number from 0 to 2^63 - 1, shared by all rows.
        ids: one whole number from 0 to 2^63 - 1 for each row; two rows with the same id get
            the same noise.

    Raises:
        ArgumentError: for any other seed or id, or when there are no ids.
    """

    def __init__(self, seed: int, ids: Sequence[int]) -> None:
        self.seed = checked_seed("seed", seed)
        self.ids = tuple(checked_seed("ids", each) for each in ids)
        if not self.ids:
            raise ArgumentError("ids", ids, "one whole number for each row of the batch")
        self._key = _key(f"rows of {self.seed}".encode())
        self._draws = 0
        self._first, self._ahead = 0, torch.empty(0, dtype=torch.float64, device="cpu")
        self._rows: dict[torch.device, Tensor] = {}
        self._streams: dict[str, PerSampleNoise] = {}

    def __repr__(self) -> str:
        return f"PerSampleNoise(seed={self.seed}, ids={self.ids})"

    def normal(self, like: Tensor) -> Tensor:
        """Fresh N(0, I) numbers of the shape, dtype and device of ``like``.

        Raises:
            ArgumentError: unless ``like`` has as many rows as there are ids.
        """
        if like.ndim == 0 or len(like) != len(self.ids):
            raise ArgumentError(
                "ids",
                f"{len(self.ids)} numbers",
                f"one number for each row of x, whose shape is {tuple(like.shape)}",
                "Give as many seeds as there are samples.",
            )
        draw = self._draws - self._first
        self._draws += 1
        count = like.numel() // len(like)
        known = self._ahead
        if draw >= len(known) or known.shape[-1] != count or known.device != like.device:
            known, draw = self._made(self._draws - 1, count, like.device), 0
        # Small ones are copied: what is written to one draw is nothing to autograd of the others.
        return known[draw].to(like.dtype, copy=len(known) > 1).reshape(like.shape)

    def _made(self, draw: int, count: int, device: torch.device) -> Tensor:
        """A draw, and where they are small those after it: float64, shape ``(draws, B, count)``.

        To make one takes as long as to make ten; only small ones are kept.
        """
        most = max(1, min(_AT_ONCE, _SMALL // (len(self.ids) * max(count, 1))))
        draws = torch.arange(draw, draw + most, dtype=torch.int64, device=device)
        if device not in self._rows:  # a copy to an accelerator waits for it
            self._rows[device] = torch.tensor(self.ids, dtype=torch.int64, device=device)
        values = normals(self._key, self._rows[device], draws[:, None], count)
        self._first, self._ahead = draw, values if most > 1 else values[:0]
        return values

    def stream(self, purpose: str) -> PerSampleNoise:
        """The stream for one purpose: the same ids, under another seed."""
        if purpose not in self._streams:
            self._streams[purpose] = PerSampleNoise(_derived(self.seed, purpose), self.ids)
        return self._streams[purpose]


class Silence(NoiseSource):
    """A source whose every number is 0: what a step does on average."""

    def normal(self, like: Tensor) -> Tensor:
        """Zeros of the shape, dtype and device of ``like``."""
        return torch.zeros_like(like)


def _derived(seed: int, purpose: str) -> int:
    return _key(f"{purpose} {seed}".encode()) >> 1


def _key(material: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(material, digest_size=8).digest(), "little")


def checked_seed(argument: str, seed: object) -> int:
    """A seed: a whole number from 0 to 2^63 - 1, of Python, numpy or torch.

    Raises:
        ArgumentError: for anything else.
    """
    if type(seed) is int and 0 <= seed < _WORD:  # the usual one, at once
        return seed
    found = plain(seed)
    if isinstance(found, bool) or not isinstance(found, Integral) or not 0 <= int(found) < _WORD:
        raise ArgumentError(argument, seed, "a whole number from 0 to 2**63 - 1")
    return int(found)
