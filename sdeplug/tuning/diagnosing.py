"""The door: :func:`diagnose`."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import torch

from sdeplug.compare.fit import misread
from sdeplug.errors import argument_type
from sdeplug.metrics import stream
from sdeplug.noise import checked_seed
from sdeplug.pipeline import last_time
from sdeplug.reverse import ReverseSDE
from sdeplug.score import Counted
from sdeplug.sde import LinearSDE
from sdeplug.tuning.advice import Case, advice
from sdeplug.tuning.diagnosis import Diagnosis
from sdeplug.tuning.effort import Effort
from sdeplug.tuning.held import LEAST, Data, Held, first_look, in_two
from sdeplug.tuning.laws import laws
from sdeplug.tuning.levels import SHIFT, Level, References, looked_at
from sdeplug.tuning.starting import checked_linear

OnPart = Callable[[int, int], None]
"""Called with the number of finished parts and that of all."""


def diagnose(
    reverse: ReverseSDE,
    data: Data,
    *,
    effort: Effort = Effort(),  # noqa: B008  a frozen value
    seed: int = 0,
    on_part: OnPart | None = None,
) -> Diagnosis:
    """What is wrong with a network, where over the noise, and what to do about it.

    At some levels of noise it sees data on their way to noise.  What it says is set against the
    noise that was added, against what a Gaussian with the moments of the data would say, and
    against itself when it is told other times, by other labels, is taken to predict another thing,
    and when the state is larger.  Then samples of the probability flow and of the reverse SDE are
    compared with data.

    Args:
        reverse: the reverse SDE with the network; its stochasticity does not matter.
        data: rows that the network was not trained on, shape ``(n, *D)``, in the units that it
            was; half of them are what it is compared with.  Or a target: then its error is exact.
        effort: how many levels, rows and samples.
        seed: of all randomness.
        on_part: called with the number of finished parts and that of all.

    Raises:
        SdeplugError: for data that are none, or do not fit the network, before anything is run.
    """
    given = checked_linear(reverse)
    if not isinstance(effort, Effort):
        argument_type("effort", effort, "an Effort", "Effort(levels=20) is one.")
    if on_part is not None and not callable(on_part):
        argument_type("on_part", on_part, "a function of two numbers")
    checked_seed("seed", seed)
    held = in_two(data, seed)
    first_look(given, held)
    effort = effort.for_size(held.other[0].numel())
    began, report = time.perf_counter(), on_part or _silent
    counted = Counted(given.score_model)
    watched = replace(given, score_model=counted)
    report(0, effort.levels + 1)
    with torch.no_grad():
        levels = _levels(watched, held, effort, seed, report)
        spread = _spread(held)
        read = misread(watched, held.other, spread)
        two = laws(watched, held, effort.paths or LEAST, effort.steps, seed)
    report(effort.levels + 1, effort.levels + 1)
    return Diagnosis(
        levels=levels,
        laws=two,
        advice=advice(Case(levels, two, given.linear, spread, read)),
        exact=held.target is not None,
        nfe=counted.nfe,
        rows=counted.rows,
        seconds=time.perf_counter() - began,
    )


def _levels(
    reverse: ReverseSDE, held: Held, effort: Effort, seed: int, report: OnPart
) -> tuple[Level, ...]:
    references = References.of(held, reverse.linear)
    times = _times(reverse.linear, effort.levels)
    found = []
    for n, t in enumerate(times):
        far = times[-1] if n < len(times) // 2 else times[0]
        noise = stream(seed, f"level {n}")
        x0 = held.other[: effort.rows]
        found.append(looked_at(reverse, references, x0, (t, far), noise))
        report(n + 1, effort.levels + 1)
    return tuple(found)


def _times(sde: LinearSDE, count: int) -> list[float]:
    """Evenly in log-SNR, where the network can be told of more noise and of less; and the end."""
    start, end = min(sde.T, sde.horizon), last_time(sde)
    most, least = sde.at(start).log_snr + SHIFT, sde.at(end).log_snr
    less = least - 2.0 * SHIFT
    inside = torch.linspace(most, less, count - 1, dtype=torch.float64, device="cpu")
    return [*sde.time_at(inside).tolist(), end]


def _spread(held: Held) -> float:
    """Standard deviation of a coordinate of the data, in the root of the mean square."""
    return float(held.known.double().flatten(1).var(0).mean().sqrt())


def _silent(done: int, of: int) -> None:
    pass
