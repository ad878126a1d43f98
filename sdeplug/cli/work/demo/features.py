r"""Features of digits, and how far samples are from digits in them.

A Fréchet distance of linear features could not tell digits from a Gaussian with their moments.
These are the last hidden layer of a small classifier, which is trained in seconds on the digits
that the network learns from: never on those that are held out.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sdeplug.cli.work.small import Part
from sdeplug.metrics import frechet, moments
from sdeplug.noise import SharedNoise

COUNT = 32
_STEPS, _BATCH, _RATE, _BLUR = 300, 128, 2e-3, 0.1


class Features:
    """A classifier of digits: its last hidden layer, and what it reads.

    Args:
        learned: digits in [-1, 1] and their classes.
        seed: decides all randomness.
    """

    def __init__(self, learned: Part, seed: int) -> None:
        noise = SharedNoise(seed).stream("classifier")
        with torch.random.fork_rng([]):
            torch.default_generator.manual_seed(noise.seed)
            self._hidden = nn.Sequential(
                nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(),
                nn.Conv2d(32, 32, 3, stride=2, padding=1), nn.ReLU(), nn.Flatten(),
                nn.Linear(512, COUNT), nn.ReLU(),
            )  # fmt: skip
            self._last = nn.Linear(COUNT, 10)
        self._train(learned, noise)

    def of(self, x: Tensor) -> Tensor:
        """The features of digits, ``(B, 1, 8, 8)``: float64, ``(B, 32)``."""
        with torch.no_grad():
            found: Tensor = self._hidden(x).double()
        return found

    def read(self, x: Tensor) -> Tensor:
        """The class of each digit: int64, ``(B,)``."""
        with torch.no_grad():
            found: Tensor = self._last(self._hidden(x)).argmax(1)
        return found

    def frechet(self, x: Tensor, y: Tensor) -> float:
        """Fréchet distance of the features of two sets of digits (arXiv 1706.08500)."""
        return frechet(self.of(x), moments(self.of(y)))

    def _train(self, learned: Part, noise: SharedNoise) -> None:
        assert learned.labels is not None
        layers = nn.Sequential(self._hidden, self._last)
        optimiser = torch.optim.Adam(layers.parameters(), lr=_RATE)
        like = torch.empty(_BATCH, dtype=torch.float64, device="cpu")
        for _ in range(_STEPS):
            rows = (torch.special.ndtr(noise.normal(like)) * len(learned.x)).long()
            rows = rows.clamp(max=len(learned.x) - 1)
            x = learned.x[rows]
            said = layers(x + _BLUR * noise.normal(x))
            optimiser.zero_grad()
            nn.functional.cross_entropy(said, learned.labels[rows]).backward()
            optimiser.step()
