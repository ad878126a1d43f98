"""Targets with a name: the distributions of the documentation, the tests and the comparison."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sdeplug.errors import MissingExtraError
from sdeplug.targets.base import Target
from sdeplug.targets.mixture import Empirical, GaussianMixture


def eight_gaussians() -> GaussianMixture:
    """Eight equal modes in the plane, N(m, 0.1^2 I) with m on the circle of radius 1.

    The circle sets the scale: each coordinate has standard deviation 0.71, and neighbouring
    modes are 7.7 of their own standard deviations apart.
    """
    angles = torch.arange(8, dtype=torch.float64, device="cpu") * (math.pi / 4.0)
    return GaussianMixture(None, torch.stack((angles.cos(), angles.sin()), dim=1), std=0.1)


def two_modes() -> GaussianMixture:
    """1/5 N((-5, -5), I) + 4/5 N((5, 5), I).

    Between the modes there is next to no density, so that Langevin dynamics on the data law
    itself keeps whatever weights it starts with: Song & Ermon, arXiv 1907.05600, section 3.2.2.
    """
    return GaussianMixture((0.2, 0.8), ((-5.0, -5.0), (5.0, 5.0)), std=1.0)


def mixture_64() -> GaussianMixture:
    """Ten modes in 64 dimensions with unequal weights and full, unequal covariances.

    With F the orthonormal cosine transform and k = 0 ... 9, mode k has weight (k + 2) / 65, mean
    6 F[k], and covariance Q diag(l) Q^T: l holds the 64 numbers from 1 down to 0.01 in
    geometric steps, shifted cyclically by 6 k places, and Q is F^T reflected at the vector
    with entries cos((k + 1) j).  A coordinate of the whole has standard deviation 0.85, in the
    root of the mean square.  Nothing is drawn at random.
    """
    j = torch.arange(64, dtype=torch.float64, device="cpu")
    cosines = torch.cos((math.pi / 64.0) * (j + 0.5) * j[:, None]) * math.sqrt(2.0 / 64.0)
    cosines[0] *= math.sqrt(0.5)
    spectrum = 10.0 ** (-2.0 * j / 63.0)
    factors = []
    for k in range(10):
        normal = torch.cos((k + 1.0) * j)
        normal = normal / normal.norm()
        rotation = cosines.T - 2.0 * torch.outer(cosines.T @ normal, normal)
        factors.append(rotation * spectrum.roll(6 * k).sqrt())
    return GaussianMixture(
        torch.arange(2.0, 12.0, dtype=torch.float64, device="cpu"),
        6.0 * cosines[:10],
        factors=torch.stack(factors),
    )


@cache
def digits() -> Empirical:
    """The 1,797 handwritten digits of 8 x 8 pixels that scikit-learn ships: shape (1, 8, 8),
    scaled from 0 ... 16 to [-1, 1].

    Alpaydin & Kaynak, Optical Recognition of Handwritten Digits, UCI repository, 1998.

    Raises:
        MissingExtraError: without scikit-learn.
    """
    return Empirical(torch.from_numpy(_digits()[:, :64]).reshape(-1, 1, 8, 8) / 8.0 - 1.0)


def digit_labels() -> Tensor:
    """What each of the digits is, in the order of :func:`digits`: 0 to 9, int64, ``(1797,)``.

    Raises:
        MissingExtraError: without scikit-learn.
    """
    return torch.from_numpy(_digits()[:, 64].astype(np.int64))


def _digits() -> np.ndarray[Any, np.dtype[np.float64]]:
    """Their pixels, and what they are: (1797, 65), from the file that scikit-learn ships: to
    import it takes a second or two."""
    package = find_spec("sklearn")
    if package is None or package.origin is None:
        raise MissingExtraError("the digits", "scikit-learn", "images")
    file = Path(package.origin).parent / "datasets" / "data" / "digits.csv.gz"
    if file.exists():
        return np.loadtxt(file, delimiter=",")
    from sklearn.datasets import load_digits

    found = load_digits()
    return np.column_stack((found.data, found.target)).astype(np.float64)


BUILTIN: Mapping[str, Callable[[], Target]] = MappingProxyType(
    {
        "eight-gaussians": eight_gaussians,
        "two-modes": two_modes,
        "mixture-64": mixture_64,
        "digits": digits,
    }
)
"""The named targets, under the names that the command line takes."""
