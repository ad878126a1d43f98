"""How exactly solvers encode, as Markdown and as a picture: measured.

``python docs/encoding_table.py`` writes the tables between ``<!-- generated: NAME -->`` and
``<!-- end -->`` of the page, which takes a minute of a processor, and draws the picture.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from itertools import takewhile
from pathlib import Path
from typing import NamedTuple

import torch
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from sdeplug import (
    VPSDE,
    Counted,
    Integrator,
    LogSNR,
    OnGrid,
    ReverseSDE,
    SharedNoise,
    solver,
    targets,
)
from sdeplug.likelihood import decode, encode

PAGE = Path(__file__).resolve().parent / "explanation" / "encodings.md"
BUDGETS = (25, 50, 100, 200, 400)
SDE, RING = VPSDE(), targets.eight_gaussians()
BY_BUDGET = "nfe=N"
"""The row of what ``encode`` does when it is given a number of evaluations, and no solver."""

FLOOR = 1e-13  # below it there is rounding
_ON_GRIDS = {
    "ode/euler": {},
    "ode/heun": {},
    "ode/rk4": {},
    "ode/adams-bashforth": {"order": 4},
    "ode/adams-moulton": {},
    "ode/reversible": {},
}
_BY_TOLERANCE = ("adaptive/row-dopri5", "adaptive/row-tsit5", "torchdiffeq/dopri5")
_PART = re.compile(
    r"(?P<head><!-- generated: (?P<name>[\w-]+) -->\n).*?(?P<tail><!-- end -->)", re.DOTALL
)


class Trip(NamedTuple):
    """There and back: the dearer way, and the largest error of a coordinate."""

    nfe: int
    error: float
    latent: float


@cache
def data() -> torch.Tensor:
    """64 rows of the ring at eps, in float64."""
    return RING.sample(64, noise=SharedNoise(0), t=SDE.eps, sde=SDE, dtype=torch.float64)


@cache
def exact() -> torch.Tensor:
    """Their latents."""
    fine = solver("adaptive/row-tsit5", rtol=1e-11, atol=1e-11)
    return encode(ReverseSDE(SDE, RING.score(SDE)), data(), fine)


def trip(by: Integrator | None, nfe: int | None = None) -> Trip:
    """One round trip."""
    ways = [Counted(RING.score(SDE)) for _ in range(2)]
    z = encode(ReverseSDE(SDE, ways[0]), data(), by, nfe=nfe)
    back = decode(ReverseSDE(SDE, ways[1]), z, by, nfe=nfe)
    errors = ((back - data()).abs().max(), (z - exact()).abs().max())
    return Trip(max(way.nfe for way in ways), *map(float, errors))


def on_grid(by: Integrator, budget: int) -> Trip:
    """With as many steps of equal length in log-SNR as the budget allows."""
    steps, least = budget // (by.claims.evaluations or 1), 1
    while (found := trip(OnGrid(by, LogSNR(steps)))).nfe > budget and steps > least:
        steps = max(least, min(steps - 1, steps * budget // found.nfe))
    return found


def by_tolerance(name: str) -> list[Trip]:
    """At tolerances from 0.1 down, as long as the largest budget allows."""
    tolerances = (10.0 ** (-k / 4.0) for k in range(4, 49))
    trips = (trip(solver(name, rtol=each, atol=each)) for each in tolerances)
    return list(takewhile(lambda found: found.nfe <= BUDGETS[-1], trips))


def within(trips: list[Trip], budget: int) -> Trip | None:
    """The one at the least tolerance that is within a budget."""
    return next((each for each in reversed(trips) if each.nfe <= budget), None)


def rows() -> Iterator[tuple[str, list[Trip | None]]]:
    """What each solver does with each budget."""
    yield BY_BUDGET, [trip(None, budget) for budget in BUDGETS]
    for name, options in _ON_GRIDS.items():
        by = solver(name, **options)
        found = [on_grid(by, budget) for budget in BUDGETS]
        yield (
            name,
            [each if each.nfe <= b else None for each, b in zip(found, BUDGETS, strict=True)],
        )
    for name in _BY_TOLERANCE:
        trips = by_tolerance(name)
        yield name, [within(trips, budget) for budget in BUDGETS]


def told(value: float | None) -> str:
    """An error, to a digit; bold where it is at most 1e-4."""
    if value is None:
        return ""
    text = f"{value:.0e}" if value > FLOOR else "rounding"
    return f"**{text}**" if value <= 1e-4 else text


def write() -> None:
    """Measure, and write the tables into the page."""
    measured = dict(rows())
    for part, of in (("round-trip", lambda each: each.error), ("latent", lambda each: each.latent)):
        _put(part, measured, of)


def shown(part: str = "round-trip") -> dict[str, list[str]]:
    """The cells of a table as they are on the page, by solver."""
    text = PAGE.read_text(encoding="utf-8")
    table = next(found[0] for found in _PART.finditer(text) if found["name"] == part)
    cells = [line.strip("| ").split("|") for line in table.splitlines() if line.startswith("| `")]
    return {name.strip(" `"): [each.strip(" *") for each in rest] for name, *rest in cells}


def picture() -> Figure:
    """The error of the round trip against evaluations, by the table of the page."""
    figure, axes = plt.subplots(figsize=(6.4, 4.0))
    for name, cells in shown().items():
        known = [
            (budget, FLOOR if cell == "rounding" else float(cell))
            for budget, cell in zip(BUDGETS, cells, strict=True)
            if cell
        ]
        axes.loglog(*zip(*known, strict=True), "o-", label=name, markersize=4)
    axes.axhline(1e-4, color="#8795a1", linewidth=0.8, linestyle=":")
    axes.set(xlabel="evaluations, each way", ylabel="largest error of the round trip")
    axes.set_xticks(BUDGETS, map(str, BUDGETS), minor=False)
    axes.minorticks_off()
    axes.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


def _put(part: str, measured: Mapping[str, list[Trip | None]], of: Callable[[Trip], float]) -> None:
    head = f"| solver | {' | '.join(map(str, BUDGETS))} |\n| --- |{' --- |' * len(BUDGETS)}"
    lines = [
        f"| `{name}` | {' | '.join(told(each and of(each)) for each in trips)} |"
        for name, trips in measured.items()
    ]

    def fill(found: re.Match[str]) -> str:
        if found["name"] != part:
            return found[0]
        return f"{found['head']}\n{head}\n" + "\n".join(lines) + f"\n\n{found['tail']}"

    PAGE.write_text(_PART.sub(fill, PAGE.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    torch.set_num_threads(1)
    sys.exit(write())
