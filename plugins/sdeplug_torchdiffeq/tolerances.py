"""How large the error of a step may be."""

from __future__ import annotations

from dataclasses import dataclass

from sdeplug import option


@dataclass(frozen=True)
class Tolerances:
    """The relative and the absolute tolerance, for torchdiffeq; fixed methods do not use them."""

    rtol: float = 1e-7
    atol: float = 1e-9


def relative_tolerance(default: float) -> float:
    """The option ``rtol`` of a method that chooses its steps."""
    value: float = option(default, help="tolerance relative to the state", gt=0.0)
    return value


def absolute_tolerance(default: float) -> float:
    """The option ``atol`` of a method that chooses its steps."""
    value: float = option(default, help="absolute tolerance", gt=0.0)
    return value
