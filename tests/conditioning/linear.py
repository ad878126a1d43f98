"""A Gaussian, a matrix that measures it, and what is known of it."""

from __future__ import annotations

import pytest
import torch
from common import normal

from sdeplug.conditioning import (
    DPS,
    LocalScore,
    Matrix,
    MomentMatching,
    PiGDM,
)
from sdeplug.targets import Gaussian

MEAN, COVARIANCE = normal(4), normal(4, 4, seed=1) @ normal(4, 4, seed=1).T + 0.1 * torch.eye(4)
MATRIX = normal(2, 4, seed=2)
OPERATOR = Matrix(MATRIX)
X, T = normal(5, 4, seed=4), torch.linspace(0.05, 0.95, 5, dtype=torch.float64)
Y = normal(1, 2, seed=3)
KNOWN = torch.tensor([True, False, True, True])


def posterior(matrix, y, noise, covariance=COVARIANCE):
    """N(m, C) given y = A x + noise n, by the textbook."""
    system = matrix @ covariance @ matrix.T + noise**2 * torch.eye(len(matrix)).double()
    gain = covariance @ matrix.T @ torch.linalg.inv(system)
    mean = MEAN + gain @ (y[0] - matrix @ MEAN)
    return Gaussian(mean, covariance - gain @ matrix @ covariance)


def close(found, wanted):
    torch.testing.assert_close(found, wanted, rtol=1e-7, atol=1e-8)


def network(x, t):
    """No score of anything: its derivative is not symmetric, and not positive."""
    return torch.tanh(x.flip(1) - 0.3 * x) + t[:, None]


METHODS = {
    "local": LocalScore,
    "dps": lambda score, known: DPS(score, known, 0.05),
    "pigdm": PiGDM,
    "moments": MomentMatching,
}


def every():
    return pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
