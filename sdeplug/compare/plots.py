"""The pictures of a comparison; needs matplotlib (``pip install "sdeplug[plots]"``)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch

from sdeplug.compare.results import Results
from sdeplug.compare.rows import Row, pareto, spent
from sdeplug.errors import MissingExtraError
from sdeplug.pictures import INK, blank_figure, image_sheet, scatter

try:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
except ImportError as error:
    raise MissingExtraError("a picture", "matplotlib", "plots") from error

_PALETTE = (
    "#0a7e8c", "#d1495b", "#edae49", "#66a182", "#6f4c9b", "#2e5eaa", "#b5653a", "#8a8d91",
    "#c23b8f", "#4f9d2f", "#15426b", "#a08c2c",
)  # fmt: skip
_MARKS = "osD^vP*X"
_PALE = "#e3e8ec"
_COSTS: tuple[tuple[str, Callable[[Row], float]], ...] = (
    ("score evaluations", lambda row: row.nfe),
    ("seconds", lambda row: row.seconds),
)


def plot(results: Results, metric: str) -> Figure:
    """Panels: an axis of the score in each row, evaluations left and seconds right."""
    axes = results.settings["score_errors"]
    figure = blank_figure(10.0, 3.2 * len(axes) + 1.0)
    panels = figure.subplots(len(axes), 2, sharey="row", squeeze=False)
    for line, score_error in zip(panels, axes, strict=True):
        rows = [row for row in results.at(score_error) if metric in row.values]
        for panel, (words, cost) in zip(line, _COSTS, strict=True):
            _panel(panel, rows, metric, cost, results.metrics[metric])
            panel.set_xlabel(words, fontsize=9, color=INK)
        line[0].set_ylabel(metric, fontsize=9, color=INK)
        line[0].set_title(results.score(score_error), fontsize=10, color=INK, loc="left")
    handles, labels = panels[0][0].get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, fontsize=8
    )
    figure.tight_layout()
    return figure


def samples_plot(results: Results, score_error: float | None) -> Figure:
    """A line of panels for each solver, exact draws in a line of their own."""
    rows = [row for row in results.at(score_error) if row.picture]
    shape = results.settings["shape"]
    solvers = list(dict.fromkeys(row.solver for row in rows))
    columns = max((sum(row.solver == name for row in rows) for name in solvers), default=1)
    figure = blank_figure(1.9 * columns, 2.0 * (len(solvers) + 1))
    panels = figure.subplots(len(solvers) + 1, columns, squeeze=False)
    for panel in panels.flat:
        panel.set_axis_off()
    exact = Row("", "", None, 0.0, "", 0.0, 0.0, 0.0, {}, {}, picture=results.picture)
    limit = _limit(exact, shape)
    _shown(panels[0][0], exact, shape, limit, "exact draws")
    for line, name in zip(panels[1:], solvers, strict=True):
        own = [row for row in rows if row.solver == name]
        for panel, row in zip(line, own, strict=False):
            _shown(panel, row, shape, limit, f"{name}, {spent(row)}")
    figure.tight_layout()
    return figure


def _panel(
    panel: Axes, rows: Sequence[Row], metric: str, cost: Callable[[Row], float], higher: bool
) -> None:
    for n, name in enumerate(dict.fromkeys(row.solver for row in rows)):
        own = sorted((row for row in rows if row.solver == name), key=cost)
        means = [row.values[metric].mean for row in own]
        panel.errorbar(
            [cost(row) for row in own],
            means if higher else [_above_zero(mean) for mean in means],
            [row.values[metric].error or 0.0 for row in own],
            color=_PALETTE[n % len(_PALETTE)],
            marker=_MARKS[n % len(_MARKS)],
            markersize=4,
            linewidth=1.2,
            elinewidth=0.8,
            label=name,
        )
    front = pareto(rows, cost, metric, higher)
    panel.plot(
        [cost(row) for row in front], [row.values[metric].mean for row in front], "o",
        markersize=10, markerfacecolor="none", markeredgecolor=INK, label="Pareto front",
    )  # fmt: skip
    for floor in {row.floor[metric] for row in rows}:
        error = floor.error or 0.0
        low, high = floor.mean - 2.0 * error, floor.mean + 2.0 * error
        panel.axhspan(max(low, 1e-300), high, color=_PALE, zorder=0, label="floor: exact draws")
        panel.axhline(floor.mean, color="#9aa5ad", linewidth=0.8, zorder=0)
    panel.set_xscale("log")
    _plain_ticks(panel.xaxis)
    if not higher:
        panel.set_yscale("log", nonpositive="mask")
        _plain_ticks(panel.yaxis)
    panel.grid(color="#eef1f4")
    panel.tick_params(labelsize=7, colors=INK)
    for side in ("top", "right"):
        panel.spines[side].set_visible(False)


def _plain_ticks(axis: Axis) -> None:
    """1, 2 and 5 of each decade, as people write them."""
    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def _above_zero(mean: float) -> float:
    """A distance without bias may be below 0, where a log axis has nothing."""
    return mean if mean > 0.0 else math.nan


def _limit(exact: Row, shape: Sequence[int]) -> float:
    x = exact.points(shape)
    return 1.3 * float(x.abs().max()) if x.numel() else 1.0


def _shown(panel: Axes, row: Row, shape: Sequence[int], limit: float, title: str) -> None:
    panel.set_axis_on()
    x = row.points(shape)
    if len(shape) == 3 and shape[0] in (1, 3):
        image_sheet(panel, x)
    else:
        scatter(panel, torch.nan_to_num(x).flatten(1), "")
        panel.set_xlim(-limit, limit)
        if np.prod(shape) > 1:
            panel.set_ylim(-limit, limit)
        panel.set_xticks([])
        panel.set_yticks([])
    panel.set_title(title, fontsize=7, color=INK)
