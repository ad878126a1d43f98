r"""Imputation: what is known of the samples is put in the place of what the sampler has there.

Given y = A x_0, the part of x_t that A sees is known in law: with P = A^+ A

.. math:: x' = (1 - P)\,x + \alpha_t A^+ y + \sigma_t P z.

For known pixels it is the inpainting of Song et al., arXiv 2011.13456, appendix I.2; for
:class:`Grey` the colourisation of appendix I.3, since (1 - P) and P are what the orthogonal
decoupling of the channels keeps apart.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from sdeplug.conditioning.measurement import Measurement
from sdeplug.conditioning.operator import Spectral
from sdeplug.errors import PairingError
from sdeplug.options import option
from sdeplug.reverse import ReverseSDE
from sdeplug.run import Run
from sdeplug.sde import LinearSDE, Marginal
from sdeplug.solvers import Claims, Corrector


@dataclass(frozen=True)
class Replacement(Corrector):
    r"""Put what is known, diffused to the time of the state, in its place.

    ::

        by = OnGrid(Corrected(solver("song/ancestral"), Replacement(known)), LogSNR(200))
        Pipeline(reverse, (Leg(sde.eps, by), Leg(0.0, Corrected(Denoise(), Replacement(known)))))

    The second leg leaves the known part as it was measured.  Where the measurement has noise,
    that of x_t is reduced by it, singular value by singular value,
    :math:`\sigma_t^2 - \alpha_t^2 \sigma_y^2 / s^2`, and what is blurred less than it was measured
    is left alone.

    The unknown part learns of the known one through the score alone, one step later: the law of
    the samples is near the conditional law and not equal to it, however fine the grid is.
    """

    measurement: Measurement = option(help="what is known of the samples")
    reference_steps: int | None = option(
        None, ge=2,
        help="repeat the reference implementation: the level of its time before, on a grid of so "
        "many, and the bare mean at the end",
    )  # fmt: skip

    claims = Claims(evaluations=0, floor=math.inf, needs=LinearSDE)

    def __post_init__(self) -> None:
        super().__post_init__()
        known = self.measurement
        if known.noise_std > 0.0 and not isinstance(known.operator, Spectral):
            raise PairingError(
                f"measurement = {known!r}: must have no noise, or an operator whose singular "
                "values are known, such as Matrix(matrix). PiGDM and MomentMatching take any."
            )

    def correct(self, reverse: ReverseSDE, x: Tensor, t: float, run: Run) -> Tensor:
        """x with what is known, as it is at time t, in its place.

        Raises:
            ArgumentError: for x of another shape than that of the measured samples.
        """
        self.measurement.check(x)
        steps, forward = self.reference_steps, reverse.linear
        level = forward.at(t if steps is None else _time_before(forward, t, steps))
        last = steps is not None and t < forward.eps
        z = torch.zeros_like(x) if last or level.sigma == 0.0 else run.noise.normal(x)
        missing = _exact if self.measurement.noise_std == 0.0 else _noisy
        return x + missing(self.measurement, x, z, level)


def _exact(known: Measurement, x: Tensor, z: Tensor, level: Marginal) -> Tensor:
    """What x lacks, where the measurement has no noise."""
    operator = known.operator
    wanted = level.alpha * known.rows(x) + operator.forward(level.sigma * z - x)
    return operator.inverse(wanted)


def _noisy(known: Measurement, x: Tensor, z: Tensor, level: Marginal) -> Tensor:
    """What x lacks, where the noise of the measurement is a part of that of x."""
    operator, blur = known.operator, level.alpha * known.noise_std
    assert isinstance(operator, Spectral)

    def known_better(s: Tensor) -> Tensor:
        return ((s > 0.0) & (level.sigma * s >= blur)).to(s)

    def left_over(s: Tensor) -> Tensor:
        variance = level.sigma**2 - (blur / s).square()
        return torch.where(known_better(s) > 0.0, variance.clamp(min=0.0).sqrt(), 0.0)

    missing = level.alpha * operator.inverse(known.rows(x)) - x
    return operator.on_modes(missing, known_better) + operator.on_modes(z, left_over)


def _time_before(forward: LinearSDE, t: float, steps: int) -> float:
    """The time at which the reference implementation began the step that it ended at t."""
    if t < forward.eps:
        return forward.eps
    return min(forward.T, t + (forward.T - forward.eps) / (steps - 1))
