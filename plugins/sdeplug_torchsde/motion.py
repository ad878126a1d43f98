"""Brownian motion as torchsde asks for it, from the noise of the run."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from sdeplug import BrownianPath
from sdeplug_torchsde.clock import Clock
from sdeplug_torchsde.watch import Watch


class Source(Protocol):
    """Where the increments come from, in the time of torchsde."""

    def increment(self, start: float, end: float) -> tuple[Tensor, Tensor | None]:
        """W(end) - W(start); the integral of W(u) - W(start), where it is known."""
        ...

    def forget(self, before: float) -> None:
        """Hear that nothing before a time is asked for again."""
        ...


class Motion:
    """What torchsde calls a ``BaseBrownian``.

    Args:
        y: state whose shape ``(B * D, 1)``, dtype and device the increments have.
        area: what is said of the Levy area.
        source: where the increments come from.
        watch: hears of the steps, and says what is not asked for again.
    """

    def __init__(self, y: Tensor, area: str, source: Source, watch: Watch) -> None:
        self.shape, self.dtype, self.device = y.shape, y.dtype, y.device
        self.levy_area_approximation = area
        self.source, self.watch = source, watch

    def size(self) -> torch.Size:
        """Shape of the increments."""
        return self.shape

    def __call__(
        self, ta: Tensor, tb: Tensor, return_U: bool = False, return_A: bool = False
    ) -> Tensor | tuple[Tensor | None, ...]:
        """W over [ta, tb]; with it, on demand, its integral U, and the area A.

        A is None: the area between channels matters only to a diffusion that depends on x.
        """
        start, end = float(ta), float(tb)
        settled = self.watch.step(start, end)
        if settled is not None:
            self.source.forget(settled)
        increment, integral = self.source.increment(start, end)
        extras = ((integral,) if return_U else ()) + ((None,) if return_A else ())
        return (increment, *extras) if extras else increment


class OfPath:
    """Increments of a Brownian path of ours, whose time runs down.

    Args:
        path: the path.
        clock: what tau means.
        shape: shape ``(B * D, 1)`` of the increments.
    """

    def __init__(self, path: BrownianPath, clock: Clock, shape: torch.Size) -> None:
        self.path, self.clock, self.shape = path, clock, shape

    def increment(self, start: float, end: float) -> tuple[Tensor, None]:
        """W over [start, end]; its integral is not known."""
        late, early = self.clock.time(start), self.clock.time(end)
        return self.path.increment(early, late).reshape(self.shape), None

    def forget(self, before: float) -> None:
        """Free what was before."""
        self.path.forget(self.clock.time(before))


class Still:
    """What drives a flow: nothing moves, and no noise is drawn.

    Args:
        y: state of shape ``(B * D, 1)``.
    """

    def __init__(self, y: Tensor) -> None:
        self.zeros = torch.zeros((1, 1), dtype=y.dtype, device=y.device).expand(y.shape)

    def increment(self, start: float, end: float) -> tuple[Tensor, Tensor]:
        """Zeros."""
        return self.zeros, self.zeros

    def forget(self, before: float) -> None:
        """Do nothing."""
