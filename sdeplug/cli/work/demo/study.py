"""What the experiments with a trained network share: its digits, its rivals, its judge."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from sdeplug import targets
from sdeplug.cli.work.data.rows import Rows, classified
from sdeplug.cli.work.demo.features import Features
from sdeplug.cli.work.small import SDE, Divided
from sdeplug.networks import Model
from sdeplug.noise import SharedNoise
from sdeplug.score import Bound, FromDenoiser, ScoreModel
from sdeplug.targets import Gaussian, GaussianMixture, Target

LEVELS = 17  # of a pixel of the digits of scikit-learn: 0 to 16
_WIDTHS = (0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4)  # that a kernel can have


def digit_rows() -> Rows:
    """The digits that scikit-learn ships, as whole numbers, and what they are."""
    images = (targets.digits().means + 1.0) * 0.5 * (LEVELS - 1)
    x = np.round(images.numpy()).astype(np.uint8).reshape(-1, 8, 8)
    return classified(x, targets.digit_labels().numpy())


@dataclass(frozen=True)
class Study:
    """A trained network and what is needed to judge it.

    Attributes:
        data: the digits, learned and held out.
        model: the trained network.
        seed: seed of everything that is drawn.
    """

    data: Divided
    model: Model
    seed: int

    @property
    def learned(self) -> Tensor:
        """Digits that it has learned, in [-1, 1]."""
        return self.data.learned.x

    @property
    def classes(self) -> Tensor:
        """What the learned digits are: int64, ``(N,)``."""
        assert self.data.learned.labels is not None
        return self.data.learned.labels

    @property
    def held_out(self) -> Tensor:
        """Digits that it has never seen."""
        return self.data.held_out.x

    def of_classes(self, labels: Tensor) -> ScoreModel:
        """The score of digits of which each has a class: int64, one for each row."""
        return FromDenoiser(Bound(self.model.network, labels=labels), SDE)

    @property
    def held_out_classes(self) -> Tensor:
        """What these are: int64, ``(M,)``."""
        assert self.data.held_out.labels is not None
        return self.data.held_out.labels

    @cached_property
    def features(self) -> Features:
        """What compares digits."""
        return Features(self.data.learned, self.seed)

    @cached_property
    def gaussian(self) -> Gaussian:
        """The Gaussian with the mean and the covariance of the learned digits."""
        flat = self.blurred(self.learned, "fit").flatten(1)
        return Gaussian(flat.mean(0), torch.cov(flat.T))

    @cached_property
    def kernel(self) -> tuple[GaussianMixture, float]:
        """A Gaussian around each learned digit, and its deviation: the best on held-out digits."""
        centers = self.blurred(self.learned, "fit").flatten(1)
        wanted = self.blurred(self.held_out, "judge").flatten(1)
        fits = [(GaussianMixture(None, centers, std=width), width) for width in _WIDTHS]
        return max(fits, key=lambda fit: float(fit[0].log_prob(wanted).mean()))

    def blurred(self, x: Tensor, word: str) -> Tensor:
        """Digits with uniform noise of one level, which makes them real numbers: float64."""
        noise = SharedNoise(self.seed).stream(f"blur, {word}")
        wide = x.double()
        uniform: Tensor = torch.special.ndtr(noise.normal(wide)) - 0.5
        return wide + self.data.units.level * uniform

    def pixels(self, x: Tensor) -> Tensor:
        """Samples as digits: at the nearest of the 17 levels."""
        return self.data.units.inward(self.data.units.outward(x))

    def drawn(self, rival: Target, word: str) -> Tensor:
        """As many digits of a rival as there are learned ones."""
        noise = SharedNoise(self.seed).stream(f"draw, {word}")
        x = rival.sample(len(self.learned), noise=noise)
        return self.pixels(x.reshape(-1, *self.learned.shape[1:]))

    def frechet(self, x: Tensor) -> float:
        """Fréchet distance of digits from the held-out ones."""
        return self.features.frechet(x, self.held_out)
