"""The grid of a network: the cheapest path over the places of a run of many steps.

Chen et al. (GITS), arXiv 2402.14167: the cost of a step between two places is how far one step of
DDIM from a state of the run misses that run's state at the other; dynamic programming finds the
given number of steps whose costs add up to least.

There a miss is a distance in y = x / alpha.  A network that sees noise alone errs by more than the
size of the data, and then all steps go where it is blind.  But the flow forgets most of such a
miss: of Gaussian data of standard deviation s it leaves s / sqrt(s^2 + q^2) of one at
q = sigma / alpha.  So much of it is counted, unless asked otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from sdeplug.errors import ArgumentError
from sdeplug.grid import At
from sdeplug.options import Configured, option
from sdeplug.reverse import ReverseSDE
from sdeplug.tuning.starting import checked_as, checked_count, checked_linear, started
from sdeplug.tuning.teacher import Path, teacher


@dataclass(frozen=True)
class Search(Configured):
    """How the grid of a network is looked for."""

    fine: int = option(60, help="steps of the run whose places are to choose from", ge=2)
    growth: float = option(1.0, help="factor of an error in each later step", gt=0.0)
    carried: bool = option(True, help="count a miss as what is left of it at the end")
    to: float | None = option(None, help="time that the grid ends at; None: eps", ge=0.0)


def gits(
    reverse: ReverseSDE,
    steps: int,
    shape: Sequence[int] | None = None,
    *,
    x: Tensor | None = None,
    seed: int = 0,
    search: Search = Search(),
) -> At:
    """The grid that suits a network, from one run of many steps; no gradients are taken.

    Args:
        reverse: the reverse SDE; its forward SDE is linear.  The flow is followed, whatever the
            stochasticity.
        steps: number of steps of the grid.
        shape: shape ``(B, *D)`` of the noises that the run starts from; 64 of them are enough.
        x: states at T to start from, instead of a draw from the prior.
        seed: of the draw.
        search: how it is looked for.

    Returns:
        A grid from T to ``search.to``, by its times.

    Raises:
        ArgumentError: for more steps than the run has, or arguments that do not fit.
        PairingError: unless the forward SDE is linear.
    """
    reverse, steps = checked_linear(reverse), checked_count("steps", steps)
    search = checked_as(Search, "search", search)
    if steps > search.fine:
        raise ArgumentError(
            "steps", steps, f"at most {search.fine}, the steps of the run",
            "Search(fine=...) makes it longer.",
        )  # fmt: skip
    end = reverse.forward.eps if search.to is None else search.to
    noises, t = started(reverse, shape, x, seed, end)
    path = teacher(reverse, noises, t, end, search.fine)
    chosen = cheapest(costs(path, search.carried), steps, search.growth)
    return At(tuple(path.times[place] for place in chosen[1:-1]))


def costs(path: Path, carried: bool = True) -> Tensor:
    """How far one step of DDIM misses a path.

    Args:
        path: states of a run of many steps.
        carried: count what Gaussian data, as spread as the ends of the path, would leave of a miss
            at the end; False: the distance itself, as published.

    Returns:
        Mean over the rows of the distance in y = x / alpha, float64, shape ``(places, places)``:
        from the place of the row to that of the column; infinite unless that comes later.
    """
    places = len(path.ratios)
    found = torch.full((places, places), torch.inf, dtype=torch.float64, device="cpu")
    for here in range(places - 1):
        y, value, later = path.states[here], path.values[here], path.states[here + 1 :]
        ratios = later.new_tensor(path.ratios[here + 1 :]).reshape(-1, *[1] * y.ndim)
        miss = value + ratios / path.ratios[here] * (y - value) - later
        found[here, here + 1 :] = miss.flatten(2).norm(dim=2).mean(1).double().cpu()
    return found * _left(path) if carried else found


def _left(path: Path) -> Tensor:
    """What is left at the end of a miss at each place: float64, shape ``(places,)``."""
    ends = path.states[-1]
    variance = (ends - ends.mean(0)).square().mean().double().cpu()
    return (variance / (variance + variance.new_tensor(path.ratios).square())).sqrt()


def cheapest(cost: Tensor, steps: int, growth: float) -> tuple[int, ...]:
    """The places of the cheapest path from the first to the last in so many steps.

    Cost of a path: that of its first step, plus ``growth`` times the cost of the rest.

    Args:
        cost: of a step from the place of a row to that of a column, shape ``(places, places)``.
        steps: how many.
        growth: factor for each later step; Chen et al. take 1.15 with distances as they are.

    Returns:
        ``steps + 1`` numbers of places, rising.
    """
    rest = torch.full_like(cost[:, -1], torch.inf)
    rest[-1] = 0.0
    choices = []
    for _ in range(steps):
        rest, choice = (cost + growth * rest).min(dim=1)
        choices.append(choice.tolist())
    places = [0]
    for choice in reversed(choices):
        places.append(choice[places[-1]])
    return tuple(places)
