"""Rows end where the probability flow takes them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pytest
import torch

from sdeplug import VESDE, VPSDE, Denoise, LogSNR, OnGrid
from sdeplug.testing import NotApplicable, Unproven
from sdeplug.testing.law import check_flow, specimens
from sdeplug.testing.law.cells import wide
from sdeplug.testing.law.flow import LIMIT, _flow, off_the_flow
from sdeplug.testing.mutants import spoil
from sdeplug.testing.mutants.acts import StopsEarly
from sdeplug.testing.mutants.right import AdamsBashforth
from sdeplug.testing.mutants.right_kinds import AdaptiveHeun, OneLevel
from sdeplug.testing.mutants.seen import ScoreTimes, Smoothed
from sdeplug.testing.mutants.unsaid import Curved
from sdeplug_adaptive import RowDopri5
from sdeplug_ode import RK4, Euler, Heun
from sdeplug_song import EulerMaruyama, Hold, Langevin

SDE = VPSDE()


@pytest.mark.parametrize("sde", [VPSDE(), VESDE()], ids=["vp", "ve"])
def test_the_flow_of_a_gaussian_is_known_in_closed_form(sde):
    target = wide().target
    flow = _flow(wide(), sde)
    late, early = sde.at(sde.T), sde.at(sde.eps)
    variances = torch.diagonal(target.covariance)
    spread = [(each.alpha**2 * variances + each.sigma**2).sqrt() for each in (late, early)]
    white = (flow.start - late.alpha * target.mean) / spread[0]
    torch.testing.assert_close(flow.white, white, rtol=0.0, atol=2e-5)


@pytest.mark.parametrize("number", [0, 1, 3])
def test_the_flow_itself_is_known_well_enough(number):
    before, last = off_the_flow(RK4(), specimens()[number], SDE, 0.0)
    assert (before, last < 1e-4) == (math.inf, True)


@pytest.mark.parametrize(
    "solver",
    [
        Heun(),
        AdamsBashforth(),
        RowDopri5(),
        pytest.param(Euler(), marks=pytest.mark.thorough),
        pytest.param(AdaptiveHeun(tolerance=1e-4), marks=pytest.mark.thorough),
    ],
    ids=lambda by: type(by).__name__,
)
def test_right_solvers_are_on_it(solver):
    assert "settings" in check_flow(solver).text


def test_what_draws_noise_is_asked_without_it():
    assert "in 6 settings" in check_flow(EulerMaruyama()).text


@pytest.mark.parametrize(
    "wrong",
    [
        spoil(Heun(), ScoreTimes(1.01)),
        spoil(AdamsBashforth(), Curved(0.05)),
        spoil(RowDopri5(), ScoreTimes(1.002)),
        spoil(AdaptiveHeun(tolerance=1e-3), ScoreTimes(0.99)),
        spoil(Heun(), Smoothed()),
        spoil(Heun(), StopsEarly()),
    ],
    ids=["score", "curved", "rows", "tolerance", "smoothed", "early"],
)
def test_wrong_solvers_are_beside_it_however_short_their_steps(wrong):
    with pytest.raises(Unproven, match="no nearer with shorter steps"):
        check_flow(wrong)


@dataclass(frozen=True)
class Lost(Heun):
    """Some rows come out as no numbers, or somewhere else."""

    to: float = math.inf

    def integrate(self, reverse, x, t, s, run):
        y = super().integrate(reverse, x, t, s, run)
        return torch.where(y[:, :1] > 1.0, self.to, y) if s <= reverse.forward.eps else y


@pytest.mark.parametrize("to", [math.inf, 7.0])
def test_rows_that_are_lost_are_not_taken_for_those_between_modes(to):
    assert off_the_flow(Lost(to=to), specimens()[0], SDE, 0.0)[-1] > LIMIT


@pytest.mark.parametrize(
    ("solver", "why"),
    [
        (Langevin(), "corrector"),
        (Hold(), "neither an order nor a tolerance"),
        (Denoise(), "neither an order nor a tolerance"),
        (OnGrid(Heun(), LogSNR(6)), "samples may tell"),
    ],
    ids=lambda each: type(each).__name__,
)
def test_where_it_does_not_apply_it_says_why(solver, why):
    with pytest.raises(NotApplicable, match=why):
        check_flow(solver)


def test_what_works_with_noise_alone_is_left_alone():
    with pytest.raises(NotApplicable, match="draws noise"):
        check_flow(OneLevel())
