"""Tier 0, the contract: noise comes from ``run.noise``, and rows do not meddle with each other."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sdeplug.noise import NoiseSource, PerSampleNoise, SharedNoise
from sdeplug.run import Run
from sdeplug.solvers import FlowIntegrator, Integrator
from sdeplug.testing.bench import Solver
from sdeplug.testing.contract.calls import Call, calls, explore, stochasticities, working
from sdeplug.testing.findings import Finding, NotApplicable, demand

_ROUNDING = 1e-10  # a sum over rows may be taken in another order


def check_randomness(solver: Solver) -> Finding:
    """Noise comes from ``run.noise`` alone: the same noise gives the same result, bit by bit."""

    def test(call: Call) -> None:
        with _global_generators(1) as touched:
            first = call.apply(solver)
            demand(
                not touched(),
                "a global generator was used (torch, NumPy or random): take noise from "
                "run.noise.normal(x)",
            )
        replace(call, seed=call.seed + 1).apply(solver)  # what is kept of it is not to be seen
        with _global_generators(2):
            again = call.apply(solver)
        demand(
            torch.equal(first, again),
            "the same noise gave another result: nothing but run.noise may be random, and a "
            "solver keeps no state",
        )

    return explore(calls(solver), test)


def check_stochastic_claim(solver: Solver) -> Finding:
    """It draws noise if it claims to, and not otherwise."""
    claimed = solver.claims.stochastic
    for sde in working(solver):
        counted = _Counting(0)
        call = Call.plain(solver, sde)
        call.apply(solver, run=Run(counted))
        demand(
            (counted.draws > 0) == claimed,
            f"it claims stochastic={claimed}, and drew noise {counted.draws} times ({call})",
        )
    return Finding("stochastic" if claimed else "deterministic")


def check_stochasticity(solver: Solver) -> Finding:
    """At stochasticity 0 an integrator draws no noise, unless it says that it is randomised.

    One that never draws any follows the probability flow whatever the stochasticity.
    """
    if not isinstance(solver, Integrator):
        raise NotApplicable("it is a corrector")
    if solver.claims.randomised:
        calls(solver, level=0.0)  # says so where it refuses the level
        counted = _Counting(0)
        call = replace(Call.plain(solver, working(solver)[0]), level=0.0)
        call.apply(solver, run=Run(counted))
        demand(
            counted.draws > 0,
            "it claims randomised=True, and draws nothing at stochasticity 0: leave the claim out "
            f"({call})",
        )
        return Finding("it draws at stochasticity 0, as it claims")
    if solver.claims.floor is not None:
        raise NotApplicable("it declares a bias: a corrector may be at work in it")

    silent = not solver.claims.stochastic and not isinstance(solver, FlowIntegrator)
    others = [each for each in stochasticities(solver) if each > 0.0] if silent else []

    def test(call: Call) -> None:
        first = call.apply(solver, run=Run(SharedNoise(0)))
        other = call.apply(solver, run=Run(SharedNoise(1)))
        demand(
            torch.equal(first, other),
            "it draws noise at stochasticity 0: scale its noise with reverse.level(t), or take "
            "reverse.diffusion(t), which does; if it draws a time, or whether to accept, claim "
            "randomised=True",
        )
        for level in others:
            gap = _gap(first, replace(call, level=level).apply(solver))
            demand(
                gap <= _ROUNDING,
                f"it draws no noise, and stochasticity {level:g} moved its result by {gap:.2g} of "
                "its size: what keeps the marginals without noise is reverse.flow(x, t)",
            )

    return explore(calls(solver, level=0.0), test)


def check_batch_independence(solver: Solver) -> Finding:
    """A row does not depend on its neighbours."""
    if solver.claims.couples_batch:
        raise NotApplicable("it declares couples_batch")

    def test(call: Call) -> None:
        x = call.state()
        whole = call.apply(solver, x)
        alone = call.apply(solver, x[:1], Run(PerSampleNoise(call.seed, (0,))))
        gap = _gap(whole[:1], alone)
        demand(
            gap <= _ROUNDING,
            f"row 0 moved by {gap:.2g} of its size when its neighbours left: reduce over the "
            "dimensions of a row only, or claim couples_batch=True",
        )

    return explore(calls(solver), test)


def check_permutation(solver: Solver) -> Finding:
    """Rows in another order, with their noise, give the same rows in that order."""

    def test(call: Call) -> None:
        x, rows = call.state(), call.shape[0]
        order = list(reversed(range(rows)))
        forth = call.apply(solver, x)
        back = call.apply(solver, x[order], Run(PerSampleNoise(call.seed, order)))
        gap = _gap(forth[order], back)
        demand(gap <= _ROUNDING, f"a row moved by {gap:.2g} of its size when the order changed")

    return explore(calls(solver), test)


def _gap(one: Tensor, other: Tensor) -> float:
    """Largest difference, in units of the largest number."""
    return float((one - other).abs().max() / one.abs().max().clamp(min=1e-30))


class _Counting(NoiseSource):
    """A source that counts how often it is asked."""

    def __init__(self, seed: int) -> None:
        self.source, self.draws = SharedNoise(seed), 0

    def normal(self, like: Tensor) -> Tensor:
        self.draws += 1
        return self.source.normal(like)


@contextmanager
def _global_generators(seed: int) -> Iterator[Callable[[], bool]]:
    """Seed the global generators for a while; what is yielded tells whether one was used since."""
    before = _states()
    torch.default_generator.manual_seed(seed)
    np.random.seed(seed)
    random.seed(seed)
    seeded = _fingerprint()
    try:
        yield lambda: _fingerprint() != seeded
    finally:
        torch.random.set_rng_state(before[0])
        np.random.set_state(before[1])
        random.setstate(before[2])


def _states() -> tuple[Tensor, Any, Any]:
    return torch.random.get_rng_state(), np.random.get_state(), random.getstate()


def _fingerprint() -> tuple[bytes, str, int]:
    ours, numpys, pythons = _states()
    return ours.numpy().tobytes(), str((numpys[1].tobytes(), numpys[2:])), hash(pythons)


CHECKS = (
    check_randomness,
    check_stochastic_claim,
    check_stochasticity,
    check_batch_independence,
    check_permutation,
)
"""The checks of this module."""
