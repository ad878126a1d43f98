"""Which part of a run draws from which state of a generator."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

_DRAWING = {
    "randn", "randn_like", "normal", "normal_", "rand", "rand_like", "uniform_", "randint",
    "randperm", "bernoulli", "bernoulli_", "multinomial", "exponential_",
}  # fmt: skip


class Ledger(TorchFunctionMode):
    """While it is entered, notes who draws from which state of a generator of torch.

    Attributes:
        part: who draws now.
        shared: pairs of parts that drew from one state, so that they have numbers in common.
    """

    def __init__(self) -> None:
        super().__init__()
        self.part = "the start"
        self.shared: set[tuple[str, str]] = set()
        self._first: dict[bytes, str] = {}

    @contextmanager
    def at_work(self, part: str) -> Iterator[None]:
        """Say who draws in this block."""
        before, self.part = self.part, part
        try:
            yield
        finally:
            self.part = before

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Note a draw that moves its generator: others are answered from elsewhere."""
        kwargs = kwargs or {}
        if getattr(func, "__name__", "") not in _DRAWING:
            return func(*args, **kwargs)
        generator = kwargs.get("generator") or torch.default_generator
        state = _digest(generator)
        drawn = func(*args, **kwargs)
        if _digest(generator) != state:
            first = self._first.setdefault(state, self.part)
            if first != self.part:
                self.shared.add((first, self.part))
        return drawn


def _digest(generator: torch.Generator) -> bytes:
    """What tells the state of a generator."""
    state = generator.get_state().cpu().numpy().tobytes()
    return hashlib.blake2b(state + str(generator.device).encode(), digest_size=16).digest()
