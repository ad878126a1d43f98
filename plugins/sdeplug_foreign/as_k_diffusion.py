"""Any integrator as a sampling function of k-diffusion."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any, Protocol

import torch
from torch import Tensor

from sdeplug import (
    EDMSDE,
    ArgumentError,
    At,
    Denoise,
    Event,
    FromDenoiser,
    Integrator,
    Leg,
    OnGrid,
    Pipeline,
    ReverseSDE,
    solver,
)
from sdeplug_foreign.noise import Drawing

Denoiser = Callable[..., Tensor]
"""(x, sigma, **extra_args) -> the data that it expects, shape ``(B, *D)``; sigma: ``(B,)``."""

Callback = Callable[[dict[str, Any]], object]
"""Is told of each step before it is made: x, i, sigma, sigma_hat and denoised."""


class KSampler(Protocol):
    """A sampling function, as callers of k-diffusion know it."""

    def __call__(
        self,
        model: Denoiser,
        x: Tensor,
        sigmas: Tensor | Sequence[float],
        extra_args: Mapping[str, Any] | None = None,
        callback: Callback | None = None,
        disable: bool | None = None,
    ) -> Tensor:
        """The samples, shape ``(B, *D)``, in the dtype of x."""
        ...


def as_k_diffusion(
    integrator: Integrator | str,
    stochasticity: float = 1.0,
    generator: torch.Generator | None = None,
) -> KSampler:
    """Any integrator as a function ``sampler(model, x, sigmas, extra_args, callback, disable)``.

    The state is x_0 + sigma epsilon: Karras et al., arXiv 2206.00364.  Steps end at the sigmas; a
    last 0 is the denoising.  A solver that steps by itself goes from the first sigma to the last
    one above 0.  ``disable`` is there for callers that pass it: no progress is shown.

    Args:
        integrator: a solver, or its name.
        stochasticity: of the reverse SDE, at least 0; 0 and 1 are those of ``eta`` in k-diffusion,
            between them it is the same for short steps.
        generator: where noise comes from, of the device of x; None: torch's own.

    Returns:
        The function.  It raises :class:`ArgumentError` for sigmas that do not fall, or that are
        not numbers above 0 with at most a 0 at the end.

    Raises:
        ArgumentError: for what is no integrator.
    """
    by: Any = solver(integrator) if isinstance(integrator, str) else integrator
    if not isinstance(by, Integrator):
        raise ArgumentError("integrator", integrator, "an integrator, or the name of one")

    def sampler(
        model: Denoiser,
        x: Tensor,
        sigmas: Tensor | Sequence[float],
        extra_args: Mapping[str, Any] | None = None,
        callback: Callback | None = None,
        disable: bool | None = None,
    ) -> Tensor:
        levels, ends_clean = _levels(sigmas)
        told = _Told(model, extra_args or {}, callback)
        sde = EDMSDE(T=levels[0], eps=levels[-1])
        reverse = ReverseSDE(sde, FromDenoiser(told, sde), stochasticity)
        whole = OnGrid(by, At(tuple(levels[1:-1]))) if by.needs_grid else by
        legs = [Leg(levels[-1], whole)] if len(levels) > 1 else []
        legs += [Leg(0.0, Denoise())] if ends_clean else []
        if not legs:
            return x
        drawing = Drawing(generator)
        return Pipeline(reverse, tuple(legs)).sample(x=x, noise=drawing, observers=told.stepped).x

    return sampler


class _Told:
    """A denoiser with its conditions, which tells of the first evaluation of each step."""

    def __init__(
        self, model: Denoiser, extra_args: Mapping[str, Any], callback: Callback | None
    ) -> None:
        self.model, self.extra_args, self.callback = model, extra_args, callback
        self.step, self.due = 0, True

    def stepped(self, event: Event) -> None:
        """A step has ended."""
        self.step += not self.due
        self.due = True

    def __call__(self, x: Tensor, t: Tensor) -> Tensor:
        """What the model says at these noise levels."""
        sigma = t.to(x.dtype)
        denoised = self.model(x, sigma, **self.extra_args)
        if self.due and self.callback is not None:
            told = {"x": x, "i": self.step, "sigma": sigma[0], "sigma_hat": sigma[0]}
            self.callback({**told, "denoised": denoised})
        self.due = False
        return denoised


def _levels(sigmas: Tensor | Sequence[float]) -> tuple[list[float], bool]:
    """The noise levels above 0, and whether a 0 follows them."""
    values = torch.as_tensor(sigmas, dtype=torch.float64, device="cpu").flatten().tolist()
    ends_clean = bool(values) and values[-1] == 0.0
    levels = values[:-1] if ends_clean else values
    falls = all(late < early for early, late in pairwise(levels))
    if not levels or not falls or not 0.0 < levels[-1] <= levels[0] < float("inf"):
        raise ArgumentError(
            "sigmas", values[:4], "falling noise levels above 0, the last one may be 0"
        )
    return levels, ends_clean
