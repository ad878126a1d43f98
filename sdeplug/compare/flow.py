"""How far runs that draw nothing end from the converged probability flow.

The flow makes one sample of each start, whatever the metric: so its error needs few samples and
no data.  It says nothing of runs with noise, and with a network it ranks solvers otherwise than
the distance to data does: both stand side by side.
"""

from __future__ import annotations

from dataclasses import dataclass

from sdeplug.options import Configured, option

NAME = "flow-rmse"
"""What tables call the error."""


@dataclass(frozen=True)
class Flow(Configured):
    """The converged flow from the same noise, which runs without noise are held against.

    It is run once for each seed, in steps of order 4 on :class:`~sdeplug.Karras`, and once more
    with half of them: what this changes is told as the flow's own error.
    """

    steps: int = option(160, help="steps of the converged run", ge=2)
    rows: int = option(64, help="samples of a run that are held against it", ge=1)
