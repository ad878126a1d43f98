"""Pictures of a report; needs matplotlib (``pip install "sdeplug[plots]"``)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

# Before anything of matplotlib: it says what to install where that is missing.
from sdeplug.pictures import COLOURS, INK, blank_figure
from sdeplug.testing.findings import Curve, Outcome, Result, Spectrum

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_SLOPES = (1, 2, 4)  # of the lines that an order is read off from
_COLUMNS = 2
_LEGEND = 8  # lines at most that are told apart by name


def draw_results(title: str, results: Sequence[Result]) -> Figure:
    """The observed orders, check by check, and the laws that are not what they should be.

    Args:
        title: what stands above.
        results: one for each check.
    """
    panels: list[Result | Spectrum] = [
        *(each for each in results if each.curves),
        *(spectrum for each in results for spectrum in each.spectra),
    ]
    columns = min(_COLUMNS, max(len(panels), 1))
    rows = max(math.ceil(len(panels) / columns), 1)
    figure = blank_figure(5.2 * columns, 3.6 * rows + 0.6)
    figure.suptitle("\n".join(map(_short, title.split("\n"))), color=INK, fontsize=10)
    flat = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axes in flat[max(len(panels), 1) :]:
        axes.set_axis_off()
    if not panels:
        flat[0].set_axis_off()
        flat[0].text(0.5, 0.5, "no check measured an order", ha="center", color=INK)
    for axes, panel in zip(flat, panels, strict=False):
        if isinstance(panel, Spectrum):
            draw_law(axes, panel)
        else:
            draw_order(axes, panel)
    figure.tight_layout()
    return figure


def draw_order(axes: Axes, result: Result) -> None:
    """Errors against steps, with lines of slope 1, 2 and 4."""
    failed = result.outcome is Outcome.FAILED
    colour = COLOURS[1] if failed else INK
    _plain(axes, f"{result.name}: {result.outcome.value}", colour)
    for number, curve in enumerate(result.curves):
        label = _short(curve.label) if len(result.curves) <= _LEGEND else None
        axes.loglog(
            curve.steps, curve.errors, "o-", ms=3, lw=1, color=COLOURS[number % len(COLOURS)],
            label=label,
        )  # fmt: skip
    _slopes(axes, result.curves)
    steps = sorted({count for curve in result.curves for count in curve.steps})
    axes.set_xticks(steps, [str(count) for count in steps])
    axes.set_xticks([], minor=True)
    axes.set_xlabel("steps", fontsize=8)
    axes.set_ylabel("error", fontsize=8)
    if len(result.curves) <= _LEGEND:
        axes.legend(fontsize=6, frameon=False)


def draw_law(axes: Axes, spectrum: Spectrum) -> None:
    """How far the standard deviations along the principal axes are from what they should be."""
    _plain(axes, _short(spectrum.label), COLOURS[1])
    pairs = zip(spectrum.seen, spectrum.wanted, strict=True)
    percent = [100.0 * (seen / wanted - 1.0) for seen, wanted in pairs]
    axes.bar(range(len(percent)), percent, 0.6, color=COLOURS[1])
    axes.axhline(0.0, color=INK, lw=1)
    axes.set_xticks(range(len(percent)))
    axes.set_xlabel("principal axis", fontsize=8)
    axes.set_ylabel("standard deviation, % off", fontsize=8)


def _slopes(axes: Axes, curves: Sequence[Curve]) -> None:
    """Grey lines down from the largest error of the curves, each with its order at its end."""
    starts = [
        (curve.steps[0], curve.errors[0])
        for curve in curves
        if curve.errors and 0.0 < curve.errors[0] < math.inf
    ]
    if not starts:
        return
    low, high = min(steps for steps, _ in starts), max(curve.steps[-1] for curve in curves)
    error = max(error for _, error in starts)
    for slope in _SLOPES:
        end = error * (low / high) ** slope
        axes.loglog((low, high), (error, end), "--", lw=0.7, color="0.6")
        axes.annotate(
            f" order {slope}", (high, end), fontsize=6, color="0.4", va="center",
            annotation_clip=False,
        )  # fmt: skip


def _plain(axes: Axes, title: str, colour: str) -> None:
    axes.set_title(title, color=colour, fontsize=8)
    axes.tick_params(labelsize=7, colors=INK)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _short(text: str, most: int = 76) -> str:
    return text if len(text) <= most else f"{text[: most - 3]}..."
