"""Purification: what is not in the data is drowned in noise, and the noise is taken away.

Nie et al., arXiv 2205.07460 (DiffPure).
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from sdeplug.errors import ArgumentError, argument_type
from sdeplug.pipeline import Pipeline, Seed, checked_source
from sdeplug.score import Checkpointed
from sdeplug.values import number


def purify(
    pipeline: Pipeline,
    x: Tensor,
    t: float,
    *,
    seed: Seed = 0,
    grad: bool = False,
) -> Tensor:
    """Diffuse x to time t, and carry it back.

    A small t leaves what was added to x, a large one forgets x itself.

    Args:
        pipeline: carries states from t back to the data; its forward SDE is linear.
        x: samples, shape ``(B, *D)``, in the units of the data.
        t: time in (0, T].
        seed: one number, or one for each sample, as in :meth:`Pipeline.sample`.
        grad: whether the result keeps the graph that leads back to x.  The score is then asked
            again on the way back, so that memory is that of the states (:class:`Checkpointed`); a
            solver with an adjoint, such as ``torchsde/reversible-heun``, has its own way back.

    Returns:
        Shape, dtype and device of x.

    Raises:
        ArgumentError: for another time, or one below the end of the first leg; for x that is no
            floating tensor.
        PairingError: if the forward SDE is not linear.
        SdeplugError: as :meth:`Pipeline.sample`.
    """
    if not isinstance(pipeline, Pipeline):
        argument_type("pipeline", pipeline, "a Pipeline", "The order is purify(pipeline, x, t).")
    if not isinstance(x, Tensor) or not x.is_floating_point() or x.ndim < 2:
        given = (tuple(x.shape), x.dtype) if isinstance(x, Tensor) else type(x).__name__
        raise ArgumentError("x", given, "a floating tensor of shape (B, *D)")
    sde, time = pipeline.reverse.linear, number(t)
    if time is None or not pipeline.legs[0].to < time <= sde.T:
        raise ArgumentError(
            "t", t, f"a time above {pipeline.legs[0].to}, where the first leg ends, to T = {sde.T}"
        )
    if grad:
        reverse = pipeline.reverse
        lean = replace(reverse, score_model=Checkpointed(reverse.score_model))
        pipeline = replace(pipeline, reverse=lean)
    times = torch.full(x.shape[:1], time, dtype=torch.float64, device=x.device)
    with torch.set_grad_enabled(grad):
        diffused = sde.perturb(x, times, checked_source(seed, None, len(x)))
    return pipeline.sample(x=diffused, t=time, seed=seed, grad=grad).x
