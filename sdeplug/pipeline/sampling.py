"""Samples in one line."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from sdeplug.compose import Denoise
from sdeplug.noise import NoiseSource
from sdeplug.pipeline.arguments import Seed
from sdeplug.pipeline.leg import Leg, Samples, checked_integrator
from sdeplug.pipeline.pipeline import Pipeline
from sdeplug.registry import solver
from sdeplug.reverse import ReverseSDE, checked_reverse
from sdeplug.run import Observer
from sdeplug.sde import ForwardSDE, LinearSDE
from sdeplug.solvers import Integrator

DEFAULT = "exponential/auto"
"""Name of the solver that samples when nobody names one: a whole leg with a budget ``nfe``."""

_FAINT = 0.002  # sigma/alpha where only the jump to the data is left: EDM's smallest noise level


def sample(
    reverse: ReverseSDE,
    shape: Sequence[int] | None = None,
    by: Integrator | None = None,
    *,
    seed: Seed = 0,
    noise: NoiseSource | None = None,
    x: Tensor | None = None,
    t: float | None = None,
    dtype: torch.dtype | str = torch.float32,
    device: torch.device | str = "cpu",
    observers: Observer | Sequence[Observer] = (),
    grad: bool = False,
) -> Samples:
    """Samples in one line: one integrator from T to eps, then :class:`Denoise`.

    An integrator that goes to the data by itself, as what ``calibrate`` gives, is the whole run.

    A network that does not see the noise where the run begins, as one that is told another time
    than in its training, is warned of; its first answer shows it.

    Args:
        reverse: the reverse SDE; its forward SDE is linear.
        shape: shape ``(B, *D)`` of the samples; may be left out with ``x``.
        by: the integrator, such as ``OnGrid(solver("ode/heun"), Uniform(50))``; one of single
            steps, such as ``solver("ode/heun")``, runs on ``LogSNR(100)``.  None: the solver
            named ``auto``, which picks the best that is known for its default budget and for the
            score: one that does not say how exact it is is taken for that of a network.  What it
            picked, and why, is in :attr:`Samples.notes`.
        seed: one number, or one for each sample.
        noise: as in :meth:`Pipeline.sample`, like all that follows.
        x: state to start from, instead of a draw from the prior.
        t: time to start from, with ``x``; default T.
        dtype: dtype of the samples.
        device: device of the samples.
        observers: who sees the states on the way.
        grad: whether the samples keep the graph that leads back to ``x`` and the model.

    Raises:
        SdeplugError: as :class:`Pipeline` and :meth:`Pipeline.sample`.
    """
    forward = checked_reverse(reverse).forward
    chosen = solver(DEFAULT) if by is None else checked_integrator(by)
    return Pipeline(reverse, whole_run(forward, chosen)).sample(
        shape, seed=seed, noise=noise, x=x, t=t, dtype=dtype, device=device,
        observers=observers, grad=grad,
    )  # fmt: skip


def whole_run(forward: ForwardSDE, by: Integrator) -> tuple[Leg, ...]:
    """The legs of a run to the data: one integrator, then a jump to 0 from where it ends.

    That is at :func:`last_time`, unless it goes to a time of its own.
    """
    end = last_time(forward) if by.ends_at is None else by.ends_at
    return (Leg(end, by), Leg(0.0, Denoise())) if end > 0.0 else (Leg(0.0, by),)


def last_time(forward: ForwardSDE) -> float:
    """Where an integrator stops that may need a score and a log-SNR there.

    It is eps.  With eps = 0 it is 0 where some noise is left there, as VE keeps it, or where the
    SDE is not linear, and else the time at which sigma/alpha is 0.002.
    """
    if forward.eps > 0.0 or not isinstance(forward, LinearSDE):
        return forward.eps
    if math.isfinite(forward.at(0.0).log_snr):
        return 0.0
    log_snr = torch.tensor(-2.0 * math.log(_FAINT), dtype=torch.float64, device="cpu")
    return float(forward.time_at(log_snr))
