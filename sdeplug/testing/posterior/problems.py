"""Inverse problems with exact posteriors: priors, operators and noise."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor

from sdeplug.conditioning import Matrix, Measurement, exact_posterior
from sdeplug.noise import SharedNoise
from sdeplug.targets import Gaussian, GaussianMixture


@dataclass(frozen=True, eq=False)
class PosteriorProblem:
    """A prior, and how much of a sample is measured with how much noise.

    Attributes:
        name: what it is called in a report.
        prior: the law of x_0, samples of shape ``(D,)``.
        matrix: A, float64, shape ``(M, D)``.
        noise_std: standard deviation of the noise of y, above 0.
    """

    name: str
    prior: GaussianMixture
    matrix: Tensor
    noise_std: float

    def drawn(self, cases: int, seed: int = 0) -> tuple[Tensor, Tensor]:
        """Truths and what was measured of them: float64, ``(cases, D)`` and ``(cases, M)``."""
        noise = SharedNoise(seed)
        truth = self.prior.sample(cases, noise=noise, dtype=torch.float64)
        y = truth @ self.matrix.T
        return truth, y + self.noise_std * noise.normal(y)

    def measurement(self, y: Tensor) -> Measurement:
        """What was measured, as a method takes it: y of shape ``(B, M)`` or ``(1, M)``."""
        return Measurement(Matrix(self.matrix), y, self.noise_std)

    def posterior(self, y: Tensor) -> GaussianMixture:
        """The exact posterior given one y of shape ``(1, M)``."""
        return exact_posterior(self.prior, self.measurement(y))


def posterior_problems(
    dimensions: tuple[int, ...] = (8,),
    measured: tuple[int, ...] = (1, 2, 4),
    noise_stds: tuple[float, ...] = (0.1, 0.5),
) -> tuple[PosteriorProblem, ...]:
    """A Gaussian in 8 dimensions, and the mixture of the literature on sequential Monte Carlo.

    That mixture has 25 modes of equal weight, N(m, 1) with m = (8 i, 8 j, 8 i, 8 j, ...), where i
    and j are from -2 to 2 (Cardoso, Janati El Idrissi, Le Corff & Moulines, arXiv 2308.07983),
    here in units in which a coordinate has variance 1.  The literature has D = 8, 80, 800 and
    1, 2, 4 numbers measured.  Nothing is drawn at random: A has orthogonal rows with singular
    values from 1 down.

    Args:
        dimensions: of the mixture.
        measured: numbers M that are measured.
        noise_stds: of the noise of y.
    """
    found = []
    for std in noise_stds:
        prior, matrix = _gaussian()
        found.append(PosteriorProblem(f"Gaussian, D = 8, M = 2, noise {std:g}", prior, matrix, std))
        for dimension, count in product(dimensions, measured):
            name = f"mixture, D = {dimension}, M = {count}, noise {std:g}"
            mixture, rows = mixture_of_25(dimension), operator(dimension, count)
            found.append(PosteriorProblem(name, mixture, rows, std))
    return tuple(found)


def mixture_of_25(dimension: int) -> GaussianMixture:
    """The mixture of the literature, in units of its standard deviation; D is even."""
    steps = torch.arange(-2, 3, dtype=torch.float64, device="cpu")
    corners = 8.0 * torch.cartesian_prod(steps, steps)
    unit = math.sqrt(129.0)  # 1 + 64 (4 + 1 + 0 + 1 + 4) / 5
    return GaussianMixture(None, corners.repeat(1, dimension // 2) / unit, std=1.0 / unit)


def operator(dimension: int, count: int) -> Tensor:
    """Rows of cosines, orthogonal, with singular values 1, 1/2, 1/3 ...: ``(count, D)``."""
    rows = torch.arange(1, count + 1, dtype=torch.float64, device="cpu")[:, None]
    place = torch.arange(dimension, dtype=torch.float64, device="cpu") + 0.5
    return math.sqrt(2.0 / dimension) * torch.cos(math.pi / dimension * rows * place) / rows


def _gaussian() -> tuple[Gaussian, Tensor]:
    """Variances from 1 down to 0.01 along axes that A does not know."""
    axes = operator(8, 7) * torch.arange(1, 8, dtype=torch.float64, device="cpu")[:, None]
    variances = 10.0 ** -torch.linspace(0.0, 2.0, 7, dtype=torch.float64, device="cpu")
    factor = axes.roll(3, 1).T * variances.sqrt()
    mean = torch.linspace(-0.5, 0.5, 8, dtype=torch.float64, device="cpu")
    return Gaussian(mean, factor=factor, std=0.1), operator(8, 2)
