"""Tier 0 of the harness: right solvers pass, and what does not apply says so."""

from __future__ import annotations

import math
import random
from types import ModuleType

import numpy as np
import pytest
import torch
from testing.contract.mistakes import BY_NAME, Doubling, Right, WithFunction, wrong

import sdeplug as sp
from sdeplug import Claims, LinearSDE
from sdeplug.testing import CHECKS, CheckFailed, NotApplicable
from sdeplug.testing.doors import CONTRACT

EM = sp.solver("song/euler-maruyama")
LANGEVIN = sp.solver("song/langevin")


def outcome(check, solver) -> str:
    try:
        check(solver)
    except NotApplicable as reason:
        return f"not applicable: {reason}"
    return "passed"


def outcomes(solver) -> dict[str, str]:
    return {check.__name__: outcome(check, solver) for check in CONTRACT}


RIGHT = [
    Right(),
    EM,
    sp.solver("song/reverse-diffusion"),
    sp.solver("song/ancestral"),
    sp.solver("song/ancestral", large_variance=True),
    sp.solver("song/hold"),
    LANGEVIN,
    sp.solver("song/langevin", batch_mean=True),
    sp.solver("song/annealed-langevin"),
    sp.solver("ode/euler"),
    sp.solver("ode/heun"),
    sp.solver("ode/rk4"),
    sp.solver("ode/adams-bashforth", order=4),
    sp.Corrected(EM, LANGEVIN),
    sp.Corrected(sp.solver("ode/adams-bashforth"), LANGEVIN, before=True),
    sp.OnGrid(sp.solver("ode/heun"), sp.At((0.5, 0.3))),
    sp.OnGrid(sp.Corrected(EM, LANGEVIN), sp.Uniform(2), noiseless_last=True),
    sp.Denoise(),
    sp.OnGrid(sp.Denoise(), sp.Uniform(1)),
    sp.solver("song/euler-maruyama", reference_steps=1000),
    sp.solver("song/ancestral", reference_steps=1000),
    pytest.param(sp.OnGrid(EM, sp.LogSNR(4)), marks=pytest.mark.slow),
]


@pytest.mark.parametrize("solver", RIGHT, ids=lambda solver: repr(solver)[:60])
@pytest.mark.thorough
def test_a_right_solver_passes_every_check(solver):
    found = outcomes(solver)
    assert found["check_randomness"] == "passed"
    assert all(len(said) > len("not applicable: ") or said == "passed" for said in found.values())


def test_what_does_not_apply_says_so():
    applies = {name for name, said in outcomes(LANGEVIN).items() if said == "passed"}
    steps = {"check_first_step", "check_split", "check_interleaved", "check_short_span"}
    assert not applies & (steps | {"check_directions", "check_affine", "check_stochasticity"})
    assert {"check_options", "check_spec", "check_evaluations", "check_gradient"} <= applies


@pytest.mark.parametrize(("name", "says"), [("check_spec", "no plugin"), ("check_options", "no o")])
def test_what_cannot_be_checked_gives_the_reason(name, says):
    with pytest.raises(NotApplicable, match=says):
        BY_NAME[name](Right())


def test_an_option_that_is_a_function_has_no_plain_form(registered):
    registered(WithFunction)
    with pytest.raises(NotApplicable, match="plain form"):
        BY_NAME["check_spec"](WithFunction(math.cos))


def test_a_spec_that_comes_back_different_fails(registered):
    registered(Doubling)
    with pytest.raises(CheckFailed, match="came back as"):
        BY_NAME["check_spec"](Doubling(3.0))


@pytest.fixture
def registered(monkeypatch):
    from sdeplug.registry import Registry, spec

    def offer(cls: type) -> None:
        module = ModuleType("mine")
        module.sdeplug_solvers = sp.hookimpl(lambda: {"mine": cls})  # type: ignore[attr-defined]
        module.sdeplug_solvers.__name__ = "sdeplug_solvers"
        mine = Registry()
        mine.register(module, "mine")
        monkeypatch.setattr(spec, "registry", lambda: mine)

    return offer


def test_a_solver_for_an_sde_of_its_own_is_told_that_nothing_applies():
    class Special(LinearSDE):
        pass

    solver = wrong(lambda f, r, x, *_: f(x), claims=Claims(needs=Special))
    with pytest.raises(NotApplicable, match="none of VPSDE"):
        BY_NAME["check_memory"](solver)


def test_a_failure_names_the_simplest_call():
    solver = wrong(lambda f, r, x, *_: f(x) + (1e-3 if x[0].numel() > 2 else 0.0) * x.mean())
    with pytest.raises(CheckFailed, match=r"x of shape \(2, \d") as failure:
        BY_NAME["check_batch_independence"](solver)
    assert "seed=0" in str(failure.value)


def test_an_error_inside_a_solver_is_the_cause_of_the_failure():
    with pytest.raises(CheckFailed, match="RuntimeError: oh dear") as failure:
        BY_NAME["check_memory"](wrong(_raises))
    assert isinstance(failure.value.__cause__, RuntimeError)


def _raises(right, reverse, x, t, s, run):
    raise RuntimeError("oh dear")


def test_the_checks_leave_the_global_generators_as_they_were():
    before = torch.random.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()
    for name in ("check_randomness", "check_memory"):
        BY_NAME[name](EM)
    assert torch.equal(torch.random.get_rng_state(), before[0])
    assert np.array_equal(np.random.get_state()[1], before[1])
    assert random.getstate() == before[2]


def test_names_of_checks_are_unique_and_every_check_says_what_it_checks():
    assert len({check.__name__ for check in CHECKS}) == len(CHECKS)
    assert all(check.__name__.startswith("check_") and check.__doc__ for check in CHECKS)
