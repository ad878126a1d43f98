"""Right solvers that choose steps for each row, or bring a grid of their own."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from sdeplug.errors import StepError
from sdeplug.grid import LogSNR
from sdeplug.noise import NoiseSource
from sdeplug.noise.walk import BrownianWalk, Floats, Mask
from sdeplug.options import option
from sdeplug.reverse import ReverseSDE
from sdeplug.run import Run
from sdeplug.sde import LinearSDE
from sdeplug.solvers import Claims, Integrator
from sdeplug.testing.mutants.right import ExponentialMidpoint

_LEAST = 1e-10  # step over the span
_EASY = 1e-9  # an error below which all steps may grow as much


@dataclass(frozen=True)
class OwnGrid(Integrator):
    """The steps of another integrator, in a loop of its own over a grid of its own."""

    step: Integrator = option(ExponentialMidpoint(), help="the integrator of single steps")
    steps: int = option(6, help="number of steps", ge=1)

    @property
    def claims(self) -> Claims:
        """Those of its steps; no path tells where these are."""
        one = self.step.claims
        evaluations = None if one.evaluations is None else self.steps * one.evaluations
        return replace(one, evaluations=evaluations, strong_order=None, steps="steps")

    def integrate(self, reverse: ReverseSDE, x: Tensor, t: float, s: float, run: Run) -> Tensor:
        """Equal steps in log-SNR, one after the other."""
        advance = self.step.begin(reverse, run)
        for late, early in pairwise(self._times(reverse, t, s)):
            x = advance(x, late, early)
        return x

    def _times(self, reverse: ReverseSDE, t: float, s: float) -> tuple[float, ...]:
        return tuple(LogSNR(self.steps).times(t, s, reverse.forward))


@dataclass(frozen=True)
class RowHeun(Integrator):
    """Heun's method with noise, in steps as long as each row allows, on one path for each."""

    tolerance: float = option(0.05, help="error of Euler's step, over sigma", gt=0.0, le=1.0)

    claims = Claims(affine=False, needs=LinearSDE)

    def integrate(self, reverse: ReverseSDE, x: Tensor, t: float, s: float, run: Run) -> Tensor:
        """What a step that is rejected has seen of its path stays ahead of it."""
        walk, length = self._walk(run.noise, x, t), np.full(len(x), t - s)
        while bool((walk.here > s).any()):
            here, end = walk.here, np.maximum(walk.here - length, s)
            new, error = self._tried(reverse, x, end, walk)
            taken, length = error <= 1.0, here - end
            short = ~taken & (length <= _LEAST * (t - s))
            if short.any():
                row = int(short.argmax())
                late = float(here[row])
                raise StepError(f"no step is short enough at t = {late:.6g}", t=late, row=row)
            walk.settle(taken)
            x = torch.where(_column(taken, x), new, x)
            length = length * np.clip(0.9 / np.sqrt(np.maximum(error, _EASY)), 0.2, 4.0)
        return x

    def _tried(
        self, reverse: ReverseSDE, x: Tensor, end: Floats, walk: BrownianWalk
    ) -> tuple[Tensor, Floats]:
        """A step of each row, and its error: shape ``(B,)``, at most 1 where it will do."""
        late, early = (_column(each, x) for each in (walk.here, end))
        step, z = late - early, walk.ahead(end)
        first, second = reverse.diffusion(late, x), reverse.diffusion(early, x)
        velocity = reverse.drift(x, late)
        ahead = reverse.drift(x - step.to(x.dtype) * velocity + first * z, early)
        off = 0.5 * step.to(x.dtype) * (ahead - velocity)
        new = x - 0.5 * step.to(x.dtype) * (velocity + ahead) + 0.5 * (first + second) * z
        sizes = off.detach().flatten(1).double().square().mean(1).sqrt()
        allowed = self.tolerance * reverse.linear.sigma(early).flatten()
        return new, (sizes / allowed).cpu().numpy()

    def _walk(self, noise: NoiseSource, x: Tensor, t: float) -> BrownianWalk:
        return noise.walk(x, t)


def _column(values: Floats | Mask, x: Tensor) -> Tensor:
    """One number for each row of x: shape ``(B, 1, ..., 1)``."""
    return torch.from_numpy(values).to(x.device).reshape(-1, *[1] * (x.ndim - 1))
