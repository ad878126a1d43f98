r"""Step-size control, row by row.

A step whose estimated error E has the size e = rms(E / tolerance) is taken where e <= 1, and the
next length is h times safety e^(-1/k), within bounds, for errors that go as h^k.  Hairer, Norsett
& Wanner, "Solving Ordinary Differential Equations I", section II.4.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from sdeplug import option

_AFTER_NAN = 0.2  # factor where the error is no number


@dataclass(frozen=True)
class Control:
    """How long the steps are.

    Attributes:
        exponent: k, where the estimated error of a step goes as h^k.
        safety: part of the length that the estimate would allow.
        shrink: least factor from one step to the next try.
        grow: greatest factor.
    """

    exponent: float
    safety: float = 0.9
    shrink: float = 0.2
    grow: float = 5.0

    def factor(self, error: Tensor) -> Tensor:
        """What to multiply the lengths with: errors e of shape ``(R,)`` to ``(R,)``."""
        factor = self.safety * error.clamp(min=1e-12) ** (-1.0 / self.exponent)
        bounded: Tensor = factor.clamp(self.shrink, self.grow)
        return bounded.nan_to_num(nan=_AFTER_NAN)


def rms(ratio: Tensor) -> Tensor:
    """Root mean square of each row: ``(R, *D)`` to float64, ``(R,)``.

    No gradient flows through it: a step is a constant, however its length was found.
    """
    wide = ratio.detach() if ratio.dtype == torch.float64 else ratio.detach().float()
    norm: Tensor = torch.linalg.vector_norm(wide.flatten(1), dim=1)
    size: Tensor = norm.double() / ratio[0].numel() ** 0.5
    return size


def column(values: Tensor, x: Tensor) -> Tensor:
    """Numbers of shape ``(R,)`` in the dtype of x, to multiply its rows with."""
    return values.to(x.dtype).reshape(-1, *[1] * (x.ndim - 1))


def columns(values: Sequence[Tensor], x: Tensor) -> tuple[Tensor, ...]:
    """:func:`column` of several at once."""
    shape = (len(values), -1, *[1] * (x.ndim - 1))
    return torch.stack(tuple(values)).to(x.dtype).reshape(shape).unbind(0)


def relative_tolerance(default: float) -> float:
    """The option ``rtol``."""
    value: float = option(default, help="error of a step, relative to the state", gt=0.0)
    return value


def absolute_tolerance(default: float) -> float:
    """The option ``atol``."""
    value: float = option(default, help="error of a step, in units of the state", gt=0.0)
    return value


def step_budget() -> int:
    """The option ``max_steps``."""
    value: int = option(10_000, help="steps that a row may try before it gives up", ge=1)
    return value
