"""Solvers that bring their own grid are refined by their own steps; such of one stochasticity are
judged at that."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import pairwise

import pytest
import torch
from wrong import Claiming

import sdeplug as sp
from sdeplug import VESDE, VPSDE, Claims, Integrator, LogSNR, OnGrid, ReverseSDE, Run, SharedNoise
from sdeplug.compare import Contender, compare
from sdeplug.solvers import own_steps, with_own_steps
from sdeplug.testing import CheckFailed, NotApplicable, check_solver
from sdeplug.testing.contract.one_call import check_claims, check_evaluations
from sdeplug.testing.contract.randomness import check_stochasticity
from sdeplug.testing.contract.values import check_representation
from sdeplug.testing.doors.running import finding_of
from sdeplug.testing.exact import (
    check_constant,
    check_floor,
    check_marginals,
    grid_errors,
    refinements,
)
from sdeplug.testing.law import sampling_cells
from sdeplug.testing.mutants import spoil
from sdeplug.testing.mutants.seen import ScoreTimes
from sdeplug.testing.strong import check_strong_limit, check_strong_order
from sdeplug.testing.weak import check_nonlinear_order
from sdeplug_exponential import DPMpp2M
from sdeplug_ode import AdamsBashforth
from sdeplug_song import Ancestral, AnnealedLangevin, EulerMaruyama, Langevin


@dataclass(frozen=True)
class Own(Integrator):
    """A loop of its own around a solver of single steps; it may forget the steps before."""

    step: Integrator = sp.option(help="the solver of single steps")
    n: int = sp.option(4, help="number of steps", ge=1)
    told: Claims = field(default_factory=Claims)
    forgetful: bool = False

    @property
    def claims(self):
        return self.told

    def integrate(self, reverse, x, t, s, run):
        advance = self.step.begin(reverse, run)
        for late, early in pairwise(LogSNR(self.n).times(t, s, reverse.forward)):
            step = self.step.begin(reverse, run) if self.forgetful else advance
            x = step(x, late, early)
        return x


def own(step, **claimed):
    return Own(step, told=replace(step.claims, evaluations=None, steps="n", **claimed))


TWO_STEP = DPMpp2M()
FLOORED = sp.Corrected(EulerMaruyama(), AnnealedLangevin(snr=0.05))


# Order


def test_a_right_multistep_method_has_its_order_and_no_other():
    finding = check_marginals(own(TWO_STEP))
    assert finding.text.startswith("order 2.0")
    assert {len(curve.steps) for curve in finding.curves} == {3}
    assert all("alternating" not in curve.label for curve in finding.curves)
    with pytest.raises(CheckFailed):
        check_marginals(own(TWO_STEP, order=3))


def test_memory_that_is_lost_within_the_call_is_seen():
    with pytest.raises(CheckFailed):
        check_marginals(replace(own(TWO_STEP), forgetful=True))


def test_put_on_a_grid_it_is_refined_inside_and_not_started_anew_more_often():
    by, grid = own(TWO_STEP), sp.Uniform(2)
    (refined,) = refinements(OnGrid(by, grid), VPSDE())
    assert refined(9) == OnGrid(replace(by, n=9), grid)


def test_a_mistake_around_it_is_seen():
    wrong = spoil(own(TWO_STEP), ScoreTimes(0.99))
    assert own_steps(wrong) == 4
    with pytest.raises(CheckFailed):
        check_marginals(wrong)


def test_the_constant_is_that_of_its_grid():
    with pytest.raises(NotApplicable, match="brings its own grid"):
        check_constant(own(EulerMaruyama(), strong_order=None))


def test_its_order_with_a_nonlinear_score_is_that_of_its_own_steps():
    """Without noise alone: a draw in each of its steps is more than there are nodes for."""
    flow = own(AdamsBashforth(2))
    assert check_nonlinear_order(flow).text.startswith("order 1.9")
    with pytest.raises(CheckFailed, match="3 claimed"):
        check_nonlinear_order(own(AdamsBashforth(2), order=3))
    finding = check_nonlinear_order(own(Ancestral(), strong_order=None))
    assert [curve.label for curve in finding.curves] == [f"{VPSDE()!r} at stochasticity 0"]
    with pytest.raises(NotApplicable, match="in steps of its own"):
        check_nonlinear_order(own(Ancestral(), strong_order=None, level=1.0))


@dataclass(frozen=True)
class OnPath(Integrator):
    """Euler-Maruyama with the increments of one Brownian path, ``wide`` times as large."""

    n: int = sp.option(4, help="number of steps", ge=1)
    wide: float = 1.0
    claims = Claims(order=1, strong_order=1, steps="n")

    def integrate(self, reverse, x, t, s, run):
        path = run.noise.brownian(x, t, s)
        for late, early in pairwise(LogSNR(self.n).times(t, s, reverse.forward)):
            step = reverse.diffusion(late) * path.increment(early, late)
            x = x - (late - early) * reverse.drift(x, late) + self.wide * step
        return x


def test_its_paths_are_refined_by_its_own_steps():
    assert check_strong_order(OnPath()).text.startswith("strong order 1.0")
    check_strong_limit(OnPath())
    with pytest.raises(CheckFailed, match="the exact solution"):
        check_strong_limit(OnPath(wide=1.1))
    with pytest.raises(CheckFailed, match="in steps of its own"):
        check_strong_order(own(EulerMaruyama()))


def test_its_samples_are_those_of_its_own_steps():
    cell = next(sampling_cells(own(Ancestral())))
    assert cell.finer is not None
    start = cell.specimen.target.sample(4, noise=SharedNoise(0), t=cell.t, sde=cell.sde)
    reverse = ReverseSDE(cell.sde, cell.specimen.target.score(cell.sde))
    for each, label in ((cell, cell.label), (cell.finer, cell.finer.label)):
        steps = int(label.split(",")[1].split()[0])
        on_grid = OnGrid(Ancestral(), LogSNR(steps))
        wanted = on_grid.integrate(reverse, start, cell.t, cell.s, Run(SharedNoise(1)))
        assert torch.equal(each.carry(start, Run(SharedNoise(1))), wanted)


# The option


def test_the_option_is_found_in_the_solver_or_in_the_one_inside():
    plain = own(EulerMaruyama(), strong_order=None)
    corrected = sp.Corrected(plain, Langevin())
    assert corrected.claims.steps == "n"
    for by in (plain, OnGrid(plain, sp.Uniform(2)), corrected, OnGrid(corrected, sp.Uniform(2))):
        assert own_steps(by) == 4
        assert own_steps(with_own_steps(by, 7)) == 7
        assert with_own_steps(with_own_steps(by, 7), 4) == by
        assert not by.needs_grid
    assert own_steps(EulerMaruyama()) is None
    with pytest.raises(sp.ArgumentError, match="at least 1"):
        with_own_steps(plain, 0)


@pytest.mark.parametrize("name", ["m", "step", "forgetful"])
def test_what_it_names_must_be_an_option_that_is_a_whole_number(name):
    wrong = Own(TWO_STEP, told=Claims(order=2, steps=name))
    said = f"claims steps='{name}': must name an option that is a whole number. It has n."
    for check in (check_claims, check_marginals):
        with pytest.raises((CheckFailed, sp.PairingError), match=said):
            check(wrong)
    with pytest.raises(sp.PairingError, match="It has none"):
        own_steps(Claiming(TWO_STEP, Claims(steps="n")))


def test_it_is_not_put_on_a_grid():
    sde = VPSDE()
    reverse = ReverseSDE(sde, sp.targets.Gaussian(torch.zeros(2), std=1.0).score(sde))
    by = own(TWO_STEP)
    assert sp.Pipeline(reverse, sp.Leg(sde.eps, by)).legs[0].by is by
    with pytest.raises(sp.ArgumentError, match="brings its own grid"):
        grid_errors(by, sde, 8)


def test_a_comparison_gives_it_as_many_steps_as_the_budget_has():
    target = sp.targets.Gaussian(torch.zeros(2), std=1.0)
    found = compare(
        {"own": Contender(own(TWO_STEP))}, target, VPSDE(), nfe=(5, 9), samples=64, seeds=1
    )
    assert {row.nfe for row in found.rows} == {5, 9}


# One stochasticity


@dataclass(frozen=True)
class OneLevel(Integrator):
    """A step that is right at one stochasticity, and says so or not."""

    right: float
    told: float | None
    refusing: bool = True

    @property
    def claims(self):
        return Claims(order=1, level=self.told, evaluations=1, stochastic=self.right > 0.0)

    def integrate(self, reverse, x, t, s, run):
        if self.refusing and reverse.level(t) != self.right:
            raise sp.ArgumentError("stochasticity", reverse.level(t), f"{self.right}")
        only = ReverseSDE(reverse.forward, reverse.score_model, self.right)
        return EulerMaruyama().integrate(only, x, t, s, run)


@pytest.mark.slow
@pytest.mark.parametrize("level", [0.0, 0.5, pytest.param(1.0, marks=pytest.mark.thorough)])
def test_a_solver_of_one_stochasticity_is_judged_there(level):
    """It refuses all others, which is no failure of any check."""
    report = check_solver(OneLevel(level, level), fast=True)
    assert not report.failures, str(report)
    labels = {c.label for r in report.results if r.name == "check_marginals" for c in r.curves}
    assert {label.split()[-1] for label in labels} == {f"{level:g}"}


@pytest.mark.parametrize(("right", "told"), [(1.0, 0.5), (0.5, 1.0), (1.0, 0.0), (0.5, None)])
def test_another_stochasticity_is_no_claim_to_make(right, told):
    with pytest.raises((CheckFailed, sp.ArgumentError)):
        check_marginals(OneLevel(right, told))


def test_a_level_that_is_only_claimed_keeps_no_other_from_being_right():
    """Claiming too little is no mistake."""
    by = OnGrid(Claiming(EulerMaruyama(), replace(EulerMaruyama().claims, level=0.5)), LogSNR(8))
    assert by.claims.level == 0.5
    assert sp.Corrected(by, Langevin()).claims.level == 0.5


@pytest.mark.thorough
def test_a_floor_is_measured_there():
    check_floor(replace(FLOORED, integrator=OneLevel(0.5, 0.5)))
    with pytest.raises(sp.ArgumentError, match="stochasticity"):
        check_floor(replace(FLOORED, integrator=OneLevel(0.5, None)))


@pytest.mark.parametrize("asked", [0.0, 1.0, lambda t: t])
def test_a_pipeline_at_another_stochasticity_is_refused_before_it_runs(asked):
    by = OneLevel(0.5, 0.5)
    reverse = ReverseSDE(VESDE(), lambda x, t: -x, asked)
    with pytest.raises(sp.ArgumentError, match=r"0\.5, the only one of OneLevel") as caught:
        sp.Pipeline(reverse, sp.Leg(VESDE().eps, by))
    assert caught.value.argument == "stochasticity"
    sp.Pipeline(reverse, sp.Leg(VESDE().eps, by, stochasticity=0.5))


# Without noise


@dataclass(frozen=True)
class NoNoise(Integrator):
    """The reverse SDE without its noise: its drift depends on the stochasticity."""

    claims = Claims(order=1, stochastic=False, evaluations=1)

    def integrate(self, reverse, x, t, s, run):
        return x - (t - s) * reverse.drift(x, t)


def test_what_draws_no_noise_does_the_same_at_every_stochasticity():
    check_stochasticity(TWO_STEP)
    with pytest.raises(CheckFailed, match=r"stochasticity \S+ moved its result .* reverse\.flow"):
        check_stochasticity(NoNoise())


def test_calls_of_the_contract_take_few_of_its_own_steps():
    """The other checks get it as it is."""
    by = replace(own(TWO_STEP), n=200, told=replace(own(TWO_STEP).claims, evaluations=5))
    assert finding_of(check_evaluations, by).text == "5"
    with pytest.raises(CheckFailed, match="made 200"):
        check_evaluations(by)
    assert "n=200" in finding_of(check_representation, by).text
