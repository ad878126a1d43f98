"""Parts of a run: numbers that two of them have in common are seen, in solvers and pipelines."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

import sdeplug as sp
from sdeplug import Corrected, Denoise, Leg, LogSNR, OnGrid, Pipeline
from sdeplug.noise import SharedNoise
from sdeplug.testing import CheckFailed, Outcome, Verdict, check_pipeline
from sdeplug.testing.exact.parts import check_parts
from sdeplug.testing.mutants import RIGHT, spoil
from sdeplug.testing.mutants.again import Kept, NextSeed, OwnStream, StartsAnew
from sdeplug.testing.mutants.right import EulerMaruyama, Langevin, RowLangevin

SDE = sp.VPSDE()
REVERSE = sp.ReverseSDE(SDE, lambda x, t: -x)


def legs(*by):
    times = (0.5, SDE.eps, 0.0)
    return Pipeline(REVERSE, tuple(Leg(to, each) for to, each in zip(times, by, strict=False)))


def on_grid(solver):
    return OnGrid(solver, LogSNR(2))


@pytest.mark.parametrize("solver", RIGHT, ids=repr)
def test_right_solvers_pass(solver):
    check_parts(solver)


@pytest.mark.parametrize("solver", [EulerMaruyama(), Langevin(), RowLangevin()], ids=repr)
@pytest.mark.parametrize(
    ("defect", "seen"),
    [
        (StartsAnew(), "the start|predictor"),
        (OwnStream(), "leg 0 and .* leg 1"),
        (NextSeed(), "leg 0 and .* leg 1"),
        (Kept(), "kept and used again"),
    ],
)
def test_numbers_that_are_used_again_are_seen(solver, defect, seen):
    with pytest.raises(CheckFailed, match=seen):
        check_parts(spoil(solver, defect))


def test_a_pipeline_whose_parts_have_noise_of_their_own_passes():
    corrected = on_grid(Corrected(EulerMaruyama(), Langevin()))
    report = check_pipeline(legs(corrected, on_grid(EulerMaruyama()), Denoise()), (2, 3, 4, 4))
    assert report.verdict is Verdict.PASSED, str(report)


def test_one_leg_keeps_nothing_for_another():
    report = check_pipeline(legs(on_grid(EulerMaruyama())), (2, 3))
    assert [each.outcome for each in report.results][2] is Outcome.NOT_APPLICABLE


@dataclass(frozen=True)
class SameSeed(Corrected):
    """A corrector with the seed of the predictor."""

    def begin(self, reverse, run):
        ours = replace(run, noise=SharedNoise(7))
        advance = self.integrator.begin(reverse, replace(run, noise=SharedNoise(7)))
        return lambda x, t, s: self.corrector.correct(reverse, advance(x, t, s), s, ours)


@pytest.mark.parametrize(
    ("pipeline", "failing", "seen"),
    [
        (
            legs(on_grid(spoil(EulerMaruyama(), StartsAnew()))),
            "check_noise_of_parts",
            "the start and leg 0",
        ),
        (
            legs(*[on_grid(spoil(EulerMaruyama(), OwnStream()))] * 2),
            "check_noise_of_parts",
            "leg 0 and leg 1",
        ),
        (
            legs(on_grid(SameSeed(EulerMaruyama(), Langevin()))),
            "check_noise_of_parts",
            "the predictor of leg 0 and the corrector of leg 0",
        ),
        (
            legs(*[on_grid(spoil(EulerMaruyama(), Kept()))] * 2),
            "check_noise_of_legs_before",
            "leg 1 comes out otherwise",
        ),
    ],
)
def test_a_pipeline_with_numbers_in_common_fails(pipeline, failing, seen):
    report = check_pipeline(pipeline, (2, 5))
    reasons = {each.name: each.reason for each in report.failures}
    assert report.verdict is Verdict.FAILED
    assert seen in reasons[failing]


def test_a_seed_of_its_own_is_seen_where_a_state_was_drawn_with_it():

    @dataclass(frozen=True)
    class Zero(EulerMaruyama):
        def begin(self, reverse, run):
            return super().begin(reverse, replace(run, noise=SharedNoise(0)))

    report = check_pipeline(legs(on_grid(Zero())), (2, 5), seed=0)
    assert "check_noise_from_a_given_state" in {each.name for each in report.failures}


def test_only_pipelines_are_pipelines():
    with pytest.raises(sp.PairingError, match="check_solver"):
        check_pipeline(EulerMaruyama(), (2, 3))
