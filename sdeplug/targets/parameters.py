"""Reading the parameters of a mixture: checked copies in float64 on the CPU."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from sdeplug.errors import ArgumentError

_ROUNDING = 1e-6  # asymmetry and negative eigenvalues below this come from float32 arithmetic


def numbers(argument: str, value: object) -> Tensor:
    """Any numbers at all.

    Raises:
        ArgumentError: for anything else, and for numbers that are not finite.
    """
    try:
        if isinstance(value, Tensor) and not value.is_complex():
            result = value.detach().to("cpu", torch.float64, copy=True)
        else:
            # By way of an array, since torch reads Python floats in its default dtype.
            array = np.asarray(value).astype(np.float64, casting="same_kind")
            result = torch.from_numpy(array)
    except (TypeError, ValueError, RuntimeError):
        raise ArgumentError(
            argument, short(value), "real numbers in a tensor, an array or nested lists"
        ) from None
    if not bool(result.isfinite().all()):
        raise ArgumentError(
            argument, short(value), "finite numbers", "Look for missing values or overflow."
        )
    return result


def batch(argument: str, value: object) -> Tensor:
    """Samples in rows."""
    given = numbers(argument, value)
    if given.ndim < 2 or given.numel() == 0:
        raise ArgumentError(
            argument, short(value), "of shape (K, *shape), one row for each component",
            "Numbers in one dimension have shape (K, 1).",
        )  # fmt: skip
    return given


def weights(value: object, count: int) -> Tensor:
    """Weights above 0, ``(K,)``, of sum 1."""
    given = numbers("weights", value)
    if given.shape != (count,) or not bool((given > 0.0).all()):
        raise ArgumentError(
            "weights", short(value), f"{count} numbers above 0, one for each row of means",
            "Leave out a component that has no weight.",
        )  # fmt: skip
    return given / given.sum()


def floor(std: object, count: int) -> Tensor:
    """f from its square root: ``(1,)`` or ``(K,)``."""
    given = numbers("std", std)
    if given.shape not in ((), (count,)) or not bool((given >= 0.0).all()):
        raise ArgumentError("std", short(std), f"one number of at least 0, or {count} of them")
    return given.square().reshape(-1)


def covariances(value: object, count: int, dim: int) -> tuple[Tensor, Tensor]:
    """Eigenvectors in rows, ``(K, D, D)``, and eigenvalues, ``(K, D)``."""
    given = _fitting("covariances", value, count, dim)
    if given.shape[2] != dim:
        raise ArgumentError("covariances", short(given), f"of shape ({count}, {dim}, {dim})")
    tilt = (given - given.mT).abs().amax((1, 2))
    if bool((tilt > _ROUNDING * given.abs().amax((1, 2))).any()):
        raise ArgumentError(
            "covariances", short(given), "symmetric", "(C + C.mT) / 2 is, if C nearly is."
        )
    # Components that share one, as those of a posterior do, are decomposed once.
    shared = bool((given == given[:1]).all())
    apart = given[:1] if shared else given
    spectrum, basis = torch.linalg.eigh(0.5 * (apart + apart.mT))
    if bool((spectrum[:, 0] < -_ROUNDING * spectrum.abs().amax(1)).any()):
        raise ArgumentError(
            "covariances", short(given), "positive semi-definite",
            f"The smallest eigenvalue is {float(spectrum.min()):.3g}.",
        )  # fmt: skip
    found = basis.mT.contiguous(), _without_rounding(spectrum)
    return found[0].expand(count, -1, -1), found[1].expand(count, -1)


def factors(value: object, count: int, dim: int) -> tuple[Tensor, Tensor]:
    """Left singular vectors in rows, ``(K, r, D)``, and squared singular values, ``(K, r)``."""
    columns, singular, _ = torch.linalg.svd(
        _fitting("factors", value, count, dim), full_matrices=False
    )
    return columns.mT.contiguous(), _without_rounding(singular.square())


def _fitting(argument: str, value: object, count: int, dim: int) -> Tensor:
    given = numbers(argument, value)
    if given.ndim != 3 or given.shape[:2] != (count, dim) or given.shape[2] == 0:
        raise ArgumentError(
            argument, short(value), f"of shape ({count}, {dim}, r), to fit the means",
            "D is the number of numbers in a sample.",
        )  # fmt: skip
    return given


def _without_rounding(spectrum: Tensor) -> Tensor:
    """0 where an eigenvalue is what rounding leaves of 0."""
    least = spectrum.amax(1, keepdim=True) * spectrum.shape[1] * torch.finfo(spectrum.dtype).eps
    return torch.where(spectrum > least, spectrum, 0.0)


def short(value: object) -> object:
    """What to call a value in an error: a small one by itself, a tensor by its shape."""
    if isinstance(value, (Tensor, np.ndarray)):
        return f"{type(value).__name__} of shape {tuple(value.shape)}"
    text = repr(value)
    return value if len(text) <= 60 else f"{text[:57]}..."
