"""Any integrator as a scheduler of diffusers."""

from __future__ import annotations

from typing import Any

from sdeplug import Integrator, LinearSDE
from sdeplug_diffusers.scheduler import IntegratorScheduler


def as_scheduler(
    integrator: Integrator | str,
    sde: LinearSDE | None = None,
    prediction_type: str = "epsilon",
    **training: Any,
) -> IntegratorScheduler:
    """Any integrator as a scheduler of diffusers.

    Args:
        integrator: a solver of single steps, or its name.
        sde: the linear SDE that the network was trained for; None: the table of betas that
            ``training`` says, or the straight path for "flow_prediction".
        prediction_type: "epsilon", "sample", "v_prediction" or "flow_prediction".
        training: other arguments of :class:`IntegratorScheduler`.

    Raises:
        ArgumentError: as for :class:`IntegratorScheduler`.
    """
    made: IntegratorScheduler = IntegratorScheduler(
        integrator, prediction_type=prediction_type, sde=sde, **training
    )
    return made
