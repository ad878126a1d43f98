"""The picture of a tuning; needs matplotlib (``pip install "sdeplug[plots]"``)."""

from __future__ import annotations

import math
from collections.abc import Sequence

from sdeplug.errors import MissingExtraError
from sdeplug.pictures import COLOURS, INK, blank_figure
from sdeplug.tuning.trials import Trial

try:
    from matplotlib.figure import Figure
except ImportError as error:
    raise MissingExtraError("a picture", "matplotlib", "plots") from error


_FAR = 20.0  # times the least distance


def raced(trials: Sequence[Trial], words: str) -> Figure:
    """A line for each candidate, the best at the top; colours are rounds.

    Distances that are far apart are on a logarithmic axis, or the best could not be told apart.
    """
    shown = [each for each in trials if math.isfinite(each.distance.mean)]
    figure = blank_figure(7.0, 0.28 * len(shown) + 1.2)
    panel = figure.subplots()
    rounds = sorted({each.samples for each in shown}, reverse=True)
    for n, samples in enumerate(rounds):
        places = [k for k, each in enumerate(shown) if each.samples == samples]
        panel.errorbar(
            [shown[k].distance.mean for k in places], places,
            xerr=[shown[k].distance.error or 0.0 for k in places],
            fmt="o", markersize=4, color=COLOURS[n % len(COLOURS)], label=f"{samples} samples",
        )  # fmt: skip
    means = [each.distance.mean for each in shown]
    if 0.0 < _FAR * min(means) < max(means):
        panel.set_xscale("log")
    panel.set_yticks(range(len(shown)), [each.label for each in shown], fontsize=8)
    panel.invert_yaxis()
    panel.set_xlabel(words, fontsize=9, color=INK)
    panel.tick_params(labelsize=8, colors=INK)
    panel.grid(color="#eef1f4")
    panel.legend(frameon=False, fontsize=8)
    for side in ("top", "right"):
        panel.spines[side].set_visible(False)
    figure.tight_layout()
    return figure
