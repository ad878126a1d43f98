"""Adaptive solvers with a step size for each row of the batch.

``row-tsit5`` and ``row-dopri5`` follow the probability flow, ``row-adams`` the reverse SDE on one
Brownian path, and ``row-improved-euler`` is the method of Jolicoeur-Martineau et al., arXiv
2105.14080.
"""

from __future__ import annotations

from collections.abc import Mapping

from sdeplug import Integrator, hookimpl
from sdeplug_adaptive.adams import RowAdams
from sdeplug_adaptive.flow import RowDopri5, RowTsit5
from sdeplug_adaptive.improved_euler import RowImprovedEuler

__all__ = ["RowAdams", "RowDopri5", "RowImprovedEuler", "RowTsit5"]


@hookimpl
def sdeplug_solvers() -> Mapping[str, type[Integrator]]:
    """The solvers of this plugin."""
    return {
        "row-adams": RowAdams,
        "row-tsit5": RowTsit5,
        "row-dopri5": RowDopri5,
        "row-improved-euler": RowImprovedEuler,
    }
