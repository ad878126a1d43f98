"""A solver for one network: theory on the best grid, corrected to meet a run of many steps.

The idea is that of S4S (Frankel et al., arXiv 2502.17423) and LD3 (Tong et al., arXiv 2405.15506),
whose coefficients, or times, are trained by gradients through all steps.  Here both are fitted
together by least squares, and start from theory.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from sdeplug.compare.work import checked_folder
from sdeplug.errors import ArgumentError, warn
from sdeplug.grid import Karras, LogSNR, Quadratic
from sdeplug.options import Configured, option
from sdeplug.reverse import ReverseSDE
from sdeplug.score import AnalyticFirst, for_rows
from sdeplug.tuning.calibrated import Calibrated
from sdeplug.tuning.fingerprint import fingerprint
from sdeplug.tuning.gits import cheapest, costs
from sdeplug.tuning.refine import Pairs, best_refined
from sdeplug.tuning.rounds import Rounds
from sdeplug.tuning.rule import Numbers, Rule
from sdeplug.tuning.starting import checked_as, checked_count, checked_linear, started
from sdeplug.tuning.teacher import Path, teacher
from sdeplug.tuning.walk import ratio_at, times_at

_ENOUGH = 50  # numbers to be met for each parameter, for a fit to few noises to be worth its time


@dataclass(frozen=True)
class Fitting(Configured):
    """How a solver is fitted to a network."""

    rounds: int = option(20, help="rounds of each of the two parts of the fit, at most", ge=0)
    fine: int = option(80, help="steps of the run that is to be met", ge=2)
    values: int = option(6, help="denoised data that a step uses, the newest ones", ge=1)
    analytic: bool = option(True, help="whether one more step, the first, asks no network")
    to: float = option(0.0, help="time that the solver ends at; 0: the denoised data", ge=0.0)


def calibrate(
    reverse: ReverseSDE,
    nfe: int,
    shape: Sequence[int] | None = None,
    *,
    x: Tensor | None = None,
    seed: int = 0,
    fitting: Fitting = Fitting(),
    resume: os.PathLike[str] | str | None = None,
) -> Calibrated:
    """A solver that was fitted to a run of many steps of your network.

    Grid and coefficients are those that bring some noises, two thirds of those given, nearest to
    where the flow of the network carries them.  The others tell when it fits the noises rather
    than the flow: then the fit ends, and if it was never better than theory, theory is what is
    returned, with a warning.

    Args:
        reverse: the reverse SDE; its forward SDE is linear.  The flow is followed, whatever the
            stochasticity.
        nfe: score evaluations of the solver, the last ones included: it ends at the data.
        shape: shape ``(B, *D)`` of the noises, a third of which is held out; 96 are enough for
            images.
        x: states at T, instead of a draw from the prior; it decides dtype and device.  A network
            with labels for each row has as many.
        seed: of the draw.
        fitting: how it is fitted.
        resume: folder where the rounds of the fit are kept: after an interruption the same call
            goes on there, and comes to the same solver.

    Raises:
        ArgumentError: for arguments that do not fit, or fewer than two noises.
        PairingError: unless the forward SDE is linear, and for a network that cannot be asked as
            it is given: it wants labels, or another shape.
        NonFiniteError: if the run of many steps is not finite.
    """
    reverse, nfe = checked_linear(reverse), checked_count("nfe", nfe)
    fitting = checked_as(Fitting, "fitting", fitting)
    if nfe > fitting.fine:
        raise ArgumentError(
            "nfe", nfe, f"at most fine = {fitting.fine}, the steps of the run that is to be met",
            "A larger fine makes it longer.",
        )  # fmt: skip
    x, t = started(reverse, shape, x, seed, fitting.to)
    folder = None if resume is None else checked_folder(resume)
    path = teacher(reverse, x, t, fitting.to, fitting.fine)
    mean, std = _blind(path)
    model, sde = reverse.score_model, reverse.linear
    first = AnalyticFirst(model, sde, mean, std) if fitting.analytic else None
    seen = len(x) - max(len(x) // 3, 1)
    few, fit, held_out = (
        _pairs(reverse, first, path, rows)
        for rows in (range(seen // 4), range(seen), range(seen, len(x)))
    )
    theory = _theory(path, nfe + fitting.analytic, fitting.values, fit)
    found = few.y.numel() >= _ENOUGH * len(theory.parameters)
    best = theory
    for pairs in (few, fit) if found else (fit,):
        begun = repr((path.ratios, best, len(pairs.y), fitting.analytic))
        kept = Rounds.of(folder, begun, path.states[0], path.states[-1])
        best = best_refined(best, pairs, held_out, fitting.rounds, kept)
    if best is theory and fitting.rounds:
        warn(
            f"the fit is no better than theory on the {len(x) - seen} noises that were held out: "
            "theory is kept. More noises may help."
        )
    times = times_at(sde, best.ratios, *fit.span)
    marginals = [sde.at(time) for time in times]
    return Calibrated(
        times=times,
        levels=tuple((each.alpha, each.sigma) for each in marginals),
        weights=best.weights,
        shape=tuple(x.shape[1:]),
        mean=tuple(mean.flatten().tolist()) if first else (),
        std=std if first else 0.0,
        network=_known_by(reverse, times, x),
        theory=(fit.error(theory), held_out.error(theory)),
        fitted=(fit.error(best), held_out.error(best)),
    )


def _blind(path: Path) -> tuple[Tensor, float]:
    """Mean and standard deviation of the data, as a network has them that sees noise alone."""
    mean, ends = path.values[0].mean(0), path.states[-1]
    return mean, float((ends - mean).square().mean().sqrt())


def _pairs(reverse: ReverseSDE, first: AnalyticFirst | None, path: Path, rows: range) -> Pairs:
    """Some of the noises of a path, with the network for their rows."""
    numbers = torch.tensor(list(rows), dtype=torch.int64, device=path.states.device)
    some = replace(reverse, score_model=for_rows(reverse.score_model, numbers))
    span = (path.times[0], path.times[-1])
    y, end = path.states[0, numbers], path.states[-1, numbers]
    return Pairs(some, first, span, y, reverse.linear.at(span[1]).alpha * end)


def _theory(path: Path, steps: int, values: int, pairs: Pairs) -> Rule:
    """Theory on the best of a few grids, that of the network among them."""
    sde, (t, s) = pairs.reverse.linear, pairs.span
    last = path.ratios[-1]
    low, inner = (s, steps) if last else (sde.eps, steps - 1)
    places = [cheapest(costs(path), steps, 1.0)] if steps < len(path.ratios) else []
    grids: list[Numbers] = [tuple(path.ratios[place] for place in found) for found in places]
    for grid in (Karras, LogSNR, Quadratic):
        times = grid(inner).times(t, low, sde) if inner else (t,)
        ratios = tuple(ratio_at(sde, time) for time in times)
        grids.append(ratios if last else (*ratios, 0.0))
    return min((Rule.theory(ratios, values) for ratios in grids), key=pairs.error)


def _known_by(reverse: ReverseSDE, times: Numbers, x: Tensor) -> Numbers:
    """The fingerprint of a network; none where rows have labels of their own."""
    first, last = (fingerprint(reverse, times, x, row) for row in (0, len(x) - 1))
    return first if first == last else ()
