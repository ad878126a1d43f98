"""The reverse SDE in the words of torchsde."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from sdeplug import ReverseSDE
from sdeplug_torchsde.memory import Memory
from sdeplug_torchsde.method import Method
from sdeplug_torchsde.watch import Watch


class Multiple:
    """A stack of 1 x 1 matrices, all of which hold one number: no tensor of them is made.

    Where the noise differs between coordinates each holds its own, as a column ``(rows, 1)``.

    torchsde multiplies a diffusion by ``torch.bmm``, which passes the call on to what is like a
    tensor; every other operation is refused.
    """

    def __init__(self, value: float | Tensor, rows: int) -> None:
        self.value, self.rows = value, rows

    def size(self) -> torch.Size:
        """``(rows, 1, 1)``."""
        return torch.Size((self.rows, 1, 1))

    @classmethod
    def __torch_function__(
        cls,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """The product of the matrices with a stack of vectors."""
        if func is not torch.bmm:
            return NotImplemented
        matrix, vectors = args
        value = matrix.value
        return vectors * (value.unsqueeze(-1) if isinstance(value, Tensor) else value)


class Problem:
    """dy = f dtau + g dW for y of shape ``(B * D, 1)``: each number is a row with noise of its own.

    The rows of torchsde have independent noise, so that this is diagonal noise; with one channel
    for each row it is additive noise too, whose methods are the cheapest.

    Args:
        reverse: the reverse SDE.
        shape: shape ``(B, *D)`` of the states.
        method: the method that will ask.
        watch: hears of the states, and knows what tau means.
        memory: the drifts that are known.
    """

    def __init__(
        self,
        reverse: ReverseSDE,
        shape: torch.Size,
        method: Method,
        watch: Watch,
        memory: Memory,
    ) -> None:
        self.reverse, self.shape, self.watch, self.memory = reverse, shape, watch, memory
        self.noise_type, self.sde_type = method.noise, method.calculus
        self._diagonal = method.noise == "diagonal"

    def f(self, tau: Tensor, y: Tensor) -> Tensor:
        """Drift, in units of the clock: ``(B * D, 1)``."""
        now = float(tau)
        known = self.memory.find(now, y)
        if known is not None:
            return known
        x = y.reshape(self.shape)
        self.watch.state(now, x)
        clock = self.watch.clock
        drift = self.reverse.drift(x, clock.time(now)).reshape(y.shape) * -clock.unit
        self.memory.keep(now, y, drift)
        return drift

    def g(self, tau: Tensor, y: Tensor) -> Tensor | Multiple:
        """Diffusion, ``(B * D, 1, 1)`` for additive noise and ``(B * D, 1)`` for diagonal."""
        g = self.reverse.diffusion(self.watch.clock.time(float(tau)), y.reshape(self.shape))
        if isinstance(g, Tensor):
            g = g.expand(self.shape).reshape(y.shape)
        if not self._diagonal:
            return Multiple(g, len(y))
        return g if isinstance(g, Tensor) else y.new_full((1, 1), g).expand(y.shape)
