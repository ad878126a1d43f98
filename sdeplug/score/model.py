"""What a score model is: any callable (x, t) -> grad_x log p_t(x), and what it may tell of itself.

A plain function is enough.  Five more members are read where a model has them:

- ``sde``: the forward SDE whose score it is.  It must be that of the reverse SDE.
- ``error``: relative error of the noise that it predicts; 0.0: exact.  Absent or None: unknown,
  as with a network.  Whoever chooses a method for a score reads it.
- ``for_rows(rows)``: the model for some rows of its batch, their numbers int64, shape ``(R,)``.
  A model that holds something for each row has it, so that rows can leave the batch.
- ``asked(t)``: for which rows of a batch at times t, shape ``(B,)``, its network is asked: bool,
  shape ``(B,)``.  A model that knows some answers without it has it; evaluations are counted so.
- ``with_divergence(x, t)``: the score and its divergence, the trace of its Jacobian, shape
  ``(B,)``; None where it is not known.  A model that has a formula for it spares likelihoods as
  many products with the Jacobian as there are dimensions.
"""

from __future__ import annotations

from typing import Protocol, cast, runtime_checkable

from torch import Tensor

from sdeplug.sde import ForwardSDE


@runtime_checkable
class ScoreModel(Protocol):
    """grad_x log p_t(x).

    A model may also have the attributes ``sde``, a :class:`ForwardSDE` that is checked against
    that of the reverse SDE, and ``error``, the relative error of the noise that it predicts, 0.0
    where it is exact; and the methods ``for_rows(rows)``, which gives the model for some rows of
    its batch, as :class:`Bound` has, and ``asked(t)``, which tells for which rows its network is
    asked, as :class:`AnalyticFirst` has, and ``with_divergence(x, t)``, which gives the score and
    its divergence, shape ``(B,)``, as the score of a target has.
    """

    def __call__(self, x: Tensor, t: Tensor, /) -> Tensor:
        """x of shape ``(B, *D)`` and t of shape ``(B,)``, float32 at least, to ``(B, *D)``."""
        ...


def sde_of(model: object) -> ForwardSDE | None:
    """The forward SDE whose score a model is, where it says so."""
    sde = getattr(model, "sde", None)
    return sde if isinstance(sde, ForwardSDE) else None


def error_of(model: object) -> float | None:
    """Relative error of the noise that a model predicts, where it says so; 0.0: exact."""
    error = getattr(model, "error", None)
    return float(error) if isinstance(error, (int, float)) else None


def for_rows(model: ScoreModel, rows: Tensor) -> ScoreModel:
    """A model for some rows of its batch: itself, where it holds nothing for each row.

    Args:
        model: score model, or a network in other units.
        rows: numbers of the rows, int64, shape ``(R,)``.
    """
    picked = getattr(model, "for_rows", None)
    return model if picked is None else cast(ScoreModel, picked(rows))


def asked_count(model: object, x: Tensor, t: Tensor) -> int:
    """For how many rows of x a network is asked."""
    asked = asked_rows(model, t)
    return len(x) if asked is None else int(asked.sum())


def asked_rows(model: object, t: Tensor) -> Tensor | None:
    """For which rows a network is asked, where the model says so; None: for all of them.

    Args:
        model: score model.
        t: times of the rows, shape ``(B,)``.

    Returns:
        bool, shape ``(B,)``, where t is.
    """
    asked = getattr(model, "asked", None)
    return None if asked is None else cast("Tensor | None", asked(t))


def with_divergence(model: object, x: Tensor, t: Tensor) -> tuple[Tensor, Tensor] | None:
    """A score and its divergence, the trace of its Jacobian, where the model has a formula for it.

    Args:
        model: score model.
        x: states, shape ``(B, *D)``.
        t: times of the rows, shape ``(B,)``.

    Returns:
        Shapes ``(B, *D)`` and ``(B,)``; None where the divergence is not known.
    """
    known = getattr(model, "with_divergence", None)
    return None if known is None else cast("tuple[Tensor, Tensor] | None", known(x, t))
