"""How good a trained network is: its loss, its likelihood, its distance, what it remembers."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from sdeplug.cli.work.demo.drawing import Drawn
from sdeplug.cli.work.demo.features import COUNT
from sdeplug.cli.work.demo.page import Section
from sdeplug.cli.work.demo.study import LEVELS, Study
from sdeplug.cli.work.small import SDE
from sdeplug.compose import OnGrid
from sdeplug.grid import LogSNR
from sdeplug.likelihood import Hutchinson, bits_per_dim, dequantised, log_likelihood
from sdeplug.noise import SharedNoise
from sdeplug.pictures import COLOURS, INK, blank_figure, image_sheet, save
from sdeplug.registry import solver
from sdeplug.reverse import ReverseSDE
from sdeplug.training import Mark

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COPY = 0.05
"""Root mean square of a pixel in [-1, 1]: what is nearer than that to a digit is a copy of it."""
_SHOWN = 12
_FLOW_STEPS = 32


def nearest(x: Tensor, data: Tensor) -> Tensor:
    """Distance of each row to the nearest of the data, in the root mean square over pixels."""
    flat = x.flatten(1).double()
    gaps: Tensor = torch.cdist(flat, data.flatten(1).double()).amin(1) / flat.shape[1] ** 0.5
    return gaps


def learning(study: Study, history: Sequence[Mark], seconds: float, folder: Path) -> Section:
    """The losses on the way."""
    figure = blank_figure(6.0, 3.0)
    axes = figure.subplots()
    steps = [mark.step for mark in history]
    axes.plot(steps, [mark.loss for mark in history], color=COLOURS[0], label="learned digits")
    held = [mark.held_out or math.nan for mark in history]
    axes.plot(steps, held, color=COLOURS[1], label="held-out digits, averaged weights")
    axes.set_xlabel("step", color=INK, fontsize=9)
    axes.set_ylabel("loss", color=INK, fontsize=9)
    axes.set_yscale("log")
    axes.legend(frameon=False, fontsize=8)
    _open(axes)
    save(figure, folder / "learning.png")
    network = study.model.network
    assert isinstance(network, torch.nn.Module)
    count = sum(each.numel() for each in network.parameters())
    return Section(
        title="A network learns the digits",
        run=f"{type(network.network).__name__} of {count:,} parameters, as a denoiser "
        f"(arXiv 2206.00364): {steps[-1]} steps on {len(study.learned)} digits of 8x8 pixels. "
        f"{len(study.held_out)} others are held out, and never learned.",
        seen=f"The loss of held-out digits ends at {held[-1]:.3f}, that of the learned ones at "
        f"{history[-1].loss:.3f}. Where the first rises above the second, a network begins to know "
        "the digits that it learns by heart.",
        picture="learning.png",
        nfe=0,
        seconds=seconds,
    )


def distances(study: Study, drawn: Sequence[Drawn], folder: Path) -> Section:
    """Fréchet distances of real digits, the network, a kernel density and a Gaussian.

    The last two that were drawn are the network's, by the default, without and with guidance.
    """
    begin = time.perf_counter()
    kernel, width = study.kernel
    found = {
        "real digits": study.frechet(study.learned),
        "the network": drawn[-2].distance,
        "the network, guided": drawn[-1].distance,
        "kernel density": study.frechet(study.drawn(kernel, "kernel")),
        "Gaussian": study.frechet(study.drawn(study.gaussian, "gaussian")),
    }
    save(_bars(found, "Fréchet distance from held-out digits", "%.1f"), folder / "distances.png")
    said = ", ".join(f"{name} {value:.1f}" for name, value in found.items())
    shares = [each.distance / found["Gaussian"] for each in drawn[-2:]]
    return Section(
        title="How far from real digits",
        run=f"Fréchet distance of {len(study.learned)} digits from the {len(study.held_out)} "
        f"held-out ones. Features: the {COUNT} numbers of the last hidden layer of a classifier "
        "of the learned digits; on linear features a Gaussian with the right moments would be "
        f"perfect. The kernel density has a Gaussian of deviation {width:g} around each learned "
        "digit, the best on held-out ones; real digits are the learned ones themselves.",
        seen=f"{said}. The network is at {shares[0]:.2f} of the Gaussian, and guided at "
        f"{shares[1]:.2f}: digits of a class that is plain, for which it gives up some variety.",
        picture="distances.png",
        nfe=0,
        seconds=time.perf_counter() - begin,
    )


def likelihood(study: Study, folder: Path) -> Section:
    """Bits per dimension of the held-out digits: of the network, and of its rivals."""
    begin = time.perf_counter()
    ends = (-1.0 - 0.5 * study.data.units.level, 1.0 + 0.5 * study.data.units.level)
    whole = ((study.held_out + 1.0) / study.data.units.level).round()
    noise = SharedNoise(study.seed).stream("bits")
    x = dequantised(whole, noise, levels=LEVELS, data_range=ends)
    by = OnGrid(solver("ode/heun"), LogSNR(_FLOW_STEPS))
    found = log_likelihood(
        ReverseSDE(SDE, study.model.score), x, by, divergence=Hutchinson(), noise=noise
    )
    bits = bits_per_dim(found, levels=LEVELS, data_range=ends)
    flat = x.double().flatten(1)
    in_bits = -1.0 / (flat.shape[1] * math.log(2.0))
    scale = float(bits.rescaling.mean())
    rivals = {"kernel density": study.kernel[0], "Gaussian": study.gaussian}
    values = {"the network": bits.mean} | {
        name: in_bits * float(law.log_prob(flat).mean()) + scale for name, law in rivals.items()
    }
    save(_bars(values, "bits per dimension of held-out digits", "%.2f"), folder / "bits.png")
    error = float(bits.total.std()) / len(flat) ** 0.5
    said = ", ".join(f"{name} {value:.2f}" for name, value in values.items())
    terms = ", ".join(f"{name} {float(each.mean()):+.2f}" for name, each in bits.terms.items())
    return Section(
        title="How likely held-out digits are",
        run=f"Negative log-probability of the {len(flat)} held-out digits, in bits for each pixel, "
        f"of {LEVELS} levels: along the probability flow, {_FLOW_STEPS} steps of Heun's method, "
        "with one probe for the divergence. The digits have uniform noise of one level, for the "
        "network as for its rivals, so that densities bound probabilities; none is told the class.",
        seen=f"{said}; without a model it is {math.log2(LEVELS):.2f}. The standard error of the "
        f"network's is {error:.2f}; its terms are {terms}.",
        picture="bits.png",
        nfe=found.nfe,
        seconds=time.perf_counter() - begin,
    )


def memory(study: Study, drawn: Sequence[Drawn], folder: Path) -> Section:
    """How much the network merely remembers: nearest digits, learned and held out."""
    begin = time.perf_counter()
    x, half = drawn[-2].x, study.learned[: len(study.held_out)]
    kernel = study.drawn(study.kernel[0], "kernel")
    share, other = (
        float((nearest(each, half) < nearest(each, study.held_out)).double().mean())
        for each in (x, kernel)
    )
    gaps = nearest(x, study.learned)
    real = float(nearest(study.held_out, study.learned).median())
    shown = x[:_SHOWN]
    index = torch.cdist(shown.flatten(1), study.learned.flatten(1)).argmin(1)
    figure = blank_figure(7.0, 1.6)
    axes = figure.subplots()
    image_sheet(axes, torch.cat((shown, study.learned[index])), columns=_SHOWN)
    for row, word in enumerate(("drawn", "nearest learned")):
        axes.text(-2, 9 * row + 4, word, fontsize=8, color=INK, ha="right", va="center")
    save(figure, folder / "memory.png")
    return Section(
        title="What it merely remembers",
        run=f"For each of {len(x)} new digits, the nearest of {len(half)} learned and of as many "
        "held-out digits. A law that remembers nothing is nearer to a learned one for 50% "
        "(the idea: Meehan et al., arXiv 2004.05675).",
        seen=f"The network is nearer to a learned digit for {share:.0%}, the kernel density for "
        f"{other:.0%}. {int((gaps < COPY).sum())} of {len(x)} are copies, within {COPY} of a "
        f"learned digit (root mean square of a pixel in [-1, 1]); the median is "
        f"{float(gaps.median()):.2f}, and for held-out digits {real:.2f}.",
        picture="memory.png",
        nfe=0,
        seconds=time.perf_counter() - begin,
    )


def _bars(values: Mapping[str, float], title: str, form: str) -> Figure:
    """Numbers as bars, the first on top."""
    figure = blank_figure(6.0, 2.0)
    axes = figure.subplots()
    bars = axes.barh(list(values), list(values.values()), color=COLOURS[0], height=0.6)
    axes.bar_label(bars, fmt=form, padding=3, fontsize=8, color=INK)
    axes.invert_yaxis()
    axes.tick_params(labelsize=8, colors=INK)
    axes.set_xlabel(title, color=INK, fontsize=9)
    _open(axes)
    return figure


def _open(axes: Axes) -> None:
    """No lines above and at the right."""
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
