"""Operators by their decomposition: images blurred, by Fourier's; matrices, by their own."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor

from sdeplug.conditioning.operator import OfSingularValues, Spectral
from sdeplug.conditioning.shapes import check_measured, check_sample, refuse
from sdeplug.errors import ArgumentError
from sdeplug.sde import expand, in_float32
from sdeplug.targets import numbers, short


@dataclass(frozen=True, eq=False)
class Blur(Spectral):
    """Blurred images: convolved with a kernel whose middle is its origin, edges meeting edges.

    That opposite edges meet (circular convolution) makes the Fourier modes its singular vectors.

    Attributes:
        kernel: the kernel, shape ``(h, w)``, at most as large as the images.

    Raises:
        ArgumentError: for a kernel that is none.
    """

    kernel: Tensor

    def __post_init__(self) -> None:
        kernel = numbers("kernel", self.kernel)
        if kernel.ndim != 2 or not bool(kernel.any()):
            raise ArgumentError("kernel", short(kernel), "of shape (h, w), and not all 0")
        object.__setattr__(self, "kernel", kernel)

    def __repr__(self) -> str:
        return f"Blur(kernel of shape {tuple(self.kernel.shape)})"

    @classmethod
    def gaussian(cls, std: float) -> Blur:
        """With a Gaussian of a standard deviation in pixels, cut off after three of them.

        Raises:
            ArgumentError: unless it is above 0.
        """
        if not isinstance(std, (int, float)) or not 0.0 < std < math.inf:
            raise ArgumentError("std", std, "a number of pixels above 0")
        reach = math.ceil(3.0 * std)
        line = torch.arange(-reach, reach + 1, dtype=torch.float64, device="cpu")
        bell = torch.exp(-0.5 * (line / std).square())
        bell = bell / bell.sum()
        return cls(torch.outer(bell, bell))

    def forward(self, x: Tensor) -> Tensor:
        """The blurred images: ``(B, ..., H, W)`` to the same."""
        return self._filtered(x, self._response("x", x))

    def adjoint(self, y: Tensor) -> Tensor:
        """Blurred by the kernel turned round."""
        return self._filtered(y, self._response("y", y).conj())

    def on_modes(self, x: Tensor, function: OfSingularValues) -> Tensor:
        """Each Fourier mode times f of the size that the kernel has there."""
        response = self._response("x", x)
        values = function(response.abs().flatten())
        values = values.reshape(*values.shape[:-1], *response.shape)
        return self._filtered(x, expand(values, x) if values.ndim > 2 else values)

    @staticmethod
    def _filtered(x: Tensor, response: Tensor) -> Tensor:
        """x with each Fourier mode multiplied."""
        wide = in_float32(x)
        dtype = torch.complex64 if wide.dtype == torch.float32 else torch.complex128
        modes = torch.fft.fft2(wide) * response.to(wide.device, dtype)
        image: Tensor = torch.fft.ifft2(modes).real
        return image.to(x.dtype)

    def _response(self, argument: str, x: Tensor) -> Tensor:
        """What the kernel does to each Fourier mode: complex128, ``(H, W)``, on the CPU."""
        height, width = self.kernel.shape
        if x.ndim < 3 or x.shape[-2] < height or x.shape[-1] < width:
            refuse(argument, x, f"(B, ..., H, W), at least as large as {height} x {width}")
        blank = self.kernel.new_zeros(x.shape[-2:])
        blank[:height, :width] = self.kernel
        response: Tensor = torch.fft.fft2(blank.roll((-(height // 2), -(width // 2)), (0, 1)))
        return response


@dataclass(frozen=True, eq=False)
class Matrix(Spectral):
    """A matrix that acts on flattened samples.

    Attributes:
        matrix: shape ``(M, N)``, N the numbers in a sample; kept in float64.
        shape: shape of one sample; None: ``(N,)``.

    Raises:
        ArgumentError: for a matrix that is none, or another number of numbers.
    """

    matrix: Tensor
    shape: tuple[int, ...] | None = None
    _size: tuple[int, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        matrix = numbers("matrix", self.matrix)
        if matrix.ndim != 2 or not bool(matrix.any()):
            raise ArgumentError("matrix", short(matrix), "of shape (M, N), and not all 0")
        size = (matrix.shape[1],) if self.shape is None else tuple(self.shape)
        if math.prod(size) != matrix.shape[1]:
            raise ArgumentError("shape", self.shape, f"one of {matrix.shape[1]} numbers")
        object.__setattr__(self, "matrix", matrix)
        object.__setattr__(self, "_size", size)

    def __repr__(self) -> str:
        return f"Matrix({tuple(self.matrix.shape)}, shape={self._size})"

    def forward(self, x: Tensor) -> Tensor:
        """Matrix times flattened sample: ``(B, *shape)`` to ``(B, M)``."""
        check_sample(x, self._size)
        return x.flatten(1) @ self.matrix.to(x).T

    def adjoint(self, y: Tensor) -> Tensor:
        """Transposed matrix times measurement: ``(B, M)`` to ``(B, *shape)``."""
        check_measured(y, len(self.matrix))
        return (y @ self.matrix.to(y)).reshape(-1, *self._size)

    def on_modes(self, x: Tensor, function: OfSingularValues) -> Tensor:
        """By its singular value decomposition, which is made once."""
        check_sample(x, self._size)
        values, basis = self._decomposition
        f = function(torch.cat((values, values.new_zeros(1)))).to(x)
        seen, unseen, flat, rows = f[..., :-1], f[..., -1:], x.flatten(1), basis.to(x)
        modes = flat @ rows.T
        return (unseen * flat + ((seen - unseen) * modes) @ rows).reshape(x.shape)

    @cached_property
    def _decomposition(self) -> tuple[Tensor, Tensor]:
        """Singular values above rounding, ``(r,)``, and the rows of V^T, ``(r, N)``."""
        _, values, rows = torch.linalg.svd(self.matrix, full_matrices=False)
        rank = values > values[0] * max(self.matrix.shape) * torch.finfo(torch.float64).eps
        return values[rank], rows[rank]
