r"""Sequential Monte Carlo: particles that are weighed by what was measured, and drawn again.

The reverse chain of the forward SDE, :math:`p(x_s | x_t) = N(\mu, v I)`, is twisted by a guess of
the likelihood from the denoised state D(x),

.. math:: \log\tilde p_t(y | x) = \log N\big(y;\, A D(x),\, r_t^2 A A^T + \sigma_y^2\big),
          \qquad r_t^2 = \frac{V \sigma^2}{\alpha^2 V + \sigma^2},

so that the particles move with its gradient, and each gets the weight

.. math:: \frac{p(x_s | x_t)}{\tilde p(x_s | x_t)}\,
          \frac{\tilde p_s(y | x_s)}{\tilde p_t(y | x_t)} .

Whatever the guess, many particles have the law :math:`p_s(x)\,\tilde p_s(y | x)`, and at the end of
the run, where the noise of x_s is below that of y, this is the posterior.  Wu, Trippe, Naesseth,
Blei & Cunningham, arXiv 2306.17775 (twisted diffusion sampler); the r_t^2 are those of Song et al.,
PiGDM.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from sdeplug.conditioning.derivative import recorded
from sdeplug.conditioning.measurement import Measurement
from sdeplug.errors import ArgumentError
from sdeplug.options import option
from sdeplug.reverse import ReverseSDE
from sdeplug.run import Run
from sdeplug.sde import LinearSDE
from sdeplug.solvers import Advance, Claims, Integrator

Listener = Callable[[float, Tensor], None]
"""Hears the time that was reached and the effective sample size of each group, ``(G,)``."""


@dataclass(frozen=True)
class SMC(Integrator):
    """Twisted particles: asymptotically exact samples of the posterior. ::

        by = OnGrid(SMC(measurement), LogSNR(200))
        samples = sp.sample(ReverseSDE(sde, score), (256, 2), by, seed=0)

    The rows of a batch are the particles.  They are drawn again at each step, so that they weigh
    the same at its end, and their law is right in the limit of many particles and short steps.
    Where y has a row for each sample, the particles of one y stand together: each run of equal
    rows of y is a group by itself, all of one size.  Samples of a group are not independent: some
    have an ancestor in common.
    """

    measurement: Measurement = option(help="what is known of the samples; with noise")
    variance: float = option(1.0, gt=0.0, help="variance V of the data")
    listener: Listener | None = option(None, help="hears (time, effective sample sizes)")

    claims = Claims(
        affine=False, couples_batch=True, floor=math.inf, needs=LinearSDE, differentiable=False,
        evaluations=2, randomised=True,
    )  # fmt: skip

    def __post_init__(self) -> None:
        super().__post_init__()
        self.measurement.demand_noise("SMC")

    @property
    def needs_grid(self) -> bool:
        """True: it takes a single step."""
        return True

    def integrate(self, reverse: ReverseSDE, x: Tensor, t: float, s: float, run: Run) -> Tensor:
        """One step from t to s, weighed, and drawn again."""
        return self.begin(reverse, run)(x, t, s)

    def begin(self, reverse: ReverseSDE, run: Run) -> Advance:
        """Start a sequence of steps, which remembers what was evaluated last.

        Raises:
            ArgumentError: in its steps, for samples of another shape than what was measured, for
                groups of different sizes, or a step to a time without noise.
        """
        return _Particles(self, reverse, run).advance


class _Twist(NamedTuple):
    """What is known of particles at a time: D(x), the log of the guess, and its gradient."""

    denoised: Tensor
    value: Tensor
    gradient: Tensor

    def at(self, rows: Tensor) -> _Twist:
        return _Twist(*(each[rows] for each in self))


class _Particles:
    """One sequence of steps."""

    def __init__(self, by: SMC, reverse: ReverseSDE, run: Run) -> None:
        self.by, self.reverse, self.run = by, reverse, run
        self.groups = _groups(by.measurement.y)
        self.known: tuple[Tensor, _Twist] | None = None

    def advance(self, x: Tensor, t: float, s: float) -> Tensor:
        self.by.measurement.check(x)
        if self.known is None or self.known[0] is not x:
            self.known = x, self._twist(x, t)
        here, sde = self.known[1], self.reverse.linear
        late, early = sde.at(t), sde.at(s)
        if early.sigma == 0.0:
            raise ArgumentError(
                "s", s, "a time with noise, since a likelihood is guessed from it",
                "Run to eps, and let Denoise() go to 0.",
            )  # fmt: skip
        kept, spread = early.log_snr - late.log_snr, early.sigma**2
        variance = -spread * math.expm1(-kept)
        toward = -early.alpha * math.expm1(-kept)
        mean = (late.alpha / early.alpha) * spread / late.sigma**2 * x + toward * here.denoised
        shift = toward * late.sigma**2 / late.alpha * here.gradient
        z = self.run.noise.normal(x)
        moved = mean + shift + math.sqrt(variance) * z
        there = self._twist(moved, s)
        drift = shift / math.sqrt(variance)
        weight = there.value - (drift * (z + 0.5 * drift)).flatten(1).sum(1).to(torch.float64)
        # Particles at the horizon are those of the prior: nothing has been weighed yet.
        weight = weight if t >= sde.horizon else weight - here.value
        rows = self._drawn(weight, s)
        x = moved[rows]
        self.known = x, there.at(rows)
        return x

    def _twist(self, x: Tensor, t: float) -> _Twist:
        """The guess of the likelihood; its normaliser is the same for all particles."""
        known, level = self.by.measurement, self.reverse.linear.at(t)
        ratio = (level.sigma / level.alpha) ** 2
        guess, noise = self.by.variance * ratio / (self.by.variance + ratio), known.noise_std**2
        with torch.no_grad(), recorded(x) as inner:
            denoised = self.reverse.denoised(inner, t)
        found = denoised.detach()
        residual = known.residual(found.to(torch.float64))
        seen = known.operator.adjoint(residual)
        ones = residual.new_ones(len(x))
        pull = known.operator.solved(seen, guess * ones, noise * ones)
        value = residual.square().flatten(1).sum(1) - guess * (seen * pull).flatten(1).sum(1)
        with torch.inference_mode(False):
            (gradient,) = torch.autograd.grad(denoised, inner, pull.to(x.dtype))
        return _Twist(found, -0.5 * value / noise, gradient)

    def _drawn(self, log_weight: Tensor, s: float) -> Tensor:
        """Rows drawn by their weights, systematically, in each group: int64, ``(B,)``."""
        groups, size = self.groups, len(log_weight) // self.groups
        weights = torch.softmax(log_weight.reshape(groups, size), 1)
        if self.by.listener is not None:
            self.by.listener(s, weights.square().sum(1).reciprocal())
        uniform = torch.special.ndtr(self.run.noise.normal(log_weight))[::size, None]
        teeth = torch.arange(size, dtype=torch.float64, device=uniform.device)
        bounds = weights.cumsum(1)
        # On the right: where the draw is 0, a first particle that weighs nothing is passed by.
        rows = torch.searchsorted(bounds, (teeth + uniform) / size * bounds[:, -1:], right=True)
        first = size * torch.arange(groups, dtype=torch.int64, device=rows.device)[:, None]
        return (rows.clamp(max=size - 1) + first).flatten()


def _groups(y: Tensor) -> int:
    """The number of runs of equal rows, which must be of equal length."""
    _, sizes = torch.unique_consecutive(y.flatten(1), dim=0, return_counts=True)
    if bool((sizes != sizes[0]).any()):
        raise ArgumentError(
            "y", f"groups of {sizes.tolist()[:8]} equal rows", "with as many particles for each y",
            "y.repeat_interleave(particles, 0) has them.",
        )  # fmt: skip
    return len(sizes)
