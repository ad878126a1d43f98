"""The discrete tables of the reference implementation, for those who must repeat its numbers.

With N entries the entry at time t is k = floor(t (N - 1) / T), and every step has length T / N
whatever the grid.  Song et al., arXiv 2011.13456, appendices D and E; what is written here is
what their published program computes.
"""

from __future__ import annotations

import math
from functools import lru_cache, singledispatch
from itertools import accumulate

from sdeplug import VESDE, VPSDE, ArgumentError, LinearSDE, PairingError, SubVPSDE, option


def reference_steps() -> int | None:
    """Declare the option that turns the tables on."""
    declared: int | None = option(
        None, ge=1, help="repeat the reference implementation with tables of so many entries"
    )
    return declared


def entry(sde: LinearSDE, t: float, steps: int) -> int:
    """Index of the table entry at time t."""
    return math.floor(t * (steps - 1) / sde.T)


@singledispatch
def forward_step(sde: LinearSDE, t: float, steps: int) -> tuple[float, float]:
    """Discretised forward step at time t: x' = scale x + sqrt(variance) z.

    Euler-Maruyama, unless the SDE is the limit of a discrete chain, which is then used.

    Returns:
        (scale, variance)
    """
    now = sde.at(t)
    h = sde.T / steps
    return 1.0 + h * now.drift_rate, h * now.diffusion**2


@forward_step.register
def _(sde: VPSDE, t: float, steps: int) -> tuple[float, float]:
    beta = _beta(sde, entry(sde, t, steps), steps)
    return math.sqrt(1.0 - beta), beta


@forward_step.register
def _(sde: VESDE, t: float, steps: int) -> tuple[float, float]:
    now, next_ = levels(sde, t, steps)
    return 1.0, now**2 - next_**2


@singledispatch
def langevin_factor(sde: LinearSDE, t: float, steps: int) -> float:
    """Factor on the length of a Langevin step at time t: 1 - beta of the table, else 1."""
    return 1.0


@langevin_factor.register(VPSDE)
@langevin_factor.register(SubVPSDE)
def _(sde: VPSDE | SubVPSDE, t: float, steps: int) -> float:
    return 1.0 - _beta(sde, entry(sde, t, steps), steps)


@singledispatch
def levels(sde: LinearSDE, t: float, steps: int) -> tuple[float, float]:
    """Noise levels of the discrete chain before and after the reverse step at time t.

    Raises:
        PairingError: for an SDE that is not the limit of a discrete chain.
    """
    raise PairingError(
        f"reference_steps needs a VPSDE or VESDE, the limits of discrete chains, not {sde!r}. "
        "Leave the option out: every LinearSDE works then."
    )


@levels.register
def _(sde: VPSDE, t: float, steps: int) -> tuple[float, float]:
    products = _alpha_bar(sde, steps)
    k = entry(sde, t, steps)
    return math.sqrt(1.0 - products[k + 1]), math.sqrt(1.0 - products[k])


@levels.register
def _(sde: VESDE, t: float, steps: int) -> tuple[float, float]:
    k = entry(sde, t, steps)
    return _sigma(sde, k, steps), _sigma(sde, k - 1, steps) if k else 0.0


def _beta(sde: VPSDE | SubVPSDE, k: int, steps: int) -> float:
    if steps <= sde.beta_max:
        raise ArgumentError(
            "reference_steps", steps, f"above beta_max = {sde.beta_max:g} of the SDE",
            "A table of fewer entries has a beta of 1 or more.",
        )  # fmt: skip
    fraction = k / max(steps - 1, 1)
    return (sde.beta_min + fraction * (sde.beta_max - sde.beta_min)) / steps


def _sigma(sde: VESDE, k: int, steps: int) -> float:
    fraction = k / max(steps - 1, 1)
    ratio = sde.sigma_max / sde.sigma_min
    return sde.sigma_min * math.exp(fraction * math.log(ratio))


@lru_cache(maxsize=16)
def _alpha_bar(sde: VPSDE, steps: int) -> tuple[float, ...]:
    """Cumulative products of 1 - beta, starting with the empty one: ``steps + 1`` numbers."""
    factors = (1.0 - _beta(sde, k, steps) for k in range(steps))
    return tuple(accumulate(factors, lambda a, b: a * b, initial=1.0))
