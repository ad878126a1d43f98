"""What other libraries call the solvers of this plugin."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from sdeplug import Alias

_STRAIGHT = "on the straight path of a flow"

ALIASES: Mapping[str, Alias] = MappingProxyType(
    Alias.of(
        "diffusers",
        {
            "FlowMatchEulerDiscreteScheduler": Alias("ode/euler", same=True, note=_STRAIGHT),
            "FlowMatchHeunDiscreteScheduler": Alias("ode/heun", same=True, note=_STRAIGHT),
        },
    )
)
"""Names from elsewhere."""
