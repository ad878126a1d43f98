"""Tier 0, the contract: what goes into one call of a solver, and what comes out of it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from sdeplug.errors import PairingError
from sdeplug.noise import NoiseSource, SharedNoise
from sdeplug.reverse import ReverseSDE
from sdeplug.run import Run
from sdeplug.score import Counted
from sdeplug.sde import VPSDE, ForwardSDE
from sdeplug.solvers import Claims, Corrector, Integrator, own_steps
from sdeplug.testing.bench import DiagonalVP, Solver, jumps, span
from sdeplug.testing.claimed import first_level
from sdeplug.testing.contract.calls import Call, calls, explore, working
from sdeplug.testing.findings import CheckFailed, Finding, NotApplicable, demand

_NEXT_TO = 1e-5  # what an implicit method may leave to its iteration

_ROUNDING = 1e-10  # a sum may be taken in another order


def check_claims(solver: Solver) -> Finding:
    """It works with every kind of forward SDE that it claims to."""
    demand(
        isinstance(solver.claims, Claims),
        f"its claims are {solver.claims!r}: must be Claims(...), as a class attribute or property",
    )
    if isinstance(solver, Integrator):
        _demand_steps(solver)
    names = ", ".join(type(sde).__name__ for sde in working(solver))
    needs = solver.claims.needs
    if not issubclass(_Cubic, needs):
        return Finding(f"works with {names}")
    try:
        _moved(solver, _Cubic())
    except PairingError as error:
        demand(False, f"it claims needs={needs.__name__}, and a forward SDE that is not linear "
               f"is refused: {error} Claim needs=LinearSDE")  # fmt: skip
    except AttributeError as error:
        if not isinstance(error.obj, _Cubic):
            raise
        raise CheckFailed(
            f"it claims needs={needs.__name__}, and asks a forward SDE that is not linear for "
            f"{error.name!r}, which only linear ones have: claim needs=LinearSDE"
        ) from error
    found = f"works with {names}, and with what is not linear"
    try:
        together = _moved(solver, DiagonalVP((0.5, 1.0, 2.0)))
    except PairingError:
        return Finding(f"{found}, though not with noise that differs between coordinates")
    if solver.claims.affine:
        gap = float((together - _moved(solver, VPSDE()))[:, 1].abs().max())
        demand(gap <= _NEXT_TO, f"its neighbours with other noise moved a coordinate by {gap:.2g}")
    return Finding(f"{found}, or has noise that differs between coordinates")


def _demand_steps(integrator: Integrator) -> None:
    """What it claims to be refined by is an option of it."""
    try:
        own_steps(integrator)
    except PairingError as error:
        raise CheckFailed(str(error)) from error


def _moved(solver: Solver, sde: ForwardSDE) -> Tensor:
    """What becomes of four rows of three numbers."""
    reverse = ReverseSDE(sde, lambda x, t: -x, first_level(solver))
    (t, s), run = span(solver), Run(SharedNoise(0))
    x = torch.linspace(-1.0, 1.0, 12, dtype=torch.float64, device="cpu").reshape(4, 3)
    with torch.no_grad():
        if isinstance(solver, Corrector):
            return solver.correct(reverse, x, t, run)
        return solver.integrate(reverse, x, t, s, run)


def check_shapes_and_dtypes(solver: Solver) -> Finding:
    """The output has shape, dtype and device of the input, and is finite."""

    def test(call: Call) -> None:
        out = call.apply(solver)
        wanted = (call.shape, call.dtype, torch.device("cpu"))
        demand(isinstance(out, Tensor), f"a tensor became {type(out).__name__}")
        got = (tuple(out.shape), out.dtype, out.device)
        demand(got == wanted, f"x became shape {got[0]}, {got[1]} on {got[2]}")
        demand(bool(out.isfinite().all()), "the output is not finite")

    explore(calls(solver, (torch.float64, torch.float32)), test, examples=24)
    return Finding("shapes of rank 2 to 5, float32 and float64")


def check_device(solver: Solver) -> Finding:
    """On an accelerator it stays there, and gives what it gives on the CPU."""
    if not torch.cuda.is_available():
        raise NotApplicable("this machine has no CUDA device")
    for sde in working(solver):
        call = Call.plain(solver, sde)
        there = call.apply(solver, call.state().to("cuda"))
        demand(there.device.type == "cuda", f"x on cuda became one on {there.device} ({call})")
        here = call.apply(solver)
        gap = float((there.cpu() - here).abs().max())
        demand(gap <= 1e-8, f"it moved by {gap:.2g} from the CPU to CUDA ({call})")
    return Finding(torch.cuda.get_device_name())


def check_memory(solver: Solver) -> Finding:
    """It writes neither to its input nor to what it returned before, and takes its input wherever
    that lies."""

    def test(call: Call) -> None:
        x = call.state()
        before = x.clone()
        first = call.apply(solver, x)
        demand(torch.equal(x, before), "x was written to: use x + y, not x += y")
        demand(
            first is x or first.untyped_storage().data_ptr() != x.untyped_storage().data_ptr(),
            "the output is a view of x: writing to one changes the other; return x or a new tensor",
        )
        kept = first.clone()
        replace(call, seed=call.seed + 1).apply(solver)
        demand(torch.equal(first, kept), "a second call wrote to the output of the first")
        if x.dtype == torch.float64:
            apart = torch.stack((x, x), -1)[..., 0]
            demand(
                torch.allclose(call.apply(solver, apart), first, _ROUNDING, _ROUNDING),
                "the same numbers gave another result where they lie apart in memory: use "
                "reshape(), and no view of its storage",
            )

    return explore(calls(solver), test)


def check_score_times(solver: Solver) -> Finding:
    """The score is asked for only inside the span; by a corrector, only at its time.

    Also in the steps of a ``begin()``: each has a span of its own.
    """

    def test(call: Call) -> None:
        ends = [call.t if isinstance(solver, Corrector) else call.s, call.t]

        def recorded(x: Tensor, t: Tensor) -> Tensor:
            low, high = ends
            outside = [each for each in t.tolist() if not low <= each <= high]
            demand(
                not outside, f"the score was asked for at {outside[:3]}, outside [{low}, {high}]"
            )
            return call.score(x, t)

        call.apply(solver, score=recorded)
        if isinstance(solver, Integrator) and not jumps(solver):
            x, advance = call.state(), solver.begin(call.reverse(recorded), call.run())
            middle = 0.5 * (call.t + call.s)
            for t, s in ((call.t, middle), (middle, call.s)):
                ends[:] = s, t
                x = advance(x, t, s)

    return explore(calls(solver), test, examples=24)


def check_score_inputs(solver: Solver) -> Finding:
    """The score gets finite rows like those of x, each with a time in float32 at least.

    It gets all of them, or, from a solver whose rows arrive one by one, those on their way.
    """

    def test(call: Call) -> None:
        x0 = call.state()
        wide = torch.float64 if call.dtype == torch.float64 else torch.float32

        def inspected(x: Tensor, t: Tensor) -> Tensor:
            demand(
                0 < len(x) <= len(x0) and x.shape[1:] == x0.shape[1:] and x.dtype == x0.dtype,
                f"the score got x of shape {tuple(x.shape)}, {x.dtype}",
            )
            demand(bool(x.isfinite().all()), "the score got an x that is not finite")
            demand(
                t.shape == x.shape[:1] and t.dtype == wide,
                f"the score got t of shape {tuple(t.shape)}, {t.dtype}: must be one {wide} for "
                "each row; ask reverse.score(x, t), which makes it",
            )
            return call.score(x, t)

        call.apply(solver, x0, score=inspected)

    return explore(calls(solver, (torch.float64, torch.float32)), test)


def check_evaluations(solver: Solver) -> Finding:
    """It costs as many score evaluations as it claims, over every span."""
    claimed = solver.claims.evaluations
    if claimed is None:
        raise NotApplicable("it claims no fixed number")

    def test(call: Call) -> None:
        counted = Counted(call.score)
        call.apply(solver, score=counted)
        demand(counted.nfe == claimed, f"it claims evaluations={claimed} and made {counted.nfe}")

    explore(calls(solver), test)
    return Finding(f"{claimed}")


def check_affine(solver: Solver) -> Finding:
    """With an affine score it is affine in (x, noise), as claimed."""
    if not solver.claims.affine:
        raise NotApplicable("it does not claim to be affine")

    def test(call: Call) -> None:
        x = replace(call, shape=(4, *call.shape[1:])).state()
        x[2], x[3] = x[0] + x[1], 0.0
        precision = 1.0 / float(x[:2].square().mean())
        y = call.apply(solver, x, Run(_Superposed()), lambda x, t: (0.3 - x) * precision)
        gap = float((y[0] + y[1] - y[2] - y[3]).abs().max() / y.abs().max().clamp(min=1.0))
        demand(gap <= 1e-9, f"superposition fails by {gap:.2g} of its size: claim affine=False")

    return explore(calls(solver), test)


class _Superposed(NoiseSource):
    """Rows with noise z0, z1, z0 + z1, 0."""

    def __init__(self) -> None:
        self.source = SharedNoise(2)

    def normal(self, like: Tensor) -> Tensor:
        noise = self.source.normal(like)
        noise[2], noise[3] = noise[0] + noise[1], 0.0
        return noise


@dataclass(frozen=True)
class _Cubic(ForwardSDE):
    """A forward SDE that is not linear: dx = -x^3 dt + dw."""

    def drift(self, x: Tensor, t: Tensor) -> Tensor:
        return -(x**3)

    def diffusion(self, t: Tensor) -> Tensor:
        return torch.ones_like(t)

    def prior(self, shape, noise, dtype=torch.float32, device="cpu"):  # type: ignore[no-untyped-def]
        return noise.normal(torch.empty(tuple(shape), dtype=dtype, device=device))

    def prior_log_prob(self, x: Tensor) -> Tensor:
        return -0.5 * x.flatten(1).square().sum(1)


CHECKS = (
    check_claims,
    check_shapes_and_dtypes,
    check_device,
    check_memory,
    check_score_times,
    check_score_inputs,
    check_evaluations,
    check_affine,
)
"""The checks of this module."""
