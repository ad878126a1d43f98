"""What a step costs inside a pipeline of diffusers: our schedulers over diffusers' own.

python benchmarks/diffusers_overhead.py [--quick] [--json FILE]

Memory is counted in tensors of the size of the state, those of the pipeline included: what is held
while the network runs, and the most that is alive in a step.
"""

from __future__ import annotations

import inspect
import math
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import diffusers
import torch
from lines import Line, reported
from live import Live
from torch import Tensor

from sdeplug_diffusers import ScoreSdeVeScheduler, as_scheduler

SHAPE = (16, 3, 32, 32)
STEPS = 50
LIMIT = 1.0
STAGES = "exponential/edm-heun"  # a step is run again for each stage, so that it can be copied
TABLES = 0.01  # of a state, at most: what a schedule keeps

Run = Callable[[], object]


class Stepping(NamedTuple):
    """A scheduler, and how a pipeline steps with it.

    Attributes:
        scheduler: ours, or that of diffusers.
        step: (network output, timestep, state) -> the next state.
    """

    scheduler: Any
    step: Callable[[Tensor, Tensor, Tensor], Tensor]


def stepping(scheduler: Any, method: str = "step") -> Stepping:
    """A scheduler and its step of a sampler, of the predictor or of the corrector."""
    make = getattr(scheduler, method)
    draws = "generator" in inspect.signature(make).parameters
    more = {"generator": torch.Generator().manual_seed(0)} if draws else {}

    def step(output: Tensor, t: Tensor, x: Tensor) -> Tensor:
        where = (output, x) if method == "step_correct" else (output, t, x)
        return make(*where, return_dict=False, **more)[0]

    return Stepping(scheduler, step)


def pairs() -> Mapping[str, tuple[Stepping, Stepping]]:
    """Ours and theirs, by the solver in that place."""
    placed = {
        "exponential/ddim": diffusers.DDIMScheduler(clip_sample=False),
        "exponential/dpmpp-2m": diffusers.DPMSolverMultistepScheduler(),
        "exponential/unipc": diffusers.UniPCMultistepScheduler(),
        "song/ancestral": diffusers.EulerAncestralDiscreteScheduler(),
        STAGES: diffusers.HeunDiscreteScheduler(),
    }
    found = {
        f"{name}, {type(theirs).__name__}": (stepping(as_scheduler(name)), stepping(theirs))
        for name, theirs in placed.items()
    }
    for method, name in (("step_pred", "predictor"), ("step_correct", "corrector")):
        ours, theirs = (
            stepping(cls(), method) for cls in (ScoreSdeVeScheduler, diffusers.ScoreSdeVeScheduler)
        )
        found[f"ScoreSdeVeScheduler, {name}"] = ours, theirs
    return found


def begun(by: Stepping) -> Tensor:
    """The timesteps of a new run."""
    by.scheduler.set_timesteps(STEPS)
    if hasattr(by.scheduler, "set_sigmas"):
        by.scheduler.set_sigmas(STEPS)
    return by.scheduler.timesteps


def prepared(by: Stepping) -> Run:
    """A run on one network output, which costs nothing."""
    output, begin = torch.randn(2, *SHAPE).unbind()

    def run() -> Tensor:
        x = begin
        with torch.no_grad():
            for t in begun(by):
                x = by.step(output, t, by.scheduler.scale_model_input(x, t))
        return x

    return run


def held(by: Stepping) -> tuple[float, float]:
    """States that are alive while the network runs, and the most of them in a step."""
    size, held = 4 * math.prod(SHAPE), 0
    with torch.no_grad(), Live() as live:
        x = torch.randn(SHAPE)
        for t in begun(by):
            output = 0.1 * by.scheduler.scale_model_input(x, t)
            held = max(held, live.now)
            x = by.step(output, t, x)
            del output
    return held / size, live.most / size


def seconds(run: Run) -> float:
    start = time.process_time()
    run()
    return time.process_time() - start


def times(quick: bool) -> Iterator[Line]:
    """The median of ratios of neighbouring runs, so that the speed of the machine cancels."""
    for name, (ours, theirs) in pairs().items():
        runs = prepared(ours), prepared(theirs)
        for run in runs:
            run()
        pair = [(seconds(runs[0]), seconds(runs[1])) for _ in range(5 if quick else 25)]
        ratio = statistics.median(one / other for one, other in pair)
        each = 1e6 * statistics.median(other for _, other in pair) / STEPS
        yield Line(f"{name}", each, "us/step, theirs")
        yield Line(f"{name}", ratio, "x theirs", None if name.startswith(STAGES) else LIMIT)


def memory(quick: bool) -> Iterator[Line]:
    """Ours, which may be no more than theirs."""
    for name, pair in pairs().items():
        ours, theirs = (held(each) for each in pair)
        for when, one, other in zip(
            ("while the network runs", "in a step"), ours, theirs, strict=True
        ):
            yield Line(f"{name}: {when}", one, f"states; {other:.2f} theirs", other + TABLES)


if __name__ == "__main__":
    raise SystemExit(reported("Schedulers of sdeplug", __doc__ or "", times, memory))
