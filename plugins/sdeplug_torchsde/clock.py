"""torchsde's time, which runs up, against ours, which runs down."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Clock:
    """tau = (t - time) / unit, from 0 at ``t`` to ``end`` at ``s``.

    With fixed steps the unit is the step: tau counts steps, in whole numbers that float64 adds
    without rounding, so that no sliver of a step is left at the end.

    Attributes:
        t: time to start from.
        s: time to reach.
        unit: time that passes while tau grows by 1.
        end: tau at ``s``.
    """

    t: float
    s: float
    unit: float
    end: float

    @classmethod
    def counting(cls, t: float, s: float, steps: int) -> Clock:
        """A clock that counts equal steps."""
        return cls(t, s, (t - s) / steps, float(steps))

    @classmethod
    def plain(cls, t: float, s: float) -> Clock:
        """A clock that shows the time since the start."""
        return cls(t, s, 1.0, t - s)

    def time(self, tau: float) -> float:
        """Our time, never outside [s, t], and exactly s at the end."""
        return self.s if tau >= self.end else max(self.t - tau * self.unit, self.s)
