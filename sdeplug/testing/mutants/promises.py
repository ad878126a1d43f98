"""Mistakes in what a solver says of itself, and in what it is as a value."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from sdeplug.options import option
from sdeplug.solvers import Claims
from sdeplug.testing.mutants.defect import Defect
from sdeplug.testing.mutants.right import Step


@dataclass(frozen=True)
class Promise(Defect):
    """A claim that is not true."""

    name: str
    value: object

    @property
    def what(self) -> str:
        """With the number."""
        return f"it claims {self.name} = {self.value}"

    def promised(self, claims: Claims) -> Claims:
        """With the claim."""
        return replace(claims, **{self.name: self.value})  # type: ignore[arg-type]


@dataclass(unsafe_hash=True)
class Changeable(Step):
    """A dataclass that is not frozen: its options can be changed."""

    churn: float = option(0.0, help="an option")


class Plain(Step):
    """No dataclass: its copies are not equal to it."""


@dataclass(frozen=True)
class WithFunction(Step):
    """An option that is a lambda by default: it cannot be pickled."""

    weight: Callable[[float], float] = option(lambda t: 1.0, help="a function of time")


@dataclass(frozen=True)
class WithList(Step):
    """An option that is a list: it cannot be hashed."""

    points: list[float] = field(default_factory=lambda: [0.5])
