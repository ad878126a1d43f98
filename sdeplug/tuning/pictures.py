"""Pictures of a diagnosis; needs matplotlib (``pip install "sdeplug[plots]"``)."""

from __future__ import annotations

import math
from collections.abc import Sequence

from sdeplug.compare import Estimate
from sdeplug.errors import MissingExtraError
from sdeplug.pictures import COLOURS, INK, blank_figure
from sdeplug.tuning.laws import Laws
from sdeplug.tuning.levels import Level

try:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
except ImportError as error:
    raise MissingExtraError("a picture", "matplotlib", "plots") from error

_FAINT = 1e-6  # of a loss: what is drawn at the bottom


def diagnosed(levels: Sequence[Level], laws: Sequence[Laws], exact: bool) -> Figure:
    """Three panels: loss and error, what they follow, and how far samples are from data."""
    figure = blank_figure(12.0, 3.4)
    loss, follows, law = figure.subplots(1, 3)
    _losses(loss, levels, exact)
    _following(follows, levels)
    _distances(law, laws)
    for panel in (loss, follows, law):
        panel.set_xlabel("log-SNR: much noise left, little right", fontsize=9, color=INK)
        panel.grid(color="#eef1f4")
        panel.tick_params(labelsize=7, colors=INK)
        panel.legend(frameon=False, fontsize=8)
        for side in ("top", "right"):
            panel.spines[side].set_visible(False)
    figure.tight_layout()
    return figure


def _losses(panel: Axes, levels: Sequence[Level], exact: bool) -> None:
    loss = [each.loss.mean for each in levels]
    plain = [each.loss.mean - each.excess.mean for each in levels]
    least = "" if exact else ", at least"
    _line(panel, levels, loss, 0, "loss")
    _line(panel, levels, plain, 2, "loss of a Gaussian")
    if exact:
        best = [each.irreducible.mean if each.irreducible else math.nan for each in levels]
        _line(panel, levels, best, 3, "irreducible")
    squares = [max(each.error.mean**2, _FAINT) for each in levels]
    _line(panel, levels, squares, 1, f"error squared{least}")
    panel.set_yscale("log")
    panel.set_title("Predicted noise", fontsize=10, color=INK, loc="left")


def _following(panel: Axes, levels: Sequence[Level]) -> None:
    _bars(panel, levels, [each.slope for each in levels], 0, "scale that it should have")
    _line(panel, levels, [each.response for each in levels], 1, "follows the size of the state by")
    _line(panel, levels, [each.expected for each in levels], 2, "as a Gaussian does")
    panel.set_ylim(-0.5, 2.5)
    panel.set_title("Scale", fontsize=10, color=INK, loc="left")


def _distances(panel: Axes, laws: Sequence[Laws]) -> None:
    _bars(panel, laws, [each.flow for each in laws], 0, "probability flow")
    _bars(panel, laws, [each.noisy for each in laws], 1, "reverse SDE")
    _bars(panel, laws, [each.chance for each in laws], 2, "other data")
    panel.set_title("Distance of samples to data", fontsize=10, color=INK, loc="left")


def _line(
    panel: Axes, at: Sequence[Level], values: Sequence[float], colour: int, label: str
) -> None:
    where = [each.log_snr for each in at]
    panel.plot(where, values, "o-", color=COLOURS[colour], markersize=3, label=label)


def _bars(
    panel: Axes, at: Sequence[Level | Laws], values: Sequence[Estimate], colour: int, label: str
) -> None:
    panel.errorbar(
        [each.log_snr for each in at],
        [each.mean for each in values],
        [each.error or 0.0 for each in values],
        color=COLOURS[colour], marker="o", markersize=3, linewidth=1.2, label=label,
    )  # fmt: skip
