"""How the errors of a batch become one number, which decides whether a step is accepted.

An error here is the estimate over ``atol + rtol max(|y|, |y'|)``, shape ``(B, *D)``; a step is
accepted if its norm is at most 1.  Both norms are root mean squares over a row, or over all.
"""

from __future__ import annotations

from torch import Tensor


def worst_row(errors: Tensor) -> Tensor:
    """The largest of the rows' norms: every row meets the tolerance."""
    return errors.reshape(len(errors), -1).square().mean(1).max().sqrt()


def whole_batch(errors: Tensor) -> Tensor:
    """torchdiffeq's norm, over all numbers of the batch: a large batch hides a bad row."""
    return errors.square().mean().sqrt()
