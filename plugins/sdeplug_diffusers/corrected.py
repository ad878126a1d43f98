"""A step of a corrector with what was given and drawn."""

from __future__ import annotations

import torch
from torch import Tensor

from sdeplug import Corrector, LinearSDE, ReverseSDE
from sdeplug_diffusers.handed import Given, handing, wide


def corrected(
    by: Corrector,
    sde: LinearSDE,
    t: float,
    output: Tensor,
    sample: Tensor,
    noise: Tensor,
    *,
    apart: bool,
) -> Tensor:
    """One application of a corrector to the sample, in float32 at least.

    Args:
        by: the corrector.
        sde: the forward SDE.
        t: time of the sample.
        output: the score, shape ``(B, *D)``.
        sample: shape ``(B, *D)``.
        noise: shape ``(B, *D)``.
        apart: whether each row is corrected as a batch of its own.
    """

    def move(score: Tensor, x: Tensor, z: Tensor) -> Tensor:
        return by.correct(ReverseSDE(sde, Given(score)), x, t, handing(z))

    parts = wide(output), wide(sample), wide(noise)
    if apart:
        sde.validate()  # what is remembered of an SDE is not made inside the map over rows
        sde.at(t)
        moved: Tensor = torch.func.vmap(lambda *row: move(*(each[None] for each in row))[0])(*parts)
        return moved
    return move(*parts)
