r"""Right solvers that draw more than the noise of the SDE: a time, or a number of steps.

What they draw is a normal number like any other, turned into what they need: the distribution
function of the normal law makes it uniform.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from sdeplug.noise import NoiseSource
from sdeplug.options import option
from sdeplug.reverse import ReverseSDE
from sdeplug.run import Run
from sdeplug.solvers import Claims, Integrator


# --8<-- [start:uniform]
def uniform(noise: NoiseSource, x: Tensor) -> Tensor:
    """A number between 0 and 1 for each row of x: float64, shape ``(B, 1, ..., 1)``."""
    first = noise.normal(x.flatten(1)[:, :1]).double()
    return spread(first, x)


def spread(normal: Tensor, x: Tensor) -> Tensor:
    """Normal numbers, one for each row of x, made uniform: shape ``(B, 1, ..., 1)``."""
    share: Tensor = torch.special.ndtr(normal)
    return share.reshape(-1, *[1] * (x.ndim - 1))


# --8<-- [end:uniform]


# --8<-- [start:midpoint]
@dataclass(frozen=True)
class RandomisedMidpoint(Integrator):
    """A step with the drift at a time drawn for each row: weak order 2 (arXiv 1909.05503).

    The mean over that time is the integral over the step, of the drift as of the diffusion.
    """

    claims = Claims(order=2, affine=False, evaluations=2, randomised=True)

    def integrate(self, reverse: ReverseSDE, x: Tensor, t: float, s: float, run: Run) -> Tensor:
        """Go to the time that was drawn with the drift at t, then all the way with that there."""
        before = self._share(run.noise, x) * (t - s)
        middle = (t - before).clamp(s, t)
        first, second = self._noise(reverse, x, middle, run.noise)
        early = first * before.sqrt().to(x.dtype)
        late = second * (t - s - before).clamp(min=0.0).sqrt().to(x.dtype)
        inside = x - before.to(x.dtype) * reverse.drift(x, t) + early
        return x - (t - s) * reverse.drift(inside, middle) + early + late

    def _share(self, noise: NoiseSource, x: Tensor) -> Tensor:
        return uniform(noise, x)

    def _noise(
        self, reverse: ReverseSDE, x: Tensor, middle: Tensor, noise: NoiseSource
    ) -> tuple[Tensor, Tensor]:
        """Noise per root of time, before the time that was drawn and after it."""
        scale = reverse.diffusion(middle, x)
        return scale * noise.normal(x), scale * noise.normal(x)


# --8<-- [end:midpoint]
# --8<-- [start:substeps]
@dataclass(frozen=True)
class RandomSubsteps(Integrator):
    """Some Euler-Maruyama steps in the place of one, their number drawn for each row."""

    most: int = option(2, help="largest number of them", ge=1, le=64)

    claims = Claims(order=1, affine=False, randomised=True)

    def integrate(self, reverse: ReverseSDE, x: Tensor, t: float, s: float, run: Run) -> Tensor:
        """All rows draw, so that none sees who is left; only those on their way are evaluated."""
        count = self._count(run.noise, x)
        length = (t - s) / count
        for number in range(self.most):
            z = run.noise.normal(x)
            rows = (number < count).flatten().nonzero()[:, 0]
            if len(rows):
                run.select(rows, len(x))
                times = (t - number * length[rows]).clamp(min=s)
                moved = self._moved(reverse, x[rows], times, length[rows], z[rows])
                x = x.index_copy(0, rows, moved)
        run.select(None, len(x))
        return x

    def _count(self, noise: NoiseSource, x: Tensor) -> Tensor:
        share = uniform(noise, x)
        return (self.most * share).floor().add(1.0).clamp(max=self.most)

    def _moved(
        self, reverse: ReverseSDE, x: Tensor, t: Tensor, length: Tensor, z: Tensor
    ) -> Tensor:
        """One step of each row, from its own time."""
        mean = x - length.to(x.dtype) * reverse.drift(x, t)
        return mean + length.sqrt().to(x.dtype) * reverse.diffusion(t, x) * z


# --8<-- [end:substeps]
