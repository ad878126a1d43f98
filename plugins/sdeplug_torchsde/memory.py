"""What was asked for a moment ago."""

from __future__ import annotations

from torch import Tensor


class Memory:
    """The last values of the drift: torchsde asks for some of them more than once.

    Its check of shapes asks for the first, the Runge-Kutta method for its first stage twice, and
    a rejected step begins where it began before.  A value is known by the very tensor that it
    was asked for, which is kept, and never written to.

    Args:
        size: how many values are kept, those asked for last.
        alias: whether a detached tensor is the same as the tensor itself.
    """

    def __init__(self, size: int, alias: bool = False) -> None:
        self.size, self.alias = size, alias
        self.known: list[tuple[float, Tensor, Tensor]] = []

    def find(self, tau: float, y: Tensor) -> Tensor | None:
        """The drift at (tau, y), if it is known."""
        for index, (time, state, drift) in enumerate(self.known):
            if time == tau and (state is y or (self.alias and state.data_ptr() == y.data_ptr())):
                self.known.append(self.known.pop(index))
                return drift
        return None

    def keep(self, tau: float, y: Tensor, drift: Tensor) -> None:
        """Remember the drift at (tau, y)."""
        self.known.append((tau, y, drift))
        del self.known[: max(len(self.known) - self.size, 0)]

    def close(self) -> None:
        """Forget all, and remember nothing more."""
        self.size = 0
        self.known.clear()
