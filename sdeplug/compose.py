"""Solvers made of solvers: subdivide, predictor-corrector, final denoising.

A step is an integration over a short span, so that each of these is an integrator again and
they nest in any way: ``OnGrid(Corrected(predictor, corrector), grid)`` is the predictor-corrector
sampler of Song et al., arXiv 2011.13456, algorithm 1.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise

from torch import Tensor

from sdeplug.errors import ArgumentError, PairingError
from sdeplug.grid import Karras, LogSNR, TimeGrid, Uniform, checked_times
from sdeplug.noise import BrownianPath, BrownianWalk, NoiseSource, Silence
from sdeplug.options import option
from sdeplug.reverse import ReverseSDE
from sdeplug.run import Run
from sdeplug.sde import ForwardSDE, LinearSDE
from sdeplug.solvers import Advance, Claims, Corrector, Integrator


@dataclass(frozen=True)
class OnGrid(Integrator):
    """Subdivide: one step of ``integrator`` for each step of ``grid``.

    With ``noiseless_last`` the last step draws no noise, so that it returns its mean: the final
    "denoising" of Song et al., appendix G.  Correctors keep their noise.

    A solver that brings its own grid would begin it anew in each step: no leg takes such a one.
    """

    integrator: Integrator = option(help="solver of one step")
    grid: TimeGrid = option(help="where the steps end")
    noiseless_last: bool = option(False, help="return the mean of the last step")

    def __post_init__(self) -> None:
        super().__post_init__()
        self.claims  # noqa: B018  incompatible needs are an error now, not in the run

    @property
    def claims(self) -> Claims:
        """Those of the step; evaluations are multiplied by the number of steps."""
        step, steps = self.integrator.claims, self.grid.length
        each = step.evaluations
        counted = None if steps is None or each is None else steps * each
        needs = _narrower((self.integrator, step.needs), (self.grid, self.grid.needs))
        return replace(step, evaluations=counted, needs=needs)

    @property
    def needs_grid(self) -> bool:
        """False: it has one."""
        return False

    def integrate(self, reverse: ReverseSDE, x: Tensor, t: float, s: float, run: Run) -> Tensor:
        """Carry x from t to s over the grid; reports the times in between.

        A linear SDE is followed from its horizon at most: beyond it there is nothing to see.
        """
        if isinstance(reverse.forward, LinearSDE):
            x, t = reverse.forward.from_horizon(x, t, s)
        times = checked_times(self.grid, t, s, reverse.forward)
        reverse.forward.prepare(times)
        integrator = _noiseless_into(self.integrator, s) if self.noiseless_last else self.integrator
        advance = integrator.begin(reverse, run)
        for late, early in pairwise(times[:-1]):
            x = advance(x, late, early)
            run.report(early, x)
        return advance(x, times[-2], times[-1])


@dataclass(frozen=True)
class Corrected(Integrator):
    """Predictor-corrector: a step of ``integrator``, then sweeps of ``corrector`` at its end.

    With ``before`` the sweeps come first, at the start of the step, as in the reference
    implementation of Song et al.
    """

    integrator: Integrator = option(help="predictor")
    corrector: Corrector = option(help="what is applied between its steps")
    sweeps: int = option(1, help="applications of the corrector for each step", ge=0)
    before: bool = option(False, help="correct at the start of a step, not at its end")

    def __post_init__(self) -> None:
        super().__post_init__()
        self.claims  # noqa: B018  incompatible needs are an error now, not in the run

    @property
    def claims(self) -> Claims:
        """Those of the predictor, weakened by those of the corrector."""
        predictor, corrector = self.integrator.claims, self.corrector.claims
        evaluations = (
            None
            if predictor.evaluations is None or corrector.evaluations is None
            else predictor.evaluations + self.sweeps * corrector.evaluations
        )
        floors = [part.floor for part in (predictor, corrector) if part.floor is not None]
        return Claims(
            order=predictor.order,
            strong_order=None,
            stochastic=predictor.stochastic or corrector.stochastic,
            affine=predictor.affine and corrector.affine,
            couples_batch=predictor.couples_batch or corrector.couples_batch,
            evaluations=evaluations,
            floor=max(floors, default=None),
            needs=_narrower((self.integrator, predictor.needs), (self.corrector, corrector.needs)),
            steps=predictor.steps,
            level=predictor.level if corrector.level is None else corrector.level,
            differentiable=predictor.differentiable and corrector.differentiable,
            randomised=predictor.randomised or (corrector.stochastic and self.sweeps > 0),
        )

    @property
    def needs_grid(self) -> bool:
        """Whether its predictor does."""
        return self.integrator.needs_grid

    def integrate(self, reverse: ReverseSDE, x: Tensor, t: float, s: float, run: Run) -> Tensor:
        """One predictor step with its sweeps."""
        return self.begin(reverse, run)(x, t, s)

    def begin(self, reverse: ReverseSDE, run: Run) -> Advance:
        """Start a sequence of steps; the predictor keeps its own memory."""
        advance = self.integrator.begin(reverse, run)

        def sweep(x: Tensor, t: float) -> Tensor:
            for _ in range(self.sweeps):
                x = self.corrector.correct(reverse, x, t, run)
            return x

        def corrected(x: Tensor, t: float, s: float) -> Tensor:
            if self.before:
                return advance(sweep(x, t), t, s)
            return sweep(advance(x, t, s), s)

        return corrected


@dataclass(frozen=True)
class Denoise(Integrator):
    """Jump to the data: E[x_0 | x_t] (Tweedie), one evaluation, only to s = 0.

    The law of the result is that of the posterior mean, which is neither p_t nor p_0: it is
    closer to the data than p_t by the noise, and narrower than p_0.
    """

    claims = Claims(stochastic=False, evaluations=1, needs=LinearSDE)

    @property
    def ends_at(self) -> float:
        """0: the data."""
        return 0.0

    def integrate(self, reverse: ReverseSDE, x: Tensor, t: float, s: float, run: Run) -> Tensor:
        """E[x_0 | x_t].

        Raises:
            ArgumentError: unless s is 0.
        """
        if s != 0.0:
            raise ArgumentError("s", s, "0", "Denoise() jumps to the data: write Leg(0.0, ...).")
        return reverse.denoised(x, t)


STEPS = 100
"""Steps of the grid that a solver of single steps gets where nobody gives it one."""


def stepped(by: Integrator, forward: ForwardSDE, to: float) -> Integrator:
    """The integrator as a whole leg: one of single steps runs on a grid of 100 of them.

    Equal steps in log-SNR; towards a time without noise, where that ends nowhere, those of
    Karras et al.; equal steps in time for a forward SDE that is not linear.

    Args:
        by: any integrator; one that makes its own steps is returned as it is.
        forward: the forward SDE.
        to: time at which the leg ends.
    """
    if not by.needs_grid:
        return by
    if not isinstance(forward, LinearSDE):
        return OnGrid(by, Uniform(STEPS))
    noisy = math.isfinite(forward.at(to).log_snr)
    return OnGrid(by, LogSNR(STEPS) if noisy else Karras(STEPS))


_Needing = tuple[object, type[ForwardSDE]]

COMBINATORS: Mapping[str, type[Integrator]] = {
    "on-grid": OnGrid,
    "corrected": Corrected,
    "denoise": Denoise,
}
"""The combinators by name, for plain data and the command line."""


@dataclass(frozen=True)
class _NoiselessInto(Integrator):
    """The integrator, silent in the step that ends at ``end``; its memory stays whole."""

    integrator: Integrator
    end: float

    @property
    def claims(self) -> Claims:
        return self.integrator.claims

    def integrate(self, reverse: ReverseSDE, x: Tensor, t: float, s: float, run: Run) -> Tensor:
        return self.begin(reverse, run)(x, t, s)

    def begin(self, reverse: ReverseSDE, run: Run) -> Advance:
        noise = _Switched(run.noise)
        advance = self.integrator.begin(reverse, replace(run, noise=noise))

        def switched(x: Tensor, t: float, s: float) -> Tensor:
            noise.silent = s == self.end
            return advance(x, t, s)

        return switched


class _Switched(NoiseSource):
    """A source that can be silenced and let speak again."""

    def __init__(self, source: NoiseSource) -> None:
        self.source = source
        self.silent = False

    def _current(self) -> NoiseSource:
        return Silence() if self.silent else self.source

    def normal(self, like: Tensor) -> Tensor:
        return self._current().normal(like)

    def brownian(self, like: Tensor, t: float, s: float) -> BrownianPath:
        return self._current().brownian(like, t, s)

    def walk(self, like: Tensor, t: float) -> BrownianWalk:
        return self._current().walk(like, t)


def _noiseless_into(integrator: Integrator, end: float) -> Integrator:
    if isinstance(integrator, Corrected):
        return replace(integrator, integrator=_noiseless_into(integrator.integrator, end))
    return _NoiselessInto(integrator, end)


def _narrower(one: _Needing, other: _Needing) -> type[ForwardSDE]:
    """What fits two parts, each given with what it needs."""
    (part, needs), (partner, partner_needs) = one, other
    if issubclass(needs, partner_needs):
        return needs
    if issubclass(partner_needs, needs):
        return partner_needs
    raise PairingError(
        f"{part!r} needs a {needs.__name__} and {partner!r} a {partner_needs.__name__}: "
        "no forward SDE is both."
    )
