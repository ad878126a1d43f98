"""What was measured: y = A x_0 + noise."""

from __future__ import annotations

import math
from copy import copy
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from sdeplug.conditioning.operator import Operator, as_operator
from sdeplug.errors import ArgumentError
from sdeplug.values import number

_UNEVEN = 1e-3  # by which a map and its adjoint may differ: float32, and sums of many numbers


@dataclass(frozen=True, eq=False)
class Measurement:
    """What was measured of the samples that are sought: y = A x_0 + noise_std n, n ~ N(0, I).

    ::

        operator = Downsample(2)
        Measurement(operator, operator.forward(images), noise_std=0.1)

    Attributes:
        operator: A, an :class:`Operator`, or an object with ``A`` and ``A_adjoint``.
        y: what was measured, ``(B, *M)``, one row for each sample, or ``(1, *M)`` for all of them.
        noise_std: standard deviation of the noise; 0 where y is exact.
        shape: shape ``D`` of a sample, as the adjoint of the operator has it.

    Raises:
        PairingError: if the operator is none.
        ArgumentError: for y or a noise that is not allowed, for an operator whose ``adjoint`` is
            not that of its ``forward``, or one that is not linear.
    """

    operator: Operator
    y: Tensor
    noise_std: float = 0.0
    shape: tuple[int, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "operator", as_operator(self.operator))
        object.__setattr__(self, "y", _checked_y(self.y))
        noise = number(self.noise_std)
        if noise is None or not 0.0 <= noise < math.inf:
            raise ArgumentError(
                "noise_std", self.noise_std, "a number of at least 0",
                "It is the standard deviation of the noise, in units of y.",
            )  # fmt: skip
        object.__setattr__(self, "noise_std", float(noise))
        object.__setattr__(self, "shape", _checked_shape(self.operator, self.y))

    def __repr__(self) -> str:
        y = f"y of shape {tuple(self.y.shape)}"
        return f"Measurement({self.operator!r}, {y}, noise_std={self.noise_std:g})"

    def check(self, x: Tensor) -> None:
        """Refuse samples that y does not belong to.

        Args:
            x: state, shape ``(B, *shape)``.

        Raises:
            ArgumentError: for another shape, or other rows than those of y.
        """
        if tuple(x.shape[1:]) != self.shape:
            wanted = ", ".join(map(str, ("B", *self.shape)))
            raise ArgumentError(
                "x", f"shape {tuple(x.shape)}",
                f"of shape ({wanted}), as {self.operator!r} has it for this y",
            )  # fmt: skip
        if len(self.y) not in (1, len(x)):
            raise ArgumentError(
                "y", f"{len(self.y)} rows", f"one row, or {len(x)}: one for each sample"
            )

    def rows(self, x: Tensor) -> Tensor:
        """y for the rows of x: ``(B, *M)``, in the dtype of x and where it is."""
        return self.y.to(x).expand(len(x), *self.y.shape[1:])

    def residual(self, x0: Tensor) -> Tensor:
        """y - A x_0 for samples of shape ``(B, *shape)``: ``(B, *M)``."""
        return self.rows(x0) - self.operator.forward(x0)

    def log_prob(self, x0: Tensor) -> Tensor:
        """log p(y | x_0) in nats for samples of shape ``(B, *shape)``: ``(B,)``.

        Raises:
            ArgumentError: without noise, where there is no density.
        """
        self.demand_noise("log p(y | x_0)")
        misfit = self.residual(x0).flatten(1) / self.noise_std
        normaliser = 0.5 * math.log(2.0 * math.pi) + math.log(self.noise_std)
        return -0.5 * misfit.square().sum(1) - misfit.shape[1] * normaliser

    def demand_noise(self, what: str) -> None:
        """Refuse a measurement without noise, for what divides by it.

        Raises:
            ArgumentError: if noise_std is 0.
        """
        if self.noise_std == 0.0:
            raise ArgumentError(
                "noise_std", 0.0, f"above 0 for {what}, which divides by it",
                "Replacement, PiGDM, MomentMatching and DDRM take exact measurements.",
            )  # fmt: skip

    def for_rows(self, rows: Tensor) -> Measurement:
        """The same for some rows of the batch: their numbers, int64, shape ``(R,)``."""
        if len(self.y) == 1:
            return self
        part = copy(self)  # what was checked is not checked again, and no rows are allowed too
        object.__setattr__(part, "y", self.y.index_select(0, rows.to(self.y.device)))
        return part


def _checked_y(y: object) -> Tensor:
    found = torch.from_numpy(y) if isinstance(y, np.ndarray) else y
    if not isinstance(found, Tensor) or not found.is_floating_point():
        kind = found.dtype if isinstance(found, Tensor) else type(found).__name__
        raise ArgumentError(
            "y", kind, "a floating-point tensor, in the units of the samples",
            "Of images in 0 ... 255, (images / 127.5 - 1) has the range of samples in [-1, 1].",
        )  # fmt: skip
    if found.ndim < 2 or not len(found):
        raise ArgumentError(
            "y", f"shape {tuple(found.shape)}", "of shape (B, *M), or (1, *M) for all samples",
            "y[None] is that of one measurement.",
        )  # fmt: skip
    if not bool(found.isfinite().all()):
        raise ArgumentError(
            "y", f"shape {tuple(found.shape)}", "finite numbers",
            "What is unknown is left out by the operator, Mask(known).",
        )  # fmt: skip
    return found.detach()


def _checked_shape(operator: Operator, y: Tensor) -> tuple[int, ...]:
    """The shape of a sample, that of A^T y; that |A^T y|^2 = <y, A A^T y> is tested with it."""
    with torch.no_grad():
        x = operator.adjoint(y)
        again = operator.forward(x)
        nothing = operator.forward(torch.zeros_like(x))
    if again.shape != y.shape:
        raise ArgumentError(
            "y", f"shape {tuple(y.shape)}", f"of the shape that {operator!r} gives, "
            f"{('B', *again.shape[1:])}", "operator.forward(x) gives one of them.",
        )  # fmt: skip
    if bool(nothing.any()):
        raise ArgumentError("operator", operator, "linear: it makes something of 0")
    left, right = x.square().sum(), (y * again).sum()
    if not torch.isclose(left, right, rtol=_UNEVEN):
        raise ArgumentError(
            "operator", operator, "a linear map with its adjoint",
            f"<A^T y, A^T y> = {float(left):.6g}, and <y, A A^T y> = {float(right):.6g}.",
        )  # fmt: skip
    return tuple(x.shape[1:])
