"""The pictures of the documentation: ``python docs/pictures.py [FOLDER]`` makes them all.

Some belong to no page: they are the functions in :data:`FIGURES`.  The others are what the code
of a page saves, so that the reader gets the same picture from the same code; and ``ring.png`` is
that of ``sdeplug demo``.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

import encoding_table
import matplotlib
import torch
from blocks import pages, runs
from error_table import error
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from PIL import Image
from solver_table import bundled

import sdeplug as sp
from sdeplug.cli.work import demo

IMAGES = Path(__file__).resolve().parent / "images"

INK, GREY, PALE = "#22303c", "#8795a1", "#d5dce2"
ODE, SDE = "#1f77a8", "#d1495b"
STYLE = {
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlecolor": INK,
    "axes.titlesize": 11,
    "figure.dpi": 150,
    "figure.facecolor": "white",
    "font.size": 10,
    "legend.frameon": False,
    "savefig.bbox": "tight",
    "text.color": INK,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
}
_COLOURS = {
    "euler-maruyama": "#d1495b",
    "reverse-diffusion": "#e58c3a",
    "ancestral": "#b5477d",
    "euler": "#4fa3c7",
    "heun": "#1f77a8",
    "rk4": "#15426b",
    "adams-bashforth": "#3d9b7f",
    "dpmpp-2m": "#8a6fb3",
    "unipc": "#4b2e83",
    "sa-solver": "#8c3b1f",
}
_OWN = ("song", "ode")  # plugins whose pages show such a picture of their own


def marginals() -> Figure:
    """Paths of the probability flow and of the reverse SDE through the same marginals."""
    sde = sp.VPSDE()
    data = sp.targets.GaussianMixture((0.35, 0.65), ((-1.6,), (1.1,)), std=(0.18, 0.3))
    times, places = torch.linspace(1.0, 1e-3, 500), torch.linspace(-3.2, 3.2, 400)
    density = torch.stack(
        [data.log_prob(places[:, None].double(), float(t), sde).exp() for t in times]
    )
    # Each moment is shown against its own peak: the data are too narrow for one scale.
    density = (density / density.amax(1, keepdim=True)).sqrt()
    figure, axes = plt.subplots(1, 2, figsize=(9.2, 3.6), sharey=True, layout="constrained")
    for axis, level, name in zip(
        axes, (0.0, 1.0), ("l = 0: the probability flow", "l = 1: the reverse SDE"), strict=True
    ):
        kept = sp.Trajectory()
        solver = sp.solver("ode/heun" if level == 0.0 else "song/euler-maruyama")
        reverse = sp.ReverseSDE(sde, data.score(sde), level)
        leg = sp.Leg(sde.eps, sp.OnGrid(solver, sp.Uniform(800)))
        start = torch.linspace(-1.8, 1.8, 9)[:, None]
        sp.Pipeline(reverse, (leg,)).sample((9, 1), x=start, seed=9, observers=(kept,))
        axis.pcolormesh(
            times.numpy(),
            places.numpy(),
            density.T.numpy(),
            cmap="Greys",
            vmin=0.0,
            vmax=1.9,
            shading="gouraud",
            rasterized=True,
        )
        colour = ODE if level == 0.0 else SDE
        axis.plot(kept.times, kept.stack()[..., 0].numpy(), color=colour, lw=0.8, alpha=0.85)
        axis.set(title=name, xlabel="time", xlim=(1.0, 0.0), ylim=(-3.2, 3.2))
        axis.set_xticks([1.0, 0.75, 0.5, 0.25, 0.0], ["T", "0.75", "0.5", "0.25", "0"])
    axes[0].set_ylabel("x")
    return figure


def errors(highlight: str = "") -> Figure:
    """Exact error of every bundled integrator against evaluations, one of them in colour."""
    figure, axes = plt.subplots(1, 2, figsize=(10.4, 3.6), sharey=True, layout="constrained")
    for axis, sde in zip(axes, (sp.VPSDE(), sp.VESDE()), strict=True):
        for short, by in _integrators().items():
            steps = (8, 16, 32, 64, 128, 256)
            points = [_error(by, sde, each) for each in steps]
            plain = highlight not in ("", short)
            axis.loglog(
                [nfe for _, nfe in points],
                [value for value, _ in points],
                color=PALE if plain else _COLOURS[short],
                lw=1.2 if plain else 2.0,
                marker="" if plain else "o",
                ms=4,
                label=None if plain else short,
                zorder=1 if plain else 2,
            )
        name = type(sde).__name__.removesuffix("SDE")
        axis.set(title=name, xlabel="score evaluations", ylim=(1e-8, 5.0), xlim=(7, 1100))
        axis.grid(color="#eef1f4", lw=0.8)
        axis.set_axisbelow(True)
        axis.set_xticks([10, 30, 100, 300, 1000], ["10", "30", "100", "300", "1000"])
        axis.minorticks_off()
    axes[0].set_ylabel("relative error of the law")
    axes[0].set_yticks([1e-8, 1e-6, 1e-4, 1e-2, 1.0], ["1e-8", "1e-6", "1e-4", "1 %", "100 %"])
    handles, labels = axes[1].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right center", fontsize=9)
    return figure


def _integrators() -> Mapping[str, sp.Integrator]:
    return {entry.short: entry.obj() for entry in bundled().values() if entry.short in _COLOURS}


_MEASURED: dict[tuple[sp.Integrator, sp.LinearSDE, int], tuple[float, int]] = {}


def _error(by: sp.Integrator, sde: sp.LinearSDE, steps: int) -> tuple[float, int]:
    key = (by, sde, steps)
    if key not in _MEASURED:
        _MEASURED[key] = error(by, sde, steps)
    return _MEASURED[key]


FIGURES: Mapping[str, Callable[[], Figure]] = {
    "marginals.png": marginals,
    "errors.png": errors,
    "round-trip.png": encoding_table.picture,
    **{
        f"errors-{entry.short}.png": partial(errors, entry.short)
        for entry in bundled().values()
        if entry.short in _COLOURS and entry.plugin in _OWN
    },
}
"""The pictures that belong to no page, by file name."""


def make(folder: Path) -> None:
    """Make all pictures in a folder."""
    for picture in sorted([*drawn(folder), *saved(folder)]):
        # A palette of 256 colours makes the files small; without dither, areas stay plain.
        palette = Image.open(picture).convert("RGB").quantize(256, dither=Image.Dither.NONE)
        palette.save(picture, optimize=True)


def drawn(folder: Path) -> Iterator[Path]:
    """Make those that belong to no page."""
    with matplotlib.rc_context(STYLE):
        for name, draw in FIGURES.items():
            figure = draw()
            figure.savefig(folder / name)
            plt.close(figure)
            yield folder / name
    demo.ring(folder, seed=0)
    yield folder / "ring.png"


def saved(folder: Path) -> Iterator[Path]:
    """Make those that the code of a page saves."""
    for page in pages():
        here = Path.cwd()
        if "savefig(" not in page.read_text(encoding="utf-8"):
            continue
        with tempfile.TemporaryDirectory() as scratch, matplotlib.rc_context():
            try:
                os.chdir(scratch)
                list(runs(page))
            finally:
                os.chdir(here)
            plt.close("all")
            for picture in Path(scratch).glob("*.png"):
                shutil.copy(picture, folder / picture.name)
                yield folder / picture.name


if __name__ == "__main__":
    matplotlib.use("Agg")
    make(Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else IMAGES)
