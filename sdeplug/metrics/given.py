"""Metrics in features that the user gives, such as those of a classifier."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache

import torch
from torch import Tensor

from sdeplug.errors import ArgumentError, brief
from sdeplug.metrics.distances import frechet, moments
from sdeplug.metrics.metric import Metric, Truth
from sdeplug.options import option
from sdeplug.targets import Empirical

_PART = 500  # rows that the features are asked of at once
_DRAWS = 10_000  # exact ones, where the law is not that of data


@dataclass(frozen=True)
class FeatureFrechet(Metric):
    """Fréchet distance of features of your own: the square of W2 between Gaussians. ::

        compare(solvers, target, sde, metrics=(FeatureFrechet(classifier, "classifier"),))

    As Heusel et al., arXiv 1706.08500.  A data set is known by the features of all its points,
    another law by those of 10,000 exact draws.  The floor falls as 1 / n, and is high where there
    are not many more samples than features: only equal numbers of samples compare.
    """

    features: Callable[[Tensor], Tensor] = option(help="samples (n, *shape) to features (n, F)")
    name: str = option("features", help="what results call these features")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name})"

    def measure(self, x: Tensor, truth: Truth) -> float:
        """The distance, in units of a feature squared.

        Raises:
            ArgumentError: for features of another shape, that are not finite, or that fail.
        """
        return frechet(self.of(x), _law(self, replace(truth, seed=0)))

    @torch.no_grad()
    def of(self, x: Tensor) -> Tensor:
        """Features of samples, asked in single precision: float64 on the CPU, ``(n, F)``."""
        found = torch.cat([self._checked(part) for part in x.float().split(_PART)])
        if not bool(found.isfinite().all()):
            raise ArgumentError("features", "some that are not finite", "finite for finite samples")
        return found.double().cpu()

    def _checked(self, x: Tensor) -> Tensor:
        """Features of one part."""
        try:
            found: object = self.features(x)
        except Exception as error:
            raise ArgumentError(
                "features", brief(self.features), "a function of samples",
                f"For some of shape {tuple(x.shape)} it failed: {type(error).__name__}, {error}",
            ) from error  # fmt: skip
        if isinstance(found, Tensor) and found.ndim == 2 and len(found) == len(x):
            return found
        shape = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
        raise ArgumentError(
            "features", shape, f"a tensor of shape ({len(x)}, F) for {len(x)} rows",
            "Flatten what the network gives: features(x).flatten(1).",
        )  # fmt: skip


@lru_cache(maxsize=4)
def _law(metric: FeatureFrechet, truth: Truth) -> tuple[Tensor, Tensor]:
    """Moments of the features that exact draws have."""
    if isinstance(truth.target, Empirical) and truth.t == 0.0:
        return moments(metric.of(truth.target.means))
    return moments(metric.of(truth.draws(_DRAWS)))
