"""What torch's operators draw, made of normal numbers: one for each number that they fill in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

_aten = torch.ops.aten


@dataclass(frozen=True)
class Draw:
    """A call of an operator that draws.

    Attributes:
        func: the operator, in one of its overloads.
        args: its arguments by position.
        kwargs: its arguments by name.
    """

    func: Any
    args: Any
    kwargs: Any

    @property
    def packet(self) -> Any:
        """The operator, whatever its overload."""
        return self.func.overloadpacket

    @property
    def normal(self) -> bool:
        """Whether what it draws is noise."""
        return MADE[self.packet] in (_standard, _normal)

    def __call__(self, name: str, default: Any = None) -> Any:
        """An argument, however it was given."""
        if name in self.kwargs:
            return self.kwargs[name]
        names = [each.name for each in self.func._schema.arguments]
        if name in names and names.index(name) < len(self.args):
            return self.args[names.index(name)]
        return default

    def made_of(self, z: Tensor, drawn: Tensor) -> Tensor:
        """What it would have drawn.

        Args:
            z: normal numbers, of the shape of ``drawn``.
            drawn: what it did draw, into its own first argument or not.
        """
        value = MADE[self.packet](z, self)
        return drawn.copy_(value) if self.packet in _INTO else value.to(drawn.dtype)


def _normal(z: Tensor, draw: Draw) -> Tensor:
    made: Tensor = draw("mean", 0.0) + draw("std", 1.0) * z
    return made


def _standard(z: Tensor, draw: Draw) -> Tensor:
    return z


def _uniform(z: Tensor, draw: Draw) -> Tensor:
    low, high = draw("from", 0.0), draw("to", 1.0)
    made: Tensor = low + (high - low) * torch.special.ndtr(z)
    return made


def _whole(z: Tensor, draw: Draw) -> Tensor:
    low, high = draw("low", 0), draw("high")
    made: Tensor = (low + (high - low) * torch.special.ndtr(z)).floor().clamp(max=high - 1)
    return made


def _chance(z: Tensor, draw: Draw) -> Tensor:
    probability = draw("p", draw("self") if draw.packet is _aten.bernoulli else 0.5)
    made: Tensor = torch.special.ndtr(z) < probability
    return made


MADE: dict[Any, Callable[[Tensor, Draw], Tensor]] = {
    _aten.randn: _standard,
    _aten.randn_like: _standard,
    _aten.normal: _normal,
    _aten.normal_: _normal,
    _aten.normal_functional: _normal,
    _aten.rand: _uniform,
    _aten.rand_like: _uniform,
    _aten.uniform: _uniform,
    _aten.uniform_: _uniform,
    _aten.randint: _whole,
    _aten.randint_like: _whole,
    _aten.bernoulli: _chance,
    _aten.bernoulli_: _chance,
}
"""The operators whose numbers are replaced, and by what."""

_INTO = {_aten.normal_, _aten.uniform_, _aten.bernoulli_}
