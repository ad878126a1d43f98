"""Tier 0, the contract: what every solver does, whatever its mathematics."""

from __future__ import annotations

import pickle
from dataclasses import fields, is_dataclass, replace

import torch
from torch import Tensor

from sdeplug.noise import NoiseSource, SharedNoise
from sdeplug.reverse import ReverseSDE
from sdeplug.run import Run
from sdeplug.score import Counted
from sdeplug.solver import Corrector
from sdeplug.testing.bench import Solver, apply, rows, sdes, smooth, span, state
from sdeplug.testing.report import Finding, NotApplicable, demand


def check_value(solver: Solver) -> Finding:
    """It is a value: a frozen dataclass that can be hashed, compared, copied and pickled."""
    demand(is_dataclass(solver), "it is not a dataclass: write @dataclass(frozen=True) above it")
    copies = (replace(solver), pickle.loads(pickle.dumps(solver)))  # type: ignore[type-var]
    for copy in copies:
        demand(copy == solver and hash(copy) == hash(solver), f"its copy {copy!r} differs from it")
    for each in fields(solver):  # type: ignore[arg-type]
        try:
            setattr(solver, each.name, getattr(solver, each.name))
        except AttributeError:
            continue
        demand(False, f"its field {each.name} can be changed: write @dataclass(frozen=True)")
    return Finding(f"{len(fields(solver))} options")  # type: ignore[arg-type]


def check_shapes_and_dtypes(solver: Solver) -> Finding:
    """The output has shape and dtype of the input, whatever they are."""
    shapes, dtypes = ((3, 2), (1, 5), (2, 1, 4, 4)), (torch.float32, torch.float64)
    for sde in sdes(solver):
        for shape in shapes:
            for dtype in dtypes:
                out = apply(solver, state(*shape, dtype=dtype), rows(shape[0]), sde)
                wanted, got = (shape, dtype), (tuple(out.shape), out.dtype)
                demand(got == wanted, f"{wanted} became {got} on {sde!r}")
                demand(bool(out.isfinite().all()), f"output not finite on {sde!r}")
    return Finding(f"{len(shapes)} shapes, {len(dtypes)} dtypes")


def check_input_untouched(solver: Solver) -> Finding:
    """It does not write to its input."""
    for sde in sdes(solver):
        x = state(4, 3)
        before = x.clone()
        apply(solver, x, rows(4), sde)
        demand(torch.equal(x, before), f"x was written to, on {sde!r}")
    return Finding()


def check_randomness(solver: Solver) -> Finding:
    """Noise comes from ``run.noise`` alone, and as much of it as is claimed."""
    sde = sdes(solver)[0]
    before = torch.random.get_rng_state()
    first, again, other = (
        apply(solver, state(4, 3), Run(SharedNoise(seed)), sde) for seed in (0, 0, 1)
    )
    demand(
        torch.equal(torch.random.get_rng_state(), before),
        "torch's global generator was used: take noise from run.noise.normal(x)",
    )
    demand(torch.equal(first, again), "the same seed gave another result")
    stochastic = solver.claims.stochastic
    demand(
        torch.equal(first, other) != stochastic,
        f"it claims stochastic={stochastic}, but another seed gave "
        + ("the same result" if stochastic else "another result"),
    )
    return Finding("stochastic" if stochastic else "deterministic")


def check_stochasticity(solver: Solver) -> Finding:
    """At stochasticity 0 an integrator draws no noise: it follows the probability flow."""
    if isinstance(solver, Corrector):
        raise NotApplicable("it is a corrector")
    if solver.claims.floor is not None:
        raise NotApplicable("it declares a bias: a corrector may be at work in it")
    sde = sdes(solver)[0]
    reverse, (t, s) = ReverseSDE(sde, smooth, 0.0), span(solver)
    with torch.no_grad():
        first, other = (
            solver.integrate(reverse, state(4, 3), t, s, Run(SharedNoise(seed))) for seed in (0, 1)
        )
    demand(
        torch.equal(first, other),
        "it draws noise at stochasticity 0: scale its noise with reverse.level(t), or take "
        "reverse.diffusion(t), which does",
    )
    return Finding()


def check_batch_independence(solver: Solver) -> Finding:
    """A row does not depend on its neighbours."""
    if solver.claims.couples_batch:
        raise NotApplicable("it declares couples_batch")
    for sde in sdes(solver):
        whole = apply(solver, state(5, 3), rows(5), sde)
        alone = apply(solver, state(5, 3)[:1], rows(1), sde)
        gap = float((whole[:1] - alone).abs().max())
        demand(gap <= 1e-10, f"row 0 moved by {gap:.2g} when its neighbours left, on {sde!r}")
    return Finding()


def check_score_times(solver: Solver) -> Finding:
    """The score is asked for only inside the span; by a corrector, only at its time."""
    t, s = span(solver)
    for sde in sdes(solver):
        times: list[float] = []

        def recorded(x: Tensor, t: Tensor, times: list[float] = times) -> Tensor:
            times.extend(t.tolist())
            return smooth(x, t)

        apply(solver, state(2, 3), rows(2), sde, recorded)
        outside = [time for time in times if not s <= time <= t]
        demand(not outside, f"the score was asked for at {outside[:3]}, outside [{s}, {t}]")
    return Finding()


def check_evaluations(solver: Solver) -> Finding:
    """It costs as many score evaluations as it claims."""
    claimed = solver.claims.evaluations
    if claimed is None:
        raise NotApplicable("it claims no fixed number")
    for sde in sdes(solver):
        counted = Counted(smooth)
        apply(solver, state(2, 3), rows(2), sde, counted)
        demand(counted.nfe == claimed, f"it claims {claimed} and made {counted.nfe} on {sde!r}")
    return Finding(f"{claimed}")


def check_affine(solver: Solver) -> Finding:
    """With an affine score it is affine in (x, noise), as claimed."""
    if not solver.claims.affine:
        raise NotApplicable("it does not claim to be affine")
    for sde in sdes(solver):
        x = torch.cat((state(2, 3), torch.zeros(2, 3, dtype=torch.float64)))
        x[2] = x[0] + x[1]
        y = apply(solver, x, Run(_Superposed()), sde, lambda x, t: 0.3 - x)
        gap = float((y[0] + y[1] - y[2] - y[3]).abs().max())
        demand(gap <= 1e-10, f"superposition fails by {gap:.2g} on {sde!r}: claim affine=False")
    return Finding()


class _Superposed(NoiseSource):
    """Rows with noise z0, z1, z0 + z1, 0."""

    def __init__(self) -> None:
        self.source = SharedNoise(2)

    def normal(self, like: Tensor) -> Tensor:
        noise = self.source.normal(like)
        noise[2], noise[3] = noise[0] + noise[1], 0.0
        return noise


CHECKS = (
    check_value,
    check_shapes_and_dtypes,
    check_input_untouched,
    check_randomness,
    check_stochasticity,
    check_batch_independence,
    check_score_times,
    check_evaluations,
    check_affine,
)
"""The checks of this tier, cheap ones first."""
