"""What a solver does to the law of a mixture over one short span."""

from __future__ import annotations

import torch
from torch import Tensor

from sdeplug.errors import SdeplugError
from sdeplug.noise import NoiseSource, Silence
from sdeplug.reverse import ReverseSDE
from sdeplug.run import Run
from sdeplug.solvers import Integrator, with_first_step, with_tolerances
from sdeplug.testing.exact.leaks import Place
from sdeplug.testing.memory import remembered
from sdeplug.testing.weak.balanced import MOST, Balanced, Counted
from sdeplug.testing.weak.modes import of_modes, points, three_modes

_LOOSENED, _LOOSER = 16.0, 6  # times as large tolerances are, and how often
_ADDED = 0.1  # of what noise moves that may be left of a sum


def error(by: Integrator, place: Place, end: float, noise: Balanced) -> Tensor:
    """Errors of :func:`of_modes` that one span makes, per nat of log-SNR.

    Args:
        by: the solver.
        place: where it starts.
        end: time to reach.
        noise: for the points of the place.
    """
    (x, weights), sde = points(place.sde, place.t), place.sde
    y = carried(by, place, end, x.repeat_interleave(noise.repeats, 0), noise)
    change = of_modes(y, end, sde).reshape(len(x), noise.repeats, -1).mean(1)
    change -= of_modes(x, place.t, sde)
    return weights @ change / (sde.at(end).log_snr - sde.at(place.t).log_snr)


@remembered(64)
def columns(by: Integrator, place: Place, end: float, rows: int | None = 1) -> int:
    """How many numbers a row draws on the way.

    Args:
        by: the solver.
        place: where it starts.
        end: time to reach.
        rows: of how many points; None for all of them, where that depends on the row.
    """
    if not by.claims.stochastic:
        return 0
    noise = Counted()
    carried(by, place, end, points(place.sde, place.t)[0][:rows], noise)
    return noise.draws


def at_once(by: Integrator, place: Place, end: float) -> Integrator:
    """A solver that follows a tolerance so that it draws few numbers on the way.

    Its first step is as long as the span, where it would begin with one so short that it takes
    many; and its tolerances are so loose that no step is rejected, where it allows that.
    """
    if columns(by, place, end, None) > MOST:
        by = with_first_step(by, place.t - end)
    for _ in range(_LOOSER):
        try:
            looser = with_tolerances(by, _LOOSENED)
        except SdeplugError:
            break
        if columns(looser, place, end, None) >= columns(by, place, end, None):
            break
        by = looser
    return by


def adds_noise(by: Integrator, place: Place) -> bool:
    """Whether noise that is twice as large moves all states twice as far: so it is added, and no
    threshold is in between."""
    (x, _), end = points(place.sde, place.t), place.ends[0]
    none, once, twice = (
        carried(by, place, end, x, noise) for noise in (Silence(), Counted(), Counted(2.0))
    )
    left = (twice - 2.0 * once + none).abs().max()
    return bool(left <= _ADDED * (once - none).abs().max())


def carried(by: Integrator, place: Place, end: float, x: Tensor, noise: NoiseSource) -> Tensor:
    """x carried over the span, with the score of the mixture."""
    reverse = ReverseSDE(place.sde, three_modes().score(place.sde), place.level)
    with torch.no_grad():
        return by.integrate(reverse, x, place.t, end, Run(noise))
