"""What the torchdiffeq leg costs over `odeint` called by hand. One thread, CPU.

Both solve the same probability flow with the same method, tolerances, first step, norm and final
step time, and make the same evaluations; the score is nearly free. By hand the velocity is that of
`ReverseSDE`; for comparison there is also one written out for this SDE and this score, with times
as tensors. Memory is measured too.

python benchmarks/torchdiffeq_overhead.py [--quick] [--json FILE]
"""

from __future__ import annotations

import gc
import statistics
import sys
import time
from collections.abc import Callable, Iterator

import torch
from lines import Line, reported
from torch import Tensor
from torchdiffeq import odeint

from sdeplug import VPSDE, FlowIntegrator, ReverseSDE, Run, SharedNoise
from sdeplug_torchdiffeq import Bosh3, Dopri5, Dopri8, FixedEuler, FixedRK4
from sdeplug_torchdiffeq.norms import worst_row

SDE = VPSDE()
TOLERANCE, FIRST, LIMIT, STEPS = 1e-5, 0.01, 1.1, 100
SHAPES = ((64, 2), (16, 3, 32, 32))
Loop = Callable[[Tensor], Tensor]
Velocity = Callable[[Tensor, Tensor], Tensor]


class Score:
    """Of the normal distribution with variance 4 (which makes a few dozen steps), counted."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, x: Tensor, t: Tensor) -> Tensor:
        self.calls += 1
        return -0.25 * x


def written_out(score: Score) -> Velocity:
    """The velocity of the flow as one writes it for this SDE alone."""

    def velocity(t: Tensor, x: Tensor) -> Tensor:
        beta = SDE.beta_min + t * (SDE.beta_max - SDE.beta_min)
        return -0.5 * beta * (x + score(x, t.expand(len(x))))

    return velocity


def of_reverse(score: Score) -> Velocity:
    """That of `ReverseSDE`, at times that rounding cannot move past the span."""
    reverse = ReverseSDE(SDE, score)
    return lambda t, x: reverse.flow(x, min(max(float(t), SDE.eps), SDE.T))


def by_hand(method: str, velocity: Velocity, adaptive: bool) -> Loop:
    """As one writes it without a library, with all that makes torchdiffeq safe."""
    times = torch.tensor([SDE.T, SDE.eps], dtype=torch.float64)
    grid = torch.linspace(SDE.T, SDE.eps, STEPS + 1, dtype=torch.float64)
    options: dict[str, object] = {"grid_constructor": lambda f, y, t: grid}
    if adaptive:
        options = {"first_step": FIRST * (SDE.T - SDE.eps), "step_t": times[1:], "norm": worst_row}

    @torch.no_grad()
    def loop(x: Tensor) -> Tensor:
        return odeint(
            velocity, x, times, rtol=TOLERANCE, atol=TOLERANCE, method=method, options=options
        )[-1]

    return loop


def ours(solver: FlowIntegrator, score: Score) -> Loop:
    """The same through the library."""

    @torch.no_grad()
    def loop(x: Tensor) -> Tensor:
        return solver.integrate(ReverseSDE(SDE, score), x, SDE.T, SDE.eps, Run(SharedNoise(0)))

    return loop


def overheads(quick: bool) -> Iterator[Line]:
    """Time over that by hand: the median over pairs of neighbouring runs."""
    solvers: list[tuple[str, FlowIntegrator]] = [
        ("dopri5", Dopri5(TOLERANCE, TOLERANCE)),
        ("dopri8", Dopri8(TOLERANCE, TOLERANCE)),
        ("bosh3", Bosh3(TOLERANCE, TOLERANCE)),
        ("rk4", FixedRK4(STEPS)),
        ("euler", FixedEuler(STEPS)),
    ]
    for shape in SHAPES:
        x = torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
        for method, solver in solvers:
            score, adaptive = Score(), not isinstance(solver, (FixedRK4, FixedEuler))
            loops = {
                "by hand": by_hand(method, of_reverse(score), adaptive),
                "ours": ours(solver, score),
                "written out": by_hand(method, written_out(score), adaptive),
            }
            calls = {name: evaluations(loop, x, score) for name, loop in loops.items()}
            assert calls["ours"] == calls["by hand"], calls
            torch.testing.assert_close(loops["ours"](x), loops["by hand"](x), rtol=1e-5, atol=1e-5)
            took: dict[str, list[float]] = {name: [] for name in loops}
            for repetition in range(15 if quick else 41):
                # Alternating order, so that what comes first has no advantage.
                for name in list(loops)[:: 1 if repetition % 2 else -1]:
                    took[name].append(seconds(loops[name], x) / calls[name])
            title = f"{method}, {shape}, {calls['ours']} evaluations"
            by = statistics.median(took["by hand"])
            yield Line(f"by hand: {title}", 1e6 * by, "us/evaluation")
            yield Line("  ours", ratio(took["ours"], took["by hand"]), "x by hand", LIMIT)
            yield Line("  ours", ratio(took["ours"], took["written out"]), "x written out")


def evaluations(loop: Loop, x: Tensor, score: Score) -> int:
    """Evaluations of the score in one run."""
    before = score.calls
    loop(x)
    return score.calls - before


def ratio(some: list[float], others: list[float]) -> float:
    """The median over pairs of neighbouring runs."""
    return statistics.median(one / other for one, other in zip(some, others, strict=True))


def seconds(loop: Loop, x: Tensor) -> float:
    """Processor time, which on a machine with other work is steadier than wall time."""
    start = time.process_time()
    loop(x)
    return time.process_time() - start


def memory(quick: bool) -> Iterator[Line]:
    """What is alive, at most, in many steps over that in a few, in states of the batch.

    The peak of the process says less: it is that of the allocator, whose heap becomes patchy with
    time, by 0 to 30 per cent as it is set.
    """
    few, many = (states_alive(tolerance) for tolerance in (1e-2, 1e-8))
    yield Line("memory at tolerance 1e-2", few, "states")
    yield Line("memory at 1e-8, with ten times the steps", many / few, "x", 1.0)


def states_alive(tolerance: float) -> float:
    """The most that is alive when the score is asked for."""
    score = Weighing()
    x = torch.randn((100_000, 2), generator=torch.Generator().manual_seed(1))
    ours(Dopri5(tolerance, tolerance), score)(x)
    return score.most / x.untyped_storage().nbytes()


class Weighing(Score):
    """A score that looks what is alive, in bytes, each time that it is asked."""

    most = 0

    def __call__(self, x: Tensor, t: Tensor) -> Tensor:
        held = {
            each.untyped_storage().data_ptr(): each.untyped_storage().nbytes()
            for each in gc.get_objects()
            if type(each) is Tensor
        }
        self.most = max(self.most, sum(held.values()))
        return super().__call__(x, t)


if __name__ == "__main__":
    sys.exit(reported("torchdiffeq through sdeplug", __doc__, overheads, memory))
