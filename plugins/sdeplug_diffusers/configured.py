"""Configurations of other schedulers, in the words of :class:`IntegratorScheduler`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sdeplug import ArgumentError

_STRAIGHT = "flow_prediction"
_OTHERS = ("sigma_min", "beta_min")
"""What says of a schedule without a table that it is another one."""


def translated(config: Mapping[str, Any]) -> dict[str, Any]:
    """What a configuration says of the network, where the words of diffusers are others.

    Args:
        config: of a scheduler.

    Returns:
        Options of :class:`IntegratorScheduler` that it implies.

    Raises:
        ArgumentError: for a schedule that is neither a table of betas nor the straight path, or
            whose shift depends on the image.
    """
    table = "beta_schedule" in config  # a configuration in memory does not say of which class it is
    if not table and any(name in config for name in _OTHERS):
        raise ArgumentError(
            "config", dict(config), "of a scheduler with a table of betas, or of flow matching",
            "as_scheduler(solver, sde=...) takes any linear SDE.",
        )  # fmt: skip
    if config.get("use_dynamic_shifting"):
        raise ArgumentError(
            "use_dynamic_shifting", True, "False", "Give the shift itself: shift=..."
        )
    if config.get("use_flow_sigmas"):
        return {"prediction_type": _STRAIGHT, "shift": config.get("flow_shift", 1.0)}
    return {} if table or "shift" not in config else {"prediction_type": _STRAIGHT}
