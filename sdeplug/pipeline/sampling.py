"""Samples in one line."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from sdeplug.compose import Denoise
from sdeplug.pipeline.leg import Leg, Samples
from sdeplug.pipeline.pipeline import Pipeline
from sdeplug.registry import solver
from sdeplug.reverse import ReverseSDE
from sdeplug.solvers import Integrator

DEFAULT = "exponential/auto"
"""Name of the solver that samples when nobody names one: a whole leg with a budget ``nfe``."""


def sample(
    reverse: ReverseSDE,
    shape: Sequence[int],
    by: Integrator | None = None,
    *,
    seed: int | Sequence[int] = 0,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
) -> Samples:
    """Samples in one line: one integrator from T to eps, then :class:`Denoise`.

    Args:
        reverse: the reverse SDE; its forward SDE is linear.
        shape: shape ``(B, *D)`` of the samples.
        by: the integrator, such as ``OnGrid(solver("ode/heun"), Uniform(50))``; None: the solver
            named ``auto``, which picks the best that is known for its default budget.
        seed: one number, or one for each sample.
        dtype: dtype of the samples.
        device: device of the samples.

    Raises:
        SdeplugError: as :class:`Pipeline` and :meth:`Pipeline.sample`.
    """
    chosen = solver(DEFAULT) if by is None else by
    legs = (Leg(reverse.forward.eps, chosen), Leg(0.0, Denoise()))
    return Pipeline(reverse, legs).sample(shape, seed=seed, dtype=dtype, device=device)
