r"""Metrics of images and data sets, in a stated feature space: the principal axes of the target.

Features are the coordinates of a sample along the first principal axes of the covariance of the
data law, computed in float64 from its exact moments.  They need no network and no data, and the
moments that features should have are exact.

Precision and recall: Kynkäänniemi et al., arXiv 1904.06991, equations 1 and 2.  Density and
coverage: Naeem et al., arXiv 2002.09797, equations 3 and 4.  With :math:`B_i` the ball around
the exact draw i that reaches to its k-th neighbour among the exact draws,

.. math::
    \text{density} = \frac{1}{k m} \sum_j \sum_i 1[y_j \in B_i], \qquad
    \text{coverage} = \frac{1}{n} \sum_i 1[\exists j: y_j \in B_i].
"""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import torch
from torch import Tensor

from sdeplug.metrics.distances import frechet
from sdeplug.metrics.metric import Metric, Truth, is_image
from sdeplug.options import option
from sdeplug.targets import Empirical, Target


@dataclass(frozen=True)
class FrechetDistance(Metric):
    """Fréchet distance of features: the square of W2 between Gaussians with their moments.

    As Heusel et al., arXiv 1706.08500, but with principal components for features, and with
    exact moments instead of those of a second sample.  In units of x squared.
    """

    features: int = option(32, help="number of principal components at most", ge=1)

    @classmethod
    def suits(cls, target: Target) -> bool:
        """Images."""
        return is_image(target)

    def measure(self, x: Tensor, truth: Truth) -> float:
        """The distance; its floor falls as 1 / n."""
        axes = _principal(truth.target, self.features)
        flat = x.flatten(1).double().cpu() @ axes
        mean, covariance = truth.moments()
        exact = (mean @ axes, axes.T @ covariance @ axes)
        return frechet(flat, exact)


@dataclass(frozen=True)
class NearestNeighbour(Metric):
    """Distance of a sample to the nearest point of a data set, in the median.

    The root mean square over the coordinates.  At time t exact samples are about sigma(t) from
    alpha(t) times a point, and none is nearer than that: this is the floor.

    A sampler that gives one point of the data again and again is perfect here: it says whether
    samples are like the data, not whether they are like all of it.  So it never ranks unless it
    is asked to; recall and coverage stand beside it.
    """

    rows: int = option(2000, help="how many samples are used", ge=1)

    @classmethod
    def suits(cls, target: Target) -> bool:
        """Data sets."""
        return isinstance(target, Empirical)

    def measure(self, x: Tensor, truth: Truth) -> float:
        """The median distance, in units of x."""
        assert isinstance(truth.target, Empirical)
        points = truth.sde.at(truth.t).alpha * truth.target.means.flatten(1)
        flat = x[: self.rows].flatten(1).double().cpu()
        return float(torch.cdist(flat, points).amin(1).median()) / math.sqrt(flat.shape[1])


@dataclass(frozen=True)
class _Neighbourhoods(Metric):
    """What compares the neighbourhoods of samples and of as many exact draws."""

    higher_is_better: ClassVar[bool] = True

    features: int = option(32, help="number of principal components at most", ge=1)
    neighbours: int = option(5, help="a neighbourhood reaches to this neighbour", ge=1)
    rows: int = option(1000, help="how many samples are used", ge=2)

    @classmethod
    def suits(cls, target: Target) -> bool:
        """Images, and data sets of any shape."""
        return is_image(target) or isinstance(target, Empirical)

    def measure(self, x: Tensor, truth: Truth) -> float:
        """The share, from 0 to 1; a density may be above 1."""
        count = min(self.rows, len(x))
        axes = _principal(truth.target, self.features)
        fake = x[:count].flatten(1).double().cpu() @ axes
        real = truth.draws(self.rows)[:count].flatten(1) @ axes
        return self.share(real, fake)

    @abstractmethod
    def share(self, real: Tensor, fake: Tensor) -> float:
        """From features of exact draws and of samples, float64, both of shape ``(n, F)``."""

    def radii(self, features: Tensor) -> Tensor:
        """Distance of each row to its k-th neighbour among the others, shape ``(n,)``."""
        nearest = min(self.neighbours + 1, len(features))
        reach: Tensor = torch.cdist(features, features).kthvalue(nearest, dim=1).values
        return reach


@dataclass(frozen=True)
class Precision(_Neighbourhoods):
    """Share of the samples that lie in the neighbourhood of an exact draw: quality."""

    def share(self, real: Tensor, fake: Tensor) -> float:
        """From 0 to 1."""
        inside = torch.cdist(real, fake) <= self.radii(real)[:, None]
        return float(inside.any(0).double().mean())


@dataclass(frozen=True)
class Recall(_Neighbourhoods):
    """Share of the exact draws that lie in the neighbourhood of a sample: diversity."""

    def share(self, real: Tensor, fake: Tensor) -> float:
        """From 0 to 1."""
        inside = torch.cdist(real, fake) <= self.radii(fake)
        return float(inside.any(1).double().mean())


@dataclass(frozen=True)
class Density(_Neighbourhoods):
    """How many neighbourhoods of exact draws a sample lies in, over their expected number."""

    def share(self, real: Tensor, fake: Tensor) -> float:
        """Around 1, and above it where samples crowd in dense places."""
        inside = torch.cdist(real, fake) <= self.radii(real)[:, None]
        return float(inside.double().sum(0).mean()) / self.neighbours


@dataclass(frozen=True)
class Coverage(_Neighbourhoods):
    """Share of the exact draws whose neighbourhood has a sample in it: diversity."""

    def share(self, real: Tensor, fake: Tensor) -> float:
        """From 0 to 1."""
        return float((torch.cdist(real, fake).amin(1) <= self.radii(real)).double().mean())


@lru_cache(maxsize=4)
def _principal(target: Target, count: int) -> Tensor:
    """The first principal axes of a target, in columns: float64, ``(D, min(count, D))``."""
    _, axes = torch.linalg.eigh(target.covariance)
    first: Tensor = axes.flip(1)[:, :count]
    return first
