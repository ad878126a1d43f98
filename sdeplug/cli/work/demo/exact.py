"""Three experiments with exact scores, so that what is seen is due to the sampler alone."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from sdeplug import targets
from sdeplug.cli.work.demo.judging import COPY, nearest
from sdeplug.cli.work.demo.page import Section
from sdeplug.compose import Corrected, Denoise, OnGrid
from sdeplug.grid import LogSNR, Uniform
from sdeplug.noise import SharedNoise
from sdeplug.observers import Progress, Trajectory
from sdeplug.pictures import COLOURS, INK, blank_figure, filmstrip, image_sheet, save, scatter
from sdeplug.pipeline import Leg, Pipeline, Samples
from sdeplug.registry import solver
from sdeplug.reverse import ReverseSDE
from sdeplug.run import Event, Observer, Run
from sdeplug.score import Counted
from sdeplug.sde import VESDE, VPSDE

_DIGITS, _POINTS = 100, 1000
_LEVELS, _SWEEPS, _SNR = 20, 100, 0.3
_SHOWN_TIMES = (1.0, 0.6, 0.4, 0.3, 0.2, 0.15, 0.1, 0.05, 0.02, 0.0)


def digits(folder: Path, seed: int) -> Section:
    """Reverse diffusion with Langevin to t = 0.3, Heun on the probability flow, denoising."""
    sde, data = VPSDE(), targets.digits()
    predictor, corrector = solver("song/reverse-diffusion"), solver("song/langevin", snr=0.16)
    legs = (
        Leg(0.3, OnGrid(Corrected(predictor, corrector), Uniform(200))),
        Leg(sde.eps, OnGrid(solver("ode/heun"), LogSNR(40))),
        Leg(0.0, Denoise()),
    )
    ends: list[Event] = []
    course = Trajectory()
    pipeline = Pipeline(ReverseSDE(sde, data.score(sde)), legs)
    samples = _watched(pipeline, (_DIGITS, *data.shape), seed, "digits", course, ends.append)
    _digits_picture(samples.x, course, folder / "digits.png")
    gaps = nearest(samples.x, data.means)
    gap, copies = float(gaps.median()), int((gaps < COPY).sum())
    costs = _leg_costs(ends, legs)
    return Section(
        title="Digits through a mixed pipeline",
        run=f"{_DIGITS} samples of the 1,797 real 8x8 digits under {sde!r}. Leg 1: reverse "
        f"diffusion with one Langevin sweep a step, 200 steps to t = 0.3 ({costs[0]} "
        f"evaluations). Leg 2: Heun's method on the probability flow, 40 steps in log-SNR to "
        f"t = {sde.eps:g} ({costs[1]}). Leg 3: denoising to t = 0 ({costs[2]}).",
        seen="The score is that of the data themselves, so the samples are the data: "
        f"{copies} of {_DIGITS} lie within {COPY} (root mean square of a pixel in [-1, 1]) of a "
        f"digit of the set, at {gap:.1g} in the median. A sampler can do no better and no "
        "worse here than reproduce them; new digits need a network, as above.",
        picture="digits.png",
        nfe=samples.nfe,
        seconds=samples.seconds,
    )


def ring(folder: Path, seed: int) -> Section:
    """Points on their way from noise to eight modes, over the exact density of p_t."""
    sde, data = VPSDE(), targets.eight_gaussians()
    course = Trajectory(every=20)
    leg = Leg(sde.eps, OnGrid(solver("song/euler-maruyama"), LogSNR(100)))
    pipeline = Pipeline(ReverseSDE(sde, data.score(sde)), (leg,))
    samples = _watched(pipeline, (_POINTS, 2), seed, "ring", course)
    save(filmstrip(course.states, course.times, data, sde), folder / "ring.png")
    nearest = data.responsibilities(samples.x, sde.eps, sde).argmax(1).bincount(minlength=8)
    share = nearest.double() / _POINTS
    return Section(
        title="Marginal consistency",
        run=f"{_POINTS} points, Euler-Maruyama on the reverse SDE, 100 steps in log-SNR.",
        seen="At every time the points (dark) have the exact law p_t (shaded). The eight modes "
        f"get {float(share.min()):.1%} to {float(share.max()):.1%} of the points; 12.5% is right, "
        f"and sampling alone moves a share by about {(0.125 * 0.875 / _POINTS) ** 0.5:.1%}.",
        picture="ring.png",
        nfe=samples.nfe,
        seconds=samples.seconds,
    )


def two_modes(folder: Path, seed: int) -> Section:
    """Plain against annealed Langevin dynamics on modes of weight 1/5 and 4/5."""
    sde, data = VESDE(sigma_min=0.1, sigma_max=20.0), targets.two_modes()
    langevin = solver("song/annealed-langevin", snr=_SNR, steps=_SWEEPS)
    by = OnGrid(Corrected(solver("song/hold"), langevin), Uniform(_LEVELS))
    reverse = ReverseSDE(sde, data.score(sde))
    annealed = _watched(Pipeline(reverse, (Leg(sde.eps, by),)), (_POINTS, 2), seed, "annealed")
    plain = _plain_langevin(reverse, sde.eps, seed)
    exact = data.sample(_POINTS, noise=SharedNoise(seed + 1))
    clouds = {"exact": exact, "plain Langevin": plain.x, "annealed Langevin": annealed.x}
    weights = {name: float((x.sum(1) < 0.0).double().mean()) for name, x in clouds.items()}
    figure = blank_figure(10.0, 3.4)
    panels = figure.subplots(1, 3, sharex=True, sharey=True)
    for axes, (name, x), colour in zip(panels, clouds.items(), COLOURS, strict=False):
        scatter(axes, x, f"{name}\nsmall mode {weights[name]:.1%}", colour)
    save(figure, folder / "two-modes.png")
    return Section(
        title="Why Langevin dynamics is annealed",
        run=f"{_POINTS} points, started uniformly on [-8, 8]^2. Plain: {plain.nfe} Langevin steps "
        f"at the smallest noise level. Annealed: {_SWEEPS} steps at each of {_LEVELS} levels from "
        "sigma = 20 down to 0.1, from the prior. (Song & Ermon, arXiv 1907.05600, figure 3.)",
        seen="The small mode has weight 20%. The score says nothing of weights where the density "
        f"between modes is low: plain Langevin gives it {weights['plain Langevin']:.1%}, annealed "
        f"Langevin {weights['annealed Langevin']:.1%}, exact draws {weights['exact']:.1%}.",
        picture="two-modes.png",
        nfe=annealed.nfe + plain.nfe,
        seconds=annealed.seconds + plain.seconds,
    )


def _watched(
    pipeline: Pipeline, shape: tuple[int, ...], seed: int, title: str, *observers: Observer
) -> Samples:
    with Progress(to=pipeline.legs[-1].to, title=title) as bar:
        return pipeline.sample(shape, seed=seed, observers=(bar, *observers))


def _plain_langevin(reverse: ReverseSDE, t: float, seed: int) -> Samples:
    """As many Langevin steps as the annealed run has, all at time t, from a uniform start."""
    langevin = solver("song/annealed-langevin", snr=_SNR, steps=_SWEEPS)
    counted = Counted(reverse.score_model)
    noise = SharedNoise(seed)
    x = (
        16.0
        * torch.special.ndtr(
            noise.normal(torch.empty(_POINTS, 2, dtype=torch.float32, device="cpu"))
        )
        - 8.0
    )
    begin = time.perf_counter()
    with torch.no_grad():
        for _ in range(_LEVELS):
            x = langevin.correct(replace(reverse, score_model=counted), x, t, Run(noise))
    seconds = time.perf_counter() - begin
    return Samples(x, t, counted.nfe, seconds, counted.by_row(len(x)))


def _leg_costs(events: list[Event], legs: tuple[Leg, ...]) -> list[int]:
    """Score evaluations of each leg, from the events at the ends of the legs."""
    totals = [next(event.nfe for event in events if event.t == leg.to) for leg in legs]
    return [late - early for early, late in zip((0, *totals), totals, strict=False)]


def _digits_picture(x: Tensor, course: Trajectory, path: Path) -> None:
    """Ten samples on their way, a row for each time, and all of them at the end."""
    figure = blank_figure(9.5, 4.6)
    left, right = figure.subplots(1, 2)
    times = torch.tensor(course.times, dtype=torch.float32, device="cpu")
    rows = [int((times - wanted).abs().argmin()) for wanted in _SHOWN_TIMES]
    way = torch.stack([course.states[row][:10] for row in rows])
    image_sheet(left, way.flatten(0, 1), columns=10)
    height = way.shape[-2] + 1
    for place, row in enumerate(rows):
        left.text(
            -2, (place + 0.5) * height, f"t = {course.times[row]:.2g}", fontsize=7, color=INK,
            ha="right", va="center",
        )  # fmt: skip
    image_sheet(right, x)
    for axes, title in ((left, "ten samples on their way"), (right, "all samples")):
        axes.set_title(title, fontsize=10, color=INK)
    save(figure, path)


EXPERIMENTS: tuple[Callable[[Path, int], Section], ...] = (digits, ring, two_modes)
"""The experiments, in the order of the page."""
