r"""What is measured: a linear map A, and how one computes with it.

Everything that a method asks of A it asks in the space of samples: the map, its adjoint, and
functions of :math:`A^T A`, by way of

.. math:: A^T (r\,A A^T + n)^{-1} = (r\,A^T A + n)^{-1} A^T .
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor

from sdeplug.conditioning.gradients import conjugate_gradients
from sdeplug.errors import PairingError, brief
from sdeplug.sde import expand

_ITERATIONS, _TOLERANCE = 200, 1e-6  # of the solution of a linear system, where none is known
_NOTHING = 1e-12  # of the largest squared singular value: rounding

OfSingularValues = Callable[[Tensor], Tensor]
"""A function of singular values, float64, shape ``(K,)``, to ``(K,)``, or to ``(B, K)`` where it
differs between rows."""


class Operator(ABC):
    """A linear map A from samples to what is measured of them.

    A new operator is :meth:`forward` and :meth:`adjoint`; one whose singular values are known
    derives from :class:`Spectral`, and everything is then exact and quick.
    """

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """A x: samples of shape ``(B, *D)`` to measurements of shape ``(B, *M)``.

        Raises:
            ArgumentError: for samples of a shape that it cannot measure.
        """

    @abstractmethod
    def adjoint(self, y: Tensor) -> Tensor:
        """A^T y: measurements of shape ``(B, *M)`` to samples of shape ``(B, *D)``.

        Raises:
            ArgumentError: for measurements of another shape.
        """

    def inverse(self, y: Tensor) -> Tensor:
        """A^+ y (Moore and Penrose): the shortest of the samples that fit best, ``(B, *D)``."""
        ones = y.new_ones(len(y))
        return self.solved(self.adjoint(y), ones, 0.0 * ones)

    def solved(self, x: Tensor, signal: Tensor, noise: Tensor) -> Tensor:
        """u with (signal A^T A + noise) u = x, by conjugate gradients.

        Args:
            x: right-hand side, ``(B, *D)``, in the range of A^T.
            signal: one number above 0 for each row, shape ``(B,)``.
            noise: one number of at least 0 for each row, shape ``(B,)``.

        Returns:
            Shape ``(B, *D)``.
        """
        r, n = (expand(each.to(x), x) for each in (signal, noise))

        def apply(u: Tensor) -> Tensor:
            return r * self.adjoint(self.forward(u)) + n * u

        return conjugate_gradients(apply, x, _ITERATIONS, _TOLERANCE)


class Spectral(Operator):
    """An operator whose singular values are known: A = U S V^T."""

    @abstractmethod
    def on_modes(self, x: Tensor, function: OfSingularValues) -> Tensor:
        """V f(S) V^T x: what a function of the singular values makes of samples.

        V is the basis of all samples: what A does not see has the singular value 0.

        Args:
            x: samples, shape ``(B, *D)``.
            function: f, elementwise.

        Returns:
            Shape ``(B, *D)``, dtype and device of x.
        """

    def inverse(self, y: Tensor) -> Tensor:
        """A^+ y (Moore and Penrose), exactly: ``(B, *D)``."""
        return self.on_modes(self.adjoint(y), lambda s: _inverted(s.square()))

    def solved(self, x: Tensor, signal: Tensor, noise: Tensor) -> Tensor:
        """u with (signal A^T A + noise) u = x, exactly; as :meth:`Operator.solved`."""
        r, n = (each.to("cpu", torch.float64)[:, None] for each in (signal, noise))
        return self.on_modes(x, lambda s: _inverted(r * s.square() + n))


@dataclass(frozen=True)
class Pair(Operator):
    """An operator from two functions, a linear map and its adjoint.

    What needs more than the two is found by conjugate gradients.  Objects of other libraries that
    have ``A`` and ``A_adjoint``, such as the physics of deepinv, become a ``Pair`` by themselves.

    Attributes:
        A: the map, ``(B, *D)`` to ``(B, *M)``.
        A_adjoint: its adjoint, ``(B, *M)`` to ``(B, *D)``.

    Raises:
        PairingError: if one is not callable.
    """

    A: Callable[[Tensor], Tensor]
    A_adjoint: Callable[[Tensor], Tensor]

    def __post_init__(self) -> None:
        for name in ("A", "A_adjoint"):
            if not callable(getattr(self, name)):
                raise PairingError(
                    f"{name} = {getattr(self, name)!r}: must be a function of a batch. "
                    "The order is Pair(A, A_adjoint)."
                )

    def forward(self, x: Tensor) -> Tensor:
        """A x."""
        return self.A(x)

    def adjoint(self, y: Tensor) -> Tensor:
        """A^T y."""
        return self.A_adjoint(y)


def as_operator(value: object) -> Operator:
    """An operator as it is, or what has ``A`` and ``A_adjoint`` as a :class:`Pair`.

    Raises:
        PairingError: for anything else.
    """
    if isinstance(value, Operator):
        return value
    found = cast(Any, value)
    if callable(getattr(value, "A", None)) and callable(getattr(value, "A_adjoint", None)):
        return Pair(_in_own_dtype(found, found.A), _in_own_dtype(found, found.A_adjoint))
    raise PairingError(
        f"operator = {brief(value)}: must be an Operator, such as Mask(known), or an object with "
        "the methods A and A_adjoint. The order is Measurement(operator, y, noise_std)."
    )


def _in_own_dtype(owner: object, apply: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """A map in the dtype of the numbers that its module keeps, such as those of a filter."""
    kept = [*owner.parameters(), *owner.buffers()] if isinstance(owner, torch.nn.Module) else []
    dtype = next((each.dtype for each in kept if each.is_floating_point()), None)

    def applied(x: Tensor) -> Tensor:
        return apply(x.to(dtype or x.dtype)).to(x.dtype)

    return applied


def _inverted(values: Tensor) -> Tensor:
    """1 / value, and 0 where it is nothing beside the largest of its row."""
    least = _NOTHING * values.amax(-1, keepdim=True)
    return torch.where(values > least, values, torch.inf).reciprocal()
