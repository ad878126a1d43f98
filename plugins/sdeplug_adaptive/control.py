r"""Step-size control, row by row.

A step whose estimated error E has the size e = rms(E / tolerance) is taken where e <= 1.  With
errors that go as h^k, the next length is h times

.. math:: \rho\, e^{-1/k} \;\text{after a rejected step}, \qquad
          \rho\, e^{-a/k}\, e_{-1}^{\,b/k} \;\text{after one that is taken},

within bounds, with the error :math:`e_{-1}` of the step taken before: a proportional-integral
controller.  Hairer, Norsett & Wanner, "Solving Ordinary Differential Equations I", section II.4,
and Hairer & Wanner, "... II", section IV.2.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sdeplug import option

Floats = NDArray[np.float64]

_AFTER_NAN = 0.2  # factor where the error is no number
_LEAST = 1e-12  # error
_SHORT = 16  # numbers in a row


@dataclass(frozen=True)
class Control:
    """How long the steps are.

    Attributes:
        exponent: k, where the estimated error of a step goes as h^k.
        gain: a, how much of what the estimate would allow a step that is taken gets.
        memory: b, weight of the error of the step taken before.
        safety: rho, part of the length that the estimate would allow.
        shrink: least factor from one step to the next try.
        grow: greatest factor.
        start: the strain before the first step; that of no step counts as less.
    """

    exponent: float
    gain: float = 1.0
    memory: float = 0.0
    safety: float = 0.9
    shrink: float = 0.2
    grow: float = 5.0
    start: ClassVar[float] = math.log(1e-4)

    def strain(self, error: Floats) -> Floats:
        """Logarithms of errors e, shape ``(R,)``: a step is taken where its strain is not above 0,
        which no NaN is."""
        strain: Floats = np.log(np.maximum(error, _LEAST))
        return strain

    def factor(self, strain: Floats, before: Floats) -> Floats:
        """What to multiply lengths with: shape ``(R,)``.

        Args:
            strain: that of the step just tried, shape ``(R,)``.
            before: that of the last step taken, shape ``(R,)``; ``start`` before the first.
        """
        part = np.where(strain > 0.0, 1.0, self.gain)
        change = part * strain - self.memory * np.maximum(before, self.start)
        factor = self.safety * np.exp(change / -self.exponent)
        bounded: Floats = np.minimum(np.maximum(factor, self.shrink), self.grow)
        return np.where(np.isnan(strain), _AFTER_NAN, bounded)


NOISY = Control(exponent=1.5, gain=0.3, safety=0.7)
"""For a path: the part of the drift that a step misses goes as h^(1/2), and how large its noise was
says little of how it goes on."""


def rms(ratio: Tensor) -> Floats:
    """Root mean square of each row: ``(R, *D)`` to ``(R,)``, on the host.

    No gradient flows through it: a step is a constant, however its length was found.
    """
    wide = ratio.detach() if ratio.dtype == torch.float64 else ratio.detach().float()
    norm = torch.linalg.vector_norm(wide.flatten(1), dim=1).cpu().numpy()
    size: Floats = norm.astype(np.float64) * (len(ratio) / max(ratio.numel(), 1)) ** 0.5
    return size


def columns(values: Sequence[Floats], x: Tensor) -> tuple[Tensor, ...]:
    """Numbers of shape ``(R,)`` in the dtype of x and where it is, to multiply its rows with."""
    wide = torch.from_numpy(np.array(values)).to(x)
    wide = wide.reshape(*wide.shape, *[1] * (x.ndim - 1))
    # Operands of one shape are several times as fast where a row is short.
    short = x.numel() <= _SHORT * len(x)
    return (wide.expand(-1, *x.shape).contiguous() if short else wide).unbind()


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
