"""What a step costs inside a pipeline of diffusers: our schedulers over diffusers' own.

python benchmarks/diffusers_overhead.py [--quick] [--json FILE]
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import diffusers
import torch
from lines import Line, reported
from torch import Tensor

from sdeplug_diffusers import ScoreSdeVeScheduler, as_scheduler

SHAPE = (16, 3, 32, 32)
STEPS = 50
LIMIT = 1.0

Run = Callable[[], object]


def prepared(scheduler: Any) -> Run:
    """A run of a scheduler on one network output, which costs nothing."""
    output, begin = (torch.randn(2, *SHAPE)).unbind()
    more = {} if isinstance(scheduler, diffusers.UniPCMultistepScheduler) else {
        "generator": torch.Generator().manual_seed(0)
    }  # fmt: skip

    def run() -> Tensor:
        scheduler.set_timesteps(STEPS)
        x = begin
        with torch.no_grad():
            for t in scheduler.timesteps:
                x = scheduler.scale_model_input(x, t)
                x = scheduler.step(output, t, x, return_dict=False, **more)[0]
        return x

    return run


def of_song(scheduler: Any, correct: bool) -> Run:
    """Steps of the predictor, or of the corrector, of the variance-exploding SDE."""
    score, x = torch.randn(2, *SHAPE).unbind()
    generator = torch.Generator().manual_seed(0)
    scheduler.set_timesteps(STEPS)
    scheduler.set_sigmas(STEPS)

    def run() -> None:
        with torch.no_grad():
            for t in scheduler.timesteps:
                if correct:
                    scheduler.step_correct(score, x, generator)
                else:
                    scheduler.step_pred(score, t, x, generator)

    return run


def pairs() -> Mapping[str, tuple[Run, Run]]:
    """Ours and theirs, by the solver in that place."""
    stepping = {
        "exponential/ddim": diffusers.DDIMScheduler(clip_sample=False),
        "exponential/dpmpp-2m": diffusers.DPMSolverMultistepScheduler(),
        "exponential/unipc": diffusers.UniPCMultistepScheduler(),
        "song/ancestral": diffusers.EulerAncestralDiscreteScheduler(),
    }
    found = {
        f"{name}, {type(theirs).__name__}": (prepared(as_scheduler(name)), prepared(theirs))
        for name, theirs in stepping.items()
    }
    for correct, name in ((False, "predictor"), (True, "corrector")):
        ours, theirs = (
            of_song(cls(), correct) for cls in (ScoreSdeVeScheduler, diffusers.ScoreSdeVeScheduler)
        )
        found[f"ScoreSdeVeScheduler, {name}"] = ours, theirs
    return found


def seconds(run: Run) -> float:
    start = time.process_time()
    run()
    return time.process_time() - start


def measured(quick: bool) -> Iterator[Line]:
    """The median of ratios of neighbouring runs, so that the speed of the machine cancels."""
    for name, (ours, theirs) in pairs().items():
        ours(), theirs()
        times = [(seconds(ours), seconds(theirs)) for _ in range(5 if quick else 25)]
        ratio = statistics.median(one / other for one, other in times)
        each = 1e6 * statistics.median(other for _, other in times) / STEPS
        yield Line(f"{name}", each, "us/step, theirs")
        yield Line(f"{name}", ratio, "x theirs", LIMIT)


if __name__ == "__main__":
    raise SystemExit(reported("Schedulers of sdeplug", __doc__ or "", measured))
