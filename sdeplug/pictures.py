"""Pictures of samples; needs matplotlib (``pip install "sdeplug[plots]"``)."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from sdeplug.errors import MissingExtraError, whole
from sdeplug.noise import SharedNoise
from sdeplug.sde import LinearSDE
from sdeplug.targets import Target

try:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
except ImportError as error:
    raise MissingExtraError("a picture", "matplotlib", "plots") from error

INK, COLOURS = "#22333b", ("#0a7e8c", "#d1495b", "#edae49", "#66a182")
_SHOWN, _POINTS = 100, 5000  # images in a sheet, points of a cloud, at most


class Picture(Figure):
    """A figure that belongs to no window, and shows itself in a notebook."""

    def _repr_png_(self) -> bytes:
        return png(self)


def png(figure: Figure, dpi: int = 110) -> bytes:
    """The figure as a file in memory."""
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=dpi, bbox_inches="tight", facecolor="white")
    return stream.getvalue()


def inline(figure: Figure) -> str:
    """The figure as text, for the ``src`` of an image."""
    return f"data:image/png;base64,{base64.b64encode(png(figure)).decode('ascii')}"


def save(figure: Figure, path: Path) -> None:
    """Write a figure to a file; the ending says how.

    Raises:
        UnwrittenError: if it cannot be written.
    """
    with whole("path", path) as part:
        figure.savefig(part, dpi=130, bbox_inches="tight", facecolor="white")


def blank_figure(width: float, height: float) -> Figure:
    """An empty figure, in inches; it belongs to no window."""
    return Picture(figsize=(width, height))


def glance(x: Tensor) -> Figure:
    """Samples by themselves, of shape ``(B, *D)``: images, or the first two coordinates."""
    x = x.detach().float().cpu()
    figure = blank_figure(4.0, 4.0)
    if x.ndim == 4 and x.shape[1] in (1, 3):
        image_sheet(figure.subplots(), x[:_SHOWN])
    else:
        scatter(figure.subplots(), x[:_POINTS].flatten(1), "")
    return figure


def draw_samples(x: Tensor, target: Target) -> Figure:
    """Samples as people like to see them: a sheet of images, or points beside exact ones.

    Args:
        x: samples, shape ``(B, *target.shape)``.
        target: the distribution that they should have.
    """
    x = x.detach().cpu()
    if x.ndim == 4 and x.shape[1] in (1, 3):
        figure = blank_figure(6.0, 6.0)
        image_sheet(figure.subplots(), x[:_SHOWN])
        return figure
    exact = target.sample(len(x), noise=SharedNoise(0))
    figure = blank_figure(8.0, 4.0)
    left, right = figure.subplots(1, 2, sharex=True, sharey=True)
    for axes, points, title in ((left, x, "samples"), (right, exact, "exact draws")):
        scatter(axes, points.flatten(1), title)
    return figure


def image_sheet(axes: Axes, x: Tensor, columns: int | None = None) -> None:
    """Images in [-1, 1] of shape ``(B, C, H, W)`` side by side."""
    columns = columns or math.ceil(math.sqrt(len(x)))
    rows = math.ceil(len(x) / columns)
    blank = torch.full(
        (rows * columns - len(x), *x.shape[1:]), -1.0, dtype=x.dtype, device=x.device
    )
    tiles = torch.cat((x, blank)).clamp(-1.0, 1.0)
    tiles = torch.nn.functional.pad(tiles, (0, 1, 0, 1), value=-1.0)
    channels, height, width = tiles.shape[1:]
    sheet = tiles.reshape(rows, columns, channels, height, width).permute(0, 3, 1, 4, 2)
    picture = sheet.reshape(rows * height, columns * width, channels)
    axes.imshow(1.0 - (picture.numpy() + 1.0) / 2.0, cmap="gray", vmin=0.0, vmax=1.0)
    axes.set_axis_off()


def scatter(axes: Axes, x: Tensor, title: str, colour: str = COLOURS[0]) -> None:
    """The first two coordinates of points of shape ``(B, D)``; of one coordinate, a histogram."""
    axes.set_title(title, color=INK, fontsize=10)
    axes.tick_params(labelsize=7, colors=INK)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    if x.shape[1] == 1:
        axes.hist(x[:, 0].numpy(), bins=80, color=colour)
        return
    axes.scatter(x[:, 0], x[:, 1], s=4, alpha=0.5, linewidths=0, color=colour)
    axes.set_aspect("equal", adjustable="box")


def filmstrip(
    states: Sequence[Tensor], times: Sequence[float], target: Target, sde: LinearSDE
) -> Figure:
    """States of a run in two dimensions over the exact density of p_t.

    Args:
        states: states of shape ``(B, 2)``.
        times: the time of each.
        target: the data law.
        sde: the forward SDE.
    """
    figure = blank_figure(2.2 * len(states), 2.4)
    panels = np.atleast_1d(figure.subplots(1, len(states)))
    for axes, x, t in zip(panels, states, times, strict=True):
        half = 1.15 * float(x.abs().max())
        line = torch.linspace(-half, half, 160, dtype=torch.float64, device="cpu")
        mesh = torch.stack(torch.meshgrid(line, line, indexing="xy"), dim=-1).reshape(-1, 2)
        density = target.log_prob(mesh, t, sde).reshape(160, 160).exp()
        axes.contourf(line, line, density, levels=14, cmap="BuPu")
        axes.scatter(x[:, 0], x[:, 1], s=2, color=INK, linewidths=0, alpha=0.6)
        axes.set_title(f"t = {t:.3g}", color=INK, fontsize=9)
        axes.set_xlim(-half, half)
        axes.set_ylim(-half, half)
        axes.set_aspect("equal")
        axes.set_xticks([])
        axes.set_yticks([])
    return figure
