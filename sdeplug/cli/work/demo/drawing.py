"""What a trained network draws: digits by several samplers, of one class, around known pixels."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from sdeplug.cli.work.demo.page import Section
from sdeplug.cli.work.demo.study import Study
from sdeplug.cli.work.small import SDE
from sdeplug.compose import Corrected, Denoise, OnGrid
from sdeplug.conditioning import ClassifierFree, Mask, Measurement, Replacement
from sdeplug.grid import LogSNR
from sdeplug.observers import Progress
from sdeplug.pictures import INK, blank_figure, image_sheet, save
from sdeplug.pipeline import DEFAULT, Leg, Pipeline, Samples, whole_run
from sdeplug.registry import solver
from sdeplug.reverse import ReverseSDE
from sdeplug.score import ScoreModel
from sdeplug.solvers import Integrator

_SHOWN, _EACH = 80, 8  # digits in a panel; of each class
_SCALES = (1.0, 2.0)
_GUIDED = 1.5  # scale of the guidance of the last of the samplers
_KNOWN, _TRIES = 12, 4  # digits of which a half is known, and how often each is completed


@dataclass(frozen=True)
class Drawn:
    """Digits that a sampler has drawn.

    Attributes:
        name: of the sampler.
        x: the digits, at one of 17 levels, shape ``(N, 1, 8, 8)``.
        samples: the run.
        distance: Fréchet distance from the held-out digits.
    """

    name: str
    x: Tensor
    samples: Samples
    distance: float


def samplers() -> Mapping[str, Integrator]:
    """Four ways to sample one network, by name."""
    pc = Corrected(solver("song/reverse-diffusion"), solver("song/langevin", snr=0.16))
    return {
        "predictor-corrector": OnGrid(pc, LogSNR(50)),
        "probability flow, Heun": OnGrid(solver("ode/heun"), LogSNR(20)),
        "adaptive flow": solver("adaptive/row-tsit5", rtol=1e-2, atol=1e-2),
        "the default": solver(DEFAULT),
    }


def draw(study: Study) -> tuple[Drawn, ...]:
    """As many new digits by each sampler as there are learned ones; the last with guidance."""
    score = study.of_classes(study.classes)
    guided = ClassifierFree(score, study.model.score, _GUIDED)
    plain = [_drawn(study, score, by, name) for name, by in samplers().items()]
    return (*plain, _drawn(study, guided, solver(DEFAULT), f"guided, scale {_GUIDED:g}"))


def _drawn(study: Study, score: ScoreModel, by: Integrator, name: str) -> Drawn:
    legs = whole_run(SDE, by)
    samples = watched(ReverseSDE(SDE, score), legs, len(study.classes), study, name)
    x = study.pixels(samples.x)
    return Drawn(name, x, samples, study.frechet(x))


def watched(
    reverse: ReverseSDE, legs: tuple[Leg, ...], rows: int, study: Study, title: str
) -> Samples:
    """A run over legs, with a bar."""
    with Progress(to=legs[-1].to, title=title) as bar:
        shape = (rows, *study.data.units.inside)
        return Pipeline(reverse, legs).sample(shape, seed=study.seed, observers=(bar,))


def by_four_samplers(drawn: tuple[Drawn, ...], folder: Path) -> Section:
    """New digits, a panel for each sampler."""
    figure = blank_figure(13.0, 3.4)
    for axes, each in zip(figure.subplots(1, len(drawn)), drawn, strict=True):
        image_sheet(axes, each.x[:_SHOWN], columns=8)
        axes.set_title(f"{each.name}\nFréchet {each.distance:.1f}", fontsize=9, color=INK)
    save(figure, folder / "new-digits.png")
    costs = ", ".join(
        f"{each.name} {each.samples.nfe} evaluations and {each.distance:.1f}" for each in drawn
    )
    return Section(
        title="New digits, by four samplers",
        run=f"{len(drawn[0].x)} digits each, of as many of each class as there are learned ones, "
        "by one network: a reverse-diffusion "
        "step with one Langevin sweep, 50 times; Heun's method on the probability flow, 20 steps; "
        "an adaptive Runge-Kutta method on it, each row with steps of its own; what sdeplug takes "
        "when nobody names a solver; and the same, guided towards the class.",
        seen=f"Score evaluations and Fréchet distance from held-out digits: {costs}.",
        picture="new-digits.png",
        nfe=sum(each.samples.nfe for each in drawn),
        seconds=sum(each.samples.seconds for each in drawn),
    )


def by_class(study: Study, folder: Path) -> Section:
    """Digits of the classes that are asked for, with and without guidance."""
    labels = torch.arange(10, dtype=torch.int64, device="cpu").repeat(_EACH)
    of_class = study.of_classes(labels)
    figure = blank_figure(8.0, 4.0)
    shares, nfe, seconds = {}, 0, 0.0
    for axes, scale in zip(figure.subplots(1, len(_SCALES)), _SCALES, strict=True):
        guided = ClassifierFree(of_class, study.model.score, scale)
        legs = whole_run(SDE, solver(DEFAULT))
        samples = watched(ReverseSDE(SDE, guided), legs, len(labels), study, "digits by class")
        x = study.pixels(samples.x)
        shares[scale] = float((study.features.read(x) == labels).double().mean())
        image_sheet(axes, x, columns=10)
        axes.set_title(f"scale {scale:g}: {shares[scale]:.0%} read as asked", fontsize=9, color=INK)
        nfe, seconds = nfe + samples.nfe, seconds + samples.seconds
    save(figure, folder / "classes.png")
    right = float((study.features.read(study.held_out) == study.held_out_classes).double().mean())
    asked = " and ".join(f"{share:.0%} at scale {scale:g}" for scale, share in shares.items())
    return Section(
        title="Digits of a class",
        run="0 to 9 from left to right, by the default. The network knows the class of nine in ten "
        "digits that it learns from, so that it knows the law of each class and that of all. Scale "
        "1 is the law of the class; classifier-free guidance at scale 2 goes farther.",
        seen=f"A classifier reads {asked} as the digit that was asked for, and {right:.0%} of the "
        "held-out digits as what they are.",
        picture="classes.png",
        nfe=nfe,
        seconds=seconds,
    )


def completed(study: Study, folder: Path) -> Section:
    """Held-out digits of which the upper half is known, completed several times."""
    known = torch.zeros(study.data.units.inside, dtype=torch.bool, device="cpu")
    known[:, : known.shape[1] // 2] = True
    whole = study.held_out[:_KNOWN]
    score = study.of_classes(study.held_out_classes[:_KNOWN].repeat(_TRIES))
    mask = Mask(known)
    each = Measurement(mask, mask.forward(whole.repeat(_TRIES, 1, 1, 1)))
    by = OnGrid(Corrected(solver("song/ancestral"), Replacement(each)), LogSNR(100))
    legs = (Leg(SDE.eps, by), Leg(0.0, Corrected(Denoise(), Replacement(each))))
    begin = time.perf_counter()
    samples = watched(ReverseSDE(SDE, score), legs, _KNOWN * _TRIES, study, "inpainting")
    seconds = time.perf_counter() - begin
    x = study.pixels(samples.x)
    figure = blank_figure(7.0, 3.6)
    axes = figure.subplots()
    half = torch.where(known, whole, torch.full_like(whole, -0.6))
    image_sheet(axes, torch.cat((whole, half, x)), columns=_KNOWN)
    for row, word in enumerate(("held out", "known", *(["completed"] * _TRIES))):
        axes.text(-2, 9 * row + 4, word, fontsize=8, color=INK, ha="right", va="center")
    save(figure, folder / "inpainting.png")
    kept = float((x - whole.repeat(_TRIES, 1, 1, 1))[:, known].abs().max())
    spread = float(x.reshape(_TRIES, -1, 64).std(0)[:, ~known.flatten()].mean())
    return Section(
        title="Inpainting",
        run=f"The upper half of {_KNOWN} held-out digits is given, with what they are, and "
        f"{_TRIES} lower halves are drawn for each: 100 ancestral steps, after each of which the "
        "known pixels are put in their place at the noise level of the moment (arXiv 2011.13456, "
        "appendix I.2).",
        seen=f"Known pixels are off by at most {kept:.2g} at the end. Those that are not known "
        f"differ between completions by {spread:.2f} (standard deviation of a pixel in [-1, 1]).",
        picture="inpainting.png",
        nfe=samples.nfe,
        seconds=seconds,
    )
